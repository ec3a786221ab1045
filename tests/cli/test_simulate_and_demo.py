"""`flowrunner simulate` and `flowrunner demo`."""

from __future__ import annotations

import re
import socket
import tomllib
from itertools import takewhile

import httpx
import pytest
from attrs import evolve

import flowrunner
from flowrunner.cli import demo, scenarios, simulate
from flowrunner.simulator import Behaviour, DataFlowId, SmartFlowId

FLOWS = {"invision": DataFlowId.IMPORT_SALES.value, "smart-flows": SmartFlowId.NO_INPUT.value}
"""What the example runs where it is no workspace."""


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


@pytest.mark.parametrize(
    ("vendor", "path", "secret"),
    [
        ("fme-flow", "", "token"),
        ("fme-flow-v3", "", "token"),
        ("fme-flow-v4", "", "token"),
        ("invision", "/invision", "api_key"),
        ("smart-flows", "", "api_key"),
    ],
)
def test_every_vendor_is_simulated(cli, served, vendor, path, secret):
    """Each prints what a connection to it needs, shows a command that works there, and stands in the help."""
    port, seen = _free_port(), []
    settings = {"backend": vendor, "base_url": f"http://127.0.0.1:{port}{path}", secret: "open"}

    def start_example():
        with flowrunner.connect(**settings) as client:
            flow = FLOWS.get(vendor, "Tutorials/10seconds.fmw")
            seen.append(client.submit(flow, None if vendor in FLOWS else {"location": ["Burnaby"]}).id)

    served.append(start_example)
    ended = cli("simulate", vendor, "--port", port, "--token", "open", "--json")

    assert (ended.code, ended.record, len(seen)) == (0, settings, 1)
    assert f"flowrunner run simulator {FLOWS.get(vendor, 'Tutorials/10seconds.fmw')} " in ended.stderr
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
    assert f"Cannot listen on port {simulator.port}: Address already in use. Give another with --port." in ended.stderr


@pytest.mark.parametrize(
    "arguments",
    [["sap"], ["fme-flow-v4", "--speed", "0"], ["fme-flow-v4", "--engines", "-1"], ["fme-flow-v4", "--port", "x"]],
)
def test_simulate_refuses_what_makes_no_sense(cli, arguments):
    """A usage error; for an unknown vendor it names those there are."""
    ended = cli("simulate", *arguments)

    assert (ended.code, ended.stdout) == (2, "")
    assert arguments != ["sap"] or "fme-flow-v4" in ended.stderr


def test_simulate_with_faults(cli, served, tmp_path):
    """The file decides what goes wrong; at the end the command says what did."""
    (tmp_path / "faults.toml").write_text('[[fault]]\nkind = "status"\nstatus = 418\n[[fault]]\nkind = "purge"\n')
    port, seen = _free_port(), []
    served.append(lambda: seen.append(httpx.get(f"http://127.0.0.1:{port}/", verify=False).status_code))

    ended = cli("simulate", "fme-flow-v4", "--port", port, "--faults", tmp_path / "faults.toml")

    assert (ended.code, seen) == (0, [418])
    assert "Stopped after 1 requests. Faults: purge 1, status 1." in ended.stderr


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("[[fault]]\nkind = 'statsu'", "fault 1: no kind 'statsu': did you mean 'status'?"),
        (None, "Invalid value for '--faults': File"),
    ],
)
def test_faults_that_make_no_sense_are_told(cli, tmp_path, content, text):
    """Exit code 2, before anything is served."""
    file = tmp_path / "f.toml"
    if content is not None:
        file.write_text(content)

    ended = cli("simulate", "fme-flow-v4", "--faults", file, COLUMNS="500")

    assert (ended.code, ended.stdout) == (2, "")
    assert text in ended.stderr


