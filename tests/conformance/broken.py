"""One backend for each rule that breaks just that: the suite has to notice every one of them."""

from __future__ import annotations

import logging
import time
from datetime import UTC, datetime
from itertools import count
from typing import Any

from attrs import evolve, frozen

from conformance.acme import Acme, AcmeSettings, observation
from flowrunner import CancelOutcome, Capability, FlowInfo, FlowSpec, Health, ParameterSpec, RunState, SubmitOptions
from flowrunner.answers import json_of
from flowrunner.backend import (
    Accepted,
    Backend,
    CancelAnswer,
    Outcome,
    Prompt,
    RunQuery,
    Settings,
    Sighting,
    setting,
)
from flowrunner.errors import (
    FlowNotFound,
    FlowrunnerError,
    InvalidRequest,
    RunNotFound,
    SubmissionUncertain,
    VendorError,
)
from flowrunner.models import RemoteFile
from flowrunner.plans import Page, Request, path, send
from flowrunner.secret import Secret
from flowrunner.states import Meaning, Observation

BROKEN: dict[str, list[type[Acme]]] = {}
"""The backends, by the rule that each breaks."""


def breaks(rule: str) -> Any:
    """Enter a backend."""

    def enter(cls: type[Acme]) -> type[Acme]:
        BROKEN.setdefault(rule, []).append(cls)
        return cls

    return enter


NOW = datetime(2025, 1, 1, tzinfo=UTC)
NUMBERS = count(1)


def gone_through(plan: Any, change: Any) -> Any:
    """A plan whose result is changed."""
    return change((yield from plan))


# 1 The class


@breaks("1.1")
class Undated(Acme):
    """It does not say what it was written for."""

    backend_api: Any = None


@breaks("1.1")
class BadlyNamed(Acme):
    """Its name is none for a configuration."""

    name = "Acme Flows!"


@breaks("1.2")
class Undocumented(Acme):
    """A setting without a help text."""

    @frozen(kw_only=True)
    class Own(AcmeSettings):
        """The settings."""

        colour: str = "red"

    settings_class = Own


@breaks("1.2")
class Open(Acme):
    """A credential that is shown."""

    @frozen(kw_only=True)
    class Own(Settings):
        """The settings."""

        base_url: str = setting("Address of the server.")
        token: str = setting("Token of a user.")

    settings_class = Own


@breaks("1.3")
class Unfolded(Acme):
    """A word as the vendor writes it."""

    words = {**Acme.words, "Power Cut": Meaning(RunState.FAILED)}


@breaks("1.3")
class Endless(Acme):
    """No word for success."""

    words = {word: meaning for word, meaning in Acme.words.items() if meaning.state is not RunState.SUCCEEDED}


@breaks("1.4")
class Forgetful(Acme):
    """Options that are dropped."""

    def submit(self, submission):
        """It looks at none of them."""
        return super().submit(evolve(submission, options=SubmitOptions()))


@breaks("1.4")
class Silent(Acme):
    """An option without a help text."""

    options = {"colour": ""}


@breaks("1.4")
class Gruff(Acme):
    """An option that is wrong, and nobody says which."""

    def submit(self, submission):
        """It wants none."""
        if submission.options != SubmitOptions():
            raise InvalidRequest("no options, please")
        return super().submit(submission)


@breaks("1.4")
class Nonced(Acme):
    """Options that are dropped, in submissions of which no two are alike."""

    def submit(self, submission):
        """Each has a number of its own."""
        number = next(NUMBERS)
        plan = super().submit(evolve(submission, options=SubmitOptions()))
        request = next(plan)
        answer = yield evolve(request, json={**request.json, "number": number})
        try:
            plan.send(answer)
        except StopIteration as end:
            return end.value


# 2 Plans


@breaks("2.1")
class Eager(Acme):
    """An operation that is no generator."""

    def observe(self, ref, hold=0.0):
        """It gives the answer at once."""
        return iter([Request("GET", path("runs", ref.id))])


@breaks("2.1")
class Odd(Acme):
    """A plan that yields what is no step."""

    def observe(self, ref, hold=0.0):
        """It yields a number first."""
        yield 5
        return (yield from super().observe(ref, hold))


