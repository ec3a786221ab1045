"""Each kind of fault, over a real socket, as a plain HTTP client meets it."""

from __future__ import annotations

import asyncio
import socket
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from flowrunner.simulator import (
    Behaviour,
    DataFlowId,
    Fault,
    Faults,
    JobState,
    ManualClock,
    Quirks,
    Simulator,
    SmartFlowId,
    Workspace,
    serving,
)
from flowrunner.simulator.serving import _bind
from flowrunner.simulator.skew import shift_times

VERSION = "/fmeinfo/version"
JOBS = "/fmeapiv4/jobs"
AUSTIN = {"repository": "Samples", "workspace": "austinDownload.fmw"}


@pytest.fixture
def fail(simulator):
    """Let one thing go wrong once, or as often as is said."""

    def let(kind, **how):
        simulator.faults = Faults([Fault(kind, **({"times": 1} | how))])

    return let


@pytest.fixture
def acted(simulator):
    """How many submissions acted."""
    return lambda: len(simulator.books)


def submit(api):
    """Start a run."""
    return api.post(JOBS, json=AUSTIN)


# The connection


def test_a_refused_request_is_not_read(simulator, api, fail, acted):
    """The connection is reset before anything of the request was read: it is not recorded and nothing acted."""
    fail("refuse")

    with pytest.raises(httpx.TransportError):
        submit(api)

    assert (len(simulator.requests), acted()) == (0, 0)
    assert submit(api).status_code == 202


def test_nobody_listens_for_a_time(simulator, api, clock, fail):
    """Until the time is over, on the simulator's clock, whoever connects is refused; then all is as before."""
    fail("refuse", lasts=30)
    with pytest.raises(httpx.TransportError):
        api.get(VERSION)

    with pytest.raises(httpx.ConnectError):
        api.get(VERSION)
    clock.advance(29)
    with pytest.raises(httpx.ConnectError):
        api.get(VERSION)
    assert not simulator.wait_until_listening(0)
    clock.advance(1)

    assert simulator.wait_until_listening()
    assert api.get(VERSION).status_code == 200


def test_going_down_cuts_what_others_wait_for(simulator, api, fail):
    """When nobody listens, no connection is left either: a request that is held is cut."""
    job_id = submit(api).json()["id"]
    with ThreadPoolExecutor() as executor:
        held = executor.submit(api.get, f"{JOBS}/{job_id}/result?longPoll=true")
        assert simulator.wait_until_held()
        fail("refuse", path=VERSION, lasts=1e6)
        with pytest.raises(httpx.TransportError):
            api.get(VERSION)

    assert isinstance(held.exception(), httpx.RemoteProtocolError)  # and not its own timeout


def test_it_stops_while_nobody_listens(simulator, api, fail):
    """A simulator that is down for good can be stopped, and started again where it was."""
    fail("refuse", lasts=float("inf"))
    with pytest.raises(httpx.TransportError):
        api.get(VERSION)

    simulator.stop()
    assert not simulator.wait_until_listening(0)
    simulator.start()

    assert api.get(VERSION).status_code == 200


def test_requests_that_come_together_may_all_take_it_down(simulator, api, fail):
    """A server that is on its way down is taken down once, and is back once."""
    fail("refuse", times=4, lasts=0)

    def ask(_):
        with pytest.raises(httpx.TransportError):
            httpx.get(simulator.base_url + VERSION, verify=False)

    for _ in range(5):
        with ThreadPoolExecutor() as executor:
            list(executor.map(ask, range(4)))
        fail("refuse", times=4, lasts=0)
        assert simulator.wait_until_listening()
    simulator.faults = Faults()

    assert api.get(VERSION).status_code == 200


@pytest.mark.parametrize(("kind", "count"), [("reset_before", 0), ("reset_after", 1)])
def test_a_reset(simulator, api, fail, kind, count):
    """Before acting it leaves nothing behind, after acting a run; the request was read in both cases."""
    fail(kind, requests="submissions")

    with pytest.raises(httpx.ReadError):
        submit(api)

    assert (count, 1) == (len(simulator.books), len(simulator.requests))


