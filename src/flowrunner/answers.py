"""Reading answers: JSON out of bytes, errors out of status codes, and what a submission's answer leaves open.

What is here holds for HTTP and JSON as such. A vendor's own dialect belongs to its backend, which passes what it read
of it (`vendor_message`) to `error_for`.
"""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Final, TypeVar

from flowrunner.errors import (
    AuthenticationError,
    FlowrunnerError,
    InvalidRequest,
    PermissionDenied,
    ProtocolError,
    RateLimited,
    SubmissionUncertain,
    TransportError,
    VendorError,
)
from flowrunner.plans import send
from flowrunner.retries import answered, failure_in, leaves_open, may_pass

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from flowrunner.plans import Plan, Request, Response

__all__ = ["KEPT", "error_for", "json_of", "retry_after", "senseless", "submit_once"]

T = TypeVar("T")

KEPT: Final = 500
"""Characters of a senseless answer that an error keeps."""
MAX_DEPTH: Final = 100
"""Levels of lists and objects within each other that are read: the stack of who looks through them has an end."""
MAX_RETRY_AFTER: Final = 3600.0
"""No server may silence us for longer, in seconds."""


def json_of(response: Response) -> Any:
    """The JSON value in the body.

    Raises:
        ProtocolError: the body is not JSON, or nested without end.
    """
    try:
        value = _DECODER.decode(response.content.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        pass  # these errors hold the whole body, which is not for everybody's eyes
    else:
        if _may_be_deep(response.content) and _is_deep(value):
            raise senseless(response, f"JSON that is nested more than {MAX_DEPTH} levels deep")
        return value
    raise senseless(response, f"{kind_of(response.content.strip())} where JSON was expected")


def _may_be_deep(body: bytes) -> bool:
    """Whether there are brackets enough; most answers have fewer."""
    return body.count(b"[") + body.count(b"{") > MAX_DEPTH


_NESTING: Final = (dict, list)


def _is_deep(value: Any) -> bool:
    level = [[value]]
    for _ in range(MAX_DEPTH + 1):
        level = [inner for each in level for inner in _inside(each) if type(inner) in _NESTING]
    return bool(level)


def _inside(container: Any) -> Iterable[Any]:
    return container.values() if type(container) is dict else container


def kind_of(body: bytes) -> str:
    """What a body is that is not JSON."""
    return "HTML" if body.startswith(b"<") else "something that is not JSON" if body else "nothing"


def _reject_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _finite(number: str) -> float:
    value = float(number)
    if math.isinf(value):
        raise ValueError(f"{number} is too large")
    return value


_DECODER: Final = json.JSONDecoder(parse_constant=_reject_constant, parse_float=_finite)


TRY_AGAIN: Final = ": try again later, or ask its administrator"
"""Advice that is taken back where the request was a submission that may have started a run."""


def senseless(response: Response, what: str) -> ProtocolError:
    """The error of an answer that makes no sense."""
    return ProtocolError(
        f"the server answered {what} (HTTP {response.status}): "
        "check that base_url is the address of the vendor's server and that no proxy answers in its place",
        body=response.content[: 4 * KEPT].decode("utf-8", "replace")[:KEPT],
        http_status=response.status,
        transient=True,
    )


def error_for(response: Response, vendor_message: str | None = None) -> FlowrunnerError:
    """The error an answer stands for by its status alone.

    Args:
        response: an answer that is not the expected one.
        vendor_message: the vendor's own words; None where the body is not in the vendor's own form.
    """
    status, said = response.status, f": {vendor_message.rstrip('.')}" if vendor_message else ""
    context: dict[str, Any] = {"http_status": status, "vendor_message": vendor_message}
    if status == 401:
        return AuthenticationError(f"the vendor did not accept the credential{said}: check or renew it", **context)
    if status == 403:
        return PermissionDenied(f"the credential may not do this{said}: ask for the right, or use another", **context)
    if status == 429:
        wait = retry_after(response.headers)
        text = f"the vendor asks for fewer requests{said}: try again later, or lower requests_per_second"
        return RateLimited(text, retry_after=wait, transient=True, **context)
    if status >= 500:
        wait = retry_after(response.headers)
        text = f"the vendor failed (HTTP {status}){said}{TRY_AGAIN}"
        return VendorError(text, retry_after=wait, transient=True, **context)
    if 300 <= status < 400:
        to = response.headers.get("location", "nowhere")
        return senseless(response, f"with a redirect to {to}, which is not followed,")
    if 400 <= status < 500 and vendor_message is not None:
        failure = answered(status)
        transient = failure is not None and may_pass(failure)
        return InvalidRequest(f"the vendor refused the request (HTTP {status}){said}", transient=transient, **context)
    return senseless(response, "with something else")


def retry_after(headers: Mapping[str, str]) -> float | None:
    """The seconds a `Retry-After` header asks for, at most an hour; None without a readable one."""
    value = headers.get("retry-after", "").strip()
    try:
        wait = float(value)
    except ValueError:
        wait = _seconds_until(value)
    return min(max(wait, 0.0), MAX_RETRY_AFTER) if math.isfinite(wait) else None


def _seconds_until(date: str) -> float:
    try:
        moment = parsedate_to_datetime(date)
    except (ValueError, OverflowError):
        return math.nan
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return (moment - datetime.now(UTC)).total_seconds()


def submit_once(request: Request, read: Callable[[Response], T]) -> Plan[T]:
    """Send a submission and read its answer.

    Args:
        request: not repeatable.
        read: reads the answer, or raises what it stands for.

    Raises:
        SubmissionUncertain: it cannot be known whether a run was started; the cause is chained.
        FlowrunnerError: the submission was refused, or never arrived.
    """
    try:
        response = yield from send(request)
        return read(response)
    except FlowrunnerError as error:
        if not _leaves_open(error):
            raise
        error.redact(lambda text: text.removesuffix(TRY_AGAIN))
        raise SubmissionUncertain(
            f"it is not known whether the vendor started a run: {error.message}. It was not sent again; "
            "look at the vendor's list of runs before you do",
            http_status=error.http_status,
            vendor_message=error.vendor_message,
        ) from error


def _leaves_open(error: FlowrunnerError) -> bool:
    """Whether the vendor may have started a run all the same."""
    if isinstance(error, TransportError):
        return error.maybe_arrived
    failure = failure_in(error)
    return failure is not None and leaves_open(failure)
