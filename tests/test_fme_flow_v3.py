"""FME Flow V3: what each plan asks, and what it makes of each answer. Nothing here does I/O."""

import json
import math
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from flowrunner.backend import Capability, RunQuery, Submission, Upload
from flowrunner.backends.fme_flow_v3 import FmeFlowV3, FmeFlowV3Settings, zone_of
from flowrunner.enums import CancelOutcome, RunState
from flowrunner.errors import (
    AuthenticationError,
    FlowNotFound,
    FlowrunnerError,
    InvalidParameters,
    InvalidRequest,
    PermissionDenied,
    ProtocolError,
    RateLimited,
    RunNotFound,
    SubmissionUncertain,
    TransportError,
    UnsupportedOption,
    VendorError,
)
from flowrunner.models import ArtifactSource, FlowInfo, Health, RemoteFile, RunRef, SubmitOptions
from flowrunner.plans import FileBody, Page, Response
from flowrunner.states import Meaning, fold

API = "/fmerest/v3"
FLOW = "Samples/austinDownload.fmw"
REF = RunRef("prod", "fme-flow-v3", FLOW, "4326")
JOB = f"{API}/transformations/jobs/id/4326"
NO_ACCESS = "Unauthorized request by user admin due to lack of proper permissions or the object does not exist."
HTML = Response(200, {}, b"<html><body>Sign in</body></html>")
LOST_ON_THE_WAY = TransportError("no answer", maybe_arrived=True)
REMOTE = RemoteFile(name="a.gml", reference="$(FME_SHAREDRESOURCE_TEMP)/f/a.gml")


MAPPED = {fold("STOPPED"): Meaning(RunState.CANCELLED), fold("WENT"): Meaning(RunState.SUCCEEDED)}


def make(**settings):
    """A backend that nothing is connected to."""
    return FmeFlowV3(FmeFlowV3Settings(base_url="https://fme.example.com", token="t0ken", **settings))


@pytest.fixture
def backend():
    """As `make`."""
    return make()


def reply(status, body=None, headers=None):
    """An answer with a JSON body."""
    return Response(status, headers or {}, b"" if body is None else json.dumps(body).encode())


def said(status, message):
    """An answer in the vendor's own form of an error."""
    return reply(status, {"message": message})


def play(plan, *answers):
    """Play a plan to its end: what it returns, and what it asked."""
    asked = [next(plan)]
    for answer in answers:
        try:
            asked.append(plan.throw(answer) if isinstance(answer, Exception) else plan.send(answer))
        except StopIteration as end:
            assert answer is answers[-1], "it ended before all answers were used"
            return end.value, asked
    raise AssertionError(f"it wants more than that: {asked[-1]}")


def failing(plan, *answers):
    """Play a plan to its end, which is an error of ours."""
    with pytest.raises(FlowrunnerError) as caught:
        play(plan, *answers)
    return caught.value


def job(status="SUCCESS", **more):
    """The record of a job."""
    return reply(
        200, {"id": 4326, "status": status, "repository": "Samples", "workspace": "austinDownload.fmw", **more}
    )


# The answer the vendor shows of `transact` (documented in its tutorial)
RESULT = {
    "timeRequested": "2022-06-06T17:55:59Z",
    "requesterResultPort": 39405,
    "numFeaturesOutput": 4812,
    "requesterHost": "10.0.2.219",
    "timeStarted": "2022-06-06T17:55:59Z",
    "id": 4316,
    "timeFinished": "2022-06-06T17:56:02Z",
    "priority": -1,
    "statusMessage": "Translation Successful",
    "status": "SUCCESS",
}


# Submitting


def test_the_least_submission(backend):
    """The least submission names the workspace in its address, is not repeatable; 202 or 200 with an id accepts it."""
    for status in (202, 200):
        accepted, (request,) = play(backend.submit(Submission(flow=FLOW)), reply(status, {"id": 4326}))
        assert (accepted.id, accepted.observation.word, accepted.uploads) == ("4326", None, ())

    assert (request.method, request.repeatable) == ("POST", False)
    assert request.path == f"{API}/transformations/submit/Samples/austinDownload.fmw"
    assert request.json == {"publishedParameters": [], "TMDirectives": {"rtc": False}, "NMDirectives": {}}


def test_names_are_encoded_whole(backend):
    """Repository and workspace are one path part each, whatever is in them."""
    _, (request,) = play(backend.submit(Submission(flow="Ø & Å/räksbø 100%.fmw")), reply(202, {"id": 1}))

    assert request.path.endswith("/submit/%C3%98%20%26%20%C3%85/r%C3%A4ksb%C3%B8%20100%25.fmw")


def test_every_option_of_a_submission(backend):
    """Each option goes to the directive the vendor documents; durations become whole seconds."""
    options = SubmitOptions(
        queue="linux",
        description="nightly",
        max_run_time=timedelta(minutes=1),
        max_queue_time=120.9,
        success_topics=["a"],
        failure_topics=("b", "c"),
        directives={"k": "v"},
        extra={"rtc": True, "priority": 5},
    )
    _, (request,) = play(backend.submit(Submission(flow=FLOW, options=options)), reply(202, {"id": 1}))

    assert request.json["TMDirectives"] == {
        "rtc": True,
        "tag": "linux",
        "description": "nightly",
        "ttc": 60,
        "ttl": 120,
        "priority": 5,
    }
    assert request.json["NMDirectives"] == {
        "directives": [{"name": "k", "value": "v"}],
        "successTopics": ["a"],
        "failureTopics": ["b", "c"],
    }


VALUES = {
    "text": 'a "quoted" Ø & Å',
    "empty": "",
    "whole": 42,
    "part": 1.5,
    "yes": True,
    "list": ["a", "b"],
    "numbers": [1, 2.5],
    "tuple": ("a", 1),
    "dict": {"k": [date(2025, 1, 2)], "n": 1},
    "dicts": [{"n": 1}],
    "day": date(2025, 1, 2),
    "early": date(33, 1, 2),
    "moment": datetime(2025, 1, 2, 3, 4, 5),  # noqa: DTZ001 - one without a zone is what is tested
    "aware": datetime(2025, 1, 2, 3, 4, 5, 500_000, tzinfo=timezone(timedelta(hours=2))),
    "file": REMOTE,
}


