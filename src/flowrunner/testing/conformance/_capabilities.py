"""Section 9 of the rules: capabilities."""

from __future__ import annotations

from typing import Any

from flowrunner.backend import OPERATIONS, Backend, Capability
from flowrunner.testing.conformance.scenario import Scenario
from flowrunner.testing.conformance.verdict import holds, proves
from flowrunner.testing.conformance.world import page, refused, says


class CapabilityRules(Scenario):
    """Whether what is announced and what is there are the same."""

    @proves("9.1")
    def test_9_1_what_is_announced_is_there(self) -> None:
        """Every operation of an announced capability is defined."""
        for capability in self.backend.capabilities:
            for name in OPERATIONS.get(capability, ()):
                holds("9.1", self._defines(name), f"{capability.name} is announced and {name}() is not defined")
        lists = self._defines("observe_many") or Capability.LIST_RUNS in self.backend.capabilities
        bulk = Capability.BULK in self.backend.capabilities
        holds(
            "9.1", lists or not bulk, "BULK is announced, and neither is observe_many() defined nor LIST_RUNS announced"
        )

    @proves("9.2")
    def test_9_2_what_is_there_is_announced(self) -> None:
        """No operation is defined in vain."""
        for capability, names in OPERATIONS.items():
            defined = [name for name in names if self._defines(name) and name != "result"]
            announced = capability in self.backend.capabilities
            holds("9.2", announced or not defined, f"{defined} is defined and {capability.name} is not announced")
        bulk = Capability.BULK in self.backend.capabilities
        holds("9.2", bulk or not self._defines("observe_many"), "observe_many() is defined and BULK is not announced")

    def _defines(self, name: str) -> bool:
        return getattr(self.backend, name) is not getattr(Backend, name)

    @proves("9.3")
    def test_9_3_health_tells_and_raises_nothing(self) -> None:
        """All is well; nobody is there; somebody else answers; the credential is refused."""
        self.needs(Capability.HEALTH)
        with self.world() as world:
            health = world.client().health()
            well = health.reachable and health.authenticated is not False
            holds("9.3", well, f"all is well, and health says {health}")
        self.needs_requests()
        for what, fault in {"no connection": refused, "a proxy's page": page(200)}.items():
            health = self._health(fault)
            holds("9.3", not health.reachable, f"over {what} health says {health}")
        with self.world() as world:
            own = says(world.server.refusal(401))
        health = self._health(own)
        holds("9.3", not health.authenticated, f"the credential is refused, and health says {health}")

    def _health(self, fault: Any) -> Any:
        with self.world() as world:
            client = world.client()
            with world.going_wrong(fault):
                return client.health()
