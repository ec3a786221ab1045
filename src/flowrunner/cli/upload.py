"""`flowrunner upload`: bring a file to the vendor."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from flowrunner.cli.completing import connection_names
from flowrunner.cli.options import config_option, journal_option, json_option
from flowrunner.cli.outcome import command_line, reporting
from flowrunner.cli.output import Output, one_line
from flowrunner.cli.target import connected
from flowrunner.cli.transfer import transferring

if TYPE_CHECKING:
    from flowrunner.cli.options import JournalPlace

__all__ = ["command"]

_HELP = """\
Bring FILE to the vendor of CONNECTION, and print its reference, one line: the value of a parameter that takes the file.

A file of any size passes in pieces; at a terminal a bar shows how far it is. `run` uploads the file itself where a
parameter takes one (`-p NAME=@FILE`): this command is for a file that several runs take.

With --json, stdout is one object: {"name", "reference", "size"}. If something went wrong it is {"error", "message",
"exit_code", ...}.

\b
Examples:
  flowrunner upload prod roads.gml
  file=$(flowrunner upload prod roads.gml --name roads-2026.gml)
  flowrunner run prod Demo/roads.fmw -p "SourceDataset_GML=$file"
"""


@click.command("upload", help=_HELP, short_help="Bring a file to the vendor.")
@click.argument("connection", shell_complete=connection_names)
@click.argument("file", type=click.Path())
@click.option("--name", metavar="NAME", help="What to call it there, instead of its own name.")
@config_option
@journal_option
@json_option
def command(
    connection: str, file: str, *, name: str | None, config: str | None, journal: JournalPlace, as_json: bool
) -> None:
    """See `_HELP`."""
    output = Output(as_json=as_json)
    with reporting(output), connected(connection, config, journal, output) as client:
        with transferring(name or Path(file).name, output) as progress:
            remote = client.upload(file, name, progress=progress)
        output.data(one_line(remote.reference))
        output.record({"name": remote.name, "reference": remote.reference, "size": remote.size})
        run = command_line("run", connection, "FLOW", "-p", f"NAME={remote.reference}", config=config)
        output.say(f"Give it to a parameter that takes it:\n  {run}")
