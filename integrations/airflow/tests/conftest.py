"""What the tests share: an Airflow of their own, on SQLite and in this process, and simulated vendors."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

HOME = Path(tempfile.mkdtemp(prefix="flowrunner-airflow-"))
# Airflow reads this when it is imported, and so does whatever imports it below.
os.environ |= {
    "AIRFLOW_HOME": str(HOME),
    "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    "AIRFLOW__CORE__DAGS_FOLDER": str(HOME / "dags"),
    "NO_PROXY": "127.0.0.1",
}
(HOME / "dags").mkdir()

import pytest  # noqa: E402 - as above
from airflow.utils.db import initdb  # noqa: E402 - it reads the environment that is set above

from flowrunner.simulator import RealClock, Simulator  # noqa: E402 - as above
from stage import Stage  # noqa: E402 - as above


def pytest_unconfigure(config):
    """Leave nothing behind."""
    shutil.rmtree(HOME, ignore_errors=True)


@pytest.fixture(scope="session")
def new_database():
    """A database of Airflow's, to be copied."""
    initdb()  # what `airflow db migrate` does where there is none; here, all that it imports is there
    copy = HOME / "new.db"
    with closing(sqlite3.connect(HOME / "airflow.db")) as made, closing(sqlite3.connect(copy)) as copied:
        made.backup(copied)  # this process still has it open, and part of it is in SQLite's log
    return copy


@pytest.fixture
def stage(new_database, monkeypatch):
    """Where DAGs are run. There is no process that a trigger would have to wait for."""
    monkeypatch.setattr("flowrunner_airflow.trigger.MARGIN", -5)
    return Stage()


@pytest.fixture
def connected(monkeypatch):
    """Have Airflow know a simulator by the name of a connection; `extra` are further settings."""

    def connect(simulator, backend=None, conn_id="flowrunner_default", **extra):
        settings = {"poll_min": 0.02, "poll_max": 0.1, **extra}
        connection = {
            "conn_type": "flowrunner",
            "host": simulator.base_url,
            "password": simulator.token,
            "extra": {"backend": backend or simulator.vendor, **settings},
        }
        monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", json.dumps(connection))

    return connect


@pytest.fixture
def simulated():
    """Start a simulator, fifty times as fast as life."""
    simulators = []

    def start(vendor="fme-flow", speed=50, **arguments):
        simulator = Simulator(vendor, clock=RealClock(speed=speed), **arguments)
        simulators.append(simulator.start())
        return simulator

    yield start
    for simulator in simulators:
        simulator.stop()


@pytest.fixture
def fme(simulated, connected):
    """An FME Flow, which the default connection names."""
    simulator = simulated("fme-flow", engines=8)
    connected(simulator)
    return simulator
