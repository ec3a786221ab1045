"""The operator, in an Airflow in this process and against simulated vendors."""

from __future__ import annotations

import os
import signal
import threading
from datetime import timedelta

import pytest
from airflow.sdk import Asset
from airflow.triggers.base import TriggerEvent

import flowrunner
from flowrunner import RunRef
from flowrunner.simulator import Behaviour, Fault, Faults
from flowrunner.simulator.smart_flows_flows import SmartFlowId
from flowrunner_airflow import FlowrunnerOperator, FollowTrigger, following, notes, starting

FLOW = "Samples/austinDownload.fmw"
PARAMETERS = {"MAXY": 42, "THEMES": ["airports"]}
LONG = 1e6
"""Seconds of a simulator's time in which a run does not end."""


def task(**arguments):
    """Makes the task of a DAG."""
    given = {"flow": FLOW, "parameters": PARAMETERS, **arguments}
    return lambda: FlowrunnerOperator(task_id="run", **given)


@pytest.fixture
def at_once(monkeypatch):
    """What was submitted and not answered has arrived, or never will."""
    monkeypatch.setattr(starting, "ARRIVING", 0)


@pytest.fixture
def dies(monkeypatch):
    """Have the worker die where a method is called: before it, or after; once."""

    def die(owner, name, *, after=False):
        method = getattr(owner, name)

        def dying(*args, **kwargs):
            monkeypatch.setattr(owner, name, method)
            if after:
                method(*args, **kwargs)
            raise SystemExit("the worker is gone")

        monkeypatch.setattr(owner, name, dying)

    return die


def ids(simulator):
    """The runs that were ever started."""
    return [submission.id for submission in simulator.books]


def ran_last(simulator, ran):
    """Whether the task's run is the one that was started last."""
    return RunRef.parse(ran.xcom()).id == ids(simulator)[-1]


# How it ends


@pytest.mark.parametrize("deferrable", [True, False])
def test_a_run_that_succeeds(stage, fme, deferrable):
    """The task starts one run, ends as it ends, and its XComs name the run."""
    ran = stage.run(task(deferrable=deferrable))
    assert (ran.state, ran.tries) == ("success", 1)
    (submission,) = fme.books
    assert submission.flow == FLOW
    assert ran.xcom() == ran.xcom("run_ref") == ran.note()["ref"]
    assert submission.id == RunRef.parse(ran.xcom()).id
    assert ran.xcom("metrics") is None


@pytest.mark.parametrize("deferrable", [True, False])
def test_what_becomes_an_xcom(stage, fme, deferrable):
    """Of the result, what was asked for is an XCom of its own; the address of the run's page, where it is known."""
    fme.pool.script(FLOW, Behaviour(duration=1, features=7))
    ran = stage.run(task(deferrable=deferrable, xcoms=("outputs", "metrics")))
    assert ran.xcom("metrics")["features_written"] == 7
    assert list(ran.xcom("outputs")) == ["download_url"]
    assert ran.xcom("artifacts") is None


def test_an_xcom_that_there_is_not():
    """What is no part of a result is refused when the DAG is read."""
    with pytest.raises(ValueError, match="outputs, artifacts, metrics, not raw"):
        task(xcoms=("outputs", "raw"))()


def test_a_success_that_ends_in_the_triggerer(stage, fme):
    """There is no worker then; `dag.test()` has one all the same, which ends as it would have."""
    ran = stage.run(task(ends_in_triggerer=True))
    assert (ran.state, len(fme.books)) == ("success", 1)
    assert ran_last(fme, ran)


def test_a_failure_does_not_end_in_the_triggerer(stage, fme):
    """A worker decides what it means."""
    fme.pool.script(FLOW, Behaviour(duration=1, outcome="cancelled"))
    ran = stage.run(task(ends_in_triggerer=True))
    assert (ran.state, ran.tries) == ("failed", 1)


@pytest.mark.parametrize("more", [{"logs": True}, {"outlets": [Asset("maps")]}])
def test_what_needs_a_worker_at_the_end(more):
    """It is refused when the DAG is read."""
    with pytest.raises(ValueError, match="leave one out"):
        task(ends_in_triggerer=True, **more)()


