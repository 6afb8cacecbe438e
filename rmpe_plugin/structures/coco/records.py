# SPDX-License-Identifier: Apache-2.0
"""Convert COCO records of an image from and to ``InstanceData``."""

from collections import defaultdict
from collections.abc import Iterable, Sequence

import numpy as np
from mmengine.structures import InstanceData
from mmpose.structures.bbox import bbox_xywh2xyxy, bbox_xyxy2xywh


def group_by_image(records: Iterable[dict]) -> dict[int | str, list[dict]]:
    """Group COCO records by image.

    Args:
        records (Iterable[dict]): Records with ``image_id``.

    Returns:
        dict[int | str, list[dict]]: The records of each image, in their order. Looking
        up an image without records gives an empty list.
    """
    grouped = defaultdict(list)
    for record in records:
        grouped[record['image_id']].append(record)
    return grouped


def make_annotation(
    annotation_id: int,
    image_id: int,
    keypoints: np.ndarray,
    bbox: np.ndarray,
    area: float,
) -> dict:
    """Make the COCO annotation of a person.

    Args:
        annotation_id (int): Id of the annotation.
        image_id (int): Id of the image.
        keypoints (np.ndarray): Keypoints (K, 3): x, y in pixels and COCO's v.
        bbox (np.ndarray): Box (4,), xyxy, pixels.
        area (float): Area of the segment, square pixels.

    Returns:
        dict: The annotation, with coordinates of keypoints rounded to 0.01 pixels.
    """
    x1, y1, x2, y2 = bbox.tolist()
    triples = np.round(keypoints, 2).tolist()
    return dict(
        id=annotation_id,
        image_id=image_id,
        category_id=1,
        iscrowd=0,
        bbox=[x1, y1, x2 - x1, y2 - y1],
        area=area,
        num_keypoints=sum(v > 0 for _, _, v in triples),
        keypoints=[value for x, y, v in triples for value in (x, y, int(v))],
    )


def make_detection(
    bbox: Sequence[float], score: float, image_id: int | str | None = None
) -> dict:
    """Make the COCO result of a detected person.

    Args:
        bbox (Sequence[float]): Box (4,), xywh, pixels.
        score (float): Score.
        image_id (int | str, optional): Id of the image. Defaults to ``None``, which
            makes a record without ``image_id``.

    Returns:
        dict: ``image_id`` if given, ``category_id`` 1, ``bbox`` and ``score``.
    """
    record = dict(category_id=1, bbox=[*bbox], score=score)
    return record if image_id is None else dict(image_id=image_id, **record)


def boxes_from_records(records: list[dict]) -> InstanceData:
    """Convert the detections of an image to boxes.

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
    """Convert the boxes of an image to COCO results.

    Args:
        image_id (int | str): Id of the image.
        boxes (InstanceData): ``bboxes`` (N, 4), xyxy, and ``bbox_scores`` (N,).

    Returns:
        list[dict]: ``image_id``, ``category_id`` 1, ``bbox`` xywh, rounded to 0.01
        pixels, and ``score``.
    """
    xywh = bbox_xyxy2xywh(np.asarray(boxes.bboxes, np.float64))
    return [
        make_detection(bbox, float(score), image_id)
        for bbox, score in zip(
            np.round(xywh, 2).tolist(), boxes.bbox_scores, strict=True
        )
    ]


def poses_from_records(records: list[dict], num_keypoints: int) -> InstanceData:
    """Convert annotations or results of an image to poses.

    Args:
        records (list[dict]): COCO records with ``keypoints``, ``bbox`` and, if they are
            results, ``score``.
        num_keypoints (int): Number of keypoints K.

    Returns:
        InstanceData: ``keypoints`` (N, K, 2), ``keypoint_scores`` (N, K), which is v
        for annotations, ``bboxes`` (N, 4), xyxy, and for results ``scores`` (N,);
        float64.
    """
    number = len(records)
    triples = np.array([r['keypoints'] for r in records], float)
    triples = triples.reshape(number, num_keypoints, 3)
    boxes = np.array([r['bbox'] for r in records], float).reshape(number, 4)
    poses = InstanceData(
        keypoints=triples[..., :2],
        keypoint_scores=triples[..., 2],
        bboxes=bbox_xywh2xyxy(boxes),
    )
    if all('score' in r for r in records):
        poses.scores = np.array([r['score'] for r in records], float)
    return poses


def poses_to_records(image_id: int | str, poses: InstanceData) -> list[dict]:
    """Convert the poses of an image to COCO results.

    Args:
        image_id (int | str): Id of the image.
        poses (InstanceData): ``keypoints`` (N, K, 2), ``keypoint_scores`` (N, K),
            ``bboxes`` (N, 4), xyxy, ``scores`` (N,), and ``track_ids`` (N,) if people
            are tracked, -1 for those who are not.

    Returns:
        list[dict]: ``image_id``, ``category_id`` 1, ``keypoints`` (x, y and score of
        each keypoint), ``score``, ``bbox`` xywh, and ``track_id`` of people who are
        tracked.
    """
    triples = np.dstack((poses.keypoints, poses.keypoint_scores))
    xywh = bbox_xyxy2xywh(np.asarray(poses.bboxes, float))
    ids = poses.get('track_ids', np.full(len(xywh), -1)).tolist()
    return [
        dict(
            image_id=image_id,
            category_id=1,
            keypoints=triple.ravel().tolist(),
            score=float(score),
            bbox=bbox.tolist(),
            **({} if track_id < 0 else dict(track_id=track_id)),
        )
        for triple, score, bbox, track_id in zip(
            triples.astype(float), poses.scores, xywh, ids, strict=True
        )
    ]
