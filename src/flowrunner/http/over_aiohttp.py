"""Connections of aiohttp in the place of httpx's, for an `AsyncClient` that is configured so (`transport = "aiohttp"`).

httpx-aiohttp translates requests and answers. What went wrong is translated here: it must never be said that no
connection was made where a request may have arrived, since a submission would then be sent again.
"""

from __future__ import annotations

from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import aiohttp
import httpx
from httpx_aiohttp import AiohttpTransport

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

__all__ = ["Connection"]

FAILURES: Final = (
    (aiohttp.ClientHttpProxyError, httpx.ProxyError),
    (aiohttp.ClientProxyConnectionError, httpx.ProxyError),
    (aiohttp.ClientConnectorError, httpx.ConnectError),
    (aiohttp.ConnectionTimeoutError, httpx.ConnectTimeout),
    (aiohttp.InvalidURL, httpx.UnsupportedProtocol),
    (aiohttp.NonHttpUrlClientError, httpx.UnsupportedProtocol),
    (TimeoutError, httpx.ReadTimeout),
    (aiohttp.ClientError, httpx.ReadError),
    (OSError, httpx.ReadError),
)
"""What went wrong, the first that fits: for the last two it may have arrived."""


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except httpx.HTTPError as error:
        cause = error.__cause__
        if cause is None:
            raise
        _raise(cause)
    except (aiohttp.ClientError, OSError) as error:
        _raise(error)


def _raise(error: Any) -> None:
    """Raise what httpx would, from what the system says beneath."""
    kind = next(kind for fits, kind in FAILURES if isinstance(error, fits))
    beneath = getattr(error, "certificate_error", None) or getattr(error, "os_error", None) or error
    raise kind(str(error) or type(error).__name__) from beneath


class Connection(httpx.AsyncBaseTransport):
    """A single connection of aiohttp.

    Args:
        verify: whom to trust.
        proxy: the address of a proxy.

    Raises:
        ValueError: the proxy's address is none.
    """

    def __init__(self, *, verify: Any, proxy: str | None, **_: Any) -> None:
        through = None if proxy is None else httpx.Proxy(proxy)
        if through is not None and through.url.scheme not in {"http", "https"}:
            raise ValueError(f"aiohttp has no way over a {through.url.scheme} proxy")
        session = partial(_session, verify)
        self._transport = AiohttpTransport(verify=verify, proxy=through, trust_env=False, client=session)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send it."""
        with _translated():
            answer = await self._transport.handle_async_request(request)
        answer.stream = _Stream(answer.stream)
        return answer

    async def aclose(self) -> None:
        """Close it."""
        await self._transport.aclose()


def _session(verify: Any) -> aiohttp.ClientSession:
    """One connection, no cookies, and no header that was not asked for."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=1, ssl=verify),
        cookie_jar=aiohttp.DummyCookieJar(),
        skip_auto_headers=("Content-Type",),
    )


class _Stream(httpx.AsyncByteStream):
    """An answer's content."""

    def __init__(self, content: Any) -> None:
        self._content = content

    async def __aiter__(self) -> AsyncIterator[bytes]:
        with _translated():
            async for chunk in self._content:
                yield chunk

    async def aclose(self) -> None:
        """Let go of it."""
        with _translated():
            await self._content.aclose()
