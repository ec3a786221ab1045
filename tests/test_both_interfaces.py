"""One program over V3, V4 and whichever the server has, over real sockets: only the backend's name changes."""

import json
import threading
import zipfile
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from attrs import evolve

from flowrunner import events
from flowrunner.backend import Capability
from flowrunner.enums import CancelOutcome, Cause, RunState
from flowrunner.errors import (
    ConfigError,
    FlowNotFound,
    FlowrunnerError,
    InvalidParameters,
    InvalidRequest,
    RunCancelled,
    RunFailed,
    RunLost,
    UnsupportedOption,
)
from flowrunner.models import ParameterKind, SubmitOptions
from flowrunner.simulator import EVERY_PARAMETER, Behaviour, JobNotes, ManualClock, Quirks, Simulator, Workspace

# Smaller tests run every line that is run here: to measure it once more would more than double the time.
pytestmark = pytest.mark.no_cover

AUSTIN = "Samples/austinDownload.fmw"
TEN = "Tutorials/10seconds.fmw"
EVERY = "Samples/everyParameter.fmw"
ODD = "Ø & Å/räksbø 100%.fmw"
V3 = "/fmerest/v3/transformations"
SERVERS = {
    # The backend, the server, and its build where that decides
    "v3": ("fme-flow-v3", "fme-flow-v3", None),
    "v4": ("fme-flow-v4", "fme-flow-v4", None),
    "either, of an old server": ("fme-flow", "fme-flow", 23619),
    "either, of a new server": ("fme-flow", "fme-flow", 25606),
}


@pytest.fixture
def manual():
    """The simulators' clock."""
    return ManualClock()


@pytest.fixture
def clock(manual, clock_of):
    """The clients' clock, which moves the simulators' along."""
    return clock_of(manual)


def serve(server, build, manual):
    """A server with the same workspaces as any other."""
    serving = Simulator(server, clock=manual)
    if build is not None:
        serving.world.build = build
    for workspace in (EVERY_PARAMETER, Workspace(*ODD.split("/"), behaviour=Behaviour(duration=1))):
        serving.publish(workspace)
    return serving


@pytest.fixture(params=SERVERS)
def backend(request):
    """Which backend, of which server."""
    return SERVERS[request.param][0], request.param


@pytest.fixture
def simulator(manual, backend):
    """A server that the backend can speak to."""
    with serve(*SERVERS[backend[1]][1:], manual) as serving:
        yield serving


@pytest.fixture
def happened():
    """What the client told."""
    return []


@pytest.fixture
def connect(simulator, open_client, backend, happened):
    """Open a client of the server."""

    def make(**settings):
        own = {"backend": backend[0], "base_url": simulator.base_url, "token": simulator.token, "max_long_polls": 0}
        return open_client(**{**own, "on_event": happened.append, **settings})

    return make


@pytest.fixture
def client(connect):
    """A client that polls."""
    return connect()


@pytest.fixture
def v3(manual):
    """A server that has V3 alone."""
    with serve("fme-flow-v3", None, manual) as serving:
        yield serving


@pytest.fixture
def v3_client(v3, open_client, happened):
    """A client of it."""
    return open_client(backend="fme-flow-v3", base_url=v3.base_url, token=v3.token, on_event=happened.append)


@pytest.fixture
def time_passes(request, clock, manual):
    """Somebody lets time pass whenever a request is held."""
    serving = request.getfixturevalue("v3" if "v3" in request.fixturenames else "simulator")
    ended = threading.Event()

    def let_time_pass():
        while not ended.is_set():
            if serving.wait_until_held(timeout=0.02) and (change := serving.pool.next_change()) is not None:
                clock.advance(min(max((change - manual.now()).total_seconds(), 0), 5.0))
            ended.wait(0.001)

    thread = threading.Thread(target=let_time_pass)
    thread.start()
    yield
    ended.set()
    thread.join()


def speaks_v3(simulator):
    """Whether a server was spoken to over V3."""
    return bool(simulator.requests.matching(f"{V3}/*"))


# The same program


