"""Spans and metrics of a client: the only module that imports OpenTelemetry; see `flowrunner.telemetry`."""

from __future__ import annotations

import re
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from attrs import define
from opentelemetry import metrics, propagate, trace
from opentelemetry.trace import SpanKind, Status, StatusCode

from flowrunner import __version__
from flowrunner.enums import RunState
from flowrunner.errors import TransportError
from flowrunner.events import Anomaly, ContactFailed, ContactRestored, StatusChanged, Submitted, UnknownWord
from flowrunner.telemetry import INSTRUMENTS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, MutableMapping

    from opentelemetry.metrics import MeterProvider
    from opentelemetry.trace import Span, TracerProvider
    from opentelemetry.util.types import AttributeValue

    from flowrunner.events import Event
    from flowrunner.models import RunRef, RunStatus
    from flowrunner.plans import Request, Response

__all__ = ["Meters", "Tracing"]

OPEN_SPANS: Final = 10_000
"""Spans of runs that one client holds: of more, the oldest ends, since runs may be submitted that nobody waits for."""
_ID: Final = re.compile(r"(?<=/)(?:\d+|[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12})(?=/|$)")
_FAILED: Final = frozenset({RunState.FAILED, RunState.LOST})


class Meters:
    """The instruments, made once for all clients.

    Args:
        provider: the global one if None.
    """

    def __init__(self, provider: MeterProvider | None) -> None:
        meter = metrics.get_meter("flowrunner", __version__, provider)
        makers: dict[str, Callable[..., Any]] = {
            "counter": meter.create_counter,
            "updown": meter.create_up_down_counter,
            "histogram": meter.create_histogram,
        }
        self._instruments = {
            name: makers[each.kind](name, unit=each.unit, description=each.help) for name, each in INSTRUMENTS.items()
        }

    def add(self, name: str, amount: int, attributes: dict[str, AttributeValue]) -> None:
        """Count."""
        self._instruments[name].add(amount, attributes)

    def record(self, name: str, seconds: float, attributes: dict[str, AttributeValue]) -> None:
        """Note a duration; never a negative one, which clocks that differ may give."""
        self._instruments[name].record(max(seconds, 0.0), attributes)


@define
class _Followed:
    span: Span
    connection: str
    began: float
    state: RunState


