"""Whatever a server answers, to whatever is asked: a value of the right type comes out, or an error of ours.

The answers are those of the simulators, with something wrong in them; and some that are nothing of the kind.
"""

import json
import math
import pickle
import re
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import islice
from pathlib import Path

import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from flowrunner.client import Client
from flowrunner.config import resolve
from flowrunner.drive import drive
from flowrunner.enums import CancelOutcome
from flowrunner.errors import FlowrunnerError, TransportError
from flowrunner.http import HttpSession
from flowrunner.models import FlowInfo, FlowSpec, Health, Reconciliation, RemoteFile, RunRef, RunResult, RunStatus
from flowrunner.plans import Response
from flowrunner.simulator import DataFlowId, RealClock, Simulator, SmartFlowId

SECRET = "s3cr3t-t0ken"
ARGUMENTS = {
    "fme-flow": {"token": SECRET},
    "fme-flow-v3": {"token": SECRET},
    "fme-flow-v4": {"token": SECRET},
    "invision": {"api_key": SECRET},
    "smart-flows": {"username": "ada", "password": SECRET},
}
FLOWS = {"invision": str(DataFlowId.IMPORT_SALES), "smart-flows": str(SmartFlowId.ASKS_ONCE)}
FME_FLOW = "Samples/austinDownload.fmw"
LOCAL = Path(__file__)
NOWHERE = LOCAL / "x"
NoneType, PathType = type(None), type(LOCAL)
REMOTE = RemoteFile(name="x", reference="$(FME_SHAREDRESOURCE_TEMP)/f/x")


def connection(backend, base_url="https://vendor.example.com"):
    """The checked settings of a connection."""
    arguments = {"base_url": base_url, "retries": 0, "max_long_polls": 0, **ARGUMENTS[backend]}
    return resolve(None, backend=backend, config=None, arguments=arguments, environ={})


# What is asked

KNOWN = {
    "submit": (RunStatus, lambda client, flow: client.submit(flow).status),
    "submit_keyed": (RunStatus, lambda client, flow: client.submit(flow, key="k").status),
    "submit_parameters": (
        RunStatus,
        lambda client, flow: client.submit(flow, {"MAXY": 42, "THEMES": ["airports"]}).status,
    ),
    "submit_payload": (RunStatus, lambda client, flow: client.submit(flow, payload=b"<a/>").status),
    "run": (RunResult, lambda client, flow: client.run(flow, timeout=9, raise_on_failure=False)),
    "run_at_vendor": (RunResult, lambda client, flow: client.run(flow, timeout=9, server_wait=True)),
    "refresh": (RunStatus, lambda client, flow: attached(client, flow).refresh()),
    "wait": (RunResult, lambda client, flow: attached(client, flow).wait(timeout=9)),
    "watch": (RunStatus, lambda client, flow: [*attached(client, flow).watch(timeout=9)]),
    "result": (RunResult, lambda client, flow: attached(client, flow).result()),
    "logs": (str, lambda client, flow: [*attached(client, flow).logs()]),
    "cancel": (CancelOutcome, lambda client, flow: attached(client, flow).cancel()),
    "resume": (RunStatus, lambda client, flow: attached(client, flow).resume({"x": 1})),
    "reconcile": (Reconciliation, lambda client, flow: lost(client, flow).reconcile()),
    "runs": (RunStatus, lambda client, flow: [run.status for run in islice(client.runs(), 9)]),
    "runs_running": (
        RunStatus,
        lambda client, flow: [run.status for run in islice(client.runs(state="running", flow=flow), 9)],
    ),
    "flows": (FlowInfo, lambda client, flow: [*islice(client.flows(), 9)]),
    "describe": (FlowSpec, lambda client, flow: client.describe(flow)),
    "health": (Health, lambda client, flow: client.health()),
    "upload": (RemoteFile, lambda client, flow: client.upload(LOCAL)),
    "remove": (NoneType, lambda client, flow: client.remove(REMOTE)),
    "download": (PathType, lambda client, flow: client.download(REMOTE, NOWHERE)),
    "download_folder": (PathType, lambda client, flow: client.download("$(FME_SHAREDRESOURCE_TEMP)/f/", NOWHERE)),
    "login": (dict, lambda client, flow: drive(client._backend.login(), client._session.send)),
}
"""Everything that has an answer read, by a name: of what type it is, or each of several, and how it is asked."""


def attached(client, flow):
    """A run of which nothing is known yet."""
    return client.attach(RunRef(client.name, client.backend, flow, "42"))


def lost(client, flow):
    """A submission whose outcome is unknown."""
    return client.attach(RunRef(client.name, client.backend, flow, None, "k"))


def calls_of(backend):
    """The names of what the backend can be asked."""
    lacking = {"login"} if backend != "smart-flows" else set()
    return sorted(KNOWN.keys() - lacking)


