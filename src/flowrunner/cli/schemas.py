"""What `--json` prints: a JSON Schema for a line of each command's stdout. A new command is one line in `OUTPUTS`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from flowrunner.cli.checks import Level
from flowrunner.config.sources import Origin
from flowrunner.enums import CancelOutcome, Cause, ReconcileOutcome, RunState, WaitReason
from flowrunner.models import JSON_VERSION, ParameterKind
from flowrunner.registry import OfferState

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["OUTPUTS", "output_schema"]

Schema = dict[str, Any]


def _object(required: Mapping[str, Schema], **optional: Schema) -> Schema:
    return {"type": "object", "properties": {**required, **optional}, "required": list(required)}


def _or_null(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "null"}]}


def _words(words: Iterable[str]) -> Schema:
    return {"enum": [str(word) for word in words]}


def _one_of(*names: str) -> Schema:
    return {"anyOf": [{"$ref": f"#/$defs/{name}"} for name in names]}


_ANY: Final[Schema] = {}
_TEXT: Final[Schema] = {"type": "string"}
_TEXT_OR_NULL: Final = _or_null(_TEXT)
_TIME_OR_NULL: Final = _or_null({"type": "string", "format": "date-time"})
_WHOLE: Final[Schema] = {"type": "integer"}
_WHOLE_OR_NULL: Final = _or_null(_WHOLE)
_NUMBER_OR_NULL: Final = _or_null({"type": "number"})
_TRUTH: Final[Schema] = {"type": "boolean"}
_TEXTS: Final[Schema] = {"type": "array", "items": _TEXT}
_TEXTS_OR_NULL: Final = _or_null(_TEXTS)
_VERSION: Final[Schema] = {"const": JSON_VERSION}
_STATUS: Final[Schema] = {"$ref": "#/$defs/status"}

_RUN: Final = {"ref": _TEXT, "id": _TEXT_OR_NULL, "flow": _TEXT_OR_NULL, "status": _STATUS}
_ERROR: Final = {"error": _TEXT, "message": _TEXT, "exit_code": _WHOLE}
_ERROR_DETAILS: Final = {
    "connection": _TEXT_OR_NULL,
    "backend": _TEXT_OR_NULL,
    "http_status": _WHOLE_OR_NULL,
    "vendor_message": _TEXT_OR_NULL,
    "retry_after": _NUMBER_OR_NULL,
    "transient": _TRUTH,
    "problems": {"type": "object", "additionalProperties": _TEXT},
}

_DEFINITIONS: Final[Mapping[str, Schema]] = {
    "status": _object({
        "version": _VERSION,
        "state": _words(RunState),
        "vendor_status": _TEXT_OR_NULL,
        "recognized": _TRUTH,
        "cause": _or_null(_words(Cause)),
        "reason": _or_null(_words(WaitReason)),
        "message": _TEXT_OR_NULL,
        "progress": _or_null({"type": "number", "minimum": 0, "maximum": 1}),
        "attempt": {"type": "integer", "minimum": 1},
        "has_warnings": _TRUTH,
        "queued_at": _TIME_OR_NULL,
        "started_at": _TIME_OR_NULL,
        "finished_at": _TIME_OR_NULL,
        "observed_at": _TIME_OR_NULL,
        "raw": _TEXT_OR_NULL,
    }),
    "run": _object(_RUN),
    "moment": _object({"at": {"type": "string", "format": "date-time"}, "state": _words(RunState)}),
    "artifact": _object({
        "name": _TEXT,
        "location": _TEXT,
        "media_type": _TEXT_OR_NULL,
        "size": _WHOLE_OR_NULL,
    }),
    "result": _object(
        {
            "version": _VERSION,
            **_RUN,
            "outputs": {"type": "object"},
            "artifacts": {"type": "array", "items": {"$ref": "#/$defs/artifact"}},
            "metrics": {"type": "object", "additionalProperties": {"type": "number"}},
            "raw": {"type": "object"},
        },
        **_ERROR,
    ),
    "question": _object({
        **_RUN,
        "schema": _or_null({"type": "object"}),
        "model": {"type": "object"},
        "form": {"type": "array"},
    }),
    "row": _object(
        {
            "index": _WHOLE,
            "line": _WHOLE,
            "ref": _TEXT_OR_NULL,
            "id": _TEXT_OR_NULL,
            "flow": _TEXT,
            "status": _or_null(_STATUS),
        },
        **_ERROR,
        **_ERROR_DETAILS,
    ),
    "started": _object({
        "ref": _TEXT,
        "key": _TEXT,
        "id": _TEXT_OR_NULL,
        "flow": _TEXT,
        "state": _words(RunState),
        "submitted_at": {"type": "string", "format": "date-time"},
        "ended_at": _TIME_OR_NULL,
    }),
    "parameter": _object({
        "name": _TEXT,
        "kind": _words(ParameterKind),
        "required": _or_null(_TRUTH),
        "default": _ANY,
        "choices": {"type": "array"},
        "open_choices": _TRUTH,
        "multiple": _TRUTH,
        "minimum": _NUMBER_OR_NULL,
        "maximum": _NUMBER_OR_NULL,
        "minimum_exclusive": _TRUTH,
        "maximum_exclusive": _TRUTH,
        "multiple_of": _NUMBER_OR_NULL,
        "prompt": _TEXT_OR_NULL,
        "group": _TEXTS,
        "role": _TEXT_OR_NULL,
        "disables": {"type": "object", "additionalProperties": _TEXTS},
        "vendor_type": _TEXT_OR_NULL,
    }),
    "error": _object(
        _ERROR,
        **_ERROR_DETAILS,
        ref=_TEXT_OR_NULL,
        id=_TEXT_OR_NULL,
        flow=_TEXT_OR_NULL,
        status=_STATUS,
    ),
    "setting": _object({
        "name": _TEXT,
        "value": _ANY,
        "origin": _words(Origin),
        "variable": _TEXT_OR_NULL,
        "file": _TEXT_OR_NULL,
        "line": _WHOLE_OR_NULL,
        "source": _TEXT_OR_NULL,
        "problem": _TEXT_OR_NULL,
    }),
}  # fmt: skip

_CONNECTION: Final = _object(
    {
        "connection": _TEXT,
        "backend": _TEXT_OR_NULL,
        "base_url": _TEXT_OR_NULL,
        "file": _TEXT_OR_NULL,
        "line": _WHOLE_OR_NULL,
    }
)
_EXPLANATION: Final = _object(
    {
        "connection": _TEXT,
        "backend": _TEXT,
        "file": _TEXT,
        "line": _WHOLE_OR_NULL,
        "settings": {"type": "array", "items": {"$ref": "#/$defs/setting"}},
        "problem": _TEXT_OR_NULL,
    }
)

OUTPUTS: Final[Mapping[str, Schema]] = {
    "run": _one_of("run", "result", "row"),
    "status": _object(_RUN, history={"type": "array", "items": {"$ref": "#/$defs/moment"}}),
    "wait": _one_of("result"),
    "flows": _object({"flow": _TEXT, "title": _TEXT_OR_NULL, "description": _TEXT_OR_NULL}),
    "describe": _object({"flow": _TEXT, "parameters": {"type": "array", "items": {"$ref": "#/$defs/parameter"}}}),
    "runs": _one_of("run", "started"),
    "result": _one_of("result"),
    "logs": {"anyOf": [_object({"line": _TEXT}), {"$ref": "#/$defs/run"}]},
    "download": _object({"name": _TEXT, "path": _TEXT, "media_type": _TEXT_OR_NULL, "size": _WHOLE}),
    "cancel": _object({**_RUN, "outcome": _words(CancelOutcome)}),
    "upload": _object({"name": _TEXT, "reference": _TEXT, "size": _WHOLE_OR_NULL}),
    "resume": _one_of("run", "result", "question"),
    "recover": _object({
        **_RUN,
        "outcome": _or_null(_words(ReconcileOutcome)),
        "candidates": _TEXTS_OR_NULL,
    }),
    "watch": _one_of("run"),
    "init": _object({
        "connection": _TEXT,
        "backend": _TEXT,
        "file": _TEXT,
        "credential": _or_null(_object({"kind": _TEXT, "place": _TEXT_OR_NULL})),
        "checked": _TRUTH,
        "version": _TEXT_OR_NULL,
    }),
    "connections": {"anyOf": [_CONNECTION, _EXPLANATION]},
    "doctor": _object({
        "connection": _TEXT_OR_NULL,
        "check": _TEXT,
        "level": _words(Level),
        "message": _TEXT,
        "advice": _TEXT_OR_NULL,
        "exit_code": _WHOLE,
    }),
    "backends": _object(
        {"name": _TEXT, "distribution": _TEXT, "target": _TEXT, "state": _words(OfferState)},
        problem=_TEXT_OR_NULL,
        capabilities=_TEXTS_OR_NULL,
    ),
    "simulate": _object({"backend": _TEXT, "base_url": _TEXT}, token=_TEXT, api_key=_TEXT),
}  # fmt: skip
"""A line of each command that did what it was asked to; what went wrong is an `error`."""


def output_schema() -> Schema:
    """The schema of all lines: `#/$defs/flowrunner-NAME` is that of the command NAME, errors included."""
    commands = {
        f"flowrunner-{name}": {"anyOf": [schema, {"$ref": "#/$defs/error"}]} for name, schema in OUTPUTS.items()
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "What flowrunner prints with --json",
        "description": "A line of stdout is an object. Later versions may add keys.",
        **_one_of(*commands),
        "$defs": {**commands, **_DEFINITIONS},
    }
