"""Time as the simulator sees it: real, faster than real, or set by a test."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager


def later(moment: datetime | None, seconds: float | None) -> datetime | None:
    """Return `moment` plus `seconds`; None when that never comes."""
    if moment is None or seconds is None:
        return None
    try:
        return moment + timedelta(seconds=seconds)
    except OverflowError:
        return None


class Bell:
    """Tells whoever waits that time was moved or that work changed: look again.

    Callbacks run in the thread that rings, under a lock: they only pass the message on.
    """

    def __init__(self) -> None:
        self._callbacks: list[Callable[[], object]] = []
        self._changed = threading.Condition()

    def ring(self) -> None:
        """Call everybody who listens."""
        with self._changed:
            for callback in self._callbacks:
                callback()

    @contextmanager
    def heard_by(self, callback: Callable[[], object]) -> Iterator[None]:
        """Call `callback` at every ring inside the `with` block."""
        self._edit(self._callbacks.append, callback)
        try:
            yield
        finally:
            self._edit(self._callbacks.remove, callback)

    def wait_for_listeners(self, count: int, timeout: float) -> bool:
        """Block until `count` listen, at most `timeout` real seconds; true if they do."""
        with self._changed:
            return self._changed.wait_for(lambda: len(self._callbacks) >= count, timeout)

    def _edit(self, change: Callable[[Callable[[], object]], None], callback: Callable[[], object]) -> None:
        with self._changed:
            change(callback)
            self._changed.notify_all()


class Clock(Protocol):
    """What the simulator asks of a clock."""

    @property
    def bell(self) -> Bell:
        """Rung when waiting for a moment of this clock should look again."""
        ...

    def now(self) -> datetime:
        """Return the time, aware, in UTC."""
        ...

    def real_seconds(self, moment: datetime) -> float | None:
        """Real seconds until `moment`, at least 0; None if it does not come by itself."""
        ...

    def held(self, until: datetime | None) -> AbstractContextManager[object]:
        """Be told that a request is held open until a moment, or until the bell rings; None is that alone."""
        ...


class RealClock:
    """A clock that runs by itself.

    Args:
        speed: Seconds of this clock per real second.
    """

    def __init__(self, speed: float = 1.0) -> None:
        if speed <= 0:
            raise ValueError(f"A clock runs forward: speed must be above 0, not {speed}")
        self.bell = Bell()
        self._speed = speed
        self._origin = datetime.now(UTC)
        self._started = time.monotonic()

    def now(self) -> datetime:
        """Return the time, aware, in UTC."""
        return self._origin + timedelta(seconds=(time.monotonic() - self._started) * self._speed)

    def real_seconds(self, moment: datetime) -> float:
        """Real seconds until `moment`, at least 0."""
        return max(0.0, (moment - self.now()).total_seconds() / self._speed)

    def held(self, until: datetime | None) -> AbstractContextManager[object]:  # noqa: ARG002 - the moment comes anyhow
        """Take no note: it runs by itself."""
        return nullcontext()


class ManualClock:
    """A clock that stands still until a test moves it.

    Args:
        start: The first moment; 2025-01-01 12:00 UTC by default.
    """

    def __init__(self, start: datetime = datetime(2025, 1, 1, 12, tzinfo=UTC)) -> None:
        self.bell = Bell()
        self._now = start.astimezone(UTC)
        self._lock = threading.Lock()

    def now(self) -> datetime:
        """Return the time, aware, in UTC."""
        return self._now

    def advance(self, seconds: float) -> None:
        """Move the time forward and wake whoever waits for it."""
        if seconds < 0:
            raise ValueError(f"Time does not go back: seconds must be 0 or more, not {seconds}")
        with self._lock:
            self._now += timedelta(seconds=seconds)
        self.bell.ring()

    def real_seconds(self, moment: datetime) -> None:
        """No moment comes by itself: return None."""

    def held(self, until: datetime | None) -> AbstractContextManager[object]:  # noqa: ARG002 - a test decides when it comes
        """Take no note: it stands whoever waits."""
        return nullcontext()