# What is answered


class Clock:
    """Time that passes when somebody sleeps."""

    def __init__(self):
        self._elapsed = 0.0

    def now(self):
        """The time of day."""
        return datetime(2025, 1, 1, tzinfo=UTC) + timedelta(seconds=self._elapsed)

    def monotonic(self):
        """Seconds since it was made."""
        return self._elapsed

    def sleep(self, seconds):
        """Let time pass."""
        self._elapsed += seconds
        assert self._elapsed < 1000, "it waits for what does not come"

    def rest(self, seconds, news):
        """Let time pass, unless there is news."""
        if not news.is_set():
            self.sleep(seconds)

    def chance(self):
        """Nothing is left to chance."""
        return 0.0


class Recording(HttpSession):
    """Notes every answer."""

    def __init__(self, backend, *, heard, **arguments):
        super().__init__(backend, **arguments)
        self._heard = heard

    def send(self, request, **more):
        """Send it."""
        answer = super().send(request, **more)
        if answer.lines is None:
            self._heard.setdefault(kind_of(request), set()).add((answer.status, answer.content))
        return answer


def kind_of(request):
    """What a request is for: its path without what names one of many."""
    return request.method, re.sub(r"/(?=[^/]*\d)[^/]{2,}|/\d", "/*", request.path.partition("?")[0])


@cache
def recorded(backend):
    """What a simulator answers to all that can be asked: statuses and bodies, by kind of request."""
    heard, flow = {}, FLOWS.get(backend, FME_FLOW)
    with Simulator(backend, clock=RealClock(speed=1000), token=SECRET) as simulator:
        if backend == "smart-flows":
            simulator.world.accounts.passwords["ada"] = SECRET
        client = Client(
            connection(backend, simulator.base_url),
            clock=Clock(),
            session=lambda **arguments: Recording(heard=heard, **arguments),
        )
        for call in calls_of(backend):
            ask(client, call, flow)
        for started in SmartFlowId if backend == "smart-flows" else [flow]:
            with suppress(FlowrunnerError):
                client.run(started, timeout=90)
            with suppress(FlowrunnerError):
                client.submit(started).cancel()
        client.close()
    return {kind: sorted(answers) for kind, answers in heard.items()}


def ask(client, call, flow):
    """What came of it: a value, or an error of ours."""
    try:
        return KNOWN[call][1](client, flow)
    except FlowrunnerError as error:
        return error
    except NotADirectoryError:  # where a download was to go to; nothing else opens a file here
        return NOWHERE


WORDS = st.sampled_from(
    ["SUCCESS", "queued", "running", "complete", "User input", "Waiting", "FME_FAILURE", "PAUSED", "pending", " ", ""]
)
TIMES = st.sampled_from(
    ["2025-01-01T12:00:00Z", "2025-01-01T12:00:00", "0001-01-01T00:00:00+02:00", "9999-12-31T23:59:59-10:00", "noon"]
)
NUMBERS = (
    st.sampled_from([0, -1, 1, 2**31, 2**63, 10**400, 1e308, -0.5, 5e-324]) | st.integers() | st.floats(allow_nan=False)
)
DEEP = st.sampled_from(["<huge>", *(f"<deep {depth}>" for depth in (80, 110, 480, 900, 990, 100_000))])
LEAF = st.none() | st.booleans() | NUMBERS | WORDS | TIMES | DEEP | st.text(st.characters(), max_size=9)
JUNK = st.recursive(
    LEAF,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["id", "name", "x"]), inner, max_size=3)
    ),
    max_leaves=5,
)


def places_in(value):
    """Every container in a JSON value with every key in it."""
    found = []
    waiting = [value]
    while waiting:
        each = waiting.pop()
        if isinstance(each, dict | list):
            keys = each.keys() if isinstance(each, dict) else range(len(each))
            found += [(each, key) for key in keys]
            waiting += [each[key] for key in keys]
    return found


def spoil(draw, value):
    """The value with something wrong in it."""
    for _ in range(draw(st.integers(0, 3))):
        places = places_in(value)
        if not places:
            return draw(JUNK)
        container, key = draw(st.sampled_from(places))
        match draw(st.sampled_from(["other", "other", "wrapped", "gone", "again"])):
            case "other":
                container[key] = draw(JUNK)
            case "wrapped":
                container[key] = draw(st.sampled_from([[container[key]], {"value": container[key]}]))
            case "gone":
                del container[key]
            case "again" if isinstance(container, list):
                container.insert(0, container[key])
            case "again":
                container[draw(st.text(max_size=3))] = container[key]
    return value


