"""`flowrunner watch`: several runs at once; and the picture of how a run went."""

from __future__ import annotations

import json

import pytest

from flowrunner import RunState
from flowrunner.cli import watch
from flowrunner.client import AsyncRun
from flowrunner.simulator import Behaviour

FLOW = "Demo/work.fmw"


def ref(number, connection="sim"):
    """The reference of a run."""
    return f"flowrunner:1:fme-flow-v4:{connection}:Demo%2Fwork.fmw:{number}"


@pytest.fixture
def submit(simulator):
    """Start runs by other means, each with what is to become of it."""

    def submit(*outcomes):
        for outcome in outcomes:
            simulator.pool.script(FLOW, Behaviour(duration=10, **({"outcome": outcome} if outcome else {})))
            simulator.pool.submit(FLOW)

    return submit


def test_each_change_of_each_run_is_a_line(cli, submit):
    """Piped: connection, id and how it stands; it ends when all have ended."""
    submit(None, None)
    ended = cli("watch", "sim", "1", "2")

    assert ended.code == 0
    lines = ended.stdout.splitlines()
    assert [line for line in lines if line.startswith("sim 1")][-1].startswith("sim 1  succeeded")
    assert [line for line in lines if line.startswith("sim 2")][-1].startswith("sim 2  succeeded")


def test_with_json_each_change_is_an_object(cli, submit):
    """As `status` prints it; the flow is known from a reference."""
    submit(None)
    lines = [json.loads(line) for line in cli("watch", ref(1), "--json").stdout.splitlines()]

    assert (lines[-1]["id"], lines[-1]["flow"], lines[-1]["status"]["state"]) == ("1", FLOW, "succeeded")
    assert all(set(line) == {"ref", "id", "flow", "status"} for line in lines)


def test_the_first_that_did_not_succeed_tells_the_exit_code(cli, submit):
    """In the order given, whichever ended first; the others are followed to their ends."""
    submit(None, "failed", "cancelled")
    assert cli("watch", "sim", "1", "3", "2").code == 4
    assert cli("watch", "sim", "1", ref(2), "3").code == 3


def test_a_run_that_cannot_be_followed_leaves_the_others(cli, submit):
    """Its error is shown, and tells the exit code."""
    submit(None)
    text, lines = cli("watch", "sim", "77", "1"), cli("watch", "sim", "77", "1", "--json")
    errors = [json.loads(line) for line in lines.stdout.splitlines() if "error" in json.loads(line)]

    assert (text.code, lines.code) == (9, 9)
    assert "sim 77  unknown: " in text.stdout
    assert "sim 1  succeeded" in text.stdout
    assert [(each["error"], each["id"], each["exit_code"]) for each in errors] == [("RunNotFound", "77", 9)]


def test_a_timeout_ends_the_watching(cli, simulator):
    """Exit code 6; the run goes on."""
    simulator.pool.script(FLOW, Behaviour(duration=10_000))
    simulator.pool.submit(FLOW)
    ended = cli("watch", "sim", "1", "--timeout", "0.2")
    assert ended.code == 6
    assert not simulator.pool.job(1).state.is_final


@pytest.mark.parametrize("when", ["before", "while"])
def test_ctrl_c_says_how_to_go_on(cli, submit, monkeypatch, when):
    """Exit code 130; the command names the runs that have not ended, or all, if none was looked at."""
    submit(None)

    def interrupted(*_args, **_kwargs):
        raise KeyboardInterrupt

    if when == "before":
        monkeypatch.setattr(watch, "connect_async", interrupted)
    else:
        monkeypatch.setattr(AsyncRun, "watch", interrupted)
    ended = cli("watch", ref(1), "--config", "flowrunner.toml")

    assert ended.code == 130
    assert f"The runs go on. Continue with:\n  flowrunner watch {ref(1)} --config flowrunner.toml" in ended.stderr


def test_on_a_terminal_a_table_lives(cli, simulator):
    """A row for each run; messages stand above."""
    simulator.pool.script(FLOW, Behaviour(duration=20, start_delay=20))
    simulator.pool.submit(FLOW)
    simulator.respond_next("*/jobs*", 503)
    ended = cli("watch", ref(1), FORCE_COLOR="1", TERM="xterm-256color", COLUMNS="100")

    assert ended.code == 0
    assert "how it stands" in ended.stdout
    assert FLOW in ended.stdout
    assert "succeeded" in ended.stdout
    assert "\x1b[?25h" in ended.stdout  # the cursor is back


def test_ids_alone_need_no_column_for_flows(cli, submit):
    """There is nothing in it."""
    submit(None)
    ended = cli("watch", "sim", "1", FORCE_COLOR="1", TERM="xterm-256color", COLUMNS="100")
    assert "flow" not in ended.stdout.split("how it stands")[0]


