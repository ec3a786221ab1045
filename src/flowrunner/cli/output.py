"""What a command writes: data on stdout, messages on stderr.

Text from outside is cleaned of what a terminal would obey. Colour is for terminals, unless `NO_COLOR` is set.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from datetime import UTC, datetime
from textwrap import TextWrapper
from typing import TYPE_CHECKING, Any, Final

import click

from flowrunner.enums import RunState
from flowrunner.events import Anomaly, CheckSkipped, ContactFailed, ContactRestored, Submitted, UnknownWord

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from flowrunner.client import Run
    from flowrunner.errors import FlowrunnerError
    from flowrunner.events import Event
    from flowrunner.models import RunResult, RunStatus

__all__ = [
    "COLOURS",
    "QUIET",
    "Output",
    "clean",
    "is_interactive",
    "is_quiet",
    "one_line",
    "run_object",
    "seconds_between",
    "seen",
    "shown_value",
    "unbroken",
    "utc",
    "vendor_word",
]

COLOURS: Final = {
    RunState.SUCCEEDED: "green",
    RunState.FAILED: "red",
    RunState.LOST: "red",
    RunState.CANCELLED: "yellow",
    RunState.CANCELLING: "yellow",
    RunState.WAITING: "magenta",
    RunState.RUNNING: "cyan",
}
"""The colour of a state, in the names that click and rich share; the others have none."""

QUIET: Final = "flowrunner.quiet"
"""Where click's context says that `--quiet` was given."""

_AGES: Final = (("days", 2 * 1440, 1440), ("h", 120, 60), ("min", 1, 1))
"""The units in which an age is told: from how many minutes on, and how many minutes each has."""
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""What a terminal obeys, be it that it writes the other way round from there on."""
_BREAKS: Final = re.compile(r"\r\n|[\t\n\v\f\r\x1c-\x1e\x85\u2028\u2029]")
"""What ends a line or a field, for one program or another."""


def clean(text: str) -> str:
    """The text without what a terminal obeys other than line breaks and tabs, and without broken characters."""
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", text.replace("\r\n", "\n")).encode("utf-8", "replace").decode()


def one_line(text: str) -> str:
    """The text, clean and on one line."""
    return clean(" ".join(text.split()))


def unbroken(text: str) -> str:
    """The text, clean, on one line and in one field, with all its blanks: a name or a path that somebody copies."""
    return clean(_BREAKS.sub(" ", text))


def vendor_word(status: RunStatus) -> str:
    """The vendor's word where it says more than the state; else nothing."""
    word = one_line(status.vendor_status or "")
    return "" if word.casefold() == status.state else word


def seconds_between(status: RunStatus) -> float | None:
    """How long the vendor worked on the run, where it tells."""
    if status.started_at is None or status.finished_at is None:
        return None
    return (status.finished_at - status.started_at).total_seconds()


