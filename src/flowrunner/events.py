"""What happened, for a caller who wants to know: `connect(..., on_event=function)`.

The function is called where the observation was made, in that thread or task, and should return at once. What it raises
is logged and goes no further. Events hold no credentials.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, TypeAlias

from attrs import frozen

if TYPE_CHECKING:
    from collections.abc import Callable

    from flowrunner.errors import FlowrunnerError
    from flowrunner.models import RunRef, RunStatus

__all__ = [
    "Anomaly",
    "CheckSkipped",
    "ContactFailed",
    "ContactRestored",
    "Event",
    "Notice",
    "StatusChanged",
    "Submitted",
    "UnknownWord",
    "deliver",
]

logger = logging.getLogger(__name__)


@frozen(kw_only=True)
class Event:
    """Something happened on a connection."""

    connection: str


@frozen(kw_only=True)
class Notice(Event):
    """Something about the connection as a whole: which interface of the vendor was chosen, and that one ends."""

    description: str


@frozen(kw_only=True)
class Submitted(Event):
    """The vendor accepted a submission."""

    ref: RunRef


@frozen(kw_only=True)
class StatusChanged(Event):
    """A run stands otherwise than before."""

    ref: RunRef
    old: RunStatus
    new: RunStatus


@frozen(kw_only=True)
class UnknownWord(Event):
    """The vendor used a status word that is not in its map; the run's state stayed. `status_map` can teach it."""

    ref: RunRef
    word: str


@frozen(kw_only=True)
class Anomaly(Event):
    """The vendor contradicts itself, or what was known."""

    ref: RunRef
    description: str


@frozen(kw_only=True)
class ContactFailed(Event):
    """A look at a run failed. That says nothing about the run."""

    ref: RunRef
    error: FlowrunnerError


@frozen(kw_only=True)
class ContactRestored(Event):
    """A look at a run succeeded after some had failed."""

    ref: RunRef


@frozen(kw_only=True)
class CheckSkipped(Event):
    """Parameters were submitted unchecked, since the flow's description could not be read."""

    flow: str
    error: FlowrunnerError


OnEvent: TypeAlias = "Callable[[Event], object]"


def deliver(on_event: OnEvent | None, event: Event) -> None:
    """Hand an event to the caller's function, whatever that does."""
    if on_event is None:
        return
    try:
        on_event(event)
    except Exception:
        logger.exception("on_event raised on %s", type(event).__name__)
