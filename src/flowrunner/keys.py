"""Keys for submissions, of whatever identifies a piece of work elsewhere."""

from __future__ import annotations

import hashlib
import json

from flowrunner.errors import InvalidRequest

__all__ = ["submission_key"]


def submission_key(*identity: str | int | None) -> str:
    """A key for `submit(..., key=...)`, of what identifies a piece of work: of a workflow, its run and its task, say.

    The same identity gives the same key, in every process and every version; different ones give different keys: `1`,
    `"1"` and None are different, and so are `("a", "bc")` and `("ab", "c")`. What the identity was cannot be read from
    it, but somebody who can guess that can tell: it is a plain hash.

    Args:
        *identity: its parts, in a fixed order. What changes with a retry belongs to it only if the retry is to start
            another run.

    Returns:
        32 letters and digits.

    Raises:
        InvalidRequest: there is no part, or one is neither a text nor a whole number nor None.
    """
    if not identity:
        raise InvalidRequest("a key needs an identity: give at least one part, such as the id of a run")
    parts: tuple[object, ...] = identity
    if strange := [type(part).__name__ for part in parts if not isinstance(part, str | int | None)]:
        raise InvalidRequest(f"the parts of an identity are texts, whole numbers and None, not {strange[0]}")
    # Written as it is: as \uXXXX, two halves of a character would be the same as the character.
    written = json.dumps(identity, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(written.encode("utf-8", "surrogatepass")).hexdigest()[:32]
