"""The virtual engines."""

from __future__ import annotations

import math
import threading
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from flowrunner.simulator import Behaviour, EndedBy, EnginePool, JobState, Limits, ManualClock, Pause, Stint

QUEUED, RUNNING, BLOCKED = JobState.QUEUED, JobState.RUNNING, JobState.BLOCKED
SUCCEEDED, FAILED, CANCELLED = JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED


@pytest.fixture
def pool(clock):
    """A pool of one engine."""
    return EnginePool(clock, engines=1)


def at(clock, seconds):
    """Return the moment `seconds` from now."""
    return clock.now() + timedelta(seconds=seconds)


def states(pool):
    """Return the states of all jobs in the order of submission."""
    return [job.state for job in pool.jobs]


def test_a_free_engine_takes_a_job_at_once(pool, clock):
    """A job runs from its submission if an engine is free, and ends after its duration."""
    job = pool.submit("flow", {"a": 1})
    assert (RUNNING, 1, clock.now()) == (job.state, job.engine, job.started_at)
    end = at(clock, 10)

    clock.advance(9.999)
    assert RUNNING is pool.job(job.id).state
    clock.advance(100)

    ended = pool.job(job.id)
    assert (SUCCEEDED, end, EndedBy.WORK) == (ended.state, ended.finished_at, ended.ended_by)
    assert ended.parameters == {"a": 1}


def test_jobs_wait_in_order_for_an_engine(pool, clock):
    """No more jobs run than there are engines; the others wait their turn, and start when the one before ended."""
    first_end, second_end = at(clock, 10), at(clock, 20)
    for _ in range(3):
        pool.submit("flow")
    assert states(pool) == [RUNNING, QUEUED, QUEUED]

    clock.advance(25)

    assert states(pool) == [SUCCEEDED, SUCCEEDED, RUNNING]
    assert [first_end, second_end] == [job.started_at for job in pool.jobs[1:]]


def test_no_engines_leave_everything_queued(clock):
    """A pool without engines accepts jobs and never starts them."""
    pool = EnginePool(clock, engines=0)
    pool.submit("flow")

    clock.advance(1e6)

    assert states(pool) == [QUEUED]
    assert pool.next_change() is None


def test_engines_cannot_be_fewer_than_none(clock):
    """A negative number of engines is an error at once."""
    with pytest.raises(ValueError, match="0 or more"):
        EnginePool(clock, engines=-1)


@pytest.mark.parametrize("outcome", ["succeeded", "failed", "cancelled"])
def test_the_outcome_is_scripted(pool, clock, outcome):
    """Work ends as its script says."""
    pool.script("flow", Behaviour(duration=1, outcome=outcome, message="m"))
    pool.submit("flow")

    clock.advance(1)

    assert (outcome, EndedBy.WORK, "m") == (pool.jobs[0].state, pool.jobs[0].ended_by, pool.jobs[0].behaviour.message)


def test_an_outcome_is_final():
    """Work cannot end in a state that is no end."""
    with pytest.raises(ValueError, match=r"^no outcome 'running': there are: succeeded, failed, cancelled$"):
        Behaviour(outcome="running")
    with pytest.raises(ValueError, match=r"^no outcome 'fail': did you mean 'failed'\? There are: succeeded, failed, "):
        Behaviour(outcome="fail")


def test_scripts_count_down_to_what_stands(pool):
    """Scripts for n runs are used up in order; then what stands for the flow applies. Other flows see none of it."""
    pool.script("flow", Behaviour(duration=3))
    pool.script("flow", Behaviour(duration=1), times=2)
    pool.script("flow", Behaviour(duration=2), times=1)

    durations = [pool.submit("flow").behaviour.duration for _ in range(5)]

    assert durations == [1, 1, 2, 3, 3]
    assert Behaviour() == pool.submit("other").behaviour


def test_work_may_never_end(pool, clock):
    """An infinite duration is a run that hangs."""
    pool.script("flow", Behaviour(duration=math.inf))
    pool.submit("flow")

    clock.advance(1e8)

    assert states(pool) == [RUNNING]


