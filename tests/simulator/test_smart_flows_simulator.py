"""Smart Flows on a real socket: executions from their start to their end."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import zipfile
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from flowrunner.simulator import (
    EMPLOYEES,
    Behaviour,
    Block,
    Input,
    Made,
    Pause,
    RealClock,
    Simulator,
    SmartFlow,
    SmartFlowId,
    SmartFlowsQuirks,
)

EXECUTIONS = "/flows/executions"
XML = '<?xml version="1.0" encoding="utf-8"?><Employees><Employee/><Employee/><Employee/></Employees>'
AS_XML = {"content-type": 'application/xml; charset="utf-8"'}
NAME, LANGUAGE, SIGNATURE = (
    f"c3f1b7d2-5a64-4f0c-9d7e-2b8a1e6f0d01_1a2b3c4d-000{number}-4e5f-8a9b-0c1d2e3f4a5b" for number in (1, 2, 3)
)


@pytest.fixture
def simulator(clock):
    """A server with two engines."""
    with Simulator("smart-flows", clock=clock) as serving:
        yield serving


@pytest.fixture
def client(simulator):
    """Return a function that makes a client with these headers."""
    clients = []

    def make(**headers):
        client = Api(base_url=f"{simulator.base_url}/api/v1", headers=headers, timeout=10, verify=False)
        clients.append(client)
        return client

    yield make
    for each in clients:
        each.close()


class Api(httpx.Client):
    """A client that knows how to start and to follow."""

    def begin(self, flow, **more):
        """Start a flow and give the path of the execution."""
        return f"{EXECUTIONS}/{self.post(EXECUTIONS, params={'flowId': flow}, **more).json()['id']}"

    def progress(self, path):
        """Ask for the progress, without waiting for anything."""
        return self.get(f"{path}/progress?timeout=-1").json()


@pytest.fixture
def api(client, simulator):
    """A client that holds the key."""
    return client(**{"x-api-key": simulator.token})


@pytest.fixture
def hold(simulator, api):
    """Return a function that asks for the progress in another thread, and is held."""

    def send(path, query=""):
        waiting = executor.submit(api.get, f"{path}/progress{query}")
        assert simulator.wait_until_held()
        return waiting

    with ThreadPoolExecutor() as executor:
        yield send


def documents(value):
    """Return the documents anywhere in a model."""
    if isinstance(value, dict):
        own = [value] if value.get("type") == "document" else []
        return own + [found for item in value.values() for found in documents(item)]
    return [found for item in value for found in documents(item)] if isinstance(value, list) else []


# Start


def test_start_answers_four_fields(simulator, api):
    """A start answers with id, percentage, message and status; what was sent is measured and kept with the job."""
    answer = api.post(EXECUTIONS, params={"flowId": SmartFlowId.REPORT}, content=XML, headers=AS_XML)

    shown = {"percentage": 0, "message": "Read data", "status": "Running"}
    assert (200, {"id": answer.json()["id"]} | shown) == (answer.status_code, answer.json())
    (job,) = simulator.pool.submissions(SmartFlowId.REPORT)
    digest = hashlib.sha256(XML.encode()).hexdigest()
    assert Input("xml", AS_XML["content-type"], len(XML), digest, 3) == job.notes.input
    assert (job.notes.user, job.notes.mode) == ("admin", "interactive")


@pytest.mark.parametrize("status", [200, 201, 202])
def test_success_codes(simulator, api, status):
    """The code of an accepted start is not known."""
    simulator.quirks = SmartFlowsQuirks(start_status=status)

    assert status == api.post(EXECUTIONS, params={"flowId": SmartFlowId.NO_INPUT}).status_code


@pytest.mark.parametrize(
    ("content", "content_type", "status"),
    [
        (b"<a/>", "application/xml", 200),
        (b"  <a/>", "text/xml", 200),
        (b'{"id": ["1", "2"], "entity": "account"}', "application/json", 200),
        (b"<a/>", "text/plain", 200),
        (b"<a/>", None, 200),
        (b"", None, 400),
        (b"  ", "application/xml", 400),
        (b"<a><b></a>", "application/xml", 400),
        (b"<a>", "application/xml", 400),
        (b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', "application/xml", 400),
        (b'<?xml version="1.0" encoding="nonsense"?><a/>', "application/xml", 400),
        (b"<a/>", "image/png", 415),
        (b'{"id": ', "application/json", 400),
        (b"[" * 100_000, "application/json", 400),
        (b"name=x", "text/plain", 400),
    ],
)
def test_input_is_checked(simulator, api, content, content_type, status):
    """A flow that takes data takes well-formed XML or JSON and no document type; nothing else is started."""
    headers = {"content-type": content_type} if content_type else {}

    answer = api.post(EXECUTIONS, params={"flowId": SmartFlowId.REPORT}, content=content, headers=headers)

    assert (status, int(status == 200)) == (answer.status_code, len(simulator.pool.submissions()))


@pytest.mark.parametrize("status", [400, 422, 500])
def test_bad_input_has_a_code(simulator, api, status):
    """The code for data that cannot be read is not known; and text may be refused where XML is meant."""
    simulator.quirks = SmartFlowsQuirks(bad_input=status, text_input="refuse")
    send = {"params": {"flowId": SmartFlowId.REPORT}, "content": b"<a/>"}

    assert status == api.post(EXECUTIONS, **send | {"content": b"<a"}).status_code
    assert api.post(EXECUTIONS, **send, headers={"content-type": "text/plain"}).status_code == 415


def test_json_may_be_refused(simulator, api):
    """The vendor's libraries send JSON, its pages XML: a server may take XML alone."""
    simulator.quirks = SmartFlowsQuirks(json_input="refuse")
    send = {"params": {"flowId": SmartFlowId.REPORT}, "headers": {"content-type": "application/json"}}

    assert [api.post(EXECUTIONS, **send, content=each).status_code for each in (b"{}", b"<a/>")] == [415, 200]


@pytest.mark.parametrize("content", [b"", b"<a", b"{}"])
def test_a_flow_without_input_ignores_it(simulator, api, content):
    """A flow that takes no data lets pass whatever is sent."""
    assert api.post(EXECUTIONS, params={"flowId": SmartFlowId.NO_INPUT}, content=content).status_code == 200
    sent = simulator.pool.jobs[0].notes.input
    assert ("json" if content == b"{}" else None) == (sent and sent.form)


@pytest.mark.parametrize(
    ("head", "form", "records"), [(b"<a>", "xml", 200_000), (b'{"id":[', "json", 0)], ids=["xml", "json"]
)
def test_a_large_input_is_read_as_it_comes(simulator, api, head, form, records):
    """Data of any size is measured, and XML counted, in parts; JSON too large for memory is measured alone."""
    parts = [head, *[b"<b>0123456789</b>" * 1000 if form == "xml" else b"0," * 9000] * 200]
    parts.append(b"</a>" if form == "xml" else b"0]}")

    answer = api.post(EXECUTIONS, params={"flowId": SmartFlowId.RECORDS}, content=iter(parts))

    sent = simulator.pool.jobs[0].notes.input
    assert answer.status_code == 200
    assert (form, records, hashlib.sha256(b"".join(parts)).hexdigest()) == (sent.form, sent.records, sent.sha256)


