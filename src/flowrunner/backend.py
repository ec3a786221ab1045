"""What a backend is: its settings, its capabilities, and its operations as plans.

A backend is written once, as a class with a plan for each operation, and serves sync and async clients alike. It turns
the calls of the protocol into requests and the answers into `Observation`s; it keeps no state about runs, judges no
states and retries nothing.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping  # noqa: TC003 - annotations of settings are read at run time
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Final
from urllib.parse import quote, unquote

from attrs import NOTHING, Attribute, Factory, field, fields, frozen

from flowrunner.enums import RunState
from flowrunner.errors import UnsupportedOperation, UnsupportedOption
from flowrunner.models import ArtifactSource, FlowInfo, FlowSpec, Health, RemoteFile, RunRef, SubmitOptions
from flowrunner.plans import Page
from flowrunner.secret import Secret
from flowrunner.states import Meaning, Observation, fold

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime
    from pathlib import Path

    from flowrunner.enums import CancelOutcome
    from flowrunner.models import Progress
    from flowrunner.plans import FileBody, Lines, Plan

__all__ = [
    "BACKEND_API",
    "ENDED",
    "LIVE",
    "OPERATIONS",
    "Accepted",
    "Backend",
    "CancelAnswer",
    "Capability",
    "Listed",
    "Outcome",
    "Prompt",
    "RunQuery",
    "Settings",
    "Sighting",
    "Submission",
    "Upload",
    "key_in",
    "labelled",
    "lacks",
    "refuse_options",
    "secret",
    "setting",
]

BACKEND_API: Final = 1
"""The version of what is in this module and of the rules in `docs/reference/backend-interface.md`.

