"""Pages of many runs, of which each is read only as far as it takes to see whether there is news of it.

A page has a thousand runs, a run twenty fields or more, and three of them tell whether it stands as it stood. So a page
is read twice over: as a whole into *glances*, attrs classes of the few fields that are compared; and of a run that is
asked for, all there is. The strictness is that of `flowrunner.convert`.

With msgspec installed (the extra `fast`), it reads the glances, in a third of the time. It never decides that an answer
makes no sense: what it refuses is read again without it.
"""

from __future__ import annotations

import json
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, Generic, Protocol, TypeVar

from attrs import frozen

from flowrunner.answers import is_deep, kind_of, senseless
from flowrunner.convert import structure

if TYPE_CHECKING:
    from flowrunner.plans import Response

__all__ = ["Glimpsed", "Whole", "glimpse"]

F = TypeVar("F")


class Whole(Protocol):
    """One item of a page as a whole, by its place."""

    def value(self, index: int) -> Any:
        """The item, decoded; an empty object for one that is nested without end, of which the glance is all we know."""
        ...

    def raw(self, index: int) -> bytes | None:
        """The item as JSON; None where the vendor wrote what JSON cannot say again."""
        ...


@frozen
class Glimpsed(Generic[F]):
    """A page.

    Attributes:
        seen: what was asked for: a glance of each item, and whatever the page tells beside them.
        whole: each item as a whole.
    """

    seen: F
    whole: Whole


def glimpse(response: Response, form: type[F], *, key: str | None = None) -> Glimpsed[F]:
    """Read the glances of a page.

    What no glance asks for is not judged, as long as it is JSON: there, a number may be larger than a `float`, and
    lists may be nested as deep as the decoder goes. To look for that would cost more than all the rest.

    Args:
        response: the answer.
        form: a list of glances; or an attrs class that has one, beside what else the page tells.
        key: where in the answer the list is; None where the answer is that list.

    Raises:
        ProtocolError: the answer is not JSON, or lacks what a glance requires.
    """
    fast = _with_msgspec(response.content, form, key)
    if fast is not None:
        return fast
    value = _json_of(response)
    try:
        return Glimpsed(structure(value, form), _Decoded(value if key is None else value[key]))
    except ValueError as error:
        raise senseless(response, f"JSON that is no page of runs ({error})") from None


# With what every Python has


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


_DECODER: Final = json.JSONDecoder(parse_constant=_no_constant)


def _json_of(response: Response) -> Any:
    try:
        return _DECODER.decode(response.content.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        pass  # as in `answers.json_of`: these errors hold the whole body
    raise senseless(response, f"{kind_of(response.content.strip())} where JSON was expected")


def _unless_deep(value: Any) -> Any:
    return {} if is_deep(value) else value


class _Decoded:
    """Items that are decoded already."""

    def __init__(self, items: list[Any]) -> None:
        self._items = items

    def value(self, index: int) -> Any:
        return _unless_deep(self._items[index])

    def raw(self, index: int) -> bytes | None:
        try:
            return json.dumps(self._items[index], allow_nan=False).encode()
        except (ValueError, RecursionError):  # a number larger than a float, or lists in lists without end
            return None


# With msgspec


@cache
def msgspec() -> Any | None:
    """The package, where it is installed."""
    try:
        return import_module("msgspec")
    except ImportError:
        return None


@cache
def _decoder(form: Any) -> Any:
    package: Any = msgspec()
    return package.json.Decoder(form)


def _with_msgspec(body: bytes, form: Any, key: str | None) -> Glimpsed[Any] | None:
    """The glances as msgspec reads them; None where it is not installed, or refuses."""
    package = msgspec()
    if package is None:
        return None
    try:
        if not body.isascii():
            body.decode()  # it does not look into the texts that nobody asks for
        return Glimpsed(_decoder(form).decode(body), _Undecoded(body, key))
    except (package.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


@cache
def _raw_items(key: str | None) -> Any:
    """The form of a page of items that are bytes."""
    package: Any = msgspec()
    items: Any = list[package.Raw]
    return items if key is None else package.defstruct("Page", [(key, items)])


class _Undecoded:
    """Items that are bytes; of a page, all are found when the first is asked for."""

    def __init__(self, body: bytes, key: str | None) -> None:
        self._body = body
        self._key = key
        self._items: list[Any] | None = None

    def raw(self, index: int) -> bytes:
        if self._items is None:
            found = _decoder(_raw_items(self._key)).decode(self._body)
            self._items = found if self._key is None else getattr(found, self._key)
        return bytes(self._items[index])

    def value(self, index: int) -> Any:
        try:
            return _unless_deep(_DECODER.decode(self.raw(index).decode()))
        except RecursionError:
            return {}
