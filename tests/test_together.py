"""Many runs at once: `as_completed`, `wait_all` and `map`, on both clients, over a V4 server that keeps its books."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from functools import partial
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from flowrunner import events
from flowrunner.backend import Sighting
from flowrunner.backends.fme_flow_v4 import FmeFlowV4
from flowrunner.client import AsyncClient
from flowrunner.enums import RunState
from flowrunner.errors import (
    AuthenticationError,
    ContactLost,
    FlowrunnerError,
    InvalidRequest,
    ProtocolError,
    SubmissionUncertain,
    TransportError,
    VendorError,
    WaitTimeout,
)
from flowrunner.http.scripted import AsyncScriptedSession
from flowrunner.models import RunRef, SubmitOptions
from flowrunner.operations import rounds
from flowrunner.plans import Page, Response

START = datetime(2025, 1, 1, 12, tzinfo=UTC)
FLOW = "Samples/x.fmw"
FINAL = ("success", "failure", "cancelled")


class Server:
    """A V4 server: its jobs by id, each with its word; lists in pages of at most 1,000."""

    def __init__(self, vendor, clock):
        self.vendor, self.clock, self.jobs, self.ends = vendor, clock, {}, {}
        self.lists, self.looks, self.hidden = [], [], set()
        vendor.on("POST", "/jobs", self.submit)
        vendor.on("GET", "/jobs", self.list)

    def submit(self, _request):
        """Take a submission."""
        number = len(self.jobs) + 1
        self.start(number)
        return 202, {"id": number}

    def start(self, number, ends_after=None, word="success"):
        """A job that runs, and ends after so many seconds."""
        self.jobs[number] = None if ends_after is None else (self.clock.monotonic() + ends_after, word)
        self.vendor.on("GET", f"/jobs/{number}", lambda _: self.look(number))
        self.vendor.on("GET", f"/jobs/{number}/result", 404)

    def word(self, number):
        """How a job stands now."""
        end = self.jobs[number]
        return end[1] if end is not None and end[0] <= self.clock.monotonic() else "running"

    def record(self, number):
        """A job's record."""
        word = self.word(number)
        ended = (START + timedelta(seconds=self.jobs[number][0])).isoformat() if word in FINAL else None
        return {"id": number, "status": word, "repository": "Samples", "workspace": "x.fmw", "timeFinished": ended}

    def look(self, number):
        """Answer a look at one job."""
        self.looks.append(number)
        return 200, self.record(number)

    def list(self, request):
        """Answer with a page."""
        query = parse_qs(urlsplit(str(request.url)).query)
        self.lists.append(query)
        shown = [n for n in sorted(self.jobs, reverse=True) if self.word(n) in query["status"] and n not in self.hidden]
        if query["status"][0] in FINAL:
            shown.sort(key=lambda number: -self.jobs[number][0])
        offset, limit = int(query["offset"][0]), min(int(query["limit"][0]), 1000)
        items = [self.record(number) for number in shown[offset : offset + limit]]
        return 200, {"items": items, "limit": limit, "offset": offset, "totalCount": len(shown)}


class Case:
    """A client and its server."""

    def __init__(self, open_client, vendor, clock):
        self.server, self.clock, self.vendor = Server(vendor, clock), clock, vendor
        self.open, self.events = open_client, []

    def client(self, **settings):
        """A client."""
        settings = {"check_parameters": False, "max_long_polls": 0, "poll_min": 1.0, "retries": 0, **settings}
        return self.open(on_event=self.events.append, **settings)

    def runs(self, client, *ends):
        """Runs that end after so many seconds each; None is never."""
        for number, end in enumerate(ends, start=1):
            self.server.start(number, end)
        refs = [RunRef(client.name, client.backend, FLOW, str(n)) for n in range(1, len(ends) + 1)]
        return [client.attach(ref) for ref in refs]


@pytest.fixture
def case(open_client, vendor, clock):
    """A client and its server."""
    return Case(open_client, vendor, clock)


def plain(client, runs):
    """The runs as the client itself has them: those of an AsyncClient have a face that blocks."""
    return [getattr(run, "target", run) for run in runs]


# as_completed


