"""What a client does, whatever the vendor: checking, following, cancelling, listing. Each test runs on both clients."""

import asyncio
import json
import os
import pickle
import traceback
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from attrs import evolve

from flowrunner import events
from flowrunner.backend import Capability, Outcome
from flowrunner.backends.fme_flow_v4 import FmeFlowV4
from flowrunner.client import AsyncClient, Client
from flowrunner.connecting import connect, connect_async
from flowrunner.enums import CancelOutcome, Cause, RunState, WaitReason
from flowrunner.errors import (
    AuthenticationError,
    ConfigError,
    ContactLost,
    FlowNotFound,
    FlowrunnerError,
    InputRequired,
    InvalidParameters,
    InvalidRequest,
    JournalError,
    PermissionDenied,
    ProtocolError,
    RunCancelled,
    RunFailed,
    RunLost,
    RunNotFound,
    SubmissionUncertain,
    TransportError,
    UnsupportedOperation,
    UnsupportedOption,
    VendorError,
    WaitTimeout,
)
from flowrunner.models import RemoteFile, RunRef, SubmitOptions
from flowrunner.plans import Page, Request, call, send

TOKEN = "s3cr3t-t0ken"
FLOW = "Samples/x.fmw"
DESCRIPTION = "/workspaces/Samples/x.fmw/parameters"
NO_ACCESS = {
    "message": "Unauthorized request by user admin due to lack of proper permissions or the object does not exist."
}
GONE = (404, {"message": 'The job for ID "1" does not exist.'})
HTML = (200, "<html><body>Sign in</body></html>")
SPEC = [
    {"name": "MAXY", "type": "number", "required": True, "minimum": 0, "maximum": 90},
    {
        "name": "FORMAT",
        "type": "dropdown",
        "required": False,
        "choiceSettings": {"choices": [{"value": "GML"}, {"value": "DWG"}]},
    },
    {"name": "account", "type": "password", "required": False},
]


def job(word, **more):
    """The record of a job."""
    return 200, {"id": 1, "status": word, "repository": "Samples", "workspace": "x.fmw", **more}


class Case:
    """A client over a scripted vendor, which has accepted the submission of job 1."""

    def __init__(self, open_client, vendor, clock):
        self.open, self.vendor, self.clock = open_client, vendor, clock
        self.events = []
        vendor.on("POST", "/jobs", (202, {"id": 1}))
        vendor.on("GET", "/jobs/1/result", 404)

    def client(self, **settings):
        """A client that polls, unless the settings say otherwise."""
        settings = {"max_long_polls": 0, "check_parameters": False, **settings}
        return self.open(on_event=self.events.append, **settings)

    def run(self, *answers, **settings):
        """A run whose record is answered so."""
        self.vendor.on("GET", "/jobs/1", *answers)
        return self.client(**settings).submit(FLOW)

    def attached(self, *answers, flow=FLOW, submitted_at=None, **settings):
        """A run that was started before."""
        self.vendor.on("GET", "/jobs/1", *answers)
        client = self.client(**settings)
        return client.attach(RunRef(client.name, "fme-flow-v4", flow, "1"), submitted_at=submitted_at)

    def happened(self, kind=events.Event):
        """The events of a kind."""
        return [event for event in self.events if isinstance(event, kind)]

    def looks(self):
        """How often the record was asked for."""
        return len(self.vendor.asked("GET", "/jobs/1"))


@pytest.fixture
def case(open_client, vendor, clock):
    """A client over a scripted vendor."""
    return Case(open_client, vendor, clock)


# Submitting and checking


def test_a_submission(case):
    """A submission is one POST; the run is QUEUED with the vendor's id, and one event says so."""
    run = case.client().submit(FLOW, {"MAXY": 42})

    assert (run.id, run.flow, run.status.state) == ("1", FLOW, RunState.QUEUED)
    assert str(run.ref) == "flowrunner:1:fme-flow-v4:fme-flow-v4%40fme.example.com:Samples%2Fx.fmw:1"
    assert [events.Submitted(connection=run.ref.connection, ref=run.ref)] == case.events
    assert tuple(status.state for status in run.history) == (RunState.QUEUED,)
    assert [request.method for request in case.vendor.requests] == ["POST"]
    assert "Run " in repr(run)
    assert "queued" in repr(run)


def test_parameters_are_checked_before_anything_is_submitted(case):
    """What does not fit the description is InvalidParameters with a text per parameter, and nothing is submitted."""
    case.vendor.on("GET", DESCRIPTION, (200, SPEC))
    client = case.client(check_parameters=True)
    with pytest.raises(InvalidParameters) as caught:
        client.submit(FLOW, {"FORMAT": "PDF", "FROMAT": "GML"})

    assert {"FORMAT", "FROMAT", "MAXY"} == caught.value.problems.keys()
    assert "did you mean 'FORMAT'?" in caught.value.problems["FROMAT"]
    assert "MAXY is required and has no default: give it a value" in str(caught.value)
    assert len(case.vendor.asked("GET", DESCRIPTION)) == 1
    with pytest.raises(InvalidParameters, match="too large"):
        client.submit(FLOW, {"MAXY": 91})
    assert case.vendor.asked("POST", "/jobs") == []
    assert len(case.vendor.asked("GET", DESCRIPTION)) == 2, "what was kept is read once more before it is an error"


def test_a_workspace_that_was_published_again(case):
    """A kept description that makes parameters look wrong is read once more: they may fit what there is now."""
    newer = [{**SPEC[0], "maximum": 100}, *SPEC[1:]]
    case.vendor.on("GET", DESCRIPTION, (200, SPEC), (200, newer))
    client = case.client(check_parameters=True)
    for value in (90, 100, 100):
        client.submit(FLOW, {"MAXY": value})

    assert len(case.vendor.asked("GET", DESCRIPTION)) == 2
    assert len(case.vendor.asked("POST", "/jobs")) == 3


def test_a_description_that_cannot_be_read_once_more(case):
    """Where it is gone by then, the check steps aside, and the vendor decides."""
    case.vendor.on("GET", DESCRIPTION, (200, SPEC), 500)
    client = case.client(check_parameters=True, retries=0)
    client.submit(FLOW, {"MAXY": 90})
    client.submit(FLOW, {"MAXY": 100})

    assert len(case.vendor.asked("POST", "/jobs")) == 2
    assert len(case.happened(events.CheckSkipped)) == 1


def _submitted(case):
    return json.loads(case.vendor.asked("POST", "/jobs")[-1].content)["publishedParameters"]


def test_one_value_for_a_list(case):
    """A single value for a parameter that takes a list goes out as a list of one; without a description as it is."""
    spec = [{"name": "THEMES", "type": "listbox", "required": False, "choiceSettings": {"choices": [{"value": "a"}]}}]
    case.vendor.on("GET", DESCRIPTION, (200, spec))
    client = case.client(check_parameters=True)
    for given, sent in (("a", ["a"]), (["a"], ["a"]), (("a",), ["a"])):
        client.submit(FLOW, {"THEMES": given})
        assert sent == _submitted(case)["THEMES"]
    case.client(check_parameters=False).submit(FLOW, {"THEMES": "a"})
    assert _submitted(case)["THEMES"] == "a"


def test_no_value(case):
    """None stands for a parameter that is not given: it is not sent, and a required one is missing."""
    case.vendor.on("GET", DESCRIPTION, (200, SPEC))
    client = case.client(check_parameters=True)
    client.submit(FLOW, {"MAXY": 1, "FORMAT": None, "no such": None})
    assert _submitted(case) == {"MAXY": 1}
    with pytest.raises(InvalidParameters, match="MAXY is required"):
        client.submit(FLOW, {"MAXY": None})


def test_a_description_is_kept_for_a_while(case):
    """The description is asked for once, and again when it is old; `describe` always asks."""
    case.vendor.on("GET", DESCRIPTION, (200, SPEC))
    client = case.client(check_parameters=True)
    for _ in range(3):
        client.submit(FLOW, {"MAXY": 1})
    assert len(case.vendor.asked("GET", DESCRIPTION)) == 1
    case.clock.advance(301)
    client.submit(FLOW, {"MAXY": 1})
    assert len(case.vendor.asked("GET", DESCRIPTION)) == 2
    assert [spec.name for spec in client.describe(FLOW).parameters] == ["MAXY", "FORMAT", "account"]
    assert len(case.vendor.asked("GET", DESCRIPTION)) == 3


@pytest.mark.parametrize(
    "answer",
    [
        (401, {"message": "no"}),
        (403, NO_ACCESS),
        (404, NO_ACCESS),
        405,
        500,
        429,
        HTML,
        (200, {"a": 1}),
        httpx.ReadError("x"),
    ],
)
def test_without_a_description_the_check_steps_aside(case, answer):
    """However the description cannot be had, the run is submitted unchecked at once, and one event says why."""
    case.vendor.on("GET", DESCRIPTION, answer)
    client = case.client(check_parameters=True)
    client.submit(FLOW, {"anything": 1})
    client.submit(FLOW, {"anything": 1})

    assert [event.flow for event in case.happened(events.CheckSkipped)] == [FLOW]
    assert len(case.vendor.asked("GET", DESCRIPTION)) == 1
    case.clock.advance(31)
    client.submit(FLOW)
    assert len(case.vendor.asked("GET", DESCRIPTION)) == 2


def test_the_check_can_be_switched_off(case):
    """With `check_parameters` false nothing but the submission is sent."""
    case.client(check_parameters=False).submit(FLOW, {"anything": 1})
    assert [request.method for request in case.vendor.requests] == ["POST"]


def test_a_flow_that_is_none_is_not_asked_for(case):
    """A flow of the wrong form is an error and no reason to skip the check."""
    with pytest.raises(InvalidRequest, match=r"Repository/workspace\.fmw"):
        case.client(check_parameters=True).submit("x.fmw")
    assert (case.vendor.requests, case.events) == ([], [])


