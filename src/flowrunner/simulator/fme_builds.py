"""The builds of FME Flow: their releases, and which versions of the API each of them has."""

from __future__ import annotations

from itertools import takewhile
from typing import Literal

Api = Literal["v3", "v4"]

FIRST_WITH_V4 = 25208
"""From here on V4 answers (observed: the vendor's client asks such builds for jobs over V4)."""

FIRST_WITHOUT_V3 = 26100
"""From here on V3 is gone. Documented is only "from 2026.1"; the exact build is assumed."""

# The first build of each release, as far as builds are known.
_RELEASES = (
    (22337, 2022, 0),
    (22765, 2022, 2),
    (23166, 2023, 0),
    (23619, 2023, 1),
    (24733, 2024, 2),
    (25049, 2025, 0),
    (25208, 2025, 1),
    (26018, 2026, 0),
    (26333, 2026, 2),
)

# FME Server became FME Flow with 2023.1; the first build under the new name is assumed.
_FIRST_NAMED_FLOW = 23283


def apis_of(build: int) -> frozenset[Api]:
    """Return the versions of the API that a build has."""
    has: dict[Api, bool] = {"v3": build < FIRST_WITHOUT_V3, "v4": build >= FIRST_WITH_V4}
    return frozenset(api for api, there in has.items() if there)


def release(build: int) -> tuple[int, int]:
    """Return the year and the number of the release a build belongs to."""
    *_, (_, year, number) = (_RELEASES[0], *takewhile(lambda release: release[0] <= build, _RELEASES))
    return year, number


def product_of(build: int) -> str:
    """Return what the vendor called the server then."""
    return "FME Flow" if build >= _FIRST_NAMED_FLOW else "FME Server"


def build_text(build: int, product: str = "FME Flow") -> str:
    """Return a build as the server writes it."""
    year, number = release(build)
    return f"{product} {year}.{number} - Build {build} - linux-x64"
