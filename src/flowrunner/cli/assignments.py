"""What `-p` says, and which values that makes."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from attrs import frozen

from flowrunner.cli.value_files import from_json, text_of
from flowrunner.errors import AuthenticationError, FlowrunnerError, InvalidRequest
from flowrunner.models import ParameterKind

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from flowrunner.client import Client
    from flowrunner.models import FlowSpec, ParameterSpec

__all__ = ["Assignment", "assigned", "described", "read_assignment", "read_assignments", "values_of"]

_WHOLE: Final = re.compile(r"[+-]?[0-9]+")
_DECIMAL: Final = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
_TRUTH: Final = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


@frozen
class Assignment:
    """One `-p`.

    Attributes:
        name: of the parameter.
        value: the text, the file that has it, or what the JSON says.
        is_json: whether it was written `NAME:=JSON`, and stays as it is.
    """

    name: str
    value: Any
    is_json: bool = False

    @property
    def is_file(self) -> bool:
        """Whether a file has the value."""
        return isinstance(self.value, Path)


def read_assignments(arguments: Iterable[str], *, files: bool = False) -> tuple[Assignment, ...]:
    """Read several, as `read_assignment` does.

    Raises:
        ValueError: one is wrong; the text says which and shows no value.
    """
    return tuple(_numbered(number, argument, files=files) for number, argument in enumerate(arguments, 1))


def _numbered(number: int, argument: str, *, files: bool) -> Assignment:
    try:
        return read_assignment(argument, files=files)
    except ValueError as error:
        problem = str(error)
    raise ValueError(f"number {number}: {problem}")


def read_assignment(argument: str, *, files: bool = False) -> Assignment:
    """Read `NAME=VALUE` or `NAME:=JSON`, and with `files` also `NAME=@FILE`, where `NAME=@@VALUE` is the text `@VALUE`.

    Raises:
        ValueError: it is none of these; the text shows nothing of it but the name, since it may be a password.
    """
    left, equals, right = argument.partition("=")
    name = left.removesuffix(":")
    if not equals or not name:
        spellings = "NAME=VALUE, NAME=@FILE nor NAME:=JSON" if files else "NAME=VALUE nor NAME:=JSON"
        raise ValueError(f"it is neither {spellings}; it is not shown, since it may be a password")
    if name == left:
        return Assignment(name, _text_or_file(name, right) if files else right)
    try:
        return Assignment(name, from_json(right), is_json=True)
    except (ValueError, RecursionError) as error:
        reason = error.msg if isinstance(error, json.JSONDecodeError) else "it cannot be read"
    raise ValueError(f"the value of {name!r} is not JSON ({reason}); write {name}=VALUE for plain text")


def _text_or_file(name: str, right: str) -> str | Path:
    if not right.startswith("@") or right.startswith("@@"):
        return right.removeprefix("@")
    if right == "@":
        raise ValueError(f"the value of {name!r} names no file; write {name}=@@ for the text @")
    return Path(right[1:])


def assigned(values: Mapping[str, Any]) -> tuple[Assignment, ...]:
    """What a file says: its texts are as those of `-p`, everything else stays as it is."""
    return tuple(Assignment(name, value, is_json=not isinstance(value, str)) for name, value in values.items())


def described(client: Client, flow: str, assignments: Iterable[Assignment], *, keyed: bool) -> FlowSpec | None:
    """The flow's description, if there is text to convert and a description to be had.

    Args:
        client: the connection.
        flow: what is run.
        assignments: what is given for it.
        keyed: whether the submission has a key. Then the same text has to become the same value each time, so a
            description that is to be had, but not now, is an error.

    Raises:
        FlowrunnerError: as said.
    """
    if all(assignment.is_json for assignment in assignments):
        return None
    try:
        return client.describe(flow)
    except FlowrunnerError as error:
        if keyed and (error.transient or isinstance(error, AuthenticationError)):
            raise
        return None


def values_of(assignments: Iterable[Assignment], spec: FlowSpec | None) -> dict[str, Any]:
    """The values to submit, by parameter.

    Text becomes what the flow's description says that the parameter takes; text that does not fit, and text without a
    description, stays text. A file stands for its text, unless the parameter takes a file. A name that is given several
    times becomes a list, and so does a single text for a parameter that takes several values.

    Args:
        assignments: in the order given.
        spec: the flow's description, None where there is none.

    Raises:
        InvalidRequest: a file cannot be read.
    """
    given: dict[str, list[Assignment]] = {}
    for assignment in assignments:
        given.setdefault(assignment.name, []).append(assignment)
    return {name: _value(each, spec.parameter(name) if spec else None) for name, each in given.items()}


def _value(assignments: list[Assignment], spec: ParameterSpec | None) -> Any:
    values = [each.value if each.is_json else _taken(each, spec) for each in assignments]
    takes_several = spec is not None and spec.multiple and not assignments[0].is_json
    return values if len(values) > 1 or takes_several else values[0]


def _taken(assignment: Assignment, spec: ParameterSpec | None) -> Any:
    if not assignment.is_file:
        return _converted(assignment.value, spec)
    if spec is not None and spec.kind is ParameterKind.FILE:
        return assignment.value
    try:
        return _converted(text_of(str(assignment.value)), spec)
    except InvalidRequest as error:
        problem = error.message
    raise InvalidRequest(f"the value of {assignment.name!r}: {problem}")


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
