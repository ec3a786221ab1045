"""FME Flow REST API V4 over HTTP: the routes and what each of them does."""

from __future__ import annotations

from collections import Counter
from functools import partial
from hmac import compare_digest
from typing import TYPE_CHECKING, Any

from starlette.responses import JSONResponse, Response

from flowrunner.simulator import fme_v4_bodies as bodies
from flowrunner.simulator.clock import later
from flowrunner.simulator.fme_http import (
    ALL_METHODS,
    VALIDATION_FAILED,
    ApiError,
    cut_page,
    end_of,
    ended,
    find_job,
    not_logged_in,
    nothing_here,
    read_flag,
    read_whole,
    result_url,
    served,
    unfinished,
)
from flowrunner.simulator.fme_pages import JobPages
from flowrunner.simulator.fme_v4_requests import read_listing, read_order
from flowrunner.simulator.fme_v4_resources import ROUTES as RESOURCE_ROUTES

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.routing import BaseRoute

    from flowrunner.simulator.engine import Job
    from flowrunner.simulator.fme_http import Handler
    from flowrunner.simulator.fme_jobs import Order
    from flowrunner.simulator.fme_workspaces import Workspace
    from flowrunner.simulator.fme_world import FmeWorld

BASE = "/fmeapiv4"

# The default of a long poll's patience is not known; in seconds.
_DEFAULT_INTERVAL = 60


def routes(world: FmeWorld) -> list[BaseRoute]:
    """Return the routes of V4 for `world`; anything else under its base answers 404 in the API's own shape."""
    open_routes: dict[str, Handler] = {
        "/fmeinfo/version": _version,
        f"{BASE}/healthcheck/liveness": _liveness,
        f"{BASE}/healthcheck/readiness": _readiness,
    }
    return [
        *(served(world, "v4", path, handler, "GET") for path, handler in open_routes.items()),
        *(
            served(world, "v4", BASE + path, partial(_guarded, handler), method)
            for method, path, handler in (*_GUARDED_ROUTES, *RESOURCE_ROUTES)
        ),
        served(world, "v4", BASE + "/{rest:path}", partial(_guarded, nothing_here), *ALL_METHODS),
    ]


async def _guarded(handler: Handler, world: FmeWorld, request: Request) -> Response:
    """Let only the holder of the token in."""
    given = request.headers.get("authorization", "")
    if not compare_digest(given.encode(), f"fmetoken token={world.token}".encode()):
        raise not_logged_in()
    return await handler(world, request)


async def _version(world: FmeWorld, _: Request) -> Response:
    return JSONResponse(bodies.version(world.build))


async def _liveness(world: FmeWorld, _: Request) -> Response:
    return JSONResponse(bodies.health(well=world.live), 200 if world.live else 503)


async def _readiness(world: FmeWorld, _: Request) -> Response:
    return JSONResponse(bodies.health(well=world.ready), 200 if world.ready else 503)


async def _submit(world: FmeWorld, request: Request) -> Response:
    job = _accept(world, read_order(await request.body(), sync=False))
    return JSONResponse({"id": job.id}, world.quirks.submit_status)


async def _submit_and_wait(world: FmeWorld, request: Request) -> Response:
    job = _accept(world, read_order(await request.body(), sync=True))
    return _ended(world, await end_of(world, job), world.quirks.failed_sync)


def _accept(world: FmeWorld, order: Order) -> Job:
    """Queue what was ordered, if there is such a workspace and it takes these values."""
    workspace = world.workspaces.find(order.repository, order.workspace)
    if workspace is None:
        raise _no_access(world.quirks.missing_flow_status)
    problems = workspace.problems(order.parameters)
    if problems:
        raise ApiError(world.quirks.invalid_parameter_status, VALIDATION_FAILED, problems)
    return world.submit(order)


def _no_access(status: int) -> ApiError:
    text = "Unauthorized request by user admin due to lack of proper permissions or the object does not exist."
    return ApiError(status, text)


def _ended(world: FmeWorld, job: Job, failed: str) -> Response:
    return ended(job, bodies.job_result(job, world.quirks), failed)


def _find_job(world: FmeWorld, request: Request, status: int = 404) -> Job:
    """Return the job a path names; `status` is the answer if there is none."""
    return find_job(world, request.path_params["id"], status)


def _record(world: FmeWorld, request: Request, job: Job) -> dict[str, Any]:
    url = result_url(world, request, job)
    return bodies.job_record(job, world.workspace_of(job), world.quirks, url, world.pool.clock.now())


