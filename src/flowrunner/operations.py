"""What a client does, written once for sync and async.

An operation is a generator, as a plan is, one level above: it asks for plans to be carried out (`Ask`) and for time to
pass (`Pause`). It knows states, budgets and events; it knows no vendor and no HTTP. `Client` and `AsyncClient` perform
its steps.
"""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Generator
from typing import TYPE_CHECKING, Any, Final, Generic, TypeAlias, TypeVar

from attrs import evolve, frozen

from flowrunner import events
from flowrunner.backend import Capability, RunQuery, Submission
from flowrunner.errors import (
    ContactLost,
    FlowrunnerError,
    InputRequired,
    InvalidParameters,
    InvalidRequest,
    RunCancelled,
    RunFailed,
    RunLost,
    RunNotFound,
    UnsupportedOperation,
    UnsupportedOption,
    WaitTimeout,
)
from flowrunner.follow import Contact, HoldTrust, ends_following, pause_after
from flowrunner.models import (
    CancelOutcome,
    ParameterKind,
    RunRef,
    RunResult,
    RunState,
    RunStatus,
    SubmitOptions,
    WaitReason,
    seconds,
)
from flowrunner.nearmiss import suggestion
from flowrunner.parameters import problems
from flowrunner.secret import MASK
from flowrunner.states import Observation, Track, absent, cancel_answered, changed, mismatched, reduce

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from datetime import timedelta
    from pathlib import Path

    from flowrunner.backend import Accepted, Backend, Listed, Outcome, Settings
    from flowrunner.clock import Clock
    from flowrunner.config import Connection
    from flowrunner.events import Event, OnEvent
    from flowrunner.models import Artifact, ArtifactSource, AsyncArtifact, FlowInfo, FlowSpec, Health
    from flowrunner.plans import Page, Plan

__all__ = ["Ask", "Operation", "Operations", "Pause", "RunRecord", "Selection", "Watching"]

T = TypeVar("T")

HISTORY: Final = 200
"""Entries of a run's history that are kept."""
GRACE: Final = 5.0
"""Seconds by which a look may outlast the wait it is made for, so that `wait(timeout=0)` still gets an answer."""
DESCRIPTION_FRESH: Final = 300.0
"""Seconds for which a flow's description is good: workspaces are published again now and then."""
DESCRIPTION_RETRY: Final = 30.0
"""Seconds until a description that could not be read is asked for again."""
NEED_PEOPLE: Final = frozenset({WaitReason.USER_INPUT, WaitReason.FLOW_SELECTION})


@frozen
class Ask(Generic[T]):
    """Carry out a plan.

    Attributes:
        plan: fresh.
        retry: whether requests that may be repeated are.
        at_most: seconds to wait for an answer, where that is less than the request itself allows.
    """

    plan: Plan[T]
    retry: bool = True
    at_most: float | None = None


@frozen
class Pause:
    """Let time pass."""

    seconds: float


Operation: TypeAlias = Generator[Ask[Any] | Pause, Any, T]


def ask(plan: Plan[T], *, retry: bool = True, at_most: float | None = None) -> Operation[T]:
    """Have a plan carried out; what it returns or raises."""
    answer: T = yield Ask(plan, retry, at_most)
    return answer


def pause(length: float) -> Operation[None]:
    """Have so many seconds pass."""
    yield Pause(length)


class RunRecord:
    """All a client knows of one run.

    Attributes:
        ref: the run.
        track: what is known of its state; replaced under `lock`.
        history: what was known before, without payloads, oldest first.
        expected_flow: what the vendor must call the run's flow: an id may have been given to another run since.
        hidden: values of password parameters, which are masked in what the vendor says.
        born: when we first heard of it, in monotonic seconds.
        result: read once.
        changes: how many entries the history has had.
    """

    def __init__(self, ref: RunRef, track: Track, *, born: float, expected_flow: str | None = None) -> None:
        self.ref = ref
        self.track = track
        self.history: deque[RunStatus] = deque(maxlen=HISTORY)
        self.expected_flow = expected_flow
        self.hidden: tuple[str, ...] = ()
        self.born = born
        self.result: RunResult | None = None
        self.changes = 0
        self.lock = threading.Lock()

    @property
    def status(self) -> RunStatus:
        """What the caller sees."""
        return self.track.status

    def remember(self, old: RunStatus) -> None:
        """Note in the history what has changed since `old`."""
        if changed(old, self.status):
            self.history.append(self.status.without_raw())
            self.changes += 1


