"""What is done about a request that failed, and what is reported: one table, by kind of request and kind of failure.

Whoever sends requests, judges submissions or follows runs reads it here, and the reference is generated from it. Pure.
"""

from __future__ import annotations

from enum import Enum, StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from attrs import frozen

from flowrunner.errors import (
    AuthenticationError,
    ContactLost,
    FlowrunnerError,
    InvalidRequest,
    PermissionDenied,
    ProtocolError,
    RateLimited,
    SubmissionUncertain,
    TransportError,
    VendorError,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "ACTS",
    "FAILURES",
    "TABLE",
    "Action",
    "Budget",
    "Cell",
    "Failure",
    "FailureFacts",
    "RequestKind",
    "Trace",
    "answered",
    "failure_in",
    "leaves_open",
    "may_pass",
]


class RequestKind(StrEnum):
    """What a request is for, as far as that decides whether it is sent again.

    A backend says CANCEL where it applies; `Request` finds out the others. LOOK is what is asked once for all that the
    client asks later by itself: looks at a run that is followed, above all.
    """

    LOOK = "look"
    READ = "read"
    CANCEL = "cancel"
    SUBMIT = "submit"
    UPLOAD = "upload"
    DOWNLOAD = "download"


class Failure(StrEnum):
    """What became of a request that did not succeed."""

    ADDRESS = "address"
    DNS = "dns"
    REFUSED = "refused"
    CONNECT_TIMEOUT = "connect_timeout"
    TLS = "tls"
    CERTIFICATE = "certificate"
    PROXY = "proxy"
    NO_CONNECTION = "no_connection"
    NO_TURN = "no_turn"
    LOGIN = "login"
    READ_TIMEOUT = "read_timeout"
    RESET_BEFORE = "reset_before"
    RESET_AFTER = "reset_after"
    WRONG_CONTENT = "wrong_content"
    HTTP_3XX = "http_3xx"
    HTTP_401 = "http_401"
    HTTP_403 = "http_403"
    HTTP_408 = "http_408"
    HTTP_425 = "http_425"
    HTTP_429 = "http_429"
    HTTP_4XX = "http_4xx"
    HTTP_500_IN_WORDS = "http_500_in_words"
    HTTP_500 = "http_500"
    HTTP_502 = "http_502"
    HTTP_503_WAIT = "http_503_wait"
    HTTP_503 = "http_503"
    HTTP_504 = "http_504"
    HTTP_52X = "http_52x"
    HTTP_5XX = "http_5xx"


class Trace(Enum):
    """What a request that failed has left behind at the vendor; the value says it in words."""

    NONE = "nothing, for certain"
    REFUSED = "an answer that says no"
    UNKNOWN = "it may have acted"


class Action(StrEnum):
    """What is done after a failure.

    AGAIN: sent again, as often and as long as `retries` and `retry_budget` allow. NEVER: not sent again. RENEW: sent
    again once, if the credential, read anew, is another. LATER: following looks again, for `contact_budget`.
    """

    AGAIN = "again"
    NEVER = "never"
    RENEW = "renew"
    LATER = "later"


@frozen
class FailureFacts:
    """What holds of a failure, whatever the request was for.

    Attributes:
        text: what it is, in words.
        passes: whether the same request may succeed soon.
        trace: what it has left behind at the vendor.
        errors: what is raised for it; a backend that finds more in an answer may raise what says more.
    """

    text: str
    passes: bool
    trace: Trace
    errors: tuple[type[FlowrunnerError], ...]


def _fact(text: str, passes: bool, trace: Trace, *errors: type[FlowrunnerError]) -> FailureFacts:  # noqa: FBT001 - a cell
    return FailureFacts(text, passes, trace, errors)


_PASSES, _STAYS = True, False
_NONE, _NO, _UNKNOWN = Trace.NONE, Trace.REFUSED, Trace.UNKNOWN

