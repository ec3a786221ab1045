"""Logging in: once for all callers, again when the token has expired, and nothing of it to be seen anywhere."""

import asyncio
import json
import logging
import os
import threading
import traceback

import httpx
import pytest

from flowrunner.client import AsyncClient, Client
from flowrunner.config import resolve
from flowrunner.errors import (
    AuthenticationError,
    ConfigError,
    FlowrunnerError,
    InvalidRequest,
    ProtocolError,
    RateLimited,
    SubmissionUncertain,
    TransportError,
)

BASE = "https://acme.example.com"
LOGIN = "/api/v1/authenticate/login"
START = "/api/v1/flows/executions"
PROGRESS = f"{START}/e-1/progress"
FLOWS = "/api/v1/flows"
PASSWORD = 'p4ssw0rd & "Ærø" żółć'
TOKEN = "t0ken"
RUNNING = (200, {"id": "e-1", "status": "Running", "percentage": 1})


def logged_in(token=TOKEN):
    """The answer to a login."""
    return 200, {"user": {"id": "u-1"}, "tokens": [{"scope": "x", "token": token}, {"scope": "y", "token": "other"}]}


def connection(**settings):
    """The checked settings of a connection with user and password."""
    arguments = {"base_url": BASE, "username": "ada", "password": PASSWORD, "check_parameters": False, **settings}
    return resolve(None, backend="smart-flows", config=None, arguments=arguments)


class Case:
    """A client over a scripted vendor that logs people in."""

    def __init__(self, open_client, vendor):
        self.open, self.vendor = open_client, vendor
        self.events = []
        vendor.on("POST", LOGIN, logged_in())
        vendor.on("POST", START, RUNNING)
        vendor.on("GET", PROGRESS, RUNNING)
        vendor.on("GET", FLOWS, (200, []))

    def client(self, **settings):
        """A client that logs in, unless the settings say otherwise."""
        return self.open(connection(max_long_polls=0, **settings), on_event=self.events.append)

    def logins(self):
        """The requests to log in."""
        return self.vendor.asked("POST", LOGIN)

    def accepting(self, *tokens, then=RUNNING):
        """An answer that accepts only these tokens."""
        return lambda request: (
            then if request.headers.get("authorization") in {f"Bearer {each}" for each in tokens} else 401
        )


@pytest.fixture
def case(open_client, vendor):
    """A client over a scripted vendor."""
    return Case(open_client, vendor)


def test_a_login(case):
    """Before the first request user and password go out as JSON, without a credential; then the first token does."""
    client = case.client()
    assert case.vendor.requests == []
    client.submit("f-1").refresh()

    login, start, look = case.vendor.requests
    assert json.loads(login.content) == {"username": "ada", "password": PASSWORD}
    assert (login.headers["content-type"], login.url.query) == ("application/json", b"")
    assert "authorization" not in login.headers
    assert {start.headers["authorization"], look.headers["authorization"]} == {f"Bearer {TOKEN}"}
    assert not any("x-api-key" in request.headers for request in case.vendor.requests)


def test_a_token_that_no_header_can_carry(case):
    """It is an answer that makes no sense, which is not shown, and the submission was not sent."""
    case.vendor.on("POST", LOGIN, logged_in("t0ken-\u017c"))
    with pytest.raises(TransportError, match="has a token that no HTTP header can carry") as caught:
        case.client().submit("f-1")
    assert not caught.value.maybe_arrived
    assert "t0ken" not in "".join(traceback.format_exception(caught.value))


def test_a_key_needs_no_login(case):
    """With a key nobody logs in, whatever else is configured; its 401 is the end."""
    client = case.client(api_key="k3y")
    client.submit("f-1")
    case.vendor.on("POST", START, 401)
    with pytest.raises(AuthenticationError):
        client.submit("f-1")
    assert case.logins() == []
    assert {request.headers["x-api-key"] for request in case.vendor.requests} == {"k3y"}


@pytest.mark.parametrize(
    "settings",
    [{}, {"username": "ada"}, {"password": "x"}],
)
def test_no_credential(settings):
    """Neither a key nor a user with a password is a ConfigError that says what to give."""
    with pytest.raises(ConfigError, match="give api_key, or username and password"):
        resolve(None, backend="smart-flows", config=None, arguments={"base_url": BASE, **settings})