def test_the_same_program(client, simulator, clock, tmp_path):
    """A whole program runs the same over every backend: check, submit, follow, read, download, cancel, list, health."""
    health = client.health()
    assert (health.reachable, health.authenticated, health.healthy) == (True, True, True)
    assert {AUSTIN, TEN, EVERY, ODD} <= {flow.flow for flow in client.flows()}
    assert client.describe(AUSTIN).parameter("THEMES").multiple
    with pytest.raises(InvalidParameters, match="MAXIY"):
        client.submit(AUSTIN, {"MAXIY": 1})

    run = client.submit(AUSTIN, {"MAXY": 42, "THEMES": ["airports", "cenart"]})
    assert (run.id, run.status.state) == ("1", RunState.QUEUED)
    assert [status.state for status in run.watch()] == [RunState.RUNNING, RunState.SUCCEEDED]
    result = run.wait(timeout=600)
    assert result.status.message == "Translation Successful"
    assert {name: result.metrics[name] for name in ("features_written", "elapsed_seconds")} == {
        "features_written": 1539,
        "elapsed_seconds": 3.0,
    }
    assert (result.status.finished_at - result.status.started_at).total_seconds() == 3
    assert json.dumps(result.to_dict())
    (artifact,) = result.artifacts
    with zipfile.ZipFile(artifact.download(tmp_path)) as archive:
        assert archive.namelist() == ["result.json"]

    simulator.pool.script(AUSTIN, Behaviour(duration=2, outcome="failed", message="Reader: not found", errors=3), 1)
    with pytest.raises(RunFailed, match="Reader: not found") as failed:
        client.run(AUSTIN, timeout=600)
    assert failed.value.result.metrics["errors"] == 3
    doomed = client.submit(AUSTIN)
    assert CancelOutcome.CONFIRMED is doomed.cancel()
    with pytest.raises(RunCancelled) as cancelled:
        doomed.wait()
    assert Cause.BY_US is cancelled.value.status.cause
    assert CancelOutcome.TOO_LATE is run.cancel()
    live = client.submit(TEN, {"location": ["Surrey"], "year": 2000})
    assert [each.id for each in client.runs()] == ["4", "3", "2", "1"]
    assert [each.id for each in client.runs(state="failed")] == ["2"]
    assert [each.id for each in client.runs(flow=TEN)] == [live.id]
    assert RunState.SUCCEEDED is client.attach(str(live.ref)).wait().status.state


def test_who_was_spoken_to(client, simulator, backend):
    """The interface is the backend's, or the server's; requests of the other are never made for a run."""
    client.run(AUSTIN)

    over_v3 = "v3" in backend[1] or "old" in backend[1]
    assert speaks_v3(simulator) == over_v3
    assert bool(simulator.requests.matching("/fmeapiv4/jobs*")) != over_v3


def test_cancelling_what_is_queued_and_what_runs(client, simulator):
    """Jobs are cancelled in the queue and at work; one whose engine takes its time is CANCELLING until it shows."""
    simulator.pool.script(TEN, Behaviour(duration=60, start_delay=60), 1)
    simulator.pool.script(TEN, Behaviour(duration=60, cancel_delay=5), 1)
    queued, working = (client.submit(TEN, {"location": ["Surrey"]}) for _ in range(2))

    assert CancelOutcome.CONFIRMED is queued.cancel()
    assert CancelOutcome.REQUESTED is working.cancel()
    assert RunState.CANCELLING is working.refresh().state
    for run in (queued, working):
        status = run.wait(raise_on_failure=False).status
        assert (status.state, status.cause) == (RunState.CANCELLED, Cause.BY_US)


def test_pages_as_small_as_the_servers(client, simulator, clock):
    """Runs come newest first, live ones before ended ones, each once, over pages of whatever length the server has."""
    simulator.quirks = Quirks(max_limit=2)
    for _ in range(5):
        client.submit(AUSTIN)
    clock.advance(3)

    assert [run.id for run in client.runs()] == ["5", "4", "3", "2", "1"]
    assert [run.id for run in client.runs(limit=3)] == ["5", "4", "3"]
    assert [run.id for run in client.runs(state=["queued", "succeeded"], limit=2)] == ["5", "2"]
    assert next(iter(client.runs(flow=AUSTIN))).wait().status.state is RunState.SUCCEEDED


def test_names_of_any_kind(client, simulator):
    """A workspace `räksbø 100%.fmw` in a repository `Ø & Å` works from end to end, and its reference is one line."""
    run = client.submit(ODD)
    assert client.attach(str(run.ref)).wait().status.state is RunState.SUCCEEDED
    assert [each.flow for each in client.runs(flow=ODD)] == [ODD]
    assert client.describe(ODD).parameters == ()
    assert [job.flow for job in simulator.pool.submissions()] == [ODD]
    with pytest.raises(FlowNotFound, match="case-sensitive"):
        client.describe("ø & Å/räksbø 100%.fmw")