def written(value):
    """The value as JSON, with what Python does not write."""
    text = json.dumps(value).encode()
    text = text.replace(b'"<huge>"', b"1e999")
    return re.sub(rb'"<deep (\d+)>"', lambda found: b"[" * int(found[1]) + b"]" * int(found[1]), text)


NONSENSE = [b"", b"<html>", b"\xef\xbb\xbf{}", b"1" * 5000, b"NaN", b'"\\ud800"']


@st.composite
def contents(draw, right):
    """A body: what would be right, as it is or spoiled; or no such thing at all."""
    how = draw(st.sampled_from(["right", "spoiled", "spoiled", "spoiled", "spoiled", "junk", "cut", "bytes"]))
    if how == "spoiled":
        with suppress(ValueError):
            return written(spoil(draw, json.loads(right)))
    if how == "junk":
        return written(draw(JUNK))
    if how == "cut":
        return right[: draw(st.integers(0, len(right)))]
    if how == "bytes":
        return draw(st.sampled_from(NONSENSE) | st.binary(max_size=40))
    return right


STATUSES = st.sampled_from(
    [200, 201, 202, 204, 207, 302, 400, 401, 403, 404, 409, 415, 422, 429, 500, 503]
) | st.integers(100, 599)


HEADERS = st.just({}) | st.dictionaries(
    st.sampled_from(["retry-after", "location", "content-type", "content-length", "date"]),
    st.sampled_from(["-1", "1e999", "99999999999", "Mon, 01 Jan 0001 00:00:00 +2359"]) | st.text(max_size=12),
    max_size=2,
)


class Hostile:
    """A session whose answers are drawn."""

    def __init__(self, draw, answers):
        self._draw, self._answers, self.asked = draw, answers, 0

    def send(self, request, **_limits):
        """Answer, or fail."""
        self.asked += 1
        assert self.asked < 500, "it asks without end"
        kind = kind_of(request)
        if kind not in self._answers or self._draw(st.integers(0, 9)) == 0:
            kind = self._draw(st.sampled_from(sorted(self._answers)))
        answers = self._answers[kind]
        good = [each for each in answers if each[0] < 300]
        status, right = self._draw(st.sampled_from(good or answers) | st.sampled_from(answers))
        if self._draw(st.integers(0, 29)) == 0:
            raise TransportError("no answer", maybe_arrived=self._draw(st.booleans()), transient=True)
        if self._draw(st.integers(0, 4)) == 0:
            status = self._draw(STATUSES)
        content, headers = self._draw(contents(right)), self._draw(HEADERS)
        if request.stream and 200 <= status < 300:
            return Response(status, headers, lines=iter(content.decode("utf-8", "replace").splitlines()))
        if request.save_to is not None and 200 <= status < 300:
            return Response(status, headers)
        return Response(status, headers, content)

    def close(self):
        """Nothing is open."""


# What comes out


def check(value):
    """See that a value is what the protocol promises, whatever the vendor said."""
    if isinstance(value, RunStatus):
        assert value.progress is None or 0.0 <= value.progress <= 1.0
        moments = (value.queued_at, value.started_at, value.finished_at, value.observed_at)
        assert all(moment is None or moment.tzinfo is UTC for moment in moments)
        assert all(text is None or isinstance(text, str) for text in (value.vendor_status, value.message))
    if isinstance(value, RunResult):
        check(value.status)
        json.dumps(value.to_dict(), allow_nan=False)
        assert all(math.isfinite(number) for number in value.metrics.values())
        assert all(artifact.name and isinstance(artifact.name, str) for artifact in value.artifacts)
    if isinstance(value, FlowSpec):
        assert all(isinstance(parameter.name, str) for parameter in value.parameters)
    if isinstance(value, Health):
        assert value.message is None or isinstance(value.message, str)


def check_error(error):
    """See that an error can be read, and sent to another process."""
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error)
    assert str(again) == str(error) != ""
    assert error.retry_after is None or 0 <= error.retry_after <= 3600
    assert SECRET not in str(error) + repr(error)


@pytest.mark.parametrize("backend", ARGUMENTS)
@given(data=st.data())
def test_whatever_is_answered_a_value_or_an_error_of_ours_comes_out(backend, data):
    """No answer to any call raises anything but a FlowrunnerError, or gives a value that is not as promised."""
    answers = recorded(backend)
    client = Client(connection(backend), clock=Clock(), session=lambda **_: Hostile(data.draw, answers))
    call = data.draw(st.sampled_from(calls_of(backend)))
    outcome = ask(client, call, FLOWS.get(backend, FME_FLOW))
    event(f"{call}: {type(outcome).__name__}")
    if isinstance(outcome, FlowrunnerError):
        check_error(outcome)
        return
    for value in outcome if isinstance(outcome, list) else [outcome]:
        assert type(value) is KNOWN[call][0]
        check(value)
