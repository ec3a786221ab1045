"""Where requests go, and over what: addresses, proxies, TLS."""

from __future__ import annotations

import ssl
from functools import cache, lru_cache
from typing import Final
from urllib.parse import quote, urlencode
from urllib.request import getproxies, proxy_bypass

import httpx

from flowrunner.config.addresses import is_loopback
from flowrunner.errors import ConfigError, InvalidRequest

__all__ = ["check_proxy", "environment_proxy", "origin_of", "tls_context", "url_of"]

MAX_PORT: Final = 2**16 - 1


@lru_cache(maxsize=4096)
def url_of(address: str, query: tuple[tuple[str, str], ...]) -> httpx.URL:
    """The address with its query.

    Raises:
        InvalidRequest: it is none.
    """
    # Parsing an address costs more than all else we do to a request, and polling asks for the same one again and again.
    separator = "&" if "?" in address else "?"
    text = address + separator + urlencode(query, quote_via=quote) if query else address
    try:
        url = httpx.URL(text)
    except httpx.InvalidURL as error:
        problem = str(error)
    else:
        if (url.port or 0) <= MAX_PORT:
            return url
        problem = f"there is no port {url.port}"
    raise InvalidRequest(f"{address!r} is not an address ({problem}): check base_url")


def origin_of(url: httpx.URL) -> tuple[str, str, int | None]:
    """Scheme, host and port: what has to agree for a credential to go along."""
    return url.scheme, url.host, url.port


@cache
def tls_context(ca_file: str | None) -> ssl.SSLContext:
    """Whom to trust: the usual authorities, or those in a file.

    Raises:
        ConfigError: no certificate can be read from it.
    """
    # Building one costs 20 ms, so all clients share it.
    if ca_file is None:
        return httpx.create_ssl_context()
    try:
        return ssl.create_default_context(cafile=ca_file)
    except OSError as error:
        problem = error.strerror or str(error)
    raise ConfigError(f"ca_file: no certificate can be read from {ca_file}: {problem}")


@lru_cache(maxsize=64)
def environment_proxy(scheme: str, host: str) -> str | None:
    """The environment's proxy for a host; read once, and never for loopback."""
    if is_loopback(host) or proxy_bypass(host):
        return None
    proxies = getproxies()
    proxy = proxies.get(scheme) or proxies.get("all")
    return f"http://{proxy}" if proxy and "://" not in proxy else proxy


def check_proxy(address: str | None) -> None:
    """See that a proxy's address is one.

    Raises:
        ConfigError: it is none. It is not shown, nor is what httpx says of it: there may be a password in it.
    """
    if address is None:
        return
    try:
        httpx.Proxy(address)
    except (ValueError, httpx.InvalidURL):
        is_one = False
    else:
        is_one = True
    if not is_one:
        raise ConfigError(
            "the proxy cannot be used: its address has to read like http://proxy.example.com:8080, perhaps with "
            "`USER:PASSWORD@` before the host, percent-encoded. Set `proxy`, or the environment's"
        )
