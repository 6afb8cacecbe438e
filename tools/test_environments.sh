#!/usr/bin/env bash
# Run the linter and the tests in other environments than the default one.
#
#   bash tools/test_environments.sh compiled 3.13        # without the slow tests
#   bash tools/test_environments.sh forks -- --all       # arguments of run_tests.sh
#
# Environments:
#   default                  python3 and mmcv's operators on torchvision
#   3.10, 3.11, 3.12, 3.13   the same with this Python, which must be on PATH
#   compiled                 python3 and a compiled mmcv
#   forks                    MMPose 1.3 and the maintained forks onedl-mmengine,
#                            onedl-mmcv and onedl-mmdetection
#
# Each is created in .venv-NAME by tools/setup_env.sh; .venv is not changed. Compiling
# takes about 14 minutes on two cores. All environments are tested even if one fails.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

names=()
while [ $# -gt 0 ] && [ "$1" != -- ]; do
    names+=("$1")
    shift
done
[ $# -eq 0 ] || shift
[ ${#names[@]} -gt 0 ] || { sed -n '2,17s/^# \{0,1\}//p' "$0"; exit 2; }

test_environment() {
    local name=$1 options=() python
    shift
    case $name in
        default) ;;
        compiled | forks) options=("--$name") ;;
        3.1[0-3]) options=(--python "python$name") ;;
        *) echo "[environments] unknown environment $name" >&2; return 2 ;;
    esac
    python=$(bash tools/setup_env.sh --venv ".venv-$name" "${options[@]}") || return
    PATH=$(dirname "$python"):$PATH bash tools/run_tests.sh "$@"
}

failed=()
for name in "${names[@]}"; do
    test_environment "$name" "$@" || failed+=("$name")
done
if [ ${#failed[@]} -gt 0 ]; then
    echo "[environments] failed: ${failed[*]}"
    exit 1
fi
echo "[environments] passed: ${names[*]}"
