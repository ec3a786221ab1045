"""The values of the protocol."""

import asyncio
import enum
import json
import pickle
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from attrs import fields
from attrs.exceptions import FrozenInstanceError
from hypothesis import example, given
from hypothesis import strategies as st

from flowrunner import backend, enums, models
from flowrunner.enums import Cause, RunState, WaitReason
from flowrunner.errors import ClientClosed, InvalidRequest
from flowrunner.models import (
    Artifact,
    ArtifactSource,
    AsyncArtifact,
    FlowInfo,
    FlowSpec,
    Health,
    ParameterKind,
    ParameterSpec,
    RemoteFile,
    RunRef,
    RunResult,
    RunStatus,
    SubmitOptions,
    seconds,
)

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
REF = RunRef("prod", "fme-flow-v4", "Samples/a.fmw", "42")
STATUS = RunStatus(
    state=RunState.WAITING,
    vendor_status="PAUSED",
    cause=Cause.UNSPECIFIED,
    reason=WaitReason.PAUSED,
    message="ø",
    progress=0.5,
    queued_at=NOON,
    observed_at=NOON,
    raw=b'{"a": "\xff"}',
)

ENUMS = [
    value
    for module in (enums, models, backend)
    for value in vars(module).values()
    if isinstance(value, type) and issubclass(value, enum.StrEnum) and value.__module__ == module.__name__
]


@pytest.mark.parametrize("cls", ENUMS)
def test_every_value_is_the_name_in_lower_case(cls):
    """What stands in JSON, on the command line and in `status_map` is the name, in lower case."""
    assert [member.name.lower() for member in cls] == [member.value for member in cls] == [str(item) for item in cls]


MEMBERS = {
    "ReconcileOutcome": "found not_found candidates unknowable",
    "RunState": "submitting queued running waiting cancelling succeeded failed cancelled lost unknown",
    "WaitReason": "user_input flow_selection external_event paused",
    "Cause": "flow platform interrupted by_us by_other unspecified",
    "CancelOutcome": "confirmed requested too_late",
    "ParameterKind": "text password number integer boolean choice date datetime file folder url color object "
    "connection message other",
    "Capability": "cancel list_runs list_flows describe parameters progress logs artifacts upload payload server_wait "
    "long_poll bulk resume reconcile health",
}


def test_the_vocabulary_is_what_is_promised():
    """The enums and their words are the public contract: none is missing and none is added unnoticed."""
    assert {cls.__name__: " ".join(cls) for cls in ENUMS} == MEMBERS


def test_which_states_are_final():
    """A run that succeeded, failed, was cancelled or is lost has ended, and no other has."""
    final = {RunState.SUCCEEDED, RunState.FAILED, RunState.CANCELLED, RunState.LOST}
    assert final == {state for state in RunState if state.is_final}


@pytest.mark.parametrize(
    "value",
    [
        STATUS, REF, RunResult(REF, STATUS), Artifact(name="a", location="b"), ArtifactSource(name="a", location="b"),
        AsyncArtifact(name="a", location="b"), FlowSpec("a"), FlowInfo(flow="a"), Health(reachable=True),
        SubmitOptions(), ParameterSpec(name="a"), RemoteFile(name="a", reference="b"),
    ],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_values_are_frozen(value):
    """No value can be changed, in any of its attributes."""
    for attribute in fields(type(value)):
        with pytest.raises(FrozenInstanceError):
            setattr(value, attribute.name, None)


# References


def test_a_reference_is_one_line():
    """The form of a reference, which other programs keep, is fixed."""
    assert str(REF) == "flowrunner:1:fme-flow-v4:prod:Samples%2Fa.fmw:42"
    assert str(RunRef("prod", "v", "f", None, "k:1")) == "flowrunner:1:v:prod:f::k%3A1"


ANY = st.characters(codec=None)
NAME, PART = st.text(ANY, min_size=1), st.text(ANY)


@given(st.builds(RunRef, NAME, NAME, PART, st.none() | NAME, st.none() | PART))
@example(RunRef("fme@host:8080/p%20q", "fme", "Ünï cöde/ä.fmw\n", "a:b", ""))
@example(RunRef("prod", "fme", "half a \ud800.fmw", "\udfff", "\udc80"))
def test_a_reference_survives_its_text(ref):
    """`parse` reverses `str` whatever the names are: colons, percents, line breaks, other scripts, half characters."""
    text = str(ref)
    assert ref == RunRef.parse(text) == RunRef.parse(f"  {text}\n")
    assert text.isascii()
    assert not set(text) & set(" \t\r\n/")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "is not a run reference"),
        ("42", "is not a run reference"),
        ("flowrunner", "is not a run reference"),
        ("flowrunner:1:fme:prod:a", "is not a run reference"),
        ("flowrunner:1:fme:prod:a:1:k:x", "is not a run reference"),
        ("flowrunner:1:fme:http://host:8080:a:1:k", "is not a run reference"),
        ("other:1:fme:prod:a:1", "is not a run reference"),
        ("flowrunner:2:fme:prod:a:1", "version 2"),
        ("flowrunner:1::prod:a:1", "no backend, or no connection"),
        ("flowrunner:1:fme::a:1:k", "no backend, or no connection"),
    ],
)
def test_what_is_no_reference_is_refused(text, told):
    """Any other text, and another version, is an error that shows the text and the form."""
    with pytest.raises(InvalidRequest, match=told) as caught:
        RunRef.parse(text)
    assert repr(text) in str(caught.value)


