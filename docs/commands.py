"""The commands as pages show them, from the definitions that the command line itself goes by."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import click

from flowrunner.cli.app import COMMANDS, app

if TYPE_CHECKING:
    from collections.abc import Iterator


def sections() -> str:
    """A section for each command: how it is called, its help, its options."""
    context = click.Context(app, info_name="flowrunner")
    commands = [app.get_command(context, name) for name in COMMANDS]
    return "\n\n".join(_section(click.Context(each, info_name=each.name, parent=context)) for each in commands if each)


def _section(context: click.Context) -> str:
    command = context.command
    usage = " ".join(command.collect_usage_pieces(context))
    text, _, examples = (command.help or "").partition("\b\nExamples:\n")
    return "\n\n".join(
        [
            f"## {command.name}",
            _as_it_is(f"{context.command_path} {usage}"),
            *_paragraphs(text),
            _as_it_is(re.sub(r"^  ", "", examples.rstrip(), flags=re.MULTILINE)),
            _options(context),
        ]
    )


def _as_it_is(text: str) -> str:
    return f"```text\n{text}\n```"


def _paragraphs(text: str) -> Iterator[str]:
    """What help says, as Markdown; lines that it keeps apart stay so."""
    for paragraph in text.strip().split("\n\n"):
        yield _as_it_is(paragraph[1:].strip()) if paragraph.startswith("\b") else paragraph.replace("<", "\\<")


def _options(context: click.Context) -> str:
    records = (each.get_help_record(context) for each in context.command.params if isinstance(each, click.Option))
    lines = [f"| `{names}` | {_cell(text)} |" for names, text in filter(None, records)]
    return "\n".join(["| option | |", "| --- | --- |", *lines])


def _cell(text: str) -> str:
    return text.replace("\n", " ").replace("|", "\\|").replace("<", "\\<")
