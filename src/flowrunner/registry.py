"""Backends by name. A name maps to an import string; its module is imported when the backend is first used."""

from __future__ import annotations

from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from flowrunner.backend import Backend
from flowrunner.errors import BackendLoadError, ConfigError, UnknownBackend
from flowrunner.nearmiss import suggestion

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["BUILTINS", "load", "names"]

BUILTINS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "fme-flow": "flowrunner.backends.fme_flow:FmeFlow",
        "fme-flow-v3": "flowrunner.backends.fme_flow_v3:FmeFlowV3",
        "fme-flow-v4": "flowrunner.backends.fme_flow_v4:FmeFlowV4",
        "invision": "flowrunner.backends.invision:InVision",
        "smart-flows": "flowrunner.backends.smart_flows:SmartFlows",
    }
)
"""The backends that come with the library: `module:class` by name."""


def names() -> tuple[str, ...]:
    """The names `load` knows, sorted."""
    return tuple(sorted(BUILTINS))


def load(name_or_class: str | type[Backend]) -> type[Backend]:
    """The backend of a name, imported now if it was not yet; a class is returned as it is.

    Raises:
        UnknownBackend: there is no backend of this name.
        BackendLoadError: there is, but it cannot be imported, or what is imported is no backend.
        ConfigError: the argument is neither a name nor a backend class.
    """
    if isinstance(name_or_class, str):
        return _import(name_or_class)
    if problem := _unfit(name_or_class):
        raise ConfigError(f"`backend` takes a name or a class derived from flowrunner.backend.Backend; {problem}")
    return name_or_class


def _import(name: str) -> type[Backend]:
    if name not in BUILTINS:
        raise UnknownBackend(f"there is no backend {name!r}: {suggestion(name, names())}", backend=name)
    module, _, attribute = BUILTINS[name].partition(":")
    try:
        found = getattr(import_module(module), attribute)
    except Exception as error:  # a module can fail in any way while it is imported
        reason = f"{type(error).__name__}: {error}"
        raise BackendLoadError(f"backend {name!r} cannot be loaded: {reason}", backend=name) from error
    if problem := _unfit(found):
        raise BackendLoadError(f"backend {name!r} cannot be loaded: {problem}", backend=name)
    return found  # type: ignore[no-any-return]


def _unfit(value: Any) -> str | None:
    """Why the value is not a backend, None if it is one."""
    if not (isinstance(value, type) and issubclass(value, Backend)):
        return f"{getattr(value, '__qualname__', type(value).__name__)} is not such a class"
    name = getattr(value, "name", None)
    return None if isinstance(name, str) and name else f"{value.__qualname__} has no `name`"
