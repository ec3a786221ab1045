"""The `-p` that gives a parameter its value, as somebody may paste it into a shell. Pure."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from flowrunner.cli.assignments import read_assignment, values_of
from flowrunner.models import FlowSpec, ParameterKind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flowrunner.models import ParameterSpec

__all__ = ["assignments_for", "words_of"]


def words_of(spec: FlowSpec) -> list[str]:
    """`-p NAME=VALUE` for each parameter with a default or without which the flow does not run.

    A value that nobody can know here stands as `<kind>`, for somebody to replace. The default of a password does not
    show.
    """
    return [word for parameter in spec.parameters for each in _shown(parameter) for word in ("-p", each)]


def _shown(spec: ParameterSpec) -> Iterator[str]:
    if spec.kind is ParameterKind.MESSAGE:
        return
    if spec.default is not None:
        if spec.kind is not ParameterKind.PASSWORD:
            yield from assignments_for(spec, spec.default)
    elif spec.required:
        yield from assignments_for(spec, spec.choices[0]) if spec.choices else [f"{spec.name}=<{spec.kind}>"]


def assignments_for(spec: ParameterSpec, value: Any) -> list[str]:
    """What `-p` takes to give a parameter this value: as text where that says it, else as JSON."""
    values = value if isinstance(value, list | tuple) and value else [value]
    written = [f"{spec.name}={_text(each)}" for each in values]
    read = values_of(map(read_assignment, written), FlowSpec("", (spec,)))
    if all(isinstance(each, str) for each in values) or _is_same(read.get(spec.name), value):
        return written
    return [f"{spec.name}:={json.dumps(value)}"]


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _is_same(read: Any, value: Any) -> bool:
    """Whether they are the same to a program, too: 1 and True, or 1 and 1.0, are not."""
    return json.dumps(read) == json.dumps(value)
