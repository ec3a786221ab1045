"""`flowrunner run`: start a run, and follow it to its end if asked."""

from __future__ import annotations

import shutil
import sys
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final

import click
from attrs import frozen

from flowrunner.cli.assignments import Assignment, assigned, described, read_assignments, values_of
from flowrunner.cli.completing import connection_names
from flowrunner.cli.following import follow_to_end
from flowrunner.cli.mapping import run_each
from flowrunner.cli.options import Seconds, config_option, journal_option, json_option, timeout_option
from flowrunner.cli.outcome import command_line, interrupted, reported, reporting
from flowrunner.cli.output import Output, run_object, seen
from flowrunner.cli.submit_options import submit_options
from flowrunner.cli.target import connected
from flowrunner.cli.value_files import STDIN, read_values
from flowrunner.errors import FlowrunnerError, SubmissionUncertain

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flowrunner.cli.options import JournalPlace
    from flowrunner.client import Client, Run
    from flowrunner.models import SubmitOptions

__all__ = ["command"]

_HELP = """\
Start a run of FLOW on CONNECTION and print its reference, one line that `status`, `wait` and `cancel` take.

With --wait, follow it to its end, show how it ended, and tell that by the exit code (see `flowrunner --help`).

Text given with -p becomes a number, a truth value or a list where the flow's description says so. NAME:=JSON gives a
value as it is. Give NAME several times for a list. NAME=@FILE gives the text in a file or, if the parameter takes a
file, uploads it; NAME=@@TEXT is the text @TEXT. Several parameters come from a file of JSON, TOML or YAML with -P;
what -p says of one counts more.

--option gives options that every backend may have (queue, description, max_run_time, max_queue_time, success_topics,
failure_topics, directives), --extra a backend's own, which are in its page of the reference; both as NAME=VALUE or
NAME:=JSON.

With --sets, start a run for each row of a file, so many at once, and follow all of them. A row is a line of CSV, whose
first line names the parameters, or a JSON object on a line; its texts are read as those of -p. What -P says counts
less, what -p says counts more. When a run has ended there is a line of its row, from 0, its reference and how it ended.
A row that cannot be submitted stops no other. The exit code is 0 if all runs succeeded, else that of the first row, in
the order of the file, whose run did not. Options such as --queue count for every run. With --key, each row's run has
the key TEXT:ROW, so the same command again starts only what was not started; a row that has changed since is refused.

With --json, stdout is one object: {"ref", "id", "flow", "status"}, and with --wait also {"outputs", "artifacts",
"metrics", "raw"}; with --sets it is a line for each row: {"index", "line", "ref", "id", "flow", "status"}. If something
went wrong it has {"error", "message", "exit_code"}.

\b
Examples:
  flowrunner run prod Samples/austinDownload.fmw -p MAXY=42 -p THEMES=parks
  flowrunner run prod Samples/austinDownload.fmw -p 'THEMES:=["parks"]' --wait
  flowrunner run prod Samples/austinApartments.fmw -P parameters.yaml -p accountPassword=@/run/secrets/account
  flowrunner run reports 6de9206a-... --payload tag.xml --extra batch=true
  ref=$(flowrunner run prod Samples/austinApartments.fmw --queue Night)
  flowrunner run prod Samples/austinApartments.fmw --key "nightly-$(date +%F)"
  flowrunner run prod Samples/austinDownload.fmw --sets districts.csv -p THEMES=parks --max-in-flight 4
  flowrunner run prod Samples/austinDownload.fmw --sets districts.csv --queue Night --key "districts-$(date +%F)"
"""


def _read_with_files(ctx: click.Context, param: click.Parameter, arguments: tuple[str, ...]) -> tuple[Assignment, ...]:
    return _read(ctx, param, arguments, files=True)


