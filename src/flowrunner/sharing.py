"""One client for all who use a connection in the same process: `share_async` and `share`.

A workflow engine runs hundreds of tasks in one event loop, or a thread for each, and none knows of the others. With a
client for each, the vendor is asked hundreds of times for what one list would tell. What is needed is loaded when it is
asked for: a program may import this and never use it.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from flowrunner.connecting import Arguments

if TYPE_CHECKING:
    import asyncio
    import os
    from collections.abc import AsyncIterator, Mapping
    from contextlib import AbstractAsyncContextManager, AbstractContextManager
    from datetime import timedelta

    from flowrunner.backend import Backend
    from flowrunner.client import AsyncClient
    from flowrunner.hosting import SharedClient
    from flowrunner.shared import Target

    _Wanted: TypeAlias = tuple[
        str | None,
        str | type[Backend] | None,
        str | os.PathLike[str] | Mapping[str, Any] | None,
        str | os.PathLike[str] | bool | None,
        Arguments,
    ]
    _Search: TypeAlias = tuple[asyncio.AbstractEventLoop, _Wanted, asyncio.Future[Target | None]]

__all__ = ["share", "share_async"]

_underway: Final[list[_Search]] = []
"""What is being sought, in any loop."""


def share_async(
    name: str | None = None,
    /,
    *,
    backend: str | type[Backend] | None = None,
    config: str | os.PathLike[str] | Mapping[str, Any] | None = None,
    journal: str | os.PathLike[str] | bool | None = None,
    idle: float | timedelta = 60.0,
    **settings: Any,
) -> AbstractAsyncContextManager[AsyncClient]:
    """The one client that all users of a connection share in this event loop.

    `async with share_async("prod") as client:` is all there is to it.

    Users are the same connection's if name, settings, credentials and journal are the same once they are resolved. They
    come and go: who leaves, or is cancelled, abandons what it waits for itself, and nothing else. The client follows
    runs in a context of its own: no variable or log of whoever came first sticks to it. Nobody closes it for the
    others; `close()` does nothing.

    It is closed `idle` seconds after its last user has left, and when the loop is shut down as `asyncio.run` does it.
    Another loop, and a child process, gets another client.

    Args:
        name: of a connection in the configuration.
        backend: the vendor, by name or class; with it and without a name, all settings are given here.
        config: a configuration file, or its content, instead of the usual search.
        journal: where submissions are written down: a file, or True for one in the user's state folder.
        idle: seconds for which the client is kept for the next user; of several, those of whoever leaves last count.
        **settings: of the connection; they win over the environment and the file.

    Returns:
        To enter: files and the keyring are read then, in another thread.

    Raises:
        ConfigError: on entering: something about that is wrong; the text says what.
        InvalidRequest: on entering: `idle` is no duration.
    """
    return _sharing((name, backend, config, journal, Arguments.taking(settings)), idle)


def share(
    name: str | None = None,
    /,
    *,
    backend: str | type[Backend] | None = None,
    config: str | os.PathLike[str] | Mapping[str, Any] | None = None,
    journal: str | os.PathLike[str] | bool | None = None,
    idle: float | timedelta = 60.0,
    **settings: Any,
) -> AbstractContextManager[SharedClient]:
    """As `share_async`, for all threads and all event loops of this process.

    `with share("prod") as shared: shared.call(function)` has `await function(client)` done where the client lives.

    The client lives on an event loop of its own, in one thread that all connections have in common. It ends with the
    process.

    Args:
        name: as for `share_async`; so are the others.
        backend: the vendor.
        config: a configuration.
        journal: where submissions are written down.
        idle: seconds for which the client is kept for the next user.
        **settings: of the connection.

    Returns:
        To enter; what it gives is good inside the `with` block.

    Raises:
        ConfigError: something about that is wrong; the text says what.
        InvalidRequest: `idle` is no duration; or, on entering, this is the thread that hosts the clients.
    """
    from flowrunner.hosting import hosted

    return hosted(_target(name, backend, config, journal, Arguments.taking(settings)), idle)


@asynccontextmanager
async def _sharing(wanted: _Wanted, idle: float | timedelta) -> AsyncIterator[AsyncClient]:
    target = await _found(wanted)
    from flowrunner.shared import use

    with use(target, idle) as client:
        yield client


async def _found(wanted: _Wanted) -> Target:
    """What is to be shared, sought in a thread. Who wants the same meanwhile has it, too.

    A thread for each of a thousand that come at once would have the loop wait for all that are ahead of it.
    """
    import asyncio

    loop = asyncio.get_running_loop()
    while (others := _sought(loop, wanted)) is not None:
        if (target := await asyncio.shield(others)) is not None:
            return target
    target = None
    search = loop, wanted, loop.create_future()
    _underway.append(search)
    try:
        target = await asyncio.to_thread(_ready, wanted)
        return target
    finally:
        _underway.remove(search)
        search[2].set_result(target)  # nothing, where it failed or was cancelled: the next seeks for itself


def _sought(loop: asyncio.AbstractEventLoop, wanted: _Wanted) -> asyncio.Future[Target | None] | None:
    return next((future for other, it, future in _underway if other is loop and it == wanted), None)


def _ready(wanted: _Wanted) -> Target:
    """Seek it, and load and read what the first request needs. All that takes a while is done here, in a thread."""
    from flowrunner.http.sessions import prepare

    target = _target(*wanted)
    settings = target.connection.settings
    prepare(settings.transport, settings.ca_file)
    return target


def _target(
    name: str | None,
    backend: str | type[Backend] | None,
    config: str | os.PathLike[str] | Mapping[str, Any] | None,
    journal: str | os.PathLike[str] | bool | None,  # noqa: FBT001 - a place
    given: Arguments,
) -> Target:
    from flowrunner.config import resolve
    from flowrunner.http.sessions import kind_of
    from flowrunner.shared import Target

    connection = resolve(name, backend=backend, config=config, arguments=given)
    kind_of(connection.settings.transport)
    return Target(connection, _file(journal))


def _file(journal: str | os.PathLike[str] | bool | None) -> os.PathLike[str] | None:  # noqa: FBT001 - a place
    if journal is None or journal is False:
        return None
    from flowrunner.journal import default_path
    from flowrunner.journal.place import real

    return real(default_path() if journal is True else journal)
