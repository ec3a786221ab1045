"""`flowrunner status`: look at a run once."""

from __future__ import annotations

import shutil
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click

from flowrunner.cli.options import config_option, journal_option, json_option, run_arguments
from flowrunner.cli.outcome import reporting
from flowrunner.cli.output import Output, run_object
from flowrunner.cli.target import attached
from flowrunner.cli.timeline import picture, told_by
from flowrunner.errors import JournalError
from flowrunner.journal import Journal, default_path

if TYPE_CHECKING:
    from flowrunner.cli.options import JournalPlace
    from flowrunner.cli.timeline import Moments
    from flowrunner.client import Run

__all__ = ["command"]

_HELP = """\
Look at a run once and show how it stands.

RUN is the vendor's id or a reference; a reference alone names its connection. The exit code is 0 whenever the vendor
told, however the run stands; `wait --timeout 0` looks once, too, and tells the outcome by its exit code.

With --history, show when it queued, ran, waited and was requeued, as a picture: what was seen from here, as the journal
has it, or else what the vendor tells.

With --json, stdout is one object: {"ref", "id", "flow", "status"}, and with --history "history", a list of {"at",
"state"}; the flow is null where only the id was given. If
something went wrong it is {"error", "message", "exit_code", "ref", ...}.

\b
Examples:
  flowrunner status prod 4711
  flowrunner status "$ref" --json
  flowrunner status "$ref" --history
"""


@click.command("status", help=_HELP, short_help="Look at a run once.")
@run_arguments
@click.option("--history", is_flag=True, help="Show when it queued, ran and waited, too.")
@config_option
@journal_option
@json_option
def command(words: tuple[str, ...], *, history: bool, config: str | None, journal: JournalPlace, as_json: bool) -> None:
    """See `_HELP`."""
    output = Output(as_json=as_json)
    with reporting(output), attached(words, config, journal, output) as run:
        output.status(run.refresh())
        moments = _moments(run, journal) if history else ()
        for line in picture({"": moments}, shutil.get_terminal_size().columns):
            output.data(line)
        output.record({**run_object(run), **({"history": _history(moments)} if history else {})})


def _moments(run: Run, journal: JournalPlace) -> Moments:
    """When the run was in which state, as the journal has it, or else as the vendor tells."""
    path = default_path() if journal is True else Path(str(journal))
    seen: Moments = ()
    if journal is not False and path.exists():
        with suppress(JournalError), closing(Journal.open(path)) as opened:
            entry = opened.of_run(run.ref)
            seen = tuple((each.at, each.state) for each in opened.history(entry)) if entry is not None else ()
    told = told_by(run.status)
    return seen if len(seen) >= len(told) else told


def _history(moments: Moments) -> list[dict[str, str]]:
    return [{"at": when.isoformat(), "state": str(state)} for when, state in moments]
