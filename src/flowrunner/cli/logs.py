"""`flowrunner logs`: the log of a run, also while it goes on."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import click

from flowrunner.cli.following import details
from flowrunner.cli.options import config_option, journal_option, json_option, run_arguments
from flowrunner.cli.outcome import code_of_state, command_line, end, interrupted, reported, reporting
from flowrunner.cli.output import Output, clean, run_object
from flowrunner.cli.target import attached
from flowrunner.enums import RunState
from flowrunner.errors import FlowrunnerError, InvalidRequest, RunNotFound, WaitTimeout
from flowrunner.polling import Contact, ends_following

if TYPE_CHECKING:
    from flowrunner.cli.options import JournalPlace
    from flowrunner.client import Run

__all__ = ["command"]

_HELP = """\
Print the log of a run, as the vendor has it now; with --follow go on until the run ends.

The lines go to stdout, everything else to stderr. A run that nothing has worked on yet has no log: --follow waits for
it. The exit code is 0 if the log could be read, however the run went; with --follow it is that of the run, as with
`wait` (see `flowrunner --help`). Ctrl-C ends the printing, never the run.

RUN is the vendor's id or a reference; a reference alone names its connection.

With --json, stdout is an object on a line for each line: {"line"}, and with --follow a last one for the run: {"ref",
"id", "flow", "status"}.

\b
Examples:
  flowrunner logs prod 4711
  flowrunner logs "$ref" --follow
  flowrunner logs "$ref" | grep ERROR
"""

LEAST_PAUSE: Final = 2.0
"""Seconds between two looks into a log, at least."""
SHARE: Final = 0.1
"""Of the time, so much is spent reading at most: a vendor sends the whole log each time."""


@click.command("logs", help=_HELP, short_help="Print the log of a run.")
@run_arguments
@click.option("-f", "--follow", is_flag=True, help="Go on until the run ends.")
@config_option
@journal_option
@json_option
def command(words: tuple[str, ...], *, follow: bool, config: str | None, journal: JournalPlace, as_json: bool) -> None:
    """See `_HELP`."""
    output = Output(as_json=as_json)
    with reporting(output), attached(words, config, journal, output) as run:
        if not follow:
            _Log(run, output).read()
            return
        go_on = f"Continue with:\n  {command_line('logs', '--follow', str(run.ref), config=config)}"
        try:
            _follow(run, _Log(run, output))
        except FlowrunnerError as error:
            reported(error, output, *([go_on] if error.transient else []))
        except KeyboardInterrupt:
            interrupted(output, f"Interrupted. The run goes on: {run.ref}\n{go_on}", **run_object(run))
        output.say(f"The run has ended: {run.status.state}{details(run.status)}")
        output.record(run_object(run))
        end(code_of_state(run.status.state))


class _Log:
    """A log that is printed as it grows."""

    def __init__(self, run: Run, output: Output) -> None:
        self._run = run
        self._output = output
        self._printed = 0
        self._first: str | None = None
        self._last: str | None = None

    def read(self) -> None:
        """Print what has not been printed. One that begins otherwise than before is another, and printed as a whole.

        So is a last line that is another by now: it had not been written to its end.
        """
        for place, line in enumerate(self._run.logs()):
            if place == 0 and line != self._first:
                self._first, self._printed = line, 0
            if place >= self._printed or (place == self._printed - 1 and line != self._last):
                self._printed, self._last = place + 1, line
                shown = clean(line).rstrip("\n")
                self._output.data(shown)
                self._output.record({"line": shown})


def _follow(run: Run, log: _Log) -> None:
    """Print the log until the run has ended, and what it says then.

    Raises:
        FlowrunnerError: it cannot be read, or could not for `contact_budget`.
    """
    settings = run._client._connection.settings  # noqa: SLF001 - no public name tells how patient to be
    contact = Contact(settings.contact_budget)
    while True:
        has_ended, began = run.status.state.is_final, time.monotonic()
        try:
            log.read()
            contact.succeeded()
        except FlowrunnerError as error:
            is_failure = not (_may_come(error) or _is_gone(error, run))
            if is_failure and (has_ended or ends_following(error) or contact.failed(time.monotonic())):
                raise
        if has_ended:
            return
        pause = max(LEAST_PAUSE, settings.poll_min, (time.monotonic() - began) / SHARE)
        with suppress(WaitTimeout):
            for _ in run.watch(pause):
                pass


def _may_come(error: FlowrunnerError) -> bool:
    """Whether there is no log yet."""
    return isinstance(error, InvalidRequest) and error.http_status == 404 and error.transient


def _is_gone(error: FlowrunnerError, run: Run) -> bool:
    """Whether a run that was there is not: whether it is lost is for a look to say, as with `wait`."""
    return isinstance(error, RunNotFound) and run.status.state is not RunState.UNKNOWN