@given(st.text())
def test_any_text_is_a_reference_or_refused(text):
    """Reading a reference raises nothing but `InvalidRequest`."""
    for candidate in (text, f"flowrunner:1:{text}"):
        with suppress(InvalidRequest):
            RunRef.parse(candidate)


# As JSON


def test_a_status_becomes_json():
    """Enums become their values, times ISO 8601, the payload text; nothing else changes."""
    value = STATUS.to_dict()
    assert value == {
        "version": 1,
        "state": "waiting", "vendor_status": "PAUSED", "recognized": True, "cause": "unspecified", "reason": "paused",
        "message": "ø", "progress": 0.5, "attempt": 1, "has_warnings": False, "queued_at": "2026-03-01T12:00:00+00:00",
        "started_at": None, "finished_at": None, "observed_at": "2026-03-01T12:00:00+00:00", "raw": '{"a": "\ufffd"}',
    }  # fmt: skip
    assert type(value["state"]) is type(value["cause"]) is type(value["reason"]) is str
    assert value == json.loads(json.dumps(value))


@pytest.mark.parametrize("cls", [Artifact, AsyncArtifact])
def test_a_result_becomes_json(cls):
    """A result, with artifacts of either kind, is JSON through and through."""
    artifact = cls(name="a.zip", location="/a", media_type="application/zip", size=3, fetch=print)
    result = RunResult(REF, STATUS, {"n": [1]}, (artifact,), {"cpu": 1.5}, {"job": {"id": 42}})
    value = result.to_dict()
    assert value == {
        "version": 1,
        "ref": str(REF),
        "status": STATUS.to_dict(),
        "outputs": {"n": [1]},
        "artifacts": [{"name": "a.zip", "location": "/a", "media_type": "application/zip", "size": 3}],
        "metrics": {"cpu": 1.5},
        "raw": {"job": {"id": 42}},
    }
    assert value == json.loads(json.dumps(value))


def test_a_payload_can_be_left_out():
    """`without_raw` drops the payload and nothing else."""
    assert STATUS.without_raw().to_dict() == {**STATUS.to_dict(), "raw": None}
    bare = STATUS.without_raw()
    assert bare.without_raw() is bare


def test_payloads_are_not_in_representations():
    """Neither a status nor a result prints what the vendor sent."""
    shown = repr(RunResult(REF, STATUS, raw={"job": "payload"}))
    assert "raw" not in shown
    assert "payload" not in shown


# Artifacts


def keep(source, to, progress):
    """A download that only says where to."""
    return to


@pytest.mark.parametrize("cls", [Artifact, AsyncArtifact])
def test_where_an_artifact_is_may_be_a_secret(cls):
    """Some servers put credentials into the query of an address: it is neither in `repr` nor in the JSON."""
    artifact = cls(name="a.zip", location="https://h/a.zip?sig=s3cr3t", fetch=print)
    assert "s3cr3t" not in repr(artifact) + repr(ArtifactSource(name="a", location="https://h/a?sig=s3cr3t"))
    assert artifact.to_dict()["location"] == "https://h/a.zip"
    assert artifact.location.endswith("?sig=s3cr3t")
    assert pickle.loads(pickle.dumps(artifact)).location == artifact.location


@pytest.mark.parametrize("cls", [Artifact, AsyncArtifact])
def test_an_artifact_travels_without_its_client(cls):
    """Unpickled, an artifact is the same and says that it cannot be downloaded, and what to do."""
    artifact = cls(name="a.zip", location="/a", media_type="x/y", size=3, fetch=keep)
    twin = pickle.loads(pickle.dumps(artifact))
    assert type(twin) is cls
    assert twin == artifact
    with pytest.raises(ClientClosed, match="attach the run again"):
        download(twin, "somewhere")


def download(artifact, to):
    """Download with either kind of handle."""
    got = artifact.download(to)
    return got if isinstance(artifact, Artifact) else asyncio.run(got)


