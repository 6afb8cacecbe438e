# SPDX-License-Identifier: Apache-2.0
"""What the ablation does beside its trainings: boxes, proposals, pose NMS."""

import os
from functools import partial
from pathlib import Path

from rich.progress import Progress, track

from rmpe_plugin.apis import DetectorSettings, detect_dataset, list_images
from rmpe_plugin.fitting.evaluation_split import EvaluationSplit
from rmpe_plugin.fitting.matching import (
    MatchedPeople,
    match_detections,
    read_matching_inputs,
)
from rmpe_plugin.fitting.nms_methods import MMPOSE_NMS, Method, oks_methods
from rmpe_plugin.fitting.nms_search import (
    DEFAULT_STARTS,
    Trials,
    method_evaluation,
    normalized_start,
    search_parameters,
    search_settings,
)
from rmpe_plugin.ops import PoseNMSParams, ProposalModel

from .configs import AblationFiles

_NUM_KEYPOINTS = 17
# Lowest score of a detection. At 0.25 there are about two boxes per person.
SCORE_THR = 0.25


def detect_people(
    files: AblationFiles, split: str, processes: int, epoch: int | None = None
) -> None:
    """Detect people in a split with the ablation's detector.

    Args:
        files (AblationFiles): The files; the detections are written.
        split (str): The split.
        processes (int): Number of processes.
        epoch (int, optional): Epoch of the detector. Defaults to ``None``, the last.

    Raises:
        RuntimeError: If an image cannot be read.
    """
    settings = DetectorSettings(
        str(files.detector), str(files.detector_checkpoint(epoch)), SCORE_THR
    )
    images = list_images(files.annotations(split), files.data / split)
    detected = detect_dataset(
        images, settings, files.detections(split, epoch), num_processes=processes
    )
    for image in track(detected, f'detecting {split}', total=len(images)):
        if image.error:
            raise RuntimeError(f'{image.name}: {image.error}')


def fit_proposals(files: AblationFiles) -> None:
    """Fit a proposal model to the training images.

    Args:
        files (AblationFiles): The files; the model is written.

    Raises:
        ImportError: If scikit-learn (the extra ``learn``) is not installed.
        ValueError: If too few people are matched.
    """
    ann, det = files.annotations('train'), files.detections('train')
    annotations, detections = read_matching_inputs(ann, det, _NUM_KEYPOINTS)
    pairs, _ = match_detections(
        annotations, detections, track=partial(track, description='matching')
    )
    people = MatchedPeople.from_pairs(pairs, annotations['images'])
    model = ProposalModel.fit(
        *people.model_inputs,
        people.detections,
        track=partial(track, description='fitting'),
    )
    model.to_json(files.proposals)


def learn_pose_nms(
    split: EvaluationSplit,
    pred: Path,
    ann: Path,
    journal: Path,
    progress: Progress | None = None,
) -> PoseNMSParams:
    """Learn pose NMS parameters, with the default starts of ``rmpe tune-nms``.

    Args:
        split (EvaluationSplit): The tuning split, with the metric to maximise.
        pred (Path): Its predicted poses, before any NMS.
        ann (Path): Its COCO annotations.
        journal (Path): Resume journal of the search.
        progress (Progress, optional): Gets a task for each start. Defaults to ``None``.

    Returns:
        PoseNMSParams: The parameters.
    """
    starts = {
        name: normalized_start(PoseNMSParams.preset(name), _NUM_KEYPOINTS)
        for name in DEFAULT_STARTS
    }
    settings = search_settings(pred, ann, starts, 1.0, 0, split.metric, split.reference)
    trials = Trials(journal, settings)
    with method_evaluation(split, os.cpu_count() or 1) as evaluate:
        return search_parameters(starts, evaluate, trials, progress).params


def best_oks_methods(split: EvaluationSplit) -> dict[str, Method]:
    """Choose the threshold of MMPose's NMS methods that has the highest score.

    Args:
        split (EvaluationSplit): The tuning split, with the metric to maximise.

    Returns:
        dict[str, Method]: Method by name, see
        :data:`~rmpe_plugin.fitting.nms_methods.MMPOSE_NMS`.
    """
    return {
        name: max(
            oks_methods(name).values(),
            key=lambda method: split.score(method(split)),
        )
        for name in MMPOSE_NMS
    }
