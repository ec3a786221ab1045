"""What is sent and what is read: JSON, answers in pieces, lines of text, and how far a file has come.

Whatever a server sends, a bounded part of it is in memory: what counts is what it is once it is unpacked.
"""

from __future__ import annotations

import codecs
import io
import json
import zlib
from typing import TYPE_CHECKING, Any, Final

import httpx

from flowrunner.errors import InvalidRequest, ProtocolError
from flowrunner.plans import Response

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flowrunner.clock import Clock
    from flowrunner.models import Progress

__all__ = ["Body", "Lines", "Meter", "Unpacking", "json_bytes", "length_of"]

MAX_BODY: Final = 64 * 2**20
"""Bytes of an answer that are read into memory; files are streamed and have no such bound."""
MAX_LINE: Final = 2**20
"""Characters of a line of streamed text that are kept together; a longer one is handed out in parts."""
PIECE: Final = 256 * 1024
"""Bytes that are unpacked at once: a few of packed ones can be gigabytes."""
_GZIP_OR_ZLIB: Final = 32 + zlib.MAX_WBITS


def json_bytes(value: Any) -> bytes:
    """The value as JSON.

    Raises:
        InvalidRequest: it has no such form.
    """
    try:
        return json.dumps(value, allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidRequest(f"the request cannot be written as JSON: {error}") from None


class Meter:
    """Tells the caller's function how much has gone through."""

    def __init__(self, progress: Progress | None, total: int | None) -> None:
        self._progress = progress
        self._total = total
        self._done = 0

    def add(self, size: int) -> None:
        """Count so many bytes."""
        self._done += size
        if self._progress is not None:
            self._progress(self._done, self._total)


def length_of(answer: httpx.Response) -> int | None:
    """Bytes of the body; unknown where it is packed on the way, or nobody says."""
    length = answer.headers.get("content-length", "")
    return int(length) if length.isdecimal() and "content-encoding" not in answer.headers else None


class Unpacking:
    """Unpacks the body of an answer, piece by piece.

    Raises:
        ProtocolError: it is packed in a way that we did not ask for, or in several at once.
    """

    def __init__(self, answer: httpx.Response) -> None:
        coding = answer.headers.get("content-encoding", "identity").strip().lower()
        if coding not in {"identity", "gzip", "x-gzip", "deflate"}:
            text = f"the answer is packed as {coding!r}, which was not asked for: see what stands between you and it"
            raise ProtocolError(text, http_status=answer.status_code)
        self._unpacker = None if coding == "identity" else zlib.decompressobj(_GZIP_OR_ZLIB)
        self._began = False

    def pieces(self, chunk: bytes) -> Iterator[bytes]:
        """What a chunk of the body stands for, none of it larger than a `PIECE` if it was packed."""
        if self._unpacker is None:
            yield chunk
            return
        while chunk:
            yield self._unpacked(self._unpacker, chunk)
            chunk = self._unpacker.unconsumed_tail

    def _unpacked(self, unpacker: Any, chunk: bytes) -> bytes:
        self._began = True
        try:
            piece: bytes = unpacker.decompress(chunk, PIECE)
        except zlib.error as error:
            raise httpx.DecodingError(f"the answer cannot be unpacked ({error})") from None
        if unpacker.unused_data:
            raise httpx.DecodingError("the packed answer goes on after its end")
        return piece

    def end(self) -> bytes:
        """What is left when the body has ended."""
        rest = b"" if self._unpacker is None else self._unpacker.flush()
        if self._unpacker is not None and self._began and not self._unpacker.eof:
            raise httpx.DecodingError("the packed answer ends before its end")
        return rest


class Lines:
    """The lines of a streamed text, without their ends."""

    def __init__(self, answer: httpx.Response) -> None:
        self._unpacking = Unpacking(answer)
        self._decoder = io.IncrementalNewlineDecoder(_decoder_of(answer), translate=True)
        self._parts: list[str] = []
        self._size = 0

    def add(self, chunk: bytes) -> Iterator[str]:
        """The lines that end in a chunk of the body."""
        for piece in self._unpacking.pieces(chunk):
            yield from self._split(self._decoder.decode(piece))

    def end(self) -> Iterator[str]:
        """What is left when the body has ended."""
        yield from self._split(self._decoder.decode(self._unpacking.end(), final=True))
        if self._parts:
            yield self._taken()

    def _split(self, text: str) -> Iterator[str]:
        for line in text.splitlines(keepends=True):
            (bare,) = line.splitlines()
            self._parts.append(bare)
            self._size += len(bare)
            if len(bare) < len(line) or self._size >= MAX_LINE:
                yield self._taken()

    def _taken(self) -> str:
        line = "".join(self._parts)
        self._parts, self._size = [], 0
        return line


def _decoder_of(answer: httpx.Response) -> codecs.IncrementalDecoder:
    """Of the text's own encoding; of UTF-8 where it names none, or one of something that is no text."""
    name = answer.charset_encoding or "utf-8"
    try:
        " ".encode(name)
        return codecs.getincrementaldecoder(name)("replace")
    except (LookupError, ValueError):
        return codecs.getincrementaldecoder("utf-8")("replace")


class Body:
    """Collects the body of an answer, up to `MAX_BODY`, and not for ever: a server may send it byte by byte."""

    def __init__(self, answer: httpx.Response, clock: Clock, limit: float) -> None:
        self._answer = answer
        self._clock = clock
        self._ends = clock.monotonic() + limit
        # In a list of pieces, those of a byte or two would be larger than what they hold. This is read without a copy.
        self._content = io.BytesIO()

    def add(self, piece: bytes) -> None:
        """Keep a piece; raises where there are too many, or they come too slowly."""
        self._content.write(piece)
        if self._content.tell() > MAX_BODY:
            text = f"the answer is larger than {MAX_BODY // 2**20} MiB: ask for less, or have it saved to a file"
            raise ProtocolError(text, http_status=self._answer.status_code)
        if self._clock.monotonic() > self._ends:
            raise httpx.ReadTimeout("the answer came too slowly")

    def response(self) -> Response:
        """The answer, whole."""
        return Response(self._answer.status_code, self._answer.headers, self._content.getvalue())
