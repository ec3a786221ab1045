"""Both clients against a simulated FME Flow over real sockets. Its clock is a test's, so no run takes any time."""

import json
import socket
import threading
import zipfile

import pytest
from attrs import evolve

from flowrunner import events
from flowrunner.enums import CancelOutcome, Cause, RunState
from flowrunner.errors import (
    AuthenticationError,
    ClientClosed,
    FlowNotFound,
    FlowrunnerError,
    InvalidParameters,
    PermissionDenied,
    ProtocolError,
    RunCancelled,
    RunFailed,
    RunLost,
    SubmissionUncertain,
    TransportError,
    VendorError,
    WaitTimeout,
)
from flowrunner.models import SubmitOptions
from flowrunner.simulator import Behaviour, Fault, Faults, ManualClock, Quirks, Simulator, Workspace

# Smaller tests run every line that is run here: to measure it once more would more than double the time.
pytestmark = pytest.mark.no_cover

AUSTIN = "Samples/austinDownload.fmw"
TEN = "Tutorials/10seconds.fmw"
JOBS = "/fmeapiv4/jobs"


@pytest.fixture
def manual():
    """The simulator's clock."""
    return ManualClock()


@pytest.fixture
def clock(manual, clock_of):
    """The client's clock, which moves the simulator's along."""
    return clock_of(manual)


@pytest.fixture
def simulator(manual):
    """An FME Flow with two engines."""
    with Simulator(clock=manual) as serving:
        yield serving


@pytest.fixture
def client(simulator, open_client):
    """A client of it that polls."""
    return open_client(base_url=simulator.base_url, token=simulator.token, max_long_polls=0)


@pytest.fixture
def time_passes(simulator, clock, manual):
    """Somebody lets time pass whenever a request is held."""
    ended = threading.Event()

    def let_time_pass():
        while not ended.is_set():
            if simulator.wait_until_held(timeout=0.02) and (change := simulator.pool.next_change()) is not None:
                clock.advance(min(max((change - manual.now()).total_seconds(), 0), 5.0))
            ended.wait(0.001)

    thread = threading.Thread(target=let_time_pass)
    thread.start()
    yield
    ended.set()
    thread.join()


@pytest.fixture
def holding_client(simulator, open_client, time_passes):
    """A client that asks for held requests."""
    return open_client(base_url=simulator.base_url, token=simulator.token)


def test_success(client, simulator):
    """A run that succeeds: submitted once, followed, its result with metrics and an artifact."""
    run = client.submit(AUSTIN, {"MAXY": 42, "THEMES": ["airports", "cenart"]})
    assert (run.id, run.status.state) == ("1", RunState.QUEUED)
    result = run.wait(timeout=600)

    assert (result.status.state, result.status.message) == (RunState.SUCCEEDED, "Translation Successful")
    assert (result.metrics["features_written"], result.metrics["elapsed_seconds"]) == (1539, 3.0)
    assert (result.status.finished_at - result.status.started_at).total_seconds() == 3
    (job,) = simulator.pool.submissions()
    assert dict(job.parameters) == {"MAXY": 42, "THEMES": ["airports", "cenart"]}
    assert json.dumps(result.to_dict())


def test_failure(client, simulator):
    """A run that fails says why."""
    simulator.pool.script(AUSTIN, Behaviour(duration=2, outcome="failed", message="Reader: file not found", errors=3))
    with pytest.raises(RunFailed, match="Reader: file not found") as caught:
        client.submit(AUSTIN).wait()
    assert (caught.value.status.cause, caught.value.result.metrics["errors"]) == (Cause.UNSPECIFIED, 3)


def test_cancelling(client, simulator):
    """A run that is cancelled ends so, by us; one that ended before is too late."""
    run = client.submit(AUSTIN)
    assert CancelOutcome.CONFIRMED is run.cancel()
    with pytest.raises(RunCancelled) as caught:
        run.wait()
    assert Cause.BY_US is caught.value.status.cause
    assert CancelOutcome.TOO_LATE is run.cancel()

    simulator.pool.script(AUSTIN, Behaviour(duration=60, cancel_delay=5))
    slow = client.submit(AUSTIN)
    assert CancelOutcome.REQUESTED is slow.cancel()
    assert RunState.CANCELLING is slow.refresh().state
    assert RunState.CANCELLED is slow.wait(raise_on_failure=False).status.state


