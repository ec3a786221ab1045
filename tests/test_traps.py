"""Known traps, over real sockets: connections just closed, forks, answers that overtake, credentials that change."""

import asyncio
import json
import os
import subprocess
import sys
import threading

import pytest

from flowrunner import events
from flowrunner.client import AsyncClient, Client
from flowrunner.config import resolve
from flowrunner.enums import RunState
from flowrunner.errors import AuthenticationError, ContactLost, TransportError
from flowrunner.models import RunRef
from flowrunner.plans import Request
from flowrunner.retries import Failure
from flowrunner.simulator import Behaviour, ManualClock, Simulator, SmartFlowId
from serving import serving

TEN = "Tutorials/10seconds.fmw"

# Connections that the server has just closed


def closing():
    """Answer the first request of each connection, and close it without a word when the second has arrived."""
    seen = set()

    def answer(handler):
        if handler.client_address in seen:
            handler.close_connection = True
            raise ConnectionError
        seen.add(handler.client_address)
        return 202, {}, json.dumps({"id": len(seen)}).encode()

    return answer


def test_a_submission_on_a_connection_just_closed(open_client):
    """A server that closes connections as they are used again makes no submission uncertain: each has a fresh one."""
    with serving(closing()) as server:
        client = open_client(base_url=server.url, check_parameters=False)
        for _ in range(3):
            client._session.send(Request("GET", "/x"), retry=False)
            assert client.submit("a/b").id
            # So would the submission have ended on the connection that was kept:
            with pytest.raises(TransportError) as caught:
                client._session.send(Request("POST", "/jobs", json={}), retry=False)
            assert (caught.value.failure, caught.value.maybe_arrived) == (Failure.RESET_BEFORE, True)

    submissions = [port for method, path, _, body, port in server.seen if path.endswith("/jobs") and body != b"{}"]
    assert len(submissions) == len(set(submissions)) == 3


# Forks


