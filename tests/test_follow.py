"""The scheduler: who is told what, what is asked next, and when. Nothing is asked, and no time passes."""

import math
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from flowrunner import follow
from flowrunner.backend import Backend, Capability, Settings, Sighting
from flowrunner.enums import RunState
from flowrunner.errors import RateLimited, TransportError
from flowrunner.follow import ALONE, FEW, GRACE, Crowd, Deadline, Look, Round, Schedule, Wait
from flowrunner.models import RunRef, RunStatus
from flowrunner.operations.records import RunRecord
from flowrunner.states import Observation, Track

NOW = datetime(2025, 1, 1, tzinfo=UTC)
BULK, HOLD = Capability.BULK, Capability.LONG_POLL


class Vendor(Backend):
    """A vendor of which only the capabilities matter."""

    name = family = "vendor"
    is_prepared = True

    def __init__(self, *capabilities, **values):
        super().__init__(Settings(**{"poll_min": 1.0, "poll_max": 30.0, "max_connections": 100, **values}))
        self.capabilities = frozenset(capabilities)


def record(number, state=RunState.RUNNING, born=0.0, *, seen=True):
    """What is known of a run."""
    track = Track(status=RunStatus(state=state, vendor_status=state.value), seen=seen)
    return RunRecord(RunRef("c", "vendor", "f", str(number)), track, born=born)


def is_final(status):
    """What all wait for here."""
    return status.state.is_final


class Case:
    """A schedule, and who waits in it."""

    def __init__(self, *capabilities, chance=0.0, **values):
        self.schedule = Schedule(Vendor(*capabilities, **values), lambda: chance)
        self.crowd = Crowd()

    def wait(self, record, now=0.0, length=None, *, every_change=False):
        """Somebody waits for a run."""
        crowd = Crowd(every_change=True) if every_change else self.crowd
        wait = Wait(record, is_final, Deadline(length, now), crowd)
        crowd.add([wait])
        self.schedule.join([wait], now)
        return wait

    def many(self, count, now=0.0, length=None, **more):
        """Somebody waits for so many."""
        return [self.wait(record(number, **more), now, length) for number in range(count)]

    def jobs(self, now, **more):
        """All there is to do now."""
        return list(iter(lambda: self.schedule.next_job(now, **more), None))

    def looked(self, now, **more):
        """All that is to be looked at is looked at; which."""
        jobs = self.jobs(now, **more)
        for job in jobs:
            self.schedule.looked(job, now, shown=True)
        return [job.followed.record.ref.id for job in jobs]

    def round(self, now, shown, word="running"):
        """A round that shows these runs."""
        (this,) = [
            job for job in self.jobs(now) if isinstance(job, Round) or self.schedule.looked(job, now, shown=True)
        ]
        this.pages = 1
        sightings = [Sighting(str(number), word, read=Observation) for number in shown]
        news = self.schedule.sift(sightings, now, NOW)
        self.schedule.rounded(this, now)
        return news


def ended(wait):
    """The run has ended, and everybody hears of it."""
    run, followed = wait.record, wait.followed
    run.track = Track(status=RunStatus(state=RunState.SUCCEEDED), seen=True)
    return followed


# Looking at single runs


def test_a_run_is_looked_at_at_once_and_then_as_it_ages():
    """The first look is due when somebody waits; the next after a tenth of the run's age."""
    case = Case()
    case.wait(record(1, born=-50.0))
    assert case.looked(0.0) == ["1"]
    assert case.schedule.rest(0.0) == pytest.approx(5.0)
    assert case.looked(4.9) == []
    assert case.looked(5.0) == ["1"]


def test_chance_shortens_the_pause():
    """By up to a tenth, so that what began together does not stay so; never below `poll_min`."""
    case = Case(chance=1.0)
    case.wait(record(1, born=-100.0))
    case.looked(0.0)
    assert case.schedule.rest(0.0) == pytest.approx(9.0)
    young = Case(chance=1.0)
    young.wait(record(1))
    young.looked(0.0)
    assert young.schedule.rest(0.0) == 1.0


def test_a_run_that_was_started_just_now_among_many():
    """Who starts many is patient: it is looked at after `poll_min`, by then with the others."""
    case = Case(BULK)
    case.crowd.is_patient = True
    case.many(FEW, born=0.0, now=0.2)
    assert case.jobs(0.9) == []
    case.wait(record(99, born=0.9), now=0.9)
    (this,) = case.jobs(1.0)
    assert len(this.expected) == FEW + 1


