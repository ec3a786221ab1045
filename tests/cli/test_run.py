"""`flowrunner run`."""

from __future__ import annotations

import re

import pytest

from flowrunner.client import Client

FLOW = "Demo/work.fmw"


def submitted(simulator, flow=FLOW):
    """The one run of the flow that was submitted."""
    (job,) = simulator.pool.submissions(flow)
    return job


def test_it_prints_the_reference_and_nothing_else(cli, simulator):
    """`ref=$(flowrunner run ...)` works: stdout is one line, the reference."""
    ended = cli("run", "sim", FLOW)

    assert (ended.code, ended.stderr) == (0, "")
    assert re.fullmatch(r"flowrunner:1:fme-flow-v4:sim:Demo%2Fwork.fmw:1:[0-9a-f]{16}\n", ended.stdout)
    assert submitted(simulator)


def test_json_shows_the_run(cli):
    """With --json, stdout is one object with the reference, the id, the flow and the status."""
    record = cli("run", "sim", FLOW, "--json").record

    assert {"ref", "id", "flow", "status"} == record.keys()
    assert (record["id"], record["flow"], record["status"]["state"]) == ("1", FLOW, "queued")


def test_parameters_are_converted_by_the_description(cli, simulator):
    """Text becomes numbers and lists as the flow says; one request for the description serves the check, too."""
    flow = "Samples/austinDownload.fmw"

    ended = cli("run", "sim", flow, "-p", "MAXY=42", "-p", "THEMES=parks", "--parameter", "userName=7")

    assert ended.code == 0
    assert dict(submitted(simulator, flow).parameters) == {"MAXY": 42, "THEMES": ["parks"], "userName": "7"}
    assert len(simulator.requests.matching("*/parameters")) == 1


def test_json_values_need_no_description(cli, simulator):
    """NAME:=JSON goes out as it is, where the description cannot be had either."""
    simulator.respond_next("*/parameters", 500, times=9)

    ended = cli("run", "sim", "Tutorials/10seconds.fmw", "-p", 'location:=["Burnaby"]')

    assert ended.code == 0
    assert "Parameters are not checked before" in ended.stderr
    assert dict(submitted(simulator, "Tutorials/10seconds.fmw").parameters) == {"location": ["Burnaby"]}


def test_without_a_description_values_stay_text(cli, simulator):
    """A description that cannot be read costs the conversion, not the run."""
    simulator.respond_next("*/parameters", 500, times=9)

    ended = cli("run", "sim", "Samples/austinDownload.fmw", "-p", "MAXY=42")

    assert ended.code == 0
    assert dict(submitted(simulator, "Samples/austinDownload.fmw").parameters) == {"MAXY": "42"}


def test_options_are_sent(cli, simulator):
    """The queue and the limits reach the vendor."""
    ended = cli("run", "sim", FLOW, "--queue", "Night", "--max-run-time", "60", "--max-queue-time", "120")

    job = submitted(simulator)
    assert (ended.code, job.queue) == (0, "Night")
    assert (job.limits.run, job.limits.queue) == (60, 120)


def test_an_option_the_vendor_cannot_honour_is_an_error(cli, simulator):
    """Nothing is dropped silently: the error names it, and nothing is submitted."""
    ended = cli("run", "sim", FLOW, "--description", "for the council")

    assert ended.code == 2
    assert "description" in ended.stderr
    assert simulator.pool.submissions() == ()


def test_an_argument_without_equals_sign_is_a_usage_error(cli):
    """The error names the option and the argument."""
    ended = cli("run", "sim", FLOW, "-p", "MAXY")

    assert (ended.code, ended.stdout) == (2, "")
    assert "'-p' / '--parameter': 'MAXY' is neither NAME=VALUE nor NAME:=JSON" in ended.stderr


@pytest.mark.parametrize("seconds", ["-1", "nan", "inf", "soon"])
def test_a_duration_is_a_finite_number_of_seconds(cli, seconds):
    """Anything else is a usage error, found before any request."""
    assert cli("run", "sim", FLOW, "--max-run-time", seconds).code == 2


def test_a_timeout_without_wait_is_a_usage_error(cli, simulator):
    """It would bound nothing."""
    ended = cli("run", "sim", FLOW, "--timeout", "3")

    assert ended.code == 2
    assert "--wait" in ended.stderr
    assert simulator.pool.submissions() == ()