@breaks("2.2")
class Sleepy(Acme):
    """A plan that waits."""

    def observe(self, ref, hold=0.0):
        """It takes its time."""
        time.sleep(0.001)
        return (yield from super().observe(ref, hold))


@breaks("2.2")
class Clocked(Acme):
    """A plan that asks for the time."""

    def result(self, ref):
        """It measures."""
        time.monotonic()
        return (yield from super().result(ref))


@breaks("2.2")
class Dated(Acme):
    """A plan that asks for the date."""

    def observe(self, ref, hold=0.0):
        """It wants to know when."""
        seen = yield from super().observe(ref, hold)
        return evolve(seen, started_at=datetime.now(UTC))


@breaks("2.3")
class Remembering(Acme):
    """A backend that knows only the runs it started."""

    def __init__(self, settings):
        super().__init__(settings)
        self.known: set[str] = set()

    def submit(self, submission):
        """It notes the id."""
        accepted = yield from super().submit(submission)
        self.known.add(accepted.id)
        return accepted

    def observe(self, ref, hold=0.0):
        """Others are news to it."""
        if ref.id not in self.known:
            raise RunNotFound("this run is not of mine")
        return (yield from super().observe(ref, hold))


@breaks("2.4")
class Moody(Acme):
    """Every second instance sees things otherwise."""

    made = 0

    def __init__(self, settings):
        super().__init__(settings)
        type(self).made += 1
        self.odd = self.made % 2

    def observe(self, ref, hold=0.0):
        """It asks twice."""
        if self.odd:
            yield from send(Request("GET", path("runs", ref.id)))
        return (yield from super().observe(ref, hold))


# 3 Submitting


@breaks("3.1")
class Doubling(Acme):
    """Two runs for one submission."""

    def submit(self, submission):
        """It makes sure."""
        yield from super().submit(submission)
        return (yield from super().submit(submission))


@breaks("3.2")
class Numbered(Acme):
    """An id that is no text."""

    def accepted(self, response, flow):
        """It is a number."""
        accepted = super().accepted(response, flow)
        return Accepted(int(accepted.id), accepted.observation)


@breaks("3.3")
class Certain(Acme):
    """A lost answer is taken for a failure."""

    def submit(self, submission):
        """It reads the answer without a care."""
        request = Request("POST", path("flows", submission.flow, "runs"), json={"parameters": {}}, repeatable=False)
        return self.accepted((yield from send(request)), submission.flow)


@breaks("3.4")
class Trusting(Certain):
    """An answer that cannot be read is the vendor's fault."""


@breaks("3.4")
class Inventive(Acme):
    """Without an id, one is made up."""

    def accepted(self, response, flow):
        """It is the flow's name."""
        try:
            return super().accepted(response, flow)
        except FlowrunnerError:
            if response.is_success:
                return Accepted(flow)
            raise


@breaks("3.5")
class Gated(Certain):
    """A gateway that gave up is the vendor's failure."""


@breaks("3.5")
class Relieved(Acme):
    """A proxy's 500 is as good as the vendor's no."""

    def accepted(self, response, flow):
        """It failed, then."""
        if response.status == 500:
            raise VendorError("it failed", http_status=500, vendor_message="it failed")
        return super().accepted(response, flow)


@breaks("3.6")
class Blaming(Acme):
    """Every refusal is the vendor's failure."""

    def accepted(self, response, flow):
        """Not ours."""
        if not response.is_success:
            raise VendorError("it failed", http_status=response.status)
        return super().accepted(response, flow)


@breaks("3.7")
class Flooding(Acme):
    """Too many requests are the caller's fault."""

    def accepted(self, response, flow):
        """So it says."""
        if response.status in {429, 503}:
            raise InvalidRequest("too many", http_status=response.status)
        return super().accepted(response, flow)


@breaks("3.8")
class Vague(Acme):
    """An unknown flow is just a wrong request."""

    def accepted(self, response, flow):
        """What was wrong is not said."""
        if response.status == 404:
            raise InvalidRequest("wrong", http_status=404)
        return super().accepted(response, flow)


@breaks("3.8")
class Helpful(Acme):
    """An unknown flow becomes a known one."""

    def submit(self, submission):
        """It will have been meant."""
        return super().submit(evolve(submission, flow="nightly"))


