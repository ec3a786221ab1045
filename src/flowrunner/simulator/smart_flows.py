"""The Smart Flows REST API over HTTP: its routes, and what they do beside running executions."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import quote

from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from flowrunner.simulator import smart_flows_bodies as bodies
from flowrunner.simulator.refusals import Refusal
from flowrunner.simulator.smart_flows_accounts import READ_DOCUMENTS, READ_FLOWS, SCOPES, describe_user
from flowrunner.simulator.smart_flows_calls import error_answers, guarded, open_to_all
from flowrunner.simulator.smart_flows_executions import OPEN_ROUTES as OPEN_EXECUTION_ROUTES
from flowrunner.simulator.smart_flows_executions import ROUTES as EXECUTION_ROUTES
from flowrunner.simulator.smart_flows_lists import list_page

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
            for method, path, handler in (*_OPEN_ROUTES, *OPEN_EXECUTION_ROUTES)
        ),
        *(
            Route(BASE + path, partial(guarded, handler, scope, world), methods=[method])
            for method, path, scope, handler in (*EXECUTION_ROUTES, *_ROUTES)
        ),
    ]


# Who


async def _ways_in(_: Call) -> Response:
    """Tell anybody how to log in."""
    method = {"methodType": "password", "id": "native", "displayName": "Smart Flows"}
    login = {"enabled": True}
    return JSONResponse({"login": login, "resetPasswordSupported": False, "oauth2": [], "methods": [method]})


async def _log_in(call: Call) -> Response:
    """Give a token for a name and a password; it has the scopes asked for, or all."""
    body, accounts = await call.object(), call.world.accounts
    user, password, scope = body.get("username"), body.get("password"), body.get("scope")
    if not isinstance(user, str) or not isinstance(password, str):
        raise Refusal(400, "username and password must not be null")
    if not accounts.knows(user, password):
        raise Refusal(call.quirks.bad_credential, "Bad credentials")
    scopes = [each for each in SCOPES if each in str(scope).split()] if scope else SCOPES
    token = {"scope": " ".join(scopes), "token": accounts.issue_token(user, scopes)}
    return JSONResponse({"user": describe_user(user), "tokens": [token]})


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


async def _document(call: Call) -> Response:
    return JSONResponse(bodies.document(call.world, *_find_document(call)))


async def _content(call: Call) -> Response:
    """Give away the bytes of a document; their type is in its description (documented), and maybe here."""
    _, document = _find_document(call)
    own = call.quirks.content_type == "own"
    headers = {"content-type": document.content_type if own else "application/octet-stream"}
    return Response(document.content, headers=headers | _disposition(call, document))


def _disposition(call: Call, document: Document) -> dict[str, str]:
    names = {
        "plain": f'filename="{document.name}"',
        "encoded": f"filename*=UTF-8''{quote(document.name)}",
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
    ("GET", "/documents/{id}", READ_DOCUMENTS, _document),
    ("GET", "/documents/{id}/content", READ_DOCUMENTS, _content),
)
"""Each with the scope it asks for; None is none."""

_OPEN_ROUTES: tuple[tuple[str, str, Handler], ...] = (
    ("GET", "/authenticate", _ways_in),
    ("POST", "/authenticate/login", _log_in),
)
"""Those that ask for no credential (documented)."""
