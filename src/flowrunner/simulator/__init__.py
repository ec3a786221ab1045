"""Simulators of the vendors' servers: real HTTP on the loopback interface, with a clock and behaviours a test can set.

They import nothing of the rest of flowrunner. They need the extra `flowrunner[simulator]`.
"""

from __future__ import annotations

try:
    import starlette  # noqa: F401 - asked for here, so that its absence is explained once
    import uvicorn  # noqa: F401 - the same
except ImportError as error:
    raise ImportError('The simulator needs starlette and uvicorn: pip install "flowrunner[simulator]"') from error

from flowrunner.simulator.books import Submission
from flowrunner.simulator.clock import Clock, ManualClock, RealClock
from flowrunner.simulator.engine import Behaviour, EndedBy, EnginePool, Job, JobState, Limits, Pause, Stint
from flowrunner.simulator.fault_files import read_faults
from flowrunner.simulator.faults import Fault, Faults
from flowrunner.simulator.fme_every_parameter import EVERY_PARAMETER
from flowrunner.simulator.fme_jobs import JobNotes, SentData
from flowrunner.simulator.fme_workspaces import Choice, Kind, Parameter, Workspace
from flowrunner.simulator.invision_flows import DataFlow, DataFlowId
from flowrunner.simulator.invision_quirks import InVisionQuirks
from flowrunner.simulator.quirks import Quirks
from flowrunner.simulator.recorder import RecordedRequest, Recorder
from flowrunner.simulator.sent_input import Input
from flowrunner.simulator.server import Simulator
from flowrunner.simulator.smart_flows_flows import (
    EMPLOYEES,
    Ask,
    AwaitCallback,
    Block,
    ChooseFlow,
    Made,
    MadeForEach,
    NamedOutput,
    Question,
    SmartFlow,
    SmartFlowId,
)
from flowrunner.simulator.smart_flows_quirks import SmartFlowsQuirks
from flowrunner.simulator.smart_flows_world import ExecutionNotes

__all__ = [
    "EMPLOYEES",
    "EVERY_PARAMETER",
    "Ask",
    "AwaitCallback",
    "Behaviour",
    "Block",
    "Choice",
    "ChooseFlow",
    "Clock",
    "DataFlow",
    "DataFlowId",
    "EndedBy",
    "EnginePool",
    "ExecutionNotes",
    "Fault",
    "Faults",
    "InVisionQuirks",
    "Input",
    "Job",
    "JobNotes",
    "JobState",
    "Kind",
    "Limits",
    "Made",
    "MadeForEach",
    "ManualClock",
    "NamedOutput",
    "Parameter",
    "Pause",
    "Question",
    "Quirks",
    "RealClock",
    "RecordedRequest",
    "Recorder",
    "SentData",
    "Simulator",
    "SmartFlow",
    "SmartFlowId",
    "SmartFlowsQuirks",
    "Stint",
    "Submission",
    "Workspace",
    "read_faults",
]
