"""The executions of Smart Flows over HTTP: start, follow, answer, cancel and list."""

from __future__ import annotations

from functools import partial
from math import inf
from typing import TYPE_CHECKING, Any, Literal

from starlette.responses import JSONResponse, PlainTextResponse, Response

from flowrunner.simulator import smart_flows_bodies as bodies
from flowrunner.simulator.clock import later
from flowrunner.simulator.refusals import Refusal
from flowrunner.simulator.request_body import KEPT
from flowrunner.simulator.roll import Group
from flowrunner.simulator.sent_input import UnreadableError, read_input
from flowrunner.simulator.smart_flows_accounts import DELETE, EXECUTE, READ_ALL
from flowrunner.simulator.smart_flows_filter import Dialect, FilterError, keys_in, read_filter
from flowrunner.simulator.smart_flows_flows import ChooseFlow, SmartFlowId
from flowrunner.simulator.smart_flows_lists import list_page, place_in, written_page
from flowrunner.simulator.smart_flows_statistics import PERIODS, statistics
from flowrunner.simulator.smart_flows_status import final_words, live_words, next_step_at, sight_of, words_of
from flowrunner.simulator.smart_flows_world import ExecutionNotes, execution_id, notes_of
from flowrunner.simulator.waiting import wait_for
from flowrunner.simulator.written import to_json

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flowrunner.simulator.engine import Job
    from flowrunner.simulator.sent_input import Input
    from flowrunner.simulator.smart_flows_calls import Call, Handler
    from flowrunner.simulator.smart_flows_filter import Test
    from flowrunner.simulator.smart_flows_flows import SmartFlow
    from flowrunner.simulator.smart_flows_status import Sight

_DEFAULT_WAIT = 30
"""Seconds that a progress is waited for if nothing else is asked for (documented)."""

_INPUT_TYPES = ("", "application/xml", "text/xml", "application/json")


# Start


async def _start(call: Call) -> Response:
    job = await _submit(call, _asked_flow(call), "interactive")
    return JSONResponse(bodies.first_progress(call.world, job), call.quirks.start_status)


async def _start_batch(call: Call) -> Response:
    flow = call.flow(_needed(call, "flow"), by_name=True)
    job = await _submit(call, flow, "batch")
    return JSONResponse(bodies.execution(call.world, job), call.quirks.start_status)


async def _submit(call: Call, flow: SmartFlow, mode: Literal["interactive", "batch"]) -> Job:
    given = await _read_input(call, flow)
    return call.world.submit(flow, ExecutionNotes(user=call.access.user, mode=mode, input=given))


def _asked_flow(call: Call) -> SmartFlow:
    """Return the flow to start; without one but with a data set, that in which a user chooses (assumed)."""
    dataset = call.query.get("datasetId")
    if dataset is not None and dataset not in {flow.dataset for flow in call.world.flows.values()}:
        raise Refusal(call.quirks.unknown_flow, "There is no such data set.")
    if dataset is not None and "flowId" not in call.query and call.quirks.no_flow == "select":
        return call.flow(SmartFlowId.CHOOSE)
    return call.flow(_needed(call, "flowId"))


def _needed(call: Call, name: str) -> str:
    if name not in call.query:
        raise Refusal(400, f"Required String parameter '{name}' is not present")
    return call.query[name]


async def _read_input(call: Call, flow: SmartFlow) -> Input | None:
    """Read the data; that of a flow that takes none is ignored, whatever it is (documented)."""
    content_type = call.request.headers.get("content-type", "")
    try:
        given = await read_input(content_type, call.request.stream())
    except UnreadableError as error:
        if flow.input == "none":
            return None
        raise Refusal(call.quirks.bad_input, str(error)) from None
    if given.size > call.quirks.largest_input:
        raise Refusal(413, "The request is too large.")
    if flow.input == "none" and given.form == "none":
        return None
    if flow.input != "none":
        _check_input(call, given, content_type.partition(";")[0].strip().lower())
    return given


