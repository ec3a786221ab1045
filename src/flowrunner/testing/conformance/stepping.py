"""Time that passes when somebody waits for it, and lets happen what is due."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["SteppingClock"]

START: Final = datetime(2025, 1, 1, 12, tzinfo=UTC)
LONGEST: Final = 100_000.0
"""Seconds after which nothing that a test waits for can still come."""


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
        """Let time pass.

        Raises:
            TimeoutError: so much of it that what is waited for will not come.
        """
        self._elapsed += seconds
        if self._elapsed > LONGEST:
            raise TimeoutError(f"after {LONGEST:g} s it still waits for what will not come")
        while self._due and self._due[0][0] <= self._elapsed:
            self._due.pop(0)[1]()

    async def asleep(self, seconds: float) -> None:
        """As `sleep`."""
        self.sleep(seconds)
        await asyncio.sleep(0)
