"""FME Flow V3 on a real socket."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote

import pytest

from flowrunner.simulator import (
    EVERY_PARAMETER,
    Behaviour,
    Kind,
    Parameter,
    Quirks,
    SentData,
    Simulator,
    Workspace,
)

V3 = "/fmerest/v3"
AUSTIN = "Samples/austinDownload.fmw"
TEN = "Tutorials/10seconds.fmw"
SUBMIT, TRANSACT, TRANSACT_DATA = (f"{V3}/transformations/{how}" for how in ("submit", "transact", "transactdata"))
JOBS = f"{V3}/transformations/jobs"


@pytest.fixture
def simulator(clock):
    """A server with one engine, of a build before V4."""
    with Simulator("fme-flow-v3", clock=clock, engines=1) as serving:
        yield serving


@pytest.fixture
def hold(simulator, api):
    """Return a function that sends a request which the server holds open, and gives its answer to come."""

    def send(method, path, **more):
        waiting = executor.submit(api.request, method, path, **more)
        assert simulator.wait_until_held()
        return waiting

    with ThreadPoolExecutor() as executor:
        yield send


@pytest.fixture
def job(api):
    """Return a function that submits and gives the path of the job."""

    def submit(workspace=AUSTIN, **body):
        return f"{JOBS}/id/{api.post(f'{SUBMIT}/{workspace}', json=body).json()['id']}"

    return submit


def scripted(simulator, **behaviour):
    """Say what the next run does."""
    simulator.pool.script(AUSTIN, Behaviour(**behaviour), times=1)


# The server


def test_info_tells_the_build(simulator, api):
    """The build stands in a text, and the time is not ISO 8601."""
    assert api.get(f"{V3}/info").json() == {
        "currentTime": "Wed-01-Jan-2025 12:00:00 PM",
        "licenseManagement": True,
        "build": "FME Flow 2023.1 - Build 23619 - linux-x64",
        "timeZone": "+0000",
        "version": "FME Flow",
    }
    simulator.world.build = 23166
    assert api.get(f"{V3}/info").json()["build"] == "FME Server 2023.0 - Build 23166 - linux-x64"


@pytest.mark.parametrize(
    ("quirk", "query", "well", "sick"),
    [
        ("json", "", '{"status":"ok"}', '{"status":"error"}'),
        ("text", "", "OK", "An FME Flow component is unavailable."),
        ("json", "?textResponse=true", "OK", "An FME Flow component is unavailable."),
        ("text", "?textResponse=false&ready=true", '{"status":"ok"}', '{"status":"error"}'),
    ],
)
def test_health(simulator, anyone, quirk, query, *, well, sick):
    """Health is told to anybody, as JSON or text: 200, or 500."""
    simulator.quirks = Quirks(v3_health=quirk)
    url = f"{simulator.base_url}{V3}/healthcheck{query}"

    first = anyone.get(url)
    simulator.world.live = False
    second = anyone.get(url)

    assert ((200, well), (500, sick)) == ((first.status_code, first.text), (second.status_code, second.text))


def test_readiness_is_asked_for(simulator, api):
    """A server that lives but cannot work is sick only for those who ask whether it is ready."""
    simulator.world.ready = False

    assert [api.get(f"{V3}/healthcheck{query}").status_code for query in ("", "?ready=true")] == [200, 500]


def test_credentials(simulator, anyone):
    """The token opens in the header, the query and a form, the password with HTTP Basic; the records show none."""
    token, password = "t0ken", "pa$$"
    simulator.world.token, simulator.world.password = token, password
    zipped = f"{simulator.base_url}{V3}/resources/connections/FME_SHAREDRESOURCE_TEMP/downloadzip/"
    url = f"{simulator.base_url}{V3}/info"

    answers = [
        anyone.get(url, headers={"Authorization": f"fmetoken token={token}"}),
        anyone.get(url, params={"fmetoken": token}),
        anyone.get(url, auth=("admin", password)),
        anyone.post(zipped, data={"fmetoken": token, "x": "1"}),
    ]

    assert [answer.status_code for answer in answers] == [200] * 4
    assert token not in repr(list(simulator.requests))
    assert simulator.requests[3].body == b"fmetoken=***&x=1"


@pytest.mark.parametrize(
    "credential",
    [
        {},
        {"headers": {"Authorization": "fmetoken token=wrong"}},
        {"params": {"fmetoken": "wrong"}},
        {"params": {"token": "t0ken"}},
        {"auth": ("admin", "wrong")},
        {"auth": ("guest", "admin")},
    ],
)
def test_wrong_credentials(simulator, anyone, credential):
    """Anything else is a 401 with the vendor's text, for unknown paths too."""
    simulator.world.token = "t0ken"
    for path in ("/info", "/nothing"):
        answer = anyone.get(f"{simulator.base_url}{V3}{path}", **credential)

        assert (answer.status_code, answer.json()) == (401, {"message": "Authentication failed: Failed to login"})


