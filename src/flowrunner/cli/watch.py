"""`flowrunner watch`: follow several runs at once, live."""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack, contextmanager
from typing import TYPE_CHECKING, Any, NoReturn

import click
from attrs import define, field, frozen
from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from flowrunner.cli import interrupts
from flowrunner.cli.completing import connection_names
from flowrunner.cli.exit_codes import ExitCode
from flowrunner.cli.following import ago, details
from flowrunner.cli.live import messages_above
from flowrunner.cli.options import config_option, journal_option, json_option, timeout_option
from flowrunner.cli.outcome import code_of, code_of_state, command_line, end, error_object, interrupted, reporting
from flowrunner.cli.output import COLOURS, Output, one_line, run_object
from flowrunner.cli.target import read_targets, reference_explained, reference_of, warnings_told
from flowrunner.cli.timeline import moments, show_picture
from flowrunner.connecting import connect_async
from flowrunner.errors import FlowrunnerError, JournalError
from flowrunner.models import RunStatus
from flowrunner.states import needs_a_person

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from flowrunner.cli.options import JournalPlace
    from flowrunner.cli.target import Target
    from flowrunner.cli.timeline import Moments
    from flowrunner.client import AsyncClient, AsyncRun

__all__ = ["command"]

_HELP = """\
Follow several runs at once, until all of them have ended: on a terminal in a table that is always up to date, else with
a line for each change. At the end a picture shows when each run queued, ran, waited or was requeued.

Each RUN is a reference, or the vendor's id; CONNECTION names the connection of all ids. A run that waits for a person
is followed on: somebody may answer it. Ctrl-C ends the watching, never a run.

The exit code is that of the first run, in the order given, that did not succeed (see `flowrunner --help`).

With --json, stdout is an object on a line for each change: {"ref", "id", "flow", "status"}; a run that cannot be
followed any more is {"error", "message", "exit_code", "ref", ...}.

\b
Examples:
  flowrunner watch prod 4711 4712
  flowrunner watch "$first" "$second" --timeout 3600
  flowrunner watch prod 4711 4712 --json
"""


@define
class Watched:
    """A run while it is watched.

    Attributes:
        target: how it was named.
        run: itself; None until its connection is there.
        status: what is known.
        error: why it is not followed any more.
    """

    target: Target
    run: AsyncRun | None = None
    status: RunStatus = field(factory=RunStatus)
    error: FlowrunnerError | None = None

    @property
    def label(self) -> str:
        """What it is called: connection and id."""
        name = self.target.run if self.run is None else str(self.run.id)
        return one_line(f"{self.target.connection} {name}")

    @property
    def flow(self) -> str:
        """What it runs, where that is known."""
        return one_line(self.run.flow) if self.run is not None else ""

    @property
    def is_over(self) -> bool:
        """Whether there is nothing more to see of it."""
        return self.error is not None or self.status.state.is_final

    @property
    def code(self) -> ExitCode:
        """What it says about the command."""
        if self.status.state.is_final:
            return code_of_state(self.status.state)
        return ExitCode.SUCCEEDED if self.error is None else code_of(self.error)

    @property
    def shown(self) -> Text:
        """How it stands."""
        if self.error is not None and not self.status.state.is_final:
            return Text(f"{self.status.state}: {one_line(self.error.message)}", "red")
        text = Text.assemble((str(self.status.state), COLOURS.get(self.status.state, "")), details(self.status))
        return text.append(" (asks a person)") if needs_a_person(self.status) else text


@click.command("watch", help=_HELP, short_help="Follow several runs at once, live.")
@click.argument("words", nargs=-1, required=True, metavar="[CONNECTION] RUN...", shell_complete=connection_names)
@timeout_option
@config_option
@journal_option
@json_option
def command(
    words: tuple[str, ...], *, timeout: float | None, config: str | None, journal: JournalPlace, as_json: bool
) -> None:
    """See `_HELP`."""
    output = Output(as_json=as_json)
    with reporting(output):
        watched = [Watched(target) for target in read_targets(words)]
        usable = _usable(journal, output)
        try:
            with _display(watched, output) as tell:
                Watching(watched, timeout, config, usable, tell, output).to_the_end()
        except KeyboardInterrupt:
            _go_on(watched, config, output)
        show_picture(
            dict(_moments(watched)), output
        )  # pragma: no cover - it is run: the tracer loses this frame before
        end(next((each.code for each in watched if each.code is not ExitCode.SUCCEEDED), ExitCode.SUCCEEDED))


