"""Strict structuring: what a class requires is exact, what it calls optional decorates."""

import json
from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, get_type_hints

import pytest
from attrs import evolve, fields, frozen
from hypothesis import example, given
from hypothesis import strategies as st

from flowrunner.backends import fme_flow_v4 as v4
from flowrunner.convert import read, read_item, structure, utc
from flowrunner.errors import ProtocolError
from flowrunner.plans import Response


@frozen
class Part:
    """A part of which nothing is required."""

    size: int | None = None


@frozen
class Strict:
    """One of each kind, all required."""

    text: str
    whole: int
    number: float
    flag: bool
    object: dict
    items: list[str]
    part: Part


@frozen
class Lenient:
    """One of each kind, all optional."""

    text: str | None = None
    whole: int | None = None
    number: float | None = None
    flag: bool | None = None
    object: dict[str, Any] | None = None
    items: list[int] | None = None
    part: Part | None = None
    parts: list[Part] | None = None
    at: datetime | None = None
    anything: Any = None


@frozen
class Defaulted:
    """Not required, and of one type only."""

    count: int = 7


@frozen
class Timed:
    """A time that must be there."""

    at: datetime


@frozen
class Unreadable:
    """A class that no converter knows how to make."""

    what: complex


GOOD = {"text": "a", "whole": 1, "number": 1.5, "flag": True, "object": {"a": 1}, "items": ["a"], "part": {"size": 2}}


def json_response(value):
    """A success with this value."""
    return Response(200, {}, json.dumps(value).encode())


def test_what_fits_is_taken():
    """A value of exactly the declared types becomes an instance."""
    assert structure(GOOD, Strict) == Strict("a", 1, 1.5, True, {"a": 1}, ["a"], Part(2))


def test_more_keys_are_ignored():
    """A server may say more than we read, at every level."""
    assert structure({**GOOD, "new": [], "part": {"size": 2, "new": 1}}, Strict) == structure(GOOD, Strict)


WRONG = {
    "text": [None, 1, True, ["a"], {}],
    "whole": [None, "1", 1.0, True, [], {}],
    "number": [None, "1.5", True, [], 10**400],
    "flag": [None, "false", 0, 1, []],
    "object": [None, "a", [], [["a", 1]], 1],
    "items": [None, "abc", {"a": 1}, [1], ["a", None], 1],
    "part": [None, "size", [], 1, True],
}


@pytest.mark.parametrize(("key", "value"), [(key, value) for key, values in WRONG.items() for value in values])
def test_nothing_required_is_coerced(key, value):
    """A required key of another type makes the answer senseless: `1` is no text, `"false"` is no flag."""
    with pytest.raises(ValueError):
        structure({**GOOD, key: value}, Strict)
    with pytest.raises(ProtocolError, match="JSON that is not a Strict"):
        read(json_response({**GOOD, key: value}), Strict)


@pytest.mark.parametrize("key", GOOD)
def test_what_is_required_must_be_there(key):
    """A missing key is named."""
    with pytest.raises(ValueError, match=f"the key '{key}' is missing"):
        structure({name: value for name, value in GOOD.items() if name != key}, Strict)


def test_a_whole_number_is_a_number():
    """JSON does not tell 1 from 1.0."""
    number = structure({**GOOD, "number": 3}, Strict).number
    assert (number, type(number)) == (3.0, float)


@pytest.mark.parametrize(("key", "value"), [(key, value) for key, values in WRONG.items() for value in values])
def test_what_is_optional_decorates(key, value):
    """An optional key of another type is None, and the rest is read all the same."""
    expected = [1] if (key, value) == ("items", [1]) else None  # a list of numbers is what `Lenient` wants
    assert structure({key: value, "anything": "kept"}, Lenient) == evolve(Lenient(anything="kept"), **{key: expected})


