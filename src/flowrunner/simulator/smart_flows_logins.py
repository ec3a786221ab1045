"""How one logs in to Smart Flows: for a token or for a cookie, with a password or by way of an OAuth2 provider."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from starlette.responses import JSONResponse, Response

from flowrunner.simulator.refusals import Refusal
from flowrunner.simulator.smart_flows_accounts import COOKIE_LIFE, SCOPES, describe_user
from flowrunner.simulator.smart_flows_calls import cookie_name

if TYPE_CHECKING:
    from collections.abc import Iterable

    from flowrunner.simulator.smart_flows_calls import Call, Handler


async def _ways_in(_: Call) -> Response:
    """Tell anybody how to log in."""
    provider = {"id": "sso", "displayName": "Single sign-on"}
    methods = [
        {"methodType": "password", "id": "native", "displayName": "Smart Flows"},
        {"methodType": "oauth", **provider},
    ]
    oauth2 = [provider | {"url": "https://login.example.com/authorize", "parameters": "client_id=simulator"}]
    login = {"enabled": True}
    return JSONResponse({"login": login, "resetPasswordSupported": False, "oauth2": oauth2, "methods": methods})


async def _log_in(call: Call) -> Response:
    """Give a token for a name and a password; it has the scopes asked for, or all."""
    body = await call.object()
    user, scope = _by_password(call, body), body.get("scope")
    scopes = [each for each in SCOPES if each in str(scope).split()] if scope else SCOPES
    return _authentication(call, user, scopes)


async def _log_in_by_oauth(call: Call) -> Response:
    """Give a token for what an OAuth2 provider sent a user back with."""
    return _authentication(call, _by_oauth(call, await call.object()), SCOPES)


def _by_password(call: Call, body: dict[str, Any]) -> str:
    user, password = body.get("username"), body.get("password")
    if not isinstance(user, str) or not isinstance(password, str):
        raise Refusal(400, "username and password must not be null")
    if not call.world.accounts.knows(user, password):
        raise Refusal(call.quirks.bad_credential, "Bad credentials")
    return user


def _by_oauth(call: Call, body: dict[str, Any]) -> str:
    """Return whose login it is; that `responseParams` is the query of the way back is assumed."""
    (code,) = parse_qs(str(body.get("responseParams"))).get("code", [""])[:1]
    user = call.world.accounts.redeem(code)
    if user is None:
        raise Refusal(call.quirks.bad_credential, "Bad credentials")
    return user


def _authentication(call: Call, user: str, scopes: Iterable[str]) -> Response:
    token = {"scope": " ".join(scopes), "token": call.world.accounts.issue_token(user, scopes)}
    return JSONResponse({"user": describe_user(user), "tokens": [token]})


async def _get_cookie(call: Call) -> Response:
    return _with_cookie(call, _by_password(call, await call.object()))


async def _get_cookie_by_oauth(call: Call) -> Response:
    return _with_cookie(call, _by_oauth(call, await call.object()))


async def _renew_cookie(call: Call) -> Response:
    return _with_cookie(call, call.access.user)


def _with_cookie(call: Call, user: str) -> Response:
    """Answer with nothing but a cookie, which no script can read (documented)."""
    response, token = Response(), call.world.accounts.issue_token(user, life=COOKIE_LIFE)
    response.set_cookie(cookie_name(call.request), token, max_age=int(COOKIE_LIFE), httponly=True)
    return response


async def _drop_cookie(call: Call) -> Response:
    response, name = Response(), cookie_name(call.request)
    call.world.accounts.revoke(call.request.cookies.get(name, ""))
    response.delete_cookie(name, httponly=True)
    return response


OPEN_ROUTES: tuple[tuple[str, str, Handler], ...] = (
    ("GET", "/authenticate", _ways_in),
    ("POST", "/authenticate/login", _log_in),
    ("POST", "/authenticate/oauth2", _log_in_by_oauth),
    ("POST", "/authenticate/cookie/login/native", _get_cookie),
    ("POST", "/authenticate/cookie/login/oauth", _get_cookie_by_oauth),
)
"""Those that ask for no credential (documented)."""

ROUTES: tuple[tuple[str, str, None, Handler], ...] = (
    ("POST", "/oauth2/cookie/refresh", None, _renew_cookie),
    ("POST", "/oauth2/cookie/logout", None, _drop_cookie),
)
"""Those that ask for the cookie, and for no scope."""
