"""The way between the socket and a vendor's app: records what comes in, and plays what a test scripted instead."""

from __future__ import annotations

import asyncio
import json
import threading
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Literal, Protocol

from attrs import define, frozen
from starlette.responses import Response

from flowrunner.simulator.recorder import RecordedRequest, Recorder, read_request

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

Cut = Literal["reset_before", "reset_after", "truncate"]
CUTS: tuple[Cut, ...] = ("reset_before", "reset_after", "truncate")

KEPT = 1 << 20
"""How many bytes of a body are held in memory, and kept in its record; the rest is passed on as it comes."""


class HangUp(Protocol):
    """Closes the connection of a request: at once, with a reset, or after what was written has gone out."""

    def __call__(self, scope: Scope, *, reset: bool) -> None:
        """Close it."""
        ...


@frozen
class Answer:
    """An answer sent instead of the vendor's, which never sees the request."""

    status: int
    content: bytes
    headers: Mapping[str, str]


@define
class _Plan:
    """What to do with the next requests that match."""

    path: str
    method: str | None
    action: Answer | Cut
    times: int

    def takes(self, request: RecordedRequest) -> bool:
        return self.times > 0 and self.method in (None, request.method) and fnmatchcase(request.path, self.path)


class Plans:
    """What a test scripted, the oldest first. Safe to share between threads."""

    def __init__(self) -> None:
        self._plans: list[_Plan] = []
        self._lock = threading.Lock()

    def add(self, path: str, method: str | None, action: Answer | Cut, times: int) -> None:
        """Do `action` with the next `times` requests for `path`, in which `*` stands for anything."""
        with self._lock:
            self._plans.append(_Plan(path, method, action, times))

    def take(self, request: RecordedRequest) -> Answer | Cut | None:
        """Return what to do with a request; None leaves it to the vendor's app."""
        with self._lock:
            plan = next((plan for plan in self._plans if plan.takes(request)), None)
            if plan is None:
                return None
            plan.times -= 1
            return plan.action


def answer(status: int, body: Any, headers: Mapping[str, str] | None) -> Answer:
    """Make an answer: bytes and text go out as they are, text as HTML, anything else as JSON."""
    if isinstance(body, bytes):
        content, media_type = body, "application/octet-stream"
    elif isinstance(body, str):
        content, media_type = body.encode(), "text/html; charset=utf-8"
    else:
        content, media_type = json.dumps(body).encode(), "application/json"
    return Answer(status, content, {"content-type": media_type} | {k.lower(): v for k, v in (headers or {}).items()})


class Wire:
    """ASGI middleware around the vendor's app.

    Args:
        app: The vendor's app.
        recorder: Where requests are noted.
        plans: What a test scripted.
        hang_up: Closes the connection of a request.
    """

    def __init__(self, app: ASGIApp, recorder: Recorder, plans: Plans, hang_up: HangUp) -> None:
        self._app = app
        self._recorder = recorder
        self._plans = plans
        self._hang_up = hang_up

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; being cancelled is how the server stops."""
        try:
            await self._serve(scope, receive, send)
        except asyncio.CancelledError:
            return

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = Body(receive)
        request = read_request(scope, await body.read_ahead())
        body.listener = request.count
        self._recorder.add(request)
        exchange = _Exchange(self._app, scope, body, receive, _answering(request, body, send), self._hang_up)
        action = self._plans.take(request)
        if action is None:
            await exchange.pass_on()
        elif isinstance(action, Answer):
            await exchange.say(action)
        else:
            await exchange.cut(action)


@frozen
class _Exchange:
    """One request on its way, and what can be done with it."""

    app: ASGIApp
    scope: Scope
    body: Body
    receive: Receive
    send: Send
    hang_up: HangUp

    async def pass_on(self) -> None:
        await self.app(self.scope, self.body.receive, self.send)

    async def say(self, said: Answer) -> None:
        response = Response(said.content, said.status, dict(said.headers))
        await response(self.scope, self.receive, self.send)

    async def cut(self, how: Cut) -> None:
        if how != "reset_before":
            messages = await self._overhear()
            if how == "truncate":
                await self._send_half(messages)
        self.hang_up(self.scope, reset=how != "truncate")
        kind = ""
        while kind != "http.disconnect":  # so that nothing is sent for want of an answer
            kind = (await self.receive())["type"]

    async def _overhear(self) -> list[Message]:
        """Let the app act and keep its answer back."""
        messages: list[Message] = []

        async def keep(message: Message) -> None:
            messages.append(message)

        await self.app(self.scope, self.body.receive, keep)
        return messages

    async def _send_half(self, messages: list[Message]) -> None:
        start, *parts = messages
        body = b"".join(part.get("body", b"") for part in parts)
        await self.send(start)
        await self.send({"type": "http.response.body", "body": body[: len(body) // 2], "more_body": True})


class Body:
    """The body of a request on its way to the app, which is never in memory as a whole unless it is small.

    A client that leaves in the middle of it has asked for nothing: whatever is being done for it is cancelled.

    Args:
        receive: Where it comes from.

    Attributes:
        listener: Called with each part that comes in after what was read ahead.
    """

    def __init__(self, receive: Receive) -> None:
        self.listener: Callable[[bytes], None] = _ignore
        self._receive = receive
        self._ahead: list[Message] = []
        self._more = True

    async def read_ahead(self) -> bytes:
        """Read all of a small body, the beginning of a large one; the app receives it nevertheless."""
        parts: list[bytes] = []
        while self._more and sum(map(len, parts)) < KEPT:
            message = await self._next()
            self._ahead.append(message)
            parts.append(message.get("body", b""))
        return b"".join(parts)

    async def receive(self) -> Message:
        """Return the next message, as an ASGI app asks for it."""
        if self._ahead:
            return self._ahead.pop(0)
        return await self._next() if self._more else await self._receive()

    async def drain(self) -> None:
        """Read what nobody wanted: a request is read to its end before it is answered."""
        while self._more:
            await self._next()

    async def _next(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.disconnect":
            raise asyncio.CancelledError
        self._more = message.get("more_body", False)
        self.listener(message.get("body", b""))
        return message


def _ignore(_: bytes) -> None:
    """Take no note of a part of a body."""


def _answering(request: RecordedRequest, body: Body, send: Send) -> Send:
    """Return a `send` that lets the request come to its end first and notes the status it sends."""

    async def note(message: Message) -> None:
        if message["type"] == "http.response.start":
            await body.drain()
            request.status = message["status"]
        await send(message)

    return note
