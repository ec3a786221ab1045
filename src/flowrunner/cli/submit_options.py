"""What `--option` and `--extra` say: how to run, beside what to run."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from attrs import evolve

from flowrunner.cli.assignments import values_of
from flowrunner.cli.value_files import from_json
from flowrunner.errors import InvalidRequest
from flowrunner.models import FlowSpec, ParameterKind, ParameterSpec, SubmitOptions
from flowrunner.nearmiss import suggestion
from flowrunner.parameters import problems

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from flowrunner.cli.assignments import Assignment

__all__ = ["submit_options"]

_KNOWN: Final = FlowSpec(
    "",
    (
        ParameterSpec(name="queue", kind=ParameterKind.TEXT),
        ParameterSpec(name="description", kind=ParameterKind.TEXT),
        ParameterSpec(name="max_run_time", kind=ParameterKind.NUMBER, minimum=0),
        ParameterSpec(name="max_queue_time", kind=ParameterKind.NUMBER, minimum=0),
        ParameterSpec(name="success_topics", kind=ParameterKind.TEXT, multiple=True),
        ParameterSpec(name="failure_topics", kind=ParameterKind.TEXT, multiple=True),
        ParameterSpec(name="directives", kind=ParameterKind.OBJECT),
    ),
)
"""The fields of `SubmitOptions`, described as parameters are: what is given for them is read and checked alike."""
_NAMES: Final = tuple(spec.name for spec in _KNOWN.parameters)

_LITERAL: Final = re.compile(r"true|false|0|-?[1-9][0-9]{0,17}")


def submit_options(own: Mapping[str, Any], options: Iterable[Assignment], extra: Iterable[Assignment]) -> SubmitOptions:
    """How to run.

    Args:
        own: what options of the command's own say, by the names of the fields; None where they are not given.
        options: what `--option` says.
        extra: what `--extra` says.

    Raises:
        InvalidRequest: an option is not there, is given in two ways, or its value does not fit.
    """
    given = {name: value for name, value in own.items() if value is not None}
    named = _named(tuple(options))
    for name in given.keys() & named.keys():
        raise InvalidRequest(f"option {name} is given twice: by --option, and by --{name.replace('_', '-')}")
    return SubmitOptions(**given, **named, extra=_extra(tuple(extra)))


def _named(options: tuple[Assignment, ...]) -> dict[str, Any]:
    for each in options:
        if each.name not in _NAMES:
            near = suggestion(each.name, _NAMES)
            raise InvalidRequest(f"there is no option {each.name!r} (a backend's own: --extra): {near}")
    values = values_of(options, _KNOWN)
    for name, problem in problems(_KNOWN, values).items():
        raise InvalidRequest(f"option {name}: {problem}")
    if not isinstance(values.get("directives", {}), dict):
        raise InvalidRequest('option directives takes names and texts: write directives:=\'{"NAME": "TEXT"}\'')
    return values


def _extra(extra: tuple[Assignment, ...]) -> dict[str, Any]:
    for each in extra:
        if each.name in _NAMES:
            raise InvalidRequest(f"{each.name} is no option of a backend's own: give it by --option")
    return values_of([each if each.is_json else evolve(each, value=_literal(each.value)) for each in extra], None)


def _literal(text: str) -> Any:
    """A truth value or a whole number where the text is written as one and as nothing else: `007` stays text."""
    return from_json(text) if _LITERAL.fullmatch(text) else text
