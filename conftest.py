"""The code in README.md and under docs/ runs against a simulator, as its reader would run it against a server."""

from __future__ import annotations

import os
import tempfile
from contextlib import ExitStack, chdir
from pathlib import Path
from typing import Any
from unittest.mock import patch

from sybil import Sybil
from sybil.parsers.markdown import PythonCodeBlockParser, SkipParser

CONFIGURATION = """
[connections.prod]
backend = "fme-flow-v4"
base_url = "{base_url}"
token = {{ env = "FME_TOKEN" }}

[connections.flow]
backend = "fme-flow"
base_url = "{base_url}"
token = {{ env = "FME_TOKEN" }}

[connections.old]
backend = "fme-flow-v3"
base_url = "{base_url}"
token = {{ env = "FME_TOKEN" }}
"""


def start(namespace: dict[str, Any]) -> None:
    """A simulator of FME Flow, twenty times as fast as life, and a configuration that names its interfaces."""
    from flowrunner.simulator import RealClock, Simulator

    stack = namespace["_stack"] = ExitStack()
    simulator = stack.enter_context(Simulator("fme-flow", clock=RealClock(speed=20)))
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    (folder / "flowrunner.toml").write_text(CONFIGURATION.format(base_url=simulator.base_url))
    stack.enter_context(patch.dict(os.environ, {"FME_TOKEN": simulator.token}))
    stack.enter_context(chdir(folder))


def stop(namespace: dict[str, Any]) -> None:
    """End what `start` began."""
    namespace["_stack"].close()


pytest_collect_file = Sybil(
    parsers=[PythonCodeBlockParser(), SkipParser()],
    patterns=["README.md", "CONTRIBUTING.md", "docs/*.md", "docs/**/*.md"],
    setup=start,
    teardown=stop,
).pytest()
