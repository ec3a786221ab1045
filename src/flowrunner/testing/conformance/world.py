"""The surroundings of one test: the scripted vendor, time, clients, and what goes wrong on the way."""

from __future__ import annotations

import asyncio
import logging
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Self, TypeAlias

import stamina

from flowrunner.client import AsyncClient, Client
from flowrunner.config import resolve
from flowrunner.errors import FlowrunnerError
from flowrunner.http.scripted import AsyncScriptedSession, Broken, ScriptedSession
from flowrunner.models import RunRef
from flowrunner.plans import Response
from flowrunner.testing.blocking import Blocking
from flowrunner.testing.conformance.server import Asked, reply
from flowrunner.testing.conformance.stepping import SteppingClock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from types import TracebackType

    from flowrunner.backend import Backend
    from flowrunner.http.scripted import Sent
    from flowrunner.testing.conformance.server import ScriptedServer

__all__ = ["Fault", "World", "lost", "page", "refused", "says", "submissions", "truncated", "unheard"]

Fault: TypeAlias = "Callable[[Callable[[], Response]], Response | Broken]"
"""What becomes of a request; called with the function that lets the server act on it and gives its answer."""

PAGE = b"<!DOCTYPE html><html><body>An answer by something that stands in between.</body></html>"
"""What a proxy says."""

DEFAULTS = {"check_parameters": False, "retries": 0, "poll_min": 1.0, "poll_max": 10.0, "contact_budget": 60.0}
"""Settings under which a test takes few requests; a test sets others where they matter."""

MOST = 1000
"""Requests after which nothing that a test asks for can still come."""


def lost(act: Callable[[], Response]) -> Broken:
    """The server acts, and its answer is lost."""
    act()
    return Broken(arrived=True)


def unheard(_act: Callable[[], Response]) -> Broken:
    """The request is lost on its way, and nobody knows that."""
    return Broken(arrived=True)


def refused(_act: Callable[[], Response]) -> Broken:
    """There is no connection."""
    return Broken(arrived=False)


def truncated(act: Callable[[], Response]) -> Broken:
    """The server acts, and half of its answer comes."""
    whole = act()
    half = Response(whole.status, whole.headers, whole.content[: len(whole.content) // 2])
    return Broken(arrived=True, began=half)


def says(answer: Response, *, acts: bool = False) -> Fault:
    """Something else answers; the server may have acted before."""

    def fault(act: Callable[[], Response]) -> Response:
        if acts:
            act()
        return answer

    return fault


def page(status: int, *, acts: bool = False) -> Fault:
    """A proxy answers."""
    return says(reply(status, PAGE, {"content-type": "text/html"}), acts=acts)


def every(_sent: Sent) -> bool:
    """Every request."""
    return True


def submissions(sent: Sent) -> bool:
    """What starts a run, and may not be repeated."""
    return not sent.repeatable


class World:
    """The surroundings of one test; a context manager.

    Args:
        backend: the backend.
        settings: of its connections, beside `DEFAULTS` and the server's own.
        server: the vendor.

    Attributes:
        server: the vendor.
        clock: time.
        events: what clients told.
        logs: what was logged.
        sent: the requests that went out.
    """

    def __init__(self, backend: type[Backend], settings: Mapping[str, Any], server: ScriptedServer) -> None:
        self._backend = backend
        self._settings = settings
        self.server = server
        self.clock = SteppingClock()
        self.events: list[Any] = []
        self.logs: list[str] = []
        self.sent: list[Sent] = []
        self._requests = 0
        self._fault: Fault | None = None
        self._only: Callable[[Sent], bool] = every
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        self._stack.callback(self.server.close)
        self._stack.enter_context(stamina.set_testing(True, attempts=1000, cap=True))
        self._stack.enter_context(_logged(self.logs))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stack.close()

    def client(self, which: str = "sync", **settings: Any) -> Any:
        """A client that is ready: a login and a look at the server's version are behind it."""
        arguments = {**DEFAULTS, **self._settings, **self.server.settings, **settings}
        connection = resolve(None, backend=self._backend, config=None, arguments=arguments)
        common: dict[str, Any] = {"on_event": self.events.append, "clock": self.clock}
        if which == "sync":
            session: Any = partial(ScriptedSession, answer=self._answer)
            client: Any = Client(connection, **common, session=session)
        else:
            session = partial(AsyncScriptedSession, answer=self._answer)
            runner = self._stack.enter_context(asyncio.Runner())
            client = Blocking(runner, AsyncClient(connection, **common, session=session))
        self._stack.callback(client.close)
        if not client._backend.is_prepared or client._backend.login() is not None:  # noqa: SLF001 - as in `Scenario`
            self._warm_up(client)
        return client

    def _warm_up(self, client: Any) -> None:
        """Have a look at nothing, which has the client log in and look at the server's version first."""
        ref = RunRef(client.name, client.backend, self.server.flow, "warm-up")
        with suppress(FlowrunnerError):
            client.attach(ref).refresh()
        self.sent.clear()
        self.events.clear()

    @contextmanager
    def going_wrong(self, fault: Fault, *, only: Callable[[Sent], bool] = every) -> Iterator[None]:
        """Have something happen to every request, or to some alone."""
        self._fault, self._only = fault, only
        try:
            yield
        finally:
            self._fault = None

    def respond(self, sent: Sent) -> Response:
        """The server's own answer to a request."""
        return self.server.respond(Asked.read(sent.method, sent.url, sent.headers, sent.body))

    def _answer(self, sent: Sent) -> Response | Broken:
        self._requests += 1
        if self._requests > MOST:
            raise RuntimeError(f"after {MOST} requests it still asks for what will not come")
        self.sent.append(sent)
        act = partial(self.respond, sent)
        if self._fault is None or not self._only(sent):
            return act()
        return self._fault(act)


@contextmanager
def _logged(lines: list[str]) -> Iterator[None]:
    """Collect what the process logs."""

    class Collector(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(record.getMessage())

    root, collector = logging.getLogger(), Collector()
    level = root.level
    root.addHandler(collector)
    root.setLevel(logging.DEBUG)
    try:
        yield
    finally:
        root.setLevel(level)
        root.removeHandler(collector)
