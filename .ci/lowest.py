"""Print the lowest versions that pyproject.toml allows, as constraints for pip.

Run `python .ci/lowest.py > constraints-lowest.txt`.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent
NOT_PINNED = {"flowrunner", "pytest"}  # itself; and what the suite is run by, which needs a newer one than users do


def lowest(project: dict[str, object]) -> str:
    """The constraints, a line each, in the order of their names."""
    extras = dict(project["optional-dependencies"])
    for tools in ("dev", "docs"):
        extras.pop(tools)
    wanted = [*project["dependencies"], *(each for group in extras.values() for each in group)]
    pins = {name: version for each in wanted for name, version in re.findall(r"^([\w-]+)(?:\[.*\])?>=([\d.]+)", each)}
    return "".join(f"{name}=={pins[name]}\n" for name in sorted(pins.keys() - NOT_PINNED))


if __name__ == "__main__":
    read = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    print(lowest(read["project"]), end="")  # noqa: T201 - what it is for
