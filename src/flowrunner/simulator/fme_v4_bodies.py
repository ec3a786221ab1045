"""What FME Flow V4 writes: pure functions from the state of the world to JSON."""

from __future__ import annotations

from itertools import takewhile
from typing import TYPE_CHECKING, Any

from flowrunner.simulator.engine import EndedBy, JobState
from flowrunner.simulator.fme_workspaces import Kind
from flowrunner.simulator.fme_world import USER, USER_ID

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from flowrunner.simulator.engine import Job
    from flowrunner.simulator.fme_workspaces import Parameter, Workspace
    from flowrunner.simulator.quirks import Quirks

WORDS = {
    JobState.QUEUED: "queued",
    JobState.RUNNING: "running",
    JobState.SUCCEEDED: "success",
    JobState.FAILED: "failure",
    JobState.CANCELLED: "cancelled",
}

_END_MESSAGES = {
    JobState.SUCCEEDED: "Translation Successful",
    JobState.FAILED: "Terminator: Termination Message: 'Translation Terminated'",
    JobState.CANCELLED: "Job cancelled. ",
}

# Assumed: the server's own words for its limits are not known.
_LIMIT_MESSAGES = {
    EndedBy.QUEUE_LIMIT: "Job cancelled: it was in the queue for longer than maxTimeInQueue.",
    EndedBy.RUN_LIMIT: "Job cancelled: it ran for longer than maxJobRuntime.",
    EndedBy.LIFE_LIMIT: "Job cancelled: it took longer than maxTotalLifeTime.",
}

_ABSENT_TIME = {"null": None, "zero": "0001-01-01T00:00:00Z", "empty": ""}
_ABSENT_NAME = {"null": None, "zero": "", "empty": ""}

# The first build of each release, as far as builds are known.
_RELEASES = (
    (22337, 2022, 0),
    (22765, 2022, 2),
    (23166, 2023, 0),
    (23619, 2023, 1),
    (24733, 2024, 2),
    (25049, 2025, 0),
    (25208, 2025, 1),
    (26018, 2026, 0),
    (26333, 2026, 2),
)

_TYPES = {
    Kind.TEXT: ("text", "string"),
    Kind.PASSWORD: ("password", "string"),
    Kind.NUMBER: ("number", "float"),
    Kind.INTEGER: ("number", "integer"),
    Kind.CHOICE: ("dropdown", "string"),
    Kind.CHOICES: ("listbox", "string"),
    Kind.COORDINATE_SYSTEM: ("text", "string"),
}


def word(state: JobState, quirks: Quirks) -> str:
    """Return the status word of a state."""
    own = WORDS[state]
    shown = quirks.words.get(own, own)
    return shown.upper() if quirks.status_case == "upper" else shown


def moment(when: datetime) -> str:
    """Write a time as the job records do: second precision, Z."""
    return when.strftime("%Y-%m-%dT%H:%M:%SZ")


def end_message(job: Job) -> str:
    """Say how a job that has ended did so."""
    return job.behaviour.message or _LIMIT_MESSAGES.get(job.ended_by or EndedBy.WORK, _END_MESSAGES[job.state])


def job_record(
    job: Job, workspace: Workspace, quirks: Quirks, download_url: str | None, now: datetime
) -> dict[str, Any]:
    """Describe a job in any state (`GET /jobs/{id}`)."""
    record = {
        "id": job.id,
        "description": "",
        "repository": workspace.repository,
        "workspace": workspace.name,
        "queue": job.queue or "Default",
        "queueType": "Standard",
        "status": _record_word(job, quirks),
        "timeQueued": moment(job.queued_at),
        "runtimeUsername": USER,
        "runtimeUserID": USER_ID,
        "warningCount": job.behaviour.warnings if job.state.is_final else 0,
        "errorCount": job.behaviour.errors if job.state.is_final else 0,
        **_effort(job, now),
    }
    if quirks.record_message == "shown" and job.state.is_final:
        record["statusMessage"] = end_message(job)
    return record | _unless_absent(_late_fields(job, download_url), quirks)


def _record_word(job: Job, quirks: Quirks) -> str:
    if job.state.is_final and quirks.final_word == "complete":
        return "COMPLETE" if quirks.status_case == "upper" else "complete"
    return word(job.state, quirks)


def _effort(job: Job, now: datetime) -> dict[str, Any]:
    """Tell what a job cost so far; times in milliseconds."""
    seconds = ((job.finished_at or now) - job.started_at).total_seconds() if job.started_at else 0.0
    return {
        "elapsedTime": int(seconds * 1000),
        "cpuTime": int(seconds * 900),
        "cpuPercent": 90.0 if seconds else 0.0,
        "peakMemoryUsage": 68437168 if seconds else 0,
        "lineCount": 250 if seconds else 0,
    }


def _late_fields(job: Job, download_url: str | None) -> dict[str, str | None]:
    """Return what a record shows only from some point on; None until then."""
    return {
        "engineHost": "localhost" if job.engine else None,
        "engineName": f"localhost_Engine{job.engine}" if job.engine else None,
        "resultDatasetDownloadUrl": download_url,
        "timeStarted": moment(job.started_at) if job.started_at else None,
        "timeFinished": moment(job.finished_at) if job.finished_at else None,
    }


