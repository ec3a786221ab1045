"""The recipe keeps what its how-to says, on a real Prefect server and simulated workflow servers."""

import asyncio
import os
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path

import pytest
from prefect import flow, unmapped
from prefect.settings import PREFECT_SERVER_DATABASE_CONNECTION_URL

from conftest import PATIENCE, until
from flowrunner import RunFailed, RunRef, RunResult, RunState, RunStatus, SubmissionUncertain
from flowrunner.simulator import Ask, Behaviour, ManualClock, Pause, Question
from flowrunner.testing import assert_submitted
from nightly import nightly
from remote_runs import follow, run, server_failed, submit

FLOW = "Samples/austinDownload.fmw"
REPORT = "5b0c1f4e-92d3-4d0a-8a61-7c1e5f2ab002"


@flow
async def one(server: str, remote_flow: str) -> dict:
    """One run."""
    return await run(server, remote_flow)


def outcome(server: str, remote_flow: str) -> dict:
    """Of a flow run that has one remote run done."""
    return asyncio.run(one(server, remote_flow))


@flow
def many(pieces: list[str]) -> list[dict]:
    """A run for each piece, each in tasks of its own."""
    refs = submit.map(unmapped("many"), unmapped(FLOW), work=pieces)
    return follow.map(unmapped("many"), refs).result()


def test_fifty_mapped_tasks_share_one_follower(start, caplog):
    """While fifty tasks follow fifty runs, the server is asked for its list and for no run by itself."""
    fme = start("fme-flow-v4", "many", clock=ManualClock())
    with ThreadPoolExecutor() as pool:
        ended = pool.submit(many, [str(number) for number in range(50)])
        try:
            until(lambda: caplog.text.count(" is running") == 50)  # all tasks follow
            until(lambda: [each.path for each in fme.requests][-9:] == ["/fmeapiv4/jobs"] * 9)
        finally:
            fme.clock.advance(3600)  # all runs end
        results = ended.result(PATIENCE)
    assert [RunResult.from_dict(result).status.state for result in results] == ["succeeded"] * 50
    assert len(fme.books) == 50


def test_the_example_of_the_how_to_runs(start):
    """`nightly.py` needs a block called prod, and does what it says."""
    fme = start("fme-flow", "prod")
    results = asyncio.run(nightly(["airports", "cenart"]))
    assert [result["status"]["state"] for result in results] == ["succeeded"] * 2
    assert_submitted(fme, FLOW, {"THEMES": ["airports"]})
    assert_submitted(fme, FLOW, {"THEMES": ["cenart"]})


def test_a_retry_of_the_flow_submits_nothing_again(start, caplog):
    """What a flow run has submitted stays submitted when the flow is run again: Prefect has kept the references."""
    fme = start("fme-flow-v4", "retried")
    calls = count(1)

    @flow(retries=1)
    async def fails_once() -> None:
        refs = [await submit("retried", FLOW, work=work) for work in "ab"]
        if next(calls) == 1:
            raise ConnectionError("not the remote runs' fault")
        assert [(await follow("retried", ref))["ref"] for ref in refs] == refs

    asyncio.run(fails_once())
    assert next(calls) == 3
    assert caplog.text.count("Finished in state Cached") == 2
    assert len(fme.books) == 2


def test_a_retry_of_following_attaches_again(start, caplog):
    """Contact is lost for longer than a task waits for it: the next try takes the same run up."""
    fme = start("fme-flow-v4", "away", contact_budget=0.2)
    fme.pool.script(FLOW, Behaviour(duration=40))
    fme.respond_next("*/jobs/*", 503, times=3)

    @flow
    async def patient() -> dict:
        return await follow.with_options(retry_delay_seconds=0)("away", await submit("away", FLOW))

    assert asyncio.run(patient())["status"]["state"] == "succeeded"
    assert "ContactLost" in caplog.text
    assert len(fme.books) == 1


def waiting(caplog):
    """What the log says of runs that wait."""
    return [each for each in caplog.records if "is waiting for user_input" in each.getMessage()]


def answer_when_asked(caplog, flows):
    """What the person does who reads the log."""
    until(lambda: waiting(caplog))
    flows.pool.resume(flows.pool.jobs[0].id)


def test_a_run_that_waits_for_a_person_is_shown_and_waited_for(start, caplog):
    """A log line says that somebody has to answer; the task goes on when somebody has."""
    flows = start("smart-flows", "asks")
    flows.pool.script(REPORT, Behaviour(pauses=(Pause(1, Ask((Question("city", "City"),)), lasts=600),)))
    with ThreadPoolExecutor() as person:
        answering = person.submit(answer_when_asked, caplog, flows)
        assert outcome("asks", REPORT)["status"]["state"] == "succeeded"
        answering.result()
    [line] = waiting(caplog)
    assert line.levelname == "WARNING"
    assert REPORT in line.getMessage()


def test_a_flow_that_failed_is_not_run_again(start):
    """The work itself failed: neither a task nor the flow tries again."""
    fme = start("fme-flow-v3", "broken")
    fme.pool.script(FLOW, Behaviour(outcome="failed"))
    with pytest.raises(RunFailed):
        outcome("broken", FLOW)
    assert len(fme.books) == 1


def test_a_run_that_the_server_failed_is_run_again(start):
    """The server was to blame: another run is started, and is the one that counts."""
    flows = start("smart-flows", "stopped")
    flows.pool.script(REPORT, Behaviour(outcome="cancelled"), times=1)  # which this vendor calls Interrupted
    result = outcome("stopped", REPORT)
    assert [each.id for each in flows.books][1] == RunRef.parse(result["ref"]).id
    assert len(flows.books) == 2


def test_a_submission_whose_answer_got_lost_is_not_repeated(start):
    """Nobody knows whether a run was started: no task tries again, nor does the flow's retry."""
    fme = start("fme-flow-v4", "cut")
    fme.cut_next("reset_after", "*/jobs", method="POST")
    with pytest.raises(SubmissionUncertain):
        asyncio.run(one.with_options(retries=1)("cut", FLOW))
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


def test_no_secret_is_kept_in_the_open(start, caplog):
    """Logs, parameters, states, results and events of Prefect have no credential; its blocks have it encrypted."""
    fme = start("fme-flow-v4", "discreet")
    fme.respond_next("*/jobs", 401, {"message": f"bad token {fme.token}"}, method="POST")
    with pytest.raises(Exception, match="credential"):
        outcome("discreet", FLOW)
    outcome("discreet", FLOW)

    database = Path(PREFECT_SERVER_DATABASE_CONNECTION_URL.value().partition("///")[2])
    kept = [*database.parent.glob(f"{database.name}*"), *Path(os.environ["PREFECT_HOME"]).rglob("*")]
    read = b"".join(each.read_bytes() for each in kept if each.is_file())
    assert FLOW.encode() in read
    assert fme.token.encode() not in read
    assert fme.token not in caplog.text
