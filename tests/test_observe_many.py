"""Looking at many runs at once: what each backend asks, what it sees, and pages of a real server."""

import json
from datetime import UTC, datetime

import pytest

from flowrunner import connect
from flowrunner.backend import Backend, Capability, Listed, Settings
from flowrunner.backends.fme_flow_v3 import FmeFlowV3
from flowrunner.backends.fme_flow_v4 import FmeFlowV4
from flowrunner.backends.smart_flows import SmartFlows
from flowrunner.drive import drive
from flowrunner.enums import RunState
from flowrunner.errors import AuthenticationError, ProtocolError, VendorError
from flowrunner.models import RunRef
from flowrunner.plans import Page, Response
from flowrunner.simulator import Behaviour, ManualClock, Quirks, Simulator, SmartFlowsQuirks
from flowrunner.states import Meaning, Observation

NOON = datetime(2025, 1, 1, 12, tzinfo=UTC)


def reply(status, body=None):
    """An answer with a JSON body."""
    return Response(status, {}, b"" if body is None else json.dumps(body).encode())


def play(plan, *answers):
    """Play a plan to its end: what it returns, and what it asked."""
    asked = [next(plan)]
    for answer in answers:
        try:
            asked.append(plan.send(answer))
        except StopIteration as end:
            assert answer is answers[-1], "it ended before all answers were used"
            return end.value, asked
    raise AssertionError(f"it wants more than that: {asked[-1]}")


def shown(page):
    """What a page shows without being read."""
    return [(each.id, each.word, each.message, each.progress) for each in page.items]


def v3(**settings):
    """FME Flow V3; it asks for the server's zone unless it is configured."""
    return FmeFlowV3(FmeFlowV3.settings_class(base_url="https://fme.example", token="x", **settings))


def v4():
    """FME Flow V4."""
    return FmeFlowV4(FmeFlowV4.settings_class(base_url="https://fme.example", token="x"))


def smart_flows(**settings):
    """Smart Flows."""
    return SmartFlows(SmartFlows.settings_class(base_url="https://sf.example", api_key="x", **settings))


# What every backend has


class Listing(Backend):
    """A backend with a list of runs, and no more."""

    backend_api = 1
    name = family = "listing"
    capabilities = frozenset({Capability.LIST_RUNS, Capability.BULK})
    words = {"on": Meaning(RunState.RUNNING), "off": Meaning(RunState.SUCCEEDED)}

    def list_runs(self, query, cursor=None):
        """What is asked for becomes the word."""
        yield from ()
        states = ",".join(sorted(query.states))
        return Page((Listed("1", "f", Observation(word=states, message="m", progress=0.5)),), cursor)


@pytest.mark.parametrize(("ended", "states"), [(False, "queued,running,waiting"), (True, "cancelled,failed,succeeded")])
def test_a_list_of_runs_will_do(ended, states):
    """Without one of its own, a backend has its list of runs read, by state and page for page."""
    with pytest.raises(StopIteration) as end:
        next(Listing(Settings()).observe_many(ended=ended, cursor=5))
    page = end.value.value
    assert (shown(page), page.next) == ([("1", states, "m", 0.5)], 5)
    assert page.items[0].observation().word == states


# FME Flow V4


def test_v4_asks_for_what_goes_on():
    """One request a page, a thousand at once; the next page starts where the server's own limit ended this one."""
    job = {"id": 7, "status": "running", "statusMessage": "", "repository": "R", "workspace": "w.fmw"}
    body = {"items": [job, {"id": 8, "status": "resting"}], "totalCount": 5, "limit": 2}
    page, (request,) = play(v4().observe_many(ended=False), reply(200, body))
    assert request.path == "/fmeapiv4/jobs"
    assert request.query == (("status", "queued"), ("status", "running"), ("limit", "1000"), ("offset", "0"))
    assert shown(page) == [("7", "running", None, None), ("8", "resting", None, None)]
    assert page.items[0].observation() == Observation(word="running", flow="R/w.fmw", raw=json.dumps(job).encode())
    _, (request,) = play(v4().observe_many(ended=False, cursor=page.next), reply(200, {"items": []}))
    assert request.query[-1] == ("offset", "2")


