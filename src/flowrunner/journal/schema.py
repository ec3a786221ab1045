"""The tables, and how a file of an older version becomes one of this version.

The version is the number of steps that were taken; SQLite keeps it in the file as `user_version`. A step that was
released is never changed: a new one is added.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

__all__ = ["APPLICATION_ID", "STEPS", "Step", "migrate", "refusal"]

Step = tuple[str, ...]
"""The statements that lead from one version to the next."""

APPLICATION_ID: Final = int.from_bytes(b"flrn")
"""How SQLite, and `file`, tell our databases from those of other programs."""

STEPS: Final[tuple[Step, ...]] = (
    (
        """
        CREATE TABLE entries (
          seq INTEGER PRIMARY KEY AUTOINCREMENT,
          connection TEXT NOT NULL,
          backend TEXT NOT NULL,
          flow TEXT NOT NULL,
          key TEXT NOT NULL,
          digest TEXT NOT NULL,
          hint TEXT NOT NULL,
          run_id TEXT,
          state TEXT NOT NULL,
          attempts INTEGER NOT NULL,
          uncertain TEXT,
          intended_at TEXT NOT NULL,
          accepted_at TEXT,
          ended_at TEXT,
          pid INTEGER NOT NULL,
          absent_at TEXT,
          UNIQUE (connection, key)
        )
        """,
        "CREATE INDEX entries_by_run ON entries (connection, run_id)",
        "CREATE INDEX entries_open ON entries (connection, seq) WHERE ended_at IS NULL",
        """
        CREATE TABLE changes (
          seq INTEGER PRIMARY KEY,
          entry INTEGER NOT NULL REFERENCES entries (seq),
          at TEXT NOT NULL,
          run_id TEXT NOT NULL,
          state TEXT NOT NULL,
          vendor_status TEXT,
          cause TEXT,
          reason TEXT
        )
        """,
        "CREATE INDEX changes_by_entry ON changes (entry, seq)",
        f"PRAGMA application_id = {APPLICATION_ID}",
    ),
)


def refusal(connection: sqlite3.Connection, steps: Sequence[Step]) -> str | None:
    """Why the file must be left alone, and what to do; None where it is ours, or still empty."""
    # One statement, that sees the file at one moment: another process may be making it.
    version, application, tables = connection.execute(
        "SELECT user_version, application_id, (SELECT count(*) FROM sqlite_master)"
        " FROM pragma_user_version, pragma_application_id"
    ).fetchone()
    if application != APPLICATION_ID and (application or version or tables):
        return "is a database of another program: name another file"
    if version > len(steps):
        return (
            f"has schema version {version}, and this flowrunner knows versions up to {len(steps)}:"
            " update flowrunner, or name another file"
        )
    return None


def migrate(connection: sqlite3.Connection, steps: Sequence[Step]) -> None:
    """Take the steps that are missing. To be called inside a transaction: all of them are taken, or none."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    for step in steps[version:]:
        for statement in step:
            connection.execute(statement)
    if version < len(steps):
        connection.execute(f"PRAGMA user_version = {len(steps)}")
    # Changes nothing, and fails where nothing can be changed, which a BEGIN does not: better now than at a submission.
    connection.execute("DELETE FROM entries WHERE 0")
