"""Masking credentials and passwords in what a vendor says."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowrunner.errors import InvalidParameters, VendorError
from flowrunner.operations.masking import Masker
from flowrunner.states import Observation

SECRET = 'p"ä\\ss'
MASKER = Masker([SECRET])


@given(st.text(st.characters(exclude_characters="*"), min_size=4), st.text(), st.text())
def test_no_text_shows_the_value(secret, before, after):
    """Wherever a value stands, as it is or as JSON writes it, a mask stands instead."""
    masker = Masker([secret])
    for written in (secret, json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1]):
        assert secret not in masker.text(f"{before}{written}{after}")


def test_nothing_to_hide():
    """No values, empty ones, and those too short to be told from other text, hide nothing."""
    masker = Masker(["", "a", "as ", "it"])
    seen = Observation(message="as it is", raw=b"as it is")
    assert not masker
    assert masker.text("as it is") == "as it is"
    assert masker.observation(seen) is seen
    error = VendorError("as it is")
    masker.error(error)
    assert error.message == "as it is"


def test_maskers_are_joined():
    """Two maskers together hide what either does; the longer value first."""
    both = MASKER | Masker(["abcd", "abcdef"])
    assert both
    assert both.text(f"{SECRET} abcdef abcd") == "*** *** ***"


def test_short_values_stay():
    """A value shorter than 4 characters would leave no text readable; it hides nothing, and 4 are enough."""
    masker = Masker(["no!", "yes!"])
    assert masker.values == {"yes!"}
    assert masker.text("no! yes!") == "no! ***"


def test_json_is_masked_in_every_text():
    """Texts of lists and objects are masked, however deep; other values stay what they are."""
    value = {"a": [SECRET, 1, None, {"b": f"x {SECRET}"}], "c": (SECRET,), "d": True}
    assert MASKER.json(value) == {"a": ["***", 1, None, {"b": "x ***"}], "c": ["***"], "d": True}


@pytest.mark.parametrize("as_json", [True, False])
def test_an_observation_is_masked(as_json):
    """Message, remarks and payload are masked; what is not there stays so, and what is clean stays the same object."""
    raw = json.dumps({"a": SECRET}).encode() if as_json else SECRET.encode()
    seen = MASKER.observation(Observation(message=f"m {SECRET}", remarks=(f"r {SECRET}", "s"), raw=raw, word="x"))
    assert (seen.message, seen.remarks, seen.word) == ("m ***", ("r ***", "s"), "x")
    assert seen.raw == (b'{"a": "***"}' if as_json else b"***")
    assert MASKER.observation(Observation(remarks=(SECRET,))) == Observation(remarks=("***",))
    assert MASKER.observation(Observation(message=SECRET)) == Observation(message="***")
    clean = Observation(word="x", message="m", remarks=("r",), raw=b"raw")
    assert MASKER.observation(clean) is clean


def test_an_error_and_its_causes_are_masked():
    """So are those of ours that an error was raised from; others are not touched."""
    error = InvalidParameters(f"bad {SECRET}", problems={"P": SECRET})
    error.__cause__ = VendorError("outer", vendor_message=SECRET)
    error.__cause__.__cause__ = ValueError(SECRET)
    MASKER.error(error)
    assert (error.message, error.problems, error.__cause__.vendor_message) == ("bad ***", {"P": "***"}, "***")
    MASKER.error(None)
