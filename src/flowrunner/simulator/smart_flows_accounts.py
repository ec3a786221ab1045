"""Who may do what on Smart Flows: users, their API keys and their tokens."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
from datetime import UTC
from typing import TYPE_CHECKING, Any

from attrs import define, field, frozen

from flowrunner.simulator.clock import later
from flowrunner.simulator.guids import make_guid

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from flowrunner.simulator.clock import Clock

EXECUTE, READ_FLOWS, READ_ALL, READ_OWN, DELETE, READ_DOCUMENTS = SCOPES = (
    "execute:flows",
    "read:flows",
    "read:flowExecutions",
    "read:ownFlowExecutions",
    "delete:flowExecutions",
    "read:documents",
)
"""The scopes that the simulated operations ask for. Which operation asks for which is assumed."""

ADMIN = "admin"

COOKIE_LIFE = 14 * 24 * 3600.0
"""After how many seconds a cookie expires (documented)."""


@frozen
class Access:
    """What a credential opens.

    Attributes:
        user: Whose it is.
        scopes: What it allows.
        until: When it expires; None is never.
    """

    user: str
    scopes: frozenset[str] = frozenset(SCOPES)
    until: datetime | None = None

    @property
    def only_own(self) -> bool:
        """Whether it shows own executions only."""
        return READ_ALL not in self.scopes


@define
class Accounts:
    """The users and their credentials.

    Attributes:
        clock: The time, by which tokens expire.
        passwords: The users there are, each with the password.
        token_life: After how many seconds a token that is issued expires.
    """

    clock: Clock
    passwords: dict[str, str] = field(factory=lambda: {ADMIN: "admin"}, repr=False)
    token_life: float = 3600.0
    _keys: dict[str, Access] = field(factory=dict, repr=False, init=False)
    _tokens: dict[str, Access] = field(factory=dict, repr=False, init=False)
    _codes: dict[str, str] = field(factory=dict, repr=False, init=False)
    _revoked: set[str] = field(factory=set, repr=False, init=False)
    _secret: bytes = field(factory=lambda: secrets.token_bytes(32), repr=False, init=False)

    def issue_key(self, user: str = ADMIN, scopes: Iterable[str] = SCOPES) -> str:
        """Return a new API key of a user that allows what the scopes say: the base64 of 32 bytes (observed)."""
        key = base64.b64encode(secrets.token_bytes(32)).decode()
        self._keys[key] = Access(user, frozenset(scopes))
        return key

    def issue_code(self, user: str = ADMIN) -> str:
        """Return what a provider of OAuth2 would send a user back with; it is good for one login."""
        code = secrets.token_urlsafe(16)
        self._codes[code] = user
        return code

    def redeem(self, code: str) -> str | None:
        """Return the user that a code is for, once."""
        return self._codes.pop(code, None)

    def issue_token(self, user: str = ADMIN, scopes: Iterable[str] = SCOPES, life: float | None = None) -> str:
        """Return a new token of a user, which expires after so many seconds; by default after `token_life`."""
        now = self.clock.now()
        until = later(now, self.token_life if life is None else life)
        claims = {"sub": user, "iat": int(now.timestamp()), "exp": until and int(until.astimezone(UTC).timestamp())}
        token = self._sign({"alg": "HS256", "typ": "JWT"}, claims | {"jti": secrets.token_hex(8)})
        self._tokens[token] = Access(user, frozenset(scopes), until)
        return token

    def revoke(self, credential: str) -> None:
        """Let a key or token open nothing any more."""
        self._revoked.add(credential)

    def by_key(self, key: str, first: str) -> Access | None:
        """Return what an API key opens; `first` is the one that the server was given."""
        if key in self._revoked:
            return None
        return Access(ADMIN) if hmac.compare_digest(key.encode(), first.encode()) else self._keys.get(key)

    def by_token(self, token: str) -> Access | None:
        """Return what a token opens now."""
        access = None if token in self._revoked else self._tokens.get(token)
        if access is None or access.until is None or self.clock.now() < access.until:
            return access
        return None

    def knows(self, user: str, password: str) -> bool:
        """Whether a user has a password."""
        return hmac.compare_digest(self.passwords.get(user, "").encode(), password.encode()) and user in self.passwords

    def _sign(self, *parts: Mapping[str, Any]) -> str:
        """Write a JSON Web Token."""
        text = ".".join(_base64(json.dumps(part).encode()) for part in parts)
        return f"{text}.{_base64(hmac.digest(self._secret, text.encode(), hashlib.sha256))}"


def _base64(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def user_id(user: str) -> str:
    """Return the id of a user."""
    return make_guid(f"smart-flows/user/{user}", 1)


def describe_user(user: str) -> dict[str, Any]:
    """Describe a user."""
    return {
        "id": user_id(user),
        "userName": user,
        "displayName": user.capitalize(),
        "firstName": user.capitalize(),
        "lastName": "",
        "emailAddress": f"{user}@example.com",
        "active": True,
        "roles": [],
    }