def test_a_token_that_expires(case):
    """A 401 has the user logged in once more, and the request is sent again, a submission included."""
    client = case.client()
    client.submit("f-1")
    case.vendor.on("POST", LOGIN, logged_in("new"))
    case.vendor.on("POST", START, case.accepting("new"))
    client.submit("f-1")
    assert len(case.logins()) == 2
    assert len(case.vendor.asked("POST", START)) == 3


def test_a_token_that_is_refused_again(case):
    """A fresh token that is refused, too, is an AuthenticationError after one renewal."""
    case.vendor.on("POST", LOGIN, logged_in("1"), logged_in("2"), logged_in("3"))
    case.vendor.on("POST", START, 401)
    with pytest.raises(AuthenticationError):
        case.client().submit("f-1")
    assert (len(case.logins()), len(case.vendor.asked("POST", START))) == (2, 2)


def test_a_token_that_stays_the_same(case):
    """Where the vendor gives the token again that it refuses, the request is not sent again."""
    case.vendor.on("POST", START, 401)
    with pytest.raises(AuthenticationError):
        case.client().submit("f-1")
    assert (len(case.logins()), len(case.vendor.asked("POST", START))) == (2, 1)


def test_a_token_that_expires_while_following(case):
    """A wait outlives any number of tokens."""
    tokens = iter(range(9))
    case.vendor.on("POST", LOGIN, lambda _: logged_in(str(next(tokens))))
    ended = 200, {"id": "e-1", "status": "Success"}
    case.vendor.on("GET", PROGRESS, RUNNING, 401, RUNNING, 401, RUNNING, 401, ended)
    case.vendor.on("GET", f"{START}/e-1", 404)
    case.vendor.on("GET", f"{START}/e-1/status", 404)
    assert case.client().submit("f-1").wait().status.state == "succeeded"
    assert len(case.logins()) == 4


def test_one_login_for_many_threads(vendor, clock, no_backoff):
    """Threads that need a login at the same time share one, and one more when all their requests were refused."""
    count = 12
    together = threading.Barrier(count)
    case = Case(None, vendor)
    vendor.on("POST", LOGIN, logged_in("old"), logged_in("new"))
    failures = []

    def refused_together(request):
        if request.headers["authorization"] == "Bearer new":
            return 200, []
        together.wait(10)
        return 401

    def work():
        try:
            together.wait(10)
            list(client.flows())
        except BaseException as error:  # noqa: BLE001 - a thread's failure is told by the test
            failures.append(error)

    with Client(connection(max_connections=count), clock=clock) as client:
        for answer in ((200, []), refused_together):
            vendor.on("GET", FLOWS, answer)
            threads = [threading.Thread(target=work) for _ in range(count)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(10)
    assert failures == []
    assert len(case.logins()) == 2


def test_one_login_for_many_tasks(vendor, clock, no_backoff):
    """Tasks share a login as threads do."""
    case = Case(None, vendor)
    vendor.on("POST", LOGIN, logged_in("old"), logged_in("new"))

    async def each(client):
        return [flow async for flow in client.flows()]

    async def main():
        async with AsyncClient(connection(), clock=clock) as client:
            vendor.on("GET", FLOWS, (200, []))
            await asyncio.gather(*(each(client) for _ in range(12)))
            vendor.on("GET", FLOWS, case.accepting("new", then=(200, [])))
            await asyncio.gather(*(each(client) for _ in range(12)))

    asyncio.run(main())
    assert len(case.logins()) == 2


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (400, AuthenticationError),
        ((401, {"message": "Bad credentials"}), AuthenticationError),
        (403, AuthenticationError),
        (422, AuthenticationError),
        ((429, b"", {"Retry-After": "3600"}), RateLimited),
        ((404, {"message": "no such address"}), InvalidRequest),
        ((200, {"tokens": []}), AuthenticationError),
        ((200, {}), AuthenticationError),
        ((200, {"tokens": ["x"]}), AuthenticationError),
        ((200, {"tokens": [{"scope": "x"}]}), AuthenticationError),
        ((200, {"tokens": [{"token": 5}]}), AuthenticationError),
        ((200, "<html>"), AuthenticationError),
        ((302, b"", {"Location": "https://other.example/"}), TransportError),
        (404, TransportError),
        (500, TransportError),
        ((500, {"message": "x"}), TransportError),
        (502, TransportError),
        (504, TransportError),
        (httpx.ReadTimeout("slow"), TransportError),
        (httpx.ReadError("cut"), TransportError),
        (httpx.ConnectError("refused"), TransportError),
    ],
)
def test_a_login_that_fails(case, answer, kind):
    """Refused, it is AuthenticationError; failed, there was no way. No submission is uncertain: none was sent."""
    case.vendor.on("POST", LOGIN, answer)
    with pytest.raises(FlowrunnerError) as caught:
        case.client().submit("f-1")
    assert type(caught.value) is kind
    assert not isinstance(caught.value, SubmissionUncertain)
    assert getattr(caught.value, "maybe_arrived", False) is False
    assert [request.url.path for request in case.vendor.requests] == [LOGIN]