@pytest.mark.parametrize(
    ("arguments", "expected", "text"),
    [
        ({"key": ""}, InvalidRequest, "a key is a text of 1 to 200 printable characters"),
        ({"key": "a\nb"}, InvalidRequest, "printable"),
        ({"key": "k" * 201}, InvalidRequest, "printable"),
        (
            {"options": SubmitOptions(extra={"max_total_lifetime": 1})},
            UnsupportedOption,
            "did you mean 'max_total_life_time'",
        ),
        ({"options": SubmitOptions(description="x")}, UnsupportedOption, "description"),
        (
            {"options": {"tag": "x"}},
            InvalidRequest,
            "options are SubmitOptions.*cannot be of type dict",
        ),
        ({"parameters": "A=secret"}, InvalidRequest, "parameters map names to values.*cannot be of type str"),
        ({"parameters": [("A", "secret")]}, InvalidRequest, "cannot be of type list"),
    ],
)
def test_what_the_backend_cannot_do_is_an_error_before_any_request(case, arguments, expected, text):
    """Nothing asked for is dropped: it is an error that names it, located, and no request is made."""
    with pytest.raises(expected, match=text) as caught:
        case.client().submit(FLOW, **arguments)
    assert (caught.value.connection, caught.value.backend) == ("fme-flow-v4@fme.example.com", "fme-flow-v4")
    assert "secret" not in str(caught.value)
    assert case.vendor.requests == []


@pytest.mark.parametrize(
    "answer", [HTML, (202, b'{"id"'), 502, 504, (408, "<html>"), httpx.ReadTimeout("x"), httpx.RemoteProtocolError("x")]
)
def test_an_uncertain_submission(case, answer):
    """Where there may be a run, the error says so, has a handle and its cause, and nothing is sent twice."""
    case.vendor.on("POST", "/jobs", answer)
    with pytest.raises(SubmissionUncertain, match="not sent again") as caught:
        case.client().submit(FLOW)

    assert (caught.value.handle.flow, caught.value.handle.id) == (FLOW, None)
    assert caught.value.ref == caught.value.handle
    for error in (caught.value, caught.value.__cause__):
        assert "try again" not in str(error)
    assert isinstance(caught.value.__cause__, FlowrunnerError)
    assert caught.value.connection == caught.value.__cause__.connection
    assert len(case.vendor.requests) == 1
    assert case.events == []
    copy = pickle.loads(pickle.dumps(caught.value))
    assert (str(caught.value), caught.value.handle) == (str(copy), copy.handle)
    run = case.client().attach(caught.value.handle)
    assert (run.status.state, run.id) == (RunState.SUBMITTING, None)
    for asking in (run.refresh, run.cancel, run.wait):
        with pytest.raises(InvalidRequest, match="has no id"):
            asking()


PASSWORD = 'p"ä\\ss'


def test_passwords_are_masked(case):
    """Values of password parameters are masked in what the vendor says: message, payload, result and errors."""
    case.vendor.on("GET", DESCRIPTION, (200, SPEC))
    echo = job("failure", statusMessage=f"no login with {PASSWORD}", parameters={"deep": [PASSWORD, 1]})
    plain = (200, json.dumps(echo[1], ensure_ascii=False).encode())
    case.vendor.on("GET", "/jobs/1", echo, plain)
    case.vendor.on("GET", "/jobs/1/result", plain)
    run = case.client(check_parameters=True).submit(FLOW, {"MAXY": 1, "account": PASSWORD})
    run.refresh()
    assert run.status.message == "no login with ***"
    with pytest.raises(RunFailed) as caught:
        run.wait()

    shown = [
        repr(caught.value),
        str(caught.value),
        repr(caught.value.result),
        json.dumps(caught.value.result.to_dict()),
    ]
    shown += [repr(case.events), run.status.raw.decode(), repr(caught.value.result.raw)]
    for written in (
        PASSWORD,
        json.dumps(PASSWORD)[1:-1],
        json.dumps(PASSWORD, ensure_ascii=False)[1:-1],
        repr(PASSWORD)[1:-1],
    ):
        assert [text for text in shown if written in text] == []
    assert "***" in run.status.raw.decode()
    assert caught.value.result.raw["job"]["parameters"] == {"deep": ["***", 1]}


@pytest.mark.parametrize(
    "answer", [(400, {"message": f"bad {PASSWORD}", "details": {"account": PASSWORD}}), (200, f"<html>{PASSWORD}")]
)
def test_passwords_are_masked_in_a_refusal(case, answer):
    """A refusal, or nonsense, that repeats the password does not show it, nor does its cause."""
    case.vendor.on("GET", DESCRIPTION, (200, SPEC))
    case.vendor.on("POST", "/jobs", answer)
    with pytest.raises(FlowrunnerError) as caught:
        case.client(check_parameters=True).submit(FLOW, {"MAXY": 1, "account": PASSWORD})

    error = caught.value
    while error is not None:
        assert (
            PASSWORD not in f"{error}{error.__dict__.get('problems')}{getattr(error, 'body', '')}{error.vendor_message}"
        )
        error = error.__cause__


def test_a_credential_is_shown_in_no_status(case):
    """A vendor that repeats our credential shows it neither in a status, nor in events, nor in a result."""
    echo = {"statusMessage": f"with {TOKEN}", "resultDatasetDownloadUrl": f"https://fme.example.com/{TOKEN}/a.zip"}
    run = case.run(job("running", **echo), job("success", **echo))
    run.refresh()
    assert run.status.message == "with ***"
    result = run.wait()

    assert result.outputs == {"download_url": "https://fme.example.com/***/a.zip"}
    assert b"***" in run.status.raw
    shown = [repr(run.status.to_dict()), repr(run.history), repr(case.events), repr(result.outputs), repr(result.raw)]
    assert [text for text in shown if TOKEN in text] == []


# Files

UPLOAD = "/resources/connections/FME_SHAREDRESOURCE_TEMP/upload"
ITEM = "/resources/connections/FME_SHAREDRESOURCE_TEMP/item"
DOWNLOAD = "/resources/connections/FME_SHAREDRESOURCE_TEMP/download"


def test_files_among_the_parameters_are_uploaded(case, tmp_path):
    """Each file goes to the vendor once, and its reference in its place; the run tells which were."""
    first, second = tmp_path / "a.csv", tmp_path / "b.csv"
    first.write_bytes(b"abc")
    second.write_bytes(b"")
    case.vendor.on("POST", UPLOAD, 201)
    run = case.client().submit(FLOW, {"ONE": first, "MANY": [first, "x", second], "PAIR": (second,), "N": 1})

    assert [(file.name, file.size) for file in run.uploads] == [("a.csv", 3), ("b.csv", 0)]
    a, b = (str(file) for file in run.uploads)
    (request,) = case.vendor.asked("POST", "/jobs")
    given = json.loads(request.content)["publishedParameters"]
    assert given == {"ONE": a, "MANY": [a, "x", b], "PAIR": [b], "N": 1}
    assert len(case.vendor.asked("POST", UPLOAD)) == 2
    assert len({request.url.params["path"] for request in case.vendor.asked("POST", UPLOAD)}) == 2
    assert case.client().submit(FLOW, {"N": 1}).uploads == ()


def test_a_file_that_is_not_there_stops_all(case, tmp_path):
    """A name that is no file is refused before any other is uploaded and before anything is submitted."""
    file = tmp_path / "a.csv"
    file.write_bytes(b"abc")
    client = case.client()
    for value, told in ((tmp_path / "b.csv", "does not exist"), (tmp_path, "is a folder: give a file, or zip it")):
        with pytest.raises(InvalidRequest, match=told) as caught:
            client.submit(FLOW, {"A": file, "B": value})
        assert repr(str(value)) in str(caught.value)
        with pytest.raises(InvalidRequest, match=told):
            client.upload(value)
    assert case.vendor.requests == []


def test_a_name_that_is_no_text_is_refused(case, tmp_path):
    """A file is not uploaded under half a character, which no request can carry."""
    file = tmp_path / "a.csv"
    file.write_bytes(b"abc")
    with pytest.raises(InvalidRequest, match="give it another"):
        case.client().upload(file, "a\ud800.csv")
    assert case.vendor.requests == []


def test_a_payload_that_is_not_there(case, tmp_path):
    """A payload that is no file is refused before any request, in either form of a path."""
    for payload in (tmp_path / "none", str(tmp_path)):
        with pytest.raises(InvalidRequest, match=r"does not exist|is a folder"):
            case.client(check_parameters=True).submit(FLOW, payload=payload)
    assert case.vendor.requests == []


@pytest.mark.parametrize("is_path", [True, False])
def test_a_payload_that_is_a_text(case, connected, is_path):
    """Whether a text names a file or is the data itself is for the backend to say."""
    taken = []

    class Taking(FmeFlowV4):
        payload_text_is_path = is_path

        def submit(self, submission):
            taken.append(submission.payload)
            return (yield from super().submit(evolve(submission, payload=None)))

    client = case.open(connected(backend=Taking, check_parameters=False))
    if is_path:
        with pytest.raises(InvalidRequest, match="does not exist"):
            client.submit(FLOW, payload="<no/file>")
        assert case.vendor.requests == []
    else:
        client.submit(FLOW, payload="<no/file>")
    assert taken == ([] if is_path else ["<no/file>"])


@pytest.mark.parametrize(
    ("answers", "removed", "expected"),
    [
        ({"uploads": [201, (403, {"message": "no"})]}, 1, PermissionDenied),
        ({"submission": (422, {"message": "no such workspace"})}, 2, InvalidParameters),
        ({"submission": (502, "<html>")}, 0, SubmissionUncertain),
    ],
)
def test_files_that_nothing_needs_are_removed(case, tmp_path, answers, removed, expected):
    """Files of a submission that came to nothing are removed; where there may be a run, it may need them."""
    files = [tmp_path / "a.csv", tmp_path / "b.csv"]
    for file in files:
        file.write_bytes(b"abc")
    case.vendor.on("POST", UPLOAD, *answers.get("uploads", [201]))
    case.vendor.on("POST", "/jobs", answers.get("submission", 202))
    case.vendor.on("DELETE", ITEM, 204)
    with pytest.raises(expected):
        case.client().submit(FLOW, {"A": files})
    assert len(case.vendor.asked("DELETE", ITEM)) == removed


