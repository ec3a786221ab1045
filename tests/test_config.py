"""From files, environment and arguments to a connection."""

import os
import pickle
import subprocess
import sys
import traceback
import warnings
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from attrs import field, frozen
from hypothesis import HealthCheck, example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from flowrunner import connect, registry
from flowrunner.backend import Backend, Settings, secret, setting
from flowrunner.config import Connection, is_loopback, resolve
from flowrunner.enums import Cause, RunState, WaitReason
from flowrunner.errors import (
    BackendLoadError,
    ConfigError,
    FlowrunnerError,
    UnknownBackend,
    UnknownConnection,
)
from flowrunner.secret import Secret
from flowrunner.states import Meaning

TOKEN = "s3cr3t-t0ken"
URL = "https://flow.example.com"


def _no_spaces(_owner, _attribute, value):
    if " " in value:
        raise ValueError("no spaces please")


def _as_lower_as_label(owner, _attribute, value):
    if value == owner.label:
        raise ValueError("label and other must differ")


@frozen(kw_only=True)
class AcmeSettings(Settings):
    """Settings of every kind that can be configured."""

    base_url: str = setting("Address.")
    token: Secret = secret("Credential.")
    second: Secret | None = secret("Another one.", default=None)
    bare: Secret | None = None
    label: str = setting("A text.", default="", validator=_no_spaces)
    other: str = setting("Not the label.", default="-", validator=_as_lower_as_label)
    folder: Path | None = None
    tags: list[str] = field(factory=list)
    pair: tuple[str, ...] = ()
    places: Sequence[Path] = ()
    anything: Any = None
    loose: list = field(factory=list)
    table: dict = field(factory=dict)
    headers: Mapping[str, str] = field(factory=dict)
    odd: int | str = 0
    exotic: complex = 0j
    _private: int = 0
    computed: int = field(default=7, init=False)

    def __attrs_post_init__(self):
        if self.label == "trap":
            raise ValueError(f"the token {self.token.reveal()} does not go with this label")
        if self.label == "bare":
            raise ValueError


class Acme(Backend):
    """A backend with those settings."""

    backend_api = 1
    name = "acme"
    family = "acme"
    settings_class = AcmeSettings


class Local(Backend):
    """A backend that is not HTTP."""

    backend_api = 1
    name = "local"
    family = "local"


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """An empty working folder and user folder, and no variables of ours; `acme` and `local` are known names."""
    module = ModuleType("acme_flows")
    module.Acme, module.Local = Acme, Local
    monkeypatch.setitem(sys.modules, "acme_flows", module)
    monkeypatch.setattr(registry, "BUILTINS", {"acme": "acme_flows:Acme", "local": "acme_flows:Local"})
    for name in [name for name in os.environ if name.startswith("FLOWRUNNER_")]:
        monkeypatch.delenv(name)
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    user = tmp_path / "user"
    user.mkdir()
    monkeypatch.setattr("platformdirs.user_config_path", lambda name: user / name)
    return here


def entry(**settings):
    """The table of a connection that lacks nothing."""
    return {"backend": "acme", "base_url": URL, "token": {"env": "ACME_TOKEN"}} | settings


def named(name="prod", *, environ=None, arguments=None, backend=None, connections=None, **settings):
    """The connection `prod` of a file that has the given settings for it."""
    return resolve(
        name,
        backend=backend,
        config={"connections": connections or {"prod": entry(**settings)}},
        arguments=arguments or {},
        environ={"ACME_TOKEN": TOKEN} | (environ or {}),
    )


def inline(environ=None, **arguments):
    """A connection whose settings are given in place."""
    given = {"base_url": URL, "token": TOKEN} | arguments
    return resolve(None, backend="acme", config=None, arguments=given, environ=environ or {})


def found(name="prod", environ=None, config=None):
    """The connection as the files say."""
    return resolve(name, backend=None, config=config, arguments={}, environ={"ACME_TOKEN": TOKEN} | (environ or {}))


