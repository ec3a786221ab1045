"""A whole Airflow against a simulated FME Flow: what a triggerer and a worker that die, and users, do to runs.

The simulator's time stands still, so that no run ends before the test wants it to.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
from collections import Counter
from functools import partial
from pathlib import Path
from time import sleep

import psutil
import pytest

from flowrunner.simulator import Behaviour, Kind, ManualClock, Parameter, Simulator, Workspace
from installation import Installation

COUNT = 200
FLOWS = ("held", "marked", "cleared", "cleared_while_deferred", "many")
LIST = "/fmeapiv4/jobs"
WATCHED = 5.0
"""Seconds in which is counted what the vendor is asked."""


@pytest.fixture
def vendor():
    """An FME Flow with room for all runs at once, and a flow for each DAG."""
    with Simulator("fme-flow-v4", clock=ManualClock(), engines=2 * COUNT) as simulator:
        number = Parameter("NUMBER", Kind.INTEGER, "Number", required=False)
        for name in FLOWS:
            simulator.publish(Workspace("Test", f"{name}.fmw", parameters=(number,), behaviour=Behaviour(duration=60)))
        yield simulator


@pytest.fixture
def airflow(vendor, new_database, tmp_path):
    """A whole Airflow that knows it."""
    connection = {
        "conn_type": "flowrunner",
        "host": vendor.base_url,
        "password": vendor.token,
        "extra": {"backend": "fme-flow-v4"},
    }
    variables = {"AIRFLOW_CONN_FLOWRUNNER_DEFAULT": json.dumps(connection), "COUNT": str(COUNT)}
    installation = Installation(tmp_path, new_database, variables)
    shutil.copy(Path(__file__).with_name("dags_of_installation.py"), tmp_path / "dags")
    try:
        installation.start("api-server", "scheduler", "dag-processor", "triggerer")
        installation.log_in()
        installation.until(lambda: installation.dags() == set(FLOWS), "the DAGs are read")
        yield installation
    finally:
        installation.stop()


def runs_of(vendor, name):
    """How the runs of a flow stand, in the order in which they were started."""
    return [str(each.job.state) for each in vendor.books if each.flow == f"Test/{name}.fmw"]


def state_of(airflow, name):
    """How the one task of a DAG stands."""
    (task,) = airflow.tasks(name)
    return task["state"]


def is_followed(vendor, name):
    """Whether somebody has looked at the run of a flow since requests were last forgotten."""
    ids = {each.id for each in vendor.books if each.flow == f"Test/{name}.fmw"}
    asked = {request.path.rsplit("/", 1)[-1] for request in vendor.requests.matching("*/jobs*", "GET")}
    return not ids.isdisjoint(asked) or "jobs" in asked


def is_held(airflow, vendor, name, state):
    """Whether the one task of a DAG waits in a state."""
    return state_of(airflow, name) == state and is_followed(vendor, name)


def runs_are(vendor, name, *states):
    """Whether the runs of a flow stand so."""
    return runs_of(vendor, name) == list(states)


def kill_worker(airflow, name):
    """Kill the process that runs a task, and before it the worker that would tell Airflow of that."""
    (task,) = airflow.tasks(name)
    process = psutil.Process(task["pid"])
    worker = process.parent()
    assert worker.pid != airflow.processes["scheduler"].pid
    for each in (worker, process):
        os.kill(each.pid, signal.SIGKILL)


@pytest.mark.installation
def test_no_run_twice_and_none_lost(airflow, vendor, request, capsys):
    """Whoever dies, each task has one run; a user's word ends it, or starts another."""
    for name in FLOWS:
        airflow.trigger(name)

    # A worker dies. Its run goes on, and the next attempt goes on with it.
    airflow.until(partial(is_held, airflow, vendor, "held", "running"), "a worker waits")
    kill_worker(airflow, "held")

    # A user marks a task that the triggerer holds: its run is cancelled.
    airflow.until(partial(is_held, airflow, vendor, "marked", "deferred"), "a task is deferred")
    airflow.mark("marked", "failed")
    airflow.until(lambda: runs_of(vendor, "marked") == ["cancelled"], "the run of a task that was marked is cancelled")

    # A user clears tasks, one held by a worker and one by the triggerer: the runs are cancelled, and new ones started.
    for name, state in (("cleared", "running"), ("cleared_while_deferred", "deferred")):
        airflow.until(partial(is_held, airflow, vendor, name, state), f"{name} is {state}")
        airflow.clear(name)
    for name in ("cleared", "cleared_while_deferred"):
        airflow.until(partial(runs_are, vendor, name, "cancelled", "running"), f"{name} runs anew")

    # Many runs in one triggerer: one list now and then tells of all.
    submitting = airflow.until(lambda: len(runs_of(vendor, "many")) == COUNT, "all are submitted", 600)
    airflow.until(lambda: airflow.count("many", "deferred") == COUNT, "all are deferred", pause=1)
    airflow.until(lambda: state_of(airflow, "held") == "running", "the next attempt at the task of the dead worker")
    before = requests_in(vendor, WATCHED)
    assert before[LIST] <= 2 * WATCHED + 2

    # The triggerer dies, and another goes on. It cancels nothing.
    airflow.kill("triggerer")
    vendor.requests.clear()
    airflow.start("triggerer")
    resuming = airflow.until(lambda: vendor.requests.matching(LIST), "the runs are followed again")
    after = requests_in(vendor, WATCHED)
    assert after[LIST] <= 2 * WATCHED + 2

    # All runs end.
    vendor.clock.advance(100)
    ending = airflow.until(lambda: airflow.count("many", "success") == COUNT, "all have ended", pause=1)
    for name in ("held", "cleared", "cleared_while_deferred"):
        airflow.until(lambda: state_of(airflow, name) == "success", f"{name} has ended")  # noqa: B023 - asked at once

    # The vendor's books, and the attempts there were.
    numbers = [each.job.parameters["NUMBER"] for each in vendor.books if each.flow == "Test/many.fmw"]
    assert sorted(numbers) == list(range(COUNT))
    assert {name: runs_of(vendor, name) for name in FLOWS[:-1]} == {
        "held": ["succeeded"],
        "marked": ["cancelled"],
        "cleared": ["cancelled", "succeeded"],
        "cleared_while_deferred": ["cancelled", "succeeded"],
    }
    assert [each["try_number"] for each in airflow.tasks("held")] == [2]
    assert {each["try_number"] for each in airflow.tasks("many")} == {1}

    took = f"submitted in {submitting:.0f} s, followed again after {resuming:.0f} s, ended {ending:.0f} s later"
    asked = f"asked in {WATCHED:.0f} s: {dict(before)}, then {dict(after)}"
    with capsys.disabled():
        request.config.pluginmanager.getplugin("terminalreporter").write_line(f"\n{COUNT} tasks: {took}; {asked}")


def requests_in(vendor, seconds):
    """What the vendor is asked in so many seconds, by its path; runs by one path."""
    vendor.requests.clear()
    sleep(seconds)
    return Counter(re.sub(r"/jobs/\d+", "/jobs/ID", request.path) for request in vendor.requests)
