"""Plans: what to ask a vendor, written once for sync and async.

A plan is a generator. It yields a `Request` and is sent the `Response`, or has the `TransportError` thrown into it; it
returns what it found out. Plans do no I/O, read no clock and never sleep, so a test can play one by `next` and `send`:

```python
plan = backend.observe(ref, hold=0)
request = next(plan)                                  # Request(method="GET", path="/jobs/42")
plan.send(Response(200, {}, b'{"status": "queued"}')) # StopIteration, whose value is the Observation
```

Inside a plan, `response = yield from send(request)` and `value = yield from call(function)` carry their types.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Any, Final, Generic, TypeAlias, TypeVar
from urllib.parse import quote

from attrs import Factory, field, frozen

from flowrunner.errors import InvalidRequest
from flowrunner.retries import ACTS, RequestKind

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from flowrunner.models import Progress

__all__ = [
    "Call",
    "FileBody",
    "Lines",
    "Page",
    "Plan",
    "Request",
    "Response",
    "Step",
    "call",
    "path",
    "send",
]

T = TypeVar("T")


Lines: TypeAlias = "Iterator[str] | AsyncIterator[str]"
"""Lines of text. Those of a response are asynchronous for an `AsyncClient`, which takes plain ones, too; whoever leaves
plain ones waits for the next line, so lines that may be long in coming are better of both kinds."""


CHUNK: Final = 256 * 1024
"""Bytes of a file that are in memory at once."""


@frozen
class FileBody:
    """A body streamed from disk: some bytes, then the file, then some bytes.

    Attributes:
        path: the file; None for a body of the other bytes alone.
        before: bytes ahead of the file's.
        after: bytes behind the file's.
        length: bytes of the file, where they are known; else it is looked at, which may block.
    """

    path: Path | None = None
    before: bytes = field(default=b"", repr=False)
    after: bytes = field(default=b"", repr=False)
    length: int | None = None

    def size(self) -> int:
        """Bytes in all.

        Raises:
            OSError: there is no such file.
        """
        return len(self.before) + self._of_file() + len(self.after)

    def _of_file(self) -> int:
        if self.path is None:
            return 0
        return self.path.stat().st_size if self.length is None else self.length

    def chunks(self) -> Generator[bytes, None, None]:
        """The body, in pieces that fit into memory; never an empty one.

        Raises:
            OSError: the file cannot be read.
        """
        if self.before:
            yield self.before
        if self.path is not None:
            with self.path.open("rb") as file:
                while chunk := file.read(CHUNK):
                    yield chunk
        if self.after:
            yield self.after


def _fits(request: Request, _attribute: object, kind: RequestKind) -> None:
    if request.repeatable is (kind in ACTS):
        asked_twice = "may be repeated" if request.repeatable else "may not be repeated"
        raise ValueError(f"a request that {asked_twice} cannot be of the kind {kind}")


def _kind_of(request: Request) -> RequestKind:
    if not request.repeatable:
        return RequestKind.SUBMIT
    if request.save_to is not None:
        return RequestKind.DOWNLOAD
    return RequestKind.READ if request.file is None else RequestKind.UPLOAD


@frozen
class Request:
    """An HTTP request, as plain data.

    Attributes:
        method: in capitals.
        path: below the connection's base address and already percent-encoded, see `path()`; or an absolute address,
            which is sent the credentials only if it is of the same origin as the connection.
        query: names and values, encoded when sent.
        headers: beside those every request of the connection has.
        json: the body as a JSON value.
        content: the body as bytes; at most one of these and `file`.
        repeatable: whether asking twice changes nothing. A request that is not is sent again only where it is certain
            that it never arrived.
        timeout: seconds to wait for the answer, where the connection's own `timeout` is too short.
        file: the body streamed from a file.
        save_to: stream the body of a successful answer to this file instead of into memory.
        stream: hand out a successful answer's text line by line, as it comes.
        progress: called with the bytes that have gone through, and those there are in all, where that is known.
        anonymous: send no credentials.
        kind: what it is for, which decides what is done when it fails, see `flowrunner.retries`. Only CANCEL has to be
            said, of what is not repeatable and starts no run; the other kinds follow from the rest.
    """

    method: str
    path: str
    query: tuple[tuple[str, str], ...] = ()
    headers: Mapping[str, str] = field(factory=dict)
    json: Any = None
    content: bytes | None = None
    repeatable: bool = True
    timeout: float | None = None
    file: FileBody | None = None
    save_to: Path | None = None
    stream: bool = False
    progress: Progress | None = None
    anonymous: bool = False
    kind: RequestKind = field(default=Factory(_kind_of, takes_self=True), validator=_fits)


@frozen
class Response:
    """An HTTP answer.

    Attributes:
        status: the status code.
        headers: looked up in lower case.
        content: the body; empty where the request had it saved to a file.
        lines: the lines of the body, where the request had it streamed.
    """

    status: int
    headers: Mapping[str, str] = field(factory=dict, repr=False)
    content: bytes = field(default=b"", repr=False)
    lines: Lines | None = field(default=None, repr=False)

    @property
    def is_success(self) -> bool:
        """Whether the status is 2xx."""
        return 200 <= self.status < 300


@frozen
class Call:
    """A function to run outside the plan, since it may block: reading a file, say.

    Attributes:
        function: takes nothing; what it returns is sent into the plan.
    """

    function: Callable[[], Any]


@frozen
class Page(Generic[T]):
    """One page of a listing.

    Attributes:
        items: what is on it.
        next: what to pass to the plan for the page after it; None at the end.
    """

    items: Sequence[T]
    next: Any = None


Step: TypeAlias = Request | Call
Plan: TypeAlias = Generator[Step, Any, T]


def send(request: Request) -> Plan[Response]:
    """Have the request sent; its answer, of whatever status.

    Raises:
        TransportError: there was no answer.
    """
    response: Response = yield request
    return response


def call(function: Callable[[], T]) -> Plan[T]:
    """Have the function run where blocking does no harm; what it returns or raises."""
    value: T = yield Call(function)
    return value


def path(*parts: str) -> str:
    """A path of the given parts, each percent-encoded whole: `path("jobs", "a/b")` is `/jobs/a%2Fb`.

    Raises:
        InvalidRequest: a part is empty or a dot segment, which no server would take for a name, or not Unicode.
    """
    return "".join(f"/{_quoted(part)}" for part in parts)


def _quoted(part: str) -> str:
    try:
        if part not in {"", ".", ".."}:
            return quote(part, safe="")
    except UnicodeEncodeError:
        pass
    raise InvalidRequest(f"{part!r} cannot be the name of anything at the vendor: check the flow or the id")
