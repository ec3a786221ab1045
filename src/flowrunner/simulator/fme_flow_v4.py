"""FME Flow REST API V4 over HTTP: the routes and what each of them does."""

from __future__ import annotations

from collections import Counter
from functools import partial
from hmac import compare_digest
from typing import TYPE_CHECKING, Any

from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import BaseRoute, Route

from flowrunner.simulator import fme_v4_bodies as bodies
from flowrunner.simulator.clock import later
from flowrunner.simulator.engine import Job, JobState
from flowrunner.simulator.fme_v4_requests import (
    VALIDATION_FAILED,
    ApiError,
    Order,
    read_flag,
    read_listing,
    read_order,
    read_whole,
)
from flowrunner.simulator.waiting import wait_for_end

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from starlette.requests import Request

    from flowrunner.simulator.fme_workspaces import Workspace
    from flowrunner.simulator.fme_world import FmeWorld

    Handler = Callable[[FmeWorld, Request], Awaitable[Response]]

BASE = "/fmeapiv4"
RESULTS = "/fmedatadownload/results"

# The default of a long poll's patience is not known; in seconds.
_DEFAULT_INTERVAL = 60


def routes(world: FmeWorld) -> list[BaseRoute]:
    """Return the routes of V4 for `world`; anything else under its base answers 404 in the API's own shape."""
    open_routes: dict[str, Handler] = {
        "/fmeinfo/version": _version,
        f"{BASE}/healthcheck/liveness": _liveness,
        f"{BASE}/healthcheck/readiness": _readiness,
        f"{RESULTS}/{{name}}": _download,
    }
    return [
        *(Route(path, partial(handler, world), methods=["GET"]) for path, handler in open_routes.items()),
        *(
            Route(BASE + path, partial(_guarded, handler, world), methods=[method])
            for method, path, handler in _GUARDED_ROUTES
        ),
        Route(BASE + "/{rest:path}", partial(_guarded, _nothing_here, world), methods=_ALL_METHODS),
    ]


async def _refuse(_: Request, error: ApiError) -> Response:
    return JSONResponse(error.body, error.status)


async def _web_page(_: Request, error: HTTPException) -> Response:
    """Answer what is not the API's the way the web server before it does."""
    return HTMLResponse(f"<html><body><h1>HTTP Status {error.status_code}</h1></body></html>", error.status_code)


async def _guarded(handler: Handler, world: FmeWorld, request: Request) -> Response:
    """Let only the holder of the token in. The text is V3's; V4's own is not known."""
    given = request.headers.get("authorization", "")
    if not compare_digest(given.encode(), f"fmetoken token={world.token}".encode()):
        raise ApiError(401, "Authentication failed: Failed to login")
    return await handler(world, request)


async def _nothing_here(_: FmeWorld, request: Request) -> Response:
    raise ApiError(404, f"HTTP 404 Not Found: {request.url.path}")


async def _version(world: FmeWorld, _: Request) -> Response:
    return JSONResponse(bodies.version(world.build))


async def _liveness(world: FmeWorld, _: Request) -> Response:
    return JSONResponse(bodies.health(well=world.live), 200 if world.live else 503)


async def _readiness(world: FmeWorld, _: Request) -> Response:
    return JSONResponse(bodies.health(well=world.ready), 200 if world.ready else 503)


async def _download(world: FmeWorld, request: Request) -> Response:
    content = world.archive(request.path_params["name"])
    if content is None:
        raise HTTPException(404)
    return Response(content, media_type="application/zip")


async def _submit(world: FmeWorld, request: Request) -> Response:
    job = _accept(world, read_order(await request.body(), sync=False))
    return JSONResponse({"id": job.id}, world.quirks.submit_status)


async def _submit_and_wait(world: FmeWorld, request: Request) -> Response:
    job = _accept(world, read_order(await request.body(), sync=True))
    try:
        ended = await wait_for_end(world.pool, job.id)
    except KeyError:
        raise _no_such_job(404, str(job.id)) from None
    return _ended(world, ended, world.quirks.failed_sync)


