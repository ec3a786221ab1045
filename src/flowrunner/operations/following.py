"""Following runs: looking at them until they stand as wanted."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final

from attrs import frozen

from flowrunner import events
from flowrunner.backend import Capability
from flowrunner.enums import RunState
from flowrunner.errors import ContactLost, FlowrunnerError, WaitTimeout
from flowrunner.follow import Contact, HoldTrust, ends_following, pause_after
from flowrunner.models import seconds
from flowrunner.operations.steps import pause

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import timedelta

    from flowrunner.models import RunStatus
    from flowrunner.operations.context import Context
    from flowrunner.operations.records import RunRecord, Runs
    from flowrunner.operations.steps import Operation

__all__ = ["Following", "Watching"]

GRACE: Final = 5.0
"""Seconds by which a look may outlast the wait it is made for, so that `wait(timeout=0)` still gets an answer."""


@frozen
class Deadline:
    """When a wait is over.

    Attributes:
        length: seconds that the caller gave; None waits without end.
        started: when it began, in monotonic seconds.
    """

    length: float | None
    started: float

    def remaining(self, now: float) -> float | None:
        """Seconds that are left, less than 0 when it is over; None without end."""
        return None if self.length is None else self.started + self.length - now


class Following:
    """Follows the runs of one connection."""

    def __init__(self, context: Context, runs: Runs) -> None:
        self._context = context
        self._runs = runs
        self._trust = HoldTrust()
        self._long_polls = 0
        self._lock = threading.Lock()

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
        return Deadline(None if timeout is None else seconds(timeout), self._context.monotonic())

    def follow(
        self,
        record: RunRecord,
        until: Callable[[RunStatus], bool],
        deadline: Deadline,
        *,
        every_change: bool = False,
    ) -> Operation[RunStatus]:
        """Look at the run until its status is as wanted.

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
        contact = Contact(self._context.settings.contact_budget)
        while not until(record.status):
            remaining = deadline.remaining(self._context.monotonic())
            length, error = yield from self._look_and_judge(record, contact, remaining, every_change=every_change)
            if until(record.status):
                break
            remaining = deadline.remaining(self._context.monotonic())
            if remaining is not None and remaining <= 0:
                raise _wait_timeout(record, deadline) from error
            if length > 0:
                yield from pause(length if remaining is None else min(length, remaining))
        return record.status

    def _look_and_judge(
        self, record: RunRecord, contact: Contact, remaining: float | None, *, every_change: bool
    ) -> Operation[tuple[float, FlowrunnerError | None]]:
        """Look once; how long to pause then, and what failed if it did."""
        hold = 0.0
        at_most = None if remaining is None else max(remaining, 0.0) + GRACE
        started = self._context.monotonic()
        try:
            yield from self._context.prepared(retry=False, at_most=at_most)
            hold = 0.0 if contact.failures else self._hold(record.status, remaining, every_change=every_change)
            shown = yield from self._look(record, hold, at_most)
        except FlowrunnerError as error:
            if ends_following(error):
                raise
            return self._lost_contact(record, contact, error, hold), error
        now = self._context.monotonic()
        if contact.succeeded():
            self._context.emit(events.ContactRestored(connection=self._context.name, ref=record.ref))
        if hold and shown and self._trust.judge(hold, now - started, now, ended=record.status.state.is_final):
            return 0.0, None
        return pause_after(now - record.born, self._context.settings), None

    def _look(self, record: RunRecord, hold: float, at_most: float | None) -> Operation[bool]:
        if not hold:
            return (yield from self._runs.look(record, at_most=at_most))
        try:
            return (yield from self._runs.look(record, hold=hold, at_most=at_most))
        finally:
            with self._lock:
                self._long_polls -= 1

    def _hold(self, status: RunStatus, remaining: float | None, *, every_change: bool) -> float:
        """Seconds to ask the vendor to hold the request for; 0 asks for an answer at once. It counts until `_look`."""
        backend, settings = self._context.backend, self._context.settings
        if Capability.LONG_POLL not in backend.capabilities or not self._trust.holds(self._context.monotonic()):
            return 0.0
        if status.state is RunState.UNKNOWN or (every_change and status.state is not RunState.RUNNING):
            return 0.0
        hold = backend.max_hold if remaining is None else min(backend.max_hold, remaining)
        # One connection stays free for what somebody asks meanwhile.
        most = min(settings.max_long_polls, settings.max_connections - 1)
        with self._lock:
            if hold < 1 or self._long_polls >= most:
                return 0.0
            self._long_polls += 1
        return hold

    def _lost_contact(self, record: RunRecord, contact: Contact, error: FlowrunnerError, hold: float) -> float:
        """Note a failed look; how long to pause then."""
        settings = self._context.settings
        self._context.located(error, record.ref)
        self._context.emit(events.ContactFailed(connection=self._context.name, ref=record.ref, error=error))
        if hold:
            self._trust.failed(self._context.monotonic())
        if contact.failed(self._context.monotonic()):
            raise ContactLost(
                f"no readable answer about the run for {settings.contact_budget:g} s; the last failure was: "
                f"{error.message}. The run is as it was, {record.status.state}: wait again when the vendor answers",
                status=record.status,
            ) from error
        return contact.pause(settings, error.retry_after)


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
            missed = min(self._record.changes - self._position, len(self._record.history))
            self._position = self._record.changes - max(missed - 1, 0)
            return self._record.status if missed <= 1 else self._record.history[-missed]


def _wait_timeout(record: RunRecord, deadline: Deadline) -> WaitTimeout:
    status = record.status
    reason = f" ({status.message})" if status.state is RunState.WAITING and status.message else ""
    text = f"the run has not ended within {deadline.length:g} s and is {status.state}{reason}: it goes on, wait again"
    return WaitTimeout(text, status=status)
