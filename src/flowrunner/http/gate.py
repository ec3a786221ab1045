"""How fast the requests of a connection may follow each other."""

from __future__ import annotations

import threading
from typing import Final

__all__ = ["Gate"]

MARGIN: Final = 1.05
"""Places are so much further apart than they might be: no two requests take equally long to the vendor."""
ALMOST: Final = 0.99
"""Who comes by so much of the distance after the one before is on time: a clock has no endless digits."""


class Gate:
    """Lets requests of a connection pass one by one: not faster than configured, and not before the vendor wants.

    A request first reserves its place, waits for it, and then passes; whoever was woken late has the next one wait.
    """

    def __init__(self, per_second: float | None) -> None:
        self._interval = MARGIN / per_second if per_second else 0.0
        self._opens = self._passed = self._held = float("-inf")
        self._lock = threading.Lock()

    def reserve(self, now: float, at_most: float) -> float:
        """Take the next place, unless it is due later than in `at_most` seconds; the seconds until it is due."""
        if not self._interval and self._opens <= now:
            return 0.0
        with self._lock:
            due = max(now, self._opens)
            if due - now <= at_most:
                self._opens = due + self._interval
        return due - now

    def wait(self, now: float) -> float:
        """Pass, whose place is due; else the seconds to wait: a hold came, or the one before has only just passed."""
        if not self._interval and self._held <= now:
            return 0.0
        with self._lock:
            left = max(self._passed + self._interval * ALMOST, self._held) - now
            if left <= 0:
                self._passed = now
        return max(left, 0.0)

    def copy(self) -> Gate:
        """One that stands as this does, with a lock of its own."""
        gate = Gate(None)
        gate._interval = self._interval
        gate._opens, gate._passed, gate._held = self._opens, self._passed, self._held
        return gate

    def hold(self, now: float, seconds: float) -> None:
        """Let nothing pass for so many seconds."""
        with self._lock:
            self._held = max(self._held, now + seconds)
            self._opens = max(self._opens, self._held)
