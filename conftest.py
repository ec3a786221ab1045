"""The code in README.md and under docs/ runs against a simulator, as its reader would run it against a server."""

from __future__ import annotations

import os
import sys
import tempfile
from contextlib import ExitStack, chdir
from pathlib import Path
from subprocess import CalledProcessError
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from follow import BLOCK, do
from sybil import Example, Region, Sybil
from sybil.parsers.markdown import PythonCodeBlockParser, SkipParser

import forked_command

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sybil import Document

# Hundreds of tests start Python anew. What one has compiled the next ones use, also where the environment says to keep
# nothing.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

CONFIGURATION = """
[connections.prod]
backend = "fme-flow-v4"
base_url = "{fme}"
token = {{ env = "FME_TOKEN" }}

[connections.flow]
backend = "fme-flow"
base_url = "{fme}"
token = {{ env = "FME_TOKEN" }}

[connections.finance]
backend = "invision"
base_url = "{invision}"
api_key = {{ env = "INVISION_KEY" }}

[connections.reports]
backend = "smart-flows"
base_url = "{smart_flows}"
api_key = {{ env = "SMART_FLOWS_KEY" }}

[connections.old]
backend = "fme-flow-v3"
base_url = "{fme}"
token = {{ env = "FME_TOKEN" }}
"""


def start(namespace: dict[str, Any]) -> None:
    """Simulators of all vendors, twenty times as fast as life, and a configuration that names them."""
    from flowrunner.simulator import RealClock, Simulator

    stack = namespace["_stack"] = ExitStack()
    fme, invision, smart_flows = (
        stack.enter_context(Simulator(vendor, clock=RealClock(speed=20)))
        for vendor in ("fme-flow", "invision", "smart-flows")
    )
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    (folder / "flowrunner.toml").write_text(
        CONFIGURATION.format(fme=fme.base_url, invision=invision.base_url, smart_flows=smart_flows.base_url)
    )
    environment = {
        "FME_URL": fme.base_url,
        "FME_TOKEN": fme.token,
        "INVISION_KEY": invision.token,
        "SMART_FLOWS_KEY": smart_flows.token,
        "FLOWRUNNER_JOURNAL": str(folder / "state" / "journal.sqlite3"),
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
    }
    stack.enter_context(patch.dict(os.environ, environment))
    stack.enter_context(chdir(folder))


def stop(namespace: dict[str, Any]) -> None:
    """End what `start` began."""
    namespace["_stack"].close()


def blocks(document: Document) -> Iterator[Region]:
    """The files a page has its reader write, and the commands it has them run, as `docs/follow.py` reads them.

    A region is the comment above the block alone: the block may be Python, and then another parser has it.
    """
    for block in BLOCK.finditer(document.text):
        yield Region(block.start(), document.text.index("\n", block.start()), block, _done)


def _done(example: Example) -> str | None:
    path = os.pathsep.join([str(forked_command.folder()), os.environ["PATH"]])
    try:
        do(example.parsed, Path.cwd(), {**os.environ, "PATH": path})
    except CalledProcessError as error:
        return f"{example.path}, line {example.line}: the commands ended with {error.returncode}"
    return None


pytest_collect_file = Sybil(
    parsers=[PythonCodeBlockParser(), blocks, SkipParser()],
    patterns=["README.md", "CONTRIBUTING.md", "docs/*.md", "docs/**/*.md"],
    excludes=["docs/how-to/write-a-backend.md"],  # it installs packages, so CI follows it by itself
    setup=start,
    teardown=stop,
).pytest()
