"""Many things of one kind: a table on a terminal, tab-separated where they are piped, an object each with `--json`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from attrs import frozen
from rich.console import Console
from rich.table import Table
from rich.text import Text

from flowrunner.cli.output import unbroken

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from flowrunner.cli.output import Output

__all__ = ["Column", "Listing"]

T = TypeVar("T")

_GAP: Final = 2
"""Blanks between columns."""


@frozen
class Column:
    """A column of the table.

    Attributes:
        heading: what stands above it.
        is_whole: whether its cells are never cut: somebody copies them.
        wraps: whether a long cell goes on in the next line, rather than being cut.
    """

    heading: str
    is_whole: bool = False
    wraps: bool = False


@frozen
class Listing(Generic[T]):
    """How things of one kind are shown.

    Attributes:
        columns: of the table. One without anything in it is left out, as are the last ones where there is no room.
        cells: what stands in them, each a text, or a text and its style.
        fields: what is piped, always so many.
        record: the object that `--json` prints.
    """

    columns: Sequence[Column]
    cells: Callable[[T], Sequence[str | tuple[str, str]]]
    fields: Callable[[T], Sequence[str]]
    record: Callable[[T], dict[str, Any]]

    def show(self, items: Iterable[T], output: Output) -> int:
        """Write all; how many there were. What is piped is written as it comes."""
        console = Console()
        if output.as_json or not console.is_terminal:
            return sum(self._tell(item, output) for item in items)
        rows = [[_text(cell) for cell in self.cells(item)] for item in items]
        if rows:
            console.print(_table(self.columns, rows, console.width))
        return len(rows)

    def _tell(self, item: T, output: Output) -> int:
        output.data("\t".join(map(unbroken, self.fields(item))))
        output.record(self.record(item))
        return 1


def _text(cell: str | tuple[str, str]) -> Text:
    words, style = (cell, "") if isinstance(cell, str) else cell
    return Text(unbroken(words), style)


def _table(columns: Sequence[Column], rows: Sequence[Sequence[Text]], width: int) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    filled = [at for at in range(len(columns)) if any(row[at] for row in rows)]
    least = {at: _least(columns[at], [row[at] for row in rows]) for at in filled}
    shown = _with_room(least, width)
    for at in shown:
        column = columns[at]
        whole = min(least[at], width) if column.is_whole else None
        table.add_column(column.heading, overflow="fold", no_wrap=column.is_whole, min_width=whole)
    for row in rows:
        table.add_row(*(_fitted(row[at], columns[at]) for at in shown))
    return table


def _least(column: Column, cells: Sequence[Text]) -> int:
    """How narrow a column may become: the heading can be read, and what is whole stays so."""
    heading = len(column.heading)
    return max(heading, *(cell.cell_len for cell in cells)) if column.is_whole else heading


def _with_room(least: Mapping[int, int], width: int) -> list[int]:
    """The columns that there is room for: the last ones go first, and the first one stays."""
    shown = list(least)
    while len(shown) > 1 and sum(least[at] + _GAP for at in shown) - _GAP > width:
        shown.pop()
    return shown


def _fitted(cell: Text, column: Column) -> Text:
    if not column.is_whole and not column.wraps:
        cell.no_wrap, cell.overflow = True, "ellipsis"
    return cell
