"""The plugin as the author of an application meets it: pytest in a process of its own."""

import re
import subprocess
import sys
import tomllib
from functools import partial
from pathlib import Path

import pytest

import flowrunner.testing
import forked_command

pytest_plugins = ["pytester"]

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "how-to" / "test-without-a-licence.md").read_text(encoding="utf-8")


@pytest.fixture
def run(pytester, monkeypatch):
    """Run the tests that were made, every warning an error."""
    # The plugin is named, and no other is loaded by itself: whether it is installed makes no difference then.
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    command = forked_command.folder() / "pytest"
    return partial(pytester.run, command, "-W", "error", "-p", "flowrunner.testing.plugin")


def blocks(kind):
    """The code of the page that belongs to a file, in order."""
    return "\n\n".join(re.findall(rf"<!-- file: {kind} -->\n<!-- skip: next -->\n```python\n(.*?)```", PAGE, re.DOTALL))


@pytest.fixture
def application(pytester):
    """The how-to's program and its tests."""
    pytester.makepyfile(nightly=blocks("nightly.py"), test_nightly=blocks("test_nightly.py"))
    return pytester


def test_the_how_to_works(application, run):
    """Every test of the page passes."""
    run().assert_outcomes(passed=PAGE.count("\ndef test_"))


def test_the_how_to_shows_the_failure_there_is(application, run):
    """The failure that the page shows is what pytest says, with no line of ours around it."""
    (shown,) = re.findall(r"<!-- failure -->\n```text\nAssertionError: (.*?)```", PAGE, re.DOTALL)
    application.makepyfile(
        test_failing="""
        from test_nightly import FLOW, assert_submitted, fme, load

        def test_it(fme):
            load("airports")
            assert_submitted(fme, FLOW, {"THEMES": ["cenart"]})
        """
    )
    result = run("test_failing.py")
    result.assert_outcomes(failed=1)
    result.stdout.re_match_lines([rf"E +(AssertionError: )?{re.escape(line.strip())}$" for line in shown.splitlines()])
    result.stdout.no_fnmatch_line("*assertions.py*")


def test_asking_for_time_alone_is_enough(pytester, run):
    """A program that is tested against another server has its pauses on the clock, too."""
    pytester.makepyfile(
        """
        import flowrunner
        from flowrunner.simulator import Behaviour, DataFlowId, Simulator

        def test_it(flowrunner_clock):
            with Simulator("invision", clock=flowrunner_clock) as simulator:
                with flowrunner.connect(backend="invision", **simulator.settings) as client:
                    simulator.pool.script(DataFlowId.IMPORT_SALES, Behaviour(duration=3600))
                    client.submit(DataFlowId.IMPORT_SALES).wait()
            assert 3600 <= flowrunner_clock.monotonic() <= 3631
        """
    )
    run().assert_outcomes(passed=1)


def test_each_test_has_its_own(pytester, run):
    """Clock, connections and simulators begin anew."""
    pytester.makepyfile(
        """
        import flowrunner
        import pytest

        @pytest.mark.parametrize("number", [1, 2])
        def test_it(flowrunner_simulator, flowrunner_clock, number):
            assert flowrunner_clock.monotonic() == 0
            simulator = flowrunner_simulator("smart-flows", connection=f"number-{number}")
            with flowrunner.connect(f"number-{number}") as client:
                client.submit("5b0c1f4e-92d3-4d0a-8a61-7c1e5f2ab002").wait()
            assert len(simulator.pool.jobs) == 1
            with pytest.raises(flowrunner.UnknownConnection):
                flowrunner.connect("number-1" if number == 2 else "number-2")
        """
    )
    run().assert_outcomes(passed=2)


