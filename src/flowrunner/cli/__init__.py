"""The command line: `flowrunner run`, `watch`, `init`, `doctor` and others, see `app.COMMANDS`.

`main` stands here, since it has to work where the extra `flowrunner[cli]` is not installed, and has to answer
`--version` before anything is imported. One module per command, each with a `command`; `app` finds them. What they
share: `exit_codes` and `outcome` (how a command ends), `output` and `following` (what it shows), `target` (which run is
meant), `assignments` (what `-p` says), `options`.
"""

from __future__ import annotations

import sys

from flowrunner import __version__

__all__ = ["main"]


def main() -> int:
    """Run the command that the arguments of this process ask for; the console script calls this.

    Returns:
        The exit code, where no other module is needed for it. Everything else ends in `SystemExit`.
    """
    if sys.argv[1:2] == ["--version"]:
        sys.stdout.write(f"flowrunner {__version__}\n")
        return 0

    from flowrunner.cli.extras import is_installed

    if not (is_installed("click") and is_installed("rich")):
        sys.stderr.write('flowrunner\'s command line needs an extra: pip install "flowrunner[cli]"\n')
        return 2

    from stamina.instrumentation import set_on_retry_hooks

    from flowrunner.cli.app import app

    # Where structlog is installed stamina prints retries among the data on stdout; the log has them, too.
    set_on_retry_hooks(())
    return int(app(prog_name="flowrunner"))
