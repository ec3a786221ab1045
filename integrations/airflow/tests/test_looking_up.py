"""How triggers get what a connection says, without a vendor."""

from __future__ import annotations

import asyncio

import pytest
from airflow.sdk.exceptions import AirflowException

from flowrunner_airflow import FlowrunnerHook
from flowrunner_airflow.connections import Server
from flowrunner_airflow.looking_up import look_up


class Airflow:
    """Answers look-ups when it is told to, with what they are numbered by; the first may fail."""

    def __init__(self):
        self.asked = []
        self.answers = asyncio.Event()
        self.failing = False

    async def server(self, conn_id):
        """What a hook is told of a connection."""
        self.asked.append(conn_id)
        number = len(self.asked)
        await self.answers.wait()
        await asyncio.sleep(0)
        if self.failing and number == 1:
            raise AirflowException("gone")
        return Server({"number": number})


@pytest.fixture
def airflow(monkeypatch):
    """An Airflow, asked by every hook."""
    made = Airflow()
    monkeypatch.setattr(FlowrunnerHook, "aget_server", lambda hook: made.server(hook.flowrunner_conn_id))
    return made


async def begun(*conn_ids):
    """Tasks that look up, each as far as it comes."""
    tasks = [asyncio.create_task(look_up(each)) for each in conn_ids]
    for _ in range(3):
        await asyncio.sleep(0)
    return tasks


def numbers(servers):
    """By which answer each was told."""
    return [each.settings["number"] for each in servers]


def test_all_that_come_at_once_share_a_look_up(airflow):
    """One asks Airflow for all that want a connection at the same time; who comes later asks anew."""

    async def run():
        tasks = await begun("a", "a", "b", "a")
        assert airflow.asked == ["a", "b"]
        airflow.answers.set()
        assert numbers(await asyncio.gather(*tasks)) == [1, 1, 2, 1]
        assert numbers([await look_up("a")]) == [3]

    asyncio.run(run())


def test_one_that_fails_fails_alone(airflow):
    """Where the one that asks is told an error, the others ask again."""

    async def run():
        airflow.failing = True
        tasks = await begun("a", "a", "a")
        airflow.answers.set()
        failed, *told = await asyncio.gather(*tasks, return_exceptions=True)
        assert isinstance(failed, AirflowException)
        assert numbers(told) == [2, 2]

    asyncio.run(run())


@pytest.mark.parametrize("cancelled", [0, 1])
def test_one_that_is_cancelled_harms_no_other(airflow, cancelled):
    """Whether it asks or waits: the others are told."""

    async def run():
        tasks = await begun("a", "a", "a")
        tasks.pop(cancelled).cancel()
        airflow.answers.set()
        told = await asyncio.gather(*tasks)
        assert numbers(told) == [len(airflow.asked)] * 2

    asyncio.run(run())
