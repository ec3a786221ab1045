"""The state machine: every rule about states is in this module, as tables, and nothing here does I/O.

The `words` of a backend turn a vendor's word into a `Meaning`. `reduce()` takes what is known of a run and what was
seen just now, and says what is known then. It is a reducer, not a validator: vendors skip states, requeue runs and
answer late, so nothing raises; what contradicts is reported as an anomaly.
"""

from __future__ import annotations

import sys
from enum import Enum
from typing import TYPE_CHECKING, Final

from attrs import evolve, field, frozen

from flowrunner.enums import CancelOutcome, Cause, RunState, WaitReason
from flowrunner.models import RunStatus

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

__all__ = [
    "KINDS",
    "NEED_PEOPLE",
    "RULES",
    "Glimpse",
    "Kind",
    "Meaning",
    "Observation",
    "Rule",
    "Track",
    "absent",
    "cancel_answered",
    "changed",
    "fold",
    "glimpsed",
    "mismatched",
    "needs_a_person",
    "parse_meaning",
    "reduce",
]

NOT_VISIBLE_YET: Final = 30.0
"""Seconds after a submission in which a run that the vendor does not know is one that it does not show yet."""
ABSENCES_TO_BE_LOST: Final = 3
"""So many answers that deny a run we have seen ..."""
ABSENT_FOR: Final = 10.0
"""... over at least so many seconds, and it is LOST."""


NEED_PEOPLE: Final = frozenset({WaitReason.USER_INPUT, WaitReason.FLOW_SELECTION})
"""What a run waits for that will not come without an answer."""


@frozen
class Meaning:
    """What a vendor's word says.

    Attributes:
        state: the state; None for a word that is known and leaves the outcome to the result.
        cause: why it failed or was cancelled.
        reason: what it waits for.
        has_warnings: whether it succeeded with warnings.
    """

    state: RunState | None
    cause: Cause | None = None
    reason: WaitReason | None = None
    has_warnings: bool = False


def fold(word: str) -> str:
    """The form in which words are compared: without case, spaces, `_` and `-`."""
    return word.casefold().replace(" ", "").replace("_", "").replace("-", "")


def parse_meaning(text: str) -> Meaning:
    """Read a meaning as configuration writes it: `running`, `failed/platform`, `waiting/user_input`.

    Raises:
        ValueError: the text names no state, or a detail its state does not have.
    """
    name, _, detail = text.strip().lower().partition("/")
    state = RunState(name)
    if state in {RunState.SUBMITTING, RunState.UNKNOWN}:
        raise ValueError(f"{state} is what is said before there is a word")
    if not detail:
        return Meaning(state, cause=Cause.UNSPECIFIED if state in _CAUSES else None)
    if state is RunState.WAITING:
        return Meaning(state, reason=WaitReason(detail))
    if detail == "warnings" and state is RunState.SUCCEEDED:
        return Meaning(state, has_warnings=True)
    if detail not in _CAUSES.get(state, ()):
        raise ValueError(f"{state} has no detail {detail!r}")
    return Meaning(state, cause=Cause(detail))


_CAUSES: Final[Mapping[RunState, frozenset[Cause]]] = {
    RunState.FAILED: frozenset({Cause.FLOW, Cause.PLATFORM, Cause.INTERRUPTED, Cause.UNSPECIFIED}),
    RunState.CANCELLED: frozenset({Cause.BY_US, Cause.BY_OTHER, Cause.UNSPECIFIED}),
}


@frozen(kw_only=True)
class Observation:
    """What one answer of a vendor says about a run, before anyone interprets it.

    Attributes:
        word: the vendor's status word as written; None where the answer has none.
        cause: refines what the word means, where the answer knows better.
        has_warnings: the answer says so, whatever the word.
        message: what the vendor says.
        progress: 0.0 to 1.0.
        queued_at: UTC; so are the next two.
        started_at: when work began.
        finished_at: when it ended.
        flow: the flow as the answer names it, to notice an id that belongs to another run.
        is_result: the answer is the run's result: it may correct a success to a failure.
        remarks: what is odd about the answer.
        raw: the payload as it came.
    """

    word: str | None = None
    cause: Cause | None = None
    has_warnings: bool = False
    message: str | None = None
    progress: float | None = None
    queued_at: datetime | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    flow: str | None = None
    is_result: bool = False
    remarks: tuple[str, ...] = ()
    raw: bytes | None = field(default=None, repr=False)


