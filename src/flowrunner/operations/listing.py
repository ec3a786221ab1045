"""What there is at the vendor: runs, flows, and whether it is there at all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeVar

from attrs import evolve

from flowrunner.backend import Capability, Listed, RunQuery
from flowrunner.enums import RunState
from flowrunner.errors import AuthenticationError, FlowrunnerError, InvalidRequest, ProtocolError
from flowrunner.models import Health
from flowrunner.operations.steps import ask

if TYPE_CHECKING:
    from collections.abc import Iterable

    from flowrunner.models import FlowInfo
    from flowrunner.operations.context import Context
    from flowrunner.operations.steps import Operation
    from flowrunner.plans import Page

__all__ = ["Listing", "Selection"]

T = TypeVar("T")


class Listing:
    """Lists what one connection shows."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def run_query(self, state: Any, flow: str | None, limit: int | None) -> RunQuery:
        """Which runs to list.

        Raises:
            InvalidRequest: no such state, or a limit below zero.
        """
        self._context.require(Capability.LIST_RUNS)
        if limit is not None and limit < 0:
            raise InvalidRequest(f"limit must not be less than 0, not {limit}")
        given: Iterable[Any] = [state] if isinstance(state, str) else state or ()
        try:
            states = frozenset(RunState(each) for each in given)
        except ValueError as error:
            raise InvalidRequest(f"{error}: states are {', '.join(RunState)}") from None
        nothing = state is not None and not states
        return RunQuery(states=states, flow=flow, limit=0 if nothing else limit)

    def runs(self, query: RunQuery, cursor: Any) -> Operation[Page[Listed]]:
        """One page of runs."""
        yield from self._context.prepared()
        return (yield from ask(self._context.backend.list_runs(query, cursor)))

    def flows(self, cursor: Any) -> Operation[Page[FlowInfo]]:
        """One page of flows."""
        yield from self._context.prepared()
        self._context.require(Capability.LIST_FLOWS)
        return (yield from ask(self._context.backend.list_flows(cursor)))

    def health(self) -> Operation[Health]:
        """How the connection stands."""
        try:
            yield from self._context.prepared()
        except FlowrunnerError as error:
            return self._unprepared(error)
        self._context.require(Capability.HEALTH)
        health = yield from ask(self._context.backend.health(), retry=False)
        return evolve(health, message=self._context.masked(health.message))

    def _unprepared(self, error: FlowrunnerError) -> Health:
        """How a connection stands whose server did not say what it can do."""
        return Health(
            reachable=error.vendor_message is not None,
            authenticated=False if isinstance(error, AuthenticationError) else None,
            message=self._context.masked(error.message),
        )


STALE_PAGES: Final = 1000
"""Pages in a row without anything new after which a list is taken for one without end."""


class Selection:
    """Which of what is listed to show: each once, since it moves between pages, and so many at most."""

    def __init__(self, limit: int | None = None) -> None:
        self._limit = limit
        self._seen: set[str] = set()
        self._stale = 0

    def is_full(self) -> bool:
        """Whether no more are wanted."""
        return self._limit is not None and len(self._seen) >= self._limit

    def of(self, page: Page[T]) -> list[T]:
        """What of a page is to be shown.

        Raises:
            ProtocolError: the vendor goes on for ever without showing anything new.
        """
        new = {_name_of(item): item for item in page.items if _name_of(item) not in self._seen}
        wanted = list(new.items())[: None if self._limit is None else self._limit - len(self._seen)]
        self._seen.update(name for name, _ in wanted)
        self._stale = 0 if new else self._stale + 1
        if self._stale >= STALE_PAGES and page.next is not None:
            raise ProtocolError(
                f"the vendor's list went on for {STALE_PAGES} pages without anything new: see whether what stands "
                "between you and it leaves out the query of a request"
            )
        return [item for _, item in wanted]


def _name_of(item: Any) -> str:
    return str(item.id if isinstance(item, Listed) else item.flow)