def test_files_that_cannot_be_removed(case, tmp_path, caplog):
    """That removing fails hides nothing of what went wrong before; the log says what stays, without the credential."""
    file = tmp_path / "a.csv"
    file.write_bytes(b"abc")
    case.vendor.on("POST", UPLOAD, 201)
    case.vendor.on("POST", "/jobs", (422, {"message": "no such workspace"}))
    case.vendor.on("DELETE", ITEM, (403, {"message": f"not with {TOKEN}"}))
    with pytest.raises(InvalidParameters, match="no such workspace"):
        case.client().submit(FLOW, {"A": file})
    (record,) = [record for record in caplog.records if record.name == "flowrunner.operations.files"]
    assert "a.csv stays at the vendor" in record.getMessage()
    assert "not with ***" in record.getMessage()


def test_files_come_and_go(case, tmp_path):
    """A file is uploaded under its own name or another, fetched again under any, and removed, gone or not."""
    file = tmp_path / "a.csv"
    file.write_bytes(b"abc")
    case.vendor.on("POST", UPLOAD, 201)
    case.vendor.on("GET", DOWNLOAD, (200, b"abc"))
    case.vendor.on("DELETE", ITEM, 204, (404, {"message": "gone"}))
    client, told = case.client(), []
    assert client.upload(file).name == "a.csv"
    remote = client.upload(str(file), "b.csv", progress=lambda *step: told.append(step))

    assert (remote.name, remote.size) == ("b.csv", 3)
    assert remote.reference.startswith("$(FME_SHAREDRESOURCE_TEMP)/flowrunner-")
    assert client.download(remote, tmp_path / "c.csv") == tmp_path / "c.csv"
    client.download(str(remote), str(tmp_path / "d.csv"), progress=lambda *step: told.append(step))
    assert (tmp_path / "c.csv").read_bytes() == (tmp_path / "d.csv").read_bytes() == b"abc"
    assert told[-1] == (3, 3)
    with pytest.raises(FileNotFoundError, match="there is no such folder to write to"):
        client.download(remote, f"{tmp_path}/missing/")
    assert not (tmp_path / "missing").exists()
    client.remove(remote)
    client.remove(remote)
    assert [request.url.params["path"] for request in case.vendor.asked("DELETE", ITEM)] == [
        "/" + remote.reference.removeprefix("$(FME_SHAREDRESOURCE_TEMP)/")
    ] * 2


def test_progress_of_an_artifact(case, tmp_path):
    """An artifact's download tells how much has come."""
    run = case.run(job("success", resultDatasetDownloadUrl="https://fme.example.com/a.zip"))
    case.vendor.on("GET", "/a.zip", (200, b"zipped"))
    (artifact,), told = run.wait().artifacts, []
    artifact.download(tmp_path / "x.zip", progress=lambda *step: told.append(step))
    assert told == [(6, 6)]


# A backend that has something to say


def _remarking():
    """A backend that asks the server first, and remarks on it."""

    class Remarking(FmeFlowV4):
        is_prepared = False

        def prepare(self):
            response = yield from send(Request("GET", "/first"))
            self.is_prepared = True
            return ("V4 was chosen", f"for {response.status} {TOKEN}")

        def submit(self, submission):
            accepted = yield from super().submit(submission)
            return evolve(accepted, remarks=("V3 after all",))

        def observe(self, ref, hold=0.0):
            seen = yield from super().observe(ref, hold)
            return evolve(seen, remarks=("its times have no zone",))

    return Remarking


def test_what_a_backend_remarks_is_told(case, connected, caplog):
    """What there is to say about the connection is an event and in the log: the choice, then what to beware of."""
    caplog.set_level("INFO", logger="flowrunner")
    case.vendor.on("GET", "/first", 200)
    client = case.open(connected(backend=_remarking(), check_parameters=False), on_event=case.events.append)
    client.submit(FLOW)
    client.submit(FLOW)

    remarks = [event.description for event in case.happened(events.Notice)]
    assert remarks == ["V4 was chosen", "for 200 ***", "V3 after all", "V3 after all"]
    logged = [(record.levelname, record.getMessage()) for record in caplog.records if record.name.startswith("flow")]
    levels = ["INFO", "WARNING", "INFO", "INFO"]
    assert logged == [
        (level, f"connection {client.name}: {remark}") for level, remark in zip(levels, remarks, strict=True)
    ]
    assert len(case.vendor.asked("GET", "/first")) == 1


def test_what_is_odd_about_an_answer_is_told_with_its_news(case, connected):
    """An answer's remarks are anomalies when it changes something, and are not repeated with every look."""
    case.vendor.on("GET", "/first", 200)
    case.vendor.on("GET", "/jobs/1", job("running"), job("running"), job("running"), job("success"))
    connection = connected(backend=_remarking(), check_parameters=False, max_long_polls=0)
    case.open(connection, on_event=case.events.append).submit(FLOW).wait()
    assert [event.description for event in case.happened(events.Anomaly)] == ["its times have no zone"] * 2


def test_a_server_that_cannot_be_asked_first(case, connected):
    """While the server cannot be asked what it can do, it is unreachable, and following a run goes on trying."""
    case.vendor.on("GET", "/first", httpx.ConnectError(f"refused {TOKEN}"))
    case.vendor.on("GET", "/jobs/1", job("success"))
    connection = connected(backend=_remarking(), retries=0)
    client = case.open(connection, on_event=case.events.append)
    health = client.health()
    assert (health.reachable, "refused ***" in health.message) == (False, True)
    with pytest.raises(TransportError):
        client.describe(FLOW)
    case.vendor.on("GET", "/first", httpx.ConnectError("refused"), 200)
    run = client.attach(RunRef(client.name, "fme-flow-v4", FLOW, "1"))
    assert run.wait().status.state is RunState.SUCCEEDED
    assert len(case.happened(events.ContactFailed)) == len(case.happened(events.ContactRestored)) == 1


def test_following_asks_the_server_first_without_retries(case, connected):
    """What a wait has to ask before it looks is asked once per look, and within the time of the wait."""
    waits = []

    def slow(request):
        waits.append(request.extensions["timeout"]["read"])
        case.clock.advance(2)
        return httpx.ReadTimeout("slow")

    case.vendor.on("GET", "/first", slow)
    connection = connected(backend=_remarking(), retries=5, timeout=30)
    client = case.open(connection, on_event=case.events.append)
    run = client.attach(RunRef(client.name, "fme-flow-v4", FLOW, "1"))
    with pytest.raises(WaitTimeout):
        run.wait(timeout=3)
    assert len(waits) == len(case.happened(events.ContactFailed)) == 2
    assert waits[0] == 8
    assert waits[1] < 7


# Waiting


@pytest.mark.parametrize("timeout", [-1, float("nan"), timedelta(seconds=-1)])
def test_a_wait_that_makes_no_sense(case, timeout):
    """A negative wait, or one that is no number, is refused at the call, and nothing is asked or submitted."""
    client = case.client()
    run = client.attach(RunRef(client.name, "fme-flow-v4", FLOW, "1"))
    for call_ in (run.wait, run.watch, lambda timeout: client.run(FLOW, timeout=timeout)):
        with pytest.raises(InvalidRequest, match="0 seconds or more"):
            call_(timeout)
    assert case.vendor.requests == []


def test_waiting_for_success(case):
    """`wait` follows to the end and reads record and result; the history has one entry per change, without payloads."""
    run = case.run(job("queued"), job("queued"), job("running"), job("running"), job("success", elapsedTime=3000))
    case.vendor.on(
        "GET", "/jobs/1/result", (200, {"id": 1, "status": "success", "featureOutputCount": 5, "statusMessage": "ok"})
    )
    result = run.wait()

    assert (result.status.state, result.status.message) == (RunState.SUCCEEDED, "ok")
    assert result.metrics == {"features_written": 5, "elapsed_seconds": 3.0}
    assert [(status.state, status.vendor_status) for status in run.history] == [
        ("queued", None),
        ("queued", "queued"),
        ("running", "running"),
        ("succeeded", "success"),
        ("succeeded", "success"),
    ]
    assert [status.raw for status in run.history] == [None] * 5
    assert run.status.raw
    assert len(case.happened(events.StatusChanged)) == 4
    asked = len(case.vendor.requests)
    assert result is run.result() if not hasattr(run, "target") else result == run.result()
    assert result.status == run.wait(timeout=0).status
    assert asked == len(case.vendor.requests)


@pytest.mark.parametrize(
    ("word", "expected", "state", "cause"),
    [
        ("failure", RunFailed, RunState.FAILED, Cause.UNSPECIFIED),
        ("FME_FAILURE", RunFailed, RunState.FAILED, Cause.FLOW),
        ("JOB_FAILURE", RunFailed, RunState.FAILED, Cause.PLATFORM),
        ("cancelled", RunCancelled, RunState.CANCELLED, Cause.UNSPECIFIED),
    ],
)
def test_waiting_for_another_end(case, word, expected, state, cause):
    """A run that did not succeed raises its error with the result, or returns it where that is wanted."""
    run = case.run(job(word, statusMessage="boom"))
    with pytest.raises(expected, match="boom") as caught:
        run.wait()

    assert (state, cause) == (caught.value.status.state, caught.value.status.cause)
    assert (run.ref, run.status) == (caught.value.ref, caught.value.result.status)
    assert state is run.wait(raise_on_failure=False).status.state
    pickle.loads(pickle.dumps(caught.value))


def test_a_timeout_changes_nothing(case):
    """When our wait ends, the run is as it was, and can be waited for again. Never is slept longer than that."""
    run = case.run(job("running"))
    with pytest.raises(WaitTimeout, match="it goes on, wait again") as caught:
        run.wait(timeout=timedelta(seconds=7.3))
    assert pytest.approx(case.clock.monotonic()) == 7.3
    assert isinstance(caught.value, TimeoutError)
    assert (RunState.RUNNING, True, run.ref) == (caught.value.status.state, caught.value.transient, caught.value.ref)
    assert RunState.RUNNING is run.status.state
    case.vendor.on("GET", "/jobs/1", job("success"))
    assert RunState.SUCCEEDED is run.wait(timeout=1).status.state


def test_a_timeout_of_zero_looks_once(case):
    """`wait(timeout=0)` is one look, which gets its answer though no time is left."""
    run = case.run(job("running"), job("success"))
    with pytest.raises(WaitTimeout):
        run.wait(timeout=0)
    assert case.looks() == 1
    assert 0 < case.vendor.requests[-1].extensions["timeout"]["read"] <= 5
    assert RunState.SUCCEEDED is run.wait(timeout=0).status.state
    assert case.clock.slept == []


