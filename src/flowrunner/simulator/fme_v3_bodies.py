"""What FME Flow V3 writes: pure functions from the state of the world to JSON."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from flowrunner.simulator.engine import JobState
from flowrunner.simulator.fme_absent import fill_absent
from flowrunner.simulator.fme_builds import build_text, product_of
from flowrunner.simulator.fme_jobs import effort, end_message, engine_host, engine_name, features, notes_of
from flowrunner.simulator.fme_log import line_count
from flowrunner.simulator.fme_v3_parameters import describe_parameter
from flowrunner.simulator.fme_world import USER

if TYPE_CHECKING:
    from flowrunner.simulator.engine import Job
    from flowrunner.simulator.fme_workspaces import Workspace
    from flowrunner.simulator.quirks import Quirks

_WORDS = {
    JobState.QUEUED: "QUEUED",
    JobState.RUNNING: "PULLED",
    JobState.SUCCEEDED: "SUCCESS",
    JobState.FAILED: "FME_FAILURE",
    JobState.CANCELLED: "ABORTED",
}

# The zone of a server that writes times of its place.
_SOMEWHERE = timezone(timedelta(hours=-7))
_TIME_FORMATS = {"Z": "%Y-%m-%dT%H:%M:%SZ", "bare": "%Y-%m-%dT%H:%M:%S"}

_PUBLISHED = datetime(2022, 12, 7, 18, 50, 52, tzinfo=UTC)
_SERVICES = {"fmejobsubmitter": "Job Submitter", "fmedatadownload": "Data Download"}


def word(job: Job, quirks: Quirks) -> str:
    """Return the status word of a job."""
    dequeued = job.state is JobState.CANCELLED and job.started_at is None and quirks.v3_dequeued == "DELETED"
    own = "DELETED" if dequeued else _WORDS[job.state]
    return quirks.v3_words.get(own, own)


def moment(when: datetime, quirks: Quirks) -> str:
    """Write a time, without fractions of a second."""
    if quirks.v3_times == "offset":
        return when.astimezone(_SOMEWHERE).isoformat(timespec="seconds")
    return when.strftime(_TIME_FORMATS[quirks.v3_times])


def _moments(times: dict[str, datetime | None], quirks: Quirks) -> dict[str, str | None]:
    return {key: None if when is None else moment(when, quirks) for key, when in times.items()}


def job_record(
    job: Job, workspace: Workspace, quirks: Quirks, download_url: str | None, now: datetime
) -> dict[str, Any]:
    """Describe a job in any state."""
    return steady_record(job, workspace, quirks, download_url) | moving_fields(job, quirks, now)


def steady_record(job: Job, workspace: Workspace, quirks: Quirks, download_url: str | None) -> dict[str, Any]:
    """Describe a job but for what changes while it runs."""
    result = job_result(job, quirks, download_url) if job.state.is_final else None
    return {
        "id": job.id,
        "status": word(job, quirks),
        "request": job_request(job, workspace),
        "workspace": workspace.name,
        "repository": workspace.repository,
        "userName": USER,
        "description": notes_of(job).description,
        **fill_absent(_late_fields(job, quirks), quirks.absent_times),
        **_late_result(result, quirks),
    }


def _late_fields(job: Job, quirks: Quirks) -> dict[str, str | None]:
    """Return what a record shows only from some point on; None until then."""
    times = {
        "timeSubmitted": job.submitted_at,
        "timeQueued": job.queued_at,
        "timeStarted": job.started_at,
        "timeFinished": job.finished_at,
        "timeDelivered": job.finished_at,
    }
    return {"engineName": engine_name(job), "engineHost": engine_host(job), **_moments(times, quirks)}


def _late_result(result: dict[str, Any] | None, quirks: Quirks) -> dict[str, Any]:
    """Show the result of a job that ended; of another what stands for it: nothing, null or an empty object of Go's."""
    if result is not None:
        return {"result": result}
    if quirks.absent_times == "missing":
        return {}
    unset = {"id": 0, "status": "", "statusMessage": "", "timeFinished": "0001-01-01T00:00:00Z"}
    return {"result": unset if quirks.absent_times == "zero" else None}


