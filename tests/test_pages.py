"""Pages of many runs: what is read of them at once, what later, and that both decoders read the same."""

import gc
import json

import pytest
from attrs import asdict, define, frozen
from hypothesis import example, given
from hypothesis import strategies as st

from flowrunner import pages
from flowrunner.answers import MAX_DEPTH, json_of
from flowrunner.backend import Sighting
from flowrunner.errors import ProtocolError
from flowrunner.plans import Response


@define
class Inner:
    """What is in a glance."""

    word: str | None = None


@define
class Seen:
    """A glance with every type that one may have."""

    id: int
    name: str | None = None
    share: float | None = None
    inner: Inner | None = None


@define
class Sheet:
    """A page with something beside its items."""

    items: list[Seen]
    total: int | None = None


@frozen
class Listless:
    """A glance of an id that is a text."""

    id: str


def without(monkeypatch):
    """Have msgspec not installed, for this test."""

    def missing(name):
        raise ImportError(name)

    monkeypatch.setattr(pages, "import_module", missing)


def forget():
    """Have it looked for again."""
    for cached in (pages.msgspec, pages._decoder, pages._raw_items):
        cached.cache_clear()


@pytest.fixture(params=["json", "msgspec"])
def decoder(request, monkeypatch):
    """Both ways to decode, each by itself."""
    forget()
    if request.param == "json":
        without(monkeypatch)
    else:
        pytest.importorskip("msgspec")
    yield request.param
    forget()


def body_of(*items, **more):
    """A page."""
    return json.dumps({"items": items, **more}).encode()


def read(body, form=Sheet, key="items"):
    """A page as it is read."""
    return pages.glimpse(Response(200, {}, body), form, key=key)


def test_a_glance_and_the_rest(decoder):
    """The glances have their fields alone; an item is all that came, as an answer of its own."""
    items = [{"id": 1, "name": "a", "more": {"x": [1.5, None]}}, {"id": 2, "inner": {"word": "w", "y": 0}, "share": 5}]
    page = read(body_of(*items, total=2, other=True))
    assert asdict(page.seen) == {
        "items": [
            {"id": 1, "name": "a", "share": None, "inner": None},
            {"id": 2, "name": None, "share": 5.0, "inner": {"word": "w"}},
        ],
        "total": 2,
    }
    assert [json_of(page.item(index)) for index in (1, 0)] == items[::-1]
    assert page.item(0).status == 200


def test_a_bare_list(decoder):
    """A page may be the list itself."""
    page = read(b'[{"id": "a"}, {"id": "b", "x": "\xc3\xa4"}]', list[Listless], None)
    assert [each.id for each in page.seen] == ["a", "b"]
    assert json_of(page.item(1)) == {"id": "b", "x": "ä"}


def test_what_is_optional_decorates(decoder):
    """Of another type it is None; in the end the json way decides."""
    (seen,) = read(body_of({"id": 1, "name": 5, "share": "much", "inner": []}, total="many")).seen.items
    assert asdict(seen) == {"id": 1, "name": None, "share": None, "inner": None}


def test_a_byte_order_mark(decoder):
    """It is let pass, as everywhere."""
    assert read(b"\xef\xbb\xbf" + body_of({"id": 1})).seen.items == [Seen(1)]


SENSELESS = [
    b"",
    b"<html>",
    b"[]",
    b"5",
    b'{"items": {}}',
    b'{"total": 1}',
    body_of({"id": "1"}),
    body_of({"id": 1.0}),
    body_of({"id": True}),
    body_of({"name": "a"}),
    body_of(5),
    b'{"items": [{"id": 1, "x": NaN}]}',
    b'{"items": [{"id": 1, "x": -Infinity}]}',
    b'{"items": [{"id": 1, "x": "\xff"}]}',
    b'{"items": [{"id": 1, "x": "\x01"}]}',
    b'{"items": [{"id": 1}]} {}',
    body_of({"id": 1})[:-1],
    b'{"items": [{"id": 1, "x": ' + b"[" * 100_000 + b"]" * 100_000 + b"}]}",
]


@pytest.mark.parametrize("body", SENSELESS, ids=lambda body: repr(body[:40]))
def test_what_makes_no_sense(decoder, body):
    """What is no JSON, or lacks what a glance requires, is ProtocolError, and shows little of the body."""
    with pytest.raises(ProtocolError, match="the server answered") as caught:
        read(body)
    assert caught.value.transient
    assert len(str(caught.value)) < 500


