"""`flowrunner runs`: which runs there are, at the vendor or started from here."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any

import click

from flowrunner.cli.completing import connection_names
from flowrunner.cli.journals import submissions
from flowrunner.cli.listing import Column, Listing
from flowrunner.cli.options import config_option, journal_option, json_option, limit_option
from flowrunner.cli.outcome import reporting
from flowrunner.cli.output import COLOURS, Output, run_object, seconds_between
from flowrunner.cli.target import connected
from flowrunner.config.connection import sources_of
from flowrunner.config.file import read_configuration
from flowrunner.enums import RunState
from flowrunner.errors import UnsupportedOperation

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from flowrunner.cli.options import JournalPlace
    from flowrunner.client import Client, Run
    from flowrunner.journal.values import Entry
    from flowrunner.models import RunStatus

__all__ = ["command"]

_HELP = f"""\
List the runs that the vendor knows on CONNECTION, newest first, whoever started them; with --started-here those that
were started from here, as the journal has them: their states are those that were seen last, and nothing is asked of the
vendor. A submission that the vendor refused is not among them.

A STATE is one of {", ".join(RunState)}.

Where stdout is not a terminal, a line has, separated by tabs: reference, id, state, flow, and when the run was queued,
started and ended; with --started-here: reference, id, state, flow, key, and when it was submitted and seen to end.

With --json, stdout is an object on a line for each: {{"ref", "id", "flow", "status"}}, or with --started-here {{"ref",
"key", "id", "flow", "state", "submitted_at", "ended_at"}}.

\b
Examples:
  flowrunner runs prod
  flowrunner runs prod --state queued --state running --limit 100
  flowrunner runs prod --flow Samples/austinDownload.fmw --json
  flowrunner watch $(flowrunner runs prod --state running | cut -f1)
  flowrunner runs prod --started-here
"""

_RUN_COLUMNS = (
    Column("id", is_whole=True),
    Column("state", is_whole=True),
    Column("flow"),
    Column("queued (UTC)", is_whole=True),
    Column("took", is_whole=True),
)
_ENTRY_COLUMNS = (
    Column("id", is_whole=True),
    Column("state", is_whole=True),
    Column("flow"),
    Column("submitted (UTC)", is_whole=True),
    Column("key"),
)


@click.command("runs", help=_HELP, short_help="List the runs the vendor knows, or those that were started here.")
@click.argument("connection", shell_complete=connection_names)
@click.option(
    "--state", "states", type=click.Choice([str(state) for state in RunState]), multiple=True, metavar="STATE",
    help="Only runs in this state; several times for one of several.",
)  # fmt: skip
@click.option("--flow", metavar="FLOW", help="Only runs of this flow.")
@limit_option(20)
@click.option("--started-here", is_flag=True, help="What was started from here, as the journal has it.")
@config_option
@journal_option
@json_option
def command(
    connection: str,
    *,
    states: tuple[str, ...],
    flow: str | None,
    limit: int,
    started_here: bool,
    config: str | None,
    journal: JournalPlace,
    as_json: bool,
) -> None:
    """See `_HELP`."""
    output = Output(as_json=as_json)
    with reporting(output):
        if started_here:
            entries = _started(connection, journal, config)
            wanted = (each for each in entries if flow in {None, each.flow} and (not states or each.state in states))
            _show(Listing(_ENTRY_COLUMNS, _entry_cells, _entry_fields, _entry_object), wanted, limit, output)
            return
        with connected(connection, config, journal, output) as client:
            found = _listed(client, states, flow, limit + 1)
            _show(Listing(_RUN_COLUMNS, _run_cells, _run_fields, run_object), found, limit, output)


def _listed(client: Client, states: tuple[str, ...], flow: str | None, limit: int) -> Iterator[Run]:
    try:
        yield from client.runs(state=states or None, flow=flow, limit=limit)
    except UnsupportedOperation as error:
        error.add_note(f"What was started from here is written down: flowrunner runs {client.name} --started-here")
        raise


def _started(connection: str, journal: JournalPlace, config: str | None) -> list[Entry]:
    """What was started on a connection; one that nothing was ever started on has to be configured, at least."""
    entries = submissions(connection, journal)
    if not entries:
        sources_of(connection, None, read_configuration(config, os.environ), {}, os.environ)
    return entries


def _show(listing: Listing[Any], items: Iterable[Any], limit: int, output: Output) -> None:
    """Show so many at most, and say whether there are more."""
    rest = iter(items)
    if not listing.show(islice(rest, limit), output):
        output.say("There are none.")
    elif next(rest, None) is not None:
        output.say("There are more: see them with a greater --limit.")


def _run_cells(run: Run) -> tuple[str | tuple[str, str], ...]:
    status = run.status
    shown = str(status.state) if status.reason is None else f"{status.state} ({status.reason})"
    queued = status.queued_at or status.started_at
    return run.id or "", (shown, COLOURS.get(status.state, "")), run.flow, _minute(queued), _took(status)


def _run_fields(run: Run) -> tuple[str, ...]:
    status = run.status
    moments = (status.queued_at, status.started_at, status.finished_at)
    return str(run.ref), run.id or "", status.state, run.flow, *map(_iso, moments)


def _entry_cells(entry: Entry) -> tuple[str | tuple[str, str], ...]:
    state = entry.state, COLOURS.get(entry.state, "")
    return entry.run_id or "", state, entry.flow, _minute(entry.intended_at), entry.key


def _entry_fields(entry: Entry) -> tuple[str, ...]:
    moments = map(_iso, (entry.intended_at, entry.ended_at))
    return str(entry.ref), entry.run_id or "", entry.state, entry.flow, entry.key, *moments


def _minute(moment: datetime | None) -> str:
    return "" if moment is None else f"{moment.astimezone(UTC):%Y-%m-%d %H:%M}"


def _iso(moment: datetime | None) -> str:
    return "" if moment is None else moment.isoformat()


def _took(status: RunStatus) -> str:
    """How long the vendor worked on it."""
    seconds = seconds_between(status)
    if seconds is None:
        return ""
    return f"{seconds:.1f} s" if seconds < 100 else str(timedelta(seconds=round(seconds)))


def _entry_object(entry: Entry) -> dict[str, Any]:
    return {
        "ref": str(entry.ref),
        "key": entry.key,
        "id": entry.run_id,
        "flow": entry.flow,
        "state": str(entry.state),
        "submitted_at": _iso(entry.intended_at),
        "ended_at": _iso(entry.ended_at) or None,
    }
