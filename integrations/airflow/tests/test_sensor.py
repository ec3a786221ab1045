"""The sensor, in an Airflow in this process and against simulated vendors."""

from __future__ import annotations

import pytest

import flowrunner
from flowrunner.simulator import Behaviour, Fault, Faults
from flowrunner_airflow import FlowrunnerSensor, FollowTrigger, events

FLOW = "Samples/austinDownload.fmw"


@pytest.fixture
def submit(fme):
    """Start a run elsewhere, and get its reference."""

    def started(**behaviour):
        fme.pool.script(FLOW, Behaviour(**behaviour))
        with flowrunner.connect(backend="fme-flow", **fme.settings) as client:
            return str(client.submit(FLOW, {"MAXY": 42, "THEMES": ["airports"]}).ref)

    return started


def task(ref, **arguments):
    """Makes the task of a DAG."""
    return lambda: FlowrunnerSensor(task_id="run", ref=ref, poke_interval=0.05, **arguments)


@pytest.mark.parametrize("deferrable", [True, False])
def test_a_run_that_succeeds(stage, submit, deferrable):
    """The task succeeds with it, and hands on its reference."""
    ref = submit(duration=50)
    ran = stage.run(task(ref, deferrable=deferrable))
    assert (ran.state, ran.xcom()) == ("success", ref)


def test_a_run_that_has_ended(stage, submit, monkeypatch):
    """It is not deferred for that."""
    ref = submit(duration=0)
    monkeypatch.setattr(FollowTrigger, "__init__", None)
    assert stage.run(task(ref)).state == "success"


@pytest.mark.parametrize("deferrable", [True, False])
@pytest.mark.parametrize(("soft", "state"), [({}, "failed"), ({"soft_fail": True}, "skipped")])
@pytest.mark.parametrize("duration", [0, 50])
def test_a_run_that_fails(stage, submit, deferrable, soft, state, duration):  # noqa: PLR0917 - fixtures
    """The task fails for good, since no attempt at waiting mends a run; or is skipped, where that is wanted."""
    ref = submit(duration=duration, outcome="failed")
    ran = stage.run(task(ref, deferrable=deferrable, retries=3, **soft))
    assert (ran.state, ran.tries) == (state, 1)


@pytest.mark.parametrize("deferrable", [True, False])
def test_a_vendor_that_cannot_be_asked_for_now(stage, fme, connected, submit, deferrable):
    """It is asked again."""
    ref = submit(duration=1)
    connected(fme, retries=0)
    fme.respond_next("*/jobs/*", 503, times=2)
    assert stage.run(task(ref, deferrable=deferrable, retries=0)).state == "success"


def test_contact_that_is_lost(stage, fme, connected, submit, monkeypatch):
    """The next attempt follows the run: a sensor has a retry unless it is told otherwise."""
    ref = submit(duration=50)
    connected(fme, contact_budget=0.1, retries=0)
    fme.faults = Faults([Fault("status", path="*/jobs*", status=503)])
    broken = events.broken

    def mended(error):
        fme.faults = Faults()
        return broken(error)

    monkeypatch.setattr(events, "broken", mended)
    ran = stage.run(task(ref))
    assert (ran.state, ran.tries) == ("success", 2)
    assert tuple(task(ref, **given)().retries for given in ({}, {"retries": 0}, {"retries": 3})) == (1, 0, 3)


def test_what_is_no_reference(stage, fme):
    """It is said, and not tried again."""
    ran = stage.run(task("42", retries=3))
    assert (ran.state, ran.tries) == ("failed", 1)


def test_the_reference_is_a_template(stage, submit):
    """It may come from another task's XCom."""
    ref = submit(duration=0)
    ran = stage.run(task("{{ params.ref }}", params={"ref": ref}))
    assert (ran.state, ran.xcom()) == ("success", ref)
