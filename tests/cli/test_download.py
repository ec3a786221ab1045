"""`flowrunner download`: the files of a run, whole or not at all, and never in place of another."""

from __future__ import annotations

import errno
import json
import os
import re
from contextlib import contextmanager
from pathlib import Path

import pytest

from flowrunner.cli import download
from flowrunner.models import file_name
from flowrunner.simulator import (
    Behaviour,
    Block,
    DataFlowId,
    Fault,
    Faults,
    Made,
    SmartFlow,
    SmartFlowId,
    SmartFlowsQuirks,
)

FLOW = "Demo/work.fmw"
DOWNLOAD = "Samples/austinDownload.fmw"
FLOWS = {"fme-flow-v4": DOWNLOAD, "fme-flow-v3": DOWNLOAD, "smart-flows": str(SmartFlowId.NO_INPUT)}
MINE = "5b0c1f4e-92d3-4d0a-8a61-7c1e5f2ab0ff"


@pytest.fixture
def made(cli, serve):
    """Make a finished run that made files of these names; its reference."""

    def make(*names):
        values = {f"file{number}": Made(name) for number, name in enumerate(names)}
        block = Block("b407de9e-f9e8-47b8-9131-0fa2524fffff", "Make", values)
        make.simulator = serve("smart-flows", quirks=SmartFlowsQuirks(disposition="missing"))
        make.simulator.publish(SmartFlow(MINE, "Mine", Behaviour(duration=1), blocks=(block,)))
        return cli("run", "smart-flows", MINE, "--wait", "--json").record["ref"]

    return make


def files_in(folder):
    """All files below a folder, by their paths there."""
    return sorted(path.relative_to(folder).as_posix() for path in Path(folder).rglob("*") if path.is_file())


@pytest.mark.parametrize("vendor", FLOWS)
def test_the_files_of_a_run_come_here(cli, serve, vendor, tmp_path):
    """Each under its name, whose path is printed; with --json with its size."""
    serve(vendor)
    ref = cli("run", vendor, FLOWS[vendor], "--wait", "--json").record["ref"]
    (name,) = [each["name"] for each in cli("result", ref, "--json").record["artifacts"]]
    ended, again = cli("download", ref, "--to", "a/b"), cli("download", ref, "--to", "c", "--json").record

    assert (ended.code, ended.stdout, ended.stderr) == (0, f"a/b/{name}\n", "")
    assert (again["name"], again["path"]) == (name, f"c/{name}")
    assert again["size"] == (tmp_path / "a/b" / name).stat().st_size > 100
    assert (tmp_path / "a/b" / name).read_bytes() == (tmp_path / "c" / name).read_bytes()


def test_an_id_names_the_run_too(cli, made, tmp_path):
    """After its connection; what follows are names of files."""
    run_id = made("a.pdf", "b.pdf", "c.pdf").split(":")[5]
    ended = cli("download", "smart-flows", run_id, "c.pdf", "a.pdf", "a.pdf", "--to", "here")
    assert (ended.code, sorted(ended.stdout.split())) == (0, ["here/a.pdf", "here/c.pdf"])
    assert files_in(tmp_path / "here") == ["a.pdf", "c.pdf"]


def test_what_is_printed_is_the_path(cli, made):
    """With all its blanks: a script opens it."""
    ended = cli("download", made("a  b.pdf"), "--to", "my  files")
    (path,) = ended.stdout.splitlines()
    assert Path(path).read_bytes().startswith(b"%PDF")


def test_a_file_that_the_run_did_not_make(cli, made, tmp_path):
    """Exit code 2, the near miss, and nothing is brought."""
    ended = cli("download", made("report.pdf", "b.pdf"), "b.pdf", "raport.pdf", "--to", "here")
    assert (ended.code, "did you mean 'report.pdf'" in ended.stderr) == (2, True)
    assert not (tmp_path / "here").exists()


def test_a_file_that_is_there_stays(cli, made, tmp_path):
    """Exit code 2, before any is brought; --force replaces it."""
    ref, there = made("a.pdf", "b.pdf"), tmp_path / "b.pdf"
    there.write_text("mine")
    ended = cli("download", ref)
    assert (ended.code, "the file 'b.pdf' is there already" in ended.stderr) == (2, True)
    assert (there.read_text(), (tmp_path / "a.pdf").exists()) == ("mine", False)

    assert cli("download", ref, "--force").code == 0
    assert there.read_bytes().startswith(b"%PDF")


