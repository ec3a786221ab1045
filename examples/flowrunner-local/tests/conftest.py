"""What the tests share: connections to a folder of their own, in this program and in others."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

import flowrunner
from watching import lives


@pytest.fixture
def settings(tmp_path):
    """The settings of the connections of a test; it adds its flows."""
    found = {"folder": str(tmp_path / "state"), "flows": {}, "poll_min": 0.02, "poll_max": 0.1}
    yield found
    _end_what_is_left(Path(found["folder"], "runs"))


def _end_what_is_left(runs):
    """No test leaves a process behind, also if it fails: commands that were started and whose end nobody noted."""
    for path in runs.glob("*/status.json"):
        with suppress(ValueError, FileNotFoundError):
            status = json.loads(path.read_bytes())
            (path.parent / "cancel").touch()
            if "pid" in status and "finished_at" not in status and lives(status["pid"]):
                with suppress(ProcessLookupError):
                    os.killpg(status["pid"], signal.SIGKILL)


@pytest.fixture
def connected(settings):
    """Connect to the flows of a test."""
    clients = []

    def connect(**more):
        clients.append(flowrunner.connect(backend="local", **settings | more))
        return clients[-1]

    yield connect
    for client in clients:
        client.close()


@pytest.fixture
def program(settings):
    """Start another program, which has `client`."""

    def start(source):
        opening = f"import flowrunner, os, signal\nclient = flowrunner.connect(backend='local', **{settings!r})\n"
        return subprocess.Popen([sys.executable, "-c", opening + source], stdout=subprocess.PIPE, text=True)

    return start