def test_parameters_are_a_list_of_names_and_values(backend):
    """Numbers go as text, lists as texts, objects as they are, dates as yyyymmdd[hhmmss[.f][+hh:mm]]."""
    _, (request,) = play(
        backend.submit(Submission(flow=FLOW, parameters={**VALUES, "none": None})), reply(202, {"id": 1})
    )

    assert {each["name"]: each["value"] for each in request.json["publishedParameters"]} == {
        "text": 'a "quoted" Ø & Å',
        "empty": "",
        "whole": "42",
        "part": "1.5",
        "yes": True,
        "list": ["a", "b"],
        "numbers": ["1", "2.5"],
        "tuple": ["a", "1"],
        "dict": {"k": ["20250102"], "n": 1},
        "dicts": [{"n": 1}],
        "day": "20250102",
        "early": "00330102",
        "moment": "20250102030405",
        "aware": "20250102030405.5+02:00",
        "file": "$(FME_SHAREDRESOURCE_TEMP)/f/a.gml",
    }
    assert [each["name"] for each in request.json["publishedParameters"]] == list(VALUES)


@pytest.mark.parametrize("value", [object(), {1, 2}, b"bytes", 1j, Path("x")])
@pytest.mark.parametrize("payload", [None, b"data"])
def test_a_value_without_json_form_is_refused_before_any_request(backend, value, payload):
    """What cannot be written as JSON is InvalidParameters that names the parameter, and nothing is sent."""
    submission = Submission(flow=FLOW, parameters={"P": value}, payload=payload)
    with pytest.raises(InvalidParameters, match=r"parameter P: a .* cannot be sent") as caught:
        next(backend.run(submission, None))
    assert list(caught.value.problems) == ["P"]


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (SubmitOptions(max_run_time=0.5), "at least one second"),
        (SubmitOptions(max_queue_time=0), "at least one second"),
        (SubmitOptions(extra={"rtc": "yes"}), "rtc"),
        (SubmitOptions(extra={"priority": 0}), "1 to 200"),
        (SubmitOptions(extra={"priority": 201}), "1 to 200"),
        (SubmitOptions(extra={"priority": True}), "1 to 200"),
        (SubmitOptions(extra={"priority": "5"}), "1 to 200"),
    ],
)
def test_an_option_of_another_form_is_refused(backend, options, text):
    """A duration below a second, a priority out of range, an rtc that is no boolean: errors before any request."""
    with pytest.raises(InvalidRequest, match=text):
        next(backend.submit(Submission(flow=FLOW, options=options)))


def test_an_option_of_v4_is_an_error(backend):
    """What only V4 has is an error that names the option and what to use instead."""
    options = SubmitOptions(extra={"max_total_life_time": 5})
    for plan in (
        backend.submit(Submission(flow=FLOW, options=options)),
        backend.run(Submission(flow=FLOW, options=options), 5),
        backend.run(Submission(flow=FLOW, options=options, payload=b"x"), 5),
    ):
        with pytest.raises(UnsupportedOption, match=r"max_total_life_time.*use max_run_time") as caught:
            next(plan)
        assert caught.value.option == "max_total_life_time"


@pytest.mark.parametrize("flow", ["austinDownload.fmw", "/x.fmw", "Samples/", "", "a/..", "../b.fmw"])
def test_a_flow_is_written_repository_and_workspace(backend, flow):
    """A flow of another form is InvalidRequest before any request is made, wherever a flow is taken."""
    for plan in (
        backend.describe(flow),
        backend.submit(Submission(flow=flow)),
        backend.run(Submission(flow=flow), 5),
        backend.run(Submission(flow=flow, payload=b"x"), 5),
    ):
        with pytest.raises(InvalidRequest):
            next(plan)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (said(401, "Authentication failed: Failed to login"), AuthenticationError),
        (said(403, NO_ACCESS), PermissionDenied),
        (said(409, NO_ACCESS), PermissionDenied),
        (said(404, NO_ACCESS), FlowNotFound),
        (said(404, "Repository MyRepo does not exist."), FlowNotFound),
        (said(400, "malformed"), InvalidParameters),
        (said(422, "Parameter Validation Failed"), InvalidParameters),
        (Response(422), ProtocolError),
        (Response(404, {}, b"<html>404</html>"), ProtocolError),
        (said(409, "conflict"), InvalidRequest),
        (said(415, "content type"), InvalidRequest),
        (said(429, "slow down"), RateLimited),
        (said(500, "NullPointerException"), VendorError),
        (said(503, "starting"), VendorError),
        (Response(302, {"location": "https://login.example.com"}), ProtocolError),
        # What may have started a run all the same
        (Response(500, {}, b"<html>"), SubmissionUncertain),
        (Response(504), SubmissionUncertain),
        (said(408, "timeout"), SubmissionUncertain),
        (HTML, SubmissionUncertain),
        (Response(202), SubmissionUncertain),
        (reply(202, {"id": "42"}), SubmissionUncertain),
        (reply(202, {"jobId": 42}), SubmissionUncertain),
        (LOST_ON_THE_WAY, SubmissionUncertain),
        (TransportError("refused", maybe_arrived=False), TransportError),
    ],
)
@pytest.mark.parametrize("how", ["submit", "transact", "transactdata"])
def test_the_errors_of_a_submission(backend, answer, expected, how):
    """Each answer is the error of its kind; where a run may have been started, SubmissionUncertain with its cause."""
    submission = Submission(flow=FLOW, payload=b"x" if how == "transactdata" else None)
    error = failing(backend.submit(submission) if how == "submit" else backend.run(submission, 5), answer)

    assert expected is type(error)
    if expected is SubmissionUncertain:
        assert isinstance(error.__cause__, FlowrunnerError)


# Running at once


