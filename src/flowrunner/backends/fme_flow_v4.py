"""FME Flow, REST interface V4 (generally available since 2025.1).

Each operation is a function that builds a request and one that reads its answer. Facts about the wire are marked as the
vendor documents them, as they were observed in working clients, or as assumed: what is assumed is accepted both ways.
"""

from __future__ import annotations

import json
from datetime import datetime  # noqa: TC003 - annotations of wire classes are read at run time
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Final
from urllib.parse import quote, urlencode

from attrs import define, frozen

from flowrunner.answers import json_of, senseless, submit_once
from flowrunner.backend import (
    Accepted,
    Backend,
    CancelAnswer,
    Capability,
    Listed,
    Outcome,
    RunQuery,
    Sighting,
)
from flowrunner.backends._fme import (
    WORDS,
    FmeSettings,
    Items,
    NoJobEndpoint,
    answer_of,
    artifacts_of,
    authorization,
    cancel_answer,
    cancel_once,
    check_extra,
    error_in,
    fetch,
    flow_error_in,
    from_milliseconds,
    glimpse_jobs,
    id_of,
    is_a,
    json_value,
    known_numbers,
    not_found,
    object_in,
    offset_after,
    outputs_of,
    read_page,
    root_of,
    run_error_in,
    split_flow,
    whole_seconds,
)
from flowrunner.backends._fme_files import (
    TEMP,
    file_at,
    multipart,
    remote_file,
    removed,
    upload_error_in,
    with_payload_uploaded,
)
from flowrunner.backends._fme_v4_parameters import parameters_in
from flowrunner.convert import read, read_item, utc
from flowrunner.enums import CancelOutcome, RunState
from flowrunner.errors import (
    AuthenticationError,
    FlowrunnerError,
    InvalidParameters,
    InvalidRequest,
    PermissionDenied,
    TransportError,
    UnsupportedOption,
)
from flowrunner.models import ArtifactSource, FlowInfo, FlowSpec, Health
from flowrunner.pages import Sightings
from flowrunner.plans import Page, Request, path, send
from flowrunner.retries import RequestKind
from flowrunner.states import Observation, fold

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from flowrunner.backend import Submission, Upload
    from flowrunner.models import ArtifactSource, Progress, RemoteFile, RunRef
    from flowrunner.pages import Glimpsed
    from flowrunner.plans import Plan, Response
    from flowrunner.secret import Secret

__all__ = ["FmeFlowV4", "FmeFlowV4Settings"]

API: Final = "/fmeapiv4"
PAGE: Final = 1000
"""Jobs asked for a page; the server's `limit` in the answer tells what it really gave (its maximum is unknown)."""
HOLD_MARGIN: Final = 15.0
"""Seconds a held request may last longer than asked, before we give it up."""
SYNC_MAX: Final = 7 * 24 * 3600.0
"""Seconds to wait for `/jobs/sync` where the caller sets no limit; the vendor's own client waits as long."""

ZIP_MAX: Final = 500
"""Files in one zip, at most (observed)."""

ACTIVE: Final = {RunState.QUEUED: "queued", RunState.RUNNING: "running"}
COMPLETED: Final = {RunState.SUCCEEDED: "success", RunState.FAILED: "failure", RunState.CANCELLED: "cancelled"}
"""The two groups of statuses must not be mixed in one request (observed in the vendor's client)."""


@frozen(kw_only=True)
class FmeFlowV4Settings(FmeSettings):
    """The settings of an FME Flow connection over V4."""


@frozen
class JobId:
    """The answer to a submission."""

    id: int


@frozen
class Job:
    """As much of a job's record, or of its result, as says how the job stands."""

    status: str | None = None
    statusMessage: str | None = None
    repository: str | None = None
    workspace: str | None = None
    timeQueued: datetime | None = None
    timeStarted: datetime | None = None
    timeFinished: datetime | None = None


@define  # not frozen: a page has a thousand, and frozen ones cost five times as much
class Glance:
    """As much of a job in a page as shows whether there is news of it."""

    id: int
    status: str | None = None
    statusMessage: str | None = None


@define
class Glances:
    """A page of jobs."""

    items: list[Glance]
    totalCount: int | None = None
    limit: int | None = None


