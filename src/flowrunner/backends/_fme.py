"""What FME Flow's interfaces have in common: flows, credentials, errors, options and values."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from pathlib import PureWindowsPath
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar
from urllib.parse import unquote, urlsplit

from attrs import frozen

from flowrunner.answers import error_for, json_of
from flowrunner.backend import CancelAnswer, Settings, secret, setting
from flowrunner.convert import read
from flowrunner.enums import CancelOutcome, Cause, RunState, WaitReason
from flowrunner.errors import (
    FlowNotFound,
    FlowrunnerError,
    InvalidParameters,
    InvalidRequest,
    PermissionDenied,
    ProtocolError,
    RunNotFound,
    TransportError,
    UnsupportedOption,
)
from flowrunner.models import ArtifactSource, ParameterKind, RemoteFile, seconds
from flowrunner.pages import Glimpsed, glimpse
from flowrunner.plans import Request, send
from flowrunner.secret import Secret  # noqa: TC001 - annotations of settings are read at run time
from flowrunner.states import Meaning, Observation

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from flowrunner.backend import Backend
    from flowrunner.models import Progress, RunRef
    from flowrunner.plans import Plan, Response

__all__ = [
    "NO_ACCESS",
    "WORDS",
    "ErrorBody",
    "FmeSettings",
    "Items",
    "NoJobEndpoint",
    "answer_of",
    "artifacts_of",
    "authorization",
    "cancel_answer",
    "cancel_once",
    "check_extra",
    "dataset_role",
    "error_in",
    "fetch",
    "flow_error_in",
    "from_milliseconds",
    "glimpse_jobs",
    "id_of",
    "is_a",
    "json_value",
    "known_numbers",
    "not_found",
    "object_in",
    "offset_after",
    "outputs_of",
    "read_page",
    "root_of",
    "run_error_in",
    "split_flow",
    "whole_seconds",
]

F = TypeVar("F")

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


def check_extra(extra: Iterable[str], backend: type[Backend]) -> None:
    """See that an interface has the options: `fme-flow` takes those of both, and knows late which one it speaks.

    Raises:
        UnsupportedOption: it lacks one.
    """
    for option in extra:
        if option not in backend.options:
            raise UnsupportedOption(
                f"backend {backend.name!r} has no option {option!r}: {backend.instead[option]}", option=option
            )


def dataset_role(kind: ParameterKind, name: str, words: Iterable[str], *, must_exist: bool) -> str | None:
    """Whether a parameter names a dataset that the workspace reads or writes, as far as one can tell.

    Its type says so in some cases; FME itself names the parameters of datasets `SourceDataset_GML` and
    `DestDataset_SHAPE`; and what has to exist already is read.
    """
    if kind not in {ParameterKind.FILE, ParameterKind.FOLDER}:
        return None
    words, name = set(words), name.casefold()
    if words & {"SOURCE", "DEST", "DESTINATION"}:
        return "source" if "SOURCE" in words else "destination"
    if name.startswith(("source", "dest")):
        return "source" if name.startswith("source") else "destination"
    return "source" if must_exist or "SRC" in words else None


def whole_seconds(duration: float | timedelta | None, option: str) -> int | None:
    """A duration as the vendor takes it: whole seconds, at least one.

    Raises:
        InvalidRequest: it is shorter than a second.
    """
    if duration is None:
        return None
    length = seconds(duration)
    if not 1 <= length < float("inf"):
        raise InvalidRequest(f"option {option} is whole seconds, at least one second, not {length:g}")
    return int(length)


def _datetime_text(value: datetime) -> str:
    """`yyyymmddhhmmss`, with the fraction and the offset it has: `yyyymmddhhmmss.x(+/-)z` (documented; digits assumed).

    Without an offset it is the server's own time.
    """
    fraction = f".{value.microsecond:06d}".rstrip("0") if value.microsecond else ""
    offset = value.isoformat()[-6:] if value.tzinfo is not None else ""
    return f"{value.year:04d}{value:%m%d%H%M%S}{fraction}{offset}"


def json_value(name: str, value: Any) -> Any:
    """A parameter's value as JSON; dates as the vendor writes them (documented for V3's parameters).

    Raises:
        InvalidParameters: the value has no JSON form.
    """
    if isinstance(value, datetime):
        return _datetime_text(value)
    if isinstance(value, date):
        return f"{value.year:04d}{value:%m%d}"
    if isinstance(value, list | tuple):
        return [json_value(name, item) for item in value]
    if isinstance(value, dict):
        return {str(key): json_value(name, item) for key, item in value.items()}
    if isinstance(value, RemoteFile):
        return value.reference
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


# Jobs, whichever interface shows them


def id_of(ref: RunRef) -> str:
    """The job's id, of a run that has one."""
    return ref.id or ""


