"""Requests without an answer: our errors for httpx's, and what they leave open."""

from __future__ import annotations

import socket
import ssl
from typing import TYPE_CHECKING, Final

import httpx

from flowrunner.errors import FlowrunnerError, TransportError
from flowrunner.retries import Failure, leaves_open, may_pass

if TYPE_CHECKING:
    from flowrunner.plans import Request

__all__ = ["FAILURES", "never_sent", "too_early", "translate"]

NO_ADDRESS: Final = (httpx.UnsupportedProtocol, httpx.LocalProtocolError, UnicodeError)
"""Nothing can be sent there; the last is how resolvers refuse a name."""
FAILURES: Final = (httpx.HTTPError, httpx.StreamError, *NO_ADDRESS)
_CAUSES: Final = (
    (ssl.SSLCertVerificationError, Failure.CERTIFICATE),
    (ssl.SSLError, Failure.TLS),
    (socket.gaierror, Failure.DNS),
)
"""What the system's error says of a connection that was not made."""
_ERRORS: Final = (
    *((each, Failure.ADDRESS) for each in NO_ADDRESS),
    (httpx.ConnectTimeout, Failure.CONNECT_TIMEOUT),
    (httpx.PoolTimeout, Failure.NO_CONNECTION),
    (httpx.TimeoutException, Failure.READ_TIMEOUT),
    (httpx.ProxyError, Failure.PROXY),
)
_ADVICE: Final = {
    Failure.CERTIFICATE: "Its certificate is not trusted: if it is signed by your own authority, set ca_file",
    Failure.PROXY: "Check the setting `proxy`, or the environment's",
    Failure.NO_CONNECTION: "Raise max_connections, or the setting `timeout` if the server is slow",
    Failure.READ_TIMEOUT: "If the server is slow, raise the setting `timeout`",
    Failure.RESET_BEFORE: "The connection broke; try again",
    Failure.RESET_AFTER: "The connection broke; try again",
}
_BROKEN: Final = "The connection broke, and the request may have arrived"
"""Said of a reset of what may not be repeated: trying again might act twice."""
_CHECK: Final = "Check base_url, that the server runs, and that this machine may reach it"


def translate(error: Exception, request: Request, url: httpx.URL, *, began: bool = False) -> TransportError:
    """Our error for httpx's, which is not chained: frames of the HTTP library hold the credential.

    Args:
        error: httpx's.
        request: what was to be sent.
        url: where to.
        began: whether an answer had begun to come.
    """
    failure = _failure_of(error, began=began)
    is_reset = failure in {Failure.RESET_BEFORE, Failure.RESET_AFTER}
    advice = _BROKEN if is_reset and not request.repeatable else _ADVICE.get(failure, _CHECK)
    return TransportError(
        f"no answer from {url.scheme}://{url.netloc.decode('ascii')} to {request.method} {url.path}: "
        f"{str(error).rstrip('.') or type(error).__name__}. {advice}",
        maybe_arrived=leaves_open(failure),
        failure=failure,
        transient=may_pass(failure),
    )


def _failure_of(error: Exception, *, began: bool) -> Failure:
    if isinstance(error, httpx.ConnectError):
        return _of_connection(error)
    of_kind = (failure for kind, failure in _ERRORS if isinstance(error, kind))
    return next(of_kind, Failure.RESET_AFTER if began else Failure.RESET_BEFORE)


def _of_connection(error: BaseException | None) -> Failure:
    """Why a connection was not made: the system's error is beneath those of the HTTP library."""
    while error is not None and not isinstance(error, OSError):
        error = error.__cause__ or error.__context__
    return next((failure for kind, failure in _CAUSES if isinstance(error, kind)), Failure.REFUSED)


def too_early(pause: float) -> TransportError:
    """A request would have to wait too long for its turn."""
    return TransportError(
        f"nothing was sent, for {pause:g} s more the vendor asked for silence, or requests_per_second wants it: "
        "wait so long",
        maybe_arrived=leaves_open(Failure.NO_TURN),
        failure=Failure.NO_TURN,
        retry_after=pause,
    )


def never_sent(error: FlowrunnerError) -> TransportError:
    """What a login that failed is to the request it was for, a submission perhaps: that one was never sent."""
    return TransportError(
        f"the login failed, and nothing else was sent: {error.message}",
        maybe_arrived=leaves_open(Failure.LOGIN),
        failure=Failure.LOGIN,
        http_status=error.http_status,
        vendor_message=error.vendor_message,
        retry_after=error.retry_after,
        transient=error.transient,
    )
