"""The backend keeps the rules of the interface. It is found as its users find it: by its name."""

from importlib.metadata import entry_points

from flowrunner.testing.conformance import BackendConformance
from scripted_keepers import ScriptedKeepers

(LOCAL,) = entry_points(group="flowrunner.backends", name="local")


class TestLocal(BackendConformance):
    """The words are those that keepers write, and the one for a run that has lost its keeper."""

    backend = LOCAL.load()
    server = ScriptedKeepers
    words = {
        "queued": "queued",
        "running": "running",
        "succeeded": "succeeded",
        "failed": "failed/flow",
        "not started": "failed/platform",
        "cancelled": "cancelled",
        "vanished": "failed/interrupted",
    }
