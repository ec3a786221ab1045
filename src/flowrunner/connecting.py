"""The way in: `connect` and `connect_async`. What they need is loaded when they are called."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Mapping

    from flowrunner.backend import Backend
    from flowrunner.client import AsyncClient, Client
    from flowrunner.config import Connection
    from flowrunner.events import OnEvent
    from flowrunner.journal import Journal

__all__ = ["Arguments", "connect", "connect_async", "opens"]


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
    journal: str | os.PathLike[str] | bool | None = None,
    **settings: Any,
) -> Client:
    """Connect to a workflow server. Nothing is asked of it yet.

    Args:
        name: of a connection in the configuration.
        backend: the vendor, by name or class; with it and without a name, all settings are given here.
        config: a configuration file, or its content, instead of the usual search.
        on_event: called with every event, see `flowrunner.events`; it must not wait for a run.
        journal: where submissions are written down: a file, or True for one in the user's state folder.
        **settings: of the connection; they win over the environment and the file.

    Raises:
        ConfigError: something about that is wrong; the text says what.
        JournalError: the journal cannot be used.
    """
    from flowrunner.client import Client

    connection = _resolve(name, backend, config, Arguments.taking(settings))
    open_journal = opens(journal)
    opened = open_journal() if open_journal is not None else None
    return Client(connection, on_event=on_event, journal=None if opened is None else lambda: opened)


def connect_async(
    name: str | None = None,
    /,
    *,
    backend: str | type[Backend] | None = None,
    config: str | os.PathLike[str] | Mapping[str, Any] | None = None,
    on_event: OnEvent | None = None,
    journal: str | os.PathLike[str] | bool | None = None,
    **settings: Any,
) -> AsyncClient:
    """As `connect`, for a program that runs on asyncio. The call itself is not awaited.

    The journal is opened when it is first needed, since that may take a while; if it cannot be used, that is when
    `JournalError` is raised.
    """
    from flowrunner.client import AsyncClient

    connection = _resolve(name, backend, config, Arguments.taking(settings))
    return AsyncClient(connection, on_event=on_event, journal=opens(journal))


def _resolve(
    name: str | None,
    backend: str | type[Backend] | None,
    config: str | os.PathLike[str] | Mapping[str, Any] | None,
    settings: Arguments,
) -> Connection:
    from flowrunner.config import resolve

    return resolve(name, backend=backend, config=config, arguments=settings)


def opens(journal: str | os.PathLike[str] | bool | None) -> Callable[[], Journal] | None:  # noqa: FBT001 - a place
    """What opens the journal, where there is to be one."""
    if journal is None or journal is False:
        return None
    from flowrunner.journal import Journal, default_path

    return lambda: Journal.open(default_path() if journal is True else journal)
