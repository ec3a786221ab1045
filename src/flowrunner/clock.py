"""Time, as a thing that is passed in: tests bring a clock of their own and never wait."""

from __future__ import annotations

import math
import random
import threading
import time
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import asyncio

__all__ = ["Clock", "SystemClock"]


class Clock(Protocol):
    """What the library asks about time."""

    def now(self) -> datetime:
        """The time of day, in UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds since some fixed instant; never goes back."""
        ...

    def sleep(self, seconds: float) -> None:
        """Block this thread."""
        ...

    async def asleep(self, seconds: float) -> None:
        """Suspend this task."""
        ...

    def rest(self, seconds: float, news: threading.Event) -> None:
        """Block this thread until there is news, or for so many seconds; these may be without end."""
        ...

    async def arest(self, seconds: float, news: asyncio.Event) -> None:
        """As `rest`, of this task."""
        ...

    def chance(self) -> float:
        """A number from 0 to 1, another one each time, by which what would happen at once is spread."""
        ...


class SystemClock:
    """The machine's own time."""

    def now(self) -> datetime:
        """The time of day, in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Seconds since some fixed instant; never goes back."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Block this thread."""
        time.sleep(seconds)

    async def asleep(self, seconds: float) -> None:
        """Suspend this task."""
        import asyncio

        await asyncio.sleep(seconds)

    def rest(self, seconds: float, news: threading.Event) -> None:
        """Block this thread until there is news, or for so many seconds; these may be without end."""
        news.wait(None if seconds == math.inf else min(seconds, threading.TIMEOUT_MAX))

    async def arest(self, seconds: float, news: asyncio.Event) -> None:
        """As `rest`, of this task."""
        import asyncio

        with suppress(TimeoutError):
            async with asyncio.timeout(None if seconds == math.inf else seconds):
                await news.wait()

    def chance(self) -> float:
        """A number from 0 to 1, another one each time, by which what would happen at once is spread."""
        return random.random()  # noqa: S311 - nobody has to be unable to guess it
