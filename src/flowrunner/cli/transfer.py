"""How far a file is on its way: a bar with its rate on a terminal, on stderr, else nothing."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from attrs import frozen
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn
from rich.table import Column

from flowrunner.cli.live import live_console, messages_above
from flowrunner.cli.output import one_line

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console, ConsoleOptions, RenderableType, RenderResult

    from flowrunner import models
    from flowrunner.cli.output import Output

__all__ = ["transferring"]

_NUMBERS: Final = (DownloadColumn, TransferSpeedColumn, TimeRemainingColumn)


@contextmanager
def transferring(name: str, output: Output, *, size: int | None = None) -> Iterator[models.Progress | None]:
    """Show how far a file is, while the block moves it. The bar is gone when the block ends, however it does.

    Args:
        name: what the file is called.
        output: whose messages stand above the bar.
        size: bytes, where they are known before any has come.

    Yields:
        What `upload` and `download` take as `progress`; None where nothing is shown.
    """
    console = live_console(output)
    if console is None:
        yield None
        return
    with _bar(console) as bar, messages_above(console, output):
        task = bar.add_task(one_line(name), total=size)
        yield lambda done, total: bar.update(task, completed=done, total=total)  # of None, `size` stays


class _Bar(Progress):
    """Leaves room at the right: a terminal writes ^C there, and what goes on in the next line would stay."""

    def get_renderables(self) -> Iterator[RenderableType]:
        return map(_Narrower, super().get_renderables())


@frozen
class _Narrower:
    shown: RenderableType

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        return console.render(self.shown, options.update_width(options.max_width - 2))


def _bar(console: Console) -> Progress:
    """Name, bar, bytes, rate and time left, on one line: a long name is cut, and in little room the bar is short."""
    name = Column(no_wrap=True, overflow="ellipsis", max_width=max(10, console.width // 4))
    return _Bar(
        TextColumn("{task.description}", markup=False, table_column=name),
        BarColumn(),
        *(kind(table_column=Column(no_wrap=True)) for kind in _NUMBERS),
        console=console,
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
    )
