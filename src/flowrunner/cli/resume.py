"""`flowrunner resume`: answer a run that waits for a person."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from flowrunner.backend import Capability, lacks
from flowrunner.cli.following import follow_to_end
from flowrunner.cli.forms import NOTHING, ask, fields_of, keyed, misfits
from flowrunner.cli.options import config_option, journal_option, json_option, run_arguments, timeout_option
from flowrunner.cli.outcome import answer_command, reporting
from flowrunner.cli.output import Output, is_interactive, one_line, run_object
from flowrunner.cli.target import attached
from flowrunner.cli.value_files import read_values
from flowrunner.enums import WaitReason
from flowrunner.errors import FlowrunnerError, InputRequired, InvalidParameters, InvalidRequest
from flowrunner.states import needs_a_person

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from flowrunner.cli.forms import Field
    from flowrunner.cli.options import JournalPlace
    from flowrunner.client import Client, Run

__all__ = ["command"]

_HELP = """\
Answer a run that waits for a person, and let it go on. At a terminal each thing it asks is asked for; what the vendor
proposes stands there already. Otherwise the answers come from a file of JSON, TOML or YAML, by --answers.

The file has names and values. A name is a key, as --show shows it, or a title where only one field has it. What is left
out stays as the vendor proposes. Answers that do not fit are named, and nothing is sent.

With --show, only show what the run asks. With --wait, follow the run to its end when it is answered, show how it ended,
and tell that by the exit code (see `flowrunner --help`); if it asks again, the exit code is 5.

RUN is the vendor's id or a reference; a reference alone names its connection.

With --json, stdout is one object: {"ref", "id", "flow", "status"}, with --wait also {"outputs", "artifacts", "metrics",
"raw"}, and with --show {"schema", "model", "form"}. If something went wrong it has {"error", "message", "exit_code"},
and for answers that do not fit {"problems"}, by key.

\b
Examples:
  flowrunner resume "$ref"
  flowrunner resume "$ref" --show
  flowrunner resume "$ref" --answers answers.yaml --wait
  echo '{"Name": "Ada"}' | flowrunner resume "$ref" --answers -