def _check_input(call: Call, given: Input, media_type: str) -> None:
    """Refuse data that a flow cannot take."""
    if given.form == "none":
        raise Refusal(call.quirks.bad_input, "The flow needs data.")
    taken = media_type in _INPUT_TYPES or (media_type == "text/plain" and call.quirks.text_input == "accept")
    if not taken:
        raise Refusal(415, f"Content type '{media_type}' not supported")
    if given.form == "json" and call.quirks.json_input == "refuse":
        raise Refusal(415, "Content type 'application/json' not supported")
    if given.form == "other":
        raise Refusal(call.quirks.bad_input, "The data is neither XML nor JSON.")


# Follow


async def _progress(call: Call) -> Response:
    job = call.execution()
    seconds = _patience(call)
    if seconds > 0:
        job = await _hold(call, job, seconds)
    return JSONResponse(bodies.progress(call.world, job))


def _patience(call: Call) -> float:
    """Return for how many seconds a request is held."""
    text = call.query.get("timeout", str(_DEFAULT_WAIT))
    try:
        seconds = int(text)
    except ValueError:
        raise Refusal(400, f"Failed to convert '{text}' to an integer") from None
    if seconds <= 0:
        seconds = _odd_patience(call.quirks.zero_timeout if seconds == 0 else call.quirks.negative_timeout)
    return min(seconds, call.quirks.longest_poll) if call.quirks.long_poll == "hold" else 0


def _odd_patience(meaning: str) -> int:
    if meaning == "refuse":
        raise Refusal(400, "The timeout must be above 0.")
    return {"at_once": 0, "default": _DEFAULT_WAIT}[meaning]


async def _hold(call: Call, job: Job, seconds: float) -> Job:
    """Hold the request until something has changed, or nothing will any more, or its time is over."""
    world, first = call.world, sight_of(call.world, job)

    def is_there(now: Job) -> bool:
        return _is_news(call, first, sight_of(world, now))

    until = later(world.pool.clock.now(), seconds)
    try:
        return await wait_for(world.pool, job.id, is_there, until, partial(next_step_at, world))
    except KeyError:
        return call.checked(None)


def _is_news(call: Call, first: Sight, now: Sight) -> bool:
    return now.is_stable or (call.quirks.wake_on == "change" and now != first)


async def _details(call: Call) -> Response:
    return JSONResponse(bodies.execution(call.world, call.execution()))


async def _outputs(call: Call) -> Response:
    job, asked = call.execution(), call.query.get("output")
    if isinstance(call.quirks.named_outputs, int) and notes_of(job).mode != "batch":
        raise Refusal(call.quirks.named_outputs, "There is no such batch execution.")
    flow = call.world.flow_of(job)
    if asked is not None and all(asked not in (output.id, output.name) for output in flow.outputs):
        raise Refusal(call.quirks.unknown_execution, "There is no such output.")
    shown = bodies.execution(call.world, job) | {"outputs": bodies.named_outputs(call.world, job, asked)}
    return JSONResponse(shown)


# Answer


async def _continue(call: Call) -> Response:
    """Take the answers; what was asked and not answered is left empty, not defaulted (documented)."""
    given = await call.object()
    job = call.execution()
    questions = bodies.questions_of(call.world, job)
    answers = {question.key: given.get(question.key) for question in questions}
    if not questions or not call.world.pool.resume(job.id, answers, flow=_chosen(call, job, answers)):
        raise Refusal(call.quirks.wrong_state, "The flow execution does not wait for user input.")
    return _acted(call, job, call.quirks.continue_status)


def _chosen(call: Call, job: Job, answers: dict[str, Any]) -> str | None:
    """Return the flow that was chosen, where that is the question."""
    if job.pause is None or not isinstance(job.pause.reason, ChooseFlow):
        return None
    return call.flow(str(answers.get(call.quirks.choice))).id


async def _save(call: Call) -> Response:
    """Save the answers of a form without giving them; the latest are kept (documented)."""
    draft = await call.object()
    job, model = call.execution(), draft.get("model")
    if not isinstance(model, dict):
        raise Refusal(call.quirks.bad_input, "The draft has no model.")
    if not bodies.questions_of(call.world, job):
        raise Refusal(call.quirks.wrong_state, "The flow execution does not wait for user input.")
    call.world.drafts[job.id, len(job.answers)] = model
    return _acted(call, job, call.quirks.continue_status)


