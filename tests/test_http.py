"""HTTP: what goes out, what is sent again, what is never shown. On real sockets where httpx takes part in the rule."""

import gzip
import logging
import os
import socket
import ssl
import subprocess
import sys
import traceback
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from pytest_httpx import IteratorStream

from flowrunner.answers import error_for
from flowrunner.backend import Capability
from flowrunner.backends.fme_flow_v4 import FmeFlowV4
from flowrunner.backends.invision import InVision, InVisionSettings
from flowrunner.clock import SystemClock
from flowrunner.errors import (
    AuthenticationError,
    ClientClosed,
    ConfigError,
    FlowrunnerError,
    InvalidRequest,
    ProtocolError,
    RateLimited,
    SubmissionUncertain,
    TransportError,
    VendorError,
)
from flowrunner.http import HttpSession, addresses, bodies, wire
from flowrunner.http.gate import MARGIN, Gate
from flowrunner.models import RunRef
from flowrunner.operations.steps import ask
from flowrunner.plans import FileBody, Request, path
from flowrunner.plans import send as ask_for
from serving import certificate, serving

TOKEN = "s3cr3t-t0ken"
GET = Request("GET", "/x")
POST = Request("POST", "/x", json={"a": 1}, repeatable=False)


@pytest.fixture
def server():
    """A server that answers everything with an empty object."""
    with serving() as running:
        yield running


@pytest.fixture
def environment_proxy(monkeypatch):
    """Set the proxies of the environment, which are read once."""

    def set_to(**proxies):
        for name in ("http", "https", "all", "no"):
            monkeypatch.delenv(f"{name}_proxy", raising=False)
            monkeypatch.delenv(f"{name}_PROXY".upper(), raising=False)
        for name, value in proxies.items():
            monkeypatch.setenv(name.upper(), value)
        addresses.environment_proxy.cache_clear()

    yield set_to
    addresses.environment_proxy.cache_clear()


@pytest.fixture
def send(open_client):
    """Send a request over a connection of these settings; time starts at 0."""

    def sending(request, *, retry=True, deadline=None, **settings):
        return open_client(**settings)._session.send(request, retry=retry, deadline=deadline)

    return sending


# What goes out


def test_parts_of_a_path_are_encoded_whole(send, server):
    """Names with blanks, slashes, percent signs and letters of any script arrive as one part each."""
    name = "Ø & Å/räksbø 100%.fmw?x=1#y;+"
    send(Request("GET", path("w", "my repo", name), query=(("q", "a+b&c d=ø/"), ("q", "%20"))), base_url=server.url)

    assert server.seen[0][1] == (
        "/w/my%20repo/%C3%98%20%26%20%C3%85%2Fr%C3%A4ksb%C3%B8%20100%25.fmw%3Fx%3D1%23y%3B%2B"
        "?q=a%2Bb%26c%20d%3D%C3%B8%2F&q=%2520"
    )


def test_headers_and_body(send, server):
    """JSON goes out as such, bytes as they are; every request says who sends it and carries the credential."""
    send(Request("POST", "/x", json={"ø": [1, None]}, headers={"X-More": "1"}), base_url=server.url)
    send(Request("POST", "/x", content=b"\x00\xff"), base_url=server.url)

    (_, _, headers, body, _), (_, _, second, content, _) = server.seen
    assert (
        headers["Content-Type"],
        headers["X-More"],
        headers["Accept"],
    ) == ("application/json", "1", "application/json")
    assert headers["User-Agent"].startswith("flowrunner/")
    assert headers["Cache-Control"] == "no-cache"
    assert f"fmetoken token={TOKEN}" == headers["Authorization"]
    assert body == b'{"\\u00f8": [1, null]}'
    assert content == b"\x00\xff"
    assert "Content-Type" not in second


@pytest.mark.parametrize("value", [float("nan"), object(), {"a": {1}}, "recursive"])
def test_what_is_no_json_is_not_sent(send, vendor, value):
    """A body that JSON cannot hold is InvalidRequest before anything is sent."""
    if value == "recursive":
        value = []
        value.append(value)
    with pytest.raises(InvalidRequest, match="cannot be written as JSON"):
        send(Request("POST", "/x", json=value))
    assert vendor.requests == []


@pytest.mark.parametrize("address", ["https://h:99999/x", "http://h:port/", "https://exa mple.com/\x00"])
def test_what_is_no_address_is_not_asked(send, vendor, address):
    """An address that cannot be parsed is an error of ours."""
    with pytest.raises(InvalidRequest, match="is not an address"):
        send(Request("GET", address))


# Where the credential goes


@pytest.mark.parametrize(
    ("address", "goes"),
    [
        ("/x", True),
        ("https://fme.example.com/x", True),
        ("https://fme.example.com:443/x", True),
        ("https://FME.example.com/x", True),
        ("http://fme.example.com/x", False),
        ("https://fme.example.com:8443/x", False),
        ("https://example.com/x", False),
        ("https://fme.example.com.evil.example/x", False),
        ("https://fme.example.com@evil.example/x", False),
        ("https://evil.example/https://fme.example.com/", False),
    ],
)
def test_the_credential_goes_to_its_origin_only(send, httpx_mock, address, goes):
    """Scheme, host and port of a request must be the connection's, else it carries no credential."""
    httpx_mock.add_response()
    send(Request("GET", address))

    (request,) = httpx_mock.get_requests()
    assert goes is ("authorization" in request.headers)


