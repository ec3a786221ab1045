"""Which requests meet a fault: by script, by probability with a seed, and in a window of time or of requests."""

from __future__ import annotations

import pytest

from flowrunner.simulator import Fault, Faults, Simulator
from flowrunner.simulator.clock import ManualClock
from flowrunner.simulator.plans import Asked, Plans

READ = Asked("GET", "/jobs/1", "polls")
SUBMIT = Asked("POST", "/jobs", "submissions")


def met(plans, count, asked=READ):
    """The kinds of fault that so many requests meet, as a text: a letter each, a dot for none."""
    return "".join("".join(fault.kind[0] for fault in plans.take(asked)) or "." for _ in range(count))


def plans(*faults, seed=0, clock=None):
    """Plans on a clock that stands still."""
    return Plans(clock or ManualClock(), Faults(faults, seed=seed))


def test_a_fault_stands_until_it_is_used_up():
    """Each request meets it, or so many do."""
    assert met(plans(Fault("hang")), 4) == "hhhh"
    assert met(plans(Fault("hang", times=2)), 4) == "hh.."


def test_some_pass_first():
    """Requests that fit are counted, others not."""
    skipping = plans(Fault("hang", skip=2, times=1, requests="polls"))

    assert met(skipping, 3, SUBMIT) == "..."
    assert met(skipping, 4) == "..h."


def test_a_window_of_time():
    """It begins and ends so many seconds after the simulator was given the fault."""
    clock = ManualClock()
    clock.advance(100)
    windowed = plans(Fault("hang", after=10, until=20), clock=clock)

    seen = []
    for _ in range(4):
        seen.append(met(windowed, 1))
        clock.advance(9.999 if len(seen) == 1 else 5.001)

    assert seen == [".", ".", "h", "."]


def test_of_several_the_first_is_met():
    """A request is disturbed once; what goes beside, it meets as well; what it did not meet is not used up."""
    several = plans(Fault("skew", seconds=1), Fault("hang", times=1), Fault("refuse", times=1), Fault("purge", times=1))

    assert [met(several, 1) for _ in range(3)] == ["shp", "sr", "s"]
    assert several.done == {"skew": 3, "hang": 1, "refuse": 1, "purge": 1}


@pytest.mark.parametrize(
    ("fault", "fits"),
    [
        (Fault("hang", path="/jobs"), "SUBMIT"),
        (Fault("hang", path="/jobs*", method="GET"), "READ"),
        (Fault("hang", requests="submissions"), "SUBMIT"),
        (Fault("hang", requests="polls"), "READ"),
        (Fault("hang", path="/other"), ""),
    ],
)
def test_requests_are_told_apart(fault, fits):
    """By path, method and purpose."""
    hit = {name for name, asked in (("READ", READ), ("SUBMIT", SUBMIT)) if met(plans(fault), 1, asked) == "h"}

    assert hit == ({fits} if fits else set())


def test_a_seed_repeats_a_run():
    """The same seed hits the same requests, another seed others; in the long run as many as the probability says."""
    chance = Fault("hang", probability=0.3)
    first, again, other = (met(plans(chance, seed=seed), 1000) for seed in (7, 7, 8))

    assert first == again
    assert first != other
    assert 250 < first.count("h") < 350


def test_a_seed_repeats_a_run_over_the_wire():
    """The same requests meet the same faults on a server of another time."""

    def statuses():
        faults = Faults([Fault("status", probability=0.5), Fault("html", probability=0.5, status=502)], seed=3)
        with Simulator(faults=faults) as simulator:
            import httpx

            with httpx.Client(base_url=simulator.base_url, verify=False) as client:
                return [client.get("/fmeinfo/version").status_code for _ in range(40)]

    first = statuses()

    assert first == statuses()
    assert {200, 502, 503} == set(first)


def test_what_one_fault_does_changes_nothing_for_another():
    """Whom a probability hits depends on its place, the seed and its own requests alone."""
    chance = Fault("hang", probability=0.5)
    alone = met(plans(Fault("reset_before", times=0), chance), 50)
    beside = met(plans(Fault("reset_before", times=9), chance), 50)

    assert alone[9:] == beside[9:]
    assert beside[:9] == "r" * 9


def test_a_burst():
    """Once a request meets it so many in a row do; bursts that would overlap are one, and `times` ends one."""
    single = met(plans(Fault("status", probability=0.05, burst=5), seed=1), 400)
    runs = [len(run) for run in single.split(".") if run]

    assert runs
    assert all(run >= 5 for run in runs)
    assert met(plans(Fault("status", burst=5, times=3)), 5) == "sss.."


def test_what_there_is_nothing_for_is_not_met():
    """A kind that a request cannot meet leaves the fault for one that can."""
    assert met(plans(Fault("stale", times=1)), 1, Asked("GET", "/", None, frozenset({"stale"}))) == "."


def test_a_script_goes_first_and_stays():
    """Before what stands, the oldest first; new faults replace those that stand, and begin anew."""
    clock = ManualClock()
    mixed = plans(Fault("hang", times=1), clock=clock)
    mixed.script(Fault("refuse", times=2))
    mixed.script(Fault("truncate", times=1))

    assert met(mixed, 1) == "r"
    mixed.stand(Faults([Fault("slow", times=1)]))

    assert met(mixed, 4) == "rts."
    assert mixed.faults == Faults([Fault("slow", times=1)])
    assert mixed.done == {"refuse": 2, "truncate": 1, "slow": 1}


def test_the_short_forms_are_counted(simulator, api):
    """`respond_next` and `cut_next` are faults like any other."""
    simulator.faults = Faults([Fault("html")])
    simulator.respond_next(status=418)
    assert api.get("/").status_code == 418
    assert api.get("/").status_code == 503

    assert simulator.faults_done == {"status": 1, "html": 1}
    assert simulator.faults == Faults([Fault("html")])


# The values


@pytest.mark.parametrize(
    ("kind", "how", "text"),
    [
        ("reset_befor", {}, r"no kind 'reset_befor': did you mean 'reset_before'\? There are: refuse, "),
        ("xyzzy", {}, r"no kind 'xyzzy': there are: refuse, "),
        ("hang", {"status": 502}, "a fault of kind 'hang' takes no 'status'"),
        ("stale", {"body": ""}, "a fault of kind 'stale' takes no 'body'"),
        ("status", {"status": 199}, "'status' must be >= 200"),
        ("status", {"status": 600}, "'status' must be <= 599"),
        ("hang", {"probability": 1.5}, "'probability' must be <= 1"),
        ("hang", {"method": "get"}, "'method' must match regex"),
        ("hang", {"burst": 0}, "'burst' must be >= 1"),
        ("hang", {"requests": "some"}, "'requests' must be in"),
        ("wrong_length", {"off_by": 0}, "'off_by' must not be 0"),
    ],
)
def test_faults_are_checked(kind, how, text):
    """What makes no sense is an error at once, which says what would."""
    with pytest.raises(ValueError, match=text):
        Fault(kind, **how)


def test_faults_are_values():
    """They compare, and a list of them becomes one that cannot be changed."""
    assert Faults([Fault("hang")], seed=1) == Faults((Fault("hang"),), seed=1)
    assert Faults([Fault("hang")]).faults == (Fault("hang"),)
