"""The scheduler: who waits for which run, and what is asked next, and when. Pure: time comes in as an argument.

All waits of a client share one `Schedule`. Whoever has a thread, or a task, to spare asks it for the next job: a look
at one run, or a round through the vendor's lists, by which any number of runs is looked at in a few pages. What is
found out is told to the schedule, which tells those who wait.
"""

from __future__ import annotations

import math
import threading
from collections import deque
from heapq import heapify, heappop, heappush
from itertools import count
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias

from attrs import frozen

from flowrunner.backend import Capability
from flowrunner.enums import RunState
from flowrunner.polling import Contact, Trust, pause_after
from flowrunner.states import Glimpse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from datetime import datetime

    from flowrunner.backend import Backend, Settings, Sighting
    from flowrunner.errors import FlowrunnerError
    from flowrunner.models import RunStatus
    from flowrunner.operations.records import RunRecord

__all__ = ["GRACE", "Crowd", "Deadline", "Followed", "Job", "Look", "Round", "Schedule", "Wait"]

FEW: Final = 20
"""So many runs are looked at one by one."""
GRACE: Final = 5.0
"""Seconds by which a look may outlast the wait it is made for, so that `wait(timeout=0)` still gets an answer."""
SOON: Final = 1.0
"""Seconds for which somebody whose time is up is kept waiting for a round, rather than have a look of its own."""
SINGLY: Final = 2
"""So many runs that a list does not show are looked at one by one: that costs no more than another list."""
ALONE: Final = -1
NEVER: Final = float("-inf")
ENDLESS: Final = float("inf")


@frozen
class Deadline:
    """When a wait is over.

    Attributes:
        length: seconds that the caller gave; None waits without end.
        started: when it began, in monotonic seconds.
    """

    length: float | None
    started: float

    @property
    def moment(self) -> float:
        """When that is, in monotonic seconds."""
        return ENDLESS if self.length is None else self.started + self.length

    @property
    def latest(self) -> float:
        """When it is over even if a look is still under way."""
        return self.moment + GRACE


class Told(Protocol):
    """Who is told when a wait is over. A task can await one of its kind.

    Attributes:
        every_change: changes before the end matter, so the vendor is not asked to hold requests while more may come.
        is_patient: a run that was started just now need not be looked at before `poll_min`: there will be many.
    """

    every_change: bool
    is_patient: bool

    def tell(self, wait: Wait) -> None:
        """It is over: its run stands as wanted, or `error` or `is_late` says why not."""
        ...


class Wait:
    """Somebody waits for a run to stand as wanted. There may be ten thousand, so each is small.

    Attributes:
        record: the run.
        stop: whether its status is as wanted.
        deadline: when to give up.
        told: who is told.
        followed: the run among those that are followed; None when the wait is over.
        joined: when the wait began, in monotonic seconds.
        is_late: whether the deadline ended it.
        error: what else did; until then, how the last look failed.
        after: the next wait for the same run.
    """

    __slots__ = ("after", "deadline", "error", "followed", "is_late", "joined", "record", "stop", "told")

    def __init__(self, record: RunRecord, stop: Callable[[RunStatus], bool], deadline: Deadline, told: Told) -> None:
        self.record = record
        self.stop = stop
        self.deadline = deadline
        self.told: Any = told  # what it is, whoever waits knows
        self.followed: Followed | None = None
        self.joined = NEVER
        self.is_late = False
        self.error: BaseException | None = None
        self.after: Wait | None = None


class Crowd:
    """Many waits of one caller, who takes them as they are over.

    Attributes:
        every_change: as of `Told`.
        is_patient: as of `Told`.
        open: how many of them are not over.
        ready: those that are, and were not taken.
        wake: wakes the caller, who may rest.
    """

    def __init__(self, *, every_change: bool = False, is_patient: bool = False) -> None:
        self.every_change = every_change
        self.is_patient = is_patient
        self.open = 0
        self._waits: list[Wait] = []
        self.ready: deque[Wait] = deque()
        self.wake: Callable[[], object] = bool

    def add(self, waits: Sequence[Wait]) -> None:
        """The caller makes these, too, and joins all at once."""
        self._waits += waits
        self.open += len(waits)

    def waits(self) -> list[Wait]:
        """Those that were joined and are not over."""
        return [wait for wait in self._waits if wait.followed is not None]

    def joining(self) -> list[Wait]:
        """Those that are to be joined, while none was."""
        return self._waits

    def tell(self, wait: Wait) -> None:
        """Keep it for the caller."""
        self.open -= 1
        if len(self._waits) > 2 * self.open + FEW:
            self._waits = self.waits()
        self.ready.append(wait)
        self.wake()

    def only(self) -> Wait | None:
        """The wait, if it is the only one."""
        return self.waits()[0] if self.open == 1 else None

    def any(self) -> Wait:
        """One of those that are not over."""
        return next(wait for wait in self._waits if wait.followed is not None)