@frozen
class JobDetails:
    """What a job's record and its result tell beside that."""

    featureOutputCount: int | None = None
    elapsedTime: float | None = None
    cpuTime: float | None = None
    cpuPercent: float | None = None
    peakMemoryUsage: int | None = None
    lineCount: int | None = None
    warningCount: int | None = None
    errorCount: int | None = None
    resultDatasetDownloadUrl: str | None = None


@frozen
class Workspace:
    """A workspace in a list."""

    name: str
    repositoryName: str
    title: str | None = None
    description: str | None = None


@frozen
class FileInfo:
    """A file in a folder."""

    name: str


@frozen
class Folder:
    """The answer of a folder's `info`."""

    contents: list[Any]


@frozen
class Version:
    """The answer of `/fmeinfo/version`."""

    buildString: str | None = None
    buildNumber: int | None = None


@frozen
class Readiness:
    """The answer of a health check."""

    status: str
    message: str | None = None


class FmeFlowV4(Backend):
    """FME Flow over REST V4. A flow is written `Repository/workspace.fmw`."""

    backend_api = 1
    name = "fme-flow-v4"
    family = "fme-flow"
    payload_text_is_path = True
    settings_class = FmeFlowV4Settings
    capabilities = frozenset({
        Capability.ARTIFACTS,
        Capability.BULK,
        Capability.CANCEL,
        Capability.DESCRIBE,
        Capability.HEALTH,
        Capability.LIST_FLOWS,
        Capability.LIST_RUNS,
        Capability.LONG_POLL,
        Capability.PARAMETERS,
        Capability.PAYLOAD,
        Capability.RECONCILE,
        Capability.SERVER_WAIT,
        Capability.UPLOAD,
    })  # fmt: skip
    words = WORDS
    options: ClassVar[Mapping[str, str]] = {
        "payload_parameter": "The parameter that takes a payload, where the flow's description leaves it open.",
        "max_total_life_time": "Seconds in queue and at work after which the job is cancelled; server_wait only.",
    }
    instead: ClassVar[Mapping[str, str]] = {
        "priority": "V4 of FME Flow has no priorities of jobs; use the option queue, whose priority the server knows",
        "rtc": "V4 of FME Flow does not start jobs again; submit again when one has ended, or use a schedule there",
    }

    settings: FmeFlowV4Settings

    @property
    def base_url(self) -> str:
        """The server's root."""
        return root_of(self.settings.base_url)

    def authorize(self) -> Mapping[str, Secret]:
        """The token, as the vendor documents it."""
        return authorization(self.settings.token)

    # Submitting

    def submit(self, submission: Submission) -> Plan[Accepted]:
        """`POST /jobs`: 202 and the id; 200, too, since the vendor's fixture says so. A payload is uploaded first."""
        if "max_total_life_time" in submission.options.extra:
            raise UnsupportedOption(
                "option max_total_life_time needs server_wait=True; use max_run_time and max_queue_time instead",
                option="max_total_life_time",
            )
        return with_payload_uploaded(self, submission, self._submit)

    def _submit(self, submission: Submission) -> Plan[Accepted]:
        request = Request("POST", API + path("jobs"), json=_body(submission), repeatable=False)
        return (yield from submit_once(request, lambda response: _accepted(response, submission.flow)))

    def run(self, submission: Submission, timeout: float | None) -> Plan[Accepted]:
        """`POST /jobs/sync`: one request, answered when the job has ended."""
        return with_payload_uploaded(self, submission, lambda ready: self._run(ready, timeout))

    def _run(self, submission: Submission, timeout: float | None) -> Plan[Accepted]:
        body = _body(submission)
        life_time = whole_seconds(submission.options.extra.get("max_total_life_time"), "max_total_life_time")
        if life_time is not None:
            body["maxTotalLifeTime"] = life_time
        wait = SYNC_MAX if timeout is None else min(timeout, SYNC_MAX)
        request = Request("POST", API + path("jobs", "sync"), json=body, repeatable=False, timeout=wait)
        return (yield from submit_once(request, lambda response: _ran(response, submission.flow)))

    # Observing

    def observe(self, ref: RunRef, hold: float = 0.0) -> Plan[Observation]:
        """`GET /jobs/{id}`, or with `hold` its result by long-poll, which answers when the job has ended."""
        if hold > 0:
            ended = yield from self._await_result(id_of(ref), hold)
            if ended is not None:
                return ended
        record = yield from send(_get_job(id_of(ref)))
        observation = _observation(_read_job(record, ref), record.content)
        if _says_only_that_it_ended(observation):
            return (yield from self._result_word(id_of(ref))) or observation
        return observation

    def _await_result(self, run_id: str, hold: float) -> Plan[Observation | None]:
        """The result if the job ends within `hold` seconds. None: look at the record instead."""
        interval = max(1, round(hold))
        request = Request(
            "GET",
            API + path("jobs", run_id, "result"),
            query=(("longPoll", "true"), ("longPollInterval", str(interval))),
            timeout=interval + HOLD_MARGIN,
        )
        return self._ended_in((yield from send(request)))

    def _result_word(self, run_id: str) -> Plan[Observation | None]:
        response = yield from send(_get_result(run_id))
        return self._ended_in(response)

    def _ended_in(self, response: Response) -> Observation | None:
        """The observation in a result, if the job has ended.

        What answers instead before the end, or when the hold runs out, is not known: 202, 204, or 200 with a live word.
        A server without long-poll may know no such address. The record tells in all these cases.
        """
        if response.status in {401, 403}:
            raise error_in(response)
        if response.status != 200 and not _is_failed_result(response):
            return None
        seen = _observation(read(response, Job), response.content, is_result=True)
        state = self.state_of(seen)
        return seen if state is not None and state.is_final else None

    def result(self, ref: RunRef) -> Plan[Outcome]:
        """The record and the result, merged: each has what the other lacks (observed)."""
        record_answer = yield from send(_get_job(id_of(ref)))
        record_job = _read_job(record_answer, ref)
        result_answer = yield from send(_get_result(id_of(ref)))
        record = object_in(record_answer)
        result = _result_object(result_answer)
        details = read_item({**result, **{k: v for k, v in record.items() if v not in (None, "")}}, JobDetails)
        return Outcome(
            observations=(
                _observation(record_job, record_answer.content),
                *_result_observations(result, result_answer.content),
            ),
            outputs=outputs_of(details.resultDatasetDownloadUrl),
            artifacts=artifacts_of(details.resultDatasetDownloadUrl),
            metrics=_metrics(details),
            raw={"job": record, **({"result": result} if result else {})},
        )

    def download(self, artifact: ArtifactSource, to: Path, progress: Progress | None) -> Plan[None]:
        """Stream the dataset the download address names."""
        return fetch(artifact.location, to, progress)

    # Files

    def upload(self, upload: Upload) -> Plan[RemoteFile]:
        """`POST /resources/connections/{connection}/upload`: a form whose part is named `files` (observed).

        V4 is not known to create folders. Where it refuses one, the file goes to the root under a name of its own.
        """
        response = yield from send(_upload(upload, f"/{upload.folder}", upload.name))
        if response.status in {200, 201}:
            return remote_file(upload.folder, upload.name, upload.content.size())
        if response.status not in {400, 404, 409, 422} or answer_of(response) is None:
            raise upload_error_in(response, upload.name)
        name = f"{upload.folder}-{upload.name}"
        response = yield from send(_upload(upload, "", name))
        if response.status not in {200, 201}:
            raise upload_error_in(response, upload.name)
        return remote_file("", name, upload.content.size())

    def remove(self, file: RemoteFile) -> Plan[None]:
        """`DELETE /resources/connections/{connection}/item?path=`."""
        connection, parts = file_at(file.reference)
        query = (("path", "/" + "/".join(parts)),)
        removed((yield from send(Request("DELETE", _resources(connection, "item"), query=query))))

    def download_file(self, reference: str, to: Path, progress: Progress | None) -> Plan[None]:
        """A folder, written with a `/` at its end, as a zip of what is in it. A file's own address is assumed."""
        connection, parts = file_at(reference)
        place = "/" + "/".join(parts)
        if not reference.endswith("/"):
            address = f"{_resources(connection, 'download')}?{urlencode({'path': place}, quote_via=quote)}"
            return (yield from fetch(address, to, progress))
        listing = yield from send(Request("GET", _resources(connection, "info"), query=(("path", place),)))
        if listing.status != 200:
            raise error_in(listing)
        names = [read_item(item, FileInfo).name for item in read(listing, Folder).contents]
        if not 0 < len(names) <= ZIP_MAX:
            raise InvalidRequest(f"{reference} holds {len(names)} files: a zip takes 1 to {ZIP_MAX} of them")
        response = yield from send(
            Request(
                "POST",
                _resources(connection, "downloadzip"),
                json={"path": place, "items": names, "zipFileName": "resources.zip"},
                headers={"Accept": "application/zip"},
                save_to=to,
                progress=progress,
            )
        )
        if not response.is_success:
            raise error_in(response)
        return None

    # Cancelling

    def cancel(self, ref: RunRef) -> Plan[CancelAnswer]:
        """`POST /jobs/{id}/cancel`: 204, or 422 for a job that has ended and for one that does not exist (observed)."""
        request = Request("POST", API + path("jobs", id_of(ref), "cancel"), repeatable=False, kind=RequestKind.CANCEL)
        response = yield from cancel_once(self, ref, request)
        if isinstance(response, CancelAnswer):
            return response
        if response.status == 422:
            return (yield from self._refused_cancel(ref, response))
        if not response.is_success:
            raise run_error_in(response, ref)
        seen = yield from self._look_quietly(ref)
        if seen is None:
            return CancelAnswer(CancelOutcome.REQUESTED)
        return cancel_answer(seen, self.state_of(seen))

    def _refused_cancel(self, ref: RunRef, response: Response) -> Plan[CancelAnswer]:
        body = answer_of(response)
        if body is None:
            raise error_in(response)
        if "does not exist" in body.message:
            raise not_found(ref, response, body.message)
        seen = yield from self.observe(ref)
        state = self.state_of(seen)
        if state is None or not state.is_final:
            raise error_in(response)
        return CancelAnswer(CancelOutcome.TOO_LATE, seen)

    def _look_quietly(self, ref: RunRef) -> Plan[Observation | None]:
        """The cancellation was accepted; that a look after it fails changes nothing about that."""
        try:
            return (yield from self.observe(ref))
        except FlowrunnerError:
            return None

    # Listing

    def list_runs(self, query: RunQuery, cursor: Any = None) -> Plan[Page[Listed]]:
        """`GET /jobs`: first the active jobs, then the completed ones, newest first."""
        groups = _groups(query)
        if not groups:
            return Page(())
        group, offset = cursor or (0, 0)
        response = yield from send(Request("GET", API + path("jobs"), query=_list_query(groups[group], query, offset)))
        page = read_page(response)
        items = tuple(_listed(item) for item in page.items)
        after = offset_after(page, offset)
        if after is not None and not query.is_past(items):
            return Page(items, (group, after))
        return Page(items, (group + 1, 0) if group + 1 < len(groups) else None)

    def observe_many(self, *, ended: bool, cursor: Any = None) -> Plan[Page[Sighting]]:
        """`GET /jobs`: the active jobs; or the completed ones, by the end, the last first."""
        offset = cursor or 0
        group = list((COMPLETED if ended else ACTIVE).values())
        response = yield from send(Request("GET", API + path("jobs"), query=_list_query(group, RunQuery(), offset)))
        page = glimpse_jobs(response, Glances)
        return Page(
            Sightings(page.seen.items, partial(_sighting, partial(_job_in, page))), offset_after(page.seen, offset)
        )

    def list_flows(self, cursor: Any = None) -> Plan[Page[FlowInfo]]:
        """`GET /workspaces`."""
        offset = cursor or 0
        query = (("limit", str(PAGE)), ("offset", str(offset)))
        response = yield from send(Request("GET", API + path("workspaces"), query=query))
        page = read_page(response)
        return Page(tuple(_flow_info(item) for item in page.items), offset_after(page, offset))

    def describe(self, flow: str) -> Plan[FlowSpec]:
        """`GET /workspaces/{repository}/{workspace}/parameters`."""
        response = yield from send(Request("GET", API + path("workspaces", *split_flow(flow), "parameters")))
        if response.status != 200:
            raise flow_error_in(response, flow)
        try:
            return FlowSpec(flow, tuple(parameters_in(json_of(response))))
        except ValueError as error:
            raise senseless(response, f"a description that cannot be read ({error})") from None

    # Health

    def health(self) -> Plan[Health]:
        """The health check, which wants no credential; then the version and a small list, which do."""
        try:
            ready = yield from send(Request("GET", API + path("healthcheck", "readiness"), anonymous=True))
            healthy, message = _readiness(ready)
            version = yield from send(Request("GET", "/fmeinfo/version"))
            probe = yield from send(Request("GET", API + path("workspaces"), query=(("limit", "1"), ("offset", "0"))))
        except TransportError as error:
            return Health(reachable=False, message=error.message, api="REST V4")
        authenticated, problem = _authenticated(probe)
        return Health(
            reachable=authenticated is not None or healthy is not None,
            authenticated=authenticated,
            healthy=healthy,
            version=_version(version),
            message=problem or message,
            api="REST V4",
        )


