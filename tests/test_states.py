"""The state machine: what each word means, and what is known after each answer."""

from datetime import UTC, datetime, timedelta
from itertools import product

import pytest
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st

from flowrunner.backends._fme import WORDS
from flowrunner.enums import CancelOutcome, Cause, RunState, WaitReason
from flowrunner.models import RunStatus
from flowrunner.states import (
    KINDS,
    RULES,
    Kind,
    Meaning,
    Observation,
    Rule,
    Track,
    absent,
    cancel_answered,
    changed,
    fold,
    mismatched,
    parse_meaning,
    reduce,
)

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
LATER = NOON + timedelta(minutes=1)

LIVE = {RunState.SUBMITTING, RunState.UNKNOWN, RunState.QUEUED, RunState.RUNNING, RunState.WAITING}
SINKS = {RunState.SUCCEEDED, RunState.FAILED, RunState.CANCELLED}

EVERY_STATE = {state.value: Meaning(state) for state in RunState}
"""A vocabulary in which every state has a word of its own."""

# The rows of the table that concern FME Flow, in the vendor's spelling.
FME_WORDS = {
    "SUBMITTED": Meaning(RunState.QUEUED),
    "QUEUED": Meaning(RunState.QUEUED),
    "DELAYED": Meaning(RunState.QUEUED),
    "queued": Meaning(RunState.QUEUED),
    "PULLED": Meaning(RunState.RUNNING),
    "IN_PROCESS": Meaning(RunState.RUNNING),
    "RUNNING": Meaning(RunState.RUNNING),
    "running": Meaning(RunState.RUNNING),
    "PAUSED": Meaning(RunState.WAITING, reason=WaitReason.PAUSED),
    "SUCCESS": Meaning(RunState.SUCCEEDED),
    "success": Meaning(RunState.SUCCEEDED),
    "FME_FAILURE": Meaning(RunState.FAILED, cause=Cause.FLOW),
    "JOB_FAILURE": Meaning(RunState.FAILED, cause=Cause.PLATFORM),
    "failure": Meaning(RunState.FAILED, cause=Cause.UNSPECIFIED),
    "ABORTED": Meaning(RunState.CANCELLED, cause=Cause.UNSPECIFIED),
    "DELETED": Meaning(RunState.CANCELLED, cause=Cause.UNSPECIFIED),
    "cancelled": Meaning(RunState.CANCELLED, cause=Cause.UNSPECIFIED),
    "COMPLETED": Meaning(None),
    "complete": Meaning(None),
}

SPELLINGS = {
    "as written": str,
    "upper": str.upper,
    "lower": str.lower,
    "title": str.title,
    "swapped": str.swapcase,
    "with spaces": lambda word: word.replace("_", " "),
    "together": lambda word: word.replace("_", ""),
    "with dashes": lambda word: word.replace("_", "-"),
    "padded": lambda word: f" {word}_",
}


def track_of(state, *, asked_at=100.0, seen=True, submitted_at=50.0, **details):
    """A run in this state, as the last read showed it."""
    return Track(
        status=RunStatus(state=state, **details), asked_at=asked_at, seen=seen, submitted_at=submitted_at
    )  # fmt: skip


def see(track, word=None, *, asked_at=101.0, words=WORDS, **details):
    """What is known after an answer, and the anomaly."""
    return reduce(track, Observation(word=word, **details), words, asked_at=asked_at, observed_at=LATER)


def after(track, *words):
    """What is known after reads that show these words, a second apart."""
    for number, word in enumerate(words, 1):
        track, _ = see(track, word, asked_at=track.asked_at + number)
    return track


# Words


@pytest.mark.parametrize("spelling", SPELLINGS.values(), ids=SPELLINGS)
@pytest.mark.parametrize("word", FME_WORDS)
def test_a_word_means_the_same_in_every_spelling(word, spelling):
    """Words are compared without case, spaces, underscores and dashes, and mean what the table says."""
    assert FME_WORDS[word] == WORDS[fold(spelling(word))]


def test_no_other_word_is_known():
    """The vocabulary of FME Flow is the table and nothing else, and its keys are folded."""
    assert {fold(word) for word in FME_WORDS} == set(WORDS)
    assert all(word == fold(word) for word in WORDS)


