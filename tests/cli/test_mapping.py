"""`flowrunner run --sets`: a run for each row of a file."""

from __future__ import annotations

import json
import os
import re
import signal

import pytest
from attrs import evolve

from flowrunner.cli.sets import Row
from flowrunner.cli.tally import Tally
from flowrunner.client import Client
from flowrunner.enums import RunState
from flowrunner.events import StatusChanged
from flowrunner.models import MapItem, RunRef, RunStatus
from flowrunner.simulator import Behaviour, Kind, ManualClock, Parameter, Simulator, Workspace

TYPED = "Tutorials/10seconds.fmw"
TEXTS = Workspace(
    "Demo", "texts.fmw", parameters=tuple(Parameter(each, Kind.TEXT, each, required=False) for each in "abc"),
    behaviour=Behaviour(duration=20),
)  # fmt: skip
FLOW = TEXTS.flow


@pytest.fixture(autouse=True)
def _published(simulator):
    """A workspace that takes three texts."""
    simulator.publish(TEXTS)


@pytest.fixture
def rows(tmp_path):
    """Write the file of rows."""

    def write(text, name="rows.csv"):
        (tmp_path / name).write_text(text)
        return name

    return write


def lines_of(ended):
    """The objects on stdout."""
    return [json.loads(line) for line in ended.stdout.splitlines()]


def test_a_run_for_each_row(cli, simulator, rows):
    """A line for each: index, reference, state, message. The texts are read as those of -p. Exit code 0."""
    ended = cli("run", "sim", TYPED, "--sets", rows("location,year\nBurnaby,1985\nSurrey,1990\n"))

    jobs = simulator.pool.submissions(TYPED)
    assert [dict(job.parameters) for job in jobs] == [
        {"location": ["Burnaby"], "year": 1985}, {"location": ["Surrey"], "year": 1990},
    ]  # fmt: skip
    assert (ended.code, ended.stderr) == (0, "2 rows: 2 succeeded.\n")
    pattern = r"[01]\tflowrunner:1:fme-flow-v4:sim:Tutorials%2F10seconds.fmw:\d:\w{16}\tsucceeded\t.*"
    lines = ended.stdout.splitlines()
    assert len([line for line in lines if re.fullmatch(pattern, line)]) == len(lines) == 2


def test_lines_come_as_runs_end(cli, simulator, rows):
    """Not in the order of the rows; with --json each is an object that names its row."""
    for duration in (60, 10, 30):
        simulator.pool.script(FLOW, Behaviour(duration=duration), times=1)
    ended = cli("run", "sim", FLOW, "--sets", rows('{"a": "1"}\n\n{"b": "2"}\n{}', "r.jsonl"), "--json")

    lines = lines_of(ended)
    assert ended.code == 0
    assert [(each["index"], each["line"]) for each in lines] == [(1, 3), (2, 4), (0, 1)]
    assert {each["status"]["state"] for each in lines} == {"succeeded"}
    assert [each["id"] for each in lines] == ["2", "3", "1"]
    assert all(each["ref"].startswith("flowrunner:1:") and each["flow"] == FLOW for each in lines)


def test_what_is_said_of_all_rows(cli, simulator, rows, tmp_path):
    """-P counts less than a row, and -p more; a file that -p names is read once for all."""
    (tmp_path / "common.toml").write_text('a = "file"\nb = "file"\nc = "file"\n')
    sets = rows("b,c\nrow1,row1\nrow2,row2\n")
    ended = cli("run", "sim", FLOW, "--sets", sets, "-P", "common.toml", "-p", "c=@-", stdin="said\n")

    assert ended.code == 0
    assert [dict(job.parameters) for job in simulator.pool.submissions(FLOW)] == [
        {"a": "file", "b": "row1", "c": "said"}, {"a": "file", "b": "row2", "c": "said"},
    ]  # fmt: skip


