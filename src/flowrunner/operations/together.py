"""Following many runs at once: by the vendor's lists where there are many, one by one where there are few.

A list of a thousand runs costs the vendor as much as a look at one. So what is live is asked for in pages; what is no
longer among it has ended, and is found in the pages of what ended last, or looked at by itself.
"""

from __future__ import annotations

from collections import deque
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from flowrunner import events
from flowrunner.backend import Capability, RunQuery
from flowrunner.enums import RunState
from flowrunner.errors import ContactLost, FlowrunnerError, RunNotFound, WaitTimeout
from flowrunner.follow import Contact, ends_following, pause_after
from flowrunner.operations.records import with_id
from flowrunner.operations.steps import ask, pause
from flowrunner.states import needs_a_person

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from flowrunner.backend import Listed
    from flowrunner.models import RunStatus
    from flowrunner.operations.context import Context
    from flowrunner.operations.following import Deadline
    from flowrunner.operations.records import RunRecord, Runs
    from flowrunner.operations.steps import Operation

__all__ = ["Together"]

FEW: Final = 20
"""So many runs are looked at one by one."""
PAGES: Final = 100
"""Pages of a list that are read at most in one round."""
SKEW: Final = timedelta(minutes=10)
"""So far may the vendor's clock be off, when it is asked what has ended since the round before."""
LEAST: Final = 0.001
"""Seconds between two looks: two clocks may differ by less."""
LIVE: Final = frozenset({RunState.QUEUED, RunState.RUNNING, RunState.WAITING})
ENDED: Final = frozenset({RunState.SUCCEEDED, RunState.FAILED, RunState.CANCELLED})


class _Pending:
    """A run that is followed.

    Attributes:
        record: which.
        contact: how long no look at it succeeded.
        due: when it is looked at next, in monotonic seconds.
    """

    def __init__(self, record: RunRecord, budget: float) -> None:
        self.record = record
        self.contact = Contact(budget)
        self.due = float("-inf")


