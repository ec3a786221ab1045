"""Files that appear whole or not at all."""

from __future__ import annotations

import errno
from secrets import token_hex
from typing import TYPE_CHECKING, BinaryIO, Self

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

__all__ = ["Partial"]


class Partial:
    """A file being written beside its final name, which it takes when the block ends well; else it is removed."""

    def __init__(self, final: Path) -> None:
        self._final = final
        # A name may have 255 bytes, and a character up to four.
        self._part = final.with_name(f".{final.name[:50]}.{token_hex(4)}.part")
        self._file: BinaryIO

    def __enter__(self) -> Self:
        try:
            self._file = self._part.open("xb")
        except FileNotFoundError:
            folder = str(self._final.parent)
            raise FileNotFoundError(errno.ENOENT, "there is no such folder to write to", folder) from None
        return self

    def write(self, chunk: bytes) -> None:
        """Append to the file."""
        self._file.write(chunk)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            self._file.close()
            if kind is None:
                self._part.replace(self._final)
        finally:
            self._part.unlink(missing_ok=True)
