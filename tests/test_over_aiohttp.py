"""aiohttp in the place of httpx: whatever happens, the program and the vendor see the same."""

import asyncio
import base64
import contextlib
import gzip
import ssl
import sys
from functools import partial

import pytest

import flowrunner
from flowrunner.errors import ConfigError, SubmissionUncertain, TransportError
from flowrunner.http.over_aiohttp import Connection
from flowrunner.plans import Request
from flowrunner.retries import Failure
from flowrunner.simulator import Behaviour, Fault, Faults, Simulator
from serving import certificate, serving

FLOW = "Samples/austinDownload.fmw"
TRANSPORTS = ("httpx", "aiohttp")
SUBMIT, LOOK = "submissions", "*/jobs/1"


@pytest.fixture(params=TRANSPORTS)
def transport(request):
    """Each of them."""
    return request.param


@pytest.fixture(scope="module")
def fme():
    """A simulated FME Flow on a socket."""
    with Simulator("fme-flow-v4") as simulator:
        simulator.pool.script(FLOW, Behaviour(duration=0.0))
        yield simulator


def connect(simulator, transport, **settings):
    """A client."""
    plain = {"backend": "fme-flow-v4", "check_parameters": False, "retries": 0, "transport": transport}
    return flowrunner.connect_async(**{**plain, **simulator.settings, **settings})


def attempt(simulator, transport, act, **settings):
    """What comes of it."""

    async def main():
        async with connect(simulator, transport, **settings) as client:
            return await act(client)

    return asyncio.run(main())


async def submitted(client):
    """A submission."""
    try:
        return (await client.submit(FLOW)).id
    except flowrunner.FlowrunnerError as error:
        return type(error).__name__, getattr(error.__cause__ or error, "failure", None)


async def looked(client, run_id="1"):
    """A look at a run."""
    run = client.attach(flowrunner.RunRef(client.name, client.backend, FLOW, run_id))
    try:
        return (await run.refresh()).state
    except flowrunner.FlowrunnerError as error:
        return type(error).__name__, getattr(error, "failure", None)


# What goes wrong

FAULTS = [
    Fault("refuse"),
    Fault("reset_before"),
    Fault("reset_after"),
    Fault("truncate"),
    Fault("wrong_length", off_by=10),
    Fault("html", status=502),
    Fault("status", status=503, headers={"Retry-After": "0"}),
    Fault("hang"),
]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.kind)
@pytest.mark.parametrize("act", [submitted, looked], ids=lambda act: act.__name__)
def test_whatever_goes_wrong_is_the_same_failure(fme, fault, act):
    """So nothing is sent twice over the one that would not be over the other."""
    attempt(fme, "httpx", submitted)
    seen = {}
    for transport in TRANSPORTS:
        fme.faults = Faults((fault,))
        seen[transport] = attempt(fme, transport, act, timeout=0.3, requests_per_second=1e6)
    fme.faults = Faults(())
    assert seen["aiohttp"] == seen["httpx"]


def test_a_submission_whose_answer_never_came_is_sent_once(fme):
    """A server that hangs up leaves it open whether it took the submission; aiohttp calls that a connection error."""
    fme.faults = Faults((Fault("reset_after", requests=SUBMIT, probability=1.0),))
    before = len(fme.books)

    async def main():
        async with connect(fme, "aiohttp", retries=3) as client:
            with pytest.raises(SubmissionUncertain):
                await client.submit(FLOW)

    asyncio.run(main())
    fme.faults = Faults(())
    assert len(fme.books) == before + 1


@pytest.mark.parametrize("kind", ["reset_before", "reset_after"])
@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_what_breaks_is_not_sent_again_below(transport, kind, method):
    """Neither a look nor a cancellation: whether to is for the table of retries, which never repeats the latter."""
    with Simulator("fme-flow-v3") as simulator:
        simulator.pool.script(FLOW, Behaviour(duration=1000.0))

        async def act(client):
            run = await client.submit(FLOW)
            simulator.faults = Faults((Fault(kind, method=method, times=1),))
            simulator.requests.clear()
            with contextlib.suppress(flowrunner.FlowrunnerError):
                await (run.refresh() if method == "GET" else run.cancel())

        attempt(simulator, transport, act, backend="fme-flow-v3")
        assert len(simulator.requests.matching("*/jobs/*", method=method)) == 1