DEEP = {"id": 1, "x": json.loads("[" * MAX_DEPTH + "]" * MAX_DEPTH)}
HUGE = b'{"items": [{"id": 1, "x": 1e400}, {"id": 2}]}'


@pytest.mark.parametrize("body", [body_of(DEEP, {"id": 2}), HUGE], ids=["deep", "huge"])
def test_what_nobody_reads_is_not_judged(decoder, body):
    """Depth and infinite numbers in one run do not hide the others; the run itself is refused when it is read."""
    page = read(body)
    assert [each.id for each in page.seen.items] == [1, 2]
    assert json_of(page.item(1)) == {"id": 2}
    with pytest.raises(ProtocolError):
        json_of(page.item(0))


def test_an_item_that_cannot_be_written_again(monkeypatch):
    """One that the stack has no room for is refused when it is read, and raises nothing else."""
    forget()
    without(monkeypatch)
    monkeypatch.setattr(pages, "PART", 1)
    page = read(body_of({"id": 1}, {"id": 2}))

    def overflow(_):
        raise RecursionError

    monkeypatch.setattr(pages.json, "dumps", overflow)
    with pytest.raises(ProtocolError):
        json_of(page.item(0))
    monkeypatch.undo()
    monkeypatch.setattr(pages._DECODER, "decode", overflow)
    with pytest.raises(ProtocolError):
        json_of(page.item(1))
    forget()


SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from(["\ud800", "\ud83d\ude00", "\x00", "\\", '"', "]}"])
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
)
INNERS = st.fixed_dictionaries({}, optional={"word": VALUES, "x": VALUES})
ITEMS = st.fixed_dictionaries(
    {}, optional={"id": st.integers() | VALUES, "name": VALUES, "share": VALUES, "inner": INNERS | VALUES, "x": VALUES}
)
PAGES = st.fixed_dictionaries({}, optional={"items": st.lists(ITEMS, max_size=4) | VALUES, "total": VALUES})
BODIES = (PAGES | VALUES).flatmap(
    lambda value: st.sampled_from([json.dumps(value), json.dumps(value, ensure_ascii=False, indent=1)])
)


def outcome(body):
    """What comes of a page: its glances and items, or the error."""
    try:
        page = read(body)
    except ProtocolError as error:
        return str(error)
    found = []
    for index in range(len(page.seen.items)):
        try:
            found.append(json_of(page.item(index)))
        except ProtocolError:
            found.append("refused")
    seen = page.seen.items
    return [type(each.share) for each in seen], [asdict(each) for each in seen], page.seen.total, repr(found)


def both(body):
    """What comes of it either way."""
    found = []
    for is_there in (True, False):
        with pytest.MonkeyPatch.context() as patch:
            forget()
            if not is_there:
                without(patch)
            found.append(outcome(body))
    forget()
    return found


@given(BODIES, st.integers(0, 300), st.sampled_from([b"", b"\xff", b'"', b"}", b",", b"1e999", b"\\u", b"\x00"]))
@example('{"items": [{"id": 1, "id": 2}], "items": [{"id": 3}]}', 300, b"")
@example('{"items": [{"\\u0069d": 1, "name": "\\ud800"}]}', 300, b"")
@example('{"items": [{"id": 123456789012345678901234567890, "share": 1' + "0" * 400 + "}]}", 300, b"")
def test_both_decoders_read_the_same(text, place, damage):
    """Whatever came, whole or damaged anywhere: the same glances, items, and refusals."""
    pytest.importorskip("msgspec")
    body = text.encode("utf-8", "surrogatepass")
    slow, fast = both(body[:place] + damage + body[place:])
    assert slow == fast


# Read in parts


def in_parts(body, size):
    """What comes of it without msgspec, in parts of so many characters at least; or as a whole, where that is None."""
    forget()
    with pytest.MonkeyPatch.context() as patch:
        without(patch)
        if size is None:
            patch.setattr(pages, "_in_parts", lambda *_: None)
        else:
            patch.setattr(pages, "PART", size)
        found = outcome(body)
    forget()
    return found


ALIKE = st.lists(st.fixed_dictionaries({"id": st.integers()}, optional={"name": VALUES, "x": VALUES}), max_size=3)
NESTED = st.one_of(ALIKE, ALIKE.map(json.dumps), ALIKE.map(lambda some: {"items": some}))
NESTING = st.lists(st.fixed_dictionaries({"id": st.integers()}, optional={"x": NESTED, "name": NESTED}), max_size=6)
AROUND = st.sampled_from(
    ["%s", '{"items": %s}', '{"total": 2, "items":%s}', '{"items": %s, "x": [], "total": 3}', '{"x": {"items": %s}}',
     '{"x": {"items": [{"id": 1}]}, "items": %s}', '{"items": %s, "items": []}', '{"items": [{"id": 1}], "items": %s}',
     '[{"items": %s}]', '{"x": NaN, "items": %s}', '{"x": "\\"items\\": [{\\"id\\": 1}]", "items": %s}']
)  # fmt: skip
SPACES = st.sampled_from([(None, (",", ":")), (None, (", ", ": ")), (1, None), ("\t", (" , ", " : "))])


