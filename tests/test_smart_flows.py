"""Smart Flows: what each plan asks, what it makes of each answer, and whole runs over a scripted server."""

import json
import types
from datetime import UTC, datetime
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowrunner import events
from flowrunner.backend import Prompt, RunQuery, Submission
from flowrunner.backends.smart_flows import PAGE, WORDS, WRITTEN, SmartFlows, SmartFlowsSettings
from flowrunner.config import resolve
from flowrunner.enums import CancelOutcome, Cause, RunState, WaitReason
from flowrunner.errors import (
    AuthenticationError,
    ContactLost,
    FlowNotFound,
    FlowrunnerError,
    InputRequired,
    InvalidParameters,
    InvalidRequest,
    PermissionDenied,
    ProtocolError,
    RateLimited,
    RunCancelled,
    RunFailed,
    RunNotFound,
    SubmissionUncertain,
    TransportError,
    UnsupportedOperation,
    UnsupportedOption,
    VendorError,
    WaitTimeout,
)
from flowrunner.models import ArtifactSource, FlowInfo, Health, ParameterKind, RunRef, SubmitOptions
from flowrunner.plans import Call, Request, Response
from flowrunner.states import fold

BASE = "https://acme.example.com"
FLOW = "f-1"
KEY = "sm4rt-fl0ws-k3y"
REF = RunRef("prod", "smart-flows", FLOW, "e-1")
API = "/api/v1"
EXECUTIONS = f"{API}/flows/executions"
RUN = f"{EXECUTIONS}/e-1"
PROGRESS = f"{RUN}/progress"
STATUS = f"{RUN}/status"
XML = 'application/xml; charset="utf-8"'
HTML = b"<html><body>Sign in</body></html>"
NOT_FOUND = {"timestamp": "2025-01-01T12:00:00Z", "status": 404, "error": "Not Found", "message": "", "path": "/x"}


def made(base_url=BASE, **settings):
    """A backend that nothing is connected to."""
    return SmartFlows(SmartFlowsSettings(base_url=base_url, api_key=KEY, **settings))


def reply(status, body=None):
    """An answer with a JSON body."""
    return Response(status, {}, b"" if body is None else json.dumps(body).encode())


def progress(word, **more):
    """An execution's progress."""
    return {"id": "e-1", "percentage": 40, "message": "Generate document", "status": word, **more}


def play(plan, *answers):
    """Play a plan to its end: what it returns, and the requests it made. A function is called where it is wanted."""
    asked, waiting = [], list(answers)
    resume, answer = plan.send, None
    while True:
        try:
            step = resume(answer)
        except StopIteration as end:
            assert not waiting, "it ended before all answers were used"
            return end.value, asked
        resume = plan.send
        if isinstance(step, Call):
            answer = step.function()
            continue
        asked.append(step)
        assert waiting, f"it wants more than that: {step}"
        answer = waiting.pop(0)
        if isinstance(answer, Exception):
            resume = plan.throw


def failing(plan, *answers):
    """Play a plan to its end, which is an error of ours."""
    with pytest.raises(FlowrunnerError) as caught:
        play(plan, *answers)
    return caught.value


def submission(payload=None, parameters=None, **extra):
    """What to run."""
    return Submission(flow=FLOW, payload=payload, parameters=parameters or {}, options=SubmitOptions(extra=extra))


STARTED = reply(200, {"id": "e-1", "percentage": 0, "message": "Generate document", "status": "Running"})
CUT = TransportError("cut", maybe_arrived=True)


# The connection


@pytest.mark.parametrize("address", [BASE, f"{BASE}/", f"{BASE}/api/v1", f"{BASE}/api/v1/"])
def test_either_address(address):
    """The project's address or the interface's: the path of the interface is there once."""
    assert made(address).base_url == BASE


def test_the_key_goes_into_a_header():
    """The key is a header; with one, nobody logs in."""
    assert {name: value.reveal() for name, value in made().authorize().items()} == {"X-API-Key": KEY}
    assert made().login() is None
    assert made(username="ada", password="secret").login() is None


# Submitting


def body_of(request):
    """The bytes a request carries."""
    return b"".join(request.file.chunks())


def start(payload=None, parameters=None, **extra):
    """The request that starts a run."""
    accepted, (request,) = play(made().submit(submission(payload, parameters, **extra)), STARTED)
    assert accepted.id == "e-1"
    return request


def test_a_start_without_data():
    """The least start is the flow's id and no body, and not repeatable; the answer has the first word."""
    accepted, (request,) = play(made().submit(Submission(flow=FLOW)), STARTED)

    seen = accepted.observation
    assert (accepted.id, seen.word, seen.message, seen.progress) == ("e-1", "Running", "Generate document", 0.0)
    assert (request.method, request.path, request.query) == ("POST", EXECUTIONS, (("flowId", FLOW),))
    assert (request.json, request.file, request.content, request.repeatable) == (None, None, None, False)
    assert request.headers == {}


def test_each_kind_of_xml(tmp_path):
    """Bytes, text, a file, an element and a tree go out as UTF-8 XML of the documented type; a file is streamed."""
    file = tmp_path / "in.xml"
    file.write_text("<a>Ærø</a>", encoding="utf-8")
    element = ET.fromstring("<a>Ærø</a>")
    declared = '<?xml version="1.0" encoding="ISO-8859-1"?><a>Ærø</a>'
    for payload in (file.read_bytes(), declared, file, element, ET.ElementTree(element)):
        request = start(payload)
        assert ET.fromstring(body_of(request)).text == "Ærø"
        assert request.headers == {"Content-Type": XML}
        assert request.json is None
    assert start(file).file.path == file


@pytest.mark.parametrize("as_parameters", [True, False])
@pytest.mark.parametrize("kind", [dict, types.MappingProxyType])
def test_a_mapping_below_a_root(as_parameters, kind):
    """A mapping, given as payload or as parameters, becomes XML below the named root."""
    values = {"Name": 'A & <B> "c"', "Phone": ["1", "2"], "Signed": True}
    given_values = {"parameters": dict(values)} if as_parameters else {"payload": kind(values)}
    request = start(**given_values, root="Employee")

    back = ET.fromstring(body_of(request))
    assert (back.tag, back.findtext("Name"), back.findtext("Signed")) == ("Employee", 'A & <B> "c"', "true")
    assert [phone.text for phone in back.findall("Phone")] == ["1", "2"]
    assert request.headers == {"Content-Type": XML}


def test_json_for_a_dataset():
    """With a dataset and no root, a mapping or a list goes as JSON; the dataset is in the query."""
    for payload in ({"id": ["1"], "entity": "account"}, ["1", "2"], {}):
        request = start(payload, dataset_id="d-1")
        assert (request.json, request.file) == (payload, None)
        assert request.query == (("flowId", FLOW), ("datasetId", "d-1"))
    assert start(types.MappingProxyType({"a": 1}), dataset_id="d-1").json == {"a": 1}
    assert start(parameters={"a": 1}, dataset_id="d-1").json == {"a": 1}


def test_a_dataset_beside_xml():
    """A dataset may say what XML conforms to, too."""
    request = start({"a": "b"}, root="r", dataset_id="d-1")
    assert (body_of(request)[-16:], request.query[1]) == (b"<r><a>b</a></r>"[-16:], ("datasetId", "d-1"))
    assert start(None, dataset_id="d-1").query[1] == ("datasetId", "d-1")