@pytest.mark.parametrize("word", [word for word, meaning in FME_WORDS.items() if meaning.state is not None])
def test_a_first_word_sets_the_state(word):
    """The first answer about a run decides its state, cause and reason, and its word is kept as written."""
    status = see(Track(), word)[0].status
    meaning = FME_WORDS[word]
    assert (meaning.state, meaning.cause, meaning.reason) == (status.state, status.cause, status.reason)
    assert (word, True) == (status.vendor_status, status.recognized)


@pytest.mark.parametrize("known", sorted(LIVE))
@pytest.mark.parametrize("word", ["complete", "COMPLETED"])
def test_complete_is_no_outcome(word, known):
    """`complete` does not say how a run ended: the last state stays, and the word is one that is known."""
    track, anomaly = see(track_of(known), word)
    assert (known, True, word, None) == (
        track.status.state,
        track.status.recognized,
        track.status.vendor_status,
        anomaly,
    )


@pytest.mark.parametrize("known", [state for state in RunState if state not in SINKS])
def test_an_unknown_word_keeps_the_state(known):
    """A word nobody has seen changes no state: it is kept as written, marked as not recognized, with its payload."""
    track, anomaly = see(track_of(known), "HIBERNATING", raw=b"{}")
    status = track.status
    assert (known, "HIBERNATING", False, b"{}") == (status.state, status.vendor_status, status.recognized, status.raw)
    assert anomaly is None


def test_a_known_word_is_recognized_again():
    """A word from the map ends the time in which the run's word was not recognized."""
    assert after(track_of(RunState.RUNNING), "HIBERNATING", "running").status.recognized


def test_an_answer_without_a_word_leaves_the_word():
    """What has no word says nothing about the state, the word, or whether it was recognized."""
    before = after(track_of(RunState.RUNNING), "HIBERNATING")
    status = see(before, None, asked_at=200.0, message="still there")[0].status
    assert (status.state, status.vendor_status, status.recognized) == (RunState.RUNNING, "HIBERNATING", False)
    assert status.message == "still there"


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("running", Meaning(RunState.RUNNING)),
        (" Running ", Meaning(RunState.RUNNING)),
        ("lost", Meaning(RunState.LOST)),
        ("waiting", Meaning(RunState.WAITING)),
        ("waiting/", Meaning(RunState.WAITING)),
        ("waiting/user_input", Meaning(RunState.WAITING, reason=WaitReason.USER_INPUT)),
        ("waiting/paused", Meaning(RunState.WAITING, reason=WaitReason.PAUSED)),
        ("succeeded", Meaning(RunState.SUCCEEDED)),
        ("succeeded/warnings", Meaning(RunState.SUCCEEDED, has_warnings=True)),
        ("failed", Meaning(RunState.FAILED, cause=Cause.UNSPECIFIED)),
        ("failed/platform", Meaning(RunState.FAILED, cause=Cause.PLATFORM)),
        ("FAILED/Flow", Meaning(RunState.FAILED, cause=Cause.FLOW)),
        ("failed/interrupted", Meaning(RunState.FAILED, cause=Cause.INTERRUPTED)),
        ("cancelled", Meaning(RunState.CANCELLED, cause=Cause.UNSPECIFIED)),
        ("cancelled/by_other", Meaning(RunState.CANCELLED, cause=Cause.BY_OTHER)),
    ],
)
def test_a_meaning_is_read_as_configuration_writes_it(text, meaning):
    """A line of `status_map` names a state, and a detail where the state has one."""
    assert meaning == parse_meaning(text)


@pytest.mark.parametrize(
    "text",
    [
        "", "/", "complete", "run", "failed/by_us", "failed/warnings", "cancelled/flow", "waiting/flow",
        "running/flow", "running/user_input", "queued/warnings", "succeeded/flow", "failed/flow/more", "failed / flow",
        "submitting", "unknown", "Unknown/flow",
    ],
)  # fmt: skip
def test_a_meaning_that_makes_no_sense_is_refused(text):
    """No guess at an unknown state or a detail that its state lacks; and no word says that there is no word yet."""
    with pytest.raises(ValueError):
        parse_meaning(text)


@pytest.mark.parametrize("spelling", SPELLINGS.values(), ids=SPELLINGS)
def test_another_spelling_is_no_news(spelling):
    """A vendor that writes the same word in two ways has said the same: the first spelling stays, and its payload."""
    first = after(Track(), "IN_PROCESS")
    track, anomaly = see(first, spelling("IN_PROCESS"), raw=b"other")
    assert (track.status.vendor_status, track.status.raw, anomaly) == ("IN_PROCESS", None, None)
    assert not changed(first.status, track.status)


