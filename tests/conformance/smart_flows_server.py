"""Smart Flows' server, played by a script."""

from __future__ import annotations

from http import HTTPStatus
from xml.etree import ElementTree as ET

from flowrunner.testing.conformance import ABSENT, ScriptedServer, reply

ADDRESS = "https://acme.smartflows.example.com"
KEY = "k3y-of-smart-flows"
USER, PASSWORD = "ada", "passw0rd-of-ada"
WORDS = {
    "Queued": "queued",
    "Running": "running",
    "UserInput": "waiting/user_input",
    "User input": "waiting/user_input",
    "User Input": "waiting/user_input",
    "Waiting for user input": "waiting/user_input",
    "SelectFlow": "waiting/flow_selection",
    "Waiting": "waiting/external_event",
    "Success": "succeeded",
    "success": "succeeded",
    "Warning": "succeeded/warnings",
    "Error": "failed/flow",
    "error": "failed/flow",
    "Canceled": "cancelled",
    "cancelled": "cancelled",
    "Interrupted": "failed/interrupted",
}
ENDS = ("succeeded", "failed", "cancelled")
SCHEMA = {"type": "object", "properties": {"NAME": {"type": "string", "title": "Name"}}}


class SmartFlowsServer(ScriptedServer):
    """A project: a key, or a login, opens it."""

    flow = "5b0c1f4e-92d3-4d0a-8a61-7c1e5f2ab001"
    other_flow = "5b0c1f4e-92d3-4d0a-8a61-7c1e5f2ab002"
    first_word = "Queued"
    cancelled_word = "Canceled"

    def __init__(self):
        super().__init__()
        self.tokens = []

    def refusal(self, status, text="refused by the script"):
        """An error in the form of the framework that the server is made with."""
        return reply(status, {"status": status, "error": HTTPStatus(status).phrase, "message": text})

    def respond(self, asked):
        """What is below `/authenticate` wants no credential; all else does."""
        match asked.method, asked.parts[2:]:
            case "GET", ("authenticate",):
                return reply(200, {"login": {"enabled": True}})
            case "POST", ("authenticate", "login"):
                return self.log_in(asked.json)
            case method, place if self.lets_in(asked.headers):
                return self.inside(method, place, asked)
        return self.refusal(401, "Full authentication is required to access this resource")

    def log_in(self, who):
        """A token, another one each time."""
        if (who["username"], who["password"]) != (USER, PASSWORD):
            return self.refusal(401, "Bad credentials")
        self.tokens.append(f"t0ken-{len(self.tokens) + 1}")
        return reply(200, {"user": {"userName": USER}, "tokens": [{"scope": "default", "token": self.tokens[-1]}]})

    def lets_in(self, headers):
        """Whether there is a key, or a token of some login."""
        token = headers.get("authorization", "").removeprefix("Bearer ")
        return headers.get("x-api-key") == KEY or token in self.tokens

    def inside(self, method, place, asked):
        """Flows, documents, and who asks."""
        match method, place:
            case _, ("flows", "executions", *rest):
                return self.execute(method, rest, asked)
            case "GET", ("flows",):
                return self.items([{"id": flow} for flow in (self.flow, self.other_flow, self.odd_flow)], asked)
            case "GET", ("flows", flow, "executions"):
                return self.items([execution(run) for run in self.newest_first() if run.flow == flow], asked)
            case "POST", ("flows", flow, "contract") if self.has(flow):
                return reply(200, {"inputSchema": SCHEMA})
            case "GET", ("documents", name, *rest):
                return self.document(name, rest)
            case "GET", ("users", "me"):
                return reply(200, {"id": "u-1", "userName": USER})
            case "GET", ("system", "info"):
                return reply(200, {"version": "4.0.0"})
        return self.refusal(404, "No such flow, or no such place")

    def document(self, name, rest):
        """A document that some run made: what it is, or what is in it."""
        if not rest:
            return reply(200, {"id": name, "displayName": name})
        content = next(run.files[name] for run in self.runs.values() if name in run.files)
        return reply(200, content, {"content-type": "application/octet-stream"})

    def items(self, items, asked):
        """A page, by its number; nothing tells how many there are."""
        size = min(int(asked.query["size"]), self.page_size)
        return reply(200, self.page(items, int(asked.query["page"]) * size))

    def execute(self, method, place, asked):
        """Executions: a new one, all of them, or one."""
        match method, place:
            case "POST", []:
                return self.submit(asked)
            case "GET", []:
                return self.items([execution(run) for run in self.newest_first()], asked)
            case _, [run_id, *rest] if run := self.find(run_id):
                return self.about(method, run, rest, asked)
        return self.refusal(404, "No such execution")

    def submit(self, asked):
        """Start an execution: its input is XML, or nothing."""
        flow = asked.query["flowId"]
        if not self.has(flow):
            return self.refusal(404, "No such flow")
        given = {each.tag: each.text for each in ET.fromstring(asked.body)} if asked.body else {}
        return reply(200, progress(self.start(flow, parameters=given, payload=asked.body)))

    def about(self, method, run, rest, asked):
        """What can be done with an execution."""
        match method, rest:
            case "GET", ["progress"]:
                return reply(200, progress(run))
            case "GET", [] | ["status"]:
                return reply(200, execution(run))
            case "POST", ["progress"]:
                run.answers, run.word = asked.json, "Running"
                return reply(200, progress(run))
            case "DELETE", ["progress"]:
                if WORDS.get(run.word, "").startswith(ENDS):
                    return self.refusal(409, "The execution has ended")
                self.cancel(run)
                return reply(200, progress(run))
        return self.refusal(404, "No such place")


def execution(run):
    """An execution: who it is, and how it stands."""
    fields = {
        "id": run.id,
        "flow": {"id": run.flow, "type": "flow"},
        "status": run.word,
        "createdAt": run.queued_at,
        "modifiedAt": run.finished_at,
        "state": {"waitingFor": "a signature"} if run.word == "Waiting" else {},
    }
    return {name: value for name, value in fields.items() if value is not ABSENT}


def progress(run):
    """Its progress: what it does, what it asks, and in the end what it made."""
    documents = [{"id": name, "displayName": name, "type": "document"} for name in run.files]
    made = {"model": {f"B{number}": {"document": document} for number, document in enumerate(documents)}}
    fields = {
        "id": run.id,
        "status": run.word,
        "message": run.message,
        "percentage": None if run.progress is None else run.progress * 100,
        "createdAt": run.queued_at,
        "modifiedAt": run.finished_at,
        **(run.question or made),
    }
    return {name: value for name, value in fields.items() if value is not ABSENT}
