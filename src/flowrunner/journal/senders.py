"""Which process sends a submission, and whether it still lives.

A number alone does not tell: it is given again, and in containers every program has the same. Linux says when a process
was started; elsewhere nobody can tell.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

__all__ = ["lives", "this_process"]

PROC: Final = Path("/proc")
STARTED: Final = 19
"""Where in `/proc/PID/stat`, behind the name, it stands when the process was started."""


def this_process() -> str:
    """A text that tells this process from all others of the machine, now and later."""
    return f"{os.getpid()}:{_started(os.getpid())}:{_space()}"


def lives(sender: str) -> bool | None:
    """Whether the process with this text still lives; None where that cannot be told from here."""
    pid, _, rest = sender.partition(":")
    started, _, space = rest.partition(":")
    if not started or not pid.isdecimal() or space != _space():
        return None
    return _started(int(pid)) == started


def _started(pid: int) -> str:
    """When it was started, in ticks since the machine was; empty if there is no such process, or no way to know."""
    try:
        stat = (PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    return stat.rpartition(")")[2].split()[STARTED]


def _space() -> str:
    """Where its number means something: since this start of the machine, in this container."""
    try:
        boot = (PROC / "sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot}/{(PROC / 'self/ns/pid').readlink()}"
    except OSError:
        return ""
