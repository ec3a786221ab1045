"""The example plugins use what every author of a plugin may use, and nothing else."""

import ast
from importlib import import_module
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parent.parent / "examples"
FILES = sorted(path for path in EXAMPLES.rglob("*.py") if not {"build", ".venv"} & set(path.parts))
PUBLIC = {
    "flowrunner",
    "flowrunner.answers",
    "flowrunner.backend",
    "flowrunner.convert",
    "flowrunner.enums",
    "flowrunner.errors",
    "flowrunner.models",
    "flowrunner.plans",
    "flowrunner.secret",
    "flowrunner.states",
    "flowrunner.testing.conformance",
}
"""The modules that are there for authors of plugins."""


def imported(source):
    """What is imported from flowrunner: modules, and names of modules."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from ((alias.name, None) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            yield from ((node.module, alias.name) for alias in node.names)


def private(source):
    """What is imported from flowrunner that is not public."""
    return [
        (module, name)
        for module, name in imported(source)
        if module.partition(".")[0] == "flowrunner"
        and (module not in PUBLIC or name not in {None, *import_module(module).__all__})
    ]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(EXAMPLES).as_posix())
def test_examples_import_public_names_alone(path):
    """Names in the `__all__` of a public module."""
    assert private(path.read_text(encoding="utf-8")) == []


def test_a_private_import_would_be_noticed():
    """Of a module that is not public, of a name that is not, and of either in a function."""
    source = (
        "import flowrunner.http\nfrom flowrunner.plans import CHUNK\ndef f():\n    from flowrunner.clock import Clock\n"
    )
    found = [("flowrunner.http", None), ("flowrunner.plans", "CHUNK"), ("flowrunner.clock", "Clock")]
    assert private(source) == found
    assert private("import flowrunner, os\nfrom flowrunner.plans import Call\nfrom flowrunner import Client") == []
