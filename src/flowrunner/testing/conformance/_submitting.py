"""Section 3 of the rules: submitting."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flowrunner.backend import Capability
from flowrunner.errors import (
    AuthenticationError,
    FlowNotFound,
    FlowrunnerError,
    InvalidRequest,
    PermissionDenied,
    ProtocolError,
    RateLimited,
    SubmissionUncertain,
    VendorError,
)
from flowrunner.testing.conformance.scenario import Scenario
from flowrunner.testing.conformance.server import reply
from flowrunner.testing.conformance.verdict import NotConforming, broken, holds, proves
from flowrunner.testing.conformance.world import lost, page, says, submissions, truncated

if TYPE_CHECKING:
    from flowrunner.testing.conformance.world import Fault, World

REFUSALS: dict[int, tuple[type[FlowrunnerError], ...]] = {
    400: (InvalidRequest, FlowNotFound),
    401: (AuthenticationError,),
    403: (PermissionDenied, FlowNotFound),
    409: (InvalidRequest, FlowNotFound),
    422: (InvalidRequest, FlowNotFound),
}
"""What a submission raises that the vendor refuses in its own words: who erred."""


class SubmittingRules(Scenario):
    """How runs are started."""

    @proves("3.1")
    def test_3_1_a_submission_starts_one_run(self) -> None:
        """One run, by one request that may not be repeated."""
        with self.world() as world:
            client = world.client()
            self.submitted(client)
            holds("3.1", world.server.started == 1, f"{world.server.started} runs were started")
            if client._backend.base_url:  # noqa: SLF001 - the suite may look inside
                final = [each for each in world.sent if not each.repeatable]
                holds("3.1", len(final) == 1, f"{len(final)} of its requests are not repeatable, one has to be")

    @proves("3.2")
    def test_3_2_a_submission_gives_an_id(self) -> None:
        """The vendor's id, as a text."""
        with self.world() as world:
            run = self.submitted(world.client())
            holds("3.2", isinstance(run.id, str) and run.id, f"the id is {run.id!r}")
            holds("3.2", world.server.find(run.id) is not None, f"the vendor has no run {run.id!r}")

    @proves("3.3")
    def test_3_3_a_lost_answer_is_uncertain(self) -> None:
        """The server acted and its answer never came: nobody may send it again."""
        self._is_uncertain("3.3", "the answer was lost", lost)

    @proves("3.4")
    def test_3_4_an_unreadable_success_is_uncertain(self) -> None:
        """A page, nothing, half a body, JSON without an id: a run may be there all the same."""
        self._is_uncertain("3.4", "a proxy's page came with status 200", page(200, acts=True))
        self._is_uncertain("3.4", "an empty answer came with status 200", says(reply(200), acts=True))
        self._is_uncertain("3.4", "half of the answer came", truncated)
        self._is_uncertain("3.4", "an empty object came with status 200", says(reply(200, {}), acts=True))

    @proves("3.5")
    def test_3_5_a_gateway_that_gave_up_is_uncertain(self) -> None:
        """What stands in between does not know how far the server came."""
        for status in (408, 500, 502, 504, 520):
            self._is_uncertain("3.5", f"a proxy answered {status}", page(status, acts=True))

    def _is_uncertain(self, rule: str, what: str, fault: Fault) -> None:
        self.needs_requests()
        with self.world() as world:
            client = world.client(retries=3)
            error = self._failure(world, client, rule, what, fault)
            holds(rule, isinstance(error, SubmissionUncertain), f"{what}, and {type(error).__name__} was raised")
            holds(rule, world.server.started == 1, f"{what}, and {world.server.started} runs were started")

    def _failure(self, world: World, client: Any, rule: str, what: str, fault: Fault) -> FlowrunnerError:
        with world.going_wrong(fault, only=submissions):
            try:
                run = self.submitted(client)
            except FlowrunnerError as error:
                return error
        raise NotConforming(rule, f"{what}, and a run was returned: {run.id!r}")

    @proves("3.6")
    def test_3_6_a_refusal_says_who_erred(self) -> None:
        """The vendor's own no: nothing was started, so nothing is uncertain."""
        self.needs_requests()
        for status, expected in REFUSALS.items():
            with self.world() as world:
                client = world.client()
                refusal = says(world.server.refusal(status))
                error = self._failure(world, client, "3.6", f"the vendor refused with {status}", refusal)
                holds("3.6", isinstance(error, expected), f"{status} became {type(error).__name__}")
                holds(
                    "3.6", error.http_status == status, f"the error of a {status} has http_status={error.http_status}"
                )
        with self.world() as world:
            error = self._failure(world, world.client(), "3.6", "a proxy answered 404", page(404))
            holds("3.6", isinstance(error, ProtocolError), f"a proxy's 404 became {type(error).__name__}")

    @proves("3.7")
    def test_3_7_what_was_certainly_not_taken_is_sent_again(self) -> None:
        """Up to `retries` times, after the pause the vendor wants; then the error says what it was."""
        self.needs_requests()
        wait = {"retry-after": "2"}
        with self.world() as world:
            answers = {
                "429": (world.server.refusal(429), RateLimited),
                "429 with Retry-After": (_with(world.server.refusal(429), wait), RateLimited),
                "503 with Retry-After": (_with(world.server.refusal(503), wait), VendorError),
            }
        for what, (answer, expected) in answers.items():
            with self.world() as world:
                client = world.client(retries=2)
                error = self._failure(world, client, "3.7", f"the vendor answered {what}", says(answer))
                holds("3.7", isinstance(error, expected), f"{what} became {type(error).__name__}")
                tries = sum(not each.repeatable for each in world.sent)
                holds("3.7", tries == 3, f"after {what} it was sent {tries} times, with retries=2")
                run = self.submitted(client)
                holds("3.7", world.server.started == 1, f"after {what}, {world.server.started} runs were started")
                holds("3.7", run.id, "the submission after that gave no id")

    @proves("3.8")
    def test_3_8_an_unknown_flow_is_not_found(self) -> None:
        """The vendor says so in its own words."""
        with self.world() as world:
            try:
                world.client().submit(f"{self.server.flow}-that-is-not-there")
            except FlowNotFound:
                holds("3.8", world.server.started == 0, "a run of it was started")
            else:
                broken("3.8", "a flow that is not there was submitted")

    @proves("3.9")
    def test_3_9_flow_and_parameters_arrive(self) -> None:
        """Names with letters of any alphabet, blanks, slashes and what addresses and JSON are written with."""
        with self.world() as world:
            client = world.client()
            for flow in filter(None, (self.server.flow, self.server.odd_flow)):
                started = world.server.find(client.submit(flow).id)
                arrived = started.flow if started else None
                holds("3.9", arrived == flow, f"the flow {flow!r} arrived as {arrived!r}")
            if Capability.PARAMETERS in client.capabilities:
                run = self.submitted(client, parameters=self.parameters, options=self.options)
                started = world.server.find(run.id)
                seen = dict(started.parameters) if started else None
                holds("3.9", seen == dict(self.parameters), f"the parameters arrived as {seen!r}")

    @proves("3.10")
    def test_3_10_a_payload_arrives(self) -> None:
        """Byte by byte, in the submission or as a file that was brought there for it."""
        self.needs(Capability.PAYLOAD)
        with self.world() as world:
            run = self.submitted(world.client(), payload=self.payload)
            started = world.server.find(run.id)
            arrived = [*world.server.uploaded.values(), started and started.payload]
            holds("3.10", self.payload in arrived, f"the vendor has {arrived!r}")


def _with(answer: Any, headers: dict[str, str]) -> Any:
    return type(answer)(answer.status, {**answer.headers, **headers}, answer.content)
