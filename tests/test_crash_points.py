"""A program that is killed at any step between the intent and the result loses nothing, and starts nothing twice."""

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from flowrunner.backend import key_in
from flowrunner.simulator import Behaviour, RealClock, Simulator, Workspace

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="only where processes fork")
SCRIPT = Path(__file__).with_name("crashing.py")


@pytest.fixture
def crashed(tmp_path):
    """Die at every step on a server; what the next process made of each, how the last one ended, and the books."""

    def run(backend):
        with Simulator(backend, clock=RealClock(100), engines=4) as server:
            server.publish(Workspace("Demo", "work.fmw", behaviour=Behaviour(duration=2)))
            command = [sys.executable, str(SCRIPT), server.base_url, server.token, backend, str(tmp_path)]
            ended = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True)
            *steps, last = (json.loads(line) for line in ended.stdout.splitlines())
            return steps, last, list(server.books)

    return run


def test_with_keys_every_run_is_found_or_was_never_started(crashed):
    """V3 carries keys: at whatever step the process dies, its run is started once, and its end is known."""
    steps, last, books = crashed("fme-flow-v3")

    assert len(steps) >= 14
    assert {each.get("state") for each in (*steps, last)} == {"succeeded"}
    assert {"submitted", "recovered"} <= {each["how"] for each in steps} <= {"submitted", "recovered", "known"}
    started = Counter(key_in(book.description) for book in books)
    assert set(started.values()) == {1}
    assert {each["key"] for each in (*steps, last)} == set(started)


def test_without_keys_what_is_uncertain_is_named(crashed):
    """V4 carries none: what may have been started is uncertain, the run is among the candidates, nothing is guessed."""
    steps, _, books = crashed("fme-flow-v4")

    certain = [each for each in steps if each["how"] != "candidates"]
    uncertain = [each for each in steps if each["how"] == "candidates"]
    assert {each["state"] for each in certain} == {"succeeded"}
    # From when the intent was written down until the id was: steps in a row.
    numbers = [each["step"] for each in uncertain]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    assert len(numbers) <= 5
    started = {str(book.id) for book in books}
    assert all(set(each["ids"]) <= started for each in uncertain)
    assert len(books) <= len(steps) + 1
