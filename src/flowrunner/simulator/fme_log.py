"""The log of a job: lines like those of FME, made of what its script says."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from flowrunner.simulator.engine import JobState
from flowrunner.simulator.fme_jobs import end_message, features

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from flowrunner.simulator.engine import Job


def log_of(job: Job) -> list[str]:
    """Return what a job wrote until now; nothing before it started. What is written stays as it is."""
    if job.started_at is None:
        return []
    lines = [_line(job.started_at, 0.0, *line) for line in _beginning(job)]
    if job.finished_at is not None:
        seconds = (job.finished_at - job.started_at).total_seconds()
        lines += [_line(job.started_at, seconds, *line) for line in _end(job)]
    return lines


def line_count(job: Job) -> int:
    """Return how many lines that is."""
    if job.started_at is None:
        return 0
    return sum(1 for _ in _beginning(job)) + (sum(1 for _ in _end(job)) if job.state.is_final else 0)


def _line(started: datetime, after: float, kind: str, text: str) -> str:
    """Write a line: time, processor time since the start and since the line before, severity, text (observed)."""
    when = started + timedelta(seconds=after)
    return f"{when:%Y-%m-%d %H:%M:%S}|{after:6.1f}|{0.0:5.1f}|{kind:<6}|{text}"


def _beginning(job: Job) -> Iterator[tuple[str, str]]:
    yield "INFORM", f"START - ProcessID: {1000 + job.id}, Thread Id: 0x1"
    yield "INFORM", f"Running workspace `{job.flow}'"
    for name in job.parameters:
        yield "INFORM", f"Published parameter `{name}' was given"
    yield "INFORM", "Reading source features"


def _end(job: Job) -> Iterator[tuple[str, str]]:
    for number in range(1, job.behaviour.warnings + 1):
        yield "WARN", f"Warning {number}: a feature was skipped"
    for number in range(1, job.behaviour.errors + 1):
        yield "ERROR", f"Error {number}: a feature could not be processed"
    yield "STATS", f"Total Features Written  {features(job)}"
    yield from _verdict(job)


def _verdict(job: Job) -> Iterator[tuple[str, str]]:
    counts = f"{job.behaviour.warnings} warning(s) ({features(job)} feature(s) output)"
    if job.state is JobState.SUCCEEDED:
        yield "INFORM", f"Translation was SUCCESSFUL with {counts}"
    else:
        yield "ERROR", end_message(job).strip()
        yield "INFORM", f"Translation FAILED with {job.behaviour.errors} error(s) and {counts}"
