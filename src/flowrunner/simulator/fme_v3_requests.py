"""What FME Flow V3 reads: bodies and queries, checked the way the server checks them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attrs import frozen

from flowrunner.simulator.engine import JobState, Limits
from flowrunner.simulator.fme_http import VALIDATION_FAILED, ApiError, are_texts, read_object, read_whole
from flowrunner.simulator.fme_jobs import JobNotes, Order, SentData
from flowrunner.simulator.fme_v3_bodies import raw
from flowrunner.simulator.fme_v3_parameters import model_of
from flowrunner.simulator.fme_world import USER
from flowrunner.simulator.roll import Group

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from starlette.datastructures import QueryParams

    from flowrunner.simulator.engine import EnginePool, Job
    from flowrunner.simulator.fme_workspaces import Workspace
    from flowrunner.simulator.quirks import Quirks

SECTIONS = {
    "active": frozenset({JobState.QUEUED, JobState.RUNNING}),
    "queued": frozenset({JobState.QUEUED}),
    "running": frozenset({JobState.RUNNING}),
    "completed": frozenset({JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED}),
}
"""The lists of jobs and which of them each shows."""

# The lists that a server keeps at hand; of its own work none is blocked.
_GROUPS = {SECTIONS["active"]: Group.LIVE, SECTIONS["completed"]: Group.ENDED}

# Which jobs `completedState` picks; that a cancelled one counts as failed is assumed.
_COMPLETED = {
    "success": frozenset({JobState.SUCCEEDED}),
    "failed": frozenset({JobState.FAILED, JobState.CANCELLED}),
}

_OPTION = "opt_"
_NOT_PARAMETERS = frozenset({"fmetoken"})


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _are_named(value: Any, key: str) -> bool:
    if not isinstance(value, list):
        return False
    return all(isinstance(item, dict) and isinstance(item.get("name"), str) and key in item for item in value)


def _are_parameters(value: Any) -> bool:
    return _are_named(value, "value")


def _are_directives(value: Any) -> bool:
    return _are_named(value, "value") and all(isinstance(item["value"], str) for item in value)


# Each known key, what it must be, and what the server says if it is not: 400, for the body cannot be read (assumed).
_TOP_SHAPES: dict[str, tuple[Callable[[Any], bool], str]] = {
    "publishedParameters": (_are_parameters, "must be an array of objects with name and value"),
    "TMDirectives": (lambda value: isinstance(value, dict), "must be an object"),
    "NMDirectives": (lambda value: isinstance(value, dict), "must be an object"),
}
_WORK_SHAPES: dict[str, tuple[Callable[[Any], bool], str]] = {
    "rtc": (lambda value: isinstance(value, bool), "must be true or false"),
    "ttc": (_is_whole, "must be a whole number"),
    "ttl": (_is_whole, "must be a whole number"),
    "priority": (_is_whole, "must be a whole number"),
    "description": (_is_text, "must be a string"),
    "tag": (_is_text, "must be a string"),
}
_NOTICE_SHAPES: dict[str, tuple[Callable[[Any], bool], str]] = {
    "directives": (_are_directives, "must be an array of objects with name and value"),
    "successTopics": (are_texts, "must be an array of strings"),
    "failureTopics": (are_texts, "must be an array of strings"),
}


def _check(body: Mapping[str, Any], shapes: Mapping[str, tuple[Callable[[Any], bool], str]]) -> None:
    """Refuse what does not fit; keys that nobody knows are tolerated, as those of older versions are (observed)."""
    for key, (fits, reason) in shapes.items():
        if body.get(key) is not None and not fits(body[key]):
            raise ApiError(400, f"Unable to read the request: {key} {reason}")


def _limits(ttl: int | None, ttc: int | None) -> Limits:
    """Return the limits of a job; those below 1 are ignored (documented for `ttc`)."""
    return Limits(queue=ttl if ttl and ttl >= 1 else None, run=ttc if ttc and ttc >= 1 else None)


def read_order(repository: str, workspace: str, content: bytes) -> Order:
    """Read the body of a submission.

    Raises:
        ApiError: 400, the body is not what the server takes.
    """
    body = read_object(content)
    _check(body, _TOP_SHAPES)
    work, notice = body.get("TMDirectives") or {}, body.get("NMDirectives") or {}
    _check(work, _WORK_SHAPES)
    _check(notice, _NOTICE_SHAPES)
    notes = JobNotes(
        description=work.get("description") or "",
        priority=work.get("priority"),
        rtc=bool(work.get("rtc")),
        directives={item["name"]: item["value"] for item in notice.get("directives") or ()},
        success_topics=tuple(notice.get("successTopics") or ()),
        failure_topics=tuple(notice.get("failureTopics") or ()),
    )
    parameters = {item["name"]: item["value"] for item in body.get("publishedParameters") or ()}
    limits = _limits(work.get("ttl"), work.get("ttc"))
    return Order(repository, workspace, parameters, work.get("tag") or "", limits, notes)


def read_data_order(workspace: Workspace, query: QueryParams, data: SentData) -> Order:
    """Read the query of a submission whose body is the source data: `opt_*`, and parameters (observed).

    A key that is repeated is a list, as is any key of a list parameter.
    """
    notes = JobNotes(
        description=query.get("opt_description", ""),
        success_topics=tuple(query.getlist("opt_successtopics")),
        failure_topics=tuple(query.getlist("opt_failuretopics")),
        data=data,
    )
    names = [name for name in query if not name.startswith(_OPTION) and name not in _NOT_PARAMETERS]
    lists = {parameter.name for parameter in workspace.parameters if model_of(parameter) == "list"}
    values = {name: query.getlist(name) for name in names}
    parameters = {name: each if name in lists or len(each) > 1 else each[0] for name, each in values.items()}
    limits = _limits(_seconds(query, "opt_ttl"), _seconds(query, "opt_ttc"))
    return Order(workspace.repository, workspace.name, parameters, query.get("opt_tag", ""), limits, notes)


def _seconds(query: QueryParams, name: str) -> int | None:
    return read_whole(query, name, 0, -1) if name in query else None


def value_problems(workspace: Workspace, values: Mapping[str, Any]) -> dict[str, str]:
    """Say what is wrong with the values for a run, by parameter; a number or a boolean is as good as its text."""
    primitive = (bool, int, float)
    texts = {name: raw(value) if isinstance(value, primitive) else value for name, value in values.items()}
    return workspace.problems(texts)


@frozen
class Listing:
    """Which jobs one of the lists shows."""

    states: frozenset[JobState]
    repository: str | None
    workspace: str | None
    user: str | None
    source_type: str | None
    limit: int
    offset: int
    most: int

    def page_of(self, pool: EnginePool) -> tuple[Sequence[Job], dict[str, Any]]:
        """Return the jobs of one page, the newest first, and what it tells beside them."""
        if self.limit < 0:
            jobs, total = self._jobs_in(pool, 0, self.most)
            return jobs, {"totalCount": total, "limit": -1, "offset": -1}
        limit, offset = min(self.limit, self.most), max(self.offset, 0)
        jobs, total = self._jobs_in(pool, offset, limit)
        return jobs, {"totalCount": total, "limit": limit, "offset": offset}

    def _jobs_in(self, pool: EnginePool, offset: int, limit: int) -> tuple[Sequence[Job], int]:
        group = _GROUPS.get(self.states)
        if group is not None and (self.repository, self.workspace, self.user, self.source_type) == (None,) * 4:
            return pool.page(group, offset, limit)
        chosen = [job for job in reversed(pool.jobs) if self._shows(job)]
        return chosen[offset : offset + limit], len(chosen)

    def _shows(self, job: Job) -> bool:
        repository, _, workspace = job.flow.rpartition("/")
        # No job here was started by anything but a caller, so a `sourceType` finds none.
        pairs = ((self.repository, repository), (self.workspace, workspace), (self.user, USER), (self.source_type, ""))
        return job.state in self.states and all(asked in (None, actual) for asked, actual in pairs)


def read_listing(states: frozenset[JobState], query: QueryParams, quirks: Quirks, *, completed: bool) -> Listing:
    """Read the query of a list of jobs; a `limit` of -1 asks for all there are (observed).

    Of completed jobs those of one `completedState` may be asked for.

    Raises:
        ApiError: 400, a number is none; 422, a filter needs another or is not known.
    """
    outcome = query.get("completedState") if completed else None
    if outcome is not None and outcome not in _COMPLETED:
        raise ApiError(422, f"{VALIDATION_FAILED}: completedState must be failed or success")
    if "sourceID" in query and "sourceType" not in query:
        raise ApiError(422, f"{VALIDATION_FAILED}: sourceID needs a sourceType")
    return Listing(
        states=states if outcome is None else _COMPLETED[outcome],
        repository=query.get("repository"),
        workspace=query.get("workspace"),
        user=query.get("userName"),
        source_type=query.get("sourceType"),
        limit=read_whole(query, "limit", quirks.max_limit, -1),
        offset=read_whole(query, "offset", 0, -1),
        most=quirks.max_limit,
    )
