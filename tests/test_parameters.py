"""Checking parameters against a description."""

from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from flowrunner.models import FlowSpec, ParameterKind, ParameterSpec, RemoteFile
from flowrunner.parameters import problems


def problem(value, /, **details):
    """What is wrong with a value for a parameter so described; None if nothing is."""
    return problems(FlowSpec("f", (ParameterSpec(name="P", **details),)), {"P": value}).get("P")


NUMBER, INTEGER = {"kind": ParameterKind.NUMBER}, {"kind": ParameterKind.INTEGER}
TEXT, BOOLEAN, CHOICE = {"kind": ParameterKind.TEXT}, {"kind": ParameterKind.BOOLEAN}, {"kind": ParameterKind.CHOICE}


def test_good_parameters_have_no_problems():
    """What fits is not remarked upon, and what is left out is left to the server."""
    spec = FlowSpec("f", (ParameterSpec(name="A", **NUMBER), ParameterSpec(name="B", **TEXT)))
    assert problems(spec, {"A": 1}) == {}
    assert problems(FlowSpec("f"), {}) == {}


def test_every_problem_is_told():
    """All parameters are checked, each with a text under its name."""
    spec = FlowSpec("f", (ParameterSpec(name="A", **NUMBER), ParameterSpec(name="B", required=True)))
    found = problems(spec, {"A": "x", "C": 1})
    assert set(found) == {"A", "B", "C"}
    assert all(isinstance(text, str) and text for text in found.values())


# Names


@pytest.mark.parametrize(("name", "near"), [("MAXYY", "MAXY"), ("maxy", "MAXY"), ("theme", "THEMES")])
def test_a_misspelt_name_gets_a_suggestion(name, near):
    """An unknown parameter is told with the name it may have meant, whatever the case."""
    spec = FlowSpec("f", (ParameterSpec(name="MAXY"), ParameterSpec(name="THEMES")))
    found = problems(spec, {name: "the value"})
    assert set(found) == {name}
    assert near in found[name].partition("There are")[0]
    assert "the value" not in found[name]


def test_a_strange_name_gets_the_list():
    """A name like none of the flow's is told which there are."""
    spec = FlowSpec("f", (ParameterSpec(name="MAXY"), ParameterSpec(name="THEMES")))
    assert problems(spec, {"qq": 1})["qq"] == "is not a parameter of this flow: there are: MAXY, THEMES"
    assert problems(FlowSpec("f"), {"qq": 1})["qq"] == "is not a parameter of this flow: there are none"


# Missing


@pytest.mark.parametrize(
    ("required", "default", "missing"),
    [
        (True, None, True), (True, "", False), (True, 0, False), (True, False, False), (True, "x", False),
        (False, None, False), (None, None, False), (None, "x", False),
    ],
)  # fmt: skip
def test_missing_is_what_is_required_without_a_default(required, default, missing):
    """An absent flag means unknown and is left to the server; any default, also an empty one, is a value."""
    spec = FlowSpec("f", (ParameterSpec(name="P", required=required, default=default),))
    assert ("P" in problems(spec, {})) is missing


@pytest.mark.parametrize(
    ("default", "given", "missing"),
    [
        (None, {}, {"B", "C"}),
        ("simple", {}, {"C"}),
        ("full", {}, {"B", "C"}),
        ("simple", {"A": "full"}, {"B", "C"}),
        ("full", {"A": "simple"}, {"C"}),
        (None, {"A": 1}, {"B"}),
        ("simple", {"A": None}, {"B", "C"}),
        (None, {"A": ["full", "simple"]}, {"C"}),
        (["simple", 1], {}, set()),
        (None, {"A": ()}, {"B", "C"}),
        ("simple", {"B": 2}, {"C"}),
    ],
)
def test_what_a_choice_disables_is_not_missing(default, given, missing):
    """A required parameter that a value of another, given or default, puts out of use need not be given."""
    choice = ParameterSpec(name="A", multiple=True, default=default, disables={"simple": ("B", "other"), "1": ("C",)})
    spec = FlowSpec("f", (ParameterSpec(name="B", required=True), choice, ParameterSpec(name="C", required=True)))
    assert set(problems(spec, given)) == missing


def test_a_text_for_people_is_never_missing():
    """A message takes no value, so none can be missing; a value for it is a mistake."""
    spec = FlowSpec("f", (ParameterSpec(name="P", kind=ParameterKind.MESSAGE, required=True),))
    assert problems(spec, {}) == {}
    assert "takes no value" in problems(spec, {"P": "x"})["P"]


@pytest.mark.parametrize("kind", [kind for kind in ParameterKind if kind is not ParameterKind.MESSAGE])
def test_none_is_left_to_the_server(kind):
    """A value given as None is sent as it is."""
    assert problem(None, kind=kind, required=True, choices=("a",), minimum=1) is None


# Types


@pytest.mark.parametrize("value", [0, -1, 10**30, "5", " 5 ", "-5", 5.0, "5.0", "5e3"])
def test_what_is_a_whole_number(value):
    """A whole number, also as text and as a float without fraction."""
    assert problem(value, **INTEGER) is None
    assert problem(value, **NUMBER) is None