class Selection:
    """Which of the listed runs to show: each once, since runs move between pages, and so many at most."""

    def __init__(self, limit: int | None) -> None:
        self._limit = limit
        self._seen: set[str] = set()

    def is_full(self) -> bool:
        """Whether no more are wanted."""
        return self._limit is not None and len(self._seen) >= self._limit

    def takes(self, item: Listed) -> bool:
        """Whether the run is to be shown."""
        if item.id in self._seen:
            return False
        self._seen.add(item.id)
        return True


class Watching:
    """One caller's way through the changes of a run."""

    def __init__(self, operations: Operations, record: RunRecord, deadline: float | None) -> None:
        self._operations = operations
        self._record = record
        self._deadline = deadline
        self._position = record.changes
        self._ended = False

    def next(self) -> Operation[RunStatus | None]:
        """The next change; None after the final one."""
        if self._ended:
            return None
        record = self._record
        if record.changes == self._position and not record.status.state.is_final:
            remaining = None if self._deadline is None else self._deadline - self._operations.now()
            has_news = lambda _: record.changes > self._position  # noqa: E731 - it has one use
            yield from self._operations.follow(record, has_news, remaining, every_change=True)
        status = self._take()
        self._ended = status.state.is_final
        return status

    def _take(self) -> RunStatus:
        with self._record.lock:
            missed = min(self._record.changes - self._position, len(self._record.history))
            self._position = self._record.changes - max(missed - 1, 0)
            return self._record.status if missed <= 1 else self._record.history[-missed]


@frozen
class _Description:
    """A flow's description, or why there is none, until a moment in monotonic seconds."""

    spec: FlowSpec | None
    until: float


