"""Plans as plain generators, and the paths they ask for."""

from pathlib import Path
from urllib.parse import unquote

import pytest
from attrs import evolve
from attrs.exceptions import FrozenInstanceError
from hypothesis import given
from hypothesis import strategies as st

from flowrunner import plans
from flowrunner.errors import InvalidRequest, TransportError
from flowrunner.plans import Call, FileBody, Page, Request, Response, call, path, send
from flowrunner.retries import RequestKind


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        (["jobs"], "/jobs"),
        (["jobs", "42"], "/jobs/42"),
        (["a/b"], "/a%2Fb"),
        (["../x"], "/..%2Fx"),
        (["..."], "/..."),
        (["a?b=c#d"], "/a%3Fb%3Dc%23d"),
        (["100%"], "/100%25"),
        (["%2e%2e"], "/%252e%252e"),
        (["a b+c&d;e"], "/a%20b%2Bc%26d%3Be"),
        (["å"], "/%C3%A5"),
        (["\r\nHost: x"], "/%0D%0AHost%3A%20x"),
        (["a.b-c_d~e"], "/a.b-c_d~e"),
        ([], ""),
    ],
)
def test_each_part_is_encoded_whole(parts, expected):
    """Nothing in a part can add a segment, a query, a fragment or a header."""
    assert path(*parts) == expected


@pytest.mark.parametrize("part", ["", ".", "..", "\ud800"])
def test_a_part_that_is_no_name_is_refused(part):
    """Empty and dot segments would lead elsewhere, and half a character is no name; wherever they stand."""
    for parts in ([part], ["a", part], [part, "a"]):
        with pytest.raises(InvalidRequest, match="cannot be the name of anything"):
            path(*parts)


@given(st.lists(st.text(min_size=1).filter(lambda part: part not in {".", ".."})))
def test_the_parts_can_be_read_back(parts):
    """As many segments as parts, and each decodes to its part."""
    encoded = path(*parts)
    assert parts == [unquote(segment) for segment in encoded.split("/")[1:]]
    assert encoded.isascii()
    assert not set(encoded) & set("?#\\ \r\n")


def test_send_yields_the_request_and_returns_the_answer():
    """`send` is one step: the request out, the response in."""
    request, response = Request("GET", "/jobs"), Response(200)
    plan = send(request)
    assert next(plan) is request
    with pytest.raises(StopIteration) as end:
        plan.send(response)
    assert end.value.value is response


def test_an_error_reaches_who_sent():
    """What is thrown in is raised where the plan stands, and can be dealt with there."""

    def careful():
        try:
            yield from send(Request("GET", "/new"))
        except TransportError as error:
            return (yield from send(Request("GET", f"/old/{error.maybe_arrived}")))

    plan = careful()
    assert next(plan).path == "/new"
    assert plan.throw(TransportError("gone", maybe_arrived=True)).path == "/old/True"
    with pytest.raises(StopIteration) as end:
        plan.send("answer")
    assert end.value.value == "answer"


def test_an_error_nobody_handles_ends_the_plan():
    """Without a handler the error comes out again."""
    plan = send(Request("GET", "/"))
    next(plan)
    error = TransportError("gone", maybe_arrived=False)
    with pytest.raises(TransportError) as caught:
        plan.throw(error)
    assert caught.value is error


def test_call_yields_the_function_and_returns_its_value():
    """`call` asks for a function to be run and does not run it."""
    plan = call(lambda: 1 / 0)
    step = next(plan)
    assert isinstance(step, Call)
    with pytest.raises(ZeroDivisionError):
        step.function()
    with pytest.raises(StopIteration) as end:
        plan.send(7)
    assert end.value.value == 7


def test_call_raises_what_is_thrown_in():
    """What the function raised is raised in the plan."""
    plan = call(int)
    next(plan)
    with pytest.raises(OSError, match="no disk"):
        plan.throw(OSError("no disk"))


