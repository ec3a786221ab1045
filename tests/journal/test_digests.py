"""What tells two submissions apart."""

import os
import uuid
from collections import ChainMap, OrderedDict
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum, IntEnum
from pathlib import Path

import pytest
from attrs import frozen
from hypothesis import given
from hypothesis import strategies as st

from flowrunner.enums import RunState
from flowrunner.errors import InvalidRequest, JournalError
from flowrunner.journal.digests import Digests, differ
from flowrunner.models import RemoteFile, SubmitOptions
from flowrunner.secret import Secret

DIGESTS = Digests(b"k" * 32)


class Number(IntEnum):
    """A number with a name."""

    ONE = 1


class Text(str, Enum):  # noqa: UP042 - whose text is not its value
    """A text with a name."""

    A = "a"


class Plain(Enum):
    """A constant that is nothing else."""

    A = "a"


class Bare:
    """An object that shows nothing but its address."""


class Broken:
    """An object that cannot be shown."""

    def __str__(self):
        raise RuntimeError("broken")


@frozen
class Pair:
    """Two values, of which one may say nothing."""

    one: object = None
    other: object = ()


def of(value):
    """The digest of a submission with this parameter."""
    return DIGESTS.of("f", {"p": value}, None, None)


DIFFERENT = [
    None, True, False, 0, 1, -1, 2**100, 0.0, 1.0, float("inf"), float("nan"), "", "1", "None", "ö", "\ud800", b"",
    b"1", [], [1], [[1]], [1, 2], [2, 1], [[], []], ["a", "bc"], ["ab", "c"], {}, {"a": 1}, {"a": 2}, {"b": 1},
    {1: "a"}, {"a": {"b": 1}}, {"a": None}, set(), {1}, {1, 2}, date(2025, 1, 1), datetime(2025, 1, 1, tzinfo=UTC),
    datetime(2025, 1, 1),  # noqa: DTZ001 - callers have those, too
    time(12), timedelta(1), Decimal("1.0"), Decimal(1), uuid.UUID(int=1), uuid.UUID(int=2), Secret("a"), Secret("b"),
    Path("/no/such/file"), Path("/no/such"), Path("/tmp"), Path("nul\0"), RemoteFile(name="a", reference="$(x)/a"),
    RemoteFile(name="a", reference="$(y)/a"), Bare(), Broken(), 1j, Pair(1), Pair(2), Pair(Pair(1)), range(3), Bare, of,
]  # fmt: skip


def test_different_values_differ():
    """No two values of different kind or content have one digest, and none is too odd to have one."""
    digests = [of(value) for value in DIFFERENT]
    assert len(set(digests)) == len(DIFFERENT)
    assert digests == [of(value) for value in DIFFERENT]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
        ({"a": 1}, OrderedDict(a=1)),
        ({"a": 1}, ChainMap({"a": 1})),
        ([1, 2], (1, 2)),
        ({1, 2, 3}, frozenset({3, 2, 1})),
        (b"a", bytearray(b"a")),
        (b"ac", memoryview(b"abcd")[::2]),
        (RunState.FAILED, "failed"),
        (Text.A, "a"),
        (Number.ONE, 1),
        (Plain.A, "a"),
        (Bare(), Bare()),
        (Pair(), Pair(None, {})),
    ],
)
def test_what_is_sent_alike_is_the_same(one, other):
    """The order of a mapping, the kind of a list, the name of a constant make no difference to what is sent."""
    assert of(one) == of(other)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def typed(value):
    """A value in which 1, 1.0 and True, or 0.0 and -0.0, are not equal."""
    if isinstance(value, dict):
        return f"mapping {sorted((name, typed(each)) for name, each in value.items())}"
    return repr([typed(each) for each in value]) if isinstance(value, list) else repr(value)


@given(JSON, JSON)
def test_json_of_any_kind(one, other):
    """Two JSON values have one digest exactly if they are the same."""
    assert (of(one) == of(other)) is (typed(one) == typed(other))


@pytest.mark.parametrize("place", range(4))
def test_every_part_counts(place):
    """Flow, parameters, payload and options each make a difference, and none is taken for another."""
    parts = ["f", {"a": 1}, b"payload", SubmitOptions(queue="q")]
    changed = [*parts]
    changed[place] = ["g", {"a": 2}, b"other", SubmitOptions(description="q")][place]
    assert DIGESTS.of(*parts) != DIGESTS.of(*changed)
    assert DIGESTS.of("f", {"a": 1}, None, None) != DIGESTS.of("f", None, {"a": 1}, None)


