"""Submits and follows a run, and dies at a given step: a process of its own, which forks one that dies for each step.

`python crashing.py BASE_URL TOKEN BACKEND FOLDER`; what came of each step is printed as a line of JSON. A step is a
transaction of the journal or a request, before it and after it.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from datetime import timedelta
from functools import partial
from itertools import count
from pathlib import Path

import forked_command
from flowrunner.client import Client
from flowrunner.clock import SystemClock
from flowrunner.config import resolve
from flowrunner.enums import ReconcileOutcome, RunState
from flowrunner.errors import FlowrunnerError
from flowrunner.http.sessions import HttpSession
from flowrunner.journal import Journal
from flowrunner.journal.database import Database

FLOW = "Demo/work.fmw"


class Later(SystemClock):
    """When nobody can be waiting for an answer any more."""

    def now(self):
        """Half an hour on."""
        return super().now() + timedelta(minutes=30)


def client_of(base_url, token, backend, journal, clock=None):
    """A client that gives up quickly."""
    arguments = {
        "base_url": base_url,
        "token": token,
        "retries": 0,
        "poll_min": 0.01,
        "poll_max": 0.1,  # to those who come `Later` every run is old
        "max_long_polls": 0,
        "timeout": 5,
    }
    connection = resolve(None, backend=backend, config=None, arguments=arguments)
    opened = Journal.open(journal)
    return Client(connection, journal=lambda: opened, clock=clock)


def die_at(step):
    """Have this process killed at a step."""
    steps = count(1)

    def reached():
        if next(steps) == step:
            os.kill(os.getpid(), signal.SIGKILL)

    def around(owner, name):
        original = getattr(owner, name)

        def wrapped(*args, **kwargs):
            reached()
            try:
                return original(*args, **kwargs)
            finally:
                reached()

        setattr(owner, name, wrapped)

    transaction = Database.transaction

    class Stepped:
        def __init__(self, database, **how):
            self.inner = transaction(database, **how)

        def __enter__(self):
            reached()
            return self.inner.__enter__()

        def __exit__(self, *error):
            done = self.inner.__exit__(*error)
            reached()
            return done

    Database.transaction = property(lambda database: partial(Stepped, database))
    around(HttpSession, "_try")


def live(place, journal, key, step):
    """Submit and follow, unless the process dies on the way; how that ended."""
    client = client_of(*place, journal)
    die_at(step)
    state = client.submit(FLOW, key=key).wait(timeout=30).status.state
    client.close()
    return {"how": "survived", "state": state}


def recover(place, journal, key):
    """What the next process makes of it: it finds the run, or submits again when none is there; how that ended."""
    with client_of(*place, journal, Later()) as client:
        for run in client.recover():
            if run.id is not None:
                return {"how": "recovered", "id": run.id, "state": run.wait(timeout=30).status.state}
            outcome = run.reconcile()
            if outcome.outcome is ReconcileOutcome.CANDIDATES:
                return {"how": "candidates", "ids": [ref.id for ref in outcome.candidates]}
        try:
            run = client.submit(FLOW, key=key)
        except FlowrunnerError as error:
            return {"how": type(error).__name__}
        known = run.status.state is not RunState.QUEUED
        return {"how": "known" if known else "submitted", "id": run.id, "state": run.wait(timeout=30).status.state}


def forked(function, *arguments):
    """What a function returns in a process of its own; None if that process was killed."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(read)
        with os.fdopen(write, "w") as pipe:
            json.dump(function(*arguments), pipe)
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as pipe:
        text = pipe.read()
    _, status = os.waitpid(pid, 0)
    return json.loads(text) if status == 0 else None


def main():
    """Die at the first step, the second and so on, and recover from each, until a process gets to its end."""
    *place, folder = sys.argv[1:]
    forked_command.load(forked_command.CLIENT)
    for step in count(1):
        key, journal = f"step-{step}", Path(folder, f"{step}.db")
        survived = forked(live, place, journal, key, step)
        found = survived or forked(recover, place, journal, key)
        sys.stdout.write(json.dumps({"step": step, "key": key, **found}) + "\n")
        if survived:
            break


if __name__ == "__main__":
    main()
