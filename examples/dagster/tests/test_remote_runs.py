"""The recipe keeps what its how-to says, on real Dagster instances and simulated workflow servers."""

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from dagster import (
    AssetMaterialization,
    AssetObservation,
    DagsterEventType,
    DagsterRun,
    DagsterRunStatus,
    ReexecutionOptions,
    build_run_status_sensor_context,
    build_sensor_context,
)

from conftest import HERE
from flowrunner import RunState, RunStatus
from flowrunner.simulator import Ask, Behaviour, JobState, Pause, Question
from flowrunner.testing import assert_submitted
from jobs import FLOW, execute, server
from jobs import nightly as job
from nightly import defs
from remote_runs import cancel_remote_runs, remote_runs, server_failed

REPORT = "5b0c1f4e-92d3-4d0a-8a61-7c1e5f2ab002"
PATIENCE = 180


def resume(instance, run_id):
    """Run from where it failed, as Dagster's UI and its automatic retries do."""
    options = ReexecutionOptions.from_failure(run_id, instance)
    return execute(instance, reexecution_options=options, tags={"dagster/is_resume_retry": "true"})


def executed_on_smart_flows(instance):
    """As `executed`; this vendor has runs that wait, and such as were interrupted."""
    return job.execute_in_process(instance=instance, resources={"server": server("api_key")}, raise_on_error=False)


def restarts(instance, result) -> int:
    """How often a step was tried again."""
    return len(instance.all_logs(result.run_id, of_type=DagsterEventType.STEP_RESTARTED))


def until(condition):
    """Wait for it."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.05)  # a process of its own: no clock of ours moves it


def begin(instance, **environment) -> tuple[subprocess.Popen, DagsterRun]:
    """The job in a process of its own, and its run."""
    before = instance.get_runs_count()
    process = subprocess.Popen([sys.executable, "jobs.py"], cwd=HERE, env=os.environ | environment)
    until(lambda: instance.get_runs_count() > before)
    return process, instance.get_runs()[0]


def test_each_piece_of_work_has_its_run(start, instance):
    """A step that is mapped starts a run for each piece, and gives what each has made."""
    fme = start(pieces="a b c")
    with execute(instance) as result:
        made = result.output_for_node("follow")
    assert {key: each["status"]["state"] for key, each in made.items()} == dict.fromkeys("abc", "succeeded")
    assert len(fme.books) == 3


def test_the_example_of_the_how_to_runs(start, instance, monkeypatch):
    """`nightly.py` needs an address and a token, and does what it says."""
    fme = start("fme-flow")
    monkeypatch.setenv("FME_URL", fme.base_url)
    monkeypatch.setenv("FME_TOKEN", fme.token)
    assert defs.resolve_job_def("nightly").execute_in_process(instance=instance).success
    assert_submitted(fme, FLOW, {"THEMES": ["airports"]})
    assert_submitted(fme, FLOW, {"THEMES": ["cenart"]})


def test_a_retry_of_following_attaches_again(start, instance):
    """Contact is lost for longer than an op waits for it: the next try takes the same run up."""
    fme = start()
    fme.pool.script(FLOW, Behaviour(duration=60))
    fme.respond_next("*/jobs/*", 503, times=5)
    result = execute(instance)
    assert result.success
    assert restarts(instance, result) >= 1
    assert len(fme.books) == 1


def test_a_flow_that_failed_is_not_run_again(start, instance):
    """The work itself failed: no op is retried, and resuming the job's run shows the same end."""
    fme = start("fme-flow-v3")
    fme.pool.script(FLOW, Behaviour(outcome="failed"), times=1)
    result = execute(instance)
    resumed = resume(instance, result.run_id)
    assert not result.success
    assert not resumed.success
    assert restarts(instance, result) == restarts(instance, resumed) == 0
    assert len(fme.books) == 1


def test_a_job_that_is_run_again_from_the_beginning_starts_another_run(start, instance):
    """Somebody has repaired the flow, and re-executes all steps."""
    fme = start("fme-flow-v3")
    fme.pool.script(FLOW, Behaviour(outcome="failed"), times=1)
    result = execute(instance)
    assert execute(instance, reexecution_options=ReexecutionOptions(result.run_id)).success
    assert len(fme.books) == 2


def test_a_run_that_the_server_failed_is_run_again(start, instance):
    """The server was to blame, twice: a retry starts another run, one each."""
    flows = start("smart-flows", REPORT)
    flows.pool.script(REPORT, Behaviour(outcome="cancelled"), times=2)  # which this vendor calls Interrupted
    result = executed_on_smart_flows(instance)
    assert result.success
    assert restarts(instance, result) == 2
    assert len(flows.books) == 3


def test_a_submission_whose_answer_got_lost_is_not_repeated(start, instance):
    """Nobody knows whether a run was started: no op tries again, nor does a job that is resumed."""
    fme = start()
    fme.cut_next("reset_after", "*/jobs", method="POST")
    result = execute(instance)
    assert not resume(instance, result.run_id).success
    assert restarts(instance, result) == 0
    assert len(fme.books) == 1


