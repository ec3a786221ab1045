"""Checking parameters against a flow's description, before anything is submitted. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from flowrunner.models import ParameterKind, RemoteFile
from flowrunner.nearmiss import suggestion

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from flowrunner.models import FlowSpec, ParameterSpec

__all__ = ["problems"]


def problems(spec: FlowSpec, parameters: Mapping[str, Any]) -> dict[str, str]:
    """What is wrong with the parameters, as far as the description tells: a text per parameter, by its name.

    A parameter is missing only if the description says that it is required and gives no default, and no value of
    another, given or default, disables it. What the description leaves open is left to the server.
    """
    disabled = frozenset(_disabled(spec, parameters))
    found = {name: _unknown(spec, name) for name in parameters if spec.parameter(name) is None}
    for parameter in spec.parameters:
        if parameter.name in parameters:
            problem = _problem(parameter, parameters[parameter.name])
            if problem is not None:
                found[parameter.name] = problem
        elif _must_be_given(parameter) and parameter.name not in disabled:
            found[parameter.name] = "is required and has no default: give it a value"
    return found


def _must_be_given(spec: ParameterSpec) -> bool:
    return spec.required is True and spec.default is None and spec.kind is not ParameterKind.MESSAGE


def _disabled(spec: FlowSpec, parameters: Mapping[str, Any]) -> Iterator[str]:
    """The names of the parameters that the values of others put out of use."""
    for parameter in spec.parameters:
        chosen = parameters.get(parameter.name, parameter.default)
        for value in chosen if isinstance(chosen, list | tuple) else () if chosen is None else (chosen,):
            yield from parameter.disables.get(_text(value), ())


def _unknown(spec: FlowSpec, name: str) -> str:
    advice = suggestion(name, (parameter.name for parameter in spec.parameters))
    return f"is not a parameter of this flow: {advice}"


def _problem(spec: ParameterSpec, value: Any) -> str | None:
    if spec.kind is ParameterKind.MESSAGE:
        return "is a text for people and takes no value"
    if value is None:
        return None
    if isinstance(value, list | tuple):
        if not spec.multiple and spec.kind is not ParameterKind.OTHER:
            return "takes one value, not a list"
        return next((problem for item in value if (problem := _single(spec, item)) is not None), None)
    return _single(spec, value)


def _single(spec: ParameterSpec, value: Any) -> str | None:
    if spec.kind in {ParameterKind.NUMBER, ParameterKind.INTEGER}:
        return _number(spec, value)
    if spec.kind is ParameterKind.BOOLEAN:
        return _boolean(spec, value)
    if spec.kind in _TAKEN and (isinstance(value, bool) or not isinstance(value, _TAKEN[spec.kind][0])):
        return f"{_shown(spec, value)} is not {_TAKEN[spec.kind][1]}"
    if spec.choices and not spec.open_choices and not _among(value, spec.choices):
        return f"{_shown(spec, value)} is not among the choices: {', '.join(map(str, spec.choices))}"
    return None


_TAKEN: Final[Mapping[ParameterKind, tuple[tuple[type, ...], str]]] = {
    ParameterKind.DATE: ((date, str, int), "a date, nor text that could be one"),
    ParameterKind.DATETIME: ((date, str, int), "a date and time, nor text that could be one"),
    ParameterKind.FILE: ((Path, RemoteFile, str), "a file: give a Path, what `upload` returned, or the vendor's text"),
    ParameterKind.OBJECT: ((Mapping, str), "an object: give a dict"),
}
"""What may be a value of a kind; whether it is one is left to the server."""


def _number(spec: ParameterSpec, value: Any) -> str | None:
    number, shown = _as_number(value), _shown(spec, value)
    if number is None or (spec.kind is ParameterKind.INTEGER and number != int(number)):
        wanted = "a whole number" if spec.kind is ParameterKind.INTEGER else "a number"
        return f"{shown} is not {wanted}"
    if spec.minimum is not None and (number < spec.minimum or (spec.minimum_exclusive and number == spec.minimum)):
        return (
            f"{shown} is too small: it must be {'more than' if spec.minimum_exclusive else 'at least'} {spec.minimum}"
        )
    if spec.maximum is not None and (number > spec.maximum or (spec.maximum_exclusive and number == spec.maximum)):
        return f"{shown} is too large: it must be {'less than' if spec.maximum_exclusive else 'at most'} {spec.maximum}"
    if spec.multiple_of and not _is_whole(number / spec.multiple_of):
        return f"{shown} is not a multiple of {spec.multiple_of}"
    return None


def _is_whole(quotient: float) -> bool:
    """Whether a number is whole, but for rounding; one too large to tell is."""
    return not math.isfinite(quotient) or abs(quotient - round(quotient)) <= 1e-9  # noqa: PLR2004


def _as_number(value: Any) -> float | None:
    """Numbers are taken as text, too: vendors do, and so do people who read them from a file."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if abs(number) != float("inf") and number == number else None  # noqa: PLR0124 - NaN


def _boolean(spec: ParameterSpec, value: Any) -> str | None:
    if isinstance(value, bool) or _text(value).lower() in {"true", "false", "yes", "no", "1", "0"}:
        return None
    return f"{_shown(spec, value)} is neither true nor false"


def _among(value: Any, choices: tuple[Any, ...]) -> bool:
    return value in choices or _text(value) in {str(choice) for choice in choices}


def _text(value: Any, write: Callable[[Any], str] = str) -> str:
    """The value as text; empty for one that Python does not write out, such as an integer of 5000 digits."""
    try:
        return write(value)
    except (ValueError, RecursionError):
        return ""


def _shown(spec: ParameterSpec, value: Any) -> str:
    return (spec.kind is not ParameterKind.PASSWORD and _text(value, repr)) or "the value"
