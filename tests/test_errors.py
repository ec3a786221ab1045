"""Errors: their tree, what they carry, that they travel, and that they hold no secret."""

import copy
import pickle
import re

import pytest

from flowrunner import errors
from flowrunner.enums import Cause, RunState
from flowrunner.errors import (
    ContactLost,
    FlowrunnerError,
    InputRequired,
    InvalidParameters,
    InvalidRequest,
    ProtocolError,
    RunCancelled,
    RunFailed,
    RunLost,
    SubmissionUncertain,
    TransportError,
    UnsupportedOption,
    WaitTimeout,
)
from flowrunner.models import Artifact, RunRef, RunResult, RunStatus

REF = RunRef("prod", "fme-flow-v4", "Samples/a.fmw", "42")
STATUS = RunStatus(state=RunState.FAILED, cause=Cause.FLOW, message="broken", raw=b"{}")
ARTIFACT = Artifact(name="out.zip", location="/out.zip", size=3, fetch=lambda _source, to: to)
RESULT = RunResult(REF, STATUS, {"rows": 3}, (ARTIFACT,), {"cpu_seconds": 1.5}, {"job": {"id": 42}})

CONTEXT = {
    "connection": "prod",
    "backend": "fme-flow-v4",
    "ref": REF,
    "http_status": 418,
    "vendor_message": "short and stout",
    "retry_after": 2.5,
    "transient": True,
}
OWN = {
    InvalidParameters: {"problems": {"MAXY": "is not a number"}},
    UnsupportedOption: {"option": "rtc"},
    ProtocolError: {"body": "<html>"},
    TransportError: {"maybe_arrived": True},
    SubmissionUncertain: {"handle": REF},
    ContactLost: {"status": STATUS},
    WaitTimeout: {"status": STATUS},
    RunFailed: {"result": RESULT},
    RunCancelled: {"result": RESULT},
    RunLost: {"result": RESULT},
    InputRequired: {"status": STATUS, "schema": {"type": "object"}, "model": {"a": 1}, "form": [{"page": 1}]},
}
CLASSES = [getattr(errors, name) for name in errors.__all__]


def build(cls, message="it broke: mend it", **context):
    """An error with everything it takes."""
    return cls(message, **OWN.get(cls, {}), **{**CONTEXT, **context})


def bare(cls):
    """An error with no more than it needs."""
    return cls("it broke", **OWN.get(cls, {}))


# The tree

ENTRY = re.compile(r"^(?P<indent>(?:│   |    )*)[├└]── (?P<name>\w+)", re.MULTILINE)


def drawn():
    """The pairs of class and base in the module's docstring."""
    branch, pairs = ["FlowrunnerError"], set()
    for entry in ENTRY.finditer(errors.__doc__):
        depth = len(entry["indent"]) // 4 + 1
        branch[depth:] = [entry["name"]]
        pairs.add((entry["name"], branch[depth - 1]))
    return pairs


def public_bases(cls):
    """The nearest bases that are public errors of ours."""
    for base in cls.__bases__:
        if base.__name__ in errors.__all__:
            yield base
        elif issubclass(base, FlowrunnerError):
            yield from public_bases(base)


def test_the_tree_is_as_drawn():
    """The docstring of the module draws the classes as they are, each under every base it has."""
    assert drawn() == {(cls.__name__, base.__name__) for cls in CLASSES for base in public_bases(cls)}


def test_every_error_is_exported():
    """No public class of the module is missing from `__all__`."""
    own = {name for name, value in vars(errors).items() if getattr(value, "__module__", None) == errors.__name__}
    assert set(errors.__all__) == {name for name in own if not name.startswith("_")}


@pytest.mark.parametrize("cls", CLASSES)
def test_every_error_says_when(cls):
    """Every class is an error of ours and has a docstring of its own that says when it is raised."""
    assert issubclass(cls, FlowrunnerError)
    assert cls.__dict__["__doc__"].strip().split("\n")[0].endswith(".")


def test_a_wait_timeout_is_a_timeout():
    """`except TimeoutError` catches the end of our wait."""
    assert issubclass(WaitTimeout, TimeoutError)


def test_an_unsupported_option_is_an_invalid_request_too():
    """Who catches what was wrong with the request catches an option the backend does not have."""
    assert issubclass(UnsupportedOption, InvalidRequest)


# What they carry


@pytest.mark.parametrize("cls", CLASSES)
def test_every_error_carries_data(cls):
    """All that is known of an error are attributes."""
    error = build(cls)
    expected = {**CONTEXT, **OWN.get(cls, {}), "message": "it broke: mend it"}
    assert expected == {name: getattr(error, name) for name in expected}


@pytest.mark.parametrize("cls", CLASSES)
def test_the_text_says_where(cls):
    """`str()` is the message, and the connection and the run where they are known."""
    error = build(cls)
    assert str(error) == "it broke: mend it (connection 'prod', run flowrunner:1:fme-flow-v4:prod:Samples%2Fa.fmw:42)"
    error.ref = None
    assert str(error) == "it broke: mend it (connection 'prod')"
    error.connection = None
    assert str(error) == "it broke: mend it"


