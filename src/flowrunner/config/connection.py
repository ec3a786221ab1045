"""From a name, or settings given in place, to a `Connection`.

Every setting comes from an argument, else from the environment variable `FLOWRUNNER_<CONNECTION>_<SETTING>`, else from
the configuration file, else from its default. The modules below this one know their subject and raise `ValueError`; the
`ConfigError`s, which name connection, setting and origin, are made here. They are raised outside of `except` blocks
where what they replace may hold a credential.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from attrs import field, frozen

from flowrunner import registry
from flowrunner.config.addresses import is_loopback, place
from flowrunner.config.file import Configuration, read_configuration
from flowrunner.config.settings import Setting, declared
from flowrunner.config.sources import Sources, variable_of
from flowrunner.errors import BackendLoadError, ConfigError, UnknownConnection
from flowrunner.nearmiss import suggestion
from flowrunner.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flowrunner.backend import Backend, Settings

__all__ = ["Connection", "resolve", "sources_of"]


@frozen
class Connection:
    """Where to run: a backend and its settings, checked.

    Attributes:
        name: the configured name; for settings given in place `backend@host:port/prefix`.
        backend: the class that speaks with the vendor.
        settings: an instance of its `settings_class`.
    """

    name: str
    backend: type[Backend]
    settings: Settings
    _renew: Callable[[Settings], Settings] = field(default=lambda settings: settings, repr=False, eq=False)

    def reload(self) -> Settings:
        """The settings with every credential read anew from where it came from: a token file may have been replaced.

        Precedence is what it was, and everything that is no credential stays what it is.

        Raises:
            ConfigError: a credential cannot be read any more.
        """
        return self._renew(self.settings)


def resolve(
    name: str | None,
    *,
    backend: str | type[Backend] | None,
    config: str | os.PathLike[str] | Mapping[str, Any] | None,
    arguments: Mapping[str, Any],
    environ: Mapping[str, str] = os.environ,
) -> Connection:
    """The connection of a name; without a name, the one that backend and arguments make up.

    A literal credential in the file works, with a `UserWarning`.

    Args:
        name: of a configured connection. Without it no file and, for settings, no environment is read.
        backend: a name or a class; overrides the file's.
        config: the path of a file, or what a file would say; None to look in the usual places, see
            `file.read_configuration`.
        arguments: settings by name; they win over the environment and the file.
        environ: the environment variables.

    Raises:
        UnknownConnection: no connection of this name is configured.
        UnknownBackend: no backend of this name exists.
        BackendLoadError: the backend cannot be loaded.
        ConfigError: anything else is wrong with the file, a setting or a credential.
    """
    if name is not None:
        sources = sources_of(name, backend, read_configuration(config, environ), arguments, environ)
    elif backend is not None:
        sources = _inline(registry.load(backend), arguments, environ)
    else:
        raise _nothing_named(read_configuration(config, environ))
    settings = sources.settings()
    chosen = _inline_name(sources.backend, settings) if name is None else name
    for text in () if _is_here(settings) else sources.literals():
        # The line to point at is the one that calls connect(), which has a helper call this.
        warnings.warn(text, stacklevel=4)
    return Connection(chosen, sources.backend, settings, sources.renewed)


def _is_here(settings: Settings) -> bool:
    """Whether the server is on this machine, such as a simulator, whose token is nobody's secret."""
    return is_loopback(urlsplit(str(getattr(settings, "base_url", ""))).hostname or "")


def sources_of(
    name: str,
    backend: str | type[Backend] | None,
    configuration: Configuration,
    arguments: Mapping[str, Any],
    environ: Mapping[str, str],
) -> Sources:
    """Everything that is given for a configured connection; arguments as `resolve` takes them.

    Raises:
        ConfigError: there is no such connection, no such backend, or a variable could mean several settings.
    """
    table = _table(name, configuration)
    loaded = _loaded(name, backend, table, configuration)
    known = _declared(loaded)
    _refuse_clashes(name, known, configuration, environ)
    given = {key: value for key, value in table.items() if key != "backend"}
    return Sources(name, loaded, known, _hidden(arguments, known), environ, _hidden(given, known), configuration)


def _inline(backend: type[Backend], arguments: Mapping[str, Any], environ: Mapping[str, str]) -> Sources:
    known = _declared(backend)
    return Sources(None, backend, known, _hidden(arguments, known), environ)


