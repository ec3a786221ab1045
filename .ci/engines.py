"""The tests with real workflow engines, side by side, since much of them is waiting: fails if one of them does.

What each says is shown whole when it has ended. Whoever interrupts this stops them all, and sees how far they came.
"""

# ruff: noqa: T201, S603 - a script that prints and runs programs

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

ROOT = Path(__file__).parent.parent
PAUSE = 0.2
"""Seconds between two looks at what still runs."""
GRACE = 30
"""Seconds in which those that are interrupted may end the processes they have started themselves."""


def _log() -> IO[bytes]:
    return tempfile.TemporaryFile()


@dataclass
class Suite:
    """The tests with one engine."""

    name: str
    command: list[str]
    log: IO[bytes] = field(default_factory=_log)
    began: float = field(default_factory=time.monotonic)

    def start(self) -> None:
        """Begin, in a group of processes of its own."""
        self.process = subprocess.Popen(
            self.command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=self.log, stderr=subprocess.STDOUT,
            start_new_session=True,
        )  # fmt: skip

    def show(self) -> None:
        """Say how it went, and all it has said."""
        how = "passed" if self.process.returncode == 0 else "FAILED"
        print(f"== {self.name}: {how} after {time.monotonic() - self.began:.0f} s", flush=True)
        self.log.seek(0)
        sys.stdout.buffer.write(self.log.read())
        sys.stdout.flush()

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to its group, if there still is one."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, number)


def suites() -> list[Suite]:
    """Distributions for engines, and recipes, by where they stand in the repository."""
    distributions = sorted(ROOT.glob("integrations/*/test.sh"))
    recipes = sorted(ROOT.glob("examples/*/requirements.txt"))
    return [
        *(Suite(f"integrations/{each.parent.name}", [str(each)]) for each in distributions),
        *(Suite(f"examples/{each.parent.name}", ["examples/engines.sh", each.parent.name]) for each in recipes),
    ]


def show_as_they_end(running: list[Suite]) -> None:
    """Wait for all."""
    while running:
        for suite in [each for each in running if each.process.poll() is not None]:
            suite.show()
            running.remove(suite)
        time.sleep(PAUSE)


def stop(running: list[Suite]) -> None:
    """Have them clean up after themselves, as after Ctrl-C in each; whoever is too slow is killed."""
    for suite in running:
        suite.signal(signal.SIGINT)
    end = time.monotonic() + GRACE
    for suite in running:
        with suppress(subprocess.TimeoutExpired):
            suite.process.wait(max(0, end - time.monotonic()))
        suite.signal(signal.SIGKILL)
        suite.process.wait()
        suite.show()


def main() -> None:
    """Run them."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    started = suites()
    running: list[Suite] = []
    try:
        for suite in started:
            suite.start()
            running.append(suite)
        show_as_they_end(running)
    except KeyboardInterrupt:
        stop(running)
        sys.exit("interrupted")
    if failed := [each.name for each in started if each.process.returncode]:
        sys.exit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
