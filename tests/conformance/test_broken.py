"""The suite notices every rule that is broken: one that could not fail would prove nothing."""

import pytest

from conformance.acme import TOKEN, WORDS, AcmeServer
from conformance.broken import BROKEN
from flowrunner.testing.conformance import RULES, BackendConformance, NotConforming

CASES = [(rule, backend) for rule, backends in BROKEN.items() for backend in backends]


def proof_of(rule):
    """The test of the suite that proves a rule."""
    (found,) = (
        getattr(BackendConformance, name)
        for name in dir(BackendConformance)
        if getattr(getattr(BackendConformance, name), "rule", None) == rule
    )
    return found


def suite_of(broken):
    """The suite of a backend, as its author would write it."""

    class Suite(BackendConformance):
        backend = broken
        settings = {"base_url": "https://acme.example", "token": TOKEN}
        server = AcmeServer
        words = WORDS
        lists_one_flow = getattr(broken, "lists_one_flow", False)

    return Suite()


@pytest.mark.parametrize("rule", RULES)
def test_each_rule_has_a_test_and_a_backend_that_breaks_it(rule):
    """A test that bears its number, and a backend to see it fail on."""
    prefix = f"test_{rule.replace('.', '_')}_"
    assert proof_of(rule).__name__.startswith(prefix)
    assert rule in BROKEN


@pytest.mark.parametrize(("rule", "broken"), CASES, ids=[f"{rule}-{backend.__name__}" for rule, backend in CASES])
def test_a_broken_rule_is_noticed(rule, broken):
    """One line says which rule it is, and what was seen; that it is broken only where the suite saw that."""
    with pytest.raises(NotConforming) as caught:
        proof_of(rule)(suite_of(broken))
    assert caught.value.rule == rule
    text = str(caught.value)
    unexpected = " was raised: " in text
    assert text.startswith(f"rule {rule} {'is not shown to hold' if unexpected else 'is broken'}: ")
    assert text.endswith(f" The rule: {RULES[rule]}")
    assert "\n" not in text
