"""FME Flow V4: what each plan asks, and what it makes of each answer. Nothing here does I/O."""

import json
import math
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from flowrunner.backend import RunQuery, Submission, Upload
from flowrunner.backends._fme import NoJobEndpoint
from flowrunner.backends.fme_flow_v4 import FmeFlowV4, FmeFlowV4Settings
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
from flowrunner.plans import FileBody, Response

WIRE = Path(__file__).parent / "wire"
FLOW = "Samples/austinDownload.fmw"
REF = RunRef("prod", "fme-flow-v4", FLOW, "42")
JOB = "/fmeapiv4/jobs/42"
NO_ACCESS = "Unauthorized request by user admin due to lack of proper permissions or the object does not exist."
HTML = Response(200, {}, b"<html><body>Sign in</body></html>")


@pytest.fixture(scope="module")
def backend():
    """A backend that nothing is connected to."""
    return FmeFlowV4(FmeFlowV4Settings(base_url="https://fme.example.com", token="t0ken"))


def reply(status, body=None, headers=None):
    """An answer with a JSON body."""
    return Response(status, headers or {}, b"" if body is None else json.dumps(body).encode())


def said(status, message, **details):
    """An answer in the vendor's own form of an error."""
    return reply(status, {"message": message, **({"details": details} if details else {})})


def wire(name):
    """An answer kept as a file."""
    return Response(200, {}, (WIRE / name).read_bytes())


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


LOST_ON_THE_WAY = TransportError("no answer", maybe_arrived=True)


# Submitting


def test_the_least_submission(backend):
    """The least submission is repository and workspace, not repeatable; any 2xx with an id accepts it."""
    for status in (202, 200):
        accepted, (request,) = play(backend.submit(Submission(flow=FLOW)), reply(status, {"id": 42}))
        assert (accepted.id, accepted.observation.word) == ("42", None)

    assert (request.method, request.path, request.query, request.repeatable) == ("POST", "/fmeapiv4/jobs", (), False)
    assert request.json == {"repository": "Samples", "workspace": "austinDownload.fmw"}


def test_every_option_of_a_submission(backend):
    """Each option goes to the key the vendor's client sends; durations become whole seconds."""
    options = SubmitOptions(
        queue="Queue1",
        max_run_time=timedelta(minutes=1),
        max_queue_time=120.9,
        success_topics=["a"],
        failure_topics=("b", "c"),
        directives={"k": "v"},
    )
    _, (request,) = play(backend.submit(Submission(flow=FLOW, options=options)), reply(202, {"id": 1}))

    assert request.json == {
        "repository": "Samples",
        "workspace": "austinDownload.fmw",
        "queue": "Queue1",
        "maxJobRuntime": 60,
        "maxTimeInQueue": 120,
        "directives": {"k": "v"},
        "successTopics": ["a"],
        "failureTopics": ["b", "c"],
    }


def test_parameters_keep_their_json_types(backend):
    """Values go out as native JSON, dates as the vendor writes them; None, empty text and 0 are values, too."""
    given_values = {
        "text": "Ø & Å",
        "empty": "",
        "whole": 42,
        "zero": 0,
        "part": 1.5,
        "yes": True,
        "no": False,
        "none": None,
        "list": ["a", "b"],
        "tuple": ("a", 1),
        "dict": {"k": [date(2025, 1, 2)]},
        "day": date(2025, 1, 2),
        "moment": datetime(2025, 1, 2, 3, 4, 5),  # noqa: DTZ001 - one without a zone is what is tested
        "aware": datetime(2025, 6, 1, 12, tzinfo=timezone(timedelta(hours=2))),
        "part of a second": datetime(2025, 6, 1, 12, 0, 0, 500_000, tzinfo=UTC),
    }
    _, (request,) = play(backend.submit(Submission(flow=FLOW, parameters=given_values)), reply(202, {"id": 1}))

    assert request.json["publishedParameters"] == {
        "text": "Ø & Å",
        "empty": "",
        "whole": 42,
        "zero": 0,
        "part": 1.5,
        "yes": True,
        "no": False,
        "none": None,
        "list": ["a", "b"],
        "tuple": ["a", 1],
        "dict": {"k": ["20250102"]},
        "day": "20250102",
        "moment": "20250102030405",
        "aware": "20250601120000+02:00",
        "part of a second": "20250601120000.5+00:00",
    }


@pytest.mark.parametrize("value", [object(), {1, 2}, b"bytes", 1j])
def test_a_value_without_json_form_is_refused_before_any_request(backend, value):
    """What cannot be written as JSON is InvalidParameters that names the parameter, and nothing is sent."""
    with pytest.raises(InvalidParameters, match=r"parameter P: a .* cannot be sent") as caught:
        next(backend.submit(Submission(flow=FLOW, parameters={"P": value})))
    assert list(caught.value.problems) == ["P"]


@pytest.mark.parametrize(
    ("options", "option"),
    [
        (SubmitOptions(description="nightly"), "description"),
        (SubmitOptions(extra={"max_total_life_time": 5}), "max_total_life_time"),
    ],
)
def test_an_option_it_cannot_honour_is_an_error(backend, options, option):
    """V4 has no description, and a life time only where the request waits: an error names the option."""
    with pytest.raises(UnsupportedOption, match=option) as caught:
        next(backend.submit(Submission(flow=FLOW, options=options)))
    assert option == caught.value.option


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"max_run_time": 0.5}, "at least one second"),
        ({"max_queue_time": 0}, "at least one second"),
        ({"max_run_time": timedelta(seconds=-1)}, "0 seconds or more"),
        ({"max_run_time": math.inf}, "whole seconds"),
    ],
)
def test_a_duration_that_is_none_of_the_vendor_is_refused(backend, options, told):
    """The vendor's least duration is one second; less, or no end, is an error and not silently no limit."""
    with pytest.raises(InvalidRequest, match=told):
        next(backend.submit(Submission(flow=FLOW, options=SubmitOptions(**options))))


