"""What came in over the wire, for tests to look at."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, overload
from urllib.parse import parse_qsl

from attrs import define, field

if TYPE_CHECKING:
    from hashlib import _Hash

    from starlette.types import Scope

MASK = "***"
SECRET_HEADERS = frozenset({"authorization", "proxy-authorization", "cookie", "x-api-key"})
SECRET_KEYS = frozenset({"fmetoken", "token", "api_key"})
_SECRET_JSON = re.compile(rb'("(?:password|responseParams)"\s*:\s*")(?:[^"\\]|\\.)*')
_LOGIN = re.compile(r"/login(/\w+)?$|/oauth2$")
_SECRET_FIELDS = re.compile(rb"(?i)((?:^|&)(?:fmetoken|token|api_key|password)=)[^&]*")


@define
class RecordedRequest:
    """One request.

    Attributes:
        method: In upper case.
        path: Decoded.
        raw_path: As it was sent, percent-encoded.
        query: Its keys and values in order, those of secrets masked.
        headers: By lower-case name, those of secrets masked.
        body: The bytes sent, secrets of a form and the password of a login masked; of a body that is longer than
            what is kept, its beginning.
        size: How many bytes of a body came in.
        status: What was answered; None as long as nothing was, and if the connection was cut before.
    """

    method: str
    path: str
    raw_path: str
    query: list[tuple[str, str]]
    headers: dict[str, str]
    body: bytes
    status: int | None = None
    size: int = 0
    _hash: _Hash = field(factory=hashlib.sha256, init=False, repr=False, eq=False)

    @property
    def sha256(self) -> str:
        """The digest of all bytes of the body that came in, in hexadecimal."""
        return self._hash.hexdigest()

    def count(self, chunk: bytes) -> None:
        """Take note of a part of the body."""
        self.size += len(chunk)
        self._hash.update(chunk)

    @property
    def json(self) -> Any:
        """The body, read as JSON."""
        return json.loads(self.body)


def read_request(scope: Scope, body: bytes) -> RecordedRequest:
    """Return what an ASGI server says of a request and the beginning of its body, without the secrets."""
    pairs = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
    request = RecordedRequest(
        method=scope["method"],
        path=scope["path"],
        raw_path=scope["raw_path"].decode("latin-1"),
        query=[(key, MASK if key.lower() in SECRET_KEYS else value) for key, value in pairs],
        headers={name: MASK if name in SECRET_HEADERS else value for name, value in headers.items()},
        body=_mask(scope["path"], headers.get("content-type", ""), body),
    )
    request.count(body)
    return request


def _mask(path: str, content_type: str, body: bytes) -> bytes:
    """Return a body without the secrets it has by what it is: a form, or a login."""
    if content_type.startswith("application/x-www-form-urlencoded"):
        return _SECRET_FIELDS.sub(rb"\1***", body)
    return _SECRET_JSON.sub(rb"\1***", body) if _LOGIN.search(path) else body


class Recorder(Sequence[RecordedRequest]):
    """The requests a simulator received, oldest first. Safe to read while it serves."""

    def __init__(self) -> None:
        self._requests: list[RecordedRequest] = []

    def add(self, request: RecordedRequest) -> None:
        """Note a request."""
        self._requests.append(request)

    def clear(self) -> None:
        """Forget all requests."""
        self._requests.clear()

    def matching(self, path: str = "*", method: str | None = None) -> list[RecordedRequest]:
        """Return the requests for a path, in which `*` stands for anything, and of a method if one is given."""
        return [
            request
            for request in tuple(self._requests)
            if method in (None, request.method) and fnmatchcase(request.path, path)
        ]

    def __len__(self) -> int:
        return len(self._requests)

    @overload
    def __getitem__(self, index: int) -> RecordedRequest: ...

    @overload
    def __getitem__(self, index: slice) -> list[RecordedRequest]: ...

    def __getitem__(self, index: int | slice) -> RecordedRequest | list[RecordedRequest]:
        return self._requests[index]
