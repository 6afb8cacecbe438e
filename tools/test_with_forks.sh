#!/usr/bin/env bash
# Run the tests with MMPose 1.3 and the maintained forks of OpenMMLab: onedl-mmengine,
# onedl-mmcv and onedl-mmdetection, which have the original import names.
#
#   bash tools/test_with_forks.sh
#   bash tools/test_with_forks.sh -m 'not slow'
#
# Creates the environment .venv-forks; .venv is not changed. The first run compiles
# onedl-mmcv (about 14 minutes on two cores, MAX_JOBS compiler processes). Arguments are
# passed to pytest.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

venv=.venv-forks
[ -x "$venv/bin/python" ] || python3 -m venv "$venv"
install=("$venv/bin/python" -m pip install --disable-pip-version-check -q -c constraints.txt)
export MAX_JOBS=${MAX_JOBS:-$(getconf _NPROCESSORS_ONLN)}
export PYTHONPATH=$PWD${PYTHONPATH:+:$PYTHONPATH}

log() { printf '[forks] %s\n' "$*"; }

log 'installing'
"${install[@]}" --upgrade pip setuptools wheel ninja psutil cython numpy
"${install[@]}" torch torchvision
"${install[@]}" --no-build-isolation --no-binary xtcocotools \
    onedl-mmengine==0.10.12 onedl-mmcv==2.3.6 onedl-mmdetection==3.5.1 \
    mmpose pycocotools
"${install[@]}" --no-build-isolation -e '.[tests]'
"$venv/bin/python" -m pip check
log 'testing with'
"$venv/bin/python" -m pip list 2>/dev/null | grep -Ei '^(onedl|mmpose|torch|numpy|opencv)'
"$venv/bin/python" -m pytest "$@"
