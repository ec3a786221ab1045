"""The command `flowrunner` itself: finds the subcommands and loads the one that is asked for."""

from __future__ import annotations

from importlib import import_module
from typing import Final

import click

from flowrunner import __version__
from flowrunner.cli.exit_codes import ExitCode

__all__ = ["COMMANDS", "app"]

COMMANDS: Final = {
    "flows": "List what can be run.",
    "describe": "Show what a flow takes.",
    "run": "Start a run; with --wait, follow it to its end.",
    "status": "Look at a run once.",
    "wait": "Follow a run to its end.",
    "result": "Show what a finished run made.",
    "download": "Bring the files of a run here.",
    "logs": "Print the log of a run.",
    "cancel": "Ask the vendor to cancel a run.",
    "upload": "Bring a file to the vendor.",
    "resume": "Answer a run that waits for a person.",
    "runs": "List the runs the vendor knows, or those that were started here.",
    "recover": "Find the runs that were started here and not seen to end.",
    "watch": "Follow several runs at once, live.",
    "init": "Configure a connection: ask, check, write.",
    "connections": "List the configured connections, and explain their settings.",
    "doctor": "Check configuration, servers and surroundings, and say what to do.",
    "backends": "List the backends there are.",
    "simulate": "Serve a simulated vendor on the loopback interface.",
    "completion": "Print the script that lets a shell complete.",
    "demo": "Watch real runs on simulated vendors, for a few seconds.",
}
"""The subcommands and their summaries; each is `command` in the module of its name."""

_HELP = """\
Run workflows on workflow servers and follow them, whatever the vendor.

Connections are named in flowrunner.toml ($FLOWRUNNER_CONFIG, else ./flowrunner.toml, else [tool.flowrunner] of
pyproject.toml, else the user's configuration folder).

\b
Examples:
  flowrunner demo
  flowrunner run prod Samples/austinDownload.fmw -p THEMES=parks --wait
  ref=$(flowrunner run prod Tutorials/10seconds.fmw -p location=Burnaby)
  flowrunner wait "$ref" --timeout 600
"""


class LazyGroup(click.Group):
    """A group whose commands are imported when they are used; listing them imports none."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """The names, in the order a newcomer needs them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        """Import a command."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = import_module(f"flowrunner.cli.{cmd_name}").command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find a command; one that is misspelt is refused with what may have been meant."""
        word = args[0]
        if word not in COMMANDS and not word.startswith("-") and not ctx.resilient_parsing:
            from flowrunner.nearmiss import suggestion

            ctx.fail(f"There is no command {word!r}: {suggestion(word, COMMANDS)}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's
        """List the commands by their summaries."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's
        """List the exit codes."""
        with formatter.section("Exit codes"):
            formatter.write_dl([(str(code.value), code.meaning) for code in ExitCode])


@click.group(cls=LazyGroup, help=_HELP, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message="%(prog)s %(version)s")
def app() -> None:
    """See `_HELP`."""
