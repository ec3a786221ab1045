"""Submissions that are written down: one key starts one run, an id survives, and what is uncertain is found out.

Each test runs on both clients, over a scripted V3 server, which carries keys, or V4, which does not.
"""

import asyncio
import json
import re
import threading
from datetime import timedelta

import httpx
import pytest
from attrs import evolve

from flowrunner import events
from flowrunner.backend import Submission, labelled
from flowrunner.client import AsyncClient
from flowrunner.config import resolve
from flowrunner.enums import ReconcileOutcome, RunState
from flowrunner.errors import (
    AuthenticationError,
    InvalidParameters,
    InvalidRequest,
    JournalError,
    RunLost,
    RunNotFound,
    SubmissionUncertain,
    TransportError,
    UnsupportedOperation,
    VendorError,
    WaitTimeout,
)
from flowrunner.http import AsyncHttpSession, HttpSession
from flowrunner.journal import Intent, Journal
from flowrunner.journal.database import Database
from flowrunner.models import RunRef, RunStatus, SubmitOptions

FLOW = "Samples/x.fmw"
SUBMIT = "/fmerest/v3/transformations/submit/Samples/x.fmw"
JOBS = "/fmerest/v3/transformations/jobs"
KEY = "nightly-2025-01-01"
LOST = httpx.ReadTimeout("no answer")
INVISION = resolve(
    None, backend="invision", config=None, arguments={"api_key": "k", "base_url": "https://i.example.com"}
)


class Case:
    """Clients that share a journal, or have none, over a scripted server."""

    def __init__(self, open_client, vendor, clock, path):
        self.open, self.vendor, self.clock, self.path = open_client, vendor, clock, path
        self.events = []
        self.listing()
        vendor.on("POST", SUBMIT, (202, {"id": 1}))
        vendor.on("POST", "/jobs", (202, {"id": 1}))

    def journal(self):
        """The journal, opened anew."""
        return Journal.open(self.path, now=self.clock.now)

    def client(self, *, journal=True, **settings):
        """A client as a new process would have it."""
        settings = {"backend": "fme-flow-v3", "check_parameters": False, "max_long_polls": 0, "retries": 0, **settings}
        book = self.journal() if journal else None
        return self.open(on_event=self.events.append, journal=book, **settings)

    def listing(self, *jobs):
        """What the server lists: on V3 some are active, on V4 all are completed."""
        live = [job for job in jobs if job["status"] in {"QUEUED", "PULLED"}]
        ended = [job for job in jobs if job not in live]
        for section, items in (("active", live), ("completed", ended)):
            self.vendor.on("GET", f"{JOBS}/{section}", (200, page(items)))
        self.vendor.on("GET", "/jobs", (200, page([])), (200, page(jobs)))

    def submissions(self):
        """How many went out."""
        return len(self.vendor.asked("POST", SUBMIT)) + len(self.vendor.asked("POST", "/jobs"))

    def happened(self, kind):
        """The events of a kind."""
        return [event for event in self.events if isinstance(event, kind)]

    def uncertain(self, client, **arguments):
        """A submission whose answer is lost; its handle."""
        for address in (SUBMIT, "/jobs"):
            self.vendor.on("POST", address, LOST)
        with pytest.raises(SubmissionUncertain) as caught:
            client.submit(FLOW, **arguments)
        for address in (SUBMIT, "/jobs"):
            self.vendor.on("POST", address, (202, {"id": 9}))
        return caught.value.handle


def page(items):
    """A page of a listing."""
    return {"items": list(items), "limit": 1000, "offset": 0, "totalCount": len(items)}


def job(number, word, clock, *, key=None, description="", **more):
    """A job in a listing; its times are those of now."""
    return {
        "id": number,
        "status": word,
        "repository": "Samples",
        "workspace": "x.fmw",
        "description": labelled(description, key) or "",
        "timeQueued": clock.now().isoformat(),
        "timeSubmitted": clock.now().isoformat(),
        **more,
    }


@pytest.fixture
def case(open_client, vendor, clock, tmp_path):
    """Clients that share a journal."""
    return Case(open_client, vendor, clock, tmp_path / "runs.db")


@pytest.fixture
def transactions(monkeypatch):
    """What is written to journals while the caller waits, as one word for each transaction."""
    seen, transaction = [], Database.transaction

    def counted(database, *, durable):
        if threading.current_thread().name != "flowrunner journal":  # which writes how runs go, and nobody waits for it
            seen.append("durable" if durable else "other")
        return transaction(database, durable=durable)

    monkeypatch.setattr(Database, "transaction", counted)
    return seen


@pytest.fixture
def in_use(case, transactions):
    """The case, with a journal that has been used before: the very first submission makes the key of its digests."""
    case.client().submit(FLOW)
    transactions.clear()
    return case


@pytest.mark.parametrize("key", [None, KEY])
def test_a_submission_costs_two_transactions(in_use, transactions, key):
    """The intent before the request, the id after it: nothing else is written while the caller waits."""
    client = in_use.client()

    client.submit(FLOW, key=key)
    assert transactions == ["durable", "durable"]

    client.submit(FLOW, key="another")
    assert len(transactions) == 4


@pytest.mark.parametrize(
    ("answer", "error", "written"),
    [
        (LOST, SubmissionUncertain, ["durable", "other"]),
        ((503, {}), VendorError, ["durable", "other"]),
    ],
)
def test_a_submission_that_fails_costs_no_more(in_use, transactions, answer, error, written):
    """What became of it is the second transaction, and no disk is waited for."""
    in_use.vendor.on("POST", SUBMIT, answer)

    with pytest.raises(error):
        in_use.client().submit(FLOW)

    assert transactions == written


def test_a_key_that_is_known_costs_no_transaction(case, transactions):
    """The same key again is read, not written."""
    case.client().submit(FLOW, key=KEY)
    transactions.clear()

    assert case.client().submit(FLOW, key=KEY).id == "1"

    assert transactions == []


# What is written down