It counts changes that a backend has to follow; what is only added leaves it as it is.
"""


class Capability(StrEnum):
    """What a backend can do beside submitting and observing."""

    CANCEL = "cancel"
    LIST_RUNS = "list_runs"
    LIST_FLOWS = "list_flows"
    DESCRIBE = "describe"
    PARAMETERS = "parameters"
    PROGRESS = "progress"
    LOGS = "logs"
    ARTIFACTS = "artifacts"
    UPLOAD = "upload"
    PAYLOAD = "payload"
    SERVER_WAIT = "server_wait"
    LONG_POLL = "long_poll"
    BULK = "bulk"
    RESUME = "resume"
    RECONCILE = "reconcile"
    HEALTH = "health"


OPERATIONS: Final[Mapping[Capability, tuple[str, ...]]] = MappingProxyType({
    Capability.CANCEL: ("cancel",),
    Capability.LIST_RUNS: ("list_runs",),
    Capability.LIST_FLOWS: ("list_flows",),
    Capability.DESCRIBE: ("describe",),
    Capability.LOGS: ("logs",),
    Capability.ARTIFACTS: ("result", "download"),
    Capability.UPLOAD: ("upload", "remove", "download_file"),
    Capability.SERVER_WAIT: ("run",),
    Capability.RESUME: ("prompt", "resume"),
    Capability.HEALTH: ("health",),
})  # fmt: skip
"""The operations that a capability stands for: who announces it defines them; of these, only `result` needs none."""


_WITHOUT: Final[Mapping[Capability, tuple[str, str]]] = MappingProxyType({
    Capability.CANCEL: ("cancel a run", "cancel it where the vendor shows it"),
    Capability.LIST_RUNS: ("list runs", "keep the references of what you start, or a journal"),
    Capability.LIST_FLOWS: ("list flows", "look up a flow's name where the vendor shows it"),
    Capability.DESCRIBE: ("describe a flow", "look up what it takes where the vendor shows it"),
    Capability.PARAMETERS: ("give parameters to a run", "leave them out"),
    Capability.PROGRESS: ("tell how far a run has come", "its state is all there is"),
    Capability.LOGS: ("show the log of a run", "look at it where the vendor shows it"),
    Capability.ARTIFACTS: ("bring the files of a run", "fetch them from where the flow writes them"),
    Capability.UPLOAD: ("take uploads for a run, nor bring them back", "put them where the flow can read them"),
    Capability.PAYLOAD: ("take data for a run", "leave out the payload"),
    Capability.SERVER_WAIT: ("hold its answer until a run has ended", "leave out server_wait=True, and run() waits"),
    Capability.RESUME: ("answer a run that waits for a person", "answer it where the vendor asks"),
    Capability.BULK: ("tell of many runs in one answer", "ask for each"),
    Capability.LONG_POLL: ("hold a look at a run until it changes", "ask again after a while"),
    Capability.RECONCILE: ("find a run by its key", "keep the reference of what you start, or a journal"),
    Capability.HEALTH: ("tell whether its server is well", "its first run will show it"),
})  # fmt: skip
"""What cannot be done without a capability, and what to do instead."""
_TABLE: Final = "What each backend can do: flowrunner backends --check"


def lacks(
    backend: str, capability: Capability, *, here: bool = False, ref: RunRef | None = None
) -> UnsupportedOperation:
    """The error of a backend without a capability, which says in words what it cannot do, and what to do instead.

    Args:
        backend: its name.
        capability: what it lacks.
        here: whether it is only the server at hand that lacks it.
        ref: the run it is about.
    """
    what, instead = _WITHOUT[capability]
    where = " on this server" if here else ""
    text = f"backend {backend!r} cannot {what}{where} (it lacks {capability.name}): {instead}. {_TABLE}"
    return UnsupportedOperation(text, backend=backend, ref=ref)


TRANSPORTS: Final = ("httpx", "aiohttp")


def setting(
    help: str,  # noqa: A002 - the word every option parser uses
    *,
    default: Any = NOTHING,
    validator: Callable[[Any, Any, Any], None] | None = None,
    shown: bool = True,
    choices: tuple[str, ...] = (),
) -> Any:
    """A field of a settings class, with the help text that the command line and the docs show.

    Args:
        help: one sentence.
        default: without one, the setting is required.
        validator: as attrs has them; it raises `ValueError`.
        shown: whether the value may be printed. A proxy's address may hold a password.
        choices: the values there are, where these are few; the validator refuses others.
    """
    return field(default=default, validator=validator, repr=shown, metadata={"help": help, "choices": choices})


def secret(help: str, *, default: Any = NOTHING, in_header: bool = True) -> Any:  # noqa: A002 - as above
    """A credential among the settings: given as text, kept as a `Secret`.

    Args:
        help: what it is, as documentation and command line show it.
        default: what it is where nobody gives it; it has to be given if absent.
        in_header: whether it goes out in a header, which can carry ASCII alone. A password in a body may be any text.
    """
    converter = Secret.wrap if default is NOTHING else _wrap_optional
    validator = _ascii if in_header else None
    metadata = {"help": help, "secret": True, "in_header": in_header}
    return field(default=default, converter=converter, validator=validator, metadata=metadata)


def _ascii(_owner: object, attribute: Attribute[Any], value: Secret | None) -> None:
    """What HTTP libraries raise instead would hold the credential."""
    if value is not None and not value.reveal().isascii():
        raise ValueError(f"{attribute.name} has characters in it that no HTTP header can carry")


def _wrap_optional(value: Any) -> Secret | None:
    return None if value is None else Secret.wrap(value)


def _positive(_owner: object, attribute: Attribute[Any], value: float) -> None:
    if not 0 < value < math.inf:
        raise ValueError(f"{attribute.name} must be more than 0 and finite, not {value}")


def _positive_or_none(owner: object, attribute: Attribute[Any], value: float | None) -> None:
    if value is not None:
        _positive(owner, attribute, value)


def _transport(_owner: object, attribute: Attribute[Any], value: str) -> None:
    if value not in TRANSPORTS:
        raise ValueError(f"{attribute.name} must be {' or '.join(map(repr, TRANSPORTS))}, not {value!r}")


def _not_negative(_owner: object, attribute: Attribute[Any], value: float) -> None:
    if value < 0:
        raise ValueError(f"{attribute.name} must not be less than 0, not {value}")


@frozen(kw_only=True)
class Settings:
    """The settings every connection has; a backend derives its own class from it. Durations are seconds."""

    timeout: float = setting("Seconds to wait for an answer.", default=30.0, validator=_positive)
    contact_budget: float = setting(
        "Seconds without a readable answer after which following a run gives up.", default=300.0, validator=_positive
    )
    poll_min: float = setting(
        "Least seconds between two looks at a run, or between two pages that show many.",
        default=0.5,
        validator=_positive,
    )
    poll_max: float = setting("Most seconds between two looks at a run.", default=30.0, validator=_positive)
    max_connections: int = setting(
        "Connections open at once; submissions, which each have a fresh one, may have as many besides.",
        default=10,
        validator=_positive,
    )
    max_long_polls: int = setting("Requests the vendor may hold open at once.", default=8, validator=_not_negative)
    transport: str = setting(
        'What an AsyncClient sends over: "httpx", or "aiohttp" (the extra aiohttp), which takes less time per request '
        "where many are under way. A Client always sends over httpx.",
        default="httpx",
        validator=_transport,
        choices=TRANSPORTS,
    )
    requests_per_second: float | None = setting(
        "Requests per second, at most; unlimited if absent.", default=None, validator=_positive_or_none
    )
    retries: int = setting(
        "How often a request that may be repeated is sent again.", default=3, validator=_not_negative
    )
    retry_budget: float = setting(
        "Seconds from an operation's first failure on in which its requests are sent again.",
        default=120.0,
        validator=_not_negative,
    )
    ca_file: str | None = setting("A file of certificate authorities to trust instead of the usual ones.", default=None)
    proxy: str | None = setting(
        "Address of a proxy; else the environment's, except for loopback.", default=None, shown=False
    )
    allow_insecure: bool = setting("Send the credential over plain http, too.", default=False)
    check_parameters: bool = setting("Check parameters against the flow's description first.", default=True)
    status_map: Mapping[str, Meaning] = setting(
        'The vendor\'s words this version does not know: NEWWORD = "running", or "failed/platform".',
        default=Factory(dict),
    )

    def secrets(self) -> tuple[Secret, ...]:
        """Every credential among the settings."""
        values = (getattr(self, attribute.name) for attribute in fields(type(self)))
        return tuple(value for value in values if isinstance(value, Secret))


@frozen(kw_only=True)
class Submission:
    """What to run, checked as far as the core can.

    Attributes:
        flow: in the vendor's spelling.
        parameters: values by name.
        payload: a path, or bytes.
        options: how to run it.
        key: the caller's idempotency key.
        upload_folder: a name no other submission has, for what has to be uploaded first.
    """

    flow: str
    parameters: Mapping[str, Any] = field(factory=dict)
    payload: Any = None
    options: SubmitOptions = field(factory=SubmitOptions)
    key: str | None = None
    upload_folder: str = ""


@frozen(kw_only=True)
class Upload:
    """A file to bring to the vendor.

    Attributes:
        name: what to call it there.
        folder: a folder of its own to put it into, where the vendor has folders; no other upload has the same.
        content: what is in it.
        progress: called with the bytes sent, and those there are in all.
    """

    name: str
    folder: str
    content: FileBody
    progress: Progress | None = None


@frozen
class Accepted:
    """The vendor has the run.

    Attributes:
        id: the vendor's id.
        observation: what the answer says about its state.
        remarks: what there is to say about that.
        uploads: files that were brought to the vendor for it.
        outcome: the details of a run that ended before the answer, where the answer alone has them (SERVER_WAIT):
            `result` is not asked for them then.
    """

    id: str
    observation: Observation = field(factory=Observation)
    remarks: tuple[str, ...] = ()
    uploads: tuple[RemoteFile, ...] = ()
    outcome: Outcome | None = None


@frozen
class Listed:
    """A run in a listing.

    Attributes:
        id: the vendor's id.
        flow: in the vendor's spelling.
        observation: what the listing says about its state.
        key: the key it was submitted with, for a vendor that carries keys: empty if it shows that there is none, None
            if it shows nothing of the kind.
    """

    id: str
    flow: str
    observation: Observation
    key: str | None = None


class Sighting:
    """A run in a page of many, read only as far as it takes to see whether there is news of it.

    A page has a thousand of them and most say what was known: only what says something else is read as a whole.

    Args:
        id: the vendor's id.
        word: the status word as written; None where there is none.
        message: what the vendor says.
        progress: 0.0 to 1.0.
        read: reads the run as a whole; without asking anybody, and at most once.
        place: which run of a page that is, where one `read` is for all of them: it is called with it.
    """

    __slots__ = ("_place", "_read", "id", "message", "progress", "word")

    def __init__(
        self,
        id: str,  # noqa: A002 - the name it has everywhere
        word: str | None,
        message: str | None = None,
        progress: float | None = None,
        *,
        read: Callable[..., Observation],
        place: int | None = None,
    ) -> None:
        self.id = id
        self.word = word
        self.message = message
        self.progress = progress
        self._read = read
        self._place = place

    def observation(self) -> Observation:
        """All that the page says of the run.

        Raises:
            ProtocolError: what it says makes no sense, which concerns no other run.
        """
        return self._read() if self._place is None else self._read(self._place)


@frozen(kw_only=True)
class RunQuery:
    """Which runs to list.

    Attributes:
        states: runs in these states; empty for all.
        flow: runs of this flow; None for all.
        limit: so many are wanted.
        since: runs that ended before are not wanted; the pages that hold nothing else may be left out.
    """

    states: frozenset[RunState] = frozenset()
    flow: str | None = None
    limit: int | None = None
    since: datetime | None = None

    def is_past(self, page: Sequence[Listed]) -> bool:
        """Whether a page, and with it all that is older, has nothing that is wanted, by what it shows of times."""
        return self.since is not None and bool(page) and all(_ended_before(self.since, each) for each in page)


def _ended_before(moment: datetime, listed: Listed) -> bool:
    seen = listed.observation
    return seen.finished_at is not None and seen.finished_at < moment


LIVE: Final = frozenset({RunState.QUEUED, RunState.RUNNING, RunState.WAITING})
"""The states of a run that goes on, as far as vendors have words for them ..."""
ENDED: Final = frozenset({RunState.SUCCEEDED, RunState.FAILED, RunState.CANCELLED})
"""... and of one that has ended."""


def labelled(text: str | None, key: str | None) -> str | None:
    """A text that people see of a run, with the run's key behind it, for a vendor that keeps such a text."""
    if key is None:
        return text
    label = f"[fr:{quote(key, safe=_PLAIN)}]"
    return f"{text} {label}" if text else label


