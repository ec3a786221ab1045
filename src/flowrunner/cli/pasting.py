"""The `-p` that gives a parameter its value, as somebody may paste it into a shell. Pure."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from flowrunner.cli.assignments import read_assignment, values_of
from flowrunner.cli.output import shown_value
from flowrunner.models import FlowSpec, ParameterKind

if TYPE_CHECKING:
    from flowrunner.models import ParameterSpec

__all__ = ["assignments_for", "words_of"]

_NOTHING: Final[tuple[object, ...]] = (None, "", [], ())
"""What a default is that gives no value."""


def words_of(spec: FlowSpec) -> list[str]:
    """`-p NAME=VALUE` for each parameter but those that may be left out.

    The value is the default, or the first choice; what nobody can know here stands as `<kind>`, for somebody to
    replace. A password is never shown, and its default is left to the server.
    """
    needed = (each for each in spec.parameters if each.required is not False and each.kind is not ParameterKind.MESSAGE)
    return [word for parameter in needed for each in _shown(parameter) for word in ("-p", each)]


def _shown(spec: ParameterSpec) -> list[str]:
    if spec.kind is ParameterKind.PASSWORD:
        return [] if spec.default else [_placeholder(spec)]
    values = [value for value in (spec.default, *spec.choices[:1]) if value not in _NOTHING]
    return assignments_for(spec, values[0]) if values else [_placeholder(spec)]


def _placeholder(spec: ParameterSpec) -> str:
    return f"{spec.name}=<{spec.kind}>"


def assignments_for(spec: ParameterSpec, value: Any) -> list[str]:
    """What `-p` takes to give a parameter this value: as text where that says it, else as JSON."""
    values = value if isinstance(value, list | tuple) and value else [value]
    written = [f"{spec.name}={shown_value(each)}" for each in values]
    is_text = all(isinstance(each, str) for each in values)
    if all(map(_is_plain, values)) and (is_text or _is_read_as(written, spec, value)):
        return written
    return [f"{spec.name}:={json.dumps(value)}"]


def _is_plain(value: Any) -> bool:
    """Whether a value goes into a command as it is: on one line, and not as `@FILE`, the name of a file."""
    text = shown_value(value)
    return text.isprintable() and not text.startswith("@")


def _is_read_as(written: list[str], spec: ParameterSpec, value: Any) -> bool:
    """Whether these give this value, of the same type, too: 1 and True, or 1 and 1.0, are not the same."""
    read = values_of(map(read_assignment, written), FlowSpec("", (spec,)))
    return json.dumps(read.get(spec.name)) == json.dumps(value)
