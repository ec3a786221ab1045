"""Section 4 of the rules: observing."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import pytest

from flowrunner.backend import Capability
from flowrunner.enums import Cause, RunState
from flowrunner.errors import AuthenticationError, FlowrunnerError, PermissionDenied, ProtocolError, RunNotFound
from flowrunner.events import UnknownWord
from flowrunner.plans import Request
from flowrunner.testing.conformance.scenario import Scenario
from flowrunner.testing.conformance.server import ABSENT, reply
from flowrunner.testing.conformance.verdict import NotConforming, broken, holds, proves, said
from flowrunner.testing.conformance.world import lost, page, refused, says, truncated

if TYPE_CHECKING:
    from flowrunner.testing.conformance.world import Fault, World

UNKNOWN: Final = "A_word that Nobody-knows"
HOLD: Final = 20.0
NOON: Final = datetime(2025, 1, 1, 12, tzinfo=UTC)
TIMES: Final = (
    ("2025-01-01T12:00:00Z", NOON),
    ("2025-01-01T14:00:00+02:00", NOON),
    ("2025-01-01T12:00:00.000000000Z", NOON),
    (ABSENT, None),
    (None, None),
    ("", None),
    ("0001-01-01T00:00:00Z", None),
    ("yesterday", None),
)
"""Times as vendors write them, and what they are."""

UNREADABLE: Final[dict[str, Fault]] = {
    "a proxy's page with status 200": page(200),
    "an empty answer": says(reply(200)),
    "half an answer": truncated,
    "JSON that is no object": says(reply(200, 5)),
    "JSON nested too deep": says(reply(200, b'{"a":' * 100_000)),
    "no answer": lost,
    "no connection": refused,
}


class ObservingRules(Scenario):
    """How answers are read."""

    @proves("4.1")
    def test_4_1_documented_words_mean_what_is_documented(self) -> None:
        """Each is kept as it was written, is recognized, and leads to its state with its details."""
        for word, meaning in self.meanings().items():
            with self.world() as world:
                status = self.shown(world, world.client(), word).status
                holds("4.1", status.vendor_status == word, f"the word {word!r} was kept as {status.vendor_status!r}")
                holds("4.1", status.recognized, f"the word {word!r} is not recognized")
                if meaning is None:
                    holds("4.1", not status.state.is_final, f"the word {word!r} ended the run as {status.state}")
                    continue
                shown = (status.state, status.cause, status.reason, status.has_warnings)
                expected = (meaning.state, meaning.cause, meaning.reason, meaning.has_warnings)
                holds(
                    "4.1",
                    _agree(shown, expected),
                    f"{word!r} led to {said(shown)}, and its documentation says {said(expected)}",
                )

    @proves("4.2")
    def test_4_2_an_unknown_word_changes_nothing(self) -> None:
        """It is kept and told; the state stays; one line of configuration teaches it."""
        with self.world() as world:
            client, word = world.client(), self.live_word()
            run = self.shown(world, client, word)
            before = run.status.state
            world.server.show(run.id, word=UNKNOWN)
            status = run.refresh()
            holds("4.2", status.state is before, f"after an unknown word the run is {status.state}, it was {before}")
            holds("4.2", not status.recognized and status.vendor_status == UNKNOWN, f"the word was kept as {status!r}")
            told = [each.word for each in world.events if isinstance(each, UnknownWord)]
            holds("4.2", told == [UNKNOWN], f"the events tell of the words {told}")
            taught = world.client(status_map={UNKNOWN: "succeeded"}).attach(run.ref).refresh()
            holds("4.2", taught.state is RunState.SUCCEEDED, f"taught as succeeded, the run is {taught.state}")

    @proves("4.3")
    def test_4_3_a_denied_run_is_not_found(self) -> None:
        """The vendor itself says that there is none, to a client that never saw it."""
        with self.world() as world:
            run = self.attached(world, self.submitted(world.client()))
            world.server.purge(run.id)
            try:
                run.refresh()
            except RunNotFound:
                return
            broken("4.3", f"a run that the vendor denies is {run.status.state}")

    @proves("4.4")
    def test_4_4_a_404_of_somebody_else_denies_nothing(self) -> None:
        """A page, or nothing at all: a proxy, or a server that is just starting."""
        self.needs_requests()
        for what, fault in (("a proxy's 404", page(404)), ("an empty 404", says(reply(404)))):
            error = self._failed_look("4.4", what, fault)
            holds("4.4", not isinstance(error, RunNotFound), f"{what} became RunNotFound")

    @proves("4.5")
    def test_4_5_an_unreadable_answer_says_nothing(self) -> None:
        """Whatever comes that makes no sense is an error, and the run stays as it was."""
        self.needs_requests()
        for what, fault in UNREADABLE.items():
            self._failed_look("4.5", what, fault)

    @proves("4.6")
    def test_4_6_a_failing_server_says_nothing(self) -> None:
        """In the vendor's own words or a proxy's: the run stays as it was."""
        self.needs_requests()
        for status in (408, 409, 422, 429, 500, 502, 503, 504):
            with self.world() as world:
                own = says(world.server.refusal(status))
            self._failed_look("4.6", f"the vendor's {status}", own)
            self._failed_look("4.6", f"a proxy's {status}", page(status))

    def _failed_look(self, rule: str, what: str, fault: Fault) -> FlowrunnerError:
        """Look while something goes wrong; the run must be as it was."""
        with self.world() as world:
            run = self.shown(world, world.client(), self.live_word())
            return _failure_of_look(world, run, rule, what, fault)

    @proves("4.7")
    def test_4_7_credentials_that_are_refused(self) -> None:
        """Who erred is in the class of the error."""
        self.needs_requests()
        for status, expected in ((401, AuthenticationError), (403, PermissionDenied)):
            with self.world() as world:
                own = says(world.server.refusal(status))
            error = self._failed_look("4.7", f"the vendor's {status}", own)
            holds("4.7", isinstance(error, expected), f"the vendor's {status} became {type(error).__name__}")

    @proves("4.8")
    def test_4_8_times_are_utc_or_none(self) -> None:
        """Every way of writing a time, and of having none."""
        words = {
            "queued_at": self.live_word(),
            "started_at": self.live_word(),
            "finished_at": self.word_for(RunState.SUCCEEDED),
        }
        shown = {
            name: [self._time(name, word, wire) for wire, _ in self.times or TIMES] for name, word in words.items()
        }
        told = {name: seen for name, seen in shown.items() if any(seen)}
        if not told:
            pytest.skip(f"{self.backend.name} tells no times")
        for name, times in told.items():
            for (wire, expected), seen in zip(self.times or TIMES, times, strict=True):
                text = "nothing" if wire is ABSENT else repr(wire)
                holds("4.8", seen == expected, f"{name} written as {text} became {seen!r}, not {expected!r}")
                holds("4.8", seen is None or seen.tzinfo is UTC, f"{name} became {seen!r}, which is not in UTC")

    def _time(self, name: str, word: str, wire: Any) -> Any:
        with self.world() as world:
            status = self.shown(world, world.client(), word, **{name: wire}).status
            return getattr(status, name)

    @proves("4.9")
    def test_4_9_progress_decides_nothing(self) -> None:
        """All of it does not end a run, and more than all, or none, is no accident."""
        with self.world() as world:
            client = world.client()
            run = self.shown(world, client, self.live_word())
            for progress in (0.0, 0.5, 1.0, 1.5, None):
                world.server.show(run.id, progress=progress)
                status = run.refresh()
                holds("4.9", not status.state.is_final, f"progress {progress} ended the run as {status.state}")
                sound = status.progress is None or 0.0 <= status.progress <= 1.0
                holds("4.9", sound, f"progress {progress} became {status.progress}")
                if Capability.PROGRESS in client.capabilities and progress in {0.5, 1.0}:
                    holds("4.9", status.progress == progress, f"progress {progress} became {status.progress}")

    @proves("4.10")
    def test_4_10_an_answer_without_a_word(self) -> None:
        """It is no word: the state stays, or the look fails."""
        with self.world() as world:
            run = self.shown(world, world.client(), self.live_word())
            before = run.status.state
            world.server.show(run.id, word=None)
            with suppress(ProtocolError):
                run.refresh()
            holds("4.10", run.status.state is before, f"without a word the run became {run.status.state}")

    @proves("4.11")
    def test_4_11_ids_that_need_encoding(self) -> None:
        """The id goes to the vendor as it came from there."""
        if self.server.odd_id is None:
            pytest.skip(f"{self.backend.name} has no ids that need encoding")
        with self.world() as world:
            client = world.client()
            world.server.next_id = self.server.odd_id
            run = self.submitted(client)
            word = self.live_word()
            world.server.show(run.id, word=word)
            status = self.attached(world, run).refresh()
            holds("4.11", status.vendor_status == word, f"the run of id {run.id!r} is seen as {status!r}")

    @proves("4.12")
    def test_4_12_held_requests_have_time(self) -> None:
        """The answer is waited for longer than the vendor may hold the request."""
        self.needs(Capability.LONG_POLL)
        with self.world() as world:
            client = world.client()
            run = self.shown(world, client, self.live_word())
            backend = client._backend  # noqa: SLF001 - the suite may look inside
            request = next(backend.observe(run.ref, HOLD))
            patient = isinstance(request, Request) and request.timeout is not None and request.timeout > HOLD
            holds("4.12", patient, f"the timeout of a request that is held for {HOLD:g} s is {request.timeout}")


def _agree(shown: tuple[Any, ...], expected: tuple[Any, ...]) -> bool:
    """Whether what is shown is what is documented; a cause that nobody documents is UNSPECIFIED."""
    state, cause, *rest = expected
    causes = {cause} if cause is not None else {None, Cause.UNSPECIFIED}
    return shown[0] is state and shown[1] in causes and list(shown[2:]) == rest


def _failure_of_look(world: World, run: Any, rule: str, what: str, fault: Fault) -> FlowrunnerError:
    before = run.status
    with world.going_wrong(fault):
        try:
            run.refresh()
        except FlowrunnerError as error:
            same = (run.status.state, run.status.vendor_status) == (before.state, before.vendor_status)
            holds(rule, same, f"after {what} the run is {run.status.state}, it was {before.state}")
            return error
    raise NotConforming(rule, f"{what} was read as {run.status.vendor_status!r}")