def test_without_waiting(stage, fme):
    """The task has succeeded when the run was started."""
    fme.pool.script(FLOW, Behaviour(duration=LONG))
    ran = stage.run(task(wait=False))
    assert ran.state == "success"
    assert ran_last(fme, ran)
    assert fme.requests.matching("*/jobs/*") == []


@pytest.mark.parametrize("deferrable", [True, False])
@pytest.mark.parametrize(
    ("vendor", "flow", "outcome", "tries"),
    [
        ("fme-flow-v3", FLOW, "failed", 1),  # FLOW: the work failed
        ("fme-flow-v3", FLOW, "cancelled", 1),  # somebody wanted that
        ("invision", "c0ffee00-0000-4000-8000-000000000001", "failed", 2),  # it does not say why
        ("smart-flows", SmartFlowId.INTERRUPTED, None, 2),  # INTERRUPTED
    ],
)
def test_the_cause_decides(stage, simulated, connected, deferrable, vendor, flow, outcome, tries):  # noqa: PLR0917 - fixtures
    """A failure of the work's own, and a cancellation, end the task; any other is tried again, with a new run."""
    simulator = simulated(vendor)
    connected(simulator)
    if outcome:
        flow = next(iter(simulator.world.flows)) if vendor == "invision" else flow
        simulator.pool.script(flow, Behaviour(duration=1, outcome=outcome))
    parameters = PARAMETERS if vendor == "fme-flow-v3" else None
    ran = stage.run(task(flow=str(flow), parameters=parameters, deferrable=deferrable))
    assert ("failed", tries, tries) == (ran.state, ran.tries, len(simulator.books))
    assert ran.note() is None


def test_what_fits_no_flow(stage, fme):
    """Parameters that do not fit end the task, nothing is started, and nothing is noted."""
    ran = stage.run(task(parameters={"MAXY": "high"}))
    assert (ran.state, ran.tries, fme.books) == ("failed", 1, ())
    assert ran.note() is None


def test_an_option_that_there_is_not(stage, fme):
    """Options are those of `SubmitOptions`."""
    ran = stage.run(task(options={"prioritty": 1}))
    assert (ran.state, ran.tries, fme.books) == ("failed", 1, ())


def test_options_are_submitted(stage, fme):
    """What they say goes with the submission."""
    ran = stage.run(task(options={"queue": "Default"}))
    assert ran.state == "success"
    (request,) = fme.requests.matching("*/jobs", "POST")
    assert "Default" in request.body.decode()


def test_fields_are_templates(stage, fme):
    """Flow and parameters are rendered."""
    ran = stage.run(task(flow="Samples/{{ 'austin' }}Download.fmw", parameters={"MAXY": "{{ 40 + 2 }}"}))
    assert ran.state == "success"
    assert fme.books[0].flow == FLOW


def test_at_least_one_retry(fme):
    """A task has a retry unless it is told otherwise: what is lost on the way, the next attempt finds again."""
    assert tuple(task(**given)().retries for given in ({}, {"retries": 0}, {"retries": 3})) == (1, 0, 3)


# What an attempt finds of the attempt before


@pytest.mark.parametrize("deferrable", [True, False])
def test_a_worker_that_dies_while_it_waits(stage, fme, dies, deferrable):
    """The next attempt goes on with the run."""
    fme.pool.script(FLOW, Behaviour(duration=100))
    dies(FlowrunnerOperator, "_know")
    ran = stage.run(task(deferrable=deferrable))
    assert (ran.state, ran.tries, len(fme.books)) == ("success", 2, 1)


def test_a_cancellation_that_takes_effect_late(stage, fme, dies):
    """It is taken for that of the attempt before, though the run still went on then: a new one is started."""
    fme.pool.script(FLOW, Behaviour(duration=100, outcome="cancelled"), times=1)
    dies(FlowrunnerOperator, "_know")
    ran = stage.run(task())
    assert (ran.state, ran.tries) == ("success", 2)
    assert [str(submission.job.state) for submission in fme.books] == ["cancelled", "succeeded"]


