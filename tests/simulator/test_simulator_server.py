"""The server around a vendor's app: its life, its records, its scripted answers and cuts."""

from __future__ import annotations

import importlib
import socket
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

import flowrunner.simulator
from flowrunner.simulator import Behaviour, DataFlowId, ManualClock, Simulator, SmartFlowId, Workspace

VERSION = "/fmeinfo/version"
JOBS = "/fmeapiv4/jobs"
AUSTIN = {"repository": "Samples", "workspace": "austinDownload.fmw"}


def test_it_starts_and_stops_fast():
    """Starting and stopping take less than 0.3 s each, and leave neither a thread nor an open port."""
    threads = threading.active_count()
    began = time.perf_counter()
    with Simulator() as simulator:
        started = time.perf_counter()
        assert httpx.get(simulator.base_url + VERSION).status_code == 200
        served = time.perf_counter()
    stopped = time.perf_counter()

    assert started - began < 0.3
    assert stopped - served < 0.3
    assert threads == threading.active_count()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", simulator.port), timeout=1)


def test_a_held_request_does_not_delay_stopping(simulator, api):
    """Stopping cuts held requests instead of waiting for them."""
    job_id = api.post(JOBS, json=AUSTIN).json()["id"]
    with ThreadPoolExecutor() as executor:
        held = executor.submit(api.get, f"{JOBS}/{job_id}/result?longPoll=true")
        assert simulator.wait_until_held()
        began = time.perf_counter()
        simulator.stop()
        assert time.perf_counter() - began < 1

    assert isinstance(held.exception(), httpx.TransportError)


def test_it_comes_back_where_it_was(simulator, api):
    """A simulator that was stopped starts again on its port with its jobs; stopping twice is no error."""
    url = simulator.base_url
    api.post(JOBS, json=AUSTIN)
    simulator.stop()
    simulator.stop()
    with pytest.raises(httpx.TransportError):
        api.get(VERSION)

    simulator.start()

    assert url == simulator.base_url
    assert api.get(JOBS).json()["totalCount"] == 1


def test_it_does_not_start_twice(simulator):
    """Starting what serves already is an error."""
    with pytest.raises(RuntimeError, match="serves already"):
        simulator.start()


def test_its_port_is_known_when_it_started():
    """Asking for the address before the start says what to do."""
    with pytest.raises(RuntimeError, match="context manager"):
        _ = Simulator().base_url


def test_a_taken_port_is_refused(simulator):
    """A port that another server has is an OSError, and nothing is left running."""
    with pytest.raises(OSError, match=r"(?i)in use"):
        Simulator(port=simulator.port).start()


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "::"])
def test_only_loopback(host):
    """A simulator cannot be reached from elsewhere."""
    with pytest.raises(ValueError, match="loopback"):
        Simulator(host=host)


def test_loopback_by_name():
    """`localhost` is the loopback address."""
    with Simulator(host="localhost") as simulator:
        assert f"http://127.0.0.1:{simulator.port}" == simulator.base_url


def test_loopback_of_ipv6():
    """The address of IPv6 stands in brackets."""
    assert Simulator(host="::1", port=8080).base_url == "http://[::1]:8080"


def test_unknown_vendor():
    """A vendor without a simulator is an error that names those there are."""
    with pytest.raises(ValueError, match="fme-flow-v4"):
        Simulator("fme-flow-9")


def test_tokens_are_random_or_given():
    """Each simulator has its own token unless one is given, and does not show it in the representation."""
    given = Simulator(token="secret")

    assert given.token == "secret"
    assert "secret" not in repr(given.world)
    assert Simulator().token != Simulator().token


# Records


def test_requests_are_recorded(simulator, api):
    """A request is recorded with method, path, query, body and status, without its secrets."""
    api.post(f"{JOBS}?token=hush&a=1&a=", json=AUSTIN)
    api.get("/fmeapiv4/workspaces/a%20b/c")

    submitted, second = simulator.requests
    assert (submitted.method, submitted.path, submitted.json, submitted.status) == ("POST", JOBS, AUSTIN, 202)
    assert submitted.query == [("token", "***"), ("a", "1"), ("a", "")]
    assert (submitted.headers["authorization"], submitted.headers["content-type"]) == ("***", "application/json")
    assert (second.path, second.raw_path) == ("/fmeapiv4/workspaces/a b/c", "/fmeapiv4/workspaces/a%20b/c")
    assert simulator.token not in repr(list(simulator.requests))


def test_records_are_found_and_cleared(simulator, api):
    """Records are a sequence, found by path and method, and can be cleared."""
    api.get(JOBS)
    api.post(JOBS, json={})
    api.get(f"{JOBS}/1")

    assert len(simulator.requests) == 3
    assert [request.status for request in simulator.requests[1:]] == [400, 404]
    assert len(simulator.requests.matching(JOBS)) == 2
    assert len(simulator.requests.matching(f"{JOBS}*", "POST")) == 1
    simulator.requests.clear()
    assert list(simulator.requests) == []


def test_a_body_in_parts_is_recorded_whole(simulator, api):
    """A body sent in chunks reaches the app and the record as one."""
    chunks = iter([b'{"repository":"Samples",', b'"workspace":"austinDownload.fmw"}'])

    assert api.post(JOBS, content=chunks).status_code == 202
    assert simulator.requests[0].json == AUSTIN


# Scripted answers and cuts


