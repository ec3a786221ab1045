"""What belongs to an `AsyncClient`, used as if it belonged to a `Client`: a test is written once for both."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from attrs import evolve

if TYPE_CHECKING:
    import asyncio
    from collections.abc import AsyncIterator, Iterator

__all__ = ["Blocking"]

_ASYNCHRONOUS = frozenset({"AsyncArtifact", "AsyncHttpSession", "AsyncRun", "AsyncScriptedSession"})


class Blocking:
    """A face on something asynchronous: its methods block, its iterators are plain.

    Args:
        runner: runs what is awaited; all that belongs together has the same.
        target: an `AsyncClient`, or something it gave.
    """

    def __init__(self, runner: asyncio.Runner, target: Any) -> None:
        self._runner = runner
        self.target = target

    def __getattr__(self, name: str) -> Any:
        value = getattr(self.target, name)
        if inspect.ismethod(value):
            return lambda *args, **kwargs: self._plain(value(*args, **kwargs))
        return self._plain(value)

    def __repr__(self) -> str:
        return repr(self.target)

    def _plain(self, value: Any) -> Any:
        if inspect.iscoroutine(value):
            return self._plain(self._runner.run(value))
        if inspect.isasyncgen(value):
            return self._each(value)
        if type(value).__name__ in _ASYNCHRONOUS:
            return Blocking(self._runner, value)
        if artifacts := getattr(value, "artifacts", ()):
            return evolve(value, artifacts=tuple(map(self._plain, artifacts)))
        return value

    def _each(self, items: AsyncIterator[Any]) -> Iterator[Any]:
        async def following() -> Any:
            return await anext(items, self)

        while (item := self._runner.run(following())) is not self:
            yield self._plain(item)
