"""Data that a caller sends, read as it comes in: measured, checked and counted, and kept if it is small."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Literal, Protocol
from xml.parsers import expat

from attrs import field, frozen

from flowrunner.simulator.request_body import KEPT

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

Form = Literal["xml", "json", "other", "none"]


class UnreadableError(Exception):
    """The data is not what it says it is."""


@frozen
class Input:
    """Data that was sent.

    Attributes:
        form: What it is.
        content_type: What its sender called it.
        size: In bytes.
        sha256: Its digest, in hexadecimal.
        records: How many records it has: of XML the elements right below the root, of JSON the items of `id`.
        content: The data itself; None if it is too large to be kept.
    """

    form: Form
    content_type: str
    size: int
    sha256: str
    records: int = 0
    content: bytes | None = field(default=None, eq=False, repr=False)


class _Reader(Protocol):
    """Looks at data in parts."""

    form: Form

    def feed(self, chunk: bytes) -> None:
        """Take a part."""
        ...

    def close(self) -> int:
        """Return how many records there were; no part follows."""
        ...


async def read_input(content_type: str, chunks: AsyncIterator[bytes]) -> Input:
    """Read data to its end. XML is told from JSON by its first sign, whatever its sender called it.

    Raises:
        UnreadableError: It is not well-formed, or XML with a document type.
    """
    digest, size, reader, kept = hashlib.sha256(), 0, None, bytearray()
    async for chunk in chunks:
        digest.update(chunk)
        size += len(chunk)
        kept += chunk[: KEPT - len(kept)]
        reader = reader or _reader_for(chunk)
        if reader is not None:
            reader.feed(chunk)
    form: Form = "none" if reader is None else reader.form
    records = 0 if reader is None else reader.close()
    content = bytes(kept) if size == len(kept) else None
    return Input(form, content_type, size, digest.hexdigest(), records, content)


def _reader_for(chunk: bytes) -> _Reader | None:
    """Return what reads data that begins so; None as long as there is nothing."""
    signs = chunk.removeprefix(b"\xef\xbb\xbf").lstrip()
    if signs.startswith((b"<", b"\xff\xfe", b"\xfe\xff")):
        return _XmlReader()
    if signs.startswith((b"{", b"[")):
        return _JsonReader()
    return _OtherReader() if signs else None


class _XmlReader:
    """Counts the elements right below the root. Without a document type there are no entities to expand."""

    form: Form = "xml"

    def __init__(self) -> None:
        self._depth = self._records = 0
        self._parser = expat.ParserCreate()
        self._parser.StartElementHandler = self._open
        self._parser.EndElementHandler = self._close
        self._parser.StartDoctypeDeclHandler = self._refuse

    def feed(self, chunk: bytes) -> None:
        self._parse(chunk, last=False)

    def close(self) -> int:
        self._parse(b"", last=True)
        return self._records

    def _parse(self, chunk: bytes, *, last: bool) -> None:
        try:
            self._parser.Parse(chunk, last)
        except (expat.ExpatError, LookupError, ValueError) as error:  # the latter two of unknown encodings
            raise UnreadableError(f"The XML cannot be read: {error}") from None

    def _open(self, _: str, __: dict[str, str]) -> None:
        self._records += self._depth == 1
        self._depth += 1

    def _close(self, _: str) -> None:
        self._depth -= 1

    def _refuse(self, *_: object) -> None:
        raise UnreadableError("The XML has a document type, which is not allowed.")


class _JsonReader:
    """Reads JSON that is small; of what is large only its size is known."""

    form: Form = "json"

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._size = 0

    def feed(self, chunk: bytes) -> None:
        self._size += len(chunk)
        if self._size <= KEPT:
            self._parts.append(chunk)

    def close(self) -> int:
        if self._size > KEPT:
            return 0
        try:
            value = json.loads(b"".join(self._parts))
        except (ValueError, RecursionError) as error:
            raise UnreadableError(f"The JSON cannot be read: {error}") from None
        ids = value.get("id") if isinstance(value, dict) else None
        return len(ids) if isinstance(ids, list) else 0


class _OtherReader:
    """Lets pass what is neither."""

    form: Form = "other"

    def feed(self, chunk: bytes) -> None:
        """Do nothing with a part."""

    def close(self) -> int:
        return 0
