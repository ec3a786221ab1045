"""What a shell completes beside commands and options. Whatever is wrong, it completes nothing and says nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import click

__all__ = ["backend_names", "connection_names", "vendor_names"]


def connection_names(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
    """The connections of the configuration, or of the one that `--config` names before."""
    import os

    from flowrunner.config.file import read_configuration
    from flowrunner.errors import FlowrunnerError

    try:
        configuration = read_configuration(ctx.params.get("config"), os.environ)
    except FlowrunnerError:
        return []
    return [name for name in configuration.connections if name.startswith(incomplete)]


def backend_names(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
    """The backends there are; none is imported."""
    from flowrunner import registry

    return [name for name in registry.names() if name.startswith(incomplete)]


def vendor_names(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
    """The vendors that can be simulated: those of the backends that are built in."""
    from flowrunner import registry

    return [name for name in registry.BUILTINS if name.startswith(incomplete)]
