"""What the journal costs: submissions per second without one, and with one in memory and on a disk.

The three are measured in turns against one simulator in another process, so that what drifts hits all alike. Beside
them stands what the disk itself takes for two small writes that are forced onto it, the least that a submission needs.

Run `python benchmarks/journal.py [FOLDER]`, where FOLDER is on the disk to measure; it is the working folder otherwise.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import flowrunner

if TYPE_CHECKING:
    from flowrunner.client import Client

ROUNDS = 40
SUBMISSIONS = 25
FLOW = "Samples/austinApartments.fmw"
MEMORY = Path("/dev/shm")


def rate(client: Client) -> float:
    """Submissions per second."""
    started = time.perf_counter()
    for _ in range(SUBMISSIONS):
        client.submit(FLOW)
    return SUBMISSIONS / (time.perf_counter() - started)


def two_writes(folder: Path) -> float:
    """Seconds for two small writes to the disk."""
    file = os.open(folder / "probe", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    try:
        started = time.perf_counter()
        for _ in range(2):
            os.write(file, bytes(4096))
            os.fsync(file)
        return time.perf_counter() - started
    finally:
        os.close(file)


def show(name: str, values: list[float], unit: str = "") -> None:
    """A median, and the middle half."""
    low, middle, high = statistics.quantiles(values, n=4)
    print(f"{name:<44} {middle:8.3f} {unit:<10} ({low:.3f} to {high:.3f})")


def measure(server: dict[str, str], places: dict[str, Path]) -> None:
    """In turns, so many rounds."""
    rates: dict[str, list[float]] = {"none": [], **{name: [] for name in places}}
    disk: list[float] = []
    with ExitStack() as stack:
        clients = {
            name: stack.enter_context(
                flowrunner.connect(**server, check_parameters=False, journal=name in places and places[name] / "j.db")
            )
            for name in rates
        }
        for client in clients.values():
            rate(client)
        for _ in range(ROUNDS):
            for name, client in clients.items():
                rates[name].append(rate(client))
            disk.append(two_writes(places["disk"]))
    for name, values in rates.items():
        show(f"journal: {name}, submissions per second", values)
    for name in places:
        pairs = list(zip(rates["none"], rates[name], strict=True))
        show(f"journal: {name}, rate against none", [ours / none for none, ours in pairs])
        show(f"journal: {name}, added to a submission", [(1 / ours - 1 / none) * 1e3 for none, ours in pairs], "ms")
    show("two writes forced onto the disk", [each * 1e3 for each in disk], "ms")


def main() -> None:
    """Serve, measure, stop."""
    command = [sys.executable, "-m", "flowrunner", "simulate", "fme-flow-v4", "--port", "0", "--json"]
    on_disk = sys.argv[1] if len(sys.argv) > 1 else "."
    with ExitStack() as stack, subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        places = {"disk": Path(stack.enter_context(tempfile.TemporaryDirectory(dir=on_disk)))}
        if MEMORY.is_dir():
            places["memory"] = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=MEMORY)))
        assert process.stdout is not None
        try:
            measure(json.loads(process.stdout.readline()), places)
        finally:
            process.terminate()


if __name__ == "__main__":
    main()