def test_batch(api, clock):
    """A batch is started by id or name, answers with the execution, and asks nobody: the defaults stand in."""
    answers = [api.post(f"{EXECUTIONS}/start", params={"flow": flow}) for flow in (SmartFlowId.ASKS_TWICE, "Letter")]
    clock.advance(10)

    assert [answer.status_code for answer in answers] == [200, 200]
    assert {"mode": "batch", "status": "Running"}.items() <= answers[0].json().items()
    assert "percentage" not in answers[0].json()
    assert [api.progress(f"{EXECUTIONS}/{answer.json()['id']}")["status"] for answer in answers] == ["Success"] * 2


def test_a_batch_may_wait(api, clock):
    """What waits for something outside does so in a batch too."""
    path = f"{EXECUTIONS}/{api.post(f'{EXECUTIONS}/start', params={'flow': SmartFlowId.WAITS}).json()['id']}"
    clock.advance(10)

    assert api.progress(path)["status"] == "Waiting"


@pytest.mark.parametrize("status", [404, 400, 500])
@pytest.mark.parametrize(
    ("path", "query"),
    [
        (EXECUTIONS, {"flowId": "no"}),
        (EXECUTIONS, {"datasetId": "no"}),
        (EXECUTIONS, {"flowId": SmartFlowId.REPORT, "datasetId": "no"}),
        (f"{EXECUTIONS}/start", {"flow": "no"}),
    ],
)
def test_start_of_nothing(simulator, api, status, path, query):
    """An unknown flow or data set has a code that is not known."""
    simulator.quirks = SmartFlowsQuirks(unknown_flow=status)

    assert status == api.post(path, params=query).status_code
    assert simulator.pool.submissions() == ()


@pytest.mark.parametrize("path", [EXECUTIONS, f"{EXECUTIONS}/start"])
def test_start_of_no_flow(api, path):
    """A start without any flow is a mistake."""
    assert api.post(path).status_code == 400


def test_input_may_be_too_large(simulator, api):
    """Data above what the server takes is refused."""
    simulator.quirks = SmartFlowsQuirks(largest_input=len(XML))

    answers = [
        api.post(EXECUTIONS, params={"flowId": SmartFlowId.REPORT}, content=content) for content in (XML, XML + " ")
    ]

    assert [answer.status_code for answer in answers] == [200, 413]


@pytest.mark.parametrize(
    ("content", "content_type"), [(b"<a>\xc3\xa6</a>", "application/xml"), (b'{"id": []}', "application/json")]
)
def test_input_is_kept(api, content, content_type):
    """What an execution was given is described, and is there to be read as it was sent."""
    path = api.begin(SmartFlowId.REPORT, content=content)
    data = f"/data/{api.get(path).json()['state']['inputData']['id']}"

    described, head, read = api.get(data), api.head(data), api.get(f"{data}/content")

    assert {"displayName": "Input", "contentType": content_type}.items() <= described.json().items()
    assert (head.status_code, head.content) == (200, b"")
    assert (read.content, read.headers["content-type"].partition(";")[0]) == (content, content_type)


@pytest.mark.parametrize("status", [404, 400, 500])
def test_input_that_is_not_there(simulator, api, client, status):
    """What nobody gave, what was too large to be kept, and what another gave cannot be read."""
    simulator.quirks = SmartFlowsQuirks(unknown_document=status)
    large = api.begin(SmartFlowId.REPORT, content=b"<a>" + b" " * (1 << 20) + b"</a>")
    data = f"/data/{api.get(large).json()['state']['inputData']['id']}"
    api.begin(SmartFlowId.NO_INPUT)
    nothing = data[:-1] + format(int(data[-1], 16) + 1, "x")
    own = client(**{"x-api-key": simulator.world.accounts.issue_key("ann", ("read:ownFlowExecutions",))})

    assert api.get(data).json()["contentType"] == "application/xml"
    assert [status] * 3 == [api.get(each).status_code for each in (f"{data}/content", "/data/x", nothing)]
    assert own.get(data).status_code == 404


# Progress


def test_percentage_is_the_share_of_steps(api, clock):
    """The percentage is that of the steps done, the message what is being done."""
    path = api.begin(SmartFlowId.NO_INPUT)
    seen = []
    for _ in range(5):
        seen.append((api.progress(path)["percentage"], api.progress(path)["message"]))
        clock.advance(1)

    steps = ["Read data", "Generate document", "Convert document", "Store document", ""]
    assert list(zip([0, 25, 50, 75, 100], steps, strict=True)) == seen


@pytest.mark.parametrize(
    ("how", "shown"),
    [
        ("steps", [0, 50, 100]),
        ("completes", [0, 50, 100]),
        ("stalls", [0, 50, 75]),
        ("jumps", [0, 0, 100]),
        ("missing", [None] * 3),
    ],
)
def test_percentage_is_odd(simulator, api, how, shown):
    """The percentage may stall, jump or be missing, and says nothing about the end."""
    simulator.quirks = SmartFlowsQuirks(percentage=how)
    path = api.begin(SmartFlowId.NO_INPUT)
    seen = []
    for _ in range(3):
        seen.append(api.progress(path).get("percentage"))
        simulator.clock.advance(2)

    assert shown == seen


@pytest.mark.parametrize(("how", "shown"), [("steps", [75, 25]), ("completes", [100, 100])])
def test_percentage_at_a_bad_end(simulator, api, clock, how, shown):
    """What has failed or was cancelled may stay where it was, or be at 100 as if it had succeeded."""
    simulator.quirks = SmartFlowsQuirks(percentage=how)
    paths = [api.begin(SmartFlowId.FAILS), api.begin(SmartFlowId.NO_INPUT)]
    clock.advance(1)
    api.delete(f"{paths[1]}/progress")
    clock.advance(9)

    assert shown == [api.progress(path)["percentage"] for path in paths]


def test_a_flow_without_steps_shows_its_name(simulator, api):
    """A flow of no known steps is one step of its name."""
    simulator.publish(SmartFlow("own", "Own flow", steps=()))

    assert api.progress(api.begin("own"))["message"] == "Own flow"


@pytest.mark.parametrize(
    ("flow", "plain", "message"),
    [
        (SmartFlowId.NO_INPUT, "Success", ""),
        (SmartFlowId.WARNS, "Warning", "The mail server did not answer."),
        (SmartFlowId.FAILS, "Error", "The template 'Letter' was not found."),
        (SmartFlowId.INTERRUPTED, "Interrupted", "The execution was interrupted: it ran too long."),
    ],
)
def test_ends(api, flow, plain, message, clock):
    """Each end has its status, the error text is in the message and the details; only success reaches 100."""
    path = api.begin(flow)
    clock.advance(10)

    shown, details = api.progress(path), api.get(path).json()

    assert (plain, message) == (shown["status"], shown["message"])
    assert plain == details["status"]
    assert (shown["percentage"] == 100) == (plain in ("Success", "Warning"))
    told = details["state"]["errors" if plain == "Error" else "warnings"]
    assert [message] * (plain in ("Warning", "Error")) == [each["message"] for each in told]


def test_an_error_without_a_text(simulator, api, clock):
    """An error that nothing was scripted for has a text all the same."""
    simulator.pool.script(SmartFlowId.NO_INPUT, Behaviour(outcome="failed"), times=1)
    path = api.begin(SmartFlowId.NO_INPUT)
    clock.advance(10)

    assert api.progress(path)["message"] == "The execution failed."


def test_an_old_server_knows_no_warning(simulator, api, clock):
    """Where there is no Warning, it is Success; any word may be another."""
    simulator.quirks = SmartFlowsQuirks(warning="absent", words={"Success": "SUCCESS"})
    path = api.begin(SmartFlowId.WARNS)
    clock.advance(10)

    assert api.progress(path)["status"] == "SUCCESS"


