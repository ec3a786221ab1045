"""The simulator as a program meets it: a real HTTP server on the loopback interface, in a thread."""

from __future__ import annotations

import asyncio
import ipaddress
import secrets
import socket
import struct
import sys
import threading
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol, Self, cast

import uvicorn
from starlette.applications import Starlette

from flowrunner.simulator.clock import Clock, RealClock
from flowrunner.simulator.engine import EnginePool
from flowrunner.simulator.recorder import Recorder
from flowrunner.simulator.vendors import AnyQuirks, find_vendor
from flowrunner.simulator.wire import CUTS, Cut, Plans, Wire, answer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType

    from starlette.types import ASGIApp, Scope
    from uvicorn.protocols.http.h11_impl import H11Protocol

    from flowrunner.simulator.wire import HangUp

# On, for 0 seconds: closing a socket sends RST.
_LINGER_NOT = struct.pack("HH" if sys.platform == "win32" else "ii", 1, 0)


class Server(Protocol):
    """What serves, from when it is made until it is stopped."""

    port: int

    def stop(self) -> None:
        """Cut all connections and stop serving."""
        ...


class Simulator:
    """A vendor's server, simulated.

    A context manager: it serves inside the `with` block; all but its address is there before and after.

    Args:
        vendor: Which server: `fme-flow` is one of a build that answers V3 and V4, `fme-flow-v3` one of a build before
            V4; of both, `world.build` decides what they answer. `fme-flow-v4` answers V4 alone, whatever its build.
            `invision` and `smart-flows` are the other vendors' servers.
        port: Where to listen; 0 takes a free port.
        token: What opens it; a random one if None.
        clock: Its time; a `RealClock` if None.
        engines: How many jobs run at once.
        quirks: How it decides what is not known of the vendor: `Quirks`, `InVisionQuirks` or `SmartFlowsQuirks`.
        host: The loopback address to listen on; nothing else is allowed.

    Attributes:
        clock: Its time.
        pool: Its engines, where runs are scripted and counted.
        world: What the vendor's API shows: what is published, files, build, health, accounts.
            Its class is the vendor's.
        requests: What it received.
    """

    def __init__(
        self,
        vendor: str = "fme-flow-v4",
        *,
        port: int = 0,
        token: str | None = None,
        clock: Clock | None = None,
        engines: int = 2,
        quirks: AnyQuirks | None = None,
        host: str = "127.0.0.1",
    ) -> None:
        self.vendor, self._vendor = vendor, find_vendor(vendor)
        self.clock = clock or RealClock()
        self.pool = EnginePool(self.clock, engines)
        checked = self._vendor.check(quirks)
        self.world: Any = self._vendor.make_world(self.pool, token or secrets.token_hex(20), checked)
        self.requests = Recorder()
        self._plans = Plans()
        self._host, self._port = _loopback(host), port
        self._server: Server | None = None

    @property
    def token(self) -> str:
        """What opens it: the token of FME Flow, the API key of the others."""
        return str(self.world.token)

    @property
    def settings(self) -> dict[str, str]:
        """What a connection to it has to know: `base_url`, and `token` or `api_key`."""
        return {"base_url": self.base_url, self._vendor.secret: self.token}

    @property
    def quirks(self) -> Any:
        """How it decides what is not known of the vendor. May be set while it serves."""
        return self.world.quirks

    @quirks.setter
    def quirks(self, quirks: AnyQuirks) -> None:
        self.world.quirks = self._vendor.check(quirks)

    @property
    def port(self) -> int:
        """Where it listens, also after it stopped.

        Raises:
            RuntimeError: It never started, and any free port was asked for.
        """
        if not self._port:
            raise RuntimeError("The simulator did not start: use it as a context manager, or call start()")
        return self._port

    @property
    def base_url(self) -> str:
        """Its address as a connection has it, without a slash at the end."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self.port}{self._vendor.path}"

    def start(self) -> Self:
        """Serve until `stop`.

        Raises:
            RuntimeError: It does already.
            OSError: The port is taken.
        """
        if self._server is not None:
            raise RuntimeError("The simulator serves already")
        self._server = self._serve()
        self._port = self._server.port
        return self

    def _serve(self) -> Server:
        """Begin to serve."""
        return _SocketServer(self._app(), self._host, self._port)

    def _app(self) -> Callable[[HangUp], ASGIApp]:
        """What it answers, but for how a connection is closed."""
        vendor = self._vendor
        app = Starlette(routes=vendor.routes(self.world), exception_handlers=vendor.error_answers(self.world))
        return partial(Wire, app, self.requests, self._plans)

    def stop(self) -> None:
        """Cut all connections and stop serving; `start` serves again, on the same port.

        Jobs and requests stay; files that were sent are removed.
        """
        server, self._server = self._server, None
        if server is not None:
            server.stop()
        self.world.close()

    def publish(self, flow: Any) -> None:
        """Publish what can be run: a `Workspace`, `DataFlow` or `SmartFlow`."""
        self.world.publish(flow)

    def respond_next(
        self,
        path: str = "*",
        status: int = 200,
        body: Any = b"",
        *,
        headers: Mapping[str, str] | None = None,
        method: str | None = None,
        times: int = 1,
    ) -> None:
        """Answer the next requests with something else; the vendor's app does not see them.

        Args:
            path: Which requests, by the decoded path; `*` stands for anything.
            status: The HTTP status.
            body: Bytes go out as they are, text as HTML, anything else as JSON.
            headers: More headers; `content-type` replaces what the body implies.
            method: Only requests of this method.
            times: How many of them.
        """
        self._plans.add(path, method, answer(status, body, headers), times)

    def cut_next(self, how: Cut, path: str = "*", *, method: str | None = None, times: int = 1) -> None:
        """Cut the connection of the next requests.

        Args:
            how: "reset_before" the app acts, "reset_after" it acted and before it answers, or "truncate" the body of
                the answer in the middle.
            path: Which requests, by the decoded path; `*` stands for anything.
            method: Only requests of this method.
            times: How many of them.
        """
        if how not in CUTS:
            raise ValueError(f"No such cut: {how!r}; there are: {', '.join(CUTS)}")
        self._plans.add(path, method, how, times)

    def wait_until_held(self, count: int = 1, timeout: float = 5.0) -> bool:
        """Block until `count` requests are held open, at most `timeout` real seconds; true if they are."""
        return self.clock.bell.wait_for_listeners(count, timeout)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def _loopback(host: str) -> str:
    """Return the address of `host`.

    Raises:
        ValueError: It can be reached from elsewhere.
    """
    address = "127.0.0.1" if host == "localhost" else host
    if not ipaddress.ip_address(address).is_loopback:
        raise ValueError(f"A simulator listens on the loopback interface only, not on {host!r}")
    return address


def _listen(host: str, port: int) -> socket.socket:
    """Open a port.

    asyncio sends small answers at once only on sockets that say they are TCP; on others each waits some 40 ms for an
    acknowledgement.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.create_server((host, port), family=family)
    return socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP, fileno=listener.detach())


