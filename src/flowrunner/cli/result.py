"""`flowrunner result`: what a finished run made."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from flowrunner.cli.following import result_now, tell_end
from flowrunner.cli.options import config_option, journal_option, json_option, run_arguments
from flowrunner.cli.outcome import reporting
from flowrunner.cli.output import Output
from flowrunner.cli.target import attached

if TYPE_CHECKING:
    from flowrunner.cli.options import JournalPlace

__all__ = ["command"]

_HELP = """\
Show how a run ended and what it made: outputs, files and metrics. `download` brings the files here.

RUN is the vendor's id or a reference; a reference alone names its connection. The exit code is that of `wait`: 0 only
if the run succeeded, 6 if it has not ended (see `flowrunner --help`).

With --json, stdout is one object: {"ref", "id", "flow", "status", "outputs", "artifacts", "metrics", "raw"}. If the run
did not succeed it also has {"error", "message", "exit_code"}; if it has not ended, these and {"ref", "status", ...} are
all there is.

\b
Examples:
  flowrunner result prod 4711
  flowrunner result "$ref" --json | jq .outputs
"""


@click.command("result", help=_HELP, short_help="Show what a finished run made.")
@run_arguments
@config_option
@journal_option
@json_option
def command(words: tuple[str, ...], *, config: str | None, journal: JournalPlace, as_json: bool) -> None:
    """See `_HELP`."""
    output = Output(as_json=as_json)
    with reporting(output), attached(words, config, journal, output) as run:
        tell_end(run, lambda: result_now(run), output, config)