@breaks("3.9")
class Careless(Acme):
    """Names go into the address as they are."""

    def submit(self, submission):
        """It cuts what is inconvenient."""
        return super().submit(evolve(submission, flow=submission.flow.split("/")[0]))


@breaks("3.9")
class Asciified(Acme):
    """Parameters lose their letters."""

    def submit(self, submission):
        """It has seen ASCII only."""
        plain = {key: value.encode("ascii", "replace").decode() for key, value in submission.parameters.items()}
        return super().submit(evolve(submission, parameters=plain))


@breaks("3.10")
class Decoding(Acme):
    """A payload that was text once."""

    def submit(self, submission):
        """It decodes what is no text."""
        payload = submission.payload and submission.payload.decode("utf-8", "replace").encode()
        return super().submit(evolve(submission, payload=payload))


# 4 Observing


@breaks("4.1")
class Translating(Acme):
    """A word is put into our own."""

    def observe(self, ref, hold=0.0):
        """It is lower case."""
        return gone_through(super().observe(ref, hold), lambda seen: evolve(seen, word=seen.word and seen.word.lower()))


@breaks("4.1")
class Mistaken(Acme):
    """A word that means something else."""

    words = {**Acme.words, "powercut": Meaning(RunState.CANCELLED)}


@breaks("4.1")
class Concluding(Acme):
    """A word that leaves it to the result ends the run before there is one."""

    words = {**Acme.words, "over": Meaning(RunState.SUCCEEDED)}


@breaks("4.2")
class Strict(Acme):
    """A word that is not known is an error."""

    def observe(self, ref, hold=0.0):
        """It has a list."""

        def checked(seen):
            if self.state_of(seen) is None:
                raise InvalidRequest(f"what is {seen.word}?")
            return seen

        return gone_through(super().observe(ref, hold), checked)


@breaks("4.3")
class Denying(Acme):
    """A run that is not there is a wrong request."""

    def seen(self, response, ref):
        """It says nothing of the run."""
        return self.record(response)


@breaks("4.3")
class Imagining(Acme):
    """A run that is not there must have ended."""

    def observe(self, ref, hold=0.0):
        """Somehow."""
        response = yield from send(Request("GET", path("runs", ref.id)))
        if response.status == 404:
            return Observation(word="Done")
        return observation(self.seen(response, ref), response.content)


@breaks("4.4")
class Believing(Acme):
    """Whoever says 404 is believed."""

    def seen(self, response, ref):
        """Also a proxy."""
        if response.status == 404:
            raise RunNotFound("it is not there", http_status=404)
        return self.record(response)


@breaks("4.5")
class Guessing(Acme):
    """What cannot be read is a failure of the run."""

    def observe(self, ref, hold=0.0):
        """It is pessimistic."""
        response = yield from send(Request("GET", path("runs", ref.id)))
        try:
            return observation(self.seen(response, ref), response.content)
        except FlowrunnerError:
            return Observation(word="Broken")


@breaks("4.5")
class Crashing(Acme):
    """What cannot be read is an error of Python."""

    def observe(self, ref, hold=0.0):
        """It takes for granted what is there."""
        response = yield from send(Request("GET", path("runs", ref.id)))
        if not response.is_success:
            self.seen(response, ref)
        return Observation(word=json_of(response)["status"])


@breaks("4.6")
class Pessimistic(Acme):
    """A server that fails has runs that failed."""

    def observe(self, ref, hold=0.0):
        """So it thinks."""
        response = yield from send(Request("GET", path("runs", ref.id)))
        if response.status >= 500:
            return Observation(word="Broken")
        return observation(self.seen(response, ref), response.content)


@breaks("4.7")
class Confused(Acme):
    """A refused credential is a failure of the vendor."""

    def record(self, response):
        """Not ours."""
        if response.status in {401, 403}:
            raise VendorError("it failed", http_status=response.status)
        return super().record(response)


@breaks("4.8")
class Naive(Acme):
    """Times as they come."""

    def observe(self, ref, hold=0.0):
        """Their zone is not looked at."""
        response = yield from send(Request("GET", path("runs", ref.id)))
        record = self.seen(response, ref)
        return evolve(observation(record, response.content), queued_at=record.queued)


@breaks("4.8")
class Late(Acme):
    """A time that is not there is now."""

    def observe(self, ref, hold=0.0):
        """It fills the gap."""
        return gone_through(super().observe(ref, hold), lambda seen: evolve(seen, started_at=seen.started_at or NOW))


