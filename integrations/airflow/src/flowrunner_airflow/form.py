"""The form of a connection, made of the settings that flowrunner's backends declare."""

from __future__ import annotations

from typing import Any, Final

from flowrunner import registry
from flowrunner.config.schema import schema
from flowrunner.config.settings import declared
from flowrunner_airflow.connections import BACKEND, CREDENTIALS, RUN_URL, STANDARD

__all__ = ["fields"]

_LABELS: Final = {"ca": "CA", "url": "URL"}


def fields() -> dict[str, dict[str, Any]]:
    """Every setting of every built-in backend that has no field in all connections, by its name.

    None has a default: what is left empty is flowrunner's to choose, also when that changes.
    """
    found = {BACKEND: _backend(), RUN_URL: _run_url()}
    for name in sorted(registry.BUILTINS):
        for setting, described in _settings(name).items():
            found.setdefault(setting, _field(setting, described))
    return found


def _settings(backend: str) -> dict[str, dict[str, Any]]:
    """The settings of a backend that need a field, each with what the schema of the configuration file says of it."""
    described = schema()["definitions"][backend]["properties"]
    known = declared(registry.load(backend).settings_class)
    return {
        name: {**described[name], "secret": not setting.is_shown}
        for name, setting in known.items()
        if name not in STANDARD | CREDENTIALS
    }


def _field(name: str, described: dict[str, Any]) -> dict[str, Any]:
    kind = described.get("type", "string")
    shape: dict[str, Any] = {"type": [kind, "null"]}
    if "enum" in described:
        shape["enum"] = [*described["enum"], None]
    if described["secret"]:
        shape["format"] = "password"
    return {"label": _label(name), "description": _help(described), "schema": shape}


def _help(described: dict[str, Any]) -> str:
    text: str = described.get("description", "")
    default = described.get("default")
    return text if default is None else f"{text} Default: {str(default).lower()}."


def _label(name: str) -> str:
    first, *rest = (_LABELS.get(word, word) for word in name.split("_"))
    return " ".join([first[0].upper() + first[1:], *rest])


def _backend() -> dict[str, Any]:
    return {
        "label": "Backend",
        "description": "Which vendor, and which of its interfaces.",
        "schema": {"type": "string", "enum": list(registry.names())},
    }


def _run_url() -> dict[str, Any]:
    return {
        "label": "Page of a run",
        "description": "Address of the vendor's page about a run, with {id} for the run's id and {flow} for its flow.",
        "schema": {"type": ["string", "null"]},
    }
