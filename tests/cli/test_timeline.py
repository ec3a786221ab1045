"""The picture of how runs went."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from flowrunner import RunState, RunStatus
from flowrunner.cli.timeline import Axis, axis_of, length_of, moments_of

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