def test_the_intent_is_written_before_the_request_leaves(case):
    """While the request is under way the journal has it, without an id; when `submit` returns it has the id."""
    during = []

    def answer(_request):
        during.extend(case.journal().open_entries("fme-flow-v3@fme.example.com"))
        return 202, {"id": 1}

    case.vendor.on("POST", SUBMIT, answer)
    run = case.client().submit(FLOW, key=KEY)

    (entry,) = during
    assert (entry.key, entry.flow, entry.run_id, entry.state) == (KEY, FLOW, None, RunState.SUBMITTING)
    (entry,) = case.journal().open_entries(run.ref.connection)
    assert (entry.run_id, entry.state, entry.ref) == ("1", RunState.QUEUED, run.ref)


def test_every_journaled_submission_gets_a_key(case):
    """V3 carries it in the job's description, behind what is there; the run's reference has it."""
    client = case.client()
    run = client.submit(FLOW, options=SubmitOptions(description="for the report"))
    (request,) = case.vendor.asked("POST", SUBMIT)
    description = json.loads(request.content)["TMDirectives"]["description"]
    assert description == f"for the report [fr:{run.ref.key}]"
    assert re.fullmatch("[0-9a-f]{16}", run.ref.key)


def test_without_a_journal_nothing_gets_a_key(case):
    """A description is left as it is, unless the caller gives a key."""
    client = case.client(journal=False)
    client.submit(FLOW)
    client.submit(FLOW, key="a b]c")
    without, given = (json.loads(request.content) for request in case.vendor.asked("POST", SUBMIT))
    assert "description" not in without["TMDirectives"]
    assert given["TMDirectives"]["description"] == "[fr:a%20b%5Dc]"


def test_how_a_run_goes_is_written_down(case):
    """States, words and the end; a run that ended is no longer open."""
    client = case.client()
    run = client.submit(FLOW, key=KEY)
    case.vendor.on("GET", f"{JOBS}/id/1", (200, job(1, "PULLED", case.clock)), (200, job(1, "SUCCESS", case.clock)))
    assert run.wait().status.state is RunState.SUCCEEDED
    client.close()

    journal = case.journal()
    entry = journal.find(run.ref.connection, KEY)
    assert [(change.state, change.vendor_status) for change in journal.history(entry)] == [
        (RunState.QUEUED, None), (RunState.RUNNING, "PULLED"), (RunState.SUCCEEDED, "SUCCESS"),
    ]  # fmt: skip
    assert journal.open_entries(run.ref.connection) == []


def test_what_the_vendor_refuses_leaves_its_key_free(case):
    """Nothing was started: the same key may be used at once, for something else too."""
    case.vendor.on("POST", SUBMIT, (422, {"message": "no"}))
    client = case.client()
    with pytest.raises(InvalidParameters):
        client.submit(FLOW, {"a": "1"}, key=KEY)
    case.vendor.on("POST", SUBMIT, (202, {"id": 7}))
    assert client.submit(FLOW, {"a": "2"}, key=KEY).id == "7"


def test_what_never_left_leaves_its_key_free(case):
    """A connection that was never made is no uncertainty."""
    case.vendor.on("POST", SUBMIT, httpx.ConnectError("refused"))
    client = case.client()
    with pytest.raises(TransportError):
        client.submit(FLOW, key=KEY)
    assert case.journal().open_entries(client.name) == []


# One key, one run


@pytest.mark.parametrize("journal", [True, False])
def test_the_same_key_again_gives_the_run_that_exists(case, journal):
    """Nothing is sent: the run comes with what is known of it; with a journal in another process, too."""
    client = case.client(journal=journal)
    run = client.submit(FLOW, {"a": "1"}, key=KEY)
    again = (case.client() if journal else client).submit(FLOW, {"a": "1"}, key=KEY)
    assert (again.ref, again.status.state) == (run.ref, RunState.QUEUED)
    assert case.submissions() == 1


def test_the_run_that_exists_may_have_ended(case):
    """Then it comes as it ended, with its cause, and nothing is asked."""
    client = case.client()
    run = client.submit(FLOW, key=KEY)
    case.vendor.on("GET", f"{JOBS}/id/1", (200, job(1, "FME_FAILURE", case.clock)))
    run.refresh()
    client.close()
    again = case.client().submit(FLOW, key=KEY)
    assert (again.status.state, again.status.cause, again.status.vendor_status) == ("failed", "flow", "FME_FAILURE")
    assert case.submissions() == 1


@pytest.mark.parametrize("journal", [True, False])
@pytest.mark.parametrize("other", [{"parameters": {"a": "2"}}, {"flow": "Samples/y.fmw"}])
def test_the_same_key_for_something_else_is_refused(case, journal, other):
    """With another flow or other parameters it is InvalidRequest, and nothing is sent."""
    client = case.client(journal=journal)
    client.submit(FLOW, {"a": "1"}, key=KEY)
    with pytest.raises(InvalidRequest, match=f"key '{KEY}' belongs to a submission of flow"):
        client.submit(**{"flow": FLOW, "parameters": {"a": "1"}, **other}, key=KEY)
    assert case.submissions() == 1


@pytest.mark.parametrize("journal", [True, False])
def test_the_same_key_while_its_outcome_is_unknown_is_refused(case, journal):
    """Nobody knows whether there is a run: nothing is sent, nothing is searched, and the text says what to do."""
    client = case.client(journal=journal)
    handle = case.uncertain(client, key=KEY)
    requests = len(case.vendor.requests)
    with pytest.raises(SubmissionUncertain, match=r"submitted before.*reconcile") as caught:
        client.submit(FLOW, key=KEY)
    assert (caught.value.handle, caught.value.ref, handle.key) == (handle, handle, KEY)
    assert len(case.vendor.requests) == requests


@pytest.mark.parametrize("journal", [True, False])
def test_the_same_key_may_be_sent_again_after_not_found(case, journal):
    """The vendor was asked and showed none: then, and only then, it is sent once more."""
    client = case.client(journal=journal)
    handle = case.uncertain(client, key=KEY)
    found = client.attach(handle).reconcile()
    assert (found.outcome, found.candidates, found.as_of) == (ReconcileOutcome.NOT_FOUND, (), case.clock.now())
    assert client.submit(FLOW, key=KEY).id == "9"
    assert case.submissions() == 2


