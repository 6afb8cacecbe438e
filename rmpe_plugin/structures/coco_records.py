# SPDX-License-Identifier: Apache-2.0
"""COCO's records of one image's people, to and from MMEngine's instances."""

from collections import defaultdict
from collections.abc import Iterable

import numpy as np
from mmengine.structures import InstanceData
from mmpose.structures.bbox import bbox_xywh2xyxy, bbox_xyxy2xywh


def group_by_image(records: Iterable[dict]) -> dict[int | str, list[dict]]:
    """Group COCO records by image.

    Args:
        records (Iterable[dict]): Records with ``image_id``.

    Returns:
        dict[int | str, list[dict]]: For each image its records, in order; an image
        that is asked for and has none gives an empty list.
    """
    grouped = defaultdict(list)
    for record in records:
        grouped[record['image_id']].append(record)
    return grouped


def boxes_from_records(records: list[dict]) -> InstanceData:
    """Boxes of one image's records.

    Args:
        records (list[dict]): COCO records with ``bbox`` and ``score``.

    Returns:
        InstanceData: ``bboxes`` (N, 4), xyxy, and ``bbox_scores`` (N,), float32.
    """
    boxes = np.array([r['bbox'] for r in records], np.float32).reshape(-1, 4)
    return InstanceData(
        bboxes=bbox_xywh2xyxy(boxes),
        bbox_scores=np.array([r['score'] for r in records], np.float32),
    )


def boxes_to_records(image_id: int | str, boxes: InstanceData) -> list[dict]:
    """Detections of one image in COCO's result format.

    Args:
        image_id (int | str): The image.
        boxes (InstanceData): ``bboxes`` (N, 4), xyxy, and ``bbox_scores`` (N,).

    Returns:
        list[dict]: ``image_id``, ``category_id`` 1, ``bbox`` xywh to a hundredth of a
        pixel, and ``score``.
    """
    return [
        dict(
            image_id=image_id,
            category_id=1,
            bbox=np.round(bbox, 2).tolist(),
            score=float(score),
        )
        for bbox, score in zip(
            bbox_xyxy2xywh(np.asarray(boxes.bboxes, np.float64)),
            boxes.bbox_scores,
            strict=True,
        )
    ]


def poses_from_records(records: list[dict], num_keypoints: int) -> InstanceData:
    """Poses of one image's records.

    Args:
        records (list[dict]): COCO records with ``keypoints``, ``bbox`` and, of
            results, ``score``.
        num_keypoints (int): K.

    Returns:
        InstanceData: ``keypoints`` (N, K, 2), ``keypoint_scores`` (N, K), of
        annotations their visibility, ``bboxes`` (N, 4), xyxy, and, of results,
        ``scores`` (N,), float64.
    """
    number = len(records)
    poses = np.array([r['keypoints'] for r in records], float)
    poses = poses.reshape(number, num_keypoints, 3)
    boxes = np.array([r['bbox'] for r in records], float).reshape(number, 4)
    found = InstanceData(
        keypoints=poses[..., :2],
        keypoint_scores=poses[..., 2],
        bboxes=bbox_xywh2xyxy(boxes),
    )
    if all('score' in r for r in records):
        found.scores = np.array([r['score'] for r in records], float)
    return found


def poses_to_records(image_id: int | str, poses: InstanceData) -> list[dict]:
    """Poses of one image in COCO's result format.

    Args:
        image_id (int | str): The image.
        poses (InstanceData): ``keypoints`` (N, K, 2), ``keypoint_scores`` (N, K),
            ``bboxes`` (N, 4), xyxy, and ``scores`` (N,).

    Returns:
        list[dict]: ``image_id``, ``category_id`` 1, ``keypoints`` (x, y, score a
        keypoint), ``score`` and ``bbox`` xywh.
    """
    triples = np.dstack((poses.keypoints, poses.keypoint_scores))
    return [
        dict(
            image_id=image_id,
            category_id=1,
            keypoints=triple.ravel().tolist(),
            score=float(score),
            bbox=bbox.tolist(),
        )
        for triple, score, bbox in zip(
            triples.astype(float),
            poses.scores,
            bbox_xyxy2xywh(np.asarray(poses.bboxes, float)),
            strict=True,
        )
    ]