def test_two_who_wait_for_a_run_cost_one_look():
    """Whoever comes second is told by the looks that are made anyway."""
    case = Case()
    run = record(1)
    first, second = case.wait(run), case.wait(run)
    assert len(case.jobs(0.0)) == 1
    followed = ended(first)
    case.schedule.settle(followed)
    assert list(case.crowd.ready) == [second, first]
    assert (len(case.schedule), run.followed) == (0, None)


def test_all_who_wait_for_a_run_are_told_at_once():
    """However many they are, of its end as of what ends the wait for it."""
    case = Case(contact_budget=1.0)
    run = record(1)
    waits = [case.wait(run) for _ in range(6)]
    case.schedule.settle(ended(waits[0]))
    assert len(case.crowd.ready) == 6
    other = record(2)
    waits = [case.wait(other) for _ in range(6)]
    case.schedule.leave([waits[2], waits[0], waits[5]])
    failed(case, 0.0)
    assert len(failed(case, 1.0)) == 3


def test_one_of_two_gives_up():
    """The other is told all the same."""
    case = Case()
    run = record(1)
    first, second = case.wait(run), case.wait(run)
    case.schedule.leave([first])
    case.schedule.leave([first])
    followed = ended(second)
    case.schedule.settle(followed)
    assert list(case.crowd.ready) == [second]
    assert first.followed is None


def test_nobody_waits_and_nothing_is_done():
    """A run that nobody waits for any more is not looked at."""
    case = Case()
    wait = case.wait(record(1))
    case.schedule.leave([wait])
    assert case.jobs(0.0) == []
    assert case.schedule.rest(0.0) == math.inf


def test_a_look_that_is_for_nobody_is_given_up():
    """Whoever makes it is told, so that a request which the vendor holds is not held for nobody."""
    case = Case()
    given_up = []
    case.schedule.abandoned = given_up.append
    wait = case.wait(record(1))
    (look,) = case.jobs(0.0)
    case.schedule.leave([wait])
    assert given_up == [look.followed]
    case.schedule.done(look, 0.0)
    assert case.jobs(100.0) == []


def test_a_connection_stays_free():
    """So many looks at once as there are connections, less one for what somebody asks meanwhile; at least one."""
    assert len([*map(type, _taken(Case(max_connections=5), 10))]) == 4
    assert len(_taken(Case(max_connections=1), 10)) == 1


def _taken(case, count):
    case.many(count)
    return case.jobs(0.0)


def test_one_look_at_a_time_until_the_server_was_asked_what_it_can_do():
    """Else each of them would ask it."""
    case = Case()
    case.schedule._backend.is_prepared = False
    case.many(5)
    (look,) = case.jobs(0.0)
    assert case.schedule.rest(0.0) == math.inf
    case.schedule._backend.is_prepared = True
    case.schedule.looked(look, 0.0, shown=True)
    assert len(case.jobs(0.0)) == 4


def test_a_run_that_was_attached_to_twice():
    """Both records are looked at, each of their waits is told, and whichever is done first."""
    case = Case()
    waits = [case.wait(record(7)) for _ in range(3)]
    assert case.looked(0.0) == ["7"] * 3
    for wait in (waits[1], waits[0], waits[2]):
        case.schedule.settle(ended(wait))
    assert list(case.crowd.ready) == [waits[1], waits[0], waits[2]]
    assert case.schedule._runs == case.schedule._twins == {}


# Held requests


@pytest.mark.parametrize(
    ("connections", "polls", "runs", "held"),
    [(1, 8, 8, 0), (2, 8, 1, 1), (2, 8, 2, 0), (3, 8, 2, 2), (3, 8, 8, 1), (9, 1, 8, 1), (9, 0, 8, 0), (10, 8, 12, 8)],
)
def test_so_many_requests_are_held(connections, polls, runs, held):
    """Up to `max_long_polls`; one connection stays free for the caller, and one that looks at the others, if any."""
    case = Case(HOLD, max_connections=connections, max_long_polls=polls)
    case.many(runs)
    looks = case.jobs(0.0, holds=True)
    assert [look.hold for look in looks] == [20.0] * held + [0.0] * (len(looks) - held)
    assert runs <= held or connections == 1 or len(looks) > held


