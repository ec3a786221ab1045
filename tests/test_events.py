"""Events, and how they reach the caller."""

import logging

import pytest
from attrs import fields
from attrs.exceptions import FrozenInstanceError

from flowrunner import events
from flowrunner.errors import TransportError
from flowrunner.events import Event, Submitted, deliver
from flowrunner.models import RunRef, RunStatus

REF = RunRef("prod", "fme-flow-v4", "a/b.fmw", "1")
ERROR = TransportError("reset", maybe_arrived=True)
ALL = [
    events.Submitted(connection="prod", ref=REF),
    events.StatusChanged(connection="prod", ref=REF, old=RunStatus(), new=RunStatus(attempt=2)),
    events.UnknownWord(connection="prod", ref=REF, word="HIBERNATING"),
    events.Anomaly(connection="prod", ref=REF, description="it ended twice"),
    events.ContactFailed(connection="prod", ref=REF, error=ERROR),
    events.ContactRestored(connection="prod", ref=REF),
    events.Notice(connection="prod", description="V3 was chosen"),
    events.CheckSkipped(connection="prod", flow="a/b.fmw", error=ERROR),
]


@pytest.mark.parametrize("event", ALL, ids=lambda event: type(event).__name__)
def test_events_say_where_and_are_frozen(event):
    """Every event names its connection, can be compared, and cannot be changed."""
    assert isinstance(event, Event)
    assert event.connection == "prod"
    assert event == type(event)(**{attribute.name: getattr(event, attribute.name) for attribute in fields(type(event))})
    with pytest.raises(FrozenInstanceError):
        event.connection = "other"


def test_every_event_is_there():
    """The events above are all that the module exports."""
    assert {type(event).__name__ for event in ALL} | {"Event", "deliver", "log"} == set(events.__all__)


def test_an_event_is_delivered():
    """The function gets the event itself, once, before `deliver` returns."""
    heard = []
    deliver(heard.append, ALL[0])
    assert heard == [ALL[0]]
    assert heard[0] is ALL[0]


def test_nobody_need_listen():
    """Without a function, nothing happens."""
    deliver(None, ALL[0])


@pytest.mark.parametrize("error", [ValueError("a bug"), AssertionError(), StopIteration(), ERROR], ids=repr)
def test_what_the_function_raises_goes_no_further(caplog, error):
    """An exception of the caller's function is logged with its traceback and swallowed."""

    def failing(_event):
        raise error

    deliver(failing, Submitted(connection="prod", ref=REF))
    (record,) = caplog.records
    assert (record.name, record.levelno) == ("flowrunner.events", logging.ERROR)
    assert record.getMessage() == "on_event raised on Submitted"
    assert record.exc_info[1] is error


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_the_end_of_the_program_is_not_swallowed(error):
    """Who wants to stop is stopped."""

    def stopping(_event):
        raise error

    with pytest.raises(error):
        deliver(stopping, ALL[0])
