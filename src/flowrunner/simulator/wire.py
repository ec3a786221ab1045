"""The way between the socket and a vendor's app: records what comes in, and lets go wrong what shall."""

from __future__ import annotations

import asyncio
from email.utils import format_datetime
from typing import TYPE_CHECKING

from flowrunner.simulator.clock import later
from flowrunner.simulator.deeds import DEEDS
from flowrunner.simulator.exchange import Exchange, key_of
from flowrunner.simulator.faults import BESIDE
from flowrunner.simulator.plans import Asked
from flowrunner.simulator.recorder import read_request
from flowrunner.simulator.request_body import Body
from flowrunner.simulator.revocation import Revocation, credential_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from flowrunner.simulator.engine import EnginePool
    from flowrunner.simulator.exchange import Answer, Line
    from flowrunner.simulator.faults import Fault, Kind
    from flowrunner.simulator.plans import Plans
    from flowrunner.simulator.recorder import RecordedRequest, Recorder


class Wire:
    """ASGI middleware around the vendor's app.

    Args:
        app: The vendor's app.
        pool: The engines.
        purpose: Tells of a method and a path whether it is one of the "submissions" or of the "polls".
        recorder: Where requests are noted.
        plans: What goes wrong.
        line: What can be done beneath HTTP.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        pool: EnginePool,
        purpose: Callable[[str, str], str | None],
        recorder: Recorder,
        plans: Plans,
        line: Line,
    ) -> None:
        self._app = app
        self._pool = pool
        self._purpose = purpose
        self._recorder = recorder
        self._plans = plans
        self._line = line
        self._revocation = Revocation(pool.clock)
        self._last: dict[bytes, Answer] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; being cancelled is how the server stops."""
        try:
            await self._serve(scope, receive, send)
        except asyncio.CancelledError:
            return

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        asked = self._asked(scope)
        met = self._plans.take(asked)
        skew = self._change(scope, met)
        fault = next((fault for fault in met if fault.kind not in BESIDE), None)
        body = Body(receive)
        if fault is None or fault.kind != "refuse":
            send = _answering(await self._record(scope, body), body, send, self._pool, skew)
        exchange = Exchange(
            app=self._app,
            scope=scope,
            seen=self._revocation.applied(scope),
            body=body,
            receive=receive,
            send=send,
            line=self._line,
            pool=self._pool,
            last=self._last,
            submits=asked.purpose == "submissions",
            skew=skew,
            remembers=scope["method"] == "GET" and self._plans.remembers,
        )
        await (exchange.pass_on() if fault is None else DEEDS[fault.kind](exchange, fault))

    def _asked(self, scope: Scope) -> Asked:
        spared: list[Kind] = []
        if scope["method"] != "GET" or key_of(scope) not in self._last:
            spared.append("stale")
        if not credential_of(scope):
            spared.append("revoke")
        method, path = scope["method"], scope["path"]
        return Asked(method, path, self._purpose(method, path), frozenset(spared))

    def _change(self, scope: Scope, met: Sequence[Fault]) -> int:
        """Do to the server what is to be done before it serves; return by how much its clock is wrong."""
        for fault in met:
            if fault.kind == "purge":
                self._pool.purge()
            elif fault.kind == "revoke":
                self._revocation.revoke(scope, fault.lasts)
        return sum(fault.seconds for fault in met if fault.kind == "skew")

    async def _record(self, scope: Scope, body: Body) -> RecordedRequest:
        request = read_request(scope, await body.read_ahead())
        body.listener = request.count
        self._recorder.add(request)
        return request


def _answering(request: RecordedRequest, body: Body, send: Send, pool: EnginePool, skew: int) -> Send:
    """Return a `send` that lets the request come to its end first, dates the answer and notes its status."""

    async def note(message: Message) -> None:
        if message["type"] == "http.response.start":
            await body.drain()
            request.status = message["status"]
            if b"date" not in dict(message["headers"]):
                message = {**message, "headers": [*message["headers"], (b"date", _date(pool, skew))]}
        await send(message)

    return note


def _date(pool: EnginePool, skew: int) -> bytes:
    """Return what a server says that has the time of its engines, and a clock that is wrong."""
    now = pool.clock.now()
    return format_datetime(later(now, skew) or now, usegmt=True).encode()
