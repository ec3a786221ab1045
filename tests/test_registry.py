"""Backends by name."""

import sys
from types import ModuleType

import pytest

from flowrunner import registry
from flowrunner.backend import Backend
from flowrunner.errors import BackendLoadError, ConfigError, UnknownBackend


class Acme(Backend):
    """A backend of nobody's."""

    name = "acme"
    family = "acme"


class Nameless(Backend):
    """A backend that forgot its name."""


@pytest.fixture
def acme(monkeypatch):
    """The registry knows `acme`, in the module `acme_flows`."""
    module = ModuleType("acme_flows")
    module.Acme = Acme
    module.Nameless = Nameless
    module.helper = len
    monkeypatch.setitem(sys.modules, "acme_flows", module)

    def known(target):
        monkeypatch.setattr(registry, "BUILTINS", {"acme": target})

    known("acme_flows:Acme")
    return known


def test_names_are_the_builtin_ones():
    """`names` lists what is built in, and the import strings are read-only."""
    assert registry.names() == ("fme-flow", "fme-flow-v3", "fme-flow-v4", "invision", "smart-flows")
    with pytest.raises(TypeError):
        registry.BUILTINS["x"] = "y:Z"


def test_every_builtin_loads():
    """Each import string leads to a backend of that very name."""
    for name in registry.names():
        assert name == registry.load(name).name


def test_a_name_loads_its_class(acme):
    """A name becomes the class that its import string names."""
    assert registry.load("acme") is Acme


def test_a_class_is_returned_as_it_is():
    """A backend need not be registered to be used."""
    assert registry.load(Acme) is Acme


def test_an_unknown_name_names_the_near_miss(acme):
    """Who misspells a backend is told the name meant, whatever its case, and every other one."""
    with pytest.raises(UnknownBackend, match=r"'ACNE': did you mean 'acme'\? There are: acme$") as caught:
        registry.load("ACNE")
    assert caught.value.backend == "ACNE"


def test_an_unknown_name_like_no_other_lists_them(acme):
    """Where nothing is near, the names are listed all the same."""
    with pytest.raises(UnknownBackend, match="'zzz': there are: acme"):
        registry.load("zzz")


def test_no_names_at_all(monkeypatch):
    """An empty registry is said to be empty."""
    monkeypatch.setattr(registry, "BUILTINS", {})
    with pytest.raises(UnknownBackend, match="there are none"):
        registry.load("acme")


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ("no_such_module_anywhere:Acme", "ModuleNotFoundError: No module named 'no_such_module_anywhere'"),
        ("acme_flows:Missing", "AttributeError.*Missing"),
        ("acme_flows:helper", "len is not such a class"),
        ("acme_flows:Nameless", "Nameless has no `name`"),
    ],
)
def test_a_backend_that_does_not_load_says_why(acme, target, reason):
    """A known name whose class cannot be had raises BackendLoadError with the reason."""
    acme(target)
    with pytest.raises(BackendLoadError, match=f"'acme' cannot be loaded: {reason}"):
        registry.load("acme")


def test_a_module_that_fails_while_imported_says_why(acme, tmp_path, monkeypatch):
    """Whatever a module raises on import is reported, and chained."""
    (tmp_path / "acme_broken.py").write_text("1 / 0\n")
    monkeypatch.syspath_prepend(tmp_path)
    acme("acme_broken:Acme")
    with pytest.raises(BackendLoadError, match="ZeroDivisionError") as caught:
        registry.load("acme")
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


@pytest.mark.parametrize("value", [int, 5, None, Nameless])
def test_what_is_no_backend_is_refused(value):
    """Neither another class, nor another value, nor a backend without a name passes as a backend."""
    with pytest.raises(ConfigError, match="takes a name or a class"):
        registry.load(value)