"""


@click.command("resume", help=_HELP, short_help="Answer a run that waits for a person.")
@run_arguments
@click.option("--answers", metavar="FILE", help="The answers: .json, .toml, .yaml or .yml; `-` reads JSON from stdin.")
@click.option("--show", is_flag=True, help="Show what the run asks, and answer nothing.")
@click.option("--wait", is_flag=True, help="Follow the run to its end when it is answered.")
@timeout_option
@config_option
@journal_option
@json_option
def command(
    words: tuple[str, ...],
    *,
    answers: str | None,
    show: bool,
    wait: bool,
    timeout: float | None,
    config: str | None,
    journal: JournalPlace,
    as_json: bool,
) -> None:
    """See `_HELP`."""
    _check(answers, timeout, show=show, wait=wait)
    output = Output(as_json=as_json)
    with reporting(output):
        given = None if answers is None else read_values(answers)
        with attached(words, config, journal, output) as run:
            asked = _asked(run)
            fields = fields_of(asked, _names(run))
            if show:
                _show(run, asked, fields, output)
                output.say(f"Answer it at a terminal, or with --answers FILE, by:\n  {answer_command(run.ref, config)}")
                return
            _answer(run, asked, fields, given, output)
            if wait:
                follow_to_end(run, timeout=timeout, output=output, config=config)
            output.status(run.status)
            output.record(run_object(run))


def _check(answers: str | None, timeout: float | None, *, show: bool, wait: bool) -> None:
    if show and (answers is not None or wait):
        raise click.UsageError("--show answers nothing: leave out --answers and --wait.")
    if timeout is not None and not wait:
        raise click.UsageError("--timeout bounds the wait: give --wait, too.")
    if answers is None and not show and not is_interactive():
        raise click.UsageError("There is no terminal to ask at: see with --show what is asked, and give --answers.")


def _asked(run: Run) -> InputRequired:
    """What the run asks.

    Raises:
        InvalidRequest: it does not wait for anyone.
        InputRequired: it does, and what it asks could not be read.
        UnsupportedOperation: the vendor has no such runs.
    """
    client: Client = run._client  # noqa: SLF001 - the command has made both
    status = run.refresh()
    if Capability.RESUME not in client.capabilities:
        raise lacks(client.backend, Capability.RESUME, ref=run.ref)
    if not needs_a_person(status):
        raise InvalidRequest(f"the run is {status.state} and does not wait for an answer", ref=run.ref)
    try:
        run.wait(0)
    except InputRequired as asked:
        if getattr(asked, "__notes__", ()):
            raise
        return asked
    raise InvalidRequest(f"the run is {run.status.state} and does not wait for an answer", ref=run.ref)


def _names(run: Run) -> dict[str, str]:
    """What people call the flows, if it is a flow that is to be chosen: the vendor shows their ids."""
    client: Client = run._client  # noqa: SLF001 - the command has made both
    if run.status.reason is not WaitReason.FLOW_SELECTION or Capability.LIST_FLOWS not in client.capabilities:
        return {}
    try:
        return {info.flow: f"{info.title} ({info.flow})" for info in client.flows() if info.title}
    except FlowrunnerError:
        return {}


def _show(run: Run, asked: InputRequired, fields: Sequence[Field], output: Output) -> None:
    output.fields([("asks for", str(run.status.reason)), ("message", one_line(run.status.message or ""))])
    for field in fields:
        output.data("")
        output.fields(_lines_of(field))
    output.record({**run_object(run), "schema": asked.schema, "model": asked.model or {}, "form": list(asked.form)})


def _lines_of(field: Field) -> Iterator[tuple[str, str]]:
    yield "field", field.title
    yield "key", one_line(field.key) if field.key != field.title else ""
    yield "about", field.description
    yield "takes", field.takes
    yield "needed", "yes" if field.is_required else "no"
    yield "proposed", one_line(field.shown(field.proposed))


def _answer(
    run: Run, asked: InputRequired, fields: Sequence[Field], given: Mapping[str, Any] | None, output: Output
) -> None:
    """Answer, with what is given, or what a person says until it fits.

    Raises:
        InvalidParameters: what is given does not fit. Nothing was sent.
    """
    if given is not None:
        _send(run, asked, fields, keyed(given, fields))
        return
    output.insist(one_line(run.status.message or f"The run waits: {run.status.reason}."))
    answers: dict[str, Any] = {}
    open_ones = list(fields)
    while True:
        kept = {key: answer for key, answer in answers.items() if key not in {field.key for field in open_ones}}
        answers = {**kept, **_ask_all(open_ones, answers)}
        try:
            _send(run, asked, fields, answers)
        except InvalidParameters as error:
            output.insist(error.message)
            open_ones = [field for field in fields if field.key in error.problems] or list(fields)
        else:
            return


def _ask_all(fields: Sequence[Field], before: Mapping[str, Any]) -> dict[str, Any]:
    asked = {field.key: ask(field, before.get(field.key)) for field in fields}
    return {key: answer for key, answer in asked.items() if answer is not NOTHING}


def _send(run: Run, asked: InputRequired, fields: Sequence[Field], answers: Mapping[str, Any]) -> None:
    """Send the answers, if they fit.

    Raises:
        InvalidParameters: they do not; its text names each field as people do, and shows no secret.
    """
    problems = misfits(answers, fields, asked.model or {})
    if not problems:
        try:
            run.resume(answers)
        except InvalidParameters as error:
            problems = error.problems
        else:
            return
    secrets = {field.key for field in fields if field.is_secret}
    told = {key: "does not fit" if key in secrets and key in answers else text for key, text in problems.items()}
    titles = {field.key: field.title for field in fields}
    texts = "; ".join(f"{titles.get(key, key)} {text}" for key, text in told.items())
    raise InvalidParameters(f"the answers do not fit what is asked: {texts}", problems=told, ref=run.ref)
