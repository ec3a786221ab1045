"""How late an event loop is; for the other benchmarks."""

from __future__ import annotations

import asyncio
import gc
import time
from dataclasses import dataclass

EVERY = 0.005
"""Seconds between two looks at how late the loop is."""


@dataclass
class Taken:
    """What a loop came to in a while, all in seconds.

    Attributes:
        late: how late it was at worst.
        busy: the most CPU that its thread took from one look to the next, for which no other process is to blame.
        collecting: the longest that Python's garbage collector took in one go.
        cpu: of the whole process.
    """

    late: float = 0.0
    busy: float = 0.0
    collecting: float = 0.0
    cpu: float = 0.0

    def __str__(self) -> str:
        """For people."""
        late, busy, collecting = (f"{each * 1000:5.1f} ms" for each in (self.late, self.busy, self.collecting))
        return (
            f"loop late by {late} at worst, busy for {busy}, garbage collector for {collecting}; CPU {self.cpu:5.2f} s"
        )


class Lateness:
    """How late a loop is; `taken` says it and begins anew."""

    def __init__(self) -> None:
        self._now = Taken()
        self._began, self._cpu = 0.0, time.process_time()
        gc.callbacks.append(self._collected)

    def _collected(self, phase: str, _: dict[str, int]) -> None:
        if phase == "start":
            self._began = time.perf_counter()
        else:
            self._now.collecting = max(self._now.collecting, time.perf_counter() - self._began)

    async def watch(self) -> None:
        """Look, until cancelled."""
        while True:
            due, cpu = time.perf_counter() + EVERY, time.thread_time()
            await asyncio.sleep(EVERY)
            self._now.late = max(self._now.late, time.perf_counter() - due)
            self._now.busy = max(self._now.busy, time.thread_time() - cpu)

    def taken(self) -> Taken:
        """What there was since the last time."""
        taken, self._now, cpu = self._now, Taken(), time.process_time()
        taken.cpu, self._cpu = cpu - self._cpu, cpu
        return taken
