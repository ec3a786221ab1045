"""One program on every backend by name, over real sockets; what a vendor lacks is told by its capabilities.

However a server decides, a whole run is over a socket; what else is asked of each such server needs none.
"""

from __future__ import annotations

import hashlib
import threading
import tracemalloc
from concurrent.futures import wait
from functools import partial
from urllib.parse import urlsplit

import pytest
from attrs import asdict, fields

from flowrunner import http
from flowrunner.backend import Capability
from flowrunner.config import resolve
from flowrunner.enums import CancelOutcome, Cause, RunState, WaitReason
from flowrunner.errors import (
    AuthenticationError,
    FlowNotFound,
    FlowrunnerError,
    InputRequired,
    InvalidParameters,
    InvalidRequest,
    PermissionDenied,
    ProtocolError,
    RateLimited,
    RunFailed,
    RunLost,
    RunNotFound,
    SubmissionUncertain,
    UnsupportedOperation,
    WaitTimeout,
)
from flowrunner.http.scripted import Broken, ScriptedSession
from flowrunner.models import RunRef, SubmitOptions
from flowrunner.plans import Response
from flowrunner.simulator import (
    EMPLOYEES,
    Behaviour,
    DataFlowId,
    InVisionQuirks,
    ManualClock,
    Simulator,
    SmartFlowId,
    SmartFlowsQuirks,
)
from flowrunner.simulator.in_process import InProcessSimulator
from flowrunner.simulator.smart_flows_world import callback_id

# Smaller tests run every line that is run here: to measure it once more would more than double the time.
pytestmark = pytest.mark.no_cover

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


MIB = 2**20


@pytest.fixture
def large(tmp_path):
    """50 MiB of XML."""
    file, row = tmp_path / "large.xml", "<Employee>" + "Ærø &amp; Læsø " * 64_000 + "</Employee>"
    with file.open("wb") as out:
        out.write(b"<Employees>")
        while out.tell() < 50 * MIB:
            out.write(row.encode())
        out.write(b"</Employees>")
    return file


def test_a_large_payload_is_streamed(serve, large):
    """50 MiB from disk arrive as they are, and are in memory a piece at a time, in the client and in the simulator."""
    simulator, client = serve("smart-flows")
    client.submit(str(SmartFlowId.REPORT), payload=b"<Employees/>")  # what is loaded and made at first stays
    tracemalloc.start()
    try:
        run = client.submit(str(SmartFlowId.REPORT), payload=large)
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    sent = simulator.pool.submissions()[1].notes.input
    with large.open("rb") as file:
        assert sent.sha256 == hashlib.file_digest(file, "sha256").hexdigest()
    assert sent.size == large.stat().st_size >= 50 * MIB
    assert most < 8 * MIB
    assert run.status.state is RunState.RUNNING


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


# Whatever the servers decide where the facts leave it open

NUMBERS = {
    "executions_kept_for": (1e6,),  # a short one: `test_a_record_that_was_cleaned_up`
    "documents_kept_for": (0, 1e6),
    "kept_for": (1e6,),
    "largest_input": (1e6, 10),
    "largest_page": (1, 3),
    "longest_await": (4, 1e6),
    "longest_poll": (0, 1, 7),
    "most_per_second": (1, 5),
}
"""Values to try of the switches that take a number."""
WORDS = {
    SmartFlowsQuirks: {"Success": "success", "Canceled": "Cancelled", "Running": "RUNNING", "Queued": "odd"},
    InVisionQuirks: {"Running": "RUNNING", "Succeeded": "succeeded", "Failed": "FAILED", "Pending": "odd"},
}
"""Other spellings, and a word that nobody knows."""


def every(kind):
    """A server for each value of each switch that is not the usual one."""
    yield kind()
    for attribute in fields(kind):
        if attribute.name == "words":
            values = (WORDS[kind],)
        elif attribute.name in NUMBERS:
            values = NUMBERS[attribute.name]
        else:
            values = attribute.validator.options[1:]
        for value in values:
            yield kind(**{attribute.name: value})


