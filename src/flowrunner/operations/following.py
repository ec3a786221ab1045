"""Following runs: who waits for one, and the looks at single runs that this takes."""

from __future__ import annotations

from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Final

from flowrunner import events
from flowrunner.enums import RunState
from flowrunner.errors import FlowrunnerError, WaitTimeout
from flowrunner.follow import Crowd, Deadline, Look, Wait
from flowrunner.models import seconds
from flowrunner.operations.records import with_id
from flowrunner.operations.rounds import Rounds, contact_lost, copied
from flowrunner.operations.steps import attend
from flowrunner.polling import ends_following

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import timedelta

    from flowrunner.follow import Job, Schedule
    from flowrunner.models import RunStatus
    from flowrunner.operations.context import Context
    from flowrunner.operations.records import RunRecord, Runs
    from flowrunner.operations.steps import Operation

__all__ = ["CLOSED", "Following", "Watching", "check"]

NO_DEADLINE: Final = Deadline(None, 0.0)
CLOSED: Final = "the client was closed while a run was waited for: the run goes on, connect again and attach to it"


class Following:
    """Follows the runs of one connection.

    Args:
        context: the connection.
        runs: what is known of its runs.
        schedule: who waits for them.
    """

    def __init__(self, context: Context, runs: Runs, schedule: Schedule) -> None:
        self._context = context
        self._runs = runs
        self._rounds = Rounds(context, runs, schedule)
        self.schedule = schedule

    def refresh(self, record: RunRecord) -> Operation[RunStatus]:
        """Look at the run once."""
        yield from self._context.prepared()
        yield from self._runs.look(record)
        return record.status

    def watch(self, record: RunRecord, timeout: float | timedelta | None) -> Watching:
        """The changes of a run from now on."""
        return Watching(self, record, self.deadline(timeout))

    def deadline(self, timeout: float | timedelta | None) -> Deadline:
        """When a wait that begins now is over."""
        return NO_DEADLINE if timeout is None else Deadline(seconds(timeout), self._context.monotonic())

    def follow(
        self,
        record: RunRecord,
        until: Callable[[RunStatus], bool],
        deadline: Deadline,
        *,
        every_change: bool = False,
    ) -> Operation[RunStatus]:
        """Wait until the run's status is as wanted.

        Args:
            record: the run.
            until: whether the status is as wanted; asked before the first look, too.
            deadline: when to give up; one that has passed allows one look.
            every_change: changes before the end matter, so the vendor is not asked to hold requests while more may
                come.

        Raises:
            WaitTimeout: the time is up; nothing has changed about the run.
            ContactLost: no look succeeded for `contact_budget`.
        """
        if not until(record.status):
            with_id(record.ref)
            crowd = Crowd(every_change=every_change)
            wait = Wait(record, until, deadline, crowd)
            with self.joined(crowd, wait):
                yield from attend(crowd)
            check(wait)
        return record.status

    @contextmanager
    def joined(self, crowd: Crowd, *waits: Wait) -> Iterator[None]:
        """Somebody waits for so long."""
        crowd.add(waits)
        self.join(*waits)
        try:
            yield
        finally:
            self.leave(*waits)

    def join(self, *waits: Wait) -> None:
        """Somebody waits from now on."""
        self.schedule.join(waits, self._context.monotonic())

    def leave(self, *waits: Wait) -> None:
        """They wait no more."""
        self.schedule.leave(waits)

    # What has to be done for it

    def next_job(self, crowd: Crowd | None = None) -> tuple[Job | None, float]:
        """What is to be done now, or else the seconds until something is.

        Args:
            crowd: the waits of the thread that asks: it is not to be held by a vendor but for the only run that it
                waits for. None asks for something to be done beside all else.
        """
        with self.schedule.lock:
            now = self._context.monotonic()
            only = None if crowd is None else crowd.only()
            own = None if only is None else only.followed
            job = self.schedule.next_job(now, own, holds=crowd is None)
            return job, 0.0 if job is not None else self.schedule.rest(now)

    def patience(self, crowd: Crowd) -> float:
        """Seconds until the waits are over whatever others do for them."""
        # Those of a crowd have one deadline.
        return max(crowd.any().deadline.latest - self._context.monotonic(), 0.0)

    def perform(self, job: Job) -> Operation[None]:
        """Do what is to be done; whoever waits for it is told how it went."""
        return self._look(job) if isinstance(job, Look) else self._rounds.perform(job)

    def done(self, job: Job) -> None:
        """Nobody works on a job any more, however it went."""
        self.schedule.done(job, self._context.monotonic())

    def broke(self, job: Job, error: Exception) -> None:
        """A job did not end as jobs do: whoever waits for it has to know."""
        runs = [job.followed] if isinstance(job, Look) else job.expected
        for wait in [wait for followed in runs for wait in followed]:
            self.schedule.end(wait, error)

    def close(self, error: BaseException) -> None:
        """Whoever still waits is told why nobody looks any more."""
        for wait in self.schedule.waits():
            self.schedule.end(wait, copied(error))

    def _look(self, look: Look) -> Operation[None]:
        record = look.followed.record
        try:
            yield from self._context.prepared(retry=False, at_most=look.at_most)
            shown = yield from self._runs.look(record, hold=look.hold, at_most=look.at_most)
        except FlowrunnerError as error:
            self._failed(look, error)
            return
        if self.schedule.looked(look, self._context.monotonic(), shown=shown):
            self._context.emit(events.ContactRestored(connection=self._context.name, ref=record.ref))

    def _failed(self, look: Look, error: FlowrunnerError) -> None:
        record, now = look.followed.record, self._context.monotonic()
        self._context.located(error, record.ref)
        if ends_following(error):
            for wait in look.followed:
                self.schedule.end(wait, copied(error))
            return
        self._context.emit(events.ContactFailed(connection=self._context.name, ref=record.ref, error=error))
        self.schedule.failed(look, now, error, partial(contact_lost, self._context))


