"""The virtual engines: a queue, N engines, and work that behaves as scripted.

The state is a function of time alone: nothing runs in the background; every look at the pool first settles what
happened until now, each event at its own moment. No vendor's words occur here; a vendor's module translates.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from contextvars import ContextVar
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from heapq import heappop, heappush
from math import inf
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from attrs import evolve, field, frozen
from attrs.validators import ge, optional

from flowrunner.simulator.clock import later
from flowrunner.simulator.misspelt import unknown
from flowrunner.simulator.roll import Roll

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from flowrunner.simulator.clock import Clock
    from flowrunner.simulator.roll import Group


_NEVER = datetime.max.replace(tzinfo=UTC)
REPEATING: ContextVar[bool] = ContextVar("REPEATING", default=False)
"""Whether what is being served is a request once more, which somebody between the client and the server repeated."""


class JobState(StrEnum):
    """Where a job is."""

    QUEUED = "queued"
    RUNNING = "running"
    BLOCKED = "blocked"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        """Whether a job in this state never changes again."""
        return self in FINAL_STATES


FINAL_STATES = (JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED)


class EndedBy(StrEnum):
    """What ended a job."""

    WORK = "work"
    CALLER = "caller"
    QUEUE_LIMIT = "queue_limit"
    RUN_LIMIT = "run_limit"
    LIFE_LIMIT = "life_limit"
    RESTART = "restart"


@frozen
class Pause:
    """A point at which work stops until somebody answers. The engine is free meanwhile.

    Attributes:
        after: Seconds of work before it, counted from the beginning of the work; time spent blocked is no work.
        reason: What the vendor's module wants to know of it; nothing here looks at it.
        lasts: Seconds after which it ends by itself, without an answer; `math.inf` is never.
    """

    after: float = field(default=0.0, validator=ge(0))
    reason: Any = None
    lasts: float = field(default=inf, validator=ge(0))


def _in_order(_: object, __: object, pauses: tuple[Pause, ...]) -> None:
    times = [pause.after for pause in pauses]
    if times != sorted(times):
        raise ValueError(f"The pauses of a run are in the order of their times, not {times}")


def _outcome(word: str) -> JobState:
    if word not in FINAL_STATES:
        raise ValueError(unknown("outcome", str(word), FINAL_STATES))
    return JobState(word)


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
        pauses: Where the work waits to be resumed, in order. One at the very end of the work still counts, one after
            it never comes.
    """

    duration: float = field(default=10.0, validator=ge(0))
    outcome: JobState = field(default=JobState.SUCCEEDED, converter=_outcome)
    message: str | None = None
    features: int = 0
    warnings: int = 0
    errors: int = 0
    start_delay: float = field(default=0.0, validator=ge(0))
    requeue_after: float | None = field(default=None, validator=optional(ge(0)))
    requeues: int = 1
    restart_delay: float = field(default=1.0, validator=ge(0))
    cancel_delay: float = field(default=0.0, validator=ge(0))
    pauses: tuple[Pause, ...] = field(default=(), validator=_in_order)


def unpaused(behaviour: Behaviour) -> Behaviour:
    """Return the behaviour on a server that knows no pauses."""
    return evolve(behaviour, pauses=())


@frozen
class Limits:
    """Seconds after which the server itself cancels a job; None is no limit.

    Attributes:
        queue: Time in the queue, counted anew when the job returns to it.
        run: Time on an engine.
        life: All of it together, time spent blocked included.
    """

    queue: float | None = None
    run: float | None = None
    life: float | None = None


@frozen
class Stint:
    """A stretch of time in which an engine worked on a job without a break."""

    start: datetime
    end: datetime


