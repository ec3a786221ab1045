"""Where each setting of a connection comes from."""

import pytest

from flowrunner.config import explain
from flowrunner.config.sources import Origin
from flowrunner.errors import UnknownConnection

TEXT = """\
[connections.prod]
backend = "smart-flows"
base_url = "https://acme.example.com"
api_key = { env = "KEY" }
proxy = "http://user:s3cret@proxy:1"
poll_min = 2
[connections.prod.status_map]
PARKED = "waiting/paused"
"""


@pytest.fixture
def file(tmp_path):
    """A configuration."""
    path = tmp_path / "flowrunner.toml"
    path.write_text(TEXT)
    return path


def explained(config, environ=None, **arguments):
    """The explanation and its settings by name."""
    found = explain("prod", config=config, arguments=arguments, environ={"KEY": "s3cret"} | (environ or {}))
    assert "s3cret" not in repr(found)
    return found, {each.name: each for each in found.settings}


def test_each_value_says_what_gave_it(file):
    """Default, file and line, variable, argument; a credential is masked and its source named."""
    found, by_name = explained(file, {"FLOWRUNNER_PROD_POLL_MAX": "9"}, timeout=5)

    assert (found.backend, found.file, found.line, found.problem) == ("smart-flows", str(file), 1, None)
    expected = {
        "base_url": ("https://acme.example.com", Origin.FILE, None, 3),
        "api_key": ("***", Origin.FILE, None, 4),
        "proxy": ("***", Origin.FILE, None, 5),
        "poll_min": (2.0, Origin.FILE, None, 6),
        "status_map": ({"parked": "waiting/paused"}, Origin.FILE, None, 7),
        "poll_max": (9.0, Origin.ENVIRONMENT, "FLOWRUNNER_PROD_POLL_MAX", None),
        "timeout": (5.0, Origin.ARGUMENT, None, None),
        "retries": (3, Origin.DEFAULT, None, None),
        "password": (None, Origin.DEFAULT, None, None),
    }
    assert {
        name: (by_name[name].value, by_name[name].origin, by_name[name].variable, by_name[name].line)
        for name in expected
    } == expected
    assert by_name["api_key"].source == "the environment variable KEY"
    assert [each.origin for each in found.settings][-1] is Origin.DEFAULT


@pytest.mark.parametrize(
    ("credential", "source"),
    [
        ('{ env = "KEY" }', "the environment variable KEY"),
        ('{ file = "key.txt" }', "the file {folder}/key.txt"),
        ('{ keyring = "acme/prod" }', "the keyring entry acme/prod"),
        ('"s3cret"', "written in the file itself"),
        ('{ evn = "KEY" }', None),
        ("{}", None),
        ("3", None),
    ],
)
def test_a_credential_says_where_it_is_kept(file, tmp_path, credential, source):
    """Never what it is, also where it cannot be read."""
    file.write_text(TEXT.replace('{ env = "KEY" }', credential))
    _, by_name = explained(file)
    assert by_name["api_key"].source == (source and source.format(folder=tmp_path))


def test_a_credential_of_a_variable_or_an_argument_has_no_other_source(file):
    """That is said by its origin already."""
    _, variable = explained(file, {"FLOWRUNNER_PROD_API_KEY": "s3cret"})
    _, argument = explained(file, api_key="s3cret")
    assert (variable["api_key"].value, variable["api_key"].variable) == ("***", "FLOWRUNNER_PROD_API_KEY")
    assert variable["api_key"].source is argument["api_key"].source is None


def test_what_cannot_be_used_says_why(file):
    """A wrong value is not shown: it may be anything."""
    file.write_text(TEXT.replace("poll_min = 2", 'poll_min = "s3cret"'))
    found, by_name = explained(file, {"KEY": ""})
    place = f"poll_min of [connections.prod] in {file}, line 6"
    assert by_name["poll_min"].value is None
    problem = "expected a number, not a text; a duration is a number of seconds, or a timedelta"
    assert by_name["poll_min"].problem == f"{place}: {problem}"
    assert "KEY is empty" in by_name["api_key"].problem
    assert found.problem is not None


def test_a_required_setting_that_is_missing_says_so(file):
    """Beside what the connection as a whole says about it."""
    file.write_text(TEXT.replace("base_url", "#"))
    found, by_name = explained(file)
    assert by_name["base_url"].problem == "it is missing"
    assert "base_url is missing" in found.problem


def test_a_mapping_is_explained_too():
    """It has no lines."""
    found, by_name = explained({"connections": {"prod": {"backend": "invision", "api_key": "s3cret"}}})
    assert (found.file, found.line) == ("the mapping given as `config`", None)
    assert (by_name["api_key"].value, by_name["api_key"].line) == ("***", None)


def test_an_unknown_connection_is_an_error(file):
    """As everywhere."""
    with pytest.raises(UnknownConnection):
        explain("prdo", config=file)


@pytest.mark.parametrize(
    ("written", "shown"),
    [("running", "running"), ("succeeded/warnings", "succeeded/warnings"), ("failed", "failed/unspecified")],
)
def test_a_meaning_is_shown_as_it_could_be_written(file, written, shown):
    """With the detail that it stands for."""
    file.write_text(TEXT.replace("waiting/paused", written))
    assert explained(file)[1]["status_map"].value == {"parked": shown}


def test_a_plugins_values_are_shown_as_json(file, monkeypatch):
    """Lists as lists, paths as texts."""
    from pathlib import Path

    from attrs import field, frozen

    from flowrunner import registry
    from flowrunner.backend import Backend, Settings

    @frozen(kw_only=True)
    class LocalSettings(Settings):
        """Settings of a plugin."""

        places: tuple[Path, ...] = field(default=())

    class Local(Backend):
        """A plugin."""

        backend_api = 1
        name = family = "local"
        settings_class = LocalSettings

    monkeypatch.setattr(registry, "load", lambda _name: Local)
    file.write_text('[connections.prod]\nbackend = "local"\nplaces = ["a"]\n')
    assert explained(file)[1]["places"].value == [str(file.parent / "a")]