@pytest.mark.parametrize("word", ["success", "FME_FAILURE", "ABORTED"])
def test_a_word_that_says_nothing_does_not_replace_an_end(word):
    """`complete` after the word that said how the run ended is not shown in its place; before, it is."""
    ended = after(Track(), "complete", word)
    assert ended.status.vendor_status == word
    again, anomaly = see(ended, "COMPLETED")
    assert (again.status.vendor_status, anomaly) == (word, None)
    assert after(Track(), "running", "complete").status.vendor_status == "complete"


# Rules


def test_the_rules_are_total():
    """There is a rule for every pair of kinds, and every state has a kind."""
    assert set(product(Kind, Kind)) == set(RULES)
    assert set(RunState) == set(KINDS)


def state_after(known, seen):
    """The state by the design's own words."""
    if known in SINKS:
        return known
    if known is RunState.CANCELLING and (seen in LIVE or seen is RunState.CANCELLING):
        return known
    return seen


@pytest.mark.parametrize("seen", RunState)
@pytest.mark.parametrize("known", RunState)
def test_the_state_after_every_pair(known, seen):
    """Live to live is free, final states are sinks, CANCELLING holds against live words, LOST is left."""
    assert state_after(known, seen) is see(track_of(known), seen.value, words=EVERY_STATE)[0].status.state


@pytest.mark.parametrize("seen", RunState)
@pytest.mark.parametrize("known", RunState)
def test_the_table_is_what_happens(known, seen):
    """TAKE takes the state, HOLD keeps it and takes the details, REFUSE keeps everything and reports an anomaly."""
    before = track_of(known, message="before", vendor_status="BEFORE", progress=0.5)
    track, anomaly = see(before, seen.value, words=EVERY_STATE, message="now", progress=0.25)
    rule = RULES[KINDS[known], KINDS[seen]]
    if rule is Rule.REFUSE and known is not seen:
        assert track.status == before.status
        assert known.value in anomaly
        assert repr(seen.value) in anomaly
    else:
        assert anomaly is None
        assert ("now", 0.25, seen.value) == (
            track.status.message, track.status.progress, track.status.vendor_status
        )  # fmt: skip
        assert (seen if rule is Rule.TAKE else known) is track.status.state


@pytest.mark.parametrize("rule", Rule)
def test_the_table_decides(monkeypatch, rule):
    """The reducer does what the table says and nothing else: another table, another outcome."""
    monkeypatch.setitem(RULES, (Kind.OPEN, Kind.OPEN), rule)
    track, anomaly = see(track_of(RunState.QUEUED), "running")
    assert (RunState.RUNNING if rule is Rule.TAKE else RunState.QUEUED) is track.status.state
    assert (anomaly is not None) == (rule is Rule.REFUSE)


@pytest.mark.parametrize("known", sorted(SINKS))
def test_an_unknown_word_after_the_end_is_an_anomaly(known):
    """A run that has ended stays as it is, also under a word that is not in the map."""
    before = track_of(known, vendor_status="x", message="done")
    track, anomaly = see(before, "HIBERNATING", message="?")
    assert before.status == track.status
    assert "HIBERNATING" in anomaly


@pytest.mark.parametrize("known", sorted(SINKS))
def test_complete_after_the_end_is_no_anomaly(known):
    """`complete` contradicts no end, and may bring details."""
    track, anomaly = see(track_of(known), "complete", finished_at=NOON)
    assert (known, NOON, None) == (track.status.state, track.status.finished_at, anomaly)


def test_a_success_may_turn_out_to_have_warnings():
    """The same end, told with more, is no contradiction."""
    words = {**WORDS, "warning": Meaning(RunState.SUCCEEDED, has_warnings=True)}
    track, anomaly = see(track_of(RunState.SUCCEEDED), "Warning", words=words)
    assert (track.status.has_warnings, anomaly) == (True, None)
    again = see(track, "success", asked_at=110.0)[0]
    assert again.status.has_warnings


@pytest.mark.parametrize("word", ["success", "running", "complete", "HIBERNATING", None])
def test_there_are_no_warnings_unless_somebody_says_so(word):
    """Neither a word of the map nor another has warnings by itself."""
    assert not see(track_of(RunState.RUNNING), word)[0].status.has_warnings


