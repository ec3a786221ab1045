"""`flowrunner describe`: what a flow takes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click
from attrs import asdict

from flowrunner.cli.completing import connection_names
from flowrunner.cli.listing import Column, Listing
from flowrunner.cli.options import config_option, json_option
from flowrunner.cli.outcome import command_line, reporting
from flowrunner.cli.output import Output, shown_value
from flowrunner.cli.pasting import words_of
from flowrunner.cli.target import connected
from flowrunner.models import ParameterKind

if TYPE_CHECKING:
    from collections.abc import Callable

    from flowrunner.models import ParameterSpec

__all__ = ["command"]

_HELP = """\
Show what FLOW on CONNECTION takes: each parameter's name, kind, whether it is required, default, choices, whether it
takes several values, and bounds. Below, on stderr, stands a command that runs it, ready to paste, with the defaults
of those that are required; what is to be replaced stands as <kind>. The default of a password is not shown.

Where stdout is not a terminal, these seven are separated by tabs, and there are no headings; what is no text stands as
JSON.

With --json, stdout is one object: {"flow", "parameters"}, a list of {"name", "kind", "required", "default", "choices",
"multiple", "minimum", "maximum", ...}.

\b
Examples:
  flowrunner describe prod Samples/austinDownload.fmw
  flowrunner describe prod Samples/austinDownload.fmw --json | jq .parameters[0]
"""

_COLUMNS = (
    Column("name", is_whole=True),
    Column("kind", is_whole=True),
    Column("required", is_whole=True),
    Column("default", wraps=True),
    Column("choices", wraps=True),
    Column("multiple", is_whole=True),
    Column("bounds", wraps=True),
)
_HIDDEN = "(hidden)"


@click.command("describe", help=_HELP, short_help="Show what a flow takes.")
@click.argument("connection", shell_complete=connection_names)
@click.argument("flow")
@config_option
@json_option
def command(connection: str, flow: str, *, config: str | None, as_json: bool) -> None:
    """See `_HELP`."""
    output = Output(as_json=as_json)
    with reporting(output), connected(connection, config, journal=False, output=output) as client:
        spec = client.describe(flow)
    output.record({"flow": spec.flow, "parameters": [_object(each) for each in spec.parameters]})
    if not as_json and not Listing(_COLUMNS, _cells, _fields, _object).show(spec.parameters, output):
        output.say("It takes no parameters.")
    output.say(f"Run it with:\n  {command_line('run', connection, flow, *words_of(spec), config=config)}")


def _object(spec: ParameterSpec) -> dict[str, Any]:
    """A parameter as JSON."""
    default = None if spec.kind is ParameterKind.PASSWORD else spec.default
    return {**asdict(spec), "kind": str(spec.kind), "default": default}


def _cells(spec: ParameterSpec) -> tuple[str, ...]:
    required = {True: "yes", False: "no", None: ""}[spec.required]
    choices = [*spec.choices, *(["or another"] if spec.choices and spec.open_choices else [])]
    several = "yes" if spec.multiple else ""
    return spec.name, spec.kind, required, _default(spec, _listed), _listed(choices), several, _bounds(spec)


def _fields(spec: ParameterSpec) -> tuple[str, ...]:
    choices = json.dumps(spec.choices) if spec.choices else ""
    truth = {True: "true", False: "false", None: ""}
    required, multiple = truth[spec.required], truth[spec.multiple]
    return spec.name, spec.kind, required, _default(spec, shown_value), choices, multiple, _bounds(spec)


def _default(spec: ParameterSpec, show: Callable[[Any], str]) -> str:
    if spec.default is None:
        return ""
    return _HIDDEN if spec.kind is ParameterKind.PASSWORD else show(spec.default)


def _listed(value: Any) -> str:
    """A value for people: of a list, what is in it."""
    return ", ".join(map(shown_value, value)) if isinstance(value, list | tuple) else shown_value(value)


def _bounds(spec: ParameterSpec) -> str:
    lowest, highest = spec.minimum, spec.maximum
    is_plain = not spec.minimum_exclusive and not spec.maximum_exclusive
    if lowest is not None and highest is not None and is_plain:
        bounds = [f"{lowest:g} to {highest:g}"]
    else:
        bounds = [] if lowest is None else [f"{'>' if spec.minimum_exclusive else '>='} {lowest:g}"]
        bounds += [] if highest is None else [f"{'<' if spec.maximum_exclusive else '<='} {highest:g}"]
    bounds += [] if spec.multiple_of is None else [f"step {spec.multiple_of:g}"]
    return ", ".join(bounds)
