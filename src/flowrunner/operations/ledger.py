"""What was submitted, as far as it is written down: in a journal, or in memory for submissions that have a key."""

from __future__ import annotations

import math
import secrets
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from attrs import evolve

from flowrunner.backend import Capability
from flowrunner.enums import RunState
from flowrunner.errors import InvalidRequest, JournalError, SubmissionUncertain, UnsupportedOperation
from flowrunner.journal.memory import Memory
from flowrunner.journal.senders import lives, this_process
from flowrunner.journal.store import refuse_other
from flowrunner.journal.values import Change, Entry, Intent
from flowrunner.journal.writer import OpenedOnce, Writer
from flowrunner.models import RunStatus
from flowrunner.operations.steps import ask, pause
from flowrunner.plans import call

if TYPE_CHECKING:
    from collections.abc import Callable

    from flowrunner.backend import Submission
    from flowrunner.errors import FlowrunnerError
    from flowrunner.journal.store import Journal
    from flowrunner.models import RunRef
    from flowrunner.operations.context import Context
    from flowrunner.operations.steps import Operation

__all__ = ["Ledger"]

ABANDONED: Final = "whoever submitted it did not wait for the answer"

T = TypeVar("T")

SENDER: Final = "sender"
"""The hint that says which process submits."""
PATIENCE: Final = "patience"
"""The hint that says for how many seconds it may take it, for systems that do not tell whether the process lives."""
MARGIN: Final = 300.0
"""Seconds beyond its own timeout that a submission may take: for its turn, for retries, for files that go before it."""
LONGEST_WAIT: Final = 8 * 24 * 3600.0
"""Seconds that a vendor may take for an answer at the end of the run, where the caller sets no limit."""
LONGEST_KEY: Final = 200
LOOK_AGAIN: Final = 0.2
"""Seconds between two looks into the journal while another program submits the same key."""