@pytest.mark.parametrize("flow", ["austinDownload.fmw", "/x.fmw", "Samples/", "", "a/..", "../b.fmw"])
def test_a_flow_is_written_repository_and_workspace(backend, flow):
    """A flow of another form is InvalidRequest before any request is made, wherever a flow is taken."""
    with pytest.raises(InvalidRequest):
        next(backend.describe(flow))
    if ".." not in flow:
        with pytest.raises(InvalidRequest, match=r"Repository/workspace\.fmw"):
            next(backend.submit(Submission(flow=flow)))


@pytest.mark.parametrize("status", [400, 422])
def test_refused_parameters_name_each_parameter(backend, status):
    """A refusal with details is InvalidParameters, whether it comes as 400 or as 422."""
    error = failing(
        backend.submit(Submission(flow=FLOW)), said(status, "Parameter Validation Failed", MAXY="must be a number")
    )

    assert isinstance(error, InvalidParameters)
    assert error.problems == {"MAXY": "must be a number"}
    assert (status, "Parameter Validation Failed") == (error.http_status, error.vendor_message)
    assert "MAXY: must be a number" in str(error)


def test_a_refused_submission_is_not_blamed_on_parameters(backend):
    """Details about repository, workspace and queue alone are InvalidRequest."""
    error = failing(backend.submit(Submission(flow=FLOW)), said(400, "Parameter Validation Failed", queue="unknown"))

    assert (InvalidRequest, 400) == (type(error), error.http_status)
    assert "queue: unknown" in str(error)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (said(401, "Authentication failed: Failed to login"), AuthenticationError),
        (said(403, NO_ACCESS), PermissionDenied),
        (said(409, NO_ACCESS), PermissionDenied),
        (said(404, NO_ACCESS), FlowNotFound),
        (said(404, "Item x.fmw does not exist."), FlowNotFound),
        (Response(404, {}, b"<html>404</html>"), NoJobEndpoint),
        (Response(405), NoJobEndpoint),
        (said(405, "not allowed"), NoJobEndpoint),
        (Response(400, {}, b"<html>400</html>"), ProtocolError),
        (said(409, "conflict"), InvalidRequest),
        (said(429, "slow down"), RateLimited),
        (said(500, "NullPointerException"), VendorError),
        (said(503, "starting"), VendorError),
        (Response(503, {}, b"<html>"), VendorError),
        (Response(302, {"location": "https://login.example.com"}), ProtocolError),
        # What may have started a run all the same
        (Response(500, {}, b"<html>"), SubmissionUncertain),
        (said(502, "bad gateway"), SubmissionUncertain),
        (Response(504), SubmissionUncertain),
        (said(408, "timeout"), SubmissionUncertain),
        (Response(408, {}, b"<html>"), SubmissionUncertain),
        (HTML, SubmissionUncertain),
        (Response(202), SubmissionUncertain),
        (Response(202, {}, b'{"id": 4'), SubmissionUncertain),
        (reply(202, {"id": "42"}), SubmissionUncertain),
        (reply(202, {"id": True}), SubmissionUncertain),
        (reply(202, {"jobId": 42}), SubmissionUncertain),
        (reply(202, [42]), SubmissionUncertain),
        (LOST_ON_THE_WAY, SubmissionUncertain),
        (TransportError("refused", maybe_arrived=False), TransportError),
    ],
)
@pytest.mark.parametrize("waits", [False, True])
def test_the_errors_of_a_submission(backend, answer, expected, waits):
    """Each answer is the error of its kind; where a run may have been started, SubmissionUncertain with its cause."""
    submission = Submission(flow=FLOW)
    error = failing(backend.run(submission, 5) if waits else backend.submit(submission), answer)

    assert expected is type(error)
    if expected is SubmissionUncertain:
        assert isinstance(error.__cause__, FlowrunnerError)
        assert "list of runs" in str(error)
        assert getattr(error.__cause__, "http_status", None) == error.http_status


def test_a_run_that_the_vendor_waits_for(backend):
    """`/jobs/sync` takes a life time, too, waits as long as the caller, and answers with the end."""
    options = SubmitOptions(extra={"max_total_life_time": timedelta(hours=1)}, queue="q")
    accepted, (request,) = play(backend.run(Submission(flow=FLOW, options=options), 7.5), wire("v4_sync_success.json"))

    assert (
        request.method,
        request.path,
        request.repeatable,
        request.timeout,
    ) == ("POST", "/fmeapiv4/jobs/sync", False, 7.5)
    assert (request.json["maxTotalLifeTime"], request.json["queue"]) == (3600, "q")
    assert (accepted.id, accepted.observation.word, accepted.observation.message) == (
        "1",
        "SUCCESS",
        "Translation Successful",
    )
    _, (endless,) = play(backend.run(Submission(flow=FLOW), None), reply(200, {"id": 1, "status": "success"}))
    assert endless.timeout >= 24 * 3600
    assert "maxTotalLifeTime" not in endless.json


