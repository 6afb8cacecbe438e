# SPDX-License-Identifier: Apache-2.0
"""Results in AlphaPose's format."""

from pathlib import Path

from mmpose.structures import PoseDataSample

from rmpe_plugin.inference import Frame
from rmpe_plugin.structures import person_scores, poses_to_records
from rmpe_plugin.tracking import NOT_TRACKED


def alphapose_records(frame: Frame, poses: PoseDataSample) -> list[dict]:
    """Convert poses to the format of AlphaPose's ``alphapose-results.json``.

    The format is that of ``write_json`` in alphapose/utils/pPose_nms.py of
    github.com/MVIG-SJTU/AlphaPose.

    Args:
        frame (Frame): The frame.
        poses (PoseDataSample): Its poses.

    Returns:
        list[dict]: For each person ``image_id``, the file name (for a frame of a video
        its index with ``.jpg``), ``category_id`` 1, ``keypoints``, (x, y, score) per
        keypoint, ``score``, AlphaPose's person score, ``box``, xywh in pixels, and
        ``idx``: the id of the person, or without tracking the placeholder that
        AlphaPose writes. As AlphaPose, only people with an id are written if there is
        tracking.
    """
    people = poses.pred_instances
    if 'track_ids' in people:
        people = people[people.track_ids != NOT_TRACKED]
    name = f'{frame.image_id}.jpg' if frame.video else Path(frame.name).name
    records = poses_to_records(name, people)
    for record, score in zip(records, person_scores(people, 'alphapose'), strict=True):
        record.update(
            score=float(score),
            box=record.pop('bbox'),
            idx=record.pop('track_id', [0.0]),
        )
    return records
