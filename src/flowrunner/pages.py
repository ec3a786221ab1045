"""Pages of many runs, of which each is read only as far as it takes to see whether there is news of it.

A page has a thousand runs, a run twenty fields or more, and three of them tell whether it stands as it stood. So all of
a page is read into *glances*, attrs classes of the few fields that are compared; and a run that is asked for as if it
had been answered alone. The strictness is that of `flowrunner.convert`.

With msgspec installed (the extra `fast`), it reads the glances, in a fourth of the time or so; without it, Python does,
part by part. Neither decides that an answer makes no sense: what they refuse is read once more, as a whole.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from collections.abc import Sequence
from functools import cache
from importlib import import_module
from itertools import count
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar, get_origin, overload

from attrs import field, fields_dict, frozen, resolve_types

from flowrunner.answers import kind_of, senseless
from flowrunner.convert import structure
from flowrunner.plans import Response

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from flowrunner.backend import Sighting

__all__ = ["Glimpsed", "Sightings", "glimpse"]

F = TypeVar("F")
G = TypeVar("G")


@frozen
class Glimpsed(Generic[F]):
    """A page.

    Attributes:
        seen: what was asked for: a glance of each item, and whatever the page tells beside them.
    """

    seen: F
    _raw: Callable[[int], bytes] = field(repr=False)

    def item(self, index: int) -> Response:
        """An item as a whole, by its place, as if it had been answered alone."""
        return Response(200, {}, self._raw(index))


class Sightings(Sequence["Sighting"], Generic[G]):
    """The runs of a page, each made when it is looked at: most are looked at once, and none is kept.

    Args:
        glances: of each; or whatever else tells `see` which it is.
        see: makes a run of its place among these and its glance.
    """

    def __init__(self, glances: list[G], see: Callable[[int, G], Sighting]) -> None:
        self._glances = glances
        self._see = see

    def __len__(self) -> int:
        return len(self._glances)

    @overload
    def __getitem__(self, index: int) -> Sighting: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Sighting]: ...
    def __getitem__(self, index: int | slice) -> Sighting | Sequence[Sighting]:
        places = range(len(self))[index]
        if isinstance(places, int):
            return self._see(places, self._glances[places])
        return [self._see(place, self._glances[place]) for place in places]

    def __iter__(self) -> Iterator[Sighting]:
        return map(self._see, count(), self._glances)


def glimpse(response: Response, form: type[F], *, key: str | None = None) -> Glimpsed[F]:
    """Read the glances of a page.

    What no glance asks for is not judged before its item is read, as long as it is JSON: how deep it is nested, and
    whether its numbers are finite. To look for that would cost more than all the rest.

    Args:
        response: the answer.
        form: a list of glances; or an attrs class that has one, beside what else the page tells.
        key: where in the answer the list is; None where the answer is that list.

    Raises:
        ProtocolError: the answer is not JSON, or lacks what a glance requires.
    """
    body = response.content
    return _with_msgspec(body, form, key) or _in_parts(body, form, key) or _as_a_whole(response, form, key)


# As a whole


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


_DECODER: Final = json.JSONDecoder(parse_constant=_no_constant)


def _as_a_whole(response: Response, form: Any, key: str | None) -> Glimpsed[Any]:
    value = _json_of(response)
    try:
        seen = structure(value, form)
    except ValueError as error:
        raise senseless(response, f"JSON that is no page of runs ({error})") from None
    items = value if key is None else value[key]
    return Glimpsed(seen, lambda index: _written(items[index]))


def _json_of(response: Response) -> Any:
    try:
        return _DECODER.decode(response.content.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        pass  # as in `answers.json_of`: these errors hold the whole body
    raise senseless(response, f"{kind_of(response.content.strip())} where JSON was expected")


def _written(item: Any) -> bytes:
    """An item, written again; without what is nested too deep for that, which whoever reads it refuses."""
    try:
        return json.dumps(item).encode()
    except RecursionError:
        return b""


# In parts


PART: Final = 16 * 1024
"""Characters of a page that are read at once, and what there is to the end of an item."""
_SPACE: Final = r"[ \t\n\r]*"
"""All that JSON has between its marks."""


def _in_parts(body: bytes, form: Any, key: str | None) -> Glimpsed[Any] | None:
    """The glances of a page that is read part by part; None where it is no such page, or makes no sense.

    As a whole, its items are tens of thousands of objects, for which Python gets memory from the system and gives it
    back, page after page, and which it searches for cycles. Few at a time they stay in a processor's cache.
    """
    try:
        text = body.decode("utf-8-sig")
        begin, listed = _beginning(key)(text), _list_in(form, key)
        if begin is None or listed is None:
            return None
        parts = _Parts(text, begin.end(), begin["name"])
        glances = [glance for items in parts for glance in structure(items, listed)]
        seen = structure(_around(text[: begin.start("list")], text[parts.end :], key), form)
    except (ValueError, RecursionError):
        return None
    (seen if key is None else getattr(seen, key)).extend(glances)
    return Glimpsed(seen, parts.item)


@cache
def _beginning(key: str | None) -> Callable[[str], re.Match[str] | None]:
    """Finds where the items of such a list begin, and the name that the first begins with, if that is a short one."""
    before = "" if key is None else f'"{re.escape(key)}"{_SPACE}:{_SPACE}'
    return re.compile(rf'{before}(?P<list>\[){_SPACE}(?=\{{{_SPACE}(?P<name>"[^"\\]{{0,60}}"){_SPACE}:)').search


@cache
def _list_in(form: Any, key: str | None) -> Any:
    """The form of the list of glances; None where that is no plain list."""
    declared = form if key is None else getattr(fields_dict(resolve_types(form)).get(key), "type", None)
    return declared if get_origin(declared) is list else None


def _around(before: str, after: str, key: str | None) -> Any:
    """What stands around the list, and an empty one in its place, which must be the place of that name.

    Raises:
        ValueError: it is not JSON, or the list stood elsewhere.
    """
    lists: list[list[Any]] = []

    def put(_: str) -> list[Any]:
        lists.append([])
        return lists[-1]

    value = json.JSONDecoder(parse_constant=put).decode(f"{before}NaN{after}")
    found = value.get(key) if type(value) is dict else value
    if len(lists) != 1 or found is not lists[0]:
        raise ValueError("the list stood elsewhere")
    return value


class _Parts:
    """The items of a list, some at a time.

    A part ends where an item seems to begin as the first one does. If it is JSON it does end there: no text can be read
    as JSON in two ways. If it is not, what is left is read as one.

    Args:
        text: has the list.
        begin: where its first item begins.
        name: what that begins with, in quotes.

    Attributes:
        end: where the list ends; known when it has been read.
    """

    def __init__(self, text: str, begin: int, name: str) -> None:
        self._text = text
        self._begin = begin
        self._next = re.compile(rf"\}}{_SPACE},{_SPACE}(?=\{{{_SPACE}{re.escape(name)}{_SPACE}:)").search
        self._parts: list[slice] = []
        self._firsts = [0]
        self._last: tuple[int, list[Any]] = -1, []
        self.end = begin

    def __iter__(self) -> Iterator[list[Any]]:
        begin = self._begin
        while (following := self._next(self._text, begin + PART)) is not None:
            part = slice(begin, following.start() + 1)
            try:
                items = _DECODER.decode(f"[{self._text[part]}]")
            except ValueError:
                break  # no item ends there
            self._note(part, len(items))
            yield items
            begin = following.end()
        items, length = _DECODER.raw_decode(f"[{self._text[begin:]}")
        self.end = begin + length - 1
        self._note(slice(begin, self.end - 1), len(items))
        yield items

    def _note(self, part: slice, count: int) -> None:
        self._parts.append(part)
        self._firsts.append(self._firsts[-1] + count)

    def item(self, index: int) -> bytes:
        """An item, by its place, written again; without what is nested too deep for that."""
        part = bisect_right(self._firsts, index) - 1
        last, items = self._last
        try:
            if part != last:
                items = _DECODER.decode(f"[{self._text[self._parts[part]]}]")
        except RecursionError:
            return b""  # it was read when the stack had more room
        self._last = part, items
        return _written(items[index - self._firsts[part]])


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


@cache
def _raw_items(key: str | None) -> Any:
    """The form of a page of items that stay bytes."""
    package: Any = msgspec()
    items: Any = list[package.Raw]
    return items if key is None else package.defstruct("Page", [(key, items)])


def _with_msgspec(body: bytes, form: Any, key: str | None) -> Glimpsed[Any] | None:
    """The glances as msgspec reads them; None where it is not installed, or refuses."""
    package = msgspec()
    if package is None:
        return None
    try:
        if not body.isascii():
            body.decode()  # it does not look into the texts that nobody asks for
        return Glimpsed(_decoder(form).decode(body), _Cut(body, key))
    except (package.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


class _Cut:
    """The items of a page as they came; all are found when the first is asked for."""

    def __init__(self, body: bytes, key: str | None) -> None:
        self._body = body
        self._key = key
        self._items: list[Any] | None = None

    def __call__(self, index: int) -> bytes:
        if self._items is None:
            page = _decoder(_raw_items(self._key)).decode(self._body)
            self._items = page if self._key is None else getattr(page, self._key)
        return bytes(self._items[index])
