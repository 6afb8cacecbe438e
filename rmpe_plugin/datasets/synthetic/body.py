# SPDX-License-Identifier: Apache-2.0
"""Random articulated bodies in three dimensions."""

from dataclasses import dataclass

import numpy as np

# COCO's order; "left" is the person's own left.
KEYPOINTS = (
    'nose',
    'left_eye',
    'right_eye',
    'left_ear',
    'right_ear',
    'left_shoulder',
    'right_shoulder',
    'left_elbow',
    'right_elbow',
    'left_wrist',
    'right_wrist',
    'left_hip',
    'right_hip',
    'left_knee',
    'right_knee',
    'left_ankle',
    'right_ankle',
)
INDEX = {name: i for i, name in enumerate(KEYPOINTS)}

# Lengths as fractions of the body height.
HEAD_RADIUS = 0.068
TORSO = 0.29
NECK = 0.10
SHOULDER = 0.115
HIP = 0.065
UPPER_ARM, FOREARM = 0.17, 0.15
THIGH, SHIN = 0.24, 0.24

# Nose, eyes and ears from the centre of the head, body axes (left, up, front).
_FACE = HEAD_RADIUS * np.array(
    [[0, -0.1, 1.0], [0.38, 0.22, 0.88], [-0.38, 0.22, 0.88], [1, 0, 0], [-1, 0, 0]]
)
_DOWN = np.array([0.0, -1.0, 0.0])


@dataclass(frozen=True)
class Body:
    """A posed body in camera axes: x right, y down, z towards the viewer.

    The unit is the body height and the origin is the pelvis.

    Attributes:
        joints (np.ndarray): The 17 COCO keypoints (17, 3).
        head (np.ndarray): Centre of the head (3,).
        facing (np.ndarray): Unit vector in the direction of the face (3,).
    """

    joints: np.ndarray
    head: np.ndarray
    facing: np.ndarray


def sample_body(rng: np.random.Generator, pose_range: float) -> Body:
    """Sample a body with a random shape, pose and view direction.

    Args:
        rng (np.random.Generator): Random generator.
        pose_range (float): Range of the joint angles, from 0 (standing at rest) to 1.

    Returns:
        Body: The posed body.
    """
    points, neck = _sample_limbs(rng, pose_range)
    turn = _rotation(1, rng.uniform(-0.6, 0.6)) @ _rotation(0, rng.normal(0.05, 0.15))
    head = neck + [0.0, NECK, 0.02]
    points[:5] = head + _FACE @ turn.T

    from_behind = rng.random() < 0.3
    yaw = rng.normal(np.pi if from_behind else 0.0, 0.55)
    lean = _rotation(2, rng.normal(0, 0.14 * pose_range))
    # At yaw 0 the body axes (left, up, front) are the viewer's (right, up, towards);
    # y grows downwards in images.
    to_camera = np.diag([1.0, -1.0, 1.0]) @ lean @ _rotation(1, yaw)
    return Body(
        joints=points @ to_camera.T,
        head=to_camera @ head,
        facing=to_camera @ turn @ np.array([0.0, 0.0, 1.0]),
    )


def _sample_limbs(
    rng: np.random.Generator, pose_range: float
) -> tuple[np.ndarray, np.ndarray]:
    """Sample the joints below the head (17, 3) and the neck (3,), body axes."""
    shape = rng.uniform(0.88, 1.12, size=3)
    neck = np.array([0.0, TORSO * shape[0], 0.0])
    shoulder = np.array([SHOULDER * shape[1], 0.0, 0.0])
    hip = np.array([HIP * shape[2], 0.0, 0.0])
    crouch = pose_range * rng.beta(0.6, 2.5)

    points = np.zeros((17, 3))
    for side, name in ((1.0, 'left'), (-1.0, 'right')):
        top = neck + side * shoulder
        points[INDEX[f'{name}_shoulder']] = top
        arm = top + _sample_arm(rng, side, pose_range)
        points[[INDEX[f'{name}_elbow'], INDEX[f'{name}_wrist']]] = arm
        points[INDEX[f'{name}_hip']] = side * hip
        leg = side * hip + _sample_leg(rng, side, crouch, pose_range)
        points[[INDEX[f'{name}_knee'], INDEX[f'{name}_ankle']]] = leg
    return points, neck


def _sample_arm(rng: np.random.Generator, side: float, pose_range: float) -> np.ndarray:
    """Sample elbow and wrist relative to the shoulder, body axes, (2, 3)."""
    # Arms hang more often than they are raised.
    spread = np.pi * 0.85 * pose_range * rng.beta(1.1, 2.6)
    swing = rng.normal(0.15, 0.55 * pose_range)
    bend = np.pi * 0.75 * pose_range * rng.beta(1.0, 1.8)
    upper = _rotation(0, -swing) @ _rotation(2, side * spread)
    lower = upper @ _rotation(2, side * bend * rng.uniform(-0.4, 0.9))
    lower = lower @ _rotation(0, -bend * rng.uniform(0.2, 1.0))
    elbow = UPPER_ARM * upper @ _DOWN
    return np.stack((elbow, elbow + FOREARM * lower @ _DOWN))


def _sample_leg(
    rng: np.random.Generator, side: float, crouch: float, pose_range: float
) -> np.ndarray:
    """Sample knee and ankle relative to the hip, body axes, (2, 3)."""
    swing = crouch * 1.3 + rng.normal(0, 0.3 * pose_range)
    spread = abs(rng.normal(0.04, 0.22 * pose_range))
    knee_bend = crouch * 1.5 + abs(rng.normal(0, 0.4 * pose_range))
    upper = _rotation(2, side * spread) @ _rotation(0, -swing)
    lower = upper @ _rotation(0, knee_bend)
    knee = THIGH * upper @ _DOWN
    return np.stack((knee, knee + SHIN * lower @ _DOWN))


def _rotation(axis: int, angle: float) -> np.ndarray:
    """Matrix (3, 3) of a rotation by ``angle`` radians about axis 0, 1 or 2."""
    i, j = (axis + 1) % 3, (axis + 2) % 3
    matrix = np.eye(3)
    matrix[[i, j], [i, j]] = np.cos(angle)
    matrix[i, j], matrix[j, i] = -np.sin(angle), np.sin(angle)
    return matrix
