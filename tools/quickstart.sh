#!/usr/bin/env bash
# Train a small CPN and a small detector on synthetic people, test them and draw what
# they find.
#
#   bash tools/quickstart.sh
#
# Sets up what it needs by tools/setup_env.sh. With the environment ready it takes
# about a quarter of an hour on two cores and prints the COCO AP and the pictures' paths.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

python=$(bash tools/setup_env.sh)
export PYTHONPATH=$PWD${PYTHONPATH:+:$PYTHONPATH}

data=data/synthetic_people
truths=$data/annotations/person_keypoints_val.json
work=work_dirs/quickstart
config=configs/quickstart/td-hm_cpn-res18_synthetic-128x96.py
detector=configs/quickstart/rtmdet-small_synthetic-320x256.py
boxes=work_dirs/detector/val_boxes.json

say() { printf '\n[quickstart] %s\n' "$*"; }

say '1/7 drawing synthetic people'
"$python" tools/make_synthetic_people.py "$data" --train 5000 --val 200 --difficulty easy

say "2/7 training a CPN with ResNet-18 (log: $work)"
"$python" tools/train.py "$config" --work-dir "$work"

say '3/7 testing on 200 images it has not seen, with true boxes'
"$python" tools/test.py "$config" "$(cat "$work/last_checkpoint")" --work-dir "$work"

say '4/7 training a detector (log: work_dirs/detector)'
"$python" tools/train.py "$detector" --work-dir work_dirs/detector

say '5/7 finding people with it'
"$python" tools/detect_people.py "$detector" "$(cat work_dirs/detector/last_checkpoint)" \
    --ann "$truths" --images "$data/val" --out "$boxes"

say "6/7 testing with the detector's boxes"
"$python" tools/test.py "$config" "$(cat "$work/last_checkpoint")" --work-dir "$work" \
    --cfg-options test_dataloader.dataset.bbox_file="$boxes" \
    test_evaluator.outfile_prefix="$work/detections"

say '7/7 drawing poses'
"$python" tools/demo.py "$config" "$(cat "$work/last_checkpoint")" \
    "$data/val/00000*.jpg" --boxes "$boxes" --out "$work/pictures"
