#!/usr/bin/env bash
# The recipes for workflow engines: each is tested with its engine, in a virtual environment of its own, since the pins
# of the engines exclude each other. `examples/engines.sh [prefect] [dagster]`; both, if none is named.
set -euo pipefail
cd "$(dirname "$0")/.."

if [ "${FLOWRUNNER_SKIP_ENGINES:-}" = 1 ]; then
  echo "left out: FLOWRUNNER_SKIP_ENGINES=1"
  exit 0
fi
[ $# -gt 0 ] || set -- prefect dagster

# Images of containers like to set this: each of an engine's processes would compile all it imports anew.
unset PYTHONDONTWRITEBYTECODE

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Types, as far as the engines' own go. What stands behind an engine's interface is not read: that took longer than all else.
cat pyproject.toml - > "$work/types.toml" << 'END'

[[tool.mypy.overrides]]
module = [
  "alembic.*", "anyio.*", "apprise.*", "cryptography.*", "fastapi.*", "filelock.*", "griffe.*", "httpcore.*", "markdown_it.*",
  "opentelemetry.*", "pathspec.*", "pendulum.*", "prometheus_client.*", "requests.*", "rich.*", "ruamel.*", "sqlalchemy.*",
  "starlette.*", "structlog.*", "upath.*", "urllib3.*", "uvicorn.*", "watchdog.*", "websockets.*",
  "dagster.components.*", "dagster._cli.*", "dagster._core.instance.*", "dagster._core.storage.*", "dagster._daemon.*",
  "prefect.runner.*", "prefect.server.*", "prefect.settings.*", "pydantic_settings.*",
]
follow_imports = "skip"
END

for engine in "$@"; do
  python=$work/$engine/bin/python
  python3 -m venv "$work/$engine"
  .ci/install "$python" -r "examples/$engine/requirements.txt" -e ".[simulator]" "pytest>=9"
  "$python" -m pytest -q "examples/$engine"
  if [ -x .venv/bin/mypy ]; then
    MYPYPATH=src:examples/$engine .venv/bin/mypy --python-executable "$python" --cache-dir "$work/types-$engine" \
      --config-file "$work/types.toml" "examples/$engine/remote_runs.py" "examples/$engine/nightly.py"
  fi
done