# Submitting: the body, and its answers


def _body(submission: Submission) -> dict[str, Any]:
    repository, workspace = split_flow(submission.flow)
    options = submission.options
    check_extra(options.extra, FmeFlowV4)
    if options.description is not None:
        raise UnsupportedOption(
            "option description: V4 of FME Flow keeps no description with a job; use directives to pass a text on",
            option="description",
        )
    parameters = {name: json_value(name, value) for name, value in submission.parameters.items()}
    optional = {
        "publishedParameters": parameters,
        "queue": options.queue,
        "maxJobRuntime": whole_seconds(options.max_run_time, "max_run_time"),
        "maxTimeInQueue": whole_seconds(options.max_queue_time, "max_queue_time"),
        "directives": dict(options.directives),
        "successTopics": list(options.success_topics),
        "failureTopics": list(options.failure_topics),
    }
    given = {key: value for key, value in optional.items() if value not in (None, {}, [])}
    return {"repository": repository, "workspace": workspace, **given}


def _accepted(response: Response, flow: str) -> Accepted:
    if not response.is_success:
        raise _submit_error_in(response, flow)
    return Accepted(str(read(response, JobId).id))


def _ran(response: Response, flow: str) -> Accepted:
    """How a failed translation is answered is not known: with 200 and the result, or with 422 and the result."""
    if response.is_success or _is_failed_result(response):
        return Accepted(str(read(response, JobId).id), _observation(read(response, Job), response.content))
    raise _submit_error_in(response, flow)


