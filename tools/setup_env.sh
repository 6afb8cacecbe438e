#!/usr/bin/env bash
# Find or create a Python environment with the OpenMMLab stack and this plugin.
#
#   PYTHON=$(bash tools/setup_env.sh)
#
# Prints only the path of its Python to stdout; progress and errors go to stderr. If
# `python3` can import the stack, it is used and nothing is installed. Otherwise .venv is
# created in several steps. A rerun skips the finished steps.
#
# Environment variables:
#   MAX_JOBS  compiler processes for mmcv (default: one per core, limited to one per
#             2 GiB of available memory)
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
venv=$root/.venv
logs=$venv/setup-logs

log() { printf '[setup] %s\n' "$*" >&2; }
fail() { log "FAILED: $*"; exit 1; }

# Imports the packages: a stack with broken compiled extensions must not be used.
has_stack() {
    "$1" -c 'import torch, mmengine, mmcv.ops, mmdet, mmpose' >/dev/null 2>&1
}

# step NAME COST COMMAND...: run a command once and log its output to a file. A step that
# finished before the last change of the requirements runs again.
step() {
    local name=$1 cost=$2 logfile=$logs/$1.log done=$logs/$1.done
    shift 2
    if [ -f "$done" ] && [ "$(cat "$done")" = "$*" ] &&
        [ "$done" -nt "$root/setup.cfg" ] && [ "$done" -nt "$root/constraints.txt" ]; then
        log "$name: already done"
        return
    fi
    log "$name: $cost (log: ${logfile#"$root"/})"
    local start=$SECONDS
    if ! "$@" >"$logfile" 2>&1; then
        tail -n 15 "$logfile" >&2
        fail "step '$name', see $logfile; run this script again to continue"
    fi
    printf '%s' "$*" >"$done"
    log "$name: took $((SECONDS - start)) s"
}

# One compiler process per core, if memory allows: each needs up to 2 GiB for mmcv.
default_jobs() {
    local cores memory_kib
    cores=$(getconf _NPROCESSORS_ONLN)
    memory_kib=$(awk '/MemAvailable/ {print $2}' /proc/meminfo 2>/dev/null || true)
    local fit=$((${memory_kib:-4194304} / 2097152))
    [ "$fit" -ge 1 ] || fit=1
    echo $((cores < fit ? cores : fit))
}

command -v python3 >/dev/null || fail "python3 is not on PATH"
if has_stack python3; then
    log "using $(command -v python3), which can import the stack"
    python3 -c 'import sys; print(sys.executable)'
    exit
fi

python3 -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 12))' ||
    fail "Python 3.10 to 3.12 is required, python3 is $(python3 --version 2>&1)"

if [ ! -x "$venv/bin/python" ]; then
    log "creating .venv with $(python3 --version)"
    python3 -m venv "$venv" >&2 ||
        fail "python3 -m venv (on Debian and Ubuntu: apt install python3-venv)"
fi
mkdir -p "$logs"
python=$venv/bin/python
pip=("$python" -m pip install --disable-pip-version-check -c "$root/constraints.txt")
export MAX_JOBS=${MAX_JOBS:-$(default_jobs)}

if [ ! -f "$logs/plugin.done" ]; then
    command -v c++ >/dev/null || command -v g++ >/dev/null ||
        fail "no C++ compiler on PATH (on Debian and Ubuntu: apt install g++ python3-dev)"
fi
step build-tools 'under a minute' \
    "${pip[@]}" --upgrade pip setuptools wheel ninja psutil cython numpy
step torch 'downloads up to 3 GB the first time' \
    "${pip[@]}" torch torchvision
step openmmlab "mmcv compiles for about 14 minutes on 2 cores the first time (MAX_JOBS=$MAX_JOBS)" \
    "${pip[@]}" --no-build-isolation --no-binary xtcocotools \
    mmengine mmcv mmdet mmpose pycocotools
step plugin 'seconds' \
    "${pip[@]}" --no-build-isolation -e "$root[tests]"

"$python" -m pip check >&2 || fail "pip check: the packages in .venv are not compatible"
has_stack "$python" || fail "the stack in .venv cannot be imported; remove .venv and run again"
log "ready: $python"
echo "$python"
