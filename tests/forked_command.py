"""`flowrunner` and `pytest` as shells of the tests find them: a process of its own each time, which has loaded all.

To load them costs more than most calls do. So a server loads them once and forks for each call; what stands in the PATH
hands the server its arguments, streams, folder and environment, passes signals on, and ends as the command does.
"""

from __future__ import annotations

import atexit
import gc
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from functools import cache
from importlib import import_module
from pathlib import Path

from flowrunner.http.addresses import tls_context

COMMAND = """\
#!{python} -IS
import json, os, signal, socket, sys

numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
signal.pthread_sigmask(signal.SIG_BLOCK, numbers)  # until there is somebody to pass them on to
with socket.socket(socket.AF_UNIX) as server:
    server.connect({address!r})
    socket.send_fds(server, [b"."], [0, 1, 2])
    server.sendall(json.dumps([sys.argv, os.getcwd(), dict(os.environ)]).encode() + b"\\n")
    answers = server.makefile()
    worker = int(answers.readline())
    for number in numbers:
        signal.signal(number, lambda number, _: os.kill(worker, number))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, numbers)
    code = int(answers.readline())
sys.exit(code if code >= 0 else 128 - code)
"""
CLIENT = (
    "flowrunner.client",
    "flowrunner.config",
    "flowrunner.http",
    "flowrunner.journal",
    *(f"flowrunner.backends.{name}" for name in ("fme_flow", "fme_flow_v3", "fme_flow_v4", "invision", "smart_flows")),
    "httpcore",
    "stamina.instrumentation",
)
"""What a client needs, also late."""
LOADED = (
    *CLIENT,
    "flowrunner.simulator",
    "flowrunner.testing.conformance",
    "flowrunner.testing.stage",
    "pytest",
    "anyio._backends._asyncio",
    "jsonschema",
    "platformdirs",
    "uvicorn.protocols.http.h11_impl",
)


@cache
def folder() -> Path:
    """Where the commands are; the server lives as long as this process."""
    place = Path(tempfile.mkdtemp(prefix="flowrunner-"))
    address = place / "socket"
    for name in ("flowrunner", "pytest"):
        command = place / name
        command.write_text(COMMAND.format(python=sys.executable, address=str(address)))
        command.chmod(0o755)
    serving = [sys.executable, "-P", __file__, str(address)]
    server = subprocess.Popen(serving, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True)
    atexit.register(server.communicate, timeout=60)  # where it is not called, stdin ends all the same
    assert server.stdout.readline() == b"listening\n"
    return place


def load(modules: Iterable[str]) -> None:
    """Load modules, and whom to trust, for all that are forked from this process."""
    for module in modules:
        import_module(module)
    tls_context(None)  # it is kept from then on
    gc.freeze()


def serve(address: str) -> None:
    """Fork for each call, until stdin ends; then whatever still runs is ended, and nothing is left."""
    from flowrunner.cli.app import COMMANDS

    load([*LOADED, *(f"flowrunner.cli.{name}" for name in COMMANDS)])
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody asks how they ended
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(address)
    listening.listen(64)
    os.write(1, b"listening\n")
    while sys.stdin not in select.select([listening, sys.stdin], [], [])[0]:
        asking, _ = listening.accept()
        if os.fork() == 0:
            listening.close()
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            attend(asking)
        asking.close()
    shutil.rmtree(Path(address).parent)
    os.killpg(0, signal.SIGTERM)


def attend(asking: socket.socket) -> None:
    """Have a process carry out a call, and say which it is and how it ended."""
    _, streams, *_ = socket.recv_fds(asking, 1, 3)
    arguments, cwd, environment = json.loads(asking.makefile().readline())
    worker = os.fork()
    if worker == 0:
        asking.close()
        carry_out(arguments, cwd, environment, streams)
    for stream in streams:
        os.close(stream)
    asking.sendall(b"%d\n" % worker)
    _, status = os.waitpid(worker, 0)
    asking.sendall(b"%d\n" % os.waitstatus_to_exitcode(status))
    os._exit(0)


def carry_out(arguments: list[str], cwd: str, environment: dict[str, str], streams: list[int]) -> None:
    """Be the command."""
    import pytest

    from flowrunner.cli import main

    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(environment)
    sys.path[:0] = [each for each in environment.get("PYTHONPATH", "").split(os.pathsep) if each]
    sys.argv = arguments
    if Path(arguments[0]).name == "flowrunner":
        sys.exit(main())
    sys.path.insert(0, cwd)  # as with `python -m pytest`
    sys.exit(pytest.main())


if __name__ == "__main__":
    serve(sys.argv[1])