@pytest.mark.parametrize(
    ("body", "content", "media_type"),
    [
        ("<h1>Bad Gateway</h1>", b"<h1>Bad Gateway</h1>", "text/html; charset=utf-8"),
        (b'{"id":', b'{"id":', "application/octet-stream"),
        ({"message": "busy"}, b'{"message": "busy"}', "application/json"),
    ],
)
def test_an_answer_can_be_scripted(simulator, api, body, content, media_type):
    """A scripted answer goes out as it is, is recorded, and the vendor's app does not act."""
    simulator.respond_next(JOBS, 502, body, headers={"Retry-After": "3"}, method="POST")

    answer = api.post(JOBS, json=AUSTIN)

    assert (502, content) == (answer.status_code, answer.content)
    assert (media_type, "3") == (answer.headers["content-type"], answer.headers["retry-after"])
    assert simulator.pool.submissions() == ()
    assert simulator.requests[0].status == 502


def test_scripted_answers_are_used_up(simulator, api):
    """A script for n requests that match answers n of them, the oldest script first; others pass."""
    simulator.respond_next(f"{JOBS}/*", 500, times=2)
    simulator.respond_next("*", 503, {}, headers={"Content-Type": "text/plain"})

    answers = [api.get(path) for path in (f"{JOBS}/1", VERSION, f"{JOBS}/1", f"{JOBS}/1", VERSION)]

    assert [answer.status_code for answer in answers] == [500, 503, 500, 404, 200]
    assert answers[1].headers["content-type"] == "text/plain"


@pytest.mark.parametrize(("how", "acted"), [("reset_before", 0), ("reset_after", 1), ("truncate", 1)])
def test_a_connection_can_be_cut(simulator, api, how, acted):
    """A cut before acting leaves nothing behind, one after acting the job; the next request is served."""
    simulator.cut_next(how, JOBS, method="POST")

    with pytest.raises(httpx.TransportError):
        api.post(JOBS, json=AUSTIN)

    assert acted == len(simulator.pool.submissions())
    assert api.post(JOBS, json=AUSTIN).status_code == 202


def test_a_reset_is_a_reset(simulator, api):
    """A reset arrives as one: the connection fails while reading, and no status was recorded."""
    simulator.cut_next("reset_before")

    with pytest.raises(httpx.ReadError):
        api.get(VERSION)
    assert simulator.requests[0].status is None


def test_a_truncated_answer_breaks_off(simulator, api):
    """A truncated answer has its headers and half of its body."""
    whole = len(api.get(VERSION).content)
    simulator.cut_next("truncate")

    with pytest.raises(httpx.RemoteProtocolError, match=f"received {whole // 2} bytes, expected {whole}"):
        api.get(VERSION)


def test_cuts_are_checked(simulator):
    """A cut that the simulator cannot do is an error at once."""
    with pytest.raises(ValueError, match="reset_before"):
        simulator.cut_next("explode")


def test_a_client_may_leave(simulator, api):
    """A client that hangs up in the middle of its body has not asked for anything, and does not disturb the server."""
    with socket.create_connection(("127.0.0.1", simulator.port), timeout=5) as connection:
        connection.sendall(b"POST /fmeapiv4/jobs HTTP/1.1\r\nHost: x\r\nContent-Length: 99\r\n\r\n{")
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(1) == b""

    assert api.get(VERSION).status_code == 200
    assert simulator.requests.matching(JOBS) == []


# The package


def test_public_names_exist():
    """Every name of `__all__` is there."""
    assert [name for name in flowrunner.simulator.__all__ if not hasattr(flowrunner.simulator, name)] == []


@pytest.mark.parametrize("missing", ["starlette", "uvicorn"])
def test_missing_extra_is_explained(monkeypatch, missing):
    """Without its extra the simulator says what to install."""
    for name in [name for name in sys.modules if name.startswith("flowrunner.simulator")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, missing, None)

    with pytest.raises(ImportError, match=r'pip install "flowrunner\[simulator\]"'):
        importlib.import_module("flowrunner.simulator")


def test_it_stands_alone():
    """The simulator uses nothing of the rest of the library: none of its modules names another part."""
    import pathlib
    import re

    folder = pathlib.Path(flowrunner.simulator.__file__).parent
    used = {
        name
        for path in folder.glob("*.py")
        for name in re.findall(r"(?:from|import) (flowrunner\S*)", path.read_text())
    }

    assert set() == {name for name in used if not name.startswith("flowrunner.simulator")}


def test_clock_of_a_test_is_the_clock_of_the_server():
    """The clock and the engines given are those used, and engines are counted."""
    clock = ManualClock()
    simulator = Simulator(clock=clock, engines=3)

    assert clock is simulator.clock is simulator.pool.clock
    assert sum(job.state == "running" for job in [simulator.pool.submit("f") for _ in range(5)]) == 3


@pytest.mark.parametrize(
    ("vendor", "misspelt", "meant"),
    [
        ("fme-flow", "Tutorials/10sec.fmw", "Tutorials/10seconds.fmw"),
        ("invision", DataFlowId.PING[:-1], DataFlowId.PING),
        ("smart-flows", SmartFlowId.NO_INPUT[:-1], SmartFlowId.NO_INPUT),
    ],
)
def test_what_is_scripted_is_there(vendor, misspelt, meant):
    """A flow that is not published cannot be scripted: no run would ever behave so. The error names those that are."""
    simulator = Simulator(vendor)
    with pytest.raises(ValueError, match=f"^no flow '{misspelt}': did you mean '[^']+'\\? There are: .*{meant}"):
        simulator.pool.script(misspelt, Behaviour(outcome="failed"))
    simulator.pool.script(meant, Behaviour(outcome="failed"))


def test_what_was_published_can_be_scripted():
    """Publishing makes a flow known; one that nobody published is not the vendor's."""
    simulator = Simulator("fme-flow")
    simulator.publish(Workspace("Nightly", "roads.fmw"))
    simulator.pool.script("Nightly/roads.fmw", Behaviour(duration=1))
    assert simulator.pool.submit("Nightly/roads.fmw").behaviour == Behaviour(duration=1)