def test_a_cancellation_that_was_nobody_else_s(stage, fme, dies):
    """Where no attempt cancels its run, it was somebody's wish, whichever attempt has started the run."""
    fme.pool.script(FLOW, Behaviour(duration=100, outcome="cancelled"))
    dies(FlowrunnerOperator, "_know")
    ran = stage.run(task(cancel_on_kill=False, retries=5))
    assert (ran.state, ran.tries, len(fme.books)) == ("failed", 2, 1)


def test_a_run_of_before_that_fails(stage, fme, connected, dies):
    """The work's own failure is final, whichever attempt has started the run."""
    connected(fme, "fme-flow-v3")
    fme.pool.script(FLOW, Behaviour(duration=100, outcome="failed"))
    dies(FlowrunnerOperator, "_know")
    ran = stage.run(task(retries=5))
    assert (ran.state, ran.tries, len(fme.books)) == ("failed", 2, 1)


def test_a_worker_that_dies_when_the_run_has_ended(stage, fme, dies):
    """A success that was not told is told by the next attempt, which does not defer."""
    dies(FlowrunnerOperator, "_push")
    ran = stage.run(task())
    assert (ran.state, ran.tries, len(fme.books)) == ("success", 2, 1)


def test_a_worker_that_dies_before_it_submits(stage, fme, dies, at_once):
    """The vendor shows no run since: the next attempt starts one."""
    dies(starting.Starter, "_submit")
    ran = stage.run(task())
    assert (ran.state, ran.tries, len(fme.books)) == ("success", 2, 1)


def test_a_worker_that_dies_before_it_notes_the_run(stage, simulated, connected, dies, at_once):
    """Where the vendor keeps keys, the next attempt finds the run by its key."""
    simulator = simulated("fme-flow-v3")
    connected(simulator)
    dies(starting.Starter, "_submit", after=True)
    ran = stage.run(task())
    assert (ran.state, ran.tries, len(simulator.books)) == ("success", 2, 1)
    assert ran_last(simulator, ran)


def test_where_nobody_knows_whether_there_is_a_run(stage, fme, dies, at_once):
    """Where it keeps none, what may be the run is not guessed at, and no other is started until the task is cleared."""
    dies(starting.Starter, "_submit", after=True)
    ran = stage.run(task(retries=5))
    assert (ran.state, ran.tries, len(fme.books)) == ("failed", 2, 1)
    ran.clear()
    ran.attempt()
    assert (ran.state, len(fme.books)) == ("success", 2)


def test_runs_of_before_are_no_candidates(stage, fme, dies, at_once):
    """What the vendor started earlier is not the run that is looked for."""
    fme.clock._origin -= timedelta(hours=5)
    with flowrunner.connect(backend="fme-flow", **fme.settings) as client:
        client.submit(FLOW, PARAMETERS)
    fme.clock._origin += timedelta(hours=5)
    dies(starting.Starter, "_submit")
    ran = stage.run(task())
    assert (ran.state, len(fme.books)) == ("success", 2)


@pytest.mark.parametrize(("cut", "tries"), [("reset_after", 1), ("reset_before", 2)])
def test_a_submission_without_an_answer(stage, simulated, connected, at_once, cut, tries):  # noqa: PLR0917 - fixtures
    """It is looked for: what was started is gone on with, what was not is started by the next attempt."""
    simulator = simulated("fme-flow-v3")
    connected(simulator)
    simulator.cut_next(cut, "*/submit/*", method="POST")
    ran = stage.run(task())
    assert ("success", tries, 1) == (ran.state, ran.tries, len(simulator.books))


def test_a_vendor_that_cannot_tell(stage, simulated, connected, at_once):
    """It is the vendor without lists that leaves it to a person; clearing the task is their word."""
    simulator = simulated("invision")
    connected(simulator)
    simulator.cut_next("reset_after", method="POST")
    ran = stage.run(task(flow=next(iter(simulator.world.flows)), parameters=None))
    assert (ran.state, ran.tries, len(simulator.books)) == ("failed", 1, 1)
    ran.clear()
    ran.attempt()
    assert (ran.state, len(simulator.books)) == ("success", 2)


