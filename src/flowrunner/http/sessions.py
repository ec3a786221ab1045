"""Sending requests. The two sessions stand side by side and differ in `await` alone."""

from __future__ import annotations

import threading
from contextlib import closing, suppress
from functools import cache, partial
from typing import TYPE_CHECKING, Any, cast

import httpx

from flowrunner.drive import adrive, drive
from flowrunner.errors import ConfigError, ProtocolError, TransportError, VendorError
from flowrunner.files import AsyncPartial, Partial
from flowrunner.plans import Request, Response
from flowrunner.retries import Budget, RequestKind

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Mapping

    from flowrunner.backend import Backend
    from flowrunner.plans import FileBody, Plan, Step
    from flowrunner.secret import Secret


from flowrunner.http.addresses import tls_context
from flowrunner.http.bodies import Body, Lines, Meter, Unpacking, length_of
from flowrunner.http.connections import AsyncConnections, Connections
from flowrunner.http.failures import FAILURES, never_sent, translate
from flowrunner.http.wire import Again, Limits, Wire, given

__all__ = ["AsyncHttpSession", "HttpSession"]


class HttpSession(Wire):
    """Sends requests, blocking."""

    def __init__(self, backend: Backend, **arguments: Any) -> None:
        super().__init__(backend, **arguments)
        self._renewal = threading.Lock()

    def send(
        self, request: Request, *, retry: bool = True, deadline: float | None = None, budget: Budget | None = None
    ) -> Response:
        """Send a request.

        Args:
            request: what to send.
            retry: send it again where the table says so; else it is a look, and for the caller to ask again.
            deadline: when the answer must be there, in monotonic seconds, if that is sooner than the request allows.
            budget: the operation's, for sending again; one of its own if None.

        Returns:
            The answer, of whatever status.

        Raises:
            TransportError: there was none.
        """
        within = Limits(budget or Budget(self._settings.retry_budget), deadline)
        outcome = self._ask(request, deadline)
        if self._again(request.kind if retry else RequestKind.LOOK, outcome, within) is not False:
            outcome = self._retry(request, outcome, within)
        if isinstance(outcome, TransportError):
            raise outcome
        return outcome

    def _ask(self, request: Request, deadline: float | None, resend: int = 0) -> Response | TransportError:
        """Send it once, and once more where the credential was refused and there is another now."""
        self._check_open()
        if self._must_log_in(request):
            self._renew(self._credentials, deadline)
        used = self._credentials
        outcome = self._try(request, deadline, resend)
        if self._refused(request, outcome) and self._renew(used, deadline):
            outcome = self._try(request, deadline, resend + 1)
        return outcome

    def _forked(self) -> None:
        super()._forked()
        self._renewal = threading.Lock()

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
            return given(drive(login, lambda step: self._exchange(step, deadline)))
        except (TransportError, VendorError, ProtocolError) as error:
            raise never_sent(error) from error

    def _exchange(self, step: Step, deadline: float | None) -> Response:
        outcome = self._try(_request_of(step), deadline)
        if isinstance(outcome, TransportError):
            raise outcome
        return outcome

    def _retry(self, request: Request, outcome: Response | TransportError, within: Limits) -> Response | TransportError:
        import stamina

        try:
            for attempt in stamina.retry_context(**self._retry_arguments()):
                with attempt:
                    if attempt.num > 1:
                        outcome = self._ask(request, within.deadline, attempt.num - 1)
                    self._ask_again(request.kind, outcome, within)
        except Again:
            pass  # all attempts are used up: the last outcome counts
        return outcome

    def _try(self, request: Request, deadline: float | None, resend: int = 0) -> Response | TransportError:
        self._check_open()
        try:
            for pause in self._pauses(deadline):
                self._clock.sleep(pause)
        except TransportError as error:
            return error
        limit = self._limit(request, deadline)
        wire = self._build(request, limit, _size_of(request.file))
        transport = self._transport(request, wire.url)
        with self._telemetry.request(request, wire.url, wire.headers, resend) as answered:
            outcome = self._sent(request, wire, transport, limit)
            answered(outcome)
        self._note(outcome)
        return outcome

    def _sent(
        self, request: Request, wire: httpx.Request, transport: httpx.BaseTransport, limit: float
    ) -> Response | TransportError:
        began = False
        try:
            answer = transport.handle_request(wire)
            began = True
            if request.stream and answer.is_success:
                return Response(answer.status_code, answer.headers, lines=self._lines(request, wire.url, answer))
            try:
                return self._read(request, answer, Body(answer, self._clock, limit))
            finally:
                answer.close()
        except FAILURES as error:
            return translate(error, request, wire.url, began=began)

    def _transport(self, request: Request, url: httpx.URL) -> httpx.BaseTransport:
        route = self._route(request, url)
        transport: httpx.BaseTransport | None = self._transports.get(route)
        if transport is None:
            open_one = partial(self._opened, httpx.HTTPTransport, self._transport_arguments(route))
            made = Connections(open_one, self._settings.max_connections, self._clock.monotonic, keep=route.keeps)
            transport = self._transports.setdefault(route, made)
        return transport

    def _read(self, request: Request, answer: httpx.Response, body: Body) -> Response:
        unpacking = Unpacking(answer)
        if request.save_to is not None and answer.is_success:
            meter = Meter(request.progress, length_of(answer))
            with Partial(request.save_to) as file:
                for chunk in answer.iter_raw():
                    for piece in unpacking.pieces(chunk):
                        file.write(piece)
                        meter.add(len(piece))
                file.write(unpacking.end())
            return Response(answer.status_code, answer.headers)
        for chunk in cast("Iterator[bytes]", answer.stream):  # for short ones `iter_raw` is dear
            for piece in unpacking.pieces(chunk):
                body.add(piece)
        body.add(unpacking.end())
        return body.response()

    def _lines(self, request: Request, url: httpx.URL, answer: httpx.Response) -> Iterator[str]:
        failure = None
        try:
            lines = Lines(answer)
            for chunk in answer.iter_raw():
                yield from lines.add(chunk)
            yield from lines.end()
        except FAILURES as error:
            failure = translate(error, request, url, began=True)
        finally:
            answer.close()
        if failure is not None:
            raise failure

    def _streamed(self, body: FileBody, meter: Meter) -> Iterator[bytes]:
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
        self._kind = kind_of(self._settings.transport)
        self._renewal = asyncio.Lock()
        self._trusts = False  # whom to trust is read from a file: at the first request, and not on the loop

    async def send(
        self, request: Request, *, retry: bool = True, deadline: float | None = None, budget: Budget | None = None
    ) -> Response:
        """As `HttpSession.send`."""
        within = Limits(budget or Budget(self._settings.retry_budget), deadline)
        outcome = await self._ask(request, deadline)
        if self._again(request.kind if retry else RequestKind.LOOK, outcome, within) is not False:
            outcome = await self._retry(request, outcome, within)
        if isinstance(outcome, TransportError):
            raise outcome
        return outcome

    async def _ask(self, request: Request, deadline: float | None, resend: int = 0) -> Response | TransportError:
        """Send it once, and once more where the credential was refused and there is another now."""
        self._check_open()
        if self._must_log_in(request):
            await self._renew(self._credentials, deadline)
        used = self._credentials
        outcome = await self._try(request, deadline, resend)
        if self._refused(request, outcome) and await self._renew(used, deadline):
            outcome = await self._try(request, deadline, resend + 1)
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
            return given(await adrive(login, lambda step: self._exchange(step, deadline)))
        except (TransportError, VendorError, ProtocolError) as error:
            raise never_sent(error) from error

    async def _exchange(self, step: Step, deadline: float | None) -> Response:
        outcome = await self._try(_request_of(step), deadline)
        if isinstance(outcome, TransportError):
            raise outcome
        return outcome

    async def _retry(
        self, request: Request, outcome: Response | TransportError, within: Limits
    ) -> Response | TransportError:
        import stamina

        try:
            async for attempt in stamina.retry_context(**self._retry_arguments()):
                with attempt:
                    if attempt.num > 1:
                        outcome = await self._ask(request, within.deadline, attempt.num - 1)
                    self._ask_again(request.kind, outcome, within)
        except Again:
            pass  # all attempts are used up: the last outcome counts
        return outcome

    async def _try(self, request: Request, deadline: float | None, resend: int = 0) -> Response | TransportError:
        import asyncio

        self._check_open()
        if not self._trusts:
            await asyncio.to_thread(tls_context, self._settings.ca_file)
            self._trusts = True
            self._check_open()
        try:
            for pause in self._pauses(deadline):
                await self._clock.asleep(pause)
        except TransportError as error:
            return error
        limit = self._limit(request, deadline)
        size = 0 if request.file is None else await asyncio.to_thread(_size_of, request.file)
        wire = self._build(request, limit, size)
        transport = self._transport(request, wire.url)
        with self._telemetry.request(request, wire.url, wire.headers, resend) as answered:
            outcome = await self._sent(request, wire, transport, limit)
            answered(outcome)
        self._note(outcome)
        return outcome

    async def _sent(
        self, request: Request, wire: httpx.Request, transport: httpx.AsyncBaseTransport, limit: float
    ) -> Response | TransportError:
        began = False
        try:
            answer = await transport.handle_async_request(wire)
            began = True
            if request.stream and answer.is_success:
                return Response(answer.status_code, answer.headers, lines=self._lines(request, wire.url, answer))
            try:
                return await self._read(request, answer, Body(answer, self._clock, limit))
            finally:
                await answer.aclose()
        except FAILURES as error:
            return translate(error, request, wire.url, began=began)

    def _transport(self, request: Request, url: httpx.URL) -> httpx.AsyncBaseTransport:
        route = self._route(request, url)
        transport: httpx.AsyncBaseTransport | None = self._transports.get(route)
        if transport is None:
            open_one = partial(self._opened, self._kind, self._transport_arguments(route))
            made = AsyncConnections(open_one, self._settings.max_connections, self._clock.monotonic, keep=route.keeps)
            transport = self._transports[route] = made
        return transport

    async def _read(self, request: Request, answer: httpx.Response, body: Body) -> Response:
        unpacking = Unpacking(answer)
        if request.save_to is not None and answer.is_success:
            meter = Meter(request.progress, length_of(answer))
            async with AsyncPartial(request.save_to) as file:
                async for chunk in answer.aiter_raw():
                    for piece in unpacking.pieces(chunk):
                        await file.write(piece)
                        meter.add(len(piece))
                await file.write(unpacking.end())
            return Response(answer.status_code, answer.headers)
        async for chunk in cast("AsyncIterator[bytes]", answer.stream):  # for short ones `aiter_raw` is dear
            for piece in unpacking.pieces(chunk):
                body.add(piece)
        body.add(unpacking.end())
        return body.response()

    async def _lines(self, request: Request, url: httpx.URL, answer: httpx.Response) -> AsyncIterator[str]:
        failure = None
        try:
            lines = Lines(answer)
            async for chunk in answer.aiter_raw():
                for line in lines.add(chunk):
                    yield line
            for line in lines.end():
                yield line
        except FAILURES as error:
            failure = translate(error, request, url, began=True)
        finally:
            await answer.aclose()
        if failure is not None:
            raise failure

    async def _streamed(self, body: FileBody, meter: Meter) -> AsyncIterator[bytes]:
        import asyncio

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


