"""Ctrl-C and SIGTERM, which end a command alike."""

from __future__ import annotations

import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterator, Mapping
    from types import FrameType

__all__ = ["interruptible", "run"]

LATER: Final = 0.01
"""Seconds after which an interrupt that came at a bad moment comes again."""
MOST: Final = 100
"""How often it does: something that takes this long is not the taking of a lock."""
_MOMENTS: Final = ("__enter__", "__exit__")

T = TypeVar("T")


@contextmanager
def interruptible() -> Iterator[None]:
    """Have Ctrl-C and SIGTERM raise KeyboardInterrupt, but not while a context manager is entered or left.

    Locks that are written in Python, as those of httpcore and of `threading.Condition` are, would stay taken for ever
    by an interrupt between their being taken and the `with` that gives them back; the command would hang on them.
    """
    if not hasattr(signal, "SIGALRM"):  # Windows has no timer
        with _handled({signal.SIGTERM: signal.default_int_handler}):
            yield
        return
    handler = _Patient()
    with _handled({signal.SIGTERM: handler, **({} if _ignores_ctrl_c() else {signal.SIGINT: handler})}):
        try:
            yield
        finally:
            handler.forget()


def run(work: Coroutine[Any, Any, T]) -> T:
    """As `asyncio.run`; either interrupt cancels the work, and is a KeyboardInterrupt once that has ended.

    Where Ctrl-C is ignored, SIGTERM is one at once.
    """
    import asyncio

    # Of Ctrl-C asyncio takes care by itself, if nobody else does.
    usual = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: lambda *_: signal.raise_signal(signal.SIGINT)}
    with _handled({signal.SIGTERM: signal.default_int_handler} if _ignores_ctrl_c() else usual):
        return asyncio.run(work)


def _ignores_ctrl_c() -> bool:
    """A shell that starts a command in the background has it do so."""
    return signal.getsignal(signal.SIGINT) == signal.SIG_IGN


@contextmanager
def _handled(handlers: Mapping[signal.Signals, Any]) -> Iterator[None]:
    previous = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


class _Patient:
    """Handles a signal as soon as that does no harm: one that comes at a bad moment comes again, by the alarm clock."""

    def __init__(self) -> None:
        self._postponed = 0
        self._alarm_before: Any = None

    def __call__(self, _: int, frame: FrameType | None) -> None:
        if frame is None or frame.f_code.co_name not in _MOMENTS or self._postponed >= MOST:
            raise KeyboardInterrupt
        if not self._postponed:
            self._alarm_before = signal.signal(signal.SIGALRM, self)
        self._postponed += 1
        signal.setitimer(signal.ITIMER_REAL, LATER)

    def forget(self) -> None:
        """Have nothing come again any more, and the alarm clock as it was."""
        if self._postponed:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, self._alarm_before)