def test_unknown_paths(api):
    """An unknown path is a 404 in the API's shape under its base."""
    for path in ("/nothing", "/transformations/jobs/done", "/transformations/jobs/done/1"):
        answer = api.delete(V3 + path) if path.endswith("1") else api.get(V3 + path)
        assert (answer.status_code, "message" in answer.json()) == (404, True)


# Submitting


def test_submission_is_accepted(simulator, api):
    """A submission answers 202 with the id alone, and all it said is in the books and echoed, values as texts."""
    body = {
        "publishedParameters": [
            {"name": "MAXY", "value": 42},
            {"name": "THEMES", "value": ["airports", "cenart"]},
            {"name": "userName", "value": True},
            {"name": "more", "value": {"å": 1}},
        ],
        "TMDirectives": {"rtc": True, "ttc": 60, "ttl": 0, "description": "run ø", "tag": "Queue1", "priority": 5},
        "NMDirectives": {
            "directives": [{"name": "k", "value": "v"}],
            "successTopics": ["a"],
            "failureTopics": ["b"],
        },
        "subsection": "REST_SERVICE",
    }

    answer = api.post(f"{SUBMIT}/{AUSTIN}/", json=body)

    assert (answer.status_code, answer.json()) == (202, {"id": 1})
    (job,) = simulator.pool.submissions(AUSTIN)
    assert (job.parameters["MAXY"], job.queue, job.limits.run, job.limits.queue) == (42, "Queue1", 60, None)
    assert (job.notes.description, job.notes.data) == ("run ø", None)
    record = api.get(f"{JOBS}/id/1").json()
    assert record["description"] == "run ø"
    assert record["request"] == api.get(f"{JOBS}/id/1/request").json()
    assert record["request"] == {
        "publishedParameters": [
            {"name": "MAXY", "raw": "42"},
            {"name": "THEMES", "raw": "airports cenart"},
            {"name": "userName", "raw": "true"},
            {"name": "more", "raw": '{"å": 1}'},
        ],
        "workspacePath": '"Samples/austinDownload/austinDownload.fmw"',
        "TMDirectives": {
            "rtc": True, "ttc": 60, "ttl": -1, "description": "run ø", "tag": "Queue1", "priority": 5,
        },
        "NMDirectives": body["NMDirectives"],
    }  # fmt: skip


def test_what_was_not_asked_for_is_echoed_as_unset(api, job):
    """Without directives numbers are -1, texts empty, and the queue is the default one."""
    echoed = api.get(job(TMDirectives=None, publishedParameters=None)).json()["request"]

    unset = {"rtc": False, "ttc": -1, "ttl": -1, "description": "", "tag": "Default", "priority": -1}
    assert (unset, []) == (echoed["TMDirectives"], echoed["publishedParameters"])


