"""FME Flow V4 on a real socket."""

from __future__ import annotations

import io
import zipfile
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote

import httpx
import pytest
from attrs import evolve

from flowrunner.simulator import Behaviour, Choice, Kind, Parameter, Quirks, RealClock, Simulator, Workspace

JOBS = "/fmeapiv4/jobs"
AUSTIN = {"repository": "Samples", "workspace": "austinDownload.fmw"}
TEN = {"repository": "Tutorials", "workspace": "10seconds.fmw"}
NO_ACCESS = "Unauthorized request by user admin due to lack of proper permissions or the object does not exist."


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

    def submit(**more):
        return f"{JOBS}/{api.post(JOBS, json=AUSTIN | more).json()['id']}"

    return submit


def scripted(simulator, **behaviour):
    """Say what the next run does."""
    simulator.pool.script("Samples/austinDownload.fmw", Behaviour(**behaviour), times=1)


# Around the jobs


@pytest.mark.parametrize(
    ("build", "text"),
    [
        (20000, "FME Flow 2022.0 - Build 20000 - linux-x64"),
        (25606, "FME Flow 2025.1 - Build 25606 - linux-x64"),
        (26333, "FME Flow 2026.2 - Build 26333 - linux-x64"),
    ],
)
def test_version_tells_the_build(simulator, api, build, text):
    """The version tells the build that was set, and the release it belongs to."""
    simulator.world.build = build

    answer = api.get("/fmeinfo/version").json()

    assert (build, text) == (answer["buildNumber"], answer["buildString"])


@pytest.mark.parametrize("probe", ["liveness", "readiness"])
def test_health_needs_no_token(simulator, anyone, probe):
    """Health is told to anybody: 200, or 503 with the same keys."""
    url = f"{simulator.base_url}/fmeapiv4/healthcheck/{probe}"
    well = anyone.get(url)
    simulator.world.live = simulator.world.ready = False
    sick = anyone.get(url)

    assert (well.status_code, well.json()) == (200, {"status": "ok", "message": "FME Flow is healthy."})
    assert (503, {"status", "message"}) == (sick.status_code, set(sick.json()))


@pytest.mark.parametrize("header", [None, "fmetoken token=wrong", "Bearer x"])
@pytest.mark.parametrize("path", [JOBS, "/fmeapiv4/nothing", "/fmeapiv4/workspaces"])
def test_the_rest_needs_the_token(simulator, anyone, path, header):
    """Without the token everything else answers 401."""
    answer = anyone.get(simulator.base_url + path, headers={"Authorization": header} if header else {})

    assert (answer.status_code, answer.json()) == (401, {"message": "Authentication failed: Failed to login"})


def test_unknown_paths(api):
    """An unknown path is a 404 in the API's shape under its base, a web server's page elsewhere."""
    inside, outside = api.put("/fmeapiv4/nothing/here"), api.get("/fmerest/v3/info")

    assert (inside.status_code, inside.json()["message"]) == (404, "HTTP 404 Not Found: /fmeapiv4/nothing/here")
    assert (outside.status_code, outside.text.startswith("<html>")) == (404, True)


# Submitting


def test_submission_is_accepted(simulator, api):
    """A submission answers 202 with the id alone, and the job is in the books with what it was given."""
    body = AUSTIN | {
        "publishedParameters": {"MAXY": 42, "THEMES": ["airports", "cenart"], "MINX": "-98.5"},
        "queue": "Queue1",
        "maxJobRuntime": 60,
        "maxTimeInQueue": 120,
        "directives": {"k": "v"},
        "successTopics": ["a"],
        "failureTopics": [],
    }

    answer = api.post(JOBS, json=body)

    assert (answer.status_code, answer.json()) == (202, {"id": 1})
    (job,) = simulator.pool.submissions("Samples/austinDownload.fmw")
    assert (body["publishedParameters"], "Queue1") == (job.parameters, job.queue)
    assert (job.limits.run, job.limits.queue) == (60, 120)