def utc(moment: datetime) -> str:
    """A time of day, to the second."""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def seen(status: RunStatus) -> str:
    """How a run stood, and how long ago that was."""
    if status.observed_at is None:
        return str(status.state)
    minutes = int((datetime.now(UTC) - status.observed_at).total_seconds() // 60)
    ago = next((f"{minutes // size} {unit}" for unit, least, size in _AGES if minutes >= least), "less than a minute")
    return f"{status.state} (seen {ago} ago)"


def run_object(run: Run) -> dict[str, Any]:
    """A run as JSON: what `run` and `status` print."""
    return {"ref": str(run.ref), "id": run.id, "flow": run.flow or None, "status": run.status.to_dict()}


class Output:
    """Where a command writes.

    Args:
        as_json: whether data are JSON objects, one on a line, instead of text.

    Attributes:
        speak: how messages are shown; a live display puts its own way here while it stands.
        write: how a line of data is written; a live display on the same terminal puts its own way here.
        has_submitted: whether an event told of a run that was not known to be started.
        is_quiet: whether only what is insisted on is shown.
    """

    def __init__(self, *, as_json: bool = False) -> None:
        self.as_json = as_json
        self.speak: Callable[[str], None] = _to_stderr
        self.write: Callable[[str], None] = _to_stdout
        self.has_submitted = False
        self.is_quiet = is_quiet()
        self._is_out_of_contact = False
        self._unchecked: FlowrunnerError | None = None

    def say(self, message: str) -> None:
        """Show a message to the person, unless they asked for quiet.

        Lines that begin with two spaces are commands, and never broken.
        """
        if not self.is_quiet:
            self.insist(message)

    def insist(self, message: str) -> None:
        """Show a message also to who asked for quiet: an error, say."""
        message = clean(message)
        self.speak(_wrapped(message) if sys.stderr.isatty() else message)

    def data(self, line: str) -> None:
        """Write a line of data, which is clean already, unless data are JSON."""
        if not self.as_json:
            self.write(line)

    def record(self, record: Mapping[str, Any]) -> None:
        """Write an object, if data are JSON."""
        if self.as_json:
            self.write(json.dumps(record, default=str))

    def rows(self, rows: Iterable[tuple[str, ...]]) -> None:
        """Write rows, aligned; what they say is from outside."""
        table = [tuple(map(one_line, row)) for row in rows]
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        for row in table:
            self.data("  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip())

    def fields(self, fields: Iterable[tuple[str, str]]) -> None:
        """Write names and values, aligned; those without a value are left out."""
        shown = [(name, value) for name, value in fields if value]
        width = max(len(name) for name, _ in shown)
        for name, value in shown:
            self.data(f"{name:<{width}}  {value}")

    def status(self, status: RunStatus) -> None:
        """Write how a run stands."""
        self.fields(_status_fields(status))

    def result(self, result: RunResult) -> None:
        """Write how a run ended, and what it made."""
        outputs = (("output", one_line(f"{name} = {shown_value(value)}")) for name, value in result.outputs.items())
        files = (("file", unbroken(file.name) + _size(file.size)) for file in result.artifacts)
        metrics = (("metric", one_line(f"{name} = {value:,}")) for name, value in result.metrics.items())
        self.fields([*_status_fields(result.status), *outputs, *files, *metrics])

    def event(self, event: Event) -> None:
        """Tell the person what matters of an event; a contact that stays lost is told once."""
        if isinstance(event, Submitted):
            self.has_submitted = True
            self.tell_unchecked()
        elif isinstance(event, ContactFailed):
            was_out, self._is_out_of_contact = self._is_out_of_contact, True
            if not was_out:
                self.say(f"No contact, trying again: {event.error.message}")
        elif isinstance(event, ContactRestored):
            self._is_out_of_contact = False
            self.say("Contact restored")
        elif isinstance(event, UnknownWord):
            self.say(
                f"The vendor says {event.word!r}, a word that is not known here: `status_map` in the configuration"
                " can teach it"
            )
        elif isinstance(event, Anomaly):
            self.say(f"Odd: {event.description}")
        elif isinstance(event, CheckSkipped):
            self._unchecked = event.error  # what becomes of the submission may say the same

    def tell_unchecked(self, refusal: FlowrunnerError | None = None) -> None:
        """Tell that parameters were not checked, unless the submission was refused for the same reason."""
        reason, self._unchecked = self._unchecked, None
        if reason is not None and type(reason) is not type(refusal):
            self.say(f"Parameters were not checked: there is no description of the flow ({reason.message}).")


def is_interactive() -> bool:
    """Whether there is somebody to ask."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def is_quiet() -> bool:
    """Whether the command that runs was given `--quiet`."""
    context = click.get_current_context(silent=True)
    return context is not None and bool(context.meta.get(QUIET))


def shown_value(value: Any) -> str:
    """A value as text: text as it is, anything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, default=str)


def _to_stdout(line: str) -> None:
    try:
        click.echo(line, color=False if os.environ.get("NO_COLOR") else None)
    except BrokenPipeError:  # whoever reads has had enough, which click knows how to end with
        raise
    except OSError as error:
        # The line may be the only thing that finds a run again.
        text = f"cannot write to stdout: {error.strerror or error}. What was not written:\n  {line}"
        raise click.ClickException(text) from error


def _to_stderr(message: str) -> None:
    click.echo(message, err=True)


def _wrapped(message: str) -> str:
    """The message, broken at spaces to fit the terminal."""
    width = shutil.get_terminal_size().columns
    wrap = TextWrapper(width, break_long_words=False, break_on_hyphens=False)
    return "\n".join(line if line.startswith("  ") else wrap.fill(line) for line in message.splitlines())


def _status_fields(status: RunStatus) -> Iterator[tuple[str, str]]:
    yield "state", click.style(str(status.state), fg=COLOURS.get(status.state))
    yield "vendor's word", vendor_word(status)
    yield "reason", str(status.reason or "")
    yield "cause", str(status.cause or "")
    yield "warnings", "yes" if status.has_warnings else ""
    yield "message", one_line(status.message or "")
    yield "progress", "" if status.progress is None else f"{status.progress:.0%}"
    yield "attempt", str(status.attempt) if status.attempt > 1 else ""
    for name, moment in (("queued", status.queued_at), ("started", status.started_at), ("ended", status.finished_at)):
        yield name, "" if moment is None else utc(moment)


def _size(size: int | None) -> str:
    return "" if size is None else f", {size:,} bytes"
