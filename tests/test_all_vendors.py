"""One program on every backend by name, over real sockets; what a vendor lacks is told by its capabilities."""

from __future__ import annotations

import threading

import pytest
from attrs import asdict

from flowrunner.backend import Capability
from flowrunner.config import resolve
from flowrunner.enums import CancelOutcome, Cause, RunState, WaitReason
from flowrunner.errors import (
    AuthenticationError,
    InputRequired,
    InvalidParameters,
    InvalidRequest,
    RunFailed,
    RunLost,
    SubmissionUncertain,
    UnsupportedOperation,
    WaitTimeout,
)
from flowrunner.models import SubmitOptions
from flowrunner.simulator import (
    Behaviour,
    DataFlowId,
    InVisionQuirks,
    ManualClock,
    Simulator,
    SmartFlowId,
    SmartFlowsQuirks,
)

FLOWS = {
    "fme-flow": "Samples/austinApartments.fmw",
    "fme-flow-v3": "Samples/austinApartments.fmw",
    "fme-flow-v4": "Samples/austinApartments.fmw",
    "invision": str(DataFlowId.IMPORT_SALES),
    "smart-flows": str(SmartFlowId.NO_INPUT),
}
"""A flow of each vendor that takes nothing and succeeds."""


def named(quirks):
    """What is unusual about a server."""
    usual = asdict(type(quirks)())
    return ",".join(f"{name}={value}" for name, value in asdict(quirks).items() if value != usual[name]) or "usual"


@pytest.fixture
def manual():
    """The simulators' clock."""
    return ManualClock()


@pytest.fixture
def clock(manual, clock_of):
    """The clients' clock, which moves the simulators' along."""
    return clock_of(manual)


@pytest.fixture
def serve(manual, open_client):
    """Start a simulator and open a client of it that polls."""
    serving = []

    def start(vendor, quirks=None, **settings):
        simulator = Simulator(vendor, clock=manual, quirks=quirks)
        simulator.start()
        serving.append(simulator)
        arguments = {**simulator.settings, "max_long_polls": 0, **settings}
        return simulator, open_client(resolve(None, backend=vendor, config=None, arguments=arguments))

    yield start
    for simulator in serving:
        simulator.stop()


@pytest.fixture(params=FLOWS)
def vendor(request):
    """A backend's name."""
    return request.param


def test_the_same_program(serve, vendor):
    """Submit, follow, attach and read the result: the backend's name is all that changes."""
    _, client = serve(vendor)
    run = client.submit(FLOWS[vendor])
    states = [status.state for status in run.watch(timeout=600)]
    again = client.attach(str(run.ref))
    result = again.wait(timeout=60)
    assert states[-1] is RunState.SUCCEEDED
    assert result.status.state is RunState.SUCCEEDED
    assert (result.ref.flow, result.ref.id) == (FLOWS[vendor], run.id)


def test_a_failure_is_a_failure(serve, vendor):
    """A run that fails raises RunFailed on every backend, with what the vendor says."""
    simulator, client = serve(vendor)
    simulator.pool.script(FLOWS[vendor], Behaviour(duration=3, outcome="failed", message="no such layer"))
    with pytest.raises(RunFailed) as caught:
        client.run(FLOWS[vendor], timeout=600)
    assert caught.value.result.status.state is RunState.FAILED


def test_our_wait_ends_and_the_run_goes_on(serve, vendor):
    """A timeout changes nothing about the run, and it can be waited for again."""
    _, client = serve(vendor)
    run = client.submit(FLOWS[vendor])
    with pytest.raises(WaitTimeout):
        run.wait(timeout=0)
    assert run.wait(timeout=600).status.state is RunState.SUCCEEDED


def test_a_wrong_credential(serve, vendor):
    """A wrong token or key is an AuthenticationError on every backend, before anything is started."""
    wrong = {"token" if vendor.startswith("fme") else "api_key": "wrong-credential"}
    simulator, client = serve(vendor, **wrong)
    with pytest.raises(AuthenticationError) as caught:
        client.submit(FLOWS[vendor])
    assert "wrong-credential" not in repr(vars(caught.value))
    assert not simulator.pool.submissions()


OPERATIONS = {
    Capability.CANCEL: lambda client, run: run.cancel(),
    Capability.LIST_RUNS: lambda client, run: list(client.runs()),
    Capability.LIST_FLOWS: lambda client, run: list(client.flows()),
    Capability.HEALTH: lambda client, run: client.health(),
    Capability.LOGS: lambda client, run: list(run.logs()),
    Capability.UPLOAD: lambda client, run: client.upload(__file__),
    Capability.RESUME: lambda client, run: run.resume({}),
}
"""What each capability allows."""


