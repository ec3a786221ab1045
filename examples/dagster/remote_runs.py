"""Runs of a workflow server in Dagster's jobs. Copy this module into your project, and change what you like."""

import json
import logging
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import Any

import dagster as dg
from attrs import evolve
from pydantic import Field

import flowrunner
from flowrunner import AsyncClient, AsyncRun, Cause, FlowrunnerError, RunRef, RunState, RunStatus, submission_key

RETRY = dg.RetryPolicy(max_retries=5, delay=30, backoff=dg.Backoff.EXPONENTIAL, jitter=dg.Jitter.PLUS_MINUS)
ENDS = [RunState.SUCCEEDED, RunState.FAILED, RunState.CANCELLED]
LISTED = 200
"""How many of the runs that ended last the sensor looks at."""


class WorkflowServer(dg.ConfigurableResource[Any]):
    """Where runs are started; `secrets={"token": EnvVar("FME_TOKEN")}` keeps the token out of Dagster's storage."""

    name: str = Field(description="what references call it")
    backend: str = Field(description="fme-flow, invision, smart-flows or another backend of flowrunner")
    base_url: str = Field(description="its address")
    settings: dict[str, Any] = Field(default={}, description="more settings of the connection, but no secret")
    secrets: dict[str, str] = Field(default={}, repr=False, description="token or api_key, as the backend calls it")
    journal: str = Field(default="", description="a file on a local disk; in the user's state folder if empty")

    def shared(self) -> AbstractContextManager[flowrunner.SharedClient]:
        """The one client that this process has for the server."""
        here = {"connections": {self.name: {"backend": self.backend, "base_url": self.base_url, **self.settings}}}
        secrets: dict[str, Any] = {**self.secrets}
        return flowrunner.share(self.name, config=here, journal=self.journal or True, **secrets)


@dataclass(frozen=True)
class Work:
    """What to run. Dagster keeps it, so its parameters are no place for a secret."""

    flow: str
    parameters: dict[str, Any] = field(default_factory=dict)


@dg.op(retry_policy=RETRY)
def submit(context: dg.OpExecutionContext, server: WorkflowServer, work: Work) -> str:
    """Start a run, once, however often this is retried, killed or resumed; its reference.

    Another run of the job starts another one, and so does one that repeats this step from the beginning.
    """
    origin = lineage(context.instance, context.run)[-1]
    key = submission_key(origin.run_id, str(context.op_handle), context.get_mapping_key())
    with judged(context), server.shared() as shared:
        ref = shared.call(_submit, work, key)
    context.log_event(begun(ref))
    return ref


async def _submit(client: AsyncClient, work: Work, key: str) -> str:
    run = await client.submit(work.flow, work.parameters, key=key)
    return str(run.ref)


@dg.op(retry_policy=RETRY)
def follow(context: dg.OpExecutionContext, server: WorkflowServer, work: Work, ref: str) -> dict[str, Any]:
    """Follow a run to its end; what it made, as JSON.

    A retry takes the run up where it stands. If it was the server that failed, a retry has the work run once more.
    """
    with judged(context), server.shared() as shared:
        if context.retry_number:
            ref = shared.call(_current, work, ref)
            context.log_event(begun(ref))
        return shared.call(_follow, ref, context.log)


async def _current(client: AsyncClient, work: Work, ref: str) -> str:
    """The run, or the last of those that were started in its place."""
    run = client.attach(ref)
    status = await run.refresh()
    while server_failed(status):
        run = await client.submit(work.flow, work.parameters, key=submission_key("instead of", str(run.ref)))
        status = run.status
    return str(run.ref)


async def _follow(client: AsyncClient, ref: str, log: logging.Logger) -> dict[str, Any]:
    run, told = client.attach(ref), None
    async for status in run.watch():
        if (stands := (status.state, status.reason)) != told:
            level = logging.WARNING if status.state is RunState.WAITING else logging.INFO
            log.log(level, "Run %s of %s is %s", run.id, run.flow, " for ".join(filter(None, stands)))
        told = stands
    result = await run.wait()
    return evolve(result, status=result.status.without_raw(), raw={}).to_dict()