def test_what_a_session_holds_shows_no_credential():
    """Who prints its attributes, as debuggers and crash reports do, finds none; httpx's headers would show this one."""
    backend = InVision(InVisionSettings(base_url="https://vendor.example.com", api_key="hush-hush"))
    session = HttpSession(backend, reload=lambda: backend, learned=lambda _: None, clock=SystemClock())
    try:
        built = session._build(Request("GET", "/x"), 30.0, 0)
        assert "hush-hush" in built.headers.values()
        assert "hush-hush" not in repr(vars(session))
    finally:
        session.close()


def test_an_anonymous_request(send, httpx_mock):
    """A request can do without the credential, and its 401 is no reason to renew it."""
    httpx_mock.add_response(status_code=401)
    response = send(Request("GET", "/x", anonymous=True))

    assert response.status == 401
    assert "authorization" not in httpx_mock.get_requests()[0].headers


def test_redirects_are_not_followed(send, server):
    """A redirect is an answer like any other; where it points gets no request and no credential."""
    with serving(lambda _: (302, {"location": f"{server.url}/stolen"}, b"")) as redirecting:
        response = send(GET, base_url=redirecting.url)

    assert response.status == 302
    assert server.seen == []


def test_certificates_are_checked(send, tmp_path):
    """A certificate nobody trusts is a permanent error that names `ca_file`, which makes it trusted."""
    trusted, key = certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(trusted, key)
    with serving(context=context) as server:
        with pytest.raises(TransportError, match="ca_file") as caught:
            send(GET, base_url=server.url)
        assert server.seen == []
        assert send(GET, base_url=server.url, ca_file=str(trusted)).status == 200

    assert (caught.value.transient, caught.value.maybe_arrived) == (False, False)


def test_a_file_of_authorities_that_is_none(send, tmp_path):
    """A `ca_file` that holds no certificate is a ConfigError that names it."""
    wrong = tmp_path / "ca.pem"
    wrong.write_text("nothing")

    with pytest.raises(ConfigError, match=r"ca\.pem"):
        send(GET, ca_file=str(wrong))


# Proxies


def test_loopback_uses_no_proxy_of_the_environment(send, server, environment_proxy):
    """Whatever the environment says, this very machine is reached directly."""
    environment_proxy(http_proxy="http://127.0.0.1:9", all_proxy="http://127.0.0.1:9")

    assert send(GET, base_url=server.url).status == 200


@pytest.mark.parametrize("with_scheme", [True, False])
@pytest.mark.parametrize("variable", ["http_proxy", "all_proxy"])
def test_other_hosts_use_the_proxy_of_the_environment(send, server, environment_proxy, variable, with_scheme):
    """Another host is asked for at the proxy, which may be written without a scheme, as other programs take it."""
    environment_proxy(**{variable: server.url if with_scheme else server.url.removeprefix("http://")})
    send(GET, base_url="http://fme.example.com", allow_insecure=True)

    assert server.seen[0][1] == "http://fme.example.com/x"


def test_hosts_can_be_exempt_from_the_proxy(send, environment_proxy):
    """What `NO_PROXY` names is asked for directly."""
    environment_proxy(http_proxy="http://127.0.0.1:9", no_proxy="example.invalid")

    with pytest.raises(TransportError) as caught:
        send(GET, base_url="http://fme.example.invalid", allow_insecure=True, retries=0)
    assert "127.0.0.1" not in str(caught.value)


def test_the_setting_wins(send, server, environment_proxy):
    """The setting `proxy` wins over the environment, and holds for loopback too."""
    environment_proxy(http_proxy="http://127.0.0.1:9")
    send(GET, base_url="http://127.0.0.1:9", proxy=server.url)

    assert server.seen[0][1] == "http://127.0.0.1:9/x"


@pytest.mark.parametrize("proxy", ["foo://proxy.example.com:1", "socks5://proxy.example.com:1"])
def test_a_proxy_it_cannot_use(send, proxy):
    """A proxy of a kind that cannot be used is a ConfigError that says so."""
    with pytest.raises(ConfigError, match="proxy"):
        send(GET, proxy=proxy)


@pytest.mark.parametrize(
    "proxy",
    ["ada:{}@proxy.example.com:1", "foo://ada:{}@proxy.example.com:1", "http://ada:{}", "http://ada:{}/@proxy:1"],
)
def test_the_address_of_a_proxy_is_not_shown(send, proxy):
    """What is wrong with it is told without it: there may be a password in it, with or without a scheme before."""
    written = proxy.format("s3cret")  # not in a line of the traceback
    with pytest.raises(ConfigError, match="its address has to read like http://") as caught:
        send(GET, proxy=written)
    assert "s3cret" not in "".join(traceback.format_exception(caught.value))


