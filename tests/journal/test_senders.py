"""Which process sends, and whether it lives."""

import os
import subprocess
import sys

import pytest

from flowrunner.journal import senders
from flowrunner.journal.senders import lives, this_process

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="elsewhere nobody can tell")


def test_a_process_that_lives_and_one_that_ended():
    """This one lives; one that has ended does not, whoever has its number."""
    code = "from flowrunner.journal.senders import this_process; print(this_process())"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    assert (lives(this_process()), lives(ended)) == (True, False)
    pid, _, rest = this_process().partition(":")
    assert pid == str(os.getpid())
    later = f"{pid}:{int(rest.partition(':')[0]) - 1}:{rest.partition(':')[2]}"
    assert lives(later) is False


@pytest.mark.parametrize("sender", ["", "77", "77:", "x:1:y", "77:5:another machine"])
def test_what_cannot_be_told(sender):
    """Another machine's, another container's, or none: neither alive nor dead."""
    assert lives(sender) is None


def test_a_system_that_does_not_say(monkeypatch, tmp_path):
    """Without /proc nothing is known."""
    monkeypatch.setattr(senders, "PROC", tmp_path)
    assert this_process() == f"{os.getpid()}::"
    assert lives(this_process()) is None