def test_only_one_of_two_sends_it_again(case, monkeypatch):
    """Two processes that saw NOT_FOUND submit at once: one sends it, the other is told that it is under way."""
    client = case.client()
    handle = case.uncertain(client, key=KEY)
    client.attach(handle).reconcile()
    entry = case.journal().find(client.name, KEY)
    monkeypatch.setattr(Journal, "intend", lambda *_: entry)
    case.journal().resubmit(entry)
    with pytest.raises(SubmissionUncertain, match="still under way"):
        client.submit(FLOW, key=KEY)
    assert case.submissions() == 1


@pytest.fixture
def under_way(case, monkeypatch):
    """Somebody who lives submits the key: the journal has the intent. Say what comes of it at the third look."""

    def begin(comes=lambda _journal, _entry: None):
        client = case.client()
        client.submit(FLOW, key="another")
        case.vendor.requests.clear()
        journal = case.journal()
        model = journal.find(client.name, "another")
        digest = journal.digest(FLOW, {}, None, SubmitOptions())
        entry = journal.intend(
            Intent(
                connection=client.name, backend=model.backend, flow=FLOW, key=KEY, digest=digest, hint=model.hint,
                at=case.clock.now(),
            )
        )  # fmt: skip
        sleep = case.clock.sleep

        def slept(seconds):
            sleep(seconds)
            if len(case.clock.slept) == 3:
                comes(journal, entry)

        monkeypatch.setattr(case.clock, "sleep", slept)
        return client

    return begin


def started(journal, entry):
    """The vendor started a run."""
    journal.accepted(entry, "7", RunStatus(state=RunState.QUEUED))


@pytest.mark.parametrize("sees_it", ["before", "when it writes its intent"])
def test_the_same_key_at_the_same_moment(case, under_way, monkeypatch, sees_it):
    """Who comes second waits for the answer of the first, and has its run; nothing is sent."""
    client = under_way(started)
    if sees_it != "before":
        find, blind = Journal.find, iter([None])
        monkeypatch.setattr(Journal, "find", lambda self, *key: next(blind, find(self, *key)))
    assert client.submit(FLOW, key=KEY).id == "7"
    assert case.clock.slept == [0.2, 0.2, 0.2]
    assert case.submissions() == 0


@pytest.mark.parametrize("sees_it", ["before", "when it writes its intent"])
def test_the_same_key_at_the_same_moment_and_refused(case, under_way, monkeypatch, sees_it):
    """The first one started nothing, so the second one is sent."""
    client = under_way(Journal.refused)
    if sees_it != "before":
        find, blind = Journal.find, iter([None])
        monkeypatch.setattr(Journal, "find", lambda self, *key: next(blind, find(self, *key)))
    assert client.submit(FLOW, key=KEY).id == "1"
    assert case.clock.slept == [0.2, 0.2, 0.2]
    assert case.submissions() == 1


def test_the_same_key_at_the_same_moment_and_uncertain(case, under_way):
    """The first one does not know, so nobody does, and nobody waits longer."""
    client = under_way(lambda journal, entry: journal.uncertain(entry, "no answer"))
    with pytest.raises(SubmissionUncertain, match=r"not known whether that started a run\. Nothing was sent"):
        client.submit(FLOW, key=KEY)
    assert case.clock.slept == [0.2, 0.2, 0.2]


def test_nobody_waits_for_ever_for_another(case, under_way):
    """After the time that a request may take the error says that it may be under way, and what to do."""
    client = under_way()
    with pytest.raises(SubmissionUncertain, match="still under way: then try again in a moment"):
        client.submit(FLOW, key=KEY)
    assert sum(case.clock.slept) == pytest.approx(30, abs=0.3)
    assert case.submissions() == 0


def test_who_has_died_is_not_waited_for(case, under_way, monkeypatch):
    """What is known not to be under way, or is not known, is told at once."""
    client = under_way()
    for alive in (False, None):
        monkeypatch.setattr("flowrunner.operations.ledger.lives", lambda _, alive=alive: alive)
        with pytest.raises(SubmissionUncertain):
            client.submit(FLOW, key=KEY)
    assert case.clock.slept == []


def test_what_another_sends_again_in_vain_is_sent_again(case, monkeypatch):
    """Between our look and our intent somebody sent it again, and was told once more that there is none."""
    client = case.client()
    client.attach(case.uncertain(client, key=KEY)).reconcile()
    resubmit = Journal.resubmit

    def first(journal, entry, hint):
        monkeypatch.setattr(Journal, "resubmit", resubmit)
        again = journal.resubmit(entry, hint)
        journal.absent(again)
        return journal.find(client.name, KEY)

    monkeypatch.setattr(Journal, "resubmit", first)
    assert client.submit(FLOW, key=KEY).id == "9"
    assert case.journal().find(client.name, KEY).attempts == 3
    assert case.submissions() == 2


def test_a_submission_under_way_is_not_taken_for_lost(case):
    """While its answer may still come, nothing that the vendor does not show yet lets it be sent again."""
    case.client().close()
    entry = None

    def answer(_request):
        nonlocal entry
        other = case.client(which="sync")
        entry = case.journal().find(other.name, KEY)
        assert other.attach(entry.ref).reconcile().outcome is ReconcileOutcome.NOT_FOUND
        with pytest.raises(SubmissionUncertain, match="still under way"):
            other.submit(FLOW, key=KEY)
        return 202, {"id": 1}

    case.vendor.on("POST", SUBMIT, answer)
    assert case.client().submit(FLOW, key=KEY).id == "1"
    assert entry is not None


