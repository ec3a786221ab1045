"""Waiting for a moment of a clock, or for a job to come to a point, while a request is held open."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from flowrunner.simulator.clock import Clock
    from flowrunner.simulator.engine import EnginePool, Job


def _has_ended(job: Job) -> bool:
    return job.state.is_final


def _at_no_moment(_: Job) -> None:
    """Say that a job shows no more changes than its pool knows of."""


async def wait_for_end(pool: EnginePool, job_id: int, until: datetime | None = None) -> Job:
    """Return the job when it has ended, or as it is at `until`, a moment of the pool's clock.

    Raises:
        KeyError: There is no such job, or no longer.
    """
    return await wait_for(pool, job_id, _has_ended, until)


async def wait_for(
    pool: EnginePool,
    job_id: int,
    is_there: Callable[[Job], bool],
    until: datetime | None = None,
    next_sight: Callable[[Job], datetime | None] = _at_no_moment,
) -> Job:
    """Return the job when it is where it is waited for, or as it is at `until`, a moment of the pool's clock.

    Args:
        pool: Its engines.
        job_id: The job.
        is_there: Whether it is.
        until: When to give up; None is never.
        next_sight: When to look at it again although the pool knows of no change.

    Raises:
        KeyError: There is no such job, or no longer.
    """
    rung = asyncio.Event()
    wake = partial(asyncio.get_running_loop().call_soon_threadsafe, rung.set)
    with pool.clock.bell.heard_by(wake):
        while True:
            rung.clear()
            job = pool.job(job_id)
            if is_there(job) or (until is not None and pool.clock.now() >= until):
                return job
            await _rest(rung, pool.clock, [until, pool.next_change(job), next_sight(job)])


async def sleep_until(clock: Clock, until: datetime | None) -> None:
    """Wait for a moment of a clock; None never comes."""
    rung = asyncio.Event()
    with clock.bell.heard_by(partial(asyncio.get_running_loop().call_soon_threadsafe, rung.set)):
        while until is None or clock.now() < until:
            rung.clear()
            await _rest(rung, clock, [until])


async def _rest(rung: asyncio.Event, clock: Clock, moments: list[datetime | None]) -> None:
    """Sleep until the bell rings or the first of the moments has come."""
    first = min((moment for moment in moments if moment is not None), default=None)
    seconds = None if first is None else clock.real_seconds(first)
    with clock.held(first), suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await rung.wait()
