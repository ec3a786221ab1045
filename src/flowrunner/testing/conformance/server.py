"""The vendor, played by a script: what the author of a backend supplies, requests in and responses out.

```python
class AcmeServer(ScriptedServer):
    flow = "nightly"

    def respond(self, asked):
        if asked.headers.get("x-key") != "t0ken-of-acme":
            return self.refusal(401)
        match asked.method, asked.parts:
            case "POST", ("flows", flow, "runs"):
                if not self.has(flow):
                    return self.refusal(404)
                run = self.start(flow, parameters=asked.json)
                return reply(201, {"id": run.id, "status": run.word})
            case "GET", ("runs", run_id):
                run = self.find(run_id)
                return reply(200, {"id": run.id, "status": run.word}) if run else self.refusal(404)
        return self.refusal(404)
```

The books (`start`, `find`, `cancel`, `page`) are kept here; how the vendor writes things is for `respond` to know. The
suite changes a run between two requests, and has other answers given in between.

A backend that sends no requests has no use for `respond`. Its server overrides `started`, `start`, `find`, `show` and
`purge` to act on what the backend looks at, and does there what is asked of the vendor: `examples/flowrunner-local`.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal, TypeVar
from urllib.parse import parse_qsl, unquote, urlsplit

from attrs import define, field, frozen

from flowrunner.plans import Response

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["Asked", "ScriptedRun", "ScriptedServer", "reply"]

T = TypeVar("T")

ABSENT: Final = object()
"""The value of a time that the vendor's answer does not have at all."""


@frozen
class Asked:
    """A request, as a script wants to read it.

    Attributes:
        method: in capitals.
        parts: of the path, each decoded; of `/runs/a%2Fb` they are `("runs", "a/b")`.
        query: names and values, decoded; of a name given several times the last value.
        queries: all of them in order.
        headers: by lower-case name.
        body: as it came.
    """

    method: str
    parts: tuple[str, ...]
    query: Mapping[str, str]
    queries: tuple[tuple[str, str], ...]
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)

    @classmethod
    def read(cls, method: str, url: str, headers: Mapping[str, str], body: bytes) -> Asked:
        """A request out of what went over the wire."""
        split = urlsplit(url)
        queries = tuple(parse_qsl(split.query, keep_blank_values=True))
        parts = tuple(unquote(part) for part in split.path.split("/")[1:])
        return cls(method, parts, dict(queries), queries, headers, body)

    @property
    def json(self) -> Any:
        """The body, decoded; an empty object for an empty one."""
        return json.loads(self.body or b"{}")


def reply(status: int, body: Any = None, headers: Mapping[str, str] | None = None) -> Response:
    """An answer: bytes go out as they are, None is an empty body, anything else becomes JSON."""
    content = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
    return Response(status, {"content-type": "application/json", **(headers or {})}, content)


@define
class ScriptedRun:
    """A run as the script has it; the suite changes it between two requests.

    Attributes:
        id: the vendor's.
        flow: what runs.
        word: the vendor's status word, None for a record without one.
        parameters: as they arrived, decoded.
        payload: as it arrived.
        message: what the vendor says about it.
        progress: 0.0 to 1.0.
        queued_at: as the record has it, whatever that is; `ABSENT` for no such key; so are the next two.
        started_at: when work began.
        finished_at: when it ended.
        log: its lines.
        files: what it made, by name.
        question: what a waiting run asks: `{"schema": ..., "model": ...}`.
        answers: what it was answered.
        notes: whatever the script wants to keep of it.
    """

    id: str
    flow: str
    word: str | None
    parameters: Mapping[str, Any] = field(factory=dict)
    payload: bytes | None = None
    message: str | None = None
    progress: float | None = None
    queued_at: Any = ABSENT
    started_at: Any = ABSENT
    finished_at: Any = ABSENT
    log: list[str] = field(factory=list)
    files: dict[str, bytes] = field(factory=dict)
    question: Mapping[str, Any] | None = None
    answers: Mapping[str, Any] | None = None
    notes: dict[str, Any] = field(factory=dict)


