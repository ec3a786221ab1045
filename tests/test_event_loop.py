"""Nothing on the event loop blocks, whatever an AsyncClient does: under load, and closely watched."""

import asyncio
import gc
import os
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from flowrunner.client import AsyncClient
from flowrunner.enums import RunState
from flowrunner.errors import FlowrunnerError
from flowrunner.http import addresses
from flowrunner.journal import Journal
from flowrunner.journal.database import Database

FLOW = "Samples/austinDownload.fmw"
EVERY = "Samples/everyParameter.fmw"
LONG = 0.1
"""Seconds of computing that a step on the loop may take at most."""
SERVER = """
import sys
from flowrunner.simulator import EVERY_PARAMETER, Behaviour, RealClock, Simulator
with Simulator("fme-flow-v3", token="s3cr3t-t0ken", engines=50, clock=RealClock(speed=20)) as simulator:
    simulator.publish(EVERY_PARAMETER)
    for flow in ("Samples/austinDownload.fmw", "Samples/everyParameter.fmw"):
        simulator.pool.script(flow, Behaviour(duration=5))
    print(simulator.base_url, flush=True)
    sys.stdin.read()
"""


@pytest.fixture(scope="module")
def address():
    """A simulator in a process of its own, which takes nothing of this one's time."""
    with subprocess.Popen([sys.executable, "-c", SERVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        yield process.stdout.readline().decode().strip()
        process.stdin.close()


class Watch:
    """Notes what may block and is called in one thread."""

    EVENTS = frozenset({
        "open", "os.listdir", "os.mkdir", "os.remove", "os.rename", "os.scandir", "socket.getaddrinfo",
        "sqlite3.connect", "subprocess.Popen", "time.sleep",
    })  # fmt: skip

    def __init__(self):
        self.thread, self.seen = None, []
        sys.addaudithook(self._audit)  # which stays, and does nothing once the thread is none

    def _audit(self, event, arguments):
        if event in self.EVENTS and threading.get_ident() == self.thread:
            self.note(event, arguments)

    def note(self, what, arguments):
        """Note a call; not one for an import, or for a line of source that asyncio shows."""
        if threading.get_ident() != self.thread:
            return
        frame = sys._getframe(1)
        names = []
        while frame is not None:
            names.append(f"{frame.f_code.co_filename}:{frame.f_lineno}")
            frame = frame.f_back
        if not any("importlib" in name or "linecache" in name for name in names):
            self.seen.append((what, arguments, [name for name in names if "flowrunner" in name][:3]))

    @contextmanager
    def over(self, monkeypatch):
        """Watch this thread."""
        self.seen = []
        for module, name in ((os, "stat"), (os, "fsync"), (Database, "_held")):
            monkeypatch.setattr(module, name, self._noting(name, getattr(module, name)))
        monkeypatch.setattr(asyncio.Handle, "_run", self._timing(asyncio.Handle._run))
        gc.freeze()  # to go through what other tests have left may take the garbage collector as long as a step may
        self.thread = threading.get_ident()
        try:
            yield
        finally:
            self.thread = None
            gc.unfreeze()

    def _noting(self, name, function):
        def noting(*arguments, **more):
            self.note(name, arguments)
            return function(*arguments, **more)

        return noting

    def _timing(self, run):
        def timed(handle):
            began = time.thread_time()
            run(handle)
            if time.thread_time() - began > LONG:
                self.note("computed", (repr(handle), time.thread_time() - began))

        return timed


@pytest.fixture
def memory():
    """A folder in memory where there is one: how long a disk takes is not what is measured."""
    shared = Path("/dev/shm")
    with TemporaryDirectory(dir=shared if shared.is_dir() else None) as folder:
        yield Path(folder)


@pytest.fixture(scope="module")
def watch():
    """What may block."""
    return Watch()


async def load(client, folder, count):
    """Submit, follow, watch and cancel many runs at once, and move files there and back; how the runs ended."""
    local = folder / "local.bin"

    async def waited(number):
        run = await client.submit(FLOW, {"MAXY": number}, key=f"waited-{count}-{number}")
        return (await run.wait(timeout=60, raise_on_failure=False)).status.state

    async def watched(number):
        run = await client.submit(FLOW, {"MAXY": number})
        return [status async for status in run.watch(timeout=60)][-1].state

    async def cancelled(number):
        run = await client.submit(FLOW, {"MAXY": number})
        await run.cancel()
        result = await run.wait(timeout=60, raise_on_failure=False)
        async for line in run.logs():
            assert isinstance(line, str)
        return result.status.state

    async def moved(number):
        remote = await client.upload(local)
        back = await client.download(remote, folder / f"back-{number}.bin")
        await client.download(remote, back.parent)
        run = await client.submit(EVERY, {"mandatory": "x", "SourceDataset_GML": local})
        await client.remove(remote)
        return (await run.wait(timeout=60, raise_on_failure=False)).status.state

    kinds = [waited, watched, cancelled, moved]
    return await asyncio.gather(*(kinds[number % 4](number) for number in range(count)), return_exceptions=True)


def test_nothing_blocks_the_loop(address, watch, connected, memory, tmp_path, monkeypatch):  # noqa: PLR0917 - fixtures, by their names
    """With many runs and files under way no step takes long, and none opens, reads, waits, or looks up a name."""
    (tmp_path / "local.bin").write_bytes(os.urandom(2**20))
    connection = connected(address, backend="fme-flow-v3", poll_max=1, max_connections=10)
    journal = Journal.open(memory / "journal.sqlite3")

    async def program():
        async with AsyncClient(connection, journal=lambda: journal) as client:
            await load(client, tmp_path, 4)  # what is imported at the first use
        addresses.tls_context.cache_clear()
        second = Journal.open(memory / "journal.sqlite3")
        with watch.over(monkeypatch):
            async with AsyncClient(connection, journal=lambda: second) as client:
                states = await load(client, tmp_path, 100)
                await client.recover()
                assert [run async for run in client.runs(limit=5)]
                assert (await client.health()).reachable
        return states

    states = asyncio.run(program())
    assert not [each for each in states if isinstance(each, FlowrunnerError)]
    assert {RunState.SUCCEEDED} <= set(states)
    assert watch.seen == []


def test_the_watch_sees_what_blocks(watch, tmp_path, monkeypatch):
    """The watch would notice."""
    with watch.over(monkeypatch):
        (tmp_path / "x").open("w").close()
        (tmp_path / "x").stat()
    assert [what for what, *_ in watch.seen] == ["open", "stat"]
