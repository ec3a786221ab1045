"""What becomes of a run when the process of its flow is cancelled or killed."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from prefect import get_client
from prefect.deployments import run_deployment
from prefect.exceptions import ObjectNotFound
from prefect.settings import PREFECT_API_URL
from prefect.states import Cancelling, Scheduled, State

from conftest import until
from flowrunner.simulator import Behaviour, JobState

FLOW = "Samples/austinDownload.fmw"
HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def deadly(tmp_path_factory):
    """The file that kills."""
    return tmp_path_factory.mktemp("served") / "deadly"


@pytest.fixture(scope="module", autouse=True)
def serving(deadly):
    """`python served.py`, until the tests are done."""
    more = {"PREFECT_RUNNER_POLL_FREQUENCY": "1", "PREFECT_API_URL": PREFECT_API_URL.value(), "DEADLY": str(deadly)}
    command = [sys.executable, "served.py"]
    process = subprocess.Popen(command, cwd=HERE, env=os.environ | more, start_new_session=True)
    yield
    os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:  # after a failed test: it waits for the flow runs that go on
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@pytest.fixture(scope="module")
def endless(start):
    """A server whose runs do not end by themselves, and a flow run that has one."""
    fme = start("fme-flow-v4", "endless")
    fme.pool.script(FLOW, Behaviour(duration=1e6))
    return fme, begin("endless")


@pytest.fixture(scope="module")
def killed(start, deadly):
    """A server, and a flow run whose process is killed when its run was submitted."""
    deadly.touch()
    return start("fme-flow-v4", "killed"), begin("killed")


def begin(server: str):
    """A flow run, as soon as somebody serves it; both tests' begin together, since a process takes its time."""

    def ask():
        try:
            return run_deployment("served/served", parameters={"server": server, "remote_flow": FLOW}, timeout=0)
        except ObjectNotFound:
            return None

    return until(ask)


def state_of(flow_run) -> State:
    """How Prefect says that it stands."""
    with get_client(sync_client=True) as api:
        return api.read_flow_run(flow_run.id).state


def set_state(flow_run, state: State) -> None:
    """Have Prefect take it so."""
    with get_client(sync_client=True) as api:
        api.set_flow_run_state(flow_run.id, state, force=True)


def test_a_flow_run_that_was_killed_finds_its_run(killed, endless):
    """The process dies when the run was started and Prefect does not know it yet; run again, it starts no other."""
    fme, flow_run = killed
    until(lambda: state_of(flow_run).is_crashed())
    assert len(fme.books) == 1

    set_state(flow_run, Scheduled())
    until(lambda: state_of(flow_run).is_completed())
    assert len(fme.books) == 1


def test_cancelling_the_flow_run_cancels_the_remote_run(endless):
    """A person who cancels a flow run in Prefect ends what it has started on the server, too."""
    fme, flow_run = endless
    until(lambda: [each.job.state for each in fme.books] == [JobState.RUNNING])

    set_state(flow_run, Cancelling())
    until(lambda: state_of(flow_run).is_cancelled())
    assert [each.job.state for each in fme.books] == [JobState.CANCELLED]
