"""`flowrunner demo`: real runs on simulated vendors, for a few seconds.

The simulators serve on the loopback interface and their clocks are fast; the runs go over HTTP through the public
interface, as those of any program do.
"""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Final

import click
from attrs import define, field
from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from flowrunner.cli import interrupts
from flowrunner.cli.exit_codes import ExitCode
from flowrunner.cli.extras import is_installed, require_simulator
from flowrunner.cli.outcome import end, reporting
from flowrunner.cli.output import COLOURS, Output, one_line, vendor_word
from flowrunner.cli.timeline import LEGEND, axis_of, length_of, moments_of
from flowrunner.connecting import connect_async
from flowrunner.enums import RunState
from flowrunner.events import StatusChanged
from flowrunner.models import RunStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from flowrunner.cli.scenarios import Scenario
    from flowrunner.cli.timeline import Moments
    from flowrunner.client import AsyncRun
    from flowrunner.events import Event
    from flowrunner.models import RunResult
    from flowrunner.simulator import Simulator

    Tell = Callable[["Part"], None]

__all__ = ["command"]

_SPEED: Final = 5.0
"""Seconds of the simulators' clocks per real second."""
_PIPE_WIDTH: Final = 160
"""Columns where no terminal says how many there are."""
_BAR: Final = 40
"""Characters of a timeline."""

_NEXT: Final = """\
Where to go next:

  Serve one of these simulators, and start a run on it in another terminal
    flowrunner simulate fme-flow-v4 | tee simulator.toml
    flowrunner run --config simulator.toml simulator Tutorials/10seconds.fmw -p location=Burnaby --wait
  Start runs on a connection of yours
    flowrunner run --help
  The same from Python
    python -c "import flowrunner; help(flowrunner.connect)"
"""


@define
class Part:
    """A scenario while it is played.

    Attributes:
        scenario: which.
        simulator: where.
        vendor: what people call it.
        status: what is known of the run.
        said: what the program and the run have to say to each other.
        run: itself, once it is submitted.
        result: what became of it, once it has ended.
    """

    scenario: Scenario
    simulator: Simulator
    vendor: str
    status: RunStatus = field(factory=lambda: RunStatus(state=RunState.SUBMITTING))
    said: str = ""
    run: AsyncRun | None = None
    result: RunResult | None = None

    @property
    def shown(self) -> Text:
        """How it stands: state, vendor's word, attempt and what is said about it."""
        word = vendor_word(self.status)
        message = self.said or one_line(self.status.message or "")
        return Text.assemble(
            _coloured(self.status.state),
            f" ({word})" if word else "",
            f", attempt {self.status.attempt}" if self.status.attempt > 1 else "",
            f": {message}" if message else "",
        )

    @property
    def went_as_planned(self) -> bool:
        """Whether the run ended as it had to."""
        return self.scenario.is_fulfilled_by(self.result)

    @property
    def moments(self) -> Moments:
        """When it was seen in which state."""
        return moments_of(() if self.run is None else self.run.history)

    @property
    def requests(self) -> int:
        """How many went out: its submission, and everything asked about it since."""
        if self.run is None:
            return 0
        path, received = f"*/{self.run.id}", self.simulator.requests
        return 1 + len(received.matching(path)) + len(received.matching(f"{path}/*"))

    @property
    def message(self) -> str:
        """What the vendor says about its end, and the documents it left."""
        documents = () if self.result is None else self.result.artifacts
        return one_line(", ".join([self.status.message or "", *(each.name for each in documents)]).removeprefix(", "))


_HELP = """\
Watch real runs on simulated vendors, for a few seconds.

Starts a simulator of each vendor on the loopback interface and runs six flows on them over HTTP: runs succeed, one
after a crash of its engine, one fails, one is cancelled, one asks a person. The exit code is 0 if all of them ended as
planned, else 1.

\b
Examples:
  flowrunner demo
  flowrunner demo > demo.txt
"""


@click.command("demo", help=_HELP, short_help="Watch real runs on simulated vendors, for a few seconds.")
def command() -> None:
    """See `_HELP`."""
    require_simulator()
    output = Output()
    with reporting(output):
        end(interrupts.run(_perform(Console(), output)))


async def _perform(console: Console, output: Output) -> ExitCode:
    from flowrunner.cli.scenarios import SCENARIOS

    if not console.is_terminal:
        console.width = _PIPE_WIDTH
    with ExitStack() as stack:
        parts = _prepare(_playable(SCENARIOS, console), stack)
        _introduce(console, parts)
        await _show(console, parts)
        _conclude(console, parts)
    if all(part.went_as_planned for part in parts):
        return ExitCode.SUCCEEDED
    output.say("Error: not all runs ended as planned.")
    return ExitCode.ERROR


def _playable(scenarios: Iterable[Scenario], console: Console) -> list[Scenario]:
    """The scenarios that what is installed is enough for; of the others it says what they need."""
    playable = []
    for scenario in scenarios:
        if scenario.needs is None or is_installed(scenario.needs[1]):
            playable.append(scenario)
        else:
            text = f'Without {scenario.name} ({scenario.shows}): pip install "flowrunner[{scenario.needs[0]}]"'
            console.print(text, "", sep="\n", highlight=False, markup=False)
    return playable


