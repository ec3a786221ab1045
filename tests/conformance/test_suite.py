"""The suite itself: what it leaves out and says so, and what it must not disturb."""

import threading
import time

import pytest

from flowrunner import Capability, RunState
from flowrunner.backend import Accepted, Backend, Settings
from flowrunner.errors import RunNotFound
from flowrunner.plans import call
from flowrunner.states import Meaning, Observation
from flowrunner.testing.conformance import BackendConformance, NotConforming, ScriptedServer
from flowrunner.testing.conformance._plans import _nothing_blocks


class MemoryServer(ScriptedServer):
    """Runs in memory, of which the backend asks by calls and not by requests."""

    odd_id = None
    here = None

    def __init__(self):
        super().__init__()
        type(self).here = self


class Memory(Backend):
    """A backend that sends no requests, has no credential and can do nothing more."""

    backend_api = 1
    name = "memory"
    family = "memory"
    settings_class = Settings
    words = {
        "queued": Meaning(RunState.QUEUED), "ok": Meaning(RunState.SUCCEEDED), "bad": Meaning(RunState.FAILED),
    }  # fmt: skip

    def submit(self, submission):
        """Start a run."""
        from flowrunner.backend import refuse_options
        from flowrunner.errors import FlowNotFound

        refuse_options(submission.options, backend=self.name)
        if not MemoryServer.here.has(submission.flow):
            raise FlowNotFound("there is no such flow")
        run = yield from call(lambda: MemoryServer.here.start(submission.flow))
        return Accepted(run.id, Observation(word=run.word))

    def observe(self, ref, hold=0.0):
        """Look at it."""
        run = yield from call(lambda: MemoryServer.here.find(ref.id))
        if run is None:
            raise RunNotFound("there is no such run")
        return Observation(word=run.word, message=run.message)


class TestMemory(BackendConformance):
    """The rules that apply to it hold; the others are skipped."""

    backend = Memory
    server = MemoryServer
    words = {"queued": "queued", "ok": "succeeded", "bad": "failed"}


@pytest.mark.parametrize(
    ("test", "reason"),
    [
        ("test_6_1_a_cancellation_that_is_done", "memory does not announce CANCEL"),
        ("test_3_3_a_lost_answer_is_uncertain", "memory sends no requests"),
        ("test_10_2_no_credential_shows", "the settings of the test hold no credential of memory"),
    ],
)
def test_what_does_not_apply_is_skipped_with_the_reason(test, reason):
    """The author sees what was not tested, and why."""
    with pytest.raises(pytest.skip.Exception, match=reason):
        getattr(TestMemory(), test)()


def test_a_word_of_no_state_is_a_reason_to_skip():
    """A vendor without cancelled runs has no word for them."""
    with pytest.raises(pytest.skip.Exception, match="no documented word means cancelled"):
        TestMemory().word_for(RunState.CANCELLED)


def test_a_server_has_to_answer():
    """The base class knows no vendor."""
    with pytest.raises(NotImplementedError):
        ScriptedServer().respond(None)


def test_other_threads_may_do_what_a_plan_must_not():
    """While a plan is watched, an event loop elsewhere goes on; the thread of the plan is stopped."""
    times = []
    with _nothing_blocks("observe"):
        other = threading.Thread(target=lambda: times.append(time.monotonic()))
        other.start()
        other.join()
        with pytest.raises(NotConforming, match=r"observe\(\) calls time.monotonic"):
            time.monotonic()
    assert len(times) == 1
    assert Capability.BULK not in Memory.capabilities