def key_in(text: str | None) -> str:
    """The key that `labelled` put there, behind all else; empty where there is none."""
    labels = _LABEL.findall(text or "")
    return unquote(labels[-1]) if labels else ""


_PLAIN: Final = "".join(chr(code) for code in range(0x21, 0x7F) if chr(code) not in "%[]")
_LABEL: Final = re.compile(r"\[fr:([^\[\]\s]+)\]")


@frozen
class CancelAnswer:
    """What became of a cancellation, and what the answer showed of the run.

    Attributes:
        outcome: what became of it.
        observation: what the answer showed; None where it showed nothing.
    """

    outcome: CancelOutcome
    observation: Observation | None = None


@frozen(kw_only=True)
class Prompt:
    """What a waiting run asks.

    Attributes:
        schema: JSON Schema of the answers, where the vendor gives one.
        model: the answers as they stand: the vendor's defaults.
        form: how the vendor would lay the questions out.
    """

    schema: Mapping[str, Any] | None = None
    model: Mapping[str, Any] = field(factory=dict)
    form: tuple[Any, ...] = ()


@frozen(kw_only=True)
class Outcome:
    """The details of a finished run. The observations are applied in order: the record first, then its result.

    Attributes:
        observations: what the answers say about its state.
        outputs: what the flow returned, by name.
        artifacts: the files it made.
        metrics: numbers about it, by name.
        raw: the vendor's answers, decoded, by what was asked.
    """

    observations: tuple[Observation, ...] = ()
    outputs: Mapping[str, Any] = field(factory=dict)
    artifacts: tuple[ArtifactSource, ...] = ()
    metrics: Mapping[str, float] = field(factory=dict)
    raw: Mapping[str, Any] = field(factory=dict)