@pytest.mark.parametrize("patience", ["", "soon", "nan", "inf", "-inf", "1e999", "-7"])
def test_a_hint_that_makes_no_sense_makes_nobody_wait(case, patience):
    """How long an answer may take is what the hint says; where it says nothing of the kind, no answer is awaited."""
    client = case.client(which="sync")
    handle = case.uncertain(client, key=KEY)
    with case.journal()._database.transaction(durable=False) as db:
        db.execute("UPDATE entries SET uncertain = NULL, hint = ?", (json.dumps({"patience": patience}),))
    assert client.attach(handle).reconcile().outcome is ReconcileOutcome.NOT_FOUND
    assert client.submit(FLOW, key=KEY).id == "9"


def test_who_is_quicker_between_check_and_intent_wins(case, monkeypatch):
    """The run that another process started meanwhile is the run; files that were uploaded for ours are removed."""
    client = case.client()
    run = client.submit(FLOW, key=KEY)
    monkeypatch.setattr(Journal, "find", lambda *_: None)
    assert client.submit(FLOW, key=KEY).ref == run.ref
    assert case.submissions() == 1


def test_a_key_needs_something_that_keeps_it(open_client, vendor):
    """InVision cannot find a run: without a journal a key is UnsupportedOperation, before any request."""
    client = open_client(INVISION)
    with pytest.raises(UnsupportedOperation, match="use a journal"):
        client.submit("flow", key=KEY)
    assert vendor.requests == []


# Finding out


def test_a_lost_run_is_found_by_its_key(case):
    """V3 shows the key in the description: the handle becomes that run, which goes on; the journal has its id."""
    client = case.client()
    handle = case.uncertain(client, key=KEY)
    case.clock.advance(60)
    case.listing(
        job(5, "PULLED", case.clock, key="another"), job(4, "PULLED", case.clock, key=KEY), job(3, "PULLED", case.clock)
    )
    run = client.attach(handle)
    found = run.reconcile()
    assert (found.outcome, [ref.id for ref in found.candidates]) == (ReconcileOutcome.FOUND, ["4"])
    assert (run.id, run.status.state, run.ref.key) == ("4", RunState.RUNNING, KEY)
    assert case.journal().find(client.name, KEY).run_id == "4"
    assert run.reconcile().outcome is ReconcileOutcome.FOUND
    assert client.submit(FLOW, key=KEY).id == "4"
    assert case.submissions() == 1


def test_a_late_twin_is_named(case):
    """One key, two runs: the first that was started is the run, and an event names the other."""
    client = case.client()
    handle = case.uncertain(client, key=KEY)
    case.listing(job(6, "PULLED", case.clock, key=KEY), job(4, "PULLED", case.clock, key=KEY))
    found = client.attach(handle).reconcile()
    assert [ref.id for ref in found.candidates] == ["4", "6"]
    (anomaly,) = case.happened(events.Anomaly)
    assert anomaly.description == f"the key '{KEY}' started run '6' too, beside '4'"


def test_v4_shows_candidates_and_guesses_none(case):
    """It carries no key: runs of the flow since then are listed, even a single one; those of others are not."""
    client = case.client(backend="fme-flow-v4")
    case.vendor.on("POST", "/jobs", (202, {"id": 2}))
    client.submit(FLOW, key="another")
    handle = case.uncertain(client, key=KEY)
    old = {"timeQueued": (case.clock.now() - timedelta(hours=2)).isoformat()}
    elsewhere = {"workspace": "y.fmw"}
    case.listing(
        job(4, "success", case.clock), job(3, "success", case.clock, **elsewhere),
        job(2, "success", case.clock), job(1, "success", case.clock, **old),
    )  # fmt: skip
    run = client.attach(handle)
    found = run.reconcile()
    assert (found.outcome, [ref.id for ref in found.candidates]) == (ReconcileOutcome.CANDIDATES, ["4"])
    assert (run.id, run.status.state) == (None, RunState.SUBMITTING)
    with pytest.raises(SubmissionUncertain):
        client.submit(FLOW, key=KEY)


def test_candidates_come_nearest_to_the_submission_first(case):
    """Whatever the vendor's order; those that show no time come last."""
    client = case.client(backend="fme-flow-v4")
    handle = case.uncertain(client, key=KEY)
    offsets = {7: 300, 6: 20, 5: -10, 4: -200}
    jobs = [
        job(number, "success", case.clock, timeQueued=(case.clock.now() + timedelta(seconds=offset)).isoformat())
        for number, offset in offsets.items()
    ]
    silent = job(8, "success", case.clock)
    del silent["timeQueued"], silent["timeSubmitted"]
    case.listing(silent, *jobs)
    found = client.attach(handle).reconcile()
    assert [ref.id for ref in found.candidates] == ["5", "6", "4", "7", "8"]


def test_one_listing_shows_each_its_own(case):
    """What was queued more than an hour before a submission is not among its candidates, though others need it."""
    client = case.client(backend="fme-flow-v4")
    case.uncertain(client, key="early")
    early = job(4, "success", case.clock)
    case.clock.advance(1.5 * 3600)
    case.uncertain(client, key="late")
    case.listing(job(5, "success", case.clock), early)
    first, second = client.recover()
    assert [ref.id for ref, _ in first._record.candidates] == ["4", "5"]
    assert [(ref.id, status.state) for ref, status in second._record.candidates] == [("5", RunState.SUCCEEDED)]


def test_candidates_are_those_of_the_last_search(case):
    """What a search found before is not shown for one that finds nothing."""
    client = case.client(backend="fme-flow-v4")
    run = client.attach(case.uncertain(client, key=KEY))
    case.listing(job(4, "success", case.clock))
    run.reconcile()
    assert [ref.id for ref, _ in run._record.candidates] == ["4"]
    case.listing()
    assert run.reconcile().outcome is ReconcileOutcome.NOT_FOUND
    assert run._record.candidates == ()


def test_a_candidate_that_somebody_chose_settles_it(case):
    """Whoever attaches a candidate and looks at it says that it is the run: the journal has its id then."""
    client = case.client(backend="fme-flow-v4")
    handle = case.uncertain(client, key=KEY)
    case.listing(job(4, "success", case.clock))
    case.vendor.on("GET", "/jobs/4", (200, job(4, "running", case.clock)))
    (chosen,) = client.attach(handle).reconcile().candidates
    client.attach(chosen).refresh()
    client.close()
    other = case.client(backend="fme-flow-v4")
    assert other.submit(FLOW, key=KEY).id == "4"
    assert case.submissions() == 1


