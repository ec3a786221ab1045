"""Logging: one logger per module, no handler, and values that a formatter can use."""

import importlib
import logging
import pkgutil

import pytest

import flowrunner
from flowrunner import events
from flowrunner.errors import TransportError
from flowrunner.models import RunRef, RunStatus

REF = RunRef("prod", "fme-flow-v4", "a/b.fmw", "1")
ERROR = TransportError("reset", maybe_arrived=True)
MODULES = [
    module.name
    for module in pkgutil.walk_packages(flowrunner.__path__, "flowrunner.")
    if not module.name.endswith("__main__")
]


@pytest.mark.parametrize("name", MODULES)
def test_loggers_are_named_as_their_modules(name):
    """Every logger of ours is `logger`, named as its module, and has neither handler nor level."""
    module = importlib.import_module(name)
    found = {key: value for key, value in vars(module).items() if isinstance(value, logging.Logger)}
    assert set(found) <= {"logger"}
    for logger in found.values():
        assert (logger.name, logger.handlers, logger.level) == (name, [], logging.NOTSET)


def test_the_library_has_no_handler():
    """Where records go is for the program to say."""
    assert logging.getLogger("flowrunner").handlers == []


TOLD = {
    "Submitted": (events.Submitted(connection="prod", ref=REF), {}),
    "StatusChanged": (
        events.StatusChanged(connection="prod", ref=REF, old=RunStatus(), new=RunStatus(vendor_status="running")),
        {"state": "unknown", "vendor_status": "running"},
    ),
    "UnknownWord": (events.UnknownWord(connection="prod", ref=REF, word="ODD"), {"vendor_status": "ODD"}),
    "Anomaly": (events.Anomaly(connection="prod", ref=REF, description="twice"), {"problem": "twice"}),
    "ContactFailed": (events.ContactFailed(connection="prod", ref=REF, error=ERROR), {"problem": str(ERROR)}),
    "ContactRestored": (events.ContactRestored(connection="prod", ref=REF), {}),
    "CheckSkipped": (events.CheckSkipped(connection="prod", flow="a/b", error=ERROR), {"flow": "a/b"}),
}


@pytest.mark.parametrize("name", TOLD)
def test_events_are_logged_with_their_values(name, caplog):
    """Each event is a record at DEBUG whose values are attributes, as structlog's ExtraAdder reads them."""
    event, expected = TOLD[name]
    caplog.set_level(logging.DEBUG, logger="flowrunner")
    events.log(event)
    (record,) = caplog.records
    values = {"event_name": name, "connection": "prod", **expected}
    assert values.items() <= vars(record).items()
    assert getattr(record, "run", str(REF)) == str(REF)
    assert record.getMessage().startswith(f"{name} connection=prod")


def test_what_nobody_reads_is_not_written(caplog):
    """Without DEBUG nothing is logged of an event; a Notice is logged where it arises."""
    caplog.set_level(logging.INFO, logger="flowrunner")
    events.log(TOLD["Anomaly"][0])
    caplog.set_level(logging.DEBUG, logger="flowrunner")
    events.log(events.Notice(connection="prod", description="V3"))
    assert caplog.records == []