def test_queued(simulator, api):
    """With all engines busy an execution is Queued, and nothing of it is in the report."""
    simulator.pool.submit("other")
    simulator.pool.submit("other")
    path = api.begin(SmartFlowId.NO_INPUT)

    assert (api.progress(path)["status"], api.progress(path)["message"]) == ("Queued", "Waiting for other flows")
    assert (api.get(path).json()["state"]["report"], api.get(path).json()["state"]["stages"]) == ([], [])


def test_what_a_test_put_into_the_pool_is_an_execution(simulator, api):
    """A job of the pool that nobody started over the wire is listed under its own name, as the administrator's."""
    simulator.pool.submit("other")

    (item,) = api.get(EXECUTIONS).json()
    assert (item["flow"]["displayName"], item["createdBy"]["displayName"]) == ("other", "Admin")


# Long polls


def test_a_progress_is_held_until_it_changes(api, hold, clock):
    """A progress is held until what it shows has changed."""
    path = api.begin(SmartFlowId.NO_INPUT)
    waiting = hold(path, "?timeout=20")
    clock.advance(1)

    assert waiting.result().json()["percentage"] == 25


def test_a_progress_is_held_until_it_is_stable(simulator, api, hold, clock):
    """Where only a stable status ends the wait, steps do not."""
    simulator.quirks = SmartFlowsQuirks(wake_on="stable")
    waiting = hold(api.begin(SmartFlowId.ASKS_ONCE), "?timeout=20")
    clock.advance(1.6)
    assert not waiting.done()
    clock.advance(0.4)

    assert waiting.result().json()["status"] == "UserInput"


def test_a_progress_is_held_for_so_long(simulator, api, hold, clock):
    """Without a change the answer comes when the time is over: that asked for, 30 s, or what the server allows."""
    simulator.pool.script(SmartFlowId.NO_INPUT, Behaviour(duration=1e6), times=3)
    path = api.begin(SmartFlowId.NO_INPUT)
    for query, quirks, seconds in (("?timeout=5", {}, 5), ("", {}, 30), ("?timeout=99", {"longest_poll": 7}, 7)):
        simulator.quirks = SmartFlowsQuirks(**quirks)
        waiting = hold(path, query)
        clock.advance(seconds - 1)
        assert not waiting.done()
        clock.advance(1)
        assert waiting.result().json()["status"] == "Running"


def test_a_stable_status_is_told_at_once(api, clock):
    """Nobody waits for what has ended or asks."""
    paths = [api.begin(SmartFlowId.NO_INPUT), api.begin(SmartFlowId.ASKS_ONCE)]
    clock.advance(10)

    assert [api.get(f"{path}/progress").json()["status"] for path in paths] == ["Success", "UserInput"]


def test_a_server_may_not_hold(simulator, api):
    """A server may ignore the timeout and answer at once."""
    simulator.quirks = SmartFlowsQuirks(long_poll="ignore")

    assert api.get(f"{api.begin(SmartFlowId.NO_INPUT)}/progress?timeout=30").json()["status"] == "Running"


@pytest.mark.parametrize(("number", "quirk"), [(0, "zero_timeout"), (-1, "negative_timeout")])
def test_odd_timeouts(simulator, api, hold, number, quirk):
    """0 and -1 are an answer at once, the usual wait, or a mistake."""
    path = api.begin(SmartFlowId.NO_INPUT)
    assert api.get(f"{path}/progress?timeout={number}").status_code == 200

    simulator.quirks = SmartFlowsQuirks(**{quirk: "refuse"})
    assert api.get(f"{path}/progress?timeout={number}").status_code == 400
    simulator.quirks = SmartFlowsQuirks(**{quirk: "default"})
    waiting = hold(path, f"?timeout={number}")
    simulator.clock.advance(30)

    assert waiting.result().json()["status"] == "Success"
    assert api.get(f"{path}/progress?timeout=soon").status_code == 400


def test_a_held_execution_may_be_forgotten(simulator, api, hold):
    """What the server forgets meanwhile is unknown."""
    waiting = hold(api.begin(SmartFlowId.NO_INPUT))
    simulator.pool.forget(1)

    assert waiting.result().status_code == 404


def test_steps_wake_by_themselves():
    """On a clock that runs, a held progress is answered when the next step is done, long before the end."""
    with Simulator("smart-flows", clock=RealClock(100)) as simulator:
        simulator.publish(SmartFlow("own", "Own", Behaviour(duration=500), steps=tuple(map(str, range(100)))))
        url, headers = f"{simulator.base_url}/api/v1{EXECUTIONS}", {"x-api-key": simulator.token}
        started = httpx.post(f"{url}?flowId=own", headers=headers).json()

        shown = httpx.get(f"{url}/{started['id']}/progress?timeout=900", headers=headers).json()

    assert shown["status"] == "Running"
    assert 0 < shown["percentage"] < 100


# Results


def test_documents(api, clock):
    """An execution that ended shows its documents in the model, by blocks, and gives real files."""
    path = api.begin(SmartFlowId.REPORT, content=XML, headers=AS_XML)
    clock.advance(10)

    model = api.progress(path)["model"]
    first, second = documents(model)
    contents = [api.get(f"/documents/{each['id']}/content") for each in (first, second)]

    assert list(model) == ["Bb407de9e_f9e8_47b8_9131_0fa252400003", "Bb407de9e_f9e8_47b8_9131_0fa252400004"]
    assert model == api.get(path).json()["state"]["output"]["model"]
    assert [first["displayName"], second["displayName"]] == ["Report.docx", "Report.pdf"]
    with zipfile.ZipFile(io.BytesIO(contents[0].content)) as archive:
        assert b"Report.docx" in archive.read("word/document.xml")
    assert contents[1].content.startswith(b"%PDF-1.4")
    assert contents[1].content.endswith(b"%%EOF\n")
    assert contents[1].headers["content-disposition"] == 'attachment; filename="Report.pdf"'
    described = [api.get(f"/documents/{each['id']}").json() for each in (first, second)]
    assert [each.headers["content-type"] for each in contents] == [each["contentType"] for each in described]
    assert path.endswith(described[0]["flowExecution"]["id"])
    assert described[0]["usage"] == "flowExecutionOutput"


def test_the_tables_of_a_pdf_are_right():
    """The PDF's table of objects points at them, whatever the name in it."""
    from flowrunner.simulator.office_files import PDF, make_document

    content = make_document(PDF, "Brief (für \\ 日本).pdf")

    table = int(content.rpartition(b"startxref\n")[2].split()[0])
    assert content[table : table + 4] == b"xref"
    places = [int(line.split()[0]) for line in content[table:].splitlines()[3:8]]
    assert [b"%d 0 obj" % number for number in range(1, 6)] == [content[place : place + 7] for place in places]


def test_other_documents_are_text(simulator, api):
    """A document of any other type is a text."""
    block = Block("0-1", "Page", {"page": Made("Page.html", "text/html")})
    simulator.publish(SmartFlow("own", "Own", Behaviour(duration=0), blocks=(block,)))

    (document,) = documents(api.progress(api.begin("own"))["model"])

    assert api.get(f"/documents/{document['id']}/content").content == b"Page.html"


