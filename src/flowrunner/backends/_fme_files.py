"""Files in FME Flow's shared resources: how both interfaces name them, and how bodies and headers carry them."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, unquote

from attrs import evolve

from flowrunner.backend import Upload
from flowrunner.backends._fme import answer_of, error_in
from flowrunner.errors import FlowrunnerError, InvalidRequest, SubmissionUncertain, VendorError
from flowrunner.models import ParameterKind, RemoteFile
from flowrunner.plans import FileBody, call

if TYPE_CHECKING:
    from collections.abc import Callable

    from flowrunner.backend import Accepted, Backend, Submission
    from flowrunner.models import FlowSpec
    from flowrunner.plans import Plan, Response

__all__ = [
    "OCTETS",
    "TEMP",
    "content_disposition",
    "file_at",
    "multipart",
    "payload_body",
    "remote_file",
    "removed",
    "upload_error_in",
    "with_payload_uploaded",
]

TEMP: Final = "FME_SHAREDRESOURCE_TEMP"
"""The connection uploads go to: the vendor empties it by age."""
OCTETS: Final = "application/octet-stream"


def remote_file(folder: str, name: str, size: int | None) -> RemoteFile:
    """A file in the temporary resource, as parameters refer to it (documented)."""
    location = f"{folder}/{name}" if folder else name
    return RemoteFile(name=name, reference=f"$({TEMP})/{location}", size=size)


def file_at(reference: str) -> tuple[str, list[str]]:
    """Connection and path of `$(FME_SHAREDRESOURCE_TEMP)/folder/name`.

    Raises:
        InvalidRequest: the text does not refer to a shared resource.
    """
    found = re.fullmatch(r"\$\((\w+)\)/*(.*)", reference)
    if found is None:
        raise InvalidRequest(f"{reference!r} is not written $(FME_SHAREDRESOURCE_...)/folder/name")
    return found[1], [part for part in PurePosixPath(found[2]).parts if part != "/"]


def content_disposition(name: str) -> str:
    """The header that names an upload. Non-ASCII names go as RFC 5987 has it, in quotes, as the vendor documents."""
    if name.isascii() and name.isprintable() and not set(name) & set('"\\') and unquote(name) == name:
        return f'attachment; filename="{name}"'
    return f"attachment; filename*=UTF-8''\"{quote(name, safe='')}\""


def multipart(field: str, name: str, content: FileBody, boundary: str) -> tuple[str, FileBody]:
    """A form with one file: its content type, and its body. The boundary must not stand in the file."""
    escaped = name.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
    head = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="{field}"; filename="{escaped}"\r\n'
        "Content-Type: application/octet-stream\r\n\r\n"
    )
    body = evolve(content, before=head.encode() + content.before, after=f"\r\n--{boundary}--\r\n".encode())
    return f"multipart/form-data; boundary={boundary}", body


def upload_error_in(response: Response, name: str) -> FlowrunnerError:
    """The error an answer to an upload stands for; 207 is a failure of a part, and one file has no other parts."""
    body = answer_of(response)
    if response.status == 207:
        said = body.message if body is not None else response.content[:200].decode("utf-8", "replace")
        return VendorError(f"the vendor did not take {name!r}: {said}", http_status=207, vendor_message=said)
    return error_in(response)


def removed(response: Response) -> None:
    """Raise unless the file is gone; that it was gone before is as good."""
    if not response.is_success and not (response.status == 404 and answer_of(response) is not None):
        raise error_in(response)


def payload_body(payload: Any) -> FileBody:
    """A payload as a body: bytes, or a file's.

    Raises:
        InvalidRequest: it is neither.
    """
    if isinstance(payload, bytes):
        return FileBody(before=payload)
    if isinstance(payload, str | os.PathLike):
        return FileBody(Path(payload))
    raise InvalidRequest(f"a payload is bytes or the path of a file, not {type(payload).__name__}")


def with_payload_uploaded(
    backend: Backend, submission: Submission, start: Callable[[Submission], Plan[Accepted]]
) -> Plan[Accepted]:
    """Start the submission, its payload brought to the vendor first, and a parameter that refers to it.

    The file is taken away again where certainly nothing was started.
    """
    if submission.payload is None:
        return (yield from start(submission))
    parameter = submission.options.extra.get("payload_parameter")
    if parameter is None:
        parameter = _source_parameter((yield from backend.describe(submission.flow)))
    content = payload_body(submission.payload)
    if content.path is not None:
        content = evolve(content, length=(yield from call(content.size)))
    name = "payload" if content.path is None else content.path.name
    file = yield from backend.upload(Upload(name=name, folder=submission.upload_folder, content=content))
    ready = evolve(submission, payload=None, parameters={**submission.parameters, parameter: file})
    try:
        accepted = yield from start(ready)
    except SubmissionUncertain:
        raise
    except FlowrunnerError:
        yield from _removed_quietly(backend, file)
        raise
    return evolve(accepted, uploads=(file,))


def _removed_quietly(backend: Backend, file: RemoteFile) -> Plan[None]:
    """What went wrong before matters more than that the file stays."""
    with suppress(FlowrunnerError):
        yield from backend.remove(file)


def _source_parameter(spec: FlowSpec) -> str:
    """The parameter that takes source data, where the description leaves no choice."""
    names = [each.name for each in spec.parameters if each.kind is ParameterKind.FILE and each.role == "source"]
    if len(names) == 1:
        return names[0]
    which = f"several parameters that read a file ({', '.join(names)})" if names else "no parameter that reads a file"
    raise InvalidRequest(
        f"{spec.flow!r} shows {which}: name the one that takes the payload with the extra option payload_parameter"
    )
