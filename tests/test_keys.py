"""Keys for submissions, of what identifies a piece of work elsewhere."""

import enum
import subprocess
import sys

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from flowrunner import InvalidRequest, submission_key
from flowrunner.backend import key_in, labelled

PART = st.none() | st.integers() | st.text(st.characters(codec=None))
IDENTITY = st.lists(PART, min_size=1).map(tuple)


def test_a_key_stays_what_it_is():
    """In every process and every version: a run that was submitted with it must be found again."""
    identity = ("a dag", "scheduled__2026-03-01T12:00:00+00:00", "ünï/task", 3, None, -1)
    assert submission_key(*identity) == "06a8e45c830323c25fd56d08eaf59dea"
    code = f"import flowrunner; print(flowrunner.submission_key(*{identity!r}))"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == submission_key(*identity)


@given(IDENTITY, IDENTITY)
@example(("a", "bc"), ("ab", "c"))
@example(("a,b",), ("a", "b"))
@example(('a","b',), ("a", "b"))
@example((1,), ("1",))
@example((None,), ("None",))
@example((None,), ("null",))
@example((None,), ("",))
@example((1, 11), (11, 1))
@example(("\U0001f600",), ("\ud83d\ude00",))
@example(("\\u00e9",), ("\xe9",))
def test_other_identities_have_other_keys(one, another):
    """However they are put together; and the same has the same."""
    assert (submission_key(*one) == submission_key(*another)) == (one == another)


@given(IDENTITY)
def test_every_key_is_good(identity):
    """It is 32 letters and digits, and comes back out of a description as it went in."""
    key = submission_key(*identity)
    assert len(key) == 32
    assert key.isascii()
    assert key.isalnum()
    assert labelled("text", key) == f"text [fr:{key}]"
    assert key_in(labelled(None, key)) == key


def test_a_client_takes_every_key(open_client, vendor):
    """`submit` has nothing against it."""
    client = open_client()
    client._operations.ledger.check_key(submission_key("a", 1, None))


class Word(enum.StrEnum):
    """A text of a kind of its own."""

    ONE = "one"


def test_a_text_is_a_text():
    """Also a text of a kind of its own."""
    assert submission_key(Word.ONE) == submission_key("one")


@pytest.mark.parametrize("identity", [(), ("a", 1.0), (b"a",), (("a", "b"),)])
def test_what_is_no_identity_is_refused(identity):
    """A number that may be written in several ways, bytes, a tuple in one piece, and nothing; no value is shown."""
    with pytest.raises(InvalidRequest, match="identity") as caught:
        submission_key(*identity)
    assert "'a'" not in str(caught.value)
