"""Runs as processes: how they start, end, are cancelled, and outlive whoever started them."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import get_ident

import pytest

import flowrunner
from flowrunner import CancelOutcome, Cause, RunState
from flowrunner.errors import RunCancelled, RunFailed, VendorError
from flowrunner_local import backend, keeper
from flowrunner_local.runs import Order, Run, create, newest_first
from watching import content_of, lives, python, shell, until

WAITS = "until [ -e {}/go ]; do sleep 0.02; done"
"""A shell that goes on when a test says so."""


def held(settings, tmp_path, after=""):
    """A flow that runs until `go` appears, and writes its pid and its keeper's first."""
    text = f"echo $$ $PPID > {tmp_path}/pids; {WAITS.format(tmp_path)}; {after}"
    settings["flows"]["held"] = shell(text)


# How runs end


def test_a_command_that_ends_well_is_a_success(settings, connected):
    """The run has succeeded, and tells when it began and ended."""
    settings["flows"]["flow"] = shell("exit 0")
    result = connected().run("flow", timeout=30)
    status = result.status
    assert status.state is RunState.SUCCEEDED
    assert status.queued_at <= status.started_at <= status.finished_at
    assert result.metrics["exit_code"] == 0
    assert 0 <= result.metrics["duration_seconds"] < 30
    assert result.raw["status"]["word"] == "succeeded"


@pytest.mark.parametrize(
    ("command", "code", "message"),
    [
        ("exit 3", 3, "the command ended with exit code 3"),
        ("kill -9 $$", -9, "the command was ended by SIGKILL"),
        ("kill -40 $$", -40, "the command was ended by signal 40"),
    ],
)
def test_another_exit_code_is_a_failure_of_the_flow(settings, connected, command, code, message):
    """The code, or the signal, is in the message and in the metrics."""
    settings["flows"]["flow"] = shell(command)
    with pytest.raises(RunFailed) as caught:
        connected().run("flow", timeout=30)
    status = caught.value.status
    assert (status.vendor_status, status.cause, status.message) == ("failed", Cause.FLOW, message)
    assert caught.value.result.metrics["exit_code"] == code


def test_a_command_that_is_not_there_is_a_failure_of_the_platform(settings, connected):
    """The flow itself never ran."""
    settings["flows"]["flow"] = ["/nowhere/at-all"]
    with pytest.raises(RunFailed, match=r"cannot be started: .*/nowhere/at-all") as caught:
        connected().run("flow", timeout=30)
    assert (caught.value.status.vendor_status, caught.value.status.cause) == ("not started", Cause.PLATFORM)
    assert caught.value.result.metrics == {}


def test_parameters_and_surroundings_arrive(settings, connected, tmp_path):
    """Parameters are variables, the payload is the input, files go to a folder of the run's own."""
    source = "import json, os, sys; json.dump([dict(os.environ), os.getcwd(), sys.stdin.read()], open('seen', 'w'))"
    settings |= {"environment": {"PLACE": "here"}, "flows": {"flow": python(source)}}
    client = connected()
    parameters = {"TEXT": "Größe & $HOME\n", "COUNT": 3, "ON": True, "LIST": [1, "ä"], "_a1": ""}
    result = client.run("flow", parameters, payload="Größe", timeout=30)
    path = result.artifacts[0].download(tmp_path)
    environ, folder, payload = json.loads(path.read_text())
    given = {name: text for name, text in environ.items() if name.startswith("FLOW_PARAMETER_")}
    assert given == {
        "FLOW_PARAMETER_TEXT": "Größe & $HOME\n",
        "FLOW_PARAMETER_COUNT": "3",
        "FLOW_PARAMETER_ON": "true",
        "FLOW_PARAMETER_LIST": '[1, "ä"]',
        "FLOW_PARAMETER__a1": "",
    }
    assert (environ["PLACE"], environ["FLOW_RUN_ID"]) == ("here", result.ref.id)
    assert environ["FLOW_OUTPUT"] == folder
    assert payload == "Größe"


def test_commands_work_where_the_configuration_says(settings, connected, tmp_path):
    """And find the folder for their files in a variable; without a payload there is nothing to read."""
    settings |= {"working_folder": str(tmp_path), "flows": {"flow": 'sh -c "pwd; cat; echo x > \\"$FLOW_OUTPUT/y\\""'}}
    run = connected().submit("flow")
    assert list(run.logs()) == [str(tmp_path)]
    assert [artifact.name for artifact in run.wait(30).artifacts] == ["y"]


# Who else there is