@pytest.mark.parametrize(
    ("body", "details"),
    [
        ({}, {"repository": "must not be blank", "workspace": "must not be blank"}),
        (AUSTIN | {"repository": " "}, {"repository": "must not be blank"}),
        (AUSTIN | {"workspace": 3}, {"workspace": "must not be blank"}),
        (AUSTIN | {"publishedParameters": [{"name": "MAXY"}]}, {"publishedParameters": "must be an object"}),
        (AUSTIN | {"queue": 1}, {"queue": "must be a string"}),
        (AUSTIN | {"directives": {"k": 1}}, {"directives": "must be an object of strings"}),
        (AUSTIN | {"directives": []}, {"directives": "must be an object of strings"}),
        (AUSTIN | {"successTopics": "a"}, {"successTopics": "must be an array of strings"}),
        (AUSTIN | {"maxJobRuntime": 0}, {"maxJobRuntime": "must be a whole number of at least 1"}),
        (AUSTIN | {"maxTimeInQueue": True}, {"maxTimeInQueue": "must be a whole number of at least 1"}),
        (AUSTIN | {"rtc": False, "priority": 5}, dict.fromkeys(["rtc", "priority"], "is not a known field")),
        (AUSTIN | {"TMDirectives": {}}, {"TMDirectives": "is not a known field"}),
        (AUSTIN | {"maxTotalLifeTime": 5}, {"maxTotalLifeTime": "is not a known field"}),
    ],
)
def test_submission_with_a_wrong_shape(simulator, api, body, details):
    """What is missing, of the wrong shape or V3's is refused with 400 and a reason per key; nothing is queued."""
    answer = api.post(JOBS, json=body)

    assert (400, {"message": "Parameter Validation Failed", "details": details}) == (answer.status_code, answer.json())
    assert simulator.pool.submissions() == ()


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff"])
def test_submission_that_is_no_object(api, content):
    """A body that is not a JSON object is refused with 400."""
    answer = api.post(JOBS, content=content)

    assert (answer.status_code, answer.json()) == (400, {"message": "Invalid request body"})


@pytest.mark.parametrize(
    ("ordered", "details"),
    [
        (TEN | {"publishedParameters": {}}, {"location": "must not be blank"}),
        (TEN | {"publishedParameters": {"location": []}}, {"location": "must not be blank"}),
        (TEN | {"publishedParameters": {"location": ["Atlantis"]}}, {"location": "not among the choices: Atlantis"}),
        (TEN | {"publishedParameters": {"location": "Burnaby", "year": "x"}}, {"year": "must be a number"}),
        (TEN | {"publishedParameters": {"location": "Burnaby", "year": True}}, {"year": "must be a number"}),
        (TEN | {"publishedParameters": {"location": "Burnaby", "year": 1985.5}}, {"year": "must be a whole number"}),
        (TEN | {"publishedParameters": {"location": "Burnaby", "year": 1}}, {"year": "must be at least 1900"}),
        (TEN | {"publishedParameters": {"location": "Burnaby", "year": 9999}}, {"year": "must be at most 2100"}),
        (AUSTIN | {"publishedParameters": {"DestinationFormat": ["ACAD"]}}, {"DestinationFormat": "must be one value"}),
        (AUSTIN | {"publishedParameters": {"userName": 7}}, {"userName": "must be a string"}),
    ],
)
@pytest.mark.parametrize("status", [400, 422])
def test_submission_with_wrong_values(simulator, api, ordered, details, status):
    """Missing and impossible values are refused with a reason per parameter, under either of the possible codes."""
    simulator.quirks = Quirks(invalid_parameter_status=status)

    answer = api.post(JOBS, json=ordered)

    assert (status, details) == (answer.status_code, answer.json()["details"])
    assert simulator.pool.submissions() == ()


@pytest.mark.parametrize(
    "values", [{}, {"userName": "", "MAXX": None, "unpublished": 1}, {"COORDSYS": "LL84", "DestinationFormat": "ACAD"}]
)
def test_defaults_stand_in(api, values):
    """A workspace whose parameters all have defaults runs with whatever is given; names it has not are ignored."""
    assert api.post(JOBS, json=AUSTIN | {"publishedParameters": values}).status_code == 202


@pytest.mark.parametrize("missing", [AUSTIN | {"repository": "samples"}, AUSTIN | {"workspace": "no.fmw"}])
@pytest.mark.parametrize("status", [404, 403, 409])
def test_submission_of_nothing(simulator, api, missing, status):
    """An unknown repository and an unknown workspace have the text of a missing permission, under any of its codes."""
    simulator.quirks = Quirks(missing_flow_status=status)

    answer = api.post(JOBS, json=missing)

    assert (status, {"message": NO_ACCESS}) == (answer.status_code, answer.json())


