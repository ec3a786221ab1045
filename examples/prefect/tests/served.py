"""A flow as its users serve it: `python served.py` runs it, in a process of its own, whenever somebody asks for it."""

import os
import signal
from pathlib import Path

from prefect import flow
from prefect.runtime import flow_run
from prefect.transactions import Transaction

from remote_runs import cancel_remote_runs, run, submit

DEADLY = Path(os.environ["DEADLY"])
"""While there is this file, a process for the server `killed` dies between the vendor's answer and keeping it."""


@submit.on_commit
def die(_: Transaction) -> None:
    """Leave Prefect without the reference of the run that was just started."""
    if flow_run.parameters["server"] == "killed" and DEADLY.exists():
        DEADLY.unlink()
        os.kill(os.getpid(), signal.SIGKILL)


@flow(on_cancellation=[cancel_remote_runs])
async def served(server: str, remote_flow: str) -> str:
    """One run."""
    return (await run(server, remote_flow))["ref"]


if __name__ == "__main__":
    served.serve("served")