# Renewing the credential


def test_a_rotated_token_is_read_again(open_client, vendor, tmp_path):
    """After a 401 the token file is read once more, and even a submission is sent with what it holds now."""
    file = tmp_path / "token"
    file.write_text("old\n")
    client = open_client(token={"file": str(file)})
    file.write_text("new\n")
    vendor.on("POST", "/x", lambda request: 202 if "new" in request.headers["authorization"] else 401)

    assert [client._session.send(POST).status for _ in range(2)] == [202, 202]
    assert [each.headers["authorization"].partition("=")[2] for each in vendor.requests] == ["old", "new", "new"]


@pytest.mark.parametrize("character", ["\u20ac", "\u00f8"])
def test_a_token_that_no_header_can_carry(open_client, vendor, tmp_path, caplog, character):
    """Is refused when connecting, before an HTTP library would complain and show it; a rotated one is not taken."""
    with pytest.raises(ConfigError, match="no HTTP header can carry") as caught:
        open_client(token=f"{TOKEN}{character}")
    assert TOKEN not in "".join(traceback.format_exception(caught.value))

    file = tmp_path / "token"
    file.write_text(TOKEN)
    client = open_client(token={"file": str(file)})
    file.write_text(f"{TOKEN}{character}", encoding="utf-8")
    vendor.on("GET", "/x", 401)
    assert client._session.send(GET).status == 401
    assert "no HTTP header can carry" in caplog.text


def test_a_token_that_stays_refused(open_client, vendor):
    """Where the credential is what it was, a 401 is final at once; a new one that is refused, too, is tried once."""
    client = open_client()
    vendor.on("GET", "/x", 401)

    assert client._session.send(GET).status == 401
    assert len(vendor.requests) == 1


def test_a_token_file_that_is_gone(open_client, vendor, tmp_path, caplog):
    """A credential that cannot be read again counts as not renewed: the 401 stands, and the log says why."""
    file = tmp_path / "token"
    file.write_text("old")
    client = open_client(token={"file": str(file)})
    file.unlink()
    vendor.on("GET", "/workspaces/a/b/parameters", 401)

    with pytest.raises(AuthenticationError):
        client.describe("a/b")
    assert len(vendor.requests) == 1
    (record,) = (each for each in caplog.records if each.name == "flowrunner.http.wire")
    assert record.levelno == logging.WARNING
    assert "cannot be read" in record.getMessage()


def test_a_token_that_another_thread_renewed(open_client, vendor):
    """A request that was under way with the old credential is sent again with the new one, which is not read again."""
    client = open_client()
    session = getattr(client._session, "target", client._session)

    def renewed_meanwhile(request):
        if len(vendor.requests) == 1:
            session._credentials = dict(session._credentials)
            return 401
        return 200

    session._reload = pytest.fail
    vendor.on("GET", "/x", renewed_meanwhile)

    assert client._session.send(GET).status == 200


# Sending again


def _outcome(send, request):
    """The status, or the error there is instead."""
    try:
        return send(request).status
    except TransportError as error:
        return error


FAILED_BEFORE = [
    httpx.ConnectError("refused"),
    httpx.ConnectTimeout("slow"),
    httpx.PoolTimeout("busy"),
    httpx.ProxyError("503"),
]
FAILED_AFTER = [
    httpx.ReadTimeout("slow"),
    httpx.ReadError("reset"),
    httpx.WriteError("broken"),
    httpx.WriteTimeout("slow"),
    httpx.RemoteProtocolError("disconnected"),
    httpx.CloseError("x"),
    httpx.DecodingError("gzip"),
]


@pytest.mark.parametrize("answer", [408, 425, 429, 500, 502, 503, 504, *FAILED_BEFORE, *FAILED_AFTER])
def test_a_repeatable_request_is_sent_again(send, vendor, answer):
    """What failed in passing is asked again, as often as `retries` says."""
    vendor.on("GET", "/x", answer, answer, (200, {}))
    assert send(GET, retries=2).status == 200
    assert len(vendor.requests) == 3


def test_the_last_outcome_counts(send, vendor):
    """When all attempts are used up, the last answer, or the last failure, is the outcome."""
    vendor.on("GET", "/x", 502, httpx.ReadError("reset"), 503)
    assert send(GET, retries=2).status == 503
    vendor.on("GET", "/x", 502, httpx.ReadError("reset"))
    with pytest.raises(TransportError, match="reset"):
        send(GET, retries=1)


@pytest.mark.parametrize(
    "answer", [400, 401, 403, 404, 409, 422, 501, httpx.UnsupportedProtocol("ftp"), httpx.LocalProtocolError("x")]
)
def test_what_will_not_change_is_not_asked_again(send, vendor, answer):
    """A refusal is final; so is a request that cannot be sent."""
    vendor.on("GET", "/x", answer)
    outcome = _outcome(send, GET)
    assert answer == outcome or (outcome.transient, outcome.maybe_arrived) == (False, False)
    assert len(vendor.requests) == 1