def test_a_run_that_was_faster_than_its_cancellation(client, simulator):
    """A run may end by itself after its cancellation was accepted."""
    simulator.pool.script(AUSTIN, Behaviour(duration=3, cancel_delay=60))
    run = client.submit(AUSTIN)
    assert CancelOutcome.REQUESTED is run.cancel()
    assert RunState.SUCCEEDED is run.wait().status.state


def test_requeue(client, simulator):
    """A run whose engine crashes returns to the queue: the second attempt."""
    simulator.pool.script(AUSTIN, Behaviour(duration=10, requeue_after=3, restart_delay=4))
    run = client.submit(AUSTIN)
    states = [(status.state, status.attempt) for status in run.watch()]
    assert states == [("running", 1), ("queued", 2), ("running", 2), ("succeeded", 2)]
    assert run.wait().status.attempt == 2


def test_long_poll(holding_client, simulator, clock):
    """Where the server holds requests, a run of a minute is followed by a few of them, without pauses."""
    simulator.pool.script(AUSTIN, Behaviour(duration=60))
    result = holding_client.submit(AUSTIN).wait(timeout=600)

    assert RunState.SUCCEEDED is result.status.state
    held = [request for request in simulator.requests.matching("*/result") if request.query]
    assert 3 <= len(held) <= 5
    assert held[0].query == [("longPoll", "true"), ("longPollInterval", "20")]
    assert clock.slept == []


@pytest.mark.parametrize("failed_sync", ["body", "422", "422_result"])
def test_the_server_waits(holding_client, simulator, failed_sync):
    """One blocking request runs to the end, good or bad."""
    simulator.quirks = Quirks(failed_sync=failed_sync)
    assert RunState.SUCCEEDED is holding_client.run(AUSTIN, server_wait=True).status.state
    assert len(simulator.requests.matching("*/jobs/sync", "POST")) == 1
    simulator.pool.script(AUSTIN, Behaviour(outcome="failed", message="boom"))
    with pytest.raises(FlowrunnerError, match="boom") as caught:
        holding_client.run(AUSTIN, server_wait=True)
    # A bare 422 cannot be told from a refusal of the parameters.
    assert isinstance(caught.value, InvalidParameters if failed_sync == "422" else RunFailed)


def test_the_server_waits_too_long(client, simulator):
    """When our time passes before the server answers, whether there is a run is unknown, and nothing is sent again."""
    with pytest.raises(SubmissionUncertain) as caught:
        client.run(AUSTIN, server_wait=True, timeout=0.1)
    assert (caught.value.handle.flow, caught.value.handle.id) == (AUSTIN, None)
    assert isinstance(caught.value.__cause__, TransportError)
    assert len(simulator.pool.submissions()) == 1


def test_our_time_is_up_while_there_is_no_contact(client, simulator):
    """Then nobody knows whether the run goes on, and the error does not say so; without a timeout it is waited for."""
    run = client.submit(AUSTIN)
    simulator.faults = Faults([Fault("status", path="*/jobs*", status=503)])
    with pytest.raises(WaitTimeout, match="it was queued when it was seen last, and the vendor") as caught:
        run.wait(timeout=20)
    assert "goes on" not in str(caught.value)
    assert isinstance(caught.value.__cause__, FlowrunnerError)
    simulator.faults = Faults()
    assert run.wait(timeout=600).status.state is RunState.SUCCEEDED


def test_the_server_limits_a_run(holding_client, simulator):
    """The options for durations arrive: the server itself cancels what takes too long, and nobody here did."""
    simulator.pool.script(AUSTIN, Behaviour(duration=100))
    options = SubmitOptions(max_run_time=30)
    result = holding_client.run(AUSTIN, options=options, raise_on_failure=False)
    assert (result.status.state, result.status.cause) == (RunState.CANCELLED, Cause.UNSPECIFIED)
    limited = SubmitOptions(extra={"max_total_life_time": 20})
    with pytest.raises(RunCancelled, match="maxTotalLifeTime"):
        holding_client.run(AUSTIN, options=limited, server_wait=True)


def test_a_download(client, simulator, tmp_path):
    """The artifact of a run is downloaded whole, into a folder or to a file; after that nothing else is there."""
    (artifact,) = client.submit(AUSTIN, {"MAXY": 7}).wait().artifacts
    into = artifact.download(tmp_path)
    assert tmp_path / artifact.name == into
    with zipfile.ZipFile(into) as archive:
        assert json.loads(archive.read("result.json"))["publishedParameters"] == {"MAXY": 7}
    simulator.cut_next("truncate", "*/results/*", times=9)
    with pytest.raises(TransportError):
        artifact.download(tmp_path / "other.zip")
    assert [into] == list(tmp_path.iterdir())
    client.close()
    with pytest.raises(ClientClosed):
        artifact.download(tmp_path)


