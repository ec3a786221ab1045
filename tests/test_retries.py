"""The table of what is done about failures: every cell is produced at the wire, and keeps what it says."""

import asyncio
import socket
import ssl
import subprocess
import sys
import time

import httpx
import pytest
import stamina

from flowrunner import retries
from flowrunner.answers import error_for, json_of, submit_once
from flowrunner.backend import Settings, Submission, Upload
from flowrunner.backends.fme_flow_v4 import FmeFlowV4
from flowrunner.config import resolve
from flowrunner.errors import (
    ContactLost,
    FlowNotFound,
    FlowrunnerError,
    InvalidRequest,
    PermissionDenied,
    ProtocolError,
    RateLimited,
    RunNotFound,
    TransportError,
    VendorError,
)
from flowrunner.models import ArtifactSource, RunRef
from flowrunner.operations.steps import ask
from flowrunner.plans import FileBody, Request, send
from flowrunner.retries import FAILURES, TABLE, Action, Budget, Failure, RequestKind, Trace, answered, failure_in
from flowrunner.secret import Secret
from serving import serving

GET = Request("GET", "/x")
POST = Request("POST", "/x", json={}, repeatable=False)
RETRIES = 2
WAIT = {"Retry-After": "7"}


def caused(error, cause):
    """The error as the HTTP library raises it: from one of its own, which hides the system's."""
    error.__cause__ = httpx.ConnectError("beneath")
    error.__cause__.__context__ = cause
    return error


class Breaking(httpx.SyncByteStream, httpx.AsyncByteStream):
    """A body that breaks in its middle."""

    def __iter__(self):
        yield b'{"id": '
        raise httpx.ReadError("reset by peer")

    async def __aiter__(self):
        for chunk in self:
            yield chunk


FAULTS = {
    Failure.ADDRESS: httpx.UnsupportedProtocol("ftp"),
    Failure.DNS: caused(httpx.ConnectError("no name"), socket.gaierror(-2, "no name")),
    Failure.REFUSED: caused(httpx.ConnectError("refused"), ConnectionRefusedError(111, "refused")),
    Failure.CONNECT_TIMEOUT: httpx.ConnectTimeout("slow"),
    Failure.TLS: caused(httpx.ConnectError("wrong version"), ssl.SSLError(1, "wrong version")),
    Failure.CERTIFICATE: caused(httpx.ConnectError("self-signed"), ssl.SSLCertVerificationError(1, "self-signed")),
    Failure.PROXY: httpx.ProxyError("503"),
    Failure.NO_CONNECTION: httpx.PoolTimeout("busy"),
    Failure.READ_TIMEOUT: httpx.ReadTimeout("slow"),
    Failure.RESET_BEFORE: httpx.RemoteProtocolError("disconnected"),
    Failure.RESET_AFTER: lambda _: httpx.Response(200, stream=Breaking()),
    Failure.WRONG_CONTENT: (200, "<html>"),
    Failure.HTTP_3XX: (302, b"", {"Location": "/login"}),
    Failure.HTTP_401: 401,
    Failure.HTTP_403: 403,
    Failure.HTTP_408: 408,
    Failure.HTTP_425: (425, {"message": "too early"}),
    Failure.HTTP_429: 429,
    Failure.HTTP_4XX: (400, {"message": "no"}),
    Failure.HTTP_500_IN_WORDS: (500, {"message": "broken"}),
    Failure.HTTP_500: (500, "<html>"),
    Failure.HTTP_502: 502,
    Failure.HTTP_503_WAIT: (503, b"", WAIT),
    Failure.HTTP_503: 503,
    Failure.HTTP_504: 504,
    Failure.HTTP_52X: 524,
    Failure.HTTP_5XX: 501,
}
"""How each failure is produced; those that are missing come before anything is sent."""


def read(response):
    """Read an answer as a backend does."""
    if response.is_success:
        return json_of(response)
    said = json_of(response)["message"] if response.content[:1] == b"{" else None
    raise error_for(response, said)


