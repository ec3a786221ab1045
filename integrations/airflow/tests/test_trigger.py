"""The trigger, in an event loop as a triggerer has it, against simulated vendors."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import UTC, datetime

import pytest
from airflow.triggers.base import TaskSuccessEvent

import flowrunner
from flowrunner.simulator import Behaviour, ManualClock, Simulator
from flowrunner_airflow import FollowTrigger
from flowrunner_airflow.trigger import not_before

FLOW = "Samples/austinDownload.fmw"
PARAMETERS = {"MAXY": 42, "THEMES": ["airports"]}


@pytest.fixture
def submit(fme):
    """Start runs, and get their references."""

    def started(count, **behaviour):
        fme.pool.script(FLOW, Behaviour(**behaviour))
        with flowrunner.connect(backend="fme-flow", **fme.settings) as client:
            return [str(client.submit(FLOW, PARAMETERS).ref) for _ in range(count)]

    return started


def made_again(trigger):
    """A trigger as a triggerer makes it, of what was kept of it."""
    path, arguments = trigger.serialize()
    assert path == f"{FollowTrigger.__module__}.{FollowTrigger.__qualname__}"
    return FollowTrigger(**arguments)


async def events(trigger):
    """What the trigger yields."""
    return [event async for event in made_again(trigger).run()]


async def fired(trigger):
    """The payload of what the trigger yields, which it does once."""
    (event,) = await events(trigger)
    return event.payload


def test_a_run_that_ends(submit):
    """It fires once, with how the run ended, as plain JSON."""
    (ref,) = submit(1, duration=1)
    told = asyncio.run(fired(FollowTrigger("flowrunner_default", ref)))
    assert told["ended"]["status"]["state"] == "succeeded"
    assert told["ended"]["outputs"] == {}
    assert told["ended"]["metrics"] == {}


def test_details(submit):
    """Outputs, artifacts and metrics come where they are wanted; the vendor's payload never does."""
    (ref,) = submit(1, duration=1, features=7)
    told = asyncio.run(fired(FollowTrigger("flowrunner_default", ref, details=("metrics",))))
    assert told["ended"]["metrics"]["features_written"] == 7
    assert not told["ended"].get("raw")
    assert told["ended"]["status"]["raw"] is None


def test_it_fires_when_the_worker_is_gone(submit, monkeypatch):
    """Airflow would take a task for killed whose trigger fires while the process that deferred it is still there."""
    (ref,) = submit(1, duration=0)
    waited = []

    async def sleep(seconds):
        waited.append(seconds)

    monkeypatch.setattr("flowrunner_airflow.trigger.sleep", sleep)
    asyncio.run(fired(FollowTrigger("flowrunner_default", ref, not_before=not_before())))
    assert 5 < waited[0] <= 8  # a heartbeat, as Airflow has it by default, and 3 s


def test_a_success_that_ends_the_task(submit):
    """Where it may, a success ends the task at once, with the XComs it would have left; a failure resumes it."""
    (ref,) = submit(1, duration=1, features=7)
    (event,) = asyncio.run(events(FollowTrigger("flowrunner_default", ref, details=("metrics",), ends_task=True)))
    assert isinstance(event, TaskSuccessEvent)
    assert event.xcoms["return_value"] == ref
    assert event.xcoms["metrics"]["features_written"] == 7
    (ref,) = submit(1, duration=1, outcome="failed")
    told = asyncio.run(fired(FollowTrigger("flowrunner_default", ref, ends_task=True)))
    assert told["ended"]["status"]["state"] == "failed"


def test_all_of_a_triggerer_share_one_follower(connected):
    """A hundred runs are looked at together: while they go on, one list tells of all, and none is asked for alone."""
    with Simulator("fme-flow-v4", clock=ManualClock(), engines=100) as fme:
        connected(fme)
        with flowrunner.connect(backend="fme-flow-v4", **fme.settings) as client:
            refs = [str(client.submit(FLOW, PARAMETERS).ref) for _ in range(100)]

        async def scene():
            together = asyncio.gather(*(fired(FollowTrigger("flowrunner_default", ref)) for ref in refs))
            while [each.path for each in fme.requests][-9:] != ["/fmeapiv4/jobs"] * 9:  # noqa: ASYNC110 - a simulator tells nobody
                await asyncio.sleep(0.01)
            fme.requests.clear()
            fme.clock.advance(3600)
            return await together

        told = asyncio.run(scene())
        assert [each["ended"]["status"]["state"] for each in told] == ["succeeded"] * 100
        of_each = fme.requests.matching("*/jobs/*")  # that it has left the list, its record and its result
        assert len(of_each) <= 300
        assert len(fme.requests) - len(of_each) < 30