def test_nothing_is_nothing():
    """No parameters are empty ones, no options are those that say nothing."""
    assert DIGESTS.of("f", None, None, None) == DIGESTS.of("f", {}, None, SubmitOptions())


def test_the_encoding_is_pinned():
    """The digest of today is that of tomorrow: another encoding needs another name, which is part of the key's."""
    digest = DIGESTS.of("f", {"a": [1, "ö", None]}, b"x", SubmitOptions(queue="q", directives={"b": "c"}))
    assert digest == PINNED


PINNED = "b5516b17:81e2adb76a21c1a10f29f069894779138b1f4759b0a41580581bfc1d87a3f3e0"


def test_a_file_is_its_name_and_content(tmp_path):
    """The same file in another folder, or of another time, is the same; another name or content is not."""
    paths = [tmp_path / name for name in ("a/roads.csv", "b/roads.csv", "c/streets.csv", "d/roads.csv")]
    for path, content in zip(paths, [b"1", b"1", b"1", b"2"], strict=True):
        path.parent.mkdir()
        path.write_bytes(content)
    os.utime(paths[1], (1, 1))
    same, moved, renamed, rewritten = map(of, paths)
    assert same == moved
    assert len({same, renamed, rewritten}) == 3


def test_a_file_that_never_ends_is_not_read(tmp_path):
    """A pipe or a device is its path: nobody waits for it."""
    os.mkfifo(tmp_path / "pipe")
    assert of(tmp_path / "pipe") != of(Path("/dev/zero"))


def test_a_file_that_cannot_be_read(modest):
    """It is its path: sending it will say what is wrong."""
    file = modest / "file"
    file.write_bytes(b"1")
    file.chmod(0)
    unreadable = of(file)
    file.chmod(0o600)
    assert unreadable != of(file)


def test_endless_values_are_refused():
    """A list that holds itself cannot be submitted, and the error says so."""
    endless = []
    endless.append(endless)
    with pytest.raises(InvalidRequest, match="nested too deeply"):
        of(endless)


def test_another_key_makes_other_digests():
    """Without the key nothing can be guessed; of digests with different keys nobody says that they differ."""
    one, other = DIGESTS.of("f", {"a": 1}, None, None), Digests(b"o" * 32).of("f", {"a": 2}, None, None)
    assert one.partition(":")[0] != other.partition(":")[0]
    assert one.partition(":")[2] != Digests(b"o" * 32).of("f", {"a": 1}, None, None).partition(":")[2]
    assert not differ(one, other)
    assert not differ(one, one)
    assert differ(one, of(2))


def key_of(path):
    """Where the key of a journal is."""
    return path.with_name("journal.sqlite3.key")


def test_the_key_lies_beside_the_journal(opened, path):
    """It is made once, for its owner alone, and used by all."""
    digest = opened().digest("f", {"a": 1}, None, None)
    key = key_of(path).read_bytes()
    assert len(key) == 32
    assert key_of(path).stat().st_mode & 0o777 == 0o600
    other = opened()
    assert other.digest("f", {"a": 1}, None, None) == digest
    assert other.digest("f", {"a": 1}, None, None) == Digests(key).of("f", {"a": 1}, None, None)
    assert sorted(file.name for file in path.parent.iterdir() if "key" in file.name) == [key_of(path).name]


@pytest.mark.parametrize("left", [None, b"", b"short"])
def test_a_lost_key_is_made_anew(opened, path, left):
    """A key that is gone or damaged is replaced, and a key of the caller's that was used before stays usable."""
    digest = opened().digest("f", {"a": 1}, None, None)
    key_of(path).unlink()
    if left is not None:
        key_of(path).write_bytes(left)
    key_of(path).with_name("journal.sqlite3.key.part").write_bytes(b"of a process that died")
    again = opened().digest("f", {"a": 2}, None, None)
    assert not differ(digest, again)
    assert opened().digest("f", {"a": 2}, None, None) == again


def test_a_key_that_cannot_be_read(opened, path):
    """The error names the file and what to do."""
    journal = opened()
    key_of(path).mkdir()
    with pytest.raises(JournalError) as caught:
        journal.digest("f", None, None, None)
    assert f"the key of the journal, {str(key_of(path))!r}, cannot be used: Is a directory; make it readable" in str(
        caught.value
    )
