"""`flowrunner run --sets`: a run for each row of a file, so many at once."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from typing import TYPE_CHECKING, Final, NoReturn

from flowrunner.cli.assignments import described, values_of
from flowrunner.cli.exit_codes import ExitCode
from flowrunner.cli.live import live_console, live_line
from flowrunner.cli.outcome import answer_command, end, interrupted
from flowrunner.cli.sets import read_rows
from flowrunner.cli.tally import Tally
from flowrunner.cli.target import connected

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from flowrunner.cli.output import Output
    from flowrunner.cli.run import Order
    from flowrunner.cli.sets import Row
    from flowrunner.cli.tally import Taken
    from flowrunner.client import Client
    from flowrunner.events import Event
    from flowrunner.models import SubmitOptions

__all__ = ["AT_ONCE", "run_each"]

AT_ONCE: Final = 8
"""How many runs live at once unless said otherwise."""


def run_each(order: Order, file: str, output: Output) -> None:
    """Run the flow for each row of a file, and end the command with the exit code of the first that did not succeed.

    Raises:
        InvalidRequest: a file cannot be read, or a row makes no sense. Nothing was started.
    """
    options, rows = order.submit_options(), read_rows(file)
    tally = Tally(order.flow, rows, order.key)

    def told(event: Event) -> None:
        tally.note(event)
        output.event(event)

    with connected(order.connection, order.config, order.journal, output, submits=True, on_event=told) as client:
        try:
            console = live_console(output)
            with nullcontext() if console is None else live_line(tally, console, output):
                _run_all(order, client, tally, output, options)
        except KeyboardInterrupt:
            _break_off(tally, order, output)
    output.say(f"{tally.summary()}.")
    for line in tally.known():
        output.say(line)
    _advise(tally, order, output)
    end(tally.code)


def _run_all(order: Order, client: Client, tally: Tally, output: Output, options: SubmitOptions) -> None:
    sets = tally.taking(_sets(order, client, tally.rows))
    key = None if order.key is None else lambda index, _: tally.taken[index].key
    for item in client.map(order.flow, sets, max_in_flight=order.max_in_flight or AT_ONCE, options=options, key=key):
        _tell(tally.ended(item), output)


def _sets(order: Order, client: Client, rows: Sequence[Row]) -> list[Mapping[str, Any]]:
    """The parameters of each row, with what is said of all of them: in a file below it, and by `-p` above it."""
    below, above = order.from_file(), order.assignments
    given = [*below, *above, *(each for row in rows for each in row.assignments)]
    spec = described(client, order.flow, given, keyed=order.key is not None)
    common, fixed = values_of(below, spec), values_of(above, spec)
    return [{**common, **values_of(row.assignments, spec), **fixed} for row in rows]


def _advise(tally: Tally, order: Order, output: Output) -> None:
    """Say what to do about rows that need somebody."""
    if any(taken.code is ExitCode.UNCERTAIN for taken in tally.taken):
        output.say(order.how_to_go_on())
    waiting = [taken.ref for taken in tally.taken if taken.code is ExitCode.WAITING and taken.ref is not None]
    if waiting:
        output.say(f"Answer those that wait, the first of them with:\n  {answer_command(waiting[0], order.config)}")


def _tell(taken: Taken, output: Output) -> None:
    output.data(taken.line() if sys.stdout.isatty() else "\t".join(taken.fields()))
    output.record(taken.to_dict())


def _break_off(tally: Tally, order: Order, output: Output) -> NoReturn:
    """Tell what was started and has not been told yet, and how to go on."""
    for taken in tally.break_off():
        _tell(taken, output)
    lines = [f"Interrupted. {tally.summary()}.", *tally.left()]
    if order.journal is not False:
        lines.append(f"The runs go on. Find those that have not ended with:\n  {order.recover()}")
    interrupted(output, "\n".join(lines))
