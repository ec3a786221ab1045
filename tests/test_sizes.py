"""Answers without end, over real sockets: each is an error, or comes in parts, and little of it is in memory."""

import gzip
import re
import socket
import threading
import tracemalloc
import zlib
from contextlib import contextmanager, suppress
from itertools import chain, islice, repeat

import pytest

from flowrunner.backend import Capability
from flowrunner.backends.fme_flow_v4 import FmeFlowV4
from flowrunner.clock import SystemClock
from flowrunner.errors import ProtocolError, TransportError
from flowrunner.http import bodies
from flowrunner.models import RunRef
from flowrunner.plans import Request, send

GET = Request("GET", "/x")
LOG = Request("GET", "/log", stream=True)
MIB = 2**20


class Logging(FmeFlowV4):
    """A backend with a log, at one address."""

    capabilities = FmeFlowV4.capabilities | {Capability.LOGS}

    def logs(self, ref):
        """The lines at that address."""
        return (yield from send(LOG)).lines


@contextmanager
def serving(*head, body=(), end=b"\r\n"):
    """A server that answers once a connection: the lines of the head, then pieces until nobody reads any more."""
    listener, connections = socket.create_server(("127.0.0.1", 0)), []
    start = "".join(f"{line}\r\n" for line in ("HTTP/1.1 200 OK", "Connection: close", *head)).encode() + end

    def serve():
        with suppress(OSError):
            while True:
                connections.append(listener.accept()[0])
                with connections[-1] as connection, suppress(OSError):
                    connection.recv(65536)
                    for piece in chain([start], body() if callable(body) else body):
                        connection.sendall(piece)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        for each in (listener, *connections):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        thread.join()
        listener.close()


@contextmanager
def peak():
    """Bytes that were in use more than at the beginning, at most; a list of one."""
    tracemalloc.start()
    found = [0]
    try:
        before = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        yield found
        found[0] = tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()


@pytest.fixture
def ask(open_client):
    """Send a request to an address."""

    def asking(url, request=GET, **settings):
        client = open_client(base_url=url, clock=SystemClock(), **settings)
        return client._session.send(request, retry=False)

    return asking


@pytest.fixture
def lines_of(open_client, connected):
    """The log at an address."""

    def reading(url):
        client = open_client(connected(url, backend=Logging), clock=SystemClock())
        return client.attach(RunRef(client.name, "fme-flow-v4", "a/b", "1")).logs()

    return reading


def endless(piece):
    """A body of that piece, again and again."""
    return lambda: repeat(piece)


def chunked(piece):
    """A chunk of a body of unknown length."""
    return b"%x\r\n%b\r\n" % (len(piece), piece)


# Answers that are read into memory


@pytest.mark.parametrize("head", ["Content-Length: 2147483648", "X-Nothing: said", "Transfer-Encoding: chunked"])
def test_an_answer_of_two_gigabytes(ask, monkeypatch, head):
    """Declared or not, what is larger than the bound is an error, and not much more than the bound is read."""
    monkeypatch.setattr(bodies, "MAX_BODY", 4 * MIB)
    piece = b" " * 65536
    body = endless(chunked(piece) if "chunked" in head else piece)
    with serving(head, body=body) as url, peak() as used, pytest.raises(ProtocolError, match="larger than 4 MiB"):
        ask(url)
    assert used[0] < 16 * MIB


