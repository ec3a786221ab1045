"""Spans and metrics, as OpenTelemetry's own exporters in memory get them."""

import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from flowrunner import events, telemetry, tracing
from flowrunner.enums import Cause, RunState
from flowrunner.errors import FlowrunnerError, TransportError
from flowrunner.models import RunRef, RunStatus
from flowrunner.plans import Request, Response
from flowrunner.tracing import Meters, Tracing

NOON = datetime(2025, 1, 1, 12, tzinfo=UTC)
REF = RunRef("prod", "fme-flow-v4", "a/b.fmw", "1")
SECRET = "s3cr3t-t0ken"


class Recorded:
    """What was exported."""

    def __init__(self):
        self._spans, self._reader = InMemorySpanExporter(), InMemoryMetricReader()
        self.tracers, self.meters = TracerProvider(), MeterProvider([self._reader])
        self.tracers.add_span_processor(SimpleSpanProcessor(self._spans))

    def spans(self, kind):
        """Those that ended."""
        return [span for span in self._spans.get_finished_spans() if span.kind is kind]

    def points(self, name):
        """Of a metric, since the last time."""
        data = self._reader.get_metrics_data()
        found = (m for r in data.resource_metrics for s in r.scope_metrics for m in s.metrics if m.name == name)
        return [point for metric in found for point in metric.data.data_points]

    def everything(self):
        """All of it, as text."""
        return str([span.to_json() for span in self._spans.get_finished_spans()]) + str(
            self._reader.get_metrics_data().to_json()
        )


@pytest.fixture
def recorded():
    """Telemetry is on, and what it exports."""
    made = Recorded()
    telemetry.instrument(tracer_provider=made.tracers, meter_provider=made.meters)
    yield made
    telemetry.uninstrument()


@pytest.fixture
def tracing_of(recorded):
    """What a client of its own tells."""
    return Tracing(recorded.tracers, Meters(recorded.meters), propagate=False)


def changed(new, **more):
    """An event: the run is otherwise now."""
    return events.StatusChanged(connection="prod", ref=REF, old=RunStatus(), new=RunStatus(state=new, **more))


def succeeding(vendor):
    """Have the vendor take a run, and show it running, then ended."""
    vendor.on("POST", "/jobs", (202, {"id": 1}))
    vendor.on("GET", "/workspaces/a/b.fmw/parameters", (200, []))
    vendor.on("GET", "/jobs/1", (200, {"id": 1, "status": "running"}), (200, {"id": 1, "status": "success"}))


def test_a_run_is_one_span(open_client, vendor, recorded):
    """A run that is submitted and followed is one span, from submission to end, with its reference and state."""
    succeeding(vendor)
    client = open_client(check_parameters=False)
    run = client.submit("a/b.fmw", {"PASSWORD": "hidden-value"})
    while not run.refresh().state.is_final:
        pass

    (span,) = recorded.spans(SpanKind.INTERNAL)
    assert span.name == "run a/b.fmw"
    assert span.attributes["flowrunner.run.ref"] == str(run.ref)
    assert span.attributes["flowrunner.run.state"] == "succeeded"
    assert [event.name for event in span.events] == ["running", "succeeded"]
    assert span.status.status_code is StatusCode.UNSET
    (ended,) = recorded.points("flowrunner.run.ended")
    assert (ended.value, ended.attributes["flowrunner.run.state"]) == (1, "succeeded")
    assert all(point.value == 0 for point in recorded.points("flowrunner.runs"))
    assert "hidden-value" not in recorded.everything()
    assert SECRET not in recorded.everything()


def test_a_request_is_one_span_each_time(open_client, vendor, recorded):
    """A request that is sent again is a span more, which counts; ids are no part of the template, nor is the query."""
    vendor.on("GET", "/jobs/1", (200, {"id": 1, "status": "running"}))
    vendor.on("GET", "/workspaces", 503, (200, {"items": []}))
    client = open_client(retries=2)
    client.attach(f"flowrunner:1:fme-flow-v4:{client.name}:a%2Fb.fmw:1").refresh()
    list(client.flows())

    look, first, second = recorded.spans(SpanKind.CLIENT)
    assert look.name == "GET /fmeapiv4/jobs/{id}"
    assert look.attributes["url.full"] == "https://fme.example.com/fmeapiv4/jobs/1"
    assert look.attributes["server.port"] == 443
    assert (first.attributes["http.response.status_code"], first.attributes["error.type"]) == (503, "503")
    assert first.status.status_code is StatusCode.ERROR
    assert "http.request.resend_count" not in first.attributes
    assert second.attributes["http.request.resend_count"] == 1
    assert "?" not in second.attributes["url.full"]
    assert sum(point.value for point in recorded.points("flowrunner.request.retries")) == 1
    assert sum(point.count for point in recorded.points("http.client.request.duration")) == 3


