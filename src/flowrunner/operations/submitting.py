"""Submitting: checking what is to be run, and starting it at most once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from attrs import evolve, frozen

from flowrunner import events
from flowrunner.backend import Capability, Submission
from flowrunner.errors import (
    FlowrunnerError,
    InvalidParameters,
    InvalidRequest,
    JournalError,
    SubmissionUncertain,
    UnsupportedOption,
)
from flowrunner.models import ParameterKind, RunRef, SubmitOptions
from flowrunner.nearmiss import suggestion
from flowrunner.operations.files import new_folder
from flowrunner.operations.ledger import LONGEST_WAIT
from flowrunner.operations.masking import NOTHING_HIDDEN, Masker
from flowrunner.operations.steps import ask
from flowrunner.parameters import problems

if TYPE_CHECKING:
    from datetime import timedelta

    from flowrunner.backend import Accepted
    from flowrunner.journal.values import Entry
    from flowrunner.models import FlowSpec, RemoteFile, RunResult
    from flowrunner.operations.context import Context
    from flowrunner.operations.files import Files
    from flowrunner.operations.ledger import Ledger
    from flowrunner.operations.records import RunRecord, Runs
    from flowrunner.operations.results import Results
    from flowrunner.operations.steps import Operation
    from flowrunner.plans import Plan

__all__ = ["Submitting", "check_options"]

DESCRIPTION_FRESH: Final = 300.0
"""Seconds for which a flow's description is good: workspaces are published again now and then."""
DESCRIPTION_RETRY: Final = 30.0
"""Seconds until a description that could not be read is asked for again."""


@frozen
class _Description:
    """A flow's description, or why there is none, until a moment in monotonic seconds."""

    spec: FlowSpec | None
    until: float


def check_options(options: Any) -> None:
    """Raise InvalidRequest where these are no options."""
    if not isinstance(options, SubmitOptions | None):
        raise InvalidRequest(f"options are SubmitOptions(...), they cannot be of type {type(options).__name__}")


def _given(parameters: Any) -> dict[str, Any]:
    if not isinstance(parameters, Mapping | None):
        kind = type(parameters).__name__  # what it holds may be secret
        raise InvalidRequest(f'parameters map names to values, as {{"NAME": "VALUE"}}; they cannot be of type {kind}')
    return {name: value for name, value in (parameters or {}).items() if value is not None}