class _SocketServer(uvicorn.Server):
    """uvicorn in a thread of its own, which starts and stops without uvicorn's pauses of a tenth of a second."""

    def __init__(self, wrap: Callable[[HangUp], ASGIApp], host: str, port: int) -> None:
        super().__init__(
            uvicorn.Config(
                wrap(self._hang_up),
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
        listener = _listen(host, port)
        self.port: int = listener.getsockname()[1]
        self._serving = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(listener,), name="flowrunner simulator", daemon=True)
        self._thread.start()
        self._serving.wait()

    def stop(self) -> None:
        """End the thread."""
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join()

    def _hang_up(self, scope: Scope, *, reset: bool) -> None:
        """Close the connection of a request; unless its client did."""
        for transport in [each.transport for each in self._connections() if each.client == scope["client"]]:
            if reset:
                transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT)
                transport.abort()
            else:
                transport.close()

    async def main_loop(self) -> None:
        """Serve until `stop` is called; uvicorn's own loop looks ten times a second."""
        self._loop, self._end = asyncio.get_running_loop(), asyncio.Event()
        self._serving.set()
        await self._end.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:  # noqa: ARG002 - `_run` closes it
        """Cut all connections, held requests included, and end their tasks; uvicorn's own waits for them."""
        for server in self.servers:
            server.close()
        await self._accepted()
        for connection in self._connections():
            connection.transport.abort()
        tasks = tuple(self.server_state.tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.gather(*(server.wait_closed() for server in self.servers))
        await asyncio.sleep(0)  # the transports' sockets close in the loop's next round

    async def _accepted(self) -> None:
        """Wait for connections that are just being accepted: none of them would be closed."""
        others = {asyncio.current_task(), *self.server_state.tasks}
        await asyncio.gather(*(asyncio.all_tasks() - others), return_exceptions=True)

    def _connections(self) -> tuple[H11Protocol, ...]:
        return cast("tuple[H11Protocol, ...]", tuple(self.server_state.connections))

    def _run(self, listener: socket.socket) -> None:
        with listener:
            asyncio.run(self.serve(sockets=[listener]))