@pytest.mark.parametrize("switch", [{"retry": False}, {"retries": 0}])
def test_retries_can_be_switched_off(send, vendor, switch):
    """A status poll is not sent again here, nor is anything where `retries` is 0."""
    vendor.on("GET", "/x", 503)
    assert send(GET, **switch).status == 503
    assert len(vendor.requests) == 1


@pytest.mark.parametrize(
    "answer", [429, (429, {}, {"Retry-After": "3"}), (503, {}, {"Retry-After": "3"}), *FAILED_BEFORE]
)
def test_a_submission_that_never_arrived_is_sent_again(send, vendor, answer):
    """A submission goes out again only where it is certain that nothing came of it."""
    vendor.on("POST", "/x", answer, (202, {}))
    assert send(POST).status == 202
    assert len(vendor.requests) == 2


@pytest.mark.parametrize("answer", [408, 425, 500, 502, 503, 504, *FAILED_AFTER])
def test_a_submission_that_may_have_arrived_is_never_sent_again(send, vendor, answer):
    """Where the vendor may have acted, a submission is sent once."""
    vendor.on("POST", "/x", answer)
    outcome = _outcome(send, POST)
    assert answer == outcome or outcome.maybe_arrived
    assert len(vendor.requests) == 1


def test_a_submission_after_one_that_never_arrived_is_judged_anew(send, vendor):
    """Once a second try may have arrived, there is no third."""
    vendor.on("POST", "/x", httpx.ConnectError("refused"), httpx.ReadError("reset"), 202)
    with pytest.raises(TransportError, match="reset"):
        send(POST)
    assert len(vendor.requests) == 2


def test_a_refused_connection(send, clock):
    """A server that is not there is an error that says what to check."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(TransportError, match="Check base_url") as caught:
        send(GET, base_url=f"http://127.0.0.1:{port}")

    assert (caught.value.transient, caught.value.maybe_arrived) == (True, False)
    assert f"http://127.0.0.1:{port}" in str(caught.value)


@pytest.mark.parametrize("address", ["https://fme..example.com", f"https://{'a' * 70}.example.com"])
def test_an_address_that_cannot_be(send, environment_proxy, address):
    """A misspelt host or port is a TransportError, whatever the resolver raises."""
    environment_proxy()
    with pytest.raises(TransportError, match="base_url") as caught:
        send(Request("GET", f"{address}/x"))
    assert not caught.value.maybe_arrived


def test_a_server_that_says_nothing(send):
    """A server that accepts and never answers is given up after `timeout`; the request may have arrived."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        with pytest.raises(TransportError, match="raise the setting `timeout`") as caught:
            send(GET, base_url=url, timeout=0.02, retries=0)
        assert caught.value.maybe_arrived
        with pytest.raises(TransportError):
            send(Request("GET", "/x", timeout=30), base_url=url, retry=False, deadline=0.02)


@pytest.mark.parametrize(
    ("request_timeout", "deadline", "read"),
    [(None, None, 30), (None, 4, 4), (50, None, 50), (50, 60, 50), (0.5, None, 0.5), (0, None, 0), (50, -1, 0.1)],
)
def test_how_long_an_answer_may_take(send, httpx_mock, request_timeout, deadline, read):
    """A request may allow more than the connection, 0 is a time like any other, and a wait may allow less.

    Connecting never takes longer than 10 s, and what is sent at all waits for a moment at least.
    """
    httpx_mock.add_response()
    send(Request("GET", "/x", timeout=request_timeout), deadline=deadline, timeout=30)

    (request,) = httpx_mock.get_requests()
    assert {"connect": 10, "read": read, "write": 30, "pool": read} == request.extensions["timeout"]


@pytest.mark.parametrize(("timeout", "deadline"), [(3, None), (30, 3)])
def test_an_answer_that_drips(send, httpx_mock, clock, timeout, deadline):
    """The limit is one for the whole answer: a server that sends it byte by byte does not outlast it."""

    def dripping():
        for _ in range(100):
            clock.advance(1)
            yield b" "

    httpx_mock.add_response(stream=IteratorStream(dripping()))
    with pytest.raises(TransportError, match=r"came too slowly.*raise the setting `timeout`") as caught:
        send(GET, timeout=timeout, deadline=deadline, retry=False)
    assert caught.value.maybe_arrived
    assert clock.monotonic() == 4


def test_a_plan_has_one_deadline(open_client, clock, httpx_mock, mode):
    """What a look may take counts for all its requests together, not for each anew."""
    client = open_client(timeout=30)
    waits = []

    def slow(request):
        waits.append(request.extensions["timeout"]["read"])
        clock.advance(2)
        return httpx.Response(200, json={})

    httpx_mock.add_callback(slow, is_reusable=True)

    def plan():
        for _ in range(4):
            yield from ask_for(GET)

    def operation():
        return (yield from ask(plan(), at_most=5))

    client._perform(operation())
    assert waits == [5, 3, 1, wire.LEAST_WAIT]


# Not too fast


