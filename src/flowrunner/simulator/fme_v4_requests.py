"""What FME Flow V4 reads: bodies and queries, checked the way the server checks them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attrs import frozen

from flowrunner.simulator.engine import JobState, Limits
from flowrunner.simulator.fme_http import VALIDATION_FAILED, ApiError, are_texts, read_object, read_whole
from flowrunner.simulator.fme_jobs import JobNotes, Order, engine_name
from flowrunner.simulator.fme_v4_bodies import WORDS
from flowrunner.simulator.fme_world import USER_ID
from flowrunner.simulator.roll import Group

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from starlette.datastructures import QueryParams

    from flowrunner.simulator.engine import EnginePool, Job
    from flowrunner.simulator.quirks import Quirks

_LONGEST_LIFE = 86400
_ACTIVE = frozenset({"queued", "running"})
_COMPLETED = frozenset({"success", "failure", "cancelled"})
_STATES = {own: state for state, own in WORDS.items()}
_DEFAULT_LIMIT = 100


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _is_seconds(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def _is_life_time(value: Any) -> bool:
    return _is_seconds(value) and value <= _LONGEST_LIFE


def _are_directives(value: Any) -> bool:
    return isinstance(value, dict) and are_texts(list(value.values()))


# Each key of a submission, what it must be, and what the server says if it is not.
_SHAPES: dict[str, tuple[Callable[[Any], bool], str]] = {
    "repository": (_is_name, "must not be blank"),
    "workspace": (_is_name, "must not be blank"),
    "publishedParameters": (lambda value: isinstance(value, dict), "must be an object"),
    "queue": (lambda value: isinstance(value, str), "must be a string"),
    "directives": (_are_directives, "must be an object of strings"),
    "successTopics": (are_texts, "must be an array of strings"),
    "failureTopics": (are_texts, "must be an array of strings"),
    "maxJobRuntime": (_is_seconds, "must be a whole number of at least 1"),
    "maxTimeInQueue": (_is_seconds, "must be a whole number of at least 1"),
    "maxTotalLifeTime": (_is_life_time, f"must be a whole number from 1 to {_LONGEST_LIFE}"),
}


def read_order(content: bytes, *, sync: bool) -> Order:
    """Read the body of a submission; `maxTotalLifeTime` is known only where the submission waits.

    Raises:
        ApiError: 400, the body is not what the server takes.
    """
    body = read_object(content)
    refused = _shape_problems(body, _SHAPES.keys() - (() if sync else {"maxTotalLifeTime"}))
    if refused:
        raise ApiError(400, VALIDATION_FAILED, refused)
    limits = Limits(body.get("maxTimeInQueue"), body.get("maxJobRuntime"), body.get("maxTotalLifeTime"))
    parameters, notes = body.get("publishedParameters", {}), _notes(body)
    return Order(body["repository"], body["workspace"], parameters, body.get("queue", ""), limits, notes)


def _notes(body: Mapping[str, Any]) -> JobNotes:
    return JobNotes(
        directives=body.get("directives", {}),
        success_topics=tuple(body.get("successTopics", ())),
        failure_topics=tuple(body.get("failureTopics", ())),
    )


def _shape_problems(body: Mapping[str, Any], known: Iterable[str]) -> dict[str, str]:
    """Say what is wrong with a submission, by key. Keys of V3 are as unknown as any other."""
    shapes = {key: _SHAPES[key] for key in known}
    wrong = {
        key: reason
        for key, (fits, reason) in shapes.items()
        if (key in body or key in ("repository", "workspace")) and not fits(body.get(key))
    }
    return wrong | {key: "is not a known field" for key in body if key not in shapes}


@frozen
class Listing:
    """Which jobs `GET /jobs` shows, and in what order."""

    states: frozenset[JobState]
    repository: str | None
    workspace: str | None
    queue: str | None
    engine: str | None
    user_id: str | None
    sort: str | None
    limit: int
    offset: int

    def page_of(self, pool: EnginePool) -> tuple[Sequence[Job], int]:
        """Return the jobs of the page, and how many there are in all."""
        group = self._group()
        if group is not None:
            return pool.page(group, self.offset, self.limit)
        chosen = self._select(pool.jobs)
        return chosen[self.offset : self.offset + self.limit], len(chosen)

    def _group(self) -> Group | None:
        """Return the group that the server keeps in order, if it is the one that is asked for."""
        if any((self.repository, self.workspace, self.queue, self.engine, self.user_id)):
            return None
        words = frozenset(WORDS[state] for state in self.states)
        return _GROUPS.get((words, self.sort))

    def _select(self, jobs: Iterable[Job]) -> list[Job]:
        """Pick and order jobs: the newest first unless another order was asked for."""
        chosen = [job for job in reversed(list(jobs)) if self._shows(job)]
        if self.sort is None:
            return chosen
        key, _, direction = self.sort.rpartition("_")
        return sorted(chosen, key=_SORT_KEYS[key], reverse=direction == "desc")

    def _shows(self, job: Job) -> bool:
        repository, _, workspace = job.flow.rpartition("/")
        pairs = (
            (self.repository, repository),
            (self.workspace, workspace),
            (self.queue, job.queue or "Default"),
            (self.engine, engine_name(job)),
            (self.user_id, USER_ID),
        )
        return job.state in self.states and all(asked in (None, actual) for asked, actual in pairs)


_SORT_KEYS: dict[str, Callable[[Job], Any]] = {
    "workspace": lambda job: job.flow.rpartition("/")[2],
    "timeFinished": lambda job: job.finished_at or job.submitted_at,
    "timeStarted": lambda job: job.started_at or job.submitted_at,
    "status": lambda job: WORDS[job.state],
}
_GROUPS = {
    (_ACTIVE | _COMPLETED, None): Group.ALL,
    (_ACTIVE, None): Group.LIVE,
    (_COMPLETED, None): Group.ENDED,
    (_COMPLETED, "timeFinished_desc"): Group.LAST_ENDED,
}
_SORTS = frozenset(f"{key}_{direction}" for key in _SORT_KEYS for direction in ("asc", "desc"))


def read_listing(query: QueryParams, quirks: Quirks) -> Listing:
    """Read the query of `GET /jobs`.

    Raises:
        ApiError: 400, what is asked for cannot be had together, or is not known.
    """
    words = frozenset(query.getlist("status"))
    refused = dict(_listing_problems(query, words))
    if refused:
        raise ApiError(400, VALIDATION_FAILED, refused)
    unfiltered = {"all": _ACTIVE | _COMPLETED, "active": _ACTIVE, "completed": _COMPLETED}[quirks.unfiltered_list]
    return Listing(
        states=frozenset(_STATES[own] for own in words or unfiltered),
        repository=query.get("repository"),
        workspace=query.get("workspace"),
        queue=query.get("queue"),
        engine=query.get("engineName"),
        user_id=query.get("runtimeUserID"),
        sort=query.get("sort"),
        limit=min(read_whole(query, "limit", _DEFAULT_LIMIT, 1), quirks.max_limit),
        offset=read_whole(query, "offset", 0, 0),
    )


def _listing_problems(query: QueryParams, words: frozenset[str]) -> Iterable[tuple[str, str]]:
    if words - _ACTIVE - _COMPLETED:
        yield "status", "must be queued, running, success, failure or cancelled"
    if words & _ACTIVE and words & _COMPLETED:
        yield "status", "active and completed statuses must not be mixed"
    if "engineName" in query and "queued" in words:
        yield "engineName", "a queued job has no engine"
    if "workspace" in query and "repository" not in query:
        yield "workspace", "needs a repository"
    if query.get("sort", "status_asc") not in _SORTS:
        yield "sort", "must be workspace, timeFinished, timeStarted or status, with _asc or _desc"
