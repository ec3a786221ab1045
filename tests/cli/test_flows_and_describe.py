"""`flowrunner flows` and `describe`: what can be run, and what it takes."""

from __future__ import annotations

import json
import re
import shlex

import pytest

from flowrunner import ParameterKind, ParameterSpec
from flowrunner.cli.describe import _bounds
from flowrunner.simulator import (
    EVERY_PARAMETER,
    Kind,
    Parameter,
    SmartFlowId,
    SmartFlowsQuirks,
    Workspace,
)

FLOW = "Demo/work.fmw"
APARTMENTS = "Samples/austinApartments.fmw"
FLOWS = {"fme-flow-v4": APARTMENTS, "fme-flow-v3": APARTMENTS, "smart-flows": str(SmartFlowId.NO_INPUT)}
TERMINAL = {"FORCE_COLOR": "1", "TERM": "xterm-256color", "NO_COLOR": "1"}


def described(cli, *words, **env):
    """The parameters that are piped, by name."""
    lines = cli("describe", *words, **env).stdout.splitlines()
    return {name: fields for name, *fields in (line.split("\t") for line in lines)}


@pytest.mark.parametrize("words", [("flows", "sim"), ("describe", "sim", FLOW)])
def test_looking_makes_no_journal(cli, tmp_path, words):
    """Nothing is submitted."""
    assert cli(*words).code == 0
    assert not (tmp_path / "state").exists()


# --- flows


@pytest.mark.parametrize("vendor", FLOWS)
def test_every_vendor_that_lists_flows_lists_them(cli, serve, vendor):
    """A line for each, three fields between tabs; or an object. The name is what `run` takes."""
    serve(vendor)
    lines = [line.split("\t") for line in cli("flows", vendor).stdout.splitlines()]
    objects = [json.loads(line) for line in cli("flows", vendor, "--json").stdout.splitlines()]

    assert {len(fields) for fields in lines} == {3}
    assert FLOWS[vendor] in [fields[0] for fields in lines]
    assert [fields[:2] for fields in lines] == [[each["flow"], each["title"]] for each in objects]


def test_a_vendor_without_a_list_says_so(cli, serve):
    """Exit code 2, before any request."""
    simulator = serve("invision")
    ended = cli("flows", "invision", "--json")
    assert (ended.code, ended.record["error"]) == (2, "UnsupportedOperation")
    assert "it lacks LIST_FLOWS" in ended.stderr
    assert len(simulator.requests) == 0


@pytest.mark.parametrize("text", ["AUSTIN", "apartments", "spatial etl"])
def test_flows_are_searched_by_name_and_title(cli, text):
    """In capitals or not."""
    assert APARTMENTS in [line.split("\t")[0] for line in cli("flows", "sim", "--match", text).stdout.splitlines()]
    assert FLOW not in cli("flows", "sim", "--match", text).stdout


def test_a_limit_counts_what_was_searched_for(cli):
    """So many at most."""
    assert len(cli("flows", "sim", "--limit", "2").stdout.splitlines()) == 2
    assert len(cli("flows", "sim", "--match", "austin", "--limit", "9").stdout.splitlines()) == 2
    assert cli("flows", "sim", "--limit", "0").code == 2


def test_nothing_is_told_on_stderr(cli, simulator):
    """Exit code 0, and no data."""
    ended = cli("flows", "sim", "--match", "no such")
    assert (ended.code, ended.stdout, ended.stderr) == (0, "", "No flow has 'no such' in its name or title.\n")
    simulator.respond_next("*/workspaces", 200, {"items": [], "totalCount": 0, "limit": 100, "offset": 0})
    assert cli("flows", "sim").stderr == "There are no flows.\n"


@pytest.mark.parametrize("columns", [50, 80, 200])
def test_on_a_terminal_flows_are_a_table(cli, columns):
    """With headings, as wide as the terminal at most: a title is cut, a name, which somebody copies, is not."""
    lines = cli("flows", "sim", **TERMINAL, COLUMNS=str(columns)).stdout.splitlines()
    titled = next(line for line in lines if line.startswith(APARTMENTS))

    assert [word for word in re.split(r"\x1b\[\d+m|\s+", lines[0]) if word] == ["flow", "title"]
    assert ("\N{HORIZONTAL ELLIPSIS}" in titled) is (columns == 50)
    assert all(len(line) <= columns for line in lines[1:])


