"""FME Flow of any version: which interface is chosen, when, and what is said about it."""

import asyncio
import json
import logging
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowrunner import events
from flowrunner.backend import Capability, RunQuery, Submission, Upload
from flowrunner.backends._fme import NoJobEndpoint
from flowrunner.backends.fme_flow import FmeFlow, FmeFlowSettings
from flowrunner.client import AsyncClient
from flowrunner.enums import CancelOutcome, RunState
from flowrunner.errors import (
    AuthenticationError,
    FlowNotFound,
    FlowrunnerError,
    InvalidRequest,
    PermissionDenied,
    ProtocolError,
    RateLimited,
    SubmissionUncertain,
    TransportError,
    UnsupportedOperation,
    UnsupportedOption,
    VendorError,
)
from flowrunner.models import ArtifactSource, RemoteFile, RunRef, SubmitOptions
from flowrunner.plans import FileBody, Response
from flowrunner.simulator import Behaviour, ManualClock, Simulator

FLOW = "Samples/austinDownload.fmw"
REF = RunRef("prod", "fme-flow", FLOW, "42")
HTML = Response(404, {}, b"<html>404</html>")
OLD, NEW, NEWEST = 23619, 25606, 26333


def make(**settings):
    """A backend that nothing is connected to."""
    return FmeFlow(FmeFlowSettings(base_url="https://fme.example.com/fmeserver/", token="t0ken", **settings))


def reply(status, body=None):
    """An answer with a JSON body."""
    return Response(status, {}, b"" if body is None else json.dumps(body).encode())


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


def chosen(build):
    """A backend that has asked a server of this build."""
    backend = make()
    play(backend.prepare(), reply(200, {"buildNumber": build}))
    return backend


# Choosing


@pytest.mark.parametrize(("build", "api"), [(25207, "fme-flow-v3"), (25208, "fme-flow-v4"), (26333, "fme-flow-v4")])
def test_the_build_decides(build, api):
    """V4 runs jobs from build 25208 on; before that it is V3, with one warning that names the end of V3."""
    backend = make()
    assert not backend.is_prepared
    remarks, (request,) = play(backend.prepare(), reply(200, {"buildNumber": build, "releaseYear": 2025}))

    assert (request.method, request.path) == ("GET", "/fmeinfo/version")
    assert backend.is_prepared
    assert api in remarks[0]
    assert str(build) in remarks[0]
    assert ("2026.1" in " ".join(remarks)) == (api == "fme-flow-v3")
    assert (Capability.LOGS in backend.capabilities) == (api == "fme-flow-v3")
    assert (Capability.LONG_POLL in backend.capabilities) == (api == "fme-flow-v4")
    assert backend.runs_payloads_at_once == (api == "fme-flow-v3")
    assert backend.base_url == "https://fme.example.com"
    assert backend.authorize()["Authorization"].reveal() == "fmetoken token=t0ken"


@pytest.mark.parametrize(
    "version",
    [
        HTML,
        said(404, "nothing here"),
        said(403, "admins only"),
        Response(403),
        Response(200, {}, b"<html>"),
        reply(200, {"v": 1}),
    ],
)
@pytest.mark.parametrize(
    ("text", "api"),
    [("FME Server 2023.0 - Build 23166 - linux-x64", "fme-flow-v3"), ("FME Flow - Build 25300", "fme-flow-v4")],
)
def test_an_older_server_tells_its_build_elsewhere(version, text, api):
    """A server without `/fmeinfo/version` is asked over V3, whose build stands in a text."""
    remarks, (_, request) = play(make().prepare(), version, reply(200, {"build": text}))

    assert request.path == "/fmerest/v3/info"
    assert api in remarks[0]