@pytest.mark.parametrize("status", [200, 422])
def test_a_failed_translation_is_a_run_and_no_refusal(backend, status):
    """How `/jobs/sync` tells of a failure is not known: with 200 or 422 and a result, it is a run that failed."""
    accepted, _ = play(backend.run(Submission(flow=FLOW), 5), reply(status, {"id": 7, "status": "failure"}))

    assert (accepted.id, accepted.observation.word) == ("7", "failure")


# Observing


def test_a_look_at_a_job(backend):
    """A look without hold is one GET of the record, read with its times and its flow."""
    seen, (request,) = play(backend.observe(REF), wire("v4_job_running.json"))

    assert (request.method, request.path, request.query, request.repeatable, request.timeout) == (
        "GET",
        JOB,
        (),
        True,
        None,
    )
    assert (seen.word, seen.flow, seen.is_result) == ("running", FLOW, False)
    assert datetime(2025, 1, 1, 12, tzinfo=UTC) == seen.queued_at
    assert datetime(2025, 1, 1, 12, 0, 1, tzinfo=UTC) == seen.started_at
    assert seen.finished_at is None
    assert b'"running"' in seen.raw


@pytest.mark.parametrize("absent", [None, "", "0001-01-01T00:00:00Z", 7, "no time", "9999-12-31T23:59:59-10:00"])
def test_times_that_are_none(backend, absent):
    """Null, empty, Go's zero and anything that is no time are no time, and do not spoil the rest."""
    seen, _ = play(
        backend.observe(REF), reply(200, {"status": "queued", "timeStarted": absent, "timeFinished": absent})
    )

    assert (seen.word, seen.started_at, seen.finished_at) == ("queued", None, None)


def test_a_held_look(backend):
    """With hold the result is asked for by long-poll, its read timeout above the interval; the answer is the end."""
    seen, (request,) = play(backend.observe(REF, 20), reply(200, {"id": 42, "status": "success"}))

    assert ("GET", f"{JOB}/result") == (request.method, request.path)
    assert request.query == (("longPoll", "true"), ("longPollInterval", "20"))
    assert request.timeout > 20
    assert (seen.word, seen.is_result) == ("success", True)
    _, (short, _) = play(backend.observe(REF, 0.3), Response(204), reply(200, {"status": "running"}))
    assert ("longPollInterval", "1") in short.query


@pytest.mark.parametrize(
    "unfinished",
    [
        reply(202, {"id": 42, "status": "running"}),
        Response(202),
        Response(204),
        reply(200, {"id": 42, "status": "running"}),
        reply(200, {"id": 42}),
        reply(200, {"status": "complete"}),
        said(404, f"HTTP 404 Not Found: {JOB}/result"),
        Response(404, {}, b"<html>"),
        said(405, "HTTP 405"),
        Response(405),
        Response(501),
        said(422, "not finished"),
        Response(504, {}, b"<html>"),
        Response(502),
    ],
)
def test_every_way_to_say_not_yet(backend, unfinished):
    """However the server says that the hold ran out, or that it knows none, the record tells how the job stands."""
    seen, (_, request) = play(backend.observe(REF, 20), unfinished, reply(200, {"status": "running"}))

    assert (request.path, request.query) == (JOB, ())
    assert seen.word == "running"


@pytest.mark.parametrize(("status", "expected"), [(401, AuthenticationError), (403, PermissionDenied)])
def test_a_held_look_without_right(backend, status, expected):
    """401 and 403 are not an unfinished answer: they raise without another request."""
    assert isinstance(failing(backend.observe(REF, 20), said(status, "no")), expected)


@pytest.mark.parametrize("word", ["complete", "COMPLETED"])
@pytest.mark.parametrize("status", [200, 422])
def test_complete_is_no_outcome(backend, word, status):
    """A record that says only that the job ended is never a success: the result's word decides."""
    seen, (_, request) = play(
        backend.observe(REF), reply(200, {"status": word}), reply(status, {"id": 42, "status": "failure"})
    )

    assert f"{JOB}/result" == request.path
    assert seen.word == "failure"


@pytest.mark.parametrize(
    "answer", [Response(404), reply(202, {"status": "running"}), reply(200, {"status": "complete"}), Response(204)]
)
def test_complete_without_a_result_waits_for_one(backend, answer):
    """Without a result the word stands as it is, which keeps the last state."""
    seen, _ = play(backend.observe(REF), reply(200, {"status": "complete"}), answer)

    assert seen.word == "complete"
    assert backend.words["complete"].state is None


@pytest.mark.parametrize(
    ("answer", "expected", "transient"),
    [
        (said(404, 'The job for ID "42" does not exist.'), RunNotFound, False),
        (said(404, NO_ACCESS), PermissionDenied, True),
        (Response(404, {}, b"<html>"), ProtocolError, True),
        (Response(404), ProtocolError, True),
        (said(401, "no"), AuthenticationError, False),
        (said(403, NO_ACCESS), PermissionDenied, False),
        (Response(403), PermissionDenied, False),
        (said(409, NO_ACCESS), PermissionDenied, True),
        (said(400, "bad", x="y"), InvalidRequest, False),
        (Response(429, {"retry-after": "7"}), RateLimited, True),
        (Response(500), VendorError, True),
        (HTML, ProtocolError, True),
        (Response(200), ProtocolError, True),
        (Response(202), ProtocolError, True),
        (reply(200, [1]), ProtocolError, True),
        (Response(200, {}, b'{"status": NaN}'), ProtocolError, True),
        (Response(301, {}), ProtocolError, True),
    ],
)
def test_the_errors_of_a_look(backend, answer, expected, transient):
    """A 404 counts only in the vendor's own words and where it cannot mean a missing permission."""
    error = failing(backend.observe(REF), answer)

    assert (expected, transient) == (type(error), error.transient)


