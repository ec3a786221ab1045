"""Which faults a request meets: those that were scripted first, then those that stand."""

from __future__ import annotations

import threading
from collections import Counter
from fnmatch import fnmatchcase
from random import Random
from typing import TYPE_CHECKING

from attrs import define, field, frozen

from flowrunner.simulator.faults import BESIDE, Fault, Faults

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from flowrunner.simulator.clock import Clock
    from flowrunner.simulator.faults import Kind


@frozen
class Asked:
    """What decides which faults a request may meet.

    Attributes:
        method: In upper case.
        path: Decoded.
        purpose: "submissions", "polls", or None for any other.
        spared: The kinds of fault that there is nothing for: no answer that could be stale, no credential to revoke.
    """

    method: str
    path: str
    purpose: str | None = None
    spared: frozenset[Kind] = frozenset()

    def fits(self, fault: Fault) -> bool:
        """Whether a fault is about such requests."""
        return (
            fault.kind not in self.spared
            and fault.method in (None, self.method)
            and fault.requests in ("all", self.purpose)
            and fnmatchcase(self.path, fault.path)
        )


@define(eq=False)
class _Plan:
    """A fault, and how often it was met so far."""

    fault: Fault
    since: datetime
    random: Random = field(factory=Random)
    seen: int = 0
    met: int = 0
    burst: int = 0

    def is_due(self, now: datetime) -> bool:
        """Whether the next request that fits may meet it; draws each time, so that its draws depend on nothing else."""
        fault, seconds = self.fault, (now - self.since).total_seconds()
        self.seen += 1
        drawn = self.random.random() < fault.probability
        is_used_up = fault.times is not None and self.met >= fault.times
        is_time = fault.after <= seconds < fault.until and self.seen > fault.skip
        return is_time and not is_used_up and (drawn or self.burst > 0)

    def meet(self) -> Fault:
        """Count a request that meets it."""
        self.met += 1
        self.burst = (self.burst or self.fault.burst) - 1
        return self.fault


class Plans:
    """What goes wrong from now on, and what did. Safe to share between threads.

    Args:
        clock: The time.
        faults: What stands.

    Attributes:
        clock: The time.
    """

    def __init__(self, clock: Clock, faults: Faults | None = None) -> None:
        self.clock = clock
        self._lock = threading.Lock()
        self._scripted: list[_Plan] = []
        self._done: Counter[str] = Counter()
        self.stand(faults or Faults())

    @property
    def faults(self) -> Faults:
        """What stands."""
        return self._faults

    @property
    def done(self) -> dict[str, int]:
        """How many requests met each kind."""
        with self._lock:
            return dict(self._done)

    def stand(self, faults: Faults) -> None:
        """Let these faults stand instead of those before; what was scripted stays."""
        now = self.clock.now()
        with self._lock:
            self._faults = faults
            self._standing = [
                _Plan(fault, now, Random(f"{faults.seed}/{place}"))  # noqa: S311 - to be repeated, not to be secret
                for place, fault in enumerate(faults.faults)
            ]

    def script(self, fault: Fault) -> None:
        """Let a fault go before those that stand, and after those scripted earlier."""
        with self._lock:
            self._scripted.append(_Plan(fault, self.clock.now()))

    @property
    def remembers(self) -> bool:
        """Whether answers have to be remembered, since one may have to be given again."""
        return any(fault.kind == "stale" for fault in self._faults.faults)

    def take(self, asked: Asked) -> Sequence[Fault]:
        """Return the faults that a request meets: at most one that disturbs it, and all that go beside."""
        now = self.clock.now()
        with self._lock:
            due = [plan for plan in (*self._scripted, *self._standing) if asked.fits(plan.fault) and plan.is_due(now)]
            disturbing = [plan for plan in due if plan.fault.kind not in BESIDE][:1]
            met = [plan.meet() for plan in due if plan.fault.kind in BESIDE or plan in disturbing]
            self._done.update(fault.kind for fault in met)
            return met