def test_a_priority_out_of_range(api, job):
    """A priority that is none becomes 100."""
    assert api.get(job(TMDirectives={"priority": 201})).json()["request"]["TMDirectives"]["priority"] == 100


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b'{"publishedParameters":{"MAXY":1}}',
        b'{"publishedParameters":[{"name":"MAXY","raw":"1"}]}',
        b'{"publishedParameters":[{"value":"1"}]}',
        b'{"TMDirectives":[]}',
        b'{"TMDirectives":{"ttc":"1"}}',
        b'{"TMDirectives":{"rtc":"no"}}',
        b'{"TMDirectives":{"description":1}}',
        b'{"NMDirectives":{"directives":{"k":"v"}}}',
        b'{"NMDirectives":{"directives":[{"name":"k","value":1}]}}',
        b'{"NMDirectives":{"successTopics":"a"}}',
    ],
)
def test_submission_with_a_wrong_shape(simulator, api, body):
    """What cannot be read, V4's shape of parameters included, is refused with 400; nothing is queued."""
    answer = api.post(f"{SUBMIT}/{AUSTIN}", content=body)

    assert (answer.status_code, "message" in answer.json()) == (400, True)
    assert simulator.pool.submissions() == ()


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({}, "location must not be blank"),
        ({"location": ["Atlantis"]}, "location not among the choices: Atlantis"),
        ({"location": "Burnaby", "year": 1}, "year must be at least 1900"),
    ],
)
def test_submission_with_wrong_values(simulator, api, values, reason):
    """Missing and impossible values are refused with 422 and a reason; nothing is queued."""
    parameters = [{"name": name, "value": value} for name, value in values.items()]

    answer = api.post(f"{SUBMIT}/{TEN}", json={"publishedParameters": parameters})

    assert (422, {"message": f"Parameter Validation Failed: {reason}"}) == (answer.status_code, answer.json())
    assert simulator.pool.submissions() == ()


@pytest.mark.parametrize(
    ("flow", "text"),
    [("samples/austinDownload.fmw", "Repository samples does not exist."), ("Samples/x", "Item x does not exist.")],
)
@pytest.mark.parametrize("how", [SUBMIT, TRANSACT, TRANSACT_DATA])
def test_submission_of_nothing(api, how, flow, text):
    """An unknown repository or workspace is a 404 that says which."""
    answer = api.post(f"{how}/{flow}", json={})

    assert (404, {"message": text}) == (answer.status_code, answer.json())


def test_unknown_queues(simulator, api, job):
    """A queue that is not there is let pass or refused; one that is there never is."""
    assert api.get(job(TMDirectives={"tag": "none"})).json()["request"]["TMDirectives"]["tag"] == "none"
    simulator.quirks = Quirks(v3_unknown_queue="refuse")
    answers = [api.post(f"{SUBMIT}/{AUSTIN}", json={"TMDirectives": {"tag": tag}}) for tag in ("none", "Queue1", "")]

    assert [answer.status_code for answer in answers] == [422, 202, 202]


# Submitting and waiting


def test_transact_answers_when_the_job_ended(simulator, anyone, hold):
    """A synchronous submission holds the request until the job ends and answers with its result."""
    waiting = hold("POST", f"{TRANSACT}/{AUSTIN}", json={})
    simulator.clock.advance(3)
    answer = waiting.result()

    assert answer.status_code == 200
    assert answer.json() == {
        "id": 1,
        "status": "SUCCESS",
        "statusMessage": "Translation Successful",
        "priority": -1,
        "numFeaturesOutput": 1539,
        "requesterHost": "127.0.0.1",
        "requesterResultPort": -1,
        "timeRequested": "2025-01-01T12:00:00Z",
        "timeStarted": "2025-01-01T12:00:00Z",
        "timeFinished": "2025-01-01T12:00:03Z",
        "resultDatasetDownloadUrl": f"{simulator.base_url}/fmedatadownload/results/FME_20250101120000_1.zip",
    }
    assert anyone.get(answer.json()["resultDatasetDownloadUrl"]).status_code == 200


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        ("body", (200, "FME_FAILURE", "boom")),
        ("422_result", (422, "FME_FAILURE", "boom")),
        ("422", (422, None, None)),
    ],
)
@pytest.mark.parametrize("how", [TRANSACT, TRANSACT_DATA])
def test_a_failure_has_three_forms(simulator, api, how, form, expected):
    """A job that failed is told as a result under 200 or 422, or as an error's message."""
    simulator.quirks = Quirks(v3_failed_transact=form)
    scripted(simulator, duration=0, outcome="failed", message="boom")

    answer = api.post(f"{how}/{AUSTIN}", json={})

    body = answer.json()
    assert expected == (answer.status_code, body.get("status"), body.get("statusMessage"))
    assert "boom" in body.values()


