"""The simulator without a socket: a client in the same process hands it a request and is handed the answer."""

from __future__ import annotations

import asyncio
import threading
from itertools import count
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from attrs import frozen

from flowrunner.simulator.clock import later
from flowrunner.simulator.server import Serving, Simulator
from flowrunner.simulator.waiting import sleep_until

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from concurrent.futures import Future
    from datetime import datetime

    from starlette.types import ASGIApp, Message, Scope

    from flowrunner.simulator.clock import Clock

_PORTS = count(81)
"""Nobody listens there: a client that tries a socket is refused. Above 80, which an address may leave out."""


@frozen
class Reply:
    """What came of an answer.

    Attributes:
        status: The HTTP status.
        headers: By lower-case name.
        content: The body, as far as it came.
        is_whole: Whether the connection lasted until its end.
    """

    status: int
    headers: Mapping[str, str]
    content: bytes
    is_whole: bool


class Conversation:
    """One request, and what comes of it.

    Args:
        scope: The request but for its body, as ASGI has it.
        body: All of its body.
    """

    def __init__(self, scope: Scope, body: bytes) -> None:
        self._scope = scope
        self._requests: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]
        self._answers: list[Message] = []
        self._gone = asyncio.Event()

    async def served_by(self, app: ASGIApp) -> Reply | None:
        """Have an app answer; None if the connection was cut before there was anything."""
        await app(self._scope, self._receive, self._send)
        if not self._answers:
            return None
        start, *parts = self._answers
        return Reply(
            start["status"],
            {name.decode("latin-1"): value.decode("latin-1") for name, value in start["headers"]},
            b"".join(part.get("body", b"") for part in parts),
            is_whole=bool(parts) and not parts[-1].get("more_body", False),
        )

    async def _receive(self) -> Message:
        if self._requests:
            return self._requests.pop()
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Message) -> None:
        self._answers.append(message)

    def cut(self) -> None:
        """End it: what was sent by then is what comes."""
        self._gone.set()


class _LoopServer:
    """An event loop in a thread of its own, which serves whatever is put into it; it is its own `Line`."""

    def __init__(self, make: Callable[..., ASGIApp], port: int, clock: Clock) -> None:
        self.port = port
        self.listening = threading.Event()
        self.listening.set()
        self._clock = clock
        self._app = make(line=self)
        self._open: dict[int, Conversation] = {}
        self._return: asyncio.Task[None] | None = None
        self._loop = asyncio.new_event_loop()
        self._lock = threading.Lock()
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name="flowrunner simulator", daemon=True)
        self._thread.start()

    def ask(self, scope: Scope, body: bytes) -> Future[Reply | None] | None:
        """Serve a request; None where it is too late for that."""
        with self._lock:
            if self._stopped or not self.listening.is_set():
                return None
            return asyncio.run_coroutine_threadsafe(self._serve(scope, body), self._loop)

    async def _serve(self, scope: Scope, body: bytes) -> Reply | None:
        conversation = self._open[id(scope)] = Conversation(scope, body)
        try:
            return await conversation.served_by(self._app)
        finally:
            del self._open[id(scope)]

    def hang_up(self, scope: Scope, *, reset: bool) -> None:  # noqa: ARG002 - to a client it is the same
        """End a conversation."""
        self._open[id(scope)].cut()

    def write(self, scope: Scope, content: bytes) -> None:
        """Write behind an answer: a client that got all of it reads no more."""

    async def go_down(self, seconds: float) -> None:
        """Serve nobody for so many seconds of the simulator's clock."""
        back_at = later(self._clock.now(), seconds)
        self.listening.clear()
        for conversation in self._open.values():
            conversation.cut()
        self._return = asyncio.create_task(self._come_back(back_at))

    async def _come_back(self, moment: datetime | None) -> None:
        await sleep_until(self._clock, moment)
        self.listening.set()

    def stop(self) -> None:
        """End what is being served, and the thread."""
        with self._lock:
            self._stopped = True
            self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:  # it cancels what is left
            runner.get_loop().run_forever()
            runner.run(asyncio.sleep(0))  # a request that came last has begun before it is cancelled, and ends well


class InProcessSimulator(Simulator):
    """A simulator that opens no socket: whoever has it asks it. All else is as with a `Simulator`."""

    def ask(self, method: str, url: str, headers: Mapping[str, str], body: bytes) -> Future[Reply | None] | None:
        """Hand it a request.

        Args:
            method: In upper case.
            url: The whole address, with its query.
            headers: By lower-case name.
            body: All of it.

        Returns:
            What will come of it, None if it cuts the connection; cancelling it is how a client leaves. None in place of
            that if the simulator does not serve.
        """
        server = self._server
        return server.ask(_scope(method, url, headers), body) if isinstance(server, _LoopServer) else None

    def _serve(self) -> Serving:
        return _LoopServer(self._app(), self._port or next(_PORTS), self.clock)


def _scope(method: str, url: str, headers: Mapping[str, str]) -> Scope:
    parts = urlsplit(url)
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": method,
        "scheme": parts.scheme,
        "path": unquote(parts.path),
        "raw_path": parts.path.encode("ascii"),
        "query_string": parts.query.encode("ascii"),
        "root_path": "",
        "headers": [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()],
        "client": ("127.0.0.1", 0),
        "server": (parts.hostname, parts.port),
    }
