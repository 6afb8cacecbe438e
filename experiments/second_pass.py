# SPDX-License-Identifier: Apache-2.0
r"""Measure what errors of boxes cost a pose estimator, and what a second pass gains.

The poses of annotated people are estimated in their boxes, in these boxes with random
errors of the edges (eight for each box), and with --det in the boxes of a detector that
match the people. The boxes of the second pass surround the poses of the first one.
The accuracy of a pose is the share of COCO's ten OKS thresholds that it reaches, in
percent; the table has the mean. Intervals contain 95 % of 1,000 bootstrap samples of
the images.

Example:
    python -m experiments.second_pass photo
    python -m experiments.second_pass config.py epoch_210.pth --ann annotations.json \
        --det boxes.json
"""

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from mmengine.structures import InstanceData
from rich.progress import track

from experiments.detect_photographs import add_photographs
from experiments.sstn_study.two_passes import boxes_of_poses
from rmpe_plugin.apis import RMPEInferencer, list_images, read_image
from rmpe_plugin.fitting.matching import (
    MatchedPeople,
    Pair,
    match_detections,
    read_matching_inputs,
)
from rmpe_plugin.inference import Frame
from rmpe_plugin.ops import (
    bootstrap_weights,
    box_iou,
    keypoint_accuracy,
    oks_variances,
    pose_oks,
)
from rmpe_plugin.structures import (
    area_of,
    is_evaluated,
    read_annotations,
    require_keypoints,
)
from rmpe_plugin.utils.arguments import existing_file
from rmpe_plugin.utils.tables import Table, rich_table, table_console

#: Standard deviations of the edges, in widths and heights of the annotated box.
ERRORS = (0.05, 0.1, 0.15, 0.2)
_REPEATS = 8
# Edges of a box of the second pass, in widths and heights of the pose.
_EXPANSION = np.array([-0.1, -0.1, 0.1, 0.1])


class Boxes(NamedTuple):
    """Boxes of annotated people.

    Attributes:
        people (MatchedPeople): N people, each with a box.
        areas (np.ndarray): Their areas (N,), square pixels.
    """

    people: MatchedPeople
    areas: np.ndarray

    @classmethod
    def of(cls, pairs: Sequence[Pair], images: list[dict]) -> 'Boxes':
        """Read the annotation and the box of each person."""
        people = MatchedPeople.from_pairs(pairs, images)
        return cls(people, np.array([area_of(person) for person, _ in pairs]))

    def select(self, index: np.ndarray) -> 'Boxes':
        """Select people by a mask or indices."""
        return Boxes(self.people[index], self.areas[index])

    def perturbed(self, error: float, rng: np.random.Generator) -> 'Boxes':
        """Move the edges at random, several times for each box.

        Args:
            error (float): Standard deviation of each edge, in widths and heights.
            rng (np.random.Generator): Source of randomness.

        Returns:
            Boxes: The boxes, whose corners are in order.
        """
        repeated = self.select(np.tile(np.arange(len(self.areas)), _REPEATS))
        boxes = repeated.people.detections
        sides = np.tile(boxes[:, 2:] - boxes[:, :2], 2)
        moved = boxes + rng.normal(0, error, boxes.shape) * sides
        moved = np.sort(moved.reshape(-1, 2, 2), axis=1).reshape(-1, 4)
        return repeated._replace(people=replace(repeated.people, detections=moved))


class Accuracy(NamedTuple):
    """Sums over the boxes of one image.

    Attributes:
        boxes (int): Number of boxes.
        iou (float): Sum of their IoU with the annotated boxes.
        first (float): Sum of the accuracy of the first pass.
        second (float): Sum of the accuracy of the second pass.
    """

    boxes: int
    iou: float
    first: float
    second: float


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        'model', help='the pose model: a name of rmpe models, or a config'
    )
    parser.add_argument(
        'checkpoint', nargs='?', help='its weights (default: those of the name)'
    )
    add_photographs(parser)
    parser.add_argument(
        '--det', type=existing_file, help='COCO results (boxes) of a detector'
    )
    return parser.parse_args()


