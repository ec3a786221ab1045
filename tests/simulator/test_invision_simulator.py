"""InVision on a real socket."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import httpx
import pytest

from flowrunner.simulator import Behaviour, DataFlow, DataFlowId, InVisionQuirks, Pause, Quirks, Simulator

PUB = "/api/pub/v1/dataflows"
IMPORT = f"{PUB}/{DataFlowId.IMPORT_SALES}"


@pytest.fixture
def simulator(clock):
    """A server with one engine."""
    with Simulator("invision", clock=clock, engines=1) as serving:
        yield serving


@pytest.fixture
def api(simulator):
    """A client that holds the key."""
    with httpx.Client(
        base_url=simulator.base_url, headers={"x-api-key": simulator.token}, timeout=10, verify=False
    ) as client:
        yield client


@pytest.fixture
def start(api):
    """Return a function that starts a Data Flow and gives the path of the run's status."""

    def run(flow=DataFlowId.IMPORT_SALES):
        return f"{PUB}/{flow}/runs/{api.post(f'{PUB}/{flow}/start').json()['runId']}/status"

    return run


@pytest.fixture
def word(api):
    """Return a function that asks for the status of a run."""
    return lambda path: api.get(path).json()["status"]


# Start and status


def test_a_run_from_start_to_end(simulator, api, clock):
    """A start answers with a GUID and a word; the status has the same two keys, until the run has succeeded."""
    started = api.post(f"{IMPORT}/start")
    run_id = started.json()["runId"]
    path = f"{IMPORT}/runs/{run_id}/status"

    assert (200, {"runId": run_id, "status": "Running"}) == (started.status_code, started.json())
    assert run_id == str(UUID(run_id))
    assert {"runId": run_id, "status": "Running"} == api.get(path).json()
    clock.advance(10)
    assert {"runId": run_id, "status": "Succeeded"} == api.get(path).json()
    assert [job.flow for job in simulator.pool.submissions()] == [DataFlowId.IMPORT_SALES]


def test_runs_wait_for_a_worker(start, word, clock):
    """Under load a run is Pending for as long as it takes."""
    start()
    second = start()

    assert word(second) == "Pending"
    clock.advance(10)
    assert word(second) == "Running"


def test_failure(start, word, clock):
    """A run that fails says so, and nothing more."""
    path = start(DataFlowId.UPDATE_BUDGET)
    clock.advance(5)

    assert word(path) == "Failed"


def test_stuck(start, word, clock):
    """A run whose worker crashed on an old release is Running forever."""
    path = start(DataFlowId.CLOSE_PERIOD)
    clock.advance(1e7)

    assert word(path) == "Running"


@pytest.mark.parametrize("shown", ["Pending", "Running"])
def test_resubmission(simulator, start, word, clock, shown):
    """A run whose worker crashes is resubmitted within a minute: it falls back to Pending, or looks like Running."""
    simulator.quirks = InVisionQuirks(after_crash=shown)
    path = start(DataFlowId.NIGHTLY_LOAD)
    words = [word(path)]
    for seconds in (10, 55, 20):
        clock.advance(seconds)
        words.append(word(path))

    assert ["Running", shown, "Running", "Succeeded"] == words


def test_a_cold_worker_starts_late(start, word, clock):
    """A run may be Pending although nothing else runs."""
    path = start(DataFlowId.COLD_START)

    assert word(path) == "Pending"
    clock.advance(30)
    assert word(path) == "Running"


@pytest.mark.parametrize("shown", ["Failed", "Succeeded"])
def test_a_stop_has_no_word(simulator, start, word, shown):
    """A run that was stopped inside the product shows as one of the two ends."""
    simulator.quirks = InVisionQuirks(aborted=shown)
    path = start()
    simulator.pool.cancel(1)

    assert shown == word(path)


@pytest.mark.parametrize("first", ["Pending", "Running", "Succeeded", "Failed"])
def test_the_first_status_may_be_any(simulator, api, first):
    """The answer to a start may say any of the four words."""
    simulator.quirks = InVisionQuirks(first_status=first)

    assert first == api.post(f"{IMPORT}/start").json()["status"]


def test_a_run_may_be_over_at_once(api):
    """The answer to the start of what takes no time says that it succeeded."""
    assert api.post(f"{PUB}/{DataFlowId.PING}/start").json()["status"] == "Succeeded"


@pytest.mark.parametrize("key", ["runId", "RunId", "runid", "RUNID"])
def test_key_names_may_be_of_any_case(simulator, api, key):
    """The id has its name in the case the server writes it, in both answers."""
    simulator.quirks = InVisionQuirks(run_id_key=key, words={"Running": "RUNNING"})

    started = api.post(f"{IMPORT}/start").json()
    status = api.get(f"{IMPORT}/runs/{started[key].upper()}/status").json()

    assert {key: started[key], "status": "RUNNING"} == started == status


