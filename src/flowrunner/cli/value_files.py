"""Files that say names and values: JSON, TOML and YAML. What is in them may be secret, so no error shows any of it."""

from __future__ import annotations

import json
import re
import sys
from datetime import date, time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NoReturn, TypeVar

from flowrunner.errors import ConfigError, InvalidRequest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["STDIN", "by_suffix", "from_json", "label", "read_values", "text_of"]

T = TypeVar("T")

STDIN: Final = "-"
"""The name of the file that is stdin."""


def read_values(file: str) -> dict[str, Any]:
    """The names and values in a file, whose suffix says what it is; stdin is JSON.

    Raises:
        InvalidRequest: it cannot be read, is not what its suffix says, or has no names at its top.
        ConfigError: it is YAML, and nothing is installed to read that.
    """
    kind, parse = by_suffix(file, _PARSERS, stdin=".json")
    text = text_of(file)
    try:
        return _checked(file, parse(text))
    except _Misread as error:
        problem = f", {error}: this is not {kind}"
    except (ValueError, TypeError, RecursionError):
        problem = f" cannot be read as {kind}"
    # Raised out here: the errors above carry what is in the file.
    raise InvalidRequest(f"{label(file)}{problem}")


def text_of(file: str) -> str:
    """The text in a file, without a byte order mark in front and the line break at its end.

    Raises:
        InvalidRequest: there is no such file, or it is no text.
    """
    try:
        raw: bytes = sys.stdin.buffer.read() if file == STDIN else Path(file).read_bytes()
        return raw.decode("utf-8-sig").removesuffix("\n").removesuffix("\r")
    except OSError as error:
        problem = f"cannot be read: {error.strerror}"
    except ValueError:
        problem = "is not UTF-8 text, or that is no path"
    raise InvalidRequest(f"{label(file)} {problem}")


def from_json(text: str) -> Any:
    """What JSON says.

    Raises:
        ValueError: it is not JSON; NaN and Infinity are not.
        RecursionError: it is nested without end.
    """
    return json.loads(text, parse_constant=_refuse)


def _refuse(_constant: str) -> NoReturn:
    raise ValueError("not JSON")


class _Misread(Exception):
    """What was read is wrong at a place, which is the text; nothing of what was read is in it."""


def label(file: str) -> str:
    """What messages call the file."""
    return "stdin" if file == STDIN else file


def by_suffix(file: str, readers: Mapping[str, T], *, stdin: str) -> T:
    """Of the readers, by suffix, the one for a file; for stdin that of the suffix that is said.

    Raises:
        InvalidRequest: there is none for it.
    """
    suffix = stdin if file == STDIN else Path(file).suffix.casefold()
    if suffix in readers:
        return readers[suffix]
    known = ", ".join(readers)
    raise InvalidRequest(f"{file}: what is in it cannot be told from its name, which ends in none of {known}")


def _checked(file: str, content: Any) -> dict[str, Any]:
    if not isinstance(content, dict):
        raise InvalidRequest(f"{label(file)} holds no names and values, but {_KINDS.get(type(content), 'a value')}")
    if not all(isinstance(name, str) for name in content):
        raise InvalidRequest(f"{label(file)} has a name that is not a text: put it into quotes")
    return content


_KINDS: Final = {list: "a list", str: "a text", type(None): "nothing"}


def _json(text: str) -> Any:
    try:
        return from_json(text)
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
    raise _Misread(place)


def _toml(text: str) -> Any:
    import tomllib

    try:
        return _with_dates_as_text(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        found = re.search(r"\(at (.*)\)$", str(error))
        place = found[1] if found else "somewhere"
    raise _Misread(place)


def _with_dates_as_text(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _with_dates_as_text(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_with_dates_as_text(each) for each in value]
    return value.isoformat() if isinstance(value, date | time) else value


_YAML_WORDS: Final = {
    "null": (r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    "bool": (r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    "int": (r"[-+]?(0|[1-9][0-9]*)", list("-+0123456789")),
    "float": (r"[-+]?(?=\.?[0-9])[0-9]*(\.[0-9]*([eE][-+]?[0-9]+)?|[eE][-+]?[0-9]+)", list("-+.0123456789")),
}
"""What is no text, by YAML 1.2: `no`, `12:30`, `007` and dates are texts there; 1.1 makes something else of them."""


def _yaml(text: str) -> Any:
    try:
        import yaml
    except ImportError:
        raise ConfigError('YAML is read with pyyaml, which is missing: pip install "flowrunner[cli]"') from None
    try:
        content = yaml.load(text, _loader(yaml.SafeLoader))  # noqa: S506 - the safe one, with fewer words
        json.dumps(content)  # what JSON has no word for cannot be sent: bytes, sets, what contains itself
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = "somewhere" if mark is None else f"line {mark.line + 1}, column {mark.column + 1}"
    except yaml.YAMLError:
        place = "somewhere"
    else:
        return content
    raise _Misread(place)


def _loader(safe: Any) -> Any:
    """PyYAML's loader of plain values, for which fewer words are no texts."""
    loader: Any = type("Loader", (safe,), {"yaml_implicit_resolvers": {}})
    for kind, (words, firsts) in _YAML_WORDS.items():
        loader.add_implicit_resolver(f"tag:yaml.org,2002:{kind}", re.compile(rf"(?:{words})\Z"), firsts)
    return loader


_PARSERS: Final[Mapping[str, tuple[str, Callable[[str], Any]]]] = {
    ".json": ("JSON", _json),
    ".toml": ("TOML", _toml),
    ".yaml": ("YAML", _yaml),
    ".yml": ("YAML", _yaml),
}