def read_boxes(ann: Path, det: Path | None, num_keypoints: int) -> dict[str, Boxes]:
    """Read the annotated boxes and those of a detector, and perturb the former.

    Args:
        ann (Path): COCO keypoint annotations.
        det (Path, optional): COCO results.
        num_keypoints (int): Number of keypoints of the model.

    Returns:
        dict[str, Boxes]: The boxes by name.

    Raises:
        ValueError: If a file is malformed, or has no people with labelled keypoints.
    """
    annotations = read_annotations(ann)
    images, people = annotations['images'], annotations['annotations']
    require_keypoints(ann, 'annotation', people, num_keypoints)
    labelled = [person for person in people if is_evaluated(person)]
    annotated = Boxes.of([(person, person) for person in labelled], images)
    rng = np.random.default_rng(0)
    found = {'annotated': annotated}
    for error in ERRORS:
        found[f'annotated, errors of {error:.0%}'] = annotated.perturbed(error, rng)
    if det is not None:
        pairs, _ = match_detections(*read_matching_inputs(ann, det, num_keypoints))
        found[str(det)] = Boxes.of(pairs, images)
    return found


def measure(inferencer: RMPEInferencer, frame: Frame, boxes: Boxes) -> Accuracy:
    """Measure both passes in the boxes of one image.

    Args:
        inferencer (RMPEInferencer): Has the pose estimator.
        frame (Frame): The image.
        boxes (Boxes): Its people and their boxes.

    Returns:
        Accuracy: The sums over the boxes.

    Raises:
        ValueError: If the image cannot be read.
    """
    if frame.error:
        raise ValueError(f'{frame.name}: {frame.error}')
    people = boxes.people
    labelled = people.keypoints_visible[..., None] > 0
    gt = np.where(labelled, people.keypoints, np.nan)
    variances = oks_variances(boxes.areas, inferencer.dataset_meta['sigmas'])

    def accuracy(keypoints: np.ndarray) -> float:
        return keypoint_accuracy(np.diag(pose_oks(keypoints, gt, variances))).sum()

    first, scores = _estimate(inferencer, frame, people.detections)
    around = boxes_of_poses(first, scores, people.detections, _EXPANSION)
    second, _ = _estimate(inferencer, frame, around)
    iou = np.diag(box_iou(people.detections, people.gt_bboxes)).sum()
    return Accuracy(len(gt), iou, accuracy(first), accuracy(second))


def _estimate(
    inferencer: RMPEInferencer, frame: Frame, boxes: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Keypoints (N, K, 2) and scores (N, K) in boxes (N, 4)."""
    people = InstanceData(
        bboxes=boxes.astype(np.float32), bbox_scores=np.ones(len(boxes), np.float32)
    )
    (poses,) = inferencer.estimate([frame], [people])
    return poses.keypoints, poses.keypoint_scores


def summarise(images: Sequence[Accuracy]) -> tuple[str, ...]:
    """Format the sums of all images.

    Args:
        images (Sequence[Accuracy]): The sums of each image.

    Returns:
        tuple[str, ...]: Number of boxes, mean IoU, accuracy of the first pass in
        percent, and change by the second pass with its interval.
    """
    boxes, iou, first, second = np.array(images).T
    weights = bootstrap_weights(len(images), 1000, seed=0)
    samples = weights @ (second - first) / (weights @ boxes)
    low, high = 100 * np.percentile(samples, (2.5, 97.5))
    iou, first, second = (x.sum() / boxes.sum() for x in (iou, first, second))
    change = f'{100 * (second - first):+.1f} ({low:+.1f} to {high:+.1f})'
    return f'{boxes.sum():.0f}', f'{iou:.3f}', f'{100 * first:.1f}', change


def run(args: argparse.Namespace) -> Table:
    """Measure all boxes, with a progress bar."""
    inferencer = RMPEInferencer(args.model, args.checkpoint)
    num_keypoints = inferencer.dataset_meta['num_keypoints']
    sources = read_boxes(args.ann, args.det, num_keypoints)
    results: dict[str, list[Accuracy]] = {name: [] for name in sources}
    images = list_images(args.ann, args.images)
    for image_id, path in track(images, 'estimating the poses'):
        frame = read_image(path, image_id)
        for name, boxes in sources.items():
            here = boxes.people.image_ids == image_id
            if here.any():
                results[name].append(measure(inferencer, frame, boxes.select(here)))
    header = ('boxes', 'number', 'IoU', 'accuracy', 'change by a second pass')
    return Table(header, [(n, *summarise(found)) for n, found in results.items()])


def main() -> None:
    args = parse_args()
    try:
        table = run(args)
    except (ImportError, OSError, ValueError) as error:
        raise SystemExit(str(error)) from error
    table_console().print(rich_table(table))


if __name__ == '__main__':
    main()
