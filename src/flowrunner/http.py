"""HTTP: the only module that knows httpx. It sends `Request`s, and knows no vendor.

It works on httpx's transports rather than on its client: a connection needs no cookie jar, no redirects, no event hooks
and no log of every address, and part of the time of every small request goes there. `Wire` holds all that does no
I/O; `HttpSession` and `AsyncHttpSession` differ in `await`.
"""

from __future__ import annotations

import json
import logging
import os
import ssl
import threading
from abc import ABC, abstractmethod
from contextlib import closing, suppress
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import quote, urlencode
from urllib.request import getproxies, proxy_bypass

import httpx

from flowrunner import __version__
from flowrunner.answers import retry_after
from flowrunner.config.addresses import is_loopback
from flowrunner.drive import adrive, drive
from flowrunner.errors import (
    ClientClosed,
    ConfigError,
    InvalidRequest,
    ProtocolError,
    TransportError,
    VendorError,
)
from flowrunner.files import Partial
from flowrunner.plans import Request, Response

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping

    from flowrunner.backend import Backend, Settings
    from flowrunner.clock import Clock
    from flowrunner.errors import FlowrunnerError
    from flowrunner.models import Progress
    from flowrunner.plans import FileBody, Plan, Step
    from flowrunner.secret import Secret

__all__ = ["AsyncHttpSession", "HttpSession"]

T = TypeVar("T")

logger = logging.getLogger(__name__)

