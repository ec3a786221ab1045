"""Running generators that ask for what they need: the only difference between sync and async is `await`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from flowrunner.errors import FlowrunnerError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator

__all__ = ["adrive", "drive"]

S = TypeVar("S")
T = TypeVar("T")


def drive(steps: Generator[S, Any, T], perform: Callable[[S], Any]) -> T:
    """Run a plan, or an operation, to its end.

    Args:
        steps: fresh; it is closed whatever happens.
        perform: does what a step asks for and returns the answer. A `FlowrunnerError` or an `OSError` it raises is
            thrown into the generator, which may know what to do about it.

    Returns:
        What the generator returned.
    """
    resume: Callable[[Any], S] = steps.send
    answer: Any = None
    try:
        while True:
            try:
                step = resume(answer)
            except StopIteration as end:
                result: T = end.value
                return result
            try:
                resume, answer = steps.send, perform(step)
            except (FlowrunnerError, OSError) as error:
                resume, answer = steps.throw, error
    finally:
        steps.close()


async def adrive(steps: Generator[S, Any, T], perform: Callable[[S], Awaitable[Any]]) -> T:
    """As `drive`."""
    resume: Callable[[Any], S] = steps.send
    answer: Any = None
    try:
        while True:
            try:
                step = resume(answer)
            except StopIteration as end:
                result: T = end.value
                return result
            try:
                resume, answer = steps.send, await perform(step)
            except (FlowrunnerError, OSError) as error:
                resume, answer = steps.throw, error
    finally:
        steps.close()
