#!/usr/bin/env bash
# Find or create a Python environment with the OpenMMLab stack and this plugin.
#
#   PYTHON=$(bash tools/setup_env.sh)
#
# Prints only the path of its Python to stdout; progress and errors go to stderr. If
# `python3` can import the stack, it is used and nothing is installed. Otherwise .venv is
# created in several steps, without a compiler. A rerun skips the finished steps.
#
# Options:
#   --compiled       compile mmcv (about 14 minutes on two cores) instead of using its
#                    operators on torchvision
#   --forks          compile and use the maintained forks of OpenMMLab
#   --python PYTHON  Python that creates the environment (default: python3)
#   --venv FOLDER    create the environment here, even if python3 has the stack
# Environment variables:
#   MAX_JOBS  compiler processes for mmcv (default: one per core, limited to one per
#             2 GiB of available memory)
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

log() { printf '[setup] %s\n' "$*" >&2; }
fail() { log "FAILED: $*"; exit 1; }

kind=default base=python3 venv=''
while [ $# -gt 0 ]; do
    case $1 in
        --compiled | --forks) kind=${1#--} ;;
        --python | --venv)
            [ $# -ge 2 ] || fail "$1 needs a value"
            if [ "$1" = --python ]; then base=$2; else venv=$2; fi
            shift
            ;;
        *) fail "unknown option $1; see the comment at the top of $0" ;;
    esac
    shift
done

# Imports the packages: a stack with broken compiled extensions must not be used.
has_stack() {
    "$1" -c 'import torch, mmengine, mmcv.ops, mmdet, mmpose' >/dev/null 2>&1 &&
        { [ "$kind" = default ] || has_compiled_operators "$1"; }
}
has_compiled_operators() {
    "$1" -c 'import mmcv._ext, sys; sys.exit(mmcv._ext.__file__.endswith(".py"))' 2>/dev/null
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
    log "$name: $cost (log: $logfile)"
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

# The wheels of xtcocotools are for Python 3.10 and 3.11 and for numpy 1. Their only
# compiled file is replaced by pycocotools' (rmpe operators), so the wheel
# of another Python, whose compiled file is not imported, fits all.
install_xtcocotools() {
    local folder version
    folder=$(mktemp -d)
    version=$("$python" -c 'import sys; print("3.10" if sys.version_info[1] == 11 else "3.11")')
    "$python" -m pip download --disable-pip-version-check -c "$root/constraints.txt" \
        --no-deps --only-binary :all: --platform manylinux1_x86_64 \
        --python-version "$version" --dest "$folder" xtcocotools &&
        "$python" -m wheel tags --python-tag py3 --abi-tag none --platform-tag any \
            --remove "$folder"/*.whl &&
        "${pip[@]}" "$folder"/*.whl &&
        rm -r "$folder"
}

command -v "$base" >/dev/null || fail "$base is not on PATH"
if [ -z "$venv" ] && has_stack "$base"; then
    log "using $(command -v "$base"), which can import the stack"
    "$base" -c 'import sys; print(sys.executable)'
    exit
fi

"$base" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' ||
    fail "Python 3.10 to 3.13 is required, $base is $("$base" --version 2>&1)"
if [ "$kind" != default ]; then
    command -v c++ >/dev/null || command -v g++ >/dev/null ||
        fail "no C++ compiler on PATH (on Debian and Ubuntu: apt install g++ python3-dev)"
fi

venv=${venv:-$root/.venv}
if [ ! -x "$venv/bin/python" ]; then
    log "creating $venv with $("$base" --version)"
    "$base" -m venv "$venv" >&2 ||
        fail "$base -m venv (on Debian and Ubuntu: apt install python3-venv)"
fi
logs=$venv/setup-logs
mkdir -p "$logs"
python=$(cd "$venv" && pwd)/bin/python
pip=("$python" -m pip install --disable-pip-version-check -c "$root/constraints.txt")

step build-tools 'seconds' \
    "${pip[@]}" --upgrade pip setuptools wheel
step torch 'downloads up to 3 GB the first time' \
    "${pip[@]}" torch torchvision
step xtcocotools 'seconds' install_xtcocotools
if [ "$kind" = default ]; then
    step openmmlab 'half a minute' \
        "${pip[@]}" --no-build-isolation mmengine mmcv-lite mmdet mmpose pycocotools
else
    export MAX_JOBS=${MAX_JOBS:-$(default_jobs)}
    packages=(mmengine mmcv mmdet)
    if [ "$kind" = forks ]; then
        packages=(onedl-mmengine==0.10.12 onedl-mmcv==2.3.6 onedl-mmdetection==3.5.1)
    fi
    step compilers 'seconds' "${pip[@]}" ninja psutil cython
    "$python" -m pip uninstall -q -y mmcv-lite >&2
    step "$kind" "mmcv compiles for about 14 minutes on 2 cores the first time (MAX_JOBS=$MAX_JOBS)" \
        "${pip[@]}" --no-build-isolation "${packages[@]}" mmpose pycocotools
    rm -f "$logs/openmmlab.done"
fi
step plugin 'seconds' \
    "${pip[@]}" --no-build-isolation -e "$root[tests]"
"$python" "$root/rmpe.py" operators >&2 || fail 'operators of mmcv'

"$python" -m pip check >&2 || fail "pip check: the packages in $venv are not compatible"
has_stack "$python" || fail "the stack in $venv cannot be imported; remove $venv and run again"
log "ready: $python"
echo "$python"
