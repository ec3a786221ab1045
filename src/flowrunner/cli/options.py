"""The options that several commands have."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, TypeAlias

import click

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
    "run_arguments",
    "timeout_option",
]


class Seconds(click.types.FloatParamType):
    """A duration: a finite number of seconds, not below zero."""

    name = "seconds"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Read the number."""
        number: float = super().convert(value, param, ctx)
        if not 0 <= number < math.inf:
            self.fail(f"{value} is not a number of seconds", param, ctx)
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


def json_option(command: Decorated) -> Decorated:
    """`--json`."""
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON object on one line, for errors too.")(
        command
    )


def timeout_option(command: Decorated) -> Decorated:
    """`--timeout SECONDS`."""
    return click.option(
        "--timeout", type=Seconds(), metavar="SECONDS", help="Wait so long at most; 0 looks once. The run goes on."
    )(command)


def run_arguments(command: Decorated) -> Decorated:
    """`CONNECTION RUN`, or a reference alone."""
    return click.argument("words", nargs=-1, required=True, metavar="[CONNECTION] RUN")(command)
