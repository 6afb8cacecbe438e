# SPDX-License-Identifier: Apache-2.0
"""How a person of a group moves: crosses, stops, turns, leaves and comes back."""

from dataclasses import dataclass, replace

import numpy as np
from scipy.interpolate import PchipInterpolator

from .body import Body, build_body, sample_pose
from .motion import HEIGHT, pose_at

# Probability of each action.
ACTIONS = dict(cross=0.4, stop=0.2, turn=0.2, leave=0.2)
SPEED = (0.7, 1.6)  # of a walk, metres per second
STOP = (0.5, 1.5)  # duration of a stop and of an absence, seconds
TURN = 0.2  # seconds before and after a corner during which a person turns
# Distance of an absent person from the border of the image, metres.
MARGIN = 1.0
STRIDE = 0.8 * HEIGHT  # two steps, metres
SWING = 0.5  # of the legs at full speed, radians
_STEP = 0.02  # seconds at which the walked distance is summed


@dataclass(frozen=True)
class Walk:
    """Motion of one person, as functions of the time.

    Attributes:
        position (PchipInterpolator): The pelvis (3,) in camera axes, metres.
        yaw (PchipInterpolator): Direction of the body (1,), see :class:`.body.Pose`.
        distance (PchipInterpolator): Walked distance (1,), metres.
        poses (dict[str, PchipInterpolator]): Pose without the swing of the steps.
    """

    position: PchipInterpolator
    yaw: PchipInterpolator
    distance: PchipInterpolator
    poses: dict[str, PchipInterpolator]

    def body_at(self, time: float) -> Body:
        """Pose the body.

        Args:
            time (float): Time, seconds.

        Returns:
            Body: The body, in the middle of a step where the person walks.
        """
        pose = pose_at(self.poses, time)
        speed = min(1.0, float(self.distance(time, 1)[0]))
        phase = 2 * np.pi * self.distance(time)[0] / STRIDE
        sides = np.array([1.0, -1.0])
        swing = SWING * speed * np.sin(phase) * sides
        legs, arms = pose.legs.copy(), pose.arms.copy()
        legs[:, 0] += swing
        # The knee of the leg that moves forward is bent.
        legs[:, 2] += SWING * speed * np.maximum(0, np.cos(phase) * sides)
        arms[:, 1] -= 0.7 * swing
        view = np.array([self.yaw(time)[0], pose.view[1]])
        return build_body(replace(pose, arms=arms, legs=legs, view=view))


def sample_walk(
    rng: np.random.Generator,
    seconds: float,
    depth: tuple[float, float],
    slope: float,
    pose_range: float,
) -> Walk:
    """Sample the motion of a person.

    Args:
        rng (np.random.Generator): Random generator.
        seconds (float): Duration.
        depth (tuple[float, float]): Smallest and largest distance from the camera,
            metres.
        slope (float): Half of the image's width relative to the focal length. At the
            distance z, the image shows -slope z to slope z.
        pose_range (float): See :func:`.body.sample_body`.

    Returns:
        Walk: The motion.
    """
    times, corners = _sample_corners(rng, seconds, depth, slope)
    position = PchipInterpolator(times, corners)
    grid = np.arange(0, seconds + _STEP, _STEP)
    steps = np.linalg.norm(np.diff(position(grid), axis=0), axis=1)
    distance = PchipInterpolator(grid, np.append(0, steps.cumsum())[:, None])
    return Walk(
        position,
        _directions(rng, times, corners),
        distance,
        _sample_poses(rng, seconds, pose_range),
    )


def _sample_corners(
    rng: np.random.Generator, seconds: float, depth: tuple[float, float], slope: float
) -> tuple[np.ndarray, np.ndarray]:
    """Times (C,) and positions (C, 3) between which a person walks or stops."""
    # Positions across the image are relative to its half width.
    place, z = rng.uniform(-0.9, 0.9), rng.uniform(*depth)
    time, previous = 0.0, rng.uniform(-0.9, 0.9)
    corners = [(time, place * slope * z, z)]
    # The path goes on after the end, so that no one stops there.
    while time < seconds + 1:
        action = rng.choice([*ACTIONS], p=[*ACTIONS.values()])
        away = abs(place) > 1
        if action == 'stop' or away and corners[-1][1:] != corners[-2][1:]:
            time += rng.uniform(*STOP)
            corners.append((time, *corners[-1][1:]))
            continue
        previous, place = place, _next_place(rng, action, place, previous)
        z = rng.uniform(*depth)
        x = place * slope * z + MARGIN * np.sign(place) * (abs(place) > 1)
        length = np.hypot(x - corners[-1][1], z - corners[-1][2])
        time += max(length / rng.uniform(*SPEED), 0.1)
        corners.append((time, x, z))
    times, x, z = np.array(corners).T
    return times, np.column_stack((x, np.zeros_like(x), z))


def _next_place(
    rng: np.random.Generator, action: str, place: float, previous: float
) -> float:
    """Where a person walks to, relative to the image's half width."""
    if action == 'leave' and abs(place) <= 1:
        return 1.01 * rng.choice([-1, 1])
    if action == 'turn' and abs(previous) <= 1:
        return previous
    # to the other half, or from outside back into the image
    return -np.sign(place) * rng.uniform(0.2, 0.9)


def _directions(
    rng: np.random.Generator, times: np.ndarray, corners: np.ndarray
) -> PchipInterpolator:
    """Yaw of the body: that of the walk; in a stop the person turns to any side."""
    knots, yaws = [], []
    yaw = rng.uniform(-np.pi, np.pi)
    for i, (x, _, z) in enumerate(np.diff(corners, axis=0)):
        # Yaw 0 is towards the camera, against its z.
        wanted = np.arctan2(x, -z) if x or z else yaw + rng.normal(0, 0.8)
        # The shorter way round
        yaw += (wanted - yaw + np.pi) % (2 * np.pi) - np.pi
        margin = min(TURN, 0.4 * (times[i + 1] - times[i]))
        knots += [times[i] + margin, times[i + 1] - margin]
        yaws += [yaw, yaw]
    return PchipInterpolator(knots, np.array(yaws)[:, None])


def _sample_poses(
    rng: np.random.Generator, seconds: float, pose_range: float
) -> dict[str, PchipInterpolator]:
    """Random poses that follow each other every second; functions of the time."""
    times = np.arange(0, seconds + 2)
    keys = [sample_pose(rng, pose_range) for _ in times]
    names = [name for name in vars(keys[0]) if name != 'shape']
    functions = {
        name: PchipInterpolator(times, [getattr(key, name) for key in keys])
        for name in names
    }
    # The body does not change its shape.
    return dict(
        functions, shape=PchipInterpolator(times, [keys[0].shape for _ in times])
    )