FAILURES: Final[Mapping[Failure, FailureFacts]] = MappingProxyType({
    # what it is, whether it passes, what it left behind, what is raised
    Failure.ADDRESS: _fact("nothing can be sent to the address", _STAYS, _NONE, TransportError),
    Failure.DNS: _fact("the server's name is not resolved", _PASSES, _NONE, TransportError),
    Failure.REFUSED: _fact("no connection: refused, or no way there", _PASSES, _NONE, TransportError),
    Failure.CONNECT_TIMEOUT: _fact("no connection in time", _PASSES, _NONE, TransportError),
    Failure.TLS: _fact("TLS fails", _PASSES, _NONE, TransportError),
    Failure.CERTIFICATE: _fact("TLS: the certificate is not trusted", _STAYS, _NONE, TransportError),
    Failure.PROXY: _fact("the proxy does not connect", _PASSES, _NONE, TransportError),
    Failure.NO_CONNECTION: _fact("all of `max_connections` were in use for too long", _PASSES, _NONE, TransportError),
    Failure.NO_TURN: _fact("its turn would be more than a minute off", _STAYS, _NONE, TransportError),
    Failure.LOGIN: _fact("the login it needs fails", _STAYS, _NONE, TransportError),
    Failure.READ_TIMEOUT: _fact("no answer, or not all of it, in time", _PASSES, _UNKNOWN, TransportError),
    Failure.RESET_BEFORE: _fact("the connection breaks before the answer", _PASSES, _UNKNOWN, TransportError),
    Failure.RESET_AFTER: _fact("the connection breaks within the answer", _PASSES, _UNKNOWN, TransportError),
    Failure.WRONG_CONTENT: _fact("2xx that cannot be read", _STAYS, _UNKNOWN, ProtocolError),
    Failure.HTTP_3XX: _fact("a redirect; none is followed", _STAYS, _NO, ProtocolError),
    Failure.HTTP_401: _fact("401", _STAYS, _NO, AuthenticationError),
    Failure.HTTP_403: _fact("403", _STAYS, _NO, PermissionDenied),
    Failure.HTTP_408: _fact("408", _PASSES, _UNKNOWN, InvalidRequest, ProtocolError),
    Failure.HTTP_425: _fact("425", _PASSES, _NO, InvalidRequest, ProtocolError),
    Failure.HTTP_429: _fact("429", _PASSES, _NONE, RateLimited),
    Failure.HTTP_4XX: _fact("any other 4xx", _STAYS, _NO, InvalidRequest, ProtocolError),
    # In the vendor's own words it is an answer; without them it may come from a proxy, or from a crash halfway.
    Failure.HTTP_500_IN_WORDS: _fact("500 in the vendor's own words", _PASSES, _NO, VendorError),
    Failure.HTTP_500: _fact("500 otherwise", _PASSES, _UNKNOWN, VendorError),
    Failure.HTTP_502: _fact("502", _PASSES, _UNKNOWN, VendorError),
    Failure.HTTP_503_WAIT: _fact("503 with `Retry-After`", _PASSES, _NONE, VendorError),
    Failure.HTTP_503: _fact("503 without", _PASSES, _NO, VendorError),
    Failure.HTTP_504: _fact("504", _PASSES, _UNKNOWN, VendorError),
    # What a well-known proxy answers when it could not read its server's answer, and does not say how far it came.
    Failure.HTTP_52X: _fact("520 to 530", _STAYS, _UNKNOWN, VendorError),
    Failure.HTTP_5XX: _fact("any other 5xx", _STAYS, _NO, VendorError),
})  # fmt: skip


@frozen
class Cell:
    """A cell of the table.

    Attributes:
        action: what is done.
        errors: what is raised when that is of no use: one of these.
    """

    action: Action
    errors: tuple[type[FlowrunnerError], ...]


