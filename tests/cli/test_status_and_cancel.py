"""`flowrunner status` and `flowrunner cancel`, and how all commands take a run."""

from __future__ import annotations

import pytest

FLOW = "Demo/work.fmw"
REF = "flowrunner:1:fme-flow-v4:sim:Demo%2Fwork.fmw:1"


@pytest.fixture
def run(simulator, script):
    """A run that goes on."""
    script(duration=10_000, message="stopped\x1b[31m\nby hand ")
    return simulator.pool.submit(FLOW)


@pytest.mark.parametrize("words", [["sim", "1"], ["sim", REF], [REF]])
def test_status_looks_once(cli, simulator, run, words):
    """One request, one block of names and values, exit code 0; in JSON the run as `run` shows it."""
    text = cli("status", *words)
    requests = len(simulator.requests)
    record = cli("status", *words, "--json").record

    assert (text.code, text.fields["state"], text.stderr) == (0, "running", "")
    assert requests == 1
    assert (record["status"]["state"], record["id"]) == ("running", "1")


def test_status_of_an_id_does_not_know_the_flow(cli, run):
    """The flow is null where only the id was given: it is not made up."""
    assert cli("status", "sim", "1", "--json").record["flow"] is None
    assert cli("status", REF, "--json").record["flow"] == FLOW


def test_status_is_0_however_the_run_stands(cli, simulator, script):
    """The vendor told: that a run failed is an answer of `status`, an outcome only of `wait`."""
    script(duration=0, outcome="failed")
    simulator.pool.submit(FLOW)

    assert cli("status", "sim", "1").code == 0


def test_what_the_vendor_says_cannot_command_the_terminal(cli, simulator, script):
    """Control characters are replaced and lines joined; JSON keeps the vendor's text."""
    simulator.quirks = type(simulator.quirks)(record_message="shown")
    script(duration=0, message="stopped\x1b[31m\nby hand ")
    simulator.pool.submit(FLOW)

    assert cli("status", REF).fields["message"] == "stopped\N{REPLACEMENT CHARACTER}[31m by hand"
    assert cli("status", REF, "--json").record["status"]["message"] == "stopped\x1b[31m\nby hand "


@pytest.mark.parametrize("words", [["1"], ["sim"], ["sim", "1", "2"]])
def test_a_run_is_named_by_connection_and_id_or_by_a_reference(cli, words):
    """Anything else is a usage error that says both ways."""
    ended = cli("status", *words)

    assert ended.code == 2
    assert "CONNECTION RUN" in ended.stderr
    assert "by a reference alone" in ended.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["sim", REF.replace("sim", "prod")], "belongs to connection 'prod', not to 'sim'"),
        ([REF.replace("sim", "prod")], "there is no connection 'prod'"),
        (["flowrunner:2:a:b:c:d"], "run reference of version 2"),
        (["flowrunner:nonsense"], "is not a run reference"),
    ],
)
def test_a_reference_that_leads_nowhere_is_refused(cli, simulator, words, message):
    """Exit code 2, before any request."""
    ended = cli("wait", *words)

    assert ended.code == 2
    assert message in ended.stderr
    assert len(simulator.requests) == 0


def test_a_reference_with_settings_given_in_place_is_explained(cli):
    """No configuration can name its connection: the error says what to do instead."""
    ended = cli("status", "flowrunner:1:fme-flow-v4:fme-flow-v4%40host%3A8080:Demo%2Fwork.fmw:7")

    assert ended.code == 2
    assert "settings given in place (fme-flow-v4@host:8080)" in ended.stderr
    assert "the run's id (7)" in ended.stderr


def test_ctrl_c_says_so(cli, run, monkeypatch):
    """Exit code 130, without a traceback, in every command."""
    from flowrunner.client import Run

    def interrupted(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(Run, "refresh", interrupted)

    assert ((ended := cli("status", REF)).code, ended.stdout, ended.stderr) == (130, "", "Interrupted.\n")


def test_a_bug_is_not_swallowed(cli, run, monkeypatch):
    """What flowrunner does not raise passes, with its traceback."""
    from flowrunner.client import Run

    monkeypatch.setattr(Run, "refresh", lambda _: 1 / 0)

    with pytest.raises(ZeroDivisionError):
        cli("status", REF)


@pytest.mark.parametrize("words", [["sim", "1"], ["sim", REF], [REF]])
def test_cancel_asks_the_vendor(cli, simulator, run, words):
    """One word of outcome and exit code 0; the run ends at the vendor."""
    ended = cli("cancel", *words)

    assert (ended.code, ended.stdout) == (0, "confirmed\n")
    assert simulator.pool.job(1).state == "cancelled"


def test_cancel_with_json_shows_run_and_outcome(cli, run):
    """One object: the run, and what became of the request."""
    record = cli("cancel", REF, "--json").record

    assert (record["ref"], record["outcome"], record["status"]["state"]) == (REF, "confirmed", "cancelled")


def test_a_cancellation_that_takes_time_is_requested(cli, simulator, script):
    """The vendor took it and the run still has to end: the message says how to see that."""
    script(duration=10_000, cancel_delay=5_000)
    simulator.pool.submit(FLOW)

    ended = cli("cancel", REF)

    assert (ended.code, ended.stdout) == (0, "requested\n")
    assert f"  flowrunner wait {REF}\n" in ended.stderr


@pytest.mark.parametrize(("outcome", "code"), [("succeeded", 12), ("failed", 12), ("cancelled", 0)])
def test_cancelling_a_run_that_had_ended_is_too_late(cli, simulator, script, outcome, code):
    """Exit code 12, unless it had been cancelled, which is what was asked for."""
    script(duration=0, outcome=outcome)
    simulator.pool.submit(FLOW)

    ended = cli("cancel", REF)

    assert (code, "too_late\n") == (ended.code, ended.stdout)
    assert f"The run had ended before: {outcome}" in ended.stderr