class Followed:
    """A run that somebody waits for.

    Attributes:
        record: the run.
        waits: the first of those who wait; each knows the next.
        looked_at: when it was looked at last, in monotonic seconds.
        due: when it is looked at next by itself; None while that is under way, and where the next round looks at it.
        look: the look at it that is under way.
        contact: how long looks at it have failed, if they do.
        missed: rounds in a row whose lists did not show it; ALONE once it is looked at by itself for that.
    """

    __slots__ = ("contact", "due", "look", "looked_at", "missed", "record", "waits")

    def __init__(self, record: RunRecord) -> None:
        self.record = record
        self.waits: Wait | None = None
        self.looked_at = NEVER
        self.due: float | None = None
        self.look: Look | None = None
        self.contact: Contact | None = None
        self.missed = 0

    @property
    def is_alone(self) -> bool:
        """Whether it is looked at by itself, whatever others are."""
        return self.missed == ALONE

    def __iter__(self) -> Iterator[Wait]:
        wait = self.waits
        while wait is not None:
            following = wait.after
            yield wait
            wait = following

    def ends(self) -> float:
        """The first deadline of those who wait, in monotonic seconds."""
        return min((wait.deadline.moment for wait in self), default=ENDLESS)

    def remove(self, gone: Wait) -> None:
        """Somebody waits no more."""
        if self.waits is gone:
            self.waits = gone.after
            return
        before = next(wait for wait in self if wait.after is gone)
        before.after = gone.after  # `gone` keeps its own: whoever goes through them goes on from there


@frozen(eq=False)
class Look:
    """Look at one run.

    Attributes:
        followed: which.
        began: when, in monotonic seconds.
        hold: seconds to ask the vendor to hold the request for; 0 for an answer at once.
        at_most: seconds it may take; None for as long as requests may.
        is_beside: it is made beside one that is held, for somebody who cannot wait for that.
    """

    followed: Followed
    began: float
    hold: float = 0.0
    at_most: float | None = None
    is_beside: bool = False

    @property
    def held_until(self) -> float:
        """When the vendor answers at the latest, in whole milliseconds: sums of seconds have odd digits."""
        return math.floor((self.began + self.hold) * 1000) / 1000

    @property
    def ends(self) -> float:
        """When it is over at the latest, in monotonic seconds."""
        return ENDLESS if self.at_most is None else self.began + self.at_most


class Round:
    """Look at all runs through the vendor's lists.

    Attributes:
        began: when, in monotonic seconds.
        expected: the runs it is for.
        at_most: seconds a page may take; None for as long as requests may.
        ground: what had ended before this moment, by the vendor's clock, was seen by the round before.
        newest: when the last of those that have ended did so.
        pages: how many showed what goes on.
    """

    def __init__(
        self, began: float, expected: list[Followed], *, at_most: float | None, ground: datetime | None
    ) -> None:
        self.began = began
        self.expected = expected
        self.at_most = at_most
        self.ground = self.newest = ground
        self.pages = 0
        self._shown = 0

    @property
    def ends(self) -> float:
        """When the page that is asked for at first is there at the latest, in monotonic seconds."""
        return ENDLESS if self.at_most is None else self.began + self.at_most

    def is_complete(self) -> bool:
        """Whether it has shown all of them."""
        expected, began, shown = self.expected, self.began, self._shown
        while shown < len(expected) and (expected[shown].looked_at >= began or expected[shown].waits is None):
            shown += 1
        self._shown = shown
        return shown == len(expected)

    def missing(self) -> list[Followed]:
        """Those that it has not shown."""
        return [each for each in self.expected if each.looked_at < self.began and each.waits is not None]