def test_retry_after_holds_the_connection(open_client, vendor, clock):
    """`Retry-After` holds every request of the connection, and a request that is sent again waits for it, too."""
    client = open_client()
    vendor.on("GET", "/x", (429, {}, {"Retry-After": "7"}), 200)
    vendor.on("GET", "/y", (503, {}, {"Retry-After": "5"}), 200)

    assert client._session.send(GET).status == 200
    assert clock.monotonic() == 7
    assert client._session.send(Request("GET", "/y"), retry=False).status == 503
    clock.advance(2)
    assert client._session.send(GET).status == 200
    assert clock.slept == [7, 3]


@pytest.mark.parametrize(
    "answer", [(500, {}, {"Retry-After": "7"}), (429, {}, {"Retry-After": "0"}), (503, {}, {"Retry-After": "soon"})]
)
def test_what_does_not_hold_the_connection(send, vendor, clock, answer):
    """Only 429 and 503 hold the connection, and only with a time that can be read."""
    vendor.on("GET", "/x", answer, 200)
    send(GET)
    assert clock.slept == []


def test_a_held_connection_does_not_outlast_a_wait(open_client, vendor, clock):
    """A request that may take so long at most is not kept longer than that by the gate."""
    client = open_client()
    vendor.on("GET", "/x", (429, {}, {"Retry-After": "600"}))
    client._session.send(GET, retry=False)

    with pytest.raises(TransportError, match="asked") as caught:
        client._session.send(GET, retry=False, deadline=clock.monotonic() + 5)
    assert (caught.value.maybe_arrived, caught.value.transient, caught.value.retry_after) == (False, True, 600)
    assert clock.monotonic() <= 5
    assert len(vendor.requests) == 1


def test_a_long_silence_is_not_waited_out(open_client, vendor, clock, monkeypatch):
    """More than a minute of `Retry-After` is for the caller to decide on: it is told at once, and so is the next."""
    client = open_client(check_parameters=False)
    session = getattr(client._session, "target", client._session)
    monkeypatch.setattr(session, "_retry", pytest.fail)
    vendor.on("GET", "/workspaces/a/b/parameters", (429, {}, {"Retry-After": "61"}))
    vendor.on("POST", "/jobs", 202)
    with pytest.raises(RateLimited) as caught:
        client.describe("a/b")
    assert caught.value.retry_after == 61
    for asking in (lambda: client.describe("a/b"), lambda: client.submit("a/b")):
        with pytest.raises(TransportError, match="wait so long") as caught:
            asking()
        assert (caught.value.retry_after, caught.value.maybe_arrived, caught.value.transient) == (61, False, True)
    assert clock.slept == []
    assert len(vendor.requests) == 1


def test_a_minute_of_silence_is_waited_out(send, vendor, clock):
    """What is not longer than that is waited for, before the request is sent again."""
    vendor.on("GET", "/x", (503, {}, {"Retry-After": "60"}), 200)
    assert send(GET).status == 200
    assert clock.slept == [60]


def test_requests_per_second(open_client, vendor, clock):
    """Requests go out no faster than the setting says, from whatever thread."""
    client = open_client(requests_per_second=4)
    vendor.on("GET", "/x", 200)
    for _ in range(5):
        client._session.send(GET)

    assert pytest.approx(clock.monotonic()) == 1.0 * MARGIN


def test_the_gate():
    """Each request takes the next place, a little further than it might be; holding moves all later places."""
    gate = Gate(2 * MARGIN)
    assert [gate.reserve(10, 60) for _ in range(3)] == [0, 0.5, 1.0]
    gate.hold(10, 5)
    gate.hold(10, 1)
    assert [gate.reserve(10, 60) for _ in range(2)] == [5, 5.5]
    assert gate.reserve(100, 60) == 0
    free = Gate(None)
    assert [free.reserve(1, 0), free.reserve(1, 0)] == [0, 0]


def test_who_was_woken_late_has_the_next_one_wait():
    """A place that was reserved is not enough: the one before may have passed only just now, or a hold have come."""
    gate = Gate(2 * MARGIN)
    assert [gate.reserve(10, 60) for _ in range(3)] == [0, 0.5, 1.0]
    assert gate.wait(10) == 0
    assert gate.wait(10.9) == 0  # it was due at 10.5
    assert gate.wait(11.0) == pytest.approx(0.395)
    gate.hold(11.0, 5)
    assert gate.wait(11.395) == pytest.approx(4.605)
    assert gate.wait(16.0) == 0
    free = Gate(None)
    assert free.wait(1) == 0
    free.hold(1, 2)
    assert (free.wait(1), free.wait(3)) == (2, 0)


@pytest.mark.parametrize(("seconds", "pauses"), [(10, [MARGIN**2, 10.0]), (100, [MARGIN**2])])
def test_a_hold_reaches_who_has_a_place_already(open_client, vendor, clock, seconds, pauses):
    """A `Retry-After` holds the whole connection, also those who wait for their turn; none waits for too long."""
    session = open_client(requests_per_second=1 / MARGIN)._session
    vendor.on("GET", "/x", 200)
    session.send(GET)
    sleep = clock.sleep

    def meanwhile(length):
        sleep(length)
        if len(clock.slept) == 1:
            session._gate.hold(clock.monotonic(), seconds)

    clock.sleep = meanwhile
    if seconds > 60:
        with pytest.raises(TransportError):
            session.send(GET, retry=False)
    else:
        session.send(GET)
    assert clock.slept == pytest.approx(pauses)