@pytest.mark.parametrize(
    ("status", "success"), [(100, False), (199, False), (200, True), (299, True), (300, False), (500, False)]
)
def test_which_answers_are_successes(status, success):
    """2xx and nothing else."""
    assert Response(status).is_success is success


def test_a_request_is_repeatable_unless_it_says_otherwise():
    """What a request leaves out is the usual: it may be repeated, and carries the credential."""
    request = Request("GET", "/")
    assert request.repeatable
    assert not request.anonymous
    assert (request.query, request.headers, request.json, request.content) == ((), {}, None, None)


@pytest.mark.parametrize(
    ("more", "kind"),
    [
        ({}, RequestKind.READ),
        ({"json": {}}, RequestKind.READ),
        ({"stream": True}, RequestKind.READ),
        ({"file": FileBody()}, RequestKind.UPLOAD),
        ({"save_to": Path("x")}, RequestKind.DOWNLOAD),
        ({"repeatable": False}, RequestKind.SUBMIT),
        ({"repeatable": False, "file": FileBody()}, RequestKind.SUBMIT),
        ({"repeatable": False, "kind": RequestKind.CANCEL}, RequestKind.CANCEL),
    ],
)
def test_the_kind_of_a_request(more, kind):
    """It follows from the request, unless that says it."""
    assert Request("POST", "/x", **more).kind is kind


@pytest.mark.parametrize("kind", RequestKind)
@pytest.mark.parametrize("repeatable", [True, False])
def test_a_kind_that_contradicts(repeatable, kind):
    """What may not be repeated submits or cancels, and nothing else does: a mistake would start two runs."""
    if repeatable is (kind in {RequestKind.SUBMIT, RequestKind.CANCEL}):
        with pytest.raises(ValueError, match=f"cannot be of the kind {kind}"):
            Request("POST", "/x", repeatable=repeatable, kind=kind)
        with pytest.raises(ValueError, match="may not be repeated"):
            evolve(Request("GET", "/x"), repeatable=False)
    else:
        assert Request("POST", "/x", repeatable=repeatable, kind=kind).kind is kind


def test_contents_are_not_in_representations():
    """An answer's body is not printed by accident."""
    assert "payload" not in repr(Response(200, {}, b"payload"))


@pytest.mark.parametrize("size", [0, 1, plans.CHUNK, plans.CHUNK + 1])
def test_a_body_is_read_in_pieces(tmp_path, size):
    """What stands before, in and behind the file comes in order, in pieces of bounded size and none of them empty."""
    file = tmp_path / "x"
    file.write_bytes(b"x" * size)
    for body in (FileBody(file), FileBody(file, b"before", b"after")):
        pieces = list(body.chunks())
        assert b"".join(pieces) == body.before + b"x" * size + body.after
        assert body.size() == sum(map(len, pieces))
        assert all(0 < len(piece) <= plans.CHUNK for piece in pieces)


def test_a_body_without_a_file():
    """A body may be bytes alone, or nothing at all; they are not printed."""
    assert (FileBody(before=b"ab", after=b"c").size(), list(FileBody(before=b"ab", after=b"c").chunks())) == (
        3, [b"ab", b"c"],
    )  # fmt: skip
    assert (FileBody().size(), list(FileBody().chunks())) == (0, [])
    assert "payload" not in repr(FileBody(before=b"payload", after=b"payload"))


def test_a_body_whose_file_is_gone(tmp_path):
    """That is the system's own error."""
    body = FileBody(tmp_path / "none")
    for use in (body.size, lambda: list(body.chunks())):
        with pytest.raises(FileNotFoundError):
            use()


@pytest.mark.parametrize("value", [Request("GET", "/"), Response(200), Call(int), Page(()), FileBody()])
def test_steps_are_frozen(value):
    """Steps and answers are plain data that nobody changes on the way."""
    with pytest.raises(FrozenInstanceError):
        value.status = 1


def test_the_last_page_has_no_next():
    """A page that names no next one is the last."""
    assert Page((1, 2)).next is None
