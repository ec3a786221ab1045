"""Smart Flows' models: documents among a flow's outputs, and parameters in a JSON Schema. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from flowrunner.models import ParameterKind, ParameterSpec

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

__all__ = ["documents_in", "parameters_in"]

DEPTH: Final = 50
"""Levels of a model that are looked through; what is nested deeper was not made by a flow."""

KINDS: Final[Mapping[str, ParameterKind]] = {
    "string": ParameterKind.TEXT,
    "number": ParameterKind.NUMBER,
    "integer": ParameterKind.INTEGER,
    "boolean": ParameterKind.BOOLEAN,
    "object": ParameterKind.OBJECT,
}
FORMATS: Final[Mapping[str, ParameterKind]] = {
    "date": ParameterKind.DATE,
    "date-time": ParameterKind.DATETIME,
    "uri": ParameterKind.URL,
    "password": ParameterKind.PASSWORD,
}


def documents_in(models: Iterable[Any]) -> dict[str, str | None]:
    """The names of the documents in the models, by id, each once.

    They are known by `type`, whatever the parameter that holds them is called (documented), and may stand anywhere.
    """
    names: dict[str, str | None] = {}
    for model in models:
        for found, name in _documents(model, 0):
            names[found] = names.get(found) or name
    return names


def _documents(value: Any, depth: int) -> Iterator[tuple[str, str | None]]:
    if depth > DEPTH:
        return
    if isinstance(value, dict):
        if value.get("type") == "document" and isinstance(value.get("id"), str) and value["id"]:
            name = value.get("displayName")
            yield value["id"], name if isinstance(name, str) and name else None
        for item in value.values():
            yield from _documents(item, depth + 1)
    elif isinstance(value, list):
        for item in value:
            yield from _documents(item, depth + 1)


def parameters_in(schema: Mapping[str, Any]) -> Iterator[ParameterSpec]:
    """The properties of a JSON Schema as parameters."""
    properties = schema.get("properties")
    required = schema.get("required")
    names = required if isinstance(required, list) else []
    for name, entry in (properties if isinstance(properties, dict) else {}).items():
        yield _parameter(name, entry if isinstance(entry, dict) else {}, required=name in names)


def _parameter(name: str, entry: Mapping[str, Any], *, required: bool) -> ParameterSpec:
    many = entry.get("type") == "array"
    items = entry.get("items")
    of = items if many and isinstance(items, dict) else entry
    choices = of.get("enum")
    kind = KINDS.get(str(of.get("type")), ParameterKind.OTHER)
    if kind is ParameterKind.TEXT:
        kind = FORMATS.get(str(of.get("format")), kind)
    return ParameterSpec(
        name=name,
        kind=ParameterKind.CHOICE if isinstance(choices, list) else kind,
        required=required,
        default=entry.get("default"),
        choices=tuple(choices) if isinstance(choices, list) else (),
        multiple=many,
        minimum=_number(of.get("minimum")),
        maximum=_number(of.get("maximum")),
        prompt=str(entry["title"]) if entry.get("title") else name,
        vendor_type=str(entry["type"]) if entry.get("type") is not None else None,
    )


def _number(value: Any) -> float | None:
    return value if type(value) in {int, float} else None
