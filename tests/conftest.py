"""What the tests share: time that nobody waits for, one face for both clients, and a vendor that plays a script."""

from __future__ import annotations

import asyncio
import json
import math
import os
import sys
import threading
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest.mock import patch

import httpx
import pytest
import stamina
from attrs import evolve
from hypothesis import HealthCheck, settings

from flowrunner.testing.blocking import Blocking

# How long a machine takes for an example says nothing about the example.
settings.register_profile("short", settings(), deadline=None, max_examples=30)
settings.register_profile(
    "long", deadline=None, derandomize=False, max_examples=3000, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile(os.environ.get("FLOWRUNNER_FUZZ") or "short")

START = datetime(2025, 1, 1, 12, tzinfo=UTC)


@pytest.fixture(scope="session", autouse=True)
def _trusts():
    """Read once whom to trust: the tests' own httpx clients ask simulators, and it takes longer than most tests do."""
    trusted = httpx.create_ssl_context()

    def create(verify=True, **more):
        return trusted if verify is True else httpx.create_ssl_context(verify=verify, **more)

    with patch.object(httpx._transports.default, "create_ssl_context", create):
        yield


@pytest.fixture(autouse=True)
def _traced():
    """Go on measuring coverage where a test's recursion made the interpreter give up its trace function."""
    trace = sys.gettrace()
    yield
    if sys.gettrace() is None:  # another one is there after a test that is not measured
        sys.settrace(trace)


class FakeClock:
    """A `flowrunner.clock.Clock` that moves only when somebody sleeps or a test advances it.

    Args:
        manual: a simulator's clock, which moves along.
    """

    def __init__(self, manual: Any = None) -> None:
        self.slept: list[float] = []
        self._manual = manual
        self._elapsed = 0.0

    def now(self) -> datetime:
        """The time of day."""
        return START + timedelta(seconds=self._elapsed)

    def monotonic(self) -> float:
        """Seconds since it was made."""
        return self._elapsed

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self._elapsed += seconds
        assert self._elapsed < 10_000, "it waits for what does not come"
        if self._manual is not None:
            self._manual.advance(math.ceil(seconds * 1e6) / 1e6)

    def sleep(self, seconds: float) -> None:
        """Let time pass, and note it."""
        assert seconds > 0
        self.slept.append(seconds)
        self.advance(seconds)

    async def asleep(self, seconds: float) -> None:
        """As `sleep`."""
        self.sleep(seconds)
        await asyncio.sleep(0)

    def rest(self, seconds: float, news: threading.Event) -> None:
        """Let time pass, unless there is news."""
        if seconds == math.inf:
            news.wait()
        elif not news.is_set():
            self.sleep(seconds)

    async def arest(self, seconds: float, news: asyncio.Event) -> None:
        """As `rest`; what can be done at once by others is done first."""
        for _ in range(50):
            await asyncio.sleep(0)
            if news.is_set():
                return
        if seconds == math.inf:
            await news.wait()
        else:
            self.sleep(seconds)

    def chance(self) -> float:
        """Nothing is left to chance."""
        return 0.0


class Vendor:
    """Answers by script: each route has a list of answers, of which the last one stays.

    An answer is a status; or a status, a body and perhaps headers (text is HTML, bytes are bytes, anything else is
    JSON); or an `httpx.Response`; or an exception; or a function of the request that returns one of these.
    """

    def __init__(self) -> None:
        self.requests: list[httpx.Request] = []
        self._routes: dict[tuple[str, str], list[Any]] = {}

    def on(self, method: str, path: str, *answers: Any) -> None:
        """Script a route anew."""
        self._routes[method, path] = list(answers)

    def asked(self, method: str, path: str) -> list[httpx.Request]:
        """The requests of a route."""
        return [each for each in self.requests if (each.method, _path(each)) == (method, path)]

    def __call__(self, request: httpx.Request) -> httpx.Response:
        """Answer as scripted."""
        self.requests.append(request)
        answers = self._routes.get((request.method, _path(request)))
        assert answers, f"nothing is scripted for {request.method} {_path(request)}"
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if callable(answer) and not isinstance(answer, type):
            answer = answer(request)
        if isinstance(answer, BaseException):
            raise answer
        return _response(answer)


def _path(request: httpx.Request) -> str:
    return request.url.raw_path.decode().partition("?")[0].removeprefix("/fmeapiv4")


def _response(answer: Any) -> httpx.Response:
    if isinstance(answer, httpx.Response):
        return answer
    status, body, headers = (*(answer if isinstance(answer, tuple) else (answer,)), b"", {})[:3]
    if isinstance(body, bytes | str):
        return httpx.Response(status, content=body, headers=headers)
    return httpx.Response(status, content=json.dumps(body).encode(), headers=headers)


@pytest.fixture
def anyio_backend():
    """Async tests run on asyncio."""
    return "asyncio"


@pytest.fixture
def clock():
    """Time that passes when somebody sleeps."""
    return FakeClock()


@pytest.fixture
def clock_of():
    """Make a clock that moves a simulator's along."""
    return FakeClock


@pytest.fixture
def no_backoff():
    """Requests are sent again without a pause, as often as configured."""
    with stamina.set_testing(True, attempts=1000, cap=True):
        yield


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Install a distribution that announces backends, with the source of its module; returns where it is."""

    def make(distribution, module, source="", version="1.0", **backends):
        site = tmp_path / f"site-{distribution}"
        info = site / f"{distribution.replace('-', '_')}-{version}.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n")
        lines = [f"{name} = {target}" for name, target in backends.items()]
        (info / "entry_points.txt").write_text("\n".join(["[flowrunner.backends]", *lines]))
        (site / f"{module}.py").write_text(source)
        monkeypatch.syspath_prepend(site)
        modules.append(module)
        return site

    modules: list[str] = []
    yield make
    for module in modules:
        sys.modules.pop(module, None)


@pytest.fixture
def connected():
    """Make the checked settings of a connection."""
    from flowrunner.config import resolve

    def make(base_url="https://fme.example.com", token="s3cr3t-t0ken", **settings):
        backend = settings.pop("backend", "fme-flow-v4")
        arguments = {"base_url": base_url, "token": token, **settings}
        return resolve(None, backend=backend, config=None, arguments=arguments)

    return make


@pytest.fixture(params=["sync", "async"])
def mode(request):
    """Which of the clients."""
    return request.param


@pytest.fixture
def open_client(mode, clock, connected, no_backoff):
    """Open a client of the mode, which is used as a sync one."""
    from flowrunner.client import AsyncClient, Client

    opened = []

    def make(connection=None, *, which=mode, on_event=None, clock=clock, journal=None, **settings):
        connection = connection or connected(**settings)
        opens = None if journal is None else lambda: journal
        if which == "sync":
            opened.append(Client(connection, on_event=on_event, clock=clock, journal=opens))
            return opened[-1]
        if which == "aiohttp":
            connection = evolve(connection, settings=evolve(connection.settings, transport=which))
        runner = asyncio.Runner()
        client = Blocking(runner, AsyncClient(connection, on_event=on_event, clock=clock, journal=opens))
        opened.extend((runner, client))
        return client

    yield make
    for each in reversed(opened):
        each.close()


@pytest.fixture
def vendor(httpx_mock):
    """A vendor that plays a script instead of a socket."""
    playing = Vendor()
    httpx_mock.add_callback(playing, is_reusable=True, is_optional=True)
    return playing
