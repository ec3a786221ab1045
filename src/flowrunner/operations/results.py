"""The end of a run: waiting for it, what it made, and cancelling as a way to bring it about."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flowrunner.answering import complete_answers
from flowrunner.backend import Capability, Prompt
from flowrunner.enums import CancelOutcome, RunState
from flowrunner.errors import (
    FlowrunnerError,
    InputRequired,
    InvalidRequest,
    RunCancelled,
    RunFailed,
    RunLost,
    RunNotFound,
)
from flowrunner.follow import Wait
from flowrunner.models import RunResult
from flowrunner.operations.following import check
from flowrunner.operations.records import with_id
from flowrunner.operations.steps import ask
from flowrunner.plans import call
from flowrunner.states import needs_a_person

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import timedelta

    from flowrunner.backend import Outcome
    from flowrunner.follow import Deadline, Told
    from flowrunner.models import Artifact, ArtifactSource, AsyncArtifact, RunStatus
    from flowrunner.operations.context import Context
    from flowrunner.operations.following import Following
    from flowrunner.operations.records import RunRecord, Runs
    from flowrunner.operations.steps import Operation
    from flowrunner.plans import Lines, Plan

__all__ = ["Results"]


class Results:
    """Waits for the ends of runs, and reads what they made.

    Args:
        context: the connection.
        runs: what is known of its runs.
        following: how they are followed.
        artifact: makes the handle that a result shows of a vendor's artifact.
    """

    def __init__(
        self,
        context: Context,
        runs: Runs,
        following: Following,
        artifact: Callable[[ArtifactSource], Artifact | AsyncArtifact],
    ) -> None:
        self._context = context
        self._runs = runs
        self._following = following
        self._artifact = artifact

    def deadline(self, timeout: float | timedelta | None) -> Deadline:
        """When a wait that begins now is over."""
        return self._following.deadline(timeout)

    def wait(
        self, record: RunRecord, deadline: Deadline, until: str, *, raise_on_failure: bool
    ) -> Operation[RunResult]:
        """Follow the run to its end, or until it needs attention, and read its result."""
        yield from self._following.follow(record, _stop(until), deadline)
        return (yield from self._concluded(record, until, raise_on_failure=raise_on_failure))

    def waiting(self, record: RunRecord, timeout: float | timedelta | None, until: str, told: Told) -> Wait:
        """A wait as that of `wait`, for somebody who is told when it is over, and then concludes it."""
        wait = Wait(record, _stop(until), self.deadline(timeout), told)
        if wait.stop(record.known):
            told.tell(wait)
        else:
            with_id(record.ref)
            self._following.join(wait)
        return wait

    def conclude(self, record: RunRecord, wait: Wait, until: str, *, raise_on_failure: bool) -> Operation[RunResult]:
        """What `wait` does when the run stands as wanted."""
        check(wait)
        return (yield from self._concluded(record, until, raise_on_failure=raise_on_failure))

    def _concluded(self, record: RunRecord, until: str, *, raise_on_failure: bool) -> Operation[RunResult]:
        status = record.status
        if status.state is RunState.WAITING:
            if until == "attention":
                return RunResult(record.ref, status)
            raise (yield from self._input_required(record))
        return (yield from self._conclude(record, raise_on_failure=raise_on_failure))

    def _conclude(self, record: RunRecord, *, raise_on_failure: bool) -> Operation[RunResult]:
        """Read the result of a run that has ended, and raise if it did not end well."""
        try:
            result = yield from self.result(record)
        except FlowrunnerError as error:
            if record.status.state is RunState.SUCCEEDED or not raise_on_failure:
                raise
            failure = _failure(RunResult(record.ref, record.status))
            failure.add_note(f"Its details could not be read: {self._context.located(error)}")
            raise failure from error
        if raise_on_failure and result.status.state is not RunState.SUCCEEDED:
            raise _failure(result)
        return result

    def result(self, record: RunRecord) -> Operation[RunResult]:
        """The details of a finished run, read once."""
        yield from self._context.prepared()
        if not record.status.state.is_final:
            yield from self._runs.look(record)
        if not record.status.state.is_final:
            raise InvalidRequest(f"the run is {record.status.state} and has no result yet: wait for it first")
        if record.result is None or record.result.status.state is RunState.LOST:  # it may have reappeared
            record.result = yield from self._read(record)
        return record.result

    def _read(self, record: RunRecord) -> Operation[RunResult]:
        if record.status.state is RunState.LOST:
            return RunResult(record.ref, record.status)
        asked_at = self._context.monotonic()
        try:
            outcome: Outcome = record.outcome or (yield from ask(self._context.backend.result(with_id(record.ref))))
        except RunNotFound:
            if record.status.state is RunState.SUCCEEDED:
                raise
            return RunResult(record.ref, record.status)  # the vendor has cleaned up, and how it ended is known
        for seen in outcome.observations:
            self._runs.apply(record, seen, asked_at)
        artifacts: Any = tuple(self._artifact(source) for source in outcome.artifacts)
        hide = (self._context.masker | record.hidden).json
        outputs, raw = hide(dict(outcome.outputs)), hide(dict(outcome.raw))
        return RunResult(record.ref, record.status, outputs, artifacts, outcome.metrics, raw)

    def logs(self, record: RunRecord) -> Operation[Lines]:
        """The lines of the run's log."""
        yield from self._context.prepared()
        self._context.require(Capability.LOGS)
        return (yield from ask(self._context.backend.logs(with_id(record.ref))))

    def resume(self, record: RunRecord, answers: Mapping[str, Any]) -> Operation[RunStatus]:
        """Answer a run that waits for a person."""
        yield from self._context.prepared()
        self._context.require(Capability.RESUME)
        if record.status.state is not RunState.WAITING:
            yield from self._runs.look(record)
        if not needs_a_person(record.status):
            raise InvalidRequest(f"the run is {record.status.state} and does not wait for an answer")
        backend, ref = self._context.backend, with_id(record.ref)
        prompt = yield from ask(backend.prompt(ref))
        whole = yield from ask(_checked(prompt, answers))
        asked_at = self._context.monotonic()
        seen = yield from ask(backend.resume(ref, whole))
        self._runs.apply(record, seen, asked_at)
        return record.status

    def _input_required(self, record: RunRecord) -> Operation[InputRequired]:
        status, prompt, problem = record.status, Prompt(), None
        if Capability.RESUME in self._context.backend.capabilities:
            try:
                prompt = yield from ask(self._context.backend.prompt(with_id(record.ref)))
            except FlowrunnerError as error:
                problem = self._context.located(error)
        required = InputRequired(
            f"the run waits for a person ({status.reason}): answer with resume(), or wait with until='attention'",
            status=status,
            schema=prompt.schema,
            model=prompt.model,
            form=prompt.form,
        )
        if problem is not None:
            required.add_note(f"What it asks could not be read: {problem}")
        return required

    def cancel(self, record: RunRecord) -> Operation[CancelOutcome]:
        """Ask the vendor to cancel the run."""
        yield from self._context.prepared()
        self._context.require(Capability.CANCEL)
        asked_at = self._context.monotonic()
        answer = yield from ask(self._context.backend.cancel(with_id(record.ref)))
        self._runs.cancel_answered(record, answer, asked_at)
        return answer.outcome


