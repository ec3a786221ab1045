"""Pages of many runs, of which each is read only as far as it takes to see whether there is news of it.

A page has a thousand runs, a run twenty fields or more, and three of them tell whether it stands as it stood. So a page
is read as a whole into *glances*, attrs classes of the few fields that are compared; and a run that is asked for as if
it had been answered alone. The strictness is that of `flowrunner.convert`.

With msgspec installed (the extra `fast`), it reads the glances, in about a third of the time. It never decides that an
answer makes no sense: what it refuses is read again without it.
"""

from __future__ import annotations

import gc
import json
from collections.abc import Sequence
from contextlib import contextmanager
from functools import cache, partial
from importlib import import_module
from itertools import count
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar, overload

from attrs import field, frozen

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
    with _undisturbed():
        return _with_msgspec(response.content, form, key) or _with_json(response, form, key)


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Have Python not look for cycles meanwhile.

    A page is tens of thousands of objects that go as one, and none is in a cycle. While they come, all objects of the
    program would be looked through again and again, which takes longer than reading the page.
    """
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


# With what every Python has


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _with_json(response: Response, form: Any, key: str | None) -> Glimpsed[Any]:
    value = _json_of(response)
    try:
        seen = structure(value, form)
    except ValueError as error:
        raise senseless(response, f"JSON that is no page of runs ({error})") from None
    return Glimpsed(seen, partial(_written, value if key is None else value[key]))


_DECODER: Final = json.JSONDecoder(parse_constant=_no_constant)


def _json_of(response: Response) -> Any:
    try:
        return _DECODER.decode(response.content.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        pass  # as in `answers.json_of`: these errors hold the whole body
    raise senseless(response, f"{kind_of(response.content.strip())} where JSON was expected")


def _written(items: list[Any], index: int) -> bytes:
    """An item, written again; without what is nested too deep for that, which whoever reads it refuses."""
    try:
        return json.dumps(items[index]).encode()
    except RecursionError:
        return b""


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
