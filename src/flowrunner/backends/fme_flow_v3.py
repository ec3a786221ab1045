"""FME Flow (FME Server), REST interface V3. The vendor deprecated it in 2025.1 and removes it in 2026.1.

Facts about the wire are marked as the vendor documents them, as they were observed in working clients or recorded
answers, or as assumed: what is assumed is accepted both ways.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta, timezone, tzinfo  # the annotations of wire classes are read at run time
from functools import cache, partial
from typing import TYPE_CHECKING, Any, ClassVar, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from attrs import define, evolve, frozen

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
    key_in,
    labelled,
    setting,
)
from flowrunner.backends._fme import (
    WORDS,
    FmeSettings,
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
    OCTETS,
    TEMP,
    content_disposition,
    file_at,
    payload_body,
    remote_file,
    removed,
    upload_error_in,
    with_payload_uploaded,
)
from flowrunner.backends._fme_v3_parameters import parameters_in
from flowrunner.convert import read, read_item, utc
from flowrunner.enums import CancelOutcome, RunState
from flowrunner.errors import (
    AuthenticationError,
    FlowrunnerError,
    InvalidParameters,
    InvalidRequest,
    PermissionDenied,
    RunNotFound,
    TransportError,
    UnsupportedOption,
)
from flowrunner.models import FlowInfo, FlowSpec, Health, ParameterKind
from flowrunner.pages import Sightings
from flowrunner.plans import Page, Request, path, send
from flowrunner.retries import RequestKind
from flowrunner.secret import MASK
from flowrunner.states import Observation

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from flowrunner.backend import Submission, Upload
    from flowrunner.models import ArtifactSource, Progress, RemoteFile, RunRef
    from flowrunner.pages import Glimpsed
    from flowrunner.plans import Lines, Plan, Response
    from flowrunner.secret import Secret

__all__ = ["FmeFlowV3", "FmeFlowV3Settings"]

API: Final = "/fmerest/v3"
PAGE: Final = 1000
"""Jobs asked for a page: the vendor shows the most recent thousand at most (documented in its training)."""
BLOCKING_MAX: Final = 7 * 24 * 3600.0
"""Seconds to wait for `transact` where the caller sets no limit; the vendor's own client waits as long."""

ACTIVE: Final = frozenset({RunState.QUEUED, RunState.RUNNING, RunState.WAITING})
COMPLETED: Final = frozenset({RunState.SUCCEEDED, RunState.FAILED, RunState.CANCELLED})


def _is_zone(_owner: object, _attribute: object, value: str | None) -> None:
    if value is not None:
        zone_of(value)


@frozen(kw_only=True)
class FmeFlowV3Settings(FmeSettings):
    """The settings of an FME Flow connection over V3."""

    time_zone: str | None = setting(
        "Zone of times the server writes without one: +02:00 or Europe/Oslo; else what the server's /info says.",
        default=None,
        validator=_is_zone,
    )


@frozen
class JobId:
    """The answer to a submission."""

    id: int


@frozen
class Result:
    """What `transact` answers, and what a job's record holds as `result` once it has ended."""

    status: str | None = None
    statusMessage: str | None = None
    numFeaturesOutput: int | None = None
    resultDatasetDownloadUrl: str | None = None
    timeRequested: datetime | None = None
    timeStarted: datetime | None = None
    timeFinished: datetime | None = None


@frozen
class Job:
    """A job's record."""

    status: str | None = None
    statusMessage: str | None = None
    repository: str | None = None
    workspace: str | None = None
    timeSubmitted: datetime | None = None
    timeQueued: datetime | None = None
    timeStarted: datetime | None = None
    timeFinished: datetime | None = None
    result: Result | None = None
    description: str | None = None
    request: dict[str, Any] | None = None
    elapsedTime: float | None = None
    cpuTime: float | None = None
    cpuPct: float | None = None
    peakMemUsage: int | None = None
    numLines: int | None = None
    numWarnings: int | None = None
    numErrors: int | None = None

    @property
    def has_bare_times(self) -> bool:
        """Whether a time the vendor gave has no zone."""
        result = self.result or Result()
        moments = (
            self.timeSubmitted, self.timeQueued, self.timeStarted, self.timeFinished,
            result.timeRequested, result.timeStarted, result.timeFinished,
        )  # fmt: skip
        return any(moment is not None and moment.tzinfo is None for moment in moments)


