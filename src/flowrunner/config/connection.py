"""From a name, or settings given in place, to a `Connection`.

Every setting comes from an argument, else from the environment variable `FLOWRUNNER_<CONNECTION>_<SETTING>`, else from
the configuration file, else from its default. The modules below this one know their subject and raise `ValueError`; the
`ConfigError`s, which name connection, setting and origin, are made here. They are raised outside of `except` blocks
where what they replace may hold a credential.
"""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from attrs import field, fields, frozen

from flowrunner import registry
from flowrunner.config.addresses import check_address, check_encrypted, is_loopback, place
from flowrunner.config.credentials import obtain
from flowrunner.config.file import Configuration, read_configuration
from flowrunner.config.settings import Setting, declared, from_text, typed
from flowrunner.errors import BackendLoadError, ConfigError, UnknownConnection
from flowrunner.nearmiss import suggestion
from flowrunner.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flowrunner.backend import Backend, Settings

__all__ = ["Connection", "resolve"]


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
        sources = _configured(name, backend, read_configuration(config, environ), arguments, environ)
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


def _configured(
    name: str,
    backend: str | type[Backend] | None,
    configuration: Configuration,
    arguments: Mapping[str, Any],
    environ: Mapping[str, str],
) -> _Sources:
    table = _table(name, configuration)
    loaded = _loaded(name, _backend_named(name, table, configuration) if backend is None else backend)
    known = _declared(loaded)
    _refuse_clashes(name, known, configuration, environ)
    given = {key: value for key, value in table.items() if key != "backend"}
    return _Sources(
        name, loaded, known, _hidden(arguments, known), environ, _hidden(given, known),
        f"[connections.{name}] in {configuration.where}", configuration.folder,
    )  # fmt: skip


def _inline(backend: type[Backend], arguments: Mapping[str, Any], environ: Mapping[str, str]) -> _Sources:
    known = _declared(backend)
    return _Sources(None, backend, known, _hidden(arguments, known), environ)


def _table(name: str, configuration: Configuration) -> Mapping[Any, Any]:
    if name not in configuration.connections:
        known = suggestion(name, configuration.connections)
        raise UnknownConnection(f"there is no connection {name!r} in {configuration.where}: {known}")
    table = configuration.connections[name]
    if not isinstance(table, Mapping):
        raise ConfigError(f"[connections.{name}] in {configuration.where} must be a table, not {type(table).__name__}")
    return table


def _backend_named(name: str, table: Mapping[Any, Any], configuration: Configuration) -> Any:
    if "backend" in table:
        return table["backend"]
    raise ConfigError(
        f"[connections.{name}] in {configuration.where} has no `backend`: {suggestion('', registry.names())}",
        connection=name,
    )


def _loaded(name: str, backend: Any) -> type[Backend]:
    try:
        return registry.load(backend)
    except ConfigError as error:
        error.locate(connection=name)
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


# --- one connection: where each of its settings comes from


@frozen
class _Given:
    """A value for a setting, and where it came from."""

    value: Any = field(repr=False)
    origin: str
    folder: Path
    is_variable: bool = False
    is_literal_in_file: bool = False


