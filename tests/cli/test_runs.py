"""`flowrunner runs`: at the vendor, and what was started from here."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta, timezone
from types import SimpleNamespace

import pytest

from flowrunner import RunState, RunStatus
from flowrunner.cli.runs import _run_cells, _took
from flowrunner.simulator import Behaviour, DataFlowId, SmartFlowId

FLOW = "Demo/work.fmw"
APARTMENTS = "Samples/austinApartments.fmw"
FLOWS = {"fme-flow-v4": APARTMENTS, "fme-flow-v3": APARTMENTS, "smart-flows": str(SmartFlowId.NO_INPUT)}
NOON = datetime(2025, 1, 1, 12, tzinfo=UTC)
TERMINAL = {"FORCE_COLOR": "1", "TERM": "xterm-256color"}


def rows(ended):
    """The fields of each line."""
    return [line.split("\t") for line in ended.stdout.splitlines()]


def objects(ended):
    """The objects."""
    return [json.loads(line) for line in ended.stdout.splitlines()]


# --- at the vendor


@pytest.mark.parametrize("vendor", FLOWS)
def test_every_vendor_that_lists_runs_lists_them(cli, serve, vendor):
    """Whoever started them: seven fields between tabs, of which the first is what other commands take; or an object."""
    serve(vendor).pool.submit(FLOWS[vendor])
    cli("run", vendor, FLOWS[vendor], "--wait")
    piped, shown = rows(cli("runs", vendor)), objects(cli("runs", vendor, "--json"))

    assert [(len(each), each[2]) for each in piped] == [(7, "succeeded")] * 2
    assert [each[:4] for each in piped] == [
        [each["ref"], each["id"], each["status"]["state"], each["flow"]] for each in shown
    ]
    assert cli("status", piped[0][0]).code == 0
    assert piped[0][5] <= piped[0][6]


def test_a_vendor_without_a_list_names_the_other_one(cli, serve):
    """Exit code 2, before any request; what was started from here is known all the same."""
    simulator = serve("invision")
    ended = cli("runs", "invision")
    assert (ended.code, ended.stdout, len(simulator.requests)) == (2, "", 0)
    assert "it lacks LIST_RUNS" in ended.stderr
    assert ended.stderr.endswith("flowrunner runs invision --started-here\n")

    started = cli("run", "invision", str(DataFlowId.IMPORT_SALES)).stdout.strip()
    assert rows(cli("runs", "invision", "--started-here"))[0][0] == started


def test_runs_are_chosen_by_state_and_flow(cli, simulator):
    """Of several states, any."""
    for outcome in ("succeeded", "failed", "cancelled"):
        simulator.pool.script(FLOW, Behaviour(duration=1, outcome=outcome))
        simulator.pool.submit(FLOW)
    simulator.pool.submit(APARTMENTS)
    for number in "1234":
        cli("wait", "sim", number)

    def ids(*words):
        return sorted(fields[1] for fields in rows(cli("runs", "sim", *words)))

    assert ids("--state", "failed") == ["2"]
    assert ids("--state", "failed", "--state", "cancelled") == ["2", "3"]
    assert ids("--flow", APARTMENTS) == ["4"]
    assert ids("--flow", FLOW, "--state", "succeeded") == ["1"]
    assert cli("runs", "sim", "--state", "broken").code == 2


def test_runs_of_a_flow_that_is_not_there(cli, serve):
    """Exit code 9, where the vendor says so; FME lists none."""
    serve("smart-flows")
    ended = cli("runs", "smart-flows", "--flow", "Nightly summary", "--json")
    assert (ended.code, ended.record["error"]) == (9, "FlowNotFound")
    assert cli("runs", "sim", "--flow", "Demo/other.fmw").code == 0


def test_a_limit_says_whether_there_are_more(cli, simulator):
    """On stderr; 20 if none is given."""
    for _ in range(21):
        simulator.pool.submit(FLOW)
    ended, all_of_them = cli("runs", "sim"), cli("runs", "sim", "--limit", "21")

    assert (len(rows(ended)), ended.stderr) == (20, "There are more: see them with a greater --limit.\n")
    assert (len(rows(all_of_them)), all_of_them.stderr) == (21, "")


def test_no_runs_are_no_error(cli):
    """Exit code 0, and no data."""
    ended = cli("runs", "sim", "--json")
    assert (ended.code, ended.stdout, ended.stderr) == (0, "", "There are none.\n")
    assert cli("runs", "sim", **TERMINAL).stdout == ""


@pytest.mark.parametrize("columns", [60, 80, 200])
def test_on_a_terminal_runs_are_a_table(cli, simulator, columns):
    """As wide as it at most, with states in their colours; how long the vendor worked stands in it."""
    simulator.pool.script(FLOW, Behaviour(duration=90, outcome="failed"))
    simulator.pool.submit(FLOW)
    simulator.pool.script(FLOW, Behaviour(duration=3700))
    simulator.pool.submit(FLOW)
    cli("wait", "sim", "1")
    plain = cli("runs", "sim", "--state", "failed", **TERMINAL, COLUMNS=str(columns), NO_COLOR="1").stdout.splitlines()

    assert plain[1].split()[:2] == ["1", "failed"]
    assert plain[1].endswith("90.0 s")
    assert len(plain[1]) <= columns
    assert "\x1b[31mfailed" in cli("runs", "sim", **TERMINAL).stdout


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(None, ""), (0.25, "0.2 s"), (90.0, "90.0 s"), (3700.4, "1:01:40"), (90_000, "1 day, 1:00:00")],
)
def test_a_long_run_is_told_in_hours(seconds, shown):
    """One that goes on took no time yet."""
    ended = None if seconds is None else NOON + timedelta(seconds=seconds)
    assert _took(RunStatus(started_at=NOON, finished_at=ended)) == shown


def test_what_a_run_waits_for_is_told(cli, serve):
    """Beside its state, on a terminal."""
    serve("smart-flows").pool.submit(str(SmartFlowId.ASKS_ONCE))
    cli("wait", "smart-flows", rows(cli("runs", "smart-flows"))[0][1])
    shown = cli("runs", "smart-flows", "--state", "waiting", **TERMINAL, COLUMNS="200").stdout
    assert "waiting (user_input)" in shown


@pytest.mark.parametrize("columns", [60, 70, 80])
def test_an_id_is_whole_however_narrow_the_terminal(cli, serve, columns):
    """Somebody copies it, and what is cut of it finds another run, or none."""
    serve("smart-flows").pool.submit(str(SmartFlowId.ASKS_ONCE))
    run_id = rows(cli("runs", "smart-flows"))[0][1]
    cli("wait", "smart-flows", run_id)
    assert run_id in cli("runs", "smart-flows", **TERMINAL, COLUMNS=str(columns)).stdout


@pytest.mark.parametrize(
    ("status", "shown"),
    [
        (RunStatus(), ""),
        (RunStatus(queued_at=NOON, started_at=NOON.replace(minute=5)), "2025-01-01 12:00"),
        (RunStatus(started_at=NOON), "2025-01-01 12:00"),
        (RunStatus(queued_at=NOON.astimezone(timezone(timedelta(hours=2)))), "2025-01-01 12:00"),
    ],
)
def test_when_a_run_was_queued(status, shown):
    """To the minute, in UTC; where the vendor does not tell, when it started."""
    run = SimpleNamespace(id="1", flow=FLOW, status=status)
    assert _run_cells(run)[3] == shown


@pytest.mark.parametrize(("columns", "headings"), [(80, "id state flow"), (40, "id"), (20, "id")])
def test_what_has_no_room_is_left_out(cli, serve, columns, headings):
    """The last columns go, whole, so that what is shown can be read, and an id be copied."""
    serve("smart-flows").pool.submit(str(SmartFlowId.ASKS_ONCE))
    cli("wait", "smart-flows", rows(cli("runs", "smart-flows"))[0][1])
    lines = cli("runs", "smart-flows", **TERMINAL, COLUMNS=str(columns), NO_COLOR="1").stdout.splitlines()
    assert re.sub(r"\x1b\[\d*m", "", lines[0]).split() == headings.split()
    assert all(len(line) <= columns for line in lines[1:])


# --- started from here


def test_what_was_started_here_comes_from_the_journal(cli, simulator):
    """Newest first, with the state that was seen last; nothing is asked of the vendor."""
    first = cli("run", "sim", FLOW, "--key", "nightly", "--wait", "--json").record["ref"]
    second = cli("run", "sim", APARTMENTS).stdout.strip()
    simulator.pool.submit(FLOW)  # somebody else's
    asked = len(simulator.requests)
    piped, shown = rows(cli("runs", "sim", "--started-here")), objects(cli("runs", "sim", "--started-here", "--json"))

    assert [each[:5] for each in piped] == [
        [second, "2", "queued", APARTMENTS, piped[0][4]],
        [first, "1", "succeeded", FLOW, "nightly"],
    ]
    assert (piped[0][6], piped[1][5] < piped[1][6]) == ("", True)
    assert [(each["ref"], each["key"], each["ended_at"] or "") for each in shown] == [
        (each[0], each[4], each[6]) for each in piped
    ]
    assert asked == len(simulator.requests)


def test_what_the_vendor_refused_was_not_started(cli, simulator):
    """One whose outcome is unknown may have been."""
    assert cli("run", "sim", "Demo/no-such.fmw", "--key", "refused").code == 9
    simulator.cut_next("reset_after", "*/jobs", method="POST")
    assert cli("run", "sim", FLOW, "--key", "uncertain").code == 10
    (only,) = objects(cli("runs", "sim", "--started-here", "--json"))
    assert (only["key"], only["id"], only["state"]) == ("uncertain", None, "submitting")


def test_what_was_started_here_is_chosen_too(cli):
    """By state, flow and number."""
    cli("run", "sim", FLOW, "--wait")
    cli("run", "sim", APARTMENTS)
    cli("run", "sim", APARTMENTS)

    def ids(*words):
        return [fields[1] for fields in rows(cli("runs", "sim", "--started-here", *words))]

    assert ids("--flow", APARTMENTS) == ["3", "2"]
    assert ids("--state", "succeeded") == ["1"]
    assert ids("--limit", "2") == ["3", "2"]
    assert "There are more" in cli("runs", "sim", "--started-here", "--limit", "2").stderr


def test_on_a_terminal_what_was_started_here_is_a_table(cli):
    """A long key is cut, an id is not."""
    cli("run", "sim", FLOW, "--key", "k" * 100)
    head, line = cli("runs", "sim", "--started-here", **TERMINAL, COLUMNS="80", NO_COLOR="1").stdout.splitlines()
    assert "submitted (UTC)" in head
    assert line.split()[:3] == ["1", str(RunState.QUEUED), FLOW]
    assert line.endswith("k\N{HORIZONTAL ELLIPSIS}")
    assert len(line) <= 80


def test_where_nothing_was_started(cli, simulator, tmp_path):
    """A configured connection has none, and looking makes no journal; one that is not configured is a mistake."""
    ended, mistyped = cli("runs", "sim", "--started-here"), cli("runs", "smi", "--started-here")
    assert (ended.code, ended.stdout, ended.stderr) == (0, "", "There are none.\n")
    assert (mistyped.code, "did you mean 'sim'" in mistyped.stderr) == (2, True)
    assert not (tmp_path / "state").exists()
    assert len(simulator.requests) == 0


@pytest.mark.parametrize(
    ("journal", "text"), [("none", "name one instead of `--journal none`"), ("elsewhere.db", "there is no journal")]
)
def test_a_journal_is_needed(cli, journal, text):
    """Exit code 2."""
    ended = cli("runs", "sim", "--started-here", "--journal", journal)
    assert (ended.code, text in ended.stderr) == (2, True)