def test_a_proxy_that_says_nothing(transport):
    """It is not waited for without end."""

    async def silent(reader, writer):
        await reader.read()
        writer.close()

    async def main():
        server = await asyncio.start_server(silent, "127.0.0.1", 0)
        proxy = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        settings = {"backend": "fme-flow-v4", "base_url": "https://a.example", "proxy": proxy, "token": "t-t-t-t"}
        async with (
            server,
            asyncio.timeout(20),
            flowrunner.connect_async(**settings, transport=transport, timeout=0.2, retries=0) as client,
        ):
            return await looked(client)

    assert asyncio.run(main()) in [
        ("TransportError", Failure.CONNECT_TIMEOUT),
        ("TransportError", Failure.READ_TIMEOUT),
    ]


@pytest.mark.parametrize(
    ("settings", "failure"),
    [
        ({"base_url": "http://127.0.0.1:1"}, Failure.REFUSED),
        ({"base_url": "http://no-such-host.invalid", "allow_insecure": True}, Failure.DNS),
        ({"base_url": "http://127.0.0.2:1", "proxy": "http://127.0.0.1:1"}, Failure.PROXY),
    ],
)
def test_why_no_connection_was_made(fme, settings, failure, transport):
    """What the system says of it is told apart."""
    _, found = attempt(fme, transport, looked, **settings)
    assert found is failure or (transport == "httpx" and failure is Failure.PROXY and found is Failure.REFUSED)


def test_an_answer_that_is_no_http(transport):
    """It may have come from what took the submission."""

    def answer(_, writer):
        writer.write(b"nonsense\r\n\r\n")
        writer.close()

    async def main():
        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        settings = {"backend": "fme-flow-v4", "base_url": address, "token": "t-t-t-t", "transport": transport}
        async with server, flowrunner.connect_async(**settings, check_parameters=False) as client:
            return await submitted(client)

    assert asyncio.run(main()) == ("SubmissionUncertain", Failure.RESET_BEFORE)


# The server's own connection, whose handshake the client broke off, is left to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_certificate_that_is_not_trusted(tmp_path, transport):
    """The advice is about it, whichever transport says so; with its authority in ca_file it is trusted."""
    trusted, key = certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(trusted, key)
    body = b'{"id": 1, "status": "running"}'

    async def main(address, **more):
        settings = {"backend": "fme-flow-v4", "token": "t-t-t-t", "base_url": address, "transport": transport}
        async with flowrunner.connect_async(**settings, **more) as client:
            return await looked(client)

    with serving(lambda _: (200, {}, body), context) as server:
        assert asyncio.run(main(server.url)) == ("TransportError", Failure.CERTIFICATE)
        assert asyncio.run(main(server.url, ca_file=str(trusted))) == flowrunner.RunState.RUNNING


# What goes out


def test_the_vendor_sees_the_same(fme):
    """Method, path as it is encoded, query, headers and body, of looks and of a submission."""
    seen = {}
    for transport in TRANSPORTS:
        fme.requests.clear()
        attempt(fme, transport, submitted)
        attempt(fme, transport, looked)
        attempt(fme, transport, partial(looked, run_id="a/b;c=d&e+f %3B ø"))
        seen[transport] = [
            (
                each.method,
                each.raw_path,
                each.query,
                each.body,
                {name: value for name, value in each.headers.items() if name != "connection"},
            )
            for each in fme.requests
        ]
    assert seen["aiohttp"] == seen["httpx"]


