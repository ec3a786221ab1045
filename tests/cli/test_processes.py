"""The command as a process: signals, pipes and exit codes as a shell sees them."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

import pytest

import flowrunner
from flowrunner.simulator import Behaviour, ManualClock, Simulator, Workspace

FLOW = "Demo/work.fmw"

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals are sent as POSIX has them")


@pytest.fixture
def simulator():
    """A server whose clock stands still: its runs never end."""
    with Simulator("fme-flow-v4", clock=ManualClock()) as serving:
        serving.publish(Workspace("Demo", "work.fmw", behaviour=Behaviour(duration=20)))
        yield serving


@pytest.mark.parametrize("by", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_during_wait_leaves_the_run_running(config, simulator, start, by):
    """Exit code 130; the reference and the command to go on stand on stderr; the vendor got no cancellation."""
    ref = "flowrunner:1:fme-flow-v4:sim:Demo%2Fwork.fmw:1"
    simulator.pool.submit(FLOW)
    waiting = start("wait", ref)
    assert simulator.wait_until_held(timeout=60)

    waiting.send_signal(by)
    out, err = waiting.communicate(timeout=60)

    assert (waiting.returncode, out) == (130, "")
    assert err.endswith(f"Interrupted. The run goes on: {ref}\nContinue with:\n  flowrunner wait {ref}\n")
    assert simulator.pool.job(1).state == "running"
    assert simulator.requests.matching(method="POST") == []


def test_simulate_serves_a_script_until_it_is_terminated(start):
    """One line of JSON, written at once, is all a script has to read; SIGTERM is the regular end."""
    serving = start("simulate", "fme-flow-v4", "--port", "0", "--json")
    settings = json.loads(serving.stdout.readline())

    with flowrunner.connect(**settings) as client:
        assert client.health().reachable
        run = client.submit("Tutorials/10seconds.fmw", {"location": ["Burnaby"]})
        assert not run.refresh().state.is_final

    serving.terminate()
    _, err = serving.communicate(timeout=60)
    assert serving.returncode == 0
    assert "Traceback" not in err


def test_the_demo_takes_a_few_seconds_and_pipes_plainly(start):
    """Without a terminal there is neither colour nor a moving cursor."""
    started = time.monotonic()
    demo = start("demo")
    out, err = demo.communicate(timeout=120)

    assert (demo.returncode, err) == (0, "")
    assert "\x1b" not in out
    assert time.monotonic() - started < 60


def test_ctrl_c_ends_the_demo(start):
    """Exit code 130, no traceback, and nothing left behind."""
    demo = start("demo")
    demo.stdout.readline()
    time.sleep(0.5)

    demo.send_signal(signal.SIGINT)
    _, err = demo.communicate(timeout=120)

    assert (demo.returncode, err) == (130, "Interrupted.\n")


STRUCTLOG = """
class _Logger:
    def warning(self, event, **values):
        print("[warning]", event, values)

def get_logger(name):
    return _Logger()
"""


def test_a_retry_prints_nothing(config, simulator, start, monkeypatch, tmp_path):
    """Stdout is data alone, also where structlog is installed: by stamina's usual hook it would print there."""
    (tmp_path / "structlog.py").write_text(STRUCTLOG)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    simulator.respond_next("*/parameters", 503, times=2)

    running = start("run", "sim", FLOW, "-p", "a=1", "--json")
    out, _ = running.communicate(timeout=60)

    assert [each.status for each in simulator.requests.matching("*/parameters")][:3] == [503, 503, 200]
    assert (running.returncode, json.loads(out)["error"]) == (2, "InvalidParameters")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a disk that is full, as Linux has it")
@pytest.mark.parametrize("how", [(), ("--json",)])
def test_data_that_cannot_be_written_is_an_error(config, start, how):
    """Exit code 1, and what the system says; no traceback."""
    with Path("/dev/full").open("w") as full:
        flows = start("flows", "sim", *how, stdout=full)
        _, err = flows.communicate(timeout=60)
    assert flows.returncode == 1
    assert err.startswith("Error: cannot write to stdout: No space left on device. What was not written:\n  ")


def test_a_reader_that_has_had_enough_is_no_error(config, start):
    """As with `head`: nothing is said."""
    reading, writing = os.pipe()
    os.close(reading)
    flows = start("flows", "sim", stdout=writing)
    os.close(writing)
    _, err = flows.communicate(timeout=60)
    assert (flows.returncode, err) == (1, "")


def test_the_version_is_printed(start):
    """As a process, too."""
    out, err = start("--version").communicate(timeout=60)

    assert (f"flowrunner {flowrunner.__version__}\n", "") == (out, err)
