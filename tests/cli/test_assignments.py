"""What `-p` says, and which values that makes."""

from __future__ import annotations

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from flowrunner.cli.assignments import Assignment, read_assignment, values_of
from flowrunner.models import FlowSpec, ParameterKind, ParameterSpec
from flowrunner.parameters import problems

NAMES = st.text(st.characters(blacklist_characters=":=", blacklist_categories=["Cs"]), min_size=1)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)
SPEC = FlowSpec(
    "Demo/all.fmw",
    (
        ParameterSpec(name="whole", kind=ParameterKind.INTEGER),
        ParameterSpec(name="number", kind=ParameterKind.NUMBER),
        ParameterSpec(name="flag", kind=ParameterKind.BOOLEAN),
        ParameterSpec(name="text", kind=ParameterKind.TEXT),
        ParameterSpec(name="many", kind=ParameterKind.CHOICE, multiple=True),
        ParameterSpec(name="numbers", kind=ParameterKind.INTEGER, multiple=True),
    ),
)


def values(*arguments, spec=SPEC):
    """The values that these `-p` make."""
    return values_of(map(read_assignment, arguments), spec)


@given(NAMES, st.text())
def test_everything_after_the_first_equals_sign_is_the_text(name, text):
    """NAME=VALUE keeps the value as it was written, whatever is in it."""
    assert Assignment(name, text) == read_assignment(f"{name}={text}")


@given(NAMES, JSON)
def test_json_comes_as_it_is(name, value):
    """NAME:=JSON gives the JSON value, with a description and without."""
    argument = f"{name}:={json.dumps(value)}"

    assert {name: value} == values(argument, spec=None) == values(argument)


@pytest.mark.parametrize("argument", ["", "text", "=text", ":=1", "name:"])
def test_an_argument_without_name_or_equals_sign_is_refused(argument):
    """The refusal names the argument and both spellings."""
    with pytest.raises(ValueError, match="neither NAME=VALUE nor NAME:=JSON") as caught:
        read_assignment(argument)

    assert str(caught.value).startswith(repr(argument))


@pytest.mark.parametrize("text", ["", "{", "NaN", "-Infinity", "hush-hush", "[" * 100_000])
def test_what_is_not_json_is_refused_without_showing_it(text):
    """The refusal names the parameter, not the value, which may be a password."""
    with pytest.raises(ValueError, match="the value of 'a' is not JSON") as caught:
        read_assignment(f"a:={text}")

    assert "hush-hush" not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("whole=42", 42),
        ("whole=-7", -7),
        ("number=42", 42),
        ("number=4.5", 4.5),
        ("number=-.5e3", -500.0),
        ("flag=true", True),
        ("flag=No", False),
        ("flag=1", True),
        ("text=42", "42"),
        ("elsewhere=42", "42"),
    ],
)
def test_text_becomes_what_the_description_says(argument, value):
    """Numbers and truth values are converted, everything else stays text."""
    (converted,) = values(argument).values()

    assert value == converted
    assert type(value) is type(converted)


@pytest.mark.parametrize(
    "argument",
    [
        "whole=4.5",
        "whole=1_000",
        "whole=",
        "number=nan",
        "number=inf",
        "number=1e999",
        "flag=maybe",
        "whole=" + "9" * 5000,
    ],
)
def test_text_that_does_not_fit_stays_text(argument):
    """What cannot be converted is left to the library's own check, which says what is wrong."""
    assert [argument.partition("=")[2]] == list(values(argument).values())


@given(
    st.sampled_from(["whole", "number", "flag"]), st.text(max_size=12) | st.integers().map(str) | st.floats().map(str)
)
def test_conversion_never_makes_a_problem_worse(name, text):
    """A value that the check takes as text is taken after conversion, too, and one it refuses is refused."""
    spec = FlowSpec("f", (SPEC.parameter(name),))

    assert bool(problems(spec, {name: text})) == bool(problems(spec, values(f"{name}={text}", spec=spec)))


@given(st.lists(st.text() | st.text('xn:=[{"0e9,').map("x:={}".format), max_size=3))
@example(["x:=" + "[" * 100_000])
@example(["x:=" + "9" * 5000])
@example(["number=" + "9" * 5000])
def test_any_arguments_are_values_or_refused(arguments):
    """Whatever is written on a command line, nothing but a ValueError comes out."""
    try:
        given_values = values_of([read_assignment(each) for each in arguments], SPEC)
    except ValueError:
        pass
    else:
        assert all(isinstance(name, str) for name in given_values)


def test_a_parameter_of_several_values_gets_a_list():
    """A single text becomes a list of one, and every item of a list is converted."""
    assert values("many=a", "numbers=1", "numbers=2") == {"many": ["a"], "numbers": [1, 2]}


def test_a_name_given_several_times_is_a_list_without_a_description_too():
    """Repeating is how a list is written; the order is kept."""
    assert values("a=1", "a:=2", "a=3", spec=None) == {"a": ["1", 2, "3"]}


def test_without_a_description_text_stays_text():
    """Nobody guesses types."""
    assert values("whole=42", "flag=true", spec=None) == {"whole": "42", "flag": "true"}
