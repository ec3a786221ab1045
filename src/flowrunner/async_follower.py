"""A task of the event loop follows runs, for as long as somebody waits for one."""

from __future__ import annotations

import asyncio
from contextvars import Context
from functools import partial
from typing import TYPE_CHECKING

from flowrunner.errors import ClientClosed
from flowrunner.follow import Look
from flowrunner.operations.following import CLOSED

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from flowrunner.clock import Clock
    from flowrunner.follow import Crowd, Followed, Job, Wait
    from flowrunner.operations.following import Following
    from flowrunner.operations.steps import Operation

__all__ = ["AsyncFollower", "Told"]


class Told(asyncio.Future[None]):
    """To await until a wait is over: the smallest thing that a task can rest on, since there may be ten thousand."""

    __slots__ = ()
    every_change = False

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
        self._jobs: dict[Followed | None, asyncio.Task[None]] = {}
        following.schedule.abandoned = self._abandon

    async def attend(self, crowd: Crowd) -> None:
        """Have runs followed until one of these waits is over."""
        self.start()
        while not crowd.ready:
            news = asyncio.Event()
            crowd.wake = news.set
            await news.wait()

    @staticmethod
    def told() -> Told:
        """Something to await, to be told when a wait is over."""
        return Told()

    def start(self) -> None:
        """See to it that runs are followed, now that somebody waits."""
        if self._task is None or self._task.done():
            news = asyncio.Event()
            self._following.schedule.changed = news.set
            # What whoever waits first has in its context concerns nobody else.
            self._task = asyncio.create_task(self._follow(news), name="flowrunner follows", context=Context())

    def _abandon(self, followed: Followed) -> None:
        """Give up a look that is for nobody."""
        task = self._jobs.get(followed)
        if task is not None and task is not asyncio.current_task():
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
        followed = job.followed if isinstance(job, Look) else None
        task = asyncio.create_task(self._do(job), name="flowrunner looks")
        self._jobs[followed] = task
        task.add_done_callback(partial(self._done, job, news))

    def _done(self, job: Job, news: asyncio.Event, task: asyncio.Task[None]) -> None:
        followed = job.followed if isinstance(job, Look) else None
        if self._jobs[followed] is task:  # the next look at the run may have begun already
            del self._jobs[followed]
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
