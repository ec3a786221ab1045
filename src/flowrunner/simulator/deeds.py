"""What each kind of fault that disturbs a request does to it."""

from __future__ import annotations

from http import HTTPStatus
from types import MappingProxyType
from typing import TYPE_CHECKING

from flowrunner.simulator.clock import later
from flowrunner.simulator.exchange import key_of, make_answer
from flowrunner.simulator.waiting import sleep_until

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from flowrunner.simulator.exchange import Exchange
    from flowrunner.simulator.faults import Fault, Kind

_PHRASES = {status.value: status.phrase for status in HTTPStatus}
_PAGE = "<html><head><title>{0}</title></head><body><center><h1>{0}</h1></center><hr>proxy</body></html>"


async def _refuse(exchange: Exchange, fault: Fault) -> None:
    """Read nothing; or for a time do not even listen."""
    if fault.lasts is None:
        await exchange.hang_up(reset=True)
    else:
        await exchange.line.go_down(fault.lasts)
        await exchange.until_gone()


async def _reset_before(exchange: Exchange, _: Fault) -> None:
    await exchange.hang_up(reset=True)


async def _reset_after(exchange: Exchange, _: Fault) -> None:
    await exchange.hear()
    await exchange.hang_up(reset=True)


async def _hang(exchange: Exchange, fault: Fault) -> None:
    await _act(exchange, fault)
    await exchange.until_left()


async def _slow(exchange: Exchange, fault: Fault) -> None:
    """Send the body piece by piece, as much of it in each as makes `pieces` of them."""
    answer, clock = await exchange.hear(), exchange.pool.clock
    await exchange.begin(answer)
    size = -(-len(answer.content) // fault.pieces) or 1
    for start in range(0, len(answer.content), size):
        await sleep_until(clock, later(clock.now(), fault.pause))
        await exchange.go_on(answer.content[start : start + size])
    await exchange.go_on(b"", more=False)


async def _truncate(exchange: Exchange, _: Fault) -> None:
    answer = await exchange.hear()
    await exchange.begin(answer)
    await exchange.go_on(answer.content[: len(answer.content) // 2])
    await exchange.hang_up(reset=False)


async def _wrong_length(exchange: Exchange, fault: Fault) -> None:
    """Promise too much, and leave the client waiting for it; or too little, and the rest stands before the next answer.

    An answer without a body stays as it is.
    """
    answer = await exchange.hear()
    length = len(answer.content)
    promised = max(0, length + fault.off_by) if length else 0
    await exchange.begin(answer.promising(promised) if length else answer)
    await exchange.go_on(answer.content[:promised], more=promised > length)
    if promised > length:
        await exchange.until_left()
    exchange.line.write(exchange.scope, answer.content[promised:])


async def _html(exchange: Exchange, fault: Fault) -> None:
    await _act(exchange, fault)
    page = _PAGE.format(f"{fault.status} {_PHRASES.get(fault.status, '')}")
    await exchange.say(make_answer(fault.status, page, fault.headers))


async def _status(exchange: Exchange, fault: Fault) -> None:
    await _act(exchange, fault)
    body = {"message": _PHRASES.get(fault.status, "")} if fault.body is None else fault.body
    await exchange.say(make_answer(fault.status, body, fault.headers))


async def _duplicate(exchange: Exchange, fault: Fault) -> None:
    first, second = await exchange.hear_twice()
    await exchange.say(first if fault.answer == "first" else second)


async def _stale(exchange: Exchange, _: Fault) -> None:
    await exchange.say(exchange.last[key_of(exchange.scope)])


async def _restart(exchange: Exchange, fault: Fault) -> None:
    await _act(exchange, fault)
    if fault.jobs != "kept":
        exchange.pool.lose(only_queued=fault.jobs == "queue_lost")
    await exchange.line.go_down(fault.lasts or 0.0)
    await exchange.until_gone()


async def _act(exchange: Exchange, fault: Fault) -> None:
    if fault.acts:
        await exchange.hear()


DEEDS: Mapping[Kind, Callable[[Exchange, Fault], Awaitable[None]]] = MappingProxyType(
    {
        "refuse": _refuse,
        "reset_before": _reset_before,
        "reset_after": _reset_after,
        "hang": _hang,
        "slow": _slow,
        "truncate": _truncate,
        "wrong_length": _wrong_length,
        "html": _html,
        "status": _status,
        "duplicate": _duplicate,
        "stale": _stale,
        "restart": _restart,
    }
)