Job: TypeAlias = Look | Round
Lost: TypeAlias = "Callable[[Wait, FlowrunnerError], Exception]"


class Schedule:
    """What all waits of a client share. Safe to share between threads.

    Args:
        backend: the vendor: what it can do, and the settings of the connection.
        chance: a number from 0 to 1, another one each time.

    Attributes:
        lock: held while anything here changes.
        changed: called when something may have to be done sooner than thought.
        holders: how many may be held by the vendor at once, of those who do the jobs.
        abandoned: called when a look is under way at a run that nobody waits for any more.
    """

    def __init__(self, backend: Backend, chance: Callable[[], float]) -> None:
        self._backend = backend
        self._settings: Settings = backend.settings
        self._chance = chance
        self.changed: Callable[[], object] = bool
        self.holders: Callable[[], float] = lambda: ENDLESS
        self.abandoned: Callable[[Followed], object] = bool
        self._numbers = count()
        self._empty()

    def begin_anew(self, error: BaseException) -> None:
        """In a child process those who waited are not there; whoever asks for their waits there is told why."""
        for wait in [wait for followed in self._all() for wait in followed]:
            wait.record.followed = wait.followed = None
            wait.error = error
            if isinstance(wait.told, Crowd):
                wait.told.wake = bool  # a lock that it takes may never be released
                wait.told.tell(wait)
        self._empty()

    def _empty(self) -> None:
        self.lock = threading.RLock()
        self._runs: dict[str | None, Followed] = {}
        self._twins: dict[str | None, list[Followed]] = {}
        self._due: list[tuple[float, int, Followed]] = []
        self._deadlines: list[tuple[float, int, Wait]] = []
        self._held_back: list[tuple[float, int, Wait]] = []
        self._jobs: set[Job] = set()
        self._long_polls = 0
        self._holding, self._listing = Trust(), Trust()
        self._lists = Contact(self._settings.contact_budget)
        self._besides: list[Followed] = []
        self._by_lists = False
        self._round: Round | None = None
        self._round_due = self._round_least = NEVER
        self._ground: datetime | None = None

    def __len__(self) -> int:
        return len(self._runs)

    # Who waits

    def join(self, waits: Iterable[Wait], now: float) -> None:
        """Somebody waits from now on."""
        with self.lock:
            for wait in waits:
                self._join(wait, now)
            self.changed()

    def _join(self, wait: Wait, now: float) -> None:
        followed = wait.record.followed or self._follow(wait.record)
        wait.followed, wait.joined = followed, now
        wait.after, followed.waits = followed.waits, wait
        if wait.deadline.length is not None:
            self._expect(wait)
        if followed.looked_at == NEVER and followed.look is None and followed.due is None:
            early = wait.record.born + self._settings.poll_min
            self._plan(followed, max(now, early) if wait.told.is_patient else now)

    def _follow(self, record: RunRecord) -> Followed:
        record.followed = followed = Followed(record)
        if self._runs.setdefault(record.ref.id, followed) is not followed:  # an id may be attached to twice
            self._twins.setdefault(record.ref.id, []).append(followed)
        return followed

    def _expect(self, wait: Wait) -> None:
        heappush(self._deadlines, (wait.deadline.moment, next(self._numbers), wait))
        if len(self._deadlines) > 2 * len(self._runs) + FEW:  # most are of waits that are over
            self._deadlines = [item for item in self._deadlines if item[2].followed is not None]
            heapify(self._deadlines)

    def leave(self, waits: Iterable[Wait]) -> None:
        """They wait no more."""
        with self.lock:
            if sum(map(self._remove, waits)):
                self.changed()

    def settle(self, followed: Followed) -> None:
        """Tell whoever waited for the run to stand as it does now."""
        with self.lock:
            status = followed.record.known
            for wait in followed:
                if wait.stop(status):
                    self.end(wait)

    def end(self, wait: Wait, error: BaseException | None = None, *, is_late: bool = False) -> None:
        """A wait is over; for no other reason than these, its run stands as wanted."""
        with self.lock:
            if self._remove(wait):
                wait.error, wait.is_late = error, is_late
                wait.told.tell(wait)

    def waits(self) -> list[Wait]:
        """All there are."""
        with self.lock:
            return [wait for followed in self._all() for wait in followed]

    def _all(self) -> list[Followed]:
        return [*self._runs.values(), *(twin for twins in self._twins.values() for twin in twins)]

    def _remove(self, wait: Wait) -> bool:
        """Whether it was not over before."""
        followed, wait.followed = wait.followed, None
        if followed is None:
            return False
        followed.remove(wait)
        if followed.waits is None:
            self._forget(followed)
        return True

    def _forget(self, followed: Followed) -> None:
        """Nobody waits for it any more."""
        run_id = followed.record.ref.id
        followed.record.followed = None
        if followed.look is not None:
            self.abandoned(followed)
        if run_id not in self._twins:
            del self._runs[run_id]
            return
        left = [each for each in (self._runs.pop(run_id), *self._twins.pop(run_id)) if each is not followed]
        self._runs[run_id] = left[0]
        if left[1:]:
            self._twins[run_id] = left[1:]

    # What to do, and when

    def next_job(self, now: float, own: Followed | None = None, *, holds: bool = False) -> Job | None:
        """What is to be done now; None for nothing. Whoever takes a job says how it went.

        Args:
            now: in monotonic seconds.
            own: what who asks waits for, if that is one run: for it, the request may be held.
            holds: whether the request may be held for any run.
        """
        with self.lock:
            self._expire(now)
            if not self._runs or not self._is_free():
                return None
            self._choose(now)
            if self._by_lists and self._round is None and self._round_due <= now:
                return self._begin_round(now)
            if self._besides:
                return self._begin_beside(self._besides.pop(), now)
            followed = self._take(now, own)
            return None if followed is None else self._begin_look(followed, now, holds=holds or followed is own)

    def rest(self, now: float) -> float:
        """Seconds until something is to be done, if nothing happens before."""
        with self.lock:
            moment = self._next_deadline()
            if self._is_free():
                moment = min(moment, now if self._besides else self._next_look())
                if self._by_lists and self._round is None:
                    moment = min(moment, self._round_due)
            return max(moment - now, 0.0)

    def _is_free(self) -> bool:
        """Whether one more may look. One connection stays free for what somebody asks meanwhile."""
        if self._jobs and not self._backend.is_prepared:
            return False
        return len(self._jobs) < max(1, self._settings.max_connections - 1)

    def _next_look(self) -> float:
        while self._due and not _is_due(*self._due[0]):
            heappop(self._due)
        return self._due[0][0] if self._due else ENDLESS

    def _take(self, now: float, own: Followed | None) -> Followed | None:
        """What is to be looked at by itself now: one's own run first."""
        if own is not None and own.due is not None and own.due <= now:
            return own
        return heappop(self._due)[2] if self._next_look() <= now else None

    def _plan(self, followed: Followed, due: float) -> None:
        """Have it looked at then: by itself, or where lists are used, by a round."""
        if self._by_lists and not followed.is_alone:
            followed.due = None
            self._round_due = min(self._round_due, max(due, self._round_least))
        else:
            followed.due = due
            heappush(self._due, (due, next(self._numbers), followed))

    def _choose(self, now: float) -> None:
        """Lists, or a look at each."""
        by_lists = self._do_lists_pay(now)
        if by_lists is self._by_lists:
            return
        self._by_lists = by_lists
        self._due.clear()
        for followed in self._all():
            followed.missed = 0
            if followed.look is None:
                self._plan(followed, max(now, followed.looked_at + self._pause(followed, now)))

    def _do_lists_pay(self, now: float) -> bool:
        if Capability.BULK not in self._backend.capabilities or len(self._runs) <= FEW or not self._listing.holds(now):
            return False
        return len(self._runs) > min(self._may_be_held(now), self.holders())

    def _pause(self, followed: Followed, now: float) -> float:
        return pause_after(now - followed.record.born, self._settings, self._chance())

    # When waits are over

    def expire(self, now: float) -> None:
        """End the waits whose time is up; most get a last look first."""
        with self.lock:
            self._expire(now)

    def _expire(self, now: float) -> None:
        for _, _, wait in self._held_back:
            if now >= wait.deadline.latest:
                self.end(wait, wait.error, is_late=True)
        while self._deadlines and self._deadlines[0][0] <= now:
            item = heappop(self._deadlines)
            wait = item[2]
            if wait.followed is not None and self._is_to_be_seen(wait, wait.followed, now):
                self._held_back.append(item)
            else:
                self.end(wait, wait.error, is_late=True)

    def _is_to_be_seen(self, wait: Wait, followed: Followed, now: float) -> bool:
        """Whether a look is under way, or due now, that the wait should still see the outcome of."""
        if self._is_covered(wait, followed):
            return True
        if followed.looked_at >= wait.joined and not self._may_look_again(wait, followed, now):
            return False
        if followed.look is not None:
            if followed not in self._besides:
                self._besides.append(followed)
        elif followed.due is None or followed.due > now:
            self._look_soon(followed, now)
        return True

    def _is_covered(self, wait: Wait, followed: Followed) -> bool:
        """Whether what is under way tells this wait in time: a request may be held for longer than somebody waits."""
        if followed.look is not None:
            return not followed.look.hold or followed.look.held_until <= wait.deadline.moment
        return self._round is not None and not followed.is_alone and self._round.began >= wait.joined

    def _may_look_again(self, wait: Wait, followed: Followed, now: float) -> bool:
        """Whether a last look costs little, and was not just made."""
        if followed.look is not None or followed.looked_at >= wait.deadline.moment:
            return False
        if self._by_lists and not followed.is_alone:
            return self._round is None and self._round_least <= now
        return len(self._runs) <= FEW

    def _look_soon(self, followed: Followed, now: float) -> None:
        """Somebody's time is up, who is to see the run once: by a round if there is one soon, else by itself."""
        if self._by_lists and (self._round is not None or self._round_least > now + SOON):
            followed.due = now
            heappush(self._due, (now, next(self._numbers), followed))
        else:
            self._plan(followed, now)

    def _next_deadline(self) -> float:
        """When a wait is over that nothing under way is for; those end with it, unless it takes too long."""
        moment = ENDLESS
        while self._deadlines:
            due, _, wait = self._deadlines[0]
            followed = wait.followed
            if followed is not None and not (followed.look is not None and self._is_covered(wait, followed)):
                moment = self._end_beside(wait) if self._is_covered(wait, followed) else due
                break
            item = heappop(self._deadlines)
            if followed is not None:
                self._held_back.append(item)
        return min([moment, *(self._end_beside(wait) for _, _, wait in self._held_back)])

    def _end_beside(self, wait: Wait) -> float:
        """When a wait ends that something under way is for, or is to be."""
        followed = wait.followed
        if followed is None:
            return ENDLESS
        under_way = followed.look or self._round
        is_in_time = (
            self._is_covered(wait, followed) and under_way is not None and under_way.ends <= wait.deadline.latest
        )
        return ENDLESS if is_in_time else wait.deadline.latest

    def _release(self, now: float) -> None:
        """A look is over: deadlines that waited for it count again."""
        for item in self._held_back:
            heappush(self._deadlines, item)
        self._held_back.clear()
        self._expire(now)
        self.changed()

    # Looks

    def _begin_look(self, followed: Followed, now: float, *, holds: bool) -> Look:
        remaining = followed.ends() - now
        hold = self._hold(followed, now, remaining) if holds else 0.0
        look = followed.look = Look(followed, now, hold, _at_most(remaining))
        followed.due = None
        self._long_polls += hold > 0
        self._jobs.add(look)
        return look

    def _begin_beside(self, followed: Followed, now: float) -> Look:
        look = Look(followed, now, 0.0, _at_most(followed.ends() - now), is_beside=True)
        self._jobs.add(look)
        return look

    def _hold(self, followed: Followed, now: float, remaining: float) -> float:
        """Seconds to ask the vendor to hold the request for; 0 asks for an answer at once."""
        state = followed.record.known.state
        if self._long_polls >= self._most_held(now) or followed.contact is not None or state is RunState.UNKNOWN:
            return 0.0
        if state is not RunState.RUNNING and any(wait.told.every_change for wait in followed):
            return 0.0
        hold = min(self._backend.max_hold, remaining)
        return hold if hold >= 1 else 0.0

    def _most_held(self, now: float) -> int:
        """How many requests the vendor may be asked to hold: all but one that looks at the others, if there are."""
        most = self._may_be_held(now)
        return most if len(self._runs) <= most else min(most, self._settings.max_connections - 2)

    def _may_be_held(self, now: float) -> int:
        if Capability.LONG_POLL not in self._backend.capabilities or not self._holding.holds(now):
            return 0
        return min(self._settings.max_long_polls, self._settings.max_connections - 1)

    def looked(self, look: Look, now: float, *, shown: bool) -> bool:
        """A look succeeded.

        Args:
            look: which.
            now: in monotonic seconds.
            shown: whether the vendor showed the run.

        Returns:
            Whether looks at it had failed before.
        """
        with self.lock:
            followed = look.followed
            was_lost, followed.contact = followed.contact is not None, None
            if was_lost:
                _forget_errors(followed)
            ended = followed.record.known.state.is_final
            is_held = look.hold > 0 and shown and self._holding.judge(look.hold, now - look.began, now, ended=ended)
            self._end_look(look, now, 0.0 if is_held else self._pause(followed, now))
            return was_lost

    def failed(self, look: Look, now: float, error: FlowrunnerError, lost: Lost) -> None:
        """A look failed, but another one may not.

        Args:
            look: which.
            now: in monotonic seconds.
            error: what failed.
            lost: what to tell somebody who has had no answer for too long.
        """
        with self.lock:
            followed = look.followed
            if look.hold:
                self._holding.failed(now)
            followed.contact = contact = followed.contact or Contact(self._settings.contact_budget)
            contact.failed(now)
            self._lose(followed, contact, now, error, lost)
            self._end_look(look, now, contact.pause(self._settings, error.retry_after))

    def _lose(self, followed: Followed, contact: Contact, now: float, error: FlowrunnerError, lost: Lost) -> None:
        for wait in followed:
            wait.error = error
            if contact.is_lost(now, wait.joined):
                self.end(wait, lost(wait, error))

    def done(self, job: Job, now: float) -> None:
        """Nobody works on a job any more: if nothing was told of it, it is to be done anew."""
        with self.lock:
            if job not in self._jobs:
                return
            if isinstance(job, Round):
                self._end_round(job, now, least=now, due=now + self._settings.poll_min)
            else:
                self._end_look(job, now, self._settings.poll_min)

    def _end_look(self, look: Look, now: float, pause: float) -> None:
        followed = look.followed
        followed.looked_at = now
        self._jobs.discard(look)
        self._long_polls -= look.hold > 0
        self.settle(followed)
        if not look.is_beside:
            followed.look = None
            if followed.waits is not None:
                self._plan(followed, now + pause)
        self._release(now)

    # Rounds

    def _begin_round(self, now: float) -> Round:
        while self._deadlines and self._deadlines[0][2].followed is None:
            heappop(self._deadlines)
        ends = self._deadlines[0][0] if self._deadlines else ENDLESS
        expected = [followed for followed in self._all() if not followed.is_alone]
        self._round = Round(now, expected, at_most=_at_most(ends - now), ground=self._ground)
        self._round_due = ENDLESS  # who comes while it goes on has the next one come sooner
        self._jobs.add(self._round)
        return self._round

    def sift(
        self, sightings: Iterable[Sighting], asked_at: float, observed_at: datetime
    ) -> list[tuple[Followed, Sighting]]:
        """Note that a page of a list shows these runs.

        Args:
            sightings: what it shows; of runs that nobody waits for, too.
            asked_at: when the page was asked for, in monotonic seconds.
            observed_at: when it came.

        Returns:
            Those that somebody waits for, and of which it says something new.
        """
        news = []
        glimpse = Glimpse(asked_at, observed_at)
        with self.lock:
            runs, twins = self._runs, self._twins
            for sighting in sightings:
                followed = runs.get(sighting.id)
                if followed is None:
                    continue
                if not _is_as_known(followed, sighting, glimpse):
                    news.append((followed, sighting))
                if twins:
                    found = twins.get(sighting.id, ())
                    news += [(twin, sighting) for twin in found if not _is_as_known(twin, sighting, glimpse)]
        return news

    def rounded(self, this: Round, now: float) -> bool:
        """A round is over.

        Returns:
            Whether rounds had failed before.
        """
        with self.lock:
            was_lost = self._lists.succeeded()
            if was_lost:
                _forget_errors(*this.expected)
            missing = [] if this.is_complete() else this.missing()
            if this.expected and len(missing) == len(this.expected):  # whoever may not list these runs looks at each
                self._listing.lost(now)
            else:
                self._listing.succeeded()
            for followed in missing:
                self._miss(followed, now, at_once=len(missing) <= SINGLY)
            self._ground = this.newest
            least, due = this.began + self._least(this), this.began + self._length(this)
            self._end_round(this, now, least=least, due=due)
            return was_lost

    def _miss(self, followed: Followed, now: float, *, at_once: bool) -> None:
        """A run moves between pages while they are read; twice in a row that does not happen to it."""
        if followed.is_alone:
            return
        followed.missed += 1
        if at_once or followed.missed > 1 or not followed.record.is_expected:
            self.single_out(followed, now)

    def _least(self, this: Round) -> float:
        """Seconds between rounds at least: for each page as long as for a look."""
        return min(max(this.pages, 1) * self._settings.poll_min, max(self._settings.poll_max, self._settings.poll_min))

    def _length(self, this: Round) -> float:
        """Seconds between rounds: as for a run as young as the youngest."""
        ages = [this.began - each.record.born for each in this.expected if each.waits is not None]
        pause = pause_after(min(ages), self._settings, self._chance()) if ages else self._settings.poll_max
        return max(pause, self._least(this))

    def round_failed(self, this: Round, now: float, error: FlowrunnerError, lost: Lost, *, is_senseless: bool) -> None:
        """A round failed, but another one may not.

        Args:
            this: which.
            now: in monotonic seconds.
            error: what failed.
            lost: what to tell somebody who has had no answer for too long.
            is_senseless: the lists may be what cannot be read, rather than the vendor.
        """
        with self.lock:
            if is_senseless:
                self._listing.failed(now)
            self._lists.failed(now)
            for followed in this.expected:
                self._lose(followed, self._lists, now, error, lost)
            due = now + self._lists.pause(self._settings, error.retry_after)
            self._end_round(this, now, least=due, due=due)

    def cut(self, this: Round, now: float) -> None:
        """A page did not come within the time that a wait left for it, which says nothing about the vendor."""
        with self.lock:
            self._end_round(this, now, least=now, due=now + self._settings.poll_min)

    def refused(self, this: Round, now: float) -> None:
        """The vendor has no lists for us."""
        with self.lock:
            self._listing.lost(now)
            self._end_round(this, now, least=now, due=now)

    def single_out(self, followed: Followed, now: float) -> None:
        """What a list says of the run cannot be used: it is looked at by itself."""
        with self.lock:
            if followed.waits is not None and followed.look is None:
                followed.missed = ALONE
                self._plan(followed, now)

    def _end_round(self, this: Round, now: float, *, least: float, due: float) -> None:
        """The next one is due then, or sooner, but not before `least`, where somebody came meanwhile."""
        self._round, self._round_least = None, least
        self._round_due = max(min(self._round_due, due), least)
        self._jobs.discard(this)
        self._release(now)


def _at_most(remaining: float) -> float | None:
    """Seconds a look may take, for somebody who waits for so many more."""
    return None if remaining == ENDLESS else max(remaining, 0.0) + GRACE


def _is_as_known(followed: Followed, sighting: Sighting, glimpse: Glimpse) -> bool:
    """Whether a page says of a run what is known; it has been looked at, either way."""
    followed.looked_at = glimpse.asked_at
    if followed.missed:
        if followed.is_alone:
            followed.due = None
        followed.missed = 0
    return followed.record.is_as_known(sighting, glimpse)


def _forget_errors(*runs: Followed) -> None:
    for followed in runs:
        for wait in followed:
            wait.error = None


def _is_due(due: float, _: int, followed: Followed) -> bool:
    """Whether it was not planned anew since, and somebody still waits."""
    return followed.due == due and followed.waits is not None
