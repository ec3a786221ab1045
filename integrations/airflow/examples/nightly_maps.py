"""Every night: a map for each theme at an FME Flow, all at once, and then a report by a Smart Flow."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pendulum
from airflow.sdk import dag, task

from flowrunner_airflow import FlowrunnerOperator, FlowrunnerSensor

REPORT = "5b0c1f4e-92d3-4d0a-8a61-7c1e5f2ab002"


@dag(
    schedule="0 2 * * *",
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    default_args={"retries": 3, "retry_delay": timedelta(minutes=1)},
)
def nightly_maps() -> None:
    """Make the maps, say where they are, and report."""

    @task
    def choose_themes() -> list[dict[str, Any]]:
        return [{"MAXY": 42, "THEMES": [theme]} for theme in ("airports", "cenart")]

    maps = FlowrunnerOperator.partial(
        task_id="make_map",
        flowrunner_conn_id="fme",
        flow="Samples/austinDownload.fmw",
        xcoms=["outputs"],
    ).expand(parameters=choose_themes())

    @task
    def publish(outputs: list[dict[str, Any]]) -> list[str]:
        return [output["download_url"] for output in outputs]

    started = FlowrunnerOperator(task_id="start_report", flowrunner_conn_id="reports", flow=REPORT, wait=False)
    reported = FlowrunnerSensor(task_id="wait_for_report", flowrunner_conn_id="reports", ref=started.output)

    publish(maps.output["outputs"]) >> started >> reported


nightly_maps()
