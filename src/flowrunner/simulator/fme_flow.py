"""The simulated servers of FME Flow: what each of them is at first, and all they answer."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from attrs import frozen
from starlette.routing import BaseRoute, Route

from flowrunner.simulator import fme_flow_v3, fme_flow_v4
from flowrunner.simulator.fme_every_parameter import EVERY_PARAMETER
from flowrunner.simulator.fme_http import RESULTS, download_result
from flowrunner.simulator.fme_workspaces import TUTORIALS, Catalogue, Workspace
from flowrunner.simulator.fme_world import FmeWorld

if TYPE_CHECKING:
    from flowrunner.simulator.engine import EnginePool
    from flowrunner.simulator.fme_builds import Api
    from flowrunner.simulator.quirks import Quirks


@frozen
class _Server:
    """How a server is at first.

    Attributes:
        build: Its build.
        fixed_apis: The versions of the API it has, whatever its build; None if the build decides.
        workspaces: What is published.
    """

    build: int
    fixed_apis: frozenset[Api] | None = None
    workspaces: tuple[Workspace, ...] = (*TUTORIALS, EVERY_PARAMETER)


SERVERS = {
    "fme-flow": _Server(25606),
    "fme-flow-v3": _Server(23619),
    "fme-flow-v4": _Server(25606, frozenset({"v4"}), TUTORIALS),
}
"""By the name that a simulator is asked for."""


SUBMISSIONS = (
    f"POST {fme_flow_v3.BASE}/transformations/submit/*",
    f"POST {fme_flow_v3.BASE}/transformations/transact*",
    f"POST {fme_flow_v4.BASE}/jobs",
    f"POST {fme_flow_v4.BASE}/jobs/sync",
)
POLLS = (
    f"GET {fme_flow_v3.BASE}/transformations/jobs/*",
    f"GET {fme_flow_v4.BASE}/jobs",
    f"GET {fme_flow_v4.BASE}/jobs/*",
)


def make_world(vendor: str, pool: EnginePool, token: str, quirks: Quirks) -> FmeWorld:
    """Make the server of a name."""
    server = SERVERS[vendor]
    return FmeWorld(
        pool=pool,
        token=token,
        quirks=quirks,
        workspaces=Catalogue(server.workspaces),
        build=server.build,
        fixed_apis=server.fixed_apis,
    )


def routes(world: FmeWorld) -> list[BaseRoute]:
    """Return all routes of a server, those of an API included that its build has not yet or no longer."""
    download = Route(f"{RESULTS}/{{name}}", partial(download_result, world), methods=["GET"])
    return [download, *fme_flow_v3.routes(world), *fme_flow_v4.routes(world)]