@pytest.mark.parametrize(
    ("quirks", "disposition", "content_type"),
    [
        ({"disposition": "missing"}, None, "application/pdf"),
        ({"disposition": "encoded"}, "attachment; filename*=UTF-8''Contract.pdf", "application/pdf"),
        ({"content_type": "octet-stream"}, 'attachment; filename="Contract.pdf"', "application/octet-stream"),
    ],
)
def test_document_headers(simulator, api, quirks, disposition, content_type):
    """The headers of a document may say less; and its parameter need not be called document."""
    simulator.quirks = SmartFlowsQuirks(**quirks)
    simulator.pool.script(SmartFlowId.WAITS, Behaviour(duration=0), times=1)
    (block,) = api.progress(api.begin(SmartFlowId.WAITS))["model"].values()

    headers = api.get(f"/documents/{block['signedDocument']['id']}/content").headers

    assert (disposition, content_type) == (headers.get("content-disposition"), headers["content-type"])


@pytest.mark.parametrize(
    ("how", "header"),
    [
        ("plain", 'attachment; filename="A & \\"B\\" <?>\\\\/?.pdf"'),
        ("encoded", "attachment; filename*=UTF-8''A%20%26%20%22B%22%20%3C%C3%A6%3E%5C%2F%E6%97%A5.pdf"),
    ],
)
def test_odd_names_of_documents(simulator, api, how, header):
    """A name of any signs has a header that can be sent: quoted, what has no place in it as a mark, or encoded."""
    simulator.quirks = SmartFlowsQuirks(disposition=how)
    block = Block("0-1", "Page", {"page": Made('A & "B" <æ>\\/日.pdf')})
    simulator.publish(SmartFlow("own", "Own", Behaviour(duration=0), blocks=(block,)))
    (document,) = documents(api.progress(api.begin("own"))["model"])

    assert header == api.get(f"/documents/{document['id']}/content").headers["content-disposition"]


@pytest.mark.parametrize(
    ("where", "in_progress", "in_details"),
    [("both", True, True), ("progress", True, False), ("details", False, True), ("neither", False, False)],
)
def test_where_the_model_is(simulator, api, where, in_progress, in_details):
    """The outputs are in the last progress, in the details, or in neither; keys may be plain names."""
    simulator.quirks = SmartFlowsQuirks(model_in=where, model_keys="plain")
    path = api.begin(SmartFlowId.NO_INPUT)
    assert "model" not in api.progress(path)
    simulator.clock.advance(10)

    model = api.progress(path).get("model", {})
    output = api.get(path).json()["state"].get("output", {})

    assert (in_progress, in_details) == ("Generate letter" in model, "Generate letter" in output.get("model", {}))


def test_records(api, clock):
    """Each record is an iteration with steps and a report of its own, and leaves a document in a list."""
    path = api.begin(SmartFlowId.RECORDS, content=XML, headers=AS_XML)
    clock.advance(7)
    half = api.get(path).json()["state"]
    assert (api.progress(path)["percentage"], [each["id"] for each in half["iterations"]]) == (66, ["1", "2"])
    clock.advance(3)

    details = api.get(path).json()["state"]
    ((letters,),) = [list(block.values()) for block in api.progress(path)["model"].values()]

    assert [each["displayName"] for each in letters] == ["Letter 1.pdf", "Letter 2.pdf", "Letter 3.pdf"]
    assert (len(details["iterations"]), details["report"]) == (3, [])
    assert details["iterations"][0]["report"][0]["blocks"][0]["step"]["status"] == "Output"
    assert {"displayName": "Input", "type": "data"}.items() <= details["inputData"].items()
    assert details["inputData"] == api.progress(path)["currentData"]


def test_named_outputs(api, clock):
    """The outputs with a name are asked for all at once, by id or by name, and are there at the end."""
    path = api.begin(SmartFlowId.REPORT, content=XML, headers=AS_XML)
    assert api.get(f"{path}/status").json()["outputs"] == []
    clock.advance(10)

    both = api.get(f"{path}/status").json()
    summary, log = both["outputs"]

    assert both["status"] == "Success"
    assert summary["content"] == {"EmbedUrl": "https://panel.example.com/1"}
    assert [log] == api.get(f"{path}/status", params={"output": "Log"}).json()["outputs"]
    assert [log] == api.get(f"{path}/status", params={"output": log["output"]["id"]}).json()["outputs"]
    assert api.get(f"{path}/status", params={"output": "no"}).status_code == 404


@pytest.mark.parametrize("status", [404, 405])
def test_named_outputs_of_a_batch(simulator, api, status):
    """Named outputs are there for any execution, or, as an older text has it, for a batch alone."""
    simulator.quirks = SmartFlowsQuirks(named_outputs=status)
    batch = api.post(f"{EXECUTIONS}/start", params={"flow": SmartFlowId.NO_INPUT}).json()["id"]
    paths = (api.begin(SmartFlowId.NO_INPUT), f"{EXECUTIONS}/{batch}")

    assert [status, 200] == [api.get(f"{path}/status").status_code for path in paths]


@pytest.mark.parametrize("status", [404, 400, 500])
def test_unknown_things(simulator, api, status, clock):
    """An unknown execution and an unknown document have codes that are not known."""
    simulator.quirks = SmartFlowsQuirks(unknown_execution=status, unknown_document=status)
    api.begin(SmartFlowId.NO_INPUT)
    clock.advance(10)
    (job,) = simulator.pool.jobs
    other = simulator.world.output_of(job).model["Bb407de9e_f9e8_47b8_9131_0fa252400001"]["document"]["id"][:-1] + "9"

    paths = (f"{EXECUTIONS}/x", f"{EXECUTIONS}/x/progress", "/documents/x", f"/documents/{other}/content")

    assert [status] * 4 == [api.get(path).status_code for path in paths]


def test_a_clean_up_comes(simulator, api, clock):
    """The server cleans up documents and executions some time after the end; a live one stays."""
    simulator.quirks = SmartFlowsQuirks(documents_kept_for=60, executions_kept_for=90)
    path, live = api.begin(SmartFlowId.NO_INPUT), api.begin(SmartFlowId.ASKS_ONCE)
    clock.advance(4 + 59)
    (document,) = documents(api.progress(path)["model"])
    assert api.get(f"/documents/{document['id']}").status_code == 200

    clock.advance(1)
    assert [api.get(each).status_code for each in (f"/documents/{document['id']}", path)] == [404, 200]
    clock.advance(30)

    assert [api.get(each).status_code for each in (f"{path}/progress", path, live)] == [404, 404, 200]
    assert len(api.get(EXECUTIONS).json()) == 1


# Questions


def test_an_execution_asks_once(api, clock):
    """It shows the form and its defaults, takes the answers, empties what is missing, and goes on to its end."""
    path = api.begin(SmartFlowId.ASKS_ONCE)
    clock.advance(50)
    asked = api.progress(path)
    assert (asked["status"], asked["percentage"]) == ("UserInput", 25)
    assert list(asked["schema"]["properties"]) == [NAME, LANGUAGE, SIGNATURE]
    assert (asked["model"], asked["schema"]["required"]) == ({LANGUAGE: "English", SIGNATURE: True}, [NAME])
    assert [field["key"] for field in asked["form"][0]["items"]] == [NAME, LANGUAGE, SIGNATURE]

    answered = api.post(f"{path}/progress", json={NAME: "Ann", SIGNATURE: False, "unknown": 1})
    assert (answered.status_code, answered.json()["status"]) == (200, "Running")
    clock.advance(4)

    stages = api.get(path).json()["state"]["stages"]
    assert api.progress(path)["status"] == "Success"
    assert stages[1]["input"] == {NAME: "Ann", LANGUAGE: None, SIGNATURE: False}
    assert [stage["lastProgress"]["status"] for stage in stages] == ["UserInput", "Success"]
    assert [stage["lastProgress"]["percentage"] for stage in stages] == [25, 100]


