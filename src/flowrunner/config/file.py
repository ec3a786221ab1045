"""Find and read the file that configures connections."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from attrs import field, frozen

from flowrunner.config.lines import Lines
from flowrunner.errors import ConfigError
from flowrunner.nearmiss import suggestion

if TYPE_CHECKING:
    import os

__all__ = ["VARIABLE", "Configuration", "read_configuration", "table_of"]

VARIABLE: Final = "FLOWRUNNER_CONFIG"
"""The environment variable that names the file."""

_PYPROJECT: Final = "pyproject.toml"


@frozen
class Configuration:
    """What a file says.

    Attributes:
        connections: a table per connection, not checked further; credentials may be in them.
        where: the file, as errors name it; or where one was looked for.
        folder: what paths in it are relative to.
        path: the file; None if there is none.
    """

    connections: Mapping[str, Any] = field(repr=False)
    where: str
    folder: Path
    path: Path | None = None
    _lines: Lines | None = field(default=None, repr=False, eq=False)

    def line_of(self, *keys: str) -> int | None:
        """The line where the file says this, or else of the table that lacks it; None where there is no file."""
        if self._lines is None or self.path is None:
            return None
        return self._lines.of(*table_of(self.path), *keys)

    def at(self, *keys: str) -> str:
        """The file and the line where it says this, as errors name them."""
        line = self.line_of(*keys)
        return self.where if line is None else f"{self.where}, line {line}"


def read_configuration(
    config: str | os.PathLike[str] | Mapping[str, Any] | None, environ: Mapping[str, str]
) -> Configuration:
    """The configuration given, else the one `$FLOWRUNNER_CONFIG` names, else the first one found.

    Looked for are `./flowrunner.toml`, the table `[tool.flowrunner]` of `./pyproject.toml`, and `config.toml` in the
    user's configuration folder. None of them need exist.

    Args:
        config: the path of a file, or what a file would say.
        environ: where `$FLOWRUNNER_CONFIG` is looked up; empty counts as unset.

    Raises:
        ConfigError: a file that was named does not exist, or a file cannot be read or has something unknown in it.
    """
    if isinstance(config, Mapping):
        return _checked(config, "the mapping given as `config`", Path.cwd())
    if config is not None:
        return _named(Path(config), "given as `config`")
    if path := environ.get(VARIABLE):
        return _named(Path(path), f"named by ${VARIABLE}")
    return _found()


def _named(path: Path, how: str) -> Configuration:
    content = _content(path)
    if content is None:
        raise ConfigError(f"the configuration {_label(path)}, {how}, does not exist")
    return _configuration(path, content)


def _found() -> Configuration:
    from platformdirs import user_config_path

    here = Path.cwd()
    candidates = [here / "flowrunner.toml", here / _PYPROJECT, user_config_path("flowrunner") / "config.toml"]
    for path in candidates:
        content = _content(path)
        if content is not None:
            return _configuration(path, content)
    return Configuration({}, f"any of {', '.join(map(_label, candidates))} (${VARIABLE} is not set)", here)


def _configuration(path: Path, content: tuple[Any, str]) -> Configuration:
    said, text = content
    return _checked(said, _label(path), path.absolute().parent, path.absolute(), Lines(text))


def table_of(path: Path) -> tuple[str, ...]:
    """The table of the file that is ours."""
    return ("tool", "flowrunner") if path.name == _PYPROJECT else ()


def _label(path: Path) -> str:
    return f"[tool.flowrunner] in {path}" if path.name == _PYPROJECT else str(path)


def _content(path: Path) -> tuple[Any, str] | None:
    """What the file says to us, and its text; None where it is absent, or is a pyproject.toml that says nothing."""
    read = _read(path)
    if read is None:
        return None
    said, text = read
    for key in table_of(path):
        said = said.get(key) if isinstance(said, dict) else None
    return None if said is None else (said, text)


def _read(path: Path) -> tuple[Any, str] | None:
    import tomllib

    try:
        text = path.read_bytes().decode("utf-8-sig")
        return tomllib.loads(text), text
    except (FileNotFoundError, NotADirectoryError):
        return None
    except tomllib.TOMLDecodeError as error:
        problem = f"is not TOML: {error}"
    except OSError as error:
        problem = f"cannot be read: {error.strerror}"
    except ValueError:
        problem = "is not UTF-8 text, or that is no path"
    except RecursionError:
        problem = "cannot be read: it is nested without end"
    # Raised out here: the errors above carry the whole text of the file, credentials and all.
    raise ConfigError(f"{path} {problem}")


def _checked(
    content: Any, where: str, folder: Path, path: Path | None = None, lines: Lines | None = None
) -> Configuration:
    if not isinstance(content, Mapping):
        raise ConfigError(f"{where} must be a table, not {type(content).__name__}")
    configuration = Configuration(content.get("connections", {}), where, folder, path, lines)
    for key in content:
        if key != "connections":
            near = suggestion(key, ["connections"])
            raise ConfigError(f"unknown key {key!r} in {configuration.at(str(key))}: {near}")
    connections: Any = configuration.connections
    if not isinstance(connections, Mapping):
        kind = type(connections).__name__
        raise ConfigError(f"[connections] in {configuration.at('connections')} must be a table, not {kind}")
    for name in connections:
        if not isinstance(name, str):
            raise ConfigError(f"the name of a connection in {where} must be a text, not {type(name).__name__}")
    return configuration
