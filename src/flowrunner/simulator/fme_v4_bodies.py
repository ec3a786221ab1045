"""What FME Flow V4 writes: pure functions from the state of the world to JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flowrunner.simulator.engine import JobState
from flowrunner.simulator.fme_absent import fill_absent
from flowrunner.simulator.fme_builds import build_text, release
from flowrunner.simulator.fme_jobs import effort, end_message, engine_host, engine_name, features, notes_of
from flowrunner.simulator.fme_v4_parameters import describe_parameters
from flowrunner.simulator.fme_world import USER, USER_ID

if TYPE_CHECKING:
    from datetime import datetime

    from flowrunner.simulator.engine import Job
    from flowrunner.simulator.fme_workspaces import Workspace
    from flowrunner.simulator.quirks import Quirks

WORDS = {
    JobState.QUEUED: "queued",
    JobState.RUNNING: "running",
    JobState.SUCCEEDED: "success",
    JobState.FAILED: "failure",
    JobState.CANCELLED: "cancelled",
}


def word(state: JobState, quirks: Quirks) -> str:
    """Return the status word of a state."""
    own = WORDS[state]
    shown = quirks.words.get(own, own)
    return shown.upper() if quirks.status_case == "upper" else shown


def moment(when: datetime) -> str:
    """Write a time as the job records do: second precision, Z."""
    return when.strftime("%Y-%m-%dT%H:%M:%SZ")


def job_record(
    job: Job, workspace: Workspace, quirks: Quirks, download_url: str | None, now: datetime
) -> dict[str, Any]:
    """Describe a job in any state (`GET /jobs/{id}`)."""
    return steady_record(job, workspace, quirks, download_url) | moving_fields(job, quirks, now)


def steady_record(job: Job, workspace: Workspace, quirks: Quirks, download_url: str | None) -> dict[str, Any]:
    """Describe a job but for what changes while it runs."""
    record = {
        "id": job.id,
        "description": notes_of(job).description,
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
    }
    if quirks.record_message == "shown" and job.state.is_final:
        record["statusMessage"] = end_message(job)
    return record | fill_absent(_late_fields(job, download_url), quirks.absent_times)


def _record_word(job: Job, quirks: Quirks) -> str:
    if job.state.is_final and quirks.final_word == "complete":
        return "COMPLETE" if quirks.status_case == "upper" else "complete"
    return word(job.state, quirks)


def moving_fields(job: Job, _: Quirks, now: datetime) -> dict[str, Any]:
    """Describe what changes of a job while it runs."""
    cost = effort(job, now)
    return {
        "elapsedTime": cost.elapsed,
        "cpuTime": cost.cpu,
        "cpuPercent": cost.cpu_percent,
        "peakMemoryUsage": cost.peak_memory,
        "lineCount": 250 if cost.elapsed else 0,
    }


def _late_fields(job: Job, download_url: str | None) -> dict[str, str | None]:
    """Return what a record shows only from some point on; None until then."""
    return {
        "engineHost": engine_host(job),
        "engineName": engine_name(job),
        "resultDatasetDownloadUrl": download_url,
        "timeStarted": moment(job.started_at) if job.started_at else None,
        "timeFinished": moment(job.finished_at) if job.finished_at else None,
    }


def job_result(job: Job, quirks: Quirks) -> dict[str, Any]:
    """Describe the end of a job, shorter than its record (`/jobs/{id}/result`, `/jobs/sync`)."""
    fields = {"timeStarted": job.started_at, "timeFinished": job.finished_at}
    times = {key: moment(when) if when else None for key, when in fields.items()}
    return {
        "id": job.id,
        "featureOutputCount": features(job),
        "requesterHost": "127.0.0.1",
        "requesterResultPort": -1,
        "status": word(job.state, quirks),
        "statusMessage": end_message(job),
        "timeQueued": moment(job.queued_at),
        **fill_absent(times, quirks.absent_times),
    }


def parameters(workspace: Workspace, quirks: Quirks) -> Any:
    """Describe what a workspace takes."""
    described = describe_parameters(workspace.parameters)
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
        "parameters": describe_parameters(workspace.parameters),
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
    year, major = release(build)
    return {
        "buildNumber": build,
        "buildString": build_text(build),
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
