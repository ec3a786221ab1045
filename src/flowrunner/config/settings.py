"""What a settings class declares, and how a value from outside becomes a value of a declared type.

Values keep their types: nothing is coerced but the text of environment variables. Problems are `ValueError`s whose text
does not repeat the value; `config` turns them into `ConfigError`s.
"""

from __future__ import annotations

import math
import types
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Union, get_args, get_origin, get_type_hints

from attrs import NOTHING, fields, frozen

from flowrunner.enums import Cause, RunState, WaitReason
from flowrunner.secret import Secret
from flowrunner.states import Meaning, fold, parse_meaning

if TYPE_CHECKING:
    from flowrunner.backend import Settings

__all__ = ["MisfitItem", "Setting", "declared", "from_text", "meanings", "some", "typed"]


class MisfitItem(ValueError):
    """Something in a mapping or a list is not of the type.

    Attributes:
        keys: where in the value, as far as it is mappings.
    """

    def __init__(self, text: str, keys: tuple[str, ...]) -> None:
        super().__init__(text)
        self.keys = keys


@frozen
class Setting:
    """One setting, as its class declares it.

    Attributes:
        name: as configuration writes it.
        attribute: as an instance has it; it differs in a leading `_`.
        type: what its values are.
        is_secret: whether it is a credential.
        is_required: whether it has no default.
        is_shown: whether its value may be printed.
    """

    name: str
    attribute: str
    type: Any
    is_secret: bool
    is_required: bool
    is_shown: bool


_UNIMPORTED: Final = {"Any": Any, "Mapping": Mapping, "Path": Path, "Secret": Secret, "Sequence": Sequence}
"""Names that annotations use and modules often import for type checkers only."""


def declared(cls: type[Settings]) -> Mapping[str, Setting]:
    """The settings of a class, by name.

    Raises:
        NameError: an annotation names what its module does not have when it runs; or `TypeError`, `AttributeError`,
            `SyntaxError` for an annotation that is no type.
    """
    return _declared(cls)  # type: ignore[arg-type] # a class can be hashed, whatever its instances can


@cache
def _declared(cls: type[Settings]) -> Mapping[str, Setting]:
    # Evaluating annotations takes as long as all else about a connection, and a thousand tasks may share one at once.
    hints = get_type_hints(cls, localns=_UNIMPORTED)
    found = {}
    for attribute in fields(cls):
        if attribute.init:
            name, hint = str(attribute.alias), hints.get(attribute.name, attribute.type)
            is_secret = bool(attribute.metadata.get("secret")) or Secret in (hint, *get_args(hint))
            found[name] = Setting(
                name, attribute.name, hint, is_secret, attribute.default is NOTHING, attribute.repr is not False
            )
    return found


def from_text(text: str, hint: Any) -> Any:
    """The value an environment variable stands for. It is still to be checked by `typed`.

    Raises:
        ValueError: the text does not read as the type, or the type cannot be written as one text.
    """
    kind = some(hint)
    if kind in {str, Path, Any}:
        return text
    if kind is bool:
        return _switch(text)
    if kind in _NUMBERS:
        return _number(text, kind)
    raise ValueError("this setting cannot be given by an environment variable")


def typed(value: Any, hint: Any, folder: Path) -> Any:
    """The value, if it is of the type.

    Args:
        value: from a file, an argument or `from_text`.
        hint: text, number, bool, path, optional ones of these, a mapping or a list of them.
        folder: what a path is relative to.

    Raises:
        ValueError: it is of another type, or the type is none of those that can be configured.
    """
    if hint is Any or (value is None and _is_optional(hint)):
        return value
    kind = some(hint)
    if kind is Path:
        return folder / _exactly(value, str, Path)
    if kind in _CHECKS:
        return _CHECKS[kind](value)
    origin = get_origin(kind) or kind
    if origin in _MAPPINGS:
        return _mapping(value, kind, folder)
    if origin in _LISTS:
        return _list(value, kind, folder)
    raise ValueError(f"the backend declares this setting as {kind}, which cannot be configured")


def _is_optional(hint: Any) -> bool:
    return get_origin(hint) in {Union, types.UnionType} and type(None) in get_args(hint)


def some(hint: Any) -> Any:
    """The type without its `| None`."""
    arms = [arm for arm in get_args(hint) if arm is not type(None)]
    return arms[0] if _is_optional(hint) and len(arms) == 1 else hint


