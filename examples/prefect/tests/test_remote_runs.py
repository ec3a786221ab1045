"""The recipe keeps what its how-to says, on a real Prefect server and simulated workflow servers."""

import asyncio

import pytest
from prefect import flow, unmapped
from prefect.states import State

from flowrunner import RunFailed
from flowrunner.simulator import Behaviour
from remote_runs import follow, run, submit

FLOW = "Tutorials/10seconds.fmw"


def test_fifty_mapped_tasks_share_one_follower(server):
    """Fifty runs that are waited for in fifty threads are looked at together."""
    fme = server("fme-flow-v4", "many")

    @flow
    def many():
        refs = submit.map(unmapped("many"), unmapped(FLOW), unmapped({"location": "Surrey"}), work=[f"{i}" for i in range(50)])
        return follow.map(unmapped("many"), refs).result()

    results = many()
    assert len(results) == 50
    assert len(fme.books) == 50
    looks = [each for each in fme.requests if each.method == "GET"]
    from collections import Counter
    print(Counter((r.method, r.path.rsplit("/", 1)[0] if r.path.rsplit("/", 1)[1].isdigit() else r.path) for r in fme.requests))
