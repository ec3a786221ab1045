"""Shared resources as the APIs of FME Flow, of whatever version, handle them: one behaviour, refusals included."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from starlette.background import BackgroundTask
from starlette.responses import FileResponse

from flowrunner.simulator.fme_http import ApiError
from flowrunner.simulator.fme_resources import CONNECTIONS, Entry, NoSpaceError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable
    from pathlib import Path

    from starlette.requests import Request

    from flowrunner.simulator.fme_world import FmeWorld

    Names = tuple[str, ...]


def names_in(path: str) -> Names:
    """Return the names of a path.

    Raises:
        ApiError: 400, it leads upwards.
    """
    names = tuple(name for name in path.split("/") if name not in ("", "."))
    if ".." in names:
        raise ApiError(400, f"Invalid path: {path}")
    return names


def connection_of(request: Request) -> str:
    """Return the connection a path names.

    Raises:
        ApiError: 404, there is no such connection.
    """
    connection: str = request.path_params["connection"]
    if connection not in CONNECTIONS:
        raise ApiError(404, f"Resource connection {connection} does not exist.")
    return connection


def find(world: FmeWorld, connection: str, path: Names) -> Entry:
    """Return a file or folder.

    Raises:
        ApiError: 404, it is not there. Its text says "does not exist" (observed).
    """
    entry = world.resources.find(connection, path)
    if entry is None:
        raise ApiError(404, f"File {'/'.join(path)} does not exist.")
    return entry


def find_folder(world: FmeWorld, connection: str, path: Names) -> Entry:
    """Return a folder.

    Raises:
        ApiError: 404, it is not there; 409, it is a file. The latter is assumed.
    """
    entry = find(world, connection, path)
    if entry.content is not None:
        raise ApiError(409, f"File {'/'.join(path)} is not a folder.")
    return entry


def make_folder(world: FmeWorld, connection: str, path: Names) -> Entry:
    """Make a folder and those it is in, unless a file is in the way."""
    for length in range(1, len(path) + 1):
        if world.resources.find(connection, path[:length]) is None:
            break
        find_folder(world, connection, path[:length])
    world.resources.make_folder(connection, path)
    return find(world, connection, path)


async def store(
    world: FmeWorld, connection: str, path: Names, chunks: AsyncIterator[bytes], *, overwrite: bool
) -> Entry:
    """Receive a file.

    Raises:
        ApiError: 409, there is one and it may not be overwritten; 507 or 500, there is no room for it or it cannot be
            stored.
    """
    try:
        blob = await world.resources.receive(chunks)
    except NoSpaceError:
        raise ApiError(world.quirks.full_status, "There is not enough space on the disk") from None
    try:
        _check_target(world, connection, path, overwrite=overwrite)
    except ApiError:
        blob.unlink()
        raise
    return world.resources.put(connection, path, blob)


def _check_target(world: FmeWorld, connection: str, path: Names, *, overwrite: bool) -> None:
    """See whether a file may be written there."""
    if path[-1] in world.resources.refused:
        raise ApiError(500, f"File {path[-1]} could not be stored.")
    there = world.resources.find(connection, path)
    if there is not None and (there.content is None or not overwrite):
        raise ApiError(409, f"File {'/'.join(path)} already exists.")


def delete(world: FmeWorld, connection: str, path: Names) -> None:
    """Remove a file or folder with what is in it."""
    if not path:
        raise ApiError(403, f"Resource connection {connection} cannot be deleted.")
    find(world, connection, path)
    world.resources.delete(connection, path)


def download(content: Path, name: str, disposition: Literal["attachment", "inline"]) -> FileResponse:
    """Give away a file."""
    return FileResponse(
        content, media_type="application/octet-stream", filename=name, content_disposition_type=disposition
    )


def download_zip(world: FmeWorld, connection: str, folder: Names, names: Iterable[str], zip_name: str) -> FileResponse:
    """Give away some of a folder's files, packed."""
    paths = [(*folder, *names_in(name)) for name in names]
    for path in paths:
        find(world, connection, path)
    packed = world.resources.pack(connection, folder, paths)
    return FileResponse(
        packed, media_type="application/zip", filename=zip_name, background=BackgroundTask(packed.unlink)
    )


def plain_name(name: str | None) -> str:
    """Return the name of a file to store.

    Raises:
        ApiError: 400, it has none, or one that is a path.
    """
    if name is None or name in ("", ".", "..") or "/" in name:
        raise ApiError(400, "The request does not name a file.")
    return name
