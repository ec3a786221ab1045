"""The roll of jobs: it shows what a look at every job would show, whatever happens to them."""

from datetime import timedelta

import httpx
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from flowrunner.simulator import Behaviour, ManualClock, Simulator, SmartFlowsQuirks
from flowrunner.simulator.engine import EnginePool
from flowrunner.simulator.roll import Group
from flowrunner.simulator.written import Written

DEEDS = st.lists(
    st.sampled_from(["submit", "submit", "advance", "cancel", "forget", "purge", "lose", "lose queued"]), max_size=25
)


def expected(pool, group):
    """The ids of a group, as all jobs tell them."""
    jobs = [job for job in reversed(pool.jobs) if group is Group.ALL or job.state.is_final is (group is not Group.LIVE)]
    if group is Group.LAST_ENDED:
        jobs.sort(key=lambda job: job.finished_at, reverse=True)
    return [job.id for job in jobs]


def do(pool, clock, deed, number):
    """Have something happen."""
    jobs = pool.jobs
    match deed:
        case "submit":
            pool.submit("f")
        case "advance":
            clock.advance(number)
        case "cancel" if jobs:
            pool.cancel(jobs[number % len(jobs)].id)
        case "forget" if jobs:
            pool.forget(jobs[number % len(jobs)].id)
        case "purge":
            pool.purge()
        case "lose":
            pool.lose()
        case "lose queued":
            pool.lose(only_queued=True)


@given(DEEDS, st.lists(st.integers(0, 9), min_size=25, max_size=25), st.integers(0, 5), st.integers(1, 5))
@example(["submit", "submit", "cancel", "cancel"], [0, 0, 1, 0], 0, 5)
def test_the_roll_shows_what_there_is(deeds, numbers, offset, limit):
    """Each group, page by page, in its order, however jobs come, end and are forgotten."""
    clock = ManualClock()
    pool = EnginePool(clock, engines=2)
    for number, duration in enumerate((5.0, 1.0, 3.0)):
        pool.script("f", Behaviour(duration=duration), times=number + 2)
    for deed, number in zip(deeds, numbers, strict=False):
        do(pool, clock, deed, number)
    for group in Group:
        jobs, total = pool.page(group, offset, limit)
        ids = expected(pool, group)
        assert ([job.id for job in jobs], total) == (ids[offset : offset + limit], len(ids))


def test_a_job_is_written_once():
    """Anew only when it has changed, or something else that it is written from."""
    pool, written, calls = EnginePool(ManualClock(), engines=0), Written(), []
    job = pool.submit("f")

    def write():
        calls.append(1)
        return len(calls)

    assert [written.of(job, ("a",), write), written.of(job, ("a",), write), written.of(job, ("b",), write)] == [1, 1, 2]
    pool.cancel(job.id)
    assert written.of(pool.job(job.id), ("b",), write) == 3


def test_next_change_of_a_job():
    """A job at work changes when its own work ends, one in the queue whenever another does, one that ended never."""
    clock = ManualClock()
    pool = EnginePool(clock, engines=2)
    for duration in (1.0, 5.0, 9.0):
        pool.script("f", Behaviour(duration=duration), times=1)
    first, second, queued = (pool.submit("f") for _ in range(3))
    moments = [pool.next_change(job) for job in (first, second, queued)]
    assert [moment - clock.now() for moment in moments] == [timedelta(seconds=number) for number in (1, 5, 1)]
    clock.advance(1)
    assert pool.next_change(pool.job(first.id)) is None


# Lists that are at hand are those that were sorted out


@pytest.fixture
def smart_flows(clock):
    """A server of Smart Flows with executions in every state."""
    with Simulator("smart-flows", clock=clock, engines=2) as simulator:
        flow = next(iter(simulator.world.flows.values()))
        for number, outcome in enumerate(("succeeded", "failed", "succeeded")):
            simulator.pool.script(flow.id, Behaviour(duration=3 - number, outcome=outcome), times=1)
        simulator.pool.script(flow.id, Behaviour(duration=99))
        for _ in range(6):
            simulator.pool.submit(flow.id)
            clock.advance(0.25)
        clock.advance(4)
        yield simulator


LIVE = ["Queued", "Running", "UserInput", "SelectFlow", "Waiting"]
FINAL = ["Success", "Warning", "Error", "Canceled", "Interrupted"]


@pytest.mark.parametrize("words", [LIVE, FINAL, ["Error"], LIVE + FINAL])
@pytest.mark.parametrize("sort", [[], ["createdAt,desc"], ["modifiedAt,desc"], ["createdAt,asc"]])
def test_a_filter_at_hand(smart_flows, words, sort):
    """A filter for all that go on, or all that have ended, gives what the same filter gives in other words."""
    query = [("size", "3"), *(("sort", each) for each in sort)]
    condition = {"condition": {"key": "status", "operator": "in", "values": words}}
    longer = {"condition": {"key": "id", "operator": "isNotNull"}}
    answers = [
        _filtered(smart_flows, [condition], query),
        _filtered(smart_flows, [condition, longer], query),
    ]
    assert answers[0] == answers[1] != []


def test_a_word_of_both_is_sorted_out(smart_flows):
    """Where a server writes a live and a final status alike, its filter means both."""
    smart_flows.quirks = SmartFlowsQuirks(words={"Running": "Success"})
    condition = {"condition": {"key": "status", "operator": "in", "values": FINAL}}
    assert len(_filtered(smart_flows, [condition], [("size", "9")])) == 5


def test_an_ignored_filter(smart_flows):
    """Where a server does not heed it, everything is there."""
    smart_flows.quirks = SmartFlowsQuirks(filters="ignored")
    condition = {"condition": {"key": "status", "operator": "in", "values": LIVE}}
    assert len(_filtered(smart_flows, [condition], [("size", "9")])) == 6


def _filtered(simulator, nodes, query):
    response = httpx.post(
        f"{simulator.base_url}/api/v1/flows/executions/filter",
        params=query,
        json={"group": {"type": "and", "nodes": nodes}},
        headers={"X-API-Key": simulator.token},
        verify=False,  # there is no TLS
    )
    return response.json()
