"""Runs and results, made JSON and read again, in another process or years later."""

import json
from datetime import UTC, datetime, timedelta, timezone
from types import MappingProxyType

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from flowrunner import (
    Artifact,
    AsyncArtifact,
    Cause,
    InvalidRequest,
    RunRef,
    RunResult,
    RunState,
    RunStatus,
    WaitReason,
)
from flowrunner.errors import ClientClosed

TEXT = st.text(st.characters(codec="utf-8"))
NAME = st.text(st.characters(codec="utf-8"), min_size=1)
MOMENT = st.datetimes(timezones=st.just(UTC))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)
REFS = st.builds(RunRef, NAME, NAME, TEXT, st.none() | NAME, st.none() | TEXT)
STATUSES = st.builds(
    RunStatus,
    state=st.sampled_from(RunState),
    vendor_status=st.none() | TEXT,
    recognized=st.booleans(),
    cause=st.none() | st.sampled_from(Cause),
    reason=st.none() | st.sampled_from(WaitReason),
    message=st.none() | TEXT,
    progress=st.none() | st.floats(0, 1),
    attempt=st.integers(1),
    has_warnings=st.booleans(),
    queued_at=st.none() | MOMENT,
    started_at=st.none() | MOMENT,
    finished_at=st.none() | MOMENT,
    observed_at=st.none() | MOMENT,
    raw=st.none() | TEXT.map(str.encode),
)
ARTIFACTS = st.builds(
    Artifact,
    name=NAME,
    location=TEXT.map(lambda text: text.replace("?", "")),
    media_type=st.none() | TEXT,
    size=st.none() | st.integers(0),
)
RESULTS = st.builds(
    RunResult,
    REFS,
    STATUSES,
    st.dictionaries(TEXT, JSON, max_size=3),
    st.lists(ARTIFACTS, max_size=3).map(tuple),
    st.dictionaries(TEXT, st.floats(allow_nan=False, allow_infinity=False), max_size=3),
    st.dictionaries(TEXT, JSON, max_size=3),
)

REF = RunRef("prod", "fme-flow-v4", "Samples/a.fmw", "42", "a key")
RESULT = RunResult(REF, RunStatus(state=RunState.SUCCEEDED))
WHOLE = {RunRef: REF, RunStatus: RESULT.status, RunResult: RESULT}


@given(st.one_of(REFS, STATUSES, RESULTS))
def test_what_was_written_is_read(value):
    """The same value comes back, by way of a text that is JSON in the strict sense."""
    text = json.dumps(value.to_dict(), allow_nan=False)
    assert type(value).from_dict(json.loads(text)) == value


def test_the_form_is_fixed():
    """Other programs keep it: keys may come, none goes."""
    ref = {"version": 1, "connection": "prod", "backend": "fme-flow-v4", "flow": "Samples/a.fmw", "id": "42"}
    assert REF.to_dict() == {**ref, "key": "a key"}
    assert RunRef.from_dict(MappingProxyType(ref)) == evolve(REF, key=None)
    written = {"version": 1, "ref": str(REF), "status": {"version": 1, "state": "succeeded"}}
    assert RunResult.from_dict(written) == RESULT
    assert RunResult.from_dict({**written, "added": "by a later version"}) == RESULT


def test_what_is_lost_is_lost_once():
    """Bytes of a payload that are no text, and the query of an address: what is left stays as it is from then on."""
    status = RunStatus(raw=b"\xff<a/>")
    artifact = Artifact(name="a.zip", location="https://h/a?sig=s3cr3t", fetch=print)
    result = RunResult(REF, status, artifacts=(artifact,))
    read = RunResult.from_dict(result.to_dict())
    assert read.status.raw == "\ufffd<a/>".encode()
    assert read.artifacts[0].location == "https://h/a"
    assert read.to_dict() == result.to_dict()


