"""Add a connection to a configuration file, and keep a credential where the file refers to it.

What is in the file already stays as it is, comments and all.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flowrunner.config.file import VARIABLE, table_of
from flowrunner.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import MutableMapping

    from flowrunner.secret import Secret

__all__ = ["connection_names", "keep_in_file", "keep_in_keyring", "place_of", "write_connection"]


def place_of(config: str | None, environ: Mapping[str, str], found: Path | None) -> Path:
    """The file to write to: the one that is named, else the one that is read, else a new one in this folder."""
    named = config or environ.get(VARIABLE)
    return Path(named) if named else found or Path("flowrunner.toml")


def connection_names(path: Path) -> list[str]:
    """The connections that a file has; none if there is no file.

    Raises:
        ConfigError: it cannot be read.
    """
    found: Any = _parsed(_read(path), path)
    for key in (*table_of(path), "connections"):
        found = found.get(key, {}) if isinstance(found, Mapping) else {}
    return list(found) if isinstance(found, Mapping) else []


def write_connection(path: Path, name: str, settings: Mapping[str, Any], *, is_private: bool = False) -> None:
    """Write the table of a connection into a file, which is made where there is none; one of that name is replaced.

    Args:
        path: the file; of a `pyproject.toml` it is below `[tool.flowrunner]`.
        name: of the connection.
        settings: its table.
        is_private: whether the file has a credential in it now, so that its owner alone may read it.

    Raises:
        ConfigError: the file cannot be read or written, or its TOML is such that nothing can be added.
    """
    path = Path(os.path.realpath(path))
    before = _read(path)
    after = _with_connection(before, path, name, settings)
    _replace(path, after, is_private=is_private)


def _read(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8-sig")
    except (FileNotFoundError, NotADirectoryError):
        return ""
    except (OSError, ValueError) as error:
        problem = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text, or that is no path"
    raise ConfigError(f"{path} cannot be read: {problem}")


def _parsed(text: str, path: Path) -> dict[str, Any]:
    import tomllib

    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        problem = str(error)
    raise ConfigError(f"{path} is not TOML: {problem}")


def _with_connection(text: str, path: Path, name: str, settings: Mapping[str, Any]) -> str:
    """The text with the connection in it; it is read again, to see that nothing else has changed."""
    try:
        import tomlkit
        from tomlkit.exceptions import TOMLKitError
    except ImportError:
        raise ConfigError('writing the configuration needs an extra: pip install "flowrunner[cli]"') from None

    expected = _parsed(text, path)
    keys = (*table_of(path), "connections")
    with suppress(TOMLKitError, TypeError, AttributeError):
        _set(expected, keys, name, settings)
        document = tomlkit.parse(text if text.endswith("\n") or not text else f"{text}\n")
        _set(document, keys, name, settings)
        written = tomlkit.dumps(document)
        if _parsed(written, path) == expected:
            return written
    table = ".".join(keys)
    raise ConfigError(f"{path} is written in a way that nothing can be added to: write [{table}.{name}] yourself")


def _set(document: MutableMapping[str, Any], keys: tuple[str, ...], name: str, settings: Mapping[str, Any]) -> None:
    """Set a connection, in a document of tomlkit or in plain mappings."""
    import tomlkit
    from tomlkit.items import InlineTable

    is_plain = type(document) is dict
    for key in keys:
        if key not in document:
            document[key] = {} if is_plain else tomlkit.table(is_super_table=True)
        document = document[key]
    # A table within an inline one can only be an inline one.
    document[name] = dict(settings) if is_plain or isinstance(document, InlineTable) else _table(settings)


def _table(settings: Mapping[str, Any]) -> Any:
    import tomlkit

    table = tomlkit.table()
    for key, value in settings.items():
        if isinstance(value, Mapping):
            inline = tomlkit.inline_table()
            inline.update(value)
            table.add(key, inline)
        else:
            table.add(key, value)
    return table


def _replace(path: Path, text: str, *, is_private: bool) -> None:
    """Put a text in the place of a file, all of it or nothing."""
    temporary = None
    try:
        mode = path.stat().st_mode & 0o777 if path.exists() else 0o666 & ~_umask()
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
        with os.fdopen(descriptor, "wb") as file:
            file.write(text.encode())
        Path(temporary).chmod(0o600 if is_private else mode)
        Path(temporary).replace(path)
    except OSError as error:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)
        raise ConfigError(f"{path} cannot be written: {error.strerror}") from error


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def keep_in_file(path: Path, secret: Secret) -> None:
    """Write a credential into a new file that its owner alone may read.

    Raises:
        ConfigError: there is such a file, or it cannot be made.
    """
    try:
        if not path.parent.is_dir():
            path.parent.mkdir(parents=True, mode=0o700)
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(f"{secret.reveal()}\n")
    except OSError as error:
        problem = "it exists: name another, or remove it" if path.exists() else str(error.strerror)
    else:
        return
    raise ConfigError(f"the credential cannot be written to {path}: {problem}")


def keep_in_keyring(entry: str, secret: Secret) -> None:
    """Put a credential into the system's keyring.

    Args:
        entry: `SERVICE/USER`, as the configuration has it.
        secret: the credential.

    Raises:
        ConfigError: there is no keyring, or it does not take it.
    """
    service, _, user = entry.rpartition("/")
    if not (service and user):
        raise ConfigError(f'a keyring entry is written "SERVICE/USER", not {entry!r}')
    try:
        import keyring
    except ImportError:
        raise ConfigError('the keyring needs an extra: pip install "flowrunner[keyring]"') from None
    try:
        keyring.set_password(service, user, secret.reveal())
    except Exception as error:  # noqa: BLE001 - each system's keyring fails in its own way
        problem = f"{type(error).__name__}: {secret.hide_in(str(error))}"
    else:
        return
    raise ConfigError(f"the keyring does not take the credential: {problem}")
