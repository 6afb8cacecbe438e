#!/usr/bin/env bash
# Train a small CPN on synthetic people, test it and draw what it finds.
#
#   bash tools/quickstart.sh
#
# Sets up what it needs by tools/setup_env.sh. With the environment ready it takes
# about ten minutes on two cores and prints the COCO AP and the pictures' paths last.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

python=$(bash tools/setup_env.sh)
export PYTHONPATH=$PWD${PYTHONPATH:+:$PYTHONPATH}

data=data/synthetic_people
work=work_dirs/quickstart
config=configs/quickstart/td-hm_cpn-res18_synthetic-128x96.py

say() { printf '\n[quickstart] %s\n' "$*"; }

say '1/4 drawing synthetic people'
"$python" tools/make_synthetic_people.py "$data" --train 5000 --val 200 --difficulty easy

say "2/4 training a CPN with ResNet-18 (log: $work)"
"$python" tools/train.py "$config" --work-dir "$work"

say '3/4 testing on 200 images it has not seen, with true boxes'
"$python" tools/test.py "$config" "$(cat "$work/last_checkpoint")" --work-dir "$work" \
    --cfg-options test_evaluator.outfile_prefix="$work/val"

say '4/4 drawing poses'
"$python" tools/draw_poses.py --ann "$data/annotations/person_keypoints_val.json" \
    --images "$data/val" --pred "$work/val.keypoints.json" --out "$work/pictures" --scale 2