def test_a_row_that_cannot_be_submitted_stops_no_other(cli, simulator, rows):
    """Its error names file and line; the exit code is that of the first row that did not succeed."""
    sets = rows("location,year\nBurnaby,1985\nSurrey,soon\nBurnaby,1990\n")
    text, found = (cli("run", "sim", TYPED, "--sets", sets, *more) for more in ([], ["--json"]))

    refused = next(each for each in lines_of(found) if each["index"] == 1)
    assert (text.code, found.code) == (2, 2)
    problem = "rows.csv, line 3: the parameters do not fit 'Tutorials/10seconds.fmw': year 'soon' is not a whole number"
    assert f"1\t\tnot started\t{problem}\n" in text.stdout
    assert refused == {**refused, "error": "InvalidParameters", "message": problem, "exit_code": 2, "ref": None,
                       "id": None, "status": None, "line": 3,
                       "problems": {"year": "'soon' is not a whole number"}}  # fmt: skip
    assert text.stderr == "3 rows: 2 succeeded, 1 not started.\n"


def test_runs_that_do_not_succeed(cli, simulator, rows):
    """Each has its line, with what the vendor says; the first row that failed tells the exit code."""
    for outcome in ("succeeded", "cancelled", "failed"):
        simulator.pool.script(FLOW, Behaviour(duration=5, outcome=outcome), times=1)
    ended = cli("run", "sim", FLOW, "--sets", rows("a\nx\nx\nx\n"))

    assert ended.code == 4
    states = dict(re.findall(r"^(\d)\tflowrunner:\S+\t(\w+)\t", ended.stdout, re.MULTILINE))
    assert states == {"0": "succeeded", "1": "cancelled", "2": "failed"}
    assert ended.stderr == "3 rows: 1 succeeded, 1 failed, 1 cancelled.\n"


def test_an_uncertain_submission_is_a_line_too(cli, simulator, rows):
    """With its handle, and the command that finds out; the others are run."""
    simulator.cut_next("reset_after", "*/jobs", method="POST")
    ended = cli("run", "sim", FLOW, "--sets", rows("a\nx\ny\n"), "--json")

    uncertain, other = lines_of(ended)
    assert (ended.code, uncertain["error"], uncertain["exit_code"], uncertain["id"]) == (
        10,
        "SubmissionUncertain",
        10,
        None,
    )
    assert (uncertain["status"]["state"], other["status"]["state"]) == ("submitting", "succeeded")
    assert uncertain["ref"].startswith("flowrunner:1:fme-flow-v4:sim:Demo%2Ftexts.fmw::")
    assert "Before you start it again, find out with:\n  flowrunner recover sim\n" in ended.stderr


def test_a_run_that_waits_for_a_person(cli, config, rows):
    """It will not go on without an answer, so it has its line; exit code 5."""
    with Simulator("smart-flows") as smart_flows:
        settings = "".join(f'{name} = "{value}"\n' for name, value in smart_flows.settings.items())
        config.write_text(f'[connections.reports]\nbackend = "smart-flows"\n{settings}poll_min = 0.05\n')
        ended = cli("run", "reports", "5b0c1f4e-92d3-4d0a-8a61-7c1e5f2ab00a", "--sets", rows("{}\n", "r.jsonl"))

    assert ended.code == 5
    (ref,) = re.findall(r"^0\t(\S+)\twaiting\t", ended.stdout)
    assert f"Answer those that wait, the first of them with:\n  flowrunner resume {ref}\n" in ended.stderr


@pytest.mark.parametrize("text", ["a,b\n1,2\n3\n", 'a,b\n1,2\n"3'])
def test_a_file_that_makes_no_sense_starts_nothing(cli, simulator, rows, text):
    """All of it is read before the first run."""
    ended = cli("run", "sim", FLOW, "--sets", rows(text), "--json")
    assert (ended.code, ended.record["message"].startswith("rows.csv, line 3: ")) == (2, True)
    assert simulator.requests.matching() == []


def test_a_file_without_rows(cli, simulator, rows):
    """There is nothing to do, which is no error."""
    ended = cli("run", "sim", FLOW, "--sets", rows("a,b\n"))
    assert (ended.code, ended.stdout, ended.stderr) == (0, "", "0 rows: nothing was started.\n")