FORKING = """
import os, signal, sys, threading
import flowrunner
from flowrunner.plans import Request

signal.alarm(30)
client = flowrunner.connect(backend="fme-flow-v4", base_url=sys.argv[1], token="t-t-t-t", requests_per_second=1e6)
session = client._session

def ask(name):
    answers = [session.send(Request("GET", f"/{name}/{number}")).content for number in range(20)]
    return answers == [f"/{name}/{number}".encode() for number in range(20)]

flying = threading.Thread(target=session.send, args=(Request("GET", "/held"),))
flying.start()
input()
assert ask("before")  # over a connection of its own, which is idle then
# A thread of the parent that is just doing so holds these, and there is no such thread in the child.
locks = session._renewal, session._gate._lock
for lock in locks:
    lock.acquire()
child = os.fork()
if child == 0:
    signal.alarm(10)
    os._exit(0 if ask("child") and session._renew({}, None) else 1)
for lock in locks:
    lock.release()
fine = ask("parent")
_, ended = os.waitpid(child, 0)
flying.join()
print(fine, ended)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_fork_in_the_middle(tmp_path):
    """Parent and child go on with the same client, and each gets its own answers.

    When it forks, a request of the parent's is under way, another connection is idle, and locks are held.
    """
    held, forked = threading.Event(), threading.Event()

    def answer(handler):
        if handler.path == "/held":
            held.set()
            assert forked.wait(20)
        if handler.path.startswith("/child"):
            forked.set()
        return 200, {}, handler.path.encode()

    program = tmp_path / "forking.py"
    program.write_text(FORKING)
    with serving(answer) as server:
        command = [sys.executable, "-W", "ignore", str(program), server.url]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as forking:
            assert held.wait(20)
            said, _ = forking.communicate("\n", timeout=40)
    assert said == "True 0\n"
    ports = {name: {port for _, path, *_, port in server.seen if path.startswith(name)} for name in ("/child", "/p")}
    assert ports["/child"].isdisjoint(ports["/p"])


# Answers in the wrong order


def job(word):
    """The record of a job."""
    return json.dumps({"id": 1, "status": word, "repository": "a", "workspace": "b"}).encode()


class Late:
    """A server that answers the first look after the second was answered, and the second at once."""

    def __init__(self, first, second):
        self._answers = [job(first), job(second)]
        self._lock = threading.Lock()
        self.asked, self.second_is_in = threading.Event(), threading.Event()

    def __call__(self, _handler):
        """Answer a look."""
        with self._lock:
            is_first = len(self._answers) == 2
            content = self._answers.pop(0)
        if is_first:
            self.asked.set()
            assert self.second_is_in.wait(20)
        return 200, {}, content


ORDERS = [
    ("success", "running", RunState.SUCCEEDED),  # a final word counts, though it was asked for before the live one
    ("running", "success", RunState.SUCCEEDED),
    ("queued", "running", RunState.RUNNING),
    ("failure", "running", RunState.FAILED),
]


def late_run(client):
    """A run that both look at."""
    return client.attach(RunRef(client.name, "fme-flow-v4", "a/b", "1"))


@pytest.mark.parametrize(("first", "second", "state"), ORDERS)
def test_two_threads_whose_answers_overtake(connected, first, second, state):
    """Two threads look at once, and the answer to the earlier look comes last: what was asked later stands.

    Only a final word counts whenever it was asked for. Nothing of this is an anomaly.
    """
    late, happened = Late(first, second), []
    with serving(late) as server, Client(connected(server.url), on_event=happened.append) as client:
        run = late_run(client)
        early = threading.Thread(target=run.refresh)
        early.start()
        assert late.asked.wait(20)
        seen = run.refresh()
        late.second_is_in.set()
        early.join(20)

    assert (seen.vendor_status, run.status.state) == (second, state)
    assert [event for event in happened if isinstance(event, events.Anomaly)] == []


@pytest.mark.parametrize(("first", "second", "state"), ORDERS)
def test_two_tasks_whose_answers_overtake(connected, first, second, state):
    """As with threads."""
    late = Late(first, second)

    async def main():
        async with AsyncClient(connected(server.url)) as client:
            run = late_run(client)
            early = asyncio.create_task(run.refresh())
            assert await asyncio.to_thread(late.asked.wait, 20)
            seen = await run.refresh()
            late.second_is_in.set()
            await early
            return seen.vendor_status, run.status.state

    with serving(late) as server:
        assert asyncio.run(main()) == (second, state)


# A long wait


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
    """An FME Flow whose jobs take ten minutes."""
    with Simulator(clock=manual) as running:
        running.pool.script(TEN, Behaviour(duration=600))
        yield running


def running(simulator, open_client, file, then):
    """A run that is followed with the token in the file; something happens when it is first seen running."""

    def seen(event):
        if isinstance(event, events.StatusChanged) and event.new.state is RunState.RUNNING:
            then()

    file.write_text(simulator.token)
    settings = {"token": {"file": str(file)}, "max_long_polls": 0, "contact_budget": 60}
    return open_client(base_url=simulator.base_url, on_event=seen, **settings).submit(TEN, {"location": ["Burnaby"]})


def test_a_token_that_is_rotated_in_a_long_wait(simulator, open_client, tmp_path):
    """The wait goes on with what the file holds now, and so does the reading of the result."""
    file = tmp_path / "token"

    def rotate():
        simulator.world.token = "r0tated-t0ken"
        file.write_text("r0tated-t0ken\n")

    run = running(simulator, open_client, file, rotate)
    assert run.wait().status.state is RunState.SUCCEEDED
    refused = [each for each in simulator.requests if each.status == 401]
    assert len(refused) == 1


def test_a_token_that_is_revoked_in_a_long_wait(simulator, open_client, tmp_path):
    """Where nothing else is to be had, the file is read once more and the wait ends; the run is as it was."""
    file = tmp_path / "token"

    def revoke():
        simulator.world.token = "an0ther"

    run = running(simulator, open_client, file, revoke)
    with pytest.raises(AuthenticationError):
        run.wait()
    assert run.status.state is RunState.RUNNING
    file.write_text("an0ther")
    assert run.wait().status.state is RunState.SUCCEEDED


def test_waiting_again_after_lost_contact(simulator, open_client, tmp_path):
    """A server that is gone is lost contact after the budget, each time; the run is as it was, and goes on with it."""
    run = running(simulator, open_client, tmp_path / "token", simulator.stop)
    for _ in range(2):
        with pytest.raises(ContactLost) as caught:
            run.wait()
        assert caught.value.__cause__.failure in {Failure.REFUSED, Failure.RESET_BEFORE}
        assert caught.value.status is run.status
        assert run.status.state is RunState.RUNNING
    simulator.start()
    assert run.wait().status.state is RunState.SUCCEEDED


def test_a_login_that_expires_in_a_long_wait(manual, open_client):
    """Each time the token has expired the client logs in once, and the wait goes on."""
    with Simulator("smart-flows", clock=manual) as simulator:
        simulator.world.accounts.token_life = 150
        simulator.pool.script(SmartFlowId.NO_INPUT, Behaviour(duration=600))
        where = {"base_url": simulator.base_url, "username": "admin", "password": "admin", "max_long_polls": 0}
        client = open_client(resolve(None, backend="smart-flows", config=None, arguments=where))
        assert client.submit(SmartFlowId.NO_INPUT).wait().status.state is RunState.SUCCEEDED
        logins = [each for each in simulator.requests if each.path.endswith("/login")]
    assert 4 <= len(logins) <= 6


# 401 beside other failures


def test_a_credential_that_is_refused_when_sent_again(open_client, vendor, tmp_path):
    """A request that failed in passing may find its token expired meanwhile: it is read again then, too."""
    file = tmp_path / "token"
    file.write_text("old")
    client = open_client(token={"file": str(file)})

    def answer(request):
        if len(vendor.requests) == 1:
            file.write_text("new")
            return 503
        return 200 if "new" in request.headers["authorization"] else 401

    vendor.on("GET", "/x", answer)
    assert client._session.send(Request("GET", "/x")).status == 200
    assert len(vendor.requests) == 3
