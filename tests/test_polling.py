"""When to look again, and when to give up."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowrunner import errors, polling
from flowrunner.backend import Settings
from flowrunner.errors import (
    AuthenticationError,
    BackendLoadError,
    ClientClosed,
    ConfigError,
    FlowNotFound,
    FlowrunnerError,
    InvalidParameters,
    InvalidRequest,
    JournalError,
    PermissionDenied,
    ProtocolError,
    RateLimited,
    RunNotFound,
    TransportError,
    UnsupportedOperation,
    UnsupportedOption,
    VendorError,
)
from flowrunner.polling import Contact, Trust, ends_following, pause_after

SETTINGS = Settings(poll_min=0.5, poll_max=30.0)


@pytest.mark.parametrize(
    ("age", "pause"),
    [(-1, 0.5), (0, 0.5), (4, 0.5), (5, 0.5), (6, 0.6), (100, 10.0), (300, 30.0), (301, 30.0), (1e9, 30.0)],
)
def test_the_pause_grows_with_the_age(age, pause):
    """A tenth of the run's age, between `poll_min` and `poll_max`."""
    assert pause_after(age, SETTINGS) == pytest.approx(pause)


@given(st.floats(0, 1e9), st.floats(0.01, 100), st.floats(0.01, 100))
def test_the_pause_stays_in_its_bounds(age, least, most):
    """No age makes the pause shorter than `poll_min` or longer than `poll_max`."""
    least, most = sorted((least, most))
    assert least <= pause_after(age, Settings(poll_min=least, poll_max=most)) <= most


FOR_GOOD = [
    AuthenticationError("x", http_status=401),
    PermissionDenied("x", http_status=403),
    RunNotFound("x", http_status=404),
    ClientClosed("x"),
    ConfigError("x"),
    BackendLoadError("x"),
    UnsupportedOperation("x"),
    UnsupportedOption("x", option="o"),
    InvalidRequest("x"),
    InvalidParameters("x"),
]
FOR_NOW = [
    TransportError("x", maybe_arrived=True),
    TransportError("x", maybe_arrived=False, transient=False),
    ProtocolError("x", http_status=200),
    ProtocolError("x", http_status=404),
    RateLimited("x", http_status=429),
    VendorError("x", http_status=500),
    VendorError("x", http_status=503),
    InvalidRequest("x", http_status=400),
    InvalidRequest("x", http_status=408),
    PermissionDenied("x", http_status=404, transient=True),
    FlowNotFound("x", http_status=404),
]


@pytest.mark.parametrize("error", FOR_GOOD, ids=lambda error: type(error).__name__)
def test_what_ends_following(error):
    """401 and 403, a run that is not there, and what we got wrong ourselves: looking again cannot mend it."""
    assert ends_following(error)


@pytest.mark.parametrize("error", FOR_NOW, ids=lambda error: f"{type(error).__name__} {error.http_status}")
def test_what_is_borne(error):
    """Every other failed look counts against the budget, a refusal by the vendor included."""
    assert not ends_following(error)


def test_the_root_is_borne():
    """An error of a kind that nobody thought of does not end following."""
    assert not ends_following(FlowrunnerError("x"))
    assert issubclass(JournalError, FlowrunnerError)


# Contact


def test_the_budget_is_time_without_an_answer():
    """However many looks fail, it is the time since the first of them that uses up the budget."""
    contact = Contact(300.0)
    assert not any(contact.failed(1000.0 + second) for second in range(300))
    assert contact.failures == 300
    assert contact.failed(1300.0)
    assert contact.failed(1301.0)


def test_any_success_resets_the_budget():
    """The budget starts anew with every readable answer, which tells whether contact had been lost."""
    contact = Contact(300.0)
    assert not contact.succeeded()
    assert not contact.failed(399.0)
    assert contact.succeeded()
    assert not contact.succeeded()
    assert contact.failures == 0
    assert not contact.failed(700.0)
    assert not contact.failed(999.0)
    assert contact.failed(1000.0)


