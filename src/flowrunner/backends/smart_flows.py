"""Smart Flows (Xpertdoc, Experlogix): flows that may ask people, wait for events and make documents.

The vendor's own libraries and pages contradict each other in places; what is documented, observed or assumed is marked
so, and what is assumed is accepted both ways.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime  # noqa: TC003 - annotations of wire classes are read at run time
from functools import cache, partial
from typing import TYPE_CHECKING, Any, ClassVar, Final

from attrs import define, evolve, frozen

from flowrunner.answers import error_for, json_of, senseless, submit_once
from flowrunner.backend import (
    ENDED,
    LIVE,
    Accepted,
    Backend,
    CancelAnswer,
    Capability,
    Listed,
    Outcome,
    Prompt,
    RunQuery,
    Settings,
    Sighting,
    refuse_options,
    secret,
    setting,
)
from flowrunner.backends._smart_flows_model import documents_in, parameters_in
from flowrunner.backends._xml import element_of, xml_body
from flowrunner.convert import read, read_item, utc
from flowrunner.enums import CancelOutcome, Cause, RunState, WaitReason
from flowrunner.errors import (
    AuthenticationError,
    FlowNotFound,
    FlowrunnerError,
    InvalidRequest,
    PermissionDenied,
    ProtocolError,
    RunNotFound,
    TransportError,
    UnsupportedOperation,
    UnsupportedOption,
)
from flowrunner.models import ArtifactSource, FlowInfo, FlowSpec, Health
from flowrunner.pages import Glimpsed, Sightings, glimpse
from flowrunner.plans import FileBody, Page, Request, path, send
from flowrunner.retries import RequestKind
from flowrunner.secret import Secret
from flowrunner.states import Meaning, Observation, fold

if TYPE_CHECKING:
    from pathlib import Path

    from flowrunner.backend import Submission
    from flowrunner.models import Progress, RunRef
    from flowrunner.plans import Plan, Response

__all__ = ["SmartFlows", "SmartFlowsSettings"]

API: Final = "/api/v1"
EXECUTIONS: Final = API + "/flows/executions"
PAGE: Final = 100
"""Items asked for a page; a server may give fewer and says no total, so an empty page is the end."""
MANY: Final = 1000
"""Executions asked for a page where many are looked at."""
NEWEST_FIRST: Final = ("sort", "createdAt,desc")
LAST_CHANGED_FIRST: Final = ("sort", "modifiedAt,desc")
"""Of executions that have ended, by the end. Not every property can be sorted by (documented); which, is not said."""
HOLD_MARGIN: Final = 15.0
"""Seconds a held request may last longer than asked, before we give it up."""
DEFAULT_HOLD: Final = 30.0
"""Seconds a server holds a request that does not say for how long (documented); some may take -1 for that."""
AT_ONCE: Final = "-1"
"""The `timeout` that asks for an answer at once, as the vendor's own sample does (observed)."""
XML: Final = 'application/xml; charset="utf-8"'
"""As the vendor documents it, with the quotes."""

WORDS: Final[Mapping[str, Meaning]] = {
    "queued": Meaning(RunState.QUEUED),
    "running": Meaning(RunState.RUNNING),
    "userinput": Meaning(RunState.WAITING, reason=WaitReason.USER_INPUT),
    "waitingforuserinput": Meaning(RunState.WAITING, reason=WaitReason.USER_INPUT),
    "selectflow": Meaning(RunState.WAITING, reason=WaitReason.FLOW_SELECTION),
    "waiting": Meaning(RunState.WAITING, reason=WaitReason.EXTERNAL_EVENT),
    "success": Meaning(RunState.SUCCEEDED),
    "warning": Meaning(RunState.SUCCEEDED, has_warnings=True),
    "error": Meaning(RunState.FAILED, cause=Cause.FLOW),
    "canceled": Meaning(RunState.CANCELLED, cause=Cause.UNSPECIFIED),
    "cancelled": Meaning(RunState.CANCELLED, cause=Cause.UNSPECIFIED),
    "interrupted": Meaning(RunState.FAILED, cause=Cause.INTERRUPTED),
}
WRITTEN: Final = (
    "Queued",
    "Running",
    "UserInput",
    "User input",
    "User Input",
    "Waiting for user input",
    "SelectFlow",
    "Waiting",
    "Success",
    "Warning",
    "Error",
    "Canceled",
    "Cancelled",
    "Interrupted",
)
"""Those words in every spelling that the vendor documents: a filter may compare them as they are written."""
REFUSALS: Final = frozenset({400, 404, 405, 422, 500, 501})
"""Answers to a filter that the server does not have, or not so (assumed: no page says which it would be)."""