def test_a_run_outlives_its_program(settings, connected, program, tmp_path):
    """A program starts it and is killed; another one has the reference, and sees its end."""
    held(settings, tmp_path, after="echo done")
    starter = program("print(client.submit('held').ref, flush=True)\nos.kill(os.getpid(), signal.SIGKILL)")
    ref, _ = starter.communicate(timeout=30)
    assert starter.returncode == -signal.SIGKILL
    pid, _ = content_of(tmp_path / "pids").split()
    run = connected().attach(ref)
    until(lambda: run.refresh().state is RunState.RUNNING)
    assert lives(pid)
    (tmp_path / "go").touch()
    assert run.wait(30).status.state is RunState.SUCCEEDED
    assert list(run.logs()) == ["done"]


def test_a_run_can_be_cancelled_from_another_program(settings, connected, program, tmp_path):
    """Who waits for it sees that it was cancelled."""
    held(settings, tmp_path)
    run = connected().submit("held")
    content_of(tmp_path / "pids")
    other = program(f"print(client.attach({str(run.ref)!r}).cancel())")
    assert other.communicate(timeout=30)[0] == "confirmed\n"
    with pytest.raises(RunCancelled):
        run.wait(30)


def test_two_programs_at_once_start_every_run_once(settings, connected, program, tmp_path):
    """Each with several threads: no two runs share a folder, and no command runs twice."""
    settings["flows"]["flow"] = shell(f'echo "$FLOW_RUN_ID" >> {tmp_path}/ran')
    source = (
        "from concurrent.futures import ThreadPoolExecutor\n"
        "with ThreadPoolExecutor(4) as pool:\n"
        "    runs = list(pool.map(lambda _: client.submit('flow'), range(8)))\n"
        "print(*[run.wait(60).ref.id for run in runs])"
    )
    programs = [program(source) for _ in range(2)]
    ids = [run_id for each in programs for run_id in each.communicate(timeout=100)[0].split()]
    assert len(ids) == len(set(ids)) == 16
    assert sorted((tmp_path / "ran").read_text().split()) == sorted(ids)
    assert sorted(run.id for run in connected().runs()) == sorted(ids)


def test_a_client_serves_many_threads(settings, connected):
    """One client, eight threads, each with a run of its own."""
    settings["flows"]["flow"] = shell('echo "$FLOW_PARAMETER_N"')
    client = connected()

    def number(n):
        run = client.submit("flow", {"N": n})
        run.wait(60)
        return list(run.logs())

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(number, range(8))) == [[str(n)] for n in range(8)]


def test_a_client_works_on_after_a_fork(settings, program):
    """Parent and child go on with the same client."""
    settings["flows"]["flow"] = shell("exit 0")
    source = (
        "before = client.submit('flow')\n"
        "child = os.fork()\n"
        "states = [client.run('flow', timeout=30).status.state, before.wait(30).status.state]\n"
        "if not child:\n"
        "    os._exit(states != ['succeeded', 'succeeded'])\n"
        "print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), *states)"
    )
    assert program(source).communicate(timeout=60)[0] == "0 succeeded succeeded\n"


def test_a_program_may_ignore_its_children(settings, program):
    """As servers do; the ends of commands are noticed all the same."""
    settings["flows"]["flow"] = shell("exit 3")
    source = (
        "signal.signal(signal.SIGCHLD, signal.SIG_IGN)\n"
        "print(client.submit('flow').wait(30, raise_on_failure=False).metrics['exit_code'])"
    )
    assert program(source).communicate(timeout=60)[0] == "3\n"


def test_an_async_client_does_the_same(settings, tmp_path):
    """Submit, follow the log, see the end."""
    settings["flows"]["flow"] = shell(f"echo begun; {WAITS.format(tmp_path)}; echo done")

    async def story():
        async with flowrunner.connect_async(backend="local", **settings) as client:
            run = await client.submit("flow")
            lines = []
            async for line in run.logs():
                lines.append(line)
                (tmp_path / "go").touch()
            return lines, (await run.wait(30)).status.state

    assert asyncio.run(story()) == (["begun", "done"], RunState.SUCCEEDED)


def test_leaving_a_log_does_not_wait_for_the_run(settings, tmp_path, monkeypatch):
    """A task that follows a log can be cancelled while nothing comes, and never blocks the event loop."""
    held(settings, tmp_path)
    looks, read = [], Run.read_log
    monkeypatch.setattr(Run, "read_log", lambda run, offset: looks.append(get_ident()) or read(run, offset))

    async def story():
        async with flowrunner.connect_async(backend="local", **settings) as client:
            run = await client.submit("held")
            following = asyncio.create_task(anext(run.logs()))
            await asyncio.to_thread(until, lambda: len(looks) >= 3)
            following.cancel()
            with pytest.raises(asyncio.CancelledError):
                await following
            return (await run.refresh()).state

    assert asyncio.run(story()) in {RunState.QUEUED, RunState.RUNNING}
    assert get_ident() not in looks


