"""InVision: what each plan asks, what it makes of each answer, and whole runs over a scripted server."""

import json
from datetime import timedelta
from functools import partial

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowrunner import events
from flowrunner.backend import Capability, RunQuery, Submission, Upload
from flowrunner.backends.invision import AWAIT_MAX, InVision, InVisionSettings
from flowrunner.config import resolve
from flowrunner.enums import Cause, RunState
from flowrunner.errors import (
    AuthenticationError,
    ConfigError,
    ContactLost,
    FlowNotFound,
    FlowrunnerError,
    InvalidRequest,
    PermissionDenied,
    ProtocolError,
    RateLimited,
    RunFailed,
    RunNotFound,
    SubmissionUncertain,
    TransportError,
    UnsupportedOperation,
    UnsupportedOption,
    VendorError,
    WaitTimeout,
)
from flowrunner.models import ArtifactSource, RemoteFile, RunRef, SubmitOptions
from flowrunner.plans import FileBody, Response

BASE = "https://example.com/invision"
FLOW = "6b0f4c1e-3a52-4a38-9d1c-0c5b2d7e8f10"
KEY = "1nv1s10n-k3y"
REF = RunRef("prod", "invision", FLOW, "r-1")
START = f"/invision/api/pub/v1/dataflows/{FLOW}/start"
STATUS = f"/invision/api/pub/v1/dataflows/{FLOW}/runs/r-1/status"
HTML = b"<html><body>Sign in</body></html>"


def made(base_url=BASE):
    """A backend that nothing is connected to."""
    return InVision(InVisionSettings(base_url=base_url, api_key=KEY))


def reply(status, body=None):
    """An answer with a JSON body."""
    return Response(status, {}, b"" if body is None else json.dumps(body).encode())


def play(plan, answer):
    """Play a plan of one request to its end: what it returns, and what it asked."""
    request = next(plan)
    with pytest.raises(StopIteration) as end:
        plan.throw(answer) if isinstance(answer, Exception) else plan.send(answer)
    return end.value.value, request


def failing(plan, answer):
    """Play a plan of one request, which ends in an error of ours."""
    next(plan)
    with pytest.raises(FlowrunnerError) as caught:
        plan.throw(answer) if isinstance(answer, Exception) else plan.send(answer)
    return caught.value


# Plans


def test_a_start():
    """A start is one POST that is not repeatable, with `{}` as JSON; the answer has the id and the first word."""
    accepted, request = play(made().submit(Submission(flow=FLOW)), reply(200, {"runId": "r-1", "status": "Pending"}))

    assert (accepted.id, accepted.observation.word) == ("r-1", "Pending")
    assert (request.method, request.path) == ("POST", f"/api/pub/v1/dataflows/{FLOW}/start")
    assert (request.query, request.json, request.repeatable, request.timeout) == ((), {}, False, None)


def test_a_look():
    """A look is one GET below flow and run; it keeps the answer as it came."""
    answer = reply(200, {"runId": "r-1", "status": "Running"})
    seen, request = play(made().observe(REF, 20.0), answer)

    assert (seen.word, seen.raw) == ("Running", answer.content)
    assert (request.method, request.path) == ("GET", f"/api/pub/v1/dataflows/{FLOW}/runs/r-1/status")
    assert (request.query, request.repeatable) == ((), True)


@pytest.mark.parametrize(
    "address",
    [
        BASE,
        f"{BASE}/",
        f"{BASE}/api/pub/v1",
        f"{BASE}/api/pub/v1/",
        f"{BASE}/API/Pub/V1",
    ],
)
def test_any_prefix(address):
    """The address may end in a slash, or in the interface's own path, of whatever case: the server sees none."""
    assert made(address).base_url == BASE


@pytest.mark.parametrize("address", ["https://example.com", "https://app.example.com/my-company", f"{BASE}/api"])
def test_a_prefix_is_kept(address):
    """What an address has beside that is the deployment's own, and stays."""
    assert address == made(address).base_url


