"""Holding a request open until a job ends."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from flowrunner.simulator.engine import EnginePool, Job


async def wait_for_end(pool: EnginePool, job_id: int, until: datetime | None = None) -> Job:
    """Return the job when it has ended, or as it is at `until`, a moment of the pool's clock.

    Raises:
        KeyError: There is no such job, or no longer.
    """
    rung = asyncio.Event()
    wake = partial(asyncio.get_running_loop().call_soon_threadsafe, rung.set)
    with pool.clock.bell.heard_by(wake):
        while True:
            rung.clear()
            job = pool.job(job_id)
            if job.state.is_final or (until is not None and pool.clock.now() >= until):
                return job
            await _rest(rung, pool, until)


async def _rest(rung: asyncio.Event, pool: EnginePool, until: datetime | None) -> None:
    """Sleep until the bell rings or something may have changed by itself."""
    moments = [moment for moment in (until, pool.next_change()) if moment is not None]
    seconds = pool.clock.real_seconds(min(moments)) if moments else None
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await rung.wait()
