"""The command `flowrunner` itself: version, help, what is loaded, and installations without the extras."""

from __future__ import annotations

import importlib
import subprocess
import sys

import pytest
from click.shell_completion import ShellComplete

import flowrunner
from flowrunner import cli as cli_package
from flowrunner.cli.app import COMMANDS, app
from flowrunner.cli.exit_codes import ExitCode


def run_main(monkeypatch, *arguments):
    """What `main` returns for these arguments."""
    monkeypatch.setattr(sys, "argv", ["flowrunner", *arguments])
    return cli_package.main()


def python(code):
    """What a fresh interpreter prints."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True)
    return done.stdout.split()


def test_the_version_is_answered_first(monkeypatch, capsys):
    """Exit code 0, one line."""
    assert run_main(monkeypatch, "--version") == 0
    assert f"flowrunner {flowrunner.__version__}\n" == capsys.readouterr().out


def test_the_version_costs_no_import():
    """Neither click nor httpx nor anything of the library but the package itself is loaded for it."""
    loaded = python(
        "import sys; sys.argv = ['flowrunner', '--version']\n"
        "from flowrunner.cli import main; main()\n"
        "print(*(name for name in sys.modules if name.partition('.')[0] "
        "    in {'click', 'rich', 'httpx', 'attrs', 'flowrunner'}))"
    )

    assert ["flowrunner", flowrunner.__version__, "flowrunner", "flowrunner.cli"] == loaded


def test_the_help_loads_no_command():
    """Listing the commands costs click alone."""
    loaded = python(
        "import sys; sys.argv = ['flowrunner', '--help']\n"
        "from flowrunner.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print('loaded:', *(name for name in ('httpx', 'rich', 'attrs', 'flowrunner.client') if name in sys.modules))"
    )

    assert loaded[-1] == "loaded:"


def test_the_help_lists_commands_and_exit_codes(cli):
    """A script's author finds every number there."""
    shown = cli("--help").stdout

    assert all(name in shown for name in COMMANDS)
    assert all(f"  {int(code)} " in shown for code in ExitCode)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_where_the_list_says(cli, name):
    """Its summary is the one the list shows, and it has a help of its own."""
    command = app.get_command(None, name)

    assert (name, COMMANDS[name]) == (command.name, command.get_short_help_str(limit=200))
    assert f"Usage: flowrunner {name}" in cli(name, "--help").stdout


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("statsu", "There is no command 'statsu': did you mean 'status'? There are: backends, cancel, "),
        ("Run", "There is no command 'Run': did you mean 'run'? There are: backends, cancel, "),
        ("qqqq", "There is no command 'qqqq': there are: backends, cancel, "),
    ],
)
def test_a_misspelt_command_names_what_may_have_been_meant(cli, word, said):
    """And all there are; it is an error of usage."""
    ended = cli(word, "prod")

    assert (ended.code, ended.stdout) == (2, "")
    assert said in ended.stderr


def test_completion_passes_over_a_misspelt_command():
    """Whoever presses the tabulator behind one gets no error between what they type."""
    completions = ShellComplete(app, {}, "flowrunner", "_FLOWRUNNER_COMPLETE").get_completions(["statsu"], "")

    assert {completion.value for completion in completions} <= {*COMMANDS}


def test_a_misspelt_option_is_still_no_command(cli):
    """The error names the option."""
    assert "No such option" in cli("--halp").stderr


def test_a_shell_completes_the_commands():
    """In the order of the help."""
    completions = ShellComplete(app, {}, "flowrunner", "_FLOWRUNNER_COMPLETE").get_completions([], "")

    assert [each.value for each in completions] == list(COMMANDS)


def test_an_unknown_command_is_a_usage_error(cli):
    """Exit code 2, as for all wrong arguments."""
    assert cli("rnu").code == 2


def test_the_click_version_option_says_the_same(cli):
    """After other arguments, click answers."""
    assert f"flowrunner {flowrunner.__version__}\n" == cli("--version").stdout


def test_main_hands_over_to_click(monkeypatch, capsys):
    """Click ends the process with the command's exit code."""
    with pytest.raises(SystemExit) as ended:
        run_main(monkeypatch, "status")

    assert ended.value.code == 2
    assert "Usage: flowrunner status" in capsys.readouterr().err


@pytest.mark.parametrize("missing", ["click", "rich"])
def test_without_the_extra_the_command_says_what_to_install(monkeypatch, capsys, missing):
    """A core-only installation has the command, and `--version` works there."""
    monkeypatch.setitem(sys.modules, missing, None)

    assert run_main(monkeypatch, "run") == 2
    assert capsys.readouterr().err == 'flowrunner\'s command line needs an extra: pip install "flowrunner[cli]"\n'
    assert run_main(monkeypatch, "--version") == 0


@pytest.mark.parametrize("missing", ["starlette", "uvicorn"])
@pytest.mark.parametrize("words", [["simulate", "fme-flow-v4"], ["demo"]])
def test_without_the_simulators_extra_its_commands_say_what_to_install(cli, monkeypatch, missing, words):
    """Exit code 2."""
    monkeypatch.setitem(sys.modules, missing, None)

    ended = cli(*words)

    assert ended.code == 2
    assert 'pip install "flowrunner[simulator]"' in ended.stderr


def test_python_m_flowrunner_is_the_same_command():
    """For whoever has the package and not the script on the path."""
    command = [sys.executable, "-m", "flowrunner", "--version"]
    ended = subprocess.run(command, capture_output=True, text=True, check=True)

    assert f"flowrunner {flowrunner.__version__}\n" == ended.stdout


def test_importing_the_main_module_does_nothing():
    """Only running it runs the command."""
    assert importlib.import_module("flowrunner.__main__").main is cli_package.main