def test_a_record_that_shows_no_description_is_a_candidate(case):
    """Old servers write none: whether the run bears the key cannot be seen."""
    client = case.client()
    handle = case.uncertain(client, key=KEY)
    silent = job(4, "PULLED", case.clock)
    del silent["description"]
    case.listing(silent)
    assert client.attach(handle).reconcile().outcome is ReconcileOutcome.CANDIDATES


def test_a_key_that_stands_in_the_repeated_request_is_seen(case):
    """Some records have the description there."""
    client = case.client()
    handle = case.uncertain(client, key=KEY)
    request = {"TMDirectives": {"description": f"[fr:{KEY}]"}}
    case.listing(job(4, "PULLED", case.clock, request=request))
    assert client.attach(handle).reconcile().outcome is ReconcileOutcome.FOUND


def test_without_key_and_journal_runs_since_then_are_candidates(case):
    """The client remembers when it sent it; on a server that shows no descriptions, what it started since fits."""
    client = case.client(journal=False, backend="fme-flow-v4")
    handle = case.uncertain(client)
    old = {"timeQueued": (case.clock.now() - timedelta(hours=2)).isoformat()}
    case.listing(job(4, "success", case.clock), job(3, "success", case.clock, **old))
    assert handle.key is None
    found = client.attach(handle).reconcile()
    assert [ref.id for ref in found.candidates] == ["4"]


def test_a_handle_of_another_process_without_a_journal(case):
    """Nobody knows when it was sent: every run of the flow fits."""
    client = case.client(journal=False, backend="fme-flow-v4")
    old = {"timeQueued": (case.clock.now() - timedelta(days=2)).isoformat()}
    case.listing(job(3, "success", case.clock, **old))
    found = client.attach(RunRef(client.name, "fme-flow-v4", FLOW)).reconcile()
    assert (found.outcome, [ref.id for ref in found.candidates]) == (ReconcileOutcome.CANDIDATES, ["3"])


def test_a_handle_of_another_process_with_the_time_of_its_submission(case):
    """Whoever wrote down when it was sent has the runs before that left out."""
    client = case.client(journal=False, backend="fme-flow-v4")
    old = {"timeQueued": (case.clock.now() - timedelta(hours=2)).isoformat()}
    case.listing(job(3, "success", case.clock, **old))
    run = client.attach(RunRef(client.name, "fme-flow-v4", FLOW), submitted_at=case.clock.now())
    assert run.reconcile().outcome is ReconcileOutcome.NOT_FOUND


def test_a_listing_without_end_leaves_it_open(case, monkeypatch):
    """What was not read may hold the run: that is UNKNOWABLE, not NOT_FOUND."""
    monkeypatch.setattr("flowrunner.operations.reconciling.PAGES", 1)
    client = case.client()
    handle = case.uncertain(client, key=KEY)
    assert client.attach(handle).reconcile().outcome is ReconcileOutcome.UNKNOWABLE
    with pytest.raises(SubmissionUncertain):
        client.submit(FLOW, key=KEY)


def test_without_a_key_whatever_shows_none_is_a_candidate(case):
    """V3 shows that the job bears no key, and the submission had none: it may well be it."""
    client = case.client(journal=False)
    handle = case.uncertain(client)
    case.listing(
        job(5, "PULLED", case.clock, key="another"), job(4, "PULLED", case.clock, description="for the report")
    )
    found = client.attach(handle).reconcile()
    assert (found.outcome, [ref.id for ref in found.candidates]) == (ReconcileOutcome.CANDIDATES, ["4"])


def test_a_description_that_looks_like_a_key(case):
    """Ours stands behind all else, and counts."""
    client = case.client()
    handle = case.uncertain(client, key=KEY)
    case.listing(job(4, "PULLED", case.clock, key=KEY, description="again [fr:old]"))
    assert client.attach(handle).reconcile().outcome is ReconcileOutcome.FOUND


def test_a_key_says_more_than_a_clock(case):
    """A server whose clock is hours off shows the key all the same."""
    client = case.client()
    handle = case.uncertain(client, key=KEY)
    early = (case.clock.now() - timedelta(hours=5)).isoformat()
    case.listing(job(4, "PULLED", case.clock, key=KEY, timeQueued=early, timeSubmitted=early))
    assert client.attach(handle).reconcile().outcome is ReconcileOutcome.FOUND


def test_of_twins_the_first_is_the_run_wherever_it_stands(case):
    """One that is still active is listed before one that was started later and has ended."""
    client = case.client()
    handle = case.uncertain(client, key=KEY)
    first = job(4, "PULLED", case.clock, key=KEY)
    case.clock.advance(60)
    case.listing(first, job(6, "SUCCESS", case.clock, key=KEY))
    assert [ref.id for ref in client.attach(handle).reconcile().candidates] == ["4", "6"]


@pytest.mark.parametrize("journal", [True, False])
def test_a_candidate_settles_it_with_and_without_a_journal(case, journal):
    """The client that was told which run it is does not ask again."""
    client = case.client(journal=journal, backend="fme-flow-v4")
    handle = case.uncertain(client, key=KEY)
    case.listing(job(4, "success", case.clock))
    case.vendor.on("GET", "/jobs/4", (200, job(4, "running", case.clock)))
    (chosen,) = client.attach(handle).reconcile().candidates
    client.attach(chosen).refresh()
    if journal:
        client.close()
        client = case.client(backend="fme-flow-v4")
    assert client.submit(FLOW, key=KEY).id == "4"


@pytest.fixture
def two_uncertain(case):
    """A client with two submissions that are uncertain, of which the vendor shows runs 4 and 5; its handles."""
    client = case.client(backend="fme-flow-v4")
    handles = [case.uncertain(client, key=key) for key in ("a", "b")]
    case.listing(job(5, "running", case.clock), job(4, "running", case.clock))
    for number in (4, 5):
        case.vendor.on("GET", f"/jobs/{number}", (200, job(number, "running", case.clock)))
    return client, handles


