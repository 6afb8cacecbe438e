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
# Human3.6M's order, with MMPose's names; COCO's ankles are its feet.
H36M_JOINTS = (
    'root',
    'right_hip',
    'right_knee',
    'right_ankle',
    'left_hip',
    'left_knee',
    'left_ankle',
    'spine',
    'thorax',
    'neck_base',
    'head',
    'left_shoulder',
    'left_elbow',
    'left_wrist',
    'right_shoulder',
    'right_elbow',
    'right_wrist',
)

# Joints of MPII that are neither left nor right.
MIDDLE_JOINTS = ('pelvis', 'thorax', 'upper_neck', 'head_top')
# MPII's order; the limbs have COCO's names.
MPII_KEYPOINTS = (
    'right_ankle',
    'right_knee',
    'right_hip',
    'left_hip',
    'left_knee',
    'left_ankle',
    'pelvis',
    'thorax',
    'upper_neck',
    'head_top',
    'right_wrist',
    'right_elbow',
    'right_shoulder',
    'left_shoulder',
    'left_elbow',
    'left_wrist',
)

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
        neck (np.ndarray): Point between the shoulders (3,).
        head (np.ndarray): Centre of the head (3,).
        crown (np.ndarray): Top of the head (3,).
        facing (np.ndarray): Unit vector in the direction of the face (3,).
    """

    joints: np.ndarray
    neck: np.ndarray
    head: np.ndarray
    crown: np.ndarray
    facing: np.ndarray

    @property
    def middle_joints(self) -> np.ndarray:
        """The joints :data:`MIDDLE_JOINTS` (4, 3)."""
        upper_neck = (self.neck + self.head) / 2
        return np.stack((np.zeros(3), self.neck, upper_neck, self.crown))

    @property
    def h36m_joints(self) -> np.ndarray:
        """The 17 joints of Human3.6M, in its order (17, 3)."""
        limbs = {
            f'{side}_{joint}': self.joints[INDEX[f'{side}_{joint}']]
            for side in ('left', 'right')
            for joint in ('shoulder', 'elbow', 'wrist', 'hip', 'knee', 'ankle')
        }
        pelvis = np.zeros(3)
        middle = dict(
            root=pelvis,
            spine=(pelvis + self.neck) / 2,
            thorax=self.neck,
            neck_base=self.joints[INDEX['nose']],
            head=self.crown,
        )
        return np.stack([{**limbs, **middle}[name] for name in H36M_JOINTS])


@dataclass(frozen=True)
class Pose:
    """Shape and joint angles of a body.

    Attributes:
        shape (np.ndarray): Relative lengths of the torso and of the widths of shoulders
            and hips (3,), about 1.
        arms (np.ndarray): Spread, swing, roll and bend of the left and the right arm
            (2, 4), radians.
        legs (np.ndarray): Swing, spread and bend of the left and the right leg (2, 3),
            radians.
        head (np.ndarray): Turn and nod of the head (2,), radians.
        view (np.ndarray): Yaw and lean of the body (2,), radians. At yaw 0 it faces the
            viewer.
    """

    shape: np.ndarray
    arms: np.ndarray
    legs: np.ndarray
    head: np.ndarray
    view: np.ndarray


def sample_body(rng: np.random.Generator, pose_range: float) -> Body:
    """Sample a body with a random shape, pose and view direction.

    Args:
        rng (np.random.Generator): Random generator.
        pose_range (float): Range of the joint angles, from 0 (standing at rest) to 1.

    Returns:
        Body: The posed body.
    """
    return build_body(sample_pose(rng, pose_range))


def sample_pose(rng: np.random.Generator, pose_range: float) -> Pose:
    """Sample a shape and joint angles.

    Args:
        rng (np.random.Generator): Random generator.
        pose_range (float): See :func:`sample_body`.

    Returns:
        Pose: The pose.
    """
    shape = rng.uniform(0.88, 1.12, size=3)
    crouch = pose_range * rng.beta(0.6, 2.5)
    arms, legs = [], []
    for _ in ('left', 'right'):
        arms.append(_sample_arm(rng, pose_range))
        legs.append(_sample_leg(rng, crouch, pose_range))
    head = np.array([rng.uniform(-0.6, 0.6), rng.normal(0.05, 0.15)])
    from_behind = rng.random() < 0.3
    yaw = rng.normal(np.pi if from_behind else 0.0, 0.55)
    lean = rng.normal(0, 0.14 * pose_range)
    return Pose(shape, np.array(arms), np.array(legs), head, np.array([yaw, lean]))


def build_body(pose: Pose) -> Body:
    """Compute the joints of a pose.

    Args:
        pose (Pose): Shape and joint angles.

    Returns:
        Body: The posed body.
    """
    neck = np.array([0.0, TORSO * pose.shape[0], 0.0])
    points = np.zeros((17, 3))
    for i, (side, name) in enumerate(((1.0, 'left'), (-1.0, 'right'))):
        top = neck + side * np.array([SHOULDER * pose.shape[1], 0.0, 0.0])
        hip = side * np.array([HIP * pose.shape[2], 0.0, 0.0])
        points[INDEX[f'{name}_shoulder']] = top
        arm = top + _pose_arm(side, *pose.arms[i])
        points[[INDEX[f'{name}_elbow'], INDEX[f'{name}_wrist']]] = arm
        points[INDEX[f'{name}_hip']] = hip
        leg = hip + _pose_leg(side, *pose.legs[i])
        points[[INDEX[f'{name}_knee'], INDEX[f'{name}_ankle']]] = leg

    turn = _rotation(1, pose.head[0]) @ _rotation(0, pose.head[1])
    head = neck + [0.0, NECK, 0.02]
    points[:5] = head + _FACE @ turn.T
    crown = head + turn @ [0.0, 1.25 * HEAD_RADIUS, 0.0]

    yaw, lean = pose.view
    # At yaw 0 the body axes (left, up, front) are the viewer's (right, up, towards);
    # y grows downwards in images.
    to_camera = np.diag([1.0, -1.0, 1.0]) @ _rotation(2, lean) @ _rotation(1, yaw)
    return Body(
        joints=points @ to_camera.T,
        neck=to_camera @ neck,
        head=to_camera @ head,
        crown=to_camera @ crown,
        facing=to_camera @ turn @ np.array([0.0, 0.0, 1.0]),
    )


def _sample_arm(rng: np.random.Generator, pose_range: float) -> list[float]:
    """Sample spread, swing, roll and bend of an arm."""
    # Arms hang more often than they are raised.
    spread = np.pi * 0.85 * pose_range * rng.beta(1.1, 2.6)
    swing = rng.normal(0.15, 0.55 * pose_range)
    bend = np.pi * 0.75 * pose_range * rng.beta(1.0, 1.8)
    return [spread, swing, bend * rng.uniform(-0.4, 0.9), bend * rng.uniform(0.2, 1.0)]


def _pose_arm(
    side: float, spread: float, swing: float, roll: float, bend: float
) -> np.ndarray:
    """Elbow and wrist relative to the shoulder, body axes, (2, 3)."""
    upper = _rotation(0, -swing) @ _rotation(2, side * spread)
    lower = upper @ _rotation(2, side * roll) @ _rotation(0, -bend)
    elbow = UPPER_ARM * upper @ _DOWN
    return np.stack((elbow, elbow + FOREARM * lower @ _DOWN))


def _sample_leg(
    rng: np.random.Generator, crouch: float, pose_range: float
) -> list[float]:
    """Sample swing, spread and bend of a leg."""
    swing = crouch * 1.3 + rng.normal(0, 0.3 * pose_range)
    spread = abs(rng.normal(0.04, 0.22 * pose_range))
    bend = crouch * 1.5 + abs(rng.normal(0, 0.4 * pose_range))
    return [swing, spread, bend]


def _pose_leg(side: float, swing: float, spread: float, bend: float) -> np.ndarray:
    """Knee and ankle relative to the hip, body axes, (2, 3)."""
    upper = _rotation(2, side * spread) @ _rotation(0, -swing)
    lower = upper @ _rotation(0, bend)
    knee = THIGH * upper @ _DOWN
    return np.stack((knee, knee + SHIN * lower @ _DOWN))


def _rotation(axis: int, angle: float) -> np.ndarray:
    """Matrix (3, 3) of a rotation by ``angle`` radians about axis 0, 1 or 2."""
    i, j = (axis + 1) % 3, (axis + 2) % 3
    matrix = np.eye(3)
    matrix[[i, j], [i, j]] = np.cos(angle)
    matrix[i, j], matrix[j, i] = -np.sin(angle), np.sin(angle)
    return matrix