def test_listing(client, simulator, clock):
    """Runs are listed newest first, live ones before ended ones, over pages as small as the server's; flows, too."""
    simulator.quirks = Quirks(max_limit=2)
    for _ in range(5):
        client.submit(AUSTIN)
    client.submit(AUSTIN).cancel()
    clock.advance(3)

    listed = [(run.id, run.status.state) for run in client.runs()]
    assert [(run_id, state) for run_id, state in listed if state != "succeeded"] == [
        ("5", "queued"),
        ("4", "running"),
        ("3", "running"),
        ("6", "cancelled"),
    ]
    assert {"1", "2"} == {run_id for run_id, state in listed if state == "succeeded"}
    assert [run.id for run in client.runs(state="queued", flow=AUSTIN)] == ["5"]
    assert list(client.runs(flow=TEN)) == []
    assert [info.flow for info in client.flows()] == [AUSTIN, "Samples/austinApartments.fmw", TEN]


def test_attaching_elsewhere(client, simulator, open_client):
    """The text of a reference finds the run again from another client, which sees the same end."""
    text = str(client.submit(AUSTIN).ref)
    other = open_client(which="sync", base_url=simulator.base_url, token=simulator.token, max_long_polls=0)
    assert RunState.SUCCEEDED is other.attach(text).wait().status.state


def test_a_restored_server_that_reuses_ids(client, simulator, manual, open_client):
    """A reference from before does not show the end of another flow's run under the same id."""
    text = str(client.submit(AUSTIN).ref)
    with Simulator(clock=manual, token=simulator.token) as restored:
        restored.pool.submit(TEN)
        other = open_client(which="sync", base_url=restored.base_url, token=restored.token)
        with pytest.raises(RunLost):
            other.attach(text.replace(str(simulator.port), str(restored.port))).wait()


def test_a_forgotten_run(client, simulator):
    """A run that the server forgets is lost; one that had ended before keeps its end."""
    ended, live = client.submit(AUSTIN), client.submit(AUSTIN)
    live.refresh()
    ended.wait()
    for run in (ended, live):
        simulator.pool.forget(int(run.id))
    with pytest.raises(RunLost):
        live.wait()
    assert RunState.SUCCEEDED is ended.refresh().state


def test_names_of_any_kind(client, simulator):
    """Repositories and workspaces with blanks, letters, percent signs, slashes, question marks work from end to end."""
    flow = "Ø & Å 50%?/../räksbø #100%.fmw"
    repository, _, name = flow.partition("/")
    simulator.publish(Workspace(repository, name, behaviour=Behaviour(duration=1)))
    with pytest.raises(FlowrunnerError):
        client.describe("Ø & Å 50%?/none.fmw")
    run = client.submit(flow, {})
    assert (repository, name) == tuple(
        simulator.requests.matching(JOBS, "POST")[0].json[key] for key in ("repository", "workspace")
    )
    assert flow == run.flow


def test_health(client, simulator, open_client):
    """A healthy server, a sick one, a wrong token, and none at all."""
    health = client.health()
    assert (health.reachable, health.authenticated, health.healthy) == (True, True, True)
    assert "2025.1" in health.version
    simulator.world.ready = False
    assert (client.health().reachable, client.health().healthy) == (True, False)
    wrong = open_client(base_url=simulator.base_url, token="wrong", retries=0)
    assert (wrong.health().reachable, wrong.health().authenticated) == (True, False)
    simulator.stop()
    assert not wrong.health().reachable


# What fails, and what the error says


def test_a_wrong_token(simulator, open_client):
    """A wrong token is AuthenticationError, which says to renew it and does not show it."""
    client = open_client(base_url=simulator.base_url, token="wr0ng-t0ken")
    with pytest.raises(AuthenticationError, match="check or renew it") as caught:
        client.submit(AUSTIN)
    assert (401, client.name) == (caught.value.http_status, caught.value.connection)
    assert "wr0ng" not in str(caught.value)
    assert simulator.pool.submissions() == ()