def _read(
    ctx: click.Context, param: click.Parameter, arguments: tuple[str, ...], *, files: bool = False
) -> tuple[Assignment, ...]:
    try:
        return read_assignments(arguments, files=files)
    except ValueError as error:
        raise click.BadParameter(str(error), ctx, param) from None


@click.command(
    "run", help=_HELP, short_help="Start a run; with --wait, follow it to its end.",
    context_settings={"allow_extra_args": True},
)  # fmt: skip
@click.argument("connection", shell_complete=connection_names)
@click.argument("flow")
@click.option(
    "-p", "--parameter", "assignments", callback=_read_with_files, multiple=True, metavar="NAME=VALUE",
    help="A parameter of the flow; may be given several times.",
)  # fmt: skip
@click.option(
    "-P", "--parameters", "parameters_file", metavar="FILE",
    help="Parameters from a file: .json, .toml, .yaml or .yml; `-` reads JSON from stdin.",
)  # fmt: skip
@click.option("--payload", metavar="FILE", help="Data for the flow, sent as they are; `-` reads them from stdin.")
@click.option("--queue", metavar="NAME", help="The vendor's queue.")
@click.option("--description", metavar="TEXT", help="A text that the vendor keeps with the run.")
@click.option("--max-run-time", type=Seconds(), metavar="SECONDS", help="The vendor cancels a run that works longer.")
@click.option(
    "--max-queue-time", type=Seconds(), metavar="SECONDS", help="The vendor gives up a run that queues longer."
)
@click.option(
    "--option", "options", callback=_read, multiple=True, metavar="NAME=VALUE",
    help="Another option of the submission; may be given several times.",
)  # fmt: skip
@click.option(
    "--extra", callback=_read, multiple=True, metavar="NAME=VALUE",
    help="An option of the backend's own; may be given several times.",
)  # fmt: skip
@click.option(
    "--key", metavar="TEXT",
    help="The same key again gives the run that it started before. With --sets, rows have the keys TEXT:0, TEXT:1...",
)  # fmt: skip
@click.option(
    "--sets", metavar="FILE",
    help="A run for each row of a file: .csv, .tsv, .jsonl or .ndjson; `-` reads JSON Lines from stdin.",
)  # fmt: skip
@click.option(
    "--max-in-flight", type=click.IntRange(min=1), metavar="N", help="With --sets: so many runs at once, 8 if absent."
)
@click.option("--wait", is_flag=True, help="Follow the run to its end.")
@timeout_option
@config_option
@journal_option
@json_option
@click.pass_context
def command(ctx: click.Context, /, *, as_json: bool, **asked: Any) -> None:
    """See `_HELP`."""
    _refuse_more(ctx)
    order = Order(**asked)
    _check(order)
    output = Output(as_json=as_json)
    with reporting(output):
        if order.sets is None:
            _run(order, output)
        else:
            run_each(order, order.sets, output)


@frozen(kw_only=True)
class Order:
    """What is to be run, where and how, as the arguments say it; see their help."""

    connection: str
    flow: str
    assignments: tuple[Assignment, ...]
    parameters_file: str | None
    payload: str | None
    queue: str | None
    description: str | None
    max_run_time: float | None
    max_queue_time: float | None
    options: tuple[Assignment, ...]
    extra: tuple[Assignment, ...]
    key: str | None
    sets: str | None
    max_in_flight: int | None
    wait: bool
    timeout: float | None
    config: str | None
    journal: JournalPlace

    def submit_options(self) -> SubmitOptions:
        """How to run it.

        Raises:
            InvalidRequest: an option is not there, or does not fit.
        """
        own = {name: getattr(self, name) for name in ("queue", "description", "max_run_time", "max_queue_time")}
        return submit_options(own, self.options, self.extra)

    def from_file(self) -> tuple[Assignment, ...]:
        """What the file says of parameters; `assignments` count more.

        Raises:
            InvalidRequest: the file cannot be read.
        """
        return () if self.parameters_file is None else assigned(read_values(self.parameters_file))

    def how_to_go_on(self) -> str:
        """What to do about a submission whose outcome is unknown."""
        if self.journal is False:
            return "It was not written down: look at the vendor's list of runs before you start it again."
        return f"Before you start it again, find out with:\n  {self.recover()}"

    def recover(self) -> str:
        """The command that finds what was started and not seen to end."""
        return command_line("recover", self.connection, config=self.config, journal=self.journal)


