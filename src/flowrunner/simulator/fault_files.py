"""Faults from a file: TOML, of which nothing is executed."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flowrunner.simulator.faults import Fault, Faults, takes
from flowrunner.simulator.misspelt import unknown

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping


def read_faults(path: str | Path) -> Faults:
    """Read faults: `seed`, and a table `[[fault]]` for each, with the names that `Fault` has.

    Raises:
        OSError: The file cannot be read.
        ValueError: It is not TOML, or says what makes no sense; the text names the fault and what may have been meant.
    """
    try:
        table = _table(Path(path))
        _check_keys(table, ("seed", "fault"))
        faults = tuple(_read_fault(number, each) for number, each in enumerate(_tables(table), start=1))
        return Faults(faults, seed=table.get("seed", 0))
    except (ValueError, TypeError, RecursionError) as error:
        raise ValueError(f"{path}: {_text(error)}") from None


def _table(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:  # also of other bytes, and of numbers and nesting beyond measure
        raise ValueError(f"it is not TOML: {error}") from None


def _tables(table: Mapping[str, Any]) -> list[dict[str, Any]]:
    tables = table.get("fault", [])
    if not isinstance(tables, list) or not all(isinstance(each, dict) for each in tables):
        raise TypeError("a fault is a table [[fault]]")
    return tables


def _read_fault(number: int, table: Mapping[str, Any]) -> Fault:
    try:
        _check_keys(table, takes(table.get("kind")))
        return Fault(**table)
    except (ValueError, TypeError) as error:
        raise ValueError(f"fault {number}: {_text(error)}") from None


def _check_keys(table: Mapping[str, Any], known: Collection[str]) -> None:
    for key in table:
        if key not in known:
            raise ValueError(unknown("key", key, known))


def _text(error: Exception) -> str:
    """Return what an error says; those of attrs have more to them than the text."""
    return str(error.args[0])