@breaks("4.9")
class Hasty(Acme):
    """All of it done is done."""

    def observe(self, ref, hold=0.0):
        """It looks at the percentage."""
        return gone_through(
            super().observe(ref, hold), lambda seen: evolve(seen, word="Done") if seen.progress == 1.0 else seen
        )


@breaks("4.9")
class Percent(Acme):
    """Progress in percent."""

    def observe(self, ref, hold=0.0):
        """Of a hundred."""
        return gone_through(
            super().observe(ref, hold), lambda seen: evolve(seen, progress=seen.progress and seen.progress * 100)
        )


@breaks("4.10")
class Filling(Acme):
    """Without a word, it must have ended."""

    def observe(self, ref, hold=0.0):
        """Well."""
        return gone_through(super().observe(ref, hold), lambda seen: evolve(seen, word=seen.word or "Done"))


@breaks("4.11")
class Unencoded(Acme):
    """The id goes into the address as it is."""

    def observe(self, ref, hold=0.0):
        """As a format string does."""
        response = yield from send(Request("GET", f"/runs/{ref.id}"))
        return observation(self.seen(response, ref), response.content)


@breaks("4.12")
class Impatient(Acme):
    """A held request that is given up before."""

    def observe(self, ref, hold=0.0):
        """It leaves the timeout as it is."""
        response = yield from send(Request("GET", path("runs", ref.id), query=(("hold", str(hold)),)))
        return observation(self.seen(response, ref), response.content)


# 5 Following


@breaks("5.1")
class Rosy(Acme):
    """A failure looks like a success in the result."""

    words = {**Acme.words, "powercut": Meaning(RunState.SUCCEEDED)}


@breaks("5.2")
class Final(Acme):
    """Who waits has ended."""

    words = {**Acme.words, "onhold": Meaning(RunState.FAILED)}


@breaks("5.2")
class Impolite(Acme):
    """Who asks has ended."""

    words = {**Acme.words, "asks": Meaning(RunState.SUCCEEDED)}


@breaks("5.3")
class Alarmed(Acme):
    """A gateway's failure is a failure of the run."""

    def observe(self, ref, hold=0.0):
        """It gives up at once."""
        response = yield from send(Request("GET", path("runs", ref.id)))
        if response.status == 502:
            return Observation(word="Broken")
        return observation(self.seen(response, ref), response.content)


@breaks("5.4")
class Tidy(Acme):
    """A run that is gone was stopped."""

    def observe(self, ref, hold=0.0):
        """It guesses."""
        response = yield from send(Request("GET", path("runs", ref.id)))
        if response.status == 404:
            return Observation(word="Stopped")
        return observation(self.seen(response, ref), response.content)


# 6 Cancelling


@breaks("6.1")
class Humble(Acme):
    """A cancellation that is done is said to be on its way."""

    def cancel(self, ref):
        """It does not look."""
        response = yield from send(Request("DELETE", path("runs", ref.id)))
        self.seen(response, ref)
        return CancelAnswer(CancelOutcome.REQUESTED)


@breaks("6.2")
class Proud(Acme):
    """A cancellation that is accepted is said to be done."""

    def cancel(self, ref):
        """It does not look, either."""
        response = yield from send(Request("DELETE", path("runs", ref.id)))
        self.seen(response, ref)
        return CancelAnswer(CancelOutcome.CONFIRMED)


@breaks("6.3")
class Complaining(Acme):
    """A cancellation that came too late is an error."""

    def cancel(self, ref):
        """It says what the vendor says."""
        response = yield from send(Request("DELETE", path("runs", ref.id)))
        record = self.seen(response, ref)
        return CancelAnswer(CancelOutcome.REQUESTED, observation(record, response.content))


@breaks("6.4")
class Content(Acme):
    """A run that is not there is cancelled."""

    def cancel(self, ref):
        """All is well."""
        response = yield from send(Request("DELETE", path("runs", ref.id)))
        return CancelAnswer(CancelOutcome.CONFIRMED if response.status == 404 else CancelOutcome.REQUESTED)


@breaks("6.5")
class Optimistic(Acme):
    """A lost answer is a good one."""

    def cancel(self, ref):
        """It will have arrived."""
        try:
            return (yield from super().cancel(ref))
        except FlowrunnerError:
            return CancelAnswer(CancelOutcome.REQUESTED)