def test_who_will_not_wait_takes_no_place():
    """A place that is due too late is not taken: those who come after are not made to wait for nobody."""
    gate = Gate(MARGIN)
    assert [gate.reserve(10, 1) for _ in range(5)] == [0, 1, 2, 2, 2]
    assert gate.reserve(10, 2) == 2
    assert gate.reserve(10, 2) == 3


# Connections


def test_a_submission_uses_a_fresh_connection(open_client, server):
    """Requests share a connection; each submission has its own, which no server can be just closing."""
    client = open_client(base_url=server.url)
    for request in (GET, GET, POST, POST, GET):
        client._session.send(request)

    first, second, third, fourth, last = [port for *_, port in server.seen]
    assert first == second == last
    assert len({first, third, fourth}) == 3


def test_a_closed_client(open_client, server):
    """After close, which may be called twice, every request is ClientClosed and nothing is sent."""
    client = open_client(base_url=server.url)
    client._session.send(GET)
    client.close()
    client.close()

    with pytest.raises(ClientClosed, match="connect again"):
        client._session.send(GET)
    with pytest.raises(ClientClosed):
        client.describe("a/b")
    assert len(server.seen) == 1


def test_many_threads_on_one_client(open_client, server):
    """One client serves more threads at once than it has connections, each its own answer, at the first request."""
    server.answer = lambda handler: (200, {}, handler.path.encode())
    client = open_client(which="sync", base_url=server.url)

    def ask(number):
        return client._session.send(Request("GET", f"/{number}")).content

    with ThreadPoolExecutor(16) as threads:
        assert [f"/{number}".encode() for number in range(100)] == list(threads.map(ask, range(100)))
    assert len(server.seen) == 100
    assert len({port for *_, port in server.seen}) <= client._session._settings.max_connections


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.filterwarnings("ignore:This process")
def test_a_child_process_opens_its_own_connections(open_client, server):
    """After a fork the child opens new connections, and the parent's go on."""
    client = open_client(which="sync", base_url=server.url)
    client._session.send(GET)
    before = dict(client._session._transports)
    child = os.fork()
    if child == 0:
        try:
            client._session.send(GET)
        finally:
            os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    client._session.send(GET)

    first, in_child, again = [port for *_, port in server.seen]
    assert first == again != in_child
    # What the child did, seen from here, without losing what the parent has open.
    client._session._pid = 0
    client._session._check_open()
    assert client._session._transports == {}
    client._session._transports = before


# Answers and files


def test_an_answer_has_a_bound(send, vendor, monkeypatch):
    """More than `MAX_BODY` bytes are not read into memory; for a submission, that leaves its outcome open."""
    monkeypatch.setattr(bodies, "MAX_BODY", 10)
    vendor.on("GET", "/x", (200, b"x" * 10), (200, b"x" * 11))

    assert send(GET).content == b"x" * 10
    with pytest.raises(ProtocolError, match="larger than"):
        send(GET)


def test_a_submission_whose_answer_is_too_large(open_client, vendor, monkeypatch):
    """An accepted submission whose answer cannot be read is uncertain, not failed."""
    monkeypatch.setattr(bodies, "MAX_BODY", 10)
    vendor.on("POST", "/jobs", (202, b" " * 11))

    with pytest.raises(SubmissionUncertain):
        open_client(check_parameters=False).submit("a/b")


def test_headers_are_looked_up_in_lower_case(send, vendor):
    """Plans find a header however the server writes it."""
    vendor.on("GET", "/x", (200, b"", {"X-ThiNG": "1"}))
    assert send(GET).headers["x-thing"] == "1"


def test_a_download_streams_to_its_file(send, server, tmp_path):
    """The body goes to the file, which appears whole; nothing else is left in the folder."""
    content = os.urandom(3_000_000)
    server.answer = lambda _: (200, {}, content)
    file = tmp_path / "ø.zip"
    response = send(Request("GET", "/x", save_to=file), base_url=server.url)

    assert (response.status, response.content) == (200, b"")
    assert content == file.read_bytes()
    assert [file] == list(tmp_path.iterdir())


def _truncated(_):
    return 200, {"content-length": "100", "connection": "close"}, b"half"


def test_half_a_download_is_none(send, server, tmp_path):
    """A download that breaks off leaves what was there before as it was, after all retries."""
    server.answer = _truncated
    file = tmp_path / "x.zip"
    file.write_bytes(b"before")

    def truncated(handler):
        handler.close_connection = True
        return _truncated(handler)

    server.answer = truncated
    with pytest.raises(TransportError, match="broke"):
        send(Request("GET", "/x", save_to=file), base_url=server.url, retries=1)
    assert file.read_bytes() == b"before"
    assert [file] == list(tmp_path.iterdir())
    assert len(server.seen) == 2