def run_error_in(response: Response, ref: RunRef) -> FlowrunnerError:
    """The error an answer stands for where a job was asked for.

    A 404 counts only in the vendor's own form, and not where it may mean a missing permission.
    """
    body = answer_of(response)
    if response.status == 404 and body is not None and NO_ACCESS not in body.message:
        return not_found(ref, response, body.message)
    return error_in(response)


def not_found(ref: RunRef, response: Response, message: str) -> RunNotFound:
    """The vendor says that it does not know the job."""
    return RunNotFound(
        f"the vendor has no run {ref.id!r}: {message}", http_status=response.status, vendor_message=message
    )


def cancel_answer(seen: Observation, state: RunState | None) -> CancelAnswer:
    """What became of a cancellation that was accepted, by a look at the job after it."""
    if state is RunState.CANCELLED:
        return CancelAnswer(CancelOutcome.CONFIRMED, seen)
    late = state is not None and state.is_final
    return CancelAnswer(CancelOutcome.TOO_LATE if late else CancelOutcome.REQUESTED, seen)


def cancel_once(backend: Backend, ref: RunRef, request: Request) -> Plan[Response | CancelAnswer]:
    """Send a request to cancel; where its answer is lost, look what became of it, since asking twice would mislead.

    Returns:
        The answer, or what a look showed after an answer that was lost.
    """
    try:
        return (yield from send(request))
    except TransportError as error:
        if not error.maybe_arrived:
            raise
        lost = error
    try:
        seen = yield from backend.observe(ref)
    except RunNotFound:
        return CancelAnswer(CancelOutcome.CONFIRMED)
    except FlowrunnerError as error:
        raise lost from error
    state = backend.state_of(seen)
    if state is None or not state.is_final:
        raise lost
    return cancel_answer(seen, state)


class NoJobEndpoint(ProtocolError):
    """The server does not know `POST /jobs`: another interface may. Nothing was started."""


def fetch(address: str, to: Path, progress: Progress | None) -> Plan[None]:
    """Stream a file to disk."""
    request = Request("GET", address, headers={"Accept": "*/*"}, save_to=to, progress=progress)
    response = yield from send(request)
    if not response.is_success:
        raise error_in(response)


def outputs_of(download_url: str | None) -> dict[str, Any]:
    """What a job returned: the address of a dataset, if it made one."""
    return {"download_url": download_url} if download_url else {}


def artifacts_of(download_url: str | None) -> tuple[ArtifactSource, ...]:
    """The dataset a job made, if any."""
    return (ArtifactSource(name=_file_name(download_url), location=download_url),) if download_url else ()


def _file_name(url: str) -> str:
    """A name for the file at the address that is safe in any folder, on any system."""
    try:
        path = unquote(urlsplit(url).path)
    except ValueError:
        path = ""
    name = "".join(character for character in PureWindowsPath(path).name if character.isprintable())
    return name if name.strip(".") else "result"


def known_numbers(metrics: Mapping[str, float | None]) -> dict[str, float]:
    """The metrics the vendor told."""
    return {name: value for name, value in metrics.items() if value is not None}


def from_milliseconds(duration: float | None) -> float | None:
    """Seconds, of what the vendor gives in milliseconds."""
    return None if duration is None else duration / 1000


# Answers


def object_in(response: Response) -> dict[str, Any]:
    """The JSON object in an answer; empty where it is something else."""
    value = json_of(response)
    return value if isinstance(value, dict) else {}


def is_a(response: Response, cls: type[Any]) -> bool:
    """Whether an answer can be read as the class."""
    try:
        read(response, cls)
    except FlowrunnerError:
        return False
    return True


@frozen
class Items:
    """A page. `limit` is what the server gave, whatever was asked for."""

    items: list[Any]
    totalCount: int | None = None
    limit: int | None = None


def read_page(response: Response) -> Items:
    """A page of whatever was listed."""
    if response.status != 200:
        raise error_in(response)
    return read(response, Items)


def glimpse_jobs(response: Response, form: type[F]) -> Glimpsed[F]:
    """A page of jobs, as glances."""
    if response.status != 200:
        raise error_in(response)
    return glimpse(response, form, key="items")


class Counted(Protocol):
    """A page of whatever kind, and what it tells of the others."""

    @property
    def items(self) -> Sequence[Any]:
        """What is on it."""
        ...

    @property
    def totalCount(self) -> int | None:  # noqa: N802 - as the wire has it
        """How many there are in all."""
        ...

    @property
    def limit(self) -> int | None:
        """How many the server gives a page."""
        ...


def offset_after(page: Counted, offset: int) -> int | None:
    """Where the next page starts. Without a total, a page shorter than its limit is the last."""
    after = offset + len(page.items)
    if not page.items:
        return None
    if page.totalCount is not None and page.totalCount >= 0:
        return after if after < page.totalCount else None
    return after if page.limit is not None and 0 < page.limit <= len(page.items) else None
