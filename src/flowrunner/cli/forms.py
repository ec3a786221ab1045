"""What a waiting run asks, as fields; and how a person at a terminal is asked for each."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import click
from attrs import field, frozen

from flowrunner.cli.output import one_line
from flowrunner.cli.value_files import from_json
from flowrunner.nearmiss import suggestion

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from flowrunner.errors import InputRequired

__all__ = ["NOTHING", "Field", "ask", "fields_of", "keyed", "misfits"]

NOTHING: Final = object()
"""The answer of who gives none: what the vendor proposes stays."""

_TYPES: Final = {
    "string": "text",
    "boolean": "yes or no",
    "integer": "a whole number",
    "number": "a number",
    "array": "a list, as JSON",
    "object": "an object, as JSON",
    "": "text, or JSON",
}
"""The types that are known here, and what an answer of each is."""
_TYPE_OF: Final = {str: "string", bool: "boolean", int: "number", float: "number", list: "array", dict: "object"}
_TRUTH: Final = {"yes": True, "y": True, "true": True, "no": False, "n": False, "false": False}
_DEPTH: Final = 50
"""Levels of a form that are looked through."""


@frozen(kw_only=True)
class Field:
    """One thing that is asked.

    Attributes:
        key: by which it is answered.
        title: what people call it.
        description: what else the form says of it.
        type: its type in JSON Schema; empty where there is none that is known here.
        choices: the values there are, and what people call them; empty where any will do.
        proposed: the vendor's own answer; None where there is none.
        is_required: whether there has to be an answer.
        is_secret: whether it is not to be shown.
    """

    key: str
    title: str
    description: str = ""
    type: str = ""
    choices: tuple[tuple[Any, str], ...] = ()
    proposed: Any = field(default=None, repr=False)
    is_required: bool = False
    is_secret: bool = False

    @property
    def takes(self) -> str:
        """What an answer is."""
        if self.choices:
            return f"one of: {', '.join(label for _, label in self.choices)}"
        return "a password" if self.is_secret else _TYPES[self.type]

    def shown(self, value: Any) -> str:
        """A value as a person sees and types it; nothing of a secret, nor of none."""
        if value is None or self.is_secret:
            return ""
        label = next((label for choice, label in self.choices if choice == value), None)
        if label is not None:
            return label
        if isinstance(value, bool):
            return "yes" if value else "no"
        return value if isinstance(value, str) else json.dumps(value)

    def read(self, text: str) -> Any:
        """What a person's text says; NOTHING where it is empty.

        Raises:
            ValueError: it is no answer; the text says what is.
        """
        if not text:
            if self.is_required and self.proposed is None:
                raise ValueError("there has to be an answer")
            return NOTHING
        if self.choices:
            return self._chosen(text)
        return text if self.type == "string" else self._typed(text)

    def _typed(self, text: str) -> Any:
        if self.type == "boolean" and text.casefold() in _TRUTH:
            return _TRUTH[text.casefold()]
        try:
            return from_json(text)
        except (ValueError, RecursionError):
            if not self.type:
                return text
        raise ValueError(f"it has to be {self.takes}")

    def _chosen(self, text: str) -> Any:
        """By its number in the list, its label or its value."""
        for number, (value, label) in enumerate(self.choices, 1):
            if text in {str(number), label, str(value)}:
                return value
        raise ValueError(f"it has to be one of these, or its number from 1 to {len(self.choices)}")


def fields_of(asked: InputRequired, names: Mapping[str, str] | None = None) -> tuple[Field, ...]:
    """The fields of what a run asks: in the order of its form, then of its schema, then of the vendor's own answers.

    Args:
        asked: schema, form and the vendor's own answers, each of which may be missing or odd.
        names: what people call values among the choices, where more is known than the vendor shows.
    """
    form = Form(asked.schema or {}, asked.model or {}, asked.form, names or {})
    return tuple(map(form.field, form.keys()))


@frozen
class Form:
    """What a vendor shows of a question, each part of which may be missing or odd.

    Attributes:
        schema: of the answers.
        model: the vendor's own answers.
        form: how they are laid out.
        names: what people call values.
    """

    schema: Mapping[str, Any]
    model: Mapping[str, Any]
    form: Sequence[Any]
    names: Mapping[str, str]

    def keys(self) -> list[str]:
        """What is asked for, in the order of the form."""
        known = dict.fromkeys([*self._properties(), *self.model])
        return list(dict.fromkeys([*(key for key in self._shown() if key in known), *known]))

    def field(self, key: str) -> Field:
        """One of them."""
        entry, leaf, proposed = self._properties().get(key), self._shown().get(key, {}), self.model.get(key)
        entry = entry if isinstance(entry, dict) else {}
        required = self.schema.get("required")
        return Field(
            key=key,
            title=_first_text(leaf.get("title"), entry.get("title"), key),
            description=_first_text(leaf.get("description"), entry.get("description")),
            type=_type(entry.get("type")) or _TYPE_OF.get(type(proposed), ""),
            choices=self._choices(entry.get("enum"), leaf.get("titleMap")),
            proposed=entry.get("default") if proposed is None else proposed,
            is_required=isinstance(required, list) and key in required,
            is_secret="password" in {str(leaf.get("type")), str(entry.get("format"))},
        )

    def _properties(self) -> dict[str, Any]:
        properties = self.schema.get("properties")
        return properties if isinstance(properties, dict) else {}

    def _shown(self) -> dict[str, Mapping[str, Any]]:
        return {str(leaf["key"]).removesuffix("[]"): leaf for leaf in _leaves(self.form, 0)}

    def _choices(self, values: Any, titles: Any) -> tuple[tuple[Any, str], ...]:
        shown = [each for each in titles if isinstance(each, dict)] if isinstance(titles, list) else []
        labels = {str(each.get("value")): each.get("name") for each in shown}
        return tuple(
            (value, _first_text(labels.get(str(value)), self.names.get(str(value)), str(value)))
            for value in (values if isinstance(values, list) else ())
        )


def _leaves(form: Any, depth: int) -> Iterator[Mapping[str, Any]]:
    for each in form if isinstance(form, list | tuple) and depth < _DEPTH else ():
        if isinstance(each, dict):
            if isinstance(each.get("key"), str):
                yield each
            yield from _leaves(each.get("items"), depth + 1)


def _first_text(*texts: Any) -> str:
    return next((one_line(text) for text in texts if isinstance(text, str) and text.strip()), "")


def _type(said: Any) -> str:
    """The type, of several that are said the one that is not null."""
    types = said if isinstance(said, list) else [said]
    return next((each for each in types if isinstance(each, str) and each in _TYPES), "")


def keyed(answers: Mapping[str, Any], fields: Sequence[Field]) -> dict[str, Any]:
    """The answers by the keys of the fields; a title that only one of them has will do, too."""
    titles = [each.title for each in fields]
    keys = {each.title: each.key for each in fields if titles.count(each.title) == 1}
    known = {each.key for each in fields}
    return {name if name in known else keys.get(name, name): answer for name, answer in answers.items()}


def misfits(answers: Mapping[str, Any], fields: Sequence[Field], model: Mapping[str, Any]) -> dict[str, str]:
    """What is wrong by the names alone, by key: what nobody asks for, and what has to be answered and is not."""
    known = {each.key: each.title for each in fields}
    strange = [name for name in answers if known and name not in known]
    missing = [each.key for each in fields if each.is_required and each.key not in {**model, **answers}]
    return {
        **{name: f"is not asked for: {suggestion(name, known.values())}" for name in strange},
        **dict.fromkeys(missing, "has to be answered"),
    }


def ask(field: Field, answer: Any) -> Any:
    """Ask a person; what is proposed stands there already.

    Args:
        field: what is asked.
        answer: what was answered before; None where nothing was.
    """
    proposed = field.proposed if answer is None else answer
    for number, (_, label) in enumerate(field.choices, 1):
        click.echo(f"  {number}  {label}", err=True)
    shown = field.shown(proposed)
    return click.prompt(
        _question(field), default=shown, show_default=bool(shown), hide_input=field.is_secret, err=True,
        value_proc=lambda text: _read(field, text),
    )  # fmt: skip


def _question(field: Field) -> str:
    hints = [field.description, "" if field.is_required or field.proposed is not None else "may be empty"]
    said = ", ".join(hint for hint in hints if hint)
    return f"{field.title} ({said})" if said else field.title


def _read(field: Field, text: str) -> Any:
    try:
        return field.read(text)
    except ValueError as error:
        problem = str(error)
    raise click.UsageError(f"{problem}.")
