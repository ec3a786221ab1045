"""Profitbase Flow: submit, run, poll, log, and the list of a flow's runs.

Nothing of this was seen at work: facts are marked as the vendor documents them or as assumed, and what is assumed is
accepted both ways.
"""

from __future__ import annotations

import json
from base64 import b64encode
from datetime import UTC, datetime
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final

from attrs import frozen

from flowrunner.answers import error_for, json_of, senseless, submit_once
from flowrunner.backend import (
    Accepted,
    Backend,
    Capability,
    Listed,
    Outcome,
    Settings,
    refuse_options,
    secret,
    setting,
)
from flowrunner.convert import read, read_item, utc
from flowrunner.enums import Cause, RunState
from flowrunner.errors import FlowNotFound, FlowrunnerError, InvalidRequest, ProtocolError, RunNotFound
from flowrunner.plans import FileBody, Page, Request, path, send
from flowrunner.secret import Secret  # noqa: TC001 - annotations of settings are read at run time
from flowrunner.states import Meaning, Observation, fold

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from flowrunner.backend import RunQuery, Submission
    from flowrunner.models import RunRef
    from flowrunner.plans import Lines, Plan, Response

__all__ = ["ProfitbaseFlow", "ProfitbaseFlowSettings"]

FLOWS: Final = "/flows"
ENVIRONMENTS: Final = ("Development", "Test", "Production", "0", "1", "2")
"""What `env` takes (documented); what the vendor takes without it is not known."""
RUN_MAX: Final = 330.0
"""Seconds to wait for the answer of `/run`: it takes 300 at most (documented), and the answer has to come back."""
JOB_ID: Final = "flow-job-id"
"""The header of the answer of `/run` that has the job's id (documented)."""
BINARY: Final = "application/octet-stream"

ERROR: Final = {"5", "error"}
DEBUG: Final = {"1", "debug"}
"""Types of log items: numbers (documented); their names are taken, too (assumed)."""


def _check_env(_owner: object, _attribute: object, value: str | None) -> None:
    if value is not None and value not in ENVIRONMENTS:
        raise ValueError(f"env is one of {', '.join(ENVIRONMENTS)}, not {value!r}")


@frozen(kw_only=True)
class ProfitbaseFlowSettings(Settings):
    """The settings of a Profitbase Flow connection."""

    base_url: str = setting(
        "Address of the workspace, as the Designer shows it in front of /flows, such as "
        "https://app.profitbase.biz/COMPANY/corellia/api/v1/tenants/TENANT/workspaces/WORKSPACE."
    )
    api_key: Secret = secret("API key with the policy Execute, of the tenant or the workspace.")
    env: str | None = setting(
        "Environment to run in, and to list runs of: Development, Test or Production; left to the vendor if absent.",
        default=None,
        validator=_check_env,
    )


@frozen
class Submitted:
    """The answer of `/submit`."""

    jobId: str


@frozen
class Poll:
    """The answer of `/poll`. The state is a number (documented); a text is taken as it is (assumed)."""

    executionState: Any = None
    logItems: list[Any] | None = None


@frozen
class LogItem:
    """An entry of a job's log; `data` is its text (assumed), anything else is shown as JSON."""

    data: Any = None
    type: Any = None
    logItemId: int | None = None


@frozen
class Execution:
    """A job in the list of a flow's runs; times are in UTC (documented)."""

    jobId: str
    state: Any = None
    message: str | None = None
    startTime: datetime | None = None
    endTime: datetime | None = None


