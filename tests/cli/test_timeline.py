"""The picture of how runs went."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from flowrunner import RunState, RunStatus
from flowrunner.cli import timeline
from flowrunner.cli.output import Output
from flowrunner.cli.timeline import Axis, axis_of, length_of, moments_of, picture, show_picture, told_by
from flowrunner.cli.timeline import moments as moments_of_run

START = datetime(2026, 1, 1, tzinfo=UTC)


def at(second):
    """A moment, in seconds from the start."""
    return START + timedelta(seconds=second)


def moments(**seconds):
    """When each state was seen."""
    return tuple((at(second), RunState(state)) for state, second in seconds.items())


@pytest.mark.parametrize(
    ("seen", "drawn"),
    [
        (moments(queued=0, running=3, succeeded=9.9), "...======= ok"),
        (moments(submitting=0, running=2, waiting=5, failed=7), "..===??? failed"),
        (moments(queued=0, running=1, cancelling=3, cancelled=5), ".==~~~ cancelled"),
        (moments(queued=4, running=6), "    ..===="),
        (moments(queued=0, running=1, lost=10), ".========= lost"),
        (moments(queued=0, unknown=5), ".....     "),
        (moments(queued=2, running=2.5, succeeded=2.9), "  = ok"),
        ((), " " * 10),
    ],
)
def test_a_slice_shows_what_was_seen_last_in_it(seen, drawn):
    """One sign a slice, from the first look to the end; then how it ended."""
    assert Axis(START, at(10), 10).draw(seen) == drawn


def test_all_runs_share_an_axis():
    """It begins with the first look at any of them and ends with the last."""
    axis = axis_of([moments(queued=1, succeeded=3), (), moments(queued=2, failed=6)], 10)

    assert axis == Axis(at(1), at(6), 10)
    assert axis.scale() == "0    5.0 s"
    assert axis_of([()], 10) is None


def test_an_axis_without_length_is_a_slice():
    """A run that is seen once, at its end, ends in the first slice."""
    assert Axis(START, START, 10).draw(moments(succeeded=0)) == " ok"


def test_moments_are_what_was_observed():
    """A status that nobody has observed yet has no place in time."""
    history = [RunStatus(), RunStatus(state=RunState.QUEUED, observed_at=at(1))]

    assert moments_of(history) == moments(queued=1)
    assert (length_of(moments(queued=1, failed=3.5)), length_of(())) == (2.5, None)


QUEUED, RUNNING = (RunStatus(state=state, observed_at=at(1)) for state in (RunState.QUEUED, RunState.RUNNING))
ENDED = RunStatus(
    state=RunState.FAILED, queued_at=at(0), started_at=at(2), finished_at=at(9), observed_at=at(20)
)  # fmt: skip


def test_what_the_vendor_tells_is_the_history_of_what_nobody_saw():
    """A run that had ended before the first look; else what was seen counts."""
    assert told_by(ENDED) == moments(queued=0, running=2, failed=9)
    assert moments_of_run([RunStatus(), ENDED], ENDED) == told_by(ENDED)
    assert moments_of_run([QUEUED, ENDED], ENDED) == moments(queued=1, failed=20)
    bare = RunStatus(state=RunState.FAILED, observed_at=at(1))
    assert moments_of_run([bare], bare) == moments(failed=1)


def test_a_picture_fits_its_width():
    """Labels, signs and the word of the end; a narrow terminal has fewer slices; nothing seen is no picture."""
    runs = {"a": moments(queued=0, running=5, succeeded=10), "long name": moments(running=0, cancelled=10)}
    for width in (80, 40):
        lines = list(picture(runs, width))
        assert [line.split()[0] for line in lines] == ["a", "long", "0", "."]
        assert all(len(line) <= width for line in lines[:3])
    assert next(picture({"": moments(queued=0, running=5, succeeded=10)}, 80)).startswith(".")
    assert list(picture({"a": ()}, 80)) == list(picture({"a": moments(succeeded=1)}, 80)) == list(picture({}, 80)) == []


@pytest.mark.parametrize("is_terminal", [True, False])
def test_a_picture_is_for_people(monkeypatch, capsys, is_terminal):
    """A log has no use for it."""
    monkeypatch.setattr(timeline.sys.stderr, "isatty", lambda: is_terminal, raising=False)
    show_picture({"a": moments(queued=0, succeeded=10)}, Output())
    assert ("queued" in capsys.readouterr().err) == is_terminal
