"""The end of the soak: the servers' own books against the journal, and against what callers were told.

Three sides say what became of a key: the server, which knows what it started; the journal; and the workers, which wrote
down what the library told them. `compare` is given all three and says where they differ. It does no I/O.
"""

from __future__ import annotations

import re
from collections import Counter
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from attrs import field, frozen

from flowrunner.enums import ReconcileOutcome, RunState

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from flowrunner.journal import Entry

NOT_FOUND: Final = "not_found"
"""What a worker was told of a run that the vendor has never shown and does not know."""
FORGOTTEN: Final = frozenset({RunState.LOST, NOT_FOUND})
"""What may only be said of a run that the server has forgotten."""
OPEN: Final = frozenset({ReconcileOutcome.CANDIDATES, ReconcileOutcome.UNKNOWABLE})
"""What leaves it open whether a run was started."""


@frozen
class Started:
    """A run in a server's books.

    Attributes:
        id: as the vendor shows it.
        key: whose it is, by what was submitted; None if by nobody's.
        state: how it ended.
        is_repeat: whether the request was repeated on the way, and its client had not asked for this run.
        at: when it was started.
        forgotten_at: when the server forgot it, None if it still shows it.
    """

    id: str
    key: str | None
    state: str
    at: datetime
    is_repeat: bool = False
    forgotten_at: datetime | None = None

    @property
    def is_known(self) -> bool:
        """Whether the server still shows it."""
        return self.forgotten_at is None


@frozen(kw_only=True)
class Told:
    """What the library told a worker about a key.

    Attributes:
        key: the key.
        id: of its run.
        state: how that ended; None where the id alone was told.
        outcome: of `reconcile()` at the very end, where there is no id.
        candidates: the ids it listed.
    """

    key: str
    id: str | None = None
    state: str | None = None
    outcome: str | None = None
    candidates: tuple[str, ...] = field(default=(), converter=tuple)


@frozen
class Account:
    """How the sides compare, for one vendor. What must not be is a text for each case of it.

    Attributes:
        keys: how many the journal knows.
        runs: how many the server started.
        ends: how often a worker was told an end.
        twice: runs started twice by us.
        lost: ids that nobody has, that are somebody else's, or that changed.
        wrong: ends that are not what the books say.
        strays: runs that belong to no key.
        uncertain: keys of which it is not known whether a run was started, by cause.
        absent: how many keys have no run, as the vendor said.
        repeats: how many runs were started by requests that were repeated on the way.
        forgotten: how many keys were rightly submitted again, since the server had forgotten the first run by then.
    """

    keys: int
    runs: int
    ends: int
    twice: tuple[str, ...]
    lost: tuple[str, ...]
    wrong: tuple[str, ...]
    strays: tuple[str, ...]
    uncertain: Counter[str]
    absent: int
    repeats: int
    forgotten: int

    @property
    def violations(self) -> tuple[str, ...]:
        """All that must not be."""
        return self.twice + self.lost + self.wrong + self.strays


def compare(started: Iterable[Started], entries: Iterable[Entry], told: Iterable[Told]) -> Account:
    """Compare the sides.

    Args:
        started: the server's books, in their order.
        entries: the journal.
        told: what workers were told, in the order of the telling.
    """
    runs, by_key, said = list(started), {entry.key: entry for entry in entries}, list(told)
    keys = sorted({run.key for run in runs if run.key} | set(by_key) | {each.key for each in said})
    cases = [
        _Case(
            key,
            tuple(run for run in runs if run.key == key),
            by_key.get(key),
            tuple(each for each in said if each.key == key),
        )
        for key in keys
    ]
    return Account(
        keys=len(by_key),
        runs=len(runs),
        ends=sum(each.state is not None for each in said),
        twice=tuple(text for case in cases for text in case.twice()),
        lost=tuple(text for case in cases for text in case.lost()),
        wrong=tuple(text for case in cases for text in case.wrong()),
        strays=tuple(f"run {run.id} was started for nobody" for run in runs if run.key is None),
        uncertain=Counter(case.cause for case in cases if case.is_uncertain),
        absent=sum(case.outcome == ReconcileOutcome.NOT_FOUND for case in cases),
        repeats=sum(run.is_repeat for run in runs),
        forgotten=sum(len(case.asked_for) > 1 for case in cases if not list(case.twice())),
    )


