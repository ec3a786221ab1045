"""What both sessions share: building requests, choosing transports, judging outcomes. It does no I/O."""

from __future__ import annotations

import logging
import os
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

import httpx
from attrs import frozen

from flowrunner import __version__
from flowrunner.answers import retry_after
from flowrunner.errors import (
    ClientClosed,
    ConfigError,
    ProtocolError,
    TransportError,
)
from flowrunner.plans import Request, Response
from flowrunner.retries import TABLE, Action, answered
from flowrunner.telemetry import recorder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from flowrunner.backend import Backend, Settings
    from flowrunner.clock import Clock
    from flowrunner.plans import FileBody
    from flowrunner.retries import Budget, Failure, RequestKind
    from flowrunner.secret import Secret
    from flowrunner.telemetry import Recorder


from flowrunner.http.addresses import check_proxy, environment_proxy, origin_of, tls_context, url_of
from flowrunner.http.bodies import Meter, json_bytes
from flowrunner.http.failures import too_early
from flowrunner.http.gate import Gate

__all__ = ["Again", "Limits", "Wire", "given"]

T = TypeVar("T")

logger = logging.getLogger(__name__)
# stamina logs each retry; where a program has set up no logging, that would end up on its stderr.
logging.getLogger("stamina").addHandler(logging.NullHandler())

CONNECT_TIMEOUT: Final = 10.0
"""Seconds to establish a connection, unless the connection's `timeout` is shorter."""
LEAST_WAIT: Final = 0.1
"""Seconds a request that is sent at all waits for its answer."""
PATIENCE: Final = 60.0
"""Seconds a call waits for its turn or for a `Retry-After`, at most; a longer wait is for the caller to decide on."""

_SAY_THEIR_LENGTH: Final = frozenset({"POST", "PUT", "PATCH"})
"""What says so even if it has no content."""


@frozen
class Limits:
    """How long sending again may go on.

    Attributes:
        budget: the operation's.
        deadline: when the answer must be there, in monotonic seconds; None for no such time.
    """

    budget: Budget
    deadline: float | None

    def left(self, now: float) -> float:
        """Seconds that are left after a failure."""
        left = self.budget.left(now)
        return left if self.deadline is None else min(left, self.deadline - now)


class _Route(NamedTuple):
    """What requests have in common that may share connections; `keeps`: one after the other."""

    origin: tuple[str, str, int | None]
    proxy: str | None
    keeps: bool


class Again(Exception):
    """Asking again may help; `wait` is True for the usual backoff, or the seconds the vendor wants."""

    def __init__(self, wait: bool | float) -> None:  # noqa: FBT001 - stamina's own convention
        super().__init__()
        self.wait = wait


def _backoff(error: Exception) -> bool | float:
    return error.wait if isinstance(error, Again) else False


