# SPDX-License-Identifier: Apache-2.0
from collections.abc import Sequence

import numpy as np
from mmengine.evaluator import BaseMetric
from mmengine.logging import MMLogger
from mmpose.evaluation.functional import keypoint_pck_accuracy
from mmpose.registry import METRICS

from rmpe_plugin.evaluation.functional.annotation import person_annotation

# Diagonals of the torso.
DIAGONALS = (('left_shoulder', 'right_hip'), ('right_shoulder', 'left_hip'))


@METRICS.register_module()
class TorsoPCK(BaseMetric):
    """Percentage of correct keypoints relative to the torso, the metric of LSP.

    A keypoint is correct if its distance to the ground truth is below a share of the
    torso's diagonal: the distance from a shoulder to the opposite hip, the mean of both
    diagonals if both are labelled. People without a labelled diagonal are not
    evaluated. MMPose's ``PCKAccuracy`` with ``norm_item='torso'`` is for the joints of
    JHMDB only. The model must be tested on ground-truth boxes.

    The metrics are ``torso/PCK``, the mean over the keypoints, and ``torso/<joint>`` of
    each pair of joints, between 0 and 1.

    Args:
        thr (float): Share of the diagonal. Defaults to 0.2.
        joints (Sequence[str], optional): Names of the keypoints to evaluate. Defaults
            to ``None``: all.
        kwargs: Arguments of ``mmengine.evaluator.BaseMetric``.

    Raises:
        ValueError: In :meth:`compute_metrics`, if a joint is unknown, the keypoints
            contain no shoulders and hips, or no person can be evaluated.
    """

    default_prefix = 'torso'

    def __init__(
        self, thr: float = 0.2, joints: Sequence[str] | None = None, **kwargs
    ) -> None:
        super().__init__(**kwargs)
        self.thr, self.joints = thr, joints

    def process(self, data_batch: Sequence[dict], data_samples: Sequence[dict]) -> None:
        """Collect the predictions of a batch.

        Args:
            data_batch (Sequence[dict]): Not used.
            data_samples (Sequence[dict]): Outputs of a top-down model.

        Raises:
            ValueError: If the box of a sample is a detection, which has no annotation.
        """
        for sample in data_samples:
            gt = sample['gt_instances']
            # Of a detection, MMPose makes keypoints that are all (0, 0) and visible.
            if not gt['keypoints'].any():
                person_annotation(sample, 'TorsoPCK')
            visible = gt['keypoints_visible'][0]
            if visible.ndim == 2:  # with weights, from KeypointConverter
                visible = visible[:, 0]
            self.results.append(
                dict(
                    pred=sample['pred_instances']['keypoints'][0],  # (K, 2)
                    gt=gt['keypoints'][0],
                    labelled=visible > 0,
                )
            )

    def compute_metrics(self, results: list[dict]) -> dict[str, float]:
        """Compute the share of correct keypoints.

        Args:
            results (list[dict]): What :meth:`process` collected.

        Returns:
            dict[str, float]: ``PCK`` and the share of each pair of joints.
        """
        index = self.dataset_meta['keypoint_name2id']
        names = list(index) if self.joints is None else list(self.joints)
        unknown = [name for name in names if name not in index]
        if unknown:
            raise ValueError(
                f'evaluator.joints must be among {", ".join(index)}, got '
                f'{", ".join(unknown)}'
            )
        pred, gt, labelled = (
            np.stack([result[key] for result in results])
            for key in ('pred', 'gt', 'labelled')
        )
        torso = torso_diagonals(gt, labelled, index)
        evaluated = torso > 0
        if not evaluated.any():
            raise ValueError('no person has a labelled shoulder and opposite hip')
        MMLogger.get_current_instance().info(
            f'TorsoPCK: {evaluated.sum()} of {len(torso)} people have a labelled torso'
        )
        selected = [index[name] for name in names]
        shares, mean, _ = keypoint_pck_accuracy(
            pred[evaluated][:, selected],
            gt[evaluated][:, selected],
            labelled[evaluated][:, selected],
            self.thr,
            np.repeat(torso[evaluated, None], 2, axis=1),
        )
        return dict(PCK=float(mean), **_mean_of_pairs(names, shares))


def torso_diagonals(
    keypoints: np.ndarray, labelled: np.ndarray, index: dict[str, int]
) -> np.ndarray:
    """Mean length of the labelled diagonals of the torso.

    Args:
        keypoints (np.ndarray): Keypoints (N, K, 2), pixels.
        labelled (np.ndarray): Boolean mask (N, K).
        index (dict[str, int]): Index of each keypoint by its name.

    Returns:
        np.ndarray: Lengths (N,) in pixels; 0 for people without a labelled diagonal.

    Raises:
        ValueError: If there are no shoulders and hips.
    """
    missing = sorted({name for pair in DIAGONALS for name in pair} - index.keys())
    if missing:
        raise ValueError(f'TorsoPCK needs the keypoints {", ".join(missing)}')
    start, end = np.array([[index[name] for name in pair] for pair in DIAGONALS]).T
    length = np.linalg.norm(keypoints[:, start] - keypoints[:, end], axis=2)  # (N, 2)
    known = labelled[:, start] & labelled[:, end]
    return (length * known).sum(axis=1) / known.sum(axis=1).clip(min=1)


def _mean_of_pairs(names: list[str], shares: np.ndarray) -> dict[str, float]:
    """Share of each part of the body; left and right are averaged."""
    parts: dict[str, list[float]] = {}
    for name, share in zip(names, shares, strict=True):
        if share < 0:  # not labelled in any person
            continue
        part = name.removeprefix('left_').removeprefix('right_')
        parts.setdefault(part, []).append(float(share))
    return {part: float(np.mean(values)) for part, values in parts.items()}