@pytest.mark.parametrize(("delay", "started"), [(5, True), (math.inf, False)])
def test_a_job_may_start_late(pool, clock, delay, started):
    """A start delay keeps a job in the queue although an engine is free, and lets a later one pass."""
    pool.script("late", Behaviour(start_delay=delay))
    pool.submit("late")
    pool.submit("flow")
    assert states(pool) == [QUEUED, RUNNING]

    clock.advance(10)

    assert ([RUNNING, SUCCEEDED] if started else [QUEUED, SUCCEEDED]) == states(pool)


def test_a_crashed_engine_returns_its_job_to_the_queue(pool, clock):
    """A crash puts the job back: a second attempt, after the restart delay, which then works on to the end."""
    pool.script("flow", Behaviour(duration=10, requeue_after=4, restart_delay=2))
    crash, restart, end = at(clock, 4), at(clock, 6), at(clock, 16)
    job_id = pool.submit("flow").id

    clock.advance(5)
    job = pool.job(job_id)
    assert (QUEUED, 2, crash, None, None) == (job.state, job.attempt, job.queued_at, job.started_at, job.engine)
    clock.advance(100)

    job = pool.job(job_id)
    assert (SUCCEEDED, 2, restart, end) == (job.state, job.attempt, job.started_at, job.finished_at)


def test_a_job_may_crash_more_than_once(pool, clock):
    """Each of the scripted requeues is one more attempt, and one may be the last although it never restarts."""
    pool.script("flow", Behaviour(requeue_after=1, requeues=2, restart_delay=0), times=1)
    pool.script("flow", Behaviour(requeue_after=1, restart_delay=math.inf), times=1)
    pool.submit("flow")
    pool.submit("flow")

    clock.advance(1000)

    assert [(job.state, job.attempt) for job in pool.jobs] == [(SUCCEEDED, 3), (QUEUED, 2)]


@pytest.mark.parametrize(
    ("limits", "by", "after"),
    [
        (Limits(queue=5), EndedBy.QUEUE_LIMIT, 5),
        (Limits(run=3), EndedBy.RUN_LIMIT, 13),
        (Limits(life=7), EndedBy.LIFE_LIMIT, 7),
        (Limits(queue=11, life=12), EndedBy.LIFE_LIMIT, 12),
    ],
)
def test_limits_cancel(pool, clock, limits, by, after):
    """The server cancels a job that waits, runs or lives for too long, at the moment it does."""
    end = at(clock, after)
    pool.submit("before")
    job_id = pool.submit("flow", limits=limits).id

    clock.advance(100)

    job = pool.job(job_id)
    assert (CANCELLED, by, end) == (job.state, job.ended_by, job.finished_at)


def test_cancel_is_immediate(pool):
    """A queued and a running job are cancelled at once, and the engine is free for the next."""
    first, second, _ = (pool.submit("flow").id for _ in range(3))

    assert pool.cancel(second)
    assert pool.cancel(first)

    assert states(pool) == [CANCELLED, CANCELLED, RUNNING]
    assert EndedBy.CALLER is pool.job(first).ended_by


def test_an_ended_job_is_not_cancelled(pool, clock):
    """A cancellation that comes too late says so and changes nothing."""
    job_id = pool.submit("flow").id
    clock.advance(10)
    before = pool.job(job_id)

    assert not pool.cancel(job_id)
    assert before == pool.job(job_id)


@pytest.mark.parametrize(("delay", "state"), [(2, CANCELLED), (20, SUCCEEDED), (math.inf, SUCCEEDED)])
def test_a_cancellation_may_take_time(pool, clock, delay, state):
    """An accepted cancellation takes effect after its delay, unless the work ends before; asking again is no change."""
    pool.script("flow", Behaviour(duration=10, cancel_delay=delay))
    job_id = pool.submit("flow").id

    assert pool.cancel(job_id)
    clock.advance(1)
    assert pool.cancel(job_id)
    assert RUNNING is pool.job(job_id).state
    clock.advance(100)

    assert state is pool.job(job_id).state