def test_every_option_both_have(client, simulator):
    """Queue, limits, topics and directives arrive the same; the server's own limit is nobody's cancellation here."""
    options = SubmitOptions(
        queue="Queue1",
        max_run_time=30,
        max_queue_time=120,
        success_topics=["Ø"],
        failure_topics=["b", "c"],
        directives={"k": "v"},
    )
    simulator.pool.script(AUSTIN, Behaviour(duration=100))
    result = client.run(AUSTIN, options=options, raise_on_failure=False)

    assert (result.status.state, result.status.cause) == (RunState.CANCELLED, Cause.UNSPECIFIED)
    (job,) = simulator.pool.submissions()
    assert (job.queue, job.limits.run, job.limits.queue) == ("Queue1", 30, 120)
    notes = job.notes
    assert (notes.success_topics, notes.failure_topics, notes.directives) == (("Ø",), ("b", "c"), {"k": "v"})


@pytest.mark.parametrize(
    ("options", "option", "alternative"),
    [
        (SubmitOptions(description="x"), "description", "directives"),
        (SubmitOptions(extra={"rtc": True}), "rtc", "submit again"),
        (SubmitOptions(extra={"priority": 5}), "priority", "queue"),
        (SubmitOptions(extra={"max_total_life_time": 5}), "max_total_life_time", "max_run_time"),
    ],
)
def test_an_option_of_one_interface(client, simulator, options, option, alternative):
    """An option arrives, or is an error that names it and the alternative before anything is submitted."""
    over_v3 = client.health().api == "REST V3"
    if over_v3 and option != "max_total_life_time":
        client.submit(AUSTIN, options=options)
        (job,) = simulator.pool.submissions()
        expected = {"description": "x"} if option == "description" else dict(options.extra)
        assert evolve(JobNotes(), **expected) == job.notes
        return
    with pytest.raises(UnsupportedOption, match=alternative) as caught:
        client.submit(AUSTIN, options=options)
    assert caught.value.option == option
    assert option in str(caught.value)
    assert simulator.pool.submissions() == ()


def test_an_option_of_nobody(client):
    """An option that no interface has is an error with the near miss."""
    with pytest.raises(UnsupportedOption, match="did you mean 'payload_parameter'"):
        client.submit(AUSTIN, options=SubmitOptions(extra={"payload_paramter": "x"}))


# Parameters

SAID_IN_ONE = {
    # What only V4, or only V3, tells of a parameter
    "choices_open": {"features"},
    "multiple": {"tree"},
    "limits": {"integer"},
}


@pytest.fixture
def both(manual, open_client):
    """A client of a V3 server and one of a V4 server, with the servers."""
    with serve("fme-flow-v3", None, manual) as old, serve("fme-flow-v4", None, manual) as new:
        yield [
            (open_client(backend=backend, base_url=server.base_url, token=server.token, max_long_polls=0), server)
            for backend, server in (("fme-flow-v3", old), ("fme-flow-v4", new))
        ]


def test_every_kind_of_parameter_is_described_alike(both):
    """The twelve families of V3 and the types of V4 map onto one description."""
    one, other = (client.describe(EVERY).parameters for client, _ in both)

    assert [each.name for each in one] == [each.name for each in other]
    for old, new in zip(one, other, strict=True):
        compared = ["kind", "required", "prompt", "role", "choices"]
        compared += ["open_choices"] * (old.name not in SAID_IN_ONE["choices_open"])
        compared += ["multiple"] * (old.name not in SAID_IN_ONE["multiple"])
        compared += ["minimum", "maximum", "minimum_exclusive"] * (old.name not in SAID_IN_ONE["limits"])
        for attribute in compared:
            assert getattr(old, attribute) == getattr(new, attribute), (old.name, attribute)
    kinds = {each.name: each.kind for each in one}
    assert ParameterKind.OTHER not in kinds.values()
    roles = {each.name: (each.role, each.kind, each.multiple) for each in one if each.role}
    assert roles == {
        f"{way}{name}": (role, kind, many)
        for way, role in (("Source", "source"), ("Dest", "destination"))
        for name, kind, many in (
            (f"Dataset_{'GML' if way == 'Source' else 'SHAPE'}", ParameterKind.FILE, False),
            (f"Datasets_{'GML' if way == 'Source' else 'SHAPE'}", ParameterKind.FILE, True),
            ("Folder", ParameterKind.FOLDER, False),
            ("Folders", ParameterKind.FOLDER, True),
        )
    }
    (active,) = (each for each in one if each.name == "active")
    assert active.disables == {"simple": ("options", "tree"), "full": ()}


