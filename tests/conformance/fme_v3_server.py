"""FME Flow's server over REST V3, played by a script."""

from __future__ import annotations

import re
from urllib.parse import unquote

from conformance.fme_server import FmeServer, asks_for, download_url, present
from flowrunner.testing.conformance import reply

WORDS = {
    "SUBMITTED": "queued",
    "QUEUED": "queued",
    "DELAYED": "queued",
    "PAUSED": "waiting/paused",
    "PULLED": "running",
    "IN_PROCESS": "running",
    "RUNNING": "running",
    "SUCCESS": "succeeded",
    "FME_FAILURE": "failed/flow",
    "JOB_FAILURE": "failed/platform",
    "ABORTED": "cancelled",
    "DELETED": "cancelled",
    "COMPLETED": None,
}
QUEUED = {"SUBMITTED", "QUEUED", "DELAYED", "PAUSED"}
RUNNING = {"PULLED", "IN_PROCESS", "RUNNING"}
SECTIONS = {"queued": QUEUED, "running": RUNNING, "active": QUEUED | RUNNING}
PARAMETERS = [
    {"name": "NAME", "type": "TEXT", "model": "string", "optional": True},
    {"name": "SourceDataset_GML", "type": "FILENAME_MUSTEXIST", "model": "string", "optional": True},
]


class FmeV3Server(FmeServer):
    """A server of 2023.0: its V4 runs no jobs yet, and it knows no `/fmeinfo/version`."""

    api = ("fmerest", "v3")
    first_word = "SUBMITTED"
    cancelled_word = "ABORTED"

    def over_rest(self, method, place, asked):
        """Jobs, repositories, and files that are brought."""
        match method, place:
            case "GET", ("info",):
                return reply(200, {"build": "FME Server 2023.0 - Build 23166 - linux-x64", "timeZone": "+0200"})
            case _, ("transformations", *rest):
                return self.transform(method, rest, asked)
            case "GET", ("repositories",):
                return whole([{"name": name} for name in sorted({repository for repository, _ in self.flows()})])
            case "GET", ("repositories", repository, "items"):
                return whole([{"name": name} for each, name in self.flows() if each == repository])
            case "GET", ("repositories", repository, "items", name, "parameters"):
                return reply(200, PARAMETERS) if self.has(f"{repository}/{name}") else self.no_such(name)
            case "POST", ("resources", "connections", _, "filesys", _):
                return self.take_file(asked)
        return self.refusal(404, "no such place")

    def transform(self, method, place, asked):
        """All that has to do with jobs."""
        match method, place:
            case "POST", ["submit", repository, workspace]:
                return self.submit(repository, workspace, asked, lambda run: reply(202, {"id": int(run.id)}))
            case "POST", ["transact", repository, workspace]:
                return self.submit(repository, workspace, asked, self.run_to_the_end)
            case "GET", ["jobs", ("active" | "completed") as section]:
                return self.list_jobs(section, asked)
            case "GET", ["jobs", "id", run_id, *rest] if run := self.find(run_id):
                return reply(200, log(run), {"content-type": "text/plain"}) if rest else reply(200, record(run))
            case "DELETE", ["jobs", section, run_id] if run := self.find(run_id):
                return self.take_out(section, run)
        return self.refusal(404, "no such job, or no such place")

    def submit(self, repository, workspace, asked, answer):
        """Start a job."""
        flow = f"{repository}/{workspace}"
        if not self.has(flow):
            return self.no_such(workspace)
        parameters = {each["name"]: each["value"] for each in asked.json["publishedParameters"]}
        run = self.start(flow, parameters=parameters)
        run.notes["description"] = asked.json["TMDirectives"].get("description", "")
        return answer(run)

    def run_to_the_end(self, run):
        """A job that is waited for: it ends at once."""
        run.word = "SUCCESS"
        return reply(200, result(run))

    def list_jobs(self, section, asked):
        """The jobs that live, or those that ended, newest first."""
        jobs = [
            run
            for run in self.newest_first()
            if (run.word in SECTIONS["active"]) == (section == "active") and asks_for(asked.query, run.flow)
        ]
        offset, limit = int(asked.query["offset"]), int(asked.query["limit"])
        page = [record(run) for run in self.page(jobs, offset, limit)]
        head = {"totalCount": len(jobs), "limit": min(limit, self.page_size), "offset": offset}
        return reply(200, {"items": page, **head})

    def take_out(self, section, run):
        """Cancel a job, which has to be named with the section it is in."""
        if run.word not in SECTIONS[section]:
            return self.refusal(404, f"Job {run.id} is not {section}.")
        self.cancel(run)
        return reply(204)

    def take_file(self, asked):
        """The body is the file; a header has its name."""
        name = re.search('"(.*)"', asked.headers["content-disposition"])
        self.uploaded[unquote(name[1])] = asked.body
        return reply(201, {"name": unquote(name[1])})


def whole(items):
    """A collection that has no pages."""
    return reply(200, {"items": items, "totalCount": len(items), "limit": -1, "offset": -1})


def log(run):
    """A job's log."""
    return "".join(f"{line}\n" for line in run.log).encode()


def record(run):
    """A job, as V3 writes it. One that is `COMPLETED` has its result still to come."""
    repository, workspace = run.flow.split("/", 1)
    is_live = run.word in SECTIONS["active"] or WORDS.get(run.word) is None
    return present({
        "id": int(run.id),
        "repository": repository,
        "workspace": workspace,
        "status": run.word,
        "statusMessage": run.message,
        "description": run.notes.get("description", ""),
        "timeQueued": run.queued_at,
        "timeStarted": run.started_at,
        "timeFinished": run.finished_at,
        **({} if is_live else {"result": result(run)}),
    })  # fmt: skip


def result(run):
    """A job's result, as V3 writes it."""
    return {"id": int(run.id), "status": run.word, "resultDatasetDownloadUrl": download_url(run)}
