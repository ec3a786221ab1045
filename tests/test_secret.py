"""A value that must not be seen."""

import copy
import json
import logging
import pickle

import pytest

from flowrunner.secret import MASK, Secret

VALUE = "t0ken-äöü"
SECRET = Secret(VALUE)


@pytest.mark.parametrize(
    "shown",
    [
        str(SECRET), repr(SECRET), f"{SECRET}", f"{SECRET!r}", f"{SECRET!s:>10}", "{}".format(SECRET),  # noqa: UP032
        "%s" % SECRET, "%r" % SECRET, repr([SECRET]), repr({"token": SECRET}), format(SECRET), ascii(SECRET),  # noqa: UP031
    ],
)  # fmt: skip
def test_it_prints_as_a_mask(shown):
    """However it is printed, the value is not there, and something shows that there is one."""
    assert VALUE not in shown
    assert MASK in shown


def test_it_is_not_formatted_further():
    """A format that would look into the value is an error without it."""
    with pytest.raises(TypeError) as caught:
        format(SECRET, ".3")
    assert VALUE[:3] not in str(caught.value)


def test_it_is_masked_in_logs(caplog):
    """A log record of it does not hold the value."""
    with caplog.at_level(logging.INFO):
        logging.getLogger("test").info("token %s", SECRET)
    assert caplog.messages == ["token ***"]


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_it_is_not_pickled(protocol):
    """It does not leave the process, not even inside something else, and the error says what to do."""
    for value in (SECRET, {"token": SECRET}):
        with pytest.raises(TypeError, match="pass the name of the connection") as caught:
            pickle.dumps(value, protocol)
        assert VALUE not in str(caught.value)


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy])
def test_it_is_not_copied(duplicate):
    """Copies go the way of pickles."""
    with pytest.raises(TypeError):
        duplicate(SECRET)


def test_it_is_not_json():
    """JSON knows no secrets."""
    with pytest.raises(TypeError) as caught:
        json.dumps({"token": SECRET})
    assert VALUE not in str(caught.value)


def test_it_has_no_attributes():
    """`vars()` finds nothing, and nothing can be put there."""
    with pytest.raises(TypeError):
        vars(SECRET)
    with pytest.raises(AttributeError):
        SECRET.value = "x"


def test_it_is_revealed_on_demand():
    """`reveal()` gives the value."""
    assert SECRET.reveal() == VALUE


def test_equal_secrets_are_equal():
    """Secrets are compared by value, and never equal a text."""
    assert Secret(VALUE) == SECRET
    assert hash(Secret(VALUE)) == hash(SECRET)
    assert Secret("other") != SECRET
    assert SECRET != VALUE
    assert VALUE != SECRET


def test_a_secret_is_made_of_another():
    """What is made of a secret is one, too."""
    made = SECRET.map(lambda value: f"Bearer {value}")
    assert made == Secret(f"Bearer {VALUE}")
    assert VALUE not in repr(made)


@pytest.mark.parametrize(
    ("value", "text", "hidden"),
    [
        ("abc", "abcabc and abc", "****** and ***"),
        ("abc", "nothing", "nothing"),
        ("abc", "", ""),
        ("", "nothing", "nothing"),
    ],
)
def test_a_text_is_cleared_of_it(value, text, hidden):
    """Every occurrence is masked; an empty secret hides nothing."""
    assert Secret(value).hide_in(text) == hidden


def test_wrapping_twice_is_wrapping_once():
    """A text becomes a secret, and a secret stays the one it is."""
    assert Secret.wrap(VALUE) == SECRET
    assert Secret.wrap(SECRET) is SECRET