# Submitting and waiting


def test_sync_answers_when_the_job_ended(clock, hold):
    """A synchronous submission holds the request until the job ends and answers with its result."""
    waiting = hold("POST", f"{JOBS}/sync", json=AUSTIN | {"maxTotalLifeTime": 60})
    assert not waiting.done()

    clock.advance(3)
    answer = waiting.result()

    assert answer.status_code == 200
    assert answer.json() == {
        "id": 1,
        "featureOutputCount": 1539,
        "requesterHost": "127.0.0.1",
        "requesterResultPort": -1,
        "status": "success",
        "statusMessage": "Translation Successful",
        "timeQueued": "2025-01-01T12:00:00Z",
        "timeStarted": "2025-01-01T12:00:00Z",
        "timeFinished": "2025-01-01T12:00:03Z",
    }


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        ("body", (200, "failure", "boom")),
        ("422_result", (422, "failure", "boom")),
        ("422", (422, None, None)),
    ],
)
def test_a_failure_has_three_forms(simulator, api, job, form, expected):
    """A job that failed is told as a result under 200 or 422, or as an error's message, waited for or looked up."""
    simulator.quirks = Quirks(failed_sync=form, failed_result=form)
    for _ in range(2):
        scripted(simulator, duration=0, outcome="failed", message="boom")

    for answer in (api.post(f"{JOBS}/sync", json=AUSTIN), api.get(f"{job()}/result")):
        body = answer.json()
        assert expected == (answer.status_code, body.get("status"), body.get("statusMessage"))
        assert "boom" in answer.json().values()


def test_sync_life_time_is_bounded(api):
    """The life time of a synchronous job is 1 to 86400 seconds."""
    answer = api.post(f"{JOBS}/sync", json=AUSTIN | {"maxTotalLifeTime": 86401})

    assert answer.json()["details"] == {"maxTotalLifeTime": "must be a whole number from 1 to 86400"}


@pytest.mark.parametrize("how", ["sync", "long poll"])
def test_a_job_forgotten_while_waited_for(simulator, hold, job, how):
    """A job that the server forgets while a request is held for it answers 404."""
    if how == "sync":
        waiting = hold("POST", f"{JOBS}/sync", json=AUSTIN)
    else:
        waiting = hold("GET", f"{job()}/result?longPoll=true")

    simulator.pool.forget(1)

    assert waiting.result().status_code == 404


# The record of a job


def test_record_of_a_job_grows(simulator, api, clock, job):
    """A record shows what is known at the time: of a queued job no engine, of a running one no end."""
    first, second = job(), job(queue="Queue1")
    queued, running = api.get(second).json(), api.get(first).json()
    clock.advance(3)
    done = api.get(first).json()

    assert (queued["status"], queued["queue"]) == ("queued", "Queue1")
    assert queued.keys() & {"timeStarted", "timeFinished", "engineName", "engineHost"} == set()
    assert (running["status"], running["engineName"]) == ("running", "localhost_Engine1")
    assert "timeFinished" not in running
    assert (done["status"], done["timeFinished"], done["elapsedTime"]) == ("success", "2025-01-01T12:00:03Z", 3000)
    assert "statusMessage" not in done
    assert (done["repository"], done["workspace"]) == ("Samples", "austinDownload.fmw")


@pytest.mark.parametrize(
    ("style", "absent"), [("null", (None, None)), ("zero", ("0001-01-01T00:00:00Z", "")), ("empty", ("", ""))]
)
def test_what_is_absent_has_four_styles(simulator, api, job, style, absent):
    """A time or a name not known yet is missing (the default), null, Go's zero value or an empty string."""
    simulator.quirks = Quirks(absent_times=style)
    job()
    queued = api.get(job()).json()

    assert absent == (queued["timeStarted"], queued["engineName"])
    assert absent == (queued["timeFinished"], queued["resultDatasetDownloadUrl"])