def test_files_both_ways(fme, tmp_path, transport):
    """A file is streamed up with its length, and down whole."""
    source = tmp_path / "source.bin"
    source.write_bytes(bytes(range(256)) * 5000)

    async def there_and_back(client):
        remote = await client.upload(source)
        await client.download(remote, tmp_path / "back.bin")
        return (tmp_path / "back.bin").read_bytes()

    assert attempt(fme, transport, there_and_back) == source.read_bytes()


def test_a_file_that_cannot_be_read(fme, tmp_path, transport):
    """That is the caller's error, and no failure of the way."""
    source = tmp_path / "source.bin"
    source.write_bytes(bytes(1_000_000))

    def refuse(*_):
        raise ZeroDivisionError

    async def upload(client):
        with pytest.raises(ZeroDivisionError):
            await client.upload(source, progress=refuse)

    attempt(fme, transport, upload)


def test_a_body_goes_out_and_comes_back_as_it_is(transport):
    """No type is made up for it, and an answer that was packed all the same is unpacked once."""
    packed = {"content-encoding": "gzip"}

    async def main(address):
        async with flowrunner.connect_async(**settings_of(address, transport)) as client:
            return await client._session.send(Request("POST", "/x", content=b"\x00"))

    with serving(lambda _: (200, packed, gzip.compress(b'{"a": 1}'))) as server:
        assert asyncio.run(main(server.url)).content == b'{"a": 1}'
    ((_, _, headers, body, _),) = server.seen
    assert body == b"\x00"
    assert "content-type" not in {name.lower() for name in headers}


def settings_of(address, transport, **more):
    """The settings of a connection."""
    return {"backend": "fme-flow-v4", "token": "t-t-t-t", "base_url": address, "transport": transport, **more}


@pytest.mark.parametrize("address", ["https://a.example", "http://a.example"])
@pytest.mark.parametrize("status", [200, 407])
def test_a_proxy_that_wants_a_password(transport, address, status):
    """Is given it, and no error shows it. What is encrypted for the vendor is asked for in a tunnel."""
    heads = []

    async def answer(reader, writer):
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 %d Whatever\r\nContent-Length: 0\r\n\r\n" % status)
        writer.close()

    async def main():
        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        proxy = f"http://ada:love%3Al%C3%A4ce@127.0.0.1:{server.sockets[0].getsockname()[1]}"
        settings = settings_of(address, transport, proxy=proxy, retries=0, allow_insecure=True)
        async with server, flowrunner.connect_async(**settings) as client:
            try:
                return (await client._session.send(Request("GET", "/x"))).status
            except TransportError as error:
                return error

    ended = asyncio.run(main())
    password = base64.b64encode("ada:love:läce".encode())
    assert b"\r\nproxy-authorization: basic " + password.lower() + b"\r\n" in heads[0].lower()
    if address.startswith("https"):
        assert heads[0].startswith(b"CONNECT a.example:443 ")
        assert b"t-t-t-t" not in heads[0]
        assert (ended.failure is Failure.PROXY) is (status == 407)
        assert "love" not in str(ended)
    else:
        assert heads[0].startswith(b"GET http://a.example/x ")
        assert ended == status


def test_no_cookies_and_no_redirects(transport):
    """A cookie that is set is not sent back, and where an answer points to is not asked."""
    heads = []

    async def answer(reader, writer):
        while head := await reader.readuntil(b"\r\n\r\n"):
            heads.append(head)
            location = b"Location: /elsewhere\r\n"
            writer.write(b"HTTP/1.1 302 Found\r\nSet-Cookie: a=b\r\n" + location + b"Content-Length: 0\r\n\r\n")

    async def main():
        server = await asyncio.start_server(_quietly(answer), "127.0.0.1", 0)
        address = f"http://localhost:{server.sockets[0].getsockname()[1]}"  # cookies of a number are kept by nobody
        settings = {"backend": "fme-flow-v4", "base_url": address, "token": "t-t-t-t", "transport": transport}
        async with flowrunner.connect_async(**settings) as client:
            await looked(client)
            await looked(client)
        server.close()

    asyncio.run(main())
    assert len(heads) == 2
    assert not any(b"ookie" in head or b"elsewhere" in head for head in heads)