class Together:
    """Many runs that are followed by one caller, who takes them as they come to their ends.

    A run that waits for a person counts as one that came to its end: without an answer it will not go on. So does one
    that the vendor denies and nobody has ever seen; its status says nothing then, and looking at it says why.

    Args:
        context: the connection.
        runs: what is known of its runs.
        deadline: when to give up.
    """

    def __init__(self, context: Context, runs: Runs, deadline: Deadline) -> None:
        self._context = context
        self._runs = runs
        self._deadline = deadline
        self._lists = Contact(context.settings.contact_budget)
        self._pending: list[_Pending] = []
        self._ready: deque[RunRecord] = deque()
        self._round_due = float("-inf")
        self._last_round: datetime | None = None
        self._lists_show = True

    def add(self, records: Iterable[RunRecord]) -> None:
        """Follow these, too.

        Raises:
            InvalidRequest: one has no id: it is not known whether there is such a run.
        """
        for record in records:
            if _is_done(record.status):
                self._ready.append(record)
            else:
                with_id(record.ref)
                self._pending.append(_Pending(record, self._context.settings.contact_budget))

    def __len__(self) -> int:
        return len(self._pending) + len(self._ready)

    def drop(self) -> list[RunRecord]:
        """Follow none of them any more; they are returned."""
        dropped = [*self._ready, *(each.record for each in self._pending)]
        self._ready.clear()
        self._pending.clear()
        return dropped

    def next(self) -> Operation[RunRecord | None]:
        """The next run that has come to its end; None if there is no other.

        Raises:
            WaitTimeout: the time is up; the runs go on.
            ContactLost: no look succeeded for `contact_budget`.
        """
        while not self._ready and self._pending:
            remaining = self._deadline.remaining(self._context.monotonic())
            length = yield from self._look()
            self._sort()
            if self._ready:
                break
            remaining = self._deadline.remaining(self._context.monotonic())
            if remaining is not None and remaining <= 0:
                raise self._timeout()
            yield from pause(length if remaining is None else min(length, remaining))
        return self._ready.popleft() if self._ready else None

    def _sort(self) -> None:
        """Take what has come to its end."""
        self._ready.extend(each.record for each in self._pending if _is_done(each.record.status))
        self._pending = [each for each in self._pending if not _is_done(each.record.status)]

    # Looking

    def _look(self) -> Operation[float]:
        """Look at what is due; the seconds until something is due again, more than 0."""
        try:
            yield from self._context.prepared(retry=False)
            if self._uses_lists():
                yield from self._look_at_lists()
                self._heard(self._lists, self._a_run())
        except FlowrunnerError as error:
            return self._unheard(self._lists, self._a_run(), error)
        if not self._uses_lists():
            for each in self._due():
                yield from self._look_at(each)
        return self._until_due()

    def _uses_lists(self) -> bool:
        return Capability.BULK in self._context.backend.capabilities and self._lists_show and len(self._pending) > FEW

    def _due(self) -> list[_Pending]:
        now = self._context.monotonic()
        return [each for each in self._pending if each.due <= now]

    def _until_due(self) -> float:
        now = self._context.monotonic()
        due = self._round_due if self._uses_lists() else min((each.due for each in self._pending), default=now)
        return max(due - now, LEAST)

    def _look_at(self, each: _Pending) -> Operation[None]:
        record = each.record
        try:
            yield from self._runs.look(record)
        except RunNotFound as error:
            self._context.located(error, record.ref)
            self._pending.remove(each)
            self._ready.append(record)
        except FlowrunnerError as error:
            each.due = self._context.monotonic() + self._unheard(each.contact, record, error)
        else:
            self._heard(each.contact, record)
            now = self._context.monotonic()
            each.due = now + pause_after(now - record.born, self._context.settings)

    def _look_at_lists(self) -> Operation[None]:
        """One round: what is live, what has ended since the last one, and by itself what neither shows."""
        began, now = self._context.now(), self._context.monotonic()
        missing = {each.record.ref.id: each for each in self._pending}
        followed = len(missing)
        yield from self._take_from(RunQuery(states=LIVE), missing)
        if len(missing) > FEW:
            since = None if self._last_round is None else self._last_round - SKEW
            yield from self._take_from(RunQuery(states=ENDED, since=since), missing)
        self._last_round = began
        self._lists_show = len(missing) < followed  # whoever may not list these runs looks at each
        for each in missing.values():
            yield from self._look_at(each)
        youngest = max((each.record.born for each in self._pending), default=now)
        self._round_due = now + pause_after(now - youngest, self._context.settings)

    def _take_from(self, query: RunQuery, missing: dict[str | None, _Pending]) -> Operation[None]:
        """Note what a list says of the runs that are missing, which they are no longer then."""
        cursor = None
        for _ in range(PAGES):
            asked_at = self._context.monotonic()
            page = yield from ask(self._context.backend.list_runs(query, cursor), retry=False)
            for listed in page.items:
                yield from self._note(missing.pop(listed.id, None), listed, asked_at)
            cursor = page.next
            if cursor is None or not missing:
                return

    def _note(self, found: _Pending | None, listed: Listed, asked_at: float) -> Operation[None]:
        if found is not None:
            yield from self._runs.shown(found.record, listed.observation, asked_at)
            found.due = asked_at + pause_after(asked_at - found.record.born, self._context.settings)

    # When it does not go as it should

    def _a_run(self) -> RunRecord:
        """One of those that are followed, to speak for all."""
        return self._pending[0].record

    def _heard(self, contact: Contact, record: RunRecord) -> None:
        if contact.succeeded():
            self._context.emit(events.ContactRestored(connection=self._context.name, ref=record.ref))

    def _unheard(self, contact: Contact, record: RunRecord, error: FlowrunnerError) -> float:
        """Note a failed look; how long to pause then."""
        self._context.located(error, record.ref)
        if ends_following(error):
            raise error
        self._context.emit(events.ContactFailed(connection=self._context.name, ref=record.ref, error=error))
        if contact.failed(self._context.monotonic()):
            raise ContactLost(
                f"no readable answer for {self._context.settings.contact_budget:g} s, about one of {len(self)} runs; "
                f"the last failure was: {error.message}. They are as they were: wait again when the vendor answers",
                status=record.status,
                ref=record.ref,
            ) from error
        return contact.pause(self._context.settings, error.retry_after)

    def _timeout(self) -> WaitTimeout:
        return WaitTimeout(
            f"{len(self._pending)} runs have not ended within {self._deadline.length:g} s: they go on, wait again",
            status=self._a_run().status,
        )


def _is_done(status: RunStatus) -> bool:
    """Whether there is nothing to wait for: it has ended, or a person has to do something first."""
    return status.state.is_final or needs_a_person(status)
