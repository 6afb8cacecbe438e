# SPDX-License-Identifier: Apache-2.0
"""Files of the study, and the configs of its tests."""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from mmengine.config import Config
from mmpose.structures.bbox import bbox_xyxy2xywh

from experiments.ablation import PADDING, AblationFiles, build_training_config
from experiments.comparison import experiment_name
from rmpe_plugin.fitting.box_quality import BoxQuality
from rmpe_plugin.fitting.matching import (
    MatchedPeople,
    has_labelled_keypoints,
    match_detections,
)
from rmpe_plugin.inference import CropGeometry
from rmpe_plugin.ops import ProposalModel
from rmpe_plugin.utils.files import atomic_write

from . import plan
from .box_sets import scale_offsets, two_people, without_feet, without_head
from .two_passes import boxes_of_poses, fit_expansion

#: The crop whose IoU with the ground-truth windows is the quality of a box.
GEOMETRY = CropGeometry((96, 128), PADDING)
# Smallest share of the people with a box.
_MIN_PEOPLE = 0.1


@dataclass(frozen=True)
class StudyFiles(AblationFiles):
    """Paths of the study's files, beside those of the ablation."""

    @property
    def training_boxes(self) -> Path:
        """Proposal model of the training boxes, which covers all box sets."""
        return self.folder / 'training_boxes.json'

    def box_set(self, name: str) -> Path:
        """Boxes of a box set, see :func:`write_box_set`."""
        return self.folder / 'boxes' / f'{experiment_name(name)}.json'

    def second_pass(self, training: str, seed: int, name: str) -> Path:
        """Boxes of the second pass."""
        folder = self.work_dir(training, seed) / 'second-pass-boxes'
        return folder / self.box_set(name).name

    def outputs(self, training: str, seed: int, test: str, name: str) -> Path:
        """Prefix of the outputs of a test on a box set."""
        return self.work_dir(training, seed) / test / self.box_set(name).stem

    def poses(self, training: str, seed: int, test: str, name: str) -> Path:
        """Predicted poses, COCO results."""
        prefix = self.outputs(training, seed, test, name)
        return prefix.with_name(f'{prefix.name}.keypoints.json')

    def samples(self, training: str, seed: int, test: str, name: str) -> Path:
        """Poses and windows by box, see :class:`SampleWriter`."""
        prefix = self.outputs(training, seed, test, name)
        return prefix.with_name(f'{prefix.name}.npz')

    def metrics(self, training: str, seed: int, test: str, name: str) -> Path:
        """Metrics in bootstrap samples."""
        prefix = self.outputs(training, seed, test, name)
        return prefix.with_name(f'{prefix.name}.metrics.npz')

    def box_sets(self, test: str = plan.BOXES) -> list[str]:
        """Names of the box sets of a test that exist.

        Those of detectors with too few boxes do not.
        """
        names = (
            plan.mining_sets(self.size)
            if test == plan.MINING
            else plan.box_sets(self.size)
        )
        return [name for name in names if self.box_set(name).exists()]

    def padding(self, name: str, seed: int) -> float:
        """Factor of the padding of a training's crops.

        That of the constant scale is the scale of :func:`mean_window`.
        """
        if name != 'constant-scale':
            return super().padding(name, seed)
        return float(np.sqrt(np.linalg.det(mean_window(self, seed)[:, :2])))


def mean_window(files: StudyFiles, seed: int) -> np.ndarray:
    """Compute the mean window of the SSTN without the parallel SPPE.

    Args:
        files (StudyFiles): The files; the network is tested.
        seed (int): Seed of the training.

    Returns:
        np.ndarray: theta (2, 3), on boxes of PGPG's model.
    """
    path = files.samples('no-parallel', seed, plan.BOXES, plan.pgpg_name(1))
    with np.load(path, allow_pickle=False) as samples:
        return samples['theta'].mean(axis=0)


@cache
def read_people(path: Path) -> tuple[dict, list[dict], MatchedPeople]:
    """Read annotated people.

    Args:
        path (Path): COCO annotations of synthetic people.

    Returns:
        tuple[dict, list[dict], MatchedPeople]: The file, its annotations with labelled
        keypoints, and their arrays, with the ground-truth boxes as detections.
    """
    annotations = json.loads(path.read_text())
    people = [*filter(has_labelled_keypoints, annotations['annotations'])]
    pairs = [(person, person) for person in people]
    return annotations, people, MatchedPeople.from_pairs(pairs, annotations['images'])


def write_box_set(files: StudyFiles, name: str) -> None:
    """Write the boxes of a box set as COCO results.

    A box that belongs to an annotated person has its ``annotation_id``: the person whom
    ``rmpe boxes`` matches to a detection, and for other boxes the person for whom they
    were made.

    Args:
        files (StudyFiles): The files; the detections exist.
        name (str): Name of the box set. It is dropped if fewer than a tenth of the
            people have a detection.
    """
    annotations, people, arrays = read_people(files.annotations('val'))
    boxes = plan.box_sets(files.size)[name]
    if boxes.family == 'detector':
        records = _detections(files, boxes, annotations)
    else:
        made, owners = _make_boxes(files, name, boxes, arrays)
        records = [
            dict(
                image_id=people[owner]['image_id'],
                category_id=1,
                bbox=box.round(2).tolist(),
                score=1.0,
                annotation_id=people[owner]['id'],
            )
            for box, owner in zip(bbox_xyxy2xywh(made), owners, strict=True)
        ]
    matched = sum('annotation_id' in record for record in records)
    if matched < _MIN_PEOPLE * len(people):
        print(f'{name} is dropped: {matched} of {len(people)} people have a box')
        return
    with atomic_write(files.box_set(name)) as file:
        json.dump(records, file)