class ProfitbaseFlow(Backend):
    """Profitbase Flow. A flow is the id of a flow, a run is a job of it; the vendor finds a job by both."""

    backend_api = 1
    name = "profitbase-flow"
    family = "profitbase-flow"
    settings_class = ProfitbaseFlowSettings
    capabilities = frozenset({
        Capability.LIST_RUNS,
        Capability.LOGS,
        Capability.PARAMETERS,
        Capability.PAYLOAD,
        Capability.SERVER_WAIT,
    })  # fmt: skip
    words: Mapping[str, Meaning] = {
        "0": Meaning(RunState.QUEUED),  # Submitted
        "1": Meaning(RunState.RUNNING),
        "2": Meaning(RunState.SUCCEEDED),
        "3": Meaning(RunState.SUCCEEDED, has_warnings=True),  # Completed with warning
        "4": Meaning(RunState.FAILED, cause=Cause.UNSPECIFIED),
    }
    options: ClassVar[Mapping[str, str]] = {
        "env": "Environment to run in, in place of the setting: Development, Test or Production.",
    }

    settings: ProfitbaseFlowSettings

    @property
    def base_url(self) -> str:
        """The workspace's address. People copy `/flows`, too."""
        address = self.settings.base_url.rstrip("/")
        return address[: -len(FLOWS)] if address.casefold().endswith(FLOWS) else address

    def authorize(self) -> Mapping[str, Secret]:
        """The key in a header, or in the query "but not both" (documented), where it would end up in logs.

        The pages of poll and log mention no key: they take the same one (assumed).
        """
        return {"x-api-key": self.settings.api_key}

    # Starting

    def submit(self, submission: Submission) -> Plan[Accepted]:
        """`POST /submit`: the job's id at once, at most 8 hours of work, and never a value (documented)."""
        return self._start(submission, "submit", _submitted)

    def run(self, submission: Submission, timeout: float | None) -> Plan[Accepted]:
        """`POST /run`: the value that the flow returned, and the job's id in a header (documented).

        The answer does not say how the job ended, so the client looks at it afterwards.
        """
        wait = RUN_MAX if timeout is None else min(timeout, RUN_MAX)
        return self._start(submission, "run", _ran, timeout=wait)

    def _start(
        self,
        submission: Submission,
        operation: str,
        read_answer: Callable[[Response, str], Accepted],
        timeout: float | None = None,
    ) -> Plan[Accepted]:
        refuse_options(submission.options, backend=self.name)
        request = Request(
            "POST",
            path("flows", submission.flow, operation),
            query=self._env(submission.options.extra),
            repeatable=False,
            timeout=timeout,
            **_body(submission),
        )
        return (yield from submit_once(request, lambda response: read_answer(response, submission.flow)))

    def _env(self, extra: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
        env = extra.get("env", self.settings.env)
        if env is None:
            return ()
        if str(env) not in ENVIRONMENTS:
            raise InvalidRequest(f"option env is one of {', '.join(ENVIRONMENTS)}, not {env!r}")
        return (("env", str(env)),)

    # Following

    def observe(self, ref: RunRef, hold: float = 0.0) -> Plan[Observation]:  # noqa: ARG002 - it holds no requests
        """`GET /diagnostics/executions/{jobId}/poll` from the start of the log: nothing is kept between two looks."""
        request = Request("GET", _address(ref, "poll"), query=(("logItemId", "0"),))
        response = yield from send(request)
        if not response.is_success:
            raise _run_error_in(response, ref)
        poll = read(response, Poll)
        word = _word(poll.executionState)
        if word is None:
            raise senseless(response, "JSON without an executionState")
        items = [read_item(item, LogItem) for item in poll.logItems or [] if isinstance(item, dict)]
        return Observation(word=word, message=_message_in(items), raw=response.content)

    def logs(self, ref: RunRef) -> Plan[Lines]:
        """`GET /diagnostics/executions/{jobId}/log`: what was logged so far."""
        response = yield from send(Request("GET", _address(ref, "log")))
        if not response.is_success:
            raise _run_error_in(response, ref)
        items = _in_order([read_item(item, LogItem) for item in _list_in(response)])
        return iter([line for item in items for line in _text(item).splitlines() or [""]])

    # Listing

    def list_runs(self, query: RunQuery, cursor: Any = None) -> Plan[Page[Listed]]:  # noqa: ARG002 - there are no pages
        """`GET /diagnostics/executions` of one flow: all its runs at once, as no pages are documented.

        Their order is not documented either: what started last comes first, and what did not start yet before that.
        """
        if query.flow is None:
            raise InvalidRequest("Profitbase Flow lists the runs of one flow at a time: name the flow, flow='...'")
        address = path("flows", query.flow, "diagnostics", "executions")
        response = yield from send(Request("GET", address, query=self._env({})))
        if not response.is_success:
            raise _flow_error_in(response, query.flow, _said(response))
        executions = [read_item(item, Execution) for item in _list_in(response)]
        executions.sort(key=_started, reverse=True)
        listed = (Listed(each.jobId, query.flow, _listed_observation(each)) for each in executions)
        return Page(tuple(each for each in listed if self._is_wanted(query, each)))

    def _is_wanted(self, query: RunQuery, listed: Listed) -> bool:
        return not query.states or self.state_of(listed.observation) in query.states


# What is sent


def _address(ref: RunRef, operation: str) -> str:
    if not ref.flow:
        raise InvalidRequest("Profitbase Flow finds a run by its flow and its id: use the run's reference")
    return path("flows", ref.flow, "diagnostics", "executions", ref.id or "", operation)


def _body(submission: Submission) -> dict[str, Any]:
    """Parameters as a JSON object, or a payload as bytes: JSON or binary (documented).

    A flow that takes nothing is sent `{}`: a server of this kind may refuse a POST without a body (assumed).
    """
    payload = submission.payload
    if payload is None:
        return {"json": dict(submission.parameters)}
    if submission.parameters:
        raise InvalidRequest("a flow takes parameters or a payload, not both")
    headers = {"Content-Type": BINARY}
    if isinstance(payload, PathLike):
        return {"file": FileBody(Path(payload)), "headers": headers}
    if isinstance(payload, str):
        payload = payload.encode()
    if not isinstance(payload, bytes):
        raise InvalidRequest(f"a payload is bytes, text or a path, not {type(payload).__name__}")
    return {"content": payload, "headers": headers}


# What is read


def _submitted(response: Response, flow: str) -> Accepted:
    if not response.is_success:
        raise _submission_error_in(response, flow)
    job = read(response, Submitted).jobId
    if not job:
        raise senseless(response, "JSON without a jobId")
    return Accepted(job)


def _ran(response: Response, flow: str) -> Accepted:
    """An answer with a job's id is about a job that was started, also if it failed then (assumed): a look tells."""
    job = response.headers.get(JOB_ID)
    if not response.is_success:
        if not job:
            raise _submission_error_in(response, flow)
        return Accepted(job)
    if not job:
        raise senseless(response, f"without the header {JOB_ID}")
    return Accepted(job, outcome=Outcome(outputs=_outputs_in(response)))


def _outputs_in(response: Response) -> dict[str, Any]:
    """The value: JSON, `null` or nothing at all, or a binary file (documented), which becomes text as base64."""
    media_type = response.headers.get("content-type", "").partition(";")[0].strip().casefold()
    if not response.content:
        return {"value": None}
    if media_type in {"", "application/json"} or media_type.endswith("+json"):
        try:
            return {"value": json_of(response)}
        except ProtocolError:
            pass  # whatever it is called, it is kept
    return {"content": b64encode(response.content).decode(), "media_type": media_type or BINARY}


def _word(state: Any) -> str | None:
    """The number as a text: words are texts."""
    is_word = isinstance(state, str | int) and not isinstance(state, bool)
    return str(state) if is_word and state != "" else None


def _listed_observation(execution: Execution) -> Observation:
    return Observation(
        word=_word(execution.state),
        message=execution.message,
        started_at=utc(execution.startTime),
        finished_at=utc(execution.endTime),
    )


def _started(execution: Execution) -> datetime:
    return utc(execution.startTime) or datetime.max.replace(tzinfo=UTC)


def _message_in(items: Sequence[LogItem]) -> str | None:
    """The last error, since it decides how the job ends (documented); else what was said last and is no debugging."""
    said = [item for item in _in_order(items) if _text(item) and _type(item) not in DEBUG]
    errors = [item for item in said if _type(item) in ERROR]
    return next((_text(item) for item in reversed(errors or said)), None)


def _in_order(items: Sequence[LogItem]) -> list[LogItem]:
    """By their id, which counts up (documented); that they come in this order is not."""
    return sorted(items, key=lambda item: item.logItemId or 0)


def _type(item: LogItem) -> str:
    return fold(str(item.type))


def _text(item: LogItem) -> str:
    if item.data is None:
        return ""
    return item.data if isinstance(item.data, str) else json.dumps(item.data, ensure_ascii=False)


def _list_in(response: Response) -> list[Any]:
    value = json_of(response)
    if not isinstance(value, list):
        raise senseless(response, "JSON that is not a list")
    return value


# Errors: neither their statuses nor their bodies are documented


def _submission_error_in(response: Response, flow: str) -> FlowrunnerError:
    """A 500 is no answer: nobody documents whether a job was started before it."""
    return _flow_error_in(response, flow, None if response.status == 500 else _said(response))


def _flow_error_in(response: Response, flow: str, said: str | None) -> FlowrunnerError:
    if response.status == 404 and said is not None:
        text = f"the vendor has no flow {flow!r}, or the key may not see it"
        return FlowNotFound(text, http_status=404, vendor_message=said)
    return error_for(response, said)


def _run_error_in(response: Response, ref: RunRef) -> FlowrunnerError:
    said = _said(response)
    if response.status == 404 and said is not None:
        text = f"the vendor has no job {ref.id!r} of flow {ref.flow!r}"
        return RunNotFound(text, http_status=404, vendor_message=said)
    return error_for(response, said)


def _said(response: Response) -> str | None:
    """The vendor's own words: a JSON text, or an object that says it somewhere (assumed).

    None where somebody else answers, a proxy or a wrong address, with a page or with nothing.
    """
    try:
        value = json_of(response)
    except ProtocolError:
        return None
    if isinstance(value, dict):
        said = (value.get(key) for key in ("message", "detail", "title"))
        return next((text for text in said if isinstance(text, str) and text), "")
    return value if isinstance(value, str) else None
