"""Requests without an answer: our errors for httpx's, and what they leave open."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import httpx

from flowrunner.errors import FlowrunnerError, TransportError

if TYPE_CHECKING:
    from flowrunner.plans import Request

__all__ = ["FAILURES", "never_sent", "too_early", "translate"]

NO_ADDRESS: Final = (httpx.UnsupportedProtocol, httpx.LocalProtocolError, UnicodeError)
"""Nothing can be sent there; the last is how resolvers refuse a name."""
NEVER_SENT: Final = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ProxyError,
    *NO_ADDRESS,
)
"""The connection was never made, or the request never left."""
FAILURES: Final = (httpx.HTTPError, httpx.StreamError, *NO_ADDRESS)


def translate(error: Exception, request: Request, url: httpx.URL) -> TransportError:
    """Our error for httpx's, which is not chained: frames of the HTTP library hold the credential."""
    text = str(error)
    permanent = isinstance(error, NO_ADDRESS) or "CERTIFICATE" in text
    return TransportError(
        f"no answer from {url.scheme}://{url.netloc.decode('ascii')} to {request.method} {url.path}: "
        f"{text.rstrip('.') or type(error).__name__}. {_advice(error, text)}",
        maybe_arrived=not isinstance(error, NEVER_SENT),
        transient=not permanent,
    )


def _advice(error: Exception, text: str) -> str:
    if "CERTIFICATE" in text:
        return "Its certificate is not trusted: if it is signed by your own authority, set ca_file"
    if isinstance(error, (httpx.ConnectError, httpx.ConnectTimeout, *NO_ADDRESS)):
        return "Check base_url, that the server runs, and that this machine may reach it"
    if isinstance(error, httpx.TimeoutException):
        return "If the server is slow, raise the setting `timeout`"
    return "The connection broke; try again"


def too_early(pause: float) -> TransportError:
    """A request would have to wait too long for its turn."""
    return TransportError(
        f"nothing was sent, for {pause:g} s more the vendor asked for silence, or requests_per_second wants it: "
        "wait so long",
        maybe_arrived=False,
        retry_after=pause,
    )


def never_sent(error: FlowrunnerError) -> TransportError:
    """What a login that failed is to the request it was for, a submission perhaps: that one was never sent."""
    return TransportError(
        f"the login failed, and nothing else was sent: {error.message}",
        maybe_arrived=False,
        http_status=error.http_status,
        vendor_message=error.vendor_message,
        retry_after=error.retry_after,
        transient=error.transient,
    )
