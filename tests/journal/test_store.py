"""The journal: intents, the ids they got, and how the runs went."""

import json
import os
from datetime import UTC, datetime, timedelta, timezone

import pytest

from flowrunner.enums import Cause, RunState, WaitReason
from flowrunner.errors import InvalidRequest, JournalError
from flowrunner.journal import Change, Journal, default_path
from flowrunner.models import RunRef, RunStatus

START = datetime(2025, 1, 1, 12, tzinfo=UTC)


def after(seconds):
    """So long after noon."""
    return START + timedelta(seconds=seconds)


def raw(path):
    """All bytes of all files of a journal."""
    return b"".join(file.read_bytes() for file in path.parent.iterdir())


def test_an_intent_is_an_open_entry(journal, intent):
    """What is about to be submitted is kept as it was said, as SUBMITTING, without an id."""
    entry = journal.intend(intent(hint={"folder": "flowrunner-1"}))
    assert entry.is_new
    assert (entry.connection, entry.backend, entry.flow, entry.key) == ("prod", "fme-flow-v4", "a/b.fmw", "k1")
    assert (entry.digest, entry.hint) == ("key:1", {"folder": "flowrunner-1"})
    assert (entry.state, entry.run_id, entry.attempts, entry.uncertain) == (RunState.SUBMITTING, None, 1, None)
    assert (entry.intended_at, entry.accepted_at, entry.ended_at) == (START, None, None)
    assert entry.pid == os.getpid()
    assert entry.ref == RunRef("prod", "fme-flow-v4", "a/b.fmw", None, "k1")
    assert journal.open_entries("prod") == [entry]
    assert journal.history(entry) == []


def test_a_key_is_intended_once(journal, intent):
    """The same key gives the entry that exists, says that it is not new, and writes nothing."""
    first = journal.intend(intent())
    second = journal.intend(intent(at=after(5), backend="fme-flow", hint={"other": "hint"}))
    assert second == first
    assert not second.is_new
    assert journal.entries() == [first]


def test_a_key_belongs_to_its_connection(journal, intent):
    """Two connections may use one key."""
    journal.intend(intent())
    assert journal.intend(intent(connection="test")).is_new


@pytest.mark.parametrize(
    ("other", "text"),
    [
        ({"flow": "c/d.fmw"}, "key 'k1' belongs to a submission of flow 'a/b.fmw', not 'c/d.fmw': use another key"),
        ({"digest": "key:2"}, "key 'k1' belongs to a submission of flow 'a/b.fmw' with other parameters"),
    ],
)
def test_a_key_stands_for_one_submission(journal, intent, other, text):
    """The same key with another flow, or with other parameters, is an error that names the run it has."""
    journal.accepted(journal.intend(intent()), "7", RunStatus())
    with pytest.raises(InvalidRequest) as caught:
        journal.intend(intent(**other))
    assert text in caught.value.message
    assert caught.value.ref == RunRef("prod", "fme-flow-v4", "a/b.fmw", "7", "k1")
    assert len(journal.entries()) == 1


def test_a_lost_key_file_refuses_nothing(journal, intent):
    """Of digests made with different keys nobody can say that they differ."""
    journal.intend(intent(digest="one:1"))
    assert not journal.intend(intent(digest="other:2")).is_new


def test_an_id_is_kept(journal, opened, intent, seen):
    """The vendor's id and the first state are there for everybody who opens the file."""
    entry = journal.accepted(journal.intend(intent()), "7", seen(RunState.QUEUED, "queued", second=2))
    assert (entry.run_id, entry.state, entry.accepted_at, entry.ended_at) == ("7", RunState.QUEUED, after(2), None)
    assert not entry.is_new
    other = opened()
    assert other.find("prod", "k1") == entry
    assert other.history(entry) == [
        Change(at=after(2), run_id="7", state=RunState.QUEUED, vendor_status="queued", cause=None, reason=None)
    ]


def test_an_id_without_a_time_gets_ours(journal, intent):
    """A status that nobody observed, such as that of the submission's own answer, is as of now."""
    entry = journal.accepted(journal.intend(intent()), "7", RunStatus(state=RunState.QUEUED))
    assert entry.accepted_at == after(1)
    journal.changed(entry.ref, RunStatus(state=RunState.RUNNING))
    assert [change.at for change in journal.history(entry)] == [after(1), after(2)]


