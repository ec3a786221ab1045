"""The DAGs of the test with a whole Airflow; `COUNT` is in its environment."""

from __future__ import annotations

import os
from datetime import timedelta

from airflow.sdk import DAG

from flowrunner_airflow import FlowrunnerOperator

AGAIN = {"retries": 3, "retry_delay": timedelta(seconds=1)}

with DAG("many", schedule=None):
    FlowrunnerOperator.partial(task_id="run", flow="Test/many.fmw", ends_in_triggerer=True, **AGAIN).expand(
        parameters=[{"NUMBER": number} for number in range(int(os.environ["COUNT"]))]
    )

for name, deferrable in (("held", False), ("marked", True), ("cleared", False), ("cleared_while_deferred", True)):
    with DAG(name, schedule=None):
        FlowrunnerOperator(task_id="run", flow=f"Test/{name}.fmw", deferrable=deferrable, priority_weight=10, **AGAIN)
