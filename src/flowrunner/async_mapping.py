"""`AsyncClient.map`: runs are started while others are being started, since a loop need not wait for each answer."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Mapping

    from flowrunner.operations.mapping import Ended, Mapped
    from flowrunner.operations.steps import Operation

__all__ = ["AsyncMapping"]

T = TypeVar("T")

NO_MORE: Final = object()


class AsyncMapping:
    """Takes sets of parameters as there is room, and gives what became of each as it ends.

    Args:
        mapped: starts runs, and follows them.
        sets: of parameters.
        perform: carries out operations.
        at_once: so many submissions may be under way at once.
    """

    def __init__(
        self,
        mapped: Mapped,
        sets: AsyncIterator[Mapping[str, Any] | None],
        perform: Callable[[Operation[Ended | None]], Coroutine[Any, Any, Ended | None]],
        at_once: int,
    ) -> None:
        self._mapped = mapped
        self._sets = sets
        self._perform = perform
        self._at_once = at_once
        self._taken = 0
        self._taking: asyncio.Task[Any] | None = None
        self._starting: set[asyncio.Task[Ended | None]] = set()
        self._ending: asyncio.Task[Ended | None] | None = None
        self._has_more = True

    async def items(self) -> AsyncGenerator[Ended, None]:
        """What became of the sets, in the order in which that is known."""
        try:
            while under_way := self._go_on():
                done, _ = await asyncio.wait(under_way, return_when=asyncio.FIRST_COMPLETED)
                for ended in self._news(done):
                    yield ended
        finally:
            await self._stop()

    def _go_on(self) -> set[asyncio.Task[Any]]:
        """Begin what can be begun; all that is under way."""
        if self._taking is None and self._has_more and self._has_room():
            self._taking = asyncio.create_task(self._take())
        if self._ending is None and len(self._mapped):
            self._ending = asyncio.create_task(self._perform(self._mapped.next()))
        return {each for each in (self._taking, self._ending, *self._starting) if each is not None}

    def _has_room(self) -> bool:
        starting = len(self._starting)
        return starting < self._at_once and not self._mapped.is_full(starting)

    async def _take(self) -> Any:
        return await anext(self._sets, NO_MORE)

    def _news(self, done: set[asyncio.Task[Any]]) -> list[Ended]:
        """What became of sets, among what is done; a set that was taken is being started now."""
        if self._taking in done:
            self._start(self._taking.result())
        ended = [each.result() for each in done & self._starting]
        self._starting -= done
        if self._ending in done:
            ended.append(self._ending.result())
            self._ending = None
        return [each for each in ended if each is not None]

    def _start(self, parameters: Any) -> None:
        self._taking = None
        if parameters is NO_MORE:
            self._has_more = False
            return
        self._starting.add(asyncio.create_task(self._perform(self._mapped.start(self._taken, parameters))))
        self._taken += 1

    async def _stop(self) -> None:
        """Take no more, and wait for no run; a submission that is under way comes to its end."""
        for task in (self._taking, self._ending):
            if task is not None:
                task.cancel()
                with suppress(asyncio.CancelledError, Exception):
                    await task
        self._mapped.close()
        if self._starting:
            await asyncio.wait(self._starting)
