"""The vocabulary of runs: what state one is in, why, and what became of a request to cancel it."""

from __future__ import annotations

from enum import StrEnum

__all__ = ["CancelOutcome", "Cause", "ReconcileOutcome", "RunState", "WaitReason"]


class RunState(StrEnum):
    """Where a run stands, in the same words for every vendor."""

    SUBMITTING = "submitting"
    """The intent exists; whether the vendor has it is not known."""
    QUEUED = "queued"
    """The vendor has it and nothing works on it."""
    RUNNING = "running"
    WAITING = "waiting"
    """Blocked on a person or an outside event, see `RunStatus.reason`."""
    CANCELLING = "cancelling"
    """We asked the vendor to cancel; holds until it shows a final word."""
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    LOST = "lost"
    """The vendor no longer knows the run: how it ended cannot be known."""
    UNKNOWN = "unknown"
    """Nothing is known yet."""

    @property
    def is_final(self) -> bool:
        """Whether the run has ended, as far as anyone will be able to tell."""
        return self in _FINAL


_FINAL = frozenset({RunState.SUCCEEDED, RunState.FAILED, RunState.CANCELLED, RunState.LOST})


class WaitReason(StrEnum):
    """What a WAITING run waits for."""

    USER_INPUT = "user_input"
    FLOW_SELECTION = "flow_selection"
    EXTERNAL_EVENT = "external_event"
    PAUSED = "paused"


class Cause(StrEnum):
    """Why a run FAILED or was CANCELLED."""

    FLOW = "flow"
    """FAILED: the work itself failed."""
    PLATFORM = "platform"
    """FAILED: the server could not do the work."""
    INTERRUPTED = "interrupted"
    """FAILED: the server stopped it."""
    BY_US = "by_us"
    """CANCELLED: through this client."""
    BY_OTHER = "by_other"
    """CANCELLED: by somebody else."""
    UNSPECIFIED = "unspecified"


class CancelOutcome(StrEnum):
    """What became of a request to cancel."""

    CONFIRMED = "confirmed"
    """The vendor shows the run as cancelled."""
    REQUESTED = "requested"
    """The vendor accepted the request; the run still has to end."""
    TOO_LATE = "too_late"
    """The run had ended before; `Run.status` says how."""


class ReconcileOutcome(StrEnum):
    """What came of looking for a run whose submission is uncertain."""

    FOUND = "found"
    """The vendor shows a run with the key of the submission; it goes on from here."""
    NOT_FOUND = "not_found"
    """The vendor shows none, as of then: a proxy may still deliver the request."""
    CANDIDATES = "candidates"
    """The vendor carries no keys, and shows runs that may be it: which one, if any, is for a person to say."""
    UNKNOWABLE = "unknowable"
    """The vendor has no way to find out."""
