"""From a connection as Airflow keeps it to the settings that flowrunner takes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, Protocol, get_origin

from airflow.sdk.exceptions import AirflowFailException
from attrs import frozen

from flowrunner import registry
from flowrunner.config.settings import declared, from_text, some
from flowrunner.errors import FlowrunnerError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flowrunner.config.settings import Setting

__all__ = ["BACKEND", "CREDENTIALS", "RUN_URL", "STANDARD", "Server", "server"]

BACKEND: Final = "backend"
"""The extra that names the vendor."""
RUN_URL: Final = "run_url"
"""The extra with the address of the vendor's page about a run."""
STANDARD: Final = frozenset({"base_url", "username"})
"""The settings that have a field in every connection of Airflow: host and login."""
CREDENTIALS: Final = frozenset({"token", "api_key", "password"})
"""The settings that its password stands for, whichever the backend has."""


class AirflowConnection(Protocol):
    """As much of a connection of Airflow as is read here."""

    conn_id: str
    host: str | None
    schema: str | None
    login: str | None
    password: str | None
    port: int | None


@frozen
class Server:
    """Where runs are started.

    Attributes:
        settings: what `flowrunner.connect` takes, credentials among them.
        run_url: the address of the vendor's page about a run, with `{id}` and `{flow}`; None where nobody gave one.
    """

    settings: Mapping[str, Any]
    run_url: str | None = None

    def __repr__(self) -> str:
        return f"<Server {self.settings.get('base_url')}>"

    def page_of(self, ref: Any) -> str:
        """The address of the vendor's page about a run; empty where it is not known."""
        return "" if self.run_url is None else self.run_url.replace("{id}", ref.id or "").replace("{flow}", ref.flow)


def server(connection: AirflowConnection, extra: Mapping[str, Any]) -> Server:
    """What a connection says.

    Args:
        connection: as Airflow keeps it.
        extra: its extra, decoded. What is empty there was left empty in a form.

    Raises:
        AirflowFailException: it names no backend, one that there is not, or a setting that reads as no value.
    """
    given = {name: value for name, value in extra.items() if value not in (None, "", {}, [])}
    backend, run_url = given.pop(BACKEND, None), given.pop(RUN_URL, None)
    where = f"connection {connection.conn_id!r}"
    if backend is None:
        raise AirflowFailException(f"{where} has no extra `backend`: one of {', '.join(registry.names())}")
    try:
        known = declared(registry.load(backend).settings_class)
    except FlowrunnerError as error:
        raise AirflowFailException(f"{where}: {error}") from error
    settings = _standard(connection, known) | {
        name: _read(where, name, value, known.get(name)) for name, value in given.items()
    }
    return Server({BACKEND: backend, **settings}, run_url)


def _standard(connection: AirflowConnection, known: Mapping[str, Setting]) -> dict[str, Any]:
    """What stands in the fields that every connection has."""
    found = {"base_url": _address(connection), "username": connection.login or None}
    if connection.password:
        found[_credential(connection, known)] = connection.password
    return {name: value for name, value in found.items() if value is not None}


def _address(connection: AirflowConnection) -> str | None:
    if not connection.host or "://" in connection.host:
        return connection.host or None
    port = f":{connection.port}" if connection.port else ""
    return f"{connection.schema or 'https'}://{connection.host}{port}"


def _credential(connection: AirflowConnection, known: Mapping[str, Setting]) -> str:
    """The setting that the password stands for: that of a user where one is named, else the backend's own."""
    if connection.login and "password" in known:
        return "password"
    return next((name for name in ("token", "api_key") if name in known), "password")


def _read(where: str, name: str, value: Any, setting: Setting | None) -> Any:
    """A value as its setting takes it: a connection written as an address has text for everything."""
    if setting is None or setting.is_secret or not isinstance(value, str):
        return value
    try:
        is_nested = get_origin(some(setting.type)) is not None
        return json.loads(value) if is_nested else from_text(value, setting.type)
    except ValueError as error:
        raise AirflowFailException(f"{where}: {name}: {error}") from None
