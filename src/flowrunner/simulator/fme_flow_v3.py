"""FME Flow REST API V3 over HTTP: the routes and what each of them does."""

from __future__ import annotations

import base64
import hashlib
from functools import partial
from hmac import compare_digest
from typing import TYPE_CHECKING, Any

from starlette.responses import JSONResponse, PlainTextResponse, Response

from flowrunner.simulator import fme_v3_bodies as bodies
from flowrunner.simulator.engine import JobState
from flowrunner.simulator.fme_http import (
    ALL_METHODS,
    VALIDATION_FAILED,
    ApiError,
    end_of,
    ended,
    find_job,
    no_such_job,
    not_logged_in,
    nothing_here,
    result_url,
    served,
    unfinished,
    unpaged,
)
from flowrunner.simulator.fme_jobs import SentData
from flowrunner.simulator.fme_log import log_of
from flowrunner.simulator.fme_pages import JobPages
from flowrunner.simulator.fme_v3_parameters import describe_parameter
from flowrunner.simulator.fme_v3_requests import SECTIONS, read_data_order, read_listing, read_order, value_problems
from flowrunner.simulator.fme_v3_resources import ROUTES as RESOURCE_ROUTES
from flowrunner.simulator.fme_v3_resources import read_form, wants_content
from flowrunner.simulator.fme_world import USER

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.routing import BaseRoute

    from flowrunner.simulator.engine import Job
    from flowrunner.simulator.fme_http import Handler
    from flowrunner.simulator.fme_jobs import Order
    from flowrunner.simulator.fme_workspaces import Workspace
    from flowrunner.simulator.fme_world import FmeWorld

BASE = "/fmerest/v3"


def routes(world: FmeWorld) -> list[BaseRoute]:
    """Return the routes of V3 for `world`, a slash at the end of any path tolerated (observed).

    Anything else under its base answers 404 in the API's own shape.
    """
    return [
        *(served(world, "v3", f"{BASE}/healthcheck{end}", _health, "GET") for end in ("", "/")),
        *(
            served(world, "v3", BASE + path + end, partial(_guarded, handler), method)
            for method, path, handler in (*_ROUTES, *RESOURCE_ROUTES)
            for end in ("", "/")
        ),
        served(world, "v3", BASE + "/{rest:path}", partial(_guarded, nothing_here), *ALL_METHODS),
    ]


async def _guarded(handler: Handler, world: FmeWorld, request: Request) -> Response:
    """Let only those in who show the token or the password, in any of the ways there are (documented)."""
    form = await read_form(request)
    name_and_password = base64.b64encode(f"{USER}:{world.password}".encode()).decode()
    header = request.headers.get("authorization", "")
    pairs = (
        (header, f"fmetoken token={world.token}"),
        (header, f"Basic {name_and_password}"),
        (request.query_params.get("fmetoken", ""), world.token),
        (form.get("fmetoken", ""), world.token),
    )
    if not any(compare_digest(given.encode(), right.encode()) for given, right in pairs):
        raise not_logged_in()
    return await handler(world, request)


# The server


async def _health(world: FmeWorld, request: Request) -> Response:
    """Tell the health to anybody; with `ready`, whether it can work."""
    query = request.query_params
    well = world.ready and world.live if query.get("ready") == "true" else world.live
    status = 200 if well else 500
    if query.get("textResponse", str(world.quirks.v3_health == "text")).lower() == "true":
        return PlainTextResponse("OK" if well else "An FME Flow component is unavailable.", status)
    return JSONResponse({"status": "ok" if well else "error"}, status)


async def _info(world: FmeWorld, _: Request) -> Response:
    return JSONResponse(bodies.info(world.build, world.pool.clock.now()))


# Submissions


async def _submit(world: FmeWorld, request: Request) -> Response:
    job = _accept(world, *await _read_order(world, request))
    return JSONResponse({"id": job.id}, world.quirks.submit_status)


async def _transact(world: FmeWorld, request: Request) -> Response:
    return await _wait(world, request, _accept(world, *await _read_order(world, request)))