def _detections(files: StudyFiles, boxes: plan.BoxSet, annotations: dict) -> list[dict]:
    """A detector's boxes with sufficient scores, with the people matched to them."""
    path = files.detections('val', boxes.epoch or None)
    records = [r for r in json.loads(path.read_text()) if r['score'] >= boxes.score]
    pairs, _ = match_detections(annotations, records)
    for person, record in pairs:
        record['annotation_id'] = person['id']
    return records


def _make_boxes(
    files: StudyFiles, name: str, boxes: plan.BoxSet, people: MatchedPeople
) -> tuple[np.ndarray, np.ndarray]:
    """Boxes (N, 4), xyxy, of known people, and the indices (N,) of these."""
    keypoints, visible, gt_boxes = people.model_inputs
    all_people = np.arange(len(people))
    if boxes.family == 'PGPG':
        model = scale_offsets(ProposalModel.from_json(files.proposals), boxes.width)
        rng, sizes = np.random.default_rng(0), people.image_sizes
        made = model.sample(keypoints, visible, gt_boxes, 1, rng, sizes)[:, 0]
        return made, all_people
    if name == plan.NO_FEET:
        return without_feet(gt_boxes, keypoints, visible), all_people
    if name == plan.NO_HEAD:
        return without_head(gt_boxes, keypoints, visible), all_people
    if name == plan.TWO_PEOPLE:
        return two_people(gt_boxes, people.image_ids)
    return gt_boxes, all_people


def matched_people(files: StudyFiles, name: str) -> tuple[MatchedPeople, np.ndarray]:
    """Read the boxes of a box set that belong to people.

    Args:
        files (StudyFiles): The files.
        name (str): Name of the box set.

    Returns:
        tuple[MatchedPeople, np.ndarray]: People and their boxes, and the indices (N,)
        of the boxes in the file.
    """
    annotations, people, _ = read_people(files.annotations('val'))
    by_id = {person['id']: person for person in people}
    records = json.loads(files.box_set(name).read_text())
    index = [i for i, record in enumerate(records) if 'annotation_id' in record]
    pairs = [(by_id[records[i]['annotation_id']], records[i]) for i in index]
    matched = MatchedPeople.from_pairs(pairs, annotations['images'])
    return matched, np.array(index)


def measure(files: StudyFiles, name: str) -> dict[str, float]:
    """Measure the boxes of a box set.

    Args:
        files (StudyFiles): The files.
        name (str): Name of the box set.

    Returns:
        dict[str, float]: ``iou``, the mean IoU of the crops with the ground-truth
        windows; ``people``, the share of the people with a box; and ``boxes``, their
        number per person.
    """
    people, _ = matched_people(files, name)
    *_, all_people = read_people(files.annotations('val'))
    number = len(all_people)
    iou = BoxQuality.of(people, GEOMETRY).crop_iou.mean()
    boxes = len(json.loads(files.box_set(name).read_text()))
    return dict(
        iou=float(iou),
        people=len(people) / number,
        boxes=boxes / number,
    )


def write_second_pass(files: StudyFiles, training: str, seed: int, name: str) -> None:
    """Write the boxes of the second pass, around the poses of the first one.

    Args:
        files (StudyFiles): The files; the first pass is finished.
        training (str): The training.
        seed (int): Its seed.
        name (str): Name of the box set.
    """
    *_, people = read_people(files.annotations('train'))
    expansion = fit_expansion(*people.model_inputs)
    records = json.loads(files.box_set(name).read_text())
    boxes = np.array([record['bbox'] for record in records])
    boxes[:, 2:] += boxes[:, :2]
    with np.load(
        files.samples(training, seed, plan.BOXES, name), allow_pickle=False
    ) as first:
        ids = first['ids']
        boxes[ids] = boxes_of_poses(
            first['keypoints'], first['scores'], boxes[ids], expansion
        )
    second = bbox_xyxy2xywh(boxes).round(2).tolist()
    with atomic_write(files.second_pass(training, seed, name)) as file:
        json.dump(
            [
                dict(record, bbox=box)
                for record, box in zip(records, second, strict=True)
            ],
            file,
        )


def build_box_set_config(
    files: StudyFiles, training: str, seed: int, test: str
) -> Config:
    """Build the config that tests a network on box sets.

    Args:
        files (StudyFiles): The files. What the test needs exists.
        training (str): The training.
        seed (int): Its seed.
        test (str): How it is tested, see :class:`plan.Variant`.

    Returns:
        Config: The config for :func:`experiments.run_config.run_config`.
    """
    if test == plan.MEAN_WINDOW:
        config = build_training_config(files, 'no-parallel', seed)
        config.model.pop('stn')
        theta = mean_window(files, seed).tolist()
        config.model.stn = dict(type='FixedWindow', theta=theta)
    else:
        config = build_training_config(files, training, seed)
    if test == plan.KEYPOINTS:
        config.model.test_cfg.sdtn = 'keypoints'
    config.custom_imports.imports.append('experiments.sstn_study.components')
    config.test_evaluator = [config.test_evaluator, dict(type='SampleWriter')]
    boxes = (
        (lambda name: files.second_pass(training, seed, name))
        if test == plan.SECOND_PASS
        else files.box_set
    )
    config.box_sets = [
        dict(
            bbox_file=str(boxes(name)),
            prefix=str(files.outputs(training, seed, test, name)),
        )
        for name in files.box_sets(test)
    ]
    return config
