"""The `-p` that somebody may paste."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowrunner import FlowSpec, ParameterKind, ParameterSpec
from flowrunner.cli.assignments import read_assignment, values_of
from flowrunner.cli.pasting import assignments_for, words_of

NAMES = st.text(st.characters(exclude_characters="=", exclude_categories=["Cs"]), min_size=1).filter(
    lambda name: name.isprintable() and not name.endswith(":")
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)


def spec(name="P", kind=ParameterKind.TEXT, **more):
    """A parameter."""
    return ParameterSpec(name=name, kind=kind, **more)


def words(*parameters):
    """What is to be pasted, without the `-p`s."""
    pasted = words_of(FlowSpec("Demo/work.fmw", parameters))
    assert pasted[::2] == ["-p"] * (len(pasted) // 2)
    return pasted[1::2]


@given(NAMES, st.sampled_from(ParameterKind), st.booleans(), JSON)
def test_what_is_pasted_gives_the_value(name, kind, multiple, value):
    """Of the same type, too; it stands on one line."""
    parameter = spec(name, kind, multiple=multiple)
    pasted = assignments_for(parameter, value)
    read = values_of(map(read_assignment, pasted), FlowSpec("f", (parameter,)))[name]

    assert all(map(str.isprintable, pasted))
    assert json.dumps(read) == json.dumps(value) or texts_of(value)


@given(st.sampled_from(ParameterKind), st.text())
def test_text_is_pasted_as_text(kind, text):
    """The server's own text, which may stand for a number or a truth value there; as JSON if it has line breaks."""
    is_plain = text.isprintable() and not text.startswith("@")
    assert assignments_for(spec("P", kind), text) == ([f"P={text}"] if is_plain else [f"P:={json.dumps(text)}"])


def texts_of(value):
    """Whether a value is text, or texts alone."""
    values = value if isinstance(value, list) and value else [value]
    return all(isinstance(each, str) for each in values)


@pytest.mark.parametrize(
    ("parameter", "pasted"),
    [
        (spec(default="a b", required=True), ["P=a b"]),
        (spec(default="a b"), ["P=a b"]),
        (spec(default="a b", required=False), []),
        (spec(required=True), ["P=<text>"]),
        (spec(required=True, default=""), ["P=<text>"]),
        (spec(kind=ParameterKind.CHOICE, required=True, choices=("a", "b")), ["P=a"]),
        (spec(kind=ParameterKind.CHOICE, required=True, choices=("a", "b"), default="b"), ["P=b"]),
        (spec(kind=ParameterKind.CHOICE, multiple=True, default=["a", "b"]), ["P=a", "P=b"]),
        (spec(kind=ParameterKind.CHOICE, multiple=True, default=["a"]), ["P=a"]),
        (spec(kind=ParameterKind.NUMBER, default=-97.5), ["P=-97.5"]),
        (spec(kind=ParameterKind.NUMBER, default="42"), ["P=42"]),
        (spec(kind=ParameterKind.BOOLEAN, default=True), ["P=true"]),
        (spec(kind=ParameterKind.OTHER, default=7), ["P:=7"]),
        (spec(kind=ParameterKind.OBJECT, default={"a": 1}), ['P:={"a": 1}']),
        (spec(default="@home"), ['P:="@home"']),
        (spec(default="one\ntwo"), ['P:="one\\ntwo"']),
        (spec(kind=ParameterKind.MESSAGE, required=True), []),
        (spec(kind=ParameterKind.PASSWORD, required=True), ["P=<password>"]),
        (spec(kind=ParameterKind.PASSWORD, required=True, default="hunter2"), []),
    ],
)
def test_what_may_be_left_out_is(parameter, pasted):
    """Default, else first choice, else a mark; a password's default is the server's business."""
    assert words(parameter) == pasted
