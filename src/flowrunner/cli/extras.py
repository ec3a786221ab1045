"""Whether the packages of an extra are there. Light: `main` asks before anything else is imported."""

from __future__ import annotations

from importlib.util import find_spec

__all__ = ["is_installed", "require_simulator"]


def is_installed(module: str) -> bool:
    """Whether a top-level module could be imported; nothing is."""
    return find_spec(module) is not None


def require_simulator() -> None:
    """End the command, with what to install, where the simulator's extra is missing."""
    if is_installed("starlette") and is_installed("uvicorn"):
        return
    import click

    from flowrunner.cli.exit_codes import ExitCode

    class MissingExtra(click.ClickException):
        exit_code = ExitCode.USAGE

    raise MissingExtra('the simulator needs an extra: pip install "flowrunner[simulator]"')
