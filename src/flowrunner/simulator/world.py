"""What the server around a vendor asks of the vendor's state."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from flowrunner.simulator.engine import EnginePool


class World(Protocol):
    """The state of a simulated server."""

    pool: EnginePool
    token: str
    quirks: Any

    def publish(self, flow: Any) -> None:
        """Make something there that can be run."""
        ...

    def close(self) -> None:
        """Let go of what the server keeps outside of memory."""
        ...
