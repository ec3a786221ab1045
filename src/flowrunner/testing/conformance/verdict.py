"""How a test of the suite says which rule is broken, in one line."""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import pytest

from flowrunner.testing.conformance.rules import RULES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ["NotConforming", "broken", "holds", "proves", "said"]

Test = TypeVar("Test", bound="Callable[..., None]")


class NotConforming(AssertionError):
    """A backend breaks a rule.

    Attributes:
        rule: its number.
    """

    def __init__(self, rule: str, seen: str) -> None:
        super().__init__(f"rule {rule} is broken: {' '.join(seen.split())}. The rule: {RULES[rule]}")
        self.rule = rule


def broken(rule: str, seen: str) -> NoReturn:
    """Say that a rule is broken, and by what."""
    __tracebackhide__ = True
    raise NotConforming(rule, seen)


def holds(rule: str, condition: object, seen: str) -> None:
    """Say that a rule is broken unless the condition holds."""
    __tracebackhide__ = True
    if not condition:
        raise NotConforming(rule, seen)


def said(seen: Iterable[object]) -> str:
    """Several things that were seen, as a sentence lists them."""
    return " / ".join(map(str, seen))


def proves(rule: str) -> Callable[[Test], Test]:
    """Mark the test of a rule: whatever it raises without having expected it breaks that rule, too."""

    def decorate(test: Test) -> Test:
        @wraps(test)
        def run(self: Any) -> None:
            __tracebackhide__ = True
            try:
                test(self)
            except (NotConforming, pytest.skip.Exception):
                raise
            except Exception as error:
                raise NotConforming(rule, f"{type(error).__name__} was raised: {error}") from error

        run.rule = rule  # type: ignore[attr-defined]
        return run  # type: ignore[return-value]

    return decorate
