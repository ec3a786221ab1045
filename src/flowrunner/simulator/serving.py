"""uvicorn in a thread of its own, on the loopback interface, where its connections can be cut."""

from __future__ import annotations

import asyncio
import errno
import socket
import struct
import sys
import threading
from typing import TYPE_CHECKING, Any, Protocol, cast

import uvicorn

from flowrunner.simulator.clock import later
from flowrunner.simulator.waiting import sleep_until

if TYPE_CHECKING:
    from datetime import datetime

    from starlette.types import ASGIApp, Scope
    from uvicorn.protocols.http.h11_impl import H11Protocol

    from flowrunner.simulator.clock import Clock
    from flowrunner.simulator.exchange import Line

    class _Wrap(Protocol):
        def __call__(self, *, line: Line) -> ASGIApp: ...


# On, for 0 seconds: closing a socket sends RST.
_LINGER_NOT = struct.pack("HH" if sys.platform == "win32" else "ii", 1, 0)

_FORKED = 10.0
"""Seconds within which a process that was forked becomes another program."""


def _bind(host: str, port: int) -> socket.socket:
    """Take a port without listening on it: nobody else is given it, and whoever connects is refused.

    asyncio sends small answers at once only on sockets that say they are TCP; on others each waits some 40 ms for an
    acknowledgement.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    taken = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        if sys.platform != "win32":  # pragma: no branch - there the option means that anybody may take the port, too
            taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # after a restart, in spite of old connections
        taken.bind((host, port))
    except OSError:
        taken.close()
        raise
    return taken


class Server(uvicorn.Server):
    """uvicorn in a thread of its own, which starts and stops without uvicorn's pauses of a tenth of a second.

    Args:
        wrap: Makes the app of what can be done beneath HTTP.
        host: Where to listen.
        port: The same; 0 takes a free port.
        clock: Tells when to listen again.

    Attributes:
        port: Where it listens.
        listening: Set as long as it does.

    Raises:
        OSError: The port is taken.
    """

    def __init__(self, wrap: _Wrap, host: str, port: int, clock: Clock) -> None:
        super().__init__(
            uvicorn.Config(
                wrap(line=self),
                http="h11",
                ws="none",
                lifespan="off",
                log_config=None,
                log_level="error",
                access_log=False,
                proxy_headers=False,
                date_header=False,
                server_header=False,
            )
        )
        self._clock = clock
        self._listener = _bind(host, port)
        self._listener.listen()
        self.port: int = self._listener.getsockname()[1]
        self._address = host, self.port
        self._return: asyncio.Task[None] | None = None
        self.listening = threading.Event()
        self._thread = threading.Thread(target=self._run, name="flowrunner simulator", daemon=True)
        self._thread.start()
        self.listening.wait()

    def stop(self) -> None:
        """End the thread."""
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join()

    def hang_up(self, scope: Scope, *, reset: bool) -> None:
        """Close the connection of a request; unless its client did."""
        for transport in self._transports(scope):
            if reset:
                transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT)
                transport.abort()
            else:
                transport.close()

    def write(self, scope: Scope, content: bytes) -> None:
        """Write bytes on the connection of a request; unless its client closed it."""
        for transport in self._transports(scope):
            transport.write(content)

    async def go_down(self, seconds: float) -> None:
        """Cut all connections and what is done for them, and listen again later; nothing if it is down already."""
        if self.listening.is_set():
            back_at = later(self._clock.now(), seconds)
            self.listening.clear()
            await self._stop_listening()
            self._listener = await self._bound_again()
            await self._cut_all()
            self._return = asyncio.create_task(self._come_back(back_at))

    async def main_loop(self) -> None:
        """Serve until `stop` is called; uvicorn's own loop looks ten times a second."""
        self._main = asyncio.current_task()
        self._loop, self._end = asyncio.get_running_loop(), asyncio.Event()
        self.listening.set()
        await self._end.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:  # noqa: ARG002 - `_run` closes it
        """Cut all connections, held requests included, and end their tasks; uvicorn's own waits for them."""
        self.listening.clear()
        if self._return is not None:
            self._return.cancel()
            await asyncio.wait((self._return,))
        await self._stop_listening()
        await self._cut_all()
        await asyncio.gather(*(server.wait_closed() for server in self.servers))
        await asyncio.sleep(0)  # the transports' sockets close in the loop's next round

    async def _come_back(self, moment: datetime | None) -> None:
        await sleep_until(self._clock, moment)
        await asyncio.shield(self.startup([self._listener]))  # a server half started would be nobody's to close
        self.listening.set()

    async def _bound_again(self) -> socket.socket:
        """Take the port again; a process that was just forked has it until it becomes another program."""
        until = self._loop.time() + _FORKED
        while True:
            try:
                return _bind(*self._address)
            except OSError as error:
                if error.errno != errno.EADDRINUSE or self._loop.time() > until:
                    raise
            await asyncio.sleep(0.01)

    async def _stop_listening(self) -> None:
        """Close the port; not while a connection is being accepted, which would be left open and never served."""
        while accepting := self._accepting():
            await asyncio.wait(accepting)
        for server in self.servers:
            server.close()

    def _accepting(self) -> set[asyncio.Task[Any]]:
        """All tasks that are not ours: they accept connections."""
        return asyncio.all_tasks().difference(
            {asyncio.current_task(), self._main, self._return}, self.server_state.tasks
        )

    async def _cut_all(self) -> None:
        """Close all connections and end all requests but the one that asks for it."""
        for connection in self._connections():
            connection.transport.abort()
        tasks = self.server_state.tasks - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _transports(self, scope: Scope) -> list[asyncio.Transport]:
        return [each.transport for each in self._connections() if each.client == scope["client"]]

    def _connections(self) -> tuple[H11Protocol, ...]:
        return cast("tuple[H11Protocol, ...]", tuple(self.server_state.connections))

    def _run(self) -> None:
        try:
            asyncio.run(self.serve(sockets=[self._listener]))
        finally:
            self._listener.close()
