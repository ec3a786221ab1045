"""What becomes of the rows of a file, each of which is to have a run."""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING, Any, Final

import click
from attrs import define
from rich.text import Text

from flowrunner.cli.exit_codes import ExitCode
from flowrunner.cli.following import ago, bar, details
from flowrunner.cli.outcome import code_of_state, error_object
from flowrunner.cli.output import COLOURS, one_line
from flowrunner.enums import RunState
from flowrunner.errors import FlowrunnerError, InvalidRequest
from flowrunner.events import StatusChanged, Submitted
from flowrunner.models import RunStatus

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from rich.console import Console, ConsoleOptions

    from flowrunner.cli.sets import Row
    from flowrunner.events import Event
    from flowrunner.models import MapItem, RunRef

__all__ = ["Taken", "Tally"]

_NOT_STARTED: Final = "not started"


@define
class Taken:
    """A row that was taken, and what became of it.

    Attributes:
        index: its place among the rows, from 0.
        row: itself.
        flow: what is run.
        key: that of its run; None without.
        ref: its run; None if nothing was started.
        status: how that stands.
        problem: an error as JSON, of a row whose run was not started, or not followed to its end.
        is_over: whether nothing more is to come.
        is_new: whether its run was started now, and not before with the same key.
    """

    index: int
    row: Row
    flow: str
    key: str | None = None
    ref: RunRef | None = None
    status: RunStatus | None = None
    problem: dict[str, Any] | None = None
    is_over: bool = False
    is_new: bool = False

    @property
    def state(self) -> str:
        """In a word."""
        if self.status is None:
            return _NOT_STARTED if self.is_over else RunState.SUBMITTING
        return self.status.state

    @property
    def code(self) -> ExitCode:
        """What it says about the command, once it is over."""
        if self.problem is not None:
            return next(code for code in ExitCode if code == self.problem["exit_code"])
        state = RunState(self.state)
        return code_of_state(state) if state.is_final else ExitCode.WAITING

    def fail(self, error: Exception) -> None:
        """Note what went wrong, and in which row."""
        told = error if isinstance(error, FlowrunnerError) else InvalidRequest(str(error))
        self.problem = error_object(told)
        self.problem["message"] = f"{self.row.place}: {told.message}"

    def fields(self) -> tuple[str, ...]:
        """For programs: index, reference, state, and what is said of it, which are empty where there is nothing."""
        said = ((self.status and self.status.message) or "") if self.problem is None else self.problem["message"]
        return str(self.index), str(self.ref or ""), self.state, one_line(said)

    def line(self) -> str:
        """For people: the same, in colour."""
        state = click.style(self.state, fg=_COLOURS.get(self.state))
        said = details(self.status or RunStatus()) if self.problem is None else f": {one_line(self.problem['message'])}"
        return f"{self.index}  {self.ref or '-'}  {state}{said}"

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        shown = {
            "index": self.index,
            "line": self.row.line,
            "ref": None if self.ref is None else str(self.ref),
            "id": None if self.ref is None else self.ref.id,
            "flow": self.flow,
            "status": None if self.status is None else self.status.to_dict(),
        }
        return shown if self.problem is None else {**shown, **self.problem, "ref": shown["ref"]}