def test_a_run_that_the_vendor_waits_for(backend):
    """`transact` takes the same body, waits as long as the caller, and answers with the end."""
    accepted, (request,) = play(backend.run(Submission(flow=FLOW, parameters={"a": 1}), 7.5), reply(200, RESULT))

    assert (request.method, request.repeatable, request.timeout) == ("POST", False, 7.5)
    assert request.path == f"{API}/transformations/transact/Samples/austinDownload.fmw"
    assert request.json["publishedParameters"] == [{"name": "a", "value": "1"}]
    seen = accepted.observation
    assert (accepted.id, seen.word, seen.message) == ("4316", "SUCCESS", "Translation Successful")
    assert datetime(2022, 6, 6, 17, 55, 59, tzinfo=UTC) == seen.queued_at == seen.started_at
    assert datetime(2022, 6, 6, 17, 56, 2, tzinfo=UTC) == seen.finished_at
    _, (endless,) = play(backend.run(Submission(flow=FLOW), None), reply(200, RESULT))
    assert endless.timeout >= 24 * 3600


@pytest.mark.parametrize("status", [200, 422])
@pytest.mark.parametrize("payload", [None, b"x"])
def test_a_failed_translation_is_a_run_and_no_refusal(backend, status, payload):
    """A failed job comes with 200 by some servers and with 422 by others: with a result, it is a run that failed."""
    answer = reply(status, {**RESULT, "status": "FME_FAILURE", "statusMessage": "boom"})
    accepted, _ = play(backend.run(Submission(flow=FLOW, payload=payload), 5), answer)

    assert (accepted.id, accepted.observation.word, accepted.observation.message) == ("4316", "FME_FAILURE", "boom")


def test_a_payload_is_the_body(backend):
    """`transactdata` has the bytes as its body; options and parameters stand in the query, lists as repeated keys."""
    options = SubmitOptions(
        queue="linux",
        description="Ø",
        max_run_time=60,
        max_queue_time=120,
        success_topics=["a", "b"],
        failure_topics=["c"],
    )
    parameters = {
        "T": 'a "b"',
        "N": 4.5,
        "L": ["x", "y"],
        "B": True,
        "O": {"k": 1},
        "none": None,
        "D": date(2025, 1, 2),
    }
    submission = Submission(flow=FLOW, parameters=parameters, payload=b"<data/>", options=options)
    accepted, (request,) = play(backend.run(submission, 5), reply(200, RESULT))

    assert (request.method, request.repeatable, request.timeout) == ("POST", False, 5)
    assert request.path == f"{API}/transformations/transactdata/Samples/austinDownload.fmw"
    assert request.headers == {"Content-Type": "application/octet-stream"}
    assert b"".join(request.file.chunks()) == b"<data/>"
    assert request.query == (
        ("opt_description", "Ø"),
        ("opt_tag", "linux"),
        ("opt_ttc", "60"),
        ("opt_ttl", "120"),
        ("opt_successtopics", "a"),
        ("opt_successtopics", "b"),
        ("opt_failuretopics", "c"),
        ("T", 'a "b"'),
        ("N", "4.5"),
        ("L", "x"),
        ("L", "y"),
        ("B", "true"),
        ("O", '{"k": 1}'),
        ("D", "20250102"),
    )
    assert (accepted.id, accepted.observation.word) == ("4316", "SUCCESS")


@pytest.mark.parametrize(
    ("options", "option"),
    [
        (SubmitOptions(extra={"rtc": True}), "rtc"),
        (SubmitOptions(extra={"priority": 5}), "priority"),
        (SubmitOptions(directives={"k": "v"}), "directives"),
    ],
)
def test_a_payload_takes_no_directives(backend, options, option):
    """`transactdata` knows neither rtc, nor priority, nor directives (observed): an error names the option."""
    with pytest.raises(UnsupportedOption, match=option) as caught:
        next(backend.run(Submission(flow=FLOW, payload=b"x", options=options), 5))
    assert option == caught.value.option


NAMED = SubmitOptions(extra={"payload_parameter": "P"})


@pytest.mark.parametrize("waits", [False, True])
def test_a_payload_whose_parameter_is_named(backend, waits):
    """A payload is uploaded first and its parameter refers to it, where `submit` does not wait or the caller says."""
    submission = Submission(flow=FLOW, payload=b"<data/>", options=NAMED, upload_folder="f", parameters={"a": 1})
    plan = backend.run(submission, 5) if waits else backend.submit(submission)
    accepted, (upload, request) = play(plan, reply(201, {"name": "payload"}), reply(202, RESULT))

    assert upload.path == f"{API}/resources/connections/FME_SHAREDRESOURCE_TEMP/filesys/f"
    assert f"/{'transact' if waits else 'submit'}/" in request.path
    assert request.json["publishedParameters"] == [
        {"name": "a", "value": "1"},
        {"name": "P", "value": "$(FME_SHAREDRESOURCE_TEMP)/f/payload"},
    ]
    (file,) = accepted.uploads
    assert (file.reference, file.size) == ("$(FME_SHAREDRESOURCE_TEMP)/f/payload", 7)


# Observing


def test_a_look_at_a_job(backend):
    """A look is one GET of the record, read with its times and its flow; nothing is held."""
    answer = job(
        "PULLED",
        timeSubmitted="2022-06-06T17:55:58Z",
        timeQueued="2022-06-06T17:55:59Z",
        timeStarted="2022-06-06T10:56:00-07:00",
        description="",
        engineHost="",
    )
    seen, (request,) = play(backend.observe(REF, 20), answer)

    assert (request.method, request.path, request.query, request.repeatable) == ("GET", JOB, (), True)
    assert (seen.word, seen.flow, seen.message, seen.remarks) == ("PULLED", FLOW, None, ())
    assert datetime(2022, 6, 6, 17, 55, 59, tzinfo=UTC) == seen.queued_at
    assert datetime(2022, 6, 6, 17, 56, tzinfo=UTC) == seen.started_at
    assert seen.finished_at is None
    assert b'"PULLED"' in seen.raw