@pytest.mark.parametrize(
    ("quirks", "words"),
    [
        (Quirks(), ["running", "success", "success"]),
        (Quirks(status_case="upper"), ["RUNNING", "SUCCESS", "SUCCESS"]),
        (Quirks(final_word="complete"), ["running", "complete", "success"]),
        (Quirks(final_word="complete", status_case="upper"), ["RUNNING", "COMPLETE", "SUCCESS"]),
        (Quirks(words={"running": "pulled", "success": "well"}), ["pulled", "well", "well"]),
    ],
)
def test_status_words(simulator, api, job, quirks, words):
    """Status words come in either case, as `complete` for any end of the record, or as words nobody has seen."""
    simulator.quirks = quirks
    path = job()
    running = api.get(path)
    simulator.clock.advance(3)
    answers = running, api.get(path), api.get(f"{path}/result")

    assert words == [answer.json()["status"] for answer in answers]


def test_record_may_show_the_message(simulator, api, job):
    """A record shows the message of the end where the quirk says so, and the counts of its log."""
    simulator.quirks = Quirks(record_message="shown")
    scripted(simulator, duration=0, outcome="failed", warnings=2, errors=1)

    record = api.get(job()).json()

    assert (record["status"], record["warningCount"], record["errorCount"]) == ("failure", 2, 1)
    assert record["statusMessage"] == "Terminator: Termination Message: 'Translation Terminated'"


@pytest.mark.parametrize("job_id", ["99", "x", "1.0", "sync"])
@pytest.mark.parametrize("tail", ["", "/result"])
def test_unknown_job(api, job_id, tail):
    """A job that is not there is a 404 in the API's shape."""
    answer = api.get(f"{JOBS}/{job_id}{tail}")

    assert (404, {"message": f'The job for ID "{job_id}" does not exist.'}) == (answer.status_code, answer.json())


def test_limits_are_enforced(api, clock, job):
    """The server cancels what waits or runs for too long, and says why."""
    slow, late = job(maxJobRuntime=2), job(maxTimeInQueue=1)

    clock.advance(2)

    results = [api.get(f"{path}/result").json() for path in (slow, late)]
    assert [result["status"] for result in results] == ["cancelled", "cancelled"]
    assert "maxJobRuntime" in results[0]["statusMessage"]
    assert "maxTimeInQueue" in results[1]["statusMessage"]


def test_a_requeued_job_queues_again(simulator, api, clock, job):
    """A job whose engine crashed shows `queued` after `running`, under the same id."""
    scripted(simulator, requeue_after=2, restart_delay=5)
    path, words = job(), []
    for _ in range(3):
        words.append(api.get(path).json()["status"])
        clock.advance(3)

    assert words == ["running", "queued", "queued"]
    assert api.get(path).json()["status"] == "running"


# The result of a job


def test_long_poll_is_held_until_the_end(clock, hold, job):
    """A long poll answers when the job ends, and not before."""
    waiting = hold("GET", f"{job()}/result?longPoll=True&longPollInterval=30")
    clock.advance(2.9)
    assert not waiting.done()

    clock.advance(0.1)

    assert (waiting.result().status_code, waiting.result().json()["status"]) == (200, "success")


def test_long_poll_ends_with_a_cancellation(api, hold, job):
    """A long poll is woken by whatever ends the job, without time passing."""
    path = job()
    waiting = hold("GET", f"{path}/result?longPoll=true")

    assert api.post(f"{path}/cancel").status_code == 204

    assert tuple(waiting.result().json()[k] for k in ("status", "statusMessage")) == ("cancelled", "Job cancelled. ")


@pytest.mark.parametrize("status", [202, 204, 200])
def test_long_poll_ends_with_its_interval(simulator, api, hold, job, status):
    """A long poll gives up after its interval and answers as an unfinished result does."""
    simulator.quirks = Quirks(unfinished_result=status)
    path = job()
    waiting = hold("GET", f"{path}/result?longPoll=true&longPollInterval=2")

    simulator.clock.advance(2)

    at_once = api.get(f"{path}/result?longPoll=false")
    assert (status, status) == (waiting.result().status_code, at_once.status_code)
    assert at_once.content == waiting.result().content
    assert status == 204 or at_once.json() == {"id": 1, "status": "running"}


