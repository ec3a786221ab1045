"""The Smart Flows REST API over HTTP: its routes, and what they do beside running executions."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import quote

from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from flowrunner.simulator import smart_flows_bodies as bodies
from flowrunner.simulator import smart_flows_executions as executions
from flowrunner.simulator import smart_flows_logins as logins
from flowrunner.simulator.refusals import Refusal
from flowrunner.simulator.smart_flows_accounts import READ_ALL, READ_DOCUMENTS, READ_FLOWS, describe_user
from flowrunner.simulator.smart_flows_calls import error_answers, guarded, open_to_all
from flowrunner.simulator.smart_flows_lists import list_page
from flowrunner.simulator.smart_flows_world import notes_of

if TYPE_CHECKING:
    from flowrunner.simulator.engine import Job
    from flowrunner.simulator.smart_flows_calls import Call, Handler
    from flowrunner.simulator.smart_flows_output import Document
    from flowrunner.simulator.smart_flows_world import SmartFlowsWorld

__all__ = ["error_answers", "routes"]

BASE = "/api/v1"

SUBMISSIONS = (f"POST {BASE}/flows/executions", f"POST {BASE}/flows/executions/start")
POLLS = (
    f"GET {BASE}/flows/executions",
    f"GET {BASE}/flows/executions/*",
    f"GET {BASE}/flows/*/executions",
    f"POST {BASE}/flows/executions/filter",
)


def routes(world: SmartFlowsWorld) -> list[BaseRoute]:
    """Return the routes for `world`."""
    return [
        *(
            Route(BASE + path, partial(open_to_all, handler, world), methods=[method])
            for method, path, handler in (*logins.OPEN_ROUTES, *executions.OPEN_ROUTES)
        ),
        *(
            Route(BASE + path, partial(guarded, handler, scope, world), methods=[method])
            for method, path, scope, handler in (*logins.ROUTES, *executions.ROUTES, *_ROUTES)
        ),
    ]


# Who


async def _me(call: Call) -> Response:
    return JSONResponse(describe_user(call.access.user))


async def _info(_: Call) -> Response:
    known = {"version": "4.0.0", "displayName": "Simulated project", "projectId": "simulator", "role": "production"}
    return JSONResponse(known)


# What there is


async def _flows(call: Call) -> Response:
    items = [bodies.flow_summary(flow) for flow in call.world.flows.values()]
    return list_page(items, call.query, call.quirks)


async def _flow(call: Call) -> Response:
    return JSONResponse(bodies.flow_summary(call.flow(call.named)))


async def _contract(call: Call) -> Response:
    """Describe what a flow takes and gives, which is documented as still to come."""
    flow = call.flow(call.named)
    if isinstance(call.quirks.contract, int):
        raise Refusal(call.quirks.contract, "To be implemented")
    return JSONResponse(bodies.contract(flow))


async def _data(call: Call) -> Response:
    """Describe what an execution was given."""
    return JSONResponse(bodies.data(_find_data(call)))


async def _data_content(call: Call) -> Response:
    """Give back what an execution was given; what is too large was not kept."""
    job = _find_data(call)
    given = notes_of(job).input
    if given is None or given.content is None:
        raise Refusal(call.quirks.unknown_document, "The data was too large to be kept.")
    return Response(given.content, media_type=bodies.data(job)["contentType"])


def _find_data(call: Call) -> Job:
    job = call.world.find_data(call.named)
    if job is None:
        raise Refusal(call.quirks.unknown_document, "There is no such data.")
    return call.checked(job)


async def _document(call: Call) -> Response:
    return JSONResponse(bodies.document(call.world, *_find_document(call)))


async def _content(call: Call) -> Response:
    """Give away the bytes of a document; their type is in its description (documented), and maybe here."""
    _, document = _find_document(call)
    own = call.quirks.content_type == "own"
    headers = {"content-type": document.content_type if own else "application/octet-stream"}
    return Response(document.content, headers=headers | _disposition(call, document))


def _disposition(call: Call, document: Document) -> dict[str, str]:
    plain = document.name.encode("ascii", "replace").decode().replace("\\", "\\\\").replace('"', '\\"')
    names = {
        "plain": f'filename="{plain}"',
        "encoded": f"filename*=UTF-8''{quote(document.name, safe='')}",
        "missing": "",
    }
    name = names[call.quirks.disposition]
    return {"content-disposition": f"attachment; {name}"} if name else {}


def _find_document(call: Call) -> tuple[Job, Document]:
    found = call.world.find_document(call.named)
    if found is None:
        raise Refusal(call.quirks.unknown_document, "There is no such document.")
    call.checked(found[0])
    return found


_ROUTES: tuple[tuple[str, str, str | None, Handler], ...] = (
    ("GET", "/users/me", None, _me),
    ("GET", "/system/info", None, _info),
    ("GET", "/flows", READ_FLOWS, _flows),
    ("GET", "/flows/{id}", READ_FLOWS, _flow),
    ("POST", "/flows/{id}/contract", READ_FLOWS, _contract),
    ("GET", "/data/{id}", READ_ALL, _data),
    ("GET", "/data/{id}/content", READ_ALL, _data_content),
    ("GET", "/documents/{id}", READ_DOCUMENTS, _document),
    ("GET", "/documents/{id}/content", READ_DOCUMENTS, _content),
)
"""Each with the scope it asks for; None is none."""
