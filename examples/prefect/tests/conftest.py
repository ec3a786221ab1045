"""A Prefect server for all tests, and simulated workflow servers that a block each leads to."""

import os
import tempfile
from collections.abc import Iterator
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

SPEED = 20


@pytest.fixture(scope="session", autouse=True)
def prefect() -> Iterator[None]:
    with prefect_test_harness():
        yield


@pytest.fixture
def server(tmp_path):
    """Start a simulated server, and save the block that leads to it."""
    started = []

    def start(vendor: str, block: str, **settings) -> Simulator:
        simulator = Simulator(vendor, clock=RealClock(speed=SPEED), engines=60).start()
        started.append(simulator)
        known = dict(simulator.settings)
        base_url = known.pop("base_url")
        quick = {"poll_min": 0.1, "poll_max": 0.3, **settings}
        WorkflowServer(
            backend=vendor,
            settings={"base_url": base_url, **quick},
            secrets=known,
            journal=str(tmp_path / "journal.sqlite3"),
        ).save(block, overwrite=True)
        return simulator

    yield start
    for simulator in started:
        simulator.stop()