@pytest.mark.parametrize(
    "info",
    [
        HTML,
        said(404, "x"),
        said(403, "x"),
        reply(200, {"build": "no number"}),
        reply(200, {"build": "Build " + "9" * 5000}),
        reply(200, {}),
    ],
)
def test_what_is_no_fme_flow(info):
    """A server that tells no build either way is none: the error says what to check, and nothing is chosen."""
    backend = make()
    with pytest.raises(ProtocolError, match="check that base_url") as caught:
        play(backend.prepare(), HTML, info)
    assert caught.value.transient
    assert not backend.is_prepared


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (said(401, "no"), AuthenticationError),
        (Response(429), RateLimited),
        (Response(503), VendorError),
        (TransportError("no", maybe_arrived=False), TransportError),
    ],
)
@pytest.mark.parametrize("first", [(), (HTML,)])
def test_a_server_that_does_not_say_now(answer, expected, first):
    """A refusal or a server that is away decides nothing: it is the error of its kind, and asked again next time."""
    backend = make()
    with pytest.raises(expected):
        play(backend.prepare(), *first, answer)
    assert not backend.is_prepared


def test_two_who_ask_at_once():
    """Of two calls that ask at the same time the first decides, and the second has nothing to say."""
    backend = make()
    one, other = backend.prepare(), backend.prepare()
    next(one)
    next(other)
    ends = []
    for plan in (one, other):
        with pytest.raises(StopIteration) as end:
            plan.send(reply(200, {"buildNumber": OLD}))
        ends.append(end.value.value)
    assert [len(remarks) for remarks in ends] == [2, 0]


# Falling back


@pytest.mark.parametrize("answer", [Response(405), said(405, "not allowed"), HTML, Response(404), reply(404, {})])
@pytest.mark.parametrize("waits", [False, True])
def test_a_server_without_post_jobs(answer, waits):
    """Where `POST /jobs` is 405, or 404 by something else than the API, V3 takes the submission, and all after."""
    backend = chosen(NEW)
    submission = Submission(flow=FLOW)
    plan = backend.run(submission, 5) if waits else backend.submit(submission)
    accepted, (first, second) = play(plan, answer, reply(202, {"id": 7}))

    assert first.path.startswith("/fmeapiv4/jobs")
    assert second.path.startswith("/fmerest/v3/transformations/")
    assert accepted.id == "7"
    assert str(answer.status) in accepted.remarks[0]
    assert "2026.1" in accepted.remarks[1]
    assert Capability.LOGS in backend.capabilities
    _, (request,) = play(backend.observe(REF), reply(200, {"status": "PULLED"}))
    assert request.path.startswith("/fmerest/v3/")


@pytest.mark.parametrize("first", [Response(405), HTML])
@pytest.mark.parametrize("second", [HTML, Response(405), Response(302, {"location": "/login"})])
def test_a_server_with_neither(first, second):
    """Where V3 does not answer as itself either, it was not the server: V4's error is raised, and V4 stays."""
    backend = chosen(NEW)
    with pytest.raises(NoJobEndpoint) as caught:
        play(backend.submit(Submission(flow=FLOW)), first, second)
    assert isinstance(caught.value, ProtocolError)
    assert caught.value.http_status == first.status
    assert Capability.LONG_POLL in backend.capabilities
    assert backend.is_prepared == (first.status != 404)
    assert next(backend.submit(Submission(flow=FLOW))).path == "/fmeapiv4/jobs"


def test_a_flow_that_v3_does_not_know():
    """What V3 says of the submission as itself is the error; nothing is remembered, since nothing was accepted."""
    backend = chosen(NEW)
    with pytest.raises(FlowNotFound):
        play(backend.submit(Submission(flow=FLOW)), Response(405), said(404, "Item x.fmw does not exist."))
    assert next(backend.submit(Submission(flow=FLOW))).path == "/fmeapiv4/jobs"


def test_two_who_fall_back_at_once():
    """Of two submissions that find it out at the same time, the first says so."""
    backend = chosen(NEW)
    one, other = (backend.submit(Submission(flow=FLOW)) for _ in range(2))
    next(one)
    next(other)
    ends = []
    for plan in (one, other):
        assert plan.send(Response(405)).path.startswith("/fmerest/v3/")
    for number, plan in enumerate((one, other)):
        with pytest.raises(StopIteration) as end:
            plan.send(reply(202, {"id": number}))
        ends.append(end.value.value)
    assert [len(accepted.remarks) for accepted in ends] == [2, 0]
    assert backend.is_prepared


