#!/usr/bin/env bash
# The recipes for workflow engines: each is tested with its engine, in a virtual environment of its own, since the pins
# of the engines exclude each other. `examples/engines.sh [prefect] [dagster]`; both, side by side, if none is named.
set -euo pipefail
cd "$(dirname "$0")/.."

if [ "${FLOWRUNNER_SKIP_ENGINES:-}" = 1 ]; then
  echo "examples/engines.sh: skipped, since FLOWRUNNER_SKIP_ENGINES=1"
  exit 0
fi
[ $# -gt 0 ] || set -- prefect dagster

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

check() { # the recipe of an engine
  local python=$work/$1/bin/python
  python3 -m venv "$work/$1"
  "$python" -m pip install -q --no-compile -r "examples/$1/requirements.txt" -e ".[simulator]" "pytest>=9"
  "$python" -m pytest -q "examples/$1"
  if [ -x .venv/bin/mypy ]; then # its types, as far as the engine's own go
    MYPYPATH=src:examples/$1 .venv/bin/mypy --python-executable "$python" --cache-dir "$work/types-$1" \
      --config-file pyproject.toml "examples/$1/remote_runs.py" "examples/$1/nightly.py"
  fi
}

for engine in "$@"; do
  (set +e; (set -e; check "$engine") > "$work/$engine.log" 2>&1; echo $? > "$work/$engine.code") &
done
wait
failed=0
for engine in "$@"; do
  echo "== examples/$engine"
  code=$(cat "$work/$engine.code")
  if [ "$code" = 0 ]; then
    grep -E " passed|^Success" "$work/$engine.log"
  else
    cat "$work/$engine.log"
    failed=1
  fi
done
exit $failed