def _table(name: str, configuration: Configuration) -> Mapping[Any, Any]:
    if name not in configuration.connections:
        raise _unknown(name, configuration)
    table = configuration.connections[name]
    if not isinstance(table, Mapping):
        place = f"[connections.{name}] in {configuration.at('connections', name)}"
        raise ConfigError(f"{place} must be a table, not {type(table).__name__}")
    return table


def _unknown(name: str, configuration: Configuration) -> UnknownConnection:
    text = f"there is no connection {name!r} in {configuration.where}: {suggestion(name, configuration.connections)}"
    if name not in registry.names():
        return UnknownConnection(text)
    # Who gives a vendor's name here wants its settings taken from the arguments.
    hint = f"{name!r} is a backend, whose settings are given in Python by connect(backend={name!r}, ...)"
    return UnknownConnection(f"{text}. {hint}", backend=name)


def _backend_named(name: str, table: Mapping[Any, Any], configuration: Configuration) -> Any:
    if "backend" in table:
        return table["backend"]
    raise ConfigError(
        f"[connections.{name}] in {configuration.at('connections', name)} has no `backend`:"
        f" {suggestion('', registry.names())}",
        connection=name,
    )


def _loaded(
    name: str, backend: str | type[Backend] | None, table: Mapping[Any, Any], configuration: Configuration
) -> type[Backend]:
    try:
        return registry.load(_backend_named(name, table, configuration) if backend is None else backend)
    except ConfigError as error:
        error.locate(connection=name)
        if backend is None and "backend" in table:
            place = configuration.at("connections", name, "backend")
            error.add_note(f"It is named by [connections.{name}] in {place}")
        raise


def _nothing_named(configuration: Configuration) -> ConfigError:
    connections = suggestion("", configuration.connections)
    return ConfigError(
        f"name a connection, or give a backend and its settings; of connections in {configuration.where} {connections}"
    )


def _declared(backend: type[Backend]) -> Mapping[str, Setting]:
    try:
        return declared(backend.settings_class)
    except (NameError, TypeError, AttributeError, SyntaxError, ValueError) as error:
        raise BackendLoadError(
            f"the settings of backend {backend.name!r} cannot be read: {error}", backend=backend.name
        ) from error


def _hidden(values: Mapping[Any, Any], known: Mapping[str, Setting]) -> Mapping[Any, Any]:
    """The values, with credentials given as text wrapped so that nothing can show them."""

    def hidden(name: Any, value: Any) -> Any:
        is_secret = name in known and known[name].is_secret
        return Secret(value) if is_secret and isinstance(value, str) else value

    return {name: hidden(name, value) for name, value in values.items()}


def _inline_name(backend: type[Backend], settings: Settings) -> str:
    address = getattr(settings, "base_url", None)
    return f"{backend.name}@{place(address)}" if isinstance(address, str) else backend.name


# --- environment variables that could mean several settings


def _refuse_clashes(
    name: str, known: Mapping[str, Setting], configuration: Configuration, environ: Mapping[str, str]
) -> None:
    """Refuse a variable that is set and could be meant for another setting or connection, too."""
    for setting in known:
        variable = variable_of(name, setting)
        if environ.get(variable):
            owners = {(name, setting), *_owners(variable, name, known, configuration)}
            if len(owners) > 1:
                each = " and ".join(sorted(f"{setting} of {connection!r}" for connection, setting in owners))
                raise ConfigError(f"${variable} could mean {each}: rename a connection, or unset it", connection=name)


def _owners(
    variable: str, name: str, known: Mapping[str, Setting], configuration: Configuration
) -> Iterator[tuple[str, str]]:
    for connection, table in configuration.connections.items():
        # Another backend is loaded only if the variable could be for a connection of it.
        if variable.startswith(variable_of(connection, "")):
            settings = known if connection == name else _settings_of(table)
            yield from ((connection, setting) for setting in settings if variable_of(connection, setting) == variable)


def _settings_of(table: Any) -> Mapping[str, Setting]:
    """What another connection can have set; nothing if it is itself misconfigured."""
    try:
        return _declared(registry.load(table["backend"]))
    except (ConfigError, KeyError, TypeError):
        return {}
