"""One FME Flow server: the state that its APIs, of whatever version, show."""

from __future__ import annotations

import io
import json
import zipfile
from typing import TYPE_CHECKING

from attrs import define, field

from flowrunner.simulator.engine import EnginePool, JobState, unpaused
from flowrunner.simulator.fme_builds import Api, apis_of
from flowrunner.simulator.fme_resources import Resources
from flowrunner.simulator.fme_workspaces import Catalogue, Workspace
from flowrunner.simulator.quirks import Quirks
from flowrunner.simulator.written import Written

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flowrunner.simulator.engine import Job
    from flowrunner.simulator.fme_jobs import Order

USER = "admin"
USER_ID = "fb2dd313-e5cf-432e-a24a-814e46929ab7"


@define(kw_only=True)
class FmeWorld:
    """The state of a simulated FME Flow. Everything may be changed while it runs.

    Attributes:
        pool: Its engines.
        token: The token that opens it.
        password: What opens V3 together with the name `admin`.
        quirks: What it decides where the facts leave it open.
        workspaces: What is published.
        queues: The queues there are; asked about only where a quirk says that another is refused.
        resources: Its shared resources: files that callers sent.
        build: Its build number. A change while it runs plays an upgrade: jobs and files stay, APIs come and go.
        fixed_apis: The versions of the API it has, whatever its build; None if the build decides.
        live: Whether it says that it lives.
        ready: Whether it says that it can work.
        written: What each API wrote of jobs in lists.
    """

    pool: EnginePool
    token: str = field(repr=False)
    password: str = field(default="admin", repr=False)
    quirks: Quirks = field(factory=Quirks)
    workspaces: Catalogue = field(factory=Catalogue)
    queues: tuple[str, ...] = ("Default", "Queue1")
    resources: Resources = field(init=False)
    build: int = 25606
    fixed_apis: frozenset[Api] | None = None
    live: bool = True
    ready: bool = True
    written: Mapping[Api, Written[bytes]] = field(init=False, factory=lambda: {"v3": Written(), "v4": Written()})

    def __attrs_post_init__(self) -> None:
        self.resources = Resources(self.pool.clock)
        for workspace in self.workspaces:
            self.publish(workspace)

    @property
    def apis(self) -> frozenset[Api]:
        """The versions of the API it answers now."""
        return apis_of(self.build) if self.fixed_apis is None else self.fixed_apis

    def close(self) -> None:
        """Remove the files that were sent."""
        self.resources.close()

    def submit(self, order: Order) -> Job:
        """Queue what was ordered; whether there is such a workspace was asked before. FME Flow knows no pauses."""
        return self.pool.submit(
            Workspace(order.repository, order.workspace).flow,
            order.parameters,
            queue=order.queue,
            limits=order.limits,
            notes=order.notes,
            adapt=unpaused,
        )

    def publish(self, workspace: Workspace) -> None:
        """Publish a workspace; its behaviour stands until something else is scripted."""
        self.workspaces.add(workspace)
        self.pool.publish(workspace.flow, workspace.behaviour)

    def runs_of(self, workspace: Workspace) -> int:
        """Return how often a workspace was run."""
        return len(self.pool.submissions(workspace.flow))

    def workspace_of(self, job: Job) -> Workspace:
        """Return the workspace a job runs, though it may have been removed since."""
        repository, _, name = job.flow.rpartition("/")
        return self.workspaces.find(repository, name) or Workspace(repository, name)

    def archive_name(self, job: Job) -> str | None:
        """Return the file name of the data set that a job left; None if it left none."""
        if job.state is not JobState.SUCCEEDED or not self.workspace_of(job).downloads:
            return None
        return f"FME_{job.submitted_at:%Y%m%d%H%M%S}_{job.id}.zip"

    def archive(self, name: str) -> bytes | None:
        """Return the data set of that file name, a real zip; None if there is none."""
        job = next((job for job in self.pool.jobs if self.archive_name(job) == name), None)
        return None if job is None else _zip(job)


def _zip(job: Job) -> bytes:
    """Pack what a job was given, the same bytes for the same job."""
    content = json.dumps({"id": job.id, "workspace": job.flow, "publishedParameters": dict(job.parameters)}, indent=1)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(zipfile.ZipInfo("result.json", job.submitted_at.timetuple()[:6]), content)
    return buffer.getvalue()