def test_a_link_that_leads_nowhere_is_there_too(cli, made, tmp_path):
    """What it points at is not made; --force replaces the link."""
    ref, link = made("a.pdf"), tmp_path / "a.pdf"
    link.symlink_to(tmp_path / "elsewhere")
    assert cli("download", ref).code == 2
    assert cli("download", ref, "--force").code == 0
    assert (link.is_symlink(), (tmp_path / "elsewhere").exists()) == (False, False)


@pytest.mark.parametrize("links", [True, False])
def test_a_file_that_comes_to_be_meanwhile_stays(cli, made, monkeypatch, tmp_path, links):
    """Also where the file system has no links."""
    ref, bring = made("a.pdf"), download.transferring

    @contextmanager
    def meanwhile(*arguments, **options):
        with bring(*arguments, **options) as progress:
            yield progress
        (tmp_path / "a.pdf").write_text("mine")

    monkeypatch.setattr(download, "transferring", meanwhile)
    if not links:
        monkeypatch.setattr(os, "link", _no_links)
    ended = cli("download", ref)
    assert (ended.code, "is there already" in ended.stderr) == (2, True)
    assert ((tmp_path / "a.pdf").read_text(), _remains(tmp_path)) == ("mine", [])


def test_a_file_system_without_links_will_do(cli, made, monkeypatch, tmp_path):
    """The file takes its name another way."""
    monkeypatch.setattr(os, "link", _no_links)
    assert cli("download", made("a.pdf")).code == 0
    assert (tmp_path / "a.pdf").read_bytes().startswith(b"%PDF")


def _no_links(*_):
    raise OSError(errno.EPERM, "not permitted")


def _remains(folder):
    return [name for name in files_in(folder) if name.endswith(".part")]


HOSTILE = [
    "../../up.pdf",
    "/etc/root.pdf",
    "..\\..\\back.pdf",
    "C:\\windows\\drive.pdf",
    "..",
    ".",
    "x/..",
    "null\0.pdf",
    "line\nbreak.pdf",
    "\x1b[2Jclear.pdf",
    "turned\u202efdp.exe",
    ".profile",
]


def test_no_name_leads_out_of_the_folder(cli, made, tmp_path):
    """Each file is in it, whatever the vendor calls it, and its name is one that a terminal may show."""
    ref = made(*HOSTILE)
    (tmp_path / "in").mkdir()
    before = {*files_in(tmp_path)}
    ended = cli("download", ref, "--to", "in/side")

    assert ended.code == 0
    assert len(files_in(tmp_path / "in/side")) == len(HOSTILE)
    assert {*files_in(tmp_path)} - before == {f"in/side/{name}" for name in files_in(tmp_path / "in/side")}
    assert all("/" not in name and name.isprintable() for name in files_in(tmp_path / "in/side"))
    assert not re.search(r"[\x00-\x09\x0b-\x1f\u202e]", ended.stdout)


@pytest.mark.parametrize("name", [*HOSTILE, "half\ud800.pdf"])
def test_a_hostile_name_is_a_plain_one(name):
    """In Python, too: it is what `Artifact.download` puts into a folder."""
    plain = file_name(name)
    assert plain.isprintable()
    assert plain
    assert not plain.startswith(".")
    assert not set(plain) & set("/\\")


LONG = ["x" * 300 + ".pdf", "\u00e9" * 140 + ".pdf", "a." + "y" * 300]


def test_names_that_are_too_long_are_shortened(cli, made, tmp_path):
    """The extension stays; and one that differs in its end alone is another file."""
    ref = made(*LONG, "x" * 301 + ".pdf")
    ended = cli("download", ref, "--to", "here")
    names = files_in(tmp_path / "here")
    assert (ended.code, len(names)) == (0, 4)
    assert {"x" * 236 + ".pdf", "x" * 236 + "-2.pdf"} < set(names)


@pytest.mark.parametrize("name", [*LONG, "z" * 240, "." + "x" * 300])
def test_a_name_fits_into_what_systems_take(name):
    """With some bytes to spare; one that fits is as it was."""
    plain = file_name(name)
    assert 230 < len(plain.encode()) <= 240
    assert plain == name or len(name.encode()) > 240
    assert plain[0] == name[0].replace(".", "_")
    assert plain.endswith(".pdf") == name.endswith(".pdf")


