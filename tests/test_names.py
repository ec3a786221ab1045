"""What `import flowrunner` offers, and what it costs."""

import ast
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import flowrunner

CONTRACT = [
    "connect", "connect_async", "Client", "AsyncClient", "Run", "AsyncRun", "RunState", "RunStatus", "RunResult",
    "RunRef", "FlowSpec", "FlowInfo", "ParameterSpec", "SubmitOptions", "Artifact", "AsyncArtifact", "Capability",
    "Cause", "WaitReason", "CancelOutcome", "Health", "Submitted", "StatusChanged", "UnknownWord", "Anomaly",
    "ContactFailed", "ContactRestored", "CheckSkipped", "FlowrunnerError", "ConfigError", "UnknownConnection",
    "UnknownBackend", "BackendLoadError", "JournalError", "ClientClosed", "AuthenticationError", "PermissionDenied",
    "FlowNotFound", "RunNotFound", "InvalidParameters", "InvalidRequest", "RateLimited", "VendorError",
    "ProtocolError", "TransportError", "SubmissionUncertain", "ContactLost", "WaitTimeout", "RunFailed",
    "RunCancelled", "RunLost", "InputRequired", "UnsupportedOperation", "Notice", "RemoteFile", "Reconciliation",
    "ReconcileOutcome",
    "MapItem", "share", "share_async", "SharedClient", "submission_key",
]  # fmt: skip

TREE = ast.parse(Path(flowrunner.__file__).read_text(encoding="utf-8"))


def declared_for_type_checkers():
    """Names and their modules under `if TYPE_CHECKING:`."""
    (block,) = (node for node in TREE.body if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING")
    for statement in block.body:
        for alias in statement.names:
            assert alias.asname == alias.name, "re-exported names are imported as themselves"
            yield alias.name, statement.module


def test_type_checkers_see_what_there_is():
    """What is imported for type checkers is exactly what is loaded when used, from the same modules."""
    declared = list(declared_for_type_checkers())
    assert sorted(declared) == sorted((name, f"flowrunner.{module}") for name, module in flowrunner._MODULES.items())


@pytest.mark.parametrize("name", flowrunner.__all__)
def test_every_name_is_there(name):
    """Each name resolves, to what its module calls so and exports, too."""
    value = getattr(flowrunner, name)
    if name != "__version__":
        module = import_module(f"flowrunner.{flowrunner._MODULES[name]}")
        assert value is getattr(module, name)
        assert name in module.__all__


def test_all_is_all_there_is():
    """`__all__` is sorted, without doubles, and `from flowrunner import *` brings nothing else."""
    namespace = {}
    exec("from flowrunner import *", namespace)
    namespace.pop("__builtins__")
    assert set(namespace) == set(flowrunner.__all__)
    assert list(flowrunner.__all__) == sorted(set(flowrunner.__all__))


def test_dir_shows_the_names_without_loading_them():
    """Completion in a shell offers every name."""
    assert set(flowrunner.__all__) <= set(dir(flowrunner))


@pytest.mark.parametrize("name", CONTRACT)
def test_the_contract_is_kept(name):
    """Every name that the documentation promises can be imported from `flowrunner`."""
    assert name in flowrunner.__all__


@pytest.mark.parametrize("name", ["nothing", "_private", "models_"])
def test_another_name_is_an_attribute_error(name):
    """A name that is not there is told as Python does."""
    with pytest.raises(AttributeError, match=f"module 'flowrunner' has no attribute '{name}'"):
        getattr(flowrunner, name)


def modules_after(code):
    """The modules that a fresh interpreter has loaded on top of its own, after this code."""
    script = f"import sys; before = set(sys.modules)\n{code}\nprint(*sorted(set(sys.modules) - before))"
    answer = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(answer.stdout.split())


HEAVY = {
    "httpx", "attr", "attrs", "cattrs", "stamina", "asyncio", "anyio", "starlette", "uvicorn", "click", "rich", "ssl",
    "keyring", "flowrunner.simulator", "flowrunner.cli", "flowrunner.http", "flowrunner.backends", "flowrunner.config",
    "flowrunner.client", "flowrunner.models",
}  # fmt: skip


def test_importing_is_light():
    """The names a program starts with load no other library, no event loop, no simulator and no command line."""
    loaded = modules_after("from flowrunner import connect, RunState")
    assert {"flowrunner", "flowrunner.connecting", "flowrunner.enums"} == {
        name for name in loaded if name.startswith("flowrunner")
    }
    assert loaded & HEAVY == set()


def test_importing_what_an_engine_reads_often_is_light():
    """An engine reads the files of its workflows again and again, in processes that share nothing."""
    loaded = modules_after("from flowrunner import share, share_async, submission_key")
    own = {"flowrunner", "flowrunner.connecting", "flowrunner.errors", "flowrunner.keys", "flowrunner.sharing"}
    assert {name for name in loaded if name.startswith("flowrunner")} == own
    assert loaded & HEAVY == set()


def test_importing_the_package_alone_loads_nothing_of_it():
    """`import flowrunner` reads one file."""
    loaded = modules_after("import flowrunner")
    assert {name for name in loaded if name.startswith("flowrunner")} == {"flowrunner"}


def test_a_name_is_found_once():
    """After the first use a name is an ordinary one of the module."""
    assert flowrunner.RunState is flowrunner.RunState
    assert "RunState" in vars(flowrunner)
