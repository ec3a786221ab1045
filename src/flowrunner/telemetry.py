"""Traces and metrics by OpenTelemetry, for a program that switches them on: `flowrunner.telemetry.instrument()`.

The package `opentelemetry-api` comes with the extra `flowrunner[otel]`; the program brings the SDK and its exporters.
Until `instrument` is called nothing of it is imported. Parameters, payloads, headers, queries and credentials are never
recorded.
"""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, Final, Protocol

from attrs import frozen

if TYPE_CHECKING:
    from collections.abc import Callable, MutableMapping
    from contextlib import AbstractContextManager

    from opentelemetry.metrics import MeterProvider
    from opentelemetry.trace import TracerProvider

    from flowrunner.errors import TransportError
    from flowrunner.events import Event
    from flowrunner.plans import Request, Response

__all__ = ["INSTRUMENTS", "SPANS", "Instrument", "Span", "instrument", "uninstrument"]


@frozen
class Instrument:
    """A metric.

    Attributes:
        kind: `counter`, `updown` (goes up and down) or `histogram`.
        unit: as UCUM writes it.
        attributes: what it is counted by.
        help: what it measures.
    """

    kind: str
    unit: str
    attributes: tuple[str, ...]
    help: str


@frozen
class Span:
    """A kind of span.

    Attributes:
        kind: as OpenTelemetry has it.
        attributes: what it may carry.
        help: what it covers.
    """

    kind: str
    attributes: tuple[str, ...]
    help: str


_OF_RUN: Final = ("flowrunner.connection", "flowrunner.backend", "flowrunner.run.state")
_OF_REQUEST: Final = ("http.request.method", "server.address", "server.port", "http.response.status_code", "error.type")

INSTRUMENTS: Final = {
    "flowrunner.runs": Instrument("updown", "{run}", _OF_RUN, "runs that go on, by the state they were last seen in"),
    "flowrunner.run.ended": Instrument("counter", "{run}", _OF_RUN, "runs seen to end, by how"),
    "flowrunner.run.duration": Instrument("histogram", "s", _OF_RUN, "from the first news of a run here to its end"),
    "flowrunner.polling.delay": Instrument(
        "histogram", "s", _OF_RUN, "how long after the vendor's time of the end it was seen; the clocks' skew included"
    ),
    "flowrunner.contact.failures": Instrument("counter", "{look}", _OF_RUN[:2], "looks at runs that failed"),
    "http.client.request.duration": Instrument("histogram", "s", _OF_REQUEST, "requests, each time one is sent"),
    "flowrunner.request.retries": Instrument("counter", "{request}", _OF_REQUEST[:3], "requests that were sent again"),
}
"""All metrics, by name."""

SPANS: Final = {
    "run FLOW": Span(
        "internal",
        (
            "flowrunner.run.ref", "flowrunner.run.id", "flowrunner.run.flow", *_OF_RUN, "flowrunner.run.cause",
            "flowrunner.run.vendor_status",
        ),
        "a run, from its submission, or the first news of one attached, to its end or to the client's `close`",
    ),
    "METHOD TEMPLATE": Span(
        "client",
        (
            *_OF_REQUEST, "url.full", "url.template", "http.request.resend_count", "flowrunner.request.kind",
        ),
        "a request, each time it is sent, until its answer is read; of a stream, until it begins",
    ),
}  # fmt: skip
"""All spans, by the shape of their names."""


class Recorder(Protocol):
    """What a client tells of itself."""

    def happened(self, event: Event) -> None:
        """An event."""
        ...

    def request(
        self, request: Request, url: Any, headers: MutableMapping[str, str], resend: int
    ) -> AbstractContextManager[Callable[[Response | TransportError], None]]:
        """Around a request that goes out; what it gives is told the outcome."""
        ...

    def close(self) -> None:
        """The client is closed."""
        ...


class _Off:
    """Records nothing."""

    _silent = nullcontext(lambda _outcome: None)

    def happened(self, event: Event) -> None:
        pass

    def request(
        self,
        request: Request,  # noqa: ARG002 - as `Recorder` has it
        url: Any,  # noqa: ARG002 - as above
        headers: MutableMapping[str, str],  # noqa: ARG002 - as above
        resend: int,  # noqa: ARG002 - as above
    ) -> AbstractContextManager[Callable[[Response | TransportError], None]]:
        return self._silent

    def close(self) -> None:
        pass


_OFF: Final = _Off()
_make: Callable[[], Recorder] | None = None


def instrument(
    *,
    tracer_provider: TracerProvider | None = None,
    meter_provider: MeterProvider | None = None,
    propagate: bool = False,
) -> None:
    """Record spans and metrics of every client that is made from now on, in the whole process.

    Args:
        tracer_provider: where spans go; the global one if None.
        meter_provider: where metrics go; the global one if None.
        propagate: send the trace's context (`traceparent`) along, to the connection's own server alone.

    Raises:
        ImportError: the extra `flowrunner[otel]` is not installed.
    """
    global _make  # noqa: PLW0603 - one switch for the process, as instrumentations of OpenTelemetry have it
    try:
        from flowrunner.tracing import Meters, Tracing
    except ImportError as error:
        raise ImportError('telemetry needs opentelemetry-api: pip install "flowrunner[otel]"') from error
    meters = Meters(meter_provider)
    _make = lambda: Tracing(tracer_provider, meters, propagate=propagate)  # noqa: E731 - it keeps what was given


def uninstrument() -> None:
    """Record nothing of clients that are made from now on; those there are go on."""
    global _make  # noqa: PLW0603 - as above
    _make = None


def recorder() -> Recorder:
    """What a new client tells of itself."""
    return _OFF if _make is None else _make()
