"""A request to Smart Flows: who asks, what for, and how it is refused."""

from __future__ import annotations

import json
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from attrs import frozen
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response

from flowrunner.simulator.refusals import Refusal
from flowrunner.simulator.smart_flows_accounts import READ_ALL, READ_OWN, Access
from flowrunner.simulator.smart_flows_bodies import spring_error
from flowrunner.simulator.smart_flows_world import notes_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from starlette.datastructures import QueryParams
    from starlette.requests import Request

    from flowrunner.simulator.engine import Job
    from flowrunner.simulator.smart_flows_flows import SmartFlow
    from flowrunner.simulator.smart_flows_quirks import SmartFlowsQuirks
    from flowrunner.simulator.smart_flows_world import SmartFlowsWorld

    Handler = Callable[["Call"], Awaitable[Response]]

NOBODY = Access("", frozenset())


@frozen
class Call:
    """One request, let in."""

    world: SmartFlowsWorld
    access: Access
    request: Request

    @property
    def quirks(self) -> SmartFlowsQuirks:
        """How the server decides what the facts leave open."""
        return self.world.quirks

    @property
    def query(self) -> QueryParams:
        """What stands after the question mark."""
        return self.request.query_params

    @property
    def named(self) -> str:
        """The id in the path."""
        return str(self.request.path_params["id"])

    def sees(self, job: Job) -> bool:
        """Whether the caller may know of an execution."""
        return not self.access.only_own or notes_of(job).user == self.access.user

    def execution(self) -> Job:
        """Return the execution that the path names.

        Raises:
            Refusal: There is none, or it is another's.
        """
        return self.checked(self.world.find_execution(self.named))

    def checked(self, job: Job | None) -> Job:
        """Return an execution that was found.

        Raises:
            Refusal: There is none, or it is another's.
        """
        if job is None:
            raise Refusal(self.quirks.unknown_execution, "There is no such flow execution.")
        if not self.sees(job):
            raise Refusal(self.quirks.foreign, "There is no such flow execution of yours.")
        return job

    def flow(self, asked: str, *, by_name: bool = False) -> SmartFlow:
        """Return a flow.

        Raises:
            Refusal: There is none.
        """
        flow = self.world.find_flow(asked, by_name=by_name)
        if flow is None:
            raise Refusal(self.quirks.unknown_flow, "There is no such flow.")
        return flow

    async def object(self) -> dict[str, Any]:
        """Return the body, a JSON object.

        Raises:
            Refusal: It is none.
        """
        try:
            body = json.loads(await self.request.body())
        except (ValueError, RecursionError):
            body = None
        if not isinstance(body, dict):
            raise Refusal(self.quirks.bad_input, "The body is not a JSON object.")
        return body


async def open_to_all(handler: Handler, world: SmartFlowsWorld, request: Request) -> Response:
    """Let anybody in."""
    return await handler(Call(world, NOBODY, request))


async def guarded(handler: Handler, scope: str | None, world: SmartFlowsWorld, request: Request) -> Response:
    """Let those in whose credential has a scope; to read own executions is enough to read executions."""
    _check_rate(world)
    access = _enter(world, request)
    if access is None:
        raise Refusal(world.quirks.bad_credential, "Full authentication is required to access this resource")
    enough = {scope, READ_OWN} if scope == READ_ALL else {scope}
    if scope is not None and not enough & access.scopes:
        raise Refusal(403, "Access is denied")
    return await handler(Call(world, access, request))


def _check_rate(world: SmartFlowsWorld) -> None:
    """Refuse what comes too soon after too much else; no limit is documented."""
    now = world.pool.clock.now()
    while world.asked_at and (now - world.asked_at[0]).total_seconds() >= 1:
        world.asked_at.popleft()
    if len(world.asked_at) >= world.quirks.most_per_second:
        raise Refusal(429, "Too many requests")
    world.asked_at.append(now)


def _enter(world: SmartFlowsWorld, request: Request) -> Access | None:
    """Return what a request's credential opens; the key counts before the token, and that before the cookie."""
    key, header = request.headers.get("x-api-key"), request.headers.get("authorization", "")
    if key is not None:
        return world.accounts.by_key(key, world.token)
    kind, _, token = header.partition(" ")
    if kind.lower() != "bearer":
        token = request.cookies.get(cookie_name(request), "")
    return world.accounts.by_token(token.strip())


def cookie_name(request: Request) -> str:
    """Return the name of the cookie that a request means; each application may have its own (documented)."""
    origin = request.headers.get("x-smart-flows-origin")
    return "smart-flows" if origin is None else f"smart-flows-{origin}"


def error_answers(world: SmartFlowsWorld) -> Mapping[Any, Any]:
    """Return the answers to what is refused, and to what there is not at all."""
    return {Refusal: partial(_refuse, world), HTTPException: partial(_not_there, world)}


async def _refuse(world: SmartFlowsWorld, request: Request, error: Refusal) -> Response:
    return _error(world, request, error.status, error.message)


async def _not_there(world: SmartFlowsWorld, request: Request, error: HTTPException) -> Response:
    return _error(world, request, error.status_code, "No message available")


def _error(world: SmartFlowsWorld, request: Request, status: int, message: str) -> Response:
    """Answer with an error. Its body is documented nowhere; how soon to come again is said to who came too often."""
    reason, now = HTTPStatus(status).phrase, world.pool.clock.now()
    shapes: dict[str, Callable[[], Response]] = {
        "spring": lambda: JSONResponse(spring_error(status, reason, message, request.url.path, now), status),
        "text": lambda: PlainTextResponse(message, status),
        "html": lambda: HTMLResponse(f"<html><body><h1>{reason}</h1></body></html>", status),
        "empty": lambda: Response(status_code=status),
    }
    response = shapes[world.quirks.error_body]()
    if status == 429:
        response.headers["retry-after"] = "1"
    return response
