"""Reading answers: JSON out of bytes, errors out of statuses, and what a submission leaves open."""

import json
import math
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from flowrunner import answers
from flowrunner.answers import error_for, json_of, retry_after, submit_once
from flowrunner.convert import read_item
from flowrunner.errors import (
    AuthenticationError,
    InvalidRequest,
    PermissionDenied,
    ProtocolError,
    RateLimited,
    SubmissionUncertain,
    TransportError,
    VendorError,
)
from flowrunner.models import FlowInfo
from flowrunner.plans import Request, Response

# JSON


@pytest.mark.parametrize(
    ("content", "value"),
    [
        (b'{"a": [1, 2.5, null, true]}', {"a": [1, 2.5, None, True]}),
        (b"\xef\xbb\xbf{}", {}),
        (b" \r\n\t[] ", []),
        ('"ø"'.encode(), "ø"),
        (b"null", None),
        (b"false", False),
        (b"12345678901234567890", 12345678901234567890),
        (b'{"a": 1, "a": 2}', {"a": 2}),
    ],
)
def test_json_is_read(content, value):
    """JSON of any kind is its value, with or without a byte order mark."""
    assert json_of(Response(200, {}, content)) == value


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "nothing"),
        (b" \r\n", "nothing"),
        (b"<!DOCTYPE html><html></html>", "HTML"),
        (b"\n <html>", "HTML"),
        (b"<?xml version='1.0'?>", "HTML"),
        (b'{"a": ', "something that is not JSON"),
        (b"{} {}", "something that is not JSON"),
        (b"NaN", "something that is not JSON"),
        (b'{"a": Infinity}', "something that is not JSON"),
        (b"[-Infinity]", "something that is not JSON"),
        (b"\xff\xfe{\x00}\x00", "something that is not JSON"),
        (b'"\xe6"', "something that is not JSON"),
        (b"9" * 5000, "something that is not JSON"),
        (b"[" * 100_000, "something that is not JSON"),
        (b"OK", "something that is not JSON"),
    ],
)
def test_what_is_not_json_makes_no_sense(content, what):
    """Anything else is a ProtocolError that says what came instead, keeps its beginning, and may pass."""
    with pytest.raises(ProtocolError, match=f"answered {what} where JSON was expected") as caught:
        json_of(Response(203, {}, content))
    error = caught.value
    assert (error.http_status, error.transient) == (203, True)
    assert error.body == content[:2000].decode("utf-8", "replace")[:500]
    assert (error.__cause__, error.__context__) == (None, None), "a parser's error holds the whole body"


def test_the_body_is_kept_to_500_characters():
    """The first 500 characters of a senseless answer are kept, of whatever width."""
    with pytest.raises(ProtocolError) as caught:
        json_of(Response(200, {}, "🐢".encode() * 3000))
    assert caught.value.body == "🐢" * 500


@given(st.binary() | st.text().map(str.encode))
@example(b"\xef\xbb\xbf")
@example(b"1e999")
@example(b'"\\ud800"')
def test_any_bytes_are_json_or_make_no_sense(content):
    """No bytes raise anything but `ProtocolError`."""
    with suppress(ProtocolError):
        json_of(Response(200, {}, content))


@pytest.mark.parametrize("pair", [b"[]", b'{"x":}'])
def test_json_that_is_nested_without_end(pair):
    """What is nested deeper than any answer is makes no sense, however deep it is; a hundred levels are read."""
    left, right = pair[:-1], pair[-1:]

    def nested(depth):
        inner = b"[]" if pair == b"[]" else b"{}"
        return Response(200, {}, left * (depth - 1) + inner + right * (depth - 1))

    assert json_of(nested(100))
    for depth in (101, 900, 100_000):
        with pytest.raises(ProtocolError, match=r"nested more than 100|not JSON"):
            json_of(nested(depth))


def test_json_with_many_brackets_is_not_deep():
    """What counts is how deep they are nested, in long lists and in texts."""
    value = {"items": [{"id": number, "text": "[[{" * 99} for number in range(200)]}
    assert value == json_of(Response(200, {}, json.dumps(value).encode()))


def test_a_number_too_large_is_no_json():
    """A number that would be read as infinite, which nobody could write again, makes no sense."""
    with pytest.raises(ProtocolError, match="not JSON"):
        json_of(Response(200, {}, b'{"elapsedTime": 1e999}'))
    assert json_of(Response(200, {}, b"[1.5, -1e308]")) == [1.5, -1e308]


# Errors by status


def expected_class(status, message):
    """The class the design's table gives for a status, with or without the vendor's own words."""
    exact = {401: AuthenticationError, 403: PermissionDenied, 429: RateLimited}
    if status in exact:
        return exact[status]
    if status >= 500:
        return VendorError
    return InvalidRequest if status >= 400 and message is not None else ProtocolError


