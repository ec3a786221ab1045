"""A switch between the servers that the facts about a vendor allow."""

from __future__ import annotations

from typing import Any

from attrs import field
from attrs.validators import in_


def one_of(*options: Any) -> Any:
    """Return a field that takes one of `options`; the first is the default."""
    return field(default=options[0], validator=in_(options))
