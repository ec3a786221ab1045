"""What a client does, written once for sync and async.

An operation is a generator, as a plan is, one level above: it asks for plans to be carried out (`Ask`), for runs to be
followed (`Attend`), and for time to pass (`Pause`). Operations know states, budgets and events; they know no vendor and
no HTTP. `Client` and `AsyncClient` perform their steps.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flowrunner.follow import Schedule
from flowrunner.operations.context import Context
from flowrunner.operations.files import Files
from flowrunner.operations.following import Following
from flowrunner.operations.ledger import Ledger
from flowrunner.operations.listing import Listing
from flowrunner.operations.mapping import Mapped, check_mapping
from flowrunner.operations.reconciling import Reconciling
from flowrunner.operations.records import Runs
from flowrunner.operations.results import Results
from flowrunner.operations.submitting import Submitting
from flowrunner.operations.together import Together

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from datetime import timedelta

    from flowrunner.backend import Backend
    from flowrunner.clock import Clock
    from flowrunner.config import Connection
    from flowrunner.events import OnEvent
    from flowrunner.journal.store import Journal
    from flowrunner.models import Artifact, ArtifactSource, AsyncArtifact, SubmitOptions
    from flowrunner.operations.records import RunRecord

__all__ = ["Operations"]


class Operations:
    """All operations of one connection, by subject.

    Args:
        connection: which.
        backend: the vendor.
        clock: time.
        on_event: the caller's function.
        artifact: makes the handle that a result shows of a vendor's artifact.
        journal: opens the file in which submissions are written down; None without one.
    """

    def __init__(
        self,
        connection: Connection,
        backend: Backend,
        *,
        clock: Clock,
        on_event: OnEvent | None,
        artifact: Callable[[ArtifactSource], Artifact | AsyncArtifact],
        journal: Callable[[], Journal] | None = None,
    ) -> None:
        self.context = Context(connection, backend, clock=clock, on_event=on_event)
        self.ledger = Ledger(self.context, journal)
        schedule = Schedule(backend, clock.chance)
        self.runs = Runs(self.context, self.ledger, schedule)
        self.reconciling = Reconciling(self.context, self.runs, self.ledger)
        self.listing = Listing(self.context)
        self.files = Files(self.context)
        self.following = Following(self.context, self.runs, schedule)
        self.results = Results(self.context, self.runs, self.following, artifact)
        self.submitting = Submitting(self.context, self.runs, self.files, self.results, self.ledger)

    def together(self, records: Iterable[RunRecord], timeout: float | timedelta | None) -> Together:
        """Many runs to follow at once."""
        together = Together(self.following, self.following.deadline(timeout))
        together.add(records)
        return together

    def mapped(
        self,
        flow: str,
        sets: object,
        max_in_flight: int,
        options: SubmitOptions | None,
        key: Callable[[int, Mapping[str, Any] | None], str] | None,
    ) -> Mapped:
        """One flow to run for many sets of parameters."""
        check_mapping(sets, max_in_flight, options, key)
        together = Together(self.following, self.following.deadline(None), most=max_in_flight)
        return Mapped(
            self.submitting, self.runs, together, flow=flow, max_in_flight=max_in_flight, options=options, key=key
        )
