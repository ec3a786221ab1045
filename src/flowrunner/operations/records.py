"""What a client knows of its runs, and how an answer changes that."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Any, ClassVar, Final

from attrs import evolve, frozen

from flowrunner import events
from flowrunner.enums import RunState
from flowrunner.errors import InvalidRequest, RunNotFound
from flowrunner.models import RunRef, RunStatus
from flowrunner.operations.masking import NOTHING_HIDDEN, Masker
from flowrunner.operations.steps import ask
from flowrunner.states import Track, absent, cancel_answered, changed, glimpsed, mismatched, reduce

if TYPE_CHECKING:
    from datetime import datetime

    from flowrunner.backend import Accepted, CancelAnswer, Listed, Outcome, Sighting
    from flowrunner.follow import Followed, Schedule
    from flowrunner.journal.values import Change, Entry
    from flowrunner.models import RemoteFile, RunResult
    from flowrunner.operations.context import Context
    from flowrunner.operations.ledger import Ledger
    from flowrunner.operations.steps import Operation
    from flowrunner.states import Glimpse, Observation

__all__ = ["RunRecord", "Runs", "with_id"]

HISTORY: Final = 200
"""Entries of a run's history that are kept."""
LOST: Final = RunState.LOST


@frozen
class _Rarities:
    """What is known of few runs, as the attributes of `RunRecord` have it."""

    uploads: tuple[RemoteFile, ...] = ()
    submitted_at: datetime | None = None
    outcome: Outcome | None = None
    candidates: tuple[tuple[RunRef, RunStatus], ...] = ()


NONE: Final = _Rarities()


def _rare(name: str) -> Any:
    def get(record: RunRecord) -> Any:
        return getattr(record.rarities, name)

    def put(record: RunRecord, value: Any) -> None:
        if value != get(record):
            record.rarities = evolve(record.rarities, **{name: value})

    return property(get, put)


class RunRecord:
    """All a client knows of one run.

    Attributes:
        ref: the run.
        changes: how many entries the history has had.
        expected_flow: what the vendor must call the run's flow: an id may have been given to another run since.
        hidden: hides the values of password parameters in what the vendor says.
        uploads: files that were brought to the vendor for it.
        born: when we first heard of it, in monotonic seconds.
        submitted_at: the time of day at which it was submitted, where that was here.
        is_settled: whether there is nothing to find out about its key; else the first look at it says that it is the
            run of that key.
        outcome: its details, where the answer to the submission had them.
        result: read once.
        candidates: the runs that may be it, with how they stood in the vendor's list.
        followed: who waits for it; None if nobody does.
        rarities: `uploads`, `submitted_at`, `outcome` and `candidates`, which few runs have.
        glimpse: the last answer that said nothing new, where it was not looked at more closely.
        lock: held while what is known changes; one for all, since that takes microseconds and there are many runs.
    """

    lock: ClassVar[threading.RLock] = threading.RLock()

    __slots__ = (
        "_history", "_track", "born", "changes", "expected_flow", "followed", "glimpse", "hidden",
        "is_settled", "rarities", "ref", "result",
    )  # fmt: skip

    def __init__(self, ref: RunRef, track: Track, *, born: float, expected_flow: str | None = None) -> None:
        self.ref = ref
        self._track = track
        self._history: tuple[RunStatus, ...] = ()
        self.rarities = NONE
        self.changes = 0
        self.expected_flow = expected_flow
        self.hidden = NOTHING_HIDDEN
        self.born = born
        self.is_settled = True
        self.result: RunResult | None = None
        self.followed: Followed | None = None
        self.glimpse: Glimpse | None = None

    uploads = _rare("uploads")
    submitted_at = _rare("submitted_at")
    outcome = _rare("outcome")
    candidates = _rare("candidates")

    @property
    def track(self) -> Track:
        """What is known of its state; replaced under `lock`."""
        glimpse = self.glimpse  # what was only glimpsed is not kept: there may be ten thousand runs
        return self._track if glimpse is None else glimpsed(self._track, glimpse)

    @track.setter
    def track(self, track: Track) -> None:
        self._track, self.glimpse = track, None

    @property
    def status(self) -> RunStatus:
        """What the caller sees."""
        return self.track.status

    @property
    def known(self) -> RunStatus:
        """As `status`, but for the time when that was seen last; for whoever asks often."""
        return self._track.status

    @property
    def is_expected(self) -> bool:
        """Whether the vendor should know the run: it has shown it, or has taken its submission."""
        return self._track.seen or self._track.submitted_at is not None

    @property
    def is_denied(self) -> bool:
        """Whether the vendor says that it has no such run, which may pass."""
        return self._track.absent_since is not None

    @property
    def history(self) -> tuple[RunStatus, ...]:
        """What was known, without payloads, oldest first."""
        return tuple(status.without_raw() for status in self._history)

    def remember(self) -> None:
        """Add what is known now to the history."""
        # The last one is what is known now, as a rule: it is not kept twice.
        before = [*self._history[:-1], *(status.without_raw() for status in self._history[-1:])]
        self._history = (*before, self.known)[-HISTORY:]
        self.changes += 1

    def is_as_known(self, sighting: Sighting, glimpse: Glimpse) -> bool:
        """Whether a page says of the run what is known; then that is noted, and costs next to nothing."""
        track = self._track
        status = track.status
        if (
            sighting.word != status.vendor_status
            or not track.seen
            or not self.is_settled
            or track.absent_since is not None
            or status.state is LOST
            or (sighting.message is not None and sighting.message != status.message)
            or (sighting.progress is not None and sighting.progress != status.progress)
        ):
            return False
        self.glimpse = glimpse
        return True


