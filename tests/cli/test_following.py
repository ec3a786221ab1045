"""How following a run ends, with runs that no simulated vendor has."""

from __future__ import annotations

import json

import click
import pytest
from click.testing import CliRunner

from flowrunner import (
    AuthenticationError,
    InputRequired,
    RunLost,
    RunRef,
    RunResult,
    RunState,
    RunStatus,
    WaitReason,
)
from flowrunner.cli.following import _LiveLine, follow_to_end
from flowrunner.cli.output import Output

REF = RunRef("sim", "fme-flow-v4", "Demo/work.fmw", "1")
QUEUED = RunStatus(state=RunState.QUEUED)
LOST = RunStatus(state=RunState.LOST)
ASKING = RunStatus(state=RunState.WAITING, reason=WaitReason.USER_INPUT, vendor_status="User input")
PAUSED = RunStatus(state=RunState.WAITING, reason=WaitReason.PAUSED)


class Played:
    """A run whose changes are given, and whose wait raises what is given; it notes how often it was watched."""

    ref, id, flow, history = REF, REF.id, REF.flow, ()

    def __init__(self, error, *changes, first=QUEUED):
        self.error, self.changes, self.status, self.watched = error, changes, first, 0

    def watch(self, timeout):
        """Show the changes."""
        self.watched += 1
        for status in self.changes:
            self.status = status
            yield status

    def wait(self):
        """End as given."""
        raise self.error


def follow(run, *, as_json=True):
    """The exit code, the object on stdout and the messages."""
    command = click.Command(
        "x", callback=lambda: follow_to_end(run, timeout=None, output=Output(as_json=as_json), config=None)
    )
    ended = CliRunner().invoke(command)
    return ended.exit_code, json.loads(ended.stdout) if as_json else ended.stdout, ended.stderr


def test_a_run_that_disappears_is_lost():
    """Exit code 11, and the result that tells nothing."""
    error = RunLost("gone", result=RunResult(REF, LOST))

    code, record, said = follow(Played(error, LOST))

    assert (code, record["error"], record["status"]["state"]) == (11, "RunLost", "lost")
    assert "gone" in said


@pytest.mark.parametrize(("run", "watched"), [((PAUSED, ASKING, LOST), 1), ((), 0)])
def test_a_run_that_waits_for_a_person_ends_the_wait(run, watched):
    """Exit code 5, when it comes to that and when it stands so already; a paused run is waited for."""
    error = InputRequired("it waits for a person", status=ASKING, ref=REF)
    played = Played(error, *run, first=QUEUED if run else ASKING)

    code, record, messages = follow(played)

    assert (5, "InputRequired", "waiting", watched) == (
        code,
        record["error"],
        record["status"]["state"],
        played.watched,
    )
    assert f"Answer it with:\n  flowrunner resume {REF}\n" in messages
    assert played.status == ASKING


def test_an_error_that_is_not_about_the_run_leaves_what_is_known():
    """The last state is told, with the way to go on."""
    code, _, messages = follow(Played(AuthenticationError("no"), QUEUED), as_json=False)

    assert code == 8
    assert "The run was queued when last seen.\nContinue with:\n" in messages


def test_changes_show_all_that_is_known():
    """State, vendor's word, attempt, progress and message stand in one line."""
    status = RunStatus(
        state=RunState.RUNNING, vendor_status="PULLED", attempt=2, progress=0.4, message="reading\nroads"
    )

    _, _, messages = follow(Played(AuthenticationError("no"), status), as_json=False)

    assert "running (PULLED), attempt 2, 40%: reading roads" in messages


@pytest.mark.parametrize(
    ("progress", "drawn"),
    [(None, ""), (0.0, "─" * 20), (0.5, "━" * 10 + "─" * 10), (1.0, "━" * 20)],
)
def test_a_live_line_has_a_bar_where_the_vendor_tells(progress, drawn):
    """Beside state, percentage, message and elapsed time."""
    line = _LiveLine()
    line.show(RunStatus(state=RunState.RUNNING, progress=progress, message="half way"))
    shown = line.__rich__().plain
    assert " ".join(shown.split()[2:]).startswith(f"{drawn} running".strip())
    assert shown.endswith(": half way")
