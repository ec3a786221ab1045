"""What tells two submissions apart, without keeping what was submitted.

A digest is made with a random key, since a plain one of a password could be guessed. The key lies beside the journal in
a file of its own: who is given a copy of the journal alone can guess nothing.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from contextlib import suppress
from datetime import date, time
from enum import Enum
from functools import singledispatch
from pathlib import Path
from types import NoneType
from typing import TYPE_CHECKING, Any, Final

import attrs

from flowrunner.errors import InvalidRequest, JournalError
from flowrunner.journal.place import make_file
from flowrunner.models import SubmitOptions
from flowrunner.secret import Secret

if TYPE_CHECKING:
    from flowrunner.journal.database import Database

__all__ = ["Digests", "differ"]

_LENGTH: Final = 32
_ENCODING: Final = b"flowrunner journal digest 1"
"""Names the encoding below. With another number, digests made before do not count as different."""


class Digests:
    """Makes digests with one key.

    Args:
        key: random bytes.
    """

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._id = hmac.digest(key, _ENCODING, "sha256").hex()[:8]

    @classmethod
    def beside(cls, database: Database) -> Digests:
        """With the key beside a journal, which is made where there is none.

        Raises:
            JournalError: it cannot be read or made.
        """
        path = database.path.with_name(f"{database.path.name}.key")
        try:
            if (key := _read(path)) is not None:
                return cls(key)
            # Of many processes that find none, one makes it: the others wait here.
            with database.transaction(durable=False):
                return cls(_read(path) or _made(path))
        except OSError as error:
            raise JournalError(
                f"the key of the journal, {str(path)!r}, cannot be used: {error.strerror}; make it readable for this"
                " user, or remove it: the next submission makes another"
            ) from error

    def of(self, flow: str, parameters: Mapping[str, Any] | None, payload: Any, options: Any) -> str:
        """The digest of a submission, with the name of its key.

        Raises:
            InvalidRequest: values are nested without end.
        """
        try:
            whole = _encoded((flow, parameters or {}, payload, SubmitOptions() if options is None else options))
        except RecursionError:
            raise InvalidRequest("parameters, payload or options are nested too deeply to be submitted") from None
        return f"{self._id}:{hmac.digest(self._key, whole, 'sha256').hex()}"


def differ(one: str, other: str) -> bool:
    """Whether two digests are of different submissions; of two with different keys nobody can say so."""
    return one != other and one.partition(":")[0] == other.partition(":")[0]


def _read(path: Path) -> bytes | None:
    """The key; None where there is none, or what is there is none."""
    try:
        key = path.read_bytes()
    except FileNotFoundError:
        return None
    return key if len(key) == _LENGTH else None


def _made(path: Path) -> bytes:
    """A new key. It gets its name when it is whole: a process that dies here leaves none, not half of one."""
    key = secrets.token_bytes(_LENGTH)
    part = path.with_name(f"{path.name}.part")
    part.unlink(missing_ok=True)
    make_file(part, key)
    part.replace(path)
    return key


def _part(kind: str, *contents: str | bytes) -> bytes:
    """With their lengths, so that no contents look like others."""
    return b"".join(_counted(each) for each in (kind, *contents)) + b";"


def _counted(content: str | bytes) -> bytes:
    data = content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass")
    return b"%d:%b" % (len(data), data)


@singledispatch
def _encoded(value: Any) -> bytes:
    """Bytes that are the same for equal values, and for no others, of every kind that can be submitted.

    This is for the kinds that have no function below. Of attrs classes the attributes count that say something, so that
    a new one with a default changes nothing; of others the text, unless that tells where the object is in memory.
    """
    kind = type(value)
    name = f"{kind.__module__}.{kind.__qualname__}"
    if attrs.has(kind):
        return _part(name, _encoded(attrs.asdict(value, recurse=False, filter=_says_something)))
    text = _shown(value)
    return _part(name) if f"0x{id(value):x}" in text else _part(name, text)


@_encoded.register(NoneType)
@_encoded.register(bool)
@_encoded.register(float)
def _(value: object) -> bytes:
    return _part(type(value).__name__, repr(value))


@_encoded.register(int)
def _(value: int) -> bytes:
    return _part("int", hex(value))


@_encoded.register(str)
def _(value: str) -> bytes:
    return _part("str", str.__str__(value))


@_encoded.register(Enum)
def _(value: Enum) -> bytes:
    return _encoded(value.value)


@_encoded.register(Secret)
def _(value: Secret) -> bytes:
    return _part("secret", value.reveal())


@_encoded.register(bytes)
@_encoded.register(bytearray)
@_encoded.register(memoryview)
def _(value: bytes | bytearray | memoryview) -> bytes:
    return _part("bytes", hashlib.sha256(bytes(value)).digest())


@_encoded.register(date)
@_encoded.register(time)
def _(value: date | time) -> bytes:
    return _part(type(value).__name__, value.isoformat())


@_encoded.register(Mapping)
def _(value: Mapping[Any, Any]) -> bytes:
    return _part("mapping", *sorted(_encoded(name) + _encoded(each) for name, each in value.items()))


@_encoded.register(list)
@_encoded.register(tuple)
def _(value: list[Any] | tuple[Any, ...]) -> bytes:
    return _part("list", *map(_encoded, value))


@_encoded.register(AbstractSet)
def _(value: AbstractSet[Any]) -> bytes:
    return _part("set", *sorted(map(_encoded, value)))


@_encoded.register(Path)
def _(value: Path) -> bytes:
    """Of a file its name and its content, which are what is sent.

    A program that starts again may have put the same file into another folder, or written it anew: neither its path nor
    its time tells whether it is the same. What cannot be read, or is no file, is its path; sending it will fail with an
    error of its own.
    """
    with suppress(OSError, ValueError):
        if value.is_file():
            with value.open("rb") as file:
                return _part("file", value.name, hashlib.file_digest(file, "sha256").digest())
    return _part("path", str(value))


def _says_something(_attribute: object, value: Any) -> bool:
    return not (value is None or (isinstance(value, tuple | Mapping) and not value))


def _shown(value: Any) -> str:
    """The text of a value, empty if it has none."""
    with suppress(Exception):
        return str(value)
    return ""
