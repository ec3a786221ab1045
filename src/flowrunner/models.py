"""The values of the protocol: what a run is, how it stands, what it made.

All are frozen. Times are timezone-aware UTC datetimes; durations are seconds; progress is 0.0 to 1.0.
"""

from __future__ import annotations

from collections.abc import Mapping  # noqa: TC003 - attrs resolves the annotations of public values
from datetime import datetime, timedelta
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Self, TypeAlias, TypeVar
from urllib.parse import quote, unquote

from attrs import Attribute, asdict, evolve, field, frozen

from flowrunner.enums import Cause, ReconcileOutcome, RunState, WaitReason
from flowrunner.errors import ClientClosed, InvalidRequest

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable
    from pathlib import Path

__all__ = [
    "JSON_VERSION",
    "Artifact",
    "ArtifactSource",
    "AsyncArtifact",
    "FlowInfo",
    "FlowSpec",
    "Health",
    "MapItem",
    "ParameterKind",
    "ParameterSpec",
    "Progress",
    "Reconciliation",
    "RemoteFile",
    "RunRef",
    "RunResult",
    "RunStatus",
    "SubmitOptions",
    "destination",
    "file_name",
    "seconds",
]


T = TypeVar("T")

JSON_VERSION: Final = 1
"""Of what `to_dict` gives. A key may be added to it; what comes to mean something else is of another version."""

Progress: TypeAlias = "Callable[[int, int | None], object]"
"""Called with the bytes that have gone through, and those there are in all, where that is known."""


@frozen(kw_only=True)
class RunStatus:
    """What is known of a run at one moment.

    Attributes:
        state: the normalized state.
        vendor_status: the vendor's word as it was written, None where there was none.
        recognized: whether that word is in the vendor's map; an unknown word leaves the state as it was.
        cause: why a run failed or was cancelled.
        reason: what a waiting run waits for.
        message: what the vendor says about it.
        progress: 0.0 to 1.0 where the vendor tells; it never decides about the end.
        attempt: 1, and one more each time the vendor put a running run back into its queue.
        has_warnings: the vendor says that it succeeded with warnings.
        queued_at: when the vendor queued it, by the vendor's clock; so are the next two.
        started_at: when work on it began.
        finished_at: when it ended.
        observed_at: when the answer arrived, by our clock.
        raw: the vendor's answer, kept for the last word that was new or not recognized.
    """

    state: RunState = RunState.UNKNOWN
    vendor_status: str | None = None
    recognized: bool = True
    cause: Cause | None = None
    reason: WaitReason | None = None
    message: str | None = None
    progress: float | None = None
    attempt: int = 1
    has_warnings: bool = False
    queued_at: datetime | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    observed_at: datetime | None = None
    raw: bytes | None = field(default=None, repr=False)

    def without_raw(self) -> RunStatus:
        """The same without the vendor's payload."""
        return self if self.raw is None else evolve(self, raw=None)

    def to_dict(self) -> dict[str, Any]:
        """As JSON: enums by their value, times as ISO 8601, the vendor's payload as text."""
        return {"version": JSON_VERSION, **asdict(self, value_serializer=_jsonable)}

    @classmethod
    def from_dict(cls, mapping: Mapping[str, Any]) -> Self:
        """What `to_dict` made a mapping of. Of a payload that is not UTF-8 it has what could be read.

        Raises:
            InvalidRequest: it is no such mapping, or one of another version.
        """
        return _restored(cls, mapping)