async def akeep(source, to, progress):
    """As `keep`."""
    return to


HANDLES = pytest.mark.parametrize(("cls", "fetch"), [(Artifact, keep), (AsyncArtifact, akeep)])


@HANDLES
def test_an_artifact_goes_where_it_is_told(tmp_path, cls, fetch):
    """A path that is no folder is the file itself, as text or as a path."""
    artifact = cls(name="a.zip", location="/a", fetch=fetch)
    assert tmp_path / "b.zip" == download(artifact, tmp_path / "b.zip") == download(artifact, str(tmp_path / "b.zip"))


@HANDLES
@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("a.zip", "a.zip"),
        ("ö ä.zip", "ö ä.zip"),
        ("../../x", "x"),
        ("/etc/passwd", "passwd"),
        ("..\\..\\x.exe", "x.exe"),
        ("C:\\x.exe", "x.exe"),
        ("folder/", "folder"),
        ("...", "_.."),
        (".profile", "_profile"),
        ("..", "artifact"),
        ("a/..", "artifact"),
        (".", "artifact"),
        ("/", "artifact"),
        ("", "artifact"),
    ],
)
def test_an_artifact_stays_in_its_folder(tmp_path, cls, fetch, name, file):
    """Into a folder it goes under its own name, without any part that would lead elsewhere."""
    assert tmp_path / file == download(cls(name=name, location="/a", fetch=fetch), tmp_path)


@pytest.mark.parametrize(("cls", "fetch"), [(Artifact, keep), (AsyncArtifact, akeep)])
def test_what_is_written_as_a_folder(tmp_path, cls, fetch):
    """It takes the artifact if it is one; if there is none, no file takes its name."""
    artifact = cls(name="a", location="/a", fetch=fetch)
    assert tmp_path / "a" == download(artifact, f"{tmp_path}/")
    with pytest.raises(FileNotFoundError, match="there is no such folder to write to"):
        download(artifact, f"{tmp_path}/missing/")


@given(st.text())
def test_no_name_leaves_the_folder(name):
    """Whatever a vendor calls a file, it becomes one name in that folder."""
    folder = Path(__file__).parent
    to = Artifact(name=name, location="", fetch=keep).download(folder)
    assert to.parent == folder
    assert not to.name.startswith(".")
    assert 0 < len(to.name.encode()) <= 240


def test_an_artifact_hands_itself_to_its_client(tmp_path):
    """The client is told which artifact, where to and whom to tell of it, and its answer is the caller's."""
    asked = []
    artifact = Artifact(name="a", location="/a", fetch=lambda *arguments: asked.append(arguments) or "done")
    assert artifact.download(tmp_path / "b", progress=print) == "done"
    assert artifact.download(tmp_path / "b") == "done"
    assert asked == [(artifact, tmp_path / "b", print), (artifact, tmp_path / "b", None)]


# The rest


@pytest.mark.parametrize(
    ("duration", "length"), [(5, 5.0), (0.5, 0.5), (timedelta(minutes=2), 120.0), (timedelta(milliseconds=5), 0.005)]
)
def test_durations_are_seconds(duration, length):
    """A duration is a number of seconds or a timedelta."""
    assert seconds(duration) == length
    assert type(seconds(duration)) is float


@pytest.mark.parametrize("duration", [-1, -0.001, float("nan"), timedelta(seconds=-1), -float("inf")])
def test_a_duration_is_not_less_than_nothing(duration):
    """A negative duration, or one that is no number, is refused: it would be over before it began, or never."""
    with pytest.raises(InvalidRequest, match="0 seconds or more"):
        seconds(duration)


def test_a_parameter_is_found_by_name():
    """`FlowSpec.parameter` gives the description of exactly this name."""
    spec = FlowSpec("f", (ParameterSpec(name="A"), ParameterSpec(name="B", kind=ParameterKind.TEXT)))
    assert spec.parameter("B") is spec.parameters[1]
    assert spec.parameter("b") is None


def test_topics_are_kept_in_order():
    """Topics may be given as any sequence, and a text is one topic."""
    options = SubmitOptions(success_topics=["a", "b"], failure_topics=iter(["c"]))
    assert (options.success_topics, options.failure_topics) == (("a", "b"), ("c",))
    options = SubmitOptions(success_topics="DONE", failure_topics="")
    assert (options.success_topics, options.failure_topics) == (("DONE",), ("",))


def test_a_remote_file_stands_for_itself():
    """As text, a file at the vendor is what a parameter refers to it by."""
    assert str(RemoteFile(name="a.csv", reference="$(TEMP)/x/a.csv", size=3)) == "$(TEMP)/x/a.csv"