def test_a_job_forgotten_while_waited_for(simulator, hold):
    """A job that the server forgets while a request is held for it answers 404."""
    waiting = hold("POST", f"{TRANSACT}/{AUSTIN}", json={})
    simulator.pool.forget(1)

    assert waiting.result().status_code == 404


def test_transactdata_measures_what_it_is_sent(simulator, api):
    """The body is the source data, however large; the query has options and parameters, a list as a repeated key."""
    scripted(simulator, duration=0)
    chunk, times = b"0123456789abcdef" * 8192, 80
    query = (
        "MAXY=1&THEMES=airports&more=a&more=b&opt_description=x%20y&opt_tag=Queue1&opt_ttl=9&opt_ttc=0"
        "&opt_successtopics=a&opt_successtopics=b&opt_failuretopics=c&fmetoken=no"
    )
    headers = {"Content-Type": "application/octet-stream"}

    answer = api.post(f"{TRANSACT_DATA}/{AUSTIN}?{query}", content=(chunk for _ in range(times)), headers=headers)

    assert (answer.status_code, answer.json()["status"]) == (200, "SUCCESS")
    (job,) = simulator.pool.jobs
    assert job.parameters == {"MAXY": "1", "THEMES": ["airports"], "more": ["a", "b"]}
    assert (job.notes.description, job.queue, job.limits.queue, job.limits.run) == ("x y", "Queue1", 9, None)
    assert (job.notes.success_topics, job.notes.failure_topics) == (("a", "b"), ("c",))
    digest = hashlib.sha256(chunk * times).hexdigest()
    assert job.notes.data == SentData(len(chunk) * times, digest)
    (request,) = simulator.requests
    assert (len(chunk) * times, digest) == (request.size, request.sha256)
    assert len(request.body) < 2 * 2**20


# The record of a job


def test_record_of_a_job_grows(simulator, api, clock, job):
    """A record shows what is known at the time: of a queued job no engine, of a running one no end and no result."""
    first, second = job(), job()
    queued, running = api.get(second).json(), api.get(first).json()
    clock.advance(3)
    done = api.get(first).json()

    assert (queued["status"], queued["timeSubmitted"]) == ("QUEUED", "2025-01-01T12:00:00Z")
    assert queued.keys() & {"timeStarted", "timeFinished", "engineName", "engineHost", "result"} == set()
    assert (running["status"], running["engineName"]) == ("PULLED", "localhost_Engine1")
    assert running.keys() & {"timeFinished", "timeDelivered", "result"} == set()
    assert (done["status"], done["timeFinished"], done["elapsedTime"]) == ("SUCCESS", "2025-01-01T12:00:03Z", 3000)
    assert done["result"] == api.get(f"{first}/result").json()
    assert (done["repository"], done["workspace"], done["userName"]) == ("Samples", "austinDownload.fmw", "admin")


@pytest.mark.parametrize(
    ("style", "absent", "result"),
    [("null", (None, None), None), ("zero", ("0001-01-01T00:00:00Z", ""), 0), ("empty", ("", ""), None)],
)
def test_what_is_absent_has_four_styles(simulator, api, job, *, style, absent, result):
    """A time, a name or a result not known yet is missing (the default), null, Go's zero value or empty."""
    simulator.quirks = Quirks(absent_times=style)
    job()
    queued = api.get(job()).json()

    assert absent == (queued["timeStarted"], queued["engineName"])
    assert result == (queued["result"] and queued["result"]["id"])


