"""`flowrunner upload`: bring a file to the vendor."""

from __future__ import annotations

import subprocess

import pytest

from flowrunner.client import Client
from flowrunner.simulator import EVERY_PARAMETER

CONTENT = bytes(range(256)) * 3


@pytest.fixture
def roads(tmp_path):
    """A file to upload."""
    (tmp_path / "roads.gml").write_bytes(CONTENT)
    return "roads.gml"


def stored(simulator):
    """The files at the vendor."""
    entries = simulator.world.resources._entries.values()
    return {entry.name: entry.content.read_bytes() for entry in entries if entry.content is not None}


def test_it_prints_what_a_parameter_is_given(cli, simulator, roads):
    """Stdout is one line, which `run` takes as it is; stderr says how."""
    simulator.publish(EVERY_PARAMETER)
    ended = cli("upload", "sim", roads)
    reference = ended.stdout.removesuffix("\n")

    assert (ended.code, stored(simulator)) == (0, {"roads.gml": CONTENT})
    assert reference.startswith("$(FME_SHAREDRESOURCE_TEMP)/")
    run = cli("run", "sim", EVERY_PARAMETER.flow, "-p", "mandatory=x", "-p", f"SourceDataset_GML={reference}")
    (job,) = simulator.pool.submissions(EVERY_PARAMETER.flow)
    assert (run.code, job.parameters["SourceDataset_GML"]) == (0, reference)


def test_what_it_says_can_be_pasted(cli, roads):
    """A shell leaves the reference as it is, though it looks like a command to be carried out."""
    ended = cli("upload", "sim", roads, "--config", "flowrunner.toml")
    _, command = ended.stderr.splitlines()
    pasted = subprocess.run(["sh", "-c", f"printf '%s\n' {command}"], capture_output=True, text=True, check=True)
    words = ["flowrunner", "run", "sim", "FLOW", "-p", f"NAME={ended.stdout.strip()}", "--config", "flowrunner.toml"]
    assert pasted.stdout.splitlines() == words


def test_another_name(cli, simulator, roads):
    """With --json an object: name, reference, and bytes."""
    ended = cli("upload", "sim", roads, "--name", "Ø.gml", "--json")
    assert ended.record == {"name": "Ø.gml", "reference": ended.record["reference"], "size": len(CONTENT)}
    assert (stored(simulator), ended.record["reference"].endswith("/Ø.gml")) == ({"Ø.gml": CONTENT}, True)


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["absent.gml"], "the file 'absent.gml' does not exist"),
        (["."], "is a folder: give a file, or zip it"),
        (["roads.gml", "--name", "a/b.gml"], "give it another name"),
    ],
)
def test_a_file_that_cannot_be_uploaded(cli, simulator, roads, arguments, problem):
    """Exit code 2, and nothing is sent."""
    ended = cli("upload", "sim", *arguments)
    assert (ended.code, problem in ended.stderr, stored(simulator)) == (2, True, {})


def test_a_vendor_that_takes_no_files(cli, serve, roads):
    """Exit code 2, before any request."""
    finance = serve("invision")
    ended = cli("upload", "invision", roads)
    assert (ended.code, "upload" in ended.stderr, finance.requests.matching()) == (2, True, [])


def test_a_refusal(cli, simulator, roads):
    """The exit code says whose."""
    simulator.respond_next("*", 401, times=9)
    assert cli("upload", "sim", roads, "--json").record["error"] == "AuthenticationError"


def test_at_a_terminal_a_bar_shows_how_far_it_is(cli, roads):
    """On stderr; stdout is the reference all the same, and --quiet shows none."""
    terminal = {"FORCE_COLOR": "1", "TERM": "xterm-256color", "COLUMNS": "100"}
    ended, quiet = cli("upload", "sim", roads, **terminal), cli("upload", "sim", roads, "-q", **terminal)
    assert ("roads.gml" in ended.stderr, "bytes" in ended.stderr, quiet.stderr) == (True, True, "")
    assert len(ended.stdout.splitlines()) == len(quiet.stdout.splitlines()) == 1


def test_ctrl_c(cli, roads, monkeypatch):
    """Exit code 130; no reference is printed."""

    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(Client, "upload", interrupted)
    ended = cli("upload", "sim", roads)
    assert (ended.code, ended.stdout, ended.stderr) == (130, "", "Interrupted.\n")