def _renew_lock() -> None:  # pragma: no cover - it runs in child processes alone
    RunRecord.lock = threading.RLock()


if hasattr(os, "register_at_fork"):  # pragma: no branch - Windows forks nothing
    os.register_at_fork(after_in_child=_renew_lock)  # a thread that held it may not be in the child process


class Runs:
    """The runs of one connection: how they come to be known, and what becomes known of them.

    Args:
        context: the connection.
        ledger: what is written down of them.
        schedule: who waits for them.
    """

    def __init__(self, context: Context, ledger: Ledger, schedule: Schedule) -> None:
        self._context = context
        self._ledger = ledger
        self._schedule = schedule
        self._uncertain: dict[RunRef, datetime] = {}

    def attach(self, ref: RunRef | str, submitted_at: datetime | None = None) -> RunRecord:
        """A run that was started before, or elsewhere, and when, where that is known; nothing is asked."""
        ref = RunRef.parse(ref) if isinstance(ref, str) else ref
        if not isinstance(ref, RunRef):
            raise InvalidRequest(f"{ref!r} is not a run reference: give a RunRef, or the text that str(run.ref) gives")
        here = self._context.name
        backend = self._context.backend
        if _place(ref.connection, backend.family) != _place(here, backend.family):
            raise InvalidRequest(f"{ref} belongs to connection {ref.connection!r}, not to {here!r}: connect to that")
        if not _is_family(ref.backend, backend.family, backend.name):
            raise InvalidRequest(f"{ref} was made by backend {ref.backend!r}, which {backend.name!r} cannot follow")
        state = RunState.UNKNOWN if ref.id is not None else RunState.SUBMITTING
        born = self._born(submitted_at)
        taken = born if submitted_at is not None and ref.id is not None else None
        track = Track(status=RunStatus(state=state), submitted_at=taken)
        record = RunRecord(ref, track, born=born, expected_flow=ref.flow or None)
        record.submitted_at = submitted_at or self._uncertain.get(ref)
        record.is_settled = ref.id is None or ref.key is None
        return record

    def _born(self, submitted_at: datetime | None) -> float:
        """When a run was submitted, in monotonic seconds; now, where nobody knows."""
        now = self._context.monotonic()
        if submitted_at is None:
            return now
        if submitted_at.tzinfo is None:
            raise InvalidRequest("`submitted_at` has no time zone: give it one, such as datetime.now(UTC) has")
        return now - max((self._context.now() - submitted_at).total_seconds(), 0.0)

    def uncertain(self, ref: RunRef, submitted_at: datetime) -> None:
        """Remember when a submission was sent whose outcome is unknown; of several alike, the first."""
        self._uncertain.setdefault(ref, submitted_at)

    def accepted(self, ref: RunRef, accepted: Accepted, hidden: Masker) -> RunRecord:
        """A run that the vendor has just accepted."""
        now = self._context.monotonic()
        track = Track(status=RunStatus(state=RunState.QUEUED, observed_at=self._context.now()), submitted_at=now)
        record = RunRecord(evolve(ref, id=accepted.id), track, born=now)
        record.hidden = hidden
        record.outcome = accepted.outcome
        record.remember()
        self._context.emit(events.Submitted(connection=self._context.name, ref=record.ref))
        self._context.notice(accepted.remarks)
        if accepted.observation.word is not None:
            self.apply(record, accepted.observation, now)
            record.track = evolve(record.track, seen=False)
        return record

    def listed(self, item: Listed) -> RunRecord:
        """A run that the vendor has listed."""
        ref = RunRef(self._context.name, self._context.backend.name, item.flow, item.id)
        now = self._context.monotonic()
        record = RunRecord(ref, Track(), born=now, expected_flow=item.flow or None)
        self.apply(record, item.observation, now, quietly=True)
        return record

    def remembered(self, entry: Entry, last: Change | None = None) -> RunRecord:
        """A run, or a submission, that the journal knows; as it stood there."""
        status = RunStatus(state=entry.state)
        if last is not None:
            status = RunStatus(
                state=last.state,
                vendor_status=last.vendor_status,
                cause=last.cause,
                reason=last.reason,
                observed_at=last.at,
            )
        born = self._born(entry.accepted_at or entry.intended_at)
        track = Track(
            status=status,
            submitted_at=born if entry.run_id is not None else None,
            seen=status.vendor_status is not None or status.state.is_final,
        )
        record = RunRecord(entry.ref, track, born=born, expected_flow=entry.flow)
        record.submitted_at = entry.intended_at
        return record

    def found(self, record: RunRecord, ref: RunRef, seen: Observation | None) -> None:
        """A submission turns out to have started this run."""
        with record.lock:
            record.ref = ref
            record.track = evolve(record.track, status=evolve(record.status, state=RunState.UNKNOWN), seen=True)
        self._context.emit(events.Submitted(connection=self._context.name, ref=ref))
        if seen is not None:
            self.apply(record, seen, self._context.monotonic())

    def look(self, record: RunRecord, *, hold: float = 0.0, at_most: float | None = None) -> Operation[bool]:
        """Look at a run once; whether the vendor has shown it."""
        ref = with_id(record.ref)
        asked_at = self._context.monotonic()
        try:
            seen = yield from ask(self._context.backend.observe(ref, hold), retry=False, at_most=at_most)
        except RunNotFound:
            if self._absent(record, asked_at) and not (yield from self._lost_before(record)):
                raise
            return False
        yield from self.shown(record, seen, asked_at)
        return True

    def shown(
        self, record: RunRecord, seen: Observation, asked_at: float, observed_at: datetime | None = None
    ) -> Operation[None]:
        """Note that the vendor shows the run, and what it says about it: just now, or when a page of many came.

        What somebody attached by a key and an id, and is seen for the first time, is the run of that key from then on.

        Raises:
            InvalidRequest: it is the run of another key. Nothing is noted.
        """
        may_settle = not record.is_settled and _other_flow(record, seen) is None
        is_news = may_settle and (yield from self._ledger.settle(record.ref))
        if is_news:
            self._context.emit(events.Submitted(connection=self._context.name, ref=record.ref))
        self.apply(record, seen, asked_at, observed_at=observed_at)
        if is_news:
            yield from self._ledger.settled(record.ref, record.status)
        record.is_settled = True

    def _lost_before(self, record: RunRecord) -> Operation[bool]:
        """Whether a run that the vendor denies was LOST when it was seen last; then it is so again."""
        if not (yield from self._ledger.is_lost(record.ref)):
            return False
        with record.lock:
            old = record.track.status
            lost = evolve(old, state=RunState.LOST, reason=None, observed_at=self._context.now())
            record.track = evolve(record.track, status=lost)
            new = self._noted(record, old)
        self._tell(record, old, new, ())
        return True

    def apply(
        self,
        record: RunRecord,
        seen: Observation,
        asked_at: float,
        *,
        observed_at: datetime | None = None,
        quietly: bool = False,
    ) -> None:
        """Note what an answer says about the run; `quietly` where it is no news, but how the run was found."""
        now = observed_at or self._context.now()
        seen = record.hidden.observation(self._context.masker.observation(seen))
        with record.lock:
            old = record.track.status
            if (other := _other_flow(record, seen)) is not None:
                record.track, anomaly = mismatched(record.track, *other, observed_at=now)
            else:
                record.expected_flow = record.expected_flow or (
                    record.ref.flow if seen.flow == record.ref.flow else seen.flow
                )
                record.track, anomaly = reduce(
                    record.track, seen, self._context.backend.words, asked_at=asked_at, observed_at=now
                )
            new = self._noted(record, old)
        remarks = seen.remarks if changed(old, new) else ()
        if not quietly:
            self._tell(record, old, new, remarks if anomaly is None else (*remarks, anomaly))

    def cancel_answered(self, record: RunRecord, answer: CancelAnswer, asked_at: float) -> None:
        """Note what the vendor said to our request to cancel."""
        with record.lock:
            old = record.track.status
            record.track = cancel_answered(
                record.track, answer.outcome, shown=answer.observation is not None, observed_at=self._context.now()
            )
            new = self._noted(record, old)
        self._tell(record, old, new, ())
        if answer.observation is not None:
            self.apply(record, answer.observation, max(asked_at, record.track.asked_at))

    def _absent(self, record: RunRecord, asked_at: float) -> bool:
        """Note that the vendor does not know the run; whether nobody has ever shown it to us."""
        with record.lock:
            old = record.track.status
            record.track, never_seen = absent(record.track, asked_at=asked_at, observed_at=self._context.now())
            new = self._noted(record, old)
        self._tell(record, old, new, ())
        return never_seen

    def _noted(self, record: RunRecord, old: RunStatus) -> RunStatus:
        new = record.status
        if changed(old, new):
            record.remember()
        return new

    def _tell(self, record: RunRecord, old: RunStatus, new: RunStatus, anomalies: tuple[str, ...]) -> None:
        where, ref = self._context.name, record.ref
        for anomaly in anomalies:
            self._context.emit(events.Anomaly(connection=where, ref=ref, description=anomaly))
        if not changed(old, new):
            return
        if not new.recognized and new.vendor_status is not None and new.vendor_status != old.vendor_status:
            self._context.emit(events.UnknownWord(connection=where, ref=ref, word=new.vendor_status))
        self._context.emit(events.StatusChanged(connection=where, ref=ref, old=old, new=new))
        self._ledger.note(ref, new)
        if record.followed is not None:
            self._schedule.settle(record.followed)


def with_id(ref: RunRef) -> RunRef:
    """The reference, if it has an id.

    Raises:
        InvalidRequest: it has none, so nothing can be asked about the run.
    """
    if ref.id is None:
        raise InvalidRequest(f"{ref} has no id: it is not known whether the vendor started this run")
    return ref


def _other_flow(record: RunRecord, seen: Observation) -> tuple[str, str] | None:
    """The flow that the vendor shows under the id, and the run's, where they differ."""
    shown, expected = seen.flow, record.expected_flow
    return (shown, expected) if shown and expected and shown != expected else None


def _place(connection: str, family: str) -> str:
    """The part of an inline connection's name that says where: `fme-flow-v3@host` is the server of `fme-flow@host`."""
    backend, at, address = connection.partition("@")
    return at + address if at and _is_family(backend, family, family) else connection


def _is_family(backend: str, family: str, name: str) -> bool:
    return backend in {name, family} or backend.startswith(f"{family}-v")