@pytest.mark.parametrize(
    ("quirk", "text"),
    [("Z", "2025-01-01T12:00:00Z"), ("offset", "2025-01-01T05:00:00-07:00"), ("bare", "2025-01-01T12:00:00")],
)
def test_times_have_three_forms(simulator, api, job, quirk, text):
    """Times are in UTC, of some place with its offset, or without any zone; never with fractions."""
    simulator.quirks = Quirks(v3_times=quirk)

    assert text == api.get(job()).json()["timeSubmitted"]


def test_words_can_be_others(simulator, api, clock, job):
    """Words nobody has seen can be served, and a result may disagree with its record."""
    simulator.quirks = Quirks(v3_words={"PULLED": "IN_PROCESS"}, v3_result_words={"SUCCESS": "FME_FAILURE"})
    path = job()
    running = api.get(path).json()
    clock.advance(3)
    done = api.get(path).json()

    assert (running["status"], done["status"], done["result"]["status"]) == ("IN_PROCESS", "SUCCESS", "FME_FAILURE")


def test_old_servers_count_nothing(simulator, api, job):
    """Servers of 2018 have no counts and costs in the record."""
    simulator.quirks = Quirks(v3_counts="missing")

    record = api.get(job()).json()

    assert record.keys() & {"cpuTime", "cpuPct", "elapsedTime", "peakMemUsage", "numLines", "numErrors"} == set()


@pytest.mark.parametrize(
    "path", ["id/99", "id/x", "active/1", "queued/99", "id/99/result", "id/99/log", "id/x/request"]
)
def test_unknown_job(api, path):
    """A job that is not there, or not in the list asked for, is a 404 in the API's shape."""
    assert api.get(f"{JOBS}/{path}").status_code == 404


@pytest.mark.parametrize(("status", "live"), [(404, None), (204, None), (202, "PULLED"), (200, "PULLED")])
def test_result_of_a_live_job(simulator, api, job, status, live):
    """What `/result` answers before the end is not known: one of four."""
    simulator.quirks = Quirks(v3_unfinished_result=status)

    answer = api.get(f"{job()}/result")

    assert status == answer.status_code
    assert live is None or live == answer.json()["status"]


def test_log_is_text(simulator, api, clock, job):
    """A log has the counted warnings and errors, numLines lines, and how the work ended; it comes as text only."""
    scripted(simulator, duration=3, outcome="failed", warnings=2, errors=1)
    path = job(publishedParameters=[{"name": "MAXY", "value": "1"}])
    clock.advance(1)
    begun = api.get(f"{path}/log").text
    clock.advance(2)
    answers = [
        api.get(f"{path}/log", headers={"Accept": "text/plain"}),
        api.get(f"{path}/log", headers={"Accept": "application/octet-stream"}),
        api.get(f"{path}/log?accept=contents", headers={"Accept": "application/json"}),
    ]

    (text,) = {answer.text for answer in answers}
    assert answers[0].headers["content-type"] == "text/plain; charset=utf-8"
    lines, record = text.splitlines(), api.get(path).json()
    counts = sum("|WARN " in line for line in lines), sum("|Error 1" in line for line in lines), len(lines)
    assert (2, 1, len(lines)) == counts
    assert (record["numWarnings"], record["numErrors"], record["numLines"]) == counts
    assert lines[-1].endswith("|Translation FAILED with 1 error(s) and 2 warning(s) (0 feature(s) output)")
    assert 0 < len(begun.splitlines()) < len(lines)
    assert text.startswith(begun.rstrip("\n")), "what is written stays as it is"
    assert api.get(f"{path}/log", headers={"Accept": "application/json"}).status_code == 406


def test_log_of_a_success(api, clock, job):
    """A log tells of the features written; a job that waits has none yet."""
    first, second = job(), job()
    assert api.get(f"{second}/log").status_code == 404
    clock.advance(3)

    text = api.get(f"{first}/log").text

    assert "STATS |Total Features Written  1539" in text
    assert text.splitlines()[-1].endswith("Translation was SUCCESSFUL with 0 warning(s) (1539 feature(s) output)")