@frozen(kw_only=True)
class SmartFlowsSettings(Settings):
    """The settings of a Smart Flows connection: a key, or a user and a password."""

    base_url: str = setting("Address of the project, such as https://acme.smartflows.example.com.")
    api_key: Secret | None = secret("API key of a user.", default=None)
    username: str | None = setting("User to log in as, where there is no key.", default=None)
    password: Secret | None = secret("Password of that user.", default=None, in_header=False)

    def __attrs_post_init__(self) -> None:
        if self.api_key is None and (self.username is None or self.password is None):
            raise ValueError("give api_key, or username and password")


@frozen
class Execution:
    """An execution's progress, or the execution itself: both have an id (documented), needed where it is new."""

    id: str


@frozen
class Details:
    """What either of them may tell. Of a run that is known, none of it is needed (documented)."""

    id: str | None = None
    status: str | None = None
    percentage: float | None = None
    message: str | None = None
    createdAt: datetime | None = None
    modifiedAt: datetime | None = None
    flow: dict[str, Any] | None = None
    schema: dict[str, Any] | None = None
    model: dict[str, Any] | None = None
    form: list[Any] | None = None
    state: dict[str, Any] | None = None


@define  # not frozen: a page has a thousand, and frozen ones cost five times as much
class Glance:
    """As much of an execution in a page as shows whether there is news of it."""

    id: str
    status: str | None = None
    percentage: float | None = None
    message: str | None = None


@frozen
class Flow:
    """A flow in a list."""

    id: str
    displayName: str | None = None
    description: str | None = None


@frozen
class Document:
    """A document's description."""

    displayName: str | None = None
    contentType: str | None = None


@frozen
class Login:
    """The answer to a login."""

    tokens: list[Any]


@frozen
class Token:
    """One of its tokens."""

    token: str