@pytest.mark.parametrize("absent", [None, "", "0001-01-01T00:00:00Z", 7, "no time", "Mon-14-Nov-2022 07:20:24 PM"])
def test_times_that_are_none(backend, absent):
    """Null, empty, Go's zero and anything that is no time are no time, and do not spoil the rest."""
    seen, _ = play(
        backend.observe(REF),
        job("QUEUED", timeQueued=absent, timeStarted=absent, timeFinished=absent, result={"timeFinished": absent}),
    )

    assert (seen.word, seen.queued_at, seen.started_at, seen.finished_at) == ("QUEUED", None, None, None)


BARE = job("PULLED", timeStarted="2017-05-29T01:33:55")


@pytest.mark.parametrize(
    ("zone", "started"),
    [
        ("+0200", datetime(2017, 5, 28, 23, 33, 55, tzinfo=UTC)),
        ("-0730", datetime(2017, 5, 29, 9, 3, 55, tzinfo=UTC)),
        ("+0000", datetime(2017, 5, 29, 1, 33, 55, tzinfo=UTC)),
    ],
)
def test_times_without_a_zone_are_the_servers_own(backend, zone, started):
    """A time without a zone is in the one that /info names; it is asked once, and only when there is such a time."""
    seen, (_, info) = play(backend.observe(REF), BARE, reply(200, {"timeZone": zone}))

    assert (info.method, info.path) == ("GET", f"{API}/info")
    assert (started, ()) == (seen.started_at, seen.remarks)
    again, asked = play(backend.observe(REF), BARE)
    assert (started, 1) == (again.started_at, len(asked))


def test_times_without_a_zone_by_the_setting():
    """The setting `time_zone` decides without asking; summer time counts."""
    for zone, hour in (("+01:00", 0), ("Europe/Oslo", 23)):
        seen, asked = play(make(time_zone=zone).observe(REF), BARE)
        assert (hour, 1, ()) == (seen.started_at.hour, len(asked), seen.remarks)


@pytest.mark.parametrize(
    "info",
    [reply(200, {}), reply(200, {"timeZone": "the moon"}), said(403, "no"), Response(404), HTML, reply(200, [])],
)
def test_times_without_a_zone_and_without_a_server_that_names_it(backend, info):
    """Where neither a setting nor the server names the zone, it is UTC, and that is said once."""
    seen, _ = play(backend.observe(REF), BARE, info)

    assert datetime(2017, 5, 29, 1, 33, 55, tzinfo=UTC) == seen.started_at
    (remark,) = seen.remarks
    assert "UTC" in remark
    assert "time_zone" in remark
    again, asked = play(backend.observe(REF), BARE)
    assert (len(asked), again.remarks) == (1, ())


@pytest.mark.parametrize("away", [LOST_ON_THE_WAY, Response(503)])
def test_a_server_that_is_away_when_its_zone_is_asked(backend, away):
    """A server that does not answer just then is asked again, instead of being misread from then on."""
    seen, _ = play(backend.observe(REF), BARE, away)
    assert seen.remarks

    again, (_, info) = play(backend.observe(REF), BARE, reply(200, {"timeZone": "+0200"}))
    assert info.path == f"{API}/info"
    assert datetime(2017, 5, 28, 23, 33, 55, tzinfo=UTC) == again.started_at


@pytest.mark.parametrize("name", ["", "the moon", "Europe", "+9999", "..", "/etc/passwd", "+1", "\0"])
def test_what_is_no_zone(name):
    """A name that is none is a ValueError of ours, in the setting too."""
    with pytest.raises(ValueError, match="is no time zone"):
        zone_of(name)
    with pytest.raises(ValueError, match="is no time zone"):
        make(time_zone=name)


@pytest.mark.parametrize(
    ("record", "result", "word", "anomaly"),
    [
        ("SUCCESS", "SUCCESS", "SUCCESS", False),
        ("SUCCESS", "FME_FAILURE", "FME_FAILURE", True),
        ("SUCCESS", "ABORTED", "ABORTED", True),
        ("FME_FAILURE", "SUCCESS", "FME_FAILURE", True),
        ("ABORTED", "SUCCESS", "ABORTED", True),
        ("JOB_FAILURE", "FME_FAILURE", "JOB_FAILURE", False),
        ("SUCCESS", "", "SUCCESS", False),
        ("SUCCESS", None, "SUCCESS", False),
        ("SUCCESS", "ODD", "SUCCESS", False),
        ("PULLED", "SUCCESS", "PULLED", False),
        ("COMPLETED", "FME_FAILURE", "FME_FAILURE", False),
        ("COMPLETED", None, "COMPLETED", False),
        ("ODD", None, "ODD", False),
        ("", "SUCCESS", "SUCCESS", False),
        ("", "", None, False),
    ],
)
def test_record_and_result_that_disagree(backend, record, result, word, anomaly):
    """Where record and result disagree about the end the failure counts, and that is told; a success needs both."""
    seen, _ = play(backend.observe(REF), job(record, result={"status": result, "statusMessage": ""}))

    assert (word, anomaly) == (seen.word, bool(seen.remarks))
    assert seen.message is None


def test_every_documented_word_has_its_state(backend):
    """The words of V3 mean what the vendor says; PULLED is running, COMPLETED is no outcome."""
    states = {
        "SUBMITTED": "queued",
        "QUEUED": "queued",
        "DELAYED": "queued",
        "PAUSED": "waiting",
        "PULLED": "running",
        "IN_PROCESS": "running",
        "RUNNING": "running",
        "SUCCESS": "succeeded",
        "FME_FAILURE": "failed",
        "JOB_FAILURE": "failed",
        "ABORTED": "cancelled",
        "DELETED": "cancelled",
    }
    from flowrunner.states import fold

    assert states == {word: backend.words[fold(word)].state for word in states}
    assert backend.words[fold("COMPLETED")].state is None


