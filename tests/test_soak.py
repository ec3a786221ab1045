"""The soak: its comparison of books finds what it looks for, and a short one finds nothing."""

import os
from datetime import UTC, datetime, timedelta

import pytest
from attrs import evolve
from soak import Plan, show, soak
from soak_comparison import Started, Told, compare

from flowrunner.enums import RunState
from flowrunner.journal import Entry

NOW = datetime(2026, 1, 5, 8, tzinfo=UTC)
LATER = NOW + timedelta(seconds=1)
RUN = Started("7", "k", "succeeded", NOW)
TOLD = (Told(key="k", id="7"), Told(key="k", id="7", state="succeeded"))
ENTRY = Entry(
    seq=1,
    connection="here",
    backend="fme-flow-v4",
    flow="Demo/work.fmw",
    key="k",
    digest="",
    hint={},
    run_id="7",
    state=RunState.SUCCEEDED,
    attempts=1,
    uncertain=None,
    intended_at=NOW,
    accepted_at=NOW,
    ended_at=NOW,
    pid=1,
)
OPEN = evolve(ENTRY, run_id=None, state=RunState.SUBMITTING, accepted_at=None, ended_at=None)
REFUSED = evolve(OPEN, ended_at=NOW)
FORGOTTEN = evolve(RUN, forgotten_at=NOW)
AGAIN = Started("8", "k", "succeeded", LATER)


def asked(outcome, *candidates):
    """What was told of a key without an id at the end."""
    return (Told(key="k", outcome=outcome, candidates=candidates),)


# The comparison


@pytest.mark.parametrize(
    ("started", "entry", "told"),
    [
        ([RUN], ENTRY, TOLD),
        ([RUN], ENTRY, ()),
        ([], REFUSED, ()),
        ([], OPEN, asked("not_found")),
        ([FORGOTTEN], OPEN, asked("not_found")),
        ([FORGOTTEN], evolve(ENTRY, state=RunState.LOST), (Told(key="k", id="7", state="lost"),)),
        ([FORGOTTEN], evolve(ENTRY, state=RunState.LOST), (Told(key="k", id="7", state="not_found"),)),
    ],
    ids=["told", "untold", "refused", "absent", "forgotten", "lost", "never shown"],
)
def test_what_agrees_is_no_violation(started, entry, told):
    """Where all sides say the same of a key, or the server has forgotten, nothing is found."""
    account = compare(started, [entry], told)

    assert account.violations == ()
    assert account.uncertain == {}
    assert account.keys == 1


@pytest.mark.parametrize(
    ("started", "entry", "told"),
    [
        ([RUN, AGAIN], ENTRY, TOLD),
        ([RUN, AGAIN], OPEN, asked("candidates", "7", "8")),
        ([FORGOTTEN, AGAIN], evolve(ENTRY, run_id="8"), (*TOLD, Told(key="k", id="8"))),
        ([evolve(RUN, forgotten_at=LATER + timedelta(seconds=1)), AGAIN], evolve(ENTRY, run_id="8"), ()),
    ],
    ids=["after an answer", "after none", "forgotten, and its id known", "forgotten later"],
)
def test_a_run_started_twice_is_found(started, entry, told):
    """A second run that we asked for while the first was there, as by a client that repeats its POST, is found."""
    (text,) = compare(started, [entry], told).twice

    assert text == "k was started 2 times: 7, 8"


def test_a_run_that_somebody_else_started_twice_is_counted_apart():
    """The second run of a request that was repeated on the way is not our doing."""
    account = compare([RUN, evolve(AGAIN, is_repeat=True)], [ENTRY], TOLD)

    assert (account.violations, account.runs, account.repeats) == ((), 2, 1)


def test_a_run_that_the_server_had_forgotten_may_be_started_again():
    """A key that the vendor showed no run of is submitted again; that is counted apart."""
    account = compare([FORGOTTEN, AGAIN], [evolve(ENTRY, run_id="8")], [Told(key="k", id="8")])

    assert (account.violations, account.forgotten) == ((), 1)


@pytest.mark.parametrize(
    ("started", "entry", "told", "text"),
    [
        ([RUN], None, (), "k is not in the journal"),
        ([RUN], OPEN, (), "k was not asked after"),
        ([RUN], REFUSED, (), "k started 7, and is said to have started nothing"),
        ([RUN], OPEN, asked("not_found"), "k started 7, and is said to have started nothing"),
        ([RUN], OPEN, asked("candidates", "8"), "k started 7, not all of which are among its candidates"),
        ([], ENTRY, (), "k is run 7 in the journal, which the server never started for it"),
        ([RUN], ENTRY, (Told(key="k", id="8"),), "k was told as run 8, which is not what the journal has"),
    ],
)
def test_a_lost_id_is_found(started, entry, told, text):
    """A run that nobody has the id of, an id that is another's, and one that changed are found."""
    assert compare(started, [] if entry is None else [entry], told).lost == (text,)


@pytest.mark.parametrize(
    ("run", "state", "told", "text"),
    [
        (RUN, "succeeded", "failed", "k, run 7, is failed told, and succeeded in the books"),
        (RUN, "failed", "succeeded", "k, run 7, is failed in the journal, and succeeded in the books"),
        (RUN, "succeeded", "lost", "k, run 7, is lost told, and succeeded in the books"),
        (RUN, "running", "succeeded", "k, run 7, is running in the journal, and succeeded in the books"),
        (FORGOTTEN, "lost", "failed", "k, run 7, is failed told, and succeeded, and forgotten in the books"),
    ],
)
def test_a_wrong_end_is_found(run, state, told, text):
    """An end that is not that of the books is found, whether a caller was told or the journal has it."""
    account = compare([run], [evolve(ENTRY, state=RunState(state))], [Told(key="k", id="7", state=told)])

    assert account.wrong == (text,)


def test_a_run_of_nobody_is_found():
    """A run that bears no key of ours is found."""
    assert compare([evolve(RUN, key=None)], [], ()).strays == ("run 7 was started for nobody",)


@pytest.mark.parametrize(
    ("why", "outcome", "cause"),
    [
        (None, "unknowable", "process killed, unknowable"),
        ("no answer from http://localhost", "candidates", "no answer, candidates"),
        ("the vendor failed (HTTP 502)", "candidates", "HTTP 502, candidates"),
    ],
)
def test_what_is_uncertain_is_named_by_its_cause(why, outcome, cause):
    """A key that may have a run is no violation: it is counted, with why, and what the vendor says to it."""
    account = compare([RUN], [evolve(OPEN, uncertain=why)], asked(outcome, "7"))

    assert account.violations == ()
    assert account.uncertain == {cause: 1}


# A short one


@pytest.mark.skipif(not hasattr(os, "fork"), reason="only where processes fork")
def test_a_short_soak(tmp_path, capsys):
    """Under faults and with programs killed, no run is started twice, no id lost, no end wrong, no process left."""
    report = soak(Plan(seconds=20, runs=64, seed=7, life=1, kills=1), tmp_path)

    show(report)
    assert report.violations == (), capsys.readouterr().out
    assert report.killed > 0
    assert len(report.faults) > 3
    assert all(account.keys > 0 for account in report.accounts.values())
    assert sum(account.ends for account in report.accounts.values()) > 0
    assert not [pid for pid in report.pids if _lives(pid)]


def _lives(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
