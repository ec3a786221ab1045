"""A simulated FME Flow behind a configured connection, and the command line in this process."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from contextlib import ExitStack
from functools import cache

import jsonschema
import pytest
from attrs import frozen
from click.testing import CliRunner

from flowrunner.cli.app import app
from flowrunner.cli.schemas import output_schema
from flowrunner.simulator import Behaviour, RealClock, Simulator, Workspace

FLOW = "Demo/work.fmw"


@pytest.fixture(autouse=True)
def _plain_surroundings(monkeypatch, tmp_path):
    """No configuration, colour or width of whoever runs the tests."""
    for name in ("FLOWRUNNER_CONFIG", "NO_COLOR", "FORCE_COLOR", "COLUMNS", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.delenv("FLOWRUNNER_JOURNAL", raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def simulator():
    """A server whose clock is a hundred times as fast; it has one workspace more, which works for 20 seconds."""
    with Simulator("fme-flow-v4", clock=RealClock(100)) as serving:
        serving.publish(Workspace("Demo", "work.fmw", behaviour=Behaviour(duration=20)))
        yield serving


@pytest.fixture
def script(simulator):
    """Say what runs of the workspace do."""
    return lambda **behaviour: simulator.pool.script(FLOW, Behaviour(**behaviour))


@pytest.fixture
def config(simulator, tmp_path, monkeypatch):
    """A configuration with the connection `sim`, in the usual place; its token comes from the environment."""
    monkeypatch.setenv("SIM_TOKEN", simulator.token)
    file = tmp_path / "flowrunner.toml"
    file.write_text(
        f'[connections.sim]\nbackend = "fme-flow-v4"\nbase_url = "{simulator.base_url}"\n'
        'token = { env = "SIM_TOKEN" }\npoll_min = 0.05\n'
    )
    return file


@pytest.fixture
def serve(config):
    """Serve another vendor, behind a connection of its name; its clock is a hundred times as fast, too."""
    with ExitStack() as stack:

        def start(vendor, **options):
            serving = stack.enter_context(Simulator(vendor, clock=RealClock(100), **options))
            settings = {"backend": vendor, **serving.settings}
            lines = [f"{name} = {json.dumps(value)}" for name, value in settings.items()]
            config.write_text("\n".join([config.read_text(), f"[connections.{vendor}]", *lines, "poll_min = 0.05", ""]))
            return serving

        yield start


@frozen
class Ended:
    """How a command ended."""

    code: int
    stdout: str
    stderr: str

    @property
    def record(self):
        """The one object that `--json` printed."""
        (line,) = self.stdout.splitlines()
        return json.loads(line)

    @property
    def fields(self):
        """Names and values of a block of data."""
        pairs = (line.split("  ", 1) for line in self.stdout.splitlines() if "  " in line)
        return {name: value.strip() for name, value in pairs}


@pytest.fixture
def cli(config):
    """Run a command in this process."""

    def run(*arguments, stdin=None, **env):
        ended = CliRunner().invoke(app, list(map(str, arguments)), stdin, prog_name="flowrunner", env=env)
        if ended.exception and not isinstance(ended.exception, SystemExit):
            raise ended.exception
        if "--json" in arguments:
            assert_documented(arguments[0], ended.stdout)
        return Ended(ended.exit_code, ended.stdout, ended.stderr)

    return run


@pytest.fixture
def start():
    """Start the command with signals as an interactive shell leaves them; it does not outlive the test."""
    processes = []

    def run(*arguments, **streams):
        process = subprocess.Popen(
            [sys.executable, "-m", "flowrunner", *arguments],
            **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, **streams},
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509 - it takes no lock
        )
        processes.append(process)
        return process

    yield run
    for process in processes:
        process.kill()
        process.communicate()


def assert_documented(command, stdout):
    """Each line is as the published schema has it, and has no key that it has not."""
    for line in stdout.splitlines():
        documented(command).validate(json.loads(line))


@cache
def documented(command):
    """What judges the output of a command; that the schema is one itself is looked at once."""
    schema = closed(output_schema())
    schema["anyOf"] = [{"$ref": f"#/$defs/flowrunner-{command}"}]
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def closed(schema):
    """The schema, refusing keys that it does not name, where it names any."""
    if isinstance(schema, list):
        return [closed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    names = {"additionalProperties": False} if "properties" in schema and "required" in schema else {}
    return {**{key: closed(value) for key, value in schema.items()}, **names}
