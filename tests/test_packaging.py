"""What is said about versions in more than one place agrees."""

import runpy
import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent


def test_the_lowest_versions_are_those_of_the_project():
    """`constraints-lowest.txt` is what `.ci/lowest.py` makes of pyproject.toml; else run it again."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    made = runpy.run_path(str(ROOT / ".ci" / "lowest.py"))["lowest"](project)
    assert made == (ROOT / "constraints-lowest.txt").read_text(encoding="utf-8")
