"""What a test of an application plays on: simulators, a clock, and clients that find both by themselves."""

from __future__ import annotations

import json
import os
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol, Self

from flowrunner import client, http, journal
from flowrunner.config.file import VARIABLE
from flowrunner.config.sources import variable_of
from flowrunner.simulator import Simulator
from flowrunner.simulator.in_process import InProcessSimulator
from flowrunner.testing.clock import VirtualClock
from flowrunner.testing.sessions import AsyncStagedSession, Servers, StagedSession

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from types import TracebackType

    import pytest

__all__ = ["Stage", "StartSimulator"]


class StartSimulator(Protocol):
    """What the fixture `flowrunner_simulator` is."""

    def __call__(
        self, vendor: str = ..., *, connection: str | None = ..., real_socket: bool = ..., **arguments: Any
    ) -> Simulator:
        """Start a simulator, see `Stage.start`."""
        ...


class Stage:
    """Makes every client that is made inside its `with` block one of the test.

    Args:
        patch: undone by whoever gives it.
        folder: makes the folder for the configuration and the journal.
    """

    def __init__(self, patch: pytest.MonkeyPatch, folder: Callable[[], Path]) -> None:
        self._patch = patch
        self._make_folder = folder
        self._stack = ExitStack()
        self._connections: dict[str, dict[str, str]] = {}

    def __enter__(self) -> Self:
        self._folder = self._make_folder()
        self._give_journal()
        self.clock = VirtualClock()
        self._stack.callback(self.clock.close)
        self._servers = Servers(self.clock)
        self._patch.setattr(client, "SystemClock", lambda: self.clock)
        self._patch.setattr(http, "HttpSession", partial(StagedSession, servers=self._servers))
        self._patch.setattr(http, "AsyncHttpSession", partial(AsyncStagedSession, servers=self._servers))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def start(
        self,
        vendor: str = "fme-flow",
        *,
        connection: str | None = None,
        real_socket: bool = False,
        **arguments: Any,
    ) -> Simulator:
        """Start a simulator that stops when the test ends, and configure a connection to it.

        Args:
            vendor: as for `Simulator`; it is the backend of the connection, too.
            connection: what the application calls it; as the vendor if None.
            real_socket: listen on a port of the loopback interface, as a server for all of this machine.
            **arguments: as for `Simulator`, but for its clock.
        """
        kind = Simulator if real_socket else InProcessSimulator
        simulator = self._stack.enter_context(kind(vendor, clock=self.clock, **arguments))
        if isinstance(simulator, InProcessSimulator):
            self._servers.add(simulator)
        self._configure(connection or vendor, {"backend": vendor, **simulator.settings})
        return simulator

    def _give_journal(self) -> None:
        """Have nothing written into the user's journal: one test would find there what another has submitted."""
        state = self._folder / "state"
        file = state / "flowrunner" / "journal.sqlite3"
        self._patch.setattr(journal, "default_path", lambda: file)
        self._patch.setenv("FLOWRUNNER_JOURNAL", str(file))  # for the command line
        self._patch.setenv("XDG_STATE_HOME", str(state))  # for programs that the test starts

    def _configure(self, name: str, settings: dict[str, str]) -> None:
        """Have `connect(name)` find it: a setting in the environment of this machine would win over the file."""
        for each in [each for each in os.environ if each.startswith(variable_of(name, ""))]:
            self._patch.delenv(each)
        self._connections[name] = settings
        file = self._folder / "flowrunner.toml"
        self._patch.setenv(VARIABLE, str(file))
        file.write_text("\n".join(map(_table, self._connections.items())), encoding="utf-8")


def _table(connection: tuple[str, dict[str, str]]) -> str:
    name, settings = connection
    lines = [f"{key} = {_quoted(value)}" for key, value in settings.items()]
    return "\n".join([f"[connections.{_quoted(name)}]", *lines, ""])


def _quoted(text: str) -> str:
    """As TOML writes a text; JSON does alike."""
    return json.dumps(text, ensure_ascii=False)