def test_an_error_carries_what_the_vendor_said(backend):
    """Errors keep the vendor's words with their details, Retry-After, and the first 500 characters of nonsense."""
    assert failing(backend.observe(REF), said(400, "bad", x="y")).vendor_message == "bad; x: y"
    assert failing(backend.observe(REF), Response(503, {"retry-after": "7"})).retry_after == 7.0
    nonsense = failing(backend.observe(REF), Response(200, {}, b"<html>" + b"x" * 9999))
    assert (len(nonsense.body), nonsense.body[:7]) == (500, "<html>x")
    assert "base_url" in str(nonsense)


# The result


def test_record_and_result_are_merged(backend):
    """The record gives effort and download, the result message and features; raw keeps both."""
    outcome, (first, second) = play(backend.result(REF), wire("v4_job_success.json"), wire("v4_result_success.json"))

    assert (JOB, f"{JOB}/result") == (first.path, second.path)
    assert outcome.metrics == {
        "features_written": 1539,
        "elapsed_seconds": 3.0,
        "cpu_seconds": 2.7,
        "cpu_percent": 90.0,
        "peak_memory": 68437168,
        "log_lines": 250,
        "warnings": 2,
        "errors": 0,
    }
    url = "https://fme.example.com/fmedatadownload/results/FME_2025%20a.zip"
    assert {"download_url": url} == outcome.outputs
    assert (ArtifactSource(name="FME_2025 a.zip", location=url),) == outcome.artifacts
    record, result = outcome.observations
    assert ((record.word, record.is_result), (result.word, result.is_result)) == (("success", False), ("success", True))
    assert result.message == "Translation Successful"
    assert {"job", "result"} == outcome.raw.keys()


@pytest.mark.parametrize(
    "answer", [Response(404), Response(204), reply(202, {}), reply(200, []), said(400, "no result")]
)
def test_a_job_without_a_result(backend, answer):
    """A job that never ran has a record and no result; that is no error."""
    outcome, _ = play(backend.result(REF), reply(200, {"status": "cancelled"}), answer)

    assert [seen.word for seen in outcome.observations] == ["cancelled"]
    assert (outcome.outputs, outcome.artifacts, outcome.metrics) == ({}, (), {})
    assert list(outcome.raw) == ["job"]


def test_a_failure_told_as_422(backend):
    """A failed job's result that comes with 422 is read as one; with a message alone it gives the message."""
    record = reply(200, {"status": "failure"})
    full, _ = play(backend.result(REF), record, reply(422, {"id": 42, "status": "failure", "statusMessage": "boom"}))
    brief, _ = play(backend.result(REF), record, said(422, "boom"))

    assert [(seen.word, seen.message) for seen in full.observations[1:]] == [("failure", "boom")]
    assert [(seen.word, seen.message) for seen in brief.observations[1:]] == [(None, "boom")]


@pytest.mark.parametrize("status", [401, 403, 429, 500, 503])
def test_a_result_that_cannot_be_read_now(backend, status):
    """Where the result may be there and cannot be had, that is an error and no empty result."""
    error = failing(backend.result(REF), reply(200, {"status": "success"}), said(status, "no"))

    assert status == error.http_status


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://h/results/", "results"),
        ("https://h", "result"),
        ("https://h/%2e%2e", "result"),
        ("https://h/a%2Fb.zip", "b.zip"),
        ("https://h/..%5C..%5Cb.zip", "b.zip"),
        ("http://[h/x.zip", "result"),
        ("https://h/a%00b.zip", "ab.zip"),
        ("/relative/b.zip?x=1#y", "b.zip"),
    ],
)
def test_the_name_of_an_artifact_is_a_file_name(backend, url, name):
    """Whatever the vendor's address holds, the name can be used in a folder and leads nowhere else."""
    outcome, _ = play(
        backend.result(REF), reply(200, {"status": "success", "resultDatasetDownloadUrl": url}), Response(404)
    )

    assert [(name, url)] == [(artifact.name, artifact.location) for artifact in outcome.artifacts]


def test_a_download_is_saved_as_it_is(backend):
    """The address is asked for with any media type, into the file, telling of progress; an error is one."""
    source = ArtifactSource(name="a.zip", location="https://other.example/a.zip")
    _, (request,) = play(backend.download(source, Path("a.zip"), print), Response(200))

    assert (source.location, Path("a.zip"), "*/*") == (request.path, request.save_to, request.headers["Accept"])
    assert request.progress is print
    assert isinstance(failing(backend.download(source, Path("a.zip"), None), Response(404)), ProtocolError)


# Files

FILE = RemoteFile(name="a ø.csv", reference="$(FME_SHAREDRESOURCE_TEMP)/dir/a ø.csv", size=3)
RESOURCE = "/fmeapiv4/resources/connections/FME_SHAREDRESOURCE_TEMP"
UPLOAD = Upload(name="a.csv", folder="dir", content=FileBody(before=b"abc"), progress=print)


