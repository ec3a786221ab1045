"""The bar that shows how far a file is on its way."""

from __future__ import annotations

import re

import click
import pytest
from click.testing import CliRunner

from flowrunner.cli.output import QUIET, Output
from flowrunner.cli.transfer import transferring

TERMINAL = {"FORCE_COLOR": "1", "TERM": "xterm-256color", "COLUMNS": "80"}


def moved(name="report.zip", *, size=None, totals=(None, None), quiet=False, env=TERMINAL, says=""):
    """What stands on stderr after a file of 3 MB was moved in two steps, and whether progress was asked for."""
    asked = []

    @click.command()
    @click.pass_context
    def command(ctx):
        ctx.meta[QUIET] = quiet
        output = Output()
        with transferring(name, output, size=size) as progress:
            asked.append(progress is not None)
            for done, total in zip((1_000_000, 3_000_000), totals, strict=True):
                if progress is not None:
                    progress(done, total)
            if says:
                output.say(says)

    ended = CliRunner().invoke(command, env=env)
    assert ended.exception is None
    assert ended.stdout == ""
    return ended.stderr, asked[0]


def plain(text):
    """The text without what a terminal obeys."""
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)


def drawn(*arguments, **options):
    """The bar as it was drawn each time, one after the other."""
    return [line for line in re.split(r"[\r\n]+", plain(moved(*arguments, **options)[0])) if line.strip()]


def test_on_a_terminal_it_shows_name_bytes_and_rate():
    """And a bar; at the end the bar is gone and the cursor back."""
    shown, asked = moved(totals=(3_000_000, 3_000_000))
    last = drawn(totals=(3_000_000, 3_000_000))[-1]

    assert asked
    assert last.startswith("report.zip ━━━")
    assert "3.0/3.0 MB" in last
    assert re.search(r" [0-9.]+ [kMGT]?B/s ", last)
    assert shown.endswith("\x1b[2K")
    assert "\x1b[?25h" in shown


@pytest.mark.parametrize(("totals", "shown"), [((None, None), "3.0/4.0 MB"), ((None, 5_000_000), "3.0/5.0 MB")])
def test_what_the_transfer_knows_of_the_size_comes_before_what_was_known(totals, shown):
    """The size that the vendor's list showed stands in until then."""
    assert shown in drawn(size=4_000_000, totals=totals)[-1]


def test_without_a_known_size_the_bytes_are_shown():
    """There is no end to show."""
    assert "3.0/? MB" in drawn()[-1]


@pytest.mark.parametrize("columns", [40, 60, 80, 200])
def test_it_fits_on_one_line(columns):
    """With room for ^C. A long name is cut, and none is taken for markup or has a line break."""
    lines = drawn("a\n[red]" + "x" * 300, size=4_000_000, env={**TERMINAL, "COLUMNS": str(columns)})

    assert all(len(line) <= columns - 2 for line in lines)
    assert all(line.startswith("a [red]xx") for line in lines)
    assert all("MB" in line for line in lines if columns >= 60)


@pytest.mark.parametrize(
    "how", [{"env": {}}, {"env": {**TERMINAL, "TERM": "dumb"}}, {"quiet": True}], ids=["piped", "dumb", "quiet"]
)
def test_elsewhere_nothing_is_shown(how):
    """Nor is the transfer asked to tell."""
    assert moved(**how) == ("", False)


def test_messages_stand_above_it():
    """And go the usual way afterwards."""
    assert "No contact" in drawn(says="No contact")
