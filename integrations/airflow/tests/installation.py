"""A whole Airflow, in processes of its own: scheduler with its workers, triggerer, API server and DAG processor.

It keeps to the loopback interface and to SQLite. Each process leads a group of its own, by which it is stopped.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress

import httpx

__all__ = ["Installation"]

COMMANDS = {
    "api-server": ["api-server"],
    "scheduler": ["scheduler", "--skip-serve-logs"],
    "dag-processor": ["dag-processor"],
    "triggerer": ["triggerer", "--skip-serve-logs"],
}
PRELOADED = """
import sys

if "scheduler" in sys.argv:
    import airflow.sdk.execution_time.task_runner
    import flowrunner_airflow.operator
"""
"""What a scheduler loads before it starts its workers: each task is a fork of one, and else loads it for itself."""


class Installation:
    """Starts it, asks it, and stops it.

    Args:
        home: an empty folder.
        database: a database of Airflow's with nothing in it, of which it gets a copy.
        variables: environment variables for all processes, connections among them.
    """

    def __init__(self, home, database, variables):
        self.home = home
        port = _free_port()
        self.url = f"http://127.0.0.1:{port}"
        self.env = os.environ | _configuration(home, port) | variables
        self.processes = {}
        (home / "dags").mkdir()
        (home / "config").mkdir()
        (home / "config" / "airflow_local_settings.py").write_text(PRELOADED)
        shutil.copy(database, home / "airflow.db")
        self._client = httpx.Client(base_url=self.url, timeout=120, trust_env=False)

    def start(self, *names):
        """Start processes by their names."""
        for name in names:
            with (self.home / f"{name}.log").open("a") as log:
                self.processes[name] = subprocess.Popen(
                    [sys.executable, "-m", "airflow", *COMMANDS[name]],
                    env=self.env, stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True,
                )  # fmt: skip

    def kill(self, name, how=signal.SIGKILL):
        """End a process, and those it started."""
        process = self.processes.pop(name)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, how)
        with suppress(subprocess.TimeoutExpired):
            process.wait(10)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def stop(self):
        """End all that was started."""
        for name in list(self.processes):
            self.kill(name, signal.SIGTERM if name == "api-server" else signal.SIGKILL)
        self._client.close()

    # Its API

    def log_in(self):
        """Get a token; the server may still be starting."""
        self.until(lambda: _is_up(self._client), "the API server answers")
        token = self._client.get("/auth/token").json()["access_token"]
        self._client.headers["authorization"] = f"Bearer {token}"

    def ask(self, method, path, **arguments):
        """What the API answers. It fails where SQLite is busy, and is asked again then, as a person would do it."""
        for _ in range(20):
            answer = self._client.request(method, f"/api/v2{path}", **arguments)
            if answer.status_code < 500:
                break
            time.sleep(0.5)  # processes of Airflow: no clock of ours moves them
        assert answer.is_success, f"{method} {path}: {answer.status_code} {answer.text[:500]}"
        return answer.json() if answer.content else None

    def dags(self):
        """The names of those it has read."""
        return {each["dag_id"] for each in self.ask("GET", "/dags")["dags"]}

    def trigger(self, dag, run_id="once"):
        """Have a DAG run."""
        self.ask("POST", f"/dags/{dag}/dagRuns", json={"dag_run_id": run_id, "logical_date": None})

    def mark(self, dag, state, run_id="once"):
        """Say of the task of a run how it stands, as a person may."""
        self.ask("PATCH", f"/dags/{dag}/dagRuns/{run_id}/taskInstances/run", json={"new_state": state})

    def clear(self, dag, run_id="once"):
        """Clear the task of a run."""
        asked = {"dry_run": False, "dag_run_id": run_id, "task_ids": ["run"], "only_failed": False}
        self.ask("POST", f"/dags/{dag}/clearTaskInstances", json=asked)

    def tasks(self, dag, run_id="once"):
        """The instances of the tasks of a run."""
        path = f"/dags/{dag}/dagRuns/{run_id}/taskInstances"
        found = []
        while more := self.ask("GET", path, params={"limit": 100, "offset": len(found)})["task_instances"]:
            found += more
        return found

    def count(self, dag, state, run_id="once"):
        """How many tasks of a run are in a state; this costs the server less than to list them."""
        path = f"/dags/{dag}/dagRuns/{run_id}/taskInstances"
        return self.ask("GET", path, params={"state": state, "limit": 1})["total_entries"]

    @staticmethod
    def until(holds, what, patience=300, pause=0.5):
        """Wait until something holds, and say how long it took."""
        began = time.monotonic()
        while not holds():
            assert time.monotonic() - began < patience, f"waited {patience} s in vain until {what}"
            time.sleep(pause)  # as above
        return time.monotonic() - began


def _is_up(client):
    with suppress(httpx.HTTPError):
        return client.get("/api/v2/monitor/health").is_success
    return False


def _free_port():
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return held.getsockname()[1]


def _configuration(home, port):
    url = f"http://127.0.0.1:{port}"
    return {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(home / "dags"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{url}/execution/",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
        "AIRFLOW__CORE__PARALLELISM": "8",
        "AIRFLOW__CORE__MAX_ACTIVE_TASKS_PER_DAG": "1000",
        "AIRFLOW__API__HOST": "127.0.0.1",
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__API__BASE_URL": url,
        "AIRFLOW__API__WORKERS": "1",
        "AIRFLOW__API_AUTH__JWT_SECRET": "only-for-this-test-and-long-enough-for-it-to-be-taken-0123456789",
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "WARNING",
        "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "3600",
        "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.5",
        "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "30",
        "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "2",
        "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "5",
        "AIRFLOW__TRIGGERER__JOB_HEARTBEAT_SEC": "1",
        "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "5",
        "NO_PROXY": "127.0.0.1",
    }
