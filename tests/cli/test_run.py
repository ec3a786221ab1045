"""`flowrunner run`."""

from __future__ import annotations

import re

import pytest

from flowrunner.client import Client
from flowrunner.simulator import EVERY_PARAMETER, Fault, Faults

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
    assert "Parameters were not checked: there is no description" in ended.stderr
    assert dict(submitted(simulator, "Tutorials/10seconds.fmw").parameters) == {"location": ["Burnaby"]}


def test_without_a_description_values_stay_text(cli, simulator):
    """A description that cannot be read costs the conversion, not the run."""
    simulator.respond_next("*/parameters", 500, times=9)

    ended = cli("run", "sim", "Samples/austinDownload.fmw", "-p", "MAXY=42")

    assert ended.code == 0
    assert dict(submitted(simulator, "Samples/austinDownload.fmw").parameters) == {"MAXY": "42"}


@pytest.mark.parametrize(("status", "code"), [(503, 7), (401, 8)])
def test_a_key_wants_the_description_each_time(cli, simulator, status, code):
    """Text that stayed text for once would be another value than before: what is said is that the server is away."""
    again = ("run", "sim", "Samples/austinDownload.fmw", "-p", "THEMES=airports", "--key", "night")
    first = cli(*again)
    simulator.faults = Faults([Fault("status", path="*/parameters", status=status)])
    without = cli(*again)
    simulator.faults = Faults()
    later = cli(*again)

    assert (first.code, without.code, later.code) == (0, code, 0)
    assert "other parameters" not in without.stderr
    assert (without.stdout, later.stdout) == ("", first.stdout)
    assert len(simulator.pool.submissions("Samples/austinDownload.fmw")) == 1


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


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["-p", "hush-hush"], "'-p' / '--parameter': number 1: it is neither NAME=VALUE, NAME=@FILE nor NAME:=JSON"),
        (["-p", "a=1", "-p", "=hush-hush"], "'-p' / '--parameter': number 2: it is neither"),
        (["-p", "a:=hush-hush"], "'-p' / '--parameter': number 1: the value of 'a' is not JSON"),
        (["--extra", "hush-hush"], "'--extra': number 1: it is neither NAME=VALUE nor NAME:=JSON"),
        (["-p", "PASSWORD", "hush-hush"], "'-p' / '--parameter': number 1: it is neither"),
        (["-p", "a=1", "PASSWORD=hush-hush"], "1 too many behind FLOW: a parameter is given with -p NAME=VALUE."),
    ],
)
def test_an_argument_that_is_written_wrong_is_not_shown(cli, arguments, problem):
    """The error names the option and which of them it is: what was written may be a password."""
    ended = cli("run", "sim", FLOW, *arguments)

    assert (ended.code, ended.stdout) == (2, "")
    assert problem in ended.stderr
    assert "hush" not in ended.stderr


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
    assert ended.stderr.endswith("To configure a connection:\n  flowrunner init\n")


@pytest.mark.parametrize(("flow", "token", "code"), [(FLOW, "wrong", 8), ("Demo/none.fmw", None, 9)])
def test_what_is_wrong_is_told_once(cli, simulator, flow, token, code):
    """A credential, or a name, that is wrong is so for the description, too: of that nothing is said besides."""
    ended = cli("run", "sim", flow, "-p", "a=1", **({} if token is None else {"SIM_TOKEN": token}))

    assert (ended.code, ended.stderr.count("Error: ")) == (code, 1)
    assert "not checked" not in ended.stderr


def test_a_refusal_for_another_reason_tells_what_was_not_checked(cli, simulator):
    """What the vendor refuses may be what a check would have found."""
    simulator.respond_next("*/parameters", 500, times=9)
    ended = cli("run", "sim", "Demo/none.fmw", "-p", "a:=1")

    assert ended.code == 9
    assert "Parameters were not checked" in ended.stderr


def test_a_backend_where_a_connection_belongs(cli):
    """The command that makes a connection of that backend is shown."""
    ended = cli("run", "smart-flows", FLOW)

    assert (ended.code, "'smart-flows' is a backend" in ended.stderr) == (2, True)
    assert ended.stderr.endswith("To configure a connection:\n  flowrunner init --backend smart-flows\n")


@pytest.mark.parametrize("seconds", ["1m", "-1", "inf", "nan"])
def test_a_timeout_is_a_number_of_seconds(cli, seconds):
    """Anything else is exit code 2, with an example."""
    ended = cli("run", "sim", FLOW, "--timeout", seconds)
    assert (ended.code, f"'{seconds}' is not a number of seconds, such as 90" in ended.stderr) == (2, True)


def test_another_configuration_can_be_named(cli, config, script, tmp_path):
    """--config reads that file instead of the usual ones, and the command to go on names it, too."""
    elsewhere = config.rename(tmp_path / "other name.toml")
    script(duration=10_000)

    ended = cli("run", "sim", FLOW, "--config", elsewhere, "--wait", "--timeout", "0")

    assert ended.code == 6
    ref = ended.stdout.strip()
    assert f"  flowrunner wait {ref} --config '{elsewhere}'" in ended.stderr


# --- from files

EVERY = EVERY_PARAMETER.flow


@pytest.fixture
def every(simulator):
    """The workspace with a parameter of every kind is there."""
    simulator.publish(EVERY_PARAMETER)


