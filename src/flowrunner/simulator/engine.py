"""The virtual engines: a queue, N engines, and work that behaves as scripted.

The state is a function of time alone: nothing runs in the background; every look at the pool first settles what
happened until now, each event at its own moment. No vendor's words occur here; a vendor's module translates.
"""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from enum import StrEnum
from heapq import heappop, heappush
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from attrs import evolve, field, frozen
from attrs.validators import ge, in_, optional

from flowrunner.simulator.clock import later

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flowrunner.simulator.clock import Clock


_NEVER = datetime.max.replace(tzinfo=UTC)


class JobState(StrEnum):
    """Where a job is."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        """Whether a job in this state never changes again."""
        return self in FINAL_STATES


FINAL_STATES = frozenset({JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED})


class EndedBy(StrEnum):
    """What ended a job."""

    WORK = "work"
    CALLER = "caller"
    QUEUE_LIMIT = "queue_limit"
    RUN_LIMIT = "run_limit"
    LIFE_LIMIT = "life_limit"


@frozen
class Behaviour:
    """What a run of a flow does. Durations are seconds of the pool's clock; `math.inf` is never.

    Attributes:
        duration: How long an engine works on it.
        outcome: How the work ends: succeeded, failed or cancelled.
        message: What the server says about the end; None lets the vendor's module choose.
        features: How many features the work writes.
        warnings: Warnings in its log.
        errors: Errors in its log.
        start_delay: How long it stays in the queue although an engine is free.
        requeue_after: When the engine crashes and the job returns to the queue; None is never.
        requeues: How many attempts crash so.
        restart_delay: How long a job that returned to the queue stays there although an engine is free.
        cancel_delay: How long running work goes on after an accepted cancellation; it may well finish before.
    """

    duration: float = field(default=10.0, validator=ge(0))
    outcome: JobState = field(default=JobState.SUCCEEDED, converter=JobState, validator=in_(FINAL_STATES))
    message: str | None = None
    features: int = 0
    warnings: int = 0
    errors: int = 0
    start_delay: float = field(default=0.0, validator=ge(0))
    requeue_after: float | None = field(default=None, validator=optional(ge(0)))
    requeues: int = 1
    restart_delay: float = field(default=1.0, validator=ge(0))
    cancel_delay: float = field(default=0.0, validator=ge(0))


@frozen
class Limits:
    """Seconds after which the server itself cancels a job; None is no limit.

    Attributes:
        queue: Time in the queue, counted anew when the job returns to it.
        run: Time on an engine.
        life: Queue and engine together.
    """

    queue: float | None = None
    run: float | None = None
    life: float | None = None


@frozen
class Job:
    """A job as it was at one moment.

    Attributes:
        id: Counts up from the pool's first id.
        flow: What is run.
        parameters: What it was given.
        behaviour: What the script says about this run.
        submitted_at: When it was accepted.
        queued_at: When it last entered the queue.
        ready_at: No engine takes it before.
        queue: The name of the queue asked for, or empty.
        limits: When the server cancels it by itself.
        notes: What the vendor's module wants to know of it later; nothing here looks at it.
        state: Where it is.
        attempt: 1, and one more for each return to the queue.
        engine: The number of the engine that has or had it, from 1.
        started_at: When the present attempt began.
        finished_at: When it ended.
        cancel_at: When an accepted cancellation takes effect.
        ended_by: What ended it.
    """

    id: int
    flow: str
    parameters: Mapping[str, Any]
    behaviour: Behaviour
    submitted_at: datetime
    queued_at: datetime
    ready_at: datetime
    queue: str = ""
    limits: Limits = Limits()
    notes: Any = None
    state: JobState = JobState.QUEUED
    attempt: int = 1
    engine: int | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    cancel_at: datetime | None = None
    ended_by: EndedBy | None = None


class _Turn(NamedTuple):
    """What becomes of a job by itself, and when."""

    at: datetime
    state: JobState
    by: EndedBy | None


def _possible_turns(job: Job) -> list[tuple[datetime | None, JobState, EndedBy | None]]:
    """List what may become of a live job; of two at the same moment the first counts."""
    work, limits = job.behaviour, job.limits
    crash = work.requeue_after if job.attempt <= work.requeues else None
    queued_at = job.queued_at if job.state is JobState.QUEUED else None
    return [
        (later(job.started_at, work.duration), work.outcome, EndedBy.WORK),
        (job.cancel_at, JobState.CANCELLED, EndedBy.CALLER),
        (later(job.started_at, crash), JobState.QUEUED, None),
        (later(job.started_at, limits.run), JobState.CANCELLED, EndedBy.RUN_LIMIT),
        (later(queued_at, limits.queue), JobState.CANCELLED, EndedBy.QUEUE_LIMIT),
        (later(job.submitted_at, limits.life), JobState.CANCELLED, EndedBy.LIFE_LIMIT),
    ]


def _next_turn(job: Job) -> _Turn | None:
    """Return what becomes of a job next if nobody interferes."""
    if job.state.is_final:
        return None
    turns = [_Turn(at, state, by) for at, state, by in _possible_turns(job) if at is not None]
    return min(turns, key=lambda turn: turn.at, default=None)


class _Script:
    """What the next runs of each flow do."""

    def __init__(self) -> None:
        self._counted: dict[str, list[Behaviour]] = {}
        self._standing: dict[str, Behaviour] = {}

    def add(self, flow: str, behaviour: Behaviour, times: int | None) -> None:
        if times is None:
            self._standing[flow] = behaviour
        else:
            self._counted.setdefault(flow, []).extend([behaviour] * times)

    def take(self, flow: str) -> Behaviour:
        if self._counted.get(flow):
            return self._counted[flow].pop(0)
        return self._standing.get(flow, Behaviour())


class EnginePool:
    """A queue and the engines that work on it. Safe to share between threads.

    Args:
        clock: The time; read at every call.
        engines: How many jobs run at once; 0 leaves all of them queued.
        first_id: The id of the first job.
    """

    def __init__(self, clock: Clock, engines: int = 2, first_id: int = 1) -> None:
        if engines < 0:
            raise ValueError(f"A pool has 0 or more engines, not {engines}")
        self.clock = clock
        self._lock = threading.RLock()
        self._script = _Script()
        self._next_id = first_id
        self._jobs: dict[int, Job] = {}
        self._books: list[Job] = []
        self._hidden: set[int] = set()
        self._queue: list[int] = []
        self._idle = list(range(1, engines + 1))
        self._agenda: list[tuple[datetime, int]] = []

    def script(self, flow: str, behaviour: Behaviour, times: int | None = None) -> None:
        """Say what the next runs of `flow` do.

        Args:
            flow: The flow, named as in `submit`.
            behaviour: What its runs do.
            times: For how many submissions, after those scripted before; None is for all that nothing else was
                scripted for.
        """
        with self._lock:
            self._script.add(flow, behaviour, times)

    def submit(
        self,
        flow: str,
        parameters: Mapping[str, Any] | None = None,
        *,
        queue: str = "",
        limits: Limits | None = None,
        notes: Any = None,
    ) -> Job:
        """Put a run of `flow` in the queue; a free engine takes it at once."""
        with self._lock:
            now, behaviour = self.clock.now(), self._script.take(flow)
            job = Job(
                id=self._next_id,
                flow=flow,
                parameters=MappingProxyType(dict(parameters or {})),
                behaviour=behaviour,
                submitted_at=now,
                queued_at=now,
                ready_at=later(now, behaviour.start_delay) or _NEVER,
                queue=queue,
                limits=limits or Limits(),
                notes=notes,
            )
            self._next_id += 1
            self._books.append(job)
            self._enqueue(job)
            return self.job(job.id)

    def cancel(self, job_id: int) -> bool:
        """Cancel a job: true if accepted, false if it had ended before.

        Raises:
            KeyError: There is no such job.
        """
        with self._lock:
            job = self.job(job_id)
            if job.state.is_final:
                return False
            if job.cancel_at is None:
                delay = job.behaviour.cancel_delay if job.state is JobState.RUNNING else 0.0
                self._record(evolve(job, cancel_at=later(self.clock.now(), delay)))
                self._settle()
                self.clock.bell.ring()
            return True

    def forget(self, job_id: int) -> None:
        """Remove a job from what the server knows, as a clean-up of its history does; the books keep it.

        Raises:
            KeyError: There is no such job.
        """
        with self._lock:
            self._hidden.add(self.job(job_id).id)
            self.clock.bell.ring()

    def job(self, job_id: int) -> Job:
        """Return a job as it is now.

        Raises:
            KeyError: There is no such job.
        """
        with self._lock:
            self._settle()
            if job_id in self._hidden:
                raise KeyError(job_id)
            return self._jobs[job_id]

    @property
    def jobs(self) -> tuple[Job, ...]:
        """All jobs the server knows, as they are now, in the order of submission."""
        with self._lock:
            self._settle()
            return tuple(job for job in self._jobs.values() if job.id not in self._hidden)

    def submissions(self, flow: str | None = None) -> tuple[Job, ...]:
        """Return the books: every job as it was submitted, of one flow or of all, forgotten or not."""
        with self._lock:
            return tuple(job for job in self._books if flow in (None, job.flow))

    def next_change(self) -> datetime | None:
        """Return a moment before which nothing changes by itself; None if nothing ever does."""
        with self._lock:
            self._settle()
            return self._agenda[0][0] if self._agenda else None

    def _settle(self) -> None:
        """Let everything happen that was due until now."""
        now = self.clock.now()
        while self._agenda and self._agenda[0][0] <= now:
            moment, job_id = heappop(self._agenda)
            self._turn(self._jobs[job_id], moment)
            self._dispatch(moment)

    def _turn(self, job: Job, moment: datetime) -> None:
        """Let become of a job what is due; an entry of the agenda that is out of date does nothing."""
        turn = _next_turn(job)
        if turn is None or turn.at > moment:
            return
        self._release(job)
        if turn.state is JobState.QUEUED:
            self._requeue(job, turn.at)
        else:
            self._record(evolve(job, state=turn.state, finished_at=turn.at, ended_by=turn.by))

    def _release(self, job: Job) -> None:
        """Take a job from its engine, or from the queue."""
        if job.state is JobState.RUNNING and job.engine is not None:
            heappush(self._idle, job.engine)
        else:
            self._queue.remove(job.id)

    def _requeue(self, job: Job, moment: datetime) -> None:
        """Begin the next attempt."""
        ready_at = later(moment, job.behaviour.restart_delay) or _NEVER
        again = evolve(job, queued_at=moment, ready_at=ready_at, attempt=job.attempt + 1)
        self._enqueue(evolve(again, state=JobState.QUEUED, engine=None, started_at=None))

    def _enqueue(self, job: Job) -> None:
        """Put a job at the end of the queue."""
        self._queue.append(job.id)
        heappush(self._agenda, (job.ready_at, job.id))
        self._record(job)

    def _dispatch(self, moment: datetime) -> None:
        """Give idle engines the oldest jobs that are ready."""
        while self._idle:
            ready = next((job_id for job_id in self._queue if self._jobs[job_id].ready_at <= moment), None)
            if ready is None:
                return
            self._queue.remove(ready)
            engine = heappop(self._idle)
            self._record(evolve(self._jobs[ready], state=JobState.RUNNING, engine=engine, started_at=moment))

    def _record(self, job: Job) -> None:
        """Keep a job as it is now and note when to look at it next."""
        self._jobs[job.id] = job
        turn = _next_turn(job)
        if turn is not None:
            heappush(self._agenda, (turn.at, job.id))