MAX_BODY: Final = 64 * 2**20
"""Bytes of an answer that are read into memory; files are streamed and have no such bound."""
CONNECT_TIMEOUT: Final = 10.0
"""Seconds to establish a connection, unless the connection's `timeout` is shorter."""
LEAST_WAIT: Final = 0.1
"""Seconds a request that is sent at all waits for its answer."""
PATIENCE: Final = 60.0
"""Seconds a call waits for its turn or for a `Retry-After`, at most; a longer wait is for the caller to decide on."""
MAX_PORT: Final = 2**16 - 1
PASSING: Final = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Statuses after which asking again may help."""


class Gate:
    """Lets requests of a connection pass one by one: not faster than configured, and not before the vendor wants."""

    def __init__(self, per_second: float | None) -> None:
        self._interval = 1.0 / per_second if per_second else 0.0
        self._opens = float("-inf")
        self._lock = threading.Lock()

    def reserve(self, now: float, at_most: float) -> float:
        """Take the next place, unless it is due later than in `at_most` seconds; the seconds until it is due."""
        if not self._interval and self._opens <= now:
            return 0.0
        with self._lock:
            due = max(now, self._opens)
            if due - now <= at_most:
                self._opens = due + self._interval
        return due - now

    def hold(self, now: float, seconds: float) -> None:
        """Let nothing pass for so many seconds."""
        with self._lock:
            self._opens = max(self._opens, now + seconds)


class _Again(Exception):
    """Asking again may help; `wait` is True for the usual backoff, or the seconds the vendor wants."""

    def __init__(self, wait: bool | float) -> None:  # noqa: FBT001 - stamina's own convention
        super().__init__()
        self.wait = wait


def _backoff(error: Exception) -> bool | float:
    return error.wait if isinstance(error, _Again) else False


class Wire(ABC):
    """What both sessions share: building requests, choosing transports, judging outcomes.

    Args:
        backend: says where `Request.path` starts, and how to authorize.
        reload: the backend with its credential read again from where it comes from.
        learned: told of credentials that the vendor gave, so that they can be hidden.
        clock: time.
    """

    def __init__(
        self,
        backend: Backend,
        *,
        reload: Callable[[], Backend],
        learned: Callable[[Iterable[Secret]], None],
        clock: Clock,
    ) -> None:
        settings: Settings = backend.settings
        self._base = backend.base_url
        self._origin = _origin(httpx.URL(backend.base_url))
        self._settings = settings
        self._credentials = backend.authorize()
        self._logs_in = not self._credentials
        self._reload = reload
        self._learned = learned
        self._clock = clock
        self._gate = Gate(settings.requests_per_second)
        self._headers = httpx.Headers({"Accept": "application/json", "User-Agent": f"flowrunner/{__version__}"})
        self._timeout = _timeouts(settings.timeout, settings.timeout)
        self._pid = os.getpid()
        self._transports: dict[tuple[str | None, bool], Any] = {}
        self._closed = False

    def _build(self, request: Request, limit: float) -> httpx.Request:
        url = _url(request.path if "://" in request.path else self._base + request.path, request.query)
        headers = self._headers.copy()
        headers.update(request.headers)
        content: Any = request.content
        if request.file is not None:
            headers["Content-Length"] = str(request.file.size())
            content = self._streamed(request.file, request.progress)
        if request.json is not None:
            headers.setdefault("Content-Type", "application/json")
            content = _json_bytes(request.json)
        if not request.anonymous and _origin(url) == self._origin:
            for name, value in self._credentials.items():
                headers[name] = value.reveal()
        timeout = self._timeout if limit == self._settings.timeout else _timeouts(self._settings.timeout, limit)
        return httpx.Request(request.method, url, headers=headers, content=content, extensions={"timeout": timeout})

    def _limit(self, request: Request, deadline: float | None) -> float:
        """Seconds to wait for the answer."""
        wait = self._settings.timeout if request.timeout is None else request.timeout
        return wait if deadline is None else min(wait, max(deadline - self._clock.monotonic(), LEAST_WAIT))

    def _pause(self, deadline: float | None) -> float | TransportError:
        """Seconds until it is this request's turn; an error where that is too long to wait."""
        now = self._clock.monotonic()
        patience = PATIENCE if deadline is None else min(max(deadline - now, 0.0), PATIENCE)
        pause = self._gate.reserve(now, patience)
        return pause if pause <= patience else _too_early(pause)

    @abstractmethod
    def _streamed(self, body: FileBody, progress: Progress | None) -> Any:
        """The body in chunks, as the session's own kind of iterator."""

    def _check_open(self) -> None:
        if self._closed:
            raise ClientClosed("the client is closed: connect again")
        if self._pid != os.getpid():
            # A connection that parent and child share would mix up their answers. The parent's are not closed here:
            # that would end its TLS sessions.
            self._transports = {}
            self._pid = os.getpid()

    def _transport_key(self, request: Request, url: httpx.URL) -> tuple[str | None, bool]:
        return self._settings.proxy or _environment_proxy(url.scheme, url.host), request.repeatable

    def _transport_arguments(self, key: tuple[str | None, bool]) -> dict[str, Any]:
        proxy, keep_alive = key
        most = self._settings.max_connections
        # A submission goes over a fresh connection: on one that the server is just closing, it could not be told
        # whether it arrived.
        limits = httpx.Limits(max_connections=most, max_keepalive_connections=most if keep_alive else 0)
        return {"verify": _tls(self._settings.ca_file), "proxy": proxy, "limits": limits, "trust_env": False}

    def _made(self, kind: Callable[..., T], key: tuple[str | None, bool]) -> T:
        arguments = self._transport_arguments(key)
        try:
            return kind(**arguments)
        except (ValueError, ImportError) as error:
            problem = str(error)
        raise ConfigError(f"the proxy cannot be used: {problem}. Set `proxy`, or the environment's")

    def _again(self, request: Request, outcome: Response | TransportError) -> bool | float:
        """Whether to send it again: False, True after the usual backoff, or the seconds the vendor wants first."""
        if isinstance(outcome, TransportError):
            if outcome.retry_after is not None:  # it did not get its turn, nor would it soon
                return False
            return outcome.transient and (request.repeatable or not outcome.maybe_arrived)
        if outcome.status not in PASSING:
            return False
        wait = retry_after(outcome.headers)
        never_acted = outcome.status == 429 or (outcome.status == 503 and wait is not None)
        if not request.repeatable and not never_acted:
            return False
        if wait is not None and wait > PATIENCE:
            return False
        return True if wait is None else wait

    def _ask_again(self, request: Request, outcome: Response | TransportError) -> None:
        """Tell stamina, in the way it understands, that asking again may help."""
        wait = self._again(request, outcome)
        if wait is not False:
            raise _Again(wait)

    def _note(self, outcome: Response | TransportError) -> None:
        """A `Retry-After` holds the whole connection, not one request."""
        if isinstance(outcome, Response) and outcome.status in {429, 503}:
            wait = retry_after(outcome.headers)
            if wait:
                self._gate.hold(self._clock.monotonic(), wait)

    def _retry_arguments(self) -> dict[str, Any]:
        return {"on": _backoff, "attempts": self._settings.retries + 1, "timeout": None}

    def _refused(self, request: Request, outcome: Response | TransportError) -> bool:
        return isinstance(outcome, Response) and outcome.status == 401 and not request.anonymous

    def _must_log_in(self, request: Request) -> bool:
        return self._logs_in and not self._credentials and not request.anonymous

    def _reloaded(self) -> Backend | None:
        """The backend with its credential read again; None where that cannot be read just now: it may be rotating."""
        try:
            return self._reload()
        except ConfigError as error:
            logger.warning("the credential was refused, and cannot be read again: %s", error)
            return None

    def _adopt(self, credentials: Mapping[str, Secret]) -> bool:
        """Use these from now on; whether they are others than before."""
        is_new = credentials != self._credentials
        self._learned(credentials.values())
        self._credentials = credentials
        return is_new


