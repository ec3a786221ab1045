"""Pages of jobs, as either API of FME Flow writes them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from attrs import frozen
from starlette.responses import Response

from flowrunner.simulator.fme_http import result_address, root_of
from flowrunner.simulator.written import list_of, to_json, with_fields

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from starlette.requests import Request

    from flowrunner.simulator.engine import Job
    from flowrunner.simulator.fme_builds import Api
    from flowrunner.simulator.fme_workspaces import Workspace
    from flowrunner.simulator.fme_world import FmeWorld
    from flowrunner.simulator.quirks import Quirks


class Bodies(Protocol):
    """How an API writes a job."""

    @property
    def steady_record(self) -> Callable[[Job, Workspace, Quirks, str | None], dict[str, Any]]:
        """Describe it but for what changes while it runs."""
        ...

    @property
    def moving_fields(self) -> Callable[[Job, Quirks, datetime], dict[str, Any]]:
        """Describe what does."""
        ...


@frozen
class JobPages:
    """The lists of jobs of an API.

    Attributes:
        world: The server.
        api: The version of the API.
        bodies: How it writes jobs.
    """

    world: FmeWorld
    api: Api
    bodies: Bodies

    def answer(self, request: Request, jobs: Sequence[Job], head: Mapping[str, Any]) -> Response:
        """Answer with a page of jobs; `head` is what it tells beside them."""
        root, now = root_of(request), self.world.pool.clock.now()
        items = list_of(self._write(job, root, now) for job in jobs)
        return Response(with_fields(b'{"items":%b}' % items, head), media_type="application/json")

    def _write(self, job: Job, root: str, now: datetime) -> bytes:
        """Write a job; what has ended is written once."""
        world, bodies = self.world, self.bodies
        workspace, quirks = world.workspace_of(job), world.quirks

        def write() -> bytes:
            steady = bodies.steady_record(job, workspace, quirks, result_address(world, root, job))
            return to_json(steady | (bodies.moving_fields(job, quirks, now) if job.state.is_final else {}))

        written = world.written[self.api].of(job, (workspace, quirks, root), write)
        return written if job.state.is_final else with_fields(written, bodies.moving_fields(job, quirks, now))
