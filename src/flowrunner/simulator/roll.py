"""The roll of the jobs that a server shows: their ids in the orders in which they are listed, kept as they change."""

from __future__ import annotations

from bisect import bisect_left, insort
from enum import StrEnum
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

T = TypeVar("T")


class Group(StrEnum):
    """Which jobs to list, and in what order: always the newest first."""

    ALL = "all"
    """By their submission."""
    LIVE = "live"
    """Those that have not ended, by their submission."""
    ENDED = "ended"
    """Those that have, by their submission."""
    LAST_ENDED = "last_ended"
    """The same, by their end; of those that ended at once by their submission."""


class Roll:
    """Ids, which count up in the order of submission."""

    def __init__(self) -> None:
        self._all: list[int] = []
        self._live: dict[int, bool] = {}
        self._ended: list[int] = []
        self._ends: dict[int, datetime] = {}
        self._by_end: list[tuple[datetime, int]] = []

    def begin(self, job_id: int) -> None:
        """Enter a new job."""
        self._all.append(job_id)
        self._live[job_id] = True

    def end(self, job_id: int, moment: datetime) -> None:
        """Note that a live job has ended; nothing of one that was struck off."""
        if job_id in self._live:
            del self._live[job_id]
            self._ends[job_id] = moment
            insort(self._ended, job_id)
            insort(self._by_end, (moment, job_id))

    def strike(self, job_id: int) -> None:
        """Take a job off the roll."""
        del self._all[bisect_left(self._all, job_id)]
        if not self._live.pop(job_id, None):
            del self._ended[bisect_left(self._ended, job_id)]
            del self._by_end[bisect_left(self._by_end, (self._ends.pop(job_id), job_id))]

    def page(self, group: Group, offset: int, limit: int) -> tuple[list[int], int]:
        """Return the ids of one page, and how many there are in all."""
        if group is Group.LAST_ENDED:
            return [job_id for _, job_id in _cut(self._by_end, offset, limit)], len(self._by_end)
        ids = {Group.ALL: self._all, Group.ENDED: self._ended}.get(group)
        if ids is None:
            ids = list(self._live)
        return list(_cut(ids, offset, limit)), len(ids)


def _cut(items: Sequence[T], offset: int, limit: int) -> Sequence[T]:
    """Return some items from behind, the last first."""
    end = max(0, len(items) - offset)
    return items[max(0, end - limit) : end][::-1]