@pytest.mark.parametrize("cls", CLASSES)
def test_what_is_not_known_is_none(cls):
    """An error raised with a text alone claims nothing else."""
    error = bare(cls)
    assert error.connection is error.backend is error.http_status is error.vendor_message is error.retry_after is None


@pytest.mark.parametrize("cls", CLASSES)
def test_only_what_may_pass_is_transient(cls):
    """Without further knowledge, no contact and the end of our own wait may pass, and nothing else."""
    assert bare(cls).transient == (cls in {TransportError, ContactLost, WaitTimeout})


@pytest.mark.parametrize("cls", [TransportError, ContactLost, WaitTimeout])
def test_transient_can_be_denied(cls):
    """What usually passes may be known not to."""
    assert not build(cls, transient=False).transient


@pytest.mark.parametrize("cls", [RunFailed, RunCancelled, RunLost])
def test_the_end_of_a_run_carries_its_result(cls):
    """`.status` and `.ref` are those of the result."""
    error = cls("it ended", result=RESULT)
    assert error.status is STATUS
    assert error.ref is REF


def test_problems_are_a_copy():
    """What the caller does to the mapping later does not change the error."""
    problems = {"A": "x"}
    error = InvalidParameters("no", problems=problems)
    problems.clear()
    assert error.problems == {"A": "x"}
    assert InvalidParameters("no").problems == {}


# That they travel


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("cls", CLASSES)
def test_every_error_is_pickled_whole(cls, protocol):
    """An error from another process has the class, text and data of the original."""
    error = build(cls)
    error.add_note("and a note")
    twin = pickle.loads(pickle.dumps(error, protocol))
    assert type(twin) is cls
    assert vars(twin) == vars(error)
    assert (str(twin), repr(twin), twin.args) == (str(error), repr(error), error.args)


@pytest.mark.parametrize("cls", CLASSES)
def test_a_bare_error_is_pickled(cls):
    """So is one without context."""
    error = bare(cls)
    assert vars(pickle.loads(pickle.dumps(error))) == vars(error)


def test_an_error_is_copied():
    """A copy can be changed without changing the original."""
    error = build(ProtocolError)
    twin = copy.copy(error)
    twin.locate(connection="other")
    twin.redact(lambda _text: "hidden")
    assert (error.body, twin.body) == ("<html>", "hidden")


def test_artifacts_travel_without_their_client():
    """A failed run's artifacts arrive as descriptions."""
    twin = pickle.loads(pickle.dumps(build(RunFailed)))
    assert twin.result == RESULT
    assert twin.result.artifacts[0]._fetch is None


# Where it happened, and what must not be seen


def test_locate_fills_in_what_is_missing():
    """What was known already stays, the rest is filled in."""
    error = FlowrunnerError("no", backend="smart-flows")
    error.locate(connection="prod", backend="fme-flow-v4", ref=REF)
    assert (error.connection, error.backend, error.ref) == ("prod", "smart-flows", REF)
    error.locate(connection="other", backend="other", ref=RunRef("o", "o", "o"))
    assert (error.connection, error.backend, error.ref) == ("prod", "smart-flows", REF)
    error.locate()
    assert error.ref is REF
    bare = FlowrunnerError("no")
    bare.locate(backend="fme-flow-v4")
    assert (bare.connection, bare.backend, bare.ref) == (None, "fme-flow-v4", None)


def hide(text):
    """Mask the secret."""
    return text.replace("s3cret", "***")


@pytest.mark.parametrize("cls", CLASSES)
def test_no_secret_is_left_after_redaction(cls):
    """No text, representation, attribute, note or pickle shows what was hidden."""
    error = build(cls, "token s3cret refused", vendor_message="no such token: s3cret")
    error.add_note("asked with s3cret")
    if isinstance(error, InvalidParameters):
        error.problems = {"A": "'s3cret' is not a number"}
    if isinstance(error, ProtocolError):
        error.body = "<html>s3cret"
    error.redact(hide)
    for shown in (str(error), repr(error), repr(vars(error)), repr(error.args), repr(pickle.dumps(error))):
        assert "s3cret" not in shown
        assert "***" in shown
    assert error.__notes__ == ["asked with ***"]


def test_redaction_leaves_what_is_not_there():
    """No vendor message and no notes stay none."""
    error = FlowrunnerError("fine")
    error.redact(hide)
    assert error.vendor_message is None
    assert not hasattr(error, "__notes__")


@pytest.mark.parametrize(
    ("error", "shown"),
    [
        (InvalidParameters("no", problems={"A": "s3cret", "B": "fine"}), {"A": "***", "B": "fine"}),
        (ProtocolError("no", body="s3cret!"), "***!"),
    ],
)
def test_what_a_class_adds_is_redacted_too(error, shown):
    """Problems and bodies are texts from outside."""
    error.redact(hide)
    assert shown == getattr(error, "problems", None) or shown == error.body
