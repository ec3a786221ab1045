"""The suite passes on a backend that keeps the rules."""

from conformance.acme import TOKEN, WORDS, Acme, AcmeServer
from flowrunner.testing.conformance import BackendConformance


class TestAcme(BackendConformance):
    """A vendor that can do everything."""

    backend = Acme
    settings = {"base_url": "https://acme.example", "token": TOKEN}
    server = AcmeServer
    words = WORDS