class HttpSession(Wire):
    """Sends requests, blocking."""

    def __init__(self, backend: Backend, **arguments: Any) -> None:
        super().__init__(backend, **arguments)
        self._renewal = threading.Lock()

    def send(self, request: Request, *, retry: bool = True, deadline: float | None = None) -> Response:
        """Send a request.

        Args:
            request: what to send.
            retry: send it again where that can do no harm and may help.
            deadline: when the answer must be there, in monotonic seconds, if that is sooner than the request allows.

        Returns:
            The answer, of whatever status.

        Raises:
            TransportError: there was none.
        """
        if self._must_log_in(request):
            self._renew(self._credentials, deadline)
        used = self._credentials
        outcome = self._try(request, deadline)
        if self._refused(request, outcome) and self._renew(used, deadline):
            outcome = self._try(request, deadline)
        if retry and self._again(request, outcome) is not False:
            outcome = self._retry(request, outcome, deadline)
        if isinstance(outcome, TransportError):
            raise outcome
        return outcome

    def _renew(self, used: Mapping[str, Secret], deadline: float | None) -> bool:
        """Get the credential anew, one caller for all; whether there is another than the one that was used."""
        with self._renewal:
            if used is not self._credentials:
                return True
            backend = self._reloaded()
            if backend is None:
                return False
            login = backend.login()
            return self._adopt(backend.authorize() if login is None else self._logged_in(login, deadline))

    def _logged_in(self, login: Plan[Mapping[str, Secret]], deadline: float | None) -> Mapping[str, Secret]:
        try:
            return drive(login, lambda step: self._exchange(step, deadline))
        except (TransportError, VendorError, ProtocolError) as error:
            raise _never_sent(error) from error

    def _exchange(self, step: Step, deadline: float | None) -> Response:
        outcome = self._try(_request_of(step), deadline)
        if isinstance(outcome, TransportError):
            raise outcome
        return outcome

    def _retry(
        self, request: Request, outcome: Response | TransportError, deadline: float | None
    ) -> Response | TransportError:
        import stamina

        try:
            for attempt in stamina.retry_context(**self._retry_arguments()):
                with attempt:
                    if attempt.num > 1:
                        outcome = self._try(request, deadline)
                    self._ask_again(request, outcome)
        except _Again:
            pass  # all attempts are used up: the last outcome counts
        return outcome

    def _try(self, request: Request, deadline: float | None) -> Response | TransportError:
        self._check_open()
        pause = self._pause(deadline)
        if isinstance(pause, TransportError):
            return pause
        if pause:
            self._clock.sleep(pause)
        limit = self._limit(request, deadline)
        wire = self._build(request, limit)
        try:
            answer = self._transport(request, wire.url).handle_request(wire)
            if request.stream and answer.is_success:
                return Response(answer.status_code, answer.headers, lines=self._lines(request, wire.url, answer))
            try:
                outcome: Response | TransportError = self._read(request, answer, _Body(answer, self._clock, limit))
            finally:
                answer.close()
        except FAILURES as error:
            outcome = _translate(error, request, wire.url)
        self._note(outcome)
        return outcome

    def _transport(self, request: Request, url: httpx.URL) -> httpx.HTTPTransport:
        key = self._transport_key(request, url)
        transport: httpx.HTTPTransport | None = self._transports.get(key)
        if transport is None:
            transport = self._transports.setdefault(key, self._made(httpx.HTTPTransport, key))
        return transport

    def _read(self, request: Request, answer: httpx.Response, body: _Body) -> Response:
        if request.save_to is not None and answer.is_success:
            meter = _Meter(request.progress, _length(answer))
            with Partial(request.save_to) as file:
                for chunk in answer.iter_bytes():
                    file.write(chunk)
                    meter.add(len(chunk))
            return Response(answer.status_code, answer.headers)
        for chunk in answer.iter_bytes():
            body.add(chunk)
        return body.response()

    def _lines(self, request: Request, url: httpx.URL, answer: httpx.Response) -> Iterator[str]:
        failure = None
        try:
            yield from answer.iter_lines()
        except FAILURES as error:
            failure = _translate(error, request, url)
        finally:
            answer.close()
        if failure is not None:
            raise failure

    def _streamed(self, body: FileBody, progress: Progress | None) -> Iterator[bytes]:
        meter = _Meter(progress, body.size())
        with closing(body.chunks()) as chunks:
            for chunk in chunks:
                yield chunk
                meter.add(len(chunk))

    def close(self) -> None:
        """Close every connection; once is enough, more does no harm."""
        self._closed = True
        transports, self._transports = self._transports, {}
        for transport in transports.values():
            transport.close()


