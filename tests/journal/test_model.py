"""The journal against a dictionary, by whatever calls in whatever order."""

import shutil
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from attrs import evolve
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from flowrunner.enums import RunState
from flowrunner.errors import InvalidRequest, JournalError
from flowrunner.journal import Intent, Journal
from flowrunner.models import RunStatus

NOW = datetime(2025, 1, 1, 12, tzinfo=UTC)
KEYS = st.sampled_from(["k1", "k2", "k3"])
IDS = st.sampled_from(["1", "2"])
STATES = st.sampled_from([RunState.QUEUED, RunState.RUNNING, RunState.SUCCEEDED, RunState.FAILED, RunState.LOST])
SINKS = {RunState.SUCCEEDED, RunState.FAILED, RunState.CANCELLED}


class Books(RuleBasedStateMachine):
    """What the journal must know: by key the digest, the id, the state, the attempts and whether it is open."""

    entries = Bundle("entries")

    def __init__(self):
        super().__init__()
        self.folder = tempfile.mkdtemp()
        self.model = {}
        self.open()

    def open(self):
        """Open the file."""
        self.journal = Journal.open(Path(self.folder) / "journal", now=lambda: NOW)

    def teardown(self):
        """Clean up."""
        self.journal.close()
        shutil.rmtree(self.folder)

    @rule(target=entries, key=KEYS, digest=st.sampled_from(["d:1", "d:2", "e:1"]))
    def intend(self, key, digest):
        """A key is new, or known with the same digest, or refused."""
        intent = Intent(connection="c", backend="b", flow="f", key=key, digest=digest, at=NOW)
        known = self.model.get(key)
        is_new = known is None or (known["ended"] and known["id"] is None)
        try:
            entry = self.journal.intend(intent)
        except InvalidRequest:
            assert not is_new
            assert known["digest"][0] == digest[0]
            assert known["digest"] != digest
            return self.journal.find("c", key)
        assert entry.is_new is is_new
        if is_new:
            self.model[key] = {
                "seq": entry.seq,
                "digest": digest,
                "id": None,
                "state": RunState.SUBMITTING,
                "attempts": 1,
                "ended": False,
            }
        else:
            assert known["digest"] == digest or known["digest"][0] != digest[0]
        return entry

    def known(self, entry):
        """The model of an entry; None if it was replaced."""
        known = self.model[entry.key]
        return known if known["seq"] == entry.seq else None

    @rule(entry=entries, run_id=IDS, state=STATES)
    def accept(self, entry, run_id, state):
        """The first id stays; a twin is an error."""
        known = self.known(entry)
        try:
            self.journal.accepted(entry, run_id, RunStatus(state=state))
        except JournalError:
            assert known is None or known["id"] not in {None, run_id}
            return
        assert known["id"] in {None, run_id}
        known["id"] = run_id
        self.take(known, state)

    @rule(entry=entries, state=STATES)
    def change(self, entry, state):
        """A run that has an id stands as it was seen, unless it has ended."""
        known = self.model[entry.key]
        self.journal.changed(evolve(entry.ref, id=known["id"]), RunStatus(state=state))
        if known["id"] is not None:
            self.take(known, state)

    def take(self, known, state):
        """The rule about ends."""
        if known["state"] not in SINKS or (known["state"], state) == (RunState.SUCCEEDED, RunState.FAILED):
            known["state"] = state
            known["ended"] = state.is_final

    @rule(entry=entries)
    def refuse(self, entry):
        """An intent ends, unless it has a run, or was sent before."""
        self.journal.refused(entry)
        known = self.known(entry)
        if known is not None and known["id"] is None and known["attempts"] == 1:
            known["ended"] = True

    @rule(entry=entries)
    def doubt(self, entry):
        """An uncertain submission is as open as before."""
        self.journal.uncertain(entry, "why")

    @rule(target=entries, entry=consumes(entries))
    def resubmit(self, entry):
        """What is open, without an id and as it was read is sent again."""
        known = self.known(entry)
        try:
            again = self.journal.resubmit(entry)
        except JournalError:
            assert known is None
            return self.journal.find("c", entry.key)
        assert again.is_new is (known["id"] is None and not known["ended"] and known["attempts"] == entry.attempts)
        known["attempts"] += again.is_new
        return again

    @rule()
    def reopen(self):
        """What is known does not depend on the process."""
        self.journal.close()
        self.open()

    @invariant()
    def agrees(self):
        """The journal knows what the model knows, in the order it was intended in."""
        expected = sorted(self.model.items(), key=lambda item: -item[1]["seq"])
        found = self.journal.entries()
        assert [(entry.key, as_modelled(entry)) for entry in found] == expected
        assert self.journal.open_entries("c") == [entry for entry in reversed(found) if entry.ended_at is None]


def as_modelled(entry):
    """An entry as the model has it."""
    return {
        "seq": entry.seq, "digest": entry.digest, "id": entry.run_id, "state": entry.state, "attempts": entry.attempts,
        "ended": entry.ended_at is not None,
    }  # fmt: skip


TestBooks = Books.TestCase
TestBooks.settings = settings(max_examples=20, stateful_step_count=30, deadline=None)
