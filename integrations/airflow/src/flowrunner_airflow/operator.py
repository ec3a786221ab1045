"""The operator: a task that has a flow run at a workflow server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import (
    AirflowException,
    AirflowFailException,
    AirflowRuntimeError,
    TaskDeferralTimeout,
)

import flowrunner
from flowrunner import Capability, FlowrunnerError, RunState, SubmitOptions, submission_key
from flowrunner_airflow import events
from flowrunner_airflow.following import follow, sentence
from flowrunner_airflow.hook import FlowrunnerHook
from flowrunner_airflow.link import RunLink
from flowrunner_airflow.notes import Notes
from flowrunner_airflow.outcome import failure, translated, tries_again
from flowrunner_airflow.starting import Starter, Work
from flowrunner_airflow.trigger import FollowTrigger, not_before

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from airflow.sdk import Context

    from flowrunner import Client, RunRef, RunResult
    from flowrunner_airflow.connections import Server
    from flowrunner_airflow.notes import Note

__all__ = ["FlowrunnerOperator"]


class FlowrunnerOperator(BaseOperator):
    """Starts a run once, follows it, and ends as it ends.

    Its XCom `return_value`, and `run_ref` as soon as there is a run, is the run's reference. An attempt goes on with
    the run of the attempt before, unless that run has ended and was reported; clearing the task starts a new one.

    Args:
        flow: what to run, in the vendor's spelling.
        parameters: values by name.
        payload: data for the flow.
        options: how to run it: the names and values of `flowrunner.SubmitOptions`.
        flowrunner_conn_id: the connection.
        wait: whether to wait for the end; without, the task has succeeded when the run was started.
        deferrable: whether the triggerer waits; else the worker does.
        xcoms: what of the result becomes an XCom of that name: `outputs`, `artifacts`, `metrics`.
        logs: whether the vendor's log of the run goes into the task's, at the end.
        ends_in_triggerer: whether a success ends the task right in the triggerer. That saves starting a worker, half of
            what a task costs Airflow. Without a worker there are no events of assets, so it goes with neither
            `outlets` nor `logs`.
        cancel_on_kill: whether the run is cancelled when a user ends the task, or its `execution_timeout` does.
        retries: as for every operator, but at least one unless it is given: what is lost on the way, the next attempt
            finds again.
        **kwargs: as for every operator.
    """

    template_fields: Sequence[str] = ("flow", "parameters", "payload", "options", "flowrunner_conn_id")
    template_fields_renderers: ClassVar[dict[str, str]] = {"parameters": "json", "options": "json"}
    operator_extra_links = (RunLink(),)
    ui_color = "#dcebf5"

    def __init__(
        self,
        *,
        flow: str,
        parameters: Mapping[str, Any] | None = None,
        payload: Any = None,
        options: Mapping[str, Any] | None = None,
        flowrunner_conn_id: str = FlowrunnerHook.default_conn_name,
        wait: bool = True,
        deferrable: bool = True,
        xcoms: Collection[str] = (),
        logs: bool = False,
        ends_in_triggerer: bool = False,
        cancel_on_kill: bool = True,
        retries: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(retries=tries_again() if retries is None else retries, **kwargs)
        if unknown := set(xcoms) - set(events.DETAILS):
            raise ValueError(f"xcoms takes {', '.join(events.DETAILS)}, not {', '.join(sorted(unknown))}")
        if ends_in_triggerer and (logs or self.outlets):
            raise ValueError("ends_in_triggerer leaves no worker to do what logs and outlets ask for: leave one out")
        self.flow = flow
        self.parameters = parameters
        self.payload = payload
        self.options = options
        self.flowrunner_conn_id = flowrunner_conn_id
        self.wait = wait
        self.deferrable = deferrable
        self.xcoms = tuple(xcoms)
        self.logs = logs
        self.ends_in_triggerer = ends_in_triggerer
        self.cancel_on_kill = cancel_on_kill

    # What belongs to the process of one attempt; an operator is copied and pickled, so these have class defaults.
    run_page: str = ""
    _server: Server | None = None
    _notes: Notes
    _ref: RunRef | None = None
    _is_killed: bool = False

    def execute(self, context: Context) -> str:
        """Start the run, or find it, and wait for it or have it waited for."""
        self._notes = Notes(context)
        try:
            with self._client() as client:
                return self._carry_out(client, context)
        except FlowrunnerError as error:
            raise translated(error) from error

    def execute_complete(self, context: Context, event: dict[str, Any] | str) -> str:
        """Go on where the trigger has stopped waiting."""
        self._notes = Notes(context)
        if isinstance(event, str):  # `dag.test()` resumes also what has ended in the triggerer
            return str(context["ti"].xcom_pull(key="run_ref"))
        result = events.result_of(event)
        try:
            with self._client() as client:
                self._know(result.ref)
                return self._conclude(client, context, result)
        except FlowrunnerError as error:
            raise translated(error) from error

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """As every operator, but that the task's time is over means here, too, that the task is killed."""
        try:
            return super().resume_execution(next_method, next_kwargs, context)
        except TaskDeferralTimeout:
            self._cancel_what_is_noted(context)
            raise

    def _cancel_what_is_noted(self, context: Context) -> None:
        if not self.cancel_on_kill:
            return
        try:
            if (note := Notes(context).read()) is None:
                return
            self._server, self._ref = self._hook().get_server(), note.ref
        except (AirflowException, AirflowRuntimeError) as error:
            self.log.warning("The task's run could not be cancelled: %s", error)
        else:
            self.on_kill()

    def on_kill(self) -> None:
        """Cancel the run, over a client of its own: this interrupts what the task does, which may hold any lock."""
        self._is_killed = True
        if not self.cancel_on_kill or self._server is None or self._ref is None or self._ref.id is None:
            return
        try:
            with flowrunner.connect(**self._server.settings) as client:
                self.log.info("Run %s is cancelled: %s", self._ref, client.attach(self._ref).cancel())
        except FlowrunnerError as error:
            self.log.warning("Run %s could not be cancelled: %s", self._ref, error)

    # The parts of an attempt

    def _hook(self) -> FlowrunnerHook:
        return FlowrunnerHook(self.flowrunner_conn_id)

    def _client(self) -> Client:
        self._server = self._hook().get_server()
        return flowrunner.connect(**self._server.settings)

    def _carry_out(self, client: Client, context: Context) -> str:
        self._go_on_if_alive()
        run = self._starter(client, context).run()
        self._know(run.ref)
        if self._is_killed:  # when there was no run yet that could be cancelled
            self.on_kill()
        self._go_on_if_alive()
        context["ti"].xcom_push(key="run_ref", value=str(run.ref))
        if not self.wait:
            return str(run.ref)
        if self.deferrable and not run.status.state.is_final:
            self._defer(run.ref)
        return self._conclude(client, context, follow(run, self.log, details=bool(self.xcoms)))

    def _go_on_if_alive(self) -> None:
        """Begin nothing in a task that was killed: nobody would hear of it."""
        if self._is_killed:
            raise AirflowException("The task was killed before it waited for a run of its own")

    def _starter(self, client: Client, context: Context) -> Starter:
        # An attempt's own id is in no other attempt's key, nor in that of another Airflow with the same DAGs.
        key = submission_key("airflow", self.dag_id, self.task_id, str(context["ti"].id))
        work = Work(self.flow, self.parameters, self.payload, self._options(), key)
        return Starter(client, work, self._notes, self.log, self.wait)

    def _options(self) -> SubmitOptions | None:
        try:
            return SubmitOptions(**self.options) if self.options else None
        except TypeError as error:
            raise AirflowFailException(f"options: {error}") from error

    def _know(self, ref: RunRef) -> None:
        """Say which run it is, and have it at hand for whatever ends this."""
        self._ref = ref
        self.run_page = "" if self._server is None else self._server.page_of(ref)
        self.log.info("Run %s", ref)

    def _defer(self, ref: RunRef) -> NoReturn:
        note = self._notes.read()
        is_old = note is not None and self._notes.is_old(note)
        trigger = FollowTrigger(
            self.flowrunner_conn_id,
            str(ref),
            submitted_at=None if note is None else note.submitted_at.isoformat(),
            details=self.xcoms,
            ends_task=self.ends_in_triggerer and not is_old,
            not_before=not_before(),
            cancel_on_kill=self.cancel_on_kill,
        )
        self.defer(trigger=trigger, method_name="execute_complete", timeout=self.execution_timeout)

    def _conclude(self, client: Client, context: Context, result: RunResult) -> str:
        """End as the run has ended, unless that is no answer for this attempt: then start a new one."""
        note = self._notes.read()
        if note is not None and (self._notes.is_old(note) or self._was_cancelled_before(note, result)):
            self.log.warning("Run %s of before %s; a new one is started", result.ref, sentence(result.status))
            self._notes.forget()
            return self._carry_out(client, context)
        self.log.info("Run %s %s", result.ref, sentence(result.status))
        if self.logs:
            self._copy_logs(client, result.ref)
        self._push(context, result)
        if result.status.state is not RunState.SUCCEEDED:
            self._notes.forget()
            raise failure(result, killed=self._is_killed)
        return str(result.ref)

    def _was_cancelled_before(self, note: Note, result: RunResult) -> bool:
        """Whether an attempt before may have cancelled the run when it was killed: that can take effect late."""
        is_cancelled = result.status.state is RunState.CANCELLED
        return is_cancelled and self.cancel_on_kill and not self._is_killed and self._notes.is_of_before(note)

    def _copy_logs(self, client: Client, ref: RunRef) -> None:
        if Capability.LOGS not in client.capabilities:
            self.log.info("%s shows no logs of runs", client.backend)
            return
        try:
            for line in client.attach(ref).logs():
                self.log.info("%s", line)
        except FlowrunnerError as error:
            self.log.warning("The log of run %s cannot be read: %s", ref, error)

    def _push(self, context: Context, result: RunResult) -> None:
        for name, value in events.told(result, self.xcoms).items():
            context["ti"].xcom_push(key=name, value=value)
