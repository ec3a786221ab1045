"""One InVision server: the state that its API shows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import define, field

from flowrunner.simulator.guids import make_guid, number_of
from flowrunner.simulator.invision_flows import DATA_FLOWS, DataFlow
from flowrunner.simulator.invision_quirks import InVisionQuirks

if TYPE_CHECKING:
    from flowrunner.simulator.engine import EnginePool, Job

_RUN = "invision/run"


@define
class InVisionWorld:
    """The state of a simulated InVision. Everything may be changed while it runs.

    Attributes:
        pool: Its engines.
        token: The API key that opens it.
        quirks: What it decides where the facts leave it open.
        flows: What can be started, by id.
    """

    pool: EnginePool
    token: str = field(repr=False)
    quirks: InVisionQuirks = field(factory=InVisionQuirks)
    flows: dict[str, DataFlow] = field(init=False, factory=dict)

    def __attrs_post_init__(self) -> None:
        for flow in DATA_FLOWS:
            self.publish(flow)

    def close(self) -> None:
        """Do nothing: all of it is in memory."""

    def publish(self, flow: DataFlow) -> None:
        """Publish a Data Flow; its behaviour stands until something else is scripted."""
        self.flows[flow.id] = flow
        self.pool.publish(flow.id, flow.behaviour)

    def find_flow(self, asked: str) -> DataFlow | None:
        """Return the Data Flow of an id, or where names are accepted of a name; both without regard to case."""
        folded = asked.casefold()
        named = self.quirks.names == "accepted"
        found = (
            flow
            for flow in self.flows.values()
            if flow.id.casefold() == folded or (named and flow.name.casefold() == folded)
        )
        return next(found, None)

    def find_run(self, flow: DataFlow, run_id: str) -> Job | None:
        """Return the run of a Data Flow that has an id; None if there is none, or no longer."""
        number = number_of(_RUN, run_id)
        try:
            job = self.pool.job(-1 if number is None else number)
        except KeyError:
            return None
        return job if job.flow == flow.id and self.pool.is_kept(job, self.quirks.kept_for) else None


def run_id(job: Job) -> str:
    """Return the id that a run is shown under."""
    return make_guid(_RUN, job.id)
