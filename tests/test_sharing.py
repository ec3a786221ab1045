"""Who uses a connection in the same process shares its client, and harms no other who does."""

import asyncio
import gc
import logging
import math
import os
import sys
import threading
import traceback
import weakref
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar, copy_context
from functools import partial

import pytest

import flowrunner
from flowrunner import RunState, client, hosting, share, share_async, shared, sharing
from flowrunner.clock import SystemClock
from flowrunner.config import credentials
from flowrunner.errors import ClientClosed, ConfigError, InvalidRequest, WaitTimeout
from flowrunner.http import sessions
from flowrunner.simulator import Behaviour, RealClock, Simulator
from flowrunner.testing.stage import Stage

FLOW = "Samples/austinDownload.fmw"
VARIABLE = ContextVar("VARIABLE", default="nobody's")


@pytest.fixture
def stage(tmp_path):
    """Simulators and clients on one clock."""
    with pytest.MonkeyPatch.context() as patch, Stage(patch, lambda: tmp_path) as stage:
        yield stage
        _until(lambda: not _hosted())  # before their clock ends


@pytest.fixture
def fme(stage):
    """A simulated FME Flow, on a socket, that the application calls `prod`; its runs take two minutes."""
    simulator = stage.start("fme-flow-v4", connection="prod", engines=1000, real_socket=True)
    simulator.pool.script(FLOW, Behaviour(duration=120.0))
    return simulator


@pytest.fixture
def simulator():
    """An FME Flow in real time, twenty times as fast as life."""
    with Simulator("fme-flow-v4", clock=RealClock(speed=20)) as simulator:
        yield simulator


class HandClock(SystemClock):
    """Time that moves when a test moves it."""

    time = 0.0

    def monotonic(self):
        """Seconds since the beginning."""
        return self.time

    async def arest(self, seconds, news):
        """Until there is news, or it has been moved so far."""
        until = self.time + seconds
        await _until_async(lambda: self.time >= until or news.is_set(), pause=0.0)

    async def passes(self, seconds):
        """Let time pass, and those who waited for it do what they do then."""
        self.time += seconds
        for _ in range(20):
            await asyncio.sleep(0)


@pytest.fixture
def hand(monkeypatch):
    """The time of all clients."""
    clock = HandClock()
    monkeypatch.setattr(client, "SystemClock", lambda: clock)
    return clock


@pytest.fixture
def fme_share(simulator):
    """Share an FME Flow without a configuration."""
    return partial(share_async, backend="fme-flow-v4", **simulator.settings)


def _hosted():
    host = hosting._host._host
    return [] if host is None else list(shared._loops.get(host._loop, ()))


def _until(condition):
    """Let other threads do what they do."""
    for _ in range(10_000):
        if condition():
            return
        threading.Event().wait(0.001)
    raise AssertionError("it does not come")


async def _until_async(condition, pause=0.001):
    """Let others do what they do: threads, only while the loop pauses."""
    for _ in range(1_000_000 if pause == 0 else 10_000):
        if condition():
            return
        await asyncio.sleep(pause)
    raise AssertionError("it does not come")


def submitted(count):
    """References of so many runs, which were started elsewhere."""
    with flowrunner.connect("prod", check_parameters=False) as client:
        return [client.submit(FLOW).ref for _ in range(count)]


async def follow(ref, **settings):
    """As a trigger of an engine does, which knows of no other."""
    async with share_async("prod", **settings) as client:
        return await client.attach(ref).wait()


def shared_here():
    """What is shared in this loop."""
    return list(shared._loops.get(asyncio.get_running_loop(), ()))


def users():
    """How many use each client of this loop."""
    return [each._users for each in shared_here()]


def is_closed(client):
    """Whether nothing more can be done with it."""
    return client._session._closed


# Who shares


def test_all_in_a_loop_have_the_same_client(fme):
    """By whatever ways the same connection is come to, and also if all come at once."""

    async def come(all_in, **more):
        async with share_async("prod", **more) as client:
            await all_in.wait()
            return client

    async def main():
        all_in = asyncio.Barrier(50)
        ways = [{}, {"token": fme.token}, {"backend": "fme-flow-v4"}, {"journal": False}, {"idle": 5}]
        return await asyncio.gather(*(come(all_in, **ways[number % len(ways)]) for number in range(50)))

    assert len({id(client) for client in asyncio.run(main())}) == 1