def test_a_held_connection_does_not_outlast_the_wait(case):
    """`Retry-After` holds our requests, and our wait ends in time all the same."""
    run = case.run((429, {"message": "slow"}, {"Retry-After": "600"}))
    with pytest.raises(WaitTimeout):
        run.wait(timeout=20)
    assert pytest.approx(case.clock.monotonic()) == 20
    assert case.looks() == 1


def test_looks_grow_rarer_with_age(case):
    """A run is looked at every tenth of its age, between the least and the most."""
    run = case.run(job("running"), poll_min=1, poll_max=20)
    with pytest.raises(WaitTimeout):
        run.wait(timeout=1000)

    pauses = [round(pause, 6) for pause in case.clock.slept[:-1]]
    assert (min(pauses), max(pauses)) == (1, 20)
    assert sorted(pauses) == pauses
    assert case.looks() < 90


def test_until_something_else(case):
    """`until` has two values; anything else is refused before a request."""
    with pytest.raises(InvalidRequest, match="terminal"):
        case.run(job("running")).wait(until="success")
    assert case.looks() == 0


def test_an_unknown_word_keeps_the_run_alive(case):
    """A word nobody knows neither ends the run nor changes its state; it is shown, told once, and can be taught."""
    run = case.run(job("running"), job("Rebooting!"), job("Rebooting!"), job("running"), job("success"))
    statuses = [(status.state, status.vendor_status, status.recognized) for status in run.watch()]

    assert (RunState.RUNNING, "Rebooting!", False) in statuses
    assert statuses[-1] == (RunState.SUCCEEDED, "success", True)
    assert [event.word for event in case.happened(events.UnknownWord)] == ["Rebooting!"]
    taught = case.run(job("Rebooting!"), status_map={"Rebooting!": "failed/platform"})
    with pytest.raises(RunFailed) as caught:
        taught.wait()
    assert Cause.PLATFORM is caught.value.status.cause


@pytest.mark.parametrize("reason", [WaitReason.USER_INPUT, WaitReason.FLOW_SELECTION])
@pytest.mark.parametrize("raise_on_failure", [True, False])
def test_a_run_that_waits_for_a_person(case, reason, raise_on_failure):
    """Such a run does not hang the program: InputRequired whatever `raise_on_failure`, or a return for attention."""
    run = case.run(job("ask"), status_map={"ask": f"waiting/{reason}"})
    with pytest.raises(InputRequired, match="waits for a person") as caught:
        run.wait(raise_on_failure=raise_on_failure)

    assert (RunState.WAITING, reason, run.ref) == (
        caught.value.status.state,
        caught.value.status.reason,
        caught.value.ref,
    )
    result = run.wait(until="attention", raise_on_failure=raise_on_failure)
    assert (result.status.state, result.outputs) == (RunState.WAITING, {})


@pytest.mark.parametrize("word", ["PAUSED", "event"])
def test_a_run_that_waits_for_no_person(case, word):
    """PAUSED and EXTERNAL_EVENT keep a wait waiting; `until="attention"` returns."""
    run = case.run(job(word), status_map={"event": "waiting/external_event"})
    assert RunState.WAITING is run.wait(until="attention").status.state
    case.vendor.on("GET", "/jobs/1", job(word), job("running"), job("success"))
    assert RunState.SUCCEEDED is run.wait().status.state


def test_attention_is_also_the_end(case):
    """`until="attention"` ends with the run, and raises as ever."""
    with pytest.raises(RunFailed):
        case.run(job("failure")).wait(until="attention")


def test_a_run_that_is_requeued(case):
    """RUNNING that goes back to QUEUED is the next attempt; the first word after the submission is not."""
    run = case.run(job("running"), job("queued"), job("running"), job("success"))
    assert (run.wait().status.attempt, run.status.state) == (2, RunState.SUCCEEDED)
    assert [status.attempt for status in run.history] == [1, 1, 2, 2, 2]
    assert case.run(job("queued"), job("success")).wait().status.attempt == 1


def test_complete_waits_for_the_result(case):
    """A record that says only `complete` keeps the run as it was until a result says how it ended."""
    run = case.run(job("running"), job("complete"))
    case.vendor.on("GET", "/jobs/1/result", 404, (200, {"id": 1, "status": "failure", "statusMessage": "boom"}))
    with pytest.raises(RunFailed, match="boom"):
        run.wait()


def test_the_result_may_correct_a_success(case):
    """Where the record and its result disagree, the failure wins, with an anomaly."""
    run = case.run(job("success"))
    case.vendor.on("GET", "/jobs/1/result", (200, {"id": 1, "status": "failure", "statusMessage": "boom"}))
    with pytest.raises(RunFailed, match="boom"):
        run.wait()
    assert RunState.FAILED is run.status.state
    assert len(case.happened(events.Anomaly)) == 1


def test_an_end_stays(case):
    """A later different word is an anomaly, and the end stays as it was."""
    run = case.run(job("success"), job("running"))
    run.refresh()
    assert RunState.SUCCEEDED is run.refresh().state
    assert "running" in case.happened(events.Anomaly)[0].description


def test_details_that_cannot_be_read(case):
    """A failed run is RunFailed though its details cannot be read, which a note says; for a success it is an error."""
    run = case.run(job("failure"))
    case.vendor.on("GET", "/jobs/1/result", 500)
    with pytest.raises(RunFailed) as caught:
        run.wait()
    assert "details could not be read" in caught.value.__notes__[0]
    assert isinstance(caught.value.__cause__, VendorError)
    with pytest.raises(VendorError):
        run.wait(raise_on_failure=False)
    succeeded = case.run(job("success"))
    with pytest.raises(VendorError):
        succeeded.wait()
    assert RunState.SUCCEEDED is succeeded.status.state
    case.vendor.on("GET", "/jobs/1/result", (200, {"id": 1, "statusMessage": "ok"}))
    assert succeeded.result().status.message == "ok"


def test_the_result_of_a_run_that_goes_on(case):
    """`result` looks once; a run that has not ended has none."""
    run = case.run(job("running"), job("success"))
    with pytest.raises(InvalidRequest, match="wait for it first"):
        run.result()
    assert RunState.SUCCEEDED is run.result().status.state


def test_history_is_bounded(case):
    """The history keeps the last 200 changes."""
    run = case.run(*(job("running", statusMessage=str(number)) for number in range(250)), job("success"))
    run.wait()
    assert len(run.history) == 200
    assert run.history[-2].message == "249"


# Losing contact


@pytest.mark.parametrize(
    "answer",
    [
        500,
        503,
        (404, "<html>404</html>"),
        404,
        (404, NO_ACCESS),
        (409, NO_ACCESS),
        HTML,
        (200, b'{"sta'),
        (200, b""),
        408,
        429,
        (400, {"message": "?"}),
        302,
        httpx.ConnectError("refused"),
        httpx.ReadTimeout("slow"),
        httpx.RemoteProtocolError("x"),
    ],
)
def test_lost_contact_is_no_failure(case, answer):
    """What says nothing about the run counts against the budget; then ContactLost, and the run is as it was."""
    run = case.run(job("running"), answer, contact_budget=60)
    with pytest.raises(ContactLost, match="wait again") as caught:
        run.wait()

    assert 60 <= case.clock.monotonic() < 100
    assert (caught.value.status.state, run.status.state) == (RunState.RUNNING, RunState.RUNNING)
    assert isinstance(caught.value.__cause__, FlowrunnerError)
    assert (True, run.ref) == (caught.value.transient, caught.value.ref)
    failures = case.happened(events.ContactFailed)
    assert len(failures) == case.looks() - 1 >= 3
    assert caught.value.__cause__ is failures[-1].error
    assert failures[-1].error.ref == run.ref
    case.vendor.on("GET", "/jobs/1", job("success"))
    assert RunState.SUCCEEDED is run.wait().status.state


def test_any_answer_restores_contact(case):
    """Each success starts the budget anew and is told; so a flaky way there is no lost contact."""
    run = case.run(*(500, 500, 500, 500, job("running")) * 20, job("success"), contact_budget=20, poll_max=5)
    run.wait()

    assert case.clock.monotonic() > 100
    assert len(case.happened(events.ContactRestored)) == 20


def test_pauses_grow_while_contact_is_lost(case):
    """Failed looks are repeated ever more rarely, and never sooner than the vendor wants."""
    run = case.run(500, 500, 500, 500, (503, b"", {"Retry-After": "9"}), job("success"))
    run.wait()
    assert case.clock.slept == [0.5, 1, 2, 4, 9]


def test_a_wait_that_ends_while_contact_is_lost(case):
    """When our wait ends first, that is a WaitTimeout whose cause is the last failure."""
    run = case.run(500)
    with pytest.raises(WaitTimeout) as caught:
        run.wait(timeout=3)
    assert isinstance(caught.value.__cause__, VendorError)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [((401, {"message": "no"}), AuthenticationError), ((403, NO_ACCESS), PermissionDenied), (403, PermissionDenied)],
)
def test_a_refused_credential_raises_at_once(case, answer, expected):
    """401 and 403 while following raise at once: no look will mend that."""
    run = case.run(job("running"), answer)
    with pytest.raises(expected):
        run.wait()
    assert case.looks() == 2
    assert (run.status.state, case.happened(events.ContactFailed)) == (RunState.RUNNING, [])


@pytest.mark.parametrize("answer", [500, HTML, (404, NO_ACCESS)])
def test_refresh_raises_what_happened(case, answer):
    """`refresh` is one look, not repeated, and raises what happened."""
    run = case.run(answer)
    with pytest.raises(FlowrunnerError) as caught:
        run.refresh()
    assert case.looks() == 1
    assert run.ref == caught.value.ref
    assert RunState.QUEUED is run.status.state


# Runs the vendor does not know


def test_a_run_nobody_has_seen(case):
    """An attached run that the vendor does not know is RunNotFound, at once."""
    run = case.attached(GONE)
    for looking in (run.refresh, run.wait):
        with pytest.raises(RunNotFound, match="no run '1'"):
            looking()
    assert RunState.UNKNOWN is run.status.state