@pytest.mark.parametrize("answer", [HTML, Response(410)])
@pytest.mark.parametrize("plan", ["observe", "cancel", "runs", "describe", "submit"])
def test_an_interface_that_is_gone(answer, plan):
    """A 404 or 410 that is not the interface's own makes the next call ask the version again: V4 after an upgrade."""
    backend = chosen(OLD)
    with pytest.raises(ProtocolError):
        play(PLANS[plan](backend), answer)
    assert not backend.is_prepared
    remarks, _ = play(backend.prepare(), reply(200, {"buildNumber": 26400}))
    assert "fme-flow-v4 was chosen" in remarks[0]
    assert backend.is_prepared
    assert Capability.LONG_POLL in backend.capabilities


def test_an_interface_that_seems_gone():
    """Where the server then says what it said before, or nothing, the choice stays, and nothing is told."""
    for answers in ((reply(200, {"buildNumber": OLD}),), (HTML, HTML)):
        backend = chosen(OLD)
        with pytest.raises(ProtocolError):
            play(backend.observe(REF), HTML)
        remarks, _ = play(backend.prepare(), *answers)
        assert remarks == ()
        assert backend.is_prepared
        assert next(backend.observe(REF)).path.startswith("/fmerest/v3/")


def test_an_upgrade_after_falling_back():
    """A server that lacked `POST /jobs` may have it after an upgrade: V4 is chosen when V3 is gone."""
    backend = chosen(NEW)
    play(backend.submit(Submission(flow=FLOW)), HTML, reply(202, {"id": 7}))
    assert backend.is_prepared
    with pytest.raises(ProtocolError):
        play(backend.observe(REF), HTML)
    play(backend.prepare(), reply(200, {"buildNumber": 26400}))
    assert next(backend.observe(REF)).path.startswith("/fmeapiv4/")


@pytest.mark.parametrize("answer", [said(404, "There is no such job."), Response(500), Response(405)])
def test_an_interface_that_is_there(answer):
    """Any other error says nothing about the interface."""
    backend = chosen(OLD)
    with pytest.raises(FlowrunnerError):
        play(backend.observe(REF), answer)
    assert backend.is_prepared


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (said(404, "Item x.fmw does not exist."), FlowNotFound),
        (said(403, "lack of proper permissions"), PermissionDenied),
        (said(400, "bad"), InvalidRequest),
        (Response(500), SubmissionUncertain),
        (TransportError("cut", maybe_arrived=True), SubmissionUncertain),
    ],
)
def test_what_is_no_reason_to_fall_back(answer, expected):
    """A mistyped workspace, and a submission that may have been accepted, never become a V3 job."""
    backend = chosen(NEW)
    with pytest.raises(expected):
        play(backend.submit(Submission(flow=FLOW)), answer)
    assert Capability.LONG_POLL in backend.capabilities


def test_v3_has_nothing_to_fall_back_to():
    """A 404 over V3 is what it is."""
    with pytest.raises(ProtocolError):
        play(chosen(OLD).submit(Submission(flow=FLOW)), HTML)


@pytest.mark.parametrize(
    ("build", "options", "option", "alternative"),
    [
        (NEW, SubmitOptions(extra={"rtc": True}), "rtc", "submit again"),
        (NEW, SubmitOptions(extra={"priority": 5}), "priority", "queue"),
        (NEW, SubmitOptions(description="x"), "description", "directives"),
        (NEW, SubmitOptions(extra={"max_total_life_time": 5}), "max_total_life_time", "max_run_time"),
        (OLD, SubmitOptions(extra={"max_total_life_time": 5}), "max_total_life_time", "max_run_time"),
    ],
)
def test_an_option_of_the_other_interface(build, options, option, alternative):
    """An option that the chosen interface lacks is never dropped: the error names it and what to use instead."""
    with pytest.raises(UnsupportedOption, match=alternative) as caught:
        next(chosen(build).submit(Submission(flow=FLOW, options=options)))
    assert caught.value.option == option
    assert option in str(caught.value)


