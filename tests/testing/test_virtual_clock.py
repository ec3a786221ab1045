"""Time that moves when everybody waits."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from flowrunner.testing.clock import GRACE, PATIENCE, _Wait

HOURS = 3600.0


def until_known(clock, count):
    """Block until so many wait, or have a request under way."""
    with clock._changed:
        assert clock._changed.wait_for(lambda: len(clock._waits) == count, timeout=10)


def test_it_stands_still_until_it_is_moved(clock):
    """A test moves it, by seconds or a timedelta; both faces of it show the same time."""
    start = clock.now()
    assert (clock.monotonic(), clock.now()) == (0.0, start)
    clock.advance(1.5)
    clock.advance(timedelta(minutes=1))
    assert (clock.monotonic(), clock.now() - start) == (61.5, timedelta(seconds=61.5))
    assert repr(clock) == "<VirtualClock at 2025-01-01 12:01:01.500000>"


def test_it_does_not_go_back(clock):
    """Time only goes forward."""
    with pytest.raises(ValueError, match="does not go back: -1 is less than 0"):
        clock.advance(-1)


@pytest.mark.parametrize("seconds", [6 * HOURS, 0.1, 1e-9])
def test_a_wait_moves_it(clock, seconds):
    """Who waits finds that at least so much time has passed, to the microsecond, however short it was."""
    clock.sleep(seconds)
    asyncio.run(clock.asleep(seconds))
    assert 2 * seconds <= clock.monotonic() <= 2 * (seconds + 1e-6)


def test_threads_that_wait_at_once_wake_each_in_its_time(clock):
    """Three waits of 10, 20 and 30 s that begin together are over after 30 s, not 60, each at its own moment."""

    def wait(seconds):
        clock.sleep(seconds)
        return clock.monotonic()

    with ThreadPoolExecutor(3) as executor:
        with clock.asking():  # time stands still until all of them wait
            waits = [executor.submit(wait, seconds) for seconds in (10, 30, 20)]
            until_known(clock, 4)
        assert [each.result(10) for each in waits] == [10.0, 30.0, 20.0]


def test_tasks_that_wait_at_once_wake_each_in_its_time(clock):
    """The same for tasks of one event loop, also where one of them waits twice."""

    async def wait(*lengths):
        for seconds in lengths:
            await clock.asleep(seconds)
        return clock.monotonic()

    async def main():
        return await asyncio.gather(wait(30), wait(5, 5), wait(20))

    assert asyncio.run(main()) == [30.0, 10.0, 20.0]


def test_a_request_under_way_keeps_it_from_moving(clock):
    """While somebody acts no time passes for those who wait; it does as soon as nobody does."""
    waiting = threading.Thread(target=clock.sleep, args=[10.0])
    with clock.asking():
        waiting.start()
        waiting.join(20 * GRACE)
        assert (waiting.is_alive(), clock.monotonic()) == (True, 0.0)
    waiting.join(10)
    assert (waiting.is_alive(), clock.monotonic()) == (False, 10.0)


def test_a_request_that_is_held_open_lets_it_move(clock):
    """A simulator that waits for a moment gets there, and its bell rings then."""
    rung = threading.Event()
    until = clock.now() + timedelta(seconds=20)
    with clock.bell.heard_by(rung.set), clock.asking(), clock.held(until):
        assert rung.wait(10)
        assert clock.now() == until
    assert clock.real_seconds(until) is None


def test_a_moment_that_has_passed_stops_nobody(clock):
    """A request held for what was to come before now is held for no moment at all."""
    with clock.asking(), clock.held(clock.now()):
        clock.sleep(5)
    assert clock.monotonic() == 5.0


def test_a_request_is_given_up_in_its_time(clock):
    """Nobody answers: at the moment until which the client waits, it leaves."""
    left = threading.Event()
    with clock.asking(30.0, left.set), clock.held(None):
        assert left.wait(10)
    assert clock.monotonic() == 30.0


def test_a_test_may_move_it_while_somebody_waits(clock):
    """`advance` wakes those whose moment has come, and they see the time as it is then."""
    with clock.asking(), ThreadPoolExecutor(1) as executor:
        waiting = executor.submit(clock.sleep, 10.0)
        until_known(clock, 2)
        clock.advance(60)
        waiting.result(10)
    assert clock.monotonic() == 60.0


def test_nobody_is_waited_for_where_there_is_nobody(clock, monkeypatch):
    """Where every thread waits here, time moves at once; a thread that does something else may still have news."""
    threads = [threading.current_thread(), clock._mover]
    graces = []
    monkeypatch.setattr(threading, "enumerate", lambda: threads)
    monkeypatch.setattr(clock, "_move", lambda to, move=clock._move: (graces.append(clock._grace()), move(to)))
    clock.sleep(1)
    threads.append(threading.Thread(name="of the application"))
    clock.sleep(1)
    assert graces == [0.0, GRACE]


def test_it_does_not_move_for_ever(clock):
    """What never comes ends the test that waits for it; how far a test itself moves the time does not count."""
    clock.advance(10 * PATIENCE)
    clock.sleep(PATIENCE.total_seconds())
    with pytest.raises(pytest.fail.Exception, match="moved by itself for 2 days: what is waited for does not come"):
        clock.sleep(1)
    with pytest.raises(pytest.fail.Exception):
        asyncio.run(clock.asleep(1))
    with pytest.raises(pytest.fail.Exception):
        clock.asking()


def test_whoever_outlives_the_test_is_told(clock):
    """After the test a wait that is left over, in a thread or a task, is an error, and so is a new one."""
    started = threading.Barrier(3)

    def wait():
        started.wait(10)
        clock.sleep(10)

    async def wait_in_a_task():
        await asyncio.to_thread(started.wait, 10)
        await clock.asleep(10)

    with ThreadPoolExecutor(2) as executor:
        with clock.asking():
            left = [executor.submit(wait), executor.submit(lambda: asyncio.run(wait_in_a_task()))]
            started.wait(10)
            until_known(clock, 3)
            clock.close()
        for each in left:
            with pytest.raises(RuntimeError, match="the test that this client was made in has ended"):
                each.result(10)
    with pytest.raises(RuntimeError, match="has ended"):
        clock.sleep(1)
    woken = threading.Event()
    with clock._known(_Wait(None, woken.set)):  # it had asked for the time just before
        assert woken.is_set()


def test_a_loop_that_was_closed_over_a_wait_stops_nobody(clock):
    """What waits in a loop that never runs again is forgotten when its moment has come."""
    loop = asyncio.new_event_loop()
    with clock.asking():
        left = loop.create_task(clock.asleep(5))
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()
    clock.sleep(10)
    assert clock.monotonic() == 10.0
    left.get_coro().close()
    left._log_destroy_pending = False