def toml(path, label, name="prod", prefix=""):
    """Write a file with one connection, marked with a label."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        f'[{prefix}connections.{name}]\nbackend = "acme"\nbase_url = "{URL}"\n'
        f'token = {{ env = "ACME_TOKEN" }}\nlabel = "{label}"\n'
    )
    return path


def refusal(call, *args, **kwargs):
    """The text of the ConfigError that a call raises; it shows the token nowhere, however deep one looks."""
    with pytest.raises(ConfigError) as caught:
        call(*args, **kwargs)
    error = caught.value
    shown = [str(error), repr(error), repr(vars(error)), *traceback.format_exception(error)]
    assert not any(TOKEN in text for text in shown)
    assert TOKEN not in repr(vars(pickle.loads(pickle.dumps(error))))
    return str(error)


# --- which file


def test_a_named_connection_comes_from_the_given_file(tmp_path):
    """`config` names the file, and the connection carries name, backend class and settings."""
    connection = found(config=toml(tmp_path / "my.toml", "mine"))
    assert ("prod", Acme, "mine") == (connection.name, connection.backend, connection.settings.label)
    assert connection.settings.token.reveal() == TOKEN


def test_files_are_searched_in_order(home, tmp_path):
    """Argument, $FLOWRUNNER_CONFIG, ./flowrunner.toml, ./pyproject.toml, the user's folder: the first one is read."""
    given, variable = toml(tmp_path / "a.toml", "argument"), toml(tmp_path / "b.toml", "variable")
    toml(home / "flowrunner.toml", "here")
    toml(home / "pyproject.toml", "pyproject", prefix="tool.flowrunner.")
    toml(tmp_path / "user" / "flowrunner" / "config.toml", "user")
    environ = {"FLOWRUNNER_CONFIG": str(variable)}
    assert found(config=str(given), environ=environ).settings.label == "argument"
    assert found(environ=environ).settings.label == "variable"
    assert found(environ={"FLOWRUNNER_CONFIG": ""}).settings.label == "here"
    (home / "flowrunner.toml").unlink()
    assert found().settings.label == "pyproject"
    (home / "pyproject.toml").unlink()
    assert found().settings.label == "user"


@pytest.mark.parametrize("content", ["", "tool = 3", "[tool.other]"])
def test_a_pyproject_without_our_table_is_passed_over(home, tmp_path, content):
    """Only `[tool.flowrunner]` makes a pyproject.toml a configuration."""
    (home / "pyproject.toml").write_text(content)
    toml(tmp_path / "user" / "flowrunner" / "config.toml", "user")
    assert found().settings.label == "user"


def test_a_pyproject_may_be_named(home):
    """A pyproject.toml given by path is read below `[tool.flowrunner]`, and must have that table."""
    path = toml(home / "pyproject.toml", "mine", prefix="tool.flowrunner.")
    assert found(config=path).settings.label == "mine"
    path.write_text("")
    assert "[tool.flowrunner] in" in refusal(found, config=path)


def test_a_byte_order_mark_does_no_harm(tmp_path):
    """Editors that write one are no reason to fail."""
    path = toml(tmp_path / "my.toml", "mine")
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert found(config=path).settings.label == "mine"


@pytest.mark.parametrize(("config", "variable"), [("gone.toml", None), (None, "gone.toml")])
def test_a_named_file_must_exist(config, variable):
    """A file that was named and is not there is an error that names it and who named it."""
    environ = {"FLOWRUNNER_CONFIG": variable} if variable else {}
    text = refusal(found, config=config, environ=environ)
    assert (config or variable) in text
    assert ("`config`" if config else "$FLOWRUNNER_CONFIG") in text


def test_what_is_no_path_is_refused():
    """A path that no system has is an error of ours, too."""
    assert "that is no path" in refusal(found, config="a\0b.toml")


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (f'token = "{TOKEN}"\nx =', "is not TOML: Invalid value (at end of document)"),
        (f'token = "{TOKEN}"\nx = ?\n', "is not TOML: Invalid value (at line 2, column 5)"),
        (f'token = "{TOKEN}"\n#\xff', "is not UTF-8 text"),
        ("connection = 1", "unknown key 'connection'"),
        ("connections = 1", "must be a table, not int"),
        ("[connections]\nprod = 1", "[connections.prod] in"),
    ],
)
def test_a_broken_file_is_named_with_what_is_wrong(tmp_path, content, problem):
    """Syntax errors come with line and column, unknown keys with the near miss; no content is shown."""
    path = tmp_path / "my.toml"
    path.write_bytes(content.encode("latin-1"))
    text = refusal(found, config=path)
    assert str(path) in text
    assert problem in text


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    """A folder is no file."""
    assert f"{tmp_path} cannot be read: " in refusal(found, config=tmp_path)


def test_errors_about_files_drop_what_they_replace(tmp_path):
    """The parser's errors may carry the whole file, so they are not chained."""
    path = tmp_path / "my.toml"
    path.write_text(f'token = "{TOKEN}"\nx = ?\n')
    with pytest.raises(ConfigError) as caught:
        found(config=path)
    assert (caught.value.__cause__, caught.value.__context__) == (None, None)


def test_pyproject_table_must_be_a_table(home):
    """`tool.flowrunner = 3` is a mistake, not an absent configuration."""
    (home / "pyproject.toml").write_text("[tool]\nflowrunner = 3")
    assert "must be a table, not int" in refusal(found)


def test_names_of_connections_are_texts():
    """A mapping as configuration is checked like a file."""
    assert "must be a text, not int" in refusal(named, connections={3: {}})


# --- which connection, which backend


