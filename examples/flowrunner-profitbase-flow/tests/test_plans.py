"""What each plan asks, and what it makes of each answer, as far as the conformance suite leaves it open."""

import json
from base64 import b64encode

import pytest

from flowrunner import (
    FlowNotFound,
    FlowrunnerError,
    InvalidRequest,
    PermissionDenied,
    ProtocolError,
    RunNotFound,
    RunRef,
    RunState,
    SubmissionUncertain,
    SubmitOptions,
    UnsupportedOption,
    VendorError,
)
from flowrunner.backend import RunQuery, Submission
from flowrunner.plans import FileBody, Response
from flowrunner_profitbase_flow import ProfitbaseFlow, ProfitbaseFlowSettings

BASE = "https://app.example.com/acme/corellia/api/v1/tenants/t/workspaces/w"
REF = RunRef("etl", "profitbase-flow", "f-1", "j-1")
JOB = "/flows/f-1/diagnostics/executions/j-1"
RUNS = "/flows/f-1/diagnostics/executions"
BINARY = {"Content-Type": "application/octet-stream"}
PAGE = b"<html>Sign in</html>"


def made(**settings):
    """A backend that nothing is connected to."""
    return ProfitbaseFlow(ProfitbaseFlowSettings(**{"base_url": BASE, "api_key": "k", **settings}))


def reply(status, body=None, **headers):
    """An answer: bytes as they are, nothing for None, else JSON."""
    content = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
    return Response(status, {name.replace("_", "-"): value for name, value in headers.items()}, content)


def play(plan, answer):
    """Play a plan of one request to its end: what it returns, and what it asked."""
    request = next(plan)
    with pytest.raises(StopIteration) as end:
        plan.send(answer)
    return end.value.value, request


def failing(plan, answer):
    """Play a plan of one request, which ends in an error of ours."""
    next(plan)
    with pytest.raises(FlowrunnerError) as caught:
        plan.send(answer)
    return caught.value


# Settings


@pytest.mark.parametrize("address", [BASE, f"{BASE}/", f"{BASE}/flows", f"{BASE}/Flows/"])
def test_the_address_of_the_workspace(address):
    """It is what stands in front of `/flows`, with or without that."""
    assert made(base_url=address).base_url == BASE


def test_the_key_goes_into_a_header_alone():
    """The vendor refuses one that is in the query, too."""
    backend = made()
    request = next(backend.submit(Submission(flow="f-1")))
    assert {name: value.reveal() for name, value in backend.authorize().items()} == {"x-api-key": "k"}
    assert request.query == ()


def test_an_environment_there_is_not():
    """A setting that the vendor would not understand is refused, with what it understands."""
    with pytest.raises(ValueError, match="env is one of Development, Test, Production, 0, 1, 2, not 'prod'"):
        made(env="prod")


# Starting


@pytest.mark.parametrize(
    ("submission", "json_", "content", "headers"),
    [
        (Submission(flow="f-1"), {}, None, {}),
        (Submission(flow="f-1", parameters={"a": [1]}), {"a": [1]}, None, {}),
        (Submission(flow="f-1", payload=b"\xff"), None, b"\xff", BINARY),
        (Submission(flow="f-1", payload="ä"), None, "ä".encode(), BINARY),
    ],
)
def test_what_is_sent(submission, json_, content, headers):
    """Parameters as an object, which is empty without any; a payload as it is. It may not be sent twice."""
    accepted, request = play(made().submit(submission), reply(200, {"jobId": "j-1"}))
    assert (accepted.id, accepted.observation.word, accepted.outcome) == ("j-1", None, None)
    assert (request.method, request.path, request.repeatable) == ("POST", "/flows/f-1/submit", False)
    assert (request.json, request.content, dict(request.headers)) == (json_, content, headers)


def test_a_file_is_streamed(tmp_path):
    """A payload that is a path is not read into memory."""
    _, request = play(made().submit(Submission(flow="f-1", payload=tmp_path / "a.bin")), reply(200, {"jobId": "j"}))
    assert (request.file, dict(request.headers)) == (FileBody(tmp_path / "a.bin"), BINARY)


@pytest.mark.parametrize(
    ("submission", "error", "text"),
    [
        (Submission(flow="f", parameters={"a": 1}, payload=b""), InvalidRequest, "parameters or a payload, not both"),
        (Submission(flow="f", payload=[1]), InvalidRequest, "bytes, text or a path, not list"),
        (Submission(flow="f", options=SubmitOptions(extra={"env": "prod"})), InvalidRequest, "not 'prod'"),
        (Submission(flow="f", options=SubmitOptions(queue="q")), UnsupportedOption, "queue"),
    ],
)
def test_what_cannot_be_sent(submission, error, text):
    """It is an error that says why, before any request."""
    with pytest.raises(error, match=text):
        next(made().submit(submission))


