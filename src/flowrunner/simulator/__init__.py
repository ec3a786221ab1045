"""Simulators of the vendors' servers: real HTTP on the loopback interface, with a clock and behaviours a test can set.

They import nothing of the rest of flowrunner. They need the extra `flowrunner[simulator]`.
"""

from __future__ import annotations

try:
    import starlette  # noqa: F401 - asked for here, so that its absence is explained once
    import uvicorn  # noqa: F401 - the same
except ImportError as error:
    raise ImportError('The simulator needs starlette and uvicorn: pip install "flowrunner[simulator]"') from error

from flowrunner.simulator.clock import Clock, ManualClock, RealClock
from flowrunner.simulator.engine import Behaviour, EndedBy, EnginePool, Job, JobState, Limits
from flowrunner.simulator.fme_every_parameter import EVERY_PARAMETER
from flowrunner.simulator.fme_jobs import JobNotes, SentData
from flowrunner.simulator.fme_workspaces import Choice, Kind, Parameter, Workspace
from flowrunner.simulator.quirks import Quirks
from flowrunner.simulator.recorder import RecordedRequest, Recorder
from flowrunner.simulator.server import Simulator

__all__ = [
    "EVERY_PARAMETER",
    "Behaviour",
    "Choice",
    "Clock",
    "EndedBy",
    "EnginePool",
    "Job",
    "JobNotes",
    "JobState",
    "Kind",
    "Limits",
    "ManualClock",
    "Parameter",
    "Quirks",
    "RealClock",
    "RecordedRequest",
    "Recorder",
    "SentData",
    "Simulator",
    "Workspace",
]