class AsyncHttpSession(Wire):
    """Sends requests without blocking."""

    def __init__(self, backend: Backend, **arguments: Any) -> None:
        import asyncio

        super().__init__(backend, **arguments)
        self._renewal = asyncio.Lock()

    async def send(self, request: Request, *, retry: bool = True, deadline: float | None = None) -> Response:
        """As `HttpSession.send`."""
        if self._must_log_in(request):
            await self._renew(self._credentials, deadline)
        used = self._credentials
        outcome = await self._try(request, deadline)
        if self._refused(request, outcome) and await self._renew(used, deadline):
            outcome = await self._try(request, deadline)
        if retry and self._again(request, outcome) is not False:
            outcome = await self._retry(request, outcome, deadline)
        if isinstance(outcome, TransportError):
            raise outcome
        return outcome

    async def _renew(self, used: Mapping[str, Secret], deadline: float | None) -> bool:
        import asyncio

        async with self._renewal:
            if used is not self._credentials:
                return True
            backend = await asyncio.to_thread(self._reloaded)
            if backend is None:
                return False
            login = backend.login()
            return self._adopt(backend.authorize() if login is None else await self._logged_in(login, deadline))

    async def _logged_in(self, login: Plan[Mapping[str, Secret]], deadline: float | None) -> Mapping[str, Secret]:
        try:
            return await adrive(login, lambda step: self._exchange(step, deadline))
        except (TransportError, VendorError, ProtocolError) as error:
            raise _never_sent(error) from error

    async def _exchange(self, step: Step, deadline: float | None) -> Response:
        outcome = await self._try(_request_of(step), deadline)
        if isinstance(outcome, TransportError):
            raise outcome
        return outcome

    async def _retry(
        self, request: Request, outcome: Response | TransportError, deadline: float | None
    ) -> Response | TransportError:
        import stamina

        try:
            async for attempt in stamina.retry_context(**self._retry_arguments()):
                with attempt:
                    if attempt.num > 1:
                        outcome = await self._try(request, deadline)
                    self._ask_again(request, outcome)
        except _Again:
            pass  # all attempts are used up: the last outcome counts
        return outcome

    async def _try(self, request: Request, deadline: float | None) -> Response | TransportError:
        self._check_open()
        pause = self._pause(deadline)
        if isinstance(pause, TransportError):
            return pause
        if pause:
            await self._clock.asleep(pause)
        limit = self._limit(request, deadline)
        wire = self._build(request, limit)
        try:
            answer = await self._transport(request, wire.url).handle_async_request(wire)
            if request.stream and answer.is_success:
                return Response(answer.status_code, answer.headers, lines=self._lines(request, wire.url, answer))
            try:
                outcome: Response | TransportError = await self._read(
                    request, answer, _Body(answer, self._clock, limit)
                )
            finally:
                await answer.aclose()
        except FAILURES as error:
            outcome = _translate(error, request, wire.url)
        self._note(outcome)
        return outcome

    def _transport(self, request: Request, url: httpx.URL) -> httpx.AsyncHTTPTransport:
        key = self._transport_key(request, url)
        transport: httpx.AsyncHTTPTransport | None = self._transports.get(key)
        if transport is None:
            transport = self._transports[key] = self._made(httpx.AsyncHTTPTransport, key)
        return transport

    async def _read(self, request: Request, answer: httpx.Response, body: _Body) -> Response:
        if request.save_to is not None and answer.is_success:
            import asyncio

            meter = _Meter(request.progress, _length(answer))
            with Partial(request.save_to) as file:
                async for chunk in answer.aiter_bytes():
                    await asyncio.to_thread(file.write, chunk)
                    meter.add(len(chunk))
            return Response(answer.status_code, answer.headers)
        async for chunk in answer.aiter_bytes():
            body.add(chunk)
        return body.response()

    async def _lines(self, request: Request, url: httpx.URL, answer: httpx.Response) -> AsyncIterator[str]:
        failure = None
        try:
            async for line in answer.aiter_lines():
                yield line
        except FAILURES as error:
            failure = _translate(error, request, url)
        finally:
            await answer.aclose()
        if failure is not None:
            raise failure

    async def _streamed(self, body: FileBody, progress: Progress | None) -> AsyncIterator[bytes]:
        import asyncio

        meter = _Meter(progress, body.size())
        chunks = body.chunks()
        try:
            while chunk := await asyncio.to_thread(next, chunks, b""):
                yield chunk
                meter.add(len(chunk))
        finally:
            with suppress(ValueError):  # a thread that outlives the task still reads, and has it closed after that
                chunks.close()

    async def close(self) -> None:
        """Close every connection; once is enough, more does no harm."""
        self._closed = True
        transports, self._transports = self._transports, {}
        for transport in transports.values():
            await transport.aclose()


