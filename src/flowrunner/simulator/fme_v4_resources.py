"""The shared resources of FME Flow over V4. What clients send was observed; the answers are in part assumed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attrs import field, frozen
from starlette.responses import JSONResponse, Response

from flowrunner.simulator import fme_files as files
from flowrunner.simulator.fme_http import VALIDATION_FAILED, ApiError, read_flag, read_object, unpaged
from flowrunner.simulator.fme_resources import CONNECTIONS
from flowrunner.simulator.multipart import boundary_of, read_parts

if TYPE_CHECKING:
    from starlette.requests import Request

    from flowrunner.simulator.fme_http import Handler
    from flowrunner.simulator.fme_resources import Entry
    from flowrunner.simulator.fme_world import FmeWorld
    from flowrunner.simulator.multipart import Part

_BASE = "/resources/connections"
_MOST_NAMES = 500


def _record(entry: Entry) -> dict[str, Any]:
    """Describe a file or folder: name and type are observed, the rest is assumed."""
    return {
        "name": entry.name,
        "path": "/" + "/".join(entry.path),
        "type": "directory" if entry.content is None else "file",
        "size": entry.size,
        "date": entry.date.strftime("%Y-%m-%dT%H:%M:%SZ"),
    }


def _path_asked(request: Request) -> files.Names:
    """Return the `path` of a query, which may be empty but not missing."""
    path = request.query_params.get("path")
    if path is None:
        raise ApiError(400, VALIDATION_FAILED, {"path": "must not be null"})
    return files.names_in(path)


async def _connections(_: FmeWorld, __: Request) -> Response:
    """List the connections; the path and shape are V3's, and assumed here."""
    return JSONResponse(unpaged([{"name": name, "type": "FILE"} for name in CONNECTIONS]))


async def _upload(world: FmeWorld, request: Request) -> Response:
    """Store the files of a multipart body: 207 if only some of them could be (observed)."""
    connection, path = files.connection_of(request), _path_asked(request)
    boundary = boundary_of(request.headers.get("content-type", ""))
    if boundary is None:
        raise ApiError(415, "The content type must be multipart/form-data")
    if world.quirks.missing_folder == "refuse":
        files.find_folder(world, connection, path)
    folder = files.make_folder(world, connection, path)
    batch = _Batch(world, connection, folder.path, read_flag(request.query_params, "overwrite"))
    try:
        async for part in read_parts(request.stream(), boundary):
            if part.name == "files":
                await batch.store(part)
    except ValueError as error:
        raise ApiError(400, str(error)) from None
    return batch.answer()


@frozen
class _Batch:
    """The files of one upload, and what became of each."""

    world: FmeWorld
    connection: str
    folder: files.Names
    overwrite: bool
    stored: list[Entry] = field(factory=list)
    failed: list[tuple[str, ApiError]] = field(factory=list)

    async def store(self, part: Part) -> None:
        """Store one file, or note why it could not be."""
        name = files.plain_name(part.file_name)
        path = (*self.folder, name)
        try:
            entry = await files.store(self.world, self.connection, path, part.chunks, overwrite=self.overwrite)
        except ApiError as refusal:
            self.failed.append((name, refusal))
        else:
            self.stored.append(entry)

    def answer(self) -> Response:
        """Tell what became of them; if nothing was stored, in the words of the first refusal."""
        if not self.stored:
            raise self.failed[0][1] if self.failed else ApiError(400, VALIDATION_FAILED, {"files": "must not be empty"})
        body: dict[str, Any] = {"items": [_record(entry) for entry in self.stored]}
        if self.failed:
            body["failed"] = [{"name": name, "message": str(refusal)} for name, refusal in self.failed]
        return JSONResponse(body, 207 if self.failed else self.world.quirks.upload_status)


async def _info(world: FmeWorld, request: Request) -> Response:
    connection = files.connection_of(request)
    entry = files.find(world, connection, _path_asked(request))
    record = _record(entry)
    if entry.content is None:
        record["contents"] = [_record(each) for each in world.resources.inside(connection, entry.path)]
    return JSONResponse(record)


async def _download(world: FmeWorld, request: Request) -> Response:
    """Give away a file. The path is assumed: none was ever observed."""
    entry = files.find(world, files.connection_of(request), _path_asked(request))
    if entry.content is None:
        raise ApiError(400, f"{entry.name} is a folder.")
    return files.download(entry.content, entry.name, "attachment")


async def _download_zip(world: FmeWorld, request: Request) -> Response:
    """Pack what a JSON body names: at most 500 names in one folder, no wildcard (observed)."""
    connection, body = files.connection_of(request), read_object(await request.body())
    path, items = body.get("path"), body.get("items")
    if not isinstance(path, str):
        raise ApiError(400, VALIDATION_FAILED, {"path": "must be a string"})
    if not isinstance(items, list) or not _are_names(items):
        raise ApiError(400, VALIDATION_FAILED, {"items": f"must be 1 to {_MOST_NAMES} names"})
    name = str(body.get("zipFileName", "resources.zip"))
    return files.download_zip(world, connection, files.names_in(path), items, name)


def _are_names(items: list[Any]) -> bool:
    return 0 < len(items) <= _MOST_NAMES and all(isinstance(item, str) and item.strip("./") for item in items)


async def _delete(world: FmeWorld, request: Request) -> Response:
    files.delete(world, files.connection_of(request), _path_asked(request))
    return Response(status_code=204)


ROUTES: tuple[tuple[str, str, Handler], ...] = (
    ("GET", _BASE, _connections),
    ("POST", _BASE + "/{connection}/upload", _upload),
    ("GET", _BASE + "/{connection}/info", _info),
    ("GET", _BASE + "/{connection}/download", _download),
    ("POST", _BASE + "/{connection}/downloadzip", _download_zip),
    ("DELETE", _BASE + "/{connection}/item", _delete),
)
