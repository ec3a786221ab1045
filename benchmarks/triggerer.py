"""What a thousand deferred tasks do to the event loop of Airflow's triggerer: the process `airflow triggerer` itself.

`integrations/airflow/.venv/bin/python benchmarks/triggerer.py [TASKS [AT_ONCE]]`, in the environment that
`integrations/airflow/test.sh` makes. Tasks and triggers are rows of a database of its own, in SQLite, and come all at
once; the triggerer takes fifty in one go (a second or more), as is Airflow's default, or AT_ONCE. No scheduler runs: a
task that its trigger has fired for stays scheduled.

One trigger more watches how late the loop is, in three phases: while all triggers enter, while their runs are followed,
and while all runs end at once. That is done with triggers that only sleep, which is what Airflow itself costs the loop,
and then with those of flowrunner. The vendor is a simulator in a process of its own, which tells what it was asked.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cryptography.fernet import Fernet
from filled import Filled
from lateness import Taken

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from airflow.triggers.base import BaseTrigger

DAG_ID, RUN, WATCH = "benchmark", "run", "watch"
POLL_MAX = 2.0
"""Seconds from one look at the runs to the next, at most."""
LASTING = 90.0
"""Seconds for which the runs go on; all triggers have to be there before, and Airflow takes its time with that."""
SETTLED = 3.0
"""Seconds that a phase goes on after what it waits for."""
PATIENCE = 120.0


class Watched:
    """What the trigger `Watching` writes down.

    Args:
        path: its file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._taken = 0

    def lines(self) -> list[dict[str, Any]]:
        """What came since it was taken last."""
        text = self._path.read_text() if self._path.exists() else ""
        return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")][self._taken :]

    def triggers(self) -> int:
        """How many there are just now; below zero where nothing is known yet."""
        lines = self.lines()
        return int(lines[-1]["triggers"]) if lines else -1

    def taken(self) -> list[dict[str, Any]]:
        """As `lines`, which begin anew."""
        lines = self.lines()
        self._taken += len(lines)
        return lines


class Installed:
    """A database of Airflow with a DAG: a task that is mapped many times, and one for the trigger that watches.

    Args:
        count: how many times.
        flow: what the tasks run.
    """

    def __init__(self, count: int, flow: str) -> None:
        from airflow.dag_processing.bundles.manager import DagBundlesManager
        from airflow.dag_processing.dagbag import DagBag, sync_bag_to_db
        from airflow.sdk import DAG

        from flowrunner_airflow import FlowrunnerOperator

        subprocess.run([sys.executable, "-m", "airflow", "db", "migrate"], check=True, capture_output=True)
        with DAG(DAG_ID, schedule=None) as dag:
            FlowrunnerOperator.partial(task_id=RUN, flow=flow).expand(parameters=[{} for _ in range(count)])
            FlowrunnerOperator(task_id=WATCH, flow=flow)
        dag.fileloc = __file__
        bag = DagBag(dag_folder=os.devnull)
        bag.bag_dag(dag)
        DagBundlesManager().sync_bundles_to_db()  # type: ignore[no-untyped-call]  # Airflow annotates no constructor
        sync_bag_to_db(bag, "dags-folder", None)

    def start(self, run_id: str) -> None:
        """Start a run of the DAG."""
        from airflow._shared.timezones import timezone
        from airflow.models.serialized_dag import SerializedDagModel
        from airflow.utils.session import create_session
        from airflow.utils.state import DagRunState
        from airflow.utils.types import DagRunTriggeredByType, DagRunType

        with create_session() as session:
            model = SerializedDagModel.get(DAG_ID, session=session)
            assert model is not None
            model.dag.create_dagrun(
                run_id=run_id, run_after=timezone.utcnow(), run_type=DagRunType.MANUAL, state=DagRunState.RUNNING,
                triggered_by=DagRunTriggeredByType.TEST, session=session,
            )  # fmt: skip

    def defer(self, run_id: str, task_id: str, triggers: Sequence[BaseTrigger]) -> None:
        """Have each of a task's instances wait for a trigger."""
        from airflow.models.taskinstance import TaskInstance
        from airflow.models.trigger import Trigger
        from airflow.utils.session import create_session
        from airflow.utils.state import TaskInstanceState
        from sqlalchemy import select

        of_task = (TaskInstance.run_id == run_id, TaskInstance.task_id == task_id)
        with create_session() as session:
            rows = [Trigger.from_object(each) for each in triggers]
            session.add_all(rows)
            session.flush()
            for instance, row in zip(session.scalars(select(TaskInstance).where(*of_task)).all(), rows, strict=True):
                instance.state, instance.trigger_id, instance.try_number = TaskInstanceState.DEFERRED, row.id, 1
                instance.next_method, instance.next_kwargs = "resume", {}

    def end(self, run_id: str) -> list[str]:
        """End a run, the trigger that watches with it, and say what those instances were told that may go on."""
        from airflow.models.taskinstance import TaskInstance
        from airflow.models.trigger import Trigger
        from airflow.utils.session import create_session
        from airflow.utils.state import TaskInstanceState
        from sqlalchemy import delete, select, update

        of_run = TaskInstance.run_id == run_id
        may_go_on = (of_run, TaskInstance.state == TaskInstanceState.SCHEDULED)
        with create_session() as session:
            told = session.scalars(select(TaskInstance.next_kwargs).where(*may_go_on)).all()
            session.execute(update(TaskInstance).where(of_run).values(state=TaskInstanceState.SUCCESS, trigger_id=None))
            session.execute(delete(Trigger))
        return [json.dumps(each) for each in told]


