"""A round: looking at all runs that are waited for through the vendor's lists.

A list of a thousand runs costs the vendor as much as a look at one. So what goes on is asked for in pages; what is no
longer among it has ended, and is found in the pages of what ended last, or looked at by itself.
"""

from __future__ import annotations

from copy import copy
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from flowrunner import events
from flowrunner.errors import (
    AuthenticationError,
    ClientClosed,
    ConfigError,
    ContactLost,
    FlowrunnerError,
    ProtocolError,
)
from flowrunner.follow import SINGLY
from flowrunner.operations.steps import ask, pause
from flowrunner.polling import ends_following
from flowrunner.retries import Failure, failure_in

if TYPE_CHECKING:
    from datetime import datetime

    from flowrunner.backend import Sighting
    from flowrunner.follow import Followed, Round, Schedule, Wait
    from flowrunner.operations.context import Context
    from flowrunner.operations.records import Runs
    from flowrunner.operations.steps import Operation
    from flowrunner.plans import Page

__all__ = ["Rounds", "contact_lost", "copied"]

PAGES: Final = 100
"""Pages of a list that are read at most in one round."""
WORTH: Final = 10
"""A page of what has ended that shows so many of those that are missing makes the next one worth reading."""
AT_ONCE: Final = 20
"""After news of so many runs an event loop gets to do other things: each takes a while, and wakes who waits for it."""
MARGIN: Final = timedelta(seconds=5)
"""So late may a run come into the list of what has ended, behind others that ended after it."""


class Rounds:
    """Makes the rounds of one connection.

    Args:
        context: the connection.
        runs: what is known of its runs.
        schedule: who waits for them.
    """

    def __init__(self, context: Context, runs: Runs, schedule: Schedule) -> None:
        self._context = context
        self._runs = runs
        self._schedule = schedule

    def perform(self, this: Round) -> Operation[None]:
        """Make a round; whoever waits is told what it shows."""
        try:
            yield from self._context.prepared(retry=False, at_most=this.at_most)
            yield from self._go_on(this)
            if not this.is_complete() and len(this.missing()) > SINGLY:
                yield from self._have_ended(this)
        except FlowrunnerError as error:
            self._failed(this, error)
            return
        if self._schedule.rounded(this, self._context.monotonic()):
            self._context.emit(events.ContactRestored(connection=self._context.name, ref=self._a_ref(this)))

    def _go_on(self, this: Round) -> Operation[None]:
        """See which runs go on."""
        cursor = None
        for _ in range(PAGES):
            page = yield from self._page(this, cursor, ended=False)
            this.pages += 1
            cursor = page.next
            if cursor is None or this.is_complete():
                return

    def _have_ended(self, this: Round) -> Operation[None]:
        """See which of the others have ended: until known ground, or for as long as it pays."""
        cursor, missing = None, len(this.missing())
        for _ in range(PAGES):
            page = yield from self._page(this, cursor, ended=True)
            left = len(this.missing())
            this.newest = max(filter(None, (this.newest, *map(_ended_at, page.items[:1]))), default=None)
            cursor, pays = page.next, missing - left >= WORTH
            if cursor is None or left <= SINGLY or not (pays or _is_new_ground(page, this.ground)):
                return
            missing = left

    def _page(self, this: Round, cursor: Any, *, ended: bool) -> Operation[Page[Sighting]]:
        asked_at = self._context.monotonic()
        plan = self._context.backend.observe_many(ended=ended, cursor=cursor)
        page = yield from ask(plan, retry=False, at_most=this.at_most)
        came_at = self._context.now()
        for told, (followed, sighting) in enumerate(self._schedule.sift(page.items, asked_at, came_at), start=1):
            yield from self._news(followed, sighting, asked_at, came_at)
            if told % AT_ONCE == 0:
                yield from pause(0.0)
        self._schedule.expire(self._context.monotonic())
        return page

    def _news(self, followed: Followed, sighting: Sighting, asked_at: float, came_at: datetime) -> Operation[None]:
        """Note what is new about a run; what is wrong with one of them concerns no other."""
        try:
            yield from self._runs.shown(followed.record, sighting.observation(), asked_at, came_at)
        except FlowrunnerError as error:
            self._context.located(error, followed.record.ref)
            if ends_following(error):
                self._end(followed, error)
            else:
                self._schedule.single_out(followed, self._context.monotonic())

    def _failed(self, this: Round, error: FlowrunnerError) -> None:
        ref, now = self._a_ref(this), self._context.monotonic()
        self._context.located(error, ref)
        if isinstance(error, AuthenticationError | ClientClosed | ConfigError):
            for followed in this.expected:
                self._end(followed, error)
        elif ends_following(error):
            self._context.notice((f"the vendor's lists of runs cannot be used, each is looked at: {error.message}",))
            self._schedule.refused(this, now)
        elif self._is_cut(this, error):
            self._schedule.cut(this, now)
        else:
            self._context.emit(events.ContactFailed(connection=self._context.name, ref=ref, error=error))
            lost = partial(contact_lost, self._context)
            self._schedule.round_failed(this, now, error, lost, is_senseless=isinstance(error, ProtocolError))

    def _is_cut(self, this: Round, error: FlowrunnerError) -> bool:
        """Whether a page was given up for the sake of a wait that is over soon, before the vendor's time was up."""
        is_short = this.at_most is not None and this.at_most < self._context.settings.timeout
        return is_short and failure_in(error) is Failure.READ_TIMEOUT

    def _end(self, followed: Followed, error: FlowrunnerError) -> None:
        for wait in followed:
            self._schedule.end(wait, copied(error))

    def _a_ref(self, this: Round) -> Any:
        """One of the runs, to speak for all."""
        return this.expected[0].record.ref if this.expected else None


def copied(error: BaseException) -> BaseException:
    """An error of its own for each who waits: one that two raise would collect the traces of both."""
    mine = copy(error)
    mine.__cause__ = error.__cause__
    return mine


def contact_lost(context: Context, wait: Wait, error: FlowrunnerError) -> ContactLost:
    """The error of a wait that has had no answer for too long; `error` is the last failure."""
    status = wait.record.status
    lost = ContactLost(
        f"no readable answer about the run for {context.settings.contact_budget:g} s; the last failure was: "
        f"{error.message}. The run is as it was, {status.state}: wait again when the vendor answers",
        status=status,
    )
    lost.__cause__ = error
    context.located(lost, wait.record.ref)
    return lost


def _ended_at(sighting: Sighting) -> datetime | None:
    try:
        return sighting.observation().finished_at
    except FlowrunnerError:
        return None  # it may be somebody else's run, and is of no matter otherwise


def _is_new_ground(page: Page[Sighting], ground: datetime | None) -> bool:
    """Whether all of the page has ended since the round before, so that the next page may have, too."""
    ended_at = _ended_at(page.items[-1]) if page.items else None
    return ground is not None and ended_at is not None and ended_at >= ground - MARGIN
