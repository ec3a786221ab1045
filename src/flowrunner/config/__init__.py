"""Configuration: files, the environment and arguments, to a `Connection`."""

from __future__ import annotations

from flowrunner.config.addresses import is_loopback
from flowrunner.config.connection import Connection, resolve
from flowrunner.config.explanation import explain

__all__ = ["Connection", "explain", "is_loopback", "resolve"]