class Wire(ABC):
    """What both sessions share: building requests, choosing transports, judging outcomes.

    Args:
        backend: says where `Request.path` starts, and how to authorize.
        reload: the backend with its credential read again from where it comes from.
        learned: told of credentials that the vendor gave, so that they can be hidden.
        clock: time.
        telemetry: told of every request; nobody is if None.
    """

    def __init__(
        self,
        backend: Backend,
        *,
        reload: Callable[[], Backend],
        learned: Callable[[Iterable[Secret]], None],
        clock: Clock,
        telemetry: Recorder | None = None,
    ) -> None:
        settings: Settings = backend.settings
        self._base = backend.base_url
        self._origin = origin_of(httpx.URL(backend.base_url))
        self._settings = settings
        self._credentials = backend.authorize()
        self._logs_in = not self._credentials and backend.login() is not None
        self._reload = reload
        self._learned = learned
        self._clock = clock
        self._telemetry = telemetry or recorder()
        self._gate = Gate(settings.requests_per_second)
        self._headers = httpx.Headers(
            {
                "Accept": "application/json",
                "Accept-Encoding": "identity",  # what is packed all the same is unpacked
                # By a list that a cache remembers from before a submission, that one started nothing.
                "Cache-Control": "no-cache",
                "User-Agent": f"flowrunner/{__version__}",
            }
        )
        self._usual: tuple[Mapping[str, Secret], Callable[[], httpx.Headers]] = ({}, self._headers.copy)
        """The headers of most requests to the vendor, and with what credentials they were made."""
        self._timeout = _timeouts(settings.timeout, settings.timeout)
        self._pid = os.getpid()
        self._transports: dict[_Route, Any] = {}
        self._closed = False

    def _build(self, request: Request, limit: float, size: int) -> httpx.Request:
        """The request as it goes out; `size` is that of its file."""
        url = url_of(request.path if "://" in request.path else self._base + request.path, request.query)
        # A query may hold what is nobody's business; an address from outside may have one, too.
        logger.debug("%s %s", request.method, request.path.partition("?")[0])
        headers = self._headers_of(request, url)
        timeout = self._timeout if limit == self._settings.timeout else _timeouts(self._settings.timeout, limit)
        extensions = {"timeout": timeout}
        if request.file is not None:
            headers["Content-Length"] = str(size)
            chunks = self._streamed(request.file, Meter(request.progress, size))
            return httpx.Request(request.method, url, headers=headers, content=chunks, extensions=extensions)
        # Given as `content`, httpx would go through all headers once more, which takes longer than all else here.
        stream = httpx.ByteStream(_content_of(request, headers))
        wire = httpx.Request(request.method, url, headers=headers, stream=stream, extensions=extensions)
        wire.read()
        return wire

    def _headers_of(self, request: Request, url: httpx.URL) -> httpx.Headers:
        """All but those about its content; the credential goes to the vendor and to nobody else."""
        if request.anonymous or origin_of(url) != self._origin:
            return self._joined(url, request.headers, {})
        credentials = self._credentials
        if request.headers:
            return self._joined(url, request.headers, credentials)
        made_with, usual = self._usual  # another thread may exchange them meanwhile
        if made_with is not credentials:
            usual = _copies(self._joined(url, {}, credentials))
            self._usual = credentials, usual
        return usual()

    def _joined(self, url: httpx.URL, more: Mapping[str, str], credentials: Mapping[str, Secret]) -> httpx.Headers:
        headers = httpx.Headers([(b"Host", url.netloc), *self._headers.raw])
        headers.update(more)
        for name, value in credentials.items():
            headers[name] = value.reveal()
        return headers

    def _limit(self, request: Request, deadline: float | None) -> float:
        """Seconds to wait for the answer."""
        wait = self._settings.timeout if request.timeout is None else request.timeout
        return wait if deadline is None else min(wait, max(deadline - self._clock.monotonic(), LEAST_WAIT))

    def _pauses(self, deadline: float | None) -> Iterator[float]:
        """The seconds to pause, as often as it takes, until it is this request's turn.

        Raises:
            TransportError: that is too long to wait.
        """
        now = self._clock.monotonic()
        pause = self._gate.reserve(now, self._patience(now, deadline)) or self._gate.wait(now)
        while pause:
            if pause > self._patience(now, deadline):
                raise too_early(pause)
            yield pause
            now = self._clock.monotonic()
            pause = self._gate.wait(now)

    @staticmethod
    def _patience(now: float, deadline: float | None) -> float:
        return PATIENCE if deadline is None else min(max(deadline - now, 0.0), PATIENCE)

    @abstractmethod
    def _streamed(self, body: FileBody, meter: Meter) -> Any:
        """The body in chunks, as the session's own kind of iterator."""

    def _check_open(self) -> None:
        if self._closed:
            raise ClientClosed("the client is closed: connect again")
        if self._pid != os.getpid():
            self._forked()

    def _forked(self) -> None:
        """Begin anew in a child process."""
        # A connection that parent and child share would mix up their answers. The parent's are not closed here: that
        # would end its TLS sessions. A lock may have been held by a thread that is not in the child.
        self._transports = {}
        self._gate = self._gate.copy()
        self._pid = os.getpid()

    def _route(self, request: Request, url: httpx.URL) -> _Route:
        # A submission goes over a fresh connection: on one that the server is just closing, it could not be told
        # whether it arrived.
        proxy = self._settings.proxy or environment_proxy(url.scheme, url.host)
        return _Route(origin_of(url), proxy, keeps=request.repeatable)

    def _transport_arguments(self, route: _Route) -> dict[str, Any]:
        limits = httpx.Limits(max_connections=1)
        return {
            "verify": tls_context(self._settings.ca_file),
            "proxy": route.proxy,
            "limits": limits,
            "trust_env": False,
        }

    def _opened(self, kind: Callable[..., T], arguments: Mapping[str, Any]) -> T:
        check_proxy(arguments["proxy"])
        try:
            return kind(**arguments)
        except (ValueError, ImportError) as error:
            problem = str(error)
        raise ConfigError(f"the proxy cannot be used: {problem}. Set `proxy`, or the environment's")

    def _again(self, kind: RequestKind, outcome: Response | TransportError, within: Limits) -> bool | float:
        """Whether to send it again: False, True after the usual backoff, or the seconds the vendor wants first."""
        if _action(kind, outcome) is not Action.AGAIN:
            return False
        wait = retry_after(outcome.headers) if isinstance(outcome, Response) else None
        left = within.left(self._clock.monotonic())
        if left <= 0 or (wait is not None and wait > min(left, PATIENCE)):
            return False
        return True if wait is None else wait

    def _ask_again(self, kind: RequestKind, outcome: Response | TransportError, within: Limits) -> None:
        """Tell stamina, in the way it understands, that asking again may help."""
        wait = self._again(kind, outcome, within)
        if wait is not False:
            raise Again(wait)

    def _note(self, outcome: Response | TransportError) -> None:
        """A `Retry-After` holds the whole connection, not one request."""
        if isinstance(outcome, Response) and outcome.status in {429, 503}:
            wait = retry_after(outcome.headers)
            if wait:
                self._gate.hold(self._clock.monotonic(), wait)

    def _retry_arguments(self) -> dict[str, Any]:
        # How long is for `Limits` to say: stamina looks at its own timeout only after a pause, however long that was.
        return {"on": _backoff, "attempts": self._settings.retries + 1, "timeout": None}

    def _refused(self, request: Request, outcome: Response | TransportError) -> bool:
        return not request.anonymous and _action(request.kind, outcome) is Action.RENEW

    def _must_log_in(self, request: Request) -> bool:
        return self._logs_in and not self._credentials and not request.anonymous

    def _reloaded(self) -> Backend | None:
        """The backend with its credential read again; None where that cannot be read just now: it may be rotating."""
        try:
            return self._reload()
        except ConfigError as error:
            told = {"base_url": self._base, "problem": str(error)}
            logger.warning("the credential was refused, and cannot be read again: %s", error, extra=told)
            return None

    def _adopt(self, credentials: Mapping[str, Secret]) -> bool:
        """Use these from now on; whether they are others than before."""
        is_new = credentials != self._credentials
        self._learned(credentials.values())
        self._credentials = credentials
        return is_new


