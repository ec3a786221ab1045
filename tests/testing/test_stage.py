"""Simulators and clients on one clock, as a test of an application has them."""

import asyncio
import json
import os
from concurrent.futures import ThreadPoolExecutor

import pytest

import flowrunner
from flowrunner import RunState, client, http
from flowrunner.simulator import Behaviour, DataFlowId, Fault, Faults, Simulator, SmartFlowId
from flowrunner.testing.stage import Stage

FLOW = "Samples/austinDownload.fmw"
PARAMETERS = {"MAXY": 42, "THEMES": ["airports"]}
HOUR = 3600.0
LONG = 600.0
"""Long enough for pauses to grow to their longest; each further hour is hundreds of requests of the same kind."""
VENDORS = {
    "fme-flow": FLOW,
    "fme-flow-v3": FLOW,
    "fme-flow-v4": FLOW,
    "invision": DataFlowId.IMPORT_SALES,
    "smart-flows": SmartFlowId.NO_INPUT,
}

sockets = pytest.mark.parametrize("real_socket", [False, True], ids=["in-process", "socket"])


@pytest.fixture
def fme(stage):
    """A simulated FME Flow that the application calls `prod`."""
    return stage.start("fme-flow-v4", connection="prod")


def run_and_wait(name, flow, **arguments):
    """What an application does."""
    with flowrunner.connect(name) as connected:
        return connected.submit(flow).wait(**arguments)


async def run_and_wait_async(name, flow, **arguments):
    """The same."""
    async with flowrunner.connect_async(name) as connected:
        return await (await connected.submit(flow)).wait(**arguments)


def test_a_run_of_six_hours_takes_six_hours_of_the_clock(stage):
    """However long a run takes, it is waited for to its end, and is seen at most one pause after that."""
    simulator = stage.start("invision")  # a vendor that holds no request: it is asked least often
    simulator.pool.script(VENDORS["invision"], Behaviour(duration=6 * HOUR))
    assert run_and_wait("invision", VENDORS["invision"]).status.state is RunState.SUCCEEDED
    assert 0 <= stage.clock.monotonic() - 6 * HOUR <= 31


@sockets
@pytest.mark.parametrize("vendor", VENDORS)
def test_both_clients_wait_alike(stage, vendor, real_socket):
    """Every vendor's run takes its time of the clock, over a socket, too, for the one client as for the other."""
    simulator = stage.start(vendor, real_socket=real_socket)
    simulator.pool.script(VENDORS[vendor], Behaviour(duration=LONG))
    assert run_and_wait(vendor, VENDORS[vendor]).status.state is RunState.SUCCEEDED
    half_way = stage.clock.monotonic()
    assert asyncio.run(run_and_wait_async(vendor, VENDORS[vendor])).status.state is RunState.SUCCEEDED
    assert stage.clock.monotonic() == pytest.approx(2 * half_way, abs=0.1)
    assert 0 <= half_way - LONG <= 31


@sockets
def test_tasks_wait_side_by_side(stage, real_socket):
    """Runs that are waited for at once take as long as one; a wait that is over before says so in its time."""
    simulator = stage.start("fme-flow-v4", connection="prod", engines=3, real_socket=real_socket)
    simulator.pool.script(FLOW, Behaviour(duration=LONG))

    async def main():
        waits = [run_and_wait_async("prod", FLOW, timeout=timeout) for timeout in (None, 100.0, 2 * LONG)]
        return await asyncio.gather(*waits, return_exceptions=True)

    results = asyncio.run(main())
    assert [type(each).__name__ for each in results] == ["RunResult", "WaitTimeout", "RunResult"]
    assert LONG <= stage.clock.monotonic() <= LONG + 31


@sockets
def test_threads_wait_side_by_side(stage, real_socket):
    """The same for a program that waits in threads."""
    simulator = stage.start("fme-flow-v4", connection="prod", engines=3, real_socket=real_socket)
    simulator.pool.script(FLOW, Behaviour(duration=LONG))
    with flowrunner.connect("prod") as connected, ThreadPoolExecutor(3) as executor:
        runs = [connected.submit(FLOW) for _ in range(3)]
        waits = [executor.submit(run.wait, timeout) for run, timeout in zip(runs, (None, 100.0, 2 * LONG), strict=True)]
        problems = [wait.exception(60) for wait in waits]
    assert [type(problem).__name__ for problem in problems] == ["NoneType", "WaitTimeout", "NoneType"]
    assert LONG <= stage.clock.monotonic() <= LONG + 31


