"""A vendor of nobody's, which can do everything: its backend keeps all rules, and its server plays along."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from attrs import frozen

from flowrunner import CancelOutcome, Capability, FlowInfo, FlowSpec, Health, ParameterSpec, RemoteFile, RunState
from flowrunner.answers import error_for, json_of, senseless, submit_once
from flowrunner.backend import (
    Accepted,
    Backend,
    CancelAnswer,
    Listed,
    Outcome,
    Prompt,
    Settings,
    refuse_options,
    secret,
    setting,
)
from flowrunner.convert import read, read_item, utc
from flowrunner.enums import Cause, WaitReason
from flowrunner.errors import AuthenticationError, FlowNotFound, FlowrunnerError, RunNotFound, TransportError
from flowrunner.models import ArtifactSource
from flowrunner.plans import Page, Request, path, send
from flowrunner.secret import Secret
from flowrunner.states import Meaning, Observation
from flowrunner.testing.conformance import ABSENT, ScriptedServer, reply

TOKEN = "t0ken-of-acme"
WORDS = {
    "WAITING_LINE": "queued",
    "Working": "running",
    "On hold": "waiting/paused",
    "ASKS": "waiting/user_input",
    "Done": "succeeded",
    "Done, somehow": "succeeded/warnings",
    "Broken": "failed/flow",
    "Power cut": "failed/platform",
    "Stopped": "cancelled",
    "Over": None,
}


@frozen(kw_only=True)
class AcmeSettings(Settings):
    """The settings of an Acme connection."""

    base_url: str = setting("Address of the server.")
    token: Secret = secret("Token of a user.")


@frozen
class Record:
    """A run, as Acme writes it."""

    id: str
    flow: str | None = None
    status: str | None = None
    message: str | None = None
    percent: float | None = None
    queued: datetime | None = None
    started: datetime | None = None
    ended: datetime | None = None
    key: str | None = None
    files: list[Any] | None = None


@frozen
class Error:
    """An error, as Acme writes it."""

    message: str


class Acme(Backend):
    """The backend."""

    backend_api = 1
    name = "acme"
    family = "acme"
    settings_class = AcmeSettings
    capabilities = frozenset(Capability)
    words = {
        "waitingline": Meaning(RunState.QUEUED),
        "working": Meaning(RunState.RUNNING),
        "onhold": Meaning(RunState.WAITING, reason=WaitReason.PAUSED),
        "asks": Meaning(RunState.WAITING, reason=WaitReason.USER_INPUT),
        "done": Meaning(RunState.SUCCEEDED),
        "done,somehow": Meaning(RunState.SUCCEEDED, has_warnings=True),
        "broken": Meaning(RunState.FAILED, cause=Cause.FLOW),
        "powercut": Meaning(RunState.FAILED, cause=Cause.PLATFORM),
        "stopped": Meaning(RunState.CANCELLED, cause=Cause.UNSPECIFIED),
        "over": Meaning(None),
    }
    options = {"colour": "The colour of the run."}

    @property
    def base_url(self):
        """The server."""
        return self.settings.base_url.rstrip("/")

    def authorize(self):
        """The token."""
        return {"X-Token": self.settings.token}

    def submit(self, submission):
        """Start a run."""
        return self._start(submission)

    def run(self, submission, timeout):
        """Start a run that the vendor answers at its end."""
        return self._start(submission, (("wait", "yes"),), timeout)

    def _start(self, submission, query=(), timeout=None):
        refuse_options(submission.options, backend=self.name, honoured=frozenset({"queue"}))
        request = Request(
            "POST",
            path("flows", submission.flow, "runs"),
            query=query,
            json={
                "parameters": submission.parameters,
                "payload": None if submission.payload is None else submission.payload.decode("latin-1"),
                "queue": submission.options.queue,
                "key": submission.key,
                "colour": submission.options.extra.get("colour"),
            },
            repeatable=False,
            timeout=timeout,
        )
        return (yield from submit_once(request, lambda response: self.accepted(response, submission.flow)))

    def accepted(self, response, flow):
        """The answer to a submission."""
        if response.status == 404 and said(response):
            raise FlowNotFound(f"there is no flow {flow!r}", http_status=404)
        record = self.record(response)
        return Accepted(record.id, observation(record, response.content))

    def record(self, response):
        """The run in an answer."""
        if not response.is_success:
            raise failure(response)
        record = read(response, Record)
        if not record.id:
            raise senseless(response, "JSON without an id")
        return record

    def observe(self, ref, hold=0.0):
        """Look at a run."""
        query = (("hold", str(hold)),) if hold else ()
        timeout = hold + 10 if hold else None
        response = yield from send(Request("GET", path("runs", ref.id), query=query, timeout=timeout))
        return observation(self.seen(response, ref), response.content)

    def seen(self, response, ref):
        """The run in an answer to a look."""
        if response.status == 404 and said(response):
            raise RunNotFound(f"there is no run {ref.id!r}", http_status=404)
        return self.record(response)

    def cancel(self, ref):
        """Ask for a cancellation, and look what came of it."""
        response = yield from send(Request("DELETE", path("runs", ref.id)))
        if response.status == 409:
            return CancelAnswer(CancelOutcome.TOO_LATE, (yield from self.observe(ref)))
        observed = observation(self.seen(response, ref), response.content)
        done = self.state_of(observed) is RunState.CANCELLED
        return CancelAnswer(CancelOutcome.CONFIRMED if done else CancelOutcome.REQUESTED, observed)

    def result(self, ref):
        """The record holds it all."""
        response = yield from send(Request("GET", path("runs", ref.id)))
        record = self.seen(response, ref)
        names = [name for name in record.files or [] if isinstance(name, str)]
        files = tuple(ArtifactSource(name=name, location=path("runs", ref.id, "files", name)) for name in names)
        return Outcome(observations=(observation(record, response.content),), artifacts=files)

    def download(self, artifact, to, progress):
        """Stream a file."""
        return self._fetch(artifact.location, to, progress)

    def download_file(self, reference, to, progress):
        """Stream a file that was uploaded."""
        return self._fetch(path("files", reference), to, progress)

    def _fetch(self, address, to, progress):
        response = yield from send(Request("GET", address, save_to=to, progress=progress))
        if not response.is_success:
            raise failure(response)

    def logs(self, ref):
        """The log, as it comes."""
        response = yield from send(Request("GET", path("runs", ref.id, "log"), stream=True))
        if not response.is_success:
            raise failure(response)
        return response.lines

    def upload(self, upload):
        """Bring a file there."""
        response = yield from send(Request("PUT", path("files", upload.name), file=upload.content))
        if not response.is_success:
            raise failure(response)
        return RemoteFile(name=upload.name, reference=upload.name)

    def remove(self, file):
        """Remove it."""
        yield from send(Request("DELETE", path("files", file.reference)))

    def list_runs(self, query, cursor=None):
        """A page of runs, from an offset on."""
        offset = cursor or 0
        flow = (("flow", query.flow),) if query.flow else ()
        response = yield from send(Request("GET", path("runs"), query=(("offset", str(offset)), *flow)))
        items = self.items(response)
        records = [read_item(item, Record) for item in items]
        listed = [
            Listed(record.id, record.flow or "", observation(record, None), record.key or "") for record in records
        ]
        wanted = tuple(each for each in listed if self.wants(query, each))
        return Page(wanted, self.following(offset, items))

    def wants(self, query, listed):
        """Whether a run is asked for."""
        return not query.states or self.state_of(listed.observation) in query.states

    def following(self, offset, items):
        """Where the next page starts."""
        return offset + len(items) if items else None

    def list_flows(self, cursor=None):
        """A page of flows."""
        offset = cursor or 0
        items = self.items((yield from send(Request("GET", path("flows"), query=(("offset", str(offset)),)))))
        return Page(tuple(FlowInfo(flow=str(item)) for item in items), self.following(offset, items))

    def items(self, response):
        """The list in an answer."""
        if not response.is_success:
            raise failure(response)
        items = json_of(response)
        if not isinstance(items, list):
            raise senseless(response, "no list")
        return items

    def describe(self, flow):
        """What a flow takes."""
        response = yield from send(Request("GET", path("flows", flow)))
        if response.status == 404 and said(response):
            raise FlowNotFound(f"there is no flow {flow!r}", http_status=404)
        if not response.is_success:
            raise failure(response)
        return FlowSpec(flow, tuple(ParameterSpec(name=str(name)) for name in json_of(response)["parameters"]))

    def prompt(self, ref):
        """What a run asks."""
        question = json_of((yield from send(Request("GET", path("runs", ref.id, "question")))))
        return Prompt(schema=question["schema"], model=question["model"])

    def resume(self, ref, answers):
        """Answer it."""
        response = yield from send(Request("POST", path("runs", ref.id, "answers"), json=answers, repeatable=False))
        return observation(self.seen(response, ref), response.content)

    def health(self):
        """Who am I?"""
        try:
            response = yield from send(Request("GET", path("me")))
        except TransportError as error:
            return Health(reachable=False, message=error.message)
        try:
            name = read(response, Record).id if response.is_success else None
        except FlowrunnerError as error:
            return Health(reachable=False, message=error.message)
        denied = isinstance(error_for(response, said(response)), AuthenticationError)
        return Health(reachable=True, authenticated=name is not None and not denied)


def observation(record, raw):
    """What a record says."""
    return Observation(
        word=record.status,
        message=record.message,
        progress=None if record.percent is None else min(max(record.percent / 100, 0.0), 1.0),
        queued_at=utc(record.queued),
        started_at=utc(record.started),
        finished_at=utc(record.ended),
        raw=raw,
    )


def said(response):
    """Acme's own words in an error; None where it is not Acme's."""
    try:
        return read(response, Error).message
    except FlowrunnerError:
        return None


def failure(response):
    """The error of an answer."""
    return error_for(response, said(response))


class AcmeServer(ScriptedServer):
    """Acme's server."""

    first_word = "WAITING_LINE"
    cancelled_word = "Stopped"

    def respond(self, asked):
        """Acme's answers."""
        if asked.headers.get("x-token") != TOKEN:
            return self.refusal(401)
        match asked.method, asked.parts:
            case "POST", ("flows", flow, "runs"):
                return self.submit(asked, flow) if self.has(flow) else self.refusal(404, "no such flow")
            case "GET", ("flows",):
                flows = [self.flow, self.other_flow, self.odd_flow]
                return reply(200, self.page(flows, int(asked.query["offset"])))
            case "GET", ("flows", flow):
                return reply(200, {"parameters": ["NAME"]}) if self.has(flow) else self.refusal(404, "no such flow")
            case "GET", ("runs",):
                wanted = [run for run in self.newest_first() if asked.query.get("flow") in {None, run.flow}]
                return reply(200, [record(run) for run in self.page(wanted, int(asked.query["offset"]))])
            case method, ("runs", run_id, *rest) if run := self.find(run_id):
                return self.about(method, run, rest, asked)
        return self.elsewhere(asked)

    def elsewhere(self, asked):
        """What has to do with no run."""
        match asked.method, asked.parts:
            case "PUT", ("files", name):
                self.uploaded[name] = asked.body
                return reply(201)
            case "GET", ("me",):
                return reply(200, {"id": "ada"})
        return self.refusal(404, "no such run, or no such place")

    def submit(self, asked, flow):
        """Start a run; one that is waited for ends at once."""
        payload = asked.json.get("payload")
        run = self.start(flow, parameters=asked.json["parameters"], payload=payload and payload.encode("latin-1"))
        run.notes["key"] = asked.json.get("key")
        if "wait" in asked.query:
            run.word = "Done"
        return reply(201, record(run))

    def about(self, method, run, rest, asked):
        """What can be done with a run."""
        match method, rest:
            case "GET", []:
                return reply(200, record(run))
            case "DELETE", []:
                if (WORDS.get(run.word) or "").startswith(("succeeded", "failed", "cancelled")):
                    return self.refusal(409, "it has ended")
                self.cancel(run)
                return reply(202, record(run))
            case "GET", ["log"]:
                return reply(200, "".join(f"{line}\n" for line in run.log).encode(), {"content-type": "text/plain"})
            case "GET", ["files", name]:
                return reply(200, run.files[name], {"content-type": "application/octet-stream"})
            case "GET", ["question"]:
                return reply(200, run.question)
            case "POST", ["answers"]:
                run.answers, run.word = asked.json, "Working"
                return reply(200, record(run))
        return self.refusal(404, "no such place")


def record(run):
    """A run, as Acme writes it."""
    fields = {
        "id": run.id,
        "flow": run.flow,
        "status": run.word,
        "message": run.message,
        "percent": None if run.progress is None else run.progress * 100,
        "queued": run.queued_at,
        "started": run.started_at,
        "ended": run.finished_at,
        "key": run.notes.get("key"),
        "files": list(run.files),
    }
    return {name: value for name, value in fields.items() if value is not ABSENT}
