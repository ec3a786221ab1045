"""A vendor whose clock is wrong: every time that goes over the wire is shifted."""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING

from flowrunner.simulator.clock import later

if TYPE_CHECKING:
    from collections.abc import Callable

# A date and a time, whatever comes after them: fractions of a second and the zone stay. A year 0000 to 0999 is no time.
_TIME = re.compile(rb"[1-9]\d{3}-\d\d-\d\d[T ]\d\d:\d\d:\d\d")
# What V3 shows as the server's time of day.
_DAY_TIME = re.compile(rb"[A-Z][a-z]{2}-\d\d-[A-Z][a-z]{2}-\d{4} \d\d:\d\d:\d\d [AP]M")
_SHAPES = ((_TIME, "%Y-%m-%dT%H:%M:%S"), (_TIME, "%Y-%m-%d %H:%M:%S"), (_DAY_TIME, "%a-%d-%b-%Y %I:%M:%S %p"))


def shift_times(content: bytes, seconds: int) -> bytes:
    """Return a text with every time in it moved by so many seconds."""
    for pattern, form in _SHAPES if seconds else ():
        content = pattern.sub(_mover(form, seconds), content)
    return content


def _mover(form: str, seconds: int) -> Callable[[re.Match[bytes]], bytes]:
    def move(found: re.Match[bytes]) -> bytes:
        try:
            moment = datetime.strptime(found[0].decode(), form)  # noqa: DTZ007 - its zone, if any, is left as it is
        except ValueError:
            return found[0]
        return (later(moment, seconds) or moment).strftime(form).encode()

    return move