@pytest.mark.parametrize(
    ("setting", "extra", "query"),
    [
        (None, {}, ()),
        ("Test", {}, (("env", "Test"),)),
        ("Test", {"env": "Production"}, (("env", "Production"),)),
        (None, {"env": 0}, (("env", "0"),)),
    ],
)
def test_the_environment(setting, extra, query):
    """The option wins over the setting; without both it is the vendor's to choose."""
    submission = Submission(flow="f-1", options=SubmitOptions(extra=extra))
    assert next(made(env=setting).submit(submission)).query == query
    assert next(made(env=setting).run(submission, None)).query == query


@pytest.mark.parametrize(
    ("answer", "error", "said"),
    [
        (reply(404, {"title": "Not Found", "detail": "no flow f-1"}), FlowNotFound, "no flow f-1"),
        (reply(404, "no such flow"), FlowNotFound, "no such flow"),
        (reply(404, {}), FlowNotFound, ""),
        (reply(404, [1]), ProtocolError, None),
        (reply(404, PAGE), ProtocolError, None),
        (reply(400, {"message": "no", "title": "Bad"}), InvalidRequest, "no"),
        (reply(403), PermissionDenied, None),
        (reply(500, {"title": "An error occurred"}), SubmissionUncertain, None),
        (reply(200, {"jobId": ""}), SubmissionUncertain, None),
        (reply(200, {"jobId": 7}), SubmissionUncertain, None),
    ],
)
def test_a_submission_that_is_refused(answer, error, said):
    """The vendor's words are JSON; neither a 500 nor a success without an id says whether there is a job."""
    caught = failing(made().submit(Submission(flow="f-1")), answer)
    assert (type(caught), caught.vendor_message, caught.http_status) == (error, said, answer.status)


# Running


@pytest.mark.parametrize(("timeout", "expected"), [(None, 330.0), (10.0, 10.0), (1000.0, 330.0)])
def test_how_long_an_answer_is_waited_for(timeout, expected):
    """As long as the caller wants, and no longer than the vendor works, plus a little."""
    request = next(made().run(Submission(flow="f-1"), timeout))
    assert (request.path, request.timeout, request.repeatable) == ("/flows/f-1/run", expected, False)


@pytest.mark.parametrize(
    ("content", "media_type", "outputs"),
    [
        (b'{"a": 1}', "application/json; charset=utf-8", {"value": {"a": 1}}),
        (b"7", "application/vnd.acme+json", {"value": 7}),
        (b"null", "application/json", {"value": None}),
        (b"", "", {"value": None}),
        (b'"text"', "", {"value": "text"}),
        (b"{", "application/json", {"content": "ew==", "media_type": "application/json"}),
        (b"\xff", "", {"content": "/w==", "media_type": "application/octet-stream"}),
        (PAGE, "text/html", {"content": b64encode(PAGE).decode(), "media_type": "text/html"}),
    ],
)
def test_the_value_of_a_run(content, media_type, outputs):
    """JSON is a value, nothing is none, and whatever else it is, nothing of it is lost."""
    answer = reply(200, content, flow_job_id="j-1", **{"content-type": media_type})
    accepted, _ = play(made().run(Submission(flow="f-1"), None), answer)
    assert (accepted.id, accepted.observation.word, accepted.outcome.outputs) == ("j-1", None, outputs)


def test_a_run_that_was_started_and_failed():
    """With the id of a job, an error is about a job: there is no outcome, and a look will tell."""
    accepted, _ = play(made().run(Submission(flow="f-1"), None), reply(500, {"title": "x"}, flow_job_id="j-1"))
    assert (accepted.id, accepted.outcome) == ("j-1", None)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (reply(200, {"a": 1}), SubmissionUncertain),
        (reply(200, PAGE), SubmissionUncertain),
        (reply(500, {"title": "x"}), SubmissionUncertain),
        (reply(404, {"title": "x"}), FlowNotFound),
        (reply(400, {"title": "x"}), InvalidRequest),
    ],
)
def test_a_run_without_a_job(answer, error):
    """Without the header nobody knows whose answer it is: a success is uncertain, a refusal is one."""
    assert type(failing(made().run(Submission(flow="f-1"), None), answer)) is error


# Following


@pytest.mark.parametrize(("state", "word"), [(0, "0"), (3, "3"), (77, "77"), ("2", "2"), ("Completed", "Completed")])
def test_a_look(state, word):
    """The word is the number as a text; a text is taken, too. The log is read from its start."""
    seen, request = play(made().observe(REF), reply(200, {"executionState": state, "logItems": None}))
    assert (request.method, request.path, request.query) == ("GET", f"{JOB}/poll", (("logItemId", "0"),))
    assert (seen.word, seen.message) == (word, None)
    assert seen.raw is not None


@pytest.mark.parametrize("state", [None, "", True, 1.0, [], {}])
def test_a_look_without_a_state(state):
    """What is neither a number nor a text is no state: the answer makes no sense."""
    error = failing(made().observe(REF), reply(200, {"executionState": state}))
    assert (type(error), "without an executionState" in error.message) == (ProtocolError, True)