def requested(kind, folder):
    """A request of the kind, from which it finds the kind out by itself where it can."""
    if kind is RequestKind.CANCEL:
        return Request("POST", "/x", repeatable=False, kind=RequestKind.CANCEL)
    if kind is RequestKind.SUBMIT:
        return POST
    if kind is RequestKind.UPLOAD:
        (folder / "up").write_bytes(b"abc")
        return Request("POST", "/x", file=FileBody(folder / "up"))
    return Request("GET", "/x", save_to=folder / "down") if kind is RequestKind.DOWNLOAD else GET


def plan_of(kind, request):
    """The plan of an operation that sends it."""
    if kind is RequestKind.SUBMIT:
        return (yield from submit_once(request, read))
    return read((yield from send(request)))


class LoggingIn(FmeFlowV4):
    """A backend that has to log in."""

    def authorize(self):
        """Nothing is known without a login."""
        return {}

    def login(self):
        """Ask for a token."""
        response = yield from send(Request("POST", "/login", anonymous=True))
        if not response.is_success:
            raise error_for(response)
        return {"Authorization": Secret("t0ken")}


class Cell:
    """A client, a request of a kind, and a vendor that fails so."""

    def __init__(self, client, vendor, kind, folder):
        self.client, self.vendor, self.kind = client, vendor, kind
        self.request = requested(kind, folder)
        if kind is not RequestKind.LOOK:
            assert self.request.kind is kind

    def fails(self, *answers):
        """Script the vendor."""
        method, path = ("GET", "/jobs/1") if self.kind is RequestKind.LOOK else (self.request.method, "/x")
        self.vendor.on(method, path, *answers)

    def act(self):
        """Carry it out; for a look, follow the run."""
        if self.kind is RequestKind.LOOK:
            return self.client.attach(f"flowrunner:1:fme-flow-v4:{self.client.name}:a%2Fb:1").wait()
        return self.client._perform(operation(plan_of(self.kind, self.request)))

    def sent(self):
        """How often it was sent."""
        return len(self.vendor.requests)


def operation(plan):
    """The operation that is that plan alone."""
    return (yield from ask(plan))


@pytest.fixture
def cell(open_client, connected, vendor, tmp_path):
    """Make a client with a request of a kind."""

    def make(kind, **settings):
        backend = settings.pop("backend", "fme-flow-v4")
        settings = {"retries": RETRIES, "contact_budget": 20, "max_long_polls": 0, **settings}
        return Cell(open_client(connected(backend=backend, **settings)), vendor, kind, tmp_path)

    return make


def keeps(cell, rule, failure):
    """What happens is what the rule says."""
    with pytest.raises(rule.errors) as caught:
        cell.act()
    if rule.action is Action.LATER:
        assert type(caught.value) is ContactLost
        assert failure_in(caught.value.__cause__) is failure
        return caught.value.__cause__
    assert type(caught.value) in rule.errors
    return caught.value


@pytest.mark.parametrize(("kind", "failure"), [key for key in TABLE if key[1] in FAULTS])
def test_a_cell_is_kept(cell, tmp_path, kind, failure):
    """Each kind of request meets each failure: it is sent as often as the table says, and raises what it says."""
    token, rule = tmp_path / "token", TABLE[kind, failure]
    token.write_text("old")
    met = cell(kind, token={"file": str(token)})
    token.write_text("new")
    met.fails(FAULTS[failure])
    keeps(met, rule, failure)

    times = {Action.AGAIN: RETRIES + 1, Action.RENEW: 2, Action.NEVER: 1}.get(rule.action)
    assert times == met.sent() or (times is None and met.sent() > 3)


@pytest.mark.parametrize(
    ("kind", "failure"),
    [key for key, rule in TABLE.items() if rule.action in {Action.AGAIN, Action.LATER} and key[1] in FAULTS],
)
def test_what_passes_is_no_failure(cell, vendor, kind, failure):
    """Where a cell says "again" or "later", a success that follows is the outcome."""
    met = cell(kind)
    vendor.on("GET", "/jobs/1/result", 404)
    success = {"id": 1, "status": "success", "repository": "a", "workspace": "b"}
    met.fails(FAULTS[failure], (200, success))
    if kind is RequestKind.DOWNLOAD:
        with pytest.raises(ProtocolError, match="nothing where JSON"):  # what came is in the file
            met.act()
    else:
        met.act()
    assert len(vendor.asked(met.request.method, "/x")) == (0 if kind is RequestKind.LOOK else 2)


