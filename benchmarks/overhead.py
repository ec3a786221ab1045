"""What one look at a run costs beyond the request itself.

Three pairs, each measured interleaved in this one process, sync and async:

* `loopback`: `run.refresh()` against the same GET hand-written with httpx, to the simulator in another process. The CPU
  time of this process, as a ratio.
* `null`: the same on a transport that answers at once, as microseconds more than hand-written.
* `import`: whole-process times of `from flowrunner import connect, RunState` and `flowrunner --version`, as ratios to
  that of `import httpx`.

Run `python benchmarks/overhead.py`. Medians are printed with the middle half of the measurements.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import subprocess
import sys
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import httpx

import flowrunner

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROUNDS = 60
REQUESTS = 50
RECORD = json.dumps({
    "id": 1, "description": "", "engineHost": "localhost", "engineName": "localhost_Engine1", "repository": "Samples",
    "workspace": "austinDownload.fmw", "queue": "Default", "queueType": "Standard", "resultDatasetDownloadUrl": "",
    "status": "running", "timeQueued": "2026-01-05T08:00:00Z", "timeStarted": "2026-01-05T08:00:01Z",
    "timeFinished": None, "runtimeUsername": "admin", "runtimeUserID": "fb2dd313-e5cf-432e-a24a-814e46929ab7",
    "elapsedTime": 0, "cpuTime": 0, "cpuPercent": 0.0, "peakMemoryUsage": 0, "lineCount": 0, "warningCount": 0,
    "errorCount": 0,
}).encode()  # fmt: skip


def hand_written(client: httpx.Client, address: str) -> str:
    """What a program does without flowrunner."""
    response = client.get(address)
    response.raise_for_status()
    return str(response.json()["status"])


async def hand_written_async(client: httpx.AsyncClient, address: str) -> str:
    """The same, asynchronously."""
    response = await client.get(address)
    response.raise_for_status()
    return str(response.json()["status"])


def cpu_of(function: Callable[[], Any]) -> float:
    """CPU seconds of this process for `REQUESTS` calls, per call."""
    started = time.process_time()
    for _ in range(REQUESTS):
        function()
    return (time.process_time() - started) / REQUESTS


async def cpu_of_async(function: Callable[[], Any]) -> float:
    """The same for a coroutine function."""
    started = time.process_time()
    for _ in range(REQUESTS):
        await function()
    return (time.process_time() - started) / REQUESTS


def show(name: str, values: list[float], unit: str) -> None:
    """A median, and the middle half."""
    low, middle, high = statistics.quantiles(values, n=4)
    print(f"{name:<42} {middle:8.3f} {unit:<8} ({low:.3f} to {high:.3f}, {len(values)} pairs)")


def pairs_sync(server: dict[str, str]) -> Iterator[tuple[float, float]]:
    """CPU of flowrunner and of the hand-written request, in turns."""
    address = f"{server['base_url']}/fmeapiv4/jobs/1"
    headers = {"Authorization": f"fmetoken token={server['token']}", "Accept": "application/json"}
    with httpx.Client(headers=headers) as client, flowrunner.connect(**server) as ours:
        run = ours.attach(flowrunner.RunRef(ours.name, ours.backend, "", "1"))
        for _ in range(ROUNDS):
            yield cpu_of(run.refresh), cpu_of(lambda: hand_written(client, address))


async def pairs_async(server: dict[str, str]) -> list[tuple[float, float]]:
    """The same, asynchronously."""
    address = f"{server['base_url']}/fmeapiv4/jobs/1"
    headers = {"Authorization": f"fmetoken token={server['token']}", "Accept": "application/json"}
    async with httpx.AsyncClient(headers=headers) as client, flowrunner.connect_async(**server) as ours:
        run = ours.attach(flowrunner.RunRef(ours.name, ours.backend, "", "1"))
        return [
            (await cpu_of_async(run.refresh), await cpu_of_async(lambda: hand_written_async(client, address)))
            for _ in range(ROUNDS)
        ]


def report(name: str, pairs: list[tuple[float, float]]) -> None:
    """The ratio, and the difference."""
    show(f"{name}: ratio of CPU", [ours / theirs for ours, theirs in pairs], "")
    show(f"{name}: difference", [(ours - theirs) * 1e6 for ours, theirs in pairs], "us")


def null_transport() -> ExitStack:
    """Answer every request at once, below both clients."""
    headers = {"content-type": "application/json", "content-length": str(len(RECORD))}

    def handle(_: object, __: httpx.Request) -> httpx.Response:
        return httpx.Response(200, headers=headers, stream=httpx.ByteStream(RECORD))

    async def handle_async(_: object, __: httpx.Request) -> httpx.Response:
        return httpx.Response(200, headers=headers, stream=httpx.ByteStream(RECORD))

    stack = ExitStack()
    stack.enter_context(patch.object(httpx.HTTPTransport, "handle_request", handle))
    stack.enter_context(patch.object(httpx.AsyncHTTPTransport, "handle_async_request", handle_async))
    return stack


def measure_requests() -> None:
    """Loopback and null transport."""
    nowhere = {"backend": "fme-flow-v4", "base_url": "http://127.0.0.1:9", "token": "benchmark-token"}
    with null_transport():
        report("null transport, sync", list(pairs_sync(nowhere)))
        report("null transport, async", asyncio.run(pairs_async(nowhere)))
    command = [sys.executable, "-m", "flowrunner", "simulate", "fme-flow-v4", "--port", "0", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            server = json.loads(process.stdout.readline())
            with flowrunner.connect(**server) as client:
                client.submit("Tutorials/10seconds.fmw", {"location": ["Burnaby"]})
            report("loopback, sync", list(pairs_sync(server)))
            report("loopback, async", asyncio.run(pairs_async(server)))
        finally:
            process.terminate()


def process_time_of(*arguments: str) -> float:
    """Wall seconds of a whole Python process."""
    started = time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, capture_output=True)
    return time.perf_counter() - started


def measure_imports() -> None:
    """Whole processes, in turns."""
    ratios: dict[str, list[float]] = {"import": [], "--version": []}
    for _ in range(20):
        httpx_time = process_time_of("-c", "import httpx")
        ratios["import"].append(process_time_of("-c", "from flowrunner import connect, RunState") / httpx_time)
        ratios["--version"].append(process_time_of("-m", "flowrunner", "--version") / httpx_time)
    show("from flowrunner import connect, RunState", ratios["import"], "httpx")
    show("flowrunner --version", ratios["--version"], "httpx")


if __name__ == "__main__":
    measure_imports()
    measure_requests()