def test_a_batch():
    """A batch has an address of its own, where the flow is called `flow` and may be a name; it answers an execution."""
    answer = reply(200, {"id": "e-1", "mode": "batch", "status": "Queued", "createdAt": "2025-01-01T12:00:00.5Z"})
    plan = made().submit(Submission(flow="My flow", options=SubmitOptions(extra={"batch": True}), payload=b"<a/>"))
    accepted, (request,) = play(plan, answer)

    assert (request.path, request.query) == (f"{EXECUTIONS}/start", (("flow", "My flow"),))
    assert (accepted.id, accepted.observation.word) == ("e-1", "Queued")
    assert accepted.observation.queued_at == datetime(2025, 1, 1, 12, 0, 0, 500000, tzinfo=UTC)
    assert start(batch=False).path == EXECUTIONS


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"payload": {"a": 1}}, "needs the name of its XML element"),
        ({"payload": ["a"]}, "needs the name of its XML element"),
        ({"parameters": {"a": 1}}, "needs the name of its XML element"),
        ({"parameters": {"a": 1}, "payload": b"<a/>"}, "parameters or a payload, not both"),
        ({"payload": {"a b": 1}, "root": "r"}, "'a b' cannot be the name"),
        ({"payload": {"a": 1}, "root": "r r"}, "'r r' cannot be the name"),
        ({"payload": {"a": 1}, "root": 5}, "5 cannot be the name"),
        ({"payload": 5}, "not int"),
        ({"payload": b"<a>"}, "not well-formed"),
        ({"payload": "<!DOCTYPE a [<!ENTITY x 'y'>]><a>&x;</a>"}, "document type"),
        ({"payload": b"<a/>", "batch": "false"}, "option batch is true or false, not 'false'"),
    ],
)
def test_what_is_refused_before_a_request(arguments, text):
    """Data that cannot be sent, or that nobody says how to send, is refused, and no request is made."""
    plan = made().submit(submission(**arguments))
    with pytest.raises(InvalidRequest, match=text):
        plan.send(next(plan).function())


@pytest.mark.parametrize("payload", [None, b"<a/>", ["x"]])
def test_a_root_for_nothing(payload):
    """An option that nothing is made of is an error, not dropped."""
    with pytest.raises(UnsupportedOption, match="root"):
        next(made().submit(submission(payload, root="r", dataset_id="d")))


@pytest.mark.parametrize(
    "option",
    [
        {"queue": "q"},
        {"description": "x"},
        {"max_run_time": 5},
        {"max_queue_time": 5},
        {"success_topics": ["a"]},
        {"failure_topics": ["a"]},
        {"directives": {"a": "b"}},
    ],
)
def test_an_option_it_cannot_honour(option):
    """An option of other vendors is an error that names it."""
    with pytest.raises(UnsupportedOption, match=next(iter(option))):
        next(made().submit(Submission(flow=FLOW, options=SubmitOptions(**option))))


@pytest.mark.parametrize("status", [200, 201, 202])
def test_any_success_accepts(status):
    """Which success is answered is documented nowhere: each one with an id accepts, whatever else is missing."""
    accepted, _ = play(made().submit(Submission(flow=FLOW)), reply(status, {"id": "e-1"}))
    assert (accepted.id, accepted.observation.word) == ("e-1", None)


@pytest.mark.parametrize(
    "answer",
    [
        CUT,
        Response(200),
        Response(204),
        Response(200, {}, HTML),
        reply(200, {"status": "Running"}),
        reply(200, {"id": "", "status": "Running"}),
        reply(200, {"id": 5}),
        reply(200, ["e-1"]),
        Response(500),
        Response(500, {}, HTML),
        Response(502),
        Response(408),
    ],
)
def test_a_start_whose_outcome_is_not_known(answer):
    """Without a readable id, or an answer, a run may be there."""
    assert isinstance(failing(made().submit(Submission(flow=FLOW)), answer), SubmissionUncertain)


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (reply(400, {"error": "Bad Request", "message": "the XML does not conform"}), InvalidRequest),
        (reply(400, {"error": "Bad Request"}), InvalidRequest),
        (reply(400, {}), ProtocolError),
        (Response(400), ProtocolError),
        (Response(401), AuthenticationError),
        (Response(403, {}, HTML), PermissionDenied),
        (reply(404, NOT_FOUND), FlowNotFound),
        (Response(404, {}, HTML), ProtocolError),
        (Response(404), ProtocolError),
        (Response(429), RateLimited),
        (Response(503), VendorError),
        (reply(500, {"message": "no primary entity"}), VendorError),
        (Response(302, {"location": "https://login.example.com"}), ProtocolError),
        (TransportError("refused", maybe_arrived=False), TransportError),
    ],
)
def test_a_start_that_is_refused(answer, kind):
    """A refusal is known not to have started anything, in the vendor's words where it has any."""
    error = failing(made().submit(Submission(flow=FLOW)), answer)
    assert type(error) is kind
    if answer is not CUT and isinstance(answer, Response) and b"conform" in answer.content:
        assert error.vendor_message == "the XML does not conform"


# Observing


def test_a_look():
    """A look asks for the progress at once; percentage is progress, and the answer is kept as it came."""
    answer = reply(200, progress("Running"))
    seen, (request,) = play(made().observe(REF), answer)

    assert (request.method, request.path, request.query) == ("GET", PROGRESS, (("timeout", "-1"),))
    assert request.timeout > 30  # a server may take -1 for the half minute that it waits unasked
    assert (seen.word, seen.progress, seen.message, seen.raw) == ("Running", 0.4, "Generate document", answer.content)


@pytest.mark.parametrize(("hold", "asked"), [(20.0, "20"), (1.0, "1"), (1.6, "2"), (0.2, "1")])
def test_a_look_that_is_held(hold, asked):
    """`hold` goes out as whole seconds; we wait well longer than the server does."""
    request = next(made().observe(REF, hold))
    assert request.query == (("timeout", asked),)
    assert request.timeout >= hold + 10


def test_a_server_that_refuses_the_timeout():
    """Where -1 is answered 400, the execution itself is looked at."""
    seen, asked = play(made().observe(REF), Response(400), reply(200, {"id": "e-1", "status": "Success"}))
    assert [request.path for request in asked] == [PROGRESS, RUN]
    assert seen.word == "Success"


@pytest.mark.parametrize(
    ("percentage", "expected"),
    [
        (0, 0.0),
        (100, 1.0),
        (250, 1.0),
        (-5, 0.0),
        (33.3, pytest.approx(0.333)),
        (10**400, None),
        (None, None),
        ("40", None),
        (True, None),
    ],
)
def test_percentage(percentage, expected):
    """Percentage is clamped to what it can be; what is no number is none."""
    seen, _ = play(made().observe(REF), reply(200, progress("Running", percentage=percentage)))
    assert seen.progress == expected


@pytest.mark.parametrize("body", [{"id": "e-1"}, {"status": "Running"}, {"id": "e-1", "status": None, "message": None}])
def test_everything_is_optional(body):
    """Of a run that is known, an answer may leave out nearly everything (documented)."""
    seen, _ = play(made().observe(REF), reply(200, body))
    assert (seen.word, seen.message, seen.progress) == (body.get("status"), None, None)


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (reply(200, {}), ProtocolError),
        (reply(200, []), ProtocolError),
        (Response(200, {}, HTML), ProtocolError),
        (Response(204), ProtocolError),
        (Response(401), AuthenticationError),
        (reply(403, {}), PermissionDenied),
        (reply(404, NOT_FOUND), RunNotFound),
        (Response(404), ProtocolError),
        (Response(404, {}, HTML), ProtocolError),
        (Response(429), RateLimited),
        (reply(500, {"message": "x"}), VendorError),
        (CUT, TransportError),
    ],
)
def test_a_look_that_fails(answer, kind):
    """A look that shows nothing is a failed one; only an answer of the vendor's own denies a run."""
    assert type(failing(made().observe(REF), answer)) is kind


