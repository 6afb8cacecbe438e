# SPDX-License-Identifier: Apache-2.0
from collections.abc import Sequence
from itertools import chain
from pathlib import Path

import numpy as np
from mmengine.fileio import get_local_path
from mmpose.evaluation.metrics import CocoMetric
from mmpose.registry import METRICS
from mmpose.structures.bbox import bbox_xywh2xyxy

from rmpe_plugin.ops import PoseNMSParams, parametric_pose_nms_batch
from rmpe_plugin.structures import (
    area_of,
    check_annotations,
    read_images,
    require_categories,
    require_keys,
)

# What COCO's evaluation reads of each annotation.
COCO_KEYS = dict(
    keypoints={'bbox', 'keypoints'},
    keypoints_crowd={'bbox', 'keypoints', 'num_keypoints'},
)


@METRICS.register_module()
class PoseNMSCocoMetric(CocoMetric):
    """MMPose's COCO metric with RMPE's parametric pose NMS.

    Pose NMS is applied to the predictions of each image, ranked by ``score_mode``,
    after keypoint conversion and before the results are written and evaluated. A merged
    pose has the score and the box of the most confident pose of its cluster.

    Args:
        pose_nms (dict | str, optional): Arguments of
            :class:`rmpe_plugin.ops.PoseNMSParams`, for example
            ``dict(preset='rmpe-paper')``, the name of a preset, or the path of a JSON
            file. Defaults to ``None``: ``nms_mode`` is applied instead.
        score_offset (float): Number that is added to the mean keypoint score of a
            person for COCO's ranking of people, which AP depends on. It is 0.5 in
            github.com/chenyilun95/tf-cpn and github.com/GengDavid/pytorch-cpn. Pose NMS
            ranks without it, as ``RMPEInferencer`` does. Only
            ``score_mode='bbox_keypoint'`` depends on it. Defaults to 0.
        kwargs: Arguments of :class:`mmpose.evaluation.metrics.CocoMetric`. ``nms_mode``
            defaults to ``'none'`` if ``pose_nms`` is given.

    MMPose fails after the first epoch, or returns an AP of 0 or -1, if the annotations
    cannot be evaluated. Here they are checked before the training. An annotation
    without ``iscrowd`` is no crowd, as in MMPose's data sets.

    Raises:
        ValueError: If ``pose_nms`` is given and ``nms_mode`` is not ``'none'``, a
            parameter is not valid, or the predictions have no boxes, which pose NMS
            needs; if a record of the annotations is not valid, has no listed category,
            ``keypoints`` or ``bbox``, or without ``use_area=False`` no positive
            ``area``; or if the data set's description has not one sigma per keypoint.
        FileNotFoundError: If ``pose_nms`` is neither the name of a preset nor the path
            of a file.
    """

    def __init__(
        self,
        pose_nms: dict | str | None = None,
        score_offset: float = 0.0,
        **kwargs,
    ) -> None:
        if pose_nms is not None and kwargs.setdefault('nms_mode', 'none') != 'none':
            raise ValueError(
                "evaluator.nms_mode must be 'none' if evaluator.pose_nms is given, "
                f'got {kwargs["nms_mode"]!r}'
            )
        if kwargs.get('ann_file') is not None and not kwargs.get('format_only'):
            # xtcocotools names neither file nor record.
            with get_local_path(kwargs['ann_file']) as path:
                read_images(Path(path))
        super().__init__(**kwargs)
        if self.coco is not None:
            self._prepare_annotations()
        self.score_offset = score_offset
        self.pose_nms = None
        if pose_nms is not None:
            self.pose_nms = PoseNMSParams.from_config(pose_nms)

    @property
    def dataset_meta(self) -> dict | None:
        """Description of the data set, see ``CocoMetric``."""
        return CocoMetric.dataset_meta.fget(self)

    @dataset_meta.setter
    def dataset_meta(self, dataset_meta: dict) -> None:
        is_loaded = self.coco is not None
        CocoMetric.dataset_meta.fset(self, dataset_meta)
        if self.coco is not None and not is_loaded:
            self._prepare_annotations()
        number = self.dataset_meta['num_keypoints']
        if len(self.dataset_meta['sigmas']) != number:
            raise ValueError(
                f'{type(self).__name__} needs {number} sigmas, one for each keypoint, '
                f'in metainfo, got {len(self.dataset_meta["sigmas"])}'
            )

    def _prepare_annotations(self) -> None:
        """Check the annotations, and complete ``iscrowd``."""
        if self.format_only or self.iou_type not in COCO_KEYS:
            return
        path, dataset = Path(self.coco.anno_file[0]), self.coco.dataset
        annotations = dataset['annotations']
        check_annotations(path, dataset)
        require_categories(path, dataset)
        require_keys(path, 'annotation', annotations, COCO_KEYS[self.iou_type])
        if self.iou_type == 'keypoints_crowd':
            require_keys(path, 'image', dataset['images'], {'crowdIndex'})
        for annotation in annotations:
            annotation.setdefault('iscrowd', 0)
        if self.use_area:
            _require_areas(path, annotations)

    def process(self, data_batch: Sequence[dict], data_samples: Sequence[dict]) -> None:
        """Store the predictions of one batch.

        Args:
            data_batch (Sequence[dict]): A batch from the data loader.
            data_samples (Sequence[dict]): Outputs of the model, see ``CocoMetric``.

        Raises:
            ValueError: If pose NMS is on and the predictions have no boxes.
        """
        if self.pose_nms and any(
            'bboxes' not in sample['pred_instances'] for sample in data_samples
        ):
            raise ValueError(
                'evaluator.pose_nms needs pred_instances.bboxes, but the predictions '
                'have no bboxes'
            )
        super().process(data_batch, data_samples)

    def results2json(self, keypoints: dict[int, list], outfile_prefix: str) -> str:
        """Apply pose NMS, then write the kept poses in COCO's result format.

        Args:
            keypoints (dict[int, list]): Predicted persons of each image.
            outfile_prefix (str): Path of the file to write without the suffix
                ``.keypoints.json``.

        Returns:
            str: See ``CocoMetric``.
        """
        if self.pose_nms:
            keypoints = _suppress(keypoints, self.pose_nms)
        if self.score_offset and self.score_mode == 'bbox_keypoint':
            for person in chain.from_iterable(keypoints.values()):
                mean = person['keypoint_scores'].mean() + self.score_offset
                person['score'] = person['bbox_score'] * mean
        return super().results2json(keypoints, outfile_prefix)


