"""Strict structuring of wire data into attrs classes.

Two rules. What a class requires must have exactly the type it is declared with, else the answer makes no sense
(`ProtocolError`): nothing is coerced. What a class declares as optional (`T | None`) decorates: missing, null or of
another type, it is None. So a server that writes a number where a text was expected cannot end a healthy run.
"""

from __future__ import annotations

import types
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, TypeVar, Union, get_args, get_origin

from attrs import has
from cattrs import BaseValidationError, Converter, StructureHandlerNotFoundError
from cattrs.gen import make_dict_structure_fn

from flowrunner.answers import KEPT, json_of, senseless
from flowrunner.errors import ProtocolError

if TYPE_CHECKING:
    from collections.abc import Callable

    from flowrunner.plans import Response

__all__ = ["read", "read_item", "structure", "utc"]

T = TypeVar("T")


def read(response: Response, cls: type[T]) -> T:
    """The body of an answer as an instance of an attrs class.

    Raises:
        ProtocolError: it is not JSON, or lacks what the class requires.
    """
    value = json_of(response)
    try:
        return structure(value, cls)
    except ValueError as error:
        raise senseless(response, f"JSON that is not a {cls.__name__} ({error})") from None


def read_item(value: Any, cls: type[T]) -> T:
    """A part of an answer that was decoded before: one item of a page, say.

    Raises:
        ProtocolError: it lacks what the class requires.
    """
    try:
        return structure(value, cls)
    except ValueError as error:
        text = f"the answer holds something that is not a {cls.__name__} ({error})"
        raise ProtocolError(text, body=repr(value)[:KEPT], transient=True) from None


def structure(value: Any, cls: type[T]) -> T:
    """A decoded JSON value as an instance of an attrs class.

    Raises:
        ValueError: it lacks what the class requires.
    """
    try:
        return _CONVERTER.structure(value, cls)
    except KeyError as error:
        raise ValueError(f"the key {error} is missing") from None
    except (TypeError, AttributeError, OverflowError, BaseValidationError, StructureHandlerNotFoundError) as error:
        raise ValueError(str(error)) from None


def utc(moment: datetime | None, *, zone: Any = UTC) -> datetime | None:
    """The moment in UTC; one without a zone is in `zone`. None where the calendar has no such moment."""
    if moment is None:
        return None
    try:
        return (moment if moment.tzinfo else moment.replace(tzinfo=zone)).astimezone(UTC)
    except OverflowError:
        return None


def _exactly(cls: type) -> Callable[[Any, Any], Any]:
    def structure_exactly(value: Any, _: Any) -> Any:
        if type(value) is cls:
            return value
        raise ValueError(f"expected {cls.__name__}, not {type(value).__name__}")

    return structure_exactly


def _float(value: Any, _: Any) -> float:
    if type(value) in {int, float}:
        return float(value)
    raise ValueError(f"expected a number, not {type(value).__name__}")


def _moment(value: Any, _: Any) -> datetime:
    if type(value) is not str or value.startswith("0001-01-01"):
        raise ValueError("expected a time")
    return datetime.fromisoformat(value)


def _is_optional(cls: Any) -> bool:
    return get_origin(cls) in {Union, types.UnionType} and type(None) in get_args(cls)


def _optional(cls: Any) -> Callable[[Any, Any], Any]:
    (inner,) = (arm for arm in get_args(cls) if arm is not type(None))
    required = _CONVERTER.get_structure_hook(inner)

    def structure_optional(value: Any, _: Any) -> Any:
        if value is None:
            return None
        try:
            return required(value, inner)
        except (ValueError, TypeError, KeyError, AttributeError, OverflowError):
            return None

    return structure_optional


def _object(cls: Any) -> Callable[[Any, Any], Any]:
    of_dict = make_dict_structure_fn(cls, _CONVERTER, _cattrs_detailed_validation=False)

    def structure_object(value: Any, _: Any) -> Any:
        if type(value) is not dict:
            raise ValueError(f"expected an object, not {type(value).__name__}")
        return of_dict(value, cls)

    return structure_object


def _is_list(cls: Any) -> bool:
    return get_origin(cls) is list


def _list(cls: Any) -> Callable[[Any, Any], Any]:
    (inner,) = get_args(cls)
    each = _CONVERTER.get_structure_hook(inner)

    def structure_list(value: Any, _: Any) -> Any:
        if type(value) is not list:
            raise ValueError(f"expected a list, not {type(value).__name__}")
        return [each(item, inner) for item in value]

    return structure_list


def _converter() -> Converter:
    converter = Converter(detailed_validation=False, forbid_extra_keys=False)
    for cls in (str, int, bool, dict):
        converter.register_structure_hook(cls, _exactly(cls))
    converter.register_structure_hook(float, _float)
    converter.register_structure_hook(datetime, _moment)
    converter.register_structure_hook_factory(has, _object)
    converter.register_structure_hook_factory(_is_list, _list)
    converter.register_structure_hook_factory(_is_optional, _optional)
    return converter


_CONVERTER: Final = _converter()