SPELLINGS = {
    "Queued": (RunState.QUEUED, None),
    "Running": (RunState.RUNNING, None),
    "UserInput": (RunState.WAITING, WaitReason.USER_INPUT),
    "User input": (RunState.WAITING, WaitReason.USER_INPUT),
    "User Input": (RunState.WAITING, WaitReason.USER_INPUT),
    "user_input": (RunState.WAITING, WaitReason.USER_INPUT),
    "Waiting for user input": (RunState.WAITING, WaitReason.USER_INPUT),
    "SelectFlow": (RunState.WAITING, WaitReason.FLOW_SELECTION),
    "selectFlow": (RunState.WAITING, WaitReason.FLOW_SELECTION),
    "Waiting": (RunState.WAITING, WaitReason.EXTERNAL_EVENT),
    "Success": (RunState.SUCCEEDED, None),
    "SUCCESS": (RunState.SUCCEEDED, None),
    "Warning": (RunState.SUCCEEDED, None),
    "Error": (RunState.FAILED, Cause.FLOW),
    "error": (RunState.FAILED, Cause.FLOW),
    "Canceled": (RunState.CANCELLED, Cause.UNSPECIFIED),
    "cancelled": (RunState.CANCELLED, Cause.UNSPECIFIED),
    "Interrupted": (RunState.FAILED, Cause.INTERRUPTED),
}


@pytest.mark.parametrize("word", SPELLINGS)
def test_every_word(word):
    """All ten statuses, in every spelling of the vendor's pages; Warning is a success with warnings."""
    meaning = WORDS[fold(word)]
    assert (meaning.state, meaning.reason or meaning.cause) == SPELLINGS[word]
    assert meaning.has_warnings == (word == "Warning")


def test_what_a_run_waits_for():
    """A run that waits for an event says which; that stands in the execution, which is looked at, too."""
    waits = reply(200, {"id": "e-1", "status": "Waiting", "state": {"waitingFor": "docusign-7"}})
    seen, asked = play(made().observe(REF), reply(200, progress("Waiting")), waits)
    assert [request.path for request in asked] == [PROGRESS, RUN]
    assert (seen.word, seen.message, seen.progress) == ("Waiting", "Generate document (waits for docusign-7)", 0.4)
    seen, _ = play(made().observe(REF), reply(200, progress("Waiting", message=None)), waits)
    assert seen.message == "waits for docusign-7"


def test_what_a_run_waits_for_in_other_words():
    """A word that the configuration teaches is looked after as the vendor's own."""
    backend = made(status_map={"signing": WORDS["waiting"]})
    waits = reply(200, {"id": "e-1", "status": "Signing", "state": {"waitingFor": "docusign-7"}})
    seen, _ = play(backend.observe(REF), reply(200, progress("Signing", message=None)), waits)
    assert seen.message == "waits for docusign-7"


@pytest.mark.parametrize(
    "answer",
    [
        reply(200, {"id": "e-1", "status": "Waiting"}),
        reply(200, {"id": "e-1", "state": {"waitingFor": {"a": 1}}}),
        reply(200, {"id": "e-1", "state": 5}),
        Response(404),
        Response(500),
        CUT,
    ],
)
def test_what_a_run_waits_for_is_not_known(answer):
    """Where the execution does not say, or cannot be seen, the look is as good as the progress alone."""
    seen, _ = play(made().observe(REF), reply(200, progress("Waiting")), answer)
    assert (seen.word, seen.message) == ("Waiting", "Generate document")


def test_times():
    """An execution's times are UTC; it was changed last when it ended, if it has."""
    times = {"createdAt": "2019-11-05T11:16:34.677Z", "modifiedAt": "2019-11-05T12:16:34.677+01:00"}
    ended, _ = play(made().observe(REF), reply(200, progress("Error", **times)))
    live, _ = play(made().observe(REF), reply(200, progress("Running", **times)))
    moment = datetime(2019, 11, 5, 11, 16, 34, 677000, tzinfo=UTC)
    assert (ended.queued_at, ended.finished_at) == (moment, moment)
    assert (live.queued_at, live.finished_at) == (moment, None)


# Results


def document(document_id, name="Letter"):
    """A document, as a model holds it."""
    return {"id": document_id, "displayName": name, "type": "document"}


EXECUTION = {
    "id": "e-1",
    "createdAt": "2025-01-01T12:00:00Z",
    "modifiedAt": "2025-01-01T12:05:00Z",
    "status": "Success",
    "state": {
        "output": {
            "model": {"B1": {"document": document("d-1"), "text": "x"}},
            "parts": [{"id": "p", "model": {"B9": {"other": document("d-3", "Part")}}}],
        },
        "stages": [{"start": "2025-01-01T12:00:00Z"}],
        "iterations": [{"id": "row 1"}, {"id": "row 2"}],
        "report": [{"id": "z"}],
    },
}
NAMED = {
    "id": "e-1",
    "outputs": [
        {"output": {"id": "o-1", "displayName": "Report"}, "content": {"EmbedUrl": "https://other.example/x"}},
        {"output": {"id": "o-2"}, "content": "<xml/>"},
    ],
}
MODEL = {"B2": {"signedDocument": document("d-2", "Signed"), "again": [document("d-1")]}}


def test_a_result():
    """A result is progress, execution and named outputs; every document in them is an artifact, once."""
    outcome, asked = play(
        made().result(REF),
        reply(200, progress("Success", model=MODEL)),
        reply(200, EXECUTION),
        reply(200, NAMED),
        reply(200, {"id": "d-1", "displayName": "Letter.docx", "contentType": "application/docx"}),
        reply(200, {"id": "d-2", "contentType": "application/pdf"}),
        Response(404),
    )
    assert [request.path for request in asked] == [
        PROGRESS,
        RUN,
        STATUS,
        *(f"{API}/documents/d-{number}" for number in (1, 2, 3)),
    ]
    assert outcome.artifacts == (
        ArtifactSource(name="Letter.docx", location=f"{API}/documents/d-1/content", media_type="application/docx"),
        ArtifactSource(name="Signed", location=f"{API}/documents/d-2/content", media_type="application/pdf"),
        ArtifactSource(name="Part", location=f"{API}/documents/d-3/content"),
    )
    assert outcome.outputs == {
        "Report": {"EmbedUrl": "https://other.example/x"},
        "o-2": "<xml/>",
        "model": {**EXECUTION["state"]["output"]["model"], **MODEL},
    }
    assert outcome.metrics == {"documents": 3, "iterations": 2}
    assert {name: outcome.raw[name] for name in ("stages", "iterations", "report")} == {
        name: EXECUTION["state"][name] for name in ("stages", "iterations", "report")
    }
    assert (outcome.raw["execution"], outcome.raw["progress"]["model"]) == (EXECUTION, MODEL)
    assert [seen.word for seen in outcome.observations] == ["Success", "Success"]
    assert outcome.observations[1].finished_at == datetime(2025, 1, 1, 12, 5, tzinfo=UTC)


@pytest.mark.parametrize("status", [404, 405])
def test_parts_that_are_not_there(status):
    """A part answered 404 or 405 is empty and no error; documents of the progress alone are found."""
    outcome, _ = play(
        made().result(REF),
        reply(200, progress("Warning", model={"B": {"document": document("d-1")}})),
        Response(status),
        Response(status, {}, HTML),
        Response(status),
    )
    assert outcome.artifacts == (ArtifactSource(name="Letter", location=f"{API}/documents/d-1/content"),)
    assert outcome.raw["stages"] == outcome.raw["iterations"] == outcome.raw["report"] == outcome.raw["outputs"] == []
    assert outcome.metrics == {"documents": 1, "iterations": 0}
    assert len(outcome.observations) == 1


@pytest.mark.parametrize("place", [1, 2, 3])
@pytest.mark.parametrize(("status", "kind"), [(500, VendorError), (401, AuthenticationError), (403, PermissionDenied)])
def test_parts_that_cannot_be_read(place, status, kind):
    """A part that fails in another way is an error: what is in it is not known to be nothing."""
    answers = [
        reply(200, progress("Success", model=MODEL)),
        reply(200, EXECUTION),
        reply(200, NAMED),
    ]
    answers[place:] = [Response(status)]
    assert type(failing(made().result(REF), *answers)) is kind


