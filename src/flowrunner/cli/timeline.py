"""How runs went, as text: one character for each slice of time, the same slices for all of them."""

from __future__ import annotations

import shutil
import sys
from typing import TYPE_CHECKING, Final

from attrs import frozen

from flowrunner.enums import RunState

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    from flowrunner.cli.output import Output
    from flowrunner.models import RunStatus

    Moments = Sequence[tuple[datetime, RunState]]

__all__ = ["LEGEND", "Axis", "axis_of", "length_of", "moments", "moments_of", "picture", "show_picture", "told_by"]

_BAR: Final = 40
"""Characters of a timeline; a narrow terminal has fewer."""

LEGEND: Final = ". queued   = running   ? waiting   ~ cancelling"

_SIGNS: Final = {
    RunState.SUBMITTING: ".",
    RunState.QUEUED: ".",
    RunState.RUNNING: "=",
    RunState.WAITING: "?",
    RunState.CANCELLING: "~",
}
_NEVER_SEEN: Final = " "
_ENDS: Final = {RunState.SUCCEEDED: "ok"}


def moments_of(history: Iterable[RunStatus]) -> Moments:
    """When each state was seen first, oldest first."""
    return tuple((status.observed_at, status.state) for status in history if status.observed_at is not None)


def told_by(status: RunStatus) -> Moments:
    """When the vendor says that the run queued, started and ended."""
    told = (
        (status.queued_at, RunState.QUEUED),
        (status.started_at, RunState.RUNNING),
        (status.finished_at, status.state),
    )
    return tuple((when, state) for when, state in told if when is not None)


def moments(history: Iterable[RunStatus], status: RunStatus) -> Moments:
    """How the run went as it was seen, or, where it had ended before anybody looked, as the vendor tells."""
    seen = moments_of(history)
    live = [state for _, state in seen if not state.is_final and state is not RunState.UNKNOWN]
    return seen if live else told_by(status) or seen


def picture(runs: Mapping[str, Moments], width: int) -> Iterator[str]:
    """A line for each run, by its label, above the axis that they share; nothing if there is nothing to see.

    Args:
        runs: how they went.
        width: columns that there are.
    """
    margin = max(map(len, runs), default=0)
    axis = axis_of(runs.values(), max(10, min(_BAR, width - margin - len("  cancelled") - 2)))
    if axis is None or axis.start == axis.end:
        return
    gap = "  " if margin else ""
    for label, run in runs.items():
        yield f"{label:<{margin}}{gap}{axis.draw(run)}".rstrip()
    yield f"{'':<{margin}}{gap}{axis.scale()}"
    yield f"{'':<{margin}}{gap}{LEGEND}"


def show_picture(runs: Mapping[str, Moments], output: Output) -> None:
    """Show the picture to a person at a terminal, on stderr."""
    if sys.stderr.isatty():
        for line in picture(runs, shutil.get_terminal_size().columns):
            output.say(f"  {line}")


def length_of(moments: Moments) -> float | None:
    """Seconds from the first to the last; None where nothing was seen."""
    return (moments[-1][0] - moments[0][0]).total_seconds() if moments else None


def axis_of(runs: Iterable[Moments], width: int) -> Axis | None:
    """The axis that all runs fit on; None if nothing was seen of any."""
    seen = [when for moments in runs for when, _ in moments]
    return Axis(min(seen), max(seen), width) if seen else None


@frozen
class Axis:
    """A stretch of time, cut into slices of the same length.

    Attributes:
        start: where it begins.
        end: where it ends.
        width: how many slices it has.
    """

    start: datetime
    end: datetime
    width: int

    def draw(self, moments: Moments) -> str:
        """A sign for each slice, and how the run ended. A slice shows what was seen last in it."""
        signs = [_NEVER_SEEN] * self.width
        for when, state in moments:
            at = self._slice_of(when)
            if state.is_final:
                return "".join(signs[: at + 1]).rstrip() + f" {_ENDS.get(state, state)}"
            signs[at:] = _SIGNS.get(state, _NEVER_SEEN) * (self.width - at)
        return "".join(signs)

    def scale(self) -> str:
        """What stands below: where it begins and ends, in seconds."""
        end = f"{(self.end - self.start).total_seconds():.1f} s"
        return f"0{end:>{self.width - 1}}"

    def _slice_of(self, when: datetime) -> int:
        share = (when - self.start) / (self.end - self.start) if self.end > self.start else 0.0
        return min(int(share * self.width), self.width - 1)
