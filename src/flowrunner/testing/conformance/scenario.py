"""What the tests of the suite share: what the author supplied, and ways to a run that stands as a test wants it."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Final, TypeVar

import pytest

from flowrunner import registry
from flowrunner.drive import drive
from flowrunner.enums import RunState
from flowrunner.errors import ConfigError
from flowrunner.models import SubmitOptions
from flowrunner.states import NEED_PEOPLE, Meaning, parse_meaning
from flowrunner.testing.conformance.world import World

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from datetime import datetime

    from flowrunner.backend import Backend, Capability, Sighting
    from flowrunner.plans import Page, Plan
    from flowrunner.testing.conformance.server import ScriptedServer

__all__ = ["LIVE", "Scenario", "apart"]

T = TypeVar("T")

LIVE: Final = frozenset({RunState.QUEUED, RunState.RUNNING, RunState.WAITING})


def apart(act: Callable[[], T]) -> T:
    """Do something in a thread of its own, and wait for it.

    Where errors are thrown into generators that go on afterwards, CPython 3.11 loses count of the frames below them,
    and with it debuggers and coverage. Here there are none below that matter.
    """
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(act).result()


def _announced(backend: type[Backend]) -> Iterator[str]:
    """The names by which the package that has a class announces it; nothing is imported."""
    for offer in registry.offers():
        module, _, name = offer.target.partition(":")
        if name == backend.__qualname__ and _package(module) == _package(backend.__module__):
            yield offer.name


def _package(module: str) -> str:
    return module.partition(".")[0]


class Scenario:
    """What the author of a backend supplies; see `BackendConformance`."""

    backend: ClassVar[type[Backend]]
    settings: ClassVar[Mapping[str, Any]] = {}
    server: ClassVar[type[ScriptedServer]]
    words: ClassVar[Mapping[str, str | None]]
    parameters: ClassVar[Mapping[str, Any]] = {"NAME": "Größe & <mehr> \"und\" 'so'"}
    options: ClassVar[SubmitOptions] = SubmitOptions()
    payload: ClassVar[bytes] = b"some bytes: \xc3\xa4\xff\x00"
    lists_one_flow: ClassVar[bool] = False
    times: ClassVar[Sequence[tuple[Any, datetime | None]]] = ()

    def world(self) -> World:
        """Fresh surroundings."""
        return World(self.backend, self.settings, self.server())

    # What there is to test

    def class_problem(self) -> str | None:
        """What keeps flowrunner from using the backend, also under the names it is announced by; None if it can."""
        try:
            registry.load(self.backend)
            for name in _announced(self.backend):
                registry.load(name)
        except ConfigError as error:
            return str(error)
        name = self.backend.name
        return None if re.fullmatch(r"[a-z0-9][a-z0-9-]*", name) else f"the name is {name!r}"

    def needs(self, capability: Capability) -> None:
        """Skip the test of something that the backend does not announce, as it may for a server that lacks it."""
        with self.world() as world:
            if capability not in world.client().capabilities:
                pytest.skip(f"{self.backend.name} does not announce {capability.name}")

    def needs_requests(self) -> None:
        """Skip the test of something that happens to requests, for a backend that sends none."""
        with self.world() as world:
            if not world.client()._backend.base_url:  # noqa: SLF001 - the suite may look inside
                pytest.skip(f"{self.backend.name} sends no requests")

    def meanings(self) -> dict[str, Meaning | None]:
        """The documented words, and what they mean; None where it is for the result to say."""
        return {word: None if text is None else parse_meaning(text) for word, text in self.words.items()}

    def words_for(self, *states: RunState) -> list[str]:
        """The documented words of some states; of WAITING, those that no person has to answer."""
        return [
            word
            for word, meaning in self.meanings().items()
            if meaning is not None and meaning.state in states and meaning.reason not in NEED_PEOPLE
        ]

    def word_for(self, state: RunState) -> str:
        """A documented word of a state; without one the test does not apply."""
        found = self.words_for(state)
        if not found:
            pytest.skip(f"no documented word means {state}")
        return found[0]

    def live_word(self) -> str:
        """A documented word of a run that lives."""
        return self.words_for(RunState.RUNNING, RunState.QUEUED)[0]

    def final_words(self) -> list[str]:
        """The documented words that say how a run ended."""
        return self.words_for(RunState.SUCCEEDED, RunState.FAILED, RunState.CANCELLED)

    def runs_of(self, client: Any, **arguments: Any) -> Any:
        """The listing of a client; of the flow that the tests run, where the vendor lists those of one flow only."""
        flow = {"flow": self.server.flow} if self.lists_one_flow else {}
        return client.runs(**{**flow, **arguments})

    def page_of_many(self, client: Any, *, ended: bool, cursor: Any = None) -> Page[Sighting]:
        """A page of many runs, as the backend of a `Client` has it."""
        return self.played(client, lambda backend: backend.observe_many(ended=ended, cursor=cursor))

    def played(self, client: Any, plan: Callable[[Backend], Plan[T]]) -> T:
        """What a plan of the backend of a `Client` returns, carried out without what the client makes of it."""
        return drive(plan(client._backend), partial(client._send, {}))  # noqa: SLF001 - the suite may look inside

    # Ways to a run

    def submitted(self, client: Any, **arguments: Any) -> Any:
        """A run that was just submitted."""
        return client.submit(self.server.flow, **arguments)

    def shown(self, world: World, client: Any, word: str | None, **changes: Any) -> Any:
        """A run that was submitted, and then seen with a word."""
        run = self.submitted(client)
        world.server.show(run.id, word=word, **changes)
        run.refresh()
        return run

    def attached(self, world: World, run: Any) -> Any:
        """The same run on another client, which has its reference and nothing else."""
        return world.client().attach(str(run.ref))
