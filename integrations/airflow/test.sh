#!/usr/bin/env bash
# All checks of this distribution, in a virtual environment of its own: types, and its tests with a real Airflow.
set -euo pipefail
cd "$(dirname "$0")"

if [ "${FLOWRUNNER_SKIP_ENGINES:-}" = 1 ]; then
  echo "left out: FLOWRUNNER_SKIP_ENGINES=1"
  exit 0
fi

# Images of containers like to set this: each of an engine's many processes would compile all it imports anew.
unset PYTHONDONTWRITEBYTECODE

[ -d .venv ] || python3 -m venv .venv
../../.ci/install .venv/bin/python -e ../.. -e ".[test]"
.venv/bin/mypy
.venv/bin/python -m pytest -q --cov "$@"
