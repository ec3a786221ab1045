"""A job that has a flow of FME Flow run for each theme."""

from collections.abc import Iterator

import dagster as dg

from remote_runs import Work, WorkflowServer, cancel_remote_runs, follow, remote_runs, submit


@dg.op(out=dg.DynamicOut(Work))
def themes() -> Iterator[dg.DynamicOutput[Work]]:
    """What is to be run, a piece each."""
    for theme in ("airports", "cenart"):
        yield dg.DynamicOutput(Work("Samples/austinDownload.fmw", {"THEMES": [theme]}), mapping_key=theme)


@dg.job
def nightly() -> None:
    """All themes, side by side."""
    themes().map(lambda work: follow(work, submit(work)))


SERVER = WorkflowServer(
    name="prod",
    backend="fme-flow",
    base_url=dg.EnvVar("FME_URL"),
    secrets={"token": dg.EnvVar("FME_TOKEN")},
)
defs = dg.Definitions(jobs=[nightly], sensors=[cancel_remote_runs, remote_runs], resources={"server": SERVER})