def test_what_is_optional_and_fits_is_taken():
    """An optional key of the right type is read."""
    value = {**GOOD, "items": [1, 2], "parts": [{}, {"size": 1}], "at": "2026-03-01T12:00:00Z", "anything": [None]}
    expected = Lenient(
        "a", 1, 1.5, True, {"a": 1}, [1, 2], Part(2), [Part(), Part(1)], datetime(2026, 3, 1, 12, tzinfo=UTC), [None]
    )
    assert structure(value, Lenient) == expected


def test_optional_and_missing_is_none():
    """Nothing at all is an answer in which everything is left out."""
    assert structure({}, Lenient) == Lenient()


@pytest.mark.parametrize("parts", [["size"], [[]], [{}, None], {"size": 1}, "size"])
def test_a_list_with_a_stranger_is_no_list(parts):
    """An optional list is read whole or not at all."""
    assert structure({"parts": parts}, Lenient) == Lenient()


def test_a_default_does_not_make_a_key_lenient():
    """What is not declared `| None` must fit if it is there."""
    assert structure({}, Defaulted) == Defaulted(7)
    for wrong in (None, "1"):
        with pytest.raises(ValueError):
            structure({"count": wrong}, Defaulted)


@pytest.mark.parametrize("value", [None, [], "size", 1, True, [{}]])
def test_only_an_object_becomes_an_instance(value):
    """Even a class that requires nothing is not made of something else."""
    with pytest.raises(ValueError, match="expected an object"):
        structure(value, Part)


def test_a_class_that_cannot_be_made_is_an_error_of_the_same_kind():
    """A type without a rule is reported as what does not fit, not as an error of the converter's library."""
    with pytest.raises(ValueError):
        structure({"what": "1j"}, Unreadable)


# Times


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-03-01T12:00:00Z", datetime(2026, 3, 1, 12, tzinfo=UTC)),
        ("2026-03-01T12:00:00.5Z", datetime(2026, 3, 1, 12, 0, 0, 500_000, tzinfo=UTC)),
        ("2026-03-01T12:00:00.123456789Z", datetime(2026, 3, 1, 12, 0, 0, 123_456, tzinfo=UTC)),
        ("2026-03-01T12:00:00+02:00", datetime(2026, 3, 1, 10, tzinfo=UTC)),
        ("2026-03-01T12:00:00-0330", datetime(2026, 3, 1, 15, 30, tzinfo=UTC)),
        ("2026-03-01T12:00:00", datetime(2026, 3, 1, 12, tzinfo=UTC)),
        ("2026-03-01 12:00:00", datetime(2026, 3, 1, 12, tzinfo=UTC)),
    ],
)
def test_times_are_read(text, moment):
    """Z, an offset, fractions of any length and none of them; a naive time is in UTC unless said otherwise."""
    at = utc(structure({"at": text}, Timed).at)
    assert at == moment
    assert at.tzinfo is UTC


@pytest.mark.parametrize(
    "value",
    [
        None, "", " ", "0001-01-01T00:00:00Z", "0001-01-01T00:00:00", "0001-01-01T00:00:00+01:00", "soon", "12:00",
        "2026-13-01T00:00:00Z", "2026-03-01T25:00:00Z", "2026-03-01T12:00:00+99:00", 0, 1740830400, True, [], {},
        "\ud800", "9" * 5000,
    ],
)  # fmt: skip
def test_what_is_no_time_is_none(value):
    """Missing, null, empty, the year 1 of a language that has no null, and garbage are no time."""
    assert structure({"at": value}, Lenient).at is None
    assert structure({}, Lenient).at is None
    with pytest.raises(ValueError):
        structure({"at": value}, Timed)


def test_a_naive_time_is_in_the_zone_of_its_server():
    """`zone` says where the clock of a naive time hangs, and changes no other."""
    zone = timezone(timedelta(hours=2))
    assert utc(datetime(2026, 3, 1, 12), zone=zone) == datetime(2026, 3, 1, 10, tzinfo=UTC)  # noqa: DTZ001 - naive is the case
    assert utc(datetime(2026, 3, 1, 12, tzinfo=UTC), zone=zone) == datetime(2026, 3, 1, 12, tzinfo=UTC)
    assert utc(None, zone=zone) is None


