"""The servers of the soak: what can be run there, under which key, and what goes wrong."""

from __future__ import annotations

import re
import uuid
from itertools import cycle
from typing import TYPE_CHECKING, Any, Final

from soak_comparison import Started
from soak_worker import Job

from flowrunner.simulator import (
    Behaviour,
    DataFlow,
    Fault,
    Faults,
    Kind,
    Parameter,
    RealClock,
    Simulator,
    SmartFlow,
    Submission,
    Workspace,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path
    from random import Random

SPEED: Final = 10.0
"""Seconds of the servers' and the programs' clocks per real one."""
FLOWS: Final = 8
"""Per vendor; what is uncertain is looked for among the runs of its flow."""
LOOKS: Final = {
    "fme-flow-v3": "*/transformations/jobs/id/*",
    "fme-flow-v4": "*/jobs/*",
    "invision": "*/runs/*/status",
    "smart-flows": "*/executions/*/progress",
}
"""The looks at one run, whose answers may be old ones. An old list would be believed, as the documentation says."""
SETTINGS: Final = {
    "timeout": 3.0,
    "retries": 1,
    "poll_min": 0.5,
    "poll_max": 5.0,
    "contact_budget": 60.0,
}


def faults(vendor: str, seconds: float, seed: int) -> Faults:
    """What goes wrong with one request in eight, and now and then with the whole server."""
    length = seconds * SPEED
    submissions: dict[str, Any] = {"requests": "submissions"}
    retry = {"Retry-After": "1"}
    return Faults(
        (
            # On the way, for any request.
            Fault("reset_before", probability=0.01),
            Fault("reset_after", probability=0.01),
            Fault("refuse", probability=0.005),
            Fault("truncate", probability=0.01),
            Fault("wrong_length", off_by=-10, probability=0.005),
            Fault("slow", pause=0.3, pieces=3, probability=0.01),
            Fault("hang", probability=0.0005),
            Fault("html", status=503, probability=0.005),
            Fault("html", status=200, probability=0.005),
            # The server's own.
            Fault("status", status=429, headers=retry, probability=0.002, burst=5),
            Fault("status", status=500, probability=0.005),
            Fault("status", status=502, probability=0.005),
            Fault("status", status=503, headers=retry, probability=0.002, burst=3),
            Fault("status", status=504, probability=0.005),
            # What leaves it open whether a run was started: there is one, or there is none.
            Fault("reset_after", probability=0.02, **submissions),
            Fault("reset_before", probability=0.01, **submissions),
            Fault("truncate", probability=0.01, **submissions),
            Fault("html", status=502, acts=True, probability=0.01, **submissions),
            Fault("html", status=200, acts=True, probability=0.005, **submissions),
            Fault("status", status=504, acts=True, probability=0.01, **submissions),
            Fault("hang", acts=True, probability=0.002, **submissions),
            Fault("duplicate", answer="first", probability=0.01, **submissions),
            Fault("duplicate", answer="second", probability=0.01, **submissions),
            # What misleads.
            Fault("stale", probability=0.05, path=LOOKS[vendor]),
            Fault("skew", seconds=120, probability=0.05),
            Fault("skew", seconds=-1200, probability=0.02),
            # The whole server.
            Fault("revoke", lasts=3, probability=0.001),
            Fault("purge", probability=0.001),
            Fault("restart", jobs="kept", lasts=3, after=0.3 * length, times=1),
            Fault("restart", jobs="queue_lost", acts=True, lasts=3, after=0.5 * length, times=1),
            Fault("restart", jobs="lost", lasts=3, after=0.7 * length, times=1),
            Fault("refuse", lasts=2, after=0.85 * length, times=1),
        ),
        seed=seed,
    )


class Server:
    """A simulated vendor, what can be run there, and the keys that are to be.

    Args:
        vendor: which.
        keys: what is to be submitted.
        random: decides what runs do.
        folder: for the file its token is in.
    """

    def __init__(self, vendor: str, keys: Sequence[str], random: Random, folder: Path) -> None:
        self.vendor = vendor
        self.simulator = Simulator(vendor, clock=RealClock(SPEED), engines=16)
        self._token_file = folder / f"{vendor}.token"
        self._random = random
        self._publish = {"invision": self._data_flows, "smart-flows": self._smart_flows}.get(vendor, self._workspaces)
        self.jobs = list(self._publish(keys))
        self._keys_of_flows = {job.flow: job.key for job in self.jobs} if vendor == "invision" else {}
        self.rotate()

    def rotate(self) -> None:
        """Replace the token, in the file and then at the server."""
        token, new = uuid.uuid4().hex, self._token_file.with_suffix(".new")
        new.write_text(token)
        new.replace(self._token_file)
        self.simulator.world.token = token

    def settings(self) -> dict[str, Any]:
        """Of a connection to it."""
        (secret,) = set(self.simulator.settings) - {"base_url"}
        return {"base_url": self.simulator.base_url, secret: {"file": str(self._token_file)}, **SETTINGS}

    def started(self) -> list[Started]:
        """Its books."""
        return [
            Started(
                id=book.id,
                key=self._key_of(book),
                state=book.job.state,
                at=book.job.submitted_at,
                is_repeat=book.job.is_repeat,
                forgotten_at=book.forgotten_at,
            )
            for book in self.simulator.books
        ]

    def _key_of(self, book: Submission) -> str | None:
        if self.vendor == "invision":
            return self._keys_of_flows.get(book.flow)
        if self.vendor == "smart-flows":
            found = re.search(rb"<Key>(.*)</Key>", book.job.notes.input.content)
            return found[1].decode() if found else None
        return book.job.parameters.get("KEY")

    def _behaviour(self) -> Behaviour:
        """Most succeed, some fail; some take longer, and some are taken up twice."""
        random = self._random
        return Behaviour(
            duration=random.choice((0, 1, 3, 10)),
            outcome=random.choices(("succeeded", "failed"), (4, 1))[0],
            start_delay=random.choice((0, 0, 2)),
            requeue_after=random.choice((None, None, None, 0.5)),
        )

    def _script(self, flow: str, count: int) -> None:
        for _ in range(count):
            self.simulator.pool.script(flow, self._behaviour(), times=1)

    def _workspaces(self, keys: Sequence[str]) -> Iterator[Job]:
        """The key is a parameter, so that the books tell whose a run is whatever the vendor carries."""
        spaces = [
            Workspace("Soak", f"{number}.fmw", parameters=(Parameter("KEY", Kind.TEXT, "Key"),))
            for number in range(FLOWS)
        ]
        for space in spaces:
            self.simulator.publish(space)
            self._script(space.flow, len(keys))
        for key, space in zip(keys, cycle(spaces), strict=False):
            yield Job(key, space.flow, {"KEY": key})

    def _smart_flows(self, keys: Sequence[str]) -> Iterator[Job]:
        """The key is in the payload."""
        flows = [
            SmartFlow(str(uuid.UUID(int=number)), f"soak {number}", input="user") for number in range(1, FLOWS + 1)
        ]
        for flow in flows:
            self.simulator.publish(flow)
            self._script(flow.id, len(keys))
        for key, flow in zip(keys, cycle(flows), strict=False):
            yield Job(key, flow.id, payload=f"<Soak><Key>{key}</Key></Soak>")

    def _data_flows(self, keys: Sequence[str]) -> Iterator[Job]:
        """A start carries nothing, so each key has a Data Flow of its own."""
        for number, key in enumerate(keys, 1):
            flow = DataFlow(str(uuid.UUID(int=number)), key, self._behaviour())
            self.simulator.publish(flow)
            yield Job(key, flow.id)
