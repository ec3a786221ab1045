"""Connections, each lent to one request at a time.

httpx pools connections too, but its pool looks at all of them for each request, may close one under a request that
another thread has just begun on it, and loses the one of a request that is cancelled. So a transport of httpx has one
connection here, which nobody else sees while a request has it.
"""

from __future__ import annotations

import threading
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import httpx

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

__all__ = ["AsyncConnections", "Connections"]

KEPT = 5.0
"""Seconds for which a connection that nobody uses stays open: servers close theirs sooner or later, too."""

T = TypeVar("T")


class _Idle(Generic[T]):
    """Connections that nobody uses, the one that was used last on top."""

    def __init__(self, open_one: Callable[[], T], now: Callable[[], float], *, keep: bool) -> None:
        self._open, self._now, self._keep = open_one, now, keep
        self._lock = threading.Lock()
        self._stack: list[tuple[float, T]] = []

    def take(self) -> T:
        """One that is ready; a new one, where there is none."""
        with self._lock:
            if self._stack:
                return self._stack.pop()[1]
        return self._open()

    def put(self, one: T, *, usable: bool) -> list[T]:
        """Take one back; give those that are to be closed."""
        with self._lock:
            if not (usable and self._keep):
                return [one]
            now = self._now()
            self._stack.append((now, one))
            old = sum(now - since > KEPT for since, _ in self._stack)
            unused, self._stack = self._stack[:old], self._stack[old:]
        return [each for _, each in unused]

    def end(self) -> list[T]:
        """Keep none from now on; give those that are to be closed."""
        with self._lock:
            self._keep = False
            unused, self._stack = self._stack, []
        return [each for _, each in unused]


class Connections(httpx.BaseTransport):
    """Sends requests, blocking, over at most so many connections.

    Args:
        open_one: makes a transport that has a single connection.
        most: how many requests may be under way.
        now: what time it is, in seconds.
        keep: whether a connection is used for more than one request.
    """

    def __init__(
        self, open_one: Callable[[], httpx.BaseTransport], most: int, now: Callable[[], float], *, keep: bool
    ) -> None:
        self._idle: _Idle[httpx.BaseTransport] = _Idle(open_one, now, keep=keep)
        # No semaphore: its lock would stay taken by an interrupt at a bad moment.
        self._places: SimpleQueue[None] = SimpleQueue()
        for _ in range(most):
            self._places.put(None)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send it; the connection is free again when the answer is closed."""
        try:
            self._places.get(timeout=_patience(request))
        except Empty:
            raise _none_free(request) from None
        try:
            one = self._idle.take()
        except BaseException:
            self._places.put(None)
            raise
        try:
            answer = one.handle_request(request)
        except BaseException:
            self._back(one, usable=False)
            raise
        answer.stream = _Stream(answer.stream, one, self._back)  # type: ignore[arg-type] # each kind has its own
        return answer

    def _back(self, one: httpx.BaseTransport, *, usable: bool) -> None:
        try:
            for each in self._idle.put(one, usable=usable):
                each.close()
        finally:
            self._places.put(None)

    def close(self) -> None:
        """Close every connection: one that is in use, as soon as it is not."""
        for each in self._idle.end():
            each.close()


class _Stream(httpx.SyncByteStream):
    """An answer's content; a connection whose answer was read to its end can be used again."""

    def __init__(self, content: httpx.SyncByteStream, one: httpx.BaseTransport, back: Callable[..., None]) -> None:
        self._content, self._one, self._back = content, one, back
        self._whole = False

    def __iter__(self) -> Iterator[bytes]:
        yield from self._content
        self._whole = True

    def close(self) -> None:
        usable = False
        try:
            self._content.close()
            usable = self._whole
        finally:
            self._back(self._one, usable=usable)


class AsyncConnections(httpx.AsyncBaseTransport):
    """As `Connections`, without blocking."""

    def __init__(
        self, open_one: Callable[[], httpx.AsyncBaseTransport], most: int, now: Callable[[], float], *, keep: bool
    ) -> None:
        import asyncio

        self._idle: _Idle[httpx.AsyncBaseTransport] = _Idle(open_one, now, keep=keep)
        self._free = asyncio.Semaphore(most)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """As `Connections.handle_request`."""
        if self._free.locked():
            await self._wait(request)
        else:
            await self._free.acquire()  # at once
        try:
            one = self._idle.take()
        except BaseException:
            self._free.release()
            raise
        try:
            answer = await one.handle_async_request(request)
        except BaseException:
            await self._back(one, usable=False)
            raise
        answer.stream = _AsyncStream(answer.stream, one, self._back)  # type: ignore[arg-type] # as above
        return answer

    async def _wait(self, request: httpx.Request) -> None:
        import asyncio

        try:
            async with asyncio.timeout(_patience(request)):
                await self._free.acquire()
        except TimeoutError:
            raise _none_free(request) from None

    async def _back(self, one: httpx.AsyncBaseTransport, *, usable: bool) -> None:
        try:
            for each in self._idle.put(one, usable=usable):
                await each.aclose()
        finally:
            self._free.release()

    async def aclose(self) -> None:
        """As `Connections.close`."""
        for each in self._idle.end():
            await each.aclose()


class _AsyncStream(httpx.AsyncByteStream):
    """As `_Stream`."""

    def __init__(self, content: httpx.AsyncByteStream, one: httpx.AsyncBaseTransport, back: Callable[..., Any]) -> None:
        self._content, self._one, self._back = content, one, back
        self._whole = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for chunk in self._content:
            yield chunk
        self._whole = True

    async def aclose(self) -> None:
        usable = False
        try:
            await self._content.aclose()
            usable = self._whole
        finally:
            await self._back(self._one, usable=usable)


def _patience(request: httpx.Request) -> float | None:
    seconds: float | None = request.extensions.get("timeout", {}).get("pool")
    return None if seconds is None else min(seconds, threading.TIMEOUT_MAX)


def _none_free(request: httpx.Request) -> httpx.PoolTimeout:
    return httpx.PoolTimeout("every connection was in use for too long", request=request)
