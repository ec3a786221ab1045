"""A flow that has a flow of FME Flow run for each theme: `python nightly.py` serves it."""

import asyncio
from typing import Any

from prefect import flow

from remote_runs import cancel_remote_runs, run


@flow(on_cancellation=[cancel_remote_runs])
async def nightly(themes: list[str]) -> list[dict[str, Any]]:
    """All themes, side by side."""
    runs = [run("prod", "Samples/austinDownload.fmw", {"THEMES": [theme]}, work=theme) for theme in themes]
    return await asyncio.gather(*runs)


if __name__ == "__main__":
    nightly.serve("nightly")