@pytest.mark.parametrize("message", [None, "", "no such queue"])
@pytest.mark.parametrize("status", range(300, 600))
def test_every_status_has_its_error(status, message):
    """4xx in the vendor's own words are ours, 5xx theirs; what is not in its words makes no sense."""
    error = error_for(Response(status, {}, b"<html>"), message)
    assert type(error) is expected_class(status, message)
    assert error.http_status == status
    if not isinstance(error, ProtocolError):
        assert error.vendor_message == message
        assert not message or message in str(error)


@pytest.mark.parametrize("status", range(300, 600))
def test_which_errors_may_pass(status):
    """Overload, timeouts and failures of the vendor may pass; a refusal in its own words does not."""
    assert error_for(Response(status), "said").transient == (
        status in {408, 425, 429} or status >= 500 or status < 400
    )  # fmt: skip


@pytest.mark.parametrize("status", [400, 404, 408, 418, 499])
def test_a_refusal_in_no_words_may_come_from_a_proxy(status):
    """Without the vendor's own words, a 4xx is no answer of the vendor's: it may pass."""
    error = error_for(Response(status, {}, b"<html>nope"))
    assert error.transient
    assert error.body == "<html>nope"
    assert f"HTTP {status}" in str(error)


@pytest.mark.parametrize("status", [429, 500, 503])
def test_the_wait_that_is_asked_for_is_told(status):
    """`Retry-After` is part of the error."""
    assert error_for(Response(status, {"retry-after": "7"})).retry_after == 7.0
    assert error_for(Response(status)).retry_after is None


@pytest.mark.parametrize(("headers", "to"), [({"location": "/login"}, "/login"), ({}, "nowhere")])
def test_a_redirect_says_where_to(headers, to):
    """A redirect is not followed, and its target helps to find out why it was given."""
    assert f"a redirect to {to}" in str(error_for(Response(302, headers)))


# Retry-After


@pytest.mark.parametrize(
    ("value", "wait"),
    [
        ("0", 0.0),
        ("7", 7.0),
        (" 7 ", 7.0),
        ("1.5", 1.5),
        ("-3", 0.0),
        ("3600", 3600.0),
        ("86400", 3600.0),
        ("9" * 300, 3600.0),
        ("9" * 5000, None),
        ("", None),
        (" ", None),
        ("soon", None),
        ("nan", None),
        ("inf", None),
        ("-inf", None),
        ("1e999", None),
        ("Mon, 01 Jan 1990 00:00:00 GMT", 0.0),
        ("Mon, 01 Jan 1990 00:00:00", 0.0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 3600.0),
        ("Fri, 31 Dec 9999 23:59:59 -2359", 3600.0),
        ("Fri, 32 Dec 2030 23:59:59 GMT", None),
        ("Mon, 01 Jan 99999999999999999999 00:00:00 GMT", None),
        ("Mon, 01 Jan 2030 99999999999999999999:00:00 GMT", None),
        ("Mon, 01 Jan 2030 00:00:00 +99999999999999999", None),
        ("Mon, 01 Jan 2030 00:00:00 +2500", None),
    ],
)
def test_a_wait_is_read_or_none(value, wait):
    """Seconds and dates are read and kept between none and an hour; what cannot be read is no wish."""
    assert retry_after({"retry-after": value}) == wait


def test_without_the_header_there_is_no_wish():
    """A vendor that asks for nothing gets nothing."""
    assert retry_after({}) is None


@pytest.mark.parametrize("form", [format_datetime, lambda at: f"{at:%a, %d %b %Y %H:%M:%S}"], ids=["zone", "naive"])
def test_a_date_is_the_seconds_until_then(form):
    """A date counts from now; one without a zone is in UTC."""
    at = datetime.now(UTC) + timedelta(minutes=10)
    assert retry_after({"retry-after": form(at)}) == pytest.approx(600, abs=5)


NUMBER = st.integers(-100, 10**25).map(str)
DATE = st.builds(
    "{} {} {} {}:{}:{} {}".format,
    st.sampled_from(["Mon, 1", "1", "Tue,", "", "31", "0"]),
    st.sampled_from(["Jan", "Feb", "x", "December"]),
    NUMBER,
    NUMBER,
    st.integers(-1, 61),
    st.integers(-1, 61),
    st.sampled_from(["GMT", "+0100", "-9999", "+", "EST", ""]) | NUMBER.map("+{}".format),
)


@given(st.text() | NUMBER | DATE | st.floats().map(str))
def test_no_header_raises(value):
    """Whatever the header says, it is a number of seconds from none to an hour, or nothing."""
    wait = retry_after({"retry-after": value})
    assert wait is None or (0.0 <= wait <= 3600.0 and math.isfinite(wait))


# Submissions

POST = Request("POST", "/jobs", repeatable=False)


def read_id(response):
    """Read the answer to a submission as a backend does: the vendor's words, if any, are in `message`."""
    if response.is_success:
        return json_of(response)["id"]
    said = None if response.content[:1] != b"{" else json_of(response)["message"]
    raise error_for(response, said)


