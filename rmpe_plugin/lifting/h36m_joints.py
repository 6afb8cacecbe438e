# SPDX-License-Identifier: Apache-2.0
"""The 17 joints of Human3.6M from the 17 keypoints of COCO."""

import numpy as np

# COCO keypoints whose mean is each joint of Human3.6M, in its order: pelvis; right hip,
# knee and ankle; left hip, knee and ankle; spine, thorax, nose, head; left shoulder,
# elbow and wrist; right shoulder, elbow and wrist.
_SOURCES = (
    (11, 12),
    (12,), (14,), (16,),
    (11,), (13,), (15,),
    (5, 6, 11, 12), (5, 6), (0,), (1, 2),
    (5,), (7,), (9,),
    (6,), (8,), (10,),
)  # fmt: skip


def coco_to_h36m(
    keypoints: np.ndarray, scores: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Convert COCO's keypoints to the joints of Human3.6M.

    COCO has no keypoints on the midline. As in MMPose's
    ``convert_keypoint_definition``, the pelvis is the centre of the hips, the thorax
    that of the shoulders, and the spine that of pelvis and thorax; the joint between
    neck and nose is the nose; the head is the centre of the eyes. The last two are not
    where Human3.6M measures them, see ``docs/lifting.md``.

    Args:
        keypoints (np.ndarray): COCO keypoints (..., 17, D), in two or three dimensions.
        scores (np.ndarray): Their scores (..., 17).

    Returns:
        tuple[np.ndarray, np.ndarray]:
        - joints (..., 17, D). NaN where a keypoint that is needed is NaN.
        - scores (..., 17), the lowest score of the keypoints that are needed.

    Raises:
        ValueError: If there are not 17 keypoints.

    Example:
        >>> keypoints = np.zeros((17, 2))
        >>> keypoints[11], keypoints[12] = (4, 8), (2, 8)  # hips
        >>> joints, scores = coco_to_h36m(keypoints, np.ones(17))
        >>> joints[0].tolist(), joints[1].tolist(), joints[4].tolist()
        ([3.0, 8.0], [2.0, 8.0], [4.0, 8.0])
    """
    if keypoints.shape[-2] != 17 or scores.shape[-1] != 17:
        raise ValueError(
            "COCO's keypoints must be (..., 17, D) and their scores (..., 17), got "
            f'{keypoints.shape} and {scores.shape}'
        )
    joints = [keypoints[..., list(source), :].mean(axis=-2) for source in _SOURCES]
    lowest = [scores[..., list(source)].min(axis=-1) for source in _SOURCES]
    return np.stack(joints, axis=-2), np.stack(lowest, axis=-1)