class SmartFlows(Backend):
    """Smart Flows. A flow is its id; a batch takes a name, too."""

    backend_api = 1
    name = "smart-flows"
    family = "smart-flows"
    settings_class = SmartFlowsSettings
    capabilities = frozenset({
        Capability.ARTIFACTS,
        Capability.BULK,
        Capability.CANCEL,
        Capability.DESCRIBE,
        Capability.HEALTH,
        Capability.LIST_FLOWS,
        Capability.LIST_RUNS,
        Capability.LONG_POLL,
        Capability.PARAMETERS,
        Capability.PAYLOAD,
        Capability.PROGRESS,
        Capability.RECONCILE,
        Capability.RESUME,
    })  # fmt: skip
    words = WORDS
    options: ClassVar[Mapping[str, str]] = {
        "batch": "true: skip every question and take the defaults.",
        "dataset_id": "The dataset the payload conforms to; a mapping goes as JSON then.",
        "root": "The name of the XML element that a mapping, or the parameters, go into.",
    }

    settings: SmartFlowsSettings

    @property
    def base_url(self) -> str:
        """The project's root. People copy the address of the interface, too."""
        return self.settings.base_url.rstrip("/").removesuffix(API)

    def authorize(self) -> Mapping[str, Secret]:
        """The key; nothing where a login has to come first."""
        return {} if self.settings.api_key is None else {"X-API-Key": self.settings.api_key}

    def login(self) -> Plan[Mapping[str, Secret]] | None:
        """`POST /authenticate/login`, where there is no key. The token expires and is not renewed (documented)."""
        return self._log_in() if self.settings.api_key is None else None

    def _log_in(self) -> Plan[Mapping[str, Secret]]:
        request = Request(
            "POST",
            API + path("authenticate", "login"),
            headers={"Content-Type": "application/json"},
            file=_credential(self.settings),
            anonymous=True,
        )
        response = yield from send(request)
        if response.status in {400, 401, 403, 422}:
            raise _refused_login(response)
        if not response.is_success:
            raise _error_in(response)
        token = _token_in(response)
        if token is None:
            raise AuthenticationError(
                "the vendor's answer to the login has no token: ask its administrator", http_status=response.status
            )
        return {"Authorization": token}

    # Submitting

    def submit(self, submission: Submission) -> Plan[Accepted]:
        """`POST /flows/executions`, or `/flows/executions/start` for a batch."""
        refuse_options(submission.options, backend=self.name)
        extra = submission.options.extra
        batch = _is_batch(extra)
        query = [("flow" if batch else "flowId", submission.flow)]
        if "dataset_id" in extra:
            query.append(("datasetId", str(extra["dataset_id"])))
        address = EXECUTIONS + ("/start" if batch else "")
        content = yield from _content(submission)
        request = Request("POST", address, query=tuple(query), repeatable=False, **content)
        return (yield from submit_once(request, lambda response: _accepted(response, submission.flow)))

    # Observing

    def observe(self, ref: RunRef, hold: float = 0.0) -> Plan[Observation]:
        """`GET /flows/executions/{id}/progress`; `timeout` is how long the server may wait for news (documented)."""
        seen = _observation((yield from self._progress(ref, hold)))
        meaning = self.words.get(fold(seen.word or ""))
        if meaning is not None and meaning.reason is WaitReason.EXTERNAL_EVENT:
            return (yield from self._with_event(ref, seen))
        return seen

    def _with_event(self, ref: RunRef, seen: Observation) -> Plan[Observation]:
        """What is seen, and what it waits for, which stands in the execution; a look that fails leaves it open."""
        try:
            event = _event_in(_read((yield from send(_get_execution(ref))), ref))
        except FlowrunnerError:
            event = None
        if event is None:
            return seen
        return evolve(seen, message=f"{seen.message} (waits for {event})" if seen.message else f"waits for {event}")

    def _progress(self, ref: RunRef, hold: float = 0.0) -> Plan[Response]:
        """The progress, or the execution where the server takes no such `timeout`: what -1 means is assumed."""
        response = yield from send(_get_progress(ref, hold))
        if response.status == 400:
            response = yield from send(_get_execution(ref))
        return _read(response, ref)

    def result(self, ref: RunRef) -> Plan[Outcome]:
        """The progress, the execution and its named outputs; a part that is not there is empty."""
        progress = yield from self._progress(ref)
        execution = yield from self._part(EXECUTIONS + path(ref.id or ""))
        named = yield from self._part(EXECUTIONS + path(ref.id or "", "status"))
        state = _mapping(execution.get("state"))
        output = _mapping(state.get("output"))
        models = (_mapping(output.get("model")), _mapping(object_of(progress).get("model")))
        artifacts = []
        for document_id, name in documents_in((*models, output.get("parts"), named.get("outputs"))).items():
            artifacts.append((yield from self._document(document_id, name)))
        return Outcome(
            observations=(
                _observation(progress),
                *([_seen(execution, json.dumps(execution).encode())] if execution else []),
            ),
            outputs=_outputs(named, models),
            artifacts=tuple(artifacts),
            metrics={"documents": len(artifacts), "iterations": len(_list(state.get("iterations")))},
            raw={
                "progress": object_of(progress),
                "execution": execution,
                "outputs": _list(named.get("outputs")),
                "stages": _list(state.get("stages")),
                "iterations": _list(state.get("iterations")),
                "report": _list(state.get("report")),
            },
        )

    def _part(self, address: str) -> Plan[dict[str, Any]]:
        response = yield from send(Request("GET", address))
        if response.status in {404, 405}:
            return {}
        if not response.is_success:
            raise _error_in(response)
        return object_of(response)

    def _document(self, document_id: str, name: str | None) -> Plan[ArtifactSource]:
        """Its description, where the vendor still has it."""
        described = yield from self._part(API + path("documents", document_id))
        document = read_item(described, Document)
        return ArtifactSource(
            name=document.displayName or name or document_id,
            location=API + path("documents", document_id, "content"),
            media_type=document.contentType,
        )

    def download(self, artifact: ArtifactSource, to: Path, progress: Progress | None) -> Plan[None]:
        """`GET /documents/{id}/content`, of whatever type (the libraries ask for one only)."""
        request = Request("GET", artifact.location, headers={"Accept": "*/*"}, save_to=to, progress=progress)
        response = yield from send(request)
        if not response.is_success:
            raise _error_in(response)

    # Answering

    def prompt(self, ref: RunRef) -> Plan[Prompt]:
        """What the run asks: schema, defaults and form stand in its progress."""
        details = read((yield from self._asked(ref)), Details)
        return Prompt(schema=details.schema, model=details.model or {}, form=tuple(details.form or ()))

    def _asked(self, ref: RunRef) -> Plan[Response]:
        """The progress, which alone has the schema; so a short `timeout` is used where -1 is not taken."""
        response = yield from send(_get_progress(ref, 0.0))
        if response.status == 400:
            response = yield from send(_get_progress(ref, 1.0))
        return _read(response, ref)

    def resume(self, ref: RunRef, answers: Mapping[str, Any]) -> Plan[Observation]:
        """`POST /flows/executions/{id}/progress`: the answers, all of them; what is missing is emptied (documented)."""
        address = EXECUTIONS + path(ref.id or "", "progress")
        request = Request("POST", address, json=dict(answers), repeatable=False, kind=RequestKind.CANCEL)
        response = yield from send(request)
        if not response.is_success:
            raise _run_error_in(response, ref)
        if not response.content.strip():  # taken in silence
            return (yield from self.observe(ref))
        return _observation(_read(response, ref))

    # Cancelling

    def cancel(self, ref: RunRef) -> Plan[CancelAnswer]:
        """`DELETE /flows/executions/{id}/progress`; the form without `/progress` where there is none (documented).

        That other form may delete the record (assumed from the name of its right), so it is used for a live run only.
        """
        response = yield from send(Request("DELETE", EXECUTIONS + path(ref.id or "", "progress")))
        seen = yield from self._look_quietly(ref)
        if response.status in {404, 405} and not self._has_ended(seen):
            response = yield from send(Request("DELETE", EXECUTIONS + path(ref.id or "")))
            seen = yield from self._look_quietly(ref)
        if not response.is_success:
            if self._has_ended(seen):
                return CancelAnswer(CancelOutcome.TOO_LATE, seen)
            raise _run_error_in(response, ref)
        if self.state_of(seen) is RunState.CANCELLED:
            return CancelAnswer(CancelOutcome.CONFIRMED, seen)
        return CancelAnswer(CancelOutcome.TOO_LATE if self._has_ended(seen) else CancelOutcome.REQUESTED, seen)

    def _has_ended(self, seen: Observation | None) -> bool:
        state = self.state_of(seen)
        return state is not None and state.is_final

    def _look_quietly(self, ref: RunRef) -> Plan[Observation | None]:
        try:
            return (yield from self.observe(ref))
        except FlowrunnerError:
            return None

    # Listing

    def list_runs(self, query: RunQuery, cursor: Any = None) -> Plan[Page[Listed]]:
        """The runs of asked states by a filter, where the server has one; else a list of all. Newest first.

        States are sorted out here all the same, since a list has them all and a server may ignore a filter.
        """
        words = self._words_for(query)
        if words == []:  # no run is ever shown so
            return Page(())
        by_filter, page = cursor or (words is not None, 0)
        items = (yield from self._filtered(words, page)) if by_filter else None
        if items is None:
            by_filter = False
            request = Request("GET", _runs_of(query.flow), query=_place(page, NEWEST_FIRST))
            items = _items_in(_of_flow((yield from send(request)), query.flow))
        listed = [_listed(item, query.flow or "") for item in items]
        wanted = [each for each in listed if not query.states or self._shown(each.observation) in query.states]
        return Page(tuple(wanted), (by_filter, page + 1) if items and not query.is_past(listed) else None)

    def _words_for(self, query: RunQuery) -> list[str] | None:
        """The words to filter by; None where a filter could not find all that is asked for.

        No word stands for UNKNOWN, and how a word that the configuration teaches is written is not known. Of one flow
        its own list is asked for: that is documented, and under which key a filter would find a flow is not.
        """
        if not query.states or RunState.UNKNOWN in query.states:
            return None
        meant = {word for word, meaning in self.words.items() if meaning.state in query.states}
        if meant and (query.flow is not None or not meant <= WORDS.keys()):
            return None
        return [word for word in WRITTEN if fold(word) in meant]

    def _filtered(self, words: list[str] | None, page: int) -> Plan[list[Any] | None]:
        """The filter's answer; None where the first page of it is refused."""
        response = yield from send(_filter(words, _place(page, NEWEST_FIRST)))
        return None if page == 0 and response.status in REFUSALS else _items_in(response)

    def observe_many(self, *, ended: bool, cursor: Any = None) -> Plan[Page[Sighting]]:
        """As `list_runs`; those that have ended by their last change, where the server sorts so, else by their start.

        Where the server has no filter, each page of the list of all is sorted out here: what has no known word is
        shown among those that go on.
        """
        words = self._words_for(RunQuery(states=ENDED if ended else LIVE))
        way, page = cursor or (0, 0)
        ways = _many(words, page, ended=ended)
        response = yield from send(ways[way])
        while page == 0 and response.status in REFUSALS and way + 1 < len(ways):
            way += 1
            response = yield from send(ways[way])
        executions = _glimpsed(response)
        return Page(self._sightings(executions, ended=ended), (way, page + 1) if executions.seen else None)

    def _sightings(self, page: Glimpsed[list[Glance]], *, ended: bool) -> Sightings[int]:
        has_ended = cache(lambda word: self._has_ended(Observation(word=word)))  # there are few words in a page
        execution_in = partial(_execution_in, page)

        def see(_: int, place: int) -> Sighting:
            each = page.seen[place]
            progress = None if each.percentage is None else _share(each.percentage)
            return Sighting(
                each.id, each.status or None, each.message or None, progress, read=execution_in, place=place
            )

        wanted = [place for place, each in enumerate(page.seen) if has_ended(each.status or None) is ended]
        return Sightings(wanted, see)

    def _shown(self, seen: Observation) -> RunState:
        """The state in which a listed run is shown."""
        return self.state_of(seen) or RunState.UNKNOWN

    def list_flows(self, cursor: Any = None) -> Plan[Page[FlowInfo]]:
        """`GET /flows`."""
        page = cursor or 0
        request = Request("GET", API + path("flows"), query=_place(page, ("sort", "displayName,asc")))
        items = _items_in((yield from send(request)))
        flows = (read_item(item, Flow) for item in items)
        infos = tuple(
            FlowInfo(flow=flow.id, title=flow.displayName or None, description=flow.description or None)
            for flow in flows
        )
        return Page(infos, page + 1 if items else None)

    def describe(self, flow: str) -> Plan[FlowSpec]:
        """`POST /flows/{flow}/contract`, which is documented as still to come: most servers have no description."""
        response = yield from send(Request("POST", API + path("flows", flow, "contract"), json={}))
        if response.status == 404 and _is_own(response):
            raise FlowNotFound(f"the vendor has no flow {flow!r}, or no description of it", http_status=404)
        if response.status in {405, 501}:
            raise UnsupportedOperation(
                "the vendor describes no flows: see the flow itself", http_status=response.status
            )
        if not response.is_success:
            raise _error_in(response)
        schema = object_of(response).get("inputSchema")
        if not isinstance(schema, dict):
            raise UnsupportedOperation(f"the vendor gives no description of flow {flow!r}: see the flow itself")
        return FlowSpec(flow, tuple(parameters_in(schema)))

    # Health

    def health(self) -> Plan[Health]:
        """`GET /authenticate`, which wants no credential, and `GET /users/me`, which does."""
        try:
            front = yield from send(Request("GET", API + path("authenticate"), anonymous=True))
        except TransportError as error:
            return Health(reachable=False, message=error.message)
        reachable = front.is_success and _is_own(front)
        try:
            me = yield from send(Request("GET", API + path("users", "me")))
        except AuthenticationError as error:  # the login was refused
            return Health(reachable=True, authenticated=False, message=error.message)
        except FlowrunnerError as error:
            return Health(reachable=reachable, message=error.message)
        authenticated, problem = _authenticated(me)
        version = yield from self._version()
        return Health(
            reachable=reachable or authenticated is not None,
            authenticated=authenticated,
            version=version,
            message=problem,
        )

    def _version(self) -> Plan[str | None]:
        try:
            info = yield from send(Request("GET", API + path("system", "info")))
        except FlowrunnerError:
            return None
        version = object_of(info).get("version") if info.is_success and _is_own(info) else None
        return str(version) if version else None


