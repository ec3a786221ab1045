"""Who is cancelled, or interrupted, in the middle of anything leaves nothing open: no connection, thread or file."""

import asyncio
import gc
import itertools
import os
import socket
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from flowrunner.client import AsyncClient, Client
from flowrunner.errors import FlowrunnerError
from flowrunner.journal import Journal
from flowrunner.simulator import EVERY_PARAMETER, Behaviour, RealClock, Simulator

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="what is open is counted in /proc")

FLOW = "Samples/austinDownload.fmw"
EVERY = "Samples/everyParameter.fmw"
MIB = 2**20


@pytest.fixture(scope="module")
def simulator():
    """A server on which runs take no time, or go on for ever."""
    with Simulator("fme-flow", clock=RealClock(speed=50), engines=50) as serving:
        serving.publish(EVERY_PARAMETER)
        serving.pool.script(FLOW, Behaviour(duration=0.5))
        serving.pool.script(EVERY, Behaviour(duration=1e6))
        yield serving


@pytest.fixture
def folder():
    """A folder in memory, where there is one."""
    shared = Path("/dev/shm")
    with TemporaryDirectory(dir=shared if shared.is_dir() else None) as name:
        (Path(name) / "local.bin").write_bytes(os.urandom(MIB))
        (Path(name) / "to").mkdir()
        yield Path(name)


@pytest.fixture
def settings(simulator, connected):
    """The settings of a connection to it."""
    return connected(
        simulator.base_url,
        simulator.token,
        backend="fme-flow-v3",
        poll_min=0.05,
        poll_max=0.5,
        retries=0,
        check_parameters=False,
    )


def opened():
    """What this process has open of files and connections, as the system tells."""
    found = []
    for each in Path("/proc/self/fd").iterdir():
        with suppress(OSError):
            found.append(str(each.readlink()))
    return {kind: [name for name in found if kind in name] for kind in ("socket:", "local.bin", ".part", "sqlite3")}


def working():
    """The threads there are, but those in which the simulator reads its files."""
    return [each for each in threading.enumerate() if not each.name.startswith("AnyIO")]


def nothing_new(before):
    """Whether no more is open than before, once the server has noticed that, too; what is if not."""
    for _ in range(500):
        gc.collect()
        more = {kind: names for kind, names in opened().items() if len(names) > len(before[kind])}
        if not more:
            break
        time.sleep(0.01)
    return more == {} or more


# What is done: each gets a client, a run that goes on for ever, one that has ended, and a folder


async def submit(client, live, ended, folder):
    """Start a run."""
    await client.submit(FLOW, {"MAXY": 1})


async def submit_file(client, live, ended, folder):
    """Start a run that reads a file from here."""
    await client.submit(EVERY, {"mandatory": "x", "SourceDataset_GML": folder / "local.bin"})


async def wait(client, live, ended, folder):
    """Wait for the end."""
    await live.wait(timeout=0.2, raise_on_failure=False)


async def watch(client, live, ended, folder):
    """Watch a run to its end."""
    async for _ in live.watch(timeout=0.2):
        pass


async def run_at_vendor(client, live, ended, folder):
    """Have the server wait."""
    await client.run(FLOW, server_wait=True, timeout=5)


async def upload(client, live, ended, folder):
    """Bring a file to the server."""
    await client.upload(folder / "local.bin")


async def download(client, live, ended, folder):
    """Get one back."""
    await client.download(client.stored, folder / "to")


async def logs(client, live, ended, folder):
    """Read a log to its end, slowly."""
    async for _ in ended.logs():
        await asyncio.sleep(0)


async def cancel(client, live, ended, folder):
    """Cancel a run."""
    await client.attach(live.ref).cancel()


async def recover(client, live, ended, folder):
    """Look for what was lost."""
    await client.recover()


DEEDS = [submit, submit_file, wait, watch, run_at_vendor, upload, download, logs, cancel, recover]


class Turns:
    """Cancels a task once it has been at work for so many turns of the loop."""

    def __init__(self, task, turns):
        self._task, self._left = task, turns
        asyncio.get_running_loop().call_soon(self._turn)

    def _turn(self):
        self._left -= 1
        if self._left < 0:
            self._task.cancel()
        elif not self._task.done():
            asyncio.get_running_loop().call_soon(self._turn)


@pytest.fixture
def started(settings, folder):
    """Open a client with a journal, a run that goes on, and one that has ended."""

    async def start():
        journal = Journal.open(folder / "state" / "journal.sqlite3")
        client = AsyncClient(settings, journal=lambda: journal)
        client.stored = await client.upload(folder / "local.bin")
        live = await client.submit(EVERY, {"mandatory": "x"})
        ended = await client.submit(FLOW)
        await ended.wait(timeout=30)
        return client, live, ended

    return start