def test_an_execution_asks_twice(api, clock):
    """The same id may ask again, with another form; the engine it had is free meanwhile."""
    path = api.begin(SmartFlowId.ASKS_TWICE)
    words = []
    for _ in range(2):
        clock.advance(2)
        words.append((api.progress(path)["status"], len(api.progress(path)["schema"]["properties"])))
        api.post(f"{path}/progress", json={})
    clock.advance(4)

    assert words == [("UserInput", 3), ("UserInput", 1)]
    assert api.progress(path)["status"] == "Success"


def test_a_resumed_execution_may_queue(simulator, api, clock):
    """What goes on waits for an engine like any other; its first stage stays as it was."""
    path = api.begin(SmartFlowId.ASKS_ONCE)
    clock.advance(2)
    for _ in range(2):
        simulator.pool.submit("other")
    api.post(f"{path}/progress", json={})

    assert api.progress(path)["status"] == "Queued"
    assert [stage["lastProgress"]["status"] for stage in api.get(path).json()["state"]["stages"]] == ["UserInput"]


@pytest.mark.parametrize("word", ["UserInput", "User input", "User Input", "Waiting for user input"])
def test_the_spelling_of_a_question(simulator, api, clock, word):
    """The status of what asks is spelled in four ways."""
    simulator.quirks = SmartFlowsQuirks(user_input_word=word)
    path = api.begin(SmartFlowId.ASKS_ONCE)
    clock.advance(2)

    assert word == api.progress(path)["status"]


@pytest.mark.parametrize("status", [409, 400, 422, 500])
@pytest.mark.parametrize(
    ("flow", "seconds"), [(SmartFlowId.ASKS_ONCE, 0), (SmartFlowId.NO_INPUT, 9), (SmartFlowId.WAITS, 9)]
)
def test_answers_nobody_asked_for(simulator, api, status, flow, seconds):
    """Answers to what runs, has ended or waits for something else are refused."""
    simulator.quirks = SmartFlowsQuirks(wrong_state=status)
    path = api.begin(flow)
    simulator.clock.advance(seconds)

    assert status == api.post(f"{path}/progress", json={}).status_code


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b"[" * 100_000])
def test_answers_are_an_object(api, clock, content):
    """Answers that are no JSON object are refused, and the form stays open."""
    path = api.begin(SmartFlowId.ASKS_ONCE)
    clock.advance(2)

    assert api.post(f"{path}/progress", content=content).status_code == 400
    assert api.post(f"{path}/progress", json={}).status_code == 200


def test_answers_without_words(simulator, api, clock):
    """Accepted answers may be answered with 204 and nothing."""
    simulator.quirks = SmartFlowsQuirks(continue_status=204)
    path = api.begin(SmartFlowId.ASKS_ONCE)
    clock.advance(2)

    assert ((answer := api.post(f"{path}/progress", json={})).status_code, answer.content) == (204, b"")
    assert api.progress(path)["status"] == "Running"


@pytest.mark.parametrize("query", [{"datasetId": EMPLOYEES}, {"flowId": SmartFlowId.CHOOSE}])
def test_the_flow_is_chosen(api, clock, query):
    """A start with a data set and no flow asks which flow it shall be, and becomes that one."""
    started = api.post(EXECUTIONS, params=query, content=XML, headers=AS_XML).json()
    path = f"{EXECUTIONS}/{started['id']}"
    assert started["status"] == "SelectFlow"
    assert SmartFlowId.FAILS in api.progress(path)["schema"]["properties"]["flow"]["enum"]
    assert [api.post(f"{path}/progress", json=each).status_code for each in ({}, {"flow": "no"})] == [404, 404]

    api.post(f"{path}/progress", json={"flow": SmartFlowId.FAILS})
    clock.advance(3)

    details = api.get(path).json()
    assert (details["status"], details["flow"]["id"]) == ("Error", SmartFlowId.FAILS)


def test_a_choice_of_another_name(simulator, api):
    """How a flow is chosen is not known: the form's property may have another name."""
    simulator.quirks = SmartFlowsQuirks(choice="flowId")
    path = api.begin(SmartFlowId.CHOOSE)

    assert list(api.progress(path)["schema"]["properties"]) == ["flowId"]
    assert api.post(f"{path}/progress", json={"flowId": SmartFlowId.FAILS}).json()["status"] == "Running"


def test_a_choice_in_the_panel(simulator, api):
    """A choice may be one that the interface does not take: there is no form, and answers are refused."""
    simulator.quirks = SmartFlowsQuirks(choice="panel")
    path = api.begin(SmartFlowId.CHOOSE)

    assert {"status": "SelectFlow"}.items() <= api.progress(path).items()
    assert "schema" not in api.progress(path)
    assert api.post(f"{path}/progress", json={"flow": SmartFlowId.FAILS}).status_code == 409


def test_a_draft(api, clock):
    """A draft saves what a form holds without giving it; the latest is kept, until the form is answered."""
    path = api.begin(SmartFlowId.ASKS_TWICE)
    clock.advance(2)

    for name in ("Ann", "Bob"):
        assert api.post(f"{path}/state", json={"model": {NAME: name}, "uuid": "1"}).json()["status"] == "UserInput"

    assert api.progress(path)["model"] == {LANGUAGE: "English", SIGNATURE: True, NAME: "Bob"}
    api.post(f"{path}/progress", json={})
    clock.advance(2)
    assert NAME not in api.progress(path)["model"]


def test_a_draft_that_is_refused(simulator, api, clock):
    """A draft without a model, and one of what does not ask, are refused."""
    simulator.quirks = SmartFlowsQuirks(bad_input=422, wrong_state=400)
    path = api.begin(SmartFlowId.ASKS_ONCE)

    answers = [api.post(f"{path}/state", json=each) for each in ({"uuid": "1"}, {"model": {}})]

    assert [answer.status_code for answer in answers] == [422, 400]


def test_nobody_to_choose(simulator, api):
    """A server may have nobody choose, and refuse a start without a flow."""
    simulator.quirks = SmartFlowsQuirks(no_flow="refuse")

    assert api.post(EXECUTIONS, params={"datasetId": EMPLOYEES}).status_code == 400


# Callbacks


def test_an_execution_waits_for_a_callback(api, client, clock):
    """It shows what is there, says what it waits for, and goes on when anybody calls that."""
    path, anyone = api.begin(SmartFlowId.WAITS), client()
    clock.advance(50)
    assert api.progress(path)["status"] == "Waiting"
    assert "https://sign.example.com/1" in str(api.progress(path)["model"])
    callback = f"/flows/callback/{api.get(path).json()['state']['waitingFor']}"

    assert anyone.get(callback).text == "true"
    assert anyone.post(callback, params={"executionId": "other"}).status_code == 404
    called = anyone.post(callback, params={"executionId": path.rpartition("/")[2]}, content="signed")
    assert (called.status_code, called.text) == (200, "OK")
    clock.advance(3)

    assert api.progress(path)["status"] == "Success"
    assert api.get(path).json()["state"]["stages"][1]["input"] == {"callback": "signed"}
    assert [anyone.get(callback).status_code, anyone.post(callback).status_code] == [404, 404]


@pytest.mark.parametrize(("told", "shown"), [("missing", None), ("text", "Signature")])
def test_what_is_waited_for_may_be_unsaid(simulator, api, clock, told, shown):
    """An execution may not tell the id of the callback it waits for."""
    simulator.quirks = SmartFlowsQuirks(waiting_for=told)
    path = api.begin(SmartFlowId.WAITS)
    clock.advance(5)

    assert shown == api.get(path).json()["state"].get("waitingFor")