async def _transact_data(world: FmeWorld, request: Request) -> Response:
    """Run with the body as the source data, which is measured and let go."""
    digest, size = hashlib.sha256(), 0
    async for chunk in request.stream():
        digest.update(chunk)
        size += len(chunk)
    workspace = _find_workspace(world, request)
    order = read_data_order(workspace, request.query_params, SentData(size, digest.hexdigest()))
    return await _wait(world, request, _accept(world, workspace, order))


async def _read_order(world: FmeWorld, request: Request) -> tuple[Workspace, Order]:
    workspace = _find_workspace(world, request)
    return workspace, read_order(workspace.repository, workspace.name, await request.body())


def _accept(world: FmeWorld, workspace: Workspace, order: Order) -> Job:
    """Queue what was ordered, if its workspace takes these values.

    Raises:
        ApiError: 422; what it says is assumed.
    """
    problems = value_problems(workspace, order.parameters)
    if problems:
        raise ApiError(422, f"{VALIDATION_FAILED}: {'; '.join(f'{name} {why}' for name, why in problems.items())}")
    if world.quirks.v3_unknown_queue == "refuse" and order.queue not in ("", *world.queues):
        raise ApiError(422, f"{VALIDATION_FAILED}: Queue {order.queue} does not exist.")
    return world.submit(order)


async def _wait(world: FmeWorld, request: Request, job: Job) -> Response:
    """Hold a request until its job ends."""
    done = await end_of(world, job)
    return ended(done, _result_body(world, request, done), world.quirks.v3_failed_transact)


# Jobs


def _states(request: Request) -> frozenset[JobState]:
    """Return which jobs are in the list a path names."""
    states = SECTIONS.get(request.path_params["section"])
    if states is None:
        raise ApiError(404, f"HTTP 404 Not Found: {request.url.path}")
    return states


def _find_job(world: FmeWorld, request: Request) -> Job:
    """Return the job a path names; one named in a list must be in it."""
    if request.path_params.get("section", "id") == "id":
        return find_job(world, request.path_params["id"])
    return _find_listed(world, request)


def _find_listed(world: FmeWorld, request: Request) -> Job:
    job = find_job(world, request.path_params["id"])
    if job.state not in _states(request):
        raise no_such_job(404, job.id)
    return job


def _record(world: FmeWorld, request: Request, job: Job) -> dict[str, Any]:
    url = result_url(world, request, job)
    return bodies.job_record(job, world.workspace_of(job), world.quirks, url, world.pool.clock.now())


def _result_body(world: FmeWorld, request: Request, job: Job) -> dict[str, Any]:
    return bodies.job_result(job, world.quirks, result_url(world, request, job))


async def _job(world: FmeWorld, request: Request) -> Response:
    return JSONResponse(_record(world, request, _find_job(world, request)))


async def _result(world: FmeWorld, request: Request) -> Response:
    job, status = _find_job(world, request), world.quirks.v3_unfinished_result
    if job.state.is_final:
        return JSONResponse(_result_body(world, request, job))
    if status == 404:
        raise ApiError(404, f"The job {job.id} has no result yet.")
    return unfinished(status, {"id": job.id, "status": bodies.word(job, world.quirks)})


async def _request(world: FmeWorld, request: Request) -> Response:
    job = _find_job(world, request)
    return JSONResponse(bodies.job_request(job, world.workspace_of(job)))


async def _log(world: FmeWorld, request: Request) -> Response:
    """Give the log as text: 404 before there is one, 406 if JSON is asked for (both assumed)."""
    job = _find_job(world, request)
    lines = log_of(job)
    if not lines:
        raise ApiError(404, f"The log of the job {job.id} does not exist.")
    if not wants_content(request, "text/plain") and "*/*" not in request.headers.get("accept", "*/*"):
        raise ApiError(406, "A log is text: ask for text/plain or with accept=contents")
    return PlainTextResponse("".join(f"{line}\n" for line in lines))


async def _jobs(world: FmeWorld, request: Request) -> Response:
    completed = request.path_params["section"] == "completed"
    listing = read_listing(_states(request), request.query_params, world.quirks, completed=completed)
    return JobPages(world, "v3", bodies).answer(request, *listing.page_of(world.pool))