def _acted(call: Call, job: Job, status: int) -> Response:
    """Answer that something was done, with the progress or without."""
    if status == 204:
        return Response(status_code=204)
    return JSONResponse(bodies.progress(call.world, call.world.pool.job(job.id)), status)


async def _call_back(call: Call) -> Response:
    """Let what waits for a callback go on; whoever knows its id may."""
    job = _called(call)
    if job is None:
        return _reply(call, "")
    body = bytearray()
    async for chunk in call.request.stream():
        body += chunk[: KEPT - len(body)]
    call.world.pool.resume(job.id, {"callback": body.decode(errors="replace")})
    return _reply(call, "OK")


async def _is_handled(call: Call) -> Response:
    """Tell whether a callback is waited for."""
    return _reply(call, "false" if _called(call) is None else "true")


def _reply(call: Call, text: str) -> Response:
    """Answer a callback; only that it is a text is known."""
    if call.quirks.callback_reply == "json":
        return JSONResponse(text)
    return PlainTextResponse(text if call.quirks.callback_reply == "text" else "")


def _called(call: Call) -> Job | None:
    """Return the execution that a callback is for; None where the server does not mind that there is none."""
    job, asked = call.world.find_waiting(call.named), call.query.get("executionId")
    if job is not None and asked in (None, execution_id(job)):
        return job
    if call.quirks.unknown_callback == 200:
        return None
    raise Refusal(call.quirks.unknown_callback, "Nothing waits for this callback.")


# Cancel


async def _cancel(call: Call) -> Response:
    _check_there(call.quirks.cancel_progress)
    return _cancelled(call, call.execution())


async def _delete(call: Call) -> Response:
    _check_there(call.quirks.cancel_execution)
    job = call.execution()
    if call.quirks.cancel_execution != "delete":
        return _cancelled(call, job)
    shown = bodies.progress(call.world, job)
    call.world.pool.cancel(job.id)
    call.world.pool.forget(job.id)
    return Response(status_code=204) if call.quirks.cancel_status == 204 else JSONResponse(shown)


def _check_there(what: str | int) -> None:
    """Refuse a way to cancel that this server has not."""
    if isinstance(what, int):
        raise Refusal(what, "Request method 'DELETE' not supported")


def _cancelled(call: Call, job: Job) -> Response:
    """Cancel, and answer as to an execution that has ended where it had."""
    if not call.world.pool.cancel(job.id) and call.quirks.cancel_ended != 200:
        raise Refusal(call.quirks.cancel_ended, "The flow execution has ended.")
    return _acted(call, job, call.quirks.cancel_status)


# List


async def _list(call: Call) -> Response:
    return _page_at_hand(call, _ALL_ORDERS) or list_page(_listed(call), call.query, call.quirks)


async def _list_of_flow(call: Call) -> Response:
    flow = call.flow(call.named)
    items = [item for item in _listed(call) if item["flow"]["id"] == flow.id]
    return list_page(items, call.query, call.quirks)


async def _filter(call: Call) -> Response:
    if isinstance(call.quirks.filters, int):
        raise Refusal(call.quirks.filters, "Request method 'POST' not supported")
    passes, node = await _read_filter(call)
    orders = _orders_of(call, passes) if keys_in(node) == {"status"} and call.quirks.filters != "ignored" else {}
    return _page_at_hand(call, orders) or list_page(_passing(call, passes), call.query, call.quirks)


async def _read_filter(call: Call) -> tuple[Test, dict[str, Any]]:
    words = words_of(call.quirks) if call.quirks.filter_words == "known" else None
    dialect = Dialect(equals=call.quirks.equals_operator == "accept", words=words)
    node = await call.object()
    try:
        return read_filter(node, dialect), node
    except FilterError as error:
        raise Refusal(call.quirks.bad_input, str(error)) from None


def _passing(call: Call, passes: Test) -> list[dict[str, Any]]:
    """Return those that the caller may see and that pass a filter."""
    return [item for item in _listed(call) if call.quirks.filters == "ignored" or passes(item)]


