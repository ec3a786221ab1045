"""`flowrunner recover`: the runs that were started here and not seen to end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from flowrunner.cli.exit_codes import ExitCode
from flowrunner.cli.options import config_option, journal_option, json_option
from flowrunner.cli.outcome import end, reporting
from flowrunner.cli.output import Output, run_object
from flowrunner.cli.target import connected
from flowrunner.enums import RunState
from flowrunner.errors import InvalidRequest

if TYPE_CHECKING:
    from flowrunner.cli.options import JournalPlace
    from flowrunner.client import Client, Run

__all__ = ["command"]

_HELP = """\
Find the runs of CONNECTION that were started from here and not seen to end, also by a program that was killed.

Prints a line for each, oldest first: its reference and its state, as it was seen last. A submission whose outcome was
unknown is looked for at the vendor; if it still is unknown its state is `submitting`, and the exit code is 10. Below it
stand the runs that may be it, where the vendor cannot say which it is: `status` with the reference of the right one
settles it. If somebody looked and nothing was started, --dismiss closes it, and its key may be used again.

With --json, stdout is an object on a line for each: {"ref", "id", "flow", "status", "outcome", "candidates"}, of which
the last two are null for a run that has an id.

\b
Examples:
  flowrunner recover prod
  flowrunner recover prod --json
  flowrunner recover prod --dismiss nightly-2026-11-26
"""


@click.command("recover", help=_HELP, short_help="Find the runs that were started here and not seen to end.")
@click.argument("connection")
@click.option("--dismiss", metavar="KEY", help="The submission with this key started nothing: somebody looked.")
@config_option
@journal_option
@json_option
def command(connection: str, *, dismiss: str | None, config: str | None, journal: JournalPlace, as_json: bool) -> None:
    """See `_HELP`."""
    output = Output(as_json=as_json)
    with reporting(output), connected(connection, config, journal, output, submits=True) as client:
        if dismiss is not None:
            _dismiss(client, dismiss, output)
            return
        runs = client.recover()
        for run in runs:
            _show(run, output)
        if not runs:
            output.say("Nothing is open.")
        if any(run.id is None for run in runs):
            end(ExitCode.UNCERTAIN)


def _show(run: Run, output: Output) -> None:
    more: dict[str, Any] = {"outcome": None, "candidates": None}
    if run.status.state is RunState.SUBMITTING:
        found = run.reconcile()
        more = {"outcome": str(found.outcome), "candidates": [str(ref) for ref in found.candidates]}
    output.data(f"{run.ref}  {run.status.state}")
    for candidate in more["candidates"] or ():
        output.data(f"  may be {candidate}")
    output.record({**run_object(run), **more})


def _dismiss(client: Client, key: str, output: Output) -> None:
    if not client._perform(client._operations.ledger.dismiss(key)):  # noqa: SLF001 - no public call has this power
        raise InvalidRequest(f"no open submission has the key {key!r}: see `flowrunner recover {client.name}`")
    output.say("It is closed; the key may be used again.")