@pytest.mark.parametrize("status", [200, 201])
def test_an_upload(backend, status):
    """A form whose part is named `files` goes to a folder of its own; its reference is what parameters take."""
    file, (request,) = play(backend.upload(UPLOAD), Response(status))

    assert file == RemoteFile(name="a.csv", reference="$(FME_SHAREDRESOURCE_TEMP)/dir/a.csv", size=3)
    assert (request.method, request.path) == ("POST", f"{RESOURCE}/upload")
    assert request.query == (("path", "/dir"), ("overwrite", "true"))
    assert request.progress is print
    boundary = request.headers["Content-Type"].removeprefix("multipart/form-data; boundary=")
    content = b"".join(request.file.chunks())
    assert content.startswith(f"--{boundary}\r\n".encode())
    assert b'name="files"; filename="a.csv"' in content
    assert content.endswith(f"\r\n\r\nabc\r\n--{boundary}--\r\n".encode())


@pytest.mark.parametrize("status", [400, 404, 409, 422])
def test_a_folder_that_is_refused(backend, status):
    """Where the server makes no folder, the file goes to the root under a name that no other upload has."""
    file, asked = play(backend.upload(UPLOAD), said(status, "no such folder"), Response(201))
    assert file == RemoteFile(name="dir-a.csv", reference="$(FME_SHAREDRESOURCE_TEMP)/dir-a.csv", size=3)
    assert asked[1].query == (("path", ""), ("overwrite", "true"))
    assert b'filename="dir-a.csv"' in b"".join(asked[1].file.chunks())
    error = failing(backend.upload(UPLOAD), said(status, "no such folder"), said(403, "no"))
    assert isinstance(error, PermissionDenied)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (said(401, "no"), AuthenticationError),
        (said(403, "no"), PermissionDenied),
        (said(413, "too large"), InvalidRequest),
        (Response(404, {}, b"<html>"), ProtocolError),
        (said(507, "full"), VendorError),
    ],
)
def test_an_upload_that_is_refused(backend, answer, expected):
    """Any other refusal is an error at once."""
    assert type(failing(backend.upload(UPLOAD), answer)) is expected


def test_removing(backend):
    """A file is removed by its path; that it is gone already is as good, in the vendor's own words."""
    for answer in (Response(204), Response(200), said(404, "gone")):
        _, (request,) = play(backend.remove(FILE), answer)
        assert (request.method, request.path, request.query) == (
            "DELETE",
            f"{RESOURCE}/item",
            (("path", "/dir/a ø.csv"),),
        )
    assert isinstance(failing(backend.remove(FILE), Response(404, {}, b"<html>")), ProtocolError)


def test_fetching_a_file(backend):
    """A file is asked for by its path, and saved as it comes."""
    _, (request,) = play(backend.download_file(FILE.reference, Path("x"), print), Response(200))
    assert request.path == f"{RESOURCE}/download?path=%2Fdir%2Fa%20%C3%B8.csv"
    assert (request.save_to, request.progress) == (Path("x"), print)
    assert isinstance(failing(backend.download_file(FILE.reference, Path("x"), None), said(404, "no")), InvalidRequest)


FOLDER = "$(FME_SHAREDRESOURCE_DATA)/dir/"


def test_fetching_a_folder(backend):
    """A folder is listed first, and all that is in it asked for as a zip."""
    listing = reply(200, {"contents": [{"name": "a.csv", "type": "FILE"}, {"name": "b"}]})
    _, (info, request) = play(backend.download_file(FOLDER, Path("x.zip"), print), listing, Response(200))

    place = "/fmeapiv4/resources/connections/FME_SHAREDRESOURCE_DATA"
    assert (info.path, info.query) == (f"{place}/info", (("path", "/dir"),))
    assert (request.method, request.path, request.save_to) == ("POST", f"{place}/downloadzip", Path("x.zip"))
    assert request.json == {"path": "/dir", "items": ["a.csv", "b"], "zipFileName": "resources.zip"}
    assert (request.headers["Accept"], request.progress) == ("application/zip", print)


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ([reply(200, {"contents": []})], InvalidRequest),
        ([reply(200, {"contents": [{"name": str(each)} for each in range(501)]})], InvalidRequest),
        ([said(404, "no such folder")], InvalidRequest),
        ([reply(200, {"contents": [{}]})], ProtocolError),
        ([HTML], ProtocolError),
        ([reply(200, {"contents": [{"name": "a"}]}), said(403, "no")], PermissionDenied),
    ],
)
def test_a_folder_that_cannot_be_fetched(backend, answers, expected):
    """Nothing in it, more than a zip takes, and what the vendor refuses is an error."""
    assert type(failing(backend.download_file(FOLDER, Path("x.zip"), None), *answers)) is expected


@pytest.mark.parametrize("reference", ["", "dir/a.csv", "$(X", "/etc/passwd", "https://h/x"])
def test_what_is_no_shared_resource(backend, reference):
    """A reference of another form is refused before any request."""
    with pytest.raises(InvalidRequest, match="FME_SHAREDRESOURCE"):
        next(backend.download_file(reference, Path("x"), None))


# Cancelling


