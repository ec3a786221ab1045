"""A journal for as long as a client lives: it lets no key start two runs, and no file is involved."""

from __future__ import annotations

import os
import secrets
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from attrs import evolve

from flowrunner.enums import RunState
from flowrunner.journal.digests import Digests
from flowrunner.journal.store import REFUSED_AGAIN, refuse_other, refuse_taken, twin
from flowrunner.journal.values import Entry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from datetime import datetime

    from flowrunner.journal.values import Intent
    from flowrunner.models import RunRef, RunStatus

__all__ = ["Memory"]


class Memory:
    """What was submitted with a key, by one client. As `Journal`, as far as a submission needs it.

    Args:
        now: the time of day.
    """

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._digests = Digests(secrets.token_bytes(32))
        self._entries: dict[str, Entry] = {}
        self._pid = os.getpid()
        self._lock = threading.Lock()

    def digest(self, flow: str, parameters: Mapping[str, Any] | None, payload: Any, options: Any) -> str:
        """As `Journal.digest`."""
        return self._digests.of(flow, parameters, payload, options)

    def intend(self, intent: Intent) -> Entry:
        """As `Journal.intend`."""
        with self._held():
            known = self._entries.get(intent.key)
            if known is not None and not known.is_refused:
                refuse_other(known, intent)
                return known
            return evolve(self._put(_entry_of(intent, len(self._entries) + 1)), is_new=True)

    def resubmit(self, entry: Entry, hint: Mapping[str, str] | None = None) -> Entry:
        """As `Journal.resubmit`."""
        with self._held():
            known = self._entries[entry.key]
            if known.attempts != entry.attempts or not known.is_open:
                return known
            again = evolve(known, attempts=known.attempts + 1, uncertain=None, absent_at=None, intended_at=self._now())
            return evolve(self._put(again if hint is None else evolve(again, hint=hint)), is_new=True)

    def accepted(self, entry: Entry, run_id: str, status: RunStatus) -> Entry:
        """As `Journal.accepted`."""
        with self._held():
            known = self._entries[entry.key]
            if known.run_id is None:
                at = status.observed_at or self._now()
                known = self._put(evolve(known, run_id=run_id, state=status.state, uncertain=None, accepted_at=at))
        if known.run_id != run_id:
            raise twin(known, run_id)
        return known

    def refused(self, entry: Entry) -> None:
        """As `Journal.refused`."""
        with self._held():
            known = self._entries[entry.key]
            if known.run_id is None:
                is_free = known.attempts == 1
                self._put(evolve(known, ended_at=self._now()) if is_free else evolve(known, uncertain=REFUSED_AGAIN))

    def uncertain(self, entry: Entry, why: str) -> None:
        """As `Journal.uncertain`."""
        with self._held():
            known = self._entries[entry.key]
            if known.is_open:
                self._put(evolve(known, uncertain=why))

    def absent(self, entry: Entry) -> None:
        """As `Journal.absent`."""
        with self._held():
            known = self._entries[entry.key]
            if known.is_open and known.attempts == entry.attempts:
                self._put(evolve(known, absent_at=self._now()))

    def settle(self, ref: RunRef) -> bool:
        """As `Journal.settle`."""
        with self._held():
            known = self._entries.get(ref.key or "")
            if known is None or not known.is_open:
                return False
            refuse_taken(next((each for each in self._entries.values() if each.run_id == ref.id), None), ref)
            self._put(evolve(known, run_id=ref.id, state=RunState.UNKNOWN, uncertain=None))
        return True

    def find(self, _connection: str, key: str) -> Entry | None:
        """As `Journal.find`."""
        with self._held():
            return self._entries.get(key)

    def claimed(self, _connection: str) -> frozenset[str]:
        """As `Journal.claimed`."""
        with self._held():
            return frozenset(entry.run_id for entry in self._entries.values() if entry.run_id is not None)

    @contextmanager
    def _held(self) -> Iterator[None]:
        if self._pid != os.getpid():  # a thread of the parent may have held the lock, and is not here to let it go
            self._pid, self._lock = os.getpid(), threading.Lock()
        with self._lock:
            yield

    def _put(self, entry: Entry) -> Entry:
        self._entries[entry.key] = entry
        return entry


def _entry_of(intent: Intent, number: int) -> Entry:
    return Entry(
        seq=number,
        connection=intent.connection,
        backend=intent.backend,
        flow=intent.flow,
        key=intent.key,
        digest=intent.digest,
        hint=intent.hint,
        run_id=None,
        state=RunState.SUBMITTING,
        attempts=1,
        uncertain=None,
        intended_at=intent.at,
        accepted_at=None,
        ended_at=None,
        pid=os.getpid(),
    )