ACTS: Final = frozenset({RequestKind.SUBMIT, RequestKind.CANCEL})
"""Not repeatable: sent again only where it is certain that nothing came of them, for fear of a second run."""
ENDS_FOLLOWING: Final = frozenset({Failure.HTTP_401, Failure.HTTP_403})
"""What no further look can mend."""


def _cell(kind: RequestKind, failure: Failure) -> Cell:
    facts = FAILURES[failure]
    if failure is Failure.HTTP_401:
        return Cell(Action.RENEW, facts.errors)
    if kind is RequestKind.LOOK:
        if failure in ENDS_FOLLOWING:
            return Cell(Action.NEVER, facts.errors)
        return Cell(Action.LATER, (ContactLost,))
    uncertain = kind is RequestKind.SUBMIT and facts.trace is Trace.UNKNOWN
    again = facts.passes and (kind not in ACTS or facts.trace is Trace.NONE)
    errors = (SubmissionUncertain,) if uncertain else facts.errors
    return Cell(Action.AGAIN if again else Action.NEVER, errors)


TABLE: Final[Mapping[tuple[RequestKind, Failure], Cell]] = MappingProxyType({
    (kind, failure): _cell(kind, failure)
    for failure in Failure
    for kind in RequestKind
    # Whatever is in an answer that is saved to a file is what was asked for.
    if (kind, failure) != (RequestKind.DOWNLOAD, Failure.WRONG_CONTENT)
})  # fmt: skip


def may_pass(failure: Failure) -> bool:
    """Whether the same request may succeed soon."""
    return FAILURES[failure].passes


def leaves_open(failure: Failure) -> bool:
    """Whether the vendor may have acted on a request that failed so."""
    return FAILURES[failure].trace is Trace.UNKNOWN


_BY_STATUS: Final = {
    401: Failure.HTTP_401,
    403: Failure.HTTP_403,
    408: Failure.HTTP_408,
    425: Failure.HTTP_425,
    429: Failure.HTTP_429,
    500: Failure.HTTP_500,
    502: Failure.HTTP_502,
    503: Failure.HTTP_503,
    504: Failure.HTTP_504,
    **dict.fromkeys(range(520, 531), Failure.HTTP_52X),
}
_BY_CLASS: Final = {3: Failure.HTTP_3XX, 4: Failure.HTTP_4XX, 5: Failure.HTTP_5XX}


def answered(status: int, *, in_words: bool = False, waits: bool = False) -> Failure | None:
    """Which failure an answer is; None for none.

    Args:
        status: its status.
        in_words: whether it is in the vendor's own words, as far as anybody has looked.
        waits: whether it has a `Retry-After` that can be read.
    """
    if status == 500 and in_words:
        return Failure.HTTP_500_IN_WORDS
    if status == 503 and waits:
        return Failure.HTTP_503_WAIT
    return _BY_STATUS.get(status) or _BY_CLASS.get(status // 100)


def failure_in(error: FlowrunnerError) -> Failure | None:
    """Which failure of a request an error stands for; None where it is about something else."""
    if isinstance(error, TransportError):
        return error.failure
    if isinstance(error, AuthenticationError):
        return Failure.HTTP_401
    if isinstance(error, PermissionDenied) and not error.transient:
        return Failure.HTTP_403
    status = error.http_status
    if isinstance(error, ProtocolError) and (status is None or 200 <= status < 300):
        return Failure.WRONG_CONTENT
    if status is None:
        return None
    return answered(status, in_words=error.vendor_message is not None, waits=error.retry_after is not None)


class Budget:
    """How long an operation goes on sending its requests again, from the first failure on.

    Args:
        length: seconds.
    """

    def __init__(self, length: float) -> None:
        self._length = length
        self._ends: float | None = None

    def left(self, now: float) -> float:
        """Seconds that are left now, in monotonic seconds, after a failure; the first one sets it running."""
        if self._ends is None:
            self._ends = now + self._length
        return self._ends - now