@pytest.mark.parametrize(
    ("status", "expected"), [(404, FlowNotFound), (403, PermissionDenied), (409, PermissionDenied)]
)
@pytest.mark.parametrize("check", [True, False])
def test_a_missing_workspace(simulator, open_client, status, expected, check):
    """A workspace that is not there is said so, however the server does; the text names it or a right."""
    simulator.quirks = Quirks(missing_flow_status=status)
    client = open_client(base_url=simulator.base_url, token=simulator.token, check_parameters=check)
    with pytest.raises(expected, match=r"may not see it|may not do this") as caught:
        client.submit("Samples/none.fmw")
    assert status == caught.value.http_status
    if expected is FlowNotFound:
        assert "Samples/none.fmw" in str(caught.value)


BAD = {
    "unknown": (AUSTIN, {"MAXIY": 1}, "MAXIY", "did you mean"),
    "missing": (TEN, {"year": 2000}, "location", "is required"),
    "too large": (TEN, {"location": ["Surrey"], "year": 2101}, "year", "at most 2100"),
    "no number": (AUSTIN, {"MAXY": "north"}, "MAXY", "is not a number"),
    "no whole number": (TEN, {"location": ["Surrey"], "year": 2000.5}, "year", "whole number"),
    "no choice": (AUSTIN, {"DestinationFormat": "PDF"}, "DestinationFormat", "SHAPEFILE"),
    "not among": (AUSTIN, {"THEMES": ["airports", "ufos"]}, "THEMES", "ufos"),
}


@pytest.mark.parametrize("bad", BAD)
def test_bad_parameters(client, simulator, bad):
    """Each bad parameter is named with what is wrong and what would be right, before anything is submitted."""
    flow, parameters, name, text = BAD[bad]
    with pytest.raises(InvalidParameters, match=text) as caught:
        client.submit(flow, parameters)
    assert [name] == list(caught.value.problems)
    assert simulator.requests.matching(JOBS, "POST") == []


@pytest.mark.parametrize("status", [400, 422])
@pytest.mark.parametrize("bad", sorted(BAD.keys() - {"unknown"}))
def test_bad_parameters_that_the_server_refuses(simulator, open_client, bad, status):
    """Without our check the server's refusal is the same error."""
    simulator.quirks = Quirks(invalid_parameter_status=status)
    flow, parameters, name, _ = BAD[bad]
    client = open_client(base_url=simulator.base_url, token=simulator.token, check_parameters=False)
    with pytest.raises(InvalidParameters, match="See `describe`") as caught:
        client.submit(flow, parameters)
    assert [name] == list(caught.value.problems)


