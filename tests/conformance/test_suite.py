"""The suite itself: what it leaves out and says so, and what it must not disturb."""

import gc
import importlib
import threading
import time
from datetime import datetime
from pathlib import Path

import pytest

from conformance.acme import TOKEN, WORDS, Acme, AcmeServer
from flowrunner import RunState
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


class TestOfNoVersion(TestMemory):
    """Of a class that is no backend."""

    __test__ = False
    backend = type("OfNoVersion", (Memory,), {"backend_api": None})


def test_of_what_is_no_backend_nothing_is_asked():
    """Its class breaks the first rule, and whatever else failed would be about that."""
    with pytest.raises(NotConforming, match=r"^rule 1\.1 is broken: .* does not say which version it was written for"):
        TestOfNoVersion().test_1_1_the_class_is_a_backend()
    with pytest.raises(pytest.skip.Exception, match=r"^not asked: rule 1\.1 is broken$"):
        TestOfNoVersion().test_4_3_a_denied_run_is_not_found()


def test_a_word_of_no_state_is_a_reason_to_skip():
    """A vendor without cancelled runs has no word for them."""
    with pytest.raises(pytest.skip.Exception, match="no documented word means cancelled"):
        TestMemory().word_for(RunState.CANCELLED)


def test_a_server_has_to_answer():
    """The base class knows no vendor."""
    with pytest.raises(NotImplementedError):
        ScriptedServer().respond(None)


def test_other_threads_may_do_what_a_plan_must_not():
    """While a plan is watched, an event loop elsewhere goes on; only the thread of the plan is watched."""
    times, begin = [], threading.Event()

    def elsewhere():
        begin.wait(10)
        times.append(time.monotonic())

    other = threading.Thread(target=elsewhere)
    other.start()
    with _nothing_blocks("observe"):
        begin.set()
        while not times:
            pass
    other.join()
    assert len(times) == 1


@pytest.mark.parametrize("call", [time.monotonic, datetime.now, lambda: Path(__file__).open().close()])
def test_what_a_plan_must_not_do(call):
    """The clock, in whatever form, and files."""
    with pytest.raises(NotConforming, match=r"observe\(\) calls "), _nothing_blocks("observe"):
        call()


def test_what_a_plan_imports_is_pythons_own_work(tmp_path, monkeypatch):
    """A module that is needed for the first time is found and read; that is no I/O of the plan."""
    (tmp_path / "needed_for_the_first_time.py").write_text("value = 5")
    monkeypatch.syspath_prepend(tmp_path)
    with _nothing_blocks("observe"):
        module = importlib.import_module("needed_for_the_first_time")
    assert module.value == 5


class Slow(AcmeServer):
    """A vendor that cancels after it has answered, and never a run that is queued."""

    cancels = "later"
    cannot_cancel = frozenset({"WAITING_LINE"})


class TestSlow(BackendConformance):
    """What it never does is not asked of it."""

    backend = Acme
    settings = {"base_url": "https://acme.example", "token": TOKEN}
    server = Slow
    words = WORDS


def test_what_a_vendor_never_does_is_skipped():
    """With the reason."""
    with pytest.raises(pytest.skip.Exception, match="acme cancels later"):
        TestSlow().test_6_1_a_cancellation_that_is_done()
    assert "WAITING_LINE" not in TestSlow()._cancellable()


def test_what_garbage_collection_calls_is_not_the_plans_doing():
    """A callback that reads a clock while garbage is collected breaks no rule."""

    def reads(phase, info):
        time.perf_counter()

    gc.callbacks.append(reads)
    try:
        with _nothing_blocks("submit"):
            kept = [[each] for each in range(100_000)]
    finally:
        gc.callbacks.remove(reads)
    assert len(kept) == 100_000
    assert gc.isenabled()
