"""What Smart Flows writes: functions from the state of the world to JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flowrunner.simulator.engine import JobState
from flowrunner.simulator.guids import make_guid
from flowrunner.simulator.smart_flows_accounts import user_id
from flowrunner.simulator.smart_flows_flows import Ask, ChooseFlow, Question
from flowrunner.simulator.smart_flows_status import pause_word, percentage_after, shown_word, sight_of
from flowrunner.simulator.smart_flows_world import (
    callback_id,
    data_id,
    document_id,
    execution_id,
    notes_of,
    records_of,
)

if TYPE_CHECKING:
    from datetime import datetime

    from flowrunner.simulator.engine import Job
    from flowrunner.simulator.smart_flows_flows import SmartFlow
    from flowrunner.simulator.smart_flows_output import Document
    from flowrunner.simulator.smart_flows_world import SmartFlowsWorld

_PUBLISHED = "2019-11-05T11:16:34.677Z"
_STEP_WORDS = {
    "Success": "Output",
    "Warning": "Output",
    "UserInput": "UserInput",
    "SelectFlow": "UserInput",
    "Waiting": "Waiting",
    "Error": "Error",
}
"""The vocabulary of steps, which is another than that of executions; any other status has Skipped it."""


def moment(when: datetime) -> str:
    """Write a time, in milliseconds (observed)."""
    return when.strftime("%Y-%m-%dT%H:%M:%S.") + f"{when.microsecond // 1000:03}Z"


def _known(fields: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in fields.items() if value is not None}


def _user(name: str) -> dict[str, str]:
    return {"id": user_id(name), "displayName": name.capitalize()}


def first_progress(world: SmartFlowsWorld, job: Job) -> dict[str, Any]:
    """Describe an execution that was just started: four fields (documented)."""
    sight = sight_of(world, job)
    fields = {"id": execution_id(job), "percentage": sight.percentage, "message": sight.message}
    return _known(fields) | {"status": shown_word(sight.plain, world.quirks)}


def progress(world: SmartFlowsWorld, job: Job) -> dict[str, Any]:
    """Describe how far an execution is; the form it asks to fill in, or what it left."""
    shown = first_progress(world, job) | _known({"currentData": _input_data(job)})
    if job.pause is not None and isinstance(job.pause.reason, (Ask, ChooseFlow)):
        return shown | form_of(world, job)
    return shown | (_output(world, job) if world.quirks.model_in in ("both", "progress") else {})


def _output(world: SmartFlowsWorld, job: Job) -> dict[str, Any]:
    """Describe the outputs there are."""
    model = world.output_of(job).model
    if not model:
        return {}
    properties = {key: {"type": "object", "title": key} for key in model}
    form = [{"key": key, "title": key, "type": "section", "items": []} for key in model]
    return {"schema": _schema(properties, []), "model": model, "form": form}


def questions_of(world: SmartFlowsWorld, job: Job) -> tuple[Question, ...]:
    """Return what a job asks now; nothing if it asks no person."""
    reason = None if job.pause is None else job.pause.reason
    if isinstance(reason, ChooseFlow):
        return () if world.quirks.choice == "panel" else (_choice(world),)
    return reason.questions if isinstance(reason, Ask) else ()


def _choice(world: SmartFlowsWorld) -> Question:
    """Return the question which flow it shall be; how the vendor asks it is not known."""
    return Question(world.quirks.choice, "Flow", required=True, choices=tuple(world.flows))


def form_of(world: SmartFlowsWorld, job: Job) -> dict[str, Any]:
    """Describe the form that an execution asks to fill in, and what it begins with; nothing if there is no form."""
    questions = questions_of(world, job)
    if not questions:
        return {}
    saved = world.drafts.get((job.id, len(job.answers)), {})
    properties = {question.key: _property(question) for question in questions}
    return {
        "schema": _schema(properties, [question.key for question in questions if question.required]),
        "model": {question.key: question.default for question in questions if question.default is not None} | saved,
        "form": [{"type": "section", "items": [_field(question) for question in questions]}],
    }


def _schema(properties: dict[str, Any], required: list[str]) -> dict[str, Any]:
    schema = {"$schema": "http://json-schema.org/draft-04/schema#", "type": "object", "properties": properties}
    return schema | ({"required": required} if required else {})


def _property(question: Question) -> dict[str, Any]:
    fields = {"type": question.type, "title": question.title, "default": question.default}
    return _known(fields | {"enum": list(question.choices) or None})


def _field(question: Question) -> dict[str, Any]:
    return {"key": question.key, "title": question.title, "description": "", "type": _FIELD_TYPES[question.type]}


_FIELD_TYPES = {"string": "text", "boolean": "checkbox", "integer": "number"}


def execution(world: SmartFlowsWorld, job: Job, *, state: bool = True) -> dict[str, Any]:
    """Describe an execution, with or without its state."""
    notes, flow, plain = notes_of(job), world.flow_of(job), sight_of(world, job).plain
    shown = {
        "id": execution_id(job),
        "createdAt": moment(job.submitted_at),
        "createdBy": _user(notes.user),
        "createdFor": _user(notes.user),
        "modifiedAt": moment(_changed_at(job)),
        "modifiedBy": _user(notes.user),
        "priority": 0,
        "mode": notes.mode,
        "status": shown_word(plain, world.quirks),
        "flow": {"id": flow.id, "displayName": flow.name, "type": "flow"},
    }
    return shown | ({"state": _state(world, job, flow, plain)} if state else {})


def _changed_at(job: Job) -> datetime:
    stints = [stint.end for stint in job.stints]
    return job.finished_at or max([job.submitted_at, job.queued_at, *stints])


def _state(world: SmartFlowsWorld, job: Job, flow: SmartFlow, plain: str) -> dict[str, Any]:
    """Describe what an execution did."""
    output = _output(world, job) if world.quirks.model_in in ("both", "details") else {}
    fields = {
        "inputData": _input_data(job),
        "output": output | {"parts": []} if output else None,
        "waitingFor": _event_of(world, job),
        "warnings": _exceptions(job) if plain == "Warning" else [],
        "errors": _exceptions(job) if plain == "Error" else [],
    }
    report = _report(job, flow, plain)
    iterations = _iterations(world, job, report) if flow.iterates else []
    return _known(fields) | {
        "stages": _stages(world, job, flow),
        "iterations": iterations,
        "report": [] if iterations else report,
        "languageCode": "en",
        "timeZoneId": "UTC",
    }


def _event_of(world: SmartFlowsWorld, job: Job) -> str | None:
    """Return what is told of the event that is waited for; what the vendor tells is not known."""
    callback = callback_id(job)
    return None if callback is None else {"callback": callback, "text": "Signature"}.get(world.quirks.waiting_for)


def _input_data(job: Job) -> dict[str, str] | None:
    if notes_of(job).input is None:
        return None
    return {"id": data_id(job), "displayName": "Input", "type": "data"}


def _exceptions(job: Job) -> list[dict[str, Any]]:
    text = job.behaviour.message or "The execution failed."
    return [{"error": "FlowException", "message": text, "causes": [], "stackTrace": ""}]


def _stages(world: SmartFlowsWorld, job: Job, flow: SmartFlow) -> list[dict[str, Any]]:
    """Describe the parts in which an execution was actually running (documented), those that are over."""
    return [
        _known(
            {
                "start": moment(stint.start),
                "end": moment(stint.end),
                "input": _stage_input(job, number),
                "lastProgress": _stage_progress(world, job, flow, number),
            }
        )
        for number, stint in enumerate(job.stints)
    ]


def _stage_input(job: Job, number: int) -> Any:
    """Return what a stage began with: the data, later the answers."""
    return _input_data(job) if number == 0 else job.answers[number - 1]


def _stage_progress(world: SmartFlowsWorld, job: Job, flow: SmartFlow, number: int) -> dict[str, Any]:
    if number == len(job.stints) - 1 and job.state is not JobState.QUEUED:
        return first_progress(world, job)
    word = shown_word(pause_word(job.behaviour.pauses[number]), world.quirks)
    percentage = percentage_after(job, flow, number, world.quirks)
    return _known({"id": execution_id(job), "percentage": percentage, "status": word})


def _report(job: Job, flow: SmartFlow, plain: str) -> list[dict[str, Any]]:
    """Describe what the blocks did: one zone with a step for each."""
    times = {"start": job.started_at and moment(job.started_at), "end": job.finished_at and moment(job.finished_at)}
    step = _known(times) | {"status": _STEP_WORDS.get(plain, "Skipped"), "input": {}, "output": {}}
    blocks = [{"id": block.id, "displayName": block.name, "step": step} for block in flow.blocks]
    return [{"id": "main", "blocks": blocks}] if job.started_at else []


def _iterations(world: SmartFlowsWorld, job: Job, report: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Describe the records that were gone through; their ids are no GUIDs (documented)."""
    done = sight_of(world, job).step // max(1, len(world.flow_of(job).steps))
    numbers = range(1, min(done, records_of(job)) + 1)
    return [{"id": str(number), "displayName": f"Record {number}", "report": report} for number in numbers]


