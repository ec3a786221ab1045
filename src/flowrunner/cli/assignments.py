"""What `-p` says, and which values that makes. Pure."""

from __future__ import annotations

import json
import math
import re
from typing import TYPE_CHECKING, Any, Final, NoReturn

from attrs import frozen

from flowrunner.models import ParameterKind

if TYPE_CHECKING:
    from collections.abc import Iterable

    from flowrunner.models import FlowSpec, ParameterSpec

__all__ = ["Assignment", "read_assignment", "values_of"]

_WHOLE: Final = re.compile(r"[+-]?[0-9]+")
_DECIMAL: Final = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
_TRUTH: Final = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


@frozen
class Assignment:
    """One `-p`.

    Attributes:
        name: of the parameter.
        value: the text, or what the JSON says.
        is_json: whether it was written `NAME:=JSON`, and stays as it is.
    """

    name: str
    value: Any
    is_json: bool = False


def read_assignment(argument: str) -> Assignment:
    """Read `NAME=VALUE` or `NAME:=JSON`.

    Raises:
        ValueError: it is neither; the text names the argument and shows no value.
    """
    left, equals, right = argument.partition("=")
    name = left.removesuffix(":")
    if not equals or not name:
        raise ValueError(f"{argument!r} is neither NAME=VALUE nor NAME:=JSON")
    if name == left:
        return Assignment(name, right)
    try:
        return Assignment(name, json.loads(right, parse_constant=_refuse), is_json=True)
    except (ValueError, RecursionError) as error:
        reason = error.msg if isinstance(error, json.JSONDecodeError) else "it cannot be read"
    raise ValueError(f"the value of {name!r} is not JSON ({reason}); write {name}=VALUE for plain text")


def _refuse(_constant: str) -> NoReturn:
    raise ValueError("not JSON")


def values_of(assignments: Iterable[Assignment], spec: FlowSpec | None) -> dict[str, Any]:
    """The values to submit, by parameter.

    Text becomes what the flow's description says that the parameter takes; text that does not fit, and text without a
    description, stays text. A name that is given several times becomes a list, and so does a single text for a
    parameter that takes several values.

    Args:
        assignments: in the order given.
        spec: the flow's description, None where there is none.
    """
    given: dict[str, list[Assignment]] = {}
    for assignment in assignments:
        given.setdefault(assignment.name, []).append(assignment)
    return {name: _value(each, spec.parameter(name) if spec else None) for name, each in given.items()}


def _value(assignments: list[Assignment], spec: ParameterSpec | None) -> Any:
    values = [each.value if each.is_json else _converted(each.value, spec) for each in assignments]
    takes_several = spec is not None and spec.multiple and not assignments[0].is_json
    return values if len(values) > 1 or takes_several else values[0]


def _converted(text: str, spec: ParameterSpec | None) -> Any:
    """What the text says to a parameter of this kind; the text itself where it says nothing."""
    if spec is None:
        return text
    if spec.kind is ParameterKind.BOOLEAN:
        return _TRUTH.get(text.casefold(), text)
    if spec.kind in {ParameterKind.INTEGER, ParameterKind.NUMBER}:
        return _number(text, whole_only=spec.kind is ParameterKind.INTEGER)
    return text


def _number(text: str, *, whole_only: bool) -> int | float | str:
    try:
        if _WHOLE.fullmatch(text):
            return int(text)
    except ValueError:  # Python limits how many digits it reads
        return text
    if whole_only or not _DECIMAL.fullmatch(text):
        return text
    number = float(text)
    return number if math.isfinite(number) else text
