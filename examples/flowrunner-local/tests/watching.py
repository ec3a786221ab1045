"""Small programs to run, and a way to wait for what they do: nothing here sleeps for longer than it has to."""

from __future__ import annotations

import sys
import time
from pathlib import Path

LONGEST = 30.0
"""Seconds after which nothing that a test waits for can still come, however busy the machine is."""


def shell(text):
    """A flow that is a small program for a shell."""
    return ["/bin/sh", "-c", text]


def python(text):
    """A flow that is a small program for Python."""
    return [sys.executable, "-c", text]


def until(condition):
    """Look until it is so; what was seen then."""
    end = time.monotonic() + LONGEST
    while not (seen := condition()):
        assert time.monotonic() < end, "it does not happen"
        time.sleep(0.01)
    return seen


def content_of(path):
    """The line that a process writes to a file, when it is there as a whole."""
    return until(lambda: path.is_file() and path.read_text().endswith("\n") and path.read_text().strip())


def lives(pid):
    """Whether a process works: one that has ended may still wait to be noticed by its parent."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"
