"""Backends by name."""

import importlib.metadata
import subprocess
import sys
from types import ModuleType

import pytest

import flowrunner
from flowrunner import __version__, registry
from flowrunner.backend import Backend
from flowrunner.errors import BackendLoadError, ConfigError, UnknownBackend
from flowrunner.registry import OfferState


class Acme(Backend):
    """A backend of nobody's."""

    backend_api = 1
    name = "acme"
    family = "acme"


class Nameless(Backend):
    """A backend that forgot its name."""


class Undated(Backend):
    """A backend that does not say what it was written for."""

    name = "acme"
    family = "acme"


class Kinless(Backend):
    """A backend without a family."""

    backend_api = 1
    name = "acme"


class Vague(Acme):
    """A backend whose class does not say what it can do."""

    @property
    def capabilities(self):
        """Only an instance knows."""
        return frozenset()


class Other(Acme):
    """A backend of another name."""

    name = "other"


@pytest.fixture
def acme(monkeypatch):
    """The registry knows `acme`, in the module `acme_flows`."""
    module = ModuleType("acme_flows")
    for backend in (Acme, Nameless, Undated, Kinless, Vague, Other):
        setattr(module, backend.__name__, backend)
    module.helper = len
    monkeypatch.setitem(sys.modules, "acme_flows", module)

    def known(target):
        monkeypatch.setattr(registry, "BUILTINS", {"acme": target})

    known("acme_flows:Acme")
    return known


def test_names_are_the_builtin_ones():
    """`names` lists what is built in, whatever else is installed, and the import strings are read-only."""
    assert set(registry.BUILTINS) == {"fme-flow", "fme-flow-v3", "fme-flow-v4", "invision", "smart-flows"}
    assert set(registry.BUILTINS) <= set(registry.names())
    with pytest.raises(TypeError):
        registry.BUILTINS["x"] = "y:Z"


def test_every_builtin_loads():
    """Each import string leads to a backend of that very name."""
    for name in registry.BUILTINS:
        assert name == registry.load(name).name


def test_a_name_loads_its_class(acme):
    """A name becomes the class that its import string names."""
    assert registry.load("acme") is Acme


def test_a_class_is_returned_as_it_is():
    """A backend need not be registered to be used."""
    assert registry.load(Acme) is Acme


def test_an_unknown_name_names_the_near_miss(acme):
    """Who misspells a backend is told the name meant, whatever its case, and every other one."""
    with pytest.raises(UnknownBackend, match=r"'ACNE': did you mean 'acme'\? There are: acme") as caught:
        registry.load("ACNE")
    assert caught.value.backend == "ACNE"


def test_an_unknown_name_like_no_other_lists_them(acme):
    """Where nothing is near, the names are listed all the same."""
    with pytest.raises(UnknownBackend, match="'zzz': there are: acme"):
        registry.load("zzz")


def test_no_names_at_all(monkeypatch):
    """An empty registry is said to be empty."""
    monkeypatch.setattr(registry, "BUILTINS", {})
    monkeypatch.setattr(registry, "GROUP", "flowrunner.nothing")
    with pytest.raises(UnknownBackend, match="there are none"):
        registry.load("acme")


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ("no_such_module_anywhere:Acme", "ModuleNotFoundError: No module named 'no_such_module_anywhere'"),
        ("acme_flows:Missing", "AttributeError.*Missing"),
        ("acme_flows:helper", "len is not such a class"),
        ("acme_flows:Nameless", "Nameless has no `name`"),
        ("acme_flows:Kinless", "Kinless has no `family`"),
        ("acme_flows:Undated", "Undated does not say which version it was written for: `backend_api = 1`"),
        ("acme_flows:Vague", "the `capabilities` of Vague are no frozenset"),
        ("acme_flows:Other", "it calls itself 'other', and a backend is found by its own name"),
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


# Plugins

PLUGIN = """
from flowrunner.backend import Backend

class AcmeBackend(Backend):
    backend_api = {api}
    name = "{name}"
    family = "{name}"
"""


def test_a_plugin_is_found_by_its_name(install):
    """A distribution announces a backend by an entry point, and it loads when its name is used."""
    install("flowrunner-fifth", "fifth_vendor", PLUGIN.format(api=1, name="fifth"), fifth="fifth_vendor:AcmeBackend")
    assert "fifth" in registry.names()
    loaded = registry.load("fifth")
    assert (loaded.name, loaded.__module__) == ("fifth", "fifth_vendor")


def test_listing_imports_nothing(install):
    """Offers show who makes them, and no module of theirs is imported: this one could not be."""
    install("flowrunner-fifth", "fifth_vendor", "raise SystemExit('imported')", "2.1", fifth="fifth_vendor:AcmeBackend")
    offer = registry.Offer("fifth", "flowrunner-fifth 2.1", "fifth_vendor:AcmeBackend", OfferState.AVAILABLE)
    assert offer in registry.offers()
    assert "fifth_vendor" not in sys.modules
    assert (
        registry.Offer(
            "invision", f"flowrunner {__version__}", "flowrunner.backends.invision:InVision", OfferState.BUILT_IN
        )
        in registry.offers()
    )


