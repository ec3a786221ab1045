"""What a client without a file remembers is what a journal would, as far as submissions go."""

import os
from datetime import UTC, datetime

import pytest
from attrs import evolve

from flowrunner.enums import RunState
from flowrunner.errors import InvalidRequest, JournalError
from flowrunner.journal import Intent, Journal
from flowrunner.journal.memory import Memory
from flowrunner.models import RunRef, RunStatus

NOON = datetime(2025, 1, 1, 12, tzinfo=UTC)
INTENT = Intent(connection="prod", backend="acme", flow="f", key="k", digest="d:1", at=NOON)
QUEUED = RunStatus(state=RunState.QUEUED, observed_at=NOON)


@pytest.fixture(params=["journal", "memory"])
def book(request, tmp_path):
    """One of the two."""
    if request.param == "memory":
        return Memory(lambda: NOON)
    return Journal.open(tmp_path / "runs.db", now=lambda: NOON)


def test_an_intent_is_new_once(book):
    """The second one is told that there is one, and what it is."""
    first, second = book.intend(INTENT), book.intend(INTENT)
    assert (first.is_new, second.is_new, second.seq) == (True, False, first.seq)
    assert (first.state, first.run_id, first.attempts, first.intended_at) == (RunState.SUBMITTING, None, 1, NOON)
    assert book.find("prod", "k") == first


def test_a_key_of_something_else_is_refused(book):
    """Another digest, or another flow."""
    book.intend(INTENT)
    for other in (evolve(INTENT, digest="d:2"), evolve(INTENT, flow="g")):
        with pytest.raises(InvalidRequest, match="key 'k' belongs to"):
            book.intend(other)


def test_a_run_is_claimed(book):
    """Its id is that of a submission; the entry has it, and when."""
    entry = book.accepted(book.intend(INTENT), "7", QUEUED)
    assert (entry.run_id, entry.state, entry.accepted_at) == ("7", RunState.QUEUED, NOON)
    assert book.claimed("prod") == {"7"}
    book.intend(evolve(INTENT, key="other"))
    assert book.claimed("prod") == {"7"}


def test_a_refused_key_is_free(book):
    """A new intent takes it, for something else too."""
    book.refused(book.intend(INTENT))
    assert book.find("prod", "k").is_refused
    assert book.intend(evolve(INTENT, digest="d:2")).is_new


def test_one_that_was_seen_to_be_absent_is_sent_again_once(book):
    """The entry says when the vendor was asked; whoever is first sends it, and the next one is told so."""
    entry = book.intend(INTENT)
    book.uncertain(entry, "no answer")
    book.absent(entry)
    known = book.find("prod", "k")
    assert (known.uncertain, known.absent_at) == ("no answer", NOON)
    again, late = book.resubmit(known), book.resubmit(known)
    assert (again.is_new, again.attempts, again.uncertain, again.absent_at) == (True, 2, None, None)
    assert (late.is_new, late.attempts) == (False, 2)


def test_a_second_refusal_does_not_free_the_key(book):
    """The first request may still arrive."""
    entry = book.intend(INTENT)
    again = book.resubmit(entry)
    book.refused(again)
    known = book.find("prod", "k")
    assert (known.is_refused, known.uncertain is not None) == (False, True)


def test_what_has_a_run_is_not_sent_again(book):
    """Somebody found it meanwhile."""
    entry = book.intend(INTENT)
    book.accepted(entry, "7", QUEUED)
    assert book.resubmit(entry).is_new is False


def test_digests_tell_submissions_apart(book):
    """Equal ones are equal, others are not, and none can be guessed without the key."""
    one, same, other = (book.digest("f", {"a": value}, None, None) for value in ("1", "1", "2"))
    assert one == same != other
    assert Memory(lambda: NOON).digest("f", {"a": "1"}, None, None) != one


def test_a_slower_one_changes_nothing(book):
    """What was judged of an earlier attempt says nothing about a later one, nor about a run that is known."""
    first = book.intend(INTENT)
    book.uncertain(first, "no answer")
    book.absent(first)
    again = book.resubmit(book.find("prod", "k"), {"sender": "another"})
    book.absent(first)
    assert (book.find("prod", "k").absent_at, again.hint) == (None, {"sender": "another"})
    book.accepted(again, "7", QUEUED)
    for late in (book.refused, book.absent, lambda entry: book.uncertain(entry, "late")):
        late(first)
    known = book.find("prod", "k")
    assert (known.run_id, known.ended_at, known.uncertain, known.absent_at) == ("7", None, None, None)


def test_a_second_run_of_a_key_is_told(book):
    """The first one stays; the error names the other."""
    entry = book.intend(INTENT)
    book.accepted(entry, "7", QUEUED)
    with pytest.raises(JournalError, match="started two runs") as caught:
        book.accepted(entry, "8", QUEUED)
    assert caught.value.ref.id == "8"
    assert book.find("prod", "k").run_id == "7"


def test_a_run_that_somebody_chose_is_that_of_its_key(book):
    """A run that bears the key of an open submission settles which run it started, once."""
    book.uncertain(book.intend(INTENT), "no answer")
    assert book.settle(RunRef("prod", "acme", "f", "9", "another")) is False
    assert book.find("prod", "k").run_id is None
    assert book.settle(RunRef("prod", "acme", "f", "9", "k")) is True
    settled = book.find("prod", "k")
    assert (settled.run_id, settled.state, settled.uncertain) == ("9", RunState.UNKNOWN, None)
    assert book.settle(RunRef("prod", "acme", "f", "8", "k")) is False
    assert book.find("prod", "k") == settled


def test_a_run_is_that_of_one_key(book):
    """What was found to be the run of a key is refused to another, which stays as it is."""
    for key in ("k", "other"):
        book.uncertain(book.intend(evolve(INTENT, key=key)), "no answer")
    book.settle(RunRef("prod", "acme", "f", "9", "k"))
    before = book.find("prod", "other")
    with pytest.raises(InvalidRequest, match="run '9' is the run of key 'k', so it is not that of key 'other'"):
        book.settle(RunRef("prod", "acme", "f", "9", "other"))
    assert book.find("prod", "other") == before


def test_a_fork_takes_a_lock_of_its_own(monkeypatch):
    """A thread of the parent may have held it, and is not in the child to let it go."""
    memory = Memory(lambda: NOON)
    memory._lock.acquire()
    parent = os.getpid()
    monkeypatch.setattr(os, "getpid", lambda: parent + 1)  # as a child sees it
    assert memory.find("prod", "k") is None
