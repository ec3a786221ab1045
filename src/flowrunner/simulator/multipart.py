"""Reading `multipart/form-data` as it comes in, without holding it in memory."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import unquote

from attrs import frozen

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

# RFC 5987; the vendor also wraps the percent-encoded name in quotes, which the RFC does not allow (documented).
_EXTENDED_NAME = re.compile(r"filename\*\s*=\s*UTF-8'[^']*'(?:\"([^\"]*)\"|([^;\s]+))", re.IGNORECASE)
_QUOTED_NAME = re.compile(r'filename\s*=\s*"((?:[^"\\]|\\.)*)"', re.IGNORECASE)
_PLAIN_NAME = re.compile(r"filename\s*=\s*([^;\s\"]+)", re.IGNORECASE)
_FIELD_NAME = re.compile(r'(?:^|[;\s])name\s*=\s*"?([^";]*)', re.IGNORECASE)
_BOUNDARY = re.compile(r'boundary\s*=\s*(?:"([^"]+)"|([^;\s]+))', re.IGNORECASE)


def file_name(disposition: str) -> str | None:
    """Return the file name of a `Content-Disposition`, in whatever of the known forms; None if it has none."""
    extended = _EXTENDED_NAME.search(disposition)
    if extended:
        return unquote(extended[1] or extended[2])
    quoted = _QUOTED_NAME.search(disposition)
    if quoted:
        # Browsers escape a quote as %22, older programs with a backslash.
        return re.sub(r"\\(.)", r"\1", quoted[1]).replace("%22", '"')
    plain = _PLAIN_NAME.search(disposition)
    return plain[1] if plain else None


def boundary_of(content_type: str) -> bytes | None:
    """Return what separates the parts of a body of this type; None if it is not one of parts."""
    found = _BOUNDARY.search(content_type)
    if not content_type.lower().startswith("multipart/form-data") or found is None:
        return None
    return (found[1] or found[2]).encode("latin-1")


@frozen
class Part:
    """One part; its content is there until the next part is asked for.

    Attributes:
        name: The name of the field.
        file_name: The name of the file; None if it is none.
        chunks: Its content.
    """

    name: str
    file_name: str | None
    chunks: AsyncIterator[bytes]


class _Source:
    """Bytes that come in, and what of them nobody took yet."""

    def __init__(self, chunks: AsyncIterator[bytes], ahead: bytes) -> None:
        self._chunks = chunks
        self._ahead = ahead

    async def until(self, mark: bytes) -> AsyncIterator[bytes]:
        """Give what comes before `mark`, and take that away too.

        Raises:
            ValueError: It does not come.
        """
        while (place := self._ahead.find(mark)) < 0:
            # The mark may have begun: that much is kept back.
            certain = max(0, len(self._ahead) - len(mark) + 1)
            out, self._ahead = self._ahead[:certain], self._ahead[certain:]
            if out:
                yield out
            await self._fill()
        out, self._ahead = self._ahead[:place], self._ahead[place + len(mark) :]
        yield out

    async def take(self, count: int) -> bytes:
        """Return the next `count` bytes.

        Raises:
            ValueError: There are fewer.
        """
        while len(self._ahead) < count:
            await self._fill()
        taken, self._ahead = self._ahead[:count], self._ahead[count:]
        return taken

    async def _fill(self) -> None:
        try:
            self._ahead += await anext(self._chunks)
        except StopAsyncIteration:
            raise ValueError("The body ends in the middle of a part") from None


async def _skip(chunks: AsyncIterator[bytes]) -> None:
    async for _ in chunks:
        pass


async def read_parts(chunks: AsyncIterator[bytes], boundary: bytes) -> AsyncIterator[Part]:
    """Give the parts of a body, one after the other.

    Raises:
        ValueError: The body breaks off.
    """
    delimiter = b"\r\n--" + boundary
    source = _Source(chunks, b"\r\n")
    await _skip(source.until(delimiter))
    while await source.take(2) == b"\r\n":
        head = b"".join([chunk async for chunk in source.until(b"\r\n\r\n")]).decode("utf-8", "replace")
        content = source.until(delimiter)
        field = _FIELD_NAME.search(head)
        yield Part(field[1] if field else "", file_name(head), content)
        await _skip(content)
