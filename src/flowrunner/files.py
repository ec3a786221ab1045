"""Files that appear whole or not at all."""

from __future__ import annotations

import errno
from secrets import token_hex
from typing import TYPE_CHECKING, Any, BinaryIO, Self

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from types import TracebackType

__all__ = ["AsyncPartial", "Partial"]


class Partial:
    """A file being written beside its final name, which it takes when the block ends well; else it is removed."""

    def __init__(self, final: Path) -> None:
        self._final = final
        # A name may have 255 bytes, and a character up to four.
        self._part = final.with_name(f".{final.name[:50]}.{token_hex(4)}.part")
        self._file: BinaryIO | None = None

    def __enter__(self) -> Self:
        try:
            self._file = self._part.open("xb")
        except (FileNotFoundError, NotADirectoryError):
            folder = str(self._final.parent)
            raise FileNotFoundError(errno.ENOENT, "there is no such folder to write to", folder) from None
        return self

    def write(self, chunk: bytes) -> None:
        """Append to the file."""
        assert self._file is not None, "it is written inside the block"  # noqa: S101 - for mypy
        self._file.write(chunk)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            if self._file is not None:
                self._file.close()
            if kind is None:
                self._part.replace(self._final)
        finally:
            self._part.unlink(missing_ok=True)


class AsyncPartial:
    """A `Partial` of which everything is done in other threads."""

    def __init__(self, final: Path) -> None:
        self._file = Partial(final)

    async def __aenter__(self) -> Self:
        try:
            await _carried_out(self._file.__enter__)
        except BaseException as error:
            await self.__aexit__(type(error), error, None)
            raise
        return self

    async def write(self, chunk: bytes) -> None:
        """Append to the file."""
        await _carried_out(self._file.write, chunk)

    async def __aexit__(self, *raised: object) -> None:
        await _carried_out(self._file.__exit__, *raised)


async def _carried_out(function: Callable[..., Any], *arguments: Any) -> None:
    """Call a function in a thread. Who is cancelled meanwhile waits: nothing happens to a file behind its back."""
    import asyncio

    calling = asyncio.ensure_future(asyncio.to_thread(function, *arguments))
    cancelled: BaseException | None = None
    while not calling.done():
        try:
            await asyncio.wait([calling])
        except asyncio.CancelledError as error:
            cancelled = error
    failure = cancelled or calling.exception()
    if failure is not None:
        raise failure