def test_who_may_be_held():
    """A thread for the only run it waits for; for the runs of others it looks and goes on."""
    case = Case(HOLD)
    mine, other = case.many(2)
    assert [look.hold for look in case.jobs(0.0, own=other.followed)] == [20.0, 0.0]
    assert mine.followed.look is not None


@pytest.mark.parametrize(
    ("state", "every_change", "hold"),
    [
        (RunState.RUNNING, False, 20.0),
        (RunState.QUEUED, False, 20.0),
        (RunState.UNKNOWN, False, 0.0),
        (RunState.RUNNING, True, 20.0),
        (RunState.QUEUED, True, 0.0),
    ],
)
def test_what_is_held(state, every_change, hold):
    """Not where nothing is known yet, nor where a change before the end is wanted that a held request would hide."""
    case = Case(HOLD)
    case.wait(record(1, state), every_change=every_change)
    assert [look.hold for look in case.jobs(0.0, holds=True)] == [hold]


@pytest.mark.parametrize(("length", "hold", "at_most"), [(None, 20, None), (100, 20, 105), (7, 7, 12), (0.5, 0, 5.5)])
def test_no_longer_than_the_wait(length, hold, at_most):
    """A request is held no longer than the wait lasts, and may take a little longer in all."""
    case = Case(HOLD)
    case.wait(record(1), length=length)
    (look,) = case.jobs(0.0, holds=True)
    assert (look.hold, look.at_most) == (hold, at_most)


def test_a_held_request_is_followed_by_the_next_at_once():
    """The vendor has paused already; one that was not held is followed by a pause."""
    case = Case(HOLD)
    case.wait(record(1))
    (look,) = case.jobs(0.0, holds=True)
    case.schedule.looked(look, 20.0, shown=True)
    (look,) = case.jobs(20.0, holds=True)
    case.schedule.looked(look, 20.1, shown=True)
    assert case.jobs(20.1, holds=True) == []
    assert case.schedule.rest(20.1) == pytest.approx(2.01)


def test_a_short_wait_beside_a_held_request_ends_in_time():
    """It has a look of its own, since what is held answers when the run ends; one look for all who come so."""
    case = Case(HOLD)
    run = record(1)
    case.wait(run)
    (held,) = case.jobs(0.0, holds=True)
    short, shorter = case.wait(run, now=1.0, length=2.0), case.wait(run, now=1.5, length=0.0)
    assert case.schedule.rest(1.5) == 0.0
    (beside,) = case.jobs(1.5, holds=True)
    assert (beside.hold, beside.is_beside) == (0.0, True)
    case.schedule.looked(beside, 1.6, shown=True)
    assert (shorter.is_late, short.is_late, run.followed.look) == (True, False, held)
    assert case.schedule.rest(1.6) == pytest.approx(1.4)
    assert case.jobs(3.0) == []
    assert short.is_late
    late = case.wait(run, now=3.0, length=0.0), case.wait(run, now=3.0, length=0.0)
    (beside,) = case.jobs(3.0)
    case.schedule.settle(ended(late[0]))
    assert len(case.schedule) == 0
    case.schedule.looked(beside, 3.1, shown=True)
    case.schedule.looked(held, 3.1, shown=True)
    assert case.schedule._jobs == set()


# Failed looks


def failed(case, now, budget=300.0):
    """Every look that is due fails; who has lost contact."""
    error, lost = TransportError("down", maybe_arrived=False), []

    def told(wait, error):
        lost.append(wait)
        return error

    for look in case.jobs(now, holds=True):
        case.schedule.failed(look, now, error, told)
    return lost


def test_failed_looks_grow_rarer_and_end():
    """Each failure doubles the pause, and after the budget whoever waits is told; a success makes good for all."""
    case = Case(contact_budget=10.0)
    wait = case.wait(record(1))
    assert (failed(case, 0.0), case.schedule.rest(0.0)) == ([], 1.0)
    assert (failed(case, 1.0), case.schedule.rest(1.0)) == ([], 2.0)
    (look,) = case.jobs(3.0)
    assert case.schedule.looked(look, 3.0, shown=True)
    assert (wait.error, look.followed.contact) == (None, None)
    assert failed(case, 4.0) == []
    assert failed(case, 14.0) == [wait]
    assert isinstance(wait.error, TransportError)