@pytest.mark.parametrize("text", ["9999-12-31T23:59:59-05:00", "0001-01-02T00:00:00+23:59"])
def test_a_time_beyond_the_calendar_is_none(text):
    """A moment that has no date in UTC is no time, and no error."""
    at = datetime.fromisoformat(text)
    assert utc(at) is None or utc(at) == at
    assert utc(datetime.fromisoformat("9999-12-31T23:59:59-05:00")) is None


# Answers


def test_an_answer_is_read():
    """The body of an answer becomes an instance."""
    assert read(json_response({"size": 3, "x": 1}), Part) == Part(3)


@pytest.mark.parametrize("content", [b"", b"<html>", b"[]", b'{"whole": 1}', b'"x"', b"[" * 100_000])
def test_an_answer_that_does_not_fit_makes_no_sense(content):
    """Whatever is wrong with it, a ProtocolError keeps the status and the beginning of the body, and may pass."""
    with pytest.raises(ProtocolError) as caught:
        read(Response(201, {}, content), Strict)
    error = caught.value
    assert (error.http_status, error.body, error.transient) == (201, content[:500].decode(), True)


def test_an_item_is_read():
    """A part of an answer that was decoded before becomes an instance, too."""
    assert read_item({"size": 3}, Part) == Part(3)


@pytest.mark.parametrize("value", [None, [], "x", {"whole": "1"}, "x" * 1000])
def test_an_item_that_does_not_fit_makes_no_sense(value):
    """The error names the class and keeps the beginning of the item."""
    with pytest.raises(ProtocolError, match="not a Strict") as caught:
        read_item(value, Strict)
    assert caught.value.body == repr(value)[:500]
    assert caught.value.transient


# Any JSON

WIRE_CLASSES = [
    Part, Strict, Lenient, Defaulted, Timed,
    v4.JobId, v4.Job, v4.JobDetails, v4.Items, v4.Workspace, v4.Version, v4.Readiness,
]  # fmt: skip
KEYS = sorted({attribute.name for cls in WIRE_CLASSES for attribute in fields(cls)})
TIMES = [
    "2025-01-01T12:00:00Z",
    "2025-01-01T12:00:00",
    "2025-06-30T23:59:59.999999+14:00",
    "2025-02-30T12:00:00Z",
    "0001-01-01T00:00:00+02:00",
    "9999-12-31T23:59:59.5-10:00",
]
LEAF = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=10)
    | st.sampled_from(TIMES)
    | st.just(10**400)
)
JSON = st.recursive(
    LEAF,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=5), inner, max_size=8)
    ),
    max_leaves=12,
)


def fits(value, hint):
    """Whether a value is what an annotation promises."""
    if hint is Any:
        return True
    arms = getattr(hint, "__args__", ())
    if type(None) in arms:
        return value is None or any(fits(value, arm) for arm in arms if arm is not type(None))
    if getattr(hint, "__origin__", None) is list:
        return type(value) is list and all(fits(item, arms[0]) for item in value)
    return type(value) is getattr(hint, "__origin__", hint)


@pytest.mark.parametrize("cls", WIRE_CLASSES)
@given(JSON | st.dictionaries(st.sampled_from(KEYS), JSON, max_size=8))
@example(dict.fromkeys(KEYS, 10**400))
@example(dict.fromkeys(KEYS, "9999-12-31T23:59:59-05:00"))
@example({})
def test_any_json_fits_or_makes_no_sense(cls, value):
    """Whatever JSON comes, an instance has exactly the types it promises, or a ProtocolError is raised."""
    hints = get_type_hints(cls)
    with suppress(ProtocolError):
        instance = read(json_response(value), cls)
        assert type(instance) is cls
        assert all(fits(getattr(instance, name), hint) for name, hint in hints.items())
        assert instance == read_item(value, cls)


@given(st.datetimes(timezones=st.none() | st.timezones()), st.timezones())
def test_any_time_is_in_utc_or_none(moment, zone):
    """No time raises, whatever its zone."""
    at = utc(moment, zone=zone)
    assert at is None or at.tzinfo is UTC