# Submitting: what is sent, and its answer


def _content(submission: Submission) -> Plan[dict[str, Any]]:
    """The body: XML, JSON for a dataset, or none."""
    extra = submission.options.extra
    payload = submission.payload
    if payload is not None and submission.parameters:
        raise InvalidRequest("a flow takes parameters or a payload, not both")
    if submission.parameters:
        payload = dict(submission.parameters)
    if isinstance(payload, Mapping) and "root" in extra:
        payload = element_of(extra["root"], payload)
    elif "root" in extra:
        raise UnsupportedOption("option root names the element that a mapping goes into: there is none", option="root")
    if payload is None:
        return {}
    if isinstance(payload, Mapping | list):
        return {"json": _for_dataset(payload, extra)}
    body: FileBody = yield from xml_body(payload)
    return {"file": body, "headers": {"Content-Type": XML}}


def _for_dataset(payload: Mapping[str, Any] | list[Any], extra: Mapping[str, Any]) -> Any:
    if "dataset_id" not in extra:
        raise InvalidRequest(
            "a mapping needs the name of its XML element, extra={'root': ...}, or the dataset it conforms to as "
            "JSON, extra={'dataset_id': ...}"
        )
    return dict(payload) if isinstance(payload, Mapping) else payload


def _is_batch(extra: Mapping[str, Any]) -> bool:
    batch = extra.get("batch", False)
    if not isinstance(batch, bool):
        raise InvalidRequest(f"option batch is true or false, not {batch!r}")
    return batch


