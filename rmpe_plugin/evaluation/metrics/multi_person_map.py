# SPDX-License-Identifier: Apache-2.0
"""The multi-person mAP of MPII."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from mmengine.evaluator import BaseMetric
from mmengine.structures import InstanceData
from mmpose.registry import METRICS

from rmpe_plugin.ops import (
    PoseNMSParams,
    multi_person_ap,
    parametric_pose_nms_batch,
    poses_in_group,
)
from rmpe_plugin.structures import (
    group_by_image,
    is_evaluated,
    labelled_keypoints,
    person_scores,
    read_annotations,
    reference_length,
)
from rmpe_plugin.utils.tables import Table, log_tables

# Joints of MPII that its multi-person evaluation does not use.
EXCLUDED = ('pelvis', 'thorax')
GROUPS = ('image', 'mpii')
# Joints of MPII whose mean is the centre of a pose.
CENTRE = ('pelvis', 'thorax')
# Column of the table for joints that are neither left nor right.
COLUMNS = dict(upper_neck='head', head_top='head')


@METRICS.register_module()
class MultiPersonMAP(BaseMetric):
    """Mean average precision of joints, the metric of RMPE (MPII multi-person).

    See :func:`rmpe_plugin.ops.multi_person_ap` for the rules. The metrics are
    ``multi_person/mAP`` and the AP of each joint by its name, percent. They are also
    logged as a table, with the mean of left and right.

    Args:
        ann_file (str): COCO-style annotations of all images. Crowds and people without
            labelled keypoints are ignored.
        reference (str): Entry of an annotation with the reference length. A box
            (x, y, w, h) is the head box, whose diagonal is multiplied by 0.6; a number
            is the length in pixels. Defaults to ``'head_box'``.
        joints (Sequence[str], optional): Names of the joints to evaluate. Defaults to
            ``None``: all but pelvis and thorax, as on MPII.
        pose_nms (dict | str, optional): Parameters of pose NMS, which is applied to the
            predictions of each image, see :class:`PoseNMSCocoMetric`. Defaults to
            ``None``: no pose NMS.
        threshold (float): Largest distance of a correct joint, relative to the
            reference length. Defaults to 0.5.
        groups (str): ``'image'``: the people of an image are one group. ``'mpii'``: the
            groups are those of the annotations (``group``, not negative), and
            predictions belong to them by RMPE's rule, see
            :func:`rmpe_plugin.ops.poses_in_group`, with ``position`` and ``scale`` of
            the annotations, which ``rmpe convert mpii`` writes.
            Defaults to ``'image'``.
        kwargs: Arguments of ``mmengine.evaluator.BaseMetric``.

    Raises:
        ValueError: If a file or a setting is not valid; in :meth:`compute_metrics`, if
            an annotation has no reference length or group, or a joint is unknown.
    """

    default_prefix = 'multi_person'

    def __init__(
        self,
        ann_file: str,
        reference: str = 'head_box',
        joints: Sequence[str] | None = None,
        pose_nms: dict | str | None = None,
        threshold: float = 0.5,
        groups: str = 'image',
        **kwargs,
    ) -> None:
        super().__init__(**kwargs)
        if groups not in GROUPS:
            raise ValueError(
                f'evaluator.groups must be one of {GROUPS}, got {groups!r}'
            )
        self.groups = groups
        self.ann_file = Path(ann_file)
        self.annotations = read_annotations(self.ann_file)['annotations']
        self.reference, self.joints = reference, joints
        self.pose_nms = (
            None if pose_nms is None else PoseNMSParams.from_config(pose_nms)
        )
        self.threshold = threshold

    def process(self, data_batch: Sequence[dict], data_samples: Sequence[dict]) -> None:
        """Collect the predictions of a batch.

        Args:
            data_batch (Sequence[dict]): Not used.
            data_samples (Sequence[dict]): Outputs of a top-down model.
        """
        for sample in data_samples:
            pose = sample['pred_instances']
            scores = pose.get('bbox_scores', sample['gt_instances']['bbox_scores'])
            person = InstanceData(
                keypoint_scores=pose['keypoint_scores'], bbox_scores=np.asarray(scores)
            )
            self.results.append(
                dict(
                    id=sample['id'],
                    image_id=sample['img_id'],
                    keypoints=pose['keypoints'],  # (1, K, 2)
                    keypoint_scores=pose['keypoint_scores'].clip(0, 1),
                    bboxes=pose['bboxes'],
                    scores=person_scores(person),
                )
            )

    def compute_metrics(self, results: list[dict]) -> dict[str, float]:
        """Compute the AP of each joint and their mean, and log them as a table.

        Args:
            results (list[dict]): What :meth:`process` collected.

        Returns:
            dict[str, float]: AP of each joint by its name, and ``mAP``; percent. Joints
            without annotations are omitted.
        """
        index = self.dataset_meta['keypoint_id2name']
        names = [index[k] for k in range(len(index))]
        selected = _select_joints(names, self.joints)
        people = [a for a in self.annotations if is_evaluated(a)]
        people_of, poses_of = group_by_image(people), self._poses(results)
        gt, lengths, keypoints, scores = [], [], [], []
        for persons, pose, score in self._groups(people_of, poses_of, names):
            gt.append(labelled_keypoints(persons, len(names))[:, selected])
            lengths.append(np.array([self._length(person) for person in persons]))
            keypoints.append(pose[:, selected])
            scores.append(score[:, selected])
        if not gt:
            raise ValueError(
                f"{self.ann_file} has no groups, which evaluator.groups='mpii' needs; "
                'they are written by mpii_to_coco.py --groups'
            )
        ap = multi_person_ap(gt, lengths, keypoints, scores, self.threshold)
        by_joint = {
            names[k]: float(value)
            for k, value in zip(selected, ap, strict=True)
            if not np.isnan(value)
        }
        metrics = dict(by_joint, mAP=float(np.mean([*by_joint.values()])))
        log_tables(_table(metrics))
        return metrics

    def _groups(
        self,
        people_of: dict[int, list[dict]],
        poses_of: dict[int, tuple[np.ndarray, np.ndarray]],
        names: list[str],
    ) -> Iterator[tuple[list[dict], np.ndarray, np.ndarray]]:
        """Annotations, keypoints (P, K, 2) and scores (P, K) of each group."""
        empty = np.zeros((0, len(names), 2)), np.zeros((0, len(names)))
        centre = [names.index(name) for name in CENTRE if name in names]
        if self.groups == 'mpii' and len(centre) < len(CENTRE):
            raise ValueError(
                f"evaluator.groups='mpii' needs the joints {', '.join(CENTRE)}"
            )
        for image in sorted(people_of.keys() | poses_of.keys()):
            people = people_of.get(image, [])
            pose, score = poses_of.get(image, empty)
            if self.groups == 'image':
                yield people, pose, score
                continue
            for group in self._annotated_groups(people):
                inside = poses_in_group(
                    pose,
                    np.array([person['position'] for person in group]),
                    np.array([person['scale'] for person in group]),
                    centre,
                )
                yield group, pose[inside], score[inside]

    def _annotated_groups(self, people: list[dict]) -> list[list[dict]]:
        """People of each group in an image."""
        groups: dict[int, list[dict]] = {}
        for person in people:
            missing = [
                key for key in ('group', 'position', 'scale') if key not in person
            ]
            if missing:
                raise ValueError(
                    f'{self.ann_file}: annotation {person["id"]} has no '
                    f"{', '.join(missing)}, which evaluator.groups='mpii' needs"
                )
            if person['group'] >= 0:
                groups.setdefault(person['group'], []).append(person)
        return list(groups.values())

    def _poses(self, results: list[dict]) -> dict[int, tuple[np.ndarray, np.ndarray]]:
        """Keypoints (P, K, 2) and scores (P, K) of each image, after pose NMS."""
        # A distributed sampler repeats people to fill the last batch.
        unique = {result['id']: result for result in results}
        images = group_by_image(unique.values())
        arrays = [
            [np.concatenate([pose[key] for pose in poses]) for poses in images.values()]
            for key in ('keypoints', 'keypoint_scores', 'bboxes', 'scores')
        ]
        keypoints, keypoint_scores, bboxes, scores = arrays
        if self.pose_nms is not None and images:
            kept = parametric_pose_nms_batch(
                keypoints, keypoint_scores, bboxes, self.pose_nms, scores
            )
            keypoints = [result.keypoints for result in kept]
            keypoint_scores = [result.keypoint_scores for result in kept]
        poses = zip(keypoints, keypoint_scores, strict=True)
        return dict(zip(images, poses, strict=True))

    def _length(self, person: dict) -> float:
        """Reference length of a person in pixels."""
        try:
            return reference_length(person, self.reference)
        except ValueError as error:
            raise ValueError(
                f'{self.ann_file}: {error} (evaluator.reference)'
            ) from error


def _select_joints(names: list[str], joints: Sequence[str] | None) -> list[int]:
    """Indices of the joints to evaluate."""
    if joints is None:
        return [k for k, name in enumerate(names) if name not in EXCLUDED]
    unknown = sorted(set(joints) - set(names))
    if unknown:
        raise ValueError(
            f'evaluator.joints must be among {", ".join(names)}, got '
            f'{", ".join(unknown)}'
        )
    return [names.index(name) for name in joints]


def _table(metrics: dict[str, float]) -> Table:
    """The metrics with one column for left and right."""
    columns: dict[str, list[float]] = {}
    for name, value in metrics.items():
        part = name.removeprefix('left_').removeprefix('right_')
        columns.setdefault(COLUMNS.get(part, part), []).append(value)
    return Table(
        [*columns], [[f'{np.mean(values):.1f}' for values in columns.values()]]
    )
