"""Threads and tasks that wait for runs: they follow them for each other, and nobody is forgotten."""

import asyncio
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar

import pytest

import flowrunner
from flowrunner import RunState, events
from flowrunner.async_follower import AsyncFollower
from flowrunner.client import AsyncClient
from flowrunner.errors import AuthenticationError, ClientClosed, WaitTimeout
from flowrunner.http.wire import Wire
from flowrunner.models import RunRef
from flowrunner.operations.following import Following
from flowrunner.simulator import Behaviour
from flowrunner.testing.stage import Stage

FLOW = "Samples/austinDownload.fmw"


@pytest.fixture
def stage(tmp_path):
    """Simulators and clients on one clock."""
    with pytest.MonkeyPatch.context() as patch, Stage(patch, lambda: tmp_path) as stage:
        yield stage


@pytest.fixture
def fme(stage):
    """A simulated FME Flow that the application calls `prod`; its runs take a minute."""
    simulator = stage.start("fme-flow-v4", connection="prod", engines=1000)
    simulator.pool.script(FLOW, Behaviour(duration=60.0))
    return simulator


@pytest.fixture
def asked(monkeypatch):
    """The requests of all clients."""
    requests = []
    monkeypatch.setattr(Wire, "_build", _noting(Wire._build, requests))
    return requests


def _noting(build, requests):
    def noted(self, request, *arguments):
        requests.append(request)
        return build(self, request, *arguments)

    return noted


def looks(requests):
    """Those that look at a single run, by its path."""
    return [each.path for each in requests if each.method == "GET" and "/jobs/" in each.path]


def lists(requests):
    """Those that look at many."""
    return [each for each in requests if each.path.endswith("/jobs") and each.method == "GET"]


def submit(client, count):
    """So many runs."""
    return [client.submit(FLOW) for _ in range(count)]


# Threads


def test_threads_follow_runs_for_each_other(fme, asked):
    """Fifty threads that wait for a run each take a few lists in all, and no look at a single run before its end."""
    with flowrunner.connect("prod", check_parameters=False, poll_min=5.0) as client, ThreadPoolExecutor(50) as threads:
        runs = submit(client, 50)
        waits = [threads.submit(run.wait) for run in runs]
        assert {wait.result(60).status.state for wait in waits} == {RunState.SUCCEEDED}
    assert len(lists(asked)) < 50
    # Threads begin one by one: the first ones look by themselves, and each reads the details of its run at the end.
    assert len([path for path in looks(asked) if not path.endswith("/result")]) < 50 + 60


def test_who_leads_may_leave(fme, asked):
    """When the thread that leads has what it waits for, another one leads; the last is told, too."""
    for number in range(1, 9):
        fme.pool.script(FLOW, Behaviour(duration=20.0 * number), times=1)
    with (
        flowrunner.connect("prod", check_parameters=False, max_long_polls=0) as client,
        ThreadPoolExecutor(8) as threads,
    ):
        waits = [threads.submit(run.wait) for run in submit(client, 8)]
        assert {wait.result(60).status.state for wait in waits} == {RunState.SUCCEEDED}


def test_each_thread_is_held_for_its_own_run(fme, asked):
    """With long-polls for all of them, each is seen at its end, at the cost of a few requests that are held."""
    with flowrunner.connect("prod", check_parameters=False) as client, ThreadPoolExecutor(5) as threads:
        waits = [threads.submit(run.wait) for run in submit(client, 5)]
        assert {wait.result(60).status.state for wait in waits} == {RunState.SUCCEEDED}
    held = [each for each in asked if ("longPoll", "true") in each.query]
    assert {each.path for each in held} == {f"/fmeapiv4/jobs/{number}/result" for number in range(1, 6)}
    assert len(held) <= 25


def test_a_thread_whose_time_is_up_goes_while_others_wait(fme, stage):
    """Its wait ends in time; the others go on being followed."""
    with flowrunner.connect("prod", check_parameters=False) as client, ThreadPoolExecutor(2) as threads:
        first, second = submit(client, 2)
        long = threads.submit(second.wait)
        with pytest.raises(WaitTimeout):
            first.wait(timeout=10.0)
        assert stage.clock.monotonic() < 100.0  # the others may have it move on before this is read
        assert long.result(60).status.state is RunState.SUCCEEDED


