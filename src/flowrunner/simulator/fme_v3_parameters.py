"""Published parameters as FME Flow V3 describes them.

The models and the keys of each family are documented. The names of the types are in part those of the vendor's
samples, in part those of independent clients, in part assumed: only the model counts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flowrunner.simulator.fme_workspaces import LISTS, Kind

if TYPE_CHECKING:
    from flowrunner.simulator.fme_workspaces import Choice, Parameter
    from flowrunner.simulator.quirks import Quirks

_MODELS = {Kind.OBJECT: "object", Kind.OBJECTS: "objectList"}

_TYPES = {
    Kind.TEXT: "TEXT",
    Kind.MULTILINE: "TEXT_EDIT",
    Kind.URL: "URL",
    Kind.PASSWORD: "PASSWORD",
    Kind.NUMBER: "FLOAT",
    Kind.INTEGER: "INTEGER",
    Kind.RANGE: "RANGE_SLIDER",
    Kind.BOOLEAN: "CHECKBOX",
    Kind.CHOICE: "LOOKUP_CHOICE",
    Kind.ACTIVE_CHOICE: "ACTIVECHOICE",
    Kind.CHOICES: "LISTBOX",
    Kind.FEATURE_GROUPS: "FEATURE_TYPE_LIST",
    Kind.TREE: "LOOKUP_LISTBOX",
    Kind.COORDINATE_SYSTEM: "COORDSYS",
    Kind.COLOR: "COLOR_PICK",
    Kind.DATE: "DATE",
    Kind.DATE_TIME: "DATETIME",
    Kind.FILE: "FILENAME",
    Kind.FILES: "MULTIFILE",
    Kind.FOLDER: "DIRNAME",
    Kind.FOLDERS: "DIRNAME_SRC",
    Kind.DATABASE: "DB_CONNECTION",
    Kind.WEB_SERVICE: "WEB_CONNECTION",
    Kind.OBJECT: "OBJECT",
    Kind.OBJECTS: "OBJECT_LIST",
    Kind.MESSAGE: "MESSAGE",
}

_TYPES_THAT_MUST_EXIST = {Kind.FILE: "FILENAME_MUSTEXIST", Kind.FOLDER: "DIRNAME_MUSTEXIST"}


def describe_parameter(parameter: Parameter, quirks: Quirks) -> dict[str, Any]:
    """Describe a published parameter."""
    described = {
        "name": parameter.name,
        "description": parameter.label,
        "model": model_of(parameter),
        "type": _type(parameter),
        "defaultValue": _default(parameter),
        **_particulars(parameter),
    }
    return described | ({"optional": not parameter.required} if quirks.v3_optional == "shown" else {})


def model_of(parameter: Parameter) -> str:
    """Return what the values of a parameter are: `string`, `list`, `object` or `objectList`."""
    return _MODELS.get(parameter.kind, "list" if parameter.kind in LISTS else "string")


def _type(parameter: Parameter) -> str:
    must_exist = _TYPES_THAT_MUST_EXIST.get(parameter.kind) if parameter.must_exist else None
    return must_exist or _TYPES[parameter.kind]


def _default(parameter: Parameter) -> Any:
    """Return the default: an array for a list, an integer for a range, for all else a text."""
    if parameter.kind in LISTS:
        return [] if parameter.default is None else parameter.default
    if parameter.kind is Kind.RANGE:
        return parameter.default
    if isinstance(parameter.default, bool):
        return "Yes" if parameter.default else "No"
    return "" if parameter.default is None else str(parameter.default)


def _particulars(parameter: Parameter) -> dict[str, Any]:
    """Return the keys that only this family has."""
    kind = parameter.kind
    if kind is Kind.RANGE:
        return {
            "minimum": parameter.minimum,
            "maximum": parameter.maximum,
            "minimumExclusive": parameter.exclusive,
            "maximumExclusive": parameter.exclusive,
            "decimalPrecision": parameter.precision,
        }
    if kind is Kind.DATABASE:
        return {"connectionType": ", ".join(parameter.services)}
    if kind is Kind.WEB_SERVICE:
        return {"connectionTypes": list(parameter.services), "excludeConnectionTypes": list(parameter.excluded)}
    if kind is Kind.DATE_TIME:
        return {"milliseconds": False, "saveInUTC": True}
    if parameter.choices or kind in (Kind.FILES, Kind.FOLDERS):
        return _options(parameter)
    return {}


def _options(parameter: Parameter) -> dict[str, Any]:
    grouping = {"featuregrouping": True} if parameter.kind is Kind.FEATURE_GROUPS else {}
    return grouping | {"listOptions": [_option(choice, parameter.kind) for choice in parameter.choices]}


def _option(choice: Choice, kind: Kind) -> dict[str, Any]:
    option = {"caption": choice.caption, "value": choice.value}
    disabled = [{"name": name} for name in choice.disables]
    return option | ({"disabledParameters": disabled} if kind is Kind.ACTIVE_CHOICE else {})
