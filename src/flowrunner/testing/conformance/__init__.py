"""The conformance suite: a test for each rule of the backend interface. Derive from it, in your own tests.

```python
from flowrunner.testing.conformance import BackendConformance, ScriptedServer, reply

class TestAcme(BackendConformance):
    backend = AcmeBackend
    settings = {"base_url": "https://acme.example", "token": "t0ken-of-acme"}
    server = AcmeServer
    words = {"QUEUED": "queued", "WORKING": "running", "DONE": "succeeded", "BROKEN": "failed/flow"}
```

The rules stand in `docs/reference/backend-interface.md`; a failure says in one line which is broken, and by what. It
needs the extra `flowrunner[testing]`, no network and no licence.
"""

from __future__ import annotations

from flowrunner.testing.conformance._cancelling import CancellingRules
from flowrunner.testing.conformance._capabilities import CapabilityRules
from flowrunner.testing.conformance._class import ClassRules
from flowrunner.testing.conformance._credentials import CredentialRules
from flowrunner.testing.conformance._following import FollowingRules
from flowrunner.testing.conformance._listing import ListingRules
from flowrunner.testing.conformance._many import ManyRules
from flowrunner.testing.conformance._observing import ObservingRules
from flowrunner.testing.conformance._plans import PlanRules
from flowrunner.testing.conformance._results import ResultRules
from flowrunner.testing.conformance._submitting import SubmittingRules
from flowrunner.testing.conformance.rules import RULES
from flowrunner.testing.conformance.server import ABSENT, Asked, ScriptedRun, ScriptedServer, reply
from flowrunner.testing.conformance.verdict import NotConforming

__all__ = [
    "ABSENT",
    "RULES",
    "Asked",
    "BackendConformance",
    "NotConforming",
    "ScriptedRun",
    "ScriptedServer",
    "reply",
]


class BackendConformance(
    ClassRules,
    PlanRules,
    SubmittingRules,
    ObservingRules,
    FollowingRules,
    CancellingRules,
    ResultRules,
    ListingRules,
    CapabilityRules,
    CredentialRules,
    ManyRules,
):
    """All rules. A test whose rule does not apply to the backend is skipped, with the reason.

    Attributes:
        backend: the class.
        settings: what its connections are configured with; credentials as text, which the tests look for everywhere.
        server: the vendor, played by a script.
        words: the documented status words as the vendor writes them, and what they mean, as `status_map` writes it:
            `running`, `failed/flow`, `succeeded/warnings`; None for a word that leaves it to the result, which is
            still to come as long as the server shows that word.
        parameters: what a submission with parameters is tried with.
        options: what such a submission needs besides.
        payload: what a submission with a payload is tried with.
        lists_one_flow: whether the vendor lists the runs of one flow at a time, and not all there are.
        times: how the vendor writes times, and what they are; ISO 8601 unless said otherwise.
    """
