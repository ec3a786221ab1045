"""Faults from a file."""

from __future__ import annotations

from math import inf
from pathlib import Path

import httpx
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from flowrunner.simulator import Fault, Faults, Simulator, read_faults
from flowrunner.simulator.faults import KINDS, takes

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "simulator-faults.md"


@pytest.fixture
def file(tmp_path):
    """Write a file of faults."""

    def write(content):
        path = tmp_path / "faults.toml"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def test_a_file_says_what_the_values_say(file):
    """A seed, and a table for each fault, with the names of the values."""
    path = file(
        'seed = 7\n[[fault]]\nkind = "status"\nstatus = 429\nheaders = { Retry-After = "2" }\nburst = 5\n'
        'probability = 0.01\n[[fault]]\nkind = "hang"\nuntil = inf\nrequests = "submissions"\n'
    )

    assert read_faults(str(path)) == Faults(
        [
            Fault("status", status=429, headers={"Retry-After": "2"}, burst=5, probability=0.01),
            Fault("hang", until=inf, requests="submissions"),
        ],
        seed=7,
    )


def test_an_empty_file_lets_nothing_go_wrong(file):
    """There need be no fault."""
    assert read_faults(file("")) == Faults()


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("sed = 1", "no key 'sed': did you mean 'seed'? There are: seed, fault"),
        ("seed = 'x'", "'seed' must be a whole number, not 'x'"),
        ("fault = 1", "a fault is a table [[fault]]"),
        ("fault = [1]", "a fault is a table [[fault]]"),
        ("[[fault]]\n", "fault 1: no kind None: there are: "),
        ("[[fault]]\nkind = 'hang'\n[[fault]]\nkind = 'htlm'", "fault 2: no kind 'htlm': did you mean 'html'? "),
        ("[[fault]]\nkind = 'hang'\nprobabilty = 1", "fault 1: no key 'probabilty': did you mean 'probability'? "),
        ("[[fault]]\nkind = 'hang'\nstatus = 503", "fault 1: no key 'status': "),
        ("[[fault]]\nkind = 'hang'\ntimes = -1", "fault 1: 'times' must be >= 0: -1"),
        ("[[fault]]\nkind = 'restart'\njobs = 'los'", "fault 1: 'jobs' must be in ('kept', 'queue_lost', 'lost')"),
        ("[[fault]]\nkind = 'hang'\ntimes = 'x'", "fault 1: 'times' must be a whole number, not 'x'"),
        ("[[fault]]\nkind = 'hang'\nprobability = 'often'", "fault 1: 'probability' must be a number, not 'often'"),
        ("[[fault]]\nkind = 'hang'\npath = 1", "fault 1: 'path' must be a text, not 1"),
        ("[[fault]]\nkind = 'hang'\nacts = 'no'", "fault 1: 'acts' must be true or false, not 'no'"),
        (
            "[[fault]]\nkind = 'status'\nheaders = 'Retry-After'",
            "fault 1: 'headers' must be texts by name, such as { Retry-After = \"2\" }, not 'Retry-After'",
        ),
        (
            "[[fault]]\nkind = 'status'\nheaders = { Retry-After = 2 }",
            "fault 1: 'headers' must be texts by name, such as { Retry-After = \"2\" }, not {'Retry-After': 2}",
        ),
        (
            "[[fault]]\nkind = 'status'\nbody = 2025-01-01",
            "fault 1: 'body' is bytes, a text, or can be written as JSON",
        ),
        ("seed =", "it is not TOML: Invalid value (at end of document)"),
        (b"\xff", "it is not TOML: 'utf-8' codec can't decode byte 0xff"),
    ],
)
def test_what_is_wrong_with_a_file_is_told(file, content, text):
    """With the file, the number of the fault, and what may have been meant."""
    path = file(content)

    with pytest.raises(ValueError) as raised:
        read_faults(path)
    assert str(raised.value).startswith(f"{path}: {text}")


def test_a_file_that_is_not_there(tmp_path):
    """It is the error of the system."""
    with pytest.raises(FileNotFoundError):
        read_faults(tmp_path / "none.toml")


def test_the_example_of_the_reference_works(file):
    """It is read as it stands, and shows the three ways to say how often."""
    text = PAGE.read_text(encoding="utf-8")
    example = read_faults(file(text.partition("```toml\n")[2].partition("```")[0]))

    assert len(example.faults) >= 3
    assert {True} == {
        any(fault.times for fault in example.faults),
        any(fault.probability < 1 for fault in example.faults),
        any(fault.after for fault in example.faults),
    }


def test_the_second_example_fails_the_first_submission(file):
    """It does what the page says: one submission is answered with 503, and the next is served."""
    faults = read_faults(file(PAGE.read_text(encoding="utf-8").split("```toml\n")[2].partition("```")[0]))
    with Simulator("fme-flow-v4", faults=faults) as simulator:
        url, headers = f"{simulator.base_url}/fmeapiv4/jobs", {"Authorization": f"fmetoken token={simulator.token}"}
        order = {"repository": "Samples", "workspace": "austinDownload.fmw"}
        statuses = [httpx.post(url, headers=headers, json=order).status_code for _ in range(2)]

    assert statuses == [503, 202]


def test_the_reference_has_each_kind_and_each_name():
    """Its tables name all kinds, and all that each takes."""
    text = PAGE.read_text(encoding="utf-8")
    rows = {line.split("`")[1]: line for line in text.splitlines() if line.startswith("| `")}

    assert [kind for kind in KINDS if kind not in rows] == []
    for kind in KINDS:
        own = set(takes(kind)) - set.intersection(*(set(takes(each)) for each in KINDS))
        assert sorted(name for name in own if f"`{name}" not in rows[kind]) == []
    common = set.intersection(*(set(takes(each)) for each in KINDS)) - {"kind"}
    assert sorted(name for name in common if name not in rows) == []


VALUES = [
    "1",
    "-1",
    "0",
    "1e999",
    "nan",
    "true",
    "''",
    "'all'",
    "'status'",
    "'skew'",
    "[]",
    "{}",
    "{a = 1}",
    "1979-05-27",
    "9" * 5000,
]
LINES = st.sampled_from(
    [f"{name} = {value}" for name in (*takes("status"), "seed", "seconds", "lasts") for value in VALUES]
)


@given(st.text() | st.lists(LINES | st.sampled_from(["[[fault]]", "[fault]"]), max_size=4).map("\n".join))
@example("x = " + "[" * 100_000)
@example("[[fault]]\nkind = 'status'\nbody" + ".a" * 5000 + " = 1")
@example("[[fault]]\nkind = [1]")
def test_any_file_is_faults_or_an_error_that_names_it(tmp_path_factory, text):
    """Whatever a file says, nothing but a ValueError with the file's name comes out."""
    file = tmp_path_factory.getbasetemp() / "any.toml"
    file.write_bytes(text.encode("utf-8", "surrogatepass"))
    try:
        outcome = read_faults(file)
    except ValueError as error:
        outcome = str(error)
    assert isinstance(outcome, Faults) or outcome.startswith(f"{file}: ")