@breaks("6.6")
class Deaf(Acme):
    """A cancellation is on its way, whatever the vendor says."""

    def cancel(self, ref):
        """It does not listen."""
        response = yield from send(Request("DELETE", path("runs", ref.id)))
        if response.status in {403, 500}:
            return CancelAnswer(CancelOutcome.REQUESTED)
        return (yield from super().cancel(ref))


# 7 Results, logs and files


@breaks("7.1")
class Unwritable(Acme):
    """A result that is no JSON."""

    def result(self, ref):
        """It has bytes in it."""
        return gone_through(super().result(ref), lambda outcome: evolve(outcome, outputs={"raw": {1, 2}}))


@breaks("7.1")
class Contradicting(Acme):
    """A result that says otherwise."""

    def result(self, ref):
        """All failed."""
        yield from ()
        return Outcome(observations=(Observation(word="Broken", is_result=True),))


@breaks("7.2")
class Artless(Acme):
    """Artifacts that are not found."""

    def result(self, ref):
        """It forgets them."""
        return gone_through(super().result(ref), lambda outcome: evolve(outcome, artifacts=()))


@breaks("7.3")
class Shortening(Acme):
    """A log without its empty lines."""

    def logs(self, ref):
        """They say nothing."""
        response = yield from send(Request("GET", path("runs", ref.id, "log")))
        return iter([line for line in response.content.decode().splitlines() if line])


@breaks("7.4")
class Truncating(Acme):
    """An upload of the beginning."""

    def upload(self, upload):
        """The rest is much the same."""
        yield from send(Request("PUT", path("files", upload.name), content=b"the beginning"))
        return RemoteFile(name=upload.name, reference=upload.name)


@breaks("7.5")
class Early(Acme):
    """A run that nobody waits for."""

    def run(self, submission, timeout):
        """It starts it, and that is all."""
        plan = super().run(submission, timeout)
        request = next(plan)
        response = yield evolve(request, query=())
        return Accepted(json_of(response)["id"])


@breaks("7.5")
class Sure(Acme):
    """A lost answer of a run that the vendor waits for is a failure of the network."""

    def run(self, submission, timeout):
        """It reads the answer without a care."""
        address = path("flows", submission.flow, "runs")
        body = {"parameters": {}, "payload": None}
        request = Request("POST", address, query=(("wait", "yes"),), json=body, repeatable=False)
        return self.accepted((yield from send(request)), submission.flow)


@breaks("7.5")
class Rash(Acme):
    """A lost answer of a run that the vendor waits for is made up."""

    def run(self, submission, timeout):
        """All will be well."""
        try:
            return (yield from super().run(submission, timeout))
        except SubmissionUncertain:
            return Accepted("1", Observation(word="Done"))


@breaks("7.6")
class Unasking(Acme):
    """A question without its defaults."""

    def prompt(self, ref):
        """They can be guessed."""
        return gone_through(super().prompt(ref), lambda prompt: Prompt(schema=prompt.schema))


# 8 Listing


@breaks("8.1")
class OnePage(Acme):
    """One page is enough."""

    def following(self, offset, items):
        """There is no more."""


@breaks("8.1")
class Circling(Acme):
    """The first page, again and again."""

    def following(self, offset, items):
        """There is always more."""
        return 0


@breaks("8.1")
class Skipping(Acme):
    """Pages of the size that was asked for, whatever came."""

    def following(self, offset, items):
        """A hundred on."""
        return offset + 100 if items else None


@breaks("8.1")
class OneFlow(Acme):
    """Its vendor lists the runs of one flow at a time: without a flow it lists none."""

    lists_one_flow = True

    def list_runs(self, query, cursor=None):
        """No flow, no runs."""
        return super().list_runs(query, cursor) if query.flow else self.without(query)

    def without(self, query):
        """What there is without a flow."""
        yield from ()
        return Page(())


@breaks("8.1")
class OneFlowAskedFirst(OneFlow):
    """It has the vendor refuse."""

    def without(self, query):
        """The vendor knows best."""
        yield from send(Request("GET", path("runs"), query=(("offset", "0"),)))
        raise InvalidRequest("name a flow")


