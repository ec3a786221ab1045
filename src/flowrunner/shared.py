"""Who shares which client in an event loop, and when that is closed."""

from __future__ import annotations

import asyncio
import math
from contextlib import contextmanager, suppress
from contextvars import Context
from typing import TYPE_CHECKING, Final
from weakref import WeakKeyDictionary, WeakSet

from attrs import frozen

from flowrunner.client import AsyncClient
from flowrunner.connecting import opens
from flowrunner.errors import InvalidRequest
from flowrunner.models import seconds

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator
    from datetime import timedelta

    from flowrunner.config import Connection

__all__ = ["LentClient", "Target", "use"]

_loops: Final[WeakKeyDictionary[asyncio.AbstractEventLoop, WeakSet[_Shared]]] = WeakKeyDictionary()
"""The clients of each loop. A client knows its loop, and to hold it here would be to hold the loop for ever. Its users
do; when there are none its keeper does, whose timer the loop holds."""


@frozen
class Target:
    """What is shared: alike are those with the same settings, credentials among them, and the same journal."""

    connection: Connection
    journal: os.PathLike[str] | None


@contextmanager
def use(target: Target, idle: float | timedelta) -> Iterator[AsyncClient]:
    """The client of the running loop, for as long as it is used.

    Raises:
        InvalidRequest: `idle` is no duration.
    """
    kept = seconds(idle)
    if kept == math.inf:
        raise InvalidRequest(
            "idle is the seconds for which nobody uses the client until it is closed: they have an end"
        )
    shared = _shared(target)
    shared.enter()
    try:
        yield shared.client
    finally:
        shared.leave(kept)


def _shared(target: Target) -> _Shared:
    here = _loops.setdefault(asyncio.get_running_loop(), WeakSet())
    known = next((each for each in here if each.target == target), None)
    if known is None:
        known = _Shared(target, here)
        here.add(known)
    return known


class LentClient(AsyncClient):
    """A client that nobody closes for the others."""

    async def close(self) -> None:
        """Nothing: it is closed when nobody uses it any more."""

    async def end(self) -> None:
        """Close it."""
        await super().close()


class _Shared:
    """A client, and how many use it."""

    def __init__(self, target: Target, others: WeakSet[_Shared]) -> None:
        self.target = target
        self.client = LentClient(target.connection, journal=opens(target.journal))
        self._clock = self.client._clock  # noqa: SLF001 - that of the client, which tests exchange
        self._others = others
        self._users = 0
        self._kept_until = math.inf
        self._news = asyncio.Event()
        # What whoever comes first has in its context concerns nobody else.
        self._keeper = asyncio.create_task(self._keep(), name="flowrunner keeps a client", context=Context())

    def enter(self) -> None:
        """Somebody uses it."""
        self._users += 1
        self._kept_until = math.inf
        self._news.set()

    def leave(self, idle: float) -> None:
        """Somebody does so no more; without others it is closed in so many seconds."""
        self._users -= 1
        if not self._users:
            self._kept_until = self._clock.monotonic() + idle
            self._news.set()

    async def _keep(self) -> None:
        """Close it when nobody has come for long enough, or when the loop is shut down, which cancels this."""
        try:
            with suppress(asyncio.CancelledError):
                while (rest := self._kept_until - self._clock.monotonic()) > 0:
                    self._news.clear()
                    await self._clock.arest(rest, self._news)
        finally:
            self._others.discard(self)
        await self.client.end()