def test_an_unknown_connection_names_the_near_miss():
    """The error has near miss, list and place."""
    with pytest.raises(UnknownConnection, match=r"mapping.*did you mean 'prod'\? There are: prod"):
        named("prdo")


def test_a_backend_where_a_connection_belongs():
    """Who gives a vendor's name for a connection's is told how a vendor is named; others are not."""
    with pytest.raises(UnknownConnection) as caught:
        connect("acme", config={}, token="t")
    assert "connect(backend='acme', ...)" in caught.value.message
    assert caught.value.backend == "acme"
    with pytest.raises(UnknownConnection) as caught:
        connect("prod", config={})
    assert ("backend" in caught.value.message, caught.value.backend) == (False, None)


def test_an_unknown_connection_says_where_was_searched(home):
    """With no file at all the error lists the places."""
    with pytest.raises(UnknownConnection) as caught:
        found()
    assert str(home / "flowrunner.toml") in str(caught.value)
    assert f"[tool.flowrunner] in {home / 'pyproject.toml'}" in str(caught.value)
    assert "config.toml" in str(caught.value)


def test_without_name_and_backend_the_connections_are_listed():
    """Who names nothing is told what there is."""
    config = {"connections": {"prod": {}, "dev": {}}}
    with pytest.raises(ConfigError, match="there are: dev, prod"):
        resolve(None, backend=None, config=config, arguments={}, environ={})


def test_the_backend_argument_overrides_the_file():
    """The argument wins, as a name or as a class."""
    connections = {"prod": {"backend": "acme", "timeout": 5}}
    for backend in ("local", Local):
        assert named(backend=backend, connections=connections).backend is Local


def test_a_connection_needs_a_backend():
    """Without one in file and argument the known ones are listed."""
    assert "has no `backend`: there are: acme, local" in refusal(named, connections={"prod": {}})


def test_an_unknown_backend_is_located():
    """The error says which connection asks for it."""
    with pytest.raises(UnknownBackend, match=r"'acne'.*\(connection 'prod'\)"):
        named(backend=None, connections={"prod": {"backend": "acne"}})


def test_a_settings_class_that_cannot_be_read_is_the_backends_fault():
    """An annotation that means nothing raises BackendLoadError."""

    @frozen
    class Broken(Settings):
        thing: "NoSuchType" = 1  # noqa: F821 - this is what is tested

    backend = type("BrokenBackend", (Local,), {"settings_class": Broken})
    with pytest.raises(BackendLoadError, match="NoSuchType"):
        resolve(None, backend=backend, config=None, arguments={}, environ={})


@pytest.mark.parametrize(
    ("base_url", "name"),
    [
        ("https://FLOW.example.com", "acme@flow.example.com"),
        ("https://flow.example.com:443/", "acme@flow.example.com:443"),
        ("http://[::1]:8080/Prefix//", "acme@[::1]:8080/Prefix"),
    ],
)
def test_settings_in_place_are_named_by_their_address(base_url, name):
    """`backend@host:port/prefix`, the port where the address has one."""
    assert name == inline(base_url=base_url).name


def test_a_backend_without_address_is_its_own_name():
    """What is not HTTP has no host to be named by."""
    assert resolve(None, backend=Local, config=None, arguments={}, environ={}).name == "local"


def test_settings_in_place_read_no_file_and_no_variables(home):
    """A broken file and a variable that fits do not matter to a connection given in place."""
    (home / "flowrunner.toml").write_text("?")
    environ = {"FLOWRUNNER_ACME_LABEL": "x", "FLOWRUNNER__LABEL": "x", "FLOWRUNNER_CONFIG": "gone"}
    assert inline(environ=environ).settings.label == ""


def test_the_empty_name_is_a_name():
    """A connection may be called nothing at all, and is not taken for one given in place."""
    assert named("", connections={"": entry()}).name == ""


# --- precedence, environment


def test_argument_beats_environment_beats_file_beats_default():
    """Setting by setting."""
    environ = {"FLOWRUNNER_PROD_RETRIES": "2", "FLOWRUNNER_PROD_TIMEOUT": "2"}
    settings = named(
        retries=1, timeout=1, poll_max=1, environ=environ, arguments={"retries": 3}
    ).settings  # fmt: skip
    assert (settings.retries, settings.timeout, settings.poll_max, settings.poll_min) == (3, 2.0, 1.0, 0.5)


def test_only_the_source_that_wins_is_read():
    """A file's variable need not be set where an argument gives the credential."""
    connection = named(token={"env": "NOT_SET"}, arguments={"token": "given"})
    assert connection.settings.token.reveal() == "given"


def test_an_empty_variable_counts_as_unset():
    """It neither overrides nor fails."""
    assert named(retries=1, environ={"FLOWRUNNER_PROD_RETRIES": ""}).settings.retries == 1


