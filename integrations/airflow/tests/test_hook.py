"""The hook, against simulated vendors."""

from __future__ import annotations

import asyncio

from flowrunner import RunState
from flowrunner_airflow import FlowrunnerHook


def test_a_client(fme):
    """A connection of Airflow is a client of flowrunner."""
    with FlowrunnerHook().get_client() as client:
        assert client.health().authenticated


def test_an_asynchronous_client(fme):
    """The same for asyncio."""

    async def run():
        async with await FlowrunnerHook().aget_client() as client:
            result = await client.run("Samples/austinDownload.fmw", {"MAXY": 42, "THEMES": ["airports"]})
            return result.status.state

    assert asyncio.run(run()) is RunState.SUCCEEDED


def test_testing_a_connection(fme):
    """A server that is there and accepts the credential is well, and says its version."""
    is_well, said = FlowrunnerHook("flowrunner_default").test_connection()
    assert is_well
    assert "version" in said


def test_testing_with_a_wrong_credential(fme, connected):
    """One that does not accept it is not, and the credential is not shown."""
    connected(fme, token="wr0ng")
    is_well, said = FlowrunnerHook().test_connection()
    assert not is_well
    assert said
    assert "wr0ng" not in said


def test_testing_a_server_that_is_not_there(fme):
    """Nor is one that nobody can reach."""
    fme.stop()
    is_well, said = FlowrunnerHook().test_connection()
    assert not is_well
    assert said


def test_testing_what_makes_no_connection(fme, connected):
    """Settings that fit no connection are told."""
    connected(fme, timeout=-1)
    is_well, said = FlowrunnerHook().test_connection()
    assert not is_well
    assert "timeout" in said


def test_testing_a_vendor_that_cannot_be_asked(simulated, connected):
    """Where nothing can be asked without starting a run, that is what is said."""
    connected(simulated("invision"))
    is_well, said = FlowrunnerHook().test_connection()
    assert is_well
    assert "starts no run" in said