def test_runs_come_in_the_order_in_which_they_end(case):
    """The first to end is the first to come, and no details are fetched."""
    client = case.client()
    runs = case.runs(client, 30, 10, 20)
    order = [run.id for run in client.as_completed(plain(client, runs))]
    assert order == ["2", "3", "1"]
    assert {run.status.state for run in runs} == {RunState.SUCCEEDED}
    assert case.vendor.asked("GET", "/jobs/1/result") == []


def test_few_runs_are_looked_at_one_by_one(case):
    """Up to twenty take a look each, and no list."""
    client = case.client()
    client.wait_all(plain(client, case.runs(client, *[5] * 20)))
    assert case.server.lists == []


def test_many_runs_take_pages(case):
    """A thousand and more take two pages a round, whatever their number; none is looked at by itself."""
    client = case.client()
    runs = case.runs(client, *[100] * 1500)
    done = client.wait_all(plain(client, runs))
    rounds = sum(query["offset"] == ["0"] and "queued" in query["status"] for query in case.server.lists)
    assert len(done) == 1500
    assert case.server.looks == []
    assert rounds > 5
    # Two pages a round of what is live, and in the last one a page that shows that nothing is, and two of what ended.
    assert len(case.server.lists) <= 2 * rounds + 2
    assert case.server.lists[0]["limit"] == ["1000"]


@pytest.mark.parametrize("hidden", [{7}, set(range(3, 8))])
def test_what_no_list_shows_is_looked_at(case, hidden):
    """A run that a list hides is asked for by itself, and its end is seen."""
    client = case.client()
    runs = case.runs(client, *[50] * 30)
    case.server.hidden = hidden
    for number in range(31, 1600):
        case.server.start(number, -number)
    client.wait_all(plain(client, runs))
    assert set(case.server.looks) == hidden
    assert runs[6].status.state is RunState.SUCCEEDED


def test_a_list_of_others_has_an_end(case, monkeypatch):
    """Of a list that is full of other runs, so many pages are read; whatever they do not show is looked at."""
    monkeypatch.setattr(rounds, "PAGES", 2)
    client = case.client()
    runs = case.runs(client, *[100] * 30)
    for number in range(31, 2531):
        case.server.start(number)
    done = client.wait_all(plain(client, runs))
    assert {result.status.state for result in done} == {RunState.SUCCEEDED}
    assert {query["offset"][0] for query in case.server.lists} == {"0", "1000"}
    assert sorted(set(case.server.looks)) == list(range(1, 31))