def test_who_comes_late_has_a_budget_of_its_own():
    """What failed before somebody waited does not count against them."""
    case = Case(contact_budget=10.0)
    run = record(1)
    first = case.wait(run)
    failed(case, 0.0)
    second = case.wait(run, now=9.0)
    assert failed(case, 11.0) == [first]
    assert failed(case, 18.9) == []
    assert failed(case, 30.0) == [second]


# Deadlines


def test_a_last_look_at_the_deadline():
    """A wait ends with a look, not with a guess; and it says so when that failed."""
    case = Case()
    wait = case.wait(record(1, born=-1000), length=10.0)
    assert case.looked(0.0) == ["1"]
    assert case.schedule.rest(0.0) == 10.0
    assert case.looked(10.0) == ["1"]
    assert (wait.is_late, wait.error) == (True, None)
    again = case.wait(record(2, born=-1000), now=20.0, length=0.0)
    failed(case, 20.0)
    assert (again.is_late, type(again.error)) == (True, TransportError)


def test_a_wait_is_not_over_while_it_is_being_looked_at():
    """What the look shows counts; it takes no longer than it was allowed to."""
    case = Case()
    wait = case.wait(record(1), length=10.0)
    (look,) = case.jobs(0.0)
    assert look.at_most == 10.0 + GRACE
    assert case.schedule.rest(0.0) == math.inf
    assert case.jobs(12.0) == []
    case.schedule.settle(ended(wait))
    assert (wait.followed, wait.is_late) == (None, False)


def test_a_wait_that_was_held_up_ends_with_the_look_that_is_over():
    """What somebody saw after the deadline of another is the last that the other needs to know."""
    case = Case()
    run = record(1)
    wait = case.wait(run, length=1.0)
    (look,) = case.jobs(0.0)
    assert case.jobs(2.0) == []
    case.schedule.looked(look, 3.0, shown=True)
    assert wait.is_late
    assert case.jobs(3.0) == []


def test_a_look_that_may_outlast_a_wait_does_not_hold_it_up():
    """Somebody who came after it began is not made to wait for it for longer than usual."""
    case = Case()
    run = record(1)
    case.wait(run)
    (look,) = case.jobs(0.0)
    assert look.at_most is None
    late = case.wait(run, now=1.0, length=2.0)
    assert case.schedule.rest(1.0) == pytest.approx(2.0 + GRACE)
    assert case.jobs(3.0) == []
    assert not late.is_late
    assert case.schedule.rest(3.0) == pytest.approx(GRACE)
    assert case.jobs(3.0 + GRACE) == []
    assert late.is_late


def test_a_look_that_cannot_be_made_in_time():
    """While all connections are in use a wait bears the usual grace, and ends without its look."""
    case = Case(max_connections=2)
    case.wait(record(1))
    (look,) = case.jobs(0.0)
    late, gone = case.wait(record(2), length=1.0), case.wait(record(3), length=1.0)
    assert case.jobs(1.0) == []
    case.schedule.leave([gone])
    assert case.schedule.rest(1.0) == pytest.approx(GRACE)
    assert case.jobs(1.0 + GRACE) == []
    assert late.is_late
    case.schedule.looked(look, 20.0, shown=True)


def test_deadlines_of_waits_that_are_over_are_not_kept():
    """Whoever waits for a minute at a time, a thousand times, leaves nothing behind."""
    case = Case()
    for _ in range(1000):
        case.schedule.leave([case.wait(record(1), length=60.0)])
    assert len(case.schedule._deadlines) <= FEW + 2


# Lists


def test_many_runs_are_looked_at_by_lists():
    """Up to twenty take a look each; one more, and a round looks at all of them."""
    few = Case(BULK)
    few.many(FEW)
    assert {type(job) for job in few.jobs(0.0)} == {Look}
    many = Case(BULK)
    many.many(FEW + 1)
    (this,) = many.jobs(0.0)
    assert len(this.expected) == FEW + 1
    assert many.jobs(5.0) == []


def test_held_requests_are_better_than_lists():
    """Where the vendor may hold as many requests as there are runs, and somebody can be held for each."""
    case = Case(BULK, HOLD, max_long_polls=50)
    case.many(30)
    assert {job.hold for job in case.jobs(0.0, holds=True)} == {20.0}
    threads = Case(BULK, HOLD, max_long_polls=50)
    threads.schedule.holders = lambda: 5
    threads.many(30)
    assert {type(job) for job in threads.jobs(0.0)} == {Round}


