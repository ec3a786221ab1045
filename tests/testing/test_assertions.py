"""Assertions about what a simulator was sent, and how they fail."""

import pytest

import flowrunner
from flowrunner.testing import assert_cancelled, assert_never_asked, assert_not_submitted, assert_submitted

FLOW = "Samples/austinDownload.fmw"
SECRETIVE = "Samples/austinApartments.fmw"


@pytest.fixture(params=["fme-flow-v3", "fme-flow-v4"])
def fme(stage, request):
    """A simulated FME Flow, over each of its interfaces."""
    return stage.start(request.param, connection="prod")


@pytest.fixture
def prod(fme):
    """A client of it."""
    with flowrunner.connect("prod", check_parameters=False) as client:
        yield client


def failure(assertion, *arguments, **named):
    """The lines of the failure."""
    with pytest.raises(AssertionError) as caught:
        assertion(*arguments, **named)
    return str(caught.value).splitlines()


def test_what_was_submitted(fme, prod):
    """Runs are counted by flow, and by exactly what they were given, whatever the interface makes of a number."""
    given = {"MAXY": 42, "THEMES": ["airports", "cenart"], "flag": True}
    prod.submit(FLOW, given)
    prod.submit(FLOW)
    assert_submitted(fme, FLOW, times=2)
    assert_submitted(fme, FLOW, given)
    assert_submitted(fme, FLOW, {})
    assert_not_submitted(fme, SECRETIVE)
    for other in ({"MAXY": 42}, given | {"MAXY": 43}, given | {"flag": False}, given | {"THEMES": ["airports"]}):
        assert_submitted(fme, FLOW, other, times=0)


def test_a_failure_lists_the_runs(fme, prod):
    """One line each: flow, parameters, and where it is; the first line says what was expected, and what there is."""
    prod.submit(FLOW, {"COORDSYS": "ETRS89 (Ø)"}).wait()
    prod.submit(FLOW)
    assert failure(assert_submitted, fme, FLOW, {"COORDSYS": "LL84"}) == [
        'expected 1 run of Samples/austinDownload.fmw with {"COORDSYS": "LL84"}, found 0. The runs:',
        '  Samples/austinDownload.fmw {"COORDSYS": "ETRS89 (Ø)"} succeeded',
        "  Samples/austinDownload.fmw {} running",
    ]
    assert failure(assert_submitted, fme, FLOW, times=3)[0] == (
        "expected 3 runs of Samples/austinDownload.fmw, found 2. The runs:"
    )
    assert failure(assert_not_submitted, fme)[0] == "expected no run, found 2. The runs:"
    assert failure(assert_not_submitted, fme, FLOW)[0] == (
        "expected no run of Samples/austinDownload.fmw, found 2. The runs:"
    )


def test_a_failure_without_runs_lists_the_requests(stage):
    """They may say why nothing was submitted; none are said to be none."""
    fme = stage.start("fme-flow-v4", connection="prod")
    assert failure(assert_submitted, fme, FLOW)[1:] == ["  (none)"]
    fme.respond_next("*/jobs", 403)
    with flowrunner.connect("prod") as client:
        with pytest.raises(flowrunner.PermissionDenied):
            client.submit(FLOW)
        fme.cut_next("reset_before")
        with pytest.raises(flowrunner.TransportError):
            client.attach("flowrunner:1:fme-flow-v4:prod:Samples%2FaustinDownload.fmw:1").refresh()
    assert failure(assert_submitted, fme, FLOW) == [
        "expected 1 run of Samples/austinDownload.fmw, found 0. There are no runs; the requests:",
        "  GET /fmeapiv4/workspaces/Samples/austinDownload.fmw/parameters -> 200",
        "  POST /fmeapiv4/jobs -> 403",
        "  GET /fmeapiv4/jobs/1 -> no answer",
    ]


def test_passwords_are_masked(fme, prod):
    """A parameter that the flow says is a password shows neither what was sent nor what was expected."""
    prod.submit(SECRETIVE, {"accountPassword": "s3cret", "documentName": "d"})
    lines = failure(assert_submitted, fme, SECRETIVE, {"accountPassword": "0ther"})
    assert lines == [
        'expected 1 run of Samples/austinApartments.fmw with {"accountPassword": "***"}, found 0. The runs:',
        '  Samples/austinApartments.fmw {"accountPassword": "***", "documentName": "d"} running',
    ]
    assert_submitted(fme, SECRETIVE, {"accountPassword": "s3cret", "documentName": "d"})


def test_what_was_cancelled(fme, prod):
    """A cancellation that the server accepted counts, by flow; a failure lists the runs."""
    run = prod.submit(FLOW)
    assert failure(assert_cancelled, fme, FLOW) == [
        "expected 1 cancelled run of Samples/austinDownload.fmw, found 0. The runs:",
        "  Samples/austinDownload.fmw {} running",
    ]
    run.cancel()
    assert_cancelled(fme, FLOW)
    assert_cancelled(fme, SECRETIVE, times=0)


def test_a_run_that_the_server_forgot_is_still_listed(fme, prod):
    """What was submitted stays so."""
    prod.submit(FLOW)
    fme.pool.forget(1)
    assert_submitted(fme, FLOW)
    assert failure(assert_not_submitted, fme)[1] == "  Samples/austinDownload.fmw {} forgotten"


def test_what_was_never_asked(stage):
    """Requests are told apart by path and method; a failure lists those that came, secrets masked."""
    fme = stage.start("fme-flow-v4", connection="prod")
    with flowrunner.connect("prod") as client:
        list(client.runs(limit=1, state="running"))
    assert_never_asked(fme, "*/workspaces*")
    assert_never_asked(fme, method="POST")
    assert failure(assert_never_asked, fme, "*/jobs", method="GET") == [
        "expected no GET for */jobs, found 1:",
        "  GET /fmeapiv4/jobs?status=running&limit=1&offset=0 -> 200",
    ]
    assert failure(assert_never_asked, fme)[0] == "expected no request for *, found 1:"