def given(credentials: Mapping[str, Secret]) -> Mapping[str, Secret]:
    """The headers that a login gave. What HTTP libraries raise of one that is none would hold it.

    Raises:
        ProtocolError: no header can carry them.
    """
    if not all(value.reveal().isascii() for value in credentials.values()):
        raise ProtocolError("the vendor's answer to the login has a token that no HTTP header can carry")
    return credentials


def _copies(headers: httpx.Headers) -> Callable[[], httpx.Headers]:
    """What gives a copy each time. Unlike the headers, it shows their credential to nobody who prints what we hold."""

    def copy() -> httpx.Headers:
        return headers.copy()

    return copy


def _content_of(request: Request, headers: httpx.Headers) -> bytes:
    """The content, which the headers tell of then."""
    content = request.content or b""
    if request.json is not None:
        headers.setdefault("Content-Type", "application/json")
        content = json_bytes(request.json)
    if content or request.method in _SAY_THEIR_LENGTH:
        headers["Content-Length"] = str(len(content))
    return content


def _action(kind: RequestKind, outcome: Response | TransportError) -> Action | None:
    """What the table says; None for a success."""
    failure = _failure_in(outcome)
    return None if failure is None else TABLE[kind, failure].action


def _failure_in(outcome: Response | TransportError) -> Failure | None:
    if isinstance(outcome, TransportError):
        return outcome.failure
    if outcome.is_success:
        return None
    return answered(outcome.status, waits=retry_after(outcome.headers) is not None)


def _timeouts(connection: float, read: float) -> dict[str, float]:
    return {"connect": min(connection, CONNECT_TIMEOUT), "read": read, "write": connection, "pool": read}
