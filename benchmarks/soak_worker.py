"""A program of the soak: it submits under its keys, follows each run to its end, and may be killed at any moment.

What it has to do stands in a file, see `Task`. What the library tells it goes into another one at once, a line each,
and what stands there is not done again by the process that comes after it.
"""

from __future__ import annotations

import asyncio
import json
import math
import multiprocessing
import os
import random
import threading
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from attrs import asdict, frozen

from flowrunner.client import AsyncClient, Client
from flowrunner.config import resolve
from flowrunner.enums import ReconcileOutcome
from flowrunner.errors import FlowrunnerError, RunNotFound, SubmissionUncertain
from flowrunner.journal import Journal

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

AT_ONCE: Final = 4
"""Keys that a worker works on at once."""
PAUSE: Final = 2.0
"""Seconds, of the soak's clock, before something that failed is tried again."""
TRIES: Final = 40


@frozen
class Job:
    """What is submitted under a key."""

    key: str
    flow: str
    parameters: dict[str, Any] | None = None
    payload: str | None = None


@frozen
class Task:
    """What a worker has to do.

    Attributes:
        backend: where it submits.
        settings: of the connection.
        mode: "sync", "async", or "settle" for the one that asks after all that is open, and starts nothing.
        journal: the file that all workers share.
        told: the file for what it is told, its own.
        jobs: the keys it works on.
        began: when the soak did, as an aware time in ISO form.
        speed: seconds of the soak's clock per real one.
    """

    backend: str
    settings: dict[str, Any]
    mode: str
    journal: str
    told: str
    jobs: list[Job]
    began: str
    speed: float

    @classmethod
    def read(cls, path: Path) -> Task:
        """As `write` has written it."""
        values = json.loads(path.read_text())
        return cls(**{**values, "jobs": [Job(**job) for job in values["jobs"]]})

    def write(self, path: Path) -> None:
        """Into a file."""
        path.write_text(json.dumps(asdict(self)))


class FastClock:
    """The time of the soak, which is that of its servers: all of it runs as many times as fast as the machine's."""

    def __init__(self, began: str, speed: float) -> None:
        self._began = datetime.fromisoformat(began)
        self._speed = speed

    def now(self) -> datetime:
        """The time of day, the same in all processes of the soak."""
        real = datetime.now(self._began.tzinfo) - self._began
        return self._began + timedelta(seconds=real.total_seconds() * self._speed)

    def monotonic(self) -> float:
        """Seconds since some fixed instant."""
        return time.monotonic() * self._speed

    def sleep(self, seconds: float) -> None:
        """Block this thread."""
        time.sleep(seconds / self._speed)

    async def asleep(self, seconds: float) -> None:
        """Suspend this task."""
        await asyncio.sleep(seconds / self._speed)

    def rest(self, seconds: float, news: threading.Event) -> None:
        """Block this thread until there is news."""
        news.wait(None if seconds == math.inf else seconds / self._speed)

    async def arest(self, seconds: float, news: asyncio.Event) -> None:
        """As `rest`, of this task."""
        with suppress(TimeoutError):
            async with asyncio.timeout(None if seconds == math.inf else seconds / self._speed):
                await news.wait()

    def chance(self) -> float:
        """A number from 0 to 1."""
        return random.random()


class InThreads:
    """A `Client`, or a `Run`, with the methods of its async twin, each call in a thread: one program for both."""

    def __init__(self, wrapped: Any) -> None:
        self._wrapped = wrapped

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._wrapped, name)
        if name == "attach":
            return lambda ref: InThreads(value(ref))
        if not callable(value):
            return value

        async def called(*args: Any, **kwargs: Any) -> Any:
            return _threaded(await asyncio.to_thread(value, *args, **kwargs))

        return called


def _threaded(value: Any) -> Any:
    if isinstance(value, list):
        return [InThreads(each) for each in value]
    return InThreads(value) if hasattr(value, "reconcile") else value


class Teller:
    """Writes down what was told, so that it is there whatever happens next."""

    def __init__(self, path: str) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def tell(self, key: str, **what: Any) -> None:
        """Add a line, in one write."""
        os.write(self._file, (json.dumps({"key": key, **what}) + "\n").encode())


