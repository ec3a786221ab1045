"""Files with a set of parameters in each row."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowrunner.cli.assignments import values_of
from flowrunner.cli.sets import read_rows
from flowrunner.errors import InvalidRequest


@pytest.fixture
def read(tmp_path, monkeypatch):
    """Read a text as the file of a suffix: lines, and what they say."""
    monkeypatch.chdir(tmp_path)

    def read(text, suffix):
        (tmp_path / f"rows{suffix}").write_bytes(text.encode())
        return [(row.line, values_of(row.assignments, None)) for row in read_rows(f"rows{suffix}")]

    return read


@pytest.mark.parametrize(
    ("suffix", "text"),
    [
        (".csv", 'a,b\n1,"x, y"\n2,z\n'),
        (".CSV", '\ufeffa, b \r\n1,"x, y"\r\n2,z\r\n'),
        (".csv", 'a;b\n1;"x, y"\n2;z'),
        (".tsv", "a\tb\n1\tx, y\n2\tz\n"),
    ],
)
def test_separated_values(read, suffix, text):
    """The first row names the parameters; a byte order mark, semicolons and Windows' line ends are fine."""
    assert read(text, suffix) == [(2, {"a": "1", "b": "x, y"}), (3, {"a": "2", "b": "z"})]


def test_a_row_of_several_lines(read):
    """A cell in quotes may have line breaks; a row is where it begins. Empty lines are none."""
    assert read('a,b\n"1\n2\n",x\n\n3,y\n', ".csv") == [(2, {"a": "1\n2\n", "b": "x"}), (6, {"a": "3", "b": "y"})]


def test_an_empty_cell_says_nothing(read):
    """So the flow's default counts."""
    assert read("a,b\n,x\n1,\n", ".csv") == [(2, {"b": "x"}), (3, {"a": "1"})]


def test_columns_of_one_name_are_a_list(read):
    """As a name that is given several times by -p."""
    assert read("a,a,b\n1,2,x\n", ".csv") == [(2, {"a": ["1", "2"], "b": "x"})]


@pytest.mark.parametrize("suffix", [".jsonl", ".ndjson"])
def test_json_lines(read, suffix):
    """Values are what they are; empty lines are none, and no other character ends a line."""
    assert read('{"a": [1, "x\u2028y"]}\r\n\n{"b": null}', suffix) == [(1, {"a": [1, "x\u2028y"]}), (3, {"b": None})]


@pytest.mark.parametrize(("suffix", "text"), [(".csv", "a,b\n"), (".jsonl", ""), (".jsonl", "\n")])
def test_there_may_be_no_rows(read, suffix, text):
    """Then there is nothing to run."""
    assert read(text, suffix) == []


@pytest.mark.parametrize(
    ("suffix", "text", "problem"),
    [
        (".csv", "", "line 1: the first row names the parameters, and each column has to have a name"),
        (".csv", "a,,b\n1,2,3", "line 1: the first row names the parameters"),
        (".csv", "a,b\n1,2\nhush\n", "line 3: a row of 1 cells, where the first has 2"),
        (".csv", "a,b\n1,2,hush\n", "line 2: a row of 3 cells, where the first has 2"),
        (".csv", 'a,b\n1,2\n"hush,2\n', "line 3: this is not CSV: unexpected end of data"),
        (".csv", 'a,b\n"hu"sh,2\n', "line 2: this is not CSV: ',' expected after '\"'"),
        (".jsonl", '{"a": 1}\n{"a": hush}', "line 2: this is not JSON (column 7)"),
        (".jsonl", '{"a": NaN}', "line 1: this cannot be read as JSON"),
        (".jsonl", "[" * 100_000, "line 1: this cannot be read as JSON"),
        (".jsonl", '{"a": 1}\n\n["hush"]', 'line 3: a row is an object, {"NAME": VALUE}'),
    ],
)
def test_a_row_that_makes_no_sense(read, suffix, text, problem):
    """The error names file and line, and shows nothing of what is there."""
    with pytest.raises(InvalidRequest) as caught:
        read(text, suffix)

    assert caught.value.message.startswith(f"rows{suffix}, {problem}")
    assert "hush" not in caught.value.message


def test_the_suffix_says_what_it_is(read):
    """The error lists those there are."""
    with pytest.raises(InvalidRequest, match=r"ends in none of \.csv, \.tsv, \.jsonl, \.ndjson"):
        read("a,b", ".xlsx")


@given(st.sampled_from([".csv", ".tsv", ".jsonl"]), st.text() | st.text('a,;\t"\n\r{}:1'))
def test_any_text_is_rows_or_refused(tmp_path_factory, suffix, text):
    """Whatever is in a file, nothing but the error comes out."""
    file = tmp_path_factory.getbasetemp() / f"any{suffix}"
    file.write_bytes(text.encode("utf-8", "replace"))
    try:
        rows = read_rows(str(file))
    except InvalidRequest:
        pass
    else:
        assert all(values_of(row.assignments, None) is not None for row in rows)
