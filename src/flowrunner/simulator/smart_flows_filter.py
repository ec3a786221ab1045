"""The filter language of Smart Flows: groups of conditions on what is listed."""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from attrs import frozen

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Item = Mapping[str, Any]
    Test = Callable[[Item], bool]


class FilterError(Exception):
    """A filter that cannot be read."""


@frozen
class Dialect:
    """What a server knows of the language.

    Attributes:
        equals: Whether `equals` is an operator beside `equalTo`.
        words: What a condition may ask a status for; None is anything.
    """

    equals: bool = True
    words: frozenset[str] | None = None


_USUAL = Dialect()


def value_at(item: Item, key: str) -> Any:
    """Return what an item has under a key with dots; of something with a name the name; None if it has nothing."""
    value: Any = item
    for part in key.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value.get("displayName") if isinstance(value, dict) else value


def read_filter(node: Any, dialect: Dialect = _USUAL) -> Test:
    """Read a node of a filter, of JSON; an empty one lets everything pass (assumed).

    Raises:
        FilterError: It is no filter.
    """
    if node == {}:
        return lambda _: True
    if isinstance(node, dict) and isinstance(node.get("group"), dict):
        return _read_group(node["group"], dialect)
    if isinstance(node, dict) and isinstance(node.get("condition"), dict):
        return _read_condition(node["condition"], dialect)
    raise FilterError("A node of a filter is a group or a condition.")


def keys_in(node: Any) -> set[str]:
    """Return what a filter that can be read looks at."""
    if "condition" in node:
        return {node["condition"]["key"]}
    return set().union(*map(keys_in, node.get("group", {}).get("nodes", [])))


def _read_group(group: Mapping[str, Any], dialect: Dialect) -> Test:
    nodes, how = group.get("nodes"), {"and": all, "or": any}.get(str(group.get("type")).lower())
    if how is None or not isinstance(nodes, list):
        raise FilterError("A group of a filter has a type, and or or, and nodes.")
    tests = [read_filter(node, dialect) for node in nodes]
    return lambda item: how(test(item) for test in tests)


def _read_condition(condition: Mapping[str, Any], dialect: Dialect) -> Test:
    key, operator, values = condition.get("key"), str(condition.get("operator")), condition.get("values", [])
    if not isinstance(key, str) or not isinstance(values, list) or operator not in _OPERATORS:
        raise FilterError("A condition of a filter has a key, a known operator and values.")
    if operator == "equals" and not dialect.equals:
        raise FilterError("There is no operator equals.")
    if key == "status" and dialect.words is not None and any(str(value) not in dialect.words for value in values):
        raise FilterError("There is no such status.")
    count, compare = _OPERATORS[operator]
    if count is not None and len(values) != count:
        raise FilterError(f"The operator {operator} takes {count} values.")
    wanted = [_comparable(value) for value in values]
    return lambda item: compare(_comparable(value_at(item, key)), wanted)


def _comparable(value: Any) -> Any:
    """Return a value as it is compared: a text without case, a date as the moment it is."""
    if not isinstance(value, str):
        return value
    with suppress(ValueError):
        moment = datetime.fromisoformat(value)
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return value.casefold()


def _is_like(value: Any, values: list[Any]) -> bool:
    """Whether a text is like a pattern: `%` stands for anything, without one it is looked for inside (assumed)."""
    pattern = str(values[0])
    parts = (pattern if "%" in pattern else f"%{pattern}%").split("%")
    return re.fullmatch(".*".join(map(re.escape, parts)), str(value), re.DOTALL) is not None


def _is_less(value: Any, other: Any) -> bool:
    try:
        return bool(value < other)
    except TypeError:
        return False


def _is_between(value: Any, values: list[Any]) -> bool:
    low, high = values
    return not _is_less(value, low) and not _is_less(high, value) and value is not None


def _is_blank(value: Any, _: list[Any]) -> bool:
    return value is None or not str(value).strip()


def _not(test: Callable[[Any, list[Any]], bool]) -> Callable[[Any, list[Any]], bool]:
    return lambda value, values: not test(value, values)


def _is_equal(value: Any, values: list[Any]) -> bool:
    return bool(value == values[0])


def _is_null(value: Any, _: list[Any]) -> bool:
    return value is None


# Each operator with the number of values it takes; None is any. The names are documented.
_OPERATORS: dict[str, tuple[int | None, Callable[[Any, list[Any]], bool]]] = {
    "between": (2, _is_between),
    "notBetween": (2, _not(_is_between)),
    "equalTo": (1, _is_equal),
    "equals": (1, _is_equal),
    "notEqualTo": (1, _not(_is_equal)),
    "like": (1, _is_like),
    "notLike": (1, _not(_is_like)),
    "greaterThan": (1, lambda value, values: _is_less(values[0], value)),
    "lessThan": (1, lambda value, values: _is_less(value, values[0])),
    "greaterThanOrEqualTo": (1, lambda value, values: value == values[0] or _is_less(values[0], value)),
    "lessThanOrEqualTo": (1, lambda value, values: value == values[0] or _is_less(value, values[0])),
    "isTrue": (0, lambda value, _: value is True),
    "isFalse": (0, lambda value, _: value is False),
    "isBlank": (0, _is_blank),
    "notIsBlank": (0, _not(_is_blank)),
    "in": (None, lambda value, values: value in values),
    "isNull": (0, _is_null),
    "isNotNull": (0, _not(_is_null)),
}
