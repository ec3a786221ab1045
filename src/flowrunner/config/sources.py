"""Where each setting of one connection comes from, and what it becomes."""

from __future__ import annotations

import re
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from attrs import field, fields, frozen

from flowrunner.config.addresses import check_address, check_encrypted
from flowrunner.config.credentials import obtain
from flowrunner.config.settings import Setting, from_text, typed
from flowrunner.errors import ConfigError
from flowrunner.nearmiss import suggestion
from flowrunner.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from flowrunner.backend import Backend, Settings
    from flowrunner.config.file import Configuration

__all__ = ["Given", "Origin", "Sources", "variable_of"]


class Origin(StrEnum):
    """Where the value of a setting comes from; the earlier of these wins."""

    ARGUMENT = "argument"
    ENVIRONMENT = "environment"
    FILE = "file"
    DEFAULT = "default"


@frozen
class Given:
    """A value for a setting, and where it came from.

    Attributes:
        value: as it was given.
        kind: what gave it.
        origin: the same as a person reads it, with the name and the line.
        folder: what a path in it is relative to.
    """

    value: Any = field(repr=False)
    kind: Origin
    origin: str
    folder: Path


@frozen
class Sources:
    """Everything that is given for one connection, and how it becomes its settings.

    Attributes:
        name: None for settings given in place.
        backend: declares the settings.
        known: the declared settings.
        arguments: win over the environment.
        environ: wins over the table.
        table: of the connection in the file.
        configuration: where the table stands; None without one.
        here: what other paths are relative to, also after the program has changed its working folder.
    """

    name: str | None
    backend: type[Backend]
    known: Mapping[str, Setting]
    arguments: Mapping[Any, Any] = field(repr=False)
    environ: Mapping[str, str] = field(repr=False)
    table: Mapping[Any, Any] = field(factory=dict, repr=False)
    configuration: Configuration | None = None
    here: Path = field(factory=Path.cwd)

    def settings(self) -> Settings:
        """The settings, checked one by one and together.

        Raises:
            ConfigError: something is unknown, missing or wrong.
        """
        self._refuse_unknown()
        given = {setting: self.given(setting) for setting in self.known.values()}
        if missing := [setting for setting in given if setting.is_required and given[setting] is None]:
            raise self._error("; ".join(map(self._how_to_give, missing)))
        return self._made({setting.name: self.value(setting, one) for setting, one in given.items() if one})

    def renewed(self, settings: Settings) -> Settings:
        """The settings with every credential that is given as it is now.

        Raises:
            ConfigError: a credential cannot be read, or its value is refused.
        """
        given = {setting: self.given(setting) for setting in self.known.values() if setting.is_secret}
        fresh = {setting.name: self.value(setting, one) for setting, one in given.items() if one}
        kept = {setting.name: getattr(settings, setting.attribute) for setting in self.known.values()}
        return self._made(kept | fresh)

    def literals(self) -> Iterator[str]:
        """A warning for each credential that is used and written in the file itself."""
        for setting in self.known.values():
            given = self.given(setting)
            if setting.is_secret and given and given.kind is Origin.FILE and isinstance(given.value, Secret):
                yield (
                    f"the credential {given.origin} is written in the file itself: better"
                    f' {setting.name} = {{ env = "NAME" }}, {{ file = "PATH" }} or {{ keyring = "SERVICE/USER" }}'
                )

    def given(self, setting: Setting) -> Given | None:
        """What gives a setting its value; None where its default does."""
        name = setting.name
        if name in self.arguments:
            return Given(self.arguments[name], Origin.ARGUMENT, f"the argument {name}", self.here)
        if self.name is not None and (text := self.environ.get(variable := variable_of(self.name, name))):
            value = Secret(text) if setting.is_secret else text
            return Given(value, Origin.ENVIRONMENT, f"${variable}", self.here)
        if name in self.table:
            folder = Path() if self.configuration is None else self.configuration.folder
            return Given(self.table[name], Origin.FILE, self._place(name), folder)
        return None

    def value(self, setting: Setting, given: Given) -> Any:
        """What a setting is, of what was given for it.

        Raises:
            ConfigError: that cannot be.
        """
        try:
            return _converted(setting, given, self.environ)
        except ValueError as error:
            problem, keys = str(error), getattr(error, "keys", ())
        place = self._place(setting.name, *keys) if given.kind is Origin.FILE else given.origin
        raise self._error(f"{place}: {problem}")

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
        prefix = self._place_of(at_fault) or ("" if at_fault is None or at_fault in problem else f"{at_fault}: ")
        raise self._error(_without(values, prefix + problem))

    def _place_of(self, name: str | None) -> str:
        """Where the file gives a setting, or all of them; nothing if no file does."""
        if self.configuration is None or self.configuration.path is None:
            return ""
        given = None if name is None else self.given(self.known[name])
        if given is None:
            return f"{self._where()}: "
        return f"{given.origin}: " if given.kind is Origin.FILE else ""

    def _refuse_unknown(self) -> None:
        for names, where in ((self.arguments, lambda _: "the arguments"), (self.table, self._where)):
            for name in names:
                if name not in self.known:
                    near = suggestion(name, self.known)
                    raise self._error(
                        f"backend {self.backend.name!r} has no setting {name!r}, given in {where(str(name))}: {near}"
                    )

    def _place(self, name: str, *keys: str) -> str:
        """A setting in the file, as errors name it, and the line of what is in it."""
        return f"{name} of {self._where(name, *keys)}"

    def _where(self, *keys: str) -> str:
        """The table in the file, as errors name it, and the line of a key in it."""
        name = str(self.name)
        place = "" if self.configuration is None else self.configuration.at("connections", name, *keys)
        return f"[connections.{name}] in {place}"

    def _how_to_give(self, setting: Setting) -> str:
        value = '{ env = "NAME" }' if setting.is_secret else "..."
        ways = f"pass {setting.name}=..."
        if self.name is not None:
            variable = variable_of(self.name, setting.name)
            ways += f", set ${variable}, or write {setting.name} = {value} under {self._where()}"
        return f"the setting {setting.name} is missing: {ways}"

    def _error(self, text: str) -> ConfigError:
        return ConfigError(text, connection=self.name, backend=self.backend.name)


def _converted(setting: Setting, given: Given, environ: Mapping[str, str]) -> Any:
    """The value as the setting's type; its problems are ValueErrors."""
    if setting.is_secret:
        is_absent = given.value is None and not setting.is_required
        return None if is_absent else obtain(given.value, folder=given.folder, environ=environ)
    value = from_text(given.value, setting.type) if given.kind is Origin.ENVIRONMENT else given.value
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


def _folded(name: str) -> str:
    """A name as it stands in a variable."""
    return re.sub(r"[^A-Z0-9]", "_", name.upper())


def variable_of(connection: str, setting: str) -> str:
    """The environment variable that overrides a setting of a connection."""
    return f"FLOWRUNNER_{_folded(connection)}_{_folded(setting)}"