def kind_of(transport: str) -> Callable[..., httpx.AsyncBaseTransport]:
    """What makes a single connection.

    Raises:
        ConfigError: the extra for it is not installed.
    """
    if transport != "aiohttp":
        return httpx.AsyncHTTPTransport
    try:
        from flowrunner.http.over_aiohttp import Connection
    except ModuleNotFoundError:
        raise ConfigError('transport = "aiohttp" needs an extra: pip install "flowrunner[aiohttp]"') from None
    return Connection


def prepare(transport: str, ca_file: str | None) -> None:
    """Load and read what the first request needs: that takes a while. It is for a thread without an event loop.

    Raises:
        ConfigError: the extra for it is not installed; or no certificate can be read from the file.
    """
    tls_context(ca_file)
    if kind_of(transport) is httpx.AsyncHTTPTransport:
        _load_httpx()


@cache
def _load_httpx() -> None:
    """Load what httpx loads only when it opens a connection: httpcore, and of anyio what a loop of asyncio needs."""
    import anyio
    import httpcore  # noqa: F401 - as said

    anyio.run(anyio.sleep, 0)


def _size_of(body: FileBody | None) -> int:
    return 0 if body is None else body.size()


def _request_of(step: Step) -> Request:
    assert isinstance(step, Request), "a login asks the vendor and nobody else"  # noqa: S101
    return step