def _request_of(step: Step) -> Request:
    assert isinstance(step, Request), "a login asks the vendor and nobody else"  # noqa: S101
    return step


def _never_sent(error: FlowrunnerError) -> TransportError:
    """What a login that failed is to the request it was for, a submission perhaps: that one was never sent."""
    return TransportError(
        f"the login failed, and nothing else was sent: {error.message}",
        maybe_arrived=False,
        http_status=error.http_status,
        vendor_message=error.vendor_message,
        retry_after=error.retry_after,
        transient=error.transient,
    )


class _Meter:
    """Tells the caller's function how much has gone through."""

    def __init__(self, progress: Progress | None, total: int | None) -> None:
        self._progress = progress
        self._total = total
        self._done = 0

    def add(self, size: int) -> None:
        self._done += size
        if self._progress is not None:
            self._progress(self._done, self._total)


def _length(answer: httpx.Response) -> int | None:
    """Bytes of the body; unknown where it is packed on the way, or nobody says."""
    length = answer.headers.get("content-length", "")
    return int(length) if length.isdecimal() and "content-encoding" not in answer.headers else None


class _Body:
    """Collects the body of an answer, up to `MAX_BODY`, and not for ever: a server may send it byte by byte."""

    def __init__(self, answer: httpx.Response, clock: Clock, limit: float) -> None:
        self._answer = answer
        self._clock = clock
        self._ends = clock.monotonic() + limit
        self._chunks: list[bytes] = []
        self._size = 0

    def add(self, chunk: bytes) -> None:
        self._size += len(chunk)
        self._chunks.append(chunk)
        if self._size > MAX_BODY:
            text = f"the answer is larger than {MAX_BODY // 2**20} MiB: ask for less, or have it saved to a file"
            raise ProtocolError(text, http_status=self._answer.status_code)
        if self._clock.monotonic() > self._ends:
            raise httpx.ReadTimeout("the answer came too slowly")

    def response(self) -> Response:
        return Response(self._answer.status_code, self._answer.headers, b"".join(self._chunks))


