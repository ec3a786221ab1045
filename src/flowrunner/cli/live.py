"""Where a live display stands: on a terminal's stderr, with messages above it."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flowrunner.cli.output import Output

__all__ = ["live_console", "messages_above"]


def live_console(output: Output) -> Console | None:
    """Stderr, if it can show something that changes; None where it cannot, or where quiet was asked for."""
    console = Console(stderr=True)
    can_change = console.is_terminal and not console.is_dumb_terminal
    return console if can_change and not output.is_quiet else None


@contextmanager
def messages_above(console: Console, output: Output) -> Iterator[None]:
    """Show messages above what lives on the console, while it stands there."""
    speak = output.speak
    output.speak = lambda message: console.print(Text(message), soft_wrap=True)
    try:
        yield
    finally:
        output.speak = speak
