"""What FME Flow's interfaces have in common: flows, credentials, errors, options and values."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from attrs import frozen

from flowrunner.answers import error_for, json_of
from flowrunner.backend import Settings, secret, setting
from flowrunner.errors import (
    FlowNotFound,
    FlowrunnerError,
    InvalidParameters,
    InvalidRequest,
    PermissionDenied,
    ProtocolError,
)
from flowrunner.models import Cause, RunState, WaitReason, seconds
from flowrunner.secret import Secret  # noqa: TC001 - annotations of settings are read at run time
from flowrunner.states import Meaning

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flowrunner.plans import Response

__all__ = ["WORDS", "FmeSettings", "answer_of", "authorization", "error_in", "root_of", "split_flow", "whole_seconds"]

NO_ACCESS: Final = "lack of proper permissions"
"""Part of the text with which the vendor answers 403, 404 or even 409: forbidden, or absent (observed in its CLI)."""

WORDS: Final[Mapping[str, Meaning]] = {
    # V4 (documented: queued, running, success, failure, cancelled)
    "queued": Meaning(RunState.QUEUED),
    "running": Meaning(RunState.RUNNING),
    "success": Meaning(RunState.SUCCEEDED),
    "failure": Meaning(RunState.FAILED, cause=Cause.UNSPECIFIED),
    "cancelled": Meaning(RunState.CANCELLED, cause=Cause.UNSPECIFIED),
    # Documented for V4 and contradicted on the same page; V3 calls a list so. It does not say how the job ended.
    "complete": Meaning(None),
    "completed": Meaning(None),
    # V3. Its words may show up in V4's results, which the vendor's own fixtures suggest.
    "submitted": Meaning(RunState.QUEUED),
    "delayed": Meaning(RunState.QUEUED),
    "paused": Meaning(RunState.WAITING, reason=WaitReason.PAUSED),
    "pulled": Meaning(RunState.RUNNING),
    "inprocess": Meaning(RunState.RUNNING),
    "fmefailure": Meaning(RunState.FAILED, cause=Cause.FLOW),
    "jobfailure": Meaning(RunState.FAILED, cause=Cause.PLATFORM),
    "aborted": Meaning(RunState.CANCELLED, cause=Cause.UNSPECIFIED),
    "deleted": Meaning(RunState.CANCELLED, cause=Cause.UNSPECIFIED),
}


@frozen(kw_only=True)
class FmeSettings(Settings):
    """The settings of an FME Flow connection."""

    base_url: str = setting("Address of the server, such as https://fme.example.com.")
    token: Secret = secret("API token of a user who may run the workspaces.")


def root_of(base_url: str) -> str:
    """The server's root. People copy addresses of its web pages and of its interfaces, too."""
    root = base_url.rstrip("/")
    for suffix in ("/fmeapiv4", "/fmerest/v3", "/fmeserver", "/fmeflow"):
        root = root.removesuffix(suffix)
    return root


def authorization(token: Secret) -> Mapping[str, Secret]:
    """The header that carries the token (documented)."""
    return {"Authorization": token.map(lambda value: f"fmetoken token={value}")}


def split_flow(flow: str) -> tuple[str, str]:
    """Repository and workspace of `Repository/workspace.fmw`.

    Raises:
        InvalidRequest: the flow is not written so.
    """
    repository, slash, workspace = flow.partition("/")
    if not slash or not repository or not workspace:
        raise InvalidRequest(f"flow {flow!r} is not written Repository/workspace.fmw")
    return repository, workspace


def whole_seconds(duration: float | timedelta | None, option: str) -> int | None:
    """A duration as the vendor takes it: whole seconds, at least one.

    Raises:
        InvalidRequest: it is shorter than a second.
    """
    if duration is None:
        return None
    length = seconds(duration)
    if length < 1:
        raise InvalidRequest(f"option {option} must be at least one second, not {length:g}")
    return int(length)


def json_value(name: str, value: Any) -> Any:
    """A parameter's value as JSON; dates as the vendor writes them (documented for V3's parameters).

    Raises:
        InvalidParameters: the value has no JSON form.
    """
    if isinstance(value, datetime):
        return value.strftime("%Y%m%d%H%M%S")
    if isinstance(value, date):
        return value.strftime("%Y%m%d")
    if isinstance(value, list | tuple):
        return [json_value(name, item) for item in value]
    if isinstance(value, dict):
        return {str(key): json_value(name, item) for key, item in value.items()}
    if value is None or isinstance(value, str | int | float):
        return value
    problem = f"a {type(value).__name__} cannot be sent: use text, a number, a boolean, a date, a list or a dict"
    raise InvalidParameters(f"parameter {name}: {problem}", problems={name: problem})


@frozen
class ErrorBody:
    """The vendor's own form of an error: `{"message": ..., "details": {field: reason}}` (observed)."""

    message: str
    details: Mapping[str, Any]


def answer_of(response: Response) -> ErrorBody | None:
    """The error in the body; None where the body is not in the vendor's own form: a proxy's page, or nothing."""
    try:
        body = json_of(response)
    except ProtocolError:
        return None
    if not isinstance(body, dict) or not isinstance(body.get("message"), str):
        return None
    details = body.get("details")
    return ErrorBody(body["message"], details if isinstance(details, dict) else {})


def error_in(response: Response) -> FlowrunnerError:
    """The error an answer stands for, whatever was asked."""
    body = answer_of(response)
    if body is None:
        return error_for(response)
    said = "; ".join([body.message, *(f"{field}: {reason}" for field, reason in body.details.items())])
    if NO_ACCESS in body.message and response.status in {404, 409}:
        return PermissionDenied(
            f"there is no such thing, or the credential may not see it: {body.message}",
            http_status=response.status,
            vendor_message=said,
            transient=True,
        )
    return error_for(response, said)


def flow_error_in(response: Response, flow: str) -> FlowrunnerError:
    """The error an answer stands for where a flow was asked for."""
    body = answer_of(response)
    if body is not None and response.status == 404:
        return FlowNotFound(
            f"the vendor has no flow {flow!r}, or the credential may not see it: {body.message} "
            "Names are case-sensitive and end in .fmw",
            http_status=404,
            vendor_message=body.message,
        )
    return error_in(response)
