"""On which line a key stands, and that errors say so."""

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowrunner.config import lines as lines_module
from flowrunner.config import resolve
from flowrunner.config.lines import Lines
from flowrunner.errors import ConfigError, UnknownBackend

TEXT = """\
# a comment
title = "x = 1"

[connections."pr.od"]
backend = 'acme'   # [connections.nowhere]
token.env = "NAME"
numbers = [
    1,
    # two
    2,
]
text = \"\"\"
base_url = "not a key"
[connections.text]
\"\"\"
headers = { first = 1, "se cond" = { third = 3 } }

[connections."pr.od".status_map]
"NEW WORD" = "running"

[[other]]
a = 1

[[other]]
b = 2
[connections.last]
"""


@pytest.mark.parametrize(
    ("keys", "line"),
    [
        (["title"], 2),
        (["connections"], 4),
        (["connections", "pr.od"], 4),
        (["connections", "pr.od", "backend"], 5),
        (["connections", "pr.od", "token"], 6),
        (["connections", "pr.od", "token", "env"], 6),
        (["connections", "pr.od", "numbers"], 7),
        (["connections", "pr.od", "text"], 12),
        (["connections", "pr.od", "headers", "se cond", "third"], 16),
        (["connections", "pr.od", "status_map"], 18),
        (["connections", "pr.od", "status_map", "NEW WORD"], 19),
        (["other"], 21),
        (["connections", "last"], 26),
        (["connections", "last", "absent", "deeper"], 26),
        (["absent"], None),
        ([], None),
    ],
)
@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_a_key_stands_where_it_is_mentioned_first(keys, line, ending):
    """Quoted, dotted, inline, in an array of tables; what stands in strings and comments is no key."""
    assert Lines(TEXT.replace("\n", ending)).of(*keys) == line


KEYS = st.text("ab.\"' =[]#é", min_size=1, max_size=4)
VALUES = st.sampled_from(["1", '"a = 1"', "[\n1,\n2]", '"""\n[a]\n"""', "'''\nx\n\n'''", "{ a = 1 }", "1979-05-27"])


@given(st.lists(st.tuples(KEYS, st.lists(st.tuples(KEYS, VALUES, st.integers(0, 2)), unique_by=lambda each: each[0])),
                unique_by=lambda each: each[0]))  # fmt: skip
def test_any_document_is_read_as_the_parser_reads_it(tables):
    """Whatever the keys and values, each key has the line that it was written on."""
    lines, expected = [], {}
    for table, entries in tables:
        expected[table,] = len(lines) + 1
        lines.append(f"[{_quoted(table)}] # {table}")
        for key, value, blanks in entries:
            lines += ["# x = 1"] * blanks
            expected[table, key] = len(lines) + 1
            lines += f"{_quoted(key)} = {value}".split("\n")
    text = "\n".join(lines)
    tomllib.loads(text)
    found = Lines(text)

    assert {keys: found.of(*keys) for keys in expected} == expected


def _quoted(key):
    """The key as TOML has it."""
    return '"' + key.replace("\\", "\\\\").replace('"', '\\"') + '"'


def test_a_value_without_end_costs_no_more_than_some_lines(monkeypatch):
    """What comes behind a value of too many lines has the line of the table around it, or none."""
    monkeypatch.setattr(lines_module, "_LONGEST", 3)
    found = Lines('[a]\nx = """\n1\n2\n3\n"""\ny = 1\n[b]\n')
    assert (found.of("a"), found.of("a", "y"), found.of("b")) == (1, 1, None)


def test_the_lines_show_nothing_of_the_document():
    """There may be a credential in it."""
    assert "s3cret" not in repr(Lines('token = "s3cret"'))


# --- in errors


def refusal(tmp_path, text, name="prod", file="flowrunner.toml"):
    """What is said of a file."""
    path = tmp_path / file
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        resolve(name, backend=None, config=path, arguments={}, environ={"KEY": "s3cret"})
    assert "s3cret" not in str(caught.value)
    return str(caught.value).replace(str(path), "FILE")


HEAD = '[connections.prod]\nbackend = "invision"\n'
ADDRESS = 'base_url = "https://example.com"\n'
KEY = 'api_key = { env = "KEY" }\n'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("\nconnection = 1", "unknown key 'connection' in FILE, line 2: did you mean 'connections'?"),
        ("\nconnections = 1", "[connections] in FILE, line 2 must be a table, not int"),
        ("[connections]\nprod = 1", "[connections.prod] in FILE, line 2 must be a table, not int"),
        ("\n[connections.prod]", "[connections.prod] in FILE, line 2 has no `backend`"),
        (HEAD + KEY, "or write base_url = ... under [connections.prod] in FILE, line 1"),
        (HEAD + ADDRESS + "api_kye = 's3cret'", "given in [connections.prod] in FILE, line 4: did you mean 'api_key'?"),
        (HEAD + ADDRESS + KEY + "\ntimeout = 'x'", "timeout of [connections.prod] in FILE, line 6: expected"),
        (HEAD + ADDRESS + KEY + "timeout = -1", "timeout of [connections.prod] in FILE, line 5: timeout must be more"),
        (HEAD + ADDRESS + 'api_key = { evn = "s3cret" }', "api_key of [connections.prod] in FILE, line 4: credentials"),
        (HEAD + ADDRESS + 'api_key = "s3cret\\n"', "api_key of [connections.prod] in FILE, line 4: the credential has"),
        (
            HEAD + 'base_url = "http://example.com"\n' + KEY,
            "base_url of [connections.prod] in FILE, line 3: plain http",
        ),
        (
            HEAD + ADDRESS + KEY + "[connections.prod.status_map]\nA = 'running'\nB = 'runing'",
            "status_map of [connections.prod] in FILE, line 7: 'B': expected one of",
        ),
        (
            '[connections.prod]\nbackend = "smart-flows"\nbase_url = "https://example.com"',
            "[connections.prod] in FILE, line 1: give api_key, or username and password",
        ),
    ],
)
def test_an_error_says_on_which_line(tmp_path, text, said):
    """File, line, key and the near miss; the value, which may be a secret, never."""
    assert said in refusal(tmp_path, text)


def test_an_unknown_backend_says_where_it_is_named(tmp_path):
    """As a note: the near miss is what matters first."""
    path = tmp_path / "flowrunner.toml"
    path.write_text('[connections.prod]\n\nbackend = "invison"')
    with pytest.raises(UnknownBackend, match="did you mean 'invision'") as caught:
        resolve("prod", backend=None, config=path, arguments={}, environ={})
    assert caught.value.__notes__ == [f"It is named by [connections.prod] in {path}, line 3"]


def test_the_lines_of_a_pyproject_are_its_own(tmp_path):
    """Counted from the beginning of that file."""
    text = '[project]\nname = "x"\n[tool.flowrunner]\n[tool.flowrunner.connections.prod]\ntimeout = 1\n'
    said = refusal(tmp_path, text, file="pyproject.toml")
    assert "[connections.prod] in [tool.flowrunner] in FILE, line 4 has no `backend`" in said


def test_what_is_wrong_with_an_argument_names_no_line(tmp_path):
    """The file is not to blame."""
    path = tmp_path / "flowrunner.toml"
    path.write_text(HEAD + ADDRESS + KEY)
    with pytest.raises(ConfigError, match=r"^timeout must be more") as caught:
        resolve("prod", backend=None, config=path, arguments={"timeout": -1}, environ={"KEY": "s3cret"})
    assert "line" not in str(caught.value)