def test_each_test_has_its_own_journal(pytester, run, monkeypatch):
    """A key that one test used is free in the next, and in earnest: the user's own journal is left alone."""
    monkeypatch.setenv("XDG_STATE_HOME", str(pytester.path / "state"))
    monkeypatch.setenv("FLOWRUNNER_JOURNAL", str(pytester.path / "mine.sqlite3"))
    pytester.makepyfile(
        """
        import subprocess
        import sys

        import flowrunner
        import pytest

        FLOW = "Samples/austinDownload.fmw"
        SUBMIT = f"import flowrunner; flowrunner.connect('works', journal=True).submit({FLOW!r}, key='zz')"
        FROM_PYTHON = ["-c", SUBMIT]
        AT_THE_COMMAND_LINE = ["-m", "flowrunner", "run", "works", FLOW, "--key", "zz"]

        @pytest.mark.parametrize("number", [1, 2])
        def test_here(flowrunner_simulator, number):
            simulator = flowrunner_simulator(connection="works")
            for _ in range(2):
                with flowrunner.connect("works", journal=True) as client:
                    client.submit(FLOW, key="zz")
            assert len(simulator.pool.jobs) == 1

        def test_elsewhere(flowrunner_simulator):
            simulator = flowrunner_simulator(connection="works", real_socket=True)
            for arguments in (FROM_PYTHON, AT_THE_COMMAND_LINE):
                subprocess.run([sys.executable, *arguments], check=True)
            assert len(simulator.pool.jobs) == 1
        """
    )
    run().assert_outcomes(passed=3)
    assert not (pytester.path / "state").exists()
    assert not (pytester.path / "mine.sqlite3").exists()


def test_what_is_missing_is_named_when_it_is_used(pytester, monkeypatch):
    """Without the extra, tests that use no fixture of ours run, and one that does says what to install."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    pytester.makeconftest("import sys; sys.modules['starlette'] = None")
    pytester.makepyfile(
        """
        def test_without():
            pass

        def test_with(flowrunner_simulator):
            pass
        """
    )
    result = pytester.runpytest_subprocess("-W", "error", "-p", "flowrunner.testing.plugin")  # nothing is loaded there
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(['*need an extra: pip install "flowrunner[[]testing[]]" (*starlette*'])


def test_pytest_finds_it_by_itself(pytester):
    """Where the distribution is installed with the entry points that it declares, nobody has to name the plugin."""
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["entry-points"]
    assert declared["pytest11"] == {"flowrunner": "flowrunner.testing.plugin"}
    installed = pytester.mkdir("installed-1.dist-info")  # the folder that it is in, is on the path of the new process
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: installed\nVersion: 1\n")
    (installed / "entry_points.txt").write_text("[pytest11]\nflowrunner = flowrunner.testing.plugin\n")
    pytester.makepyfile("def test_it(flowrunner_clock): flowrunner_clock.advance(1)")
    pytester.runpytest_subprocess().assert_outcomes(passed=1)


def test_the_fixtures_are_listed_with_what_they_are(run):
    """`pytest --fixtures` shows ours with their first lines."""
    result = run("--fixtures")
    result.stdout.fnmatch_lines(
        [
            "flowrunner_clock*",
            "*The time of every simulator*",
            "flowrunner_simulator*",
            "*Start a simulator of a vendor*",
        ]
    )


def test_loading_the_plugin_costs_nothing():
    """Every run of pytest loads it: beside pytest it imports itself and its packages, and none of what it needs."""
    script = (
        "import sys, pytest; before = set(sys.modules); import flowrunner.testing.plugin;"
        "print(*sorted(each for each in set(sys.modules) - before))"
    )
    shown = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout
    assert shown.split() == ["flowrunner", "flowrunner.testing", "flowrunner.testing.plugin"]


def test_the_names_for_tests_resolve():
    """What `flowrunner.testing` offers is there, exported by its module, and nothing else is."""
    for name in flowrunner.testing.__all__:
        value = getattr(flowrunner.testing, name)
        assert value.__name__ == name
        assert name in sys.modules[value.__module__].__all__
        assert name in dir(flowrunner.testing)
    with pytest.raises(AttributeError, match="has no attribute 'assert_everything'"):
        _ = flowrunner.testing.assert_everything
