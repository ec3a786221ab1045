"""Files to the vendor and back, over real sockets: whole or not at all, in little memory, without blocking."""

import asyncio
import errno
import hashlib
import logging
import os
import re
import socket
import sys
import threading
import tracemalloc
import zipfile
from contextlib import suppress
from pathlib import Path

import pytest

from flowrunner.client import AsyncClient
from flowrunner.clock import SystemClock
from flowrunner.errors import (
    AuthenticationError,
    FlowNotFound,
    FlowrunnerError,
    InvalidParameters,
    InvalidRequest,
    ProtocolError,
    SubmissionUncertain,
    TransportError,
    VendorError,
)
from flowrunner.files import Partial
from flowrunner.models import RemoteFile
from flowrunner.plans import CHUNK, FileBody
from flowrunner.simulator import EVERY_PARAMETER, Behaviour, ManualClock, Quirks, Simulator

EVERY = "Samples/everyParameter.fmw"
TEMP = "FME_SHAREDRESOURCE_TEMP"
UPLOADS = ("*/filesys/*", "*/upload")
MIB = 2**20
SERVERS = {
    "v3": ("fme-flow-v3", "fme-flow-v3"),
    "v4": ("fme-flow-v4", "fme-flow-v4"),
    "either": ("fme-flow", "fme-flow"),
}


@pytest.fixture
def manual():
    """The simulator's clock."""
    return ManualClock()


@pytest.fixture
def clock(manual, clock_of):
    """The client's clock, which moves the simulator's along."""
    return clock_of(manual)


@pytest.fixture(params=["sync", "async", "aiohttp"])
def mode(request):
    """Which of the clients, over what."""
    return request.param


@pytest.fixture(params=SERVERS)
def backend(request):
    """Which backend."""
    return SERVERS[request.param][0]


@pytest.fixture
def simulator(manual, backend):
    """A server that the backend can speak to."""
    server = dict(SERVERS.values())[backend]
    with Simulator(server, clock=manual) as serving:
        serving.publish(EVERY_PARAMETER)
        yield serving


@pytest.fixture
def client(simulator, open_client, backend):
    """A client of it."""
    return open_client(backend=backend, base_url=simulator.base_url, token=simulator.token, max_long_polls=0)


@pytest.fixture
def local(tmp_path):
    """Make a file here."""

    def make(name="å b.gml", content=b"<data/>"):
        file = tmp_path / name
        file.write_bytes(content)
        return file

    return make


def stored(simulator):
    """What files the server holds: their bytes by name."""
    entries = simulator.world.resources._entries.values()
    return {entry.name: entry.content.read_bytes() for entry in entries if entry.content is not None}


def sent(simulator):
    """The uploads that arrived."""
    return [request for pattern in UPLOADS for request in simulator.requests.matching(pattern, "POST")]


def fail_next_upload(simulator, status, body):
    """Answer the next upload with something else."""
    for pattern in UPLOADS:
        simulator.respond_next(pattern, status, body, method="POST")


# To the vendor


@pytest.mark.parametrize("status", [200, 201])
@pytest.mark.parametrize("name", ["plain.gml", "Åraksbø (1) 100%.gml", 'a"b;c.gml', "\U0001f5fa.gml", "a\tb"])
def test_an_upload(client, simulator, local, tmp_path, *, name, status):
    """A file of any name arrives whole, is referred to by its reference, comes back the same, and can be removed."""
    simulator.quirks = Quirks(upload_status=status)
    content = bytes(range(256)) * 3
    remote = client.upload(local(name, content))

    assert (remote.name, remote.size) == (name, len(content))
    assert str(remote).startswith(f"$({TEMP})/")
    assert {name: content} == stored(simulator)
    back = tmp_path / "back"
    assert back == client.download(remote, back)
    assert content == back.read_bytes()
    client.remove(remote)
    assert stored(simulator) == {}
    client.remove(remote)


