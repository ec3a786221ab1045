"""How fast the requests of a connection may follow each other."""

from __future__ import annotations

import threading

__all__ = ["Gate"]


class Gate:
    """Lets requests of a connection pass one by one: not faster than configured, and not before the vendor wants."""

    def __init__(self, per_second: float | None) -> None:
        self._interval = 1.0 / per_second if per_second else 0.0
        self._opens = float("-inf")
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

    def copy(self) -> Gate:
        """One that stands as this does, with a lock of its own."""
        gate = Gate(None)
        gate._interval, gate._opens = self._interval, self._opens
        return gate

    def hold(self, now: float, seconds: float) -> None:
        """Let nothing pass for so many seconds."""
        with self._lock:
            self._opens = max(self._opens, now + seconds)
