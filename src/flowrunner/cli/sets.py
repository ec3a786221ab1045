"""Files with a set of parameters in each row: CSV and JSON Lines. No error shows what is in a row."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING, Any, Final

from attrs import frozen

from flowrunner.cli.assignments import Assignment, assigned
from flowrunner.cli.value_files import by_suffix, from_json, label, text_of
from flowrunner.errors import InvalidRequest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    Said = tuple[int, tuple[Assignment, ...]]

__all__ = ["Row", "read_rows"]


@frozen
class Row:
    """A set of parameters.

    Attributes:
        place: file and line, as errors name them.
        line: where it begins in the file, from 1.
        assignments: what it says.
    """

    place: str
    line: int
    assignments: tuple[Assignment, ...]


def read_rows(file: str) -> tuple[Row, ...]:
    """All rows of a file, whose suffix says what it is; stdin is JSON Lines. Empty lines are none.

    Raises:
        InvalidRequest: it cannot be read, or a row makes no sense, which its line is named for.
    """
    name, read = label(file), by_suffix(file, _READERS, stdin=".jsonl")
    return tuple(Row(_place(name, line), line, said) for line, said in read(text_of(file), name))


def _place(name: str, line: int) -> str:
    return f"{name}, line {line}"


def _json_lines(text: str, name: str) -> Iterator[Said]:
    for line, each in enumerate(text.split("\n"), 1):
        if each.strip():
            yield line, assigned(_object(each, name, line))


def _object(text: str, name: str, line: int) -> dict[str, Any]:
    try:
        said = from_json(text)
    except json.JSONDecodeError as error:
        problem = f"this is not JSON (column {error.colno})"
    except (ValueError, RecursionError):
        problem = "this cannot be read as JSON"
    else:
        if isinstance(said, dict):
            return said
        problem = 'a row is an object, {"NAME": VALUE}'
    raise _wrong(name, line, problem)


def _wrong(name: str, line: int, problem: str) -> InvalidRequest:
    return InvalidRequest(f"{_place(name, line)}: {problem}")


def _comma_separated(text: str, name: str) -> Iterator[Said]:
    """By commas, or by the semicolons that some spreadsheets write: no parameter's name has one."""
    first = text.partition("\n")[0]
    return _separated(text, name, ";" if ";" in first and "," not in first else ",")


def _tab_separated(text: str, name: str) -> Iterator[Said]:
    return _separated(text, name, "\t")


def _separated(text: str, name: str, delimiter: str) -> Iterator[Said]:
    rows = _cells(text, name, delimiter)
    line, header = next(rows, (1, []))
    names = [cell.strip() for cell in header]
    if not all(names) or not names:
        raise _wrong(name, line, "the first row names the parameters, and each column has to have a name")
    for line, cells in rows:
        if len(cells) != len(names):
            raise _wrong(name, line, f"a row of {len(cells)} cells, where the first has {len(names)}")
        # A cell without anything in it says nothing.
        yield line, tuple(Assignment(*said) for said in zip(names, cells, strict=True) if said[1])


def _cells(text: str, name: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """The rows, and the lines they begin in: a quoted cell may have several."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    line = 1
    try:
        for cells in reader:
            if cells:
                yield line, cells
            line = reader.line_num + 1
    except csv.Error as error:
        problem = str(error)
    else:
        return
    raise _wrong(name, line, f"this is not CSV: {problem}")


_READERS: Final[Mapping[str, Callable[[str, str], Iterator[Said]]]] = {
    ".csv": _comma_separated,
    ".tsv": _tab_separated,
    ".jsonl": _json_lines,
    ".ndjson": _json_lines,
}