@pytest.mark.parametrize("acts", [False, True])
def test_a_hung_request_hangs_until_its_client_leaves(simulator, api, fail, acted, acts):
    """No answer comes, the connection stays open, and the vendor has acted if that was asked for."""
    fail("hang", acts=acts)

    with pytest.raises(httpx.ReadTimeout):
        api.post(JOBS, json=AUSTIN, timeout=0.2)

    assert int(acts) == acted()
    assert submit(api).status_code == 202


def test_hung_requests_do_not_keep_the_server(simulator, api, fail):
    """The server stops at once with requests that hang, that are slow, and that wait for a body that does not come."""
    simulator.faults = Faults(
        [
            Fault("hang", path=VERSION),
            Fault("slow", path=JOBS, pause=1e6),
            Fault("wrong_length", path="*/repositories"),
        ]
    )
    with ThreadPoolExecutor() as executor:
        asked = [executor.submit(api.get, path) for path in (VERSION, VERSION, JOBS, "/fmeapiv4/repositories")]
        assert simulator.wait_until_held(4)
        began = time.perf_counter()
        simulator.stop()
        assert time.perf_counter() - began < 1

    assert all(isinstance(each.exception(), httpx.TransportError) for each in asked)


# The bytes


def test_slow_bytes_come_on_the_clock_of_the_simulator(simulator, api, clock, fail):
    """The body comes in as many pieces as were asked for, each a pause later; no real time passes for it."""
    whole = api.get(VERSION).content
    fail("slow", pause=60, pieces=3)
    began, size = clock.now(), -(-len(whole) // 3)

    with api.stream("GET", VERSION) as answer:
        pieces = list(_when_advanced(simulator, answer))

    assert [whole[:size], whole[size : 2 * size], whole[2 * size :]] == pieces
    assert (clock.now() - began).total_seconds() == 180


def _when_advanced(simulator, answer):
    """The pieces of an answer, the clock moved on a minute for each."""
    raw = answer.iter_raw()
    for _ in range(3):
        assert simulator.wait_until_held()
        simulator.clock.advance(60)
        yield next(raw)


def test_a_slow_answer_without_a_body_is_not_slow(api, fail):
    """There is nothing to wait for."""
    job_id = submit(api).json()["id"]
    fail("slow")

    assert api.post(f"{JOBS}/{job_id}/cancel").status_code == 204


def test_a_truncated_answer(api, fail, acted):
    """The vendor acts, the headers come, half of the body, and the end of the connection."""
    fail("truncate", requests="submissions")

    with pytest.raises(httpx.RemoteProtocolError, match="peer closed connection without sending complete message body"):
        submit(api)

    assert acted() == 1


def test_more_promised_than_sent(api, fail):
    """All of the body comes, and then the client waits for the rest that was promised."""
    whole = api.get(VERSION).content
    fail("wrong_length", off_by=7)

    with api.stream("GET", VERSION, timeout=0.2) as answer:
        assert str(len(whole) + 7) == answer.headers["content-length"]
        raw = answer.iter_raw()
        assert whole == next(raw)
        with pytest.raises(httpx.ReadTimeout):
            next(raw)


def test_less_promised_than_sent(simulator, api, fail):
    """The client has less than there is, and the rest stands on the connection before the next answer."""
    whole = api.get(VERSION).content
    fail("wrong_length", off_by=-7)
    request = f"GET {VERSION} HTTP/1.1\r\nHost: x\r\n\r\n".encode()

    with socket.create_connection(("127.0.0.1", simulator.port), timeout=5) as connection:
        connection.sendall(request)
        head, _, body = _read_until(connection, whole).partition(b"\r\n\r\n")
        connection.sendall(request)
        following = _read_until(connection, b"HTTP/1.1 200")

    assert f"content-length: {len(whole) - 7}".encode() in head.splitlines()
    assert (whole, b"HTTP/1.1 200") == (body, following[:12])


def _read_until(connection, end):
    """What comes until this has come."""
    content = b""
    while end not in content:
        content += connection.recv(4096)
    return content


def test_a_wrong_length_needs_a_body(api, fail):
    """An answer without a body comes as it is, and its connection goes on."""
    job_id = submit(api).json()["id"]
    fail("wrong_length")

    assert api.post(f"{JOBS}/{job_id}/cancel").status_code == 204
    assert api.get(VERSION).status_code == 200


# Other answers


@pytest.mark.parametrize("acts", [False, True])
@pytest.mark.parametrize("status", [200, 502, 504])
def test_a_page_of_a_proxy(api, fail, acted, status, acts):
    """HTML with any status; the vendor sees nothing of the request, or acts, as was asked for."""
    fail("html", status=status, acts=acts)

    answer = submit(api)

    assert (status, "text/html; charset=utf-8") == (answer.status_code, answer.headers["content-type"])
    assert answer.text.startswith(f"<html><head><title>{status} ")
    assert int(acts) == acted()


@pytest.mark.parametrize("headers", [{}, {"Retry-After": "2"}])
def test_a_storm(api, fail, acted, headers):
    """So many requests in a row are turned away, with a time to come back or without."""
    fail("status", status=429, headers=headers, times=3)

    answers = [submit(api) for _ in range(4)]

    assert [answer.status_code for answer in answers] == [429, 429, 429, 202]
    assert headers.get("Retry-After") == answers[0].headers.get("retry-after")
    assert (answers[0].json(), acted()) == ({"message": "Too Many Requests"}, 1)


def test_an_error_after_acting(api, fail, acted):
    """A server error may come although the run was started; its body can be given."""
    fail("status", status=500, acts=True, body="<h1>Oops</h1>")

    assert submit(api).text == "<h1>Oops</h1>"
    assert acted() == 1


def test_a_status_without_a_name(api, fail):
    """A status that no standard names is sent nevertheless."""
    fail("status", status=599)

    assert submit(api).status_code == 599


@pytest.mark.parametrize(("answer", "place"), [("first", 0), ("second", 1)])
def test_a_repeated_request_acts_twice(simulator, api, fail, answer, place):
    """Two runs start with the same body, although the client asked once; it hears of one of them."""
    fail("duplicate", requests="submissions", answer=answer)

    heard = submit(api).json()["id"]

    assert str(heard) == simulator.books[place].id
    assert [entry.flow for entry in simulator.books] == ["Samples/austinDownload.fmw"] * 2
    assert len(simulator.requests) == 1


def test_the_books_tell_what_was_repeated(simulator, api, fail):
    """Of two runs that one request started, the second is marked; what is asked for after that is not."""
    fail("duplicate", requests="submissions", times=1)

    submit(api)
    submit(api)

    assert [entry.job.is_repeat for entry in simulator.books] == [False, True, False]


def test_a_large_request_is_repeated_whole(simulator, api, fail):
    """What is longer than what is read ahead acts twice, too."""
    body = AUSTIN | {"publishedParameters": {"MAXY": "1" * 3_000_000}}
    fail("duplicate")

    assert api.post(JOBS, json=body).status_code == 202
    assert [len(entry.job.parameters["MAXY"]) for entry in simulator.books] == [3_000_000] * 2


def test_a_stale_answer(simulator, api, clock, fail):
    """The same question is answered as it was before; another question and the next time are not."""
    path = f"{JOBS}/{submit(api).json()['id']}"
    fail("stale", skip=1)  # what was asked before that can be given again from here on
    assert api.get(path).json()["status"] == "running"
    api.get(path)
    clock.advance(60)

    assert api.get(f"{path}?other").json()["status"] == "success"
    assert api.get(path).json()["status"] == "running"
    assert api.get(path).json()["status"] == "success"
    assert simulator.faults_done == {"stale": 1}


def test_nothing_is_stale_at_first(simulator, api, fail):
    """The first time a question is asked nothing is given again, nothing is counted, and a POST never is."""
    fail("stale")

    submit(api)

    assert (submit(api).json()["id"], api.get(JOBS).json()["totalCount"]) == (2, 2)
    assert simulator.faults_done == {}


def test_an_answer_to_a_post_is_none_to_a_get(simulator, api):
    """Only the same request is answered as before, though the address is the same."""
    simulator.faults = Faults([Fault("reset_after", method="POST"), Fault("stale", times=1)])
    with pytest.raises(httpx.ReadError):
        submit(api)

    assert api.get(JOBS).json()["totalCount"] == 1


# The server


def test_a_credential_is_revoked_for_a_while(api, anyone, clock, fail):
    """It opens nothing until the time is over, and the vendor says so in its own words; who shows none is let be."""
    fail("revoke", lasts=30)
    assert anyone.get(VERSION).status_code == 200

    refused = api.get(JOBS)
    assert (refused.status_code, refused.json()) == (401, {"message": "Authentication failed: Failed to login"})
    assert api.get(JOBS).status_code == 401
    clock.advance(30)

    assert api.get(JOBS).status_code == 200


def test_a_credential_is_revoked_for_good(simulator, api, clock, fail):
    """It never opens anything again; a new one does."""
    fail("revoke")
    api.get(JOBS)
    clock.advance(1e9)
    assert api.get(JOBS).status_code == 401

    simulator.world.token = "new"

    assert api.get(JOBS, headers={"Authorization": "fmetoken token=new"}).status_code == 200


def test_a_key_in_the_address_is_revoked():
    """It does not matter where the credential stands; the rest of the address stays."""
    with Simulator("invision", faults=Faults([Fault("revoke", times=1)])) as simulator:
        start = f"{simulator.base_url}/api/pub/v1/dataflows/{DataFlowId.IMPORT_SALES.value}/start"

        assert httpx.post(f"{start}?await=false&api_key={simulator.token}").status_code == 401
        assert httpx.post(start, headers={"x-api-key": simulator.token + "x"}).status_code == 401


@pytest.mark.parametrize("seconds", [3600, -90])
def test_a_clock_that_is_wrong(simulator, api, fail, seconds):
    """The date of the answer and every time in it are off by as much; what is no time is as it was."""
    path = f"{JOBS}/{submit(api).json()['id']}"
    right = api.get(path)
    fail("skew", seconds=seconds)
    wrong = api.get(path)

    moved = {3600: "2025-01-01T13:00:00Z", -90: "2025-01-01T11:58:30Z"}[seconds]
    date = {3600: "Wed, 01 Jan 2025 13:00:00 GMT", -90: "Wed, 01 Jan 2025 11:58:30 GMT"}[seconds]
    assert (right.json()["timeQueued"], right.headers["date"]) == (
        "2025-01-01T12:00:00Z",
        "Wed, 01 Jan 2025 12:00:00 GMT",
    )
    assert right.text.replace("2025-01-01T12:00:00Z", moved) == wrong.text
    assert wrong.headers.get_list("date") == [date]


def test_a_date_that_is_given_stays(api, fail):
    """A scripted answer may have a date of its own."""
    fail("status", headers={"Date": "yesterday"})

    assert api.get(VERSION).headers.get_list("date") == ["yesterday"]


def test_every_form_of_a_time_is_shifted():
    """V3's with an offset or bare, that of its log, and the time of day of the server."""
    faults = Faults([Fault("skew", seconds=-86400)])
    quirks = Quirks(v3_times="offset")
    with Simulator("fme-flow-v3", clock=ManualClock(), faults=faults, quirks=quirks) as simulator:
        job = simulator.pool.submit("Samples/austinDownload.fmw")
        headers = {"Authorization": f"fmetoken token={simulator.token}", "Accept": "text/plain"}
        with httpx.Client(base_url=f"{simulator.base_url}/fmerest/v3", headers=headers, verify=False) as api:
            record = api.get(f"/transformations/jobs/id/{job.id}").json()
            log = api.get(f"/transformations/jobs/id/{job.id}/log").text
            day = api.get("/info").json()["currentTime"]

    assert record["timeStarted"][:11] == "2024-12-31T"
    assert "2024-12-31 12:00:00|" in log
    assert day == "Tue-31-Dec-2024 12:00:00 PM"


@pytest.mark.parametrize(
    ("text", "shifted"),
    [
        ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00Z"),
        ("9999-12-31T23:59:59Z", "9999-12-31T23:59:59Z"),
        ("2025-02-30T12:00:00Z", "2025-02-30T12:00:00Z"),
        ("2025-12-31T23:59:30.123+01:00", "2026-01-01T00:00:30.123+01:00"),
        ("2025-12-31", "2025-12-31"),
    ],
)
def test_what_is_no_time_is_not_shifted(text, shifted):
    """No date without a time, no day that no calendar has, and not the zero time, which means that there is none."""
    assert shift_times(text.encode(), 60).decode() == shifted


def test_an_archive_is_not_shifted(simulator, api, clock, fail):
    """What is neither JSON nor text stays as it is, byte for byte."""
    simulator.pool.submit("Samples/austinDownload.fmw", {"when": "2025-01-01T12:00:00Z"})
    clock.advance(60)
    path = f"/fmedatadownload/results/{simulator.world.archive_name(simulator.pool.job(1))}"
    right = api.get(path)
    fail("skew", seconds=60)

    assert (api.get(path).content, right.status_code) == (right.content, 200)
    assert b"2025-01-01T12:00:00Z" in right.content


@pytest.mark.parametrize(("start", "count"), [("2025-01-01T11:00:01Z", 0), ("2025-01-01T11:00:00Z", 1)])
def test_who_looks_by_time_looks_by_the_wrong_clock(start, count):
    """A server an hour behind has started its runs an hour earlier, also for one who asks for runs since a time."""
    faults = Faults([Fault("skew", seconds=-3600)])
    node = {"condition": {"key": "createdAt", "operator": "greaterThanOrEqualTo", "values": [start]}}
    with Simulator("smart-flows", clock=ManualClock(), faults=faults) as simulator:
        simulator.pool.submit(SmartFlowId.NO_INPUT.value)
        url = f"{simulator.base_url}/api/v1/flows/executions/filter"
        found = httpx.post(url, json=node, headers={"x-api-key": simulator.token}, verify=False)

    assert count == len(found.json())


def test_what_is_sent_to_a_run_is_not_shifted(simulator, api, fail):
    """A time that is the value of a parameter reaches the run as it was sent."""
    simulator.publish(Workspace("Mine", "own.fmw"))
    order = {"repository": "Mine", "workspace": "own.fmw", "publishedParameters": {"WHEN": "2025-01-01T12:00:00Z"}}
    fail("skew", seconds=60)

    api.post(JOBS, json=order)

    assert simulator.books[0].job.parameters["WHEN"] == "2025-01-01T12:00:00Z"


def test_a_clock_that_is_wrong_is_not_the_only_fault(simulator, api):
    """What goes beside others leaves each of them be: here the answer is wrong in time, and then broken off."""
    simulator.faults = Faults([Fault("skew", seconds=60), Fault("truncate", method="GET")])
    submit(api)

    with pytest.raises(httpx.RemoteProtocolError):
        api.get(JOBS)
    assert simulator.faults_done == {"skew": 2, "truncate": 1}


def test_a_purge(simulator, api, clock, fail, acted):
    """Records of runs that have ended are gone, others not; the books keep both."""
    first = submit(api).json()["id"]
    clock.advance(60)
    second = submit(api).json()["id"]
    fail("purge")

    statuses = [api.get(f"{JOBS}/{job_id}").status_code for job_id in (first, second)]

    assert statuses == [404, 200]
    assert [(entry.id, entry.job.state, entry.is_known) for entry in simulator.books] == [
        (str(first), JobState.SUCCEEDED, False),
        (str(second), JobState.RUNNING, True),
    ]


@pytest.mark.parametrize(
    ("jobs", "statuses"),
    [("kept", [200, 200, 200]), ("queue_lost", [200, 200, 404]), ("lost", [404, 404, 404])],
)
def test_a_restart(simulator, api, fail, jobs, statuses):
    """Nobody listens meanwhile; then the server has its jobs, has those it worked on, or has none."""
    clock = simulator.clock
    ids = [submit(api).json()["id"]]
    clock.advance(60)
    ids += [submit(api).json()["id"] for _ in range(2)]
    fail("restart", jobs=jobs, lasts=5)

    with pytest.raises(httpx.TransportError):
        submit(api)
    with pytest.raises(httpx.ConnectError):
        api.get(VERSION)
    clock.advance(5)
    assert simulator.wait_until_listening()

    assert statuses == [api.get(f"{JOBS}/{job_id}").status_code for job_id in ids]
    assert submit(api).json()["id"] == 4


def test_a_server_that_is_down_goes_down_no_further(simulator, api, fail):
    """Of two requests at once that restart it, the first decides for how long."""
    fail("restart", lasts=5)
    with pytest.raises(httpx.TransportError):
        submit(api)
    server = simulator._server
    asyncio.run_coroutine_threadsafe(server.go_down(60), server._loop).result(5)

    simulator.clock.advance(5)
    assert simulator.wait_until_listening()
    assert submit(api).status_code == 202


def test_a_restart_may_lose_what_it_has_just_accepted(simulator, api, fail):
    """The run that the request started is lost with the queue; the server is back at once if no time was given."""
    simulator.pool.script("Samples/austinDownload.fmw", Behaviour(start_delay=60))
    fail("restart", jobs="queue_lost", acts=True)

    with pytest.raises(httpx.TransportError):
        submit(api)
    assert simulator.wait_until_listening()

    (entry,) = simulator.books
    assert (entry.job.state, entry.job.ended_by, entry.is_known) == (JobState.CANCELLED, "restart", False)
    assert entry.forgotten_at == simulator.clock.now()
    assert api.get(JOBS).json()["totalCount"] == 0


@pytest.fixture
def port_in_use(simulator, monkeypatch):
    """Have a copy of the simulator's open port until it was asked for once; returns how often it was."""
    held, asked = simulator._server._listener.dup(), []

    def bind(host, port):
        if asked:
            held.close()
        asked.append(port)
        return _bind(host, port)

    monkeypatch.setattr(serving, "_bind", bind)
    yield asked
    held.close()


@pytest.mark.skipif(sys.platform == "win32", reason="there a port in use can be taken")
def test_a_restart_while_a_process_is_forked(simulator, api, fail, port_in_use):
    """A process that was just forked has the port open until it becomes another program: the server waits for that."""
    fail("restart")

    with pytest.raises(httpx.TransportError):
        submit(api)

    assert simulator.wait_until_listening()
    assert port_in_use == [simulator.port] * 2
    assert submit(api).status_code == 202


@pytest.mark.skipif(sys.platform == "win32", reason="there a port in use can be taken")
def test_a_port_that_does_not_come_free(simulator, api, fail, port_in_use, monkeypatch):
    """The server does not wait for its port for ever: that it is taken is an error of the request that restarts it."""
    monkeypatch.setattr(serving, "_FORKED", -1.0)
    fail("restart")

    assert submit(api).status_code == 500
    assert port_in_use == [simulator.port]


# Who meets them


@pytest.mark.parametrize(
    ("vendor", "path"),
    [
        ("fme-flow-v3", "/fmerest/v3/transformations/submit/Samples/austinDownload.fmw"),
        ("fme-flow-v3", "/fmerest/v3/transformations/transact/Samples/austinDownload.fmw"),
        ("fme-flow-v3", "/fmerest/v3/transformations/transactdata/Samples/austinDownload.fmw"),
        ("fme-flow-v4", JOBS),
        ("fme-flow-v4", f"{JOBS}/sync"),
        ("invision", "/api/pub/v1/dataflows/x/start"),
        ("smart-flows", "/api/v1/flows/executions"),
        ("smart-flows", "/api/v1/flows/executions/start"),
    ],
)
def test_submissions_of_every_vendor(vendor, path):
    """Each way of starting a run is one; looking at runs is not, with the same address neither."""
    assert _statuses(vendor, "submissions", "POST", path) == (418, True)


@pytest.mark.parametrize(
    ("vendor", "method", "path"),
    [
        ("fme-flow-v3", "GET", "/fmerest/v3/transformations/jobs/id/1/result"),
        ("fme-flow-v3", "GET", "/fmerest/v3/transformations/jobs/running"),
        ("fme-flow-v4", "GET", JOBS),
        ("fme-flow-v4", "GET", f"{JOBS}/1"),
        ("invision", "GET", "/api/pub/v1/dataflows/x/runs/y/status"),
        ("smart-flows", "GET", "/api/v1/flows/executions"),
        ("smart-flows", "GET", "/api/v1/flows/executions/x/progress"),
        ("smart-flows", "GET", "/api/v1/flows/x/executions"),
        ("smart-flows", "POST", "/api/v1/flows/executions/filter"),
    ],
)
def test_polls_of_every_vendor(vendor, method, path):
    """Each way of looking at runs is one; changing them is not, with the same address neither."""
    assert _statuses(vendor, "polls", method, path) == (418, True)


def _statuses(vendor, requests, method, path):
    """What a request is answered that should be among those that meet a fault, and whether a DELETE is spared."""
    with Simulator(vendor, faults=Faults([Fault("status", status=418, requests=requests)])) as simulator:
        url = simulator.base_url + path
        return httpx.request(method, url).status_code, httpx.delete(url).status_code != 418


def test_a_request_of_another_kind_is_spared(simulator, api, fail):
    """Starting a run is not looking at one, and neither is asking for the version."""
    simulator.faults = Faults([Fault("status", requests="submissions"), Fault("status", requests="polls", status=504)])

    assert [each.status_code for each in (submit(api), api.get(JOBS), api.get(VERSION))] == [503, 504, 200]


# The books


@pytest.mark.parametrize(
    ("vendor", "path", "body", "key", "flow"),
    [
        (
            "fme-flow-v3",
            "/fmerest/v3/transformations/submit/Samples/austinDownload.fmw",
            {"TMDirectives": {"description": "[fr:k]"}},
            "id",
            "Samples/austinDownload.fmw",
        ),
        ("fme-flow-v4", JOBS, AUSTIN, "id", "Samples/austinDownload.fmw"),
        (
            "invision",
            f"/api/pub/v1/dataflows/{DataFlowId.IMPORT_SALES.value}/start",
            None,
            "runId",
            DataFlowId.IMPORT_SALES.value,
        ),
        (
            "smart-flows",
            f"/api/v1/flows/executions/start?flow={SmartFlowId.NO_INPUT.value}",
            None,
            "id",
            SmartFlowId.NO_INPUT.value,
        ),
    ],
)
def test_the_books_of_every_vendor(vendor, path, body, key, flow):
    """They have the id as the vendor shows it, the flow, and the text that came with it where there may be one."""
    with Simulator(vendor) as simulator:
        secret = {"Authorization": f"fmetoken token={simulator.token}", "x-api-key": simulator.token}
        answer = httpx.post(simulator.base_url + path, json=body, headers=secret)
        (entry,) = simulator.books

    assert (str(answer.json()[key]), flow) == (entry.id, entry.flow)
    assert ("[fr:k]" if vendor == "fme-flow-v3" else "") == entry.description
    assert entry.is_known


def test_published_flows_are_in_the_books_under_their_names(simulator, api):
    """A workspace of one's own is named with its repository."""
    simulator.publish(Workspace("Mine", "own.fmw"))

    api.post(JOBS, json={"repository": "Mine", "workspace": "own.fmw"})

    assert [entry.flow for entry in simulator.books] == ["Mine/own.fmw"]
