"""Follow a run to its end, show it live on the way, and end the command with its outcome."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, NoReturn

from rich.text import Text

from flowrunner.cli.live import live_console, live_line
from flowrunner.cli.outcome import answer_command, code_of, code_of_state, end, interrupted, next_command, reported
from flowrunner.cli.output import COLOURS, one_line, run_object, vendor_word
from flowrunner.cli.timeline import moments, show_picture
from flowrunner.enums import RunState
from flowrunner.errors import (
    ContactLost,
    FlowrunnerError,
    InputRequired,
    RunCancelled,
    RunFailed,
    RunLost,
    WaitTimeout,
)
from flowrunner.states import needs_a_person

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.console import Console

    from flowrunner.cli.output import Output
    from flowrunner.client import Run
    from flowrunner.models import RunResult, RunStatus

    Show = Callable[[RunStatus], None]

__all__ = ["ago", "bar", "details", "display", "follow_to_end", "result_now", "tell_end"]

_BAR: Final = 20
"""Characters of the bar that shows how far a run is."""


def follow_to_end(run: Run, *, timeout: float | None, output: Output, config: str | None) -> NoReturn:
    """Wait for the run and end the command with the exit code of its outcome.

    Args:
        run: which.
        timeout: seconds, None without end.
        output: where the result goes, and what happens on the way.
        config: the configuration that was asked for, for the command that goes on.
    """

    def awaited() -> RunResult:
        with display(output) as show:
            return _awaited(run, timeout, show)

    tell_end(run, awaited, output, config)


def tell_end(run: Run, awaited: Callable[[], RunResult], output: Output, config: str | None) -> NoReturn:
    """Tell how the run ended, and end the command with the exit code of that.

    Args:
        run: which.
        awaited: gives its result, or raises what `Run.wait` raises.
        output: where the result goes.
        config: as for `follow_to_end`.
    """
    go_on = f"Continue with:\n  {next_command(run.ref, config)}"
    try:
        result = awaited()
    except (RunFailed, RunCancelled, RunLost) as error:
        _conclude(run, error.result, output, error)
    except InputRequired as error:
        reported(error, output, f"Answer it with:\n  {answer_command(run.ref, config)}")
    except (WaitTimeout, ContactLost) as error:
        reported(error, output, go_on)
    except FlowrunnerError as error:
        reported(error, output, *_still_known(run, go_on))
    except KeyboardInterrupt:
        message = f"Interrupted. The run goes on: {run.ref}\n{go_on}"
        interrupted(output, message, **run_object(run))
    else:
        _conclude(run, result, output, None)


def result_now(run: Run, *, raise_on_failure: bool = True) -> RunResult:
    """The result of a run that has ended; it is looked at once.

    Raises:
        WaitTimeout: it has not ended.
        FlowrunnerError: as `Run.refresh` and `Run.wait`; RunLost whatever `raise_on_failure`.
    """
    status = run.refresh()
    if not status.state.is_final and not needs_a_person(status):
        raise WaitTimeout(f"the run is {status.state} and has no result yet", status=status, ref=run.ref)
    return run.wait(0, raise_on_failure=raise_on_failure or status.state is RunState.LOST)


def _awaited(run: Run, timeout: float | None, show: Show) -> RunResult:
    """Every change is shown, so `watch` does the waiting; `wait` then tells the outcome without another look."""
    if not needs_a_person(run.status):
        for status in run.watch(timeout):
            show(status)
            if needs_a_person(status):
                break
    return run.wait()


def _conclude(run: Run, result: RunResult, output: Output, error: FlowrunnerError | None) -> NoReturn:
    output.result(result)
    show_picture({"": moments(run.history, result.status)}, output)
    record = {**run_object(run), **result.to_dict()}
    if error is not None:
        if isinstance(error, RunLost):
            output.say(one_line(error.message))
        for note in getattr(error, "__notes__", ()):
            output.say(note)
        record |= {"error": type(error).__name__, "message": error.message, "exit_code": int(code_of(error))}
    output.record(record)
    end(code_of_state(result.status.state))


def _still_known(run: Run, go_on: str) -> tuple[str, ...]:
    """What an error that is not about the run leaves true."""
    state = run.status.state
    if state is RunState.SUCCEEDED:
        return ("The run has succeeded; only its result could not be read.", go_on)
    return () if state is RunState.UNKNOWN else (f"The run was {state} when last seen.", go_on)


@contextmanager
def display(output: Output) -> Iterator[Show]:
    """Show how a run stands, on stderr: one live line on a terminal, else a line for each change."""
    console = live_console(output)
    if console is not None:
        with _live(console, output) as show:
            yield show
        return
    started = time.monotonic()
    yield lambda status: output.say(f"{ago(started)}  {_plain(status)}")


@contextmanager
def _live(console: Console, output: Output) -> Iterator[Show]:
    line = _LiveLine()
    with live_line(line, console, output):
        yield line.show


class _LiveLine:
    """What is known of a run, and how long it has been waited for."""

    def __init__(self) -> None:
        self._started = time.monotonic()
        self._shown = Text("looking")

    def show(self, status: RunStatus) -> None:
        colour = COLOURS.get(status.state, "")
        self._shown = Text.assemble(*bar(status.progress, colour), (str(status.state), colour), details(status))

    def __rich__(self) -> Text:
        line = Text.assemble((ago(self._started), "dim"), "  ", self._shown)
        line.no_wrap, line.overflow = True, "ellipsis"
        return line


def bar(progress: float | None, colour: str) -> tuple[tuple[str, str], ...]:
    """How far something is, where that is known."""
    if progress is None:
        return ()
    done = round(progress * _BAR)
    full, empty = "\N{BOX DRAWINGS HEAVY HORIZONTAL}", "\N{BOX DRAWINGS LIGHT HORIZONTAL}"
    return (full * done, colour), (empty * (_BAR - done), "dim"), ("  ", "")


def _plain(status: RunStatus) -> str:
    return f"{status.state}{details(status)}"


def details(status: RunStatus) -> str:
    """What there is to say beside the state."""
    word = vendor_word(status)
    parts = (
        f" ({word})" if word else "",
        f", attempt {status.attempt}" if status.attempt > 1 else "",
        "" if status.progress is None else f", {status.progress:.0%}",
        f": {one_line(status.message)}" if status.message else "",
    )
    return "".join(parts)


def ago(started: float) -> str:
    """How many seconds have gone by."""
    return f"{time.monotonic() - started:6.1f} s"