def named_outputs(world: SmartFlowsWorld, job: Job, asked: str | None) -> list[dict[str, Any]]:
    """Describe the outputs that have a name, or the one of an id or name; none before the end."""
    outputs = world.flow_of(job).outputs if job.state is JobState.SUCCEEDED else ()
    return [
        {"output": {"id": output.id, "displayName": output.name, "type": "data"}, "content": output.content}
        for output in outputs
        if asked in (None, output.id, output.name)
    ]


def flow_summary(flow: SmartFlow) -> dict[str, Any]:
    """Describe a flow."""
    dataset = flow.dataset and {"id": flow.dataset, "displayName": "Employees", "type": "dataset"}
    taken = {"id": make_guid(f"smart-flows/input/{flow.id}", 1), "displayName": "Input", "type": flow.input}
    return {
        "id": flow.id,
        "displayName": flow.name,
        "description": "",
        "createdAt": _PUBLISHED,
        "createdBy": _user("admin"),
        "modifiedAt": _PUBLISHED,
        "modifiedBy": _user("admin"),
        "tagGroups": [],
        "type": "advanced",
        "input": taken | _known({"dataset": dataset}),
        "outputs": [{"id": output.id, "displayName": output.name} for output in flow.outputs],
        "settings": {"groupToSingleDocument": False, "askQuestionsFirst": False},
    }