def test_what_somebody_chose_is_written_when_the_look_returns(two_uncertain, monkeypatch):
    """Nobody has to wait for the thread that writes changes: the key and `recover` have the run, as it was seen."""
    monkeypatch.setattr("flowrunner.journal.writer.Writer.put", lambda *_: None)
    client, (handle, _) = two_uncertain
    client.attach(evolve(handle, id="4")).refresh()
    again = client.submit(FLOW, key="a")
    assert (again.id, again.status.state) == ("4", RunState.RUNNING)
    assert [(run.id, run.status.state) for run in client.recover()] == [
        ("4", RunState.RUNNING), (None, RunState.SUBMITTING),
    ]  # fmt: skip


def test_what_is_settled_costs_no_transaction(two_uncertain, transactions):
    """The look that settles it writes; the next one, and a first one by another who attaches it, do not."""
    client, (handle, _) = two_uncertain
    transactions.clear()
    run = client.attach(evolve(handle, id="4"))
    run.refresh()
    assert transactions == ["durable", "other"]
    run.refresh()
    client.attach(run.ref).refresh()
    assert transactions == ["durable", "other"]


@pytest.mark.parametrize("journal", [True, False])
def test_a_run_is_not_taken_for_two_keys(case, journal):
    """The second key is refused it, and nothing is told or written of that: its own run can still be chosen."""
    client = case.client(journal=journal, backend="fme-flow-v4")
    first, second = (case.uncertain(client, key=key) for key in ("a", "b"))
    case.listing(job(5, "running", case.clock), job(4, "running", case.clock))
    for number in (4, 5):
        case.vendor.on("GET", f"/jobs/{number}", (200, job(number, "running", case.clock)))
    client.attach(evolve(first, id="4")).refresh()
    told = len(case.events)

    wrong = client.attach(evolve(second, id="4"))
    for look in (wrong.refresh, wrong.wait):
        with pytest.raises(InvalidRequest, match="run '4' is the run of key 'a', so it is not that of key 'b'"):
            look()
    assert (wrong.status.state, len(case.events)) == (RunState.UNKNOWN, told)

    (left,) = client.attach(second).reconcile().candidates
    client.attach(left).refresh()
    assert [client.submit(FLOW, key=key).id for key in ("a", "b")] == ["4", "5"]
    assert [event.ref.id for event in case.happened(events.Submitted)] == ["4", "5"]


def test_a_run_of_another_flow_settles_nothing(case):
    """Under the id that somebody chose the vendor shows something else: it is LOST, and the key stays open."""
    client = case.client(backend="fme-flow-v4")
    handle = case.uncertain(client, key=KEY)
    case.vendor.on("GET", "/jobs/4", (200, job(4, "running", case.clock, workspace="y.fmw")))
    assert client.attach(evolve(handle, id="4")).refresh().state is RunState.LOST
    assert case.journal().find(client.name, KEY).run_id is None


def test_lists_settle_it_too(case):
    """Runs that are followed together are not looked at one by one; each that a list shows is that of its key."""
    client = case.client(backend="fme-flow-v4")
    handles = [case.uncertain(client, key=f"k{number}") for number in range(21)]
    case.vendor.on("GET", "/jobs", (200, page([job(number, "success", case.clock) for number in range(21)])))
    client.wait_all([client.attach(evolve(handle, id=str(number))) for number, handle in enumerate(handles)])
    assert [case.journal().find(client.name, handle.key).run_id for handle in handles] == list(map(str, range(21)))


@pytest.mark.parametrize("has_key", [True, False])
def test_what_was_lost_is_lost(case, has_key):
    """Another program that attaches it, and is told that there is no such run, is not told that there never was."""
    client = case.client()
    run = client.submit(FLOW, key=KEY)
    case.vendor.on("GET", f"{JOBS}/id/1", (200, job(1, "PULLED", case.clock)), (404, {"message": "no such job"}))
    run.wait(raise_on_failure=False)
    client.close()

    other = case.client()
    again = other.attach(run.ref if has_key else RunRef(run.ref.connection, run.ref.backend, "", "1"))
    assert again.refresh().state is RunState.LOST
    with pytest.raises(RunLost):
        again.wait()


def test_what_was_lost_and_is_shown_again(case):
    """What the vendor says counts, as ever."""
    client = case.client()
    run = client.submit(FLOW, key=KEY)
    journal = case.journal()
    journal.changed(run.ref, RunStatus(state=RunState.LOST))
    case.vendor.on("GET", f"{JOBS}/id/1", (200, job(1, "PULLED", case.clock)))
    assert client.attach(run.ref).refresh().state is RunState.RUNNING


@pytest.mark.parametrize("journal", [True, False])
def test_what_was_never_seen_is_not_lost(case, journal):
    """The journal does not say LOST of it, or there is none: the vendor has no such run."""
    client = case.client(journal=journal)
    case.vendor.on("GET", f"{JOBS}/id/7", (404, {"message": "no such job"}))
    with pytest.raises(RunNotFound):
        client.attach(RunRef(client.name, client.backend, FLOW, "7")).refresh()


def test_invision_cannot_know(open_client, vendor, case):
    """It lists no runs: nothing is asked, and the answer is UNKNOWABLE."""
    vendor.on("POST", "/api/pub/v1/dataflows/flow/start", LOST)
    client = open_client(INVISION, journal=case.journal())
    with pytest.raises(SubmissionUncertain) as caught:
        client.submit("flow")
    requests = len(vendor.requests)
    assert client.attach(caught.value.handle).reconcile().outcome is ReconcileOutcome.UNKNOWABLE
    (run,) = client.recover()
    assert (run.id, run.status.state, len(vendor.requests)) == (None, RunState.SUBMITTING, requests)


