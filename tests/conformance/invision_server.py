"""InVision's server, played by a script: a Data Flow starts, and its run says how it stands. There is nothing else."""

from __future__ import annotations

from flowrunner.testing.conformance import ScriptedServer, reply

ADDRESS = "https://invision.example.com/invision"
KEY = "k3y-of-invision"
WORDS = {"Pending": "queued", "Running": "running", "Succeeded": "succeeded", "Failed": "failed"}


class InVisionServer(ScriptedServer):
    """InVision below a prefix."""

    flow = "0d5a2c1e-6c1f-4d9b-9a34-9b0f5a5f1a10"
    other_flow = "updatesales"  # old versions have names
    first_word = "Pending"

    def respond(self, asked):
        """Both of its answers."""
        if asked.headers.get("x-api-key") != KEY:
            return self.refusal(401)
        match asked.method, asked.parts:
            case "POST", ("invision", "api", "pub", "v1", "dataflows", flow, "start") if self.has(flow):
                run = self.start(flow)
                if asked.query.get("await") == "true":
                    run.word = "Succeeded"
                return reply(200, {"runId": run.id, "status": run.word})
            case "GET", ("invision", "api", "pub", "v1", "dataflows", flow, "runs", run_id, "status"):
                run = self.find(run_id)
                if run and run.flow == flow:
                    return reply(200, {"runId": run.id, "status": run.word})
        return self.refusal(404, "no such Data Flow, or no such run")