def _require_areas(path: Path, annotations: list[dict]) -> None:
    """Raise if an annotation has no area, or that of a person is not positive."""
    try:
        for annotation in annotations:
            if 'area' not in annotation:
                raise ValueError(f'annotation {annotation["id"]} has no area')
            area_of(annotation)
    except ValueError as error:
        raise ValueError(
            f'{path}: {error}; evaluator.use_area=False takes 0.53 of the box instead'
        ) from error


def _suppress(images: dict[int, list], params: PoseNMSParams) -> dict[int, list]:
    """Select the kept persons of each image, with merged keypoints."""
    poses, boxes, scores = (
        [np.stack([person[key] for person in persons]) for persons in images.values()]
        for key in ('keypoints', 'bbox', 'score')
    )
    results = parametric_pose_nms_batch(
        [pose[..., :2] for pose in poses],
        [pose[..., 2] for pose in poses],
        [bbox_xywh2xyxy(box) for box in boxes],
        params,
        scores,
    )
    kept = {}
    for (image, persons), result in zip(images.items(), results, strict=True):
        merged = np.dstack((result.keypoints, result.keypoint_scores))  # (M, K, 3)
        kept[image] = [
            dict(persons[i], keypoints=pose)
            for i, pose in zip(result.keep, merged, strict=True)
        ]
    return kept
