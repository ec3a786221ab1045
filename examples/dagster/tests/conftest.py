"""A Dagster instance of its own for each test, and simulated workflow servers."""

import os
from contextlib import ExitStack
from pathlib import Path

import pytest
from dagster import DagsterInstance

from flowrunner.simulator import RealClock, Simulator
from jobs import FLOW

HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def home(tmp_path_factory) -> Path:
    """Where Dagster keeps all it keeps."""
    return tmp_path_factory.mktemp("dagster")


@pytest.fixture(scope="session")
def instance(home):
    """An instance that writes there, as do those of the processes that a test starts."""
    (home / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    os.environ |= {
        "DAGSTER_HOME": str(home),
        "PYTHONPATH": os.pathsep.join([str(HERE), str(HERE.parent)]),
    }
    with DagsterInstance.get() as instance:
        yield instance


@pytest.fixture
def start(tmp_path, monkeypatch):
    """Start a simulated server, to which the environment leads; twenty times as fast as life."""
    with ExitStack() as stack:

        def start(vendor="fme-flow-v4", flow=FLOW, pieces="one"):
            simulator = stack.enter_context(Simulator(vendor, clock=RealClock(speed=20), engines=60))
            environment = {
                "VENDOR": vendor, "BASE_URL": simulator.base_url, "SECRET": simulator.token,
                "JOURNAL": str(tmp_path / "journal.sqlite3"), "FLOW": flow, "PIECES": pieces,
            }  # fmt: skip
            for name, value in environment.items():
                monkeypatch.setenv(name, value)
            return simulator

        yield start