def test_an_upload_under_another_name(client, simulator, local):
    """The caller may name the file; an empty file is a file; two of one name are two files."""
    first, second = (client.upload(local(content=content), name="Ø.gml") for content in (b"", b"second"))

    assert (first.name, first.size) == ("Ø.gml", 0)
    assert str(first) != str(second)
    assert [entry.size for entry in simulator.world.resources._entries.values() if entry.content] == [0, 6]


@pytest.mark.parametrize("name", ["", "a/b.gml", "a\\b.gml", "..", ".", "a\0b", "\udcff.gml"])
def test_an_upload_under_a_name_that_is_none(client, simulator, local, name):
    """A name that is a path, or nothing, is an error; nothing is stored."""
    with pytest.raises(InvalidRequest, match="give it another name"):
        client.upload(local(), name=name)
    assert sent(simulator) == []


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such names")
def test_a_name_that_is_not_unicode(client, simulator, tmp_path):
    """A file whose name is not text cannot be named at the vendor: that is said, and another name helps."""
    file = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.gml"))
    file.write_bytes(b"x")
    with pytest.raises(InvalidRequest, match="give it another name"):
        client.upload(file)
    assert client.upload(file, name="y.gml").name == "y.gml"


@pytest.mark.parametrize("path", ["nowhere.gml", "."])
def test_a_file_that_is_not_there(client, simulator, tmp_path, path):
    """A file that does not exist, or is a folder, is said so before anything is sent."""
    with pytest.raises(InvalidRequest, match=r"does not exist|is a folder"):
        client.upload(tmp_path / path)
    with pytest.raises(InvalidRequest, match=r"does not exist|is a folder"):
        client.submit(EVERY, {"mandatory": "x", "SourceDataset_GML": tmp_path / path})
    assert sent(simulator) == []


def test_a_server_that_makes_no_folders(client, simulator, local, tmp_path):
    """A V4 that refuses folders gets the file at its root, under a name no other has; it is used just the same."""
    simulator.quirks = Quirks(missing_folder="refuse")
    one, other = (client.upload(local(content=content)) for content in (b"one", b"other"))

    entries = simulator.world.resources._entries.values()
    assert sorted(entry.content.read_bytes() for entry in entries if entry.content) == [b"one", b"other"]
    assert client.download(other, tmp_path / "back").read_bytes() == b"other"
    for file in (one, other):
        client.remove(file)
    assert stored(simulator) == {}


@pytest.mark.parametrize("status", [507, 500])
def test_a_full_server(client, simulator, local, status):
    """A server that is full is VendorError with its words, and no part of the file stays."""
    simulator.quirks = Quirks(full_status=status)
    simulator.world.resources.capacity = 3
    with pytest.raises(VendorError, match="not enough space") as caught:
        client.upload(local())
    assert caught.value.http_status == status
    assert stored(simulator) == {}


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (207, {"items": [], "failed": [{"name": "å b.gml", "message": "no"}]}, VendorError),
        (207, {"message": "partly"}, VendorError),
        (401, {"message": "no"}, AuthenticationError),
        (200, "<html>Sign in</html>", None),
        (404, "<html>", ProtocolError),
    ],
)
def test_an_upload_that_is_refused(client, simulator, local, *, status, body, expected):
    """Partly done is failed; a page of a proxy is no answer; what is accepted need not say anything."""
    fail_next_upload(simulator, status, body)
    if expected is None:
        assert client.upload(local()).size == 7
        return
    with pytest.raises(expected) as caught:
        client.upload(local())
    assert caught.value.http_status == status
    assert stored(simulator) == {}


def test_a_file_the_server_cannot_store(client, simulator, local):
    """A file that fails whatever is tried is the server's failure."""
    simulator.world.resources.refused.add("å b.gml")
    with pytest.raises(VendorError, match="could not be stored"):
        client.upload(local())


