"""Thousands of runs on all four vendors, under faults, by programs that are killed; then the books are compared.

Four simulated servers run in this process, with faults of every kind (`soak_servers.py`). Programs (`soak_worker.py`),
sync and async, submit to them under keys of their own, follow their runs to the end and write down what they are told.
All share one journal. They are killed at random moments and started again on the same journal. In the end there are no
more faults, one program per vendor asks after all that is open, and the servers' own books are compared with the
journal and with what the programs were told (`soak_comparison.py`).

Run `python benchmarks/soak.py --seconds 300 --runs 4000 --seed 1`. It prints a table and exits with 1 if a run was
started twice, an id was lost or an end was wrong. A seed decides which requests meet faults and when programs are
killed, as far as the machine does the rest in the same order.
"""

from __future__ import annotations

import argparse
import json
import logging
import math
import multiprocessing
import sys
import tempfile
import time
from collections import Counter
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Final, Self

from attrs import define, field, frozen
from soak_comparison import Account, Told, compare
from soak_servers import SPEED, Server, faults
from soak_worker import Job, Task, run

from flowrunner.journal import Journal
from flowrunner.simulator import Faults

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from multiprocessing.context import ForkServerContext
    from multiprocessing.process import BaseProcess

VENDORS: Final = ("fme-flow-v3", "fme-flow-v4", "invision", "smart-flows")
SHARED: Final = 8
"""One key in so many is submitted by two programs at once."""
LOOK: Final = 0.02
"""Seconds between two looks at the programs."""
PATIENCE: Final = 60.0
"""Seconds that programs may take to come up, and beside their work to end."""
ROTATE: Final = 1.0
"""Seconds after which the token of one of the servers is replaced."""
PRELOADED: Final = (
    "__main__",
    "stamina",
    *(f"flowrunner.{name}" for name in ("client", "config", "http", "journal")),
    *(f"flowrunner.backends.{name}" for name in ("fme_flow_v3", "fme_flow_v4", "invision", "smart_flows")),
)