class ScriptedServer:
    """The vendor's server; derive from it and say in `respond` how the vendor writes.

    Attributes:
        flow: a flow it has.
        other_flow: another one; the two are all it has.
        odd_flow: a flow whose name needs encoding, known beside the two; None where the vendor has no such names.
        odd_id: an id that needs encoding; None where the vendor's ids are numbers.
        first_word: of a run that was just started.
        cancelled_word: of a run whose cancellation was carried out; None where the vendor cannot cancel.
        cancels: whether a cancellation is carried out before it is answered, or after, or either may be.
        cannot_cancel: live words at which the vendor cannot cancel.
        cancels_at_once: whether an accepted cancellation is carried out before it is answered.
        page_size: how many items a page has, whatever was asked for.
        settings: what connections to this very server are configured with, beside those of the suite: the folder, say,
            in which a vendor that is no server keeps its runs.
        runs: all runs it has, in the order in which they were started.
        started: how many runs were ever started.
        uploaded: files that were brought there, by name.
    """

    flow: ClassVar[str] = "nightly"
    other_flow: ClassVar[str] = "weekly"
    odd_flow: ClassVar[str | None] = "Größe & <mehr>/a b?c#d%e+f"
    odd_id: ClassVar[str | None] = "ä/b c?d#e%f+g"
    first_word: ClassVar[str] = "queued"
    cancelled_word: ClassVar[str | None] = None
    cancels: ClassVar[Literal["at_once", "later", "either"]] = "either"
    cannot_cancel: ClassVar[frozenset[str]] = frozenset()
    started: int = 0

    def __init__(self) -> None:
        self.settings: dict[str, Any] = {}
        self.cancels_at_once = self.cancels != "later"
        self.page_size = 100
        self.runs: dict[str, ScriptedRun] = {}
        self.uploaded: dict[str, bytes] = {}
        self.next_id: str | None = None

    def respond(self, asked: Asked) -> Response:
        """The vendor's answer to a request."""
        raise NotImplementedError

    def refusal(self, status: int, text: str = "refused by the script") -> Response:
        """How the vendor says no: its own form of an error with this status."""
        return reply(status, {"message": text})

    # The books, for `respond`

    def has(self, flow: str) -> bool:
        """Whether there is such a flow."""
        return flow in {self.flow, self.other_flow, self.odd_flow}

    def start(
        self, flow: str, *, parameters: Mapping[str, Any] | None = None, payload: bytes | None = None
    ) -> ScriptedRun:
        """Start a run."""
        self.started += 1
        run_id, self.next_id = self.next_id or str(self.started), None
        run = ScriptedRun(run_id, flow, self.first_word, parameters or {}, payload)
        self.runs[run_id] = run
        return run

    def find(self, run_id: str) -> ScriptedRun | None:
        """The run of an id; None where there is none, or no longer."""
        return self.runs.get(run_id)

    def cancel(self, run: ScriptedRun) -> None:
        """Accept the cancellation of a live run."""
        if self.cancels_at_once:
            run.word = self.cancelled_word

    def newest_first(self) -> list[ScriptedRun]:
        """All runs, as a listing has them."""
        return list(reversed(self.runs.values()))

    def page(self, items: Sequence[T], offset: int, limit: int | None = None) -> list[T]:
        """A page of a listing: no more than the server gives, nor than was asked for."""
        return list(items[offset : offset + min(self.page_size, limit or self.page_size)])

    # The controls, for the suite; override them where runs live elsewhere than in these books

    def show(self, run_id: str, **changes: Any) -> None:
        """Have a run stand otherwise from now on."""
        for name, value in changes.items():
            setattr(self.runs[run_id], name, value)

    def purge(self, run_id: str) -> None:
        """Forget a run, as vendors do with old ones."""
        del self.runs[run_id]

    def close(self) -> None:
        """Let go of whatever lives outside of memory."""