@pytest.mark.parametrize(
    ("name", "quoted"),
    [("daily sales/2025?x=1#y", "daily%20sales%2F2025%3Fx%3D1%23y"), ("Årsoppgjør", "%C3%85rsoppgj%C3%B8r")],
)
def test_ids_are_opaque(name, quoted):
    """Ids are not only GUIDs: each is encoded whole, so it names one thing whatever is in it."""
    assert next(made().submit(Submission(flow=name))).path == f"/api/pub/v1/dataflows/{quoted}/start"
    look = next(made().observe(RunRef("prod", "invision", name, name)))
    assert look.path == f"/api/pub/v1/dataflows/{quoted}/runs/{quoted}/status"


@pytest.mark.parametrize("flow", ["", ".", ".."])
def test_an_id_that_names_nothing(flow):
    """An empty id and a dot segment would address something else: refused before a request."""
    with pytest.raises(InvalidRequest):
        next(made().submit(Submission(flow=flow)))
    with pytest.raises(InvalidRequest):
        next(made().observe(RunRef("prod", "invision", flow, "r-1")))


@pytest.mark.parametrize("keys", [("runId", "status"), ("RunId", "Status"), ("RUNID", "STATUS"), ("runid", "status")])
def test_keys_are_matched_without_case(keys):
    """Keys of both answers are matched without case."""
    body = dict(zip(keys, ("r-1", "RUNNING"), strict=True))
    accepted, _ = play(made().submit(Submission(flow=FLOW)), reply(200, body))
    seen, _ = play(made().observe(REF), reply(200, body))
    assert (accepted.id, accepted.observation.word, seen.word) == ("r-1", "RUNNING", "RUNNING")
    assert RunState.RUNNING is made().state_of(seen)


def test_the_key_goes_into_a_header():
    """The key is a header and nothing else."""
    assert {name: value.reveal() for name, value in made().authorize().items()} == {"x-api-key": KEY}
    assert KEY not in repr(made().settings)


@pytest.mark.parametrize("body", [b"", HTML, b"Internal Server Error", b'{"message": "no such flow"}', b'["x"]'])
def test_500_on_start_is_uncertain(body):
    """500 stands for anything, whatever it says: the run may have been started."""
    error = failing(made().submit(Submission(flow=FLOW)), Response(500, {}, body))
    assert isinstance(error, SubmissionUncertain)
    assert (error.http_status, type(error.__cause__)) == (500, VendorError)


@pytest.mark.parametrize("body", [b"", HTML, b'{"message": "no such run"}', b'{"runId": "r-1", "status": "Failed"}'])
def test_500_on_status_says_nothing(body):
    """500 on a look is a failed look, whatever it says, and never the end of the run."""
    error = failing(made().observe(REF), Response(500, {}, body))
    assert (type(error), error.transient) == (VendorError, True)


@pytest.mark.parametrize(
    "answer",
    [
        Response(200, {}, HTML),
        Response(200),
        Response(204),
        reply(200, []),
        reply(200, {"status": "Running"}),
        reply(200, {"runId": "", "status": "Running"}),
        reply(200, {"runId": None}),
        reply(200, {"runId": 17}),
        Response(408),
        Response(502),
        Response(504, {}, HTML),
        TransportError("cut", maybe_arrived=True),
    ],
)
def test_a_start_whose_outcome_is_not_known(answer):
    """Without a readable id, or an answer, a run may be there: nothing else knows."""
    assert isinstance(failing(made().submit(Submission(flow=FLOW)), answer), SubmissionUncertain)


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (reply(401, {"message": "no"}), AuthenticationError),
        (Response(401, {}, HTML), AuthenticationError),
        (reply(403, {"message": "no"}), PermissionDenied),
        (Response(403, {}, HTML), PermissionDenied),
        (reply(404, {"message": "no"}), FlowNotFound),
        (Response(404, {}, HTML), ProtocolError),
        (Response(404), ProtocolError),
        (reply(404, "no"), ProtocolError),
        (Response(415), InvalidRequest),
        (Response(415, {}, HTML), InvalidRequest),
        (Response(429), RateLimited),
        (Response(302, {"location": "https://login.example.com"}), ProtocolError),
        (TransportError("refused", maybe_arrived=False), TransportError),
    ],
)
def test_a_start_that_is_refused(answer, kind):
    """A refusal is known not to have started anything; a page in the vendor's place is no word about a flow."""
    assert kind is type(failing(made().submit(Submission(flow=FLOW)), answer))