@pytest.mark.parametrize(("how", "texts"), [("json", ['"true"', '"OK"']), ("empty", ["", ""])])
def test_replies_to_a_callback(simulator, api, clock, how, texts):
    """A callback is answered with a text, which may be JSON, or nothing."""
    simulator.quirks = SmartFlowsQuirks(callback_reply=how)
    path = api.begin(SmartFlowId.WAITS)
    clock.advance(5)
    callback = f"/flows/callback/{api.get(path).json()['state']['waitingFor']}"

    assert texts == [api.get(callback).text, api.post(callback).text]
    assert api.progress(path)["status"] == "Running"


@pytest.mark.parametrize("status", [404, 400, 200])
def test_unknown_callbacks(simulator, client, status):
    """A callback that nobody waits for may be a mistake, or be taken and do nothing."""
    simulator.quirks = SmartFlowsQuirks(unknown_callback=status)
    anyone = client()

    answers = [anyone.get("/flows/callback/x"), anyone.post("/flows/callback/x", content="y")]

    assert [status, status] == [answer.status_code for answer in answers]
    if status == 200:
        assert [answer.text for answer in answers] == ["false", ""]


def test_a_wait_may_end_by_itself(simulator, api, clock):
    """A pause that lasts so long ends without a callback; one of no known reason is a wait too."""
    simulator.pool.script(SmartFlowId.NO_INPUT, Behaviour(duration=2, pauses=(Pause(1, lasts=5),)), times=1)
    path = api.begin(SmartFlowId.NO_INPUT)
    clock.advance(3)
    assert api.progress(path)["status"] == "Waiting"
    clock.advance(4)

    assert api.progress(path)["status"] == "Success"


# Cancellation


@pytest.mark.parametrize("end", ["/progress", ""])
@pytest.mark.parametrize(("flow", "seconds"), [(SmartFlowId.NO_INPUT, 0), (SmartFlowId.ASKS_ONCE, 5)])
def test_cancel(api, end, flow, seconds, clock):
    """Both documented ways cancel what runs or asks, and answer with the progress."""
    path = api.begin(flow)
    clock.advance(seconds)

    answer = api.delete(path + end)

    assert (answer.status_code, answer.json()["status"]) == (200, "Canceled")
    assert api.progress(path)["status"] == "Canceled"


@pytest.mark.parametrize("status", [404, 405])
def test_a_way_to_cancel_may_be_missing(simulator, api, status):
    """Either way may not be there; nothing is cancelled then."""
    simulator.quirks = SmartFlowsQuirks(cancel_progress=status, cancel_execution=status)
    path = api.begin(SmartFlowId.NO_INPUT)

    assert [status, status] == [api.delete(f"{path}/progress").status_code, api.delete(path).status_code]
    assert api.progress(path)["status"] == "Running"


@pytest.mark.parametrize("status", [200, 204])
def test_a_cancellation_may_delete(simulator, api, status):
    """Where deleting an execution deletes its record, it is cancelled and gone."""
    simulator.quirks = SmartFlowsQuirks(cancel_execution="delete", cancel_status=status)
    path = api.begin(SmartFlowId.NO_INPUT)

    assert [status, 404] == [api.delete(path).status_code, api.get(path).status_code]


@pytest.mark.parametrize("status", [200, 409, 404])
def test_cancel_what_has_ended(simulator, api, status):
    """What has ended stays as it is; whether that is a mistake is not known."""
    simulator.quirks = SmartFlowsQuirks(cancel_ended=status)
    path = api.begin(SmartFlowId.NO_INPUT)
    simulator.clock.advance(10)

    assert status == api.delete(f"{path}/progress").status_code
    assert api.progress(path)["status"] == "Success"


# Credentials


def test_the_key_is_needed(simulator, client):
    """Without a credential, or with a wrong one, there is an error of Spring's shape, or an empty one."""
    for headers in ({}, {"x-api-key": "no"}, {"authorization": "Bearer no"}, {"authorization": "Basic no"}):
        answer = client(**headers).get("/users/me")
        assert answer.status_code == 401
        assert {"timestamp", "status", "error", "message", "path"} == set(answer.json())
        assert tuple(answer.json()[key] for key in ("status", "error", "path")) == (
            401,
            "Unauthorized",
            "/api/v1/users/me",
        )
    simulator.quirks = SmartFlowsQuirks(bad_credential=403)
    assert client().get("/users/me").status_code == 403


@pytest.mark.parametrize(
    ("shape", "content_type", "content"),
    [
        ("text", "text/plain; charset=utf-8", b"There is no such flow execution."),
        ("html", "text/html; charset=utf-8", b"<html><body><h1>Not Found</h1></body></html>"),
        ("empty", None, b""),
    ],
)
def test_error_bodies(simulator, api, shape, content_type, content):
    """The body of an error may be something else than Spring's."""
    simulator.quirks = SmartFlowsQuirks(error_body=shape)

    answer = api.get(f"{EXECUTIONS}/x")

    assert (404, content_type, content) == (answer.status_code, answer.headers.get("content-type"), answer.content)


def test_a_server_may_want_less(simulator, api, clock):
    """So many requests a second at most; more are answered with 429, and when to come again."""
    simulator.quirks = SmartFlowsQuirks(most_per_second=2)

    answers = [api.get("/users/me") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert answers[2].headers["retry-after"] == "1"
    clock.advance(1)
    assert api.get("/users/me").status_code == 200


def test_what_is_not_there(api):
    """An unknown path and a wrong method are errors of the same shape."""
    answers = [api.get("/nothing"), api.put(EXECUTIONS)]

    assert [(a.status_code, a.json()["error"]) for a in answers] == [(404, "Not Found"), (405, "Method Not Allowed")]


def test_login(simulator, client, clock):
    """A name and a password give a token that looks like a JWT, opens everything, and expires by the clock."""
    anyone = client()
    assert anyone.get("/authenticate").json()["methods"][0]["methodType"] == "password"
    answer = anyone.post("/authenticate/login", json={"username": "admin", "password": "admin"}).json()
    token = answer["tokens"][0]["token"]
    holder = client(authorization=f"Bearer {token}")

    claims = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))
    assert ("admin", clock.now().timestamp() + 3600) == (claims["sub"], claims["exp"])
    assert answer["user"] == holder.get("/users/me").json()
    clock.advance(3600)

    assert holder.get("/users/me").status_code == 401
    assert b"admin" not in simulator.requests[1].body.partition(b"password")[2]
    assert simulator.requests[2].headers["authorization"] == "***"


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"username": "admin", "password": "no"}, 401),
        ({"username": "nobody", "password": ""}, 401),
        ({"username": "admin"}, 400),
        ({"username": 1, "password": "x"}, 400),
        ([], 400),
    ],
)
def test_login_fails(client, body, status):
    """A wrong password, an unknown name and a wrong body give no token."""
    assert status == client().post("/authenticate/login", json=body).status_code


def test_login_by_oauth(simulator, client):
    """What a provider sends a user back with, once, gives a token as a password does."""
    anyone, params = client(), f"state=1&code={simulator.world.accounts.issue_code('ann')}"
    assert anyone.get("/authenticate").json()["oauth2"][0]["id"] == "sso"

    answers = [anyone.post("/authenticate/oauth2", json={"responseParams": each}) for each in (params, params, "")]

    assert [answer.status_code for answer in answers] == [200, 401, 401]
    holder = client(authorization=f"Bearer {answers[0].json()['tokens'][0]['token']}")
    assert holder.get("/users/me").json()["userName"] == "ann"
    assert params.encode() not in simulator.requests[1].body


