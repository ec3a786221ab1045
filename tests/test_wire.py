"""What a program's calls become on the wire: every request, whole, and nothing beside it."""

import json
from pathlib import Path

import pytest

from flowrunner.models import RunRef, SubmitOptions

WIRE = Path(__file__).parent / "wire"
FLOW = "my räpo/Ø & Å 100%.fmw"
QUERY = "repository=my%20r%C3%A4po&workspace=%C3%98%20%26%20%C3%85%20100%25.fmw"
PATH = "my%20r%C3%A4po/%C3%98%20%26%20%C3%85%20100%25.fmw"
SPEC = b'[{"name": "MAXY", "type": "number"}]'


def _body(name):
    return 200, (WIRE / name).read_bytes()


@pytest.fixture
def client(open_client, vendor):
    """A client, over answers kept as files."""
    vendor.on("GET", f"/workspaces/{PATH}/parameters", (200, SPEC))
    vendor.on("POST", "/jobs", (202, {"id": 42}))
    vendor.on("GET", "/jobs/42", _body("v4_job_success.json"))
    vendor.on("GET", "/jobs/42/result", _body("v4_result_success.json"))
    vendor.on("POST", "/jobs/42/cancel", 204)
    vendor.on("GET", "/jobs", (200, {"items": []}))
    vendor.on("GET", "/workspaces", (200, {"items": []}))
    vendor.on("GET", "/healthcheck/readiness", (200, {"status": "ok"}))
    vendor.on("GET", "/fmeinfo/version", (200, {"buildNumber": 1}))
    vendor.on("GET", "/fmedatadownload/results/FME_2025%20a.zip", (200, b"zip"))
    return open_client(base_url="https://fme.example.com/fmeserver")


def _run(client):
    return client.attach(RunRef(client.name, "fme-flow-v4", "Samples/austinDownload.fmw", "42"))


API = "https://fme.example.com/fmeapiv4"
CALLS = {
    "submit": (
        lambda client: client.submit(FLOW, {"MAXY": 42}, options=SubmitOptions(queue="q")),
        [f"GET {API}/workspaces/{PATH}/parameters", f"POST {API}/jobs"],
    ),
    "describe": (lambda client: client.describe(FLOW), [f"GET {API}/workspaces/{PATH}/parameters"]),
    "refresh": (lambda client: _run(client).refresh(), [f"GET {API}/jobs/42"]),
    "wait": (
        lambda client: _run(client).wait(),
        [f"GET {API}/jobs/42", f"GET {API}/jobs/42", f"GET {API}/jobs/42/result"],
    ),
    "cancel": (lambda client: _run(client).cancel(), [f"POST {API}/jobs/42/cancel", f"GET {API}/jobs/42"]),
    "runs": (
        lambda client: list(client.runs(flow=FLOW, state=["queued", "failed"], limit=3)),
        [
            f"GET {API}/jobs?status=queued&{QUERY}&limit=3&offset=0",
            f"GET {API}/jobs?status=failure&{QUERY}&sort=timeFinished_desc&limit=3&offset=0",
        ],
    ),
    "flows": (lambda client: list(client.flows()), [f"GET {API}/workspaces?limit=1000&offset=0"]),
    "health": (
        lambda client: client.health(),
        [
            f"GET {API}/healthcheck/readiness",
            "GET https://fme.example.com/fmeinfo/version",
            f"GET {API}/workspaces?limit=1&offset=0",
        ],
    ),
}


@pytest.mark.parametrize("call", CALLS)
def test_the_requests_of_a_call(client, vendor, call):
    """Each call makes exactly these requests, all with the credential but the health check."""
    play, expected = CALLS[call]
    play(client)

    assert expected == [f"{request.method} {request.url}" for request in vendor.requests]
    for request in vendor.requests:
        assert ("healthcheck" in str(request.url)) is ("authorization" not in request.headers)
        if "authorization" in request.headers:
            assert request.headers["authorization"] == "fmetoken token=s3cr3t-t0ken"


def test_the_body_of_a_submission(client, vendor):
    """The body is JSON with repository and workspace, unencoded, and what was given; nothing empty is sent."""
    client.submit(FLOW, {"MAXY": 42}, options=SubmitOptions(queue="q"))
    (request,) = vendor.asked("POST", "/jobs")

    assert json.loads(request.content) == {
        "repository": "my räpo",
        "workspace": "Ø & Å 100%.fmw",
        "publishedParameters": {"MAXY": 42},
        "queue": "q",
    }
    assert request.headers["content-type"] == "application/json"
    client.submit(FLOW)
    assert list(json.loads(vendor.asked("POST", "/jobs")[1].content)) == ["repository", "workspace"]


def test_a_request_that_changes_nothing_has_no_body(client, vendor):
    """Cancelling is a POST without a body."""
    _run(client).cancel()
    assert vendor.requests[0].content == b""


def test_a_download_from_the_connection_itself(client, vendor, tmp_path):
    """The artifact's address is asked for as it is, with the credential, since it is the connection's own."""
    (artifact,) = _run(client).wait().artifacts
    assert artifact.download(tmp_path).read_bytes() == b"zip"
    assert [file.name for file in tmp_path.iterdir()] == ["FME_2025 a.zip"]
    assert str(vendor.requests[-1].url) == "https://fme.example.com/fmedatadownload/results/FME_2025%20a.zip"
    assert "authorization" in vendor.requests[-1].headers


@pytest.mark.parametrize(
    "origin", ["https://files.example.com", "https://fme.example.com:8443", "http://fme.example.com"]
)
def test_a_download_from_elsewhere(client, vendor, tmp_path, origin):
    """An artifact on another host, port or scheme is fetched without the credential."""
    record = json.loads((WIRE / "v4_job_success.json").read_text("utf-8"))
    vendor.on("GET", "/jobs/42", (200, record | {"resultDatasetDownloadUrl": f"{origin}/a.zip"}))
    vendor.on("GET", "/a.zip", (200, b"zip"))
    (artifact,) = _run(client).wait().artifacts
    artifact.download(tmp_path / "x.zip")

    assert f"{origin}/a.zip" == str(vendor.requests[-1].url)
    assert "authorization" not in vendor.requests[-1].headers