def _refuse_more(ctx: click.Context) -> None:
    """Refuse arguments that are too many, without showing them: one may be a password that was to be a parameter."""
    if ctx.args:
        raise click.UsageError(f"{len(ctx.args)} too many behind FLOW: a parameter is given with -p NAME=VALUE.")


def _check(order: Order) -> None:
    if order.sets is not None:
        _check_for_sets(order)
    elif order.max_in_flight is not None:
        raise click.UsageError("--max-in-flight says how many rows run at once: give --sets, too.")
    if order.timeout is not None and not order.wait:
        raise click.UsageError("--timeout bounds the wait: give --wait, too.")
    values = [str(each.value) for each in order.assignments if each.is_file]
    if [order.parameters_file, order.payload, order.sets, *values].count(STDIN) > 1:
        raise click.UsageError("Stdin can be read once: give `-` once.")


_OF_ONE_RUN: Final = {
    "payload": "--payload is for one run: rows have parameters, not data.",
    "timeout": "--timeout is for one run: what bounds each of several is --max-run-time, where the vendor has it.",
}
"""What cannot be given for several runs, and what to do instead."""


def _check_for_sets(order: Order) -> None:
    for name, problem in _OF_ONE_RUN.items():
        if getattr(order, name) is not None:
            raise click.UsageError(f"{problem} It cannot be given with --sets.")
    if order.key == "":  # as --key "$NAME" says where the variable is not set
        raise click.UsageError("--key is empty: give a text that is the same only where the runs are to be the same.")


def _run(order: Order, output: Output) -> None:
    options, below = order.submit_options(), order.from_file()
    with connected(order.connection, order.config, order.journal, output, submits=True) as client:
        spec = described(client, order.flow, (*below, *order.assignments), keyed=order.key is not None)
        values = {**values_of(below, spec), **values_of(order.assignments, spec)}
        with _payload(order.payload) as payload:
            run = _submitted(client, output, order, parameters=values, payload=payload, options=options)
        if not output.has_submitted:
            _tell_known(run, output)
        output.data(str(run.ref))
        if order.wait:
            if output.as_json:
                output.say(f"Started {run.ref}")
            follow_to_end(run, timeout=order.timeout, output=output, config=order.config)
        output.record(run_object(run))


@contextmanager
def _payload(file: str | None) -> Iterator[Path | None]:
    """The file with the data; what comes from stdin goes through one, since it may be more than fits into memory."""
    if file != STDIN:
        yield None if file is None else Path(file)
        return
    with TemporaryDirectory(prefix="flowrunner-") as folder:
        path = Path(folder) / "payload"
        with path.open("wb") as target:
            shutil.copyfileobj(sys.stdin.buffer, target)
        yield path


def _submitted(client: Client, output: Output, order: Order, **arguments: Any) -> Run:
    try:
        return client.submit(order.flow, key=order.key, **arguments)
    except FlowrunnerError as error:
        output.tell_unchecked(error)
        reported(error, output, *([order.how_to_go_on()] if isinstance(error, SubmissionUncertain) else []))
    except KeyboardInterrupt:
        interrupted(
            output,
            f"Interrupted while submitting: it is not known whether a run was started. {order.how_to_go_on()}",
        )


def _tell_known(run: Run, output: Output) -> None:
    """Say that nothing was started: the key has its run, however that went."""
    output.say(f"Key {run.ref.key!r} was submitted before; its run is {seen(run.status)}.")
    if run.status.state.is_final:
        output.say("To run the flow again, give it a new key.")