@pytest.mark.parametrize(
    ("answer", "expected", "transient"),
    [
        (said(404, "The job 4326 does not exist."), RunNotFound, False),
        (said(404, NO_ACCESS), PermissionDenied, True),
        (Response(404, {}, b"<html>"), ProtocolError, True),
        (Response(404), ProtocolError, True),
        (said(401, "no"), AuthenticationError, False),
        (said(403, "no"), PermissionDenied, False),
        (said(400, "bad"), InvalidRequest, False),
        (Response(429, {"retry-after": "7"}), RateLimited, True),
        (Response(500), VendorError, True),
        (HTML, ProtocolError, True),
        (Response(204), ProtocolError, True),
        (reply(200, [1]), ProtocolError, True),
    ],
)
def test_the_errors_of_a_look(backend, answer, expected, transient):
    """A 404 counts only in the vendor's own words and where it cannot mean a missing permission."""
    for plan in (backend.observe(REF), backend.result(REF)):
        error = failing(plan, answer)
        assert (expected, transient) == (type(error), error.transient)


# The result and the log


def test_a_result(backend):
    """The record holds the result: message, features, effort, and the dataset to download."""
    url = "http://localhost/fmedatadownload/results/FME_1.zip"
    answer = job(
        elapsedTime=2494,
        cpuTime=2413,
        cpuPct=96.8,
        peakMemUsage=68437168,
        numLines=250,
        numWarnings=0,
        numErrors=0,
        result={**RESULT, "resultDatasetDownloadUrl": url},
        request={"publishedParameters": [{"name": "THEMES", "raw": "Private Other NonCity"}]},
    )
    described = reply(200, [{"name": "THEMES", "type": "LISTBOX", "model": "list"}])
    outcome, (request, _) = play(backend.result(REF), answer, described)

    assert request.path == JOB
    assert outcome.metrics == {
        "features_written": 4812,
        "elapsed_seconds": 2.494,
        "cpu_seconds": 2.413,
        "cpu_percent": 96.8,
        "peak_memory": 68437168,
        "log_lines": 250,
        "warnings": 0,
        "errors": 0,
    }
    assert {"download_url": url} == outcome.outputs
    assert (ArtifactSource(name="FME_1.zip", location=url),) == outcome.artifacts
    (seen,) = outcome.observations
    assert (seen.word, seen.message, seen.is_result) == ("SUCCESS", "Translation Successful", True)
    assert outcome.raw["job"]["request"]["publishedParameters"] == [{"name": "THEMES", "raw": "Private Other NonCity"}]


ECHO = [{"name": "KEY", "raw": "hunter22"}, {"name": "CITY", "value": "Oslo"}]


@pytest.mark.parametrize(
    ("described", "shown"),
    [
        (reply(200, [{"name": "KEY", "type": "PASSWORD"}, {"name": "CITY", "type": "TEXT"}]), ["***", "Oslo"]),
        (said(404, "Item does not exist."), ["***", "***"]),
    ],
)
def test_passwords_that_are_repeated(backend, described, shown):
    """A record repeats what was submitted; passwords are masked in a result, and all values where none are known."""
    outcome, _ = play(backend.result(REF), job(request={"publishedParameters": ECHO}), described)

    echoed = outcome.raw["job"]["request"]["publishedParameters"]
    assert [each.get("raw", each.get("value")) for each in echoed] == shown


def test_no_value_is_kept_with_a_status(backend):
    """Which parameters are passwords a record does not say, so a status keeps none of the values it repeats."""
    seen, _ = play(backend.observe(REF), job(request={"publishedParameters": ECHO}))

    assert b"hunter22" not in seen.raw
    assert b"Oslo" not in seen.raw
    assert json.loads(seen.raw)["request"]["publishedParameters"] == [
        {"name": "KEY", "raw": "***"},
        {"name": "CITY", "value": "***"},
    ]


@pytest.mark.parametrize("request_", [{"publishedParameters": 7}, {"publishedParameters": [7]}, 7])
def test_a_repetition_that_makes_no_sense(backend, request_):
    """What is repeated in another form leaves the record as it is."""
    answer = job(request=request_)
    seen, _ = play(backend.observe(REF), answer)

    assert seen.raw == answer.content


def test_a_result_of_a_server_of_2018(backend):
    """A server that shows no counts, and no result, has none; that is no error."""
    outcome, _ = play(backend.result(REF), job("ABORTED"))

    assert (outcome.metrics, outcome.outputs, outcome.artifacts) == ({}, {}, ())
    assert [seen.word for seen in outcome.observations] == ["ABORTED"]


@pytest.mark.parametrize(
    ("url", "name"), [("http://[h/x.zip", "result"), ("https://h", "result"), ("https://h/..%5Cb%00.zip", "b.zip")]
)
def test_the_name_of_a_dataset(backend, url, name):
    """The dataset's name is the last part of its address, safe in any folder, whatever the address."""
    outcome, _ = play(backend.result(REF), job(result={"resultDatasetDownloadUrl": url}))

    assert [artifact.name for artifact in outcome.artifacts] == [name]


def test_the_log_is_streamed_as_text(backend):
    """The log is asked for as text and handed out line by line."""
    lines = iter(["a", "b"])
    shown, (request,) = play(backend.logs(REF), Response(200, {}, lines=lines))

    assert shown is lines
    assert (request.path, request.query, request.stream) == (f"{JOB}/log", (("accept", "contents"),), True)
    assert request.headers == {"Accept": "text/plain"}


def test_a_job_without_a_log(backend):
    """A log that is not there does not mean that the run is not: the job is asked for before that is said."""
    missing = said(404, "The log of the job 4326 does not exist.")
    error = failing(backend.logs(REF), missing, job("QUEUED"))
    assert (InvalidRequest, True) == (type(error), error.transient)
    assert "no log yet" in str(error)

    assert isinstance(failing(backend.logs(REF), missing, said(404, "no such job")), RunNotFound)
    assert isinstance(failing(backend.logs(REF), said(401, "no")), AuthenticationError)
    assert isinstance(failing(backend.logs(REF), Response(404, {}, b"<html>")), ProtocolError)


# Cancelling

GONE = said(404, "The job 4326 does not exist.")
DONE = Response(204)


