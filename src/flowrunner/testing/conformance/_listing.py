"""Section 8 of the rules: listing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flowrunner.backend import Capability
from flowrunner.enums import ReconcileOutcome, RunState
from flowrunner.errors import FlowNotFound, InvalidRequest, SubmissionUncertain
from flowrunner.models import ParameterSpec
from flowrunner.testing.conformance.scenario import Scenario, apart
from flowrunner.testing.conformance.verdict import NotConforming, broken, holds, proves
from flowrunner.testing.conformance.world import lost, submissions, unheard

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from flowrunner.testing.conformance.world import Fault, World

FOUND_AS = {ReconcileOutcome.FOUND, ReconcileOutcome.CANDIDATES}
"""How a run that is there is found."""


class ListingRules(Scenario):
    """What there is at the vendor."""

    def _started(self, world: World, count: int, word: str) -> list[str]:
        """So many runs, the newest first."""
        ids = []
        for _ in range(count):
            run = world.server.start(self.server.flow)
            world.server.show(run.id, word=word)
            ids.append(run.id)
        return ids[::-1]

    @proves("8.1")
    def test_8_1_every_run_once_over_all_pages(self) -> None:
        """The server gives pages of three, whatever was asked for."""
        self.needs(Capability.LIST_RUNS)
        with self.world() as world:
            world.server.page_size = 3
            expected = self._started(world, 8, self.word_for(RunState.SUCCEEDED))
            client = world.client()
            listed = [run.id for run in self.runs_of(client)]
            holds("8.1", listed == expected, f"of the runs {expected} there were listed {listed}")
            first = [run.id for run in self.runs_of(client, limit=4)]
            holds("8.1", first == expected[:4], f"of the runs {expected} with limit=4 there were listed {first}")
            if self.lists_one_flow:
                self._needs_a_flow(world, client)

    def _needs_a_flow(self, world: World, client: Any) -> None:
        """A listing of the runs of no flow in particular is refused, before anything is asked."""
        world.sent.clear()
        try:
            listed = [run.id for run in client.runs()]
        except InvalidRequest:
            holds("8.1", not world.sent, "a listing without a flow was refused after a request")
        else:
            broken("8.1", f"a listing without a flow, of a vendor that needs one, gave {listed}")

    @proves("8.2")
    def test_8_2_the_end_of_a_listing(self) -> None:
        """A last page that is full, and no page at all."""
        self.needs(Capability.LIST_RUNS)
        for count in (0, 6):
            with self.world() as world:
                world.server.page_size = 3
                expected = self._started(world, count, self.word_for(RunState.SUCCEEDED))
                listed = [run.id for run in self.runs_of(world.client())]
                holds("8.2", listed == expected, f"of {count} runs there were listed {listed}")

    @proves("8.3")
    def test_8_3_a_listing_of_some(self) -> None:
        """By state, as the list itself shows it, and by flow."""
        self.needs(Capability.LIST_RUNS)
        with self.world() as world:
            running = self._started(world, 2, self.live_word())
            failed = self._started(world, 2, self.word_for(RunState.FAILED))
            other = world.server.start(self.server.other_flow)
            world.server.show(other.id, word=self.word_for(RunState.SUCCEEDED))
            client = world.client()
            listed = _ids(self.runs_of(client, state=RunState.FAILED))
            holds("8.3", listed == set(failed), f"of the failed runs {failed} there were listed {sorted(listed)}")
            listed = _ids(self.runs_of(client, state=[RunState.RUNNING, RunState.QUEUED]))
            holds("8.3", listed == set(running), f"of the live runs {running} there were listed {sorted(listed)}")
            listed = _ids(client.runs(flow=self.server.other_flow))
            holds(
                "8.3", listed == {other.id}, f"of the runs of {other.flow!r}, {other.id!r}, there were {sorted(listed)}"
            )

    @proves("8.4")
    def test_8_4_every_flow_once(self) -> None:
        """By a name that can be submitted."""
        self.needs(Capability.LIST_FLOWS)
        with self.world() as world:
            world.server.page_size = 1
            client = world.client()
            flows = [info.flow for info in client.flows()]
            expected = [flow for flow in (self.server.flow, self.server.other_flow, self.server.odd_flow) if flow]
            holds("8.4", sorted(flows) == sorted(expected), f"of the flows {expected} there were listed {flows}")
            for flow in flows:
                holds("8.4", client.submit(flow).id, f"{flow!r} was listed and cannot be submitted")

    @proves("8.6")
    def test_8_6_an_uncertain_submission_is_found(self) -> None:
        """Its answer was lost, with others around it; and one that never arrived is not found."""
        self.needs(Capability.RECONCILE)
        self.needs_requests()
        for fault in (lost, unheard):
            with self.world() as world:
                client = world.client()
                others = {client.submit(self.server.flow, key="before").id}
                run = client.attach(self._uncertain(world, client, fault))
                others.add(client.submit(self.server.flow, key="after").id)
                there = set(world.server.runs) - others
                found = apart(run.reconcile)
                ids = {ref.id for ref in found.candidates}
                outcomes = FOUND_AS if there else {ReconcileOutcome.NOT_FOUND}
                sound = found.outcome in outcomes and ids == there
                holds("8.6", sound, f"of {sorted(there)}, beside {sorted(others)}, {found.outcome} gives {sorted(ids)}")

    def _uncertain(self, world: World, client: Any, fault: Fault) -> Any:
        with world.going_wrong(fault, only=submissions):
            try:
                client.submit(self.server.flow, key="the key")
            except SubmissionUncertain as error:
                return error.handle
        raise NotConforming("8.6", "a submission without an answer is not uncertain")

    @proves("8.5")
    def test_8_5_a_description_is_of_its_flow(self) -> None:
        """With parameters as they are, and none of what is not there."""
        self.needs(Capability.DESCRIBE)
        with self.world() as world:
            client = world.client()
            spec = client.describe(self.server.flow)
            holds("8.5", spec.flow == self.server.flow, f"the description is of {spec.flow!r}")
            sound = all(isinstance(each, ParameterSpec) and each.name for each in spec.parameters)
            holds("8.5", sound, f"the parameters are {spec.parameters!r}")
            try:
                client.describe(f"{self.server.flow}-that-is-not-there")
            except FlowNotFound:
                return
            broken("8.5", "a flow that is not there was described")


def _ids(runs: Iterable[Any]) -> set[str]:
    return {str(run.id) for run in runs}