def test_warnings_are_taken_from_the_answer():
    """An answer may say that there were warnings, whatever its word."""
    assert see(track_of(RunState.RUNNING), "success", has_warnings=True)[0].status.has_warnings


@pytest.mark.parametrize(
    ("words", "attempt"),
    [
        (["running", "queued"], 2),
        (["running", "QUEUED", "pulled", "submitted", "running", "delayed"], 4),
        (["running", "running"], 1),
        (["queued", "running"], 1),
        (["paused", "queued"], 1),
        (["running", "paused", "queued"], 1),
        (["running", "HIBERNATING", "queued"], 2),
        (["running", "complete", "queued"], 2),
    ],
)
def test_each_return_to_the_queue_is_an_attempt_more(words, attempt):
    """RUNNING to QUEUED between two reads counts, and nothing else does."""
    assert attempt == after(track_of(RunState.QUEUED), *words).status.attempt


def test_the_word_of_the_submission_does_not_count():
    """A submission answered `running` whose first read shows `queued` has been tried once."""
    submitted = track_of(RunState.RUNNING, seen=False)
    first = see(submitted, "queued")[0]
    assert (first.status.state, first.status.attempt, first.seen) == (RunState.QUEUED, 1, True)
    assert after(first, "running", "queued").status.attempt == 2


def test_cancelling_counts_no_attempt():
    """While a cancellation holds the state, words of the queue are no attempts."""
    cancelling = cancel_answered(track_of(RunState.RUNNING), CancelOutcome.REQUESTED)
    assert after(cancelling, "running", "queued", "running").status.attempt == 1


@pytest.mark.parametrize(
    ("word", "state", "cause"),
    [
        ("cancelled", RunState.CANCELLED, Cause.BY_US),
        ("success", RunState.SUCCEEDED, None),
        ("FME_FAILURE", RunState.FAILED, Cause.FLOW),
    ],
)
def test_cancelling_yields_to_a_final_word(word, state, cause):
    """After we asked to cancel, live words change nothing and the final word decides, whichever it is."""
    cancelling = after(cancel_answered(track_of(RunState.RUNNING), CancelOutcome.REQUESTED), "running", "queued")
    assert cancelling.status.state is RunState.CANCELLING
    ended = after(cancelling, word).status
    assert (state, cause) == (ended.state, ended.cause)


def test_the_reason_belongs_to_waiting():
    """A reason lasts as long as the run waits, through words that say nothing, and no longer."""
    waiting = after(track_of(RunState.RUNNING), "PAUSED")
    assert after(waiting, "complete", "HIBERNATING").status.reason is WaitReason.PAUSED
    assert after(waiting, "running").status.reason is None
    assert cancel_answered(waiting, CancelOutcome.REQUESTED).status.reason is None


# Causes


def test_the_answer_refines_the_cause():
    """What an answer knows of the cause counts more than its word."""
    status = see(track_of(RunState.RUNNING), "failure", cause=Cause.PLATFORM)[0].status
    assert status.cause is Cause.PLATFORM


def test_a_cause_is_not_forgotten():
    """A later, vaguer word for the same end leaves the cause that is known."""
    failed = after(track_of(RunState.RUNNING), "FME_FAILURE", "failure")
    assert failed.status.cause is Cause.FLOW


def test_only_failures_and_cancellations_have_a_cause():
    """A cause in an answer about a run that has not failed is nothing."""
    assert see(track_of(RunState.QUEUED), "running", cause=Cause.FLOW)[0].status.cause is None


def test_a_cause_of_another_state_is_not_carried_over():
    """The cause of a failure is not that of a success before it."""
    words = {**WORDS, "odd": Meaning(RunState.FAILED)}
    assert see(track_of(RunState.RUNNING), "odd", words=words)[0].status.cause is Cause.UNSPECIFIED


def test_cancelled_by_somebody_else():
    """Without a cancellation of ours, a word of cancellation does not say whose it was."""
    assert after(track_of(RunState.RUNNING), "ABORTED").status.cause is Cause.UNSPECIFIED


# Results


def test_a_result_that_calls_a_success_a_failure_wins():
    """Where a record and its result disagree, the failure counts, with an anomaly."""
    record = after(track_of(RunState.RUNNING), "success")
    track, anomaly = see(record, "FME_FAILURE", asked_at=200.0, is_result=True, message="broken")
    assert (track.status.state, track.status.cause, track.status.message) == (RunState.FAILED, Cause.FLOW, "broken")
    assert "succeeded" in anomaly
    assert "FME_FAILURE" in anomaly