# The lists of jobs


@pytest.fixture
def history(simulator, api, clock, job):
    """One job of each kind, the oldest a success, the newest queued."""
    for outcome in ("succeeded", "failed", "cancelled"):
        scripted(simulator, duration=1, outcome=outcome)
        job()
        clock.advance(1)
    job(TEN, publishedParameters=[{"name": "location", "value": ["Burnaby"]}])
    job()


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("active", [5, 4]),
        ("queued", [5]),
        ("running/", [4]),
        ("completed", [3, 2, 1]),
        ("completed?completedState=success", [1]),
        ("completed?completedState=failed", [3, 2]),
        ("active?completedState=failed", [5, 4]),
        ("active?repository=Tutorials&workspace=10seconds.fmw", [4]),
        ("active?repository=Tutorials&workspace=no.fmw", []),
        ("active?userName=someone", []),
        ("active?userName=admin", [5, 4]),
        ("active?sourceType=schedules&sourceID=x", []),
        ("completed?limit=2", [3, 2]),
        ("completed?limit=2&offset=1", [2, 1]),
        ("completed?offset=9", []),
        ("completed?limit=-1&offset=-1", [3, 2, 1]),
    ],
)
def test_lists(api, history, query, expected):
    """Each list shows its jobs, the newest first, filtered and cut as asked."""
    answer = api.get(f"{JOBS}/{query}")

    assert expected == [item["id"] for item in answer.json()["items"]]


def test_list_is_a_page_of_records(simulator, api, history):
    """A page echoes limit and offset, counts all that match, holds whole records, and has a greatest limit."""
    page = api.get(f"{JOBS}/completed?limit=1&offset=2").json()

    assert (page["limit"], page["offset"], page["totalCount"]) == (1, 2, 3)
    assert [api.get(f"{JOBS}/completed/1").json()] == page["items"]
    simulator.quirks = Quirks(max_limit=2)
    pages = [api.get(f"{JOBS}/completed{query}").json() for query in ("?limit=10000", "", "?limit=-1")]
    assert [(page["limit"], len(page["items"])) for page in pages] == [(2, 2), (2, 2), (-1, 2)]


@pytest.mark.parametrize(
    ("query", "status"),
    [("limit=x", 400), ("offset=-2", 400), ("completedState=done", 422), ("sourceID=x", 422)],
)
def test_list_refuses(api, query, status):
    """Numbers that are none, words that are not known and filters that need another are refused."""
    assert status == api.get(f"{JOBS}/completed?{query}").status_code


# Cancelling


def test_cancel_needs_the_right_list(api, job):
    """A job is cancelled in the list it is in with 204 and no body, or in `active`; elsewhere it is a 404."""
    running, queued = job(), job()
    assert [running, queued] == [f"{JOBS}/id/1", f"{JOBS}/id/2"]

    paths = ["running/2", "queued/1", "queued/2", "queued/2", "running/1", "active/1", "completed/1", "completed/1"]
    answers = [api.delete(f"{JOBS}/{path}") for path in paths]

    assert [answer.status_code for answer in answers] == [404, 404, 204, 404, 204, 404, 204, 404]
    assert answers[2].content == b""
    assert api.get(f"{JOBS}/id/1").status_code == 404
    cancelled = api.get(f"{JOBS}/id/2").json()
    assert (cancelled["status"], cancelled["result"]["statusMessage"]) == ("ABORTED", "Job cancelled. ")


@pytest.mark.parametrize(("quirk", "seen"), [("ABORTED", "ABORTED"), ("DELETED", "DELETED"), ("gone", None)])
def test_a_job_taken_from_the_queue(simulator, api, job, quirk, seen):
    """What becomes of a job cancelled in the queue is not known: it was aborted, deleted, or is gone."""
    simulator.quirks = Quirks(v3_dequeued=quirk)
    job()

    assert api.delete(f"{JOBS}/active/{job().rpartition('/')[2]}").status_code == 204

    assert seen == api.get(f"{JOBS}/id/2").json().get("status")


