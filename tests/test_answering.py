"""Answers to a waiting run: laid over the vendor's defaults and checked before anything is sent."""

import socket
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowrunner.answering import complete_answers
from flowrunner.backend import Prompt
from flowrunner.errors import ConfigError, InvalidParameters

SCHEMA = {
    "type": "object",
    "required": ["town"],
    "properties": {
        "town": {"type": "string", "minLength": 1},
        "age": {"type": "integer", "minimum": 0, "maximum": 150},
        "tags": {"type": "array", "items": {"type": "string"}},
        "note": {"type": "string"},
    },
}
MODEL = {"town": "Gent", "age": 30, "tags": ["a"]}
PROMPT = Prompt(schema=SCHEMA, model=MODEL)


def problems(prompt, answers):
    """What is wrong with the answers, by name."""
    with pytest.raises(InvalidParameters, match="the answers do not fit what is asked") as caught:
        complete_answers(prompt, answers)
    return caught.value.problems


def test_answers_lie_over_the_defaults():
    """What is left out stays as the vendor proposes: left out of what is sent, it would be emptied."""
    assert complete_answers(PROMPT, {"town": "Brugge"}) == {"town": "Brugge", "age": 30, "tags": ["a"]}
    assert complete_answers(PROMPT, {}) == MODEL
    assert complete_answers(PROMPT, {"note": ""}) == {**MODEL, "note": ""}
    assert MODEL == {"town": "Gent", "age": 30, "tags": ["a"]}


def test_a_value_replaces_a_default_whole():
    """A list or a mapping is replaced and not mixed with the default's."""
    assert complete_answers(PROMPT, {"tags": []})["tags"] == []


@pytest.mark.parametrize(
    ("answers", "name", "text"),
    [
        ({"town": 5}, "town", "is not of type 'string'"),
        ({"town": ""}, "town", "''"),
        ({"age": 151}, "age", "maximum"),
        ({"age": -1}, "age", "minimum"),
        ({"age": "30"}, "age", "is not of type 'integer'"),
        ({"tags": ["a", 1]}, "tags", "is not of type 'string'"),
        ({"note": None}, "note", "is not of type 'string'"),
    ],
)
def test_answers_that_do_not_fit(answers, name, text):
    """An answer against the schema is InvalidParameters with a text for its key."""
    found = problems(PROMPT, answers)
    assert list(found) == [name]
    assert text in found[name]


def test_every_answer_is_judged():
    """All answers that do not fit are named at once."""
    assert problems(PROMPT, {"age": -1, "town": 1}).keys() == {"age", "town"}


def test_a_required_answer():
    """What the schema requires and neither the caller nor the vendor gives is a problem of the whole."""
    assert "'town' is a required property" in problems(Prompt(schema=SCHEMA), {"age": 1})["answers"]


def test_a_key_nobody_asks_for():
    """A key that is not asked for is a problem, with the one it resembles; the rest is not judged then."""
    found = problems(PROMPT, {"twon": "Brugge", "age": -1})
    assert list(found) == ["twon"]
    assert "is not asked for: did you mean 'town'?" in found["twon"]


def test_a_key_of_the_model_is_asked_for():
    """Keys that only the model has may be answered: forms name some of their fields so."""
    assert complete_answers(Prompt(schema=SCHEMA, model={"town": "x", "d_f": 1}), {"d_f": 2}) == {"town": "x", "d_f": 2}


def test_without_a_schema():
    """Where the vendor gives no schema, whatever is answered is laid over the model; the vendor judges."""
    assert complete_answers(Prompt(model={"a": 1, "b": 2}), {"b": 3, "c": 4}) == {"a": 1, "b": 3, "c": 4}
    assert complete_answers(Prompt(), {"flow": "x"}) == {"flow": "x"}


def test_a_schema_without_properties():
    """A schema that names no properties excludes no key."""
    assert complete_answers(Prompt(schema={"type": "object"}), {"a": 1}) == {"a": 1}


def test_an_empty_default_is_the_vendors_own():
    """A default of null that nobody answers is sent as it came, though the schema wants a text there."""
    empty = Prompt(schema=SCHEMA, model={"town": "Gent", "note": None})
    assert complete_answers(empty, {"town": "Brugge"}) == {"town": "Brugge", "note": None}
    assert list(problems(empty, {"note": 5})) == ["note"]


def test_any_other_default_is_judged():
    """A default that does not fit must be answered: sent as it is, the vendor would only ask again."""
    assert list(problems(Prompt(schema=SCHEMA, model={"town": ""}), {})) == ["town"]


@pytest.mark.parametrize(
    "schema",
    [
        {"properties": {"a": {"type": "of its own"}}},
        {"properties": {"a": {"required": True}}},
        {"properties": {"a": {"$ref": "#/definitions/none"}}},
        {"properties": {"a": {"$ref": "#/properties/a"}}},
        {"properties": {"a": {"pattern": "("}}},
        {"properties": 5},
        {"properties": {"a": 5}},
        {"type": 5},
    ],
)
def test_a_schema_of_another_dialect(schema):
    """A schema that cannot be read, or used, checks nothing: what it means is left to the vendor."""
    assert complete_answers(Prompt(schema=schema), {"a": "x"}) == {"a": "x"}


@pytest.mark.filterwarnings("ignore:Automatically retrieving:DeprecationWarning")
def test_a_schema_fetches_nothing(monkeypatch):
    """A schema that refers to another address has nothing fetched from there."""
    asked = []

    def resolve(*arguments, **more):
        asked.append(arguments)
        raise OSError("nothing is to be asked for")

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    schema = {"properties": {"a": {"$ref": "http://schemas.example/schema.json"}}}
    assert complete_answers(Prompt(schema=schema), {"a": 1}) == {"a": 1}
    assert asked == []


def test_without_jsonschema(monkeypatch):
    """Without the package that checks, a schema is a ConfigError that says what to install; no schema needs none."""
    monkeypatch.setitem(sys.modules, "jsonschema", None)
    with pytest.raises(ConfigError, match=r'pip install "flowrunner\[forms\]"'):
        complete_answers(PROMPT, {})
    assert complete_answers(Prompt(model=MODEL), {}) == MODEL


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["type", "properties", "items", "enum", "$ref", "a"]) | st.text(), inner, max_size=3
        )
    ),
    max_leaves=8,
)
OBJECTS = st.dictionaries(st.sampled_from(["type", "properties", "required", "items", "a"]), JSON)


@given(schema=st.none() | OBJECTS, model=OBJECTS, answers=OBJECTS)
def test_whatever_is_asked_and_answered(schema, model, answers):
    """Any schema, model and answers give either all of both, or InvalidParameters."""
    try:
        whole = complete_answers(Prompt(schema=schema, model=model), answers)
    except InvalidParameters:
        return
    assert whole == {**model, **answers}