@breaks("8.2")
class Endlessly(Acme):
    """After the last page comes the first."""

    def list_runs(self, query, cursor=None):
        """An empty page is no list."""
        page = yield from super().list_runs(query, cursor)
        if not page.items:
            raise FlowNotFound("there are no runs")
        return page


@breaks("8.3")
class Indiscriminate(Acme):
    """All runs, whatever was asked for."""

    def wants(self, query, listed):
        """More is better."""
        return True


@breaks("8.3")
class Retired(Acme):
    """Only those that have ended."""

    def wants(self, query, listed):
        """The others are not done yet."""
        return super().wants(query, listed) and self.state_of(listed.observation).is_final


@breaks("8.4")
class Titled(Acme):
    """Flows by a name that nobody can submit."""

    def list_flows(self, cursor=None):
        """By their title."""
        return gone_through(
            super().list_flows(cursor),
            lambda page: Page(tuple(FlowInfo(flow=f"Flow {info.flow}") for info in page.items), page.next),
        )


@breaks("8.5")
class Describing(Acme):
    """A description of what is not there."""

    def describe(self, flow):
        """It takes one parameter, as all do."""
        yield from ()
        return FlowSpec(flow, (ParameterSpec(name="NAME"),))


@breaks("8.6")
class Keyless(Acme):
    """Keys that nobody hears of."""

    def submit(self, submission):
        """It leaves it out."""
        return super().submit(evolve(submission, key=None))


@breaks("8.6")
class Claiming(Acme):
    """Every run bears the key that is looked for."""

    def list_runs(self, query, cursor=None):
        """It wants to please."""
        page = yield from super().list_runs(query, cursor)
        return Page(tuple(evolve(each, key="the key") for each in page.items), page.next)


@breaks("8.6")
class Daring(Acme):
    """A lost submission is as good as one that was refused."""

    def submit(self, submission):
        """It says so."""
        try:
            return (yield from super().submit(submission))
        except SubmissionUncertain:
            raise InvalidRequest("it did not arrive") from None


@breaks("8.6")
class Presuming(Acme):
    """A lost answer is made up."""

    def submit(self, submission):
        """It will have been the first."""
        try:
            return (yield from super().submit(submission))
        except SubmissionUncertain:
            return Accepted("1")


# 9 Capabilities


@breaks("9.1")
class Boasting(Acme):
    """What it announces it cannot do."""

    describe = Backend.describe


@breaks("9.1")
class Boundless(Acme):
    """It looks at many at once, and has no list to see them in."""

    capabilities = Acme.capabilities - {Capability.LIST_RUNS}
    list_runs = Backend.list_runs


@breaks("9.2")
class Covert(Acme):
    """It looks at many at once, and keeps that to itself."""

    capabilities = Acme.capabilities - {Capability.BULK}

    def observe_many(self, *, ended, cursor=None):
        """As others do."""
        return super().observe_many(ended=ended, cursor=cursor)


@breaks("9.2")
class Modest(Acme):
    """What it can do it does not announce."""

    capabilities = Acme.capabilities - {Capability.CANCEL}


@breaks("9.3")
class Fragile(Acme):
    """Health that raises."""

    def health(self):
        """It has no answer to no answer."""
        response = yield from send(Request("GET", path("me")))
        return Health(reachable=True, authenticated=response.status != 401)


@breaks("9.3")
class Healthy(Acme):
    """Health that is always good."""

    def health(self):
        """All is well."""
        yield from ()
        return Health(reachable=True, authenticated=True)


# 10 Credentials


@breaks("10.1")
class Addressed(Acme):
    """The token in the address, where servers log it."""

    def observe(self, ref, hold=0.0):
        """It is easier so."""
        query = (("token", self.settings.token.reveal()),)
        response = yield from send(Request("GET", path("runs", ref.id), query=query))
        return observation(self.seen(response, ref), response.content)


@breaks("10.1")
class Doubled(Acme):
    """The token in another header, which goes to any address."""

    def observe(self, ref, hold=0.0):
        """Twice is safer."""
        headers = {"X-Other": self.settings.token.reveal()}
        response = yield from send(Request("GET", path("runs", ref.id), headers=headers))
        return observation(self.seen(response, ref), response.content)