def _of_flow(response: Response, flow: str | None) -> Response:
    """The answer of a flow, if there is one."""
    if flow is not None and response.status == 404 and _is_own(response):
        raise FlowNotFound(f"the vendor has no flow {flow!r}, or the key may not see it", http_status=404)
    return response


def _accepted(response: Response, flow: str) -> Accepted:
    if not _of_flow(response, flow).is_success:
        raise _error_in(response)
    execution = read(response, Execution)
    if not execution.id:
        raise senseless(response, "without an id")
    return Accepted(execution.id, _observation(response))


# Logging in


def _credential(settings: SmartFlowsSettings) -> FileBody:
    """User and password as a body, which, unlike JSON, no representation of the request shows."""
    password = settings.password or Secret("")
    return FileBody(before=json.dumps({"username": settings.username, "password": password.reveal()}).encode())


def _refused_login(response: Response) -> AuthenticationError:
    """It is made here since what the vendor says may repeat the password, and frames that it passes are shown."""
    said = _said(response)
    text = f"the vendor did not accept user and password{f': {said}' if said else ''}: check them"
    return AuthenticationError(text, http_status=response.status, vendor_message=said)


def _token_in(response: Response) -> Secret | None:
    """The first token; None where there is none. Errors of reading it would hold the answer, and a token with it."""
    try:
        return Secret(f"Bearer {read_item(read(response, Login).tokens[0], Token).token}")
    except (ProtocolError, IndexError):
        return None


