"""One Smart Flows server: the state that its API shows."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, Literal

from attrs import define, evolve, field, frozen

from flowrunner.simulator.engine import JobState
from flowrunner.simulator.guids import make_guid, number_of
from flowrunner.simulator.smart_flows_accounts import ADMIN, Accounts
from flowrunner.simulator.smart_flows_flows import SMART_FLOWS, Ask, AwaitCallback, ChooseFlow, SmartFlow
from flowrunner.simulator.smart_flows_output import Output, make_output
from flowrunner.simulator.smart_flows_quirks import SmartFlowsQuirks
from flowrunner.simulator.written import Written

if TYPE_CHECKING:
    from datetime import datetime

    from flowrunner.simulator.engine import Behaviour, EnginePool, Job
    from flowrunner.simulator.sent_input import Input
    from flowrunner.simulator.smart_flows_output import Document

_EXECUTION, _CALLBACK, _DOCUMENT, _DATA = (
    f"smart-flows/{kind}" for kind in ("execution", "callback", "document", "data")
)
_SPAN = 1 << 20
"""How many callbacks or documents an execution may have, for their numbers."""


@frozen(kw_only=True)
class ExecutionNotes:
    """What a start said that the engines do not care about; kept in `Job.notes`.

    Attributes:
        user: Who started it.
        mode: How.
        input: The data that was sent, measured; None if there was none.
    """

    user: str = ADMIN
    mode: Literal["interactive", "batch"] = "interactive"
    input: Input | None = None


_NO_NOTES = ExecutionNotes()


def notes_of(job: Job) -> ExecutionNotes:
    """Return what a start said beside the work; nothing for a job that a test put into the pool itself."""
    return job.notes if isinstance(job.notes, ExecutionNotes) else _NO_NOTES


def execution_id(job: Job) -> str:
    """Return the id that a job is shown under."""
    return make_guid(_EXECUTION, job.id)


def document_id(job: Job, document: Document) -> str:
    """Return the id that a document of a job is shown under."""
    return make_guid(_DOCUMENT, job.id * _SPAN + document.number)


def data_id(job: Job) -> str:
    """Return the id that what a job was given is shown under."""
    return make_guid(_DATA, job.id)


def callback_id(job: Job) -> str | None:
    """Return what has to be called back for a job to go on; None if it does not wait for that."""
    if job.pause is None or not isinstance(job.pause.reason, AwaitCallback):
        return None
    return make_guid(_CALLBACK, job.id * _SPAN + len(job.answers))


@define
class SmartFlowsWorld:
    """The state of a simulated Smart Flows. Everything may be changed while it runs.

    Attributes:
        pool: Its engines.
        token: The API key that opens all of it, that of `admin`.
        quirks: What it decides where the facts leave it open.
        flows: What can be started, by id.
        accounts: Its users, and what opens it besides the first key.
        asked_at: When it was asked of late.
        written: What it wrote of executions in lists: each as a value and as text.
        drafts: The answers that were saved and not given, by execution and the number of the question.
    """

    pool: EnginePool
    token: str = field(repr=False)
    quirks: SmartFlowsQuirks = field(factory=SmartFlowsQuirks)
    flows: dict[str, SmartFlow] = field(init=False, factory=dict)
    accounts: Accounts = field(init=False)
    asked_at: deque[datetime] = field(init=False, factory=deque)
    written: Written[tuple[dict[str, Any], bytes]] = field(init=False, factory=Written)
    drafts: dict[tuple[int, int], dict[str, Any]] = field(init=False, factory=dict)

    def __attrs_post_init__(self) -> None:
        self.accounts = Accounts(self.pool.clock)
        for flow in SMART_FLOWS:
            self.publish(flow)

    def close(self) -> None:
        """Do nothing: all of it is in memory."""

    def publish(self, flow: SmartFlow) -> None:
        """Publish a flow; its behaviour stands until something else is scripted."""
        self.flows[flow.id] = flow
        self.pool.publish(flow.id, flow.behaviour)

    def submit(self, flow: SmartFlow, notes: ExecutionNotes) -> Job:
        """Start a flow; a batch asks nobody."""
        return self.pool.submit(flow.id, notes=notes, adapt=_unattended if notes.mode == "batch" else None)

    def find_flow(self, asked: str, *, by_name: bool = False) -> SmartFlow | None:
        """Return the flow of an id, or of a name."""
        found = (flow for flow in self.flows.values() if asked == flow.id or (by_name and asked == flow.name))
        return next(found, None)

    def flow_of(self, job: Job) -> SmartFlow:
        """Return the flow a job runs, though it may not be published (any more)."""
        return self.flows.get(job.flow) or SmartFlow(job.flow, job.flow)

    def executions(self) -> list[Job]:
        """Return the executions there still are, in the order of their start."""
        return [job for job in self.pool.jobs if self.pool.is_kept(job, self.quirks.executions_kept_for)]

    def find_execution(self, asked: str) -> Job | None:
        """Return the execution of an id; None if there is none, or no longer."""
        return self._find(number_of(_EXECUTION, asked))

    def find_waiting(self, asked: str) -> Job | None:
        """Return the execution that waits for a callback; None if none does."""
        number = number_of(_CALLBACK, asked)
        job = None if number is None else self._find(number // _SPAN)
        return job if job is not None and callback_id(job) == asked.lower() else None

    def find_document(self, asked: str) -> tuple[Job, Document] | None:
        """Return the document of an id, and the execution that made it; None if there is none, or no longer."""
        number = number_of(_DOCUMENT, asked)
        job = None if number is None else self._find(number // _SPAN)
        if number is None or job is None or not self.pool.is_kept(job, self.quirks.documents_kept_for):
            return None
        documents = self.output_of(job).documents
        return next(((job, document) for document in documents if document.number == number % _SPAN), None)

    def find_data(self, asked: str) -> Job | None:
        """Return the execution that was given the data of an id; None if there is none, or no longer."""
        job = self._find(number_of(_DATA, asked))
        return job if job is not None and notes_of(job).input is not None else None

    def output_of(self, job: Job) -> Output:
        """Return what a job shows as its output: what it left, or what is there while it waits."""
        blocks = self.flow_of(job).blocks if job.state is JobState.SUCCEEDED else ()
        if job.pause is not None and isinstance(job.pause.reason, AwaitCallback):
            blocks = job.pause.reason.blocks
        return make_output(blocks, records_of(job), self.quirks, lambda document: document_id(job, document))

    def _find(self, number: int | None) -> Job | None:
        try:
            job = self.pool.job(-1 if number is None else number)
        except KeyError:
            return None
        return job if self.pool.is_kept(job, self.quirks.executions_kept_for) else None


def records_of(job: Job) -> int:
    """Return how many records the data of a job has."""
    given = notes_of(job).input
    return 0 if given is None else given.records


def _unattended(behaviour: Behaviour) -> Behaviour:
    return evolve(behaviour, pauses=tuple(p for p in behaviour.pauses if not isinstance(p.reason, (Ask, ChooseFlow))))
