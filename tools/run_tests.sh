#!/usr/bin/env bash
# Run the linter and every test; arguments go to pytest.
#
#   bash tools/run_tests.sh
#   bash tools/run_tests.sh -m 'not slow'
#
# Sets up what it needs by tools/setup_env.sh.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

python=$(bash tools/setup_env.sh)
export PYTHONPATH=$PWD${PYTHONPATH:+:$PYTHONPATH}

if ! "$python" -c 'import hypothesis, pytest, ruff' 2>/dev/null; then
    echo "[tests] installing hypothesis, pytest and ruff into $python"
    "$python" -m pip install -c constraints.txt hypothesis pytest ruff
fi
"$python" -m ruff check .
"$python" -m ruff format --check .
"$python" -m pytest "$@"