def _prepare(scenarios: list[Scenario], stack: ExitStack) -> list[Part]:
    """Serve every vendor there is a scenario of, until the stack is left."""
    from flowrunner.cli.scenarios import VENDORS
    from flowrunner.simulator import RealClock, Simulator

    names = dict.fromkeys(scenario.vendor for scenario in scenarios)
    serving = {name: stack.enter_context(Simulator(name, clock=RealClock(_SPEED))) for name in names}
    for scenario in scenarios:
        scenario.prepare(serving[scenario.vendor])
    return [Part(scenario, serving[scenario.vendor], VENDORS[scenario.vendor]) for scenario in scenarios]


def _introduce(console: Console, parts: list[Part]) -> None:
    console.print(f"Simulated vendors; their clocks run {_SPEED:g} times as fast as yours:", highlight=False)
    for name, address in dict.fromkeys((part.vendor, part.simulator.base_url) for part in parts):
        console.print(f"  {name:<13}{address}", highlight=False)
    console.print(f"Runs at once, over HTTP: {len(parts)}", "", sep="\n", highlight=False)


async def _show(console: Console, parts: list[Part]) -> None:
    """Play, live on a terminal, else with a line for each change."""
    if console.is_terminal and not console.is_dumb_terminal:
        with Live(get_renderable=lambda: _live_table(parts, console.width), console=console, refresh_per_second=10):
            await _play(parts, lambda _: None)
        return
    for part in parts:
        console.print(f"{_label(part)}  {part.scenario.shows}", highlight=False)
    console.print()
    await _play(parts, lambda part: console.print(Text(f"{_label(part)}  {part.shown}")))


async def _play(parts: list[Part], tell: Tell) -> None:
    await asyncio.gather(*(_play_part(part, tell) for part in parts))


async def _play_part(part: Part, tell: Tell) -> None:
    def show(status: RunStatus, said: str) -> None:
        before, part.status, part.said = part.shown, status, said
        if part.shown != before:
            tell(part)

    def hear(event: Event) -> None:
        if isinstance(event, StatusChanged):
            show(event.new, "")

    scenario, simulator = part.scenario, part.simulator
    settings: dict[str, Any] = {**simulator.settings, "poll_min": 0.2, **scenario.settings}
    async with connect_async(backend=simulator.vendor, on_event=hear, **settings) as client:
        part.run = run = await client.submit(scenario.flow)
        show(run.status, "")
        part.result = await scenario.follow(run, lambda said: show(run.status, said))
        show(part.result.status, "")


def _label(part: Part) -> str:
    return f"{part.vendor:<11}  {part.scenario.name:<11}"


def _live_table(parts: list[Part], width: int) -> Table:
    # A terminal writes ^C behind the last line: there has to be room, or all moves down by a line.
    table = Table(box=None, pad_edge=False, width=width - 2)
    table.add_column("vendor", no_wrap=True)
    table.add_column("flow", no_wrap=True)
    table.add_column("what it shows", ratio=1)
    table.add_column("how it stands", ratio=1)
    for part in parts:
        table.add_row(part.vendor, part.scenario.name, Text(part.scenario.shows, "dim"), part.shown)
    return table


def _conclude(console: Console, parts: list[Part]) -> None:
    console.print("", "What happened:", "", sep="\n")
    console.print(_summary(parts))
    console.print("", "As this program saw it:", "", sep="\n")
    for line in _picture(parts):
        console.print(line, no_wrap=True, overflow="crop")
    everything = sum({part.vendor: len(part.simulator.requests) for part in parts}.values())
    others = everything - sum(part.requests for part in parts)
    text = (
        f"{everything} requests in all, {others} of them for descriptions of flows and documents."
        " Durations are seconds of your clock."
    )
    console.print("", text, "", _NEXT, sep="\n", end="", highlight=False)


def _picture(parts: list[Part]) -> Iterator[Text]:
    """A timeline for each run, above the axis they share."""
    axis = axis_of((part.moments for part in parts), _BAR)
    if axis is None:
        return
    for part in parts:
        yield Text.assemble(f"{_label(part)}  ", (axis.draw(part.moments), COLOURS.get(part.status.state, "")))
    margin = " " * (len(_label(parts[0])) + 2)
    yield Text(f"{margin}{axis.scale()}")
    yield Text(f"{margin}{LEGEND}")


def _summary(parts: list[Part]) -> Table:
    table = Table(box=None, pad_edge=False)
    for column in ("vendor", "flow", "outcome"):
        table.add_column(column, no_wrap=True)
    for column in ("attempts", "duration", "requests"):
        table.add_column(column, no_wrap=True, justify="right")
    table.add_column("message")
    for part in parts:
        table.add_row(*_summary_row(part))
    return table


def _summary_row(part: Part) -> Iterator[str | Text]:
    yield part.vendor
    yield part.scenario.name
    yield Text.assemble(_coloured(part.status.state))
    yield str(part.status.attempt)
    duration = length_of(part.moments)
    yield "" if duration is None else f"{duration:.1f} s"
    yield str(part.requests)
    yield Text(part.message)


def _coloured(state: RunState) -> tuple[str, str]:
    return str(state), COLOURS.get(state, "")