class Submitting:
    """Starts runs on one connection."""

    def __init__(self, context: Context, runs: Runs, files: Files, results: Results, ledger: Ledger) -> None:
        self._context = context
        self._runs = runs
        self._files = files
        self._results = results
        self._ledger = ledger
        self._descriptions: dict[str, _Description] = {}

    def submit(self, submission: Submission) -> Operation[RunRecord]:
        """Start a run, at most once."""
        return (yield from self._start(submission))

    def run(
        self, submission: Submission, timeout: float | timedelta | None, *, server_wait: bool, raise_on_failure: bool
    ) -> Operation[RunResult]:
        """Start a run and wait for it; with `server_wait`, the vendor is asked to answer when it has ended.

        A payload always goes with a run that the vendor waits for, where it can: its other way is a detour.
        """
        deadline = self._results.deadline(timeout)
        yield from self._context.prepared()
        if server_wait:
            self._context.require(Capability.SERVER_WAIT)
            if deadline.length == 0:
                raise InvalidRequest("server_wait=True needs time: give a timeout above 0, or none")
        at_vendor = server_wait or (submission.payload is not None and self._context.backend.runs_payloads_at_once)
        record = yield from self._start(submission, wait=deadline.length, at_vendor=at_vendor)
        if not at_vendor:
            deadline = self._results.deadline(timeout)  # what it counts is waiting for the end
        try:
            return (yield from self._results.wait(record, deadline, "terminal", raise_on_failure=raise_on_failure))
        except FlowrunnerError as error:
            self._context.located(error, record.ref)
            raise

    @staticmethod
    def submission(
        flow: str,
        parameters: Mapping[str, Any] | None,
        payload: Any,
        options: SubmitOptions | None,
        key: str | None,
    ) -> Submission:
        """What is to be run; raises InvalidRequest where something is of a wrong type."""
        check_options(options)
        return Submission(
            flow=str(flow),  # an enum's member is its text
            parameters=_given(parameters),
            payload=payload,
            options=options or SubmitOptions(),
            key=key,
            upload_folder=new_folder(),
        )

    def _start(
        self, submission: Submission, *, wait: float | None = None, at_vendor: bool = False
    ) -> Operation[RunRecord]:
        yield from self._context.prepared()
        self._check_capabilities(submission)
        yield from self._files.check_payload(submission.payload)
        if (known := (yield from self._ledger.known(submission))) is not None:
            return (yield from self._remembered(known, submission))
        spec = yield from self._check_parameters(submission)
        parameters, uploads = yield from self._files.uploaded(_fitted(spec, submission.parameters))
        try:
            given = LONGEST_WAIT if at_vendor and wait is None else wait
            entry = yield from self._ledger.intend(submission, given if at_vendor else None)
            if entry is not None and not entry.is_new:  # another process was quicker
                yield from self._files.clear(uploads)
                return (yield from self._remembered(entry, submission))
            submission = evolve(submission, parameters=parameters, key=submission.key if entry is None else entry.key)
            backend = self._context.backend
            plan = backend.run(submission, wait) if at_vendor else backend.submit(submission)
            return (yield from self._accept(submission, spec, plan, uploads, entry))
        except FlowrunnerError as error:
            if not isinstance(error, SubmissionUncertain | JournalError):  # a run that may be there may need them
                yield from self._files.clear(uploads)
            raise

    def _remembered(self, entry: Entry, submission: Submission) -> Operation[RunRecord]:
        """The run that this key has started before."""
        record = self._runs.remembered(entry, (yield from self._ledger.last_change(entry)))
        if submission.parameters and self._describes():
            record.hidden = _passwords((yield from self._description(submission.flow)), submission.parameters)
        return record

    def _describes(self) -> bool:
        """Whether flows are described before they are run."""
        return self._context.settings.check_parameters and Capability.DESCRIBE in self._context.backend.capabilities

    def _accept(
        self,
        submission: Submission,
        spec: FlowSpec | None,
        plan: Plan[Accepted],
        uploads: tuple[RemoteFile, ...],
        entry: Entry | None,
    ) -> Operation[RunRecord]:
        hidden = _passwords(spec, submission.parameters)
        ref = RunRef(self._context.name, self._context.backend.name, submission.flow, None, submission.key)
        sent_at = self._context.now()
        try:
            accepted = yield from ask(plan)
        except SubmissionUncertain as error:
            hidden.error(error)
            error.handle = error.ref = ref
            self._runs.uncertain(ref, sent_at)
            yield from self._ledger.uncertain(entry, error)
            raise
        except FlowrunnerError as error:
            hidden.error(error)
            yield from self._ledger.refused(entry, error)
            raise
        except OSError as error:  # a file of ours; a body that ends too soon is no request
            unreadable = InvalidRequest(
                f"nothing was submitted: {error.filename or 'a file'}: {error.strerror or error}"
            )
            yield from self._ledger.refused(entry, unreadable)
            raise unreadable from error
        except GeneratorExit:  # the task was cancelled, or somebody pressed Ctrl-C
            self._ledger.abandoned(entry)
            raise
        yield from self._ledger.accepted(entry, accepted.id)
        record = self._runs.accepted(ref, accepted, hidden)
        record.uploads = (*uploads, *accepted.uploads)
        return record

    def _check_capabilities(self, submission: Submission) -> None:
        require = self._context.require
        if submission.payload is not None:
            require(Capability.PAYLOAD)
        if submission.parameters:
            require(Capability.PARAMETERS)
        self._ledger.check_key(submission.key)
        backend = self._context.backend
        for option in submission.options.extra:
            if option not in backend.options:
                advice = backend.instead.get(option) or suggestion(option, backend.options)
                raise UnsupportedOption(f"backend {backend.name!r} has no option {option!r}: {advice}", option=option)

    # Descriptions

    def _check_parameters(self, submission: Submission) -> Operation[FlowSpec | None]:
        """Check the parameters, as far as the flow's description can be had."""
        if not self._describes():
            return None
        known = self._descriptions.get(submission.flow)
        spec = yield from self._description(submission.flow)
        found = _problems(spec, submission)
        if found and known is not None and spec is known.spec:  # the flow may have been published again
            del self._descriptions[submission.flow]
            spec = yield from self._description(submission.flow)
            found = _problems(spec, submission)
        if found:
            texts = "; ".join(f"{name} {text}" for name, text in found.items())
            raise InvalidParameters(f"the parameters do not fit {submission.flow!r}: {texts}", problems=found)
        return spec

    def _description(self, flow: str) -> Operation[FlowSpec | None]:
        now = self._context.monotonic()
        known = self._descriptions.get(flow)
        if known is not None and now < known.until:
            return known.spec
        try:
            return (yield from self._describe(flow, retry=False))
        except FlowrunnerError as error:
            if isinstance(error, InvalidRequest) and error.http_status is None:
                raise
            self._descriptions[flow] = _Description(None, now + DESCRIPTION_RETRY)
            self._context.located(error)
            self._context.emit(events.CheckSkipped(connection=self._context.name, flow=flow, error=error))
            return None

    def describe(self, flow: str) -> Operation[FlowSpec]:
        """What a flow takes."""
        yield from self._context.prepared()
        self._context.require(Capability.DESCRIBE)
        return (yield from self._describe(flow, retry=True))

    def _describe(self, flow: str, *, retry: bool) -> Operation[FlowSpec]:
        spec = yield from ask(self._context.backend.describe(flow), retry=retry)
        self._descriptions[flow] = _Description(spec, self._context.monotonic() + DESCRIPTION_FRESH)
        return spec


def _problems(spec: FlowSpec | None, submission: Submission) -> dict[str, str]:
    found = problems(spec, submission.parameters) if spec is not None else {}
    if submission.payload is None:
        return found
    # It may stand for a required parameter.
    return {name: text for name, text in found.items() if name in submission.parameters}


def _fitted(spec: FlowSpec | None, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters, with a single value for one that takes a list made a list."""
    lists = {parameter.name for parameter in spec.parameters if parameter.multiple} if spec is not None else set()
    return {
        name: [value] if name in lists and not isinstance(value, list | tuple) else value
        for name, value in parameters.items()
    }


def _passwords(spec: FlowSpec | None, parameters: Mapping[str, Any]) -> Masker:
    """Hides the values of password parameters among those given."""
    kinds = {} if spec is None else {parameter.name: parameter.kind for parameter in spec.parameters}
    passwords = [str(value) for name, value in parameters.items() if kinds.get(name) is ParameterKind.PASSWORD]
    return Masker(passwords) if passwords else NOTHING_HIDDEN
