"""Changes are written by a thread, in order, and a fork begins anew."""

import os
import threading

import pytest

from flowrunner.enums import RunState
from flowrunner.journal.writer import OpenedOnce, Writer
from flowrunner.models import RunRef, RunStatus

REF = RunRef("prod", "acme", "f", "1", "k")


def change(ref, state):
    """A change to write."""
    return lambda journal: journal.changed(ref, RunStatus(state=state))


class Book:
    """A journal that takes its time."""

    def __init__(self):
        self.written = []
        self.may_go_on = threading.Event()

    def changed(self, ref, status):
        """Note a change, when it is let."""
        self.may_go_on.wait(10)
        self.written.append((ref.id, status.state, threading.current_thread().name))


def test_whoever_sees_a_change_does_not_wait():
    """`put` returns while the journal is busy; `flush` waits; the thread ends when there is nothing to do."""
    book = Book()
    writer = Writer(lambda: book)
    for state in (RunState.QUEUED, RunState.RUNNING, RunState.SUCCEEDED):
        writer.put(change(REF, state))
    assert book.written == []
    book.may_go_on.set()
    writer.flush()
    assert [(state, name) for _, state, name in book.written] == [
        (state, "flowrunner journal") for state in (RunState.QUEUED, RunState.RUNNING, RunState.SUCCEEDED)
    ]
    assert "flowrunner journal" not in {thread.name for thread in threading.enumerate()}
    writer.flush()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="only where processes fork")
def test_after_a_fork_the_child_writes_its_own(monkeypatch):
    """The parent's thread is not there, its changes are the parent's, and its lock may be held for ever."""
    book = Book()
    writer = Writer(lambda: book)
    writer.put(change(REF, RunState.QUEUED))
    parent = os.getpid()
    monkeypatch.setattr(os, "getpid", lambda: parent + 1)  # as a child sees it
    writer.flush()
    book.may_go_on.set()
    writer.put(change(RunRef("prod", "acme", "f", "2", "k2"), RunState.RUNNING))
    writer.flush()
    assert ("2", RunState.RUNNING) in [(run_id, state) for run_id, state, _ in book.written]


def test_a_thread_that_cannot_be_had_disturbs_nobody(monkeypatch, caplog):
    """Following goes on, the log says so once, and what waits is written when there is a thread again."""
    book = Book()
    book.may_go_on.set()
    writer = Writer(lambda: book)

    def start(_thread):
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", start)
        writer.put(change(REF, RunState.QUEUED))
        writer.put(change(REF, RunState.RUNNING))
        writer.flush()
    assert [record.getMessage() for record in caplog.records] == [
        "how runs go is not written into the journal: can't start new thread"
    ]
    writer.put(change(REF, RunState.SUCCEEDED))
    writer.flush()
    assert [state for _, state, _ in book.written] == [RunState.QUEUED, RunState.RUNNING, RunState.SUCCEEDED]


def test_a_journal_is_opened_once_and_closed_if_it_was():
    """Two that need it at once get the same; one that was never needed was never opened."""
    opened = []

    class Closable:
        def close(self):
            opened.append("closed")

    def open_journal():
        opened.append("opened")
        return Closable()

    journal = OpenedOnce(open_journal)
    journal.close()
    assert opened == []
    assert journal() is journal()
    journal.close()
    assert opened == ["opened", "closed"]