def test_what_is_known_is_not_read_again():
    """Of a thousand runs that a page shows as they are, none is news; the time of the look is noted all the same."""
    case = Case(BULK)
    waits = case.many(30)
    waits[3].record.track = Track(status=RunStatus(state=RunState.QUEUED, vendor_status="queued"), seen=True)
    news = case.round(0.0, range(40))
    assert [followed.record.ref.id for followed, _ in news] == ["3"]
    assert waits[0].record.status.observed_at == NOW
    assert waits[0].record.track.asked_at == 0.0


@pytest.mark.parametrize(
    ("change", "is_news"),
    [
        ({}, False),
        ({"message": "half"}, True),
        ({"progress": 0.5}, True),
        ({"vendor_status": "RUNNING"}, True),
        ({"state": RunState.LOST}, True),
    ],
)
def test_what_is_news(change, is_news):
    """Another word, message or progress; and whatever of it a run that was given up says."""
    run = record(1)
    run.track = Track(status=RunStatus(**{"state": RunState.RUNNING, "vendor_status": "running", **change}), seen=True)
    sighting = Sighting("1", "running", "whole", 0.9, read=Observation)
    if not is_news:
        sighting = Sighting("1", "running", read=Observation)
    assert run.is_as_known(sighting, SimpleNamespace(asked_at=1.0, observed_at=NOW)) is not is_news


def test_a_run_that_was_never_seen_is_news():
    """Whether it is the run it should be is looked at once."""
    assert not record(1, seen=False).is_as_known(Sighting("1", "running", read=Observation), None)


def test_a_page_that_came_late_says_nothing():
    """What was asked for before the last look does not make it older."""
    run = record(1)
    run.track = Track(status=run.status, seen=True, asked_at=5.0)
    assert run.is_as_known(Sighting("1", "running", read=Observation), SimpleNamespace(asked_at=1.0, observed_at=NOW))
    assert (run.track.asked_at, run.status.observed_at) == (5.0, None)


def test_rounds_follow_each_other_as_the_youngest_run_ages():
    """As looks at it would; and each page takes as long as a look, so that the vendor has no more of them."""
    case = Case(BULK)
    case.many(30, born=-100.0)
    case.round(0.0, range(30))
    assert case.schedule.rest(0.0) == pytest.approx(10.0)
    case.wait(record(31, born=10.0), now=10.0)
    (this,) = case.jobs(10.0)
    this.pages = 8
    case.schedule.sift([Sighting(str(n), "running", read=Observation) for n in range(32)], 10.0, NOW)
    case.schedule.rounded(this, 10.0)
    assert case.schedule.rest(10.0) == pytest.approx(8.0)


def test_whoever_comes_between_rounds_does_not_wait_for_long():
    """The next round comes after `poll_min`, however rare they are."""
    case = Case(BULK)
    case.many(30, born=-300.0)
    case.round(0.0, range(30))
    case.wait(record(99), now=0.2)
    assert case.schedule.rest(0.2) == pytest.approx(0.8)
    assert case.looked(0.2) == []


def test_what_a_round_does_not_show_is_looked_at():
    """One or two at once; of more, those that were not there twice in a row, since runs move between pages."""
    case = Case(BULK)
    case.many(40)
    case.round(0.0, range(2, 40))
    assert sorted(case.looked(0.0)) == ["0", "1"]
    case.round(1.0, range(10, 40))
    assert case.looked(1.5) == []
    case.round(2.0, range(9, 40))
    assert sorted(case.looked(2.1)) == [*map(str, range(2, 9))]
    case.round(4.0, range(40))  # they are there again, and lists do
    assert [type(job) for job in case.jobs(20.0)] == [Round]


def test_an_old_run_that_no_list_shows_is_looked_at_at_once():
    """Nobody has seen it yet, and it may have ended long ago."""
    case = Case(BULK)
    case.many(30)
    waits = [case.wait(record(n, RunState.UNKNOWN, seen=False)) for n in range(100, 105)]
    case.round(0.0, range(30))
    assert len(case.looked(0.0)) == 5
    assert {wait.followed.missed for wait in waits} == {ALONE}