@pytest.mark.parametrize("kind", [kind for kind in RequestKind if kind is not RequestKind.LOOK])
def test_the_cells_of_a_turn_that_is_far_off(cell, vendor, kind):
    """While the vendor wants silence for more than a minute nothing is sent, and that is told at once."""
    met = cell(kind)
    vendor.on("GET", "/hush", (429, b"", {"Retry-After": "600"}))
    met.client._session.send(Request("GET", "/hush"), retry=False)
    error = keeps(met, TABLE[kind, Failure.NO_TURN], Failure.NO_TURN)

    assert (error.failure, error.maybe_arrived) == (Failure.NO_TURN, False)
    assert not vendor.asked(met.request.method, "/x")


def test_a_look_waits_for_its_turn(cell, vendor, clock):
    """Following does not ask before the vendor's silence is over, and goes on then."""
    met = cell(RequestKind.LOOK)
    assert TABLE[RequestKind.LOOK, Failure.NO_TURN].action is Action.LATER
    vendor.on("GET", "/hush", (429, b"", {"Retry-After": "600"}))
    vendor.on("GET", "/jobs/1/result", 404)
    met.client._session.send(Request("GET", "/hush"), retry=False)
    looks, ended = [], {"id": 1, "status": "success", "repository": "a", "workspace": "b"}
    met.fails(lambda _: looks.append(clock.monotonic()) or (200, ended))
    assert met.act().status.state == "succeeded"
    assert looks[0] == 600


@pytest.mark.parametrize("kind", RequestKind)
def test_the_cells_of_a_login_that_fails(cell, vendor, kind):
    """Where the login fails nothing else is sent, so nothing is uncertain."""
    met = cell(kind, backend=LoggingIn)
    vendor.on("POST", "/login", 503)
    error = keeps(met, TABLE[kind, Failure.LOGIN], Failure.LOGIN)

    assert (error.failure, error.maybe_arrived) == (Failure.LOGIN, False)
    assert {each.url.path for each in vendor.requests} == {"/login"}
    assert (met.sent() == 1) is (kind is not RequestKind.LOOK)


def test_every_cell_is_tested():
    """What cannot be produced by an answer has a test of its own."""
    assert set(Failure) == {*FAULTS, Failure.NO_TURN, Failure.LOGIN}
    missing = {(kind, failure) for kind in RequestKind for failure in Failure} - set(TABLE)
    assert missing == {(RequestKind.DOWNLOAD, Failure.WRONG_CONTENT)}
    assert set(FAILURES) == set(Failure)


def test_what_the_wire_cannot_tell_apart():
    """The vendor's words are read after the request was sent again, or not: both kinds of 500 are handled alike."""
    for kind in RequestKind:
        assert TABLE[kind, Failure.HTTP_500].action is TABLE[kind, Failure.HTTP_500_IN_WORDS].action


def test_a_submission_is_sent_again_only_where_nothing_arrived():
    """The promise, read off the table: a submission that may have arrived is uncertain, and neither is sent again."""
    for (kind, failure), rule in TABLE.items():
        if kind in {RequestKind.SUBMIT, RequestKind.CANCEL} and rule.action is Action.AGAIN:
            assert FAILURES[failure].trace is Trace.NONE
        uncertain = "SubmissionUncertain" in {error.__name__ for error in rule.errors}
        assert uncertain == (kind is RequestKind.SUBMIT and FAILURES[failure].trace is Trace.UNKNOWN)


@pytest.mark.parametrize("failure", FAULTS)
def test_an_error_carries_its_failure(cell, failure):
    """`error.failure` says what failed, where there was no answer; whether it may have arrived follows from that."""
    met = cell(RequestKind.READ, retries=0)
    met.fails(FAULTS[failure])
    with pytest.raises(FlowrunnerError) as caught:
        met.act()
    assert failure_in(caught.value) is failure
    if isinstance(caught.value, TransportError):
        assert caught.value.maybe_arrived == retries.leaves_open(failure)
        assert caught.value.transient == retries.may_pass(failure)


