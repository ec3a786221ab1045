"""What the backend makes of its settings, of parameters, and of what it finds on the disk."""

from __future__ import annotations

import os
import re
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

import flowrunner
from flowrunner import Health, RunState
from flowrunner.backend import RunQuery
from flowrunner.errors import (
    ConfigError,
    InvalidParameters,
    InvalidRequest,
    ProtocolError,
    RunNotFound,
    TransportError,
    UnsupportedOption,
)
from flowrunner.models import ArtifactSource, SubmitOptions
from flowrunner.plans import Page
from flowrunner_local.backend import Local, _progress, _texts
from flowrunner_local.runs import TAIL, Order, Run, create, newest_first


@pytest.fixture
def runs(settings):
    """Where the runs are."""
    return Path(settings["folder"]) / "runs"


@pytest.fixture
def ended(runs):
    """A run that has ended, as its keeper left it."""

    def make(flow="flow", **status):
        run, lock = create(runs, Order(flow, ["true"], {}, {}, None, 1.0))
        run.note(**{"word": "succeeded", **status})
        os.close(lock)
        return run

    return make


@pytest.fixture
def attached(connected):
    """A run of a client that knows its id."""
    return lambda run, **more: connected(**more).attach(f"flowrunner:1:local:local:flow:{run.path.name}")


# Settings and submissions


@pytest.mark.parametrize(
    ("setting", "problem"),
    [
        ({"flows": {"a": ""}}, "'a' is to be a command"),
        ({"flows": {"a": []}}, "'a' is to be a command"),
        ({"flows": {"a": ["x", 1]}}, "'a' is to be a command"),
        ({"flows": {"a": {"x": "y"}}}, "'a' is to be a command"),
        ({"flows": {"a": "say 'hello"}}, "No closing quotation"),
        ({"encoding": "utf-16"}, "not 'utf-16'"),
        ({"encoding": "klingon"}, "not 'klingon'"),
        ({"cancel_grace": -1}, "cancel_grace must not be less than 0"),
    ],
)
def test_settings_that_make_no_sense_are_refused(connected, setting, problem):
    """Before anything happens, with the name of what is wrong."""
    with pytest.raises(ConfigError, match=re.escape(problem)):
        connected(**setting)


def test_what_commands_are_given_is_not_shown(tmp_path):
    """An argument or a variable may hold a secret."""
    settings = Local.settings_class(folder=tmp_path, flows={"a": ["x", "--key=s3cr3t"]}, environment={"KEY": "s3cr3t"})
    assert "s3cr3t" not in repr(settings)


def test_a_flow_that_is_not_configured_names_those_that_are(connected):
    """So a slip of the pen is seen."""
    with pytest.raises(flowrunner.FlowNotFound, match="there are 'daily', 'weekly'"):
        connected(flows={"daily": "true", "weekly": "true"}).submit("nightly")


def test_parameters_become_texts():
    """Text as it is, dates in ISO 8601, everything else as JSON."""
    day, moment = date(2025, 1, 2), datetime(2025, 1, 2, tzinfo=UTC)
    given = {"a": "x", "b": 1.5, "c": False, "d": {"ä": [1]}, "day": day, "moment": moment}
    texts = {"a": "x", "b": "1.5", "c": "false", "d": '{"ä": [1]}'}
    assert _texts(given) == {**texts, "day": "2025-01-02", "moment": "2025-01-02T00:00:00+00:00"}


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("a-b", "x", "cannot be the name"),
        ("1", "x", "cannot be the name"),
        ("a", "x\0y", "holds a NUL"),
        ("a", object(), "not JSON serializable"),
        ("a", "\ud800", "surrogates not allowed"),
    ],
)
def test_parameters_that_no_variable_can_hold_are_refused(name, value, problem):
    """By name, and nothing is started."""
    with pytest.raises(InvalidParameters) as caught:
        _texts({name: value, "fine": 1})
    assert list(caught.value.problems) == [name]
    assert problem in caught.value.problems[name]


def test_what_cannot_be_honoured_is_refused(connected, runs):
    """A queue, say; and a payload that is no file, no text and no bytes."""
    client = connected(flows={"flow": "true"})
    with pytest.raises(UnsupportedOption, match="has no option queue"):
        client.submit("flow", options=SubmitOptions(queue="night"))
    with pytest.raises(InvalidRequest, match="a payload is bytes, a text or a Path, not int"):
        client.submit("flow", payload=5)
    assert newest_first(runs) == []


