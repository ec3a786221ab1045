"""The file as SQLite sees it: shared by threads, processes and forks."""

import os
import sqlite3
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path

import pytest

from flowrunner.errors import JournalError
from flowrunner.journal import Journal, database
from flowrunner.journal.database import Database
from flowrunner.models import RunStatus

WRITER = """
import sys
from datetime import UTC, datetime
from flowrunner.journal import Intent, Journal
from flowrunner.models import RunStatus

path, name, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
sys.stdin.readline()
journal = Journal.open(path)
digest = journal.digest("f", {"a": 1}, None, None)

def intend(key):
    return journal.intend(
        Intent(connection="c", backend="b", flow="f", key=key, digest=digest, at=datetime.now(UTC), hint={"by": name})
    )

for number in range(count):
    entry = intend(f"{name}-{number}")
    entry = journal.accepted(entry, entry.key, RunStatus())
    print("own", entry.key, entry.run_id, flush=True)
    print("shared", number, intend(f"shared-{number}").is_new, flush=True)
print("digest", digest)
"""


def writer(path, name, count):
    """A process that waits for a line, and then writes."""
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, path, name, str(count)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_many_processes_write_one_new_file(path):
    """All open it at once; no key is lost or doubled, and of those that intend one key exactly one is to send it."""
    count, names = 25, "abcdef"
    writers = [writer(path, name, count) for name in names]
    for each in writers:
        each.stdin.write("\n")
        each.stdin.flush()
    lines = [line.split() for each in writers for line in each.communicate()[0].splitlines()]
    assert [each.returncode for each in writers] == [0] * len(names)
    new = [number for kind, number, *is_new in lines if kind == "shared" and is_new == ["True"]]
    assert sorted(map(int, new)) == list(range(count))
    assert len({digest for kind, digest, *_ in lines if kind == "digest"}) == 1
    with closing(Journal.open(path)) as journal:
        entries = journal.entries()
    own = {f"{name}-{number}": f"{name}-{number}" for name in names for number in range(count)}
    shared = dict.fromkeys(f"shared-{number}" for number in range(count))
    assert {entry.key: entry.run_id for entry in entries} == own | shared
    assert len(entries) == len(own | shared)


def test_a_killed_process_loses_nothing(path):
    """What a call returned for is there, whenever the process is killed."""
    process = writer(path, "killed", 10_000)
    process.stdin.write("\n")
    process.stdin.flush()
    seen = [process.stdout.readline().split() for _ in range(40)]
    process.kill()
    seen += [line.split() for line in process.communicate()[0].splitlines()]
    with closing(Journal.open(path)) as journal:
        known = {entry.key: entry.run_id for entry in journal.entries()}
    own = {key: run_id for kind, key, run_id in seen if kind == "own"}
    assert len(own) >= 20
    assert own == {key: known.get(key) for key in own}


def test_many_threads_use_one_journal(journal, intent):
    """Of threads that intend one key exactly one is to send it, and nothing is lost."""

    def use(number):
        entry = journal.intend(intent(f"k{number}"))
        journal.accepted(entry, str(number), RunStatus())
        return journal.intend(intent(f"shared-{number // 10}")).is_new

    with ThreadPoolExecutor(8) as pool:
        new = list(pool.map(use, range(100)))
    assert new.count(True) == 10
    assert sorted(entry.run_id or "" for entry in journal.entries()) == sorted([*map(str, range(100)), *[""] * 10])