@contextmanager
def triggerer(home: Path) -> Iterator[None]:
    """Airflow's triggerer, in processes of its own."""
    with (home / "triggerer.log").open("a") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "airflow", "triggerer", "--skip-serve-logs"],
            env=os.environ | {"AIRFLOW__LOGGING__LOGGING_LEVEL": "INFO"}, stdout=log, stderr=log,
            stdin=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
    try:
        yield
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(30)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def until(holds: Callable[[], bool], what: str) -> None:
    """Wait until something holds, and for what it brings about."""
    given_up = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < given_up, f"waited in vain until {what}"
        time.sleep(0.1)
    time.sleep(SETTLED)


def measure(server: Filled, airflow: Installed, home: Path, kind: str, count: int) -> None:
    """Print the three phases of triggers of a kind."""
    from triggerer_triggers import Watching

    path = home / f"{kind}.jsonl"
    watched = Watched(path)
    airflow.start(kind)
    airflow.defer(kind, WATCH, [Watching(str(path), f"/{RUN}/")])
    with triggerer(home):
        until(lambda: watched.triggers() >= 0, "the triggerer is there")
        ids = server.fill(count, LASTING)
        ending = time.time() + LASTING
        airflow.defer(kind, RUN, made(kind, server, ids, ending))
        watched.taken()
        server.requests()
        until(lambda: watched.triggers() >= count, "all triggers are there")
        show("all enter at once", watched, server)
        assert time.time() < ending - POLL_MAX, "the runs end before they are followed: raise LASTING"
        time.sleep(ending - POLL_MAX - time.time())
        show("all are followed", watched, server)
        until(lambda: watched.triggers() == 0, "all triggers have fired")
        show("all end at once", watched, server)
    events = airflow.end(kind)
    print(f"  tasks that may go on: {len(events)}, {sum('broken' in each for each in events)} of them with an error")


def made(kind: str, server: Filled, ids: Sequence[str], ending: float) -> Sequence[BaseTrigger]:
    """The triggers of a kind."""
    from triggerer_triggers import Sleeping

    from flowrunner import RunRef, connect
    from flowrunner_airflow.trigger import FollowTrigger

    if kind == "sleep":
        return [Sleeping(ending) for _ in ids]
    with connect(**server.settings) as client:
        refs = [RunRef(client.name, client.backend, server.flow, each) for each in ids]
    return [FollowTrigger("flowrunner_default", str(ref)) for ref in refs]


def show(phase: str, watched: Watched, server: Filled) -> None:
    """Print what a phase came to."""
    lines, (requests, cycles) = watched.taken(), server.requests()
    every = [Taken(**each["taken"]) for each in lines]
    worst = {name: max(getattr(each, name) for each in every) for name in ("late", "busy", "collecting")}
    whole = Taken(**worst, cpu=sum(each.cpu for each in every))
    took = lines[-1]["at"] - lines[0]["at"]
    print(f"  {phase:<18} {took:4.1f} s: {whole}, {requests} requests in {cycles} cycles", flush=True)


def configuration(home: Path, server: Filled, count: int, at_once: int) -> dict[str, str]:
    """The variables by which Airflow is configured, in this process and in the triggerer's."""
    backend, base_url, token = (server.settings[name] for name in ("backend", "base_url", "token"))
    extra = {"backend": backend, "poll_max": POLL_MAX}
    connection = {"conn_type": "flowrunner", "host": base_url, "password": token, "extra": extra}
    return {
        "AIRFLOW__CORE__FERNET_KEY": Fernet.generate_key().decode(),
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(home / "dags"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "WARNING",  # in this process, where it would be in between
        "AIRFLOW__TRIGGERER__CAPACITY": str(count + 1),
        "AIRFLOW__TRIGGERER__MAX_TRIGGER_TO_SELECT_PER_LOOP": str(at_once),
        "AIRFLOW_CONN_FLOWRUNNER_DEFAULT": json.dumps(connection),
        "NO_PROXY": "127.0.0.1",
        "PYTHONPATH": str(Path(__file__).parent),
    }


def main() -> None:
    """Measure."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    at_once = int(sys.argv[2]) if len(sys.argv) > 2 else 50
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # the triggerer has a file for the log of each trigger
    with tempfile.TemporaryDirectory() as folder, Filled("fme-flow-v4") as server:
        home = Path(folder)
        (home / "dags").mkdir()
        os.environ |= configuration(home, server, count, at_once)  # before Airflow is imported, which reads it then
        airflow = Installed(count, server.flow)
        for kind in ("sleep", "follow"):
            print(f"{count} triggers that {kind}:", flush=True)
            measure(server, airflow, home, kind, count)


if __name__ == "__main__":
    main()
