"""HTTP: the only module that knows httpx. It sends `Request`s, and knows no vendor.

It works on httpx's transports rather than on its client: a connection needs no cookie jar, no redirects, no event hooks
and no log of every address, and part of the time of every small request goes there. `Wire` holds all that does no
I/O; `HttpSession` and `AsyncHttpSession` differ in `await`.
"""

from __future__ import annotations

from flowrunner.http.sessions import AsyncHttpSession, HttpSession

__all__ = ["AsyncHttpSession", "HttpSession"]