@frozen
class _Sources:
    """Everything that is given for one connection, and how it becomes its settings.

    Attributes:
        name: None for settings given in place.
        backend: declares the settings.
        known: the declared settings.
        arguments: win over the environment.
        environ: wins over the table.
        table: of the connection in the file.
        where: the table, as errors name it.
        folder: what paths in the table are relative to.
        here: what other paths are relative to, also after the program has changed its working folder.
    """

    name: str | None
    backend: type[Backend]
    known: Mapping[str, Setting]
    arguments: Mapping[Any, Any] = field(repr=False)
    environ: Mapping[str, str] = field(repr=False)
    table: Mapping[Any, Any] = field(factory=dict, repr=False)
    where: str = ""
    folder: Path = Path()
    here: Path = field(factory=Path.cwd)

    def settings(self) -> Settings:
        """The settings, checked one by one and together.

        Raises:
            ConfigError: something is unknown, missing or wrong.
        """
        self._refuse_unknown(self.arguments, "the arguments")
        self._refuse_unknown(self.table, self.where)
        given = {setting: self._given(setting) for setting in self.known.values()}
        if missing := [setting for setting in given if setting.is_required and given[setting] is None]:
            raise self._error("; ".join(map(self._how_to_give, missing)))
        return self._made({setting.name: self._value(setting, one) for setting, one in given.items() if one})

    def renewed(self, settings: Settings) -> Settings:
        """The settings with every credential that is given as it is now.

        Raises:
            ConfigError: a credential cannot be read, or its value is refused.
        """
        given = {setting: self._given(setting) for setting in self.known.values() if setting.is_secret}
        fresh = {setting.name: self._value(setting, one) for setting, one in given.items() if one}
        kept = {setting.name: getattr(settings, setting.attribute) for setting in self.known.values()}
        return self._made(kept | fresh)

    def literals(self) -> Iterator[str]:
        """A warning for each credential that is used and written in the file itself."""
        for setting in self.known.values():
            given = self._given(setting)
            if given and given.is_literal_in_file:
                yield (
                    f"the credential {given.origin} is written in the file itself: better"
                    f' {setting.name} = {{ env = "NAME" }}, {{ file = "PATH" }} or {{ keyring = "SERVICE/USER" }}'
                )

    def _given(self, setting: Setting) -> _Given | None:
        name = setting.name
        if name in self.arguments:
            return _Given(self.arguments[name], f"the argument {name}", self.here)
        if self.name is not None and (text := self.environ.get(variable := _variable(self.name, name))):
            return _Given(Secret(text) if setting.is_secret else text, f"${variable}", self.here, is_variable=True)
        if name in self.table:
            value = self.table[name]
            literal = setting.is_secret and isinstance(value, Secret)
            return _Given(value, f"{name} of {self.where}", self.folder, is_literal_in_file=literal)
        return None

    def _value(self, setting: Setting, given: _Given) -> Any:
        try:
            return _converted(setting, given, self.environ)
        except ValueError as error:
            problem = str(error)
        raise self._error(f"{given.origin}: {problem}")

    def _made(self, values: Mapping[str, Any]) -> Settings:
        made = None
        try:
            made = self.backend.settings_class(**values)
            if isinstance(address := getattr(made, "base_url", None), str):
                check_encrypted(address, allow_insecure=made.allow_insecure)
        except (ValueError, TypeError) as error:
            problem = str(error.args[0]) if error.args else type(error).__name__
        else:
            return made
        at_fault = "base_url" if made else _at_fault(self.backend.settings_class, values)
        prefix = "" if at_fault is None or at_fault in problem else f"{at_fault}: "
        raise self._error(_without(values, prefix + problem))

    def _refuse_unknown(self, names: Mapping[Any, Any], where: str) -> None:
        for name in names:
            if name not in self.known:
                kinds = suggestion(name, self.known)
                raise self._error(f"backend {self.backend.name!r} has no setting {name!r}, given in {where}: {kinds}")

    def _how_to_give(self, setting: Setting) -> str:
        value = '{ env = "NAME" }' if setting.is_secret else "..."
        ways = f"pass {setting.name}=..."
        if self.name is not None:
            ways += f", set ${_variable(self.name, setting.name)}, or write {setting.name} = {value} under {self.where}"
        return f"the setting {setting.name} is missing: {ways}"

    def _error(self, text: str) -> ConfigError:
        return ConfigError(text, connection=self.name, backend=self.backend.name)


def _converted(setting: Setting, given: _Given, environ: Mapping[str, str]) -> Any:
    """The value as the setting's type; its problems are ValueErrors."""
    if setting.is_secret:
        is_absent = given.value is None and not setting.is_required
        return None if is_absent else obtain(given.value, folder=given.folder, environ=environ)
    value = from_text(given.value, setting.type) if given.is_variable else given.value
    value = typed(value, setting.type, given.folder)
    check = _CHECKS.get(setting.name)
    return check(value, given.folder) if check and value is not None else value


def _certificates(value: str, folder: Path) -> str:
    path = folder / value
    if not path.is_file():
        raise ValueError(f"there is no file {path}")
    return str(path)


_CHECKS: Final[Mapping[str, Callable[[Any, Path], Any]]] = {
    "base_url": lambda value, _folder: check_address(value),
    "ca_file": _certificates,
}
"""What a setting of this name has to fulfil beside its type, whatever the backend."""


def _at_fault(cls: type[Settings], values: Mapping[str, Any]) -> str | None:
    """The setting that its validator refuses; None where it takes the whole to tell."""
    for attribute in fields(cls):
        name = str(attribute.alias)
        if attribute.validator is not None and name in values:
            try:
                attribute.validator(None, attribute, values[name])
            except (ValueError, TypeError):
                return name
            except AttributeError:  # a validator that looks at the other settings, and here there are none
                continue
    return None


def _without(values: Mapping[str, Any], text: str) -> str:
    for value in values.values():
        text = value.hide_in(text) if isinstance(value, Secret) else text
    return text


# --- environment variables


def _folded(name: str) -> str:
    return re.sub(r"[^A-Z0-9]", "_", name.upper())


def _variable(connection: str, setting: str) -> str:
    return f"FLOWRUNNER_{_folded(connection)}_{_folded(setting)}"


def _refuse_clashes(
    name: str, known: Mapping[str, Setting], configuration: Configuration, environ: Mapping[str, str]
) -> None:
    """Refuse a variable that is set and could be meant for another setting or connection, too."""
    for setting in known:
        variable = _variable(name, setting)
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
        if variable.startswith(_variable(connection, "")):
            settings = known if connection == name else _settings_of(table)
            yield from ((connection, setting) for setting in settings if _variable(connection, setting) == variable)


def _settings_of(table: Any) -> Mapping[str, Setting]:
    """What another connection can have set; nothing if it is itself misconfigured."""
    try:
        return _declared(registry.load(table["backend"]))
    except (ConfigError, KeyError, TypeError):
        return {}
