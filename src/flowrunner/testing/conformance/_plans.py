"""Section 2 of the rules: plans."""

from __future__ import annotations

import gc
import inspect
import sys
from contextlib import contextmanager, suppress
from types import FrameType, ModuleType
from typing import TYPE_CHECKING, Any, Final

from flowrunner.backend import OPERATIONS, Capability
from flowrunner.enums import RunState
from flowrunner.errors import TransportError
from flowrunner.plans import Call, Request
from flowrunner.testing.conformance.scenario import Scenario, apart
from flowrunner.testing.conformance.verdict import NotConforming, broken, holds, proves
from flowrunner.testing.conformance.world import refused

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from flowrunner.testing.conformance.world import World

NAMES: Final = (
    "prepare",
    "submit",
    "observe",
    "observe_many",
    *sorted({name for names in OPERATIONS.values() for name in names}),
)
"""The operations of a backend, each of which gives a plan."""

BLOCKING: Final = frozenset({
    "time.sleep", "time.time", "time.time_ns", "time.monotonic", "time.monotonic_ns", "time.perf_counter",
    "datetime.now", "datetime.utcnow", "date.today", "io.open", "_io.open", "posix.open", "posix.stat",
    "socket.connect", "_socket.getaddrinfo", "_posixsubprocess.fork_exec", "_winapi.CreateProcess",
})  # fmt: skip
"""What no plan may call, as `module.function` or `class.method`; `Call` is the place for it."""


class PlanRules(Scenario):
    """How operations go about their work."""

    @proves("2.1")
    def test_2_1_operations_are_generators_of_steps(self) -> None:
        """Whatever an operation yields is a request or a call."""
        with self.world() as world:
            self._story(world, "sync", _checking(_is_step))

    @proves("2.2")
    def test_2_2_plans_are_pure(self) -> None:
        """While a plan runs, nothing opens a file or a socket, sleeps, or asks for the time."""
        with self.world() as world:
            self._story(world, "sync", _checking(_is_pure))

    @proves("2.3")
    def test_2_3_a_reference_is_enough(self) -> None:
        """Another client, of another instance of the backend, finds the run by the text of its reference."""
        with self.world() as world:
            run = self.submitted(world.client())
            word = self.live_word()
            world.server.show(run.id, word=word)
            other = self.attached(world, run)
            seen = other.refresh()
            holds("2.3", seen.vendor_status == word, f"the other client sees {seen.vendor_status!r}, not {word!r}")

    @proves("2.4")
    def test_2_4_sync_and_async_see_the_same(self) -> None:
        """One story, told to both clients: the same states, words and requests."""
        stories = []
        for which in ("sync", "async"):
            with self.world() as world:
                told = self._story(world, which)
                stories.append((told, [(each.method, each.url) for each in world.sent]))
        holds("2.4", stories[0] == stories[1], f"sync: {stories[0]}; async: {stories[1]}")

    def _story(self, world: World, which: str, watching: Callable[[Any], None] | None = None) -> list[Any]:
        """A run's life, with all that the backend announces on the way."""
        client = world.client(which)
        if watching is not None:
            watching(client._backend)  # noqa: SLF001 - the suite may look inside
        can = client.capabilities
        run = self.submitted(client)
        names = {run.id: "the run"}  # a vendor's ids may be others each time
        world.server.show(run.id, word=self.live_word())
        told: list[Any] = [run.refresh().state]
        if Capability.CANCEL in can:
            other = self.submitted(client)
            names[other.id] = "the cancelled run"
            told.append(other.cancel())
        with world.going_wrong(refused), suppress(TransportError):
            told.append(apart(run.refresh).state)
        end = {"word": self.word_for(RunState.SUCCEEDED), "log": ["a line"], "files": {"a.bin": b"content"}}
        world.clock.after(5, lambda: world.server.show(run.id, **end))
        result = run.wait(timeout=60)
        told.extend((result.status.state, len(result.artifacts)))
        if Capability.LOGS in can:
            told.append(list(run.logs()))
        if Capability.LIST_RUNS in can:
            told.append([(names.get(each.id, each.id), each.status.state) for each in self.runs_of(client)])
        if watching is not None and Capability.BULK in can:
            told.extend(len(self.page_of_many(client, ended=ended).items) for ended in (False, True))
        if Capability.LIST_FLOWS in can:
            told.append([each.flow for each in client.flows()])
        if Capability.HEALTH in can:
            told.append(client.health().reachable)
        return told


def _checking(check: Callable[[str, Any], Any]) -> Callable[[Any], None]:
    """Have every plan of a backend gone through step by step."""

    def watch(backend: Any) -> None:
        for name in NAMES:
            operation = getattr(backend, name)
            setattr(backend, name, lambda *a, _op=operation, _name=name, **kw: check(_name, _op(*a, **kw)))

    return watch


def _is_step(name: str, plan: Any) -> Any:
    if not inspect.isgenerator(plan):
        broken("2.1", f"{name}() gives a {type(plan).__name__}, not a generator")
    answer: Any = None
    resume = plan.send
    while True:
        try:
            step = resume(answer)
        except StopIteration as end:
            return end.value
        holds("2.1", isinstance(step, Request | Call), f"{name}() yields a {type(step).__name__}")
        try:
            resume, answer = plan.send, (yield step)
        except Exception as error:  # noqa: BLE001 - whatever the driver throws is for the plan
            resume, answer = plan.throw, error


def _is_pure(name: str, plan: Any) -> Any:
    answer: Any = None
    resume = plan.send
    while True:
        with _nothing_blocks(name):
            try:
                step = resume(answer)
            except StopIteration as end:
                return end.value
        try:
            resume, answer = plan.send, (yield step)
        except Exception as error:  # noqa: BLE001 - as above
            resume, answer = plan.throw, error


@contextmanager
def _nothing_blocks(name: str) -> Iterator[None]:
    """Whatever blocks breaks the rule, in this thread; others, such as an event loop's, go on."""
    called: list[str] = []

    def note(frame: FrameType, event: str, function: Any) -> None:  # pragma: no cover - Python measures no profiler
        if event == "c_call" and _name_of(function) in BLOCKING and not _is_import(frame):
            called.append(_name_of(function))

    before, collects = sys.getprofile(), gc.isenabled()
    gc.disable()  # what others do whenever garbage is collected is not the plan's doing
    sys.setprofile(note)
    try:
        yield
    finally:
        sys.setprofile(before)
        if collects:
            gc.enable()
    if called:
        raise NotConforming("2.2", f"{name}() calls {called[0]}: put it into a Call")


def _name_of(function: Any) -> str:  # pragma: no cover - as above
    owner = getattr(function, "__self__", None)
    place = owner if isinstance(owner, type | ModuleType) else type(owner)
    return f"{place.__name__}.{getattr(function, '__name__', '')}"


def _is_import(frame: FrameType) -> bool:  # pragma: no cover - as above
    """Whether it is Python's own work, such as a module that is imported when it is first needed."""
    return "importlib" in frame.f_code.co_filename
