"""`flowrunner status`: look at a run once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from flowrunner.cli.options import config_option, journal_option, json_option, run_arguments
from flowrunner.cli.outcome import reporting
from flowrunner.cli.output import Output, run_object
from flowrunner.cli.target import attached

if TYPE_CHECKING:
    from flowrunner.cli.options import JournalPlace

__all__ = ["command"]

_HELP = """\
Look at a run once and show how it stands.

RUN is the vendor's id or a reference; a reference alone names its connection. The exit code is 0 whenever the vendor
told, however the run stands; `wait --timeout 0` looks once, too, and tells the outcome by its exit code.

With --json, stdout is one object: {"ref", "id", "flow", "status"}; the flow is null where only the id was given. If
something went wrong it is {"error", "message", "exit_code", "ref", ...}.

\b
Examples:
  flowrunner status prod 4711
  flowrunner status "$ref" --json
"""


@click.command("status", help=_HELP, short_help="Look at a run once.")
@run_arguments
@config_option
@journal_option
@json_option
def command(words: tuple[str, ...], *, config: str | None, journal: JournalPlace, as_json: bool) -> None:
    """See `_HELP`."""
    output = Output(as_json=as_json)
    with reporting(output), attached(words, config, journal, output) as run:
        output.status(run.refresh())
        output.record(run_object(run))
