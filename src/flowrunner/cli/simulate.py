"""`flowrunner simulate`: serve a simulated vendor on the loopback interface."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click

from flowrunner.cli.completing import vendor_names
from flowrunner.cli.extras import require_simulator
from flowrunner.cli.options import json_option
from flowrunner.cli.outcome import reporting
from flowrunner.cli.output import Output

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flowrunner.simulator import Faults, Simulator

__all__ = ["command"]

_HELP = """\
Serve a simulated VENDOR (fme-flow, fme-flow-v3, fme-flow-v4, invision or smart-flows) on the loopback interface until
Ctrl-C or SIGTERM, which end it with exit code 0.

Stdout is the connection's settings, ready for flowrunner.toml. With --json it is one object on one line, written as
soon as the server answers: {"backend", "base_url", "token"}; of invision and smart-flows with "api_key" for "token".

Its runs, and a token that was not given with --token, are gone when it ends: one that is started again knows neither.

\b
Examples:
  flowrunner simulate fme-flow-v4 | tee simulator.toml
  flowrunner run --config simulator.toml simulator Tutorials/10seconds.fmw -p location=Burnaby
  flowrunner simulate smart-flows --port 8080 --speed 10 --json
  flowrunner simulate fme-flow --faults faults.toml
"""


@click.command("simulate", help=_HELP, short_help="Serve a simulated vendor on the loopback interface.")
@click.argument("vendor", shell_complete=vendor_names)
@click.option(
    "--port", type=click.IntRange(0, 65535), default=0, help="Where to listen; 0, the default, takes a free one."
)
@click.option(
    "--token", metavar="TEXT",
    help="What opens it, as a token or an API key; a random one if absent. Not a secret.",
)  # fmt: skip
@click.option(
    "--speed", type=click.FloatRange(min=0, min_open=True), default=1.0, metavar="FACTOR", show_default=True,
    help="Seconds of the simulated clock per real second.",
)  # fmt: skip
@click.option("--engines", type=click.IntRange(min=0), default=2, show_default=True, help="How many runs work at once.")
@click.option(
    "--faults", type=click.Path(exists=True, dir_okay=False), metavar="FILE",
    help="What goes wrong, and how often: a TOML file, described in the reference under `Faults of the simulator`.",
)  # fmt: skip
@json_option
def command(
    vendor: str, *, port: int, token: str | None, speed: float, engines: int, faults: str | None, as_json: bool
) -> None:
    """See `_HELP`."""
    require_simulator()
    simulator = _simulator(vendor, port, token, speed, engines)
    if faults is not None:
        simulator.faults = _read(faults)
    output = Output(as_json=as_json)
    with reporting(output):
        _serve(simulator, port, output)


def _simulator(vendor: str, port: int, token: str | None, speed: float, engines: int) -> Simulator:
    from flowrunner.simulator import RealClock, Simulator

    try:
        return Simulator(vendor, port=port, token=token, clock=RealClock(speed), engines=engines)
    except ValueError as error:
        raise click.BadParameter(f"{error}.", param_hint="VENDOR") from None


def _read(file: str) -> Faults:
    from flowrunner.simulator import read_faults

    try:
        return read_faults(file)
    except (OSError, ValueError) as error:
        raise click.BadParameter(str(error), param_hint="--faults") from None


def _serve(simulator: Simulator, port: int, output: Output) -> None:
    try:
        simulator.start()
    except OSError as error:
        raise click.UsageError(f"Cannot listen on port {port}: {error.strerror}. Give another with --port.") from None
    try:
        _tell(simulator, output)
        while True:
            time.sleep(3600)
    except KeyboardInterrupt:
        output.say(f"Stopped after {len(simulator.requests)} requests.{_met(simulator.faults_done)}")
    finally:
        simulator.stop()


def _met(faults: Mapping[str, int]) -> str:
    """Say how many requests met which faults, if any did."""
    counts = ", ".join(f"{kind} {count}" for kind, count in sorted(faults.items()))
    return f" Faults: {counts}." if counts else ""


def _tell(simulator: Simulator, output: Output) -> None:
    settings = {"backend": simulator.vendor, **simulator.settings}
    output.data("\n".join(["[connections.simulator]", *(f"{key} = {_toml(text)}" for key, text in settings.items())]))
    output.record(settings)
    output.say(
        f"Serving {simulator.vendor} on {simulator.base_url} until Ctrl-C. With these settings in ./flowrunner.toml:\n"
        f"  flowrunner run simulator {_example(simulator.vendor)} --wait"
    )


def _example(vendor: str) -> str:
    """A flow that the vendor's simulator has, and what it needs."""
    from flowrunner.simulator import DataFlowId, SmartFlowId

    examples = {"invision": DataFlowId.IMPORT_SALES.value, "smart-flows": SmartFlowId.NO_INPUT.value}
    return examples.get(vendor, "Tutorials/10seconds.fmw -p location=Burnaby")


def _toml(text: str) -> str:
    """The text as a TOML string."""
    import json

    # JSON's strings are TOML's, up to DEL, which JSON leaves as it is and TOML wants escaped.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