def test_whole_lists_are_removed(api, history):
    """Deleting a list cancels what is live, and removes what ended from the history."""
    assert api.delete(f"{JOBS}/completed").status_code == 204
    assert api.get(f"{JOBS}/completed").json()["totalCount"] == 0
    assert api.delete(f"{JOBS}/active").status_code == 204

    assert [item["status"] for item in api.get(f"{JOBS}/completed").json()["items"]] == ["ABORTED", "ABORTED"]


# Repositories and workspaces


def test_repositories(api):
    """Repositories and what is in them are listed without pages."""
    page = api.get(f"{V3}/repositories").json()
    items = api.get(f"{V3}/repositories/Samples/items?type=WORKSPACE").json()

    assert (page["limit"], page["offset"], page["totalCount"]) == (-1, -1, 2)
    assert page["items"][0] == {"name": "Samples", "description": "", "owner": "admin", "sharable": True}
    assert page["items"][1] == api.get(f"{V3}/repositories/Tutorials").json()
    assert [item["name"] for item in items["items"]] == [
        "austinDownload.fmw",
        "austinApartments.fmw",
        "everyParameter.fmw",
    ]
    assert items["items"][0]["lastPublishDate"] == "2022-12-07T18:50:52Z"
    assert api.get(f"{V3}/repositories/Samples/items?type=CUSTOMFORMAT").json()["items"] == []


@pytest.mark.parametrize("path", ["None", "None/items", "Samples/items/no.fmw", "Samples/items/no.fmw/parameters"])
def test_unknown_repositories_and_items(api, path):
    """What is not there is a 404 that says so."""
    answer = api.get(f"{V3}/repositories/{path}")

    assert (answer.status_code, "does not exist." in answer.json()["message"]) == (404, True)


def test_item_detail(api, job):
    """A workspace alone tells its runs, services and parameters; each parameter can be asked for by its name."""
    job()
    detail = api.get(f"{V3}/repositories/Samples/items/austinDownload.fmw").json()
    path = f"{V3}/repositories/Samples/items/austinDownload.fmw/parameters"

    assert [service["name"] for service in detail["services"]] == ["fmejobsubmitter", "fmedatadownload"]
    assert (detail["totalRuns"], detail["type"]) == (1, "WORKSPACE")
    assert detail["parameters"] == api.get(path).json()
    assert detail["parameters"][0] == api.get(f"{path}/MAXY").json()
    assert api.get(f"{path}/NO").status_code == 404


EVERY = f"{V3}/repositories/Samples/items/everyParameter.fmw/parameters"


def test_every_family_of_parameters(api):
    """Each family has its model, its keys and its kind of default."""
    described = {parameter["name"]: parameter for parameter in api.get(EVERY).json()}

    shapes = {parameter["type"]: parameter["model"] for parameter in described.values()}
    assert len(EVERY_PARAMETER.parameters) == len(described)
    assert shapes.items() >= {
        "TEXT": "string", "PASSWORD": "string", "FLOAT": "string", "COORDSYS": "string", "LOOKUP_CHOICE": "string",
        "ACTIVECHOICE": "string", "LISTBOX": "list", "MULTIFILE": "list", "RANGE_SLIDER": "string",
        "DB_CONNECTION": "string", "WEB_CONNECTION": "string", "OBJECT": "object", "OBJECT_LIST": "objectList",
        "DATE": "string", "DATETIME": "string", "FILENAME": "string", "FILENAME_MUSTEXIST": "string",
    }.items()  # fmt: skip
    assert described["option"] == {
        "name": "option",
        "description": "Option",
        "model": "string",
        "type": "LOOKUP_CHOICE",
        "defaultValue": "a",
        "listOptions": [{"caption": "First", "value": "a"}, {"caption": "Second", "value": "b"}],
        "optional": False,
    }
    assert described["active"]["listOptions"][0]["disabledParameters"] == [{"name": "options"}, {"name": "tree"}]
    assert described["features"]["featuregrouping"] is True
    assert described["features"]["listOptions"][1]["value"] == [{"name": "lakes"}]
    assert (described["SourceDatasets_GML"]["listOptions"], described["SourceDatasets_GML"]["optional"]) == ([], True)
    slider = {"defaultValue": 50, "minimum": 0, "maximum": 100, "minimumExclusive": False, "decimalPrecision": 1}
    assert described["slider"].items() >= slider.items()
    assert described["database"]["connectionType"] == "PostgreSQL"
    assert described["web"]["excludeConnectionTypes"] == ["Slack"]
    assert (described["moment"]["saveInUTC"], described["date"]["defaultValue"]) == (True, "20250131")
    defaults = [described[name]["defaultValue"] for name in ("float", "flag", "mandatory", "options", "tree")]
    assert defaults == ["2.5", "Yes", "", ["a b", "c"], []]


