"""The backend: a flow is a command line of the configuration, a run is a process on this machine.

Nothing here speaks HTTP: every plan yields a `Call`, whose function looks at the folder of a run. See `runs` for what
is there, and `keeper` for who writes it.
"""

from __future__ import annotations

import codecs
import json
import os
import re
import shlex
import time
from collections.abc import Mapping  # noqa: TC003 - annotations of settings are read at run time
from datetime import date, datetime
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING, Any, ClassVar, Final, TypeVar

from attrs import Attribute, Factory, frozen

from flowrunner import CancelOutcome, Capability, Cause, FlowInfo, Health, RunState
from flowrunner.backend import (
    Accepted,
    Backend,
    CancelAnswer,
    Listed,
    Outcome,
    Settings,
    refuse_options,
    setting,
)
from flowrunner.convert import structure, utc
from flowrunner.errors import (
    FlowNotFound,
    InvalidParameters,
    InvalidRequest,
    ProtocolError,
    RunNotFound,
    TransportError,
    VendorError,
)
from flowrunner.models import ArtifactSource
from flowrunner.plans import Page, call
from flowrunner.states import Meaning, Observation
from flowrunner_local.keeper import launch
from flowrunner_local.log_lines import LogLines
from flowrunner_local.runs import ENDED, ID, VANISHED, Order, Run, create, newest_first

if TYPE_CHECKING:
    from collections.abc import Callable

    from flowrunner import RunRef
    from flowrunner.backend import RunQuery, Submission
    from flowrunner.models import Progress
    from flowrunner.plans import Lines, Plan

__all__ = ["Local", "LocalSettings"]

T = TypeVar("T")

CANCEL_PATIENCE: Final = 1.0
"""Seconds that a cancellation waits for the end of the command, which mostly comes at once."""
CANCEL_PAUSE: Final = 0.02
CHUNK: Final = 256 * 1024
NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
"""What a parameter may be called: a variable of that name is what a shell can read."""
PROGRESS: Final = re.compile(rb"^::progress[ \t]+(\d+(?:\.\d+)?)%?[ \t]*([^\r\n]*)\r?\n", re.MULTILINE)
"""A line by which a command tells how far it is: `::progress 42 half of it`."""


def _commands(_owner: object, attribute: Attribute[Any], value: Mapping[str, Any]) -> None:
    for flow, command in value.items():
        if not _command(command):
            raise ValueError(f"{attribute.name}: {flow!r} is to be a command: a text, or a list of texts")


def _command(given: Any) -> list[str]:
    """The program and its arguments; nothing, if it is not that."""
    words = shlex.split(given) if isinstance(given, str) else given
    is_command = isinstance(words, list | tuple) and all(isinstance(word, str) for word in words)
    return list(words) if is_command else []


def _encoding(_owner: object, attribute: Attribute[Any], value: str) -> None:
    try:
        is_usable = "\n".encode(codecs.lookup(value).name) == b"\n"
    except LookupError:
        is_usable = False
    if not is_usable:
        raise ValueError(f"{attribute.name} is to be an encoding in which ASCII is as it is, not {value!r}")


def _not_negative(_owner: object, attribute: Attribute[Any], value: float) -> None:
    if value < 0:
        raise ValueError(f"{attribute.name} must not be less than 0, not {value}")


@frozen(kw_only=True)
class LocalSettings(Settings):
    """The settings of a connection to this machine. What commands are given may hold a secret, so it is not shown."""

    folder: Path = setting("A folder on a disk of this machine, for the runs; it is made when it is needed.")
    flows: Mapping[str, Any] = setting(
        'The flows: NAME = ["program", "argument"], or a text that is split as a shell would, and given to none.',
        validator=_commands,
        shown=False,
    )
    environment: Mapping[str, str] = setting(
        "Variables for the commands, beside those of the program that submits.", default=Factory(dict), shown=False
    )
    working_folder: Path | None = setting(
        "Where the commands work; if absent, each in the folder for its files.", default=None
    )
    encoding: str = setting("Encoding of what the commands write.", default="utf-8", validator=_encoding)
    cancel_grace: float = setting(
        "Seconds that a cancelled command has to end before it is killed.", default=10.0, validator=_not_negative
    )


