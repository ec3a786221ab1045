"""The way in: `connect` and `connect_async`. What they need is loaded when they are called."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

    from flowrunner.backend import Backend
    from flowrunner.client import AsyncClient, Client
    from flowrunner.config import Connection
    from flowrunner.events import OnEvent

__all__ = ["connect", "connect_async"]


class Arguments(dict[str, Any]):
    """Settings as a caller gave them, credentials among them: it shows the names alone."""

    @classmethod
    def taking(cls, settings: dict[str, Any]) -> Self:
        """All of them, which are gone from where they were: a traceback may show that, too."""
        taken = cls(settings)
        settings.clear()
        return taken

    def __repr__(self) -> str:
        return f"<{', '.join(self)}>"


def connect(
    name: str | None = None,
    /,
    *,
    backend: str | type[Backend] | None = None,
    config: str | os.PathLike[str] | Mapping[str, Any] | None = None,
    on_event: OnEvent | None = None,
    journal: object = None,
    **settings: Any,
) -> Client:
    """Connect to a workflow server. Nothing is asked of it yet.

    Args:
        name: of a connection in the configuration.
        backend: the vendor, by name or class; with it and without a name, all settings are given here.
        config: a configuration file, or its content, instead of the usual search.
        on_event: called with every event, see `flowrunner.events`.
        journal: None; this version keeps no journal.
        **settings: of the connection; they win over the environment and the file.

    Raises:
        ConfigError: something about that is wrong; the text says what.
    """
    from flowrunner.client import Client

    return Client(_resolve(name, backend, config, journal, Arguments.taking(settings)), on_event=on_event)


def connect_async(
    name: str | None = None,
    /,
    *,
    backend: str | type[Backend] | None = None,
    config: str | os.PathLike[str] | Mapping[str, Any] | None = None,
    on_event: OnEvent | None = None,
    journal: object = None,
    **settings: Any,
) -> AsyncClient:
    """As `connect`, for a program that runs on asyncio. The call itself is not awaited."""
    from flowrunner.client import AsyncClient

    return AsyncClient(_resolve(name, backend, config, journal, Arguments.taking(settings)), on_event=on_event)


def _resolve(
    name: str | None,
    backend: str | type[Backend] | None,
    config: str | os.PathLike[str] | Mapping[str, Any] | None,
    journal: object,
    settings: Arguments,
) -> Connection:
    from flowrunner.config import resolve

    if journal is not None:
        from flowrunner.errors import ConfigError

        raise ConfigError("this version keeps no journal: leave the argument `journal` out")

    return resolve(name, backend=backend, config=config, arguments=settings)
