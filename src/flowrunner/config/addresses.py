"""The address of a server: what is accepted as one, and where a credential may go unencrypted."""

from __future__ import annotations

import re
from ipaddress import ip_address
from typing import Final
from urllib.parse import SplitResult, urlsplit

__all__ = ["check_address", "check_encrypted", "is_loopback", "place"]

_NEVER: Final = re.compile(r"[\x00-\x20\x7f-\x9f\\]")
"""Characters that parsers of addresses disagree about."""


def is_loopback(host: str) -> bool:
    """Whether the host is this very machine: `localhost`, 127.0.0.0/8 or ::1. Names are not looked up."""
    if host.lower() == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def check_address(text: str) -> str:
    """The address without slashes at its end.

    Raises:
        ValueError: it is not http(s) with a host, or has more than host, port and path. The text does not repeat it,
            since it may hold a password.
    """
    parts = _split(text)
    if parts is None or _NEVER.search(text) or parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("expected an address such as https://fme.example.com, with https:// or http:// in front")
    if "@" in parts.netloc:
        raise ValueError("an address must not hold a user or a password: there are settings for credentials")
    if "?" in text or "#" in text:
        raise ValueError("an address must end with its path: remove the query (?) or fragment (#)")
    return text.rstrip("/")


def check_encrypted(address: str, *, allow_insecure: bool) -> None:
    """Check that a credential sent to the address cannot be read on the way.

    Raises:
        ValueError: it can.
    """
    parts = urlsplit(address)
    host = parts.hostname or ""
    if parts.scheme != "https" and not is_loopback(host) and not allow_insecure:
        raise ValueError(
            f"plain http to {host} would show the credential to everyone on the way: use https,"
            " or set allow_insecure = true"
        )


def place(address: str) -> str:
    """The address without its scheme: `host:port/prefix`, the port where the address has one."""
    parts = urlsplit(address)
    host = parts.netloc.lower().removesuffix(":")
    return host + parts.path.rstrip("/")


def _split(text: str) -> SplitResult | None:
    try:
        parts = urlsplit(text)
        _ = parts.port  # reading it checks it
    except ValueError:
        return None
    return parts
