"""The hook: a connection of Airflow, as a client of flowrunner."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from airflow.sdk import BaseHook

import flowrunner
from flowrunner import Capability, FlowrunnerError
from flowrunner_airflow.connections import Server, server

if TYPE_CHECKING:
    from flowrunner import AsyncClient, Client

__all__ = ["FlowrunnerHook"]


class FlowrunnerHook(BaseHook):
    """Connects to the workflow server of a connection of Airflow.

    Args:
        flowrunner_conn_id: the connection. Its host is the server's address, its password the token, API key or
            password, its extra names the `backend` and any other setting.
    """

    conn_name_attr: ClassVar[str] = "flowrunner_conn_id"
    default_conn_name: ClassVar[str] = "flowrunner_default"
    conn_type: ClassVar[str] = "flowrunner"
    hook_name: ClassVar[str] = "flowrunner (workflow servers)"

    def __init__(self, flowrunner_conn_id: str = default_conn_name) -> None:
        super().__init__()
        self.flowrunner_conn_id = flowrunner_conn_id

    def get_server(self) -> Server:
        """What the connection says."""
        connection = self.get_connection(self.flowrunner_conn_id)
        return server(connection, connection.extra_dejson)

    async def aget_server(self) -> Server:
        """As `get_server`, for a trigger."""
        connection = await self.aget_connection(self.flowrunner_conn_id)
        return server(connection, await connection.aextra_dejson())

    def get_client(self) -> Client:
        """A client of its own; close it, or use it in a `with` block."""
        return flowrunner.connect(**self.get_server().settings)

    get_conn = get_client

    async def aget_client(self) -> AsyncClient:
        """As `get_client`, for asyncio. Triggers share one instead, see `flowrunner.share_async`."""
        return flowrunner.connect_async(**(await self.aget_server()).settings)

    def test_connection(self) -> tuple[bool, str]:
        """Whether the server is there and accepts the credential, and what there is to say about it."""
        try:
            with self.get_client() as client:
                return _tested(client)
        except FlowrunnerError as error:
            return False, str(error)


def _tested(client: Client) -> tuple[bool, str]:
    if Capability.HEALTH not in client.capabilities:
        return True, f"{client.backend} has nothing to ask that starts no run; the settings are complete"
    health = client.health()
    is_well = health.reachable and health.authenticated is not False
    parts = [health.message, f"version {health.version}" if health.version else None]
    return is_well, "; ".join(filter(None, parts)) or ("reachable" if is_well else "not reachable")