@pytest.mark.parametrize(
    ("known", "word", "is_result"),
    [
        (RunState.FAILED, "success", True),
        (RunState.SUCCEEDED, "failure", False),
        (RunState.SUCCEEDED, "cancelled", True),
        (RunState.CANCELLED, "failure", True),
        (RunState.SUCCEEDED, "running", True),
        (RunState.SUCCEEDED, "HIBERNATING", True),
    ],
)
def test_nothing_else_corrects_an_end(known, word, is_result):
    """No other contradiction, from a record or a result, changes how a run ended."""
    before = track_of(known)
    track, anomaly = see(before, word, is_result=is_result)
    assert before.status == track.status
    assert anomaly is not None


# Order


@pytest.mark.parametrize("word", ["queued", "running", "HIBERNATING", "complete", None])
def test_a_stale_live_word_is_dropped(word):
    """An answer to a request sent before the last applied one says nothing, unless it is final."""
    before = track_of(RunState.RUNNING, message="half")
    assert (before, None) == see(before, word, asked_at=99.9, message="a quarter", progress=0.25)


def test_a_stale_final_word_counts():
    """How a run ended is true whenever it was asked, and does not turn back the clock."""
    track, _ = see(track_of(RunState.RUNNING), "success", asked_at=1.0)
    assert (track.status.state, track.asked_at) == (RunState.SUCCEEDED, 100.0)


def test_answers_to_requests_of_one_instant_count():
    """Only what is older is stale."""
    assert see(track_of(RunState.QUEUED), "running", asked_at=100.0)[0].status.state is RunState.RUNNING


def test_the_moment_of_the_answer_is_noted():
    """`observed_at` and `asked_at` are those of the last answer applied."""
    track, _ = see(track_of(RunState.QUEUED), "running", asked_at=107.0)
    assert (track.status.observed_at, track.asked_at, track.seen) == (LATER, 107.0, True)


# Details


def test_payloads_are_not_in_representations():
    """An observation does not print what the vendor sent."""
    assert "payload" not in repr(Observation(raw=b"payload"))


@pytest.mark.parametrize("word", ["running", "success", "HIBERNATING", "complete", None])
def test_nothing_known_is_erased(word):
    """An answer that lacks a message, progress or times leaves those that are known."""
    details = {
        "message": "at work", "progress": 0.0, "queued_at": NOON, "started_at": NOON, "finished_at": NOON,
    }  # fmt: skip
    track, _ = see(track_of(RunState.RUNNING, has_warnings=True, **details), word, message="")
    assert details == {name: getattr(track.status, name) for name in details}
    assert track.status.has_warnings


def test_what_is_new_replaces_what_was_known():
    """A later message, progress or time is the one that counts, also if it is zero."""
    details = {"message": "b", "progress": 0.0, "queued_at": LATER, "started_at": LATER, "finished_at": LATER}
    known = {"message": "a", "progress": 1.0, "queued_at": NOON, "started_at": NOON, "finished_at": NOON}
    track, _ = see(track_of(RunState.RUNNING, **known), "running", **details)
    assert details == {name: getattr(track.status, name) for name in details}


def test_the_payload_of_the_last_new_word_is_kept():
    """`raw` is that of the answer which brought a new word or an unknown one."""
    first = see(track_of(RunState.QUEUED), "running", raw=b"1")[0]
    assert see(first, "running", asked_at=102.0, raw=b"2")[0].status.raw == b"1"
    unknown = see(first, "NEW", asked_at=102.0, raw=b"3")[0]
    assert unknown.status.raw == b"3"
    assert see(unknown, "NEW", asked_at=103.0, raw=b"4")[0].status.raw == b"4"


# A run the vendor does not know


def deny(track, *moments):
    """What is known after the vendor denied the run at these moments."""
    never_seen = False
    for moment in moments:
        track, never_seen = absent(track, asked_at=moment, observed_at=LATER)
    return track, never_seen


def test_a_run_nobody_has_shown_is_not_found():
    """An attached run that the vendor denies at once was never seen, however often it is asked."""
    assert (Track(), True) == deny(Track(), 1.0, 20.0, 40.0, 60.0)


@pytest.mark.parametrize("moment", [100.0, 110.0, 129.9])
def test_a_new_run_is_not_visible_yet(moment):
    """For 30 seconds after a submission, a denial says nothing and counts nothing."""
    submitted = track_of(RunState.QUEUED, seen=False, submitted_at=100.0)
    assert (submitted, False) == deny(submitted, moment)


