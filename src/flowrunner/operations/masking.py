"""Masking what must not be seen in what comes from outside: credentials, and the values of password parameters."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from attrs import evolve

from flowrunner.errors import FlowrunnerError
from flowrunner.secret import MASK

if TYPE_CHECKING:
    from collections.abc import Iterable

    from flowrunner.states import Observation

__all__ = ["NOTHING_HIDDEN", "Masker"]


SHORTEST: Final = 4
"""Characters of a value that can be told from the text around it; masking shorter ones would leave no text."""


class Masker:
    """Hides some values wherever they stand, as they are and as JSON writes them."""

    def __init__(self, values: Iterable[str] = ()) -> None:
        self.values = frozenset(value for value in values if len(value) >= SHORTEST)
        self._forms = tuple(sorted({form for value in self.values for form in _forms(value)}, key=len, reverse=True))
        self._bytes = tuple(form.encode("utf-8", "surrogatepass") for form in self._forms)

    def __bool__(self) -> bool:
        return bool(self.values)

    def __or__(self, other: Masker) -> Masker:
        return Masker(self.values | other.values)

    def text(self, text: str) -> str:
        """The text without the values."""
        for form in self._forms:
            text = text.replace(form, MASK)
        return text

    def error(self, error: BaseException | None) -> None:
        """Mask in the error, and in those it was raised from."""
        while self and isinstance(error, FlowrunnerError):
            error.redact(self.text)
            error = error.__cause__

    def json(self, value: Any) -> Any:
        """The JSON value, with the values masked in every text of it."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, list | tuple):
            return [self.json(item) for item in value]
        if isinstance(value, dict):
            return {key: self.json(item) for key, item in value.items()}
        return value

    def observation(self, seen: Observation) -> Observation:
        """What was seen, without the values; itself, if none is in it."""
        message = None if seen.message is None else self.text(seen.message)
        remarks, raw = tuple(map(self.text, seen.remarks)), seen.raw
        if raw is not None:
            for form in self._bytes:
                raw = raw.replace(form, MASK.encode())
        if (message, remarks, raw) == (seen.message, seen.remarks, seen.raw):
            return seen
        return evolve(seen, message=message, remarks=remarks, raw=raw)


NOTHING_HIDDEN: Final = Masker()
"""Hides nothing; there are more runs without passwords than with."""


def _forms(value: str) -> tuple[str, ...]:
    return value, json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1]
