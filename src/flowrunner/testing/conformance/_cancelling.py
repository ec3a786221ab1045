"""Section 6 of the rules: cancelling."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from flowrunner.backend import Capability
from flowrunner.enums import CancelOutcome, RunState
from flowrunner.errors import FlowrunnerError, RunNotFound, TransportError
from flowrunner.testing.conformance.scenario import Scenario, apart
from flowrunner.testing.conformance.verdict import broken, holds, proves, said
from flowrunner.testing.conformance.world import lost, says

if TYPE_CHECKING:
    from collections.abc import Callable

    from flowrunner.http.scripted import Sent


class CancellingRules(Scenario):
    """What becomes of a request to cancel."""

    def _cancellable(self) -> list[str]:
        """The words at which the vendor can cancel a run."""
        live = self.words_for(RunState.QUEUED, RunState.RUNNING, RunState.WAITING)
        return [word for word in live if word not in self.server.cannot_cancel]

    def _cancels(self, when: str) -> None:
        """Skip the test of what the vendor never does."""
        if self.server.cancels not in {when, "either"}:
            pytest.skip(f"{self.backend.name} cancels {self.server.cancels.replace('_', ' ')}")

    @proves("6.1")
    def test_6_1_a_cancellation_that_is_done(self) -> None:
        """In every live state, the vendor shows it as cancelled when it answers."""
        self.needs(Capability.CANCEL)
        self._cancels("at_once")
        for word in self._cancellable():
            with self.world() as world:
                run = self.shown(world, world.client(), word)
                outcome = run.cancel()
                shown = (outcome, run.status.state)
                done = shown == (CancelOutcome.CONFIRMED, RunState.CANCELLED)
                holds("6.1", done, f"cancelling a run at {word!r} that the vendor cancels at once gave {said(shown)}")

    @proves("6.2")
    def test_6_2_a_cancellation_that_takes_time(self) -> None:
        """The vendor accepted it and the run lives on; a wait sees how it ends."""
        self.needs(Capability.CANCEL)
        self._cancels("later")
        for word in self._cancellable():
            with self.world() as world:
                world.server.cancels_at_once = False
                run = self.shown(world, world.client(), word)
                shown = (run.cancel(), run.status.state)
                asked = shown == (CancelOutcome.REQUESTED, RunState.CANCELLING)
                holds("6.2", asked, f"cancelling a run at {word!r} that lives on gave {said(shown)}")
                world.server.show(run.id, word=self.word_for(RunState.CANCELLED))
                state = run.wait(timeout=60, raise_on_failure=False).status.state
                holds("6.2", state is RunState.CANCELLED, f"the cancelled run ended as {state}")

    @proves("6.3")
    def test_6_3_a_cancellation_that_came_too_late(self) -> None:
        """After every end, also one that only the vendor knows of."""
        self.needs(Capability.CANCEL)
        for word in self.final_words():
            meaning = self.meanings()[word]
            with self.world() as world:
                run = self.shown(world, world.client(), self.live_word())
                world.server.show(run.id, word=word)
                shown = (run.cancel(), run.status.state)
                late = shown[1] is (meaning and meaning.state) and (
                    shown[0] is CancelOutcome.TOO_LATE
                    # How it came to be cancelled is for nobody to tell.
                    or (shown[0] is CancelOutcome.CONFIRMED and shown[1] is RunState.CANCELLED)
                )
                holds("6.3", late, f"cancelling a run that had ended with {word!r} gave {said(shown)}")

    @proves("6.4")
    def test_6_4_a_cancellation_of_nothing(self) -> None:
        """The vendor itself says that it has no such run."""
        self.needs(Capability.CANCEL)
        with self.world() as world:
            run = self.attached(world, self.submitted(world.client()))
            world.server.purge(run.id)
            try:
                outcome = run.cancel()
            except RunNotFound:
                return
            broken("6.4", f"cancelling a run that the vendor denies gave {outcome}")

    @proves("6.5")
    def test_6_5_a_cancellation_whose_answer_is_lost(self) -> None:
        """Nobody knows whether it arrived, unless a look shows it."""
        self.needs(Capability.CANCEL)
        self.needs_requests()
        with self.world() as world:
            run = self.shown(world, world.client(), self.live_word())
            try:
                with world.going_wrong(lost):
                    outcome = run.cancel()
            except TransportError:
                return
            broken("6.5", f"a cancellation whose answer was lost gave {outcome}")

    @proves("6.6")
    def test_6_6_a_cancellation_that_is_refused(self) -> None:
        """The credential may not do it, or the vendor fails at once: nobody says that it is on its way."""
        self.needs(Capability.CANCEL)
        self.needs_requests()
        for status in (403, 500):
            with self.world() as world:
                run = self.shown(world, world.client(), self.live_word())
                before = run.status.state
                try:
                    with world.going_wrong(says(world.server.refusal(status)), only=_first()):
                        outcome = apart(run.cancel)
                except FlowrunnerError:
                    state = run.status.state
                    holds("6.6", state is before, f"after a refusal with {status} the run is {state}")
                else:
                    broken("6.6", f"a cancellation that was refused with {status} gave {outcome}")


def _first() -> Callable[[Sent], bool]:
    """The first request of all."""
    seen: list[Sent] = []

    def is_first(sent: Sent) -> bool:
        seen.append(sent)
        return len(seen) == 1

    return is_first
