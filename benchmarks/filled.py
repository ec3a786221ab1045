"""A simulator in a process of its own, where many runs are under way; for the other benchmarks.

`Filled(vendor)` starts it, `fill` has runs there, and `requests` and `ends` tell what happened. The process reads
commands, one JSON array a line, and answers with a JSON value a line.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
from typing import TYPE_CHECKING, Any, Self

from flowrunner.simulator import Behaviour, RealClock, Simulator, SmartFlowId, SmartFlowsQuirks

if TYPE_CHECKING:
    from types import TracebackType

FLOWS = {"fme-flow-v3": "Samples/austinDownload.fmw", "fme-flow-v4": "Samples/austinDownload.fmw",
         "smart-flows": SmartFlowId.NO_INPUT}  # fmt: skip


class Filled:
    """The process, from outside.

    Args:
        vendor: as for `Simulator`.

    Attributes:
        flow: what is run there.
        settings: of a connection to it.
    """

    def __init__(self, vendor: str) -> None:
        self.flow = str(FLOWS[vendor])
        command = [sys.executable, __file__, vendor]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.settings: dict[str, Any] = {"backend": vendor, **self._answer()}

    def _answer(self) -> Any:
        assert self._process.stdout is not None
        return json.loads(self._process.stdout.readline())

    def _ask(self, *command: Any) -> Any:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(command) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def fill(self, count: int, shortest: float, longest: float | None = None) -> list[str]:
        """Start so many runs, which last so many seconds, or something between two numbers of them; their ids."""
        return list(self._ask("fill", count, shortest, longest or shortest))

    def script(self, seconds: float) -> None:
        """Have the runs that are submitted last so long."""
        self._ask("script", seconds)

    def requests(self) -> tuple[int, int]:
        """How many requests came since this was asked last, and how many of them asked for the first page of a list."""
        every, first = self._ask("requests")
        return int(every), int(first)

    def ends(self) -> dict[str, float]:
        """When each run ended, as seconds since the epoch."""
        return dict(self._ask("ends"))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.communicate()


class Inside:
    """What the process does.

    Args:
        simulator: serves.
    """

    def __init__(self, simulator: Simulator) -> None:
        self._simulator = simulator
        self._flow = str(FLOWS[simulator.vendor])

    def fill(self, count: int, shortest: float, longest: float) -> list[str]:
        """As `Filled.fill`."""
        pool, chance = self._simulator.pool, random.Random(count)
        known = len(self._simulator.books)
        for _ in range(count):
            self.script(chance.uniform(shortest, longest), times=1)
            pool.submit(self._flow)
        return [each.id for each in self._simulator.books[known:]]

    def script(self, seconds: float, *, times: int | None = None) -> bool:
        """As `Filled.script`."""
        self._simulator.pool.script(self._flow, Behaviour(duration=seconds), times=times)
        return True

    def requests(self) -> tuple[int, int]:
        """As `Filled.requests`."""
        came = tuple(self._simulator.requests)
        self._simulator.requests.clear()
        return len(came), sum(bool({("offset", "0"), ("page", "0")} & set(each.query)) for each in came)

    def ends(self) -> dict[str, float]:
        """As `Filled.ends`."""
        jobs = [(each.id, each.job.finished_at) for each in self._simulator.books]
        return {run_id: finished_at.timestamp() for run_id, finished_at in jobs if finished_at is not None}


def main() -> None:
    """Serve, and do what is asked."""
    # No limit of Smart Flows is documented, and what is asked by hand would run into any.
    quirks = SmartFlowsQuirks(most_per_second=10**6) if sys.argv[1] == "smart-flows" else None
    with Simulator(sys.argv[1], clock=RealClock(), engines=100_000, quirks=quirks) as simulator:
        print(json.dumps(simulator.settings), flush=True)
        inside = Inside(simulator)
        for line in sys.stdin:
            command, *arguments = json.loads(line)
            print(json.dumps(getattr(inside, command)(*arguments)), flush=True)


if __name__ == "__main__":
    main()
