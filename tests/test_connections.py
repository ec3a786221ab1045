"""Connections: each is lent to one request at a time, used again where that is safe, and never lost."""

import asyncio
import math

import httpx
import pytest

from flowrunner.http.connections import KEPT, AsyncConnections, Connections

GET = httpx.Request("GET", "http://vendor.example.com/", extensions={"timeout": {"pool": 0}})


class Content(httpx.SyncByteStream, httpx.AsyncByteStream):
    """Content that may break, or whose closing may."""

    def __init__(self, breaks=None):
        self._breaks = breaks

    def __iter__(self):
        yield b"a"
        if self._breaks == "read":
            raise httpx.ReadError("broken")

    async def __aiter__(self):
        for each in self:
            yield each

    def close(self):
        """It may break."""
        if self._breaks == "close":
            raise httpx.CloseError("broken")

    async def aclose(self):
        """As `close`."""
        self.close()


class Transport(httpx.BaseTransport, httpx.AsyncBaseTransport):
    """One connection; `breaks` says when."""

    def __init__(self, number, breaks):
        self.number, self.breaks, self.closed = number, breaks, False

    def handle_request(self, request):
        """Answer, or break."""
        if self.breaks == "send":
            raise httpx.ConnectError("broken")
        return httpx.Response(200, headers={"number": str(self.number)}, stream=Content(self.breaks))

    async def handle_async_request(self, request):
        """As `handle_request`."""
        return self.handle_request(request)

    def close(self):
        """Note it."""
        self.closed = True

    async def aclose(self):
        """As `close`."""
        self.close()


class Lender:
    """Connections of either kind, asked the same way."""

    def __init__(self, which, most=2, *, keep=True):
        self.opened, self.now, self.breaks = [], 0.0, None
        self._loop = asyncio.Runner() if which == "async" else None
        kind = Connections if self._loop is None else AsyncConnections
        self._connections = kind(self._open, most, lambda: self.now, keep=keep)

    def _open(self):
        if self.breaks == "open":
            raise ValueError("no such proxy")
        self.opened.append(Transport(len(self.opened), self.breaks))
        return self.opened[-1]

    def ask(self, request=GET):
        """The answer, its content not read."""
        if self._loop is None:
            return self._connections.handle_request(request)
        return self._loop.run(self._connections.handle_async_request(request))

    def read(self, answer):
        """Read it to its end, and close it."""
        try:
            if self._loop is None:
                answer.read()
            else:
                self._loop.run(answer.aread())
        finally:
            self.leave(answer)

    def leave(self, answer):
        """Close it unread."""
        if self._loop is None:
            answer.close()
        else:
            self._loop.run(answer.aclose())

    def close(self):
        """Close all connections."""
        if self._loop is None:
            self._connections.close()
        else:
            self._loop.run(self._connections.aclose())

    @property
    def state(self):
        """Which are open."""
        return [each.number for each in self.opened if not each.closed]


@pytest.fixture(params=["sync", "async"])
def lender(request):
    """Makes connections of the kind."""
    made = []

    def make(*arguments, **more):
        made.append(Lender(request.param, *arguments, **more))
        return made[-1]

    yield make
    for each in made:
        if each._loop is not None:
            each._loop.close()


def test_the_last_one_used_is_used_again(lender):
    """One request after the other uses one connection; two at once use two, and the one left last comes first."""
    some = lender()
    some.read(some.ask())
    first, second = some.ask(), some.ask()
    assert [first.headers["number"], second.headers["number"]] == ["0", "1"]
    some.read(second)
    some.read(first)
    assert some.ask().headers["number"] == "0"
    assert some.state == [0, 1]


def test_nobody_waits_for_longer_than_a_request_may(lender):
    """Where all are in use until a request has waited for too long, it fails, and was not sent."""
    some = lender(1)
    answer = some.ask()
    with pytest.raises(httpx.PoolTimeout, match="in use for too long"):
        some.ask()
    some.read(answer)
    assert some.ask().headers["number"] == "0"


def test_a_request_may_wait_for_ever(lender):
    """Also if that is said as a number."""
    patient = httpx.Request("GET", GET.url, extensions={"timeout": {"pool": math.inf}})
    some = lender(1)
    some.read(some.ask(patient))
    assert some.ask(patient).headers["number"] == "0"


def test_one_that_was_not_read_to_its_end_is_closed(lender):
    """What is left of an answer would be taken for the next one: its connection is closed, and its place free."""
    some = lender(1)
    some.leave(some.ask())
    assert some.state == []
    assert some.ask().headers["number"] == "1"


@pytest.mark.parametrize("breaks", ["send", "read", "close"])
def test_a_broken_one_is_closed(lender, breaks):
    """However a request fails, its connection is closed and its place is free."""
    some = lender(1)
    some.breaks = breaks
    with pytest.raises(httpx.TransportError, match="broken"):
        some.read(some.ask())
    assert some.state == []
    some.breaks = None
    assert some.ask().headers["number"] == "1"


def test_one_that_cannot_be_opened_takes_no_place(lender):
    """An error of opening comes out as it is, and the next request has the place."""
    some = lender(1)
    some.breaks = "open"
    with pytest.raises(ValueError, match="no such proxy"):
        some.ask()
    some.breaks = None
    assert some.ask().headers["number"] == "0"


def test_one_that_nobody_used_for_long_is_closed(lender):
    """What was idle for longer than `KEPT` seconds is closed as soon as another connection becomes idle."""
    some = lender()
    first, second = some.ask(), some.ask()
    some.read(first)
    some.now = KEPT + 1
    some.read(second)
    assert some.state == [1]


def test_each_of_its_own(lender):
    """Where connections are not kept, each request has one of its own, closed after it."""
    some = lender(keep=False)
    some.read(some.ask())
    some.read(some.ask())
    assert len(some.opened) == 2
    assert some.state == []


def test_closing_waits_for_nobody(lender):
    """Closing closes what is idle at once, and what is in use when it is not any more."""
    some = lender()
    first, second = some.ask(), some.ask()
    some.read(first)
    some.close()
    assert some.state == [1]
    some.read(second)
    assert some.state == []