def _moments(watched: list[Watched]) -> Iterator[tuple[str, Moments]]:
    """How each run went, by what it is called."""
    for each in watched:
        if each.run is not None:  # pragma: no branch - all have been attached, or there was an error
            yield each.label, moments(each.run.history, each.status)


def _go_on(watched: list[Watched], config: str | None, output: Output) -> NoReturn:
    open_ones = [str(each.run.ref) for each in watched if each.run is not None and not each.is_over]
    command = command_line("watch", *(open_ones or [each.target.run for each in watched]), config=config)
    interrupted(output, f"Interrupted. The runs go on. Continue with:\n  {command}")


@frozen
class Watching:
    """How runs are watched.

    Attributes:
        runs: which.
        limit: seconds, None without end.
        config: the configuration that was asked for.
        journal: where it is noted how they go.
        tell: called with each that has changed.
        output: where messages go.
    """

    runs: list[Watched]
    limit: float | None
    config: str | None
    journal: JournalPlace
    tell: Callable[[Watched], None]
    output: Output

    def to_the_end(self) -> None:
        """Follow all runs to their ends.

        Raises:
            ConfigError: a connection is not configured as it has to be.
        """
        interrupts.run(self._follow_all())

    async def _follow_all(self) -> None:
        """Follow each in a task of its own, on one client for each connection, which looks at all of its runs."""
        async with AsyncExitStack() as stack:
            clients: dict[str, AsyncClient] = {}
            for each in self.runs:
                name = each.target.connection
                if name not in clients:
                    clients[name] = await stack.enter_async_context(self._client(each.target))
                each.run = clients[name].attach(reference_of(each.target, clients[name]))
            async with asyncio.TaskGroup() as group:
                for each in self.runs:
                    group.create_task(self._follow(each))

    def _client(self, target: Target) -> AsyncClient:
        with reference_explained(target), warnings_told(self.output):
            return connect_async(
                target.connection, config=self.config, journal=self.journal, on_event=self.output.event
            )

    async def _follow(self, watched: Watched) -> None:
        run = watched.run
        try:
            async for status in run.watch(self.limit):  # type: ignore[union-attr] # it has been attached
                watched.status = status
                self.tell(watched)
        except FlowrunnerError as error:
            watched.error = error
            self.tell(watched)


def _usable(journal: JournalPlace, output: Output) -> JournalPlace:
    """The journal, if it can be used: a command that looks at runs goes without one that cannot."""
    from flowrunner.journal import Journal, default_path

    if journal is not False:
        try:
            Journal.open(default_path() if journal is True else journal).close()
        except JournalError as error:
            output.say(f"Warning: this is not written down: {error.message}")
            return False
    return journal


@contextmanager
def _display(watched: list[Watched], output: Output) -> Iterator[Callable[[Watched], None]]:
    """Show how the runs stand: a live table on a terminal, else a line for each change."""
    console = Console()
    if output.as_json or not console.is_terminal or console.is_dumb_terminal:
        yield lambda each: _tell(each, output)
        return
    started = time.monotonic()
    # A terminal writes ^C behind the last line: there has to be room.
    live = Live(
        get_renderable=lambda: _table(watched, started, console.width - 2), console=console, refresh_per_second=8,
        redirect_stdout=False, redirect_stderr=False,
    )  # fmt: skip
    with live, messages_above(console, output):
        yield lambda _: live.refresh()


def _tell(watched: Watched, output: Output) -> None:
    output.data(f"{watched.label}  {watched.shown.plain}")
    output.record(_object(watched))


def _object(watched: Watched) -> dict[str, Any]:
    """How a run stands, and why it is not followed any more, as JSON."""
    shown = run_object(watched.run)  # type: ignore[arg-type] # the two kinds of run show the same
    return shown if watched.error is None else {**shown, **error_object(watched.error), "ref": shown["ref"]}


def _table(watched: list[Watched], started: float, width: int) -> Table:
    table = Table(box=None, pad_edge=False, width=width)
    table.add_column("run", no_wrap=True, max_width=width // 3)
    has_flows = any(each.flow for each in watched)
    if has_flows:
        table.add_column("flow", no_wrap=True, max_width=width // 3)
    table.add_column(f"how it stands, {ago(started).strip()}", ratio=1, no_wrap=True, overflow="ellipsis")
    for each in watched:
        table.add_row(each.label, *([each.flow] if has_flows else []), each.shown)
    return table
