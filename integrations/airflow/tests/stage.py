"""DAGs run in this process, attempt by attempt: what Airflow's scheduler and workers do, without their processes."""

from __future__ import annotations

import json
import os
import sys

from airflow.dag_processing.bundles.manager import DagBundlesManager
from airflow.dag_processing.dagbag import DagBag, sync_bag_to_db
from airflow.models.taskinstance import clear_task_instances
from airflow.models.xcom import XComModel
from airflow.sdk import DAG
from airflow.sdk.definitions.dag import _run_task
from airflow.utils.session import create_session
from airflow.utils.state import TaskInstanceState
from sqlalchemy import select

from flowrunner_airflow.notes import KEY

__all__ = ["Stage"]


class Ran:
    """A run of a DAG of one task, `run`, and what became of it."""

    def __init__(self, dag, dag_run):
        self.dag = dag
        self.dag_run = dag_run

    def ti(self):
        """The instance of the task, as the database has it."""
        with create_session() as session:
            (found,) = self.dag_run.get_task_instances(session=session)
            session.expunge_all()
        return found

    @property
    def state(self):
        """How the task stands."""
        return self.ti().state

    @property
    def tries(self):
        """How many attempts there were."""
        return self.ti().try_number

    def xcom(self, key="return_value"):
        """A value the task has left; None where it has not."""
        with create_session() as session:
            query = select(XComModel.value).where(XComModel.run_id == self.dag_run.run_id, XComModel.key == key)
            found = session.scalars(query).first()
        return XComModel.deserialize_value(type("Row", (), {"value": found})) if found is not None else None

    def note(self):
        """What the task has noted of its run."""
        from airflow.models.task_state_store import TaskStateStoreModel as Kept

        with create_session() as session:
            query = select(Kept.value).where(Kept.dag_run_id == self.dag_run.id, Kept.key == KEY)
            kept = session.scalars(query).first()
        return None if kept is None else json.loads(kept)

    def clear(self):
        """Clear the task, as a person does it."""
        with create_session() as session:
            clear_task_instances(self.dag_run.get_task_instances(session=session), session)

    def attempt(self):
        """Have a worker attempt the task once more, and a triggerer follow."""
        with create_session() as session:
            (ti,) = self.dag_run.get_task_instances(session=session)
            ti.try_number += 1
            ti.state = TaskInstanceState.SCHEDULED
        _run_task(ti=ti, task=self.dag.get_task("run"), run_triggerer=True)


class Stage:
    """Runs DAGs."""

    def dag(self, make, **arguments):
        """A DAG of one task, `run`, that is made in its context."""
        caller = sys._getframe(1)  # inspect.stack() reads the source of every module there is in it, twice a test
        if caller.f_code.co_name == "run":
            caller = caller.f_back
        name = caller.f_code.co_name
        with DAG(name, schedule=None, default_args={"retry_delay": 0, **arguments}) as dag:
            make()
        dag.fileloc = __file__
        return dag

    def run(self, make, **arguments):
        """Run the DAG of a task, with all attempts that Airflow makes."""
        dag = self.dag(make, **arguments)
        self._know(dag)
        return Ran(dag, dag.test())

    def run_file(self, path, name):
        """Run a DAG of a file."""
        bag = DagBag(dag_folder=path)
        assert bag.import_errors == {}
        self._sync(bag)
        return bag.dags[name].test()

    def _know(self, dag):
        bag = DagBag(dag_folder=os.devnull)
        bag.bag_dag(dag)
        self._sync(bag)

    @staticmethod
    def _sync(bag):
        DagBundlesManager().sync_bundles_to_db()
        sync_bag_to_db(bag, "dags-folder", None)