OTHERS = [{"token": "another-t0ken"}, {"poll_min": 7.0}, {"journal": True}]


@pytest.mark.parametrize("other", OTHERS, ids=lambda other: next(iter(other)))
def test_another_connection_has_another_client(fme, other):
    """Another credential, setting or journal, and another name, even of the same server."""

    async def main():
        async with share_async("prod") as client, share_async("prod", **other) as another:
            return client is another

    assert not asyncio.run(main())


def test_two_connections_stay_apart(fme, stage):
    """Each client asks its own server, under its own name."""
    second = stage.start("fme-flow-v4", connection="second", real_socket=True)

    async def main():
        async with share_async("prod") as client, share_async("second") as another:
            await client.health()
            await another.submit(FLOW)
            return client.name, another.name

    assert asyncio.run(main()) == ("prod", "second")
    assert len(fme.requests.matching("*/jobs", "POST")) == 0
    assert len(second.requests.matching("*/jobs", "POST")) == 1


def test_a_journal_is_the_same_by_any_path(fme, tmp_path, monkeypatch):
    """Relative, absolute or over a link; and it is written to."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "link.sqlite3").symlink_to("own.sqlite3")

    async def main():
        ways = ["own.sqlite3", tmp_path / "own.sqlite3", "link.sqlite3"]
        async with share_async("prod", journal=ways[0]) as client:
            for way in ways:
                async with share_async("prod", journal=way) as same:
                    assert same is client
            await client.submit(FLOW, key="once")
            return (await client.submit(FLOW, key="once")).id

    assert asyncio.run(main()) == "1"
    assert (tmp_path / "own.sqlite3").stat().st_size


def test_reading_secrets_does_not_block_the_loop(fme, monkeypatch):
    """A keyring may take its time: the loop goes on meanwhile."""
    goes_on = threading.Event()

    def slow(service, user):
        assert goes_on.wait(10)
        return fme.token

    async def main():
        asyncio.get_running_loop().call_later(0.01, goes_on.set)
        async with share_async("prod", token={"keyring": "fme/prod"}) as client:
            return (await client.health()).authenticated

    monkeypatch.setattr(credentials, "_keyring_entry", slow)
    assert asyncio.run(main())


def test_no_secret_is_shown(fme):
    """Not by what is handed out, nor by the frames of a traceback."""

    async def main():
        sharing = share_async("prod", token="s3cr3t-t0ken")
        async with sharing as client:
            shown = [repr(each) for each in (sharing, vars(sharing), client, *shared._loops.values())]
            shown += [repr(vars(each)) for each in shared_here()]
        for wrong in (share_async("prod", token="s3cr3t-t0ken", tokn="x"), share_async("prod", token="s3cr3t-t0ken")):
            try:
                async with wrong:
                    raise ConfigError("ours")  # noqa: TRY301 - to see the frames
            except ConfigError as error:
                shown.extend(traceback.TracebackException.from_exception(error, capture_locals=True).format())
        return "".join(shown)

    assert "s3cr3t-t0ken" not in asyncio.run(main()).replace('token="s3cr3t-t0ken"', "")  # the lines of this file


# Many


class Seeking:
    """Counts how often it was sought what is to be shared, and seeks it when it may; the first time may fail."""

    def __init__(self, monkeypatch):
        self.sought, self.may, self.is_failing = [], threading.Event(), False
        self._seek = sharing._target
        monkeypatch.setattr(sharing, "_target", self)

    def __call__(self, *wanted):
        """Seek it."""
        self.sought.append(wanted[0])
        first = len(self.sought) == 1
        assert self.may.wait(10)
        if first and self.is_failing:
            raise ConfigError("it is being written")
        return self._seek(*wanted)


@pytest.fixture
def seeking(monkeypatch):
    """Holds what is sought until it may be found."""
    seeking = Seeking(monkeypatch)
    yield seeking
    seeking.may.set()


async def _sharing(**settings):
    async with share_async("prod", **settings) as client:
        return id(client)


async def _begun(*waits):
    tasks = [asyncio.create_task(each) for each in waits]
    for _ in range(5):
        await asyncio.sleep(0)
    return tasks


def test_those_who_come_at_once_have_it_sought_once(fme, seeking):
    """One thread resolves the connection for all who want the same; who comes later has it resolved anew."""

    async def main():
        tasks = await _begun(*(_sharing() for _ in range(50)), _sharing(timeout=7))
        seeking.may.set()
        clients = await asyncio.gather(*tasks)
        assert len(seeking.sought) == 2
        assert len(set(clients[:-1])) == 1
        assert clients[-1] != clients[0]
        await _sharing()
        assert len(seeking.sought) == 3

    asyncio.run(main())


def test_where_it_is_not_found_the_others_seek_it_themselves(fme, seeking):
    """An error is that of the one whose thread met it: what was wrong may be mended a moment later."""
    seeking.is_failing = True

    async def main():
        tasks = await _begun(*(_sharing() for _ in range(3)))
        seeking.may.set()
        failed, *clients = await asyncio.gather(*tasks, return_exceptions=True)
        assert isinstance(failed, ConfigError)
        assert len(set(clients)) == 1
        assert len(seeking.sought) == 2

    asyncio.run(main())


@pytest.mark.parametrize("cancelled", [0, 1], ids=["who seeks", "who waits"])
def test_one_that_is_cancelled_while_it_is_sought_harms_no_other(fme, seeking, cancelled):
    """The others get their client, whether it was the one that sought it or one of them."""

    async def main():
        tasks = await _begun(*(_sharing() for _ in range(3)))
        tasks.pop(cancelled).cancel()
        await asyncio.sleep(0)
        seeking.may.set()
        assert len(set(await asyncio.gather(*tasks))) == 1
        assert len(seeking.sought) == 2 - cancelled

    asyncio.run(main())
    assert sharing._underway == []


# What opens a connection leaves a coroutine, where it is cancelled before its first step.
@pytest.mark.filterwarnings("ignore:coroutine 'connect_tcp:RuntimeWarning")
def test_two_hundred_wait_at_the_price_of_one_list(fme):
    """A cycle is a list or two for all of them; half of the waits are given up, which costs no other its own."""
    fme.pool.script(FLOW, Behaviour(duration=300.0))
    refs = submitted(200)
    fme.requests.clear()

    async def wait(ref, all_in):
        async with share_async("prod", poll_min=5.0) as client:
            await all_in.wait()
            return await client.attach(ref).wait()

    async def main():
        all_in = asyncio.Barrier(200)
        waits = [asyncio.create_task(wait(ref, all_in)) for ref in refs]
        await _until_async(lambda: users() == [200] and lists())
        for each in waits[::2]:
            each.cancel()
        return await asyncio.gather(*waits, return_exceptions=True)

    def lists():
        return fme.requests.matching("*/jobs", "GET")

    results = asyncio.run(main())
    assert {type(result) for result in results[::2]} == {asyncio.CancelledError}
    assert {result.status.state for result in results[1::2]} == {RunState.SUCCEEDED}
    assert len(lists()) <= 300 / 5 * 2
    # At the end each reads its own details.
    assert len(fme.requests) - len(lists()) <= 20 + 2 * 100


def test_nobody_closes_it_for_the_others(fme):
    """Not by a block of its own, either."""
    (ref,) = submitted(1)

    async def main():
        async with share_async("prod") as client:
            wait = asyncio.create_task(follow(ref))
            async with client:
                await client.close()
            return (await wait).status.state

    assert asyncio.run(main()) is RunState.SUCCEEDED


def test_what_somebody_raises_is_theirs(fme):
    """It comes out of their block as it is, and they are gone."""

    async def main():
        async with share_async("prod") as client:
            with pytest.raises(ZeroDivisionError):
                async with share_async("prod"):
                    raise ZeroDivisionError
            return is_closed(client)

    assert not asyncio.run(main())


# How long


def test_it_is_kept_for_a_while(fme_share, hand):
    """It is closed `idle` seconds after the last one left; who comes before that has it, and the time begins anew."""

    async def main():
        async with fme_share(idle=30) as first:
            pass
        for _ in range(3):
            await hand.passes(29.0)
            async with fme_share(idle=30) as again:
                assert again is first
        await hand.passes(29.0)
        assert not is_closed(first)
        await hand.passes(2.0)
        assert is_closed(first)
        async with fme_share(idle=30) as another:
            return another is first, (await another.health()).reachable

    assert asyncio.run(main()) == (False, True)


def test_it_is_not_closed_while_it_is_used(fme_share, hand):
    """However long that is, whoever leaves meanwhile."""

    async def main():
        async with fme_share(idle=1) as client:
            await hand.passes(1000.0)
            async with fme_share(idle=1):
                pass
            await hand.passes(1000.0)
            return is_closed(client)

    assert not asyncio.run(main())


def test_who_leaves_last_says_for_how_long(fme_share, hand):
    """None is at once, and until it is over the client is kept, however often memory is cleared."""

    async def main():
        async with fme_share(idle=100), fme_share(idle=0) as client:
            pass
        await hand.passes(99.0)
        gc.collect()
        assert not is_closed(client)
        async with fme_share(idle=0) as same:
            assert same is client
        await hand.passes(0.0)
        return is_closed(client)

    assert asyncio.run(main())


@pytest.mark.parametrize("idle", [-1, float("nan"), float("inf")])
def test_idle_is_a_duration(fme, idle):
    """Else that is told before there is a client."""

    async def main():
        with pytest.raises(InvalidRequest, match="seconds"):
            async with share_async("prod", idle=idle):
                pass
        return users()

    assert asyncio.run(main()) == []


def test_what_is_wrong_with_a_connection_is_told_on_entering(fme):
    """As `connect` tells it."""

    async def main():
        sharing = share_async("nothing")
        with pytest.raises(ConfigError, match="nothing"):
            async with sharing:
                pass

    asyncio.run(main())


# Loops


def test_a_loop_that_ends_closes_its_clients(fme_share, simulator):
    """Also those that are in use, with a request that the vendor holds: nothing is left open, nor said about it."""
    simulator.pool.script(FLOW, Behaviour(duration=1000.0))
    clients = []

    async def use(ref):
        async with fme_share() as client:
            clients.append(client)
            await client.attach(ref).wait()

    async def main():
        async with fme_share() as client:
            run = await client.submit(FLOW)
        for _ in range(3):
            asyncio.create_task(use(run.ref))  # noqa: RUF006 - nobody waits for it
        assert await asyncio.to_thread(simulator.wait_until_held)

    asyncio.run(main())
    gc.collect()
    assert len(set(clients)) == 1
    assert is_closed(clients[0])


def test_loops_leave_nothing_behind(fme):
    """One after another: each has its own client, and of those that have ended nothing is kept."""
    gone = []

    async def main():
        async with share_async("prod") as client:
            gone.extend((weakref.ref(client), weakref.ref(asyncio.get_running_loop())))
            await client.health()
            return id(client)

    for _ in range(20):
        asyncio.run(main())
    gc.collect()
    assert [each() for each in gone] == [None] * 40
    assert [loop for loop in shared._loops if loop.is_closed()] == []


def test_a_loop_that_is_dropped_leaves_nothing_behind(fme_share):
    """Closed without an end for its tasks: what asyncio says of those is all that there is of it."""

    async def main():
        async with fme_share() as client:
            return weakref.ref(client)

    loop = asyncio.new_event_loop()
    client = loop.run_until_complete(main())
    assert not is_closed(client())
    loop.close()
    del loop
    gc.collect()
    assert client() is None
    assert [loop for loop in shared._loops if loop.is_closed()] == []


def test_a_client_is_held_while_nobody_uses_it(fme_share):
    """Nothing of ours holds it but the timer that closes it."""

    async def main():
        async with fme_share():
            gone = weakref.ref(shared_here()[0])
        gc.collect()
        async with fme_share():
            return [gone()] == shared_here()

    assert asyncio.run(main())


def test_threads_with_loops_have_a_client_each(fme_share):
    """An asynchronous client belongs to one loop."""

    async def main():
        async with fme_share() as client:
            return (await client.health()).reachable, client

    with ThreadPoolExecutor(8) as threads:
        answers = [each.result() for each in [threads.submit(asyncio.run, main()) for _ in range(8)]]
    assert [reached for reached, _ in answers] == [True] * 8
    assert len({id(client) for _, client in answers}) == 8


# Contexts


class Contexts(logging.Handler):
    """Notes the events that are logged, of which run, and in whose context."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def emit(self, record):
        """Note it."""
        self.seen.append((record.event_name, record.run, VARIABLE.get()))


