"""`flowrunner wait`: the exit code tells the outcome."""

from __future__ import annotations

import pytest

from flowrunner.client import Run
from flowrunner.simulator import Behaviour

FLOW = "Demo/work.fmw"
REF = "flowrunner:1:fme-flow-v4:sim:Demo%2Fwork.fmw:1"


@pytest.fixture
def submit(simulator):
    """Start a run by other means."""
    return lambda: simulator.pool.submit(FLOW).id


@pytest.mark.parametrize(
    ("behaviour", "expected"),
    [
        ({}, (0, "succeeded", None)),
        ({"outcome": "failed", "message": "no such file"}, (3, "failed", "RunFailed")),
        ({"outcome": "cancelled"}, (4, "cancelled", "RunCancelled")),
    ],
)
@pytest.mark.parametrize("run", [["sim", "1"], ["sim", REF], [REF]])
def test_the_exit_code_tells_the_outcome(cli, simulator, run, behaviour, expected):
    """However the run is named; text and JSON tell the same."""
    code, state, error = expected
    simulator.pool.script(FLOW, Behaviour(duration=5, **behaviour))
    simulator.pool.submit(FLOW)

    text, json = cli("wait", *run), cli("wait", *run, "--json")

    assert (code, code) == (text.code, json.code)
    assert (state, state) == (text.fields["state"], json.record["status"]["state"])
    assert (error, code if error else None) == (json.record.get("error"), json.record.get("exit_code"))
    assert text.fields["message"] == json.record["status"]["message"].strip()


def test_what_the_run_made_is_shown(cli, simulator):
    """Outputs and files stand below the status."""
    simulator.pool.submit("Samples/austinDownload.fmw")

    ended = cli("wait", "sim", "1")

    assert ended.code == 0
    assert ended.fields["file"].endswith(".zip")
    assert ended.fields["output"].startswith("download_url = ")


def test_a_timeout_leaves_the_run_running(cli, script, submit, simulator):
    """Exit code 6; the last status, and the command to go on; the same command works again later."""
    script(duration=1000)
    submit()

    text, json = cli("wait", REF, "--timeout", "0.1"), cli("wait", REF, "--timeout", "0", "--json")

    assert (text.code, text.stdout) == (6, "")
    assert f"Continue with:\n  flowrunner wait {REF}\n" in text.stderr
    assert (json.code, json.record["error"], json.record["ref"]) == (6, "WaitTimeout", REF)
    assert json.record["status"]["state"] == "running"
    assert not simulator.pool.job(1).state.is_final


def test_lost_contact_is_not_a_failed_run(cli, script, submit, simulator):
    """Exit code 7 after the contact budget; told once on the way; what was known last stays."""
    script(duration=1000)
    submit()
    simulator.respond_next("*/jobs/*", 503, times=1000)

    ended = cli("wait", REF, "--json", FLOWRUNNER_SIM_CONTACT_BUDGET="0.3")

    assert (ended.code, ended.record["error"]) == (7, "ContactLost")
    assert ended.stderr.count("No contact, trying again") == 1
    assert f"Continue with:\n  flowrunner wait {REF}\n" in ended.stderr


def test_contact_that_comes_back_is_told(cli, submit, simulator):
    """A few failed polls change nothing about the outcome."""
    submit()
    simulator.respond_next("*/jobs/*", 503, times=2)

    ended = cli("wait", REF)

    assert ended.code == 0
    assert ended.stderr.index("No contact") < ended.stderr.index("Contact restored")


@pytest.mark.parametrize("arguments", [["sim", "77"], ["flowrunner:1:fme-flow-v4:sim::77"]])
def test_a_run_nobody_knows_is_not_found(cli, arguments):
    """Exit code 9, and the reference as the vendor's id was understood."""
    ended = cli("wait", *arguments, "--json")

    assert (ended.code, ended.record["error"]) == (9, "RunNotFound")
    assert ended.record["ref"] == "flowrunner:1:fme-flow-v4:sim::77"


def test_a_result_that_cannot_be_read_does_not_hide_the_success(cli, submit, simulator):
    """Exit code 7, as there is no result; the messages say that the run has succeeded."""
    submit()
    cli("wait", REF)
    simulator.respond_next("*/result", 500, times=100)

    ended = cli("wait", REF, FLOWRUNNER_SIM_RETRIES="0")

    assert ended.code == 7
    assert "The run has succeeded; only its result could not be read." in ended.stderr


def test_details_that_cannot_be_read_do_not_hide_the_failure(cli, script, submit, simulator):
    """Exit code 3, what is known, and a note that there might be more."""
    script(duration=1, outcome="failed")
    submit()
    simulator.respond_next("*/result", 500, times=100)

    ended = cli("wait", REF, FLOWRUNNER_SIM_RETRIES="0")

    assert (ended.code, ended.fields["state"]) == (3, "failed")
    assert "Its details could not be read" in ended.stderr


def test_a_refused_credential_ends_the_wait(cli, submit, simulator):
    """Exit code 8; the token does not show."""
    submit()

    ended = cli("wait", REF, SIM_TOKEN="wrong-and-secret")

    assert (ended.code, ended.stdout) == (8, "")
    assert "wrong-and-secret" not in ended.stderr


@pytest.mark.parametrize("flags", [[], ["--json"]])
def test_ctrl_c_leaves_the_run_running(cli, submit, simulator, monkeypatch, flags):
    """Exit code 130; the reference and the command to go on stand on stderr, with --json also on stdout."""
    simulator.pool.script(FLOW, Behaviour(duration=10_000))
    submit()

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(Run, "watch", interrupted)
    ended = cli("wait", REF, *flags)

    assert ended.code == 130
    assert f"Interrupted. The run goes on: {REF}\nContinue with:\n  flowrunner wait {REF}\n" == ended.stderr
    assert not flags or (ended.record["error"], ended.record["ref"]) == ("Interrupted", REF)
    assert not simulator.pool.job(1).state.is_final


def test_on_a_terminal_one_line_lives_while_the_run_does(cli, script, submit, simulator):
    """State, vendor's word and seconds on one line, which is gone at the end; messages stand above it."""
    script(duration=20, start_delay=20)
    submit()
    simulator.respond_next("*/jobs/*", 503)

    ended = cli("wait", REF, FORCE_COLOR="1", TERM="xterm-256color", COLUMNS="100")

    assert ended.code == 0
    assert "looking" in ended.stderr
    assert "No contact, trying again" in ended.stderr
    assert "\x1b[?25h" in ended.stderr  # the cursor is back
    assert "succeeded" in ended.stdout


def test_a_dumb_terminal_gets_lines(cli, submit):
    """What cannot move a cursor is not asked to."""
    submit()

    ended = cli("wait", REF, FORCE_COLOR="1", TERM="dumb")

    assert ended.code == 0
    assert "\x1b[" not in ended.stderr