def test_a_run_that_is_not_visible_yet(case):
    """For 30 s after its submission a run that the vendor denies is only not visible yet."""
    run = case.run(*[GONE] * 5, job("running"), job("success"), poll_min=5)
    assert RunState.SUCCEEDED is run.wait().status.state
    assert case.happened(events.ContactFailed) == []


def test_a_run_that_never_becomes_visible(case):
    """After that time a submitted run that is never shown is LOST."""
    with pytest.raises(RunLost):
        case.run(GONE).wait()
    assert 40 <= case.clock.monotonic() < 60


def test_attached_with_the_time_of_its_submission(case):
    """Who says when a run was submitted says that there is one: denied, it is not visible yet, and LOST in the end."""
    run = case.attached(*[GONE] * 5, job("running"), job("success"), poll_min=5, submitted_at=case.clock.now())
    assert RunState.SUCCEEDED is run.wait().status.state
    old = case.attached(GONE, submitted_at=case.clock.now() - timedelta(hours=1))
    began = case.clock.monotonic()
    with pytest.raises(RunLost):
        old.wait()
    assert 10 <= case.clock.monotonic() - began <= 60  # three looks at an old run


def test_attached_with_a_time_without_a_zone(case):
    """What time a time without a zone is, nobody knows: it is refused."""
    with pytest.raises(InvalidRequest, match="no time zone"):
        case.attached(submitted_at=datetime(2026, 1, 1))  # noqa: DTZ001 - that is what is refused


def test_a_run_that_is_forgotten(case):
    """A run that was seen and is denied three times over at least 10 s is LOST, its outcome unknowable."""
    run = case.run(job("running"), GONE)
    with pytest.raises(RunLost, match="no longer knows") as caught:
        run.wait()
    assert RunState.LOST is caught.value.result.status.state
    assert 10 <= case.clock.monotonic() < 20
    assert RunState.LOST is run.wait(raise_on_failure=False).status.state
    assert case.vendor.asked("GET", "/jobs/1/result") == []


def test_a_wait_that_ends_while_the_run_is_denied(case):
    """Nobody is told that a run goes on which the vendor says it does not have."""
    run = case.run(job("running"), GONE)
    with pytest.raises(WaitTimeout, match="it was running when it was seen last, and now the vendor says"):
        run.wait(timeout=5)


def test_a_run_that_reappears(case):
    """LOST is left if the run is shown again, and how it ends then is its result."""
    run = case.run(job("running"), GONE)
    with pytest.raises(RunLost):
        run.wait()
    case.vendor.on("GET", "/jobs/1", job("running"), job("success"))
    assert RunState.RUNNING is run.refresh().state
    assert RunState.SUCCEEDED is run.wait().status.state


def test_denied_in_between(case):
    """Being shown in between starts the count anew."""
    run = case.run(job("running"), GONE, GONE, job("running"), GONE, GONE, job("success"), poll_min=6)
    assert RunState.SUCCEEDED is run.wait().status.state


def test_a_cancelled_run_that_is_cleaned_up(case):
    """A run that is gone after a cancellation the vendor accepted was cancelled by us."""
    run = case.run(job("running"))
    case.vendor.on("POST", "/jobs/1/cancel", 204)
    assert CancelOutcome.REQUESTED is run.cancel()
    case.vendor.on("GET", "/jobs/1", GONE)
    assert (run.wait(raise_on_failure=False).status.state, run.status.cause) == (RunState.CANCELLED, Cause.BY_US)
    with pytest.raises(RunCancelled):
        run.wait()


def test_a_success_that_is_cleaned_up(case):
    """That the details of a success are gone is an error, since they were asked for; the run succeeded all the same."""
    run = case.run(job("success"), GONE)
    with pytest.raises(RunNotFound):
        run.wait()
    assert RunState.SUCCEEDED is run.status.state


def test_a_run_that_ended_stays_so(case):
    """A final state outlives the vendor's clean-up."""
    run = case.run(job("success"), GONE)
    run.refresh()
    assert RunState.SUCCEEDED is run.refresh().state


# Attaching


def test_attaching(case):
    """A reference, or its text, finds the run again without a request; its first look tells where it stands."""
    first = case.run(job("success"))
    client = case.client()
    for run in (client.attach(first.ref), client.attach(str(first.ref))):
        assert (run.status.state, run.id, run.history) == (RunState.UNKNOWN, "1", ())
    assert len(case.vendor.requests) == 1
    assert RunState.SUCCEEDED is run.wait().status.state


@pytest.mark.parametrize("backend", ["fme-flow", "fme-flow-v3", "fme-flow-v4"])
def test_a_backend_of_the_family_will_do(case, backend):
    """A reference made through another backend of the family is good, also by settings given in place."""
    client = case.client()
    assert client.attach(RunRef(client.name, backend, FLOW, "1")).id == "1"
    assert client.attach(RunRef(f"{backend}@fme.example.com", backend, FLOW, "1")).id == "1"


def test_a_configured_name_with_an_at_sign(open_client, connected, vendor):
    """A configured name is compared whole, unless what stands before its `@` is a backend of the family."""
    connection = evolve(connected(), name="me@fme.example.com")
    client = open_client(connection)
    assert client.attach(RunRef("me@fme.example.com", "fme-flow-v4", FLOW, "1")).id == "1"
    for name in ("you@fme.example.com", "fme-flow-v4@fme.example.com", "invision@fme.example.com"):
        with pytest.raises(InvalidRequest, match="belongs to connection"):
            client.attach(RunRef(name, "fme-flow-v4", FLOW, "1"))


@pytest.mark.parametrize(
    "ref",
    [
        RunRef("elsewhere", "fme-flow-v4", FLOW, "1"),
        RunRef("fme-flow-v3@fme.example.com:8443", "fme-flow-v3", FLOW, "1"),
        RunRef("fme.example.com", "fme-flow-v4", FLOW, "1"),
        RunRef("fme-flow-v4@fme.example.com", "invision", FLOW, "1"),
        RunRef("fme-flow-v4@fme.example.com", "fme-flowers", FLOW, "1"),
        "1",
        "",
        "flowrunner:2:a:b:c:d",
        "flowrunner:1:a",
        None,
        1,
    ],
)
def test_a_foreign_reference(case, ref):
    """A reference of another connection or family, or a text that is none, is refused and nothing is asked."""
    with pytest.raises(InvalidRequest):
        case.client().attach(ref)
    assert case.vendor.requests == []


def test_an_id_that_was_given_to_another_run(case):
    """If the record shows another flow than the reference, the run is LOST, with an anomaly."""
    run = case.attached((200, {"id": 1, "status": "success", "repository": "Samples", "workspace": "other.fmw"}))
    with pytest.raises(RunLost):
        run.wait()
    assert [run.status.state, run.status.message] == [RunState.LOST, None]
    (anomaly,) = case.happened(events.Anomaly)
    assert "Samples/other.fmw" in anomaly.description
    run.refresh()
    assert len(case.happened(events.Anomaly)) == 1


def test_a_record_without_a_flow(case):
    """Where the record shows no flow, there is nothing to contradict; nor where the reference has none."""
    assert RunState.SUCCEEDED is case.attached((200, {"status": "success"})).refresh().state
    assert RunState.SUCCEEDED is case.attached(job("success"), flow="").refresh().state


# Watching


def test_watching(case):
    """Each change comes once, in order, and the final one last; nobody asks the vendor after it."""
    run = case.run(
        job("queued"),
        job("queued"),
        job("running"),
        job("running"),
        job("running", statusMessage="half"),
        job("success"),
    )
    assert [(status.vendor_status, status.message) for status in run.watch()] == [
        ("queued", None),
        ("running", None),
        ("running", "half"),
        ("success", "half"),
    ]
    assert case.looks() == 6


def test_watching_what_has_ended(case):
    """A run that has ended shows that alone, and is not asked for."""
    run = case.run(job("success"))
    run.wait()
    looks = case.looks()
    assert [status.state for status in run.watch()] == [RunState.SUCCEEDED]
    assert looks == case.looks()


def test_watching_for_so_long(case):
    """The timeout is one for all changes together, and ends in WaitTimeout."""
    run = case.run(job("queued"), *[job("running", statusMessage=str(number)) for number in range(999)])
    seen = []
    with pytest.raises(WaitTimeout, match="within 10 s"):
        seen.extend(run.watch(timeout=10))
    assert pytest.approx(case.clock.monotonic()) == 10
    case.vendor.on("GET", "/jobs/1", 500)
    with pytest.raises(ContactLost):
        list(run.watch())


def test_two_who_watch(case):
    """What another caller's look has seen is shown to who watches, too, without a request of their own."""
    run = case.run(job("queued"), job("running"), job("running", statusMessage="a"), job("success"))
    watching = iter(run.watch())
    assert next(watching).vendor_status == "queued"
    run.refresh()
    run.refresh()
    looks = case.looks()
    assert [(each.vendor_status, each.message) for each in (next(watching), next(watching))] == [
        ("running", None),
        ("running", "a"),
    ]
    assert looks == case.looks()
    assert [status.vendor_status for status in watching] == ["success"]


def test_watching_with_more_changes_than_history(case):
    """Who comes late to more than 200 changes gets the last 200."""
    run = case.run(*(job("running", statusMessage=str(number)) for number in range(300)), job("success"))
    watching = iter(run.watch())
    assert next(watching).message == "0"
    run.wait()
    messages = [status.message for status in watching]
    assert (len(messages), messages[-2], messages[-1]) == (200, "299", "299")


# Cancelling


@pytest.mark.parametrize(
    ("look", "outcome", "state", "cause"),
    [
        (job("cancelled"), CancelOutcome.CONFIRMED, RunState.CANCELLED, Cause.BY_US),
        (job("running"), CancelOutcome.REQUESTED, RunState.CANCELLING, None),
        (500, CancelOutcome.REQUESTED, RunState.CANCELLING, None),
        (job("success"), CancelOutcome.TOO_LATE, RunState.SUCCEEDED, None),
    ],
)
def test_cancelling(case, look, outcome, state, cause):
    """Cancelling is CONFIRMED, REQUESTED or TOO_LATE, and the status says the rest."""
    run = case.run(look)
    case.vendor.on("POST", "/jobs/1/cancel", 204)
    assert outcome is run.cancel()
    assert (state, cause) == (run.status.state, run.status.cause)
    if outcome is CancelOutcome.REQUESTED:
        case.vendor.on("GET", "/jobs/1", job("running"), job("queued"), job("cancelled"))
        assert {RunState.CANCELLING, RunState.CANCELLED} == {status.state for status in run.watch()}
        assert Cause.BY_US is run.status.cause