@pytest.fixture
def contexts():
    """Of the events that are logged."""
    logger, handler = logging.getLogger("flowrunner.events"), Contexts()
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    yield handler.seen
    logger.removeHandler(handler)
    logger.setLevel(logging.NOTSET)


@pytest.mark.parametrize("count", [2, 30])
def test_no_context_sticks_to_what_is_done_for_all(fme, contexts, monkeypatch, count):
    """Looks, rounds, and the end of the client run in no user's context; what a user asks for runs in the user's."""
    refs, ends, end = submitted(count), [], shared.LentClient.end
    contexts.clear()

    async def noting(client):
        ends.append(VARIABLE.get())
        await end(client)

    async def user(ref):
        VARIABLE.set(str(ref))
        await follow(ref, poll_min=5.0)

    async def main():
        await asyncio.gather(*(user(ref) for ref in refs))

    monkeypatch.setattr(shared.LentClient, "end", noting)
    asyncio.run(main())
    whose = {context for _, _, context in contexts}
    assert "nobody's" in whose
    assert [seen for seen in contexts if seen[2] not in {"nobody's", seen[1]}] == []
    assert ends == ["nobody's"]


def test_what_a_user_asks_for_is_done_in_the_users_context(fme, contexts):
    """So that its log lines, and what its program measures, are the user's."""

    async def main():
        VARIABLE.set("mine")
        async with share_async("prod") as client:
            await client.submit(FLOW)

    asyncio.run(main())
    assert [context for name, _, context in contexts if name == "Submitted"] == ["mine"]


