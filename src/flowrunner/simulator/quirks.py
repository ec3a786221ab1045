"""What the facts about FME Flow leave open, as switches: the simulator can be each of the possible servers."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

from attrs import field, frozen
from attrs.validators import ge

from flowrunner.simulator.switches import one_of

if TYPE_CHECKING:
    from collections.abc import Mapping


@frozen(kw_only=True)
class Quirks:
    """How this FME Flow decides what the facts leave open. The defaults are the most likely server.

    What begins with `v3_` is about V3 alone; the rest is about V4 alone unless it says otherwise.

    Attributes:
        long_poll: What `/result?longPoll=true` does: "hold" the request open; "ignore" the flag and answer at once;
            "missing" and "not_allowed" answer 404 and 405.
        unfinished_result: How `/result` says that the job has not ended: 202, 204, or 200 with the live word.
        failed_result: How `/result` tells of a job that did not succeed: "body" is 200 with the result, "422" the
            status with only a message, "422_result" the status with the result.
        failed_sync: The same for `POST /jobs/sync`.
        absent_times: How a record of either API shows a time or a name that is not known yet: key "missing", "null",
            the Go "zero" time (names are empty), or an "empty" string.
        status_case: Whether status words are "lower" or "upper" case.
        final_word: Whether `GET /jobs/{id}` and `GET /jobs` show the job's "own" final word or "complete" for all,
            while the result keeps its own.
        record_message: Whether `GET /jobs/{id}` shows the message of the end too: "missing" or "shown".
        words: Words to serve instead of the vendor's, as `{"running": "PULLED"}`.
        submit_status: The answer to an accepted submission over either API: 202 or 200.
        invalid_parameter_status: The answer to missing and wrong published parameters: 400 or 422.
        missing_flow_status: The answer to an unknown repository or workspace: 404, 403 or 409.
        parameters_shape: The list of parameters is a bare "array", or an object with the list under "items",
            "parameters", "publishedParameters" or "value".
        unfiltered_list: What `GET /jobs` without `status` lists: "all", "active" or "completed" jobs.
        max_limit: The most jobs one page of either API holds; a greater `limit` is cut and echoed so.
        missing_folder: What V4 does with an upload into a folder that is not there: "create" it, or "refuse" with 404.
        upload_status: The answer to an accepted upload over either API: 201 or 200.
        full_status: The answer of either API to an upload there is no room for: 507 or 500.
        v3_words: Words to serve instead of the vendor's, as `{"PULLED": "IN_PROCESS", "FME_FAILURE": "JOB_FAILURE"}`.
        v3_result_words: The same for `result.status` alone, after `v3_words`: `{"SUCCESS": "FME_FAILURE"}` is a server
            whose result disagrees with its record.
        v3_dequeued: What becomes of a job cancelled in the queue: it is "ABORTED" or "DELETED", or is "gone".
        v3_failed_transact: How `transact` and `transactdata` tell of a job that did not succeed; see `failed_result`.
        v3_unfinished_result: How `/result` says that the job has not ended: 404, 204, 202, or 200 with the live word.
        v3_times: How times are written: with "Z", with an "offset" of some place, or "bare" without any zone.
        v3_counts: Whether records have `cpu*`, `elapsedTime`, `num*` and `peakMemUsage`: "shown", or "missing" as on
            servers of 2018.
        v3_optional: Whether parameters say if they are `optional`: "shown", or "missing" as in the vendor's sample.
        v3_unknown_queue: Whether a `tag` that is no queue is let pass ("accept") or answered with 422 ("refuse").
        v3_health: What `/healthcheck` writes unless `textResponse` decides: "json" or "text".
    """

    long_poll: Literal["hold", "ignore", "missing", "not_allowed"] = one_of("hold", "ignore", "missing", "not_allowed")
    unfinished_result: Literal[202, 204, 200] = one_of(202, 204, 200)
    failed_result: Literal["body", "422", "422_result"] = one_of("body", "422", "422_result")
    failed_sync: Literal["body", "422", "422_result"] = one_of("body", "422", "422_result")
    absent_times: Literal["missing", "null", "zero", "empty"] = one_of("missing", "null", "zero", "empty")
    status_case: Literal["lower", "upper"] = one_of("lower", "upper")
    final_word: Literal["own", "complete"] = one_of("own", "complete")
    record_message: Literal["missing", "shown"] = one_of("missing", "shown")
    words: Mapping[str, str] = field(factory=dict, converter=MappingProxyType)
    submit_status: Literal[202, 200] = one_of(202, 200)
    invalid_parameter_status: Literal[400, 422] = one_of(400, 422)
    missing_flow_status: Literal[404, 403, 409] = one_of(404, 403, 409)
    parameters_shape: Literal["array", "items", "parameters", "publishedParameters", "value"] = one_of(
        "array", "items", "parameters", "publishedParameters", "value"
    )
    unfiltered_list: Literal["all", "active", "completed"] = one_of("all", "active", "completed")
    max_limit: int = field(default=1000, validator=ge(1))
    missing_folder: Literal["create", "refuse"] = one_of("create", "refuse")
    upload_status: Literal[201, 200] = one_of(201, 200)
    full_status: Literal[507, 500] = one_of(507, 500)
    v3_words: Mapping[str, str] = field(factory=dict, converter=MappingProxyType)
    v3_result_words: Mapping[str, str] = field(factory=dict, converter=MappingProxyType)
    v3_dequeued: Literal["ABORTED", "DELETED", "gone"] = one_of("ABORTED", "DELETED", "gone")
    v3_failed_transact: Literal["body", "422", "422_result"] = one_of("body", "422", "422_result")
    v3_unfinished_result: Literal[404, 204, 202, 200] = one_of(404, 204, 202, 200)
    v3_times: Literal["Z", "offset", "bare"] = one_of("Z", "offset", "bare")
    v3_counts: Literal["shown", "missing"] = one_of("shown", "missing")
    v3_optional: Literal["shown", "missing"] = one_of("shown", "missing")
    v3_unknown_queue: Literal["accept", "refuse"] = one_of("accept", "refuse")
    v3_health: Literal["json", "text"] = one_of("json", "text")
