"""Assertions about what a simulator was sent. A failure lists what was, one line each, passwords masked."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from flowrunner.simulator import Job, RecordedRequest, Simulator

__all__ = ["assert_cancelled", "assert_never_asked", "assert_not_submitted", "assert_submitted"]


def assert_submitted(
    simulator: Simulator, flow: str, parameters: Mapping[str, Any] | None = None, *, times: int = 1
) -> None:
    """So many runs of a flow were submitted.

    Args:
        simulator: to which.
        flow: in the vendor's spelling.
        parameters: only runs that were given exactly these count; None counts all. A number, or a flag, is also what
            the vendor's interface makes of it in text.
        times: how many.
    """
    __tracebackhide__ = True
    runs = simulator.pool.submissions(flow)
    found = [job for job in runs if parameters is None or _alike(parameters, job.parameters)]
    given = "" if parameters is None else f" with {_shown(parameters, _passwords(simulator, flow))}"
    _check(len(found) == times, f"{_runs(times)} of {flow}{given}, found {len(found)}", simulator)


def assert_not_submitted(simulator: Simulator, flow: str | None = None) -> None:
    """No run was submitted: of a flow, or of any."""
    __tracebackhide__ = True
    found = simulator.pool.submissions(flow)
    _check(not found, f"no run{f' of {flow}' if flow else ''}, found {len(found)}", simulator)


def assert_cancelled(simulator: Simulator, flow: str, *, times: int = 1) -> None:
    """The server accepted to cancel so many runs of a flow; how they ended is another matter."""
    __tracebackhide__ = True
    found = [job for job in simulator.pool.jobs if job.flow == flow and job.cancel_at is not None]
    _check(len(found) == times, f"{_runs(times, 'cancelled ')} of {flow}, found {len(found)}", simulator)


def assert_never_asked(simulator: Simulator, path: str = "*", *, method: str | None = None) -> None:
    """No request came for a path, in which `*` stands for anything, and of a method if one is given."""
    __tracebackhide__ = True
    found = simulator.requests.matching(path, method)
    if found:
        title = f"expected no {method or 'request'} for {path}, found {len(found)}"
        raise AssertionError(_listed(title, map(_request, found)))


def _check(holds: bool, expected: str, simulator: Simulator) -> None:  # noqa: FBT001 - it is what is checked
    """Fail with the runs that were submitted; where there are none, with the requests: one of them may say why."""
    __tracebackhide__ = True
    if holds:
        return
    states = {job.id: job.state for job in simulator.pool.jobs}
    runs = [_run(job, states.get(job.id, "forgotten"), simulator) for job in simulator.pool.submissions()]
    if runs:
        raise AssertionError(_listed(f"expected {expected}. The runs", runs))
    title = f"expected {expected}. There are no runs; the requests"
    raise AssertionError(_listed(title, map(_request, simulator.requests)))


def _listed(title: str, lines: Iterable[str]) -> str:
    return "\n  ".join([f"{title}:", *(list(lines) or ["(none)"])])


def _runs(times: int, kind: str = "") -> str:
    return f"{times} {kind}{'run' if times == 1 else 'runs'}"


def _run(job: Job, state: str, simulator: Simulator) -> str:
    return f"{job.flow} {_shown(job.parameters, _passwords(simulator, job.flow))} {state}"


def _request(request: RecordedRequest) -> str:
    query = "&".join(f"{key}={value}" for key, value in request.query)
    status = request.status or "no answer"
    return f"{request.method} {request.path}{'?' if query else ''}{query} -> {status}"


def _shown(parameters: Mapping[str, Any], passwords: frozenset[str]) -> str:
    masked = {name: "***" if name in passwords else value for name, value in parameters.items()}
    return json.dumps(masked, default=str, ensure_ascii=False)


def _passwords(simulator: Simulator, flow: str) -> frozenset[str]:
    """The parameters that a flow says are secret; of the vendors, only FME Flow has such."""
    workspaces = [each for each in getattr(simulator.world, "workspaces", ()) if each.flow == flow]
    return frozenset(each.name for workspace in workspaces for each in workspace.parameters if each.kind == "password")


def _alike(expected: Any, sent: Any) -> bool:
    """Whether a value is what was sent, or what became of it in text."""
    if isinstance(expected, Mapping) and isinstance(sent, Mapping):
        return expected.keys() == sent.keys() and all(_alike(expected[key], sent[key]) for key in expected)
    if isinstance(expected, list | tuple) and isinstance(sent, list | tuple):
        return len(expected) == len(sent) and all(map(_alike, expected, sent))
    return bool(expected == sent) or (isinstance(sent, str) and sent == _text(expected))


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
