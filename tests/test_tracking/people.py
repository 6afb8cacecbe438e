# SPDX-License-Identifier: Apache-2.0
"""People who walk, as poses of frames."""

import numpy as np
from mmengine.structures import InstanceData

SIGMAS = np.full(17, 0.08)
#: Keypoints of a standing body of height 1, its head at 0.
BODY = np.array(
    [(0, 6), (2, 4), (-2, 4), (4, 6), (-4, 6), (10, 18), (-10, 18), (13, 33), (-13, 33),
     (14, 48), (-14, 48), (6, 50), (-6, 50), (7, 73), (-7, 73), (7, 96), (-7, 96)]
) / 100  # fmt: skip


def walker(x, height=100.0, phase=0.0, y=50.0):
    """Keypoints (17, 2) of a person at x whose arms and legs swing."""
    pose = BODY.copy()
    swing = 0.1 * np.sin(phase)
    pose[[9, 16], 0] += swing
    pose[[10, 15], 0] -= swing
    return pose * height + (x, y)


def people(*poses, scores=0.9, boxes=None):
    """The people of a frame, with boxes around their keypoints."""
    keypoints = np.reshape(poses, (-1, 17, 2)).astype(float)
    if boxes is None:
        boxes = np.concatenate((keypoints.min(1) - 8, keypoints.max(1) + 8), axis=1)
    number = len(keypoints)
    return InstanceData(
        keypoints=keypoints,
        keypoint_scores=np.full((number, 17), 0.8),
        bboxes=np.reshape(boxes, (-1, 4)).astype(float),
        bbox_scores=np.broadcast_to(scores, number).astype(float),
    )
