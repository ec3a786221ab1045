"""One flow for many sets of parameters: so many runs at once, each set an item, whatever becomes of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from attrs import frozen

from flowrunner.errors import FlowrunnerError, InvalidRequest, SubmissionUncertain
from flowrunner.operations.submitting import check_options

if TYPE_CHECKING:
    from collections.abc import Callable

    from flowrunner.models import SubmitOptions
    from flowrunner.operations.records import RunRecord, Runs
    from flowrunner.operations.steps import Operation
    from flowrunner.operations.submitting import Submitting
    from flowrunner.operations.together import Together

__all__ = ["Ended", "Mapped", "check_mapping"]


@frozen
class Ended:
    """What became of one set of parameters.

    Attributes:
        index: its place among the sets.
        parameters: the set.
        record: its run; None if nothing was started.
        error: what went wrong with submitting or following it; None if it came to its end, whatever that was.
    """

    index: int
    parameters: Mapping[str, Any] | None
    record: RunRecord | None
    error: Exception | None = None


def check_mapping(sets: object, max_in_flight: object, options: object, key: object) -> None:
    """Raise InvalidRequest where something of what `map` was given is not what it should be."""
    if type(max_in_flight) is not int or max_in_flight < 1:
        raise InvalidRequest(f"max_in_flight must be 1 or more, not {max_in_flight!r}")
    if isinstance(sets, Mapping | str):
        kind = type(sets).__name__
        raise InvalidRequest(f"parameter_sets has a mapping for each run, as [{{...}}]; it cannot be of type {kind}")
    if key is not None and not callable(key):
        raise InvalidRequest("key is a function of the place of a set and the set, which gives a key for each run")
    check_options(options)


class Mapped:
    """Starts runs of a flow, and gives what became of them as they come to their ends.

    Args:
        submitting: starts them.
        runs: what is known of them.
        together: follows them; without others.
        flow: what is run.
        max_in_flight: how many may live at once.
        options: how to run it.
        key: gives each set the key of its run; None for none.
    """

    def __init__(
        self,
        submitting: Submitting,
        runs: Runs,
        together: Together,
        *,
        flow: str,
        max_in_flight: int,
        options: SubmitOptions | None,
        key: Callable[[int, Mapping[str, Any] | None], str] | None,
    ) -> None:
        self._submitting = submitting
        self._runs = runs
        self._together = together
        self._flow = flow
        self._most = max_in_flight
        self._options = options
        self._key = key
        self._sets: dict[RunRecord, tuple[int, Mapping[str, Any] | None]] = {}

    def __len__(self) -> int:
        return len(self._together)

    def is_full(self, starting: int = 0) -> bool:
        """Whether a run has to come to its end before another one is started; `starting` are being started."""
        return len(self) + starting >= self._most

    def start(self, index: int, parameters: Mapping[str, Any] | None) -> Operation[Ended | None]:
        """Start a run; what became of it, if it was not started."""
        key = None if self._key is None else self._key(index, parameters)
        try:
            submission = self._submitting.submission(self._flow, parameters, None, self._options, key)
            record = yield from self._submitting.submit(submission)
        except SubmissionUncertain as error:
            handle = None if error.handle is None else self._runs.attach(error.handle)
            return Ended(index, parameters, handle, error)
        except (FlowrunnerError, OSError) as error:
            return Ended(index, parameters, None, error)
        self._sets[record] = index, parameters
        self._together.add([record])
        return None

    def next(self) -> Operation[Ended | None]:
        """What became of the next run that came to its end, or cannot be followed; None if none is under way."""
        came = yield from self._together.next()
        if came is None:
            return None
        record, error = came
        index, parameters = self._sets.pop(record)
        return Ended(index, parameters, record, error)

    def close(self) -> None:
        """Follow none of those that are under way; they go on."""
        self._together.close()