def test_v4_asks_for_what_has_ended():
    """By the end, the last first."""
    job = {"id": 7, "status": "failure", "statusMessage": "m", "timeFinished": "2025-01-01T12:00:00Z"}
    page, (request,) = play(v4().observe_many(ended=True), reply(200, {"items": [job], "totalCount": 1}))
    assert [value for name, value in request.query if name == "status"] == ["success", "failure", "cancelled"]
    assert ("sort", "timeFinished_desc") in request.query
    assert (shown(page), page.next) == ([("7", "failure", "m", None)], None)
    assert page.items[0].observation().finished_at == NOON


# FME Flow V3


def test_v3_asks_for_the_zone_first_and_once():
    """Times without a zone are read later, when nobody can be asked; then, too, a server's odd zone is told of."""
    backend, job = v3(), {"id": 7, "status": "PULLED", "timeStarted": "2025-01-01T14:00:00"}
    body = reply(200, {"items": [job], "totalCount": 1})
    page, (info, request) = play(backend.observe_many(ended=False), reply(200, {"timeZone": "+0200"}), body)
    assert (info.path, request.path) == ("/fmerest/v3/info", "/fmerest/v3/transformations/jobs/active")
    assert request.query == (("limit", "1000"), ("offset", "0"))
    assert page.items[0].observation().started_at == NOON
    _, (request,) = play(backend.observe_many(ended=True), body)
    assert request.path == "/fmerest/v3/transformations/jobs/completed"


@pytest.mark.parametrize(("zone", "remarks"), [("", 1), ("Z", 0)])
def test_v3_tells_of_a_zone_it_does_not_know(zone, remarks):
    """Of a job it matters to, and no other."""
    body = {"items": [{"id": 7, "status": "PULLED", "timeStarted": f"2025-01-01T12:00:00{zone}"}]}
    page, _ = play(v3().observe_many(ended=False), reply(500), reply(200, body))
    seen = page.items[0].observation()
    assert (seen.started_at, len(seen.remarks)) == (NOON, remarks)


def test_v3_sees_the_word_that_counts():
    """Of a record and its result, as a look at the job does; values that were sent are in nothing that is kept."""
    jobs = [
        {"id": 1, "status": "SUCCESS", "result": {"status": "FME_FAILURE", "statusMessage": "m"}},
        {"id": 2, "status": "SUCCESS", "statusMessage": "n", "result": None},
        {"id": 3, "result": {"status": "ABORTED"}},
        {"id": 4, "status": "SUCCESS", "request": {"publishedParameters": [{"name": "A", "raw": "geheim"}]}},
    ]
    page, _ = play(v3(time_zone="UTC").observe_many(ended=True), reply(200, {"items": jobs, "totalCount": 4}))
    assert shown(page) == [
        ("1", "FME_FAILURE", "m", None),
        ("2", "SUCCESS", "n", None),
        ("3", "ABORTED", None, None),
        ("4", "SUCCESS", None, None),
    ]
    assert len(page.items[0].observation().remarks) == 1
    assert b"geheim" not in page.items[3].observation().raw


# Smart Flows


def execution(number, status, **more):
    """An execution in a list."""
    return {"id": f"e{number}", "status": status, "flow": {"id": "f"}, **more}


@pytest.mark.parametrize(
    ("ended", "word", "missing", "sort"),
    [(False, "Running", "Success", "createdAt,desc"), (True, "Success", "Running", "modifiedAt,desc")],
)
def test_smart_flows_filters(ended, word, missing, sort):
    """By every spelling of the words; what has ended by its last change. An empty page is the end."""
    items = [execution(1, word, percentage=250, message="m", createdAt="2025-01-01T12:00:00Z")]
    page, (request,) = play(smart_flows().observe_many(ended=ended), reply(200, items))
    assert (request.method, request.path) == ("POST", "/api/v1/flows/executions/filter")
    assert {("page", "0"), ("size", "1000"), ("sort", sort)} <= set(request.query)
    words = request.json["group"]["nodes"][0]["condition"]["values"]
    assert word in words
    assert missing not in words
    assert shown(page) == [("e1", word, "m", 1.0)]
    assert page.items[0].observation().queued_at == NOON
    last, (request,) = play(smart_flows().observe_many(ended=ended, cursor=page.next), reply(200, []))
    assert ("page", "1") in request.query
    assert (list(last.items), last.next) == ([], None)


