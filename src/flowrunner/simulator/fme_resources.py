"""The shared resources of FME Flow: folders and files, the bytes on disk so that large ones cost no memory."""

from __future__ import annotations

import shutil
import tempfile
import zipfile
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from attrs import field, frozen

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable
    from datetime import datetime

    from flowrunner.simulator.clock import Clock

CONNECTIONS = tuple(f"FME_SHAREDRESOURCE_{name}" for name in ("BACKUP", "DATA", "ENGINE", "LOG", "SYSTEM", "TEMP"))
"""The resources that every server has (observed)."""


class NoSpaceError(Exception):
    """There is no room for a file."""


@frozen
class Entry:
    """A file or a folder.

    Attributes:
        path: The names from the top of the connection on.
        date: When it was written.
        size: In bytes; 0 for a folder.
        content: Where the bytes of a file are; None for a folder.
    """

    path: tuple[str, ...]
    date: datetime
    size: int = 0
    content: Path | None = field(default=None, repr=False)

    @property
    def name(self) -> str:
        """The last name of its path; empty at the top."""
        return self.path[-1] if self.path else ""


class Resources:
    """The files of one server. Names are case-sensitive and may be any, for they are not those on the disk.

    Args:
        clock: The time, for the dates of files.

    Attributes:
        capacity: How many bytes all files together may have; None is no limit.
        refused: Names of files that cannot be stored, whatever is tried.
    """

    def __init__(self, clock: Clock) -> None:
        self.capacity: int | None = None
        self.refused: set[str] = set()
        self._clock = clock
        self._folder: Path | None = None
        self._numbers = count(1)
        self._entries: dict[tuple[str, ...], Entry] = {}

    def close(self) -> None:
        """Remove all files from the disk, and all entries."""
        folder, self._folder = self._folder, None
        self._entries.clear()
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)

    def find(self, connection: str, path: tuple[str, ...] = ()) -> Entry | None:
        """Return a file or folder; the top of a connection is always there."""
        if connection in CONNECTIONS and not path:
            return Entry((), self._clock.now())
        return self._entries.get((connection, *path))

    def inside(self, connection: str, path: tuple[str, ...] = ()) -> list[Entry]:
        """Return what is directly in a folder, by name."""
        within = self._below(connection, path)
        return sorted((entry for entry in within if len(entry.path) == len(path) + 1), key=lambda entry: entry.path)

    def make_folder(self, connection: str, path: tuple[str, ...]) -> None:
        """Make a folder and those it is in; what is there stays as it is."""
        for length in range(1, len(path) + 1):
            part = path[:length]
            self._entries.setdefault((connection, *part), Entry(part, self._clock.now()))

    async def receive(self, chunks: AsyncIterator[bytes]) -> Path:
        """Write bytes to the disk as they come in; they are no file yet.

        Raises:
            NoSpaceError: There is no room for them.
        """
        blob = self._new_blob()
        try:
            with blob.open("xb") as out:
                async for chunk in chunks:
                    self._check_room(out.tell() + len(chunk))
                    out.write(chunk)
        except BaseException:
            blob.unlink(missing_ok=True)
            raise
        return blob

    def put(self, connection: str, path: tuple[str, ...], blob: Path) -> Entry:
        """Make bytes on the disk a file, in place of the one that was there."""
        self.delete(connection, path)
        entry = Entry(path, self._clock.now(), blob.stat().st_size, blob)
        self._entries[(connection, *path)] = entry
        return entry

    def delete(self, connection: str, path: tuple[str, ...]) -> None:
        """Remove a file, or a folder with all that is in it."""
        for entry in self._tree(connection, path):
            del self._entries[(connection, *entry.path)]
            if entry.content is not None:
                entry.content.unlink()

    def pack(self, connection: str, folder: tuple[str, ...], paths: Iterable[tuple[str, ...]]) -> Path:
        """Write a zip of files, and of all that is in folders, to the disk; the caller removes it."""
        blob = self._new_blob()
        with zipfile.ZipFile(blob, "x") as archive:
            for entry in (entry for path in paths for entry in self._tree(connection, path)):
                if entry.content is not None:
                    archive.write(entry.content, "/".join(entry.path[len(folder) :]))
        return blob

    def _below(self, connection: str, path: tuple[str, ...]) -> list[Entry]:
        """Return all that is in a folder, at any depth."""
        top = (connection, *path)
        return [entry for key, entry in self._entries.items() if key[: len(top)] == top and key != top]

    def _tree(self, connection: str, path: tuple[str, ...]) -> list[Entry]:
        """Return a file or folder with all that is in it."""
        top = self._entries.get((connection, *path))
        return ([] if top is None else [top]) + self._below(connection, path)

    def _check_room(self, size: int) -> None:
        if self.capacity is not None and size + sum(entry.size for entry in self._entries.values()) > self.capacity:
            raise NoSpaceError

    def _new_blob(self) -> Path:
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="flowrunner-simulator-"))
        return self._folder / str(next(self._numbers))
