"""Section 10 of the rules: credentials."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from attrs import evolve

from flowrunner.config.settings import declared
from flowrunner.errors import FlowrunnerError, ProtocolError
from flowrunner.testing.conformance.scenario import Scenario, apart
from flowrunner.testing.conformance.server import reply
from flowrunner.testing.conformance.verdict import broken, holds, proves
from flowrunner.testing.conformance.world import says

if TYPE_CHECKING:
    from collections.abc import Callable

    from flowrunner.http.scripted import Broken
    from flowrunner.plans import Response
    from flowrunner.testing.conformance.world import World


class CredentialRules(Scenario):
    """Where credentials go, and where they do not."""

    def credentials(self) -> dict[str, str]:
        """The credentials among the settings, by name; without any, a test of them does not apply."""
        known = declared(self.backend.settings_class)
        found = {name: str(value) for name, value in self.settings.items() if name in known and known[name].is_secret}
        if not found:
            pytest.skip(f"the settings of the test hold no credential of {self.backend.name}")
        return found

    @proves("10.1")
    def test_10_1_credentials_travel_in_headers(self) -> None:
        """Neither in an address nor in a body that is no login, nor in another header."""
        self.needs_requests()
        secrets = self.credentials().values()
        with self.world() as world:
            client = world.client()
            headers = {name.lower() for name in client._backend.authorize()}  # noqa: SLF001 - the suite may look inside
            run = self.submitted(client)
            run.refresh()
            for sent in world.sent:
                for secret in secrets:
                    holds("10.1", secret not in sent.url, f"a credential is in the address of {_path(sent)}")
                    holds("10.1", secret.encode() not in sent.body, f"a credential is in the body of {_path(sent)}")
                    found = {name for name, value in sent.headers.items() if secret in value}
                    holds("10.1", found <= headers, f"a credential is in the headers {sorted(found - headers)}")

    @proves("10.2")
    def test_10_2_no_credential_shows(self) -> None:
        """Not even one that the vendor repeats in what it says."""
        secrets = self.credentials()
        with self.world() as world:
            client = world.client()
            shown = [repr(client), repr(client._backend.settings), repr(client._backend.__dict__)]  # noqa: SLF001 - as above
            shown += self._said(world, client, f"what you sent, {' '.join(secrets.values())}, is not wanted")
            shown += [*map(repr, world.events), *world.logs]
        for name, secret in secrets.items():
            where = next((text for text in shown if secret in text), None)
            holds("10.2", where is None, f"{name} shows in {str(where).replace(secret, '***')[:200]}")

    def _said(self, world: World, client: Any, text: str) -> list[str]:
        """All that can be seen of a run and of failures, with a vendor that repeats what it must not."""
        run = self.shown(world, client, self.live_word(), message=text)
        shown = [str(run.ref), repr(run.status), str(run.status.raw)]
        for status in (400, 401, 403, 404, 409, 422, 429, 500, 503):
            with world.going_wrong(says(world.server.refusal(status, text))):
                for act in (run.refresh, lambda: self.submitted(client)):
                    shown += _failure(act)
        return shown

    @proves("10.3")
    def test_10_3_redirects_are_not_followed(self) -> None:
        """To whom it leads has no claim to what we send."""
        self.needs_requests()
        elsewhere = says(reply(307, None, {"location": "https://elsewhere.example/"}))
        with self.world() as world:
            run = self.shown(world, world.client(), self.live_word())
            world.sent.clear()
            try:
                with world.going_wrong(elsewhere):
                    run.refresh()
            except ProtocolError:
                away = [_path(each) for each in world.sent if "elsewhere.example" in each.url]
                holds("10.3", not away, "the redirect was followed")
            else:
                broken("10.3", f"a redirect was read as {run.status.vendor_status!r}")

    @proves("10.4")
    def test_10_4_a_refused_credential_is_renewed_once(self) -> None:
        """The file that it comes from was replaced, or the login expired: the same look succeeds."""
        self.needs_requests()
        secrets = self.credentials()
        with tempfile.TemporaryDirectory() as folder, self.world() as world:
            files = {name: Path(folder, name) for name in secrets}
            for name, value in secrets.items():
                files[name].write_text(value)
            sources: dict[str, Any] = {name: {"file": str(path)} for name, path in files.items()}
            client = world.client("sync", **sources)
            run = self.shown(world, client, self.live_word())
            logs_in = client._backend.login() is not None  # noqa: SLF001 - as above
            if not logs_in:
                for name, value in secrets.items():
                    files[name].write_text(f"renewed-{value}")
            before = len(world.sent)
            with world.going_wrong(_expired(world, before)):
                run.refresh()
            again = world.sent[before:]
            renewed = logs_in or any("renewed-" in value for value in again[-1].headers.values())
            holds("10.4", renewed, "the request was not sent with the renewed credential")


def _expired(world: World, before: int) -> Callable[..., Response | Broken]:
    """The first request is refused; after that the vendor takes the old credential and the renewed one alike."""

    def fault(_act: Callable[[], Response]) -> Response:
        if len(world.sent) == before + 1:
            return world.server.refusal(401)
        sent = world.sent[-1]
        headers = {name: value.replace("renewed-", "") for name, value in sent.headers.items()}
        return world.respond(evolve(sent, headers=headers))

    return fault


def _path(sent: Any) -> str:
    return str(sent.url).partition("?")[0].partition("://")[2].partition("/")[2]


def _failure(act: Callable[[], Any]) -> list[str]:
    """What can be seen of an error."""
    try:
        apart(act)
    except FlowrunnerError as error:
        return [str(error), repr(vars(error)), repr(error.__cause__)]
    return []