# What is passed on

PLANS = {
    "submit": lambda backend: backend.submit(Submission(flow=FLOW)),
    "run": lambda backend: backend.run(Submission(flow=FLOW), 5),
    "observe": lambda backend: backend.observe(REF),
    "result": lambda backend: backend.result(REF),
    "cancel": lambda backend: backend.cancel(REF),
    "runs": lambda backend: backend.list_runs(RunQuery()),
    "many": lambda backend: backend.observe_many(ended=False),
    "flows": lambda backend: backend.list_flows(),
    "describe": lambda backend: backend.describe(FLOW),
    "upload": lambda backend: backend.upload(Upload(name="x", folder="f", content=FileBody(before=b"x"))),
    "remove": lambda backend: backend.remove(RemoteFile(name="x", reference="$(X)/x")),
    "download file": lambda backend: backend.download_file("$(X)/x", Path("x"), None),
    "health": lambda backend: backend.health(),
}


@pytest.mark.parametrize("plan", PLANS)
@pytest.mark.parametrize(("build", "base"), [(OLD, "/fmerest/v3/"), (NEW, "/fmeapiv4/")])
def test_every_operation_is_the_chosen_interfaces(plan, build, base):
    """Every operation goes to the interface that was chosen."""
    assert next(PLANS[plan](chosen(build))).path.startswith(base)


def test_what_both_do_alike():
    """A dataset's address is the same over both; only V3 has logs."""
    assert next(chosen(NEW).download(ArtifactSource(name="x", location="/x"), Path("x"), None)).path == "/x"
    assert next(chosen(OLD).logs(REF)).path.endswith("/log")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
STATUSES = st.sampled_from([200, 200, 202, 204, 400, 401, 403, 404, 405, 409, 422, 429, 500, 503])


@given(
    statuses=st.lists(STATUSES, min_size=8, max_size=8),
    body=JSON
    | st.fixed_dictionaries(
        {},
        optional={
            "buildNumber": st.sampled_from([OLD, NEW, -1, 10**400]) | JSON,
            "build": st.sampled_from(["Build 1", "Build " + "9" * 5000, "Build ²"]) | JSON,
            "message": st.text(max_size=8),
            "id": st.integers(),
        },
    ),
    plan=st.sampled_from(sorted(PLANS)),
)
def test_whatever_the_server_says_only_our_errors_come_out(statuses, body, plan):
    """Any JSON as the body of any answer, to the choice and to each plan, is a value or an error of ours."""
    backend, answers = make(), [Response(status, {}, json.dumps(body).encode()) for status in statuses]
    for start in (backend.prepare, lambda: PLANS[plan](backend if backend.is_prepared else chosen(NEW))):
        playing = start()
        next(playing)
        with pytest.raises((StopIteration, FlowrunnerError)):  # noqa: PT012 - how many requests there are varies
            for answer in answers:
                playing.send(answer)


# Over real sockets


@pytest.fixture
def manual():
    """The simulator's clock."""
    return ManualClock()


@pytest.fixture
def clock(manual, clock_of):
    """The client's clock, which moves the simulator's along."""
    return clock_of(manual)


@pytest.fixture
def simulator(manual):
    """An FME Flow whose build decides what it answers."""
    with Simulator("fme-flow", clock=manual) as serving:
        yield serving


@pytest.fixture
def happened():
    """What the clients told."""
    return []


@pytest.fixture
def connect(simulator, open_client, happened):
    """Open a client of the simulator."""

    def make_client(backend="fme-flow", **settings):
        return open_client(
            **{
                "backend": backend,
                "base_url": simulator.base_url,
                "token": simulator.token,
                "max_long_polls": 0,
                "on_event": happened.append,
                **settings,
            }
        )

    return make_client


def notices(happened):
    """What was said about the connection."""
    return [event.description for event in happened if isinstance(event, events.Notice)]


