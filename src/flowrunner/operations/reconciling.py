"""Finding out about submissions whose outcome is uncertain, and about runs that a journal has not seen end."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from attrs import evolve, frozen

from flowrunner import events
from flowrunner.backend import Capability, RunQuery
from flowrunner.enums import ReconcileOutcome
from flowrunner.errors import FlowrunnerError
from flowrunner.models import Reconciliation, RunRef
from flowrunner.operations.steps import ask
from flowrunner.polling import ends_following

if TYPE_CHECKING:
    from flowrunner.backend import Listed
    from flowrunner.journal.values import Entry
    from flowrunner.operations.context import Context
    from flowrunner.operations.ledger import Ledger
    from flowrunner.operations.records import RunRecord, Runs
    from flowrunner.operations.steps import Operation

__all__ = ["Reconciling"]

SKEW: Final = timedelta(hours=1)
"""So far may the vendor's clock, or the zone it writes times in, be off."""
PAGES: Final = 50
"""Pages of a listing that are read at most."""


@frozen
class _Search:
    """What a listing showed of the runs of a flow.

    Attributes:
        runs: newest first.
        is_complete: whether there can be no others.
    """

    runs: tuple[Listed, ...]
    is_complete: bool


class Reconciling:
    """Finds out, on one connection.

    Args:
        context: the connection.
        runs: what is known of its runs.
        ledger: what was written down.
    """

    def __init__(self, context: Context, runs: Runs, ledger: Ledger) -> None:
        self._context = context
        self._runs = runs
        self._ledger = ledger

    def recover(self) -> Operation[list[RunRecord]]:
        """What the journal has not seen end; runs without an id are looked for."""
        known = yield from self._ledger.open_entries()
        records = [(entry, self._runs.remembered(entry, last)) for entry, last in known]
        lost = [(entry, record) for entry, record in records if entry.run_id is None]
        if lost:
            yield from self._context.prepared()
        searches: dict[str, _Search] = {}
        for entry, record in lost:
            if Capability.RECONCILE in self._context.backend.capabilities:
                yield from self._try(record, entry, searches)
        return [record for _, record in records]

    def _try(self, record: RunRecord, entry: Entry, searches: dict[str, _Search]) -> Operation[None]:
        """Look for one of many: a search that fails leaves it as it is, and the others are looked for all the same.

        Not so where looking again cannot mend it: the credential is refused, or the journal cannot be written.
        """
        try:
            if entry.flow not in searches:  # the entries come oldest first, so this reaches back far enough for all
                searches[entry.flow] = yield from self._search(entry.flow, entry.intended_at - SKEW)
            yield from self._judge(record, entry, searches[entry.flow])
        except FlowrunnerError as error:
            self._context.located(error, record.ref)
            if ends_following(error):
                raise
            self._context.emit(events.ContactFailed(connection=self._context.name, ref=record.ref, error=error))

    def reconcile(self, record: RunRecord) -> Operation[Reconciliation]:
        """Look for a run at the vendor."""
        yield from self._context.prepared()
        if record.ref.id is not None:
            return Reconciliation(ReconcileOutcome.FOUND, (record.ref,), self._context.now())
        if Capability.RECONCILE not in self._context.backend.capabilities:
            return Reconciliation(ReconcileOutcome.UNKNOWABLE, (), self._context.now())
        entry = yield from self._ledger.entry_of(record.ref)
        if entry is not None and entry.run_id is not None:  # somebody else has found it
            self._runs.found(record, entry.ref, None)
            return Reconciliation(ReconcileOutcome.FOUND, (record.ref,), self._context.now())
        search = yield from self._search(record.ref.flow, _since(record, entry))
        return (yield from self._judge(record, entry, search))

    def _search(self, flow: str, since: datetime | None) -> Operation[_Search]:
        """The runs of a flow that may have been started since then."""
        query = RunQuery(flow=flow, since=since)
        found: dict[str, Listed] = {}
        cursor = None
        for _ in range(PAGES):
            page = yield from ask(self._context.backend.list_runs(query, cursor))
            found.update((each.id, each) for each in page.items if _may_be(each, flow, since))
            cursor = page.next
            if cursor is None:
                break
        return _Search(tuple(found.values()), is_complete=cursor is None)

    def _judge(self, record: RunRecord, entry: Entry | None, search: _Search) -> Operation[Reconciliation]:
        as_of, key = self._context.now(), record.ref.key
        record.candidates = ()
        # One search serves many, and may reach further back than this one's.
        since = _since(record, entry)
        runs = [each for each in search.runs if _may_be(each, record.ref.flow, since)]
        bearing = [each for each in runs if key is not None and each.key == key]
        if bearing:
            return (yield from self._found(record, entry, bearing, as_of))
        claimed = yield from self._ledger.claimed()
        # Who bears another key is another's; who shows none is so only if this submission has one to show.
        fitting = [each for each in runs if not each.key and (each.key is None or key is None)]
        fitting = [each for each in fitting if each.id not in claimed]
        if fitting:
            return self._candidates(record, _nearest_first(fitting, since), as_of)
        if not search.is_complete:
            return Reconciliation(ReconcileOutcome.UNKNOWABLE, (), as_of)
        yield from self._ledger.absent(entry)
        return Reconciliation(ReconcileOutcome.NOT_FOUND, (), as_of)

    def _candidates(self, record: RunRecord, fitting: list[Listed], as_of: datetime) -> Reconciliation:
        record.candidates = tuple((self._ref_of(record, each), self._runs.listed(each).status) for each in fitting)
        return Reconciliation(ReconcileOutcome.CANDIDATES, tuple(ref for ref, _ in record.candidates), as_of)

    def _found(
        self, record: RunRecord, entry: Entry | None, bearing: list[Listed], as_of: datetime
    ) -> Operation[Reconciliation]:
        """The run that bears the key; of several, the first that was started. The others are named."""
        oldest_first = bearing[::-1]
        ordered = sorted(oldest_first, key=_started)
        refs = [self._ref_of(record, each) for each in ordered]
        yield from self._ledger.accepted(entry, ordered[0].id)
        self._runs.found(record, refs[0], ordered[0].observation)
        for twin in refs[1:]:
            text = f"the key {twin.key!r} started run {twin.id!r} too, beside {record.ref.id!r}"
            self._context.emit(events.Anomaly(connection=self._context.name, ref=twin, description=text))
        return Reconciliation(ReconcileOutcome.FOUND, tuple(refs), as_of)

    def _ref_of(self, record: RunRecord, listed: Listed) -> RunRef:
        return evolve(record.ref, id=listed.id)


