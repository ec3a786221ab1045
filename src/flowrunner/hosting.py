"""A thread with an event loop that hosts shared clients, for programs of many threads or many loops."""

from __future__ import annotations

import asyncio
import os
import threading
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING, Any, TypeVar

from flowrunner.errors import ClientClosed, InvalidRequest
from flowrunner.models import seconds
from flowrunner.shared import Target, use

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Iterator
    from concurrent.futures import Future
    from datetime import timedelta

    from flowrunner.client import AsyncClient
    from flowrunner.models import RunRef, RunResult

__all__ = ["SharedClient", "hosted"]

T = TypeVar("T")


class _Host:
    """The thread, and the process that it is of."""

    def __init__(self) -> None:
        self._pid = os.getpid()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="flowrunner hosts clients", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while True:  # a function that exits ends its own call, and not the loop of all others
            with suppress(SystemExit, KeyboardInterrupt):
                self._loop.run_forever()

    def begin(self, work: Callable[[], Coroutine[Any, Any, T]]) -> Future[T]:
        """Have something done there.

        Raises:
            InvalidRequest: the thread is in the parent process.
        """
        if not self.is_here():
            raise InvalidRequest("the process was forked inside the with block of share(): in the child, share anew")
        return asyncio.run_coroutine_threadsafe(work(), self._loop)

    def call(self, work: Callable[[], Coroutine[Any, Any, T]], timeout: float | None = None) -> T:
        """Have something done there, and wait for it; whoever does not wait any more gives it up.

        Raises:
            InvalidRequest: this is that thread; or the thread is in the parent process.
            TimeoutError: it takes too long.
        """
        if threading.current_thread() is self._thread:
            raise InvalidRequest("this thread hosts the shared clients and must not wait: await the client here")
        future = self.begin(work)
        try:
            return future.result(None if timeout is None else min(timeout, threading.TIMEOUT_MAX))
        except TimeoutError:
            if not future.cancel():  # it has ended meanwhile, or that is an error of its own
                return future.result()
        except BaseException:
            future.cancel()
            raise
        raise TimeoutError(f"the call has not ended within {timeout:g} s and was cancelled")

    def post(self, function: Callable[[], object]) -> None:
        """Have a function called there, some time."""
        if self.is_here():
            self._loop.call_soon_threadsafe(function)

    def is_here(self) -> bool:
        """Whether the thread is in this process."""
        return self._pid == os.getpid()


class _OfProcess:
    """The host of this process, which begins when it is first needed."""

    def __init__(self) -> None:
        self.begin_anew()

    def begin_anew(self) -> None:
        """Know of none: the parent's thread is not in a child process, nor is whoever held the lock."""
        self._lock = threading.Lock()
        self._host: _Host | None = None

    def __call__(self) -> _Host:
        with self._lock:
            if self._host is None:
                self._host = _Host()
            return self._host


_host = _OfProcess()
if hasattr(os, "register_at_fork"):  # pragma: no branch - Windows does not fork
    os.register_at_fork(after_in_child=_host.begin_anew)


@contextmanager
def hosted(target: Target, idle: float | timedelta) -> Iterator[SharedClient]:
    """A client on the host, for as long as it is used.

    Raises:
        InvalidRequest: `idle` is no duration; or this is the host's thread.
    """
    host, stack = _host(), ExitStack()

    async def enter() -> AsyncClient:
        return stack.enter_context(use(target, idle))

    try:
        shared = SharedClient(host, host.call(enter))
        try:
            yield shared
        finally:
            shared._client = None  # noqa: SLF001 - it is made, and unmade, here
    finally:  # also if an interrupt comes just when it has been entered
        host.post(stack.close)


class SharedClient:
    """A client that all threads and event loops of a process share; `flowrunner.share` gives it.

    What it does is done on an event loop of its own. The client's methods, and those of its runs and artifacts, belong
    there and nowhere else: give `call` and `acall` a function that uses them. It runs in the caller's context.
    """

    def __init__(self, host: _Host, client: AsyncClient) -> None:
        self._host = host
        self._client: AsyncClient | None = client

    def __repr__(self) -> str:
        name = type(self).__name__
        return f"<{name}, left>" if self._client is None else f"<{name} of {self._client!r}>"

    def call(
        self,
        function: Callable[..., Awaitable[T]],
        /,
        *args: Any,
        timeout: float | timedelta | None = None,
        **kwargs: Any,
    ) -> T:
        """What `await function(client, *args, **kwargs)` gives, as a blocking call.

        Args:
            function: called on the client's event loop; it must not block that.
            *args: for it; so are the others.
            timeout: seconds after which it is cancelled, as it is by a `KeyboardInterrupt`.
            **kwargs: for it.

        Raises:
            TimeoutError: the time is up.
            InvalidRequest: this is the thread of the client's loop; or the process was forked meanwhile.
            ClientClosed: the `with` block was left.
        """
        return self._host.call(self._work(function, args, kwargs), None if timeout is None else seconds(timeout))

    async def acall(self, function: Callable[..., Awaitable[T]], /, *args: Any, **kwargs: Any) -> T:
        """As `call`, awaited on any event loop. Cancelling the task that awaits it cancels this call and no other."""
        return await asyncio.wrap_future(self._host.begin(self._work(function, args, kwargs)))

    def wait(self, ref: RunRef | str, timeout: float | timedelta | None = None) -> RunResult:
        """What a run made, when it has ended; see `Run.wait`."""
        return self.call(_wait, ref, timeout)

    def _work(
        self, function: Callable[..., Awaitable[T]], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Callable[[], Coroutine[Any, Any, T]]:
        client = self._client
        if client is None:
            raise ClientClosed("the with block of share() has been left: share again")

        async def work() -> T:
            return await function(client, *args, **kwargs)

        return work


async def _wait(client: AsyncClient, ref: RunRef | str, timeout: float | timedelta | None) -> RunResult:  # noqa: ASYNC109 - as `AsyncRun.wait`
    return await client.attach(ref).wait(timeout)