@define  # not frozen: a page has a thousand, and frozen ones cost five times as much
class ResultGlance:
    """As much of a result in a page."""

    status: str | None = None
    statusMessage: str | None = None


@define
class Glance:
    """As much of a job in a page as shows whether there is news of it."""

    id: int
    status: str | None = None
    statusMessage: str | None = None
    result: ResultGlance | None = None


@define
class Glances:
    """A page of jobs."""

    items: list[Glance]
    totalCount: int | None = None
    limit: int | None = None


@frozen
class Workspace:
    """A workspace in a list."""

    name: str
    title: str | None = None
    description: str | None = None
    repositoryName: str | None = None


@frozen
class Repository:
    """A repository in a list."""

    name: str


@frozen
class Info:
    """The answer of `/info`."""

    build: str | None = None
    timeZone: str | None = None


class FmeFlowV3(Backend):
    """FME Flow over REST V3. A flow is written `Repository/workspace.fmw`."""

    backend_api = 1
    name = "fme-flow-v3"
    family = "fme-flow"
    payload_text_is_path = True
    settings_class = FmeFlowV3Settings
    capabilities = frozenset({
        Capability.ARTIFACTS,
        Capability.BULK,
        Capability.CANCEL,
        Capability.DESCRIBE,
        Capability.HEALTH,
        Capability.LIST_FLOWS,
        Capability.LIST_RUNS,
        Capability.LOGS,
        Capability.PARAMETERS,
        Capability.PAYLOAD,
        Capability.RECONCILE,
        Capability.SERVER_WAIT,
        Capability.UPLOAD,
    })  # fmt: skip
    words = WORDS
    runs_payloads_at_once = True
    options: ClassVar[Mapping[str, str]] = {
        "payload_parameter": "The parameter that takes a payload, where the flow's description leaves it open.",
        "priority": "1 to 200; the vendor deprecated it, the queue decides.",
        "rtc": "Run until cancelled: the server starts the job again whenever it ends.",
    }
    instead: ClassVar[Mapping[str, str]] = {
        "max_total_life_time": "V3 of FME Flow has no limit for both; use max_run_time and max_queue_time",
    }

    settings: FmeFlowV3Settings

    def __init__(self, settings: FmeFlowV3Settings) -> None:
        super().__init__(settings)
        self._zone: tzinfo | None = None if settings.time_zone is None else zone_of(settings.time_zone)

    @property
    def base_url(self) -> str:
        """The server's root."""
        return root_of(self.settings.base_url)

    def authorize(self) -> Mapping[str, Secret]:
        """The token, in the header: of the forms the vendor documents, the one that ends up in no log."""
        return authorization(self.settings.token)

    # Submitting

    def submit(self, submission: Submission) -> Plan[Accepted]:
        """`POST /transformations/submit/{repository}/{workspace}`: 202 and the id.

        A payload is uploaded first and referred to by a parameter: `transactdata`, which takes it directly, answers
        only when the job has ended, and a request that is cut off leaves a job without an id.
        """
        return with_payload_uploaded(self, submission, self._submit)

    def _submit(self, submission: Submission) -> Plan[Accepted]:
        request = Request("POST", _flow_path("submit", submission.flow), json=_body(submission), repeatable=False)
        return (yield from submit_once(request, lambda response: _accepted(response, submission.flow)))

    def run(self, submission: Submission, timeout: float | None) -> Plan[Accepted]:
        """`POST /transformations/transact/...`: one request, answered when the job has ended.

        With a payload it is `transactdata`, whose body the payload is; unless a parameter is named that takes it.
        """
        wait = BLOCKING_MAX if timeout is None else min(timeout, BLOCKING_MAX)
        if submission.payload is not None and "payload_parameter" not in submission.options.extra:
            return (yield from self._ran(_transactdata(submission, wait), submission.flow))
        return (yield from with_payload_uploaded(self, submission, lambda ready: self._transact(ready, wait)))

    def _transact(self, submission: Submission, timeout: float) -> Plan[Accepted]:
        address = _flow_path("transact", submission.flow)
        request = Request("POST", address, json=_body(submission), repeatable=False, timeout=timeout)
        return (yield from self._ran(request, submission.flow))

    def _ran(self, request: Request, flow: str) -> Plan[Accepted]:
        answer = yield from submit_once(request, lambda response: _finished(response, flow))
        job = Job(status=None, result=read(answer, Result))
        seen = yield from self._observe(job, answer.content)
        return Accepted(str(read(answer, JobId).id), seen)

    # Observing

    def observe(self, ref: RunRef, hold: float = 0.0) -> Plan[Observation]:  # noqa: ARG002 - V3 holds no requests
        """`GET /transformations/jobs/id/{id}`."""
        response = yield from send(_get_job(ref))
        return (yield from self._observe(_read_job(response, ref), response.content))

    def _observe(self, job: Job, raw: bytes) -> Plan[Observation]:
        zone, remark = yield from self._zone_for(job)
        return _with_remark(self._seen(job, raw, zone), remark)

    def _seen(self, job: Job, raw: bytes, zone: tzinfo) -> Observation:
        result = job.result or Result()
        word, remark = self._word(job.status or None, result.status or None)
        return Observation(
            word=word,
            message=result.statusMessage or job.statusMessage or None,
            queued_at=utc(job.timeQueued or job.timeSubmitted or result.timeRequested, zone=zone),
            started_at=utc(job.timeStarted or result.timeStarted, zone=zone),
            finished_at=utc(job.timeFinished or result.timeFinished, zone=zone),
            flow=f"{job.repository}/{job.workspace}" if job.repository and job.workspace else None,
            remarks=(remark,) if remark else (),
            raw=_without_values(raw),
        )

    def _word(self, record: str | None, result: str | None) -> tuple[str | None, str | None]:
        """The word that counts, and what is odd about it: where record and result disagree, failure wins."""
        ends = {word: self.state_of(Observation(word=word)) for word in (record, result) if word is not None}
        if record is None or ends[record] is None:
            return result or record, None
        if result is None or ends[result] in {None, ends[record]} or not (ends[record] or RunState.UNKNOWN).is_final:
            return record, None
        remark = f"the record says {record!r} and its result {result!r}: the failure counts"
        return (result if ends[record] is RunState.SUCCEEDED else record), remark

    def _zone_for(self, job: Job) -> Plan[tuple[tzinfo, str | None]]:
        """The zone of times without one; asked of the server when there is such a time."""
        if not job.has_bare_times:
            return UTC, None
        return (yield from self._server_zone())

    def _server_zone(self) -> Plan[tuple[tzinfo, str | None]]:
        """The zone of the server's place, and what is odd about it; asked of the server once."""
        if self._zone is not None:
            return self._zone, None
        response = yield from self._info()
        zone = _zone_in(response)
        if response is not None and response.status < 500:  # a server that is only just away is asked again
            self._zone = zone or UTC
        if zone is not None:
            return zone, None
        return (
            UTC,
            "the server writes times without a zone and does not name its own: they are taken as UTC; set time_zone",
        )

    def _info(self) -> Plan[Response | None]:
        try:
            return (yield from send(Request("GET", API + path("info"))))
        except FlowrunnerError:
            return None

    def result(self, ref: RunRef) -> Plan[Outcome]:
        """The job's record, which holds its result."""
        response = yield from send(_get_job(ref))
        job = _read_job(response, ref)
        seen = yield from self._observe(job, response.content)
        download_url = job.result.resultDatasetDownloadUrl if job.result is not None else None
        record = object_in(response)
        if _echoed(record):
            _hide_passwords(record, (yield from self._passwords(seen.flow or ref.flow)))
        return Outcome(
            observations=(evolve(seen, is_result=True),),
            outputs=outputs_of(download_url),
            artifacts=artifacts_of(download_url),
            metrics=_metrics(job),
            raw={"job": record},
        )

    def _passwords(self, flow: str) -> Plan[frozenset[str] | None]:
        """The flow's password parameters; None where the server does not tell."""
        try:
            spec = yield from self.describe(flow)
        except FlowrunnerError:
            return None
        return frozenset(each.name for each in spec.parameters if each.kind is ParameterKind.PASSWORD)

    def logs(self, ref: RunRef) -> Plan[Lines]:
        """`GET /transformations/jobs/id/{id}/log`, as text."""
        address = API + path("transformations", "jobs", "id", id_of(ref), "log")
        query = (("accept", "contents"),)
        response = yield from send(Request("GET", address, query=query, headers={"Accept": "text/plain"}, stream=True))
        if response.lines is None:
            raise (yield from self._log_error(response, ref))
        return response.lines

    def _log_error(self, response: Response, ref: RunRef) -> Plan[FlowrunnerError]:
        """Why there is no log: a job that nothing has worked on yet has none (assumed)."""
        error = run_error_in(response, ref)
        if isinstance(error, RunNotFound):
            yield from self.observe(ref)
            return InvalidRequest(
                f"run {ref.id!r} has no log yet: {error.vendor_message}", http_status=404, transient=True
            )
        return error

    # Files

    def upload(self, upload: Upload) -> Plan[RemoteFile]:
        """`POST /resources/connections/{connection}/filesys/{folder}`: the bytes, named by a header (documented)."""
        request = Request(
            "POST",
            API + path("resources", "connections", TEMP, "filesys", upload.folder),
            query=(("createDirectories", "true"), ("overwrite", "true")),
            headers={"Content-Type": OCTETS, "Content-Disposition": content_disposition(upload.name)},
            file=upload.content,
            progress=upload.progress,
        )
        response = yield from send(request)
        if response.status not in {200, 201}:
            raise upload_error_in(response, upload.name)
        return remote_file(upload.folder, upload.name, upload.content.size())

    def remove(self, file: RemoteFile) -> Plan[None]:
        """`DELETE /resources/connections/{connection}/filesys/{path}`."""
        connection, parts = file_at(file.reference)
        response = yield from send(
            Request("DELETE", API + path("resources", "connections", connection, "filesys", *parts))
        )
        removed(response)

    def download_file(self, reference: str, to: Path, progress: Progress | None) -> Plan[None]:
        """`GET .../filesys/{path}`; a folder, written with a `/` at its end, as a zip by `POST .../downloadzip`."""
        connection, parts = file_at(reference)
        base = API + path("resources", "connections", connection)
        if not reference.endswith("/"):
            return (yield from fetch(base + path("filesys", *parts) + "?accept=contents", to, progress))
        request = Request(
            "POST",
            base + path("downloadzip", *parts),
            query=(("zipFileName", "resources.zip"), ("fileNames", ".")),
            headers={"Accept": "application/zip", "Content-Type": "application/x-www-form-urlencoded"},
            save_to=to,
            progress=progress,
        )
        response = yield from send(request)
        if not response.is_success:
            raise error_in(response)
        return None

    def download(self, artifact: ArtifactSource, to: Path, progress: Progress | None) -> Plan[None]:
        """Stream what the download address names."""
        return fetch(artifact.location, to, progress)

    # Cancelling

    def cancel(self, ref: RunRef) -> Plan[CancelAnswer]:
        """`DELETE .../queued/{id}`, then `.../running/{id}`: 404 for a job that is not in it (observed)."""
        for section in ("queued", "running", "active"):  # it may have moved on between the first two
            address = API + path("transformations", "jobs", section, id_of(ref))
            response = yield from cancel_once(
                self, ref, Request("DELETE", address, repeatable=False, kind=RequestKind.CANCEL)
            )
            if isinstance(response, CancelAnswer):
                return response
            if response.is_success:
                return (yield from self._accepted_cancel(ref))
            if response.status != 404 or answer_of(response) is None:
                raise error_in(response)
        seen = yield from self.observe(ref)
        state = self.state_of(seen)
        if state is None or not state.is_final:
            raise InvalidRequest(
                f"the vendor cancels run {ref.id!r} neither as queued nor as running: try again", transient=True
            )
        return CancelAnswer(CancelOutcome.TOO_LATE, seen)

    def _accepted_cancel(self, ref: RunRef) -> Plan[CancelAnswer]:
        """What became of it. A job taken out of the queue may be gone altogether; else its record says ABORTED."""
        try:
            seen = yield from self.observe(ref)
        except RunNotFound:
            return CancelAnswer(CancelOutcome.CONFIRMED)
        except FlowrunnerError:
            return CancelAnswer(CancelOutcome.REQUESTED)
        return cancel_answer(seen, self.state_of(seen))

    # Listing

    def list_runs(self, query: RunQuery, cursor: Any = None) -> Plan[Page[Listed]]:
        """`GET /transformations/jobs/active`, then `.../completed`, newest first; states are sorted out here."""
        sections = _sections(query)
        if not sections:
            return Page(())
        section, offset = cursor or (0, 0)
        address = API + path("transformations", "jobs", sections[section])
        response = yield from send(Request("GET", address, query=_list_query(query, offset)))
        page = read_page(response)
        items = []
        for item in page.items:
            items.append((yield from self._listed(item)))  # noqa: PERF401 - a comprehension cannot yield
        wanted = [each for each in items if not query.states or self.state_of(each.observation) in query.states]
        after = offset_after(page, offset)
        if after is not None and not query.is_past(items):
            return Page(tuple(wanted), (section, after))
        return Page(tuple(wanted), (section + 1, 0) if section + 1 < len(sections) else None)

    def _listed(self, item: Any) -> Plan[Listed]:
        job_id, job = read_item(item, JobId), read_item(item, Job)
        seen = yield from self._observe(job, json.dumps(item).encode())
        return Listed(str(job_id.id), seen.flow or "", seen, _key_of(job))

    def observe_many(self, *, ended: bool, cursor: Any = None) -> Plan[Page[Sighting]]:
        """`GET /transformations/jobs/active`; or `.../completed`, newest first.

        The zone of times without one is asked for ahead: that a job is read later asks nobody.
        """
        offset = cursor or 0
        zone, remark = yield from self._server_zone()
        address = API + path("transformations", "jobs", "completed" if ended else "active")
        response = yield from send(Request("GET", address, query=_list_query(RunQuery(), offset)))
        page = glimpse_jobs(response, Glances)
        return Page(Sightings(page.seen.items, self._sees(page, zone, remark)), offset_after(page.seen, offset))

    def _sees(self, page: Glimpsed[Glances], zone: tzinfo, remark: str | None) -> Callable[[int, Glance], Sighting]:
        word_of = cache(self._word)  # of a thousand jobs few stand otherwise than the others
        job_in = partial(self._job_in, page, zone, remark)

        def see(place: int, job: Glance) -> Sighting:
            word, message = job.status or None, job.statusMessage or None
            if job.result is not None:
                word, _ = word_of(word, job.result.status or None)
                message = job.result.statusMessage or message
            return Sighting(str(job.id), word, message, read=job_in, place=place)

        return see

    def _job_in(self, page: Glimpsed[Glances], zone: tzinfo, remark: str | None, place: int) -> Observation:
        item = page.item(place)
        job = read(item, Job)
        return _with_remark(self._seen(job, item.content, zone), remark if job.has_bare_times else None)

    def list_flows(self, cursor: Any = None) -> Plan[Page[FlowInfo]]:
        """`GET /repositories`, then the workspaces of one repository a page."""
        repositories = cursor if cursor is not None else (yield from self._repositories())
        if not repositories:
            return Page(())
        repository, *rest = repositories
        address = API + path("repositories", repository, "items")
        page = read_page((yield from send(Request("GET", address, query=(("type", "WORKSPACE"), *ALL)))))
        items = tuple(_flow_info(item, repository) for item in page.items)
        return Page(items, tuple(rest) or None)

    def _repositories(self) -> Plan[tuple[str, ...]]:
        page = read_page((yield from send(Request("GET", API + path("repositories"), query=ALL))))
        return tuple(read_item(item, Repository).name for item in page.items)

    def describe(self, flow: str) -> Plan[FlowSpec]:
        """`GET /repositories/{repository}/items/{workspace}/parameters`: a bare array (documented)."""
        repository, workspace = split_flow(flow)
        address = API + path("repositories", repository, "items", workspace, "parameters")
        response = yield from send(Request("GET", address))
        if response.status != 200:
            raise flow_error_in(response, flow)
        try:
            return FlowSpec(flow, tuple(parameters_in(json_of(response))))
        except ValueError as error:
            raise senseless(response, f"a description that cannot be read ({error})") from None

    # Health

    def health(self) -> Plan[Health]:
        """The health check, which wants no credential and may answer in text; then `/info`, which wants one."""
        try:
            ready = yield from send(
                Request("GET", API + path("healthcheck"), query=(("ready", "true"),), anonymous=True)
            )
            info = yield from send(Request("GET", API + path("info")))
        except TransportError as error:
            return Health(reachable=False, message=error.message, api="REST V3")
        healthy, message = _readiness(ready)
        authenticated, problem = _authenticated(info)
        return Health(
            reachable=authenticated is not None or healthy is not None,
            authenticated=authenticated,
            healthy=healthy,
            version=read(info, Info).build if authenticated and is_a(info, Info) else None,
            message=problem or message,
            api="REST V3",
        )