def test_one_that_is_cancelled_harms_no_other(fme, submit):
    """The triggerer may give one away: its run goes on, and the others are followed on."""
    refs = submit(3, duration=50)

    async def scene():
        tasks = [asyncio.create_task(fired(FollowTrigger("flowrunner_default", ref))) for ref in refs]
        while len(fme.requests.matching("*/jobs*", "GET")) < 3:  # noqa: ASYNC110 - it is another thread that serves
            await asyncio.sleep(0.01)
        tasks[0].cancel()
        with suppress(asyncio.CancelledError):
            await tasks[0]
        return await asyncio.gather(*tasks[1:])

    told = asyncio.run(scene())
    assert [each["ended"]["status"]["state"] for each in told] == ["succeeded"] * 2
    assert fme.requests.matching("*/cancel") == []


@pytest.mark.parametrize("cancels", [True, False])
def test_a_user_who_ends_the_task(fme, submit, cancels):
    """That cancels the run, unless it is to be left alone."""
    (ref,) = submit(1, duration=1e6)
    asyncio.run(made_again(FollowTrigger("flowrunner_default", ref, cancel_on_kill=cancels)).on_kill())
    (submission,) = fme.books
    assert (str(submission.job.state) == "cancelled") is cancels


def test_a_run_that_cannot_be_cancelled(simulated, connected, capsys):
    """That is said in the log, and is no error of the triggerer's."""
    invision = simulated("invision")
    connected(invision)
    flow = next(iter(invision.world.flows))
    with flowrunner.connect(backend="invision", **invision.settings) as client:
        ref = str(client.submit(flow).ref)
    asyncio.run(FollowTrigger("flowrunner_default", ref).on_kill())
    assert "could not be cancelled: " in capsys.readouterr().out


def test_cleaning_up_cancels_nothing(fme, submit):
    """A triggerer that stops, or gives a trigger away, cleans it up: the run goes on."""
    (ref,) = submit(1, duration=1e6)
    asyncio.run(FollowTrigger("flowrunner_default", ref).cleanup())
    assert fme.requests.matching("*/cancel") == []


def test_contact_that_is_lost(fme, submit, connected):
    """It fires, since nobody can wait for ever, and says that another attempt may do better."""
    (ref,) = submit(1, duration=1)
    connected(fme, contact_budget=0.1, retries=0)
    fme.respond_next("*/jobs*", 503, times=1000)
    told = asyncio.run(fired(FollowTrigger("flowrunner_default", ref)))
    assert told["broken"].startswith("ContactLost: ")
    assert told["hopeless"] is False


@pytest.mark.parametrize(
    ("conn_id", "ref", "said", "is_hopeless"),
    [
        ("flowrunner_default", "42", "InvalidRequest: '42' is not a run reference", True),
        ("nobody", "42", "The conn_id `nobody` isn't defined", False),
    ],
)
def test_what_cannot_be_followed(fme, conn_id, ref, said, is_hopeless):
    """What is wrong is told to the task, which fails with it."""
    told = asyncio.run(fired(FollowTrigger(conn_id, ref)))
    assert said in told["broken"]
    assert told["hopeless"] is is_hopeless


def test_a_run_that_the_vendor_does_not_show_yet(fme, submit, monkeypatch):
    """Just after its submission a run that is denied is not lost."""
    (ref,) = submit(1, duration=1)
    fme.respond_next("*/jobs/*", 404, {"message": "There is no such job"}, times=3)
    now = datetime.now(UTC).isoformat()
    told = asyncio.run(fired(FollowTrigger("flowrunner_default", ref, submitted_at=now)))
    assert told["ended"]["status"]["state"] == "succeeded"


def test_no_secret_is_kept(fme, submit):
    """Neither of what a trigger is made, nor what it tells, nor what is printed of it, holds the token."""
    (ref,) = submit(1, duration=1)
    trigger = FollowTrigger("flowrunner_default", ref, details=("metrics",))
    told = asyncio.run(fired(trigger))
    assert fme.token not in repr([trigger, trigger.serialize(), told])
