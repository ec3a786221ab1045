"""The options that several commands have."""

from __future__ import annotations

import logging
import math
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import click

from flowrunner.cli.completing import connection_names
from flowrunner.cli.output import QUIET, clean

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    Decorated = TypeVar("Decorated", bound=Callable[..., Any])

JournalPlace: TypeAlias = "str | bool"
"""A file, True for the usual one, False for none."""

__all__ = [
    "JournalPlace",
    "Seconds",
    "config_option",
    "journal_option",
    "json_option",
    "limit_option",
    "run_arguments",
    "timeout_option",
]


class Seconds(click.types.FloatParamType):
    """A duration: a finite number of seconds, not below zero."""

    name = "seconds"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Read the number."""
        try:
            number = float(value)
        except ValueError:
            number = math.nan
        if not 0 <= number < math.inf:
            self.fail(f"{value!r} is not a number of seconds, such as 90", param, ctx)
        return number


def config_option(command: Decorated) -> Decorated:
    """`--config FILE`."""
    return click.option("--config", metavar="FILE", help="Read this configuration instead of the usual ones.")(command)


def _journal(_ctx: click.Context, _param: click.Parameter, value: str | None) -> str | bool:
    return False if value == "none" else value or True


def journal_option(command: Decorated) -> Decorated:
    """`--journal FILE`: True for the usual place, False for none."""
    return click.option(
        "--journal", metavar="FILE", envvar="FLOWRUNNER_JOURNAL", callback=_journal,
        help="Where submissions are written down, instead of the user's state folder; `none` for nowhere.",
    )(command)  # fmt: skip


def _quiet(ctx: click.Context, _param: click.Parameter, value: bool) -> None:  # noqa: FBT001 - click's signature
    ctx.meta[QUIET] = value


_ALL: Final = "%(asctime)s %(name)s %(levelname)s %(message)s"


class _Log(logging.Handler):
    """Writes the library's log to stderr, cleaned: what is in it is from outside, too."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record."""
        click.echo(clean(self.format(record)), err=True)


def _verbose(ctx: click.Context, _param: click.Parameter, value: bool) -> None:  # noqa: FBT001 - click's signature
    """Show the library's log on stderr until the command ends; it has neither credentials nor values in it.

    Without `--verbose` that is what needs somebody, and with `--quiet` nothing.
    """
    handler, logger, level = _Log(), logging.getLogger("flowrunner"), logging.getLogger("flowrunner").level
    handler.setFormatter(logging.Formatter(_ALL if value else "Warning: %(message)s"))
    handler.addFilter(lambda _: value or not ctx.meta.get(QUIET))
    logger.addHandler(handler)
    if value:
        logger.setLevel(logging.DEBUG)

    def restore() -> None:
        logger.removeHandler(handler)
        logger.setLevel(level)

    ctx.call_on_close(restore)


def json_option(command: Decorated) -> Decorated:
    """`--json`, and with it `--quiet` and `--verbose`, which need no argument of the command."""
    for option in (
        click.option(
            "-v", "--verbose", is_flag=True, expose_value=False, callback=_verbose, help="Show the log on stderr, too."
        ),
        click.option(
            "-q", "--quiet", is_flag=True, expose_value=False, callback=_quiet,
            help="Show no messages but errors.",
        ),
        click.option("--json", "as_json", is_flag=True, help="Print one JSON object on one line, for errors too."),
    ):  # fmt: skip
        command = option(command)
    return command


def limit_option(default: int | None = None) -> Callable[[Decorated], Decorated]:
    """`--limit N`, 1 or more."""
    return click.option(
        "--limit", type=click.IntRange(min=1), default=default, show_default=True, metavar="N", help="So many at most."
    )


def timeout_option(command: Decorated) -> Decorated:
    """`--timeout SECONDS`."""
    return click.option(
        "--timeout", type=Seconds(), metavar="SECONDS", help="Wait so long at most; 0 looks once. The run goes on."
    )(command)


def run_arguments(command: Decorated) -> Decorated:
    """`CONNECTION RUN`, or a reference alone."""
    return click.argument(
        "words", nargs=-1, required=True, metavar="[CONNECTION] RUN", shell_complete=connection_names
    )(command)
