"""Versions of the file."""

import sqlite3
from contextlib import closing

import pytest

from flowrunner.enums import RunState
from flowrunner.errors import JournalError
from flowrunner.journal.database import Database
from flowrunner.journal.schema import APPLICATION_ID, STEPS, refusal

VERSION_1 = """
CREATE TABLE entries (
  seq INTEGER PRIMARY KEY AUTOINCREMENT, connection TEXT NOT NULL, backend TEXT NOT NULL, flow TEXT NOT NULL,
  key TEXT NOT NULL, digest TEXT NOT NULL, hint TEXT NOT NULL, run_id TEXT, state TEXT NOT NULL,
  attempts INTEGER NOT NULL, uncertain TEXT, intended_at TEXT NOT NULL, accepted_at TEXT, ended_at TEXT,
  pid INTEGER NOT NULL, absent_at TEXT, UNIQUE (connection, key)
);
CREATE INDEX entries_by_run ON entries (connection, run_id);
CREATE INDEX entries_open ON entries (connection, seq) WHERE ended_at IS NULL;
CREATE TABLE changes (
  seq INTEGER PRIMARY KEY, entry INTEGER NOT NULL REFERENCES entries (seq), at TEXT NOT NULL, run_id TEXT NOT NULL,
  state TEXT NOT NULL, vendor_status TEXT, cause TEXT, reason TEXT
);
CREATE INDEX changes_by_entry ON changes (entry, seq);
INSERT INTO entries VALUES (
  4, 'prod', 'fme-flow-v4', 'a/b.fmw', 'k1', 'key:1', '{"folder": "x"}', '7', 'succeeded', 2, NULL,
  '2025-01-01T12:00:00.000000+00:00', '2025-01-01T12:00:01.000000+00:00', '2025-01-01T12:00:02.000000+00:00', 77, NULL
);
INSERT INTO changes VALUES (9, 4, '2025-01-01T12:00:02.000000+00:00', '7', 'succeeded', 'success', NULL, NULL);
PRAGMA application_id = 1718383214;
PRAGMA user_version = 1;
"""
"""A file as version 1 left it; never changed."""


@pytest.fixture
def version_1(path):
    """A file of version 1."""
    path.parent.mkdir()
    with closing(sqlite3.connect(path)) as db:
        db.executescript(VERSION_1)
    return path


def schema(path):
    """What there is in a file, without the layout of its text."""
    with closing(sqlite3.connect(path)) as db:
        rows = db.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY name").fetchall()
        return [(name, " ".join(sql.replace("(", "( ").replace(")", " )").split())) for name, sql in rows]


def version(path):
    """The version of a file."""
    with closing(sqlite3.connect(path)) as db:
        return db.execute("PRAGMA user_version").fetchone()[0]


def test_a_file_of_version_1_is_read(version_1, opened):
    """What the first version wrote is read by this one, which goes on from there."""
    journal = opened()
    entry = journal.find("prod", "k1")
    assert (entry.seq, entry.run_id, entry.state, entry.attempts) == (4, "7", RunState.SUCCEEDED, 2)
    assert [change.vendor_status for change in journal.history(entry)] == ["success"]


def test_a_new_file_is_as_one_that_was_migrated(version_1, opened, tmp_path):
    """Whichever way a file came to this version, its tables are the same."""
    opened().close()
    opened(tmp_path / "new").close()
    assert schema(version_1) == schema(tmp_path / "new")
    assert version(version_1) == version(tmp_path / "new") == len(STEPS)


INVENTED = (
    *STEPS,
    ("ALTER TABLE entries ADD COLUMN colour TEXT", "UPDATE entries SET colour = 'green'"),
    ("CREATE TABLE colours (name TEXT)", "INSERT INTO colours SELECT colour FROM entries"),
)


def test_steps_are_taken_in_order(version_1):
    """A file of an older version takes each step that it lacks, once, and keeps what is in it."""
    for _ in range(2):
        database = Database(version_1, wait=1, steps=INVENTED)
        with database.reading() as db:
            assert [row["colour"] for row in db.execute("SELECT colour FROM entries WHERE run_id = '7'")] == ["green"]
            assert [row["name"] for row in db.execute("SELECT name FROM colours")] == ["green"]
        database.close()
        assert version(version_1) == 3


def test_all_steps_are_taken_or_none(version_1):
    """A step that fails leaves the file at the version it had."""
    before = schema(version_1)
    with pytest.raises(JournalError, match="no such table: nowhere"):
        Database(version_1, wait=1, steps=(*INVENTED, ("INSERT INTO nowhere VALUES (1)",)))
    assert schema(version_1) == before
    assert version(version_1) == 1


def test_a_newer_version_is_refused(path):
    """A file of a newer version is left alone, and the text names both versions and what to do."""
    Database(path, wait=1, steps=INVENTED).close()
    before = path.read_bytes()
    with pytest.raises(JournalError) as caught:
        Database(path, wait=1)
    assert caught.value.message == (
        f"the journal {str(path)!r} has schema version 3, and this flowrunner knows versions up to 1: update"
        " flowrunner, or name another file"
    )
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "script", ["CREATE TABLE t (x)", "PRAGMA user_version = 1", "PRAGMA application_id = 5; PRAGMA user_version = 1"]
)
def test_a_database_of_another_program_is_refused(tmp_path, script):
    """It is left as it is."""
    path = tmp_path / "other.sqlite3"
    with closing(sqlite3.connect(path)) as db:
        db.executescript(script)
    before = path.read_bytes()
    with pytest.raises(JournalError, match="is a database of another program: name another file"):
        Database(path, wait=1)
    assert path.read_bytes() == before


class Meanwhile:
    """A connection to a new file, which another process makes a journal after so many statements."""

    def __init__(self, path, statements):
        self.path, self.left = path, statements
        self.db = sqlite3.connect(path)

    def execute(self, statement):
        """Run it, and let the other one come in."""
        found = self.db.execute(statement).fetchall()
        self.left -= 1
        if self.left == 0:
            Database(self.path, wait=1).close()
        return self.db.execute("SELECT " + ", ".join(map(str, found[0])))


@pytest.mark.parametrize("statements", [1, 2, 3])
def test_a_file_that_is_just_being_made_is_ours(tmp_path, statements):
    """Of two processes that open a new file at once, neither takes what the other makes for something else."""
    connection = Meanwhile(tmp_path / "new", statements)
    assert refusal(connection, STEPS) is None
    connection.db.close()


def test_an_empty_file_becomes_a_journal(tmp_path):
    """A file that somebody made in advance is used."""
    path = tmp_path / "empty"
    path.touch()
    Database(path, wait=1).close()
    assert version(path) == 1


def test_the_file_says_whose_it_is(path):
    """The mark is four letters, as `file` shows them."""
    Database(path, wait=1).close()
    assert path.read_bytes()[68:72] == b"flrn"
    assert APPLICATION_ID == 1718383214
