"""The keepers of runs, played by a test: no process is started, and every run stands as the suite wants it."""

from __future__ import annotations

import json
import os
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

from flowrunner.testing.conformance import ABSENT, ScriptedRun, ScriptedServer
from flowrunner_local import backend
from flowrunner_local.runs import Order, Run, create, newest_first

STATUS = {"word", "message", "queued_at", "started_at", "finished_at"}


class ScriptedKeepers(ScriptedServer):
    """To this backend, keepers are the vendor, and the folders of runs are the wire."""

    odd_id = None  # ids are names of folders that the backend itself makes
    cancelled_word = "cancelled"

    def __init__(self):
        self._stack = ExitStack()
        super().__init__()
        folder = Path(self._stack.enter_context(TemporaryDirectory()))
        self._runs = folder / "runs"
        self._locks = {}
        flows = {flow: ["true"] for flow in (self.flow, self.other_flow, self.odd_flow)}
        self.settings = {"folder": folder, "flows": flows}
        self._instead(backend, "launch", self._keep)
        self._instead(backend, "CANCEL_PATIENCE", 0.0)
        self._stack.enter_context(patch.object(Run, "ask_to_cancel", autospec=True, side_effect=self.cancel))

    def _instead(self, owner, name, value):
        self._stack.enter_context(patch.object(owner, name, value))

    def _keep(self, run, lock):
        self._locks[run.path.name] = os.dup(lock)

    def cancel(self, run):
        """Do what a keeper does when somebody wants the run cancelled."""
        if self.cancels_at_once:
            run.note(word=self.cancelled_word)

    @property
    def page_size(self):
        """Items of a page: it is for the backend to say, here."""
        return backend.Local.page_size

    @page_size.setter
    def page_size(self, size):
        self._instead(backend.Local, "page_size", size)

    @property
    def started(self):
        """Runs that there are."""
        return len(newest_first(self._runs))

    def start(self, flow, *, parameters=None, payload=None):
        """Start a run, as another program would."""
        order = Order(flow, ["true"], parameters or {}, {}, None, 0.0)
        run, lock = create(self._runs, order, payload)
        self._locks[run.path.name] = lock
        return self.find(run.path.name)

    def find(self, run_id):
        """What there is of a run."""
        run = Run(self._runs / run_id)
        order = run.order()
        payload = run.payload.read_bytes() if run.payload.exists() else None
        return ScriptedRun(run_id, order.flow, run.status()["word"], order.parameters, payload)

    def show(self, run_id, **changes):
        """Have a run stand otherwise."""
        run = Run(self._runs / run_id)
        path = run.path / "status.json"
        changed = {name: value for name, value in changes.items() if name in STATUS}
        status = json.loads(path.read_bytes()) | changed
        path.write_text(json.dumps({name: value for name, value in status.items() if value is not ABSENT}))
        for name, content in changes.get("files", {}).items():
            (run.output / name).write_bytes(content)
        if "log" in changes:
            run.log.write_text("".join(f"{line}\n" for line in changes["log"]), encoding="utf-8")
        if changes.get("progress") is not None:
            with run.log.open("a") as log:
                log.write(f"::progress {changes['progress'] * 100}\n")

    def purge(self, run_id):
        """Remove the folder of a run."""
        Run(self._runs / run_id).remove()

    def close(self):
        """Let go of all runs, and put back what was replaced."""
        for lock in self._locks.values():
            os.close(lock)
        self._stack.close()