def test_a_title_from_outside_stays_on_its_line(cli, simulator):
    """Whatever is in it, it neither ends a field nor is obeyed by a terminal."""
    simulator.publish(Workspace("Demo", "odd.fmw", title="a\tb\n\x1b[31mred [bold]"))
    shown = cli("flows", "sim", "--match", "odd").stdout
    assert shown == "Demo/odd.fmw\ta b \N{REPLACEMENT CHARACTER}[31mred [bold]\t\n"
    (_, line) = cli("flows", "sim", "--match", "odd", **TERMINAL, COLUMNS="200").stdout.splitlines()
    assert line.startswith("Demo/odd.fmw  a b \N{REPLACEMENT CHARACTER}[31mred [bold]")


@pytest.mark.parametrize("env", [{}, {**TERMINAL, "COLUMNS": "200"}])
def test_a_name_is_shown_with_all_its_blanks(cli, simulator, env):
    """It is what `run` takes."""
    simulator.publish(Workspace("Demo", "two  blanks.fmw"))
    (line,) = [line for line in cli("flows", "sim", **env).stdout.splitlines() if "blanks" in line]
    name = line.partition("\t")[0].rstrip()

    assert name == "Demo/two  blanks.fmw"
    assert cli("run", "sim", name).code == 0
    assert name in cli("runs", "sim", **env).stdout


# --- describe


@pytest.mark.parametrize("vendor", ["fme-flow-v4", "fme-flow-v3"])
def test_parameters_are_piped_between_tabs(cli, serve, vendor):
    """Kind, required, default, choices, whether it takes several, bounds: always so many."""
    serve(vendor).publish(EVERY_PARAMETER)
    found = described(cli, vendor, EVERY_PARAMETER.flow)

    assert {len(fields) for fields in found.values()} == {6}
    assert found["options"] == ["choice", "true", '["a b", "c"]', '["a b", "c"]', "true", ""]
    assert found["text"] == ["text", "true", "some text", "", "false", ""]
    assert found["slider"][5].startswith("0 to 100")


def test_a_contract_is_a_description(cli, serve):
    """Of Smart Flows, where the server has it; where not, that is an error."""
    serve("smart-flows", quirks=SmartFlowsQuirks(contract="served"))
    known = described(cli, "smart-flows", str(SmartFlowId.REPORT))
    assert {len(fields) for fields in known.values()} == {6}


@pytest.mark.parametrize(("vendor", "code", "text"), [("invision", 2, "it lacks DESCRIBE"), ("smart-flows", 9, "")])
def test_a_vendor_without_descriptions_says_so(cli, serve, vendor, code, text):
    """InVision has none; Smart Flows has none of a flow."""
    serve(vendor)
    ended = cli("describe", vendor, FLOWS.get(vendor, "x"), "--json")
    assert (ended.code, ended.record["exit_code"], text in ended.stderr) == (code, code, True)
    assert "flowrunner run" not in ended.stderr


def test_an_unknown_flow_is_not_found(cli):
    """Exit code 9; the message says where to look, with the configuration that was given."""
    ended = cli("describe", "sim", "Demo/other.fmw", "--config", "flowrunner.toml")
    assert ended.code == 9
    assert ended.stderr.endswith("See what there is with:\n  flowrunner flows sim --config flowrunner.toml\n")


def test_where_flows_are_not_listed_no_list_is_named(cli, serve):
    """A command that could not work is no advice."""
    serve("invision")
    ended = cli("run", "invision", "2f1d1a3c-7b0e-4c55-9f0a-3d6a5b8e1c99")
    assert (ended.code, "flowrunner flows" in ended.stderr) == (9, False)


def test_an_object_has_all_that_is_known_of_each_parameter(cli):
    """One object on one line."""
    record = cli("describe", "sim", "Samples/austinDownload.fmw", "--json").record
    themes = next(each for each in record["parameters"] if each["name"] == "THEMES")

    assert record["flow"] == "Samples/austinDownload.fmw"
    assert (themes["kind"], themes["required"], themes["default"]) == ("choice", True, ["airports"])
    assert (themes["multiple"], themes["open_choices"], themes["prompt"]) == (True, False, "Themes")
    assert "parks" in themes["choices"]


