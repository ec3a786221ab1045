"""What `-p` says, and which values that makes."""

from __future__ import annotations

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from flowrunner.cli.assignments import Assignment, assigned, read_assignment, read_assignments, values_of
from flowrunner.errors import InvalidRequest
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
        ParameterSpec(name="file", kind=ParameterKind.FILE),
        ParameterSpec(name="secret", kind=ParameterKind.PASSWORD),
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


@pytest.mark.parametrize("argument", ["", "hush-hush", "=hush-hush", ":=1", "hush-hush:"])
def test_an_argument_without_name_or_equals_sign_is_refused(argument):
    """The refusal names the spellings, and nothing of what was written, which may be a password."""
    with pytest.raises(ValueError, match="neither NAME=VALUE nor NAME:=JSON; it is not shown") as caught:
        read_assignment(argument)

    assert "hush" not in str(caught.value)


def test_of_several_arguments_the_refusal_says_which():
    """Its number, since it is not shown."""
    with pytest.raises(ValueError, match=r"^number 2: it is neither NAME=VALUE, NAME=@FILE nor NAME:=JSON;"):
        read_assignments(["a=1", "hush-hush"], files=True)


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


# --- values in files


def written(folder, content):
    """A file with this content."""
    file = folder / "value.txt"
    file.write_bytes(content)
    return file


def values_with_files(*arguments, spec=SPEC):
    """The values that these `-p` make where `@` means a file."""
    return values_of(read_assignments(arguments, files=True), spec)


@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n"])
def test_a_file_stands_for_its_text(tmp_path, end):
    """Without a byte order mark and the line break at its end; the text is read as any other is."""
    file = written(tmp_path, b"\xef\xbb\xbf42" + end)

    assert values_with_files(f"whole=@{file}", f"secret=@{file}", f"many=@{file}") == {
        "whole": 42, "secret": "42", "many": ["42"],
    }  # fmt: skip
    assert values_with_files(f"whole=@{file}", spec=None) == {"whole": "42"}


def test_a_file_is_a_file_for_a_parameter_that_takes_one(tmp_path):
    """The library brings it to the vendor; its text is not read, whatever is in it."""
    file = written(tmp_path, b"\xff")
    assert values_with_files(f"file=@{file}") == {"file": file}


def test_two_at_signs_are_one_of_the_text(tmp_path):
    """What begins with `@` can be written; elsewhere an `@` is nothing special, nor without files."""
    assert values_with_files("text=@@home", "secret=@@", "x=a@b", spec=None) == {
        "text": "@home",
        "secret": "@",
        "x": "a@b",
    }
    assert read_assignment("text=@home") == Assignment("text", "@home")


def test_an_at_sign_alone_names_no_file():
    """The refusal says how the text is written."""
    with pytest.raises(ValueError, match="the value of 'a' names no file; write a=@@ for the text @"):
        read_assignment("a=@", files=True)


@pytest.mark.parametrize(
    ("content", "problem"), [(None, "cannot be read: No such file"), (b"hush\xff", "is not UTF-8")]
)
def test_a_file_that_cannot_be_read(tmp_path, content, problem):
    """The error names the parameter and the file, and shows nothing of what is in it."""
    file = tmp_path / "absent" if content is None else written(tmp_path, content)
    with pytest.raises(InvalidRequest, match="the value of 'secret': ") as caught:
        values_with_files(f"secret=@{file}")

    assert f"{file} {problem}" in caught.value.message
    assert "hush" not in caught.value.message


# --- what a file says of many


def test_texts_of_a_file_are_as_those_of_arguments():
    """A text becomes what the description says; everything else stays as it is."""
    said = {"whole": "42", "number": 4.5, "many": "a", "numbers": ["1"], "flag": False, "text": None}
    assert values_of(assigned(said), SPEC) == {**said, "whole": 42, "many": ["a"]}