@pytest.mark.parametrize(("budget", "lost"), [(300.0, False), (0.001, False), (0.0, True)])
def test_one_failed_look_is_no_lost_contact(budget, lost):
    """A single failed look uses up no budget, however long ago the last answer was; unless there is none."""
    contact = Contact(budget)
    contact.succeeded()
    assert contact.failed(1e6) is lost


def test_each_failure_doubles_the_pause():
    """From `poll_min` on, and never more than `poll_max`."""
    contact, pauses = Contact(1e9), []
    for _ in range(9):
        contact.failed(0.0)
        pauses.append(contact.pause(SETTINGS, None))
    assert pauses == [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0]


def test_a_pause_ends_when_the_budget_is_used_up():
    """Whoever waits hears of it then, not a long pause later; and no sooner than after `poll_min`."""
    contact, moments, now = Contact(10.0), [], 100.0
    for _ in range(8):
        moments.append(now - 100.0)
        contact.failed(now)
        now += contact.pause(SETTINGS, None)
    assert moments == [0.0, 0.5, 1.5, 3.5, 7.5, 10.0, 26.0, 56.0]
    contact = Contact(43.21918888116491)  # added to the moment below, it is rounded: `poll_min` more, and no long pause
    contact.failed(367385.45498958766)
    while not contact.failed(now := contact._last + contact.pause(SETTINGS, None)):
        pass
    assert now - 367385.45498958766 < 43.8
    late = Contact(10.0)
    late.failed(0.0)
    late.failed(9.9)
    assert late.pause(SETTINGS, None) == 0.5


def test_no_number_of_failures_is_too_many():
    """A budget of days makes no overflow."""
    contact = Contact(1e9)
    contact.failures = 100_000
    assert contact.pause(SETTINGS, None) == 30.0


@pytest.mark.parametrize(("wish", "pause"), [(None, 0.5), (0.0, 0.5), (0.1, 0.5), (5.0, 5.0), (600.0, 600.0)])
def test_a_wish_of_the_vendor_is_granted(wish, pause):
    """`Retry-After` may make the pause longer, also than `poll_max`, and never shorter."""
    contact = Contact(300.0)
    contact.failed(0.0)
    assert contact.pause(SETTINGS, wish) == pause


# Held requests


def test_a_vendor_is_trusted_to_hold_at_first():
    """Nothing is known against it."""
    assert Trust().holds(0.0)


@pytest.mark.parametrize(
    ("hold", "elapsed", "ended", "held"),
    [(20, 20.0, False, True), (20, 10.0, False, True), (20, 9.9, False, False), (20, 0.1, True, True)],
)
def test_what_counts_as_held(hold, elapsed, ended, held):
    """At least half of the time asked for, or the run ended."""
    assert Trust().judge(hold, elapsed, 100.0, ended=ended) is held


def test_two_vain_requests_in_a_row_end_the_trust():
    """Answered at once or cut, twice in a row: the vendor, or a proxy, does not hold."""
    trust = Trust()
    trust.judge(20, 0.1, 1.0, ended=False)
    assert trust.holds(1.0)
    trust.failed(2.0)
    assert not trust.holds(2.0)


def test_the_trust_comes_back_after_a_while():
    """Ten minutes after the last vain request it is tried again, since the vendor may only have been restarted."""
    trust = Trust()
    trust.failed(1.0)
    trust.failed(2.0)
    assert not trust.holds(601.9)
    assert trust.holds(602.0)
    trust.failed(602.0)
    assert not trust.holds(1201.9)
    assert trust.holds(1202.0)
    trust.judge(20, 20, 1222.0, ended=False)
    trust.failed(1223.0)
    assert trust.holds(1223.0)


def test_a_held_request_restores_the_trust():
    """One that was held makes up for the one before."""
    trust = Trust()
    trust.failed(1.0)
    trust.judge(20, 20, 21.0, ended=False)
    trust.failed(22.0)
    assert trust.holds(22.0)


def test_all_names_are_there():
    """`__all__` names what other modules may use, and no error class is unknown to this test by accident."""
    assert all(hasattr(polling, name) for name in polling.__all__)
    assert {type(error).__name__ for error in [*FOR_GOOD, *FOR_NOW]} <= set(errors.__all__)