@pytest.mark.parametrize(
    ("status", "failure"),
    [(100, None), (200, None), (299, None), (304, Failure.HTTP_3XX), (404, Failure.HTTP_4XX), (501, Failure.HTTP_5XX),
     (519, Failure.HTTP_5XX), (520, Failure.HTTP_52X), (530, Failure.HTTP_52X), (531, Failure.HTTP_5XX), (600, None)],
)  # fmt: skip
def test_every_status_has_its_failure(status, failure):
    """Classes of statuses cover what is not named by itself."""
    assert answered(status) is failure


@pytest.mark.parametrize(
    ("error", "failure"),
    [
        (TransportError("x", maybe_arrived=True), None),
        (ProtocolError("x"), Failure.WRONG_CONTENT),
        (InvalidRequest("x"), None),
        (InvalidRequest("x", http_status=200), None),
        (VendorError("x", http_status=503), Failure.HTTP_503),
        (VendorError("x", http_status=503, retry_after=0.0), Failure.HTTP_503_WAIT),
        (RateLimited("x", http_status=429), Failure.HTTP_429),
        (PermissionDenied("x"), Failure.HTTP_403),
        (PermissionDenied("x", http_status=404, transient=True), Failure.HTTP_4XX),
        (FlowNotFound("x", http_status=404), Failure.HTTP_4XX),
        (RunNotFound("x"), None),
    ],
    ids=repr,
)
def test_which_failure_an_error_stands_for(error, failure):
    """By its class where that says more than the status, and none for what is about no failed request."""
    assert failure_in(error) is failure


def kinds(plan):
    """The kind of the first request of a plan."""
    return next(plan).kind


@pytest.mark.parametrize("name", ["fme-flow-v3", "fme-flow-v4"])
def test_the_kinds_of_requests_of_fme_flow(open_client, tmp_path, name):
    """Each operation asks with the kind that the table has for it."""
    backend = open_client(backend=name)._backend
    ref = RunRef("x", name, "a/b", "1")
    source = ArtifactSource(name="x", location="/x", size=None)
    assert kinds(backend.observe(ref)) is RequestKind.READ
    assert kinds(backend.describe("a/b")) is RequestKind.READ
    assert kinds(backend.cancel(ref)) is RequestKind.CANCEL
    assert kinds(backend.submit(Submission(flow="a/b"))) is RequestKind.SUBMIT
    assert kinds(backend.download(source, tmp_path / "x", None)) is RequestKind.DOWNLOAD
    upload = backend.upload(Upload(name="x", folder="f", content=FileBody(before=b"x")))
    assert kinds(upload) is RequestKind.UPLOAD


def test_the_kinds_of_requests_of_smart_flows():
    """An answer to a run acts like a cancellation; a cancellation itself may be repeated there."""
    where = {"base_url": "https://acme.example.com", "api_key": "k3y-k3y"}
    connection = resolve(None, backend="smart-flows", config=None, arguments=where)
    backend = connection.backend(connection.settings)
    ref = RunRef("x", "smart-flows", "f-1", "1")
    assert kinds(backend.resume(ref, {})) is RequestKind.CANCEL
    assert kinds(backend.cancel(ref)) is RequestKind.READ
    assert kinds(backend.submit(Submission(flow="f-1"))) is RequestKind.SUBMIT


# The failures as they really happen


def raised(send, request, **settings):
    """The error of a request that fails."""
    with pytest.raises(TransportError) as caught:
        send(request, retries=0, **settings)
    return caught.value


@pytest.fixture
def send_to(open_client):
    """Send a request over a connection of these settings."""
    return lambda request, **settings: open_client(**settings)._session.send(request)


