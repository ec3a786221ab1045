"""`flowrunner wait`: follow a run to its end."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from flowrunner.cli.following import follow_to_end
from flowrunner.cli.options import config_option, journal_option, json_option, run_arguments, timeout_option
from flowrunner.cli.outcome import reporting
from flowrunner.cli.output import Output
from flowrunner.cli.target import attached

if TYPE_CHECKING:
    from flowrunner.cli.options import JournalPlace

__all__ = ["command"]

_HELP = """\
Follow a run to its end, show how it ended, and tell that by the exit code (see `flowrunner --help`).

RUN is the vendor's id or a reference; a reference alone names its connection. Ctrl-C ends the waiting, never the run.

With --json, stdout is one object: {"ref", "id", "flow", "status", "outputs", "artifacts", "metrics", "raw"}. If the run
did not succeed it also has {"error", "message", "exit_code"}; if the wait ended before the run did, these and
{"ref", "status", ...} are all there is.

\b
Examples:
  flowrunner wait prod 4711
  flowrunner wait "$ref" --timeout 600 --json
"""


@click.command("wait", help=_HELP, short_help="Follow a run to its end.")
@run_arguments
@timeout_option
@config_option
@journal_option
@json_option
def command(
    words: tuple[str, ...], *, timeout: float | None, config: str | None, journal: JournalPlace, as_json: bool
) -> None:
    """See `_HELP`."""
    output = Output(as_json=as_json)
    with reporting(output), attached(words, config, journal, output) as run:
        follow_to_end(run, timeout=timeout, output=output, config=config)