# Cancelling


def test_cancelling_ends_the_whole_process_group(settings, connected, tmp_path):
    """A child that ignores the polite request goes, too."""
    stubborn = "import os, signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
    stubborn += f"print(os.getpid(), file=open('{tmp_path}/child', 'w'), flush=True)\ntime.sleep(600)"
    child = " ".join(f"'{word}'" for word in python(stubborn.replace("'", '"')))
    settings["flows"]["flow"] = shell(f"{child} & echo $$ > {tmp_path}/parent; wait")
    run = connected().submit("flow")
    pids = [content_of(tmp_path / name) for name in ("parent", "child")]
    assert all(map(lives, pids))
    assert run.cancel() is CancelOutcome.CONFIRMED
    assert (run.status.state, run.status.cause) == (RunState.CANCELLED, Cause.BY_US)
    until(lambda: not any(map(lives, pids)))


def test_a_command_that_does_not_want_to_end_is_killed(settings, connected, tmp_path, monkeypatch):
    """After `cancel_grace`; until then the cancellation is requested, and the run is being cancelled."""
    monkeypatch.setattr(backend, "CANCEL_PATIENCE", 0.0)
    stubborn = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
    stubborn += f"print('ready', file=open('{tmp_path}/ready', 'w'), flush=True)\ntime.sleep(600)"
    settings |= {"cancel_grace": 0.2, "flows": {"flow": python(stubborn)}}
    run = connected().submit("flow")
    content_of(tmp_path / "ready")
    assert (run.cancel(), run.status.state) == (CancelOutcome.REQUESTED, RunState.CANCELLING)
    with pytest.raises(RunCancelled, match="the command was ended by SIGKILL"):
        run.wait(30)


def test_a_command_may_tidy_up_before_it_is_cancelled(settings, connected, tmp_path):
    """It is asked first, and what it does then is its own."""
    text = f"trap 'echo tidied > tidy; exit 0' TERM; echo x > {tmp_path}/ready; {WAITS.format(tmp_path)}"
    settings["flows"]["flow"] = shell(text)
    run = connected().submit("flow")
    content_of(tmp_path / "ready")
    assert run.cancel() is CancelOutcome.CONFIRMED
    result = run.result()
    assert [artifact.name for artifact in result.artifacts] == ["tidy"]
    assert result.metrics["exit_code"] == 0


def test_a_cancellation_after_the_end_is_too_late(settings, connected):
    """The run has ended as it did."""
    settings["flows"]["flow"] = shell("exit 0")
    run = connected().submit("flow")
    run.wait(30)
    assert (run.cancel(), run.status.state) == (CancelOutcome.TOO_LATE, RunState.SUCCEEDED)


def test_a_run_cancelled_in_the_queue_never_starts(tmp_path):
    """The keeper looks before it starts the command."""
    run, lock = create(tmp_path, Order("flow", ["touch", str(tmp_path / "ran")], {}, {}, None, 1.0))
    run.ask_to_cancel()
    assert keeper.launch(run, lock) is None
    os.close(lock)
    until(lambda: run.status()["word"] == "cancelled")
    assert "started_at" not in run.status()
    assert not (tmp_path / "ran").exists()


def test_whoever_ends_the_keeper_ends_the_run(settings, connected, tmp_path):
    """An administrator's `kill`, say, or the end of a session."""
    held(settings, tmp_path)
    run = connected().submit("held")
    _, keeper_pid = content_of(tmp_path / "pids").split()
    os.kill(int(keeper_pid), signal.SIGTERM)
    with pytest.raises(RunCancelled):
        run.wait(30)


def test_what_belongs_to_another_user_cannot_be_cancelled(monkeypatch):
    """As with `sudo`: the run goes on, and is not called cancelled."""

    def forbidden(*_):
        raise PermissionError

    monkeypatch.setattr(os, "killpg", forbidden)
    with subprocess.Popen(["sleep", "600"]) as process:
        assert keeper._stopped(process, 0.0) is False
        process.kill()


# What goes wrong