VALUES = {
    "mandatory": 'a "quoted" text, Ø & Å; 50 %',
    "multiline": "one\ntwo\r\n",
    "url": "https://example.com/å?b=c&d",
    "secret": "hunter2",
    "float": -0.25,
    "integer": 10,
    "flag": False,
    "slider": 99,
    "option": "b",
    "active": "full",
    "options": ["c", "a b"],
    "features": [[{"name": "lakes"}]],
    "object": {"k": [1, "Ø"]},
    "objects": [{"k": 1}, {"k": date(2025, 1, 2)}],
    "date": date(2025, 1, 2),
    "moment": datetime(2025, 1, 2, 3, 4, 5, tzinfo=UTC),
    "SourceDatasets_GML": ("$(FME_SHAREDRESOURCE_DATA)/a.gml", "$(FME_SHAREDRESOURCE_DATA)/b c.gml"),
}
WRITTEN = {
    **VALUES,
    "date": "20250102",
    "moment": "20250102030405+00:00",
    "objects": [{"k": 1}, {"k": "20250102"}],
    "SourceDatasets_GML": ["$(FME_SHAREDRESOURCE_DATA)/a.gml", "$(FME_SHAREDRESOURCE_DATA)/b c.gml"],
}


def test_one_mapping_of_python_values(client, simulator):
    """The same mapping is taken by every server, encoded as each wants it, quotes and non-ASCII untouched."""
    assert client.run(EVERY, VALUES).status.state is RunState.SUCCEEDED

    (job,) = simulator.pool.submissions()
    texts = {name: str(WRITTEN[name]) for name in ("float", "integer", "slider")}
    assert dict(job.parameters) == (WRITTEN | texts if speaks_v3(simulator) else WRITTEN)


@pytest.mark.parametrize("optional", ["shown", "missing"])
def test_a_parameter_that_is_missing(client, simulator, optional):
    """A missing parameter is InvalidParameters, whether our check or the server finds it out."""
    simulator.quirks = Quirks(v3_optional=optional)
    with pytest.raises(InvalidParameters, match="mandatory"):
        client.submit(EVERY)
    assert simulator.pool.submissions() == ()


BAD = {
    "unknown": (AUSTIN, {"MAXIY": 1}, "did you mean"),
    "no number": (AUSTIN, {"MAXY": "north"}, "is not a number"),
    "no choice": (AUSTIN, {"DestinationFormat": "PDF"}, "SHAPEFILE"),
    "not among": (AUSTIN, {"THEMES": ["airports", "ufos"]}, "ufos"),
    "too large": (EVERY, {"mandatory": "x", "slider": 101}, "at most 100"),
    "at an open end": (EVERY, {"mandatory": "x", "open_slider": 2}, "less than 2"),
    "a list for one": (EVERY, {"mandatory": ["x"]}, "not a list"),
    "a message": (EVERY, {"mandatory": "x", "note": "y"}, "takes no value"),
    "no form": (EVERY, {"mandatory": {1, 2}}, "cannot be sent"),
}


@pytest.mark.parametrize("bad", BAD)
def test_bad_parameters(client, simulator, bad):
    """Each bad parameter is named with what is wrong, before anything is submitted."""
    flow, parameters, text = BAD[bad]
    with pytest.raises(InvalidParameters, match=text) as caught:
        client.submit(flow, parameters)
    assert len(caught.value.problems) == 1
    assert simulator.pool.submissions() == ()


@pytest.mark.parametrize("bad", ["no number", "no choice", "not among", "too large"])
@pytest.mark.parametrize("waits", [False, True])
def test_bad_parameters_that_the_server_refuses(connect, simulator, bad, waits):
    """Without our check the server's 400 or 422 is the same error, for a submission that waits too."""
    flow, parameters, _ = BAD[bad]
    with pytest.raises(InvalidParameters, match="See `describe`") as caught:
        connect(check_parameters=False).run(flow, parameters, server_wait=waits)
    assert caught.value.http_status in {400, 422}
    assert next(iter(parameters.keys() - {"mandatory"})) in str(caught.value)


