"""The plugin as flowrunner finds it, and the rules of the interface against a script of the vendor."""

import tomllib
from base64 import b64encode
from pathlib import Path

import pytest

import flowrunner
from flowrunner import Capability, RunState, UnknownBackend
from flowrunner.testing.conformance import ABSENT, BackendConformance, ScriptedServer, reply
from flowrunner_profitbase_flow import ProfitbaseFlow

KEY = "k3y-of-profitbase"
PREFIX = ("acme", "corellia", "api", "v1", "tenants", "t-1", "workspaces", "w-1")
README = Path(__file__).parent.parent / "README.md"


def connected(**settings):
    """A client of the backend by its name, as a program gets it; without the distribution there is none."""
    try:
        return flowrunner.connect(backend="profitbase-flow", **settings)
    except UnknownBackend:
        pytest.skip("flowrunner-profitbase-flow is not installed: pip install examples/flowrunner-profitbase-flow")


def test_it_is_found_by_its_name():
    """The entry point leads to this class."""
    with connected(base_url="https://app.example.com", api_key=KEY) as client:
        assert (client.backend, client.capabilities) == ("profitbase-flow", ProfitbaseFlow.capabilities)


def test_the_readme_configures_it(monkeypatch):
    """The configuration that the README shows is one that works."""
    connected(base_url="https://app.example.com", api_key=KEY).close()
    text = README.read_text(encoding="utf-8").partition("```toml\n")[2].partition("```")[0]
    monkeypatch.setenv("PROFITBASE_KEY", KEY)
    with flowrunner.connect("etl", config=tomllib.loads(text)) as client:
        assert client.backend == "profitbase-flow"


class ProfitbaseServer(ScriptedServer):
    """Profitbase Flow, as documented; of errors, whose form is not, as servers of its kind write them."""

    first_word = "0"

    def respond(self, asked):
        """The vendor's answers."""
        if asked.headers.get("x-api-key") != KEY:
            return self.refusal(401)
        if asked.parts[: len(PREFIX)] != PREFIX:
            return self.refusal(404)
        match asked.method, asked.parts[len(PREFIX) :]:
            case "POST", ("flows", flow, ("submit" | "run") as operation) if self.has(flow):
                return getattr(self, operation)(asked, flow)
            case "GET", ("flows", flow, "diagnostics", "executions") if self.has(flow):
                return reply(200, [execution(run) for run in self.runs.values() if run.flow == flow])
            case "GET", ("flows", flow, "diagnostics", "executions", job, "poll" | "log" as operation):
                run = self.find(job)
                return about(run, operation) if run and run.flow == flow else self.refusal(404)
        return self.refusal(404)

    def refusal(self, status, text="refused by the script"):
        """A problem, as ASP.NET writes it."""
        return reply(status, {"title": text, "status": status}, {"content-type": "application/problem+json"})

    def taken(self, asked, flow):
        """A run of what was sent."""
        if asked.headers["content-type"] == "application/json":
            run = self.start(flow, parameters=asked.json)
        else:
            run = self.start(flow, payload=asked.body)
        return run

    def start(self, flow, **arguments):
        """The books know when it began."""
        run = super().start(flow, **arguments)
        run.started_at = f"2025-01-01T12:{self.started:02}:00"
        return run

    def submit(self, asked, flow):
        """The id, and no value ever."""
        return reply(200, {"jobId": self.taken(asked, flow).id})

    def run(self, asked, flow):
        """The value: what was sent; of the flow that fails, none."""
        run = self.taken(asked, flow)
        run.word = "2"
        headers = {"flow-job-id": run.id}
        if run.parameters.get("fail"):
            run.word, run.message = "4", "it was told to"
            return reply(500, {"title": "An error occurred"}, headers)
        if run.payload is not None:
            return reply(200, run.payload, {**headers, "content-type": "application/pdf"})
        return reply(200, dict(run.parameters) or None, headers)


def about(run, operation):
    """A run and its log."""
    said = [*run.log, *([run.message] if run.message is not None else [])]
    items = [
        {"flowId": run.flow, "jobId": run.id, "data": text, "type": 2, "logItemId": number}
        for number, text in enumerate(said, 1)
    ]
    return reply(200, items if operation == "log" else {"executionState": wire(run.word), "logItems": items})


def execution(run):
    """A run in a list."""
    record = {
        "jobId": run.id,
        "flowId": run.flow,
        "environment": 2,
        "message": run.message,
        "state": wire(run.word),
        "startTime": run.started_at,
        "endTime": run.finished_at,
    }
    return {name: value for name, value in record.items() if value is not ABSENT}


def wire(word):
    """A state, which is a number."""
    return int(word) if word is not None and word.isdecimal() else word


class TestProfitbaseFlow(BackendConformance):
    """The rules, and what a vendor that returns values has besides."""

    backend = ProfitbaseFlow
    settings = {"base_url": "https://app.example.com/" + "/".join(PREFIX), "api_key": KEY}
    server = ProfitbaseServer
    words = {"0": "queued", "1": "running", "2": "succeeded", "3": "succeeded/warnings", "4": "failed"}
    lists_one_flow = True

    @pytest.mark.parametrize("which", ["sync", "async"])
    def test_the_value_of_a_run_is_its_output(self, which):
        """A run that the vendor waits for has the value that the flow returned, once its end was seen."""
        with self.world() as world:
            client = world.client(which)
            result = client.run(self.server.flow, {"a": [1, None]}, server_wait=True)
            assert (result.status.vendor_status, result.outputs) == ("2", {"value": {"a": [1, None]}})
            result = client.run(self.server.flow, payload=b"%PDF\xff", server_wait=True)
            content = {"content": b64encode(b"%PDF\xff").decode(), "media_type": "application/pdf"}
            assert (result.status.state, result.outputs) == (RunState.SUCCEEDED, content)

    def test_a_run_that_fails_is_no_riddle(self):
        """An error that comes with a job's id is about a run: how it ended is looked up, and why."""
        with self.world() as world:
            result = world.client().run(self.server.flow, {"fail": True}, server_wait=True, raise_on_failure=False)
            shown = (result.status.state, result.status.message, result.outputs)
            assert shown == (RunState.FAILED, "it was told to", {})

    def test_a_listing_tells_the_times(self):
        """They are in UTC, and the vendor's order, which is not documented, does not matter."""
        with self.world() as world:
            client = world.client()
            ids = [client.submit(self.server.flow).id for _ in range(2)]
            first, second = client.runs(flow=self.server.flow)
            assert [first.id, second.id] == ids[::-1]
            assert second.status.started_at.isoformat() == "2025-01-01T12:01:00+00:00"

    def test_what_it_lacks_is_said(self):
        """There is no way to cancel, so nothing is asked."""
        with self.world() as world:
            run = world.client().submit(self.server.flow)
            sent = len(world.sent)
            with pytest.raises(flowrunner.UnsupportedOperation, match="CANCEL"):
                run.cancel()
            assert (len(world.sent), Capability.CANCEL in self.backend.capabilities) == (sent, False)