def test_what_has_ended_is_read_until_known_ground(case):
    """A page of what ended last, however long the list is: what ended before the last round was seen then."""
    client = case.client()
    runs = case.runs(client, *[20 + 10 * (n // 6) for n in range(60)])
    for number in range(61, 3061):
        case.server.start(number, -number)
    client.wait_all(plain(client, runs))
    pages = [query["offset"][0] for query in case.server.lists if "success" in query["status"]]
    assert set(pages) == {"0"}
    assert len(pages) < 12
    assert set(case.server.looks) <= set(range(41, 61))  # the last ones, when they are few


def test_the_pages_of_what_has_ended_are_read_while_that_pays(case, monkeypatch):
    """Whoever waits for a thousand runs that ended long ago has them in pages; there is an end to that, too."""
    client = case.client()
    runs = case.runs(client, *[-n for n in range(2500)])
    client.wait_all(plain(client, runs))
    assert [query["offset"][0] for query in case.server.lists if "success" in query["status"]] == ["0", "1000", "2000"]
    assert case.server.looks == []
    monkeypatch.setattr(rounds, "PAGES", 2)
    case.server.lists.clear()
    again = [client.attach(run.ref) for run in runs]
    client.wait_all(plain(client, again))
    assert len([query for query in case.server.lists if "success" in query["status"]]) == 2
    assert len(case.server.looks) == 500


@pytest.mark.parametrize("error", [ProtocolError("odd"), InvalidRequest("another key's")])
def test_an_odd_run_in_a_list_is_of_no_matter_to_the_others(case, monkeypatch, error):
    """What cannot be read of one is asked for by itself; what ends the wait for it ends no other."""
    client = case.client()
    runs = case.runs(client, *[50] * 30)
    observe_many = FmeFlowV4.observe_many

    def odd(backend, **more):
        page = yield from observe_many(backend, **more)
        return Page(tuple(spoilt(each) if each.id == "7" else each for each in page.items), page.next)

    def spoilt(sighting):
        return Sighting("7", sighting.word, read=lambda: raising(error))

    def raising(error):
        raise error

    monkeypatch.setattr(FmeFlowV4, "observe_many", odd)
    came, wrong = [], []
    try:
        came.extend(run.id for run in client.as_completed(plain(client, runs)))
    except FlowrunnerError as raised:
        wrong.append((type(raised), raised.ref.id))
    if isinstance(error, ProtocolError):
        assert (len(came), wrong, set(case.server.looks)) == (30, [], {7})
    else:
        assert (came, wrong, case.server.looks) == ([], [(InvalidRequest, "7")], [])


def test_what_others_ran_may_be_unreadable(case, monkeypatch):
    """The list of what has ended is read on by what it shows of times, and not where it shows none."""
    client = case.client()
    runs = case.runs(client, *[5] * 30)
    observe_many = FmeFlowV4.observe_many

    def unreadable():
        raise ProtocolError("odd")

    def odd(backend, **more):
        page = yield from observe_many(backend, **more)
        strange = Sighting("9999", "success", read=unreadable)
        return Page((strange, *page.items, strange), page.next)

    monkeypatch.setattr(FmeFlowV4, "observe_many", odd)
    assert len(client.wait_all(plain(client, runs))) == 30


def test_lists_that_may_not_be_read(case):
    """A credential that may look at its own runs, and list none, follows them all the same; it is said once."""
    client = case.client()
    runs = case.runs(client, *[50] * 30)
    case.vendor.on("GET", "/jobs", (403, {"message": "no lists for you"}))
    client.wait_all(plain(client, runs))
    assert {run.status.state for run in runs} == {RunState.SUCCEEDED}
    (notice,) = [event for event in case.events if isinstance(event, events.Notice)]
    assert "each is looked at: the credential may not do this: no lists for you" in notice.description
    assert len(case.vendor.asked("GET", "/jobs")) == 1


def test_lists_that_show_none_of_them_are_left_alone(case):
    """A user who may not list others' jobs has each looked at, and the lists asked for once."""
    client = case.client()
    runs = case.runs(client, *[50] * 30)
    case.server.hidden = set(range(1, 31))
    client.wait_all(plain(client, runs))
    assert len(case.server.lists) == 2
    assert len(set(case.server.looks)) == 30


def test_one_of_two_handles_on_a_run_is_not_lost(case):
    """The same run twice, and two objects of the same run: each comes."""
    client = case.client()
    (run,) = case.runs(client, 5)
    twin = client.attach(run.ref)
    target, other = plain(client, [run, twin])
    assert [each.id for each in client.as_completed([target, other, target])] == ["1", "1", "1"]


def test_runs_that_have_ended_come_at_once(case):
    """Nothing is asked about them."""
    client = case.client()
    runs = case.runs(client, 0)
    runs[0].refresh()
    asked = len(case.vendor.requests)
    assert [run.id for run in client.as_completed(plain(client, runs))] == ["1"]
    assert len(case.vendor.requests) == asked
    assert client.wait_all([]) == []


def test_a_run_that_nobody_has_ever_seen_comes(case):
    """The vendor denies it: it does not keep the others from coming."""
    client = case.client()
    runs = case.runs(client, 5, 10)
    gone = 404, {"message": 'The job for ID "1" does not exist.'}
    case.vendor.on("GET", "/jobs/1", gone)
    assert [run.id for run in client.as_completed(plain(client, runs))] == ["1", "2"]
    assert runs[0].status.state is RunState.UNKNOWN


def test_the_time_is_up(case):
    """WaitTimeout says how many are open; all that ended has come before; waiting again goes on."""
    client = case.client()
    runs = plain(client, case.runs(client, 5, None, None))
    came = []
    with pytest.raises(WaitTimeout, match="2 runs have not ended within 20 s"):
        came.extend(run.id for run in client.as_completed(runs, timeout=timedelta(seconds=20)))
    assert case.clock.monotonic() == pytest.approx(20, abs=0.01)
    with pytest.raises(WaitTimeout):
        client.wait_all(runs, timeout=0)
    with pytest.raises(WaitTimeout, match="1 run has not ended within 0 s: wait again"):
        client.wait_all(runs[-1:], timeout=0)


def test_a_failed_look_is_not_the_end_of_it(case):
    """A run whose record cannot be read for a while is looked at again; the others go on meanwhile."""
    client = case.client()
    runs = case.runs(client, 30, 5)
    broken = [(500, {"message": "down"})] * 3
    case.vendor.on("GET", "/jobs/1", *broken, lambda _: case.server.look(1))
    assert [run.id for run in client.as_completed(plain(client, runs))] == ["2", "1"]
    kinds = [type(event) for event in case.events if isinstance(event, events.ContactFailed | events.ContactRestored)]
    assert kinds == [events.ContactFailed] * 3 + [events.ContactRestored]


@pytest.mark.parametrize("count", [2, 30])
def test_contact_that_stays_lost(case, count):
    """After the budget it is ContactLost, of one run or of the lists; the runs are as they were."""
    client = case.client(contact_budget=30)
    runs = case.runs(client, *[None] * count)
    for path in ("/jobs", *(f"/jobs/{number}" for number in range(1, count + 1))):
        case.vendor.on("GET", path, httpx.ConnectError("refused"))
    with pytest.raises(ContactLost, match="wait again") as caught:
        client.wait_all(plain(client, runs))
    assert isinstance(caught.value.__cause__, TransportError)
    assert {run.status.state for run in runs} == {RunState.UNKNOWN}


def test_a_page_that_is_given_up_for_a_short_wait_is_no_lost_contact(case, mode):
    """The vendor had more time left: those who wait longer do not hear of it."""
    client = case.client(timeout=60)
    runs = case.runs(client, *[40] * 30)
    answers = [httpx.ReadTimeout("no answer"), case.server.list]
    case.vendor.on("GET", "/jobs", *answers)
    with pytest.raises(WaitTimeout):
        client.wait_all(plain(client, runs), timeout=5)
    assert not [event for event in case.events if isinstance(event, events.ContactFailed)]


def test_lists_that_fail_for_a_while(case):
    """The round is repeated, and nothing is lost."""
    client = case.client()
    runs = case.runs(client, *[40] * 30)
    case.vendor.on("GET", "/jobs", 502, 502, case.server.list)
    assert len(client.wait_all(plain(client, runs))) == 30
    kinds = [type(event) for event in case.events if isinstance(event, events.ContactFailed | events.ContactRestored)]
    assert kinds == [events.ContactFailed] * 2 + [events.ContactRestored]


@pytest.mark.parametrize("count", [2, 30])
def test_a_refused_credential_ends_it(case, count):
    """Looking again cannot mend that."""
    client = case.client()
    runs = case.runs(client, *[None] * count)
    for path in ("/jobs", "/jobs/1"):
        case.vendor.on("GET", path, (401, {"message": "no"}))
    with pytest.raises(AuthenticationError):
        client.wait_all(plain(client, runs))


def test_runs_of_others_are_refused(case):
    """Those of another client, and those without an id, before anything is asked."""
    client, other = case.client(), case.client()
    with pytest.raises(InvalidRequest, match="belongs to another client"):
        client.as_completed(plain(other, case.runs(other, 5)))
    with pytest.raises(InvalidRequest, match="has no id"):
        client.as_completed(plain(client, [client.attach(RunRef(client.name, client.backend, FLOW))]))
    with pytest.raises(InvalidRequest, match="one of the runs is of type str: give what submit returned, or"):
        client.as_completed(["flowrunner:1:a:b:c:5"])
    assert case.vendor.requests == []


# map


def sets(count):
    """So many sets of parameters."""
    return [{"n": str(number)} for number in range(count)]


def submitting(case, duration):
    """Have the server start runs that take as long as the function says of their parameter."""

    def submit(request):
        number = len(case.server.jobs) + 1
        given = json.loads(request.content)["publishedParameters"]["n"]
        case.server.start(number, duration(int(given)))
        return 202, {"id": number}

    case.vendor.on("POST", "/jobs", submit)


def test_each_set_is_an_item(case):
    """In the order in which they end, with its place and its parameters."""
    submitting(case, lambda n: 30 - 10 * n)
    items = list(case.client().map(FLOW, sets(3)))
    assert [(item.index, item.parameters, item.error) for item in items] == [
        (2, {"n": "2"}, None), (1, {"n": "1"}, None), (0, {"n": "0"}, None),
    ]  # fmt: skip
    assert {item.run.status.state for item in items} == {RunState.SUCCEEDED}


def test_options_and_keys_of_sets(case):
    """Options are those of each run; the key is made of place and set. The same key again is the same run."""
    submitting(case, lambda _: 10)
    client, asked = case.client(), []

    def key(index, parameters):
        asked.append((index, dict(parameters)))
        return f"night-{parameters['n']}"

    arguments = {"options": SubmitOptions(queue="Night"), "key": key}
    first, again = ({item.index: item.run.ref for item in client.map(FLOW, sets(3), **arguments)} for _ in range(2))
    assert [ref.key for _, ref in sorted(first.items())] == ["night-0", "night-1", "night-2"]
    assert first == again
    assert asked == [(index, {"n": str(index)}) for index in range(3)] * 2
    bodies = [json.loads(each.content) for each in case.vendor.requests if each.method == "POST"]
    assert [body["queue"] for body in bodies] == ["Night"] * 3


def test_sets_of_one_key_share_a_run(case):
    """And each has its item all the same."""
    submitting(case, lambda _: 10)
    items = list(case.client().map(FLOW, [{"n": "1"}] * 3, key=lambda _index, _set: "night"))
    assert sorted(item.index for item in items) == [0, 1, 2]
    assert [item.error for item in items] == [None] * 3
    assert len({item.run.ref for item in items}) == len(case.server.jobs) == 1


def test_so_many_at_a_time(case):
    """A set is taken when there is room for its run, and not before."""
    taken, most = [], []
    submitting(case, lambda _: 10)

    def counted():
        for each in sets(10):
            live = sum(case.server.word(number) == "running" for number in case.server.jobs)
            most.append(live)
            taken.append(each)
            yield each

    items = case.client().map(FLOW, counted(), max_in_flight=3)
    assert taken == []
    next(items)
    assert len(taken) == 3
    assert len(list(items)) == 9
    assert max(most) <= 2


def test_submissions_overlap(connected):
    """On a loop, runs are started while others are being started: as many as there are connections, and room."""
    under_way, most, jobs = [], [], {}

    async def answer(sent):
        if sent.method == "POST":
            under_way.append(sent)
            most.append(len(under_way))
            await asyncio.sleep(0.05)
            under_way.remove(sent)
            jobs[len(jobs) + 1] = "success"
            return Response(202, {}, json.dumps({"id": len(jobs)}).encode())
        number = int(sent.url.split("/jobs/")[1].split("/")[0])
        return Response(200, {}, json.dumps({"id": number, "status": jobs[number]}).encode())

    async def main(**more):
        connection = connected(check_parameters=False, poll_min=0.01, **more)
        session = partial(AsyncScriptedSession, answer=answer)
        async with AsyncClient(connection, session=session) as client:
            return [item.index async for item in client.map(FLOW, sets(12), max_in_flight=6)]

    assert sorted(asyncio.run(main())) == list(range(12))
    assert max(most) == 6
    most.clear()
    asyncio.run(main(max_connections=3))
    assert max(most) == 3


def test_a_submission_that_is_under_way_comes_to_its_end(connected):
    """Whoever is cancelled, or takes no more items, cuts none: what was started would be uncertain."""
    arrived, answered, first = [], [], asyncio.Event()

    async def answer(sent):
        arrived.append(sent)
        first.set()
        await asyncio.sleep(0.01)
        answered.append(sent)
        return Response(202, {}, json.dumps({"id": len(answered)}).encode())

    async def main():
        connection = connected(check_parameters=False)
        async with AsyncClient(connection, session=partial(AsyncScriptedSession, answer=answer)) as client:
            items = client.map(FLOW, sets(20), max_in_flight=2)
            task = asyncio.ensure_future(anext(items))
            await first.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    asyncio.run(main())
    assert len(answered) == len(arrived) <= 2


def test_sets_that_cannot_be_taken(case):
    """What the caller's own iterable raises reaches the caller; what was started goes on."""
    submitting(case, lambda _: 5)

    def broken():
        yield {"n": "1"}
        raise ZeroDivisionError("mine")

    with pytest.raises(ZeroDivisionError):
        list(case.client().map(FLOW, broken()))
    assert len(case.server.jobs) == 1


def test_asynchronous_sets(case, mode):
    """An AsyncClient takes those that come asynchronously, too."""
    if mode == "sync":
        pytest.skip("a Client has no loop to wait on")
    submitting(case, lambda _: 5)

    async def coming():
        for each in sets(3):
            yield each

    assert sorted(item.index for item in case.client().map(FLOW, coming())) == [0, 1, 2]


def test_a_set_that_is_refused_is_an_item(case):
    """With the error, and without a run; the others go on."""
    submitting(case, lambda _: 5)
    good = case.vendor._routes["POST", "/jobs"][0]

    def submit(request):
        return (422, {"message": "no"}) if b'"1"' in request.content else good(request)

    case.vendor.on("POST", "/jobs", submit)
    items = {item.index: item for item in case.client().map(FLOW, sets(3))}
    assert (items[1].run, type(items[1].error).__mro__[1].__name__) == (None, "InvalidRequest")
    assert [items[index].error for index in (0, 2)] == [None, None]


def test_an_uncertain_set_is_an_item_with_a_handle(case):
    """Its run is SUBMITTING, without an id; it is not sent again."""
    case.vendor.on("POST", "/jobs", httpx.ReadTimeout("no answer"))
    (item,) = case.client().map(FLOW, sets(1))
    assert isinstance(item.error, SubmissionUncertain)
    assert (item.run.id, item.run.status.state) == (None, RunState.SUBMITTING)
    assert len(case.vendor.asked("POST", "/jobs")) == 1


def test_contact_that_is_lost_gives_every_run_as_an_item(case):
    """Those under way come with the error, and their runs; nothing raises."""
    submitting(case, lambda _: None)
    client = case.client(contact_budget=20)
    items = client.map(FLOW, sets(2))
    for number in (1, 2):
        case.vendor.on("GET", f"/jobs/{number}", (503, {"message": "down"}))
    case.server.start = lambda number, *_: case.server.jobs.setdefault(number, None)
    found = list(items)
    assert sorted(item.index for item in found) == [0, 1]
    assert {type(item.error) for item in found} == {ContactLost}
    assert all(item.run.id for item in found)
    assert isinstance(found[0].error.__cause__, VendorError)


def test_nothing_to_do(case):
    """No sets, no items; and a limit that makes no sense is refused at once."""
    client = case.client()
    assert list(client.map(FLOW, [])) == []
    with pytest.raises(InvalidRequest, match="max_in_flight must be 1 or more, not 0"):
        client.map(FLOW, sets(1), max_in_flight=0)
    with pytest.raises(InvalidRequest, match="max_in_flight must be 1 or more, not '8'"):
        client.map(FLOW, sets(1), max_in_flight="8")
    with pytest.raises(InvalidRequest, match="key is a function"):
        client.map(FLOW, sets(1), key="k")
    for single in ({"n": "1"}, "n=1"):
        with pytest.raises(InvalidRequest, match=r"a mapping for each run.*cannot be of type (dict|str)"):
            client.map(FLOW, single)
    with pytest.raises(InvalidRequest, match=r"options are SubmitOptions.*cannot be of type dict"):
        client.map(FLOW, sets(1), options={"tag": "x"})


def test_a_set_that_is_none_is_an_item(case):
    """One of the wrong type is refused as the others are, and does not show what it holds."""
    submitting(case, lambda _: 5)
    bad, good = sorted(case.client().map(FLOW, ["secret=x", {"n": "1"}]), key=lambda item: item.index)
    assert (type(bad.error), good.error, bad.run) == (InvalidRequest, None, None)
    assert "map names to values" in str(bad.error)
    assert "secret" not in str(bad.error)


def test_whoever_stops_taking_items_stops_starting_runs(case, mode):
    """What was started goes on; the next set is not taken."""
    if mode == "async":
        pytest.skip("closing an asynchronous generator is its own test of Python's")
    submitting(case, lambda _: 5)
    items = case.client().map(FLOW, sets(10), max_in_flight=2)
    next(items)
    items.close()
    assert len(case.server.jobs) == 2
