"""The statistics of Smart Flows: how many executions there were, by time, flow and user."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    Items = Iterable[Mapping[str, Any]]

PERIODS = {
    "Hour": "%Y-%m-%dT%H:00",
    "HourOfDay": "%H",
    "Day": "%Y-%m-%d",
    "DayOfWeek": "%A",
    "DayOfMonth": "%d",
    "Week": "%G-W%V",
    "WeekOfYear": "%V",
    "Month": "%Y-%m",
    "MonthOfYear": "%B",
}
"""The periods there are (documented), each with how its labels are written (assumed)."""


def statistics(items: Items, by: str) -> dict[str, Any]:
    """Count executions, the periods in the order in which they first come."""
    periods: dict[str, Counter[str]] = {}
    listed = sorted(items, key=lambda item: str(item["createdAt"]))
    for item in listed:
        label = datetime.fromisoformat(item["createdAt"]).strftime(PERIODS[by])
        periods.setdefault(label, Counter())[item["status"]] += 1
    return {
        "perTime": [_period(label, counts) for label, counts in periods.items()],
        "perObject": _shares("object", [item["flow"] for item in listed]),
        "perUser": _shares("user", [item["createdBy"] for item in listed]),
    }


def _period(label: str, counts: Counter[str]) -> dict[str, Any]:
    per_status = [{"status": status, "count": count} for status, count in counts.items()]
    return {"label": label, "perStatus": per_status, "totalCount": counts.total()}


def _shares(name: str, things: list[dict[str, str]]) -> list[dict[str, Any]]:
    """Count things by their ids, the most frequent first, each with its share in percent."""
    described = {thing["id"]: thing for thing in things}
    counts = Counter(thing["id"] for thing in things)
    return [
        {name: described[key], "count": count, "percentage": round(100 * count / len(things), 2)}
        for key, count in counts.most_common()
    ]