@frozen
class Status:
    """How a run stands, as its `status.json` has it."""

    word: str | None = None
    flow: str | None = None
    message: str | None = None
    queued_at: datetime | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    exit_code: int | None = None


class Local(Backend):
    """Command lines, run on this machine."""

    backend_api = 1
    name = "local"
    family = "local"
    settings_class = LocalSettings
    capabilities = frozenset({
        Capability.CANCEL, Capability.LIST_RUNS, Capability.LIST_FLOWS, Capability.PARAMETERS, Capability.PROGRESS,
        Capability.LOGS, Capability.ARTIFACTS, Capability.PAYLOAD, Capability.HEALTH,
    })  # fmt: skip
    words: Mapping[str, Meaning] = {
        "queued": Meaning(RunState.QUEUED),
        "running": Meaning(RunState.RUNNING),
        "succeeded": Meaning(RunState.SUCCEEDED),
        "failed": Meaning(RunState.FAILED, cause=Cause.FLOW),
        "notstarted": Meaning(RunState.FAILED, cause=Cause.PLATFORM),
        "vanished": Meaning(RunState.FAILED, cause=Cause.INTERRUPTED),
        "cancelled": Meaning(RunState.CANCELLED, cause=Cause.UNSPECIFIED),
    }
    page_size: ClassVar[int] = 100

    settings: LocalSettings

    @property
    def _runs(self) -> Path:
        # A folder of its own below: where a disk is not mounted, there is a folder all the same, with nothing in it.
        return self.settings.folder / "runs"

    # Submitting

    def submit(self, submission: Submission) -> Plan[Accepted]:
        """Write down what to start, and have a keeper start it."""
        refuse_options(submission.options, backend=self.name)
        order = self._order(submission)
        payload = _payload(submission.payload)
        return (yield from call(lambda: self._start(order, payload)))

    def _order(self, submission: Submission) -> Order:
        settings, flow = self.settings, submission.flow
        if flow not in settings.flows:
            known = ", ".join(map(repr, settings.flows)) or "none"
            raise FlowNotFound(f"there is no flow {flow!r} among the configured ones: there are {known}")
        folder = settings.working_folder
        return Order(
            flow=flow,
            command=_command(settings.flows[flow]),
            parameters=_texts(submission.parameters),
            environment=dict(settings.environment),
            working_folder=None if folder is None else str(folder),
            cancel_grace=settings.cancel_grace,
        )

    def _start(self, order: Order, payload: bytes | Path | None) -> Accepted:
        """Start one run, which is on disk before its command runs: nothing is ever started again."""
        try:
            run, lock = create(self._runs, order, payload)
        except OSError as error:
            raise self._unusable("nothing was started, since the run cannot be written down", error) from error
        try:
            problem = launch(run, lock)
        finally:
            os.close(lock)
        if problem is not None and run.status()["word"] == VANISHED:
            run.remove()
            raise VendorError(f"the run has no keeper, so nothing was started: {problem}")
        return Accepted(run.path.name, Observation(word="queued", flow=order.flow))

    # Looking

    def _look(self, run_id: str | None, look: Callable[[Run], T]) -> T:
        """Look at the folder of a run; a disk that fails is what a broken connection is to others."""
        try:
            return look(self._run(run_id or ""))
        except OSError as error:
            raise self._unusable("how runs stand cannot be seen", error) from error
        except ValueError as error:
            raise ProtocolError(f"the status of run {run_id} makes no sense: {error}", transient=True) from error

    def _run(self, run_id: str) -> Run:
        path = self._runs / run_id
        if ID.fullmatch(run_id) and (path.is_dir() or not self._runs.is_dir()):
            return Run(path)
        raise RunNotFound(f"there is no run {run_id!r} in {self._runs}")

    def _unusable(self, what: str, error: OSError) -> TransportError:
        text = f"{what} in {self.settings.folder}: {error}. Check the disk, and what this user may do there"
        return TransportError(text, maybe_arrived=False)

    def observe(self, ref: RunRef, hold: float = 0.0) -> Plan[Observation]:  # noqa: ARG002 - nothing is held
        """Read the status, and the progress at the end of the log."""
        return (yield from call(lambda: self._look(ref.id, self._seen)))

    def _seen(self, run: Run) -> Observation:
        return self._observation(run.status(), run.tail())

    def _observation(self, raw: Mapping[str, Any], tail: bytes) -> Observation:
        status = structure(raw, Status)
        progress, text = _progress(tail, self.settings.encoding)
        return Observation(
            word=status.word,
            message=status.message or text,
            progress=progress,
            queued_at=utc(status.queued_at),
            started_at=utc(status.started_at),
            finished_at=utc(status.finished_at),
            flow=status.flow,
            raw=json.dumps(raw).encode(),
        )

    def cancel(self, ref: RunRef) -> Plan[CancelAnswer]:
        """Leave a note for the keeper, and give it a moment."""
        return (yield from call(lambda: self._look(ref.id, self._cancelled)))

    def _cancelled(self, run: Run) -> CancelAnswer:
        if run.status().get("word") not in ENDED:
            run.ask_to_cancel()
            _give_a_moment(run)
        seen = self._seen(run)
        if seen.word == "cancelled":
            return CancelAnswer(CancelOutcome.CONFIRMED, seen)
        return CancelAnswer(CancelOutcome.TOO_LATE if seen.word in ENDED else CancelOutcome.REQUESTED, seen)

    def logs(self, ref: RunRef) -> Plan[Lines]:
        """The log, to its end or to the end of the run."""
        yield from call(lambda: self._look(ref.id, lambda run: run.read_log(0)))
        return LogLines(
            lambda offset: self._look(ref.id, lambda run: run.read_log(offset)),
            self.settings.encoding,
        )

    # Results

    def result(self, ref: RunRef) -> Plan[Outcome]:
        """The status once more, and the files."""
        return (yield from call(lambda: self._look(ref.id, self._outcome)))

    def _outcome(self, run: Run) -> Outcome:
        raw, name = run.status(), run.path.name
        files = tuple(ArtifactSource(name=file, location=f"{name}/{file}", size=size) for file, size in run.files())
        seen = self._observation(raw, run.tail())
        metrics = _metrics(structure(raw, Status))
        return Outcome(observations=(seen,), artifacts=files, metrics=metrics, raw={"status": raw})

    def download(self, artifact: ArtifactSource, to: Path, progress: Progress | None) -> Plan[None]:
        """Copy a file."""
        run_id, _, file = artifact.location.partition("/")
        source = yield from call(lambda: self._look(run_id, lambda run: _inside(run.output, file)))
        yield from call(lambda: _copy(source, to, progress))

    # Listing

    def list_runs(self, query: RunQuery, cursor: Any = None) -> Plan[Page[Listed]]:
        """A page of runs; the cursor is the name of the last one of the page before."""
        return (yield from call(lambda: self._page(query, cursor)))

    def _page(self, query: RunQuery, cursor: str | None) -> Page[Listed]:
        try:
            left = [name for name in newest_first(self._runs) if cursor is None or name < cursor]
        except OSError as error:
            raise self._unusable("runs cannot be listed", error) from error
        names = left[: self.page_size]
        listed = [item for item in map(self._listed, names) if item is not None and self._wants(query, item)]
        return Page(tuple(listed), names[-1] if len(left) > len(names) else None)

    def _listed(self, name: str) -> Listed | None:
        """A run; one that is unreadable is shown as that, and does not hide the others."""
        try:
            seen = self._look(name, self._seen)
        except RunNotFound:
            return None  # it was removed in this moment
        except ProtocolError as error:
            seen = Observation(message=error.message)
        return Listed(name, seen.flow or "", seen)

    def _wants(self, query: RunQuery, item: Listed) -> bool:
        is_of_flow = query.flow is None or item.flow == query.flow
        return is_of_flow and (not query.states or self.state_of(item.observation) in query.states)

    def list_flows(self, cursor: Any = None) -> Plan[Page[FlowInfo]]:  # noqa: ARG002 - there is one page
        """The configured flows. A command line may hold what is not for everybody, so it is not shown."""
        yield from ()
        return Page(tuple(FlowInfo(flow=flow) for flow in self.settings.flows))

    def health(self) -> Plan[Health]:
        """Whether runs can be kept in the folder."""
        return (yield from call(self._health))

    def _health(self) -> Health:
        folder = self.settings.folder
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            return Health(reachable=False, message=f"the folder {folder} cannot be made: {error}")
        if os.access(folder, os.R_OK | os.W_OK | os.X_OK):
            return Health(reachable=True)
        return Health(reachable=False, message=f"the folder {folder} may not be written to by this user")


