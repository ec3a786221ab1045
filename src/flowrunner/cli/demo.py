"""`flowrunner demo`: real runs on a simulated vendor, for a few seconds.

The simulator serves on the loopback interface and its clock is fast; the runs go over HTTP through the public
interface, as those of any program do.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

import click
from attrs import define, field, frozen
from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from flowrunner.cli.exit_codes import ExitCode
from flowrunner.cli.extras import require_simulator
from flowrunner.cli.outcome import end, reporting
from flowrunner.cli.output import COLOURS, Output, one_line, seconds_between, vendor_word
from flowrunner.connecting import connect_async
from flowrunner.enums import RunState
from flowrunner.models import RunStatus

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Mapping

    from flowrunner.client import AsyncRun
    from flowrunner.simulator import Simulator

    Show = Callable[[RunStatus], None]
    Tell = Callable[["Part"], None]

__all__ = ["command"]

_SPEED: Final = 5.0
"""Seconds of the simulator's clock per real second."""
_REPOSITORY: Final = "Demo"
_PIPE_WIDTH: Final = 160
"""Columns where no terminal says how many there are."""

_NEXT: Final = """\
Where to go next:

  Serve this simulator for your own runs
    flowrunner simulate fme-flow-v4 | tee flowrunner.toml
  Start runs on a connection of yours
    flowrunner run --help
  The same from Python
    python -c "import flowrunner; help(flowrunner.connect)"
"""


@frozen
class Scenario:
    """A run of the demo.

    Attributes:
        workspace: what is run.
        shows: what a person sees by it.
        behaviour: what the simulator does, the arguments of its `Behaviour`.
        expected: how it has to end.
        follow: what the program does once it has submitted the run.
        settings: of its connection.
    """

    workspace: str
    shows: str
    behaviour: Mapping[str, Any]
    expected: RunState
    follow: Callable[[AsyncRun, Show], Awaitable[None]]
    settings: Mapping[str, Any] = field(factory=dict)

    @property
    def flow(self) -> str:
        """What is run, as a submission names it."""
        return f"{_REPOSITORY}/{self.workspace}"


@define
class Part:
    """A scenario while it is played.

    Attributes:
        scenario: which.
        status: what is known of the run.
        id: the vendor's, once there is one.
    """

    scenario: Scenario
    status: RunStatus = field(factory=lambda: RunStatus(state=RunState.SUBMITTING))
    id: str | None = None

    @property
    def shown(self) -> Text:
        """How it stands: state, vendor's word, attempt and message."""
        word = vendor_word(self.status)
        return Text.assemble(
            _coloured(self.status.state),
            f" ({word})" if word else "",
            f", attempt {self.status.attempt}" if self.status.attempt > 1 else "",
            f": {one_line(self.status.message)}" if self.status.message else "",
        )

    @property
    def went_as_planned(self) -> bool:
        """Whether the run ended as it had to."""
        return self.status.state is self.scenario.expected


async def _watch(run: AsyncRun, show: Show) -> None:
    """Show every change; then read the details, the message among them."""
    async for status in run.watch():
        show(status)
    show((await run.result()).status)


async def _cancel_at_work(run: AsyncRun, show: Show) -> None:
    """Cancel once an engine works on it."""
    async for status in run.watch():
        show(status)
        if status.state is RunState.RUNNING:
            await run.cancel()
    show((await run.result()).status)


async def _wait(run: AsyncRun, show: Show) -> None:
    """Only the end matters: the vendor holds the request until it comes."""
    show((await run.wait(raise_on_failure=False)).status)


SCENARIOS: Final = (
    Scenario(
        workspace="roads.fmw",
        shows="succeeds; its engine crashes once; polled",
        behaviour={"duration": 7.0, "start_delay": 2.0, "requeue_after": 4.0, "restart_delay": 3.0, "features": 1539},
        expected=RunState.SUCCEEDED,
        follow=_watch,
        settings={"max_long_polls": 0},
    ),
    Scenario(
        workspace="parcels.fmw",
        shows="fails",
        behaviour={"duration": 8.0, "start_delay": 2.0, "outcome": "failed", "message": "parcels.shp not found"},
        expected=RunState.FAILED,
        follow=_watch,
    ),
    Scenario(
        workspace="rivers.fmw",
        shows="is cancelled by this program",
        behaviour={"duration": 600.0, "start_delay": 4.0, "cancel_delay": 4.0},
        expected=RunState.CANCELLED,
        follow=_cancel_at_work,
    ),
    Scenario(
        workspace="terrain.fmw",
        shows="succeeds; long-polled: one request is held open",
        behaviour={"duration": 17.0},
        expected=RunState.SUCCEEDED,
        follow=_wait,
    ),
)