@breaks("10.2")
class Talkative(Acme):
    """The token in the log."""

    def submit(self, submission):
        """For whoever looks."""
        logging.getLogger("acme").info("submitting with %s", self.settings.token.reveal())
        return super().submit(submission)


@breaks("10.2")
class Remembers(Acme):
    """The token as an attribute of its own."""

    def __init__(self, settings):
        super().__init__(settings)
        self.token = settings.token.reveal()


@breaks("10.3")
class Following(Acme):
    """A redirect is followed, wherever it leads."""

    def observe(self, ref, hold=0.0):
        """It goes where it is sent."""
        response = yield from send(Request("GET", path("runs", ref.id)))
        if response.status == 307:
            response = yield from send(Request("GET", response.headers["location"]))
        return observation(self.seen(response, ref), response.content)


@breaks("10.3")
class Pleased(Acme):
    """A redirect is an answer."""

    def observe(self, ref, hold=0.0):
        """It must be done, then."""
        response = yield from send(Request("GET", path("runs", ref.id)))
        if response.status == 307:
            return Observation(word="Done")
        return observation(self.seen(response, ref), response.content)


@breaks("10.4")
class Constant(Acme):
    """The token of the beginning, for ever."""

    first: Secret | None = None

    def authorize(self):
        """It was good once."""
        type(self).first = type(self).first or self.settings.token
        return {"X-Token": type(self).first}


@breaks("10.4")
class Resting(Acme):
    """A login that asks nobody: what was good once, it gives for ever."""

    def authorize(self):
        """The login has it."""
        return {}

    def login(self):
        """No request, and no call."""
        yield from ()
        return {"X-Token": self.settings.token}


# 11 Many at once


class Paging(Acme):
    """Pages of many, changed on the way."""

    def observe_many(self, *, ended, cursor=None):
        """What becomes of them is the others' to say."""
        return gone_through(super().observe_many(ended=ended, cursor=cursor), self.changed)

    def changed(self, page):
        """A page, and another one."""
        return Page(tuple(map(self.seen, page.items)), page.next)

    def seen(self, sighting):
        """One of its runs."""
        return sighting


@breaks("11.1")
@breaks("11.2")
class Overlooking(Paging):
    """The last of a page does not count."""

    def changed(self, page):
        """Without it."""
        return Page(page.items[:-1], page.next)


@breaks("11.1")
class Mingling(Acme):
    """What goes on and what has ended, all in one."""

    def observe_many(self, *, ended, cursor=None):
        """In the order of the list."""
        page = yield from self.list_runs(RunQuery(), cursor)
        items = [(each.id, each.observation) for each in page.items]
        sightings = (Sighting(number, seen.word, read=lambda seen=seen: seen) for number, seen in items)
        return Page(tuple(sightings), page.next)


BROKEN["11.2"].append(Mingling)


@breaks("11.2")
class Upended(Paging):
    """The oldest first."""

    def changed(self, page):
        """Backwards."""
        return Page(page.items[::-1], page.next)


@breaks("11.3")
class Untiring(Paging):
    """After the last page comes another one."""

    def changed(self, page):
        """And another one."""
        return Page(page.items, page.next or 0)


@breaks("11.4")
class Shouting(Paging):
    """Words in capitals."""

    def seen(self, sighting):
        """It says the same, louder."""
        return Sighting(sighting.id, sighting.word.upper(), read=sighting.observation)


@breaks("11.4")
class Rounding(Paging):
    """Progress in whole steps."""

    def seen(self, sighting):
        """None, or all."""
        return Sighting(sighting.id, sighting.word, progress=1.0, read=sighting.observation)


@breaks("11.4")
class Withholding(Paging):
    """It shows nothing that has ended."""

    def observe_many(self, *, ended, cursor=None):
        """What is over is over."""
        return super().observe_many(ended=False, cursor=cursor)


@breaks("11.5")
class Tightlipped(Paging):
    """A sighting that says nothing when it is read."""

    def seen(self, sighting):
        """Nothing at all."""
        return Sighting(sighting.id, sighting.word, sighting.message, read=Observation)


@breaks("11.5")
class Dating(Paging):
    """Times that the vendor never gave."""

    def seen(self, sighting):
        """It will have begun by now."""

        def read():
            return evolve(sighting.observation(), started_at=NOW)

        return Sighting(sighting.id, sighting.word, sighting.message, read=read)
