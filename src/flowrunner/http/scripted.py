"""Sessions whose answers come from a function instead of a socket; all else is as with a real server.

Tests run on them: of a backend against a script, of an application against a simulator in the same process.
"""

from __future__ import annotations

import asyncio
import inspect
from math import inf
from typing import TYPE_CHECKING, Any, TypeAlias

import httpx
from attrs import field, frozen

from flowrunner.http.sessions import AsyncHttpSession, HttpSession
from flowrunner.plans import Response

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping

    from flowrunner.backend import Backend
    from flowrunner.plans import Request

__all__ = ["Answer", "AsyncAnswer", "AsyncScriptedSession", "Broken", "ScriptedSession", "Sent"]


@frozen
class Sent:
    """A request as it would have gone out.

    Attributes:
        method: in capitals.
        url: the whole address, with its query.
        headers: by lower-case name, credentials included.
        body: all of it.
        repeatable: whether asking twice changes nothing; of what starts a run it is not so.
        timeout: seconds for which an answer is waited for.
    """

    method: str
    url: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    repeatable: bool = True
    timeout: float = field(default=inf, eq=False)


@frozen
class Broken:
    """No answer, or half of one.

    Attributes:
        arrived: whether the server had read the request; if not, the connection was never made.
        began: what came of an answer before the connection broke; None for nothing.
        late: whether the connection held, and the client did not wait longer.
    """

    arrived: bool
    began: Response | None = None
    late: bool = False


Answer: TypeAlias = "Callable[[Sent], Response | Broken]"
AsyncAnswer: TypeAlias = "Callable[[Sent], Awaitable[Response | Broken]]"


class ScriptedSession(HttpSession):
    """Sends nothing: has each request answered by a function.

    Args:
        backend: as for `HttpSession`, as are the arguments not named here.
        answer: gives the answer to a request.
    """

    def __init__(self, backend: Backend, *, answer: Answer, **arguments: Any) -> None:
        super().__init__(backend, **arguments)
        self._answer = answer

    def _transport(self, request: Request, url: httpx.URL) -> Any:  # noqa: ARG002 - all addresses are answered alike
        return _Transport(self._answer, repeatable=request.repeatable)


class AsyncScriptedSession(AsyncHttpSession):
    """As `ScriptedSession`; the function is awaited, or if it is a plain one runs in a thread."""

    def __init__(self, backend: Backend, *, answer: Answer | AsyncAnswer, **arguments: Any) -> None:
        super().__init__(backend, **arguments)
        self._answer: Callable[[Sent], Any] = answer if inspect.iscoroutinefunction(answer) else _in_thread(answer)

    def _transport(self, request: Request, url: httpx.URL) -> Any:  # noqa: ARG002 - as above
        return _Transport(self._answer, repeatable=request.repeatable)


def _in_thread(answer: Callable[[Sent], Any]) -> Callable[[Sent], Awaitable[Any]]:
    return lambda sent: asyncio.to_thread(answer, sent)


class _Transport(httpx.BaseTransport, httpx.AsyncBaseTransport):
    def __init__(self, answer: Callable[[Sent], Any], *, repeatable: bool) -> None:
        self._answer = answer
        self._repeatable = repeatable

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        return _response(self._answer(self._sent(request, request.read())))

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        sent = self._sent(request, await request.aread())
        return _response(await self._answer(sent))

    def _sent(self, request: httpx.Request, body: bytes) -> Sent:
        timeout = request.extensions["timeout"]["read"]
        return Sent(request.method, str(request.url), dict(request.headers), body, self._repeatable, timeout)


def _response(answer: Response | Broken) -> httpx.Response:
    if isinstance(answer, Response):
        return httpx.Response(answer.status, headers=dict(answer.headers), stream=_Stream(answer.content))
    if not answer.arrived:
        raise httpx.ConnectError("connection refused")
    if answer.late:
        raise httpx.ReadTimeout("timed out")
    if answer.began is None:
        raise httpx.ReadError("connection reset by peer")
    began = answer.began
    return httpx.Response(began.status, headers=dict(began.headers), stream=_Stream(began.content, breaks=True))


class _Stream(httpx.SyncByteStream, httpx.AsyncByteStream):
    def __init__(self, content: bytes, *, breaks: bool = False) -> None:
        self._content = content
        self._breaks = breaks

    def __iter__(self) -> Iterator[bytes]:
        yield self._content
        if self._breaks:
            raise httpx.RemoteProtocolError("peer closed connection without sending complete message body")

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in self:
            yield chunk