async def settled(condition):
    """Wait until something is so: threads that were at work when their task was cancelled finish what they do."""
    for _ in range(500):
        if condition():
            return True
        await asyncio.sleep(0.01)
    return False


# anyio, and Python's own `socket`, let go of a connection that is just being made: the garbage collector closes it.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore:unclosed:ResourceWarning")
@pytest.mark.parametrize("deed", DEEDS)
def test_a_task_that_is_cancelled_anywhere_leaves_nothing_open(deed, started, folder):
    """Cancelled after any number of turns of the loop, it holds no connection, file or thread; the client works on."""

    async def program():
        client, live, ended = await started()
        cancelled = 0
        turns = 0
        while True:
            task = asyncio.ensure_future(deed(client, live, ended, folder))
            Turns(task, turns)
            done, _ = await asyncio.wait([task])
            assert done == {task}
            if not task.cancelled():
                with suppress(FlowrunnerError):
                    task.result()
                break
            cancelled += 1
            del task, done
            assert await settled(lambda: held_in(client._session) == []), (turns, held_in(client._session))
            assert [each.name for each in folder.iterdir() if each.name not in {"local.bin", "to", "state"}] == []
            assert [each.name for each in (folder / "to").iterdir() if each.name.startswith(".")] == []
            turns += 1 if turns < 40 else turns // 4
        assert (await client.health()).reachable
        assert cancelled
        await client.close()
        await asyncio.get_running_loop().shutdown_default_executor()

    before, threads = opened(), set(working())
    asyncio.run(program())
    assert nothing_new(before) is True
    assert set(working()) <= threads


def held_in(session):
    """Connections that are lent, and those that are ready although they are neither idle nor closed."""
    found = []
    for route, connections in session._transports.items():
        free = connections._places.qsize() if hasattr(connections, "_places") else connections._free._value
        found += [route] * (session._settings.max_connections - free)
        for _, transport in connections._idle._stack:
            found += [each for each in transport._pool._connections if not (each.is_idle() or each.is_closed())]
    return found


# Interrupted

POINTS = [(socket.socket, "connect"), (socket.socket, "sendall"), (socket.socket, "recv")]
CALLS = {
    "submit": lambda client, run, folder: client.submit(FLOW, {"MAXY": 1}),
    "wait": lambda client, run, folder: run.wait(timeout=1, raise_on_failure=False),
    "upload": lambda client, run, folder: client.upload(folder / "local.bin"),
    "download": lambda client, run, folder: client.download(client.stored, folder / "to"),
    "logs": lambda client, run, folder: [*run.logs()],
    "cancel": lambda client, run, folder: client.attach(run.ref).cancel(),
    "recover": lambda client, run, folder: client.recover(),
}


class Interrupt:
    """Raises KeyboardInterrupt in one thread, at the nth call of what is wrapped."""

    def __init__(self, number):
        self.left, self.thread = number, threading.get_ident()

    def before(self, function):
        """The function, interrupted before it does anything."""

        def interrupted(*arguments, **more):
            if threading.get_ident() == self.thread:
                self.left -= 1
                if self.left == 0:
                    raise KeyboardInterrupt
            return function(*arguments, **more)

        return interrupted


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore:unclosed:ResourceWarning")
@pytest.mark.parametrize("call", CALLS)
def test_an_interrupt_leaves_nothing_open(call, settings, folder, monkeypatch):
    """Interrupted whenever it connects, sends or receives, a Client holds no connection or file, and works on."""
    before, threads = opened(), set(working())
    (folder / "other").mkdir()
    with Client(settings, journal=lambda: Journal.open(folder / "state" / "journal.sqlite3")) as client:
        client.stored = client.upload(folder / "local.bin")
        run = client.submit(FLOW)
        run.wait(timeout=30)
        for (owner, name), number in itertools.product(POINTS, (1, 2, 3, 9)):
            client._session.close()  # so that it has to connect again
            client._session._closed = False
            with monkeypatch.context() as patch, suppress(KeyboardInterrupt, FlowrunnerError):
                patch.setattr(owner, name, Interrupt(number).before(getattr(owner, name)))
                CALLS[call](client, run, folder)
            assert held_in(client._session) == []
            assert [each.name for each in (folder / "to").iterdir() if each.name.startswith(".")] == []
        assert client.health().reachable
    assert nothing_new(before) is True
    assert set(working()) <= threads