def test_what_was_submitted_is_given_time_to_arrive(stage, fme, dies, monkeypatch):
    """An attempt that knows of no answer waits until the submission cannot be under way any more."""
    waited = []
    monkeypatch.setattr(starting, "sleep", waited.append)
    dies(starting.Starter, "_submit")
    ran = stage.run(task())
    assert ran.state == "success"
    assert 0 < max(waited) <= starting.ARRIVING


def test_contact_that_is_lost(stage, fme, connected):
    """The next attempt goes on with the run."""
    connected(fme, contact_budget=0.2)
    fme.pool.script(FLOW, Behaviour(duration=100))
    fme.respond_next("*/jobs/*", 503, method="GET", times=9)
    ran = stage.run(task(retries=9))  # an attempt on a busy machine asks but once or twice
    assert (ran.state, ran.tries > 1, len(fme.books)) == ("success", True, 1)


def test_contact_that_a_worker_loses(stage, fme, connected, dies):
    """It is the same where the worker waits, or cannot even begin to."""
    connected(fme, contact_budget=0.2)
    fme.pool.script(FLOW, Behaviour(duration=100))
    fme.respond_next("*/jobs/*", 503, method="GET", times=9)
    ran = stage.run(task(deferrable=False, retries=9))
    assert (ran.state, ran.tries > 1, len(fme.books)) == ("success", True, 1)


def test_a_connection_that_makes_no_client(stage, fme, connected):
    """Settings that flowrunner refuses end the task, when it resumes, too."""
    connected(fme, timeout=-1)
    ran = stage.run(task(retries=5))
    assert (ran.state, ran.tries, fme.books) == ("failed", 1, ())


def test_a_connection_that_was_changed(stage, fme, connected, monkeypatch):
    """It may make no client any more when the task resumes."""
    know = FlowrunnerOperator._defer
    monkeypatch.setattr(FlowrunnerOperator, "_defer", lambda *args: (connected(fme, timeout=-1), know(*args)))
    event = FollowTrigger._event

    async def changed_back(trigger):
        connected(fme)
        fired = await event(trigger)
        connected(fme, timeout=-1)
        return fired

    monkeypatch.setattr(FollowTrigger, "_event", changed_back)
    ran = stage.run(task())
    assert (ran.state, ran.tries, len(fme.books)) == ("failed", 1, 1)


def test_a_first_look_that_fails(stage, fme, dies):
    """An attempt that cannot be told how its run stands follows it until it is told."""
    fme.pool.script(FLOW, Behaviour(duration=100))
    dies(FlowrunnerOperator, "_know")
    fme.respond_next("*/jobs/*", 503, method="GET", times=2)
    ran = stage.run(task())
    assert (ran.state, ran.tries, len(fme.books)) == ("success", 2, 1)


def test_a_first_look_that_may_not_be_had(stage, fme, dies):
    """What waiting does not mend ends the attempt, and leaves the run noted."""
    dies(FlowrunnerOperator, "_know")
    fme.respond_next("*/jobs/*", 403, {"message": "no"}, method="GET", times=9)
    ran = stage.run(task())
    assert (ran.state, ran.tries, len(fme.books)) == ("failed", 2, 1)
    assert RunRef.parse(ran.note()["ref"]).id == ids(fme)[0]


def test_a_run_that_was_cancelled_with_its_attempt(stage, fme, dies):
    """The next attempt starts a new one."""
    fme.pool.script(FLOW, Behaviour(duration=1, outcome="cancelled"), times=1)
    dies(FlowrunnerOperator, "_defer")
    ran = stage.run(task())
    assert (ran.state, ran.tries, len(fme.books)) == ("success", 2, 2)


def test_a_note_that_cannot_be_read(stage, fme, dies, monkeypatch):
    """Nobody knows what it says: nothing is started."""
    monkeypatch.setattr(notes.Note, "to_json", lambda note: {"version": 2})
    dies(FlowrunnerOperator, "_know")
    ran = stage.run(task(retries=5))
    assert (ran.state, ran.tries, len(fme.books)) == ("failed", 2, 1)


def test_a_task_whose_retries_were_changed(stage, fme, dies):
    """Another number of retries in the DAG is no clearing: the next attempt goes on with the run."""
    dies(FlowrunnerOperator, "_know")
    ran = stage.run(task(retries=0))
    ran.dag.get_task("run").retries = 3
    ran.attempt()
    assert (ran.state, len(fme.books)) == ("success", 1)


