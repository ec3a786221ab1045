"""The simulator as a program meets it: a real HTTP server on the loopback interface, in a thread."""

from __future__ import annotations

import ipaddress
import secrets
import threading  # noqa: TC003 - a protocol's annotations
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, Protocol, Self, get_args

from starlette.applications import Starlette

from flowrunner.simulator.books import Submission, submissions
from flowrunner.simulator.clock import Clock, RealClock
from flowrunner.simulator.engine import EnginePool
from flowrunner.simulator.faults import Fault, Faults
from flowrunner.simulator.plans import Plans
from flowrunner.simulator.recorder import Recorder
from flowrunner.simulator.serving import Server
from flowrunner.simulator.vendors import AnyQuirks, find_vendor
from flowrunner.simulator.wire import Wire

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

Cut = Literal["reset_before", "reset_after", "truncate"]
CUTS: tuple[Cut, ...] = get_args(Cut)


class Serving(Protocol):
    """What serves, from when it is made until it is stopped.

    Attributes:
        port: Where.
        listening: Set as long as it does.
    """

    port: int
    listening: threading.Event

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
        faults: What goes wrong; nothing if None.

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
        faults: Faults | None = None,
    ) -> None:
        self.vendor, self._vendor = vendor, find_vendor(vendor)
        self.clock = clock or RealClock()
        self.pool = EnginePool(self.clock, engines)
        checked = self._vendor.check(quirks)
        self.world: Any = self._vendor.make_world(self.pool, token or secrets.token_hex(20), checked)
        self.requests = Recorder()
        self._plans = Plans(self.clock, faults)
        self._host, self._port = _loopback(host), port
        self._server: Serving | None = None

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
    def faults(self) -> Faults:
        """What goes wrong after what `respond_next` and `cut_next` script. May be set while it serves; begins then."""
        return self._plans.faults

    @faults.setter
    def faults(self, faults: Faults) -> None:
        self._plans.stand(faults)

    @property
    def faults_done(self) -> dict[str, int]:
        """How many requests met a fault so far, by its kind."""
        return self._plans.done

    @property
    def books(self) -> tuple[Submission, ...]:
        """All that was ever started, in order, whether or not its caller heard of it and the server still knows it."""
        return submissions(self.pool, self._vendor.run_id)

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

    def _serve(self) -> Serving:
        """Begin to serve."""
        return Server(self._app(), self._host, self._port, self.clock)

    def _app(self) -> partial[Wire]:
        """What it answers, but for what can be done beneath HTTP."""
        vendor = self._vendor
        app = Starlette(routes=vendor.routes(self.world), exception_handlers=vendor.error_answers(self.world))
        return partial(Wire, app, pool=self.pool, purpose=vendor.purpose, recorder=self.requests, plans=self._plans)

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
        fault = Fault("status", path=path, method=method, times=times, status=status, headers=headers, body=body)
        self._plans.script(fault)

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
        self._plans.script(Fault(how, path=path, method=method, times=times))

    def wait_until_held(self, count: int = 1, timeout: float = 5.0) -> bool:
        """Block until `count` requests are held open, at most `timeout` real seconds; true if they are."""
        return self.clock.bell.wait_for_listeners(count, timeout)

    def wait_until_listening(self, timeout: float = 5.0) -> bool:
        """Block until it listens, if a fault has it down, at most `timeout` real seconds; true if it does."""
        return self._server is not None and self._server.listening.wait(timeout)

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