def test_a_submitted_run_that_never_shows_is_lost():
    """30 seconds after its submission, denials of a run count."""
    submitted = track_of(RunState.QUEUED, seen=False, submitted_at=100.0)
    assert deny(submitted, 105.0, 129.0, 130.0, 135.0)[0].status.state is RunState.QUEUED
    assert deny(submitted, 105.0, 129.0, 130.0, 135.0, 140.0)[0].status.state is RunState.LOST


def test_a_run_that_was_seen_has_no_such_grace():
    """The 30 seconds are for runs that no read has shown."""
    assert deny(track_of(RunState.RUNNING, submitted_at=99.0), 101.0, 106.0, 111.0)[0].status.state is RunState.LOST


@pytest.mark.parametrize(
    ("moments", "state"),
    [
        ([101.0], RunState.RUNNING),
        ([101.0, 200.0], RunState.RUNNING),
        ([101.0, 105.0, 110.9], RunState.RUNNING),
        ([101.0, 105.0, 110.9, 111.0], RunState.LOST),
        ([101.0, 105.0, 111.0], RunState.LOST),
        ([101.0, 101.0, 101.0, 101.0], RunState.RUNNING),
    ],
)
def test_a_run_is_lost_after_three_denials_over_ten_seconds(moments, state):
    """It takes three answers and ten seconds; either alone is not enough."""
    track, never_seen = deny(track_of(RunState.RUNNING, submitted_at=None), *moments)
    assert (state, False) == (track.status.state, never_seen)


def test_what_was_known_of_a_lost_run_stays():
    """LOST keeps word, message and times; it waits for nothing any more."""
    known = {"vendor_status": "PAUSED", "message": "m", "started_at": NOON, "reason": WaitReason.PAUSED}
    status = deny(track_of(RunState.WAITING, **known), 101.0, 106.0, 111.0)[0].status
    assert RunStatus(
        state=RunState.LOST, vendor_status="PAUSED", message="m", started_at=NOON, observed_at=LATER
    ) == status  # fmt: skip


def test_an_answer_in_between_starts_the_count_again():
    """Denials count since the run was last shown."""
    shown = after(deny(track_of(RunState.RUNNING), 101.0, 106.0)[0], "running")
    assert (shown.absent_since, shown.absences) == (None, 0)
    assert deny(shown, 120.0, 125.0)[0].status.state is RunState.RUNNING
    assert deny(shown, 120.0, 125.0, 130.0)[0].status.state is RunState.LOST


def test_a_lost_run_may_reappear():
    """LOST is left for whatever the vendor shows, without an anomaly."""
    lost = deny(track_of(RunState.RUNNING), 101.0, 106.0, 111.0)[0]
    running, anomaly = see(lost, "running", asked_at=112.0)
    assert (running.status.state, running.absences, anomaly) == (RunState.RUNNING, 0, None)
    assert after(lost, "success").status.state is RunState.SUCCEEDED


def test_a_stale_denial_is_dropped():
    """A denial older than the last answer applied says nothing."""
    known = track_of(RunState.RUNNING)
    assert (known, False) == deny(known, 99.0)


def test_a_denial_of_the_same_instant_counts():
    """Only what is older is stale."""
    assert deny(track_of(RunState.RUNNING), 100.0)[0].absences == 1


def test_a_denial_makes_older_answers_stale():
    """A live word that was asked for before the denial is older news."""
    denied = deny(track_of(RunState.RUNNING), 105.0)[0]
    assert see(denied, "queued", asked_at=104.0) == (denied, None)


def test_an_answer_leaves_when_the_run_was_submitted():
    """What the vendor's reads show does not change when the run was handed over, or that its end was asked for."""
    track = see(evolve(track_of(RunState.RUNNING, submitted_at=50.0), cancel_accepted=True), "running")[0]
    assert (track.submitted_at, track.cancel_accepted) == (50.0, True)


@pytest.mark.parametrize("state", [state for state in RunState if state.is_final])
def test_a_denial_does_not_change_an_end(state):
    """History is cleaned up: how a run ended stays known."""
    known = track_of(state)
    assert (known, False) == deny(known, 101.0, 120.0, 140.0)


