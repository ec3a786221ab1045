"""What a task does about what happened to its run: fail for good, or fail and be tried again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from airflow.sdk.configuration import conf
from airflow.sdk.exceptions import AirflowException, AirflowFailException

from flowrunner import (
    Cause,
    ConfigError,
    FlowNotFound,
    FlowrunnerError,
    InvalidRequest,
    RunNotFound,
    RunState,
    UnsupportedOperation,
)
from flowrunner_airflow.following import sentence

if TYPE_CHECKING:
    from flowrunner import RunResult

__all__ = ["failure", "is_hopeless", "raised", "said", "translated", "tries_again"]

_HOPELESS: Final = (ConfigError, FlowNotFound, InvalidRequest, RunNotFound, UnsupportedOperation, AirflowFailException)
"""What the same call meets again, however often it is tried."""


def tries_again() -> int:
    """How many retries a task has unless it is told: at least one, since it finds again what was lost on the way."""
    of_all: int = conf.getint("core", "default_task_retries", fallback=0)
    return max(1, of_all)


def is_hopeless(error: Exception) -> bool:
    """Whether trying again cannot help."""
    return isinstance(error, _HOPELESS)


def said(error: Exception) -> str:
    """What happened, in a line."""
    return str(error) if isinstance(error, AirflowException) else f"{type(error).__name__}: {error}"


def raised(text: str, *, hopeless: bool) -> AirflowException:
    """An error of a task, which is tried again if there is hope."""
    return AirflowFailException(text) if hopeless else AirflowException(text)


def translated(error: FlowrunnerError) -> AirflowException:
    """An error of flowrunner as one of a task. Its run, if there is one, is found again by the next attempt."""
    return raised(said(error), hopeless=is_hopeless(error))


def failure(result: RunResult, *, killed: bool = False) -> AirflowException:
    """The error of a task whose run did not succeed.

    The work's own failure, and a cancellation, would only happen again, or were somebody's wish. What the server could
    not do, what was interrupted or lost, and what the vendor gives no cause for, may go well the next time, if the task
    has retries.

    Args:
        result: what became of the run.
        killed: it was cancelled because the task was killed, by its timeout or with its worker.
    """
    status = result.status
    is_final = status.cause is Cause.FLOW or status.state is RunState.CANCELLED
    return raised(f"Run {result.ref} ended: {sentence(status)}", hopeless=is_final and not killed)
