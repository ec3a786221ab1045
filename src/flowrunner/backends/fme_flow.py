"""FME Flow, whichever REST interface the server has: V4 where it can run jobs, else V3.

The server is asked once for its version. V4 runs jobs from build 25208 on (observed in the vendor's client, which waits
for 26018 with the submission itself); a server that turns out not to know `POST /jobs` after all is spoken to over V3
from then on. Runs are the same on both: an id made over one is followed over the other.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, ClassVar, Final, TypeVar

from attrs import evolve, frozen

from flowrunner.backend import Backend
from flowrunner.backends._fme import WORDS, NoJobEndpoint, authorization, error_in, root_of
from flowrunner.backends.fme_flow_v3 import FmeFlowV3, FmeFlowV3Settings
from flowrunner.backends.fme_flow_v4 import FmeFlowV4
from flowrunner.convert import read
from flowrunner.errors import FlowrunnerError, ProtocolError
from flowrunner.plans import Request, send

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from flowrunner.backend import Accepted, CancelAnswer, Listed, Outcome, RunQuery, Sighting, Submission, Upload
    from flowrunner.models import ArtifactSource, FlowInfo, FlowSpec, Health, Progress, RemoteFile, RunRef
    from flowrunner.plans import Lines, Page, Plan, Response
    from flowrunner.secret import Secret
    from flowrunner.states import Observation

__all__ = ["FmeFlow", "FmeFlowSettings"]

T = TypeVar("T")

FIRST_V4_BUILD: Final = 25208
"""The first build whose V4 lists and shows jobs (observed in the vendor's client)."""
V3_ENDS: Final = (
    "FME Flow 2026.1 removes REST V3: upgrade the server; a connection of backend fme-flow needs no change then"
)


@frozen(kw_only=True)
class FmeFlowSettings(FmeFlowV3Settings):
    """The settings of an FME Flow connection over V4 or V3."""


@frozen
class Version:
    """The answer of `/fmeinfo/version`."""

    buildNumber: int


@frozen
class Info:
    """The answer of V3's `/info`: the build stands in a text such as `FME Server 2023.0 - Build 23166 - linux-x64`."""

    build: str


class FmeFlow(Backend):
    """FME Flow over V4 or V3. A flow is written `Repository/workspace.fmw`."""

    backend_api = 1
    name = "fme-flow"
    family = "fme-flow"
    payload_text_is_path = True
    settings_class = FmeFlowSettings
    capabilities = FmeFlowV3.capabilities | FmeFlowV4.capabilities
    words = WORDS
    options: ClassVar[Mapping[str, str]] = {**FmeFlowV3.options, **FmeFlowV4.options}

    settings: FmeFlowSettings

    def __init__(self, settings: FmeFlowSettings) -> None:
        super().__init__(settings)
        self._v3 = FmeFlowV3(settings)
        self._v4 = FmeFlowV4(settings)
        self._chosen: FmeFlowV3 | FmeFlowV4 | None = None
        self._is_doubtful = False

    @property
    def base_url(self) -> str:
        """The server's root."""
        return root_of(self.settings.base_url)

    def authorize(self) -> Mapping[str, Secret]:
        """The token; both interfaces take it alike."""
        return authorization(self.settings.token)

    # Choosing

    @property
    def is_prepared(self) -> bool:
        """Whether the server was asked which interface it has."""
        return self._chosen is not None and not self._is_doubtful

    def prepare(self) -> Plan[tuple[str, ...]]:
        """Ask the server which interface it has; what there is to say about the choice."""
        build = yield from self._build()
        self._is_doubtful = False
        if build is None and self._chosen is not None:
            return ()  # what answers now is not the server
        if build is None:
            raise ProtocolError(
                "the server answers neither /fmeinfo/version nor /fmerest/v3/info: check that base_url is the root of "
                "an FME Flow server",
                transient=True,
            )
        backend = self._v4 if build >= FIRST_V4_BUILD else self._v3
        return () if backend is self._chosen else self._choose(backend, f"the server is of build {build}")

    def _build(self) -> Plan[int | None]:
        version = yield from send(Request("GET", "/fmeinfo/version"))
        build = _number_in(version, lambda: read(version, Version).buildNumber)
        if build is not None:
            return build
        info = yield from send(Request("GET", "/fmerest/v3/info"))
        return _number_in(info, lambda: _build_in(read(info, Info).build))

    def _choose(self, backend: FmeFlowV3 | FmeFlowV4, why: str) -> tuple[str, ...]:
        self._chosen = backend
        self.capabilities = backend.capabilities
        self.runs_payloads_at_once = backend.runs_payloads_at_once
        return (f"{backend.name} was chosen: {why}", *((V3_ENDS,) if backend is self._v3 else ()))

    @property
    def _now(self) -> FmeFlowV3 | FmeFlowV4:
        assert self._chosen is not None, "the client prepares a backend before it uses it"  # noqa: S101
        return self._chosen

    # Operations: all but the submission are the chosen interface's

    def submit(self, submission: Submission) -> Plan[Accepted]:
        """Over V4; over V3 where the server turns out not to know `POST /jobs`, which has started nothing then."""
        return self._over_either(lambda backend: backend.submit(submission))

    def run(self, submission: Submission, timeout: float | None) -> Plan[Accepted]:
        """As `submit`."""
        return self._over_either(lambda backend: backend.run(submission, timeout))

    def _over_either(self, start: Callable[[FmeFlowV3 | FmeFlowV4], Plan[Accepted]]) -> Plan[Accepted]:
        try:
            return (yield from self._watched(start(self._now)))
        except NoJobEndpoint as error:
            refusal = error
        try:
            accepted = yield from start(self._v3)
        except ProtocolError:
            raise refusal from None  # V3 is not there either: it was not the server that answered
        self._is_doubtful = False
        if self._chosen is self._v3:  # another submission has found it out meanwhile
            return accepted
        return evolve(accepted, remarks=self._choose(self._v3, f"POST /jobs of V4 was answered {refusal.http_status}"))

    def _watched(self, plan: Plan[T]) -> Plan[T]:
        """The plan; where the interface seems not to be there, the next call asks again which one is."""
        try:
            return (yield from plan)
        except ProtocolError as error:
            self._is_doubtful = self._is_doubtful or error.http_status in {404, 410}
            raise

    def observe(self, ref: RunRef, hold: float = 0.0) -> Plan[Observation]:
        """Look at a job, as the chosen interface does; so do the following."""
        return self._watched(self._now.observe(ref, hold))

    def result(self, ref: RunRef) -> Plan[Outcome]:
        """The details of a finished job."""
        return self._watched(self._now.result(ref))

    def logs(self, ref: RunRef) -> Plan[Lines]:
        """The lines of a job's log; V3 alone has them."""
        return self._watched(self._now.logs(ref))

    def cancel(self, ref: RunRef) -> Plan[CancelAnswer]:
        """Ask for a job to be cancelled."""
        return self._watched(self._now.cancel(ref))

    def list_runs(self, query: RunQuery, cursor: Any = None) -> Plan[Page[Listed]]:
        """One page of jobs."""
        return self._watched(self._now.list_runs(query, cursor))

    def observe_many(self, *, ended: bool, cursor: Any = None) -> Plan[Page[Sighting]]:
        """One page of all jobs."""
        return self._watched(self._now.observe_many(ended=ended, cursor=cursor))

    def list_flows(self, cursor: Any = None) -> Plan[Page[FlowInfo]]:
        """One page of workspaces."""
        return self._watched(self._now.list_flows(cursor))

    def describe(self, flow: str) -> Plan[FlowSpec]:
        """What a workspace takes."""
        return self._watched(self._now.describe(flow))

    def upload(self, upload: Upload) -> Plan[RemoteFile]:
        """Bring a file to the shared resources."""
        return self._watched(self._now.upload(upload))

    def remove(self, file: RemoteFile) -> Plan[None]:
        """Remove a file from the shared resources."""
        return self._watched(self._now.remove(file))

    def download(self, artifact: ArtifactSource, to: Path, progress: Progress | None) -> Plan[None]:
        """Stream a dataset that a job made."""
        return self._watched(self._now.download(artifact, to, progress))

    def download_file(self, reference: str, to: Path, progress: Progress | None) -> Plan[None]:
        """Stream a file of the shared resources, or a folder as a zip."""
        return self._watched(self._now.download_file(reference, to, progress))

    def health(self) -> Plan[Health]:
        """How the connection stands, and which interface it speaks."""
        return self._watched(self._now.health())


def _number_in(response: Response, number: Callable[[], int | None]) -> int | None:
    """The build an answer tells; None where it does not know the address, or speaks of something else."""
    if response.status in {401, 429} or response.status >= 500:
        raise error_in(response)
    try:
        return number()
    except FlowrunnerError:
        return None


def _build_in(text: str) -> int | None:
    found = re.search(r"Build ([0-9]{1,9})(?![0-9])", text)
    return int(found[1]) if found is not None else None
