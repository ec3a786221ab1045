"""The journal at the command line: it is on, it finds runs again, and it can be left out."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta

import pytest

from flowrunner.cli.output import seen
from flowrunner.enums import ReconcileOutcome, RunState
from flowrunner.errors import JournalError
from flowrunner.journal import Journal
from flowrunner.models import Reconciliation, RunRef, RunStatus
from flowrunner.operations.reconciling import Reconciling

FLOW = "Demo/work.fmw"


def test_what_was_started_here_is_found(cli, simulator):
    """A line for each run that was not seen to end, with its state when seen last; one that ended is gone."""
    first = cli("run", "sim", FLOW).stdout.strip()
    cli("run", "sim", FLOW, "--wait")
    ended, record = cli("recover", "sim"), cli("recover", "sim", "--json").record

    assert (ended.code, ended.stdout) == (0, f"{first}  queued (seen less than a minute ago)\n")
    assert (record["ref"], record["id"]) == (first, "1")


def test_a_submission_whose_outcome_is_unknown_is_told(cli, simulator, script):
    """V4 carries no key: it stays `submitting`, the exit code says that it is uncertain, and stderr what to do."""
    script(duration=10_000)
    simulator.cut_next("reset_after", "*/jobs", method="POST")
    handle = cli("run", "sim", FLOW, "--key", "nightly", "--json").record["ref"]
    ended = cli("recover", "sim")

    candidate = handle.replace("::", ":1:")
    assert (ended.code, re.sub(r"\d+-\d+-\d+ \d+:\d+:\d+", "THEN", ended.stdout)) == (
        10,
        f"{handle}  submitting (submitted THEN UTC)\n  may be {candidate}  running (queued THEN UTC)\n",
    )
    assert ended.stderr == (
        "If one of these is it, look at that one, which settles it; at the first with:\n"
        f"  flowrunner status {candidate}\n"
        "If none is, and nothing was started, close it with:\n"
        "  flowrunner recover sim --dismiss nightly\n"
    )
    record = cli("recover", "sim", "--json").record
    assert (record["outcome"], record["candidates"]) == ("candidates", [candidate])


def test_whoever_looks_at_a_candidate_settles_it(cli, simulator):
    """After a look at the one that it is, it is the run of that key."""
    simulator.cut_next("reset_after", "*/jobs", method="POST")
    handle = cli("run", "sim", FLOW, "--key", "nightly", "--json").record["ref"]
    looked = cli("status", handle.replace("::", ":1:"))
    assert (looked.code, looked.stderr) == (0, "Taken as the run of key 'nightly'.\n")
    assert cli("status", handle.replace("::", ":1:")).stderr == ""

    assert cli("run", "sim", FLOW, "--key", "nightly").stdout == handle.replace("::", ":1:") + "\n"
    assert len(simulator.requests.matching("*/jobs", "POST")) == 1


def test_a_submission_that_started_nothing_is_dismissed(cli, simulator):
    """Somebody looked, and says so: it is no longer open, and its key may be used again."""
    simulator.cut_next("reset_before", "*/jobs", method="POST")
    cli("run", "sim", FLOW, "--key", "nightly")
    simulator.pool.submit(FLOW)  # somebody else's, which might be it

    assert cli("recover", "sim").code == 10
    assert cli("recover", "sim", "--dismiss", "nightly").code == 0
    assert cli("recover", "sim").code == 0
    assert cli("run", "sim", FLOW, "--key", "nightly").code == 0
    gone = cli("recover", "sim", "--dismiss", "nightly")
    assert (gone.code, "no open submission has the key 'nightly'" in gone.stderr) == (2, True)


def test_the_way_out_names_what_was_given(cli, config, simulator, tmp_path):
    """The same configuration and journal; and where nothing was written down, that is said."""
    elsewhere, journal = config.rename(tmp_path / "other.toml"), tmp_path / "j.db"
    for given, expected in (
        (["--config", elsewhere], f"flowrunner recover sim --config {elsewhere}\n"),
        (["--config", elsewhere, "--journal", journal], f"--config {elsewhere} --journal {journal}\n"),
        (["--config", elsewhere, "--journal", "none"], "It was not written down: look at the vendor's list of runs"),
    ):
        simulator.cut_next("reset_after", "*/jobs", method="POST")
        ended = cli("run", "sim", FLOW, *given)
        assert (ended.code, expected in ended.stderr) == (10, True)


def test_a_run_that_is_there_and_not_written_down_is_no_usage_error(cli, monkeypatch):
    """The exit code is that of what is uncertain: a script that repeats a usage error would start a second run."""

    def full(*_):
        raise JournalError("the disk is full")

    monkeypatch.setattr(Journal, "accepted", full)
    ended = cli("run", "sim", FLOW, "--json")
    assert (ended.code, ended.record["error"], ended.record["exit_code"]) == (10, "JournalError", 10)
    assert ":1:" in ended.record["ref"].removeprefix("flowrunner:1:")


def test_whoever_waits_for_a_candidate_settles_it(cli, simulator):
    """As a look does; that is told once, among what happens on the way."""
    simulator.cut_next("reset_after", "*/jobs", method="POST")
    handle = cli("run", "sim", FLOW, "--key", "nightly", "--json").record["ref"]
    assert cli("wait", handle.replace("::", ":1:")).stderr.count("Taken as the run of key 'nightly'.\n") == 1


def test_a_submission_that_the_vendor_does_not_show(cli, simulator):
    """It may be submitted again, which is said."""
    simulator.cut_next("reset_before", "*/jobs", method="POST")
    cli("run", "sim", FLOW, "--key", "a b")
    ended = cli("recover", "sim")
    assert (ended.code, ended.stderr) == (
        10,
        "The vendor shows no run of it now: submit the same again, with --key 'a b'.\n",
    )


def test_a_submission_that_nobody_can_find(cli, config, simulator, monkeypatch):
    """Where the vendor cannot tell the commands say what a person can do."""

    def unknowable(*_):
        yield from ()
        return Reconciliation(ReconcileOutcome.UNKNOWABLE)

    monkeypatch.setattr(Reconciling, "reconcile", unknowable)
    elsewhere = config.rename(config.with_name("other.toml"))
    simulator.cut_next("reset_before", "*/jobs", method="POST")
    cli("run", "sim", FLOW, "--key", "nightly", "--config", elsewhere)
    ended = cli("recover", "sim", "--config", elsewhere)
    assert f"close it with:\n  flowrunner recover sim --dismiss nightly --config {elsewhere}\n" in ended.stderr
    assert "put its id between the two colons of the reference" in ended.stderr


def test_who_says_nothing_of_times_is_shown_without(cli, simulator, monkeypatch):
    """A run that was found meanwhile has its state alone; what has no time shows none."""
    simulator.cut_next("reset_after", "*/jobs", method="POST")
    handle = cli("run", "sim", FLOW, "--key", "nightly", "--json").record["ref"]
    candidate = RunRef.parse(handle.replace("::", ":1:"))

    def timeless(_self, record):
        record.submitted_at, record.candidates = None, ((candidate, RunStatus(state=RunState.QUEUED)),)
        yield from ()
        return Reconciliation(ReconcileOutcome.CANDIDATES, (candidate,))

    monkeypatch.setattr(Reconciling, "reconcile", timeless)
    assert cli("recover", "sim").stdout == f"{handle}  submitting\n  may be {candidate}  queued\n"


@pytest.mark.parametrize(
    ("age", "expected"),
    [
        (0, "less than a minute"),
        (60, "1 min"),
        (7199, "119 min"),
        (7200, "2 h"),
        (172740, "47 h"),
        (172800, "2 days"),
    ],
)
def test_how_long_ago_it_was_seen(age, expected):
    """In the largest unit of which there are two; a minute is the least."""
    status = RunStatus(state=RunState.RUNNING, observed_at=datetime.now(UTC) - timedelta(seconds=age))
    assert seen(status) == f"running (seen {expected} ago)"


def test_what_nobody_has_seen_is_not_told_as_seen():
    """Its state alone."""
    assert seen(RunStatus(state=RunState.QUEUED)) == "queued"


def test_nothing_is_open(cli, tmp_path):
    """That is said, and is no error; a journal that does not exist is not made for it."""
    ended = cli("recover", "sim")
    assert (ended.code, ended.stdout, ended.stderr) == (0, "", "Nothing is open.\n")
    assert not (tmp_path / "state").exists()
    dismissed = cli("recover", "sim", "--dismiss", "nightly")
    assert (dismissed.code, "no open submission has the key 'nightly'" in dismissed.stderr) == (2, True)


@pytest.mark.parametrize("by", ["option", "variable"])
def test_a_journal_that_was_named_and_is_not_there(cli, tmp_path, by):
    """What was submitted is written down elsewhere: that is an error which says what to do, and no file is made."""
    missing = str(tmp_path / "missing.db")
    given, env = (["--journal", missing], {}) if by == "option" else ([], {"FLOWRUNNER_JOURNAL": missing})
    ended = cli("recover", "sim", *given, **env)
    assert (ended.code, ended.stdout) == (2, "")
    assert f"there is no journal {missing!r}: name the file that submissions were written into" in ended.stderr
    assert not (tmp_path / "missing.db").exists()


def test_a_journal_that_cannot_be_looked_for(cli):
    """The journal says what is wrong with its place."""
    ended = cli("recover", "sim", "--journal", "x" * 5000)
    assert (ended.code, "cannot be used: File name too long" in ended.stderr) == (2, True)


def test_recover_without_a_journal(cli):
    """There is nothing to recover from."""
    ended = cli("recover", "sim", "--journal", "none")
    assert (ended.code, "recover() needs a journal" in ended.stderr) == (2, True)


@pytest.mark.parametrize("outcome", ["succeeded", "failed", "cancelled"])
def test_a_key_that_is_used_up_says_so(cli, script, outcome):
    """Nothing is started; how the run went, and how to run the flow again, is said on stderr."""
    script(duration=1, outcome=outcome)
    first = cli("run", "sim", FLOW, "--key", "nightly", "--wait")
    again = cli("run", "sim", FLOW, "--key", "nightly")
    assert "submitted before" not in first.stderr
    assert again.code == 0
    assert again.stderr == (
        f"Key 'nightly' was submitted before; its run is {outcome} (seen less than a minute ago).\n"
        "To run the flow again, give it a new key.\n"
    )


def test_a_lost_run_stays_lost(cli, simulator, tmp_path):
    """A wait tells so by its exit code, though the vendor never shows the run to it."""
    ref = cli("run", "sim", FLOW, "--key", "nightly").stdout.strip()
    simulator.pool.forget(1)
    assert cli("wait", ref).code == 9
    journal = Journal.open(tmp_path / "state" / "flowrunner" / "journal.sqlite3")
    journal.changed(RunRef.parse(ref), RunStatus(state=RunState.LOST))
    journal.close()
    again = cli("wait", ref, "--json")
    assert (again.code, again.record["status"]["state"]) == (11, "lost")


def test_one_key_starts_one_run(cli, simulator):
    """However often the command is called, also when it is killed in between."""
    ended = [cli("run", "sim", FLOW, "--key", "nightly") for _ in range(3)]
    assert len({each.stdout for each in ended}) == 1
    known = "Key 'nightly' was submitted before; its run is queued (seen less than a minute ago).\n"
    assert [each.stderr for each in ended] == ["", known, known]
    assert len(simulator.requests.matching("*/jobs", "POST")) == 1


@pytest.mark.parametrize("given", [["--journal", "none"], []])
def test_the_journal_can_be_left_out(cli, tmp_path, given):
    """By an option, or by a variable; then no file is made, and the reference has no key."""
    env = {} if given else {"FLOWRUNNER_JOURNAL": "none"}
    ended = cli("run", "sim", FLOW, *given, **env)

    assert ended.stdout == "flowrunner:1:fme-flow-v4:sim:Demo%2Fwork.fmw:1\n"
    assert not (tmp_path / "state").exists()


def test_another_file(cli, tmp_path):
    """--journal names it."""
    cli("run", "sim", FLOW, "--journal", tmp_path / "elsewhere.db")
    assert (tmp_path / "elsewhere.db").exists()
    assert cli("recover", "sim").stdout == ""
    assert cli("recover", "sim", "--journal", tmp_path / "elsewhere.db").stdout.count("\n") == 1


def test_a_journal_that_cannot_be_used_stops_a_submission(cli, tmp_path, simulator):
    """Nothing is started that is not written down; the message says how to go without."""
    ended = cli("run", "sim", FLOW, "--journal", tmp_path)

    assert (ended.code, ended.stdout) == (2, "")
    assert "To go without a journal: --journal none" in ended.stderr
    assert simulator.requests.matching("*/jobs", "POST") == []


def test_a_look_goes_without_a_journal_that_cannot_be_used(cli, tmp_path, simulator):
    """The message says so once, and the command does what it is for."""
    simulator.pool.submit(FLOW)
    ended = cli("status", "sim", "1", "--journal", tmp_path, "--json")

    assert (ended.code, json.loads(ended.stdout)["id"]) == (0, "1")
    assert "Warning: this is not written down" in ended.stderr
