"""The fixtures for tests of programs that use flowrunner. pytest loads this module wherever flowrunner is installed.

So it imports nothing until a fixture is asked for, and what the fixtures need may be missing until then.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flowrunner.testing.clock import VirtualClock
    from flowrunner.testing.stage import Stage, StartSimulator


@pytest.fixture
def flowrunner_clock(_flowrunner_stage: Stage) -> VirtualClock:
    """The time of every simulator and of every client made during the test.

    It stands still until the test moves it (`advance`), or until somebody waits: no pause takes real time.
    """
    return _flowrunner_stage.clock


@pytest.fixture
def flowrunner_simulator(_flowrunner_stage: Stage) -> StartSimulator:
    """Start a simulator of a vendor that `flowrunner.connect(connection)` finds, see `Stage.start`.

    `flowrunner_simulator("fme-flow", connection="prod", real_socket=False, ...)`; more arguments are `Simulator`'s.
    """
    return _flowrunner_stage.start


@pytest.fixture
def _flowrunner_stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    make = _stage()
    with pytest.MonkeyPatch.context() as patch, make(patch, lambda: tmp_path_factory.mktemp("flowrunner")) as stage:
        yield stage


def _stage() -> type[Stage]:
    try:
        from flowrunner.testing.stage import Stage
    except ImportError as error:
        problem = str(error)
    else:
        return Stage
    pytest.fail(
        f'the fixtures of flowrunner need an extra: pip install "flowrunner[testing]" ({problem})', pytrace=False
    )
