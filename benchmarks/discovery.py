"""What installed plugins cost: `flowrunner backends` with none and with twenty of them, whole processes in turns.

Run `python benchmarks/discovery.py`. Each plugin's module would end the process if it were imported.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROUNDS = 15
PLUGINS = 20


def install(site: Path, number: int) -> None:
    """A distribution with one backend."""
    info = site / f"plugin_{number}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: plugin-{number}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[flowrunner.backends]\nplugin-{number} = plugin_{number}:Backend\n")
    (site / f"plugin_{number}.py").write_text("raise SystemExit('imported')\n")


def seconds(arguments: list[str], path: str) -> float:
    """The time of a process that ends well."""
    started = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "flowrunner", *arguments],
        env={**os.environ, "PYTHONPATH": path},
        stdout=subprocess.DEVNULL,
        check=True,
    )
    return time.perf_counter() - started


def main() -> None:
    """Print medians, quartiles and the ratio of pairs."""
    with tempfile.TemporaryDirectory() as folder:
        empty, full = Path(folder, "empty"), Path(folder, "full")
        empty.mkdir()
        for number in range(PLUGINS):
            install(full, number)
        for arguments in (["backends"], ["backends", "--check", "invision"]):
            pairs = [(seconds(arguments, str(empty)), seconds(arguments, str(full))) for _ in range(ROUNDS)]
            ratios = statistics.quantiles((there / none for none, there in pairs), n=4)
            none, there = (statistics.median(side) for side in zip(*pairs, strict=True))
            spread = f"{ratios[1]:.2f} ({ratios[0]:.2f} to {ratios[2]:.2f})"
            print(f"{' '.join(arguments)}: {none:.3f} s without, {there:.3f} s with {PLUGINS} plugins, ratio {spread}")


if __name__ == "__main__":
    main()