@pytest.mark.parametrize(
    ("answers", "sections"),
    [
        ((DONE, job("ABORTED")), ["queued"]),
        ((GONE, DONE, job("ABORTED")), ["queued", "running"]),
        ((GONE, GONE, DONE, job("ABORTED")), ["queued", "running", "active"]),
        ((DONE, job("DELETED")), ["queued"]),
        ((DONE, GONE), ["queued"]),
    ],
)
def test_a_cancelled_job(backend, answers, sections):
    """A job is cancelled as queued, then as running, then as either, since it may move on between the first two."""
    answer, asked = play(backend.cancel(REF), *answers)

    assert [(each.method, each.path) for each in asked[: len(sections)]] == [
        ("DELETE", f"{API}/transformations/jobs/{section}/4326") for section in sections
    ]
    assert CancelOutcome.CONFIRMED is answer.outcome


@pytest.mark.parametrize(
    ("look", "outcome"),
    [
        (job("PULLED"), CancelOutcome.REQUESTED),
        (job("SUCCESS"), CancelOutcome.TOO_LATE),
        (Response(503), CancelOutcome.REQUESTED),
        (LOST_ON_THE_WAY, CancelOutcome.REQUESTED),
    ],
)
def test_an_accepted_cancellation_shows_later(backend, look, outcome):
    """The record after an accepted cancellation tells what became of it; that it cannot be read changes nothing."""
    assert outcome is play(backend.cancel(REF), GONE, DONE, look)[0].outcome


@pytest.mark.parametrize("maybe_arrived", [True, False])
def test_a_cancellation_whose_answer_is_lost(backend, maybe_arrived):
    """It is not repeatable: one look tells, if it may have arrived at all."""
    lost = TransportError("cut", maybe_arrived=maybe_arrived)
    if not maybe_arrived:
        assert failing(backend.cancel(REF), lost) is lost
        return
    for look, outcome in (
        (job("ABORTED"), CancelOutcome.CONFIRMED),
        (GONE, CancelOutcome.CONFIRMED),
        (job("SUCCESS"), CancelOutcome.TOO_LATE),
    ):
        answer, (request, second) = play(backend.cancel(REF), lost, look)
        assert (answer.outcome, request.repeatable, second.method) == (outcome, False, "GET")
    for look in (job("PULLED"), reply(200, {"status": "odd"}), Response(500), LOST_ON_THE_WAY):
        assert failing(backend.cancel(REF), lost, look) is lost


def test_words_that_were_taught():
    """`status_map` counts wherever a word is judged: after cancelling, in lists, and where record and result differ."""
    taught = make(status_map=MAPPED)
    assert play(taught.cancel(REF), DONE, job("STOPPED"))[0].outcome is CancelOutcome.CONFIRMED
    assert play(taught.cancel(REF), GONE, GONE, GONE, job("WENT"))[0].outcome is CancelOutcome.TOO_LATE
    items = [{"id": number, "status": word} for number, word in enumerate(("STOPPED", "WENT", "SUCCESS"))]
    query = RunQuery(states=frozenset({RunState.SUCCEEDED}))
    page, _ = play(taught.list_runs(query), reply(200, {"items": items, "totalCount": 3}))
    assert [each.id for each in page.items] == ["1", "2"]


def test_a_job_that_cannot_be_cancelled(backend):
    """A job in none of the sections has ended, is unknown, or was just between them."""
    answer, _ = play(backend.cancel(REF), GONE, GONE, GONE, job("SUCCESS"))
    assert (answer.outcome, answer.observation.word) == (CancelOutcome.TOO_LATE, "SUCCESS")

    assert isinstance(failing(backend.cancel(REF), GONE, GONE, GONE, GONE), RunNotFound)
    between = failing(backend.cancel(REF), GONE, GONE, GONE, job("PULLED"))
    assert (InvalidRequest, True) == (type(between), between.transient)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (Response(404, {}, b"<html>"), ProtocolError),
        (said(401, "no"), AuthenticationError),
        (said(403, "no"), PermissionDenied),
        (Response(500), VendorError),
    ],
)
def test_the_errors_of_a_cancellation(backend, answer, expected):
    """A 404 of something else than the API, and a refusal, end the attempt: they say nothing about the job."""
    assert expected is type(failing(backend.cancel(REF), answer))


# Listing


def listed(*ids, **page):
    """A page of jobs."""
    return reply(200, {"items": [{"id": each, "status": "SUCCESS"} for each in ids], **page})


def test_runs_are_listed_active_then_completed(backend):
    """Active jobs come before completed ones, a thousand a page; a page that is not the last names the next."""
    first, (request,) = play(backend.list_runs(RunQuery()), listed(3, limit=1, totalCount=2))
    assert (request.path, request.query) == (
        f"{API}/transformations/jobs/active",
        (("limit", "1000"), ("offset", "0")),
    )
    assert ([item.id for item in first.items], first.next) == (["3"], (0, 1))
    second, (request,) = play(backend.list_runs(RunQuery(), first.next), listed(2, limit=1, totalCount=2))
    assert (request.query[-1], second.next) == (("offset", "1"), (1, 0))
    last, (request,) = play(backend.list_runs(RunQuery(), second.next), listed(limit=1, totalCount=0))
    assert (request.path, last.items, last.next) == (f"{API}/transformations/jobs/completed", (), None)


@pytest.mark.parametrize(
    ("page", "after"),
    [
        ({"totalCount": -1, "limit": -1, "offset": -1}, None),
        ({"totalCount": 2, "limit": 2}, None),
        ({"totalCount": 3, "limit": 1000}, 2),
        ({"limit": 2}, 2),
        ({"limit": 3}, None),
        ({}, None),
    ],
)
def test_where_the_next_page_starts(backend, page, after):
    """The total decides; without one, a page that is as long as its limit is not the last; -1 is no limit."""
    shown, _ = play(backend.list_runs(RunQuery(states=frozenset({RunState.SUCCEEDED}))), listed(1, 2, **page))

    assert shown.next == (None if after is None else (0, after))