def test_pauses_are_unknown(simulator, start, word, clock):
    """InVision has nothing that waits for a person: scripted pauses are left out."""
    simulator.pool.script(DataFlowId.IMPORT_SALES, Behaviour(duration=2, pauses=(Pause(1),)), times=1)
    path = start()
    clock.advance(2)

    assert word(path) == "Succeeded"


@pytest.mark.parametrize("kept", [60, math.inf])
def test_runs_are_kept_for_a_while(simulator, api, start, word, kept):
    """A run that ended is there for as long as the server keeps it, and then as unknown as any."""
    simulator.quirks = InVisionQuirks(kept_for=kept)
    path = start()
    simulator.clock.advance(10 + 59)
    assert word(path) == "Succeeded"

    simulator.clock.advance(1)

    assert (404 if kept == 60 else 200) == api.get(path).status_code


# Awaiting


@pytest.fixture
def awaiting(simulator, api):
    """Return a function that starts a Data Flow and waits for its end in another thread."""

    def send(flow=DataFlowId.IMPORT_SALES, query="await=true"):
        waiting = executor.submit(api.post, f"{PUB}/{flow}/start?{query}")
        assert simulator.wait_until_held()
        return waiting

    with ThreadPoolExecutor() as executor:
        yield send


@pytest.mark.parametrize("query", ["await=true", "AWAIT=True"])
def test_await(awaiting, clock, query):
    """With `await=true`, in any case, the answer comes when the run has ended."""
    waiting = awaiting(query=query)
    clock.advance(10)

    assert waiting.result().json()["status"] == "Succeeded"


def test_without_await(api):
    """`await=false` is the default."""
    assert api.post(f"{IMPORT}/start?await=false").json()["status"] == "Running"


@pytest.mark.parametrize("status", [200, 500])
def test_a_failed_await(simulator, awaiting, clock, status):
    """An awaited run that fails is an ordinary answer, or a fault without the id of the run."""
    simulator.quirks = InVisionQuirks(failed_await=status)
    waiting = awaiting(DataFlowId.UPDATE_BUDGET)
    clock.advance(5)
    answer = waiting.result()

    assert status == answer.status_code
    assert ("Failed" if status == 200 else None) == answer.json().get("status")


def test_a_proxy_may_not_wait(simulator, awaiting, clock):
    """A proxy before the server gives up on an awaited run after a while; its id is lost, and it goes on."""
    simulator.quirks = InVisionQuirks(longest_await=4)
    waiting = awaiting()
    clock.advance(4)

    assert waiting.result().status_code == 504
    assert simulator.pool.job(1).state == "running"


def test_an_awaited_run_may_be_forgotten(simulator, awaiting):
    """A run that the server forgets while it is awaited is unknown."""
    waiting = awaiting()
    simulator.pool.forget(1)

    assert waiting.result().status_code == 404


# Errors


@pytest.mark.parametrize("status", [401, 403, 500])
@pytest.mark.parametrize(("headers", "query"), [({}, ""), ({"x-api-key": "no"}, ""), ({}, "?api_key=no")])
def test_the_key_is_needed(simulator, status, headers, query):
    """Without the key, or with a wrong one, nothing starts; the code is not known."""
    simulator.quirks = InVisionQuirks(bad_key=status)

    answer = httpx.post(f"{simulator.base_url}{IMPORT}/start{query}", headers=headers)

    assert status == answer.status_code
    assert simulator.pool.submissions() == ()


def test_the_key_may_stand_in_the_query(simulator):
    """The query takes the key too, its name in any case; the record does not show it."""
    url = f"{simulator.base_url}{IMPORT}/start"

    assert [httpx.post(url, params={name: simulator.token}).status_code for name in ("api_key", "api_Key")] == [
        200,
        200,
    ]
    assert simulator.requests[0].query == [("api_key", "***")]
    assert simulator.requests[1].query == [("api_Key", "***")]


@pytest.mark.parametrize(("what", "status"), [("accept", 200), ("refuse", 400)])
def test_two_keys(simulator, api, what, status):
    """A key in both places is no mistake, or one."""
    simulator.quirks = InVisionQuirks(two_keys=what)

    assert status == api.post(f"{IMPORT}/start", params={"api_key": "other"}).status_code


@pytest.mark.parametrize(
    ("content_type", "status"), [(None, 415), ("text/plain", 415), ("application/json; charset=utf-8", 200)]
)
def test_content_type_may_be_required(simulator, api, content_type, status):
    """Some releases refuse a start whose body is not called JSON; others do not care."""
    headers = {"content-type": content_type} if content_type else {}
    assert api.post(f"{IMPORT}/start", headers=headers).status_code == 200

    simulator.quirks = InVisionQuirks(content_type="required")

    assert status == api.post(f"{IMPORT}/start", headers=headers, content=b"{}").status_code


