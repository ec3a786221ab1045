"""A journal that something else wrote to: whatever stands in it, what comes out is as promised, or a JournalError."""

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from flowrunner.enums import Cause, RunState, WaitReason
from flowrunner.errors import FlowrunnerError, InvalidRequest, JournalError
from flowrunner.journal import Intent, Journal
from flowrunner.journal.rows import change_of
from flowrunner.models import RunRef, RunStatus

START = datetime(2025, 1, 1, 12, tzinfo=UTC)
COLUMNS = {
    "entries": "seq connection backend flow key digest hint run_id state attempts uncertain intended_at accepted_at"
    " ended_at pid absent_at",
    "changes": "seq entry at run_id state vendor_status cause reason",
}
PLACES = [(table, column) for table, columns in COLUMNS.items() for column in columns.split()]
TEXTS = [
    "", "k1", "7", "prod", "running", "waiting", "flow", "noon", "2025-01-01", "0001-01-01T00:00:00+00:00",
    "9999-12-31T23:59:59-10:00", "2025-01-01T12:00:00", "[]", "null", '{"patience": 7}', "[" * 100_000, "9" * 5000,
]  # fmt: skip
VALUES = (
    st.none()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats()
    | st.binary(max_size=9)
    | st.sampled_from(TEXTS)
    | st.text()
)


def intent(key="k1"):
    """What is about to be submitted."""
    return Intent(connection="prod", backend="fme-flow-v4", flow="a/b.fmw", key=key, digest="key:1", at=START)


def all_that_reads(journal, entry):
    """Every method that reads entries or changes, to be called."""
    status = RunStatus(state=RunState.RUNNING, observed_at=START)
    ref = RunRef("prod", "fme-flow-v4", "a/b.fmw", "7", "k1")
    return [
        journal.entries,
        lambda: journal.open_entries("prod"),
        lambda: journal.find("prod", "k1"),
        lambda: journal.claimed("prod"),
        lambda: journal.history(entry),
        lambda: journal.changed(ref, status),
        lambda: journal.settle(ref),
        lambda: journal.of_run(ref),
        lambda: journal.refused(entry),
        lambda: journal.uncertain(entry, "why"),
        lambda: journal.absent(entry),
        lambda: journal.resubmit(entry),
        lambda: journal.accepted(entry, "7", status),
        lambda: journal.intend(intent()),
        lambda: journal.intend(intent("k2")),
    ]


def check(entry):
    """See that an entry is what its class says."""
    texts = (entry.connection, entry.backend, entry.flow, entry.key, entry.digest, *entry.hint, *entry.hint.values())
    assert all(isinstance(text, str) for text in texts)
    assert all(text is None or isinstance(text, str) for text in (entry.run_id, entry.uncertain))
    assert isinstance(entry.state, RunState)
    assert all(type(number) is int for number in (entry.seq, entry.attempts, entry.pid))
    moments = [each for each in (entry.accepted_at, entry.ended_at, entry.absent_at) if each is not None]
    for moment in (entry.intended_at, *moments):
        assert moment - timedelta(days=1) < moment < moment + timedelta(days=1), "it can be reckoned with"
    assert str(entry.ref)


def check_change(change):
    """See that a change is what its class says."""
    assert START - change.at is not None
    assert isinstance(change.run_id, str)
    assert isinstance(change.state, RunState)
    assert isinstance(change.cause, Cause | None)
    assert isinstance(change.reason, WaitReason | None)
    assert isinstance(change.vendor_status, str | None)


@pytest.fixture(scope="module")
def memory():
    """A folder in memory where there is one: each example writes to the disk a dozen times."""
    shared = Path("/dev/shm")
    with TemporaryDirectory(dir=shared if shared.is_dir() else None) as folder:
        yield Path(folder)


@given(place=st.sampled_from(PLACES), value=VALUES)
@example(place=("entries", "run_id"), value=b"\x80")
@example(place=("entries", "connection"), value=b"\x80")
@example(place=("entries", "hint"), value="[" * 100_000)
@example(place=("entries", "hint"), value="[]")
@example(place=("entries", "pid"), value="seven")
@example(place=("entries", "intended_at"), value="0001-01-01T00:00:00+00:00")
@example(place=("entries", "ended_at"), value="2025-01-01T12:00:00")
@example(place=("changes", "cause"), value=b"")
@example(place=("changes", "run_id"), value=None)
def test_any_value_in_any_column(memory, place, value):
    """Whatever somebody wrote over a value, nothing but errors of ours comes out, and what is read is of its type."""
    table, column = place
    journal = Journal.open(memory / f"{uuid4()}.sqlite3", now=lambda: START)
    try:
        entry = journal.accepted(journal.intend(intent()), "7", RunStatus(state=RunState.QUEUED, observed_at=START))
        with suppress(JournalError), journal._database.transaction(durable=False) as db:  # what SQLite itself refuses
            db.execute(f"UPDATE {table} SET {column} = ?", (value,))
        for call in all_that_reads(journal, entry):
            with suppress(JournalError, InvalidRequest):
                call()
        with suppress(JournalError):
            for each in journal.entries():
                check(each)
                for change in journal.history(each):
                    check_change(change)
    finally:
        journal.close()


def test_a_value_where_a_text_was():
    """SQLite makes texts of what it is given; a table that somebody made anew may not, and makes no sense."""
    row = {"entry": 1, "at": START.isoformat(), "run_id": 7, "state": "running"}
    with pytest.raises(JournalError, match="a change of entry 1 in the journal makes no sense: a text was expected"):
        change_of(row)


def test_a_column_of_another_name(path, opened, journal):
    """A table that was altered is a journal that makes no sense."""
    journal.intend(intent())
    with journal._database.transaction(durable=False) as db:
        db.execute("ALTER TABLE entries RENAME COLUMN hint TO hints")
    with pytest.raises(JournalError, match="entry 1 in the journal makes no sense"):
        journal.entries()


def test_text_that_sqlite_cannot_read(path, opened, journal):
    """Words of SQLite that hold damaged text of the file are an error that says what to do."""
    journal.close()
    content = path.read_bytes()
    path.write_bytes(content.replace(b"CREATE TABLE entries", b"CREATE TABLE entr\x80es"))
    with pytest.raises(JournalError, match="move it"):
        opened().entries()


@given(data=st.data())
def test_any_damage_to_the_file(memory, data):
    """Bytes that are wrong, missing, or too many anywhere in the file are an error of ours, or do no harm."""
    path = memory / f"{uuid4()}.sqlite3"
    journal = Journal.open(path, now=lambda: START)
    entry = journal.accepted(journal.intend(intent()), "7", RunStatus(state=RunState.QUEUED, observed_at=START))
    journal.close()
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, 200) | st.integers(0, len(content) - 1))
        content[at : at + 4] = data.draw(st.binary(max_size=6))
    path.write_bytes(content[: data.draw(st.just(len(content)) | st.integers(0, len(content)))])
    with suppress(FlowrunnerError):
        journal = Journal.open(path, now=lambda: START)
        try:
            for call in all_that_reads(journal, entry):
                with suppress(FlowrunnerError):
                    call()
        finally:
            journal.close()
