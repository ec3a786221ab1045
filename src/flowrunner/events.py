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
    "log",
]

logger = logging.getLogger(__name__)


@frozen(kw_only=True)
class Event:
    """Something happened on a connection.

    Attributes:
        connection: its name.
    """

    connection: str


@frozen(kw_only=True)
class Notice(Event):
    """Something about the connection as a whole: which interface of the vendor was chosen, and that one ends.

    Attributes:
        connection: its name.
        description: what there is to say.
    """

    description: str


@frozen(kw_only=True)
class Submitted(Event):
    """The vendor accepted a submission.

    Attributes:
        connection: its name.
        ref: the run.
    """

    ref: RunRef


@frozen(kw_only=True)
class StatusChanged(Event):
    """A run stands otherwise than before.

    Attributes:
        connection: its name.
        ref: the run.
        old: what was known before.
        new: what is known from now on.
    """

    ref: RunRef
    old: RunStatus
    new: RunStatus


@frozen(kw_only=True)
class UnknownWord(Event):
    """The vendor used a status word that is not in its map; the run's state stayed. `status_map` can teach it.

    Attributes:
        connection: its name.
        ref: the run.
        word: as the vendor wrote it.
    """

    ref: RunRef
    word: str


@frozen(kw_only=True)
class Anomaly(Event):
    """The vendor contradicts itself, or what was known.

    Attributes:
        connection: its name.
        ref: the run.
        description: what does not fit.
    """

    ref: RunRef
    description: str


@frozen(kw_only=True)
class ContactFailed(Event):
    """A look at a run failed. That says nothing about the run.

    Attributes:
        connection: its name.
        ref: the run.
        error: why.
    """

    ref: RunRef
    error: FlowrunnerError


@frozen(kw_only=True)
class ContactRestored(Event):
    """A look at a run succeeded after some had failed.

    Attributes:
        connection: its name.
        ref: the run.
    """

    ref: RunRef


@frozen(kw_only=True)
class CheckSkipped(Event):
    """Parameters were submitted unchecked, since the flow's description could not be read.

    Attributes:
        connection: its name.
        flow: which.
        error: why not.
    """

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


def log(event: Event) -> None:
    """Write an event into the log, at DEBUG, with what it says as attributes of the record, too.

    A warning would reach the terminal of a program that has set up no logging. What says what to beware of about the
    connection as a whole, a `Notice`, is logged where it arises.
    """
    if isinstance(event, Notice) or not logger.isEnabledFor(logging.DEBUG):
        return
    told = {"event_name": type(event).__name__, "connection": event.connection, **_told(event)}
    logger.debug("%s %s", told["event_name"], " ".join(f"{key}={told[key]}" for key in list(told)[1:]), extra=told)


def _told(event: Event) -> dict[str, str | None]:
    run = {"run": str(event.ref)} if hasattr(event, "ref") else {}
    match event:
        case StatusChanged(new=new):
            return {**run, "state": new.state.value, "vendor_status": new.vendor_status}
        case UnknownWord(word=word):
            return {**run, "vendor_status": word}
        case Anomaly(description=description):
            return {**run, "problem": description}
        case ContactFailed(error=error):
            return {**run, "problem": str(error)}
        case CheckSkipped(flow=flow, error=error):
            return {"flow": flow, "problem": str(error)}
        case _:
            return dict(run)