class Operations:
    """The operations of one connection.

    Args:
        connection: which.
        backend: the vendor.
        clock: time.
        on_event: the caller's function.
        artifact: makes the handle that a result shows of a vendor's artifact.
    """

    def __init__(
        self,
        connection: Connection,
        backend: Backend,
        *,
        clock: Clock,
        on_event: OnEvent | None,
        artifact: Callable[[ArtifactSource], Artifact | AsyncArtifact],
    ) -> None:
        self.name = connection.name
        self.backend = backend
        self.settings = connection.settings
        self._words = {**backend.words, **connection.settings.status_map}
        self._clock = clock
        self._on_event = on_event
        self._artifact = artifact
        self._secrets: tuple[str, ...] = ()
        self.keep_secret(connection.settings)
        self._descriptions: dict[str, _Description] = {}
        self._trust = HoldTrust()
        self._long_polls = 0
        self._lock = threading.Lock()

    def keep_secret(self, settings: Settings) -> None:
        """Hide these settings' credentials in everything that is shown; those known before stay hidden."""
        known = {*self._secrets, *(secret.reveal() for secret in settings.secrets())}
        self._secrets = tuple(sorted(known, key=len, reverse=True))

    # Submitting

    def submit(self, submission: Submission) -> Operation[RunRecord]:
        """Start a run, at most once."""
        spec = yield from self._check(submission)
        return (yield from self._start(submission, spec, self.backend.submit(submission)))

    def run(
        self, submission: Submission, timeout: float | timedelta | None, *, server_wait: bool, raise_on_failure: bool
    ) -> Operation[RunResult]:
        """Start a run and wait for it; with `server_wait`, the vendor is asked to answer when it has ended."""
        length = None if timeout is None else seconds(timeout)
        started = self._clock.monotonic()
        record = yield from self._run_at_vendor(submission, length) if server_wait else self.submit(submission)
        if server_wait and length is not None:
            length = max(0.0, length - (self._clock.monotonic() - started))
        try:
            return (yield from self.wait(record, length, "terminal", raise_on_failure=raise_on_failure))
        except FlowrunnerError as error:
            self.located(error, record.ref)
            raise

    def _run_at_vendor(self, submission: Submission, timeout: float | None) -> Operation[RunRecord]:
        self.require(Capability.SERVER_WAIT, "server_wait=True")
        spec = yield from self._check(submission)
        return (yield from self._start(submission, spec, self.backend.run(submission, timeout)))

    def submission(
        self,
        flow: str,
        parameters: Mapping[str, Any] | None,
        payload: Any,
        options: SubmitOptions | None,
        key: str | None,
    ) -> Submission:
        """What is to be run, checked against the capabilities.

        Raises:
            UnsupportedOperation: the backend cannot do something asked for.
        """
        options = options or SubmitOptions()
        parameters = dict(parameters or {})
        if payload is not None:
            self.require(Capability.PAYLOAD, "payload")
        if parameters:
            self.require(Capability.PARAMETERS, "parameters")
        if key is not None:
            self.require(Capability.RECONCILE, "key")
        for option in options.extra:
            if option not in self.backend.options:
                raise self._unknown_option(option)
        return Submission(flow=flow, parameters=parameters, payload=payload, options=options, key=key)

    def _unknown_option(self, option: str) -> UnsupportedOption:
        advice = suggestion(option, self.backend.options)
        return UnsupportedOption(f"backend {self.backend.name!r} has no option {option!r}: {advice}", option=option)

    def _start(self, submission: Submission, spec: FlowSpec | None, plan: Plan[Accepted]) -> Operation[RunRecord]:
        hidden = _passwords(spec, submission.parameters)
        ref = RunRef(self.name, self.backend.name, submission.flow, None, submission.key)
        try:
            accepted = yield from ask(plan)
        except FlowrunnerError as error:
            _hide_in(error, hidden)
            if hasattr(error, "handle"):
                error.handle = ref
            raise
        return self._accepted(evolve(ref, id=accepted.id), accepted.observation, hidden)

    def _accepted(self, ref: RunRef, observation: Observation, hidden: tuple[str, ...]) -> RunRecord:
        now = self._clock.monotonic()
        track = Track(status=RunStatus(state=RunState.QUEUED, observed_at=self._clock.now()), submitted_at=now)
        record = RunRecord(ref, track, born=now)
        record.hidden = hidden
        record.history.append(track.status)
        record.changes = 1
        self.emit(events.Submitted(connection=self.name, ref=ref))
        if observation.word is not None:
            self._apply(record, observation, now)
            record.track = evolve(record.track, seen=False)
        return record

    # Checking parameters

    def _check(self, submission: Submission) -> Operation[FlowSpec | None]:
        """Check the parameters, as far as the flow's description can be had."""
        if not self.settings.check_parameters or Capability.DESCRIBE not in self.backend.capabilities:
            return None
        spec = yield from self._description(submission.flow)
        found = problems(spec, submission.parameters) if spec is not None else {}
        if found:
            texts = "; ".join(f"{name} {text}" for name, text in found.items())
            raise InvalidParameters(f"the parameters do not fit {submission.flow!r}: {texts}", problems=found)
        return spec

    def _description(self, flow: str) -> Operation[FlowSpec | None]:
        now = self._clock.monotonic()
        known = self._descriptions.get(flow)
        if known is not None and now < known.until:
            return known.spec
        try:
            return (yield from self.describe(flow))
        except FlowrunnerError as error:
            if isinstance(error, InvalidRequest) and error.http_status is None:
                raise
            self._descriptions[flow] = _Description(None, now + DESCRIPTION_RETRY)
            self.emit(events.CheckSkipped(connection=self.name, flow=flow, error=self.located(error)))
            return None

    def describe(self, flow: str) -> Operation[FlowSpec]:
        """What a flow takes."""
        self.require(Capability.DESCRIBE, "describe()")
        spec = yield from ask(self.backend.describe(flow), retry=False)
        self._descriptions[flow] = _Description(spec, self._clock.monotonic() + DESCRIPTION_FRESH)
        return spec

    # Observing

    def attach(self, ref: RunRef | str) -> RunRecord:
        """A run that was started before, or elsewhere; nothing is asked."""
        ref = RunRef.parse(ref) if isinstance(ref, str) else ref
        if ref.connection != self.name:
            raise InvalidRequest(
                f"{ref} belongs to connection {ref.connection!r}, not to {self.name!r}: connect to that"
            )
        if not self._is_family(ref.backend):
            raise InvalidRequest(
                f"{ref} was made by backend {ref.backend!r}, which {self.backend.name!r} cannot follow"
            )
        state = RunState.UNKNOWN if ref.id is not None else RunState.SUBMITTING
        track = Track(status=RunStatus(state=state))
        return RunRecord(ref, track, born=self._clock.monotonic(), expected_flow=ref.flow or None)

    def _is_family(self, backend: str) -> bool:
        family = self.backend.family
        return backend in {self.backend.name, family} or backend.startswith(f"{family}-v")

    def refresh(self, record: RunRecord) -> Operation[RunStatus]:
        """Look at the run once."""
        yield from self._look(record)
        return record.status

    def _look(self, record: RunRecord, *, hold: float = 0.0, at_most: float | None = None) -> Operation[bool]:
        """Look at the run; whether the vendor has shown it."""
        ref = _with_id(record.ref)
        asked_at = self._clock.monotonic()
        try:
            seen = yield from ask(self.backend.observe(ref, hold), retry=False, at_most=at_most)
        except RunNotFound:
            if self._absent(record, asked_at):
                raise
            return False
        self._apply(record, seen, asked_at)
        return True

    def _apply(self, record: RunRecord, seen: Observation, asked_at: float) -> None:
        now = self._clock.now()
        seen = _masked(seen, record.hidden)
        with record.lock:
            old = record.track.status
            if seen.flow and record.expected_flow and seen.flow != record.expected_flow:
                record.track, anomaly = mismatched(record.track, seen.flow, record.expected_flow, observed_at=now)
            else:
                record.expected_flow = record.expected_flow or seen.flow
                record.track, anomaly = reduce(record.track, seen, self._words, asked_at=asked_at, observed_at=now)
            new = record.track.status
            record.remember(old)
        self._tell(record.ref, old, new, anomaly)

    def _absent(self, record: RunRecord, asked_at: float) -> bool:
        """Note that the vendor does not know the run; whether nobody has ever shown it to us."""
        with record.lock:
            old = record.track.status
            record.track, never_seen = absent(record.track, asked_at=asked_at, observed_at=self._clock.now())
            new = record.track.status
            record.remember(old)
        self._tell(record.ref, old, new, None)
        return never_seen

    def _tell(self, ref: RunRef, old: RunStatus, new: RunStatus, anomaly: str | None) -> None:
        if anomaly is not None:
            self.emit(events.Anomaly(connection=self.name, ref=ref, description=anomaly))
        if not changed(old, new):
            return
        if not new.recognized and new.vendor_status is not None and new.vendor_status != old.vendor_status:
            self.emit(events.UnknownWord(connection=self.name, ref=ref, word=new.vendor_status))
        self.emit(events.StatusChanged(connection=self.name, ref=ref, old=old, new=new))

    # Following

    def follow(
        self,
        record: RunRecord,
        until: Callable[[RunStatus], bool],
        timeout: float | None,
        *,
        every_change: bool = False,
    ) -> Operation[RunStatus]:
        """Look at the run until its status is as wanted.

        Args:
            record: the run.
            until: whether the status is as wanted; asked before the first look, too.
            timeout: seconds; 0 looks once.
            every_change: changes before the end matter, so the vendor is not asked to hold requests while more may
                come.

        Raises:
            WaitTimeout: the time is up; nothing has changed about the run.
            ContactLost: no look succeeded for `contact_budget`.
        """
        now = self._clock.monotonic()
        deadline = None if timeout is None else now + timeout
        contact = Contact(self.settings.contact_budget, now)
        while not until(record.status):
            remaining = None if deadline is None else deadline - self._clock.monotonic()
            length, error = yield from self._look_and_judge(record, contact, remaining, every_change=every_change)
            if until(record.status):
                break
            remaining = None if deadline is None else deadline - self._clock.monotonic()
            if remaining is not None and remaining <= 0:
                raise self._wait_timeout(record, timeout) from error
            if length > 0:
                yield from pause(length if remaining is None else min(length, remaining))
        return record.status

    def _look_and_judge(
        self, record: RunRecord, contact: Contact, remaining: float | None, *, every_change: bool
    ) -> Operation[tuple[float, FlowrunnerError | None]]:
        """Look once; how long to pause then, and what failed if it did."""
        hold = 0.0 if contact.failures else self._hold(record.status, remaining, every_change=every_change)
        at_most = None if remaining is None else max(remaining, 0.0) + GRACE
        started = self._clock.monotonic()
        try:
            shown = yield from self._look_held(record, hold, at_most)
        except FlowrunnerError as error:
            if ends_following(error):
                raise
            return self._lost_contact(record, contact, error, hold), error
        now = self._clock.monotonic()
        if contact.succeeded(now):
            self.emit(events.ContactRestored(connection=self.name, ref=record.ref))
        if hold and shown and self._trust.judge(hold, now - started, ended=record.status.state.is_final):
            return 0.0, None
        return pause_after(now - record.born, self.settings), None

    def _look_held(self, record: RunRecord, hold: float, at_most: float | None) -> Operation[bool]:
        if not hold:
            return (yield from self._look(record, at_most=at_most))
        with self._lock:
            self._long_polls += 1
        try:
            return (yield from self._look(record, hold=hold, at_most=at_most))
        finally:
            with self._lock:
                self._long_polls -= 1

    def _hold(self, status: RunStatus, remaining: float | None, *, every_change: bool) -> float:
        """Seconds to ask the vendor to hold the request for; 0 asks for an answer at once."""
        if Capability.LONG_POLL not in self.backend.capabilities or not self._trust:
            return 0.0
        if status.state is RunState.UNKNOWN or (every_change and status.state is not RunState.RUNNING):
            return 0.0
        if self._long_polls >= self.settings.max_long_polls:
            return 0.0
        hold = self.backend.max_hold if remaining is None else min(self.backend.max_hold, remaining)
        return hold if hold >= 1 else 0.0

    def _lost_contact(self, record: RunRecord, contact: Contact, error: FlowrunnerError, hold: float) -> float:
        """Note a failed look; how long to pause then."""
        self.located(error, record.ref)
        self.emit(events.ContactFailed(connection=self.name, ref=record.ref, error=error))
        if hold:
            self._trust.failed()
        if contact.failed(self._clock.monotonic()):
            raise ContactLost(
                f"no readable answer about the run for {self.settings.contact_budget:g} s; the last failure was: "
                f"{error.message}. The run is as it was, {record.status.state}: wait again when the vendor answers",
                status=record.status,
            ) from error
        return contact.pause(self.settings, error.retry_after)

    def _wait_timeout(self, record: RunRecord, timeout: float | None) -> WaitTimeout:
        return WaitTimeout(
            f"the run has not ended within {timeout:g} s and is {record.status.state}: it goes on, wait again",
            status=record.status,
        )

    def watch(self, record: RunRecord, timeout: float | timedelta | None) -> Watching:
        """The changes of a run from now on."""
        return Watching(self, record, None if timeout is None else self.now() + seconds(timeout))

    def now(self) -> float:
        """Monotonic seconds."""
        return self._clock.monotonic()

    def wait(
        self, record: RunRecord, timeout: float | timedelta | None, until: str, *, raise_on_failure: bool
    ) -> Operation[RunResult]:
        """Follow the run to its end, or until it needs attention, and read its result."""
        if until not in {"terminal", "attention"}:
            raise InvalidRequest(f"until={until!r} is neither 'terminal' nor 'attention'")
        stop = _needs_attention if until == "attention" else _stops_a_wait
        status = yield from self.follow(record, stop, None if timeout is None else seconds(timeout))
        if status.state is RunState.WAITING:
            if until == "attention":
                return RunResult(record.ref, status)
            raise _input_required(status)
        return (yield from self.conclude(record, raise_on_failure=raise_on_failure))

    def conclude(self, record: RunRecord, *, raise_on_failure: bool) -> Operation[RunResult]:
        """Read the result of a run that has ended, and raise if it did not end well."""
        try:
            result = yield from self.result(record)
        except FlowrunnerError as error:
            if record.status.state is RunState.SUCCEEDED or not raise_on_failure:
                raise
            result = RunResult(record.ref, record.status)
            failure = _failure(result)
            failure.add_note(f"Its details could not be read: {error}")
            raise failure from error
        if raise_on_failure and result.status.state is not RunState.SUCCEEDED:
            raise _failure(result)
        return result

    def result(self, record: RunRecord) -> Operation[RunResult]:
        """The details of a finished run, read once."""
        if not record.status.state.is_final:
            yield from self._look(record)
        if not record.status.state.is_final:
            raise InvalidRequest(f"the run is {record.status.state} and has no result yet: wait for it first")
        if record.result is None or record.result.status.state is RunState.LOST:  # it may have reappeared
            record.result = yield from self._read_result(record)
        return record.result

    def _read_result(self, record: RunRecord) -> Operation[RunResult]:
        if record.status.state is RunState.LOST:
            return RunResult(record.ref, record.status)
        asked_at = self._clock.monotonic()
        try:
            outcome: Outcome = yield from ask(self.backend.result(_with_id(record.ref)))
        except RunNotFound:
            if record.status.state is RunState.SUCCEEDED:
                raise
            return RunResult(record.ref, record.status)  # the vendor has cleaned up, and how it ended is known
        for seen in outcome.observations:
            self._apply(record, seen, asked_at)
        artifacts: Any = tuple(self._artifact(source) for source in outcome.artifacts)
        raw = _hide_within(dict(outcome.raw), record.hidden) if record.hidden else outcome.raw
        return RunResult(record.ref, record.status, outcome.outputs, artifacts, outcome.metrics, raw)

    # Cancelling

    def cancel(self, record: RunRecord) -> Operation[CancelOutcome]:
        """Ask the vendor to cancel the run."""
        self.require(Capability.CANCEL, "cancel()")
        asked_at = self._clock.monotonic()
        answer = yield from ask(self.backend.cancel(_with_id(record.ref)))
        with record.lock:
            old = record.track.status
            record.track = cancel_answered(record.track, answer.outcome)
            new = record.track.status
            record.remember(old)
        self._tell(record.ref, old, new, None)
        if answer.observation is not None:
            self._apply(record, answer.observation, max(asked_at, record.track.asked_at))
        return answer.outcome

    # Listing

    def run_query(self, state: Any, flow: str | None, limit: int | None) -> RunQuery:
        """Which runs to list.

        Raises:
            InvalidRequest: no such state, or a limit below zero.
        """
        self.require(Capability.LIST_RUNS, "runs()")
        if limit is not None and limit < 0:
            raise InvalidRequest(f"limit must not be less than 0, not {limit}")
        states: Iterable[Any] = () if state is None else [state] if isinstance(state, str) else state
        try:
            return RunQuery(states=frozenset(RunState(each) for each in states), flow=flow, limit=limit)
        except ValueError as error:
            raise InvalidRequest(f"{error}: states are {', '.join(RunState)}") from None

    def list_runs(self, query: RunQuery, cursor: Any) -> Operation[Page[Listed]]:
        """One page of runs."""
        return (yield from ask(self.backend.list_runs(query, cursor)))

    def listed(self, item: Listed) -> RunRecord:
        """The record of a run in a list."""
        ref = RunRef(self.name, self.backend.name, item.flow, item.id)
        now = self._clock.monotonic()
        record = RunRecord(ref, Track(), born=now, expected_flow=item.flow or None)
        self._apply(record, item.observation, now)
        return record

    def list_flows(self, cursor: Any) -> Operation[Page[FlowInfo]]:
        """One page of flows."""
        self.require(Capability.LIST_FLOWS, "flows()")
        return (yield from ask(self.backend.list_flows(cursor)))

    def health(self) -> Operation[Health]:
        """How the connection stands."""
        self.require(Capability.HEALTH, "health()")
        health = yield from ask(self.backend.health(), retry=False)
        return health if health.message is None else evolve(health, message=_hide(health.message, self._secrets))

    def download(self, artifact: ArtifactSource, to: Path) -> Operation[Path]:
        """Stream an artifact to a file."""
        yield from ask(self.backend.download(artifact, to))
        return to

    # Errors and events

    def require(self, capability: Capability, what: str) -> None:
        """Raise unless the backend has the capability; before any request."""
        if capability not in self.backend.capabilities:
            raise UnsupportedOperation(f"backend {self.backend.name!r} cannot do {what}: it lacks {capability.name}")

    def located(self, error: FlowrunnerError, ref: RunRef | None = None) -> FlowrunnerError:
        """The error, told where it happened and cleared of credentials; those it was raised from, too."""
        cause: BaseException | None = error
        while isinstance(cause, FlowrunnerError):
            cause.locate(connection=self.name, backend=self.backend.name, ref=ref)
            cause = cause.__cause__
        _hide_in(error, self._secrets)
        return error

    def emit(self, event: Event) -> None:
        """Tell the caller's function."""
        events.deliver(self._on_event, event)


