"""One simulated FME Flow on a clock that the test moves, and a client of it."""

from __future__ import annotations

import httpx
import pytest

from flowrunner.simulator import ManualClock, Simulator


@pytest.fixture
def clock():
    """A clock that stands still."""
    return ManualClock()


@pytest.fixture
def simulator(clock):
    """A server with one engine."""
    with Simulator("fme-flow-v4", clock=clock, engines=1) as serving:
        yield serving


@pytest.fixture
def api(simulator):
    """A client that holds the token."""
    with _client(simulator, {"Authorization": f"fmetoken token={simulator.token}"}) as client:
        yield client


@pytest.fixture
def anyone(simulator):
    """A client that holds nothing."""
    with _client(simulator, {}) as client:
        yield client


def _client(simulator, headers):
    # There is no TLS: loading the certificates of the system would only take time.
    return httpx.Client(base_url=simulator.base_url, headers=headers, timeout=10, verify=False)
