"""How a test of the suite says which rule is broken, in one line."""

from __future__ import annotations

import sys
from functools import wraps
from typing import TYPE_CHECKING, Any, Final, NoReturn, TypeVar

import pytest

from flowrunner.testing.conformance.rules import RULES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ["FIRST", "NotConforming", "broken", "holds", "proves", "said"]

FIRST: Final = "1.1"
"""The rule without which there is nothing to ask."""

Test = TypeVar("Test", bound="Callable[..., None]")


class NotConforming(AssertionError):
    """A backend breaks a rule, or something came up before it could be seen to keep it.

    Attributes:
        rule: its number.
    """

    __module__ = "builtins"  # as pytest's own failures: a summary of one line has no room for where the class is

    def __init__(self, rule: str, seen: str, verdict: str = "is broken") -> None:
        super().__init__(f"rule {rule} {verdict}: {' '.join(seen.split())}. The rule: {RULES[rule]}")
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
    """Mark the test of a rule. What it raises without having expected it fails it, too, and claims no more than that.

    The author sees one line, and of a traceback what is in the author's own code.
    """

    def decorate(test: Test) -> Test:
        @wraps(test)
        def run(self: Any) -> None:
            __tracebackhide__ = True
            if rule != FIRST and self.class_problem() is not None:
                pytest.skip(f"not asked: rule {FIRST} is broken")
            try:
                test(self)
            except pytest.skip.Exception:
                raise
            except NotConforming as verdict:
                raise verdict.with_traceback(None) from None
            except Exception as error:  # noqa: BLE001 - whatever it is, the test fails with it
                raise _unexpected(rule, error) from _of_the_author(error)

        run.rule = rule  # type: ignore[attr-defined] # a function has it as an attribute
        return run  # type: ignore[return-value] # which the caller reads there

    return decorate


def _unexpected(rule: str, error: Exception) -> NotConforming:
    return NotConforming(rule, f"{type(error).__name__} was raised: {error}", "is not shown to hold")


def _of_the_author(error: Exception) -> Exception | None:
    """The error alone, with its traceback from where the author's code begins; None where that has no part in it."""
    trace = error.__traceback__
    while trace is not None and not _is_the_authors(trace.tb_frame.f_globals.get("__name__", "")):
        trace = trace.tb_next
    error.__cause__ = error.__context__ = None
    return None if trace is None else error.with_traceback(trace)


def _is_the_authors(module: str) -> bool:
    package = module.partition(".")[0]
    return module.startswith("flowrunner.backends.") or package not in {
        "flowrunner",
        "stamina",
        *sys.stdlib_module_names,
    }
