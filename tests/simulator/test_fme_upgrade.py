"""One FME Flow that answers V3, V4 or both, and its upgrade while it runs."""

from __future__ import annotations

import httpx
import pytest

from flowrunner.simulator import EVERY_PARAMETER, Simulator

V3_JOBS, V4_JOBS = "/fmerest/v3/transformations/jobs", "/fmeapiv4/jobs"
SUBMIT = "/fmerest/v3/transformations/submit/Samples/austinDownload.fmw"
AUSTIN = {"repository": "Samples", "workspace": "austinDownload.fmw"}
PROBES = ("/fmerest/v3/info", "/fmerest/v3/healthcheck", "/fmeinfo/version", V4_JOBS, "/fmeapiv4/healthcheck/liveness")
V3_ONLY, BOTH, V4_ONLY = [200, 200, 404, 404, 404], [200] * 5, [404, 404, 200, 200, 200]


@pytest.fixture
def simulator(clock):
    """A server of a build with both APIs, with one engine."""
    with Simulator("fme-flow", clock=clock, engines=1) as serving:
        yield serving


def statuses(api):
    """Return what each of the probes answers."""
    return [api.get(path).status_code for path in PROBES]


@pytest.mark.parametrize(
    ("build", "expected"),
    [(22337, V3_ONLY), (25207, V3_ONLY), (25208, BOTH), (26099, BOTH), (26100, V4_ONLY), (26333, V4_ONLY)],
)
def test_the_build_decides_which_apis_there_are(simulator, api, build, expected):
    """Old builds answer V3 alone, some both, new ones V4 alone."""
    simulator.world.build = build

    assert expected == statuses(api)


def test_an_api_that_is_not_there_is_no_api(simulator, anyone, api):
    """What a build does not answer is a web server's page, credentials or not."""
    simulator.world.build = 26100
    answers = [api.get(PROBES[0]), anyone.post(simulator.base_url + SUBMIT, json={})]

    assert [(answer.status_code, answer.text.startswith("<html>")) for answer in answers] == [(404, True)] * 2


@pytest.mark.parametrize(
    ("vendor", "build", "expected"),
    [("fme-flow", 25606, BOTH), ("fme-flow-v3", 23619, V3_ONLY), ("fme-flow-v4", 25606, V4_ONLY)],
)
def test_servers_by_name(vendor, build, expected):
    """Each server has a build at first, and the APIs that its name says."""
    with Simulator(vendor) as simulator:
        headers = {"Authorization": f"fmetoken token={simulator.token}"}
        with httpx.Client(base_url=simulator.base_url, headers=headers, verify=False) as api:
            assert (build, expected) == (simulator.world.build, statuses(api))


def test_v4_stays_v4(clock):
    """The server of V4 alone has it whatever its build."""
    simulator = Simulator("fme-flow-v4", clock=clock)
    simulator.world.build = 20000

    assert simulator.world.apis == {"v4"}


def test_an_upgrade_keeps_the_jobs(clock):
    """Jobs made over V3 are seen over V4 under the same ids, and the other way round; so are cancellations."""
    with Simulator("fme-flow-v3", clock=clock, engines=1) as simulator:
        headers = {"Authorization": f"fmetoken token={simulator.token}"}
        with httpx.Client(base_url=simulator.base_url, headers=headers, verify=False) as api:
            api.post(SUBMIT, json={"TMDirectives": {"description": "mine"}})
            clock.advance(1)
            simulator.world.build = 25606
            api.post(
                V4_JOBS,
                json=AUSTIN | {"publishedParameters": {"MAXY": 1}, "directives": {"k": "v"}, "successTopics": ["a"]},
            )
            old, new = api.get(f"{V4_JOBS}/1").json(), api.get(f"{V3_JOBS}/id/2").json()
            assert api.delete(f"{V3_JOBS}/queued/2").status_code == 204
            simulator.world.build = 26100
            clock.advance(2)
            ends = [api.get(f"{V4_JOBS}/{job_id}").json()["status"] for job_id in (1, 2)]

    assert (old["status"], old["description"], old["workspace"]) == ("running", "mine", "austinDownload.fmw")
    assert (new["status"], new["request"]["publishedParameters"]) == ("QUEUED", [{"name": "MAXY", "raw": "1"}])
    notice = {"directives": [{"name": "k", "value": "v"}], "successTopics": ["a"], "failureTopics": []}
    assert notice == new["request"]["NMDirectives"]
    assert ends == ["success", "cancelled"]


def test_every_family_of_parameters_over_v4(api):
    """The same workspace has over V4 a type of each kind, with its own keys; a group holds its parameters."""
    answer = api.get("/fmeapiv4/workspaces/Samples/everyParameter.fmw/parameters").json()
    described = {parameter["name"]: parameter for parameter in answer}

    assert {parameter["type"] for parameter in answer} == {
        "text", "password", "number", "range", "checkbox", "color", "message", "dropdown", "listbox", "tree", "file",
        "object", "objectList", "group",
    }  # fmt: skip
    slider = {"type": "range", "showSlider": True, "multipleOf": 0.1, "minimumExclusive": False, "maximum": 100}
    assert described["slider"].items() >= slider.items()
    assert described["tree"]["choiceSettings"]["choices"][0]["path"] == ["land", "forest"]
    assert described["tree"]["nodeDelimiter"] == "/"
    assert described["database"]["choiceSettings"] == {"choiceSet": "dbConnections", "family": "PostgreSQL"}
    assert described["web"]["choiceSettings"]["excludedServices"] == ["Slack"]
    assert (described["DestFolder"]["itemsToSelect"], described["DestFolder"]["validateExistence"]) == (
        "folders",
        False,
    )
    assert (described["multiline"]["editor"], described["multiline"]["valueType"]) == ("plaintext", "stringEncoded")
    assert [(each["name"], each["format"]) for each in described["Times"]["parameters"]] == [
        ("date", "date"),
        ("moment", "datetime"),
    ]
    assert "valueType" not in described["note"]


def test_a_run_with_every_family_over_v4(api):
    """Values of every family are taken over V4 in their JSON types."""
    values = {
        "mandatory": "x",
        "flag": False,
        "slider": 2.5,
        "object": {"a": 1},
        "objects": [{"a": 1}],
        "options": ["c"],
    }
    body = {"repository": "Samples", "workspace": EVERY_PARAMETER.name, "publishedParameters": values}

    assert api.post(V4_JOBS, json=body).status_code == 202