def test_a_wait_ends_in_its_time(stage, fme):
    """`wait(timeout=...)` gives up at that very moment of the clock, and the run goes on."""
    fme.pool.script(FLOW, Behaviour(duration=HOUR))
    with pytest.raises(flowrunner.WaitTimeout):
        run_and_wait("prod", FLOW, timeout=90)
    assert stage.clock.monotonic() == pytest.approx(90, abs=1e-5)
    assert fme.pool.jobs[0].state == "running"


def test_an_answer_that_never_comes_is_given_up_in_its_time(stage):
    """A request without an answer ends on the clock as it would in life, in both clients."""
    stage.start("fme-flow-v4", connection="prod", engines=0)
    with flowrunner.connect("prod") as connected, pytest.raises(flowrunner.SubmissionUncertain, match="timed out"):
        connected.run(FLOW, server_wait=True, timeout=600)
    assert 600 <= stage.clock.monotonic() <= 700

    async def main():
        async with flowrunner.connect_async("prod") as connected:
            await connected.run(FLOW, server_wait=True, timeout=600)

    with pytest.raises(flowrunner.SubmissionUncertain, match="timed out"):
        asyncio.run(main())
    assert 1200 <= stage.clock.monotonic() <= 1400


def test_a_task_that_is_cancelled_leaves(stage, fme):
    """It is cancelled as any other, and the simulator holds its request no longer."""
    fme.pool.script(FLOW, Behaviour(duration=HOUR))

    async def main():
        async with flowrunner.connect_async("prod") as connected:
            run = await connected.submit(FLOW)
            with stage.clock.asking():
                waiting = asyncio.create_task(run.wait())
                assert await asyncio.to_thread(fme.wait_until_held)
                waiting.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await waiting
            await run.refresh()
            assert not fme.wait_until_held(timeout=0)

    asyncio.run(main())


@sockets
@pytest.mark.parametrize("how", ["reset_before", "reset_after", "truncate"])
def test_a_submission_that_is_cut_is_uncertain(stage, how, real_socket):
    """The simulator's cuts are to a client in the same process what they are over a socket, in both clients."""
    simulator = stage.start("fme-flow-v4", connection="prod", real_socket=real_socket)
    simulator.cut_next(how, "*/jobs", method="POST", times=2)
    with pytest.raises(flowrunner.SubmissionUncertain):
        run_and_wait("prod", FLOW)
    with pytest.raises(flowrunner.SubmissionUncertain):
        asyncio.run(run_and_wait_async("prod", FLOW))
    assert len(simulator.pool.jobs) == (0 if how == "reset_before" else 2)


def test_a_server_that_is_down_refuses(stage, fme):
    """After `stop` nothing arrives, in both clients, and after `start` all is well."""
    fme.stop()
    with flowrunner.connect("prod") as connected:
        assert "connection refused" in connected.health().message
        with pytest.raises(flowrunner.TransportError) as caught:
            connected.submit(FLOW)

    assert caught.value.maybe_arrived is False
    with pytest.raises(flowrunner.TransportError, match="connection refused"):
        asyncio.run(run_and_wait_async("prod", FLOW))
    fme.start()
    assert run_and_wait("prod", FLOW).status.state is RunState.SUCCEEDED


@sockets
def test_a_server_that_restarts(stage, real_socket):
    """What it was asked breaks off, and when the time is over all is well."""
    simulator = stage.start("fme-flow-v4", connection="prod", real_socket=real_socket)
    simulator.faults = Faults([Fault("restart", times=1, lasts=5)])
    with flowrunner.connect("prod") as connected:
        assert connected.health().reachable is False
        stage.clock.advance(5)
        assert simulator.wait_until_listening()
        assert connected.health().reachable is True


@sockets
def test_no_retry_is_waited_for(stage, real_socket, monkeypatch):
    """Requests are sent again at once; a `Retry-After` passes on the clock."""
    monkeypatch.setattr("time.sleep", lambda seconds: pytest.fail(f"it sleeps for {seconds} s") if seconds else None)
    simulator = stage.start("fme-flow-v4", connection="prod", real_socket=real_socket)
    simulator.respond_next("*/workspaces/*", 502, times=3)
    with flowrunner.connect("prod") as connected:
        connected.describe(FLOW)
        assert stage.clock.monotonic() == 0.0
        simulator.respond_next("*/workspaces/*", 429, headers={"Retry-After": "30"})
        connected.describe("Samples/austinApartments.fmw")
    assert stage.clock.monotonic() == pytest.approx(30, abs=1e-5)

    async def main():
        async with flowrunner.connect_async("prod") as connected:
            simulator.respond_next("*/workspaces/*", 502, times=3)
            await connected.describe(FLOW)

    asyncio.run(main())
    assert stage.clock.monotonic() == pytest.approx(30, abs=1e-5)