ALL: Final = (("limit", "-1"), ("offset", "-1"))
"""Takes a whole collection (observed)."""


# Submitting: the body, and its answers


def _flow_path(verb: str, flow: str) -> str:
    return API + path("transformations", verb, *split_flow(flow))


def _body(submission: Submission) -> dict[str, Any]:
    options = submission.options
    check_extra(options.extra, FmeFlowV3)
    parameters = [
        {"name": name, "value": text_value(name, value)}
        for name, value in submission.parameters.items()
        if value is not None
    ]
    notifications: dict[str, Any] = {
        "directives": [{"name": name, "value": value} for name, value in options.directives.items()],
        "successTopics": list(options.success_topics),
        "failureTopics": list(options.failure_topics),
    }
    return {
        "publishedParameters": parameters,
        "TMDirectives": _tm_directives(submission),
        "NMDirectives": {name: value for name, value in notifications.items() if value},
    }


def _transactdata(submission: Submission, timeout: float) -> Request:
    """The payload is the body; options and parameters stand in the query, lists as repeated keys (observed)."""
    options = submission.options
    check_extra(options.extra, FmeFlowV3)
    for name in ("rtc", "priority"):
        if name in options.extra:
            raise UnsupportedOption(f"option {name} cannot be used with a payload that runs at once", option=name)
    if options.directives:
        raise UnsupportedOption(
            "option directives cannot be used with a payload that runs at once", option="directives"
        )
    given = (
        ("opt_description", labelled(options.description, submission.key)),
        ("opt_tag", options.queue),
        ("opt_ttc", whole_seconds(options.max_run_time, "max_run_time")),
        ("opt_ttl", whole_seconds(options.max_queue_time, "max_queue_time")),
        *(("opt_successtopics", topic) for topic in options.success_topics),
        *(("opt_failuretopics", topic) for topic in options.failure_topics),
    )
    query = [(name, str(value)) for name, value in given if value is not None]
    given_values = {name: value for name, value in submission.parameters.items() if value is not None}
    for name, value in given_values.items():
        encoded = text_value(name, value)
        query += [(name, _query_text(item)) for item in (encoded if isinstance(encoded, list) else [encoded])]
    return Request(
        "POST",
        _flow_path("transactdata", submission.flow),
        query=tuple(query),
        headers={"Content-Type": OCTETS},
        file=payload_body(submission.payload),
        repeatable=False,
        timeout=timeout,
    )