@pytest.mark.parametrize(("quirk", "status"), [("ignore", 202), ("missing", 404), ("not_allowed", 405)])
def test_long_poll_may_be_unknown(simulator, api, job, quirk, status):
    """A server may ignore the flag of a long poll or refuse it; the plain result stays."""
    simulator.quirks = Quirks(long_poll=quirk)
    path = job()

    assert status == api.get(f"{path}/result?longPoll=true").status_code
    assert api.get(f"{path}/result").status_code == 202


@pytest.mark.parametrize("interval", ["0", "-1", "x", "1.5", "", "²"])
def test_long_poll_interval_is_checked(api, job, interval):
    """The interval is a whole number of seconds of at least 1."""
    answer = api.get(f"{job()}/result", params={"longPoll": "true", "longPollInterval": interval})

    assert (400, {"longPollInterval"}) == (answer.status_code, answer.json()["details"].keys())


def test_long_poll_on_a_real_clock():
    """On a clock that runs, a held request wakes by itself when the job ends."""
    with Simulator(clock=RealClock(speed=1000)) as simulator:
        headers = {"Authorization": f"fmetoken token={simulator.token}"}
        answer = httpx.post(f"{simulator.base_url}{JOBS}/sync", json=AUSTIN, headers=headers)

    assert answer.json()["status"] == "success"


def test_endless_patience(simulator, api, hold, job):
    """An interval past the end of the calendar is no end, and work that never ends is waited for until cancelled."""
    scripted(simulator, duration=float("inf"))
    path = job()
    waiting = hold("GET", f"{path}/result?longPoll=true&longPollInterval=99999999999999")
    simulator.clock.advance(1e6)

    api.post(f"{path}/cancel")

    assert waiting.result().json()["status"] == "cancelled"


# The list of jobs


@pytest.fixture
def history(simulator, api, clock, job):
    """One job of each kind, the oldest a success, the newest queued."""
    for outcome in ("succeeded", "failed", "cancelled"):
        scripted(simulator, duration=1, outcome=outcome)
        job()
        clock.advance(1)
    api.post(JOBS, json=TEN | {"publishedParameters": {"location": ["Burnaby"]}})
    api.post(JOBS, json=AUSTIN | {"queue": "Queue1"})


def ids(answer):
    """Return the ids of a page."""
    assert answer.status_code == 200, answer.text
    return [item["id"] for item in answer.json()["items"]]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", [5, 4, 3, 2, 1]),
        ("status=queued", [5]),
        ("status=queued&status=running", [5, 4]),
        ("status=success&status=failure", [2, 1]),
        ("status=cancelled", [3]),
        ("repository=Samples", [5, 3, 2, 1]),
        ("repository=Tutorials&workspace=10seconds.fmw", [4]),
        ("repository=Tutorials&workspace=austinDownload.fmw", []),
        ("queue=Queue1", [5]),
        ("queue=Default&status=running", [4]),
        ("engineName=localhost_Engine1&status=running", [4]),
        ("runtimeUserID=someone", []),
        ("limit=2", [5, 4]),
        ("limit=2&offset=1", [4, 3]),
        ("offset=9", []),
        ("sort=workspace_asc", [4, 5, 3, 2, 1]),
        ("sort=timeFinished_asc&status=success&status=failure", [1, 2]),
        ("sort=timeStarted_desc", [5, 4, 3, 2, 1]),
        ("sort=status_asc&status=success&status=failure&status=cancelled", [3, 2, 1]),
        ("unknown=1", [5, 4, 3, 2, 1]),
    ],
)
def test_list_filters_and_sorts(api, history, query, expected):
    """The list shows the newest first, filtered, sorted and cut as asked."""
    assert expected == ids(api.get(f"{JOBS}?{query}"))


def test_list_is_a_page_of_records(api, history):
    """A page echoes its limit and offset, counts all that match, and holds whole records."""
    page = api.get(f"{JOBS}?limit=1&offset=2").json()

    assert (page["limit"], page["offset"], page["totalCount"]) == (1, 2, 5)
    assert [api.get(f"{JOBS}/3").json()] == page["items"]
    assert tuple(api.get(JOBS).json()[key] for key in ("limit", "offset")) == (100, 0)


