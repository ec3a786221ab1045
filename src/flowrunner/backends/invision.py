"""Profitbase InVision Data Flows: start a run, ask how it stands. There is nothing else in this interface.

Hardly any of it was seen at work; what the vendor documents is marked so, the rest is assumed and accepted both ways.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from attrs import frozen

from flowrunner.answers import error_for, json_of, senseless, submit_once
from flowrunner.backend import Accepted, Backend, Capability, Settings, refuse_options, secret, setting
from flowrunner.convert import read_item
from flowrunner.enums import Cause, RunState
from flowrunner.errors import FlowNotFound, FlowrunnerError, InvalidRequest, ProtocolError, RunNotFound
from flowrunner.plans import Request, path, send
from flowrunner.secret import Secret  # noqa: TC001 - annotations of settings are read at run time
from flowrunner.states import Meaning, Observation

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flowrunner.backend import Submission
    from flowrunner.models import RunRef
    from flowrunner.plans import Plan, Response

__all__ = ["InVision", "InVisionSettings"]

API: Final = "/api/pub/v1"
AWAIT_MAX: Final = 24 * 3600.0
"""Seconds to wait for `await=true` where the caller sets no limit: a run takes "seconds to hours" (documented)."""
REASONS: Final = ("message", "detail", "title", "error")
"""The keys that may say why a request was refused: those its framework usually has (assumed)."""


@frozen(kw_only=True)
class InVisionSettings(Settings):
    """The settings of an InVision connection."""

    base_url: str = setting("Address of InVision with its prefix, such as https://example.com/invision.")
    api_key: Secret = secret("API key of the category Data Flow Execution.")


@frozen
class Run:
    """The answer of both requests; its keys are matched without case."""

    runid: str | None = None
    status: str | None = None


class InVision(Backend):
    """Profitbase InVision. A flow is the id of a Data Flow."""

    backend_api = 1
    name = "invision"
    family = "invision"
    settings_class = InVisionSettings
    capabilities = frozenset({Capability.SERVER_WAIT})
    words: Mapping[str, Meaning] = {
        "pending": Meaning(RunState.QUEUED),
        "running": Meaning(RunState.RUNNING),
        "succeeded": Meaning(RunState.SUCCEEDED),
        "failed": Meaning(RunState.FAILED, cause=Cause.UNSPECIFIED),
    }

    settings: InVisionSettings

    @property
    def base_url(self) -> str:
        """The address, with its prefix and without the interface's own path."""
        address = self.settings.base_url.rstrip("/")
        return address[: -len(API)] if address.casefold().endswith(API) else address

    def authorize(self) -> Mapping[str, Secret]:
        """The key in a header; in the query, where the vendor takes it too, it would end up in logs."""
        return {"x-api-key": self.settings.api_key}

    def submit(self, submission: Submission) -> Plan[Accepted]:
        """`POST .../start`: answered at once (documented)."""
        return self._start(submission, wait=None)

    def run(self, submission: Submission, timeout: float | None) -> Plan[Accepted]:
        """`POST .../start?await=true`: answered when the run has ended.

        The id stands in that answer alone, and nothing lists runs: a connection that is cut loses the run.
        """
        return self._start(submission, wait=AWAIT_MAX if timeout is None else timeout)

    def _start(self, submission: Submission, *, wait: float | None) -> Plan[Accepted]:
        refuse_options(submission.options, backend=self.name)
        request = Request(
            "POST",
            API + path("dataflows", submission.flow, "start"),
            query=() if wait is None else (("await", "true"),),
            json={},  # some versions answer 415 to a request without a body of this type (documented in a changelog)
            repeatable=False,
            timeout=wait,
        )
        return submit_once(request, lambda response: _accepted(response, submission.flow))

    def observe(self, ref: RunRef, hold: float = 0.0) -> Plan[Observation]:  # noqa: ARG002 - it holds no requests
        """`GET .../runs/{runid}/status`. The interface wants the Data Flow's id beside the run's."""
        if not ref.flow:
            raise InvalidRequest("InVision finds a run by its Data Flow and its id: use the run's reference")
        response = yield from send(Request("GET", API + path("dataflows", ref.flow, "runs", ref.id or "", "status")))
        if response.status != 200:
            raise _run_error_in(response, ref)
        run = _run_in(response)
        if not run.status:
            raise senseless(response, "JSON without a status")
        return Observation(word=run.status, raw=response.content)


def _accepted(response: Response, flow: str) -> Accepted:
    if not response.is_success:
        raise _flow_error_in(response, flow)
    run = _run_in(response)
    if not run.runid:
        raise senseless(response, "JSON without a runId")
    return Accepted(run.runid, Observation(word=run.status or None, raw=response.content))


def _run_in(response: Response) -> Run:
    return read_item(_folded(json_of(response)), Run)


def _folded(value: Any) -> Any:
    return {str(key).casefold(): item for key, item in value.items()} if isinstance(value, dict) else value


def _flow_error_in(response: Response, flow: str) -> FlowrunnerError:
    if response.status == 404 and _is_json(response):
        return FlowNotFound(f"the vendor has no Data Flow {flow!r}, or the key may not see it", http_status=404)
    if response.status == 415:
        return InvalidRequest("the vendor refuses the type of the request's body (HTTP 415)", http_status=415)
    return _error_in(response)


def _run_error_in(response: Response, ref: RunRef) -> FlowrunnerError:
    if response.status == 404 and _is_json(response):
        return RunNotFound(f"the vendor has no run {ref.id!r} of {ref.flow!r}", http_status=404)
    return _error_in(response)


def _error_in(response: Response) -> FlowrunnerError:
    """A 500 may mean anything (documented), so it is no answer: whether a run was started is not known."""
    return error_for(response, _said(response) if response.status < 500 else None)


def _said(response: Response) -> str | None:
    """Why the interface refused the request; None where it is not the interface that answers."""
    if not _is_json(response):
        return None
    body = _folded(json_of(response))
    reasons = (body.get(key) for key in REASONS)
    return next((reason for reason in reasons if isinstance(reason, str) and reason), None)


def _is_json(response: Response) -> bool:
    """Whether the interface itself answers: a proxy, or a wrong prefix, answers with a page."""
    try:
        value: Any = json_of(response)
    except ProtocolError:
        return False
    return isinstance(value, dict)