async def _remove(world: FmeWorld, request: Request) -> Response:
    _end(world, _find_listed(world, request))
    return Response(status_code=204)


async def _remove_all(world: FmeWorld, request: Request) -> Response:
    states = _states(request)
    for job in world.pool.jobs:
        if job.state in states:
            _end(world, job)
    return Response(status_code=204)


def _end(world: FmeWorld, job: Job) -> None:
    """Cancel a live job; remove one that has ended, or that a quirk makes vanish from the queue, from the history."""
    if job.state is JobState.QUEUED and world.quirks.v3_dequeued == "gone":
        world.pool.cancel(job.id)
        world.pool.forget(job.id)
    elif not world.pool.cancel(job.id):
        world.pool.forget(job.id)


# Repositories


def _find_workspace(world: FmeWorld, request: Request) -> Workspace:
    """Return the workspace a path names.

    Raises:
        ApiError: 404, there is none; the texts are those of V3's repositories and V4's items (observed).
    """
    repository, name = request.path_params["repository"], request.path_params["workspace"]
    workspace = world.workspaces.find(repository, name)
    if workspace is None:
        _check_repository(world, repository)
        raise ApiError(404, f"Item {name} does not exist.")
    return workspace


def _check_repository(world: FmeWorld, name: str) -> None:
    if name not in [workspace.repository for workspace in world.workspaces]:
        raise ApiError(404, f"Repository {name} does not exist.")


async def _repositories(world: FmeWorld, _: Request) -> Response:
    names = dict.fromkeys(workspace.repository for workspace in world.workspaces)
    return JSONResponse(unpaged([bodies.repository(name) for name in names]))


async def _repository(world: FmeWorld, request: Request) -> Response:
    _check_repository(world, request.path_params["repository"])
    return JSONResponse(bodies.repository(request.path_params["repository"]))


async def _items(world: FmeWorld, request: Request) -> Response:
    repository = request.path_params["repository"]
    _check_repository(world, repository)
    shown = [] if request.query_params.get("type", "WORKSPACE") != "WORKSPACE" else list(world.workspaces)
    items = [
        bodies.item(workspace, world.runs_of(workspace), world.quirks)
        for workspace in shown
        if workspace.repository == repository
    ]
    return JSONResponse(unpaged(items))


async def _item(world: FmeWorld, request: Request) -> Response:
    workspace = _find_workspace(world, request)
    return JSONResponse(bodies.item_detail(workspace, world.runs_of(workspace), world.quirks))


async def _parameters(world: FmeWorld, request: Request) -> Response:
    published = _find_workspace(world, request).parameters
    return JSONResponse([describe_parameter(parameter, world.quirks) for parameter in published])


async def _parameter(world: FmeWorld, request: Request) -> Response:
    name = request.path_params["name"]
    for parameter in _find_workspace(world, request).parameters:
        if parameter.name == name:
            return JSONResponse(describe_parameter(parameter, world.quirks))
    raise ApiError(404, f"Parameter {name} does not exist.")


_JOB = "/transformations/jobs/id/{id}"
_SECTION = "/transformations/jobs/{section}"
_ITEM = "/repositories/{repository}/items/{workspace}"
_ROUTES: tuple[tuple[str, str, Handler], ...] = (
    ("GET", "/info", _info),
    ("POST", "/transformations/submit/{repository}/{workspace}", _submit),
    ("POST", "/transformations/transact/{repository}/{workspace}", _transact),
    ("POST", "/transformations/transactdata/{repository}/{workspace}", _transact_data),
    ("GET", _JOB + "/result", _result),
    ("GET", _JOB + "/request", _request),
    ("GET", _JOB + "/log", _log),
    ("GET", _SECTION, _jobs),
    ("DELETE", _SECTION, _remove_all),
    ("GET", _SECTION + "/{id}", _job),
    ("DELETE", _SECTION + "/{id}", _remove),
    ("GET", "/repositories", _repositories),
    ("GET", "/repositories/{repository}", _repository),
    ("GET", "/repositories/{repository}/items", _items),
    ("GET", _ITEM, _item),
    ("GET", _ITEM + "/parameters", _parameters),
    ("GET", _ITEM + "/parameters/{name}", _parameter),
)
