"""Jobs of FME Flow, as all versions of its API know them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attrs import field, frozen

from flowrunner.simulator.engine import EndedBy, JobState, Limits

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from flowrunner.simulator.engine import Job

_END_MESSAGES = {
    JobState.SUCCEEDED: "Translation Successful",
    JobState.FAILED: "Terminator: Termination Message: 'Translation Terminated'",
    JobState.CANCELLED: "Job cancelled. ",
}

# Assumed: the server's own words for its limits are not known.
_LIMIT_MESSAGES = {
    EndedBy.QUEUE_LIMIT: "Job cancelled: it was in the queue for longer than maxTimeInQueue.",
    EndedBy.RUN_LIMIT: "Job cancelled: it ran for longer than maxJobRuntime.",
    EndedBy.LIFE_LIMIT: "Job cancelled: it took longer than maxTotalLifeTime.",
}


@frozen
class SentData:
    """The bytes a caller sent along with a submission: not kept, only measured."""

    size: int
    sha256: str


@frozen(kw_only=True)
class JobNotes:
    """What a submission said that the engines do not care about; kept in `Job.notes`.

    Attributes:
        description: A text of the caller (V3 only).
        priority: As asked for; None if it was not (V3 only).
        rtc: Whether to run until cancelled (V3 only); echoed, not acted upon.
        directives: For those who are notified.
        success_topics: Whom to notify of a success.
        failure_topics: Whom to notify of a failure.
        data: What was sent along as the source data (V3 `transactdata` only).
    """

    description: str = ""
    priority: int | None = None
    rtc: bool = False
    directives: Mapping[str, str] = field(factory=dict)
    success_topics: tuple[str, ...] = ()
    failure_topics: tuple[str, ...] = ()
    data: SentData | None = None


_NO_NOTES = JobNotes()


def notes_of(job: Job) -> JobNotes:
    """Return what a submission said beside the work; nothing for a job that a test put into the pool itself."""
    return job.notes if isinstance(job.notes, JobNotes) else _NO_NOTES


@frozen
class Order:
    """A job asked for, its shape checked and its workspace not yet looked up."""

    repository: str
    workspace: str
    parameters: Mapping[str, Any]
    queue: str = ""
    limits: Limits = field(factory=Limits)
    notes: JobNotes = _NO_NOTES


def end_message(job: Job) -> str:
    """Say how a job that has ended did so."""
    return job.behaviour.message or _LIMIT_MESSAGES.get(job.ended_by or EndedBy.WORK, _END_MESSAGES[job.state])


@frozen
class Effort:
    """What a job cost so far. Times are in milliseconds."""

    elapsed: int
    cpu: int
    cpu_percent: float
    peak_memory: int


def effort(job: Job, now: datetime) -> Effort:
    """Tell what a job cost until now."""
    seconds = ((job.finished_at or now) - job.started_at).total_seconds() if job.started_at else 0.0
    share, memory = (90.0, 68437168) if seconds else (0.0, 0)
    return Effort(int(seconds * 1000), int(seconds * 900), share, memory)


def features(job: Job) -> int:
    """Return how many features a job wrote."""
    return job.behaviour.features if job.state is JobState.SUCCEEDED else 0


def engine_host(job: Job) -> str | None:
    """Return the host of the engine that has or had a job; None as long as it has none."""
    return "localhost" if job.engine else None


def engine_name(job: Job) -> str | None:
    """Return the engine that has or had a job; None as long as it has none."""
    return f"localhost_Engine{job.engine}" if job.engine else None
