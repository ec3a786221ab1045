"""Where each setting of a connection comes from, for people to read. No credential is in it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from attrs import NOTHING, Factory, fields, frozen

from flowrunner.config.connection import sources_of
from flowrunner.config.file import read_configuration
from flowrunner.config.sources import Given, Origin
from flowrunner.errors import ConfigError
from flowrunner.secret import MASK, Secret
from flowrunner.states import Meaning

if TYPE_CHECKING:
    from pathlib import Path

    from flowrunner.backend import Settings
    from flowrunner.config.file import Configuration
    from flowrunner.config.settings import Setting
    from flowrunner.config.sources import Sources

__all__ = ["Explained", "Explanation", "explain"]


@frozen
class Explained:
    """A setting, its value and where that comes from.

    Attributes:
        name: of the setting.
        value: what it is, as JSON has it; `***` for a credential and for what may hold one, None without a value.
        origin: what gave the value.
        variable: the environment variable that gave it.
        file: the file that gave it.
        line: in that file.
        source: of a credential: `the environment variable NAME`, `the file PATH`, `the keyring entry SERVICE/USER`, or
            `written in the file itself`.
        problem: why the value cannot be used; None if it can.
    """

    name: str
    value: Any
    origin: Origin
    variable: str | None = None
    file: str | None = None
    line: int | None = None
    source: str | None = None
    problem: str | None = None


@frozen
class Explanation:
    """A configured connection, explained.

    Attributes:
        connection: its name.
        backend: the name of its backend.
        file: where it is configured; in words, if that is no file.
        line: where its table begins.
        settings: every setting of the backend: those that were given, then those that were not.
        problem: why they do not make a connection together; None if they do.
    """

    connection: str
    backend: str
    file: str
    line: int | None
    settings: tuple[Explained, ...]
    problem: str | None


def explain(
    name: str,
    *,
    config: str | os.PathLike[str] | Mapping[str, Any] | None = None,
    arguments: Mapping[str, Any] | None = None,
    environ: Mapping[str, str] = os.environ,
) -> Explanation:
    """Tell where each setting of a connection comes from: an argument, the environment, the file or its default.

    Credentials are looked up, to see that they can be, and not kept.

    Args:
        name: of a configured connection.
        config: a configuration file, or its content, instead of the usual search.
        arguments: settings that a program gives, by name.
        environ: the environment variables.

    Raises:
        ConfigError: the file cannot be read, or has no such connection, or the connection no usable backend.
    """
    configuration = read_configuration(config, environ)
    sources = sources_of(name, None, configuration, arguments or {}, environ)
    defaults = _defaults(sources.backend.settings_class)
    explained = [_explained(sources, setting, defaults, configuration) for setting in sources.known.values()]
    return Explanation(
        name,
        sources.backend.name,
        _file_of(configuration),
        configuration.line_of("connections", name),
        tuple(sorted(explained, key=lambda each: (each.origin is Origin.DEFAULT, each.name))),
        _problem(sources),
    )


def _file_of(configuration: Configuration) -> str:
    return configuration.where if configuration.path is None else str(configuration.path)


def _problem(sources: Sources) -> str | None:
    try:
        sources.settings()
    except ConfigError as error:
        return error.message
    return None


def _defaults(settings: type[Settings]) -> Mapping[str, Any]:
    """The defaults of a class that JSON can show."""
    return {
        str(each.alias): None if isinstance(each.default, Factory) or each.default is NOTHING else each.default  # type: ignore[arg-type]
        for each in fields(settings)
    }


def _explained(
    sources: Sources, setting: Setting, defaults: Mapping[str, Any], configuration: Configuration
) -> Explained:
    given = sources.given(setting)
    if given is None:
        problem = "it is missing" if setting.is_required else None
        return Explained(setting.name, defaults[setting.name], Origin.DEFAULT, problem=problem)
    value, problem = _shown(sources, setting, given)
    is_filed = given.kind is Origin.FILE
    return Explained(
        setting.name,
        value,
        given.kind,
        variable=given.origin.removeprefix("$") if given.kind is Origin.ENVIRONMENT else None,
        file=_file_of(configuration) if is_filed else None,
        line=configuration.line_of("connections", str(sources.name), setting.name) if is_filed else None,
        source=_source(given, configuration.folder) if setting.is_secret else None,
        problem=problem,
    )


def _shown(sources: Sources, setting: Setting, given: Given) -> tuple[Any, str | None]:
    """The value as it may be shown, and why it cannot be used. One that cannot is not shown: it may be anything."""
    try:
        value = sources.value(setting, given)
    except ConfigError as error:
        return None, error.message
    is_hidden = setting.is_secret or not setting.is_shown
    return (MASK if is_hidden and value is not None else _plain(value)), None


def _plain(value: Any) -> Any:
    """A value as JSON has it."""
    return value if isinstance(value, bool | int | float | None) else _structure(value)


def _structure(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return _meaning(value) if isinstance(value, Meaning) else str(value)


def _meaning(meaning: Meaning) -> str:
    """As configuration writes it."""
    detail = meaning.cause or meaning.reason or ("warnings" if meaning.has_warnings else None)
    return f"{meaning.state}/{detail}" if detail else str(meaning.state)


def _source(given: Given, folder: Path) -> str | None:
    """Where a credential comes from, in words; None where that is said by `origin` already."""
    if isinstance(given.value, str | Secret):
        return "written in the file itself" if given.kind is Origin.FILE else None
    try:
        [(kind, name)] = given.value.items()
    except (AttributeError, ValueError):
        return None
    if kind == "file":
        return f"the file {folder / str(name)}"
    return {"env": f"the environment variable {name}", "keyring": f"the keyring entry {name}"}.get(kind)