def test_a_task_whose_retries_are_changed_while_it_is_deferred(stage, fme, monkeypatch):
    """Nor is it when the task resumes: the run it was deferred for is the one it ends with."""
    complete = FlowrunnerOperator.execute_complete

    def changed(operator, context, event):
        operator.retries += 2
        return complete(operator, context, event)

    monkeypatch.setattr(FlowrunnerOperator, "execute_complete", changed)
    ran = stage.run(task())
    assert (ran.state, len(fme.books)) == ("success", 1)


# Clearing


def test_clearing_starts_a_new_run(stage, fme):
    """Also where the run of before has succeeded."""
    ran = stage.run(task())
    ran.clear()
    ran.attempt()
    assert (ran.state, len(fme.books)) == ("success", 2)
    assert ran_last(fme, ran)
    ran.clear()
    ran.attempt()
    assert (ran.state, len(fme.books)) == ("success", 3)


@pytest.mark.parametrize("deferrable", [True, False])
def test_clearing_while_the_run_goes_on(stage, fme, dies, deferrable):
    """The end of the run of before is awaited: two do not run at once."""
    fme.pool.script(FLOW, Behaviour(duration=100), times=1)
    dies(FlowrunnerOperator, "_know")
    ran = stage.run(task(deferrable=deferrable, retries=0))
    assert (ran.state, len(fme.books)) == ("failed", 1)
    ran.clear()
    ran.attempt()
    assert (ran.state, len(fme.books)) == ("success", 2)
    first, second = (submission.job for submission in fme.books)
    assert first.finished_at <= second.queued_at


def test_clearing_what_is_not_waited_for(stage, fme):
    """A task that does not wait for its run does not wait for that of before either."""
    fme.pool.script(FLOW, Behaviour(duration=LONG))
    ran = stage.run(task(wait=False))
    ran.clear()
    ran.attempt()
    assert (ran.state, len(fme.books)) == ("success", 2)


# Killing


def test_a_task_that_takes_too_long(stage, fme):
    """Its run is cancelled, and the next attempt starts a new one."""
    fme.pool.script(FLOW, Behaviour(duration=LONG), times=1)
    ran = stage.run(task(deferrable=False, execution_timeout=timedelta(seconds=1)))
    assert (ran.state, ran.tries) == ("success", 2)
    assert [str(submission.job.state) for submission in fme.books] == ["cancelled", "succeeded"]


def test_a_worker_that_is_shut_down(stage, fme):
    """What it waited for is cancelled, as with every operator, and the next attempt starts a new run."""
    fme.pool.script(FLOW, Behaviour(duration=LONG), times=1)
    before = signal.getsignal(signal.SIGTERM)
    waiting = threading.Thread(target=_shut_down_when, args=(lambda: fme.requests.matching("*/jobs/*"),))
    waiting.start()
    try:
        ran = stage.run(task(deferrable=False))
    finally:
        signal.signal(signal.SIGTERM, before)
        waiting.join()
    assert (ran.state, ran.tries) == ("success", 2)
    assert [str(submission.job.state) for submission in fme.books] == ["cancelled", "succeeded"]


@pytest.mark.parametrize("after", [False, True])
def test_a_worker_that_is_shut_down_while_it_submits(stage, fme, monkeypatch, after):
    """Nobody waits for such a run either: it is cancelled as soon as it is known, and no task is deferred for it."""
    fme.pool.script(FLOW, Behaviour(duration=50), times=1)
    submit = starting.Starter._submit

    def shut_down(starter, key):
        monkeypatch.setattr(starting.Starter, "_submit", submit)
        run = submit(starter, key) if after else None
        os.kill(os.getpid(), signal.SIGTERM)
        return run or submit(starter, key)

    monkeypatch.setattr(starting.Starter, "_submit", shut_down)
    before = signal.getsignal(signal.SIGTERM)
    try:
        ran = stage.run(task())
    finally:
        signal.signal(signal.SIGTERM, before)
    assert (ran.state, ran.tries) == ("success", 2)
    assert [str(submission.job.state) for submission in fme.books] == ["cancelled", "succeeded"]


