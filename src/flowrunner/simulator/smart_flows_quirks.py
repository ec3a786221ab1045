"""What the facts about Smart Flows leave open, as switches: the simulator can be each of the possible servers."""

from __future__ import annotations

from math import inf
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

from attrs import field, frozen
from attrs.validators import ge

from flowrunner.simulator.switches import one_of

if TYPE_CHECKING:
    from collections.abc import Mapping


@frozen(kw_only=True)
class SmartFlowsQuirks:
    """How this Smart Flows decides what the facts leave open. The defaults are the most likely server.

    Attributes:
        error_body: The body of an error: that of "spring" by default, a "text", an "html" page, or "empty".
        most_per_second: The most requests with a credential in a second; more are answered with 429.
        bad_credential: The answer to a missing, wrong, expired or revoked credential: 401 or 403.
        unknown_flow: The answer to an unknown flow or data set: 404, 400 or 500.
        unknown_execution: The answer to an unknown execution: 404, 400 or 500.
        unknown_document: The answer to an unknown document: 404, 400 or 500.
        unknown_callback: The answer to a callback that nobody waits for (any more): 404, 400 or 200.
        foreign: The answer to who sees only own executions and asks for another's: 404 or 403.
        bad_input: The answer to data, answers or a filter that cannot be read: 400, 422 or 500.
        text_input: Whether XML sent as `text/plain` is taken ("accept", observed) or refused with 415.
        json_input: Whether JSON, of the vendor's libraries, is taken beside XML: "accept", or "refuse" with 415.
        largest_input: The most bytes of data that a start may have; more is answered with 413.
        no_flow: What a start with a data set and no flow does: "select" lets a user choose, "refuse" is 400.
        choice: How a choice of a flow is answered: in the form's property "flow" or "flowId", or only in the vendor's
            "panel": then there is no form, and answers are refused as in a wrong state.
        start_status: The answer to an accepted start: 200, 201 or 202.
        continue_status: The answer to accepted answers: 200 with the progress, or 204.
        cancel_status: The answer to an accepted cancellation: 200 with the progress, or 204.
        wrong_state: The answer to answers that nobody asked for: 409, 400, 422 or 500.
        cancel_progress: What `DELETE .../progress` does: "cancel", or answer 404 or 405.
        cancel_execution: What `DELETE /flows/executions/{id}` does: "cancel", "delete" the record as well, or answer
            404 or 405.
        cancel_ended: What a cancellation answers about what has ended: 200 as for any other, 409 or 404.
        long_poll: Whether `GET .../progress` holds the request: "hold", or "ignore" the timeout and answer at once.
        wake_on: What ends the wait early: any "change" of what is shown, or only a "stable" status, where nothing
            changes without somebody's doing.
        zero_timeout: What `timeout=0` is: "at_once", the "default" wait, or "refuse" with 400.
        negative_timeout: The same for `timeout=-1`.
        longest_poll: The most seconds a request is held, whatever it asks for.
        percentage: How it goes: "steps" that end at 100 on success, or at every end, which "completes" it; it "stalls"
            before the last, "jumps" from 0 to 100, or is "missing".
        user_input_word: How the status of an execution that asks is spelled.
        words: Words to serve instead of the vendor's, as `{"Canceled": "Cancelled"}`.
        warning: Whether there is a status Warning: "present", or "absent" as in older descriptions, which say Success.
        model_in: What shows the outputs of an ended execution: "both" its last progress and its details, only one of
            them, or "neither".
        model_keys: Whether the keys of the model are made of "block" ids (observed), or are "plain" names.
        named_outputs: Whether `GET .../status` is there for "any" execution, or for a batch alone, while any other is
            answered with 404 or 405.
        contract: What `POST /flows/{flow}/contract` does: answer 404, 405 or 501, since it is documented as still to
            come, or give the schemas, "served".
        page_names: What the parameters of lists are called: "page" and "size", or "pageNumber" and "pageSize".
        list_state: Whether executions in lists have their `state`: "absent" or "present".
        largest_page: The most items of one page, whatever is asked for.
        total: Whether a list tells how many there are in all: "missing", or the "header" X-Total-Count.
        waiting_for: What `state.waitingFor` of an execution that waits says: the id of the "callback", some "text", or
            is "missing".
        callback_reply: What a callback is answered with: a "text", a "json" text, or "empty".
        filters: What a filter of executions does: it is in "use", "ignored", or answered with 404 or 405.
        filter_words: Whether a filter may ask for "any" status, or only for a "known" one, while others are answered as
            bad input.
        equals_operator: Whether a filter knows `equals`, of the vendor's text, beside `equalTo`, of its libraries:
            "accept" or "refuse" with 400.
        disposition: The header Content-Disposition of a document: a "plain" file name, an "encoded" one, or "missing".
        content_type: Whether a document comes with its "own" content type or as "octet-stream".
        executions_kept_for: How many seconds an execution is there after its end.
        documents_kept_for: How many seconds its documents are.
    """

    error_body: Literal["spring", "text", "html", "empty"] = one_of("spring", "text", "html", "empty")
    most_per_second: float = field(default=inf, validator=ge(1))
    bad_credential: Literal[401, 403] = one_of(401, 403)
    unknown_flow: Literal[404, 400, 500] = one_of(404, 400, 500)
    unknown_execution: Literal[404, 400, 500] = one_of(404, 400, 500)
    unknown_document: Literal[404, 400, 500] = one_of(404, 400, 500)
    unknown_callback: Literal[404, 400, 200] = one_of(404, 400, 200)
    foreign: Literal[404, 403] = one_of(404, 403)
    bad_input: Literal[400, 422, 500] = one_of(400, 422, 500)
    text_input: Literal["accept", "refuse"] = one_of("accept", "refuse")
    json_input: Literal["accept", "refuse"] = one_of("accept", "refuse")
    largest_input: float = field(default=inf, validator=ge(0))
    no_flow: Literal["select", "refuse"] = one_of("select", "refuse")
    choice: Literal["flow", "flowId", "panel"] = one_of("flow", "flowId", "panel")
    start_status: Literal[200, 201, 202] = one_of(200, 201, 202)
    continue_status: Literal[200, 204] = one_of(200, 204)
    cancel_status: Literal[200, 204] = one_of(200, 204)
    wrong_state: Literal[409, 400, 422, 500] = one_of(409, 400, 422, 500)
    cancel_progress: Literal["cancel", 404, 405] = one_of("cancel", 404, 405)
    cancel_execution: Literal["cancel", "delete", 404, 405] = one_of("cancel", "delete", 404, 405)
    cancel_ended: Literal[200, 409, 404] = one_of(200, 409, 404)
    long_poll: Literal["hold", "ignore"] = one_of("hold", "ignore")
    wake_on: Literal["change", "stable"] = one_of("change", "stable")
    zero_timeout: Literal["at_once", "default", "refuse"] = one_of("at_once", "default", "refuse")
    negative_timeout: Literal["at_once", "default", "refuse"] = one_of("at_once", "default", "refuse")
    longest_poll: float = field(default=inf, validator=ge(0))
    percentage: Literal["steps", "completes", "stalls", "jumps", "missing"] = one_of(
        "steps", "completes", "stalls", "jumps", "missing"
    )
    user_input_word: Literal["UserInput", "User input", "User Input", "Waiting for user input"] = one_of(
        "UserInput", "User input", "User Input", "Waiting for user input"
    )
    words: Mapping[str, str] = field(factory=dict, converter=MappingProxyType)
    warning: Literal["present", "absent"] = one_of("present", "absent")
    model_in: Literal["both", "progress", "details", "neither"] = one_of("both", "progress", "details", "neither")
    model_keys: Literal["block", "plain"] = one_of("block", "plain")
    named_outputs: Literal["any", 404, 405] = one_of("any", 404, 405)
    contract: Literal[404, 405, 501, "served"] = one_of(404, 405, 501, "served")
    page_names: Literal["page", "pageNumber"] = one_of("page", "pageNumber")
    list_state: Literal["absent", "present"] = one_of("absent", "present")
    largest_page: int = field(default=2000, validator=ge(1))
    total: Literal["missing", "header"] = one_of("missing", "header")
    waiting_for: Literal["callback", "text", "missing"] = one_of("callback", "text", "missing")
    callback_reply: Literal["text", "json", "empty"] = one_of("text", "json", "empty")
    filters: Literal["use", "ignored", 404, 405] = one_of("use", "ignored", 404, 405)
    filter_words: Literal["any", "known"] = one_of("any", "known")
    equals_operator: Literal["accept", "refuse"] = one_of("accept", "refuse")
    disposition: Literal["plain", "encoded", "missing"] = one_of("plain", "encoded", "missing")
    content_type: Literal["own", "octet-stream"] = one_of("own", "octet-stream")
    executions_kept_for: float = field(default=inf, validator=ge(0))
    documents_kept_for: float = field(default=inf, validator=ge(0))