def test_a_result_by_the_execution():
    """Where -1 is refused, the execution stands in for the progress."""
    answers = (
        Response(400),
        reply(200, EXECUTION),
        reply(200, EXECUTION),
        reply(200, {}),
        Response(404),
        Response(404),
    )
    outcome, _ = play(made().result(REF), *answers)
    assert [artifact.name for artifact in outcome.artifacts] == ["Letter", "Part"]
    assert outcome.observations[0].word == "Success"


def test_named_outputs_that_clash():
    """Outputs of one name are kept by their ids, as is one called like what the blocks gave out; one without is not."""
    entries = [
        {"output": {"id": "o-1", "displayName": "x"}, "content": 1},
        {"output": {"id": "o-2", "displayName": "x"}, "content": 2},
        {"output": {"id": "o-3", "displayName": "model"}, "content": 3},
        {"output": {"displayName": ""}, "content": 4},
        {"output": 5},
        6,
    ]
    outcome, _ = play(
        made().result(REF), reply(200, progress("Success")), Response(404), reply(200, {"outputs": entries})
    )
    assert outcome.outputs == {"x": 1, "o-2": 2, "o-3": 3}


def test_a_document_as_a_named_output():
    """A document that a named output holds is an artifact, too."""
    entries = [{"output": {"id": "o"}, "content": {"deep": [document("d-1")]}}]
    outcome, _ = play(
        made().result(REF),
        reply(200, progress("Success")),
        Response(404),
        reply(200, {"outputs": entries}),
        Response(404),
    )
    assert [artifact.name for artifact in outcome.artifacts] == ["Letter"]


def test_a_document_without_any_name():
    """A document that nobody names is called by its id, which is encoded where it is a part of an address."""
    model = {"B": document("a/b", None)}
    outcome, asked = play(
        made().result(REF), reply(200, progress("Success", model=model)), Response(404), Response(404), Response(404)
    )
    assert asked[-1].path == f"{API}/documents/a%2Fb"
    assert outcome.artifacts == (ArtifactSource(name="a/b", location=f"{API}/documents/a%2Fb/content"),)


def test_a_download(tmp_path):
    """A document's content is asked for in whatever type it has, and streamed to its file."""
    source = ArtifactSource(name="x", location=f"{API}/documents/d-1/content")
    told = []
    _, (request,) = play(made().download(source, tmp_path / "x", told.append), Response(200))
    assert (request.method, request.path, request.headers) == ("GET", source.location, {"Accept": "*/*"})
    assert (request.save_to, request.progress) == (tmp_path / "x", told.append)
    assert isinstance(failing(made().download(source, tmp_path / "x", None), Response(404)), ProtocolError)
    gone = reply(404, {"message": "Document not found"})
    assert isinstance(failing(made().download(source, tmp_path / "x", None), gone), InvalidRequest)


# Answering


def test_a_prompt():
    """What a run asks stands in its progress: schema, defaults, form."""
    asks = progress("UserInput", schema={"type": "object"}, model={"a": 1}, form=[{"key": "a"}])
    prompt, (request,) = play(made().prompt(REF), reply(200, asks))
    assert prompt == Prompt(schema={"type": "object"}, model={"a": 1}, form=({"key": "a"},))
    assert (request.path, request.query) == (PROGRESS, (("timeout", "-1"),))


def test_a_prompt_of_little():
    """A run that says nothing about its question has an empty one."""
    assert play(made().prompt(REF), reply(200, progress("SelectFlow")))[0] == Prompt()


def test_a_prompt_where_minus_one_is_refused():
    """The execution has no schema, so where -1 is refused the progress is asked for with a second's patience."""
    prompt, asked = play(made().prompt(REF), Response(400), reply(200, progress("UserInput", model={"a": 1})))
    assert (prompt.model, asked[1].path, asked[1].query) == ({"a": 1}, PROGRESS, (("timeout", "1"),))


def test_a_resumption():
    """Answers are one POST of all of them, not repeatable; the answer shows how the run goes on."""
    seen, (request,) = play(made().resume(REF, {"a_b": "Gent"}), reply(200, progress("Running")))
    assert (request.method, request.path, request.json) == ("POST", PROGRESS, {"a_b": "Gent"})
    assert (request.repeatable, seen.word) == (False, "Running")


@pytest.mark.parametrize("answer", [Response(204), Response(200), Response(202, {}, b"\n")])
def test_a_resumption_taken_in_silence(answer):
    """Success without a body is success: a look says how the run goes on."""
    seen, asked = play(made().resume(REF, {}), answer, reply(200, progress("Running")))
    assert (seen.word, [request.method for request in asked]) == ("Running", ["POST", "GET"])


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (reply(400, {"message": "not waiting"}), InvalidRequest),
        (reply(409, {"message": "not waiting"}), InvalidRequest),
        (reply(404, NOT_FOUND), RunNotFound),
        (Response(500), VendorError),
        (CUT, TransportError),
    ],
)
def test_a_resumption_that_is_refused(answer, kind):
    """A refusal is what it says."""
    assert type(failing(made().resume(REF, {}), answer)) is kind


# Cancelling

CANCELLED = reply(200, progress("Canceled"))
ENDED = reply(200, progress("Success"))
LIVE = reply(200, progress("Running"))


@pytest.mark.parametrize("accepted", [Response(200), Response(204), LIVE])
@pytest.mark.parametrize(
    ("look", "outcome", "word"),
    [
        (CANCELLED, CancelOutcome.CONFIRMED, "Canceled"),
        (LIVE, CancelOutcome.REQUESTED, "Running"),
        (ENDED, CancelOutcome.TOO_LATE, "Success"),
        (reply(200, progress("Resting")), CancelOutcome.REQUESTED, "Resting"),
        (Response(500), CancelOutcome.REQUESTED, None),
        (reply(404, NOT_FOUND), CancelOutcome.REQUESTED, None),
    ],
)
def test_a_cancellation(accepted, look, outcome, word):
    """An accepted cancellation is what a look after it shows: a run may have ended first."""
    answer, (request, _) = play(made().cancel(REF), accepted, look)
    assert (request.method, request.path, answer.outcome) == ("DELETE", PROGRESS, outcome)
    assert (answer.observation and answer.observation.word) == word


@pytest.mark.parametrize("status", [404, 405])
def test_the_other_form_of_cancelling(status):
    """Where the documented form is not there, the other documented one is used."""
    answer, asked = play(made().cancel(REF), Response(status), LIVE, Response(200), CANCELLED)
    assert [(request.method, request.path) for request in asked if request.method == "DELETE"] == [
        ("DELETE", PROGRESS),
        ("DELETE", RUN),
    ]
    assert answer.outcome is CancelOutcome.CONFIRMED


@pytest.mark.parametrize("status", [400, 404, 405, 409, 422])
@pytest.mark.parametrize("look", [ENDED, CANCELLED, reply(200, progress("Interrupted"))])
def test_a_cancellation_that_comes_too_late(status, look):
    """A refusal for a run that has ended is TOO_LATE, and the form that may delete its record is not used."""
    answer, asked = play(made().cancel(REF), reply(status, {"message": "no"}), look)
    assert answer.outcome is CancelOutcome.TOO_LATE
    assert [request.path for request in asked if request.method == "DELETE"] == [PROGRESS]


@pytest.mark.parametrize(
    ("answers", "kind"),
    [
        ((reply(409, {"message": "no"}), LIVE), InvalidRequest),
        ((Response(401), LIVE), AuthenticationError),
        ((Response(403), LIVE), PermissionDenied),
        ((Response(500), Response(500)), VendorError),
        ((reply(404, NOT_FOUND), reply(404, NOT_FOUND), reply(404, NOT_FOUND), reply(404, NOT_FOUND)), RunNotFound),
        ((CUT,), TransportError),
    ],
)
def test_a_cancellation_that_fails(answers, kind):
    """A refusal for a run that goes on, or that cannot be seen, is the error it is."""
    assert type(failing(made().cancel(REF), *answers)) is kind


# Listing


