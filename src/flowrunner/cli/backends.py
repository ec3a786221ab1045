"""`flowrunner backends`: which backends there are, and whether they load."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click
from attrs import asdict, frozen

from flowrunner import registry
from flowrunner.cli.completing import backend_names
from flowrunner.cli.exit_codes import ExitCode
from flowrunner.cli.options import json_option
from flowrunner.cli.outcome import end, reporting
from flowrunner.cli.output import Output
from flowrunner.errors import BackendLoadError, UnknownBackend
from flowrunner.nearmiss import suggestion

if TYPE_CHECKING:
    from flowrunner.registry import Offer

__all__ = ["command"]

_HELP = """\
List the backends there are: name, who offers it, and what becomes of the offer. Nothing is imported.

The states are `built-in`, `available` (a plugin), `refused` (a plugin that claims the name of a built-in, which stays
the built-in's) and `ambiguous` (several plugins claim the name: uninstall all but one).

With --check, every backend, or the one of the NAME, is loaded: what is broken says why, what works shows its
capabilities. The exit code is 2 if anything is broken.

With --json, stdout is an object on a line for each: {"name", "distribution", "target", "state"}, and with --check
{..., "problem", "capabilities"}, of which one is null.

\b
Examples:
  flowrunner backends
  flowrunner backends --check
  flowrunner backends --check fme-flow --json
"""

_EVERY = "*"


@frozen
class Checked:
    """What came of loading an offer.

    Attributes:
        offer: what was loaded.
        problem: why it cannot be used; None if it can.
        capabilities: what it can do, sorted.
    """

    offer: Offer
    problem: str | None = None
    capabilities: tuple[str, ...] = ()


@click.command("backends", help=_HELP, short_help="List the backends there are.")
@click.option(
    "--check",
    is_flag=False,
    flag_value=_EVERY,
    metavar="[NAME]",
    shell_complete=backend_names,
    help="Load them, or the one of this name.",
)
@json_option
def command(*, check: str | None, as_json: bool) -> None:
    """See `_HELP`."""
    output = Output(as_json=as_json)
    with reporting(output):
        offers = _named(check)
        if check is None:
            _list(offers, output)
            return
        checked = [_checked(offer) for offer in offers]
        _tell(checked, output)
        if any(each.problem for each in checked):
            end(ExitCode.USAGE)


def _named(check: str | None) -> list[Offer]:
    """All offers, or those under a name."""
    offers = registry.offers()
    if check in {None, _EVERY}:
        return list(offers)
    found = [offer for offer in offers if offer.name == check]
    if not found:
        names = suggestion(check, registry.names())
        raise UnknownBackend(f"there is no backend {check!r}: {names}", backend=check)
    return found


def _checked(offer: Offer) -> Checked:
    """Load an offer; one that is refused is left alone, since nothing ever loads it."""
    if offer.state is registry.OfferState.REFUSED:
        return Checked(offer)
    try:
        backend = registry.load(offer.name)
    except BackendLoadError as error:
        return Checked(offer, problem=error.message)
    return Checked(offer, capabilities=tuple(sorted(backend.capabilities)))


def _list(offers: list[Offer], output: Output) -> None:
    output.rows((offer.name, offer.distribution, offer.state) for offer in offers)
    for offer in offers:
        output.record(asdict(offer))


def _tell(checked: list[Checked], output: Output) -> None:
    output.rows((each.offer.name, each.offer.distribution, _outcome(each)) for each in checked)
    for each in checked:
        output.record(_object(each))


def _outcome(checked: Checked) -> str:
    if checked.problem is not None:
        return f"broken: {checked.problem}"
    if checked.offer.state is registry.OfferState.REFUSED:
        return f"{checked.offer.state}: the name is a built-in's"
    return f"ok: {', '.join(checked.capabilities) or 'no capabilities'}"


def _object(checked: Checked) -> dict[str, Any]:
    works = checked.problem is None
    capabilities = list(checked.capabilities) if works else None
    return {**asdict(checked.offer), "problem": checked.problem, "capabilities": capabilities}
