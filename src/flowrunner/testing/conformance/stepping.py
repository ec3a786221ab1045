"""Time that passes when somebody waits for it, and lets happen what is due."""

from __future__ import annotations

import asyncio
import math
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

__all__ = ["SteppingClock"]

TURNS: Final = 50
"""Turns that others get on the loop before time passes."""
START: Final = datetime(2025, 1, 1, 12, tzinfo=UTC)


class SteppingClock:
    """A `flowrunner.clock.Clock` that takes no real time."""

    def __init__(self) -> None:
        self._elapsed = 0.0
        self._due: list[tuple[float, Callable[[], object]]] = []

    def now(self) -> datetime:
        """The time of day."""
        return START + timedelta(seconds=self._elapsed)

    def monotonic(self) -> float:
        """Seconds since it was made."""
        return self._elapsed

    def after(self, seconds: float, action: Callable[[], object]) -> None:
        """Have something happen so many seconds from now."""
        self._due.append((self._elapsed + seconds, action))
        self._due.sort(key=lambda due: due[0])

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self._elapsed += seconds
        while self._due and self._due[0][0] <= self._elapsed:
            self._due.pop(0)[1]()

    async def asleep(self, seconds: float) -> None:  # pragma: no cover - nothing here is limited to so many a second
        """As `sleep`."""
        self.sleep(seconds)
        await asyncio.sleep(0)

    def rest(self, seconds: float, news: threading.Event) -> None:  # noqa: ARG002 - as a clock has it
        """Let time pass: in the only thread there is, nobody else brings news."""
        self.sleep(seconds)

    async def arest(self, seconds: float, news: asyncio.Event) -> None:
        """As `rest`; what others can do at once is done first."""
        for _ in range(TURNS):
            await asyncio.sleep(0)
            if news.is_set():
                return
        if seconds == math.inf:
            await news.wait()
        else:
            self.sleep(seconds)

    def chance(self) -> float:
        """Nothing is left to chance."""
        return 0.0