def listed(number, word="Success", flow="f-1"):
    """An execution, as lists show it."""
    return {"id": f"e-{number}", "status": word, "flow": {"id": flow, "displayName": "x", "type": "flow"}}


def place(page):
    """The query that asks for a page of runs, by both of the names that the vendor documents."""
    size = str(PAGE)
    return {"page": str(page), "size": size, "pageNumber": str(page), "pageSize": size, "sort": "createdAt,desc"}


def test_a_page_of_runs():
    """Runs come newest first, a page at a time, each with its flow and status; there is no state to be had."""
    page, (request,) = play(made().list_runs(RunQuery()), reply(200, [listed(1), listed(2, "Running", "f-2")]))
    assert (request.method, request.path) == ("GET", EXECUTIONS)
    assert dict(request.query) == place(0)
    assert [(item.id, item.flow, item.observation.word) for item in page.items] == [
        ("e-1", "f-1", "Success"),
        ("e-2", "f-2", "Running"),
    ]


def test_runs_of_a_flow():
    """Runs of one flow have an address of their own; where an item does not name its flow, it is that one."""
    item = {"id": "e-1", "status": "Success"}
    page, (request,) = play(made().list_runs(RunQuery(flow="f/1")), reply(200, [item]))
    assert request.path == f"{API}/flows/f%2F1/executions"
    assert page.items[0].flow == "f/1"
    page, _ = play(made().list_runs(RunQuery()), reply(200, [item]))
    assert page.items[0].flow == ""


DONE = RunQuery(states=frozenset({RunState.SUCCEEDED}))


def asked_words(request):
    """The words that a filter lets pass."""
    (node,) = request.json["group"]["nodes"]
    assert request.json == {"group": {"type": "and", "nodes": [{"condition": node["condition"]}]}}
    assert (node["condition"]["key"], node["condition"]["operator"]) == ("status", "in")
    return node["condition"]["values"]


def test_runs_in_a_state():
    """States are asked for by the vendor's filter, a page at a time; asking changes nothing, so it is repeatable."""
    page, (request,) = play(made().list_runs(DONE), reply(200, [listed(1), listed(2, "Warning")]))
    assert (request.method, request.path, request.repeatable) == ("POST", f"{EXECUTIONS}/filter", True)
    assert (dict(request.query), asked_words(request)) == (place(0), ["Success", "Warning"])
    assert [item.id for item in page.items] == ["e-1", "e-2"]

    page, (request,) = play(made().list_runs(DONE, page.next), reply(200, []))
    assert (request.path, dict(request.query)) == (f"{EXECUTIONS}/filter", place(1))
    assert (page.items, page.next) == ((), None)


@pytest.mark.parametrize(
    ("state", "words"),
    [
        (RunState.QUEUED, ["Queued"]),
        (RunState.RUNNING, ["Running"]),
        (
            RunState.WAITING,
            ["UserInput", "User input", "User Input", "Waiting for user input", "SelectFlow", "Waiting"],
        ),
        (RunState.SUCCEEDED, ["Success", "Warning"]),
        (RunState.FAILED, ["Error", "Interrupted"]),
        (RunState.CANCELLED, ["Canceled", "Cancelled"]),
    ],
)
def test_the_words_of_a_state(state, words):
    """A state is asked for by every word that means it, in every documented spelling."""
    assert asked_words(next(made().list_runs(RunQuery(states=frozenset({state}))))) == words


def test_every_word_can_be_asked_for():
    """No word of the table is without a spelling."""
    assert {fold(word) for word in WRITTEN} == set(WORDS)


@pytest.mark.parametrize("flow", [None, FLOW])
@pytest.mark.parametrize("state", [RunState.LOST, RunState.SUBMITTING, RunState.CANCELLING])
def test_runs_in_a_state_that_is_never_shown(state, flow):
    """A state that no word means has no runs, and nobody is asked."""
    page, asked = play(made().list_runs(RunQuery(states=frozenset({state}), flow=flow)))
    assert (page.items, page.next, asked) == ((), None, [])


def test_a_server_that_ignores_the_filter():
    """States are sorted out here, too: what a filter lets pass all the same is not shown."""
    page, _ = play(made().list_runs(DONE), reply(200, [listed(1), listed(2, "Error"), listed(3, "Resting")]))
    assert [item.id for item in page.items] == ["e-1"]
    page, _ = play(made().list_runs(DONE), reply(200, [listed(2, "Error")]))
    assert (page.items, page.next is None) == ((), False)  # only an empty page is the last


@pytest.mark.parametrize("status", [400, 404, 405, 422, 500, 501])
def test_a_server_without_a_filter(status):
    """Where the filter is refused, the list of all is read instead, to its end, and states are sorted out here."""
    page, asked = play(made().list_runs(DONE), Response(status), reply(200, [listed(1), listed(2, "Error")]))
    assert [(request.method, request.path) for request in asked] == [
        ("POST", f"{EXECUTIONS}/filter"),
        ("GET", EXECUTIONS),
    ]
    assert [item.id for item in page.items] == ["e-1"]
    page, (request,) = play(made().list_runs(DONE, page.next), reply(200, [listed(3)]))
    assert (request.method, request.path, dict(request.query)) == ("GET", EXECUTIONS, place(1))
    assert [item.id for item in page.items] == ["e-3"]


@pytest.mark.parametrize(
    ("answer", "kind"),
    [(Response(401), AuthenticationError), (Response(403), PermissionDenied), (Response(503), VendorError)],
)
def test_a_filter_that_fails(answer, kind):
    """An answer that is about something else than the filter is the error it is."""
    assert type(failing(made().list_runs(DONE), answer)) is kind


def test_a_filter_that_is_refused_halfway():
    """A page of a filter that fails after others is an error: the same page of the list of all is another."""
    page, _ = play(made().list_runs(DONE), reply(200, [listed(1)]))
    assert type(failing(made().list_runs(DONE, page.next), reply(500, {"message": "x"}))) is VendorError


def test_runs_of_a_flow_in_a_state():
    """Of one flow its own list is read, and states are sorted out here: how a filter finds a flow is not known."""
    query = RunQuery(states=frozenset({RunState.FAILED}), flow="f-1")
    page, (request,) = play(made().list_runs(query), reply(200, [listed(1), listed(2, "Error")]))
    assert (request.method, request.path) == ("GET", f"{API}/flows/f-1/executions")
    assert [item.id for item in page.items] == ["e-2"]


def test_runs_in_a_state_by_words_that_were_taught():
    """How a taught word is written is not known: the list of all is read where one means what is asked for."""
    items = [listed(1), listed(2, "User input"), listed(3, "Resting"), listed(4, "Error"), listed(5, "Taught")]
    backend = made(status_map={"taught": WORDS["error"], "interrupted": WORDS["success"]})
    query = RunQuery(states=frozenset({RunState.FAILED, RunState.WAITING}))
    page, (request,) = play(backend.list_runs(query), reply(200, items))
    assert (request.method, request.path) == ("GET", EXECUTIONS)
    assert [item.id for item in page.items] == ["e-2", "e-4", "e-5"]
    assert asked_words(next(backend.list_runs(DONE))) == ["Success", "Warning", "Interrupted"]


def test_runs_with_words_nobody_knows():
    """A listed run whose word is not known is UNKNOWN, and found so: in the list of all, since no word means it."""
    items = [listed(1), listed(2, "Resting"), {"id": "e-3"}]
    page, (request,) = play(made().list_runs(RunQuery(states=frozenset({RunState.UNKNOWN}))), reply(200, items))
    assert (request.method, request.path) == ("GET", EXECUTIONS)
    assert [item.id for item in page.items] == ["e-2", "e-3"]


def test_the_last_page():
    """A server may give shorter pages than asked and says no total: a page that is empty is the last."""
    backend = made()
    for listing in (lambda cursor: backend.list_runs(RunQuery(), cursor), backend.list_flows):
        page, _ = play(listing(None), reply(200, [listed(1)] * PAGE))
        page, (request,) = play(listing(page.next), reply(200, []))
        assert (page.items, page.next) == ((), None)
        assert dict(request.query)["page"] == "1"