@pytest.mark.parametrize("answer", [500, 401, httpx.ReadError("cut")])
def test_a_renewal_that_fails(case, answer):
    """A submission that was refused for its old token is not uncertain either: it was refused."""
    client = case.client()
    client.submit("f-1")
    case.vendor.on("POST", LOGIN, answer)
    case.vendor.on("POST", START, 401)
    with pytest.raises((AuthenticationError, TransportError)):
        client.submit("f-1")


def test_a_login_that_fails_while_following(case):
    """A login that fails is a failed look, which passes; one that is refused ends following."""
    started = case.client().submit("f-1")
    case.vendor.on("GET", PROGRESS, 401)
    case.vendor.on("POST", LOGIN, 503, httpx.ReadError("cut"), 401)
    with pytest.raises(AuthenticationError):
        started.wait()
    assert len(case.logins()) == 4
    assert started.status.state == "running"


def test_a_login_does_not_outlast_the_wait(case):
    """The time a wait has left bounds the login it needs, too."""
    client = case.client()
    run = client.attach(f"flowrunner:1:smart-flows:{client.name.replace('@', '%40')}:f-1:e-1")
    case.vendor.on("POST", LOGIN, httpx.ReadTimeout("slow"))
    with pytest.raises(FlowrunnerError):
        run.wait(timeout=0)
    assert case.logins()[0].extensions["timeout"]["read"] <= 5


def test_health_without_a_login(case):
    """Health tells of a refused login, and of one that fails, and raises nothing."""
    case.vendor.on("GET", "/api/v1/authenticate", (200, {"login": {"enabled": True}}))
    case.vendor.on("POST", LOGIN, 401)
    health = case.client().health()
    assert (health.reachable, health.authenticated) == (True, False)
    case.vendor.on("POST", LOGIN, 500)
    health = case.client().health()
    assert (health.reachable, health.authenticated) == (True, None)
    assert "the login failed" in health.message


def test_the_password_is_read_again(case, tmp_path):
    """A renewal reads the password anew from where it comes from: it may have been changed."""
    file = tmp_path / "password"
    file.write_text("old")
    client = case.client(password={"file": str(file)})
    client.submit("f-1")
    file.write_text("new")
    case.vendor.on("POST", LOGIN, lambda request: logged_in("2") if b'"new"' in request.content else 401)
    case.vendor.on("POST", START, case.accepting("2"))
    client.submit("f-1")
    assert b'"new"' in case.vendor.asked("POST", LOGIN)[-1].content


def test_a_password_that_cannot_be_read(case, tmp_path, caplog):
    """Where it cannot be read again just now, the refusal stands, and the log says why."""
    file = tmp_path / "password"
    file.write_text("old")
    client = case.client(password={"file": str(file)})
    client.submit("f-1")
    file.unlink()
    case.vendor.on("POST", START, 401)
    with pytest.raises(AuthenticationError):
        client.submit("f-1")
    assert "cannot be read again" in caplog.text
    assert len(case.logins()) == 1