def test_variables_fold_the_name_of_the_connection():
    """Capitals, and `_` for whatever is not a letter or a digit of ASCII."""
    connections = {"my-prod.1é": entry()}
    environ = {"FLOWRUNNER_MY_PROD_1__RETRIES": "9"}
    assert named("my-prod.1é", connections=connections, environ=environ).settings.retries == 9


@pytest.mark.parametrize(
    ("variable", "other"),
    [
        ("FLOWRUNNER_PROD_X_RETRIES", "prod.x"),
        ("FLOWRUNNER_PROD_X_BASE_URL", "PROD_X"),
    ],
)
def test_a_variable_for_two_connections_is_refused(variable, other):
    """Names that fold to the same prefix clash once the variable is set, not before."""
    connections = {"prod-x": entry(), other: entry()}
    assert named("prod-x", connections=connections).name == "prod-x"
    text = refusal(named, "prod-x", connections=connections, environ={variable: "1"})
    assert f"${variable} could mean" in text
    assert repr(other) in text


def test_a_variable_for_two_settings_is_refused(monkeypatch):
    """`prod` with the setting `x_retries` and `prod-x` with `retries` share a variable."""

    @frozen
    class Wide(Settings):
        x_retries: int = 0

    wide = type("WideBackend", (Local,), {"settings_class": Wide})
    connections = {"prod": {"backend": wide}, "prod-x": {"backend": "local"}}
    environ = {"FLOWRUNNER_PROD_X_RETRIES": "1"}
    for name in connections:
        text = refusal(named, name, connections=connections, environ=environ)
        assert "retries of 'prod-x' and x_retries of 'prod'" in text


def test_a_connection_of_another_prefix_claims_no_variable():
    """Other connections do not matter to a variable that cannot be theirs."""
    connections = {"prod": entry(), "dev": entry()}
    assert named(connections=connections, environ={"FLOWRUNNER_PROD_RETRIES": "1"}).settings.retries == 1


@pytest.mark.parametrize("other", [{}, 3, {"backend": "acne"}])
def test_a_misconfigured_neighbour_claims_no_variable(other):
    """Another connection that could not be used anyway does not stand in the way."""
    connections = {"prod": entry(), "PROD": other}
    environ = {"FLOWRUNNER_PROD_RETRIES": "1"}
    assert named(connections=connections, environ=environ).settings.retries == 1


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("check_parameters", "Off", False),
        ("check_parameters", "1", True),
        ("retries", "7", 7),
        ("timeout", "2.5", 2.5),
        ("requests_per_second", "4", 4.0),
        ("proxy", "http://proxy.example.com", "http://proxy.example.com"),
        ("folder", "/data", Path("/data")),
        ("anything", "x", "x"),
        ("token", "from-env", Secret("from-env")),
    ],
)
def test_variables_are_read_as_the_settings_type(name, text, expected):
    """The text of a variable becomes the type the settings class declares."""
    environ = {f"FLOWRUNNER_PROD_{name.upper()}": text}
    assert expected == getattr(named(environ=environ).settings, name)


@pytest.mark.parametrize(
    ("name", "text", "problem"),
    [
        ("check_parameters", TOKEN, "expected one of true"),
        ("retries", TOKEN, "expected a whole number"),
        ("timeout", TOKEN, "expected a number"),
        ("timeout", "nan", "not nan"),
        ("status_map", TOKEN, "cannot be given by an environment variable"),
    ],
)
def test_a_variable_that_does_not_read_is_named(name, text, problem):
    """The error names the variable, not what is in it."""
    variable = f"FLOWRUNNER_PROD_{name.upper()}"
    shown = refusal(named, environ={variable: text})
    assert f"${variable}: " in shown
    assert problem in shown


def test_variables_that_match_no_setting_are_ignored():
    """They may belong to another connection, or to another program."""
    assert named(environ={"FLOWRUNNER_PROD_RETRY": "1"}).settings.retries == 3