async def _job(world: FmeWorld, request: Request) -> Response:
    return JSONResponse(_record(world, request, _find_job(world, request)))


async def _jobs(world: FmeWorld, request: Request) -> Response:
    listing = read_listing(request.query_params, world.quirks)
    jobs, total = listing.page_of(world.pool)
    head = {"totalCount": total, "limit": listing.limit, "offset": listing.offset}
    return JobPages(world, "v4", bodies).answer(request, jobs, head)


async def _result(world: FmeWorld, request: Request) -> Response:
    job = _find_job(world, request)
    if read_flag(request.query_params, "longPoll"):
        job = await _long_poll(world, request, job)
    if job.state.is_final:
        return _ended(world, job, world.quirks.failed_result)
    return _unfinished(world, job)


async def _long_poll(world: FmeWorld, request: Request, job: Job) -> Job:
    """Hold the request until the job ends, at most `longPollInterval` seconds (taken for seconds by its users)."""
    if world.quirks.long_poll == "missing":
        raise ApiError(404, f"HTTP 404 Not Found: {request.url.path}")
    if world.quirks.long_poll == "not_allowed":
        raise ApiError(405, "HTTP 405 Method Not Allowed")
    interval = read_whole(request.query_params, "longPollInterval", _DEFAULT_INTERVAL, 1)
    if world.quirks.long_poll == "ignore":
        return job
    return await end_of(world, job, later(world.pool.clock.now(), interval))


def _unfinished(world: FmeWorld, job: Job) -> Response:
    return unfinished(world.quirks.unfinished_result, {"id": job.id, "status": bodies.word(job.state, world.quirks)})


async def _cancel(world: FmeWorld, request: Request) -> Response:
    job = _find_job(world, request, 422)
    if not world.pool.cancel(job.id):
        raise ApiError(422, f'Job "{job.id}" is already complete and cannot be cancelled.')
    return Response(status_code=204)


async def _workspaces(world: FmeWorld, request: Request) -> Response:
    query = request.query_params
    text = query.get("filterString", "").casefold()
    items = [
        bodies.workspace_summary(workspace, world.runs_of(workspace))
        for workspace in world.workspaces
        if query.get("repository") in (None, workspace.repository)
        and text in f"{workspace.name}\n{workspace.title}".casefold()
    ]
    return JSONResponse(_page(request, items))


async def _repositories(world: FmeWorld, request: Request) -> Response:
    counts = Counter(workspace.repository for workspace in world.workspaces)
    text = request.query_params.get("filterString", "").casefold()
    items = [bodies.repository(name, count) for name, count in counts.items() if text in name.casefold()]
    return JSONResponse(_page(request, items))


def _page(request: Request, items: list[dict[str, Any]]) -> dict[str, Any]:
    query = request.query_params
    return cut_page(items, read_whole(query, "limit", 100, 1), read_whole(query, "offset", 0, 0))


def _find_workspace(world: FmeWorld, request: Request) -> Workspace:
    """Return the workspace a path names."""
    repository, name = request.path_params["repository"], request.path_params["workspace"]
    workspace = world.workspaces.find(repository, name)
    if workspace is None and world.quirks.missing_flow_status == 404:
        raise ApiError(404, f"Item {name} does not exist.")
    if workspace is None:
        raise _no_access(world.quirks.missing_flow_status)
    return workspace


async def _workspace(world: FmeWorld, request: Request) -> Response:
    workspace = _find_workspace(world, request)
    return JSONResponse(bodies.workspace_detail(workspace, world.runs_of(workspace)))


async def _parameters(world: FmeWorld, request: Request) -> Response:
    return JSONResponse(bodies.parameters(_find_workspace(world, request), world.quirks))


_GUARDED_ROUTES: tuple[tuple[str, str, Handler], ...] = (
    ("POST", "/jobs", _submit),
    ("GET", "/jobs", _jobs),
    ("POST", "/jobs/sync", _submit_and_wait),
    ("GET", "/jobs/{id}", _job),
    ("GET", "/jobs/{id}/result", _result),
    ("POST", "/jobs/{id}/cancel", _cancel),
    ("GET", "/workspaces", _workspaces),
    ("GET", "/workspaces/{repository}/{workspace}", _workspace),
    ("GET", "/workspaces/{repository}/{workspace}/parameters", _parameters),
    ("GET", "/repositories", _repositories),
)
