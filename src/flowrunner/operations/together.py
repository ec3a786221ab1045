"""Many runs that one caller waits for, and takes as they come to their ends."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from flowrunner.errors import RunNotFound, WaitTimeout
from flowrunner.follow import FEW, Crowd, Wait
from flowrunner.operations.records import with_id
from flowrunner.operations.steps import attend
from flowrunner.states import needs_a_person

if TYPE_CHECKING:
    from collections.abc import Iterable

    from flowrunner.follow import Deadline
    from flowrunner.models import RunStatus
    from flowrunner.operations.following import Following
    from flowrunner.operations.records import RunRecord
    from flowrunner.operations.steps import Operation

__all__ = ["Together"]


class Together:
    """Many runs that are waited for by one caller.

    A run that waits for a person counts as one that came to its end: without an answer it will not go on. So does one
    that the vendor denies and nobody has ever seen; its status says nothing then, and looking at it says why.

    Args:
        following: follows them, from the first `next` to `close`.
        deadline: when to give up.
        most: so many are started one after the other, if more than a few are: none needs a look of its own at first.
    """

    def __init__(self, following: Following, deadline: Deadline, *, most: int = 0) -> None:
        self._following = following
        self._deadline = deadline
        self._crowd = Crowd(is_patient=most > FEW)
        self._ended: deque[RunRecord] = deque()
        self._has_begun = False

    def add(self, records: Iterable[RunRecord]) -> None:
        """Wait for these, too.

        Raises:
            InvalidRequest: one has no id: it is not known whether there is such a run.
        """
        waits = []
        for record in records:
            if _is_done(record.known):
                self._ended.append(record)
            else:
                with_id(record.ref)
                waits.append(Wait(record, _is_done, self._deadline, self._crowd))
        self._crowd.add(waits)
        if self._has_begun:
            self._following.join(*waits)

    def __len__(self) -> int:
        return self._crowd.open + len(self._crowd.ready) + len(self._ended)

    def close(self) -> None:
        """Wait for none of them any more."""
        self._following.leave(*self._crowd.waits())
        self._crowd = Crowd()

    def next(self) -> Operation[tuple[RunRecord, Exception | None] | None]:
        """The next run that has come to its end, or why it cannot be waited for any longer; None if there is no other.

        That is `WaitTimeout`, where the time is up, or `ContactLost`, where no look succeeded for `contact_budget`.
        """
        if self._ended:
            return self._ended.popleft(), None
        if not self._has_begun:
            self._has_begun = True
            self._following.join(*self._crowd.joining())
        if not self._crowd.ready and self._crowd.open:
            yield from attend(self._crowd)
        if not self._crowd.ready:
            return None
        wait = self._crowd.ready.popleft()
        return wait.record, self._error(wait)

    def next_record(self) -> Operation[RunRecord | None]:
        """As `next`, for a caller who can do without the others when one cannot be waited for.

        Raises:
            WaitTimeout: the time is up; the runs go on.
            ContactLost: no look succeeded for `contact_budget`.
        """
        came = yield from self.next()
        if came is None:
            return None
        record, error = came
        if error is not None:
            raise error
        return record

    def _error(self, wait: Wait) -> Exception | None:
        if wait.error is not None and not isinstance(wait.error, Exception):
            raise wait.error  # the program is being ended
        if not wait.is_late:
            return None if isinstance(wait.error, RunNotFound) else wait.error
        late = 1 + self._crowd.open + sum(each.is_late for each in self._crowd.ready)
        have = "1 run has" if late == 1 else f"{late} runs have"
        text = f"{have} not ended within {self._deadline.length:g} s: wait again, nothing was cancelled"
        error = WaitTimeout(text, status=wait.record.status)
        error.__cause__ = wait.error
        return error


def _is_done(status: RunStatus) -> bool:
    """Whether there is nothing to wait for: it has ended, or a person has to do something first."""
    return status.state.is_final or needs_a_person(status)