def test_a_payload_that_is_a_file_is_copied(connected, runs, tmp_path, monkeypatch):
    """The run has it, whatever becomes of the file."""
    monkeypatch.setattr("flowrunner_local.backend.launch", lambda _run, _lock: None)
    path = tmp_path / "input"
    path.write_bytes(b"\x00\xff")
    run = connected(flows={"flow": "cat"}).submit("flow", payload=path)
    assert (runs / run.id / "payload").read_bytes() == b"\x00\xff"


def test_a_submission_that_fails_leaves_nothing_behind(connected, runs, monkeypatch):
    """The disk is full at the last moment: no run was started, and there is none."""

    def full(_run):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Run, "lock", full)
    with pytest.raises(TransportError, match=r"nothing was started, .*No space left"):
        connected(flows={"flow": "cat"}).submit("flow", payload=b"x")
    assert list(runs.iterdir()) == []


# What is on the disk


def test_ids_lead_nowhere_but_to_runs(connected, ended):
    """Whatever a reference holds: a run that is not there, or a way out of the folder."""
    run = ended()
    for odd in ("20250101T120000123456-00000000", f"../runs/{run.path.name}", "..", f"{run.path.name}/output", "ä"):
        with pytest.raises(RunNotFound):
            connected().attach(flowrunner.RunRef("local", "local", "flow", odd)).refresh()


def test_a_folder_that_is_gone_denies_no_run(attached, ended, settings, tmp_path):
    """A disk that is not mounted is lost contact, and the run is as it was."""
    run = attached(ended())
    Path(settings["folder"]).rename(tmp_path / "elsewhere")
    with pytest.raises(TransportError, match=r"how runs stand cannot be seen in .*No such file"):
        run.refresh()
    assert run.status.state is RunState.UNKNOWN


def test_a_folder_that_cannot_be_used_starts_nothing(connected, tmp_path):
    """And is no healthy connection."""
    (tmp_path / "file").touch()
    client = connected(folder=str(tmp_path / "file"), flows={"flow": "true"})
    with pytest.raises(TransportError, match="nothing was started") as caught:
        client.submit("flow")
    assert caught.value.maybe_arrived is False
    health = client.health()
    assert health.reachable is False
    assert "cannot be made" in health.message


def test_a_folder_of_somebody_else_is_not_healthy(connected, monkeypatch):
    """What may not be written to cannot keep runs."""
    assert connected().health() == Health(reachable=True)
    monkeypatch.setattr(os, "access", lambda _path, _mode: False)
    assert connected().health().message.endswith("may not be written to by this user")


@pytest.mark.parametrize("content", ["", "[1]", '{"word": "run'])
def test_an_unreadable_status_says_nothing_and_hides_nothing(attached, connected, ended, content):
    """Of that run; the listing shows the others, and this one as unknown."""
    broken, fine = ended(), ended()
    (broken.path / "status.json").write_text(content)
    run = attached(broken)
    with pytest.raises(ProtocolError):
        run.refresh()
    assert run.status.state is RunState.UNKNOWN
    listed = {run.id: run.status.state for run in connected().runs()}
    assert listed == {fine.path.name: RunState.SUCCEEDED, broken.path.name: RunState.UNKNOWN}


def test_a_run_removed_while_it_is_listed_is_not_there(connected, ended, monkeypatch):
    """The others are."""
    kept, gone = ended(), ended()
    names = newest_first(kept.path.parent)
    gone.remove()
    monkeypatch.setattr("flowrunner_local.backend.newest_first", lambda _: names)
    assert [run.id for run in connected().runs()] == [kept.path.name]


def test_a_listing_that_fails_is_no_empty_one(connected, ended, monkeypatch):
    """The disk fails: nobody may conclude that there are no runs."""
    ended()

    def failing(_path):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "listdir", failing)
    with pytest.raises(TransportError, match="runs cannot be listed"):
        list(connected().runs())


def test_pages_end_where_the_runs_do(ended, settings):
    """A page for each `page_size` runs, whatever of them is wanted."""
    names = [ended().path.name for _ in range(4)][::-1]
    local = Local(Local.settings_class(folder=Path(settings["folder"]), flows={}))
    local.page_size = 2
    query = RunQuery(states=frozenset({RunState.FAILED}))
    assert local._page(query, None) == Page((), names[1])
    assert local._page(query, names[1]) == Page((), None)