# Executions, and what their answers say


def _get_progress(ref: RunRef, hold: float) -> Request:
    wait = str(max(1, round(hold))) if hold > 0 else AT_ONCE
    return Request(
        "GET",
        EXECUTIONS + path(ref.id or "", "progress"),
        query=(("timeout", wait),),
        timeout=(hold if hold > 0 else DEFAULT_HOLD) + HOLD_MARGIN,
    )


def _get_execution(ref: RunRef) -> Request:
    return Request("GET", EXECUTIONS + path(ref.id or ""))


def _read(response: Response, ref: RunRef) -> Response:
    if not response.is_success:
        raise _run_error_in(response, ref)
    details = read(response, Details)
    if details.id is None and details.status is None:
        raise senseless(response, "JSON that shows no execution")
    return response


def _observation(response: Response) -> Observation:
    return _seen(object_of(response), response.content)


def _seen(value: dict[str, Any], raw: bytes) -> Observation:
    details = read_item(value, Details)
    meaning = WORDS.get(fold(details.status or ""))
    ended = meaning is not None and meaning.state is not None and meaning.state.is_final
    percentage = details.percentage
    return Observation(
        word=details.status or None,
        message=details.message or None,
        progress=None if percentage is None else _share(percentage),
        queued_at=utc(details.createdAt),
        finished_at=utc(details.modifiedAt) if ended else None,
        raw=raw,
    )


def _share(percentage: float) -> float:
    return min(max(percentage / 100, 0.0), 1.0)


