"""What was submitted, as far as it is written down: in a journal, or in memory for submissions that have a key."""

from __future__ import annotations

import math
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

from attrs import evolve

from flowrunner.backend import Capability
from flowrunner.enums import RunState
from flowrunner.errors import InvalidRequest, JournalError, SubmissionUncertain, UnsupportedOperation
from flowrunner.journal.memory import Memory
from flowrunner.journal.store import refuse_other
from flowrunner.journal.values import Change, Entry, Intent
from flowrunner.journal.writer import Writer
from flowrunner.models import RunStatus
from flowrunner.operations.steps import ask
from flowrunner.plans import call

if TYPE_CHECKING:
    from collections.abc import Callable

    from flowrunner.backend import Submission
    from flowrunner.journal.store import Journal
    from flowrunner.models import RunRef
    from flowrunner.operations.context import Context
    from flowrunner.operations.steps import Operation

__all__ = ["Ledger"]

T = TypeVar("T")

PATIENCE: Final = "patience"
"""The hint that says for how many seconds whoever submits may wait for the answer."""
MARGIN: Final = 30.0
"""Seconds beyond its timeouts that a submission may take."""
LONGEST_KEY: Final = 200


class Ledger:
    """Writes down what is submitted. Without a journal it remembers what has a key, for as long as the client lives.

    Args:
        context: the connection.
        journal: None without one.
    """

    def __init__(self, context: Context, journal: Journal | None) -> None:
        self._context = context
        self._journal = journal
        self._memory = Memory(context.now)
        self._writer = None if journal is None else Writer(journal)

    @property
    def _book(self) -> Journal | Memory:
        return self._journal or self._memory

    def check_key(self, key: str | None) -> None:
        """Raise for a key that cannot be kept, or that nothing here keeps."""
        if key is None:
            return
        if self._journal is None and Capability.RECONCILE not in self._context.backend.capabilities:
            raise UnsupportedOperation(
                f"backend {self._context.backend.name!r} can do nothing with a key: use a journal, "
                "connect(..., journal=True)"
            )
        if not 0 < len(key) <= LONGEST_KEY or not key.isprintable():
            raise InvalidRequest(f"a key is a text of 1 to {LONGEST_KEY} printable characters, not {key!r}")

    # Submitting

    def known(self, submission: Submission) -> Operation[Entry | None]:
        """What became of an earlier submission with this key; None if there was none, or if it is to be sent (again).

        Raises:
            InvalidRequest: the key belongs to a submission of something else.
            SubmissionUncertain: whether the earlier one started a run is not known.
        """
        key = submission.key
        found = None if key is None else (yield from self._do(lambda: self._book.find(self._context.name, key)))
        if key is None or found is None or found.is_refused:
            return None
        refuse_other(found, (yield from self._do(lambda: self._intent(submission, key, None))))
        return self._settled(found)

    def intend(self, submission: Submission, wait: float | None) -> Operation[Entry | None]:
        """Write down what is about to be sent. None where nothing is written down.

        Returns:
            The entry; without `is_new` nothing must be sent, since there is a run of it.

        Raises:
            JournalError: it cannot be written; nothing must be sent.
        """
        key = submission.key
        if key is None and self._journal is None:
            return None
        fresh = key or secrets.token_hex(8)
        entry = yield from self._do(lambda: self._book.intend(self._intent(submission, fresh, wait)))
        if entry.is_new or self._settled(entry) is not None:
            return entry
        again = yield from self._do(lambda: self._book.resubmit(entry))
        return again if again.is_new else self._settled(again)

    def _intent(self, submission: Submission, key: str, wait: float | None) -> Intent:
        return Intent(
            connection=self._context.name,
            backend=self._context.backend.name,
            flow=submission.flow,
            key=key,
            digest=self._digest(submission),
            hint={PATIENCE: f"{self._patience(wait):g}"},
            at=self._context.now(),
        )

    def _digest(self, submission: Submission) -> str:
        payload = submission.payload
        if isinstance(payload, str) and self._context.backend.payload_text_is_path:
            payload = Path(payload)  # what counts is what is in the file
        return self._book.digest(submission.flow, submission.parameters, payload, submission.options)

    def _patience(self, wait: float | None) -> float:
        settings = self._context.settings
        return (max(settings.timeout, wait or 0.0) + MARGIN) * (settings.retries + 1)

    def _settled(self, entry: Entry) -> Entry | None:
        """An entry that has a run; None for one that may be sent again.

        Raises:
            SubmissionUncertain: neither is so.
        """
        if entry.run_id is not None:
            return entry
        if entry.absent_at is not None or entry.is_refused:
            return None
        awaited = ", or is still under way" if self.is_under_way(entry) else ""
        raise SubmissionUncertain(
            f"key {entry.key!r} was submitted before, and it is not known whether that started a run{awaited}. "
            "Nothing was sent; attach this reference and call reconcile(), or recover()",
            handle=entry.ref,
            ref=entry.ref,
        )

    def is_under_way(self, entry: Entry) -> bool:
        """Whether who submitted it may still be waiting for the answer."""
        waited = (self._context.now() - entry.intended_at).total_seconds()
        return entry.uncertain is None and waited < _patience_in(entry)

    def accepted(self, entry: Entry | None, run_id: str, status: RunStatus | None = None) -> Operation[None]:
        """Write down the vendor's id.

        Raises:
            JournalError: it cannot be written; the error has the run's reference.
        """
        if entry is None:
            return
        stands = status or RunStatus(state=RunState.QUEUED, observed_at=self._context.now())
        try:
            yield from self._do(lambda: self._book.accepted(entry, run_id, stands))
        except JournalError as error:
            raise self._untold(error, entry, run_id) from error

    def _untold(self, error: JournalError, entry: Entry, run_id: str) -> JournalError:
        text = f"the vendor started run {run_id!r}, and that cannot be written into the journal: {error.message}"
        return JournalError(text, ref=error.ref or evolve(entry.ref, id=run_id))

    def refused(self, entry: Entry | None) -> Operation[None]:
        """Write down that nothing was started."""
        if entry is not None:
            yield from self._do(lambda: self._book.refused(entry))

    def uncertain(self, entry: Entry | None, why: str) -> Operation[None]:
        """Write down that it is not known whether something was started."""
        if entry is not None:
            yield from self._do(lambda: self._book.uncertain(entry, why))

    # Finding out

    def last_change(self, entry: Entry) -> Operation[Change | None]:
        """How the run stood last, as far as it is written down."""
        journal = self._journal
        if journal is None:
            return None
        return next(reversed((yield from self._do(lambda: journal.history(entry)))), None)

    def open_entries(self) -> Operation[list[tuple[Entry, Change | None]]]:
        """What was not seen to end, oldest first, each with how it stood last.

        Raises:
            UnsupportedOperation: there is no journal.
        """
        journal, name = self._journal, self._context.name
        if journal is None:
            raise UnsupportedOperation(
                "recover() needs a journal, which the client has not: connect(..., journal=True)"
            )

        def read() -> list[tuple[Entry, Change | None]]:
            return [(entry, next(reversed(journal.history(entry)), None)) for entry in journal.open_entries(name)]

        return (yield from self._do(read))

    def entry_of(self, ref: RunRef) -> Operation[Entry | None]:
        """The submission that a reference without an id stands for."""
        key = ref.key
        return None if key is None else (yield from self._do(lambda: self._book.find(self._context.name, key)))

    def absent(self, entry: Entry | None) -> Operation[None]:
        """Write down that the vendor shows no run of it; not while an answer may still come."""
        if entry is not None and not self.is_under_way(entry):
            yield from self._do(lambda: self._book.absent(entry))

    def claimed(self) -> Operation[frozenset[str]]:
        """The runs that belong to other submissions."""
        return (yield from self._do(lambda: self._book.claimed(self._context.name)))

    # Following

    def note(self, ref: RunRef, status: RunStatus) -> None:
        """Have it written down how a run of a submission stands; this does not wait."""
        if self._writer is not None and ref.key is not None and ref.id is not None:
            self._writer.put(ref, status)

    def close(self) -> None:
        """Wait until all is written, and close the journal."""
        if self._writer is not None and self._journal is not None:
            self._writer.flush()
            self._journal.close()

    def _do(self, function: Callable[[], T]) -> Operation[T]:
        return (yield from ask(call(function)))


def _patience_in(entry: Entry) -> float:
    """The seconds that the hint tells; none where it tells nothing that makes sense."""
    try:
        patience = float(entry.hint.get(PATIENCE, ""))
    except ValueError:
        return 0.0
    return patience if math.isfinite(patience) else 0.0
