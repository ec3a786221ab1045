"""The shell's code in the docs runs as its reader would run it, against simulators."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from flowrunner.simulator import RealClock, Simulator

HOW_TO = Path(__file__).parents[2] / "docs" / "how-to"
PAGES = ("files.md", "many-runs.md", "user-input.md")


@pytest.fixture
def reader(tmp_path, monkeypatch):
    """Who has the command on the path, and connections to simulators of two vendors."""
    with (
        Simulator("fme-flow", clock=RealClock(20)) as fme,
        Simulator("smart-flows", clock=RealClock(20)) as smart_flows,
    ):
        connections = {"prod": ("fme-flow", fme), "reports": ("smart-flows", smart_flows)}
        lines = []
        for name, (backend, simulator) in connections.items():
            settings = {"backend": backend, **simulator.settings}
            lines += [f"[connections.{name}]", *(f'{key} = "{value}"' for key, value in settings.items())]
        (tmp_path / "flowrunner.toml").write_text("\n".join(lines))
        monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
        yield


@pytest.mark.skipif(shutil.which("bash") is None or os.name == "nt", reason="it is written for bash")
@pytest.mark.parametrize("page", PAGES)
def test_the_shells_code(reader, page):
    """Each block of a page after the other, in one shell; no command in it fails."""
    blocks = re.findall(r"^```bash\n(.*?)^```", (HOW_TO / page).read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    shell = ["bash", "-eu", "-o", "pipefail", "-c", "\n".join(blocks)]
    ended = subprocess.run(shell, capture_output=True, text=True, timeout=100, check=False)
    assert blocks
    assert ended.returncode == 0, ended.stderr