@pytest.fixture
def serve_here(manual, open_client, monkeypatch):
    """As `serve`, for a blocking client and without a socket; time passes whenever a request is held."""
    serving = {}

    def answer(sent):
        simulator = serving[urlsplit(sent.url).netloc]
        asked = simulator.ask(sent.method, sent.url, sent.headers, sent.body)
        while not wait([asked], timeout=0.004).done:
            if simulator.wait_until_held(timeout=0):
                manual.advance(1)
        reply = asked.result()
        if reply is None:
            return Broken(arrived=True)
        came = Response(reply.status, reply.headers, reply.content)
        return came if reply.is_whole else Broken(arrived=True, began=came)

    def start(vendor, quirks, **settings):
        simulator = InProcessSimulator(vendor, clock=manual, quirks=quirks).start()
        serving[urlsplit(simulator.base_url).netloc] = simulator
        arguments = {**simulator.settings, "max_long_polls": 0, **settings}
        return simulator, open_client(resolve(None, backend=vendor, config=None, arguments=arguments))

    monkeypatch.setattr(http, "HttpSession", partial(ScriptedSession, answer=answer))
    yield start
    for simulator in serving.values():
        simulator.stop()


@pytest.fixture
def time_passes(manual):
    """Have time pass whenever a request is held at a simulator."""
    ended, threads = threading.Event(), []

    def pass_at(simulator):
        while not ended.is_set():
            if simulator.wait_until_held(timeout=0.004):
                manual.advance(1)
            ended.wait(0.001)

    def start(simulator):
        threads.append(threading.Thread(target=pass_at, args=(simulator,)))
        threads[-1].start()

    yield start
    ended.set()
    for thread in threads:
        thread.join()


once = pytest.mark.parametrize("mode", ["sync"])
"""What is asked and read is the same for both clients."""


@pytest.fixture(params=every(SmartFlowsQuirks), ids=named)
def smart_flows(request, serve_here):
    """A Smart Flows that decides so, without a socket, and a client of it that polls."""
    simulator, client = serve_here("smart-flows", request.param)
    return simulator, client, request.param


@once
@pytest.mark.parametrize("quirks", list(every(SmartFlowsQuirks)), ids=named)
def test_every_smart_flows(serve, time_passes, quirks, tmp_path):
    """Whatever a Smart Flows decides, runs end as they did, and their documents come down as long as they are kept."""
    simulator, client = serve("smart-flows", quirks)
    time_passes(simulator)
    health = client.health()
    assert (health.reachable, health.authenticated) == (True, True)
    result = client.run(str(SmartFlowId.NO_INPUT), timeout=600)
    assert result.status.state is RunState.SUCCEEDED
    assert [artifact.name for artifact in result.artifacts] == ["Letter.docx"] * (quirks.model_in != "neither")
    for artifact in result.artifacts:
        if quirks.documents_kept_for:
            assert artifact.download(tmp_path).read_bytes().startswith(b"PK")
        else:
            with pytest.raises(FlowrunnerError):
                artifact.download(tmp_path)
    warned = client.run(str(SmartFlowId.WARNS), timeout=600).status
    assert (warned.state, warned.has_warnings) == (RunState.SUCCEEDED, quirks.warning == "present")
    for flow, cause in ((SmartFlowId.FAILS, Cause.FLOW), (SmartFlowId.INTERRUPTED, Cause.INTERRUPTED)):
        with pytest.raises(RunFailed) as failed:
            client.run(str(flow), timeout=600)
        assert failed.value.status.cause is cause


@once
def test_every_smart_flows_cancels(smart_flows):
    """Whatever a Smart Flows decides, a run that is cancelled ends so, and one that has ended is too late."""
    _, client, _ = smart_flows
    run = client.submit(str(SmartFlowId.NO_INPUT))
    assert run.cancel() in {CancelOutcome.CONFIRMED, CancelOutcome.REQUESTED}
    assert run.wait(timeout=60, raise_on_failure=False).status.state is RunState.CANCELLED
    assert run.status.cause is Cause.BY_US
    done = client.run(str(SmartFlowId.NO_INPUT), timeout=600)
    assert client.attach(done.ref).cancel() is CancelOutcome.TOO_LATE


