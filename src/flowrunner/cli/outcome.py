"""How a command ends: errors become a message and an exit code, here and nowhere else."""

from __future__ import annotations

import shlex
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, NoReturn

import click

from flowrunner import errors, registry
from flowrunner.backend import Capability
from flowrunner.cli.exit_codes import ExitCode
from flowrunner.cli.interrupts import interruptible
from flowrunner.enums import RunState

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flowrunner.cli.options import JournalPlace
    from flowrunner.cli.output import Output
    from flowrunner.errors import FlowrunnerError
    from flowrunner.models import RunRef

__all__ = [
    "answer_command",
    "code_of",
    "code_of_state",
    "command_line",
    "end",
    "error_object",
    "interrupted",
    "next_command",
    "reported",
    "reporting",
]

_CODES: Final[tuple[tuple[ExitCode, tuple[type[FlowrunnerError], ...]], ...]] = (
    (ExitCode.FAILED, (errors.RunFailed,)),
    (ExitCode.CANCELLED, (errors.RunCancelled,)),
    (ExitCode.WAITING, (errors.InputRequired,)),
    (ExitCode.TIMEOUT, (errors.WaitTimeout,)),
    (
        ExitCode.CONTACT_LOST,
        (errors.ContactLost, errors.TransportError, errors.VendorError, errors.RateLimited, errors.ProtocolError),
    ),
    (ExitCode.DENIED, (errors.AuthenticationError, errors.PermissionDenied)),
    (ExitCode.NOT_FOUND, (errors.FlowNotFound, errors.RunNotFound)),
    (ExitCode.UNCERTAIN, (errors.SubmissionUncertain,)),
    (ExitCode.LOST, (errors.RunLost,)),
    (
        ExitCode.USAGE,
        (errors.ConfigError, errors.JournalError, errors.InvalidRequest, errors.UnsupportedOperation),
    ),
)

_STATES: Final = {
    RunState.SUCCEEDED: ExitCode.SUCCEEDED,
    RunState.FAILED: ExitCode.FAILED,
    RunState.CANCELLED: ExitCode.CANCELLED,
    RunState.LOST: ExitCode.LOST,
}


def code_of(error: FlowrunnerError) -> ExitCode:
    """The exit code that tells of an error."""
    if isinstance(error, errors.JournalError) and getattr(error, "ref", None) is not None:
        return ExitCode.UNCERTAIN  # there is a run, and starting it again would start another
    return next((code for code, classes in _CODES if isinstance(error, classes)), ExitCode.ERROR)


def code_of_state(state: RunState) -> ExitCode:
    """The exit code that tells how a run has ended."""
    return _STATES[state]


def end(code: ExitCode) -> NoReturn:
    """End the command with this exit code."""
    click.get_current_context().exit(code)


def next_command(ref: RunRef, config: str | None) -> str:
    """The command that goes on waiting for a run."""
    return command_line("wait", str(ref), config=config)


def answer_command(ref: RunRef, config: str | None) -> str:
    """The command that answers a run that waits for a person."""
    return command_line("resume", str(ref), config=config)


def command_line(*words: str, config: str | None, journal: JournalPlace = True) -> str:
    """A command as a shell takes it, with the configuration and the journal that this one was given."""
    options = ["--config", config] if config else []
    options += ["--journal", journal] if isinstance(journal, str) else []
    return shlex.join(["flowrunner", *words, *options])


def error_object(error: FlowrunnerError) -> dict[str, Any]:
    """An error as JSON."""
    ref = getattr(error, "handle", None) or error.ref
    status = getattr(error, "status", None)
    problems = getattr(error, "problems", None)
    return {
        "error": type(error).__name__,
        "message": error.message,
        "exit_code": int(code_of(error)),
        "connection": error.connection,
        "backend": error.backend,
        "ref": None if ref is None else str(ref),
        "http_status": error.http_status,
        "vendor_message": error.vendor_message,
        "retry_after": error.retry_after,
        "transient": error.transient,
        **({} if status is None else {"status": status.to_dict()}),
        **({} if problems is None else {"problems": problems}),
    }


@contextmanager
def reporting(output: Output) -> Iterator[None]:
    """End the command with a message and an exit code when flowrunner raises, or somebody presses Ctrl-C.

    SIGTERM counts as Ctrl-C. Anything else is a bug, and passes.
    """
    try:
        with interruptible():
            yield
    except errors.FlowrunnerError as error:
        reported(error, output)
    except (KeyboardInterrupt, click.Abort):  # the latter is how a question ends
        interrupted(output, "Interrupted.")


def interrupted(output: Output, message: str, **details: Any) -> NoReturn:
    """Tell that the command was interrupted, and end it."""
    output.insist(message)
    output.record({"error": "Interrupted", "message": message, "exit_code": int(ExitCode.INTERRUPTED), **details})
    end(ExitCode.INTERRUPTED)


def reported(error: FlowrunnerError, output: Output, *advice: str) -> NoReturn:
    """Tell of an error, with its notes and what to do, and end the command."""
    output.insist(f"Error: {error}")
    for line in (*getattr(error, "__notes__", ()), *_advice(error), *advice):
        output.insist(line)
    output.record(error_object(error))
    end(code_of(error))


def _advice(error: FlowrunnerError) -> tuple[str, ...]:
    if isinstance(error, errors.SubmissionUncertain):
        return (f"Handle: {error.handle}",)
    config = click.get_current_context().params.get("config")
    if isinstance(error, errors.UnknownConnection):
        vendor = () if error.backend is None else ("--backend", error.backend)
        return (f"To configure a connection:\n  {command_line('init', *vendor, config=config)}",)
    if isinstance(error, errors.FlowNotFound) and error.connection and _lists_flows(error.backend):
        return (f"See what there is with:\n  {command_line('flows', error.connection, config=config)}",)
    return ()


def _lists_flows(backend: str | None) -> bool:
    return backend is not None and Capability.LIST_FLOWS in registry.load(backend).capabilities
