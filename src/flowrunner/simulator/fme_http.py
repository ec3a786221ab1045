"""What the APIs of FME Flow, of whatever version, share on the wire: doors, errors, queries and pages."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any

from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from flowrunner.simulator.engine import JobState
from flowrunner.simulator.fme_jobs import end_message
from flowrunner.simulator.refusals import web_page
from flowrunner.simulator.waiting import wait_for_end

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence
    from datetime import datetime

    from starlette.datastructures import QueryParams
    from starlette.requests import Request

    from flowrunner.simulator.engine import Job
    from flowrunner.simulator.fme_builds import Api
    from flowrunner.simulator.fme_world import FmeWorld

    Handler = Callable[[FmeWorld, Request], Awaitable[Response]]

RESULTS = "/fmedatadownload/results"
VALIDATION_FAILED = "Parameter Validation Failed"
ALL_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


class ApiError(Exception):
    """The server refuses a request, in its own error shape."""

    def __init__(self, status: int, message: str, details: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.body = {"message": message} | ({"details": dict(details)} if details else {})


async def _refuse(_: Request, error: ApiError) -> Response:
    return JSONResponse(error.body, error.status)


ERROR_ANSWERS: Mapping[Any, Any] = {ApiError: _refuse, HTTPException: web_page}


def served(world: FmeWorld, api: Api, path: str, handler: Handler, *methods: str) -> Route:
    """Return a route that is there as long as the server's build has this API; the web server answers else."""
    return Route(path, partial(_if_served, handler, api, world), methods=list(methods))


async def _if_served(handler: Handler, api: Api, world: FmeWorld, request: Request) -> Response:
    if api not in world.apis:
        raise HTTPException(404)
    return await handler(world, request)


def not_logged_in() -> ApiError:
    """Return the refusal of a missing or wrong credential. The text is V3's (documented); V4's own is not known."""
    return ApiError(401, "Authentication failed: Failed to login")


async def nothing_here(_: FmeWorld, request: Request) -> Response:
    """Answer for a path that the API has not."""
    raise ApiError(404, f"HTTP 404 Not Found: {request.url.path}")


async def download_result(world: FmeWorld, request: Request) -> Response:
    """Give away the data set that a job left; whoever knows the address may have it."""
    content = world.archive(request.path_params["name"])
    if content is None:
        raise HTTPException(404)
    return Response(content, media_type="application/zip")


def result_url(world: FmeWorld, request: Request, job: Job) -> str | None:
    """Return where the data set that a job left is; None if it left none."""
    return result_address(world, root_of(request), job)


def root_of(request: Request) -> str:
    """Return the address under which the server was asked, without a slash at the end."""
    return str(request.base_url).rstrip("/")


def result_address(world: FmeWorld, root: str, job: Job) -> str | None:
    """Return where the data set that a job left is, on a server of that address; None if it left none."""
    archive = world.archive_name(job)
    return None if archive is None else f"{root}{RESULTS}/{archive}"


async def end_of(world: FmeWorld, job: Job, until: datetime | None = None) -> Job:
    """Hold a request until its job ends, or until a moment of the server's clock; return the job as it is then.

    Raises:
        ApiError: 404, the server forgot the job meanwhile.
    """
    try:
        return await wait_for_end(world.pool, job.id, until)
    except KeyError:
        raise no_such_job(404, job.id) from None


def ended(job: Job, result: Mapping[str, Any], failed: str) -> Response:
    """Answer with a result, in the form `failed` where the job did not succeed."""
    if job.state is JobState.SUCCEEDED or failed == "body":
        return JSONResponse(result)
    if failed == "422":
        raise ApiError(422, end_message(job))
    return JSONResponse(result, 422)


def unfinished(status: int, live: Mapping[str, Any]) -> Response:
    """Answer that a job has not ended yet."""
    return Response(status_code=204) if status == 204 else JSONResponse(live, status)


def read_object(content: bytes) -> dict[str, Any]:
    """Read a body that must be a JSON object.

    Raises:
        ApiError: 400, it is none.
    """
    try:
        body = json.loads(content)
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise ApiError(400, "Invalid request body")
    return body


def are_texts(value: Any) -> bool:
    """Whether a value is an array of strings."""
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def read_flag(query: QueryParams, name: str) -> bool:
    """Read a boolean of a query; the vendor's own text writes it `true` and `True`."""
    return query.get(name, "").lower() == "true"


def read_whole(query: QueryParams, name: str, default: int, least: int) -> int:
    """Read a number of a query.

    Raises:
        ApiError: 400, it is none, or too small.
    """
    text = query.get(name, str(default))
    digits = text.removeprefix("-")
    if not digits.isascii() or not digits.isdigit() or int(text) < least:
        raise ApiError(400, VALIDATION_FAILED, {name: f"must be a whole number of at least {least}"})
    return int(text)


def cut_page(items: Sequence[Any], limit: int, offset: int) -> dict[str, Any]:
    """Cut a page from a list."""
    return {"items": items[offset : offset + limit], "totalCount": len(items), "limit": limit, "offset": offset}


def unpaged(items: Sequence[Any]) -> dict[str, Any]:
    """Put all of a list on one page, the way collections without paging do."""
    return {"items": items, "totalCount": len(items), "limit": -1, "offset": -1}


def find_job(world: FmeWorld, job_id: str, status: int = 404) -> Job:
    """Return a job by what a path says; `status` is the answer if there is none."""
    try:
        return world.pool.job(int(job_id))
    except (KeyError, ValueError):
        raise no_such_job(status, job_id) from None


def no_such_job(status: int, job_id: object) -> ApiError:
    """Return the refusal of an unknown id: V4's text (observed); V3's own is not known."""
    return ApiError(status, f'The job for ID "{job_id}" does not exist.')
