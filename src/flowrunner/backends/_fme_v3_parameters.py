"""Published parameters as FME Flow V3 describes them.

The families, their `model` and extra keys are documented; the type names are those seen in the vendor's samples and
libraries and in other clients (observed). Whether a parameter takes one value or many is decided by `model`, never by
`type`: a `STRING_OR_CHOICE` with `model` `list` was recorded.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from flowrunner.backends._fme import dataset_role
from flowrunner.models import ParameterKind, ParameterSpec

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["parameters_in"]

KINDS: Final[tuple[tuple[str, ParameterKind], ...]] = (
    # The first whose text stands in the type decides.
    ("PASSWORD", ParameterKind.PASSWORD),
    ("MESSAGE", ParameterKind.MESSAGE),
    ("NOVALUE", ParameterKind.MESSAGE),
    ("CONNECTION", ParameterKind.CONNECTION),
    ("TEXT_OR", ParameterKind.TEXT),
    ("STRING_OR", ParameterKind.CHOICE),
    ("CHOICE", ParameterKind.CHOICE),
    ("LISTBOX", ParameterKind.CHOICE),
    ("BOOLEAN", ParameterKind.BOOLEAN),
    ("CHECKBOX", ParameterKind.BOOLEAN),
    ("INTEGER", ParameterKind.INTEGER),
    ("FLOAT", ParameterKind.NUMBER),
    ("RANGE", ParameterKind.NUMBER),
    ("DATETIME", ParameterKind.DATETIME),
    ("DATE_TIME", ParameterKind.DATETIME),
    ("DATE", ParameterKind.DATE),
    ("COLOR", ParameterKind.COLOR),
    ("DIRNAME", ParameterKind.FOLDER),
    ("FILE", ParameterKind.FILE),
    ("GEODATABASE", ParameterKind.FILE),
    ("URL", ParameterKind.URL),
    ("TEXT", ParameterKind.TEXT),
    ("STRING", ParameterKind.TEXT),
    ("COORDSYS", ParameterKind.TEXT),
)

MODELS: Final[Mapping[str, ParameterKind]] = {"object": ParameterKind.OBJECT, "objectList": ParameterKind.OBJECT}
"""Models that say what a value is, whatever the type."""

LISTS: Final = frozenset({"list", "objectList"})


def parameters_in(body: Any) -> Iterator[ParameterSpec]:
    """The parameters of a description.

    Raises:
        ValueError: it is no list of parameters.
    """
    if not isinstance(body, list):
        raise ValueError("there is no list of parameters in it")  # noqa: TRY004 - one error for all that misfits
    for entry in body:
        if not isinstance(entry, dict) or not isinstance(entry.get("name"), str):
            raise ValueError("a parameter is an object with a name")  # noqa: TRY004 - as above
        yield _parameter(entry)


def _parameter(entry: Mapping[str, Any]) -> ParameterSpec:
    kind, default = _kind(entry), entry.get("defaultValue")
    optional = entry.get("optional")
    options = _options(entry)
    is_closed = kind is ParameterKind.CHOICE and "_OR_" not in _type(entry) and not entry.get("featuregrouping")
    return ParameterSpec(
        name=entry["name"],
        kind=kind,
        required=None if not isinstance(optional, bool) else not optional,
        default=default,
        choices=tuple(option["value"] for option in options),
        open_choices=not is_closed,
        multiple=_is_multiple(entry, default),
        minimum=_number(entry.get("minimum")),
        maximum=_number(entry.get("maximum")),
        minimum_exclusive=entry.get("minimumExclusive") is True,
        maximum_exclusive=entry.get("maximumExclusive") is True,
        prompt=_text(entry, "description") or entry["name"],
        role=dataset_role(kind, entry["name"], _type(entry).split("_"), must_exist=_type(entry).endswith("_MUSTEXIST")),
        disables={
            option["value"]: _names(option.get("disabledParameters"))
            for option in options
            if isinstance(option["value"], str)
        },
        vendor_type=_type(entry) or None,
    )


def _options(entry: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    options = entry.get("listOptions")
    entries = options if isinstance(options, list) else []
    return [option for option in entries if isinstance(option, dict) and "value" in option]


def _type(entry: Mapping[str, Any]) -> str:
    return _text(entry, "type").upper()


def _text(entry: Mapping[str, Any], key: str) -> str:
    value = entry.get(key)
    return value if isinstance(value, str) else ""


def _kind(entry: Mapping[str, Any]) -> ParameterKind:
    by_model = MODELS.get(_text(entry, "model"))
    if by_model is not None:
        return by_model
    unknown = ParameterKind.CHOICE if _options(entry) else ParameterKind.OTHER
    return next((kind for text, kind in KINDS if text in _type(entry)), unknown)


def _is_multiple(entry: Mapping[str, Any], default: Any) -> bool:
    model = entry.get("model")
    return model in LISTS if isinstance(model, str) else isinstance(default, list)


def _names(disabled: Any) -> tuple[str, ...]:
    """The parameters an option of an active choice disables: names, or objects with one (the vendor shows objects)."""
    entries = disabled if isinstance(disabled, list) else []
    names = (entry.get("name") if isinstance(entry, dict) else entry for entry in entries)
    return tuple(name for name in names if isinstance(name, str))


def _number(value: Any) -> float | None:
    return value if type(value) in {int, float} else None
