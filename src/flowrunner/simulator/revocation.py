"""Credentials that stop opening anything, of whatever vendor they are."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlencode

from flowrunner.simulator.clock import later
from flowrunner.simulator.recorder import SECRET_HEADERS, SECRET_KEYS

if TYPE_CHECKING:
    from datetime import datetime

    from starlette.types import Scope

    from flowrunner.simulator.clock import Clock

_WRONG = "revoked"


class Revocation:
    """The credentials that were revoked; the vendor's app sees a wrong one in their place and refuses as it does.

    Args:
        clock: The time.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._revoked: dict[tuple[str, ...], datetime | None] = {}

    def revoke(self, scope: Scope, seconds: float | None) -> None:
        """Revoke the credential of a request, for so many seconds; None is for good."""
        self._revoked[credential_of(scope)] = later(self._clock.now(), seconds)

    def applied(self, scope: Scope) -> Scope:
        """Return a request as the vendor's app sees it."""
        credential = credential_of(scope)
        if credential not in self._revoked:
            return scope
        until = self._revoked[credential]
        return scope if until is not None and self._clock.now() >= until else _spoilt(scope)


def credential_of(scope: Scope) -> tuple[str, ...]:
    """Return all that a request shows to be let in; nothing if it shows nothing."""
    shown = [value.decode("latin-1") for name, value in scope["headers"] if _is_secret(name)]
    return (*shown, *(value for key, value in _query(scope) if key.lower() in SECRET_KEYS))


def _spoilt(scope: Scope) -> Scope:
    headers = [(name, _WRONG.encode() if _is_secret(name) else value) for name, value in scope["headers"]]
    query = [(key, _WRONG if key.lower() in SECRET_KEYS else value) for key, value in _query(scope)]
    return {**scope, "headers": headers, "query_string": urlencode(query).encode()}


def _is_secret(name: bytes) -> bool:
    return name.decode("latin-1") in SECRET_HEADERS


def _query(scope: Scope) -> list[tuple[str, str]]:
    return parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