@once
def test_every_smart_flows_asks(smart_flows):
    """Whatever a Smart Flows decides, a run that asks is answered, twice, and one that waits goes on when called."""
    simulator, client, quirks = smart_flows
    run = client.submit(str(SmartFlowId.ASKS_TWICE))
    for _ in range(2):
        with pytest.raises(InputRequired) as asked:
            run.wait(timeout=600)
        required = asked.value.schema.get("required", [])
        run.resume({key: "Ada" for key in required if key not in asked.value.model})
    assert run.wait(timeout=600).status.state is RunState.SUCCEEDED

    choosing = client.submit(str(SmartFlowId.CHOOSE))
    with pytest.raises(InputRequired) as asked:
        choosing.wait(timeout=600)
    assert asked.value.status.reason is WaitReason.FLOW_SELECTION
    if quirks.choice == "panel":
        assert asked.value.schema is None
    else:
        (name,) = asked.value.schema["properties"]
        choosing.resume({name: str(SmartFlowId.NO_INPUT)})
        assert choosing.wait(timeout=600).status.state is RunState.SUCCEEDED

    waiting = client.submit(str(SmartFlowId.WAITS))
    status = waiting.wait(timeout=600, until="attention").status
    assert (status.state, status.reason) == (RunState.WAITING, WaitReason.EXTERNAL_EVENT)
    is_told = quirks.waiting_for != "missing" and quirks.most_per_second > 1  # it takes two requests at once
    assert ("waits for" in status.message) == is_told
    callback = callback_id(simulator.pool.jobs[-1])
    called = simulator.ask("POST", f"{simulator.base_url}/api/v1/flows/callback/{callback}", {}, b"")
    assert called.result(10).status < 300
    assert waiting.wait(timeout=600).status.state is RunState.SUCCEEDED


@once
def test_every_smart_flows_lists(smart_flows):
    """Whatever a Smart Flows decides, its runs are listed whole, by flow and by state; and what it has is told."""
    _, client, quirks = smart_flows
    done = client.run(str(SmartFlowId.NO_INPUT), timeout=600).ref.id
    asking = client.submit(str(SmartFlowId.ASKS_ONCE))
    asking.wait(timeout=600, until="attention")
    assert [run.id for run in client.runs()] == [asking.id, done]
    assert [run.id for run in client.runs(state="waiting")] == [asking.id]
    assert [run.id for run in client.runs(state={"succeeded", "failed"})] == [done]
    assert [run.id for run in client.runs(state="succeeded", flow=str(SmartFlowId.NO_INPUT))] == [done]
    assert list(client.runs(state="succeeded", flow=str(SmartFlowId.ASKS_ONCE))) == []
    assert str(SmartFlowId.REPORT) in {flow.flow for flow in client.flows()}
    if quirks.contract == "served":
        assert [each.name for each in client.describe(str(SmartFlowId.REPORT)).parameters] == ["Employee"]
    else:
        with pytest.raises((FlowNotFound, UnsupportedOperation, ProtocolError)):
            client.describe(str(SmartFlowId.REPORT))


@once
def test_every_smart_flows_refuses(smart_flows, serve_here):
    """Whatever a Smart Flows decides, what it refuses is an error, and starts nothing."""
    simulator, client, quirks = smart_flows
    with pytest.raises(FlowrunnerError):
        client.submit("5b0c1f4e-92d3-4d0a-8a61-7c1e5f2ab0ff")
    with pytest.raises(FlowrunnerError):
        client.submit(str(SmartFlowId.REPORT))
    is_denied = quirks.unknown_execution == 404 and quirks.error_body == "spring"  # any other answer may be a proxy's
    is_limited = quirks.most_per_second == 1
    with pytest.raises(RateLimited if is_limited else RunNotFound if is_denied else FlowrunnerError):
        client.attach(RunRef(client.name, "smart-flows", str(SmartFlowId.REPORT), "no-such-run")).refresh()
    assert simulator.pool.submissions() == ()
    for payload, is_taken in ((b"<Employees/>", True), ({"id": ["1"]}, quirks.json_input == "accept")):
        options = SubmitOptions(extra={} if isinstance(payload, bytes) else {"dataset_id": EMPLOYEES})
        if is_taken and quirks.largest_input > 10:
            assert client.run(str(SmartFlowId.REPORT), payload=payload, options=options).status.state == "succeeded"
        else:
            with pytest.raises(FlowrunnerError):
                client.submit(str(SmartFlowId.REPORT), payload=payload, options=options)
    _, stranger = serve_here("smart-flows", quirks, api_key="wrong")
    with pytest.raises((AuthenticationError, PermissionDenied)):
        stranger.submit(str(SmartFlowId.NO_INPUT))


@pytest.mark.parametrize(
    "quirks",
    [
        each
        for each in every(SmartFlowsQuirks)
        if named(each).partition("=")[0] in {"usual", "long_poll", "wake_on", "longest_poll", "negative_timeout"}
    ],
    ids=named,
)
def test_held_requests(serve, time_passes, quirks):
    """A server that holds requests is asked to, one that answers at once is polled, and the end is the same."""
    simulator, client = serve("smart-flows", quirks, max_long_polls=8)
    time_passes(simulator)
    assert client.run(str(SmartFlowId.NO_INPUT), timeout=600).status.state is RunState.SUCCEEDED


