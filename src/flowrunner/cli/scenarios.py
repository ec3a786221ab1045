"""What `flowrunner demo` plays: runs of every vendor, and what the program does once it has started them.

Needs the simulator's extra.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from attrs import field, frozen

from flowrunner.enums import RunState
from flowrunner.errors import InputRequired
from flowrunner.simulator import Behaviour, DataFlowId, JobState, SmartFlowId, Workspace

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from flowrunner.client import AsyncRun
    from flowrunner.models import RunResult
    from flowrunner.simulator import Simulator

    Say = Callable[[str], None]

__all__ = ["SCENARIOS", "VENDORS", "Scenario"]

VENDORS: Final = {
    "fme-flow-v4": "FME Flow V4",
    "fme-flow-v3": "FME Flow V3",
    "invision": "InVision",
    "smart-flows": "Smart Flows",
}
"""What people call the vendors, by the name of the backend."""

_REPOSITORY: Final = "Demo"
_THINKING: Final = 0.8
"""Seconds a person takes for an answer."""
_PATIENCE: Final = 0.5
"""Seconds of work before a run is cancelled."""
_ANSWER: Final = "Ada Lovelace"


@frozen
class Scenario:
    """A run of the demo.

    Attributes:
        vendor: the name of the backend.
        flow: what is run, as a submission names it.
        name: what is run, as a person knows it.
        shows: what a person sees by it.
        expected: how it has to end.
        follow: what the program does once it has submitted the run.
        behaviour: what the simulator does, if it is not what the flow does anyway.
        settings: of its connection.
        makes_document: whether it has to leave a document.
        needs: the extra of this package, and the module in it, without which it cannot be played.
    """

    vendor: str
    flow: str
    name: str
    shows: str
    expected: RunState
    follow: Callable[[AsyncRun, Say], Awaitable[RunResult]]
    behaviour: Behaviour | None = None
    settings: Mapping[str, Any] = field(factory=dict)
    makes_document: bool = False
    needs: tuple[str, str] | None = None

    def prepare(self, simulator: Simulator) -> None:
        """Have its flow there, and let it behave."""
        if self.flow.startswith(f"{_REPOSITORY}/"):
            simulator.publish(Workspace(_REPOSITORY, self.name))
        if self.behaviour is not None:
            simulator.pool.script(self.flow, self.behaviour)

    def is_fulfilled_by(self, result: RunResult | None) -> bool:
        """Whether the run ended as it had to."""
        if result is None or result.status.state is not self.expected:
            return False
        return bool(result.artifacts) or not self.makes_document


async def _wait(run: AsyncRun, _say: Say) -> RunResult:
    """Only the end matters."""
    return await run.wait(raise_on_failure=False)


async def _cancel_at_work(run: AsyncRun, _say: Say) -> RunResult:
    """Cancel once an engine works on it."""
    async for status in run.watch():
        if status.state is RunState.RUNNING:
            await asyncio.sleep(_PATIENCE)
            await run.refresh()
            await run.cancel()
    return await run.result()


async def _answer(run: AsyncRun, say: Say) -> RunResult:
    """Wait; whenever the run asks a person, be that person."""
    while True:
        try:
            return await run.wait(raise_on_failure=False)
        except InputRequired as question:
            schema = question.schema or {}
            asked = {key: schema["properties"][key]["title"] for key in schema.get("required", ())}
            titles = ", ".join(asked.values())
            say(f"asks: {titles}?")
            await asyncio.sleep(_THINKING)
            say(f"asks: {titles}? Answered: {_ANSWER}")
            await run.resume(dict.fromkeys(asked, _ANSWER))


SCENARIOS: Final = (
    Scenario(
        vendor="fme-flow-v4",
        flow=f"{_REPOSITORY}/roads.fmw",
        name="roads.fmw",
        shows="its engine crashes once; polled",
        expected=RunState.SUCCEEDED,
        follow=_wait,
        behaviour=Behaviour(duration=7, start_delay=2, requeue_after=4, restart_delay=3, features=1539),
        settings={"max_long_polls": 0},
    ),
    Scenario(
        vendor="fme-flow-v4",
        flow=f"{_REPOSITORY}/terrain.fmw",
        name="terrain.fmw",
        shows="long-polled: seen again at its end",
        expected=RunState.SUCCEEDED,
        follow=_wait,
        behaviour=Behaviour(duration=17),
    ),
    Scenario(
        vendor="fme-flow-v3",
        flow=f"{_REPOSITORY}/parcels.fmw",
        name="parcels.fmw",
        shows="fails",
        expected=RunState.FAILED,
        follow=_wait,
        behaviour=Behaviour(duration=8, start_delay=2, outcome=JobState.FAILED, message="parcels.shp not found"),
    ),
    Scenario(
        vendor="fme-flow-v3",
        flow=f"{_REPOSITORY}/rivers.fmw",
        name="rivers.fmw",
        shows="is cancelled by this program",
        expected=RunState.CANCELLED,
        follow=_cancel_at_work,
        behaviour=Behaviour(duration=600, start_delay=4, cancel_delay=4),
    ),
    Scenario(
        vendor="invision",
        flow=DataFlowId.IMPORT_SALES.value,
        name="ImportSales",
        shows="succeeds",
        expected=RunState.SUCCEEDED,
        follow=_wait,
        behaviour=Behaviour(duration=12, start_delay=3),
    ),
    Scenario(
        vendor="smart-flows",
        flow=SmartFlowId.ASKS_ONCE.value,
        name="Letter",
        shows="asks a person; makes a document",
        expected=RunState.SUCCEEDED,
        follow=_answer,
        makes_document=True,
        needs=("forms", "jsonschema"),
    ),
)
