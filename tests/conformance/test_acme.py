"""The suite passes on a backend that keeps the rules."""

from conformance.acme import TOKEN, WORDS, Acme, AcmeServer
from flowrunner import Capability
from flowrunner.errors import InvalidRequest
from flowrunner.testing.conformance import BackendConformance


class TestAcme(BackendConformance):
    """A vendor that can do everything."""

    backend = Acme
    settings = {"base_url": "https://acme.example", "token": TOKEN}
    server = AcmeServer
    words = WORDS


class AcmeFlowByFlow(Acme):
    """Acme, if it listed the runs of one flow at a time: there would be no looking at all of them."""

    capabilities = Acme.capabilities - {Capability.BULK}

    def list_runs(self, query, cursor=None):
        """Of one flow."""
        if query.flow is None:
            raise InvalidRequest("Acme lists the runs of one flow at a time: name the flow")
        return (yield from super().list_runs(query, cursor))


class TestAcmeFlowByFlow(BackendConformance):
    """A vendor whose listing needs a flow."""

    backend = AcmeFlowByFlow
    settings = {"base_url": "https://acme.example", "token": TOKEN}
    server = AcmeServer
    words = WORDS
    lists_one_flow = True