def test_login_for_a_cookie(simulator, client, clock):
    """A password gives a cookie, which opens everything for two weeks, can be renewed, and ends with a logout."""
    browser = client()
    body = {"username": "admin", "password": "admin"}
    answer = browser.post("/authenticate/cookie/login/native", json=body)
    assert (answer.status_code, answer.content) == (200, b"")
    assert "HttpOnly" in answer.headers["set-cookie"]
    assert simulator.requests[0].json["password"] == "***"

    clock.advance(13 * 24 * 3600)
    assert browser.post("/oauth2/cookie/refresh").status_code == 200
    clock.advance(13 * 24 * 3600)
    assert browser.get("/users/me").json()["userName"] == "admin"
    kept = browser.cookies["smart-flows"]
    assert browser.post("/oauth2/cookie/logout").status_code == 200
    assert browser.get("/users/me").status_code == 401
    assert client(cookie=f"smart-flows={kept}").get("/users/me").status_code == 401


def test_a_cookie_of_an_application(simulator, client):
    """An application may have a cookie of its own, here by way of OAuth2; it opens nothing for another."""
    browser = client(**{"x-smart-flows-origin": "shop"})
    code = simulator.world.accounts.issue_code()
    browser.post("/authenticate/cookie/login/oauth", json={"responseParams": f"code={code}"})

    assert list(browser.cookies) == ["smart-flows-shop"]
    assert browser.get("/users/me").status_code == 200
    assert browser.get("/users/me", headers={"x-smart-flows-origin": "other"}).status_code == 401


def test_tokens_may_have_a_scope(client):
    """A token has the scopes asked for; an operation of another is forbidden."""
    body = {"username": "admin", "password": "admin", "scope": "read:flows other"}
    (token,) = client().post("/authenticate/login", json=body).json()["tokens"]
    holder = client(authorization=f"bearer {token['token']}")

    assert token["scope"] == "read:flows"
    assert [holder.get(path).status_code for path in ("/flows", EXECUTIONS, "/documents/x")] == [200, 403, 403]


def test_credentials_may_be_revoked(simulator, client):
    """Keys and tokens open nothing once they are revoked; a token may also never expire."""
    accounts = simulator.world.accounts
    accounts.token_life = float("inf")
    key, token = accounts.issue_key(), accounts.issue_token()
    clients = (
        client(**{"x-api-key": simulator.token}),
        client(**{"X-API-KEY": key}),
        client(authorization=f"Bearer {token}"),
    )

    assert [each.get("/system/info").status_code for each in clients] == [200] * 3
    for credential in (simulator.token, key, token):
        accounts.revoke(credential)

    assert [each.get("/system/info").status_code for each in clients] == [401] * 3
    assert not any(credential in repr(simulator.world) for credential in (simulator.token, key, token))


@pytest.mark.parametrize("status", [404, 403])
def test_a_key_may_see_its_own_alone(simulator, api, client, status):
    """A key with the right to its own executions sees no others, in lists, by id and by their documents."""
    simulator.quirks = SmartFlowsQuirks(foreign=status)
    foreign = api.begin(SmartFlowId.NO_INPUT)
    scopes = ("execute:flows", "read:ownFlowExecutions", "read:documents")
    own = client(**{"x-api-key": simulator.world.accounts.issue_key("ann", scopes)})
    started = own.post(EXECUTIONS, params={"flowId": SmartFlowId.NO_INPUT}).json()["id"]
    simulator.clock.advance(10)
    (document,) = documents(api.progress(foreign)["model"])

    assert [started] == [item["id"] for item in own.get(EXECUTIONS).json()]
    assert own.get(f"{EXECUTIONS}/{started}").status_code == 200
    assert [status] * 2 == [own.get(path).status_code for path in (foreign, f"/documents/{document['id']}")]
    assert own.delete(f"{EXECUTIONS}/{started}").status_code == 403
    assert own.get("/users/me").json()["displayName"] == "Ann"


# Lists


@pytest.fixture
def listed(api, clock):
    """Five executions, a second apart: of each flow, whether it ended well, in which order."""
    flows = (SmartFlowId.NO_INPUT, SmartFlowId.FAILS, SmartFlowId.ASKS_ONCE, SmartFlowId.FAILS, SmartFlowId.WARNS)
    paths = []
    for flow in flows:
        paths.append(api.begin(flow))
        clock.advance(10)
    return [path.rpartition("/")[2] for path in paths]


def test_pages(simulator, api, listed):
    """Lists are bare arrays, the newest first, in pages; a size that is none is the default, a large one is cut."""
    newest = listed[::-1]
    queries = {"": newest, "?size=2": newest[:2], "?size=2&page=2": newest[4:], "?page=9": [], "?size=0&page=x": newest}

    for query, ids in queries.items():
        assert ids == [item["id"] for item in api.get(EXECUTIONS + query).json()]
    assert "state" not in api.get(EXECUTIONS).json()[0]
    simulator.quirks = SmartFlowsQuirks(largest_page=3, list_state="present")
    assert ["state" in item for item in api.get(f"{EXECUTIONS}?size=5").json()] == [True] * 3


def test_pages_of_another_name(simulator, api, listed):
    """A table of the vendor's calls the parameters otherwise than its example does: a server knows one of the two."""
    simulator.quirks = SmartFlowsQuirks(page_names="pageNumber")

    queries = {"?pageSize=2&pageNumber=1": listed[::-1][2:4], "?size=2&page=1": listed[::-1]}

    for query, ids in queries.items():
        assert ids == [item["id"] for item in api.get(EXECUTIONS + query).json()]


def test_a_list_may_tell_its_length(simulator, api, listed):
    """A header may tell how many there are in all pages."""
    assert "x-total-count" not in api.get(EXECUTIONS).headers
    simulator.quirks = SmartFlowsQuirks(total="header")

    assert api.get(f"{EXECUTIONS}?size=2&filter=status:err").headers["x-total-count"] == "2"


def test_sort_and_simple_filter(api, listed):
    """Lists are sorted by properties and filtered by what they contain; an unknown property is a mistake."""
    first, *_ = api.get(EXECUTIONS, params=[("sort", "status,asc"), ("sort", "createdAt,desc")]).json()
    assert listed[3] == first["id"]
    oldest, *_ = api.get(f"{EXECUTIONS}?sort=createdAt").json()
    assert listed[0] == oldest["id"]
    found = api.get(EXECUTIONS, params={"filter": "flow:LETTER WITH,status:err"}).json()
    assert [listed[3], listed[1]] == [item["id"] for item in found]
    assert [api.get(f"{EXECUTIONS}?{query}").status_code for query in ("sort=no,asc", "filter=no:x")] == [400, 400]


def test_executions_of_a_flow(api, listed):
    """The executions of one flow have a list of their own."""
    items = api.get(f"/flows/{SmartFlowId.FAILS}/executions").json()

    assert [listed[3], listed[1]] == [item["id"] for item in items]
    assert api.get("/flows/no/executions").status_code == 404


def condition(key, operator, *values):
    """Write a condition of a filter."""
    return {"condition": {"key": key, "operator": operator, "values": list(values)}}