@pytest.mark.parametrize("value", [1.5, "1.5", "-1e-3", 1e-300])
def test_what_is_a_number_only(value):
    """A fraction is a number and not a whole one."""
    assert problem(value, **NUMBER) is None
    assert problem(value, **INTEGER) == f"{value!r} is not a whole number"


@pytest.mark.parametrize(
    "value", ["", "x", "0x10", "1,5", True, False, {}, object, "nan", "inf", float("nan"), float("inf"), -float("inf")]
)
def test_what_is_no_number(value):
    """Text that is none, flags, objects and what is not finite."""
    assert problem(value, **NUMBER) == f"{value!r} is not a number"
    assert problem(value, **INTEGER) == f"{value!r} is not a whole number"


@pytest.mark.parametrize("value", [True, False, "true", "FALSE", "Yes", "no", 1, 0, "1", "0"])
def test_what_is_a_flag(value):
    """The words vendors and people use for true and false."""
    assert problem(value, **BOOLEAN) is None


@pytest.mark.parametrize("value", ["", "maybe", 2, "on", {}, 1.5])
def test_what_is_no_flag(value):
    """Anything else is neither true nor false."""
    assert problem(value, **BOOLEAN) == f"{value!r} is neither true nor false"


@pytest.mark.parametrize(
    "kind",
    [kind for kind in ParameterKind if kind not in {
        ParameterKind.NUMBER, ParameterKind.INTEGER, ParameterKind.BOOLEAN, ParameterKind.MESSAGE, ParameterKind.DATE,
        ParameterKind.DATETIME, ParameterKind.FILE, ParameterKind.OBJECT,
    }],
)  # fmt: skip
@pytest.mark.parametrize("value", ["", "x", 1, True, {"a": 1}])
def test_other_kinds_are_left_to_the_server(kind, value):
    """Folders, colours and the like have too many spellings to be judged here."""
    assert problem(value, kind=kind) is None


DAY, MOMENT, REMOTE = date(2026, 3, 1), datetime(2026, 3, 1, tzinfo=UTC), RemoteFile(name="a", reference="b")
TAKEN = {
    ParameterKind.DATE: [DAY, MOMENT, 20260301],
    ParameterKind.DATETIME: [DAY, MOMENT, 20260301120000],
    ParameterKind.FILE: [Path("a.csv"), REMOTE],
    ParameterKind.OBJECT: [{}, {"a": 1}],
}


@pytest.mark.parametrize("kind", TAKEN)
def test_what_cannot_be_a_value_of_its_kind(kind):
    """Dates, files and objects are taken as Python has them, or as text; what is none for certain is told."""
    for value in (*TAKEN[kind], "", "any text"):
        assert problem(value, kind=kind) is None
    for value in (True, 1.5, object, b"x", *(value for other in TAKEN for value in TAKEN[other][:2])):
        fits = isinstance(value, tuple(type(each) for each in TAKEN[kind])) and value is not True
        assert (problem(value, kind=kind) is None) is fits, value


def test_objects_come_alone_or_as_a_list():
    """A list of objects is for a parameter that takes several, each of which is looked at."""
    several = {"kind": ParameterKind.OBJECT, "multiple": True}
    assert problem([{"a": 1}, "{}"], **several) is None
    assert problem({"a": 1}, **several) is None
    assert problem([{"a": 1}, 2], **several) == "2 is not an object: give a dict"
    assert problem([{"a": 1}], kind=ParameterKind.OBJECT) == "takes one value, not a list"


# Ranges


@pytest.mark.parametrize(
    ("value", "details", "told"),
    [
        (0, {"minimum": 0}, None),
        (-1, {"minimum": 0}, "-1 is too small: it must be at least 0"),
        ("-1", {"minimum": 0}, "'-1' is too small: it must be at least 0"),
        (0, {"minimum": 0, "minimum_exclusive": True}, "0 is too small: it must be more than 0"),
        (0.001, {"minimum": 0, "minimum_exclusive": True}, None),
        (9, {"maximum": 9}, None),
        (9.1, {"maximum": 9}, "9.1 is too large: it must be at most 9"),
        (9, {"maximum": 9, "maximum_exclusive": True}, "9 is too large: it must be less than 9"),
        (8.9, {"maximum": 9, "maximum_exclusive": True}, None),
        (5, {"minimum": 0, "maximum": 9}, None),
        (0, {"multiple_of": 5}, None),
        (15, {"multiple_of": 5}, None),
        (-15, {"multiple_of": 5}, None),
        (16, {"multiple_of": 5}, "16 is not a multiple of 5"),
        (0.3, {"multiple_of": 0.1}, None),
        (0.35, {"multiple_of": 0.1}, "0.35 is not a multiple of 0.1"),
        (7, {"multiple_of": 0}, None),
        (1e308, {"multiple_of": 1e-10}, None),
    ],
)
def test_ranges(value, details, told):
    """Bounds belong to the range unless they are exclusive, and multiples are counted but for rounding."""
    assert problem(value, **NUMBER, **details) == told