def test_a_refused_download_is_no_file(send, vendor, tmp_path):
    """The body of an error is not saved, it is read."""
    vendor.on("GET", "/x", (404, {"message": "gone"}))
    response = send(Request("GET", "/x", save_to=tmp_path / "x.zip"))

    assert (response.status, response.content) == (404, b'{"message": "gone"}')
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_cannot_be_written(send, vendor, tmp_path):
    """A folder that is not there is the system's own error."""
    vendor.on("GET", "/x", (200, b"x"))
    with pytest.raises(FileNotFoundError):
        send(Request("GET", "/x", save_to=tmp_path / "none" / "x.zip"))


def _packed(_):
    return 200, {"content-encoding": "gzip"}, gzip.compress(b"x" * 1000)


@pytest.mark.parametrize(
    ("answer", "total"), [(lambda _: (200, {}, b"x" * 1000), 1000), (_packed, None)], ids=["plain", "packed"]
)
def test_progress_of_a_download(send, server, tmp_path, answer, total):
    """The bytes that have come are told, with all there will be where that is known."""
    server.answer, told = answer, []
    file = tmp_path / "x"
    send(Request("GET", "/x", save_to=file, progress=lambda *step: told.append(step)), base_url=server.url)

    assert file.read_bytes() == b"x" * 1000
    assert told[-1] == (1000, total)
    assert told == sorted(set(told))


