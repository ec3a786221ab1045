"""What following many runs costs, against what a good engineer would write by hand today.

Every ratio is measured in one run, with flowrunner and the other in turns, since machines drift; the server is a
process of its own, and a simulator where that makes a difference. `python benchmarks/compare.py` prints a table:
medians with the middle half, and what should be reached. `--quick` repeats less, `--only WORD` measures the rows whose
name has the word, `--json FILE` writes the rows as JSON, too.

By hand means: an `httpx.Client` in a loop, a GET for each run and `.json()`; an `httpx.AsyncClient`, the same in a
`gather` with a semaphore of ten; and an `aiohttp` session likewise, where aiohttp is installed. Nothing of what makes
following safe is in it: it counts no failures, keeps no states, and takes any answer for what it should be.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import statistics
import subprocess
import sys
import threading
import time
import tracemalloc
from contextlib import ExitStack, nullcontext, suppress
from functools import partial
from importlib.util import find_spec
from itertools import chain, product
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import patch
from urllib.parse import urlencode

import httpx
from attrs import asdict, frozen
from filled import Filled
from overhead import pairs_async, pairs_sync, process_time_of
from plain_server import PlainServer

import flowrunner
from flowrunner import RunRef, events, pages

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator, Sequence
    from contextlib import AbstractContextManager

VENDORS = ("fme-flow-v4", "fme-flow-v3", "smart-flows")
PARAMETERS = {"check_parameters": False, "retries": 0}
GOALS = {"json": {"sync httpx": 30, "async httpx": 60}, "msgspec": {"sync httpx": 60, "async httpx": 100}}
"""How many times as much it should take by hand, by what reads the pages."""


@frozen
class Row:
    """A line of the table.

    Attributes:
        name: what was measured.
        value: the median.
        low: of the middle half.
        high: of the middle half.
        unit: of these.
        goal: what should be reached, as it is compared: `<=` or `>=` and a number; empty where there is none.
        count: of how many measurements.
    """

    name: str
    value: float
    low: float
    high: float
    unit: str = ""
    goal: str = ""
    count: int = 1

    @property
    def is_reached(self) -> bool | None:
        """Whether the median is what it should be."""
        if not self.goal:
            return None
        sign, number = self.goal.split()
        return self.value <= float(number) if sign == "<=" else self.value >= float(number)


def row(name: str, values: Sequence[float], unit: str = "", goal: str = "") -> Row:
    """A row of several measurements."""
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive") if len(values) > 1 else (values[0],) * 3
    return Row(name, middle, low, high, unit, goal, len(values))


# By hand


def by_hand(addresses: Sequence[str], headers: dict[str, str]) -> float:
    """A look at each, one after the other; CPU seconds, of a client that has looked before."""
    with httpx.Client(headers=headers, timeout=60) as client:

        def look(address: str) -> None:
            response = client.get(address)
            response.raise_for_status()
            str(response.json().get("status"))

        look(addresses[0])
        return cpu_of(lambda: [look(address) for address in addresses])


async def by_hand_async(addresses: Sequence[str], headers: dict[str, str], at_once: int = 10) -> float:
    """The same, ten at a time."""
    turns = asyncio.Semaphore(at_once)
    async with httpx.AsyncClient(headers=headers, timeout=60) as client:

        async def look(address: str) -> None:
            async with turns:
                response = await client.get(address)
                response.raise_for_status()
                str(response.json().get("status"))

        return await _cpu_of_all(look, addresses, at_once)


async def by_hand_aiohttp(addresses: Sequence[str], headers: dict[str, str], at_once: int = 10) -> float:
    """The same, with aiohttp."""
    import aiohttp

    turns = asyncio.Semaphore(at_once)
    async with aiohttp.ClientSession(headers=headers) as session:

        async def look(address: str) -> None:
            async with turns, session.get(address) as response:
                response.raise_for_status()
                str((await response.json()).get("status"))

        return await _cpu_of_all(look, addresses, at_once)


async def _cpu_of_all(look: Callable[[str], Awaitable[None]], addresses: Sequence[str], at_once: int) -> float:
    """CPU seconds of a look at each, when all connections are open: a program opens them once, not every cycle."""
    await asyncio.gather(*map(look, addresses[:at_once]))
    started = time.process_time()
    await asyncio.gather(*map(look, addresses))
    return time.process_time() - started


def cpu_of(function: Callable[[], object]) -> float:
    """CPU seconds of this process."""
    started = time.process_time()
    function()
    return time.process_time() - started


def hands() -> dict[str, Callable[[list[str], dict[str, str]], float]]:
    """The ways to do it by hand."""
    ways: dict[str, Callable[[list[str], dict[str, str]], float]] = {
        "sync httpx": by_hand,
        "async httpx": lambda addresses, headers: asyncio.run(by_hand_async(addresses, headers)),
    }
    if find_spec("aiohttp") is not None:
        ways["aiohttp"] = lambda addresses, headers: asyncio.run(by_hand_aiohttp(addresses, headers))
    return ways


def looks_of(client: Any, runs: list[Any]) -> tuple[list[str], dict[str, str]]:
    """What a program asks by hand to look at these runs: addresses, and the headers with the credential."""
    backend = client._backend  # noqa: SLF001 - it knows the addresses
    looks = [next(backend.observe(run.ref)) for run in runs]
    paths = [f"{look.path}?{urlencode(look.query)}" if look.query else look.path for look in looks]
    headers = {name: secret.reveal() for name, secret in backend.authorize().items()}
    return [backend.base_url + path for path in paths], {**headers, "Accept": "application/json"}


# One look


def overhead() -> Iterator[Row]:
    """`refresh` against the same GET by hand."""
    with Filled("fme-flow-v4") as server:
        server.fill(1, 1e6)
        pairs = {"sync": list(pairs_sync(server.settings)), "async": asyncio.run(pairs_async(server.settings))}
    for name, both in pairs.items():
        yield row(f"refresh, {name}: CPU / that of the GET by hand", [ours / theirs for ours, theirs in both], "x")


# A cycle


@frozen
class Cycle:
    """What one look at all runs took.

    Attributes:
        cpu: seconds of this process, per run.
        requests: in all.
    """

    cpu: float
    requests: float


def attached(client: Any, server: Filled, ids: Iterable[str]) -> list[Any]:
    """The runs of a server."""
    return [client.attach(RunRef(client.name, client.backend, server.flow, each)) for each in ids]


async def cycles(server: Filled, ids: list[str]) -> Cycle:
    """Follow runs that do not end, by `gather` of their waits, and measure a few cycles."""
    seconds, pages = max(1.0, len(ids) / 10_000), -(-len(ids) // 1000)
    pauses = {"poll_min": seconds / pages, "poll_max": seconds, "timeout": 120.0}
    async with flowrunner.connect_async(**{**server.settings, **PARAMETERS, **pauses}) as client:
        waits = asyncio.gather(*(run.wait() for run in attached(client, server, ids)))
        await asyncio.sleep(3 * seconds)
        server.requests()
        started = time.process_time()
        await asyncio.sleep(5 * seconds)
        cpu, (requests, rounds) = time.process_time() - started, server.requests()
        waits.cancel()
        with suppress(asyncio.CancelledError):
            await waits
    return Cycle(cpu / rounds / len(ids), requests / rounds)


def following(vendor: str, sizes: Sequence[int], repeat: int) -> Iterator[Row]:
    """CPU and requests of a cycle, and how they grow; with each way to read pages."""
    for size, (reader, reading) in product(sizes, readers().items()):
        measured, ratios = _compared(vendor, size, repeat if size <= 10_000 else 1, reading)
        where = f"{vendor}, {size:,} runs, {reader}"
        goal = f"<= {-(-size // 1000) + 2}"
        yield row(f"{where}: requests per cycle", [each.requests for each in measured], "", goal)
        yield row(f"{where}: CPU per run and cycle", [each.cpu * 1e6 for each in measured], "us")
        for name, values in ratios.items():
            least = GOALS[reader].get(name) if size == 10_000 else None
            yield row(f"{where}: {name} by hand / ours, CPU", values, "x", f">= {least}" if least else "")


def readers() -> dict[str, Callable[[], AbstractContextManager[object]]]:
    """The ways to read pages: that of every Python, and that of the extra `fast` where it is installed."""
    without = partial(patch.object, pages, "msgspec", lambda: None)
    return {"json": without, **({"msgspec": nullcontext} if find_spec("msgspec") is not None else {})}


def _compared(
    vendor: str, size: int, repeat: int, reading: Callable[[], AbstractContextManager[object]]
) -> tuple[list[Cycle], dict[str, list[float]]]:
    """Our cycles, and for each of them how many times as much each way by hand takes."""
    measured: list[Cycle] = []
    ratios: dict[str, list[float]] = {}
    with Filled(vendor) as server:
        ids = server.fill(size, 1e6)
        with flowrunner.connect(**server.settings) as client:
            looks = looks_of(client, attached(client, server, ids[:400]))
        for _ in range(repeat):
            with reading():
                measured.append(asyncio.run(cycles(server, ids)))
            gc.collect()  # what we leave behind is no burden of theirs
            for name, way in hands().items():
                theirs = way(*looks) / len(looks[0])
                ratios.setdefault(name, []).append(theirs / measured[-1].cpu)
    return measured, ratios


# Memory


async def _memory(server: Filled, count: int) -> tuple[float, float, float]:
    """Bytes per run: in the scheduler, with its `Run`, and with the task of a `gather`; without payloads."""
    pauses = {"poll_min": 0.2, "poll_max": 0.2}
    async with flowrunner.connect_async(**{**server.settings, **PARAMETERS, **pauses}) as client:
        few = [await client.submit(server.flow) for _ in range(30)]  # what is loaded once is no run's
        with suppress(flowrunner.WaitTimeout):
            await client.wait_all(few, timeout=0.5)
        gc.collect()
        tracemalloc.start()
        empty = _traced()
        runs = [await client.submit(server.flow) for _ in range(count)]
        with suppress(flowrunner.WaitTimeout):
            await client.wait_all(runs, timeout=1.0)  # each has been seen once
        alone = _traced() - _payloads(runs)
        ended = asyncio.ensure_future(anext(client.as_completed(runs)))
        await asyncio.sleep(1.0)
        together = _traced() - _payloads(runs)
        ended.cancel()
        await asyncio.gather(ended, return_exceptions=True)
        del ended  # its error has frames, and these have the runs
        waits = asyncio.gather(*(run.wait() for run in runs))
        await asyncio.sleep(1.0)
        with_tasks = _traced() - _payloads(runs)
        tracemalloc.stop()
        waits.cancel()
        with suppress(asyncio.CancelledError):
            await waits
    return (together - alone) / count, (together - empty) / count, (with_tasks - empty) / count


def _traced() -> int:
    gc.collect()
    return tracemalloc.get_traced_memory()[0]


def _payloads(runs: list[Any]) -> int:
    # Not by `run.status`: whoever asks for it has it brought up to date, which takes memory.
    return sum(len(run._record._track.status.raw or b"") + 33 for run in runs)  # noqa: SLF001 - as said


def memory(repeat: int) -> Iterator[Row]:
    """Bytes of a run that is followed."""
    measured = []
    for _ in range(repeat):
        with Filled("fme-flow-v4") as server:
            server.script(1e6)
            measured.append(asyncio.run(_memory(server, 2000)))
    goals = {"in the scheduler": 650, "with its Run": 1.2 * 1024, "with the task of a gather": 2.2 * 1024}
    for (name, goal), values in zip(goals.items(), zip(*measured, strict=True), strict=True):
        yield row(f"memory of a run {name}", values, "B", f"<= {goal:g}")


# How late an end is seen


class Seen:
    """Notes when ends are seen; an `on_event` function."""

    def __init__(self) -> None:
        self.at: dict[str, float] = {}

    def __call__(self, event: events.Event) -> None:
        """Note a final status."""
        if isinstance(event, events.StatusChanged) and event.new.state.is_final and event.ref.id is not None:
            self.at[event.ref.id] = time.time()

    def late(self, ends: dict[str, float], ids: Iterable[str]) -> list[float]:
        """Seconds between the end of each of these runs and its being seen, sorted."""
        return sorted(self.at[run_id] - ends[run_id] for run_id in ids)


def part(values: list[float], share: float) -> float:
    """The value that so much of them, which are sorted, is not above."""
    return values[min(int(len(values) * share), len(values) - 1)]


async def _round_trip(run: Any) -> float:
    """Seconds of a look, at the median, of programs that had a rest before, as those have that wait.

    One right after another takes but a third on some machines: a processor that has slept has to wake first.
    """
    times = []
    for _ in range(30):
        await asyncio.sleep(0.05)
        started = time.perf_counter()
        await run.refresh()
        times.append(time.perf_counter() - started)
    return statistics.median(times)


async def _latency(server: Filled, count: int, shortest: float, longest: float, **settings: Any) -> dict[str, float]:
    """Wait for runs of random length, and see how late their ends are seen."""
    seen = Seen()
    async with flowrunner.connect_async(on_event=seen, **{**server.settings, **PARAMETERS, **settings}) as client:
        trip = await _round_trip(attached(client, server, server.fill(1, 60.0))[0])
        ids = server.fill(count, shortest, longest)
        runs = attached(client, server, ids)
        await runs[0].refresh()  # as one that was submitted has been seen
        server.requests()
        await client.wait_all(runs)
        requests, _ = server.requests()
    late = seen.late(server.ends(), ids)
    return {"p50": part(late, 0.5), "p95": part(late, 0.95), "trip": trip, "requests": requests / count}


def long_polls(sizes: Sequence[int], repeat: int) -> Iterator[Row]:
    """Requests that the vendor holds until a run ends."""
    settings = {"max_long_polls": max(sizes), "max_connections": max(sizes) + 1}
    alone = _held_alone(repeat * 20, settings)
    yield row("long-poll, 1 at once: seen after, p50", [part(alone, 0.5)], "round trips", "<= 3")
    yield row("long-poll, 1 at once: seen after, p95", [part(alone, 0.95)], "round trips", "<= 6")
    for size in sizes:
        measured = []
        for _ in range(repeat):
            with Filled("fme-flow-v4") as server:
                measured.append(asyncio.run(_latency(server, size, 5.0, 5.0 + size / 20, **settings)))
        where = f"long-poll, {size} at once"
        for share, goal in (("p50", 3), ("p95", 6)):
            values = [each[share] / each["trip"] for each in measured]
            yield row(f"{where}: seen after, {share}", values, "round trips", f"<= {goal}")
        values = [each["p95"] / each["trip"] / part(alone, 0.95) for each in measured]
        yield row(f"{where}: p95 / that of one", values, "x", "<= 1.5" if size == 500 else "")
        yield row(f"{where}: requests per run", [each["requests"] for each in measured])


def _held_alone(count: int, settings: dict[str, Any]) -> list[float]:
    """After how many round trips the end of a single run is seen, sorted."""
    with Filled("fme-flow-v4") as server:
        measured = [asyncio.run(_latency(server, 1, 0.4, 0.6, **settings)) for _ in range(count)]
    return sorted(each["p50"] / each["trip"] for each in measured)


def lists(repeat: int) -> Iterator[Row]:
    """Lists every second, of 300 runs that last 10 to 30 seconds."""
    measured = []
    for _ in range(repeat):
        with Filled("fme-flow-v4") as server:
            pauses = {"poll_min": 1.0, "poll_max": 1.0, "max_long_polls": 0}
            measured.append(asyncio.run(_latency(server, 300, 10.0, 30.0, **pauses)))
    where = "lists every second, 300 runs"
    yield row(f"{where}: seen after, p50", [each["p50"] for each in measured], "s")
    yield row(f"{where}: seen after, p95, less a round trip", [e["p95"] - e["trip"] for e in measured], "s", "<= 1.05")
    # By hand it would be one request a second for each, 20 for a run at the median.
    yield row(f"{where}: 20 looks by hand / requests per run", [20 / e["requests"] for e in measured], "x", ">= 30")


# Submitting


async def _mapped(server: Filled, count: int) -> float:
    """Runs per second through `map`."""
    async with flowrunner.connect_async(**{**server.settings, **PARAMETERS, **QUICK}) as client:
        started = time.perf_counter()
        async for item in client.map(server.flow, [None] * count, max_in_flight=64):
            assert item.error is None
        return count / (time.perf_counter() - started)


async def _looped(server: Filled, count: int) -> float:
    """The same by a loop: start runs until 64 are under way, then see by a list which of them still are."""
    async with flowrunner.connect_async(**{**server.settings, **PARAMETERS, **QUICK}) as client:
        started = time.perf_counter()
        live: set[str | None] = set()
        for _ in range(count):
            live.add((await client.submit(server.flow)).id)
            while len(live) >= 64:
                live &= await _going_on(client)
                if len(live) >= 64:
                    await asyncio.sleep(QUICK["poll_min"])
        while live:
            live &= await _going_on(client)
        return count / (time.perf_counter() - started)


async def _overlapped(server: Filled, count: int) -> float:
    """The same by hand: 64 tasks at a time that start a run each, and a list of what goes on for all of them."""
    ends: dict[str | None, asyncio.Future[None]] = {}
    turns = asyncio.Semaphore(64)
    async with flowrunner.connect_async(**{**server.settings, **PARAMETERS, **QUICK}) as client:

        async def one() -> None:
            async with turns:
                run = await client.submit(server.flow)
                ends[run.id] = asyncio.get_running_loop().create_future()
                await ends[run.id]

        async def look() -> None:
            while True:
                waiting = list(ends)
                for run_id in set(waiting) - await _going_on(client):
                    ends.pop(run_id).set_result(None)
                await asyncio.sleep(QUICK["poll_min"])

        started = time.perf_counter()
        looking = asyncio.create_task(look())
        await asyncio.gather(*(one() for _ in range(count)))
        looking.cancel()
        return count / (time.perf_counter() - started)


QUICK = {"poll_min": 0.05, "poll_max": 0.05}


async def _going_on(client: Any) -> set[str | None]:
    return {run.id async for run in client.runs(state=["queued", "running"])}


def _alone(way: Callable[[Filled, int], Coroutine[Any, Any, float]], count: int) -> float:
    """On a server of its own, since its lists grow with every run that was there before."""
    with Filled("fme-flow-v4") as server:
        server.script(0.0)
        return asyncio.run(way(server, count))


def submitting(count: int, repeat: int) -> Iterator[Row]:
    """`map` against two ways to do it by hand on the same client: a plain loop, and tasks that share a list."""
    measured = [[_alone(way, count) for way in (_mapped, _looped, _overlapped)] for _ in range(repeat)]
    where = f"map(max_in_flight=64), {count:,} runs: rate"
    yield row(where, [ours for ours, _, _ in measured], "runs/s")
    yield row(f"{where} / that of a loop", [ours / loop for ours, loop, _ in measured], "x", ">= 0.85")
    yield row(f"{where} / that of 64 tasks and a list", [ours / tasks for ours, _, tasks in measured], "x")


# Many at once


async def _refreshing(base_url: str, transport: str, at_once: int, count: int) -> tuple[float, float]:
    """Seconds, and CPU seconds, of a look, with so many at once."""
    async with flowrunner.connect_async(**_plain(base_url), transport=transport, max_connections=at_once) as client:
        runs = [client.attach(RunRef(client.name, client.backend, "", "1")) for _ in range(at_once)]
        await asyncio.gather(*(run.refresh() for run in runs))

        async def refresh(run: Any) -> None:
            for _ in range(count // at_once):
                await run.refresh()

        return await _timed(lambda: asyncio.gather(*map(refresh, runs)), count // at_once * at_once)


async def _stock(base_url: str, at_once: int, count: int) -> tuple[float, float]:
    """The same, by hand on one `httpx.AsyncClient`."""
    limits = httpx.Limits(max_connections=at_once, max_keepalive_connections=at_once)
    async with httpx.AsyncClient(limits=limits, timeout=60) as client:

        async def get(_: int) -> None:
            for _ in range(count // at_once):
                (await client.get(f"{base_url}/fmeapiv4/jobs/1")).json()

        await asyncio.gather(*(client.get(f"{base_url}/fmeapiv4/jobs/1") for _ in range(at_once)))
        return await _timed(lambda: asyncio.gather(*map(get, range(at_once))), count // at_once * at_once)


def _plain(base_url: str) -> dict[str, Any]:
    return {"backend": "fme-flow-v4", "base_url": base_url, "token": "benchmark-token"}


async def _timed(work: Callable[[], Awaitable[object]], count: int) -> tuple[float, float]:
    wall, cpu = time.perf_counter(), time.process_time()
    await work()
    return (time.perf_counter() - wall) / count, (time.process_time() - cpu) / count


def at_once(repeat: int) -> Iterator[Row]:
    """Many requests at once to a server that answers after 50 ms, over each transport that is installed, in turns."""
    transports = ("httpx", "aiohttp") if find_spec("aiohttp") is not None else ("httpx",)
    measured: dict[str, list[tuple[float, ...]]] = {transport: [] for transport in transports}
    with PlainServer(0.05) as server:
        for _ in range(repeat):
            stock, _ = asyncio.run(_stock(server.base_url, 100, 500))
            for transport in transports:
                measured[transport].append(_at_once(server.base_url, transport, stock))
    for transport, values in measured.items():
        share, multiple, growth, more_growth, cpu = zip(*values, strict=True)
        where = f"requests at once over {transport}, answered after 50 ms"
        yield row(f"100 {where}: share of the ideal throughput", share, "", ">= 0.85")
        yield row(f"100 {where}: throughput / one httpx.AsyncClient's", multiple, "x", ">= 10")
        yield row(f"100 {where}: CPU per request / that of one", growth, "x", "<= 1.1")
        yield row(f"500 {where}: CPU per request / that of ten", more_growth, "x", "<= 1.2")
        yield row(f"100 {where}: CPU per request", cpu, "us")


def _at_once(base_url: str, transport: str, stock: float) -> tuple[float, ...]:
    """The values of `at_once`; `stock` is the seconds a request takes by hand."""
    ask = partial(_refreshing, base_url, transport)
    cpu = {number: asyncio.run(ask(number, max(number * 20, 60)))[1] for number in (1, 10, 500)}
    wall, cpu[100] = asyncio.run(ask(100, 3000))
    return 0.05 / 100 / wall, stock / wall, cpu[100] / cpu[1], cpu[500] / cpu[10], cpu[100] * 1e6


def threads(repeat: int) -> Iterator[Row]:
    """A hundred threads on one client, against one thread, and against a hundred that have an httpx.Client each."""
    with Filled("fme-flow-v4") as simulator:
        (run_id,) = simulator.fill(1, 1e6)
        yield from _threads("the simulator", simulator.settings, run_id, 40, repeat)
    with PlainServer(0.05) as server:
        yield from _threads("answered after 50 ms", _plain(server.base_url), "1", 5, repeat)
    # As no vendor's server answers: nothing is left but threads that wait for each other.
    with PlainServer(0.0) as server:
        yield from _threads("answered at once", _plain(server.base_url), "1", 40, repeat)


def _threads(said: str, settings: dict[str, Any], run_id: str, each: int, repeat: int) -> Iterator[Row]:
    one, own = zip(*(_shared(settings, run_id, each) for _ in range(repeat)), strict=True)
    where = f"a hundred threads on one client, {said}: CPU per request"
    yield row(f"{where} / that of one", one, "x", "<= 1.3")
    yield row(f"{where} / by hand, a client for each", own, "x")


def _shared(settings: dict[str, Any], run_id: str, each: int) -> tuple[float, float]:
    """How many times as much a hundred threads take as one, and as a hundred by hand."""
    trust = httpx.create_ssl_context()
    address = f"{settings['base_url']}/fmeapiv4/jobs/{run_id}"
    headers = {"Authorization": f"fmetoken token={settings['token']}"}
    with flowrunner.connect(**settings) as client, ExitStack() as stack:
        refresh = client.attach(RunRef(client.name, client.backend, "", run_id)).refresh
        clients = [stack.enter_context(httpx.Client(verify=trust, headers=headers, timeout=60)) for _ in range(100)]
        ours = _in_threads([refresh] * 100, each)
        alone = _in_threads([refresh], each * 5)
        return ours / alone, ours / _in_threads([partial(_get, other, address) for other in clients], each)


def _get(client: httpx.Client, address: str) -> str:
    response = client.get(address)
    response.raise_for_status()
    return str(response.json()["status"])


def _in_threads(requests: Sequence[Callable[[], object]], each: int) -> float:
    """CPU seconds per request of so many threads."""

    def repeat(request: Callable[[], object]) -> None:
        for _ in range(each):
            request()

    workers = [threading.Thread(target=repeat, args=(request,)) for request in requests]
    started = time.process_time()
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return (time.process_time() - started) / len(requests) / each


SECOND_CLIENT = """
import time, flowrunner
def connect():
    started = time.perf_counter()
    client = flowrunner.connect(backend="fme-flow-v4", base_url={base_url!r}, token="benchmark-token")
    client.attach(flowrunner.RunRef(client.name, client.backend, "", "1")).refresh()
    return time.perf_counter() - started