def test_lists_that_show_none_are_left_alone():
    """Whoever may not list others' runs looks at each; the lists are tried again after ten minutes."""
    case = Case(BULK)
    case.many(30)
    case.round(0.0, [])
    assert len(case.looked(1.0)) == 30
    assert {type(job) for job in case.jobs(599.0)} == {Look}
    again = Case(BULK)
    again.many(30)
    again.round(0.0, [])
    assert {type(job) for job in again.jobs(600.0)} == {Round}


def test_refused_lists_are_left_alone():
    """The vendor has none for us."""
    case = Case(BULK)
    case.many(30)
    (this,) = case.jobs(0.0)
    case.schedule.refused(this, 0.0)
    assert {type(job) for job in case.jobs(0.0)} == {Look}


def test_a_round_that_fails_is_made_again():
    """The pause grows; after the budget all are told; lists that make no sense twice are left alone."""
    case = Case(BULK, contact_budget=10.0)
    waits = case.many(30)
    error, lost = TransportError("down", maybe_arrived=False), []

    def told(wait, error):
        lost.append(wait)
        return error

    def fails(now, **more):
        (this,) = case.jobs(now)
        case.schedule.round_failed(this, now, error, told, is_senseless=more.get("is_senseless", False))

    fails(0.0)
    assert (case.schedule.rest(0.0), waits[0].error) == (1.0, error)
    assert case.round(1.0, range(30)) == []
    assert waits[0].error is None
    fails(2.0)
    fails(12.0)
    assert lost == waits
    assert case.crowd.waits() == []
    again = case.many(30, now=20.0)
    fails(20.0, is_senseless=True)
    fails(24.0, is_senseless=True)
    assert {type(job) for job in case.jobs(25.0)} == {Look}
    assert len(again) == 30


def test_a_round_that_was_given_up_is_made_anew():
    """Whoever takes part in following may be stopped in the middle."""
    case = Case(BULK)
    case.many(30)
    (this,) = case.jobs(0.0)
    case.schedule.done(this, 0.0)
    assert case.jobs(0.0) == []
    assert [type(job) for job in case.jobs(1.0)] == [Round]


def test_few_are_left():
    """When the others have ended, each is looked at by itself, in its own time."""
    case = Case(BULK)
    waits = case.many(30, born=-40.0)
    case.round(0.0, range(30))
    for wait in waits[5:]:
        case.schedule.settle(ended(wait))
    assert case.jobs(1.0) == []
    assert case.schedule.rest(1.0) == pytest.approx(3.0, abs=0.2)
    assert len(case.looked(5.0)) == 5


def test_a_wait_among_many_ends_in_time():
    """The last look is a round, where one has not just been; else what is known counts."""
    case = Case(BULK)
    waits = case.many(30, born=-300.0, length=10.0)
    case.round(0.0, range(30))
    assert case.schedule.rest(0.0) == pytest.approx(10.0)
    case.round(10.0, range(30))
    assert all(wait.is_late for wait in waits)
    case.many(30, now=20.0, born=-300.0)
    case.round(20.0, range(30))
    late = case.wait(record(7), now=20.1, length=0.5)
    case.round(21.0, range(30))
    assert late.is_late


def test_a_round_does_not_hold_up_who_came_after_it_began():
    """Whoever no page was asked for has a look of its own at the deadline, and is not kept waiting."""
    case = Case(BULK)
    case.many(30)
    (this,) = case.jobs(0.0)
    assert this.at_most is None
    late = case.wait(record(99), now=1.0, length=1.0)
    assert case.schedule.rest(1.0) == pytest.approx(1.0)
    assert case.looked(2.0) == ["99"]
    assert late.is_late
    assert case.schedule._round is this


def test_a_wait_that_came_before_a_round_does_not_bear_it_for_ever():
    """A round whose pages may take longer than the wait ends it after the usual grace."""
    case = Case(BULK)
    waits = case.many(30, length=1.0)
    (this,) = case.jobs(0.0)
    assert this.at_most == 1.0 + GRACE
    case.schedule.expire(2.0)
    assert case.schedule.rest(2.0) == math.inf
    case.schedule.expire(1.0 + GRACE)
    assert all(wait.is_late for wait in waits)
    case.schedule.cut(this, 7.0)
    assert len(case.schedule) == 0