def test_rows_from_stdin(cli, simulator):
    """They are JSON Lines."""
    assert cli("run", "sim", FLOW, "--sets", "-", stdin='{"a": "1"}\n').code == 0
    assert len(simulator.pool.submissions(FLOW)) == 1


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--sets", "r.csv", "--key", ""], "--key is empty"),
        (["--sets", "r.csv", "--payload", "f"], "--payload is for one run: rows have parameters, not data."),
        (["--sets", "r.csv", "--wait", "--timeout", "0"], "what bounds each of several is --max-run-time"),
        (["--max-in-flight", "3"], "give --sets, too"),
        (["--sets", "-", "-P", "-"], "Stdin can be read once"),
        (["--sets", "r.csv", "--max-in-flight", "0"], "Invalid value for '--max-in-flight'"),
    ],
)
def test_options_that_do_not_go_together(cli, simulator, arguments, problem):
    """None is dropped silently: it is a usage error."""
    ended = cli("run", "sim", FLOW, *arguments)
    assert (ended.code, problem in ended.stderr) == (2, True)
    assert simulator.requests.matching() == []


def test_what_is_no_error_of_ours_is_told_as_one():
    """A file that cannot be read while it is sent, say."""
    tally = Tally(FLOW, [Row("rows.csv, line 2", 2, ())])
    list(tally.taking([{}]))
    taken = tally.ended(MapItem(0, {}, None, PermissionError(13, "Permission denied", "roads.gml")))
    assert taken.to_dict()["message"] == "rows.csv, line 2: [Errno 13] Permission denied: 'roads.gml'"
    assert tally.code == 2


# --- options, and keys


def test_options_count_for_every_row(cli, simulator, rows):
    """Those of the command's own, and those by name: as for a single run."""
    options = ["--queue", "Night", "--max-run-time", "60", "--option", "max_queue_time=120"]
    ended = cli("run", "sim", FLOW, "--sets", rows("a\nx\ny\n"), *options)

    jobs = simulator.pool.submissions(FLOW)
    assert ended.code == 0
    assert [(job.queue, job.limits.run, job.limits.queue) for job in jobs] == [("Night", 60, 120)] * 2


def test_an_option_of_the_backend_counts_for_every_row(cli, rows):
    """One that it has not is an error of each row, which says what there is instead."""
    ended = cli("run", "sim", FLOW, "--sets", rows("a\nx\ny\n"), "--extra", "priority=5")

    assert (ended.code, ended.stderr) == (2, "2 rows: 2 not started.\n")
    assert ended.stdout.count("has no option 'priority': V4 of FME Flow has no priorities of jobs; use the option") == 2


def test_an_option_that_is_wrong_starts_nothing(cli, simulator, rows):
    """It is an error of the command, not of each row."""
    ended = cli("run", "sim", FLOW, "--sets", rows("a\nx\n"), "--option", "queu=Night", "--json")
    assert (ended.code, "did you mean 'queue'" in ended.record["message"]) == (2, True)
    assert simulator.requests.matching() == []


def test_with_a_key_each_row_has_its_own(cli, simulator, rows):
    """The same command again starts nothing, says so, and gives the same runs; rows that came behind are started."""
    sets = rows("a\nx\nx\n")
    first, again = (cli("run", "sim", FLOW, "--sets", sets, "--key", "night") for _ in range(2))
    rows("a\nx\nx\nz\n")
    more = cli("run", "sim", FLOW, "--sets", sets, "--key", "night")

    def refs(ended):
        return sorted(line.split("\t")[1] for line in ended.stdout.splitlines())

    assert [ref.rpartition(":")[2] for ref in refs(first)] == ["night%3A0", "night%3A1"]
    assert refs(first) == refs(again) == refs(more)[:2]
    assert (first.code, again.code, more.code, len(simulator.pool.submissions(FLOW))) == (0, 0, 0, 3)
    assert first.stderr == "2 rows: 2 succeeded.\n"
    told = (
        "2 of them had been started before, with the keys of these rows ('night:0' to 'night:1'), and were not started"
    )
    assert told in again.stderr
    assert told in more.stderr


