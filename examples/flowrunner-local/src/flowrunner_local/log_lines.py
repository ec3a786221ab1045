"""The lines of a log, followed until its run has ended."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from typing import TYPE_CHECKING, Final, Self

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["LogLines"]

PAUSE: Final = 0.1
"""Seconds between two looks at a log that has nothing new."""


class LogLines:
    """The lines, for either client: a plan does not know which of them it works for.

    No file stays open between two lines, so nothing has to be closed, and a program may fork meanwhile.

    Args:
        read: gives what the log has from an offset on, or the beginning of that; and whether the run had ended before.
        encoding: of the command's output; what it cannot be is replaced.
    """

    def __init__(self, read: Callable[[int], tuple[bytes, bool]], encoding: str) -> None:
        self._read = read
        self._encoding = encoding
        self._offset = 0
        self._begun = b""
        self._lines: deque[str] = deque()
        self._is_over = False

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> str:
        while not self._lines:
            if self._is_over:
                raise StopIteration
            if not self._read_on():
                time.sleep(PAUSE)
        return self._lines.popleft()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> str:
        while not self._lines:
            if self._is_over:
                raise StopAsyncIteration
            if not await asyncio.to_thread(self._read_on):
                await asyncio.sleep(PAUSE)
        return self._lines.popleft()

    def _read_on(self) -> bool:
        """Read what is new; whether anything is."""
        chunk, has_ended = self._read(self._offset)
        self._offset += len(chunk)
        *whole, self._begun = (self._begun + chunk).split(b"\n")
        self._is_over = has_ended and not chunk
        if self._is_over and self._begun:
            whole.append(self._begun)
        self._lines.extend(line.removesuffix(b"\r").decode(self._encoding, "replace") for line in whole)
        return bool(chunk) or self._is_over