@frozen
class Job:
    """A job as it was at one moment.

    Attributes:
        id: Counts up from the pool's first id.
        flow: What is run.
        parameters: What it was given.
        behaviour: What the script says about this run.
        submitted_at: When it was accepted.
        queued_at: When it last entered the queue; a job that was resumed does so again.
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
        stints: The stretches of work of the present attempt that are over.
        stint_at: When the stretch that is not over began; None if nobody works on it.
        answers: What the pauses of the present attempt were ended with, None for one that ended by itself.
        is_repeat: Whether a request that somebody on the way repeated started it: its client has not asked for it.
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
    stints: tuple[Stint, ...] = ()
    stint_at: datetime | None = None
    answers: tuple[Any, ...] = ()
    is_repeat: bool = False

    @property
    def pause(self) -> Pause | None:
        """Where it is blocked; None if it is not."""
        return self._next_pause if self.state is JobState.BLOCKED else None

    @property
    def _next_pause(self) -> Pause | None:
        """The pause it is in or comes to next."""
        ahead = self.behaviour.pauses[len(self.answers) :]
        return ahead[0] if ahead else None

    def worked(self, now: datetime) -> timedelta:
        """Return how long engines worked on the present attempt until now."""
        before = sum((stint.end - stint.start for stint in self.stints), timedelta())
        return before if self.stint_at is None else before + (now - self.stint_at)

    def works_at(self, seconds: float | None) -> datetime | None:
        """Return the moment at which `seconds` of work are done if nothing interferes; None if that never comes."""
        if self.stint_at is None:
            return None
        moment = later(self.stint_at - self.worked(self.stint_at), seconds)
        return None if moment is None else max(self.stint_at, moment)


class _Turn(NamedTuple):
    """What becomes of a job by itself, and when."""

    at: datetime
    state: JobState
    by: EndedBy | None


def _possible_turns(job: Job) -> list[tuple[datetime | None, JobState, EndedBy | None]]:
    """List what may become of a live job; of two at the same moment the first counts."""
    work, limits, pause = job.behaviour, job.limits, job._next_pause  # noqa: SLF001 - a part of the same machine
    crash = work.requeue_after if job.attempt <= work.requeues else None
    queued_at = job.queued_at if job.state is JobState.QUEUED else None
    blocked_at = job.stints[-1].end if job.state is JobState.BLOCKED else None
    return [
        (job.works_at(None if pause is None else pause.after), JobState.BLOCKED, None),
        (job.works_at(work.duration), work.outcome, EndedBy.WORK),
        (job.cancel_at, JobState.CANCELLED, EndedBy.CALLER),
        (job.works_at(crash), JobState.QUEUED, None),
        (job.works_at(limits.run), JobState.CANCELLED, EndedBy.RUN_LIMIT),
        (later(queued_at, limits.queue), JobState.CANCELLED, EndedBy.QUEUE_LIMIT),
        (later(job.submitted_at, limits.life), JobState.CANCELLED, EndedBy.LIFE_LIMIT),
        (later(blocked_at, None if pause is None else pause.lasts), JobState.QUEUED, None),
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
        self.published: set[str] = set()

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
        self._hidden: dict[int, datetime] = {}
        self._roll = Roll()
        self._queue: OrderedDict[int, None] = OrderedDict()
        self._idle = list(range(1, engines + 1))
        self._agenda: list[tuple[datetime, int]] = []

    def publish(self, flow: str, behaviour: Behaviour) -> None:
        """Have a flow there, whose runs behave so until something else is scripted."""
        with self._lock:
            self._script.published.add(flow)
            self._script.add(flow, behaviour, None)

    def script(self, flow: str, behaviour: Behaviour, times: int | None = None) -> None:
        """Say what the next runs of `flow` do.

        Args:
            flow: The flow, named as in `submit`.
            behaviour: What its runs do.
            times: For how many submissions, after those scripted before; None is for all that nothing else was
                scripted for.

        Raises:
            ValueError: There is no such flow; a pool in which none was published takes any.
        """
        with self._lock:
            published = self._script.published
            if published and flow not in published:
                raise ValueError(unknown("flow", str(flow), sorted(published)))
            self._script.add(flow, behaviour, times)

    def submit(
        self,
        flow: str,
        parameters: Mapping[str, Any] | None = None,
        *,
        queue: str = "",
        limits: Limits | None = None,
        notes: Any = None,
        adapt: Callable[[Behaviour], Behaviour] | None = None,
    ) -> Job:
        """Put a run of `flow` in the queue; a free engine takes it at once.

        Args:
            flow: What is run.
            parameters: What it is given.
            queue: The name of the queue asked for.
            limits: When the server cancels it by itself.
            notes: What the vendor's module wants to know of it later.
            adapt: Makes of what was scripted what this run does.
        """
        with self._lock:
            self._settle()  # what ends at this very moment makes room before
            now, behaviour = self.clock.now(), self._behaviour(flow, adapt)
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
                is_repeat=REPEATING.get(),
            )
            self._next_id += 1
            self._books.append(job)
            self._roll.begin(job.id)
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

    def resume(self, job_id: int, answer: Any = None, *, flow: str | None = None) -> bool:
        """Let a blocked job go on: back into the queue, where a free engine takes it at once.

        Args:
            job_id: The job.
            answer: What ends the pause.
            flow: What it is from here on a run of, the work done so far included; None lets it be what it was.

        Returns:
            True if it goes on, false if it was not blocked.

        Raises:
            KeyError: There is no such job.
        """
        with self._lock:
            job = self.job(job_id)
            if job.state is not JobState.BLOCKED:
                return False
            self._resume(job if flow is None else self._turned_into(job, flow), answer, self.clock.now())
            self._settle()
            self.clock.bell.ring()
            return True

    def forget(self, job_id: int) -> None:
        """Remove a job from what the server knows, as a clean-up of its history does; the books keep it.

        Raises:
            KeyError: There is no such job.
        """
        with self._lock:
            self._hide(self.job(job_id).id, self.clock.now())
            self.clock.bell.ring()

    def purge(self) -> None:
        """Remove all jobs that have ended from what the server knows; the books keep them."""
        with self._lock:
            now = self.clock.now()
            for job in self.jobs:
                if job.state.is_final:
                    self._hide(job.id, now)
            self.clock.bell.ring()

    def lose(self, *, only_queued: bool = False) -> None:
        """Lose jobs as a restart without a memory does: nobody works on them any more, and the server knows none.

        Args:
            only_queued: Lose those in the queue alone; else all there are, the ended ones included.
        """
        with self._lock:
            now = self.clock.now()
            for job in self.jobs:
                if job.state is JobState.QUEUED or not only_queued:
                    self._hide(job.id, now)
                    self._end(job, now)
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

    def page(self, group: Group, offset: int, limit: int) -> tuple[list[Job], int]:
        """Return some of those jobs, as they are now, and how many there are in all."""
        with self._lock:
            self._settle()
            ids, total = self._roll.page(group, offset, limit)
            return [self._jobs[job_id] for job_id in ids], total

    def submissions(self, flow: str | None = None) -> tuple[Job, ...]:
        """Return the books: every job as it was submitted, of one flow or of all, forgotten or not."""
        with self._lock:
            return tuple(job for job in self._books if flow in (None, job.flow))

    @property
    def history(self) -> tuple[Job, ...]:
        """The books brought up to date: every job as it is now, whether or not the server still knows it."""
        with self._lock:
            self._settle()
            return tuple(self._jobs.values())

    def knows(self, job_id: int) -> bool:
        """Whether the server has this job and did not forget it."""
        return job_id in self._jobs and job_id not in self._hidden

    def forgotten_at(self, job_id: int) -> datetime | None:
        """When the server forgot this job; None if it did not."""
        return self._hidden.get(job_id)

    def is_kept(self, job: Job, seconds: float) -> bool:
        """Whether a server that forgets a job so many seconds after its end still knows it."""
        gone_at = later(job.finished_at, seconds)
        return gone_at is None or self.clock.now() < gone_at

    def next_change(self, job: Job | None = None) -> datetime | None:
        """Return a moment before which nothing changes by itself; None if nothing ever does.

        Args:
            job: Nothing of this job, as it is now. One in the queue changes as others make room.
        """
        with self._lock:
            self._settle()
            if job is not None and job.state is not JobState.QUEUED:
                turn = _next_turn(job)
                return None if turn is None else turn.at
            return self._agenda[0][0] if self._agenda else None

    def _hide(self, job_id: int, moment: datetime) -> None:
        """Have the server forget a job."""
        self._hidden[job_id] = moment
        self._roll.strike(job_id)

    def _settle(self) -> None:
        """Let everything happen that was due until now."""
        now = self.clock.now()
        while self._agenda and self._agenda[0][0] <= now:
            moment, job_id = heappop(self._agenda)
            self._turn(self._jobs[job_id], moment)
            self._dispatch(moment)

    def _behaviour(self, flow: str, adapt: Callable[[Behaviour], Behaviour] | None) -> Behaviour:
        scripted = self._script.take(flow)
        return scripted if adapt is None else adapt(scripted)

    def _turned_into(self, job: Job, flow: str) -> Job:
        """Make a blocked job a run of another flow that is as far as it is."""
        passed, then = job.behaviour.pauses[: len(job.answers) + 1], self._script.take(flow)
        since = max(pause.after for pause in passed)
        ahead = (evolve(pause, after=max(since, pause.after)) for pause in then.pauses)
        return evolve(job, flow=flow, behaviour=evolve(then, pauses=(*passed, *ahead)))

    def _turn(self, job: Job, moment: datetime) -> None:
        """Let become of a job what is due; an entry of the agenda that is out of date does nothing."""
        turn = _next_turn(job)
        if turn is None or turn.at > moment:
            return
        if job.state is JobState.BLOCKED and turn.state is JobState.QUEUED:
            self._resume(job, None, turn.at)
            return
        left = self._release(job, turn.at)
        if turn.state is JobState.QUEUED:
            self._requeue(left, turn.at)
        elif turn.state is JobState.BLOCKED:
            self._record(evolve(left, state=turn.state))
        else:
            self._record(evolve(left, state=turn.state, finished_at=turn.at, ended_by=turn.by))

    def _end(self, job: Job, moment: datetime) -> None:
        """End a job that the server loses; one that has ended stays what it was."""
        if not job.state.is_final:
            left = self._release(job, moment)
            self._record(evolve(left, state=JobState.CANCELLED, finished_at=moment, ended_by=EndedBy.RESTART))

    def _release(self, job: Job, moment: datetime) -> Job:
        """Take a job from its engine, or from the queue; a blocked one is in neither."""
        if job.state is JobState.QUEUED:
            del self._queue[job.id]
        if job.stint_at is None or job.engine is None:
            return job
        heappush(self._idle, job.engine)
        return evolve(job, stint_at=None, stints=(*job.stints, Stint(job.stint_at, moment)))

    def _resume(self, job: Job, answer: Any, moment: datetime) -> None:
        """Put a blocked job back into the queue, its work so far kept."""
        again = evolve(job, state=JobState.QUEUED, queued_at=moment, ready_at=moment)
        self._enqueue(evolve(again, answers=(*job.answers, answer)))

    def _requeue(self, job: Job, moment: datetime) -> None:
        """Begin the next attempt."""
        ready_at = later(moment, job.behaviour.restart_delay) or _NEVER
        again = evolve(job, queued_at=moment, ready_at=ready_at, attempt=job.attempt + 1)
        anew = evolve(again, state=JobState.QUEUED, engine=None, started_at=None, stints=(), answers=())
        self._enqueue(anew)

    def _enqueue(self, job: Job) -> None:
        """Put a job at the end of the queue."""
        self._queue[job.id] = None
        heappush(self._agenda, (job.ready_at, job.id))
        self._record(job)

    def _dispatch(self, moment: datetime) -> None:
        """Give idle engines the oldest jobs that are ready."""
        while self._idle:
            ready = next((job_id for job_id in self._queue if self._jobs[job_id].ready_at <= moment), None)
            if ready is None:
                return
            del self._queue[ready]
            self._start(self._jobs[ready], heappop(self._idle), moment)

    def _start(self, job: Job, engine: int, moment: datetime) -> None:
        """Let an engine work on a job."""
        started_at = job.started_at or moment
        self._record(evolve(job, state=JobState.RUNNING, engine=engine, started_at=started_at, stint_at=moment))

    def _record(self, job: Job) -> None:
        """Keep a job as it is now and note when to look at it next."""
        self._jobs[job.id] = job
        if job.finished_at is not None:
            self._roll.end(job.id, job.finished_at)
        turn = _next_turn(job)
        if turn is not None:
            heappush(self._agenda, (turn.at, job.id))