@pytest.mark.parametrize(
    "track",
    [track_of(RunState.RUNNING), track_of(RunState.QUEUED, seen=False, submitted_at=99.0), Track()],
    ids=["seen", "just submitted", "attached"],
)
def test_a_denial_after_an_accepted_cancellation_is_its_end(track):
    """A vendor that accepted the cancellation and then denies the run has removed it."""
    accepted = cancel_answered(track, CancelOutcome.REQUESTED)
    cancelled, never_seen = deny(accepted, 101.0)
    assert (
        cancelled.status.state, cancelled.status.cause, cancelled.status.observed_at, never_seen
    ) == (RunState.CANCELLED, Cause.BY_US, LATER, False)  # fmt: skip
    assert cancelled.asked_at == 101.0


# An id that belongs to another run


def test_an_id_of_another_flow_loses_the_run():
    """A record of another flow under the run's id means that the run is lost, with an anomaly."""
    track, anomaly = mismatched(
        track_of(RunState.WAITING, reason=WaitReason.PAUSED), "b.fmw", "a.fmw", observed_at=LATER
    )
    assert RunStatus(state=RunState.LOST, observed_at=LATER) == track.status
    assert "'a.fmw'" in anomaly
    assert "'b.fmw'" in anomaly


@pytest.mark.parametrize("state", sorted(SINKS))
def test_an_end_that_is_known_outlives_its_id(state):
    """How a run ended stays known, with an anomaly."""
    known = track_of(state)
    track, anomaly = mismatched(known, "b.fmw", "a.fmw", observed_at=LATER)
    assert known == track
    assert anomaly is not None


def test_a_lost_run_is_lost_once():
    """The anomaly of a lost run is not told at every look."""
    lost = track_of(RunState.LOST)
    assert (lost, None) == mismatched(lost, "b.fmw", "a.fmw", observed_at=LATER)


# Cancelling


@pytest.mark.parametrize("outcome", [CancelOutcome.REQUESTED, CancelOutcome.CONFIRMED])
@pytest.mark.parametrize("state", sorted(LIVE))
def test_an_accepted_cancellation_holds(state, outcome):
    """An accepted cancellation makes a live run CANCELLING, which the vendor's word then ends."""
    track = cancel_answered(track_of(state, message="m"), outcome)
    assert (track.status.state, track.cancel_accepted, track.status.message) == (RunState.CANCELLING, True, "m")


@pytest.mark.parametrize("state", sorted({*LIVE, RunState.CANCELLING}))
def test_a_confirmation_without_a_look_is_the_end(state):
    """A vendor that says the run is cancelled, and shows nothing of it, is believed: by us, at that moment."""
    known = track_of(state, message="m")
    track = cancel_answered(known, CancelOutcome.CONFIRMED, shown=False, observed_at=LATER)
    status = track.status
    assert (status.state, status.cause, status.reason) == (RunState.CANCELLED, Cause.BY_US, None)
    assert (status.message, status.observed_at, track.cancel_accepted) == ("m", LATER, True)
    assert cancel_answered(known, CancelOutcome.REQUESTED, shown=False).status.state is RunState.CANCELLING


@pytest.mark.parametrize("state", RunState)
def test_a_cancellation_that_came_too_late_changes_nothing(state):
    """TOO_LATE says nothing but that the run had ended; its word is read by the reducer."""
    known = track_of(state)
    assert known == cancel_answered(known, CancelOutcome.TOO_LATE)


@pytest.mark.parametrize("state", [state for state in RunState if state not in LIVE])
def test_a_cancellation_changes_no_end(state):
    """A run that has ended, or is being cancelled, stays so."""
    known = track_of(state)
    accepted = evolve(known, cancel_accepted=True)
    assert accepted == cancel_answered(known, CancelOutcome.REQUESTED)
    if state is not RunState.CANCELLING:
        assert accepted == cancel_answered(known, CancelOutcome.CONFIRMED, shown=False, observed_at=LATER)


# News

BASE = RunStatus(state=RunState.RUNNING)


@pytest.mark.parametrize(
    "change",
    [
        {"state": RunState.QUEUED}, {"vendor_status": "x"}, {"reason": WaitReason.PAUSED}, {"attempt": 2},
        {"progress": 0.1}, {"message": "x"},
    ],
)  # fmt: skip
def test_what_is_news(change):
    """Another state, word, reason, attempt, progress or message is a change."""
    assert changed(BASE, evolve(BASE, **change))