def test_what_another_process_found_is_found(case):
    """Nothing is asked of the vendor where the journal has the id meanwhile."""
    client = case.client()
    handle = case.uncertain(client, key=KEY)
    run = client.attach(handle)
    journal = case.journal()
    journal.accepted(journal.find(client.name, KEY), "4", RunStatus(state=RunState.QUEUED))
    requests = len(case.vendor.requests)
    assert (run.reconcile().outcome, run.id) == (ReconcileOutcome.FOUND, "4")
    assert len(case.vendor.requests) == requests


# Recovering


def test_recover_gives_what_was_not_seen_to_end(case):
    """Oldest first: a run with its last state, one that is found now, one that is still unresolved."""
    client = case.client()
    first = client.submit(FLOW, key="first")
    case.vendor.on("GET", f"{JOBS}/id/1", (200, job(1, "PULLED", case.clock)))
    first.refresh()
    case.uncertain(client, key="second")
    case.uncertain(client, key="third")
    client.close()
    case.listing(job(4, "SUCCESS", case.clock, key="second"), job(1, "PULLED", case.clock, key="first"))

    runs = case.client().recover()
    assert [(run.ref.key, run.id, run.status.state) for run in runs] == [
        ("first", "1", RunState.RUNNING), ("second", "4", RunState.SUCCEEDED), ("third", None, RunState.SUBMITTING),
    ]  # fmt: skip
    asked = [str(request.url.path) for request in case.vendor.requests if "/jobs/" in str(request.url.path)][-2:]
    assert asked == [f"{JOBS}/active", f"{JOBS}/completed"]


def test_one_listing_serves_all_of_a_flow(case):
    """A hundred lost submissions of one flow take the pages of one search."""
    client = case.client()
    for number in range(3):
        case.uncertain(client, key=f"k{number}")
    before = len(case.vendor.requests)
    client.recover()
    assert len(case.vendor.requests) - before == 2


def test_a_failed_search_leaves_the_others_alone(case):
    """What cannot be looked for stays as it is, and an event says why."""
    client = case.client()
    case.uncertain(client, key=KEY)
    case.vendor.on("GET", f"{JOBS}/active", (500, {"message": "down"}))
    (run,) = client.recover()
    assert run.status.state is RunState.SUBMITTING
    (failed,) = case.happened(events.ContactFailed)
    assert isinstance(failed.error, VendorError)
    assert failed.ref == run.ref


def test_recover_without_a_journal(case):
    """There is nothing to recover from, and the text says what to do."""
    with pytest.raises(UnsupportedOperation, match="needs a journal"):
        case.client(journal=False).recover()


def test_recover_of_nothing_asks_nothing(case):
    """Where all is known to have ended, no request is made."""
    assert case.client().recover() == []
    assert case.vendor.requests == []


def test_a_run_that_was_started_moments_ago_may_not_be_visible_yet(case):
    """For a run that is given back by its key that is so as for the one that was submitted: it is not LOST."""
    client = case.client()
    client.submit(FLOW, key=KEY)
    case.vendor.on("GET", f"{JOBS}/id/1", (404, {"message": "no such job"}))
    case.clock.advance(5)
    again = client.submit(FLOW, key=KEY)
    for _ in range(4):
        again.refresh()
        case.clock.advance(4)
    assert again.status.state is RunState.QUEUED
    case.clock.advance(60)
    with pytest.raises(WaitTimeout):
        again.wait(timeout=1)


def test_a_run_that_is_followed_by_its_id_ends_in_the_journal_too(case):
    """Whoever has the vendor's id and no reference closes the entry as well."""
    client = case.client()
    run = client.submit(FLOW, key=KEY)
    case.vendor.on("GET", f"{JOBS}/id/1", (200, job(1, "SUCCESS", case.clock)))
    client.attach(RunRef(client.name, client.backend, "", run.id)).refresh()
    client.close()
    assert case.client().recover() == []


def test_a_password_is_hidden_in_a_run_that_is_given_back(case):
    """What the vendor repeats of it is masked, also where nothing was sent for it just now."""
    parameters = [{"name": "secret", "type": "PASSWORD", "model": "string", "optional": True}]
    case.vendor.on("GET", "/fmerest/v3/repositories/Samples/items/x.fmw/parameters", (200, parameters))
    client = case.client(check_parameters=True)
    client.submit(FLOW, {"secret": "hunter2hunter2"}, key=KEY)
    again = client.submit(FLOW, {"secret": "hunter2hunter2"}, key=KEY)
    failed = job(1, "FME_FAILURE", case.clock, result={"status": "FME_FAILURE", "statusMessage": "no hunter2hunter2"})
    case.vendor.on("GET", f"{JOBS}/id/1", (200, failed))
    assert again.refresh().message == "no ***"


def test_whoever_does_not_wait_leaves_an_uncertain_submission(case, monkeypatch):
    """A task that is cancelled, or Ctrl-C, with a request under way: nobody waits any more, so it may be asked."""

    def interrupted(*_, **__):
        raise KeyboardInterrupt

    client = case.client(which="sync")
    for owner in (HttpSession, AsyncHttpSession):
        monkeypatch.setattr(owner, "send", interrupted)
    with pytest.raises(KeyboardInterrupt):
        client.submit(FLOW, key=KEY)
    client.close()
    entry = case.journal().find(client.name, KEY)
    assert (entry.run_id, entry.uncertain) == (None, "whoever submitted it did not wait for the answer")


def test_whoever_does_not_wait_leaves_it_uncertain_without_a_journal_too(case, monkeypatch):
    """The client remembers: the same key again is refused, and sends nothing."""

    def interrupted(*_, **__):
        raise KeyboardInterrupt

    client = case.client(which="sync", journal=False)
    with monkeypatch.context() as patch:
        patch.setattr(HttpSession, "send", interrupted)
        with pytest.raises(KeyboardInterrupt):
            client.submit(FLOW, key=KEY)
    with pytest.raises(SubmissionUncertain, match=r"submitted before.*reconcile"):
        client.submit(FLOW, key=KEY)
    assert case.submissions() == 0


