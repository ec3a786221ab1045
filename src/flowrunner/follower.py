"""The threads that wait for runs follow them: what is to be done, and when, they are told by the schedule."""

from __future__ import annotations

import math
import os
import threading
from typing import TYPE_CHECKING, Final

from flowrunner.errors import InvalidRequest

if TYPE_CHECKING:
    from collections.abc import Callable

    from flowrunner.clock import Clock
    from flowrunner.follow import Crowd, Job
    from flowrunner.operations.following import Following
    from flowrunner.operations.steps import Operation

__all__ = ["Follower"]

FORKED: Final = "the process was forked while a run was waited for: in the child process, wait for it again"


class Follower:
    """Has the threads that wait for runs follow them, all for each other: there is no other thread.

    One of those that rest leads: it wakes when something is to be done. Whoever takes a job leaves leading to another.

    Args:
        following: says what is to be done.
        perform: does it.
        clock: time.
    """

    def __init__(self, following: Following, perform: Callable[[Operation[None]], None], clock: Clock) -> None:
        self._following = following
        self._perform = perform
        self._clock = clock
        self._schedule = following.schedule
        self._schedule.holders = lambda: self._crowds
        self._schedule.changed = self._changed
        self._begin()

    def _begin(self) -> None:
        self._pid = os.getpid()
        self._lock = self._schedule.lock
        self._crowds = 0
        self._jobs: dict[Crowd, Job] = {}
        self._working: set[int] = set()
        self._resting: dict[Crowd, threading.Event] = {}
        self._leader: Crowd | None = None
        self._wakes_at = math.inf

    def attend(self, crowd: Crowd) -> None:
        """Take part in following runs until one of these waits is over.

        Raises:
            InvalidRequest: this thread looks at a run just now, and what it waits for may be that look.
        """
        if threading.get_ident() in self._working:
            raise InvalidRequest("on_event is called while runs are looked at and must not wait for one: hand it on")
        news = threading.Event()
        crowd.wake = news.set
        with self._lock:
            self._crowds += 1
        try:
            while not crowd.ready:
                self._work_or_rest(crowd, news)
        finally:  # an interrupt may have come at any time
            with self._lock:
                self._crowds -= 1
                self._get_up(crowd)
                self._done(crowd)
                self._changed()

    def _work_or_rest(self, crowd: Crowd, news: threading.Event) -> None:
        with self._lock:
            news.clear()
            job, seconds = self._following.next_job(crowd)
            if job is not None:
                self._jobs[crowd] = job
            elif not crowd.ready:
                seconds = self._lie_down(crowd, news, seconds)
        if job is not None:
            self._do(crowd, job)
        elif not crowd.ready:
            try:
                self._clock.rest(seconds, news)
            finally:
                with self._lock:
                    self._get_up(crowd)

    def _lie_down(self, crowd: Crowd, news: threading.Event, seconds: float) -> float:
        """The seconds for which a thread rests: the leader, until something is to be done."""
        patience = self._following.patience(crowd)
        self._resting[crowd] = news
        if self._leader is not None:
            return patience
        self._leader, self._wakes_at = crowd, self._clock.monotonic() + seconds
        return min(seconds, patience)

    def _get_up(self, crowd: Crowd) -> None:
        self._resting.pop(crowd, None)
        if self._leader is crowd:
            self._leader, self._wakes_at = None, math.inf

    def _do(self, crowd: Crowd, job: Job) -> None:
        if not crowd.ready:  # asking what is to be done may show that the time is up
            self._perform_for_all(job)
        with self._lock:
            self._done(crowd)

    def _perform_for_all(self, job: Job) -> None:
        with self._lock:
            self._changed()
        self._working.add(threading.get_ident())
        try:
            self._perform(self._following.perform(job))
        except Exception as error:  # noqa: BLE001 - it is told to whoever waits for that run
            self._following.broke(job, error)
        finally:
            self._working.discard(threading.get_ident())

    def _done(self, crowd: Crowd) -> None:
        job = self._jobs.pop(crowd, None)
        if job is not None:
            self._following.done(job)

    def _changed(self) -> None:
        """See to it that somebody wakes in time."""
        if not self._resting:
            return
        if self._leader is None:
            next(iter(self._resting.values())).set()
        elif self._clock.monotonic() + self._schedule.rest(self._clock.monotonic()) < self._wakes_at:
            self._resting[self._leader].set()

    def forked(self) -> None:
        """Begin anew in a child process: the threads that waited are not in it."""
        if self._pid != os.getpid():
            self._schedule.begin_anew(InvalidRequest(FORKED))
            self._begin()