# Output


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ("nothing\n", (None, None)),
        ("::progress 42\n", (0.42, None)),
        ("::progress 1\n::progress 42.5% half of it \r\nmore\n", (0.425, "half of it")),
        ("::progress 250\n", (1.0, None)),
        ("::progress 10\n::progress 9", (0.1, None)),
        (" ::progress 42\n::progress\n::progress -3\n::progress x\n", (None, None)),
    ],
)
def test_progress_is_the_last_line_that_tells_it(lines, expected):
    """A line that is still being written tells nothing."""
    assert _progress(lines.encode(), "utf-8") == expected


def test_progress_shows_with_its_text(attached, ended):
    """In the status, beside the word; a text for how it ended goes first."""
    run = ended(word="succeeded")
    run.log.write_text("::progress 42 Größe\n", encoding="latin-1")
    status = attached(run, encoding="latin-1").refresh()
    assert (status.progress, status.message) == (0.42, "Größe")
    run = ended(word="failed", message="exit code 1")
    run.log.write_text("::progress 42 half of it\n")
    assert attached(run).refresh().message == "exit code 1"


def test_only_the_end_of_a_long_log_is_read(ended):
    """And of that, whole lines."""
    run = ended()
    run.log.write_bytes(b"x" * TAIL + b"::progress 1\n" + b"y\n")
    assert run.tail() == b"y\n"


@pytest.mark.parametrize(
    ("encoding", "content", "lines"),
    [
        ("utf-8", "Größe\r\n\nlast".encode(), ["Größe", "", "last"]),
        ("latin-1", b"Gr\xf6\xdfe\n", ["Größe"]),
        ("cp1252", b"\x80 5\n", ["€ 5"]),
        ("shift-jis", "日本\n".encode("shift-jis"), ["日本"]),
        ("utf-8", b"\xff\xfe G\xf6 ok\n", ["\ufffd\ufffd G\ufffd ok"]),
        ("utf-8", b"", []),
    ],
)
def test_lines_in_any_encoding(attached, ended, encoding, content, lines):
    """What cannot be read in the configured one is replaced, and nothing fails."""
    run = ended()
    run.log.write_bytes(content)
    assert list(attached(run, encoding=encoding).logs()) == lines


def test_a_log_longer_than_memory_should_hold_comes_in_pieces(attached, ended, monkeypatch):
    """Lines that lie across two pieces are whole."""
    monkeypatch.setattr("flowrunner_local.runs.CHUNK", 5)
    run = ended()
    run.log.write_text("the first line\nsecond\n")
    assert list(attached(run).logs()) == ["the first line", "second"]


def test_a_log_that_goes_away_is_an_error_of_ours(attached, ended):
    """The run was removed while somebody read it."""
    run = ended()
    run.log.write_text("a\n")
    lines = attached(run).logs()
    assert next(lines) == "a"
    run.remove()
    with pytest.raises(RunNotFound):
        next(lines)


def test_files_are_artifacts_and_links_are_not(attached, ended, tmp_path):
    """With the folders below the run's own; a download tells how far it is."""
    run = ended()
    (run.output / "sub").mkdir()
    (run.output / "sub" / "b.txt").write_text("content")
    (run.output / "a.txt").touch()
    (run.output / "link").symlink_to("/etc/hostname")
    artifacts = attached(run).result().artifacts
    assert [(artifact.name, artifact.size) for artifact in artifacts] == [("a.txt", 0), ("sub/b.txt", 7)]
    told = []
    path = artifacts[1].download(tmp_path, progress=lambda done, total: told.append((done, total)))
    assert (path, path.read_text()) == (tmp_path / "b.txt", "content")
    assert told == [(7, 7)]
    assert list(tmp_path.glob(".*")) == []


def test_only_files_of_the_run_can_be_downloaded(connected, ended, tmp_path):
    """A location that leads elsewhere leads nowhere."""
    run = ended()
    (run.output / "link").symlink_to(run.path / "order.json")
    for file in ("../order.json", "link", "not-there", ""):
        source = ArtifactSource(name="x", location=f"{run.path.name}/{file}")
        with pytest.raises(InvalidRequest, match="has no file"):
            connected()._download(source, tmp_path / "x", None)


def test_runs_are_for_their_owner_alone(ended):
    """Parameters and payload may hold what others must not see."""
    run = ended()
    assert run.path.stat().st_mode & 0o777 == 0o700
    assert isinstance(Run(run.path).order(), Order)