def _query_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _tm_directives(submission: Submission) -> dict[str, Any]:
    options = submission.options
    given = {
        "rtc": _rtc(options.extra.get("rtc", False)),
        "tag": options.queue,
        "description": labelled(options.description, submission.key),
        "ttc": whole_seconds(options.max_run_time, "max_run_time"),
        "ttl": whole_seconds(options.max_queue_time, "max_queue_time"),
        "priority": _priority(options.extra.get("priority")),
    }
    return {name: value for name, value in given.items() if value is not None}


def _rtc(value: Any) -> bool:
    if not isinstance(value, bool):
        raise InvalidRequest(f"option rtc is true or false, not {value!r}")
    return value


def _priority(value: Any) -> int | None:
    if value is None or (type(value) is int and 1 <= value <= 200):
        return value
    raise InvalidRequest(f"option priority is a whole number from 1 to 200, not {value!r}")


def text_value(name: str, value: Any) -> Any:
    """A parameter's value as V3 takes it: numbers as text, lists of text, objects as they are (documented)."""
    value = json_value(name, value)
    if isinstance(value, list):
        return [text_value(name, item) for item in value]
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


def _accepted(response: Response, flow: str) -> Accepted:
    if not response.is_success:
        raise _submit_error_in(response, flow)
    return Accepted(str(read(response, JobId).id))