@pytest.mark.parametrize(
    ("look", "outcome"),
    [
        (reply(200, {"status": "cancelled"}), CancelOutcome.CONFIRMED),
        (reply(200, {"status": "running"}), CancelOutcome.REQUESTED),
        (reply(200, {"status": "queued"}), CancelOutcome.REQUESTED),
        (reply(200, {"status": "who knows"}), CancelOutcome.REQUESTED),
        (reply(200, {}), CancelOutcome.REQUESTED),
        (reply(200, {"status": "success"}), CancelOutcome.TOO_LATE),
        (reply(200, {"status": "failure"}), CancelOutcome.TOO_LATE),
        (Response(500), CancelOutcome.REQUESTED),
        (said(404, "gone"), CancelOutcome.REQUESTED),
        (LOST_ON_THE_WAY, CancelOutcome.REQUESTED),
    ],
)
def test_an_accepted_cancellation(backend, look, outcome):
    """After 204 one look tells what became of it; that the look fails does not make it unaccepted."""
    answer, (request, _) = play(backend.cancel(REF), Response(204), look)

    assert ("POST", f"{JOB}/cancel", None, None) == (request.method, request.path, request.json, request.content)
    assert outcome is answer.outcome


@pytest.mark.parametrize("maybe_arrived", [True, False])
def test_a_cancellation_whose_answer_is_lost(backend, maybe_arrived):
    """It is not repeatable: one look tells, if it may have arrived at all."""
    lost = TransportError("cut", maybe_arrived=maybe_arrived)
    if not maybe_arrived:
        assert failing(backend.cancel(REF), lost) is lost
        return
    for look, outcome in (
        (reply(200, {"status": "cancelled"}), CancelOutcome.CONFIRMED),
        (said(404, 'The job for ID "42" does not exist.'), CancelOutcome.CONFIRMED),
        (reply(200, {"status": "success"}), CancelOutcome.TOO_LATE),
    ):
        answer, (request, second) = play(backend.cancel(REF), lost, look)
        assert (answer.outcome, request.repeatable, second.method) == (outcome, False, "GET")
    for look in (reply(200, {"status": "running"}), reply(200, {"status": "odd"}), Response(500), LOST_ON_THE_WAY):
        assert failing(backend.cancel(REF), lost, look) is lost


def test_cancelling_what_has_ended(backend):
    """422 "already complete" is TOO_LATE, with how it ended."""
    refusal = said(422, 'Job "42" is already complete and cannot be cancelled.')
    answer, _ = play(backend.cancel(REF), refusal, reply(200, {"status": "success"}))

    assert (answer.outcome, answer.observation.word) == (CancelOutcome.TOO_LATE, "success")


def test_cancelling_what_does_not_exist(backend):
    """422 "does not exist" is RunNotFound; the vendor has no 404 for it."""
    error = failing(backend.cancel(REF), said(422, 'The job for ID "42" does not exist.'))

    assert (RunNotFound, 422) == (type(error), error.http_status)


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ([said(422, "Something else."), reply(200, {"status": "running"})], InvalidRequest),
        ([Response(422, {}, b"<html>")], ProtocolError),
        ([said(401, "no")], AuthenticationError),
        ([said(403, NO_ACCESS)], PermissionDenied),
        ([said(404, "The job is not here.")], RunNotFound),
        ([Response(404, {}, b"<html>")], ProtocolError),
        ([said(500, "no")], VendorError),
    ],
)
def test_a_cancellation_that_is_refused_otherwise(backend, answers, expected):
    """Any other refusal is the error its status stands for, never an outcome."""
    assert expected is type(failing(backend.cancel(REF), *answers))


# Listing


def _jobs(*ids, status="running", **page):
    items = [{"id": each, "status": status, "repository": "Samples", "workspace": "austinDownload.fmw"} for each in ids]
    return reply(200, {"items": items, **page})


def _status(request):
    return [value for key, value in request.query if key == "status"]


def test_runs_are_listed_in_two_groups(backend):
    """Active and completed statuses are never mixed in one request; the active come first."""
    page, (active,) = play(backend.list_runs(RunQuery()), _jobs(9, 8, totalCount=2, limit=1000))
    assert tuple((item.id, item.flow, item.observation.word) for item in page.items) == (
        ("9", FLOW, "running"),
        ("8", FLOW, "running"),
    )
    last, (completed,) = play(backend.list_runs(RunQuery(), page.next), _jobs(7, status="success", totalCount=1))

    assert _status(active) == ["queued", "running"]
    assert _status(completed) == ["success", "failure", "cancelled"]
    assert ("sort", "timeFinished_desc") in completed.query
    assert last.next is None


def test_runs_are_listed_by_state_and_flow(backend):
    """States narrow the groups, a flow becomes repository and workspace, a limit bounds the page."""
    query = RunQuery(states=frozenset({RunState.FAILED, RunState.RUNNING}), flow=FLOW, limit=5)
    page, (first,) = play(backend.list_runs(query), _jobs(totalCount=0))
    _, (second,) = play(backend.list_runs(query, page.next), _jobs(totalCount=0))

    assert (_status(first), _status(second)) == (["running"], ["failure"])
    assert {("repository", "Samples"), ("workspace", "austinDownload.fmw"), ("limit", "5"), ("offset", "0")} <= set(
        first.query
    )


def test_states_the_vendor_does_not_list(backend):
    """For states the vendor has no words for there is an empty page, and no request."""
    plan = backend.list_runs(RunQuery(states=frozenset({RunState.WAITING, RunState.LOST})))
    with pytest.raises(StopIteration) as end:
        next(plan)

    assert (end.value.value.items, end.value.value.next) == ((), None)


