"""What the journal takes and gives."""

from __future__ import annotations

from collections.abc import Mapping  # noqa: TC003 - attrs resolves the annotations
from datetime import datetime  # noqa: TC003 - the same

from attrs import field, frozen

from flowrunner.enums import Cause, RunState, WaitReason  # noqa: TC001 - the same
from flowrunner.models import RunRef

__all__ = ["Change", "Entry", "Intent"]


@frozen(kw_only=True)
class Intent:
    """What is about to be submitted.

    Attributes:
        connection: where; a key belongs to a connection.
        backend: the name of its backend.
        flow: in one spelling per flow: the same key with another one is refused.
        key: the caller's idempotency key, or one made for it.
        digest: of everything that is submitted, see `Journal.digest`.
        hint: what helps to find the run later, such as the folder of its uploads. Never a secret: it is kept as it is.
        at: the time of day, aware.
    """

    connection: str
    backend: str
    flow: str
    key: str
    digest: str = field(repr=False)
    hint: Mapping[str, str] = field(factory=dict)
    at: datetime


@frozen(kw_only=True)
class Entry:
    """A submission as the journal knows it, beside what its `Intent` said.

    Attributes:
        seq: its number; later ones are greater.
        run_id: the vendor's id, None while there is none.
        state: SUBMITTING while there is no id, then the state of the run.
        attempts: how often it was sent. More than once: an earlier request may arrive late and start a twin.
        uncertain: why it is not known whether the vendor has it; None where that is known, or where the answer is still
            awaited (or was, by a process that died).
        intended_at: when it was sent last, or was about to be.
        accepted_at: when the id was known.
        ended_at: when the run was seen to end, or the vendor refused it; None while it is open.
        pid: the process that sent it last.
        absent_at: when the vendor was asked, and showed no run of it; None where it was sent after that.
        is_new: whether the call that returned this entry wrote the intent: then, and only then, it is for its caller to
            send it.
    """

    seq: int
    connection: str
    backend: str
    flow: str
    key: str
    digest: str = field(repr=False)
    hint: Mapping[str, str]
    run_id: str | None
    state: RunState
    attempts: int
    uncertain: str | None
    intended_at: datetime
    accepted_at: datetime | None
    ended_at: datetime | None
    pid: int
    absent_at: datetime | None = None
    is_new: bool = field(default=False, eq=False)

    @property
    def ref(self) -> RunRef:
        """Where the run lives; without an id as long as there is none."""
        return RunRef(self.connection, self.backend, self.flow, self.run_id, self.key)

    @property
    def is_open(self) -> bool:
        """Whether it is still to be found out which run it started, if any."""
        return self.run_id is None and self.ended_at is None

    @property
    def is_refused(self) -> bool:
        """Whether the vendor started nothing. The key is free again."""
        return self.run_id is None and self.ended_at is not None


@frozen(kw_only=True)
class Change:
    """How a run stood from some moment on.

    Attributes:
        at: when it was seen.
        run_id: the run; another one than the entry's is a twin, started by an earlier request that arrived late.
        state: the normalized state.
        vendor_status: the vendor's word.
        cause: why it failed or was cancelled.
        reason: what it waits for.
    """

    at: datetime
    run_id: str
    state: RunState
    vendor_status: str | None
    cause: Cause | None
    reason: WaitReason | None