def test_list_has_a_greatest_limit(simulator, api, history):
    """A greater limit than the server's is cut, and the cut one echoed."""
    assert api.get(f"{JOBS}?limit=10000").json()["limit"] == 1000
    simulator.quirks = evolve(simulator.quirks, max_limit=2)
    page = api.get(f"{JOBS}?limit=10000").json()

    assert (page["limit"], len(page["items"]), page["totalCount"]) == (2, 2, 5)


@pytest.mark.parametrize(("shown", "expected"), [("active", [5, 4]), ("completed", [3, 2, 1])])
def test_list_without_status(simulator, api, history, shown, expected):
    """What a list without a status shows is not known: all, or one of the two groups."""
    simulator.quirks = Quirks(unfiltered_list=shown)

    assert expected == ids(api.get(JOBS))


@pytest.mark.parametrize(
    ("query", "key"),
    [
        ("status=queued&status=success", "status"),
        ("status=complete", "status"),
        ("status=queued&engineName=x", "engineName"),
        ("workspace=10seconds.fmw", "workspace"),
        ("sort=id_asc", "sort"),
        ("sort=workspace", "sort"),
        ("limit=0", "limit"),
        ("offset=-1", "offset"),
    ],
)
def test_list_refuses(api, query, key):
    """Mixed groups of statuses, words and numbers that are none, and filters that need another are refused with 400."""
    answer = api.get(f"{JOBS}?{query}")

    assert (400, {key}) == (answer.status_code, answer.json()["details"].keys())


# Cancelling


def test_cancel(api, clock, job):
    """A queued and a running job are cancelled with 204 and no body; an ended one is a 422 that says so."""
    running, queued = job(), job()
    answers = [api.post(f"{path}/cancel") for path in (queued, running, running)]

    assert [(answer.status_code, answer.content) for answer in answers[:2]] == [(204, b""), (204, b"")]
    assert answers[2].status_code == 422
    assert answers[2].json() == {"message": 'Job "1" is already complete and cannot be cancelled.'}


@pytest.mark.parametrize("job_id", ["55", "x"])
def test_cancel_of_nothing(api, job_id):
    """Cancelling an unknown job is a 422, not a 404."""
    answer = api.post(f"{JOBS}/{job_id}/cancel")

    assert (422, {"message": f'The job for ID "{job_id}" does not exist.'}) == (answer.status_code, answer.json())


# Results to download


def test_a_data_set_can_be_downloaded(api, clock, job, anyone):
    """A successful download run names a zip on the simulator itself, the same bytes each time."""
    path = job(publishedParameters={"MAXY": 1})
    clock.advance(3)

    url = api.get(path).json()["resultDatasetDownloadUrl"]
    answer = anyone.get(url)

    assert url.startswith(str(api.base_url))
    assert answer.headers["content-type"] == "application/zip"
    assert zipfile.ZipFile(io.BytesIO(answer.content)).namelist() == ["result.json"]
    assert answer.content == anyone.get(url).content


def test_no_data_set(simulator, api, clock, job):
    """A failed run and a workspace that writes none have no data set, and a made-up name is a page with 404."""
    scripted(simulator, duration=0, outcome="failed")
    failed = api.get(job()).json()
    api.post(JOBS, json=AUSTIN | {"workspace": "austinApartments.fmw"})
    clock.advance(3)
    without = api.get(f"{JOBS}/2").json()

    assert (failed["status"], without["status"]) == ("failure", "success")
    assert "resultDatasetDownloadUrl" not in failed.keys() | without.keys()
    assert api.get("/fmedatadownload/results/FME_1.zip").status_code == 404


# Workspaces and repositories


def test_workspaces_are_listed(api, job):
    """Workspaces are listed by page, of all repositories or one, by a part of the name or title."""
    job()
    page = api.get("/fmeapiv4/workspaces").json()

    assert [item["name"] for item in page["items"]] == ["austinDownload.fmw", "austinApartments.fmw", "10seconds.fmw"]
    assert [item["totalRuns"] for item in page["items"]] == [1, 0, 0]
    found = api.get("/fmeapiv4/workspaces?repository=Samples&filterString=APART&limit=1").json()
    assert ([item["name"] for item in found["items"]], found["limit"]) == (["austinApartments.fmw"], 1)
    assert api.get("/fmeapiv4/workspaces?repository=None").json()["totalCount"] == 0


