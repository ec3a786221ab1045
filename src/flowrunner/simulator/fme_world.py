"""One FME Flow server: what its APIs, of whatever version, have in common."""

from __future__ import annotations

import io
import json
import zipfile
from typing import TYPE_CHECKING

from attrs import define, field

from flowrunner.simulator.engine import EnginePool, JobState
from flowrunner.simulator.fme_workspaces import Catalogue, Workspace
from flowrunner.simulator.quirks import Quirks

if TYPE_CHECKING:
    from flowrunner.simulator.engine import Job

USER = "admin"
USER_ID = "fb2dd313-e5cf-432e-a24a-814e46929ab7"


@define(kw_only=True)
class FmeWorld:
    """The state of a simulated FME Flow. Everything may be changed while it runs.

    Attributes:
        pool: Its engines.
        token: The token that opens it.
        quirks: What its V4 decides where the facts leave it open.
        workspaces: What is published.
        build: Its build number.
        live: Whether it says that it lives.
        ready: Whether it says that it can work.
    """

    pool: EnginePool
    token: str = field(repr=False)
    quirks: Quirks = field(factory=Quirks)
    workspaces: Catalogue = field(factory=Catalogue)
    build: int = 25606
    live: bool = True
    ready: bool = True

    def __attrs_post_init__(self) -> None:
        for workspace in self.workspaces:
            self.publish(workspace)

    def publish(self, workspace: Workspace) -> None:
        """Publish a workspace; its behaviour stands until something else is scripted."""
        self.workspaces.add(workspace)
        self.pool.script(workspace.flow, workspace.behaviour)

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
