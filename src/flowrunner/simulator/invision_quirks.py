"""What the facts about InVision leave open, as switches: the simulator can be each of the possible servers."""

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
class InVisionQuirks:
    """How this InVision decides what the facts leave open. The defaults are the most likely server.

    Attributes:
        bad_key: The answer to a missing or wrong key: 401, 403 or 500.
        two_keys: What is made of a key in the header and another in the query: the server would "accept" the one in
            the header, or "refuse" with 400.
        content_type: Whether a start without `Content-Type: application/json` is "accepted" or refused with 415, as by
            some releases: "required".
        arguments: Whether a start looks at a body: "ignored", or "taken", with what `globalArguments` has as the run's
            parameters, as a sister product sends it.
        throttling: What a start does while others wait for a worker: the run is "pending" as they are, or 429 or 503 is
            answered, and nothing starts.
        unknown_flow: The answer to an unknown Data Flow: 404 or 500.
        unknown_run: The answer to an unknown run: 404 or 500.
        names: Whether a Data Flow is found by its name too, as up to release 2.7: "refused" or "accepted".
        error_body: The body of an error: "json", "text", "html" or "empty".
        failed_await: The answer to an awaited run that failed: 200 with the word, or 500 as for any fault.
        longest_await: After how many seconds a proxy gives up on an awaited run and answers 504; the run goes on.
        first_status: What the answer to a start that does not wait says: the run's "own" word, or always this one.
        run_id_key: How the answers write the name of the id.
        after_crash: What a run shows that waits to be resubmitted after a crash: "Pending" or "Running".
        aborted: What a run shows that was stopped inside the product, which has no word of its own: "Failed" or
            "Succeeded".
        kept_for: How many seconds a run stays queryable after its end.
        words: Words to serve instead of the vendor's, as `{"Running": "RUNNING"}`.
    """

    bad_key: Literal[401, 403, 500] = one_of(401, 403, 500)
    two_keys: Literal["accept", "refuse"] = one_of("accept", "refuse")
    content_type: Literal["accepted", "required"] = one_of("accepted", "required")
    arguments: Literal["ignored", "taken"] = one_of("ignored", "taken")
    throttling: Literal["pending", 429, 503] = one_of("pending", 429, 503)
    unknown_flow: Literal[404, 500] = one_of(404, 500)
    unknown_run: Literal[404, 500] = one_of(404, 500)
    names: Literal["refused", "accepted"] = one_of("refused", "accepted")
    error_body: Literal["json", "text", "html", "empty"] = one_of("json", "text", "html", "empty")
    failed_await: Literal[200, 500] = one_of(200, 500)
    longest_await: float = field(default=inf, validator=ge(0))
    first_status: Literal["own", "Pending", "Running", "Succeeded", "Failed"] = one_of(
        "own", "Pending", "Running", "Succeeded", "Failed"
    )
    run_id_key: Literal["runId", "RunId", "runid", "RUNID"] = one_of("runId", "RunId", "runid", "RUNID")
    after_crash: Literal["Pending", "Running"] = one_of("Pending", "Running")
    aborted: Literal["Failed", "Succeeded"] = one_of("Failed", "Succeeded")
    kept_for: float = field(default=inf, validator=ge(0))
    words: Mapping[str, str] = field(factory=dict, converter=MappingProxyType)