@pytest.mark.parametrize("vendor", ["fme-flow-v4", "fme-flow-v3"])
@pytest.mark.parametrize("how", [(), ("--json",), ("-v",)])
@pytest.mark.parametrize("env", [{}, {**TERMINAL, "COLUMNS": "200"}])
def test_the_default_of_a_password_is_never_shown(cli, serve, vendor, how, env):
    """Neither in a table nor in an object, a log or what is to be pasted; that there is one is."""
    secret = Parameter("secret", Kind.PASSWORD, "Password", default="hunter2")
    serve(vendor).publish(Workspace("Demo", "locked.fmw", parameters=(secret,)))
    ended = cli("describe", vendor, "Demo/locked.fmw", *how, **env)

    assert (ended.code, "secret" in ended.stdout) == (0, True)
    assert "hunter2" not in ended.stdout + ended.stderr


def test_the_command_below_runs_the_flow(cli, config):
    """It is on stderr, and takes what it says, with the configuration that was asked for."""
    ended = cli("describe", "sim", "Samples/austinDownload.fmw", "--config", config)
    (line,) = [line for line in ended.stderr.splitlines() if line.startswith("  flowrunner run")]

    assert "-p MAXY=42 -p THEMES=airports" in line
    assert line.endswith(f" --config {config}")
    assert "COORDSYS" not in line
    assert cli(*shlex.split(line)[1:]).code == 0


def test_a_flow_that_takes_nothing(cli):
    """It is run by its name alone; quiet leaves that out."""
    ended = cli("describe", "sim", FLOW)
    assert (ended.stdout, ended.stderr) == ("", f"It takes no parameters.\nRun it with:\n  flowrunner run sim {FLOW}\n")
    assert cli("describe", "sim", FLOW, "-q").stderr == ""
    assert cli("describe", "sim", FLOW, "--json").record == {"flow": FLOW, "parameters": []}


@pytest.mark.parametrize("columns", [80, 200])
def test_on_a_terminal_parameters_are_a_table(cli, simulator, columns):
    """Names are whole, what is long goes on in the next line, and a column without anything in it is left out."""
    simulator.publish(EVERY_PARAMETER)
    lines = cli("describe", "sim", EVERY_PARAMETER.flow, **TERMINAL, COLUMNS=str(columns)).stdout.splitlines()
    wide = next(line for line in lines if line.startswith("options "))

    assert all(len(line) <= columns for line in lines[1:])
    assert wide.split("  ")[0] == "options"
    assert "\N{HORIZONTAL ELLIPSIS}" not in "".join(lines)
    assert "a b, c" in wide
    few = cli("describe", "sim", "Samples/austinDownload.fmw", **TERMINAL).stdout.splitlines()[0]
    assert "bounds" not in few


def test_choices_that_leave_others_open_say_so(cli, serve):
    """As the vendor does."""
    serve("fme-flow-v3").publish(EVERY_PARAMETER)
    shown = cli("describe", "fme-flow-v3", EVERY_PARAMETER.flow, **TERMINAL, COLUMNS="200").stdout
    (features,) = [line for line in shown.splitlines() if line.startswith("features")]
    assert "or another" in features


@pytest.mark.parametrize(
    ("bounds", "shown"),
    [
        ({}, ""),
        ({"minimum": 1}, ">= 1"),
        ({"maximum": 10}, "<= 10"),
        ({"minimum": 1, "maximum": 10}, "1 to 10"),
        ({"minimum": 1, "maximum": 10, "minimum_exclusive": True}, "> 1, <= 10"),
        ({"minimum": 1, "maximum": 10, "maximum_exclusive": True, "multiple_of": 0.5}, ">= 1, < 10, step 0.5"),
    ],
)
def test_bounds(bounds, shown):
    """As short as they can be said."""
    assert _bounds(ParameterSpec(name="P", kind=ParameterKind.NUMBER, **bounds)) == shown