def test_a_run_that_ended_at_once(journal, intent, seen):
    """A submission whose answer is the end leaves nothing open."""
    entry = journal.accepted(journal.intend(intent()), "7", seen(RunState.SUCCEEDED))
    assert entry.ended_at == after(10)
    assert journal.open_entries("prod") == []


def test_an_id_may_be_found_twice(journal, intent, seen):
    """Two processes that recover at once find the same run: the second one changes nothing."""
    entry = journal.intend(intent())
    first = journal.accepted(entry, "7", seen(RunState.QUEUED, second=1))
    assert journal.accepted(entry, "7", seen(RunState.QUEUED, second=2)) == first
    assert journal.accepted(entry, "7", seen(RunState.RUNNING, second=3)).state is RunState.RUNNING
    assert [change.state for change in journal.history(entry)] == [RunState.QUEUED, RunState.RUNNING]


def test_a_twin_is_named_and_kept(journal, intent, seen):
    """A second id for one key replaces nothing, is told with both, and stays in the history."""
    entry = journal.intend(intent())
    first = journal.accepted(entry, "8", seen(RunState.RUNNING))
    for _ in range(2):
        with pytest.raises(JournalError) as caught:
            journal.accepted(entry, "7", seen(RunState.QUEUED))
    assert "key 'k1' started two runs: the journal has '8', and now there is '7'" in caught.value.message
    assert caught.value.ref == RunRef("prod", "fme-flow-v4", "a/b.fmw", "7", "k1")
    assert journal.find("prod", "k1") == first
    journal.changed(first.ref, seen(RunState.RUNNING))
    assert [(change.run_id, change.state) for change in journal.history(entry)] == [
        ("8", RunState.RUNNING),
        ("7", RunState.QUEUED),
    ]


def test_a_refusal_frees_the_key(journal, intent):
    """What the vendor did not start has ended; its key may be used again, for something else, too."""
    journal.refused(journal.intend(intent()))
    refused = journal.find("prod", "k1")
    assert refused.is_refused
    assert (refused.ended_at, refused.state) == (after(1), RunState.SUBMITTING)
    assert journal.open_entries("prod") == []
    journal.intend(intent("k2"))
    again = journal.intend(intent(flow="c/d.fmw", digest="key:2"))
    assert again.is_new
    assert (again.attempts, again.flow, again.is_refused) == (1, "c/d.fmw", False)
    assert [entry.key for entry in journal.entries()] == ["k1", "k2"]


def test_what_was_accepted_cannot_be_refused(journal, intent):
    """A run that the journal knows is not forgotten, whoever says that there is none."""
    entry = journal.intend(intent())
    accepted = journal.accepted(entry, "7", RunStatus())
    journal.refused(entry)
    journal.uncertain(entry, "why")
    assert journal.find("prod", "k1") == accepted


def test_a_refused_submission_that_is_found(journal, intent, seen):
    """A run that there is after all counts."""
    entry = journal.intend(intent())
    journal.refused(entry)
    journal.uncertain(entry, "too late")
    assert journal.find("prod", "k1").uncertain is None
    found = journal.accepted(entry, "7", seen())
    assert (found.run_id, found.ended_at, found.is_refused) == ("7", None, False)


def test_an_entry_that_was_replaced(journal, intent):
    """Who still has the refused entry after its key was used again is told so."""
    stale = journal.intend(intent())
    journal.refused(stale)
    journal.intend(intent())
    with pytest.raises(JournalError, match="no entry 1: its key was used again after a refusal"):
        journal.accepted(stale, "7", RunStatus())


def test_an_uncertain_submission_stays_open(journal, intent):
    """Why the outcome is unknown is kept, shortened, until the id is known."""
    entry = journal.intend(intent())
    journal.uncertain(entry, "no answer" + "!" * 2000)
    known = journal.find("prod", "k1")
    assert known.uncertain == "no answer" + "!" * 991
    assert journal.open_entries("prod") == [known]
    assert not journal.intend(intent()).is_new
    assert journal.accepted(entry, "7", RunStatus()).uncertain is None


