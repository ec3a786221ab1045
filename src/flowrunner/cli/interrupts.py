"""Ctrl-C and SIGTERM, which end a command alike."""

from __future__ import annotations

import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

__all__ = ["interruptible"]

LATER: Final = 0.01
"""Seconds after which an interrupt that came at a bad moment comes again."""
MOST: Final = 100
"""How often it does: something that takes this long is not the taking of a lock."""
_MOMENTS: Final = ("__enter__", "__exit__")


@contextmanager
def interruptible() -> Iterator[None]:
    """Have Ctrl-C and SIGTERM raise KeyboardInterrupt, but not while a context manager is entered or left.

    Locks that are written in Python, as those of httpcore and of `threading.Condition` are, would stay taken for ever
    by an interrupt between their being taken and the `with` that gives them back; the command would hang on them.
    """
    # A shell that starts a command in the background has it ignore Ctrl-C: that is kept.
    numbers = [signal.SIGTERM, *([] if signal.getsignal(signal.SIGINT) == signal.SIG_IGN else [signal.SIGINT])]
    timer = getattr(signal, "SIGALRM", None)  # Windows has none
    handler = signal.default_int_handler if timer is None else _Patient()
    previous = {number: signal.signal(number, handler) for number in [*numbers, *([] if timer is None else [timer])]}
    try:
        yield
    finally:
        if timer is not None:
            signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler_before in previous.items():
            signal.signal(number, handler_before)


class _Patient:
    """Handles a signal as soon as that does no harm."""

    def __init__(self) -> None:
        self._postponed = 0

    def __call__(self, _: int, frame: FrameType | None) -> None:
        if frame is not None and frame.f_code.co_name in _MOMENTS and self._postponed < MOST:
            self._postponed += 1
            signal.setitimer(signal.ITIMER_REAL, LATER)
        else:
            raise KeyboardInterrupt