@frozen
class _Case:
    """A key, from all sides."""

    key: str
    runs: tuple[Started, ...]
    entry: Entry | None
    told: tuple[Told, ...]

    @property
    def asked_for(self) -> tuple[Started, ...]:
        """The runs that are our doing."""
        return tuple(run for run in self.runs if not run.is_repeat)

    @property
    def ids(self) -> frozenset[str]:
        """Those that workers were told."""
        return frozenset(each.id for each in self.told if each.id is not None)

    @property
    def outcome(self) -> str | None:
        """What the last question after its run was answered with, where there is no id."""
        return next((each.outcome for each in reversed(self.told) if each.outcome is not None), None)

    @property
    def is_uncertain(self) -> bool:
        """Whether it is said to be open whether a run was started."""
        entry = self.entry
        return entry is not None and entry.run_id is None and not entry.is_refused and self.outcome in OPEN

    @property
    def cause(self) -> str:
        """Why it is uncertain, and what the vendor says to that."""
        text = self.entry.uncertain if self.entry is not None else None
        status = re.search(r"HTTP \d+", text or "")
        why = "process killed" if text is None else status[0] if status else "no answer"
        return f"{why}, {self.outcome}"

    def twice(self) -> Iterator[str]:
        """A run that we asked for although there was one. One that the server had forgotten by then does not count."""
        runs = self.asked_for
        if any(_was_there(run, later.at) or run.id in self.ids for run, later in pairwise(runs)):
            yield f"{self.key} was started {len(runs)} times: {', '.join(run.id for run in runs)}"

    def lost(self) -> Iterator[str]:
        """What is wrong about who has its id."""
        entry = self.entry
        if entry is None:
            yield f"{self.key} is not in the journal"
        elif entry.run_id is None:
            yield from self._lost_without_id(entry)
        elif entry.run_id not in {run.id for run in self.runs}:
            yield f"{self.key} is run {entry.run_id} in the journal, which the server never started for it"
        for other in sorted(self.ids - {entry.run_id if entry is not None else None}):
            yield f"{self.key} was told as run {other}, which is not what the journal has"

    def _lost_without_id(self, entry: Entry) -> Iterator[str]:
        there = {run.id for run in self.runs if run.is_known}
        if not entry.is_refused and self.outcome is None:
            yield f"{self.key} was not asked after"
        elif there and not self.is_uncertain:
            yield f"{self.key} started {', '.join(sorted(there))}, and is said to have started nothing"
        elif self.outcome == ReconcileOutcome.CANDIDATES and not there <= self._candidates:
            yield f"{self.key} started {', '.join(sorted(there))}, not all of which are among its candidates"

    @property
    def _candidates(self) -> frozenset[str]:
        return frozenset(id_ for each in self.told for id_ in each.candidates)

    def wrong(self) -> Iterator[str]:
        """Ends that are not those in the books."""
        runs = {run.id: run for run in self.runs}
        said = [(each.id, each.state, "told") for each in self.told if each.state is not None]
        if self.entry is not None and self.entry.run_id is not None:
            said.append((self.entry.run_id, self.entry.state, "in the journal"))
        for id_, state, where in said:
            run = runs.get(id_ or "")
            if run is not None and not _is_so(state, run):
                there = "" if run.is_known else ", and forgotten"
                yield f"{self.key}, run {id_}, is {state} {where}, and {run.state}{there} in the books"


def _was_there(run: Started, moment: datetime) -> bool:
    return run.forgotten_at is None or run.forgotten_at > moment


def _is_so(state: str | None, run: Started) -> bool:
    return state == run.state or (state in FORGOTTEN and not run.is_known)
