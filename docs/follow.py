"""Do what a page tells its reader: write its files and run its commands, in an empty folder.

`python docs/follow.py docs/how-to/write-a-backend.md`. A block below `<!-- file: NAME -->` is written to that file, one
below `<!-- run -->` is run by bash; the first command that fails ends it. `$FLOWRUNNER` is this repository.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

BLOCK = re.compile(r"<!-- (?:file: (?P<file>\S+)|run) -->\n```\w+\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE)


def follow(page: Path, folder: Path) -> None:
    """Do it in a folder."""
    environment = {**os.environ, "FLOWRUNNER": str(Path(__file__).resolve().parent.parent)}
    for block in BLOCK.finditer(page.read_text(encoding="utf-8")):
        do(block, folder, environment)


def do(block: re.Match[str], folder: Path, environment: Mapping[str, str]) -> None:
    """Write a file, or run commands; the first that fails is a `CalledProcessError`."""
    if block["file"]:
        target = folder / block["file"]
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(block["text"], encoding="utf-8")
    else:
        command = ["bash", "-euo", "pipefail", "-xc", block["text"]]
        subprocess.run(command, cwd=folder, env=environment, check=True)  # noqa: S603 - the page is our own


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as empty:
        follow(Path(sys.argv[1]), Path(empty))