def test_a_run_that_lost_its_keeper_is_no_success(settings, connected, tmp_path):
    """The keeper is killed, its command ends well, and nobody saw it."""
    held(settings, tmp_path)
    run = connected().submit("held")
    pid, keeper_pid = content_of(tmp_path / "pids").split()
    until(lambda: run.refresh().state is RunState.RUNNING)
    os.kill(int(keeper_pid), signal.SIGKILL)
    (tmp_path / "go").touch()
    until(lambda: not lives(pid))
    with pytest.raises(RunFailed, match=rf"the keeper of the run is gone.*process {pid}") as caught:
        run.wait(30)
    assert (caught.value.status.vendor_status, caught.value.status.cause) == ("vanished", Cause.INTERRUPTED)
    assert run.cancel() is CancelOutcome.TOO_LATE


def test_a_run_that_never_had_a_keeper_is_no_success(tmp_path):
    """The program that submitted it was killed before it could start one."""
    run, lock = create(tmp_path, Order("flow", ["true"], {}, {}, None, 1.0))
    assert run.status()["word"] == "queued"
    os.close(lock)
    assert run.status()["word"] == "vanished"


@pytest.mark.parametrize(
    ("script", "reason"),
    [(None, "No such file"), ("#!/bin/sh\nexit 1\n", "exit code 1"), ("#!/bin/sh\necho b; echo why; exit 1\n", "why")],
)
def test_a_run_without_a_keeper_is_not_submitted(connected, monkeypatch, tmp_path, script, reason):
    """The caller hears why, in the last words of what was to become the keeper, and there is no such run."""
    path = tmp_path / "python"
    if script is not None:
        path.write_text(script)
        path.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(path))
    client = connected(flows={"flow": shell("exit 0")})
    with pytest.raises(VendorError, match=f"nothing was started: .*{reason}"):
        client.submit("flow")
    assert list(client.runs()) == []


def test_a_command_whose_keeper_breaks_is_ended(tmp_path, monkeypatch):
    """The disk is full: a command that nobody can tell about must not go on."""
    run, lock = create(tmp_path, Order("flow", ["sleep", "600"], {}, {}, None, 1.0))
    os.close(lock)
    started = []

    def start(*arguments, **options):
        started.append(popen(*arguments, **options))
        return started[-1]

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    popen = subprocess.Popen
    monkeypatch.setattr(subprocess, "Popen", start)
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    monkeypatch.setattr(Run, "note", full)
    with pytest.raises(OSError, match="No space left"):
        keeper.keep(run)
    assert started[0].wait(30) == -signal.SIGKILL


def test_the_order_is_on_disk_before_anything_starts(settings, connected, monkeypatch):
    """Whatever happens from then on, the run is there to be found."""
    settings["flows"]["flow"] = shell("exit 0")
    seen = []

    def look(run, _lock):
        seen.append((run.order().flow, run.status()["word"], newest_first(run.path.parent) == [run.path.name]))

    monkeypatch.setattr(backend, "launch", look)
    run = connected().submit("flow")
    assert seen == [("flow", "queued", True)]
    assert run.refresh().vendor_status == "vanished"


# On the command line


def command(tmp_path, *arguments):
    """Start `flowrunner`."""
    pytest.importorskip("click")
    environ = {**os.environ, "FLOWRUNNER_CONFIG": str(tmp_path / "flowrunner.toml"), "COLUMNS": "200"}
    return subprocess.Popen(
        [sys.executable, "-m", "flowrunner", *arguments],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environ, start_new_session=True,
        # As an interactive shell leaves it; what a script starts in the background ignores it.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509 - it takes no lock
    )  # fmt: skip


def test_the_backend_is_found_by_its_name(tmp_path):
    """It loads, and tells what it can do."""
    out, _ = command(tmp_path, "backends", "--check", "local").communicate(timeout=60)
    assert out.split()[:2] == ["local", "flowrunner-local"]
    assert "ok: artifacts, cancel, health" in out


def test_an_interrupted_wait_leaves_the_run_alone(tmp_path):
    """Ctrl-C ends the command that waits; another one waits for the same run."""
    (tmp_path / "flowrunner.toml").write_text(
        "[connections.here]\nbackend = 'local'\nfolder = 'state'\npoll_min = 0.05\npoll_max = 0.1\n"
        f"flows.flow = ['sh', '-c', '''{WAITS.format(tmp_path)}''']\n"
    )
    first = command(tmp_path, "run", "here", "flow", "--wait")
    ref = first.stdout.readline().strip()
    assert any("running" in line for line in first.stderr)
    os.killpg(first.pid, signal.SIGINT)  # as a terminal does
    _, said = first.communicate(timeout=60)
    assert first.returncode == 130
    assert "The run goes on" in said
    second = command(tmp_path, "wait", ref)
    (tmp_path / "go").touch()
    out, said = second.communicate(timeout=60)
    assert second.returncode == 0, said
    assert "succeeded" in out
    assert Path(tmp_path, "state", "runs").is_dir()