@pytest.mark.parametrize("body", [{"message": "no"}, {"Title": "", "Detail": "no", "status": 400}, {"ERROR": "no"}])
@pytest.mark.parametrize("status", [400, 409, 422])
def test_a_refusal_in_words(status, body):
    """The interface's own refusal is our mistake, with its reason, whichever key and case it stands under."""
    for plan in (made().submit(Submission(flow=FLOW)), made().observe(REF)):
        error = failing(plan, reply(status, body))
        assert (type(error), error.http_status, error.vendor_message) == (InvalidRequest, status, "no")


@pytest.mark.parametrize("answer", [Response(400, {}, HTML), Response(400), reply(400, "no"), reply(400, {"code": 7})])
def test_a_refusal_without_words(answer):
    """What gives no reason the interface is known to write under may be anybody's, and is not believed."""
    for plan in (made().submit(Submission(flow=FLOW)), made().observe(REF)):
        assert type(failing(plan, answer)) is ProtocolError


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (reply(401, {}), AuthenticationError),
        (Response(403), PermissionDenied),
        (reply(404, {"message": "no"}), RunNotFound),
        (Response(404, {}, HTML), ProtocolError),
        (Response(404), ProtocolError),
        (Response(429), RateLimited),
        (Response(503), VendorError),
        (Response(200, {}, HTML), ProtocolError),
        (reply(200, {"runId": "r-1"}), ProtocolError),
        (reply(200, {"runId": "r-1", "status": ""}), ProtocolError),
        (reply(200, {"runId": "r-1", "status": 3}), ProtocolError),
        (TransportError("cut", maybe_arrived=True), TransportError),
    ],
)
def test_a_look_that_fails(answer, kind):
    """A look without a readable status is a failed one; only the interface itself may say that there is no run."""
    assert kind is type(failing(made().observe(REF), answer))


def test_a_status_without_an_id():
    """The id of a known run need not be repeated."""
    assert play(made().observe(REF), reply(200, {"status": "Running"}))[0].word == "Running"


def test_a_reference_without_a_flow():
    """The interface wants the flow beside the run: a reference without one is refused before a request."""
    with pytest.raises(InvalidRequest, match="Data Flow"):
        next(made().observe(RunRef("prod", "invision", "", "r-1")))


@pytest.mark.parametrize(("timeout", "limit"), [(None, AWAIT_MAX), (90.0, 90.0)])
def test_waiting_at_the_server(timeout, limit):
    """`await=true` waits as long as the caller lets it, without a limit of our own that a run of hours would hit."""
    body = {"runId": "r-1", "status": "Succeeded"}
    accepted, request = play(made().run(Submission(flow=FLOW), timeout), reply(200, body))
    assert (accepted.id, accepted.observation.word) == ("r-1", "Succeeded")
    assert (request.query, request.timeout, request.repeatable) == ((("await", "true"),), limit, False)


OPTIONS = {
    "queue": "fast",
    "description": "nightly",
    "max_run_time": 60,
    "max_queue_time": timedelta(minutes=1),
    "success_topics": ("a",),
    "failure_topics": ("b",),
    "directives": {"k": "v"},
}


