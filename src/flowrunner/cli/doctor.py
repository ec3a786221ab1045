"""`flowrunner doctor`: check configuration, servers and surroundings, and say what to do."""

from __future__ import annotations

import os
import shutil
import sys
from textwrap import wrap
from typing import TYPE_CHECKING, Final

import click

from flowrunner.cli import checks
from flowrunner.cli.checks import Level
from flowrunner.cli.completing import connection_names
from flowrunner.cli.options import config_option, journal_option, json_option
from flowrunner.cli.outcome import end, reporting
from flowrunner.cli.output import Output, one_line
from flowrunner.config.file import read_configuration
from flowrunner.errors import FlowrunnerError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flowrunner.cli.checks import Finding
    from flowrunner.cli.options import JournalPlace

__all__ = ["command"]

_HELP = """\
Check what runs depend on, of CONNECTION or of all of them: version, configuration, environment, plugins, journal; and
of each connection its settings, TLS, whether the server can be reached, both clocks, the credential and the server's
version. Nothing is started or changed, and no credential is shown.

Each line is `ok`, `warn`, `fail` or `skip` (it could not be found out), with what to do below. The exit code is 0
unless something failed; then it is that of the first failure: 2 for the configuration, 7 for a server that cannot be
reached, 8 for a credential.

With --json, stdout is an object on a line for each check:
{"connection", "check", "level", "message", "advice", "exit_code"}.

\b
Examples:
  flowrunner doctor
  flowrunner doctor prod
  flowrunner doctor prod --json
"""

_COLOURS: Final = {Level.OK: "green", Level.WARN: "yellow", Level.FAIL: "red"}
_INDENT: Final = 6


@click.command("doctor", help=_HELP, short_help="Check configuration, servers and surroundings, and say what to do.")
@click.argument("connection", required=False, shell_complete=connection_names)
@config_option
@journal_option
@json_option
def command(connection: str | None, *, config: str | None, journal: JournalPlace, as_json: bool) -> None:
    """See `_HELP`."""
    output = Output(as_json=as_json)
    with reporting(output):
        failures = []
        for finding in _findings(connection, config, journal):
            _show(finding, output)
            failures += [finding.code] if finding.level is Level.FAIL else []
        if failures:
            end(failures[0])


def _findings(connection: str | None, config: str | None, journal: JournalPlace) -> Iterator[Finding]:
    yield from checks.of_surroundings(config, journal)
    for name in [connection] if connection else _configured(config):
        yield from checks.of_connection(name, config)


def _configured(config: str | None) -> list[str]:
    try:
        return list(read_configuration(config, os.environ).connections)
    except FlowrunnerError:  # which is a finding already
        return []


def _show(finding: Finding, output: Output) -> None:
    output.record(
        {
            "connection": finding.connection,
            "check": finding.check,
            "level": str(finding.level),
            "message": one_line(finding.message),
            "advice": finding.advice or None,
            "exit_code": int(finding.code),
        }
    )
    subject = f"{finding.connection}: {finding.check}" if finding.connection else finding.check
    head, *rest = _broken(f"{one_line(subject)}: {one_line(finding.message)}")
    output.data(click.style(f"{finding.level:<{_INDENT}}", fg=_COLOURS.get(finding.level)) + head)
    for line in (*rest, *_broken(finding.advice and f"-> {one_line(finding.advice)}")):
        output.data(" " * _INDENT + line)


def _broken(text: str) -> list[str]:
    """The text in lines that fit the terminal; on one line, where there is none."""
    if not sys.stdout.isatty():
        return [text] if text else []
    width = max(shutil.get_terminal_size().columns - _INDENT, 20)
    return wrap(text, width, break_long_words=False, break_on_hyphens=False)
