"""When to look at a run again, and when to give up. Pure: time comes in as an argument."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from flowrunner.errors import (
    ClientClosed,
    ConfigError,
    InvalidRequest,
    JournalError,
    RunNotFound,
    UnsupportedOperation,
)
from flowrunner.retries import TABLE, Action, RequestKind, failure_in

if TYPE_CHECKING:
    from flowrunner.backend import Settings
    from flowrunner.errors import FlowrunnerError

__all__ = ["Contact", "Trust", "ends_following", "pause_after"]

SHARE_OF_AGE: Final = 0.1
"""A run that is as old as ten of these is looked at again after one: seen late by a tenth of its length, at most."""
JITTER: Final = 0.1
"""So much of a pause is left to chance."""

NO_FAILED_LOOK: Final = (
    ClientClosed,
    ConfigError,
    InvalidRequest,
    JournalError,
    RunNotFound,
    UnsupportedOperation,
)
"""What is not about a request that failed: an answer about the run, or our own mistake."""


def pause_after(age: float, settings: Settings, chance: float = 0.0) -> float:
    """Seconds until the next look at a run of this age (in seconds).

    Args:
        age: in seconds.
        settings: `poll_min` and `poll_max`.
        chance: from 0 to 1: shortens the pause by up to a tenth, so that what began together does not stay so.
    """
    pause = min(max(SHARE_OF_AGE * age, settings.poll_min), settings.poll_max)
    return max(pause * (1.0 - JITTER * chance), min(pause, settings.poll_min))


def ends_following(error: FlowrunnerError) -> bool:
    """Whether a failed look is one that looking again cannot mend."""
    failure = failure_in(error)
    if failure is None or isinstance(error, RunNotFound):
        return isinstance(error, NO_FAILED_LOOK)
    return TABLE[RequestKind.LOOK, failure].action is not Action.LATER


class Contact:
    """How long the vendor has not been heard of, while a run is followed.

    Args:
        budget: seconds from the first failed look on that are borne without a readable answer.
    """

    def __init__(self, budget: float) -> None:
        self._budget = budget
        self._since = 0.0
        self._last = 0.0
        self.failures = 0

    def succeeded(self) -> bool:
        """Note a readable answer; whether it ends a time without."""
        was_lost, self.failures = self.failures > 0, 0
        return was_lost

    def failed(self, now: float) -> bool:
        """Note a failed look, in monotonic seconds; whether the budget is used up."""
        if not self.failures:
            self._since = now
        self._last = now
        self.failures += 1
        return self.is_lost(now, self._since)

    def is_lost(self, now: float, joined: float) -> bool:
        """Whether the budget is used up for somebody who waits since a moment; both in monotonic seconds."""
        return now - max(self._since, joined) >= self._budget

    def pause(self, settings: Settings, retry_after: float | None) -> float:
        """Seconds until the next try: longer with each failure, and never sooner than the vendor wants.

        One is when the budget is used up, so that whoever has waited since the first failure hears of it then.
        """
        backoff = settings.poll_min * 2.0 ** min(self.failures - 1, 16)
        pause = min(backoff, settings.poll_max)
        left = self._budget - (self._last - self._since)  # as in `is_lost`: a sum would be rounded otherwise
        if left > 0:
            pause = min(pause, max(left, settings.poll_min))
        return max(pause, retry_after or 0.0)


class Trust:
    """Whether it makes sense to ask for something that a vendor may not do: to hold requests, to list runs.

    Some do not hold, and some proxies cut what is held; some list a user nothing.

    All instants are monotonic seconds.
    """

    IN_VAIN: Final = 2
    """Asked in vain so often in a row, it is not asked ..."""
    DOUBT: Final = 600.0
    """... for so many seconds: it may only have been restarted."""

    def __init__(self) -> None:
        self._in_vain = 0
        self._doubted_at = 0.0

    def holds(self, now: float) -> bool:
        """Whether to ask it."""
        return self._in_vain < self.IN_VAIN or now - self._doubted_at >= self.DOUBT

    def judge(self, hold: float, elapsed: float, now: float, *, ended: bool) -> bool:
        """Note how a held request went; whether it was held, so that asking again at once is polite."""
        if ended or elapsed >= hold / 2:
            self.succeeded()
            return True
        self.failed(now)
        return False

    def failed(self, now: float) -> None:
        """Note that it was asked in vain."""
        self._in_vain += 1
        self._doubted_at = now

    def lost(self, now: float) -> None:
        """Note that it is of no use to ask at once again."""
        self._in_vain = self.IN_VAIN
        self._doubted_at = now

    def succeeded(self) -> None:
        """Note that it was not in vain."""
        self._in_vain = 0