def _with_id(ref: RunRef) -> RunRef:
    if ref.id is None:
        raise InvalidRequest(f"{ref} has no id: it is not known whether the vendor started this run")
    return ref


def _stops_a_wait(status: RunStatus) -> bool:
    return status.state.is_final or (status.state is RunState.WAITING and status.reason in NEED_PEOPLE)


def _needs_attention(status: RunStatus) -> bool:
    return status.state.is_final or status.state is RunState.WAITING


def _input_required(status: RunStatus) -> InputRequired:
    text = f"the run waits for a person ({status.reason}): answer it, or wait with until='attention'"
    return InputRequired(text, status=status)


def _failure(result: RunResult) -> FlowrunnerError:
    status = result.status
    said = f": {status.message.strip()}" if status.message else ""
    if status.state is RunState.FAILED:
        return RunFailed(f"the run of {result.ref.flow!r} failed ({status.cause}){said}", result=result)
    if status.state is RunState.CANCELLED:
        return RunCancelled(f"the run of {result.ref.flow!r} was cancelled ({status.cause}){said}", result=result)
    return RunLost("the vendor no longer knows the run: how it ended cannot be known", result=result)


def _passwords(spec: FlowSpec | None, parameters: Mapping[str, Any]) -> tuple[str, ...]:
    """The values of password parameters among those given."""
    kinds = {} if spec is None else {parameter.name: parameter.kind for parameter in spec.parameters}
    return tuple(
        str(value) for name, value in parameters.items() if kinds.get(name) is ParameterKind.PASSWORD and value
    )