def test_work_stops_at_a_pause_until_it_is_resumed(pool, clock):
    """A job blocks after the scripted work, and goes on where it was: time spent blocked is no work."""
    began, blocked, resumed, end = at(clock, 0), at(clock, 4), at(clock, 50), at(clock, 56)
    pool.script("flow", Behaviour(duration=10, pauses=(Pause(4, "a form"),)))
    job_id = pool.submit("flow").id

    clock.advance(50)
    job = pool.job(job_id)
    assert (BLOCKED, "a form", (Stint(began, blocked),)) == (job.state, job.pause.reason, job.stints)
    assert timedelta(seconds=4) == job.worked(clock.now())
    assert pool.resume(job_id, "yes")
    assert (pool.job(job_id).state, pool.job(job_id).pause) == (RUNNING, None)
    clock.advance(50)

    job = pool.job(job_id)
    assert (SUCCEEDED, end, began, ("yes",)) == (job.state, job.finished_at, job.started_at, job.answers)
    assert (Stint(began, blocked), Stint(resumed, end)) == job.stints
    assert timedelta(seconds=10) == job.worked(clock.now())


def test_a_blocked_job_needs_no_engine(pool, clock):
    """The engine of a blocked job takes the next one; a job resumed waits for an engine like any other."""
    pool.script("asks", Behaviour(duration=4, pauses=(Pause(1),)))
    asking = pool.submit("asks").id
    pool.submit("flow")
    assert states(pool) == [RUNNING, QUEUED]

    clock.advance(2)
    assert states(pool) == [BLOCKED, RUNNING]
    pool.resume(asking)
    assert states(pool) == [QUEUED, RUNNING]
    clock.advance(9)
    assert states(pool) == [RUNNING, SUCCEEDED]
    clock.advance(3)

    assert states(pool) == [SUCCEEDED, SUCCEEDED]


def test_only_a_blocked_job_is_resumed(pool, clock):
    """Resuming what runs or has ended says so and changes nothing."""
    job_id = pool.submit("flow").id
    for _ in range(2):
        before = pool.job(job_id)
        assert not pool.resume(job_id)
        assert before == pool.job(job_id)
        clock.advance(10)


@pytest.mark.parametrize("work", [0, 3])
def test_a_pause_at_the_end_counts(pool, clock, work):
    """A pause at the very moment of the end comes first; one after the end never comes."""
    pool.script("flow", Behaviour(duration=work, pauses=(Pause(work), Pause(work), Pause(work + 1))))
    job_id = pool.submit("flow").id
    clock.advance(work)

    assert BLOCKED is pool.job(job_id).state
    pool.resume(job_id)
    assert BLOCKED is pool.job(job_id).state
    pool.resume(job_id)

    assert SUCCEEDED is pool.job(job_id).state


def test_a_pause_may_end_by_itself(pool, clock):
    """A pause that lasts so long ends without an answer."""
    pool.script("flow", Behaviour(duration=4, pauses=(Pause(1, lasts=20),)))
    end = at(clock, 24)
    job_id = pool.submit("flow").id
    clock.advance(1)
    assert at(clock, 20) == pool.next_change()

    clock.advance(100)

    job = pool.job(job_id)
    assert (SUCCEEDED, end, (None,)) == (job.state, job.finished_at, job.answers)


def test_a_blocked_job_is_cancelled_at_once(pool, clock):
    """Cancelling a blocked job takes effect at once, whatever its work would need; its engine stays free."""
    pool.script("flow", Behaviour(cancel_delay=5, pauses=(Pause(1),)), times=1)
    job_id = pool.submit("flow").id
    clock.advance(3)

    assert pool.cancel(job_id)

    job = pool.job(job_id)
    assert (CANCELLED, clock.now(), EndedBy.CALLER) == (job.state, job.finished_at, job.ended_by)
    assert not pool.resume(job_id)
    assert RUNNING is pool.submit("other").state