FAULTS = {
    "html": (lambda simulator, path: simulator.respond_next(path, 200, "<html>Sign in</html>"), ProtocolError, "proxy"),
    "half a json": (lambda simulator, path: simulator.respond_next(path, 200, b'{"id": 1'), ProtocolError, "base_url"),
    "500": (
        lambda simulator, path: simulator.respond_next(path, 500, {"message": "NPE"}),
        VendorError,
        "administrator",
    ),
    "reset before": (
        lambda simulator, path: simulator.cut_next("reset_before", path),
        TransportError,
        "may have arrived",
    ),
    "reset after": (
        lambda simulator, path: simulator.cut_next("reset_after", path),
        TransportError,
        "may have arrived",
    ),
    "truncated": (lambda simulator, path: simulator.cut_next("truncate", path), TransportError, "may have arrived"),
    "redirect": (
        lambda simulator, path: simulator.respond_next(path, 302, headers={"location": "/"}),
        ProtocolError,
        "redirect",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_while_submitting(simulator, open_client, fault):
    """A fault while submitting leaves it uncertain, and nothing is repeated; a refusal is certain."""
    inject, cause, text = FAULTS[fault]
    client = open_client(base_url=simulator.base_url, token=simulator.token, check_parameters=False)
    inject(simulator, JOBS)
    with pytest.raises(FlowrunnerError) as caught:
        client.submit(AUSTIN)

    error = caught.value
    if fault not in {"500", "redirect"}:
        assert isinstance(error, SubmissionUncertain)
        assert "look at the vendor's list of runs" in str(error)
        error = error.__cause__
    assert isinstance(error, cause)
    assert text in str(error)
    assert len(simulator.requests.matching(JOBS, "POST")) == 1
    assert len(simulator.pool.submissions()) == (fault in {"reset after", "truncated"})


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_while_following(client, simulator, fault):
    """The same fault while a run is followed costs nothing but a look."""
    run = client.submit(AUSTIN)
    FAULTS[fault][0](simulator, f"{JOBS}/1")
    assert RunState.SUCCEEDED is run.wait().status.state


@pytest.mark.parametrize("fault", ["500", "reset before", "reset after", "truncated"])
def test_a_fault_while_reading(client, simulator, fault):
    """A request that may be repeated is, and nobody notices."""
    run = client.submit(AUSTIN)
    client.attach(run.ref).wait()
    FAULTS[fault][0](simulator, f"{JOBS}/1/result")
    assert run.wait().status.message == "Translation Successful"


def test_a_server_that_says_nothing(open_client):
    """A server that accepts and never answers: a submission is uncertain, a look fails, health says so."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = open_client(
            base_url=f"http://127.0.0.1:{listener.getsockname()[1]}", check_parameters=False, timeout=0.03, retries=0
        )
        with pytest.raises(SubmissionUncertain, match="timeout"):
            client.submit(AUSTIN)
        assert not client.health().reachable


def test_a_server_that_is_not_there(simulator, open_client):
    """Nothing listens: a submission certainly did not arrive, and the error says what to check."""
    simulator.stop()
    client = open_client(base_url=simulator.base_url, token="t")
    with pytest.raises(TransportError, match="Check base_url") as caught:
        client.submit(AUSTIN)
    assert not caught.value.maybe_arrived


def test_a_server_that_restarts(client, simulator, clock):
    """A server that is away for a while is waited for; the run goes on meanwhile."""
    happened = []
    client._operations.context._on_event = happened.append
    simulator.pool.script(AUSTIN, Behaviour(duration=30))
    run = client.submit(AUSTIN)
    simulator.stop()
    with pytest.raises(WaitTimeout):
        run.wait(timeout=10)
    simulator.start()
    assert RunState.SUCCEEDED is run.wait().status.state
    assert {events.ContactFailed, events.StatusChanged, events.Submitted} <= {type(event) for event in happened}


# Whatever the server decides where the facts leave it open

DEFAULTS = Quirks()
ALTERNATIVES = [
    {"long_poll": "ignore"},
    {"long_poll": "missing"},
    {"long_poll": "not_allowed"},
    {"unfinished_result": 204},
    {"unfinished_result": 200},
    {"failed_result": "422"},
    {"failed_result": "422_result"},
    {"absent_times": "null"},
    {"absent_times": "zero"},
    {"absent_times": "empty"},
    {"status_case": "upper"},
    {"final_word": "complete"},
    {"final_word": "complete", "status_case": "upper"},
    {"final_word": "complete", "failed_result": "422_result"},
    {"record_message": "shown"},
    {"words": {"running": "PULLED", "queued": "SUBMITTED"}},
    {"words": {"running": "odd"}},
    {"words": {"success": "SUCCESS", "failure": "JOB_FAILURE", "cancelled": "ABORTED"}},
    {"submit_status": 200},
    {"parameters_shape": "items"},
    {"parameters_shape": "parameters"},
    {"parameters_shape": "publishedParameters"},
    {"parameters_shape": "value"},
    {"max_limit": 1},
    {"unfiltered_list": "active"},
    {"unfiltered_list": "completed"},
    {"invalid_parameter_status": 422},
]


@pytest.mark.parametrize("alternative", [{}, *ALTERNATIVES], ids=str)
@pytest.mark.parametrize("holds", [True, False])
def test_every_server_there_may_be(simulator, open_client, time_passes, alternative, holds):
    """However the server decides, the outcome of a program is the same."""
    simulator.quirks = evolve(DEFAULTS, **alternative)
    client = open_client(base_url=simulator.base_url, token=simulator.token, max_long_polls=8 if holds else 0)
    simulator.pool.script(AUSTIN, Behaviour(duration=40, features=3), 1)
    simulator.pool.script(AUSTIN, Behaviour(duration=5, outcome="failed", message="boom"), 1)
    simulator.pool.script(AUSTIN, Behaviour(duration=500), 1)

    with pytest.raises(InvalidParameters):
        client.submit(AUSTIN, {"MAXY": "x"})
    good = client.run(AUSTIN, {"MAXY": 1}, timeout=600)
    assert (good.status.state, good.status.message, good.metrics["features_written"]) == (
        RunState.SUCCEEDED,
        "Translation Successful",
        3,
    )
    assert (good.status.finished_at - good.status.started_at).total_seconds() == 40
    with pytest.raises(RunFailed, match="boom"):
        client.run(AUSTIN, timeout=600)
    cancelled = client.submit(AUSTIN)
    cancelled.cancel()
    assert (
        cancelled.wait(timeout=600, raise_on_failure=False).status.state,
        cancelled.status.cause,
    ) == (RunState.CANCELLED, Cause.BY_US)
    assert {"1", "2", "3"} == {run.id for run in client.runs()}