def test_smart_flows_without_a_filter():
    """The list of all is sorted out here; what has a word that nobody knows goes on as far as one can tell."""
    items = [execution(1, "Success"), execution(2, "Resting"), execution(3, "Queued"), {"id": "e4"}]
    page, (_, request) = play(smart_flows().observe_many(ended=False), reply(404), reply(200, items))
    assert (request.method, request.path) == ("GET", "/api/v1/flows/executions")
    assert [each.id for each in page.items] == ["e2", "e3", "e4"]
    page, (_, request) = play(smart_flows().observe_many(ended=True), reply(404), reply(200, items))
    assert [each.id for each in page.items] == ["e1"]
    _, (request,) = play(smart_flows().observe_many(ended=True, cursor=page.next), reply(200, items))
    assert request.method == "GET"
    assert {("page", "1"), ("sort", "modifiedAt,desc")} <= set(request.query)


def test_smart_flows_that_cannot_sort_so():
    """The list by the start is left, for servers that sort by nothing else; where that is refused, too, it is told."""
    page, asked = play(smart_flows().observe_many(ended=True), reply(400), reply(400), reply(200, []))
    assert ("sort", "createdAt,desc") in asked[-1].query
    assert page.next is None
    with pytest.raises(VendorError):
        play(smart_flows().observe_many(ended=True), reply(400), reply(400), reply(500, {"message": "x"}))


def test_smart_flows_learns_words():
    """A word that the configuration teaches is in no filter: the list of all is asked for, and sorted by it."""
    backend = smart_flows(status_map={"resting": Meaning(RunState.SUCCEEDED)})
    items = [execution(1, "Resting"), execution(2, "Running")]
    page, (request,) = play(backend.observe_many(ended=True), reply(200, items))
    assert request.method == "GET"
    assert [each.id for each in page.items] == ["e1"]


@pytest.mark.parametrize("make", [v4, lambda: v3(time_zone="UTC"), smart_flows])
def test_what_is_no_page(make):
    """A refusal is the error it stands for, and what cannot be read is ProtocolError."""
    for answer, kind in ((reply(401, {"message": "no"}), AuthenticationError), (reply(200, {"x": 1}), ProtocolError)):
        with pytest.raises(kind):
            play(make().observe_many(ended=False), answer)


# A real server, five runs in pages of two


QUIRKS = {
    "fme-flow-v4": Quirks(max_limit=2),
    "fme-flow-v3": Quirks(max_limit=2, v3_times="bare"),
    "smart-flows": SmartFlowsQuirks(largest_page=2),
}
QUIRKS["fme-flow"] = QUIRKS["fme-flow-v4"]


@pytest.mark.parametrize("name", QUIRKS)
def test_pages_of_a_server(name):
    """Every run that goes on, then every one that has ended, the last first; each says what a look at it says."""
    vendor = name if name in {"fme-flow-v3", "smart-flows"} else "fme-flow-v4"
    clock = ManualClock()
    with Simulator(vendor, clock=clock, engines=9, quirks=QUIRKS[name]) as simulator:
        flow = next(iter(simulator.world.flows)) if vendor == "smart-flows" else "Samples/austinDownload.fmw"
        options = {"payload": "<a/>"} if vendor == "smart-flows" else {"parameters": {}}
        simulator.pool.script(flow, Behaviour(duration=5))
        with connect(backend=name, check_parameters=False, config=None, **simulator.settings) as client:
            started = []
            for _ in range(5):
                started.append(client.submit(flow, **options).id)
                clock.advance(0.5)
            assert sorted(_seen(client, flow, ended=False)) == sorted(started)
            assert _seen(client, flow, ended=True) == []
            clock.advance(3.6)
            assert sorted(_seen(client, flow, ended=False)) == sorted(started[3:])
            assert _seen(client, flow, ended=True) == started[2::-1]


def _seen(client, flow, *, ended):
    """The ids over all pages, each compared with a look."""
    backend, send = client._backend, client._session.send
    client.health()  # which has `fme-flow` choose its interface
    found, cursor = [], None
    while True:
        page = drive(backend.observe_many(ended=ended, cursor=cursor), send)
        for each in page.items:
            look = drive(backend.observe(RunRef(client.name, client.backend, flow, each.id)), send)
            assert (each.word, each.observation().word) == (look.word, look.word)
            found.append(each.id)
        cursor = page.next
        if cursor is None:
            return found
