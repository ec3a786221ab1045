"""The run of a task: that which an earlier attempt has started, or a new one. Never two.

Before a run is submitted it is noted that it will be, and afterwards which one it is. Whatever dies in between, the
next attempt knows that there may be a run, and looks for it before it starts another.
"""

from __future__ import annotations

from datetime import UTC, datetime
from time import sleep
from typing import TYPE_CHECKING, Any, Final

from airflow.sdk.exceptions import AirflowException, AirflowFailException
from attrs import frozen

from flowrunner import (
    Capability,
    FlowrunnerError,
    ReconcileOutcome,
    RunRef,
    RunState,
    SubmissionUncertain,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow.sdk.types import Logger

    from flowrunner import Client, Reconciliation, Run, SubmitOptions
    from flowrunner_airflow.notes import Note, Notes

__all__ = ["Starter", "Work"]

ARRIVING: Final = 60.0
"""Seconds in which a submission may still arrive whose sender got no answer, or died."""


@frozen
class Work:
    """What a task has run.

    Attributes:
        flow: as `Client.submit` takes it, as are the others.
        key: for a backend that does something with a key.
    """

    flow: str
    parameters: Mapping[str, Any] | None
    payload: Any
    options: SubmitOptions | None
    key: str


@frozen
class Starter:
    """Starts the run of a task, or finds it.

    Attributes:
        client: the connection.
        work: what to run.
        notes: what the task has noted.
        log: where is said what was found.
        waits: whether the task waits for the end of its run.
    """

    client: Client
    work: Work
    notes: Notes
    log: Logger
    waits: bool = True

    def run(self) -> Run:
        """The task's run; it may have ended already.

        Raises:
            FlowrunnerError: nothing was started; or the vendor cannot be asked about the run that was.
            AirflowException: nobody knows whether there is a run.
        """
        note = self.notes.read()
        if note is None:
            return self.start()
        if note.ref.id is None:
            return self._look_for(note)
        return self._again(note)

    def start(self) -> Run:
        """A new run."""
        key = self.work.key if Capability.RECONCILE in self.client.capabilities else None
        note = self.notes.begin(RunRef(self.client.name, self.client.backend, self.work.flow, None, key))
        try:
            run = self._submit(key)
        except SubmissionUncertain as error:
            self.log.warning("%s", error)
            return self._look_for(note, error)
        except FlowrunnerError:
            self.notes.forget()
            raise
        self.notes.found(note, run.ref)
        return run

    def _submit(self, key: str | None) -> Run:
        work = self.work
        return self.client.submit(work.flow, work.parameters, payload=work.payload, options=work.options, key=key)

    # An earlier attempt knew its run

    def _again(self, note: Note) -> Run:
        """The run that is noted, if it is to be gone on with."""
        run = self.client.attach(note.ref, submitted_at=note.submitted_at)
        is_old = self.notes.is_old(note)
        if is_old and not self.waits:
            return self._anew(f"The task was cleared. Run {run.ref} of before is not waited for")
        state = self._state(run)
        if state is RunState.CANCELLED:  # with the attempt that was killed, as a rule
            return self._anew(f"Run {run.ref} of before was cancelled")
        if is_old and state.is_final:
            return self._anew(f"The task was cleared. Run {run.ref} of before {state}")
        if is_old:
            self.log.warning("The task was cleared. Run %s of before goes on; its end is awaited first", run.ref)
        else:
            self.log.info("Run %s was started by an earlier attempt (%s)", run.ref, state)
        return run

    def _state(self, run: Run) -> RunState:
        """How the run stands; as it was known, where the vendor cannot be asked for now."""
        try:
            return run.refresh().state
        except FlowrunnerError as error:
            if not error.transient:
                raise
            self.log.warning("Run %s cannot be looked at yet: %s", run.ref, error)
            return run.status.state

    def _anew(self, why: str) -> Run:
        self.log.warning("%s; a new one is started", why)
        return self.start()

    # An earlier attempt, or this one, knows of no answer

    def _look_for(self, note: Note, error: SubmissionUncertain | None = None) -> Run:
        """The run of a submission whose outcome is not known; or a new one, where there is certainly none."""
        self._let_arrive(note)
        run = self.client.attach(note.ref, submitted_at=note.submitted_at)
        found = run.reconcile()
        if found.outcome is ReconcileOutcome.FOUND:
            self.log.info("Run %s was found", run.ref)
            return self._again(self.notes.found(note, run.ref))
        if found.outcome is ReconcileOutcome.NOT_FOUND and error is None:
            return self._anew(f"What was submitted at {note.submitted_at:%H:%M:%S} UTC has started no run")
        if self.notes.is_old(note):
            return self._anew(f"The task was cleared. {_unknown(note, found)}")
        if found.outcome is ReconcileOutcome.NOT_FOUND:
            raise AirflowException(f"{error} No run of it was found; the next attempt starts one") from error
        raise AirflowFailException(f"{_unknown(note, found)} Look there, and clear the task to start a run") from error

    def _let_arrive(self, note: Note) -> None:
        age = (datetime.now(UTC) - note.submitted_at).total_seconds()
        if (rest := ARRIVING - age) > 0:
            self.log.info("What was submitted may still arrive: it is looked for in %.0f s", rest)
            sleep(rest)


def _unknown(note: Note, found: Reconciliation) -> str:
    when = f"Nobody knows whether the submission at {note.submitted_at:%Y-%m-%d %H:%M:%S} UTC started a run"
    if found.outcome is ReconcileOutcome.CANDIDATES:
        runs = ", ".join(ref.id or "" for ref in found.candidates)
        return f"{when}: {note.ref.connection} shows runs of {note.ref.flow!r} that may be it ({runs})."
    return f"{when}: {note.ref.connection} cannot tell."
