"""What is written of jobs in lists, kept for as long as it stays the same."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from flowrunner.simulator.engine import Job

W = TypeVar("W")


class Written(Generic[W]):
    """What was written of each job, and of what else it was made."""

    def __init__(self) -> None:
        self._kept: dict[int, tuple[Job, tuple[Any, ...], W]] = {}

    def of(self, job: Job, sources: tuple[Any, ...], write: Callable[[], W]) -> W:
        """Return what is written of a job; anew only if it changed, or something else that it is made of."""
        kept = self._kept.get(job.id)
        if kept is not None and kept[0] is job and kept[1] == sources:
            return kept[2]
        new = write()
        self._kept[job.id] = (job, sources, new)
        return new


def to_json(value: Any) -> bytes:
    """Write a value as the web server does."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()


def list_of(items: Iterable[bytes]) -> bytes:
    """Write a list of what is written."""
    return b"[%b]" % b",".join(items)


def with_fields(written: bytes, fields: Mapping[str, Any]) -> bytes:
    """Add fields to a written object that has some; nothing if there are none."""
    return b"%b,%b" % (written[:-1], to_json(fields)[1:]) if fields else written
