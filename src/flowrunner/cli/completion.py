"""`flowrunner completion`: what a shell needs to complete commands, options, connections and backends."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

__all__ = ["command"]

_HELP = """\
Print the script that lets SHELL (bash, zsh or fish) complete commands, options, connections and backends.

\b
Examples:
  eval "$(flowrunner completion bash)"
  flowrunner completion zsh > ~/.flowrunner-complete.zsh
  flowrunner completion fish > ~/.config/fish/completions/flowrunner.fish
"""


@click.command("completion", help=_HELP, short_help="Print the script that lets a shell complete.")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def command(ctx: click.Context, *, shell: str) -> None:
    """See `_HELP`."""
    kind = get_completion_class(shell)
    if kind is None:  # pragma: no cover - click has these three
        raise click.UsageError(f"Nothing is known of {shell}.")
    root = ctx.find_root()
    complete = kind(root.command, {}, "flowrunner", "_FLOWRUNNER_COMPLETE")
    click.echo(complete.source_template % complete.source_vars())
