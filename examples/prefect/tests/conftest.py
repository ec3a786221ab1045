"""A Prefect server for all tests, and simulated workflow servers that a block each leads to."""

# ruff: noqa: E402 - the environment comes before Prefect, which reads it

import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

# Before Prefect is imported: nothing of these tests goes to the user's Prefect, nor to Prefect's makers.
HOME = tempfile.TemporaryDirectory(prefix="prefect-")
os.environ |= {
    "PREFECT_HOME": HOME.name,
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_LOCAL_STORAGE_PATH": f"{HOME.name}/results",
    "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), str(Path(__file__).parent.parent)]),
}

import pytest
from prefect.testing.utilities import prefect_test_harness

from flowrunner.simulator import RealClock, Simulator
from remote_runs import WorkflowServer

PATIENCE = 180


def until(condition):
    """What the condition gives, when it gives something."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if found := condition():
            return found
        time.sleep(0.1)  # a real server, in a process of its own: no clock of ours moves it
    return pytest.fail("it did not come about")


@pytest.fixture(scope="session", autouse=True)
def prefect() -> Iterator[None]:
    """A server with a database of its own."""
    with prefect_test_harness(server_startup_timeout=PATIENCE):
        yield


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    """Start a simulated server, and save the block that leads to it."""
    journal = str(tmp_path_factory.mktemp("start") / "journal.sqlite3")
    with ExitStack() as stack:

        def start(vendor: str, block: str, clock=None, **settings) -> Simulator:
            clock = clock or RealClock(speed=20)
            simulator = stack.enter_context(Simulator(vendor, clock=clock, engines=60))
            secrets = dict(simulator.settings)
            server = WorkflowServer(
                backend=vendor,
                base_url=secrets.pop("base_url"),
                settings={"poll_min": 0.1, "poll_max": 0.3, **settings},
                secrets=secrets,
                journal=journal,
            )
            server.save(block, overwrite=True)
            return simulator

        yield start
