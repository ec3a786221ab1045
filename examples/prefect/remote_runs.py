"""Runs of a workflow server as Prefect tasks. Copy this module into your project, and change what you like."""

from __future__ import annotations

import asyncio
import itertools
import logging
from typing import TYPE_CHECKING, Any

from attrs import evolve
from prefect import get_client, get_run_logger, task
from prefect.blocks.core import Block
from prefect.cache_policies import INPUTS, RUN_ID
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId, TaskRunFilter, TaskRunFilterTags
from prefect.runtime import flow_run as this_flow_run
from pydantic import Field, SecretStr

import flowrunner
from flowrunner import AsyncClient, Cause, FlowrunnerError, RunFailed, RunLost, RunRef, RunState, RunStatus

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from contextlib import AbstractContextManager

    from prefect import Flow, Task
    from prefect.client.schemas.objects import FlowRun, State, TaskRun

SUBMITS = "submits-a-remote-run"
"""The tag of the tasks whose result is the reference of a run."""


class WorkflowServer(Block):
    """Where runs are started. Tasks take the name of its block, so no credential is among their parameters."""

    _block_type_name = "Workflow server"

    backend: str = Field(description="fme-flow, invision, smart-flows or another backend of flowrunner")
    base_url: str = Field(description="its address")
    settings: dict[str, Any] = Field(default={}, description="more settings of the connection, but no secret")
    secrets: dict[str, SecretStr] = Field(default={}, description="token or api_key, as the backend calls it")
    journal: str = Field(default="", description="a file on a local disk; in the user's state folder if empty")

    @classmethod
    async def shared(cls, name: str) -> AbstractContextManager[flowrunner.SharedClient]:
        """The one client that all tasks of this process share for a block."""
        block: WorkflowServer = await cls.aload(name)
        here = {"connections": {name: {"backend": block.backend, "base_url": block.base_url, **block.settings}}}
        secrets: dict[str, Any] = {key: secret.get_secret_value() for key, secret in block.secrets.items()}
        return flowrunner.share(name, config=here, journal=block.journal or True, **secrets)


async def may_be_retried(_task: Task[..., Any], _run: TaskRun, state: State[Any]) -> bool:
    """Whether the same task may still succeed: contact was lost, say. A run that has ended stays as it is."""
    error = await state.aresult(raise_on_failure=False)
    return error.transient if isinstance(error, FlowrunnerError) else True


@task(
    persist_result=True,
    cache_policy=INPUTS + RUN_ID,
    tags=[SUBMITS],
    retries=3,
    retry_delay_seconds=[10, 60, 300],
    retry_condition_fn=may_be_retried,
)
async def submit(
    server: str, flow: str, parameters: dict[str, Any] | None = None, work: str = "", attempt: int = 1
) -> str:
    """Start a run: once in a flow run for the same arguments, however often this is called, retried or killed.

    Args:
        server: the name of a block.
        flow: what to run, in the vendor's spelling.
        parameters: values by name; Prefect shows them, so they are no place for a secret.
        work: tells one piece of work from others for the same flow.
        attempt: another one starts another run.

    Returns:
        The run's reference.
    """
    key = flowrunner.submission_key(this_flow_run.id, flow, work, attempt)
    with await WorkflowServer.shared(server) as shared:
        return await shared.acall(_submit, flow, parameters, key)


async def _submit(client: AsyncClient, flow: str, parameters: dict[str, Any] | None, key: str) -> str:
    run = await client.submit(flow, parameters, key=key)
    return str(run.ref)


@task(retries=10, retry_delay_seconds=60, retry_jitter_factor=0.5, retry_condition_fn=may_be_retried)
async def follow(server: str, ref: str) -> dict[str, Any]:
    """Follow a run to its end; what it made, as JSON. A retry takes the same run up where it stands.

    Raises:
        RunFailed: it failed; `RunCancelled` and `RunLost` tell of the other ends.
    """
    with await WorkflowServer.shared(server) as shared:
        return await shared.acall(_follow, ref, get_run_logger())


async def _follow(client: AsyncClient, ref: str, log: logging.Logger) -> dict[str, Any]:
    run, told = client.attach(ref), None
    async for status in run.watch():
        if (stands := (status.state, status.reason)) != told:
            level = logging.WARNING if status.state is RunState.WAITING else logging.INFO
            log.log(level, "Run %s of %s is %s", run.id, run.flow, " for ".join(filter(None, stands)))
        told = stands
    result = await run.wait()
    return evolve(result, status=result.status.without_raw(), raw={}).to_dict()


async def run(
    server: str, flow: str, parameters: dict[str, Any] | None = None, *, work: str = "", attempts: int = 2
) -> dict[str, Any]:
    """`submit` and `follow`, and both again where it was the server that failed; several at once with `asyncio.gather`.

    Raises:
        RunFailed: as `follow`, of the last attempt.
    """
    attempt = 1
    while True:
        ref = await submit(server, flow, parameters, work, attempt)
        try:
            return await follow(server, ref)
        except (RunFailed, RunLost) as error:
            if attempt >= attempts or not server_failed(error.status):
                raise
        attempt += 1


def server_failed(status: RunStatus) -> bool:
    """Whether a run did not get to its end through no fault of its flow, so that another one may."""
    return status.state is RunState.LOST or status.cause in {Cause.PLATFORM, Cause.INTERRUPTED}


async def cancel_remote_runs(flow: Flow[..., Any], flow_run: FlowRun, state: State[Any]) -> None:  # noqa: ARG001 - named by Prefect
    """Cancel what a flow run has submitted: `@flow(on_cancellation=[cancel_remote_runs])`."""
    refs = {ref async for ref in _submitted(flow_run)}
    outcomes = await asyncio.gather(*map(_cancel, refs), return_exceptions=True)
    if errors := [outcome for outcome in outcomes if isinstance(outcome, Exception)]:
        raise ExceptionGroup("not all remote runs could be cancelled", errors)


async def _submitted(flow_run: FlowRun, page: int = 200) -> AsyncIterator[str]:
    here = FlowRunFilter(id=FlowRunFilterId(any_=[flow_run.id]))
    submits = TaskRunFilter(tags=TaskRunFilterTags(all_=[SUBMITS]))
    async with get_client() as api:
        for offset in itertools.count(0, page):
            found = await api.read_task_runs(flow_run_filter=here, task_run_filter=submits, limit=page, offset=offset)
            for task_run in found:
                if task_run.state is not None and task_run.state.is_completed():
                    yield await task_run.state.aresult()
            if len(found) < page:
                return


async def _cancel(ref: str) -> None:
    with await WorkflowServer.shared(RunRef.parse(ref).connection) as shared:
        await shared.acall(lambda client: client.attach(ref).cancel())