def submitted(answer, read=read_id):
    """What becomes of a submission that is answered so."""
    plan = submit_once(POST, read)
    assert next(plan) is POST
    with pytest.raises(StopIteration) as end:
        _ = plan.throw(answer) if isinstance(answer, BaseException) else plan.send(answer)
    return end.value.value


def test_a_submission_returns_what_was_read():
    """An answer that makes sense is the outcome."""
    assert submitted(Response(202, {}, b'{"id": 42}')) == 42


IN_WORDS = b'{"message": "said"}'
LOST = TransportError("reset", maybe_arrived=True)


@pytest.mark.parametrize(
    ("answer", "cause"),
    [
        (LOST, TransportError),
        (Response(200, {}, b"<html>"), ProtocolError),
        (Response(202, {}, b""), ProtocolError),
        (Response(202, {}, b'{"id": '), ProtocolError),
        (Response(408, {}, b"<html>"), ProtocolError),
        (Response(408, {}, IN_WORDS), InvalidRequest),
        (Response(500, {}, b""), VendorError),
        (Response(500, {}, b"<html>"), VendorError),
        (Response(502, {}, b"<html>"), VendorError),
        (Response(502, {}, IN_WORDS), VendorError),
        (Response(504, {}, b""), VendorError),
        (Response(504, {}, IN_WORDS), VendorError),
        (Response(520, {}, b"<html>"), VendorError),
        (Response(524, {}, IN_WORDS), VendorError),
        (Response(530, {}, b""), VendorError),
    ],
    ids=str,
)
def test_what_leaves_a_submission_open(answer, cause):
    """No answer, an unreadable success, 408, 502, 504, 520-530, and a 500 in no words of the vendor's: it may run."""
    with pytest.raises(SubmissionUncertain) as caught:
        submitted(answer)
    error = caught.value
    assert type(error.__cause__) is cause
    assert error.__cause__.message in error.message
    assert (error.http_status, error.vendor_message) == (error.__cause__.http_status, error.__cause__.vendor_message)
    assert not error.transient
    assert error.handle is None


@pytest.mark.parametrize(
    ("answer", "cls"),
    [
        (TransportError("refused", maybe_arrived=False), TransportError),
        (Response(302, {}, b""), ProtocolError),
        (Response(400, {}, IN_WORDS), InvalidRequest),
        (Response(400, {}, b"<html>"), ProtocolError),
        (Response(401, {}, b""), AuthenticationError),
        (Response(403, {}, b""), PermissionDenied),
        (Response(404, {}, b"<html>"), ProtocolError),
        (Response(409, {}, IN_WORDS), InvalidRequest),
        (Response(422, {}, IN_WORDS), InvalidRequest),
        (Response(429, {}, b""), RateLimited),
        (Response(500, {}, IN_WORDS), VendorError),
        (Response(503, {}, b""), VendorError),
        (Response(503, {"retry-after": "1"}, IN_WORDS), VendorError),
        (Response(519, {}, b""), VendorError),
        (Response(531, {}, b""), VendorError),
    ],
    ids=str,
)
def test_what_is_a_refusal(answer, cls):
    """What never arrived, and every answer that says no, is raised as it is: nothing was started."""
    with pytest.raises(cls) as caught:
        submitted(answer)
    assert type(caught.value) is cls
    if isinstance(answer, TransportError):
        assert caught.value is answer


def test_part_of_a_success_that_makes_no_sense_leaves_it_open():
    """An accepted submission of which a part cannot be read may have started a run, too."""
    with pytest.raises(SubmissionUncertain) as caught:
        submitted(Response(200, {}, b'{"id": 1}'), lambda response: read_item(json_of(response), FlowInfo))
    assert type(caught.value.__cause__) is ProtocolError


def test_a_refusal_that_a_reader_makes_out_is_one():
    """A reader may find a refusal in an answer of any status."""

    def refuse(_response):
        raise InvalidRequest("no such queue")

    with pytest.raises(InvalidRequest, match="no such queue"):
        submitted(Response(200), refuse)


@pytest.mark.parametrize("status", [401, 403, 429, 500])
def test_advice_follows_the_vendors_words(status):
    """The full stop of a sentence of theirs does not stand before our colon; their words are kept as they are."""
    error = answers.error_for(Response(status), "The key is not valid.")
    assert ": The key is not valid: " in error.message
    assert error.vendor_message == "The key is not valid."


def test_other_errors_are_not_judged():
    """A bug in a reader, or the end of the program, is not an outcome."""
    with pytest.raises(KeyboardInterrupt):
        submitted(KeyboardInterrupt())
    with pytest.raises(ZeroDivisionError):
        submitted(Response(200), lambda _response: 1 / 0)


def test_all_names_are_there():
    """`__all__` names what other modules may use."""
    assert all(hasattr(answers, name) for name in answers.__all__)