def test_real_failures_to_connect(send_to, monkeypatch):
    """A name that nobody knows, a port nobody listens on, and a server without TLS are told apart."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with serving() as server:
        tls = raised(send_to, GET, base_url=server.url.replace("http:", "https:"))
    refused = raised(send_to, GET, base_url=f"http://127.0.0.1:{port}")
    monkeypatch.setenv("NO_PROXY", "*")
    unknown = raised(send_to, GET, base_url="https://nowhere.invalid")

    assert [tls.failure, refused.failure, unknown.failure] == [Failure.TLS, Failure.REFUSED, Failure.DNS]
    assert not any(error.maybe_arrived for error in (tls, refused, unknown))


@pytest.mark.parametrize("request_", [GET, POST], ids=["read", "submission"])
def test_real_failures_after_connecting(send_to, request_):
    """A connection that breaks before the answer or within it, and an answer that does not come in time."""

    def breaks(handler):
        handler.close_connection = True
        raise ConnectionError

    def truncated(handler):
        handler.close_connection = True
        return 200, {"content-length": "100"}, b"half"

    with serving(breaks) as server:
        before = raised(send_to, request_, base_url=server.url)
        server.answer = truncated
        within = raised(send_to, request_, base_url=server.url)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        late = raised(send_to, request_, base_url=f"http://127.0.0.1:{listener.getsockname()[1]}", timeout=0.02)

    expected = [Failure.RESET_BEFORE, Failure.RESET_AFTER, Failure.READ_TIMEOUT]
    assert expected == [before.failure, within.failure, late.failure]
    assert all(error.maybe_arrived for error in (before, within, late))


def test_an_error_that_the_caller_is_handling_says_nothing(send_to):
    """Only the system's error of this very connection counts, not one that was being handled around it."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    try:
        socket.getaddrinfo("another.invalid", None)
    except socket.gaierror:
        assert raised(send_to, GET, base_url=f"http://127.0.0.1:{port}").failure is Failure.REFUSED


# How long


def test_a_budget_begins_with_the_first_failure():
    """However long the work before took, all of it is left then."""
    budget = Budget(10.0)
    assert [budget.left(now) for now in (1000.0, 1004.0, 1011.0)] == [10.0, 6.0, -1.0]


def slow(clock, seconds, answer):
    """An answer that takes so long to come."""

    def answering(_):
        clock.advance(seconds)
        return answer

    return answering


def test_the_budget_ends_the_tries(open_client, vendor, clock):
    """When it is used up, the last outcome counts, however many tries `retries` would allow."""
    vendor.on("GET", "/x", slow(clock, 4, 503))
    assert open_client(retries=50, retry_budget=10)._session.send(GET).status == 503
    # The first failure is at 4 s; those at 8 and 12 s are within the budget, the one at 16 s is not.
    assert (len(vendor.requests), clock.monotonic()) == (4, 16)


def test_a_wait_beyond_the_budget_is_told(open_client, vendor, clock):
    """A `Retry-After` longer than what is left of the budget is the caller's to wait."""
    vendor.on("GET", "/x", (429, {"message": "hush"}, {"Retry-After": "11"}))
    client = open_client(retry_budget=10)
    with pytest.raises(RateLimited) as caught:
        client._perform(operation(plan_of(RequestKind.READ, GET)))
    assert (caught.value.retry_after, clock.slept, len(vendor.requests)) == (11, [], 1)


def test_what_is_left_of_the_budget_counts(open_client, vendor, clock):
    """The second wait has to fit into what the first has left."""
    vendor.on("GET", "/x", (503, b"", {"Retry-After": "6"}))
    assert open_client(retry_budget=10)._session.send(GET).status == 503
    assert (clock.slept, len(vendor.requests)) == ([6], 2)


@pytest.mark.parametrize(("length", "times"), [(10, 2), (20, 3)])
def test_an_operation_has_one_budget(open_client, vendor, clock, length, times):
    """All requests of an operation share it: what the first used up is not there for the second."""
    vendor.on("GET", "/x", (503, b"", {"Retry-After": "7"}), 200)
    vendor.on("GET", "/y", (503, b"", {"Retry-After": "7"}))

    def plan():
        yield from send(GET)
        return (yield from send(Request("GET", "/y"))).status

    assert open_client(retry_budget=length)._perform(operation(plan())) == 503
    assert len(vendor.asked("GET", "/y")) == times - 1


