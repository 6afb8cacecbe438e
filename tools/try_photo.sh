#!/usr/bin/env bash
# Predict poses in photographs with the trained models of this package.
#
#   bash tools/try_photo.sh PICTURE ... [options of rmpe predict]
#
# Finds or creates the environment with tools/setup_env.sh. Without --boxes, --det and
# --whole-image, the included detector finds the people. The annotated pictures and the
# keypoints are written to work_dirs/photo.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

[ $# -gt 0 ] || { echo "usage: bash tools/try_photo.sh PICTURE ..." >&2; exit 2; }

python=$(bash "$root/tools/setup_env.sh")
export PYTHONPATH=$root${PYTHONPATH:+:$PYTHONPATH}
export PYTHONWARNINGS=${PYTHONWARNINGS:-ignore:pkg_resources is deprecated:UserWarning}
exec "$python" "$root/rmpe.py" predict --model photo --out work_dirs/photo "$@"