# Threads, and several loops


@pytest.fixture
def hosted(simulator):
    """Share an FME Flow in real time among threads; it is closed when the test ends."""
    yield partial(share, backend="fme-flow-v4", idle=0, **simulator.settings)
    _until(lambda: not _hosted())


@contextmanager
def interrupted(monkeypatch):
    """Whoever waits for a call is interrupted, as by Ctrl-C."""
    given = Future.result

    def result(future, timeout=None):
        if threading.current_thread() is not threading.main_thread():  # event loops ask for results, too
            return given(future, timeout)
        wait([future], timeout=0.1)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Future, "result", result)
        yield


class Hanging:
    """Something that never ends unless it is cancelled."""

    def __init__(self):
        self.began, self.cancelled = threading.Event(), threading.Event()

    async def __call__(self, client):
        """Hang."""
        self.began.set()
        try:
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            self.cancelled.set()
            raise


async def attended(client, ref):
    """Wait for a run."""
    return client, await client.attach(ref).wait()


def test_what_is_not_needed_is_not_loaded(fme):
    """Over aiohttp nothing is loaded of what httpx opens connections with."""
    sessions._load_httpx.cache_clear()

    async def main():
        async with share_async("prod", transport="aiohttp"):
            return sessions._load_httpx.cache_info().misses

    assert asyncio.run(main()) == 0


