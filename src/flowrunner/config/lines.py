"""On which line of a file a key stands: `tomllib` does not tell."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Lines"]

_LONGEST: Final = 500
"""Lines of one value, at most; what comes behind a longer one has no line. It bounds the work."""


class Lines:
    """The lines of a TOML document, which is read when one is first asked for; it never shows what it says.

    Args:
        text: a document that `tomllib` takes.
    """

    def __init__(self, text: str) -> None:
        self._text = text.replace("\r\n", "\n")

    def of(self, *keys: str) -> int | None:
        """The line of a key, or else of the nearest table around it; None where there is neither."""
        for length in range(len(keys), 0, -1):
            if keys[:length] in self._found:
                return self._found[keys[:length]]
        return None

    @cached_property
    def _found(self) -> Mapping[tuple[str, ...], int]:
        """Where each key is mentioned first.

        The parser itself reads one statement after the other: as many lines as it takes until they are TOML. So quoted
        and dotted keys, arrays of tables and whatever stands in strings are what they are to it.
        """
        found: dict[tuple[str, ...], int] = {}
        table: tuple[str, ...] = ()
        lines: list[str] = []
        for number, line in enumerate(self._text.split("\n"), 1):
            lines.append(line)
            statement = _statement("\n".join(lines))
            if statement is not None:
                is_header = lines[0].lstrip().startswith("[")
                paths = list(_paths(statement, () if is_header else table))
                for path in paths:
                    found.setdefault(path, number - len(lines) + 1)
                table = paths[-1] if is_header else table
                lines = []
            elif len(lines) == _LONGEST:
                break
        return found


def _statement(text: str) -> dict[str, Any] | None:
    """What a part of a document says by itself; None while it is not complete."""
    import tomllib

    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return None


def _paths(value: Any, above: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """All keys in a value, outer ones first."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield (*above, key)
            yield from _paths(inner, (*above, key))