def rows(text):
    """The summary: vendor, outcome, attempts, requests and message by flow."""
    lines = text.partition("What happened:")[2].splitlines()[3:]
    cells = (re.split(r"\s{2,}", line.strip()) for line in takewhile(str.strip, lines))
    return {
        flow: (vendor, outcome, int(attempts), int(requests), *message)
        for vendor, flow, outcome, attempts, _, requests, *message in cells
    }


def test_the_demo_shows_all_vendors_side_by_side(cli):
    """Runs of four vendors, each with its own way to end; the one that is long-polled takes the fewest requests."""
    ended = cli("demo")

    summary = rows(ended.stdout)
    assert (ended.code, ended.stderr) == (0, "")
    assert {flow: row[:3] for flow, row in summary.items()} == {
        "roads.fmw": ("FME Flow V4", "succeeded", 2),
        "terrain.fmw": ("FME Flow V4", "succeeded", 1),
        "parcels.fmw": ("FME Flow V3", "failed", 1),
        "rivers.fmw": ("FME Flow V3", "cancelled", 1),
        "ImportSales": ("InVision", "succeeded", 1),
        "Letter": ("Smart Flows", "succeeded", 1),
    }
    assert min(summary, key=lambda flow: summary[flow][3]) == "terrain.fmw"
    assert "Letter.docx" in summary["Letter"][4]
    assert "asks: Name? Answered: Ada Lovelace\n" in ended.stdout
    assert re.search(r"roads\.fmw +\.+=+\.+=+ ok\n", ended.stdout)
    assert re.search(r"rivers\.fmw +\.+=+~+ cancelled\n", ended.stdout)
    assert re.search(r"Letter +\.*=+\?+=+ ok\n", ended.stdout)
    assert "Where to go next:" in ended.stdout


def test_the_demo_is_live_on_a_terminal(cli, shorten):
    """A table that is drawn again and again; with the same summary below it."""
    shorten()
    ended = cli("demo", FORCE_COLOR="1", TERM="xterm-256color", COLUMNS="100")

    assert ended.code == 0
    assert "\x1b[?25l" in ended.stdout
    assert "what it shows" in ended.stdout


def test_a_demo_that_goes_wrong_says_so(cli, shorten):
    """Exit code 1: whoever tries an installation with it can trust the 0."""
    shorten(outcome="cancelled")
    ended = cli("demo")

    assert ended.code == 1
    assert "Error: not all runs ended as planned." in ended.stderr


def test_a_document_that_is_missing_is_not_as_planned(cli, shorten):
    """The right state is not enough for a run that has to make a document."""
    shorten(makes_document=True)

    assert cli("demo").code == 1


def test_what_an_extra_is_missing_for_is_left_out(cli, shorten, monkeypatch):
    """The demo says what to install and plays the rest; even if nothing is left."""
    shorten(needs=("forms", "nothing_of_this_name"))
    ended = cli("demo")

    assert ended.code == 0
    assert 'Without terrain.fmw (long-polled: seen again at its end): pip install "flowrunner[forms]"' in ended.stdout


def test_a_run_that_was_never_submitted_has_nothing_to_show():
    """No moment, no request, no message."""
    part = demo.Part(scenarios.SCENARIOS[0], None, "FME Flow V4")

    assert (part.moments, part.requests, part.message, part.went_as_planned) == ((), 0, "", False)
    assert list(demo._summary_row(part))[4] == ""


def test_ctrl_c_ends_the_demo_tidily(cli, monkeypatch):
    """Exit code 130, no traceback."""

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(demo, "_introduce", interrupted)

    assert ((ended := cli("demo")).code, ended.stderr) == (130, "Interrupted.\n")


@pytest.fixture
def shorten(monkeypatch):
    """Play only the long-polled scenario, shorter, and changed as asked."""

    def play(outcome="succeeded", **changes):
        (scenario,) = (each for each in scenarios.SCENARIOS if each.name == "terrain.fmw")
        short = evolve(scenario, behaviour=Behaviour(duration=1, outcome=outcome), **changes)
        monkeypatch.setattr(scenarios, "SCENARIOS", (short,))

    return play
