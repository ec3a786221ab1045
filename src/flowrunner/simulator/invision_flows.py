"""The Data Flows that the simulated InVision has. Their ids are ours and never change."""

from __future__ import annotations

from enum import StrEnum
from math import inf

from attrs import field, frozen

from flowrunner.simulator.engine import Behaviour, JobState


class DataFlowId(StrEnum):
    """The ids of the Data Flows there are at first."""

    IMPORT_SALES = "2f1d1a3c-7b0e-4c55-9f0a-3d6a5b8e1c01"
    UPDATE_BUDGET = "2f1d1a3c-7b0e-4c55-9f0a-3d6a5b8e1c02"
    CLOSE_PERIOD = "2f1d1a3c-7b0e-4c55-9f0a-3d6a5b8e1c03"
    NIGHTLY_LOAD = "2f1d1a3c-7b0e-4c55-9f0a-3d6a5b8e1c04"
    COLD_START = "2f1d1a3c-7b0e-4c55-9f0a-3d6a5b8e1c05"
    PING = "2f1d1a3c-7b0e-4c55-9f0a-3d6a5b8e1c06"


@frozen
class DataFlow:
    """A Data Flow.

    Attributes:
        id: What it is started by.
        name: How the product shows it.
        behaviour: What its runs do unless something else is scripted.
    """

    id: str
    name: str
    behaviour: Behaviour = field(factory=Behaviour)


DATA_FLOWS = (
    DataFlow(DataFlowId.IMPORT_SALES, "ImportSales"),
    DataFlow(DataFlowId.UPDATE_BUDGET, "UpdateBudget", Behaviour(duration=5, outcome=JobState.FAILED)),
    # Documented: before 2023.6 a crashed worker left its run Running forever.
    DataFlow(DataFlowId.CLOSE_PERIOD, "ClosePeriod", Behaviour(duration=inf)),
    # Documented: since 2023.6 it is resubmitted, "normally" within about a minute.
    DataFlow(DataFlowId.NIGHTLY_LOAD, "NightlyLoad", Behaviour(duration=20, requeue_after=5, restart_delay=60)),
    # Documented: a worker that was idle for some ten minutes has shut down, and the next start waits for it.
    DataFlow(DataFlowId.COLD_START, "ColdStart", Behaviour(duration=5, start_delay=30)),
    DataFlow(DataFlowId.PING, "Ping", Behaviour(duration=0)),
)