class Tally:
    """All rows of a file, and those that were taken.

    Args:
        flow: what is run.
        rows: all of them.
        key: of the file as a whole: with the place of a row behind it, it is the key of that row's run.

    Attributes:
        taken: those that were taken, in their order.
    """

    def __init__(self, flow: str, rows: Sequence[Row], key: str | None = None) -> None:
        self.rows = rows
        self.taken: list[Taken] = []
        self._flow = flow
        self._key = key
        self._by_run: dict[RunRef, Taken] = {}
        self._started = time.monotonic()

    @property
    def code(self) -> ExitCode:
        """That of the first row whose run did not succeed."""
        return next((each.code for each in self.taken if each.code is not ExitCode.SUCCEEDED), ExitCode.SUCCEEDED)

    def taking(self, sets: Iterable[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
        """The sets of parameters of the rows, noting which are taken."""
        for index, (row, parameters) in enumerate(zip(self.rows, sets, strict=True)):
            key = None if self._key is None else f"{self._key}:{index}"
            self.taken.append(Taken(index, row, self._flow, key))
            yield parameters

    def note(self, event: Event) -> None:
        """Note how a run stands; one that was submitted is that of the row taken last."""
        if isinstance(event, Submitted):
            self._by_run[event.ref] = self.taken[-1]
            self.taken[-1].ref, self.taken[-1].status = event.ref, RunStatus(state=RunState.QUEUED)
            self.taken[-1].is_new = True
        elif isinstance(event, StatusChanged):
            taken = self._by_run.get(event.ref) or self._known(event.ref)
            if taken is not None:
                taken.status = event.new

    def _known(self, ref: RunRef) -> Taken | None:
        """The row that was given a run from before: nothing told that it was submitted."""
        found = next((each for each in self.taken if each.key is not None and each.key == ref.key), None)
        if found is not None:
            self._by_run[ref], found.ref = found, ref
        return found

    def ended(self, item: MapItem) -> Taken:
        """Note what became of a row."""
        taken = self.taken[item.index]
        taken.is_over = True
        if item.run is not None:
            taken.ref, taken.status = item.run.ref, item.run.status
        if item.error is not None:
            taken.fail(item.error)
        return taken

    def break_off(self) -> list[Taken]:
        """The rows that are not over, of which no more will be seen."""
        open_ones = [each for each in self.taken if not each.is_over]
        for each in open_ones:
            # Who was taken after another knows that there is a run: it was started before, with the same key.
            is_unknown = each.ref is None and each is self.taken[-1]
            what = "it is not known whether a run was started" if is_unknown else "not seen to end"
            message = f"{each.row.place}: {what}: the command was interrupted"
            each.problem = {"error": "Interrupted", "message": message, "exit_code": int(ExitCode.INTERRUPTED)}
        return open_ones

    def summary(self) -> str:
        """How many rows there are, and how those that were taken stand."""
        counts = ", ".join(f"{count} {state}" for state, count in self._counts())
        rows = "1 row" if len(self.rows) == 1 else f"{len(self.rows)} rows"
        return f"{rows}: {counts or 'nothing was started'}"

    def known(self) -> Iterator[str]:
        """What there is to say of rows whose runs were started before."""
        known = [each for each in self.taken if each.ref is not None and each.ref.id is not None and not each.is_new]
        if known:
            keys = f"{known[0].key!r}" + (f" to {known[-1].key!r}" if len(known) > 1 else "")
            yield (
                f"{len(known)} of them had been started before, with the keys of these rows ({keys}), and were not"
                " started again. To run them again, give another --key."
            )

    def left(self) -> Iterator[str]:
        """What there is to say of the rows that were not taken."""
        if len(self.taken) < len(self.rows):
            yield f"Nothing was started from {self.rows[len(self.taken)].place} on."

    def _counts(self) -> list[tuple[str, int]]:
        counts = Counter(each.state for each in list(self.taken))
        return [(state, counts[state]) for state in (*RunState, _NOT_STARTED) if counts[state]]

    def __rich_console__(self, _console: Console, options: ConsoleOptions) -> Iterator[Text]:
        """One line: how far it is as a bar, where there is room for one, and the counts."""
        over = sum(each.is_over for each in list(self.taken))
        counts = Text(f"{over} of {len(self.rows)}")
        for state, count in self._counts():
            counts.append(f"  {count} ").append(state, _COLOURS.get(state, ""))
        elapsed = (ago(self._started), "dim"), "  "
        whole = Text.assemble(*elapsed, *bar(over / len(self.rows), "green"), counts)
        shown = whole if whole.cell_len <= options.max_width else Text.assemble(*elapsed, counts)
        shown.no_wrap, shown.overflow = True, "ellipsis"
        yield shown


_COLOURS: Final[Mapping[str, str]] = {_NOT_STARTED: "red", **{str(state): colour for state, colour in COLOURS.items()}}
