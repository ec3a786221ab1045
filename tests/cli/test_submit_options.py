"""What `--option` and `--extra` say."""

from __future__ import annotations

import re

import attrs
import pytest

from flowrunner import SubmitOptions
from flowrunner.cli.assignments import read_assignments
from flowrunner.cli.submit_options import _NAMES, submit_options
from flowrunner.errors import InvalidRequest


def made(*options, extra=(), **own):
    """The options that these arguments make."""
    return submit_options(own, read_assignments(options), read_assignments(extra))


def test_every_field_can_be_said():
    """And is read as what it is; the field `extra` has an option of its own."""
    said = made(
        "queue=Night", "description=@home", "max_run_time=60", "max_queue_time=1.5", "success_topics=a",
        "failure_topics=a", "failure_topics=b", 'directives:={"email": "me@example.com"}',
    )  # fmt: skip
    assert said == SubmitOptions(
        queue="Night",
        description="@home",
        max_run_time=60,
        max_queue_time=1.5,
        success_topics=("a",),
        failure_topics=("a", "b"),
        directives={"email": "me@example.com"},
    )
    assert {*_NAMES, "extra"} == {field.name for field in attrs.fields(SubmitOptions)}


def test_own_options_of_the_command_go_with_them():
    """What they do not say is not given."""
    assert made("max_run_time=60", queue="Night", description=None) == SubmitOptions(queue="Night", max_run_time=60)


@pytest.mark.parametrize(
    ("options", "extra", "problem"),
    [
        (["queu=Night"], [], "there is no option 'queu' (a backend's own: --extra): did you mean 'queue'?"),
        (["queue=Night"], [], "option queue is given twice: by --option, and by --queue"),
        (["max_run_time=soon"], [], "option max_run_time: 'soon' is not a number"),
        (["max_run_time=-1"], [], "option max_run_time: -1 is too small"),
        (["directives=email"], [], "option directives takes names and texts"),
        ([], ["queue=Night"], "queue is no option of a backend's own: give it by --option"),
    ],
)
def test_what_does_not_fit_is_said(options, extra, problem):
    """With near misses, and with the way it is given."""
    with pytest.raises(InvalidRequest, match=re.escape(problem)):
        made(*options, extra=extra, queue="Day")


@pytest.mark.parametrize(
    ("text", "value"),
    [("true", True), ("false", False), ("7", 7), ("0", 0), ("-3", -3), ("007", "007"), ("1e5", "1e5"), ("True", "True"),
     ("", ""), ("1.5", "1.5"), ("9" * 5000, "9" * 5000)],
)  # fmt: skip
def test_a_backends_own_option_is_what_it_is_written_as(text, value):
    """Nothing tells what it takes: what is written as a truth value or a whole number and as nothing else is one."""
    (said,) = made(extra=[f"x={text}"]).extra.values()
    assert (said, type(said)) == (value, type(value))


def test_a_backends_own_option_as_json():
    """It stays as it is; several make a list."""
    assert made(extra=['x:="7"', 'y:={"a": [1]}', "z=a", "z=1"]).extra == {"x": "7", "y": {"a": [1]}, "z": ["a", 1]}
