"""The connection that operations work for: its backend, its settings, its time, and what is told of it."""

from __future__ import annotations

import logging
from itertools import chain, repeat
from typing import TYPE_CHECKING

from flowrunner import events
from flowrunner.backend import lacks
from flowrunner.errors import FlowrunnerError
from flowrunner.operations.masking import Masker
from flowrunner.operations.steps import ask
from flowrunner.telemetry import recorder

if TYPE_CHECKING:
    from datetime import datetime

    from flowrunner.backend import Backend, Capability
    from flowrunner.clock import Clock
    from flowrunner.config import Connection
    from flowrunner.events import Event, OnEvent
    from flowrunner.models import RunRef
    from flowrunner.operations.steps import Operation
    from flowrunner.secret import Secret

__all__ = ["Context"]

logger = logging.getLogger(__name__)


class Context:
    """What all operations of a connection share.

    Args:
        connection: which.
        backend: the vendor.
        clock: time.
        on_event: the caller's function.
    """

    def __init__(self, connection: Connection, backend: Backend, *, clock: Clock, on_event: OnEvent | None) -> None:
        self.name = connection.name
        self.backend = backend
        self.settings = connection.settings
        self._clock = clock
        self._on_event = on_event
        self.telemetry = recorder()
        self.masker = Masker()
        self.keep_secret(*connection.settings.secrets())

    def monotonic(self) -> float:
        """Seconds since some fixed instant."""
        return self._clock.monotonic()

    def now(self) -> datetime:
        """The time of day, in UTC."""
        return self._clock.now()

    def prepared(self, *, retry: bool = True, at_most: float | None = None) -> Operation[None]:
        """See to it that the backend's capabilities hold: some have to ask the server first."""
        if not self.backend.is_prepared:
            self.notice((yield from ask(self.backend.prepare(), retry=retry, at_most=at_most)))

    def require(self, capability: Capability) -> None:
        """Raise unless the backend has the capability; before any request."""
        if capability not in self.backend.capabilities:
            raise lacks(self.backend.name, capability, here=capability in type(self.backend).capabilities)

    def emit(self, event: Event) -> None:
        """Tell the log, the telemetry, and the caller's function."""
        events.log(event)
        events.deliver(self.telemetry.happened, event)
        events.deliver(self._on_event, event)

    def notice(self, remarks: tuple[str, ...]) -> None:
        """Tell about the connection as a whole, in the log, too: first what is so, then what to beware of."""
        for level, remark in zip(chain([logging.INFO], repeat(logging.WARNING)), remarks, strict=False):
            description = self.masker.text(remark)
            logger.log(level, "connection %s: %s", self.name, description, extra={"connection": self.name})
            self.emit(events.Notice(connection=self.name, description=description))

    def keep_secret(self, *secrets: Secret) -> None:
        """Hide these credentials in everything that is shown; those known before stay hidden."""
        # Of `Bearer TOKEN`, the token alone gives everything away.
        self.masker |= Masker(part for secret in secrets for part in (secret.reveal(), secret.reveal().split(" ")[-1]))

    def masked(self, text: str | None) -> str | None:
        """A text from outside, without credentials."""
        return None if text is None else self.masker.text(text)

    def located(self, error: FlowrunnerError, ref: RunRef | None = None) -> FlowrunnerError:
        """The error, told where it happened and cleared of credentials; those it was raised from, too."""
        cause: BaseException | None = error
        while isinstance(cause, FlowrunnerError):
            cause.locate(connection=self.name, backend=self.backend.name, ref=ref)
            cause = cause.__cause__
        self.masker.error(error)
        return error
