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
    credentials = {
        "FME_TOKEN": fme.token,
        "INVISION_KEY": invision.token,
        "SMART_FLOWS_KEY": smart_flows.token,
    }
    stack.enter_context(patch.dict(os.environ, credentials))
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
