"""Reading the parts of a body as they come in."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowrunner.simulator.multipart import boundary_of, read_parts

CONTENTS = st.lists(st.lists(st.sampled_from([b"\r\n", b"--", b"b", b"\r", b"\n--b", b"x"])).map(b"".join), max_size=3)


def written(contents):
    """Write a body of parts, with a preamble and an end."""
    heads = [f'Content-Disposition: form-data; name="f{n}"; filename="{n}"'.encode() for n in range(len(contents))]
    parts = [b"\r\n--b\r\n" + head + b"\r\n\r\n" + content for head, content in zip(heads, contents, strict=True)]
    return b"before" + b"".join(parts) + b"\r\n--b--\r\nafter"


def read(body, size, *, take=True):
    """Read a body that comes in pieces; return the fields, and what they hold if that is taken."""

    async def pieces():
        for start in range(0, len(body), size):
            yield body[start : start + size]

    async def collect():
        return [
            (part.name, part.file_name, b"".join([chunk async for chunk in part.chunks]) if take else None)
            async for part in read_parts(pieces(), b"b")
        ]

    return asyncio.run(collect())


@given(CONTENTS.filter(lambda contents: all(b"\r\n--b" not in content for content in contents)), st.integers(1, 9))
def test_parts_come_out_as_they_were(contents, size):
    """However a body is cut into pieces, its parts are what was sent."""
    expected = [(f"f{n}", str(n), content) for n, content in enumerate(contents)]

    assert expected == read(written(contents), size)


def test_parts_may_be_skipped():
    """The content of a part need not be read to come to the next."""
    assert read(written([b"x" * 99, b"y"]), 7, take=False) == [("f0", "0", None), ("f1", "1", None)]


@pytest.mark.parametrize("length", range(len(written([b"x"])) - 9))
def test_a_body_that_breaks_off(length):
    """A body that ends before its last boundary is an error."""
    with pytest.raises(ValueError, match="ends in the middle"):
        read(written([b"x"])[:length], 1000)


@pytest.mark.parametrize(
    ("content_type", "boundary"),
    [
        ("multipart/form-data; boundary=b", b"b"),
        ('Multipart/Form-Data; charset=UTF-8; boundary="a b"; x=1', b"a b"),
        ("multipart/form-data", None),
        ("application/json; boundary=b", None),
    ],
)
def test_boundaries(content_type, boundary):
    """A boundary stands plain or quoted; without one a body has no parts."""
    assert boundary == boundary_of(content_type)
