"""What is sent and what is read: JSON, answers in pieces, and how far a file has come."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import httpx

from flowrunner.errors import InvalidRequest, ProtocolError
from flowrunner.plans import Response

if TYPE_CHECKING:
    from flowrunner.clock import Clock
    from flowrunner.models import Progress

__all__ = ["Body", "Meter", "json_bytes", "length_of"]

MAX_BODY: Final = 64 * 2**20
"""Bytes of an answer that are read into memory; files are streamed and have no such bound."""


def json_bytes(value: Any) -> bytes:
    """The value as JSON.

    Raises:
        InvalidRequest: it has no such form.
    """
    try:
        return json.dumps(value, allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidRequest(f"the request cannot be written as JSON: {error}") from None


class Meter:
    """Tells the caller's function how much has gone through."""

    def __init__(self, progress: Progress | None, total: int | None) -> None:
        self._progress = progress
        self._total = total
        self._done = 0

    def add(self, size: int) -> None:
        """Count so many bytes."""
        self._done += size
        if self._progress is not None:
            self._progress(self._done, self._total)


def length_of(answer: httpx.Response) -> int | None:
    """Bytes of the body; unknown where it is packed on the way, or nobody says."""
    length = answer.headers.get("content-length", "")
    return int(length) if length.isdecimal() and "content-encoding" not in answer.headers else None


class Body:
    """Collects the body of an answer, up to `MAX_BODY`, and not for ever: a server may send it byte by byte."""

    def __init__(self, answer: httpx.Response, clock: Clock, limit: float) -> None:
        self._answer = answer
        self._clock = clock
        self._ends = clock.monotonic() + limit
        self._chunks: list[bytes] = []
        self._size = 0

    def add(self, chunk: bytes) -> None:
        """Keep a piece; raises where there are too many, or they come too slowly."""
        self._size += len(chunk)
        self._chunks.append(chunk)
        if self._size > MAX_BODY:
            text = f"the answer is larger than {MAX_BODY // 2**20} MiB: ask for less, or have it saved to a file"
            raise ProtocolError(text, http_status=self._answer.status_code)
        if self._clock.monotonic() > self._ends:
            raise httpx.ReadTimeout("the answer came too slowly")

    def response(self) -> Response:
        """The answer, whole."""
        return Response(self._answer.status_code, self._answer.headers, b"".join(self._chunks))