@pytest.mark.parametrize("how", ["reset_before", "reset_after"])
def test_an_upload_that_is_cut_off(client, simulator, local, how):
    """An upload that is cut off is sent again, to the same place; progress never goes back and ends at the total."""
    for pattern in UPLOADS:
        simulator.cut_next(how, pattern, method="POST")
    content, seen = os.urandom(CHUNK * 3), []
    remote = client.upload(local(content=content), progress=lambda done, total: seen.append((done, total)))

    assert {"å b.gml": content} == stored(simulator)
    assert remote.size == len(content)
    assert seen == sorted(set(seen))
    assert len({total for _, total in seen}) == 1
    assert seen[-1][0] == seen[-1][1] >= len(content)


# Paths as parameters


def test_a_path_is_a_value(client, simulator, local):
    """A Path is uploaded and its reference submitted, in lists too, each file once; the run knows what it brought."""
    one, other = local("å.gml", b"one"), local("b c.gml", b"other")
    ready = client.upload(local("ready.gml", b"ready"))
    run = client.submit(
        EVERY,
        {
            "mandatory": "x",
            "SourceDataset_GML": one,
            "SourceDatasets_GML": [one, other, ready, f"$({TEMP})/old.gml"],
            "SourceFolders": (other,),
        },
    )

    (job,) = simulator.pool.submissions()
    first, second = (str(file) for file in run.uploads)
    assert [file.name for file in run.uploads] == ["å.gml", "b c.gml"]
    assert dict(job.parameters) == {
        "mandatory": "x",
        "SourceDataset_GML": first,
        "SourceDatasets_GML": [first, second, str(ready), f"$({TEMP})/old.gml"],
        "SourceFolders": [second],
    }
    for file in run.uploads:
        client.remove(file)
    assert stored(simulator) == {"ready.gml": b"ready"}
    assert client.submit(EVERY, {"mandatory": "x"}).uploads == ()


def test_one_path_of_two_is_not_there(client, simulator, local, tmp_path):
    """All files are looked for before the first goes out: a mistyped name leaves nothing behind."""
    with pytest.raises(InvalidRequest, match=r"none\.gml.*does not exist"):
        client.submit(EVERY, {"mandatory": "x", "SourceDatasets_GML": [local(), tmp_path / "none.gml"]})
    assert sent(simulator) == []


def test_the_second_of_two_uploads_fails(client, simulator, local):
    """Where a later upload fails, the earlier ones are taken away again, and nothing is submitted."""
    simulator.world.resources.refused.add("b.gml")
    with pytest.raises(VendorError, match="could not be stored"):
        client.submit(EVERY, {"mandatory": "x", "SourceDatasets_GML": [local("a.gml"), local("b.gml")]})
    assert stored(simulator) == {}
    assert simulator.pool.submissions() == ()


REFUSED = {
    "a wrong type": ({"mandatory": "x", "color": {1, 2}}, InvalidParameters),
    "refused by the server": ({"float": "x"}, InvalidParameters),
    "no such flow": ({}, FlowNotFound),
}


@pytest.mark.parametrize("why", REFUSED)
def test_a_refused_submission_leaves_no_files(simulator, open_client, backend, local, why):
    """Where certainly nothing was started, the files that were brought for it are taken away again."""
    parameters, expected = REFUSED[why]
    client = open_client(
        backend=backend, base_url=simulator.base_url, token=simulator.token, check_parameters=why == "a wrong type"
    )
    flow = "Samples/none.fmw" if why == "no such flow" else EVERY
    with pytest.raises(expected):
        client.submit(flow, {**parameters, "SourceDataset_GML": local()})
    assert len(sent(simulator)) == 1
    assert stored(simulator) == {}


def test_files_that_cannot_be_taken_away(client, simulator, local, caplog):
    """That a file stays after a refusal is logged and changes no error."""
    simulator.respond_next("*", 500, {"message": "busy"}, method="DELETE")
    with caplog.at_level(logging.WARNING), pytest.raises(InvalidParameters):
        client.submit(EVERY, {"mandatory": "x", "color": {1}, "SourceDataset_GML": local()})
    assert "stays at the vendor" in caplog.text
    assert len(stored(simulator)) == 1


