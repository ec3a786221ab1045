"""The InVision Data Flow execution API over HTTP: two routes, and the many ways in which they may refuse."""

from __future__ import annotations

import json
import re
from functools import partial
from hmac import compare_digest
from typing import TYPE_CHECKING, Any

from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from flowrunner.simulator.clock import later
from flowrunner.simulator.engine import JobState, unpaused
from flowrunner.simulator.invision_world import run_id
from flowrunner.simulator.refusals import Refusal, web_page
from flowrunner.simulator.waiting import wait_for_end

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from starlette.requests import Request

    from flowrunner.simulator.engine import Job
    from flowrunner.simulator.invision_flows import DataFlow
    from flowrunner.simulator.invision_world import InVisionWorld

    Handler = Callable[[InVisionWorld, Request], Awaitable[Response]]

PREFIX = "/invision"
"""What stands before the API; documented as depending on the deployment."""

_NO_RUN = "There is no such run."
_BASE = f"{PREFIX}/api/pub/v1/dataflows"

SUBMISSIONS = (f"POST {_BASE}/*/start",)
POLLS = (f"GET {_BASE}/*/runs/*/status",)


def routes(world: InVisionWorld) -> list[BaseRoute]:
    """Return the routes for `world`. Their paths match without regard to case (assumed: IIS)."""
    return [
        _route(world, f"{_BASE}/{{flow}}/start", _start, "POST"),
        _route(world, f"{_BASE}/{{flow}}/runs/{{run}}/status", _status, "GET"),
    ]


def error_answers(world: InVisionWorld) -> Mapping[Any, Any]:
    """Return the answers to what the routes raise."""
    return {Refusal: partial(_refuse, world), HTTPException: web_page}


def _route(world: InVisionWorld, path: str, handler: Handler, method: str) -> Route:
    route = Route(path, partial(_guarded, handler, world), methods=[method])
    route.path_regex = re.compile(route.path_regex.pattern, re.IGNORECASE)
    return route


async def _refuse(world: InVisionWorld, _: Request, error: Refusal) -> Response:
    """Answer with an error; of its body only that there may be one is known."""
    shapes: dict[str, Callable[[str, int], Response]] = {
        "json": lambda text, status: JSONResponse({"message": text}, status),
        "text": PlainTextResponse,
        "html": lambda text, status: HTMLResponse(f"<html><body><h1>{text}</h1></body></html>", status),
        "empty": lambda _, status: Response(status_code=status),
    }
    response = shapes[world.quirks.error_body](error.message, error.status)
    if error.status in (429, 503):
        response.headers["retry-after"] = "5"
    return response


async def _guarded(handler: Handler, world: InVisionWorld, request: Request) -> Response:
    """Let only the holder of the key in. The header counts before the query."""
    header, query = request.headers.get("x-api-key"), _asked(request, "api_key")
    if world.quirks.two_keys == "refuse" and header is not None and query is not None:
        raise Refusal(400, "The API key was given twice.")
    given = header or query or ""
    if not compare_digest(given.encode(), world.token.encode()):
        raise Refusal(world.quirks.bad_key, "The API key is missing or not valid.")
    return await handler(world, request)


def _asked(request: Request, name: str) -> str | None:
    """Return a value of the query; its name without regard to case (assumed: ASP.NET)."""
    return next((value for key, value in request.query_params.items() if key.lower() == name), None)


async def _start(world: InVisionWorld, request: Request) -> Response:
    """Start a run."""
    if world.quirks.content_type == "required" and not _is_json(request):
        raise Refusal(415, "Unsupported Media Type")
    flow, arguments = _find_flow(world, request), await _arguments(world, request)
    if isinstance(world.quirks.throttling, int) and any(job.state is JobState.QUEUED for job in world.pool.jobs):
        raise Refusal(world.quirks.throttling, "Too many executions are waiting.")
    job = world.pool.submit(flow.id, arguments, adapt=unpaused)
    if (_asked(request, "await") or "").lower() == "true":
        return await _end(world, job)
    own = _word(world, job)
    first = own if world.quirks.first_status == "own" else world.quirks.first_status
    return _answer(world, job, first)


async def _arguments(world: InVisionWorld, request: Request) -> Mapping[str, Any]:
    """Return the arguments in a body; that there may be one is not documented."""
    if world.quirks.arguments == "ignored":
        return {}
    try:
        body = json.loads(await request.body() or b"{}")
    except (ValueError, RecursionError):
        body = None
    found = body.get("globalArguments", {}) if isinstance(body, dict) else None
    if not isinstance(found, dict):
        raise Refusal(500, "Internal Server Error")
    return found


def _is_json(request: Request) -> bool:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower() == "application/json"


async def _end(world: InVisionWorld, job: Job) -> Response:
    try:
        ended = await wait_for_end(world.pool, job.id, later(world.pool.clock.now(), world.quirks.longest_await))
    except KeyError:
        raise Refusal(world.quirks.unknown_run, _NO_RUN) from None
    if not ended.state.is_final:
        raise HTTPException(504)
    word = _word(world, ended)
    if word == "Failed" and world.quirks.failed_await == 500:
        raise Refusal(500, "Internal Server Error")
    return _answer(world, ended, word)


async def _status(world: InVisionWorld, request: Request) -> Response:
    run = world.find_run(_find_flow(world, request), request.path_params["run"])
    if run is None:
        raise Refusal(world.quirks.unknown_run, _NO_RUN)
    return _answer(world, run, _word(world, run))


def _find_flow(world: InVisionWorld, request: Request) -> DataFlow:
    flow = world.find_flow(request.path_params["flow"])
    if flow is None:
        raise Refusal(world.quirks.unknown_flow, "There is no such data flow.")
    return flow


def _word(world: InVisionWorld, job: Job) -> str:
    """Return the vendor's word for where a run is; there is none for a crash and none for a stop."""
    if job.state is JobState.QUEUED and job.attempt > 1:
        return world.quirks.after_crash
    if job.state is JobState.CANCELLED:
        return world.quirks.aborted
    return _WORDS[job.state]


_WORDS = {
    JobState.QUEUED: "Pending",
    JobState.RUNNING: "Running",
    JobState.BLOCKED: "Running",
    JobState.SUCCEEDED: "Succeeded",
    JobState.FAILED: "Failed",
}


def _answer(world: InVisionWorld, job: Job, word: str) -> Response:
    return JSONResponse({world.quirks.run_id_key: run_id(job), "status": world.quirks.words.get(word, word)})