@pytest.mark.parametrize(
    ("body", "after"),
    [
        ({"totalCount": 5, "limit": 2}, 2),  # the server gives fewer than asked for and says so
        ({"totalCount": 5}, 2),
        ({"totalCount": 2, "limit": 2}, None),
        ({"totalCount": -1, "limit": 2}, 2),
        ({"limit": 2}, 2),  # no total: a full page may have a successor
        ({"limit": 100}, None),
        ({}, None),
        ({"limit": -1}, None),  # unpaged
        ({"totalCount": "many", "limit": None}, None),
    ],
)
def test_where_the_next_page_starts(backend, body, after):
    """The next page starts after the records that came; the total decides, else whether the page is full."""
    query = RunQuery(states=frozenset({RunState.RUNNING}))
    page, _ = play(backend.list_runs(query), _jobs(1, 2, **body))

    assert (None if after is None else (0, after)) == page.next


def test_past_the_end(backend):
    """A page without records is the last, whatever the total says: runs may have gone meanwhile."""
    query = RunQuery(states=frozenset({RunState.RUNNING}))
    page, (request,) = play(backend.list_runs(query, (0, 2)), _jobs(totalCount=5, limit=2))

    assert ("offset", "2") in request.query
    assert page.next is None


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (HTML, ProtocolError),
        (reply(200, [1]), ProtocolError),
        (reply(200, {"items": [{"status": "x"}]}), ProtocolError),
        (reply(200, {"items": [7]}), ProtocolError),
        (said(401, "no"), AuthenticationError),
        (Response(404), ProtocolError),
        (said(404, NO_ACCESS), PermissionDenied),
    ],
)
@pytest.mark.parametrize("listing", ["list_runs", "list_flows"])
def test_a_list_that_cannot_be_read(backend, listing, answer, expected):
    """A list that cannot be read is an error, never a short list."""
    plan = backend.list_runs(RunQuery()) if listing == "list_runs" else backend.list_flows()

    assert expected is type(failing(plan, answer))


def test_a_listed_run_without_a_flow(backend):
    """A record that names no workspace is listed all the same."""
    page, _ = play(backend.list_runs(RunQuery()), reply(200, {"items": [{"id": 1}]}))

    assert [(item.id, item.flow, item.observation.word) for item in page.items] == [("1", "", None)]


def test_flows_are_listed(backend):
    """Flows come as repository and workspace, page by page; an empty title is none."""
    page, (request,) = play(backend.list_flows(), wire("v4_workspaces.json"))

    assert (request.path, request.query[-1]) == ("/fmeapiv4/workspaces", ("offset", "0"))
    assert (
        FlowInfo(flow=FLOW, title="City of Austin"),
        FlowInfo(flow="Ø & Å/räksbø 100%.fmw", description="x"),
    ) == page.items
    assert page.next == 2
    _, (second,) = play(backend.list_flows(2), reply(200, {"items": []}))
    assert ("offset", "2") in second.query


# Describing


def test_a_flow_is_described(backend):
    """A description is asked for at the workspace, its names encoded whole."""
    spec, (request,) = play(backend.describe("Ø & Å/sub/räks 100%.fmw"), wire("v4_parameters.json"))

    assert request.path == "/fmeapiv4/workspaces/%C3%98%20%26%20%C3%85/sub%2Fr%C3%A4ks%20100%25.fmw/parameters"
    assert len(spec.parameters) == 7
    assert spec.parameter("THEMES").name == "THEMES"


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (said(404, "Item x.fmw does not exist."), FlowNotFound),
        (said(404, NO_ACCESS), FlowNotFound),
        (said(403, NO_ACCESS), PermissionDenied),
        (said(409, NO_ACCESS), PermissionDenied),
        (said(401, "no"), AuthenticationError),
        (Response(404, {}, b"<html>"), ProtocolError),
        (Response(405), ProtocolError),
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

WELL = reply(200, {"status": "ok", "message": "FME Flow is healthy.", "more": 1})
VERSION = reply(200, {"buildNumber": 25606, "buildString": "FME Flow 2025.1 - Build 25606 - linux-x64"})
EMPTY = reply(200, {"items": []})


def test_a_healthy_connection(backend):
    """The health check carries no credential; version and a small list do, and show whether it is accepted."""
    health, asked = play(backend.health(), WELL, VERSION, EMPTY)

    assert [each.path for each in asked] == [
        "/fmeapiv4/healthcheck/readiness",
        "/fmeinfo/version",
        "/fmeapiv4/workspaces",
    ]
    assert [each.anonymous for each in asked] == [True, False, False]
    version = "FME Flow 2025.1 - Build 25606 - linux-x64"
    assert (
        Health(
            reachable=True,
            authenticated=True,
            healthy=True,
            version=version,
            message="FME Flow is healthy.",
            api="REST V4",
        )
        == health
    )


