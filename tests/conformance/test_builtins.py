"""The built-in backends keep the rules, each on a server that speaks as its vendor does."""

from datetime import UTC, datetime

from conformance import fme_server, fme_v3_server, fme_v4_server, invision_server, smart_flows_server
from flowrunner import SubmitOptions
from flowrunner.backends.fme_flow import FmeFlow
from flowrunner.backends.fme_flow_v3 import FmeFlowV3
from flowrunner.backends.fme_flow_v4 import FmeFlowV4
from flowrunner.backends.invision import InVision
from flowrunner.backends.smart_flows import SmartFlows
from flowrunner.testing.conformance import ABSENT, BackendConformance

NOON = datetime(2025, 1, 1, 12, tzinfo=UTC)


class TestFmeFlowV4(BackendConformance):
    """FME Flow over V4."""

    backend = FmeFlowV4
    settings = {"base_url": fme_server.ROOT, "token": fme_server.TOKEN}
    server = fme_v4_server.FmeV4Server
    words = fme_v4_server.WORDS


class TestFmeFlowV3(BackendConformance):
    """FME Flow over V3. Old servers write times without a zone; `/info` names it."""

    backend = FmeFlowV3
    settings = {"base_url": fme_server.ROOT, "token": fme_server.TOKEN}
    server = fme_v3_server.FmeV3Server
    words = fme_v3_server.WORDS
    times = (
        ("2025-01-01T12:00:00Z", NOON),
        ("2025-01-01T05:00:00-07:00", NOON),
        ("2025-01-01T14:00:00", NOON),
        (ABSENT, None),
        (None, None),
        ("", None),
        ("0001-01-01T00:00:00Z", None),
        ("yesterday", None),
    )


class TestFmeFlowOverV4(TestFmeFlowV4):
    """FME Flow, whichever interface it has: V4."""

    backend = FmeFlow


class TestFmeFlowOverV3(TestFmeFlowV3):
    """FME Flow, whichever interface it has: V3, since it is of an old build."""

    backend = FmeFlow


class TestInVision(BackendConformance):
    """InVision, which can do little."""

    backend = InVision
    settings = {"base_url": invision_server.ADDRESS, "api_key": invision_server.KEY}
    server = invision_server.InVisionServer
    words = invision_server.WORDS


class TestSmartFlows(BackendConformance):
    """Smart Flows with a key. Parameters go into an element of XML, and a payload is XML."""

    backend = SmartFlows
    settings = {"base_url": smart_flows_server.ADDRESS, "api_key": smart_flows_server.KEY}
    server = smart_flows_server.SmartFlowsServer
    words = smart_flows_server.WORDS
    options = SubmitOptions(extra={"root": "Person"})
    payload = "<Person><NAME>Größe &amp; mehr</NAME></Person>".encode()


class TestSmartFlowsWithLogin(TestSmartFlows):
    """Smart Flows with user and password, which a login takes."""

    settings = {
        "base_url": smart_flows_server.ADDRESS,
        "username": smart_flows_server.USER,
        "password": smart_flows_server.PASSWORD,
    }
