"""What a task notes of its run, where its next attempt finds it: in Airflow's store for the state of tasks."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, Self

from airflow.sdk import NEVER_EXPIRE  # type: ignore[attr-defined]  # it is there; its stub does not say so
from airflow.sdk.exceptions import AirflowFailException
from attrs import evolve, frozen

from flowrunner import InvalidRequest, RunRef

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["KEY", "Note", "Notes"]

KEY: Final = "flowrunner_run"
"""Under which a task's note is kept."""


@frozen
class Note:
    """A submission of a task, written down before it was sent.

    Attributes:
        ref: the run; without an id as long as nobody knows whether there is one.
        submitted_at: when it was about to be sent.
        max_tries: after how many attempts Airflow gave the task up. Clearing a task raises that, and nothing else
            does: not another number of retries in its DAG, which is no reason for another run.
        attempt: which attempt at the task it was, counted from 1.
    """

    ref: RunRef
    submitted_at: datetime
    max_tries: int
    attempt: int

    def to_json(self) -> dict[str, Any]:
        """As it is kept."""
        return {
            "ref": str(self.ref),
            "submitted_at": self.submitted_at.isoformat(),
            "max_tries": self.max_tries,
            "attempt": self.attempt,
        }

    @classmethod
    def of_json(cls, kept: Any) -> Self:
        """What was kept.

        Raises:
            AirflowFailException: this version cannot read it, so nobody knows whether there is a run.
        """
        try:
            submitted_at = datetime.fromisoformat(kept["submitted_at"])
            return cls(RunRef.parse(kept["ref"]), submitted_at, int(kept["max_tries"]), int(kept["attempt"]))
        except (InvalidRequest, KeyError, TypeError, ValueError) as error:
            raise AirflowFailException(
                f"The task's note of its run cannot be read: delete its state {KEY!r}, and it will start a new one"
            ) from error


class Notes:
    """The note of a task, for one attempt at it.

    Args:
        context: of the attempt.
    """

    def __init__(self, context: Mapping[str, Any]) -> None:
        self._store = context["task_state_store"]
        self._max_tries = int(context["ti"].max_tries)
        self._attempt = int(context["ti"].try_number)
        self._last: Note | None = None

    def read(self) -> Note | None:
        """The note that an attempt has left; None if there is none."""
        if self._last is None and (kept := self._store.get(KEY)) is not None:
            self._last = Note.of_json(kept)
        return self._last

    def begin(self, ref: RunRef) -> Note:
        """Note that a run is about to be submitted."""
        return self._write(Note(ref, datetime.now(UTC), self._max_tries, self._attempt))

    def found(self, note: Note, ref: RunRef) -> Note:
        """Note which run came of it."""
        return self._write(evolve(note, ref=ref))

    def forget(self) -> None:
        """Have the next attempt start a new run."""
        self._store.delete(KEY)
        self._last = None

    def is_old(self, note: Note) -> bool:
        """Whether the task was cleared since."""
        return note.max_tries != self._max_tries

    def is_of_before(self, note: Note) -> bool:
        """Whether an earlier attempt has submitted it."""
        return note.attempt != self._attempt

    def _write(self, note: Note) -> Note:
        self._store.set(KEY, note.to_json(), retention=NEVER_EXPIRE)
        self._last = note
        return note
