"""Testing: of programs that use flowrunner, and of backends for it.

For programs: pytest loads `flowrunner.testing.plugin` by itself, which has the fixtures `flowrunner_clock` and
`flowrunner_simulator`; here are their types, and what to assert about a simulator. It takes the extra `testing`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flowrunner.testing.assertions import assert_cancelled as assert_cancelled
    from flowrunner.testing.assertions import assert_never_asked as assert_never_asked
    from flowrunner.testing.assertions import assert_not_submitted as assert_not_submitted
    from flowrunner.testing.assertions import assert_submitted as assert_submitted
    from flowrunner.testing.clock import VirtualClock as VirtualClock
    from flowrunner.testing.stage import StartSimulator as StartSimulator

# As for `flowrunner` itself: every run of pytest imports this package.
_MODULES = {
    "StartSimulator": "stage",
    "VirtualClock": "clock",
    "assert_cancelled": "assertions",
    "assert_never_asked": "assertions",
    "assert_not_submitted": "assertions",
    "assert_submitted": "assertions",
}

__all__ = sorted(_MODULES)  # noqa: PLE0605 - built from the same table; a test compares


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return [*globals(), *_MODULES]