def test_repositories_are_listed(api):
    """Repositories are listed with the number of their workspaces."""
    page = api.get("/fmeapiv4/repositories").json()

    assert [(item["name"], item["workspaceCount"]) for item in page["items"]] == [("Samples", 2), ("Tutorials", 1)]
    assert api.get("/fmeapiv4/repositories?filterString=tut").json()["totalCount"] == 1


def test_parameters_are_described(api):
    """Parameters are a bare array; each tells its type, whether it is required, its default, choices and bounds."""
    austin = api.get("/fmeapiv4/workspaces/Samples/austinDownload.fmw/parameters").json()
    ten = api.get("/fmeapiv4/workspaces/Tutorials/10seconds.fmw/parameters").json()

    assert (len(austin), all("defaultValue" in parameter for parameter in austin)) == (8, True)
    assert {"listbox", "dropdown", "number", "text"} == {parameter["type"] for parameter in austin}
    assert (ten[0]["name"], ten[0]["type"], ten[0]["required"]) == ("location", "listbox", True)
    assert {"display": "Burnaby", "value": "Burnaby"} in ten[0]["choiceSettings"]["choices"]
    assert "defaultValue" not in ten[0]
    year = {"name": "year", "type": "number", "prompt": "Year", "required": False, "valueType": "integer"}
    assert year | {"minimum": 1900, "maximum": 2100} == ten[1]


@pytest.mark.parametrize("shape", ["items", "parameters", "publishedParameters", "value"])
def test_parameters_may_be_wrapped(simulator, api, shape):
    """The array of parameters may be wrapped in an object, under any of the keys that clients met."""
    simulator.quirks = Quirks(parameters_shape=shape)

    answer = api.get("/fmeapiv4/workspaces/Tutorials/10seconds.fmw/parameters").json()

    assert [parameter["name"] for parameter in answer[shape]] == ["location", "year"]


def test_workspace_detail_has_the_parameters(api):
    """A workspace alone tells its parameters, runs and services."""
    detail = api.get("/fmeapiv4/workspaces/Samples/austinDownload.fmw").json()

    assert len(detail["parameters"]) == 8
    assert detail["services"]["dataDownload"]["registered"]


@pytest.mark.parametrize("tail", ["", "/parameters"])
@pytest.mark.parametrize(("status", "text"), [(404, "Item no.fmw does not exist."), (403, NO_ACCESS)])
def test_unknown_workspace(simulator, api, tail, status, text):
    """An unknown workspace is a 404 that names it, or a missing permission."""
    simulator.quirks = Quirks(missing_flow_status=status)

    answer = api.get(f"/fmeapiv4/workspaces/Samples/no.fmw{tail}")

    assert (status, {"message": text}) == (answer.status_code, answer.json())


@pytest.mark.parametrize(
    ("repository", "name"), [("Layers qVista", "100% sure.fmw"), ("Åre", "%41 ?&#+;.fmw"), ("a", "ø%2F.fmw")]
)
def test_names_of_any_kind(simulator, api, repository, name):
    """Repositories and workspaces have any name, percent-encoded in a path."""
    choices = (Choice("a/b", "A"),)
    simulator.publish(Workspace(repository, name, parameters=(Parameter("p", Kind.CHOICE, "P", choices=choices),)))

    path = f"/fmeapiv4/workspaces/{quote(repository, safe='')}/{quote(name, safe='')}/parameters"
    body = {"repository": repository, "workspace": name, "publishedParameters": {"p": "a/b"}}

    assert [parameter["name"] for parameter in api.get(path).json()] == ["p"]
    assert api.post(JOBS, json=body).status_code == 202
    assert (repository, name) == tuple(api.get(f"{JOBS}/1").json()[key] for key in ("repository", "workspace"))


def test_submit_may_answer_200(simulator, api):
    """An accepted submission may be 200 instead of 202."""
    simulator.quirks = Quirks(submit_status=200)

    assert api.post(JOBS, json=AUSTIN).status_code == 200


def test_quirks_are_checked():
    """A quirk that the simulator cannot produce is an error at once."""
    with pytest.raises(ValueError, match="long_poll"):
        Quirks(long_poll="perhaps")