@pytest.mark.parametrize(
    ("status", "again"),
    [
        (RunStatus(state=RunState.FAILED, cause="platform"), True),
        (RunStatus(state=RunState.FAILED, cause="interrupted"), True),
        (RunStatus(state=RunState.FAILED, cause="flow"), False),
        (RunStatus(state=RunState.FAILED, cause="unspecified"), False),
        (RunStatus(state=RunState.LOST), True),
        (RunStatus(state=RunState.CANCELLED, cause="by_other"), False),
        (RunStatus(state=RunState.RUNNING), False),
    ],
)
def test_who_is_to_blame(status, again):
    """Another run is for those that ended through no fault of their flow."""
    assert server_failed(status) is again


def waiting(instance):
    """What the log of the job's last run says of runs that wait."""
    runs = instance.get_runs(limit=1)
    return [
        each
        for run in runs
        for each in instance.all_logs(run.run_id)
        if "is waiting for user_input" in each.user_message
    ]


def answer_when_asked(instance, flows):
    """What the person does who reads the log."""
    until(lambda: waiting(instance))
    flows.pool.resume(flows.pool.jobs[0].id)


def test_a_run_that_waits_for_a_person_is_shown_and_waited_for(start, instance):
    """A line in the log says that somebody has to answer; the step goes on when somebody has."""
    flows = start("smart-flows", REPORT)
    flows.pool.script(REPORT, Behaviour(pauses=(Pause(1, Ask((Question("city", "City"),)), lasts=600),)))
    with ThreadPoolExecutor() as person:
        answering = person.submit(answer_when_asked, instance, flows)
        result = executed_on_smart_flows(instance)
        answering.result()
    assert result.success
    [line] = waiting(instance)
    assert line.level == 30  # a warning
    assert line.step_key == "follow[one]"


def test_a_process_that_was_killed_finds_its_run(start, instance):
    """The process dies when the run was started and Dagster does not know it yet; resumed, it starts no other."""
    fme = start()
    process, run = begin(instance, DEADLY="yes")
    assert process.wait(PATIENCE) == -signal.SIGKILL
    assert len(fme.books) == 1

    instance.report_run_failed(instance.get_run_by_id(run.run_id))  # as Dagster's monitoring of runs does
    resumed = resume(instance, run.run_id)
    assert resumed.success
    assert len(fme.books) == 1


def test_terminating_a_run_cancels_what_it_has_started(start, instance):
    """A person terminates the job's run: its process leaves the remote run alone, and the sensor cancels it."""
    fme = start()
    fme.pool.script(FLOW, Behaviour(duration=1e6))
    process, run = begin(instance)
    until(lambda: any("is running" in each.user_message for each in instance.all_logs(run.run_id)))
    instance.report_run_canceling(run)
    process.send_signal(signal.SIGINT)
    process.wait(PATIENCE)
    run = instance.get_run_by_id(run.run_id)
    assert run.status is DagsterRunStatus.CANCELED
    assert [each.job.state for each in fme.books] == [JobState.RUNNING]

    [event] = instance.all_logs(run.run_id, of_type=DagsterEventType.RUN_CANCELED)
    context = build_run_status_sensor_context("cancel_remote_runs", event.dagster_event, instance, run)
    cancel_remote_runs(context, server=server("token").process_config_and_initialize())
    assert [each.job.state for each in fme.books] == [JobState.CANCELLED]


def tick(instance, cursor=None):
    """What the sensor gives."""
    context = build_sensor_context(instance=instance, cursor=cursor)
    return remote_runs(context, server=server("token").process_config_and_initialize())


def test_one_sensor_follows_all_runs(start, instance):
    """Each tick takes one request; what ended since the last one comes as an event, once, whoever started it."""
    fme = start(pieces="a b")
    execute(instance)
    first = tick(instance)
    assert first.asset_events == []

    fme.pool.script(FLOW, Behaviour(outcome="failed"), times=1)
    execute(instance)
    asked = len(fme.requests)
    second = tick(instance, first.cursor)
    assert [each.path for each in fme.requests][asked:] == ["/fmeapiv4/jobs"]
    events = {each.metadata["state"].text: type(each) for each in second.asset_events}
    assert events == {"failed": AssetObservation, "succeeded": AssetMaterialization}
    assert {each.asset_key.to_user_string() for each in second.asset_events} == {"prod/Samples/austinDownload.fmw"}
    assert tick(instance, second.cursor).asset_events == []


def test_no_secret_is_kept_in_the_open(start, instance, home, capfd):
    """Nothing that Dagster keeps or shows has the credential: events, logs, configuration, outputs."""
    fme = start()
    fme.respond_next("*/jobs", 401, {"message": f"bad token {fme.token}"}, method="POST")
    assert not execute(instance).success
    assert execute(instance).success

    read = b"".join(each.read_bytes() for each in home.rglob("*") if each.is_file())
    assert FLOW.encode() in read
    assert fme.token.encode() not in read
    assert fme.token not in "".join(capfd.readouterr())
    assert fme.token not in repr(server("token").process_config_and_initialize())