@pytest.mark.parametrize(
    "change", [{}, {"observed_at": NOON}, {"raw": b"x"}, {"started_at": NOON}, {"finished_at": NOON}]
)
def test_what_is_no_news(change):
    """A later look, another payload or a time told later is none."""
    assert not changed(BASE, evolve(BASE, **change))
    assert not changed(BASE, BASE)


# Any sequence of anything

WORD = st.sampled_from([*FME_WORDS, "HIBERNATING", "", "İ", "in process", None]) | st.text(max_size=8)
MOMENT = st.floats(0, 200, allow_nan=False)
TIME = st.none() | st.datetimes(timezones=st.just(UTC))
OBSERVATION = st.builds(
    Observation,
    word=WORD,
    cause=st.none() | st.sampled_from(Cause),
    has_warnings=st.booleans(),
    message=st.none() | st.text(max_size=5),
    progress=st.none() | st.floats(0, 1),
    queued_at=TIME,
    started_at=TIME,
    finished_at=TIME,
    is_result=st.booleans(),
    raw=st.none() | st.binary(max_size=3),
)
STEP = (
    st.tuples(st.just("see"), MOMENT, OBSERVATION)
    | st.tuples(st.just("deny"), MOMENT, st.none())
    | st.tuples(st.just("cancel"), MOMENT, st.sampled_from(CancelOutcome))
    | st.tuples(st.just("mismatch"), MOMENT, st.none())
)
START = st.sampled_from([Track(), track_of(RunState.QUEUED, seen=False, submitted_at=0.0, asked_at=0.0)])


def take(track, step):
    """What is known after a step."""
    kind, moment, what = step
    if kind == "see":
        return reduce(track, what, WORDS, asked_at=moment, observed_at=LATER)[0]
    if kind == "deny":
        return absent(track, asked_at=moment, observed_at=LATER)[0]
    if kind == "cancel":
        return cancel_answered(track, what)
    return mismatched(track, "b", "a", observed_at=LATER)[0]


def assert_lossless(old, new):
    """Nothing that was known is gone."""
    for name in ("vendor_status", "message", "progress", "queued_at", "started_at", "finished_at"):
        assert getattr(old, name) is None or getattr(new, name) is not None, name
    assert new.attempt >= old.attempt
    assert new.has_warnings >= old.has_warnings


def assert_coherent(status):
    """What is said fits the state."""
    assert (status.cause is not None) == (status.state in {RunState.FAILED, RunState.CANCELLED})
    assert status.reason is None or status.state is RunState.WAITING
    assert status.recognized or fold(status.vendor_status) not in WORDS


def was_corrected(old, new, step):
    """Whether a success was called a failure by its own result."""
    states = (old.state, new.state)
    return states == (RunState.SUCCEEDED, RunState.FAILED) and step[0] == "see" and step[2].is_result


@settings(deadline=None)
@given(START, st.lists(STEP, max_size=25))
def test_any_sequence_keeps_the_promises(track, steps):
    """Whatever comes, in any order: nothing raises, ends stay, nothing known is erased, attempts only grow."""
    for step in steps:
        old, asked_at = track.status, track.asked_at
        track = take(track, step)
        assert_lossless(old, track.status)
        assert_coherent(track.status)
        assert track.asked_at >= asked_at
        assert old.state not in SINKS or track.status.state is old.state or was_corrected(old, track.status, step)


@given(
    st.sampled_from(["success", "FME_FAILURE", "cancelled"]),
    st.lists(st.sampled_from(["queued", "running", "PAUSED", "HIBERNATING", "complete", None]), max_size=8),
    st.data(),
)
def test_an_end_is_known_in_any_order(final, live, data):
    """In whatever order the answers of a run come in, its final word is what counts."""
    asked = [(float(moment), word) for moment, word in enumerate([*live, final])]
    track = Track()
    for moment, word in data.draw(st.permutations(asked)):
        track, _ = see(track, word, asked_at=moment)
    assert WORDS[fold(final)].state is track.status.state
    assert final == track.status.vendor_status


@given(
    st.text()
    | st.lists(st.sampled_from([*RunState, *Cause, *WaitReason, "warnings", "/", " "]), max_size=4).map("".join)
)
def test_any_text_is_a_meaning_or_refused(text):
    """What the configuration says of a word is a meaning the table knows, or a ValueError."""
    try:
        meaning = parse_meaning(text)
    except ValueError:
        pass
    else:
        assert meaning.state in RunState
        assert meaning.reason is None or meaning.state is RunState.WAITING
