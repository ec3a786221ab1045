"""The file as SQLite sees it: one connection per process, used by one thread at a time.

A fork needs care. SQLite keeps its locks on a file in the memory of the process; a child that opens the file while it
inherited an open connection believes that it holds the locks of its parent, and what it commits is lost once the parent
closes the file. So every connection is closed before a fork and opened again after it, in parent and child, on first
use. `fork()` in C code does not tell Python before: a child of that kind is refused the journal.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
import weakref
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from flowrunner.errors import JournalError
from flowrunner.journal.place import close_to_others, prepare
from flowrunner.journal.schema import STEPS, Step, migrate, refusal

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

__all__ = ["Database"]

_PAUSE: Final = 0.01
"""Seconds between attempts at what SQLite itself does not wait for."""

_ADVICE: Final = {
    sqlite3.SQLITE_FULL: "make room there",
    sqlite3.SQLITE_READONLY: "it, and its folder, must be writable for this user",
    sqlite3.SQLITE_CANTOPEN: "it, and its folder, must be writable for this user",
    sqlite3.SQLITE_NOTADB: "name another file, or move this one away",
    sqlite3.SQLITE_CORRUPT: "move it and the files beside it away; what it knew of runs can be read with"
    " `sqlite3 FILE .recover`",
}


class Database:
    """An open journal file.

    Args:
        path: absolute.
        wait: seconds to wait for other threads, and again for other processes.
        steps: the schema.

    Raises:
        JournalError: it cannot be used; the text says why.
    """

    def __init__(self, path: Path, *, wait: float, steps: Sequence[Step] = STEPS) -> None:
        self.path = path
        self._wait = wait
        self._steps = steps
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._closed = False
        self._pid = os.getpid()
        self._identity = (0, 0)
        # Of two threads that open one new file, one makes it, and closes it before the other has SQLite lock it.
        with _forks.opening:
            prepare(path)
            _forks.opened.add(self)
        with self._held():
            self._identity = _identity(path)

    @contextmanager
    def transaction(self, *, durable: bool) -> Iterator[sqlite3.Connection]:
        """All that is written inside the block, or nothing of it.

        Args:
            durable: it is on the disk when the block ends. Else it survives the end of the process, and may be lost
                with the power: until the next durable one, or until SQLite moves its log into the file.
        """
        with self._held() as connection:
            if durable and _identity(self.path) != self._identity:
                raise JournalError(
                    f"the journal {str(self.path)!r} was removed or replaced while it was open: put it back, or open it"
                    " anew without what it knew"
                )
            # Per connection and cheap; said each time, so that no transaction depends on the one before.
            connection.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
            with _writing(connection):
                yield connection

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """The connection, for one query."""
        with self._held() as connection:
            yield connection

    def close(self) -> None:
        """Close the file; more than once is once."""
        self._closed = True
        if self._pid == os.getpid():
            with self._locked():
                self._drop()

    @contextmanager
    def _held(self) -> Iterator[sqlite3.Connection]:
        if self._pid != os.getpid():
            raise JournalError(
                f"this process was forked from one that had the journal {str(self.path)!r} open and could not close it"
                " before, as it does where Python forks: open it after the fork, in each process"
            )
        with self._locked(), self._told():
            if self._closed:
                raise JournalError(f"the journal {str(self.path)!r} was closed: open it again")
            if self._connection is None:
                self._connection = self._connect()
            yield self._connection

    @contextmanager
    def _locked(self) -> Iterator[None]:
        if not self._lock.acquire(timeout=self._wait):
            raise self._busy("another thread")
        try:
            yield
        finally:
            self._lock.release()

    @contextmanager
    def _told(self) -> Iterator[None]:
        """What SQLite raises, as a `JournalError`."""
        try:
            yield
        except sqlite3.Error as error:
            code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
            if code in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
                raise self._busy("another process") from error
            advice = _ADVICE.get(code, "see that its disk is well, or name another file")
            raise JournalError(f"the journal {str(self.path)!r} cannot be used: {error}; {advice}") from error
        except UnicodeDecodeError as error:  # of a text in the file, or of SQLite's own words about one
            advice = _ADVICE[sqlite3.SQLITE_CORRUPT]
            raise JournalError(f"the journal {str(self.path)!r} is damaged: {error}; {advice}") from error

    def _busy(self, who: str) -> JournalError:
        return JournalError(
            f"the journal {str(self.path)!r} was in use by {who} for more than {self._wait:g} seconds: see what holds"
            " it, and try again",
            transient=True,
        )

    def _connect(self) -> sqlite3.Connection:
        # `rw`: the file was made with its rights; if it is gone, SQLite must not make one.
        connection = sqlite3.connect(
            f"{self.path.as_uri()}?mode=rw", uri=True, timeout=self._wait, isolation_level=None, check_same_thread=False
        )
        try:
            self._set_up(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _set_up(self, connection: sqlite3.Connection) -> None:
        connection.row_factory = sqlite3.Row
        if reason := refusal(connection, self._steps):
            raise JournalError(f"the journal {str(self.path)!r} {reason}")
        close_to_others(self.path)
        self._use_log(connection)
        # How SQLite was built decides about the first; macOS calls durable what may still be in the disk's memory.
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA fullfsync = ON")
        with _writing(connection):
            migrate(connection, self._steps)

    def _use_log(self, connection: sqlite3.Connection) -> None:
        """Have SQLite write ahead.

        For another process that writes to a file without such a log, as two do that make one at once, SQLite does not
        wait here: so we do.
        """
        until = time.monotonic() + self._wait
        while (mode := _log_mode(connection)) is None and time.monotonic() < until:
            time.sleep(_PAUSE)
        if mode is None:
            raise self._busy("another process")
        if mode != "wal":
            raise JournalError(
                f"the journal {str(self.path)!r} is on a file system that cannot share memory between processes: name a"
                " file on a local disk"
            )

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def before_fork(self) -> bool:
        """Close the connection and keep all threads from opening it; whether that was possible in time."""
        if self._pid != os.getpid() or not self._lock.acquire(timeout=self._wait):
            return False
        self._drop()
        return True

    def after_fork(self) -> None:
        """Let threads in again, in the process that this is now."""
        self._pid = os.getpid()
        self._lock.release()


@contextmanager
def _writing(connection: sqlite3.Connection) -> Iterator[None]:
    """A transaction that is the only writing one from its beginning."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        # After some errors SQLite has done so itself.
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _log_mode(connection: sqlite3.Connection) -> str | None:
    """How SQLite keeps its log after it was asked to write ahead; None where others were in the way."""
    try:
        (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
            raise
        return None
    return str(mode)


def _identity(path: Path) -> tuple[int, int]:
    """Which file has this name now; (0, 0) where none has."""
    try:
        found = path.stat()
    except OSError:
        return 0, 0
    return found.st_dev, found.st_ino


class _Forks:
    """All open journals of this process, which are closed while it forks."""

    def __init__(self) -> None:
        self.opening = threading.Lock()
        self.opened: weakref.WeakSet[Database] = weakref.WeakSet()
        self._paused: list[Database] = []

    def before(self) -> None:
        self.opening.acquire()
        self._paused = [database for database in self.opened if database.before_fork()]

    def after(self) -> None:
        for database in self._paused:
            database.after_fork()
        self._paused = []
        # Who forks in C may call this without the other.
        if self.opening.locked():
            self.opening.release()


_forks: Final = _Forks()
if hasattr(os, "register_at_fork"):  # pragma: no branch - Windows does not fork
    os.register_at_fork(before=_forks.before, after_in_parent=_forks.after, after_in_child=_forks.after)