class Worker:
    """Does a task."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self._clock = FastClock(task.began, task.speed)
        self._told = Teller(task.told)

    async def work(self) -> None:
        """Do all that is not done yet."""
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(2 * AT_ONCE))
        client = self._client()
        try:
            await (self._settle(client) if self._task.mode == "settle" else self._go_on(client))
        finally:
            await client.close()

    def _client(self) -> Any:
        name = self._task.backend
        connection = resolve(name, backend=name, config={"connections": {name: self._task.settings}}, arguments={})
        journal = Journal.open(self._task.journal, now=self._clock.now)
        kind = AsyncClient if self._task.mode == "async" else Client
        client = kind(connection, clock=self._clock, journal=lambda: journal)
        return client if self._task.mode == "async" else InThreads(client)

    async def _go_on(self, client: Any) -> None:
        """Recover, as a program does that was started again; then the keys."""
        done = {line["key"] for line in _lines(self._task.told) if "state" in line}
        try:
            await client.recover()
        except FlowrunnerError:
            await self._clock.asleep(PAUSE)  # the keys are submitted again, which asks after each
        await _each(partial(self._do, client), [job for job in self._task.jobs if job.key not in done])

    async def _do(self, client: Any, job: Job) -> None:
        """Submit until there is a run, or it is uncertain whether there is; then follow it."""
        for _ in range(TRIES):
            try:
                payload = None if job.payload is None else job.payload.encode()
                run = await client.submit(job.flow, job.parameters, payload=payload, key=job.key)
            except SubmissionUncertain as error:
                run = client.attach(error.handle)
                if await self._is_open(run):
                    return
            except FlowrunnerError:
                run = None  # refused, or two runs have this key: the same key again tells
            if run is not None and run.id is not None:
                await self._follow(run)
                return
            await self._clock.asleep(PAUSE)

    async def _is_open(self, run: Any) -> bool:
        """Whether asking the vendor leaves it open if there is a run."""
        try:
            found = await run.reconcile()
        except FlowrunnerError:
            return False
        return found.outcome in {ReconcileOutcome.CANDIDATES, ReconcileOutcome.UNKNOWABLE}

    async def _follow(self, run: Any) -> None:
        """Tell the id, and how it ends."""
        key = run.ref.key
        self._told.tell(key, id=run.id)
        self._told.tell(key, id=run.id, state=await self._end_of(run))

    async def _end_of(self, run: Any) -> str:
        while True:
            try:
                return (await run.wait(raise_on_failure=False)).status.state
            except RunNotFound:
                return "not_found"
            except FlowrunnerError:
                if run.status.state.is_final:  # its details could not be read
                    return run.status.state
                await self._clock.asleep(PAUSE)

    async def _settle(self, client: Any) -> None:
        """Ask after all that is open, of whomever it is."""
        await _each(self._close, await self._patiently(client.recover))

    async def _close(self, run: Any) -> None:
        found = await self._patiently(run.reconcile)
        if run.id is not None:
            await self._follow(run)
        else:
            self._told.tell(run.ref.key, outcome=found.outcome, candidates=[ref.id for ref in found.candidates])

    async def _patiently(self, ask: Callable[[], Awaitable[Any]]) -> Any:
        """What it says in the end: a machine that is busy is no reason to know less."""
        while True:
            try:
                return await ask()
            except FlowrunnerError:
                await self._clock.asleep(PAUSE)


async def _each(function: Callable[[Any], Awaitable[None]], items: Iterable[Any]) -> None:
    """Call it with each, a few at once."""
    turns = asyncio.Semaphore(AT_ONCE)

    async def in_turn(item: Any) -> None:
        async with turns:
            await function(item)

    async with asyncio.TaskGroup() as tasks:
        for item in items:
            tasks.create_task(in_turn(item))


def _lines(path: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path(path).read_text().splitlines()]


def run(task: Path, up: Path, errors: Path) -> None:
    """Do a task, as a process of its own; that it has begun, and what breaks it, stands in files."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    up.touch()
    try:
        asyncio.run(Worker(Task.read(task)).work())
    except BaseException:  # noqa: BLE001 - whatever it is breaks the soak, with this text
        errors.write_text(traceback.format_exc())
        raise SystemExit(1) from None


def _end_with_parent() -> None:
    """Whatever ends the soak ends its programs."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
