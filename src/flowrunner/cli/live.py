"""Where a live display stands: on a terminal's stderr, with messages above it."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.constrain import Constrain
from rich.live import Live
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import ConsoleRenderable, RichCast

    from flowrunner.cli.output import Output

__all__ = ["live_console", "live_line", "messages_above"]


def live_console(output: Output) -> Console | None:
    """Stderr, if it can show something that changes; None where it cannot, or where quiet was asked for."""
    console = Console(stderr=True)
    can_change = console.is_terminal and not console.is_dumb_terminal
    return console if can_change and not output.is_quiet else None


@contextmanager
def messages_above(console: Console, output: Output) -> Iterator[None]:
    """Show messages, and data that go to the same terminal, above what lives on the console while it stands there."""
    speak, write = output.speak, output.write
    output.speak = lambda message: console.print(Text(message), soft_wrap=True)
    if sys.stdout.isatty():
        output.write = lambda data: console.print(Text.from_ansi(data), soft_wrap=True)
    try:
        yield
    finally:
        output.speak, output.write = speak, write


@contextmanager
def live_line(line: ConsoleRenderable | RichCast, console: Console, output: Output) -> Iterator[None]:
    """Keep a line up to date on the console; it is gone when the block ends."""
    # A terminal writes ^C behind the line: there has to be room, or what is erased at the end is another line.
    live = Live(
        get_renderable=lambda: Constrain(line, console.width - 2), console=console, refresh_per_second=8,
        transient=True, redirect_stdout=False, redirect_stderr=False,
    )  # fmt: skip
    with live, messages_above(console, output):
        yield