def test_an_artifact_that_was_read_has_no_client(tmp_path):
    """Of either kind: it says what to do to download it."""
    result = RunResult(REF, RESULT.status, artifacts=(AsyncArtifact(name="a.zip", location="/a", size=3, fetch=print),))
    (artifact,) = RunResult.from_dict(result.to_dict()).artifacts
    assert (artifact.name, artifact.size) == ("a.zip", 3)
    with pytest.raises(ClientClosed, match="attach the run again"):
        artifact.download(tmp_path)


def test_times_are_of_one_zone():
    """They are UTC, whatever zone they were written in."""
    written = {**RESULT.status.to_dict(), "queued_at": "2026-03-01T13:00:00+01:00"}
    read = RunStatus.from_dict(written).queued_at
    assert read == datetime(2026, 3, 1, 13, tzinfo=timezone(timedelta(hours=1)))
    assert read.tzinfo is UTC


@pytest.mark.parametrize("cls", WHOLE)
@pytest.mark.parametrize(
    ("given", "told"),
    [
        (None, "not a NoneType"),
        ("s3cr3t", "not a str"),
        ([], "not a list"),
        ({}, "has no version"),
        ({"version": "s3cr3t"}, "has no version"),
        ({"version": True}, "has no version"),
        ({"version": 2}, "is of version 2: this flowrunner reads version 1"),
    ],
)
def test_another_version_is_refused(cls, given, told):
    """And what is no mapping; the error says what it was to be."""
    given = {**WHOLE[cls].to_dict(), **given} if isinstance(given, dict) and given else given
    with pytest.raises(InvalidRequest, match=told) as caught:
        cls.from_dict(given)
    assert cls.__name__ in str(caught.value)
    assert "s3cr3t" not in str(caught.value)


WRONG = [
    (RunRef, "connection", 1), (RunRef, "id", 42), (RunRef, "key", ["s3cr3t"]), (RunRef, "flow", None),
    (RunStatus, "state", "s3cr3t"), (RunStatus, "state", None), (RunStatus, "cause", ["s3cr3t"]),
    (RunStatus, "attempt", True), (RunStatus, "attempt", 1.0), (RunStatus, "progress", "s3cr3t"),
    (RunStatus, "progress", False), (RunStatus, "recognized", "false"), (RunStatus, "queued_at", "s3cr3t"),
    (RunStatus, "queued_at", 0), (RunStatus, "queued_at", "2026-03-01T12:00:00"),
    (RunStatus, "queued_at", "0001-01-01T00:00:00+14:00"), (RunStatus, "raw", 3),
    (RunResult, "ref", "s3cr3t"), (RunResult, "ref", None), (RunResult, "ref", REF.to_dict()),
    (RunResult, "status", None), (RunResult, "status", {"version": 7}), (RunResult, "status", {"version": 1}),
    (RunResult, "status", {"version": 1, "state": 3}), (RunResult, "outputs", ["s3cr3t"]),
    (RunResult, "artifacts", {"s3cr3t": 1}), (RunResult, "artifacts", [{"name": "s3cr3t"}]),
    (RunResult, "metrics", {"n": "s3cr3t"}), (RunResult, "raw", "s3cr3t"),
]  # fmt: skip


@pytest.mark.parametrize(("cls", "key", "value"), WRONG, ids=lambda part: getattr(part, "__name__", repr(part)))
def test_what_is_wrong_is_named_and_not_shown(cls, key, value):
    """Nothing is taken for something else; the error has the name of the key, and no value: it may be anything."""
    with pytest.raises(InvalidRequest, match=rf"\$\.{key}\b") as caught:
        cls.from_dict({**WHOLE[cls].to_dict(), key: value})
    assert "s3cr3t" not in str(caught.value)
    assert caught.value.__cause__ is caught.value.__context__ is None


@pytest.mark.parametrize(
    ("cls", "key"),
    [(RunRef, "connection"), (RunRef, "backend"), (RunStatus, "state"), (RunResult, "ref"), (RunResult, "status")],
)
def test_what_says_most_must_be_there(cls, key):
    """A reference without its connection, and a status without its state, is none."""
    broken = WHOLE[cls].to_dict()
    del broken[key]
    with pytest.raises(InvalidRequest, match=rf"@ \$\.{key}$"):
        cls.from_dict(broken)