def _event_in(response: Response) -> str | None:
    event = _mapping(object_of(response).get("state")).get("waitingFor")
    return event if isinstance(event, str) and event else None


def _runs_of(flow: str | None) -> str:
    return EXECUTIONS if flow is None else API + path("flows", flow, "executions")


def _place(page: int, order: tuple[str, str] = NEWEST_FIRST, size: int = PAGE) -> tuple[tuple[str, str], ...]:
    """Where in a list to read. Its parameters have two documented names each: a server reads those that it knows."""
    return (
        ("page", str(page)),
        ("size", str(size)),
        ("pageNumber", str(page)),
        ("pageSize", str(size)),
        order,
    )


def _filter(words: list[str] | None, place: tuple[tuple[str, str], ...]) -> Request:
    """`POST /flows/executions/filter`, which only asks."""
    condition = {"key": "status", "operator": "in", "values": words}
    node = {"group": {"type": "and", "nodes": [{"condition": condition}]}}
    return Request("POST", EXECUTIONS + "/filter", query=place, json=node)


def _many(words: list[str] | None, page: int, *, ended: bool) -> list[Request]:
    """The ways to ask for a page of many, each for where the one before is refused; few, since each page has them."""
    orders = (LAST_CHANGED_FIRST, NEWEST_FIRST) if ended else (NEWEST_FIRST,)
    places = [_place(page, order, MANY) for order in orders]
    by_filter = [] if words is None else [_filter(words, places[0])]
    return by_filter + [Request("GET", EXECUTIONS, query=place) for place in places]


def _glimpsed(response: Response) -> Glimpsed[list[Glance]]:
    if not response.is_success:
        raise _error_in(response)
    return glimpse(response, list[Glance])


def _execution_in(page: Glimpsed[list[Glance]], index: int) -> Observation:
    return _observation(page.item(index))


def _items_in(response: Response) -> list[Any]:
    if not response.is_success:
        raise _error_in(response)
    items = json_of(response)
    if not isinstance(items, list):
        raise ProtocolError("the vendor answered a list with something else", http_status=response.status)
    return items


def _listed(item: Any, asked: str) -> Listed:
    execution, details = read_item(item, Execution), read_item(item, Details)
    flow = (details.flow or {}).get("id")
    return Listed(execution.id, flow if isinstance(flow, str) else asked, _seen(item, json.dumps(item).encode()))


def _outputs(named: dict[str, Any], models: tuple[dict[str, Any], ...]) -> dict[str, Any]:
    """Named outputs by name, and below `model` what the flow's blocks gave out."""
    found: dict[str, Any] = {}
    for entry in _list(named.get("outputs")):
        output = _mapping(_mapping(entry).get("output"))
        names = (output.get("displayName"), output.get("id"))
        name = next((name for name in names if isinstance(name, str) and name and name not in {*found, "model"}), None)
        if name is not None:
            found[name] = _mapping(entry).get("content")
    model = {key: value for each in models for key, value in each.items()}
    return {**found, "model": model} if model else found


# Answers


def object_of(response: Response) -> dict[str, Any]:
    """The JSON object in an answer; empty where it is something else."""
    return _mapping(json_of(response))


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _is_own(response: Response) -> bool:
    """Whether the vendor itself answers: an object, where a proxy answers with a page. An empty body says nothing."""
    try:
        return isinstance(json_of(response), dict)
    except ProtocolError:
        return False


def _error_in(response: Response) -> FlowrunnerError:
    """How errors are written is documented nowhere; the usual keys of its framework are looked for (assumed)."""
    return error_for(response, _said(response))


def _said(response: Response) -> str | None:
    if not _is_own(response):
        return None
    body = object_of(response)
    words = (body.get("message"), body.get("error"))
    return next((word for word in words if isinstance(word, str) and word), None)


def _run_error_in(response: Response, ref: RunRef) -> FlowrunnerError:
    if response.status == 404 and _is_own(response):
        said = _said(response) or "not found"
        return RunNotFound(f"the vendor has no run {ref.id!r}: {said}", http_status=404, vendor_message=said)
    return _error_in(response)


def _authenticated(me: Response) -> tuple[bool | None, str | None]:
    if me.is_success and _is_own(me):
        return True, None
    problem = _error_in(me)
    if isinstance(problem, AuthenticationError):
        return False, problem.message
    return (True if isinstance(problem, PermissionDenied) else None), problem.message
