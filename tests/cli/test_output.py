"""What commands write, and where."""

from __future__ import annotations

import io
import os
import sys
from datetime import UTC, datetime
from pathlib import Path

import click
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from flowrunner import (
    Anomaly,
    Artifact,
    Cause,
    RunRef,
    RunResult,
    RunState,
    RunStatus,
    Submitted,
    UnknownWord,
    WaitReason,
)
from flowrunner.cli.output import Output, clean, one_line, seconds_between, unbroken, vendor_word

REF = RunRef("sim", "fme-flow-v4", "Demo/work.fmw", "1")
NOON = datetime(2025, 1, 1, 12, tzinfo=UTC)


@given(st.text(st.characters()))
@example("turned\u202ekcab\u2069")
def test_clean_text_holds_nothing_a_terminal_obeys(text):
    """Line breaks and tabs are left, every other control character is replaced, and any of it can be written."""
    cleaned = clean(text)

    assert all(character in "\n\t" or character.isprintable() or ord(character) > 0x9F for character in cleaned)
    assert not set(cleaned) & set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
    assert cleaned == cleaned.encode().decode()
    assert "\n" not in one_line(text)


@given(st.text(st.characters()))
def test_a_name_stays_in_its_field_and_keeps_its_blanks(text):
    """No program takes it for two lines or two fields; one that a terminal may show is as it was."""
    shown = unbroken(text)

    assert len(shown.splitlines()) <= 1
    assert "\t" not in shown
    assert shown == clean(shown)
    assert shown == text or not text.isprintable()
    assert unbroken(f" a  {shown} ") == f" a  {shown} "


@pytest.mark.parametrize(
    ("word", "shown"), [(None, ""), ("RUNNING", ""), ("running", ""), ("PULLED", "PULLED"), ("a\nb", "a b")]
)
def test_the_vendors_word_is_shown_where_it_says_more(word, shown):
    """The state's own word is not said twice."""
    assert shown == vendor_word(RunStatus(state=RunState.RUNNING, vendor_status=word))


def test_the_vendors_times_tell_how_long_it_worked():
    """Known only if both are."""
    assert seconds_between(RunStatus(started_at=NOON, finished_at=NOON.replace(minute=1))) == 60.0
    assert seconds_between(RunStatus(started_at=NOON)) is None


def test_a_status_shows_what_is_known_and_no_more(capsys):
    """A line for each thing known, aligned; colour is for terminals."""
    status = RunStatus(
        state=RunState.WAITING, vendor_status="User input", reason=WaitReason.USER_INPUT, progress=0.5,
        attempt=3, queued_at=NOON,
    )  # fmt: skip
    Output().status(status)
    Output().status(RunStatus(state=RunState.FAILED, cause=Cause.PLATFORM))
    Output().status(RunStatus(state=RunState.SUCCEEDED, has_warnings=True))

    assert capsys.readouterr().out.splitlines() == [
        "state          waiting",
        "vendor's word  User input",
        "reason         user_input",
        "progress       50%",
        "attempt        3",
        "queued         2025-01-01 12:00:00 UTC",
        "state  failed",
        "cause  platform",
        "state     succeeded",
        "warnings  yes",
    ]


def test_a_result_shows_outputs_and_files(capsys):
    """Each with its name, cleaned; of outputs what is no text as JSON, as elsewhere."""
    files = (Artifact(name="a  b.zip", location="x", size=12345), Artifact(name="c\nd", location="y"))
    outputs = {"count": 3, "done": True, "model": {"name": "a"}, "url": "https://a.example"}
    Output().result(RunResult(REF, RunStatus(state=RunState.SUCCEEDED), outputs, files))

    assert capsys.readouterr().out.splitlines()[1:] == [
        "output  count = 3",
        "output  done = true",
        'output  model = {"name": "a"}',
        "output  url = https://a.example",
        "file    a  b.zip, 12,345 bytes",
        "file    c d",
    ]


@pytest.mark.parametrize(("no_color", "coloured"), [("", True), ("1", False)])
def test_colour_is_for_terminals_unless_no_color_is_set(monkeypatch, capsys, no_color, coloured):
    """A terminal shows the state in its colour."""
    monkeypatch.setenv("NO_COLOR", no_color)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)

    Output().status(RunStatus(state=RunState.FAILED))

    assert coloured == ("\x1b[31mfailed" in capsys.readouterr().out)


def unbuffered(file):
    """A stdout that keeps nothing, so that closing it cannot fail again."""
    return io.TextIOWrapper(file, write_through=True)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is full")
def test_a_line_that_cannot_be_written_is_told(monkeypatch):
    """It may be the reference of a run, which would be lost: a full disk is an error that shows it, no traceback."""
    with Path("/dev/full").open("wb", buffering=0) as full:
        monkeypatch.setattr(sys, "stdout", unbuffered(full))
        with pytest.raises(click.ClickException, match=r"cannot write to stdout: .+\n  flowrunner:1:a$"):
            Output().data("flowrunner:1:a")


def test_a_reader_that_has_enough_is_no_error(monkeypatch):
    """A pipe that was closed ends the command as it ends others."""
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb", buffering=0) as pipe:
        monkeypatch.setattr(sys, "stdout", unbuffered(pipe))
        with pytest.raises(BrokenPipeError):
            Output().data("line")


def test_on_a_terminal_messages_break_at_spaces(monkeypatch, capsys):
    """Lines that begin with two spaces are commands, which somebody will copy: they are not broken."""
    monkeypatch.setenv("COLUMNS", "20")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)

    Output().say("Error: something went wrong\n  flowrunner wait flowrunner:1:a:b:c:d")

    assert capsys.readouterr().err == "Error: something\nwent wrong\n  flowrunner wait flowrunner:1:a:b:c:d\n"


@pytest.mark.parametrize(
    ("event", "told"),
    [
        (UnknownWord(connection="sim", ref=REF, word="PULLED"), "The vendor says 'PULLED'"),
        (Anomaly(connection="sim", ref=REF, description="it ended twice"), "Odd: it ended twice\n"),
        (Submitted(connection="sim", ref=REF), ""),
    ],
)
def test_events_a_person_should_know_of_are_told(capsys, event, told):
    """What is only of use to a program is not."""
    Output(as_json=True).event(event)

    captured = capsys.readouterr()
    assert captured.err.startswith(told)
    assert bool(told) == bool(captured.err)
    assert not captured.out
