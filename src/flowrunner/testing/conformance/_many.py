"""Section 11 of the rules: many at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from flowrunner.backend import Capability
from flowrunner.enums import RunState
from flowrunner.models import RunRef
from flowrunner.testing.conformance.scenario import LIVE, Scenario
from flowrunner.testing.conformance.verdict import broken, holds, proves

if TYPE_CHECKING:
    from flowrunner.backend import Sighting
    from flowrunner.states import Observation
    from flowrunner.testing.conformance.world import World

PAGES: Final = 50
"""Pages after which nothing that a test asks for can still come."""


class ManyRules(Scenario):
    """How the runs of a vendor are looked at in pages."""

    @proves("11.1")
    def test_11_1_what_goes_on(self) -> None:
        """Over pages of three, between others that have ended."""
        self.needs(Capability.BULK)
        with self.world() as world:
            live, ended = self._mixed(world)
            shown = [each.id for each in self._sightings(world.client(), "11.1", ended=False)]
            holds("11.1", sorted(shown) == sorted(live), f"of {live}, which go on, and {ended}, there were {shown}")

    @proves("11.2")
    def test_11_2_what_has_ended(self) -> None:
        """The same from the other side, and in its order."""
        self.needs(Capability.BULK)
        with self.world() as world:
            live, ended = self._mixed(world)
            shown = [each.id for each in self._sightings(world.client(), "11.2", ended=True)]
            holds("11.2", shown == ended, f"of {ended}, the newest first, and {live}, which go on, there were {shown}")

    @proves("11.3")
    def test_11_3_pages_come_to_an_end(self) -> None:
        """After a last page that is full, and where there is nothing."""
        self.needs(Capability.BULK)
        for count in (0, 6):
            for ended, word in ((False, self.live_word()), (True, self.word_for(RunState.SUCCEEDED))):
                with self.world() as world:
                    world.server.page_size = 3
                    expected = {self._run(world, word) for _ in range(count)}
                    shown = {each.id for each in self._sightings(world.client(), "11.3", ended=ended)}
                    holds("11.3", shown == expected, f"of {count} runs there were {sorted(shown)}")

    @proves("11.4")
    def test_11_4_a_sighting_is_what_a_look_shows(self) -> None:
        """With each documented word, as far as the pages show runs that have it."""
        self.needs(Capability.BULK)
        found = set()
        for word, meaning in self.meanings().items():
            if meaning is None or meaning.state is None:
                continue
            with self.world() as world:
                run_id = self._run(world, word, message="a message", progress=0.5)
                client = world.client()
                ended = meaning.state not in LIVE
                for each in self._sightings(client, "11.4", ended=ended):
                    self._compare(each, self._look(client, run_id))
                    found.add(ended)
        holds(
            "11.4", found == {False, True}, "of the documented words, pages show none that is live, or none of an end"
        )

    def _compare(self, each: Sighting, seen: Observation) -> None:
        holds("11.4", each.word == seen.word, f"a page shows the word {each.word!r}, a look {seen.word!r}")
        for name in ("message", "progress"):
            shown, looked = getattr(each, name), getattr(seen, name)
            holds("11.4", shown in {None, looked}, f"a page shows the {name} {shown!r}, a look {looked!r}")

    @proves("11.5")
    def test_11_5_a_sighting_is_read_without_asking(self) -> None:
        """It says again what it showed, and of the rest what a look says, or nothing."""
        self.needs(Capability.BULK)
        with self.world() as world:
            run_id = self._run(world, self.word_for(RunState.SUCCEEDED), message="a message")
            client = world.client()
            (each,) = self._sightings(client, "11.5", ended=True)
            world.sent.clear()
            read = each.observation()
            holds("11.5", not world.sent, "somebody was asked when a sighting was read")
            for name in ("word", "message", "progress"):
                shown, says = getattr(each, name), getattr(read, name)
                holds(
                    "11.5", shown == says, f"a sighting shows the {name} {shown!r}, and says {says!r} when it is read"
                )
            seen = self._look(client, run_id)
            for name in ("queued_at", "started_at", "finished_at"):
                says, looked = getattr(read, name), getattr(seen, name)
                holds("11.5", says in {None, looked}, f"of {name} a sighting says {says}, a look {looked}")

    # Ways to pages

    def _run(self, world: World, word: str, **changes: Any) -> str:
        run = world.server.start(self.server.flow)
        world.server.show(run.id, word=word, **changes)
        return run.id

    def _mixed(self, world: World) -> tuple[list[str], list[str]]:
        """The runs that go on, and those that have ended; the newest first."""
        world.server.page_size = 3
        words = self.live_word(), self.word_for(RunState.SUCCEEDED)
        pairs = [[self._run(world, word) for word in words] for _ in range(5)]
        live, ended = (list(ids) for ids in zip(*reversed(pairs), strict=True))
        return live, ended

    def _sightings(self, client: Any, rule: str, *, ended: bool) -> list[Sighting]:
        """All that the pages show."""
        found: list[Sighting] = []
        cursor = None
        for _ in range(PAGES):
            page = self.page_of_many(client, ended=ended, cursor=cursor)
            found += page.items
            cursor = page.next
            if cursor is None:
                return found
        return broken(rule, f"after {PAGES} pages there is another one")

    def _look(self, client: Any, run_id: str) -> Observation:
        ref = RunRef(client.name, client.backend, self.server.flow, run_id)
        return self.played(client, lambda backend: backend.observe(ref))
