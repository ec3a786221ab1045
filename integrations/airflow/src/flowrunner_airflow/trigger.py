"""The trigger that follows a run: all of a triggerer share one client for each connection, and so one follower."""

from __future__ import annotations

from asyncio import sleep
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from airflow.sdk.configuration import conf
from airflow.sdk.exceptions import AirflowException, AirflowRuntimeError
from airflow.triggers.base import BaseTrigger, TaskSuccessEvent, TriggerEvent

import flowrunner
from flowrunner import FlowrunnerError, RunState
from flowrunner_airflow import events
from flowrunner_airflow.following import afollow, sentence
from flowrunner_airflow.looking_up import look_up

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection

    from flowrunner import AsyncRun

__all__ = ["FollowTrigger", "not_before"]

MARGIN: Final = 3
"""Seconds from that heartbeat until the scheduler has heard that the process has ended."""


class FollowTrigger(BaseTrigger):
    """Fires when a run has ended, or cannot be followed any more.

    It ends no run, however it is itself ended; only a user who ends the task does.

    Args:
        flowrunner_conn_id: the connection.
        ref: the run, as `str(run.ref)` gives it.
        submitted_at: when it was submitted, in ISO 8601, where that is known.
        details: which of outputs, artifacts and metrics are told, too.
        ends_task: whether a success ends the task here, without a worker.
        not_before: when it may fire, as `not_before` gives it.
        cancel_on_kill: whether the run is cancelled when a user ends the task.
    """

    def __init__(
        self,
        flowrunner_conn_id: str,
        ref: str,
        *,
        submitted_at: str | None = None,
        details: Collection[str] = (),
        ends_task: bool = False,
        not_before: str | None = None,
        cancel_on_kill: bool = True,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # Airflow annotates no constructor of triggers
        self.flowrunner_conn_id = flowrunner_conn_id
        self.ref = ref
        self.submitted_at = submitted_at
        self.details = tuple(details)
        self.ends_task = ends_task
        self.not_before = not_before
        self.cancel_on_kill = cancel_on_kill

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """What it is made of again, in any triggerer; there is no secret in it."""
        return "flowrunner_airflow.trigger.FollowTrigger", {
            "flowrunner_conn_id": self.flowrunner_conn_id,
            "ref": self.ref,
            "submitted_at": self.submitted_at,
            "details": list(self.details),
            "ends_task": self.ends_task,
            "not_before": self.not_before,
            "cancel_on_kill": self.cancel_on_kill,
        }

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Follow the run and fire once."""
        event = await self._event()
        if self.not_before is not None:
            await sleep((datetime.fromisoformat(self.not_before) - datetime.now(UTC)).total_seconds())
        yield event

    async def _event(self) -> TriggerEvent:
        try:
            async with self._attached() as run:
                result = await afollow(run, self.log, details=bool(self.details))
        except (FlowrunnerError, AirflowException) as error:
            self.log.warning("Run %s cannot be followed: %s", self.ref, error)
            return _fired(events.broken(error))
        self.log.info("Run %s: %s", self.ref, sentence(result.status))
        if self.ends_task and result.status.state is RunState.SUCCEEDED:
            return TaskSuccessEvent(xcoms={"return_value": self.ref, **events.told(result, self.details)})
        return _fired(events.ended(result, self.details))

    async def on_kill(self) -> None:
        """Cancel the run: a user has marked the task, or cleared it."""
        if not self.cancel_on_kill:
            return
        try:
            async with self._attached() as run:
                self.log.info("Run %s is cancelled: %s", self.ref, await run.cancel())
        except (FlowrunnerError, AirflowException, AirflowRuntimeError) as error:
            self.log.warning("Run %s could not be cancelled: %s", self.ref, error)

    @asynccontextmanager
    async def _attached(self) -> AsyncIterator[AsyncRun]:
        server = await look_up(self.flowrunner_conn_id)
        submitted_at = None if self.submitted_at is None else datetime.fromisoformat(self.submitted_at)
        async with flowrunner.share_async(**server.settings) as client:
            yield client.attach(self.ref, submitted_at=submitted_at)


def not_before() -> str:
    """When a trigger that is made now may fire, in ISO 8601.

    Airflow takes a task for one that was killed if it is to go on while the process that has deferred it is still
    there, and that goes at its next heartbeat.
    """
    seconds = conf.getint("workers", "min_heartbeat_interval", fallback=5) + MARGIN
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()


def _fired(payload: dict[str, Any]) -> TriggerEvent:
    return TriggerEvent(payload)  # type: ignore[no-untyped-call]  # Airflow annotates no constructor of events
