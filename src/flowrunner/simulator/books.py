"""What a simulated server really started: the truth that a client's own records are compared with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import frozen

from flowrunner.simulator.fme_jobs import notes_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from flowrunner.simulator.engine import EnginePool, Job


@frozen
class Submission:
    """A submission that acted.

    Attributes:
        id: The vendor's id of the run, as its API shows it.
        flow: What was started.
        description: The text that came with it (FME Flow V3 alone has one), where a caller's key may stand; or empty.
        job: The job as it is now, or would be if the server had not forgotten it.
        is_known: Whether the server still knows it.
        forgotten_at: When it forgot it, on the simulator's clock; None if it did not.
    """

    id: str
    flow: str
    description: str
    job: Job
    is_known: bool
    forgotten_at: datetime | None = None


def submissions(pool: EnginePool, run_id: Callable[[Job], str]) -> tuple[Submission, ...]:
    """Return the books of a server whose API shows a job under `run_id`."""
    flows = {job.id: job.flow for job in pool.submissions()}
    return tuple(
        Submission(
            id=run_id(job),
            flow=flows[job.id],
            description=notes_of(job).description,
            job=job,
            is_known=pool.knows(job.id),
            forgotten_at=pool.forgotten_at(job.id),
        )
        for job in pool.history
    )