print(connect() / min(connect() for _ in range(20)))
"""


def second_client(repeat: int) -> Iterator[Row]:
    """The first client of a program, with its first request, against the next one."""
    with PlainServer(0.0) as server:
        command = [sys.executable, "-c", SECOND_CLIENT.format(base_url=server.base_url)]
        done = [subprocess.run(command, check=True, capture_output=True, text=True).stdout for _ in range(repeat)]
    yield row("the first client of a program / the second, time", [*map(float, done)], "x", ">= 100")


async def _hurried(base_url: str) -> None:
    async with flowrunner.connect_async(**_plain(base_url), requests_per_second=20.0, max_connections=50) as client:
        runs = [client.attach(RunRef(client.name, client.backend, "", "1")) for _ in range(50)]
        await asyncio.gather(*(run.refresh() for run in runs), return_exceptions=True)
        await asyncio.sleep(3.0)
        await asyncio.gather(*(run.refresh() for run in runs), return_exceptions=True)


def budget(repeat: int) -> Iterator[Row]:
    """Twenty requests a second, with a 429 in between, and a pause."""
    most = []
    for _ in range(repeat):
        with PlainServer(0.0, refused=20) as server:
            asyncio.run(_hurried(server.base_url))
            came = server.came()
        most.append(float(max(sum(at <= other < at + 1.0 for other in came) for at in came)))
    yield row("requests_per_second=20: the most in any second", most, "", "<= 20")


def imports(repeat: int) -> Iterator[Row]:
    """What it takes to begin."""
    ours = "from flowrunner import connect, RunState"
    values = [process_time_of("-c", ours) / process_time_of("-c", "import httpx") for _ in range(repeat)]
    yield row("import / that of httpx, whole process", values, "x")


# The table


def measures(*, is_quick: bool) -> dict[str, Callable[[], Iterator[Row]]]:
    """The groups of rows, by a word."""
    few, some = (1, 3) if is_quick else (3, 5)
    sizes = (100, 10_000) if is_quick else (100, 1000, 10_000, 50_000)
    groups: dict[str, Callable[[], Iterator[Row]]] = {
        vendor: partial(following, vendor, sizes if vendor == VENDORS[0] else (10_000,), few) for vendor in VENDORS
    }
    return groups | {
        "overhead": overhead,
        "memory": partial(memory, few),
        "long-poll": partial(long_polls, (100,) if is_quick else (100, 500), few),
        "lists": partial(lists, few),
        "map": partial(submitting, 1000 if is_quick else 10_000, 1),
        "at-once": partial(at_once, some),
        "threads": partial(threads, some),
        "second": partial(second_client, some),
        "budget": partial(budget, few),
        "import": partial(imports, some),
    }


def shown(line: Row) -> str:
    """A line of the table."""
    verdict = {True: "reached", False: "NOT REACHED", None: ""}[line.is_reached]
    spread = f"({line.low:.3g} to {line.high:.3g}, {line.count})"
    return f"{line.name:<86} {line.value:>8.3g} {line.unit:<11} {spread:<24} {line.goal:<9} {verdict}".rstrip()


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="repeat less, and leave out the largest")
    parser.add_argument("--only", metavar="WORD", default="", help="only the groups whose name has the word")
    parser.add_argument("--json", metavar="FILE", type=Path, help="write the rows here, too")
    options = parser.parse_args()
    groups = measures(is_quick=options.quick)
    chosen = [measure for name, measure in groups.items() if options.only in name]
    if not chosen:
        parser.error(f"no group has {options.only!r} in its name; there are {', '.join(groups)}")
    rows = []
    for line in chain.from_iterable(measure() for measure in chosen):
        print(shown(line), flush=True)
        rows.append({**asdict(line), "is_reached": line.is_reached})
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