# Running at once


def test_the_server_waits(connect, time_passes):
    """One blocking request runs to the end, good or bad."""
    client = connect()
    result = client.run(AUSTIN, {"MAXY": 1}, server_wait=True)
    assert (result.status.state, result.metrics["features_written"], len(result.artifacts)) == (
        RunState.SUCCEEDED,
        1539,
        1,
    )


@pytest.mark.parametrize("form", ["body", "422", "422_result"])
@pytest.mark.parametrize("payload", [None, b"<data/>"])
def test_transact_of_a_job_that_fails(v3, v3_client, time_passes, form, payload):
    """A job that failed is RunFailed, told by 200 or 422; a bare 422 cannot be told from refused parameters."""
    v3.quirks = Quirks(v3_failed_transact=form)
    v3.pool.script(AUSTIN, Behaviour(duration=1, outcome="failed", message="boom"))
    with pytest.raises(FlowrunnerError, match="boom") as caught:
        v3_client.run(AUSTIN, payload=payload, server_wait=True)
    assert isinstance(caught.value, InvalidParameters if form == "422" else RunFailed)
    assert len(v3.pool.submissions()) == 1


@pytest.mark.parametrize("kind", [Path, str])
def test_a_payload_that_is_a_file_over_either(connect, simulator, tmp_path, kind):
    """A payload named by its path is uploaded under its own name, and its size is told."""
    file = tmp_path / "data.gml"
    file.write_bytes(b"<data/>")
    options = SubmitOptions(extra={"payload_parameter": "SourceDataset_GML"})
    run = connect().submit(EVERY, {"mandatory": "x"}, payload=kind(file), options=options)

    (upload,) = run.uploads
    assert (upload.name, upload.size) == ("data.gml", 7)
    (job,) = simulator.pool.submissions()
    assert job.parameters["SourceDataset_GML"] == str(upload)


@pytest.mark.parametrize("as_path", [True, False])
def test_a_payload_over_v3(v3, v3_client, time_passes, tmp_path, as_path):
    """A payload is the body of one request that also waits; its options and parameters arrive with it."""
    file = tmp_path / "data.gml"
    file.write_bytes(b"<data>\xff\x00</data>")
    options = SubmitOptions(description="Ø", queue="Queue1", max_run_time=60, success_topics=["a", "b"])
    parameters = {"THEMES": ["parks"], "MAXY": 7, "userName": "Ø & Å", "COORDSYS": None}
    result = v3_client.run(
        AUSTIN, parameters, payload=file if as_path else file.read_bytes(), options=options, timeout=60
    )

    assert result.status.state is RunState.SUCCEEDED
    (request,) = v3.requests.matching(f"{V3}/transactdata/*", "POST")
    assert request.headers["content-type"] == "application/octet-stream"
    (job,) = v3.pool.submissions()
    assert dict(job.parameters) == {"THEMES": ["parks"], "MAXY": "7", "userName": "Ø & Å"}
    assert (job.notes.data.size, job.notes.data.sha256) == (request.size, request.sha256)
    assert request.size == 15
    assert (job.notes.description, job.queue, job.notes.success_topics) == ("Ø", "Queue1", ("a", "b"))


def test_a_payload_over_either(connect, simulator, time_passes):
    """A payload whose parameter is named is the same everywhere: uploaded, referred to, among the uploads."""
    client = connect()
    options = SubmitOptions(extra={"payload_parameter": "SourceDataset_GML"})
    run = client.submit(EVERY, {"mandatory": "x"}, payload=b"<data/>", options=options)
    result = run.wait()
    assert client.run(EVERY, {"mandatory": "x"}, payload=b"<data/>", options=options).status.state == "succeeded"

    assert result.status.state is RunState.SUCCEEDED
    first, second = simulator.pool.submissions()
    (upload,) = run.uploads
    assert dict(first.parameters) == {"mandatory": "x", "SourceDataset_GML": str(upload)}
    assert second.parameters["SourceDataset_GML"].endswith("/payload")
    client.remove(upload)


