"""Sessions whose answers come from a function."""

import asyncio

import pytest

from flowrunner.backend import Backend, Settings
from flowrunner.errors import TransportError
from flowrunner.http.scripted import AsyncScriptedSession, Broken, ScriptedSession, Sent
from flowrunner.plans import Request, Response
from flowrunner.secret import Secret


class Acme(Backend):
    """A backend with a credential."""

    backend_api = 1
    name = "acme"
    family = "acme"
    base_url = "https://acme.example/api"

    def authorize(self):
        """The credential."""
        return {"X-Key": Secret("k3y")}


@pytest.fixture
def asked(mode, clock):
    """Send a request on a session of the mode that answers so; returns the answer, and what was sent."""

    def ask(answer, request):
        seen = []

        def answering(sent):
            seen.append(sent)
            return answer

        arguments = {
            "reload": lambda: pytest.fail("no credential was refused"),
            "learned": lambda _: None,
            "clock": clock,
            "answer": answering,
        }
        backend = Acme(Settings())
        if mode == "sync":
            response = ScriptedSession(backend, **arguments).send(request, retry=False)
        else:

            async def send():
                return await AsyncScriptedSession(backend, **arguments).send(request, retry=False)

            response = asyncio.run(send())
        return response, seen

    return ask


def test_the_function_is_handed_what_would_have_gone_out(asked):
    """Address, query, headers with the credential, and the body arrive, and whether it may be repeated."""
    answer = Response(201, {"X-Made": "yes"}, b'{"id": 1}')
    request = Request("POST", "/runs", query=(("a", "b c"),), json={"x": 1}, repeatable=False)
    response, (sent,) = asked(answer, request)
    assert (response.status, response.headers["x-made"], response.content) == (201, "yes", b'{"id": 1}')
    expected = Sent("POST", "https://acme.example/api/runs?a=b%20c", sent.headers, b'{"x": 1}', repeatable=False)
    assert sent == expected
    assert (sent.headers["x-key"], sent.headers["content-type"]) == ("k3y", "application/json")
    assert "k3y" not in repr(sent)


@pytest.mark.parametrize(
    ("broken", "maybe_arrived", "told"),
    [
        (Broken(arrived=False), False, "connection refused"),
        (Broken(arrived=True), True, "connection reset by peer"),
        (Broken(arrived=True, late=True), True, "raise the setting `timeout`"),
        (Broken(arrived=True, began=Response(200, {}, b'{"id"')), True, "without sending complete message body"),
    ],
)
def test_a_broken_answer_is_an_error_of_transport(asked, broken, maybe_arrived, told):
    """A refused connection never arrived; one that broke, at whatever point, or had no answer in time may have."""
    with pytest.raises(TransportError, match=told) as caught:
        asked(broken, Request("GET", "/runs"))
    assert caught.value.maybe_arrived is maybe_arrived


def test_the_function_is_told_how_long_an_answer_is_waited_for(asked):
    """It is what the request allows, else the connection's setting."""
    answer = Response(200, {}, b"")
    _, (sent,) = asked(answer, Request("GET", "/runs", timeout=7.5))
    assert sent.timeout == 7.5
    _, (sent,) = asked(answer, Request("GET", "/runs"))
    assert sent.timeout == Settings().timeout
