"""A task of the event loop follows runs, for as long as somebody waits for one."""

from __future__ import annotations

import asyncio
from contextvars import Context
from functools import partial
from typing import TYPE_CHECKING, Any

from flowrunner.errors import ClientClosed
from flowrunner.follow import Look
from flowrunner.operations.following import CLOSED

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from flowrunner.clock import Clock
    from flowrunner.follow import Crowd, Followed, Job, Wait
    from flowrunner.operations.following import Following
    from flowrunner.operations.steps import Operation

__all__ = ["AsyncFollower", "Rest"]


class Rest(asyncio.Future[None]):
    """To await until a wait is over: the smallest thing that a task can rest on, since there may be ten thousand."""

    __slots__ = ()
    every_change = is_patient = False

    def tell(self, _: Wait) -> None:
        """It is over."""
        if not self.done():
            self.set_result(None)


class AsyncFollower:
    """Has a task of the event loop follow runs, for as long as somebody waits for one.

    Args:
        following: says what is to be done.
        perform: does it.
        clock: time.
    """

    def __init__(
        self, following: Following, perform: Callable[[Operation[None]], Awaitable[None]], clock: Clock
    ) -> None:
        self._following = following
        self._perform = perform
        self._clock = clock
        self._task: asyncio.Task[None] | None = None
        self._jobs: dict[Job, asyncio.Task[None]] = {}
        following.schedule.abandoned = self._abandon

    async def attend(self, crowd: Crowd) -> None:
        """Have runs followed until one of these waits is over."""
        self.start()
        while not crowd.ready:
            news = asyncio.Event()
            crowd.wake = news.set
            await news.wait()

    @staticmethod
    def told() -> Rest:
        """Something to await, to be told when a wait is over."""
        return Rest()

    def start(self) -> None:
        """See to it that runs are followed, now that somebody waits."""
        if self._task is None or self._task.done():
            news = asyncio.Event()
            self._following.schedule.changed = news.set
            # What whoever waits first has in its context concerns nobody else.
            self._task = asyncio.create_task(self._follow(news), name="flowrunner follows", context=Context())

    def _abandon(self, followed: Followed) -> None:
        """Give up looks that are for nobody."""
        for job, task in self._jobs.items():
            if isinstance(job, Look) and job.followed is followed and task is not _current_task():
                task.cancel()

    async def _follow(self, news: asyncio.Event) -> None:
        try:
            while self._jobs or len(self._following.schedule):
                news.clear()
                job, seconds = self._following.next_job()
                if job is not None:
                    self._begin(job, news)
                else:
                    await self._clock.arest(seconds, news)
        except BaseException as error:
            # Whoever waits has to know that nobody follows any more.
            reason = ClientClosed(CLOSED) if isinstance(error, asyncio.CancelledError) else error
            self._following.close(reason)
            if reason is not error:
                raise

    def _begin(self, job: Job, news: asyncio.Event) -> None:
        task = asyncio.create_task(self._do(job), name="flowrunner looks")
        self._jobs[job] = task
        task.add_done_callback(partial(self._done, job, news))

    def _done(self, job: Job, news: asyncio.Event, _: asyncio.Task[None]) -> None:
        del self._jobs[job]
        self._following.done(job)
        news.set()

    async def _do(self, job: Job) -> None:
        try:
            await self._perform(self._following.perform(job))
        except Exception as error:  # noqa: BLE001 - it is told to whoever waits for that run
            self._following.broke(job, error)

    def close(self) -> None:
        """Nobody follows any more."""
        self._following.close(ClientClosed(CLOSED))
        for task in self._jobs.values():
            task.cancel()


def _current_task() -> asyncio.Task[Any] | None:
    """The task that runs; none where a wait is cleared away after its loop has ended."""
    try:
        return asyncio.current_task()
    except RuntimeError:
        return None