def _finished(response: Response, flow: str) -> Response:
    """The answer of `transact`, if it is a result.

    A failed job is answered with 200 and the result by some servers, with 422 by others (observed, contradictory).
    """
    if response.is_success or (response.status == 422 and is_a(response, JobId)):
        read(response, JobId)
        return response
    raise _submit_error_in(response, flow)


def _submit_error_in(response: Response, flow: str) -> FlowrunnerError:
    body = answer_of(response)
    if body is None or response.status not in {400, 422}:
        return flow_error_in(response, flow)
    return InvalidParameters(
        f"the vendor refused the submission of {flow!r}: {body.message}. See `describe` for what the flow takes",
        http_status=response.status,
        vendor_message=body.message,
    )


# Jobs: requests, and what their answers say


def _get_job(ref: RunRef) -> Request:
    return Request("GET", API + path("transformations", "jobs", "id", id_of(ref)))


def _read_job(response: Response, ref: RunRef) -> Job:
    if response.status != 200:
        raise run_error_in(response, ref)
    return read(response, Job)


def _key_of(job: Job) -> str | None:
    """The key in the job's description, which stands in the record or in the request it repeats (observed)."""
    directives = (job.request or {}).get("TMDirectives")
    repeated = directives.get("description") if isinstance(directives, dict) else None
    texts = [text for text in (job.description, repeated) if isinstance(text, str)]
    return next(filter(None, map(key_in, texts)), "") if texts else None


