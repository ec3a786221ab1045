"""What a trigger tells the task that resumes: plain JSON, without the vendor's payload, since Airflow keeps it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from attrs import evolve

from flowrunner import RunResult
from flowrunner_airflow.outcome import is_hopeless, raised, said

if TYPE_CHECKING:
    from collections.abc import Collection

    from airflow.sdk.exceptions import AirflowException

__all__ = ["DETAILS", "broken", "ended", "result_of", "told"]


DETAILS: Final = ("outputs", "artifacts", "metrics")
"""What of a result somebody may want, beside how the run ended."""


def ended(result: RunResult, details: Collection[str]) -> dict[str, Any]:
    """The run has ended.

    Args:
        result: what became of it.
        details: which of these are wanted, too.
    """
    kept = evolve(result, raw={}, status=result.status.without_raw())
    dropped = {name: type(getattr(kept, name))() for name in DETAILS if name not in details}
    return {"ended": evolve(kept, **dropped).to_dict()}


def told(result: RunResult, details: Collection[str]) -> dict[str, Any]:
    """Which of these there are, as JSON, by name."""
    plain = result.to_dict()
    return {name: plain[name] for name in DETAILS if name in details}


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
