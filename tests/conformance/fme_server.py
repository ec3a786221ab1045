"""What FME Flow's server does alike over both of its REST interfaces, as far as the suite asks for it."""

from __future__ import annotations

from urllib.parse import quote

from flowrunner.testing.conformance import ABSENT, ScriptedServer, reply

ROOT = "https://fme.example.com"
TOKEN = "t0ken-of-fme"
NO_ACCESS = "Unauthorized request by user admin due to lack of proper permissions or the object does not exist."
PAGE = b"<!doctype html><html><body>HTTP Status 404 - Not Found</body></html>"


class FmeServer(ScriptedServer):
    """Tokens, downloads, and what is not there.

    Attributes:
        api: the path of the interface.
    """

    flow = "Samples/nightly.fmw"
    other_flow = "Samples/weekly.fmw"
    odd_flow = "Größe & <mehr>/a b?c#d%e+f.fmw"
    odd_id = None  # ids are whole numbers
    api: tuple[str, ...]

    def respond(self, asked):
        """The health check wants no token; all else does."""
        if "healthcheck" in asked.parts:
            return reply(200, {"status": "ok", "message": "FME Flow is healthy."})
        if asked.headers.get("authorization") != f"fmetoken token={TOKEN}":
            return self.refusal(401, "Authentication failed: Failed to login")
        depth = len(self.api)
        if asked.parts[:depth] == self.api:
            return self.over_rest(asked.method, asked.parts[depth:], asked)
        return self.elsewhere(asked)

    def over_rest(self, method, place, asked):
        """The answer of the interface: `place` is what follows its path."""
        raise NotImplementedError

    def elsewhere(self, asked):
        """Datasets; the rest is a page, since it is not the interface that answers."""
        match asked.parts:
            case "fmedatadownload", "results", run_id, name:
                return reply(200, self.runs[run_id].files[name], {"content-type": "application/octet-stream"})
        return reply(404, PAGE, {"content-type": "text/html"})

    def refusal(self, status, text=None):
        """The vendor's form of an error, with what it says where a right is missing, or the thing."""
        return super().refusal(status, text or (NO_ACCESS if status == 403 else "refused by the script"))

    def no_such(self, workspace):
        """How the vendor says that it has no such workspace."""
        return self.refusal(404, f"Item {workspace} does not exist.")

    def flows(self):
        """All flows, as repository and workspace."""
        return [flow.split("/", 1) for flow in (self.flow, self.other_flow, self.odd_flow)]


def asks_for(query, flow):
    """Whether a listing is of a flow, or of all of them."""
    repository, workspace = flow.split("/", 1)
    return query.get("repository", repository) == repository and query.get("workspace", workspace) == workspace


def download_url(run):
    """The address of the dataset that a job made; None where it made none."""
    return next((f"{ROOT}/fmedatadownload/results/{run.id}/{quote(name)}" for name in run.files), None)


def present(fields):
    """The keys that a record has."""
    return {name: value for name, value in fields.items() if value is not ABSENT}