def _shut_down_when(it_waits):
    while not it_waits():
        threading.Event().wait(0.01)
    os.kill(os.getpid(), signal.SIGTERM)


@pytest.mark.parametrize("cancels", [True, False])
def test_a_deferral_that_takes_too_long(stage, fme, monkeypatch, cancels):
    """It is the same where the triggerer waits, unless the task is told to leave its run alone."""
    _takes_too_long(stage, fme, monkeypatch, cancels=cancels)
    assert str(fme.books[0].job.state) == ("cancelled" if cancels else "running")


def _takes_too_long(stage, fme, monkeypatch, *, cancels):
    fme.pool.script(FLOW, Behaviour(duration=LONG))
    resumed = []
    resume = FlowrunnerOperator.resume_execution

    def too_late(operator, next_method, next_kwargs, context):
        resumed.append(next_method)
        return resume(operator, "__fail__", {"error": "Trigger timeout"}, context)

    monkeypatch.setattr(FlowrunnerOperator, "resume_execution", too_late)
    monkeypatch.setattr("flowrunner_airflow.trigger.FollowTrigger._event", _nothing)
    ran = stage.run(task(retries=0, cancel_on_kill=cancels))
    assert (ran.state, resumed) == ("failed", ["execute_complete"])


def test_a_deferral_that_takes_too_long_without_its_connection(stage, fme, monkeypatch, capsys):
    """That the run could not be cancelled is said, and the task ends for the reason it has."""
    monkeypatch.setattr(FlowrunnerOperator, "_cancel_what_is_noted", _without_connection(monkeypatch))
    _takes_too_long(stage, fme, monkeypatch, cancels=True)
    assert str(fme.books[0].job.state) == "running"
    said = capsys.readouterr().out
    assert "could not be cancelled: The conn_id `flowrunner_default` isn't defined" in said
    assert "TaskDeferralTimeout" in said


def _without_connection(monkeypatch):
    cancel = FlowrunnerOperator._cancel_what_is_noted

    def attempt(operator, context):
        monkeypatch.delenv("AIRFLOW_CONN_FLOWRUNNER_DEFAULT")
        cancel(operator, context)

    return attempt


async def _nothing(trigger):
    return TriggerEvent({})


def test_a_run_that_cannot_be_cancelled(stage, simulated, connected, capsys):
    """That is said; the task ends all the same."""
    simulator = simulated("invision")
    connected(simulator)
    flow = next(iter(simulator.world.flows))
    simulator.pool.script(flow, Behaviour(duration=LONG))
    arguments = {"flow": flow, "parameters": None, "deferrable": False, "retries": 0}
    ran = stage.run(task(**arguments, execution_timeout=timedelta(seconds=1)))
    assert ran.state == "failed"
    assert "could not be cancelled" in capsys.readouterr().out


def test_a_deferral_that_fails_before_there_is_a_note(stage, fme, monkeypatch):
    """There is nothing to cancel then either."""
    monkeypatch.setattr(notes.Notes, "read", lambda kept: None)
    _takes_too_long(stage, fme, monkeypatch, cancels=True)
    assert str(fme.books[0].job.state) == "running"


def test_killing_before_there_is_a_run(fme):
    """There is nothing to cancel."""
    task()().on_kill()
    assert len(fme.requests) == 0


# What is told


def test_the_log_of_a_run(stage, simulated, connected, capsys):
    """It goes into the task's, where that is wanted."""
    simulator = simulated("fme-flow-v3")
    connected(simulator)
    assert stage.run(task(logs=True)).state == "success"
    with flowrunner.connect(backend="fme-flow-v3", **simulator.settings) as client:
        (run,) = client.runs()
        lines = list(run.logs())
    shown = capsys.readouterr().out
    assert lines
    assert [line for line in lines if line.strip() and line.strip() not in shown] == []


def test_a_vendor_without_logs(stage, fme, connected, capsys):
    """That there are none is said, and is no failure."""
    connected(fme, "fme-flow-v4")
    assert stage.run(task(logs=True)).state == "success"
    assert "fme-flow-v4 shows no logs of runs" in capsys.readouterr().out


