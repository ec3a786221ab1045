"""Whether uploads and downloads keep memory flat: the peak of a process that moves 1 GiB against one that moves 1 MiB.

Run `python benchmarks/transfers.py [GIGABYTES]`. A simulator in another process takes the file over V3 and V4 and gives
it back; each transfer runs in a process of its own, sync and async, and reports its peak memory and its rate.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import flowrunner

MIB = 2**20


def transfer(server: dict[str, str], path: Path) -> None:
    """Up, down, and away."""
    with flowrunner.connect(**server, timeout=120) as client:
        file = client.upload(path)
        client.download(file, path.with_suffix(".back"))
        client.remove(file)


async def transfer_async(server: dict[str, str], path: Path) -> None:
    """The same, asynchronously."""
    async with flowrunner.connect_async(**server, timeout=120) as client:
        file = await client.upload(path)
        await client.download(file, path.with_suffix(".back"))
        await client.remove(file)


def child(server: dict[str, str], path: Path, mode: str) -> None:
    """Move the file, and print what it took as JSON."""
    started = time.perf_counter()
    if mode == "sync":
        transfer(server, path)
    else:
        asyncio.run(transfer_async(server, path))
    seconds = time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"peak": peak, "rate": 2 * path.stat().st_size / MIB / seconds}))


def measured(server: dict[str, str], path: Path, mode: str) -> dict[str, float]:
    """What a process took that moved the file there and back."""
    command = [sys.executable, __file__, "child", json.dumps(server), str(path), mode]
    found: dict[str, float] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    assert path.with_suffix(".back").stat().st_size == path.stat().st_size
    return found


def file_of(folder: str, size: int) -> Path:
    """A file of so many bytes that do not compress."""
    path = Path(folder) / f"{size}.bin"
    with path.open("wb") as file:
        for _ in range(size // MIB):
            file.write(os.urandom(MIB))
    return path


def main(gibibytes: float) -> None:
    """The table."""
    command = [sys.executable, "-m", "flowrunner", "simulate", "fme-flow", "--port", "0", "--json"]
    with (
        tempfile.TemporaryDirectory() as folder,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as simulator,
    ):
        assert simulator.stdout is not None
        try:
            server = json.loads(simulator.stdout.readline())
            small, large = file_of(folder, MIB), file_of(folder, int(gibibytes * 1024) * MIB)
            for backend in ("fme-flow-v3", "fme-flow-v4"):
                for mode in ("sync", "async"):
                    few = measured({**server, "backend": backend}, small, mode)
                    many = measured({**server, "backend": backend}, large, mode)
                    print(
                        f"{backend} {mode:<5}  1 MiB: {few['peak']:6.1f} MiB"
                        f"   {gibibytes:g} GiB: {many['peak']:6.1f} MiB"
                        f"   ratio {many['peak'] / few['peak']:.3f}   {many['rate']:.0f} MiB/s there and back"
                    )
        finally:
            simulator.terminate()


if __name__ == "__main__":
    if sys.argv[1:2] == ["child"]:
        child(json.loads(sys.argv[2]), Path(sys.argv[3]), sys.argv[4])
    else:
        main(float(sys.argv[1]) if len(sys.argv) > 1 else 1.0)