def test_threads_that_are_interrupted_leave_the_work_to_others(fme, monkeypatch):
    """Ctrl-C in the thread that leads ends its wait, and no other."""
    with (
        flowrunner.connect("prod", check_parameters=False, max_long_polls=0) as client,
        ThreadPoolExecutor(1) as threads,
    ):
        first, second = submit(client, 2)
        perform, calls = client._follower._perform, []

        def interrupted(operation):
            calls.append(threading.current_thread())
            if len(calls) > 4 and threading.current_thread() is threading.main_thread():
                operation.close()
                raise KeyboardInterrupt
            return perform(operation)

        client._follower._perform = interrupted
        other = threads.submit(second.wait)
        with pytest.raises(KeyboardInterrupt):
            first.wait()
        assert other.result(60).status.state is RunState.SUCCEEDED
        assert client._follower._schedule._jobs == set()


def test_closing_wakes_who_waits(fme, stage):
    """A client that is closed by another thread does not keep anybody waiting."""
    fme.pool.script(FLOW, Behaviour(duration=1e5))
    client = flowrunner.connect("prod", check_parameters=False, max_long_polls=0)
    with ThreadPoolExecutor(2) as threads:
        waits = [threads.submit(run.wait) for run in submit(client, 2)]
        while stage.clock.monotonic() < 100:
            pass
        client.close()
        for wait in waits:
            with pytest.raises(ClientClosed):
                wait.result(60)


def test_what_goes_wrong_in_our_own_code_is_told(fme, monkeypatch):
    """To whoever waits for that run, in whichever thread it happened; the others are followed on."""

    def broken(self, record, **more):
        if record.ref.id == "2":
            raise ZeroDivisionError("ours")
        return (yield from look(self, record, **more))

    runs = flowrunner.operations.records.Runs
    look = runs.look
    monkeypatch.setattr(runs, "look", broken)
    with flowrunner.connect("prod", check_parameters=False) as client:
        first, second = submit(client, 2)
        with pytest.raises(ZeroDivisionError):
            second.wait()
        assert first.wait().status.state is RunState.SUCCEEDED
    assert asyncio.run(_gathered(2))[1:] == ["ZeroDivisionError"]


async def _gathered(count):
    async with flowrunner.connect_async("prod", check_parameters=False) as client:
        runs = [client.attach(RunRef("prod", "fme-flow-v4", FLOW, str(n + 1))) for n in range(count)]
        results = await asyncio.gather(*(run.wait() for run in runs), return_exceptions=True)
        return [type(each).__name__ for each in results]


def test_on_event_must_not_wait(fme):
    """It is called in the midst of a look; a wait there would be for that very look, and is refused instead."""
    refused = []

    def waiting(event):
        if isinstance(event, events.StatusChanged) and not event.new.state.is_final:
            try:
                run.wait()
            except flowrunner.InvalidRequest as error:
                refused.append(str(error))

    with flowrunner.connect("prod", check_parameters=False, max_long_polls=0, on_event=waiting) as client:
        (run,) = submit(client, 1)
        assert run.wait().status.state is RunState.SUCCEEDED
    assert refused
    assert "on_event" in refused[0]


def test_an_interrupt_before_the_job_is_begun_loses_it_not(fme, monkeypatch):
    """Wherever Ctrl-C strikes, what was taken is given back to the others."""
    with flowrunner.connect("prod", check_parameters=False) as client:
        (run,) = submit(client, 1)
        with monkeypatch.context() as patch:
            patch.setattr(client._follower, "_perform_for_all", _raising(KeyboardInterrupt()))
            with pytest.raises(KeyboardInterrupt):
                run.wait()
        assert client._follower._schedule._jobs == set()
        assert run.wait().status.state is RunState.SUCCEEDED


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_child_process_follows_by_itself(fme):
    """The threads that waited in the parent are not in it, and do not lead there."""
    with flowrunner.connect("prod", check_parameters=False) as client:
        (run,) = submit(client, 1)
        follower = client._follower
        completed = client.as_completed(submit(client, 2))
        next(completed)
        follower._leader, follower._pid = object(), follower._pid + 1
        client._follower._schedule.lock.acquire()  # as a thread of the parent may have held it
        assert run.wait().status.state is RunState.SUCCEEDED