def _unless_absent(fields: dict[str, str | None], quirks: Quirks) -> dict[str, str | None]:
    known: dict[str, str | None] = {key: value for key, value in fields.items() if value is not None}
    if quirks.absent_times == "missing":
        return known
    time, name = _ABSENT_TIME[quirks.absent_times], _ABSENT_NAME[quirks.absent_times]
    return {key: time if key.startswith("time") else name for key in fields} | known


def job_result(job: Job, quirks: Quirks) -> dict[str, Any]:
    """Describe the end of a job, shorter than its record (`/jobs/{id}/result`, `/jobs/sync`)."""
    fields = {"timeStarted": job.started_at, "timeFinished": job.finished_at}
    times = {key: moment(when) if when else None for key, when in fields.items()}
    return {
        "id": job.id,
        "featureOutputCount": job.behaviour.features if job.state is JobState.SUCCEEDED else 0,
        "requesterHost": "127.0.0.1",
        "requesterResultPort": -1,
        "status": word(job.state, quirks),
        "statusMessage": end_message(job),
        "timeQueued": moment(job.queued_at),
        **_unless_absent(times, quirks),
    }


def page(items: Sequence[Any], limit: int, offset: int) -> dict[str, Any]:
    """Cut a page from a list."""
    return {"items": items[offset : offset + limit], "totalCount": len(items), "limit": limit, "offset": offset}


def parameter(published: Parameter) -> dict[str, Any]:
    """Describe a published parameter."""
    kind, value_type = _TYPES[published.kind]
    described: dict[str, Any] = {
        "name": published.name,
        "type": kind,
        "prompt": published.label,
        "required": published.required,
        "valueType": value_type,
        "defaultValue": published.default,
        "minimum": published.minimum,
        "maximum": published.maximum,
    }
    if published.choices:
        choices = [{"display": choice.caption, "value": choice.value} for choice in published.choices]
        described["choiceSettings"] = {"choices": choices}
    return {key: value for key, value in described.items() if value is not None}


def parameters(workspace: Workspace, quirks: Quirks) -> Any:
    """Describe what a workspace takes."""
    described = [parameter(published) for published in workspace.parameters]
    return described if quirks.parameters_shape == "array" else {quirks.parameters_shape: described}


def workspace_summary(workspace: Workspace, runs: int) -> dict[str, Any]:
    """Describe a workspace in a list."""
    return {
        "name": workspace.name,
        "title": workspace.title,
        "description": "",
        "type": "workspace",
        "repositoryName": workspace.repository,
        "lastSaveDate": "2022-12-07T18:50:52.635Z",
        "lastPublishDate": "2022-12-07T18:50:53.112Z",
        "lastPublishUserId": USER_ID,
        "lastPublishUser": USER,
        "totalFileSize": 24576,
        "fileCount": 1,
        "totalRuns": runs,
        "averageElapsedTime": int(workspace.behaviour.duration * 1000),
        "favorite": False,
    }


def workspace_detail(workspace: Workspace, runs: int) -> dict[str, Any]:
    """Describe a workspace alone."""
    return {
        "name": workspace.name,
        "title": workspace.title,
        "type": "workspace",
        "description": "",
        "userName": USER,
        "fileSize": 24576,
        "totalRuns": runs,
        "resources": [{"name": workspace.name, "size": 24576}],
        "services": {
            "dataDownload": {"registered": workspace.downloads},
            "dataStreaming": {"registered": False},
            "jobSubmitter": {"registered": True},
            "kmlNetworkLink": {"registered": False},
        },
        "parameters": [parameter(published) for published in workspace.parameters],
    }


def repository(name: str, workspace_count: int) -> dict[str, Any]:
    """Describe a repository."""
    return {
        "name": name,
        "description": "",
        "ownerID": USER_ID,
        "owner": USER,
        "sharable": True,
        "totalFileSize": 24576 * workspace_count,
        "fileCount": workspace_count,
        "workspaceCount": workspace_count,
        "customTransformerCount": 0,
        "customFormatCount": 0,
        "templateCount": 0,
    }


def version(build: int) -> dict[str, Any]:
    """Describe the server (`/fmeinfo/version`)."""
    *_, (_, year, major) = (_RELEASES[0], *takewhile(lambda release: release[0] <= build, _RELEASES))
    return {
        "buildNumber": build,
        "buildString": f"FME Flow {year}.{major} - Build {build} - linux-x64",
        "releaseYear": year,
        "majorVersion": major,
        "minorVersion": 0,
        "hotfixVersion": 0,
    }


def health(*, well: bool) -> dict[str, str]:
    """Describe the health of the server; the words of a sick one are assumed."""
    if well:
        return {"status": "ok", "message": "FME Flow is healthy."}
    return {"status": "error", "message": "An FME Flow component is unavailable."}