@frozen
class RunRef:
    """Where a run lives: one line without secrets that finds it again, in another process too.

    Attributes:
        connection: the configured name, or `backend@host:port/prefix` for settings given inline.
        backend: the name of the backend it was submitted with.
        flow: the flow, in the vendor's spelling; empty where only the id is known.
        id: the vendor's id; None while the outcome of the submission is unknown.
        key: the caller's idempotency key.
    """

    connection: str
    backend: str
    flow: str
    id: str | None = None
    key: str | None = None

    def __str__(self) -> str:
        parts = [self.backend, self.connection, self.flow, self.id or ""]
        if self.key is not None:
            parts.append(self.key)
        return ":".join(["flowrunner", "1", *(quote(part, safe="", errors="surrogatepass") for part in parts)])

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read what `str()` wrote.

        Raises:
            InvalidRequest: the text is not a reference of this version.
        """
        scheme, *parts = text.strip().split(":")
        if scheme != "flowrunner" or len(parts) not in {5, 6}:
            raise InvalidRequest(
                f"{text!r} is not a run reference: expected flowrunner:1:BACKEND:CONNECTION:FLOW:ID, "
                "which is what str(run.ref) gives"
            )
        if parts[0] != "1":
            raise InvalidRequest(f"{text!r} is a run reference of version {parts[0]}, this flowrunner reads version 1")
        backend, connection, flow, run_id, *key = (unquote(part, errors="surrogatepass") for part in parts[1:])
        if not backend or not connection:
            raise InvalidRequest(f"{text!r} is not a run reference: it names no backend, or no connection")
        return cls(connection, backend, flow, run_id or None, key[0] if key else None)

    def to_dict(self) -> dict[str, Any]:
        """As JSON, for what keeps objects rather than texts."""
        return {"version": JSON_VERSION, **asdict(self)}

    @classmethod
    def from_dict(cls, mapping: Mapping[str, Any]) -> Self:
        """What `to_dict` made a mapping of.

        Raises:
            InvalidRequest: it is no such mapping, or one of another version.
        """
        return _restored(cls, mapping)


@frozen
class Reconciliation:
    """What came of looking for a run whose submission is uncertain.

    Attributes:
        outcome: what is known now.
        candidates: the runs that the vendor shows for it: of FOUND the run, and with it any twin that the same key
            started; of CANDIDATES all that fit, those queued nearest to the submission first. `Client.attach` takes
            each.
        as_of: when the vendor was asked.
    """

    outcome: ReconcileOutcome
    candidates: tuple[RunRef, ...] = ()
    as_of: datetime | None = None


@frozen
class MapItem:
    """What became of one set of parameters that was given to `map`.

    Attributes:
        index: its place among the sets, from 0.
        parameters: the set.
        run: its run, as it ended; None if nothing was started. Of a submission whose outcome is unknown it is
            SUBMITTING, and has no id.
        error: what went wrong with submitting or following it; None if the run came to its end, whatever that was.
    """

    index: int
    parameters: Mapping[str, Any] | None
    run: Any
    error: Exception | None = None


@frozen(kw_only=True)
class ArtifactSource:
    """A file a run made, as its backend describes it.

    Attributes:
        name: the file's name.
        location: its address or id at the vendor.
        media_type: where the vendor tells.
        size: bytes, where the vendor tells.
    """

    name: str
    location: str = field(repr=False)
    media_type: str | None = None
    size: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """As JSON; of an address without its query, where some servers put credentials."""
        shown = self.location.partition("?")[0]
        return {"name": self.name, "location": shown, "media_type": self.media_type, "size": self.size}


@frozen(kw_only=True)
class _Handle(ArtifactSource):
    _fetch: Callable[[ArtifactSource, Path, Progress | None], Any] | None = field(default=None, repr=False, eq=False)

    def __reduce__(self) -> tuple[Callable[[], Self], tuple[()]]:
        # What the artifact is travels; the client it came from stays behind.
        return partial(type(self), **asdict(self, filter=_is_data)), ()

    def _target(self, to: str | os.PathLike[str]) -> Path:
        """The file it goes to; this looks at the disk."""
        return destination(to, file_name(self.name))

    def _start(self, path: Path, progress: Progress | None) -> Any:
        if self._fetch is None:
            raise ClientClosed(
                f"artifact {self.name!r} left its client behind: attach the run again and download from there"
            )
        return self._fetch(self, path, progress)


def destination(to: str | os.PathLike[str], name: str) -> Path:
    """The file that something of this name is written to: `to`, or one in it where that is a folder.

    Raises:
        FileNotFoundError: `to` ends as a folder does, and there is none.
    """
    import errno
    import os
    from pathlib import Path

    path = Path(to)
    if path.is_dir():
        return path / name
    if os.fspath(to).endswith(("/", os.sep)):
        raise FileNotFoundError(errno.ENOENT, "there is no such folder to write to", str(path))
    return path


def file_name(name: str) -> str:
    """A vendor's name for a file without any folder, in the way of either system: it must stay where it was put.

    What no name should have, such as a line break or what turns the direction of writing round, becomes `_`; so does a
    dot in front, which hides a file, such as one that a shell obeys. A name that is longer than systems take is
    shortened before its extension.
    """
    from pathlib import PureWindowsPath

    plain = "".join(character if character.isprintable() else "_" for character in name)
    own = PureWindowsPath(plain).name
    if own in {"", ".", ".."}:
        return "artifact"
    seen = f"_{own[1:]}" if own.startswith(".") else own
    return _shortened(seen, PureWindowsPath(seen).suffix)


def _shortened(name: str, extension: str) -> str:
    """The name in as many bytes as systems take, which is 255, with some to spare for a number behind it."""
    if len(name.encode()) <= 240:
        return name
    end = extension if len(extension.encode()) <= 20 else ""
    return name.removesuffix(end).encode()[: 240 - len(end.encode())].decode(errors="ignore") + end


def _is_data(attribute: Attribute[Any], _value: object) -> bool:
    return attribute.name != "_fetch"


@frozen(kw_only=True)
class Artifact(_Handle):
    """A file a run made; a handle to download it with.

    Attributes:
        name: the file's name.
        location: its address or id at the vendor.
        media_type: where the vendor tells.
        size: bytes, where the vendor tells.
    """

    def download(self, to: str | os.PathLike[str], *, progress: Progress | None = None) -> Path:
        """Stream the content to a file, which appears under its name only when it is whole.

        Args:
            to: the file, or a folder that takes the artifact under its own name. A file that is there is replaced:
                where runs give their artifacts the same name, each wants a folder of its own.
            progress: called with the bytes that came, and those there are in all, where that is known.

        Returns:
            The file.

        Raises:
            TransportError: the way there failed; nothing is left behind.
            OSError: the file cannot be written, or `to` ends in `/` and is no folder; nothing is left behind.
            ClientClosed: the artifact was unpickled, or its client is closed.
        """
        path: Path = self._start(self._target(to), progress)
        return path


@frozen(kw_only=True)
class AsyncArtifact(_Handle):
    """As `Artifact`, downloaded by an `AsyncClient`.

    Attributes:
        name: the file's name.
        location: its address or id at the vendor.
        media_type: where the vendor tells.
        size: bytes, where the vendor tells.
    """

    async def download(self, to: str | os.PathLike[str], *, progress: Progress | None = None) -> Path:
        """As `Artifact.download`."""
        import asyncio

        path: Path = await self._start(await asyncio.to_thread(self._target, to), progress)
        return path


@frozen
class RunResult:
    """What a run made, as far as the vendor tells.

    Attributes:
        ref: the run.
        status: how it ended.
        outputs: what the flow returned, by name.
        artifacts: files to download.
        metrics: numbers about the run, by name; every unit is part of the name or said in the backend's docs.
        raw: the vendor's answers, decoded, by what was asked.
    """

    ref: RunRef
    status: RunStatus
    outputs: Mapping[str, Any] = field(factory=dict)
    artifacts: tuple[Artifact, ...] | tuple[AsyncArtifact, ...] = ()
    metrics: Mapping[str, float] = field(factory=dict)
    raw: Mapping[str, Any] = field(factory=dict, repr=False)

    def to_dict(self) -> dict[str, Any]:
        """As JSON, as far as it can travel: of artifacts all but the way to download them, see `from_dict`."""
        return {
            "version": JSON_VERSION,
            "ref": str(self.ref),
            "status": self.status.to_dict(),
            "outputs": dict(self.outputs),
            "artifacts": [artifact.to_dict() for artifact in self.artifacts],
            "metrics": dict(self.metrics),
            "raw": dict(self.raw),
        }

    @classmethod
    def from_dict(cls, mapping: Mapping[str, Any]) -> Self:
        """What `to_dict` made a mapping of.

        Each of its artifacts is an `Artifact` with name, media type, size, and location without its query. It has no
        client: to download it, attach the run again, `client.attach(result.ref)`, and ask for its result.

        Raises:
            InvalidRequest: it is no such mapping, or one of another version.
        """
        return _restored(cls, mapping)


class ParameterKind(StrEnum):
    """What a parameter takes."""

    TEXT = "text"
    PASSWORD = "password"  # noqa: S105 - the name of a kind
    NUMBER = "number"
    INTEGER = "integer"
    BOOLEAN = "boolean"
    CHOICE = "choice"
    DATE = "date"
    DATETIME = "datetime"
    FILE = "file"
    FOLDER = "folder"
    URL = "url"
    COLOR = "color"
    OBJECT = "object"
    """A JSON object, or a list of them with `multiple`."""
    CONNECTION = "connection"
    """The name of a database or web connection at the vendor."""
    MESSAGE = "message"
    """Text for a person; it takes no value."""
    OTHER = "other"
    """A kind this version does not know: its values are left to the server."""


@frozen(kw_only=True)
class ParameterSpec:
    """One parameter of a flow.

    Attributes:
        name: what it is called in a submission.
        kind: what it takes.
        required: whether the vendor says so; None where it does not say.
        default: what the server uses without a value; None where there is none.
        choices: the values offered, empty where any value goes.
        open_choices: whether other values than the offered are taken too.
        multiple: whether it takes a list.
        minimum: the least number it takes.
        maximum: the greatest number it takes.
        minimum_exclusive: whether the least number itself is not taken.
        maximum_exclusive: whether the greatest number itself is not taken.
        multiple_of: a number must be a multiple of it.
        prompt: the label a person sees.
        group: the labels of the groups it stands in, outermost first.
        role: `source` or `destination`, of a parameter that names a dataset the flow reads or writes.
        disables: which other parameters a value of this one puts out of use.
        vendor_type: the vendor's own word for the kind.
    """

    name: str
    kind: ParameterKind = ParameterKind.OTHER
    required: bool | None = None
    default: Any = None
    choices: tuple[Any, ...] = ()
    open_choices: bool = False
    multiple: bool = False
    minimum: float | None = None
    maximum: float | None = None
    minimum_exclusive: bool = False
    maximum_exclusive: bool = False
    multiple_of: float | None = None
    prompt: str | None = None
    group: tuple[str, ...] = ()
    role: str | None = None
    disables: Mapping[str, tuple[str, ...]] = field(factory=dict)
    vendor_type: str | None = None


@frozen
class FlowSpec:
    """What a flow takes: its parameters, groups flattened, in the vendor's order.

    Attributes:
        flow: the flow, in the vendor's spelling.
        parameters: a specification for each.
    """

    flow: str
    parameters: tuple[ParameterSpec, ...] = ()

    def parameter(self, name: str) -> ParameterSpec | None:
        """The parameter of this name."""
        return next((spec for spec in self.parameters if spec.name == name), None)


@frozen(kw_only=True)
class FlowInfo:
    """A flow that can be run.

    Attributes:
        flow: what a submission names it by.
        title: what people call it, where the vendor tells.
        description: what the vendor says about it.
    """

    flow: str
    title: str | None = None
    description: str | None = None


@frozen(kw_only=True)
class Health:
    """How a connection stands.

    Attributes:
        reachable: something answered that speaks the vendor's API.
        authenticated: the credential was accepted; None where that could not be found out.
        healthy: the vendor says that it can work; None where it does not say.
        version: of the vendor's server, in its own words.
        message: what is wrong, or what the vendor says.
        api: which of its interfaces is spoken, for a vendor that has several.
    """

    reachable: bool
    authenticated: bool | None = None
    healthy: bool | None = None
    version: str | None = None
    message: str | None = None
    api: str | None = None


@frozen(kw_only=True)
class RemoteFile:
    """A file at the vendor; it stands for itself as the value of a parameter.

    Attributes:
        name: the file's name.
        reference: how a parameter refers to it.
        size: bytes, where it is known.
    """

    name: str
    reference: str
    size: int | None = None

    def __str__(self) -> str:
        return self.reference


def _names(given: str | Iterable[str]) -> tuple[str, ...]:
    """One name, or several: a text is one, not its letters."""
    return (given,) if isinstance(given, str) else tuple(given)


@frozen(kw_only=True)
class SubmitOptions:
    """How to run, beside what to run. An option a backend cannot honour is an error, never dropped.

    Attributes:
        queue: the vendor's queue.
        description: a text kept with the run.
        max_run_time: seconds (or a timedelta) of work after which the vendor cancels.
        max_queue_time: seconds (or a timedelta) in the queue after which the vendor gives up.
        success_topics: topics the vendor notifies on success.
        failure_topics: topics the vendor notifies on failure.
        directives: further names and values for the vendor's notification services.
        extra: options only some backends have, each checked against what the backend declares.
    """

    queue: str | None = None
    description: str | None = None
    max_run_time: float | timedelta | None = None
    max_queue_time: float | timedelta | None = None
    success_topics: tuple[str, ...] = field(default=(), converter=_names)
    failure_topics: tuple[str, ...] = field(default=(), converter=_names)
    directives: Mapping[str, str] = field(factory=dict)
    extra: Mapping[str, Any] = field(factory=dict)


def seconds(duration: float | timedelta) -> float:
    """A duration as the caller gave it, in seconds.

    Raises:
        InvalidRequest: it is less than nothing, or no number.
    """
    length = duration.total_seconds() if isinstance(duration, timedelta) else float(duration)
    if not length >= 0:
        raise InvalidRequest(f"a duration is 0 seconds or more, not {length:g}")
    return length


def _restored(cls: type[T], mapping: Mapping[str, Any]) -> T:
    from flowrunner.serialization import restored

    return restored(cls, mapping)


def _jsonable(_owner: object, _field: object, value: Any) -> Any:
    if isinstance(value, StrEnum):
        return value.value
    if isinstance(value, datetime):
        return value.isoformat()
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value
