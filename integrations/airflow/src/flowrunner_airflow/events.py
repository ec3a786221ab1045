"""What a trigger tells the task that resumes: plain JSON, without the vendor's payload, since Airflow keeps it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attrs import evolve

from flowrunner import RunResult
from flowrunner_airflow.outcome import is_hopeless, raised, said

if TYPE_CHECKING:
    from airflow.sdk.exceptions import AirflowException

__all__ = ["broken", "ended", "result_of"]


def ended(result: RunResult, *, details: bool) -> dict[str, Any]:
    """The run has ended.

    Args:
        result: what became of it.
        details: outputs, artifacts and metrics are wanted.
    """
    kept = evolve(result, raw={}, status=result.status.without_raw())
    if not details:
        kept = evolve(kept, outputs={}, artifacts=(), metrics={})
    return {"ended": kept.to_dict()}


def broken(error: Exception) -> dict[str, Any]:
    """The run cannot be followed any more, for now or for good; it is as it was."""
    return {"broken": said(error), "hopeless": is_hopeless(error)}


def result_of(event: dict[str, Any]) -> RunResult:
    """What became of the run.

    Raises:
        AirflowException: it could not be followed.
    """
    if "ended" in event:
        return RunResult.from_dict(event["ended"])
    error: AirflowException = raised(event["broken"], hopeless=event["hopeless"])
    raise error