def processes() -> ForkServerContext:
    """What starts the programs: a process that has loaded everything once, and forks.

    To load it as often as programs are killed would take most of the time. This process must not be forked: it has
    threads.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(PRELOADED))
    return context


@contextmanager
def quiet() -> Iterator[None]:
    """Have servers that are cut off not say so of each request."""
    logger = logging.getLogger("uvicorn.error")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)


@frozen
class Plan:
    """How much of it.

    Attributes:
        seconds: how long there are faults, at most.
        runs: how many keys, over all vendors.
        seed: what decides where it goes wrong.
        vendors: which.
        life: seconds that a program lives at most, once it has come up, before it is killed.
        kills: how often each is killed at most, before it may come to its end.
    """

    seconds: float
    runs: int
    seed: int
    vendors: tuple[str, ...] = VENDORS
    life: float = 10.0
    kills: float = math.inf


@define(eq=False)
class Program:
    """A program, which is killed and started again.

    Attributes:
        name: which, for people.
        folder: where its files are.
        processes: what starts it.
        process: it, while it lives.
        killed: how often it was.
        dies_at: when it is to be killed next, in monotonic seconds; None until it has come up.
        has_ended: whether it has done all it had to.
        pids: of all processes that it was so far.
    """

    name: str
    folder: Path
    processes: ForkServerContext
    process: BaseProcess | None = None
    killed: int = 0
    dies_at: float | None = None
    has_ended: bool = False
    pids: list[int] = field(factory=list)

    def file(self, kind: str) -> Path:
        """The file of its task, of what it was told, of its sign of life, or of what broke it."""
        return self.folder / f"{self.name}.{kind}"

    def start(self) -> None:
        """Start it, on whatever is there from before."""
        files = [self.file(kind) for kind in ("task", "up", "errors")]
        self.process = self.processes.Process(target=run, args=files, daemon=True)
        self.process.start()
        self.pids.append(self.process.pid)

    def is_up(self) -> bool:
        """Whether the process has loaded what it needs, which takes a while on a machine that is busy."""
        return self.file("up").exists()

    def look(self) -> None:
        """See whether it has ended.

        Raises:
            RuntimeError: it broke.
        """
        code = None if self.process is None else self.process.exitcode
        if code is None:
            return
        self.process = None
        self.has_ended = True
        if code:
            raise RuntimeError(f"{self.name} ended with {code}: {self.file('errors').read_text()[-3000:]}")

    def kill(self) -> None:
        """Kill it, if it lives."""
        if self.process is not None:
            self.process.kill()
            self.process.join()
            self.process = None
            self.dies_at = None
            self.file("up").unlink(missing_ok=True)


@frozen
class Report:
    """What came of a soak.

    Attributes:
        accounts: by vendor.
        killed: how often a program was.
        faults: how many requests met each kind of fault.
        seconds: how long it took.
        pids: of all processes that were started.
    """

    accounts: dict[str, Account]
    killed: int
    faults: dict[str, int]
    seconds: float
    pids: tuple[int, ...]

    @property
    def violations(self) -> tuple[str, ...]:
        """All that must not be, by vendor."""
        return tuple(f"{vendor}: {text}" for vendor, account in self.accounts.items() for text in account.violations)


class Soak:
    """One soak, in a folder of its own. Use it in a `with` block: no process is left behind.

    Args:
        plan: how much of it.
        folder: for the journal and everything else.
    """

    def __init__(self, plan: Plan, folder: Path) -> None:
        self._plan = plan
        self._folder = folder
        self._random = Random(plan.seed)
        self._journal = folder / "journal.sqlite3"
        self._processes = processes()
        share = plan.runs // len(plan.vendors)
        self._servers = [
            Server(vendor, [f"{vendor}-{number}" for number in range(share)], self._random, folder)
            for vendor in plan.vendors
        ]
        self._began = datetime.now(UTC)
        self._programs: list[Program] = []

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            stack.enter_context(quiet())
            for server in self._servers:
                stack.enter_context(server.simulator)
            self._serving = stack.pop_all()
        return self

    def __exit__(self, *error: object) -> None:
        with self._serving:
            for program in self._programs:
                program.kill()

    def run(self) -> Report:
        """All of it.

        Raises:
            RuntimeError: a program broke, or did not come to its end in time.
        """
        started = time.monotonic()
        programs = [self._program(server, mode) for server in self._servers for mode in ("sync", "async")]
        self._begin(programs)
        for server in self._servers:
            server.simulator.faults = faults(server.vendor, self._plan.seconds, self._plan.seed)
        self._under_faults(programs)
        for server in self._servers:
            server.simulator.faults = Faults()
            server.simulator.wait_until_listening(timeout=10)
        self._settle()
        met = sum((Counter(server.simulator.faults_done) for server in self._servers), Counter())
        return Report(
            accounts=self._accounts(),
            killed=sum(program.killed for program in self._programs),
            faults=dict(met),
            seconds=time.monotonic() - started,
            pids=tuple(pid for program in self._programs for pid in program.pids),
        )

    def _begin(self, programs: Sequence[Program]) -> None:
        """Start them, and wait until all have come up: on a machine that is busy the time would be over before."""
        for program in programs:
            program.start()
        self._wait(programs, Program.is_up, PATIENCE)

    def _under_faults(self, programs: Sequence[Program]) -> None:
        """Have the programs work until they are done or the time is over; kill them, and start them again."""
        began = rotated = time.monotonic()
        while (now := time.monotonic()) < began + self._plan.seconds and not all(each.has_ended for each in programs):
            for program in programs:
                self._tend(program)
            if now >= rotated + ROTATE:
                rotated = now
                self._random.choice(self._servers).rotate()
            time.sleep(LOOK)
        for program in programs:
            program.killed += program.process is not None
            program.kill()

    def _tend(self, program: Program) -> None:
        """Start a program that does not live, kill one whose time has come."""
        program.look()
        now, may_die = time.monotonic(), program.killed < self._plan.kills
        if program.process is None:
            if not program.has_ended:
                program.start()
        elif program.dies_at is None:
            if program.is_up():
                program.dies_at = now + self._random.uniform(0, self._plan.life)
        elif may_die and now >= program.dies_at:
            program.kill()
            program.killed += 1

    def _settle(self) -> None:
        """Have all that is open asked after, once nothing goes wrong any more."""
        programs = [self._program(server, "settle") for server in self._servers]
        for program in programs:
            program.start()
        self._wait(programs, lambda program: program.has_ended, PATIENCE + self._plan.runs / 20)

    @staticmethod
    def _wait(programs: Sequence[Program], until: Callable[[Program], bool], seconds: float) -> None:
        """Until all have come so far.

        Raises:
            RuntimeError: one did not, in that many seconds.
        """
        over = time.monotonic() + seconds
        while late := [program.name for program in programs if not program.has_ended and not until(program)]:
            if time.monotonic() > over:
                raise RuntimeError(f"{', '.join(late)} did not come to the end in {seconds:g} s")
            for program in programs:
                program.look()
            time.sleep(LOOK)

    def _program(self, server: Server, mode: str) -> Program:
        program = Program(f"{server.vendor}-{mode}", self._folder, self._processes)
        program.file("told").touch()
        task = Task(
            backend=server.vendor,
            settings=server.settings(),
            mode=mode,
            journal=str(self._journal),
            told=str(program.file("told")),
            jobs=_share(server.jobs, mode),
            began=self._began.isoformat(),
            speed=SPEED,
        )
        task.write(program.file("task"))
        self._programs.append(program)
        return program

    def _accounts(self) -> dict[str, Account]:
        journal = Journal.open(self._journal)
        try:
            return {
                server.vendor: compare(
                    server.started(), journal.entries(connection=server.vendor), self._told(server.vendor)
                )
                for server in self._servers
            }
        finally:
            journal.close()

    def _told(self, vendor: str) -> list[Told]:
        lines = (self._folder / f"{vendor}-{mode}.told" for mode in ("sync", "async", "settle"))
        return [Told(**json.loads(line)) for path in lines for line in path.read_text().splitlines()]


def _share(jobs: Sequence[Job], mode: str) -> list[Job]:
    """The keys of a program: every second one, and those that both have."""
    mine = {"sync": 0, "async": 1}.get(mode)
    return [job for number, job in enumerate(jobs) if number % SHARED == 0 or number % 2 == mine]


ROWS: Final = {
    "keys in the journal": lambda account: account.keys,
    "runs started": lambda account: account.runs,
    "ends told": lambda account: account.ends,
    "STARTED TWICE": lambda account: len(account.twice),
    "IDS LOST": lambda account: len(account.lost),
    "ENDS WRONG": lambda account: len(account.wrong),
    "RUNS OF NOBODY": lambda account: len(account.strays),
    "uncertain keys": lambda account: sum(account.uncertain.values()),
    "keys without a run": lambda account: account.absent,
    "runs by repeated requests": lambda account: account.repeats,
    "keys the server forgot": lambda account: account.forgotten,
}


def show(report: Report) -> None:
    """The table, and what must not be."""
    accounts = report.accounts
    print(f"{'':28}" + "".join(f"{vendor:>14}" for vendor in accounts))
    for name, value in ROWS.items():
        print(f"{name:28}" + "".join(f"{value(account):>14}" for account in accounts.values()))
    print(f"\nprograms killed: {report.killed}; {report.seconds:.0f} s")
    print("faults: " + _counts(report.faults))
    for vendor, account in accounts.items():
        if account.uncertain:
            print(f"uncertain on {vendor}: " + _counts(account.uncertain))
    for text in report.violations:
        print(f"VIOLATION {text}")


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(counts.items(), key=lambda item: -item[1]))


def soak(plan: Plan, folder: Path) -> Report:
    """Run one; the folder keeps what it wrote."""
    with Soak(plan, folder) as it:
        return it.run()


def main(arguments: Iterable[str] | None = None) -> int:
    """Run one, and print what came of it."""
    parser = argparse.ArgumentParser(description="A soak of all vendors under faults, with programs that are killed.")
    parser.add_argument("--seconds", type=float, default=120, help="how long there are faults, at most")
    parser.add_argument("--runs", type=int, default=2000, help="how many keys, over all vendors")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--vendors", nargs="+", choices=VENDORS, default=VENDORS)
    parser.add_argument("--keep", type=Path, help="a new folder for all that is written, which is removed otherwise")
    given = parser.parse_args(arguments)
    plan = Plan(given.seconds, given.runs, given.seed, tuple(given.vendors))
    with tempfile.TemporaryDirectory() as folder:
        if given.keep is not None:
            given.keep.mkdir()
        report = soak(plan, given.keep or Path(folder))
    show(report)
    return 1 if report.violations else 0


if __name__ == "__main__":
    sys.exit(main())