def contract(flow: SmartFlow) -> dict[str, Any]:
    """Describe what a flow takes and gives."""
    properties = {"Employee": {"type": "array", "items": {"type": "object"}}} if flow.dataset else {}
    return {"inputSchema": _schema(properties, []), "outputSchema": _schema({}, [])}


def data(job: Job) -> dict[str, Any]:
    """Describe what an execution was given."""
    notes = notes_of(job)
    form = "none" if notes.input is None else notes.input.form
    return {
        "id": data_id(job),
        "displayName": "Input",
        "createdAt": moment(job.submitted_at),
        "createdBy": _user(notes.user),
        "contentType": _DATA_TYPES.get(form, "application/octet-stream"),
    }


_DATA_TYPES = {"xml": "application/xml", "json": "application/json"}


def document(world: SmartFlowsWorld, job: Job, made: Document) -> dict[str, Any]:
    """Describe a document."""
    created = {"createdAt": moment(job.finished_at or job.submitted_at), "createdBy": _user(notes_of(job).user)}
    return {
        "id": document_id(job, made),
        "displayName": made.name,
        "description": "",
        **created,
        "modifiedAt": created["createdAt"],
        "modifiedBy": created["createdBy"],
        "language": "en",
        "finished": True,
        "contentType": made.content_type,
        "postProcessing": [],
        "usage": "flowExecutionOutput",
        "flowExecution": {"id": execution_id(job), "displayName": world.flow_of(job).name},
    }


def spring_error(status: int, reason: str, message: str, path: str, when: datetime) -> dict[str, Any]:
    """Describe an error as Spring does by default (assumed)."""
    return {"timestamp": moment(when), "status": status, "error": reason, "message": message, "path": path}
