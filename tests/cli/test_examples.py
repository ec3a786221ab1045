"""Every example of every help text does what it says, in a real shell, with real processes."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from attrs import frozen

import flowrunner
import forked_command
from flowrunner.cli.app import COMMANDS, app
from flowrunner.simulator import Behaviour, Kind, Parameter, RealClock, Simulator, SmartFlowId, Workspace

pytestmark = pytest.mark.skipif(os.name == "nt", reason="the examples are for a POSIX shell")

DOWNLOAD = "Samples/austinDownload.fmw"
CODES = {"cancel": [0, 4], "recover": [10, 10, 0], "logs": [0, 0, 1]}
"""How the examples end, where not all end with 0: `wait` after `cancel`; what is uncertain; a log without errors."""
KEYRING = """
import pathlib, keyring.backend

class Kept(keyring.backend.KeyringBackend):
    priority = 1

    def set_password(self, service, username, password):
        pathlib.Path(f"{service}-{username}").write_text(password)

    def get_password(self, service, username):
        return pathlib.Path(f"{service}-{username}").read_text()
"""
AT_TERMINAL = """
import os, pty, sys
raise SystemExit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))
"""


def examples_of(name):
    """The lines of a command's help below `Examples:`; those of the program itself under its own name."""
    command = app if name == "flowrunner" else app.get_command(None, name)
    return re.findall(r"^  (\S.*)$", command.help.partition("Examples:\n")[2], re.MULTILINE)


@frozen
class Surroundings:
    """A folder with a configuration, whose shell finds the servers behind the connections `prod` and `reports`.

    Attributes:
        folder: where the shell begins.
        prod: an FME Flow.
        reports: a Smart Flows.
        names: what stands in an example for what there is here.
    """

    folder: Path
    prod: Simulator
    reports: Simulator
    names: dict[str, str]

    def run(self, examples):
        """Have a shell carry out the examples, one after the other; how each ended, and what they printed."""
        script = "\n".join(f"{each}\necho $? >&3" for each in examples)
        for name, text in self.names.items():
            script = script.replace(name, text)
        script = f"set -o pipefail\nexec 3> codes\ntrap 'kill $(jobs -p) 2> killed' EXIT\n{script}\n"
        ended = subprocess.run(
            ["bash", "-c", script], cwd=self.folder, capture_output=True, text=True, timeout=300, check=False
        )
        return [int(code) for code in (self.folder / "codes").read_text().split()], ended.stdout + ended.stderr


@pytest.fixture
def here(tmp_path, monkeypatch, request):
    """Servers that are a hundred times as fast, and two runs that have ended on `prod`; `$ref` is one of them."""
    # V3 finds a run by its key; V4 leaves it uncertain, which `recover` shows.
    backend = "fme-flow-v4" if request.node.callspec.params["name"] == "recover" else "fme-flow-v3"
    folder = tmp_path / "work"
    folder.mkdir()
    with Simulator(backend, clock=RealClock(100)) as prod, Simulator("smart-flows", clock=RealClock(100)) as reports:
        monkeypatch.chdir(folder)
        monkeypatch.setenv("HOME", str(tmp_path))
        path = (str(forked_command.folder()), str(Path(sys.executable).parent), os.environ["PATH"])
        monkeypatch.setenv("PATH", os.pathsep.join(path))
        monkeypatch.setenv("FME_TOKEN", prod.token)
        with Path("flowrunner.toml").open("w") as file:
            for name, simulator in {"prod": prod, "reports": reports}.items():
                settings = {"backend": simulator.vendor, **simulator.settings}
                lines = (f'{key} = "{value}"\n' for key, value in settings.items())
                file.writelines([f"[connections.{name}]\n", *lines, "poll_min = 0.05\n"])
        with flowrunner.connect("prod") as client:
            runs = [client.submit(DOWNLOAD) for _ in range(2)]
            client.wait_all(runs)
        for name, run in zip(("first", "second"), runs, strict=True):
            monkeypatch.setenv(name, str(run.ref))
        monkeypatch.setenv("ref", str(runs[0].ref))
        names = {"4711": runs[0].id, "4712": runs[1].id, "https://fme.example.com": prod.base_url}
        yield Surroundings(folder, prod, reports, {**names, "https://acme.example.com": reports.base_url})


# What an example presupposes


def runs_that_go_on(here, monkeypatch):
    """Two more, on `prod`."""
    here.prod.pool.script(DOWNLOAD, Behaviour(duration=1e6))
    with flowrunner.connect("prod") as client:
        here.names["4711"] = client.submit(DOWNLOAD).id
        monkeypatch.setenv("ref", str(client.submit(DOWNLOAD).ref))


def a_file(here, monkeypatch):
    """The name of what a run made."""
    with flowrunner.connect("prod") as client:
        (artifact,) = client.attach(os.environ["first"]).result().artifacts  # noqa: SIM112 - as the examples write it
    here.names["report.pdf"] = artifact.name