def _with_remark(seen: Observation, remark: str | None) -> Observation:
    return evolve(seen, remarks=(*seen.remarks, remark)) if remark else seen


def _metrics(job: Job) -> dict[str, float]:
    """Numbers by name. The unit of the peak memory is not documented; the others are in their names."""
    return known_numbers({
        "features_written": job.result.numFeaturesOutput if job.result is not None else None,
        "elapsed_seconds": from_milliseconds(job.elapsedTime),
        "cpu_seconds": from_milliseconds(job.cpuTime),
        "cpu_percent": job.cpuPct,
        "peak_memory": job.peakMemUsage,
        "log_lines": job.numLines,
        "warnings": job.numWarnings,
        "errors": job.numErrors,
    })  # fmt: skip


def _zone_in(info: Response | None) -> tzinfo | None:
    """The zone that the answer of `/info` names."""
    if info is None:
        return None
    try:
        return zone_of(read(info, Info).timeZone or "")
    except (FlowrunnerError, ValueError):
        return None


def _echoed(record: Any) -> list[dict[str, Any]]:
    """The parameters a record repeats from its submission, in clear: each a name and `raw`, or `value` (observed)."""
    request = record.get("request") if isinstance(record, dict) else None
    parameters = request.get("publishedParameters") if isinstance(request, dict) else None
    return [each for each in parameters if isinstance(each, dict)] if isinstance(parameters, list) else []