def test_two_connections_share_nothing(case):
    """A token is its connection's own: another one logs in itself, and each goes to its own host alone."""
    case.client().submit("f-1")
    other = case.client(base_url="https://other.example.com")
    case.vendor.on("POST", LOGIN, logged_in("elsewhere"))
    other.submit("f-1")
    sent = {(request.url.host, request.headers.get("authorization")) for request in case.vendor.requests}
    assert sent == {
        ("acme.example.com", None),
        ("acme.example.com", f"Bearer {TOKEN}"),
        ("other.example.com", None),
        ("other.example.com", "Bearer elsewhere"),
    }


SECRETS = ("p4ssw0rd", TOKEN)


def everything_about(error):
    """What a log, a debugger or a crash report would show of an error: frames of httpx or of the test are not ours."""
    each = error
    while each is not None:
        yield repr(each.args) + str(each) + (repr(each.__dict__) if isinstance(each, FlowrunnerError) else "")
        each = each.__cause__ or each.__context__
    whole = traceback.TracebackException.from_exception(error, capture_locals=True)
    while whole is not None:
        for frame in whole.stack:
            if f"{os.sep}flowrunner{os.sep}" in frame.filename:
                yield repr(frame.locals)
        yield "".join(whole.format_exception_only())
        whole = whole.__cause__ or whole.__context__


def echoes(status):
    """An answer that repeats what it was sent."""
    return lambda request: (status, {"message": f"{request.content.decode()} {json.loads(request.content)}"})


@pytest.mark.parametrize(
    "login",
    [
        *(echoes(status) for status in (200, 400, 401, 403, 404, 500)),
        (200, f"<html>{TOKEN} {PASSWORD}"),
        (200, {"tokens": {"token": TOKEN}}),
        (200, {"tokens": [{"token": [TOKEN, PASSWORD]}]}),
        httpx.ReadError(f"cut {PASSWORD}"),
        logged_in(),
    ],
)
@pytest.mark.parametrize("call", ["submit", "flows", "health"])
def test_neither_password_nor_token_is_shown(case, caplog, login, call):
    """Password and token are in no repr, log, event, error or traceback, whatever the vendor answers."""
    caplog.set_level(logging.DEBUG)
    case.vendor.on("POST", LOGIN, login)
    refusal = (403, {"message": f"{TOKEN} of {PASSWORD} may not"})
    case.vendor.on("POST", START, refusal)
    case.vendor.on("GET", FLOWS, refusal)
    case.vendor.on("GET", "/api/v1/authenticate", (200, {}))
    case.vendor.on("GET", "/api/v1/users/me", refusal)
    case.vendor.on("GET", "/api/v1/system/info", refusal)
    client = case.client()
    calls = {"submit": lambda: client.submit("f-1"), "flows": lambda: list(client.flows()), "health": client.health}
    shown = []
    try:
        shown.append(repr(calls[call]()))
    except FlowrunnerError as error:
        shown += everything_about(error)
    shown += [repr(client), repr(client._connection), repr(client._session), repr(client._backend.settings)]
    shown += [repr(event) for event in case.events]
    shown += [record.getMessage() + repr(record.__dict__) for record in caplog.records]

    assert [text for text in shown for secret in SECRETS if secret in text] == []


def test_a_token_is_hidden_in_what_the_vendor_says(case):
    """A token that the vendor gave is hidden in its later messages like a configured credential."""
    started = case.client().submit("f-1")
    case.vendor.on("GET", PROGRESS, (200, {"id": "e-1", "status": "Running", "message": f"for {TOKEN}: {PASSWORD}"}))
    assert started.refresh().message == "for ***: ***"


@pytest.mark.parametrize("kind", [ProtocolError, TransportError])
def test_a_failed_login_says_what_it_was(case, kind):
    """The error of a failed login has what failed as its cause."""
    case.vendor.on("POST", LOGIN, 404 if kind is ProtocolError else httpx.ReadError("cut"))
    with pytest.raises(TransportError, match="the login failed, and nothing else was sent") as caught:
        case.client().submit("f-1")
    assert type(caught.value.__cause__) is kind
    assert caught.value.transient