class Kind(Enum):
    """The states, as far as the rules tell them apart."""

    OPEN = "open"
    """SUBMITTING, UNKNOWN, QUEUED, RUNNING, WAITING: anything may follow."""
    CANCELLING = "cancelling"
    SINK = "ended"
    """SUCCEEDED, FAILED, CANCELLED: nothing follows."""
    LOST = "lost"


class Rule(Enum):
    """What to do with a state that was seen."""

    TAKE = "take the new state"
    HOLD = "keep the state, take the details"
    REFUSE = "keep everything and report an anomaly, unless it says the same"


KINDS: Final[Mapping[RunState, Kind]] = {
    RunState.SUBMITTING: Kind.OPEN,
    RunState.UNKNOWN: Kind.OPEN,
    RunState.QUEUED: Kind.OPEN,
    RunState.RUNNING: Kind.OPEN,
    RunState.WAITING: Kind.OPEN,
    RunState.CANCELLING: Kind.CANCELLING,
    RunState.SUCCEEDED: Kind.SINK,
    RunState.FAILED: Kind.SINK,
    RunState.CANCELLED: Kind.SINK,
    RunState.LOST: Kind.LOST,
}

RULES: Final[Mapping[tuple[Kind, Kind], Rule]] = {
    # what is known        what was seen
    (Kind.OPEN, Kind.OPEN): Rule.TAKE,  # RUNNING to QUEUED included: the vendor requeued it, an attempt more
    (Kind.OPEN, Kind.CANCELLING): Rule.TAKE,
    (Kind.OPEN, Kind.SINK): Rule.TAKE,
    (Kind.OPEN, Kind.LOST): Rule.TAKE,
    (Kind.CANCELLING, Kind.OPEN): Rule.HOLD,  # it runs until it does not
    (Kind.CANCELLING, Kind.CANCELLING): Rule.HOLD,
    (Kind.CANCELLING, Kind.SINK): Rule.TAKE,  # whatever it is: it may have finished first
    (Kind.CANCELLING, Kind.LOST): Rule.TAKE,
    (Kind.SINK, Kind.OPEN): Rule.REFUSE,
    (Kind.SINK, Kind.CANCELLING): Rule.REFUSE,
    (Kind.SINK, Kind.SINK): Rule.REFUSE,  # except a success that its own result calls a failure
    (Kind.SINK, Kind.LOST): Rule.REFUSE,  # history is cleaned up; how it ended stays known
    (Kind.LOST, Kind.OPEN): Rule.TAKE,  # it reappeared
    (Kind.LOST, Kind.CANCELLING): Rule.TAKE,
    (Kind.LOST, Kind.SINK): Rule.TAKE,
    (Kind.LOST, Kind.LOST): Rule.HOLD,
}


@frozen(kw_only=True)
class Track:
    """What is known of a run, and what is needed to judge the next answer. Instants are monotonic seconds.

    Attributes:
        status: what the caller sees.
        asked_at: when the request was sent whose answer was applied last.
        submitted_at: when the submission was answered; None for a run that was attached.
        seen: whether a read has shown the run; the submission's own answer is not a read.
        cancel_accepted: the vendor accepted our request to cancel.
        absent_since: when the vendor first denied the run, since it was last shown.
        absences: how often it has, since then.
    """

    status: RunStatus = field(factory=RunStatus)
    asked_at: float = float("-inf")
    submitted_at: float | None = None
    seen: bool = False
    cancel_accepted: bool = False
    absent_since: float | None = None
    absences: int = 0


@frozen
class Glimpse:
    """An answer that says of a run what is known already; one is shared by all runs of a page.

    Attributes:
        asked_at: when the request was sent, in monotonic seconds.
        observed_at: when the answer came.
    """

    asked_at: float
    observed_at: datetime