def test_it_is_shared_from_a_thread_whose_loop_runs(fme):
    """As by a coroutine that an engine runs in a thread of its own, and before anything was asked of a vendor."""
    sessions._load_httpx.cache_clear()

    async def main():
        with share("prod") as shared:
            return await shared.acall(lambda client: client.health())

    assert asyncio.run(main()).reachable


def test_threads_and_loops_share_one_client(fme):
    """Twenty threads, and ten loops of two tasks each: one client follows their runs, by lists."""
    refs = submitted(40)
    fme.requests.clear()

    def in_a_thread(ref):
        with share("prod", poll_min=5.0) as shared:
            return [shared.call(attended, ref)]

    def in_a_loop(refs):
        async def main():
            return await asyncio.gather(*(shared.acall(attended, ref=ref) for ref in refs))

        with share("prod", poll_min=5.0) as shared:
            return asyncio.run(main())

    with ThreadPoolExecutor(30) as threads:
        calls = [threads.submit(in_a_thread, ref) for ref in refs[:20]]
        calls += [threads.submit(in_a_loop, refs[number : number + 2]) for number in range(20, 40, 2)]
        ended = [each for call in calls for each in call.result(60)]
    assert len({id(client) for client, _ in ended}) == 1
    assert {result.ref for _, result in ended} == set(refs)
    assert {result.status.state for _, result in ended} == {RunState.SUCCEEDED}
    details = len(fme.requests.matching("*/jobs/*/result")) + len(refs)
    assert len(fme.requests) - details < 40 + 60  # the first ones are looked at one by one, and all that is followed


