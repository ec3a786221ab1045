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
    "flowrunner.errors", "flowrunner.models", "flowrunner.plans", "flowrunner.retries", "flowrunner.secret",
    "flowrunner.states", "flowrunner.testing.conformance",
}  # fmt: skip
SOURCES = sorted([*ROOT.glob("src/flowrunner/backends/*.py"), *ROOT.glob("examples/*/**/*.py")])


def imported(source):
    """Modules of ours and the names that a file takes from them; None for a module as a whole."""
    for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "flowrunner":
            yield from ((node.module, alias.name) for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from ((alias.name, None) for alias in node.names if alias.name.split(".")[0] == "flowrunner")


def test_the_page_names_what_is_public():
    """The specification lists the modules that are checked here."""
    (section,) = re.findall(r"## What a plugin may import\n(.*?)\n## ", PAGE, re.DOTALL)
    assert set(re.findall(r"`(flowrunner(?:\.[a-z.]+)?)`", section)) == PUBLIC


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.relative_to(ROOT).as_posix())
def test_nothing_private_is_imported(source):
    """Modules are public ones, names are those in their `__all__`; a built-in may also use its own family's modules."""
    for module, name in imported(source):
        if module.startswith("flowrunner.backends.") and "src/flowrunner/backends" in source.as_posix():
            continue
        assert module in PUBLIC, f"{source}: {module} is private"
        assert name is None or name in import_module(module).__all__, f"{source}: {module}.{name} is private"