def test_a_page_of_flows():
    """Flows have an id, a title and a description."""
    items = [{"id": "f-1", "displayName": "Letters", "description": "Writes them"}, {"id": "f-2", "displayName": ""}]
    page, (request,) = play(made().list_flows(), reply(200, items))
    assert request.path == f"{API}/flows"
    assert page.items == (FlowInfo(flow="f-1", title="Letters", description="Writes them"), FlowInfo(flow="f-2"))


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (reply(200, {"content": []}), ProtocolError),
        (reply(200, [5]), ProtocolError),
        (reply(200, [{}]), ProtocolError),
        (Response(200, {}, HTML), ProtocolError),
        (Response(403), PermissionDenied),
        (reply(404, NOT_FOUND), InvalidRequest),
    ],
)
def test_a_page_that_cannot_be_read(answer, kind):
    """A page that is no list, or has what is no run, is an error."""
    assert type(failing(made().list_runs(RunQuery()), answer)) is kind
    assert type(failing(made().list_flows(), answer)) is kind


def test_a_description():
    """Where a server describes a flow, the properties of its input are parameters."""
    schema = {"properties": {"age": {"type": "integer"}}, "required": ["age"]}
    spec, (request,) = play(made().describe("f/1"), reply(200, {"inputSchema": schema, "outputSchema": {}}))
    assert (request.method, request.path) == ("POST", f"{API}/flows/f%2F1/contract")
    assert [(each.name, each.kind, each.required) for each in spec.parameters] == [("age", ParameterKind.INTEGER, True)]


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (reply(200, {}), UnsupportedOperation),
        (reply(200, {"inputSchema": "<xsd/>"}), UnsupportedOperation),
        (Response(405), UnsupportedOperation),
        (reply(501, {"message": "to be implemented"}), UnsupportedOperation),
        (reply(404, NOT_FOUND), FlowNotFound),
        (Response(404, {}, HTML), ProtocolError),
        (Response(401), AuthenticationError),
        (Response(500), VendorError),
    ],
)
def test_a_description_that_is_not_to_be_had(answer, kind):
    """Most servers describe nothing (documented as still to come): each refusal is told for what it is."""
    assert type(failing(made().describe(FLOW), answer)) is kind


# Health

FRONT = reply(200, {"login": {"enabled": True}})
ME = reply(200, {"id": "u-1", "userName": "ada"})


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ((FRONT, ME, reply(200, {"version": "4.1"})), Health(reachable=True, authenticated=True, version="4.1")),
        ((FRONT, ME, Response(403)), Health(reachable=True, authenticated=True)),
        ((FRONT, ME, CUT), Health(reachable=True, authenticated=True)),
        ((FRONT, ME, Response(200, {}, HTML)), Health(reachable=True, authenticated=True)),
        ((Response(404), ME, Response(404)), Health(reachable=True, authenticated=True)),
    ],
)
def test_a_healthy_connection(answers, expected):
    """Reachable is what answers `/authenticate`, authenticated what answers `/users/me`; a version is not needed."""
    health, asked = play(made().health(), *answers)
    assert health == expected
    assert [(each.path, each.anonymous) for each in asked] == [
        (f"{API}/authenticate", True),
        (f"{API}/users/me", False),
        (f"{API}/system/info", False),
    ]


@pytest.mark.parametrize(
    ("answers", "reachable", "authenticated"),
    [
        ((CUT,), False, None),
        ((FRONT, CUT), True, None),
        ((FRONT, AuthenticationError("no", http_status=401)), True, False),
        ((FRONT, VendorError("the login failed", http_status=500)), True, None),
        ((FRONT, Response(401), Response(401)), True, False),
        ((FRONT, Response(403), Response(403)), True, True),
        ((FRONT, Response(500), Response(500)), True, None),
        ((Response(200, {}, HTML), Response(200, {}, HTML), Response(200, {}, HTML)), False, None),
        ((Response(404), Response(404), Response(404)), False, None),
    ],
)
def test_a_connection_that_is_not_healthy(answers, reachable, authenticated):
    """Health raises nothing: what does not stand well is in the answer, with a text."""
    health, _ = play(made().health(), *answers)
    assert (health.reachable, health.authenticated) == (reachable, authenticated)
    assert health.message


# Whatever comes

KEYS = [
    "id",
    "status",
    "message",
    "percentage",
    "state",
    "output",
    "model",
    "outputs",
    "schema",
    "form",
    "flow",
    "tokens",
    "token",
    "inputSchema",
    "properties",
    "type",
    "displayName",
    "contentType",
    "waitingFor",
]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.just("Waiting"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS) | st.text(), inner, max_size=5),
    max_leaves=12,
)
STATUSES = st.sampled_from([200, 200, 200, 201, 204, 302, 400, 401, 403, 404, 405, 409, 500])


def every_plan():
    """One of each plan."""
    backend = made()
    login = SmartFlows(SmartFlowsSettings(base_url=BASE, username="ada", password="secret"))
    return [
        backend.submit(Submission(flow=FLOW)),
        backend.observe(REF),
        backend.result(REF),
        backend.prompt(REF),
        backend.resume(REF, {}),
        backend.cancel(REF),
        backend.list_runs(RunQuery(states=frozenset({RunState.UNKNOWN}))),
        backend.list_runs(DONE),
        backend.list_flows(),
        backend.describe(FLOW),
        backend.health(),
        login.login(),
    ]


@given(answers=st.lists(st.tuples(STATUSES, JSON), min_size=1, max_size=4))
def test_whatever_json_comes(answers):
    """Any JSON in any answer to any plan is understood, or one of our errors."""
    for plan in every_plan():
        step = next(plan)
        for turn in range(40):
            assert isinstance(step, Request)
            try:
                step = plan.send(reply(*answers[turn % len(answers)]))
            except (StopIteration, FlowrunnerError):
                break


@given(status=STATUSES, body=st.binary())
def test_whatever_bytes_come(status, body):
    """Any bytes in any answer to any plan are understood, or one of our errors."""
    for plan in every_plan():
        next(plan)
        for _ in range(9):
            try:
                plan.send(Response(status, {}, body))
            except (StopIteration, FlowrunnerError):
                break


# Whole runs


def connection(**settings):
    """The checked settings of a connection."""
    arguments = {"base_url": BASE, "api_key": KEY, "check_parameters": False, "max_long_polls": 0, **settings}
    return resolve(None, backend="smart-flows", config=None, arguments=arguments)


class Case:
    """A client over a scripted vendor that has started run e-1."""

    def __init__(self, open_client, vendor, clock):
        self.open, self.vendor, self.clock = open_client, vendor, clock
        self.events = []
        vendor.on("POST", EXECUTIONS, (200, progress("Queued")))
        vendor.on("GET", RUN, 404)
        vendor.on("GET", STATUS, 404)

    def client(self, **settings):
        """A client of the vendor."""
        return self.open(connection(**settings), on_event=self.events.append)

    def run(self, *answers, **settings):
        """A run whose progress is answered so."""
        self.vendor.on(
            "GET", PROGRESS, *(answer if isinstance(answer, tuple | int) else (200, answer) for answer in answers)
        )
        return self.client(**settings).submit(FLOW)

    def happened(self, kind):
        """The events of a kind."""
        return [event for event in self.events if isinstance(event, kind)]


@pytest.fixture
def case(open_client, vendor, clock):
    """A client over a scripted vendor."""
    return Case(open_client, vendor, clock)