@pytest.mark.parametrize("has_job", [True, False])
def test_a_job_that_comes_with_the_end_of_ones_wait_is_left_to_others(fme, monkeypatch, has_job):
    """Asking what is to be done may show that the time is up; whoever is told so does nothing more."""
    with flowrunner.connect("prod", check_parameters=False) as client:
        (run,) = submit(client, 1)
        next_job = Following.next_job

        def late(following, crowd):
            job, seconds = next_job(following, crowd)
            for wait in crowd.waits():
                following.schedule.end(wait, is_late=True)
            if has_job:
                return job, seconds
            following.done(job)
            return None, 0.0

        with monkeypatch.context() as patch:
            patch.setattr(Following, "next_job", late)
            with pytest.raises(WaitTimeout):
                run.wait(timeout=5)
        assert client._follower._schedule._jobs == set()
        assert run.wait().status.state is RunState.SUCCEEDED


# Tasks


def test_twenty_waits_for_one_run_end_at_once(fme, stage, asked):
    """With its end, at the time of that end, and at the cost of one; as with the refusal of a credential."""

    async def main(**more):
        async with flowrunner.connect_async("prod", check_parameters=False, max_long_polls=0, **more) as client:
            run = client.attach(RunRef("prod", "fme-flow-v4", FLOW, "1"))
            return await asyncio.gather(*(run.wait() for _ in range(20)), return_exceptions=True)

    with flowrunner.connect("prod", check_parameters=False) as client:
        submit(client, 1)
    assert {each.status.state for each in asyncio.run(main())} == {RunState.SUCCEEDED}
    assert stage.clock.monotonic() < 70
    asked.clear()
    assert {type(each) for each in asyncio.run(main(token="wrong-token"))} == {AuthenticationError}
    assert len(asked) == 1


@pytest.mark.parametrize("timeout", [0, 1.0])
def test_a_short_wait_beside_a_long_one(fme, stage, timeout):
    """While the vendor holds a request for one, another's time is up in time, and it has had a look."""

    async def main():
        async with flowrunner.connect_async("prod", check_parameters=False) as client:
            run = await client.submit(FLOW)
            long = asyncio.create_task(run.wait())
            await until(lambda: client._follower._jobs)
            began = stage.clock.monotonic()
            with pytest.raises(WaitTimeout):
                await run.wait(timeout=timeout)
            lasted = stage.clock.monotonic() - began
            assert (await long).status.state is RunState.SUCCEEDED
            return lasted

    # It is held for 20 s. On a busy machine the clock may leap before the short wait has begun, but not each time.
    assert min(asyncio.run(main()) for _ in range(3)) < 20.0


def test_what_is_wrong_before_a_wait_says_of_which_run(fme):
    """On either client."""

    async def main():
        async with flowrunner.connect_async("prod", check_parameters=False) as client:
            run = await client.submit(FLOW)
            with pytest.raises(flowrunner.InvalidRequest) as caught:
                await run.wait(until="lunch")
            return caught.value.ref == run.ref

    assert asyncio.run(main())


def test_a_wait_that_is_cleared_away_after_its_loop(fme):
    """Nothing is cancelled on a loop that there is no more."""

    async def main():
        client = flowrunner.connect_async("prod", check_parameters=False)
        run = await client.submit(FLOW)
        waiting = asyncio.ensure_future(run.wait())
        await until(lambda: client._follower._jobs)
        (job,) = client._follower._jobs
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        await client.close()
        return client._follower, job

    follower, job = asyncio.run(main())
    follower._jobs[job] = Cancelled()
    follower._abandon(job.followed)
    assert follower._jobs[job].is_cancelled


class Cancelled:
    """A task as far as it matters."""

    is_cancelled = False

    def cancel(self):
        """Note it."""
        self.is_cancelled = True


def test_who_is_told_twice_is_told_once():
    """A task that was cancelled meanwhile is not told that its wait is over."""

    async def main():
        told = AsyncFollower.told()
        told.cancel()
        told.tell(None)
        return told.cancelled()

    assert asyncio.run(main())


async def until(condition):
    """Let the others do what they do."""
    for _ in range(100_000):
        if condition():
            return
        await asyncio.sleep(0)
    raise AssertionError("it does not come")


def test_a_gather_of_waits_is_efficient(fme, asked):
    """`gather(*(run.wait() for run in runs))` takes lists, and two requests a run for the details of its end."""

    async def main():
        async with flowrunner.connect_async("prod", check_parameters=False, poll_min=5.0) as client:
            runs = [await client.submit(FLOW) for _ in range(60)]
            return await asyncio.gather(*(run.wait() for run in runs))

    assert {result.status.state for result in asyncio.run(main())} == {RunState.SUCCEEDED}
    assert len(looks(asked)) == 2 * 60
    assert len(lists(asked)) < 40