def test_no_is_a_default_too(simulator, api):
    """The default of a check box that is not ticked is a text as well."""
    simulator.publish(Workspace("Samples", "no.fmw", parameters=(Parameter("f", Kind.BOOLEAN, "F", default=False),)))

    assert api.get(f"{V3}/repositories/Samples/items/no.fmw/parameters/f").json()["defaultValue"] == "No"


def test_optional_may_be_missing(simulator, api):
    """Parameters may not say whether they are optional."""
    simulator.quirks = Quirks(v3_optional="missing")

    assert [parameter for parameter in api.get(EVERY).json() if "optional" in parameter] == []


@pytest.mark.parametrize(
    ("name", "right", "wrong"),
    [
        ("flag", [True, "No", "false"], [3, "perhaps"]),
        ("slider", [0, "100", 2.5], [-1, 101, "x"]),
        ("open_slider", [1], [0, 2]),
        ("integer", [1, 10.0], [1.5]),
        ("features", [[[{"name": "lakes"}]]], [[["lakes"]]]),
        ("tree", ["land/forest", ["water/lake"]], ["land"]),
        ("active", ["full"], [["full"]]),
        ("SourceDatasets_GML", ["a", ["a", "b"], []], [[1], {}]),
        ("SourceFolders", [["a"]], [[None]]),
        ("DestDataset_SHAPE", ["a", 1], [["a"]]),
        ("object", [{"a": 1}, "{}"], [[1]]),
        ("objects", [[{"a": 1}], "[]"], [{"a": 1}, [1]]),
        ("date", ["20250101"], [{}]),
    ],
)  # fmt: skip
def test_values_of_every_family(simulator, api, name, right, wrong):
    """Each family takes its values and refuses others with 422; a number is as good as its text."""
    flow = f"{SUBMIT}/{EVERY_PARAMETER.flow}"

    def status(value):
        given = {"mandatory": "x", name: value}
        parameters = [{"name": key, "value": each} for key, each in given.items()]
        return api.post(flow, json={"publishedParameters": parameters}).status_code

    assert [202] * len(right) == [status(value) for value in right]
    assert [422] * len(wrong) == [status(value) for value in wrong]


@pytest.mark.parametrize(
    ("repository", "name"), [("Layers qVista", "100% sure.fmw"), ("Ø & Å", "räksbø 100%.fmw"), ("a", "ø+?#%2F.fmw")]
)
def test_names_of_any_kind(simulator, api, repository, name):
    """Repositories and workspaces have any name, percent-encoded in a path."""
    simulator.publish(Workspace(repository, name))
    flow = f"{quote(repository, safe='')}/{quote(name, safe='')}"

    assert api.post(f"{SUBMIT}/{flow}", json={}).json() == {"id": 1}

    record = api.get(f"{JOBS}/id/1").json()
    assert (repository, name) == (record["repository"], record["workspace"])
    assert api.get(f"{V3}/repositories/{quote(repository, safe='')}/items/{quote(name, safe='')}").status_code == 200


def test_jobs_of_nobody(simulator, api):
    """A job that a test put into the engines itself is shown like any other."""
    simulator.pool.submit("a/b.fmw")

    assert api.get(f"{JOBS}/id/1").json()["description"] == ""