def _texts(parameters: Mapping[str, Any]) -> dict[str, str]:
    """The parameters as variables of a process have them."""
    problems = {name: problem for name, value in parameters.items() if (problem := _problem(name, value))}
    if problems:
        texts = "; ".join(f"{name!r} {text}" for name, text in problems.items())
        raise InvalidParameters(f"the parameters cannot be given to a command: {texts}", problems=problems)
    return {name: _text(value) for name, value in parameters.items()}


def _problem(name: str, value: Any) -> str | None:
    if not NAME.fullmatch(name):
        return "cannot be the name of a variable: use letters, digits and _"
    try:
        text = _text(value)
        text.encode()
    except (TypeError, ValueError) as error:
        return f"cannot be given as text: {error}"
    return "holds a NUL, which no variable can" if "\0" in text else None


def _text(value: Any) -> str:
    """Text as it is, dates in ISO 8601, everything else as JSON writes it."""
    if isinstance(value, str):
        return str(value)
    return value.isoformat() if isinstance(value, date) else json.dumps(value, ensure_ascii=False)


def _payload(given: Any) -> bytes | Path | None:
    if given is None or isinstance(given, bytes):
        return given
    if isinstance(given, str):
        return given.encode()
    if isinstance(given, os.PathLike):
        return Path(given)
    raise InvalidRequest(f"a payload is bytes, a text or a Path, not {type(given).__name__}")


