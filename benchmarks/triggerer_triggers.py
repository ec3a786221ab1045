"""What triggerer.py has in the triggerer beside the triggers of flowrunner; Airflow makes them of rows of its database.

This is loaded in the process that is measured, and so loads little.
"""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseTrigger, TriggerEvent
from lateness import Lateness

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from lateness import Taken

EVERY = 0.25
"""Seconds from one line to the next."""


class Watching(BaseTrigger):
    """Never fires. It writes down how late the loop was, a line of JSON for each quarter of a second.

    Args:
        path: the file.
        counted: what the names of the tasks that are counted have in them.
    """

    def __init__(self, path: str, counted: str) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # Airflow annotates no constructor of triggers
        self.path = path
        self.counted = counted

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """As Airflow wants it."""
        return "triggerer_triggers.Watching", {"path": self.path, "counted": self.counted}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Watch, until cancelled."""
        lateness = Lateness()
        watching = asyncio.create_task(lateness.watch())
        try:
            while not watching.done():
                await asyncio.sleep(EVERY)
                self._write(lateness.taken())
        finally:
            watching.cancel()
        yield TriggerEvent(None)  # type: ignore[no-untyped-call]  # as above

    def _write(self, taken: Taken) -> None:
        triggers = sum(self.counted in each.get_name() for each in asyncio.all_tasks())
        line = {"at": time.time(), "triggers": triggers, "taken": asdict(taken)}
        with Path(self.path).open("a") as file:
            file.write(json.dumps(line) + "\n")


class Sleeping(BaseTrigger):
    """Fires at a time, and does nothing until then: what a trigger costs that costs nothing itself.

    Args:
        until: when, in seconds since the epoch.
    """

    def __init__(self, until: float) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # as above
        self.until = until

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """As Airflow wants it."""
        return "triggerer_triggers.Sleeping", {"until": self.until}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Sleep, and fire."""
        await asyncio.sleep(self.until - time.time())
        yield TriggerEvent({"slept": True})  # type: ignore[no-untyped-call]  # as above