def test_a_run_that_was_faster(case):
    """A run that ends by itself after the cancellation was accepted has ended so."""
    run = case.run(job("running"), job("success"))
    case.vendor.on("POST", "/jobs/1/cancel", 204)
    assert CancelOutcome.REQUESTED is run.cancel()
    assert RunState.SUCCEEDED is run.wait().status.state


def test_cancelling_too_late(case):
    """What had ended before is TOO_LATE, with its end, and not cancelled by us."""
    run = case.run(job("cancelled"))
    case.vendor.on("POST", "/jobs/1/cancel", (422, {"message": 'Job "1" is already complete and cannot be cancelled.'}))
    assert CancelOutcome.TOO_LATE is run.cancel()
    assert (run.status.state, run.status.cause) == (RunState.CANCELLED, Cause.UNSPECIFIED)


def test_a_cancellation_that_fails(case):
    """A cancellation that is refused or never answered raises, and the run is as it was."""
    run = case.run(job("running"), retries=0)
    for answer, expected in (
        ((422, {"message": 'The job for ID "1" does not exist.'}), RunNotFound),
        ((403, NO_ACCESS), PermissionDenied),
        (HTML[1:], None),
        ((404, "<html>"), ProtocolError),
    ):
        if expected is not None:
            case.vendor.on("POST", "/jobs/1/cancel", answer)
            with pytest.raises(expected):
                run.cancel()
    assert RunState.QUEUED is run.status.state


@pytest.mark.parametrize(
    ("look", "outcome", "state", "cause"),
    [
        (job("cancelled"), CancelOutcome.CONFIRMED, RunState.CANCELLED, Cause.BY_US),
        (job("success"), CancelOutcome.TOO_LATE, RunState.SUCCEEDED, None),
    ],
)
def test_a_cancellation_whose_answer_is_lost(case, look, outcome, state, cause):
    """It is sent once, and one look tells what became of it."""
    run = case.run(look, retries=2)
    case.vendor.on("POST", "/jobs/1/cancel", httpx.ReadError("cut"))
    assert outcome is run.cancel()
    assert (state, cause) == (run.status.state, run.status.cause)
    assert len(case.vendor.asked("POST", "/jobs/1/cancel")) == case.looks() == 1


@pytest.mark.parametrize("look", [job("running"), job("Rebooting!"), (401, {}), 503, (200, "<html>")])
def test_a_lost_cancellation_of_a_live_run(case, look):
    """Where the look shows no end, or nothing, the lost answer is the error; the run is as it was."""
    run = case.run(look, retries=0)
    case.vendor.on("POST", "/jobs/1/cancel", httpx.ReadError("cut"))
    with pytest.raises(TransportError, match="cut") as caught:
        run.cancel()
    assert caught.value.maybe_arrived
    assert RunState.QUEUED is run.status.state


def test_a_cancellation_that_was_never_sent(case):
    """Where the request did not arrive, nobody looks."""
    run = case.run(job("running"), retries=0)
    case.vendor.on("POST", "/jobs/1/cancel", httpx.ConnectError("refused"))
    with pytest.raises(TransportError, match="refused"):
        run.cancel()
    assert case.looks() == 0


def test_words_that_were_taught_count_for_a_cancellation(case):
    """`status_map` says what a word means when the run is looked at after cancelling, too."""
    taught = {"Stopped!": "cancelled", "Over!": "succeeded"}
    case.vendor.on("POST", "/jobs/1/cancel", 204)
    assert CancelOutcome.CONFIRMED is case.run(job("Stopped!"), status_map=taught).cancel()
    assert CancelOutcome.TOO_LATE is case.run(job("Over!"), status_map=taught).cancel()
    case.vendor.on("POST", "/jobs/1/cancel", (422, {"message": "no"}))
    assert CancelOutcome.TOO_LATE is case.run(job("Over!"), status_map=taught).cancel()


# Listing


def _listed(*ids, **page):
    return 200, {"items": [job("running")[1] | {"id": each} for each in ids], **page}


def _pages(*active, completed=None):
    """Answer `GET /jobs`: pages of active jobs by offset, and one of completed ones."""

    def answer(request):
        if "success" in request.url.params.get_list("status"):
            return completed or _listed(totalCount=0)
        offset = int(request.url.params["offset"])
        return next((page for start, page in active if start == offset), _listed())

    return answer


def test_runs_are_listed(case):
    """Runs come with their status, page by page as they are needed, each once though it moves between pages."""
    ended = (200, {"items": [{"id": 9, "status": "failure"}, {"id": 1, "status": "success"}]})
    pages = _pages((0, _listed(5, 4, totalCount=4)), (2, _listed(4, 3, totalCount=4)), completed=ended)
    case.vendor.on("GET", "/jobs", pages)
    runs = list(case.client().runs())

    assert [(run.id, run.status.state, run.flow) for run in runs] == [
        ("5", "running", FLOW),
        ("4", "running", FLOW),
        ("3", "running", FLOW),
        ("9", "failed", ""),
        ("1", "succeeded", ""),
    ]
    assert len(case.vendor.requests) == 3
    assert case.events == [], "how a run was found is no news"
    case.vendor.on(
        "GET", "/jobs/5", (200, {"id": 5, "status": "success", "repository": "Samples", "workspace": "other.fmw"})
    )
    assert RunState.LOST is runs[0].refresh().state


@pytest.mark.parametrize(
    ("limit", "ids", "requests"),
    [(0, [], 0), (1, ["5"], 1), (2, ["5", "4"], 1), (3, ["5", "4", "3"], 2), (9, ["5", "4", "3"], 3)],
)
def test_so_many_runs(case, limit, ids, requests):
    """`limit` bounds the runs, and no page is fetched beyond it."""
    case.vendor.on("GET", "/jobs", _pages((0, _listed(5, 4, totalCount=3)), (2, _listed(3, totalCount=3))))
    assert ids == [run.id for run in case.client().runs(limit=limit)]
    assert requests == len(case.vendor.requests)


@pytest.mark.parametrize(
    ("state", "asked"),
    [
        ("running", [["running"]]),
        (RunState.FAILED, [["failure"]]),
        (["queued", RunState.CANCELLED], [["queued"], ["cancelled"]]),
        ((), []),
        ("waiting", []),
    ],
)
def test_runs_in_a_state(case, state, asked):
    """One state or several; none, or what the vendor has no word for, is an empty list and not an error."""
    case.vendor.on("GET", "/jobs", _listed())
    assert list(case.client().runs(state=state, flow=FLOW)) == []
    assert asked == [request.url.params.get_list("status") for request in case.vendor.requests]
    assert all(request.url.params["workspace"] == "x.fmw" for request in case.vendor.requests)


@pytest.mark.parametrize("query", [{"state": "done"}, {"state": ["running", "done"]}, {"limit": -1}])
def test_a_list_that_cannot_be_asked_for(case, query):
    """No such state, or less than none, is refused at the call, before any request, and the states are named."""
    with pytest.raises(InvalidRequest, match=r"states are submitting, queued|less than 0") as caught:
        case.client().runs(**query)
    assert caught.value.connection
    assert case.vendor.requests == []


def test_flows_are_listed(case):
    """Flows come page by page, each once though it moves between pages."""
    one, other = ({"name": f"{name}.fmw", "repositoryName": "Samples", "title": name} for name in "xy")
    case.vendor.on(
        "GET", "/workspaces", (200, {"items": [one], "totalCount": 3}), (200, {"items": [one, other], "totalCount": 3})
    )
    assert [(info.flow, info.title) for info in case.client().flows()] == [(FLOW, "x"), ("Samples/y.fmw", "y")]


@pytest.mark.parametrize("what", ["runs", "flows"])
def test_a_list_without_end(case, monkeypatch, what):
    """A vendor that gives the same page again and again is found out, after what it showed has been handed out."""
    monkeypatch.setattr("flowrunner.operations.listing.STALE_PAGES", 5)
    workspace = {"name": "x.fmw", "repositoryName": "Samples"}
    case.vendor.on("GET", "/workspaces", (200, {"items": [workspace], "totalCount": 10**9}))
    case.vendor.on("GET", "/jobs", _listed(5, 4, totalCount=10**9))
    listed = getattr(case.client(), what)()
    shown = [next(listed).flow]
    with pytest.raises(ProtocolError, match="5 pages without anything new"):
        shown.extend(each.flow for each in listed)
    assert set(shown) == {FLOW}
    assert len(case.vendor.requests) == 6


def test_describing(case):
    """A flow that is not there is FlowNotFound, located."""
    case.vendor.on("GET", DESCRIPTION, (404, {"message": "Item x.fmw does not exist."}))
    with pytest.raises(FlowNotFound, match="case-sensitive") as caught:
        case.client().describe(FLOW)
    assert "fme-flow-v4@fme.example.com" in str(caught.value)


def test_describing_is_repeated(case):
    """Who asks for a description gets it, though the vendor fails in passing."""
    case.vendor.on("GET", DESCRIPTION, 503, httpx.ReadError("x"), (200, SPEC))
    assert case.client(retries=2).describe(FLOW).parameter("MAXY").maximum == 90


def test_health(case):
    """A server that cannot be reached is an answer, and not asked twice."""
    case.vendor.on("GET", "/healthcheck/readiness", httpx.ConnectError("refused"))
    health = case.client().health()
    assert (health.reachable, health.authenticated) == (False, None)
    assert "refused" in health.message
    assert len(case.vendor.requests) == 1


# A request that waits


def _sync(word, **more):
    return 200, {"id": 1, "status": word, "statusMessage": "said", **more}


def test_the_server_waits(case):
    """`server_wait` is one submission that is answered with the end; then the details are read."""
    case.vendor.on("POST", "/jobs/sync", _sync("SUCCESS"))
    case.vendor.on("GET", "/jobs/1", job("success"))
    result = case.client().run(FLOW, {"MAXY": 1}, server_wait=True)

    assert (result.status.state, result.status.message) == (RunState.SUCCEEDED, "said")
    assert [events.Submitted, events.StatusChanged] == [type(event) for event in case.events][:2]
    assert len([request for request in case.vendor.requests if request.method == "POST"]) == 1