def test_parameters_that_do_not_fit_are_told_one_by_one(cli, simulator):
    """The library's check reports text that did not convert, too; with --json per parameter."""
    ended = cli("run", "sim", "Tutorials/10seconds.fmw", "-p", "year=soon", "--json")

    assert (ended.code, ended.record["error"], ended.record["exit_code"]) == (2, "InvalidParameters", 2)
    assert {"year", "location"} == ended.record["problems"].keys()
    assert "'soon' is not a whole number" in ended.stderr


def test_wait_shows_the_reference_first_and_then_the_outcome(cli):
    """The reference stands on the first line of stdout, what became of the run below it; changes go to stderr."""
    ended = cli("run", "sim", FLOW, "--wait")

    assert ended.code == 0
    assert ended.stdout.startswith("flowrunner:1:fme-flow-v4:sim:Demo%2Fwork.fmw:1:")
    assert (ended.fields["state"], ended.fields["message"]) == ("succeeded", "Translation Successful")
    assert "s  succeeded (success)" in ended.stderr


def test_wait_with_json_prints_one_object(cli):
    """Stdout is the result alone; the reference, needed should the wait break off, stands on stderr at once."""
    ended = cli("run", "sim", FLOW, "--wait", "--json")

    assert (ended.code, ended.record["status"]["state"]) == (0, "succeeded")
    assert {"version", "ref", "id", "flow", "status", "outputs", "artifacts", "metrics", "raw"} == ended.record.keys()
    assert f"Started {ended.record['ref']}" == ended.stderr.splitlines()[0]


def test_an_uncertain_submission_has_its_own_exit_code(cli, simulator):
    """Cut after the vendor took it: exit code 10, the handle, and no second submission."""
    simulator.cut_next("reset_after", "*/jobs", method="POST")

    ended = cli("run", "sim", FLOW, "--json", "--key", "nightly")

    handle = "flowrunner:1:fme-flow-v4:sim:Demo%2Fwork.fmw::nightly"
    assert (10, "SubmissionUncertain", handle) == (ended.code, ended.record["error"], ended.record["ref"])
    assert f"Handle: {handle}\nBefore you start it again, find out with:\n  flowrunner recover sim\n" in ended.stderr
    assert submitted(simulator)


def test_ctrl_c_while_submitting_says_that_nothing_is_known(cli, monkeypatch):
    """Whether a run was started cannot be told then, and the message says so; exit code 130."""

    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(Client, "submit", interrupted)
    ended = cli("run", "sim", FLOW, "--json")

    assert (ended.code, ended.record["error"]) == (130, "Interrupted")
    assert "not known whether a run was started" in ended.stderr


def test_a_credential_in_the_file_is_warned_of_without_showing_it(cli, config):
    """The configuration's warnings are messages on stderr, without a line of source code."""
    config.write_text(
        '[connections.far]\nbackend = "fme-flow-v4"\nbase_url = "https://fme.example.com"\ntoken = "s3cr3t"\n'
        'proxy = "http://127.0.0.1:9"\nretries = 0\ncheck_parameters = false\n'
    )

    ended = cli("run", "far", FLOW)

    assert ended.stderr.startswith("Warning: the credential token of [connections.far]")
    assert "s3cr3t" not in ended.stderr


def test_a_credential_for_a_server_on_this_machine_is_not_warned_of(cli, config, simulator):
    """A simulator's settings may stand in the file as `simulate` prints them."""
    config.write_text(config.read_text().replace('{ env = "SIM_TOKEN" }', f'"{simulator.token}"'))

    assert cli("run", "sim", FLOW).stderr == ""


def test_an_unknown_connection_is_a_configuration_error(cli):
    """The error names the near miss; exit code 2; stdout stays empty."""
    ended = cli("run", "simm", FLOW)

    assert (ended.code, ended.stdout) == (2, "")
    assert ended.stderr.startswith("Error: there is no connection 'simm'")
    assert "did you mean 'sim'" in ended.stderr


def test_another_configuration_can_be_named(cli, config, tmp_path):
    """--config reads that file instead of the usual ones, and the command to go on names it, too."""
    elsewhere = config.rename(tmp_path / "other name.toml")

    ended = cli("run", "sim", FLOW, "--config", elsewhere, "--wait", "--timeout", "0")

    assert ended.code == 6
    ref = ended.stdout.strip()
    assert f"  flowrunner wait {ref} --config '{elsewhere}'" in ended.stderr