def _accept(world: FmeWorld, order: Order) -> Job:
    """Queue what was ordered, if there is such a workspace and it takes these values."""
    workspace = world.workspaces.find(order.repository, order.workspace)
    if workspace is None:
        raise _no_access(world.quirks.missing_flow_status)
    problems = workspace.problems(order.parameters)
    if problems:
        raise ApiError(world.quirks.invalid_parameter_status, VALIDATION_FAILED, problems)
    return world.pool.submit(workspace.flow, order.parameters, queue=order.queue, limits=order.limits)


def _no_access(status: int) -> ApiError:
    text = "Unauthorized request by user admin due to lack of proper permissions or the object does not exist."
    return ApiError(status, text)


def _ended(world: FmeWorld, job: Job, failed: str) -> Response:
    """Answer with a result, in the form `failed` where the job did not succeed."""
    if job.state is JobState.SUCCEEDED or failed == "body":
        return JSONResponse(bodies.job_result(job, world.quirks))
    if failed == "422":
        raise ApiError(422, bodies.end_message(job))
    return JSONResponse(bodies.job_result(job, world.quirks), 422)


def _no_such_job(status: int, job_id: str) -> ApiError:
    return ApiError(status, f'The job for ID "{job_id}" does not exist.')


def _find_job(world: FmeWorld, request: Request, status: int = 404) -> Job:
    """Return the job a path names; `status` is the answer if there is none."""
    job_id = request.path_params["id"]
    try:
        return world.pool.job(int(job_id))
    except (KeyError, ValueError):
        raise _no_such_job(status, job_id) from None


def _record(world: FmeWorld, request: Request, job: Job) -> dict[str, Any]:
    archive = world.archive_name(job)
    url = None if archive is None else f"{str(request.base_url).rstrip('/')}{RESULTS}/{archive}"
    return bodies.job_record(job, world.workspace_of(job), world.quirks, url, world.pool.clock.now())


async def _job(world: FmeWorld, request: Request) -> Response:
    return JSONResponse(_record(world, request, _find_job(world, request)))


async def _jobs(world: FmeWorld, request: Request) -> Response:
    listing = read_listing(request.query_params, world.quirks)
    page = bodies.page(listing.select(world.pool.jobs), listing.limit, listing.offset)
    return JSONResponse(page | {"items": [_record(world, request, job) for job in page["items"]]})


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
    try:
        return await wait_for_end(world.pool, job.id, later(world.pool.clock.now(), interval))
    except KeyError:
        raise _no_such_job(404, str(job.id)) from None


def _unfinished(world: FmeWorld, job: Job) -> Response:
    """Answer that a job has not ended yet."""
    if world.quirks.unfinished_result == 204:
        return Response(status_code=204)
    live = {"id": job.id, "status": bodies.word(job.state, world.quirks)}
    return JSONResponse(live, world.quirks.unfinished_result)


async def _cancel(world: FmeWorld, request: Request) -> Response:
    job = _find_job(world, request, 422)
    if not world.pool.cancel(job.id):
        raise ApiError(422, f'Job "{job.id}" is already complete and cannot be cancelled.')
    return Response(status_code=204)


def _runs(world: FmeWorld, workspace: Workspace) -> int:
    return len(world.pool.submissions(workspace.flow))


async def _workspaces(world: FmeWorld, request: Request) -> Response:
    query = request.query_params
    text = query.get("filterString", "").casefold()
    items = [
        bodies.workspace_summary(workspace, _runs(world, workspace))
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
    return bodies.page(items, read_whole(query, "limit", 100, 1), read_whole(query, "offset", 0, 0))


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
    return JSONResponse(bodies.workspace_detail(workspace, _runs(world, workspace)))


async def _parameters(world: FmeWorld, request: Request) -> Response:
    return JSONResponse(bodies.parameters(_find_workspace(world, request), world.quirks))


ERROR_ANSWERS: Mapping[Any, Any] = {ApiError: _refuse, HTTPException: _web_page}

_ALL_METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]
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
