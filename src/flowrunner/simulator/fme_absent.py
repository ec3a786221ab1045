"""How FME Flow shows what is not known yet."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

_TIME = {"null": None, "zero": "0001-01-01T00:00:00Z", "empty": ""}
_NAME = {"null": None, "zero": "", "empty": ""}


def fill_absent(fields: Mapping[str, Any], style: str) -> dict[str, Any]:
    """Show the fields that are None in a style: key "missing", "null", Go's "zero" value or an "empty" string."""
    known = {key: value for key, value in fields.items() if value is not None}
    if style == "missing":
        return known
    return {key: (_TIME if key.startswith("time") else _NAME)[style] for key in fields} | known