@pytest.mark.parametrize(("build", "api"), [(OLD, "REST V3"), (NEW, "REST V4"), (NEWEST, "REST V4")])
def test_it_says_which_it_chose(connect, simulator, happened, caplog, *, build, api):
    """The choice is made by one question, told in health() and once in an event, which warns where it is V3."""
    simulator.world.build = build
    client = connect()
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            assert RunState.SUCCEEDED is client.run(FLOW, {"MAXY": 1}).status.state
    health = client.health()

    assert (health.api, health.healthy, str(build) in health.version) == (api, True, True)
    assert api.rpartition(" ")[2].lower() in notices(happened)[0]
    assert ["2026.1" in text for text in notices(happened)] == ([False, True] if api == "REST V3" else [False])
    assert ("2026.1" in caplog.text) == (api == "REST V3")
    probes = [*simulator.requests.matching("/fmerest/v3/info"), *simulator.requests.matching("/fmeinfo/version")]
    assert len(probes) <= 3
    used = simulator.requests.matching("/fmerest/v3/transformations/*" if api == "REST V3" else "/fmeapiv4/jobs*")
    other = simulator.requests.matching("/fmeapiv4/jobs*" if api == "REST V3" else "/fmerest/v3/transformations/*")
    assert used
    assert not other


@pytest.mark.parametrize("status", [405, 404])
def test_a_server_that_turns_out_to_lack_it(connect, simulator, happened, status):
    """A server that does not know `POST /jobs` after all is spoken to over V3: one job, and one warning."""
    simulator.respond_next("/fmeapiv4/jobs", status, "<html>no</html>", method="POST")
    client = connect()
    run = client.submit(FLOW)
    assert RunState.SUCCEEDED is run.wait().status.state
    client.submit(FLOW)

    assert len(simulator.pool.submissions()) == 2
    assert len(simulator.requests.matching("/fmeapiv4/jobs", "POST")) == 1
    assert client.health().api == "REST V3"
    assert ["2026.1" in text for text in notices(happened)] == [False, False, True]


def test_a_mistyped_workspace(connect, simulator):
    """A workspace that is not there is FlowNotFound over V4 and never tried over V3."""
    client = connect()
    with pytest.raises(FlowNotFound):
        client.submit("Samples/none.fmw")
    assert simulator.requests.matching("/fmerest/*") == []
    assert client.health().api == "REST V4"


@pytest.mark.parametrize("before", ["fme-flow-v3", "fme-flow"])
@pytest.mark.parametrize("after", ["fme-flow-v4", "fme-flow"])
def test_a_run_survives_an_upgrade(connect, simulator, before, after):
    """Runs that were started over V3 are attached, followed, cancelled and read over V4 after the upgrade."""
    simulator.world.build = OLD
    old = connect(before)
    simulator.pool.script(FLOW, Behaviour(duration=30, features=3), 1)
    simulator.pool.script(FLOW, Behaviour(duration=500), 1)
    live, doomed = (str(old.submit(FLOW).ref) for _ in range(2))
    ended = old.submit("Samples/austinApartments.fmw")

    simulator.world.build = NEWEST
    new = connect(after)
    followed = new.attach(live)
    assert RunState.UNKNOWN is followed.status.state
    assert [status.state for status in followed.watch()] == [RunState.RUNNING, RunState.SUCCEEDED]
    assert followed.result().metrics["features_written"] == 3
    assert CancelOutcome.CONFIRMED is new.attach(doomed).cancel()
    assert RunState.SUCCEEDED is new.attach(ended.ref).wait().status.state
    assert {run.id for run in new.runs()} == {"1", "2", "3"}


