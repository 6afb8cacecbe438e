#!/usr/bin/env bash
# Run the linter and the tests. Other arguments go to pytest.
#
#   bash tools/run_tests.sh                         # without the slow tests
#   bash tools/run_tests.sh --all                   # types, documentation, slow tests too
#   bash tools/run_tests.sh tests/test_ops -k nms   # some tests
#
# The environment is set up by tools/setup_env.sh.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

all=false
if [ "${1:-}" = --all ]; then
    all=true
    shift
fi

python=$(bash tools/setup_env.sh)
export PYTHONPATH=$PWD${PYTHONPATH:+:$PYTHONPATH}

extras=tests
modules='hypothesis, pytest, ruff, xdist'
if $all; then
    extras=tests,dev,docs
    modules="$modules, mypy, sphinx"
fi
if ! "$python" -c "import $modules" 2>/dev/null; then
    echo "[tests] installing the extras $extras into $python"
    "$python" -m pip install -q --no-build-isolation -c constraints.txt -e ".[$extras]"
fi

"$python" -m ruff check .
"$python" -m ruff format --check .
if $all; then
    "$python" -m mypy
    "$python" -m sphinx -W --keep-going -q -b html docs docs/_build/html
else
    set -- -m 'not slow' "$@"
fi
# One process per core, each with one thread.
OMP_NUM_THREADS=1 "$python" -m pytest -n auto --dist loadfile "$@"
