"""`flowrunner simulate` and `flowrunner demo`."""

from __future__ import annotations

import socket
import tomllib
from itertools import takewhile

import pytest
from attrs import evolve

import flowrunner
from flowrunner.cli import demo, simulate


@pytest.fixture
def served(monkeypatch):
    """What is done while `simulate` serves, ended by Ctrl-C; None does nothing."""
    done = []

    def sleep(_seconds):
        for action in done:
            action()
        raise KeyboardInterrupt

    monkeypatch.setattr(simulate.time, "sleep", sleep)
    return done


def test_simulate_prints_settings_that_work(cli, served, tmp_path):
    """Stdout is a file of the configuration, character for character; Ctrl-C is the regular end."""
    ended = cli("simulate", "fme-flow-v4", "--token", 'a"\\\x7f é')

    settings = tomllib.loads(ended.stdout)["connections"]["simulator"]
    assert (ended.code, settings["backend"], settings["token"]) == (0, "fme-flow-v4", 'a"\\\x7f é')
    assert "flowrunner run simulator Tutorials/10seconds.fmw -p location=Burnaby --wait" in ended.stderr
    assert "Stopped after 0 requests." in ended.stderr


@pytest.mark.parametrize("vendor", ["fme-flow", "fme-flow-v3", "fme-flow-v4"])
def test_every_vendor_is_simulated(cli, served, vendor):
    """Each is served under the name of the backend that speaks with it, and the help names it."""
    port, seen = _free_port(), []

    def ask():
        with flowrunner.connect(backend=vendor, base_url=f"http://127.0.0.1:{port}", token="open") as client:
            seen.append(client.health().authenticated)

    served.append(ask)
    ended = cli("simulate", vendor, "--port", port, "--token", "open", "--json")

    assert (ended.code, ended.record["backend"], seen) == (0, vendor, [True])
    assert vendor in cli("simulate", "--help").stdout


def test_simulate_serves_where_it_says(cli, served, capsys):
    """With --json, one line is enough for `connect`; port and token are those asked for."""
    port = _free_port()
    settings = {"backend": "fme-flow-v4", "base_url": f"http://127.0.0.1:{port}", "token": "open"}
    seen = []

    def ask():
        with flowrunner.connect(**settings) as client:
            seen.append(client.health())

    served.append(ask)
    ended = cli(
        "simulate", "fme-flow-v4", "--port", port, "--token", "open", "--speed", "10", "--engines", "1", "--json"
    )

    assert settings == ended.record
    assert seen[0].reachable
    assert seen[0].authenticated


def _free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def test_a_port_that_is_taken_is_told(cli, simulator):
    """Exit code 2."""
    ended = cli("simulate", "fme-flow-v4", "--port", simulator.port)

    assert ended.code == 2
    assert "Cannot listen on the port asked for: Address already in use" in ended.stderr


@pytest.mark.parametrize(
    "arguments",
    [["sap"], ["fme-flow-v4", "--speed", "0"], ["fme-flow-v4", "--engines", "-1"], ["fme-flow-v4", "--port", "x"]],
)
def test_simulate_refuses_what_makes_no_sense(cli, arguments):
    """A usage error; for an unknown vendor it names those there are."""
    ended = cli("simulate", *arguments)

    assert (ended.code, ended.stdout) == (2, "")
    assert arguments != ["sap"] or "fme-flow-v4" in ended.stderr


def rows(text):
    """The summary: outcome, attempts and requests by flow."""
    lines = text.partition("What happened:")[2].splitlines()[3:]
    cells = (line.split() for line in takewhile(str.strip, lines))
    return {flow: (outcome, int(attempts), int(requests)) for flow, outcome, attempts, _, _, requests, *_ in cells}


def test_the_demo_shows_four_runs_and_what_became_of_them(cli):
    """One succeeds after a crash, one fails, one is cancelled, one is long-polled: with the fewest requests."""
    ended = cli("demo")

    summary = rows(ended.stdout)
    assert (ended.code, ended.stderr) == (0, "")
    assert [row[:2] for row in summary.values()] == [
        ("succeeded", 2),
        ("failed", 1),
        ("cancelled", 1),
        ("succeeded", 1),
    ]
    assert min(summary, key=lambda flow: summary[flow][2]) == "Demo/terrain.fmw"
    assert summary["Demo/terrain.fmw"][2] <= 5
    assert "Demo/roads.fmw  queued, attempt 2\n" in ended.stdout
    assert "Where to go next:" in ended.stdout
    assert "4 of them for the descriptions" in ended.stdout


def test_the_demo_is_live_on_a_terminal(cli, monkeypatch):
    """A table that is drawn again and again; with the same summary below it."""
    _shorten(monkeypatch)
    ended = cli("demo", FORCE_COLOR="1", TERM="xterm-256color", COLUMNS="100")

    assert ended.code == 0
    assert "\x1b[?25l" in ended.stdout
    assert "what it shows" in ended.stdout


def test_a_demo_that_goes_wrong_says_so(cli, monkeypatch):
    """Exit code 1: whoever tries an installation with it can trust the 0."""
    _shorten(monkeypatch, outcome="cancelled")
    ended = cli("demo")

    assert ended.code == 1
    assert "Error: not all runs ended as planned." in ended.stderr


def test_ctrl_c_ends_the_demo_tidily(cli, monkeypatch):
    """Exit code 130, no traceback."""

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(demo, "_introduce", interrupted)

    assert ((ended := cli("demo")).code, ended.stderr) == (130, "Interrupted.\n")


def _shorten(monkeypatch, **changes):
    """Play only the last scenario, shorter."""
    last = demo.SCENARIOS[-1]
    monkeypatch.setattr(demo, "SCENARIOS", (evolve(last, behaviour={"duration": 1.0, **changes}),))
