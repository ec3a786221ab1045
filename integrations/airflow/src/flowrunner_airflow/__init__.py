"""Runs at workflow servers as tasks of Apache Airflow."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flowrunner_airflow.hook import FlowrunnerHook as FlowrunnerHook
    from flowrunner_airflow.operator import FlowrunnerOperator as FlowrunnerOperator
    from flowrunner_airflow.sensor import FlowrunnerSensor as FlowrunnerSensor
    from flowrunner_airflow.trigger import FollowTrigger as FollowTrigger

# Names and where they are: loaded when first used, since a triggerer needs no operator, and a form needs neither.
_HOMES = {
    "FlowrunnerHook": "hook",
    "FlowrunnerOperator": "operator",
    "FlowrunnerSensor": "sensor",
    "FollowTrigger": "trigger",
}

__all__ = sorted(_HOMES)  # noqa: PLE0605 - built from the same table; a test compares


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