@pytest.mark.parametrize("name", ["SourceDatasets_GML", "SourceDataset_GML"])
def test_a_payload_that_could_go_to_several(client, simulator, name):
    """Where the description leaves the parameter open, the error names them all and the option; nothing is left."""
    with pytest.raises(InvalidRequest, match=f"{name}.*payload_parameter"):
        client.submit(EVERY, {"mandatory": "x"}, payload=b"<data/>")
    assert not any(entry.content for entry in simulator.world.resources._entries.values())


@pytest.mark.parametrize("payload", ["nowhere.gml", "."])
def test_a_payload_that_is_not_there(client, simulator, payload):
    """A file that does not exist, or is a folder, is said so before anything is asked for it."""
    for start in (client.submit, client.run):
        with pytest.raises(InvalidRequest, match=r"does not exist|is a folder"):
            start(AUSTIN, payload=payload)
    assert simulator.pool.submissions() == ()


# V3 alone


def test_the_log(v3, v3_client):
    """The log of a run is its lines of text; a run that waits has none yet, and one that is gone is not found."""
    v3.pool.script(AUSTIN, Behaviour(duration=1, start_delay=30, warnings=2))
    run = v3_client.submit(AUSTIN)
    with pytest.raises(InvalidRequest, match="no log yet") as caught:
        list(run.logs())
    assert caught.value.transient

    run.wait()
    lines = list(run.logs())
    assert len(lines) > 2
    assert all(line and "\n" not in line for line in lines)
    assert Capability.LOGS in v3_client.capabilities


def test_the_echo_of_a_request(v3, v3_client):
    """The record repeats what was asked as `raw` texts and -1 for what is unset; it is kept as it came."""
    result = v3_client.run(AUSTIN, {"THEMES": ["airports", "parks"], "MAXY": 1})

    request = result.raw["job"]["request"]
    assert {"name": "THEMES", "raw": "airports parks"} in request["publishedParameters"]
    assert (request["TMDirectives"]["ttc"], request["TMDirectives"]["priority"]) == (-1, -1)
    assert result.metrics["features_written"] == 1539


def test_a_queue_that_is_not_there(v3, v3_client):
    """A queue that the server refuses is an error that names it; where it lets it pass, the run goes on."""
    v3.quirks = Quirks(v3_unknown_queue="refuse")
    options = SubmitOptions(queue="Nowhere")
    with pytest.raises(InvalidRequest, match="Queue Nowhere does not exist"):
        v3_client.submit(AUSTIN, options=options)
    assert v3.pool.submissions() == ()
    v3.quirks = Quirks()
    assert v3_client.run(AUSTIN, options=options).status.state is RunState.SUCCEEDED


@pytest.mark.parametrize("times", ["Z", "offset", "bare"])
@pytest.mark.parametrize("zone", [None, "+0200"])
def test_the_times_of_a_run(v3, open_client, manual, times, zone):
    """Times with Z, with an offset, or without a zone are the same moments; the server's own zone, or the set."""
    v3.quirks = Quirks(v3_times=times)
    settings = {} if zone is None else {"time_zone": zone}
    client = open_client(backend="fme-flow-v3", base_url=v3.base_url, token=v3.token, **settings)
    began = manual.now()
    status = client.run(AUSTIN).status

    shift = 7200 if zone is not None and times == "bare" else 0
    assert (status.finished_at - status.started_at).total_seconds() == 3
    assert (began - status.queued_at).total_seconds() == shift
    assert len(v3.requests.matching("*/info")) == (times == "bare" and zone is None)


def test_times_of_a_server_that_names_no_zone(v3, v3_client, happened):
    """Where nobody names the zone, times are UTC and one Anomaly event says so and what to set."""
    v3.quirks = Quirks(v3_times="bare")
    v3.respond_next("*/info", 200, {"build": "FME Server"})
    status = v3_client.run(AUSTIN).status

    assert status.finished_at is not None
    (anomaly,) = [event for event in happened if isinstance(event, events.Anomaly)]
    assert "time_zone" in anomaly.description


def test_a_zone_that_is_none(v3, open_client):
    """A setting that names no zone is a ConfigError before any request."""
    with pytest.raises(ConfigError, match="time_zone: 'Mars/Olympus' is no time zone"):
        open_client(
            backend="fme-flow-v3", base_url=v3.base_url, token="a-l0ng-t0ken-0f-its-0wn", time_zone="Mars/Olympus"
        )
    assert len(v3.requests) == 0