def test_an_upgrade_while_a_run_is_waited_for(open_client, simulator, happened):
    """A wait that began over V3 goes on over V4 when the server is upgraded meanwhile; one notice says so."""
    simulator.world.build = OLD

    def upgrading(event):
        happened.append(event)
        if isinstance(event, events.StatusChanged) and event.new.state is RunState.RUNNING:
            simulator.world.build = 26400

    client = open_client(
        backend="fme-flow",
        base_url=simulator.base_url,
        token=simulator.token,
        max_long_polls=0,
        on_event=upgrading,
    )
    simulator.pool.script(FLOW, Behaviour(duration=30, features=3), 1)
    result = client.submit(FLOW).wait(timeout=600)

    assert (result.status.state, result.metrics["features_written"]) == (RunState.SUCCEEDED, 3)
    assert simulator.requests.matching("/fmerest/v3/transformations/jobs/*")
    assert simulator.requests.matching("/fmeapiv4/jobs/1")
    kinds = [type(event) for event in happened]
    assert kinds.count(events.ContactFailed) == kinds.count(events.ContactRestored) == 1
    assert "fme-flow-v4 was chosen: the server is of build 26400" in notices(happened)
    assert client.health().api == "REST V4"
    assert RunState.SUCCEEDED is client.run(FLOW).status.state


@pytest.mark.parametrize("before", ["fme-flow-v4", "fme-flow"])
@pytest.mark.parametrize("after", ["fme-flow-v3", "fme-flow"])
def test_a_run_survives_a_downgrade(connect, simulator, before, after):
    """And the other way round: runs of V4 are followed, cancelled and read over V3."""
    new = connect(before)
    simulator.pool.script(FLOW, Behaviour(duration=30, outcome="failed", message="boom"), 1)
    simulator.pool.script(FLOW, Behaviour(duration=500), 1)
    live, doomed = (str(new.submit(FLOW).ref) for _ in range(2))

    simulator.world.build = OLD
    old = connect(after)
    result = old.attach(live).wait(raise_on_failure=False)
    assert (result.status.state, result.status.message) == (RunState.FAILED, "boom")
    assert CancelOutcome.CONFIRMED is old.attach(doomed).cancel()
    assert list(old.attach(live).logs())


def test_a_connection_with_a_wrong_token(connect, simulator):
    """Health says that the credential is refused; it raises nothing, whatever the server's build."""
    for build in (OLD, NEW):
        simulator.world.build = build
        health = connect(token="wr0ng", retries=0).health()
        assert (health.reachable, health.authenticated) == (True, False)
        assert "wr0ng" not in str(health)


def test_a_server_that_refuses_to_tell_its_version(connect, simulator):
    """A 401 to the question itself is an answer about the credential; a page of something else is none at all."""
    simulator.respond_next("/fmeinfo/version", 401, {"message": "Authentication failed"})
    health = connect().health()
    assert (health.reachable, health.authenticated) == (True, False)
    assert "credential" in health.message

    simulator.respond_next("*", 404, "<html>", times=2)
    health = connect().health()
    assert (health.reachable, health.authenticated) == (False, None)
    assert "base_url" in health.message


def test_a_server_that_is_not_there(connect, simulator):
    """A server that cannot be reached is an answer of health, and a clear error of all else; it is asked again."""
    simulator.stop()
    client = connect(retries=0)
    health = client.health()
    assert (health.reachable, health.authenticated) == (False, None)
    with pytest.raises(TransportError, match="Check base_url"):
        client.submit(FLOW)
    simulator.start()
    assert client.health().healthy


def test_logs_of_a_server_without_them(connect):
    """Before the choice all that either can do may be there; after it, what is not is UnsupportedOperation."""
    client = connect()
    assert Capability.LOGS in client.capabilities
    run = client.submit(FLOW)
    assert Capability.LOGS not in client.capabilities
    with pytest.raises(UnsupportedOperation, match="LOGS"):
        list(run.logs())


@pytest.mark.anyio
async def test_many_at_once_hear_of_it_once(simulator, connected, clock, happened):
    """Calls that begin together on a fresh connection give one warning between them."""
    simulator.world.build = OLD
    connection = connected(backend="fme-flow", base_url=simulator.base_url, token=simulator.token)
    client = AsyncClient(connection, on_event=happened.append, clock=clock)
    try:
        await asyncio.gather(*(client.submit(FLOW) for _ in range(5)))
    finally:
        await client.close()
    assert len(notices(happened)) == 2
