"""What a waiting run asks, as fields."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowrunner import InputRequired, RunStatus
from flowrunner.cli.forms import NOTHING, Field, fields_of, keyed, misfits


def fields(schema=None, model=None, form=(), names=None):
    """The fields of a question."""
    return fields_of(InputRequired("?", status=RunStatus(), schema=schema, model=model, form=form), names)


def test_the_form_says_in_which_order():
    """What it leaves out comes after; what neither schema nor vendor knows is left out. A key may end in brackets."""
    schema = {"properties": {"a": {"type": "string"}, "b": {"title": "Bee"}, "c": {}}}
    form = [
        {"type": "section", "items": [{"key": "c[]", "title": "Sea"}, {"key": "z"}, "a", {"items": [{"key": "a"}]}]}
    ]
    found = fields(schema, {"d": 1}, form)
    assert [(each.key, each.title) for each in found] == [("c", "Sea"), ("a", "a"), ("b", "Bee"), ("d", "d")]


def test_what_is_said_of_a_field():
    """By the form first, then by the schema; the vendor's own answer is what it proposes, else the default."""
    schema = {
        "required": ["name"],
        "properties": {
            "name": {"type": ["null", "string"], "title": "N", "description": "from the schema", "default": "x"},
            "age": {"type": "integer", "default": 7},
            "word": {"type": "string", "format": "password"},
        },
    }
    form = ({"key": "name", "title": "Name", "description": "as\nin the passport"}, {"key": "age", "type": "password"})
    name, age, word = fields(schema, {"name": "Ada"}, form)
    assert (name.title, name.description, name.type, name.is_required) == ("Name", "as in the passport", "string", True)
    assert (name.proposed, name.takes, name.is_secret) == ("Ada", "text", False)
    assert (age.proposed, age.type, age.is_required, age.is_secret) == (7, "integer", False, True)
    assert (word.is_secret, word.takes, word.shown("hush")) == (True, "a password", "")


def test_without_a_schema_the_type_is_that_of_the_vendors_answer():
    """Where that is nothing, anything goes."""
    found = fields(model={"a": "x", "b": True, "c": 1.5, "d": [1], "e": {}, "f": None})
    assert [each.type for each in found] == ["string", "boolean", "number", "array", "object", ""]


def test_choices_have_names():
    """Those of the form, or those that are known besides; else their values."""
    schema = {"properties": {"a": {"enum": ["x", 2, "z"]}}}
    form = [{"key": "a", "titleMap": [{"value": "x", "name": "Ex"}, "odd", {"value": 2, "name": 7}]}]
    (field,) = fields(schema, form=form, names={"2": "Two"})
    assert field.choices == (("x", "Ex"), (2, "Two"), ("z", "z"))
    assert field.takes == "one of: Ex, Two, z"
    assert [field.read(text) for text in ("1", "Two", "z", "x")] == ["x", 2, "z", "x"]
    assert [field.shown(value) for value in (2, "elsewhere")] == ["Two", "elsewhere"]
    with pytest.raises(ValueError, match="one of these, or its number from 1 to 3"):
        field.read("4")


@pytest.mark.parametrize(
    ("type_", "text", "value"),
    [
        ("string", "42", "42"),
        ("integer", "42", 42),
        ("number", "4.5", 4.5),
        ("boolean", "yes", True),
        ("boolean", "No", False),
        ("boolean", "true", True),
        ("array", '["a"]', ["a"]),
        ("object", '{"a": 1}', {"a": 1}),
        ("", "1", 1),
        ("", "plain", "plain"),
        ("string", "", NOTHING),
    ],
)
def test_what_a_persons_text_says(type_, text, value):
    """It is read as the type says; nothing leaves what the vendor proposes."""
    assert Field(key="a", title="A", type=type_).read(text) == value


@pytest.mark.parametrize(
    ("type_", "text", "problem"),
    [
        ("integer", "many", "it has to be a whole number"),
        ("number", "NaN", "it has to be a number"),
        ("boolean", "maybe", "it has to be yes or no"),
        ("array", "a, b", "it has to be a list, as JSON"),
        ("object", "[" * 100_000, "it has to be an object, as JSON"),
        ("string", "", "there has to be an answer"),
    ],
)
def test_a_text_that_is_no_answer(type_, text, problem):
    """It is said what is one."""
    with pytest.raises(ValueError, match=problem):
        Field(key="a", title="A", type=type_, is_required=True).read(text)


def test_what_is_proposed_may_stay():
    """Also where there has to be an answer, and where the proposal is not shown."""
    assert Field(key="a", title="A", type="string", is_required=True, is_secret=True, proposed="x").read("") is NOTHING


@pytest.mark.parametrize(
    ("value", "shown"), [(None, ""), (True, "yes"), (False, "no"), ("x", "x"), ([1], "[1]"), (1.5, "1.5")]
)
def test_a_value_as_a_person_types_it(value, shown):
    """What is proposed can be given back as it stands there."""
    assert Field(key="a", title="A").shown(value) == shown


def test_answers_by_title():
    """A title stands for its key, unless another field has it, too, or it is a key itself."""
    found = (*(Field(key=key, title=title) for key, title in (("1", "One"), ("2", "Two"), ("3", "Two"), ("4", "1"))),)
    assert keyed({"One": "a", "3": "b", "Two": "c", "1": "d?", "x": "e"}, found) == {
        "1": "d?",
        "3": "b",
        "Two": "c",
        "x": "e",
    }


def test_names_that_do_not_fit():
    """What nobody asks for, with the title it resembles, and what has to be answered; without fields all goes."""
    found = (
        Field(key="1", title="One", is_required=True),
        Field(key="2", title="Two", is_required=True),
        Field(key="3", title="x"),
    )
    assert misfits({"Tow": 1}, found, {"1": "a"}) == {
        "Tow": "is not asked for: did you mean 'Two'? There are: One, Two, x",
        "2": "has to be answered",
    }
    assert misfits({"x": 1}, (), {}) == {}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["key", "items", "title", "titleMap", "enum", "type", "properties", "required", "a"]), inner
        )
    ),
    max_leaves=12,
)
OBJECTS = st.dictionaries(st.sampled_from(["properties", "required", "a"]), JSON)


@given(schema=OBJECTS, model=OBJECTS, form=st.lists(JSON, max_size=3))
def test_any_question_has_fields(schema, model, form):
    """Whatever a vendor shows: each key is asked for once, and what it takes can be said."""
    found = fields(schema, model, form)
    assert len({each.key for each in found}) == len(found)
    assert all(each.takes and isinstance(each.shown(each.proposed), str) for each in found)