@pytest.fixture(params=every(InVisionQuirks), ids=named)
def invision(request, serve_here):
    """An InVision that decides so, without a socket, and a client of it."""
    simulator, client = serve_here("invision", request.param)
    return simulator, client, request.param


@once
@pytest.mark.parametrize("quirks", list(every(InVisionQuirks)), ids=named)
def test_every_invision(serve, time_passes, quirks):
    """Whatever an InVision decides, a run ends as it says; one that is started again counts where that can be seen."""
    simulator, client = serve("invision", quirks)
    time_passes(simulator)
    first = {"Succeeded": RunState.SUCCEEDED, "Failed": RunState.FAILED}.get(quirks.first_status)

    def end(flow):
        run = client.submit(str(flow))
        return run.wait(timeout=600, raise_on_failure=False).status

    assert end(DataFlowId.IMPORT_SALES).state is (first or RunState.SUCCEEDED)
    assert end(DataFlowId.UPDATE_BUDGET).state is (first or RunState.FAILED)
    if quirks.names == "accepted":
        assert end("ImportSales").state is RunState.SUCCEEDED
    again = end(DataFlowId.NIGHTLY_LOAD)
    is_seen = first is None and quirks.after_crash == "Pending" and not quirks.words
    assert (again.state, again.attempt) == (first or RunState.SUCCEEDED, 2 if is_seen else 1)


@once
def test_every_invision_stops(invision):
    """Whatever an InVision decides, what was stopped inside the product ends as one of the two words there are."""
    simulator, client, quirks = invision
    run = client.submit(FLOWS["invision"])
    simulator.pool.cancel(1)
    ends = {"Succeeded": RunState.SUCCEEDED, "Failed": RunState.FAILED}
    status = run.wait(timeout=600, raise_on_failure=False).status
    assert status.state is ends[quirks.first_status if quirks.first_status in ends else quirks.aborted]


@once
def test_every_invision_awaits(invision):
    """Whatever an InVision decides, an awaited run ends so; where the answer is cut or a fault, it is not known."""
    _, client, quirks = invision
    if quirks.longest_await == 4:
        with pytest.raises(SubmissionUncertain):
            client.run(FLOWS["invision"], server_wait=True, timeout=600)
        return
    assert client.run(FLOWS["invision"], server_wait=True, timeout=600).status.state is RunState.SUCCEEDED
    with pytest.raises(SubmissionUncertain if quirks.failed_await == 500 else RunFailed):
        client.run(str(DataFlowId.UPDATE_BUDGET), server_wait=True, timeout=600)


@once
def test_every_invision_refuses(invision, serve_here):
    """Whatever an InVision decides, what it refuses is an error, and starts nothing; a 500 leaves that open."""
    simulator, client, quirks = invision
    kind = {404: (FlowNotFound, ProtocolError), 500: SubmissionUncertain}[quirks.unknown_flow]
    with pytest.raises(kind):
        client.submit("5b0c1f4e-92d3-4d0a-8a61-7c1e5f2ab0ff")
    is_denied = quirks.unknown_run == 404 and quirks.error_body == "json"  # any other answer may be a proxy's
    with pytest.raises(RunNotFound if is_denied else FlowrunnerError):
        client.attach(RunRef(client.name, "invision", FLOWS["invision"], "no-such-run")).refresh()
    stranger_at, stranger = serve_here("invision", quirks, api_key="wrong")
    kind = {401: AuthenticationError, 403: PermissionDenied, 500: SubmissionUncertain}[quirks.bad_key]
    with pytest.raises(kind):
        stranger.submit(FLOWS["invision"])
    assert (simulator.pool.submissions(), stranger_at.pool.submissions()) == ((), ())


@once
def test_every_invision_under_load(invision):
    """Whatever an InVision decides, a start while others wait waits too, or is sent again when it is told to be."""
    simulator, client, _ = invision
    for _ in range(3):
        simulator.pool.submit(FLOWS["invision"])
    run = client.submit(FLOWS["invision"])
    assert len(simulator.pool.submissions()) == 4
    assert run.wait(timeout=600, raise_on_failure=False).status.state.is_final


@pytest.mark.parametrize("kept", [0, 10])
def test_an_invision_that_keeps_no_runs(serve, clock, kept):
    """A run that was seen and is no longer there is LOST, with what was known last."""
    _, client = serve("invision", InVisionQuirks(kept_for=kept))
    run = client.submit(FLOWS["invision"])
    run.refresh()
    clock.advance(3600)
    with pytest.raises(RunLost):
        run.wait(timeout=600)
    assert run.status.vendor_status == "Running"