def test_wait_gives_the_result(hosted, simulator):
    """Or says that the time is up, as `Run.wait` does."""
    simulator.pool.script(FLOW, Behaviour(duration=1.0))
    with hosted() as shared:
        ref = shared.call(lambda client: client.submit(FLOW)).ref
        assert shared.wait(ref).status.state is RunState.SUCCEEDED
        simulator.pool.script(FLOW, Behaviour(duration=1000.0))
        slow = shared.call(lambda client: client.submit(FLOW)).ref
        with pytest.raises(WaitTimeout, match="wait again"):
            shared.wait(str(slow), timeout=0)
    assert repr(shared) == "<SharedClient, left>"


def test_a_call_that_takes_too_long_is_cancelled(hosted):
    """There, where it is done; its own errors are no such end."""
    hanging = Hanging()

    async def fails(client):
        raise TimeoutError("its own")

    with hosted() as shared:
        with pytest.raises(TimeoutError, match=r"has not ended within 0[.]05 s and was cancelled"):
            shared.call(hanging, timeout=0.05)
        assert hanging.cancelled.wait(10)
        with pytest.raises(TimeoutError, match="its own"):
            shared.call(fails, timeout=10)
        with pytest.raises(InvalidRequest, match="0 seconds or more"):
            shared.call(hanging, timeout=-1)


def test_a_call_may_take_for_ever(hosted):
    """Also if that is said as a number."""

    async def answers(client):
        return "answered"

    with hosted() as shared:
        assert shared.call(answers, timeout=math.inf) == "answered"


def test_a_call_that_ends_just_when_its_time_is_up_has_ended(hosted, monkeypatch):
    """What it gives is not thrown away."""
    result, late = Future.result, [True]

    def just_late(future, timeout=None):
        value = result(future, 10)
        if timeout == 5 and late.pop():
            raise TimeoutError
        return value

    async def quick(client):
        return 1

    with hosted() as shared, monkeypatch.context() as patch:
        patch.setattr(Future, "result", just_late)
        assert shared.call(quick, timeout=5) == 1
    assert not late


def test_an_interrupt_cancels_the_call(hosted, monkeypatch):
    """And comes through; others go on."""
    hanging = Hanging()
    with hosted() as shared:
        with interrupted(monkeypatch), pytest.raises(KeyboardInterrupt):
            shared.call(hanging)
        assert hanging.cancelled.wait(10)
        assert shared.call(lambda client: client.health()).reachable


def test_a_function_that_exits_ends_its_call_alone(hosted):
    """The thread goes on for the others."""

    async def exits(client):
        sys.exit(3)

    with hosted() as shared:
        for _ in range(2):
            with pytest.raises(SystemExit):
                shared.call(exits)
        assert shared.call(lambda client: client.health()).reachable


def test_an_interrupt_on_entering_leaves_no_user(hosted, monkeypatch):
    """However far it had come: the client is closed, as when its last user leaves."""
    with interrupted(monkeypatch), pytest.raises(KeyboardInterrupt), hosted():
        raise AssertionError
    _until(lambda: not _hosted())


