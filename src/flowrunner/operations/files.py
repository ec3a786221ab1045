"""Files: to the vendor, from it, and away again."""

from __future__ import annotations

import logging
from os import PathLike
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING, Any

from flowrunner.backend import Capability, Upload
from flowrunner.errors import FlowrunnerError, InvalidRequest
from flowrunner.models import destination
from flowrunner.operations.steps import ask
from flowrunner.plans import FileBody, call

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from flowrunner.models import ArtifactSource, Progress, RemoteFile
    from flowrunner.operations.context import Context
    from flowrunner.operations.steps import Operation
    from flowrunner.plans import Plan


__all__ = ["Files", "new_folder"]

logger = logging.getLogger(__name__)


class Files:
    """Moves files between here and the vendor."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def upload(self, path: Path, name: str | None, progress: Progress | None) -> Operation[RemoteFile]:
        """Bring a file to the vendor."""
        yield from self._context.prepared()
        self._context.require(Capability.UPLOAD)
        name = path.name if name is None else name
        lengths = yield from ask(_checked({path: name}))
        content = FileBody(path, length=lengths[path])
        upload = Upload(name=name, folder=new_folder(), content=content, progress=_rising(progress))
        return (yield from ask(self._context.backend.upload(upload)))

    def uploaded(self, parameters: Mapping[str, Any]) -> Operation[tuple[dict[str, Any], tuple[RemoteFile, ...]]]:
        """The parameters with every local file brought to the vendor, and the files that were.

        All are there before the first goes out, so a mistyped name leaves nothing behind; nor does a failed upload.
        """
        paths = {path: None for value in parameters.values() for path in _paths_in(value)}
        if paths:
            yield from ask(_checked({path: path.name for path in paths}))
        remote: dict[Path, RemoteFile] = {}
        try:
            for path in paths:
                remote[path] = yield from self.upload(path, None, None)
        except (FlowrunnerError, OSError):
            yield from self.clear(remote.values())
            raise
        return {name: _replaced(value, remote) for name, value in parameters.items()}, tuple(remote.values())

    def check_payload(self, payload: Any) -> Operation[None]:
        """See that a payload that is a file is there, before anything is asked of the vendor."""
        is_path = isinstance(payload, str) and self._context.backend.payload_text_is_path
        if is_path or isinstance(payload, PathLike):
            yield from ask(_checked({Path(payload): Path(payload).name}))

    def clear(self, files: Iterable[RemoteFile]) -> Operation[None]:
        """Remove files that nothing needs any more, as well as it goes."""
        for file in files:
            try:
                yield from ask(self._context.backend.remove(file), retry=False)
            except FlowrunnerError as error:
                problem = self._context.masked(error.message)
                where = self._context.name
                told = {"connection": where, "file": str(file), "problem": problem}
                logger.warning("connection %s: %s stays at the vendor: %s", where, file, problem, extra=told)

    def remove(self, file: RemoteFile) -> Operation[None]:
        """Remove a file from the vendor."""
        yield from self._context.prepared()
        self._context.require(Capability.UPLOAD)
        yield from ask(self._context.backend.remove(file))

    def download(self, reference: str, to: str | PathLike[str], progress: Progress | None) -> Operation[Path]:
        """Stream a file, or a folder as a zip, from the vendor."""
        yield from self._context.prepared()
        self._context.require(Capability.UPLOAD)
        name = reference.rstrip("/").rpartition("/")[2]
        place = yield from ask(call(lambda: destination(to, f"{name}.zip" if reference.endswith("/") else name)))
        yield from ask(self._context.backend.download_file(reference, place, _rising(progress)))
        return place

    def download_artifact(self, artifact: ArtifactSource, to: Path, progress: Progress | None) -> Operation[Path]:
        """Stream an artifact to a file."""
        yield from self._context.prepared()
        yield from ask(self._context.backend.download(artifact, to, _rising(progress)))
        return to


def new_folder() -> str:
    """A name no other upload has."""
    return f"flowrunner-{token_hex(8)}"


def _rising(progress: Progress | None) -> Progress | None:
    """The caller's function, called only with more than before: a request that is sent again starts anew."""
    if progress is None:
        return None
    most = 0

    def tell(done: int, total: int | None) -> None:
        nonlocal most
        if done > most:
            most = done
            progress(done, total)

    return tell


def _checked(names: Mapping[Path, str]) -> Plan[dict[Path, int]]:
    """The sizes of files that are there and can be called so at the vendor."""
    return (yield from call(lambda: {path: _check(path, name) for path, name in names.items()}))


def _check(path: Path, name: str) -> int:
    if not path.is_file():
        what = "is a folder: give a file, or zip it" if path.is_dir() else "does not exist"
        raise InvalidRequest(f"the file {str(path)!r} {what}")
    if not _is_plain(name):
        raise InvalidRequest(f"the file {str(path)!r} cannot be called {name!r} at the vendor: give it another name")
    return path.stat().st_size


def _is_plain(name: str) -> bool:
    """Whether a name is one of a file alone on any system, and can be written to a server."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return name not in {"", ".", ".."} and not set(name) & set("/\\\0")


def _paths_in(value: Any) -> list[Path]:
    if isinstance(value, Path):
        return [value]
    return [item for item in value if isinstance(item, Path)] if isinstance(value, list | tuple) else []


def _replaced(value: Any, remote: Mapping[Path, RemoteFile]) -> Any:
    if isinstance(value, Path):
        return remote[value]
    if isinstance(value, list | tuple):
        return [remote[item] if isinstance(item, Path) else item for item in value]
    return value