def test_an_answer_of_tiny_pieces(ask, monkeypatch):
    """Pieces of two bytes take no more memory than what is in them."""
    monkeypatch.setattr(bodies, "MAX_BODY", MIB // 32)
    with serving("Transfer-Encoding: chunked", body=endless(chunked(b"  ") * 999)) as url:
        with pytest.raises(ProtocolError):  # what is loaded and made at the first request stays
            ask(url)
        with peak() as used, pytest.raises(ProtocolError, match="larger than"):
            ask(url)
    assert used[0] < MIB // 2


@pytest.mark.parametrize("coding", ["gzip", "x-gzip", "deflate", "GZip"])
def test_a_packed_answer(ask, coding):
    """What a server packs unasked is unpacked, in pieces of any size."""
    content = bytes(range(256)) * 5000
    packed = zlib.compress(content) if coding == "deflate" else gzip.compress(content)
    pieces = [chunked(packed[start : start + 7]) for start in range(0, len(packed), 7)]
    with serving(f"Content-Encoding: {coding}", "Transfer-Encoding: chunked", body=[*pieces, b"0\r\n\r\n"]) as url:
        assert content == ask(url).content


def bomb(size):
    """A packed body that is so large once it is unpacked."""
    packer = zlib.compressobj(9, wbits=31)
    for _ in range(size // MIB):
        yield packer.compress(b" " * MIB)
    yield packer.flush()


def test_a_bomb(ask, monkeypatch):
    """What counts is the size once it is unpacked; what a few packed bytes stand for is not unpacked at once."""
    monkeypatch.setattr(bodies, "MAX_BODY", 4 * MIB)
    packed = b"".join(bomb(256 * MIB))
    head = ("Content-Encoding: gzip", f"Content-Length: {len(packed)}")
    with serving(*head, body=[packed]) as url, peak() as used, pytest.raises(ProtocolError, match="larger than"):
        ask(url)
    assert used[0] < 16 * MIB


def test_a_bomb_in_a_file(ask, tmp_path):
    """A download that is packed goes to its file piece by piece."""
    packed = b"".join(bomb(64 * MIB))
    head = ("Content-Encoding: gzip", f"Content-Length: {len(packed)}")
    with serving(*head, body=[packed]) as url, peak() as used:
        ask(url, Request("GET", "/x", save_to=tmp_path / "x"))
    assert (tmp_path / "x").stat().st_size == 64 * MIB
    assert used[0] < 8 * MIB


@pytest.mark.parametrize("coding", ["gzip, gzip", "br", "zstd", "x"])
def test_an_answer_packed_as_nobody_asked(ask, coding):
    """A packing that could hide any size, or that we cannot undo, is refused."""
    head, refused = (f"Content-Encoding: {coding}", "Content-Length: 2"), re.escape(repr(coding))
    with serving(*head, body=[b"{}"]) as url, pytest.raises(ProtocolError, match=refused):
        ask(url)


PACKED = gzip.compress(b"{}" * 99, mtime=0)


@pytest.mark.parametrize(
    ("packed", "problem"),
    [
        (b"no gzip at all", "cannot be unpacked"),
        (PACKED[:-4], "ends before its end"),
        (PACKED + b"more", "goes on after its end"),
    ],
)
def test_an_answer_that_cannot_be_unpacked(ask, packed, problem):
    """Damage on the way is no answer."""
    head = ("Content-Encoding: gzip", f"Content-Length: {len(packed)}")
    with serving(*head, body=[packed]) as url, pytest.raises(TransportError, match=problem):
        ask(url)


def test_nothing_is_nothing_however_it_is_packed(ask):
    """An answer without a body is one, whatever its head says."""
    with serving("Content-Encoding: gzip", "Content-Length: 0") as url:
        assert ask(url).content == b""


# Heads


@pytest.mark.parametrize("piece", [b"X-More: x\r\n" * 99, b"x" * 4096])
def test_a_head_without_end(ask, piece):
    """A head of any number of lines, or of one without end, is no answer."""
    server = serving(body=endless(piece), end=b"X-First: ")
    with server as url, peak() as used, pytest.raises(TransportError, match="no answer"):
        ask(url)
    assert used[0] < 8 * MIB


# Lines


def test_a_line_without_end(lines_of, monkeypatch):
    """A line of any length is handed out in parts, of which one is in memory."""
    monkeypatch.setattr(bodies, "MAX_LINE", 2**18)
    with serving("Content-Type: text/plain", body=endless(b"x" * 65536)) as url:
        lines = lines_of(url)
        with peak() as used:
            lengths = [len(line) for line in islice(lines, 40)]
    assert min(lengths) >= 2**18
    assert max(lengths) < 2**18 + 2**17
    assert used[0] < 16 * MIB


@pytest.mark.parametrize("size", [1, 2, 3, 100])
@pytest.mark.parametrize(
    ("charset", "text"),
    [
        ("utf-8", "a\r\nø\r\r\n\nå\u2028b\x0clast\r"),
        ("utf-16", "a\r\nø\n"),
        ("latin-1", "ø\r\nå"),
        ("zip", "ø\nå"),
        ("undefined", "ø"),
        ("nowhere", "ø"),
        ("a\0b", "ø"),
        ("utf-8", ""),
    ],
)
def test_lines_in_pieces(lines_of, charset, text, size):
    """However a text is cut on its way, and whatever its encoding claims to be, its lines are the same."""
    encoded = text.encode(charset if charset.startswith(("utf", "latin")) else "utf-8")
    pieces = [chunked(encoded[start : start + size]) for start in range(0, len(encoded), size)]
    head = f"Content-Type: text/plain; charset={charset}".replace("\0", "")
    with serving(head, "Transfer-Encoding: chunked", body=[*pieces, b"0\r\n\r\n"]) as url:
        assert list(lines_of(url)) == text.splitlines()