@pytest.mark.parametrize("name", OPTIONS)
@pytest.mark.parametrize("operation", ["submit", "run"])
def test_every_option_is_an_error(name, operation):
    """The vendor has no options: each is named in an error, and none is dropped."""
    submission = Submission(flow=FLOW, options=SubmitOptions(**{name: OPTIONS[name]}))
    with pytest.raises(UnsupportedOption, match=name) as caught:
        next(made().submit(submission) if operation == "submit" else made().run(submission, None))
    assert name == caught.value.option


def test_every_plan_it_lacks():
    """Each operation the vendor lacks says so when its plan is asked for; of details there are none."""
    backend, artifact = made(), ArtifactSource(name="x", location="/x")
    lacking = [
        lambda: backend.cancel(REF),
        lambda: backend.logs(REF),
        lambda: backend.download(artifact, None, None),
        lambda: backend.upload(Upload(name="x", folder="y", content=FileBody())),
        lambda: backend.remove(RemoteFile(name="x", reference="y")),
        lambda: backend.download_file("x", None, None),
        lambda: backend.list_runs(RunQuery()),
        backend.list_flows,
        lambda: backend.describe(FLOW),
        lambda: backend.prompt(REF),
        lambda: backend.resume(REF, {}),
        backend.health,
    ]
    for plan in lacking:
        with pytest.raises(UnsupportedOperation, match="invision"):
            plan()
    with pytest.raises(StopIteration) as end:
        next(backend.result(REF))
    assert (end.value.value.outputs, end.value.value.artifacts, end.value.value.observations) == ({}, (), ())


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.sampled_from(["runId", "RUNID", "status", "x"]) | st.text(), inner)
    ),
    max_leaves=8,
)


@given(status=st.sampled_from([200, 201, 204, 302, 400, 401, 403, 404, 415, 500]), body=JSON)
def test_whatever_json_comes(status, body):
    """Any JSON in any answer is understood, or one of our errors."""
    backend = made()
    for plan in (backend.submit(Submission(flow=FLOW)), backend.run(Submission(flow=FLOW), 1.0), backend.observe(REF)):
        next(plan)
        with pytest.raises((StopIteration, FlowrunnerError)):
            plan.send(reply(status, body))


@given(status=st.sampled_from([200, 404, 500]), body=st.binary())
def test_whatever_bytes_come(status, body):
    """Any bytes in any answer are understood, or one of our errors."""
    for plan in (made().submit(Submission(flow=FLOW)), made().observe(REF)):
        next(plan)
        with pytest.raises((StopIteration, FlowrunnerError)):
            plan.send(Response(status, {}, body))


# Whole runs


def run(word, run_id="r-1"):
    """An answer of the vendor."""
    return 200, {"runId": run_id, "status": word}


def connection(**settings):
    """The checked settings of a connection."""
    arguments = {"base_url": BASE, "api_key": KEY, **settings}
    return resolve(None, backend="invision", config=None, arguments=arguments)


class Case:
    """A client over a scripted vendor that has started run r-1."""

    def __init__(self, open_client, vendor, clock):
        self.open, self.vendor, self.clock = open_client, vendor, clock
        self.events = []
        vendor.on("POST", START, run("Pending"))

    def client(self, **settings):
        """A client of the vendor."""
        return self.open(connection(**settings), on_event=self.events.append)

    def run(self, *answers, **settings):
        """A run whose looks are answered so."""
        self.vendor.on("GET", STATUS, *answers)
        return self.client(**settings).submit(FLOW)

    def happened(self, kind):
        """The events of a kind."""
        return [event for event in self.events if isinstance(event, kind)]

    def looks(self):
        """How often the status was asked for."""
        return len(self.vendor.asked("GET", STATUS))


@pytest.fixture
def case(open_client, vendor, clock):
    """A client over a scripted vendor."""
    return Case(open_client, vendor, clock)