def test_keys_of_rows_want_the_description_each_time(cli, simulator, rows):
    """It is the same for rows: that the server is away for now is said, and no row counts as changed."""
    sets = rows("THEMES\nairports\n")
    again = ("run", "sim", "Samples/austinDownload.fmw", "--sets", sets, "--key", "night")
    first = cli(*again)
    simulator.respond_next("*/parameters", 503, times=9)
    without = cli(*again)

    assert (first.code, without.code) == (0, 7)
    assert "other parameters" not in without.stderr + without.stdout


def test_a_row_that_has_changed_is_refused(cli, simulator, rows):
    """Its key belongs to what it was: its line says so, and what to do. The others count as before."""
    sets = rows("a\nx\ny\n")
    cli("run", "sim", FLOW, "--sets", sets, "--key", "night")
    rows("a\nx\nother\n")
    ended = cli("run", "sim", FLOW, "--sets", sets, "--key", "night")

    assert (ended.code, len(simulator.pool.submissions(FLOW))) == (2, 2)
    assert "1\t\tnot started\trows.csv, line 3: key 'night:1' belongs to a submission" in ended.stdout
    assert "use another key" in ended.stdout
    assert "1 of them had been started before, with the keys of these rows ('night:0')," in ended.stderr


def test_how_runs_from_before_stand():
    """Nothing tells that they are submitted: what is told of a run is that of the row with its key."""
    tally = Tally(FLOW, [Row(f"rows.csv, line {line}", line, ()) for line in (2, 3, 4)], "night")
    list(tally.taking([{}, {}, {}]))
    refs = [RunRef("sim", "fme-flow-v4", FLOW, str(number), f"night:{number}") for number in range(2)]
    running, queued = RunStatus(state=RunState.RUNNING), RunStatus(state=RunState.QUEUED)
    for ref in (refs[0], evolve(refs[0], key="other"), refs[0]):
        tally.note(StatusChanged(connection="sim", ref=ref, old=queued, new=running))

    assert [each.state for each in tally.taken] == ["running", "submitting", "submitting"]
    assert tally.taken[0].ref == refs[0]
    said = [each.problem["message"] for each in tally.break_off()]
    assert ["not seen to end" in text for text in said] == [True, True, False]


# --- at a terminal


def test_on_a_terminal_a_line_lives(cli, simulator, rows):
    """How many rows are over, and how all that were taken stand; on a narrow one without the bar."""
    simulator.pool.script(FLOW, Behaviour(duration=20, start_delay=20))
    arguments = ["run", "sim", FLOW, "--sets", rows("a\nx\ny\n"), "--max-in-flight", "1"]
    wide, narrow = (cli(*arguments, FORCE_COLOR="1", TERM="xterm-256color", COLUMNS=width) for width in ("100", "40"))

    assert (wide.code, narrow.code) == (0, 0)
    assert "\N{BOX DRAWINGS LIGHT HORIZONTAL}" in wide.stderr
    assert "\N{BOX DRAWINGS LIGHT HORIZONTAL}" not in narrow.stderr
    assert "of 2" in narrow.stderr
    frames = re.split(r"[\r\n]", re.sub(r"\x1b\[[^a-zA-Z]*[a-zA-Z]", "", narrow.stderr))
    assert max(map(len, frames)) == 38  # the terminal writes ^C behind it
    assert len(wide.stdout.splitlines()) == 2


