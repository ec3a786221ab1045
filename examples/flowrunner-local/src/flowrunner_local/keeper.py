"""The keeper of a run: starts its command, waits for its end and notes it, whoever else has gone by then.

`launch` starts one from the program that submits a run, and returns when the keeper has become independent of that. The
lock of the run goes from hand to hand without a moment in which nobody has it.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from flowrunner_local.runs import Run, now

if TYPE_CHECKING:
    from flowrunner_local.runs import Order

__all__ = ["launch"]

PAUSE: Final = 0.05
"""Seconds between two looks at the command and at whether somebody wants it cancelled."""


def launch(run: Run, lock: int) -> str | None:
    """Have a keeper look after the run from now on.

    Args:
        run: its order is on disk.
        lock: of the run; the keeper inherits it.

    Returns:
        Why that did not go well; None if it did.
    """
    try:
        with run.keeper_log.open("wb") as said:
            ended = subprocess.run(  # noqa: S603 - this very module
                [sys.executable, "-P", "-m", "flowrunner_local.keeper", str(run.path)],
                pass_fds=(lock,), start_new_session=True, stdin=subprocess.DEVNULL, stdout=said, stderr=said,
                check=False,
            )  # fmt: skip
    except OSError as error:
        return str(error)
    if ended.returncode == 0:
        return None
    lines = run.keeper_log.read_text(errors="replace").splitlines()
    return lines[-1] if lines else f"exit code {ended.returncode}"


def main() -> None:
    """Leave the program that submits the run, which waits for this process, and keep the run in another."""
    run = Run(Path(sys.argv[1]))
    if os.fork():
        os._exit(0)
    keep(run)


def keep(run: Run) -> None:
    """Start the command, wait for its end, and note both."""
    # Ignoring the ends of children is inherited, and would hide this one's.
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    # Whoever ends the keeper ends the run, too.
    signal.signal(signal.SIGTERM, lambda *_: run.ask_to_cancel())
    order = run.order()
    if run.is_cancel_asked():
        run.note(word="cancelled", finished_at=now())
        return
    try:
        process = _started(run, order)
    except (OSError, ValueError) as error:
        run.note(word="not started", message=f"the command cannot be started: {error}", finished_at=now())
        return
    try:
        run.note(word="running", pid=process.pid, started_at=now())
        is_cancelled = _waited(run, process, order.cancel_grace)
    except BaseException:
        os.killpg(process.pid, signal.SIGKILL)  # what nobody can note must not go on unseen
        raise
    code = process.wait()
    word = "cancelled" if is_cancelled else "failed" if code else "succeeded"
    run.note(word=word, message=_message(code), exit_code=code, finished_at=now())


def _started(run: Run, order: Order) -> subprocess.Popen[bytes]:
    """The command, as the leader of a process group of its own."""
    source = run.payload if run.payload.exists() else os.devnull
    with open(source, "rb") as payload, run.log.open("ab") as log:  # noqa: PTH123 - one of the two is no Path
        return subprocess.Popen(  # noqa: S603 - what the configuration says
            order.command, stdin=payload, stdout=log, stderr=log, process_group=0, env=_environment(run, order),
            cwd=order.working_folder or run.output,
        )  # fmt: skip


def _environment(run: Run, order: Order) -> dict[str, str]:
    parameters = {f"FLOW_PARAMETER_{name}": text for name, text in order.parameters.items()}
    about = {"FLOW_RUN_ID": run.path.name, "FLOW_OUTPUT": str(run.output)}
    return {**os.environ, **order.environment, **parameters, **about}


def _waited(run: Run, process: subprocess.Popen[bytes], grace: float) -> bool:
    """Wait for the end of the command; whether it was brought about."""
    while not _has_ended(process):
        if run.is_cancel_asked() and _stopped(process, grace):
            return True
        time.sleep(PAUSE)
    return False


def _has_ended(process: subprocess.Popen[bytes]) -> bool:
    """Whether the command has ended. It is left as it is: until somebody waits for it, its group's id is not reused."""
    return os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def _stopped(process: subprocess.Popen[bytes], grace: float) -> bool:
    """Ask the whole group to end, and make what is left of it when the command has ended, or its time is up."""
    try:
        os.killpg(process.pid, signal.SIGTERM)
    except PermissionError:
        return False  # it has become another user's, as `sudo` does
    until = time.monotonic() + grace
    while not _has_ended(process) and time.monotonic() < until:
        time.sleep(PAUSE)
    os.killpg(process.pid, signal.SIGKILL)
    return True


def _message(code: int) -> str | None:
    if code >= 0:
        return f"the command ended with exit code {code}" if code else None
    names = {number.value: number.name for number in signal.Signals}  # those in real time have none
    return f"the command was ended by {names.get(-code, f'signal {-code}')}"


if __name__ == "__main__":
    main()