def test_a_payload_that_vanishes_is_no_uncertainty(case, tmp_path, monkeypatch):
    """A file that is gone when it is to be sent: nothing was submitted, the key is free, and the error says which."""
    payload = tmp_path / "data.gml"
    payload.write_text("x")
    client = case.client()
    intend = Journal.intend

    def then_gone(journal, intent):
        payload.unlink()
        return intend(journal, intent)

    monkeypatch.setattr(Journal, "intend", then_gone)
    options = SubmitOptions(extra={"payload_parameter": "SOURCE"})
    with pytest.raises(InvalidRequest, match=r"nothing was submitted: .*data.gml: No such file"):
        client.submit(FLOW, payload=payload, options=options, key=KEY)
    assert case.submissions() == 0
    assert case.journal().open_entries(client.name) == []


def test_the_path_of_a_payload_as_text_is_its_path(case, tmp_path):
    """What counts for a key is what is in the file: the same path is another submission when its content is another."""
    payload = tmp_path / "data.gml"
    payload.write_text("x")
    client = case.client()
    digest = client._operations.ledger._digest
    as_text, as_path = (digest(Submission(flow=FLOW, payload=given)) for given in (str(payload), payload))
    payload.write_text("y")
    assert as_text == as_path != digest(Submission(flow=FLOW, payload=str(payload)))


# A journal that fails


@pytest.mark.parametrize(
    ("answer", "expected"), [(LOST, SubmissionUncertain), ((422, {"message": "no"}), InvalidParameters)]
)
def test_what_went_wrong_with_a_submission_is_what_is_raised(case, monkeypatch, answer, expected):
    """That the journal cannot be written then is a note to it, and hides neither the error nor the handle."""
    client = case.client()

    def full(*_):
        raise JournalError("the disk is full")

    for name in ("uncertain", "refused"):
        monkeypatch.setattr(Journal, name, full)
    case.vendor.on("POST", SUBMIT, answer)
    with pytest.raises(expected) as caught:
        client.submit(FLOW, key=KEY)
    assert caught.value.__notes__ == ["This cannot be written into the journal: the disk is full"]
    handle = getattr(caught.value, "handle", None)
    assert (handle and handle.key) == (KEY if expected is SubmissionUncertain else None)


def test_recover_does_not_hide_a_journal_that_fails(case, monkeypatch):
    """A run that was found and cannot be written down is an error, with its reference."""
    client = case.client()
    case.uncertain(client, key=KEY)
    case.listing(job(4, "PULLED", case.clock, key=KEY))

    def full(*_):
        raise JournalError("the disk is full")

    monkeypatch.setattr(Journal, "accepted", full)
    with pytest.raises(JournalError, match="cannot be written into the journal") as caught:
        client.recover()
    assert caught.value.ref.id == "4"


def test_what_cannot_be_written_down_is_not_sent(case, monkeypatch):
    """The disk is full: nothing leaves."""
    client = case.client()

    def full(*_):
        raise JournalError("the disk is full")

    monkeypatch.setattr(Journal, "intend", full)
    with pytest.raises(JournalError, match="the disk is full"):
        client.submit(FLOW)
    assert case.vendor.requests == []


def test_an_id_that_cannot_be_written_down_is_told(case, monkeypatch):
    """The run is there: the error has its reference, and says so; the same key is not sent again."""
    client = case.client()

    def full(*_):
        raise JournalError("the disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(Journal, "accepted", full)
        with pytest.raises(JournalError, match=r"the vendor started run '1'.*the disk is full") as caught:
            client.submit(FLOW, key=KEY)
    assert (caught.value.ref.id, caught.value.ref.key) == ("1", KEY)
    with pytest.raises(SubmissionUncertain):
        client.submit(FLOW, key=KEY)
    assert case.submissions() == 1


def test_changes_that_cannot_be_written_down_are_told_once(case, monkeypatch, caplog):
    """Following goes on; the log says it once."""
    client = case.client()
    run = client.submit(FLOW, key=KEY)

    def full(*_):
        raise JournalError("the disk is full")

    monkeypatch.setattr(Journal, "changed", full)
    case.vendor.on("GET", f"{JOBS}/id/1", (200, job(1, "PULLED", case.clock)), (200, job(1, "SUCCESS", case.clock)))
    run.refresh()
    assert run.refresh().state is RunState.SUCCEEDED
    client.close()
    told = [record.getMessage() for record in caplog.records if record.name == "flowrunner.journal.writer"]
    assert told == ["how runs go is not written into the journal: the disk is full"]


def test_no_secret_is_written_down(case, vendor):
    """Neither the token, nor a value of a parameter, nor a word of the vendor's, who may repeat them."""
    case.vendor.on("POST", SUBMIT, (408, {"message": "hunter2hunter2 and s3cr3t-t0ken timed out"}))
    client = case.client()
    with pytest.raises(SubmissionUncertain):
        client.submit(FLOW, {"password": "hunter2hunter2"}, key=KEY)
    client.close()
    written = b"".join(file.read_bytes() for file in case.path.parent.iterdir())
    assert b"s3cr3t-t0ken" not in written
    assert b"hunter2" not in written
    assert case.journal().find(client.name, KEY).uncertain == "InvalidRequest, HTTP 408"


def test_a_refused_credential_starts_nothing(case):
    """401 leaves the key free."""
    case.vendor.on("POST", SUBMIT, (401, {"message": "no"}))
    client = case.client()
    with pytest.raises(AuthenticationError):
        client.submit(FLOW, key=KEY)
    assert case.journal().open_entries(client.name) == []


@pytest.mark.anyio
async def test_a_loop_that_is_being_shut_down(connected, tmp_path):
    """It has no threads any more: the journal is closed all the same."""
    journal = Journal.open(tmp_path / "journal.sqlite3")
    client = AsyncClient(connected(), journal=lambda: journal)
    assert await client.recover() == []
    await asyncio.get_running_loop().shutdown_default_executor()
    await client.close()
    with pytest.raises(JournalError, match="was closed"):
        journal.entries()