@click.command("demo", short_help="Watch real runs on a simulated vendor, for a few seconds.")
def command() -> None:
    """Watch real runs on a simulated vendor, for a few seconds.

    Starts a simulator on the loopback interface and runs four flows on it over HTTP: one succeeds, one fails, one is
    cancelled and one is long-polled. The exit code is 0 if all of them ended as planned, else 1.
    """
    require_simulator()
    output = Output()
    with reporting(output):
        end(asyncio.run(_perform(Console(), output)))


async def _perform(console: Console, output: Output) -> ExitCode:
    from flowrunner.simulator import Behaviour, RealClock, Simulator, Workspace

    if not console.is_terminal:
        console.width = _PIPE_WIDTH
    parts = [Part(scenario) for scenario in SCENARIOS]
    with Simulator("fme-flow-v4", clock=RealClock(_SPEED), engines=len(parts)) as simulator:
        for scenario in SCENARIOS:
            simulator.publish(Workspace(_REPOSITORY, scenario.workspace, behaviour=Behaviour(**scenario.behaviour)))
        _introduce(console, simulator)
        await _show(console, simulator, parts)
        _conclude(console, simulator, parts)
    if all(part.went_as_planned for part in parts):
        return ExitCode.SUCCEEDED
    output.say("Error: not all runs ended as planned.")
    return ExitCode.ERROR


def _introduce(console: Console, simulator: Simulator) -> None:
    text = (
        f"A simulated FME Flow serves on {simulator.base_url}; its clock runs {_SPEED:g} times as fast as yours."
        " Four runs at once, over HTTP:"
    )
    console.print(text, "", sep="\n", highlight=False)


async def _show(console: Console, simulator: Simulator, parts: list[Part]) -> None:
    """Play, live on a terminal, else with a line for each change."""
    if console.is_terminal and not console.is_dumb_terminal:
        with Live(get_renderable=lambda: _live_table(parts, console.width), console=console, refresh_per_second=10):
            await _play(simulator, parts, lambda _: None)
        return
    for part in parts:
        console.print(f"{part.scenario.flow}  {part.scenario.shows}", highlight=False)
    console.print()
    await _play(simulator, parts, lambda part: console.print(Text(f"{part.scenario.flow}  {part.shown}")))


async def _play(simulator: Simulator, parts: list[Part], tell: Tell) -> None:
    await asyncio.gather(*(_play_part(simulator, part, tell) for part in parts))


async def _play_part(simulator: Simulator, part: Part, tell: Tell) -> None:
    def show(status: RunStatus) -> None:
        before, part.status = part.shown, status
        if part.shown != before:
            tell(part)

    async with connect_async(
        backend=simulator.vendor,
        base_url=simulator.base_url,
        token=simulator.token,
        poll_min=0.2,
        **part.scenario.settings,
    ) as client:
        run = await client.submit(part.scenario.flow)
        part.id = run.id
        show(run.status)
        await part.scenario.follow(run, show)


def _live_table(parts: list[Part], width: int) -> Table:
    # A terminal writes ^C behind the last line: there has to be room, or all moves down by a line.
    table = Table(box=None, pad_edge=False, width=width - 2)
    table.add_column("flow", no_wrap=True)
    table.add_column("what it shows", ratio=1)
    table.add_column("how it stands", ratio=1)
    for part in parts:
        table.add_row(part.scenario.flow, Text(part.scenario.shows, "dim"), part.shown)
    return table


def _conclude(console: Console, simulator: Simulator, parts: list[Part]) -> None:
    requests = [_requests_about(simulator, part) for part in parts]
    everything = len(simulator.requests)
    console.print("", "What happened:", "", sep="\n")
    console.print(_summary(parts, requests))
    text = (
        f"{everything} requests in all, {everything - sum(requests)} of them for the descriptions of the flows."
        " Durations are the simulator's seconds."
    )
    console.print("", text, "", _NEXT, sep="\n", end="", highlight=False)


def _requests_about(simulator: Simulator, part: Part) -> int:
    """Its submission, and everything asked about it since."""
    job = f"/fmeapiv4/jobs/{part.id}"
    return 1 + len(simulator.requests.matching(job)) + len(simulator.requests.matching(f"{job}/*"))


def _summary(parts: list[Part], requests: list[int]) -> Table:
    table = Table(box=None, pad_edge=False)
    for column in ("flow", "outcome"):
        table.add_column(column, no_wrap=True)
    for column in ("attempts", "duration", "requests"):
        table.add_column(column, no_wrap=True, justify="right")
    table.add_column("message")
    for part, count in zip(parts, requests, strict=True):
        table.add_row(*_summary_row(part, count))
    return table


def _summary_row(part: Part, requests: int) -> Iterator[str | Text]:
    yield part.scenario.flow
    yield Text.assemble(_coloured(part.status.state))
    yield str(part.status.attempt)
    duration = seconds_between(part.status)
    yield "" if duration is None else f"{duration:g} s"
    yield str(requests)
    yield Text(one_line(part.status.message or ""))


def _coloured(state: RunState) -> tuple[str, str]:
    return str(state), COLOURS.get(state, "")
