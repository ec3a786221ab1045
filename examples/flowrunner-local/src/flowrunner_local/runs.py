"""Runs on disk: what the programs that use the backend and the keepers of runs have in common.

A run is a folder, which appears under its name when it is complete:

```
20250101T120000123456-1a2b3c4d/
    order.json     what to start; written before anything is started, never changed
    status.json    how the run stands; replaced as a whole
    lock           held by whoever looks after the run: the program that submits it, then its keeper
    cancel         is there if somebody wants the run cancelled
    payload        what the command reads
    log.txt        what the command writes
    output/        the files that it makes
    keeper.txt     what a keeper had to say that broke
```

The lock is the kernel's: it is released when its holder ends, in whatever way, also by `kill -9` and when the machine
stops. No process id is trusted, since ids are used again. The standard library alone is imported: keepers start fast.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
from datetime import UTC, datetime
from secrets import token_hex
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["ENDED", "ID", "VANISHED", "Order", "Run", "create", "newest_first", "now"]

ID: Final = re.compile(r"\d{8}T\d{12}-[0-9a-f]{8}")
"""What the name of a run's folder looks like: nothing else that a reference holds may become a path."""
VANISHED: Final = "vanished"
ENDED: Final = frozenset({"succeeded", "failed", "not started", "cancelled", VANISHED})
"""The words of runs that nobody looks after any more, nor has to."""
CHUNK: Final = 256 * 1024
"""Bytes of a log that are in memory at once."""
TAIL: Final = 16 * 1024
"""Bytes at the end of a log in which the last progress is looked for."""


class Order(NamedTuple):
    """What to start.

    Attributes:
        flow: whose command it is.
        command: the program and its arguments.
        parameters: by name, as text.
        environment: variables for the command, beside those of the program that submits.
        working_folder: where the command works; None for the folder that its files go to.
        cancel_grace: seconds between asking the command to end and making it.
    """

    flow: str
    command: list[str]
    parameters: dict[str, str]
    environment: dict[str, str]
    working_folder: str | None
    cancel_grace: float


class Run:
    """A run's folder."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.log = path / "log.txt"
        self.output = path / "output"
        self.payload = path / "payload"
        self.keeper_log = path / "keeper.txt"
        self._cancel = path / "cancel"

    def order(self) -> Order:
        """What to start."""
        return Order(**_read(self.path / "order.json"))

    def status(self) -> dict[str, Any]:
        """How the run stands.

        First the lock, then the status: whoever has let go of the lock writes no more.
        """
        is_kept = self._is_kept()
        status = _read(self.path / "status.json")
        if is_kept or status.get("word") in ENDED:
            return status
        command = f"its command (process {status['pid']})" if "pid" in status else "a command"
        lost = f"the keeper of the run is gone, and with it what became of {command}: was the machine restarted?"
        return {**status, "word": VANISHED, "message": lost}

    def note(self, **changes: Any) -> None:
        """Change how the run stands; for the holder of the lock alone."""
        _write(self.path / "status.json", {**_read(self.path / "status.json"), **changes})

    def lock(self) -> int:
        """Look after the run until the descriptor, and all that were inherited from it, are closed.

        A program that forks while another thread of it submits gives its child one, too: as long as that child lives,
        it would not show that the keeper is gone.
        """
        descriptor = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        return descriptor

    def _is_kept(self) -> bool:
        descriptor = os.open(self.path / "lock", os.O_RDONLY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(descriptor)
        return False

    def ask_to_cancel(self) -> None:
        """Want the run cancelled; its keeper will see it."""
        self._cancel.touch()

    def is_cancel_asked(self) -> bool:
        """Whether somebody wants the run cancelled."""
        return self._cancel.exists()

    def read_log(self, offset: int) -> tuple[bytes, bool]:
        """What the log has from an offset on, or the beginning of that; and whether the run had ended before."""
        has_ended = self.status().get("word") in ENDED
        with self.log.open("rb") as file:
            file.seek(offset)
            return file.read(CHUNK), has_ended

    def tail(self) -> bytes:
        """The last lines of the log, without one that was cut off."""
        with self.log.open("rb") as file:
            start = max(file.seek(0, os.SEEK_END) - TAIL, 0)
            file.seek(start)
            text = file.read()
        return text.partition(b"\n")[2] if start else text

    def files(self) -> list[tuple[str, int]]:
        """The files that the run has made, as paths below its output folder, with their sizes; links are left out."""
        found = [path for path in self.output.rglob("*") if path.is_file() and not path.is_symlink()]
        return sorted((path.relative_to(self.output).as_posix(), path.stat().st_size) for path in found)

    def remove(self) -> None:
        """Forget the run."""
        shutil.rmtree(self.path)


def create(runs: Path, order: Order, payload: bytes | Path | None = None) -> tuple[Run, int]:
    """A new run, and the lock of it: whoever closes that without having passed it on has given the run up."""
    made = datetime.now(UTC)
    name = f"{made:%Y%m%dT%H%M%S%f}-{token_hex(4)}"
    unfinished = Run(runs / f".{name}")
    try:
        _fill(unfinished, order, payload)
        _write(unfinished.path / "status.json", {"word": "queued", "flow": order.flow, "queued_at": made.isoformat()})
        lock = unfinished.lock()
        return Run(unfinished.path.rename(runs / name)), lock
    except OSError:
        shutil.rmtree(unfinished.path, ignore_errors=True)
        raise


def _fill(run: Run, order: Order, payload: bytes | Path | None) -> None:
    run.output.mkdir(mode=0o700, parents=True)
    run.path.chmod(0o700)
    run.log.touch()
    _write(run.path / "order.json", order._asdict())
    if isinstance(payload, bytes):
        run.payload.write_bytes(payload)
    elif payload is not None:
        shutil.copyfile(payload, run.payload)


def newest_first(runs: Path) -> list[str]:
    """The names of all runs: they begin with the time."""
    names = [path.name for path in runs.iterdir()] if runs.is_dir() else []
    return sorted(filter(ID.fullmatch, names), reverse=True)


def now() -> str:
    """The time, as a status has it."""
    return datetime.now(UTC).isoformat()


def _read(path: Path) -> dict[str, Any]:
    value = json.loads(path.read_bytes())
    if isinstance(value, dict):
        return value
    raise ValueError(f"{path.name} holds no object")


def _write(path: Path, value: Mapping[str, Any]) -> None:
    """The file is there as a whole, or as it was, also after a power cut."""
    part = path.with_suffix(".part")
    with part.open("w", encoding="ascii") as file:
        json.dump(value, file)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
