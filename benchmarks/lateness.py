"""How late an event loop is; for the other benchmarks."""

from __future__ import annotations

import asyncio
import gc
import time

EVERY = 0.005
"""Seconds between two looks at how late the loop is."""


class Lateness:
    """How late a loop is at worst, in seconds; `taken` says it and begins anew."""

    def __init__(self) -> None:
        self._worst = self._collecting = self._began = 0.0
        self._cpu = time.process_time()
        gc.callbacks.append(self._collected)

    def _collected(self, phase: str, _: dict[str, int]) -> None:
        if phase == "start":
            self._began = time.perf_counter()
        else:
            self._collecting = max(self._collecting, time.perf_counter() - self._began)

    async def watch(self) -> None:
        """Look, until cancelled."""
        while True:
            due = time.perf_counter() + EVERY
            await asyncio.sleep(EVERY)
            self._worst = max(self._worst, time.perf_counter() - due)

    def taken(self) -> tuple[float, float, float]:
        """The worst since the last time, the longest that Python's garbage collector took in one go, and the CPU."""
        cpu, worst, collecting = time.process_time(), self._worst, self._collecting
        spent, self._cpu, self._worst, self._collecting = cpu - self._cpu, cpu, 0.0, 0.0
        return worst, collecting, spent
