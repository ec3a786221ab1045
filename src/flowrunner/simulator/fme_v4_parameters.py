"""Published parameters as FME Flow V4 describes them; the keys are those that independent clients read (observed)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flowrunner.simulator.fme_workspaces import Kind

if TYPE_CHECKING:
    from collections.abc import Iterable

    from flowrunner.simulator.fme_workspaces import Choice, Parameter

# The `type` and the `valueType` of each kind; types of objects are assumed.
_TYPES: dict[Kind, tuple[str, str | None]] = {
    Kind.TEXT: ("text", "string"),
    Kind.MULTILINE: ("text", "stringEncoded"),
    Kind.URL: ("text", "string"),
    Kind.PASSWORD: ("password", "string"),
    Kind.NUMBER: ("number", "float"),
    Kind.INTEGER: ("number", "integer"),
    Kind.RANGE: ("range", "float"),
    Kind.BOOLEAN: ("checkbox", "boolean"),
    Kind.CHOICE: ("dropdown", "string"),
    Kind.ACTIVE_CHOICE: ("dropdown", "string"),
    Kind.CHOICES: ("listbox", "string"),
    Kind.FEATURE_GROUPS: ("listbox", "string"),
    Kind.TREE: ("tree", "string"),
    Kind.COORDINATE_SYSTEM: ("text", "string"),
    Kind.COLOR: ("color", "string"),
    Kind.DATE: ("datetime", "string"),
    Kind.DATE_TIME: ("datetime", "string"),
    Kind.FILE: ("file", "string"),
    Kind.FILES: ("file", "string"),
    Kind.FOLDER: ("file", "string"),
    Kind.FOLDERS: ("file", "string"),
    Kind.DATABASE: ("dropdown", "string"),
    Kind.WEB_SERVICE: ("dropdown", "string"),
    Kind.OBJECT: ("object", "string"),
    Kind.OBJECTS: ("objectList", "string"),
    Kind.MESSAGE: ("message", None),
}

# What each kind has beside that, whatever the parameter.
_EXTRAS: dict[Kind, dict[str, Any]] = {
    Kind.MULTILINE: {"editor": "plaintext"},
    Kind.URL: {"editor": "url"},
    Kind.RANGE: {"showSlider": True},
    Kind.TREE: {"nodeDelimiter": "/"},
    Kind.COLOR: {"colorSpace": "rgb"},
    Kind.DATE: {"format": "date"},
    Kind.DATE_TIME: {"format": "datetime"},
    Kind.FILE: {"itemsToSelect": "files"},
    Kind.FILES: {"itemsToSelect": "files"},
    Kind.FOLDER: {"itemsToSelect": "folders"},
    Kind.FOLDERS: {"itemsToSelect": "folders"},
}


def describe_parameters(published: Iterable[Parameter]) -> list[dict[str, Any]]:
    """Describe what a workspace takes; parameters of a group are inside it, where the first of them stands."""
    described: list[dict[str, Any]] = []
    groups: dict[str, list[dict[str, Any]]] = {}
    for parameter in published:
        if parameter.group and parameter.group not in groups:
            members = groups[parameter.group] = []
            described.append(
                {"name": parameter.group, "type": "group", "prompt": parameter.group, "parameters": members}
            )
        (groups[parameter.group] if parameter.group else described).append(_describe(parameter))
    return described


def _describe(parameter: Parameter) -> dict[str, Any]:
    kind, value_type = _TYPES[parameter.kind]
    described: dict[str, Any] = {
        "name": parameter.name,
        "type": kind,
        "prompt": parameter.label,
        "required": parameter.required,
        "valueType": value_type,
        "defaultValue": parameter.default,
        "minimum": parameter.minimum,
        "maximum": parameter.maximum,
        "choiceSettings": _choice_settings(parameter),
        **_EXTRAS.get(parameter.kind, {}),
        **_particulars(parameter),
    }
    return {key: value for key, value in described.items() if value is not None}


def _particulars(parameter: Parameter) -> dict[str, Any]:
    if parameter.kind is Kind.RANGE:
        exclusive = dict.fromkeys(("minimumExclusive", "maximumExclusive"), parameter.exclusive)
        return exclusive | {"multipleOf": 10**-parameter.precision}
    if "itemsToSelect" in _EXTRAS.get(parameter.kind, {}):
        return {"validateExistence": parameter.must_exist}
    return {}


def _choice_settings(parameter: Parameter) -> dict[str, Any] | None:
    """Tell what can be chosen; connections are named only by what they are connected to."""
    if parameter.kind is Kind.DATABASE:
        return {"choiceSet": "dbConnections", "family": ", ".join(parameter.services)}
    if parameter.kind is Kind.WEB_SERVICE:
        services, excluded = list(parameter.services), list(parameter.excluded)
        return {"choiceSet": "webConnections", "services": services, "excludedServices": excluded}
    if parameter.choices:
        return {"choices": [_choice(choice, parameter.kind) for choice in parameter.choices]}
    return None


def _choice(choice: Choice, kind: Kind) -> dict[str, Any]:
    described = {"display": choice.caption, "value": choice.value}
    return described | ({"path": choice.value.split("/")} if kind is Kind.TREE else {})
