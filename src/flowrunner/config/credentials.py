"""Where credentials come from: a variable, a file, the keyring, or as they are. Nothing is ever executed to get one.

Problems are `ValueError`s whose text names the source and never the value; `config` turns them into `ConfigError`s.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from flowrunner.nearmiss import suggestion
from flowrunner.secret import Secret

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["obtain"]


def obtain(given: Any, *, folder: Path, environ: Mapping[str, str]) -> Secret:
    """The credential that is given: as text, as a `Secret`, or as `{ env | file | keyring = "..." }`.

    Args:
        given: what the configuration or the argument says.
        folder: what the path of a file is relative to.
        environ: where `env` looks.

    Raises:
        ValueError: it is of another form, its source has nothing, or the value can be no credential.
    """
    if isinstance(given, Mapping):
        return _sendable(_from_source(given, folder, environ))
    if not isinstance(given, str | Secret):
        raise ValueError(f"expected {_FORMS} or a text, not {type(given).__name__}")  # noqa: TRY004 - one error for all
    return _sendable(Secret.wrap(given).reveal())


_FORMS: Final = '{ env = "NAME" }, { file = "PATH" }, { keyring = "SERVICE/USER" }'


def _from_source(table: Mapping[Any, Any], folder: Path, environ: Mapping[str, str]) -> str:
    if len(table) != 1:
        raise ValueError(f"expected exactly one of {_FORMS}, not a table of {len(table)} keys")
    [(kind, name)] = table.items()
    if kind not in _SOURCES:
        raise ValueError(f"credentials have no source {kind!r}: {suggestion(kind, _SOURCES)}")
    if not isinstance(name, str) or not name:
        raise ValueError(f"the source {kind!r} needs a text that is not empty")
    return _SOURCES[kind](name, folder, environ)


def _from_environment(name: str, _folder: Path, environ: Mapping[str, str]) -> str:
    value = environ.get(name)
    if not value:
        raise ValueError(f"the environment variable {name} is {'not set' if value is None else 'empty'}")
    return value


def _from_file(name: str, folder: Path, _environ: Mapping[str, str]) -> str:
    path = folder / name
    try:
        # An editor may have put a byte order mark in front, and most put a newline at the end.
        text = path.read_text("utf-8-sig").rstrip("\r\n")
    except OSError as error:
        raise ValueError(f"the file {path} cannot be read: {error.strerror}") from None
    except ValueError:
        raise ValueError(f"the file {path} is not UTF-8 text, or that is no path") from None
    if not text:
        raise ValueError(f"the file {path} is empty")
    return text


def _from_keyring(name: str, _folder: Path, _environ: Mapping[str, str]) -> str:
    # The service may hold slashes, it often is an address.
    service, _, user = name.rpartition("/")
    if not (service and user):
        raise ValueError('a keyring entry is written "SERVICE/USER"')
    value = _keyring_entry(service, user)
    if not value:
        raise ValueError(f"the keyring has no entry for service {service!r} and user {user!r}")
    return value


def _keyring_entry(service: str, user: str) -> str | None:
    try:
        import keyring
    except ImportError:
        raise ValueError('the keyring needs an extra: pip install "flowrunner[keyring]"') from None
    try:
        return keyring.get_password(service, user)
    except Exception as error:  # noqa: BLE001 - each system's keyring fails in its own way
        raise ValueError(f"the keyring cannot be read: {type(error).__name__}: {error}") from None


_SOURCES: Final[Mapping[str, Callable[[str, Path, Mapping[str, str]], str]]] = {
    "env": _from_environment,
    "file": _from_file,
    "keyring": _from_keyring,
}

_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def _sendable(value: str) -> Secret:
    """The value as a secret, if it can be one; `backend.secret` says what a header can carry."""
    if not value:
        raise ValueError("the credential is empty")
    if _CONTROL.search(value):
        raise ValueError("the credential has a line break or another control character in it")
    if value != value.strip():
        raise ValueError("the credential begins or ends with a blank")
    return Secret(value)
