"""Where an execution of Smart Flows is: its word, its percentage, and what it says."""

from __future__ import annotations

from datetime import timedelta
from math import floor
from typing import TYPE_CHECKING

from attrs import frozen

from flowrunner.simulator.engine import EndedBy, JobState
from flowrunner.simulator.smart_flows_flows import Ask, ChooseFlow
from flowrunner.simulator.smart_flows_world import records_of

if TYPE_CHECKING:
    from datetime import datetime

    from flowrunner.simulator.engine import Job, Pause
    from flowrunner.simulator.smart_flows_flows import SmartFlow
    from flowrunner.simulator.smart_flows_quirks import SmartFlowsQuirks
    from flowrunner.simulator.smart_flows_world import SmartFlowsWorld

_WORDS = {
    JobState.QUEUED: "Queued",
    JobState.RUNNING: "Running",
    JobState.SUCCEEDED: "Success",
    JobState.FAILED: "Error",
    JobState.CANCELLED: "Interrupted",
}
_MESSAGES = {
    "Queued": "Waiting for other flows",
    "UserInput": "Waiting for user input",
    "SelectFlow": "Waiting for the choice of a flow",
    "Waiting": "Waiting for an external event",
    "Success": "",
    "Warning": "A block failed after the documents were made.",
    "Error": "The execution failed.",
    "Canceled": "The execution was canceled.",
    "Interrupted": "The execution was interrupted: it ran too long.",
}
_FINAL = frozenset({"Success", "Warning", "Error", "Canceled", "Interrupted"})
_LIVE = frozenset({"Running", *_MESSAGES}) - _FINAL
_STABLE = _MESSAGES.keys() - {"Queued"}

# So that a step counts as done at the very moment it is, whatever the rounding to microseconds.
_ROUNDING = 1e-6


def plain_word(job: Job, quirks: SmartFlowsQuirks) -> str:
    """Return the status of a job in the vendor's spelling."""
    if job.pause is not None:
        return pause_word(job.pause)
    if job.state is JobState.CANCELLED and job.ended_by is EndedBy.CALLER:
        return "Canceled"
    if job.state is JobState.SUCCEEDED and job.behaviour.warnings and quirks.warning == "present":
        return "Warning"
    return _WORDS[job.state]


def pause_word(pause: Pause) -> str:
    """Return the status of a job in a pause: what is no question and no choice waits for something outside."""
    words = {Ask: "UserInput", ChooseFlow: "SelectFlow"}
    return words.get(type(pause.reason), "Waiting")


def shown_word(plain: str, quirks: SmartFlowsQuirks) -> str:
    """Return a status as this server spells it."""
    own = quirks.user_input_word if plain == "UserInput" else plain
    return quirks.words.get(own, own)


def words_of(quirks: SmartFlowsQuirks) -> frozenset[str]:
    """Return every status there is on this server, as it spells it."""
    return live_words(quirks) | final_words(quirks)


def live_words(quirks: SmartFlowsQuirks) -> frozenset[str]:
    """Return those of an execution that goes on."""
    return frozenset(shown_word(plain, quirks) for plain in _LIVE)


def final_words(quirks: SmartFlowsQuirks) -> frozenset[str]:
    """Return those of one that has ended."""
    return frozenset(shown_word(plain, quirks) for plain in _FINAL if plain != "Warning" or quirks.warning == "present")


@frozen
class Sight:
    """What of an execution changes as it goes on.

    Attributes:
        plain: Its status in the vendor's spelling.
        step: How many steps are done, those for each record counted.
        percentage: What is shown of that; None if nothing.
        message: What it says.
    """

    plain: str
    step: int
    percentage: int | None
    message: str

    @property
    def is_stable(self) -> bool:
        """Whether nothing changes without somebody's doing."""
        return self.plain in _STABLE


def sight_of(world: SmartFlowsWorld, job: Job) -> Sight:
    """Return where a job is now."""
    plain, flow = plain_word(job, world.quirks), world.flow_of(job)
    count, worked = _step_count(job, flow), job.worked(world.pool.clock.now())
    step = count if job.state is JobState.SUCCEEDED else _steps_begun(job, count, worked)
    shown = count if job.state.is_final and world.quirks.percentage == "completes" else step
    return Sight(plain, step, _percentage(shown, count, world.quirks), _message(job, flow, plain, step))


def percentage_after(job: Job, flow: SmartFlow, stint: int, quirks: SmartFlowsQuirks) -> int | None:
    """Return the percentage that was shown at the end of a stretch of work which was not the last."""
    worked, count = (each.end - each.start for each in job.stints[: stint + 1]), _step_count(job, flow)
    return _percentage(_steps_begun(job, count, sum(worked, timedelta())), count, quirks)


def _percentage(step: int, count: int, quirks: SmartFlowsQuirks) -> int | None:
    """Return what is shown of the steps that are done: their share (documented), unless a quirk says otherwise."""
    if quirks.percentage == "missing":
        return None
    if quirks.percentage == "jumps":
        return 100 * (step // count)
    return 100 * (min(step, count - 1) if quirks.percentage == "stalls" else step) // count


def next_step_at(world: SmartFlowsWorld, job: Job) -> datetime | None:
    """Return when the next step of a job will be done."""
    count = _step_count(job, world.flow_of(job))
    return job.works_at(job.behaviour.duration * (sight_of(world, job).step + 1) / count)


def _step_count(job: Job, flow: SmartFlow) -> int:
    return max(1, len(flow.steps)) * (max(1, records_of(job)) if flow.iterates else 1)


def _steps_begun(job: Job, count: int, worked: timedelta) -> int:
    """Count the steps done before the one that is being done; only success has done the last."""
    duration = job.behaviour.duration or _ROUNDING
    return min(count - 1, floor(count * (worked.total_seconds() + _ROUNDING) / duration))


def _message(job: Job, flow: SmartFlow, plain: str, step: int) -> str:
    """Return what an execution says: what it does, or why it ended so (observed)."""
    if plain in ("Error", "Warning") and job.behaviour.message:
        return job.behaviour.message
    doing = flow.steps[step % len(flow.steps)] if flow.steps else flow.name
    return _MESSAGES.get(plain, doing)