def _hide_passwords(record: dict[str, Any], passwords: frozenset[str] | None) -> None:
    """Mask the values of these parameters, or of all where it is not known which are passwords."""
    for parameter in _echoed(record):
        if passwords is None or parameter.get("name") in passwords:
            parameter.update({key: MASK for key in ("raw", "value") if key in parameter})


def _without_values(raw: bytes) -> bytes:
    """A record without the values it was submitted with: which of them are passwords, it does not say."""
    if b'"publishedParameters"' not in raw:
        return raw
    record = json.loads(raw)
    if _echoed(record):
        _hide_passwords(record, None)
        return json.dumps(record).encode()
    return raw


def zone_of(name: str) -> tzinfo:
    """A time zone as `/info` or a setting names it: +0200, +02:00, UTC or Europe/Oslo.

    Raises:
        ValueError: it names none.
    """
    offset = re.fullmatch(r"([+-])(\d\d):?(\d\d)", name.strip())
    try:
        if offset is not None:
            sign = -1 if offset[1] == "-" else 1
            return timezone(sign * timedelta(hours=int(offset[2]), minutes=int(offset[3])))
        return ZoneInfo(name.strip())
    except (ValueError, OSError, ZoneInfoNotFoundError):  # OSError: the name is a folder of the database
        raise ValueError(f"{name!r} is no time zone") from None


