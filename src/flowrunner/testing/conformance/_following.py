"""Section 5 of the rules: following."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final

from flowrunner.enums import RunState, WaitReason
from flowrunner.errors import ContactLost, FlowrunnerError, InputRequired, RunCancelled, RunFailed
from flowrunner.states import NEED_PEOPLE
from flowrunner.testing.conformance.scenario import Scenario, apart
from flowrunner.testing.conformance.verdict import broken, holds, proves
from flowrunner.testing.conformance.world import lost, page, refused

if TYPE_CHECKING:
    from flowrunner.testing.conformance.world import World

ENDS: Final = {RunState.FAILED: RunFailed, RunState.CANCELLED: RunCancelled}


class FollowingRules(Scenario):
    """How waits go."""

    @proves("5.1")
    def test_5_1_a_wait_ends_at_every_final_word(self) -> None:
        """With a result, or with the error that tells how it ended."""
        for word in self.final_words():
            with self.world() as world:
                run = self.shown(world, world.client(), self.live_word())
                world.clock.after(25, lambda word=word, run=run, world=world: world.server.show(run.id, word=word))  # type: ignore[misc] # mypy infers no lambda with defaults
                ended = self._waited(run)
                meaning = self.meanings()[word]
                expected = ENDS.get(meaning.state) if meaning and meaning.state else None
                holds("5.1", ended is expected, f"a wait for {word!r} ended with {ended and ended.__name__}")

    def _waited(self, run: Any) -> type[FlowrunnerError] | None:
        """What a wait raises."""
        try:
            apart(partial(run.wait, timeout=600))
        except FlowrunnerError as error:
            return type(error)
        return None

    @proves("5.2")
    def test_5_2_a_wait_goes_on_over_live_words(self) -> None:
        """Over all of them, and back again; a word that needs a person ends it."""
        live = self.words_for(RunState.QUEUED, RunState.RUNNING, RunState.WAITING)
        with self.world() as world:
            run = self.submitted(world.client())
            words = [*live, *reversed(live), self.word_for(RunState.SUCCEEDED)]
            self._shown_in_turn(world, run.id, words)
            state = run.wait(timeout=10_000).status.state
            holds("5.2", state is RunState.SUCCEEDED, f"the wait over {words} ended at {state}")
        for word, meaning in self.meanings().items():
            if meaning is not None and meaning.reason in NEED_PEOPLE:
                self._ends_for_a_person(word, meaning.reason)

    def _shown_in_turn(self, world: World, run_id: str, words: list[str]) -> None:
        for number, word in enumerate(words):
            world.clock.after(30 * (number + 1), lambda word=word: world.server.show(run_id, word=word))  # type: ignore[misc] # mypy infers no lambda with defaults

    def _ends_for_a_person(self, word: str, reason: WaitReason | None) -> None:
        with self.world() as world:
            run = self.shown(world, world.client(), word)
            try:
                apart(partial(run.wait, timeout=600))
            except InputRequired as required:
                holds("5.2", required.status.reason is reason, f"{word!r} waits for {required.status.reason}")
            else:
                broken("5.2", f"a wait went on over {word!r}, which needs a person")

    @proves("5.3")
    def test_5_3_lost_contact_leaves_the_run_alone(self) -> None:
        """The wait ends with ContactLost, the run is as it was, and the next wait sees its end."""
        self.needs_requests()
        for what, fault in {"no connection": refused, "no answer": lost, "a proxy's 502": page(502)}.items():
            with self.world() as world:
                run = self.shown(world, world.client(), self.live_word())
                before = run.status.state
                with world.going_wrong(fault):
                    ended = self._waited(run)
                holds("5.3", ended is ContactLost, f"a wait over {what} ended with {ended and ended.__name__}")
                holds("5.3", run.status.state is before, f"after {what} the run is {run.status.state}")
                world.server.show(run.id, word=self.word_for(RunState.SUCCEEDED))
                ended = self._waited(run)
                holds("5.3", ended is None, f"after {what} the next wait ended with {ended and ended.__name__}")

    @proves("5.4")
    def test_5_4_a_run_that_is_gone_is_lost(self) -> None:
        """The vendor cleaned up before we saw the end; what was known stays. An end that was seen stays, too."""
        with self.world() as world:
            run = self.shown(world, world.client(), self.live_word(), message="halfway")
            known = run.status
            world.server.purge(run.id)
            state = apart(partial(run.wait, timeout=600, raise_on_failure=False)).status.state
            holds("5.4", state is RunState.LOST, f"the run that is gone is {state}")
            kept = (run.status.vendor_status, run.status.message) == (known.vendor_status, known.message)
            holds("5.4", kept, f"of {known} there is left {run.status}")
        with self.world() as world:
            run = self.shown(world, world.client(), self.word_for(RunState.SUCCEEDED))
            world.server.purge(run.id)
            state = apart(run.refresh).state
            holds("5.4", state is RunState.SUCCEEDED, f"the run that had succeeded became {state}")