def _hide_in(error: BaseException | None, hidden: tuple[str, ...]) -> None:
    """Mask in the error, and in those it was raised from."""
    while hidden and isinstance(error, FlowrunnerError):
        error.redact(lambda text: _hide(text, hidden))
        error = error.__cause__


def _hide(text: str, hidden: tuple[str, ...]) -> str:
    """Mask the values, as they are and as JSON writes them."""
    for value in hidden:
        for written in (value, json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1]):
            text = text.replace(written, MASK)
    return text


def _hide_within(value: Any, hidden: tuple[str, ...]) -> Any:
    """The JSON value, with the values masked in every text of it."""
    if isinstance(value, str):
        return _hide(value, hidden)
    if isinstance(value, list):
        return [_hide_within(item, hidden) for item in value]
    if isinstance(value, dict):
        return {key: _hide_within(item, hidden) for key, item in value.items()}
    return value


def _masked(seen: Observation, hidden: tuple[str, ...]) -> Observation:
    """What was seen, without the values of password parameters that the vendor echoes."""
    if not hidden:
        return seen
    raw = None if seen.raw is None else _hide(seen.raw.decode("utf-8", "surrogateescape"), hidden)
    return evolve(
        seen,
        message=None if seen.message is None else _hide(seen.message, hidden),
        raw=None if raw is None else raw.encode("utf-8", "surrogateescape"),
    )
