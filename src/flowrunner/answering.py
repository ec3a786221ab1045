"""Answers to a waiting run: laid over the vendor's defaults, and checked against its schema before they are sent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flowrunner.errors import ConfigError, InvalidParameters
from flowrunner.nearmiss import suggestion

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from flowrunner.backend import Prompt

__all__ = ["complete_answers"]


def complete_answers(prompt: Prompt, answers: Mapping[str, Any]) -> dict[str, Any]:
    """The vendor's defaults with the answers laid over them: a key that is left out would be emptied.

    Raises:
        InvalidParameters: the answers do not fit the schema.
        ConfigError: there is a schema, and nothing installed to check it with.
    """
    properties = _properties(prompt)
    problems = {
        name: f"is not asked for: {suggestion(name, properties)}"
        for name in answers
        if properties and name not in properties
    }
    whole = {**prompt.model, **answers}
    if not problems and prompt.schema is not None:
        untouched = {name for name, value in whole.items() if value is None and name not in answers}
        problems = {name: text for name, text in _misfits(prompt.schema, whole) if name not in untouched}
    if problems:
        texts = "; ".join(f"{name} {text}" for name, text in problems.items())
        raise InvalidParameters(f"the answers do not fit what is asked: {texts}", problems=problems)
    return whole


def _properties(prompt: Prompt) -> dict[str, Any]:
    properties = (prompt.schema or {}).get("properties")
    return {**properties, **prompt.model} if isinstance(properties, dict) else {}


def _misfits(schema: Mapping[str, Any], whole: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    try:
        from jsonschema import Draft4Validator
        from referencing import Registry
    except ImportError:
        text = 'answers are checked with jsonschema, which is not installed: pip install "flowrunner[forms]"'
        raise ConfigError(text) from None
    try:
        Draft4Validator.check_schema(schema)
        # The empty registry fetches nothing: what a schema refers to elsewhere is not ours to ask for.
        misfits = list(Draft4Validator(schema, registry=Registry()).iter_errors(whole))
    except Exception:  # noqa: BLE001 - a checker fails in many ways on a dialect of its own: the vendor will judge
        return
    for misfit in misfits:
        yield str(misfit.absolute_path[0]) if misfit.absolute_path else "answers", misfit.message
