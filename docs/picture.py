"""Take the picture of the landing pages: what a terminal shows at the end of `flowrunner demo`.

`python docs/picture.py` runs the demo, for real and for a few seconds, and draws what it printed, in `assets/demo.svg`.
Durations and counts of requests are those of that run, so the picture differs a little each time it is taken.
"""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import TerminalTheme
from rich.text import Text

PICTURE = Path(__file__).parent / "assets" / "demo.svg"
WIDTH = 96
FIRST, BEHIND = "What happened:", "Where to go next:"
"""The part that is shown: from the first of these up to the second."""

THEME = TerminalTheme(
    (22, 27, 34),
    (201, 209, 217),
    [(22, 27, 34), (255, 123, 114), (86, 211, 100), (227, 179, 65), (121, 192, 255), (210, 168, 255), (86, 212, 221),
     (201, 209, 217)],
)  # fmt: skip


def demo() -> str:
    """What the demo writes to a terminal, in colour."""
    command = [sys.executable, "-m", "flowrunner", "demo"]
    environment = {**os.environ, "FORCE_COLOR": "1", "TERM": "xterm-256color", "COLUMNS": str(WIDTH)}
    environment.pop("NO_COLOR", None)
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)  # noqa: S603 - our own
    return done.stdout


def shown(printed: str) -> Text:
    """The command, and of what it printed how the runs ended, and when each was in which state."""
    _, _, end = printed.partition(FIRST)
    part, _, rest = end.partition(BEHIND)
    if not rest:
        raise ValueError(f"the demo no longer prints {FIRST!r} and then {BEHIND!r}")
    tables, _, _counts = part.rstrip().rpartition("\n\n")
    return Text.assemble(("$ ", "green"), ("flowrunner demo", "bold"), "\n...\n", Text.from_ansi(FIRST + tables))


def drawn(text: Text) -> str:
    """The picture. It asks for no font from elsewhere, as rich's own would."""
    console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True, legacy_windows=False)
    console.print(text, no_wrap=True, crop=True)
    console.print()  # the picture ends in the middle of its last line
    picture = console.export_svg(title="flowrunner demo", theme=THEME, unique_id="demo")
    picture = re.sub(r"@font-face {.*?}\n", "", picture, flags=re.DOTALL)
    return picture.replace("Fira Code,", "ui-monospace, SFMono-Regular, Menlo, Consolas, DejaVu Sans Mono,")


if __name__ == "__main__":
    PICTURE.write_text(drawn(shown(demo())), encoding="utf-8")