@pytest.mark.parametrize(
    ("error", "expected"), [(httpx.ReadTimeout("late"), "read_timeout"), (KeyError("ours"), "KeyError")]
)
def test_no_answer(open_client, vendor, recorded, error, expected):
    """A request without an answer says why, and its span ends whatever happens."""
    vendor.on("GET", "/jobs/1", error)
    client = open_client(retries=0)
    with pytest.raises((FlowrunnerError, KeyError)):
        client.attach(f"flowrunner:1:fme-flow-v4:{client.name}:a%2Fb.fmw:1").refresh()
    (span,) = recorded.spans(SpanKind.CLIENT)
    assert span.attributes["error.type"] == expected


def test_requests_belong_to_what_asks(open_client, vendor, recorded):
    """Spans are children of the caller's, in each thread and task."""
    succeeding(vendor)
    tracer = recorded.tracers.get_tracer("test")
    client = open_client(check_parameters=False)
    with tracer.start_as_current_span("nightly", kind=SpanKind.SERVER) as parent:
        client.submit("a/b.fmw")
    client.close()
    found = recorded.spans(SpanKind.CLIENT) + recorded.spans(SpanKind.INTERNAL)
    assert len(found) == 2
    assert {span.parent.span_id for span in found} == {parent.get_span_context().span_id}


@pytest.mark.parametrize("propagate", [False, True])
def test_the_context_goes_along_if_asked(open_client, vendor, recorded, propagate):
    """The vendor's server gets `traceparent` if that is switched on, and nothing of the kind else."""
    telemetry.instrument(tracer_provider=recorded.tracers, meter_provider=recorded.meters, propagate=propagate)
    vendor.on("GET", "/jobs/1", (200, {"id": 1, "status": "running"}))
    client = open_client()
    client.attach(f"flowrunner:1:fme-flow-v4:{client.name}:a%2Fb.fmw:1").refresh()
    assert ("traceparent" in vendor.requests[0].headers) is propagate


def test_the_context_goes_to_the_server_alone(recorded):
    """A request to an absolute address, which may be anybody's, has no `traceparent`."""
    tracing_of = Tracing(recorded.tracers, Meters(recorded.meters), propagate=True)
    for path, expected in (("/jobs", {"traceparent"}), ("https://other.example.com/jobs", set())):
        headers = {}
        url = httpx.URL("https://other.example.com:8443/jobs?secret=1")
        with tracing_of.request(Request("GET", path), url, headers, 0) as answered:
            answered(Response(200))
        assert set(headers) == expected
    assert "secret" not in recorded.everything()
    assert {span.attributes["server.port"] for span in recorded.spans(SpanKind.CLIENT)} == {8443}


def test_how_late_an_end_is_seen(tracing_of, recorded):
    """The delay is the time between the vendor's end and our seeing it; clocks that differ give no negative one."""
    for late in (4, -3):
        tracing_of.happened(
            changed(RunState.FAILED, cause=Cause.FLOW, finished_at=NOON, observed_at=NOON + timedelta(seconds=late))
        )
    (point,) = recorded.points("flowrunner.polling.delay")
    assert (point.sum, point.min, point.count) == (4, 0, 2)
    span, _ = recorded.spans(SpanKind.INTERNAL)
    assert span.status.status_code is StatusCode.ERROR
    assert span.attributes["flowrunner.run.cause"] == "flow"