# --- types


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("timeout", 3, 3.0),
        ("timeout", timedelta(minutes=1), 60.0),
        ("requests_per_second", None, None),
        ("label", "x", "x"),
        ("tags", ["a"], ["a"]),
        ("pair", ["a", "b"], ("a", "b")),
        ("loose", [1, "a"], [1, "a"]),
        ("table", {"a": 1}, {"a": 1}),
        ("headers", {"A-b": "c"}, {"A-b": "c"}),
        ("anything", 5, 5),
        ("second", None, None),
        ("bare", "x", Secret("x")),
        ("second", Secret("x"), Secret("x")),
    ],
)
def test_values_of_the_declared_type_pass(name, value, expected):
    """Arguments and file take the same values; an int is a fine float."""
    result = getattr(inline(**{name: value}).settings, name)
    assert expected == result
    assert type(expected) is type(result)


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("timeout", True, "expected a number, not true or false; a duration is a number of seconds, or a timedelta"),
        ("timeout", "3", "expected a number, not a text; a duration is a number of seconds"),
        ("timeout", 10**400, "too large"),
        ("timeout", float("nan"), "not nan"),
        ("retries", 1.0, "expected a whole number, not a number"),
        ("retries", False, "not true or false"),
        ("check_parameters", 1, "expected true or false, not a whole number"),
        ("label", 1, "expected a text, not a whole number"),
        ("label", None, "not None"),
        ("folder", 1, "expected a text, not a whole number"),
        ("tags", "abc", "expected a list, not a text"),
        ("tags", ["a", 1], "item 1: expected a text, not a whole number"),
        ("headers", ["a"], "expected a table of names and values, not a list"),
        ("headers", {1: "a"}, "expected a text, not a whole number"),
        ("headers", {"a": 1}, "'a': expected a text, not a whole number"),
        ("headers", {"a": b"b"}, "'a': expected a text, not bytes"),
        ("odd", 1, "cannot be configured"),
        ("exotic", 1, "cannot be configured"),
        ("token", None, "expected { env"),
        ("token", 5, "not int"),
    ],
)
def test_values_of_another_type_are_refused(name, value, problem):
    """Nothing is coerced; the error names setting and origin, and the types as a configuration has them."""
    text = refusal(inline, **{name: value})
    assert f"the argument {name}: " in text
    assert problem in text


def test_an_unknown_setting_names_the_near_miss():
    """In the file and among the arguments alike, and also where its name is no text."""
    assert "'tiemout', given in [connections.prod] in the mapping" in refusal(named, tiemout=1)
    assert "did you mean 'timeout'?" in refusal(named, arguments={"tiemout": 1})
    assert "no setting 3" in refusal(named, connections={"prod": {"backend": "acme", 3: 4}})


def test_an_attribute_that_is_computed_is_no_setting():
    """What the class makes itself cannot be configured; a private name is given without its underscore."""
    assert "no setting 'computed'" in refusal(inline, computed=1)
    assert inline(private=5).settings._private == 5


def test_missing_settings_say_how_to_give_them():
    """All of them at once, with argument, variable and key."""
    text = refusal(named, connections={"prod": {"backend": "acme"}})
    assert "pass base_url=..., set $FLOWRUNNER_PROD_BASE_URL, or write base_url = ... under [connections.prod]" in text
    assert 'token = { env = "NAME" }' in text
    alone = refusal(resolve, None, backend=Acme, config=None, arguments={"base_url": URL}, environ={})
    assert alone == "the setting token is missing: pass token=..."


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"timeout": -1}, "timeout must be more than 0 and finite, not -1.0 (connection 'prod')"),
        ({"timeout": 0}, "timeout must be more than 0 and finite, not 0.0 (connection 'prod')"),
        ({"timeout": float("inf")}, "timeout must be more than 0 and finite, not inf (connection 'prod')"),
        ({"timeout": float("nan")}, "the argument timeout: expected a number, not nan (connection 'prod')"),
        ({"label": "a b"}, "label: no spaces please (connection 'prod')"),
        ({"label": "same", "other": "same"}, "label and other must differ (connection 'prod')"),
        ({"label": "trap"}, "the token *** does not go with this label (connection 'prod')"),
        ({"label": "bare"}, "ValueError (connection 'prod')"),
    ],
)
def test_what_validators_refuse_is_a_config_error(arguments, text):
    """It names connection and setting, and hides credentials that a validator would show."""
    assert text == refusal(named, arguments={"token": TOKEN} | arguments)


# --- status_map


def test_status_map_reads_meanings_by_folded_words():
    """Words are compared folded, and a Meaning passes as it is."""
    known = Meaning(RunState.SUCCEEDED)
    given = {"NEW_Word": "failed/platform", "On-hold": "waiting/paused", "x": known}
    expected = {
        "newword": Meaning(RunState.FAILED, cause=Cause.PLATFORM),
        "onhold": Meaning(RunState.WAITING, reason=WaitReason.PAUSED),
        "x": known,
    }
    assert expected == named(status_map=given).settings.status_map


@pytest.mark.parametrize("value", ["runing", "failed/by_us", "submitting", "unknown", 3])
def test_a_bad_meaning_names_the_word_and_lists_what_there_is(value):
    """Every value that the state machine reads is listed."""
    text = refusal(named, status_map={"NEW": value})
    assert "status_map of [connections.prod]" in text
    assert "'NEW': expected one of queued, running, " in text
    assert "submitting" not in text
    assert "unknown" not in text
    assert "waiting/user_input" in text
    assert "failed/by_us" not in text


def test_a_word_given_twice_is_refused():
    """Two spellings of one word cannot mean two things."""
    assert "given twice" in refusal(named, status_map={"A_B": "running", "ab": "queued"})