def test_a_task_that_is_cancelled_takes_its_request_along(fme, asked):
    """A request that the vendor holds is given up with the last wait for its run, and the follower's task ends."""

    async def main():
        async with flowrunner.connect_async("prod", check_parameters=False) as client:
            run = await client.submit(FLOW)
            waits = [asyncio.create_task(run.wait()) for _ in range(2)]
            await until(lambda: client._follower._jobs)
            waits[0].cancel()
            await asyncio.sleep(0)
            assert client._follower._jobs
            waits[1].cancel()
            await asyncio.gather(*waits, return_exceptions=True)
            await until(lambda: not (client._follower._jobs or not client._follower._task.done()))
            return await run.wait()

    assert asyncio.run(main()).status.state is RunState.SUCCEEDED


def test_closing_wakes_the_tasks_that_wait(fme):
    """With an error that says what to do; no task is left behind."""

    async def main():
        client = flowrunner.connect_async("prod", check_parameters=False)
        run = await client.submit(FLOW)
        waiting = asyncio.create_task(run.wait())
        await until(lambda: client._follower._jobs)
        await client.close()
        with pytest.raises(ClientClosed, match="connect again and attach"):
            await waiting
        await until(lambda: not (len(asyncio.all_tasks()) > 1))

    asyncio.run(main())


def test_the_end_of_the_follower_is_told(fme, monkeypatch):
    """Were it to end by itself, nobody would be looked after; so whoever waits is told, and may wait again."""

    async def main(error):
        async with flowrunner.connect_async("prod", check_parameters=False) as client:
            run = await client.submit(FLOW)
            with monkeypatch.context() as patch:
                patch.setattr(Following, "next_job", _raising(error))
                with pytest.raises(type(error)):
                    await run.wait()
                with pytest.raises(type(error)):
                    async for _ in client.as_completed([run]):
                        pass
            return await run.wait()

    for error in (ZeroDivisionError("ours"), pytest.fail.Exception("theirs")):
        assert asyncio.run(main(error)).status.state is RunState.SUCCEEDED


def _raising(error):
    def raising(*_):
        raise error

    return raising


def test_the_follower_is_cancelled(fme):
    """As a loop that is shut down does: whoever waits is told that nobody follows."""

    async def main():
        async with flowrunner.connect_async("prod", check_parameters=False) as client:
            run = await client.submit(FLOW)
            waiting = asyncio.create_task(run.wait())
            await until(lambda: client._follower._jobs)
            client._follower._task.cancel()
            with pytest.raises(ClientClosed):
                await waiting

    asyncio.run(main())


def test_what_one_task_has_in_its_context_concerns_no_other(fme, monkeypatch):
    """Requests that are made for all are not made in the context of who came first."""
    variable, seen = ContextVar("variable", default="none"), []
    perform = AsyncClient._perform

    async def noting(self, operation, ref=None):
        seen.append(variable.get())
        return await perform(self, operation, ref)

    async def main():
        async with flowrunner.connect_async("prod", check_parameters=False) as client:
            run = await client.submit(FLOW)
            client._follower._perform = lambda operation: noting(client, operation)
            variable.set("mine")
            await run.wait()

    asyncio.run(main())
    assert set(seen) == {"none"}


def test_a_refused_credential_ends_all_waits_each_with_an_error_of_its_own(fme):
    """An exception that two tasks raise would collect the traces of both."""

    async def main():
        async with flowrunner.connect_async("prod", token="wrong-token", check_parameters=False) as client:
            runs = [client.attach(RunRef("prod", "fme-flow-v4", FLOW, str(n))) for n in range(30)]
            return await asyncio.gather(*(run.wait() for run in runs), return_exceptions=True)

    errors = asyncio.run(main())
    assert {type(error) for error in errors} == {AuthenticationError}
    assert len({id(error) for error in errors}) == 30


def test_many_that_end_at_once_do_not_keep_the_loop(fme):
    """A page with news of all of them is told in parts: whoever waits for the first goes on before the last is told."""
    seen = []

    def note(event):
        if isinstance(event, flowrunner.StatusChanged) and event.new.state.is_final:
            seen.append("told")

    def go_on():
        seen.append("gone on")

    async def main():
        async with flowrunner.connect_async("prod", check_parameters=False, on_event=note) as client:
            runs = [await client.submit(FLOW) for _ in range(200)]
            async for _ in client.as_completed(runs):
                go_on()

    asyncio.run(main())
    assert (seen.count("told"), seen.count("gone on")) == (200, 200)
    assert 1 <= seen.index("gone on") <= 100
