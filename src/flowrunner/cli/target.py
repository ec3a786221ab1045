"""Which connection and which run are meant."""

from __future__ import annotations

import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click
from attrs import frozen

from flowrunner.connecting import connect
from flowrunner.errors import JournalError, UnknownConnection
from flowrunner.events import Submitted
from flowrunner.models import RunRef

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flowrunner.cli.options import JournalPlace
    from flowrunner.cli.output import Output
    from flowrunner.client import AsyncClient, Client, Run
    from flowrunner.events import Event, OnEvent

__all__ = [
    "Target",
    "attached",
    "connected",
    "is_reference",
    "read_target",
    "read_targets",
    "reference_explained",
    "reference_of",
    "warnings_told",
]

_PREFIX = "flowrunner:"


@frozen
class Target:
    """A run, as the arguments name it.

    Attributes:
        connection: its configured name.
        run: the vendor's id, or a reference.
        is_reference_alone: whether the connection was read from the reference.
    """

    connection: str
    run: str
    is_reference_alone: bool = False


def is_reference(word: str) -> bool:
    """Whether a word is a run's reference, rather than the name of a connection or an id."""
    return word.startswith(_PREFIX)


def read_target(words: tuple[str, ...]) -> Target:
    """Read `CONNECTION RUN`, or a reference alone.

    Raises:
        click.UsageError: the arguments are neither.
        InvalidRequest: the reference cannot be read.
    """
    if len(words) == 2:
        return Target(*words)
    if len(words) == 1 and is_reference(words[0]):
        return Target(RunRef.parse(words[0]).connection, words[0], is_reference_alone=True)
    raise click.UsageError(
        "Name the run by CONNECTION RUN, where RUN is the vendor's id or a reference, or by a reference alone"
        f" ({_PREFIX}1:...)."
    )


def read_targets(words: tuple[str, ...]) -> list[Target]:
    """Read references, and the ids of one connection, whose name is the first word that is no reference.

    Raises:
        click.UsageError: no run is named, or an id without a connection.
        InvalidRequest: a reference cannot be read.
    """
    targets: list[Target] = []
    connection: str | None = None
    for word in words:
        if is_reference(word):
            targets.append(read_target((word,)))
        elif connection is None:
            connection = word
        else:
            targets.append(Target(connection, word))
    has_ids = any(not target.is_reference_alone for target in targets)
    if not targets or (connection is not None and not has_ids):
        raise click.UsageError(f"Name runs by CONNECTION RUN..., or by references ({_PREFIX}1:...).")
    return targets


@contextmanager
def connected(
    connection: str,
    config: str | None,
    journal: JournalPlace,
    output: Output,
    *,
    submits: bool = False,
    on_event: OnEvent | None = None,
) -> Iterator[Client]:
    """A client of a configured connection; the configuration's warnings and the events become messages.

    Args:
        connection: its name.
        config: the configuration that was asked for.
        journal: as `connect` takes it.
        output: where messages go.
        submits: whether the journal is needed; a command that looks at a run goes without one that cannot be used.
        on_event: takes the events, instead of `output`.
    """
    on_event = on_event or output.event
    with warnings_told(output):
        try:
            client = connect(connection, config=config, on_event=on_event, journal=journal)
        except JournalError as error:
            if submits:
                error.add_note("To go without a journal: --journal none")
                raise
            output.say(f"Warning: this is not written down: {error.message}")
            client = connect(connection, config=config, on_event=on_event)
    with client:
        yield client


@contextmanager
def warnings_told(output: Output) -> Iterator[None]:
    """Make messages of what the configuration warns of."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        yield
    for warning in caught:
        output.say(f"Warning: {warning.message}")


@contextmanager
def attached(words: tuple[str, ...], config: str | None, journal: JournalPlace, output: Output) -> Iterator[Run]:
    """The run that the arguments name, on a client of its connection."""
    target = read_target(words)

    def told(event: Event) -> None:
        if isinstance(event, Submitted):  # nothing is submitted here: a look has settled it
            output.say(f"Taken as the run of key {event.ref.key!r}.")
        else:
            output.event(event)

    with (
        reference_explained(target),
        connected(target.connection, config, journal, output, on_event=told) as client,
    ):
        yield client.attach(reference_of(target, client))


def reference_of(target: Target, client: Client | AsyncClient) -> RunRef:
    """The reference of a run, on a client of its connection."""
    if is_reference(target.run):
        return RunRef.parse(target.run)
    return RunRef(client.name, client.backend, "", target.run)


@contextmanager
def reference_explained(target: Target) -> Iterator[None]:
    """Say more of a reference that names settings given in place, which no configuration can have."""
    try:
        yield
    except UnknownConnection as error:
        if not target.is_reference_alone or "@" not in target.connection:
            raise
        ref = RunRef.parse(target.run)
        raise UnknownConnection(
            f"the run was started with settings given in place ({ref.connection}), which no configuration names: "
            f"configure a connection to that server and give its name and the run's id ({ref.id})"
        ) from error
