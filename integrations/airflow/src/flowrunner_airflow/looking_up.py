"""One look-up of a connection for all triggers that want it at the same time.

For each look-up Airflow's triggerer tells the process above it several times what to mask in logs. That process answers
one message for each of its turns, and asks the database in each: a thousand triggers that come at once, as after a
restart, would wait for minutes until the last of them follows its run.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final
from weakref import WeakKeyDictionary

from flowrunner_airflow.hook import FlowrunnerHook

if TYPE_CHECKING:
    from flowrunner_airflow.connections import Server

__all__ = ["look_up"]

_underway: Final[WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, asyncio.Future[Server | None]]]] = (
    WeakKeyDictionary()
)
"""Of each loop, by connection: what others wait for while one looks. It is nothing where that one fails or is
cancelled, and the next looks for itself."""


async def look_up(conn_id: str) -> Server:
    """What a connection says. Nothing is kept: who comes when nobody looks gets what it says then.

    Raises:
        AirflowException: there is no such connection, or it makes no server.
    """
    loop = asyncio.get_running_loop()
    here = _underway.setdefault(loop, {})
    while (others := here.get(conn_id)) is not None:
        if (told := await asyncio.shield(others)) is not None:
            return told
    found = None
    # This is done in the task of whoever comes first: Airflow has prepared that for what its own code does meanwhile.
    here[conn_id] = told_others = loop.create_future()
    try:
        found = await FlowrunnerHook(conn_id).aget_server()
        return found
    finally:
        del here[conn_id]
        told_others.set_result(found)