@pytest.mark.parametrize("size", [0, 5, 600_000])
def test_an_upload_streams_from_its_file(send, server, tmp_path, size):
    """A body of a file goes out in pieces, with its length, and what has gone is told; when sent again, all of it."""
    file, told = tmp_path / "x", []
    file.write_bytes(os.urandom(size))
    statuses = [503, 200]
    server.answer = lambda _: (statuses.pop(0), {}, b"")
    body = FileBody(file, b"<", b">")
    request = Request("POST", "/x", file=body, progress=lambda *step: told.append(step))
    assert send(request, base_url=server.url).status == 200

    for _, _, headers, content, _ in server.seen:
        assert content == b"<" + file.read_bytes() + b">"
        assert headers["Content-Length"] == str(size + 2)
    assert len(server.seen) == 2
    once = told[: len(told) // 2]
    assert told == once * 2
    assert once[-1] == (size + 2, size + 2)
    assert once == sorted(set(once))


def test_progress_does_not_go_back(open_client, server, tmp_path):
    """Who follows an upload that is sent again is told only what is more than before."""
    file, told = tmp_path / "x", []
    file.write_bytes(b"abc")
    statuses = [503, 201]
    server.answer = lambda _: (statuses.pop(0), {}, b"")
    open_client(base_url=server.url).upload(file, progress=lambda *step: told.append(step))

    assert len(server.seen) == 2
    assert told == sorted(set(told))
    assert told[-1][0] == told[-1][1] == len(server.seen[1][3])


def test_an_upload_nobody_follows(send, server, tmp_path):
    """Nobody need be told."""
    file = tmp_path / "x"
    file.write_bytes(b"abc")
    send(Request("POST", "/x", file=FileBody(file)), base_url=server.url)
    assert server.seen[0][3] == b"abc"


def test_a_file_that_is_gone_is_not_sent(send, server, tmp_path):
    """That is the system's own error, before anything is sent."""
    with pytest.raises(FileNotFoundError):
        send(Request("POST", "/x", file=FileBody(tmp_path / "none")), base_url=server.url)
    assert server.seen == []


class Logging(FmeFlowV4):
    """A backend with a log, at one address."""

    capabilities = FmeFlowV4.capabilities | {Capability.LOGS}

    def logs(self, ref):
        """The lines at that address."""
        response = yield from ask_for(Request("GET", "/log", stream=True))
        if not response.is_success:
            raise error_for(response)
        return response.lines


@pytest.fixture
def logged(open_client, connected, server):
    """A run whose log the server answers."""
    client = open_client(connected(server.url, backend=Logging))
    return client.attach(RunRef(client.name, "fme-flow-v4", "a/b", "1"))


def test_lines_come_as_they_are(logged, server):
    """A streamed text comes line by line, without the ends of lines, whatever they are."""
    server.answer = lambda _: (200, {"content-type": "text/plain; charset=utf-8"}, "a\r\nø\n\nlast".encode())
    assert list(logged.logs()) == ["a", "ø", "", "last"]
    assert list(logged.logs()) == ["a", "ø", "", "last"]
    assert len({port for *_, port in server.seen}) == 1, "the connection is given back"


def test_lines_that_break_off(logged, server):
    """What came before is handed out; then the error says which run, and shows no credential."""

    def truncated(handler):
        handler.close_connection = True
        return 200, {"content-length": "100"}, f"one\ntwo {TOKEN}\nthr".encode()

    server.answer, lines = truncated, []
    with pytest.raises(TransportError, match="broke") as caught:
        lines.extend(logged.logs())
    assert (caught.value.ref.id, caught.value.backend) == ("1", "fme-flow-v4")


def test_lines_that_are_refused(logged, server):
    """An answer that is no success is read as any other."""
    server.answer = lambda _: (500, {}, b"<html>")
    with pytest.raises(VendorError):
        list(logged.logs())


def test_lines_nobody_reads_to_the_end(open_client, connected, server):
    """Who stops reading gives the connection up, and the client can go on."""
    server.answer = lambda _: (200, {}, b"line\n" * 100_000)
    client = open_client(connected(server.url, backend=Logging), which="sync")
    run = client.attach(RunRef(client.name, "fme-flow-v4", "a/b", "1"))
    for _ in range(client._connection.settings.max_connections + 2):
        lines = run.logs()
        assert next(lines) == "line"
        lines.close()


# What is never shown

FAULTS = {
    "401": 401,
    "403, echoed": (403, {"message": f"no {TOKEN}"}),
    "404, echoed": (404, {"message": f"fmetoken token={TOKEN}"}),
    "500, echoed": (500, f"<html>{TOKEN}</html>"),
    "html, echoed": (200, f"<html>Authorization: fmetoken token={TOKEN}</html>"),
    "validation, echoed": (400, {"message": f"x {TOKEN}", "details": {"MAXY": f"not {TOKEN}"}}),
    "redirect": (302, "", {"location": f"https://other.example/?token={TOKEN}"}),
    "reset": httpx.ReadError(f"reset {TOKEN}"),
    "refused": httpx.ConnectError("refused"),
    "too large": (200, b"x" * 100),
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("call", ["submit", "describe", "refresh", "wait", "cancel", "runs", "health", "server_wait"])
def test_the_token_is_shown_nowhere(open_client, vendor, caplog, monkeypatch, *, fault, call):
    """However a call fails, the token is in no text, attribute, event, log or frame of ours, though it is echoed."""
    caplog.set_level(logging.DEBUG)
    monkeypatch.setattr(bodies, "MAX_BODY", 99)
    happened = []
    client = open_client(on_event=happened.append, contact_budget=1, retries=1)
    for method, route in (
        ("POST", "/jobs"),
        ("POST", "/jobs/sync"),
        ("GET", "/jobs"),
        ("GET", "/jobs/1"),
        ("POST", "/jobs/1/cancel"),
        ("GET", "/workspaces"),
        ("GET", "/workspaces/a/b/parameters"),
        ("GET", "/healthcheck/readiness"),
        ("GET", "/fmeinfo/version"),
    ):
        vendor.on(method, route, FAULTS[fault])
    run = client.attach(f"flowrunner:1:fme-flow-v4:{client.name}:a%2Fb:1")
    calls = {
        "submit": lambda: client.submit("a/b"),
        "describe": lambda: client.describe("a/b"),
        "refresh": run.refresh,
        "wait": run.wait,
        "cancel": run.cancel,
        "runs": lambda: list(client.runs()),
        "health": client.health,
        "server_wait": lambda: client.run("a/b", server_wait=True),
    }
    shown = [repr(client), repr(client._connection if call else 0), repr(run), repr(client._session)]
    try:
        shown.append(repr(calls[call]()))
    except FlowrunnerError as error:
        shown += _everything_about(error)
    for event in happened:
        shown.append(repr(event))
        if hasattr(event, "error"):
            shown += _everything_about(event.error)
    shown += [record.getMessage() + repr(record.__dict__) for record in caplog.records]

    assert [text[max(0, text.index(TOKEN) - 300) : text.index(TOKEN) + 40] for text in shown if TOKEN in text] == []


def _everything_about(error):
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


def test_a_new_token_is_hidden_like_the_old(open_client, vendor, tmp_path):
    """A credential that was read again after a 401 is hidden in errors like the first one."""
    file = tmp_path / "token"
    file.write_text("0ld-t0ken")
    client = open_client(token={"file": str(file)})
    file.write_text("n3w-t0ken")
    echoes = (403, {"message": "n3w-t0ken and 0ld-t0ken may not"})
    vendor.on(
        "GET",
        "/workspaces/a/b/parameters",
        lambda request: echoes if "n3w" in request.headers["authorization"] else 401,
    )

    with pytest.raises(FlowrunnerError) as caught:
        client.describe("a/b")
    assert "*** and *** may not" in str(caught.value)
    assert caught.value.vendor_message == "*** and *** may not"


def test_retries_write_nothing_where_no_logging_is_set_up(tmp_path):
    """A program that has set up no logging finds nothing of our retries on its stderr."""
    program = tmp_path / "program.py"
    program.write_text(
        "import flowrunner\n"
        "where = {'backend': 'fme-flow-v4', 'base_url': 'http://127.0.0.1:9', 'token': 't-t-t-t'}\n"
        "client = flowrunner.connect(**where, retries=1)\n"
        "try:\n"
        "    list(client.flows())\n"
        "except flowrunner.TransportError:\n"
        "    print('refused')\n"
        "client.close()\n"
    )
    ended = subprocess.run([sys.executable, program], capture_output=True, text=True, check=True)
    assert (ended.stdout, ended.stderr) == ("refused\n", "")
