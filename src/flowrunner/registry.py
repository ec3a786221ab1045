"""Backends by name: those built in, and those that installed distributions announce.

A name maps to an import string; the module is imported when the backend is first used. What is installed is read from
the entry points of the group `flowrunner.backends`, which imports nothing:

```toml
[project.entry-points."flowrunner.backends"]
acme = "flowrunner_acme:AcmeBackend"
```
"""

from __future__ import annotations

from collections import Counter
from enum import StrEnum
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from attrs import frozen

from flowrunner import __version__
from flowrunner.backend import BACKEND_API, Backend
from flowrunner.errors import BackendLoadError, ConfigError, UnknownBackend
from flowrunner.nearmiss import suggestion

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from importlib.metadata import EntryPoint

__all__ = ["BUILTINS", "GROUP", "Offer", "OfferState", "load", "names", "offers"]

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

GROUP: Final = "flowrunner.backends"
"""The group of entry points by which a distribution announces its backends."""


class OfferState(StrEnum):
    """What becomes of an offer when its name is used."""

    BUILT_IN = "built-in"
    AVAILABLE = "available"
    """A plugin; whether it loads is seen when it does."""
    REFUSED = "refused"
    """A plugin that claims the name of a built-in, which stays the built-in's."""
    AMBIGUOUS = "ambiguous"
    """Several plugins claim the name, so using it is an error."""


@frozen
class Offer:
    """A backend that somebody offers under a name.

    Attributes:
        name: what configuration calls it.
        distribution: who offers it, with the version.
        target: `module:class`.
        state: what becomes of it.
    """

    name: str
    distribution: str
    target: str
    state: OfferState


def offers() -> tuple[Offer, ...]:
    """Everything on offer, by name; nothing is imported."""
    plugins = _plugins()
    claims = Counter(plugin.name for plugin in plugins)
    built_in = [
        Offer(name, f"flowrunner {__version__}", target, OfferState.BUILT_IN) for name, target in BUILTINS.items()
    ]
    others = [
        Offer(plugin.name, _distribution(plugin), plugin.value, _state(plugin.name, claims[plugin.name]))
        for plugin in plugins
    ]
    return tuple(sorted(built_in + others, key=lambda offer: (offer.name, offer.state is not OfferState.BUILT_IN)))


def _state(name: str, claims: int) -> OfferState:
    if name in BUILTINS:
        return OfferState.REFUSED
    return OfferState.AMBIGUOUS if claims > 1 else OfferState.AVAILABLE


def _plugins(name: str | None = None) -> list[EntryPoint]:
    """The entry points of all plugins, or of those that claim a name; in an order that does not change."""
    from importlib.metadata import entry_points

    found = entry_points(group=GROUP) if name is None else entry_points(group=GROUP, name=name)
    return sorted(found, key=lambda plugin: (plugin.name, _distribution(plugin), plugin.value))


def _distribution(plugin: EntryPoint) -> str:
    return f"{plugin.dist.name} {plugin.dist.version}" if plugin.dist is not None else "an unnamed distribution"


def names() -> tuple[str, ...]:
    """The names there are backends of, sorted."""
    return tuple(sorted({*BUILTINS, *(plugin.name for plugin in _plugins())}))


def load(name_or_class: str | type[Backend]) -> type[Backend]:
    """The backend of a name, imported now if it was not yet; a class is returned as it is.

    Raises:
        UnknownBackend: there is no backend of this name.
        BackendLoadError: there is, but it cannot be imported, or what is imported is no backend of this version.
        ConfigError: the argument is neither a name nor a backend class.
    """
    if isinstance(name_or_class, str):
        return _load(name_or_class)
    if problem := _unfit(name_or_class):
        raise ConfigError(f"`backend` takes a name or a class derived from flowrunner.backend.Backend; {problem}")
    return name_or_class


def _load(name: str) -> type[Backend]:
    if name in BUILTINS:
        module, _, attribute = BUILTINS[name].partition(":")
        return _loaded(name, lambda: getattr(import_module(module), attribute))
    claims = _plugins(name)
    if not claims:
        raise UnknownBackend(f"there is no backend {name!r}: {suggestion(name, names())}", backend=name)
    if len(claims) > 1:
        owners = " and ".join(map(_distribution, claims))
        raise BackendLoadError(f"backend {name!r} is claimed by {owners}: uninstall all but one", backend=name)
    return _loaded(name, claims[0].load, f" from {_distribution(claims[0])}")


def _loaded(name: str, load: Callable[[], Any], whence: str = "") -> type[Backend]:
    try:
        found = load()
    except (Exception, SystemExit) as error:  # a module can fail in any way while it is imported
        reason = f"{type(error).__name__}: {error}"
        raise BackendLoadError(f"backend {name!r}{whence} cannot be loaded: {reason}", backend=name) from error
    problem = _unfit(found)
    if problem is None and found.name != name:
        problem = f"it calls itself {found.name!r}, and a backend is found by its own name"
    if problem is not None:
        raise BackendLoadError(f"backend {name!r}{whence} cannot be loaded: {problem}", backend=name)
    return found  # type: ignore[no-any-return]


def _unfit(value: Any) -> str | None:
    """Why the value is not a backend that this version can use, None if it is one."""
    if not (isinstance(value, type) and issubclass(value, Backend)):
        return f"{getattr(value, '__qualname__', type(value).__name__)} is not such a class"
    for attribute in ("name", "family"):
        text = getattr(value, attribute, None)
        if not (isinstance(text, str) and text):
            return f"{value.__qualname__} has no `{attribute}`"
    capabilities: Any = value.capabilities
    if not isinstance(capabilities, frozenset):
        return f"the `capabilities` of {value.__qualname__} are no frozenset"
    return _other_version(value)


def _other_version(backend: type[Backend]) -> str | None:
    """What to say of a backend that was written for another version of the interface."""
    version = getattr(backend, "backend_api", None)
    if version is None:
        return f"{backend.__qualname__} does not say which version it was written for: `backend_api = {BACKEND_API}`"
    if version != BACKEND_API:
        older = "a newer version of the backend" if version < BACKEND_API else "a newer flowrunner"
        return (
            f"{backend.__qualname__} was written for version {version} of the backend interface, and flowrunner "
            f"{__version__} has version {BACKEND_API}: install {older}"
        )
    return None