def test_an_uncertain_submission_keeps_its_files(client, simulator, local):
    """A run that may have been started needs its files: they stay."""
    for pattern in ("*/submit/*", "*/jobs"):
        simulator.cut_next("reset_after", pattern, method="POST")
    with pytest.raises(SubmissionUncertain):
        client.submit(EVERY, {"mandatory": "x", "SourceDataset_GML": local()})
    assert len(stored(simulator)) == len(simulator.pool.submissions()) == 1


# From the vendor


def test_a_folder_comes_as_a_zip(client, simulator, local, tmp_path):
    """A reference that ends in a slash names a folder, which comes as one zip."""
    remote = client.upload(local(content=b"one"))
    folder = str(remote).rpartition("/")[0] + "/"
    into = client.download(folder, tmp_path / "all.zip")

    with zipfile.ZipFile(into) as archive:
        assert {name: archive.read(name) for name in archive.namelist()} == {"å b.gml": b"one"}
    with pytest.raises(InvalidRequest):
        client.download(f"$({TEMP})/none/", tmp_path / "none.zip")
    assert sorted(each.name for each in tmp_path.iterdir()) == ["all.zip", "å b.gml"]


def test_a_download_into_a_folder(client, local, tmp_path):
    """A folder here takes a file under the name it has at the vendor, and a folder of the vendor's as NAME.zip."""
    remote = client.upload(local(content=b"abc"), "å.txt")
    into = tmp_path / "into"
    into.mkdir()
    assert client.download(remote, into) == into / "å.txt"
    assert (into / "å.txt").read_bytes() == b"abc"
    folder = str(remote).rpartition("/")[0] + "/"
    path = client.download(folder, str(into))
    assert path == into / f"{folder.rstrip('/').rpartition('/')[2]}.zip"
    with zipfile.ZipFile(path) as archive:
        assert [name for name in archive.namelist() if name.endswith("txt")]


def test_a_download_that_is_refused(client, tmp_path):
    """What is not there, or is no reference, is an error; nothing is left behind."""
    for reference, text in ((f"$({TEMP})/none.gml", "does not exist"), ("none.gml", "is not written")):
        with pytest.raises(InvalidRequest, match=text):
            client.download(reference, tmp_path / "x")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("before", [None, b"older"])
def test_a_download_that_breaks_off(client, simulator, local, tmp_path, before):
    """A download that breaks off leaves no half file; one that was there before stays as it was."""
    remote = client.upload(local(content=b"x" * 999))
    to = tmp_path / "to"
    if before is not None:
        to.write_bytes(before)
    simulator.cut_next("truncate", "*", times=99)
    with pytest.raises(TransportError, match="try again"):
        client.download(remote, to)
    assert (to.read_bytes() if to.exists() else None) == before
    assert not [each for each in tmp_path.iterdir() if each.suffix == ".part"]


@pytest.mark.parametrize("artifact", [True, False])
def test_a_download_to_where_nothing_can_be_written(client, simulator, local, tmp_path, artifact):
    """A folder that is none is the system's own error, with its path; nothing is left behind."""
    remote = client.upload(local())
    into = tmp_path / "å b.gml" / "to"
    made = client.run("Samples/austinDownload.fmw").artifacts[0]
    download = made.download if artifact else lambda to: client.download(remote, to)
    with pytest.raises(OSError):
        download(into)
    assert [each.name for each in tmp_path.iterdir()] == ["å b.gml"]
    assert client.health().healthy


def test_a_disk_that_is_full(client, simulator, local, tmp_path, monkeypatch):
    """A disk that fills up during a download is the system's own error, and no half file stays."""
    remote = client.upload(local(content=b"x" * 3 * MIB))
    write, written = Partial.write, []

    def until_full(self, chunk):
        if sum(written) > MIB:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written.append(len(chunk))
        write(self, chunk)

    monkeypatch.setattr(Partial, "write", until_full)
    with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)) as caught:
        client.download(remote, tmp_path / "to")
    assert caught.value.errno == errno.ENOSPC
    assert [each.name for each in tmp_path.iterdir()] == ["å b.gml"]
    monkeypatch.undo()
    assert client.download(remote, tmp_path / "to").stat().st_size == 3 * MIB