def _quietly(answer):
    async def answered(reader, writer):
        try:
            await answer(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    return answered


# Connections


def test_so_many_connections_and_a_fresh_one_for_a_submission(transport):
    """At most `max_connections` looks at once, over connections that are used again; each submission has its own."""
    opened, live, most = [], [], []

    async def answer(reader, writer):
        opened.append(writer)
        while head := await reader.readuntil(b"\r\n\r\n"):
            if head.startswith(b"POST"):
                await reader.readexactly(int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0]))
            live.append(head)
            most.append(len(live))
            await asyncio.sleep(0.002)
            live.remove(head)
            body = b'{"id": 1, "status": "running"}'
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))

    async def main():
        server = await asyncio.start_server(_quietly(answer), "127.0.0.1", 0)
        address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        settings = {"backend": "fme-flow-v4", "base_url": address, "token": "t-t-t-t", "transport": transport}
        more = {"max_connections": 3, "check_parameters": False}
        async with flowrunner.connect_async(**settings, **more) as client:
            await asyncio.gather(*(looked(client) for _ in range(12)))
            looks = len(opened)
            for _ in range(2):
                await client.submit(FLOW)
        server.close()
        return looks

    assert asyncio.run(main()) == 3
    assert (max(most), len(opened)) == (3, 5)


def test_a_request_that_is_cancelled_costs_no_connection(transport):
    """Its connection is closed, and its place is free."""
    closed, came = [], asyncio.Event()

    async def answer(reader, writer):
        head = await reader.readuntil(b"\r\n\r\n")
        if b"/jobs/1 " in head:
            came.set()
            closed.append(await reader.read())
        body = b'{"id": 2, "status": "running"}'
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
        writer.close()

    async def main():
        server = await asyncio.start_server(_quietly(answer), "127.0.0.1", 0)
        address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        settings = {"backend": "fme-flow-v4", "base_url": address, "token": "t-t-t-t", "transport": transport}
        async with flowrunner.connect_async(**settings, max_connections=1) as client:
            task = asyncio.ensure_future(looked(client))
            await came.wait()
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            other = client.attach(flowrunner.RunRef(client.name, client.backend, FLOW, "2"))
            state = (await other.refresh()).state
        server.close()
        return state

    assert asyncio.run(main()) == flowrunner.RunState.RUNNING
    assert closed == [b""]


# Choosing it


def test_a_transport_that_there_is_not():
    """The error names those there are."""
    with pytest.raises(ConfigError, match="transport must be 'httpx' or 'aiohttp', not 'curl'"):
        flowrunner.connect_async(backend="fme-flow-v4", base_url="https://a.example", token="t-t-t-t", transport="curl")


def test_a_transport_that_is_not_installed(monkeypatch):
    """The error says what to install, before anything is sent; a `Client` does not need it."""
    monkeypatch.setitem(sys.modules, "flowrunner.http.over_aiohttp", None)
    settings = {"backend": "fme-flow-v4", "base_url": "https://a.example", "token": "t-t-t-t", "transport": "aiohttp"}

    async def main():
        with pytest.raises(ConfigError, match=r'pip install "flowrunner\[aiohttp\]"'):
            flowrunner.connect_async(**settings)

    asyncio.run(main())
    flowrunner.connect(**settings).close()


def test_a_proxy_that_aiohttp_does_not_speak_to():
    """It is refused, not gone around."""
    with pytest.raises(ValueError, match="no way over a socks5 proxy"):
        Connection(verify=ssl.create_default_context(), proxy="socks5://127.0.0.1:1")


def test_one_that_was_never_used_closes():
    """There is nothing to close then, and a second time does no harm."""

    async def main():
        connection = Connection(verify=ssl.create_default_context(), proxy=None)
        await connection.aclose()
        await connection.aclose()
        return connection._session

    assert asyncio.run(main()) is None
