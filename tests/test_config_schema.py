"""The JSON Schema of the configuration file agrees with the library."""

import re
import tomllib
import warnings
from pathlib import Path

import jsonschema
import pytest
from attrs import field, frozen
from hypothesis import given
from hypothesis import strategies as st

from flowrunner import registry
from flowrunner.backend import Backend, Settings, secret, setting
from flowrunner.config import resolve
from flowrunner.config.schema import schema
from flowrunner.config.settings import declared
from flowrunner.errors import ConfigError

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
EXAMPLES = [
    block
    for page in PAGES
    for block in re.findall(r"```toml\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    if "[connections." in block
]
VALIDATOR = jsonschema.Draft7Validator(schema())


def is_valid(document):
    """Whether the schema takes a file."""
    return VALIDATOR.is_valid(document)


def is_accepted(document):
    """Whether the library takes the connection `prod` of a file; a literal credential it takes with a warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        try:
            resolve("prod", backend=None, config=document, arguments={}, environ={"KEY": "k"})
        except ConfigError:
            return False
    return True


def entry(backend="fme-flow-v3", **settings):
    """A file with one connection that lacks nothing."""
    usual = {"base_url": "https://example.com", "token": {"env": "KEY"}} if backend.startswith("fme") else {}
    return {"connections": {"prod": {"backend": backend, **usual, **settings}}}


def test_it_is_a_schema():
    """Of the draft that editors understand."""
    jsonschema.Draft7Validator.check_schema(schema())


@pytest.mark.parametrize("example", EXAMPLES)
def test_every_example_in_the_docs_is_valid(example):
    """A reader who copies one is not told that it is wrong; one that shows a part of a connection is of FME Flow."""
    document = tomllib.loads(example)
    for connection in document["connections"].values():
        connection.setdefault("backend", "fme-flow")
    VALIDATOR.validate(document)


def test_there_are_examples():
    """Else the test above proves nothing."""
    assert len(EXAMPLES) >= 5


REFUSED = [
    {"connection": {}},
    {"connections": 1},
    {"connections": {"prod": 1}},
    {"connections": {"prod": {}}},
    entry(backend=""),
    {"connections": {"prod": {"backend": 3}}},
    entry(tokn="x"),
    entry(username="x"),
    entry(base_url="fme.example.com"),
    entry(base_url="ftp://example.com"),
    entry(base_url="https://"),
    entry(base_url="https://user:pw@example.com"),
    entry(base_url="https://example.com?x=1"),
    entry(base_url="https://example.com/#x"),
    entry(base_url="https://exa mple.com"),
    entry(base_url=3),
    entry(token=3),
    entry(token=""),
    entry(token=" x"),
    entry(token="a\nb"),
    entry(token="a b\u00e9"),
    entry(token={}),
    entry(token={"evn": "KEY"}),
    entry(token={"env": ""}),
    entry(token={"env": 3}),
    entry(token={"env": "KEY", "file": "x"}),
    entry(token={"keyring": "fme"}),
    entry(timeout=0),
    entry(timeout=-1),
    entry(timeout="30"),
    entry(timeout=True),
    entry(timeout=float("inf")),
    entry(retries=-1),
    entry(retries=1.5),
    entry(retry_budget=-0.5),
    entry(max_connections=0),
    entry(allow_insecure=1),
    entry(check_parameters="yes"),
    entry(proxy=1),
    entry(ca_file=True),
    entry(status_map="running"),
    entry(status_map={"A": "runing"}),
    entry(status_map={"A": "failed/user_input"}),
    entry(status_map={"A": 1}),
]


@pytest.mark.parametrize("document", REFUSED)
def test_what_the_library_refuses_the_schema_refuses(document):
    """So an editor says so first."""
    assert (is_accepted(document), is_valid(document)) == (False, False)


@pytest.mark.parametrize(
    "document",
    [
        entry(),
        entry(timeout=1, poll_min=0.5, retries=0, max_long_polls=0, retry_budget=0),
        entry(base_url="HTTPS://example.com:8443/prefix/"),
        entry(base_url="http://127.0.0.1:8080"),
        entry(base_url="http://[::1]:8080"),
        entry(token="a b~"),
        entry("smart-flows", base_url="https://example.com", username="ada", password="h\u00e9 \u017c"),
        entry(status_map={"NEW WORD": "failed/platform", "OTHER": "waiting"}),
        entry(time_zone="Europe/Oslo"),
        {},
    ],
)
def test_what_the_library_takes_the_schema_takes(document):
    """A file that works has no red line in an editor; the empty one is a file, too."""
    assert is_valid(document)
    assert document == {} or is_accepted(document)


VALUES = st.one_of(
    st.integers(-2, 3), st.floats(-2, 3).filter(lambda number: not number.is_integer()), st.booleans(),
    st.text("ab /:@", max_size=3), st.lists(st.integers(), max_size=1),
    st.dictionaries(st.sampled_from(["env", "file", "A"]), st.sampled_from(["KEY", "running", ""]), max_size=2),
)  # fmt: skip
NAMES = sorted(declared(registry.load("fme-flow-v3").settings_class))
BEYOND = {"ca_file", "time_zone"}
"""Whether there is such a file, or such a zone, no schema knows."""


@given(st.sampled_from([*NAMES, "tokn"]).filter(lambda name: name not in BEYOND), VALUES)
def test_the_schema_refuses_whatever_the_library_refuses(name, value):
    """Any setting with any value: the schema takes it if the library does, and only then."""
    if name == "token" and isinstance(value, dict) and "file" in value:
        return
    if name == "token" and isinstance(value, dict) and value.get("env") not in {"KEY", None, ""}:
        return
    document = entry(**{name: value})
    assert is_accepted(document) == is_valid(document)


def test_a_plugins_connection_is_open():
    """What it can be set to is known where it is installed."""
    assert is_valid({"connections": {"x": {"backend": "acme", "anything": {"at": ["all"]}}}})


@frozen(kw_only=True)
class OddSettings(Settings):
    """Types that no built-in backend has."""

    key: bytes = setting("A type that cannot be configured.", default=b"")
    tags: list[str] = setting("Texts.", default=())
    loose: list = field(factory=list)
    table: dict = field(factory=dict)
    share: float = setting("Any number.", default=0.5, validator=lambda *_: None)
    word: str = setting("Any text.", default="x")
    credential: object = secret("Optional.", default=None)


class Odd(Backend):
    """A backend with those."""

    backend_api = 1
    name = family = "odd"
    settings_class = OddSettings


def test_every_type_that_can_be_configured_has_its_schema(monkeypatch):
    """Lists have items, mappings values; what has no type in TOML is left open; defaults are shown."""
    monkeypatch.setattr(registry, "BUILTINS", {"odd": f"{__name__}:Odd"})
    monkeypatch.setattr(registry, "load", lambda _name: Odd)
    found = schema()["definitions"]["odd"]["properties"]

    assert found["tags"] == {"description": "Texts.", "type": "array", "items": {"type": "string"}, "default": ()}
    assert found["loose"] == {"description": "", "type": "array", "items": True}
    assert found["table"] == {"description": "", "type": "object", "additionalProperties": True}
    assert "type" not in found["key"]
    assert found["share"] == {"description": "Any number.", "type": "number", "default": 0.5}
    assert found["word"]["default"] == "x"
    assert found["credential"]["allOf"] == [{"$ref": "#/definitions/credential"}, {"pattern": "^[ -~]*$"}]