# --- credentials


def test_credentials_come_from_a_variable():
    """`{ env = ... }`."""
    assert named().settings.token.reveal() == TOKEN


@pytest.mark.parametrize(("environ", "problem"), [({}, "not set"), ({"GONE": ""}, "empty")])
def test_an_unset_variable_is_named(environ, problem):
    """With the connection that wants it."""
    text = refusal(named, token={"env": "GONE"}, environ=environ)
    assert f"the environment variable GONE is {problem} (connection 'prod')" in text


def test_credentials_come_from_a_file_beside_the_configuration(tmp_path):
    """A relative path starts at the configuration's folder; the newline at the end goes."""
    path = tmp_path / "conf" / "my.toml"
    path.parent.mkdir()
    path.write_text(f'[connections.prod]\nbackend = "acme"\nbase_url = "{URL}"\ntoken = {{ file = "token" }}\n')
    (path.parent / "token").write_bytes(f"\ufeff{TOKEN}\r\n".encode())
    assert found(config=path).settings.token.reveal() == TOKEN


@pytest.mark.parametrize(
    ("content", "problem"),
    [(None, "cannot be read: No such file"), (b"\n", "is empty"), (TOKEN.encode("utf-16"), "is not UTF-8 text")],
)
def test_a_credential_file_without_credential_is_named(home, content, problem):
    """Absent, empty or unreadable."""
    if content is not None:
        (home / "token").write_bytes(content)
    text = refusal(named, token={"file": "token"})
    assert f"the file {home / 'token'} {problem}" in text


class FakeKeyring(ModuleType):
    """A keyring with one entry, or with a failure."""

    failure = None

    def get_password(self, service, user):
        """The one password there is."""
        if self.failure:
            raise self.failure
        return TOKEN if (service, user) == ("https://flow.example.com/api", "robot") else None


@pytest.fixture
def keyring(monkeypatch):
    """The module `keyring`, without a system behind it."""
    module = FakeKeyring("keyring")
    monkeypatch.setitem(sys.modules, "keyring", module)
    return module


def test_credentials_come_from_the_keyring(keyring):
    """The user is what follows the last slash."""
    connection = named(token={"keyring": "https://flow.example.com/api/robot"})
    assert connection.settings.token.reveal() == TOKEN


def test_an_absent_keyring_entry_is_named(keyring):
    """By service and user."""
    assert "no entry for service 'acme' and user 'prod'" in refusal(named, token={"keyring": "acme/prod"})


@pytest.mark.parametrize("written", ["acme", "/prod", "acme/"])
def test_a_keyring_entry_has_service_and_user(keyring, written):
    """One without the other is a mistake."""
    assert '"SERVICE/USER"' in refusal(named, token={"keyring": written})


def test_a_keyring_that_fails_says_why(keyring):
    """Whatever the system's keyring raises."""
    keyring.failure = RuntimeError("locked")
    assert "the keyring cannot be read: RuntimeError: locked" in refusal(named, token={"keyring": "acme/prod"})


def test_without_the_extra_the_keyring_says_what_to_install(monkeypatch):
    """The package is optional."""
    monkeypatch.setitem(sys.modules, "keyring", None)
    assert 'pip install "flowrunner[keyring]"' in refusal(named, token={"keyring": "acme/prod"})


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ({}, "exactly one of"),
        ({"env": "A", "file": "b"}, "exactly one of"),
        ({"command": "pass show acme"}, "no source 'command'"),
        ({"enf": "A"}, "did you mean 'env'?"),
        ({3: "A"}, "no source 3"),
        ({"env": ""}, "not empty"),
        ({"env": 3}, "not empty"),
    ],
)
def test_other_sources_are_refused(source, problem):
    """One key of the three that are known; nothing is executed."""
    assert problem in refusal(named, token=source)


def test_a_literal_in_the_file_works_with_a_warning():
    """It says what to do instead, and shows nothing."""
    with pytest.warns(UserWarning, match=r"token of \[connections.prod\].*\{ env = ") as caught:
        connection = named(token=TOKEN)
    assert connection.settings.token.reveal() == TOKEN
    assert not any(TOKEN in str(one.message) for one in caught)


@pytest.mark.parametrize("address", ["http://localhost:8080", "http://127.0.0.1:1/x", "https://[::1]"])
def test_a_literal_for_this_very_machine_works_without_a_warning(address):
    """What opens a simulator is nobody's secret."""
    assert named(token=TOKEN, base_url=address).settings.token.reveal() == TOKEN