def test_a_submission_is_sent_again_by_one(journal, opened, intent):
    """Of two processes that saw that the vendor does not have it, one sends it again, and it is counted."""
    entry = journal.intend(intent())
    journal.uncertain(entry, "no answer")
    ours = journal.resubmit(entry)
    theirs = opened().resubmit(entry)
    assert (ours.is_new, theirs.is_new) == (True, False)
    assert theirs == ours
    assert (ours.attempts, ours.uncertain, ours.intended_at) == (2, None, after(1))
    assert ours.seq == entry.seq


def test_a_found_run_is_not_sent_again(journal, intent):
    """Who found it too late is told, and given the run."""
    entry = journal.intend(intent())
    accepted = journal.accepted(entry, "7", RunStatus())
    again = journal.resubmit(entry)
    assert (again, again.is_new) == (accepted, False)


def test_a_refused_repetition_leaves_the_first_request(journal, intent):
    """When the second request is refused the first one may still arrive: the key is not free."""
    again = journal.resubmit(journal.intend(intent()))
    journal.refused(again)
    known = journal.find("prod", "k1")
    assert not known.is_refused
    assert known.uncertain == "the last request was refused; an earlier one may still arrive"
    assert not journal.intend(intent()).is_new
    assert journal.resubmit(known).attempts == 3


def test_changes_are_kept(journal, intent, seen):
    """Each new state, word, cause or reason is a change; what says nothing new is none."""
    entry = journal.accepted(journal.intend(intent()), "7", seen(RunState.QUEUED, "queued"))
    journal.changed(entry.ref, seen(RunState.QUEUED, "queued", second=11, progress=0.5))
    journal.changed(entry.ref, seen(RunState.QUEUED, "delayed", second=12))
    journal.changed(entry.ref, seen(RunState.WAITING, "delayed", second=13, reason=WaitReason.PAUSED))
    journal.changed(entry.ref, seen(RunState.FAILED, "failure", second=14, cause=Cause.FLOW))
    history = journal.history(entry)
    assert [change.vendor_status for change in history] == ["queued", "delayed", "delayed", "failure"]
    assert [change.at for change in history] == [after(10), after(12), after(13), after(14)]
    assert [(change.cause, change.reason) for change in history[2:]] == [(None, WaitReason.PAUSED), (Cause.FLOW, None)]
    ended = journal.find("prod", "k1")
    assert (ended.state, ended.ended_at) == (RunState.FAILED, after(14))
    assert journal.open_entries("prod") == []


SUCCEEDED, FAILED, CANCELLED, LOST = RunState.SUCCEEDED, RunState.FAILED, RunState.CANCELLED, RunState.LOST


@pytest.mark.parametrize(
    ("first", "then"),
    [
        (SUCCEEDED, RunState.RUNNING),
        (SUCCEEDED, LOST),
        (SUCCEEDED, CANCELLED),
        (FAILED, SUCCEEDED),
        (CANCELLED, RunState.CANCELLING),
    ],
)
def test_an_end_stays(journal, intent, seen, first, then):
    """What a slower process says of a run that has ended changes nothing."""
    entry = journal.accepted(journal.intend(intent()), "7", seen(first))
    journal.changed(entry.ref, seen(then, second=20))
    assert journal.find("prod", "k1") == entry
    assert len(journal.history(entry)) == 1


@pytest.mark.parametrize(
    ("first", "then"),
    [(SUCCEEDED, FAILED), (LOST, RunState.RUNNING), (LOST, SUCCEEDED), (RunState.RUNNING, RunState.QUEUED)],
)
def test_what_may_follow(journal, intent, seen, first, then):
    """A success may turn out a failure, a lost run come back, and a running one be queued again."""
    entry = journal.accepted(journal.intend(intent()), "7", seen(first))
    journal.changed(entry.ref, seen(then, second=20))
    known = journal.find("prod", "k1")
    assert (known.state, known.ended_at) == (then, after(20) if then.is_final else None)
    assert [change.state for change in journal.history(entry)] == [first, then]


