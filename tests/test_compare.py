"""The comparison with code written by hand: its rows say what was measured, and its tools do what they say."""

import pytest
from compare import Seen, part, row, shown
from filled import Filled


def test_a_row_has_the_median_and_the_middle_half():
    """The spread lies within what was measured, also of two measurements."""
    assert (row("a", [1.0, 2.0]).low, row("a", [1.0, 2.0]).high) == (1.25, 1.75)
    assert row("a", [3.0]).value == 3.0


@pytest.mark.parametrize(("goal", "is_reached"), [("<= 2", True), ("<= 1", False), (">= 3", False), ("", None)])
def test_a_row_says_whether_its_goal_is_reached(goal, is_reached):
    """By the median; and the table says it where it is not."""
    line = row("a", [1.0, 2.0, 9.0], "x", goal)
    assert line.is_reached is is_reached
    assert ("NOT REACHED" in shown(line)) is (is_reached is False)


def test_a_share_of_sorted_values():
    """A percentile of few values is one of them."""
    assert part([1.0, 2.0, 3.0, 4.0], 0.5) == 3.0
    assert part([1.0], 0.95) == 1.0


def test_lateness_is_from_the_end_to_its_being_seen():
    """Sorted, whatever the order of the runs."""
    seen = Seen()
    seen.at = {"1": 12.0, "2": 10.5}
    assert seen.late({"1": 10.0, "2": 10.0, "3": 11.0}, ["1", "2"]) == [0.5, 2.0]


def test_a_filled_server_has_the_runs_it_was_filled_with():
    """They are under way, in a process of its own."""
    with Filled("fme-flow-v4") as server:
        assert len(set(server.fill(3, 1e6))) == 3
        assert server.ends() == {}