def test_literals_elsewhere_do_not_warn():
    """Arguments and variables are as good a place as any; a literal that does not count is not mentioned either."""
    assert inline(token=TOKEN).settings.token.reveal() == TOKEN
    environ = {"FLOWRUNNER_PROD_TOKEN": TOKEN}
    assert named(token="in the file", environ=environ).settings.token.reveal() == TOKEN


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("", "is empty"),
        (f"{TOKEN}\n", "has a line break or another control character"),
        (f"a\x85{TOKEN}", "has a line break or another control character"),
        (f" {TOKEN}", "begins or ends with a blank"),
    ],
)
def test_what_can_be_no_credential_is_refused(value, problem):
    """Before an HTTP library would complain, and show it."""
    text = refusal(inline, token=value)
    assert f"the argument token: the credential {problem}" in text


def test_nothing_shows_a_credential():
    """Neither the connection nor its settings."""
    connection = inline(second=TOKEN, bare={"env": "X"}, environ={"X": TOKEN})
    assert TOKEN not in repr(connection)
    assert TOKEN not in repr(connection._renew)
    assert TOKEN not in str(connection.settings)
    assert len(connection.settings.secrets()) == 3


# --- reload


def test_reload_reads_credentials_anew(home):
    """A token file that was replaced counts; everything else stays, also what it is set to now."""
    (home / "token").write_text("old")
    environ = {"ACME_TOKEN": TOKEN, "FLOWRUNNER_PROD_RETRIES": "5"}
    config = {"connections": {"prod": entry(token={"file": "token"})}}
    connection = resolve("prod", backend=None, config=config, arguments={"private": 4}, environ=environ)
    (home / "token").write_text("new")
    environ["FLOWRUNNER_PROD_RETRIES"] = "nonsense"
    settings = connection.reload()
    assert (settings.token.reveal(), settings.retries, settings._private) == ("new", 5, 4)
    assert connection.settings.token.reveal() == "old"


def test_reload_keeps_the_folder(home, tmp_path, monkeypatch):
    """Relative paths stay where they were when the program changes its working folder."""
    (home / "token").write_text("old")
    connection = inline(token={"file": "token"}, ca_file="token")
    from_mapping = named(token={"file": "token"})
    monkeypatch.chdir(tmp_path)
    assert connection.reload().token.reveal() == "old"
    assert from_mapping.reload().token.reveal() == "old"


def test_reload_follows_the_same_precedence():
    """A variable of the connection that is set meanwhile beats the file; a literal stays, without a second warning."""
    environ = {"ACME_TOKEN": TOKEN}
    config = {"connections": {"prod": entry(second="literal")}}
    with pytest.warns(UserWarning, match="written in the file"):
        connection = resolve("prod", backend=None, config=config, arguments={}, environ=environ)
    environ["FLOWRUNNER_PROD_TOKEN"] = "newer"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        settings = connection.reload()
    assert (settings.token.reveal(), settings.second.reveal()) == ("newer", "literal")


def test_reload_says_when_a_credential_is_gone():
    """A source that has dried up is a ConfigError that names it."""
    environ = {"ACME_TOKEN": TOKEN}
    connection = resolve(
        "prod", backend=None, config={"connections": {"prod": entry()}}, arguments={}, environ=environ
    )  # fmt: skip
    del environ["ACME_TOKEN"]
    assert "ACME_TOKEN is not set" in refusal(connection.reload)


def test_a_connection_made_by_hand_reloads_to_itself():
    """Without sources there is nothing to read anew."""
    settings = Settings()
    assert Connection("x", Local, settings).reload() is settings


# --- addresses and files


@pytest.mark.parametrize(
    ("base_url", "problem"),
    [
        ("flow.example.com", "such as https://"),
        ("ftp://flow.example.com", "such as https://"),
        ("https://", "such as https://"),
        ("https://[::1", "such as https://"),
        ("https://flow.example.com:port", "such as https://"),
        ("https://flow.example.com\\@evil.example.com", "such as https://"),
        ("https://flow.example.com /", "such as https://"),
        (f"https://me:{TOKEN}@flow.example.com", "user or a password"),
        (f"https://me:{TOKEN}@flow.example.com:port", "such as https://"),
        (f"https://flow.example.com/?token={TOKEN}", "query"),
        (f"https://flow.example.com/#{TOKEN}", "fragment"),
        (f"https://flow.example.com/{TOKEN}?", "query"),
    ],
)
def test_an_address_is_host_port_and_path(base_url, problem):
    """Anything else is refused without repeating the address, which may hold a password."""
    text = refusal(inline, base_url=base_url)
    assert "the argument base_url: " in text
    assert problem in text


def test_slashes_at_the_end_of_an_address_go():
    """So that paths can be appended."""
    assert inline(base_url="https://flow.example.com/x//").settings.base_url == "https://flow.example.com/x"


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST", "127.0.0.1", "127.8.9.10", "[::1]"])
def test_plain_http_goes_to_loopback(host):
    """What does not leave the machine need not be encrypted."""
    assert inline(base_url=f"http://{host}:8080").settings.base_url.startswith("http://")