@pytest.mark.parametrize(
    ("states", "sections"),
    [
        ({RunState.QUEUED}, ["active"]),
        ({RunState.WAITING}, ["active"]),
        ({RunState.FAILED, RunState.RUNNING}, ["active", "completed"]),
        ({RunState.SUCCEEDED}, ["completed"]),
    ],
)
def test_states_are_sorted_out_here(backend, states, sections):
    """Only the sections that may hold a state are asked, and only jobs in one are shown."""
    seen, cursor = [], None
    for section in sections:
        page, (request,) = play(
            backend.list_runs(RunQuery(states=frozenset(states), flow="R x/w.fmw", limit=5), cursor),
            reply(200, {"items": [{"id": 1, "status": "ODD"}, {"id": 2, "status": "PULLED"}, {"id": 3}]}),
        )
        seen.append(request.path.rpartition("/")[2])
        assert [item.id for item in page.items] == (["2"] if RunState.RUNNING in states else [])
        cursor = page.next
        assert request.query[:2] == (("repository", "R x"), ("workspace", "w.fmw"))
        assert ("limit", "1000") in request.query
        assert section == seen[-1]
    assert cursor is None


def test_a_state_the_vendor_has_not(backend):
    """A state that no list holds shows nothing, and nothing is asked."""
    with pytest.raises(StopIteration) as end:
        next(backend.list_runs(RunQuery(states=frozenset({RunState.LOST}))))
    assert end.value.value == Page(())


def test_a_limit_bounds_the_page(backend):
    """A limit smaller than a page asks for no more than that; 0 asks for one."""
    for limit, asked in ((7, "7"), (5000, "1000"), (0, "1")):
        _, (request,) = play(backend.list_runs(RunQuery(limit=limit)), listed())
        assert ("limit", asked) in request.query


def test_flows_are_listed_by_repository(backend):
    """Repositories are listed whole, then the workspaces of one a page."""
    first, (repositories, items) = play(
        backend.list_flows(),
        reply(200, {"items": [{"name": "Ø & Å"}, {"name": "Samples"}], "limit": -1, "totalCount": 2}),
        reply(200, {"items": [{"name": "w.fmw", "title": "T", "description": ""}]}),
    )

    assert (repositories.path, items.path) == (
        f"{API}/repositories",
        f"{API}/repositories/%C3%98%20%26%20%C3%85/items",
    )
    assert items.query == (("type", "WORKSPACE"), ("limit", "-1"), ("offset", "-1"))
    assert (FlowInfo(flow="Ø & Å/w.fmw", title="T"),) == first.items
    second, _ = play(
        backend.list_flows(first.next), reply(200, {"items": [{"name": "a.fmw", "repositoryName": "Samples"}]})
    )
    assert ([flow.flow for flow in second.items], second.next) == (["Samples/a.fmw"], None)
    assert play(backend.list_flows(), reply(200, {"items": []}))[0] == Page(())


@pytest.mark.parametrize(
    "answer", [HTML, reply(200, {"items": 7}), reply(200, {"items": [{"id": "x"}]}), Response(204)]
)
def test_lists_that_cannot_be_read(backend, answer):
    """A list that is none, or holds something else, is ProtocolError."""
    assert isinstance(failing(backend.list_runs(RunQuery()), answer), ProtocolError)
    assert isinstance(failing(backend.list_flows(), answer), ProtocolError)


def test_a_flow_is_described(backend):
    """A description is a bare array, asked for at the workspace."""
    body = [{"name": "THEMES", "model": "list", "type": "LISTBOX", "optional": True}]
    spec, (request,) = play(backend.describe("Ø & Å/räksbø 100%.fmw"), reply(200, body))

    assert request.path == f"{API}/repositories/%C3%98%20%26%20%C3%85/items/r%C3%A4ksb%C3%B8%20100%25.fmw/parameters"
    assert (spec.parameter("THEMES").multiple, spec.parameter("THEMES").required) == (True, False)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (said(404, "Item x.fmw does not exist."), FlowNotFound),
        (said(403, "no"), PermissionDenied),
        (said(401, "no"), AuthenticationError),
        (Response(404, {}, b"<html>"), ProtocolError),
        (Response(500), VendorError),
        (HTML, ProtocolError),
        (reply(200, {"count": 0}), ProtocolError),
        (reply(200, [7]), ProtocolError),
        (Response(204), ProtocolError),
    ],
)
def test_a_description_that_cannot_be_had(backend, answer, expected):
    """Absent, forbidden and unreadable are told apart as far as the answer does."""
    assert expected is type(failing(backend.describe(FLOW), answer))


# Health

WELL = reply(200, {"status": "ok"})
SICK = Response(500, {}, b"An FME Flow component is unavailable.")
INFO = reply(200, {"build": "FME Server 2023.0 - Build 23166 - linux-x64", "timeZone": "+0000"})


def test_a_healthy_connection(backend):
    """The health check carries no credential; /info does, and shows whether it is accepted."""
    health, (ready, info) = play(backend.health(), WELL, INFO)

    assert (ready.path, ready.query, ready.anonymous) == (f"{API}/healthcheck", (("ready", "true"),), True)
    assert (info.path, info.anonymous) == (f"{API}/info", False)
    version = "FME Server 2023.0 - Build 23166 - linux-x64"
    assert Health(reachable=True, authenticated=True, healthy=True, version=version, api="REST V3") == health


@pytest.mark.parametrize(
    ("answers", "reachable", "authenticated", "healthy"),
    [
        ((Response(200, {}, b"OK"), INFO), True, True, True),
        ((Response(200, {}, b" ok\n"), INFO), True, True, True),
        ((SICK, INFO), True, True, False),
        ((reply(500, {"status": "error", "message": "sick"}), INFO), True, True, False),
        ((reply(200, {"status": "error"}), INFO), True, True, False),
        ((reply(200, {"message": "?"}), INFO), True, True, None),
        ((reply(200, "ok"), INFO), True, True, None),
        ((HTML, HTML), False, None, None),
        ((Response(404), Response(404)), False, None, None),
        ((Response(503, {}, b"<html>"), Response(503)), False, None, None),
        ((WELL, said(401, "no")), True, False, True),
        ((WELL, said(403, "no")), True, True, True),
        ((WELL, Response(500)), True, None, True),
        ((WELL, reply(200, [])), True, None, True),
        ((LOST_ON_THE_WAY,), False, None, None),
        ((WELL, LOST_ON_THE_WAY), False, None, None),
    ],
)
def test_how_a_connection_stands(backend, answers, *, reachable, authenticated, healthy):
    """Health in JSON or in text, a sick server, a refused credential and a proxy are answers, each told apart."""
    health, _ = play(backend.health(), *answers)

    assert (reachable, authenticated, healthy) == (health.reachable, health.authenticated, health.healthy)
    assert health.api == "REST V3"


