"""Following a run to its end, in a worker and in a triggerer: the two differ in `await` alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowrunner import FlowrunnerError, InputRequired, RunResult, RunState, WaitTimeout

if TYPE_CHECKING:
    from airflow.sdk.types import Logger

    from flowrunner import AsyncRun, Run, RunStatus

__all__ = ["afollow", "follow", "sentence"]


def follow(run: Run, log: Logger, *, details: bool) -> RunResult:
    """What became of a run. While it waits for a person, what it waits for is logged and following goes on.

    Args:
        run: the run.
        log: where that is said.
        details: outputs and artifacts are needed, so a success whose details cannot be read is an error.

    Raises:
        FlowrunnerError: what keeps it from being followed; the run is as it was.
    """
    while True:
        try:
            result = run.wait(until="attention", raise_on_failure=False)
        except FlowrunnerError as error:
            return _without_details(run, error, log, details=details)
        if result.status.state is not RunState.WAITING:
            return result
        try:
            run.wait(timeout=0, raise_on_failure=False)
        except (InputRequired, WaitTimeout) as waiting:
            _say(waiting, run, log)
        next(status for status in run.watch() if status.state is not RunState.WAITING)


async def afollow(run: AsyncRun, log: Logger, *, details: bool) -> RunResult:
    """As `follow`."""
    while True:
        try:
            result = await run.wait(until="attention", raise_on_failure=False)
        except FlowrunnerError as error:
            return _without_details(run, error, log, details=details)
        if result.status.state is not RunState.WAITING:
            return result
        try:
            await run.wait(timeout=0, raise_on_failure=False)
        except (InputRequired, WaitTimeout) as waiting:
            _say(waiting, run, log)
        await anext(status async for status in run.watch() if status.state is not RunState.WAITING)


def _without_details(run: Run | AsyncRun, error: FlowrunnerError, log: Logger, *, details: bool) -> RunResult:
    """What is known of a run that has ended, where that is enough; else what happened is raised."""
    status = run.status
    if not status.state.is_final or (details and status.state is RunState.SUCCEEDED):
        raise error
    log.warning("The details of run %s cannot be read: %s", run.ref, error)
    return RunResult(run.ref, status)


def _say(waiting: InputRequired | WaitTimeout, run: Run | AsyncRun, log: Logger) -> None:
    if isinstance(waiting, InputRequired):
        asked = ", ".join(_titles(waiting)) or "it does not say what"
        log.warning(
            "Run %s waits for a person (%s) and is asked: %s. Answer at the vendor, or from a program with "
            "client.attach(%r).resume(answers). It is followed until then.",
            run.ref, waiting.status.reason, asked, str(run.ref),
        )  # fmt: skip
    else:
        log.info("Run %s: %s. It is followed on.", run.ref, sentence(waiting.status))


def _titles(waiting: InputRequired) -> list[str]:
    """What a person is asked, in the vendor's words."""
    properties = (waiting.schema or {}).get("properties", {})
    return [str(described.get("title", name)) for name, described in properties.items()]


def sentence(status: RunStatus) -> str:
    """How a run stands, in words."""
    parts = [str(status.state)]
    if why := status.cause or status.reason:
        parts.append(f"({why})")
    if status.has_warnings:
        parts.append("with warnings")
    return " ".join(parts) + (f": {status.message}" if status.message else "")