def _submit_error_in(response: Response, flow: str) -> FlowrunnerError:
    body = answer_of(response)
    if response.status == 405 or (response.status == 404 and body is None):
        text = f"the server does not know POST {API}/jobs (HTTP {response.status}): is its REST V4 recent enough?"
        return NoJobEndpoint(text, http_status=response.status, body=response.content[:500].decode("utf-8", "replace"))
    if body is None or response.status not in {400, 422}:
        return flow_error_in(response, flow)
    problems = {str(field): str(reason) for field, reason in body.details.items()}
    said = "; ".join([body.message, *(f"{field}: {reason}" for field, reason in problems.items())])
    if problems and problems.keys() <= {"repository", "workspace", "queue"}:
        return InvalidRequest(f"the vendor refused the submission: {said}", http_status=response.status)
    return InvalidParameters(
        f"the vendor refused the submission of {flow!r}: {said}. See `describe` for what the flow takes",
        problems=problems,
        http_status=response.status,
        vendor_message=body.message,
    )


def _resources(connection: str, what: str) -> str:
    return API + path("resources", "connections", connection, what)


def _upload(upload: Upload, folder: str, name: str) -> Request:
    content_type, body = multipart("files", name, upload.content, upload.folder)
    return Request(
        "POST",
        _resources(TEMP, "upload"),
        query=(("path", folder), ("overwrite", "true")),
        headers={"Content-Type": content_type},
        file=body,
        progress=upload.progress,
    )


