"""Published parameters as FME Flow V4 describes them.

The vendor's schema was never seen; the keys are those that independent clients read (observed). Nothing here is
required but a name: a parameter of an unknown type is kept, and its values are left to the server.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from flowrunner.backends._fme import dataset_role
from flowrunner.models import ParameterKind, ParameterSpec

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["parameters_in"]

KINDS: Final[Mapping[str, ParameterKind]] = {
    "text": ParameterKind.TEXT,
    "textarea": ParameterKind.TEXT,
    "number": ParameterKind.NUMBER,
    "range": ParameterKind.NUMBER,
    "checkbox": ParameterKind.BOOLEAN,
    "dropdown": ParameterKind.CHOICE,
    "radio": ParameterKind.CHOICE,
    "listbox": ParameterKind.CHOICE,
    "list": ParameterKind.CHOICE,
    "multi": ParameterKind.CHOICE,
    "tree": ParameterKind.CHOICE,
    "password": ParameterKind.PASSWORD,
    "datetime": ParameterKind.DATETIME,
    "message": ParameterKind.MESSAGE,
    "file": ParameterKind.FILE,
    "directory": ParameterKind.FOLDER,
    "color": ParameterKind.COLOR,
    "url": ParameterKind.URL,
    "object": ParameterKind.OBJECT,
    "objectlist": ParameterKind.OBJECT,
}
"""By the vendor's `type`, folded."""

VALUE_KINDS: Final[Mapping[str, ParameterKind]] = {
    "integer": ParameterKind.INTEGER,
    "boolean": ParameterKind.BOOLEAN,
    "bool": ParameterKind.BOOLEAN,
}
"""By the vendor's `valueType`, where that is more precise."""

MULTIPLE: Final = frozenset({"listbox", "multi", "list", "objectlist"})
"""Types that take a JSON array, as does any parameter whose default is one (observed)."""

CONNECTIONS: Final = ("dbConnections", "webConnections")
"""What a choice is from, where the server would look it up (observed)."""

LIST_KEYS: Final = ("items", "parameters", "publishedParameters", "value")
"""Where some servers, or what stands before them, put the list; the vendor sends it bare (observed)."""


def parameters_in(body: Any, group: tuple[str, ...] = ()) -> Iterator[ParameterSpec]:
    """The parameters of a description, groups flattened.

    Raises:
        ValueError: it is no list of parameters.
    """
    for entry in _entries(body):
        if not isinstance(entry, dict) or not isinstance(entry.get("name", ""), str):
            raise ValueError("a parameter is an object with a name")  # noqa: TRY004 - one error for all that misfits
        if str(entry.get("type")).casefold() == "group":
            yield from parameters_in(entry.get("parameters") or [], (*group, _label(entry)))
        elif entry.get("name"):
            yield _parameter(entry, group)


def _entries(body: Any) -> list[Any]:
    if isinstance(body, list):
        return body
    if isinstance(body, dict):
        for key in LIST_KEYS:
            if isinstance(body.get(key), list):
                return list(body[key])
    raise ValueError("there is no list of parameters in it")


def _label(entry: Mapping[str, Any]) -> str:
    return str(entry.get("prompt") or entry.get("name") or "")


def _parameter(entry: Mapping[str, Any], group: tuple[str, ...]) -> ParameterSpec:
    kind, settings = _kind(entry), _nested(entry, "choiceSettings")
    default = entry.get("defaultValue")
    required = entry.get("required")
    limits = {**entry, **_nested(entry, "range"), **_nested(entry, "number")}
    return ParameterSpec(
        name=entry["name"],
        kind=kind,
        required=required if isinstance(required, bool) else None,
        default=default,
        choices=_choices(settings),
        open_choices=kind is not ParameterKind.CHOICE or not isinstance(settings.get("choices"), list),
        multiple=_type(entry) in MULTIPLE or isinstance(default, list),
        minimum=_number(limits.get("minimum")),
        maximum=_number(limits.get("maximum")),
        minimum_exclusive=limits.get("minimumExclusive") is True,
        maximum_exclusive=limits.get("maximumExclusive") is True,
        multiple_of=_number(limits.get("multipleOf")),
        prompt=_label(entry),
        group=group,
        role=dataset_role(
            kind, entry["name"], _type(entry).upper().split("_"), must_exist=entry.get("validateExistence") is True
        ),
        vendor_type=str(entry.get("type")) if entry.get("type") is not None else None,
    )


def _type(entry: Mapping[str, Any]) -> str:
    return str(entry.get("type")).casefold()


def _kind(entry: Mapping[str, Any]) -> ParameterKind:
    if _nested(entry, "choiceSettings").get("choiceSet") in CONNECTIONS:
        return ParameterKind.CONNECTION
    kind = KINDS.get(_type(entry), ParameterKind.OTHER)
    if kind is ParameterKind.DATETIME and entry.get("format") == "date":
        return ParameterKind.DATE
    if kind is ParameterKind.FILE and entry.get("itemsToSelect") == "folders":
        return ParameterKind.FOLDER
    if kind is ParameterKind.TEXT and entry.get("editor") == "url":
        return ParameterKind.URL
    if kind in {ParameterKind.NUMBER, ParameterKind.OTHER}:
        return VALUE_KINDS.get(str(entry.get("valueType")).casefold(), kind)
    return kind


def _nested(entry: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = entry.get(key)
    return value if isinstance(value, dict) else {}


def _choices(settings: Mapping[str, Any]) -> tuple[Any, ...]:
    """The values offered; none where the server would look them up among its connections."""
    choices = settings.get("choices")
    if not isinstance(choices, list):
        return ()
    return tuple(choice["value"] for choice in choices if isinstance(choice, dict) and "value" in choice)


def _number(value: Any) -> float | None:
    return value if type(value) in {int, float} else None
