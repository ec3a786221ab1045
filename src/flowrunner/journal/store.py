"""The journal: intents, the ids they got, and how the runs went."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, Self

from attrs import evolve

from flowrunner.enums import RunState
from flowrunner.errors import InvalidRequest, JournalError
from flowrunner.journal.database import Database
from flowrunner.journal.digests import Digests, differ
from flowrunner.journal.place import real
from flowrunner.journal.rows import change_of, columns, entry_at, first, insert, moment, plain, select, text

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Mapping

    from flowrunner.journal.values import Change, Entry, Intent
    from flowrunner.models import RunRef, RunStatus

__all__ = ["REFUSED_AGAIN", "Journal", "refuse_other", "refuse_taken", "twin"]

WAIT: Final = 30.0
"""Seconds to wait for others. A transaction takes milliseconds: who has to wait that long waits for one that hangs."""
KEPT_CHANGES: Final = 200
"""Of one submission."""
REFUSED_AGAIN: Final = "the last request was refused; an earlier one may still arrive"
OF_RUN: Final = "connection = ? AND run_id = ? AND key = coalesce(?, key) ORDER BY seq DESC"
"""The submission that started a run, the latest first: a server that was restored gives an id again."""
KEPT_REASON: Final = 1000
"""Characters of why a submission is uncertain."""


def _now() -> datetime:
    return datetime.now(UTC)


class Journal:
    """What was submitted, in a file. It is shared by all threads, and the file by all processes of the machine."""

    def __init__(self, database: Database, now: Callable[[], datetime]) -> None:
        self._database = database
        self._now = now
        self._digests: Digests | None = None

    @classmethod
    def open(cls, path: str | os.PathLike[str], *, wait: float = WAIT, now: Callable[[], datetime] = _now) -> Self:
        """Open the file, which is made where there is none, with its folder.

        Args:
            path: the file.
            wait: seconds to wait for other threads and processes, in this and every other call.
            now: the time of day.

        Raises:
            JournalError: it cannot be used, see the text. So does every other method.
        """
        return cls(Database(real(path), wait=wait), now)

    def close(self) -> None:
        """Close the file; more than once is once."""
        self._database.close()

    def digest(self, flow: str, parameters: Mapping[str, Any] | None, payload: Any, options: Any) -> str:
        """What tells this submission from another one. It is made with a key of this journal, and reveals nothing.

        Files are read: the digest is of their contents.

        Raises:
            InvalidRequest: values are nested without end.
        """
        if self._digests is None:
            self._digests = Digests.beside(self._database)
        return self._digests.of(flow, parameters, payload, options)

    def intend(self, intent: Intent) -> Entry:
        """Write what is about to be submitted. When this returns, it is on the disk.

        Returns:
            The entry. If there is one with the key already it is that one, unchanged, and `is_new` is false: then
            nothing must be sent. A submission that was refused leaves its key free.

        Raises:
            InvalidRequest: the key belongs to a submission of something else.
        """
        with self._database.transaction(durable=True) as db:
            known = first(db, "connection = ? AND key = ?", intent.connection, intent.key)
            if known is not None and not known.is_refused:
                refuse_other(known, intent)
                return known
            if known is not None:
                db.execute("DELETE FROM entries WHERE seq = ?", (known.seq,))
            seq = insert(db, "entries", columns(intent))
            return evolve(entry_at(db, seq), is_new=True)

    def resubmit(self, entry: Entry, hint: Mapping[str, str] | None = None) -> Entry:
        """Write that an open submission is sent once more, since the vendor was seen not to have it.

        Args:
            entry: the submission.
            hint: in place of the one it has.

        Returns:
            The entry. Its `is_new` is false if it changed since the given one was read: another process sent it again,
            or found the run. Then nothing must be sent.
        """
        written = json.dumps(dict(entry.hint if hint is None else hint))
        with self._database.transaction(durable=True) as db:
            done = db.execute(
                "UPDATE entries SET attempts = attempts + 1, uncertain = NULL, absent_at = NULL, intended_at = ?,"
                " pid = ?, hint = ? WHERE seq = ? AND attempts = ? AND run_id IS NULL AND ended_at IS NULL",
                (moment(self._now()), os.getpid(), written, entry.seq, entry.attempts),
            )
            return evolve(entry_at(db, entry.seq), is_new=done.rowcount == 1)

    def accepted(self, entry: Entry, run_id: str, status: RunStatus) -> Entry:
        """Write the vendor's id and how the run stands. When this returns, it is on the disk.

        Raises:
            JournalError: the entry has another run already: an earlier request arrived late and started a twin. Its id
                is in `ref`, and in the history of the entry.
        """
        at = status.observed_at or self._now()
        with self._database.transaction(durable=True) as db:
            known = entry_at(db, entry.seq)
            if known.run_id is None:
                db.execute(
                    "UPDATE entries SET run_id = ?, accepted_at = ?, ended_at = NULL, uncertain = NULL WHERE seq = ?",
                    (text(run_id), moment(at), known.seq),
                )
                known = entry_at(db, entry.seq)
            if known.run_id == run_id:
                _take(db, known, status, at)
            else:
                _note(db, known, run_id, status, at)
            known = entry_at(db, entry.seq)
        if known.run_id != run_id:
            raise twin(known, run_id)
        return known

    def refused(self, entry: Entry) -> None:
        """Write that the vendor started nothing. The key is free again, unless an earlier request may still arrive.

        Should the power fail before this is on the disk the submission is only looked for in vain.
        """
        with self._database.transaction(durable=False) as db:
            db.execute(
                "UPDATE entries SET ended_at = ?, uncertain = NULL WHERE seq = ? AND run_id IS NULL AND attempts = 1",
                (moment(self._now()), entry.seq),
            )
            db.execute(
                "UPDATE entries SET uncertain = ? WHERE seq = ? AND run_id IS NULL AND attempts > 1",
                (REFUSED_AGAIN, entry.seq),
            )

    def uncertain(self, entry: Entry, why: str) -> None:
        """Write that it is not known whether the vendor has it: it stays open.

        Args:
            entry: the submission.
            why: without secrets; of a long text, the beginning is kept.
        """
        with self._database.transaction(durable=False) as db:
            db.execute(
                "UPDATE entries SET uncertain = ? WHERE seq = ? AND run_id IS NULL AND ended_at IS NULL",
                (text(why[:KEPT_REASON]), entry.seq),
            )

    def absent(self, entry: Entry) -> None:
        """Write that the vendor did not show a run of this submission when it was asked: it may be sent again."""
        with self._database.transaction(durable=False) as db:
            db.execute(
                "UPDATE entries SET absent_at = ?"
                " WHERE seq = ? AND attempts = ? AND run_id IS NULL AND ended_at IS NULL",
                (moment(self._now()), entry.seq, entry.attempts),
            )

    def changed(self, ref: RunRef, status: RunStatus) -> None:
        """Write how a run stands now; nothing if the journal does not know it, or knows that.

        This is not forced onto the disk: after a power failure the vendor is asked again. A run that has ended stays as
        it is, whatever a slower process says, unless it was LOST, or a success is found to be a failure.
        """
        with self._database.transaction(durable=False) as db:
            known = first(db, OF_RUN, ref.connection, ref.id, ref.key)
            if known is not None:
                _take(db, known, status, status.observed_at or self._now())

    def settle(self, ref: RunRef) -> bool:
        """Write that somebody has found out which run an open submission started: this one, whose key it bears.

        When this returns, it is on the disk.

        Returns:
            Whether it was open. Nothing is written where it was not, or where no submission has the key.

        Raises:
            InvalidRequest: the run is that of another submission.
        """
        with self._database.transaction(durable=True) as db:
            where = "connection = ? AND key = ? AND run_id IS NULL AND ended_at IS NULL"
            known = first(db, where, ref.connection, ref.key)
            if known is None:
                return False
            refuse_taken(first(db, "connection = ? AND run_id = ?", ref.connection, ref.id), ref)
            db.execute(
                "UPDATE entries SET run_id = ?, state = ?, uncertain = NULL WHERE seq = ?",
                (text(ref.id), RunState.UNKNOWN, known.seq),
            )
        return True

    def of_run(self, ref: RunRef) -> Entry | None:
        """The submission that started a run."""
        with self._database.reading() as db:
            return first(db, OF_RUN, ref.connection, ref.id, ref.key)

    def find(self, connection: str, key: str) -> Entry | None:
        """The submission with this key."""
        with self._database.reading() as db:
            return first(db, "connection = ? AND key = ?", connection, key)

    def claimed(self, connection: str) -> frozenset[str]:
        """The ids of all runs that are known to be of some submission."""
        with self._database.reading() as db:
            found = db.execute(
                "SELECT run_id FROM entries WHERE connection = ? AND run_id IS NOT NULL", (text(connection),)
            ).fetchall()
            return frozenset(plain(row["run_id"]) for row in found)

    def open_entries(self, connection: str) -> list[Entry]:
        """What was not seen to end, with and without an id, oldest first."""
        with self._database.reading() as db:
            return select(db, "connection = ? AND ended_at IS NULL ORDER BY seq", connection)

    def entries(self, *, connection: str | None = None, limit: int | None = None) -> list[Entry]:
        """All submissions, or those of a connection, newest first."""
        with self._database.reading() as db:
            most = -1 if limit is None else limit
            return select(db, "connection = coalesce(?, connection) ORDER BY seq DESC LIMIT ?", connection, most)

    def history(self, entry: Entry) -> list[Change]:
        """How the run of a submission went, oldest first; the last 200 changes."""
        with self._database.reading() as db:
            rows = db.execute("SELECT * FROM changes WHERE entry = ? ORDER BY seq", (entry.seq,)).fetchall()
        return [change_of(row) for row in rows]


def refuse_other(known: Entry, intent: Intent) -> None:
    """Raise if a key is known as that of something else."""
    if known.flow != intent.flow:
        what = f"of flow {known.flow!r}, not {intent.flow!r}"
    elif differ(known.digest, intent.digest):
        what = f"of flow {known.flow!r} with other parameters, payload or options"
    else:
        return
    raise InvalidRequest(
        f"key {intent.key!r} belongs to a submission {what}: use another key, or submit the same again",
        backend=known.backend,
        ref=known.ref,
    )


def refuse_taken(owner: Entry | None, ref: RunRef) -> None:
    """Raise if a run is that of a submission already, before it is taken for that of another."""
    if owner is not None:
        raise InvalidRequest(
            f"run {ref.id!r} is the run of key {owner.key!r}, so it is not that of key {ref.key!r}: nothing was written"
            " down; look for another candidate",
            ref=ref,
        )


def twin(known: Entry, run_id: str) -> JournalError:
    """The error of a key that has another run already."""
    return JournalError(
        f"key {known.key!r} started two runs: the journal has {known.run_id!r}, and now there is {run_id!r}; see"
        " whether one is to be cancelled",
        backend=known.backend,
        ref=evolve(known.ref, id=run_id),
    )


def _take(db: sqlite3.Connection, known: Entry, status: RunStatus, at: datetime) -> None:
    """Let a run that is in the journal stand so, if that is news and may follow."""
    if not _may_follow(known, status.state) or not _note(db, known, known.run_id, status, at):
        return
    ended_at = moment(at) if status.state.is_final else None
    db.execute("UPDATE entries SET state = ?, ended_at = ? WHERE seq = ?", (status.state, ended_at, known.seq))


def _may_follow(known: Entry, state: RunState) -> bool:
    """Whether it is more than what another process, or a slower answer, says of a run that has ended."""
    a_failure_after_all = (known.state, state) == (RunState.SUCCEEDED, RunState.FAILED)
    return not known.state.is_final or known.state is RunState.LOST or a_failure_after_all


def _note(db: sqlite3.Connection, entry: Entry, run_id: str | None, status: RunStatus, at: datetime) -> bool:
    """Add to the history what is new; whether it was."""
    news = {
        "run_id": text(run_id),
        "state": status.state,
        "vendor_status": text(status.vendor_status),
        "cause": status.cause,
        "reason": status.reason,
    }
    last = db.execute(
        "SELECT run_id, state, vendor_status, cause, reason FROM changes"
        " WHERE entry = ? AND run_id = ? ORDER BY seq DESC LIMIT 1",
        (entry.seq, news["run_id"]),
    ).fetchone()
    if last is not None and tuple(last) == tuple(news.values()):
        return False
    insert(db, "changes", {"entry": entry.seq, "at": moment(at), **news})
    db.execute(
        "DELETE FROM changes WHERE seq IN"
        " (SELECT seq FROM changes WHERE entry = ? ORDER BY seq DESC LIMIT -1 OFFSET ?)",
        (entry.seq, KEPT_CHANGES),
    )
    return True
