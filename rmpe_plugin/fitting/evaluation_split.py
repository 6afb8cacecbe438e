# SPDX-License-Identifier: Apache-2.0
"""Annotations and predicted poses of some images, and the AP of a choice of poses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from mmengine.structures import InstanceData

from rmpe_plugin.diagnosis.poses import DiagnosedPoses
from rmpe_plugin.evaluation.metrics.multi_person_map import EXCLUDED
from rmpe_plugin.ops import ScoredDetections, joint_detections, pose_detections
from rmpe_plugin.structures import (
    group_by_image,
    is_evaluated,
    labelled_keypoints,
    poses_from_records,
    read_coco,
    read_metainfo,
    reference_length,
    require_images,
    require_keypoints,
)

#: COCO's AP and MPII's multi-person mAP.
METRICS = ('AP', 'mAP')


@dataclass
class EvaluationSplit:
    """Annotations and predicted poses of some images.

    Attributes:
        annotations (dict): COCO keypoint annotations of the images.
        sigmas (np.ndarray): OKS sigmas (K,).
        predictions (dict[int, list[dict]]): COCO results by image id, for the images
            that have any.
        metric (str): What :meth:`score` computes: ``'AP'`` is COCO's, ``'mAP'`` is
            MPII's multi-person mAP. Defaults to ``'AP'``.
        reference (str): Reference length of mAP, see :class:`MultiPersonMAP`. Defaults
            to ``'head_box'``.
        names (Sequence[str]): Names of the keypoints by id, for mAP. Defaults to
            ``()``.
    """

    annotations: dict
    sigmas: np.ndarray
    predictions: dict[int, list[dict]]
    metric: str = 'AP'
    reference: str = 'head_box'
    names: Sequence[str] = ()

    @classmethod
    def from_files(
        cls,
        pred: str | Path,
        ann: str | Path,
        metainfo: str | None = None,
        metric: str = 'AP',
        reference: str = 'head_box',
    ) -> EvaluationSplit:
        """Read annotations and predictions.

        Args:
            pred (str | Path): Keypoint predictions in COCO's result format.
            ann (str | Path): COCO keypoint annotations.
            metainfo (str, optional): MMPose's metainfo file of the data set. Defaults
                to ``None``, see :func:`rmpe_plugin.structures.read_metainfo`.
            metric (str): See :class:`EvaluationSplit`.
            reference (str): See :class:`EvaluationSplit`.

        Returns:
            EvaluationSplit: All images of the files.

        Raises:
            ValueError: If a file is malformed, a prediction is of another image or has
                another number of keypoints, or if the metric is unknown or a person
                has no positive area or reference length for it.
        """
        if metric not in METRICS:
            raise ValueError(f'metric must be one of {METRICS}, got {metric!r}')
        pred, ann = Path(pred), Path(ann)
        meta = read_metainfo(ann, metainfo)
        annotations, people = read_coco(
            ann, pred, {'image_id', 'keypoints', 'bbox', 'score'}
        )
        require_images(pred, 'result', people, annotations)
        require_keypoints(pred, 'result', people, meta['num_keypoints'])
        require_keypoints(
            ann, 'annotation', annotations['annotations'], meta['num_keypoints']
        )
        predictions = dict(group_by_image(people))
        names = [meta['keypoint_id2name'][k] for k in range(meta['num_keypoints'])]
        split = cls(annotations, meta['sigmas'], predictions, metric, reference, names)
        try:
            split.detections([], metric)  # raises on an invalid area or length
        except ValueError as error:
            raise ValueError(f'{ann}: {error}') from error
        return split

    @cached_property
    def poses(self) -> list[InstanceData]:
        """Predicted poses of each image in the order of ``predictions``."""
        number = len(self.sigmas)
        return [
            poses_from_records(people, number) for people in self.predictions.values()
        ]

    @property
    def num_predictions(self) -> int:
        """Number of predicted poses."""
        return sum(map(len, self.predictions.values()))

    def divide(
        self, share: float, seed: int
    ) -> tuple[EvaluationSplit, EvaluationSplit]:
        """Divide the images at random into two splits.

        Args:
            share (float): Share of the images in the first split.
            seed (int): Seed of the random choice.

        Returns:
            tuple[EvaluationSplit, EvaluationSplit]: Both splits.

        Raises:
            ValueError: If a split has no labelled keypoints or no predictions.
        """
        ids = sorted(image['id'] for image in self.annotations['images'])
        ids = np.random.default_rng(seed).permutation(ids).tolist()
        number = round(share * len(ids))
        return self._select(set(ids[:number])), self._select(set(ids[number:]))

    def score(self, people: list[dict]) -> float:
        """Compute the metric of this split.

        Args:
            people (list[dict]): COCO results, a choice of the predictions.

        Returns:
            float: AP or mAP, 0 to 1.
        """
        ap = self.detections(people, self.metric).average_precision()
        return float(np.nanmean(ap))

    def detections(self, people: list[dict], metric: str) -> ScoredDetections:
        """Match predictions to people by the rules of a metric.

        Args:
            people (list[dict]): COCO results, a choice of the predictions.
            metric (str): ``'AP'`` or ``'mAP'``. The people of an image are one group.

        Returns:
            ScoredDetections: A column per OKS threshold (AP), or per joint but pelvis
            and thorax (mAP). The images are those of the annotations, sorted by id.
        """
        if metric == 'AP':
            return self._pose_detections(people)
        return self._joint_detections(people)

    def _joint_detections(self, people: list[dict]) -> ScoredDetections:
        """Assign predictions to people by MPII's rules."""
        joints, groups = self._groups
        poses = group_by_image(people)
        number = len(self.sigmas)
        triples = [
            np.reshape(
                [pose['keypoints'] for pose in poses.get(i, [])], (-1, number, 3)
            )
            for i in groups
        ]
        return joint_detections(
            [keypoints for keypoints, _ in groups.values()],
            [lengths for _, lengths in groups.values()],
            [pose[:, joints, :2] for pose in triples],
            [pose[:, joints, 2] for pose in triples],
        )

    @cached_property
    def _groups(self) -> tuple[list[int], dict[int, tuple[np.ndarray, np.ndarray]]]:
        """Indices of the evaluated joints; by image, these joints and the lengths."""
        joints = [k for k, name in enumerate(self.names) if name not in EXCLUDED]
        annotated = group_by_image(
            filter(is_evaluated, self.annotations['annotations'])
        )
        groups = {}
        for image in sorted(image['id'] for image in self.annotations['images']):
            people = annotated.get(image, [])
            keypoints = labelled_keypoints(people, len(self.names))[:, joints]
            lengths = [reference_length(person, self.reference) for person in people]
            groups[image] = keypoints, np.array(lengths)
        return joints, groups

    def _pose_detections(self, people: list[dict]) -> ScoredDetections:
        """Match predictions to people by COCO's rules."""
        meta = dict(num_keypoints=len(self.sigmas), sigmas=self.sigmas)
        images = [*DiagnosedPoses(self.annotations, people, meta)]
        matching = [image.matching(image.oks) for image in images]
        oks, ignored, crowd = zip(*matching, strict=True)
        return pose_detections(oks, [image.scores for image in images], ignored, crowd)

    def _select(self, image_ids: set[int]) -> EvaluationSplit:
        """Keep some images."""
        annotations = dict(
            self.annotations,
            images=[i for i in self.annotations['images'] if i['id'] in image_ids],
            annotations=[
                person
                for person in self.annotations['annotations']
                if person['image_id'] in image_ids
            ],
        )
        predictions = {i: p for i, p in self.predictions.items() if i in image_ids}
        labelled = any(map(is_evaluated, annotations['annotations']))
        if not predictions or not labelled:
            raise ValueError(
                'both splits need labelled keypoints and predictions; one has '
                f'{len(image_ids)} of {len(self.annotations["images"])} images, '
                f'{len(predictions)} of them with predictions'
            )
        return replace(self, annotations=annotations, predictions=predictions)
