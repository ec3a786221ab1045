"""What every backend has, and what one that derives from it need not define."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowrunner.backend import (
    Backend,
    Capability,
    Outcome,
    RunQuery,
    Settings,
    Submission,
    Upload,
    key_in,
    labelled,
    lacks,
)
from flowrunner.errors import UnsupportedOperation
from flowrunner.models import ArtifactSource, RemoteFile, RunRef
from flowrunner.plans import FileBody

REF = RunRef("prod", "acme", "f", "1")
FILE = RemoteFile(name="a", reference="b")


class Acme(Backend):
    """A backend that can do nothing."""

    backend_api = 1
    name = "acme"
    family = "acme"


@pytest.fixture
def acme():
    """A backend that can do nothing."""
    return Acme(Settings())


LACKING = {
    Capability.SERVER_WAIT: [lambda backend: backend.run(Submission(flow="f"), 5)],
    Capability.CANCEL: [lambda backend: backend.cancel(REF)],
    Capability.ARTIFACTS: [lambda backend: backend.download(ArtifactSource(name="a", location="b"), Path("x"), None)],
    Capability.LOGS: [lambda backend: backend.logs(REF)],
    Capability.UPLOAD: [
        lambda backend: backend.upload(Upload(name="a", folder="f", content=FileBody())),
        lambda backend: backend.remove(FILE),
        lambda backend: backend.download_file("a", Path("x"), None),
    ],
    Capability.LIST_RUNS: [lambda backend: backend.list_runs(RunQuery())],
    Capability.LIST_FLOWS: [lambda backend: backend.list_flows()],
    Capability.DESCRIBE: [lambda backend: backend.describe("f")],
    Capability.HEALTH: [lambda backend: backend.health()],
}


@pytest.mark.parametrize("capability", LACKING)
def test_what_is_not_defined_is_not_there(acme, capability):
    """An operation that a backend does not define is UnsupportedOperation that names backend and capability."""
    for operation in LACKING[capability]:
        with pytest.raises(UnsupportedOperation, match=rf"'acme' cannot .+ \(it lacks {capability.name}\): ") as caught:
            operation(acme)
        assert caught.value.backend == "acme"


@pytest.mark.parametrize("capability", Capability)
def test_what_is_lacking_is_said_in_words(capability):
    """For each capability: what cannot be done, what to do instead, and where to look."""
    error = lacks("acme", capability, ref=REF)
    assert re.fullmatch(
        rf"backend 'acme' cannot [a-z ,]+ \(it lacks {capability.name}\): [a-z].+\. "
        "What each backend can do: flowrunner backends --check",
        error.message,
    )
    assert error.ref == REF


def test_what_another_server_could_do():
    """The error does not deny it of the backend as a whole."""
    assert "cannot list flows on this server (it" in lacks("acme", Capability.LIST_FLOWS, here=True).message


def test_what_every_backend_defines(acme):
    """A backend without what all have is a bug of its author."""
    for operation in (
        acme.prepare,
        lambda: acme.submit(Submission(flow="f")),
        lambda: acme.observe(REF),
    ):
        with pytest.raises(NotImplementedError):
            operation()


def test_what_a_backend_need_not_say(acme):
    """Without a word, a backend is prepared, sends no requests, can do nothing more and has no details."""
    assert (acme.base_url, acme.authorize(), acme.login()) == ("", {}, None)
    assert (acme.is_prepared, acme.capabilities, acme.runs_payloads_at_once) == (True, frozenset(), False)
    with pytest.raises(StopIteration) as end:
        next(acme.result(REF))
    assert end.value.value == Outcome()


@pytest.mark.parametrize(
    ("setting", "value", "told"),
    [
        *(
            (name, value, f"{name} must be more than 0")
            for name in ("timeout", "contact_budget", "poll_min", "poll_max", "max_connections", "requests_per_second")
            for value in (0, -1)
        ),
        *((name, -1, f"{name} must not be less than 0") for name in ("max_long_polls", "retries")),
    ],
)
def test_numbers_that_make_no_sense(setting, value, told):
    """A duration or a rate is more than nothing, a count not less."""
    with pytest.raises(ValueError, match=told):
        Settings(**{setting: value})


def test_numbers_that_make_sense():
    """No limit on the rate is no number at all, and nothing may be held or sent again."""
    assert Settings(requests_per_second=None, max_long_polls=0, retries=0).requests_per_second is None
    assert Settings(requests_per_second=0.1).requests_per_second == 0.1


@given(st.text() | st.text("[]fr:%a ").map("[fr:{}]".format))
def test_a_key_is_read_out_of_any_text(text):
    """Whatever people write into a description, what is read of it is a text, and empty without a label."""
    assert isinstance(key_in(text), str)
    assert key_in(text.replace("[", "(")) == ""


@given(
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1),
    st.none() | st.text().filter(lambda text: not key_in(text)),
)
def test_a_key_comes_back_out_of_its_label(key, text):
    """Any key survives the way to the vendor and back, beside any text."""
    assert key == key_in(labelled(text, key))