def test_a_whole_run(case):
    """Start, looks and end: the key is in a header of each request and in no address, the type is JSON."""
    result = case.run(run("Pending"), run("Running"), run("Succeeded")).wait()

    assert (result.status.state, result.status.vendor_status) == (RunState.SUCCEEDED, "Succeeded")
    assert (result.outputs, result.artifacts, result.metrics) == ({}, (), {})
    start = case.vendor.asked("POST", START)[0]
    assert (start.headers["content-type"], start.content) == ("application/json", b"{}")
    assert {KEY} == {request.headers["x-api-key"] for request in case.vendor.requests}
    assert not any(KEY in str(request.url) or b"api_key" in request.url.query for request in case.vendor.requests)
    assert not any("authorization" in request.headers for request in case.vendor.requests)


def test_a_run_that_fails(case):
    """Failed is FAILED; why, the vendor does not say."""
    with pytest.raises(RunFailed) as caught:
        case.run(run("Failed")).wait()
    assert (caught.value.status.state, caught.value.status.cause) == (RunState.FAILED, Cause.UNSPECIFIED)


def test_running_for_ever(case):
    """A run that a crashed worker left at Running ends our wait at our timeout, and nothing else."""
    started = case.run(run("Running"))
    with pytest.raises(WaitTimeout):
        started.wait(timeout=300)
    assert pytest.approx(case.clock.monotonic()) == 300
    assert RunState.RUNNING is started.status.state


def test_a_run_that_is_started_again(case):
    """Running that falls back to Pending is the next attempt."""
    result = case.run(run("Running"), run("Pending"), run("Running"), run("Succeeded")).wait()
    assert result.status.attempt == 2


def test_the_word_of_the_start_is_no_attempt(case):
    """The start may answer Running and the first look Pending: that is one attempt still."""
    case.vendor.on("POST", START, run("Running"))
    assert case.run(run("Pending"), run("Running"), run("Succeeded")).wait().status.attempt == 1


def test_500_while_following(case):
    """500 on looks is borne for the budget, then ContactLost: the run is as it was, and never FAILED."""
    started = case.run(run("Running"), 500, contact_budget=60)
    with pytest.raises(ContactLost) as caught:
        started.wait()
    assert (started.status.state, caught.value.status.state) == (RunState.RUNNING, RunState.RUNNING)
    assert 60 <= case.clock.monotonic() < 120
    assert case.looks() > 3
    case.vendor.on("GET", STATUS, run("Succeeded"))
    assert RunState.SUCCEEDED is started.wait().status.state


def test_500_that_passes(case):
    """A few failed looks change nothing, and events tell of them."""
    assert RunState.SUCCEEDED is case.run(500, (500, "<html>"), run("Succeeded")).wait().status.state
    assert len(case.happened(events.ContactFailed)) == 2
    assert len(case.happened(events.ContactRestored)) == 1


def test_500_on_start_is_not_sent_again(case):
    """An uncertain start is one request; its handle names the flow and has no id."""
    case.vendor.on("POST", START, (500, {"message": "boom"}))
    with pytest.raises(SubmissionUncertain) as caught:
        case.client().submit(FLOW)
    assert len(case.vendor.requests) == 1
    assert (caught.value.handle.flow, caught.value.handle.id) == (FLOW, None)


def test_an_unknown_word(case):
    """A word nobody knows keeps the run alive, and is told once."""
    result = case.run(run("Running"), run("Throttled"), run("Throttled"), run("succeeded")).wait()
    assert RunState.SUCCEEDED is result.status.state
    assert [event.word for event in case.happened(events.UnknownWord)] == ["Throttled"]


def test_a_wait_at_the_server(case):
    """`server_wait` is one request, whose answer has the end; its read timeout is the caller's."""
    case.vendor.on("POST", START, run("Succeeded"))
    result = case.client().run(FLOW, server_wait=True, timeout=600)
    assert (result.status.state, result.ref.id) == (RunState.SUCCEEDED, "r-1")
    (request,) = case.vendor.requests
    assert (request.url.query, request.extensions["timeout"]["read"]) == (b"await=true", 600)


