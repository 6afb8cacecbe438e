# SPDX-License-Identifier: Apache-2.0
r"""Measure person detection and poses on photographs, with and without tiles.

The included model estimates the poses of annotated boxes, and of those of the included
detector without and with --tiles of rmpe predict. "Found" are the annotated people with
a box of IoU 0.5 or more; the others are "unmatched". AP50 is of boxes with a score of
at least 0.05, all other columns are of those with --box-thr. PCK at 20 % of the torso
(TorsoPCK, mean of 12 joints) is of the people with a labelled torso: of those whose
pose is found, of the same people with annotated boxes, and of all, where the joints of
people who are not found are wrong.

Example:
    python -m experiments.detect_photographs
"""

import argparse
import json
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from rich.table import Table

from rmpe_plugin.apis import (
    Detector,
    Frames,
    RMPEInferencer,
    TiledDetector,
    detect_frames,
    find_model,
    list_images,
    load_detector,
)
from rmpe_plugin.evaluation.functional import person_box_ap
from rmpe_plugin.evaluation.metrics import TorsoPCK
from rmpe_plugin.evaluation.metrics.torso_pck import torso_diagonals
from rmpe_plugin.fitting.matching import match_detections
from rmpe_plugin.structures import (
    boxes_to_records,
    poses_to_records,
    read_annotations,
    read_person_boxes,
)
from rmpe_plugin.utils.arguments import existing_file, existing_folder
from rmpe_plugin.utils.tables import table_console

ANN = Path('tests/data/coco_cc/person_keypoints_cc.json')
MIN_SCORE = 0.05  # of the boxes for AP50
JOINTS = [
    f'{side}_{joint}'
    for side in ('left', 'right')
    for joint in ('ankle', 'knee', 'hip', 'wrist', 'elbow', 'shoulder')
]
COLUMNS = (
    'boxes', 'number', 'people found', 'unmatched', 'AP50', 'poses', 'people found',
    'with torso', 'PCK', 'annotated boxes', 'PCK of all',
)  # fmt: skip

# Keypoints (K, 2) by the id of the annotated person.
Poses = dict[int, np.ndarray]


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_photographs(parser)
    parser.add_argument(
        '--box-thr', type=float, default=0.35,
        help='lowest score of the boxes (default: 0.35)',
    )  # fmt: skip
    return parser.parse_args()


def add_photographs(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of annotated photographs: ``ann`` and ``images``."""
    parser.add_argument(
        '--ann', type=existing_file, default=ANN,
        help='COCO keypoint annotations (default: %(default)s)',
    )  # fmt: skip
    parser.add_argument(
        '--images', type=existing_folder,
        help='folder of the images (default: the folder of --ann)',
    )  # fmt: skip


def detect(detector: Detector, frames: Frames) -> list[dict]:
    """Detect people and return COCO results."""
    return [
        record
        for batch, people in detect_frames(detector, frames.reads(), 8)
        for frame, boxes in zip(batch, people, strict=True)
        for record in boxes_to_records(frame.image_id, boxes)
    ]


def estimate(
    inferencer: RMPEInferencer, frames: Frames, boxes: list[dict]
) -> list[dict]:
    """Estimate the poses of boxes and return COCO results."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / 'boxes.json'
        path.write_text(json.dumps(boxes))
        results = inferencer(frames, path)
    return [
        record
        for frame, poses in results
        for record in poses_to_records(frame.image_id, poses.pred_instances)
    ]


def box_ap50(ann: Path, boxes: list[dict]) -> float:
    """AP of boxes at IoU 0.5."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / 'boxes.json'
        path.write_text(json.dumps(boxes))
        return person_box_ap(ann, path)['AP .5']


def count_found(annotations: dict, records: list[dict]) -> int:
    """Number of annotated people with a box or pose of IoU 0.5 or more."""
    _, counts = match_detections(annotations, records, score_thr=0)
    people = counts['people']
    return people['matched'] + people['no labelled keypoints']


class PoseAccuracy:
    """PCK of the annotated people with a labelled torso.

    Args:
        annotations (dict): COCO keypoint annotations.
        meta (dict): MMPose's description of the keypoints of the model.

    Attributes:
        people (dict): Ground truth of each person by the annotation's id.
    """

    def __init__(self, annotations: dict, meta: dict) -> None:
        self.annotations = annotations
        self.metric = TorsoPCK(joints=JOINTS)
        self.metric.dataset_meta = meta
        index = meta['keypoint_name2id']
        theirs = annotations['categories'][0]['keypoints']
        common = [name for name in index if name in theirs]
        columns = [theirs.index(name) for name in common]

        people = [a for a in annotations['annotations'] if not a['iscrowd']]
        triples = np.zeros((len(people), len(index), 3))
        annotated = np.reshape([a['keypoints'] for a in people], (len(people), -1, 3))
        triples[:, [index[name] for name in common]] = annotated[:, columns]
        keypoints, labelled = triples[..., :2], triples[..., 2] > 0
        torso = torso_diagonals(keypoints, labelled, index)
        self.people = {
            person['id']: dict(gt=gt, labelled=known)
            for person, gt, known, length in zip(
                people, keypoints, labelled, torso, strict=True
            )
            if length > 0
        }

    def match(self, records: list[dict]) -> Poses:
        """Poses of the people with a torso that are found."""
        pairs, _ = match_detections(self.annotations, records, score_thr=0)
        return {
            person['id']: np.reshape(pose['keypoints'], (-1, 3))[:, :2]
            for person, pose in pairs
            if person['id'] in self.people
        }

    def pck(self, poses: Poses) -> float:
        """PCK of people with poses."""
        results = [dict(pred=pose, **self.people[i]) for i, pose in poses.items()]
        return self.metric.compute_metrics(results)['PCK'] if results else np.nan

    def pck_of_all(self, poses: Poses) -> float:
        """PCK of all people; joints of those without a pose are wrong."""
        missing = np.full_like(next(iter(self.people.values()))['gt'], np.inf)
        return self.pck({i: poses.get(i, missing) for i in self.people})


def main() -> None:
    args = parse_args()
    annotations = read_annotations(args.ann)
    frames = Frames([path for _, path in list_images(args.ann, args.images)])
    inferencer = RMPEInferencer(*find_model('photo'))
    accuracy = PoseAccuracy(annotations, inferencer.dataset_meta)
    detector = load_detector('person', score_thr=MIN_SCORE)
    sources = {
        'annotated': read_person_boxes(args.ann),
        'detected': detect(detector, frames),
        'detected, with tiles': detect(TiledDetector(detector), frames),
    }
    table = Table(*COLUMNS)
    for name, boxes in sources.items():
        kept = [box for box in boxes if box['score'] >= args.box_thr]
        found = count_found(annotations, kept)
        records = estimate(inferencer, frames, kept)
        poses = accuracy.match(records)
        if name == 'annotated':
            reference = poses
        numbers = (len(kept), found, len(kept) - found)
        counts = (len(records), count_found(annotations, records), len(poses))
        shares = (
            accuracy.pck(poses),
            accuracy.pck({i: reference[i] for i in poses if i in reference}),
            accuracy.pck_of_all(poses),
        )
        table.add_row(
            name, *map(str, numbers), f'{box_ap50(args.ann, boxes):.3f}',
            *map(str, counts), *(f'{share:.3f}' for share in shares),
        )  # fmt: skip
    table_console().print(table)


if __name__ == '__main__':
    main()