def server_failed(status: RunStatus) -> bool:
    """Whether a run did not get to its end through no fault of its flow, so that another one may."""
    return status.state is RunState.LOST or status.cause in {Cause.PLATFORM, Cause.INTERRUPTED}


@contextmanager
def judged(context: dg.OpExecutionContext) -> Iterator[None]:
    """Have Dagster retry what a retry may help, and nothing else."""
    try:
        yield
    except FlowrunnerError as error:
        status = getattr(error, "status", None)
        if error.transient or (status is not None and server_failed(status)):
            raise
        raise dg.Failure(str(error), allow_retries=False) from error
    except dg.DagsterExecutionInterruptedError:
        run = context.instance.get_run_by_id(context.run_id)
        if run is not None and run.status is dg.DagsterRunStatus.CANCELING:
            raise dg.Failure("terminated", allow_retries=False) from None  # else the policy has it tried again
        raise


def lineage(instance: dg.DagsterInstance, run: dg.DagsterRun) -> list[dg.DagsterRun]:
    """A run of a job, and those that it resumes: each but the last goes on where the next one has failed."""
    runs = [run]
    while runs[-1].is_resume_retry and (parent := instance.get_run_by_id(runs[-1].parent_run_id or "")):
        runs.append(parent)
    return runs


def begun(ref: str) -> dg.AssetObservation:
    """That a run was started, for Dagster's log: who cancels it finds it there."""
    return dg.AssetObservation(asset_key(RunRef.parse(ref)), metadata={"ref": ref})


def asset_key(ref: RunRef) -> dg.AssetKey:
    """What a flow makes, as an asset: the server, and the parts of the flow's name."""
    return dg.AssetKey([ref.connection, *ref.flow.split("/")])


@dg.run_status_sensor(run_status=dg.DagsterRunStatus.CANCELED)
def cancel_remote_runs(context: dg.RunStatusSensorContext, server: WorkflowServer) -> None:
    """Cancel what a job's run has started on the server, when that was terminated."""
    refs = {ref for run in lineage(context.instance, context.dagster_run) for ref in refs_of(context.instance, run)}
    with server.shared() as shared:
        for ref in sorted(refs):
            if RunRef.parse(ref).connection == server.name:
                context.log.info("Cancelling %s: %s", ref, shared.call(_cancel, ref))


def refs_of(instance: dg.DagsterInstance, run: dg.DagsterRun) -> list[str]:
    """The references of what a job's run has started."""
    entries = instance.all_logs(run.run_id, of_type=dg.DagsterEventType.ASSET_OBSERVATION)
    found = [entry.asset_observation.metadata.get("ref") for entry in entries if entry.asset_observation]
    return [ref.text for ref in found if isinstance(ref, dg.TextMetadataValue) and ref.text]


async def _cancel(client: AsyncClient, ref: str) -> str:
    return await client.attach(ref).cancel()


@dg.sensor(minimum_interval_seconds=30)
def remote_runs(context: dg.SensorEvaluationContext, server: WorkflowServer) -> dg.SensorResult:
    """Tell Dagster how the server's runs end, whoever started them; one look at the server's list a tick.

    What a flow that succeeded has made is materialized; other ends are observed. What had ended before the first tick
    is passed over.
    """
    with server.shared() as shared:
        runs = shared.call(_ended)
    known = json.loads(context.cursor) if context.cursor else list(runs)
    events = [ended(run) for ref, run in reversed(runs.items()) if ref not in known]
    return dg.SensorResult(asset_events=events, cursor=json.dumps(list(runs)))


async def _ended(client: AsyncClient) -> dict[str, AsyncRun]:
    return {str(run.ref): run async for run in client.runs(state=ENDS, limit=LISTED)}


def ended(run: AsyncRun) -> dg.AssetMaterialization | dg.AssetObservation:
    """How a run ended, for the asset that its flow makes."""
    event = dg.AssetMaterialization if run.status.state is RunState.SUCCEEDED else dg.AssetObservation
    metadata = {"ref": str(run.ref), "state": str(run.status.state), "message": run.status.message or ""}
    return event(asset_key(run.ref), metadata=metadata)