def test_two_files_of_one_name_are_two(cli, made, tmp_path):
    """The second gets a number; so does one whose name differs in capitals alone, which some systems take for one."""
    ended = cli("download", made("a.tar.gz", "a.tar.gz", "A.tar.gz", "a.tar-2.gz"), "--to", "here", "--json")
    names = [Path(json.loads(line)["path"]).name for line in ended.stdout.splitlines()]
    assert names == ["a.tar.gz", "a.tar-2.gz", "A.tar-3.gz", "a.tar-2-2.gz"]
    assert files_in(tmp_path / "here") == sorted(names)


def test_ctrl_c_leaves_nothing_of_the_file_it_interrupts(cli, made, monkeypatch, tmp_path):
    """Those that came before stay; the exit code is 130."""
    ref, shown = made("a.pdf", "b.pdf"), []

    @contextmanager
    def interrupting(name, *_, **__):
        def progress(_done, _total):
            shown.append(name)
            if name == "b.pdf":
                raise KeyboardInterrupt

        yield progress

    monkeypatch.setattr(download, "transferring", interrupting)
    ended = cli("download", ref, "--to", "here")
    assert (ended.code, ended.stdout) == (130, "here/a.pdf\n")
    assert ended.stderr == "Interrupted. 1 of 2 files are here; nothing is left of the others.\n"
    assert (files_in(tmp_path / "here"), shown) == (["a.pdf"], ["a.pdf", "b.pdf"])


def test_a_transfer_that_breaks_leaves_nothing(cli, made, config, tmp_path):
    """Exit code 7, and how far it came."""
    ref = made("a.pdf", "b.pdf")
    config.write_text(config.read_text() + "retries = 0\n")
    made.simulator.faults = Faults((Fault("truncate", path="*/content", skip=1),))
    ended = cli("download", ref, "--to", "here")
    assert (ended.code, ended.stdout) == (7, "here/a.pdf\n")
    assert ended.stderr.endswith("\n1 of 2 files are here; nothing is left of the others.\n")
    assert files_in(tmp_path / "here") == ["a.pdf"]


def test_on_a_terminal_a_bar_shows_how_far_it_is(cli, made):
    """On stderr; stdout has the path alone."""
    ended = cli("download", made("a.pdf"), FORCE_COLOR="1", TERM="xterm-256color", COLUMNS="80")
    assert (ended.code, ended.stdout) == (0, "a.pdf\n")
    assert re.search(r"a\.pdf.*\d+/\d+ bytes", ended.stderr)


def test_a_run_without_files_says_so(cli):
    """Exit code 0: all of them are here."""
    ref = cli("run", "sim", FLOW, "--wait", "--json").record["ref"]
    ended = cli("download", ref, "--to", "here")
    assert (ended.code, ended.stdout, ended.stderr) == (0, "", "The run made no files.\n")
    assert not Path("here").exists()


def test_a_run_that_failed_may_have_made_files(cli, script):
    """The exit code says whether they are here."""
    script(duration=1, outcome="failed")
    ref = cli("run", "sim", FLOW, "--wait", "--json").record["ref"]
    assert cli("download", ref).code == 0


def test_a_run_that_goes_on_has_made_none_yet(cli, script):
    """Exit code 6."""
    script(duration=10_000)
    assert cli("download", cli("run", "sim", FLOW).stdout.strip()).code == 6


def test_a_vendor_without_files_says_so(cli, serve):
    """Exit code 2, before any request."""
    simulator = serve("invision")
    ref = cli("run", "invision", str(DataFlowId.IMPORT_SALES)).stdout.strip()
    asked = len(simulator.requests)
    ended = cli("download", ref)
    assert (ended.code, "it lacks ARTIFACTS" in ended.stderr, len(simulator.requests)) == (2, True, asked)


@pytest.mark.parametrize("there", ["file", "folder"])
def test_where_nothing_can_be_written(cli, made, tmp_path, there):
    """Exit code 2, and what the system says."""
    ref = made("a.pdf")
    (tmp_path / "x").write_text("a file")
    (tmp_path / "a.pdf").mkdir()
    words = ("--to", "x/y") if there == "file" else ("--force",)
    ended = cli("download", ref, *words)
    assert ended.code == 2
    assert "cannot write to" in ended.stderr
    assert _remains(tmp_path) == []


@pytest.mark.parametrize("words", [["sim"], ["sim", "1", "--to", "flowrunner.toml"], []])
def test_arguments_are_checked(cli, words):
    """A run has to be named, and a folder is none if it is a file."""
    assert cli("download", *words).code == 2