def test_an_answer_that_holds_the_result(case, connected):
    """What the answer alone can tell is the result's, however the run ended; the details are not asked for."""

    class Returning(FmeFlowV4):
        def run(self, submission, timeout):
            accepted = yield from self.submit(submission)
            return evolve(accepted, outcome=Outcome(outputs={"value": f"42 {TOKEN}"}))

    case.vendor.on("GET", "/jobs/1", job("running"), job("success"))
    client = case.open(connected(backend=Returning, check_parameters=False, max_long_polls=0))
    result = client.run(FLOW, server_wait=True)

    assert (result.status.state, dict(result.outputs)) == (RunState.SUCCEEDED, {"value": "42 ***"})
    assert (case.looks(), case.vendor.asked("GET", "/jobs/1/result")) == (2, [])


def test_the_server_waits_for_a_failure(case):
    """A run that failed there raises as after any wait, located at the run."""
    case.vendor.on("POST", "/jobs/sync", _sync("failure"))
    case.vendor.on("GET", "/jobs/1", job("failure"))
    with pytest.raises(RunFailed, match="said") as caught:
        case.client().run(FLOW, server_wait=True)
    assert caught.value.ref.id == "1"
    assert RunState.FAILED is case.client().run(FLOW, server_wait=True, raise_on_failure=False).status.state


def test_the_server_answers_before_the_end(case):
    """If the answer shows a live run, it is followed for the rest of the time."""

    def slow(_):
        case.clock.advance(6)
        return _sync("running")

    case.vendor.on("POST", "/jobs/sync", slow)
    case.vendor.on("GET", "/jobs/1", job("running"))
    with pytest.raises(WaitTimeout) as caught:
        case.client().run(FLOW, server_wait=True, timeout=10)
    assert pytest.approx(case.clock.monotonic()) == 10
    assert caught.value.ref.id == "1"


def test_the_word_of_a_submission_is_no_look(case):
    """A run that the submission called running and the record queued was not requeued: it is the first attempt."""
    case.vendor.on("POST", "/jobs/sync", _sync("running"))
    case.vendor.on("GET", "/jobs/1", job("queued"), job("success"))
    assert case.client().run(FLOW, server_wait=True).status.attempt == 1


def test_the_server_waits_too_long(case):
    """When the time passes, or the connection is cut, whether there is a run is unknown: an error with a handle."""
    case.vendor.on("POST", "/jobs/sync", httpx.ReadTimeout("slow"))
    with pytest.raises(SubmissionUncertain) as caught:
        case.client().run(FLOW, server_wait=True, timeout=timedelta(seconds=5))
    assert (caught.value.handle.flow, caught.value.handle.id) == (FLOW, None)
    (request,) = case.vendor.requests
    assert request.extensions["timeout"]["read"] == 5


def test_the_server_waits_for_no_time(case):
    """`server_wait` and a timeout of 0 contradict each other: an error before anything is asked."""
    with pytest.raises(InvalidRequest, match="server_wait=True needs time"):
        case.client().run(FLOW, server_wait=True, timeout=0)
    assert case.vendor.requests == []


def test_run_is_submit_and_wait(case):
    """`run` submits once and waits; its errors name the run."""
    case.vendor.on("GET", "/jobs/1", job("running"), job("success"))
    assert RunState.SUCCEEDED is case.client().run(FLOW, timeout=60).status.state
    case.vendor.on("GET", "/jobs/1", job("running"))
    with pytest.raises(WaitTimeout) as caught:
        case.client().run(FLOW, timeout=1)
    assert caught.value.ref.id == "1"
    assert "run flowrunner:1:" in str(caught.value)


def test_run_checks_before_it_waits(case):
    """`server_wait` checks parameters first, too."""
    case.vendor.on("GET", DESCRIPTION, (200, SPEC))
    with pytest.raises(InvalidParameters):
        case.client(check_parameters=True).run(FLOW, server_wait=True)


# Requests the vendor holds


def held(clock, seconds, answer):
    """An answer that takes its time when the vendor was asked to hold."""

    def answering(request):
        if "longPoll" in request.url.params:
            clock.advance(seconds)
            return answer
        return 200, {"id": 1, "status": "success"}

    return answering


def _holds(case):
    return [request for request in case.vendor.asked("GET", "/jobs/1/result") if "longPoll" in request.url.params]


def test_a_vendor_that_holds(case):
    """A run is followed by held requests, one after the other without a pause, until one shows the end."""
    run = case.run(job("running"), max_long_polls=8)
    answers = [202, 202, (200, {"id": 1, "status": "success"})]
    case.vendor.on(
        "GET", "/jobs/1/result", lambda request: held(case.clock, 20, answers.pop(0))(request) if answers else 404
    )
    run.wait()

    assert case.clock.slept == []
    assert len(_holds(case)) == 3
    assert {"20"} == {request.url.params["longPollInterval"] for request in _holds(case)}


def test_a_hold_ends_with_the_wait(case):
    """The vendor is asked to hold no longer than we wait; a rest below a second is polled."""
    run = case.run(job("running"), max_long_polls=8)
    case.vendor.on("GET", "/jobs/1/result", held(case.clock, 4, 202))
    with pytest.raises(WaitTimeout):
        run.wait(timeout=4.5)
    assert [request.url.params["longPollInterval"] for request in _holds(case)] == ["4"]
    assert case.clock.monotonic() <= 4.5


@pytest.mark.parametrize(
    "answer",
    [202, 404, 405, (200, {"id": 1, "status": "running"}), httpx.ReadError("cut"), (504, "<html>"), (500, b"")],
)
def test_a_vendor_that_does_not_hold(case, answer):
    """Who answers held requests at once is asked to hold twice, and then polled at the usual pace."""
    run = case.run(job("running"), max_long_polls=8, contact_budget=10)
    case.vendor.on("GET", "/jobs/1/result", held(case.clock, 0, answer))
    with pytest.raises(WaitTimeout):
        run.wait(timeout=200)

    assert len(_holds(case)) == 2
    assert case.looks() < 60
    other = case.run(job("success"), max_long_polls=8)
    other.wait()


def test_a_vendor_that_holds_again(case):
    """Ten minutes after the last vain try it is asked to hold again."""
    run = case.run(job("running"), max_long_polls=8)
    case.vendor.on("GET", "/jobs/1/result", held(case.clock, 0, 202))
    with pytest.raises(WaitTimeout):
        run.wait(timeout=590)
    assert len(_holds(case)) == 2
    case.vendor.on("GET", "/jobs/1/result", held(case.clock, 20, (200, {"id": 1, "status": "success"})))
    with pytest.raises(WaitTimeout):
        run.wait(timeout=5)
    assert len(_holds(case)) == 2
    assert RunState.SUCCEEDED is run.wait(timeout=600).status.state
    assert len(_holds(case)) == 3


def test_a_proxy_that_cuts_held_requests_is_no_lost_contact(case):
    """A proxy that answers 504 to what is held, each time after a while, does not lead to ContactLost."""
    run = case.run(*[job("running")] * 30, job("success"), max_long_polls=8, contact_budget=30)
    case.vendor.on("GET", "/jobs/1/result", held(case.clock, 15, (504, "<html>Gateway Time-out</html>")))
    assert RunState.SUCCEEDED is run.wait().status.state
    assert case.happened(events.ContactFailed) == []


def test_a_cut_connection_is_looked_after(case):
    """After a held request that failed the next look is a plain one."""
    run = case.run(job("success"), max_long_polls=8)
    case.vendor.on("GET", "/jobs/1/result", held(case.clock, 20, httpx.ReadError("cut")))
    run.wait()
    assert (
        len(_holds(case)),
        len(case.happened(events.ContactFailed)) + len(case.happened(events.ContactRestored)),
    ) == (1, 2)


def test_a_denied_run_is_not_held_against_the_vendor(case):
    """That a run is not visible yet says nothing about whether the vendor holds requests."""
    run = case.run(GONE, GONE, GONE, job("running"), max_long_polls=8)
    answers = [GONE, GONE, GONE, 202]
    case.vendor.on(
        "GET",
        "/jobs/1/result",
        lambda request: (
            held(case.clock, 20 * (len(answers) <= 1), answers.pop(0))(request)
            if answers
            else held(case.clock, 20, (200, {"id": 1, "status": "success"}))(request)
        ),
    )
    run.wait()
    assert len(_holds(case)) == 5


def test_no_hold_where_changes_matter(case):
    """Who watches wants to see QUEUED become RUNNING, so only a running run is held; an unknown one is looked at."""
    run = case.attached(job("queued"), job("queued"), job("running"), job("running"), max_long_polls=8)
    case.vendor.on("GET", "/jobs/1/result", held(case.clock, 20, (200, {"id": 1, "status": "success"})))
    assert [status.vendor_status for status in run.watch()] == ["queued", "running", "success"]
    assert len(_holds(case)) == 1
    attached = case.attached(job("success"), max_long_polls=8)
    attached.wait()
    assert len(_holds(case)) == 1


def test_a_backend_without_long_poll(case, connected, vendor):
    """Without the capability nothing is held."""

    class Plain(FmeFlowV4):
        capabilities = FmeFlowV4.capabilities - {Capability.LONG_POLL}

    vendor.on("GET", "/jobs/1", job("running"), job("success"))
    case.open(connected(backend=Plain, check_parameters=False)).submit(FLOW).wait()
    assert _holds(case) == []


