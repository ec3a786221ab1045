"""Ctrl-C and SIGTERM end a command, and leave no lock taken."""

import asyncio
import os
import signal
import threading

import pytest

from flowrunner.cli import interrupts
from flowrunner.cli.interrupts import interruptible, run

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals are sent as POSIX has them")

BOTH = pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])


class Lock:
    """A lock written in Python, interrupted when it was just taken, or was just given back."""

    def __init__(self, number, *, at):
        self.inner, self.number, self.at = threading.Lock(), number, at

    def __enter__(self):
        self.inner.acquire()
        if self.at == "enter":
            signal.raise_signal(self.number)

    def __exit__(self, *_):
        if self.at == "exit":
            signal.raise_signal(self.number)
        self.inner.release()


@pytest.fixture(autouse=True)
def _as_it_was():
    """Whatever a test does, signals are handled as before it, also where whoever runs the tests has them ignored."""
    before = {each: signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM, signal.SIGALRM)}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    for each, handler in before.items():
        signal.signal(each, handler)


@BOTH
def test_each_interrupts(number):
    """Either is a KeyboardInterrupt at once."""
    with pytest.raises(KeyboardInterrupt), interruptible():
        signal.raise_signal(number)


@BOTH
@pytest.mark.parametrize("at", ["enter", "exit"])
def test_a_lock_is_given_back(number, at):
    """An interrupt while a lock is taken or given back comes a moment later, and the lock is free then."""
    lock = Lock(number, at=at)

    def take_it():
        with lock:
            if at == "enter":
                signal.pause()
        signal.pause()

    with pytest.raises(KeyboardInterrupt), interruptible():
        take_it()
    assert not lock.inner.locked()


def test_what_takes_long_is_no_lock(monkeypatch):
    """Whoever hangs while entering is interrupted in the end."""
    monkeypatch.setattr(interrupts, "LATER", 0.0001)

    class Hanging(Lock):
        def __enter__(self):
            super().__enter__()
            while True:
                signal.pause()

    with pytest.raises(KeyboardInterrupt), interruptible(), Hanging(signal.SIGTERM, at="enter"):
        pytest.fail("it was entered")


def test_a_command_in_the_background():
    """A shell has it ignore Ctrl-C: it does."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with interruptible():
        signal.raise_signal(signal.SIGINT)
        assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN


def test_nothing_is_left():
    """What handled the signals before does so after it, and an interrupt that still waits is forgotten."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGALRM)
    before = [signal.getsignal(each) for each in numbers]
    with interruptible(), Lock(signal.SIGTERM, at="enter"):
        pass
    assert [signal.getsignal(each) for each in numbers] == before
    assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)


@BOTH
def test_work_on_a_loop_is_cancelled(number):
    """It may put away its things, and the interrupt comes after that."""
    ended = []

    async def work():
        signal.raise_signal(number)
        try:
            await asyncio.sleep(60)
        finally:
            ended.append(await asyncio.sleep(0, "put away"))

    with pytest.raises(KeyboardInterrupt), interruptible():
        run(work())
    assert ended == ["put away"]


def test_work_on_a_loop_in_the_background():
    """Where Ctrl-C is ignored, SIGTERM is not."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    async def work():
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGTERM)

    with pytest.raises(KeyboardInterrupt), interruptible():
        run(work())


def test_an_alarm_of_others():
    """Who has set the alarm clock has it ring, as long as no interrupt needs it."""
    rung = []
    signal.signal(signal.SIGALRM, lambda *_: rung.append("rung"))
    signal.setitimer(signal.ITIMER_REAL, 0.01, 0.01)
    with interruptible():
        pass
    signal.pause()
    signal.setitimer(signal.ITIMER_REAL, 0)
    assert rung


def test_without_a_timer(monkeypatch):
    """Where there is none, as on Windows, an interrupt comes at once, always."""
    monkeypatch.delattr(signal, "SIGALRM")
    lock = Lock(signal.SIGTERM, at="enter")
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt), interruptible(), lock:
        pytest.fail("it was entered")
    assert lock.inner.locked()
    with interruptible():
        assert signal.getsignal(signal.SIGTERM) != before
    assert signal.getsignal(signal.SIGTERM) == before
