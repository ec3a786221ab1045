"""What a backend may import: the built-in ones use nothing that a plugin cannot, and the examples show that."""

import ast
import re
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs/reference/backend-interface.md").read_text(encoding="utf-8")
PUBLIC = {
    "flowrunner", "flowrunner.answers", "flowrunner.backend", "flowrunner.convert", "flowrunner.enums",
    "flowrunner.errors", "flowrunner.models", "flowrunner.pages", "flowrunner.plans", "flowrunner.retries",
    "flowrunner.secret", "flowrunner.states", "flowrunner.testing.conformance",
}  # fmt: skip
ENGINES = {"dagster", "prefect"}  # their tests run against simulators
BUILT_IN = sorted(ROOT.glob("src/flowrunner/backends/*.py"))
EXAMPLES = sorted(path for path in ROOT.glob("examples/*/**/*.py") if not {"build", ".venv"} & set(path.parts))


def imported(source):
    """Modules of ours and the names that a file takes from them; None for a module as a whole."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "flowrunner":
            yield from ((node.module, alias.name) for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from ((alias.name, None) for alias in node.names if alias.name.split(".")[0] == "flowrunner")


def private(source, modules=PUBLIC):
    """What is imported that is not public: another module, or a name that is not in the `__all__` of one."""
    return [
        (module, name)
        for module, name in imported(source)
        if module not in modules or name not in {None, *import_module(module).__all__}
    ]


def test_the_page_names_what_is_public():
    """The specification lists the modules that are checked here."""
    (section,) = re.findall(r"## What a plugin may import\n(.*?)\n## ", PAGE, re.DOTALL)
    assert set(re.findall(r"`(flowrunner(?:\.[a-z.]+)?)`", section)) == PUBLIC


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_examples_import_nothing_private(path):
    """They are what an author of a plugin, or of a recipe for an engine, reads first."""
    modules = PUBLIC | ({"flowrunner.simulator", "flowrunner.testing"} if path.parts[-3] in ENGINES else set())
    assert private(path.read_text(encoding="utf-8"), modules) == []


@pytest.mark.parametrize("path", BUILT_IN, ids=lambda path: path.name)
def test_built_in_backends_import_nothing_that_a_plugin_cannot(path):
    """Beside their own family's modules."""
    found = private(path.read_text(encoding="utf-8"))
    assert [(module, name) for module, name in found if not module.startswith("flowrunner.backends.")] == []


def test_a_private_import_would_be_noticed():
    """Of a module that is not public, of a name that is not, and of either in a function."""
    source = (
        "import flowrunner.http\nfrom flowrunner.plans import CHUNK\ndef f():\n    from flowrunner.clock import Clock\n"
    )
    found = [("flowrunner.http", None), ("flowrunner.plans", "CHUNK"), ("flowrunner.clock", "Clock")]
    assert private(source) == found
    assert private("import flowrunner, os\nfrom flowrunner.plans import Call\nfrom flowrunner import Client") == []
