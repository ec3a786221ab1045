"""Connections of aiohttp in the place of httpx's, for an `AsyncClient` that is configured so (`transport = "aiohttp"`).

What went wrong is translated with care: it must never be said that no connection was made where a request may have
arrived, since a submission would then be sent again.
"""

from __future__ import annotations

from base64 import b64encode
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import aiohttp
import httpx
from yarl import URL

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

__all__ = ["Connection"]

BUFFER: Final = 1 << 15
"""Bytes of an answer that wait to be read."""

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


def _translated(error: Exception) -> httpx.TransportError:
    """What httpx would have raised."""
    kind = next(kind for fits, kind in FAILURES if isinstance(error, fits))
    return kind(str(error) or type(error).__name__)


def _beneath(error: Exception) -> Exception:
    """What the system says."""
    return getattr(error, "certificate_error", None) or getattr(error, "os_error", None) or error


class Connection(httpx.AsyncBaseTransport):
    """A single connection of aiohttp.

    Args:
        verify: whom to trust.
        proxy: the address of a proxy.

    Raises:
        ValueError: the proxy's address is none.
    """

    def __init__(self, *, verify: Any, proxy: str | None, **_: Any) -> None:
        self._proxy, self._proxy_headers = _through(proxy)
        self._verify = verify
        self._session: aiohttp.ClientSession | None = None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send it."""
        if self._session is None:
            self._session = _session(self._verify)
        body = _Body(request)
        try:
            answer = await self._session.request(
                request.method,
                _address(str(request.url)),
                headers=_headers(request) + ([] if request.url.scheme == "https" else self._proxy_headers),
                data=body.data,
                allow_redirects=False,
                timeout=_timeout(request),
                proxy=self._proxy,
                proxy_headers=self._proxy_headers,  # of a tunnel
            )
        except (aiohttp.ClientError, OSError) as error:
            if body.error is not None:
                raise body.error from None
            raise _translated(error) from _beneath(error)
        return httpx.Response(answer.status, headers=answer.raw_headers, stream=_Stream(answer), request=request)

    async def aclose(self) -> None:
        """Close it."""
        if self._session is not None:
            await self._session.close()


def _session(verify: Any) -> aiohttp.ClientSession:
    """One connection, no cookies, nothing from the environment, and no header that was not asked for."""
    session = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=1, ssl=verify),
        cookie_jar=aiohttp.DummyCookieJar(),
        skip_auto_headers=("Content-Type",),
        auto_decompress=False,
        read_bufsize=BUFFER,
    )
    # What is sent again, and what never is, such as the DELETE that cancels a run, is not for aiohttp to decide, which
    # would send that one twice when the connection breaks. There is no public name for it; a test sees that it holds.
    session._retry_connection = False  # noqa: SLF001
    return session


def _through(address: str | None) -> tuple[str | None, list[tuple[str, str]]]:
    """The address of a proxy without what opens it, and the headers that do.

    Raises:
        ValueError: aiohttp does not speak to proxies of its kind.
    """
    if address is None:
        return None, []
    proxy = httpx.Proxy(address)
    if proxy.url.scheme not in {"http", "https"}:
        raise ValueError(f"aiohttp has no way over a {proxy.url.scheme} proxy")
    if proxy.auth is None:
        return str(proxy.url), []
    opens = b64encode(":".join(proxy.auth).encode()).decode()
    return str(proxy.url), [("Proxy-Authorization", f"Basic {opens}")]


@lru_cache(maxsize=4096)
def _address(url: str) -> URL:
    return URL(url, encoded=True)  # which would otherwise turn %3B into a semicolon


def _headers(request: httpx.Request) -> list[tuple[str, str]]:
    """As they are written; how a body is cut into chunks is aiohttp's."""
    raw = request.headers.raw
    return [(name.decode(), value.decode()) for name, value in raw if name.lower() != b"transfer-encoding"]


def _timeout(request: httpx.Request) -> aiohttp.ClientTimeout:
    limits = request.extensions.get("timeout", {})
    return _limits(limits.get("connect"), limits.get("read"))


@lru_cache(maxsize=64)
def _limits(connect: float | None, read: float | None) -> aiohttp.ClientTimeout:
    """`connect` is for all that it takes to have a connection: the name's address, and what a proxy has to answer."""
    return aiohttp.ClientTimeout(connect=connect, sock_read=read)


class _Body:
    """A request's content, and what reading it raised: a file's error is the caller's, and no failure of the way.

    Attributes:
        data: for aiohttp.
        error: what reading it raised.
    """

    def __init__(self, request: httpx.Request) -> None:
        self.error: Exception | None = None
        self._stream: Any = request.stream
        try:
            self.data: Any = request.content or None
        except httpx.RequestNotRead:
            self.data = self._chunks()

    async def _chunks(self) -> AsyncIterator[bytes]:
        try:
            async for chunk in self._stream:
                yield chunk
        except Exception as error:
            self.error = error
            raise


class _Stream(httpx.AsyncByteStream):
    """An answer's content."""

    def __init__(self, answer: aiohttp.ClientResponse) -> None:
        self._answer = answer

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for chunk in self._answer.content.iter_any():
                yield chunk
        except (aiohttp.ClientError, OSError) as error:
            raise _translated(error) from _beneath(error)

    async def aclose(self) -> None:
        """Let go of it: a connection whose answer was not read to its end is closed."""
        self._answer.release()
