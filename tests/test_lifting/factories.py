# SPDX-License-Identifier: Apache-2.0
"""Random poses of one person in a video."""

import numpy as np
from mmengine.structures import InstanceData

from rmpe_plugin.lifting import Clip, PoseSequence

MISSING = (0, 3, 4, 11)


def random_sequence(number=12, missing=MISSING, layout='coco', seed=0):
    rng = np.random.default_rng(seed)
    keypoints = rng.uniform(0, 300, (number, 17, 2)).astype(np.float32)
    scores = rng.uniform(0, 1, (number, 17)).astype(np.float32)
    bboxes = np.hstack((rng.uniform(0, 300, (number, 4)), np.full((number, 1), 0.9)))
    arrays = (keypoints, scores, bboxes.astype(np.float32))
    for array in arrays:
        array[list(missing)] = np.nan
    return PoseSequence(*arrays, layout)


def clip(name='walk', number=12, start=0):
    rows = tuple(range(start, start + number))
    return Clip(name, rows, rows, (320, 240), 25.0)


def people(*boxes, seed=0):
    """People of a frame with these boxes (x1, y1, x2, y2, score)."""
    rng = np.random.default_rng(seed)
    array = np.reshape(boxes, (-1, 5)).astype(float)
    return InstanceData(
        keypoints=rng.uniform(0, 300, (len(array), 17, 2)),
        keypoint_scores=rng.uniform(0, 1, (len(array), 17)),
        bboxes=array[:, :4],
        scores=array[:, 4],
    )
