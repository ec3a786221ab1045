"""How a test that misspelt something is told so."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection


def unknown(what: str, word: object, known: Collection[str]) -> str:
    """Say that there is no such thing, what may have been meant, and what there is."""
    near = get_close_matches(str(word), known, n=1)
    meant = f"did you mean {str(near[0])!r}? There are" if near else "there are"
    return f"no {what} {word!r}: {meant}: {', '.join(known)}"