def test_a_whole_run(case, tmp_path):
    """A run with a document: followed to its end, its document downloaded, the key in a header of each request."""
    ends = progress("Success", percentage=90, model={"B1": {"letter": document("d-1")}})
    started = case.run(progress("Running"), ends)
    case.vendor.on("GET", f"{API}/documents/d-1", (200, {"displayName": "Letter", "contentType": "application/pdf"}))
    case.vendor.on("GET", f"{API}/documents/d-1/content", (200, b"%PDF-1.7"))
    result = started.wait()

    assert (result.status.state, result.status.progress) == (RunState.SUCCEEDED, 0.9)
    (artifact,) = result.artifacts
    assert (artifact.name, artifact.media_type) == ("Letter", "application/pdf")
    assert artifact.download(tmp_path / "x.pdf").read_bytes() == b"%PDF-1.7"
    assert case.vendor.requests[-1].headers["accept"] == "*/*"
    assert {request.headers["x-api-key"] for request in case.vendor.requests} == {KEY}
    assert not any(KEY in str(request.url) for request in case.vendor.requests)


def test_xml_on_the_wire(case, tmp_path):
    """A payload arrives as it is, with its length and the documented type; a text is XML and never a path."""
    file = tmp_path / "in.xml"
    file.write_bytes(("<all>" + "<row>Ærø</row>" * 40_000 + "</all>").encode())
    text = "<all>Ærø</all>"
    for payload, expected in ((file, file.read_bytes()), (text, text.encode()), (b"<all/>", b"<all/>")):
        case.client().submit(FLOW, payload=payload)
        request = case.vendor.requests[-1]
        assert request.content == expected
        assert (request.headers["content-type"], request.headers["content-length"]) == (XML, str(len(expected)))


def test_a_bomb_is_never_sent(case):
    """A payload that is refused is refused before any request."""
    for payload in ("<!DOCTYPE a [<!ENTITY x 'y'>]><a>&x;</a>", b"<a>", {"a": 1}):
        with pytest.raises(InvalidRequest):
            case.client().submit(FLOW, payload=payload)
    with pytest.raises(InvalidRequest, match="does not exist"):
        case.client().submit(FLOW, payload=Path("there") / "is" / "none.xml")
    assert case.vendor.requests == []


def test_parameters_need_a_place(case):
    """Parameters go into XML below a root; a description, where there is one, checks them first."""
    schema = {"inputSchema": {"properties": {"age": {"type": "integer"}}}}
    case.vendor.on("POST", f"{API}/flows/f-1/contract", (200, schema))
    client = case.client(check_parameters=True)
    with pytest.raises(InvalidParameters, match="age"):
        client.submit(FLOW, {"age": "old"}, options=SubmitOptions(extra={"root": "r"}))
    client.submit(FLOW, {"age": 5}, options=SubmitOptions(extra={"root": "r"}))
    assert len(case.vendor.asked("POST", EXECUTIONS)) == 1


def test_a_server_without_descriptions(case):
    """Where no description is to be had, the check steps aside with one event, and the run is started."""
    case.vendor.on("POST", f"{API}/flows/f-1/contract", 405)
    case.client(check_parameters=True).submit(FLOW, payload=b"<a/>")
    assert len(case.happened(events.CheckSkipped)) == 1


def test_percentage_decides_nothing(case):
    """A percentage of 100 ends no run, and an end needs none: the status alone counts."""
    started = case.run(
        progress("Running", percentage=100), progress("Running", percentage=100), progress("Error", percentage=3)
    )
    with pytest.raises(RunFailed) as caught:
        started.wait()
    assert [status.state for status in started.history] == [
        RunState.QUEUED,
        RunState.QUEUED,
        RunState.RUNNING,
        RunState.FAILED,
    ]
    assert caught.value.status.progress == 0.03


def test_an_unknown_status(case):
    """A status nobody knows keeps the run alive."""
    started = case.run(progress("Running"), progress("Archiving"), progress("Success"))
    assert started.wait().status.state is RunState.SUCCEEDED
    assert [event.word for event in case.happened(events.UnknownWord)] == ["Archiving"]


@pytest.mark.parametrize(
    ("word", "kind", "cause"),
    [
        ("Error", RunFailed, Cause.FLOW),
        ("Interrupted", RunFailed, Cause.INTERRUPTED),
        ("Canceled", RunCancelled, Cause.UNSPECIFIED),
    ],
)
def test_bad_ends(case, word, kind, cause):
    """A run that did not succeed raises with its cause and the vendor's message."""
    with pytest.raises(kind, match="Template missing") as caught:
        case.run(progress(word, message="Template missing")).wait()
    assert caught.value.status.cause is cause


def test_a_success_with_warnings(case):
    """Warning is a success that says so."""
    assert case.run(progress("Warning")).wait().status.has_warnings


def test_a_held_request(case):
    """A server that holds requests is asked again at once; the read timeout is above what it was asked for."""

    def held(_):
        case.clock.advance(20)
        return 200, progress("Running")

    case.vendor.on("GET", PROGRESS, *[held] * 5, (200, progress("Success")))
    case.client(max_long_polls=8).submit(FLOW).wait()
    looks = case.vendor.asked("GET", PROGRESS)
    assert {request.url.params["timeout"] for request in looks[:-1]} == {"20"}
    assert all(request.extensions["timeout"]["read"] > 20 for request in looks)
    assert case.clock.slept == []


def test_a_server_that_does_not_hold(case):
    """A server that answers held requests at once is polled with pauses, not run down."""
    case.vendor.on("GET", PROGRESS, (200, progress("Running")))
    started = case.client(max_long_polls=8).submit(FLOW)
    with pytest.raises(WaitTimeout):
        started.wait(timeout=100)
    assert len(case.vendor.asked("GET", PROGRESS)) < 50


def test_a_run_that_waits_for_an_event(case):
    """A run that waits for an outside event is waited for, up to the timeout, and says what it waits for."""
    started = case.run(progress("Waiting", message=None, model={"urls": [{"value": "https://sign.example/7"}]}))
    case.vendor.on("GET", RUN, (200, {"id": "e-1", "state": {"waitingFor": "docusign-7"}}))
    with pytest.raises(WaitTimeout, match=r"is waiting \(waits for docusign-7\): it goes on") as caught:
        started.wait(timeout=60)
    assert (caught.value.status.reason, caught.value.status.message) == (
        WaitReason.EXTERNAL_EVENT,
        "waits for docusign-7",
    )
    assert started.wait(until="attention").status.state is RunState.WAITING
    case.vendor.on("GET", PROGRESS, (200, progress("Waiting")), (200, progress("Success")))
    assert started.wait().status.state is RunState.SUCCEEDED
    assert {request.url.host for request in case.vendor.requests} == {"acme.example.com"}


SCHEMA = {"type": "object", "properties": {"town": {"type": "string"}, "age": {"type": "integer"}}}
ASKS = progress("UserInput", message="Who?", schema=SCHEMA, model={"town": "Gent", "age": 3}, form=[{"key": "town"}])


@pytest.mark.parametrize("raise_on_failure", [True, False])
def test_a_run_that_asks(case, raise_on_failure):
    """A run that waits for a person raises InputRequired with schema, defaults and form; or returns, for attention."""
    started = case.run(progress("Running"), ASKS)
    with pytest.raises(InputRequired) as caught:
        started.wait(raise_on_failure=raise_on_failure)
    asked = caught.value
    assert (asked.schema, asked.model, asked.form) == (SCHEMA, {"town": "Gent", "age": 3}, ({"key": "town"},))
    assert (asked.status.reason, asked.status.message, asked.ref) == (WaitReason.USER_INPUT, "Who?", started.ref)
    assert started.wait(until="attention").status.state is RunState.WAITING


def test_a_flow_to_be_selected(case):
    """A run that wants its flow selected waits for a person, too."""
    started = case.run(progress("SelectFlow"))
    with pytest.raises(InputRequired) as caught:
        started.wait()
    assert (caught.value.status.reason, caught.value.schema) == (WaitReason.FLOW_SELECTION, None)


def test_what_it_asks_cannot_be_read(case):
    """A run that asks is InputRequired though its question cannot be read, which a note says."""
    started = case.run(ASKS, 403)
    with pytest.raises(InputRequired) as caught:
        started.wait()
    assert (caught.value.schema, caught.value.model) == (None, {})
    assert "could not be read" in caught.value.__notes__[0]