@pytest.mark.parametrize(
    ("answers", "reachable", "authenticated", "healthy", "version"),
    [
        ((reply(503, {"status": "error", "message": "sick"}), VERSION, EMPTY), True, True, False, True),
        ((reply(200, {"status": "sick"}), VERSION, EMPTY), True, True, False, True),
        ((Response(503, {}, b"<html>"), Response(503), Response(503)), False, None, None, False),
        ((HTML, HTML, HTML), False, None, None, False),
        ((Response(404), Response(404), EMPTY), True, True, None, False),
        ((WELL, reply(200, {"buildNumber": 1}), said(401, "no")), True, False, True, True),
        ((WELL, reply(200, {}), said(403, NO_ACCESS)), True, True, True, False),
        ((WELL, VERSION, Response(500)), True, None, True, True),
        ((WELL, VERSION, HTML), True, None, True, True),
        ((LOST_ON_THE_WAY,), False, None, None, False),
        ((WELL, LOST_ON_THE_WAY), False, None, None, False),
    ],
)
def test_how_a_connection_stands(backend, answers, *, reachable, authenticated, healthy, version):
    """A sick server, a refused credential and a proxy in between are answers, each told apart."""
    health, _ = play(backend.health(), *answers)

    assert (reachable, authenticated, healthy) == (health.reachable, health.authenticated, health.healthy)
    assert version is (health.version is not None)
    if not (authenticated and healthy) and (reachable, healthy) != (True, None):
        assert health.message or healthy is False


# What holds for all


@pytest.mark.parametrize("suffix", ["", "/", "/fmeapiv4", "/fmerest/v3/", "/fmeserver", "/fmeflow"])
def test_the_address_of_a_page_will_do(suffix):
    """People copy addresses of web pages and interfaces: what the server adds to its root is cut off."""
    settings = FmeFlowV4Settings(base_url=f"https://fme.example.com/gis{suffix}", token="t0ken")

    assert FmeFlowV4(settings).base_url == "https://fme.example.com/gis"
    assert FmeFlowV4(settings).authorize()["Authorization"].reveal() == "fmetoken token=t0ken"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
KNOWN = {
    "id": st.integers(),
    "status": st.sampled_from(["queued", "success", "failure", "complete", "odd", ""]),
    "items": st.lists(
        JSON | st.dictionaries(st.sampled_from(["id", "status", "name", "repositoryName"]), JSON), max_size=3
    ),
    "message": st.text(max_size=8),
    "details": JSON,
    "timeQueued": st.datetimes().map(str) | JSON,
    "totalCount": JSON,
    "limit": JSON,
    "resultDatasetDownloadUrl": st.sampled_from(["http://[x", "//", "%", "a b"]) | JSON,
    "elapsedTime": JSON,
    "featureOutputCount": JSON,
    "parameters": JSON,
    "buildString": JSON,
    "buildNumber": JSON,
}
PLANS = {
    "submit": lambda backend: backend.submit(Submission(flow=FLOW)),
    "run": lambda backend: backend.run(Submission(flow=FLOW), 5),
    "observe": lambda backend: backend.observe(REF),
    "hold": lambda backend: backend.observe(REF, 20),
    "result": lambda backend: backend.result(REF),
    "cancel": lambda backend: backend.cancel(REF),
    "runs": lambda backend: backend.list_runs(RunQuery()),
    "flows": lambda backend: backend.list_flows(),
    "describe": lambda backend: backend.describe(FLOW),
    "health": lambda backend: backend.health(),
    "download": lambda backend: backend.download(ArtifactSource(name="x", location="/x"), Path("x"), None),
}


@given(
    plan=st.sampled_from(sorted(PLANS)),
    statuses=st.lists(
        st.sampled_from([200, 200, 200, 202, 204, 400, 401, 404, 409, 422, 429, 500, 503]), min_size=4, max_size=4
    ),
    body=JSON | st.fixed_dictionaries({}, optional={key: value | JSON for key, value in KNOWN.items()}),
    headers=st.fixed_dictionaries({}, optional={"retry-after": st.text(max_size=30), "location": st.text(max_size=8)}),
)
@example(plan="observe", statuses=[200] * 4, body={"timeFinished": "9999-12-31T23:59:59-10:00"}, headers={})
@example(plan="observe", statuses=[429] * 4, body={}, headers={"retry-after": "Mon, 01 Jan 0001 00:00:00 +2359"})
@example(plan="result", statuses=[200] * 4, body={"elapsedTime": 10**400, "cpuTime": 1e308}, headers={})
def test_whatever_the_server_says_only_our_errors_come_out(plan, statuses, body, headers):
    """Any JSON as the body of any answer to any plan is a value or an error of ours."""
    playing = PLANS[plan](FmeFlowV4(FmeFlowV4Settings(base_url="https://h", token="t")))
    content = json.dumps(body).encode()
    next(playing)
    with pytest.raises((StopIteration, FlowrunnerError)) as ended:  # noqa: PT012 - how many requests there are varies
        for status in statuses:
            playing.send(Response(status, headers, content))
    outcome = ended.value
    if isinstance(outcome, FlowrunnerError):
        assert str(outcome)
        assert outcome.retry_after is None or 0 <= outcome.retry_after < math.inf
    else:
        assert outcome.value is not None or plan == "download"


@given(content=st.binary(max_size=40), plan=st.sampled_from(sorted(PLANS)))
@example(content=b"[" * 100_000, plan="observe")
@example(content=b"\xef\xbb\xbf{}", plan="submit")
@example(content=b"1" * 5000, plan="describe")
@example(content=b'[{"type":"group","parameters":' * 480 + b"[]" + b"}]" * 480, plan="describe")
def test_whatever_bytes_come_only_our_errors_come_out(content, plan):
    """Bytes that are no JSON at all are an error of ours, too."""
    playing = PLANS[plan](FmeFlowV4(FmeFlowV4Settings(base_url="https://h", token="t")))
    try:
        next(playing)
        for _ in range(4):
            playing.send(Response(200, {}, content))
    except (StopIteration, FlowrunnerError):
        pass
    else:
        pytest.fail("a plan of more than four requests")
