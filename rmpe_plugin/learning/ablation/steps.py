# SPDX-License-Identifier: Apache-2.0
"""What the ablation learns beside its networks: proposals and pose NMS parameters."""

import os
from functools import partial
from pathlib import Path

from rich.progress import Progress, track

from rmpe_plugin.learning.evaluation_split import EvaluationSplit
from rmpe_plugin.learning.matching import (
    MatchedPeople,
    match_detections,
    read_matching_inputs,
)
from rmpe_plugin.learning.nms_methods import MMPOSE_NMS, Method, oks_methods
from rmpe_plugin.learning.nms_search import (
    DEFAULT_STARTS,
    Trials,
    method_evaluation,
    normalized_start,
    search_parameters,
    search_settings,
)
from rmpe_plugin.learning.proposal_fitting import hold_out_images
from rmpe_plugin.ops import PoseNMSParams, ProposalModel

_NUM_KEYPOINTS = 17
# Share of the tuning split that pose NMS is fitted to.
_FIT_SHARE = 0.9


def fit_proposals(ann: Path, det: Path) -> ProposalModel:
    """Fit a proposal model, with the defaults of ``tools/fit_pgpg.py``.

    Args:
        ann (Path): COCO annotations of the training images.
        det (Path): Detections on them.

    Returns:
        ProposalModel: The model.

    Raises:
        ImportError: If scikit-learn (the extra ``learn``) is not installed.
        ValueError: If a file is malformed, or too few people are matched.
    """
    annotations, detections = read_matching_inputs(ann, det, _NUM_KEYPOINTS)
    pairs, _ = match_detections(
        annotations, detections, track=partial(track, description='matching')
    )
    people = MatchedPeople.from_pairs(pairs, annotations['images'])
    fitted, _ = hold_out_images(people)
    return ProposalModel.fit(
        *fitted.model_inputs,
        fitted.detections,
        track=partial(track, description='fitting'),
    )


def learn_pose_nms(
    pred: Path, ann: Path, journal: Path, progress: Progress | None = None
) -> PoseNMSParams:
    """Learn pose NMS parameters, with the default starts of ``tools/tune_pose_nms.py``.

    Args:
        pred (Path): Predicted poses of the tuning split, before any NMS.
        ann (Path): COCO annotations of the tuning split.
        journal (Path): Resume journal of the search.
        progress (Progress, optional): Gets a task for each start. Defaults to ``None``.

    Returns:
        PoseNMSParams: The parameters.
    """
    fitted, _ = EvaluationSplit.from_files(pred, ann).divide(_FIT_SHARE, seed=0)
    starts = {
        name: normalized_start(PoseNMSParams.preset(name), _NUM_KEYPOINTS)
        for name in DEFAULT_STARTS
    }
    trials = Trials(journal, search_settings(pred, ann, starts, _FIT_SHARE, seed=0))
    with method_evaluation(fitted, os.cpu_count() or 1) as evaluate:
        return search_parameters(starts, evaluate, trials, progress).params


def best_oks_methods(split: EvaluationSplit) -> dict[str, Method]:
    """Choose the threshold of MMPose's NMS methods that has the highest AP.

    Args:
        split (EvaluationSplit): The tuning split.

    Returns:
        dict[str, Method]: Method by name, see
        :data:`~rmpe_plugin.learning.nms_methods.MMPOSE_NMS`.
    """
    return {
        name: max(
            oks_methods(name).values(),
            key=lambda method: split.average_precision(method(split)),
        )
        for name in MMPOSE_NMS
    }