def glimpsed(track: Track, glimpse: Glimpse) -> Track:
    """Apply an answer that says nothing new; one that came late says nothing at all."""
    if glimpse.asked_at < track.asked_at:
        return track
    status = evolve(track.status, observed_at=glimpse.observed_at)
    return evolve(track, status=status, asked_at=glimpse.asked_at)


def reduce(
    track: Track, observation: Observation, words: Mapping[str, Meaning], *, asked_at: float, observed_at: datetime
) -> tuple[Track, str | None]:
    """Apply an answer to what is known.

    Args:
        track: what is known.
        observation: what the answer says.
        words: the vendor's vocabulary, by folded word.
        asked_at: when the request was sent, in monotonic seconds.
        observed_at: when the answer came.

    Returns:
        What is known then, and an anomaly in words, if there is one.
    """
    meaning = words.get(fold(observation.word)) if observation.word is not None else _SAYS_NOTHING
    is_final = meaning is not None and meaning.state is not None and meaning.state.is_final
    if asked_at < track.asked_at and not is_final:
        return track, None
    status, anomaly = _judge(track, observation, meaning, observed_at)
    shown = Track(
        status=status,
        asked_at=max(asked_at, track.asked_at),
        submitted_at=track.submitted_at,
        seen=True,
        cancel_accepted=track.cancel_accepted,
    )
    return shown, anomaly


_SAYS_NOTHING: Final = Meaning(None)


def _judge(track: Track, seen: Observation, meaning: Meaning | None, at: datetime) -> tuple[RunStatus, str | None]:
    known = track.status
    state = known.state if meaning is None or meaning.state is None else meaning.state
    rule = RULES[KINDS[known.state], KINDS[state]]
    if rule is Rule.REFUSE:
        return _judge_ended(track, seen, meaning, state, at)
    return _merge(track, seen, meaning, known.state if rule is Rule.HOLD else state, at), None


def _judge_ended(
    track: Track, seen: Observation, meaning: Meaning | None, state: RunState, at: datetime
) -> tuple[RunStatus, str | None]:
    known = track.status
    if meaning is not None and state is known.state:
        return _merge(track, seen, meaning, state, at), None
    anomaly = f"the run had ended as {known.state}, and now the vendor says {seen.word!r}"
    if seen.is_result and (known.state, state) == (RunState.SUCCEEDED, RunState.FAILED):
        return _merge(track, seen, meaning, state, at), f"{anomaly} in its result: the failure counts"
    return known, anomaly


def _merge(track: Track, seen: Observation, meaning: Meaning | None, state: RunState, at: datetime) -> RunStatus:
    """The new status in `state`: what the answer says, over what was known; nothing known is erased."""
    known = track.status
    word = _word(known, seen, meaning)
    is_new_word = word != known.vendor_status or meaning is None
    requeued = known.state is RunState.RUNNING and state is RunState.QUEUED and track.seen
    return RunStatus(
        state=state,
        vendor_status=word,
        recognized=meaning is not None if seen.word is not None else known.recognized,
        cause=_cause(track, seen, meaning, state),
        reason=meaning.reason if meaning is not None and meaning.state is state else _kept_reason(known, state),
        message=seen.message or known.message,
        progress=known.progress if seen.progress is None else seen.progress,
        attempt=known.attempt + requeued,
        has_warnings=known.has_warnings or seen.has_warnings or (meaning is not None and meaning.has_warnings),
        queued_at=seen.queued_at or known.queued_at,
        started_at=seen.started_at or known.started_at,
        finished_at=seen.finished_at or known.finished_at,
        observed_at=at,
        raw=seen.raw if is_new_word else known.raw,
    )


def _word(known: RunStatus, seen: Observation, meaning: Meaning | None) -> str | None:
    """The word to show: not another spelling of the known one, nor, of an ended run, one that does not say how."""
    if seen.word is None:
        return known.vendor_status
    if known.vendor_status is not None and fold(seen.word) == fold(known.vendor_status):
        return known.vendor_status
    says_nothing = meaning is not None and meaning.state is None
    return known.vendor_status if says_nothing and known.state.is_final else sys.intern(seen.word)  # many runs share it


