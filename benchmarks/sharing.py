"""What a thousand tasks that share a client do to the event loop they live on, as the tasks of a triggerer do.

`python benchmarks/sharing.py [TASKS]` prints how late the loop was at worst, in three phases: while all tasks enter at
once, while their runs are followed, and while all runs end at once; and what the vendor was asked meanwhile. The
vendor is a simulator in a process of its own.
"""

from __future__ import annotations

import asyncio
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

from filled import Filled
from lateness import Lateness

import flowrunner
from flowrunner import RunRef

if TYPE_CHECKING:
    from collections.abc import Iterable

FOLLOWED = 20.0
"""Seconds for which the runs go on."""


async def follow(server: Filled, entered: asyncio.Semaphore, run_id: str) -> None:
    """What a trigger does."""
    async with flowrunner.share_async(**server.settings, poll_max=2.0) as client:
        run = client.attach(RunRef(client.name, client.backend, server.flow, run_id))
        entered.release()
        await run.wait()


async def measure(server: Filled, ids: Iterable[str]) -> None:
    """Print the three phases."""
    lateness, entered = Lateness(), asyncio.Semaphore(0)
    watching = asyncio.create_task(lateness.watch())
    await asyncio.sleep(0.5)
    lateness.taken()
    server.requests()
    tasks = [asyncio.create_task(follow(server, entered, each)) for each in ids]
    for _ in tasks:
        await entered.acquire()
    show("all enter at once", lateness, server)
    await asyncio.sleep(FOLLOWED / 2)
    show(f"followed for {FOLLOWED / 2:g} s", lateness, server)
    await asyncio.gather(*tasks)
    show("until all have ended", lateness, server)
    watching.cancel()
    with suppress(asyncio.CancelledError):
        await watching


def show(phase: str, lateness: Lateness, server: Filled) -> None:
    """Print what a phase came to."""
    requests, _ = server.requests()
    print(f"{phase:<22} {lateness.taken()}, {requests} requests", flush=True)


def main() -> None:
    """Measure."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    with Filled("fme-flow-v4") as server:
        asyncio.run(measure(server, server.fill(count, FOLLOWED)))


if __name__ == "__main__":
    main()