def test_files_and_logs_come_through(stage, tmp_path):
    """What is streamed to and from a server is so in the same process: uploads, downloads, logs; in both clients."""
    stage.start("fme-flow-v3", connection="prod")
    (tmp_path / "roads.csv").write_text("id,name\n" * 1000)
    with flowrunner.connect("prod") as connected:
        file = connected.upload(tmp_path / "roads.csv")
        connected.download(file, tmp_path / "copy.csv")
        run = connected.submit(FLOW, PARAMETERS)
        run.wait()
        lines = list(run.logs())
    assert (tmp_path / "copy.csv").read_bytes() == (tmp_path / "roads.csv").read_bytes()
    assert any("Translation" in line for line in lines)

    async def main():
        async with flowrunner.connect_async("prod") as connected:
            return [line async for line in connected.attach(run.ref).logs()]

    assert asyncio.run(main()) == lines


def test_connections_add_up(stage, tmp_path):
    """Each simulator is found by the name the application has for it, else by the vendor's; a name can move on."""
    one, other = stage.start("fme-flow-v4", connection='the "first"'), stage.start("invision", real_socket=True)
    run_and_wait('the "first"', FLOW)
    run_and_wait("invision", DataFlowId.PING)
    moved = stage.start("fme-flow-v4", connection='the "first"')
    run_and_wait('the "first"', FLOW)
    assert [len(each.pool.jobs) for each in (one, other, moved)] == [1, 1, 1]
    assert os.environ["FLOWRUNNER_CONFIG"] == str(tmp_path / "flowrunner.toml")


def test_the_environment_of_the_machine_does_not_win(tmp_path, monkeypatch):
    """A test never reaches the server that a variable of this machine names; one it sets itself counts as ever."""
    monkeypatch.setenv("FLOWRUNNER_PROD_BASE_URL", "https://fme.example.com")
    monkeypatch.setenv("FLOWRUNNER_PROD_TOKEN", "of-the-real-server")
    with pytest.MonkeyPatch.context() as patch, Stage(patch, lambda: tmp_path) as stage:
        simulator = stage.start("fme-flow-v4", connection="prod")
        run_and_wait("prod", FLOW)
        monkeypatch.setenv("FLOWRUNNER_PROD_CHECK_PARAMETERS", "false")
        run_and_wait("prod", FLOW)
        assert len(simulator.requests.matching("*/workspaces/*")) == 1
    assert os.environ["FLOWRUNNER_PROD_BASE_URL"] == "https://fme.example.com"


def test_everything_is_as_before_at_the_end(tmp_path):
    """Time, sessions, environment and simulators are those of the test alone."""
    before = client.SystemClock, http.HttpSession, http.AsyncHttpSession, dict(os.environ)
    with pytest.MonkeyPatch.context() as patch, Stage(patch, lambda: tmp_path) as stage:
        simulator = stage.start("fme-flow-v4", connection="prod")
        run_and_wait("prod", FLOW)
    assert before == (client.SystemClock, http.HttpSession, http.AsyncHttpSession, dict(os.environ))
    assert simulator.ask("GET", simulator.base_url, {}, b"") is None
    assert not stage.clock._mover.is_alive()


def test_a_simulator_has_the_clock_of_the_test(stage):
    """It takes no other: clients and servers live in one time."""
    with pytest.raises(TypeError, match="multiple values for keyword argument 'clock'"):
        stage.start("fme-flow", clock=None)


def test_settings_given_in_place_are_played_as_well(stage, fme):
    """A client that is given an address, instead of a name, asks the same simulator."""
    with flowrunner.connect(backend="fme-flow-v4", **fme.settings) as connected:
        assert connected.health().reachable


def test_a_server_beside_the_stage_is_asked_over_its_socket(stage):
    """What is at no simulator's address is reached as ever."""
    with Simulator("fme-flow-v4", clock=stage.clock) as beside:
        with flowrunner.connect(backend="fme-flow-v4", **beside.settings) as connected:
            assert connected.submit(FLOW, PARAMETERS).wait().status.state is RunState.SUCCEEDED
        assert json.loads(beside.requests.matching("*/jobs", "POST")[0].body)["workspace"] == "austinDownload.fmw"