@pytest.mark.parametrize(
    "ref",
    [
        RunRef("prod", "b", "f", "8", "k1"),
        RunRef("prod", "b", "f", "7", "other"),
        RunRef("test", "b", "f", "7", "k1"),
        RunRef("prod", "b", "f", None, "k1"),
    ],
)
def test_an_unknown_run_changes_nothing(journal, intent, seen, ref):
    """Runs that were not submitted with this journal are none of its business."""
    entry = journal.accepted(journal.intend(intent()), "7", seen(RunState.QUEUED))
    journal.changed(ref, seen(RunState.FAILED))
    assert journal.find("prod", "k1") == entry


def test_a_reference_without_a_key(journal, intent, seen):
    """It is the latest run with that id: a server that was restored gives ids again."""
    for key in ("k1", "k2"):
        journal.accepted(journal.intend(intent(key)), "7", seen(RunState.QUEUED))
    ref = RunRef("prod", "fme-flow", "", "7")
    journal.changed(ref, seen(RunState.RUNNING))
    assert journal.of_run(ref).key == "k2"
    assert journal.of_run(RunRef("prod", "fme-flow", "", "8")) is None
    assert [entry.state for entry in journal.entries()] == [RunState.RUNNING, RunState.QUEUED]


def test_a_history_is_bounded(journal, intent, seen):
    """Of one run the last 200 changes are kept, and those of others are left alone."""
    other = journal.accepted(journal.intend(intent("k2")), "8", seen())
    entry = journal.accepted(journal.intend(intent()), "7", seen(word="0"))
    for number in range(1, 203):
        journal.changed(entry.ref, seen(word=str(number)))
    words = [int(change.vendor_status) for change in journal.history(entry)]
    assert words == list(range(3, 203))
    assert len(journal.history(other)) == 1


def test_lists(journal, intent, seen):
    """All entries come newest first, of all connections or one, as many as asked for; open ones oldest first."""
    for number in range(4):
        journal.intend(intent(f"k{number}", connection="prod" if number % 2 else "test"))
    journal.accepted(journal.find("prod", "k1"), "1", seen())
    assert [entry.key for entry in journal.entries()] == ["k3", "k2", "k1", "k0"]
    assert [entry.key for entry in journal.entries(connection="test")] == ["k2", "k0"]
    assert [entry.key for entry in journal.entries(limit=1)] == ["k3"]
    assert journal.entries(limit=0) == []
    assert [(entry.key, entry.run_id) for entry in journal.open_entries("prod")] == [("k1", "1"), ("k3", None)]
    assert journal.find("prod", "k0") is None


def test_times_are_utc(journal, intent):
    """A time of another zone is the same instant, in UTC."""
    entry = journal.intend(intent(at=START.astimezone(timezone(timedelta(hours=-5)))))
    assert entry.intended_at == START
    assert entry.intended_at.tzinfo is UTC


@pytest.mark.parametrize("text", ["", "ö 語 🐢", "a\0b", "\ud800", "'; DROP TABLE entries; --", "x" * 100_000])
def test_every_text_is_kept(journal, intent, text):
    """Whatever a caller or a vendor calls something, it comes back as it was, and is found by that name."""
    entry = journal.intend(intent(text, connection=text, flow=text, backend=text, hint={text: text}))
    entry = journal.accepted(entry, text, RunStatus(state=RunState.RUNNING, vendor_status=text))
    assert entry.ref == RunRef(text, text, text, text, text)
    assert entry.hint == {text: text}
    journal.changed(entry.ref, RunStatus(state=RunState.RUNNING, vendor_status=text))
    assert [change.vendor_status for change in journal.history(entry)] == [text]
    assert journal.find(text, text) == entry


def test_no_secret_and_no_payload_is_kept(journal, path, intent, seen):
    """What is submitted leaves no trace in any of the files, nor do the vendor's message and answer."""
    hidden = ["p4ssw0rd-of-parameters", "p4yload-of-bytes", "descr1ption-of-options", "mess4ge", "answ3r"]
    digest = journal.digest("f", {"password": hidden[0]}, hidden[1].encode(), {"description": hidden[2]})
    entry = journal.accepted(
        journal.intend(intent(digest=digest)), "7", seen(message=hidden[3], raw=hidden[4].encode())
    )
    journal.changed(entry.ref, seen(RunState.FAILED, message=hidden[3], raw=hidden[4].encode()))
    journal.uncertain(journal.intend(intent("k2", digest=digest)), "no answer")
    before_closing = raw(path)
    journal.close()
    for found in (before_closing, raw(path)):
        assert digest.encode() in found
        assert [text for text in hidden if text.encode() in found] == []