def test_limits_and_pauses(pool, clock):
    """Blocked time counts for the limit of a life and not for that of work."""
    end = at(clock, 30)
    pool.script("flow", Behaviour(duration=5, pauses=(Pause(1),)))
    patient = pool.submit("flow", limits=Limits(run=5.5, queue=1)).id
    clock.advance(1)
    brief = pool.submit("flow", limits=Limits(life=29)).id
    clock.advance(100)

    assert (BLOCKED, CANCELLED, end) == (*states(pool), pool.job(brief).finished_at)
    pool.resume(patient)
    clock.advance(4)
    assert SUCCEEDED is pool.job(patient).state


def test_a_crash_begins_anew(pool, clock):
    """An attempt that crashed is lost with its answers: the next one asks again."""
    pool.script("flow", Behaviour(duration=5, requeue_after=3, restart_delay=0, pauses=(Pause(1),)))
    job_id = pool.submit("flow").id
    clock.advance(1)
    pool.resume(job_id, "first")
    clock.advance(3)

    job = pool.job(job_id)
    assert (job.state, job.attempt, job.answers) == (BLOCKED, 2, ())


def test_a_pause_may_turn_a_job_into_another(pool, clock):
    """A job resumed as another flow does what is scripted for that, and counts what it did before."""
    pool.script("choice", Behaviour(pauses=(Pause(2),)))
    pool.script("chosen", Behaviour(duration=6, outcome="failed", pauses=(Pause(1, "late"), Pause(5, "later"))))
    job_id = pool.submit("choice").id
    clock.advance(2)

    pool.resume(job_id, "this", flow="chosen")
    assert pool.job(job_id).pause.reason == "late"
    pool.resume(job_id)
    clock.advance(3)
    assert pool.job(job_id).pause.reason == "later"
    pool.resume(job_id)
    clock.advance(1)

    assert (pool.job(job_id).flow, pool.job(job_id).state) == ("chosen", FAILED)
    assert [job.flow for job in pool.submissions()] == ["choice"]


def test_a_job_turned_into_a_shorter_one_is_done(pool, clock):
    """A job that has worked for longer than what it becomes takes ends when it is resumed, not before."""
    pool.script("choice", Behaviour(pauses=(Pause(8),)))
    pool.script("short", Behaviour(duration=3))
    job_id = pool.submit("choice").id
    clock.advance(20)

    pool.resume(job_id, flow="short")

    assert (SUCCEEDED, clock.now()) == (pool.job(job_id).state, pool.job(job_id).finished_at)


def test_pauses_are_in_order():
    """Pauses that are not in the order of their times are an error."""
    with pytest.raises(ValueError, match="in the order"):
        Behaviour(pauses=(Pause(2), Pause(1)))


def test_a_submission_may_adapt_what_is_scripted(pool):
    """A vendor's module may make of the script what a run does; the script is used up all the same."""
    pool.script("flow", Behaviour(duration=3), times=1)

    durations = [pool.submit("flow", adapt=lambda _: Behaviour(duration=7)).behaviour.duration for _ in range(2)]

    assert durations == [7, 7]
    assert Behaviour() == pool.submit("flow").behaviour


def test_a_forgotten_job_is_gone_but_in_the_books(pool):
    """A server may forget a job; the books still tell that it was submitted."""
    job_id = pool.submit("flow").id
    pool.submit("other")

    pool.forget(job_id)

    for ask in (pool.job, pool.cancel, pool.resume, pool.forget):
        with pytest.raises(KeyError):
            ask(job_id)
    assert [job.flow for job in pool.jobs] == ["other"]
    assert [job_id] == [job.id for job in pool.submissions("flow")]
    assert len(pool.submissions()) == 2


def test_ids_start_where_told(clock):
    """A restored server may use ids again: the first one can be chosen."""
    pool = EnginePool(clock, first_id=41)

    assert [pool.submit("flow").id, pool.submit("flow").id] == [41, 42]


