"""Whether the packages of an extra are there. Light: `main` asks before anything else is imported."""

from __future__ import annotations

from importlib.util import find_spec

__all__ = ["is_installed"]


def is_installed(module: str) -> bool:
    """Whether a top-level module could be imported; nothing is."""
    return find_spec(module) is not None