def _stop(until: str) -> Callable[[RunStatus], bool]:
    """Where a wait stops."""
    if until == "attention":
        return _needs_attention
    if until == "terminal":
        return _stops_a_wait
    raise InvalidRequest(f"until={until!r} is neither 'terminal' nor 'attention'")


def _stops_a_wait(status: RunStatus) -> bool:
    return status.state.is_final or needs_a_person(status)


def _needs_attention(status: RunStatus) -> bool:
    return status.state.is_final or status.state is RunState.WAITING


def _checked(prompt: Prompt, answers: Mapping[str, Any]) -> Plan[dict[str, Any]]:
    """The answers over the vendor's defaults, checked; in a thread, since loading the checker takes a while."""
    return (yield from call(lambda: complete_answers(prompt, answers)))


def _failure(result: RunResult) -> FlowrunnerError:
    status = result.status
    said = f": {status.message.strip()}" if status.message else ""
    if status.state is RunState.FAILED:
        return RunFailed(f"the run of {result.ref.flow!r} failed ({status.cause}){said}", result=result)
    if status.state is RunState.CANCELLED:
        return RunCancelled(f"the run of {result.ref.flow!r} was cancelled ({status.cause}){said}", result=result)
    return RunLost("the vendor no longer knows the run: how it ended cannot be known", result=result)