def stored(simulator):
    """The files at the vendor."""
    entries = simulator.world.resources._entries.values()
    return {entry.name: entry.content.read_bytes() for entry in entries if entry.content is not None}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("p.json", '{"mandatory": "x", "integer": "3", "options": "c"}'),
        ("p.toml", 'mandatory = "x"\ninteger = 3\noptions = ["c"]'),
        ("p.yaml", "mandatory: x\ninteger: 3\noptions: [c]"),
    ],
)
def test_parameters_from_a_file(cli, simulator, every, tmp_path, *, name, text):
    """They are read as those of -p, which count more."""
    (tmp_path / name).write_text(text)
    ended = cli("run", "sim", EVERY, "-P", name, "-p", "mandatory=y")

    assert (ended.code, ended.stderr) == (0, "")
    assert dict(submitted(simulator, EVERY).parameters) == {"mandatory": "y", "integer": 3, "options": ["c"]}


def test_parameters_from_stdin(cli, simulator, every):
    """They are JSON."""
    ended = cli("run", "sim", EVERY, "--parameters", "-", stdin='{"mandatory": "x"}')
    assert (ended.code, submitted(simulator, EVERY).parameters["mandatory"]) == (0, "x")


def test_a_file_of_parameters_that_cannot_be_read(cli, simulator, every, tmp_path):
    """Exit code 2, and nothing is asked of the vendor."""
    (tmp_path / "p.yaml").write_text("secret: *hush\n")
    ended = cli("run", "sim", EVERY, "-P", "p.yaml", "--json")

    assert (ended.code, ended.record["message"]) == (2, "p.yaml, line 1, column 9: this is not YAML")
    assert simulator.requests.matching() == []


def test_the_value_of_a_parameter_from_a_file(cli, simulator, every, tmp_path):
    """Its text, or for a parameter that takes a file the file itself, which is brought to the vendor."""
    (tmp_path / "text").write_text("several\nlines\n")
    (tmp_path / "roads.gml").write_bytes(b"<gml/>")
    ended = cli("run", "sim", EVERY, "-p", "mandatory=@text", "-p", "SourceDataset_GML=@roads.gml")

    parameters = submitted(simulator, EVERY).parameters
    assert (ended.code, parameters["mandatory"], stored(simulator)) == (0, "several\nlines", {"roads.gml": b"<gml/>"})
    assert parameters["SourceDataset_GML"].endswith("/roads.gml")


@pytest.mark.parametrize("way", ["file", "stdin", "parameters"])
def test_a_password_is_never_shown(cli, simulator, every, tmp_path, way):
    """From wherever it comes, and though the vendor repeats it in its refusal."""
    (tmp_path / "secret").write_text("hush-hush\n")
    (tmp_path / "p.yaml").write_text("secret: hush-hush\n")
    said = {"file": ["-p", "secret=@secret"], "stdin": ["-p", "secret=@-"], "parameters": ["-P", "p.yaml"]}[way]
    refusal = {"message": "'hush-hush' is no good", "details": {"secret": "hush-hush"}}
    arguments = ["run", "sim", EVERY, "-p", "mandatory=x", *said, "--json", "-v"]

    simulator.respond_next("*/jobs", 422, refusal, method="POST")
    refused, accepted = (cli(*arguments, stdin="hush-hush\n") for _ in "12")

    assert (refused.code, accepted.code) == (2, 0)
    assert submitted(simulator, EVERY).parameters["secret"] == "hush-hush"
    assert "is no good" in refused.stderr
    assert "hush" not in refused.stdout + refused.stderr + accepted.stdout + accepted.stderr


def test_stdin_is_read_once(cli, simulator, every):
    """A second reader would find it empty, so it is a usage error."""
    ended = cli("run", "sim", EVERY, "-P", "-", "-p", "mandatory=@-", stdin="{}")
    assert (ended.code, "Stdin can be read once" in ended.stderr) == (2, True)
    assert simulator.requests.matching() == []


@pytest.mark.parametrize("way", ["file", "stdin"])
def test_a_payload(cli, simulator, every, tmp_path, way):
    """It arrives as it is, bytes and all; stdin is no text either."""
    data = bytes(range(256)) * 3
    (tmp_path / "data.bin").write_bytes(data)
    file = {"file": "data.bin", "stdin": "-"}[way]
    ended = cli("run", "sim", EVERY, "-p", "mandatory=x", "--payload", file,
                "--extra", "payload_parameter=SourceDataset_GML", stdin=data)  # fmt: skip

    assert (ended.code, ended.stderr) == (0, "")
    assert list(stored(simulator).values()) == [data]
    (name,) = stored(simulator)
    assert submitted(simulator, EVERY).parameters["SourceDataset_GML"].endswith(f"/{name}")


def test_a_payload_that_is_not_there(cli, simulator, every):
    """Exit code 2, and nothing is started."""
    ended = cli("run", "sim", EVERY, "-p", "mandatory=x", "--payload", "absent")
    assert (ended.code, "the file 'absent' does not exist" in ended.stderr) == (2, True)
    assert simulator.pool.submissions() == ()


def test_further_options(cli, simulator):
    """They reach the vendor, as those do that have an option of their own."""
    ended = cli("run", "sim", FLOW, "--option", "queue=Night", "--option", "max_run_time=60", "--max-queue-time", "120")
    job = submitted(simulator)
    assert (ended.code, job.queue, job.limits.run, job.limits.queue) == (0, "Night", 60, 120)


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (
            ["--option", "que=Night"],
            "there is no option 'que' (a backend's own: --extra): did you mean 'queue'?",
        ),
        (["--extra", "payload_parm=x"], "has no option 'payload_parm': did you mean 'payload_parameter'?"),
        (["--extra", "priority=5"], "V4 of FME Flow has no priorities of jobs"),
    ],
)
def test_an_option_that_is_not_there(cli, simulator, arguments, problem):
    """The error says what may have been meant, and nothing is started."""
    ended = cli("run", "sim", FLOW, *arguments)
    assert (ended.code, problem in ended.stderr) == (2, True)
    assert simulator.pool.submissions() == ()