@pytest.mark.parametrize(
    ("result_words", "words"),
    [({"SUCCESS": "FME_FAILURE"}, {}), ({"FME_FAILURE": "SUCCESS"}, {"SUCCESS": "FME_FAILURE"})],
)
def test_a_record_that_disagrees_with_its_result(v3, v3_client, happened, result_words, words):
    """Where the record and its result disagree the failure wins, and an Anomaly event says what both said."""
    v3.quirks = Quirks(v3_result_words=result_words, v3_words=words)
    with pytest.raises(RunFailed):
        v3_client.run(AUSTIN)
    descriptions = [event.description for event in happened if isinstance(event, events.Anomaly)]
    assert descriptions
    assert all("SUCCESS" in text and "FME_FAILURE" in text for text in descriptions)


def test_a_restored_server_that_reuses_ids(client, simulator, manual, connect, backend):
    """A reference from before does not show the end of another flow's run under the same id."""
    text = str(client.submit(AUSTIN).ref)
    with serve(*SERVERS[backend[1]][1:], manual) as restored:
        restored.pool.submit(TEN)
        other = connect(base_url=restored.base_url, token=restored.token)
        with pytest.raises(RunLost):
            other.attach(text.replace(str(simulator.port), str(restored.port))).wait()


# Whatever a V3 server decides where the facts leave it open

ALTERNATIVES = [
    {},
    {"v3_words": {"PULLED": "IN_PROCESS", "QUEUED": "SUBMITTED", "FME_FAILURE": "JOB_FAILURE", "ABORTED": "DELETED"}},
    {"v3_words": {"PULLED": "RUNNING", "QUEUED": "DELAYED"}},
    {"v3_words": {"PULLED": "odd", "QUEUED": "PAUSED"}},
    {
        "v3_words": {"SUCCESS": "COMPLETED", "ABORTED": "DELETED"},
        "v3_result_words": {"COMPLETED": "SUCCESS", "DELETED": "ABORTED"},
    },
    {"v3_dequeued": "DELETED"},
    {"v3_dequeued": "gone"},
    {"v3_unfinished_result": 204},
    {"v3_unfinished_result": 202},
    {"v3_unfinished_result": 200},
    {"v3_times": "offset"},
    {"v3_times": "bare"},
    {"v3_counts": "missing"},
    {"v3_optional": "missing"},
    {"v3_unknown_queue": "refuse"},
    {"v3_health": "text"},
    {"absent_times": "null"},
    {"absent_times": "zero"},
    {"absent_times": "empty"},
    {"absent_times": "zero", "v3_times": "bare"},
    {"submit_status": 200},
    {"upload_status": 200},
    {"max_limit": 1},
]


@pytest.mark.parametrize("alternative", ALTERNATIVES, ids=str)
def test_every_v3_server_there_may_be(v3, v3_client, alternative):
    """However the server decides, the outcome of a program is the same."""
    v3.quirks = evolve(Quirks(), **alternative)
    v3.pool.script(AUSTIN, Behaviour(duration=40, features=3), 1)
    v3.pool.script(AUSTIN, Behaviour(duration=5, outcome="failed", message="boom"), 1)
    v3.pool.script(AUSTIN, Behaviour(duration=500, start_delay=500), 1)
    v3.pool.script(AUSTIN, Behaviour(duration=500), 1)

    assert v3_client.health().healthy
    with pytest.raises(InvalidParameters):
        v3_client.submit(AUSTIN, {"MAXY": "x"})
    good = v3_client.run(AUSTIN, {"MAXY": 1}, timeout=600, options=SubmitOptions(queue="Default"))
    assert (good.status.state, good.status.message, good.metrics["features_written"]) == (
        RunState.SUCCEEDED,
        "Translation Successful",
        3,
    )
    assert (good.status.finished_at - good.status.started_at).total_seconds() == 40
    with pytest.raises(RunFailed, match="boom"):
        v3_client.run(AUSTIN, timeout=600)
    for _ in ("queued", "running"):
        run = v3_client.submit(AUSTIN)
        assert CancelOutcome.CONFIRMED is run.cancel()
        status = run.wait(timeout=600, raise_on_failure=False).status
        assert (status.state, status.cause) == (RunState.CANCELLED, Cause.BY_US)
    shown = {"1", "2", "4"} if alternative.get("v3_dequeued") == "gone" else {"1", "2", "3", "4"}
    assert shown == {run.id for run in v3_client.runs()}