def refuse_options(options: SubmitOptions, *, backend: str, honoured: frozenset[str] = frozenset()) -> None:
    """Raise for an option that the backend cannot honour; `extra` is checked elsewhere.

    Raises:
        UnsupportedOption: for the first of them.
    """
    for attribute in fields(SubmitOptions):
        name = attribute.name
        if name not in honoured | {"extra"} and getattr(options, name) not in (None, (), {}):
            raise UnsupportedOption(f"backend {backend!r} has no option {name}: leave it out", option=name)


class Backend:
    """A vendor. Derive from it, fill in the class attributes, and write the plans of what the vendor can do.

    `submit` and `observe` are what every backend has; one that speaks HTTP has `base_url` and `authorize`, too. Every
    other operation belongs to a capability; without the capability the client raises `UnsupportedOperation` and the
    plan is never asked for.

    Attributes:
        backend_api: the `BACKEND_API` it was written for, as a number of its own: it says what the author has read.
        name: by which configuration selects it.
        family: backends of one family can follow each other's runs; of a backend alone, its name.
        settings_class: what can be configured.
        capabilities: what it can do; checked before any request.
        words: the vendor's status words, folded (see `states.fold`), and what they mean.
        options: names in `SubmitOptions.extra` that it understands, with a help text each.
        instead: options of other backends of its family, each with what to use in its place.
        payload_text_is_path: a payload that is a `str` names a file; else it is the data itself.
        runs_payloads_at_once: a run with a payload is best started by the request that also waits for its end.
        max_hold: seconds the vendor may be asked to hold a request (LONG_POLL); proxies cut what lasts longer.
    """

    backend_api: ClassVar[int]
    name: ClassVar[str]
    family: ClassVar[str]
    settings_class: ClassVar[type[Settings]] = Settings
    capabilities: frozenset[Capability] = frozenset()
    words: Mapping[str, Meaning] = {}
    options: ClassVar[Mapping[str, str]] = {}
    instead: ClassVar[Mapping[str, str]] = {}
    max_hold: ClassVar[float] = 20.0
    runs_payloads_at_once: bool = False
    payload_text_is_path: ClassVar[bool] = False

    def __init__(self, settings: Any) -> None:
        self.settings = settings
        self.words = {**type(self).words, **settings.status_map}

    def state_of(self, seen: Observation | None) -> RunState | None:
        """The state an observation's word means on this connection; None where it has no word, or no known one."""
        meaning = self.words.get(fold(seen.word)) if seen is not None and seen.word is not None else None
        return meaning.state if meaning is not None else None

    @property
    def is_prepared(self) -> bool:
        """Whether `capabilities` hold as they are; else `prepare` is asked for before anything else."""
        return True

    def prepare(self) -> Plan[tuple[str, ...]]:
        """Find out what the server can do; returns what there is to say about it: the choice, then any warnings."""
        raise NotImplementedError

    @property
    def base_url(self) -> str:
        """Where `Request.path` starts; empty for a backend that sends no requests."""
        return ""

    def authorize(self) -> Mapping[str, Secret]:
        """The headers that carry the credential; they go to the connection's own origin and nowhere else."""
        return {}

    def login(self) -> Plan[Mapping[str, Secret]] | None:
        """A plan that gets those headers from the vendor, where `authorize` has none; its requests are anonymous.

        It is carried out before the first request, and once more when the vendor no longer accepts what it got.
        """
        return None

    def submit(self, submission: Submission) -> Plan[Accepted]:
        """Start a run, with `answers.submit_once`.

        Raises:
            SubmissionUncertain: it may have been started.
            FlowNotFound: the vendor has no such flow.
            InvalidParameters: the vendor refuses the parameters.
            InvalidRequest: the vendor refuses something else.
            UnsupportedOption: an option this vendor does not have.
        """
        raise NotImplementedError

    def observe(self, ref: RunRef, hold: float = 0.0) -> Plan[Observation]:
        """Look at a run once.

        Args:
            ref: the run; its id is set.
            hold: seconds the vendor may keep the request open until the run ends, 0 to answer at once.

        Raises:
            RunNotFound: the vendor says, in its own words, that it does not know the run.
        """
        raise NotImplementedError

    def run(self, submission: Submission, timeout: float | None) -> Plan[Accepted]:
        """Start a run and have the vendor answer when it has ended (SERVER_WAIT)."""
        raise self._lacks(Capability.SERVER_WAIT)

    def cancel(self, ref: RunRef) -> Plan[CancelAnswer]:
        """Ask the vendor to cancel (CANCEL)."""
        raise self._lacks(Capability.CANCEL)

    def result(self, ref: RunRef) -> Plan[Outcome]:
        """Read the details of a finished run. A vendor that has none need not define it."""
        return _no_details()

    def download(self, artifact: ArtifactSource, to: Path, progress: Progress | None) -> Plan[None]:
        """Stream an artifact to a file (ARTIFACTS)."""
        raise self._lacks(Capability.ARTIFACTS)

    def logs(self, ref: RunRef) -> Plan[Lines]:
        """The lines of the run's log (LOGS)."""
        raise self._lacks(Capability.LOGS)

    def upload(self, upload: Upload) -> Plan[RemoteFile]:
        """Bring a file to the vendor (UPLOAD)."""
        raise self._lacks(Capability.UPLOAD)

    def remove(self, file: RemoteFile) -> Plan[None]:
        """Remove a file that was uploaded (UPLOAD); one that is gone already is no error."""
        raise self._lacks(Capability.UPLOAD)

    def download_file(self, reference: str, to: Path, progress: Progress | None) -> Plan[None]:
        """Stream a file at the vendor, or a folder as a zip (UPLOAD)."""
        raise self._lacks(Capability.UPLOAD)

    def list_runs(self, query: RunQuery, cursor: Any = None) -> Plan[Page[Listed]]:
        """One page of runs, newest first (LIST_RUNS). `cursor` is the `next` of the page before.

        With RECONCILE, a run whose submission is uncertain is looked for here: by `Listed.key` where the vendor carries
        keys, else by flow and time, so the runs show when they were queued, started or ended.

        Raises:
            InvalidRequest: the query names no flow, and the vendor lists the runs of one flow at a time.
        """
        raise self._lacks(Capability.LIST_RUNS)

    def observe_many(self, *, ended: bool, cursor: Any = None) -> Plan[Page[Sighting]]:
        """One page of all runs the vendor shows, to look at many at once (BULK).

        Without one of its own, a backend has its lists of runs read for it. One of its own reads of each run no more
        than a `Sighting` needs, in pages as large as the vendor gives.

        Args:
            ended: those that have ended, the one that ended last first; else those that have not, in any order.
            cursor: the `next` of the page before.
        """
        query = RunQuery(states=ENDED if ended else LIVE)
        page = yield from self.list_runs(query, cursor)
        return Page(tuple(_sighting(listed) for listed in page.items), page.next)

    def list_flows(self, cursor: Any = None) -> Plan[Page[FlowInfo]]:
        """One page of flows (LIST_FLOWS)."""
        raise self._lacks(Capability.LIST_FLOWS)

    def describe(self, flow: str) -> Plan[FlowSpec]:
        """What a flow takes (DESCRIBE)."""
        raise self._lacks(Capability.DESCRIBE)

    def prompt(self, ref: RunRef) -> Plan[Prompt]:
        """What a waiting run asks (RESUME)."""
        raise self._lacks(Capability.RESUME)

    def resume(self, ref: RunRef, answers: Mapping[str, Any]) -> Plan[Observation]:
        """Answer a waiting run; the answers are complete and checked (RESUME)."""
        raise self._lacks(Capability.RESUME)

    def health(self) -> Plan[Health]:
        """Whether the vendor is there and accepts the credential (HEALTH). It raises nothing it can report."""
        raise self._lacks(Capability.HEALTH)

    def _lacks(self, capability: Capability) -> UnsupportedOperation:
        return lacks(self.name, capability)


def _sighting(listed: Listed) -> Sighting:
    seen = listed.observation
    return Sighting(listed.id, seen.word, seen.message, seen.progress, read=lambda: seen)


def _no_details() -> Plan[Outcome]:
    yield from ()
    return Outcome()
