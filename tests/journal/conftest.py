"""A journal to write to, and what to write."""

import os
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from flowrunner.enums import RunState
from flowrunner.journal import Intent, Journal
from flowrunner.models import RunStatus

START = datetime(2025, 1, 1, 12, tzinfo=UTC)


class Moments:
    """The time of day, a second later each time somebody looks."""

    def __init__(self):
        self.last = START

    def __call__(self):
        """Look."""
        self.last += timedelta(seconds=1)
        return self.last


@pytest.fixture
def path(tmp_path):
    """Where the journal is."""
    return tmp_path / "state" / "journal.sqlite3"


@pytest.fixture
def opened(path):
    """Open the journal once more; all are closed at the end."""
    journals = []

    def make(at=path, *, wait=30.0, now=None):
        journals.append(Journal.open(at, wait=wait, now=now or Moments()))
        return journals[-1]

    yield make
    for journal in journals:
        journal.close()


@pytest.fixture
def journal(opened):
    """An open journal."""
    return opened()


@pytest.fixture
def intent():
    """Make an intent, of which a test names what matters to it."""

    def make(key="k1", **others):
        given = {"connection": "prod", "backend": "fme-flow-v4", "flow": "a/b.fmw", "digest": "key:1", "at": START}
        return Intent(key=key, **{**given, **others})

    return make


@pytest.fixture
def seen():
    """Make a status as a vendor's answer gives it."""

    def make(state=RunState.RUNNING, word=None, second=10, **others):
        return RunStatus(state=state, vendor_status=word, observed_at=START + timedelta(seconds=second), **others)

    return make


@pytest.fixture
def modest():
    """A folder of a user without special rights, who the test is until it ends."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if os.geteuid() != 0:
            yield folder
            return
        os.chown(folder, 65534, 65534)
        os.seteuid(65534)
        try:
            yield folder
        finally:
            os.seteuid(0)