@pytest.mark.parametrize("capability", OPERATIONS)
def test_capabilities_are_true(serve, vendor, capability):
    """What a backend announces works; what it does not is refused before any request."""
    simulator, client = serve(vendor)
    run = client.submit(FLOWS[vendor])
    before = len(simulator.requests)
    if capability in client.capabilities:
        if capability is Capability.RESUME:
            with pytest.raises(InvalidRequest, match="does not wait"):
                OPERATIONS[capability](client, run)
        else:
            OPERATIONS[capability](client, run)
        assert len(simulator.requests) > before
    else:
        with pytest.raises(UnsupportedOperation, match=capability.name):
            OPERATIONS[capability](client, run)
        assert len(simulator.requests) == before


def test_a_cancelled_run(serve, vendor):
    """A run that is cancelled ends so, by us."""
    _, client = serve(vendor)
    run = client.submit(FLOWS[vendor])
    if Capability.CANCEL not in client.capabilities:
        with pytest.raises(UnsupportedOperation):
            run.cancel()
        return
    assert run.cancel() in {CancelOutcome.CONFIRMED, CancelOutcome.REQUESTED}
    status = run.wait(timeout=60, raise_on_failure=False).status
    assert (status.state, status.cause) == (RunState.CANCELLED, Cause.BY_US)


# InVision


@pytest.mark.parametrize("body", ["json", "text", "html", "empty"])
def test_a_500_on_start_is_uncertain(serve, body):
    """InVision's 500 may mean anything, so a start answered so may have started a run."""
    simulator, client = serve("invision")
    simulator.respond_next(
        "*/start", 500, {"html": "<html>", "json": {"message": "x"}, "text": b"x", "empty": b""}[body]
    )
    with pytest.raises(SubmissionUncertain) as caught:
        client.submit(FLOWS["invision"])
    assert caught.value.handle.flow == FLOWS["invision"]


def test_a_run_that_the_server_starts_again(serve):
    """A crashed worker's run goes back to Pending by itself: an attempt more, and no failure."""
    simulator, client = serve("invision")
    simulator.pool.script(FLOWS["invision"], Behaviour(duration=20, requeue_after=5, restart_delay=30))
    run = client.submit(FLOWS["invision"])
    result = run.wait(timeout=600)
    assert (result.status.state, result.status.attempt) == (RunState.SUCCEEDED, 2)


def test_a_run_that_shows_running_for_ever(serve):
    """A run stuck at Running ends our wait at our timeout, and nothing else."""
    simulator, client = serve("invision")
    simulator.pool.script(FLOWS["invision"], Behaviour(duration=float("inf")))
    run = client.submit(FLOWS["invision"])
    with pytest.raises(WaitTimeout):
        run.wait(timeout=3600)
    assert run.status.state is RunState.RUNNING


@pytest.mark.parametrize(
    "quirks",
    [InVisionQuirks(), *(InVisionQuirks(run_id_key=keys) for keys in ("RunId", "runid"))],
    ids=lambda quirks: quirks.run_id_key,
)
def test_keys_are_matched_without_case(serve, quirks):
    """However the keys of the answers are written, the run is found."""
    _, client = serve("invision", quirks)
    assert client.run(FLOWS["invision"], timeout=600).status.state is RunState.SUCCEEDED


# Smart Flows


def test_documents_are_artifacts(serve, tmp_path):
    """Every document of a run is an artifact, once, with its name and type, and its content downloads."""
    _, client = serve("smart-flows")
    options = SubmitOptions(extra={"root": "EmployeeTag"})
    run = client.submit(str(SmartFlowId.REPORT), payload={"Name": "Ada & <Bob>", "City": "Gent"}, options=options)
    result = run.wait(timeout=600)
    names = {artifact.name: artifact for artifact in result.artifacts}
    assert set(names) == {"Report.docx", "Report.pdf"}
    assert names["Report.pdf"].download(tmp_path).read_bytes().startswith(b"%PDF")
    assert "Summary" in result.outputs


def test_a_run_asks_as_often_as_it_likes(serve):
    """A run that waits for a person raises InputRequired with the question, goes on if answered, and may ask again."""
    _, client = serve("smart-flows")
    run = client.submit(str(SmartFlowId.ASKS_TWICE))
    with pytest.raises(InputRequired) as first:
        run.wait(timeout=600, raise_on_failure=False)
    with pytest.raises(InvalidParameters):
        run.resume({})
    (name,) = (key for key in first.value.schema["required"] if key not in first.value.model)
    run.resume({name: "Ada"})
    with pytest.raises(InputRequired) as second:
        run.wait(timeout=600)
    assert first.value.schema != second.value.schema
    assert second.value.status.reason is WaitReason.USER_INPUT
    run.resume({})
    assert run.wait(timeout=600).status.state is RunState.SUCCEEDED


def test_an_outside_event_is_waited_for(serve):
    """A run that waits for an outside event is waited for, up to the timeout, and until=attention tells of it."""
    _, client = serve("smart-flows")
    run = client.submit(str(SmartFlowId.WAITS))
    result = run.wait(timeout=600, until="attention")
    assert (result.status.state, result.status.reason) == (RunState.WAITING, WaitReason.EXTERNAL_EVENT)
    with pytest.raises(WaitTimeout):
        run.wait(timeout=60)


