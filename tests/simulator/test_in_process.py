"""A simulator that is asked directly instead of over a socket."""

import pytest

from flowrunner.simulator import Behaviour, ManualClock
from flowrunner.simulator.in_process import InProcessSimulator, Reply

JOB = b'{"repository": "Samples", "workspace": "austinDownload.fmw"}'
SUBMIT = "/fmeapiv4/jobs"


@pytest.fixture
def serving():
    """A simulator that serves."""
    with InProcessSimulator("fme-flow-v4", clock=ManualClock(), token="t0ken") as simulator:
        yield simulator


@pytest.fixture
def ask(serving):
    """Ask it with its token; what came of it."""

    def asking(method, path, body=b""):
        headers = {"Host": "127.0.0.1", "Authorization": "fmetoken token=t0ken", "Content-Type": "application/json"}
        return serving.ask(method, serving.base_url + path, headers, body).result(10)

    return asking


def test_it_answers_as_over_a_socket(serving, ask):
    """Status, headers and body are the app's, and the request is recorded as one from a socket is, its token masked."""
    reply = ask("GET", "/fmeapiv4/jobs?limit=5&token=t0ken")
    assert (reply.status, reply.headers["content-type"], reply.is_whole) == (200, "application/json", True)
    assert reply.headers["content-length"] == str(len(reply.content))
    (request,) = serving.requests
    assert (request.method, request.path, request.status) == ("GET", "/fmeapiv4/jobs", 200)
    assert request.query == [("limit", "5"), ("token", "***")]
    assert request.headers["authorization"] == "***"


def test_a_path_arrives_decoded_and_as_it_was_sent(serving, ask):
    """What is percent-encoded is both, as an HTTP server has it."""
    ask("GET", "/fmeapiv4/a%20b%2Fc")
    assert (serving.requests[0].path, serving.requests[0].raw_path) == ("/fmeapiv4/a b/c", "/fmeapiv4/a%20b%2Fc")


@pytest.mark.parametrize(("how", "jobs"), [("reset_before", 0), ("reset_after", 1)])
def test_a_reset_leaves_no_answer(serving, ask, how, jobs):
    """There is none, whether the app has acted or not."""
    serving.cut_next(how)
    assert ask("POST", SUBMIT, JOB) is None
    assert len(serving.pool.jobs) == jobs


def test_a_truncated_answer_is_half_an_answer(serving, ask):
    """Its head and half of its body come, and it is not whole."""
    whole = ask("GET", "/fmeapiv4/jobs").content
    serving.cut_next("truncate")
    reply = ask("GET", "/fmeapiv4/jobs")
    assert (reply.status, reply.is_whole, reply.content) == (200, False, whole[: len(whole) // 2])


def test_a_scripted_answer_comes_instead(serving, ask):
    """What `respond_next` says is what is answered."""
    serving.respond_next(status=503, body="busy", headers={"Retry-After": "7"})
    reply = ask("GET", "/fmeapiv4/jobs")
    assert (reply.status, reply.content, reply.headers["retry-after"]) == (503, b"busy", "7")


def test_it_serves_from_start_to_stop():
    """Before and after nobody answers; started again, it has its address and its jobs still."""
    simulator = InProcessSimulator("fme-flow-v4", clock=ManualClock())
    with simulator:
        address = simulator.base_url
    assert simulator.ask("GET", f"{address}/", {}, b"") is None
    with simulator:
        assert simulator.base_url == address
        assert isinstance(simulator.ask("GET", f"{address}/", {}, b"").result(10), Reply)


def test_no_two_have_one_address():
    """Each has an address of its own, unless it is given one."""
    with InProcessSimulator() as one, InProcessSimulator() as other, InProcessSimulator(port=8080) as given:
        assert one.base_url != other.base_url
        assert given.base_url == "http://127.0.0.1:8080"


def test_its_port_always_stands_in_its_address():
    """It is found by its address, and clients leave out port 80 of one: no simulator is there by itself."""
    with InProcessSimulator() as simulator:
        assert simulator.port > 80


@pytest.fixture
def hold(serving):
    """Ask for something that is answered when a run of a minute has ended."""
    serving.pool.script("Samples/austinDownload.fmw", Behaviour(duration=60))
    headers = {"authorization": "fmetoken token=t0ken", "content-type": "application/json"}
    return lambda: serving.ask("POST", f"{serving.base_url}{SUBMIT}/sync", headers, JOB)


def test_stopping_ends_a_request_that_is_held(serving, hold):
    """It has no answer, and its client is not left waiting; nor is one that asks at the last moment, or after it."""
    asked = hold()
    assert serving.wait_until_held()
    last, server = hold(), serving._server
    serving.stop()
    assert (asked.result(10), last.result(10)) == (None, None)
    assert server.ask({}, b"") is None
    assert not server._thread.is_alive()


def test_a_client_may_leave(serving, hold, ask):
    """The request that it cancels is held no longer."""
    asked = hold()
    assert serving.wait_until_held()
    asked.cancel()
    ask("GET", SUBMIT)
    assert not serving.wait_until_held(timeout=0)
