"""`flowrunner run`: start a run, and follow it to its end if asked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from flowrunner.cli.assignments import Assignment, read_assignment, values_of
from flowrunner.cli.completing import connection_names
from flowrunner.cli.following import follow_to_end
from flowrunner.cli.options import Seconds, config_option, journal_option, json_option, timeout_option
from flowrunner.cli.outcome import command_line, interrupted, reported, reporting
from flowrunner.cli.output import Output, run_object, seen
from flowrunner.cli.target import connected
from flowrunner.errors import FlowrunnerError, SubmissionUncertain
from flowrunner.models import SubmitOptions

if TYPE_CHECKING:
    from flowrunner.cli.options import JournalPlace
    from flowrunner.client import Client, Run
    from flowrunner.models import FlowSpec

__all__ = ["command"]

_HELP = """\
Start a run of FLOW on CONNECTION and print its reference, one line that `status`, `wait` and `cancel` take.

With --wait, follow it to its end, show how it ended, and tell that by the exit code (see `flowrunner --help`).

Text given with -p becomes a number, a truth value or a list where the flow's description says so. NAME:=JSON gives a
value as it is. Give NAME several times for a list.

With --json, stdout is one object: {"ref", "id", "flow", "status"}, and with --wait also {"outputs", "artifacts",
"metrics", "raw"}. If something went wrong it has {"error", "message", "exit_code"}.

\b
Examples:
  flowrunner run prod Samples/austinDownload.fmw -p MAXY=42 -p THEMES=parks
  flowrunner run prod Samples/austinDownload.fmw -p 'THEMES:=["parks"]' --wait
  ref=$(flowrunner run prod Samples/austinApartments.fmw --queue Night)
  flowrunner run prod Samples/austinApartments.fmw --key "nightly-$(date +%F)"
"""


def _read(ctx: click.Context, param: click.Parameter, arguments: tuple[str, ...]) -> tuple[Assignment, ...]:
    try:
        return tuple(map(read_assignment, arguments))
    except ValueError as error:
        raise click.BadParameter(str(error), ctx, param) from None


@click.command("run", help=_HELP, short_help="Start a run; with --wait, follow it to its end.")
@click.argument("connection", shell_complete=connection_names)
@click.argument("flow")
@click.option(
    "-p", "--parameter", "assignments", callback=_read, multiple=True, metavar="NAME=VALUE",
    help="A parameter of the flow; may be given several times.",
)  # fmt: skip
@click.option("--queue", metavar="NAME", help="The vendor's queue.")
@click.option("--description", metavar="TEXT", help="A text that the vendor keeps with the run.")
@click.option("--max-run-time", type=Seconds(), metavar="SECONDS", help="The vendor cancels a run that works longer.")
@click.option(
    "--max-queue-time", type=Seconds(), metavar="SECONDS", help="The vendor gives up a run that queues longer."
)
@click.option("--key", metavar="TEXT", help="The same key again gives the run that it started before.")
@click.option("--wait", is_flag=True, help="Follow the run to its end.")
@timeout_option
@config_option
@journal_option
@json_option
def command(
    connection: str,
    flow: str,
    assignments: tuple[Assignment, ...],
    *,
    wait: bool,
    key: str | None,
    timeout: float | None,
    config: str | None,
    journal: JournalPlace,
    as_json: bool,
    **options: Any,
) -> None:
    """See `_HELP`."""
    if timeout is not None and not wait:
        raise click.UsageError("--timeout bounds the wait: give --wait, too.")
    output = Output(as_json=as_json)
    with reporting(output), connected(connection, config, journal, output, submits=True) as client:
        values = values_of(assignments, _description(client, flow, assignments))
        how_to_go_on = _how_to_go_on(connection, config, journal)
        run = _submitted(
            client, output, how_to_go_on, flow=flow, parameters=values, options=SubmitOptions(**options), key=key
        )
        if not output.has_submitted:
            _tell_known(run, output)
        output.data(str(run.ref))
        if wait:
            if as_json:
                output.say(f"Started {run.ref}")
            follow_to_end(run, timeout=timeout, output=output, config=config)
        output.record(run_object(run))


def _description(client: Client, flow: str, assignments: tuple[Assignment, ...]) -> FlowSpec | None:
    """The flow's description, if there is text to convert and a description to be had."""
    if all(assignment.is_json for assignment in assignments):
        return None
    try:
        return client.describe(flow)
    except FlowrunnerError:
        return None


def _submitted(client: Client, output: Output, how_to_go_on: str, **arguments: Any) -> Run:
    try:
        return client.submit(**arguments)
    except SubmissionUncertain as error:
        reported(error, output, how_to_go_on)
    except KeyboardInterrupt:
        interrupted(
            output,
            f"Interrupted while submitting: it is not known whether a run was started. {how_to_go_on}",
        )


def _tell_known(run: Run, output: Output) -> None:
    """Say that nothing was started: the key has its run, however that went."""
    output.say(f"Key {run.ref.key!r} was submitted before; its run is {seen(run.status)}.")
    if run.status.state.is_final:
        output.say("To run the flow again, give it a new key.")


def _how_to_go_on(connection: str, config: str | None, journal: JournalPlace) -> str:
    """What to do about a submission whose outcome is unknown."""
    if journal is False:
        return "It was not written down: look at the vendor's list of runs before you start it again."
    command = command_line("recover", connection, config=config, journal=journal)
    return f"Before you start it again, find out with:\n  {command}"
