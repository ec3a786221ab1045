"""One Run/Status protocol for workflow servers: submit, follow, cancel and fetch, whatever the vendor."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flowrunner.backend import Capability as Capability
    from flowrunner.client import AsyncClient as AsyncClient
    from flowrunner.client import AsyncRun as AsyncRun
    from flowrunner.client import Client as Client
    from flowrunner.client import Run as Run
    from flowrunner.connecting import connect as connect
    from flowrunner.connecting import connect_async as connect_async
    from flowrunner.enums import CancelOutcome as CancelOutcome
    from flowrunner.enums import Cause as Cause
    from flowrunner.enums import ReconcileOutcome as ReconcileOutcome
    from flowrunner.enums import RunState as RunState
    from flowrunner.enums import WaitReason as WaitReason
    from flowrunner.errors import AuthenticationError as AuthenticationError
    from flowrunner.errors import BackendLoadError as BackendLoadError
    from flowrunner.errors import ClientClosed as ClientClosed
    from flowrunner.errors import ConfigError as ConfigError
    from flowrunner.errors import ContactLost as ContactLost
    from flowrunner.errors import FlowNotFound as FlowNotFound
    from flowrunner.errors import FlowrunnerError as FlowrunnerError
    from flowrunner.errors import InputRequired as InputRequired
    from flowrunner.errors import InvalidParameters as InvalidParameters
    from flowrunner.errors import InvalidRequest as InvalidRequest
    from flowrunner.errors import JournalError as JournalError
    from flowrunner.errors import PermissionDenied as PermissionDenied
    from flowrunner.errors import ProtocolError as ProtocolError
    from flowrunner.errors import RateLimited as RateLimited
    from flowrunner.errors import RunCancelled as RunCancelled
    from flowrunner.errors import RunFailed as RunFailed
    from flowrunner.errors import RunLost as RunLost
    from flowrunner.errors import RunNotFound as RunNotFound
    from flowrunner.errors import SubmissionUncertain as SubmissionUncertain
    from flowrunner.errors import TransportError as TransportError
    from flowrunner.errors import UnknownBackend as UnknownBackend
    from flowrunner.errors import UnknownConnection as UnknownConnection
    from flowrunner.errors import UnsupportedOperation as UnsupportedOperation
    from flowrunner.errors import UnsupportedOption as UnsupportedOption
    from flowrunner.errors import VendorError as VendorError
    from flowrunner.errors import WaitTimeout as WaitTimeout
    from flowrunner.events import Anomaly as Anomaly
    from flowrunner.events import CheckSkipped as CheckSkipped
    from flowrunner.events import ContactFailed as ContactFailed
    from flowrunner.events import ContactRestored as ContactRestored
    from flowrunner.events import Event as Event
    from flowrunner.events import Notice as Notice
    from flowrunner.events import StatusChanged as StatusChanged
    from flowrunner.events import Submitted as Submitted
    from flowrunner.events import UnknownWord as UnknownWord
    from flowrunner.hosting import SharedClient as SharedClient
    from flowrunner.keys import submission_key as submission_key
    from flowrunner.models import Artifact as Artifact
    from flowrunner.models import AsyncArtifact as AsyncArtifact
    from flowrunner.models import FlowInfo as FlowInfo
    from flowrunner.models import FlowSpec as FlowSpec
    from flowrunner.models import Health as Health
    from flowrunner.models import MapItem as MapItem
    from flowrunner.models import ParameterKind as ParameterKind
    from flowrunner.models import ParameterSpec as ParameterSpec
    from flowrunner.models import Reconciliation as Reconciliation
    from flowrunner.models import RemoteFile as RemoteFile
    from flowrunner.models import RunRef as RunRef
    from flowrunner.models import RunResult as RunResult
    from flowrunner.models import RunStatus as RunStatus
    from flowrunner.models import SubmitOptions as SubmitOptions
    from flowrunner.sharing import share as share
    from flowrunner.sharing import share_async as share_async

__version__ = "0.1.0"

# Names and where they are: loaded when first used, so that importing flowrunner costs next to nothing.
_HOMES = {
    "backend": ["Capability"],
    "client": ["AsyncClient", "AsyncRun", "Client", "Run"],
    "connecting": ["connect", "connect_async"],
    "enums": ["CancelOutcome", "Cause", "ReconcileOutcome", "RunState", "WaitReason"],
    "errors": [
        "AuthenticationError", "BackendLoadError", "ClientClosed", "ConfigError", "ContactLost", "FlowNotFound",
        "FlowrunnerError", "InputRequired", "InvalidParameters", "InvalidRequest", "JournalError", "PermissionDenied",
        "ProtocolError", "RateLimited", "RunCancelled", "RunFailed", "RunLost", "RunNotFound", "SubmissionUncertain",
        "TransportError", "UnknownBackend", "UnknownConnection", "UnsupportedOperation", "UnsupportedOption",
        "VendorError", "WaitTimeout",
    ],
    "events": [
        "Anomaly", "CheckSkipped", "ContactFailed", "ContactRestored", "Event", "Notice", "StatusChanged", "Submitted",
        "UnknownWord",
    ],
    "hosting": ["SharedClient"],
    "keys": ["submission_key"],
    "models": [
        "Artifact", "AsyncArtifact", "FlowInfo", "FlowSpec", "Health", "MapItem", "ParameterKind",
        "ParameterSpec", "Reconciliation", "RemoteFile", "RunRef", "RunResult", "RunStatus", "SubmitOptions",
    ],
    "sharing": ["share", "share_async"],
}  # fmt: skip
_MODULES = {name: module for module, names in _HOMES.items() for name in names}

__all__ = sorted([*_MODULES, "__version__"])  # noqa: PLE0605 - built from the same table; a test compares


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*globals(), *_MODULES]