# What holds for all


@pytest.mark.parametrize("suffix", ["", "/", "/fmerest/v3", "/fmeserver", "/fmeflow/"])
def test_the_address_of_a_page_will_do(suffix):
    """People copy addresses of web pages and interfaces: what the server adds to its root is cut off."""
    backend = FmeFlowV3(FmeFlowV3Settings(base_url=f"https://fme.example.com{suffix}", token="t0ken"))

    assert backend.base_url == "https://fme.example.com"
    assert backend.authorize()["Authorization"].reveal() == "fmetoken token=t0ken"
    assert backend.is_prepared
    assert Capability.LOGS in backend.capabilities
    assert Capability.LONG_POLL not in backend.capabilities


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
TIMES = st.datetimes().map(lambda moment: moment.isoformat()) | st.sampled_from(
    ["9999-12-31T23:59:59-10:00", "9999-12-31T23:59:59", "0001-01-02T00:00:00", "0001-01-01T00:00:00Z", ""]
)
WORDS = st.sampled_from(["QUEUED", "PULLED", "SUCCESS", "FME_FAILURE", "ABORTED", "COMPLETED", "odd", ""])
KNOWN = {
    "id": st.integers(),
    "status": WORDS,
    "result": st.dictionaries(st.sampled_from(["id", "status", "timeFinished"]), JSON | WORDS | TIMES),
    "items": st.lists(
        JSON | st.dictionaries(st.sampled_from(["id", "status", "name", "timeQueued"]), JSON | TIMES), max_size=3
    ),
    "message": st.text(max_size=8),
    "timeQueued": TIMES,
    "timeFinished": TIMES,
    "timeZone": st.sampled_from(["+0200", "-9999", "Europe/Oslo", "Europe", "/", ""]),
    "build": st.sampled_from(["Build 25208", "Build " + "9" * 5000, "Build"]),
    "totalCount": JSON,
    "limit": JSON,
    "elapsedTime": JSON,
}
PLANS = {
    "submit": lambda backend: backend.submit(Submission(flow=FLOW)),
    "submit payload": lambda backend: backend.submit(Submission(flow=FLOW, payload=b"x", upload_folder="f")),
    "named payload": lambda backend: backend.submit(
        Submission(flow=FLOW, payload=b"x", upload_folder="f", options=NAMED)
    ),
    "run": lambda backend: backend.run(Submission(flow=FLOW), 5),
    "run payload": lambda backend: backend.run(Submission(flow=FLOW, payload=b"x"), 5),
    "observe": lambda backend: backend.observe(REF),
    "result": lambda backend: backend.result(REF),
    "logs": lambda backend: backend.logs(REF),
    "cancel": lambda backend: backend.cancel(REF),
    "runs": lambda backend: backend.list_runs(RunQuery()),
    "flows": lambda backend: backend.list_flows(),
    "describe": lambda backend: backend.describe(FLOW),
    "health": lambda backend: backend.health(),
    "download": lambda backend: backend.download(ArtifactSource(name="x", location="/x"), Path("x"), None),
    "download file": lambda backend: backend.download_file("$(X)/a", Path("x"), None),
    "download folder": lambda backend: backend.download_file("$(X)/a/", Path("x"), None),
    "upload": lambda backend: backend.upload(Upload(name="x", folder="f", content=FileBody(before=b"x"))),
    "remove": lambda backend: backend.remove(REMOTE),
}


@given(
    plan=st.sampled_from(sorted(PLANS)),
    statuses=st.lists(
        st.sampled_from([200, 200, 200, 201, 202, 204, 207, 400, 401, 404, 409, 422, 429, 500, 503]),
        min_size=6,
        max_size=6,
    ),
    body=JSON | st.fixed_dictionaries({}, optional={key: value | JSON for key, value in KNOWN.items()}),
    headers=st.fixed_dictionaries({}, optional={"retry-after": st.text(max_size=30), "location": st.text(max_size=8)}),
)
@example(
    plan="observe", statuses=[200] * 6, body={"timeFinished": "9999-12-31T23:59:59", "timeZone": "-0100"}, headers={}
)
@example(plan="describe", statuses=[200] * 6, body=[{"name": "P", "listOptions": 7}], headers={})
@example(plan="result", statuses=[200] * 6, body={"elapsedTime": 10**400, "cpuTime": 1e308}, headers={})
def test_whatever_the_server_says_only_our_errors_come_out(plan, statuses, body, headers):
    """Any JSON as the body of any answer to any plan is a value or an error of ours."""
    playing = PLANS[plan](make())
    content = json.dumps(body).encode()
    next(playing)
    with pytest.raises((StopIteration, FlowrunnerError)) as ended:  # noqa: PT012 - how many requests there are varies
        for status in statuses:
            playing.send(Response(status, headers, content))
    outcome = ended.value
    if isinstance(outcome, FlowrunnerError):
        assert str(outcome)
        assert outcome.retry_after is None or 0 <= outcome.retry_after < math.inf


@given(content=st.binary(max_size=40), plan=st.sampled_from(sorted(PLANS)))
@example(content=b"[" * 100_000, plan="observe")
@example(content=b'[{"name": "P", "description": ' + b"[" * 960 + b"]" * 960 + b"}]", plan="describe")
@example(content=b"\xef\xbb\xbf{}", plan="submit")
@example(content=b"1" * 5000, plan="describe")
def test_whatever_bytes_come_only_our_errors_come_out(content, plan):
    """Bytes that are no JSON at all are an error of ours, too."""
    playing = PLANS[plan](make())
    try:
        next(playing)
        for _ in range(6):
            playing.send(Response(200, {}, content))
    except (StopIteration, FlowrunnerError):
        pass
    else:
        pytest.fail("a plan of more than six requests")
