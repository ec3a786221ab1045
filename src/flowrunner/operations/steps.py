"""What an operation may ask for."""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Any, Generic, TypeAlias, TypeVar

from attrs import frozen

if TYPE_CHECKING:
    from flowrunner.follow import Crowd
    from flowrunner.plans import Plan

__all__ = ["Ask", "Attend", "Operation", "Pause", "ask", "attend", "pause"]

T = TypeVar("T")


@frozen
class Ask(Generic[T]):
    """Carry out a plan.

    Attributes:
        plan: fresh.
        retry: whether requests that may be repeated are.
        at_most: seconds for all of it, where that is less than its requests allow.
    """

    plan: Plan[T]
    retry: bool = True
    at_most: float | None = None


@frozen
class Pause:
    """Let time pass."""

    seconds: float


@frozen
class Attend:
    """Let runs be followed until one of these waits is over.

    Attributes:
        crowd: they are joined.
    """

    crowd: Crowd


Operation: TypeAlias = Generator[Ask[Any] | Attend | Pause, Any, T]


def ask(plan: Plan[T], *, retry: bool = True, at_most: float | None = None) -> Operation[T]:
    """Have a plan carried out; what it returns or raises."""
    answer: T = yield Ask(plan, retry, at_most)
    return answer


def attend(crowd: Crowd) -> Operation[None]:
    """Have runs followed until one of these waits is over."""
    yield Attend(crowd)


def pause(length: float) -> Operation[None]:
    """Have so many seconds pass; with 0 none do, and an event loop gets to do other things."""
    yield Pause(length)