async def _statistics(call: Call) -> Response:
    by = call.query.get("groupTimeBy", "Day")
    if by not in PERIODS:
        raise Refusal(call.quirks.bad_input, f"There is no period {by}.")
    passes, _ = await _read_filter(call)
    return JSONResponse(statistics(_passing(call, passes), by))


def _listed(call: Call) -> list[dict[str, Any]]:
    """Return all that the caller may see, the newest first (assumed)."""
    jobs = [job for job in reversed(call.world.executions()) if call.sees(job)]
    if call.quirks.list_state == "present":
        return [bodies.execution(call.world, job) for job in jobs]
    return [_written(call, job)[0] for job in jobs]


def _written(call: Call, job: Job) -> tuple[dict[str, Any], bytes]:
    """Return an execution without its state, which changes only if the job does."""
    world = call.world

    def write() -> tuple[dict[str, Any], bytes]:
        item = bodies.execution(world, job, state=False)
        return item, to_json(item)

    return world.written.of(job, (world.flow_of(job), world.quirks), write)


# Pages that need no look at all there is: who follows ten thousand executions reads no others


_ALL_ORDERS: Mapping[tuple[str, ...], Group] = {(): Group.ALL, ("createdAt,desc",): Group.ALL}
_LIVE_ORDERS: Mapping[tuple[str, ...], Group] = {(): Group.LIVE, ("createdAt,desc",): Group.LIVE}
_ENDED_ORDERS: Mapping[tuple[str, ...], Group] = {
    (): Group.ENDED,
    ("createdAt,desc",): Group.ENDED,
    ("modifiedAt,desc",): Group.LAST_ENDED,
}
"""The groups that the server keeps in order, by the `sort` of a query."""


def _orders_of(call: Call, passes: Test) -> Mapping[tuple[str, ...], Group]:
    """Return the orders of what passes a filter that looks at the status alone; none if it is no whole group."""
    live, final = live_words(call.quirks), final_words(call.quirks)
    passing = {word for word in live | final if passes({"status": word})}
    if live & final:
        return {}
    return _LIVE_ORDERS if passing == live else _ENDED_ORDERS if passing == final else {}


def _page_at_hand(call: Call, orders: Mapping[tuple[str, ...], Group]) -> Response | None:
    """Answer with a page of a group that is kept in order; None if another is asked for, or not all may be shown."""
    group = orders.get(tuple(call.query.getlist("sort")))
    all_shown = not call.access.only_own and call.quirks.executions_kept_for == inf
    if group is None or not all_shown or call.quirks.list_state == "present" or call.query.get("filter"):
        return None
    jobs, total = call.world.pool.page(group, *place_in(call.query, call.quirks))
    return written_page((_written(call, job)[1] for job in jobs), total, call.quirks)


ROUTES: tuple[tuple[str, str, str, Handler], ...] = (
    ("POST", "/flows/executions", EXECUTE, _start),
    ("POST", "/flows/executions/start", EXECUTE, _start_batch),
    ("POST", "/flows/executions/filter", READ_ALL, _filter),
    ("POST", "/flows/executions/statistics", READ_ALL, _statistics),
    ("GET", "/flows/executions", READ_ALL, _list),
    ("GET", "/flows/executions/{id}", READ_ALL, _details),
    ("DELETE", "/flows/executions/{id}", DELETE, _delete),
    ("GET", "/flows/executions/{id}/progress", READ_ALL, _progress),
    ("POST", "/flows/executions/{id}/progress", EXECUTE, _continue),
    ("DELETE", "/flows/executions/{id}/progress", EXECUTE, _cancel),
    ("POST", "/flows/executions/{id}/state", EXECUTE, _save),
    ("GET", "/flows/executions/{id}/status", READ_ALL, _outputs),
    ("GET", "/flows/{id}/executions", READ_ALL, _list_of_flow),
)
"""Each with the scope it asks for."""

OPEN_ROUTES: tuple[tuple[str, str, Handler], ...] = (
    ("POST", "/flows/callback/{id}", _call_back),
    ("GET", "/flows/callback/{id}", _is_handled),
)
"""Those that ask for no credential (documented)."""