@pytest.mark.parametrize("status", [404, 500])
def test_unknown_flows_and_runs(simulator, api, start, status):
    """An unknown Data Flow, an unknown run and a run of another Data Flow have codes of their own."""
    path = start()
    simulator.quirks = InVisionQuirks(unknown_flow=status, unknown_run=status)
    other = path.replace(DataFlowId.IMPORT_SALES, DataFlowId.PING)
    nobody = path.replace(DataFlowId.IMPORT_SALES, "nobody")

    answers = [api.post(f"{PUB}/nobody/start"), *(api.get(each) for each in (other, nobody, f"{IMPORT}/runs/7/status"))]

    assert [status] * 4 == [answer.status_code for answer in answers]


@pytest.mark.parametrize(
    ("shape", "content_type", "content"),
    [
        ("json", "application/json", b'{"message":"There is no such data flow."}'),
        ("text", "text/plain; charset=utf-8", b"There is no such data flow."),
        ("html", "text/html; charset=utf-8", b"<html><body><h1>There is no such data flow.</h1></body></html>"),
        ("empty", None, b""),
    ],
)
def test_error_bodies(simulator, api, shape, content_type, content):
    """The body of an error is anything."""
    simulator.quirks = InVisionQuirks(error_body=shape)

    answer = api.post(f"{PUB}/nobody/start")

    assert (content_type, content) == (answer.headers.get("content-type"), answer.content)


@pytest.mark.parametrize(("names", "status"), [("accepted", 200), ("refused", 404)])
def test_names_of_old_releases(simulator, api, names, status):
    """Up to 2.7 a Data Flow was started by its name, which need not be a GUID."""
    simulator.quirks = InVisionQuirks(names=names)
    simulator.publish(DataFlow("own", "My Flow"))

    answers = [api.post(f"{PUB}/{flow}/start") for flow in ("importsales", "my%20flow", "own")]

    assert [status, status, 200] == [answer.status_code for answer in answers]


def test_paths_have_no_case(simulator, api):
    """Paths and ids match in any case; what is no path of the API is a page of the web server's."""
    path = f"/API/Pub/V1/DataFlows/{DataFlowId.IMPORT_SALES.upper()}/START"

    assert api.post(path).status_code == 200
    outside = [api.get(path), api.get("/api/pub/v1/dataflows"), httpx.post(f"http://127.0.0.1:{simulator.port}{path}")]
    assert [answer.status_code for answer in outside] == [405, 404, 404]
    assert all(answer.text.startswith("<html>") for answer in outside)


# Around it


def test_settings(simulator):
    """A connection has to know the address with its prefix, and the key."""
    assert {"base_url": f"http://127.0.0.1:{simulator.port}/invision", "api_key": simulator.token} == simulator.settings


def test_secrets_are_not_shown(simulator):
    """The key is not in the representation of the server."""
    assert simulator.token not in repr(simulator.world)


@pytest.mark.parametrize("vendor", ["invision", "smart-flows", "fme-flow-v4"])
def test_quirks_are_the_vendors(vendor):
    """Another vendor's quirks are an error that names the right class, at first and later."""
    wrong = InVisionQuirks() if vendor != "invision" else Quirks()
    with pytest.raises(TypeError, match=r"The quirks of this server are .*Quirks, not"):
        Simulator(vendor, quirks=wrong)
    simulator = Simulator(vendor)
    with pytest.raises(TypeError, match="The quirks of this server are"):
        simulator.quirks = wrong


def test_quirks_are_checked():
    """A quirk that is none of the options is an error."""
    with pytest.raises(ValueError, match="bad_key"):
        InVisionQuirks(bad_key=404)
    with pytest.raises(ValueError, match="kept_for"):
        InVisionQuirks(kept_for=-1)


@pytest.mark.parametrize(
    ("how", "body", "taken"),
    [
        ("ignored", b'{"globalArguments": {"year": 2024}}', {}),
        ("ignored", b"{", {}),
        ("taken", b'{"globalArguments": {"year": 2024}}', {"year": 2024}),
        ("taken", b"{}", {}),
        ("taken", b"", {}),
        ("taken", b"{", None),
        ("taken", b"[" * 100_000, None),
        ("taken", b"[]", None),
        ("taken", b'{"globalArguments": 5}', None),
    ],
)
def test_arguments(simulator, api, how, body, taken):
    """No body is documented: it is ignored, or its arguments are the run's; what cannot be read starts nothing."""
    simulator.quirks = InVisionQuirks(arguments=how)

    answer = api.post(f"{IMPORT}/start", content=body)

    assert (500 if taken is None else 200) == answer.status_code
    assert ([] if taken is None else [taken]) == [dict(job.parameters) for job in simulator.pool.submissions()]


@pytest.mark.parametrize(("how", "status"), [("pending", 200), (429, 429), (503, 503)])
def test_throttling(simulator, api, how, status):
    """Under load a run waits its turn (documented), or may be refused as long as others wait."""
    simulator.quirks = InVisionQuirks(throttling=how)

    answers = [api.post(f"{IMPORT}/start") for _ in range(3)]

    assert [200, 200, status] == [answer.status_code for answer in answers]
    assert (None if status == 200 else "5") == answers[2].headers.get("retry-after")
    assert len(simulator.pool.submissions()) == (3 if status == 200 else 2)
