"""The shared resources of FME Flow over V3."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import parse_qs

from starlette.responses import JSONResponse, Response

from flowrunner.simulator import fme_files as files
from flowrunner.simulator.fme_http import ApiError, read_flag, read_whole, unpaged
from flowrunner.simulator.fme_resources import CONNECTIONS
from flowrunner.simulator.fme_v3_bodies import moment
from flowrunner.simulator.multipart import boundary_of, file_name, read_parts

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from starlette.requests import Request

    from flowrunner.simulator.fme_http import Handler
    from flowrunner.simulator.fme_resources import Entry
    from flowrunner.simulator.fme_world import FmeWorld

_BASE = "/resources/connections"
_FORM = "application/x-www-form-urlencoded"


def wants_content(request: Request, media_type: str = "application/octet-stream") -> bool:
    """Whether a request asks for the bytes of a file, in either of the two ways (documented)."""
    accepted = request.headers.get("accept", "")
    return request.query_params.get("accept") == "contents" or any(
        wanted in accepted for wanted in ("application/octet-stream", media_type)
    )


def content_type(request: Request) -> str:
    """Return the content type of a body, without its parameters."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


async def read_form(request: Request) -> dict[str, str]:
    """Read the fields of a form; empty if the body is none. Of a repeated field the last counts."""
    if content_type(request) != _FORM:
        return {}
    fields = parse_qs((await request.body()).decode(errors="replace"), keep_blank_values=True)
    return {name: values[-1] for name, values in fields.items()}


def _place(request: Request) -> tuple[str, files.Names]:
    """Return the connection and the path a request is about."""
    return files.connection_of(request), files.names_in(request.path_params.get("path", ""))


def _record(world: FmeWorld, entry: Entry) -> dict[str, Any]:
    """Describe a file or folder; the full shape is not known."""
    return {
        "name": entry.name,
        "path": "/".join(entry.path[:-1]) + ("/" if len(entry.path) > 1 else ""),
        "type": "DIR" if entry.content is None else "FILE",
        "size": entry.size,
        "date": moment(entry.date, world.quirks),
    }


def _tree(world: FmeWorld, connection: str, entry: Entry, depth: int) -> dict[str, Any]:
    """Describe a file, or a folder with what is in it down to a depth."""
    record = _record(world, entry)
    if entry.content is None and depth > 0:
        inside = world.resources.inside(connection, entry.path)
        record["contents"] = [_tree(world, connection, each, depth - 1) for each in inside]
    return record


async def _connections(_: FmeWorld, __: Request) -> Response:
    return JSONResponse(unpaged([{"name": name, "type": "FILE"} for name in CONNECTIONS]))


async def _read(world: FmeWorld, request: Request) -> Response:
    """List a folder or describe a file; or give the file away, if its bytes are asked for."""
    connection, path = _place(request)
    entry = files.find(world, connection, path)
    if entry.content is not None and wants_content(request):
        return _give(entry, request.query_params)
    return JSONResponse(_tree(world, connection, entry, read_whole(request.query_params, "depth", 1, 0)))


def _give(entry: Entry, options: Mapping[str, str]) -> Response:
    if entry.content is None:
        raise ApiError(422, f"{entry.name} is a folder.")
    disposition: Literal["attachment", "inline"] = "attachment"
    if options.get("disposition") == "inline":
        disposition = "inline"
    return files.download(entry.content, entry.name, disposition)


async def _download(world: FmeWorld, request: Request) -> Response:
    """Give away a file that a form asks for."""
    connection, path = _place(request)
    return _give(files.find(world, connection, path), await read_form(request))


async def _download_zip(world: FmeWorld, request: Request) -> Response:
    """Pack what the query or a form names in a folder; `.` is all of it (observed)."""
    connection, path = _place(request)
    files.find_folder(world, connection, path)
    form, query = await read_form(request), request.query_params
    names = query.getlist("fileNames") or [form.get("fileNames", ".")]
    zip_name = query.get("zipFileName") or form.get("zipFileName") or "resources.zip"
    return files.download_zip(world, connection, path, names, zip_name)


async def _write(world: FmeWorld, request: Request) -> Response:
    """Make a folder or store files, as the content type says."""
    kind, boundary = content_type(request), boundary_of(request.headers.get("content-type", ""))
    if kind == _FORM:
        return await _make_folder(world, request)
    if boundary is not None:
        return await _store_parts(world, request, boundary)
    if kind != "application/octet-stream":
        raise ApiError(415, "The content type is not supported")
    name = file_name(request.headers.get("content-disposition", "").encode("latin-1").decode("utf-8", "replace"))
    stored = await _store(world, request, name, request.stream())
    return JSONResponse(stored, world.quirks.upload_status)


async def _make_folder(world: FmeWorld, request: Request) -> Response:
    connection, path = _place(request)
    form = await read_form(request)
    name = files.plain_name(form.get("directoryname"))
    files.find_folder(world, connection, path)
    if world.resources.find(connection, (*path, name)) is not None:
        raise ApiError(409, f"Directory {name} already exists.")
    entry = files.make_folder(world, connection, (*path, name))
    return JSONResponse(_record(world, entry), world.quirks.upload_status)


async def _store_parts(world: FmeWorld, request: Request, boundary: bytes) -> Response:
    """Store the files of a multipart body, whatever their fields are called (observed)."""
    parts = read_parts(request.stream(), boundary)
    try:
        stored = [
            await _store(world, request, part.file_name, part.chunks)
            async for part in parts
            if part.file_name is not None
        ]
    except ValueError as error:
        raise ApiError(400, str(error)) from None
    return JSONResponse(stored, world.quirks.upload_status)


async def _store(world: FmeWorld, request: Request, name: str | None, chunks: AsyncIterator[bytes]) -> dict[str, Any]:
    """Store one file; the folder is made if the query says so."""
    connection, path = _place(request)
    if read_flag(request.query_params, "createDirectories"):
        files.make_folder(world, connection, path)
    files.find_folder(world, connection, path)
    target, overwrite = (*path, files.plain_name(name)), read_flag(request.query_params, "overwrite")
    return _record(world, await files.store(world, connection, target, chunks, overwrite=overwrite))


async def _delete(world: FmeWorld, request: Request) -> Response:
    files.delete(world, *_place(request))
    return Response(status_code=204)


_RESOURCE = _BASE + "/{connection}"
ROUTES: tuple[tuple[str, str, Handler], ...] = (
    ("GET", _BASE, _connections),
    ("GET", _RESOURCE + "/filesys", _read),
    ("GET", _RESOURCE + "/filesys/{path:path}", _read),
    ("POST", _RESOURCE + "/filesys", _write),
    ("POST", _RESOURCE + "/filesys/{path:path}", _write),
    ("DELETE", _RESOURCE + "/filesys/{path:path}", _delete),
    ("POST", _RESOURCE + "/download/{path:path}", _download),
    ("POST", _RESOURCE + "/downloadzip", _download_zip),
    ("POST", _RESOURCE + "/downloadzip/{path:path}", _download_zip),
)