@pytest.mark.parametrize(
    ("node", "places"),
    [
        ({}, [4, 3, 2, 1, 0]),
        (condition("status", "in", "Success", "Error"), [3, 1, 0]),
        (condition("status", "equalTo", "error"), [3, 1]),
        (condition("status", "equals", "Warning"), [4]),
        (condition("status", "notEqualTo", "Error"), [4, 2, 0]),
        (condition("flow.displayName", "like", "letter"), [4, 3, 2, 1]),
        (condition("flow", "like", "Letter%"), [4, 3, 2, 1]),
        (condition("flow", "like", "Letter"), [4, 3, 2, 1]),
        (condition("flow", "notLike", "%mail"), [3, 2, 1, 0]),
        (condition("createdAt", "greaterThan", "2025-01-01T12:00:30.000Z"), [4]),
        (condition("createdAt", "greaterThanOrEqualTo", "2025-01-01T12:00:30"), [4, 3]),
        (condition("createdAt", "lessThan", "2025-01-01T13:00:10+01:00"), [0]),
        (condition("createdAt", "lessThanOrEqualTo", "2025-01-01T12:00:10.000Z"), [1, 0]),
        (condition("createdAt", "between", "2025-01-01T12:00:10Z", "2025-01-01T12:00:20Z"), [2, 1]),
        (condition("createdAt", "notBetween", "2025-01-01T12:00:10Z", "2025-01-01T12:00:20Z"), [4, 3, 0]),
        (condition("createdAt", "lessThan", 5), []),
        (condition("priority", "isTrue"), []),
        (condition("priority", "isFalse"), []),
        (condition("no.thing", "isNull"), [4, 3, 2, 1, 0]),
        (condition("no", "isBlank"), [4, 3, 2, 1, 0]),
        (condition("status", "isNotNull"), [4, 3, 2, 1, 0]),
        (condition("status", "notIsBlank"), [4, 3, 2, 1, 0]),
        (
            {"group": {"type": "or", "nodes": [condition("status", "equalTo", "Warning"), condition("status", "in")]}},
            [4],
        ),
        (
            {"group": {"type": "and", "nodes": [condition("status", "like", "r"), condition("flow", "like", "mail")]}},
            [4],
        ),
    ],
)
def test_filters(api, listed, node, places):
    """Groups and conditions choose executions: texts without case, dates as moments, whatever their zone."""
    answer = api.post(f"{EXECUTIONS}/filter?size=10", json=node)

    assert [listed[place] for place in places] == [item["id"] for item in answer.json()]


@pytest.mark.parametrize(
    "node",
    [
        {"group": {"type": "xor", "nodes": []}},
        {"group": {"type": "and"}},
        {"group": []},
        {"other": 1},
        {"group": {"type": "and", "nodes": [1]}},
        condition("status", "like"),
        condition("status", "resembles", "x"),
        condition(3, "isNull"),
        {"condition": {"key": "status", "operator": "in", "values": "x"}},
        {"condition": {"key": "status", "operator": [], "values": []}},
        condition("status", "equals", "Error"),
        [],
    ],
)
def test_filters_are_checked(simulator, api, node):
    """What is no filter is refused; whether `equals` is an operator is not known."""
    simulator.quirks = SmartFlowsQuirks(equals_operator="refuse")

    assert api.post(f"{EXECUTIONS}/filter", json=node).status_code == 400


@pytest.mark.parametrize("status", [400, 422, 500])
def test_words_of_a_filter(simulator, api, listed, status):
    """A filter may ask for any status, or only for those that this server knows, as it spells them."""
    asked = {
        word: condition("status", "in", word, "Error") for word in ("User input", "UserInput", "Warning", "Running")
    }
    for quirks, known in (
        ({}, {"User input", "UserInput", "Warning", "Running"}),
        ({"filter_words": "known", "warning": "absent", "user_input_word": "User input"}, {"User input", "Running"}),
    ):
        simulator.quirks = SmartFlowsQuirks(bad_input=status, **quirks)
        answers = {word: api.post(f"{EXECUTIONS}/filter", json=node).status_code for word, node in asked.items()}
        assert {word: 200 if word in known else status for word in asked} == answers
    assert api.post(f"{EXECUTIONS}/filter", json=condition("status", "in", {})).status_code == status


def test_a_server_may_not_filter(simulator, api, listed):
    """A filter may be ignored, or not be there at all."""
    answers = []
    for how in ("ignored", 404, 405):
        simulator.quirks = SmartFlowsQuirks(filters=how)
        answers.append(api.post(f"{EXECUTIONS}/filter", json=condition("status", "in", "Error")))

    assert (len(answers[0].json()), [answer.status_code for answer in answers[1:]]) == (5, [404, 405])


def test_statistics(api, listed):
    """Executions are counted by time and status, by flow and by user; a filter chooses which."""
    counted = api.post(f"{EXECUTIONS}/statistics?groupTimeBy=HourOfDay", json={}).json()
    failed = api.post(f"{EXECUTIONS}/statistics", json=condition("status", "in", "Error")).json()

    (hour,) = counted["perTime"]
    assert (hour["label"], hour["totalCount"]) == ("12", 5)
    assert {each["status"]: each["count"] for each in hour["perStatus"]} == {
        "Success": 1,
        "Error": 2,
        "UserInput": 1,
        "Warning": 1,
    }
    first = counted["perObject"][0]
    assert (first["object"]["id"], first["count"], first["percentage"]) == (SmartFlowId.FAILS, 2, 40)
    assert [(each["user"]["displayName"], each["count"]) for each in counted["perUser"]] == [("Admin", 5)]
    assert [(each["label"], each["totalCount"]) for each in failed["perTime"]] == [("2025-01-01", 2)]


def test_statistics_are_checked(simulator, api):
    """An unknown period and what is no filter are refused."""
    simulator.quirks = SmartFlowsQuirks(bad_input=422)

    assert api.post(f"{EXECUTIONS}/statistics?groupTimeBy=Year", json={}).status_code == 422
    assert api.post(f"{EXECUTIONS}/statistics", json={"other": 1}).status_code == 422


def test_contracts(simulator, api):
    """What a flow takes is not described (documented as still to come), or is: as JSON Schema."""
    answers = []
    for how in (404, 405, 501, "served"):
        simulator.quirks = SmartFlowsQuirks(contract=how)
        answers.append(api.post(f"/flows/{SmartFlowId.REPORT}/contract"))

    assert [answer.status_code for answer in answers] == [404, 405, 501, 200]
    assert list(answers[3].json()["inputSchema"]["properties"]) == ["Employee"]
    assert api.post(f"/flows/{SmartFlowId.NO_INPUT}/contract").json()["inputSchema"]["properties"] == {}
    assert api.post("/flows/no/contract").status_code == 404


def test_flows(api):
    """The flows there are can be listed, sorted, filtered and looked at, with the input they take."""
    names = [flow["displayName"] for flow in api.get("/flows?sort=displayName,asc&size=3").json()]
    report = api.get(f"/flows/{SmartFlowId.REPORT}").json()

    assert names == ["Choose a flow", "Contract to sign", "Employee report"]
    assert [report] == api.get("/flows", params={"filter": "displayName:employee rep"}).json()
    assert (report["input"]["type"], report["input"]["dataset"]["id"]) == ("user", EMPLOYEES)
    assert "dataset" not in api.get(f"/flows/{SmartFlowId.NO_INPUT}").json()["input"]
    assert api.get("/flows/no").status_code == 404


def test_info_and_settings(simulator, api):
    """The server tells its version; a connection has to know its address without the API's root, and the key."""
    assert {"version", "displayName", "projectId", "role"} == set(api.get("/system/info").json())
    assert {"base_url": f"http://127.0.0.1:{simulator.port}", "api_key": simulator.token} == simulator.settings


def test_fme_settings():
    """A connection to FME Flow has a token."""
    simulator = Simulator(port=8080, token="t")

    assert simulator.settings == {"base_url": "http://127.0.0.1:8080", "token": "t"}