def test_ranges_are_for_numbers():
    """A bound on something else says nothing."""
    assert problem("x", **TEXT, minimum=5, maximum=1, multiple_of=3) is None


# Choices


@pytest.mark.parametrize(
    ("value", "choices", "good"),
    [
        ("a", ("a", "b"), True),
        ("c", ("a", "b"), False),
        ("A", ("a", "b"), False),
        (1, ("1", "2"), True),
        ("1", (1, 2), True),
        (1.5, (1, 2), False),
        (1, (1.0, 2.5), True),
        ({}, ("a",), False),
        ("anything", (), True),
    ],
)
def test_choices(value, choices, good):
    """A value must be among the choices, be it as text or as a number, unless others are taken too."""
    told = problem(value, **CHOICE, choices=choices)
    assert told == (None if good else f"{value!r} is not among the choices: {', '.join(map(str, choices))}")
    assert problem(value, **CHOICE, choices=choices, open_choices=True) is None


# Lists


@pytest.mark.parametrize("value", [[], ["a"], ("a", "b")])
def test_a_list_is_for_who_takes_lists(value):
    """A list is one value too many, unless the parameter takes several or is of a kind unknown to us."""
    assert problem(value, **TEXT) == "takes one value, not a list"
    assert problem(value, **TEXT, multiple=True) is None
    assert problem(value, kind=ParameterKind.OTHER) is None


def test_each_of_a_list_is_checked():
    """The first item that does not fit is told."""
    details = {"multiple": True, **NUMBER, "maximum": 3}
    assert problem([1, "2", 3.0], **details) is None
    assert problem([1, "x", 9], **details) == "'x' is not a number"
    assert problem((9, "x"), **details) == "9 is too large: it must be at most 3"
    assert problem(["a", "z"], **CHOICE, multiple=True, choices=("a",)) == "'z' is not among the choices: a"


def test_one_value_is_enough_where_lists_are_taken():
    """Who takes a list takes one value."""
    assert problem("a", **CHOICE, multiple=True, choices=("a",)) is None


# What must not be seen, and what cannot be shown


@pytest.mark.parametrize("value", ["s3cret", ["s3cret"], {"x": "s3cret"}, ("ok", "s3cret")])
@pytest.mark.parametrize("multiple", [True, False])
def test_a_password_is_never_shown(value, multiple):
    """Whatever is wrong with the value of a password parameter, no text holds it."""
    told = problem(value, kind=ParameterKind.PASSWORD, multiple=multiple, choices=("ok",))
    assert "s3cret" not in told


@pytest.mark.parametrize("details", [NUMBER, INTEGER, BOOLEAN, CHOICE])
def test_a_value_that_cannot_be_written_out_is_told_without(details):
    """An integer of more digits than Python writes is refused as any other misfit."""
    assert problem(10**5000, **details, choices=("a",)).startswith("the value is n")


SPEC = st.builds(
    ParameterSpec,
    name=st.sampled_from("PQ"),
    kind=st.sampled_from(ParameterKind),
    required=st.none() | st.booleans(),
    default=st.none() | st.text(max_size=2),
    choices=st.lists(st.text(max_size=2) | st.integers() | st.none() | st.lists(st.text()), max_size=3).map(tuple),
    open_choices=st.booleans(),
    multiple=st.booleans(),
    minimum=st.none() | st.floats() | st.integers(),
    maximum=st.none() | st.floats() | st.integers(),
    minimum_exclusive=st.booleans(),
    maximum_exclusive=st.booleans(),
    multiple_of=st.none() | st.floats(),
    disables=st.dictionaries(st.text(max_size=2), st.lists(st.sampled_from("PQ")).map(tuple), max_size=2),
)


def test_a_value_too_deep_to_write_out_is_told_without():
    """So is one that is nested deeper than Python writes."""
    deep = {}
    for _ in range(100_000):
        deep = {"a": deep}
    assert problem(deep, **CHOICE, choices=("a",)) == "the value is not among the choices: a"


HUGE = st.builds(pow, st.just(10), st.just(5000))
"""An integer that Python does not write out; built when drawn, since a strategy shows its constants."""
VALUE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | HUGE | st.dates(),
    lambda inner: st.lists(inner) | st.tuples(inner) | st.dictionaries(st.text(), inner) | st.sets(st.integers()),
    max_leaves=5,
)


@settings(deadline=None)
@given(st.lists(SPEC, max_size=3), st.dictionaries(st.sampled_from(["P", "Q", "p", "", "other"]), VALUE))
@example([ParameterSpec(name="P", kind=ParameterKind.NUMBER, multiple_of=1e-300)], {"P": 1e300})
@example([ParameterSpec(name="P", kind=ParameterKind.NUMBER, multiple_of=float("nan"))], {"P": 1})
def test_no_value_raises(specs, values):
    """Whatever is described and given, the answer is a text for each parameter that does not fit."""
    found = problems(FlowSpec("f", tuple(specs)), values)
    assert all(isinstance(text, str) and text for text in found.values())
    assert set(found) <= set(values) | {spec.name for spec in specs}