def test_cancelling_a_task_cancels_its_call_alone(hosted, simulator):
    """On whatever loop it waits."""
    simulator.pool.script(FLOW, Behaviour(duration=5.0))
    hanging = Hanging()

    async def main():
        given_up = asyncio.create_task(shared.acall(hanging))
        other = asyncio.create_task(shared.acall(lambda client: client.run(FLOW)))
        await asyncio.to_thread(hanging.began.wait, 10)
        given_up.cancel()
        with pytest.raises(asyncio.CancelledError):
            await given_up
        return (await other).status.state

    with hosted() as shared:
        assert asyncio.run(main()) is RunState.SUCCEEDED
    assert hanging.cancelled.wait(10)


def test_a_call_runs_in_the_callers_context(hosted):
    """As it would if it were called here."""

    async def whose(client):
        return VARIABLE.get()

    def call():
        VARIABLE.set("mine")
        return shared.call(whose), asyncio.run(shared.acall(whose))

    with hosted() as shared:
        assert copy_context().run(call) == ("mine", "mine")


def test_the_hosting_thread_does_not_wait_for_itself(hosted):
    """A call from there is refused, and so is to share from there; to await another call is fine."""

    async def calls(client):
        return shared.call(calls)

    async def shares(client):
        with hosted():
            pass

    async def awaits(client):
        return await shared.acall(lambda client: client.health())

    with hosted() as shared:
        for refused in (calls, shares):
            with pytest.raises(InvalidRequest, match="must not wait: await the client here"):
                shared.call(refused)
        assert shared.call(awaits).reachable


def test_outside_of_its_block_it_is_of_no_use(hosted):
    """And says so, without anything being done."""
    hanging = Hanging()
    with hosted() as shared:
        pass
    for call in (shared.call, lambda function: asyncio.run(shared.acall(function))):
        with pytest.raises(ClientClosed, match="has been left: share again"):
            call(hanging)
    assert not hanging.began.is_set()


def test_what_is_wrong_is_told_before_anything_is_shared(fme, hosted):
    """By the call itself, or on entering."""
    with pytest.raises(ConfigError, match="nothing"):
        share("nothing")
    with pytest.raises(InvalidRequest, match="seconds"), hosted(idle=-1):
        pass


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_child_process_has_nothing_of_its_parents(hosted):
    """The parent's is refused there, the child's own works, whoever held the lock; and so does the parent's."""

    def in_the_child():
        with pytest.raises(InvalidRequest, match="in the child, share anew"):
            shared.call(Hanging())
        assert hosting._host._host is None
        with hosted() as own:
            assert own.call(lambda client: client.health()).reachable
        entered.close()  # as the end of the parent's block does
        asyncio.run(in_a_loop())

    async def in_a_loop():
        async with share_async(**hosted.keywords) as client:
            assert (await client.health()).reachable

    with ExitStack() as entered:
        shared = entered.enter_context(hosted())
        before = shared.call(lambda client: client.health())
        with hosting._host._lock:
            child = os.fork()
        if child == 0:
            code = 1
            try:
                in_the_child()
                code = 0
            except BaseException:  # noqa: BLE001 - the exit code says so
                traceback.print_exc(file=sys.__stderr__)
            finally:
                os._exit(code)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert shared.call(lambda client: client.health()) == before


def test_nothing_is_handed_to_the_thread_of_another_process(hosted, monkeypatch):
    """Neither a call nor, from a child that leaves its parent's block, the end of one."""
    called = []
    with hosted() as shared:
        with monkeypatch.context() as patch:
            patch.setattr(hosting.os, "getpid", lambda: 0)
            for call in (shared.call, lambda function: asyncio.run(shared.acall(function))):
                with pytest.raises(InvalidRequest, match="in the child, share anew"):
                    call(Hanging())
            shared._host.post(lambda: called.append("there"))
        shared._host.post(lambda: called.append("here"))
    _until(lambda: called)
    assert called == ["here"]
