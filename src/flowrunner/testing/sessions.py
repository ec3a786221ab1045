"""What clients send requests on in a test: a simulator in the same process is asked directly, all else over a socket.

No retry is waited for, and the clock knows of each request. The two sessions stand side by side and differ in `await`
alone.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import CancelledError
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from flowrunner.http.scripted import AsyncScriptedSession, Broken, ScriptedSession
from flowrunner.http.wire import Again
from flowrunner.plans import Response

if TYPE_CHECKING:
    from concurrent.futures import Future

    from flowrunner.backend import Backend
    from flowrunner.http.scripted import Sent
    from flowrunner.plans import Request
    from flowrunner.simulator.in_process import InProcessSimulator, Reply
    from flowrunner.testing.clock import VirtualClock

__all__ = ["AsyncStagedSession", "Servers", "StagedSession"]


class Servers:
    """The simulators in this process, by address.

    Args:
        clock: their time, and the clients'.
    """

    def __init__(self, clock: VirtualClock) -> None:
        self.clock = clock
        self._simulators: dict[str, InProcessSimulator] = {}

    def add(self, simulator: InProcessSimulator) -> None:
        """Have one asked from now on."""
        self._simulators[urlsplit(simulator.base_url).netloc] = simulator

    def has(self, url: Any) -> bool:
        """Whether one of them is, or was, at an address."""
        return url.netloc.decode("ascii") in self._simulators

    def answer(self, sent: Sent) -> Response | Broken:
        """Have a request answered, blocking."""
        asked = self._ask(sent)
        if asked is None:
            return Broken(arrived=False)
        with self.clock.asking(sent.timeout, asked.cancel):
            try:
                return _answer(asked.result())
            except CancelledError:
                return Broken(arrived=True, late=True)

    async def answer_async(self, sent: Sent) -> Response | Broken:
        """As `answer`."""
        asked = self._ask(sent)
        if asked is None:
            return Broken(arrived=False)
        with self.clock.asking(sent.timeout, asked.cancel):
            try:
                return _answer(await asyncio.wrap_future(asked))
            except asyncio.CancelledError:
                if _is_cancelled():
                    raise
                return Broken(arrived=True, late=True)

    def _ask(self, sent: Sent) -> Future[Reply | None] | None:
        simulator = self._simulators[urlsplit(sent.url).netloc]
        return simulator.ask(sent.method, sent.url, sent.headers, sent.body)


def _is_cancelled() -> bool:
    """Whether it is the task that was cancelled, rather than what it waits for."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _answer(reply: Reply | None) -> Response | Broken:
    if reply is None:
        return Broken(arrived=True)
    answer = Response(reply.status, reply.headers, reply.content)
    return answer if reply.is_whole else Broken(arrived=True, began=answer)


class StagedSession(ScriptedSession):
    """Sends requests, blocking."""

    def __init__(self, backend: Backend, *, servers: Servers, **arguments: Any) -> None:
        super().__init__(backend, answer=servers.answer, **arguments)
        self._servers = servers

    def _transport(self, request: Request, url: Any) -> Any:
        if self._servers.has(url):
            return super()._transport(request, url)
        return _Watched(super(ScriptedSession, self)._transport(request, url), self._servers.clock)

    def _retry_arguments(self) -> dict[str, Any]:
        return super()._retry_arguments() | AT_ONCE


class AsyncStagedSession(AsyncScriptedSession):
    """Sends requests without blocking."""

    def __init__(self, backend: Backend, *, servers: Servers, **arguments: Any) -> None:
        super().__init__(backend, answer=servers.answer_async, **arguments)
        self._servers = servers

    def _transport(self, request: Request, url: Any) -> Any:
        if self._servers.has(url):
            return super()._transport(request, url)
        return _Watched(super(AsyncScriptedSession, self)._transport(request, url), self._servers.clock)

    def _retry_arguments(self) -> dict[str, Any]:
        return super()._retry_arguments() | AT_ONCE


AT_ONCE = {"on": Again, "wait_initial": 0.0, "wait_max": 0.0, "wait_jitter": 0.0}
"""How stamina does not wait. A `Retry-After` passes on the clock all the same: it holds the whole connection."""


class _Watched:
    """A transport over a socket whose requests the clock knows of."""

    def __init__(self, transport: Any, clock: VirtualClock) -> None:
        self._transport = transport
        self._clock = clock

    def handle_request(self, request: Any) -> Any:
        with self._clock.asking():
            return self._transport.handle_request(request)

    async def handle_async_request(self, request: Any) -> Any:
        with self._clock.asking():
            return await self._transport.handle_async_request(request)