def test_a_file_that_cannot_be_read(client, simulator, local, monkeypatch):
    """A file that fails while it is read is the system's own error; the server keeps nothing of it."""

    def broken(self):
        yield b"half"
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(FileBody, "chunks", broken)
    with pytest.raises(OSError, match=os.strerror(errno.EIO)):
        client.upload(local())
    assert stored(simulator) == {}


# Large files

SIZE = 8 * MIB


class Peak:
    """How much more memory was in use at once than at the beginning."""

    def __enter__(self):
        tracemalloc.start()
        self._before = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        return self

    def __exit__(self, *_):
        self.bytes = tracemalloc.get_traced_memory()[1] - self._before
        tracemalloc.stop()


@pytest.fixture
def large(local):
    """A file larger than what may be in memory."""
    return local("large.bin", os.urandom(MIB) * (SIZE // MIB))


@pytest.fixture
def async_client(simulator, connected, clock, backend):
    """Make an AsyncClient for a loop of its own."""
    connection = connected(backend=backend, base_url=simulator.base_url, token=simulator.token)
    return lambda: AsyncClient(connection, clock=clock)


class Pipe:
    """A server that holds nothing: it lets a body of any size run out, or gives one of SIZE bytes."""

    def __init__(self):
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.base_url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.received = 0
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listener.close()

    def _serve(self):
        piece = bytearray(4096)
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                with connection:
                    self._answer(connection, piece)

    def _answer(self, connection, piece):
        head = b""
        while b"\r\n\r\n" not in head:
            if not (byte := connection.recv(1)):
                return
            head += byte
        wanted = re.search(rb"(?i)content-length: (\d+)", head)
        left = 0 if wanted is None else int(wanted[1])
        while left:
            left -= (count := connection.recv_into(piece, min(left, len(piece))))
            self.received += count
        length = SIZE if wanted is None else 0
        connection.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % length)
        for _ in range(length // len(piece)):
            connection.sendall(piece)


@pytest.mark.parametrize("backend", ["fme-flow-v3", "fme-flow-v4"])
def test_one_piece_at_a_time_is_in_memory(open_client, mode, backend, large, tmp_path):
    """Of a file of any size about one piece is in memory, on its way there and back; aiohttp buffers up to two more."""
    # aiohttp stops reading at 128 KiB, and what is read at a time, up to 256 KiB, comes on top: one piece and a half.
    most = (6 if mode == "aiohttp" else 4) * CHUNK
    with Pipe() as pipe:
        client = open_client(backend=backend, base_url=pipe.base_url, clock=SystemClock())
        client.upload(tmp_path / "large.bin", name="first")  # what is loaded and made at the first request stays
        with Peak() as sending:
            client.upload(large)
        with Peak() as receiving:
            client.download(f"$({TEMP})/x", tmp_path / "back.bin")
        client.close()

    assert pipe.received >= 2 * SIZE
    assert sending.bytes < most
    assert receiving.bytes < most
    assert (tmp_path / "back.bin").stat().st_size == SIZE


def rises(seen, total):
    """Whether progress never went back, and ended at the total."""
    done = [each for each, _ in seen]
    return done == sorted(done) and seen[-1] == (total, total) and len(seen) > 4


def test_a_large_file_there_and_back(client, simulator, large, tmp_path):
    """A large file passes whole in both ways, its length is told first, and progress tells of each piece."""
    up, down = [], []
    remote = client.upload(large, progress=lambda *seen: up.append(seen))
    back = client.download(remote, tmp_path / "back.bin", progress=lambda *seen: down.append(seen))

    (request,) = sent(simulator)
    assert request.size >= SIZE
    assert rises(up, request.size)
    assert rises(down, SIZE)
    digests = [hashlib.sha256(file.read_bytes()).hexdigest() for file in (large, back)]
    assert digests[0] == digests[1]
    assert int(request.headers["content-length"]) == request.size


@pytest.mark.parametrize("backend", ["fme-flow-v3"])
def test_a_large_payload(simulator, open_client, backend, large):
    """A payload passes in pieces, too, and arrives as it is."""
    client = open_client(backend=backend, base_url=simulator.base_url, token=simulator.token, check_parameters=False)
    client.health()
    simulator.pool.script(EVERY, Behaviour(duration=0))
    with Peak() as sending:
        client.run(EVERY, {"mandatory": "x"}, payload=large)
    assert sending.bytes < SIZE / 2  # the simulator is of the same process, and holds some pieces too
    (job,) = simulator.pool.submissions()
    assert (job.notes.data.size, job.notes.data.sha256) == (SIZE, hashlib.sha256(large.read_bytes()).hexdigest())


@pytest.mark.anyio
async def test_nobody_waits_for_a_file(async_client, large, tmp_path, monkeypatch):
    """An AsyncClient reads and writes files in other threads, and the loop turns while they pass."""
    threads, chunks, write = set(), FileBody.chunks, Partial.write

    def noted_chunks(self):
        for chunk in chunks(self):
            threads.add(threading.get_ident())
            yield chunk

    def noted_write(self, chunk):
        threads.add(threading.get_ident())
        write(self, chunk)

    monkeypatch.setattr(FileBody, "chunks", noted_chunks)
    monkeypatch.setattr(Partial, "write", noted_write)
    client = async_client()
    turns = 0

    async def turn():
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    turning = asyncio.ensure_future(turn())
    try:
        remote = await client.upload(large)
        uploaded = turns
        await client.download(remote, tmp_path / "back.bin")
    finally:
        turning.cancel()
        await client.close()
    assert uploaded > SIZE / CHUNK
    assert turns - uploaded > SIZE / CHUNK
    assert threads
    assert threading.get_ident() not in threads


@pytest.mark.anyio
async def test_a_cancelled_transfer(async_client, large, tmp_path):
    """Cancelling the task that transfers leaves no half file, and the client goes on."""
    client = async_client()
    try:
        remote = await client.upload(large)
        task = asyncio.ensure_future(client.download(remote, tmp_path / "back.bin", progress=lambda *_: task.cancel()))
        with pytest.raises(asyncio.CancelledError):
            await task
        assert [each.name for each in tmp_path.iterdir()] == ["large.bin"]
        assert (await client.health()).healthy
    finally:
        await client.close()


def test_progress_that_fails(client, simulator, local, tmp_path, monkeypatch):
    """What the caller's function raises ends the transfer and comes out; nothing is left behind, or open."""
    opened, open_file = [], Path.open
    monkeypatch.setattr(Path, "open", lambda *args, **more: opened.append(open_file(*args, **more)) or opened[-1])

    def refuse(done, total):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError) as caught:
        client.upload(local(content=b"x" * 2 * CHUNK), progress=refuse)
    assert caught.value.__traceback__  # which is as long as somebody looks at it
    assert all(file.closed for file in opened)
    remote = client.upload(local())
    with pytest.raises(ZeroDivisionError):
        client.download(remote, tmp_path / "to", progress=refuse)
    assert [each.name for each in tmp_path.iterdir()] == ["å b.gml"]


def test_a_file_at_another_place(client, simulator, tmp_path):
    """A reference of the vendor's spelling is a file like any other; what is none is refused before any request."""
    count = len(simulator.requests)
    with pytest.raises(FlowrunnerError, match="FME_SHAREDRESOURCE"):
        client.remove(RemoteFile(name="x", reference="x"))
    assert len(simulator.requests.matching("*/resources/*")) == 0
    assert len(simulator.requests) <= count + 2