def test_a_log_that_cannot_be_read(stage, simulated, connected, capsys):
    """The run ended as it did all the same."""
    simulator = simulated("fme-flow-v3")
    connected(simulator, retries=0)
    simulator.respond_next("*/log", 500, times=9)
    assert stage.run(task(logs=True)).state == "success"
    assert "cannot be read" in capsys.readouterr().out


def test_details_that_cannot_be_read(stage, fme, connected):
    """A success is a success without them."""
    connected(fme, retries=0)
    fme.faults = Faults([Fault("status", path="*/jobs/*/result", status=500)])
    ran = stage.run(task())
    assert (ran.state, ran.tries, len(fme.books)) == ("success", 1, 1)


def test_details_that_are_wanted(stage, fme, connected):
    """Where they are wanted, another attempt reads them, and starts nothing."""
    connected(fme, retries=0)
    fme.faults = Faults([Fault("status", path="*/jobs/*/result", status=500)])
    ran = stage.run(task(xcoms=("metrics",), retries=0))
    assert (ran.state, len(fme.books)) == ("failed", 1)
    fme.faults = Faults()
    ran.attempt()
    assert (ran.state, len(fme.books)) == ("success", 1)
    assert ran.xcom("metrics")


@pytest.fixture
def told(monkeypatch):
    """Have something done as soon as the task has said that its run waits."""
    threads = []

    def then(deed):
        said = threading.Event()
        say = following._say
        monkeypatch.setattr(following, "_say", lambda *args: (say(*args), said.set()))
        threads.append(threading.Thread(target=lambda: said.wait(30) and deed()))
        threads[-1].start()

    yield then
    for thread in threads:
        thread.join()


@pytest.mark.parametrize("deferrable", [True, False])
def test_a_run_that_asks_a_person(stage, simulated, connected, told, capsys, deferrable):  # noqa: PLR0917 - fixtures
    """The task waits on, its log says what is asked, and it ends when somebody has answered."""
    simulator = simulated("smart-flows")
    connected(simulator)
    told(lambda: _answer(simulator))
    ran = stage.run(task(flow=str(SmartFlowId.ASKS_ONCE), parameters=None, deferrable=deferrable))
    assert (ran.state, len(simulator.books)) == ("success", 1)
    assert "waits for a person (user_input) and is asked: Name, Language, Include signature" in capsys.readouterr().out


def _answer(simulator):
    with flowrunner.connect(backend="smart-flows", **simulator.settings) as client:
        (run,) = client.runs()
        with pytest.raises(flowrunner.InputRequired) as asked:
            run.wait(timeout=5)
        wanted = [key for key in asked.value.schema["required"] if key not in asked.value.model]
        run.resume(dict.fromkeys(wanted, "Gent"))


def test_a_run_that_waits_for_something_else(stage, simulated, connected, told, capsys):
    """That it waits is said, too."""
    simulator = simulated("smart-flows")
    connected(simulator)
    told(lambda: simulator.pool.resume(simulator.pool.jobs[0].id))
    ran = stage.run(task(flow=str(SmartFlowId.WAITS), parameters=None))
    assert ran.state == "success"
    assert "waiting (external_event)" in capsys.readouterr().out


def test_a_success_with_warnings(stage, simulated, connected, capsys):
    """It is a success; that there are warnings is said."""
    simulator = simulated("smart-flows")
    connected(simulator)
    ran = stage.run(task(flow=str(SmartFlowId.WARNS), parameters=None))
    assert ran.state == "success"
    assert "succeeded with warnings" in capsys.readouterr().out


def test_the_page_of_a_run(stage, fme, connected):
    """The task links to the vendor's page of the run, where the connection says where that is."""
    connected(fme, run_url="https://fme.example.com/jobs/{id}?flow={flow}")
    dag = stage.dag(task())
    operator = dag.get_task("run")
    (link,) = operator.operator_extra_links
    assert link.get_link(operator, ti_key=None) == ""
    operator._server = operator._hook().get_server()
    operator.run_page = operator._server.page_of(RunRef("c", "fme-flow", FLOW, "42"))
    assert f"https://fme.example.com/jobs/42?flow={FLOW}" == link.get_link(operator, ti_key=None)
