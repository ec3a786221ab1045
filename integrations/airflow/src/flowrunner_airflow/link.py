"""The link from a task to its run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow.sdk import BaseOperatorLink

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator
    from airflow.sdk.types import TaskInstanceKey

__all__ = ["RunLink"]


class RunLink(BaseOperatorLink):
    """The vendor's page about the run, where the connection says where that is; else there is none."""

    name = "Run at the vendor"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:  # noqa: ARG002 - as Airflow calls it
        """The address; Airflow asks for it in the process that ran the task."""
        return str(getattr(operator, "run_page", ""))
