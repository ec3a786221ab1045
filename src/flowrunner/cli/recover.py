"""`flowrunner recover`: the runs that were started here and not seen to end."""

from __future__ import annotations

import shlex
from functools import partial
from typing import TYPE_CHECKING

import click

from flowrunner.cli.completing import connection_names
from flowrunner.cli.exit_codes import ExitCode
from flowrunner.cli.journals import journal_is_there
from flowrunner.cli.options import config_option, journal_option, json_option
from flowrunner.cli.outcome import command_line, end, reporting
from flowrunner.cli.output import Output, run_object, seen, utc
from flowrunner.cli.target import connected
from flowrunner.enums import ReconcileOutcome
from flowrunner.errors import InvalidRequest

if TYPE_CHECKING:
    from collections.abc import Callable

    from flowrunner.cli.options import JournalPlace
    from flowrunner.client import Client, Run
    from flowrunner.models import Reconciliation
    from flowrunner.operations.records import RunRecord

__all__ = ["command"]

_HELP = """\
Find the runs of CONNECTION that were started from here and not seen to end, also by a program that was killed.

Prints a line for each, oldest first: its reference, its state, and when it was seen so. A submission whose outcome was
unknown is looked for at the vendor; if it still is unknown its state is `submitting`, and the exit code is 10. Below it
stand the runs that may be it, where the vendor cannot say which it is, those that were queued nearest to it first:
`status` with the reference of the right one settles it. If somebody looked and nothing was started, --dismiss closes
it, and its key may be used again.

With --json, stdout is an object on a line for each: {"ref", "id", "flow", "status", "outcome", "candidates"}, of which
the last two are null for a run that has an id.

\b
Examples:
  flowrunner recover prod
  flowrunner recover prod --json
  flowrunner recover prod --dismiss nightly-2026-11-26
"""


@click.command("recover", help=_HELP, short_help="Find the runs that were started here and not seen to end.")
@click.argument("connection", shell_complete=connection_names)
@click.option("--dismiss", metavar="KEY", help="The submission with this key started nothing: somebody looked.")
@config_option
@journal_option
@json_option
def command(connection: str, *, dismiss: str | None, config: str | None, journal: JournalPlace, as_json: bool) -> None:
    """See `_HELP`."""
    output = Output(as_json=as_json)
    how_to = partial(command_line, config=config, journal=journal)
    with reporting(output):
        is_there = journal_is_there(journal)
        with connected(connection, config, journal if is_there else False, output, submits=True) as client:
            if dismiss is not None:
                _dismiss(client, dismiss, output)
                return
            runs = client.recover() if is_there else []
            for run in runs:
                _show(run, output, how_to)
            if not runs:
                output.say("Nothing is open.")
            if any(run.id is None for run in runs):
                end(ExitCode.UNCERTAIN)


def _show(run: Run, output: Output, how_to: Callable[..., str]) -> None:
    found = run.reconcile() if run.id is None else None
    outcome = None if found is None else str(found.outcome)
    candidates = None if found is None else [str(ref) for ref in found.candidates]
    output.record({**run_object(run), "outcome": outcome, "candidates": candidates})
    if found is None or run.id is not None:
        output.data(f"{run.ref}  {seen(run.status)}")
        return
    _show_uncertain(run._record, output)  # noqa: SLF001 - it has what the vendor's list showed
    _advise(run, found, output, how_to)


def _show_uncertain(record: RunRecord, output: Output) -> None:
    sent = "" if record.submitted_at is None else f" (submitted {utc(record.submitted_at)})"
    output.data(f"{record.ref}  {record.status.state}{sent}")
    for candidate, status in record.candidates:
        queued = "" if status.queued_at is None else f" (queued {utc(status.queued_at)})"
        output.data(f"  may be {candidate}  {status.state}{queued}")


def _advise(run: Run, found: Reconciliation, output: Output, how_to: Callable[..., str]) -> None:
    """Say what settles it."""
    key = run.ref.key or ""
    dismiss = how_to("recover", run.ref.connection, "--dismiss", key)
    if found.outcome is ReconcileOutcome.CANDIDATES:
        status = how_to("status", str(found.candidates[0]))
        output.say(f"If one of these is it, look at that one, which settles it; at the first with:\n  {status}")
        output.say(f"If none is, and nothing was started, close it with:\n  {dismiss}")
    elif found.outcome is ReconcileOutcome.UNKNOWABLE:
        output.say(
            f"Nobody can tell from here. If nothing was started, as the vendor shows, close it with:\n  {dismiss}"
        )
        output.say("If a run was, put its id between the two colons of the reference, and look at it with `status`.")
    else:
        output.say(f"The vendor shows no run of it now: submit the same again, with --key {shlex.quote(key)}.")


def _dismiss(client: Client, key: str, output: Output) -> None:
    if not client._perform(client._operations.ledger.dismiss(key)):  # noqa: SLF001 - no public call has this power
        raise InvalidRequest(f"no open submission has the key {key!r}: see `flowrunner recover {client.name}`")
    output.say("It is closed; the key may be used again.")
