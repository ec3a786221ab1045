"""The JSON Schema of the configuration file, made of the settings classes: editors complete and check with it.

It is a draft 7, which the editors' plugins for TOML understand. The settings of built-in backends are closed, those of
other backends open. A few things it cannot say, and the library alone refuses: that `3.0` is no whole number, that
`nan` is no number, that a file or a variable is not there, and what takes two settings or two words to be seen.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, get_args, get_origin

from attrs import NOTHING, Factory, fields

from flowrunner import registry
from flowrunner.config.settings import declared, meanings, some
from flowrunner.states import Meaning

if TYPE_CHECKING:
    from attrs import Attribute

    from flowrunner.backend import Settings
    from flowrunner.config.settings import Setting

__all__ = ["schema"]

_TEXT: Final = {"type": "string"}
_SOMETHING: Final = {"type": "string", "minLength": 1}
_SOURCES: Final = {
    "env": {**_SOMETHING, "description": "The name of an environment variable."},
    "file": {**_SOMETHING, "description": "The path of a file, relative to this one."},
    "keyring": {"type": "string", "pattern": "^.+/[^/]+$", "description": "SERVICE/USER of the system's keyring."},
}
_CREDENTIAL: Final = {
    "oneOf": [
        {
            "type": "object",
            "properties": _SOURCES,
            "additionalProperties": False,
            "minProperties": 1,
            "maxProperties": 1,
        },
        {
            # A control character is refused; so is a blank at either end.
            "type": "string",
            "pattern": "^[^\u0000- \u007f-\u00a0]([^\u0000-\u001f\u007f-\u009f]*[^\u0000- \u007f-\u00a0])?$",
            "description": "The credential itself: it works, with a warning.",
        },
    ]
}
_ASCII: Final = {"pattern": "^[ -~]*$"}
"""What a header can carry; it says nothing of what is no text."""
_NAMED: Final = {"base_url": {"pattern": "^[Hh][Tt][Tt][Pp][Ss]?://[^/@?#\\\\\\s:][^@?#\\\\\\s]*$"}}
"""What a setting of this name has to be beside its type, whatever the backend."""


def schema() -> dict[str, Any]:
    """The schema of a `flowrunner.toml`, as JSON has it."""
    names = sorted(registry.BUILTINS)
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "flowrunner.toml",
        "description": "Connections to workflow servers, by name.",
        "type": "object",
        "properties": {"connections": {"type": "object", "additionalProperties": {"$ref": "#/definitions/connection"}}},
        "additionalProperties": False,
        "definitions": {
            "connection": _connection(names),
            "credential": _CREDENTIAL,
            "meaning": {"enum": meanings()},
            **{name: _settings(registry.load(name).settings_class) for name in names},
        },
    }


def _connection(names: list[str]) -> dict[str, Any]:
    """A connection is what its backend says; one that is not built in says it when it is installed."""
    return {
        "type": "object",
        "properties": {
            "backend": {
                "description": "Which vendor and interface, or the name of a plugin.",
                "anyOf": [{"enum": names}, _SOMETHING],
            }
        },
        "required": ["backend"],
        "allOf": [
            {
                "if": {"properties": {"backend": {"const": name}}, "required": ["backend"]},
                "then": {"$ref": f"#/definitions/{name}"},
            }
            for name in names
        ],
    }


def _settings(cls: type[Settings]) -> dict[str, Any]:
    known = declared(cls)
    attributes = {str(each.alias): each for each in fields(cls)}
    return {
        "type": "object",
        "properties": {"backend": True, **{name: _setting(known[name], attributes[name]) for name in sorted(known)}},
        "additionalProperties": False,
    }


def _setting(setting: Setting, attribute: Attribute[Any]) -> dict[str, Any]:
    described = {"description": attribute.metadata.get("help", "")}
    if setting.is_secret:
        # Draft 7 ignores what stands beside a `$ref`.
        bounds = [_ASCII] if attribute.metadata.get("in_header") else []
        return {**described, "allOf": [{"$ref": "#/definitions/credential"}, *bounds]}
    choices = attribute.metadata.get("choices")
    return {
        **described,
        **_type(setting.type),
        **({"enum": list(choices)} if choices else {}),
        **_NAMED.get(setting.name, {}),
        **_bounds(attribute, setting.type),
        **_default(attribute.default),
    }


def _default(default: Any) -> dict[str, Any]:
    is_plain = default is not NOTHING and default is not None and not isinstance(default, Factory)  # type: ignore[arg-type]
    return {"default": default} if is_plain else {}


def _type(hint: Any) -> dict[str, Any]:
    """What TOML can say for a type; it has no null, so an optional setting is one that may be absent."""
    kind = some(hint)
    if kind is Meaning:
        return {"$ref": "#/definitions/meaning"}
    if kind in _TYPES:
        return dict(_TYPES[kind])
    origin, arguments = get_origin(kind) or kind, get_args(kind)
    if origin in {dict, Mapping}:
        return {"type": "object", "additionalProperties": _type(arguments[1]) if arguments else True}
    if origin in {list, tuple, Sequence}:
        return {"type": "array", "items": _type(arguments[0]) if arguments else True}
    return {}


_TYPES: Final[Mapping[Any, Mapping[str, Any]]] = {
    str: _TEXT,
    Path: _TEXT,
    bool: {"type": "boolean"},
    int: {"type": "integer"},
    float: {"type": "number"},
}


def _bounds(attribute: Attribute[Any], hint: Any) -> dict[str, Any]:
    """The least and the greatest number that the validator takes: it is asked."""
    if attribute.validator is None or some(hint) not in {int, float}:
        return {}
    bounds: dict[str, Any] = {}
    if not _is_valid(attribute, 0):
        bounds["exclusiveMinimum"] = 0
    elif not _is_valid(attribute, -1):
        bounds["minimum"] = 0
    if some(hint) is float and not _is_valid(attribute, math.inf):
        bounds["maximum"] = 1.7976931348623157e308
    return bounds


def _is_valid(attribute: Attribute[Any], value: float) -> bool:
    try:
        attribute.validator(None, attribute, value)  # type: ignore[misc]
    except ValueError:
        return False
    return True
