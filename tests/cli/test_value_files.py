"""Files that say names and values."""

from __future__ import annotations

import json
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowrunner.cli.value_files import read_values
from flowrunner.errors import ConfigError, InvalidRequest


@pytest.fixture
def read(tmp_path):
    """Read a text as the file of a suffix."""

    def read(text, suffix):
        file = tmp_path / f"values{suffix}"
        file.write_text(text, encoding="utf-8", errors="surrogatepass")
        return read_values(str(file))

    return read


SAID = {"TEXT": "a", "number": 4.5, "whole": -7, "flag": True, "many": ["a", 1], "inner": {"deep": None}}


def test_json(read):
    """Everything as it is; a suffix may be in capitals."""
    assert read(json.dumps(SAID), ".json") == read(json.dumps(SAID), ".JSON") == SAID


def test_toml(read):
    """Dates and times are texts, as they are in the other two; TOML has no null."""
    text = """
        TEXT = "a"
        day = 2026-11-26
        moments = [2026-11-26T08:00:00+01:00, 08:30:00]
        inner = { deep = 1.5 }
    """
    assert read(text, ".toml") == {
        "TEXT": "a",
        "day": "2026-11-26",
        "moments": ["2026-11-26T08:00:00+01:00", "08:30:00"],
        "inner": {"deep": 1.5},
    }


@pytest.mark.parametrize("suffix", [".yaml", ".yml"])
def test_yaml(read, suffix):
    """Lists and mappings, in either of its styles."""
    text = "TEXT: a\nnumber: 4.5\nwhole: -7\nflag: true\nmany:\n- a\n- 1\ninner: {deep: null}\n"
    assert read(text, suffix) == SAID


@pytest.mark.parametrize(
    "text",
    ["no", "NO", "yes", "on", "off", "y", "12:30", "007", "1_000", "0x10", "0o7", "2026-11-26", ".inf", ".nan", ".",
     "-", "e5", "<<", "=", "1.2.3"],
)  # fmt: skip
def test_words_of_old_yaml_are_text(read, text):
    """The country `no` is no truth value, `12:30` not 750, and `007` not 7: what YAML 1.2 has no word for is text."""
    if text == "-":
        text = "'-'"
    assert read(f"a: {text}\n", ".yaml") == {"a": text.strip("'")}


@pytest.mark.parametrize(
    ("text", "value"),
    [("0", 0), ("-12", -12), ("+3", 3), ("1.", 1.0), (".5", 0.5), ("-1.5e3", -1500.0), ("1e3", 1000.0), ("~", None),
     ("", None), ("null", None), ("False", False), ("'42'", "42"), ('"true"', "true")],
)  # fmt: skip
def test_words_of_yaml(read, text, value):
    """Numbers, truth values and nothing; in quotes they are text."""
    said = read(f"a: {text}\n", ".yaml")["a"]
    assert (said, type(said)) == (value, type(value))


@pytest.mark.parametrize(
    ("suffix", "text", "problem"),
    [
        (".json", '{\n"a": hush}', ", line 2, column 6: this is not JSON"),
        (".json", '{"a": NaN}', " cannot be read as JSON"),
        (".json", '{"a": ' + "[" * 100_000, " cannot be read as JSON"),
        (".json", '{"a": ' + "9" * 5000 + "}", " cannot be read as JSON"),
        (".json", "", ", line 1, column 1: this is not JSON"),
        (".toml", 'b = 1\na = "hush', ", end of document: this is not TOML"),
        (".toml", "b = 1\na = hush", ", line 2, column 5: this is not TOML"),
        (".yaml", "b: 1\na: *hush\n", ", line 2, column 4: this is not YAML"),
        (".yaml", "b: 1\na: %hush\n", ", line 2, column 4: this is not YAML"),
        (".yaml", "a: !!python/object/apply:os.system [hush]", ", line 1, column 4: this is not YAML"),
        (".yaml", "a: &x [hush, *x]", " cannot be read as YAML"),
        (".yaml", "a: !!binary aHVzaA==", " cannot be read as YAML"),
        (".yaml", "a: !!set {hush}", " cannot be read as YAML"),
        (".yaml", "a: hush\x01", ", somewhere: this is not YAML"),
        (".yaml", "a: hush\n---\nb: 1\n", ", line 2, column 1: this is not YAML"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_not_shown(read, tmp_path, suffix, text, problem):
    """The error names the file and the place; what is there may be a password. Nothing in a file is carried out."""
    with pytest.raises(InvalidRequest) as caught:
        read(text, suffix)

    assert caught.value.message == f"{tmp_path / 'values'}{suffix}{problem}"
    assert caught.value.__context__ is None


@pytest.mark.parametrize(
    ("text", "what"), [("[1]", "a list"), ('"hush"', "a text"), ("null", "nothing"), ("7", "a value")]
)
def test_without_names_there_are_no_values(read, text, what):
    """The error says what is there instead, and not which."""
    with pytest.raises(InvalidRequest, match=f"holds no names and values, but {what}$"):
        read(text, ".yaml")


def test_a_name_is_a_text(read):
    """YAML has others."""
    with pytest.raises(InvalidRequest, match="has a name that is not a text: put it into quotes"):
        read("7: a\n", ".yaml")


@pytest.mark.parametrize("name", ["values", "values.txt", "-.csv"])
def test_the_suffix_says_what_it_is(name):
    """The error lists those there are."""
    with pytest.raises(InvalidRequest, match=r"ends in none of \.json, \.toml, \.yaml, \.yml"):
        read_values(name)


def test_a_file_that_is_not_there():
    """The error says so."""
    with pytest.raises(InvalidRequest, match=r"^absent\.json cannot be read: No such file or directory"):
        read_values("absent.json")


def test_without_pyyaml_the_error_says_what_to_install(read, monkeypatch):
    """It comes with the extra."""
    monkeypatch.setitem(sys.modules, "yaml", None)
    with pytest.raises(ConfigError, match=r'pip install "flowrunner\[cli\]"'):
        read("a: 1", ".yaml")


@given(
    st.sampled_from([".json", ".toml", ".yaml"]),
    st.text(max_size=40) | st.text("ab:-[]{},\"'\n #&*!%|>?0e.=", max_size=40),
)
def test_any_text_is_values_or_refused(tmp_path_factory, suffix, text):
    """Whatever is in a file, nothing but the error comes out."""
    file = tmp_path_factory.getbasetemp() / f"any{suffix}"
    file.write_bytes(text.encode("utf-8", "replace"))
    try:
        values = read_values(str(file))
    except InvalidRequest:
        pass
    else:
        assert all(isinstance(name, str) for name in values)