@pytest.mark.parametrize("host", ["flow.example.com", "127.0.0.1.example.com", "10.0.0.1", "[2001:db8::1]"])
def test_plain_http_elsewhere_is_refused_unless_allowed(host):
    """The error says why, and what to do."""
    text = refusal(inline, base_url=f"http://{host}")
    assert "base_url: plain http to " in text
    assert "allow_insecure = true" in text
    assert inline(base_url=f"http://{host}", allow_insecure=True).settings.allow_insecure


def test_a_default_address_is_held_to_the_same_rule():
    """Also an address that nobody configured carries no credential in the open."""

    @frozen
    class Careless(Settings):
        base_url: str = "http://flow.example.com"

    careless = type("CarelessBackend", (Local,), {"settings_class": Careless})
    assert "plain http" in refusal(resolve, None, backend=careless, config=None, arguments={}, environ={})


@pytest.mark.parametrize(
    ("host", "expected"),
    [("localhost", True), ("127.0.0.1", True), ("::1", True), ("example.com", False), ("0.0.0.0", False), ("", False)],
)
def test_is_loopback(host, expected):
    """`localhost`, 127.0.0.0/8 and ::1, and nothing else."""
    assert expected is is_loopback(host)


def test_paths_in_a_file_start_at_its_folder(tmp_path, home):
    """`ca_file` and every setting that is a path; as an argument they start at the working folder."""
    path = toml(tmp_path / "conf" / "my.toml", "x")
    (path.parent / "ca.pem").touch()
    (home / "ca.pem").touch()
    path.write_text(path.read_text() + 'ca_file = "ca.pem"\nfolder = "data"\nplaces = ["a"]\n')
    settings = found(config=path).settings
    assert str(path.parent / "ca.pem") == settings.ca_file
    assert path.parent / "data" == settings.folder
    assert (path.parent / "a",) == settings.places
    assert str(home / "ca.pem") == inline(ca_file="ca.pem").settings.ca_file
    assert inline(ca_file=None).settings.ca_file is None


def test_ca_file_must_exist(home):
    """A file that is not there would only show at the first request."""
    assert f"the argument ca_file: there is no file {home / 'ca.pem'}" in refusal(inline, ca_file="ca.pem")


# --- all of it


SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5), st.sampled_from([URL, "acme", "running"])
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5) | st.integers(), inner, max_size=2),
    max_leaves=4,
)
KEYS = st.one_of(
    st.sampled_from(["backend", "timeout", "retries", "status_map", "tags", "label", "ca_file"]), st.text(max_size=5)
)
TABLES = st.dictionaries(KEYS, VALUES, max_size=4).map(lambda table: {"backend": "acme", "base_url": URL} | table)
CREDENTIALS = st.one_of(VALUES, st.dictionaries(st.sampled_from(["env", "file"]), st.text(max_size=4), max_size=2))


@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    config=st.one_of(
        st.dictionaries(KEYS | st.just("connections"), VALUES, max_size=2),
        st.builds(lambda table, token: {"connections": {"prod": table | {"token": token}}}, TABLES, CREDENTIALS),
    )
)
@example(config={"connections": {"prod": {"backend": ["acme"]}}})
@example(config={"connections": {"prod": entry(ca_file="\0")}})
@example(config={"connections": {"prod": entry(token={"file": "\0"})}})
def test_any_mapping_is_a_connection_or_an_error_of_ours(config):
    """No configuration, however wrong, raises anything but a FlowrunnerError."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        try:
            connection = resolve("prod", backend=None, config=config, arguments={}, environ={"ACME_TOKEN": TOKEN})
        except FlowrunnerError:
            return
    assert connection.reload() == connection.settings


def test_importing_the_configuration_is_light():
    """What only some configurations need is imported when they need it."""
    program = "import sys; before = set(sys.modules); import flowrunner.config; print(*set(sys.modules) - before)"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    assert not {"httpx", "tomllib", "platformdirs", "keyring", "cattrs", "difflib"} & set(loaded)


@given(
    text=st.text()
    | st.lists(
        st.sampled_from(
            ["[connections.prod]", "[connections]", "connections = 1", "backend = 'acme'", "[[", "token.env = 1", "x"]
        ),
        max_size=5,
    ).map("\n".join)
)
@example(text="x = " + "[" * 100_000)
@example(text="x = " + "9" * 5000)
def test_any_file_is_a_configuration_or_an_error_of_ours(tmp_path_factory, text):
    """Whatever a file says, nothing but a FlowrunnerError comes out."""
    file = tmp_path_factory.getbasetemp() / "any.toml"
    file.write_bytes(text.encode("utf-8", "surrogatepass"))
    with suppress(FlowrunnerError):
        resolve("prod", backend=None, config=str(file), arguments={}, environ={"ACME_TOKEN": TOKEN})
