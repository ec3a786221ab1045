"""The body of a request on its way to the vendor's app."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import Message, Receive

KEPT = 1 << 20
"""How many bytes of a body are held in memory, and kept in its record; the rest is passed on as it comes."""


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

    async def copy(self) -> Receive:
        """Read all of it and return a second way to receive it, for a request that is to act twice."""
        while self._more:
            self._ahead.append(await self._next())
        again = Body(self._receive)
        again._ahead, again._more = [*self._ahead], False
        return again.receive

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
