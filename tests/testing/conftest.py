"""A stage as the plugin sets it up for a test of an application."""

import pytest

from flowrunner.testing.clock import VirtualClock
from flowrunner.testing.stage import Stage


@pytest.fixture
def clock():
    """Time that moves when everybody waits."""
    clock = VirtualClock()
    yield clock
    clock.close()


@pytest.fixture
def stage(tmp_path):
    """Simulators and clients on one clock."""
    with pytest.MonkeyPatch.context() as patch, Stage(patch, lambda: tmp_path) as stage:
        yield stage