@pytest.mark.anyio
async def test_so_many_held_requests(connected, vendor, clock):
    """At most `max_long_polls` requests are held at once, other runs are polled; a cancelled wait frees its place."""
    holding = asyncio.Event()
    release = asyncio.Event()
    vendor.on("POST", "/jobs", (202, {"id": 1}))
    vendor.on("GET", "/jobs/1", job("running"))
    async with AsyncClient(connected(check_parameters=False, max_long_polls=1), clock=clock) as client:
        session, send = client._session, client._session.send

        async def slow(request, **arguments):
            if request.query:
                holding.set()
                await release.wait()
            return await send(request, **arguments)

        session.send = slow
        first = await client.submit(FLOW)
        second = await client.submit(FLOW)
        waiting = asyncio.create_task(first.wait())
        await asyncio.wait_for(holding.wait(), 5)
        with pytest.raises(WaitTimeout):
            await second.wait(timeout=30)
        assert vendor.asked("GET", "/jobs/1/result") == []
        schedule = client._operations.following.schedule
        assert schedule._long_polls == 1
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        await asyncio.sleep(0)  # the look is cancelled, too
        assert (schedule._long_polls, len(schedule), first.status.state) == (0, 0, RunState.QUEUED)


# Events, capabilities, calls


class BothWays:
    """Lines that either client takes as it likes, and nothing more."""

    def __init__(self, lines):
        self._lines = iter(lines)

    def __iter__(self):
        return self._lines

    def __aiter__(self):
        return self

    async def __anext__(self):
        for line in self._lines:
            return line
        raise StopAsyncIteration


@pytest.mark.parametrize("kind", [iter, BothWays])
def test_lines_that_are_all_there_are_taken_by_both_clients(case, monkeypatch, kind):
    """A backend need not know which client asks: plain lines do for either, empty ones among them."""

    def logs(_backend, _ref):
        return kind(["first", "", "last"])
        yield

    monkeypatch.setattr(FmeFlowV4, "logs", logs)
    monkeypatch.setattr(FmeFlowV4, "capabilities", FmeFlowV4.capabilities | {Capability.LOGS})
    assert list(case.run(job("running")).logs()) == ["first", "", "last"]


def test_what_on_event_raises_does_not_matter(case, caplog):
    """The caller's function is told everything, and what it raises is logged and goes no further."""

    def broken(event):
        case.events.append(event)
        raise RuntimeError("mine")

    case.vendor.on("GET", "/jobs/1", job("running"), 500, job("success"))
    run = case.open(on_event=broken, check_parameters=False, max_long_polls=0).submit(FLOW)
    assert RunState.SUCCEEDED is run.wait().status.state
    assert 5 == len(case.events) == len(caplog.records)


def test_capabilities_are_checked_before_any_request(case, connected):
    """What the backend lacks is UnsupportedOperation that names the capability, and nothing is sent."""

    class Bare(FmeFlowV4):
        capabilities = frozenset()

    client = case.open(connected(backend=Bare))
    assert frozenset() == client.capabilities
    run = client.attach(RunRef(client.name, "fme-flow-v4", FLOW, "1"))
    for asking, name in (
        (run.cancel, "CANCEL"),
        (lambda: list(client.runs()), "LIST_RUNS"),
        (lambda: list(client.flows()), "LIST_FLOWS"),
        (lambda: client.describe(FLOW), "DESCRIBE"),
        (client.health, "HEALTH"),
        (lambda: client.submit(FLOW, {"a": 1}), "PARAMETERS"),
        (lambda: client.submit(FLOW, payload=b"x"), "PAYLOAD"),
        (lambda: client.upload(__file__), "UPLOAD"),
        (lambda: client.download("x", "y"), "UPLOAD"),
        (lambda: client.remove(RemoteFile(name="x", reference="y")), "UPLOAD"),
        (lambda: list(run.logs()), "LOGS"),
        (lambda: client.run(FLOW, server_wait=True), "SERVER_WAIT"),
    ):
        with pytest.raises(UnsupportedOperation, match=name):
            asking()
    assert case.vendor.requests == []
    assert client.submit(FLOW).id == "1"


def test_what_this_server_lacks_is_not_denied_of_the_backend(case, connected):
    """A backend may find out from its server what it can do: then the error says that it is about this server."""

    class Finds(FmeFlowV4):
        def __init__(self, settings):
            super().__init__(settings)
            self.capabilities = frozenset()

    client = case.open(connected(backend=Finds))
    with pytest.raises(UnsupportedOperation, match=r"cannot list flows on this server \(it lacks LIST_FLOWS\)"):
        list(client.flows())


def test_a_plan_may_call_a_function(case, connected):
    """A plan that wants a function run gets what it returns, and what it raises."""

    class Calling(FmeFlowV4):
        def list_flows(self, cursor=None):
            assert (yield from call(lambda: 42)) == 42
            with pytest.raises(FileNotFoundError):
                yield from call(lambda: Path("/nowhere/at/all").read_bytes())
            return Page(())

    assert list(case.open(connected(backend=Calling)).flows()) == []


def test_connecting(tmp_path):
    """`connect` and `connect_async` take a name or settings, ask nothing, and close with their block."""
    config = {
        "connections": {
            "prod": {"backend": "fme-flow-v4", "base_url": "https://fme.example.com", "token": {"env": "HOME"}}
        }
    }
    with connect("prod", config=config, token="t") as client:
        assert (client.name, client.backend) == ("prod", "fme-flow-v4")
        assert repr(client) == "<Client 'prod' over fme-flow-v4>"
    client = connect_async(backend="fme-flow-v4", base_url="https://fme.example.com", token="t")
    assert isinstance(client, AsyncClient)
    assert not isinstance(client, Client)
    asyncio.run(client.close())
    with pytest.raises(ConfigError):
        connect(backend="fme-flow-v4", base_url="https://fme.example.com")


@pytest.mark.parametrize("connecting", [connect, connect_async])
@pytest.mark.parametrize("journal", [None, False, True, "runs.db", Path("runs.db")])
def test_a_journal(connecting, journal, tmp_path, monkeypatch):
    """It is a file, or True for one in the user's state folder; without one nothing is written."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("flowrunner.journal.default_path", lambda: tmp_path / "state" / "runs.db")
    place = {"backend": "fme-flow-v4", "base_url": "https://fme.example.com", "token": "t"}
    if connecting is connect:
        connecting(**place, journal=journal).close()
    else:

        async def recover():
            async with connecting(**place, journal=journal) as client:
                with suppress(UnsupportedOperation):
                    await client.recover()

        asyncio.run(recover())
    expected = {None: [], False: [], True: ["state/runs.db"]}.get(journal, ["runs.db"])
    assert [file.relative_to(tmp_path).as_posix() for file in tmp_path.rglob("runs.db")] == expected


def test_a_journal_that_cannot_be_used():
    """A Client says so at once, an AsyncClient when it is first needed: opening it may take a while."""
    place = {"backend": "fme-flow-v4", "base_url": "https://fme.example.com", "token": "t"}
    with pytest.raises(JournalError, match="cannot be used"):
        connect(**place, journal="")

    async def recover():
        async with connect_async(**place, journal="") as client:
            await client.recover()

    with pytest.raises(JournalError, match="cannot be used"):
        asyncio.run(recover())


@pytest.mark.parametrize("connecting", [connect, connect_async])
@pytest.mark.parametrize(
    "wrong",
    [
        {"base_url": "no address"},
        {"base_url": "https://fme.example.com", "timeout": -1},
        {"base_url": "https://fme.example.com", "no_such_setting": 1},
        {"base_url": "https://fme.example.com", "journal": "."},
        {"base_url": "https://fme.example.com", "backend": "fme-flaw"},
    ],
)
def test_a_traceback_of_connecting_shows_no_credential(connecting, wrong):
    """A report of a refused call that shows the variables of every frame shows no credential in ours."""
    if connecting is connect_async and "journal" in wrong:
        pytest.skip("it is opened later")
    with pytest.raises((ConfigError, JournalError)) as caught:
        connecting(**{"backend": "fme-flow-v4", "token": TOKEN, **wrong})

    whole = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    while whole is not None:
        ours = [frame for frame in whole.stack if f"{os.sep}src{os.sep}flowrunner{os.sep}" in frame.filename]
        assert not [frame.name for frame in ours if TOKEN in repr(frame.locals)]
        whole = whole.__cause__ or whole.__context__


def test_the_time_of_the_machine(open_client):
    """Unless a clock is passed in, time is the machine's own, in UTC."""
    clock = open_client(clock=None)._clock
    before = clock.monotonic()
    clock.sleep(0.001)
    asyncio.run(clock.asleep(0.001))
    assert clock.monotonic() >= before + 0.002
    assert abs((clock.now() - datetime.now(UTC)).total_seconds()) < 60


# One backend, both clients


SCRIPTS = {
    "success": ([job("queued"), job("running"), 500, job("success")], lambda run: run.wait()),
    "failure": ([job("running"), job("failure", statusMessage="boom")], lambda run: run.wait()),
    "requeue": (
        [job("running"), job("queued"), HTML, job("running"), job("cancelled")],
        lambda run: run.wait(raise_on_failure=False),
    ),
    "words": ([job("odd"), job("running"), GONE, job("complete"), job("success")], lambda run: list(run.watch())),
    "lost": ([job("running"), GONE], lambda run: run.wait()),
    "contact": ([job("running"), httpx.ReadError("x")], lambda run: run.wait()),
    "timeout": ([job("running")], lambda run: run.wait(timeout=5)),
    "cancel": ([job("running"), job("cancelled")], lambda run: [run.cancel(), run.wait(raise_on_failure=False)]),
}


@pytest.mark.parametrize("script", SCRIPTS)
@pytest.mark.parametrize("long_polls", [0, 8])
def test_sync_and_async_do_the_same(open_client, vendor, script, long_polls, clock):
    """The same answers give the same results, errors, events, history, requests and pauses on both clients."""
    answers, play = SCRIPTS[script]

    def playing(which):
        started, told = type(clock)(), []
        vendor.requests.clear()
        for method, route, *given in (
            ("POST", "/jobs", (202, {"id": 1})),
            ("GET", "/jobs/1", *answers),
            ("POST", "/jobs/1/cancel", 204),
            ("GET", "/jobs/1/result", 202, (200, {"id": 1, "status": "success"})),
        ):
            vendor.on(method, route, *given)
        client = open_client(
            which=which, clock=started, on_event=told.append, check_parameters=False, max_long_polls=long_polls
        )
        run = client.submit(FLOW)
        try:
            outcome = play(run)
        except FlowrunnerError as error:
            outcome = (type(error), str(error))
        requests = [(request.method, str(request.url)) for request in vendor.requests]
        return repr(outcome), repr(told), run.history, run.status, requests, started.slept

    assert playing("sync") == playing("async")