def test_a_record_that_was_cleaned_up(serve, clock):
    """A run whose record the vendor has cleaned up is LOST, with what was known last."""
    _, client = serve("smart-flows", SmartFlowsQuirks(executions_kept_for=10))
    run = client.submit(str(SmartFlowId.NO_INPUT))
    run.refresh()
    clock.advance(3600)
    with pytest.raises(RunLost):
        run.wait(timeout=600)
    assert run.status.vendor_status == "Running"


ALTERNATIVES = [
    SmartFlowsQuirks(error_body="empty"),
    SmartFlowsQuirks(start_status=202),
    SmartFlowsQuirks(cancel_status=204),
    SmartFlowsQuirks(cancel_progress=405),
    SmartFlowsQuirks(cancel_progress=404),
    SmartFlowsQuirks(negative_timeout="refuse"),
    SmartFlowsQuirks(percentage="stalls"),
    SmartFlowsQuirks(percentage="jumps"),
    SmartFlowsQuirks(percentage="missing"),
    SmartFlowsQuirks(warning="absent"),
    SmartFlowsQuirks(model_in="progress"),
    SmartFlowsQuirks(model_in="details"),
    SmartFlowsQuirks(model_keys="plain"),
    SmartFlowsQuirks(list_state="present"),
    SmartFlowsQuirks(largest_page=1),
    SmartFlowsQuirks(disposition="missing"),
    SmartFlowsQuirks(content_type="octet-stream"),
    SmartFlowsQuirks(words={"Success": "success", "Canceled": "Cancelled"}),
]


@pytest.mark.parametrize(
    "quirks",
    ALTERNATIVES,
    ids=lambda quirks: (
        ",".join(f"{k}={v}" for k, v in asdict(quirks).items() if v != getattr(type(quirks)(), k)) or "usual"
    ),
)
def test_what_the_facts_leave_open(serve, quirks, tmp_path):
    """Whichever way an open question of the facts is answered, a program sees the same."""
    _, client = serve("smart-flows", quirks)
    result = client.run(str(SmartFlowId.NO_INPUT), timeout=600)
    assert [artifact.name for artifact in result.artifacts] == ["Letter.docx"]
    assert result.artifacts[0].download(tmp_path).read_bytes().startswith(b"PK")
    cancelled = client.submit(str(SmartFlowId.NO_INPUT))
    assert cancelled.cancel() in {CancelOutcome.CONFIRMED, CancelOutcome.REQUESTED}
    assert cancelled.wait(timeout=60, raise_on_failure=False).status.state is RunState.CANCELLED
    assert {run.id for run in client.runs()} == {result.ref.id, cancelled.id}


@pytest.mark.parametrize("word", ["UserInput", "User input", "Waiting for user input", "USER_INPUT"])
def test_every_spelling_of_user_input(serve, word):
    """A run that asks is told, however the vendor spells that."""
    _, client = serve("smart-flows", SmartFlowsQuirks(words={"UserInput": word}))
    with pytest.raises(InputRequired):
        client.run(str(SmartFlowId.ASKS_ONCE), timeout=600)


@pytest.mark.parametrize("status", [200, 204])
def test_an_answer_that_is_taken_in_silence(serve, status):
    """Answers may be taken with the progress or with nothing; the run goes on."""
    _, client = serve("smart-flows", SmartFlowsQuirks(continue_status=status))
    run = client.submit(str(SmartFlowId.ASKS_ONCE))
    with pytest.raises(InputRequired) as asked:
        run.wait(timeout=600)
    run.resume({key: "Ada" for key in asked.value.schema["required"] if key not in asked.value.model})
    assert run.wait(timeout=600).status.state is RunState.SUCCEEDED


@pytest.mark.parametrize(
    "quirks",
    [SmartFlowsQuirks(), SmartFlowsQuirks(long_poll="ignore")],
    ids=lambda quirks: (
        ",".join(f"{k}={v}" for k, v in asdict(quirks).items() if v != getattr(type(quirks)(), k)) or "usual"
    ),
)
def test_held_requests(serve, manual, quirks):
    """A server that holds requests is asked to, one that answers at once is polled, and the end is the same."""
    simulator, client = serve("smart-flows", quirks, max_long_polls=8)
    ended = threading.Event()

    def let_time_pass():
        while not ended.is_set():
            if simulator.wait_until_held(timeout=0.02):
                manual.advance(1)
            ended.wait(0.001)

    thread = threading.Thread(target=let_time_pass)
    thread.start()
    try:
        assert client.run(str(SmartFlowId.NO_INPUT), timeout=600).status.state is RunState.SUCCEEDED
    finally:
        ended.set()
        thread.join()