@pytest.mark.skipif(os.name == "nt", reason="there is no such terminal")
def test_lines_stand_above_the_live_one(config, simulator, start, rows, monkeypatch):
    """Where stdout is the same terminal: whole lines, each once, however long, and the live one is gone at the end."""
    import pty

    simulator.pool.script(FLOW, Behaviour(duration=20))
    sets = rows('{"a": "x"}\n{"a": 1}\n', "r.jsonl")
    monkeypatch.setenv("TERM", "xterm")
    master, slave = pty.openpty()
    process = start("run", "sim", FLOW, "--sets", sets, stdin=slave, stdout=slave, stderr=slave)
    os.close(slave)
    seen = _read_all(master)
    os.close(master)

    assert process.wait(timeout=20) == 2
    assert re.search(r"[Kl]0  flowrunner:1:\S+:\d:\w{16}  \S*succeeded[^\r]*\r\n", seen)
    assert re.search(r"[Kl]1  -  \S*not started\S*: r.jsonl, line 2: [^\r]*must be a string[^\r]*\r\n", seen)
    assert seen.rstrip().endswith("2 rows: 1 succeeded, 1 not started.")


def _read_all(terminal):
    """What is written to a terminal until it is closed."""
    seen = b""
    while True:
        try:
            piece = os.read(terminal, 65536)
        except OSError:  # that is how Linux says that nobody has it open
            piece = b""
        if not piece:
            return seen.decode()
        seen += piece


# --- broken off


@pytest.fixture
def standing():
    """A server whose clock stands still: its runs never end."""
    with Simulator("fme-flow-v4", clock=ManualClock()) as serving:
        serving.publish(TEXTS)
        yield serving


@pytest.mark.skipif(os.name == "nt", reason="signals are sent as POSIX has them")
@pytest.mark.parametrize(
    ("arguments", "by", "most"), [(["--max-in-flight", "2"], signal.SIGINT, 2), ([], signal.SIGTERM, 8)]
)
def test_a_signal_tells_what_was_started(config, standing, start, rows, monkeypatch, *, arguments, by, most):
    """So many runs live at once, eight unless said otherwise. Each has a line; the rest is said, and how to go on."""
    address = re.search('base_url = "(.*)"', config.read_text())[1]
    config.write_text(config.read_text().replace(address, standing.base_url))
    monkeypatch.setenv("SIM_TOKEN", standing.token)
    running = start("run", "sim", FLOW, "--sets", rows("a\n" + "x\n" * 10), "--json", "--verbose", *arguments)
    _skip_submissions(running.stderr, most)
    running.send_signal(by)
    out, err = running.communicate(timeout=20)

    *open_ones, last = map(json.loads, out.splitlines())
    assert (running.returncode, len(standing.pool.submissions(FLOW))) == (130, most)
    assert [each["index"] for each in open_ones] == list(range(most))
    assert {each["id"] for each in open_ones} == {str(number + 1) for number in range(most)}
    assert {(each["error"], each["exit_code"]) for each in [*open_ones, last]} == {("Interrupted", 130)}
    assert open_ones[0]["message"] == "rows.csv, line 2: not seen to end: the command was interrupted"
    assert "Interrupted. 10 rows: " in err
    assert f"\nNothing was started from rows.csv, line {most + 2} on.\n" in err
    assert err.endswith("The runs go on. Find those that have not ended with:\n  flowrunner recover sim\n")


def _skip_submissions(log, count):
    """Read the log up to so many submissions, and the first look after them."""
    submitted = 0
    for line in log:
        submitted += "POST" in line
        if submitted >= count and " GET " in line:
            return


def test_ctrl_c_while_submitting(cli, monkeypatch, rows):
    """Of that row nobody knows whether it has a run; without a journal there is no command that finds out."""

    def interrupted(self, flow, sets, **_):
        next(iter(sets))
        raise KeyboardInterrupt
        yield

    monkeypatch.setattr(Client, "map", interrupted)
    ended = cli("run", "sim", FLOW, "--sets", rows("a\nx\n"), "--journal", "none")

    assert ended.code == 130
    problem = "rows.csv, line 2: it is not known whether a run was started: the command was interrupted"
    assert ended.stdout == f"0\t\tsubmitting\t{problem}\n"
    assert ended.stderr == "Interrupted. 1 row: 1 submitting.\n"
