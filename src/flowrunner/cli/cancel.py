"""`flowrunner cancel`: ask the vendor to cancel a run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from flowrunner.cli.exit_codes import ExitCode
from flowrunner.cli.options import config_option, journal_option, json_option, run_arguments
from flowrunner.cli.outcome import end, next_command, reporting
from flowrunner.cli.output import Output, run_object
from flowrunner.cli.target import attached
from flowrunner.enums import CancelOutcome, RunState

if TYPE_CHECKING:
    from flowrunner.cli.options import JournalPlace

__all__ = ["command"]

_HELP = """\
Ask the vendor to cancel a run.

Prints one word: `confirmed` (it is cancelled), `requested` (the vendor accepted it and the run still has to end) or
`too_late` (it had ended). The exit code is 0 for the first two and for a run that had been cancelled before, else 12.

RUN is the vendor's id or a reference; a reference alone names its connection.

With --json, stdout is one object: {"ref", "id", "flow", "status", "outcome"}. If something went wrong it is
{"error", "message", "exit_code", "ref", ...}.

\b
Examples:
  flowrunner cancel prod 4711
  flowrunner cancel "$ref" && flowrunner wait "$ref"
"""


@click.command("cancel", help=_HELP, short_help="Ask the vendor to cancel a run.")
@run_arguments
@config_option
@journal_option
@json_option
def command(words: tuple[str, ...], *, config: str | None, journal: JournalPlace, as_json: bool) -> None:
    """See `_HELP`."""
    output = Output(as_json=as_json)
    with reporting(output), attached(words, config, journal, output) as run:
        outcome = run.cancel()
        output.data(str(outcome))
        output.record({**run_object(run), "outcome": str(outcome)})
        if outcome is CancelOutcome.REQUESTED:
            output.say(f"The run still has to end. See it end with:\n  {next_command(run.ref, config)}")
        if outcome is CancelOutcome.TOO_LATE:
            output.say(f"The run had ended before: {run.status.state}")
            end(ExitCode.SUCCEEDED if run.status.state is RunState.CANCELLED else ExitCode.TOO_LATE)