class Watching:
    """One caller's way through the changes of a run."""

    def __init__(self, following: Following, record: RunRecord, deadline: Deadline) -> None:
        self._following = following
        self._record = record
        self._deadline = deadline
        self._position = record.changes
        self._ended = False

    def next(self) -> Operation[RunStatus | None]:
        """The next change; None after the final one."""
        if self._ended:
            return None
        record = self._record
        if record.changes == self._position and not record.status.state.is_final:
            yield from self._following.follow(record, self._has_news, self._deadline, every_change=True)
        status = self._take()
        self._ended = status.state.is_final
        return status

    def _has_news(self, _: RunStatus) -> bool:
        return self._record.changes > self._position

    def _take(self) -> RunStatus:
        with self._record.lock:
            history = self._record.history
            missed = min(self._record.changes - self._position, len(history))
            self._position = self._record.changes - max(missed - 1, 0)
            return self._record.status if missed <= 1 else history[-missed]


def check(wait: Wait) -> None:
    """Raise what ended the wait, if that was not the run.

    Raises:
        WaitTimeout: its time was up.
        FlowrunnerError: it could not go on.
    """
    if wait.is_late:
        raise _wait_timeout(wait.record, wait.deadline, wait.error) from wait.error
    if wait.error is not None:
        raise wait.error


def _wait_timeout(record: RunRecord, deadline: Deadline, error: BaseException | None) -> WaitTimeout:
    status = record.status
    if record.is_denied:
        seen = f"it was {status.state} when it was seen last"
        stands = f"as far as is known: {seen}, and now the vendor says that there is none, wait again to be sure"
    elif error is None:
        reason = f" ({status.message})" if status.state is RunState.WAITING and status.message else ""
        stands = f"and is {status.state}{reason}: it goes on, wait again"
    else:  # the last look has failed: what has become of the run since is not known
        seen = f"it was {status.state} when it was seen last"
        stands = f"as far as is known: {seen}, and the vendor cannot be asked, wait again"
    return WaitTimeout(f"the run has not ended within {deadline.length:g} s {stands}", status=status)
