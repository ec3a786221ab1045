"""The vendors there are simulators of, each with what makes its server one."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Literal, Protocol

from attrs import field, frozen

from flowrunner.simulator import fme_flow, invision, smart_flows
from flowrunner.simulator.fme_http import ERROR_ANSWERS
from flowrunner.simulator.invision_quirks import InVisionQuirks
from flowrunner.simulator.invision_world import InVisionWorld, run_id
from flowrunner.simulator.quirks import Quirks
from flowrunner.simulator.smart_flows_quirks import SmartFlowsQuirks
from flowrunner.simulator.smart_flows_world import SmartFlowsWorld, execution_id

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from starlette.routing import BaseRoute

    from flowrunner.simulator.engine import EnginePool, Job

AnyQuirks = Quirks | InVisionQuirks | SmartFlowsQuirks


class World(Protocol):
    """The state of a simulated server, as far as the server around it has to know."""

    pool: EnginePool
    token: str
    quirks: Any

    def publish(self, flow: Any) -> None:
        """Make something there that can be run."""
        ...

    def close(self) -> None:
        """Let go of what the server keeps outside of memory."""
        ...


@frozen
class Vendor:
    """What makes a server that of a vendor.

    Attributes:
        quirks: The class of its switches.
        make_world: Makes its state of the engines, the token and the quirks.
        routes: Gives the routes that show a state.
        error_answers: Gives the answers to what the routes raise.
        run_id: Gives the id that its API shows a job under.
        submissions: The requests that start runs, as method and path, in which `*` stands for anything.
        polls: The requests that look how runs are, the same.
        path: What its base URL has after the port.
        secret: The name of the setting that a connection to it has its token under.
    """

    quirks: type[AnyQuirks]
    make_world: Callable[[EnginePool, str, Any], World]
    routes: Callable[[Any], list[BaseRoute]]
    error_answers: Callable[[Any], Mapping[Any, Any]]
    run_id: Callable[[Job], str]
    submissions: tuple[str, ...]
    polls: tuple[str, ...]
    path: str = ""
    secret: str = field(default="api_key", kw_only=True)

    def purpose(self, method: str, path: str) -> Literal["submissions", "polls"] | None:
        """Return what a request is for: to start a run, to look how runs are, or None for anything else."""
        request = f"{method} {path}"
        if any(fnmatchcase(request, pattern) for pattern in self.submissions):
            return "submissions"
        return "polls" if any(fnmatchcase(request, pattern) for pattern in self.polls) else None

    def check(self, quirks: AnyQuirks | None) -> AnyQuirks:
        """Return the quirks for a server; the most likely ones if none were given.

        Raises:
            TypeError: They are another vendor's.
        """
        if quirks is None:
            return self.quirks()
        if not isinstance(quirks, self.quirks):
            raise TypeError(f"The quirks of this server are {self.quirks.__name__}, not {type(quirks).__name__}")
        return quirks


def _fme(name: str) -> Vendor:
    def make(pool: EnginePool, token: str, quirks: Quirks) -> World:
        return fme_flow.make_world(name, pool, token, quirks)

    return Vendor(
        Quirks,
        make,
        fme_flow.routes,
        lambda _: ERROR_ANSWERS,
        run_id=lambda job: str(job.id),
        submissions=fme_flow.SUBMISSIONS,
        polls=fme_flow.POLLS,
        secret="token",  # noqa: S106 - a name
    )


_INVISION = Vendor(
    InVisionQuirks,
    InVisionWorld,
    invision.routes,
    invision.error_answers,
    run_id=run_id,
    submissions=invision.SUBMISSIONS,
    polls=invision.POLLS,
    path=invision.PREFIX,
)
_SMART_FLOWS = Vendor(
    SmartFlowsQuirks,
    SmartFlowsWorld,
    smart_flows.routes,
    smart_flows.error_answers,
    run_id=execution_id,
    submissions=smart_flows.SUBMISSIONS,
    polls=smart_flows.POLLS,
)
_VENDORS = {**{name: _fme(name) for name in fme_flow.SERVERS}, "invision": _INVISION, "smart-flows": _SMART_FLOWS}


def find_vendor(name: str) -> Vendor:
    """Return the vendor of a name.

    Raises:
        ValueError: There is no simulator of it.
    """
    if name not in _VENDORS:
        raise ValueError(f"No simulator of {name!r}; there are: {', '.join(_VENDORS)}")
    return _VENDORS[name]