def test_a_builtin_name_stays_the_builtin(install):
    """A plugin that claims it is listed as refused, after the built-in, and never loaded."""
    install("flowrunner-cuckoo", "cuckoo", "raise SystemExit('imported')", invision="cuckoo:Cuckoo")
    assert registry.load("invision").__module__ == "flowrunner.backends.invision"
    states = [(offer.state, offer.distribution) for offer in registry.offers() if offer.name == "invision"]
    assert states == [
        (OfferState.BUILT_IN, f"flowrunner {__version__}"), (OfferState.REFUSED, "flowrunner-cuckoo 1.0"),
    ]  # fmt: skip
    assert "cuckoo" not in sys.modules


def test_two_plugins_of_one_name_are_an_error_on_its_use(install):
    """Neither is guessed: the error names both and says what to do; other names work."""
    for number in (1, 2):
        source = PLUGIN.format(api=1, name="fifth")
        install(f"flowrunner-fifth{number}", f"fifth{number}", source, fifth=f"fifth{number}:AcmeBackend")
    install("flowrunner-sixth", "sixth", PLUGIN.format(api=1, name="sixth"), sixth="sixth:AcmeBackend")
    with pytest.raises(BackendLoadError) as caught:
        registry.load("fifth")
    assert caught.value.message == (
        "backend 'fifth' is claimed by flowrunner-fifth1 1.0 and flowrunner-fifth2 1.0: uninstall all but one"
    )
    assert [offer.state for offer in registry.offers() if offer.name == "fifth"] == [OfferState.AMBIGUOUS] * 2
    assert registry.load("sixth").name == "sixth"


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("import no_such_module_anywhere", "ModuleNotFoundError: No module named 'no_such_module_anywhere'"),
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("AcmeBackend = 5", "int is not such a class"),
    ],
)
def test_a_plugin_that_does_not_load_breaks_nothing_else(install, source, reason):
    """Whatever it does on import is the reason of a BackendLoadError that says whose it is; built-ins go on."""
    install("flowrunner-ill", "ill_vendor", source, ill="ill_vendor:AcmeBackend")
    with pytest.raises(BackendLoadError) as caught:
        registry.load("ill")
    assert caught.value.message == f"backend 'ill' from flowrunner-ill 1.0 cannot be loaded: {reason}"
    assert registry.load("invision").name == "invision"


@pytest.mark.parametrize(("api", "advice"), [(0, "a newer version of the backend"), (2, "a newer flowrunner")])
def test_another_version_of_the_interface_is_refused(install, api, advice):
    """Both versions are named, and which side has to move."""
    install("flowrunner-old", f"old{api}", PLUGIN.format(api=api, name="old"), old=f"old{api}:AcmeBackend")
    with pytest.raises(BackendLoadError) as caught:
        registry.load("old")
    assert caught.value.message.endswith(
        f"AcmeBackend was written for version {api} of the backend interface, and flowrunner {__version__} has "
        f"version 1: install {advice}"
    )


def test_an_unknown_name_is_compared_with_the_plugins_too(install):
    """The near miss may be a plugin's name."""
    install("flowrunner-fifth", "fifth_vendor", "", fifth="fifth_vendor:AcmeBackend")
    with pytest.raises(UnknownBackend, match="did you mean 'fifth'"):
        registry.load("fith")


def test_an_entry_point_may_have_no_distribution(monkeypatch):
    """Where the metadata do not say whose it is, that is said."""
    lonely = importlib.metadata.EntryPoint("lonely", "lonely:Backend", registry.GROUP)
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda **_: [lonely])
    assert "an unnamed distribution" in {offer.distribution for offer in registry.offers()}


def test_a_plugin_is_connected_to_by_name_and_by_class(install):
    """Its users name it in the configuration, or hand over the class; either way it is one and the same."""
    install("flowrunner-fifth", "fifth_plugin", PLUGIN.format(api=1, name="fifth"), fifth="fifth_plugin:AcmeBackend")
    by_name = flowrunner.connect("here", config={"connections": {"here": {"backend": "fifth"}}})
    with by_name, flowrunner.connect(backend=registry.load("fifth")) as by_class:
        assert [(each.name, each.backend) for each in (by_name, by_class)] == [("here", "fifth"), ("fifth", "fifth")]


def test_a_builtin_is_used_without_a_look_at_what_is_installed():
    """Nobody who uses a built-in pays for plugins: the metadata are not even imported."""
    code = "import sys; from flowrunner import registry; registry.load('invision')"
    code += "; print('importlib.metadata' in sys.modules)"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "False"