def test_the_deadline_wins(open_client, vendor, clock):
    """What the caller allows bounds sending again, too, where that is less than the budget."""
    vendor.on("GET", "/x", (503, b"", {"Retry-After": "6"}))
    assert open_client()._session.send(GET, deadline=10.0).status == 503
    assert (clock.slept, len(vendor.requests)) == ([6], 2)


@pytest.mark.parametrize("settings", [{"retries": 0}, {"retry_budget": 0}])
@pytest.mark.parametrize("answer", [503, (503, b"", {"Retry-After": "0"}), httpx.ReadError("reset")])
def test_it_can_be_switched_off(open_client, vendor, settings, answer):
    """Per connection, by either setting; another connection goes on as usual."""
    vendor.on("GET", "/x", answer, 200)
    with pytest.raises((VendorError, TransportError)):
        open_client(**settings)._perform(operation(plan_of(RequestKind.READ, GET)))
    assert len(vendor.requests) == 1
    vendor.on("GET", "/x", answer, 200)
    assert open_client()._session.send(GET).status == 200


def test_a_budget_that_is_none():
    """Less than nothing is a mistake."""
    with pytest.raises(ValueError, match="retry_budget must not be less than 0"):
        Settings(retry_budget=-1.0)


# stamina


STATE = """
import stamina, stamina.instrumentation
def state():
    return stamina.is_active(), stamina.is_testing(), stamina.instrumentation.get_on_retry_hooks()
"""


def test_nothing_global_of_stamina_is_touched(tmp_path):
    """Its switch, its testing mode and its hooks are, after retries of both clients, what the program made them."""
    program = tmp_path / "program.py"
    program.write_text(
        STATE + "import asyncio, flowrunner\n"
        "stamina.instrumentation.set_on_retry_hooks([told := [].append])\n"
        "before = state()\n"
        "where = {'backend': 'fme-flow-v4', 'base_url': 'http://127.0.0.1:9', 'token': 't-t-t-t', 'retries': 1}\n"
        "try:\n"
        "    with flowrunner.connect(**where) as client:\n"
        "        list(client.flows())\n"
        "except flowrunner.TransportError:\n"
        "    pass\n"
        "async def main():\n"
        "    async with flowrunner.connect_async(**where) as client:\n"
        "        await client.describe('a/b')\n"
        "try:\n"
        "    asyncio.run(main())\n"
        "except flowrunner.TransportError:\n"
        "    pass\n"
        "print(before == state() == (True, False, (told,)), len(told.__self__))\n"
    )
    ended = subprocess.run([sys.executable, program], capture_output=True, text=True, check=True)
    assert (ended.stdout, ended.stderr) == ("True 2\n", "")


def test_stamina_can_be_switched_off_by_the_program(open_client, vendor):
    """A program that has switched stamina off for itself has no request sent again."""
    vendor.on("GET", "/x", 503)
    stamina.set_active(False)
    try:
        assert open_client()._session.send(GET).status == 503
    finally:
        stamina.set_active(True)
    assert len(vendor.requests) == 1


@pytest.mark.parametrize(("answer", "between"), [(503, (0.1, 1.1)), ((503, b"", {"Retry-After": "3"}), (3, 3))])
def test_stamina_does_the_waiting(open_client, vendor, monkeypatch, answer, between):
    """Its own backoff with jitter, or the seconds the vendor wants, slept by its own means."""
    slept, sleep = [], asyncio.sleep
    monkeypatch.setattr(time, "sleep", slept.append)

    async def asleep(seconds):
        slept.append(seconds)
        await sleep(0)

    monkeypatch.setattr(asyncio, "sleep", asleep)
    vendor.on("GET", "/x", answer, 200)
    client = open_client()
    with stamina.set_testing(False):
        assert client._session.send(GET).status == 200
    (waited,) = filter(None, slept)
    assert between[0] <= waited <= between[1]