def moving_fields(job: Job, quirks: Quirks, now: datetime) -> dict[str, Any]:
    """Describe what changes of a job while it runs."""
    if quirks.v3_counts != "shown":
        return {}
    cost, final = effort(job, now), job.state.is_final
    return {
        "elapsedTime": cost.elapsed,
        "cpuTime": cost.cpu,
        "cpuPct": cost.cpu_percent,
        "peakMemUsage": cost.peak_memory,
        "numLines": line_count(job),
        "numWarnings": job.behaviour.warnings if final else 0,
        "numErrors": job.behaviour.errors if final else 0,
    }


def job_result(job: Job, quirks: Quirks, download_url: str | None) -> dict[str, Any]:
    """Describe the end of a job (`/result`, `transact`, and inside its record)."""
    own = word(job, quirks)
    late = _moments({"timeStarted": job.started_at, "timeFinished": job.finished_at}, quirks)
    result = {
        "id": job.id,
        "status": quirks.v3_result_words.get(own, own),
        "statusMessage": end_message(job),
        "priority": _priority(job),
        "numFeaturesOutput": features(job),
        "requesterHost": "127.0.0.1",
        "requesterResultPort": -1,
        "timeRequested": moment(job.submitted_at, quirks),
        **fill_absent(late, quirks.absent_times),
    }
    return result | ({"resultDatasetDownloadUrl": download_url} if download_url else {})


def _priority(job: Job) -> int:
    """Return the priority of a job: -1 if none was asked for, 100 for one out of range."""
    asked = notes_of(job).priority
    return -1 if asked is None else asked if 1 <= asked <= 200 else 100


def job_request(job: Job, workspace: Workspace) -> dict[str, Any]:
    """Repeat what a job was asked for: values as texts under `raw`, the path of the workspace in quotes (observed)."""
    notes, limits = notes_of(job), job.limits
    folder = workspace.name.removesuffix(".fmw")
    return {
        "publishedParameters": [{"name": name, "raw": raw(value)} for name, value in job.parameters.items()],
        "workspacePath": f'"{workspace.repository}/{folder}/{workspace.name}"',
        "TMDirectives": {
            "rtc": notes.rtc,
            "ttc": -1 if limits.run is None else limits.run,
            "ttl": -1 if limits.queue is None else limits.queue,
            "description": notes.description,
            "tag": job.queue or "Default",
            "priority": _priority(job),
        },
        "NMDirectives": {
            "directives": [{"name": name, "value": value} for name, value in notes.directives.items()],
            "successTopics": list(notes.success_topics),
            "failureTopics": list(notes.failure_topics),
        },
    }


def raw(value: Any) -> str:
    """Write a value as a text: a list with spaces between its items, an object as JSON."""
    if isinstance(value, list):
        return " ".join(raw(item) for item in value)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def info(build: int, now: datetime) -> dict[str, Any]:
    """Describe the server; its time is not ISO 8601 (observed)."""
    product = product_of(build)
    return {
        "currentTime": now.strftime("%a-%d-%b-%Y %I:%M:%S %p"),
        "licenseManagement": True,
        "build": build_text(build, product),
        "timeZone": "+0000",
        "version": product,
    }


def repository(name: str) -> dict[str, Any]:
    """Describe a repository."""
    return {"name": name, "description": "", "owner": USER, "sharable": True}


def item(workspace: Workspace, runs: int, quirks: Quirks) -> dict[str, Any]:
    """Describe a workspace in a list."""
    published = moment(_PUBLISHED, quirks)
    return {
        "name": workspace.name,
        "title": workspace.title,
        "description": "",
        "type": "WORKSPACE",
        "repositoryName": workspace.repository,
        "userName": USER,
        "lastSaveDate": published,
        "lastPublishDate": published,
        "fileCount": 1,
        "totalFileSize": 24576,
        "totalRuns": runs,
        "avgCpuPct": 90.0,
        "avgCpuTime": int(workspace.behaviour.duration * 900),
        "avgElapsedTime": int(workspace.behaviour.duration * 1000),
        "avgPeakMemUsage": 68437168,
    }


def item_detail(workspace: Workspace, runs: int, quirks: Quirks) -> dict[str, Any]:
    """Describe a workspace alone."""
    services = ["fmejobsubmitter", *(["fmedatadownload"] if workspace.downloads else [])]
    return item(workspace, runs, quirks) | {
        "enabled": True,
        "fileSize": 24576,
        "services": [{"name": name, "displayName": _SERVICES[name]} for name in services],
        "resources": [{"name": workspace.name, "size": 24576, "description": ""}],
        "datasets": {"source": [], "destination": []},
        "properties": [],
        "parameters": [describe_parameter(parameter, quirks) for parameter in workspace.parameters],
    }