def something_uncertain(here, monkeypatch):
    """A submission whose answer never came."""
    here.prod.cut_next("reset_after", "*/jobs", method="POST")
    key = next(word for word in examples_of("recover")[-1].split() if word.startswith("nightly-"))
    here.run([f"flowrunner run prod {DOWNLOAD} --key {key}"])


def no_configuration(here, monkeypatch):
    """Nor a keyring, but for one that is a folder; a credential in a file."""
    Path("kept.py").write_text(KEYRING)
    Path("token").write_text(f"{here.prod.token}\n")
    Path("reports").write_text(f"{here.reports.token}\n")
    monkeypatch.setenv("PYTHONPATH", ".")
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "kept.Kept")
    here.names["/run/secrets/"] = f"{here.folder}/"
    answers = f"mine\\nfme-flow-v3\\n{here.prod.base_url}\\nenv\\nFME_TOKEN\\n"
    at_terminal = f"printf '{answers}' | python -c '{AT_TERMINAL}' flowrunner init"
    return [
        f"rm -f flowrunner.toml; {at_terminal if each == 'flowrunner init' else each}" for each in examples_of("init")
    ]


def files_of_parameters(here, monkeypatch):
    """And one of data; the secret is in this folder."""
    Path("parameters.yaml").write_text("documentName: apartments\n")
    Path("account").write_text("hush-hush\n")
    Path("districts.csv").write_text("MAXY\n42\n43\n")
    Path("tag.xml").write_text("<EmployeeTag/>")
    here.names.update({"/run/secrets/": f"{here.folder}/", "6de9206a-...": SmartFlowId.REPORT})


def a_file_to_bring(here, monkeypatch):
    """And a flow that takes it."""
    Path("roads.gml").write_text("<gml/>")
    here.prod.publish(Workspace("Demo", "roads.fmw", parameters=(Parameter("SourceDataset_GML", Kind.FILE, "Roads"),)))


def runs_that_ask(here, monkeypatch):
    """One for each example; where the answers are no file, somebody types them."""
    Path("answers.yaml").write_text("Name: Ada\n")
    start = f'ref=$(flowrunner run reports {SmartFlowId.ASKS_ONCE} -q); flowrunner wait "$ref" -q 2> asked'
    at_terminal = f"printf 'Ada\\n\\n\\n' | python -c '{AT_TERMINAL}'"
    return [f"{start}; {each if '--' in each else f'{at_terminal} {each}'}" for each in examples_of("resume")]


def a_free_port(here, monkeypatch):
    """And a file of faults; a server runs until it is told to end, so it does beside the others."""
    Path("faults.toml").write_text('[[fault]]\nkind = "html"\nstatus = 502\nprobability = 0.1\n')
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        here.names["8080"] = str(taken.getsockname()[1])
    return [
        f"{each} > {number} & until [ -s {number} ]; do kill -0 $! && sleep 0.05 || break; done; [ -s {number} ]"
        if "simulate " in each
        else each
        for number, each in enumerate(examples_of("simulate"))
    ]


def runs_that_are_watched(here, monkeypatch):
    """Some that go on for a while, and are watched before they have ended."""
    here.prod.pool.script(DOWNLOAD, Behaviour(duration=400))
    with flowrunner.connect("prod") as client:
        client.submit(DOWNLOAD)
    return sorted(examples_of("runs"), key=lambda each: " watch " not in each)


def what_no_command_has(here, monkeypatch):
    """An example that a command has, too, is run as the command's."""
    of_commands = {each for name in COMMANDS for each in examples_of(name)}
    return [each for each in examples_of("flowrunner") if each not in of_commands]


def two_at_once(here, monkeypatch):
    """A demo takes its seconds, also beside another."""
    one, other = examples_of("demo")
    return [f"{one} & demo=$!", f"{other} && wait $demo"]


def a_folder_for_fish(here, monkeypatch):
    """As fish has it."""
    (here.folder.parent / ".config" / "fish" / "completions").mkdir(parents=True)


PRESUPPOSED = {
    "flowrunner": what_no_command_has,
    "demo": two_at_once,
    "cancel": runs_that_go_on,
    "download": a_file,
    "recover": something_uncertain,
    "init": no_configuration,
    "resume": runs_that_ask,
    "run": files_of_parameters,
    "simulate": a_free_port,
    "completion": a_folder_for_fish,
    "runs": runs_that_are_watched,
    "upload": a_file_to_bring,
}


@pytest.mark.parametrize("name", ["flowrunner", *COMMANDS])
def test_the_examples_of(name, here, monkeypatch):
    """They end as they should."""
    prepare = PRESUPPOSED.get(name, lambda *_: None)
    examples = prepare(here, monkeypatch) or examples_of(name)
    assert examples
    codes, printed = here.run(examples)
    assert codes == CODES.get(name, [0] * len(examples)), printed
