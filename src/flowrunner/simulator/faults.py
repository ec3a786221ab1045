"""Faults as values: what goes wrong, with which requests, and how often."""

from __future__ import annotations

import json
from collections.abc import Mapping
from math import inf
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, get_args

from attrs import field, fields, frozen
from attrs.validators import and_, ge, in_, le, matches_re, optional

from flowrunner.simulator.misspelt import unknown

if TYPE_CHECKING:
    from collections.abc import Iterable

    from attrs import Attribute

Kind = Literal[
    "refuse",
    "reset_before",
    "reset_after",
    "hang",
    "slow",
    "truncate",
    "wrong_length",
    "html",
    "status",
    "duplicate",
    "stale",
    "revoke",
    "skew",
    "purge",
    "restart",
]
KINDS: tuple[Kind, ...] = get_args(Kind)

BESIDE: frozenset[Kind] = frozenset({"revoke", "skew", "purge"})
"""The kinds that change the server and let the request be served; of all others a request meets one at most."""

_OPTIONS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "refuse": ("lasts",),
        "hang": ("acts",),
        "slow": ("pause", "pieces"),
        "wrong_length": ("off_by",),
        "html": ("status", "headers", "acts"),
        "status": ("status", "headers", "body", "acts"),
        "duplicate": ("answer",),
        "revoke": ("lasts",),
        "skew": ("seconds",),
        "restart": ("jobs", "lasts", "acts"),
    }
)
"""What some kinds take beside what all take."""


def _kind_of_value(kinds: type | tuple[type, ...], name: str) -> Any:
    """Return what refuses a value of another type, in the words of who wrote it."""

    def check(_: Fault, attribute: Attribute[Any], value: object) -> None:
        if not isinstance(value, kinds):
            raise TypeError(f"{attribute.name!r} must be {name}, not {value!r}")

    return check


_WHOLE, _NUMBER, _TEXT = (
    _kind_of_value(int, "a whole number"),
    _kind_of_value((int, float), "a number"),
    _kind_of_value(str, "a text"),
)
_YES_OR_NO = _kind_of_value(bool, "true or false")


def _is_headers(_: Fault, __: Attribute[Any], headers: object) -> None:
    if not isinstance(headers, Mapping) or not all(isinstance(text, str) for each in headers.items() for text in each):
        raise TypeError(f"'headers' must be texts by name, such as {{ Retry-After = \"2\" }}, not {headers!r}")


def _is_kind(_: Fault, __: Attribute[str], kind: str) -> None:
    takes(kind)


def _is_taken(fault: Fault, attribute: Attribute[Any], value: object) -> None:
    """Refuse an option that a fault of this kind would not look at."""
    if value != attribute.default and attribute.name not in _OPTIONS.get(fault.kind, ()):
        raise ValueError(f"a fault of kind {fault.kind!r} takes no {attribute.name!r}")


def _common(default: Any, *checks: Any) -> Any:
    return field(default=default, validator=and_(*checks), kw_only=True)


def _option(default: Any, *checks: Any) -> Any:
    return field(default=default, validator=and_(_is_taken, *checks), kw_only=True)


def _not_zero(_: Fault, attribute: Attribute[int], value: int) -> None:
    if value == 0:
        raise ValueError(f"{attribute.name!r} must not be 0")


def _is_content(_: Fault, attribute: Attribute[Any], value: object) -> None:
    if isinstance(value, bytes):
        return
    try:
        json.dumps(value)
    except TypeError as error:
        raise TypeError(f"{attribute.name!r} is bytes, a text, or can be written as JSON: {error}") from None