# Jobs: requests, and what their answers say


def _get_job(run_id: str) -> Request:
    return Request("GET", API + path("jobs", run_id))


def _get_result(run_id: str) -> Request:
    return Request("GET", API + path("jobs", run_id, "result"))


def _read_job(response: Response, ref: RunRef) -> Job:
    if response.status != 200:
        raise run_error_in(response, ref)
    return read(response, Job)


def _observation(job: Job, raw: bytes, *, is_result: bool = False) -> Observation:
    return Observation(
        word=job.status or None,
        message=job.statusMessage or None,
        queued_at=utc(job.timeQueued),
        started_at=utc(job.timeStarted),
        finished_at=utc(job.timeFinished),
        flow=f"{job.repository}/{job.workspace}" if job.repository and job.workspace else None,
        is_result=is_result,
        raw=raw,
    )


def _says_only_that_it_ended(seen: Observation) -> bool:
    return seen.word is not None and fold(seen.word) in {"complete", "completed"}


def _result_object(response: Response) -> dict[str, Any]:
    """The result; empty where the server keeps none, for a job that never ran, say."""
    if response.status == 200 or _is_failed_result(response):
        return object_in(response)
    if response.status in {401, 403, 429} or response.status >= 500:
        raise error_in(response)
    body = answer_of(response) if response.status == 422 else None
    return {} if body is None else {"statusMessage": body.message}