def test_a_closed_journal_says_so(journal, intent):
    """Closing twice is closing once; then every call is refused."""
    journal.close()
    journal.close()
    with pytest.raises(JournalError, match="was closed: open it again"):
        journal.intend(intent())


def test_a_closed_journal_is_one_file(journal, path, intent):
    """The last one that closes it leaves the file alone, to be copied or read."""
    journal.intend(intent())
    journal.close()
    assert [file.name for file in path.parent.iterdir()] == ["journal.sqlite3"]


@pytest.mark.parametrize(
    ("statement", "what"),
    [
        ("UPDATE entries SET state = 'asleep'", "entry 1"),
        ("UPDATE entries SET hint = '{'", "entry 1"),
        ("UPDATE entries SET intended_at = 'noon'", "entry 1"),
        ("UPDATE changes SET cause = 'fate'", "a change of entry 1"),
        ("UPDATE changes SET at = x'00'", "a change of entry 1"),
    ],
)
def test_a_row_that_makes_no_sense(journal, intent, statement, what):
    """What somebody else wrote into the file is an error that names the entry."""
    entry = journal.accepted(journal.intend(intent()), "7", RunStatus())
    with journal._database.transaction(durable=False) as db:
        db.execute(statement)
    with pytest.raises(JournalError, match=f"{what} in the journal makes no sense"):
        (journal.entries(), journal.history(entry))


def test_a_failure_in_between_leaves_nothing(journal, intent, monkeypatch):
    """An intent is there as a whole or not at all, and the journal can be used on."""
    monkeypatch.setattr("flowrunner.journal.store.entry_at", lambda db, seq: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        journal.intend(intent())
    monkeypatch.undo()
    assert journal.entries() == []
    assert journal.intend(intent()).is_new


def test_what_is_forced_onto_the_disk(journal, intent, seen):
    """Intents, ids and repetitions are durable when the call returns; the rest does not wait for the disk."""
    statements = []
    journal._database._connection.set_trace_callback(statements.append)

    def forced(call, *arguments):
        del statements[:]
        result = call(*arguments)
        modes = [text.split("= ")[1] for text in statements if text.startswith("PRAGMA synchronous")]
        return result, modes, statements.count("COMMIT")

    entry, *cost = forced(journal.intend, intent())
    assert cost == [["FULL"], 1]
    _, *cost = forced(journal.uncertain, entry, "why")
    assert cost == [["NORMAL"], 1]
    entry, *cost = forced(journal.resubmit, entry)
    assert cost == [["FULL"], 1]
    entry, *cost = forced(journal.accepted, entry, "7", seen(RunState.QUEUED))
    assert cost == [["FULL"], 1]
    _, *cost = forced(journal.changed, entry.ref, seen())
    assert cost == [["NORMAL"], 1]
    _, *cost = forced(journal.refused, entry)
    assert cost == [["NORMAL"], 1]
    journal._database._connection.set_trace_callback(None)


def test_the_time_of_day_is_the_systems(path, intent):
    """Where no other clock is given."""
    journal = Journal.open(path)
    before = datetime.now(UTC)
    accepted = journal.accepted(journal.intend(intent()), "7", RunStatus())
    assert before <= accepted.accepted_at <= datetime.now(UTC)
    journal.close()


def test_the_default_path(monkeypatch, tmp_path):
    """It is in the user's state folder."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert default_path().name == "journal.sqlite3"
    assert default_path().parent.name == "flowrunner"


def test_a_path_may_be_a_text(tmp_path, intent):
    """A path is given as a caller has it, and a link leads to one journal with one key."""
    (tmp_path / "link").symlink_to(tmp_path / "file")
    one, other = Journal.open(str(tmp_path / "file")), Journal.open(tmp_path / "link")
    digest = one.digest("f", {}, None, None)
    one.intend(intent(hint=json.loads("{}"), digest=digest))
    assert other.digest("f", {}, None, None) == digest
    assert len(other.entries()) == 1
    one.close()
    other.close()