def in_a_child(function):
    """Fork, call the function in the child, and return its exit code."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            function()
            code = 0
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_a_fork_gets_a_connection_of_its_own(opened, intent):
    """Parent and child write on, and what the child commits stays when the parent closes the file before it.

    SQLite keeps its locks in the memory of the process: with an inherited connection the child would believe that it
    holds them, the parent would remove the log as the last one, and the child would write to a file without a name.
    """
    journal = opened()
    journal.intend(intent("before"))
    to_child, from_parent = os.pipe()
    to_parent, from_child = os.pipe()
    if not (child := os.fork()):
        code = 1
        try:
            journal.intend(intent("child, while the parent has it open"))
            os.write(from_child, b"x")
            os.read(to_child, 1)
            journal.intend(intent("child, after the parent closed it"))
            code = 0
        finally:
            os._exit(code)
    os.read(to_parent, 1)
    journal.intend(intent("parent"))
    journal.close()
    os.write(from_parent, b"x")
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert {entry.key for entry in opened().entries()} == {
        "before",
        "parent",
        "child, while the parent has it open",
        "child, after the parent closed it",
    }
    for descriptor in (to_child, from_parent, to_parent, from_child):
        os.close(descriptor)


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded")
def test_a_fork_while_threads_write(journal, opened, intent):
    """No transaction is cut in two, and no child finds a lock that nobody will release."""
    stop = threading.Event()

    def write():
        number = 0
        while not stop.is_set():
            number += 1
            journal.intend(intent(f"thread-{number}"))
        return number

    with ThreadPoolExecutor(1) as pool:
        written = pool.submit(write)
        codes = [in_a_child(lambda key=f"child-{number}": journal.intend(intent(key))) for number in range(5)]
        stop.set()
    assert codes == [0] * 5
    keys = {entry.key for entry in opened().entries()}
    assert keys == {f"child-{number}" for number in range(5)} | {
        f"thread-{number + 1}" for number in range(written.result())
    }


def test_a_fork_that_python_was_not_told_of(journal, path, intent, monkeypatch):
    """A child that has the connection of its parent is refused the journal, and does not close it."""
    journal.intend(intent())
    connection = journal._database._connection
    with monkeypatch.context() as child:
        child.setattr(os, "getpid", lambda: -1)
        assert not journal._database.before_fork()
        with pytest.raises(JournalError) as caught:
            journal.entries()
        journal.close()
    assert caught.value.message == (
        f"this process was forked from one that had the journal {str(path)!r} open and could not close it before, as it"
        " does where Python forks: open it after the fork, in each process"
    )
    assert connection.execute("SELECT count(*) FROM entries").fetchone()[0] == 1
    connection.close()


def test_half_of_a_fork(journal, intent):
    """Who forks in C may call only what comes after it: that does no harm."""
    database._forks.after()
    assert journal.intend(intent()).is_new


def test_a_fork_waits_for_a_thread_not_for_ever(opened, intent):
    """A thread that is in the middle of a transaction for too long keeps its connection, and the fork goes on."""
    journal = opened(wait=0.01)
    with journal._database.reading():
        database._forks.before()
        database._forks.after()
    assert journal.intend(intent()).is_new


def test_another_process_that_holds_the_file(opened, path, intent):
    """After the bounded wait the error says who holds it, and that one may try again."""
    journal = opened(wait=0.01)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(JournalError) as caught:
            journal.intend(intent())
        assert journal.entries() == []
        other.execute("ROLLBACK")
    assert caught.value.message == (
        f"the journal {str(path)!r} was in use by another process for more than 0.01 seconds: see what holds it,"
        " and try again"
    )
    assert caught.value.transient
    assert journal.intend(intent()).is_new


def test_another_thread_that_holds_the_journal(opened, intent):
    """The same goes for threads."""
    journal = opened(wait=0.01)
    with journal._database.reading(), pytest.raises(JournalError, match="by another thread for more than 0"):
        journal.intend(intent())
    assert journal.intend(intent()).is_new


@pytest.fixture
def being_written(path):
    """A file that does not write ahead yet, and a connection that writes to it, so that this cannot be changed."""
    Database(path, wait=1).close()
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("PRAGMA journal_mode = DELETE")
        other.execute("BEGIN IMMEDIATE")
        yield other


def test_a_file_that_is_made_by_another_process(opened, being_written, monkeypatch, intent):
    """What SQLite does not wait for is tried again."""
    monkeypatch.setattr(database.time, "sleep", lambda _seconds: being_written.execute("ROLLBACK"))
    assert opened().intend(intent()).is_new


def test_a_file_that_another_process_does_not_let_go(opened, being_written):
    """It is tried again for so long."""
    with pytest.raises(JournalError, match="in use by another process for more than 0 seconds"):
        opened(wait=0)


def test_a_file_system_without_shared_memory(opened, monkeypatch):
    """Where SQLite cannot write ahead it says so by another word."""
    monkeypatch.setattr(database, "_log_mode", lambda _connection: "delete")
    with pytest.raises(JournalError, match="on a file system that cannot share memory between processes: name a file"):
        opened()


@pytest.mark.parametrize("replaced", [False, True])
def test_a_file_that_was_taken_away(opened, path, intent, replaced):
    """Nothing is submitted when the journal is not where others look for it."""
    journal = opened()
    entry = journal.intend(intent())
    path.rename(path.with_name("away"))
    if replaced:
        path.touch()
    for call in (lambda: journal.intend(intent("k2")), lambda: journal.accepted(entry, "7", RunStatus())):
        with pytest.raises(
            JournalError, match="was removed or replaced while it was open: put it back, or open it anew"
        ):
            call()
    path.with_name("away").rename(path)
    assert journal.intend(intent("k2")).is_new


def test_a_transaction_that_sqlite_ended(journal, intent):
    """Some errors undo the transaction by themselves: they are told, not what would come after."""

    def fail():
        with journal._database.transaction(durable=True) as db:
            db.execute("ROLLBACK")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert journal.intend(intent()).is_new


def test_a_journal_that_is_refused_holds_no_file_open(tmp_path):
    """An open that fails leaves nothing behind in the process."""
    other = tmp_path / "other"
    other.write_bytes(b"not a database" * 1000)
    for _ in range(3):
        with pytest.raises(JournalError) as caught:
            Database(other, wait=1)
        # The traceback holds the connection: only closing it closes the file.
        assert caught.value.__traceback__ is not None
        assert [name for name in open_files() if name == str(other)] == []


def open_files():
    """What this process has open, where the system tells."""
    folder = Path("/proc/self/fd")
    for link in folder.iterdir() if folder.exists() else ():
        with suppress(FileNotFoundError):
            yield str(link.readlink())


def test_an_error_that_has_no_advice(journal, path):
    """It is told in SQLite's words."""
    with pytest.raises(JournalError) as caught, journal._database.reading() as db:
        db.execute("SELECT * FROM nowhere")
    assert caught.value.message == (
        f"the journal {str(path)!r} cannot be used: no such table: nowhere; see that its disk is well, or name"
        " another file"
    )
    assert isinstance(caught.value.__cause__, sqlite3.OperationalError)
