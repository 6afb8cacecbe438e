# SPDX-License-Identifier: Apache-2.0
"""A random articulated body: joints in space for the synthetic people."""

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

# Lengths in units of the body's height.
HEAD_RADIUS = 0.068
TORSO = 0.29
NECK = 0.10
SHOULDER = 0.115
HIP = 0.065
UPPER_ARM, FOREARM = 0.17, 0.15
THIGH, SHIN = 0.24, 0.24


@dataclass(frozen=True)
class Body:
    """A posed body in camera axes: x right, y down, z towards the viewer.

    Units are body heights and the pelvis is the origin.

    Attributes:
        joints (np.ndarray): COCO's 17 keypoints (17, 3).
        head (np.ndarray): Centre of the head (3,).
        facing (np.ndarray): Unit direction the face looks to (3,).
    """

    joints: np.ndarray
    head: np.ndarray
    facing: np.ndarray


def _rotation(axis: int, angle: float) -> np.ndarray:
    """Rotation by ``angle`` radians about coordinate axis 0, 1 or 2, (3, 3)."""
    i, j = (axis + 1) % 3, (axis + 2) % 3
    matrix = np.eye(3)
    matrix[[i, j], [i, j]] = np.cos(angle)
    matrix[i, j], matrix[j, i] = -np.sin(angle), np.sin(angle)
    return matrix


def _arm(rng: np.random.Generator, side: float, freedom: float) -> np.ndarray:
    """Elbow and wrist from the shoulder, body axes (left, up, front), (2, 3)."""
    # Arms hang more often than they are raised.
    spread = np.pi * 0.85 * freedom * rng.beta(1.1, 2.6)
    swing = rng.normal(0.15, 0.55 * freedom)
    bend = np.pi * 0.75 * freedom * rng.beta(1.0, 1.8)
    upper = _rotation(0, -swing) @ _rotation(2, side * spread)
    lower = upper @ _rotation(2, side * bend * rng.uniform(-0.4, 0.9))
    lower = lower @ _rotation(0, -bend * rng.uniform(0.2, 1.0))
    down = np.array([0.0, -1.0, 0.0])
    elbow = UPPER_ARM * upper @ down
    return np.stack((elbow, elbow + FOREARM * lower @ down))


def _leg(rng: np.random.Generator, side: float, crouch: float, freedom: float):
    """Knee and ankle from the hip, body axes (left, up, front), (2, 3)."""
    swing = crouch * 1.3 + rng.normal(0, 0.3 * freedom)
    spread = abs(rng.normal(0.04, 0.22 * freedom))
    knee_bend = crouch * 1.5 + abs(rng.normal(0, 0.4 * freedom))
    upper = _rotation(2, side * spread) @ _rotation(0, -swing)
    lower = upper @ _rotation(0, knee_bend)
    down = np.array([0.0, -1.0, 0.0])
    knee = THIGH * upper @ down
    return np.stack((knee, knee + SHIN * lower @ down))


def sample_body(rng: np.random.Generator, freedom: float) -> Body:
    """Pose a random body.

    Args:
        rng (np.random.Generator): Source of randomness.
        freedom (float): How far limbs stray from standing at rest, 0 to 1.

    Returns:
        Body: The posed body, seen from the front, the back or between.
    """
    shape = rng.uniform(0.88, 1.12, size=3)
    pelvis_to_neck = np.array([0.0, TORSO * shape[0], 0.0])
    shoulder = np.array([SHOULDER * shape[1], 0.0, 0.0])
    hip = np.array([HIP * shape[2], 0.0, 0.0])
    crouch = freedom * rng.beta(0.6, 2.5)

    points = np.zeros((17, 3))
    for side, name in ((1.0, 'left'), (-1.0, 'right')):
        top = pelvis_to_neck + side * shoulder
        points[INDEX[f'{name}_shoulder']] = top
        arm = top + _arm(rng, side, freedom)
        points[[INDEX[f'{name}_elbow'], INDEX[f'{name}_wrist']]] = arm
        points[INDEX[f'{name}_hip']] = side * hip
        leg = side * hip + _leg(rng, side, crouch, freedom)
        points[[INDEX[f'{name}_knee'], INDEX[f'{name}_ankle']]] = leg

    turn = _rotation(1, rng.uniform(-0.6, 0.6)) @ _rotation(0, rng.normal(0.05, 0.15))
    head = pelvis_to_neck + [0.0, NECK, 0.02]
    face = HEAD_RADIUS * np.array(
        [[0, -0.1, 1.0], [0.38, 0.22, 0.88], [-0.38, 0.22, 0.88], [1, 0, 0], [-1, 0, 0]]
    )
    points[:5] = head + face @ turn.T

    backwards = rng.random() < 0.3
    yaw = rng.normal(np.pi if backwards else 0.0, 0.55)
    lean = _rotation(2, rng.normal(0, 0.14 * freedom))
    # A body axis (left, up, front) is the viewer's (right, up, towards) at yaw 0;
    # the picture's y grows downwards.
    to_camera = np.diag([1.0, -1.0, 1.0]) @ lean @ _rotation(1, yaw)
    return Body(
        joints=points @ to_camera.T,
        head=to_camera @ head,
        facing=to_camera @ turn @ np.array([0.0, 0.0, 1.0]),
    )