_SWITCHES: Final = {
    "true": True,
    "1": True,
    "yes": True,
    "on": True,
    "false": False,
    "0": False,
    "no": False,
    "off": False,
}


def _switch(text: str) -> bool:
    if (word := text.strip().lower()) not in _SWITCHES:
        raise ValueError(f"expected one of {', '.join(_SWITCHES)}")
    return _SWITCHES[word]


_NUMBERS: Final = {int: "a whole number", float: "a number"}


def _number(text: str, kind: type[int | float]) -> float:
    try:
        return kind(text)
    except ValueError:
        raise ValueError(f"expected {_NUMBERS[kind]}") from None


_WORDS: Final[Mapping[type, str]] = {
    str: "a text",
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    dict: "a table of names and values",
    Mapping: "a table of names and values",
    list: "a list",
    tuple: "a list",
    type(None): "None",
}
"""What a configuration calls the types of its values."""


def _is_any(value: Any, *kinds: type) -> bool:
    # To Python a bool is an int; to whoever writes a configuration it is not.
    return isinstance(value, kinds) and (bool in kinds or not isinstance(value, bool))


def _exactly(value: Any, kind: type, *others: type) -> Any:
    if _is_any(value, kind, *others):
        return value
    raise ValueError(_misfit(value, kind))


def _misfit(value: Any, kind: type) -> str:
    """What to say of a value that is not of the kind; the value itself is not shown."""
    found = type(value)
    return f"expected {_WORDS[kind]}, not {_WORDS.get(found, found.__name__)}"


def _float(value: Any) -> float:
    if not _is_any(value, float, int, timedelta):
        raise ValueError(f"{_misfit(value, float)}; a duration is a number of seconds, or a timedelta")
    try:
        number = value.total_seconds() if isinstance(value, timedelta) else float(value)
    except OverflowError:
        raise ValueError("the number is too large") from None
    if math.isnan(number):
        raise ValueError("expected a number, not nan")
    return number


def _meaning(value: Any) -> Meaning:
    if isinstance(value, Meaning):
        return value
    try:
        return parse_meaning(_exactly(value, str))
    except ValueError:
        raise ValueError(f"expected one of {', '.join(meanings())}") from None


def meanings() -> list[str]:
    """Everything that a vendor's word can be said to mean."""
    details = [f"{state}/{detail}" for state in RunState for detail in ("warnings", *Cause, *WaitReason)]
    return list(filter(_is_meaning, [*RunState, *details]))


def _is_meaning(text: str) -> bool:
    try:
        parse_meaning(text)
    except ValueError:
        return False
    return True


_CHECKS: Final[Mapping[Any, Callable[[Any], Any]]] = {
    str: lambda value: _exactly(value, str),
    bool: lambda value: _exactly(value, bool),
    int: lambda value: _exactly(value, int),
    float: _float,
    Meaning: _meaning,
}
_MAPPINGS: Final = {dict, Mapping}
_LISTS: Final[Mapping[Any, type[list[Any] | tuple[Any, ...]]]] = {list: list, tuple: tuple, Sequence: tuple}


def _mapping(value: Any, hint: Any, folder: Path) -> dict[str, Any]:
    _, kind = get_args(hint) or (str, Any)
    result: dict[str, Any] = {}
    for key, item in _exactly(value, Mapping).items():
        # The keys of meanings are words of a vendor, which are compared folded.
        name = fold(_exactly(key, str)) if kind is Meaning else _exactly(key, str)
        if name in result:
            raise ValueError(f"{key!r} is given twice: case, spaces, _ and - do not count")
        result[name] = _item(item, kind, folder, repr(key), (key,))
    return result


def _list(value: Any, hint: Any, folder: Path) -> Sequence[Any]:
    kind, *_ = get_args(hint) or (Any,)
    items = enumerate(_exactly(value, list, tuple))
    make = _LISTS[get_origin(hint) or hint]
    return make(_item(item, kind, folder, f"item {number}") for number, item in items)


def _item(value: Any, kind: Any, folder: Path, place: str, keys: tuple[str, ...] = ()) -> Any:
    try:
        return typed(value, kind, folder)
    except ValueError as error:
        raise MisfitItem(f"{place}: {error}", (*keys, *getattr(error, "keys", ()))) from None