def items(*entries):
    """Log items: number, type and data."""
    return [{"logItemId": number, "type": kind, "data": data} for number, kind, data in entries]


@pytest.mark.parametrize(
    ("logged", "message"),
    [
        (items((1, 2, "begun"), (2, 4, "careful")), "careful"),
        (items((2, 4, "careful"), (1, 2, "begun")), "careful"),
        (items((1, 5, "broken"), (2, 2, "ended")), "broken"),
        (items((1, 5, "first"), (2, "Error", "second"), (3, 4, "careful")), "second"),
        (items((1, 2, "begun"), (2, 1, "i=7"), (3, "Debug", "i=8"), (4, 2, ""), (5, 2, None)), "begun"),
        (items((None, 2, "a"), (None, None, "b")), "b"),
        (items((1, 2, {"größe": 7})), '{"größe": 7}'),
        ([5, None, "x", {}], None),
        ("no list", None),
    ],
)
def test_the_message_of_a_look(logged, message):
    """The last error, else what was said last and is no debugging; a log that makes no sense does not end a run."""
    seen, _ = play(made().observe(REF), reply(200, {"executionState": 1, "logItems": logged}))
    assert (seen.word, seen.message) == ("1", message)


@pytest.mark.parametrize("operation", ["observe", "logs"])
def test_a_run_that_cannot_be_asked_about(operation):
    """An unknown job is RunNotFound with the vendor's words; a page, or a failing vendor, denies nothing."""
    ask = getattr(made(), operation)
    denied = failing(ask(REF), reply(404, {"message": "no job"}))
    assert (type(denied), denied.vendor_message) == (RunNotFound, "no job")
    assert type(failing(ask(REF), reply(404, PAGE))) is ProtocolError
    failed = failing(ask(REF), reply(500, {"detail": "down"}))
    assert (type(failed), failed.vendor_message) == (VendorError, "down")
    with pytest.raises(InvalidRequest, match="use the run's reference"):
        next(ask(RunRef("etl", "profitbase-flow", "", "j-1")))


def test_the_lines_of_a_log():
    """In the order of the ids, an item of several lines as several."""
    logged = items((2, 5, "second\r\nthird"), (1, 2, "first"), (3, 2, None), (4, 1, [1]))
    expected = ["first", "second", "third", "", "[1]"]
    lines, request = play(made().logs(REF), reply(200, logged))
    assert (request.path, list(lines)) == (f"{JOB}/log", expected)


@pytest.mark.parametrize("body", [{"logItems": []}, [5], None])
def test_a_log_that_is_none(body):
    """It is an error, and not an empty log."""
    assert type(failing(made().logs(REF), reply(200, body))) is ProtocolError


# Listing


def test_a_listing_needs_a_flow():
    """There is no list of all runs, and nothing is asked for one."""
    with pytest.raises(InvalidRequest, match="one flow at a time"):
        next(made().list_runs(RunQuery()))


def test_a_listing():
    """The newest first, those that did not start yet before; all on one page; of the environment of the setting."""
    body = [
        {"jobId": "old", "state": 4, "startTime": "2025-01-01T10:00:00", "endTime": "2025-01-01T11:00Z", "message": 7},
        {"jobId": "new", "state": 1, "startTime": "2025-01-01T12:00:00+01:00", "endTime": None, "message": "at work"},
        {"jobId": "next", "state": 0},
    ]
    page, request = play(made(env="1").list_runs(RunQuery(flow="f-1")), reply(200, body))
    assert (request.method, request.path, request.query) == ("GET", RUNS, (("env", "1"),))
    shown = [(each.id, each.flow, each.observation.word, each.observation.message) for each in page.items]
    assert shown == [("next", "f-1", "0", None), ("new", "f-1", "1", "at work"), ("old", "f-1", "4", None)]
    assert page.next is None
    seen = page.items[2].observation
    assert (seen.started_at.isoformat(), seen.finished_at.hour) == ("2025-01-01T10:00:00+00:00", 11)


def test_a_listing_of_some():
    """The vendor has no filter, so it is done here."""
    body = [{"jobId": str(state), "state": state} for state in range(6)]
    query = RunQuery(flow="f-1", states=frozenset({RunState.SUCCEEDED}))
    page, _ = play(made().list_runs(query), reply(200, body))
    assert [each.id for each in page.items] == ["2", "3"]


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (reply(404, {"title": "Not Found"}), FlowNotFound),
        (reply(500, {"title": "An error occurred"}), VendorError),
        (reply(200, {}), ProtocolError),
        (reply(200, [{"state": 1}]), ProtocolError),
    ],
)
def test_a_listing_that_fails(answer, error):
    """Who erred is in the class of the error."""
    assert type(failing(made().list_runs(RunQuery(flow="f-1")), answer)) is error