def _progress(tail: bytes, encoding: str) -> tuple[float | None, str | None]:
    """The last progress that the end of a log tells of."""
    found = PROGRESS.findall(tail)
    if not found:
        return None, None
    percent, text = found[-1]
    return min(float(percent) / 100, 1.0), text.decode(encoding, "replace").strip() or None


def _give_a_moment(run: Run) -> None:
    """Wait until a run has ended that was just asked to, or patience has."""
    until = time.monotonic() + CANCEL_PATIENCE
    while run.status().get("word") not in ENDED and time.monotonic() < until:
        time.sleep(CANCEL_PAUSE)


def _metrics(status: Status) -> dict[str, float]:
    metrics: dict[str, float] = {}
    if status.exit_code is not None:
        metrics["exit_code"] = status.exit_code
    if status.started_at is not None and status.finished_at is not None:
        metrics["duration_seconds"] = (status.finished_at - status.started_at).total_seconds()
    return metrics


def _inside(folder: Path, file: str) -> Path:
    """A file of a run's own, and no other."""
    path = (folder / file).resolve()
    if path.is_relative_to(folder.resolve()) and path.is_file():
        return path
    raise InvalidRequest(f"the run has no file {file!r} any more")


def _copy(source: Path, to: Path, progress: Progress | None) -> None:
    """Copy a file, which appears under its name when it is whole."""
    part = to.with_name(f".{token_hex(8)}.part")
    done, total = 0, source.stat().st_size
    try:
        with source.open("rb") as content, part.open("xb") as file:
            while chunk := content.read(CHUNK):
                file.write(chunk)
                done += len(chunk)
                if progress is not None:
                    progress(done, total)
        part.replace(to)
    finally:
        part.unlink(missing_ok=True)
