"""What the tables hold, as values, and values as the tables hold them."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from attrs import fields_dict

from flowrunner.enums import Cause, RunState, WaitReason
from flowrunner.errors import JournalError
from flowrunner.journal.values import Change, Entry, Intent

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping

__all__ = ["change_of", "columns", "entry_at", "first", "insert", "moment", "plain", "select", "text"]


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
    known = {name: plain(row[name]) for name in fields_dict(Entry) if name != "is_new"}
    try:
        return Entry(
            **{
                **known,
                "hint": json.loads(known["hint"]),
                "state": RunState(known["state"]),
                **{name: _time(known[name]) for name in ("intended_at", "accepted_at", "ended_at", "absent_at")},
            }
        )
    except (ValueError, TypeError) as error:
        raise _damaged(f"entry {row['seq']}", error) from error


def change_of(row: sqlite3.Row) -> Change:
    """A row of the history."""
    known = {name: plain(row[name]) for name in fields_dict(Change)}
    try:
        return Change(
            **{
                **known,
                "at": datetime.fromisoformat(known["at"]),
                "state": RunState(known["state"]),
                "cause": known["cause"] and Cause(known["cause"]),
                "reason": known["reason"] and WaitReason(known["reason"]),
            }
        )
    except (ValueError, TypeError) as error:
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


def _time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