def test_the_deadline_of_somebody_who_left_limits_no_round():
    """A request is not given up for a wait that there is no more."""
    case = Case(BULK)
    case.many(30)
    gone = case.wait(record(99), length=0.4)
    case.schedule.leave([gone])
    (this,) = case.jobs(0.0)
    assert this.at_most is None


def test_who_comes_during_a_round_is_seen_by_the_next_one_soon():
    """However rare rounds are; and not before a vendor that failed bears another one."""
    case = Case(BULK, poll_max=60.0)
    case.many(30, born=-600.0)
    (this,) = case.jobs(0.0)
    case.wait(record(99, born=0.5), now=0.5)
    case.schedule.sift([Sighting(str(n), "running", read=Observation) for n in range(30)], 0.0, NOW)
    this.pages = 1
    case.schedule.rounded(this, 0.6)
    assert case.schedule.rest(0.6) == pytest.approx(0.4)
    (this,) = case.jobs(1.0)
    error = RateLimited("slowly", retry_after=60.0)
    case.schedule.round_failed(this, 1.0, error, lambda _, error: error, is_senseless=False)
    case.wait(record(100, born=1.0), now=2.0)
    assert case.schedule.rest(2.0) == pytest.approx(59.0)


def test_a_wait_of_no_time_among_lists_has_its_look():
    """By the next round where there is one soon, else by itself."""
    case = Case(BULK, poll_min=10.0)
    case.many(30)
    case.round(0.0, range(30))
    late = case.wait(record(99), now=0.1, length=0.0)
    assert case.looked(0.1) == ["99"]
    assert late.is_late
    soon = case.wait(record(98), now=9.5, length=0.0)
    assert case.jobs(9.5) == []
    case.round(10.0, [*range(30), 98])
    assert soon.is_late


def test_all_are_looked_at_by_themselves_and_lists_are_asked_rarely():
    """A round that is for nobody says nothing about the lists; it may show some of them again."""
    case = Case(BULK)
    for followed in [wait.followed for wait in case.many(30)]:
        followed.missed = ALONE
    case.schedule._by_lists = True
    (this,) = [job for job in case.jobs(0.0) if isinstance(job, Round)]
    case.schedule.rounded(this, 0.0)
    assert case.schedule._listing.holds(0.0)
    assert case.schedule._round_due == 30.0


def test_a_run_that_cannot_be_read_in_a_list_is_looked_at():
    """One that is odd is taken out of the round; one that is being looked at, or gone, is left as it is."""
    case = Case(BULK)
    waits = case.many(30)
    (this,) = case.jobs(0.0)
    case.schedule.sift([Sighting(str(n), "running", read=Observation) for n in range(30)], 0.0, NOW)
    gone = waits[1].followed
    case.schedule.leave([waits[1]])
    for followed in (waits[0].followed, gone):
        case.schedule.single_out(followed, 0.0)
    waits[2].followed.missed, waits[2].followed.looked_at = ALONE, -math.inf
    case.schedule.rounded(this, 0.0)
    assert waits[2].followed.missed == ALONE
    assert case.looked(0.0) == ["0"]


def test_twins_are_seen_by_lists():
    """An id that was attached to twice is noted for both."""
    case = Case(BULK)
    case.many(30)
    twin = case.wait(record(3, RunState.QUEUED))
    news = case.round(0.0, range(30))
    assert [followed for followed, _ in news] == [twin.followed]


def test_a_child_process_begins_anew():
    """Those who waited in the parent are not in it, and do not keep a run from being waited for."""
    case = Case()
    wait = case.wait(record(1))
    case.jobs(0.0)
    told = SimpleNamespace(tell=None, every_change=False, is_patient=False)
    alone = Wait(record(2), is_final, Deadline(None, 0.0), told)
    case.schedule.join([alone], 0.0)
    case.crowd.wake = None  # whose lock may never be released
    case.schedule.begin_anew(ZeroDivisionError("forked"))
    assert (len(case.schedule), wait.record.followed, alone.followed) == (0, None, None)
    assert isinstance(case.crowd.ready.popleft().error, ZeroDivisionError)
    case.wait(wait.record)
    assert len(case.jobs(0.0)) == 1


