"""One request on its way between the socket and the vendor's app, and what can be done with its answer."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Protocol

from attrs import evolve, frozen

from flowrunner.simulator.engine import REPEATING
from flowrunner.simulator.skew import shift_times

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from flowrunner.simulator.engine import EnginePool
    from flowrunner.simulator.request_body import Body

_LENGTH = b"content-length"


class Line(Protocol):
    """What can be done beneath HTTP."""

    def hang_up(self, scope: Scope, *, reset: bool) -> None:
        """Close the connection of a request: at once, with a reset, or after what was written has gone out."""
        ...

    def write(self, scope: Scope, content: bytes) -> None:
        """Write bytes on the connection of a request."""
        ...

    async def go_down(self, seconds: float) -> None:
        """Cut all connections and listen again after so many seconds of the simulator's clock."""
        ...


@frozen
class Answer:
    """An answer, all of it.

    Attributes:
        status: The HTTP status.
        headers: Names in lower case and values, as ASGI has them.
        content: The body.
    """

    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    content: bytes

    @property
    def is_text(self) -> bool:
        """Whether its body is meant to be read."""
        return any(name == b"content-type" and (b"json" in kind or b"text" in kind) for name, kind in self.headers)

    def promising(self, length: int) -> Answer:
        """Return it with another Content-Length."""
        others = (header for header in self.headers if header[0] != _LENGTH)
        return evolve(self, headers=(*others, (_LENGTH, b"%d" % length)))


def make_answer(status: int, body: Any, headers: Mapping[str, str] | None = None) -> Answer:
    """Make an answer: bytes and text go out as they are, text as HTML, anything else as JSON."""
    if isinstance(body, bytes):
        content, media_type = body, "application/octet-stream"
    elif isinstance(body, str):
        content, media_type = body.encode(), "text/html; charset=utf-8"
    else:
        content, media_type = json.dumps(body).encode(), "application/json"
    named = {"content-type": media_type} | {name.lower(): value for name, value in (headers or {}).items()}
    pairs = tuple((name.encode("latin-1"), value.encode("latin-1")) for name, value in named.items())
    return Answer(status, pairs, content).promising(len(content))


@frozen
class Exchange:
    """One request on its way.

    Attributes:
        app: The vendor's app.
        scope: What ASGI says of the request.
        seen: The same as the app sees it, which sees another credential if that of the request was revoked.
        body: Its body, as the app receives it.
        receive: What comes from the client.
        send: What goes to the client.
        line: The connection beneath.
        pool: The engines, and their clock.
        submits: Whether it starts a run.
        skew: How far the vendor's clock seems to be ahead, in seconds.
        last: The last answer to each request that was remembered.
        remembers: Whether its answer may have to be given again.
    """

    app: ASGIApp
    scope: Scope
    seen: Scope
    body: Body
    receive: Receive
    send: Send
    line: Line
    pool: EnginePool
    last: dict[bytes, Answer]
    submits: bool = False
    skew: int = 0
    remembers: bool = False

    async def pass_on(self) -> None:
        """Let the app answer; its answer is only held back where something has to be done with it."""
        if self.skew or self.remembers:
            await self.say(await self.hear())
        else:
            await self.app(self.seen, self.body.receive, self.send)

    async def hear(self) -> Answer:
        """Let the app act and keep its answer back."""
        answer = await self._hear(self.body.receive)
        if self.remembers:
            self.last[key_of(self.scope)] = answer
        return answer

    async def hear_twice(self) -> tuple[Answer, Answer]:
        """Let the app act twice and keep its answers back."""
        again, first = await self.body.copy(), await self.hear()
        token = REPEATING.set(True)
        try:
            return first, await self._hear(again)
        finally:
            REPEATING.reset(token)

    async def say(self, answer: Answer) -> None:
        """Answer."""
        await self.begin(answer)
        await self.go_on(answer.content, more=False)

    async def begin(self, answer: Answer) -> None:
        """Send the beginning of an answer, without its body."""
        await self.send({"type": "http.response.start", "status": answer.status, "headers": list(answer.headers)})

    async def go_on(self, content: bytes, *, more: bool = True) -> None:
        """Send a piece of the body."""
        await self.send({"type": "http.response.body", "body": content, "more_body": more})

    async def hang_up(self, *, reset: bool) -> None:
        """Close the connection."""
        self.line.hang_up(self.scope, reset=reset)
        await self.until_gone()

    async def until_gone(self) -> None:
        """Wait until the client has left, so that nothing is sent for want of an answer."""
        kind = ""
        while kind != "http.disconnect":
            kind = (await self.receive())["type"]

    async def until_left(self) -> None:
        """Hold the request open until the client gives up."""
        with self.pool.clock.bell.heard_by(_ignore):
            await self.until_gone()

    async def _hear(self, receive: Receive) -> Answer:
        messages: list[Message] = []

        async def keep(message: Message) -> None:
            messages.append(message)

        async def read() -> Message:
            message = await receive()
            return {**message, "body": shift_times(message.get("body", b""), -self.skew)}

        await self.app(self.seen, receive if self.submits else read, keep)
        start, *parts = messages
        answer = Answer(start["status"], tuple(start["headers"]), b"".join(part.get("body", b"") for part in parts))
        return evolve(answer, content=shift_times(answer.content, self.skew)) if answer.is_text else answer


def _ignore() -> None:
    """Be counted among the requests that are held, whatever the clock says."""


def key_of(scope: Scope) -> bytes:
    """Return what makes requests the same: their address and their query."""
    return bytes(scope["raw_path"] + b"?" + scope["query_string"])
