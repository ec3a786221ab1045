"""What the tables hold, as values, and values as the tables hold them."""

from __future__ import annotations

import json
import os
from datetime import MAXYEAR, MINYEAR, UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from flowrunner.enums import Cause, RunState, WaitReason
from flowrunner.errors import JournalError
from flowrunner.journal.values import Change, Entry, Intent

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping

__all__ = ["change_of", "columns", "entry_at", "first", "insert", "moment", "plain", "select", "text"]


_SENSELESS: Final = (ValueError, TypeError, IndexError, RecursionError)
"""What a row raises that something else wrote: values of another type, a column under another name."""


def insert(db: sqlite3.Connection, table: str, row: Mapping[str, Any]) -> int | None:
    """Add a row; its number."""
    marks = ", ".join("?" * len(row))
    statement = f"INSERT INTO {table} ({', '.join(row)}) VALUES ({marks})"  # noqa: S608 - the names are ours
    return db.execute(statement, (*row.values(),)).lastrowid


def first(db: sqlite3.Connection, where: str, *values: Any) -> Entry | None:
    """The first entry of those that `select` finds."""
    return next(iter(select(db, f"{where} LIMIT 1", *values)), None)


def entry_at(db: sqlite3.Connection, seq: int | None) -> Entry:
    """The entry with this number.

    Raises:
        JournalError: there is none.
    """
    found = first(db, "seq = ?", seq)
    if found is None:
        raise JournalError(f"the journal has no entry {seq}: its key was used again after a refusal, or it was removed")
    return found


def select(db: sqlite3.Connection, where: str, *values: Any) -> list[Entry]:
    """The entries for which a condition holds."""
    given = [text(value) if isinstance(value, str) else value for value in values]
    rows = db.execute(f"SELECT * FROM entries WHERE {where}", given)  # noqa: S608 - conditions are ours, values are apart
    return [_entry_of(row) for row in rows.fetchall()]


def columns(intent: Intent) -> dict[str, Any]:
    """The row of a new entry."""
    return {
        "connection": text(intent.connection),
        "backend": text(intent.backend),
        "flow": text(intent.flow),
        "key": text(intent.key),
        "digest": intent.digest,
        "hint": json.dumps(dict(intent.hint)),
        "state": RunState.SUBMITTING,
        "attempts": 1,
        "intended_at": moment(intent.at),
        "pid": os.getpid(),
    }


def _entry_of(row: sqlite3.Row) -> Entry:
    try:
        return Entry(
            seq=row["seq"],
            connection=_text(row["connection"]),
            backend=_text(row["backend"]),
            flow=_text(row["flow"]),
            key=_text(row["key"]),
            digest=_text(row["digest"]),
            hint=_hint(row["hint"]),
            run_id=_text_or_none(row["run_id"]),
            state=RunState(row["state"]),
            attempts=_number(row["attempts"]),
            uncertain=_text_or_none(row["uncertain"]),
            intended_at=_time(row["intended_at"]),
            accepted_at=_time_or_none(row["accepted_at"]),
            ended_at=_time_or_none(row["ended_at"]),
            pid=_number(row["pid"]),
            absent_at=_time_or_none(row["absent_at"]),
        )
    except _SENSELESS as error:
        raise _damaged(f"entry {row['seq']}", error) from error


def change_of(row: sqlite3.Row) -> Change:
    """A row of the history."""
    try:
        return Change(
            at=_time(row["at"]),
            run_id=_text(row["run_id"]),
            state=RunState(row["state"]),
            vendor_status=_text_or_none(row["vendor_status"]),
            cause=None if row["cause"] is None else Cause(row["cause"]),
            reason=None if row["reason"] is None else WaitReason(row["reason"]),
        )
    except _SENSELESS as error:
        raise _damaged(f"a change of entry {row['entry']}", error) from error


def _damaged(what: str, error: Exception) -> JournalError:
    return JournalError(f"{what} in the journal makes no sense: {error}; the file was written to by something else")


def text(value: str | None) -> str | bytes | None:
    """As SQLite can keep it: half a surrogate pair, which JSON can carry, is no text to it, but bytes."""
    if value is None:
        return None
    data = value.encode("utf-8", "surrogatepass")
    return value if data.decode("utf-8", "replace") == value else data


def plain(value: Any) -> Any:
    """What `text` was given."""
    return value.decode("utf-8", "surrogatepass") if isinstance(value, bytes) else value


def moment(at: datetime) -> str:
    """A time of day in one form, so that texts order as times do."""
    return at.astimezone(UTC).isoformat(timespec="microseconds")


def _text(value: Any) -> str:
    if isinstance(found := plain(value), str):
        return found
    raise TypeError(f"a text was expected, not {found!r}")


def _text_or_none(value: Any) -> str | None:
    return None if value is None else _text(value)


def _number(value: Any) -> int:
    if isinstance(value, int):
        return value
    raise TypeError(f"a whole number was expected, not {value!r}")


def _hint(value: Any) -> Mapping[str, str]:
    found = json.loads(_text(value))
    if isinstance(found, dict) and all(isinstance(each, str) for each in found.values()):
        return found
    raise TypeError("a hint is texts by name")


def _time(value: Any) -> datetime:
    """A moment that can be reckoned with: `moment` writes an offset, and no calendar's first or last year."""
    found = datetime.fromisoformat(value)
    if found.tzinfo is not None and MINYEAR < found.year < MAXYEAR:
        return found
    raise ValueError(f"{value!r} is not when it happened")


def _time_or_none(value: Any) -> datetime | None:
    return None if value is None else _time(value)