def test_threads_share_a_pool(pool):
    """Submissions from many threads at once are all booked, under different ids."""
    threads = [threading.Thread(target=lambda: [pool.submit("flow") for _ in range(25)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len({job.id for job in pool.submissions()}) == 100


pauses = st.builds(Pause, st.sampled_from([0, 1, 2]), st.none(), st.sampled_from([0, 2, math.inf]))
behaviours = st.builds(
    Behaviour,
    duration=st.sampled_from([0, 1, 2.5, 7, math.inf]),
    outcome=st.sampled_from(["succeeded", "failed", "cancelled"]),
    start_delay=st.sampled_from([0, 1, 3]),
    requeue_after=st.sampled_from([None, 0, 1, 3]),
    requeues=st.integers(0, 2),
    restart_delay=st.sampled_from([0, 1, 4]),
    cancel_delay=st.sampled_from([0, 1, math.inf]),
    pauses=st.lists(pauses, max_size=2).map(lambda some: tuple(sorted(some, key=lambda pause: pause.after))),
)
seconds = st.sampled_from([0, 0.5, 1, 2, 5, 30])
limit = st.sampled_from([None, 1, 3, 8])


class AnySequence(RuleBasedStateMachine):
    """Any sequence of submissions, cancellations and time, beside the same one looked at only in the end."""

    @initialize(engines=st.integers(0, 3))
    def begin(self, engines):
        """Make the pool, and a twin that is asked nothing in between."""
        self.engines = engines
        self.clock, self.lazy_clock = ManualClock(), ManualClock()
        self.pool, self.lazy = EnginePool(self.clock, engines), EnginePool(self.lazy_clock, engines)
        self.ended = {}

    @rule(behaviour=behaviours, queue=limit, run=limit, life=limit)
    def submit(self, behaviour, queue, run, life):
        """Submit to both."""
        for pool in (self.pool, self.lazy):
            pool.script("flow", behaviour, times=1)
            pool.submit("flow", limits=Limits(queue, run, life))

    @rule(duration=seconds)
    def advance(self, duration):
        """Let time pass for both; the first is looked at at every tick of half a second."""
        self.lazy_clock.advance(duration)
        for _ in range(int(duration * 2)):
            self.clock.advance(0.5)
            self.pool.jobs  # noqa: B018 - looking settles

    @rule(data=st.data())
    def cancel(self, data):
        """Cancel the same job in both."""
        ids = [job.id for job in self.pool.jobs]
        if ids:
            job_id = data.draw(st.sampled_from(ids))
            assert self.pool.cancel(job_id) == self.lazy.cancel(job_id)

    @rule(data=st.data(), flow=st.sampled_from([None, "flow", "other"]))
    def resume(self, data, flow):
        """Resume the same job in both, as what it is or as another."""
        ids = [job.id for job in self.pool.jobs if job.state is BLOCKED]
        if ids:
            job_id = data.draw(st.sampled_from(ids))
            assert self.pool.resume(job_id, flow=flow)
            assert self.lazy.resume(job_id, flow=flow)

    @invariant()
    def engines_have_one_job_each(self):
        """Never do more jobs run than there are engines, and no engine has two."""
        busy = [job.engine for job in self.pool.jobs if job.state is RUNNING]
        assert len(busy) == len(set(busy)) <= self.engines

    @invariant()
    def ended_jobs_stay(self):
        """A job that ended never changes."""
        now = {job.id: job for job in self.pool.jobs}
        assert self.ended == {job_id: now[job_id] for job_id in self.ended}
        self.ended = {job_id: job for job_id, job in now.items() if job.state.is_final}

    @invariant()
    def books_are_complete(self):
        """Every job submitted is in the books and among the jobs, once."""
        assert [job.id for job in self.pool.submissions()] == [job.id for job in self.pool.jobs]

    @invariant()
    def times_are_ordered(self):
        """A job is submitted, queued, started and finished in this order and not in the future."""
        for job in self.pool.jobs:
            worked = [moment for stint in job.stints for moment in (stint.start, stint.end)]
            before, after = worked[: 2 * len(job.answers)], worked[2 * len(job.answers) :]
            known = [job.submitted_at, *before, job.queued_at, *after, job.stint_at, job.finished_at]
            times = [moment for moment in known if moment is not None]
            assert times == sorted(times)
            assert times[-1] <= self.clock.now()
            assert job.state.is_final == (job.finished_at is not None) == (job.ended_by is not None)

    @invariant()
    def work_is_what_engines_did(self):
        """An engine works on what runs and on nothing else, and no longer than the work is long."""
        for job in self.pool.jobs:
            assert (job.state is RUNNING) == (job.stint_at is not None)
            assert job.worked(self.clock.now()) <= timedelta(seconds=min(job.behaviour.duration, 1e6))

    @invariant()
    def blocked_jobs_are_at_their_pause(self):
        """A job is blocked when its work came to the first pause that has no answer, and not before or after."""
        for job in self.pool.jobs:
            assert (job.state is BLOCKED) == (job.pause is not None)
            if job.pause is not None:
                assert timedelta(seconds=job.pause.after) == job.worked(self.clock.now())

    @invariant()
    def nothing_due_is_pending(self):
        """What changes next is in the future."""
        change = self.pool.next_change()
        assert change is None or change > self.clock.now()

    def teardown(self):
        """How often one looks changes nothing: the state is a function of time."""
        if hasattr(self, "pool"):
            assert self.pool.jobs == self.lazy.jobs


TestAnySequence = AnySequence.TestCase
TestAnySequence.settings = settings(max_examples=40, stateful_step_count=20, deadline=None)


@given(st.lists(st.floats(0, 50), min_size=1, max_size=20), st.integers(1, 4))
@settings(max_examples=50, deadline=None)
def test_the_work_is_neither_lost_nor_doubled(durations, engines):
    """N engines spend exactly the scripted time on jobs that nobody disturbs."""
    clock = ManualClock(datetime(2025, 1, 1, tzinfo=UTC))
    pool = EnginePool(clock, engines)
    for duration in durations:
        pool.script("flow", Behaviour(duration=duration), times=1)
        pool.submit("flow")

    clock.advance(1 + sum(durations))

    assert {SUCCEEDED} == set(states(pool))
    assert [timedelta(seconds=each) for each in durations] == [job.finished_at - job.started_at for job in pool.jobs]


# What a server loses


def test_a_purge_hides_what_has_ended(pool, clock):
    """Ended jobs are gone, live ones are not; the books know all, and how each stands."""
    pool.submit("flow")
    clock.advance(10)
    pool.submit("flow")

    pool.purge()

    assert [job.id for job in pool.jobs] == [2]
    assert [pool.knows(number) for number in (1, 2, 3)] == [False, True, False]
    assert [pool.forgotten_at(number) for number in (1, 2)] == [clock.now(), None]
    assert [job.state for job in pool.history] == [SUCCEEDED, RUNNING]


def test_a_lost_queue(pool, clock):
    """Queued jobs are gone and never run; the one that runs goes on; the engine takes what comes after."""
    for _ in range(2):
        pool.submit("flow")

    pool.lose(only_queued=True)
    pool.submit("flow")
    clock.advance(10)

    assert [(job.state, job.ended_by) for job in pool.history] == [
        (SUCCEEDED, EndedBy.WORK),
        (CANCELLED, EndedBy.RESTART),
        (RUNNING, None),
    ]
    assert [job.id for job in pool.jobs] == [1, 3]


def test_all_is_lost(pool, clock):
    """Every job is gone, and its engine free; one that had ended stays what it was in the books."""
    pool.submit("flow")
    clock.advance(10)
    pool.submit("flow")
    lost = clock.now()

    pool.lose()
    again = pool.submit("other")

    assert [(job.state, job.finished_at) for job in pool.history] == [
        (SUCCEEDED, lost),
        (CANCELLED, lost),
        (RUNNING, None),
    ]
    assert pool.jobs == (again,)


def test_a_forgotten_job_goes_on_in_the_books(pool, clock):
    """What the server forgot is worked on nevertheless."""
    pool.forget(pool.submit("flow").id)
    clock.advance(10)

    assert (pool.jobs, pool.history[0].state) == ((), SUCCEEDED)
