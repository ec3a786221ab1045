"""FME Flow's server over REST V4, played by a script."""

from __future__ import annotations

from conformance.fme_server import FmeServer, asks_for, download_url, present
from flowrunner.testing.conformance import reply

WORDS = {
    "queued": "queued",
    "running": "running",
    "success": "succeeded",
    "SUCCESS": "succeeded",
    "failure": "failed",
    "cancelled": "cancelled",
    "complete": None,
}
PARAMETERS = [
    {"name": "NAME", "type": "text", "required": False},
    {"name": "SourceDataset_GML", "type": "file", "itemsToSelect": "files", "required": False},
]


class FmeV4Server(FmeServer):
    """A server of 2025.1."""

    api = ("fmeapiv4",)
    first_word = "queued"
    cancelled_word = "cancelled"

    def elsewhere(self, asked):
        """The version stands beside the interface."""
        if asked.parts == ("fmeinfo", "version"):
            return reply(200, {"buildNumber": 25606, "buildString": "FME Flow 2025.1 - Build 25606 - linux-x64"})
        return super().elsewhere(asked)

    def over_rest(self, method, place, asked):
        """Jobs, workspaces, and files that are brought."""
        match method, place:
            case "POST", ("jobs",):
                return self.submit(asked.json, lambda run: reply(202, {"id": int(run.id)}))
            case "POST", ("jobs", "sync"):
                return self.submit(asked.json, self.run_to_the_end)
            case "GET", ("jobs",):
                return self.list_jobs(asked)
            case _, ("jobs", run_id, *rest):
                return self.about(method, run_id, rest)
            case "GET", ("workspaces",):
                items = [{"repositoryName": repository, "name": name} for repository, name in self.flows()]
                return self.items(items, asked)
            case "GET", ("workspaces", repository, name, "parameters"):
                return reply(200, PARAMETERS) if self.has(f"{repository}/{name}") else self.no_such(name)
            case "POST", ("resources", "connections", _, "upload"):
                return self.take_file(asked)
        return self.refusal(404, "no such place")

    def submit(self, job, answer):
        """Start a job."""
        flow = f"{job['repository']}/{job['workspace']}"
        if not self.has(flow):
            return self.no_such(job["workspace"])
        return answer(self.start(flow, parameters=job.get("publishedParameters")))

    def run_to_the_end(self, run):
        """A job that is waited for: it ends at once."""
        run.word = "success"
        return reply(200, record(run))

    def list_jobs(self, asked):
        """The jobs of some statuses, newest first."""
        words = {value for name, value in asked.queries if name == "status"}
        jobs = [run for run in self.newest_first() if run.word in words and asks_for(asked.query, run.flow)]
        return self.items([record(run) for run in jobs], asked)

    def items(self, items, asked):
        """A page."""
        offset, limit = int(asked.query["offset"]), int(asked.query["limit"])
        page = self.page(items, offset, limit)
        head = {"totalCount": len(items), "limit": min(limit, self.page_size), "offset": offset}
        return reply(200, {"items": page, **head})

    def about(self, method, run_id, rest):
        """What can be done with a job."""
        match method, rest, self.find(run_id):
            case "POST", ["cancel"], None:
                return self.refusal(422, f'The job for ID "{run_id}" does not exist.')
            case _, _, None:
                return self.refusal(404, f"Job {run_id} does not exist.")
            case "GET", [], run:
                return reply(200, record(run))
            case "GET", ["result"], run:
                return reply(200, record(run)) if has_ended(run) else reply(202)
            case "POST", ["cancel"], run if has_ended(run):
                return self.refusal(422, f'Job "{run_id}" is already complete and cannot be cancelled.')
            case "POST", ["cancel"], run:
                self.cancel(run)
                return reply(204)
        return self.refusal(404, "no such place")

    def take_file(self, asked):
        """A form with one part, named `files`."""
        boundary = asked.headers["content-type"].partition("boundary=")[2].encode()
        head, _, content = asked.body.split(b"--" + boundary)[1].partition(b"\r\n\r\n")
        name = head.partition(b'filename="')[2].partition(b'"')[0].decode()
        self.uploaded[name] = content.removesuffix(b"\r\n")
        return reply(201)


def has_ended(run):
    """Whether the job's word says how it ended; `complete` does not, and its result is still to come."""
    return (WORDS.get(run.word) or "").startswith(("succeeded", "failed", "cancelled"))


def record(run):
    """A job, as V4 writes it; its result has the same keys."""
    repository, workspace = run.flow.split("/", 1)
    return present({
        "id": int(run.id),
        "repository": repository,
        "workspace": workspace,
        "status": run.word,
        "statusMessage": run.message,
        "timeQueued": run.queued_at,
        "timeStarted": run.started_at,
        "timeFinished": run.finished_at,
        "resultDatasetDownloadUrl": download_url(run),
    })  # fmt: skip
