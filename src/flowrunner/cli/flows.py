"""`flowrunner flows`: what can be run."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

import click
from attrs import asdict

from flowrunner.cli.completing import connection_names
from flowrunner.cli.listing import Column, Listing
from flowrunner.cli.options import config_option, json_option, limit_option
from flowrunner.cli.outcome import reporting
from flowrunner.cli.output import Output
from flowrunner.cli.target import connected

if TYPE_CHECKING:
    from flowrunner.models import FlowInfo

__all__ = ["command"]

_HELP = """\
List what can be run on CONNECTION: the flow, as `run` and `describe` take it, its title and its description.

Where stdout is not a terminal, the three are separated by tabs, and there are no headings.

With --json, stdout is an object on a line for each: {"flow", "title", "description"}.

\b
Examples:
  flowrunner flows prod
  flowrunner flows prod --match austin --limit 5
  flowrunner flows prod | cut -f1
"""

_COLUMNS = (Column("flow", is_whole=True), Column("title"), Column("description"))


@click.command("flows", help=_HELP, short_help="List what can be run.")
@click.argument("connection", shell_complete=connection_names)
@click.option("--match", metavar="TEXT", help="Only flows that have TEXT in their name or title, in capitals or not.")
@limit_option()
@config_option
@json_option
def command(connection: str, *, match: str | None, limit: int | None, config: str | None, as_json: bool) -> None:
    """See `_HELP`."""
    output = Output(as_json=as_json)
    with reporting(output), connected(connection, config, journal=False, output=output) as client:
        found = (flow for flow in client.flows() if _matches(flow, match or ""))
        if not Listing(_COLUMNS, _fields, _fields, asdict).show(islice(found, limit), output):
            output.say("There are no flows." if match is None else f"No flow has {match!r} in its name or title.")


def _fields(flow: FlowInfo) -> tuple[str, str, str]:
    return flow.flow, flow.title or "", flow.description or ""


def _matches(flow: FlowInfo, text: str) -> bool:
    return any(text.casefold() in name.casefold() for name in (flow.flow, flow.title or ""))