class Ledger:
    """Writes down what is submitted. Without a journal it remembers what has a key, for as long as the client lives.

    Args:
        context: the connection.
        journal: opens it, where that does no harm to an event loop; None without one.
    """

    def __init__(self, context: Context, journal: Callable[[], Journal] | None) -> None:
        self._context = context
        self._journal = None if journal is None else OpenedOnce(journal)
        self._memory = Memory(context.now)
        self._writer = None if self._journal is None else Writer(self._journal)

    @property
    def _book(self) -> Journal | Memory:
        """Where it is written down. A journal may be opened by that."""
        return self._memory if self._journal is None else self._journal()

    def check_key(self, key: Any) -> None:
        """Raise for a key that cannot be kept, or that nothing here keeps."""
        if key is None:
            return
        if not isinstance(key, str) or not 0 < len(key) <= LONGEST_KEY or not key.isprintable():
            raise InvalidRequest(f"a key is a text of 1 to {LONGEST_KEY} printable characters, not {key!r}")
        if self._journal is None and Capability.RECONCILE not in self._context.backend.capabilities:
            raise UnsupportedOperation(
                f"backend {self._context.backend.name!r} can do nothing with a key: use a journal, "
                "connect(..., journal=True)"
            )

    # Submitting

    def known(self, submission: Submission) -> Operation[Entry | None]:
        """What became of an earlier submission with this key; None if there was none, or if it is to be sent (again).

        Raises:
            InvalidRequest: the key belongs to a submission of something else.
            SubmissionUncertain: whether the earlier one started a run is not known.
        """
        key = submission.key
        found = None if key is None else (yield from self._do(lambda: self._book.find(self._context.name, key)))
        if key is None or found is None:
            return None
        found = yield from self._answered(found)
        if found.is_refused:
            return None
        refuse_other(found, (yield from self._do(lambda: self._intent(submission, key, None))))
        return self._settled(found)

    def intend(self, submission: Submission, wait: float | None) -> Operation[Entry | None]:
        """Write down what is about to be sent. None where nothing is written down.

        Args:
            submission: what is submitted.
            wait: seconds that the vendor is given for the answer; None for the usual timeout.

        Returns:
            The entry; without `is_new` nothing must be sent, since there is a run of it.

        Raises:
            JournalError: it cannot be written; nothing must be sent.
        """
        key = submission.key
        if key is None and self._journal is None:
            return None
        fresh = key or secrets.token_hex(8)
        intent = yield from self._do(lambda: self._intent(submission, fresh, wait))
        while True:
            entry = yield from self._do(lambda: self._book.intend(intent))
            if not entry.is_new and (yield from self._is_sent_now(entry)):  # by somebody who was quicker
                yield from self._answered(entry)
                entry = yield from self._do(lambda: self._book.intend(intent))
            if entry.is_new or self._settled(entry) is not None:
                return entry
            again = yield from self._do(partial(self._book.resubmit, entry, intent.hint))
            if again.is_new or self._settled(again) is not None:
                return again
            # Somebody sent it again, and it came to nothing: the key is free once more.

    def _intent(self, submission: Submission, key: str, wait: float | None) -> Intent:
        return Intent(
            connection=self._context.name,
            backend=self._context.backend.name,
            flow=submission.flow,
            key=key,
            digest=self._digest(submission),
            hint=self._hint(wait),
            at=self._context.now(),
        )

    def _digest(self, submission: Submission) -> str:
        payload = submission.payload
        if isinstance(payload, str) and self._context.backend.payload_text_is_path:
            payload = Path(payload)  # what counts is what is in the file
        return self._book.digest(submission.flow, submission.parameters, payload, submission.options)

    def _hint(self, wait: float | None) -> dict[str, str]:
        settings = self._context.settings
        patience = (settings.timeout if wait is None else wait) * (settings.retries + 1) + MARGIN
        return {SENDER: this_process(), PATIENCE: f"{patience:g}"}

    def _settled(self, entry: Entry) -> Entry | None:
        """An entry that has a run; None for one that may be sent again.

        Raises:
            SubmissionUncertain: neither is so.
        """
        if entry.run_id is not None:
            return entry
        if entry.absent_at is not None or entry.is_refused:
            return None
        awaited = ", or is still under way: then try again in a moment" if self.is_under_way(entry) else ""
        recover = "" if self._journal is None else ", or recover()"
        raise SubmissionUncertain(
            f"key {entry.key!r} was submitted before, and it is not known whether that started a run{awaited}. "
            f"Nothing was sent; attach this reference and call reconcile(){recover}",
            handle=entry.ref,
            ref=entry.ref,
        )

    def _answered(self, entry: Entry) -> Operation[Entry]:
        """What a key stands for when whoever submits it now has the answer; after a timeout, as it stands then."""
        ends = self._context.monotonic() + self._context.settings.timeout
        while (yield from self._is_sent_now(entry)) and self._context.monotonic() < ends:
            yield from pause(LOOK_AGAIN)
            entry = (yield from self._do(partial(self._book.find, self._context.name, entry.key))) or entry
        return entry

    def _is_sent_now(self, entry: Entry) -> Operation[bool]:
        """Whether a process that is known to live is about to send a submission, or waits for its answer."""
        if not entry.is_open or entry.uncertain is not None:
            return False
        return (yield from self._do(lambda: lives(entry.hint.get(SENDER, "")) is True))

    def is_under_way(self, entry: Entry) -> bool:
        """Whether who submitted it may still be about to send it, or be waiting for the answer."""
        if entry.uncertain is not None:
            return False
        alive = lives(entry.hint.get(SENDER, ""))
        waited = (self._context.now() - entry.intended_at).total_seconds()
        return waited < _patience_in(entry) if alive is None else alive

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

    def refused(self, entry: Entry | None, error: FlowrunnerError) -> Operation[None]:
        """Write down that nothing was started, or say with the error why that cannot be."""
        if entry is not None:
            yield from self._noted(error, lambda: self._book.refused(entry))

    def uncertain(self, entry: Entry | None, error: FlowrunnerError) -> Operation[None]:
        """Write down that nobody knows whether something was started, or say with the error why that cannot be."""
        if entry is not None:
            yield from self._noted(error, lambda: self._book.uncertain(entry, _kind_of(error)))

    def _noted(self, error: FlowrunnerError, write: Callable[[], None]) -> Operation[None]:
        """The caller has to hear of what went wrong with the submission: a journal's failure is a note to that."""
        try:
            yield from self._do(write)
        except JournalError as failure:
            error.add_note(f"This cannot be written into the journal: {failure.message}")

    def abandoned(self, entry: Entry | None) -> None:
        """Have it written down that nobody waits for the answer any more; this does not wait."""
        if entry is None:
            return
        if self._writer is None:
            self._memory.uncertain(entry, ABANDONED)
        else:
            self._writer.put(lambda journal: journal.uncertain(entry, ABANDONED))

    # Finding out

    def last_change(self, entry: Entry) -> Operation[Change | None]:
        """How the run stood last, as far as it is written down."""
        journal = self._journal
        if journal is None:
            return None
        return next(reversed((yield from self._do(lambda: journal().history(entry)))), None)

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
            book = journal()
            return [(entry, next(reversed(book.history(entry)), None)) for entry in book.open_entries(name)]

        return (yield from self._do(read))

    def entry_of(self, ref: RunRef) -> Operation[Entry | None]:
        """The submission whose key a reference bears."""
        key = ref.key
        return None if key is None else (yield from self._do(lambda: self._book.find(ref.connection, key)))

    def absent(self, entry: Entry | None) -> Operation[None]:
        """Write down that the vendor shows no run of it; not while an answer may still come."""
        if entry is not None and not self.is_under_way(entry):
            yield from self._do(lambda: self._book.absent(entry))

    def claimed(self) -> Operation[frozenset[str]]:
        """The runs that belong to other submissions."""
        return (yield from self._do(lambda: self._book.claimed(self._context.name)))

    # Following

    def note(self, ref: RunRef, status: RunStatus) -> None:
        """Have it written down how a run stands; this does not wait."""
        if self._writer is not None:
            self._writer.put(lambda journal: journal.changed(ref, status))

    def settle(self, ref: RunRef) -> Operation[bool]:
        """Take a run, which the vendor shows, for that of the key it bears; whether the key's submission was open.

        When this returns it is written down. A key that has its run already costs no more than reading that.

        Raises:
            InvalidRequest: the run is that of another key.
            JournalError: it cannot be read or written.
        """
        found = yield from self.entry_of(ref)
        if found is None or not found.is_open:
            return False
        return (yield from self._do(lambda: self._book.settle(ref)))

    def settled(self, ref: RunRef, status: RunStatus) -> Operation[None]:
        """Write down how a run stands that was just taken for that of its key."""
        journal = self._journal
        if journal is not None:
            yield from self._do(lambda: journal().changed(ref, status))

    def is_lost(self, ref: RunRef) -> Operation[bool]:
        """Whether it is written down that the vendor no longer knew a run."""
        journal = self._journal
        known = None if journal is None else (yield from self._do(lambda: journal().of_run(ref)))
        return known is not None and known.state is RunState.LOST

    def close(self) -> None:
        """Wait until all is written, and close the journal."""
        if self._writer is not None and self._journal is not None:
            self._writer.flush()
            self._journal.close()

    def dismiss(self, key: str) -> Operation[bool]:
        """Write down that a submission started nothing, as somebody says who looked; whether there is such a one."""
        found = yield from self._do(lambda: self._book.find(self._context.name, key))
        if found is None or found.run_id is not None or found.ended_at is not None:
            return False
        yield from self._do(lambda: self._book.refused(found))
        return True

    def _do(self, function: Callable[[], T]) -> Operation[T]:
        return (yield from ask(call(function)))


def _kind_of(error: FlowrunnerError) -> str:
    """What left a submission open, without a word of the vendor's: it may repeat what was submitted."""
    cause = error.__cause__ or error
    failure = getattr(cause, "failure", None)
    status = f"HTTP {error.http_status}" if error.http_status else ""
    return ", ".join(filter(None, (type(cause).__name__, str(failure or ""), status)))


def _patience_in(entry: Entry) -> float:
    """The seconds that the hint tells; none where it tells nothing that makes sense."""
    try:
        patience = float(entry.hint.get(PATIENCE, ""))
    except ValueError:
        return 0.0
    return patience if math.isfinite(patience) else 0.0
