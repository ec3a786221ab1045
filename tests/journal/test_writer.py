"""Changes are written by a thread, in order, and a fork begins anew."""

import os
import threading

import pytest

from flowrunner.enums import RunState
from flowrunner.journal.writer import Writer
from flowrunner.models import RunRef, RunStatus

REF = RunRef("prod", "acme", "f", "1", "k")


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
    writer = Writer(book)
    for state in (RunState.QUEUED, RunState.RUNNING, RunState.SUCCEEDED):
        writer.put(REF, RunStatus(state=state))
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
    writer = Writer(book)
    writer.put(REF, RunStatus(state=RunState.QUEUED))
    parent = os.getpid()
    monkeypatch.setattr(os, "getpid", lambda: parent + 1)  # as a child sees it
    writer.flush()
    book.may_go_on.set()
    writer.put(RunRef("prod", "acme", "f", "2", "k2"), RunStatus(state=RunState.RUNNING))
    writer.flush()
    assert ("2", RunState.RUNNING) in [(run_id, state) for run_id, state, _ in book.written]