@frozen
class Fault:
    """Something that goes wrong.

    Which requests: `path`, `method`, `requests`. How often: each that fits, unless `probability`, `burst`, `times`,
    `skip`, `after` or `until` say less. Seconds are those of the simulator's clock.

    Attributes:
        kind: What goes wrong; "Faults of the simulator" in the reference describes each kind.
        path: The decoded path; `*` stands for anything.
        method: In upper case; None is any.
        requests: "all", those that start runs ("submissions"), or those that look how runs are ("polls").
        probability: How likely each of them is to meet it.
        burst: How many in a row meet it once one does.
        times: How many meet it in all; None is no limit.
        skip: How many of them pass before the first may meet it.
        after: From when on, in seconds since the simulator was given the fault.
        until: Until when, the same.
        lasts: For how many seconds nobody listens ("refuse", "restart") or the credential opens nothing ("revoke").
            None is no time at all; a credential then opens nothing ever again.
        acts: Whether the vendor acts before ("hang", "html", "status", "restart").
        pause: Seconds before each piece of the body ("slow").
        pieces: How many pieces it comes in ("slow").
        off_by: By how many bytes Content-Length is too large, or below 0 too small ("wrong_length").
        status: The status of the answer ("html", "status").
        headers: Headers of the answer ("html", "status"), as `{"Retry-After": "2"}`.
        body: The body of the answer ("status"): bytes go out as they are, text as HTML, anything else as JSON.
        answer: Which of the two answers is given ("duplicate").
        seconds: How far the vendor's clock is ahead, in whole seconds, or below 0 behind ("skew").
        jobs: What becomes of jobs ("restart"): they are "kept", those queued are lost ("queue_lost"), or all ("lost").
    """

    kind: Kind = field(validator=_is_kind)
    path: str = _common("*", _TEXT)
    method: str | None = _common(None, optional(and_(_TEXT, matches_re("[A-Z]+"))))
    requests: Literal["all", "submissions", "polls"] = _common("all", in_(("all", "submissions", "polls")))
    probability: float = _common(1.0, _NUMBER, ge(0), le(1))
    burst: int = _common(1, _WHOLE, ge(1))
    times: int | None = _common(None, optional(and_(_WHOLE, ge(0))))
    skip: int = _common(0, _WHOLE, ge(0))
    after: float = _common(0.0, _NUMBER, ge(0))
    until: float = _common(inf, _NUMBER, ge(0))
    lasts: float | None = _option(None, optional(and_(_NUMBER, ge(0))))
    acts: bool = _option(False, _YES_OR_NO)  # noqa: FBT003 - the default of a field
    pause: float = _option(1.0, _NUMBER, ge(0))
    pieces: int = _option(10, _WHOLE, ge(1))
    off_by: int = _option(10, _WHOLE, _not_zero)
    status: int = _option(503, _WHOLE, ge(200), le(599))
    headers: Mapping[str, str] | None = _option(None, optional(_is_headers))
    body: Any = _option(None, _is_content)  # noqa: RUF009 - a field
    answer: Literal["first", "second"] = _option("first", in_(("first", "second")))
    seconds: int = _option(0, _WHOLE)
    jobs: Literal["kept", "queue_lost", "lost"] = _option("kept", in_(("kept", "queue_lost", "lost")))


def takes(kind: object) -> tuple[str, ...]:
    """Return the names of what a fault of a kind takes.

    Raises:
        ValueError: There is no such kind.
    """
    if kind not in KINDS:
        raise ValueError(unknown("kind", kind, KINDS))
    others = {name for names in _OPTIONS.values() for name in names}.difference(_OPTIONS.get(str(kind), ()))
    return tuple(each.name for each in fields(Fault) if each.name not in others)


def _as_tuple(faults: Iterable[Fault]) -> tuple[Fault, ...]:
    return tuple(faults)


@frozen
class Faults:
    """All that goes wrong.

    Attributes:
        faults: The faults. Of several that are due, a request meets the first.
        seed: Decides whom a probability hits: the same requests in the same order meet the same faults.
    """

    faults: tuple[Fault, ...] = field(default=(), converter=_as_tuple)
    seed: int = field(default=0, validator=_WHOLE, kw_only=True)
