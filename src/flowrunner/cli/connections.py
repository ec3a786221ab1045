"""`flowrunner connections`: which connections are configured, and where each setting of one comes from."""

from __future__ import annotations

import json
import os
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

import click
from attrs import asdict

from flowrunner.cli.completing import connection_names
from flowrunner.cli.exit_codes import ExitCode
from flowrunner.cli.options import config_option, json_option
from flowrunner.cli.outcome import command_line, end, reporting
from flowrunner.cli.output import Output, one_line
from flowrunner.config.explanation import explain
from flowrunner.config.file import read_configuration
from flowrunner.config.sources import Origin, variable_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flowrunner.config.explanation import Explained, Explanation
    from flowrunner.config.file import Configuration

__all__ = ["command"]

_HELP = """\
List the configured connections: name, backend and address. Which file they are in stands on stderr.

With --explain, show each setting of the connection NAME, its value, and what gave it: the default, a line of the file,
or an environment variable. Credentials are masked; it is said where they come from and whether they can be read. The
exit code is 2 if the settings make no connection.

With --schema, print the JSON Schema of the file, for an editor that checks and completes TOML.

With --json, stdout is an object on a line for each connection: {"connection", "backend", "base_url", "file", "line"};
with --explain it is one object: {"connection", "backend", "file", "line", "settings", "problem"}.

\b
Examples:
  flowrunner connections
  flowrunner connections --explain prod
  flowrunner connections --schema > flowrunner.schema.json
"""


@click.command("connections", help=_HELP, short_help="List the configured connections, and explain their settings.")
@click.option(
    "--explain", "explained", metavar="NAME", shell_complete=connection_names, help="Show where each setting is from."
)
@click.option("--schema", "wants_schema", is_flag=True, help="Print the JSON Schema of the configuration file.")
@config_option
@json_option
def command(*, explained: str | None, wants_schema: bool, config: str | None, as_json: bool) -> None:
    """See `_HELP`."""
    if explained is not None and wants_schema:
        raise click.UsageError("Give --explain or --schema.")
    output = Output(as_json=as_json)
    with reporting(output):
        if wants_schema:
            _print_schema()
        elif explained is None:
            _list(read_configuration(config, os.environ), output, config)
        else:
            _explain(explain(explained, config=config), output)


def _print_schema() -> None:
    from flowrunner.config.schema import schema

    click.echo(json.dumps(schema(), indent=2))


def _list(configuration: Configuration, output: Output, config: str | None) -> None:
    listed = [_listed(name, configuration) for name in configuration.connections]
    if not listed:
        output.say(f"No connection is configured in {configuration.where}. Make one with:")
        output.say(f"  {command_line('init', config=config)}")
        return
    output.say(f"Configured in {configuration.where}:")
    output.rows([(each["connection"], each["backend"] or "no backend", each["base_url"] or "") for each in listed])
    for each in listed:
        output.record(each)


def _listed(name: str, configuration: Configuration) -> dict[str, Any]:
    """A connection as JSON. Nothing is loaded or checked for it."""
    table = configuration.connections[name]
    said = table if isinstance(table, dict) else {}
    address = os.environ.get(variable_of(name, "base_url")) or said.get("base_url")
    return {
        "connection": name,
        "backend": _text(said.get("backend")),
        # An address that holds a password is refused when it is used; here it is not shown.
        "base_url": None if "@" in str(address) else _text(address),
        "file": None if configuration.path is None else str(configuration.path),
        "line": configuration.line_of("connections", name),
    }


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _explain(explanation: Explanation, output: Output) -> None:
    line = "" if explanation.line is None else f", line {explanation.line}"
    output.say(f"{explanation.connection}: {explanation.backend}, configured in {explanation.file}{line}")
    output.rows(_rows(explanation))
    output.record({**asdict(explanation), "settings": [_object(each) for each in explanation.settings]})
    problems = dict.fromkeys(filter(None, (*(each.problem for each in explanation.settings), explanation.problem)))
    for problem in problems:
        output.insist(f"Problem: {problem}")
    if problems:
        end(ExitCode.USAGE)


def _object(explained: Explained) -> dict[str, Any]:
    return {**asdict(explained), "origin": str(explained.origin)}


def _rows(explanation: Explanation) -> Iterator[tuple[str, str, str]]:
    for each in explanation.settings:
        yield each.name, _value(each), _whence(each)


def _value(explained: Explained) -> str:
    if explained.problem is not None:
        return "(problem)"
    if explained.value is None:
        return "(none)"
    return explained.value if isinstance(explained.value, str) else json.dumps(explained.value)


def _whence(explained: Explained) -> str:
    """What gave the value, in words."""
    if explained.origin is Origin.FILE:
        line = "" if explained.line is None else f", line {explained.line}"
        text = f"{PurePath(str(explained.file)).name}{line}"
    else:
        text = f"${explained.variable}" if explained.variable else str(explained.origin)
    return text if explained.source is None else f"{text}: {one_line(explained.source)}"
