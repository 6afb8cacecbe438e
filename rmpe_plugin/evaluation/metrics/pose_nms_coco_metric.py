# SPDX-License-Identifier: Apache-2.0
from collections.abc import Sequence

import numpy as np
from mmpose.evaluation.metrics import CocoMetric
from mmpose.registry import METRICS
from mmpose.structures.bbox import bbox_xywh2xyxy

from rmpe_plugin.ops import PoseNMSParams, parametric_pose_nms_batch


@METRICS.register_module()
class PoseNMSCocoMetric(CocoMetric):
    """MMPose's COCO metric, with RMPE's parametric pose NMS among its choices.

    Each image's poses are suppressed together, ranked by the score that ``score_mode``
    gives them, after conversion and before they are written and evaluated. Where poses
    are merged, the most confident one's score and box stand for them.

    Args:
        pose_nms (dict | str, optional): Parameters of
            :class:`rmpe_plugin.ops.PoseNMSParams`, for example
            ``dict(preset='rmpe-paper')``, the name of a preset, or the path of a JSON
            file. Defaults to ``None``, which leaves it to ``nms_mode``.
        kwargs: As :class:`mmpose.evaluation.metrics.CocoMetric`'s. ``nms_mode`` is
            ``'none'`` by default if ``pose_nms`` is given.

    Raises:
        ValueError: If ``pose_nms`` and another ``nms_mode`` than ``'none'`` are given,
            if a parameter makes no sense, or if the model predicts no boxes, which the
            keypoints are measured by.
        FileNotFoundError: If ``pose_nms`` names neither a preset nor a file.
    """

    def __init__(self, pose_nms: dict | str | None = None, **kwargs) -> None:
        if pose_nms is not None and kwargs.setdefault('nms_mode', 'none') != 'none':
            raise ValueError(
                "evaluator.nms_mode must be 'none' where evaluator.pose_nms is given, "
                f'got {kwargs["nms_mode"]!r}'
            )
        super().__init__(**kwargs)
        self.pose_nms = None
        if pose_nms is not None:
            self.pose_nms = PoseNMSParams.from_config(pose_nms)

    def process(self, data_batch: Sequence[dict], data_samples: Sequence[dict]) -> None:
        """Take in a batch of predictions.

        Args:
            data_batch (Sequence[dict]): A batch from the data loader.
            data_samples (Sequence[dict]): The model's outputs, see ``CocoMetric``.
        """
        if self.pose_nms and any(
            'bboxes' not in sample['pred_instances'] for sample in data_samples
        ):
            raise ValueError(
                'evaluator.pose_nms measures keypoints by the box of their person, but '
                'the predictions have no bboxes'
            )
        super().process(data_batch, data_samples)

    def results2json(self, keypoints: dict[int, list], outfile_prefix: str) -> str:
        """Suppress poses, then write the rest as COCO results.

        Args:
            keypoints (dict[int, list]): For each image its people.
            outfile_prefix (str): Path of the file to write, before
                ``.keypoints.json``.

        Returns:
            str: As ``CocoMetric``'s.
        """
        if self.pose_nms:
            keypoints = _suppress(keypoints, self.pose_nms)
        return super().results2json(keypoints, outfile_prefix)


def _suppress(images: dict[int, list], params: PoseNMSParams) -> dict[int, list]:
    """The people of each image that stay, with merged keypoints."""
    poses, boxes, scores = (
        [np.stack([person[key] for person in people]) for people in images.values()]
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
    for (image, people), result in zip(images.items(), results, strict=True):
        merged = np.dstack((result.keypoints, result.keypoint_scores))
        kept[image] = [
            dict(people[i], keypoints=pose, keypoint_scores=pose[:, 2])
            for i, pose in zip(result.keep, merged, strict=True)
        ]
    return kept