def test_what_happens_to_a_run_stands_in_its_span(tracing_of, recorded):
    """Contact that fails and comes back, new words and contradictions are events of the span; of no span, nothing."""
    told = [
        events.ContactFailed(connection="prod", ref=REF, error=TransportError("reset", maybe_arrived=True)),
        events.ContactRestored(connection="prod", ref=REF),
        events.UnknownWord(connection="prod", ref=REF, word="HIBERNATING"),
        events.Anomaly(connection="prod", ref=REF, description="it ended twice"),
    ]
    tracing_of.happened(told[1])
    tracing_of.happened(events.Submitted(connection="prod", ref=REF))
    for event in told:
        tracing_of.happened(event)
    tracing_of.happened(events.Notice(connection="prod", description="V3 was chosen"))
    tracing_of.close()
    (span,) = recorded.spans(SpanKind.INTERNAL)
    assert [event.name for event in span.events] == ["contact failed", "contact restored", "unknown word", "anomaly"]
    assert span.attributes["flowrunner.run.state"] == "queued"
    assert [point.value for point in recorded.points("flowrunner.contact.failures")] == [1]


def test_spans_are_not_kept_for_ever(tracing_of, recorded, monkeypatch):
    """Of runs that nobody waits for, the oldest span ends when there are too many; `close` ends the others."""
    monkeypatch.setattr(tracing, "OPEN_SPANS", 2)
    for number in (None, "1", "2"):
        tracing_of.happened(events.Submitted(connection="here", ref=RunRef("there", "fme-flow-v4", "a", number)))
    assert len(recorded.spans(SpanKind.INTERNAL)) == 1
    tracing_of.close()
    assert len(recorded.spans(SpanKind.INTERNAL)) == 3
    assert [point.value for point in recorded.points("flowrunner.runs")] == [0]


def test_an_error_that_names_no_failure(tracing_of, recorded):
    """Where it is not known what failed, the class of the error says it."""
    assert tracing._of_outcome(TransportError("x", maybe_arrived=True)) == {"error.type": "TransportError"}


def test_threads_share_a_client(tracing_of, recorded):
    """Many threads tell of their runs at once, and each run is one span, counted once."""

    def tell(number):
        ref = RunRef("prod", "fme-flow-v4", "a", str(number))
        tracing_of.happened(events.Submitted(connection="prod", ref=ref))
        end = RunStatus(state=RunState.SUCCEEDED)
        tracing_of.happened(events.StatusChanged(connection="prod", ref=ref, old=RunStatus(), new=end))

    threads = [threading.Thread(target=tell, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({span.attributes["flowrunner.run.id"] for span in recorded.spans(SpanKind.INTERNAL)}) == 20
    assert [point.value for point in recorded.points("flowrunner.run.ended")] == [20]


def test_all_that_is_recorded_is_in_the_tables(open_client, vendor, recorded):
    """Spans and points carry no attribute that the reference does not name."""
    succeeding(vendor)
    client = open_client(check_parameters=False)
    run = client.submit("a/b.fmw")
    while not run.refresh().state.is_final:
        pass
    for kind, shape in ((SpanKind.INTERNAL, "run FLOW"), (SpanKind.CLIENT, "METHOD TEMPLATE")):
        for span in recorded.spans(kind):
            assert set(span.attributes) <= set(telemetry.SPANS[shape].attributes)
    for name, instrument in telemetry.INSTRUMENTS.items():
        for point in recorded.points(name):
            assert set(point.attributes) <= set(instrument.attributes)


def test_it_costs_nothing_while_it_is_off():
    """Without `instrument`, a client imports nothing of OpenTelemetry."""
    program = (
        "import sys, flowrunner, flowrunner.telemetry\n"
        "flowrunner.connect(backend='fme-flow-v4', base_url='https://fme.example.com', token='t-t-t-t').close()\n"
        "assert not [name for name in sys.modules if name.startswith('opentelemetry')]\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_the_extra_is_missing(monkeypatch):
    """Where opentelemetry-api is not installed, the error says what to install."""
    monkeypatch.delitem(sys.modules, "flowrunner.tracing")
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    with pytest.raises(ImportError, match=r'pip install "flowrunner\[otel\]"'):
        telemetry.instrument()


def test_while_it_is_off_nothing_is_recorded(open_client, vendor):
    """Without `instrument`, a run is submitted and followed just so."""
    succeeding(vendor)
    client = open_client(check_parameters=False)
    assert client.submit("a/b.fmw").refresh().state is RunState.RUNNING
