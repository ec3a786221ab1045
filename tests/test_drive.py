"""Running generators, blocking and not: one behaviour."""

import asyncio

import pytest

from flowrunner.drive import adrive, drive
from flowrunner.errors import TransportError


def run_sync(steps, perform):
    """Drive, blocking."""
    return drive(steps, perform)


def run_async(steps, perform):
    """Drive in an event loop, with the same function."""

    async def aperform(step):
        await asyncio.sleep(0)
        return perform(step)

    return asyncio.run(adrive(steps, aperform))


@pytest.fixture(params=[run_sync, run_async], ids=["drive", "adrive"])
def run(request):
    """Either way to run a generator."""
    return request.param


class Script:
    """What happens when each step is performed: a value is the answer, an exception is raised."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.asked = []

    def __call__(self, step):
        """Note the step, and answer it."""
        self.asked.append(step)
        answer = self.answers.pop(0)
        if isinstance(answer, BaseException):
            raise answer
        return answer


def adding(closed, *, catch=()):
    """Ask for three numbers and return their sum; `catch` is what counts as none."""
    total = 0
    try:
        for step in "abc":
            try:
                total += yield step
            except catch:
                total += 100
        return total
    finally:
        closed.append(True)


LOST = TransportError("reset", maybe_arrived=True)


def test_answers_go_in_and_the_value_comes_out(run):
    """Each step is performed in order, once, and what the generator returns is the result."""
    closed, script = [], Script(1, 2, 3)
    assert run(adding(closed), script) == 6
    assert script.asked == ["a", "b", "c"]
    assert closed == [True]


def test_a_generator_may_ask_for_nothing(run):
    """What ends without a step returns its value, too."""

    def done():
        yield from ()
        return 7

    assert run(done(), Script()) == 7


@pytest.mark.parametrize("error", [LOST, OSError("disk full")], ids=["ours", "system"])
def test_errors_are_thrown_into_the_generator(run, error):
    """Our errors and the system's are raised where the generator stands, which may go on."""
    closed, script = [], Script(1, error, 3)
    assert run(adding(closed, catch=type(error)), script) == 104
    assert script.asked == ["a", "b", "c"]
    assert closed == [True]


def test_a_generator_may_fail_several_times(run):
    """Each failure is thrown in anew."""
    assert run(adding([], catch=TransportError), Script(LOST, LOST, LOST)) == 300


def test_a_generator_may_end_on_an_error(run):
    """What a generator returns after an error is the result."""

    def careful():
        try:
            yield "a"
        except TransportError as error:
            return error

    assert run(careful(), Script(LOST)) is LOST


@pytest.mark.parametrize("error", [LOST, OSError("disk full"), ValueError("a bug"), KeyboardInterrupt()], ids=repr)
def test_an_error_nobody_handles_comes_out_and_the_generator_is_closed(run, error):
    """Whatever is raised while a step is performed, the generator is left in order."""
    closed = []
    with pytest.raises(type(error)) as caught:
        run(adding(closed), Script(1, error))
    if not isinstance(error, KeyboardInterrupt):
        assert caught.value is error
    assert closed == [True]


@pytest.mark.parametrize("error", [ValueError("a bug"), KeyboardInterrupt()], ids=repr)
def test_other_errors_are_not_for_the_generator(run, error):
    """A bug and the end of the program cannot be taken for an answer."""
    with pytest.raises(type(error)):
        run(adding([], catch=Exception), Script(error))


def test_what_the_generator_raises_comes_out(run):
    """An error of the generator's own is the caller's."""

    def failing():
        yield "a"
        raise LookupError("no such flow")

    with pytest.raises(LookupError, match="no such flow"):
        run(failing(), Script(1))


def test_another_error_may_take_its_place(run):
    """A generator may raise what an error means; the error is chained."""

    def wrapping():
        try:
            yield "a"
        except TransportError as error:
            raise LookupError from error

    with pytest.raises(LookupError) as caught:
        run(wrapping(), Script(LOST))
    assert caught.value.__cause__ is LOST


def test_an_exhausted_iterator_is_not_the_end():
    """A function that lets StopIteration out has failed: its value is no result of the generator's."""
    closed = []
    with pytest.raises(StopIteration):
        drive(adding(closed), Script(StopIteration("not a result")))
    assert closed == [True]


def test_the_same_holds_in_an_event_loop():
    """There Python turns it into a RuntimeError by itself."""
    closed = []
    with pytest.raises(RuntimeError):
        run_async(adding(closed), Script(StopIteration("not a result")))
    assert closed == [True]


def test_a_cancelled_task_closes_the_generator():
    """A task that is cancelled while a step is performed leaves the generator in order."""
    closed = []

    async def cancelled():
        async def forever(_step):
            await asyncio.Event().wait()

        task = asyncio.create_task(adrive(adding(closed, catch=Exception), forever))
        await asyncio.sleep(0)
        task.cancel()
        await task

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(cancelled())
    assert closed == [True]
