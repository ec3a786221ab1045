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

# The whole Airflow waits a lot, so the other tests run beside it. Its test is a job of its own (`set -m`): else it would not notice an
# interrupt, and leave its processes behind.
work=$(mktemp -d)
trap 'kill -INT "$installation" 2> /dev/null || true; wait "$installation" || true; cat "$work/log"; rm -rf "$work"' EXIT
set -m
.venv/bin/python -m pytest -q -m installation -p no:cacheprovider > "$work/log" 2>&1 &
installation=$!
set +m

.venv/bin/mypy
.venv/bin/python -m pytest -q -m "not installation" --cov "$@"
wait "$installation"
