"""The journal at the command line: it is on, it finds runs again, and it can be left out."""

from __future__ import annotations

import json

import pytest

from flowrunner.errors import JournalError
from flowrunner.journal import Journal

FLOW = "Demo/work.fmw"


def test_what_was_started_here_is_found(cli, simulator):
    """A line for each run that was not seen to end, with the state it was seen in last; one that ended is gone."""
    first = cli("run", "sim", FLOW).stdout.strip()
    cli("run", "sim", FLOW, "--wait")
    ended, record = cli("recover", "sim"), cli("recover", "sim", "--json").record

    assert (ended.code, ended.stdout) == (0, f"{first}  queued\n")
    assert (record["ref"], record["id"]) == (first, "1")


def test_a_submission_whose_outcome_is_unknown_is_told(cli, simulator):
    """V4 carries no key: it stays `submitting`, and the exit code says that it is uncertain."""
    simulator.cut_next("reset_after", "*/jobs", method="POST")
    handle = cli("run", "sim", FLOW, "--key", "nightly", "--json").record["ref"]
    ended = cli("recover", "sim")

    candidate = handle.replace("::", ":1:")
    assert (ended.code, ended.stdout) == (10, f"{handle}  submitting\n  may be {candidate}\n")
    record = cli("recover", "sim", "--json").record
    assert (record["outcome"], record["candidates"]) == ("candidates", [candidate])


def test_whoever_looks_at_a_candidate_settles_it(cli, simulator):
    """After a look at the one that it is, it is the run of that key."""
    simulator.cut_next("reset_after", "*/jobs", method="POST")
    handle = cli("run", "sim", FLOW, "--key", "nightly", "--json").record["ref"]
    cli("status", handle.replace("::", ":1:"))

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


def test_nothing_is_open(cli):
    """That is said, and is no error."""
    ended = cli("recover", "sim")
    assert (ended.code, ended.stdout, ended.stderr) == (0, "", "Nothing is open.\n")


def test_one_key_starts_one_run(cli, simulator):
    """However often the command is called, also when it is killed in between."""
    refs = {cli("run", "sim", FLOW, "--key", "nightly").stdout for _ in range(3)}
    assert len(refs) == 1
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