def test_answers(case):
    """Answers go out over the defaults, whole; the run goes on and ends."""
    started = case.run(ASKS)
    case.vendor.on("POST", PROGRESS, (200, progress("Running")))
    assert started.resume({"town": "Ærø"}).state is RunState.RUNNING
    sent = case.vendor.asked("POST", PROGRESS)
    assert [json.loads(request.content) for request in sent] == [{"town": "Ærø", "age": 3}]
    case.vendor.on("GET", PROGRESS, (200, progress("Success")))
    assert started.wait().status.state is RunState.SUCCEEDED


def test_a_run_that_asks_again(case):
    """A run may ask as often as it likes: each time the wait raises, and each time it is answered."""
    started = case.run(ASKS)
    case.vendor.on("POST", PROGRESS, (200, progress("Running")))
    for town in ("Gent", "Brugge", "Leuven"):
        case.vendor.on("GET", PROGRESS, (200, progress("Running")), (200, ASKS))
        with pytest.raises(InputRequired):
            started.wait()
        started.resume({"town": town})
    case.vendor.on("GET", PROGRESS, (200, progress("Success")))
    assert started.wait().status.state is RunState.SUCCEEDED
    assert [json.loads(request.content)["town"] for request in case.vendor.asked("POST", PROGRESS)] == [
        "Gent",
        "Brugge",
        "Leuven",
    ]
    reasons = [status.reason for status in started.history if status.state is RunState.WAITING]
    assert reasons == [WaitReason.USER_INPUT] * 3


def test_answers_that_do_not_fit(case):
    """Answers that do not fit are InvalidParameters with their problems, and nothing is sent."""
    started = case.run(ASKS)
    with pytest.raises(InvalidParameters) as caught:
        started.resume({"age": "old"})
    assert list(caught.value.problems) == ["age"]
    with pytest.raises(InvalidParameters, match="did you mean 'town'"):
        started.resume({"twon": "Gent"})
    assert case.vendor.asked("POST", PROGRESS) == []


@pytest.mark.parametrize("word", ["Running", "Waiting", "Success"])
def test_a_run_that_does_not_ask(case, word):
    """A run that waits for no person takes no answers."""
    with pytest.raises(InvalidRequest, match="does not wait for an answer"):
        case.run(progress(word)).resume({})
    assert case.vendor.asked("POST", PROGRESS) == []


def test_answers_that_are_refused(case):
    """A refusal of answers is an error, and the run waits as before."""
    started = case.run(ASKS)
    case.vendor.on("POST", PROGRESS, (409, {"message": "somebody else has answered"}))
    with pytest.raises(InvalidRequest, match="somebody else"):
        started.resume({})
    assert started.status.state is RunState.WAITING


def test_a_cancelled_run(case):
    """A cancellation that is confirmed was ours; the wait says so."""
    started = case.run(progress("Canceled"))
    case.vendor.on("DELETE", PROGRESS, 204)
    assert started.cancel() is CancelOutcome.CONFIRMED
    assert (started.status.state, started.status.cause) == (RunState.CANCELLED, Cause.BY_US)


def test_a_cancellation_that_loses_the_race(case):
    """A run that ended first ended as it did, and is TOO_LATE to cancel."""
    started = case.run(progress("Success"))
    case.vendor.on("DELETE", PROGRESS, (409, {"message": "finished"}))
    assert started.cancel() is CancelOutcome.TOO_LATE
    assert started.status.state is RunState.SUCCEEDED


def test_a_cancellation_under_way(case):
    """A run that still runs is CANCELLING until the vendor shows how it ends, a success included."""
    started = case.run(progress("Running"))
    case.vendor.on("DELETE", PROGRESS, (200, progress("Running")))
    assert started.cancel() is CancelOutcome.REQUESTED
    assert started.status.state is RunState.CANCELLING
    case.vendor.on("GET", PROGRESS, (200, progress("Success")))
    assert started.wait().status.state is RunState.SUCCEEDED


def test_a_run_that_was_cleaned_up(case):
    """A run the vendor has shown and then cleaned up is LOST, with what was last known."""
    started = case.run(progress("Running"), (404, NOT_FOUND))
    result = started.wait(raise_on_failure=False)
    assert (result.status.state, result.status.vendor_status, result.status.message) == (
        RunState.LOST,
        "Running",
        "Generate document",
    )


def test_an_end_that_was_cleaned_up(case):
    """A failure that was seen stays known, though its details are cleaned up."""
    started = case.run(progress("Error", message="boom"), (404, NOT_FOUND))
    with pytest.raises(RunFailed, match="boom"):
        started.wait()


def test_a_proxy_in_between(case):
    """Pages in the vendor's place are lost contact, and say nothing about the run."""
    started = case.run(progress("Running"), (404, "<html>"), contact_budget=20)
    with pytest.raises(ContactLost):
        started.wait()
    assert started.status.state is RunState.RUNNING


def test_runs_over_pages(case):
    """`runs` asks for pages as they are needed, until one is empty, and shows each run once."""
    pages = {"0": [listed(number) for number in range(3)], "1": [listed(2), listed(3)]}
    case.vendor.on("GET", EXECUTIONS, lambda request: (200, pages.get(request.url.params["page"], [])))
    client = case.client()
    assert [run.id for run in client.runs()] == ["e-0", "e-1", "e-2", "e-3"]
    assert len(case.vendor.requests) == 3
    assert [run.id for run in client.runs(limit=2)] == ["e-0", "e-1"]
    assert len(case.vendor.requests) == 4


def test_flows_over_pages(case):
    """`flows` does the same."""
    pages = {"0": [{"id": "f-1"}], "1": [{"id": "f-2"}]}
    case.vendor.on("GET", f"{API}/flows", lambda request: (200, pages.get(request.url.params["page"], [])))
    assert [flow.flow for flow in case.client().flows()] == ["f-1", "f-2"]


def test_another_host_never_gets_the_key(case, tmp_path):
    """Addresses in models are values: none is asked for; nor is a redirect followed, wherever it leads."""
    elsewhere = "https://other.example/steal"
    model = {"B": {**document("d-1"), "url": elsewhere, "callback": {"href": elsewhere, "type": "document"}}}
    started = case.run(progress("Success", model=model))
    case.vendor.on("GET", f"{API}/documents/d-1", (200, {"displayName": elsewhere, "location": elsewhere}))
    case.vendor.on("GET", f"{API}/documents/d-1/content", (302, b"", {"Location": elsewhere}))
    (artifact,) = started.wait().artifacts
    with pytest.raises(ProtocolError, match="redirect"):
        artifact.download(tmp_path / "x")
    assert {request.url.host for request in case.vendor.requests} == {"acme.example.com"}
    assert list(tmp_path.iterdir()) == []


def test_an_absolute_address_gets_no_key(case, tmp_path):
    """A document at another origin, its port and scheme included, would be asked for without the key."""
    client = case.client()
    for address in ("https://other.example/d", "https://acme.example.com:8443/d", "http://acme.example.com/d"):
        case.vendor.on("GET", "/d", (200, b"x"))
        source = ArtifactSource(name="x", location=address)
        client._artifact(source).download(tmp_path / "x")
        assert "x-api-key" not in case.vendor.requests[-1].headers


def test_what_is_missing_is_an_error_before_a_request(case):
    """What this vendor lacks is UnsupportedOperation, and nothing goes out."""
    client = case.client()
    attached = client.attach(RunRef(client.name, "smart-flows", FLOW, "e-1"))
    for operation in (
        lambda: list(attached.logs()),
        lambda: client.run(FLOW, server_wait=True),
        lambda: client.upload(__file__),
        lambda: client.submit(FLOW, options=SubmitOptions(extra={"bach": True})),
    ):
        with pytest.raises(UnsupportedOperation):
            operation()
    assert case.vendor.requests == []
