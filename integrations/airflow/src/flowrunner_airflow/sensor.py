"""The sensor: a task that waits for a run that something else has started."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, NoReturn

from airflow.sdk import BaseSensorOperator
from airflow.sdk.bases.sensor import PokeReturnValue
from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowSkipException

import flowrunner
from flowrunner import FlowrunnerError, RunState
from flowrunner_airflow import events
from flowrunner_airflow.following import sentence
from flowrunner_airflow.hook import FlowrunnerHook
from flowrunner_airflow.link import RunLink
from flowrunner_airflow.outcome import translated, tries_again
from flowrunner_airflow.trigger import FollowTrigger, not_before

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow.sdk import Context

    from flowrunner import RunRef, RunStatus

__all__ = ["FlowrunnerSensor"]


class FlowrunnerSensor(BaseSensorOperator):
    """Succeeds when a run has succeeded; fails for good when it has ended in any other way.

    It never cancels a run. Its XCom `return_value` is the run's reference.

    Args:
        ref: the run, as `str(run.ref)` gives it, such as the XCom of a `FlowrunnerOperator` with `wait=False`.
        flowrunner_conn_id: the connection.
        deferrable: whether the triggerer waits; else the worker looks every `poke_interval`.
        retries: as for every sensor, but at least one unless it is given: a vendor that could not be asked for long is
            asked again.
        **kwargs: as for every sensor.
    """

    template_fields: Sequence[str] = ("ref", "flowrunner_conn_id")
    operator_extra_links = (RunLink(),)
    ui_color = "#dcebf5"

    def __init__(
        self,
        *,
        ref: str,
        flowrunner_conn_id: str = FlowrunnerHook.default_conn_name,
        deferrable: bool = True,
        retries: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(retries=tries_again() if retries is None else retries, **kwargs)
        self.ref = ref
        self.flowrunner_conn_id = flowrunner_conn_id
        self.deferrable = deferrable

    run_page: str = ""

    def execute(self, context: Context) -> Any:
        """Wait, or have it waited."""
        if not self.deferrable:
            return super().execute(context)
        if (told := self._look(context)).is_done:
            return told.xcom_value
        return self._defer()

    def _defer(self) -> NoReturn:
        trigger = FollowTrigger(self.flowrunner_conn_id, self.ref, not_before=not_before(), cancel_on_kill=False)
        self.defer(trigger=trigger, method_name="execute_complete", timeout=timedelta(seconds=self.timeout))

    def poke(self, context: Context) -> PokeReturnValue:  # noqa: ARG002 - as Airflow calls it
        """Look once; a vendor that cannot be asked for now is asked again."""
        server = FlowrunnerHook(self.flowrunner_conn_id).get_server()
        try:
            with flowrunner.connect(**server.settings) as client:
                run = client.attach(self.ref)
                self.run_page = server.page_of(run.ref)
                status = run.refresh()
        except FlowrunnerError as error:
            if not error.transient:
                raise translated(error) from error
            self.log.warning("Run %s cannot be looked at yet: %s", self.ref, error)
            return PokeReturnValue(is_done=False)
        return PokeReturnValue(self._is_over(run.ref, status), xcom_value=str(run.ref))

    def _look(self, context: Context) -> PokeReturnValue:
        """As `poke`, and as every sensor does it where a failure is to be taken softly."""
        try:
            return self.poke(context)
        except AirflowException as error:
            if self.soft_fail or self.never_fail:
                raise AirflowSkipException(str(error)) from error
            raise

    def execute_complete(self, context: Context, event: dict[str, Any]) -> str:  # noqa: ARG002 - as Airflow calls it
        """Go on where the trigger has stopped waiting."""
        result = events.result_of(event)
        self.run_page = FlowrunnerHook(self.flowrunner_conn_id).get_server().page_of(result.ref)
        self._is_over(result.ref, result.status)
        return str(result.ref)

    def _is_over(self, ref: RunRef, status: RunStatus) -> bool:
        """Whether the run has succeeded; that it has ended otherwise is an error that no attempt will mend."""
        self.log.info("Run %s %s", ref, sentence(status))
        if status.state.is_final and status.state is not RunState.SUCCEEDED:
            raise AirflowFailException(f"Run {ref} ended: {sentence(status)}")
        return status.state.is_final
