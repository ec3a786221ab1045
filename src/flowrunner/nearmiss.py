"""Tell who misspelt a name what they may have meant."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["suggestion"]


def suggestion(word: object, known: Iterable[str]) -> str:
    """A sentence to end an error with: the known name most like the word, if any is like it, and all of them."""
    from difflib import get_close_matches

    names = sorted(known)
    if not names:
        return "there are none"
    folded = {name.casefold(): name for name in names}
    near = get_close_matches(str(word).casefold(), folded, n=1)
    listing = ", ".join(names)
    return f"did you mean {folded[near[0]]!r}? There are: {listing}" if near else f"there are: {listing}"