class Tracing:
    """Spans and metrics of one client. Safe to share between threads.

    Args:
        provider: of tracers; the global one if None.
        meters: the instruments.
        propagate: send the trace's context along.
    """

    def __init__(self, provider: TracerProvider | None, meters: Meters, *, propagate: bool) -> None:
        self._tracer = trace.get_tracer("flowrunner", __version__, provider)
        self._meters = meters
        self._propagate = propagate
        self._runs: dict[RunRef, _Followed] = {}
        self._lock = threading.Lock()

    def happened(self, event: Event) -> None:
        """Note what an event says of a run."""
        with self._lock:
            match event:
                case Submitted(ref=ref):
                    self._run(event.connection, ref, RunState.QUEUED)
                case StatusChanged(ref=ref, new=new):
                    self._changed(event.connection, ref, new)
                case ContactFailed(ref=ref, error=error):
                    self._meters.add("flowrunner.contact.failures", 1, _of_run(event.connection, ref))
                    self._said(ref, "contact failed", {"error.type": type(error).__name__})
                case ContactRestored(ref=ref):
                    self._said(ref, "contact restored", {})
                case UnknownWord(ref=ref, word=word):
                    self._said(ref, "unknown word", {"flowrunner.run.vendor_status": word})
                case Anomaly(ref=ref):
                    self._said(ref, "anomaly", {})
                case _:
                    pass

    def _run(self, connection: str, ref: RunRef, state: RunState) -> _Followed:
        known = self._runs.get(ref)
        if known is not None:
            return known
        if len(self._runs) >= OPEN_SPANS:
            self._leave(next(iter(self._runs)))
        attributes = {**_of_run(connection, ref), "flowrunner.run.ref": str(ref), "flowrunner.run.flow": ref.flow}
        if ref.id is not None:
            attributes["flowrunner.run.id"] = ref.id
        span = self._tracer.start_span(f"run {ref.flow}", attributes=attributes)
        self._runs[ref] = known = _Followed(span, connection, time.monotonic(), state)
        self._meters.add("flowrunner.runs", 1, _of_run(connection, ref, state))
        return known

    def _changed(self, connection: str, ref: RunRef, new: RunStatus) -> None:
        known = self._run(connection, ref, new.state)
        attributes = _of_run(connection, ref, new.state)
        known.span.set_attributes({**attributes, "flowrunner.run.vendor_status": new.vendor_status or ""})
        known.span.add_event(new.state.value)
        if new.state is not known.state:
            self._meters.add("flowrunner.runs", -1, _of_run(connection, ref, known.state))
            self._meters.add("flowrunner.runs", 1, attributes)
            known.state = new.state
        if new.state.is_final:
            self._ended(self._runs.pop(ref), new, attributes)

    def _ended(self, known: _Followed, new: RunStatus, attributes: dict[str, AttributeValue]) -> None:
        self._meters.add("flowrunner.runs", -1, attributes)
        self._meters.add("flowrunner.run.ended", 1, attributes)
        self._meters.record("flowrunner.run.duration", time.monotonic() - known.began, attributes)
        if new.finished_at is not None and new.observed_at is not None:
            late = (new.observed_at - new.finished_at).total_seconds()
            self._meters.record("flowrunner.polling.delay", late, attributes)
        if new.cause is not None:
            known.span.set_attribute("flowrunner.run.cause", new.cause.value)
        if new.state in _FAILED:
            known.span.set_status(Status(StatusCode.ERROR, new.state.value))
        known.span.end()

    def _said(self, ref: RunRef, what: str, attributes: dict[str, AttributeValue]) -> None:
        known = self._runs.get(ref)
        if known is not None:
            known.span.add_event(what, attributes)

    def _leave(self, ref: RunRef) -> None:
        """End the span of a run that goes on, at the state it was last seen in."""
        known = self._runs.pop(ref)
        self._meters.add("flowrunner.runs", -1, _of_run(known.connection, ref, known.state))
        known.span.set_attribute("flowrunner.run.state", known.state.value)
        known.span.end()

    def close(self) -> None:
        """End the spans of the runs that go on."""
        with self._lock:
            for ref in list(self._runs):
                self._leave(ref)

    @contextmanager
    def request(
        self, request: Request, url: Any, headers: MutableMapping[str, str], resend: int
    ) -> Iterator[Callable[[Response | TransportError], None]]:
        """Around a request that goes out; what it gives is told the outcome."""
        template = _ID.sub("{id}", url.path)
        common: dict[str, AttributeValue] = {"http.request.method": request.method, "server.address": url.host}
        common["server.port"] = url.port or {"http": 80}.get(url.scheme, 443)
        if resend:
            self._meters.add("flowrunner.request.retries", 1, common)
        attributes = {**common, "url.template": template, "flowrunner.request.kind": request.kind.value}
        attributes["url.full"] = f"{url.scheme}://{url.netloc.decode()}{url.path}"
        if resend:
            attributes["http.request.resend_count"] = resend
        began = time.monotonic()
        answered: dict[str, AttributeValue] = {}
        name = f"{request.method} {template}"
        with self._tracer.start_as_current_span(
            name, kind=SpanKind.CLIENT, attributes=attributes, record_exception=False, set_status_on_exception=False
        ) as span:
            if self._propagate and "://" not in request.path:  # elsewhere it is nobody's business
                propagate.inject(headers)
            try:
                yield lambda outcome: answered.update(_of_outcome(outcome))
            except BaseException as error:
                answered["error.type"] = type(error).__name__
                raise
            finally:
                span.set_attributes(answered)
                if "error.type" in answered:
                    span.set_status(Status(StatusCode.ERROR))
                self._meters.record("http.client.request.duration", time.monotonic() - began, common | answered)


def _of_run(connection: str, ref: RunRef, state: RunState | None = None) -> dict[str, AttributeValue]:
    found: dict[str, AttributeValue] = {"flowrunner.connection": connection, "flowrunner.backend": ref.backend}
    return found if state is None else {**found, "flowrunner.run.state": state.value}


def _of_outcome(outcome: Response | TransportError) -> dict[str, AttributeValue]:
    if isinstance(outcome, TransportError):
        return {"error.type": outcome.failure.value if outcome.failure else type(outcome).__name__}
    found: dict[str, AttributeValue] = {"http.response.status_code": outcome.status}
    return found if outcome.status < 400 else {**found, "error.type": str(outcome.status)}
