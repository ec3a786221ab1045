"""`flowrunner connections`, and what shells complete."""

from __future__ import annotations

import json

import pytest
from click.shell_completion import ShellComplete

from flowrunner.cli.app import app
from flowrunner.config.schema import schema


def test_they_are_listed_without_being_loaded(cli, config, simulator):
    """Name, backend and address; the file stands on stderr; a broken one is in the list, too."""
    with config.open("a") as file:
        file.write('[connections.ill]\nbase_url = "https://u:s3cret@x"\n')
    text, lines = cli("connections"), cli("connections", "--json", "-q")

    assert text.stdout.splitlines() == [f"sim  fme-flow-v4  {simulator.base_url}", "ill  no backend"]
    assert f"Configured in {config}" in text.stderr
    assert lines.stderr == ""
    assert [json.loads(line) for line in lines.stdout.splitlines()] == [
        {"connection": "sim", "backend": "fme-flow-v4", "base_url": simulator.base_url, "file": str(config), "line": 1},
        {"connection": "ill", "backend": None, "base_url": None, "file": str(config), "line": 6},
    ]


def test_the_address_of_the_environment_is_shown(cli):
    """It is the one that would be used."""
    shown = cli("connections", FLOWRUNNER_SIM_BASE_URL="https://other.example")
    assert shown.stdout.split() == ["sim", "fme-flow-v4", "https://other.example"]


def test_without_any_the_command_that_makes_one_is_named(cli, config):
    """Exit code 0: nothing is wrong."""
    config.write_text("")
    ended = cli("connections")
    assert (ended.code, ended.stdout) == (0, "")
    assert "flowrunner init" in ended.stderr


def test_what_is_no_table_is_no_error_of_the_list(cli, config):
    """Nothing is checked for it."""
    config.write_text("[connections]\nodd = 1\n")
    assert cli("connections").stdout.split() == ["odd", "no", "backend"]


def test_a_setting_says_where_it_is_from(cli, config, simulator):
    """Line, variable or default; the token is masked, and its source named."""
    text = cli("connections", "--explain", "sim", FLOWRUNNER_SIM_TIMEOUT="7", FLOWRUNNER_SIM_PROXY="http://u:p@x")
    rows = {line.split()[0]: " ".join(line.split()[1:]) for line in text.stdout.splitlines()}

    assert text.code == 0
    assert rows["base_url"] == f"{simulator.base_url} flowrunner.toml, line 3"
    assert rows["token"] == "*** flowrunner.toml, line 4: the environment variable SIM_TOKEN"
    assert rows["timeout"] == "7.0 $FLOWRUNNER_SIM_TIMEOUT"
    assert rows["proxy"] == "*** $FLOWRUNNER_SIM_PROXY"
    assert rows["retries"] == "3 default"
    assert rows["requests_per_second"] == "(none) default"
    assert simulator.token not in text.stdout + text.stderr
    assert f"sim: fme-flow-v4, configured in {config}, line 1" in text.stderr


def test_a_setting_that_cannot_be_used_says_so(cli):
    """Exit code 2, the reason on stderr also for who asked for quiet, and the rest is explained all the same."""
    text = cli("connections", "--explain", "sim", "--quiet", SIM_TOKEN="")
    found = cli("connections", "--explain", "sim", "--json", SIM_TOKEN="")

    assert (text.code, found.code) == (2, 2)
    assert "(problem)" in text.stdout
    assert "the environment variable SIM_TOKEN is empty" in text.stderr
    assert "SIM_TOKEN is empty" in found.record["problem"]


def test_an_unknown_one_names_the_near_miss(cli):
    """Exit code 2."""
    ended = cli("connections", "--explain", "smi", "--json")
    assert (ended.code, ended.record["error"]) == (2, "UnknownConnection")
    assert "did you mean 'sim'" in ended.stderr


def test_the_schema_is_printed(cli):
    """The whole of it, ready for a file; it goes with nothing else."""
    assert json.loads(cli("connections", "--schema").stdout) == schema()
    assert cli("connections", "--schema", "--explain", "sim").code == 2


# --- completion


def completions(words, incomplete=""):
    """What a shell is offered."""
    complete = ShellComplete(app, {}, "flowrunner", "_FLOWRUNNER_COMPLETE")
    return [each.value for each in complete.get_completions(words, incomplete)]


@pytest.mark.parametrize(
    "words",
    [
        ["run"],
        ["recover"],
        ["status"],
        ["wait"],
        ["cancel"],
        ["watch"],
        ["doctor"],
        ["connections", "--explain"],
        ["flows"],
        ["describe"],
        ["runs"],
        ["result"],
        ["logs"],
        ["download"],
    ],
)
def test_connections_are_completed(config, words):
    """From the configuration, wherever one is expected."""
    assert completions(words, "s") == ["sim"]
    assert completions(words, "x") == []


def test_connections_of_a_named_file_are_completed(config, tmp_path):
    """`--config` counts, where it stands before."""
    other = tmp_path / "other.toml"
    other.write_text("[connections.mine]")
    assert completions(["run", "--config", str(other)]) == ["mine"]


def test_a_broken_configuration_completes_nothing(config):
    """And says nothing: the person is typing."""
    config.write_text("connections = ?")
    assert completions(["run"]) == []


def test_backends_and_vendors_are_completed():
    """By the names there are."""
    assert completions(["simulate"], "inv") == ["invision"]
    assert completions(["init", "--backend"], "smart") == ["smart-flows"]
    assert completions(["backends", "--check"], "fme-flow-v") == ["fme-flow-v3", "fme-flow-v4"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_has_its_script(cli, shell):
    """It calls back with the variable that the command answers to."""
    ended = cli("completion", shell)
    assert ended.code == 0
    assert "_FLOWRUNNER_COMPLETE" in ended.stdout
    assert cli("completion", "tcsh").code == 2