def _since(record: RunRecord, entry: Entry | None) -> datetime | None:
    """Before this a run is not one of that submission; None where nobody knows when it was sent."""
    submitted_at = record.submitted_at if entry is None else entry.intended_at
    return None if submitted_at is None else submitted_at - SKEW


def _nearest_first(runs: list[Listed], since: datetime | None) -> list[Listed]:
    """By how far from the submission they were queued, as far as both is known; else as they were listed."""
    if since is None:
        return runs
    submitted_at = since + SKEW
    return sorted(runs, key=lambda each: abs(_started(each) - submitted_at))


def _started(listed: Listed) -> datetime:
    """When a run was queued, as far as a list shows it; a list has the newest first."""
    seen = listed.observation
    return seen.queued_at or seen.started_at or seen.finished_at or datetime.max.replace(tzinfo=UTC)


def _may_be(listed: Listed, flow: str, since: datetime | None) -> bool:
    """Whether a run may be one of this flow that was started after that; what is not shown speaks for it.

    A key says more than times do, which may be those of a clock that is off.
    """
    if listed.flow not in {flow, ""}:
        return False
    if listed.key:
        return True
    seen = listed.observation
    times = [moment for moment in (seen.queued_at, seen.started_at, seen.finished_at) if moment is not None]
    return since is None or not times or min(times) >= since
