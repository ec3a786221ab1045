"""What there is at the vendor: runs, flows, and whether it is there at all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attrs import evolve

from flowrunner.backend import Capability, RunQuery
from flowrunner.enums import RunState
from flowrunner.errors import AuthenticationError, FlowrunnerError, InvalidRequest
from flowrunner.models import Health
from flowrunner.operations.steps import ask

if TYPE_CHECKING:
    from collections.abc import Iterable

    from flowrunner.backend import Listed
    from flowrunner.models import FlowInfo
    from flowrunner.operations.context import Context
    from flowrunner.operations.steps import Operation
    from flowrunner.plans import Page

__all__ = ["Listing", "Selection"]


class Listing:
    """Lists what one connection shows."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def run_query(self, state: Any, flow: str | None, limit: int | None) -> RunQuery:
        """Which runs to list.

        Raises:
            InvalidRequest: no such state, or a limit below zero.
        """
        self._context.require(Capability.LIST_RUNS, "runs()")
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
        self._context.require(Capability.LIST_FLOWS, "flows()")
        return (yield from ask(self._context.backend.list_flows(cursor)))

    def health(self) -> Operation[Health]:
        """How the connection stands."""
        try:
            yield from self._context.prepared()
        except FlowrunnerError as error:
            return self._unprepared(error)
        self._context.require(Capability.HEALTH, "health()")
        health = yield from ask(self._context.backend.health(), retry=False)
        return evolve(health, message=self._context.masked(health.message))

    def _unprepared(self, error: FlowrunnerError) -> Health:
        """How a connection stands whose server did not say what it can do."""
        return Health(
            reachable=error.vendor_message is not None,
            authenticated=False if isinstance(error, AuthenticationError) else None,
            message=self._context.masked(error.message),
        )


class Selection:
    """Which of the listed runs to show: each once, since runs move between pages, and so many at most."""

    def __init__(self, limit: int | None) -> None:
        self._limit = limit
        self._seen: set[str] = set()

    def is_full(self) -> bool:
        """Whether no more are wanted."""
        return self._limit is not None and len(self._seen) >= self._limit

    def takes(self, item: Listed) -> bool:
        """Whether the run is to be shown."""
        if item.id in self._seen:
            return False
        self._seen.add(item.id)
        return True
