"""What the author of a backend reads, in pytest's own report, when rules are broken."""

import re
from pathlib import Path

import pytest

import forked_command
from flowrunner.testing.conformance import RULES

pytest_plugins = ["pytester"]

TESTS = Path(__file__).parents[1]
SUITE = """
from conformance.acme import TOKEN, WORDS, Acme, AcmeServer
from flowrunner.testing.conformance import BackendConformance

class Mine(Acme):
    {body}

class TestMine(BackendConformance):
    backend = Mine
    settings = {{"base_url": "https://acme.example", "token": TOKEN}}
    server = AcmeServer
    words = WORDS
"""


@pytest.fixture
def report(pytester, monkeypatch):
    """Run the suite of a backend that is Acme but for one thing; gives what pytest says, in a wide terminal.

    All of its rules, or those whose tests `-k` selects.
    """
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.setenv("PYTHONPATH", str(TESTS))
    monkeypatch.setenv("COLUMNS", "160")

    def run(body, rules=""):
        pytester.makepyfile(test_mine=SUITE.format(body=body))
        return pytester.run(forked_command.folder() / "pytest", "-p", "no:cacheprovider", "-rfs", "-k", rules)

    return run


def test_without_a_class_nothing_else_is_asked(report):
    """The rule of the class fails, and each other test is skipped with the one reason."""
    result = report("backend_api = 2")
    result.assert_outcomes(failed=1, skipped=len(RULES) - 1)
    result.stdout.fnmatch_lines([f"SKIPPED [[]{len(RULES) - 1}[]] *: not asked: rule 1.1 is broken"])


def test_a_failure_is_a_few_lines(report):
    """No frame of the suite, and the rule in the line of the summary."""
    result = report("backend_api = 2", "test_1_1")
    text = result.stdout.str()
    assert "verdict.py" not in text.partition("short test summary")[0]
    assert "_class.py" not in text
    failure = text.partition("= FAILURES =")[2].partition("short test summary")[0]
    assert len(failure.splitlines()) < 10
    result.stdout.re_match_lines(
        [r"FAILED test_mine.py::TestMine::test_1_1_\w+ - NotConforming: rule 1\.1 is broken: "]
    )


def test_an_error_shows_where_the_author_raised_it(report):
    """Of a traceback the author's own code is shown, and the rule is not said to be broken: nobody saw that."""
    result = report("def observe(self, ref, hold=0.0):\n        raise KeyError('a slip')\n        yield", "test_2_2")
    text = result.stdout.str().partition("short test summary")[0]
    assert "rule 2.2 is not shown to hold: KeyError was raised: 'a slip'. The rule: a plan does no I/O" in text
    assert "raise KeyError('a slip')" in text
    shown = {Path(file).name for file in re.findall(r"^(\S+\.py):\d+: ", text, re.MULTILINE)}
    assert shown == {"test_mine.py"}


def test_a_word_that_is_not_in_the_table(report):
    """Only the tests that saw it are failures of their rules; those that waited in vain say that they did."""
    result = report(
        "words = {word: meaning for word, meaning in Acme.words.items() if word != 'done'}", "test_2_2 or test_4_1"
    )
    text = result.stdout.str()
    assert "rule 4.1 is broken: the word " in text
    assert "rule 2.2 is not shown to hold: WaitTimeout was raised" in text
    assert "rule 2.2 is broken" not in text


@pytest.mark.parametrize(("target", "failed"), [("test_mine:Mine", 1), ("test_mine:Other", 0), ("mine:Mine", 0)])
def test_the_name_is_that_of_the_entry_point(report, pytester, target, failed):
    """Nobody could use a backend that is announced by another name; what else is announced is another's."""
    installed = pytester.mkdir("mine-1.dist-info")  # the folder that it is in, is on the path of the new process
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: mine\nVersion: 1\n")
    (installed / "entry_points.txt").write_text(f"[flowrunner.backends]\nacmee = {target}\n")
    result = report("pass", "test_1_1")
    assert result.parseoutcomes().get("failed", 0) == failed
    if failed:
        result.stdout.re_match_lines([r".*rule 1\.1 is broken: .*'acmee' from mine 1 .*: it calls itself 'acme'"])