class Machine(RuleBasedStateMachine):
    """Whatever happens in whatever order, every wait is over some time, and jobs are neither lost nor doubled."""

    def __init__(self):
        super().__init__()
        self.case = Case(BULK, HOLD, max_connections=4, max_long_polls=2, contact_budget=50.0)
        self.now, self.jobs, self.waits, self.number = 0.0, [], [], 0

    @rule(count=st.integers(1, 30), length=st.one_of(st.none(), st.floats(0, 60)), same=st.booleans())
    def somebody_waits(self, count, length, same):
        """For new runs, or for one that others wait for."""
        for _ in range(count):
            self.number += not same
            self.waits.append(self.case.wait(record(self.number, born=self.now), self.now, length))

    @rule(seconds=st.floats(0.0, 40.0))
    def time_passes(self, seconds):
        """So many seconds."""
        self.now += seconds

    @rule(holds=st.booleans())
    def a_job_is_taken(self, holds):
        """What is due."""
        job = self.case.schedule.next_job(self.now, holds=holds)
        if job is not None:
            self.jobs.append(job)

    @precondition(lambda self: self.jobs)
    @rule(data=st.data(), outcome=st.sampled_from(["shown", "ended", "failed", "given up"]))
    def a_job_is_done(self, data, outcome):
        """In one way or another."""
        job = self.jobs.pop(data.draw(st.integers(0, len(self.jobs) - 1)))
        schedule, error = self.case.schedule, TransportError("down", maybe_arrived=False)
        if outcome == "given up":
            schedule.done(job, self.now)
        elif isinstance(job, Round):
            if outcome == "failed":
                schedule.round_failed(job, self.now, error, lambda _, error: error, is_senseless=False)
                return
            ids = [each.record.ref.id for each in job.expected]
            if outcome == "ended":
                for each in job.expected[::2]:
                    each.record.track = Track(status=RunStatus(state=RunState.SUCCEEDED), seen=True)
                    schedule.settle(each)
                ids = ids[1::2]
            schedule.sift([Sighting(each, "running", read=Observation) for each in ids], self.now, NOW)
            schedule.rounded(job, self.now)
        elif outcome == "failed":
            schedule.failed(job, self.now, error, lambda _, error: error)
        else:
            if outcome == "ended":
                job.followed.record.track = Track(status=RunStatus(state=RunState.SUCCEEDED), seen=True)
            schedule.looked(job, self.now, shown=True)

    @precondition(lambda self: self.waits)
    @rule(data=st.data())
    def somebody_gives_up(self, data):
        """And is not told any more."""
        wait = self.waits.pop(data.draw(st.integers(0, len(self.waits) - 1)))
        self.case.crowd.open -= wait.followed is not None
        self.case.schedule.leave([wait])

    @invariant()
    def nothing_is_lost(self):
        """Who is not told is followed; so many jobs are under way as were taken; and there is something to do."""
        schedule = self.case.schedule
        open_waits = {wait for wait in self.waits if wait.followed is not None}
        assert open_waits == set(schedule.waits()) == set(self.case.crowd.waits())
        assert self.case.crowd.open == len(open_waits)
        assert schedule._jobs == set(self.jobs)
        assert len(self.jobs) <= 3
        assert sum(isinstance(job, Round) for job in self.jobs) <= 1
        assert schedule._long_polls == sum(getattr(job, "hold", 0) > 0 for job in self.jobs) <= 2
        if open_waits and not self.jobs:
            assert schedule.rest(self.now) < 100.0

    def teardown(self):
        """With time, and answers, everybody is told."""
        for _ in range(1000):
            while (job := self.case.schedule.next_job(self.now)) is not None:
                self.jobs.append(job)
            for job in self.jobs:
                runs = job.expected if isinstance(job, Round) else [job.followed]
                for each in runs:
                    each.record.track = Track(status=RunStatus(state=RunState.SUCCEEDED), seen=True)
                    self.case.schedule.settle(each)
                if isinstance(job, Round):
                    self.case.schedule.rounded(job, self.now)
                else:
                    self.case.schedule.looked(job, self.now, shown=True)
            self.jobs.clear()
            if not len(self.case.schedule):
                break
            self.now += max(self.case.schedule.rest(self.now), 0.001)
        assert (self.case.crowd.open, self.case.crowd.waits()) == (0, [])


TestMachine = Machine.TestCase
TestMachine.settings = settings(max_examples=40, stateful_step_count=30)


def test_all_names_are_there():
    """`__all__` names what other modules may use."""
    assert all(hasattr(follow, name) for name in follow.__all__)