@pytest.mark.parametrize("words", [["sim"], [], [ref(1), "sim"]])
def test_a_run_has_to_be_named(cli, words):
    """Exit code 2; a connection without a run is a mistake, too."""
    assert cli("watch", *words).code == 2


def test_a_connection_that_is_not_there(cli):
    """Exit code 2, and the near miss."""
    ended = cli("watch", "smi", "1")
    assert (ended.code, "did you mean 'sim'" in ended.stderr) == (2, True)


def test_without_a_usable_journal_it_goes_on(cli, submit, tmp_path):
    """It looks, and starts nothing; the warning says what is missing. `none` asks for none."""
    submit(None)
    (tmp_path / "bad").write_text("this is no database, whatever it is called")
    warned, silent = cli("watch", "sim", "1", "--journal", "bad"), cli("watch", "sim", "1", "--journal", "none")
    assert (warned.code, silent.code) == (0, 0)
    assert "Warning: this is not written down" in warned.stderr
    assert "Warning" not in silent.stderr


def test_who_waits_for_a_person_says_so(cli, config):
    """It is followed on: somebody may answer."""
    from attrs import evolve

    from flowrunner import RunStatus, WaitReason
    from flowrunner.cli.target import Target

    watched = watch.Watched(Target("sim", "1"))
    watched.status = RunStatus(state=RunState.WAITING, reason=WaitReason.USER_INPUT)
    assert watched.shown.plain == "waiting (asks a person)"
    watched.status = evolve(watched.status, reason=WaitReason.PAUSED)
    assert watched.shown.plain == "waiting"
    assert (watched.label, watched.flow, watched.is_over, watched.code) == ("sim 1", "", False, 0)


# --- pictures


def test_a_history_of_the_vendors_own_times(cli, submit):
    """Of a run that nobody here started: queued, started and ended, as the vendor tells."""
    submit("failed")
    cli("wait", "sim", "1")
    text, found = cli("status", "sim", "1", "--history"), cli("status", "sim", "1", "--history", "--json")

    assert [each["state"] for each in found.record["history"]] == ["queued", "running", "failed"]
    assert any(line.endswith("= failed") for line in text.stdout.splitlines())
    assert text.stdout.splitlines()[-1].startswith(". queued")


def test_a_history_of_the_journal(cli, simulator):
    """Of a run that was started from here it has what was seen, each attempt of it."""
    simulator.pool.script(FLOW, Behaviour(duration=30, start_delay=30))
    started = cli("run", "sim", FLOW, "--wait", "--json").record["ref"]
    states = [each["state"] for each in cli("status", started, "--history", "--json").record["history"]]
    assert states[-1] == "succeeded"
    assert states.count("running") >= 1
    assert "history" not in cli("status", started, "--json").record
    told = cli("status", started, "--history", "--json", "--journal", "none").record["history"]
    assert [each["state"] for each in told] == ["queued", "running", "succeeded"]


# --- manners


def test_quiet_leaves_out_messages(cli, submit):
    """But not errors."""
    submit(None)
    assert cli("wait", "sim", "1", "-q").stderr == ""
    assert cli("wait", "sim", "1", "-q", FORCE_COLOR="1", TERM="xterm-256color").stderr == ""
    assert "Error:" in cli("wait", "sim", "77", "--quiet").stderr


def test_verbose_shows_the_log_and_leaves_no_trace(cli, submit, simulator):
    """Each request stands in it, on stderr, for this command; the token does not."""
    import logging

    submit(None)
    logger = logging.getLogger("flowrunner")
    before = (logger.level, list(logger.handlers))
    ended = cli("wait", "sim", "1", "-v")
    assert " flowrunner.http.wire DEBUG GET /fmeapiv4/jobs/1\n" in ended.stderr
    assert simulator.token not in ended.stderr
    assert (logger.level, list(logger.handlers)) == before


def test_what_needs_somebody_is_told_unless_quiet(cli, serve, config):
    """Without --verbose, too; a job that runs at night over V3 writes nothing with --quiet."""
    settings = serve("fme-flow-v3").settings
    lines = [f"{name} = {json.dumps(value)}" for name, value in settings.items()]
    config.write_text("\n".join([config.read_text(), "[connections.auto]", 'backend = "fme-flow"', *lines, ""]))

    assert cli("flows", "auto").stderr.startswith("Warning: connection auto: FME Flow 2026.1 removes REST V3")
    assert cli("flows", "auto", "--quiet").stderr == ""
    assert " WARNING connection auto: FME Flow 2026.1" in cli("flows", "auto", "--quiet", "-v").stderr


def test_a_log_is_cleaned(cli, submit, simulator):
    """What the vendor says, a terminal must not obey."""
    submit(None)
    simulator.respond_next("*/jobs/1", 200, {"id": 1, "status": "odd\x07word"})
    ended = cli("status", "sim", "1", "-v")
    assert "vendor_status=odd" in ended.stderr
    assert "\x07" not in ended.stderr
