"""`flowrunner recover`: the runs that were started here and not seen to end."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from flowrunner.cli.exit_codes import ExitCode
from flowrunner.cli.options import config_option, journal_option, json_option
from flowrunner.cli.outcome import end, reporting
from flowrunner.cli.output import Output, run_object
from flowrunner.cli.target import connected
from flowrunner.enums import RunState

if TYPE_CHECKING:
    from flowrunner.cli.options import JournalPlace

__all__ = ["command"]

_HELP = """\
Find the runs of CONNECTION that were started from here and not seen to end, also by a program that was killed.

Prints a line for each, oldest first: its reference and its state, as it was seen last. A submission whose outcome was
unknown is looked for at the vendor; if it still is unknown its state is `submitting`, and the exit code is 10.

With --json, stdout is an object on a line for each: {"ref", "id", "flow", "status"}.

\b
Examples:
  flowrunner recover prod
  flowrunner recover prod --json
"""


@click.command("recover", help=_HELP, short_help="Find the runs that were started here and not seen to end.")
@click.argument("connection")
@config_option
@journal_option
@json_option
def command(connection: str, *, config: str | None, journal: JournalPlace, as_json: bool) -> None:
    """See `_HELP`."""
    output = Output(as_json=as_json)
    with reporting(output), connected(connection, config, journal, output, submits=True) as client:
        runs = client.recover()
        for run in runs:
            output.data(f"{run.ref}  {run.status.state}")
            output.record(run_object(run))
        if not runs:
            output.say("Nothing is open.")
        if any(run.status.state is RunState.SUBMITTING for run in runs):
            end(ExitCode.UNCERTAIN)
