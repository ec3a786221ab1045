"""A value that must not be seen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NoReturn

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["MASK", "Secret"]

MASK: Final = "***"


class Secret:
    """A credential. It prints as `***`, and neither pickles nor becomes JSON; `reveal()` is the only way in."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The value itself."""
        return self._value

    def __repr__(self) -> str:
        return f"Secret({MASK})"

    def __str__(self) -> str:
        return MASK

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is not pickled: pass the name of the connection and load it there")

    def map(self, function: Callable[[str], str]) -> Secret:
        """Another secret, made of this one."""
        return Secret(function(self._value))

    def hide_in(self, text: str) -> str:
        """The text with every occurrence of the value masked."""
        return text.replace(self._value, MASK) if self._value else text

    @classmethod
    def wrap(cls, value: Any) -> Secret:
        """The value as a secret, whether it is one already or a text."""
        return value if isinstance(value, Secret) else cls(value)
