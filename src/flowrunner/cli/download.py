"""`flowrunner download`: bring the files of a run here."""

from __future__ import annotations

import os
from contextlib import contextmanager
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING, Any

import click
from attrs import frozen

from flowrunner.backend import Capability, lacks
from flowrunner.cli.completing import connection_names
from flowrunner.cli.following import result_now
from flowrunner.cli.options import config_option, journal_option, json_option
from flowrunner.cli.outcome import interrupted, reporting
from flowrunner.cli.output import Output, unbroken
from flowrunner.cli.target import attached, is_reference
from flowrunner.cli.transfer import transferring
from flowrunner.errors import FlowrunnerError, InvalidRequest
from flowrunner.models import file_name
from flowrunner.nearmiss import suggestion

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from flowrunner.cli.options import JournalPlace
    from flowrunner.client import Run
    from flowrunner.models import Artifact

__all__ = ["command"]

_HELP = """\
Bring the files that a finished run made here, all of them or those named by ARTIFACT, and print where each is. `result`
shows their names.

They go into the folder of --to, which is made if need be, or into the current one, under their own names: none leads
out of the folder or is hidden, and of two that are the same the second gets a number. If there is a file of such a name
already, nothing is brought, unless --force has it replaced. Each file appears only when it is whole. Ctrl-C leaves
nothing of the one it interrupts; those that came before stay.

RUN is the vendor's id or a reference; a reference alone names its connection. The exit code is 0 if all files are here,
however the run ended; it is that of `wait` if the run has not ended.

With --json, stdout is an object on a line for each file: {"name", "path", "media_type", "size"}.

\b
Examples:
  flowrunner download prod 4711
  flowrunner download "$ref" --to results
  flowrunner download "$ref" report.pdf --force
"""


@click.command("download", help=_HELP, short_help="Bring the files of a run here.")
@click.argument(
    "words", nargs=-1, required=True, metavar="[CONNECTION] RUN [ARTIFACT]...", shell_complete=connection_names
)
@click.option("--to", "folder", type=click.Path(file_okay=False, path_type=Path), default=".", metavar="FOLDER",
    help="Where the files go; the current folder if absent.")  # fmt: skip
@click.option("--force", is_flag=True, help="Overwrite files that are there.")
@config_option
@journal_option
@json_option
def command(
    words: tuple[str, ...],
    *,
    folder: Path,
    force: bool,
    config: str | None,
    journal: JournalPlace,
    as_json: bool,
) -> None:
    """See `_HELP`."""
    output = Output(as_json=as_json)
    length = 1 if is_reference(words[0]) else 2
    with reporting(output), attached(words[:length], config, journal, output) as run:
        files = _planned(_artifacts(run, words[length:]), folder)
        if not files:
            output.say("The run made no files.")
            return
        with _writing_to(folder):
            folder.mkdir(parents=True, exist_ok=True)
        if not force:
            _refuse_existing(files)
        _bring(files, output, force=force)


@frozen
class _File:
    """A file of the run, and where it goes."""

    artifact: Artifact
    path: Path


def _artifacts(run: Run, names: Sequence[str]) -> list[Artifact]:
    """Those of these names, or all."""
    if Capability.ARTIFACTS not in run._client.capabilities:  # noqa: SLF001 - they are the run's, too
        raise lacks(run.ref.backend, Capability.ARTIFACTS, ref=run.ref)
    found: Any = result_now(run, raise_on_failure=False).artifacts
    known = {artifact.name for artifact in found}
    for name in names:
        if name not in known:
            raise InvalidRequest(f"the run made no file {name!r}: {suggestion(name, known)}", ref=run.ref)
    return [artifact for artifact in found if not names or artifact.name in names]


def _planned(artifacts: Sequence[Artifact], folder: Path) -> list[_File]:
    """Where each goes: under its own name, with a number behind it where another one has that."""
    taken: set[str] = set()
    files = []
    for artifact in artifacts:
        name = Path(file_name(artifact.name))
        numbered = (name.with_name(f"{name.stem}-{number}{name.suffix}") for number in range(2, len(artifacts) + 2))
        path = next(each for each in (name, *numbered) if str(each).casefold() not in taken)
        taken.add(str(path).casefold())
        files.append(_File(artifact, folder / path))
    return files


def _refuse_existing(files: Sequence[_File]) -> None:
    for file in files:
        with _writing_to(file.path):
            if _is_there(file.path):
                raise _already_there(file.path)


def _is_there(path: Path) -> bool:
    """Whether something has this name, be it a link that leads nowhere."""
    try:
        path.lstat()
    except FileNotFoundError:
        return False
    return True


def _already_there(path: Path) -> InvalidRequest:
    return InvalidRequest(f"the file {str(path)!r} is there already: give another folder with --to, or --force")


def _bring(files: Sequence[_File], output: Output, *, force: bool) -> None:
    done, count = 0, f"of {len(files)} files are here"
    try:
        for file in files:
            with _writing_to(file.path):
                _download(file, output, force=force)
            done += 1
            output.data(unbroken(str(file.path)))
            output.record(_object(file))
    except FlowrunnerError as error:
        error.add_note(f"{done} {count}; nothing is left of the others.")
        raise
    except KeyboardInterrupt:
        interrupted(output, f"Interrupted. {done} {count}; nothing is left of the others.")


def _download(file: _File, output: Output, *, force: bool) -> None:
    """Bring a file under a name of its own, then give it the one that it is to have."""
    part = file.path.with_name(f".{token_hex(8)}.part")
    try:
        with transferring(file.path.name, output, size=file.artifact.size) as progress:
            file.artifact.download(part, progress=progress)
        if force:
            part.replace(file.path)
        else:
            _put(part, file.path)
    finally:
        part.unlink(missing_ok=True)


def _put(part: Path, path: Path) -> None:
    """Give a file its name, unless another one has got it meanwhile: a link, unlike a new name, replaces nothing."""
    try:
        os.link(part, path)
    except FileExistsError:
        raise _already_there(path) from None
    except OSError:  # a file system without links
        if _is_there(path):
            raise _already_there(path) from None
        part.rename(path)


@contextmanager
def _writing_to(path: Path) -> Iterator[None]:
    """Make an error for people of what the system says."""
    try:
        yield
    except OSError as error:
        raise InvalidRequest(f"cannot write to {str(path)!r}: {error.strerror or error}") from error


def _object(file: _File) -> dict[str, Any]:
    artifact = file.artifact
    return {
        "name": artifact.name,
        "path": str(file.path),
        "media_type": artifact.media_type,
        "size": file.path.stat().st_size,
    }
