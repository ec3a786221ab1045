"""A job as its users write it. `python jobs.py` runs it in a process of its own."""

import os
import signal
from contextlib import contextmanager

from dagster import (
    DagsterInstance,
    DynamicOut,
    DynamicOutput,
    EnvVar,
    RetryPolicy,
    execute_job,
    job,
    op,
    reconstructable,
)

from remote_runs import Work, WorkflowServer, follow, submit

FLOW = "Samples/austinDownload.fmw"
SOON = RetryPolicy(max_retries=2, delay=0.01)


class MortalServer(WorkflowServer):
    """If asked to, it kills the first process that has got from it what it wanted."""

    @contextmanager
    def shared(self):
        """As it is, to its end."""
        with super().shared() as shared:
            yield shared
        if "DEADLY" in os.environ:
            os.kill(os.getpid(), signal.SIGKILL)


def server(secret: str) -> WorkflowServer:
    """The server of this environment, whose credential has this name."""
    return MortalServer(
        name="prod",
        backend=EnvVar("VENDOR"),
        base_url=EnvVar("BASE_URL"),
        settings={"poll_min": 0.1, "poll_max": 0.3, "contact_budget": 0.5},
        secrets={secret: EnvVar("SECRET")},
        journal=EnvVar("JOURNAL"),
    )


@op(out=DynamicOut(Work))
def pieces():
    """As many as the environment says."""
    for name in os.environ["PIECES"].split():
        yield DynamicOutput(Work(os.environ["FLOW"]), mapping_key=name)


@job(resource_defs={"server": server("token")})
def nightly():
    """A run for each piece."""

    def run(work):
        return follow.with_retry_policy(SOON)(work, submit.with_retry_policy(SOON)(work))

    pieces().map(run)


def execute(instance, **arguments):
    """Run the job in this process."""
    run_config = {"execution": {"config": {"in_process": {}}}}
    return execute_job(reconstructable(nightly), instance, run_config=run_config, **arguments)


if __name__ == "__main__":
    with DagsterInstance.get() as instance:
        execute(instance, tags={"test": "it"})