def _is_failed_result(response: Response) -> bool:
    """How the result of a failed job is answered is not known: with 200, or with 422 and the result or its message."""
    return response.status == 422 and is_a(response, JobId)


def _result_observations(result: dict[str, Any], raw: bytes) -> tuple[Observation, ...]:
    if not result:
        return ()
    return (_observation(read_item(result, Job), raw, is_result=True),)


def _metrics(details: JobDetails) -> dict[str, float]:
    """Numbers by name. The unit of the peak memory is not documented; the others are in their names."""
    return known_numbers(
        {
            "features_written": details.featureOutputCount,
            "elapsed_seconds": from_milliseconds(details.elapsedTime),
            "cpu_seconds": from_milliseconds(details.cpuTime),
            "cpu_percent": details.cpuPercent,
            "peak_memory": details.peakMemoryUsage,
            "log_lines": details.lineCount,
            "warnings": details.warningCount,
            "errors": details.errorCount,
        }
    )


# Lists


def _groups(query: RunQuery) -> list[list[str]]:
    """The statuses to ask for, in groups that may stand in one request."""
    groups = [
        [word for state, word in group.items() if not query.states or state in query.states]
        for group in (ACTIVE, COMPLETED)
    ]
    return [group for group in groups if group]


def _list_query(statuses: list[str], query: RunQuery, offset: int) -> tuple[tuple[str, str], ...]:
    parts = [("status", status) for status in statuses]
    if query.flow is not None:
        repository, workspace = split_flow(query.flow)
        parts += [("repository", repository), ("workspace", workspace)]
    if statuses[0] in COMPLETED.values():
        parts.append(("sort", "timeFinished_desc"))
    limit = PAGE if query.limit is None else max(1, min(query.limit, PAGE))
    return (*parts, ("limit", str(limit)), ("offset", str(offset)))


def _listed(item: Any) -> Listed:
    job_id, job = read_item(item, JobId), read_item(item, Job)
    observation = _observation(job, json.dumps(item).encode())
    return Listed(str(job_id.id), observation.flow or "", observation)


def _sighting(job_in: Callable[[int], Observation], place: int, job: Glance) -> Sighting:
    return Sighting(str(job.id), job.status or None, job.statusMessage or None, read=job_in, place=place)


def _job_in(page: Glimpsed[Glances], place: int) -> Observation:
    item = page.item(place)
    return _observation(read(item, Job), item.content)


def _flow_info(item: Any) -> FlowInfo:
    workspace = read_item(item, Workspace)
    return FlowInfo(
        flow=f"{workspace.repositoryName}/{workspace.name}",
        title=workspace.title or None,
        description=workspace.description or None,
    )


# Health


def _readiness(response: Response) -> tuple[bool | None, str | None]:
    """Unhealthy is 503 with the same keys; anything else that answers is not the vendor."""
    try:
        readiness = read(response, Readiness)
    except FlowrunnerError:
        return None, None
    return response.status == 200 and fold(readiness.status) == "ok", readiness.message


def _version(response: Response) -> str | None:
    try:
        version = read(response, Version)
    except FlowrunnerError:
        return None
    return version.buildString or (None if version.buildNumber is None else f"Build {version.buildNumber}")


def _authenticated(probe: Response) -> tuple[bool | None, str | None]:
    """A credential without the right to list workspaces is accepted all the same."""
    if probe.status == 200 and is_a(probe, Items):
        return True, None
    problem = error_in(probe)
    if isinstance(problem, AuthenticationError):
        return False, problem.message
    return (True if isinstance(problem, PermissionDenied) else None), problem.message
