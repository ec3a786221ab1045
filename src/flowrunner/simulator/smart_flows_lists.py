"""The lists of Smart Flows: pages, orders and simple filters, the same for all that is listed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from starlette.responses import Response

from flowrunner.simulator.refusals import Refusal
from flowrunner.simulator.smart_flows_filter import value_at
from flowrunner.simulator.written import list_of, to_json

if TYPE_CHECKING:
    from collections.abc import Iterable

    from starlette.datastructures import QueryParams

    from flowrunner.simulator.smart_flows_quirks import SmartFlowsQuirks

    Items = list[dict[str, Any]]


def list_page(items: Items, query: QueryParams, quirks: SmartFlowsQuirks) -> Response:
    """Answer with the page that a query asks for: a bare array (documented).

    Raises:
        Refusal: The query names a property that nothing has.
    """
    parts = _read_filter(query, items)
    chosen = [item for item in items if _contains(item, parts)]
    for key, descends in reversed(_read_sort(query, items)):
        chosen.sort(key=lambda item, key=key: str(value_at(item, key)).casefold(), reverse=descends)  # type: ignore[misc]
    begin, size = place_in(query, quirks)
    return written_page(map(to_json, chosen[begin : begin + size]), len(chosen), quirks)


def place_in(query: QueryParams, quirks: SmartFlowsQuirks) -> tuple[int, int]:
    """Return where the page that a query asks for begins, and how many items it may have."""
    page, most = {"page": ("page", "size"), "pageNumber": ("pageNumber", "pageSize")}[quirks.page_names]
    size = min(_whole(query.get(most), 20, 1), quirks.largest_page)
    return _whole(query.get(page), 0, 0) * size, size


def written_page(items: Iterable[bytes], total: int, quirks: SmartFlowsQuirks) -> Response:
    """Answer with a page of items that are written already."""
    headers = {"X-Total-Count": str(total)} if quirks.total == "header" else {}
    return Response(list_of(items), headers=headers, media_type="application/json")


def _whole(text: str | None, default: int, least: int) -> int:
    """Read a number; what is none, or too small, is the default (assumed: Spring Data does so)."""
    digits = text or ""
    number = int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 10 else default
    return number if number >= least else default


def _contains(item: dict[str, Any], parts: Iterable[tuple[str, str]]) -> bool:
    return all(text.casefold() in str(value_at(item, key)).casefold() for key, text in parts)


def _read_filter(query: QueryParams, items: Items) -> list[tuple[str, str]]:
    """Read `property:text,property:text`."""
    parts = [part.partition(":") for part in query.get("filter", "").split(",") if part]
    return [(_known(key, items), text) for key, _, text in parts]


def _read_sort(query: QueryParams, items: Items) -> list[tuple[str, bool]]:
    """Read `property,asc` or `property,desc`, which may come more than once."""
    parts = [part.partition(",") for part in query.getlist("sort")]
    return [(_known(key, items), direction.lower() == "desc") for key, _, direction in parts]


def _known(key: str, items: Items) -> str:
    """Return the name of a property that some item has."""
    if items and all(value_at(item, key) is None for item in items):
        raise Refusal(400, f"No property {key} found")
    return key
