"""`flowrunner backends`: what there is, and what of it works."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from flowrunner import __version__

PLUGIN = """
from flowrunner.backend import Backend, Capability

class Fifth(Backend):
    backend_api = 1
    name = family = "fifth"
    capabilities = frozenset({Capability.LOGS, Capability.CANCEL})
"""


def rows(ended):
    """The name and the last column of each line."""
    return {line.split()[0]: line.split("  ")[-1].strip() for line in ended.stdout.splitlines()}


def test_they_are_listed_without_being_imported(cli, install):
    """Name, distribution and state of built-ins and plugins; the plugin's module could not be imported."""
    install("flowrunner-fifth", "fifth_cli", "raise SystemExit('imported')", "2.1", fifth="fifth_cli:Fifth")
    text, lines = cli("backends"), cli("backends", "--json").stdout.splitlines()

    assert text.code == 0
    assert rows(text)["invision"] == "built-in"
    assert any(line.split() == ["fifth", "flowrunner-fifth", "2.1", "available"] for line in text.stdout.splitlines())
    assert {
        "name": "fifth", "distribution": "flowrunner-fifth 2.1", "target": "fifth_cli:Fifth", "state": "available",
    } in [json.loads(line) for line in lines]  # fmt: skip


def test_check_loads_them_and_shows_what_they_can_do(cli, install):
    """All of them, or the one named; what works shows its capabilities and the exit code is 0."""
    install("flowrunner-fifth", "fifth_cli", PLUGIN, fifth="fifth_cli:Fifth")
    everything, one = cli("backends", "--check"), cli("backends", "--check", "fifth", "--json")

    assert (everything.code, rows(everything)["invision"], rows(everything)["fifth"]) == (
        0, "ok: server_wait", "ok: cancel, logs",
    )  # fmt: skip
    assert (one.record["problem"], one.record["capabilities"]) == (None, ["cancel", "logs"])


def test_check_shows_what_is_broken(cli, install):
    """The reason stands in its line, control characters out of it; the rest is checked all the same; the code is 2."""
    install("flowrunner-ill", "ill_cli", "raise ValueError('no\\x1b[31m\\nluck')", ill="ill_cli:Ill")
    ended = cli("backends", "--check")

    assert ended.code == 2
    reason = "ValueError: no\N{REPLACEMENT CHARACTER}[31m luck"
    assert rows(ended)["ill"] == f"broken: backend 'ill' from flowrunner-ill 1.0 cannot be loaded: {reason}"
    assert rows(ended)["invision"] == "ok: server_wait"
    assert cli("backends", "--check", "ill", "--json").record["capabilities"] is None


def test_a_refused_plugin_is_shown_and_left_alone(cli, install):
    """It claims a built-in's name: that is said, nothing of it is loaded, and nothing is broken by it."""
    install("flowrunner-cuckoo", "cuckoo_cli", "raise SystemExit('imported')", invision="cuckoo_cli:Cuckoo")
    ended = cli("backends", "--check", "invision")

    assert ended.code == 0
    assert [line.split("  ")[-1].strip() for line in ended.stdout.splitlines()] == [
        "ok: server_wait", "refused: the name is a built-in's",
    ]  # fmt: skip


def test_a_backend_that_can_do_nothing_more(cli, install):
    """Without capabilities, that is said."""
    source = PLUGIN.replace("Capability.LOGS, Capability.CANCEL", "")
    install("flowrunner-fifth", "fifth_cli", source.replace("{}", ""), fifth="fifth_cli:Fifth")
    assert rows(cli("backends", "--check", "fifth"))["fifth"] == "ok: no capabilities"


def test_a_name_that_is_not_there(cli):
    """The near miss is named."""
    ended = cli("backends", "--check", "invison")
    assert (ended.code, "did you mean 'invision'" in ended.stderr) == (2, True)


@pytest.mark.parametrize("arguments", [[], ["--json"]])
def test_twenty_plugins_are_listed_and_none_imported(install, monkeypatch, arguments):
    """In a process of its own, where nothing was imported before: no plugin's module is, nor any built-in's."""
    names = [f"plugin_{number}" for number in range(20)]
    sites = [str(install(name, name, "raise SystemExit(9)", **{name: f"{name}:P"})) for name in names]
    code = """if True:
        import sys
        from flowrunner.cli import main
        sys.argv = ["flowrunner", "backends", *sys.argv[1:]]
        try:
            main()
        finally:
            ours = ("plugin_", "flowrunner.backends")
            print(*(name for name in sys.modules if name.startswith(ours)), file=sys.stderr)
    """
    monkeypatch.setenv("PYTHONPATH", ":".join(sites))
    ended = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True)

    assert ended.stderr.strip() == ""
    assert sum("plugin_" in line and "available" in line for line in ended.stdout.splitlines()) == 20
    assert f"flowrunner {__version__}" in ended.stdout