@lru_cache(maxsize=4096)
def _url(address: str, query: tuple[tuple[str, str], ...]) -> httpx.URL:
    # Parsing an address costs more than all else we do to a request, and polling asks for the same one again and again.
    separator = "&" if "?" in address else "?"
    text = address + separator + urlencode(query, quote_via=quote) if query else address
    try:
        url = httpx.URL(text)
    except httpx.InvalidURL as error:
        problem = str(error)
    else:
        if (url.port or 0) <= MAX_PORT:
            return url
        problem = f"there is no port {url.port}"
    raise InvalidRequest(f"{address!r} is not an address ({problem}): check base_url")


def _origin(url: httpx.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port


def _timeouts(connection: float, read: float) -> dict[str, float]:
    return {"connect": min(connection, CONNECT_TIMEOUT), "read": read, "write": connection, "pool": read}


def _json_bytes(value: Any) -> bytes:
    try:
        return json.dumps(value, allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidRequest(f"the request cannot be written as JSON: {error}") from None


@cache
def _tls(ca_file: str | None) -> ssl.SSLContext:
    # Building one costs 20 ms, so all clients share it.
    if ca_file is None:
        return httpx.create_ssl_context()
    try:
        return ssl.create_default_context(cafile=ca_file)
    except OSError as error:
        problem = error.strerror or str(error)
    raise ConfigError(f"ca_file: no certificate can be read from {ca_file}: {problem}")


@lru_cache(maxsize=64)
def _environment_proxy(scheme: str, host: str) -> str | None:
    """The environment's proxy for a host; read once, and never for loopback."""
    if is_loopback(host) or proxy_bypass(host):
        return None
    proxies = getproxies()
    proxy = proxies.get(scheme) or proxies.get("all")
    return f"http://{proxy}" if proxy and "://" not in proxy else proxy


NO_ADDRESS: Final = (httpx.UnsupportedProtocol, httpx.LocalProtocolError, UnicodeError)
"""Nothing can be sent there; the last is how resolvers refuse a name."""
NEVER_SENT: Final = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ProxyError,
    *NO_ADDRESS,
)
"""The connection was never made, or the request never left."""
FAILURES: Final = (httpx.HTTPError, httpx.StreamError, *NO_ADDRESS)


def _too_early(pause: float) -> TransportError:
    return TransportError(
        f"nothing was sent, for {pause:g} s more the vendor asked for silence, or requests_per_second wants it: "
        "wait so long",
        maybe_arrived=False,
        retry_after=pause,
    )


def _translate(error: Exception, request: Request, url: httpx.URL) -> TransportError:
    """Our error for httpx's, which is not chained: frames of the HTTP library hold the credential."""
    text = str(error)
    permanent = isinstance(error, NO_ADDRESS) or "CERTIFICATE" in text
    return TransportError(
        f"no answer from {url.scheme}://{url.netloc.decode('ascii')} to {request.method} {url.path}: "
        f"{text or type(error).__name__}. {_advice(error, text)}",
        maybe_arrived=not isinstance(error, NEVER_SENT),
        transient=not permanent,
    )


def _advice(error: Exception, text: str) -> str:
    if "CERTIFICATE" in text:
        return "Its certificate is not trusted: if it is signed by your own authority, set ca_file"
    if isinstance(error, (httpx.ConnectError, httpx.ConnectTimeout, *NO_ADDRESS)):
        return "Check base_url, that the server runs, and that this machine may reach it"
    if isinstance(error, httpx.TimeoutException):
        return "If the server is slow, raise the setting `timeout`"
    return "The connection broke; try again"
