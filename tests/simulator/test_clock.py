"""Time that is real, faster, or set by hand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from flowrunner.simulator import ManualClock, RealClock
from flowrunner.simulator.clock import later


def test_manual_clock_moves_only_when_told():
    """A manual clock stands still until `advance`, and then moves by exactly so much."""
    clock = ManualClock()
    before = clock.now()

    clock.advance(1.5)

    assert timedelta(seconds=1.5) == clock.now() - before
    assert clock.real_seconds(clock.now()) is None


def test_clocks_speak_utc():
    """The time is aware and in UTC, whatever zone a manual clock was started in."""
    start = datetime(2025, 6, 1, 2, tzinfo=timezone(timedelta(hours=2)))

    assert datetime(2025, 6, 1, tzinfo=UTC) == ManualClock(start).now()
    assert UTC is ManualClock(start).now().tzinfo
    assert UTC is RealClock().now().tzinfo


def test_manual_clock_does_not_go_back():
    """Time only goes forward."""
    with pytest.raises(ValueError, match="does not go back"):
        ManualClock().advance(-1)


def test_advance_rings_the_bell():
    """Whoever waits for a manual clock is woken when it moves, and not after it stopped waiting."""
    clock, heard = ManualClock(), []

    with clock.bell.heard_by(lambda: heard.append(clock.now())):
        clock.advance(1)
    clock.advance(1)

    assert len(heard) == 1


def test_bell_counts_its_listeners():
    """A test can wait until somebody waits, and is told when nobody comes."""
    bell = ManualClock().bell

    assert not bell.wait_for_listeners(1, timeout=0.001)
    with bell.heard_by(lambda: None):
        assert bell.wait_for_listeners(1, timeout=0.001)


def test_real_clock_runs_at_its_speed():
    """A real clock at speed 1000 needs a thousandth of the real seconds to reach a moment."""
    clock = RealClock(speed=1000)

    seconds = clock.real_seconds(clock.now() + timedelta(seconds=3600))

    assert 3.0 < seconds <= 3.6
    assert clock.real_seconds(clock.now() - timedelta(hours=1)) == 0


def test_real_clock_refuses_to_stand():
    """A speed of 0 or less is an error, not a clock that never moves."""
    with pytest.raises(ValueError, match="above 0"):
        RealClock(speed=0)


@pytest.mark.parametrize("seconds", [None, float("inf"), 1e300])
def test_never_is_not_a_moment(seconds):
    """No duration, an endless one and one past the end of the calendar never come."""
    assert later(datetime(2025, 1, 1, tzinfo=UTC), seconds) is None