# Lists


def _sections(query: RunQuery) -> list[str]:
    sections = (("active", ACTIVE), ("completed", COMPLETED))
    return [name for name, states in sections if not query.states or query.states & states]


def _list_query(query: RunQuery, offset: int) -> tuple[tuple[str, str], ...]:
    parts: list[tuple[str, str]] = []
    if query.flow is not None:
        repository, workspace = split_flow(query.flow)
        parts += [("repository", repository), ("workspace", workspace)]
    limit = PAGE if query.limit is None or query.states else max(1, min(query.limit, PAGE))
    return (*parts, ("limit", str(limit)), ("offset", str(offset)))


def _flow_info(item: Any, repository: str) -> FlowInfo:
    workspace = read_item(item, Workspace)
    return FlowInfo(
        flow=f"{workspace.repositoryName or repository}/{workspace.name}",
        title=workspace.title or None,
        description=workspace.description or None,
    )


# Health


def _readiness(response: Response) -> tuple[bool | None, str | None]:
    """Healthy is 200 with JSON or the text OK, unhealthy 500 with a text (documented and observed, contradictory)."""
    try:
        body = json_of(response)
    except FlowrunnerError:
        text = response.content.decode("utf-8", "replace").strip()
        if text.startswith("<") or response.status not in {200, 500, 503}:
            return None, None
        return response.status == 200 and text.upper() == "OK", text or None
    status = body.get("status") if isinstance(body, dict) else None
    if not isinstance(status, str):
        return None, None
    message = body.get("message")
    return response.status == 200 and status.lower() == "ok", message if isinstance(message, str) else None


def _authenticated(info: Response) -> tuple[bool | None, str | None]:
    if info.status == 200 and is_a(info, Info):
        return True, None
    problem = error_in(info)
    if isinstance(problem, AuthenticationError):
        return False, problem.message
    return (True if isinstance(problem, PermissionDenied) else None), problem.message