DAMAGE = st.tuples(st.integers(0, 200), st.sampled_from(["", "", "}", "]", "\xa0", " ", '"']))


@given(NESTING, AROUND, SPACES, st.integers(0, 60), DAMAGE)
@example([{"id": 1}], '{"items": %s}', (None, (",", ":")), 1, (11, "\xa0"))
@example([{"id": 1}, {"id": 2}], '{"items": %s}', (None, (",", ":")), 1, (20, "\xa0"))
@example([{"id": 1}], '{"items": %s, "x": NaN}', (None, (",", ":")), 1, (0, ""))
def test_parts_and_the_whole_are_the_same(items, around, spaces, size, damage):
    """However it is cut, and whatever looks like the beginning of an item: the same glances, items, and refusals."""
    (indent, separators), (place, more) = spaces, damage
    text = around % json.dumps(items, indent=indent, separators=separators)
    body = (text[:place] + more + text[place:]).encode()
    assert in_parts(body, size) == in_parts(body, None)


def test_a_bare_list_in_parts(monkeypatch):
    """The whole of the page is the list: its items are found by place, in whatever order they are asked for."""
    forget()
    without(monkeypatch)
    monkeypatch.setattr(pages, "PART", 40)
    items = [{"id": str(index), "x": [{"id": "0"}]} for index in range(10)]
    page = read(json.dumps(items).encode(), list[Listless], None)
    assert [each.id for each in page.seen] == [each["id"] for each in items]
    assert [json_of(page.item(index)) for index in (9, 0, 4, 4)] == [items[index] for index in (9, 0, 4, 4)]
    forget()


@define
class Unlisted:
    """A page whose list may be missing."""

    items: list[Seen] | None = None


@define
class Bare:
    """A page of which the list is not asked for."""

    total: int | None = None


@pytest.mark.parametrize("form", [Unlisted, Bare])
def test_a_form_without_a_plain_list(form):
    """It is read as a whole: whatever the form makes of the items is what is seen."""
    forget()
    with pytest.MonkeyPatch.context() as patch:
        without(patch)
        page = read(body_of({"id": 1}, {"id": "x"}, total=5), form)
    assert page.seen == (Unlisted() if form is Unlisted else Bare(5))
    assert json_of(page.item(1)) == {"id": "x"}
    forget()


def test_a_long_name_is_not_looked_for(monkeypatch):
    """What a server makes up does not become a pattern without end: such a page is read as a whole."""
    forget()
    without(monkeypatch)
    monkeypatch.setattr(pages, "_Parts", None)
    page = read(body_of({"x" * 61: 1, "id": 1}))
    assert page.seen.items == [Seen(1)]
    forget()


def test_few_objects_at_once(monkeypatch):
    """A page is not searched for cycles time and again while it is read: of its objects only glances are kept."""
    forget()
    without(monkeypatch)
    body = body_of(*[{"id": index, "x": [{"y": "z" * 90}] * 9} for index in range(600)])
    searches = []
    gc.collect()
    gc.callbacks.append(lambda phase, _: searches.append(phase))
    try:
        page = read(body)
    finally:
        gc.callbacks.pop()
    assert len(page.seen.items) == 600
    assert len(searches) <= 2 * 2  # read as a whole, nine: it has 6,000
    forget()


# The runs of a page


def test_runs_are_made_when_they_are_looked_at():
    """By place, by slice and one after the other, as of any sequence; and none before."""
    made = []

    def see(place, glance):
        made.append(place)
        return Sighting(glance, None, read=str, place=place)

    page = pages.Sightings(["a", "b", "c"], see)
    assert (len(page), made) == (3, [])
    assert (page[-1].id, [each.id for each in page[:2]], made) == ("c", ["a", "b"], [2, 0, 1])
    each = iter(page)
    assert (next(each).id, made[3:]) == ("a", [0])
    assert [rest.id for rest in each] == ["b", "c"]
    with pytest.raises(IndexError):
        page[3]
    assert not pages.Sightings([], see)
