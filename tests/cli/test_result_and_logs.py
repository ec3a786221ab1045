"""`flowrunner result` and `logs`: what a run made, and what it said."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest

from flowrunner import InvalidRequest, RunNotFound, RunState, RunStatus
from flowrunner.cli import logs
from flowrunner.cli.output import Output
from flowrunner.client import Run
from flowrunner.simulator import Behaviour, DataFlowId, SmartFlowId

FLOW = "Demo/work.fmw"
APARTMENTS = "Samples/austinApartments.fmw"
FLOWS = {
    "fme-flow-v4": APARTMENTS,
    "fme-flow-v3": APARTMENTS,
    "smart-flows": str(SmartFlowId.NO_INPUT),
    "invision": str(DataFlowId.IMPORT_SALES),
}


@pytest.fixture
def v3(serve, config):
    """A server over V3, which has logs; requests are sent once, and logs looked into often."""
    simulator = serve("fme-flow-v3")
    config.write_text(config.read_text() + "retries = 0\n")
    return simulator


@pytest.fixture
def _often(monkeypatch):
    """Logs are looked into often."""
    monkeypatch.setattr(logs, "LEAST_PAUSE", 0.05)
    monkeypatch.setattr(logs, "SHARE", 1.0)


# --- result


@pytest.mark.parametrize("vendor", FLOWS)
def test_every_vendors_result_is_shown(cli, serve, vendor):
    """As text and as an object; the exit code is 0."""
    serve(vendor)
    ref = cli("run", vendor, FLOWS[vendor], "--wait", "--json").record["ref"]
    text, found = cli("result", ref), cli("result", ref, "--json").record

    assert (text.code, text.fields["state"], text.stderr) == (0, "succeeded", "")
    assert (found["ref"], found["status"]["state"]) == (ref, "succeeded")
    assert text.stdout.count("metric ") == len(found["metrics"])
    assert [line.split("  ", 1)[1].strip() for line in text.stdout.splitlines() if line.startswith("file ")] == [
        each["name"] for each in found["artifacts"]
    ]


@pytest.mark.parametrize(("outcome", "code"), [("failed", 3), ("cancelled", 4)])
def test_a_run_that_did_not_succeed_says_so(cli, script, outcome, code):
    """By the exit codes of `wait`."""
    script(duration=1, outcome=outcome)
    ref = cli("run", "sim", FLOW, "--wait", "--json").record["ref"]
    ended = cli("result", ref, "--json")
    assert (ended.code, ended.record["exit_code"], ended.record["status"]["state"]) == (code, code, outcome)
    assert cli("result", ref).fields["state"] == outcome


def test_a_run_that_goes_on_has_no_result_yet(cli, script):
    """Exit code 6, as for a wait whose time is up, and the way to go on."""
    script(duration=10_000)
    ref = cli("run", "sim", FLOW).stdout.strip()
    ended = cli("result", ref, "--json")
    assert (ended.code, ended.record["error"]) == (6, "WaitTimeout")
    assert ended.record["status"]["state"] in {"queued", "running"}
    assert " and has no result yet" in ended.stderr
    assert f"Continue with:\n  flowrunner wait {ref}\n" in ended.stderr


def test_a_run_that_waits_for_a_person_has_none_either(cli, serve):
    """Exit code 5."""
    serve("smart-flows")
    ref = cli("run", "smart-flows", str(SmartFlowId.ASKS_ONCE), "--wait", "--json").record["ref"]
    assert cli("result", ref).code == 5


def test_a_run_that_is_not_there(cli):
    """Exit code 9."""
    assert cli("result", "sim", "77").code == 9


# --- logs


@pytest.mark.parametrize("vendor", [vendor for vendor in FLOWS if vendor != "fme-flow-v3"])
@pytest.mark.parametrize("how", [(), ("--follow",)])
def test_a_vendor_without_logs_says_so(cli, serve, vendor, how):
    """Exit code 2, before any request; with --follow, too."""
    simulator = serve(vendor)
    ref = cli("run", vendor, FLOWS[vendor]).stdout.strip()
    asked = len(simulator.requests)
    ended = cli("logs", ref, *how)
    assert (ended.code, ended.stdout, len(simulator.requests)) == (2, "", asked)
    assert "it lacks LOGS" in ended.stderr
    assert "Continue with" not in ended.stderr


def test_the_lines_go_to_stdout(cli, v3):
    """And nothing else; the exit code is 0, however the run went."""
    v3.pool.script(APARTMENTS, Behaviour(duration=1, outcome="failed", errors=2))
    ref = cli("run", "fme-flow-v3", APARTMENTS, "--wait", "--json").record["ref"]
    text, lines = cli("logs", ref), cli("logs", ref, "--json")

    assert (text.code, text.stderr) == (0, "")
    assert "Translation FAILED with 2 error(s)" in text.stdout.splitlines()[-1]
    assert [json.loads(line)["line"] for line in lines.stdout.splitlines()] == text.stdout.splitlines()


def test_before_the_work_begins_there_is_no_log(cli, v3):
    """Exit code 2, and the reason."""
    v3.pool.script(APARTMENTS, Behaviour(start_delay=10_000))
    ended = cli("logs", cli("run", "fme-flow-v3", APARTMENTS).stdout.strip(), "--json")
    assert (ended.code, ended.record["transient"], "has no log yet" in ended.stderr) == (2, True, True)


@pytest.mark.usefixtures("_often")
@pytest.mark.parametrize(("outcome", "code"), [("succeeded", 0), ("failed", 3), ("cancelled", 4)])
def test_a_log_is_followed_while_the_run_goes_on(cli, v3, outcome, code):
    """From before there is one to its last line, each line once; the exit code is that of `wait`."""
    v3.pool.script(APARTMENTS, Behaviour(start_delay=20, duration=60, outcome=outcome))
    ended = cli("logs", cli("run", "fme-flow-v3", APARTMENTS).stdout.strip(), "-f")
    said = [line.split("|")[-1] for line in ended.stdout.splitlines()]
    looks = v3.requests.matching("*/log")

    assert ended.code == code
    assert len(said) == len(set(said))
    assert said[0].startswith("START")
    assert said[-1].startswith("Translation ")
    assert len(looks) > 3
    assert ended.stderr.splitlines()[-1].startswith(f"The run has ended: {outcome} (")


@pytest.mark.usefixtures("_often")
def test_a_followed_log_ends_with_the_run_as_an_object(cli, v3):
    """As `status` prints it."""
    ref = cli("run", "fme-flow-v3", APARTMENTS).stdout.strip()
    *lines, last = map(json.loads, cli("logs", ref, "-f", "--json").stdout.splitlines())
    assert all(set(line) == {"line"} for line in lines)
    assert (last["ref"], last["status"]["state"]) == (ref, "succeeded")


@pytest.mark.usefixtures("_often")
def test_a_run_that_never_began_has_no_log_to_its_end(cli, v3):
    """That is no error."""
    v3.pool.script(APARTMENTS, Behaviour(start_delay=10_000))
    ref = cli("run", "fme-flow-v3", APARTMENTS).stdout.strip()
    cli("cancel", ref)
    ended = cli("logs", ref, "-f")
    assert (ended.code, ended.stdout) == (4, "")


@pytest.mark.usefixtures("_often")
def test_contact_that_comes_back_in_time_is_no_loss(cli, v3):
    """For `contact_budget`, as with `wait`."""
    v3.pool.script(APARTMENTS, Behaviour(duration=60))
    ref = cli("run", "fme-flow-v3", APARTMENTS).stdout.strip()
    v3.respond_next("*/log", 503, times=2)
    ended = cli("logs", ref, "-f")
    assert (ended.code, len(ended.stdout.splitlines())) == (0, 5)


@pytest.mark.usefixtures("_often")
def test_contact_that_does_not_come_back_is_one(cli, v3, config):
    """Exit code 7, and the way to go on."""
    config.write_text(config.read_text() + "contact_budget = 0.01\n")
    v3.pool.script(APARTMENTS, Behaviour(duration=10_000))
    ref = cli("run", "fme-flow-v3", APARTMENTS).stdout.strip()
    v3.respond_next("*/log", 503, times=100)
    ended = cli("logs", ref, "-f")
    assert ended.code == 7
    assert ended.stderr.endswith(f"Continue with:\n  flowrunner logs --follow {ref}\n")


@pytest.mark.usefixtures("_often")
def test_a_log_that_cannot_be_read_at_the_end_is_an_error(cli, v3):
    """Nothing is left to wait for."""
    ref = cli("run", "fme-flow-v3", APARTMENTS, "--wait", "--json").record["ref"]
    cli("status", ref)
    v3.respond_next("*/log", 503, times=100)
    assert cli("logs", ref, "-f").code == 7


def test_a_log_that_may_not_be_read_is_not_asked_for_again(cli, v3):
    """Exit code 8, at once."""
    ref = cli("run", "fme-flow-v3", APARTMENTS).stdout.strip()
    v3.respond_next("*/log", 403, {"message": "no"}, times=100)
    assert cli("logs", ref, "-f").code == 8
    assert len(v3.requests.matching("*/log")) == 1


def test_ctrl_c_leaves_the_run(cli, v3, monkeypatch):
    """Exit code 130, and the way to go on."""

    def interrupted(*_):
        raise KeyboardInterrupt

    ref = cli("run", "fme-flow-v3", APARTMENTS).stdout.strip()
    monkeypatch.setattr(Run, "watch", interrupted)
    ended = cli("logs", ref, "-f", "--json")
    last = json.loads(ended.stdout.splitlines()[-1])
    assert (ended.code, last["error"], last["ref"]) == (130, "Interrupted", ref)
    assert f"The run goes on: {ref}\nContinue with:\n  flowrunner logs --follow {ref}\n" in ended.stderr


class Played:
    """A run whose log is given, as it is each time it is read."""

    def __init__(self, *logs):
        self.read, self.status = list(logs), RunStatus(state=RunState.RUNNING)

    def logs(self):
        """What the log is now."""
        return iter(self.read.pop(0))


def test_what_is_new_is_printed(capsys):
    """A log that begins otherwise is another one: a run that was put back into the queue begins it anew."""
    log = logs._Log(Played("ab", "abc", "abc", "xb", ""), Output())
    for _ in range(5):
        log.read()
    assert capsys.readouterr().out.split() == list("abcxb")


def test_a_line_that_was_not_written_to_its_end(capsys):
    """Is printed again when it is; the one before it is not."""
    log = logs._Log(Played(["a", "hal"], ["a", "half", "b"], ["a", "half", "b"]), Output())
    for _ in range(3):
        log.read()
    assert capsys.readouterr().out.split() == ["a", "hal", "half", "b"]


class Gone(Played):
    """A run that the vendor does not know any more, which a look finds out."""

    _client = SimpleNamespace(_connection=SimpleNamespace(settings=SimpleNamespace(contact_budget=1, poll_min=0)))

    def logs(self):
        """There is none."""
        raise RunNotFound("gone")

    def watch(self, _):
        """The look."""
        self.status = RunStatus(state=RunState.LOST)
        return ()


@pytest.mark.usefixtures("_often")
def test_a_run_that_is_lost_meanwhile():
    """That it is lost is told, as with `wait`; one that was never seen is not found."""
    run = Gone()
    logs._follow(run, logs._Log(run, Output()))
    assert run.status.state == "lost"

    unseen = Gone()
    unseen.status = RunStatus(state=RunState.UNKNOWN)
    with pytest.raises(RunNotFound):
        logs._follow(unseen, logs._Log(unseen, Output()))


def test_a_line_is_cleaned(capsys):
    """A log is from outside: a terminal must not obey it. Tabs are left."""
    logs._Log(Played(["a\tb\x1b[2J\n", "", "c"]), Output()).read()
    assert capsys.readouterr().out == "a\tb\N{REPLACEMENT CHARACTER}[2J\n\nc\n"


def test_only_a_missing_log_may_come():
    """Another refusal stays one."""
    assert logs._may_come(InvalidRequest("no log yet", http_status=404, transient=True))
    assert not logs._may_come(InvalidRequest("no", http_status=404))
    assert not logs._may_come(InvalidRequest("no", http_status=408, transient=True))