def test_a_wait_at_the_server_for_a_failure(case):
    """An awaited run that failed is RunFailed."""
    case.vendor.on("POST", START, run("Failed"))
    with pytest.raises(RunFailed):
        case.client().run(FLOW, server_wait=True)


def test_a_wait_at_the_server_that_is_not_over(case):
    """Whatever of the four words the awaited answer has, a live one is followed on."""
    case.vendor.on("POST", START, run("Running"))
    case.vendor.on("GET", STATUS, run("Succeeded"))
    assert RunState.SUCCEEDED is case.client().run(FLOW, server_wait=True).status.state


@pytest.mark.parametrize("cut", [httpx.ReadError("cut"), httpx.ReadTimeout(""), httpx.RemoteProtocolError("gone"), 504])
def test_a_wait_at_the_server_that_is_cut(case, cut):
    """A cut connection loses the only answer that has the id: uncertain, after one request."""
    case.vendor.on("POST", START, cut)
    with pytest.raises(SubmissionUncertain) as caught:
        case.client().run(FLOW, server_wait=True)
    assert (caught.value.handle.id, len(case.vendor.requests)) == (None, 1)


def test_a_run_that_is_gone(case):
    """A run that the vendor knew and denies is LOST after a while, with what was last known."""
    started = case.run(run("Running"), (404, {"message": "no such run"}))
    result = started.wait(raise_on_failure=False)
    assert (result.status.state, result.status.vendor_status) == (RunState.LOST, "Running")


def test_a_page_is_no_denial(case):
    """A page with 404 comes from a proxy or a wrong prefix: contact lost, not the run."""
    started = case.run(run("Running"), (404, "<html>no</html>"), contact_budget=30)
    with pytest.raises(ContactLost):
        started.wait()
    assert RunState.RUNNING is started.status.state


@pytest.mark.parametrize(("status", "kind"), [(401, AuthenticationError), (403, PermissionDenied)])
def test_a_key_that_is_refused_while_following(case, status, kind):
    """A refused key ends following at once; it says nothing about the run."""
    started = case.run(run("Running"), status)
    with pytest.raises(kind):
        started.wait()
    assert RunState.RUNNING is started.status.state


def test_what_is_missing_is_an_error_before_a_request(case, tmp_path):
    """Each operation and option that the vendor lacks is UnsupportedOperation, and nothing goes out."""
    file = tmp_path / "x.txt"
    file.write_text("x")
    client = case.client()
    attached = client.attach(RunRef(client.name, "invision", FLOW, "r-1"))
    lacking = [
        attached.cancel,
        lambda: list(attached.logs()),
        lambda: attached.resume({"a": 1}),
        lambda: list(client.runs()),
        lambda: list(client.flows()),
        lambda: client.describe(FLOW),
        lambda: client.upload(file),
        lambda: client.download("x", tmp_path / "y"),
        client.health,
        lambda: client.submit(FLOW, {"a": 1}),
        lambda: client.submit(FLOW, {"a": file}),
        lambda: client.submit(FLOW, payload=b"<x/>"),
        lambda: client.submit(FLOW, key="k"),
        lambda: client.run(FLOW, {"a": 1}, server_wait=True),
        *(
            partial(client.submit, FLOW, options=SubmitOptions(**{name: value}))
            for name, value in {**OPTIONS, "extra": {"priority": 1}}.items()
        ),
    ]
    for operation in lacking:
        with pytest.raises(UnsupportedOperation):
            operation()
    assert case.vendor.requests == []
    assert frozenset({Capability.SERVER_WAIT}) == client.capabilities


def test_the_key_is_required():
    """A connection without a key is refused, and the error names it."""
    with pytest.raises(ConfigError, match="api_key"):
        resolve(None, backend="invision", config=None, arguments={"base_url": BASE})
