"""GUIDs that carry a number, so that what is numbered inside is found again by what is shown outside."""

from __future__ import annotations

from uuid import NAMESPACE_URL, uuid5

_DIGITS = 12


def make_guid(kind: str, number: int) -> str:
    """Return the GUID of the thing of a kind that has a number, the same one every time."""
    return f"{_head(kind)}{number:0{_DIGITS}x}"


def number_of(kind: str, guid: str) -> int | None:
    """Return the number of the thing of a kind that has a GUID, in whatever case; None if it is of no such thing."""
    head, tail = guid[:-_DIGITS].lower(), guid[-_DIGITS:].lower()
    if head != _head(kind) or not set(tail) <= set("0123456789abcdef"):
        return None
    return int(tail, 16)


def _head(kind: str) -> str:
    return str(uuid5(NAMESPACE_URL, kind))[:-_DIGITS]
