"""Time for the test of an application: it moves when everybody waits, and that takes no time.

Who acts is known from what comes by here: a request under way is somebody who acts, unless a simulator holds it open; a
pause, and a held request, is somebody who waits for a moment. When nobody acts, the first of these moments has come.
"""

from __future__ import annotations

import asyncio
import math
import threading
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import pytest
from attrs import field, frozen

from flowrunner.simulator.clock import Bell

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from contextlib import AbstractContextManager

__all__ = ["VirtualClock"]

GRACE: Final = 0.001
"""Real seconds without news after which nobody acts: what is done between a request and a pause is not seen here."""
OURS: Final = ("flowrunner clock", "flowrunner simulator")
"""Threads that come up with nothing by themselves."""
PATIENCE: Final = timedelta(days=2)
"""How far time moves by itself: what has not come by then never comes. Each day costs thousands of requests."""


@frozen(eq=False)
class _Wait:
    """Somebody who is known to the clock.

    Attributes:
        until: the moment that is waited for; None if it is none that comes by itself.
        wake: called when the moment has come, in the thread that moves the time.
        acts: 1 for who acts until then, -1 for who says that one of those does not, else 0.
        thread: the one that does nothing else meanwhile; None for a task, whose thread may run others.
    """

    until: datetime | None
    wake: Callable[[], Any]
    acts: int = 0
    thread: int | None = field(factory=lambda: None if _runs_a_loop() else threading.get_ident())


class VirtualClock:
    """The time of simulators and clients: it stands still until a test moves it, or until somebody waits.

    A client's pause, and a request that a simulator holds open, take no real time: as soon as nobody does anything
    else, the first moment that is waited for has come. Safe to share between threads and event loops.

    It begins at 2025-01-01 12:00 UTC.
    """

    def __init__(self) -> None:
        self.bell = Bell()
        self._start = self._now = datetime(2025, 1, 1, 12, tzinfo=UTC)
        self._last = self._now + PATIENCE
        self._waits: set[_Wait] = set()
        self._news = 0
        self._closed = False
        self._changed = threading.Condition()
        self._mover = threading.Thread(target=self._run, name="flowrunner clock", daemon=True)
        self._mover.start()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} at {self._now:%Y-%m-%d %H:%M:%S.%f}>"

    def now(self) -> datetime:
        """The time of day, in UTC."""
        return self._now

    def monotonic(self) -> float:
        """Seconds since the beginning."""
        return (self._now - self._start).total_seconds()

    def advance(self, by: float | timedelta) -> None:
        """Move the time forward, and wake whoever waits for a moment that has come.

        Args:
            by: seconds, or a timedelta.
        """
        step = by if isinstance(by, timedelta) else timedelta(seconds=by)
        if step < timedelta():
            raise ValueError(f"time does not go back: {by} is less than 0")
        with self._changed:
            self._last += step
            self._move(self._now + step)
            self._tell()

    def sleep(self, seconds: float) -> None:
        """Wait, as a client does before a request that must not be sent yet."""
        self.rest(seconds, threading.Event())

    async def asleep(self, seconds: float) -> None:
        """As `sleep`."""
        await self.arest(seconds, asyncio.Event())

    def rest(self, seconds: float, news: threading.Event) -> None:
        """Wait, as a client does between two looks at its runs, or until there is news."""
        with self._known(_Wait(self._moment(seconds), news.set)):
            news.wait()
        self._check()

    async def arest(self, seconds: float, news: asyncio.Event) -> None:
        """As `rest`."""
        wake = partial(asyncio.get_running_loop().call_soon_threadsafe, news.set)
        with self._known(_Wait(self._moment(seconds), wake)):
            await news.wait()
        self._check()

    def chance(self) -> float:
        """Nothing is left to chance."""
        return 0.0

    def asking(self, at_most: float = math.inf, leave: Callable[[], Any] = bool) -> AbstractContextManager[None]:
        """Have a request under way: time stands still, unless the request is held open.

        Args:
            at_most: seconds after which it is given up.
            leave: gives it up.
        """
        return self._known(_Wait(self._moment(at_most), leave, acts=1))

    def held(self, until: datetime | None) -> AbstractContextManager[None]:
        """Have a simulator hold a request open until a moment, or until the bell rings; None is that alone."""
        comes = until is not None and until > self._now
        return self._known(_Wait(until if comes else None, bool, acts=-1))

    def real_seconds(self, moment: datetime) -> None:
        """For simulators: no moment comes while nobody waits for it."""

    def close(self) -> None:
        """Stop moving; whoever still waits is told with an error."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
            self._wake(self._waits)
        self._mover.join()

    def _moment(self, seconds: float) -> datetime | None:
        """The moment after so many seconds, not sooner: a clock that stood still for a wait would never end it."""
        self._check()
        return None if seconds == math.inf else self._now + timedelta(microseconds=math.ceil(seconds * 1e6))

    def _check(self) -> None:
        if self._closed:
            raise RuntimeError("the test that this client was made in has ended, and with it its flowrunner_clock")
        if self._now > self._last:
            pytest.fail(
                f"flowrunner_clock moved by itself for {PATIENCE.days} days: what is waited for does not come. "
                "Does the run have an end, and the wait a timeout? If it takes that long, advance() the clock meanwhile"
            )

    @contextmanager
    def _known(self, wait: _Wait) -> Iterator[None]:
        with self._changed:
            self._waits.add(wait)
            if self._closed:
                self._wake([wait])
            self._tell()
        try:
            yield
        finally:
            with self._changed:
                self._waits.discard(wait)
                self._tell()

    def _tell(self) -> None:
        """Let the mover think anew."""
        self._news += 1
        self._changed.notify_all()

    def _run(self) -> None:
        with self._changed:
            while not self._closed:
                seen, moment = self._news, self._next()
                self._changed.wait(None if moment is None else self._grace())
                if moment is not None and self._news == seen and not self._closed:
                    self._move(moment)

    def _next(self) -> datetime | None:
        """The first moment that is waited for, if nobody acts."""
        if sum(wait.acts for wait in self._waits) > 0:
            return None
        first = min((wait.until for wait in self._waits if wait.until is not None), default=None)
        # Whoever waits for a moment that has come is just waking up.
        return None if first is None or first <= self._now else first

    def _grace(self) -> float:
        """Real seconds in which news may still come: none where every thread there is waits here."""
        waiting = {wait.thread for wait in self._waits}
        others = (each for each in threading.enumerate() if not each.name.startswith(OURS))
        return 0.0 if all(each.ident in waiting for each in others) else GRACE

    def _move(self, to: datetime) -> None:
        self._now = to
        self._wake([wait for wait in self._waits if wait.until is not None and wait.until <= to])
        self.bell.ring()

    def _wake(self, waits: Iterable[_Wait]) -> None:
        for wait in tuple(waits):
            try:
                wait.wake()
            except RuntimeError:  # its event loop was closed over it: nobody is there any more
                self._waits.discard(wait)


def _runs_a_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
