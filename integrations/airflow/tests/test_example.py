"""The example, and the page that shows it."""

from __future__ import annotations

from pathlib import Path

from airflow.models.xcom import XComModel
from airflow.utils.session import create_session
from sqlalchemy import select

HERE = Path(__file__).parent.parent
EXAMPLE = HERE / "examples" / "nightly_maps.py"
PAGE = HERE.parent.parent / "docs" / "how-to" / "airflow.md"


def test_the_page_shows_the_example():
    """What its reader copies is what is tried here."""
    assert f"```python\n{EXAMPLE.read_text()}```\n" in PAGE.read_text()


def test_the_example(stage, simulated, connected):
    """Its DAG runs, at two vendors, and one task knows of the other's outputs."""
    fme, reports = simulated("fme-flow"), simulated("smart-flows")
    connected(fme, conn_id="fme")
    connected(reports, conn_id="reports")
    run = stage.run_file(EXAMPLE, "nightly_maps")
    assert run.state == "success"
    assert (len(fme.books), len(reports.books)) == (2, 1)
    with create_session() as session:
        query = select(XComModel.value).where(XComModel.run_id == run.run_id, XComModel.task_id == "publish")
        (urls,) = session.scalars(query).all()
    assert len(set(urls)) == 2
