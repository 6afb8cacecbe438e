#!/usr/bin/env bash
# Find or make a Python that holds the whole OpenMMLab stack and this plugin.
#
#   PYTHON=$(bash tools/setup_env.sh)
#
# The path of that Python is the only thing printed on stdout; everything for people
# goes to stderr. If `python3` already imports the stack it is used as it is, and
# nothing is installed into it. Otherwise .venv is made, step by step; a step that is
# done is not done again, so a rerun goes on where it stopped.
#
# Environment:
#   MAX_JOBS  compiler processes for mmcv (default: one a core, 2 GiB of memory each)
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
venv=$root/.venv
logs=$venv/setup-logs

say() { printf '[setup] %s\n' "$*" >&2; }
die() { say "FAILED: $*"; exit 1; }

# find_spec is not enough: a stack whose compiled parts do not load must not be taken.
has_stack() {
    "$1" -c 'import torch, mmengine, mmcv.ops, mmdet, mmpose' >/dev/null 2>&1
}

# step NAME COST COMMAND...: run once, log to a file, name itself when it fails. What
# was done before the requirements changed is done again.
step() {
    local name=$1 cost=$2 log=$logs/$1.log done=$logs/$1.done
    shift 2
    if [ -f "$done" ] && [ "$(cat "$done")" = "$*" ] &&
        [ "$done" -nt "$root/setup.cfg" ] && [ "$done" -nt "$root/constraints.txt" ]; then
        say "$name: done before"
        return
    fi
    say "$name: $cost (log: ${log#"$root"/})"
    local start=$SECONDS
    if ! "$@" >"$log" 2>&1; then
        tail -n 15 "$log" >&2
        die "step '$name', see $log; run this script again to go on from here"
    fi
    printf '%s' "$*" >"$done"
    say "$name: took $((SECONDS - start)) s"
}

# One compiler process a core, as far as memory goes: mmcv's files take up to 2 GiB each.
default_jobs() {
    local cores memory_kib
    cores=$(getconf _NPROCESSORS_ONLN)
    memory_kib=$(awk '/MemAvailable/ {print $2}' /proc/meminfo 2>/dev/null || true)
    local fit=$((${memory_kib:-4194304} / 2097152))
    [ "$fit" -ge 1 ] || fit=1
    echo $((cores < fit ? cores : fit))
}

command -v python3 >/dev/null || die "python3 is not on PATH"
if has_stack python3; then
    say "using $(command -v python3): it already imports the whole stack"
    python3 -c 'import sys; print(sys.executable)'
    exit
fi

python3 -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 12))' ||
    die "Python 3.10 to 3.12 is needed, python3 is $(python3 --version 2>&1)"

if [ ! -x "$venv/bin/python" ]; then
    say "making .venv with $(python3 --version)"
    python3 -m venv "$venv" >&2 ||
        die "python3 -m venv (on Debian and Ubuntu: apt install python3-venv)"
fi
mkdir -p "$logs"
python=$venv/bin/python
pip=("$python" -m pip install --disable-pip-version-check -c "$root/constraints.txt")
export MAX_JOBS=${MAX_JOBS:-$(default_jobs)}

if [ ! -f "$logs/plugin.done" ]; then
    command -v c++ >/dev/null || command -v g++ >/dev/null ||
        die "no C++ compiler on PATH (on Debian and Ubuntu: apt install g++ python3-dev)"
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

"$python" -m pip check >&2 || die "pip check: the packages in .venv do not fit together"
has_stack "$python" || die "the stack in .venv does not import; remove .venv and run again"
say "ready: $python"
echo "$python"