def _kept_reason(known: RunStatus, state: RunState) -> WaitReason | None:
    return known.reason if state is known.state else None


def _cause(track: Track, seen: Observation, meaning: Meaning | None, state: RunState) -> Cause | None:
    """The most specific of what is known."""
    if state not in _CAUSES:
        return None
    if state is RunState.CANCELLED and track.cancel_accepted:
        return Cause.BY_US
    known = track.status.cause if track.status.state is state else None
    for cause in (seen.cause, meaning.cause if meaning is not None else None, known):
        if cause is not None and cause is not Cause.UNSPECIFIED:
            return cause
    return Cause.UNSPECIFIED


def absent(track: Track, *, asked_at: float, observed_at: datetime) -> tuple[Track, bool]:
    """Apply the vendor's answer that it does not know the run.

    Returns:
        What is known then, and whether the run is one that nobody has ever shown us.
    """
    known = track.status
    if known.state.is_final or asked_at < track.asked_at:
        return track, False
    if track.cancel_accepted:
        cancelled = _cancelled(known, observed_at)
        return evolve(track, status=cancelled, asked_at=asked_at), False
    if track.submitted_at is None and not track.seen:
        return track, True
    if track.submitted_at is not None and not track.seen and asked_at - track.submitted_at < NOT_VISIBLE_YET:
        return track, False
    since = asked_at if track.absent_since is None else track.absent_since
    counted = evolve(track, asked_at=asked_at, absent_since=since, absences=track.absences + 1)
    if counted.absences >= ABSENCES_TO_BE_LOST and asked_at - since >= ABSENT_FOR:
        lost = evolve(known, state=RunState.LOST, reason=None, observed_at=observed_at)
        return evolve(counted, status=lost), False
    return counted, False


def mismatched(track: Track, shown: str, expected: str, *, observed_at: datetime) -> tuple[Track, str | None]:
    """Apply an answer that shows another flow than the run's: its id was given to another run.

    A restored server does so. What became of the run cannot be known, unless it was known before.
    """
    anomaly = f"the vendor shows flow {shown!r} under this id, which was a run of {expected!r}"
    if track.status.state.is_final:
        return track, None if track.status.state is RunState.LOST else anomaly
    status = evolve(track.status, state=RunState.LOST, reason=None, observed_at=observed_at)
    return evolve(track, status=status), anomaly


def cancel_answered(
    track: Track, outcome: CancelOutcome, *, shown: bool = True, observed_at: datetime | None = None
) -> Track:
    """Apply the vendor's answer to our request to cancel.

    Args:
        track: what is known.
        outcome: what became of the request.
        shown: whether the answer shows the run: its word is applied by `reduce`, then.
        observed_at: when the answer came.
    """
    if outcome is CancelOutcome.TOO_LATE:
        return track
    accepted = evolve(track, cancel_accepted=True)
    if KINDS[track.status.state] not in {Kind.OPEN, Kind.CANCELLING}:
        return accepted
    if outcome is CancelOutcome.CONFIRMED and not shown:
        return evolve(accepted, status=_cancelled(track.status, observed_at))
    at = observed_at or track.status.observed_at
    cancelling = evolve(track.status, state=RunState.CANCELLING, reason=None, observed_at=at)
    return evolve(accepted, status=cancelling)


def _cancelled(known: RunStatus, at: datetime | None) -> RunStatus:
    return evolve(known, state=RunState.CANCELLED, cause=Cause.BY_US, reason=None, observed_at=at)


def needs_a_person(status: RunStatus) -> bool:
    """Whether the run will not go on without an answer."""
    return status.state is RunState.WAITING and status.reason in NEED_PEOPLE


def changed(old: RunStatus, new: RunStatus) -> bool:
    """Whether a person would call it news: another state, word, reason, attempt, progress or message."""
    return old is not new and _news(old) != _news(new)


def _news(status: RunStatus) -> tuple[object, ...]:
    return (status.state, status.vendor_status, status.reason, status.attempt, status.progress, status.message)
